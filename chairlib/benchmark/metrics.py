"""Scores of predicted masks: IoU, Dice, precision and pooled IoU, with bootstrap intervals (the paper's section 5).

Definitions, all in per cent, a pixel being predicted as chair where its probability is above 0.5:

IoU, Dice
    Per image, over the images with more than 5 chair pixels in the target, averaged over images. The others are counted
    as left out: an IoU over a handful of pixels is noise, and over none it is undefined.
precision
    The paper's word for pixel accuracy: the share of all pixels of all images that are classified correctly.
pooled IoU
    Intersection over union of all pixels of all images taken together.

Every score is computed from integer counts per image, so no figure depends on how the images were batched.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

from chairlib.core.errors import ParameterError

__all__ = [
    "METRICS",
    "MIN_CHAIR_PIXELS",
    "THRESHOLD",
    "MaskScorer",
    "Scores",
    "bootstrap_interval",
    "none_if_nan",
    "score_masks",
]

#: Names of the scores, and of what :meth:`Scores.interval` takes.
METRICS = ("iou", "dice", "precision", "pooled_iou")
#: A pixel is predicted as chair where its probability is above this.
THRESHOLD = 0.5
#: IoU and Dice are defined on images with at least this many chair pixels ("more than 5" in the authors' code).
MIN_CHAIR_PIXELS = 6

_COUNTS = ("intersection", "predicted", "target", "pixels")
_TITLES = {"iou": "IoU", "dice": "Dice", "precision": "precision", "pooled_iou": "pooled IoU"}
#: Entries of all resamples that a bootstrap holds at one time: 16 MB for each array.
_RESAMPLED_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Scores:
    """The scores of a set of images. Percentages are floats in [0, 100], nan where undefined.

    `iou` and `dice` are means over the `n_images - n_left_out` images with more than 5 chair pixels; `precision` and
    `pooled_iou` count every pixel of all `n_images` images.

    `per_image` has a row per image, in the order given: iou, dice (nan where left out), precision, group (None where no
    groups were given). `counts` has the integers behind it: intersection, predicted, target, pixels.
    """

    iou: float
    dice: float
    precision: float
    pooled_iou: float
    n_images: int
    n_left_out: int
    per_image: pd.DataFrame = field(repr=False, compare=False)
    counts: pd.DataFrame = field(repr=False, compare=False)

    @property
    def has_groups(self) -> bool:
        """Whether intervals resample groups (True) or images (False)."""
        return bool(self.per_image["group"].notna().any())

    @property
    def n_groups(self) -> int:
        """How many units a bootstrap resample draws from: groups, or images where no groups were given."""
        return int(self.per_image["group"].nunique()) if self.has_groups else self.n_images

    def interval(self, metric: str, level: float = 0.95, n_resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
        """Percentile bootstrap interval of a metric, in per cent: `(low, high)`. See :func:`bootstrap_interval`.

        Groups are resampled, or images where no groups were given. Raises ParameterError for an unknown metric.
        """
        if metric not in METRICS:
            raise ParameterError(f"unknown metric {metric!r}: choose one of {', '.join(METRICS)}.")
        numerator, denominator = _ratio_parts(self.counts, self.per_image, metric)
        groups = self.per_image["group"] if self.has_groups else None
        return bootstrap_interval(
            numerator, denominator, groups=groups, level=level, n_resamples=n_resamples, seed=seed
        )

    def to_dict(self, level: float = 0.95, n_resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
        """Scores and intervals for a record: plain numbers, lists and strings, with None for what is undefined."""
        intervals = {metric: self.interval(metric, level, n_resamples, seed) for metric in METRICS}
        return {
            **{metric: none_if_nan(getattr(self, metric)) for metric in METRICS},
            "n_images": self.n_images,
            "n_left_out": self.n_left_out,
            "intervals": {metric: [none_if_nan(end) for end in ends] for metric, ends in intervals.items()},
            "interval_level": level,
            "interval_resamples": n_resamples,
            "interval_units": "groups" if self.has_groups else "images",
            "n_groups": self.n_groups,
        }

    def _repr_html_(self) -> str:
        """For a notebook: every score with its 95 % interval, its definition, and what was left out."""
        header = "".join(f"<th>{name}</th>" for name in ("score", "per cent", "95 % interval", "definition"))
        rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self._rows()]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self._notes())
        return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>{notes}"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        n_scored = self.n_images - self.n_left_out
        per_image = f"mean over the {n_scored} images with more than {MIN_CHAIR_PIXELS - 1} chair pixels"
        meanings = {
            "iou": per_image,
            "dice": per_image,
            "precision": "pixels classified correctly, of all pixels of all images",
            "pooled_iou": "of all pixels of all images taken together",
        }
        return [
            (_TITLES[metric], _percent(getattr(self, metric)), _span(self.interval(metric)), meanings[metric])
            for metric in METRICS
        ]

    def _notes(self) -> list[str]:
        units = f"{self.n_groups} segment groups" if self.has_groups else f"{self.n_images} images"
        return [
            f"A pixel is predicted as chair where its probability is above {THRESHOLD}.",
            f"{self.n_left_out} of {self.n_images} images have at most {MIN_CHAIR_PIXELS - 1} chair pixels: "
            "IoU and Dice leave them out, precision and pooled IoU count them.",
            f"Intervals: percentile bootstrap over {units}, 1000 resamples. No figure depends on the batch size.",
        ]


class MaskScorer:
    """Collects counts batch by batch, on the batches' device and without waiting for it; scores them at the end.

    >>> scorer = MaskScorer()
    >>> for images, masks in loader:  # doctest: +SKIP
    ...     scorer.update(model(images) > 0, masks)
    >>> scores = scorer.compute(loader.groups)  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._counts: list[Tensor] = []
        self._values: list[_Values] = []

    @torch.no_grad()
    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Count one batch.

        predicted: bool, or probabilities in [0, 1], [N, 1, H, W]. target: bool, or 0 and 1 in any dtype, same shape and
        device. Raises ParameterError for wrong shapes. Wrong values raise it in :meth:`compute`, because the device
        would have to wait in every batch to look at them.
        """
        _check_pair(predicted, target)
        if predicted.numel() == 0:
            return
        masks = {"predicted": predicted, "target": target}
        found = ", ".join(f"{name}: {_dtype(mask)} {list(mask.shape)}" for name, mask in masks.items())
        for pair in zip(_pieces(predicted), _pieces(target), strict=True):
            self._counts.append(_count(*pair))
            self._values.append(_Values.of(*pair, found))

    def compute(self, groups: Sequence[str] | None = None) -> Scores:
        """Score everything counted so far.

        groups: the segment group of each image, in the order of the updates; None where images are independent.

        Raises ParameterError where masks have other values than :meth:`update` takes, where there are no images, and
        where there is not one group for each image.
        """
        if not self._counts:
            raise ParameterError("no images were scored: pass at least one batch of masks before computing the scores.")
        for values in self._values:
            values.check()
        counts = torch.cat(self._counts).cpu().numpy().astype(np.int64)
        if groups is not None:
            _check_groups(groups, len(counts))
        return _scores(pd.DataFrame(counts, columns=list(_COUNTS)), groups)


def score_masks(predicted: Tensor, target: Tensor, groups: Sequence[str] | None = None) -> Scores:
    """Score predicted masks against true ones.

    predicted: bool, or probabilities in [0, 1], [N, 1, H, W] (of logits, pass `logits > 0`). target: bool, or 0 and 1
    in any dtype, same shape and device. groups: the segment group of each image; intervals then resample groups.

    Raises ParameterError, naming dtype, shape and values found, where the tensors are anything else (0/255, logits,
    soft masks, a missing channel dimension).
    """
    scorer = MaskScorer()
    scorer.update(predicted, target)
    return scorer.compute(groups)


def bootstrap_interval(
    numerator: ArrayLike,
    denominator: ArrayLike | None = None,
    *,
    groups: Sequence[object] | pd.Series | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval `(low, high)` of `numerator.sum() / denominator.sum()`, in the unit of that ratio.

    numerator: float [N], one number per image. denominator: float [N], at least 0; 1 for every image by default, which
    gives the interval of a mean. For the difference of two models, pass the differences of their scores on the same
    images: that is a paired bootstrap. groups: the group of each image, if images of one group are not independent.

    Whole groups are drawn with replacement (images where `groups` is None). Every drawn group brings all its images, so
    a group has the same weight as in the ratio itself. Groups whose denominator is 0 are not drawn. Both ends are nan
    where fewer than two groups are left. Raises ParameterError for a level outside (0, 1) or fewer than 1 resample.
    """
    _check_interval(level, n_resamples)
    above = np.asarray(numerator, np.float64)
    below = np.ones_like(above) if denominator is None else np.asarray(denominator, np.float64)
    if groups is not None:
        codes, _ = pd.factorize(pd.Series(groups))
        above, below = (np.bincount(codes, part).astype(np.float64) for part in (above, below))
    defined = below > 0
    above, below = above[defined], below[defined]
    if len(above) < 2:
        return math.nan, math.nan
    result = stats.bootstrap(
        (above, below),
        lambda above, below, axis: above.sum(axis) / below.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=level,
        n_resamples=n_resamples,
        batch=max(1, _RESAMPLED_AT_ONCE // len(above)),
        rng=seed,
    )
    low, high = result.confidence_interval
    return float(low), float(high)


@dataclass(frozen=True)
class _Values:
    """The range of some masks' values, left on the device until :meth:`check` looks at it."""

    predicted: Tensor | None
    target: Tensor | None
    found: str

    @classmethod
    def of(cls, predicted: Tensor, target: Tensor, found: str) -> _Values:
        predicted_span = target_span = None
        if predicted.dtype != torch.bool:
            predicted_span = torch.stack(predicted.aminmax()).float()
        if target.dtype != torch.bool:
            is_soft = target.frac().any() if target.is_floating_point() else target.new_zeros(())
            target_span = torch.stack([*target.aminmax(), is_soft]).float()
        return cls(predicted_span, target_span, found)

    def check(self) -> None:
        if self.predicted is not None:
            low, high = self.predicted.tolist()
            if not (low >= 0 and high <= 1):
                raise ParameterError(
                    f"predicted masks must be bool or probabilities in [0, 1]; found values from {low:g} to {high:g} "
                    f"({self.found}). {_mend_predicted(low, high)}"
                )
        if self.target is not None:
            low, high, is_soft = self.target.tolist()
            if is_soft or not (low >= 0 and high <= 1):
                raise ParameterError(
                    f"target masks must be bool or hold only 0 and 1; found values from {low:g} to {high:g} "
                    f"({self.found}). {_mend_target(low, high)}"
                )


def _pieces(masks: Tensor) -> tuple[Tensor, ...]:
    """On a CPU, parts of a batch small enough that intermediate results stay in its cache."""
    return masks.split(max(1, 2**17 // masks[0].numel())) if masks.device.type == "cpu" else (masks,)


def _count(predicted: Tensor, target: Tensor) -> Tensor:
    """Integers [N, 4] on the masks' device, in the order of `_COUNTS`."""
    flat_predicted, flat_target = _as_mask(predicted).flatten(1), _as_mask(target).flatten(1)
    columns = (flat_predicted & flat_target, flat_predicted, flat_target)
    # Bytes add up three times as fast as booleans do.
    counts = [column.view(torch.uint8).sum(1, dtype=torch.int32) for column in columns]
    return torch.stack([*counts, torch.full_like(counts[0], flat_target.shape[1])], 1)


def _as_mask(masks: Tensor) -> Tensor:
    return masks if masks.dtype == torch.bool else masks > THRESHOLD


def _mend_predicted(low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return "Not-a-number came out of the model: has training diverged?"
    if low >= 0 and high == 255:
        return "Divide 0/255 masks by 255."
    return "Logits need a threshold or a sigmoid first: pass `logits > 0` or `logits.sigmoid()`."


def _mend_target(low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return "Remove the not-a-numbers first."
    if low >= 0 and high == 255:
        return "Turn 0/255 masks into 0/1: pass `target > 127`."
    if low >= 0 and high <= 1:
        return "A soft mask needs a threshold first: pass `target > 0.4` (the data set's own rule)."
    return "Labels of several classes need one class picked first: pass `target == chair_label`."


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _check_pair(predicted: Tensor, target: Tensor) -> None:
    for name, tensor in (("predicted", predicted), ("target", target)):
        if not isinstance(tensor, Tensor):
            raise ParameterError(
                f"{name} masks must be a torch tensor, found {type(tensor).__name__}: use torch.as_tensor."
            )
        if tensor.is_complex():
            raise ParameterError(f"{name} masks must be real, found {_dtype(tensor)}.")
        if tensor.ndim != 4 or tensor.shape[1] != 1:
            raise ParameterError(
                f"{name} masks must have shape [N, 1, H, W], found {_dtype(tensor)} {list(tensor.shape)}. "
                f"{_mend_shape(tensor)}"
            )
    if predicted.shape != target.shape:
        raise ParameterError(
            f"predicted and target masks must have the same shape, found {list(predicted.shape)} and "
            f"{list(target.shape)}: score at the target's resolution."
        )
    if predicted.device != target.device:
        raise ParameterError(
            f"predicted masks are on {predicted.device}, target masks on {target.device}: move one of them."
        )


def _mend_shape(tensor: Tensor) -> str:
    if tensor.ndim == 3:
        return "Add the channel dimension with `.unsqueeze(1)`."
    if tensor.ndim == 4 and tensor.shape[-1] == 1:
        return "Move the channels to the front with `.permute(0, 3, 1, 2)`."
    if tensor.ndim == 4:
        return f"Pick one of the {tensor.shape[1]} channels, for instance with `[:, :1]`."
    return "Give a batch of masks with one channel each."


def _scores(counts: pd.DataFrame, groups: Sequence[str] | None) -> Scores:
    per_image = _score_images(counts)
    per_image["group"] = pd.Series([None] * len(counts) if groups is None else list(groups), dtype=object)
    scored = counts["target"] >= MIN_CHAIR_PIXELS
    means = {metric: _mean_ratio(*_ratio_parts(counts, per_image, metric)) for metric in METRICS}
    return Scores(**means, n_images=len(counts), n_left_out=int((~scored).sum()), per_image=per_image, counts=counts)


def _score_images(counts: pd.DataFrame) -> pd.DataFrame:
    both, predicted, target, pixels = (counts[name] for name in _COUNTS)
    scored = target >= MIN_CHAIR_PIXELS
    union = predicted + target - both
    return pd.DataFrame(
        {
            "iou": (100 * both / union).where(scored),
            "dice": (200 * both / (predicted + target)).where(scored),
            "precision": 100 * (pixels - (union - both)) / pixels,
        }
    )


def _ratio_parts(
    counts: pd.DataFrame, per_image: pd.DataFrame, metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerator and denominator of a metric for each image; the metric is the ratio of their sums over images."""
    both, predicted, target, pixels = (counts[name].to_numpy(np.float64) for name in _COUNTS)
    union = predicted + target - both
    if metric == "precision":
        return 100 * (pixels - (union - both)), pixels
    if metric == "pooled_iou":
        return 100 * both, union
    scores = per_image[metric].to_numpy(np.float64)
    scored = target >= MIN_CHAIR_PIXELS
    return np.where(scored, scores, 0.0), scored.astype(np.float64)


def _mean_ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> float:
    total = denominator.sum()
    return float(numerator.sum() / total) if total > 0 else math.nan


def _check_groups(groups: Sequence[str], n_images: int) -> None:
    if len(groups) != n_images:
        raise ParameterError(f"{len(groups)} groups for {n_images} images: give one group per image, in order.")
    for number, group in enumerate(groups):
        if group is None or group != group:  # a NaN, where the groups come from a table
            raise ParameterError(
                f"image {number} has the group {group!r}: give every image a group, or groups=None where images are "
                "independent."
            )


def _check_interval(level: float, n_resamples: int) -> None:
    if not 0 < level < 1:
        raise ParameterError(f"the level of an interval lies between 0 and 1, for instance 0.95; found {level!r}.")
    if n_resamples < 1:
        raise ParameterError(f"an interval needs at least 1 resample, found {n_resamples!r}.")


def none_if_nan(value: float) -> float | None:
    """A score as a record holds it: JSON has no NaN, so None stands for what is undefined."""
    return None if math.isnan(value) else float(value)


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _span(ends: tuple[float, float]) -> str:
    return "–" if math.isnan(ends[0]) else f"[{ends[0]:.2f}, {ends[1]:.2f}]"
