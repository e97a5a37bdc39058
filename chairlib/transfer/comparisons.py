"""Scores of fine-tuned models photo by photo, and what one pretraining adds over another.

Both sides of a comparison score the same photos. So the difference is taken photo by photo and seed by seed, over the
seeds that both sides have. Its interval covers the luck of photos and that of training
(:mod:`chairlib.core.statistics`), so that "helps" or "hurts" is said of two equal sides in about 5 % of studies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from chairlib.benchmark.describe import plural
from chairlib.benchmark.metrics import bootstrap_interval
from chairlib.core.runs import Record
from chairlib.core.statistics import Difference, difference

#: The sign of each verdict, for a narrow column.
MARKS = {"helps": "▲", "hurts": "▼", "no clear difference": "≈", "one seed": "?"}
RESAMPLES = 2000


@dataclass(frozen=True)
class Gain(Difference):
    """What one pretraining adds to a metric over another, in points, over the photos and seeds that both have."""

    @property
    def verdict(self) -> str:
        """``helps``, ``hurts``, ``no clear difference`` where the interval holds zero, or ``one seed``."""
        return self.told("helps", "hurts")

    @property
    def mark(self) -> str:
        """The gain, its interval, and the sign of its verdict."""
        return f"{self._with_interval} {MARKS[self.verdict]}"

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
    """(mean, low, high) of a metric in per cent: a 95 % interval over photos, and over seeds where there are several.

    The ends are NaN for a single photo. None without records, and where the metric is undefined on all photos.
    """
    if not records:
        return None
    scores = scores_by_photo(records, metric).dropna().to_numpy()
    if not len(scores):
        return None
    found = difference([scores]) if scores.shape[1] > 1 else None
    if found is None:
        return float(scores.mean()), *bootstrap_interval(scores.mean(axis=1), n_resamples=RESAMPLES)
    return found.mean, max(found.low, 0.0), min(found.high, 100.0)


def paired_gain(against: Sequence[Record], tuned: Sequence[Record], metric: str = "iou") -> Gain | None:
    """How much better ``tuned`` is than ``against`` on the photos and seeds that both have.

    None where they share no seed, or fewer than two photos.
    """
    return pooled_gain([(against, tuned)], metric)


def pooled_gain(pairs: Sequence[tuple[Sequence[Record], Sequence[Record]]], metric: str = "iou") -> Gain | None:
    """The mean gain over several categories, each a pair (against, tuned), that count the same.

    A seed's pretraining serves all of them, so the luck of seeds is that of each seed's mean over the categories. None
    where a category has no runs on one side, where they share no seed, or where one has fewer than two photos.
    """
    if not pairs or not all(against and tuned for against, tuned in pairs):
        return None
    gains = [scores_by_photo(tuned, metric) - scores_by_photo(against, metric) for against, tuned in pairs]
    shared = [seed for seed in gains[0] if all(seed in table and table[seed].notna().any() for table in gains)]
    found = difference([table[shared].dropna().to_numpy() for table in gains]) if shared else None
    return Gain(**vars(found)) if found else None
