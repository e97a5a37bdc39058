"""What makes an image no background: too small, a plan, a flat graphic, a collage."""

import numpy as np
from numpy.typing import NDArray

from chairfinder.screening.thresholds import Thresholds
from chairfinder.screening.views import BackgroundView

_COMMONEST = 12
#: How far a pixel's channels may be from the paper's, of 255.
_PAPER = 6


def image_too_small(view: BackgroundView, limits: Thresholds) -> str | None:
    """Too few pixels, or a strip."""
    width, height = view.image.size
    if min(width, height) < limits.background_side:
        return f"it is {width} x {height} pixels; the shorter side must have at least {limits.background_side:g}"
    if max(width, height) > limits.background_aspect * min(width, height):
        return f"it is {width} x {height} pixels; one side may be at most {limits.background_aspect:g} times the other"
    return None


def no_detail(view: BackgroundView, limits: Thresholds) -> str | None:
    """One colour, give or take: black frames, blank pages."""
    spread = float(view.coarse.mean(axis=-1).std())
    if spread >= limits.background_detail:
        return None
    return f"its brightness varies by {spread:.1f} levels; at least {limits.background_detail:g} are needed"


def plan(view: BackgroundView, limits: Thresholds) -> str | None:
    """A plan, drawing or page: most of it is the very same paper colour, with lines and lettering all over."""
    colours = view.coarse
    paper = _commonest(colours)
    if 40 < paper.mean() < 215:
        return None
    same = (np.abs(colours.astype(np.int16) - paper) <= _PAPER).all(axis=-1)
    share = float(same.mean())
    # Lines part the paper on every side; a bright wall is one area and hardly flat.
    flat = float((same & (view.variation <= 2)).mean())
    if flat <= limits.plan_paper:
        return None
    return f"{share:.0%} of it is one paper colour (at most {limits.plan_paper:.0%}): a plan or page"


def flat_graphic(view: BackgroundView, limits: Thresholds) -> str | None:
    """A logo or flat graphic: few colours, in areas without any texture."""
    flat = float((view.variation <= 1).mean())
    few = colour_concentration(view.coarse)
    if flat <= limits.graphic_flat or few <= limits.graphic_colours:
        return None
    return (
        f"{flat:.0%} of its pixels equal their neighbours and {_COMMONEST} colours cover {few:.0%} "
        f"(at most {limits.graphic_flat:.0%} and {limits.graphic_colours:.0%}): a graphic"
    )


def collage(view: BackgroundView, limits: Thresholds) -> str | None:
    """Several pictures: plain straight strips (gutters) from side to side with pictures on either side of them."""
    for name, colours in (("across", view.fine), ("down", view.fine.swapaxes(0, 1))):
        place = gutter(colours, limits.collage_gutter)
        if place is not None:
            return f"a plain strip goes {name} it at {place:.0%} of the way, with pictures on both sides: a collage"
    return None


def gutter(colours: NDArray[np.uint8], least: float) -> float | None:
    """Where, as a share of the height, rows of one flat colour part [H, W, 3]; None if none do.

    At least two rows whose pixels (but for the share 1 - least) are within 4 levels of their median, with a picture on
    both sides whose nearest rows are unlike the strip along most of its length.
    """
    values = colours.astype(np.int16)
    middle = np.median(values, axis=1, keepdims=True)
    plain = (np.abs(values - middle) <= 4).all(axis=-1).mean(axis=1) >= least
    height = len(plain)
    starts = np.flatnonzero(plain & ~np.roll(plain, 1))
    for start in starts.tolist():
        stop = start
        while stop < height and plain[stop]:
            stop += 1
        if stop - start < 2 or start < 0.15 * height or stop > 0.85 * height or stop - start > 0.15 * height:
            continue
        sides = (values[start - 3], values[min(stop + 2, height - 1)])
        colour = middle[(start + stop) // 2]
        if all((np.abs(side - colour).max(axis=-1) > 24).mean() > 0.6 for side in sides):
            return float((start + stop) / 2 / height)
    return None


def colour_concentration(colours: NDArray[np.uint8]) -> float:
    """The share of [H, W, 3] that its 12 commonest colours cover, with 16 levels a channel."""
    bins = np.bincount(_bins(colours).ravel(), minlength=4096)
    return float(np.sort(bins)[-_COMMONEST:].sum() / bins.sum())


def _bins(colours: NDArray[np.uint8]) -> NDArray[np.int32]:
    coarse = (colours >> 4).astype(np.int32)
    found: NDArray[np.int32] = (coarse[..., 0] << 8) | (coarse[..., 1] << 4) | coarse[..., 2]
    return found


def _commonest(colours: NDArray[np.uint8]) -> NDArray[np.int16]:
    """The median colour of the commonest of 4,096 bins."""
    bins = _bins(colours)
    most = np.bincount(bins.ravel(), minlength=4096).argmax()
    return np.median(colours[bins == most], axis=0).astype(np.int16)
