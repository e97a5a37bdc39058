"""The paper as a graph of notebook runs, and the book that they are rendered into."""
