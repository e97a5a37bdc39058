"""The alpha scrubber: walk from one set of weights to another and watch what the networks on the way predict.

Section 6.2 of the paper defines ``W_alpha = alpha W_1 + (1 - alpha) W_2`` for two fine-tuned models (F) and for two trained from
scratch (S). Everything is computed beforehand, as in :mod:`chairlib.show.widgets`: a slider, a Play button and a list choose among
frames inside the page, with no kernel and no network.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ipywidgets
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from chairlib.core.errors import ParameterError
from chairlib.landscape.barriers import TOLERANCE, barrier, below_line
from chairlib.show.figures import (
    _FALSE_ALARM,
    _HIT,
    _MISS,
    PALETTE,
    _agreement_picture,
    _as_masks,
    _as_rgb,
    _columns,
    _found,
    _iou,
    _mask_picture,
)
from chairlib.show.widgets import Frame, _Parts, encode

__all__ = ["BATCH_NORM_TITLES", "PAIR_TITLES", "alpha_scrubber"]

#: The two pairs of section 6.2: fine-tuned from one pretrained model, and trained from scratch.
PAIR_TITLES = {"F": "fine-tuned", "S": "from scratch"}
#: What becomes of BatchNorm's running statistics in a model of interpolated weights.
BATCH_NORM_TITLES = {
    "average": "statistics averaged like weights",
    "recalibrate": "statistics recalibrated on images",
}

_COLOURS = {"F": PALETTE[0], "S": PALETTE[1]}
#: Marks as text, in the shape of the curves' points.
_MARKS = {"F": "●", "S": "■"}
_SUBSCRIPTS = {0: "₂", 1: "₁"}
#: Larger pictures are thinned out to this side: a cell is about 90 CSS pixels wide.
_LARGEST_SIDE = 96


def alpha_scrubber(
    alphas: ArrayLike,
    curves: pd.DataFrame,
    images: ArrayLike,
    targets: ArrayLike,
    predicted: Mapping[tuple[str, str], ArrayLike],
    data_label: str = "test IoU (%)",
    start: int | None = None,
    interval: int = 400,
    width: int = 600,
) -> ipywidgets.Widget:
    """Scrub alpha: IoU over alpha with a moving point, and the masks that F_alpha and S_alpha predict, all moving together.

    ``alphas`` [n], increasing: the frames; values below 0 or above 1 are called extrapolated. ``curves``: columns pair ('F' and
    'S'), batch_norm ('average', 'recalibrate', or one of them), alpha and iou (per cent), one row each; it holds every alpha of
    the frames, 0 and 1, and may be finer. ``images`` uint8 [N, d, d, 3] and ``targets`` bool [N, d, d], N about six; ``predicted``:
    (pair, batch_norm) -> bool [n, N, d, d], a mask for every frame and image. ``data_label`` names the curves' values, ``start``
    is the frame shown first (default: that nearest to alpha = 0), Play goes on every ``interval`` milliseconds, ``width`` is the
    largest displayed width of each half in CSS pixels.

    The read-out gives, beside IoU, how far it lies below the straight line between the trained models, and the barrier, which is
    the largest such gap between them (Entezari et al. 2022, The Role of Permutation Invariance in Linear Mode Connectivity).
    Masks are coloured by agreement with the true ones: found, false alarm and missed differ in lightness and in hue.

    Raises :class:`~chairlib.core.errors.ParameterError` where these don't fit.
    """
    shown = _checked(alphas, curves, images, targets, predicted)
    if start is None:
        start = int(np.abs(shown.alphas).argmin())
    if not 0 <= start < len(shown.alphas):
        raise ParameterError(f"start must be one of the {len(shown.alphas)} frames, counted from 0; found {start}.")
    parts = _Parts(width, pixelated=False)
    slider = parts.slider(shown.labels, "α", start)
    rows = [parts.controls([parts.player(slider, "α", interval), slider])]
    way = ipywidgets.Dropdown(
        options=[(BATCH_NORM_TITLES.get(name, name), number) for number, name in enumerate(shown.ways)],
        index=0,
        description="BatchNorm",
        layout=ipywidgets.Layout(width="360px", max_width="100%"),
        style={"description_width": "initial"},
    )
    if len(shown.ways) > 1:
        rows.append(way)
    numbers = range(len(shown.alphas))
    lines = [
        parts.stack([parts.text(_curve_frame(shown, w, i, data_label)) for i in numbers], slider) for w in shown.ways
    ]
    masks = [parts.stack([parts.text(_mask_frame(parts, shown, w, i)) for i in numbers], slider) for w in shown.ways]
    panels = [
        parts.stack(lines, way),
        ipywidgets.VBox(
            [parts.text(_given(parts, shown)), parts.stack(masks, way), parts.text(_legend())],
            layout=_panel_layout(width),
        ),
    ]
    columns = "repeat(auto-fit, minmax(min(100%, 430px), 1fr))"
    grid = ipywidgets.Layout(grid_template_columns=columns, grid_gap="4px 28px", max_width=f"{2 * width + 28}px")
    return ipywidgets.VBox([*rows, ipywidgets.GridBox(panels, layout=grid)])


def _panel_layout(width: int) -> ipywidgets.Layout:
    return ipywidgets.Layout(margin="0", width="100%", max_width=f"{width}px", overflow="hidden")


@dataclass(frozen=True)
class _Shown:
    """What the scrubber shows, checked. ``curves`` and ``predicted`` are by (pair, way of BatchNorm)."""

    alphas: NDArray[np.float64]
    labels: list[str]
    ways: list[str]
    curves: dict[tuple[str, str], pd.DataFrame]
    images: NDArray[np.uint8]
    targets: NDArray[np.bool_]
    predicted: dict[tuple[str, str], NDArray[np.bool_]]

    def iou(self, pair: str, way: str, number: int) -> float:
        curve = self.curves[pair, way]
        return float(curve["iou"].iloc[int((curve["alpha"] - self.alphas[number]).abs().argmin())])

    def below(self, pair: str, way: str, number: int) -> float:
        """Points below the straight line between the trained models; NaN where alpha is extrapolated."""
        curve = self.curves[pair, way]
        gaps = below_line(curve["alpha"], curve["iou"])
        return float(gaps[int((curve["alpha"] - self.alphas[number]).abs().argmin())])

    def barrier(self, pair: str, way: str) -> float:
        """The largest of these gaps between the trained models, in points; never below 0."""
        return barrier(self.curves[pair, way]["alpha"], self.curves[pair, way]["iou"])


# Checks


def _checked(
    alphas: ArrayLike,
    curves: pd.DataFrame,
    images: ArrayLike,
    targets: ArrayLike,
    predicted: Mapping[tuple[str, str], ArrayLike],
) -> _Shown:
    places = np.asarray(alphas, dtype=float)
    # Steps added up may miss the trained models by a rounding error.
    places = np.where(np.abs(places) <= TOLERANCE, 0.0, places)
    if places.ndim != 1 or not places.size or not (np.isfinite(places).all() and (np.diff(places) > 0).all()):
        raise ParameterError(f"alphas must be a list of increasing numbers; found {_listed(places)}.")
    _columns(curves, ("pair", "batch_norm", "alpha", "iou"), "the table of curves")
    ways = [way for way in BATCH_NORM_TITLES if (curves["batch_norm"] == way).any()]
    if unknown := sorted(set(map(str, curves["batch_norm"])) - set(ways)):
        raise ParameterError(f"batch_norm must be one of {', '.join(BATCH_NORM_TITLES)}; found {', '.join(unknown)}.")
    pictures, truth = _as_rgb(images), _as_masks(targets)
    if truth.shape != pictures.shape[:3]:
        raise ParameterError(
            f"targets must be the images' masks {list(pictures.shape[:3])}; {_found(np.asarray(targets))}."
        )
    keys = [(pair, way) for way in ways for pair in PAIR_TITLES]
    lines = {key: _curve(curves, key, places) for key in keys}
    masks = {key: _masks_of(predicted, key, (len(places), *truth.shape)) for key in keys}
    return _Shown(places, _labels(places), ways, lines, pictures, truth, masks)


def _curve(curves: pd.DataFrame, key: tuple[str, str], alphas: NDArray[np.float64]) -> pd.DataFrame:
    pair, way = key
    curve = curves.loc[(curves["pair"] == pair) & (curves["batch_norm"] == way), ["alpha", "iou"]]
    name = f"the curve of pair {pair!r} with batch_norm {way!r}"
    if curve.empty:
        found = ", ".join(f"{p} {w}" for p, w in dict.fromkeys(zip(curves["pair"], curves["batch_norm"], strict=True)))
        raise ParameterError(f"{name} is missing; found {found}.")
    curve = curve.astype(float).sort_values("alpha", ignore_index=True)
    if (curve["alpha"].diff() <= TOLERANCE).any():
        raise ParameterError(f"{name} must have one row for each alpha; found {_listed(curve['alpha'].to_numpy())}.")
    if not curve["iou"].between(0, 100).all():
        raise ParameterError(
            f"{name} must be per cent in [0, 100]; found {curve['iou'].min():g} to {curve['iou'].max():g}."
        )
    for alpha in [*alphas, 0.0, 1.0]:
        if (curve["alpha"] - alpha).abs().min() > TOLERANCE:
            raise ParameterError(f"{name} lacks alpha = {alpha:g}; found {_listed(curve['alpha'].to_numpy())}.")
    return curve


def _masks_of(
    predicted: Mapping[tuple[str, str], ArrayLike], key: tuple[str, str], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    if key not in predicted:
        found = ", ".join(map(str, predicted)) or "none"
        raise ParameterError(f"the predicted masks of {key} are missing; found {found}.")
    masks = np.asarray(predicted[key])
    if masks.dtype != np.bool_ or masks.shape != shape:
        raise ParameterError(f"the predicted masks of {key} must be bool {list(shape)}; {_found(masks)}.")
    return masks


def _listed(values: NDArray[np.float64]) -> str:
    numbers = [f"{value:g}" for value in values.ravel()]
    return ", ".join(numbers if len(numbers) <= 8 else [*numbers[:6], "...", numbers[-1]]) or "none"


def _labels(alphas: NDArray[np.float64]) -> list[str]:
    """Alpha as text, with as few decimals as tell the frames apart, and two at least."""
    for decimals in range(2, 8):
        if len({f"{alpha:.{decimals}f}" for alpha in alphas}) == len(alphas):
            break
    return [f"{alpha:.{decimals}f}".replace("-", "−") for alpha in alphas]


# What a frame shows


def _place(alpha: float) -> str:
    """Where between the trained models an alpha lies, in words."""
    for end, subscript in _SUBSCRIPTS.items():
        if abs(alpha - end) <= TOLERANCE:
            return f"the trained F{subscript} and S{subscript}"
    if 0 < alpha < 1:
        return "between the trained models"
    return f"extrapolated, past F{_SUBSCRIPTS[int(alpha > 1)]} and S{_SUBSCRIPTS[int(alpha > 1)]}"


def _symbol(pair: str) -> str:
    # A subscript that doesn't push its line down.
    return f'{pair}<sub style="line-height:0">α</sub>'


def _points(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")


def _told(shown: _Shown, way: str, number: int, data_label: str) -> str:
    """A frame's figures in words: the alternative text of its curve."""
    told = [f"{data_label} over alpha, BatchNorm {BATCH_NORM_TITLES[way]}."]
    told.append(f"At alpha {shown.labels[number]}, {_place(shown.alphas[number])}:")
    for pair, title in PAIR_TITLES.items():
        below = shown.below(pair, way, number)
        drop = "" if math.isnan(below) else f", {_points(below)} points below the line between its ends"
        told.append(
            f"{pair}, {title}, has {shown.iou(pair, way, number):.1f} %{drop}; "
            f"its barrier is {_points(shown.barrier(pair, way))} points{';' if pair == 'F' else '.'}"
        )
    return " ".join(told)


def _curve_frame(shown: _Shown, way: str, number: int, data_label: str) -> str:
    """The read-out and the curve with its two points."""
    return _read_out(shown, way, number, data_label) + _Chart(shown, way, data_label).svg(
        number, _told(shown, way, number, data_label)
    )


def _read_out(shown: _Shown, way: str, number: int, data_label: str) -> str:
    cell = '<span role="{role}" style="{css}">{text}</span>'
    head = "font-size:.85em;opacity:.8;line-height:1.25;align-self:end;"
    names = ("", data_label, "below the line of its ends (points)", "barrier: the largest (points)")
    rows = [
        "".join(
            cell.format(role="columnheader", css=head + ("text-align:right" if name else ""), text=html.escape(name))
            for name in names
        )
    ]
    for pair, title in PAIR_TITLES.items():
        mark = f'<span aria-hidden="true" style="color:{_COLOURS[pair]}">{_MARKS[pair]}</span>'
        figures = (
            f"{shown.iou(pair, way, number):.1f}",
            _points(shown.below(pair, way, number)),
            _points(shown.barrier(pair, way)),
        )
        numeric = "text-align:right;font-variant-numeric:tabular-nums;"
        rows.append(
            cell.format(role="rowheader", css="", text=f"{mark} {_symbol(pair)}, {title}")
            + "".join(cell.format(role="cell", css=numeric, text=figure) for figure in figures)
        )
    lines = "".join(f'<div role="row" style="display:contents">{row}</div>' for row in rows)
    grid = "display:grid;grid-template-columns:max-content 1fr 1.2fr 1.1fr;gap:0 10px;line-height:1.5"
    return (
        f'<div class="alpha-read-out" style="line-height:1.5"><strong>α = {shown.labels[number]}</strong>: '
        f'{_place(shown.alphas[number])}<div role="table" style="{grid}">{lines}</div></div>'
    )


class _Chart:
    """IoU over alpha as SVG in the colours of the page, with a point on each curve."""

    WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 270, 36, 26, 26, 50

    def __init__(self, shown: _Shown, way: str, data_label: str) -> None:
        self.shown, self.way, self.data_label = shown, way, data_label
        every = pd.concat(list(shown.curves.values()))
        self.low, self.high = float(every["alpha"].min()), float(every["alpha"].max())
        #: One scale for all ways of BatchNorm, so that the switch shows their difference.
        self.top = max(10.0, math.ceil(float(every["iou"].max()) / 10) * 10)

    def x(self, alpha: float) -> float:
        share = (alpha - self.low) / (self.high - self.low)
        return round(self.LEFT + share * (self.WIDTH - self.LEFT - self.RIGHT), 1)

    def y(self, iou: float) -> float:
        return round(self.HEIGHT - self.BOTTOM - iou / self.top * (self.HEIGHT - self.TOP - self.BOTTOM), 1)

    def svg(self, number: int, alt: str) -> str:
        body = self._axes() + "".join(map(self._line, PAIR_TITLES)) + self._points(number)
        return (
            f'<svg class="alpha-curve" role="img" aria-label="{html.escape(alt)}" viewBox="0 0 {self.WIDTH} {self.HEIGHT}" '
            'style="display:block;width:100%;height:auto;margin-top:.5em" fill="currentColor" font-size="13" '
            f'font-family="system-ui,sans-serif">{body}</svg>'
        )

    def _axes(self) -> str:
        left, right, floor = self.x(self.low), self.x(self.high), self.y(0)
        found = [f'<text x="0" y="12">{html.escape(self.data_label)}</text>']
        for start, end in ((self.low, 0.0), (1.0, self.high)):
            if end - start > TOLERANCE:
                found.append(
                    f'<rect x="{self.x(start)}" y="{self.y(self.top)}" width="{self.x(end) - self.x(start):.1f}" '
                    f'height="{floor - self.y(self.top):.1f}" fill-opacity=".09"/>'
                )
        step = 20 if self.top > 40 else 10 if self.top > 20 else 5
        for value in range(0, int(self.top) + 1, step):
            found.append(
                f'<path d="M{left} {self.y(value)}H{right}" stroke="currentColor" stroke-opacity="{0.6 if value == 0 else 0.18}"/>'
                f'<text x="{left - 6}" y="{self.y(value) + 4.5:.1f}" text-anchor="end">{value}</text>'
            )
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
            found.append(f'<text x="{self.x(tick)}" y="{floor + 17:.1f}" text-anchor="middle">{tick:g}</text>')
        for end, subscript in _SUBSCRIPTS.items():
            found.append(
                f'<text x="{self.x(end)}" y="{floor + 34:.1f}" text-anchor="middle">F{subscript}, S{subscript}</text>'
            )
        found.append(f'<text x="{self.x(0.5)}" y="{floor + 36:.1f}" text-anchor="middle" font-size="15">α</text>')
        return "".join(found)

    def _line(self, pair: str) -> str:
        curve = self.shown.curves[pair, self.way]
        points = " ".join(f"{self.x(a)},{self.y(v)}" for a, v in zip(curve["alpha"], curve["iou"], strict=True))
        return f'<polyline points="{points}" fill="none" stroke="{_COLOURS[pair]}" stroke-width="2.5" stroke-linejoin="round"/>'

    def _points(self, number: int) -> str:
        x = self.x(self.shown.alphas[number])
        f, s = (self.y(self.shown.iou(pair, self.way, number)) for pair in PAIR_TITLES)
        ring = 'stroke="#fff" stroke-width="1.5"'
        return (
            f'<path d="M{x} {self.y(0)}V{self.y(self.top)}" stroke="currentColor" stroke-opacity=".5" stroke-dasharray="2 3"/>'
            f'<rect class="alpha-point-S" x="{x - 7:.1f}" y="{s - 7:.1f}" width="14" height="14" fill="{_COLOURS["S"]}" {ring}/>'
            f'<circle class="alpha-point-F" cx="{x}" cy="{f}" r="5.5" fill="{_COLOURS["F"]}" {ring}/>'
        )


# Pictures


def _strip(cells: Sequence[NDArray[np.uint8]]) -> bytes:
    """Pictures uint8 [d, d, 3] side by side, transparent between, as one small file."""
    step = max(1, math.ceil(len(cells[0]) / _LARGEST_SIDE))
    thin = [cell[::step, ::step] for cell in cells]
    side, gap = len(thin[0]), max(1, len(thin[0]) // 16)
    strip = np.zeros((side, len(cells) * (side + gap) - gap, 4), np.uint8)
    for number, cell in enumerate(thin):
        left = number * (side + gap)
        strip[:, left : left + side, :3], strip[:, left : left + side, 3] = cell, 255
    return encode(strip)


def _row(parts: _Parts, heading: str, cells: Sequence[NDArray[np.uint8]], alt: str) -> str:
    return f'<div style="line-height:1.5;margin-top:.3em">{heading}</div>' + parts.image(
        Frame("", _strip(cells), alt), "background:none;border-radius:0;"
    )


def _given(parts: _Parts, shown: _Shown) -> str:
    """What every frame is compared with: the images and their true masks."""
    count = len(shown.images)
    share = f"{shown.targets.mean() * 100:.1f} %"
    truth = [_mask_picture(mask) for mask in shown.targets]
    return _row(parts, "Images", list(shown.images), f"{count} scored images") + _row(
        parts, "Ground truth", truth, f"The true masks of these {count} images: {share} of the pixels are object"
    )


def _mask_frame(parts: _Parts, shown: _Shown, way: str, number: int) -> str:
    rows = []
    for pair, title in PAIR_TITLES.items():
        masks = shown.predicted[pair, way][number]
        pairs = list(zip(masks, shown.targets, strict=True))
        scores = ["–" if math.isnan(iou := _iou(p, t)) else f"{iou:.0f}" for p, t in pairs]
        alt = (
            f"Masks predicted by {pair} at alpha {shown.labels[number]}, {title}, BatchNorm {BATCH_NORM_TITLES[way]}: "
            f"IoU in per cent {', '.join(scores)}"
        )
        heading = f"{_symbol(pair)}, {title}: α = {shown.labels[number]}"
        rows.append(_row(parts, heading, [_agreement_picture(p, t) for p, t in pairs], alt) + _scores(scores))
    return "".join(rows)


def _scores(scores: Sequence[str]) -> str:
    cells = "".join(f"<span>{score}</span>" for score in scores)
    look = "display:grid;grid-auto-flow:column;grid-auto-columns:1fr;text-align:center;line-height:1.4;font-size:.9em"
    return f'<div aria-hidden="true" style="{look}">{cells}</div>'


def _legend() -> str:
    """Which colour is which, and what the small numbers are."""
    boxes = "".join(
        f'<span style="white-space:nowrap"><span aria-hidden="true" style="display:inline-block;width:.8em;height:.8em;'
        f'background:rgb{colour};border:1px solid currentColor"></span> {name}</span>'
        for name, colour in (("found", _HIT), ("false alarm", _FALSE_ALARM), ("missed", _MISS))
    )
    look = "display:flex;flex-wrap:wrap;gap:0 14px;line-height:1.5;font-size:.9em"
    return f'<div style="{look}">{boxes}<span>below each mask: its IoU (%)</span></div>'
