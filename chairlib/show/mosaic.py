"""Images and masks checked, and laid out in rows of square cells in which every pixel is an equal square.

Images are [N, d, d, 3] or, laid over a checkerboard, [N, d, d, 4]: uint8 in [0, 255] or float in [0, 1]. Masks are
[N, d, d], boolean or of zeros and ones.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from numpy.typing import ArrayLike, NDArray
from PIL import ImageColor

from chairlib.core.errors import ParameterError
from chairlib.show.canvas import GREY, GROUND, INK, WIDTH

#: Colours of a prediction against the truth, on black: they differ in lightness as well as in hue.
HIT, FALSE_ALARM, MISS = (255, 255, 255), (213, 94, 0), (86, 180, 233)
#: They, and the black of what is neither, in the order that the scripts of widgets take them.
AGREEMENT = (HIT, FALSE_ALARM, MISS, (0, 0, 0))
_LINE = 13 * 1.4 / 72  # height of a line of text, in inches
_GROUND_RGB = ImageColor.getrgb(GROUND)
_GAP = 0.06  # between cells, in inches


def as_rgb(images: ArrayLike) -> NDArray[np.uint8]:
    """Check images and give them as uint8 [N, h, w, 3]. One image counts as N = 1; RGBA is laid over a checkerboard."""
    array = np.asarray(images)
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[-1] not in (3, 4) or not array.size:
        shapes = "[N, d, d, 3] or [N, d, d, 4], channels last and at least one"
        raise ParameterError(f"images must be {shapes}; {_describe_array(array)}.")
    if np.issubdtype(array.dtype, np.floating):
        # Written so that NaN fails too.
        if not (array.min() >= 0 and array.max() <= 1):
            problem = f"float images must lie in [0, 1]; {_describe_array(array)}"
            raise ParameterError(f"{problem}. Divide by 255, or give uint8.")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ParameterError(f"images must be uint8 in [0, 255] or float in [0, 1]; {_describe_array(array)}.")
    if array.shape[-1] == 3:
        return array
    square = max(2, array.shape[2] // 16)
    rows, columns = np.indices(array.shape[1:3]) // square
    board = np.where((rows + columns) % 2, 255, 208)[None, :, :, None]
    opacity = array[..., 3:] / 255
    return np.rint(array[..., :3] * opacity + board * (1 - opacity)).astype(np.uint8)


def as_masks(masks: ArrayLike) -> NDArray[np.bool_]:
    """Check masks and give them as bool [N, h, w]. One mask counts as N = 1."""
    array = np.asarray(masks)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or not array.size:
        raise ParameterError(f"masks must be [N, d, d], at least one; {_describe_array(array)}.")
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        problem = f"masks must be boolean or of zeros and ones; {_describe_array(array)}"
        raise ParameterError(f"{problem}. Threshold them first.")
    return array.astype(bool)


def _describe_array(array: NDArray[Any]) -> str:
    """Dtype, shape and range of an array, for the message of an error."""
    span = f", values {array.min()} to {array.max()}" if array.size else ""
    return f"found {array.dtype}, shape {list(array.shape)}{span}"


def check_same_count(**arrays: Any) -> None:
    """Raise ParameterError unless all have the same length."""
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ParameterError(f"these must have one entry per image: {found}.")


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """IoU of two masks in per cent; NaN where both are empty."""
    union = int((a | b).sum())
    return 100 * int((a & b).sum()) / union if union else math.nan


def mask_picture(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A mask [h, w] as white on black, uint8 [h, w, 3]."""
    return np.dstack([np.where(mask, 255, 0).astype(np.uint8)] * 3)


def agreement_picture(predicted: NDArray[np.bool_], target: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Where masks [..., h, w] agree with the true ones: :data:`HIT`, :data:`FALSE_ALARM` and :data:`MISS` on black."""
    picture = np.zeros((*target.shape, 3), dtype=np.uint8)
    picture[predicted & target] = HIT
    picture[predicted & ~target] = FALSE_ALARM
    picture[~predicted & target] = MISS
    return picture


def thumbnails(images: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Halve images [N, h, w, 3] until they hold no more pixels than a grid of so many columns can show.

    A page of composites of 256 pixels would take many MB.
    """
    while images.shape[1] * columns / WIDTH > 240 and images.shape[1] % 2 == images.shape[2] % 2 == 0:
        n, height, width, _ = images.shape
        images = np.rint(images.reshape(n, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4))).astype(np.uint8)
    return images


@dataclass(frozen=True)
class Row:
    """One row of a mosaic: pictures uint8 [h, w, 3] side by side, or a text in their place."""

    cells: Sequence[NDArray[np.uint8]] | str
    label: str = ""  # above the row
    notes: Sequence[str] = ()  # under each picture
    joined: bool = False  # close to the row above


def mosaic(
    rows: Sequence[Row], columns: int, legend: Mapping[str, tuple[int, int, int]] | None = None, largest: float = 2.9
) -> tuple[matplotlib.figure.Figure, list[list[Axes]]]:
    """Draw rows of square cells; gives the figure and the axes of every picture, row by row.

    ``legend``: name -> colour, below the rows. ``largest``: the widest that a cell may get, in inches. Show the
    figure at its own dpi: then each pixel of an image takes a whole number of the file's.
    """
    cell = min(largest, (WIDTH - _GAP * (columns + 1)) / columns)
    pictures = [picture for row in rows if not isinstance(row.cells, str) for picture in row.cells]
    pixels = max((max(picture.shape[:2]) for picture in pictures), default=1)
    side = math.ceil(150 * cell / pixels) * pixels
    dpi = side / cell
    gap, line = round(_GAP * dpi), round(_LINE * dpi)
    gaps = [max(2, gap // 4) if row.joined else gap for row in rows]
    bodies = [line if isinstance(row.cells, str) else side for row in rows]
    # Notes are broken where they are wider than a cell: a letter is about 0.085 inches wide.
    notes = [[textwrap.fill(note, max(5, int(cell / 0.085))) for note in row.notes] for row in rows]
    below = [max((note.count("\n") + 1 for note in own), default=0) for own in notes]
    parts = zip(gaps, bodies, rows, below, strict=True)
    heights = [g + body + line * (bool(row.label) + lines) for g, body, row, lines in parts]
    width = max(gap + columns * (side + gap), round(5.2 * dpi) if legend else 0)  # a legend of three fits
    total = sum(heights) + gap + (round(line * 1.3) if legend else 0)
    fig = matplotlib.figure.Figure(figsize=(width / dpi, total / dpi), dpi=dpi)
    axes: list[list[Axes]] = []
    top = total
    for row, above, height, own in zip(rows, gaps, heights, notes, strict=True):
        y = top - above
        if row.label:
            fig.text(gap / width, (y - line * 0.45) / total, row.label, va="center", weight="bold")
            y -= line
        if isinstance(row.cells, str):
            fig.text(gap / width, (y - line * 0.45) / total, row.cells, va="center", color=GREY, style="italic")
        axes.append([])
        for number, picture in enumerate([] if isinstance(row.cells, str) else row.cells):
            x = gap + number * (side + gap)
            ax = fig.add_axes((x / width, (y - side) / total, side / width, side / total))
            ax.imshow(picture, interpolation="nearest")
            # A hairline around it, outside: a mask that is white all over must not vanish on the light ground.
            corner, size = ((x - 1) / width, (y - side - 1) / total), ((side + 2) / width, (side + 2) / total)
            look: dict[str, Any] = {
                "color": GROUND if (picture == _GROUND_RGB).all() else "#c9c0b0",
                "linewidth": 0,
                "zorder": -1,
            }
            fig.add_artist(Rectangle(corner, *size, **look))
            ax.set_axis_off()
            axes[-1].append(ax)
            for at, words in enumerate(own[number].split("\n") if own else ()):
                fig.text((x + side / 2) / width, (y - side - line * (at + 0.75)) / total, words, ha="center")
        top -= height
    if legend:
        patches = [
            Patch(facecolor="#{:02x}{:02x}{:02x}".format(*colour), edgecolor=INK, linewidth=0.6, label=name)
            for name, colour in legend.items()
        ]
        spacing = {"borderaxespad": 0.3, "handlelength": 1, "columnspacing": 1.2}
        fig.legend(handles=patches, loc="lower left", ncols=len(patches), **spacing)
    return fig, axes
