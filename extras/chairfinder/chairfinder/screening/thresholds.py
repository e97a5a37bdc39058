"""The thresholds of all screening rules: each has a name, a unit, a default and the values that make sense.

The defaults come from looking at product photos of chairs with hand-made cut-outs and at photos of rooms.
``benchmarks/screening_thresholds.py`` measures how far each lies from good images and from copies with the damage that
it is there for. Of 150 chairs and 150 rooms of ``mini`` none is refused; 20 of 30 thresholds find 99 % or more of the
damaged copies, the weakest, ``legs_cut``, 30 %.

Sizes below which there is too little to see are in pixels of the image itself. All other lengths are tied to no image
size: they are shares of the image or object, or pixels of a copy whose longer side is at most 256 or 512, because
composites are never larger than 256 pixels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from chairlib.core.errors import ParameterError


def _threshold(default: float, unit: str, high: float, meaning: str) -> Any:
    return field(default=default, metadata={"unit": unit, "high": high, "meaning": meaning})


def _share(default: float, meaning: str, high: float = 1.0) -> Any:
    return _threshold(default, "share", high, meaning)


def _pixels(default: float, meaning: str) -> Any:
    return _threshold(default, "pixels", 100_000, meaning)


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What the rules compare their figures with. Shares are fractions (0.15 is 15 %), not per cent.

    Every value lies between 0 and the highest that makes sense for it. Raises ParameterError for one that doesn't.
    """

    checkerboard_match: float = _share(0.6, "least agreement of the pixels with a two-tone checkerboard to be one")
    checkerboard_share: float = _share(0.02, "least share of the image that such squares must cover to be one")
    clear_share: float = _share(0.01, "least share of transparent pixels")
    object_side: float = _pixels(80, "least longer side of the object's box")
    object_extent: float = _share(0.35, "least share of the image's width or height, the larger, that the object spans")
    object_area: float = _pixels(600, "least number of pixels of the object")
    image_side: float = _pixels(128, "least longer side of a segment's image")
    panel_fit: float = _share(
        0.94, "least overlap of a plain area's outline with a rectangle, rounded rectangle or ellipse"
    )
    panel_object: float = _share(0.05, "least share of such a panel that something else covers")
    photo_fit: float = _share(
        0.985, "least overlap of the object's outline with such a shape for it to be a photograph's frame"
    )
    photo_rim: float = _share(0.15, "largest share of such an outline's rim that has none of three smooth colours")
    second_object: float = _share(0.08, "largest second piece of the object, as a share of the largest")
    loose_pieces: float = _share(0.15, "largest share of the object that all pieces but the largest may hold")
    valley_depth: float = _share(
        0.25, "deepest valley between two summits of the object's upper outline, as a share of its height"
    )
    edge_cut: float = _share(0.08, "largest share of any of the frame's four edges that the object may cover")
    legs_cut: float = _threshold(2, "legs", 100, "most legs that may end on the frame's bottom edge as if cut by it")
    translucent_share: float = _share(0.15, "largest share of the object with opacity below 0.9 away from its outline")
    shadow_share: float = _share(0.8, "largest area of soft shadow or haze, as a share of the object's", high=100)
    shadow_in_object: float = _share(0.06, "largest share of the object that is a dark shadow above opacity 0.4")
    watermark_spread: float = _share(
        0.3, "largest share of the empty cells of a 6 x 6 grid that may hold thin faint strokes"
    )
    halo_share: float = _share(0.45, "largest share of the outline with a fringe much lighter than what lies inside it")
    remnant_share: float = _share(0.04, "largest share of the object that is flat white with a sharp border")
    drawing_share: float = _share(
        0.18, "largest share of the object, neither black nor white, whose neighbouring pixels are the same"
    )
    duplicate_bits: float = _threshold(
        12, "bits", 256, "most of 256 hash bits in which a near-duplicate differs from an earlier image; 0 keeps all"
    )
    background_side: float = _pixels(128, "least shorter side of a background")
    background_aspect: float = _threshold(4, "ratio", 100, "largest ratio of a background's sides")
    plan_paper: float = _share(0.6, "largest share of a background that may be one plain light or dark paper colour")
    graphic_flat: float = _share(0.7, "largest share of a background whose neighbouring pixels have the same colour")
    graphic_colours: float = _share(0.9, "largest share of a background that its 12 commonest colours may cover")
    collage_gutter: float = _share(
        0.98, "share of the background's length that a plain strip must cover to be a gutter"
    )
    background_detail: float = _threshold(4, "levels", 255, "least spread of a background's brightness")

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            high = item.metadata["high"]
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
                raise ParameterError(
                    f"threshold {item.name} is {value!r}; it is a {item.metadata['unit']} between 0 and {high:g} "
                    f"({item.metadata['meaning']})."
                )

    @classmethod
    def of(cls, values: Mapping[str, float]) -> "Thresholds":
        """The defaults, except ``values`` by name.

        Raises ParameterError for an unknown name, and lists them, or a bad value.
        """
        known = [item.name for item in fields(cls)]
        for name in values:
            if name not in known:
                raise ParameterError(f"there is no threshold {name!r}; there are: {', '.join(known)}.")
        return cls(**values)


def parse_thresholds(settings: Iterable[str]) -> Thresholds:
    """The defaults, except those set by texts ``NAME=VALUE``, as on the command line.

    Raises ParameterError, as :meth:`Thresholds.of`.
    """
    values: dict[str, float] = {}
    for setting in settings:
        name, sign, value = (part.strip() for part in setting.partition("="))
        if not sign:
            raise ParameterError(f"threshold {setting!r} is not of the form NAME=VALUE, such as edge_cut=0.2.")
        if name in values:
            raise ParameterError(f"threshold {name} is given twice; give it once.")
        try:
            values[name] = float(value)
        except ValueError as error:
            Thresholds.of({name: 0})  # an unknown name is the first thing to say
            raise ParameterError(f"threshold {name} is {value!r}; a number is expected.") from error
    return Thresholds.of(values)


def threshold_help() -> str:
    """A line for each threshold: name, default, unit and meaning."""
    return "\n".join(
        f"{item.name}={item.default:g} ({item.metadata['unit']}): {item.metadata['meaning']}"
        for item in fields(Thresholds)
    )
