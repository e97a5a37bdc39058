"""Scores of fine-tuned models photo by photo, and what one pretraining adds over another.

Both sides of a comparison score the same photos. So the difference is taken photo by photo, averaged over the seeds
that both sides have, and its interval resamples photos (a paired bootstrap). That interval says nothing about the luck
of training. So "helps" and "hurts" are said only where it leaves out zero *and* every one of at least two seeds falls
on the same side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from chairlib.benchmark.metrics import bootstrap_interval
from chairlib.benchmark.report import plural
from chairlib.core.runs import Record

__all__ = ["Gain", "mean_score", "paired_gain", "scores_by_photo"]

#: The sign of each verdict, for a narrow column.
MARKS = {"helps": "▲", "hurts": "▼", "no clear difference": "≈", "seeds disagree": "⇅", "one seed": "?"}
RESAMPLES = 2000


@dataclass(frozen=True)
class Gain:
    """What one pretraining adds to a metric over another, in points, over the photos and seeds that both have."""

    mean: float
    low: float
    high: float
    """The ends of the 95 % interval over photos, for the seeds that were trained."""
    by_seed: tuple[float, ...]
    """The gain of each seed alone, in order of the seeds."""
    n_images: int
    with_seeds: tuple[float, float]
    """The ends of the 95 % interval that resamples seeds as well as photos. It is too narrow for two or three seeds."""

    @property
    def verdict(self) -> str:
        """``helps`` or ``hurts``; ``no clear difference`` where the interval over photos holds zero.

        Where the interval leaves out zero, the gain may still be luck of training: ``seeds disagree`` about its sign,
        or there is only ``one seed``.
        """
        if self.low <= 0 <= self.high:
            return "no clear difference"
        if len(self.by_seed) == 1:
            return "one seed"
        if min(self.by_seed) <= 0 <= max(self.by_seed):
            return "seeds disagree"
        return "helps" if self.mean > 0 else "hurts"

    @property
    def mark(self) -> str:
        """The gain, its interval, the sign of its verdict, and the number of seeds."""
        return f"{self._with_interval} {MARKS[self.verdict]} {plural(len(self.by_seed), 'seed')}"

    @property
    def _with_interval(self) -> str:
        return f"{self.mean:+.1f} ({self.low:+.1f} to {self.high:+.1f})"

    def __str__(self) -> str:
        seeds = "" if self.verdict == "one seed" else f", {plural(len(self.by_seed), 'seed')}"
        return f"{self._with_interval}, {self.verdict}{seeds}"


def scores_by_photo(records: Sequence[Record], metric: str) -> pd.DataFrame:
    """A metric in per cent: a row for each photo (by fold and id), a column for each seed.

    Photos where the metric is undefined are left out.
    """
    tables = []
    for record in records:
        table, settings = record.table("test_images"), record.settings
        photo = f"{settings.fold}/" + table["id"].astype(str)
        tables.append(pd.DataFrame({"photo": photo, "seed": settings.seed, "score": table[metric]}))
    return pd.concat(tables).pivot_table(index="photo", columns="seed", values="score")


def mean_score(records: Sequence[Record], metric: str) -> tuple[float, float, float] | None:
    """(mean, low, high) of a metric over seeds and photos, in per cent, with a 95 % interval over photos.

    The ends are NaN for a single photo. None without records, and where the metric is undefined on all photos.
    """
    if not records:
        return None
    scores = scores_by_photo(records, metric).mean(axis=1).to_numpy()
    return (float(scores.mean()), *bootstrap_interval(scores, n_resamples=RESAMPLES)) if len(scores) else None


def paired_gain(against: Sequence[Record], tuned: Sequence[Record], metric: str = "iou") -> Gain | None:
    """How much better ``tuned`` is than ``against`` on the photos and seeds that both have.

    None where they share no seed, or fewer than two photos.
    """
    if not against or not tuned:
        return None
    one, other = scores_by_photo(against, metric), scores_by_photo(tuned, metric)
    shared = one.columns.intersection(other.columns)
    gains = (other[shared] - one[shared]).dropna().to_numpy()
    if not len(shared) or len(gains) < 2:
        return None
    low, high = bootstrap_interval(gains.mean(axis=1), n_resamples=RESAMPLES)
    with_seeds = _interval_with_seeds(gains) if len(shared) > 1 else (low, high)
    by_seed = tuple(map(float, gains.mean(axis=0)))
    return Gain(float(gains.mean()), low, high, by_seed, len(gains), with_seeds)


def _interval_with_seeds(gains: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean of ``gains`` [photos, seeds], with photos and seeds resampled."""

    def mean_gain(photos: np.ndarray, seeds: np.ndarray, axis: int) -> np.ndarray:
        return gains[photos[..., :, None], seeds[..., None, :]].mean(axis=(-2, -1))

    result = stats.bootstrap(
        tuple(map(np.arange, gains.shape)),
        mean_gain,
        vectorized=True,
        method="percentile",
        n_resamples=RESAMPLES,
        batch=200,
        rng=0,
    )
    low, high = result.confidence_interval
    return float(low), float(high)
