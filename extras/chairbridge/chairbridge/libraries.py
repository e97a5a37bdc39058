"""Libraries that only some formats need."""

from importlib import import_module
from typing import Any

from chairlib.core.errors import ChairlibError


def need(module: str, purpose: str) -> Any:
    """Import ``module``; :class:`ChairlibError`, which says what to install, where it is missing.

    purpose: what it is needed for, as ``"COCO's format"``.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ChairlibError(
            f"{purpose} needs {module.partition('.')[0]}, which cannot be imported here ({error}); install it with "
            '`pip install "./extras/chairbridge[formats]"` in a clone of the repository.'
        ) from error
