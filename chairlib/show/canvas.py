"""What every figure stands on: our seaborn theme, a displayable picture with alternative text, and helpers for axes.

The functions of the modules beside this one take tidy data frames or arrays and give a :class:`Figure`: an HTML
``<img>``, an opaque paper-toned card, whose alternative text is written from the data that it shows. Title and caption,
which begins with what the figure shows, stand below it as HTML text: legible on a phone and in dark mode.

Where a frame has several rows that only a column ``name`` tells apart (pairs of models, seeds), their mean is drawn,
with the range over them. IoU and Dice are in per cent. F, S and R are sets of models of the loss landscape, see
:data:`chairlib.show.interpolation.PAIR_TITLES`.
"""

import base64
import html
import io
import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import matplotlib.figure
import matplotlib.style
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import HTML
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.font_manager import fontManager
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from PIL import Image

from chairlib.core import paths
from chairlib.core.errors import ParameterError

#: Okabe and Ito's colours, told apart with every common colour blindness. Their yellow is left out: too faint on paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_SETTINGS = matplotlib.rc_params_from_file(paths.assets / "figures.mplstyle", use_default_template=False)
#: A card's colour and that of its text, which has a contrast of 14 on it; :data:`GREY` has one of 6.
GROUND, INK = (to_hex(_SETTINGS[name]) for name in ("figure.facecolor", "text.color"))
#: For what stands behind the data.
GREY = "#5f5a52"
#: A label that begins so has this colour of the palette in all figures, whatever stands beside it: the first that fits.
_OWN = [("from scratch, as many", 4), ("from scratch", 1), ("pretrained on Chair Segments, as many", 5)]
_OWN += [("pretrained on COCO", 3), ("pretrained on", 0), ("U-Net, ResNet", 4), ("U-Net", 0), ("FCN-VGG", 1)]
_OWN += [("FCN-ResNet-50", 2), ("FCN-ResNet-101", 3)]
#: A label has, beside its colour, a dash pattern and a marker (lines) or a hatch (bars) of its own.
_DASHES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo")
#: Arguments of seaborn for a mean with the range (smallest to largest value) as a band.
BAND: dict[str, Any] = {"errorbar": ("pi", 100), "err_kws": {"alpha": 0.2, "linewidth": 0}}

#: Width of a figure in inches. Text of 12 points is then still about 10 pixels high on a phone.
WIDTH = 6.0
_CSS_PIXELS_PER_INCH = 100
_DPI = 200
for _file in sorted((paths.assets / "fonts").glob("*.ttf")):
    fontManager.addfont(_file)


@contextmanager
def theme() -> Iterator[None]:
    """Our palette and settings as seaborn's theme, whatever style the session has chosen; undone afterwards.

    ``@theme()`` before a function draws all of the function in it.
    """
    with matplotlib.style.context("default"):
        sns.set_theme(style="ticks", palette=PALETTE, color_codes=False, rc=_SETTINGS)
        yield


class Figure(HTML):
    """A picture that displays itself in a notebook or a page. ``webp``: the file's bytes; ``alt``: alternative text."""

    def __init__(self, webp: bytes, alt: str, width: int, title: str = "", caption: str = "") -> None:
        self.webp, self.alt, self.title, self.caption = webp, alt, title, caption
        source = f"data:image/webp;base64,{base64.b64encode(webp).decode()}"
        image = (
            f'<img class="chair-figure" alt="{html.escape(alt)}" src="{source}" width="{width}" '
            f'style="max-width:100%;height:auto;border-radius:8px;background:{GROUND}">'
        )
        heading = f"<strong>{html.escape(title.rstrip('.'))}.</strong>" if title else ""
        words = " ".join(filter(None, (heading, html.escape(caption).replace(" %", "&nbsp;%"))))
        caption_html = f'<figcaption style="max-width:{width}px;margin-top:.4em">{words}</figcaption>' if words else ""
        super().__init__(f'<figure style="margin:0 0 1em;text-align:left">{image}{caption_html}</figure>')

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"


def new_figure(height: float) -> matplotlib.figure.Figure:
    """An empty figure, :data:`WIDTH` by ``height`` inches. pyplot doesn't know it, so nobody has to close it."""
    return matplotlib.figure.Figure(figsize=(WIDTH, height), layout="constrained")


def show(
    fig: matplotlib.figure.Figure,
    alt: str,
    title: str = "",
    caption: str = "",
    dpi: float | None = None,
    colours: int | None = None,
    takeaway: str = "",
) -> Figure:
    """Turn a matplotlib figure into a displayable picture: a WebP file, lossless, which is a third of a PNG file.

    ``alt`` says in words all that the picture shows; the alternative text is the title, a colon, and these words.
    ``takeaway``: what it shows in one or two sentences, with numbers; the caption begins with it. ``dpi`` is the
    resolution of the file (default 200, twice what a plain screen shows), not the displayed size. ``colours``: at most
    so many in the file, which then is smaller.
    """
    if not alt.strip():
        raise ParameterError("the alternative text of a figure is empty: say in words, with numbers, what it shows.")
    drawn, file = io.BytesIO(), io.BytesIO()
    # matplotlib writes lossy WebP only. What it draws is read back at once, so it need not be small.
    fig.savefig(drawn, format="png", dpi=dpi or _DPI, facecolor=GROUND, pil_kwargs={"compress_level": 1})
    with Image.open(drawn) as opened:
        picture = opened.convert("RGB")
    if colours is not None:
        picture = picture.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    picture.save(file, "WEBP", lossless=True)
    sentence = (f"{title.rstrip('.:')}: " if title else "") + alt.rstrip(".") + "."
    words = " ".join(filter(None, (takeaway and takeaway.rstrip(".") + ".", caption)))
    return Figure(file.getvalue(), sentence, round(fig.get_figwidth() * _CSS_PIXELS_PER_INCH), title, words)


# Words


def describe_repetitions(frame: pd.DataFrame, *keys: str) -> str:
    """How many repetitions a mean is over, in words, where there are several."""
    most = frame.groupby(list(keys)).size().max() if keys else frame["name"].nunique() if "name" in frame else 1
    return f", the mean of up to {most} repetitions and their range" if most > 1 else ""


def join_words(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def describe_interval(low: float, high: float) -> str:
    """An interval in brackets; nothing where it is unknown (NaN)."""
    return "" if math.isnan(low + high) else f" ({low:.1f} to {high:.1f})"


def describe_ends(what: str, values: pd.Series, text: str = "{:.1f} %") -> str:
    """The largest and the smallest of values by name, for a caption; "" where there is none. NaN is left out.

    "IoU: highest 77.4 %, U-Net; lowest 54.3 %, FCN-ResNet-50". Values that look the same share a place.
    """
    told = values.dropna().sort_values(ascending=False, kind="stable").map(text.format)
    ends = [f"{told.iloc[at]}, {join_words([*told.index[told == told.iloc[at]]])}" for at in (0, -1) if len(told)]
    return (
        f"{what}: highest {ends[0]}; lowest {ends[1]}" if len(set(ends)) == 2 else f"{what}: {ends[0]}" if ends else ""
    )


# Looks


def line_styles(labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The look of each label's line: its own colour, or the next that is free; dashes and marker no other label has."""
    own = {one: next((n for start, n in _OWN if one.startswith(start)), None) for one in labels}
    free = itertools.cycle([n for n in range(len(PALETTE)) if n not in own.values()] or range(len(PALETTE)))
    numbers = [next(free) if n is None else n for n in own.values()]
    shapes = [next(free) if n in numbers[:place] else n for place, n in enumerate(numbers)]
    looks = zip(own, numbers, shapes, strict=True)
    return {label: line_style(shape) | {"color": PALETTE[number]} for label, number, shape in looks}


def line_style(number: int) -> dict[str, Any]:
    """The colour, dash pattern and marker of the line with this number."""
    return {
        "color": PALETTE[number % len(PALETTE)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "marker": _MARKERS[number % len(_MARKERS)],
    }


def bar_style(number: int, colour: str | None = None) -> dict[str, Any]:
    """The colour and hatch of the bar (and of its entry in a legend) with this number."""
    colour = colour or PALETTE[number % len(PALETTE)]
    return {"facecolor": colour, "hatch": _HATCHES[number % len(_HATCHES)], "edgecolor": GROUND, "linewidth": 0}


def outline_text(text: Any, colour: str, width: float) -> None:
    """Draw a text over an outline of this colour, so that it is legible on anything."""
    text.set_path_effects([patheffects.withStroke(linewidth=width, foreground=colour)])


# Axes and legends


def legend_line(label: str, **look: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], label=label, **look)


def legend_above(
    where: matplotlib.figure.Figure | Axes, handles: Sequence[Any] | None = None, columns: int | None = None
) -> None:
    """A legend over a figure's panels, or over one of its axes, so that it covers no data.

    ``columns``: by default as many as the labels leave room for.
    """
    handles = where.get_legend_handles_labels()[0] if handles is None else handles  # type: ignore[union-attr]
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = columns or max(1, min(len(handles), 54 // (longest + 6)))
    above_axes = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    place: dict[str, Any] = above_axes if isinstance(where, Axes) else {"loc": "outside upper left", "borderaxespad": 0}
    place |= {"handlelength": 2, "columnspacing": 1.1, "labelspacing": 0.3, "handletextpad": 0.5}
    where.legend(handles=handles, ncols=columns, **place)


def images_axis(ax: Axes, most: float) -> None:
    """Label the x axis with training images seen, from 0; in thousands where ``most`` is large."""
    scale, unit = (1000, " (thousands)") if most >= 5000 else (1, "")
    ax.set_xlabel(f"training images seen{unit}")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:,g}"))
    ax.set_xlim(left=0)


def rows_down(ax: Axes, names: Sequence[str]) -> None:
    """Name the rows of bars or dots at heights 0, 1, 2, ..., the first one at the top, with grid lines across them."""
    ax.set_yticks(range(len(names)), names)
    ax.set(ylim=(len(names) - 0.5, -0.5), ylabel="")
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.grid(visible=True, axis="x")


def grouped_bars(
    ax: Axes,
    values: pd.DataFrame,
    looks: Sequence[dict[str, Any]],
    notes: pd.DataFrame,
    low: pd.DataFrame | None = None,
    high: pd.DataFrame | None = None,
) -> None:
    """Horizontal bars with notes to their right: a row for each row of ``values``, in it a bar for each column.

    All frames have the same rows and columns. A range from ``low`` to ``high`` is a line over its bar. NaN has no bar.
    """
    low, high = (values if low is None else low), (values if high is None else high)
    each = 0.8 / len(values.columns)
    for number, (name, look) in enumerate(zip(values.columns, looks, strict=True)):
        y = np.arange(len(values)) - 0.4 + each * (number + 0.5)
        ax.barh(y, values[name], each * 0.92, **look)
        ranges = (high[name] - low[name]).where(low[name] < high[name]) / 2
        ax.errorbar(low[name] + ranges, y, xerr=ranges, fmt="none", ecolor="black", elinewidth=1.4, capsize=3)
        for place, note, *numbers in zip(y, notes[name], values[name], low[name], high[name], strict=True):
            style = "italic" if math.isnan(numbers[0]) else "normal"
            annotate_bar(ax, float(np.nanmax([0.0, *numbers])), place, note, style)
    rows_down(ax, [str(name) for name in values.index])


def annotate_bar(ax: Axes, x: float, y: float, text: str, style: str = "normal") -> None:
    """Write a bar's value to the right of its end at (x, y)."""
    look: dict[str, Any] = {"fontsize": 12, "va": "center", "annotation_clip": False, "zorder": 5, "style": style}
    outline_text(ax.annotate(text, (x, y), (5, 0), textcoords="offset points", **look), GROUND, 3)
