"""Named rules that refuse an image which decodes well but is not fit to be a segment or a background.

A rule takes an image as an array and returns None, or the refusal in words with the figure it rests on. :data:`SEGMENT_RULES`
and :data:`BACKGROUND_RULES` are tried in order, and the first refusal counts: a new rule is a function and a place in a tuple.
What a rule finds is shown to the person who gave the image as ``rule name: explanation``.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = [
    "BACKGROUND_RULES",
    "MASK_OPACITY",
    "MIN_SIDE",
    "SEGMENT_RULES",
    "Rule",
    "object_box",
    "screen_background",
    "screen_segment",
]

Pixels = NDArray[np.uint8]
Rule = Callable[[Pixels], str | None]

#: Opacity, of 255, above which a pixel belongs to the object: 0.4, the released code's rule for masks.
MASK_OPACITY = 102
#: Opacity, of 255, below which a pixel counts as transparent: 0.03.
CLEAR_OPACITY = 8
#: Least share of transparent pixels. Product photos cut out by hand have 20 % and more; stray pixels are no cut-out.
MIN_CLEAR_SHARE = 0.01
#: Least width and height of the object (segments) or image (backgrounds), in pixels.
MIN_SIDE = 16
#: A chair fills 18 to 88 % of its own box; from this share on the box itself is what is opaque.
PANEL_FILL = 0.97
#: Of 255: how far a colour may be from the backdrop's and still be the backdrop.
PANEL_TOLERANCE = 8
#: Share of the panel's margin that must be backdrop (the object may touch it), and of the panel that must not be.
PANEL_MARGIN_SHARE = 0.5
PANEL_OBJECT_SHARE = 0.05


def screen_segment(image: Image.Image, rules: Sequence[Rule] | None = None) -> str | None:
    """Why an RGBA image cannot be a segment, as ``name: explanation``; None where it can."""
    return _screen(np.asarray(image), SEGMENT_RULES if rules is None else rules)


def screen_background(image: Image.Image, rules: Sequence[Rule] | None = None) -> str | None:
    """Why an RGB image cannot be a background, as ``name: explanation``; None where it can."""
    return _screen(np.asarray(image), BACKGROUND_RULES if rules is None else rules)


def object_box(opacity: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (the last two exclusive) of the pixels above :data:`MASK_OPACITY` in [H, W]; zeros if none is."""
    inside = opacity > MASK_OPACITY
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def no_real_alpha(pixels: Pixels) -> str | None:
    """Opaque everywhere: no alpha channel, or one that says nothing (a checkerboard painted into the colours is no alpha)."""
    clear = float((pixels[..., 3] < CLEAR_OPACITY).mean())
    if clear >= MIN_CLEAR_SHARE:
        return None
    return f"{clear:.1%} of its pixels are transparent; a cut-out object has at least {MIN_CLEAR_SHARE:.0%}"


def nothing_opaque(pixels: Pixels) -> str | None:
    """Transparent everywhere: a mask taken from it would be empty."""
    if object_box(pixels[..., 3]) != (0, 0, 0, 0):
        return None
    most = int(pixels[..., 3].max()) / 255
    return f"its highest opacity is {most:.2f}; the object's must be above {MASK_OPACITY / 255:.1f}"


def object_too_small(pixels: Pixels) -> str | None:
    """Too few pixels for a shape."""
    left, top, right, bottom = object_box(pixels[..., 3])
    return _too_small("its object", right - left, bottom - top)


def painted_panel(pixels: Pixels) -> str | None:
    """An opaque rectangle with the object painted on a plain backdrop: the alpha outlines the panel."""
    left, top, right, bottom = object_box(pixels[..., 3])
    panel = pixels[top:bottom, left:right]
    fill = float((panel[..., 3] > MASK_OPACITY).mean())
    if fill < PANEL_FILL:
        return None
    # One pixel further in: the outermost ones are often blended with what was outside.
    colours = panel[1:-1, 1:-1, :3].astype(np.int16)
    margin = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    backdrop = np.median(margin, axis=0)
    margin_share = float((np.abs(margin - backdrop).max(axis=-1) <= PANEL_TOLERANCE).mean())
    object_share = float((np.abs(colours - backdrop).max(axis=-1) > PANEL_TOLERANCE).mean())
    if margin_share < PANEL_MARGIN_SHARE or object_share < PANEL_OBJECT_SHARE:
        return None
    return (
        f"{fill:.0%} of the object's box is opaque, {margin_share:.0%} of its margin one colour: a panel, not an object"
    )


def image_too_small(pixels: Pixels) -> str | None:
    """Too few pixels for a background."""
    return _too_small("it", pixels.shape[1], pixels.shape[0])


#: In order: each may rely on what those before it have ruled out.
SEGMENT_RULES: tuple[Rule, ...] = (no_real_alpha, nothing_opaque, object_too_small, painted_panel)
BACKGROUND_RULES: tuple[Rule, ...] = (image_too_small,)


def _screen(pixels: Pixels, rules: Sequence[Rule]) -> str | None:
    for rule in rules:
        refusal = rule(pixels)
        if refusal is not None:
            return f"{rule.__name__.replace('_', ' ')}: {refusal}"
    return None


def _too_small(what: str, width: int, height: int) -> str | None:
    if min(width, height) >= MIN_SIDE:
        return None
    return f"{what} is {width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed"
