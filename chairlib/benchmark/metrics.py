"""Scores of predicted masks: IoU, Dice, precision and pooled IoU, with bootstrap intervals (the paper's section 5).

Definitions, all in per cent, a pixel being predicted as chair where its probability is above 0.5:

IoU, Dice
    Per image, averaged over the images with more than 5 chair pixels in the target: over a handful of pixels an IoU is
    noise, and over none it is undefined. The others are counted as left out.
precision
    The paper's word for pixel accuracy: the share of all pixels of all images that are classified correctly.
pooled IoU
    Intersection over union of all pixels of all images taken together.

Every score is computed from integer counts per image, so no figure depends on how the images were batched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

from chairlib.collection.groups import group_labels
from chairlib.core.checks import check_count
from chairlib.core.errors import ParameterError

#: Names of the scores, and of what :meth:`Scores.interval` takes.
METRICS = ("iou", "dice", "precision", "pooled_iou")
#: A pixel is predicted as chair where its probability is above this.
THRESHOLD = 0.5
#: IoU and Dice are defined on images with at least this many chair pixels ("more than 5" in the authors' code).
MIN_CHAIR_PIXELS = 6

_COUNTS = ("intersection", "predicted", "target", "pixels")
#: Types of masks that torch computes with. Double stays double: 0.5 + 1e-12 is above the threshold.
_COMPUTABLE = {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
_COMPUTABLE |= {torch.bfloat16, torch.float16, torch.float32, torch.float64}
#: Entries of all resamples that a bootstrap holds at one time: 16 MB for each array.
_RESAMPLED_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Scores:
    """The scores of a set of images. Percentages are floats in [0, 100], nan where undefined.

    `predicted_all` is "chair" or "background" where every pixel of every image was predicted as that, None as a rule.
    `per_image` has a row per image, in the order given: iou, dice (nan where left out), precision, group (None where no
    groups were given). `counts` has the integers behind it: intersection, predicted, target, pixels.
    """

    iou: float
    dice: float
    precision: float
    pooled_iou: float
    n_images: int
    n_left_out: int
    predicted_all: str | None
    per_image: pd.DataFrame = field(repr=False, compare=False)
    counts: pd.DataFrame = field(repr=False, compare=False)

    @property
    def has_groups(self) -> bool:
        """Whether intervals resample groups (True) or images (False)."""
        return bool(self.per_image["group"].notna().any())

    @property
    def n_groups(self) -> int:
        """How many groups a bootstrap resample draws, or how many images where no groups were given."""
        return int(self.per_image["group"].nunique()) if self.has_groups else self.n_images

    def interval(self, metric: str, level: float = 0.95, n_resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
        """Percentile bootstrap interval of a metric over groups, or images where there are none: `(low, high)` in %.

        See :func:`bootstrap_interval`. Raises ParameterError for an unknown metric.
        """
        if metric not in METRICS:
            raise ParameterError(f"unknown metric {metric!r}: choose one of {', '.join(METRICS)}.")
        groups = self.per_image["group"] if self.has_groups else None
        ratio = ratios(self.counts)[metric]
        return bootstrap_interval(*ratio, groups=groups, level=level, n_resamples=n_resamples, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """Scores and 95 % intervals for a record: numbers, lists and strings, with None for what is undefined."""
        intervals = {metric: self.interval(metric) for metric in METRICS}
        return {
            **{metric: none_if_nan(getattr(self, metric)) for metric in METRICS},
            "n_images": self.n_images,
            "n_left_out": self.n_left_out,
            "predicted_all": self.predicted_all,
            "intervals": {metric: [none_if_nan(end) for end in ends] for metric, ends in intervals.items()},
            "interval_level": 0.95,
            "interval_resamples": 1000,
            "interval_units": "groups" if self.has_groups else "images",
            "n_groups": self.n_groups,
        }

    def _repr_html_(self) -> str:
        """For a notebook: every score with its 95 % interval, its definition, and what was left out."""
        few = f"{MIN_CHAIR_PIXELS - 1} chair pixels"
        per_image = f"mean over the {self.n_images - self.n_left_out} images with more than {few}"
        meanings = {
            "IoU": per_image,
            "Dice": per_image,
            "precision": "pixels classified correctly, of all pixels of all images",
            "pooled IoU": "of all pixels of all images taken together",
        }
        rows = []
        for metric, (title, meaning) in zip(METRICS, meanings.items(), strict=True):
            value, (low, high) = getattr(self, metric), self.interval(metric)
            interval = "–" if math.isnan(low) else f"[{low:.2f}, {high:.2f}]"
            rows.append((title, "–" if math.isnan(value) else f"{value:.2f}", interval, meaning))
        table = pd.DataFrame(rows, columns=["score", "per cent", "95 % interval", "definition"])
        units = f"{self.n_groups} segment groups" if self.has_groups else f"{self.n_images} images"
        notes = (
            f"A pixel is predicted as chair where its probability is above {THRESHOLD}.",
            f"{self.n_left_out} of {self.n_images} images have at most {few}: "
            "IoU and Dice leave them out, precision and pooled IoU count them.",
            f"Intervals: percentile bootstrap over {units}, 1000 resamples. No figure depends on the batch size.",
            *([one_class_note(self.predicted_all)] if self.predicted_all else []),
        )
        return table.to_html(index=False, border=0) + "".join(f"<p>{note}</p>" for note in notes)


class MaskScorer:
    """Collects counts batch by batch, on the batches' device and without waiting for it; scores them at the end."""

    def __init__(self) -> None:
        self._counts: list[Tensor] = []
        # Smallest and greatest value of masks that are not bool, and for targets whether one lies between 0 and 1.
        self._spans: list[tuple[str, Tensor, str]] = []

    @torch.no_grad()
    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Count one batch.

        The masks are those of :func:`score_masks`. Raises ParameterError for wrong shapes. Wrong values raise it in
        :meth:`compute`, because the device would have to wait in every batch to look at them.
        """
        _check_pair(predicted, target)
        if predicted.numel() == 0:
            return
        masks = {"predicted": predicted, "target": target}
        found = ", ".join(f"{name}: {_describe(mask)}" for name, mask in masks.items())
        predicted, target = (_computable(name, mask) for name, mask in masks.items())
        # On a CPU in pieces so small that intermediate results stay in its cache.
        size = max(1, 2**17 // target[0].numel()) if target.device.type == "cpu" else len(target)
        for pair in zip(predicted.split(size), target.split(size), strict=True):
            self._counts.append(_count(*pair))
            for name, mask in zip(masks, pair, strict=True):
                if mask.dtype != torch.bool:
                    may_be_soft = name == "target" and mask.is_floating_point()
                    is_soft = mask.frac().any() if may_be_soft else mask.new_zeros(())
                    self._spans.append((name, torch.stack([*mask.aminmax(), is_soft]).float(), found))

    def compute(self, groups: Iterable[Any] | None = None) -> Scores:
        """Score everything counted so far.

        groups: the segment group of each image, in the order of the updates; None where images are independent.
        Raises ParameterError for masks of other values, for no images, and unless there is one group for each image
        (see :func:`chairlib.collection.groups.group_labels`).
        """
        if not self._counts:
            raise ParameterError("no images were scored: pass at least one batch of masks before computing the scores.")
        for span in self._spans:
            _check_span(*span)
        counts = pd.DataFrame(torch.cat(self._counts).cpu().numpy().astype(np.int64), columns=list(_COUNTS))
        labels = [None] * len(counts) if groups is None else group_labels(groups, len(counts))
        parts = ratios(counts)
        with np.errstate(invalid="ignore"):  # 0 / 0 where an image is left out
            per_image = pd.DataFrame({name: np.divide(*parts[name]) for name in ("iou", "dice", "precision")})
            means = {name: float(above.sum() / below.sum()) for name, (above, below) in parts.items()}
        per_image["group"] = pd.Series(labels, dtype=object)
        return Scores(
            **means,
            n_images=len(counts),
            n_left_out=int((counts["target"] < MIN_CHAIR_PIXELS).sum()),
            predicted_all={0: "background", counts["pixels"].sum(): "chair"}.get(counts["predicted"].sum()),
            per_image=per_image,
            counts=counts,
        )


def score_masks(predicted: Tensor, target: Tensor, groups: Iterable[Any] | None = None) -> Scores:
    """Score predicted masks against true ones.

    predicted: bool, or probabilities in [0, 1], [N, 1, H, W] (of logits, pass `logits > 0`). target: bool, or 0 and 1
    in any real dtype, same shape and device. groups: the segment group of each image, as a list, array, tensor or
    column (:func:`chairlib.collection.groups.group_labels`); intervals then resample groups.
    Raises ParameterError, naming dtype, shape and values, for anything else (0/255, logits, soft masks, no channel).
    """
    scorer = MaskScorer()
    scorer.update(predicted, target)
    return scorer.compute(groups)


def bootstrap_interval(
    numerator: ArrayLike,
    denominator: ArrayLike | None = None,
    *,
    groups: Iterable[Any] | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval `(low, high)` of `numerator.sum() / denominator.sum()`, in the unit of that ratio.

    numerator: float [N], one number per image. denominator: float [N], at least 0; 1 for every image by default, which
    gives the interval of a mean. For the difference of two models, pass the differences of their scores on the same
    images: that is a paired bootstrap. groups: the group of each image, if images of one group are not independent, as
    :func:`chairlib.collection.groups.group_labels` takes them.

    Whole groups are drawn with replacement (images where `groups` is None), each with all its images; those whose
    denominator is 0 are not drawn. Both ends are nan where fewer than two are left. Raises ParameterError for a level
    outside (0, 1), for fewer than 1 resample, and unless there is one number, and one group, for each image.
    """
    if not 0 < level < 1:
        raise ParameterError(f"the level of an interval lies between 0 and 1, for instance 0.95; found {level!r}.")
    check_count("n_resamples", n_resamples)
    above = np.asarray(numerator, np.float64)
    below = np.ones_like(above) if denominator is None else np.asarray(denominator, np.float64)
    if above.ndim != 1 or above.shape != below.shape:
        raise ParameterError(
            f"numerator and denominator hold one number per image, found the shapes {list(above.shape)} and "
            f"{list(below.shape)}: give both as [N]."
        )
    if groups is not None:
        codes, _ = pd.factorize(pd.Series(group_labels(groups, len(above)), dtype=object))
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


def _computable(name: str, mask: Tensor) -> Tensor:
    """A mask in a type that torch compares and adds: of float8 and uint16 to uint64 it only converts the values."""
    if mask.dtype in _COMPUTABLE and mask.layout == torch.strided:
        return mask
    try:
        return mask.to_dense().float()  # exact for 0 and 1, and never across 0.5 or 1
    except RuntimeError as error:
        raise ParameterError(
            f"{name} masks are {_describe(mask)}, which torch cannot read here: give them as bool or float32."
        ) from error


def _check_span(name: str, span: Tensor, found: str) -> None:
    low, high, is_soft = span.tolist()
    is_target = name == "target"
    if low >= 0 and high <= 1 and not (is_target and is_soft):
        return
    wanted = "hold only 0 and 1" if is_target else "probabilities in [0, 1]"
    raise ParameterError(
        f"{name} masks must be bool or {wanted}; found values from {low:g} to {high:g} ({found}). "
        f"{_mend_values(is_target, low, high)}"
    )


def _count(predicted: Tensor, target: Tensor) -> Tensor:
    """Integers [N, 4] on the masks' device, in the order of `_COUNTS`."""
    chair_predicted, chair = (
        (mask if mask.dtype == torch.bool else mask > THRESHOLD).flatten(1) for mask in (predicted, target)
    )
    # Bytes add up three times as fast as booleans do.
    columns = (chair_predicted & chair, chair_predicted, chair)
    counts = [column.view(torch.uint8).sum(1, dtype=torch.int32) for column in columns]
    return torch.stack([*counts, torch.full_like(counts[0], chair.shape[1])], 1)


def _mend_values(is_target: bool, low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        diverged = "Not-a-number came out of the model: has training diverged?"
        return "Remove the not-a-numbers first." if is_target else diverged
    if low >= 0 and high == 255:
        return "Turn 0/255 masks into 0/1: pass `target > 127`." if is_target else "Divide 0/255 masks by 255."
    if not is_target:
        return "Logits need a threshold or a sigmoid first: pass `logits > 0` or `logits.sigmoid()`."
    if low >= 0 and high <= 1:
        return "A soft mask needs a threshold first: pass `target > 0.4` (the data set's own rule)."
    return "Labels of several classes need one class picked first: pass `target == chair_label`."


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _check_pair(predicted: Tensor, target: Tensor) -> None:
    for name, tensor in (("predicted", predicted), ("target", target)):
        if not isinstance(tensor, Tensor):
            raise ParameterError(
                f"{name} masks must be a torch tensor, found {type(tensor).__name__}: use torch.as_tensor."
            )
        if tensor.is_complex():
            raise ParameterError(f"{name} masks must be real, found {_describe(tensor)}.")
        if tensor.ndim != 4 or tensor.shape[1] != 1:
            raise ParameterError(
                f"{name} masks must have shape [N, 1, H, W], found {_describe(tensor)}. {_mend_shape(tensor)}"
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


def ratios(counts: pd.DataFrame) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Each metric as a numerator and a denominator [N] per image; over images, it is the ratio of their sums."""
    both, predicted, target, pixels = (counts[name].to_numpy(np.float64) for name in _COUNTS)
    union = predicted + target - both
    scored = target >= MIN_CHAIR_PIXELS

    def over_scored(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.divide(above, below, out=np.zeros_like(above), where=scored)

    return {
        "iou": (over_scored(100 * both, union), scored.astype(np.float64)),
        "dice": (over_scored(200 * both, predicted + target), scored.astype(np.float64)),
        "precision": (100 * (pixels - (union - both)), pixels),
        "pooled_iou": (100 * both, union),
    }


def one_class_note(predicted_all: str) -> str:
    """What to say of scores where every pixel was predicted as this."""
    return f"Every pixel of every image was predicted as {predicted_all}, so these are the scores of a constant mask."


def none_if_nan(value: float) -> float | None:
    """A score as a record holds it: JSON has no NaN, so None stands for what is undefined."""
    return None if math.isnan(value) else float(value)
