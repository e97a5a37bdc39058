"""The figures of the book: arrays and data frames in, a picture with alternative text out.

Figures 1 to 6 of the paper are drawn with these functions. Every picture is an HTML ``<img>`` whose alternative
text is written from the data it shows, so that JupyterLab, the rendered site and a screen reader tell the same story. Titles and
captions are HTML text, which stays legible on a phone and in dark mode; the picture itself is an opaque white card.

Images are arrays [N, d, d, 3], uint8 in [0, 255] or float in [0, 1]; masks are [N, d, d], boolean or of zeros and ones; opacity is
uint8. Nothing here trains, reads a file or changes matplotlib's global state.
"""

import base64
import html
import io
import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib.figure
import matplotlib.style
import numpy as np
import pandas as pd
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from chairlib.core.errors import ParameterError
from chairlib.show.outlines import polygon_outline, rasterise

__all__ = [
    "PALETTE",
    "Figure",
    "composite_grid",
    "distance_histogram",
    "figure4",
    "figure5",
    "foreground_histogram",
    "iou_by_resolution",
    "iou_by_share",
    "iou_over_images",
    "iou_over_steps",
    "kept_and_refused",
    "named_grid",
    "outline_against_mask",
    "pair_grid",
    "predictions",
    "resolution_strip",
    "show",
    "steps_to_reach",
    "training_curves",
]

#: Okabe and Ito's colours, told apart with every common colour blindness; its yellow is left out, too faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_GREY = "#666666"
#: Beside its colour, every line that stands for a label has a dash pattern and a marker of its own, and every bar a hatch.
_DASHES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo")
#: Colours of a prediction against the truth, on black: they differ in lightness as well as in hue.
_HIT, _FALSE_ALARM, _MISS = (255, 255, 255), (213, 94, 0), (86, 180, 233)

_STYLE = {
    "font.size": 12,
    "axes.labelsize": 12,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.8,
    "axes.formatter.use_mathtext": True,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
}
_WIDTH = 6.0  # inches; text of 12 points is then still about 10 pixels high on a phone
_CSS_PIXELS_PER_INCH = 100
_DPI = 200


class Figure(HTML):
    """A picture for a notebook or a web page: displays itself; ``png`` holds the file's bytes, ``alt`` its alternative text."""

    def __init__(self, png: bytes, alt: str, width: int, title: str = "", caption: str = "") -> None:
        self.png, self.alt, self.title, self.caption = png, alt, title, caption
        source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        image = (
            f'<img class="chair-figure" alt="{html.escape(alt)}" src="{source}" width="{width}" '
            'style="max-width:100%;height:auto;border-radius:8px;background:#fff">'
        )
        heading = f"{title.rstrip('.')}." if title else ""
        words = " ".join(
            filter(None, (f"<strong>{html.escape(heading)}</strong>" if heading else "", html.escape(caption)))
        )
        caption_html = f'<figcaption style="max-width:{width}px;margin-top:.4em">{words}</figcaption>' if words else ""
        super().__init__(f'<figure style="margin:0 0 1em;text-align:left">{image}{caption_html}</figure>')

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"


def show(
    fig: matplotlib.figure.Figure, alt: str, title: str = "", caption: str = "", dpi: float | None = None
) -> Figure:
    """Turn a matplotlib figure into a displayable picture.

    ``alt`` says in words what the picture shows. ``title`` and ``caption`` stand below it as HTML text. ``dpi`` is the
    resolution of the file (default 200, twice what a plain screen shows); it does not change the displayed size.
    """
    if not alt.strip():
        raise ParameterError("the alternative text of a figure is empty: say in words, with numbers, what it shows.")
    buffer = io.BytesIO()
    fig.savefig(
        buffer,
        format="png",
        dpi=dpi or _DPI,
        facecolor="white",
        metadata={"Software": None},
        pil_kwargs={"optimize": True},
    )
    return Figure(buffer.getvalue(), alt, round(fig.get_figwidth() * _CSS_PIXELS_PER_INCH), title, caption)


@contextmanager
def _style() -> Iterator[None]:
    """Our style over matplotlib's defaults, whatever style the reader's session has chosen; undone afterwards."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def _found(array: NDArray[Any]) -> str:
    span = f", values {array.min()} to {array.max()}" if array.size else ""
    return f"found {array.dtype}, shape {list(array.shape)}{span}"


def _as_rgb(images: ArrayLike) -> NDArray[np.uint8]:
    """Check images and give them as uint8 [N, h, w, 3]. One image counts as N = 1; RGBA is laid over a checkerboard."""
    array = np.asarray(images)
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[-1] not in (3, 4) or not array.size:
        raise ParameterError(
            f"images must be [N, d, d, 3] or [N, d, d, 4], channels last and at least one; {_found(array)}."
        )
    if np.issubdtype(array.dtype, np.floating):
        # Written so that NaN fails too.
        if not (array.min() >= 0 and array.max() <= 1):
            raise ParameterError(f"float images must lie in [0, 1]; {_found(array)}. Divide by 255, or give uint8.")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ParameterError(f"images must be uint8 in [0, 255] or float in [0, 1]; {_found(array)}.")
    return array if array.shape[-1] == 3 else _over_checkerboard(array)


def _over_checkerboard(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = images.shape[1:3]
    square = max(2, width // 16)
    rows, columns = np.indices((height, width)) // square
    board = np.where((rows + columns) % 2, 255, 208)[None, :, :, None]
    opacity = images[..., 3:] / 255
    return np.rint(images[..., :3] * opacity + board * (1 - opacity)).astype(np.uint8)


def _as_masks(masks: ArrayLike) -> NDArray[np.bool_]:
    """Check masks and give them as bool [N, h, w]. One mask counts as N = 1."""
    array = np.asarray(masks)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or not array.size:
        raise ParameterError(f"masks must be [N, d, d], at least one; {_found(array)}.")
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise ParameterError(f"masks must be boolean or of zeros and ones; {_found(array)}. Threshold them first.")
    return array.astype(bool)


def _same_count(**arrays: Any) -> None:
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        raise ParameterError(
            "these must have one entry per image: " + ", ".join(f"{n} has {c}" for n, c in counts.items()) + "."
        )


def _columns(frame: pd.DataFrame, names: Sequence[str], what: str) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ParameterError(
            f"{what} lacks the column(s) {', '.join(missing)}; found {', '.join(map(str, frame.columns)) or 'none'}."
        )
    if frame.empty:
        raise ParameterError(f"{what} has no rows.")


@dataclass(frozen=True)
class _Row:
    """One row of a mosaic: pictures uint8 [h, w, 3] side by side, or a text in their place."""

    cells: Sequence[NDArray[np.uint8]] | str
    label: str = ""  # above the row
    notes: Sequence[str] = ()  # under each picture
    tight: bool = False  # joined to the row above


@dataclass(frozen=True)
class _Mosaic:
    """A drawn mosaic: the axes of every picture, row by row, let a caller draw on top."""

    figure: matplotlib.figure.Figure
    axes: list[list[Axes]]
    dpi: float


def _mosaic(
    rows: Sequence[_Row], columns: int, legend: Mapping[str, tuple[int, int, int]] | None = None, largest: float = 2.9
) -> _Mosaic:
    """Lay rows of square cells out in device pixels. ``largest``: the widest a cell may get, in inches."""
    gap = 0.06
    cell = min(largest, (_WIDTH - gap * (columns + 1)) / columns)
    pixels = max(
        (max(picture.shape[:2]) for row in rows if not isinstance(row.cells, str) for picture in row.cells), default=1
    )
    side = math.ceil(150 * cell / pixels) * pixels
    dpi = side / cell
    space, line = round(gap * dpi), round(12 * 1.45 / 72 * dpi)
    width = space + columns * (side + space)

    def height(row: _Row) -> int:
        body = line if isinstance(row.cells, str) else side
        return (
            body
            + (line if row.label else 0)
            + (line if row.notes else 0)
            + (max(2, space // 4) if row.tight else space)
        )

    foot = round(line * 1.3) if legend else 0
    total = sum(map(height, rows)) + space + foot
    fig = matplotlib.figure.Figure(figsize=(width / dpi, total / dpi), dpi=dpi)
    axes: list[list[Axes]] = []
    top = total
    for row in rows:
        y = top - (max(2, space // 4) if row.tight else space)
        if row.label:
            fig.text(space / width, (y - line * 0.45) / total, row.label, va="center", ha="left", weight="bold")
            y -= line
        drawn: list[Axes] = []
        if isinstance(row.cells, str):
            fig.text(
                space / width, (y - line * 0.45) / total, row.cells, va="center", ha="left", color=_GREY, style="italic"
            )
        else:
            for number, picture in enumerate(row.cells):
                x = space + number * (side + space)
                ax = fig.add_axes((x / width, (y - side) / total, side / width, side / total))
                ax.imshow(picture, interpolation="nearest")
                ax.set_axis_off()
                drawn.append(ax)
                if row.notes:
                    fig.text(
                        (x + side / 2) / width,
                        (y - side - line * 0.5) / total,
                        row.notes[number],
                        va="center",
                        ha="center",
                    )
        axes.append(drawn)
        top -= height(row)
    if legend:
        patches = [
            Patch(facecolor=_hex(colour), edgecolor="black", linewidth=0.6, label=n) for n, colour in legend.items()
        ]
        fig.legend(
            handles=patches, loc="lower left", ncols=len(patches), borderaxespad=0.3, handlelength=1, columnspacing=1.2
        )
    return _Mosaic(fig, axes, dpi)


def _hex(colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


def _mask_picture(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.repeat(np.where(mask, 255, 0).astype(np.uint8)[..., None], 3, axis=-1)


def _thumbnails(
    images: NDArray[np.uint8], masks: NDArray[np.bool_] | None, columns: int
) -> tuple[NDArray[np.uint8], Any]:
    """Halve pictures until they hold no more pixels than a grid's cell can show: a page of 256-pixel composites would be many MB."""
    while images.shape[1] * columns / _WIDTH > 240 and images.shape[1] % 2 == images.shape[2] % 2 == 0:
        n, height, width, _ = images.shape
        images = np.rint(images.reshape(n, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4))).astype(np.uint8)
        # Labels are picked, never averaged.
        masks = None if masks is None else masks[:, ::2, ::2]
    return images, masks


def composite_grid(
    images: ArrayLike,
    masks: ArrayLike | None = None,
    columns: int = 8,
    title: str = "",
    caption: str = "",
    noun: str = "composites",
) -> Figure:
    """A grid of images [N, d, d, 3] (or RGBA, over a checkerboard), each with its mask below it where masks [N, d, d] are given."""
    pictures = _as_rgb(images)
    truth = None if masks is None else _as_masks(masks)
    if columns < 1:
        raise ParameterError(f"columns must be at least 1; found {columns}.")
    columns = min(columns, len(pictures))
    n_rows = math.ceil(len(pictures) / columns)
    height, width = pictures.shape[1:3]
    alt = f"{len(pictures)} {noun} of {width} × {height} pixels in {n_rows} row{'s' if n_rows > 1 else ''} of {columns}"
    if truth is not None:
        _same_count(images=pictures, masks=truth)
        shares = truth.mean(axis=(1, 2)) * 100
        what = "chair" if noun == "composites" else "object"
        ends = f"{shares.min():.1f} to {shares.max():.1f}"
        alt += f", the mask below each: {what} is {ends} % of the pixels, {shares.mean():.1f} % on average"
    pictures, truth = _thumbnails(pictures, truth, columns)
    rows = []
    for start in range(0, len(pictures), columns):
        rows.append(_Row(list(pictures[start : start + columns])))
        if truth is not None:
            rows.append(_Row([_mask_picture(mask) for mask in truth[start : start + columns]], tight=True))
    with _style():
        mosaic = _mosaic(rows, columns)
        return show(mosaic.figure, _sentence(title, alt), title, caption, mosaic.dpi)


def named_grid(
    images: Mapping[str, ArrayLike], columns: int = 8, title: str = "", caption: str = "", noun: str = "pictures"
) -> Figure:
    """A grid of images [N, d, d, 3] (or RGBA, over a checkerboard; or one [d, d, C]) by name, the name below the first of each."""
    if not images:
        raise ParameterError("no image to show: give at least one name.")
    named = {name: _as_rgb(pictures) for name, pictures in images.items()}
    if len({pictures.shape[1:] for pictures in named.values()}) > 1:
        raise ParameterError(f"images must have one size; found {sorted({p.shape[1:3] for p in named.values()})}.")
    notes = [
        name.replace("_", " ") if number == 0 else ""
        for name, pictures in named.items()
        for number in range(len(pictures))
    ]
    columns = min(columns, len(notes))
    pictures, _ = _thumbnails(np.concatenate(list(named.values())), None, columns)
    rows = [
        _Row(list(pictures[start : start + columns]), notes=notes[start : start + columns])
        for start in range(0, len(pictures), columns)
    ]
    alt = f"{len(pictures)} {noun}: {_listing([name.replace('_', ' ') for name in named])}"
    with _style():
        mosaic = _mosaic(rows, columns)
        return show(mosaic.figure, _sentence(title, alt), title, caption, mosaic.dpi)


def pair_grid(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    labels: Sequence[str],
    notes: Sequence[tuple[str, str]],
    title: str = "",
    caption: str = "",
    noun: str = "pairs of pictures",
) -> Figure:
    """Pairs of images [d, d, 3] or [d, d, 4] side by side, two pairs in a row.

    ``labels``: a word on each pair, which the alternative text tells too; ``notes``: one below each picture.
    """
    if not pairs:
        raise ParameterError("no pair to show: give at least one.")
    _same_count(pairs=pairs, labels=labels, notes=notes)
    pictures = [(_as_rgb(first)[0], _as_rgb(second)[0]) for first, second in pairs]
    gap = np.full_like(pictures[0][0], 255)
    rows = []
    for start in range(0, len(pairs), 2):
        of_row = range(start, min(start + 2, len(pairs)))
        cells = [cell for number in of_row for cell in (*pictures[number], gap)][:-1]
        words = [word for number in of_row for word in (*notes[number], "")][:-1]
        rows.append(_Row(cells, " ", words))
    told = [f"{label}, {first} beside {second}" for label, (first, second) in zip(labels, notes, strict=True)]
    alt = _sentence(title, f"{len(pairs)} {noun}: {'; '.join(told)}")
    with _style():
        mosaic = _mosaic(rows, 5)
        for number, label in enumerate(labels):
            ax = mosaic.axes[number // 2][3 * (number % 2)]
            ax.text(0, 1.03, label, transform=ax.transAxes, va="bottom", weight="bold")
        return show(mosaic.figure, alt, title, caption, mosaic.dpi)


def kept_and_refused(
    images: ArrayLike,
    reasons: Sequence[str],
    columns: int = 6,
    title: str = "",
    caption: str = "",
    noun: str = "images",
) -> Figure:
    """What was kept and what was refused, and why: a row of examples for each reason, the commonest first, with its count.

    ``images`` [N, d, d, 3] or [N, d, d, 4]; ``reasons``: why each was refused (what stands before a colon counts), or an empty
    text where it was kept; ``columns``: the most examples of each that are shown.
    """
    pictures = _as_rgb(images)
    _same_count(images=pictures, reasons=reasons)
    if columns < 1:
        raise ParameterError(f"columns must be at least 1; found {columns}.")
    names = np.array([reason.partition(":")[0].strip() for reason in reasons])
    counts = Counter(name for name in names.tolist() if name)
    n_kept = len(names) - counts.total()
    pictures, _ = _thumbnails(pictures, None, columns)
    listed = [("", f"kept: {n_kept:,}"), *((name, f"refused, {name}: {n:,}") for name, n in counts.most_common())]
    rows = [
        _Row(list(pictures[names == name][:columns]) if (names == name).any() else "none", label)
        for name, label in listed
    ]
    alt = f"{n_kept:,} {noun} kept and {counts.total():,} refused"
    alt += f". Refused: {', '.join(f'{name} {n:,}' for name, n in counts.most_common())}" if counts else ""
    with _style():
        mosaic = _mosaic(rows, columns, largest=1.2)
        return show(mosaic.figure, _sentence(title, alt), title, caption, mosaic.dpi)


def resolution_strip(images: Mapping[int, ArrayLike], title: str = "", caption: str = "") -> Figure:
    """The same picture at several resolutions, printed at one size so that the pixels can be compared.

    ``images``: resolution d -> image [d, d, 3] or [d, d, 4].
    """
    if not images:
        raise ParameterError("no image to show: give at least one resolution.")
    cells = []
    for resolution, image in sorted(images.items()):
        picture = _as_rgb(image)
        if picture.shape[:3] != (1, resolution, resolution):
            raise ParameterError(
                f"the image for resolution {resolution} must be [{resolution}, {resolution}, 3]; {_found(np.asarray(image))}."
            )
        cells.append(picture[0])
    names = [f"{resolution} × {resolution}" for resolution in sorted(images)]
    with _style():
        mosaic = _mosaic([_Row(cells, notes=names)], len(cells))
        alt = f"The same picture at {_listing(names)} pixels, printed at one size"
        return show(mosaic.figure, _sentence(title, alt), title, caption, mosaic.dpi)


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    union = int((a | b).sum())
    return 100 * int((a & b).sum()) / union if union else math.nan


def _agreement_picture(predicted: NDArray[np.bool_], target: NDArray[np.bool_]) -> NDArray[np.uint8]:
    picture = np.zeros((*target.shape, 3), dtype=np.uint8)
    picture[predicted & target] = _HIT
    picture[predicted & ~target] = _FALSE_ALARM
    picture[~predicted & target] = _MISS
    return picture


def outline_against_mask(
    rgb: ArrayLike,
    opacity: NDArray[np.uint8],
    tolerance_px: float | None = None,
    threshold: float = 0.4,
    title: str = "",
    caption: str = "",
) -> Figure:
    """The point of the paper's Figure 3: a polygon drawn around a chair, its alpha mask, and where the two disagree.

    ``rgb``: composite [d, d, 3]; ``opacity``: uint8 [d, d]; ``tolerance_px``: how far the polygon may stray from the outline
    (default 1.5 % of the image's side, which gives a chair the few dozen corners that annotators click); ``threshold``: the
    opacity above which a pixel is chair.
    """
    composite = _as_rgb(rgb)[0]
    opacity = np.asarray(opacity)
    if opacity.shape != composite.shape[:2]:
        raise ParameterError(f"opacity must have the composite's size {list(composite.shape[:2])}; {_found(opacity)}.")
    tolerance = 0.015 * max(opacity.shape) if tolerance_px is None else tolerance_px
    polygons = polygon_outline(opacity, tolerance, threshold)
    mask, filled = opacity > math.floor(threshold * 255), rasterise(polygons, opacity.shape)
    corners, iou = sum(len(polygon) - 1 for polygon in polygons), _iou(filled, mask)
    extra, missed = int((filled & ~mask).sum()), int((mask & ~filled).sum())
    row = _Row(
        [composite, _mask_picture(mask), _agreement_picture(filled, mask)],
        notes=[f"polygon, {corners} corners", "alpha mask", f"IoU {iou:.1f} %"],
    )
    with _style():
        mosaic = _mosaic([row], 3, {"both": _HIT, "polygon only": _FALSE_ALARM, "mask only": _MISS})
        ax = mosaic.axes[0][0]
        limits = ax.get_xlim(), ax.get_ylim()
        for polygon in polygons:
            ax.plot(*polygon.T, color="black", linewidth=2.6, solid_joinstyle="round")
            ax.plot(*polygon.T, color="#FFFFFF", linewidth=1.2, marker="o", markersize=2.6)
        ax.set(xlim=limits[0], ylim=limits[1])
        alt = (
            f"Three pictures: a composite with a polygon of {corners} corners drawn around the chair, the chair's alpha mask, and "
            f"where they disagree. The polygon's IoU with the mask is {iou:.1f} %: it takes in {extra:,} pixels that are not "
            f"chair and leaves out {missed:,} of the {int(mask.sum()):,} that are"
        )
        return show(mosaic.figure, _sentence(title, alt), title, caption, mosaic.dpi)


def predictions(
    images: ArrayLike, targets: ArrayLike, probabilities: ArrayLike, ious: ArrayLike, title: str = "", caption: str = ""
) -> Figure:
    """Composites, their masks, and what a model made of them at threshold 0.5, with the IoU of each below.

    ``images`` [N, d, d, 3]; ``targets`` [N, d, d] masks; ``probabilities`` [N, d, d] in [0, 1] or boolean; ``ious`` [N] in per
    cent (NaN where an image is left out of the metric). At most about eight images are legible.
    """
    pictures, truth = _as_rgb(images), _as_masks(targets)
    scores, probability = np.asarray(ious, dtype=float), np.asarray(probabilities)
    _same_count(images=pictures, targets=truth, probabilities=probability, ious=scores)
    if probability.shape != truth.shape or not (probability.min() >= 0 and probability.max() <= 1):
        raise ParameterError(
            f"probabilities must have the targets' shape {list(truth.shape)} and lie in [0, 1]; {_found(probability)}."
        )
    predicted = probability > 0.5
    notes = ["–" if math.isnan(score) else f"{score:.1f}" for score in scores]
    rows = [
        _Row(list(pictures), "Composite"),
        _Row([_mask_picture(mask) for mask in truth], "Mask"),
        _Row(
            [_agreement_picture(p, t) for p, t in zip(predicted, truth, strict=True)],
            "Prediction, and its IoU (%)",
            notes,
        ),
    ]
    told = [note if note != "–" else "left out of the metric" for note in notes]
    alarms, misses = (predicted & ~truth).mean() * 100, (~predicted & truth).mean() * 100
    alt = (
        f"{len(pictures)} composites with their masks and predictions at threshold 0.5. IoU in per cent: {_listing(told)}. "
        f"Over them {alarms:.1f} % of the pixels are wrongly called chair and {misses:.1f} % are missed"
    )
    with _style():
        mosaic = _mosaic(
            rows,
            len(pictures),
            {"chair, found": _HIT, "wrongly called chair": _FALSE_ALARM, "missed": _MISS},
            largest=1.4,
        )
        return show(mosaic.figure, _sentence(title, alt), title, caption, mosaic.dpi)


def figure4(
    images: ArrayLike,
    targets: ArrayLike,
    predictions: Mapping[str, ArrayLike | None],
    title: str = "",
    caption: str = "",
    missing: str = "not trained in this profile",
) -> Figure:
    """The paper's Figure 4: test composites in columns; composite, mask and one row a model (and resolution) below.

    ``predictions``: row label -> masks [N, r, r] at any resolution r, or None for a model that was not trained.
    """
    return _predicted_masks(
        images,
        targets,
        predictions,
        missing,
        ("Composite", "Mask"),
        "{count} composites, their masks ({share:.1f} % chair) and the masks predicted",
        "chair",
        title,
        caption,
    )


def figure5(
    images: ArrayLike,
    targets: ArrayLike,
    predictions: Mapping[str, ArrayLike | str | None],
    title: str = "",
    caption: str = "",
    missing: str = "not trained in this profile",
) -> Figure:
    """The paper's Figure 5: photos in columns; one row a model (and pretraining) between the photo and its ground truth.

    ``predictions``: row label -> masks [N, r, r] at any resolution r, or in words why there are none (None: not trained).
    """
    return _predicted_masks(
        images,
        targets,
        predictions,
        missing,
        ("Photo", "Ground truth"),
        "{count} photos, the masks predicted and the ground truth ({share:.1f} % object)",
        "object",
        title,
        caption,
        truth_last=True,
    )


def _predicted_masks(
    images: ArrayLike,
    targets: ArrayLike,
    predictions: Mapping[str, ArrayLike | str | None],
    missing: str,
    names: tuple[str, str],
    opening: str,
    thing: str,
    title: str,
    caption: str,
    truth_last: bool = False,
) -> Figure:
    """Images, true masks and one row of predicted masks a label.

    ``names``: labels of the images' row and the true masks'. ``opening``: the alternative text's first sentence, with places for
    ``count`` and ``share``. ``thing``: what the masks mark.
    """
    pictures, truth = _as_rgb(images), _as_masks(targets)
    _same_count(images=pictures, targets=truth)
    rows, told = [], []
    for label, masks in predictions.items():
        if masks is None or isinstance(masks, str):
            reason = masks or missing
            rows.append(_Row(reason, label))
            told.append(f"{label}: {reason}")
            continue
        predicted = _as_masks(masks)
        _same_count(**{"images": pictures, label: predicted})
        rows.append(_Row([_mask_picture(mask) for mask in predicted], label))
        # Only masks of one size can be compared pixel by pixel.
        same = predicted.shape == truth.shape
        ious = [_iou(p, t) for p, t in zip(predicted, truth, strict=True)] if same else []
        iou = f", mean IoU of these {np.nanmean(ious):.1f} %" if not np.isnan(ious).all() else ""
        told.append(f"{label}: {predicted.mean() * 100:.1f} % of the pixels called {thing}{iou}")
    true_row = _Row([_mask_picture(mask) for mask in truth], names[1])
    rows.insert(len(rows) if truth_last else 0, true_row)
    rows.insert(0, _Row(list(pictures), names[0]))
    alt = ". ".join(filter(None, (opening.format(count=len(pictures), share=truth.mean() * 100), "; ".join(told))))
    with _style():
        mosaic = _mosaic(rows, len(pictures), largest=1.2)
        return show(mosaic.figure, _sentence(title, alt), title, caption, mosaic.dpi)


def foreground_histogram(
    shares: ArrayLike | Mapping[str, ArrayLike],
    paper: float | None = 21.99,
    label: str = "these composites",
    title: str = "",
    caption: str = "",
) -> Figure:
    """How much of each composite is chair: one or several distributions, their means, and the paper's mean as a line.

    ``shares``: per cent of chair pixels of each composite, [N] in [0, 100], or several by label. ``paper``: 21.99 per cent, the
    complement of the all-background precision of section 5.2; None leaves the line out.
    """
    named = shares if isinstance(shares, Mapping) else {label: shares}
    data = {name: np.asarray(values, dtype=float).ravel() for name, values in named.items()}
    for name, values in data.items():
        if not values.size or not (values.min() >= 0 and values.max() <= 100):
            raise ParameterError(f"shares of {name!r} must be per cent in [0, 100], at least one; {_found(values)}.")
    top = max(values.max() for values in data.values())
    step = 2.0 if top > 20 else 1.0
    bins = [step * number for number in range(math.ceil(top / step) + 1)]
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 3.7), layout="constrained")
        ax = fig.subplots()
        for number, (name, values) in enumerate(data.items()):
            colour, mean = PALETTE[number % len(PALETTE)], values.mean()
            weights = np.full(values.size, 100 / values.size)
            ax.hist(
                values,
                bins=bins,
                weights=weights,
                histtype="stepfilled",
                color=colour,
                alpha=0.18 if len(data) > 1 else 0.35,
            )
            ax.hist(values, bins=bins, weights=weights, histtype="step", color=colour, linewidth=1.6)
            ax.axvline(mean, color=colour, label=f"{name}: mean {mean:.2f} %")
        if paper is not None:
            ax.axvline(paper, color="black", linestyle="--", label=f"the paper: mean {paper:.2f} %")
        ax.set(
            xlabel="chair pixels in a composite (%)", ylabel=f"composites (% per {step:g}-point bin)", xlim=(0, None)
        )
        _legend_above(ax)
        told = [
            f"{name}: {values.size:,} composites, mean {values.mean():.2f} %, from {values.min():.1f} to {values.max():.1f} %"
            for name, values in data.items()
        ]
        alt = f"Histogram of the share of chair pixels per composite. {'; '.join(told)}"
        alt += "" if paper is None else f". The paper's mean is {paper:.2f} %"
        return show(fig, _sentence(title, alt), title, caption)


def distance_histogram(
    distances: Mapping[str, ArrayLike], threshold: int, title: str = "", caption: str = ""
) -> Figure:
    """How far images are from their nearest in another split, by label, and the threshold below which that is a leak.

    ``distances``: bits in which two hashes differ, [N] in [0, 256], at least one; ``threshold``: bits, drawn as a line.
    """
    data = {name: np.asarray(values) for name, values in distances.items()}
    for name, values in data.items():
        if not values.size or not (values.min() >= 0 and values.max() <= 256):
            raise ParameterError(f"distances of {name!r} must be bits in [0, 256], at least one; {_found(values)}.")
    most = max([threshold, *(int(values.max()) for values in data.values())])
    bins = [float(edge) for edge in range(0, most + 5, 4)]
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 3.7), layout="constrained")
        ax = fig.subplots()
        for number, (name, values) in enumerate(data.items()):
            colour = PALETTE[number % len(PALETTE)]
            weights = np.full(values.size, 100 / values.size)
            ax.hist(
                values,
                bins=bins,
                weights=weights,
                histtype="step",
                color=colour,
                linestyle=_DASHES[number % len(_DASHES)],
                label=f"{name}: {values.size:,}",
            )
        ax.axvline(threshold, color="black", linestyle=":", label=f"leak: below {threshold}")
        ax.set(xlabel="bits to the nearest image of another split", ylabel="images (% per 4 bits)", xlim=(0, most + 4))
        _legend_above(ax)
        told = [
            f"{name}: {values.size:,} distances from {values.min()} to {values.max()} bits, median {np.median(values):.0f}, "
            f"{(values < threshold).sum():,} below {threshold}"
            for name, values in data.items()
        ]
        alt = f"Histogram of the distances to the nearest image of another split. {'; '.join(told)}"
        return show(fig, _sentence(title, alt), title, caption)


def training_curves(
    history: pd.DataFrame, best_images: float | None = None, title: str = "", caption: str = "", on: str = ""
) -> Figure:
    """One run's losses, validation IoU and learning rate against images seen; the evaluation that was kept is marked.

    ``history`` has the columns images, train_loss, val_loss, val_iou (per cent), learning_rate, seconds; gaps (NaN) are skipped.
    Where no validation IoU is defined, its panel says so. ``best_images``: images seen at the evaluation that was kept (default: the
    highest validation IoU, if there is any). ``on``: the data, for the axes.
    """
    _columns(
        history, ("images", "train_loss", "val_loss", "val_iou", "learning_rate", "seconds"), "the training history"
    )
    scored = history.dropna(subset=["val_iou"])
    kept = None
    if best_images is not None:
        evaluations = history if scored.empty else scored
        kept = evaluations.iloc[int((evaluations["images"] - best_images).abs().argmin())]
    elif len(scored):
        kept = scored.iloc[int(scored["val_iou"].argmax())]
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 6.2), layout="constrained")
        loss, iou, rate = fig.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.4))
        ends = []
        for name, column, colour in (("training", "train_loss", PALETTE[1]), ("validation", "val_loss", PALETTE[0])):
            line = history.dropna(subset=[column])
            loss.plot(line["images"], line[column], color=colour, **_points(line))
            if len(line):
                ends.append((line["images"].iloc[-1], line[column].iloc[-1], name, colour))
        loss.set(ylabel="loss (BCE)")
        iou.set(ylabel=f"validation IoU\non {on} (%)" if on else "validation\nIoU (%)")
        if scored.empty:
            told = "there is no validation IoU, since no validation image holds the object"
            iou.set_yticks([])
            said = "undefined: no validation image holds the object"
            plate = {"facecolor": "white", "edgecolor": "none"}  # the line at the evaluation kept may cross it
            iou.text(0.5, 0.5, said, ha="center", va="center", bbox=plate, transform=iou.transAxes)
        else:
            told = f"validation IoU goes from {scored['val_iou'].iloc[0]:.1f} to {scored['val_iou'].iloc[-1]:.1f} %"
            iou.plot(scored["images"], scored["val_iou"], color=PALETTE[0], **_points(scored))
        if kept is not None:
            after = f"after {kept['images']:,.0f} images"
            if scored.empty:
                iou.set_title(f"kept: {after}", fontsize=12)
                told += f"; the evaluation kept comes {after}"
            else:
                mark = {"color": "black", "markersize": 9, "markerfacecolor": "none", "markeredgewidth": 2}
                iou.plot(kept["images"], kept["val_iou"], "o", **mark)
                iou.set_title(f"kept: {kept['val_iou']:.1f} % {after}", fontsize=12)
                told += f"; the evaluation kept has {kept['val_iou']:.1f} % {after}"
            for ax in (loss, iou, rate):
                ax.axvline(kept["images"], color=_GREY, linewidth=1, linestyle=":")
        rate.plot(history["images"], history["learning_rate"], color=PALETTE[2])
        rate.set(ylabel="learning\nrate", ylim=(0, None))
        rate.yaxis.set_major_locator(MaxNLocator(2))
        rate.ticklabel_format(axis="y", style="sci", scilimits=(-3, 3))
        _images_axis(rate, history["images"].max())
        fig.align_ylabels()
        _label_ends(fig, loss, ends)
        losses = ", ".join(f"{name} loss ends at {value:.4f}" for _, value, name, _ in ends)
        alt = (
            f"Training curves over {history['images'].max():,.0f} images and {history['seconds'].max():,.0f} seconds: {losses}. "
            f"{told[0].upper()}{told[1:]}"
        )
        return show(fig, _sentence(title, alt), title, caption)


def iou_over_images(
    histories: Mapping[str, pd.DataFrame], log: bool = False, title: str = "", caption: str = ""
) -> Figure:
    """Validation IoU against images seen, one line a run, labelled at its end.

    ``histories``: label -> data frame with the columns images and val_iou (per cent). ``log``: logarithmic images axis.
    """
    if not histories:
        raise ParameterError("no run to show: give at least one history.")
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 4.2), layout="constrained")
        ax = fig.subplots()
        ends, told = [], []
        for number, (label, history) in enumerate(histories.items()):
            _columns(history, ("images", "val_iou"), f"the history of {label!r}")
            line = history.dropna(subset=["val_iou"])
            line = line[line["images"] > 0] if log else line
            if line.empty:
                continue
            colour = PALETTE[number % len(PALETTE)]
            ax.plot(
                line["images"],
                line["val_iou"],
                color=colour,
                linestyle=_DASHES[number // len(PALETTE) % len(_DASHES)],
                **_points(line),
            )
            ends.append((line["images"].iloc[-1], line["val_iou"].iloc[-1], label, colour))
            best = line.iloc[int(line["val_iou"].argmax())]
            told.append(f"{label}: best {best['val_iou']:.1f} % after {best['images']:,.0f} images")
        if not ends:
            raise ParameterError("no history holds a validation IoU.")
        ax.set(ylabel="validation IoU (%)")
        if log:
            ax.set_xscale("log")
        _images_axis(ax, max(x for x, *_ in ends), log)
        _label_ends(fig, ax, ends)
        return show(fig, _sentence(title, f"Validation IoU against images seen. {'; '.join(told)}"), title, caption)


def iou_by_resolution(ours: pd.DataFrame, paper: pd.DataFrame, title: str = "", caption: str = "") -> Figure:
    """Test IoU at each resolution, ours (filled, with interval) beside the paper's (hollow, dashed), one colour a model.

    ``ours``: columns model, resolution, iou, low, high (per cent; may have no rows). ``paper``: model, resolution, iou.
    """
    _columns(paper, ("model", "resolution", "iou"), "the paper's table")
    if len(ours):
        _columns(ours, ("model", "resolution", "iou", "low", "high"), "our table")
    else:
        ours = pd.DataFrame(columns=["model", "resolution", "iou", "low", "high"])
    models = list(dict.fromkeys([*ours["model"], *paper["model"]]))
    resolutions = sorted({int(r) for r in [*ours["resolution"], *paper["resolution"]]})
    place = {resolution: position for position, resolution in enumerate(resolutions)}
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 4.4), layout="constrained")
        ax = fig.subplots()
        ends, told = [], []
        for number, model in enumerate(models):
            colour = PALETTE[number % len(PALETTE)]
            theirs = paper[paper["model"] == model].dropna(subset=["iou"]).sort_values("resolution")
            own = ours[ours["model"] == model].dropna(subset=["iou"]).sort_values("resolution")
            # Side by side, so that intervals of models with near figures stay apart.
            shift = (number - (len(models) - 1) / 2) * 0.06
            if len(theirs):
                x = [place[int(r)] + shift for r in theirs["resolution"]]
                ax.plot(
                    x, theirs["iou"], color=colour, marker="o", markerfacecolor="white", linestyle="--", linewidth=1.2
                )
                ends.append((x[-1], theirs["iou"].iloc[-1], model, colour))
            if len(own):
                x = [place[int(r)] + shift for r in own["resolution"]]
                spread = [own["iou"] - own["low"], own["high"] - own["iou"]]
                ax.errorbar(x, own["iou"], yerr=spread, color=colour, marker="o", capsize=4, markersize=7)
                if not len(theirs):
                    ends.append((x[-1], own["iou"].iloc[-1], model, colour))
            told += [
                f"{model} at {r.resolution}: {r.iou:.1f} % (95 % interval {r.low:.1f} to {r.high:.1f})"
                for r in own.itertuples()
            ]
            told += [f"{model} at {r.resolution} in the paper: {r.iou:.2f} %" for r in theirs.itertuples()]
        ax.set_xticks(range(len(resolutions)), [f"{r}" for r in resolutions])
        ax.set(xlabel="resolution (pixels a side)", ylabel="test IoU (%)")
        ax.margins(x=0.08)
        handles = [
            Line2D([], [], color=_GREY, marker="o", markersize=7, label="ours, 95 % interval"),
            Line2D(
                [],
                [],
                color=_GREY,
                marker="o",
                markerfacecolor="white",
                linestyle="--",
                linewidth=1.2,
                label="the paper",
            ),
        ]
        ax.legend(
            handles=handles if len(ours) else handles[1:],
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=2,
            borderaxespad=0.2,
        )
        _label_ends(fig, ax, ends)
        return show(fig, _sentence(title, f"Test IoU by resolution. {'; '.join(told)}"), title, caption)


def iou_over_steps(
    curves: Mapping[str, Sequence[pd.DataFrame]], title: str = "", caption: str = "", x: str = "images", on: str = ""
) -> Figure:
    """The paper's Figure 6: validation IoU as training goes on, the mean over seeds as a line and their range as a band.

    ``curves``: label -> histories, one a seed, each with the columns ``x`` and val_iou (per cent; gaps are skipped). ``x``:
    "images" (seen) or "seconds"; ``on``: the data, for the axis. Seeds evaluated at different places are interpolated; one that
    ended early keeps its last value.
    """
    if x not in ("images", "seconds"):
        raise ParameterError(f"x must be 'images' or 'seconds'; found {x!r}.")
    drawn = {label: _over_seeds(label, histories, x) for label, histories in curves.items() if len(histories)}
    if not drawn:
        raise ParameterError("no run to show: give at least one history.")
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 4.2), layout="constrained")
        ax = fig.subplots()
        ends, told = [], []
        for number, (label, line) in enumerate(drawn.items()):
            look = _look(number)
            ax.fill_between(line[x], line["low"], line["high"], color=look["color"], alpha=0.2, linewidth=0)
            # Markers far enough apart to be told from each other and from dashes.
            ax.plot(line[x], line["mean"], **look, markersize=5, markevery=math.ceil(len(line) / 15))
            last, best = line.iloc[-1], line.iloc[int(line["mean"].argmax())]
            ends.append((last[x], last["mean"], label, look["color"]))
            told.append(_seeds_told(label, len(curves[label]), best, last, x))
        ax.set(ylabel=f"validation IoU{_on(on)} (%)")
        if x == "images":
            _images_axis(ax, max(place for place, *_ in ends))
        else:
            ax.set(xlabel="training time (seconds)", xlim=(0, None))
        _label_ends(fig, ax, ends)
        seen = "images seen" if x == "images" else "training time"
        alt = f"Validation IoU against {seen}, the mean over seeds and their range. {'; '.join(told)}"
        return show(fig, _sentence(title, alt), title, caption)


def _over_seeds(label: str, histories: Sequence[pd.DataFrame], x: str) -> pd.DataFrame:
    """Mean, low and high of the validation IoU over seeds, wherever one of them was evaluated and all had begun."""
    lines = []
    for history in histories:
        _columns(history, (x, "val_iou"), f"a history of {label!r}")
        lines.append(history.dropna(subset=[x, "val_iou"]).sort_values(x))
        _columns(lines[-1], (x,), f"the validation IoU in a history of {label!r}")
    places = np.unique(np.concatenate([line[x] for line in lines]))
    places = places[places >= max(line[x].iloc[0] for line in lines)]
    values = np.stack([np.interp(places, line[x], line["val_iou"]) for line in lines])
    return pd.DataFrame({x: places, "mean": values.mean(axis=0), "low": values.min(axis=0), "high": values.max(axis=0)})


def _seeds_told(label: str, seeds: int, best: pd.Series, last: pd.Series, x: str) -> str:
    told = f"{label}: {seeds} seed{'s' if seeds > 1 else ''}, mean best {best['mean']:.1f} % after {best[x]:,.0f} {x}"
    told += f", mean at the end {last['mean']:.1f} % after {last[x]:,.0f} {x}"
    spread = last["high"] - last["low"]
    return told + (
        f", seeds there {last['low']:.1f} to {last['high']:.1f} % ({spread:.1f} points)" if seeds > 1 else ""
    )


def _on(data: str) -> str:
    return f" on {data}" if data else ""


def iou_by_share(table: pd.DataFrame, title: str = "", caption: str = "", on: str = "") -> Figure:
    """IoU against the share of the training images that was used, one line a label, with interval bars.

    ``table``: columns label, share (per cent of the training images, above 0), n_images, and iou with its 95 % interval
    low, high (per cent; the interval may be NaN). ``on``: the data, for the axis.
    """
    _columns(table, ("label", "share", "n_images", "iou", "low", "high"), "the table of shares")
    table = table.dropna(subset=["share", "iou"])
    _columns(table, ("share",), "the IoU in the table of shares")
    if not table["share"].between(0, 100, inclusive="right").all():
        raise ParameterError(
            f"shares must be per cent above 0 and up to 100; found {table['share'].min():g} to {table['share'].max():g}."
        )
    if ((table["low"] > table["iou"]) | (table["high"] < table["iou"])).any():
        raise ParameterError("an interval in the table of shares does not hold its IoU; give low <= iou <= high.")
    shares = sorted(set(table["share"]))
    labels, reach = list(dict.fromkeys(table["label"])), shares[-1] / shares[0] if len(shares) > 1 else 10
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 4.2), layout="constrained")
        ax = fig.subplots()
        ends, told = [], []
        for number, label in enumerate(labels):
            look, own = _look(number), table[table["label"] == label].sort_values("share")
            # Side by side, so that intervals of near figures stay apart.
            x = own["share"] * reach ** (0.018 * (number - (len(labels) - 1) / 2))
            spread = [own["iou"] - own["low"], own["high"] - own["iou"]]
            bars = ax.errorbar(x, own["iou"], yerr=spread, **look, markersize=7, capsize=4)
            for bar in bars[2]:
                bar.set_linewidth(1.4)
            ends.append((x.iloc[-1], own["iou"].iloc[-1], label, look["color"]))
            told += [_share_told(row) for row in own.to_dict("records")]
        ax.set_xscale("log")
        ax.set_xticks(shares, [_share_tick(table, share) for share in shares])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(axis="x", which="minor", length=0)
        ax.set(xlabel="share of the training images, and their number", ylabel=f"IoU{_on(on)} (%),\nwith 95 % interval")
        ax.set_xlim(shares[0] / reach**0.08, shares[-1] * reach**0.08)
        _label_ends(fig, ax, ends)
        alt = f"IoU by share of the training images, with 95 % intervals. {'; '.join(told)}"
        return show(fig, _sentence(title, alt), title, caption)


def _share_told(row: Mapping[Any, Any]) -> str:
    told = f"{row['label']} with {row['share']:g} % ({row['n_images']:,.0f} images): {row['iou']:.1f} %"
    return told + ("" if math.isnan(row["low"] + row["high"]) else f" ({row['low']:.1f} to {row['high']:.1f})")


def _share_tick(table: pd.DataFrame, share: float) -> str:
    counts = table.loc[table["share"] == share, "n_images"]
    fewest, most = counts.min(), counts.max()
    return f"{share:g} %\n{fewest:,.0f}" + ("" if fewest == most else f"–{most:,.0f}")


def steps_to_reach(table: pd.DataFrame, title: str = "", caption: str = "", on: str = "") -> Figure:
    """How many images training needs before it is as good as training from scratch gets, one bar a category and label.

    ``table``: columns category, label and images: images seen until the validation IoU has reached, for good, what training
    from scratch ends with, NaN where it never does. It may have low and high, the range over seeds, drawn as a line over the bar, and
    undecided: in words why a row's figures tell nothing, "" where they do; such a row has no bar. A category's first label
    (from scratch) is what its others are compared with. ``on``: the data, for the axis.
    """
    _columns(table, ("category", "label", "images"), "the table of images needed")
    table = _with_ranges(table)
    if table["images"].min() < 0 or table.duplicated(["category", "label"]).any():
        raise ParameterError(
            f"images must be at least 0, once for each category and label; found {len(table)} rows from {table['images'].min():g}."
        )
    labels = list(dict.fromkeys(table["label"]))
    figures = table[["images", "low", "high"]].to_numpy(float)
    most = 1.0 if np.isnan(figures).all() else float(np.nanmax(figures))
    groups = list(table.groupby("category", sort=False))
    with _style():
        fig = matplotlib.figure.Figure(
            figsize=(_WIDTH, 1.5 + 0.27 * len(labels) + _bars_height(table)), layout="constrained"
        )
        ax = fig.subplots()
        y, middles, told = 0.0, [], []
        for category, rows in groups:
            notes = _needed(rows)
            for place, (label, images, note) in enumerate(zip(rows["label"], rows["images"], notes, strict=True)):
                number = labels.index(label)
                colour, hatch = PALETTE[number % len(PALETTE)], _HATCHES[number % len(_HATCHES)]
                low, high = (float(rows[name].iloc[place]) for name in ("low", "high"))
                if not math.isnan(images):
                    ax.barh(y + place, images, height=0.84, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
                if low < high:
                    ax.plot([low, high], [y + place] * 2, color="black", linewidth=1.6, marker="|", markersize=8)
                ax.annotate(
                    note,
                    (np.nanmax([0, images, low, high]), y + place),
                    (4, 0),
                    textcoords="offset points",
                    va="center",
                    style="italic" if math.isnan(images) else "normal",
                    annotation_clip=False,
                )
            middles.append(y + (len(rows) - 1) / 2)
            y += len(rows) + 0.7
            told.append(
                f"{category}: " + ", ".join(f"{n} {note}" for n, note in zip(rows["label"], notes, strict=True))
            )
        ax.set_yticks(middles, [str(category) for category, _ in groups])
        ax.set(ylim=(y - 1.1, -0.6), xlim=(0, most or 1.0))
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")
        ax.grid(visible=True, axis="x")
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
        _images_axis(ax, most)
        ax.set_xlabel(f"{ax.get_xlabel()} until the\nfinal validation IoU{_on(on)} of training from scratch")
        handles = [
            Patch(
                facecolor=PALETTE[n % len(PALETTE)], hatch=_HATCHES[n % len(_HATCHES)], edgecolor="white", label=label
            )
            for n, label in enumerate(labels)
        ]
        ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, labelspacing=0.25)
        alt = (
            "Images seen until the validation IoU has reached, for good, what training from scratch ends with. "
            + "; ".join(told)
        )
        return show(fig, _sentence(title, alt), title, caption)


def _bars_height(table: pd.DataFrame) -> float:
    return 0.26 * (len(table) + 0.7 * table["category"].nunique())


def _with_ranges(table: pd.DataFrame) -> pd.DataFrame:
    """The table of images needed with every column that it may have; no figures where they tell nothing."""
    table = table.astype({"images": float})
    for name, value in (("low", math.nan), ("high", math.nan), ("undecided", "")):
        if name not in table:
            table[name] = value
    table.loc[table["undecided"] != "", ["images", "low", "high"]] = math.nan
    return table.astype({"low": float, "high": float})


def _needed(rows: pd.DataFrame) -> list[str]:
    """In words, the images that each row of a category needs, their range over seeds, and how that compares with the first row."""
    first = float(rows["images"].iloc[0])
    notes = []
    ranges = zip(rows["images"], rows["low"], rows["high"], rows["undecided"], strict=True)
    for number, (images, low, high, undecided) in enumerate(ranges):
        note = "never" if math.isnan(images) else f"{images:,.0f}"
        if undecided:
            note = f"undecided: {undecided}"
        elif low < high:
            note += f" [{low:,.0f}–{high:,.0f}]"
        elif math.isnan(high) and not math.isnan(low):
            note += f" [{low:,.0f} to never]"
        if number and first > 0 and not math.isnan(images):
            change = round(100 * (images / first - 1))
            note += f" ({abs(change)} % {'fewer' if change < 0 else 'more'})" if change else " (as many)"
        notes.append(note)
    return notes


def _look(number: int) -> dict[str, Any]:
    """The colour, dash pattern and marker of the label with this number."""
    return {
        "color": PALETTE[number % len(PALETTE)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "marker": _MARKERS[number % len(_MARKERS)],
    }


def _points(line: pd.DataFrame) -> dict[str, Any]:
    """Markers while the evaluations are few enough to be told apart."""
    return {"marker": "o", "markersize": 4} if len(line) <= 30 else {}


def _legend_above(ax: Axes) -> None:
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, handlelength=1.6, labelspacing=0.25)


def _images_axis(ax: Axes, most: float, log: bool = False) -> None:
    thousands = most >= 5000
    scale = 1000 if thousands else 1
    ax.set_xlabel("training images seen" + (" (thousands)" if thousands else ""))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:,g}"))
    if log:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.set_xlim(left=0)


def _label_ends(fig: matplotlib.figure.Figure, ax: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write each line's name (x, y, name, colour) right of the axes at the height where the line ends, moved apart where they'd touch."""
    fig.draw_without_rendering()
    one_line = 13 / 72 * fig.dpi / ax.get_window_extent().height
    named = sorted(
        (ax.transAxes.inverted().transform(ax.transData.transform((x, y)))[1], textwrap.fill(name, 16), x, y, c)
        for x, y, name, c in ends
    )
    heights = [one_line * (text.count("\n") + 1) for _, text, *_ in named]
    places = _apart([float(height) for height, *_ in named], heights)
    for place, (_, text, x, y, colour) in zip(places, named, strict=True):
        ax.annotate(
            text,
            xy=(x, y),
            xytext=(1.03, place),
            textcoords="axes fraction",
            color=_darker(colour),
            weight="bold",
            fontsize=11,
            va="center",
            linespacing=1.0,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8, "alpha": 0.5, "shrinkA": 1, "shrinkB": 3},
            annotation_clip=False,
        )


def _darker(colour: str) -> tuple[float, float, float]:
    """A line's colour, dark enough for text on white (the palette's orange and pink are not)."""
    red, green, blue = (0.65 * part for part in to_rgb(colour))
    return red, green, blue


def _apart(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Places near those ``wanted`` (ascending), far enough apart for labels of these heights."""
    # Each label is pushed above the one below it; clusters then sink so that they centre on what they wanted.
    clusters: list[tuple[list[float], list[float]]] = []
    for want, height in zip(wanted, heights, strict=True):
        clusters.append(([want], [height]))
        while len(clusters) > 1 and _span(*clusters[-2])[1] > _span(*clusters[-1])[0]:
            wants, sizes = clusters.pop()
            clusters[-1] = (clusters[-1][0] + wants, clusters[-1][1] + sizes)
    places: list[float] = []
    for wants, sizes in clusters:
        bottom = _span(wants, sizes)[0]
        for size in sizes:
            places.append(bottom + size / 2)
            bottom += size
    return places


def _span(wants: Sequence[float], sizes: Sequence[float]) -> tuple[float, float]:
    middle, total = sum(wants) / len(wants), sum(sizes)
    return middle - total / 2, middle + total / 2


def _listing(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sentence(title: str, alt: str) -> str:
    return f"{title.rstrip('.:')}: {alt}." if title else f"{alt}."
