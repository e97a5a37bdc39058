"""Validation curves of fine-tuning, and how many images a run needs until it is as good as training from scratch."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from chairlib.core.runs import Record


def curves_by_seed(records: Sequence[Record]) -> dict[int, pd.DataFrame]:
    """A curve (images, val_iou) for each seed. Folds of a seed are averaged: their spread is not that of seeds."""
    folds: dict[int, list[pd.DataFrame]] = {}
    for record in records:
        history = record.history()
        if history["val_iou"].notna().any():  # else none of its validation photos holds the object
            folds.setdefault(record.settings.seed, []).append(history)
    curves = {}
    for seed, histories in folds.items():
        start = max(history["images"].iloc[0] for history in histories)
        every = sorted({images for history in histories for images in history["images"] if images >= start})
        # One that stopped early keeps its last value, as in Figure 6.
        values = [np.interp(every, history["images"], history["val_iou"]) for history in histories]
        curves[seed] = pd.DataFrame({"images": every, "val_iou": np.mean(values, axis=0)})
    return curves


def images_until(curve: pd.DataFrame, goal: float) -> float:
    """Images until a curve reaches the goal and does not fall below it again; infinity where it ends below."""
    below = np.flatnonzero(~(curve["val_iou"] >= goal))
    first = below[-1] + 1 if len(below) else 0
    return float(curve["images"].iloc[first]) if first < len(curve) else np.inf


def count_validation_photos(records: Sequence[Record]) -> int:
    """How many validation photos with the object the curve with the fewest rests on, over all folds of its seed."""
    counts: Counter[tuple[str, int]] = Counter()
    for record in records:
        val = record.metrics["val"]
        counts[record.settings.pretraining, record.settings.seed] += val["n_images"] - val["n_left_out"]
    return min(counts.values(), default=0)
