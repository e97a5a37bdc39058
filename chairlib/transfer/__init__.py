"""Chapters 05 and 06: fine-tuning on photos of other things (section 5.3; Tables 3 and 4, Figures 5 and 6)."""

from chairlib.core.lazy import lazy_names

__all__ = ["TransferSettings", "examples", "fine_tune", "open_run", "preview", "run_title", "train"]
__getattr__ = lazy_names(
    __name__,
    {
        "TransferSettings": "chairlib.transfer.settings",
        **dict.fromkeys(("examples", "fine_tune", "open_run", "train"), "chairlib.transfer.run"),
        **dict.fromkeys(("preview", "run_title"), "chairlib.transfer.photos"),
    },
)
