"""Grids of images: composites, masks, predictions, and the paper's Figures 3, 4 and 5.

What images and masks may be is said in :mod:`chairlib.show.mosaic`; every function gives a
:class:`~chairlib.show.canvas.Figure`, with ``title`` and ``caption`` below the picture.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chairlib.collection.opacity import MASK_OPACITY
from chairlib.core.errors import ParameterError
from chairlib.show.canvas import Figure, describe_array, join_words, show, theme
from chairlib.show.mosaic import (
    FALSE_ALARM,
    HIT,
    MISS,
    Row,
    agreement_picture,
    as_masks,
    as_rgb,
    check_same_count,
    mask_iou,
    mask_picture,
    mosaic,
    thumbnails,
)
from chairlib.show.outlines import polygon_outline, rasterise

__all__ = [
    "composite_grid",
    "figure4",
    "figure5",
    "outline_against_mask",
    "predictions",
    "resolution_strip",
]


@theme()
def composite_grid(
    images: ArrayLike,
    masks: ArrayLike | None = None,
    columns: int = 8,
    title: str = "",
    caption: str = "",
    noun: str = "composites",
) -> Figure:
    """A grid of images [N, d, d, 3 or 4], each with its mask below it where masks [N, d, d] are given.

    ``noun``: what the images are, for the alternative text.
    """
    pictures = as_rgb(images)
    if columns < 1:
        raise ParameterError(f"columns must be at least 1; found {columns}.")
    columns = min(columns, len(pictures))
    starts = range(0, len(pictures), columns)
    height, width = pictures.shape[1:3]
    grid = f"{len(starts)} row{'s' if len(starts) > 1 else ''} of {columns}"
    alt = f"{len(pictures)} {noun} of {width} × {height} pixels in {grid}"
    small = thumbnails(pictures, columns)
    rows = [[Row(list(small[start : start + columns]))] for start in starts]
    if masks is not None:
        truth = as_masks(masks)
        check_same_count(images=pictures, masks=truth)
        shares = truth.mean(axis=(1, 2)) * 100
        what = "chair" if noun == "composites" else "object"
        alt += f", the mask below each: {what} is {shares.min():.1f} to {shares.max():.1f} % of the pixels, "
        alt += f"{shares.mean():.1f} % on average"
        step = height // small.shape[1]  # pixels of masks are picked, never averaged
        cells = [mask_picture(mask[::step, ::step]) for mask in truth]
        for row, start in zip(rows, starts, strict=True):
            row.append(Row(cells[start : start + columns], joined=True))
    fig, _ = mosaic([part for row in rows for part in row], columns)
    return show(fig, alt, title, caption, fig.dpi)


@theme()
def resolution_strip(images: Mapping[int, ArrayLike], title: str = "", caption: str = "") -> Figure:
    """The same picture at several resolutions, printed at one size so that the pixels can be compared.

    ``images``: resolution d -> image [d, d, 3 or 4].
    """
    if not images:
        raise ParameterError("no image to show: give at least one resolution.")
    cells = []
    for d, image in sorted(images.items()):
        picture = as_rgb(image)
        if picture.shape[:3] != (1, d, d):
            problem = f"the image for resolution {d} must be [{d}, {d}, 3]"
            raise ParameterError(f"{problem}; {describe_array(np.asarray(image))}.")
        cells.append(picture[0])
    names = [f"{d} × {d}" for d in sorted(images)]
    fig, _ = mosaic([Row(cells, notes=names)], len(cells))
    alt = f"The same picture at {join_words(names)} pixels, printed at one size"
    return show(fig, alt, title, caption, fig.dpi)


@theme()
def outline_against_mask(
    rgb: ArrayLike, opacity: NDArray[np.uint8], tolerance_px: float | None = None, title: str = "", caption: str = ""
) -> Figure:
    """The point of the paper's Figure 3: a polygon drawn around a chair, its alpha mask, and where the two disagree.

    ``rgb``: composite [d, d, 3]; ``opacity``: uint8 [d, d]; ``tolerance_px``: how far the polygon may stray from the
    outline (default 1.5 % of the image's side, which gives a chair the few dozen corners that annotators click).
    """
    composite = as_rgb(rgb)[0]
    opacity = np.asarray(opacity)
    if opacity.shape != composite.shape[:2]:
        size = list(composite.shape[:2])
        raise ParameterError(f"opacity must have the composite's size {size}; {describe_array(opacity)}.")
    polygons = polygon_outline(opacity, 0.015 * max(opacity.shape) if tolerance_px is None else tolerance_px)
    mask, filled = opacity > MASK_OPACITY, rasterise(polygons, opacity.shape)
    corners, iou = sum(len(polygon) - 1 for polygon in polygons), mask_iou(filled, mask)
    extra, missed = int((filled & ~mask).sum()), int((mask & ~filled).sum())
    iou_words = "undefined" if math.isnan(iou) else f"{iou:.1f} %"
    notes = [f"polygon, {corners} corners", "alpha mask", f"IoU {iou_words}"]
    row = Row([composite, mask_picture(mask), agreement_picture(filled, mask)], notes=notes)
    fig, axes = mosaic([row], 3, {"both": HIT, "polygon only": FALSE_ALARM, "mask only": MISS})
    ax = axes[0][0]
    limits = {"xlim": ax.get_xlim(), "ylim": ax.get_ylim()}
    for polygon in polygons:
        ax.plot(*polygon.T, color="black", linewidth=2.6, solid_joinstyle="round")
        ax.plot(*polygon.T, color="#FFFFFF", linewidth=1.2, marker="o", markersize=2.6)
    ax.set(**limits)
    alt = (
        f"Three pictures: a composite with a polygon of {corners} corners drawn around the chair, the chair's alpha "
        f"mask, and where they disagree. The polygon's IoU with the mask is {iou_words}: it takes in {extra:,} pixels "
        f"that are not chair and leaves out {missed:,} of the {int(mask.sum()):,} that are"
    )
    return show(fig, alt, title, caption, fig.dpi)


@theme()
def predictions(
    images: ArrayLike, targets: ArrayLike, probabilities: ArrayLike, ious: ArrayLike, title: str = "", caption: str = ""
) -> Figure:
    """Composites, their masks, and what a model made of them at threshold 0.5, with the IoU of each below.

    ``images`` [N, d, d, 3]; ``targets`` [N, d, d] masks; ``probabilities`` [N, d, d] in [0, 1] or boolean; ``ious``
    [N] in per cent (NaN where an image is left out of the metric). At most about eight images are legible.
    """
    pictures, truth = as_rgb(images), as_masks(targets)
    scores, probability = np.asarray(ious, dtype=float), np.asarray(probabilities)
    check_same_count(images=pictures, targets=truth, probabilities=probability, ious=scores)
    if probability.shape != truth.shape or not (probability.min() >= 0 and probability.max() <= 1):
        needed = f"probabilities must have the targets' shape {list(truth.shape)} and lie in [0, 1]"
        raise ParameterError(f"{needed}; {describe_array(probability)}.")
    predicted = probability > 0.5
    notes = ["–" if math.isnan(score) else f"{score:.1f}" for score in scores]
    agreement = [agreement_picture(p, t) for p, t in zip(predicted, truth, strict=True)]
    rows = [
        Row(list(pictures), "Composite"),
        Row([mask_picture(mask) for mask in truth], "Mask"),
        Row(agreement, "Prediction, and its IoU (%)", notes),
    ]
    scored = join_words([note.replace("–", "left out of the metric") for note in notes])
    alarms, misses = (predicted & ~truth).mean() * 100, (~predicted & truth).mean() * 100
    alt = (
        f"{len(pictures)} composites with their masks and predictions at threshold 0.5. IoU in per cent: {scored}. "
        f"Over them {alarms:.1f} % of the pixels are wrongly called chair and {misses:.1f} % are missed"
    )
    legend = {"chair, found": HIT, "wrongly called chair": FALSE_ALARM, "missed": MISS}
    fig, _ = mosaic(rows, len(pictures), legend, largest=1.4)
    return show(fig, alt, title, caption, fig.dpi)


def figure4(
    images: ArrayLike,
    targets: ArrayLike,
    predictions: Mapping[str, ArrayLike | None],
    title: str = "",
    caption: str = "",
) -> Figure:
    """The paper's Figure 4: test composites in columns; composite, mask and one row a model (and resolution) below.

    ``predictions``: row label -> masks [N, r, r] at any resolution r, or None for a model that was not trained.
    """
    pictures, truth = as_rgb(images), as_masks(targets)
    rows, described = _prediction_rows(pictures, truth, predictions, "chair")
    first = [Row(list(pictures), "Composite"), Row([mask_picture(mask) for mask in truth], "Mask")]
    alt = f"{len(pictures)} composites, their masks ({truth.mean() * 100:.1f} % chair) and the masks predicted"
    return _columns_of_images([*first, *rows], len(pictures), [alt, described], title, caption)


def figure5(
    images: ArrayLike,
    targets: ArrayLike,
    predictions: Mapping[str, ArrayLike | str | None],
    title: str = "",
    caption: str = "",
) -> Figure:
    """The paper's Figure 5: photos in columns; one row a model (and pretraining) between photo and ground truth.

    ``predictions``: row label -> masks [N, r, r] at any resolution r, or in words why there are none (None: not
    trained).
    """
    pictures, truth = as_rgb(images), as_masks(targets)
    rows, described = _prediction_rows(pictures, truth, predictions, "object")
    rows = [Row(list(pictures), "Photo"), *rows, Row([mask_picture(mask) for mask in truth], "Ground truth")]
    alt = f"{len(pictures)} photos, the masks predicted and the ground truth ({truth.mean() * 100:.1f} % object)"
    return _columns_of_images(rows, len(pictures), [alt, described], title, caption)


def _prediction_rows(
    images: NDArray[np.uint8],
    truth: NDArray[np.bool_],
    predictions: Mapping[str, ArrayLike | str | None],
    thing: str,
) -> tuple[list[Row], str]:
    """One row of predicted masks a label, and the rows in words. ``thing``: what the masks mark."""
    check_same_count(images=images, targets=truth)
    rows, described = [], []
    for label, masks in predictions.items():
        if masks is None or isinstance(masks, str):
            reason = masks or "not trained in this profile"
            rows.append(Row(reason, label))
            described.append(f"{label}: {reason}")
            continue
        predicted = as_masks(masks)
        check_same_count(**{"images": images, label: predicted})
        rows.append(Row([mask_picture(mask) for mask in predicted], label))
        # Only masks of one size can be compared pixel by pixel.
        same = predicted.shape == truth.shape
        ious = [mask_iou(p, t) for p, t in zip(predicted, truth, strict=True)] if same else []
        iou = f", mean IoU of these {np.nanmean(ious):.1f} %" if not np.isnan(ious).all() else ""
        described.append(f"{label}: {predicted.mean() * 100:.1f} % of the pixels called {thing}{iou}")
    return rows, "; ".join(described)


@theme()
def _columns_of_images(rows: Sequence[Row], count: int, alt: Sequence[str], title: str, caption: str) -> Figure:
    fig, _ = mosaic(rows, count, largest=1.2)
    return show(fig, ". ".join(filter(None, alt)), title, caption, fig.dpi)
