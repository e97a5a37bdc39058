"""Barriers of curves between two models: arithmetic that analyses, figures and widgets all take from here."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from chairlib.core.errors import ParameterError

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
    """How far a curve is worse than the straight line between its ends, at most: in the values' unit, at least 0.

    Entezari et al. (2022): the largest gap between the score at alpha and alpha v(1) + (1 - alpha) v(0). If both ends
    are equally good, this is the error barrier of Frankle et al. (2020), who compare with the ends' mean.

    alphas: in any order, 0 and 1 among them (within :data:`TOLERANCE`); those outside [0, 1] are left out. values: one
    each, such as IoU in per cent; for a loss, ``higher_is_better=False``. Raises :class:`ParameterError` if alpha 0 or
    1 is missing or has two values, for another number of values, and for numbers that are not finite.
    """
    return float(max(0.0, np.nanmax(below_line(alphas, values, higher_is_better))))


def barrier_interval(alphas: Iterable[float], lines: ArrayLike) -> tuple[float, float]:
    """The 95 % interval ``(low, high)`` of the mean barrier of some lines, by a percentile bootstrap over photos.

    alphas [A], as in :func:`barrier`. lines [L, A, N]: the score of each of N photos at each point of each of L lines;
    a photo without a score (NaN) is left out. Each resample draws photos with replacement, the same for all lines, and
    takes the barriers of their mean curves. Noise adds to a largest gap, so the interval of lines without a barrier
    ends a little above 0. Both ends are NaN for fewer than two photos.
    """
    at, scores = np.array([*alphas], dtype=np.float64), np.asarray(lines, np.float64)
    inside = (at >= -TOLERANCE) & (at <= 1 + TOLERANCE)
    at, scores = at[inside], scores[:, inside][..., np.isfinite(scores).all(axis=(0, 1))]
    if scores.shape[-1] < 2:
        return math.nan, math.nan
    first, last = np.abs(at).argmin(), np.abs(at - 1).argmin()

    def mean_barrier(photos: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        curves = scores[..., photos].mean(axis=-1)  # [L, A], or [L, A, resamples]
        weights = at.reshape(-1, *(1,) * (curves.ndim - 2))
        straight = weights * curves[:, [last]] + (1 - weights) * curves[:, [first]]
        return np.maximum(0, (straight - curves).max(axis=1)).mean(axis=0)

    options: dict = {"vectorized": True, "method": "percentile", "n_resamples": 1000, "batch": 100, "rng": 0}
    result = stats.bootstrap((np.arange(scores.shape[-1]),), mean_barrier, **options)
    low, high = result.confidence_interval
    return float(low), float(high)


def _value_at(alpha: float, at: NDArray[np.float64], value: NDArray[np.float64]) -> float:
    found = np.unique(value[np.abs(at - alpha) <= TOLERANCE])
    if len(found) == 1:
        return float(found[0])
    if len(found) > 1:
        raise ParameterError(f"alpha {alpha:g} has {len(found)} different values: give those of one curve.")
    near = f" (the nearest is {at[np.abs(at - alpha).argmin()]!s})" if len(at) else ""
    raise ParameterError(f"a barrier needs the value at alpha {alpha:g}, which is not among the alphas{near}.")
