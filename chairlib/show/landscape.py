"""Distances and similarities between models, soups, and blocks reset: the paper's Table 5, and what goes beyond it.

P is the pretrained model; distances are l2 over trainable parameters.
"""

import math
import textwrap
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from chairlib.core import published
from chairlib.show import canvas
from chairlib.show.interpolation import PAIR_COLOURS, PAIR_TITLES

#: Between which models a distance or similarity is: the columns of Table 5.
_KINDS = {"ft_ft": "Ft & Ft", "ri_ri": "Ri & Ri", "ft_p": "Ft & P", "ri_p": "Ri & P", "rs_rs": "Rs & Rs"}
#: Pairs of models of one set have the set's colour in all figures; with P, a lighter one.
_KIND_COLOURS = {kind: canvas.PALETTE[n] for kind, n in zip(_KINDS, (0, 1, 5, 4, 2), strict=True)}


@canvas.theme()
def distance_bars(frame: pd.DataFrame, title: str = "") -> canvas.Figure:
    """The paper's Table 5 as a picture: l2 distances of fine-tuned (Ft), from-scratch (Ri) and pretrained (P) models.

    ``frame``: columns kind ('ft_ft', 'ri_ri', 'ft_p', 'ri_p') and l2, one row a pair of models. Above, our distances:
    the mean as a bar and every pair as a dot. Below, ours and the paper's as shares of Ri & Ri: a distance grows with
    the number of parameters, so only ratios compare.
    """
    kinds = [kind for kind in _KINDS if (frame["kind"] == kind).any()]
    by_kind = frame.groupby("kind")["l2"].agg(["mean", "min", "max", "size"]).loc[kinds]
    shares = _shares_of_scratch(by_kind["mean"])
    fig = canvas.new_figure(1.2 + 0.42 * len(kinds) + 1.16 * shares.shape[1])
    ours, ratios = fig.subplots(2, 1, height_ratios=(len(kinds) + 0.8, 3 * shares.shape[1]))
    places: dict[str, Any] = {"x": "l2", "y": "kind", "order": kinds, "ax": ours}
    bars: dict[str, Any] = {"hue": "kind", "palette": _KIND_COLOURS, "saturation": 1, "alpha": 0.75, "width": 0.66}
    sns.barplot(frame, **places, **bars, errorbar=None, legend=False)
    sns.stripplot(frame, **places, color="black", jitter=False, size=5.5, edgecolor=canvas.GROUND, linewidth=1)
    described = []
    for number, row in enumerate(by_kind.reset_index().to_dict("records")):
        canvas.annotate_bar(ours, row["max"], number, f"{row['mean']:,.4g}")
        spread = f" ({row['min']:,.4g} to {row['max']:,.4g} over {row['size']} pairs)" if row["size"] > 1 else ""
        described.append(f"{_KINDS[row['kind']]}: {row['mean']:,.4g}{spread}")
    canvas.rows_down(ours, [_KINDS[kind] for kind in kinds])
    ours.set(xlim=(0, frame["l2"].max() * 1.16), xlabel="ℓ₂ distance (bar: mean; dots: pairs of models)")
    colours = (canvas.INK, "#8a8a8a", "#b4b0a8")[-shares.shape[1] :]
    looks = [canvas.bar_style(number, colour) for number, colour in enumerate(colours)]
    canvas.grouped_bars(ratios, shares, looks, shares.map(lambda share: "" if math.isnan(share) else f"{share:.0f}"))
    for name in shares:
        words = ", ".join(f"{kind} {share:.0f} %" for kind, share in shares[name].dropna().items())
        described.append(f"as shares of Ri & Ri, {name}: {words}")
    ratios.set(xlim=(0, shares.max().max() * 1.12), xlabel="share of the distance Ri & Ri (%)")
    canvas.legend_above(ratios, [Patch(label=name, **look) for name, look in zip(shares, looks, strict=True)])
    takeaway = canvas.describe_ends("Mean distance", by_kind["mean"].rename(_KINDS), "{:,.4g}")
    return canvas.show(fig, f"l2 distances in parameter space. {'; '.join(described)}", title, takeaway=takeaway)


def _shares_of_scratch(means: pd.Series) -> pd.DataFrame:
    """Distances in per cent of that between two models from scratch: ours (where it was measured), then the paper's."""
    columns = {"ours": means.reindex(list(_KINDS))} if "ri_ri" in means else {}
    for row in published.table(5).to_dict("records")[::-1]:
        columns[f"the paper, {row['task']}"] = pd.Series({kind: float(row.get(kind, math.nan)) for kind in _KINDS})
    distances = pd.DataFrame(columns)
    return (100 * distances / distances.loc["ri_ri"]).rename(index=_KINDS)


def block_distances(frame: pd.DataFrame, title: str = "") -> canvas.Figure:
    """How far each block of the network moved, relative to the block's norm, for the four kinds of pairs.

    ``frame``: columns kind ('ft_ft', 'ri_ri', 'ft_p', 'ri_p'), block, relative (in [0, 2]), one row a pair and block,
    as :func:`chairlib.landscape.space.distances` gives them, from the network's input to its output. A block called
    ``total`` is left out.
    """
    rows = frame[frame["block"] != "total"]
    most = float(rows["relative"].max()) or 1.0
    label = "ℓ₂ distance / mean norm of the two blocks"
    return _dots_by_depth(rows, "block", "relative", label, "Relative distance of each block", most, title)


def cka_by_layer(frame: pd.DataFrame, title: str = "") -> canvas.Figure:
    """Similarity of what corresponding layers compute, linear CKA (Kornblith et al. 2019), for pairs of models.

    ``frame``: columns kind ('ft_ft', 'ri_ri', ...), layer, cka in [0, 1] (NaN where a layer is constant: left out),
    one row a pair and layer, in the network's order.
    """
    label = "linear CKA (1: same up to rotation and scale)"
    return _dots_by_depth(frame, "layer", "cka", label, "Linear CKA of each layer", 1.0, title)


@canvas.theme()
def _dots_by_depth(
    frame: pd.DataFrame,
    key: str,
    value: str,
    label: str,
    opening: str,
    most: float,
    title: str,
) -> canvas.Figure:
    """Dots with their range, one line a kind of pair. The network's depth runs down the page."""
    kinds = [kind for kind in _KINDS if (frame["kind"] == kind).any()]
    places = list(dict.fromkeys(frame[key]))
    markers = dict(zip(_KINDS, "os^Dv", strict=True))
    fig = canvas.new_figure(1.4 + 0.36 * len(places))
    ax = fig.subplots()
    groups: dict[str, Any] = {"order": places, "hue": "kind", "hue_order": kinds, "palette": _KIND_COLOURS}
    # Side by side, so that ranges of near figures stay apart.
    looks: dict[str, Any] = {"dodge": 0.14 * (len(kinds) - 1) or False, "markers": [markers[kind] for kind in kinds]}
    sizes: Any = {"linewidth": 1, "markersize": 7, "markeredgecolor": canvas.GROUND, "err_kws": {"linewidth": 2}}
    sns.pointplot(frame, x=value, y=key, **groups, **looks, **sizes, errorbar=("pi", 100), legend=False, ax=ax)
    canvas.rows_down(ax, [str(place) for place in places])
    ax.set(xlabel=label, xlim=(-0.02 * most, 1.04 * most))
    ax.grid(visible=True, axis="y", linewidth=0.5)
    looks = {"markersize": 7, "linewidth": 1}
    canvas.legend_above(
        fig, [canvas.legend_line(_KINDS[k], color=_KIND_COLOURS[k], marker=markers[k], **looks) for k in kinds]
    )
    described = []
    for kind in kinds:
        mean = frame[frame["kind"] == kind].groupby(key)[value].mean().reindex(places).dropna()
        described.append(f"{_KINDS[kind]}: " + ", ".join(f"{place} {number:.2f}" for place, number in mean.items()))
    depth = f"from the network's input down to its output{canvas.describe_repetitions(frame, 'kind', key)}"
    means = frame.groupby("kind")[value].mean().reindex(kinds).rename(_KINDS)
    takeaway = canvas.describe_ends(f"{opening}, the mean over all", means, "{:.2f}")
    return canvas.show(fig, f"{opening}, {depth}. {'; '.join(described)}", title, takeaway=takeaway)


@canvas.theme()
def soup_bars(frame: pd.DataFrame, data_label: str = "test IoU (%)", title: str = "") -> canvas.Figure:
    """Members, their mean, the soup of their weights (Wortsman et al. 2022) and the ensemble of their predictions.

    ``frame``: columns label, kind ('member', 'mean', 'soup', 'ensemble'), iou (per cent), and low and high of its 95
    % interval (NaN where unknown), drawn in the frame's order. A dashed line marks the mean of the members.
    """
    colours = {"member": "#9a9a9a", "mean": "#555555", "soup": canvas.PALETTE[3], "ensemble": canvas.PALETTE[5]}
    looks = {kind: canvas.bar_style(number, colour) for number, (kind, colour) in enumerate(colours.items())}
    fig = canvas.new_figure(1.4 + 0.5 * len(frame))
    ax = fig.subplots()
    described = []
    for number, row in enumerate(frame.to_dict("records")):
        ax.barh(number, row["iou"], 0.72, **looks[row["kind"]])
        spread = [[row["iou"] - row["low"]], [row["high"] - row["iou"]]]
        ax.errorbar(row["iou"], number, xerr=spread, color="black", capsize=3.5, linewidth=1.4)
        canvas.annotate_bar(ax, np.nanmax([row["iou"], row["high"]]), number, f"{row['iou']:.1f}")
        described.append(f"{row['label']}: {row['iou']:.1f} %{canvas.describe_interval(row['low'], row['high'])}")
    handles: list[Any] = [Patch(label=kind, **look) for kind, look in looks.items() if (frame["kind"] == kind).any()]
    members = frame.loc[frame["kind"] == "member", "iou"]
    if len(members):
        line: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1.2}
        ax.axvline(members.mean(), **line)
        handles.append(canvas.legend_line("mean of members", **line))
        described.append(f"the members' mean is {members.mean():.1f} %")
    canvas.rows_down(ax, [textwrap.fill(str(label), 18) for label in frame["label"]])
    _per_cent_axis(ax, frame[["iou", "high"]], f"{data_label}, with 95 % interval")
    canvas.legend_above(fig, handles)
    takeaway = canvas.describe_ends("IoU", frame[frame["kind"] != "member"].set_index("label")["iou"])
    alt = f"{data_label} of models and of what is made of them. {'; '.join(described)}"
    return canvas.show(fig, alt, title, takeaway=takeaway)


@canvas.theme()
def criticality_bars(frame: pd.DataFrame, data_label: str = "test IoU (%)", title: str = "") -> canvas.Figure:
    """IoU after one block is reset: F's to the pretrained P, S's to its initial values (Zhang et al. 2019).

    ``frame``: columns pair ('F', 'S'), block, iou (with the block reset), untouched (the same model as trained).
    Blocks stand in the frame's order, input first; dashed lines mark the models without a reset.
    """
    blocks = list(dict.fromkeys(frame["block"]))
    pairs = [pair for pair in PAIR_TITLES if (frame["pair"] == pair).any()]
    mean, low, high = (
        frame.pivot_table("iou", "block", "pair", which).reindex(blocks) for which in ("mean", "min", "max")
    )
    looks = [canvas.bar_style("FS".index(pair), PAIR_COLOURS[pair]) for pair in pairs]
    fig = canvas.new_figure(1.5 + 0.5 * len(blocks))
    ax = fig.subplots()
    canvas.grouped_bars(ax, mean, looks, mean.map(lambda iou: "" if math.isnan(iou) else f"{iou:.1f}"), low, high)
    described: list[str] = []
    handles: list[Any] = []
    for pair, look in zip(pairs, looks, strict=True):
        whole = float(frame.loc[frame["pair"] == pair, "untouched"].mean())
        line: dict[str, Any] = {"color": "black", "linestyle": "--" if pair == "F" else ":"}
        ax.axvline(whole, **line)
        origin = {"F": "P", "S": "its start"}[pair]
        handles.append(Patch(label=f"{PAIR_TITLES[pair]}: reset to {origin}", **look))
        handles.append(canvas.legend_line(f"{pair} without a reset: {whole:.1f}", **line))
        values = ", ".join(f"{block} {iou:.1f} %" for block, iou in mean[pair].dropna().items())
        described.append(f"{PAIR_TITLES[pair]}, without a reset {whole:.1f} %, with one block reset: {values}")
    _per_cent_axis(ax, frame[["iou", "untouched"]], f"{data_label}, one block reset")
    canvas.legend_above(fig, handles, columns=2)
    least = canvas.join_words([f"{mean[pair].min():.1f} % ({pair}, {mean[pair].idxmin()})" for pair in pairs])
    order = f"from the network's input to its output{canvas.describe_repetitions(frame)}"
    alt = f"{data_label} after resetting one block, {order}. {'; '.join(described)}"
    return canvas.show(fig, alt, title, takeaway=f"The lowest IoU after resetting one block: {least}")


def _per_cent_axis(ax: Axes, values: pd.DataFrame, label: str) -> None:
    """An x axis from 0, with room for the values that stand beside the bars."""
    ax.set(xlim=(0, max(float(values.max().max()), 1.0) * 1.12), xlabel=textwrap.fill(label, 42))
