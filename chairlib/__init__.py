"""Chair Segments as living software: the compact segmentation benchmark of arXiv 2012.01250, executable.

The names below are the library's face; each is imported on first use. The folders follow the paper, a chapter each.
"""

from chairlib.core.lazy import lazy_names

__version__ = "0.1.0"

_MODULES = {
    "ChairSegments": "chairlib.compositing.datasets",
    "ChairlibError": "chairlib.core.errors",
    "Collection": "chairlib.collection",
    "CompositeLoader": "chairlib.compositing.loader",
    "ObjectDiscovery": "chairlib.transfer.object_discovery",
    "ReleasedChairSegments": "chairlib.compositing.released",
    "adapt": "chairlib.benchmark.adapters",
    "barrier": "chairlib.landscape.barriers",
    "benchmark": "chairlib.benchmark",
    "build_model": "chairlib.benchmark.models",
    "compare_runs": "chairlib.benchmark.comparison",
    "evaluate": "chairlib.benchmark.evaluation",
    "fine_tune": "chairlib.transfer.run",
    "fit": "chairlib.benchmark.training",
    "get_recipe": "chairlib.benchmark.recipes",
    "interpolate": "chairlib.landscape.space",
    "interpolation_curve": "chairlib.landscape.evaluator",
    "judge": "chairlib.benchmark.judge",
    "l2_distance": "chairlib.landscape.states",
    "linear_cka": "chairlib.landscape.beyond.similarity",
    "load_model": "chairlib.benchmark.comparison",
    "load_runs": "chairlib.benchmark.comparison",
    "score_masks": "chairlib.benchmark.metrics",
    "score_model": "chairlib.benchmark.judge",
}
__all__ = ["__version__", *_MODULES]
__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return __all__
