"""The one door to Mitsuba 3, which is optional and is therefore imported on first use."""

from functools import cache
from typing import Any

from chairlib.core.errors import ChairlibError

__all__ = ["mitsuba", "use_one_thread"]


@cache
def mitsuba() -> Any:
    """The ``mitsuba`` module with its ``scalar_rgb`` variant chosen. Raises ChairlibError where it is not installed."""
    try:
        import mitsuba as mi
    except ImportError as error:
        raise ChairlibError(
            "rendering needs Mitsuba 3, which is not installed: run pip install 'chairlib[procedural]', then try again."
        ) from error
    mi.set_variant("scalar_rgb")
    return mi


def use_one_thread() -> None:
    """Keep Mitsuba to one thread in this process: collections are rendered by processes, one image each."""
    mitsuba()
    import drjit

    drjit.set_thread_count(1)
