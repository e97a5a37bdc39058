"""The alpha scrubber: walk from one set of weights to another and watch what the networks on the way predict.

Section 6.2 of the paper defines ``W_alpha = alpha W_1 + (1 - alpha) W_2`` for two models of a set (F or S; R is ours,
see :data:`~chairlib.show.interpolation.PAIR_TITLES`). Everything is computed beforehand. ``assets/scrubber.js`` chooses
among the frames inside the page, see :mod:`chairlib.show.widgets`; ``assets/scrubber.html`` is the first one.
"""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from chairlib.core import paths
from chairlib.core.errors import ParameterError
from chairlib.landscape.barriers import TOLERANCE, barrier, below_line
from chairlib.show import mosaic
from chairlib.show.interpolation import PAIR_COLOURS, PAIR_TITLES
from chairlib.show.widgets import Widget, encode, image_tag

#: What becomes of BatchNorm's running statistics in a model of interpolated weights. The first is shown first.
BATCH_NORM_TITLES = {
    "recalibrate": "statistics recalibrated on images",
    "average": "statistics averaged like weights",
}
#: Marks as text.
_MARKS = {"F": "●", "S": "■", "R": "▲"}
#: The same shapes in SVG around (0, 0). Drawn from the largest to the smallest, so that none hides another.
_POINTS = {"S": "M-6 -6H6V6H-6Z", "R": "M0 -7L6 4.5H-6Z", "F": "M-5 0A5 5 0 1 1 5 0A5 5 0 1 1 -5 0Z"}
#: The trained models at both ends of alpha.
_ENDS = {end: ", ".join(pair + subscript for pair in PAIR_TITLES) for end, subscript in {0: "₂", 1: "₁"}.items()}
#: Larger pictures are thinned out to this side.
_LARGEST_SIDE = 96
#: A picture is at most so many CSS pixels wide, so that curve and masks are seen at once on a laptop.
_CELL = 62


def alpha_scrubber(
    alphas: ArrayLike,
    curves: pd.DataFrame,
    images: ArrayLike,
    targets: ArrayLike,
    predicted: Mapping[tuple[str, str], NDArray[np.bool_]],
    data_label: str = "test IoU (%)",
    interval: int = 400,
) -> Widget:
    """Scrub alpha: IoU over alpha with moving points, together with the masks that F, S and R at alpha predict.

    ``alphas`` [n], increasing: the frames; values below 0 or above 1 are called extrapolated. ``curves``: columns
    pair ('F', 'S' and 'R'), batch_norm ('average', 'recalibrate', or one of them), alpha and iou (per cent); it holds
    every alpha of the frames, 0 and 1, and may be finer. ``images`` uint8 [N, d, d, 3] and ``targets`` bool
    [N, d, d], N about six; ``predicted``: (pair, batch_norm) -> bool [n, N, d, d], a mask for every frame and image.
    ``data_label`` names the curves' values. The frame nearest to alpha = 0.5 is shown first, and Play goes on every
    ``interval`` milliseconds.

    The read-out gives, beside IoU, how far it lies below or above the straight line between the trained models, and
    the barrier, which is the largest drop below that line (Entezari et al. 2022, The Role of Permutation Invariance in
    Linear Mode Connectivity). Masks are coloured by agreement with the true ones: found, false alarm and missed
    differ in lightness and in hue.

    Raises :class:`~chairlib.core.errors.ParameterError` where these don't fit.
    """
    # Steps added up may miss the trained models by a rounding error.
    frames = np.array([0.0 if abs(alpha) <= TOLERANCE else alpha for alpha in np.asarray(alphas, dtype=float)])
    pictures, truth = mosaic.as_rgb(images), mosaic.as_masks(targets)
    # One scale for all treatments of BatchNorm, so that the list shows their difference.
    every = curves[curves["pair"].isin(PAIR_TITLES) & curves["batch_norm"].isin(BATCH_NORM_TITLES)]
    top = max(10.0, math.ceil(float(every["iou"].max()) / 10) * 10)
    drawing = _Drawing(float(every["alpha"].min()), float(every["alpha"].max()), top)
    # As few decimals as each alpha needs, and two at least.
    labels = [np.format_float_positional(a, precision=4, min_digits=2).replace("-", "−") for a in frames]
    start, treatments = int(np.abs(frames - 0.5).argmin()), []
    for name in (name for name in BATCH_NORM_TITLES if (curves["batch_norm"] == name).any()):
        way = f", BatchNorm {BATCH_NORM_TITLES[name]}"
        pairs = {}
        for pair, title in PAIR_TITLES.items():
            rows = curves.loc[(curves["pair"] == pair) & (curves["batch_norm"] == name), ["alpha", "iou"]]
            pairs[pair] = _curve((pair, name), frames, rows.astype(float).sort_values("alpha"), drawing)
            pairs[pair] |= _masks((pair, name), truth, predicted[pair, name], len(frames))
            models = zip(labels, pairs[pair]["ious"], strict=True)
            told = (f"at alpha {label}{title[1:]}{way}: IoU in per cent {', '.join(ious)}" for label, ious in models)
            pairs[pair]["words"] = [f"Masks predicted by {pair} {words}" for words in told]
        places = [f"At alpha {label}, {_position(alpha)}" for label, alpha in zip(labels, frames, strict=True)]
        said = zip(places, *(own.pop("told") for own in pairs.values()), strict=True)
        words = [f"{data_label} over alpha{way}. {place}: {'; '.join(models)}." for place, *models in said]
        treatments.append({"title": BATCH_NORM_TITLES[name], "words": words, "pairs": pairs})
    data = {
        "labels": labels,
        "places": [_position(alpha) for alpha in frames],
        "start": start,
        "interval": interval,
        "xs": [drawing.x(alpha) for alpha in frames],
        "count": len(truth),
        "side": _thin(truth).shape[1],
        "gap": _gap(_thin(truth)),
        "colours": mosaic.AGREEMENT,
        "treatments": treatments,
    }
    first = next(name for name in BATCH_NORM_TITLES if (curves["batch_norm"] == name).any())
    seen = {pair: mosaic.agreement_picture(predicted[pair, first][start], truth) for pair in PAIR_TITLES}
    alt = f"The true masks of these {len(pictures)} images: {truth.mean() * 100:.1f} % of the pixels are object"
    given = {
        "images": _strip_tag(pictures, f"{len(pictures)} scored images"),
        "truth": _strip_tag(np.stack(list(map(mosaic.mask_picture, truth))), alt),
        "axes": drawing.axes(html.escape(data_label)),
    }
    return Widget("scrubber", _first_state(data, given, seen), data)


def _position(alpha: float) -> str:
    """Where an alpha lies: on the trained models, between them, or beyond."""
    for end, models in _ENDS.items():
        if abs(alpha - end) <= TOLERANCE:
            return f"the trained {models}"
    return "between the trained models" if 0 < alpha < 1 else f"extrapolated, past {_ENDS[int(alpha > 1)]}"


def _against_line(below: float) -> str:
    """Where a score lies against the straight line, in words; ``below``: percentage points, a dash for NaN."""
    if math.isnan(below):
        return "–"
    points = f"{abs(below):.1f}"
    return points if points == "0.0" else f"{points} {'below' if below > 0 else 'above'}"


@dataclass(frozen=True)
class _Drawing:
    """The curves' drawing in SVG, in the page's colours: alpha from ``low`` to ``high``, IoU from 0 to ``top``."""

    low: float
    high: float
    top: float

    def x(self, alpha: float) -> float:
        return round(32 + 318 * (alpha - self.low) / (self.high - self.low), 1)

    def y(self, iou: float) -> float:
        return round(240 - 214 * iou / self.top, 1)

    def axes(self, label: str) -> str:
        """Grid, labels, and a shade where alpha is extrapolated."""
        parts = [f'<text x="0" y="12">{label}</text>']
        for start, end in ((self.low, 0.0), (1.0, self.high)):
            if end - start > TOLERANCE:
                wide = self.x(end) - self.x(start)
                parts.append(f'<rect x="{self.x(start)}" y="26" width="{wide:.1f}" height="214" fill-opacity=".09"/>')
        for value in range(0, int(self.top) + 1, 20 if self.top > 40 else 10 if self.top > 20 else 5):
            stroke = f'stroke="currentColor" stroke-opacity="{0.18 if value else 0.6}"'
            parts.append(f'<path d="M32 {self.y(value)}H350" {stroke}/>')
            parts.append(f'<text x="26" y="{self.y(value) + 4.5:.1f}" text-anchor="end">{value}</text>')
        below = [*((tick, 257, f"{tick:g}") for tick in (0.0, 0.25, 0.5, 0.75, 1.0)), (0.5, 276, "α")]
        below += [(end, 274, models) for end, models in _ENDS.items()]
        parts += [f'<text x="{self.x(a)}" y="{y}" text-anchor="middle">{text}</text>' for a, y, text in below]
        return "".join(parts)


def _curve(key: tuple[str, str], frames: NDArray[np.float64], curve: pd.DataFrame, drawing: _Drawing) -> dict[str, Any]:
    """A pair's curve, and for each frame where its point is, its figures in the table, and the same in words."""
    for alpha in (*frames, 0.0, 1.0):
        if not np.isclose(curve["alpha"], alpha, rtol=0, atol=TOLERANCE).any():
            raise ParameterError(f"the curve of {key} lacks alpha = {alpha:g}.")
    at = [int((curve["alpha"] - alpha).abs().argmin()) for alpha in frames]
    ious, below = curve["iou"].iloc[at], below_line(curve["alpha"], curve["iou"])[at]
    largest = f"{barrier(curve['alpha'], curve['iou']):.1f}"
    told, texts = [], []
    for iou, gap in zip(ious, map(_against_line, below), strict=True):
        points, _, side = gap.partition(" ")
        where = f"{points} points {side}" if side else "on"
        line = "" if gap == "–" else f", {where} the line between its ends"
        told.append(f"{PAIR_TITLES[key[0]]}, has {iou:.1f} %{line}; its barrier is {largest} points")
        texts.append([f"{iou:.1f}", gap, largest])
    line_points = (f"{drawing.x(alpha)},{drawing.y(iou)}" for alpha, iou in curve.itertuples(index=False))
    return {"points": " ".join(line_points), "ys": [drawing.y(iou) for iou in ious], "texts": texts, "told": told}


def _masks(key: tuple[str, str], truth: NDArray[np.bool_], masks: NDArray[np.bool_], n: int) -> dict[str, Any]:
    """A pair's masks of all frames in one picture, a frame a row, and each mask's IoU as text."""
    if masks.shape != (needed := (n, *truth.shape)):
        raise ParameterError(f"the masks of {key} must be {list(needed)}; found {list(masks.shape)}.")
    ious = [[mosaic.mask_iou(*both) for both in zip(frame, truth, strict=True)] for frame in masks]
    sheet = encode(np.vstack([np.hstack(list(_thin(frame))) for frame in masks]))
    return {"sheet": sheet, "ious": [["–" if math.isnan(iou) else f"{iou:.0f}" for iou in own] for own in ious]}


def _first_state(data: dict[str, Any], given: dict[str, str], seen: dict[str, NDArray[np.uint8]]) -> str:
    """The frame at which the page starts, in HTML. ``seen``: the coloured masks [N, d, d, 3] of each pair."""
    start, treatment = data["start"], data["treatments"][0]
    figures = lines = masks = points = ""
    for pair, own in treatment["pairs"].items():
        name = f"{pair}<sub>α</sub>{PAIR_TITLES[pair][1:]}"
        mark = f'<span aria-hidden="true" style="color:{PAIR_COLOURS[pair]}">{_MARKS[pair]}</span>'
        cells = "".join(f'<span role="cell">{text}</span>' for text in own["texts"][start])
        figures += f'<div role="row" data-pair="{pair}"><span role="rowheader">{mark} {name}</span>{cells}</div>'
        lines += f'<polyline data-pair="{pair}" points="{own["points"]}" stroke="{PAIR_COLOURS[pair]}"/>'
        numbers = "".join(f"<span>{iou}</span>" for iou in own["ious"][start])
        now = f'<span class="alpha-now">{data["labels"][start]}</span>{_strip_tag(seen[pair], own["words"][start])}'
        masks += f'<div class="alpha-row" data-masks="{pair}">{name}: α = {now}'
        masks += f'<div class="alpha-ious" aria-hidden="true">{numbers}</div></div>'
    for pair, shape in _POINTS.items():
        place = f"{data['xs'][start]} {treatment['pairs'][pair]['ys'][start]}"
        points += (
            f'<g data-pair="{pair}" transform="translate({place})"><path d="{shape}" fill="{PAIR_COLOURS[pair]}"/></g>'
        )
    template = (paths.assets / "scrubber.html").read_text(encoding="utf-8")
    colours = dict(zip(("hit", "false_alarm", "miss"), data["colours"], strict=False))
    words = {
        "now": data["labels"][start],
        "place": data["places"][start],
        "words": html.escape(treatment["words"][start]),
    }
    drawn = {"figures": figures, "lines": lines, "points": points, "masks": masks}
    sizes = {"x": data["xs"][start], "strip": _CELL * data["count"]}
    return Template(template).substitute(**given, **words, **drawn, **colours, **sizes)


def _thin(cells: NDArray[Any]) -> NDArray[Any]:
    """Pictures or masks [N, d, d, ...] with every so many pixels, at most :data:`_LARGEST_SIDE` high."""
    step = math.ceil(cells.shape[1] / _LARGEST_SIDE)
    return cells[:, ::step, ::step]


def _gap(cells: NDArray[Any]) -> int:
    """The free pixels between two cells of a strip."""
    return max(1, cells.shape[1] // 16)


def _strip_tag(cells: NDArray[np.uint8], alt: str) -> str:
    """Pictures uint8 [N, d, d, 3] side by side, thinned out, transparent between."""
    thin = np.pad(_thin(cells), ((0, 0),) * 3 + ((0, 1),), constant_values=255)
    gap = _gap(thin)
    return image_tag(np.hstack(list(np.pad(thin, ((0, 0), (0, 0), (0, gap), (0, 0)))))[:, :-gap], alt)
