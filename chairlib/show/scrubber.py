"""The alpha scrubber: walk from one set of weights to another and watch what the networks on the way predict.

Section 6.2 of the paper defines ``W_alpha = alpha W_1 + (1 - alpha) W_2`` for two fine-tuned models (F) and for two
trained from scratch (S). A third pair (R) is from scratch too, but from the same random weights. Everything is computed
beforehand, as in :mod:`chairlib.show.widgets`: a slider, a Play button and a list choose among frames inside the page,
with no kernel and no network.
"""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass

import ipywidgets
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from chairlib.core.errors import ParameterError
from chairlib.landscape.barriers import TOLERANCE, barrier, below_line
from chairlib.show.interpolation import PAIR_COLOURS, PAIR_TITLES
from chairlib.show.mosaic import (
    FALSE_ALARM,
    HIT,
    MISS,
    agreement_picture,
    as_masks,
    as_rgb,
    mask_iou,
    mask_picture,
)
from chairlib.show.widgets import WidgetParts

__all__ = ["BATCH_NORM_TITLES", "alpha_scrubber"]

#: What becomes of BatchNorm's running statistics in a model of interpolated weights.
BATCH_NORM_TITLES = {
    "average": "statistics averaged like weights",
    "recalibrate": "statistics recalibrated on images",
}

#: Marks as text, and the curves' points of the same shapes, in SVG around (0, 0).
_MARKS = {"F": "●", "S": "■", "R": "▲"}
_POINTS = {
    "F": '<circle class="alpha-point-F" r="5.5" {}/>',
    "S": '<rect class="alpha-point-S" x="-7" y="-7" width="14" height="14" {}/>',
    "R": '<path class="alpha-point-R" d="M0 -8L7 5H-7Z" {}/>',
}
#: From the largest to the smallest, so that none hides another.
_DRAWN = "SRF"
_SUBSCRIPTS = {0: "₂", 1: "₁"}
#: A subscript that doesn't push its line down.
_ALPHA = '<sub style="line-height:0">α</sub>'
#: Larger pictures are thinned out to this side: a cell is about 90 CSS pixels wide.
_LARGEST_SIDE = 96
#: The largest displayed width of each half, in CSS pixels.
_HALF = 600


def alpha_scrubber(
    alphas: ArrayLike,
    curves: pd.DataFrame,
    images: ArrayLike,
    targets: ArrayLike,
    predicted: Mapping[tuple[str, str], NDArray[np.bool_]],
    data_label: str = "test IoU (%)",
    interval: int = 400,
) -> ipywidgets.Widget:
    """Scrub alpha: IoU over alpha with moving points, together with the masks that F, S and R at alpha predict.

    ``alphas`` [n], increasing: the frames; values below 0 or above 1 are called extrapolated. ``curves``: columns
    pair ('F', 'S' and 'R'), batch_norm ('average', 'recalibrate', or one of them), alpha and iou (per cent); it holds
    every alpha of the frames, 0 and 1, and may be finer. ``images`` uint8 [N, d, d, 3] and ``targets`` bool
    [N, d, d], N about six; ``predicted``: (pair, batch_norm) -> bool [n, N, d, d], a mask for every frame and image.
    ``data_label`` names the curves' values. The frame nearest to alpha = 0 is shown first, and Play goes on every
    ``interval`` milliseconds.

    The read-out gives, beside IoU, how far it lies below the straight line between the trained models, and the
    barrier, which is the largest such gap between them (Entezari et al. 2022, The Role of Permutation Invariance in
    Linear Mode Connectivity). Masks are coloured by agreement with the true ones: found, false alarm and missed
    differ in lightness and in hue.

    Raises :class:`~chairlib.core.errors.ParameterError` where these don't fit.
    """
    frames = np.asarray(alphas, dtype=float)
    # Steps added up may miss the trained models by a rounding error.
    frames = np.where(np.abs(frames) <= TOLERANCE, 0.0, frames)
    treatments = [name for name in BATCH_NORM_TITLES if (curves["batch_norm"] == name).any()]
    pictures, truth = as_rgb(images), as_masks(targets)
    lines = {}
    for key in ((pair, treatment) for treatment in treatments for pair in PAIR_TITLES):
        curve = curves.loc[(curves["pair"] == key[0]) & (curves["batch_norm"] == key[1]), ["alpha", "iou"]]
        curve = curve.astype(float).sort_values("alpha", ignore_index=True)
        for alpha in (*frames, 0.0, 1.0):
            if not np.isclose(curve["alpha"], alpha, rtol=0, atol=TOLERANCE).any():
                raise ParameterError(f"the curve of {key} lacks alpha = {alpha:g}.")
        if predicted[key].shape != (needed := (len(frames), *truth.shape)):
            raise ParameterError(f"the masks of {key} must be {list(needed)}; found {list(predicted[key].shape)}.")
        lines[key] = curve.assign(below=below_line(curve["alpha"], curve["iou"]))
    # As few decimals as each alpha needs, and two at least.
    labels = [np.format_float_positional(a, precision=4, min_digits=2).replace("-", "−") for a in frames]
    shown = _Scrubbed(frames, labels, treatments, lines, truth, dict(predicted), data_label)
    parts = WidgetParts(_HALF, pixelated=False)
    slider = parts.slider(shown.labels, "α", int(np.abs(frames).argmin()))
    treatment_list = ipywidgets.Dropdown(
        options=[(BATCH_NORM_TITLES[name], number) for number, name in enumerate(treatments)],
        index=0,
        description="BatchNorm",
        layout=ipywidgets.Layout(width="360px", max_width="100%"),
        style={"description_width": "initial"},
    )
    charts, masks = [], []
    for treatment in treatments:
        chart = _Chart(shown, treatment)
        figures = [_read_out(shown, treatment, n) + chart.svg(n) for n in range(len(frames))]
        charts.append(parts.stack(map(parts.text, figures), slider))
        rows = [_predicted_masks(parts, shown, treatment, n) for n in range(len(frames))]
        masks.append(parts.stack(map(parts.text, rows), slider))
    alt = f"The true masks of these {len(pictures)} images: {truth.mean() * 100:.1f} % of the pixels are object"
    given = _picture_row(parts, "Images", pictures, f"{len(pictures)} scored images")
    given += _picture_row(parts, "Ground truth", np.stack(list(map(mask_picture, truth))), alt)
    below = [parts.text(given), parts.stack(masks, treatment_list), parts.text(_legend())]
    panel = ipywidgets.Layout(margin="0", width="100%", max_width=f"{_HALF}px", overflow="hidden")
    panels = [parts.stack(charts, treatment_list), ipywidgets.VBox(below, layout=panel)]
    columns = "repeat(auto-fit, minmax(min(100%, 430px), 1fr))"
    grid = ipywidgets.Layout(grid_template_columns=columns, grid_gap="4px 28px", max_width=f"{2 * _HALF + 28}px")
    switch = [treatment_list] if len(treatments) > 1 else []
    row = ipywidgets.Layout(max_width=f"{_HALF}px", align_items="center", flex_flow="row wrap")
    last = len(frames) - 1
    player = ipywidgets.Play(min=0, max=last, value=slider.index, interval=interval, description="Play α")
    player.layout.flex = "0 0 auto"
    ipywidgets.jslink((player, "value"), (slider, "index"))
    controls = ipywidgets.HBox([player, slider], layout=row)
    return ipywidgets.VBox([controls, *switch, ipywidgets.GridBox(panels, layout=grid)])


@dataclass(frozen=True)
class _Scrubbed:
    """What the scrubber shows. ``curves`` and ``predicted`` are by (pair, treatment of BatchNorm)."""

    alphas: NDArray[np.float64]
    labels: list[str]
    treatments: list[str]
    curves: dict[tuple[str, str], pd.DataFrame]  # columns alpha, iou, and below: points below the line between the ends
    targets: NDArray[np.bool_]
    predicted: dict[tuple[str, str], NDArray[np.bool_]]
    data_label: str

    def at(self, pair: str, treatment: str, number: int) -> tuple[float, float]:
        """A pair's IoU in a frame, and how many points that is below the line (NaN where alpha is extrapolated)."""
        curve = self.curves[pair, treatment]
        row = curve.iloc[int((curve["alpha"] - self.alphas[number]).abs().argmin())]
        return float(row["iou"]), float(row["below"])

    def barrier(self, pair: str, treatment: str) -> float:
        """The largest of these gaps between the trained models, in points; never below 0."""
        curve = self.curves[pair, treatment]
        return barrier(curve["alpha"], curve["iou"])


# What a frame shows, in words


def _models(subscript: str) -> str:
    """``"F₁, S₁, R₁"``."""
    return ", ".join(pair + subscript for pair in PAIR_TITLES)


def _position(alpha: float) -> str:
    """Where an alpha lies: on the trained models, between them, or beyond."""
    for end, subscript in _SUBSCRIPTS.items():
        if abs(alpha - end) <= TOLERANCE:
            return f"the trained {_models(subscript)}"
    if 0 < alpha < 1:
        return "between the trained models"
    return f"extrapolated, past {_models(_SUBSCRIPTS[int(alpha > 1)])}"


def _points(value: float) -> str:
    """Percentage points as text; a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")


def _curve_alt(shown: _Scrubbed, treatment: str, number: int) -> str:
    """A frame's figures in words: the alternative text of its curve."""
    words = [f"{shown.data_label} over alpha, BatchNorm {BATCH_NORM_TITLES[treatment]}."]
    words.append(f"At alpha {shown.labels[number]}, {_position(shown.alphas[number])}:")
    for pair, title in PAIR_TITLES.items():
        iou, below = shown.at(pair, treatment, number)
        drop = "" if math.isnan(below) else f", {_points(below)} points below the line between its ends"
        highest = _points(shown.barrier(pair, treatment))
        words.append(f"{title}, has {iou:.1f} %{drop}; its barrier is {highest} points;")
    return " ".join(words)[:-1] + "."


def _read_out(shown: _Scrubbed, treatment: str, number: int) -> str:
    """A frame's figures as a table in HTML."""

    def row(role: str, css: str, *texts: str) -> str:
        cells = "".join(f'<span role="{role}" style="{css}">{text}</span>' for text in texts)
        return f'<div role="row" style="display:contents">{{}}{cells}</div>'

    head = "font-size:.85em;opacity:.8;line-height:1.25;align-self:end;text-align:right"
    names = (html.escape(shown.data_label), "below the line of its ends (points)", "barrier: the largest (points)")
    rows = row("columnheader", head, *names).format('<span role="columnheader"></span>')
    for pair, title in PAIR_TITLES.items():
        mark = f'<span aria-hidden="true" style="color:{PAIR_COLOURS[pair]}">{_MARKS[pair]}</span>'
        iou, below = shown.at(pair, treatment, number)
        figures = (f"{iou:.1f}", _points(below), _points(shown.barrier(pair, treatment)))
        header = f'<span role="rowheader">{mark} {pair}{_ALPHA}{title.removeprefix(pair)}</span>'
        rows += row("cell", "text-align:right;font-variant-numeric:tabular-nums", *figures).format(header)
    grid = "display:grid;grid-template-columns:max-content 1fr 1.2fr 1.1fr;gap:0 10px;line-height:1.5"
    return (
        f'<div class="alpha-read-out" style="line-height:1.5"><strong>α = {shown.labels[number]}</strong>: '
        f'{_position(shown.alphas[number])}<div role="table" style="{grid}">{rows}</div></div>'
    )


class _Chart:
    """IoU over alpha as SVG in the colours of the page, with a point on each curve."""

    WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 270, 36, 34, 26, 50

    def __init__(self, shown: _Scrubbed, treatment: str) -> None:
        self.shown, self.treatment = shown, treatment
        every = pd.concat(list(shown.curves.values()))
        self.low, self.high = float(every["alpha"].min()), float(every["alpha"].max())
        #: One scale for all treatments of BatchNorm, so that the list shows their difference.
        self.top = max(10.0, math.ceil(float(every["iou"].max()) / 10) * 10)

    def x(self, alpha: float) -> float:
        share = (alpha - self.low) / (self.high - self.low)
        return round(self.LEFT + share * (self.WIDTH - self.LEFT - self.RIGHT), 1)

    def y(self, iou: float) -> float:
        return round(self.HEIGHT - self.BOTTOM - iou / self.top * (self.HEIGHT - self.TOP - self.BOTTOM), 1)

    def svg(self, number: int) -> str:
        alt = html.escape(_curve_alt(self.shown, self.treatment, number))
        return (
            f'<svg class="alpha-curve" role="img" aria-label="{alt}" viewBox="0 0 {self.WIDTH} {self.HEIGHT}" '
            'style="display:block;width:100%;height:auto;margin-top:.5em" fill="currentColor" font-size="13" '
            'font-family="system-ui,sans-serif">'
            f"{self._axes_and_curves()}{self._marks(number)}</svg>"
        )

    def _axes_and_curves(self) -> str:
        left, right, floor, ceiling = self.x(self.low), self.x(self.high), self.y(0), self.y(self.top)
        parts = [f'<text x="0" y="12">{html.escape(self.shown.data_label)}</text>']
        for start, end in ((self.low, 0.0), (1.0, self.high)):
            if end - start > TOLERANCE:
                size = f'width="{self.x(end) - self.x(start):.1f}" height="{floor - ceiling:.1f}"'
                parts.append(f'<rect x="{self.x(start)}" y="{ceiling}" {size} fill-opacity=".09"/>')
        for value in range(0, int(self.top) + 1, 20 if self.top > 40 else 10 if self.top > 20 else 5):
            stroke = f'stroke="currentColor" stroke-opacity="{0.18 if value else 0.6}"'
            parts.append(f'<path d="M{left} {self.y(value)}H{right}" {stroke}/>')
            parts.append(f'<text x="{left - 6}" y="{self.y(value) + 4.5:.1f}" text-anchor="end">{value}</text>')
        below = [(tick, 17, f"{tick:g}") for tick in (0.0, 0.25, 0.5, 0.75, 1.0)]
        below += [(end, 34, _models(subscript)) for end, subscript in _SUBSCRIPTS.items()]
        parts += [
            f'<text x="{self.x(alpha)}" y="{floor + down:.1f}" text-anchor="middle">{text}</text>'
            for alpha, down, text in [*below, (0.5, 36, '<tspan font-size="15">α</tspan>')]
        ]
        for pair, colour in PAIR_COLOURS.items():
            curve = self.shown.curves[pair, self.treatment]
            points = " ".join(f"{self.x(a)},{self.y(v)}" for a, v in zip(curve["alpha"], curve["iou"], strict=True))
            stroke = f'stroke="{colour}" stroke-width="2.5" stroke-linejoin="round"'
            parts.append(f'<polyline points="{points}" fill="none" {stroke}/>')
        return "".join(parts)

    def _marks(self, number: int) -> str:
        """A point on each curve, and a dotted line at their alpha."""
        x = self.x(self.shown.alphas[number])
        dotted = 'stroke="currentColor" stroke-opacity=".5" stroke-dasharray="2 3"'
        points = [f'<path d="M{x} {self.y(0)}V{self.y(self.top)}" {dotted}/>']
        for pair in _DRAWN:
            look = f'fill="{PAIR_COLOURS[pair]}" stroke="#fff" stroke-width="1.5"'
            place = f"{x} {self.y(self.shown.at(pair, self.treatment, number)[0])}"
            points.append(f'<g transform="translate({place})">{_POINTS[pair].format(look)}</g>')
        return "".join(points)


# Pictures


def _picture_row(parts: WidgetParts, heading: str, cells: NDArray[np.uint8], alt: str) -> str:
    """Pictures uint8 [N, d, d, 3] side by side, transparent between, at most :data:`_LARGEST_SIDE` pixels high."""
    step = math.ceil(cells.shape[1] / _LARGEST_SIDE)
    thin = np.pad(cells[:, ::step, ::step], ((0, 0),) * 3 + ((0, 1),), constant_values=255)
    gap = max(1, thin.shape[1] // 16)
    strip = np.hstack(list(np.pad(thin, ((0, 0), (0, 0), (0, gap), (0, 0)))))[:, :-gap]
    image = parts.image(strip, alt, "background:none;border-radius:0;")
    return f'<div style="line-height:1.5;margin-top:.3em">{heading}</div>{image}'


def _predicted_masks(parts: WidgetParts, shown: _Scrubbed, treatment: str, number: int) -> str:
    """A row of masks for each pair, coloured by agreement with the true ones, each mask's IoU below it."""
    rows = []
    grid = "display:grid;grid-auto-flow:column;grid-auto-columns:1fr;text-align:center;line-height:1.4;font-size:.9em"
    for pair, title in PAIR_TITLES.items():
        masks = shown.predicted[pair, treatment][number]
        ious = ["–" if math.isnan(iou) else f"{iou:.0f}" for iou in map(mask_iou, masks, shown.targets)]
        model = f"{pair} at alpha {shown.labels[number]}{title.removeprefix(pair)}"
        alt = f"Masks predicted by {model}, BatchNorm {BATCH_NORM_TITLES[treatment]}: IoU in per cent {', '.join(ious)}"
        heading = f"{pair}{_ALPHA}{title.removeprefix(pair)}: α = {shown.labels[number]}"
        rows.append(_picture_row(parts, heading, agreement_picture(masks, shown.targets), alt))
        numbers = "".join(f"<span>{iou}</span>" for iou in ious)
        rows.append(f'<div aria-hidden="true" style="{grid}">{numbers}</div>')
    return "".join(rows)


def _legend() -> str:
    """Which colour is which, and what the small numbers are."""
    boxes = "".join(
        f'<span style="white-space:nowrap"><span aria-hidden="true" style="display:inline-block;width:.8em;height:.8em;'
        f'background:rgb{colour};border:1px solid currentColor"></span> {name}</span>'
        for name, colour in (("found", HIT), ("false alarm", FALSE_ALARM), ("missed", MISS))
    )
    look = "display:flex;flex-wrap:wrap;gap:0 14px;line-height:1.5;font-size:.9em"
    return f'<div style="{look}">{boxes}<span>below each mask: its IoU (%)</span></div>'
