"""Chapters 05 and 06: fine-tuning on photos of other things (section 5.3; Tables 3 and 4, Figures 5 and 6)."""

from chairlib.transfer.run import examples, fine_tune, open_run, preview, train

__all__ = ["examples", "fine_tune", "open_run", "preview", "train"]
