"""Barriers of curves between two models.

No more than arithmetic: analyses, figures and widgets all take it from here.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from chairlib.core.errors import ParameterError

__all__ = ["TOLERANCE", "barrier", "below_line"]

#: Alphas this near to 0 or 1 are those of the models themselves: steps added up miss them by rounding.
TOLERANCE = 1e-6


def below_line(alphas: Iterable[float], values: Iterable[float], higher_is_better: bool = True) -> NDArray[np.float64]:
    """How far each point of a curve is worse than the straight line between its end points; NaN outside of [0, 1].

    alphas, values: as in :func:`barrier`, and raises as it does. Negative where the curve is better than the line.
    """
    at, value = np.array([*alphas], dtype=np.float64), np.array([*values], dtype=np.float64)
    if at.shape != value.shape:
        raise ParameterError(f"a barrier needs one value per alpha, found {value.size} for {at.size} alphas.")
    if not np.isfinite(at).all():
        raise ParameterError(f"alphas must be finite numbers, found {at[~np.isfinite(at)][0]}.")
    inside = (at >= -TOLERANCE) & (at <= 1 + TOLERANCE)
    if not np.isfinite(value[inside]).all():
        worst = int(np.flatnonzero(inside & ~np.isfinite(value))[0])
        raise ParameterError(f"the value at alpha {at[worst]:g} is {value[worst]}: a barrier needs finite values.")
    start, end = (_value_at(alpha, at, value) for alpha in (0.0, 1.0))
    gaps = at * end + (1 - at) * start - value
    return np.where(inside, gaps if higher_is_better else -gaps, math.nan)


def barrier(alphas: Iterable[float], values: Iterable[float], higher_is_better: bool = True) -> float:
    """The largest gap between a curve and the straight line between its end points, in the values' unit; at least 0.

    Entezari et al. (2022): the largest gap between the loss (or score) at alpha and alpha v(1) + (1 - alpha) v(0), of
    those where the curve is worse than the line. Where both ends are equally good this is the error barrier of Frankle
    et al. (2020), who compare with the ends' mean.

    alphas: in any order, 0 and 1 among them (within :data:`TOLERANCE`); those outside [0, 1] are left out. values: as
    many, such as IoU in per cent; for a loss, ``higher_is_better=False``.

    Raises :class:`ParameterError` where alpha 0 or 1 is missing or has two different values, for another number of
    values, for an alpha that is not finite, and for a value inside [0, 1] that is not.
    """
    return float(max(0.0, np.nanmax(below_line(alphas, values, higher_is_better))))


def _value_at(alpha: float, at: NDArray[np.float64], value: NDArray[np.float64]) -> float:
    found = np.unique(value[np.abs(at - alpha) <= TOLERANCE])
    if len(found) == 1:
        return float(found[0])
    if len(found) > 1:
        raise ParameterError(f"alpha {alpha:g} has {len(found)} different values: give those of one curve.")
    near = f" (the nearest is {at[np.abs(at - alpha).argmin()]!s})" if len(at) else ""
    raise ParameterError(f"a barrier needs the value at alpha {alpha:g}, which is not among the alphas{near}.")
