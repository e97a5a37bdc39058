"""Named rules that refuse an image which decodes well but is not fit to be a segment or a background.

A rule takes a view of the image and the :class:`Thresholds`, and returns None or the refusal in words with the figure
it rests on and the limit that this passes. :data:`SEGMENT_RULES` and :data:`BACKGROUND_RULES` are tried in order, and
the first refusal counts: a new rule is a function and a place in a tuple. What a rule finds is shown to the person who
gave the image as ``rule name: explanation``, the name being the function's with spaces.

Figures are measured on copies with a longer side of at most 256 pixels, the largest composite's (512 where fringes or
fine squares matter): what does not show there does no harm.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from PIL import Image

from chairfinder.screening import rooms
from chairfinder.screening.objects import (
    image_too_small,
    no_real_alpha,
    nothing_opaque,
    object_cut,
    object_too_small,
    several_objects,
)
from chairfinder.screening.patterns import painted_checkerboard, painted_panel
from chairfinder.screening.residue import drawing, halo, soft_shadow, translucent, watermark, white_remnant
from chairfinder.screening.thresholds import Thresholds, parse_thresholds, threshold_help
from chairfinder.screening.views import BackgroundView, SegmentView

__all__ = [
    "BACKGROUND_RULES",
    "SEGMENT_RULES",
    "BackgroundRule",
    "BackgroundView",
    "SegmentRule",
    "SegmentView",
    "Thresholds",
    "parse_thresholds",
    "refusals",
    "rule_name",
    "screen_background",
    "screen_segment",
    "threshold_help",
]

SegmentRule = Callable[[SegmentView, Thresholds], str | None]
BackgroundRule = Callable[[BackgroundView, Thresholds], str | None]

#: In order: each may rely on what those before it have ruled out.
SEGMENT_RULES: tuple[SegmentRule, ...] = (
    painted_checkerboard,
    no_real_alpha,
    nothing_opaque,
    image_too_small,
    object_too_small,
    painted_panel,
    several_objects,
    watermark,
    translucent,
    soft_shadow,
    white_remnant,
    halo,
    drawing,
    object_cut,
)
BACKGROUND_RULES: tuple[BackgroundRule, ...] = (
    rooms.image_too_small,
    rooms.no_detail,
    rooms.flat_graphic,
    rooms.plan,
    rooms.collage,
)

_DEFAULTS = Thresholds()
View = TypeVar("View", SegmentView, BackgroundView)


def screen_segment(
    image: Image.Image, rules: Sequence[SegmentRule] | None = None, thresholds: Thresholds | None = None
) -> str | None:
    """Why an RGBA image cannot be a segment, as ``name: explanation``, or None. Raises ValueError for another mode."""
    found = refusals(SegmentView(image), SEGMENT_RULES if rules is None else rules, thresholds or _DEFAULTS)
    return next(found, None)


def screen_background(
    image: Image.Image, rules: Sequence[BackgroundRule] | None = None, thresholds: Thresholds | None = None
) -> str | None:
    """Why an RGB image cannot be a background, as ``name: explanation``, or None.

    Raises ValueError for another mode.
    """
    found = refusals(BackgroundView(image), BACKGROUND_RULES if rules is None else rules, thresholds or _DEFAULTS)
    return next(found, None)


def refusals(
    view: View, rules: Sequence[Callable[[View, Thresholds], str | None]], thresholds: Thresholds
) -> Iterator[str]:
    """Every rule's refusal, in order, each made only when asked for; the first is what :func:`screen_segment` gives."""
    for rule in rules:
        refusal = rule(view, thresholds)
        if refusal is not None:
            yield f"{rule_name(rule)}: {refusal}"


def rule_name(rule: Callable[..., str | None]) -> str:
    """As it stands in refusals: the function's name with spaces."""
    return rule.__name__.replace("_", " ")
