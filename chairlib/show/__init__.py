"""Figures, tables and widgets. They see results, never training."""
