"""Rendered chairs and rooms: a collection without photographs, network or licence question, with exact opacity.

The names below are imported on first use: the command line registers this package's commands without loading numpy.
"""

from chairlib.core.lazy import lazy_names

_MODULES = {
    "render_chair": "chairmaker.catalogue",
    "render_collection": "chairmaker.catalogue",
    "render_room": "chairmaker.catalogue",
}
__all__ = [*_MODULES]
__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return __all__
