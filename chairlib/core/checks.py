"""Checks of single values, for every module that takes parameters from a person."""

import math
import numbers
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from chairlib.core.errors import ChairlibError, ParameterError

#: Of what every random generator here takes.
LARGEST_SEED = 2**32 - 1
#: Of a forward pass while training, see :mod:`chairlib.benchmark.precision`.
PRECISIONS = ("auto", "float32", "bfloat16")


def is_whole(value: Any) -> bool:
    """Whether ``value`` is a whole number, Python's or NumPy's; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_count(name: str, value: Any, least: int = 1, most: int | None = None, none: bool = False) -> None:
    """Raise :class:`ParameterError` unless ``value`` is a whole number within bounds (or None, where ``none``)."""
    if none and value is None:
        return
    if not is_whole(value) or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ParameterError(f"{name} {value!r} must be a whole number {bounds}{', or None' if none else ''}.")


def check_positive(name: str, value: Any, none: bool = False) -> None:
    """Raise :class:`ParameterError` unless ``value`` is a finite number above 0 (or None, where ``none``)."""
    if none and value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise ParameterError(f"{name} {value!r} must be a finite number above 0{', or None' if none else ''}.")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raise :class:`ParameterError` unless ``value`` is one of ``choices``."""
    known = list(choices)
    if value not in known:
        raise ParameterError(f"{name} {value!r} is unknown; use one of {', '.join(known)}.")


def check_package(name: str) -> None:
    """Raise ChairlibError unless a package of the folder ``extras`` is installed: a page needs it further on."""
    if find_spec(name) is None:
        raise ChairlibError(f"this page needs the package {name}: pip install . ./extras/* in a clone.")
