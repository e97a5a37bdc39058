"""What makes an image a segment at all: real alpha, one whole object, and enough pixels of it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from chairfinder.screening.thresholds import Thresholds
from chairfinder.screening.views import CLEAR_OPACITY, SegmentView, grown
from chairlib.collection.opacity import MASK_OPACITY

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
#: Opacity, of 255, of what is no blended outline.
_OPAQUE = 250
#: Depth in which a cut object keeps its breadth, measured from the frame, as a share of the image's longer side.
_CUT_DEPTH = 0.015
#: Legs are followed for this many depths, and are at least this broad at the frame, compared with one depth further in.
_LEG_DEPTHS, _LEG_BREADTH = 3, 0.8


def no_real_alpha(view: SegmentView, limits: Thresholds) -> str | None:
    """Opaque everywhere: no alpha channel, or one that says nothing."""
    clear = float((view.opacity < CLEAR_OPACITY).mean())
    if clear >= limits.clear_share:
        return None
    return f"{clear:.1%} of its pixels are transparent; a cut-out object has at least {limits.clear_share:.0%}"


def nothing_opaque(view: SegmentView, limits: Thresholds) -> str | None:
    """Transparent everywhere: a mask taken from it would be empty."""
    if view.box != (0, 0, 0, 0):
        return None
    most = int(view.opacity.max()) / 255
    return f"its highest opacity is {most:.2f}; the object's must be above {MASK_OPACITY / 255:.1f}"


def image_too_small(view: SegmentView, limits: Thresholds) -> str | None:
    """Too few pixels for a chair with any margin: a thumbnail."""
    if max(view.image.size) >= limits.image_side:
        return None
    width, height = view.image.size
    return f"it is {width} x {height} pixels; the longer side must have at least {limits.image_side:g}"


def object_too_small(view: SegmentView, limits: Thresholds) -> str | None:
    """Too few pixels for a shape, or too small a part of the image.

    A composite takes the whole canvas, and would show such an object as a speck.
    """
    left, top, right, bottom = view.box
    width, height = right - left, bottom - top
    if max(width, height) < limits.object_side:
        return f"its object is {width} x {height} pixels; the longer side must have at least {limits.object_side:g}"
    extent = max(width / view.image.width, height / view.image.height)
    if extent < limits.object_extent:
        return (
            f"its object spans {extent:.0%} of the image's width or height (at least {limits.object_extent:.0%}); "
            "crop it to the object"
        )
    area = int((view.opacity[top:bottom, left:right] > MASK_OPACITY).sum())
    if area >= limits.object_area:
        return None
    return f"its object has {area} pixels; at least {limits.object_area:g} are needed"


def several_objects(view: SegmentView, limits: Thresholds) -> str | None:
    """More than one piece of similar size, or one piece with two summits.

    Small loose pieces are fine, and gaps of a pixel do not separate pieces.
    """
    return _pieces(view, limits) or _summits(view, limits)


def _pieces(view: SegmentView, limits: Thresholds) -> str | None:
    joined = grown(view.mask)
    pieces, count = ndimage.label(joined, _EIGHT_NEIGHBOURS)
    if count < 2:
        return None
    sizes = np.sort(np.bincount(pieces[view.mask], minlength=count + 1)[1:])[::-1]
    second, loose = float(sizes[1] / sizes[0]), float(1 - sizes[0] / sizes.sum())
    if second > limits.second_object:
        return f"its second piece is {second:.0%} of the largest (at most {limits.second_object:.0%})"
    if loose > limits.loose_pieces:
        return f"{loose:.0%} of it are {count - 1} pieces beside the largest (at most {limits.loose_pieces:.0%})"
    return None


def _summits(view: SegmentView, limits: Thresholds) -> str | None:
    """Two things side by side that touch or overlap.

    A chair has one back, and its arms do not rise far above what lies between them.
    """
    depth = valley_depth(view.mask)
    if depth <= limits.valley_depth:
        return None
    return (
        f"its upper outline falls by {depth:.0%} of its height between two summits (at most {limits.valley_depth:.0%})"
    )


def valley_depth(mask: NDArray[np.bool_]) -> float:
    """How deep the upper outline of a mask [H, W] dips between two higher places, as a share of the object's height.

    An empty mask gives 0.

    Only where at least a tenth of the object lies on either side: legs, arms and knobs at its ends are no summits.
    Spikes thinner than a fiftieth of its width are smoothed away.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return 0.0
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = part.shape
    top = np.where(part.any(axis=0), height - part.argmax(axis=0), 0) / height
    top = ndimage.median_filter(top, max(1, width // 25))
    left, right = np.maximum.accumulate(top), np.maximum.accumulate(top[::-1])[::-1]
    before = np.cumsum(part.sum(axis=0)) / part.sum()
    between = (before > 0.1) & (before < 0.9)
    return float((np.minimum(left, right) - top)[between].max(initial=0))


def object_cut(view: SegmentView, limits: Thresholds) -> str | None:
    """Cut by the frame: the object is as broad there as just inside, in one broad part or in several thin ones."""
    return _body_cut(view, limits) or _legs_cut(view, limits)


def _body_cut(view: SegmentView, limits: Thresholds) -> str | None:
    """An object that merely touches the frame, as in an image cropped to its box, does so with a curved or blended
    outline: only fully opaque pixels count, and only where the object is not much broader a little further in.
    """
    opacity = view.opacity
    depth = _cut_depth(opacity)
    if min(opacity.shape) <= 2 * depth:
        return None
    edges = {
        "top": opacity[: depth + 1],
        "bottom": opacity[::-1][: depth + 1],
        "left": opacity.T[: depth + 1],
        "right": opacity.T[::-1][: depth + 1],
    }
    shares = {name: cut_share(strip) for name, strip in edges.items()}
    worst = max(shares, key=lambda name: shares[name])
    if shares[worst] <= limits.edge_cut:
        return None
    return f"{shares[worst]:.0%} of the frame's {worst} edge is object (at most {limits.edge_cut:.0%})"


def cut_share(strip: np.ndarray) -> float:
    """Of [depth, length] opacities, the frame's edge first: the share of the edge that is solid all the way in."""
    edge = strip[0] >= _OPAQUE
    broad = np.count_nonzero(strip[-1] > MASK_OPACITY)
    # A touching outline widens quickly; a cut one goes on as it is.
    if np.count_nonzero(edge) < 0.6 * broad:
        return 0.0
    return float((edge & (strip >= _OPAQUE).all(axis=0)).mean())


def _legs_cut(view: SegmentView, limits: Thresholds) -> str | None:
    """Legs cut by the frame: all end on its bottom edge, as broad as above it.

    Two feet may do so in an honest image. Of more feet, some stand further back and end higher.
    """
    depth = _cut_depth(view.opacity)
    rows = view.opacity[::-1][: _LEG_DEPTHS * depth + 1 : depth]
    inside = rows > MASK_OPACITY
    if len(rows) <= _LEG_DEPTHS or np.count_nonzero(inside[0]) < _LEG_BREADTH * np.count_nonzero(inside[1]):
        return None
    legs = min(_runs(rows[0] >= _OPAQUE), *(_runs(row) for row in inside))
    if legs <= limits.legs_cut:
        return None
    return f"{legs} legs end on the frame's bottom edge as broad as they are above it (at most {limits.legs_cut:g})"


def _cut_depth(opacity: NDArray[np.uint8]) -> int:
    return max(2, round(_CUT_DEPTH * max(opacity.shape)))


def _runs(row: NDArray[np.bool_]) -> int:
    """How many unbroken runs of true pixels a row has."""
    return int(np.count_nonzero(row[1:] & ~row[:-1]) + row[0])
