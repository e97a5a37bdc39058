"""What single chapters answer, in a few sentences: how much of the composites is chair, and what one run came to."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from chairlib.benchmark.comparison import units
from chairlib.benchmark.describe import mean_score, model_title, predicted_all, record_lines, scored_on
from chairlib.core.published import FOREGROUND_SHARE
from chairlib.core.runs import Record
from chairlib.core.statistics import difference

_SPLITS = {"train": "training", "val": "validation", "test": "test"}


def composites(counts: Mapping[str, int], shares: ArrayLike, groups: Sequence[str]) -> list[str]:
    """How many composites there are, and how much of them is chair: three sentences.

    ``counts``: composites by split. ``shares``: per cent of chair pixels of each test composite, [N], as
    :func:`chairlib.compositing.loader.foreground_shares` gives them; ``groups``: of their segments, over which the
    interval is taken, since all composites of a segment have the same mask.
    """
    values = np.asarray(shares, float)
    # Chairs have different numbers of composites: the interval must be that of the mean over composites.
    found = difference([units(pd.DataFrame({0: values}), pd.Series(list(groups)))])
    mean, interval = float(values.mean()), ""
    if found:
        mean, low, high = found.mean, max(found.low, 0.0), min(found.high, 100.0)
        interval = f"95 % interval over chairs {low:.1f} to {high:.1f}; "
    sizes = [f"{count:,} {_SPLITS.get(split, split)}" for split, count in counts.items()]
    return [
        f"There are {' and '.join([', '.join(sizes[:-1]), sizes[-1]])} composites, and no chair or room is in two "
        "splits.",
        f"Chairs cover {mean:.1f} % of the pixels of the test composites ({interval}the paper's: {FOREGROUND_SHARE} "
        "%).",
        f"So a mask that never says chair is right for {100 - mean:.1f} % of the pixels: counting right pixels "
        "alone says little about a model.",
    ]


def one_run(record: Record) -> list[str]:
    """What one run of the benchmark came to: its test IoU, what it was trained on, and a control; three sentences."""
    settings, content, test = record.settings, record.content, record.metrics["test"]
    iou, low, high = mean_score([record], "iou")
    title = content.get("title") or model_title(settings.model, settings.width)
    if math.isnan(iou):
        scored = f"{title} has no IoU: no test image has enough chair pixels."
    else:
        over = "chairs" if test["interval_units"] == "groups" else "images"
        interval = f"95 % interval over {over} {low:.1f} to {high:.1f}" if math.isfinite(low) else "no interval"
        scored = (
            f"{title} has a mean IoU of {iou:.1f} % ({interval}) on {scored_on(record)} at {settings.resolution} px."
        )
    if settings.weights is not None:
        spent = "It was trained elsewhere and is only scored here."
    else:
        spent = (
            f"It was trained once, on {content['images_seen']:,} images, in {content['seconds']:,.0f} s on "
            f"{content['hardware']}; another seed would score differently."
        )
    if what := predicted_all(record):
        return [scored, spent, f"But it calls every pixel {what}, so this is the score of a constant mask."]
    right, baseline = test["precision"], record.metrics.get("all_background_precision")
    control = f"It labels {right:.1f} % of the pixels correctly"
    if baseline is not None:
        control += (
            f"; a mask without chair is right for {baseline:.1f} % of them, but its IoU is 0 %. A mask that is all "
            f"chair has an IoU of about {100 - baseline:.0f} %"
        )
    return [scored, spent, f"{control}."]


def how_made(record: Record) -> list[str]:
    """A run's protocol, what it was scored on, and what it cost, each as a line of text."""
    protocol, scored, spent = record_lines(record)[-3:]
    return [f"{line[0].upper()}{line[1:]}." for line in (protocol, f"scored {scored}", spent)]
