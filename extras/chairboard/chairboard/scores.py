"""Scores and their intervals, computed from the pixel counts of test images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from chairlib.benchmark.comparison import ratio_units
from chairlib.benchmark.metrics import METRICS, none_if_nan, ratios
from chairlib.core.statistics import difference

#: A mean, and the ends of its interval, as a row names them.
ENDS = ("mean", "low", "high")


def score_counts(counts: Sequence[pd.DataFrame]) -> dict[str, dict[str, Any]]:
    """Each metric's ``mean`` over seeds, its 95 % interval (``low``, ``high``) and its values ``by_seed``, in per cent.

    ``counts``: a table for each seed, as :attr:`Row.counts`. The interval is over groups and seeds
    (:mod:`chairlib.core.statistics`); an image without a group is one by itself. None stands for what is undefined.
    """
    scores = {}
    for metric in METRICS:
        by_seed, units = group_units(counts, metric)
        found = difference([units]) if np.isfinite(units).all() else None
        ends = (max(found.low, 0.0), min(found.high, 100.0)) if found else (np.nan, np.nan)
        mean, low, high, *each = (none_if_nan(round(float(one), 4)) for one in (by_seed.mean(), *ends, *by_seed))
        scores[metric] = {"mean": mean, "low": low, "high": high, "by_seed": each}
    return scores


def group_units(counts: Sequence[pd.DataFrame], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """A metric of each seed [seeds], and what each group counts in it [groups, seeds], whose means these are: per cent.

    ``counts``: as for :func:`score_counts`. Groups are sorted by name. NaN where no image is scored.
    """
    above, below = zip(*(ratios(one)[metric] for one in counts), strict=True)
    return ratio_units(np.transpose(above), np.transpose(below), counts[0]["group"])


def flat_scores(scores: dict[str, Any]) -> np.ndarray:
    """What :func:`score_counts` gives as float64 [metrics, 3 + seeds], NaN where undefined."""
    each = [scores[metric] for metric in METRICS]
    return np.array([[*(one[end] for end in ENDS), *one["by_seed"]] for one in each], float)
