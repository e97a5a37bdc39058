"""The alpha scrubber: walk from one set of weights to another and watch what the networks on the way predict.

Section 6.2 of the paper defines ``W_alpha = alpha W_1 + (1 - alpha) W_2`` for two models of a set (F or S; R is ours,
see :data:`~chairlib.show.interpolation.PAIR_TITLES`). Everything is computed beforehand, as in
:mod:`chairlib.show.widgets`: a slider, a Play button and a list choose among frames inside the page.
"""

import html
import math
from collections.abc import Mapping

import ipywidgets
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from chairlib.core.errors import ParameterError
from chairlib.landscape.barriers import TOLERANCE, barrier, below_line
from chairlib.show import mosaic
from chairlib.show.interpolation import PAIR_COLOURS, PAIR_TITLES
from chairlib.show.widgets import WidgetParts, image_tag

#: What becomes of BatchNorm's running statistics in a model of interpolated weights.
BATCH_NORM_TITLES = {
    "average": "statistics averaged like weights",
    "recalibrate": "statistics recalibrated on images",
}

#: Marks as text, and the curves' points of the same shapes, in SVG around (0, 0).
_MARKS = {"F": "●", "S": "■", "R": "▲"}
#: Drawn from the largest to the smallest, so that none hides another.
_POINTS = {
    "S": '<rect class="alpha-point-S" x="-7" y="-7" width="14" height="14" {}/>',
    "R": '<path class="alpha-point-R" d="M0 -8L7 5H-7Z" {}/>',
    "F": '<circle class="alpha-point-F" r="5.5" {}/>',
}
#: The trained models at both ends of alpha.
_ENDS = {end: ", ".join(pair + subscript for pair in PAIR_TITLES) for end, subscript in {0: "₂", 1: "₁"}.items()}
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
    pictures, truth = mosaic.as_rgb(images), mosaic.as_masks(targets)
    treatments = [name for name in BATCH_NORM_TITLES if (curves["batch_norm"] == name).any()]
    shown = [_Treatment(name, frames, curves, truth, predicted, data_label) for name in treatments]
    parts = WidgetParts(_HALF)
    slider = parts.slider(shown[0].labels, "α", int(np.abs(frames).argmin()))
    treatment_list = ipywidgets.Dropdown(
        options=[(BATCH_NORM_TITLES[name], number) for number, name in enumerate(treatments)],
        index=0,
        description="BatchNorm",
        layout=ipywidgets.Layout(width="360px", max_width="100%"),
        style={"description_width": "initial"},
    )
    charts, masks = (
        [parts.stack([parts.text(draw(one, number)) for number in range(len(frames))], slider) for one in shown]
        for draw in (_Treatment.read_out_and_curve, _Treatment.masks)
    )
    alt = f"The true masks of these {len(pictures)} images: {truth.mean() * 100:.1f} % of the pixels are object"
    given = _picture_row("Images", pictures, f"{len(pictures)} scored images")
    given += _picture_row("Ground truth", np.stack(list(map(mosaic.mask_picture, truth))), alt)
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


def _position(alpha: float) -> str:
    """Where an alpha lies: on the trained models, between them, or beyond."""
    for end, models in _ENDS.items():
        if abs(alpha - end) <= TOLERANCE:
            return f"the trained {models}"
    return "between the trained models" if 0 < alpha < 1 else f"extrapolated, past {_ENDS[int(alpha > 1)]}"


def _points(value: float) -> str:
    """Percentage points as text; a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")


class _Treatment:
    """All frames under one treatment of BatchNorm: figures and masks as HTML, curves as SVG in the page's colours."""

    WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 270, 36, 34, 26, 50

    def __init__(
        self,
        name: str,
        alphas: NDArray[np.float64],
        curves: pd.DataFrame,
        targets: NDArray[np.bool_],
        predicted: Mapping[tuple[str, str], NDArray[np.bool_]],
        data_label: str,
    ) -> None:
        self.title, self.alphas, self.targets, self.data_label = BATCH_NORM_TITLES[name], alphas, targets, data_label
        # As few decimals as each alpha needs, and two at least.
        self.labels = [np.format_float_positional(a, precision=4, min_digits=2).replace("-", "−") for a in alphas]
        self.curves: dict[str, pd.DataFrame] = {}
        self.predicted: dict[str, NDArray[np.bool_]] = {}
        self.barriers: dict[str, float] = {}
        #: By pair and frame: IoU, and how many points that is below the line (NaN where alpha is extrapolated).
        self.figures: dict[str, list[tuple[float, float]]] = {}
        for pair in PAIR_TITLES:
            rows = curves.loc[(curves["pair"] == pair) & (curves["batch_norm"] == name), ["alpha", "iou"]]
            curve = rows.astype(float).sort_values("alpha", ignore_index=True)
            for alpha in (*alphas, 0.0, 1.0):
                if not np.isclose(curve["alpha"], alpha, rtol=0, atol=TOLERANCE).any():
                    raise ParameterError(f"the curve of {(pair, name)} lacks alpha = {alpha:g}.")
            masks, needed = predicted[pair, name], (len(alphas), *targets.shape)
            if masks.shape != needed:
                raise ParameterError(f"the masks of {(pair, name)} must be {list(needed)}; found {list(masks.shape)}.")
            self.curves[pair], self.predicted[pair] = curve, masks
            self.barriers[pair] = barrier(curve["alpha"], curve["iou"])
            at = [int((curve["alpha"] - alpha).abs().argmin()) for alpha in alphas]
            below = below_line(curve["alpha"], curve["iou"])[at]
            self.figures[pair] = list(zip(curve["iou"].iloc[at], below, strict=True))
        # One scale for all treatments of BatchNorm, so that the list shows their difference.
        every = curves[curves["pair"].isin(PAIR_TITLES) & curves["batch_norm"].isin(BATCH_NORM_TITLES)]
        self.low, self.high = float(every["alpha"].min()), float(every["alpha"].max())
        self.top = max(10.0, math.ceil(float(every["iou"].max()) / 10) * 10)

    def alt(self, number: int) -> str:
        """A frame's figures in words: the alternative text of its curve."""
        words = []
        for pair, title in PAIR_TITLES.items():
            iou, below = self.figures[pair][number]
            drop = "" if math.isnan(below) else f", {_points(below)} points below the line between its ends"
            words.append(f"{title}, has {iou:.1f} %{drop}; its barrier is {_points(self.barriers[pair])} points")
        place = f"At alpha {self.labels[number]}, {_position(self.alphas[number])}"
        return f"{self.data_label} over alpha, BatchNorm {self.title}. {place}: {'; '.join(words)}."

    def read_out_and_curve(self, number: int) -> str:
        """A frame's figures as a table in HTML, above its curve."""

        def row(role: str, css: str, header: str, *texts: str) -> str:
            cells = "".join(f'<span role="{role}" style="{css}">{text}</span>' for text in texts)
            return f'<div role="row" style="display:contents">{header}{cells}</div>'

        head = "font-size:.85em;opacity:.8;line-height:1.25;align-self:end;text-align:right"
        names = (html.escape(self.data_label), "below the line of its ends (points)", "barrier: the largest (points)")
        rows = row("columnheader", head, '<span role="columnheader"></span>', *names)
        for pair, title in PAIR_TITLES.items():
            mark = f'<span aria-hidden="true" style="color:{PAIR_COLOURS[pair]}">{_MARKS[pair]}</span>'
            iou, below = self.figures[pair][number]
            header = f'<span role="rowheader">{mark} {pair}{_ALPHA}{title.removeprefix(pair)}</span>'
            texts = (f"{iou:.1f}", _points(below), _points(self.barriers[pair]))
            rows += row("cell", "text-align:right;font-variant-numeric:tabular-nums", header, *texts)
        grid = "display:grid;grid-template-columns:max-content 1fr 1.2fr 1.1fr;gap:0 10px;line-height:1.5"
        return (
            f'<div class="alpha-read-out" style="line-height:1.5"><strong>α = {self.labels[number]}</strong>: '
            f'{_position(self.alphas[number])}<div role="table" style="{grid}">{rows}</div></div>'
            f'<svg class="alpha-curve" role="img" aria-label="{html.escape(self.alt(number))}" '
            f'viewBox="0 0 {self.WIDTH} {self.HEIGHT}" '
            'style="display:block;width:100%;height:auto;margin-top:.5em" fill="currentColor" font-size="13" '
            f'font-family="system-ui,sans-serif">{self._axes_and_curves()}{self._marks(number)}</svg>'
        )

    def _x(self, alpha: float) -> float:
        share = (alpha - self.low) / (self.high - self.low)
        return round(self.LEFT + share * (self.WIDTH - self.LEFT - self.RIGHT), 1)

    def _y(self, iou: float) -> float:
        return round(self.HEIGHT - self.BOTTOM - iou / self.top * (self.HEIGHT - self.TOP - self.BOTTOM), 1)

    def _axes_and_curves(self) -> str:
        left, right, floor, ceiling = self._x(self.low), self._x(self.high), self._y(0), self._y(self.top)
        parts = [f'<text x="0" y="12">{html.escape(self.data_label)}</text>']
        for start, end in ((self.low, 0.0), (1.0, self.high)):
            if end - start > TOLERANCE:
                size = f'width="{self._x(end) - self._x(start):.1f}" height="{floor - ceiling:.1f}"'
                parts.append(f'<rect x="{self._x(start)}" y="{ceiling}" {size} fill-opacity=".09"/>')
        for value in range(0, int(self.top) + 1, 20 if self.top > 40 else 10 if self.top > 20 else 5):
            stroke = f'stroke="currentColor" stroke-opacity="{0.18 if value else 0.6}"'
            parts.append(f'<path d="M{left} {self._y(value)}H{right}" {stroke}/>')
            parts.append(f'<text x="{left - 6}" y="{self._y(value) + 4.5:.1f}" text-anchor="end">{value}</text>')
        below = [(tick, 17, f"{tick:g}") for tick in (0.0, 0.25, 0.5, 0.75, 1.0)]
        below += [(end, 34, models) for end, models in _ENDS.items()]
        parts += [
            f'<text x="{self._x(alpha)}" y="{floor + down:.1f}" text-anchor="middle">{text}</text>'
            for alpha, down, text in [*below, (0.5, 36, '<tspan font-size="15">α</tspan>')]
        ]
        for pair, colour in PAIR_COLOURS.items():
            places = self.curves[pair][["alpha", "iou"]].itertuples(index=False)
            points = " ".join(f"{self._x(alpha)},{self._y(iou)}" for alpha, iou in places)
            stroke = f'stroke="{colour}" stroke-width="2.5" stroke-linejoin="round"'
            parts.append(f'<polyline points="{points}" fill="none" {stroke}/>')
        return "".join(parts)

    def _marks(self, number: int) -> str:
        """A point on each curve, and a dotted line at their alpha."""
        x = self._x(self.alphas[number])
        dotted = 'stroke="currentColor" stroke-opacity=".5" stroke-dasharray="2 3"'
        points = [f'<path d="M{x} {self._y(0)}V{self._y(self.top)}" {dotted}/>']
        for pair, shape in _POINTS.items():
            look = f'fill="{PAIR_COLOURS[pair]}" stroke="#fff" stroke-width="1.5"'
            place = f"{x} {self._y(self.figures[pair][number][0])}"
            points.append(f'<g transform="translate({place})">{shape.format(look)}</g>')
        return "".join(points)

    def masks(self, number: int) -> str:
        """A row of masks for each pair, coloured by agreement with the true ones, each mask's IoU below it."""
        rows = ""
        look = "display:grid;grid-auto-flow:column;grid-auto-columns:1fr;text-align:center;line-height:1.4"
        for pair, title in PAIR_TITLES.items():
            masks, what = self.predicted[pair][number], title.removeprefix(pair)
            ious = ["–" if math.isnan(iou) else f"{iou:.0f}" for iou in map(mosaic.mask_iou, masks, self.targets)]
            alt = f"Masks predicted by {pair} at alpha {self.labels[number]}{what}, BatchNorm {self.title}: IoU in per "
            alt += f"cent {', '.join(ious)}"
            heading = f"{pair}{_ALPHA}{what}: α = {self.labels[number]}"
            rows += _picture_row(heading, mosaic.agreement_picture(masks, self.targets), alt)
            numbers = "".join(f"<span>{iou}</span>" for iou in ious)
            rows += f'<div aria-hidden="true" style="{look};font-size:.9em">{numbers}</div>'
        return rows


def _picture_row(heading: str, cells: NDArray[np.uint8], alt: str) -> str:
    """Pictures uint8 [N, d, d, 3] side by side, transparent between, at most :data:`_LARGEST_SIDE` pixels high."""
    step = math.ceil(cells.shape[1] / _LARGEST_SIDE)
    thin = np.pad(cells[:, ::step, ::step], ((0, 0),) * 3 + ((0, 1),), constant_values=255)
    gap = max(1, thin.shape[1] // 16)
    strip = np.hstack(list(np.pad(thin, ((0, 0), (0, 0), (0, gap), (0, 0)))))[:, :-gap]
    image = image_tag(strip, alt, "background:none;border-radius:0;")
    return f'<div style="line-height:1.5;margin-top:.3em">{heading}</div>{image}'


def _legend() -> str:
    """Which colour is which, and what the small numbers are."""
    boxes = "".join(
        f'<span style="white-space:nowrap"><span aria-hidden="true" style="display:inline-block;width:.8em;height:.8em;'
        f'background:rgb{colour};border:1px solid currentColor"></span> {name}</span>'
        for name, colour in (("found", mosaic.HIT), ("false alarm", mosaic.FALSE_ALARM), ("missed", mosaic.MISS))
    )
    look = "display:flex;flex-wrap:wrap;gap:0 14px;line-height:1.5;font-size:.9em"
    return f'<div style="{look}">{boxes}<span>below each mask: its IoU (%)</span></div>'
