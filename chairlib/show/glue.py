"""What a chapter hands to the book's prose."""

from collections.abc import Mapping
from typing import Any


def glue(values: Mapping[str, Any]) -> None:
    """Make values, tables and figures available to the prose under their names; they are not shown in the notebook.

    Does nothing where myst-nb (extra ``book``) isn't installed: the notebook then stands for itself.
    """
    try:
        from myst_nb import glue as glue_one
    except ModuleNotFoundError:
        return
    for name, value in values.items():
        glue_one(name, value, display=False)
