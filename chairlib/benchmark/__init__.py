"""Chapters 03 and 04: models trained on composites and scored (sections 5.1 and 5.2; Tables 1 and 2, Figure 4)."""

from chairlib.core.lazy import lazy_names

__all__ = ["BenchmarkSettings", "examples", "open_run", "previews", "train"]
__getattr__ = lazy_names(
    __name__,
    {
        "BenchmarkSettings": "chairlib.benchmark.settings",
        **dict.fromkeys(("examples", "open_run", "previews", "train"), "chairlib.benchmark.run"),
    },
)
