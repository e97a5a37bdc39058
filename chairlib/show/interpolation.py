"""Metrics on the line ``alpha W_1 + (1 - alpha) W_2`` between models, and barriers: the paper's Figure 7 and more."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.figure
import pandas as pd
import seaborn as sns
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from chairlib.core.errors import ParameterError
from chairlib.show import canvas

#: The metrics of Figure 7, in order, with their units.
_METRICS = {"iou": "IoU (%)", "dice": "Dice (%)", "loss": "loss (BCE)"}
#: Sets of models whose pairs are compared, and how they are drawn. F1 and F2 are fine-tuned from one pretrained model,
#: S1 and S2 trained from scratch (the paper's Ft and Ri), R1 and R2 from scratch too, but from the same random weights.
PAIR_TITLES = {"F": "F, fine-tuned", "S": "S, from scratch", "R": "R, one random start"}
#: By the same letters.
PAIR_COLOURS = {"F": canvas.PALETTE[0], "S": canvas.PALETTE[1], "R": canvas.PALETTE[2]}
_PAIR_MARKERS = {"F": "o", "S": "s", "R": "^"}
#: What becomes of BatchNorm's running statistics, in a word or two.
TREATMENTS = {"average": "BatchNorm averaged", "recalibrate": "BatchNorm recalibrated"}
#: Dash patterns as seaborn has them: lengths of a dash and of a gap.
_SOLID: Any = ""
_DASHED: Any = (4, 2)


@canvas.theme()
def interpolation_curves(
    frame: pd.DataFrame, data_name: str = "", title: str = "", scored: str = "test"
) -> canvas.Figure:
    """The paper's Figure 7: metrics over alpha for pairs of fine-tuned models (F) and of models from scratch (S, R).

    ``frame``: columns pair ('F', 'S', 'R'), batch_norm ('average', 'recalibrate'), split ('test', 'train'), alpha, and
    at least one of iou, dice and loss. One row of small multiples a metric,
    one column a treatment of BatchNorm; the trained models (alpha 0 and 1) are marked, and values of alpha beyond
    them shaded. ``data_name``: the images, for the axis; ``scored``: what the split ``test`` is called.
    """
    metrics = {metric: label for metric, label in _METRICS.items() if metric in frame.columns}
    if not metrics:
        raise ParameterError(f"the table of curves has no metric; give one of {', '.join(_METRICS)}.")
    frame = _with_titles(frame, pair=PAIR_TITLES, batch_norm=TREATMENTS, split={"test": scored, "train": "train"})
    letters = [letter for letter, title in PAIR_TITLES.items() if (frame["pair"] == title).any()]
    colours, markers = ({PAIR_TITLES[one]: looks[one] for one in letters} for looks in (PAIR_COLOURS, _PAIR_MARKERS))
    dashes = {scored: _SOLID, "train": _DASHED}
    fig = _curves_over_alpha(frame, metrics, "pair", colours, markers, "split", dashes, letters, data_name)
    metric = next(iter(metrics))
    unit, places = ("", 3) if metric == "loss" else (" %", 1)
    described, lowest = [], {}
    scores = frame[frame["split"] == scored]
    for (treatment, pair), rows in scores.groupby(["batch_norm", "pair"], observed=True):
        mean = rows.groupby("alpha")[metric].mean().dropna().loc[0:1]
        worst = int(mean.argmax() if metric == "loss" else mean.argmin())
        values = [f"{value:.{places}f}{unit}" for value in mean]
        ends = f"{values[0]} at alpha {mean.index[0]:g} and {values[-1]} at {mean.index[-1]:g}"
        ends += f", at worst {values[worst]} at {mean.index[worst]:g}"
        described.append(f"{pair}, {treatment}: {scored} {metrics[metric].split(' ')[0]} {ends}")
        lowest[pair] = f"{values[worst]} ({pair})"
    names = f"{canvas.join_words(list(metrics.values()))} over alpha{canvas.describe_repetitions(frame)}"
    worst_of = f"With {treatment}, the worst {metrics[metric].split(' ')[0]} for alpha from 0 to 1"
    takeaway = f"{worst_of}: {'; '.join(lowest.values())}"
    return canvas.show(fig, f"{names}. {'; '.join(described)}", title, takeaway=takeaway)


@canvas.theme()
def matching_curves(frame: pd.DataFrame, data_label: str = "test IoU (%)", title: str = "") -> canvas.Figure:
    """IoU between two models trained from scratch, before and after permuting the units of one to match the other's.

    ``frame``: columns permuted (bool), batch_norm, alpha, iou. One panel a treatment of BatchNorm. After Ainsworth et
    al. (2023, Git Re-Basin) and Jordan et al. (2023, REPAIR).
    """
    titles = {False: "as trained", True: "permuted to match"}
    frame = _with_titles(frame.astype({"permuted": bool}), permuted=titles, batch_norm=TREATMENTS)
    colours, markers, dashes = (
        dict(zip(titles.values(), looks, strict=True)) for looks in (canvas.PALETTE[1:4:2], "sD", (_DASHED, _SOLID))
    )
    metrics = {"iou": textwrap.fill(data_label, 30)}
    fig = _curves_over_alpha(frame, metrics, "permuted", colours, markers, "permuted", dashes, ("S",))
    described = []
    for (treatment, name), rows in frame.groupby(["batch_norm", "permuted"], observed=True):
        mean = rows.groupby("alpha")["iou"].mean()
        described.append(f"{name}, {treatment}: at worst {mean.min():.1f} % at alpha {mean.idxmin():g}")
    names = f"{data_label} between models from scratch over alpha{canvas.describe_repetitions(frame)}"
    told = "; ".join(described)
    return canvas.show(fig, f"{names}. {told}", title, takeaway=f"IoU on the line, {told}")


def _with_titles(frame: pd.DataFrame, **columns: Mapping[Any, str]) -> pd.DataFrame:
    """The frame with the values of these columns in words, as categories in the mapping's order.

    Alphas that differ by rounding alone are made equal: steps added up miss 0 and 1.
    """
    frame = frame.assign(alpha=frame["alpha"].astype(float).round(6) + 0.0)
    for column, titles in columns.items():
        frame[column] = pd.Categorical(frame[column].map(titles), list(titles.values())).remove_unused_categories()
    return frame


def _curves_over_alpha(
    frame: pd.DataFrame,
    metrics: Mapping[str, str],
    hue: str,
    colours: Mapping[str, str],
    markers: Mapping[str, str],
    style: str,
    dashes: Mapping[str, Any],
    pairs: Sequence[str],
    data_name: str = "",
) -> matplotlib.figure.Figure:
    """Small multiples of metrics over alpha: a row for each metric, a column for each treatment of BatchNorm.

    ``hue`` and ``style``: the columns of ``frame`` that colours and markers, and dashes, are by. The trained models are
    marked on solid lines and named below the axis; where a model is extrapolated beyond them is shaded.
    """
    treatments, alphas = list(frame["batch_norm"].cat.categories), frame["alpha"]
    fig = canvas.new_figure((1.3 if len(metrics) > 1 or hue != style else 1.9) + 2.0 * len(metrics))
    engine: Any = fig.get_layout_engine()
    engine.set(wspace=0.08)  # room for the names below the panels' ends
    grid = fig.subplots(len(metrics), len(treatments), sharex=True, sharey="row", squeeze=False)
    low, high = min(0.0, alphas.min()) - 0.03, max(1.0, alphas.max()) + 0.03
    ticks = {0: "\n" + " ".join(f"{pair}₂" for pair in pairs), 0.25: "", 0.5: "", 0.75: "", 1: ""}
    ticks[1] = ticks[0].replace("₂", "₁")
    looks: dict[str, Any] = {"hue": hue, "palette": dict(colours), "legend": False}
    for axes, (metric, label) in zip(grid, metrics.items(), strict=True):
        for ax, treatment in zip(axes, treatments, strict=True):
            rows = frame[frame["batch_norm"] == treatment]
            sns.lineplot(rows, x="alpha", y=metric, style=style, dashes=dict(dashes), **looks, **canvas.BAND, ax=ax)
            trained = rows[rows["alpha"].isin((0.0, 1.0)) & ((rows[style] != "train") | (hue == style))]
            ends = trained.groupby([hue, "alpha"], observed=True, as_index=False)[metric].mean()
            dots: dict[str, Any] = {"style": hue, "markers": dict(markers), "s": 45, "zorder": 3}
            sns.scatterplot(ends, x="alpha", y=metric, **looks, **dots, ax=ax)
            for start, end in ((low, 0.0), (1.0, high)):
                if end - start > 0.03 + 1e-6:
                    ax.axvspan(start, end, color="black", alpha=0.07, linewidth=0, zorder=0)
            ax.set_xticks(list(ticks), [f"{alpha:g}{names}" for alpha, names in ticks.items()])
            ax.set(xlim=(low, high), xlabel="", ylabel="")
        axes[0].set(ylabel=label, ylim=(0, None))
    for ax, treatment in zip(grid[0], treatments, strict=True):
        ax.set_title(treatment)
    fig.supxlabel("α, the share of the first model's weights" + (f"; {data_name}" if data_name else ""))
    fig.align_ylabels()
    lines = {name: (0, dash or None) for name, dash in dashes.items()}
    handles: list[Any] = [
        canvas.legend_line(name, color=colours[name], marker=markers[name], linestyle=lines.get(name, "-"))
        for name in frame[hue].cat.categories
    ]
    if style != hue:
        handles += [
            canvas.legend_line(name, color=canvas.GREY, linestyle=lines[name]) for name in frame[style].cat.categories
        ]
    if alphas.min() < 0 or alphas.max() > 1:
        handles.append(Patch(facecolor="black", alpha=0.12, label="extrapolated"))
    canvas.legend_above(fig, handles)
    return fig


@canvas.theme()
def barrier_over_pretraining(
    frame: pd.DataFrame, data_label: str = "IoU barrier (points)", title: str = ""
) -> canvas.Figure:
    """The barrier between two models against the images that they were both pretrained on before they parted.

    ``frame``: columns images (0 or more), batch_norm, barrier (at least 0), one row a pair (several: mean and range).
    The images are on a logarithmic axis that holds 0 (after Frankle et al. 2020, Linear Mode Connectivity).
    """
    frame = frame.assign(batch_norm=frame["batch_norm"].map(TREATMENTS))
    colours, markers, dashes = (
        dict(zip(TREATMENTS.values(), looks, strict=True))
        for looks in ((canvas.GREY, PAIR_COLOURS["F"]), "o^", (_DASHED, _SOLID))
    )
    fig = canvas.new_figure(3.9)
    ax = fig.subplots()
    counts = sorted(set(frame["images"]))
    if counts[-1] > 0:  # logarithmic from the least positive one on, so that 0 has a place
        ax.set_xscale("symlog", linthresh=min(filter(None, counts)), linscale=0.6)
    ax.set_xticks(counts[:: math.ceil(len(counts) / 8)])
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.minorticks_off()
    looks: dict[str, Any] = {"palette": colours, "markers": markers, "markersize": 8, "dashes": dashes}
    sns.lineplot(frame, x="images", y="barrier", hue="batch_norm", style="batch_norm", **looks, **canvas.BAND, ax=ax)
    canvas.legend_above(ax)
    ax.set(xlabel="images of shared pretraining", ylabel=textwrap.fill(data_label, 30), ylim=(0, None))
    described, changes = [], []
    for treatment, rows in frame.groupby("batch_norm"):
        means = rows.groupby("images")["barrier"].mean().items()
        told = [f"{value:.1f} after {images:,.0f}" for images, value in means]
        described.append(f"{treatment}: " + ", ".join(told))
        changes.append(f"{', '.join(dict.fromkeys([told[0], told[-1]]))} images ({treatment})")
    repeated = canvas.describe_repetitions(frame, "images", "batch_norm")
    alt = f"{data_label} by images of shared pretraining{repeated}. {'; '.join(described)}"
    return canvas.show(fig, alt, title, takeaway=f"Barrier in points: {'; '.join(changes)}")
