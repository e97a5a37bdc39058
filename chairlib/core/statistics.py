"""The difference of two sets of models, with an interval over both kinds of luck: which units, and which seeds.

Units are what is scored: photos, or groups of composites. The variance of the mean difference has two parts: that of
the n units' means over n, less the noise of training in it, and that of the m seeds' means over m, which holds this
noise. With Student's 97.5 % quantiles t, the interval reaches ``sqrt(t(n-1)^2 * units + t(m-1)^2 * seeds)`` to both
sides. Of independent parts Banerjee (Sankhya 22, 1960) proved that such intervals miss the truth in at most 5 % of
studies, whichever part dominates. Ours are not quite independent: `benchmarks/verdicts.py` measures 5.2 % at worst.
Intervals with Welch's and Satterthwaite's degrees of freedom are shorter, but miss the truth in up to 13 % with two
seeds and 8 % with three.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from chairlib.core.errors import ParameterError
from chairlib.core.limits import CONFIDENCE, LEAST_SEEDS, POWER


@dataclass(frozen=True)
class Difference:
    """A mean difference, in the unit of what was given, and its 95 % interval over units and seeds."""

    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    """The difference of each seed alone. With a single one, the interval is over units only."""
    n_units: int
    smallest_found: float | None
    """The true difference that 80 % of studies like this one find; None for a single seed, which finds none."""

    def told(self, above: str, below: str) -> str:
        """The verdict: ``above`` or ``below`` where the interval leaves out 0, or why neither is said."""
        if len(self.by_seed) < LEAST_SEEDS:
            return "one seed"
        return "no clear difference" if self.low <= 0 <= self.high else above if self.mean > 0 else below


def difference(strata: Sequence[ArrayLike]) -> Difference | None:
    """The mean of ``strata``, each an array [units, seeds] of paired differences, such as one category of photos.

    Strata count the same. A column is of the same seed in all: one pretraining may serve them. None where one has fewer
    than two units. Raises ParameterError unless all have the same number of seeds, at least 1, and all are finite.
    """
    arrays = [np.asarray(stratum, np.float64) for stratum in strata]
    shapes, finite = [array.shape for array in arrays], all(np.isfinite(array).all() for array in arrays)
    if len({shape[1:] for shape in shapes}) != 1 or len(shapes[0]) != 2 or not shapes[0][1] or not finite:
        what = f"shapes {shapes}" if finite else "numbers that are not finite"
        raise ParameterError(f"differences have {what}; give finite arrays [units, seeds] with the same seeds.")
    if min(map(len, arrays)) < 2:
        return None
    by_seed = np.mean([array.mean(0) for array in arrays], axis=0)
    parts: list[tuple[ArrayLike, int]] = [(variance_parts(array)[0] / len(arrays) ** 2, len(array)) for array in arrays]
    found = None
    if len(by_seed) >= LEAST_SEEDS:
        parts.append((by_seed.var(ddof=1) / len(by_seed), len(by_seed)))
        found = smallest_found(parts)
    mean, half = float(by_seed.mean()), float(half_width(parts))
    return Difference(mean, mean - half, mean + half, tuple(map(float, by_seed)), sum(map(len, arrays)), found)


def variance_parts(differences: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The parts [...] of units and of seeds (0 for one seed) in the variance of the mean of [..., units, seeds]."""
    n, m = differences.shape[-2:]
    by_unit, by_seed = differences.mean(-1, keepdims=True), differences.mean(-2, keepdims=True)
    units = by_unit.var((-2, -1), ddof=1) / n
    if m == 1:
        return units, np.zeros_like(units)
    noise = ((differences - by_unit - by_seed + by_unit.mean(-2, keepdims=True)) ** 2).sum((-2, -1)) / (n - 1) / (m - 1)
    return np.maximum(units - noise / (n * m), 0), by_seed.var((-2, -1), ddof=1) / m


def half_width(parts: Sequence[tuple[ArrayLike, int]]) -> NDArray[np.float64]:
    """How far the interval of a mean reaches: parts of its variance, each with the number it was estimated from."""
    return np.sqrt(sum(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) ** 2 * np.asarray(part) for part, n in parts))


def smallest_found(parts: Sequence[tuple[ArrayLike, int]]) -> float:
    """The true difference whose interval lies above 0 in 80 % of studies with these parts, the last that of seeds.

    Few seeds estimate their part badly, so that it scatters from study to study, as chi-squared does; this is taken in.
    """
    *units, (seeds, n_seeds) = parts
    deviation = float(np.sqrt(sum(np.asarray(part) for part, _ in parts)))
    scatter = stats.chi2.ppf((np.arange(500) + 0.5) / 500, n_seeds - 1) / (n_seeds - 1)
    halves = half_width([*units, (np.asarray(seeds) * scatter, n_seeds)])

    def missing(true: float) -> float:
        return float(stats.norm.cdf((true - halves) / deviation).mean()) - POWER

    return optimize.brentq(missing, 0, halves.max() + 5 * deviation) if deviation > 1e-12 else 0.0
