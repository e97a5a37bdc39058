"""Looking at data once, where hundreds of runs on them are opened at one moment, as a plan does."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
_seen: ContextVar[dict[Hashable, Any] | None] = ContextVar("seen", default=None)


@contextmanager
def looked_at_once() -> Iterator[None]:
    """Within it, :func:`look` finds the same for the same ``key`` without looking again. For moments: data may change.

    Folders are listed, manifests are checked and files are asked for changes each time otherwise.
    """
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


def look(key: Hashable, find: Callable[[], T]) -> T:
    """What ``find`` gives, remembered within :func:`looked_at_once`."""
    seen = _seen.get()
    if seen is None:
        return find()
    if key not in seen:
        seen[key] = find()
    return seen[key]
