"""Finds what a careless cut-out leaves: fringes, white patches, shadows, haze, watermarks; and drawings."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from chairfinder.screening.thresholds import Thresholds
from chairfinder.screening.views import (
    CLEAR_OPACITY,
    MASK_OPACITY,
    SOLID_OPACITY,
    SegmentView,
    channel_range,
    grown,
    shrunk,
)

Mask = NDArray[np.bool_]

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
_GRID_SIDE = 6
#: Least step of opacity, of 255, at a watermark's strokes.
_STROKE_STEP = 6
#: Opacity, of 255, from which on a pixel is more than a trace: 0.1.
_TRACE_OPACITY = 26
#: Opacity, of 255, that varies by more than this within 7 pixels is that of wires and weaves.
_MESH_STEP = 60
#: Shadows are dark and without colour; both of 255.
_SHADOW_LIGHT, _SHADOW_COLOUR = 90, 36
#: They lie in the lowest part of the object or below it; from here down, as a share of its height.
_SHADOW_FLOOR = 0.67
#: Drop shadows lie anywhere, so only what is nearly black counts; both of 255.
_DROP_LIGHT, _DROP_COLOUR = 40, 16
#: A fringe is light and without colour, and this much lighter than what lies inside it.
_FRINGE_LIGHT, _FRINGE_COLOUR, _FRINGE_STEP = 205, 36, 50
#: Least share of the outline that must belong to thick parts. Where most of it is tubes and wires, light ones look like
#: fringes.
_FRINGE_OUTLINE = 0.4
#: A patch of leftover paper is at least this light and this close to grey, and its neighbours are this much darker.
_PAPER_LIGHT, _PAPER_COLOUR, _PAPER_STEP = 238, 8, 40
#: From here up to paper, grey pixels are the shades of something white.
_SHADE_LIGHT = 140
#: Least share of a patch's border where darker object begins, and where this or nothing does.
_PAPER_ENCLOSED, _PAPER_SHARP = 0.35, 0.85


def translucent(view: SegmentView, limits: Thresholds) -> str | None:
    """A body that lets the background through, or fades out: its mask is a matter of taste."""
    body = _translucent_areas(view) & view.mask & ~_shadow_like(view)
    share = float(np.count_nonzero(body)) / view.area
    if share <= limits.translucent_share:
        return None
    return f"{share:.0%} of its object has an opacity below 0.9 (at most {limits.translucent_share:.0%})"


def soft_shadow(view: SegmentView, limits: Thresholds) -> str | None:
    """A shadow that counts as object, or one (or haze) so large that it changes the picture around the object.

    Masks take opacity above 0.4, so an ordinary soft shadow stays out of them, and stays in the picture as it should.
    """
    shadow = (_translucent_areas(view) & _shadow_like(view)) | _drop_shadow(view)
    inside = float(np.count_nonzero(shadow & view.mask)) / view.area
    if inside > limits.shadow_in_object:
        return f"{inside:.0%} of its object is shadow of opacity above 0.4 (at most {limits.shadow_in_object:.0%})"
    faint = (view.coarse[..., 3] >= CLEAR_OPACITY) & ~view.mask & ~grown(view.mask)
    share = float(np.count_nonzero(faint)) / view.area
    if share <= limits.shadow_share:
        return None
    return f"shadow or haze covers {share:.0%} of the object's area around it (at most {limits.shadow_share:.0%})"


def watermark(view: SegmentView, limits: Thresholds) -> str | None:
    """Thin strokes, lettering or lines, repeated over what should be transparent, on all sides of the object."""
    opacity = view.coarse[..., 3]
    pieces, count = ndimage.label(grown(view.mask), _EIGHT_NEIGHBOURS)
    main = pieces == 1 + np.bincount(pieces[view.mask], minlength=count + 1)[1:].argmax() if count else view.mask
    around = max(2, round(0.015 * max(opacity.shape)))
    free = ~grown(main, around)
    if not (opacity[free] >= 3).any():
        return None
    width = 2 * max(2, round(0.02 * max(opacity.shape))) + 1
    # What is thin stands out above its opening; a soft shadow is as wide as its opening, and its slopes are gentle.
    strokes = free & (opacity - ndimage.grey_opening(opacity, (width, width)) >= 3)
    strokes &= ndimage.maximum_filter(opacity, 3) - ndimage.minimum_filter(opacity, 3) >= _STROKE_STEP
    empty, hit, upper = 0, 0, 0
    for row, (cells, frees) in enumerate(zip(_grid_cells(strokes), _grid_cells(free), strict=True)):
        for cell, open_ in zip(cells, frees, strict=True):
            room = np.count_nonzero(open_)
            if room < 0.3 * open_.size:
                continue
            empty += 1
            if np.count_nonzero(cell) > 0.015 * room:
                hit += 1
                upper += int(row < _GRID_SIDE // 2)
    spread = hit / empty if empty else 0.0
    if empty < 3 or upper < 2 or spread <= limits.watermark_spread:
        return None
    return (
        f"thin strokes in {spread:.0%} of the cells that should be transparent (at most {limits.watermark_spread:.0%})"
    )


def halo(view: SegmentView, limits: Thresholds) -> str | None:
    """A fringe of the old, light backdrop along the outline, unlike what lies inside it."""
    pixels, mask = view.fine, view.fine[..., 3] > MASK_OPACITY
    inner = shrunk(mask, 2)
    rim = mask & ~inner & (pixels[..., 3] >= 128)
    low, high = channel_range(pixels)
    light = rim & (low >= _FRINGE_LIGHT) & (high - low <= _FRINGE_COLOUR)
    least = max(40, _FRINGE_OUTLINE * np.count_nonzero(rim))
    if np.count_nonzero(light) <= limits.halo_share * least:
        return None
    # Only where the object is thick enough to have an inside; thin bars are all rim.
    core = shrunk(inner, 2)
    weight = ndimage.uniform_filter(core.astype(np.float32), 13)
    thick = weight > 1e-3
    count = np.count_nonzero(rim & thick)
    if count < least:
        return None
    light &= thick
    inside = ndimage.uniform_filter(np.where(core, low, 0).astype(np.float32), 13)[light] / weight[light]
    fringe = low[light] - inside >= _FRINGE_STEP
    share = float(np.count_nonzero(fringe)) / count
    if share <= limits.halo_share:
        return None
    return f"{share:.0%} of the outline has a white fringe (at most {limits.halo_share:.0%})"


def white_remnant(view: SegmentView, limits: Thresholds) -> str | None:
    """Patches of the old white backdrop between legs or slats: flat and white, next to darker object or to nothing."""
    paper = (view.darkest >= _PAPER_LIGHT) & (view.lightest - view.darkest <= _PAPER_COLOUR)
    paper &= view.coarse[..., 3] >= SOLID_OPACITY
    if np.count_nonzero(paper) <= limits.remnant_share * view.area:
        return None
    pieces, count = ndimage.label(grown(shrunk(paper)))
    if not count:
        return None
    # White upholstery has shades; paper has none.
    shades = view.mask & (view.darkest >= _SHADE_LIGHT) & (view.lightest - view.darkest <= _PAPER_COLOUR) & ~paper
    n_shades = np.count_nonzero(shades)
    darker = (view.darkest < _PAPER_LIGHT - _PAPER_STEP) & view.mask
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    total = 0
    for number, place in enumerate(ndimage.find_objects(pieces), start=1):
        if sizes[number] < 0.002 * view.area:
            continue
        around = tuple(slice(max(0, side.start - 4), side.stop + 4) for side in place)
        piece = pieces[around] == number
        ring = grown(piece, 4) & ~grown(piece, 2)
        border = max(1, int(np.count_nonzero(ring)))
        enclosed = int(np.count_nonzero(darker[around] & ring)) / border
        open_ = int(np.count_nonzero(ring & ~view.mask[around])) / border
        if enclosed >= _PAPER_ENCLOSED and enclosed + open_ >= _PAPER_SHARP:
            total += int(sizes[number])
    share = total / view.area
    if share <= limits.remnant_share or total < n_shades:
        return None
    return f"{share:.0%} of its object is flat white with a sharp border (at most {limits.remnant_share:.0%})"


def drawing(view: SegmentView, limits: Thresholds) -> str | None:
    """A drawing: areas of exactly one colour, which no photograph or rendering has but where it is black or white."""
    inner = shrunk(view.coarse[..., 3] >= 250)
    toned = inner & (view.lightest > 60) & (view.darkest < 240)
    count = np.count_nonzero(toned)
    if count < 0.2 * view.area:
        return None
    # 3 x 3 pixels alike: smooth photographs have pairs by chance.
    plain = ndimage.minimum_filter((view.variation == 0).view(np.uint8), 2).astype(bool)
    share = float(np.count_nonzero(toned & plain)) / count
    if share <= limits.drawing_share:
        return None
    return f"{share:.0%} of its toned pixels equal their neighbours (at most {limits.drawing_share:.0%}): a drawing"


def _translucent_areas(view: SegmentView) -> Mask:
    """Pixels of opacity 0.1 to 0.9 that belong neither to an outline nor to a mesh.

    All pixels around them have much the same opacity.
    """
    opacity = view.coarse[..., 3]
    middling = _middling(opacity)
    core = shrunk(middling, 2)
    if core.any():
        core &= ndimage.maximum_filter(opacity, 7) - ndimage.minimum_filter(opacity, 7) <= _MESH_STEP
    return grown(core, 4) & middling


def _shadow_like(view: SegmentView) -> Mask:
    """Dark pixels without colour, in the lowest third of the object or below it."""
    rows = np.flatnonzero(view.mask.any(axis=1))
    floor = rows[0] + _SHADOW_FLOOR * (rows[-1] - rows[0]) if len(rows) else 0
    low = np.arange(view.mask.shape[0])[:, None] >= floor
    shadow: Mask = low & (view.lightest <= _SHADOW_LIGHT) & (view.lightest - view.darkest <= _SHADOW_COLOUR)
    return shadow


def _drop_shadow(view: SegmentView) -> Mask:
    """Nearly black pixels of opacity 0.1 to 0.9, in bands too broad for an outline and connected to the outside.

    Smoked glass in a frame is not connected to it.
    """
    opacity = view.coarse[..., 3]
    black = (view.lightest <= _DROP_LIGHT) & (view.lightest - view.darkest <= _DROP_COLOUR)
    soft = _middling(opacity) & black
    soft &= grown(shrunk(soft, 2), 3)
    pieces, _ = ndimage.label(np.pad(soft | (opacity < _TRACE_OPACITY), 1, constant_values=True))
    outside: Mask = pieces[1:-1, 1:-1] == pieces[0, 0]
    return soft & outside


def _middling(opacity: NDArray[np.uint8]) -> Mask:
    found: Mask = (opacity >= _TRACE_OPACITY) & (opacity < SOLID_OPACITY)
    return found


def _grid_cells(values: Mask) -> list[list[Mask]]:
    return [np.array_split(band, _GRID_SIDE, axis=1) for band in np.array_split(values, _GRID_SIDE, axis=0)]
