"""Chair Segments as living software: the compact segmentation benchmark of arXiv 2012.01250, executable.

The names below are imported on first use, so that ``import chairlib`` and ``chairlib --help`` don't wait for torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "ChairSegments": "chairlib.compositing.datasets",
    "CocoChairs": "chairlib.transfer.coco_chairs",
    "Collection": "chairlib.collection",
    "CompositeLoader": "chairlib.compositing.loader",
    "ObjectDiscovery": "chairlib.transfer.object_discovery",
    "ReleasedChairSegments": "chairlib.compositing.released",
    "build_model": "chairlib.benchmark.models",
    "fine_tune": "chairlib.transfer.run",
    "fit": "chairlib.benchmark.training",
    "get_recipe": "chairlib.benchmark.training",
    "score_masks": "chairlib.benchmark.metrics",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chairlib' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
