"""Access to Mitsuba 3, which is imported on first use: the command line's help need not wait for it."""

from functools import cache
from typing import Any

from chairlib.core.errors import ChairlibError


@cache
def mitsuba() -> Any:
    """The module ``mitsuba`` with its variant ``scalar_rgb``. Raises ChairlibError where it is not installed."""
    try:
        import mitsuba as mi
    except ImportError as error:
        raise ChairlibError(
            "rendering needs Mitsuba 3, which is not installed: run pip install mitsuba, then try again."
        ) from error
    mi.set_variant("scalar_rgb")
    return mi


def use_one_thread() -> None:
    """Let Mitsuba use one thread in this process: collections are rendered by several processes, one image each."""
    mitsuba()
    import drjit

    drjit.set_thread_count(1)
