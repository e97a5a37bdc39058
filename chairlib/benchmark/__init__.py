"""Chapters 03 and 04: models trained on composites and scored (sections 5.1 and 5.2; Tables 1 and 2, Figure 4)."""

from chairlib.benchmark.run import examples, open_run, train

__all__ = ["examples", "open_run", "train"]
