"""The figures of the loss landscape: the paper's Table 5 and Figure 7 as pictures, and what else section 6 asks for.

Tidy data frames in, :class:`~chairlib.show.figures.Figure` out, with alternative text written from the data, as in
:mod:`chairlib.show.figures`. A column ``name`` tells repetitions apart (pairs of models, seeds): where a frame has it and holds several,
the mean is drawn with the range over them. Nothing here trains, reads a file or changes matplotlib's global state.

P is a pretrained model; F1 and F2 are fine-tuned from it, S1 and S2 trained from scratch (the paper's Ft and Ri);
``W_alpha = alpha W_1 + (1 - alpha) W_2``. IoU and Dice are in per cent, distances are l2 over trainable parameters.
"""

import io
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from chairlib.core import published
from chairlib.core.errors import ParameterError
from chairlib.show.figures import (
    _GREY,
    _HATCHES,
    _WIDTH,
    PALETTE,
    Figure,
    _columns,
    _darker,
    _found,
    _label_ends,
    _listing,
    _sentence,
    _style,
    show,
)

__all__ = [
    "KIND_TITLES",
    "METRIC_LABELS",
    "barrier_over_pretraining",
    "block_distances",
    "cka_by_layer",
    "criticality_bars",
    "distance_bars",
    "interpolation_curves",
    "matching_curves",
    "plane_map",
    "soup_bars",
]

#: Between which models a distance or similarity is: the columns of Table 5.
KIND_TITLES = {"ft_ft": "Ft & Ft", "ri_ri": "Ri & Ri", "ft_p": "Ft & P", "ri_p": "Ri & P"}
#: The metrics of Figure 7's small multiples, with their units, in order.
METRIC_LABELS = {"iou": "IoU (%)", "dice": "Dice (%)", "loss": "loss (BCE)"}

_PAIRS = {"F": "F, fine-tuned", "S": "S, from scratch"}
_WAYS = {"average": "BatchNorm averaged", "recalibrate": "BatchNorm recalibrated"}
_DASHED: Any = (0, (4, 2))
_SPLITS: dict[Any, Any] = {"test": "-", "train": _DASHED}
_COLOURS: dict[Any, str] = {"F": PALETTE[0], "S": PALETTE[1]}
_MARKERS: dict[Any, Any] = {"F": "o", "S": "s"}
_KIND_LOOKS = dict(zip(KIND_TITLES, zip(PALETTE, ("o", "s", "^", "D"), strict=False), strict=True))
_BAND: dict[str, Any] = {"alpha": 0.18, "linewidth": 0}


def interpolation_curves(
    frame: pd.DataFrame,
    metrics: Sequence[str] = ("iou", "dice", "loss"),
    data_name: str = "",
    title: str = "",
    caption: str = "",
    scored: str = "test",
) -> Figure:
    """The paper's Figure 7: metrics over alpha for fine-tuned (F) and from-scratch (S) pairs, on test (solid) and training images.

    ``frame``: columns pair ('F', 'S'), batch_norm ('average', 'recalibrate'), split ('test', 'train'), alpha, those of ``metrics``,
    and ``name`` where there are several pairs (mean and range). One row of small multiples a metric, one column a way of
    treating BatchNorm; the trained models (alpha 0 and 1) are marked, and values of alpha beyond them shaded. ``data_name`` says
    on the axis which images these are, ``scored`` what the split is that ``test`` stands for. Metrics that the frame lacks are
    left out; at least one must be there.
    """
    _columns(frame, ("pair", "batch_norm", "split", "alpha"), "the table of curves")
    drawn = [metric for metric in metrics if metric in frame.columns]
    if unknown := [metric for metric in metrics if metric not in METRIC_LABELS]:
        raise ParameterError(f"metrics must be among {', '.join(METRIC_LABELS)}; found {', '.join(unknown)}.")
    if not drawn:
        raise ParameterError(f"the table of curves has no metric; give one of {', '.join(metrics)}.")
    _known(frame, "pair", _PAIRS)
    _known(frame, "split", _SPLITS)
    ways = _known(frame, "batch_norm", _WAYS)
    frame = _snapped(frame)
    told: list[str] = []
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 1.3 + 2.0 * len(drawn)), layout="constrained")
        _spread(fig)
        grid = fig.subplots(len(drawn), len(ways), sharex=True, sharey="row", squeeze=False)
        for axes, metric in zip(grid, drawn, strict=True):
            for ax, way in zip(axes, ways, strict=True):
                rows = frame[frame["batch_norm"] == way]
                _alpha_panel(ax, rows, metric)
                told += _alpha_told(rows, metric, way, scored) if metric == drawn[0] else []
            axes[0].set_ylabel(METRIC_LABELS[metric])
            axes[0].set_ylim(bottom=0)
        _ways_above(grid[0], ways)
        _alpha_axis(fig, grid[-1], frame["alpha"], data_name)
        fig.align_ylabels()
        handles = [
            Line2D([], [], color=_COLOURS[p], marker=_MARKERS[p], label=_PAIRS[p])
            for p in _present(frame, "pair", _PAIRS)
        ]
        handles += [
            Line2D([], [], color=_GREY, linestyle=_SPLITS[s], label=scored if s == "test" else s)
            for s in _present(frame, "split", _SPLITS)
        ]
        _legend(fig, handles, _extrapolated(frame["alpha"]))
        alt = f"{_listing([METRIC_LABELS[m] for m in drawn])} over alpha{_repeated(frame)}. {'; '.join(told)}"
        return show(fig, _sentence(title, alt), title, caption)


def _alpha_panel(ax: Axes, rows: pd.DataFrame, metric: str) -> None:
    for (pair, split), own in rows.groupby(["pair", "split"], sort=False):
        line = _over_names(own, "alpha", metric)
        ax.fill_between(line["x"], line["low"], line["high"], color=_COLOURS[pair], **_BAND)
        ax.plot(line["x"], line["mean"], color=_COLOURS[pair], linestyle=_SPLITS[split])
        ends = line[line["x"].isin((0.0, 1.0))] if split == "test" else line[:0]
        ax.plot(ends["x"], ends["mean"], _MARKERS[pair], color=_COLOURS[pair], markersize=6, markeredgecolor="white")
    _shade(ax, rows["alpha"])


def _alpha_told(rows: pd.DataFrame, metric: str, way: str, scored: str) -> Iterator[str]:
    for pair, own in rows[rows["split"] == "test"].groupby("pair", sort=False):
        line = _over_names(own, "alpha", metric)
        inside = line[line["x"].between(0, 1)]
        worst = inside.iloc[int(inside["mean"].argmax() if metric == "loss" else inside["mean"].argmin())]
        unit = "" if metric == "loss" else " %"
        ends = [
            f"{value:.{3 if metric == 'loss' else 1}f}{unit}"
            for value in (inside["mean"].iloc[0], inside["mean"].iloc[-1])
        ]
        yield (
            f"{_PAIRS[str(pair)]}, {_WAYS[way]}: {scored} {METRIC_LABELS[metric].split(' ')[0]} {ends[0]} at alpha {inside['x'].iloc[0]:g} "
            f"and {ends[1]} at {inside['x'].iloc[-1]:g}, at worst {worst['mean']:.{3 if metric == 'loss' else 1}f}{unit} at {worst['x']:g}"
        )


def matching_curves(
    frame: pd.DataFrame, data_label: str = "test IoU (%)", title: str = "", caption: str = ""
) -> Figure:
    """IoU between two models trained from scratch, before and after permuting the units of one to match the other's.

    ``frame``: columns permuted (bool), batch_norm, alpha, iou (per cent), and ``name`` where there are several pairs (mean and
    range). One panel a way of treating BatchNorm. After Ainsworth et al. (2023, Git Re-Basin) and Jordan et al. (2023, REPAIR).
    """
    _columns(frame, ("permuted", "batch_norm", "alpha", "iou"), "the table of matched curves")
    ways = _known(frame, "batch_norm", _WAYS)
    frame = _snapped(frame)
    looks: dict[bool, tuple[str, str, Any, Any]] = {
        False: ("as trained", PALETTE[1], "s", _DASHED),
        True: ("permuted to match", PALETTE[2], "D", "-"),
    }
    told = []
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 3.9), layout="constrained")
        _spread(fig)
        axes = fig.subplots(1, len(ways), sharey=True, squeeze=False)[0]
        for ax, way in zip(axes, ways, strict=True):
            for permuted, (label, colour, marker, dash) in looks.items():
                own = frame[(frame["batch_norm"] == way) & (frame["permuted"].astype(bool) == permuted)]
                if own.empty:
                    continue
                line = _over_names(own, "alpha", "iou")
                ax.fill_between(line["x"], line["low"], line["high"], color=colour, **_BAND)
                ax.plot(line["x"], line["mean"], color=colour, linestyle=dash)
                ends = line[line["x"].isin((0.0, 1.0))]
                ax.plot(ends["x"], ends["mean"], marker, color=colour, markeredgecolor="white")
                lowest = line.iloc[int(line["mean"].argmin())]
                told.append(f"{label}, {_WAYS[way]}: at worst {lowest['mean']:.1f} % at alpha {lowest['x']:g}")
            _shade(ax, frame["alpha"])
        axes[0].set_ylabel(_folded(data_label, 30))
        axes[0].set_ylim(bottom=0)
        _ways_above(axes, ways)
        _alpha_axis(fig, axes, frame["alpha"], pairs=("S",))
        handles = [
            Line2D([], [], color=colour, marker=marker, linestyle=dash, label=label)
            for permuted, (label, colour, marker, dash) in looks.items()
            if (frame["permuted"].astype(bool) == permuted).any()
        ]
        _legend(fig, handles, _extrapolated(frame["alpha"]))
        alt = f"{data_label} between models from scratch over alpha{_repeated(frame)}. {'; '.join(told)}"
        return show(fig, _sentence(title, alt), title, caption)


def _snapped(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with alphas that are equal but for rounding made equal: steps added up miss 0 and 1."""
    return frame.assign(alpha=frame["alpha"].astype(float).round(6) + 0.0)


def _alpha_axis(
    fig: matplotlib.figure.Figure,
    axes: Sequence[Axes],
    alphas: pd.Series,
    data_name: str = "",
    pairs: Sequence[str] = ("F", "S"),
) -> None:
    ends = {0.0: "₂", 1.0: "₁"}
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    names = ["\n" + " ".join(f"{pair}{ends[tick]}" for pair in pairs) if tick in ends else "" for tick in ticks]
    for ax in axes:
        ax.set_xticks(ticks, [f"{tick:g}{name}" for tick, name in zip(ticks, names, strict=True)])
        ax.set_xlim(min(0.0, alphas.min()) - 0.03, max(1.0, alphas.max()) + 0.03)
    fig.supxlabel("α, the share of the first model's weights" + (f"; {data_name}" if data_name else ""), fontsize=12)


def _spread(fig: matplotlib.figure.Figure) -> None:
    """Panels far enough apart for the names below their ends."""
    engine: Any = fig.get_layout_engine()
    engine.set(wspace=0.08)


def _shade(ax: Axes, alphas: pd.Series) -> None:
    """Where a model is extrapolated beyond the two trained ones."""
    for beyond, start, end in ((alphas.min() < 0, alphas.min() - 1, 0), (alphas.max() > 1, 1, alphas.max() + 1)):
        if beyond:
            ax.axvspan(start, end, color="#000000", alpha=0.07, linewidth=0, zorder=0)


def _extrapolated(alphas: pd.Series) -> list[Patch]:
    beyond = alphas.min() < 0 or alphas.max() > 1
    return [Patch(facecolor="#000000", alpha=0.12, label="extrapolated")] if beyond else []


def _ways_above(axes: Sequence[Axes], ways: Sequence[str]) -> None:
    for ax, way in zip(axes, ways, strict=True):
        ax.set_title(_WAYS[way])


def _legend(fig: matplotlib.figure.Figure, handles: Sequence[Any], more: Sequence[Any] = (), columns: int = 4) -> None:
    fig.legend(
        handles=[*handles, *more],
        loc="outside upper left",
        ncols=columns if len(handles) + len(more) <= columns else min(columns, 3),
        borderaxespad=0,
        handlelength=2,
        columnspacing=1.1,
        labelspacing=0.3,
        handletextpad=0.5,
    )


# Distances


def distance_bars(frame: pd.DataFrame, paper: pd.DataFrame | None = None, title: str = "", caption: str = "") -> Figure:
    """The paper's Table 5 as a picture: l2 distances between fine-tuned (Ft), from-scratch (Ri) and pretrained (P) models.

    ``frame``: columns kind ('ft_ft', 'ri_ri', 'ft_p', 'ri_p') and l2, one row a pair of models. ``paper``: as
    :func:`chairlib.core.published.table5` gives it, the default. Above, our distances: the mean as a bar and every pair as a dot. Below,
    ours and the paper's as shares of Ri & Ri: a distance grows with the number of parameters, so only ratios compare.
    """
    _columns(frame, ("kind", "l2"), "the table of distances")
    kinds = _known(frame, "kind", KIND_TITLES)
    _in_range(frame["l2"], "distances", 0, math.inf)
    paper = published.table5() if paper is None else paper
    _columns(paper, ("task", *KIND_TITLES), "the paper's table")
    means = frame.groupby("kind")["l2"].mean()
    shares = _shares(means, paper)
    with _style():
        fig = matplotlib.figure.Figure(
            figsize=(_WIDTH, 1.2 + 0.42 * len(kinds) + 0.29 * len(shares) * 4), layout="constrained"
        )
        ours, ratios = fig.subplots(2, 1, height_ratios=(len(kinds) + 0.8, 0.75 * len(shares) * 4))
        for place, kind in enumerate(kinds):
            own = frame.loc[frame["kind"] == kind, "l2"]
            ours.barh(place, own.mean(), height=0.66, color=_KIND_LOOKS[kind][0], alpha=0.75)
            ours.plot(own, np.full(len(own), place), "o", color="black", markersize=4.5, markeredgecolor="white")
            _note(ours, max(own.max(), own.mean()), place, f"{own.mean():,.4g}")
        ours.set_yticks(range(len(kinds)), [KIND_TITLES[kind] for kind in kinds])
        ours.set(ylim=(len(kinds) - 0.5, -0.5), xlim=(0, frame["l2"].max() * 1.16))
        ours.set_xlabel("ℓ₂ distance (bar: mean; dots: pairs of models)")
        _bars_down(ours)
        _ratio_bars(ratios, shares)
        told = [_distance_told(kind, frame.loc[frame["kind"] == kind, "l2"]) for kind in kinds]
        told += [
            f"as shares of Ri & Ri, {label}: "
            + ", ".join(f"{KIND_TITLES[str(kind)]} {share:.0f} %" for kind, share in row.dropna().items())
            for label, row in shares.items()
        ]
        alt = f"l2 distances in parameter space. {'; '.join(told)}"
        return show(fig, _sentence(title, alt), title, caption)


def _shares(means: pd.Series, paper: pd.DataFrame) -> dict[str, pd.Series]:
    """Distances in per cent of that between two models from scratch: ours (where it was measured), then the paper's rows."""
    kinds = list(KIND_TITLES)
    rows = {"ours": 100 * means.reindex(kinds) / means["ri_ri"]} if "ri_ri" in means else {}
    for row in paper.to_dict("records")[::-1]:
        values = pd.Series({kind: float(row[kind]) for kind in kinds})
        rows[f"the paper, {row['task']}"] = 100 * values / values["ri_ri"]
    return rows


def _ratio_bars(ax: Axes, shares: Mapping[str, pd.Series]) -> None:
    height, handles = 0.8 / len(shares), []
    greys = iter(("#8a8a8a", "#c4c4c4") * len(shares))
    for number, (label, row) in enumerate(shares.items()):
        colour, hatch = PALETTE[0] if label == "ours" else next(greys), _HATCHES[number % len(_HATCHES)]
        for place, share in enumerate(row):
            if not math.isnan(share):
                y = place - 0.4 + height * (number + 0.5)
                ax.barh(y, share, height * 0.9, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
                _note(ax, share, y, f"{share:.0f}")
        handles.append(Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=label))
    ax.set_yticks(range(len(KIND_TITLES)), KIND_TITLES.values())
    ax.set(ylim=(len(KIND_TITLES) - 0.5, -0.5), xlim=(0, max(row.max() for row in shares.values()) * 1.12))
    ax.set_xlabel("share of the distance Ri & Ri (%)")
    _bars_down(ax)
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, labelspacing=0.25)


def _distance_told(kind: str, values: pd.Series) -> str:
    spread = f" ({values.min():,.4g} to {values.max():,.4g} over {len(values)} pairs)" if len(values) > 1 else ""
    return f"{KIND_TITLES[kind]}: {values.mean():,.4g}{spread}"


def block_distances(frame: pd.DataFrame, title: str = "", caption: str = "") -> Figure:
    """How far each block of the network moved: distance relative to the block's norm, the four kinds of pairs.

    ``frame``: columns kind ('ft_ft', 'ri_ri', 'ft_p', 'ri_p'), block, relative (2 ||a - b|| / (||a|| + ||b||), in [0, 2]), one row a
    pair and block, as :func:`chairlib.landscape.space.distances` gives them; a block called ``total`` is left out. Several pairs of
    a kind: mean and range. Blocks stand in the frame's order, from the network's input down to its output.
    """
    _columns(frame, ("kind", "block", "relative"), "the table of block distances")
    rows = frame[frame["block"] != "total"]
    _in_range(rows["relative"], "relative distances", 0, 2)
    label = "ℓ₂ distance / mean norm of the two blocks"
    return _by_depth(rows, "block", "relative", label, "Relative distance of each block", 2, title, caption)


def cka_by_layer(frame: pd.DataFrame, title: str = "", caption: str = "") -> Figure:
    """Similarity of what corresponding layers compute, linear CKA (Kornblith et al. 2019), for pairs of models.

    ``frame``: columns kind ('ft_ft', 'ri_ri', ...), layer, cka in [0, 1] (NaN where a layer is constant: left out), one row a pair
    and layer, in the network's order. Several pairs of a kind: mean and range.
    """
    _columns(frame, ("kind", "layer", "cka"), "the table of similarities")
    _in_range(frame["cka"].dropna(), "CKA", 0, 1)
    label = "linear CKA (1: same up to rotation and scale)"
    return _by_depth(frame, "layer", "cka", label, "Linear CKA of each layer", 2, title, caption, (0, 1))


def _by_depth(
    frame: pd.DataFrame,
    key: str,
    value: str,
    label: str,
    opening: str,
    decimals: int,
    title: str,
    caption: str,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Dots over the network's depth, which runs down the page, one line a kind of pair."""
    kinds, places = _known(frame, "kind", KIND_TITLES), list(dict.fromkeys(frame[key]))
    told = []
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 1.4 + 0.36 * len(places)), layout="constrained")
        ax = fig.subplots()
        handles = []
        for number, kind in enumerate(kinds):
            colour, marker = _KIND_LOOKS[kind]
            own = frame[frame["kind"] == kind].dropna(subset=[value]).groupby(key)[value].agg(["mean", "min", "max"])
            own = own.reindex([place for place in places if place in own.index])
            # Side by side, so that ranges of near figures stay apart.
            y = np.array([places.index(place) for place in own.index]) + (number - (len(kinds) - 1) / 2) * 0.14
            ax.plot(own["mean"], y, color=colour, linewidth=1, alpha=0.5)
            ax.hlines(y, own["min"], own["max"], color=colour, linewidth=2)
            ax.plot(own["mean"], y, marker, color=colour, markersize=7, markeredgecolor="white")
            handles.append(
                Line2D([], [], color=colour, marker=marker, markersize=7, linewidth=1, label=KIND_TITLES[kind])
            )
            told.append(f"{KIND_TITLES[kind]}: " + ", ".join(f"{n} {v:.{decimals}f}" for n, v in own["mean"].items()))
        ax.set_yticks(range(len(places)), map(str, places))
        ax.set(ylim=(len(places) - 0.5, -0.5), xlabel=label)
        low, high = limits or (0.0, float(frame[value].max()) or 1.0)
        ax.set_xlim(low - 0.02 * (high - low), high + 0.04 * (high - low))
        _bars_down(ax)
        ax.grid(visible=True, axis="y", linewidth=0.5)
        _legend(fig, handles)
        alt = (
            f"{opening}, from the network's input down to its output{_repeated(frame, 'kind', key)}. {'; '.join(told)}"
        )
        return show(fig, _sentence(title, alt), title, caption)


# The plane


def plane_map(
    x: ArrayLike,
    y: ArrayLike,
    values: ArrayLike,
    points: Mapping[str, Sequence[float]],
    data_label: str = "test IoU (%)",
    title: str = "",
    caption: str = "",
) -> Figure:
    """A metric on the plane through three models (Garipov et al. 2018), with the models and the segments between them.

    ``x`` [m], ``y`` [n]: ascending l2 coordinates; ``values`` [n, m]: the metric there, NaN where it wasn't computed (hatched);
    ``points``: name -> (x, y) of each model, three as a rule. Equal aspect: a distance on the picture is one in parameter space.
    Middles of cells meet a model by chance alone, so the colour under a mark is that of the nearest cell.
    """
    across, up, heights = (np.asarray(array, dtype=float) for array in (x, y, values))
    places = {name: (float(place[0]), float(place[1])) for name, place in points.items()}
    _check_plane(across, up, heights, places)
    masked = np.ma.masked_invalid(heights)
    wide, high = float(np.ptp(across)), float(np.ptp(up))
    with _style():
        height = min(7.0, 0.9 + (_WIDTH - 1.9) * high / wide)
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, max(3.0, height)), layout="constrained")
        ax = fig.subplots()
        ax.set_facecolor("#f2f2f2")
        if masked.mask.any():
            (left, right), (bottom, top) = _edges(across), _edges(up)
            ax.fill_between(
                (left, right),
                bottom,
                top,
                facecolor="#f2f2f2",
                edgecolor="#a0a0a0",
                hatch="////",
                linewidth=0,
                zorder=0,
            )
        mesh = ax.pcolormesh(across, up, masked, cmap="viridis", shading="nearest", rasterized=True, zorder=1)
        if masked.count() > 3 and float(np.ptp(masked.compressed())) > 0:
            lines = ax.contour(across, up, masked, levels=6, colors="white", linewidths=0.9, alpha=0.85, zorder=2)
            _label_contours(ax, lines, places, 0.09 * max(wide, high))
        corners = [*places.values(), next(iter(places.values()))]
        ax.plot(*zip(*corners, strict=True), color="black", linewidth=3, zorder=3)
        ax.plot(*zip(*corners, strict=True), color="white", linewidth=1.3, linestyle="--", zorder=3)
        _mark_models(ax, places)
        ax.set(xlabel="first axis (ℓ₂ distance)", ylabel="second axis (ℓ₂ distance)", aspect="equal")
        ax.set(xlim=_edges(across), ylim=_edges(up))
        ax.grid(visible=False)
        ax.xaxis.set_major_locator(MaxNLocator(6))
        fig.colorbar(mesh, ax=ax, label=_folded(data_label, 40), shrink=0.9, pad=0.02)
        alt = _plane_told(across, up, masked, places, data_label)
        return _in_few_colours(show(fig, _sentence(title, alt), title, caption))


def _in_few_colours(figure: Figure) -> Figure:
    """The picture in 256 colours, a third of its size: a plane is coloured all over, and four of them took 0.9 MB of a page."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(figure.png)) as picture:
        few = picture.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(buffer, "PNG", optimize=True)
        width = picture.width // 2  # two pixels to each of the page's
    return Figure(buffer.getvalue(), figure.alt, width, figure.title, figure.caption)


def _check_plane(
    x: NDArray[Any], y: NDArray[Any], values: NDArray[Any], points: Mapping[str, tuple[float, float]]
) -> None:
    for name, axis in (("x", x), ("y", y)):
        if axis.ndim != 1 or len(axis) < 2 or not (np.diff(axis) > 0).all():
            raise ParameterError(f"{name} must be at least two ascending coordinates; {_found(axis)}.")
    if values.shape != (len(y), len(x)):
        raise ParameterError(f"values must have shape [{len(y)}, {len(x)}], a row for each y; {_found(values)}.")
    if not np.isfinite(values).any():
        raise ParameterError("no value on the plane is a finite number: compute at least one.")
    if not points:
        raise ParameterError("points is empty: name the models on the plane.")
    for name, place in points.items():
        if not all(map(math.isfinite, place)):
            raise ParameterError(f"point {name!r} must have two finite coordinates; found {place}.")


def _edges(axis: NDArray[Any]) -> tuple[float, float]:
    return axis[0] - (axis[1] - axis[0]) / 2, axis[-1] + (axis[-1] - axis[-2]) / 2


def _label_contours(ax: Axes, lines: Any, places: Mapping[str, tuple[float, float]], room: float) -> None:
    """Write the contours' values on them, but not within ``room`` of a model, whose name stands there."""
    texts = ax.clabel(lines, fontsize=10, fmt="%g")
    _outlined(texts, "#000000", 1.5)
    for text in texts:
        if min(math.dist(text.get_position(), place) for place in places.values()) < room:
            text.remove()


def _outlined(texts: Any, colour: str, width: float) -> None:
    for text in texts:
        text.set_path_effects([patheffects.withStroke(linewidth=width, foreground=colour)])


def _mark_models(ax: Axes, places: Mapping[str, tuple[float, float]]) -> None:
    """Name each model on the side away from the others."""
    centre = np.mean(list(places.values()), axis=0)
    for name, (x, y) in places.items():
        ax.plot(x, y, "o", color="white", markersize=9, markeredgecolor="black", markeredgewidth=1.6, zorder=4)
        away = np.array((x, y)) - centre
        dx, dy = 13 * away / (float(np.hypot(*away)) or 1.0)
        text = ax.annotate(
            name, (x, y), (dx, dy), textcoords="offset points", ha="center", va="center", weight="bold", zorder=5
        )
        _outlined([text], "white", 3.5)


def _plane_told(
    x: NDArray[Any], y: NDArray[Any], values: Any, places: Mapping[str, tuple[float, float]], data_label: str
) -> str:
    told = []
    for name, (px, py) in places.items():
        value = values[int(np.abs(y - py).argmin()), int(np.abs(x - px).argmin())]
        there = "not computed" if np.ma.is_masked(value) else f"{value:.4g}"
        told.append(f"{name} at ({px:,.4g}, {py:,.4g}): {there}")
    gaps = f"; {values.mask.sum():,} of {values.size:,} cells are not computed" if values.mask.any() else ""
    return (
        f"{data_label} on the plane through {_listing(list(places))}, {values.min():.4g} to {values.max():.4g}. "
        f"The cell nearest to each model, whose middle is beside it and whose value is not the model's own: {'; '.join(told)}{gaps}"
    )


# Barriers, soups, rewinding


def barrier_over_pretraining(
    frame: pd.DataFrame, data_label: str = "IoU barrier (points)", title: str = "", caption: str = ""
) -> Figure:
    """The barrier between two models against the images that they were both pretrained on before they parted.

    ``frame``: columns images (0 or more), batch_norm, barrier (at least 0), and one row a pair (several: mean and range). The
    images are on a logarithmic axis that holds 0 (after Frankle et al. 2020, Linear Mode Connectivity).
    """
    _columns(frame, ("images", "batch_norm", "barrier"), "the table of barriers")
    ways = _known(frame, "batch_norm", _WAYS)
    _in_range(frame["images"], "images", 0, math.inf)
    _in_range(frame["barrier"], "barriers", 0, math.inf)
    looks = {"average": (PALETTE[3], "o", _DASHED), "recalibrate": (PALETTE[2], "^", "-")}
    told, ends = [], []
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 3.9), layout="constrained")
        ax = fig.subplots()
        for way in ways:
            colour, marker, dash = looks[way]
            line = _over_names(frame[frame["batch_norm"] == way], "images", "barrier")
            ax.fill_between(line["x"], line["low"], line["high"], color=colour, **_BAND)
            ax.plot(
                line["x"],
                line["mean"],
                color=colour,
                marker=marker,
                linestyle=dash,
                markersize=7,
                markeredgecolor="white",
            )
            ends.append((line["x"].iloc[-1], line["mean"].iloc[-1], _WAYS[way], colour))
            told.append(
                f"{_WAYS[way]}: "
                + ", ".join(f"{v:.1f} after {x:,.0f}" for x, v in zip(line["x"], line["mean"], strict=True))
            )
        _images_with_zero(ax, sorted(set(frame["images"])))
        ax.set(xlabel="images of shared pretraining", ylabel=_folded(data_label, 30), ylim=(0, None))
        _label_ends(fig, ax, ends)
        alt = (
            f"{data_label} by images of shared pretraining{_repeated(frame, 'images', 'batch_norm')}. {'; '.join(told)}"
        )
        return show(fig, _sentence(title, alt), title, caption)


def _images_with_zero(ax: Axes, images: Sequence[float]) -> None:
    positive = [count for count in images if count > 0]
    if positive and 0 in images:
        ax.set_xscale("symlog", linthresh=positive[0], linscale=0.6)
    elif len(positive) > 1:
        ax.set_xscale("log")
    shown = images if len(images) <= 8 else [*images[:: math.ceil(len(images) / 7)]]
    ax.xaxis.set_major_locator(FixedLocator(shown))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xticklabels([_short(count) for count in shown])


def _short(count: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:g}"


def soup_bars(frame: pd.DataFrame, data_label: str = "test IoU (%)", title: str = "", caption: str = "") -> Figure:
    """Members, their mean, the soup of their weights (Wortsman et al. 2022) and the ensemble of their predictions, side by side.

    ``frame``: columns label, kind ('member', 'mean', 'soup', 'ensemble'), iou (per cent), and low and high of its 95 % interval where
    they are known (NaN allowed), drawn in the frame's order. A dashed line marks the mean of the members.
    """
    kinds = {"member": "#9a9a9a", "mean": "#555555", "soup": PALETTE[2], "ensemble": PALETTE[0]}
    _columns(frame, ("label", "kind", "iou"), "the table of soups")
    present = _known(frame, "kind", kinds)
    _in_range(frame["iou"], "IoU", 0, 100)
    rows = frame.assign(**{name: math.nan for name in ("low", "high") if name not in frame.columns})
    if ((rows["low"] > rows["iou"]) | (rows["high"] < rows["iou"])).any():
        raise ParameterError("an interval in the table of soups does not hold its IoU; give low <= iou <= high.")
    members = rows.loc[rows["kind"] == "member", "iou"]
    told = []
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 1.4 + 0.5 * len(rows)), layout="constrained")
        ax = fig.subplots()
        for place, row in enumerate(rows.to_dict("records")):
            hatch = _HATCHES[list(kinds).index(row["kind"])]
            ax.barh(
                place, row["iou"], height=0.72, color=kinds[row["kind"]], hatch=hatch, edgecolor="white", linewidth=0
            )
            known = not math.isnan(row["low"] + row["high"])
            if known:
                spread = [[row["iou"] - row["low"]], [row["high"] - row["iou"]]]
                ax.errorbar(row["iou"], place, xerr=spread, color="black", capsize=3.5, linewidth=1.4)
            _note(ax, row["high"] if known else row["iou"], place, f"{row['iou']:.1f}")
            told.append(
                f"{row['label']}: {row['iou']:.1f} %" + (f" ({row['low']:.1f} to {row['high']:.1f})" if known else "")
            )
        if len(members):
            ax.axvline(members.mean(), color="black", linestyle="--", linewidth=1.2)
            told.append(f"the members' mean is {members.mean():.1f} %")
        ax.set_yticks(range(len(rows)), [textwrap.fill(str(label), 18) for label in rows["label"]])
        most = float(np.nanmax(rows[["iou", "high"]].to_numpy()))
        interval = ", with 95 % interval" if rows["low"].notna().any() else ""
        ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, max(most, 1.0) * 1.12), xlabel=_folded(data_label + interval, 42))
        _bars_down(ax)
        handles: list[Any] = [
            Patch(facecolor=kinds[k], hatch=_HATCHES[list(kinds).index(k)], edgecolor="white", label=k) for k in present
        ]
        if len(members):
            handles.append(Line2D([], [], color="black", linestyle="--", linewidth=1.2, label="mean of members"))
        _legend(fig, handles)
        return show(
            fig,
            _sentence(title, f"{data_label} of models and of what is made of them. {'; '.join(told)}"),
            title,
            caption,
        )


def criticality_bars(
    frame: pd.DataFrame, data_label: str = "test IoU (%)", title: str = "", caption: str = ""
) -> Figure:
    """IoU after one block is set back: F's to the pretrained P, S's to its initial values (Zhang et al. 2019).

    ``frame``: columns pair ('F', 'S'), block, iou (per cent, with the block set back), untouched (per cent, the same model as trained),
    and ``name`` where there are several models (mean and range). Blocks stand in the frame's order, input first; dashed lines
    mark the untouched models.
    """
    _columns(frame, ("pair", "block", "iou", "untouched"), "the table of rewound blocks")
    pairs, places = _known(frame, "pair", _PAIRS), list(dict.fromkeys(frame["block"]))
    for name in ("iou", "untouched"):
        _in_range(frame[name], name, 0, 100)
    height, told, handles = 0.8 / len(pairs), [], []
    with _style():
        fig = matplotlib.figure.Figure(figsize=(_WIDTH, 1.5 + 0.5 * len(places)), layout="constrained")
        ax = fig.subplots()
        for number, pair in enumerate(pairs):
            own = frame[frame["pair"] == pair]
            look: dict[str, Any] = {"color": _COLOURS[pair], "hatch": ("", "///")[pair == "S"]}
            bars = own.groupby("block")["iou"].agg(["mean", "min", "max"]).reindex(places)
            y = np.arange(len(places)) - 0.4 + height * (number + 0.5)
            ax.barh(y, bars["mean"], height=height * 0.92, edgecolor="white", linewidth=0, **look)
            if (bars["max"] > bars["min"]).any():
                ax.hlines(y, bars["min"], bars["max"], color="black", linewidth=1.4)
            for at, (_, bar) in zip(y, bars.dropna().iterrows(), strict=False):
                _note(ax, bar["max"], at, f"{bar['mean']:.1f}", size=10)
            whole = own["untouched"].mean()
            ax.axvline(whole, color=_darker(_COLOURS[pair]), linestyle="--" if pair == "F" else ":", linewidth=1.8)
            handles += _criticality_handles(pair, look, whole)
            told.append(
                f"{_PAIRS[pair]}, untouched {whole:.1f} %, with one block set back: "
                + ", ".join(f"{n} {v:.1f} %" for n, v in bars["mean"].dropna().items())
            )
        ax.set_yticks(range(len(places)), map(str, places))
        most = float(frame[["iou", "untouched"]].max().max())
        ax.set(
            ylim=(len(places) - 0.5, -0.5),
            xlim=(0, max(most, 1.0) * 1.12),
            xlabel=_folded(f"{data_label}, one block set back", 42),
        )
        _bars_down(ax)
        _legend(fig, handles, columns=2)
        alt = f"{data_label} after setting one block back, from the network's input to its output{_repeated(frame)}. {'; '.join(told)}"
        return show(fig, _sentence(title, alt), title, caption)


def _criticality_handles(pair: str, look: Mapping[str, Any], whole: float) -> list[Any]:
    to = {"F": "to P", "S": "to its start"}[pair]
    line: dict[str, Any] = {
        "color": _darker(_COLOURS[pair]),
        "linestyle": "--" if pair == "F" else ":",
        "linewidth": 1.8,
    }
    return [
        Patch(facecolor=look["color"], hatch=look["hatch"], edgecolor="white", label=f"{_PAIRS[pair]}: back {to}"),
        Line2D([], [], **line, label=f"{pair} untouched: {whole:.1f}"),
    ]


# Shared


def _present(frame: pd.DataFrame, column: str, known: Mapping[str, Any]) -> list[str]:
    return [value for value in known if (frame[column] == value).any()]


def _known(frame: pd.DataFrame, column: str, known: Mapping[str, Any]) -> list[str]:
    """The column's values, in the order of ``known``, which must hold them all."""
    if unknown := sorted({str(value) for value in frame[column]} - set(known)):
        raise ParameterError(f"{column} must be one of {', '.join(known)}; found {', '.join(unknown)}.")
    return _present(frame, column, known)


def _in_range(values: pd.Series, what: str, low: float, high: float) -> None:
    if not len(values) or not values.between(low, high).all() or not np.isfinite(values).all():
        span = f"{values.min():g} to {values.max():g}" if len(values) else "none"
        raise ParameterError(
            f"{what} must be numbers from {low:g} to {high:g}; found {span}, {values.isna().sum()} missing."
        )


def _over_names(rows: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """x, mean, low, high: over the repetitions that hold an x; values that are missing are left out."""
    found = rows.dropna(subset=[y]).groupby(x)[y].agg(["mean", "min", "max"]).reset_index()
    if found.empty:
        raise ParameterError(f"{y} has no values to show; found {len(rows)} rows, all missing.")
    return found.set_axis(["x", "mean", "low", "high"], axis=1)


def _repeated(frame: pd.DataFrame, *keys: str) -> str:
    """How many repetitions a mean is over, in words, where there are several."""
    names = frame["name"].nunique() if "name" in frame.columns else 1
    most = int(frame.groupby(list(keys)).size().max()) if keys else names
    return f", the mean of up to {most} repetitions and their range" if most > 1 else ""


def _folded(label: str, width: int) -> str:
    """An axis label in lines of so many letters: a longer one would run over the picture's edge."""
    return textwrap.fill(label, width)


def _note(ax: Axes, x: float, y: float, text: str, size: float = 11) -> None:
    place: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": size, "annotation_clip": False}
    _outlined([ax.annotate(text, (x, y), (5, 0), zorder=5, **place)], "white", 3)


def _bars_down(ax: Axes) -> None:
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.grid(visible=True, axis="x")
