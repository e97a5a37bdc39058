"""Grids of images: composites, masks, predictions, and the paper's Figures 3, 4 and 5.

What images and masks may be is said in :mod:`chairlib.show.mosaic`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from chairlib.collection.opacity import MASK_OPACITY
from chairlib.core.errors import ParameterError
from chairlib.show import mosaic
from chairlib.show.canvas import Figure, describe_ends, join_words, show, theme
from chairlib.show.outlines import polygon_outline, rasterise


@theme()
def composite_grid(
    images: ArrayLike, masks: ArrayLike | None = None, columns: int = 8, title: str = "", noun: str = "composites"
) -> Figure:
    """A grid of images [N, d, d, 3 or 4], each with its mask below it where masks [N, d, d] are given.

    ``noun``: what the images are, for the alternative text.
    """
    pictures = mosaic.as_rgb(images)
    columns = min(columns, len(pictures))
    starts = range(0, len(pictures), columns)
    height, width = pictures.shape[1:3]
    grid = f"{len(starts)} row{'s' if len(starts) > 1 else ''} of {columns}"
    alt = f"{len(pictures)} {noun} of {width} × {height} pixels in {grid}"
    small = mosaic.thumbnails(pictures, columns)
    rows, takeaway = [mosaic.Row(list(small[start : start + columns])) for start in starts], ""
    if masks is not None:
        truth = mosaic.as_masks(masks)
        mosaic.check_same_count(images=pictures, masks=truth)
        shares = truth.mean(axis=(1, 2)) * 100
        what = "chair" if noun == "composites" else "object"
        found = f"{shares.min():.1f} to {shares.max():.1f} % of the pixels, {shares.mean():.1f} % on average"
        alt += f", the mask below each: {what} is {found}"
        takeaway = f"The {what} takes {found}"
        step = height // small.shape[1]  # pixels of masks are picked, never averaged
        cells = [mosaic.mask_picture(mask[::step, ::step]) for mask in truth]
        below = [mosaic.Row(cells[start : start + columns], joined=True) for start in starts]
        rows = [row for both in zip(rows, below, strict=True) for row in both]
    fig, _ = mosaic.mosaic(rows, columns)
    return show(fig, alt, title, dpi=fig.dpi, takeaway=takeaway)


@theme()
def resolution_strip(images: Mapping[int, ArrayLike], title: str = "") -> Figure:
    """The same picture at several resolutions, printed at one size so that the pixels can be compared.

    ``images``: resolution d -> image [d, d, 3 or 4].
    """
    cells = [mosaic.as_rgb(image)[0] for _, image in sorted(images.items())]
    names = [f"{d} × {d}" for d in sorted(images)]
    fig, _ = mosaic.mosaic([mosaic.Row(cells, notes=names)], len(cells))
    alt = f"The same picture at {join_words(names)} pixels, printed at one size"
    said = f"From {min(images)} to {max(images)} pixels a side; at {min(images)} thin parts may be narrower than one"
    return show(fig, alt, title, dpi=fig.dpi, takeaway=said)


@theme()
def outline_against_mask(rgb: ArrayLike, opacity: NDArray[np.uint8], title: str = "") -> Figure:
    """The point of the paper's Figure 3: a polygon drawn around a chair, its alpha mask, and where the two disagree.

    ``rgb``: composite [d, d, 3]; ``opacity``: uint8 [d, d]. The polygon may stray from the outline by 1.5 % of the
    image's side, which gives a chair the few dozen corners that annotators click.
    """
    composite = mosaic.as_rgb(rgb)[0]
    polygons = polygon_outline(opacity, 0.015 * max(opacity.shape))
    mask, filled = opacity > MASK_OPACITY, rasterise(polygons, opacity.shape)
    corners, iou = sum(len(polygon) - 1 for polygon in polygons), mosaic.mask_iou(filled, mask)
    extra, missed = int((filled & ~mask).sum()), int((mask & ~filled).sum())
    iou_words = "undefined" if math.isnan(iou) else f"{iou:.1f} %"
    notes = [f"polygon, {corners} corners", "alpha mask", f"IoU {iou_words}"]
    row = mosaic.Row([composite, mosaic.mask_picture(mask), mosaic.agreement_picture(filled, mask)], notes=notes)
    fig, axes = mosaic.mosaic(
        [row], 3, {"both": mosaic.HIT, "polygon only": mosaic.FALSE_ALARM, "mask only": mosaic.MISS}
    )
    ax = axes[0][0]
    limits = {"xlim": ax.get_xlim(), "ylim": ax.get_ylim()}
    for polygon in polygons:
        ax.plot(*polygon.T, color="black", linewidth=2.6, solid_joinstyle="round")
        ax.plot(*polygon.T, color="#FFFFFF", linewidth=1.2, marker="o", markersize=2.6)
    ax.set(**limits)
    alt = (
        f"Three pictures: a composite with a polygon of {corners} corners drawn around the chair, the chair's alpha "
        f"mask, and where they disagree. "
    )
    takeaway = (
        f"The polygon's IoU with the mask is {iou_words}: it takes in {extra:,} pixels that are not chair and leaves "
        f"out {missed:,} of the {int(mask.sum()):,} that are"
    )
    return show(fig, alt + takeaway, title, dpi=fig.dpi, takeaway=takeaway)


@theme()
def predictions(
    images: ArrayLike, targets: ArrayLike, probabilities: ArrayLike, ious: ArrayLike, title: str = ""
) -> Figure:
    """Composites, their masks, and what a model made of them at threshold 0.5, with the IoU of each below.

    ``images`` [N, d, d, 3]; ``targets`` [N, d, d] masks; ``probabilities`` [N, d, d] in [0, 1] or boolean; ``ious``
    [N] in per cent (NaN where an image is left out of the metric). At most about eight images are legible.
    """
    pictures, truth = mosaic.as_rgb(images), mosaic.as_masks(targets)
    scores, probability = np.asarray(ious, dtype=float), np.asarray(probabilities)
    mosaic.check_same_count(images=pictures, targets=truth, probabilities=probability, ious=scores)
    if probability.shape != truth.shape or not (probability.min() >= 0 and probability.max() <= 1):
        needed = f"the targets' shape {list(truth.shape)} and lie in [0, 1]"
        raise ParameterError(f"probabilities must have {needed}; found shape {list(probability.shape)}.")
    predicted = probability > 0.5
    notes = ["–" if math.isnan(score) else f"{score:.1f}" for score in scores]
    rows = [
        mosaic.Row(list(pictures), "Composite"),
        mosaic.Row(list(map(mosaic.mask_picture, truth)), "Mask"),
        mosaic.Row(list(mosaic.agreement_picture(predicted, truth)), "Prediction, and its IoU (%)", notes),
    ]
    scored = join_words([note.replace("–", "left out of the metric") for note in notes])
    alarms, misses = (predicted & ~truth).mean() * 100, (~predicted & truth).mean() * 100
    takeaway = f"Over these images {alarms:.1f} % of the pixels are wrongly called chair and {misses:.1f} % are missed"
    alt = f"{len(pictures)} composites with their masks and predictions at threshold 0.5. IoU in per cent: {scored}. "
    legend = {"chair, found": mosaic.HIT, "wrongly called chair": mosaic.FALSE_ALARM, "missed": mosaic.MISS}
    fig, _ = mosaic.mosaic(rows, len(pictures), legend, largest=1.4)
    return show(fig, alt + takeaway, title, dpi=fig.dpi, takeaway=takeaway)


def figure4(images: ArrayLike, targets: ArrayLike, predictions: Mapping[str, ArrayLike], **words: Any) -> Figure:
    """The paper's Figure 4: test composites in columns; composite, mask and one row a model (and resolution) below.

    ``predictions``: row label -> masks [N, r, r] at any resolution r. ``words``: ``title`` and ``caption``.
    """
    return _columns_of_images("Composite", images, {"Mask": targets, **predictions}, "Mask", "chair", **words)


def figure5(images: ArrayLike, targets: ArrayLike, predictions: Mapping[str, ArrayLike], **words: Any) -> Figure:
    """The paper's Figure 5: as :func:`figure4`, but of photos, with the true masks in the last row.

    ``words``: ``title``, ``caption`` and ``notes``, a word or two for each photo, which stand below it.
    """
    masks = {**predictions, "Ground truth": targets}
    return _columns_of_images("Image", images, masks, "Ground truth", "object", **words)


@theme()
def _columns_of_images(
    noun: str,
    images: ArrayLike,
    masks: Mapping[str, ArrayLike],
    true: str,
    thing: str,
    title: str = "",
    caption: str = "",
    notes: Sequence[str] = (),
) -> Figure:
    """Images in columns with rows of masks below them.

    ``masks``: row label -> masks [N, r, r]; the row ``true`` has the true masks. ``noun``: what the images are;
    ``thing``: what the masks mark.
    """
    pictures, truth = mosaic.as_rgb(images), mosaic.as_masks(masks[true])
    rows, described = [mosaic.Row(list(pictures), noun, notes)], []
    means: dict[str, float] = {}
    for label, given in masks.items():
        shown = mosaic.as_masks(given)
        mosaic.check_same_count(**{"images": pictures, label: shown})
        rows.append(mosaic.Row([mosaic.mask_picture(mask) for mask in shown], label))
        # Only masks of one size can be compared pixel by pixel.
        ious = list(map(mosaic.mask_iou, shown, truth)) if label != true and shown.shape == truth.shape else []
        means |= {label: float(np.nanmean(ious))} if not np.isnan(ious).all() else {}
        iou = f", mean IoU of these {means[label]:.1f} %" if label in means else ""
        verb = "are" if label == true else "called"
        described.append(f"{label}: {shown.mean() * 100:.1f} % of the pixels {verb} {thing}{iou}")
    fig, _ = mosaic.mosaic(rows, len(pictures), largest=1.2)
    what = f"{len(pictures)} {noun.lower()}s"
    takeaway = describe_ends(f"Mean IoU of these {what}", pd.Series(means, dtype=float))
    alt = f"{what}{f' ({join_words(notes)})' if notes else ''} with masks. {'; '.join(described)}"
    return show(fig, alt, title, caption, dpi=fig.dpi, takeaway=takeaway)


def side_by_side(examples: Mapping[str, Mapping[str, NDArray[Any]]], note: str) -> dict[str, Any]:
    """Arguments of :func:`figure4` or :func:`figure5`: row label -> ``images``, ``targets`` and ``predicted`` masks.

    The first may have ``notes``, a word for each image. Rows with other images than the first are named in the caption,
    before ``note``. Empty without examples.
    """
    if not examples:
        return {}
    first = next(iter(examples.values()))
    images, targets = first["images"], first["targets"]
    masks = {name: one["predicted"] for name, one in examples.items() if np.array_equal(one["images"], images)}
    others = "".join(f"{name} was scored on other images. " for name in examples if name not in masks)
    words = {"caption": others + note, "notes": first.get("notes", ())}
    return {"images": images, "targets": targets, "predictions": masks, **words}
