"""More than one number about masks: boundaries, thin parts, calibration, and IoU by foreground share, all in per cent.

boundary IoU
    IoU of the inner bands of both masks (Cheng et al., CVPR 2021): their pixels within a width of their edge, which is
    2 % of the image's diagonal, rounded, and at least 1 pixel. IoU of a large mask hardly depends on its edge.
thin IoU
    IoU on thin parts, such as legs: the target's pixels that a morphological opening removes, as they lie in no square
    of 2 r + 1 pixels a side inside the target, with r 3 % of the image's shorter side, rounded, and at least 1. So the
    same legs are thin at every resolution. Beside these pixels, those that are no chair count, in a band as wide as
    the boundary's: legs drawn too thick lose too. Thick parts don't count: they are easy, and would hide the legs.
calibration error
    Expected calibration error (Naeini et al., AAAI 2015): pixels lie in 15 equal bins by their probability of chair.
    It is the mean over all pixels of the gap between their bin's mean probability and its share of chair pixels.

Boundary IoU is undefined where IoU is, thin IoU on images with fewer than 6 thin pixels, and calibration where a
probability is not a number. Such images are left out there, and counted. Counts are whole numbers per image, so no
figure depends on how images were batched.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chairlib.benchmark.metrics import MIN_CHAIR_PIXELS, MaskScorer, Scores, bootstrap_interval, none_if_nan
from chairlib.benchmark.models import evaluation_mode, forward
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.checks import check_choice
from chairlib.core.progress import progress_bar

#: Bins of probabilities, all of one width.
BINS = 15
#: What :meth:`Quality.interval` takes.
QUALITIES = ("boundary_iou", "thin_iou", "calibration_error")
#: Probabilities are added up as whole numbers of this part: the sum is the same in any order.
_LEVELS = 2**16
#: Pixels that a CPU looks at together: intermediate results then stay in its cache.
_CPU_PIXELS = 2**18


@dataclass(frozen=True)
class Quality:
    """What a model's masks are like. Percentages are floats in [0, 100], nan where undefined.

    `scores`: those of :func:`~chairlib.benchmark.evaluation.evaluate`, from the same pass.
    `per_image`: a row an image: iou, boundary_iou, thin_iou, calibration_error (its part: their mean is the error; one
    that lowers it is negative), target_share, group (None where there are none).
    `reliability`: a row a bin: low and high (its ends), pixels and chair (numbers of pixels), probability (its mean).
    `by_share`: a row a fifth that holds images: fifth (1 to 5), n_images, share_low, share_high, iou, low, high (95 %).
    Images with the same share are in the same fifth.
    """

    boundary_iou: float
    thin_iou: float
    calibration_error: float
    scores: Scores = field(repr=False)
    per_image: pd.DataFrame = field(repr=False, compare=False)
    reliability: pd.DataFrame = field(repr=False, compare=False)
    by_share: pd.DataFrame = field(repr=False, compare=False)

    def interval(self, name: str) -> tuple[float, float]:
        """95 % bootstrap interval over groups, or images where there are none: `(low, high)` in %.

        That of the calibration error holds fixed in which bins the model is too sure: the error itself has no sign, so
        that resamples would have larger ones on average. Raises ParameterError for an unknown name.
        """
        check_choice("quality", name, QUALITIES)
        return _interval(self.per_image, name)

    def to_dict(self) -> dict[str, Any]:
        """For a record, under ``metrics["card"]``: numbers, lists and strings, with None for what is undefined.

        ``pandas.DataFrame`` makes tables of ``reliability`` and ``by_share`` again.
        """
        tables = {"reliability": self.reliability, "by_share": self.by_share}
        return {
            **{name: none_if_nan(getattr(self, name)) for name in QUALITIES},
            "intervals": {name: [none_if_nan(end) for end in self.interval(name)] for name in QUALITIES},
            "interval_units": "groups" if self.scores.has_groups else "images",
            "n_images": len(self.per_image),
            "n_undefined": {name: int(self.per_image[name].isna().sum()) for name in QUALITIES},
            **{name: table.astype(object).where(table.notna(), None).to_dict("list") for name, table in tables.items()},
        }


def quality(model: nn.Module, loader: CompositeLoader, progress: bool = False) -> Quality:
    """The quality of ``model``'s masks on every image of ``loader``, and its scores, in one pass.

    Images are given as in :func:`~chairlib.benchmark.evaluation.evaluate`; the model's mode stays as it was.
    """
    scorer, counts, bins = MaskScorer(), [], []
    total = math.ceil(len(loader.indices) / loader.batch_size)
    with evaluation_mode(model):
        for images, masks in progress_bar(
            loader.in_order(), "quality", total, delay=1, leave=False, disable=not progress
        ):
            logits = forward(model, images, torch.channels_last)
            scorer.update(logits > 0, masks)
            at_once = max(1, _CPU_PIXELS // masks[0].numel()) if masks.device.type == "cpu" else len(masks)
            for part in zip(logits.split(at_once), (masks > 0.5).split(at_once), strict=True):
                counts.append(_count_bands(part[0] > 0, part[1]))
                bins.append(_count_bins(*part))
    scores = scorer.compute(loader.groups)
    target, thin, both_edges, any_edge, both_thin, any_thin = torch.cat(counts).cpu().double().numpy().T
    reliability, gaps = _calibration(torch.cat(bins).cpu().numpy())
    per_image = scores.per_image[["iou"]].copy()
    per_image["boundary_iou"] = _iou(both_edges, any_edge, target)
    per_image["thin_iou"] = _iou(both_thin, any_thin, thin)
    per_image["calibration_error"] = gaps
    per_image["target_share"] = 100 * target / scores.counts["pixels"]
    per_image["group"] = scores.per_image["group"]
    means = {name: float(per_image[name].mean()) for name in QUALITIES}
    return Quality(**means, scores=scores, per_image=per_image, reliability=reliability, by_share=_by_share(per_image))


def boundary(masks: Tensor) -> Tensor:
    """The inner band along the edge of masks [..., H, W], bool or in [0, 1] (chair above 0.5): bool, the same shape.

    Its width is said above. As in the authors' code, a diagonal step is as long as any, and the image's border an edge.
    """
    inside = masks > 0.5
    return inside & ~_eroded(inside, _width(masks))


def thin_parts(targets: Tensor) -> tuple[Tensor, Tensor]:
    """The thin parts of masks [..., H, W] as in :func:`boundary`, and the pixels beside them that are no chair: bool.

    What is thin, and how far beside reaches, is said above.
    """
    inside = targets > 0.5
    radius = max(1, round(0.03 * min(targets.shape[-2:])))
    thin = inside & ~_dilated(_eroded(inside, radius), radius)
    return thin, _dilated(thin, _width(targets)) & ~inside


def _width(masks: Tensor) -> int:
    return max(1, round(0.02 * math.hypot(*masks.shape[-2:])))


def _dilated(masks: Tensor, radius: int, outside: int = 0) -> Tensor:
    """Where bool masks have a pixel up to ``radius`` rows and columns away; beyond the image all are ``outside``."""
    found = masks.view(torch.uint8)  # bytes are combined several times as fast as booleans
    for axis, pad in ((-2, (0, 0, radius, radius)), (-1, (radius, radius))):
        padded, found = F.pad(found, pad, value=outside), torch.zeros_like(found)
        for shift in range(2 * radius + 1):
            found |= padded.narrow(axis, shift, masks.shape[axis])
    return found.view(torch.bool)


def _eroded(masks: Tensor, radius: int) -> Tensor:
    return ~_dilated(~masks, radius, outside=1)


def _count_bands(predicted: Tensor, target: Tensor) -> Tensor:
    """Whole numbers [B, 6]: target, thin parts; intersection and union of the boundaries, and of the thin parts."""
    thin, beside = thin_parts(target)
    edges = boundary(predicted), boundary(target)
    columns = (target, thin, edges[0] & edges[1], edges[0] | edges[1], predicted & thin, thin | (predicted & beside))
    return torch.stack([column.flatten(1).view(torch.uint8).sum(1, dtype=torch.int32) for column in columns], 1)


def _iou(intersection: np.ndarray, union: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Per cent, NaN where the target has too few pixels."""
    return np.divide(100 * intersection, union, out=np.full_like(union, np.nan), where=pixels >= MIN_CHAIR_PIXELS)


def _count_bins(logits: Tensor, target: Tensor) -> Tensor:
    """Whole numbers [B, 3, BINS + 1]: pixels, chair pixels, their probabilities added up; in the last bin those NaN."""
    probabilities = torch.sigmoid(logits.float()).flatten(1)
    levels = (probabilities.nan_to_num() * _LEVELS).round().long()
    bins = torch.where(probabilities.isnan(), BINS, (levels * BINS // _LEVELS).clamp_(max=BINS - 1))
    values = (torch.ones_like(levels), target.flatten(1).long(), levels)
    return torch.stack([levels.new_zeros(len(levels), BINS + 1).scatter_add_(1, bins, value) for value in values], 1)


def _calibration(counts: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """The table of reliability, and each image's part [N] in the calibration error."""
    defined = counts[:, 0, BINS] == 0
    table = pd.DataFrame(counts[defined, :, :BINS].sum(0).T, columns=["pixels", "chair", "levels"])
    edges = np.arange(BINS + 1) / BINS
    table.insert(0, "low", edges[:-1])
    table.insert(1, "high", edges[1:])
    above = np.sign(table["levels"].to_numpy() / _LEVELS - table["chair"].to_numpy())
    parts = ((counts[:, 2, :BINS] / _LEVELS - counts[:, 1, :BINS]) * above).sum(1) / counts[:, 0].sum(1)
    table["probability"] = table.pop("levels") / _LEVELS / table["pixels"]
    return table, np.where(defined, 100 * parts, np.nan)


def _by_share(per_image: pd.DataFrame) -> pd.DataFrame:
    scored = per_image.dropna(subset="iou")
    # The mean rank of equal shares keeps them together.
    scored = scored.assign(fifth=np.ceil(5 * scored["target_share"].rank() / max(len(scored), 1)).astype(int))
    rows = []
    for fifth, own in scored.groupby("fifth"):
        share = own["target_share"]
        rows.append((fifth, len(own), share.min(), share.max(), own["iou"].mean(), *_interval(own, "iou")))
    return pd.DataFrame(rows, columns=["fifth", "n_images", "share_low", "share_high", "iou", "low", "high"])


def _interval(per_image: pd.DataFrame, name: str) -> tuple[float, float]:
    groups = per_image["group"] if per_image["group"].notna().any() else None
    return bootstrap_interval(per_image[name].fillna(0), per_image[name].notna(), groups=groups)
