"""What surrounds a score: a leaderboard that anybody can check, a card of further metrics, and robustness.

The names below are imported on first use: the command line registers this package's commands without loading torch.
"""

from chairlib.core.lazy import lazy_names

_MODULES = {
    "quality": "chairboard.mask_quality",
    "robustness": "chairboard.corruptions",
    "submit": "chairboard.leaderboard",
    "verify": "chairboard.leaderboard",
}
__all__ = [*_MODULES]
__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return __all__
