"""IoU and loss over training, by resolution and by share of the training images; images needed; chair pixels."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from chairlib.core.errors import ParameterError
from chairlib.show import canvas


@canvas.theme()
def foreground_histogram(shares: Mapping[str, ArrayLike], title: str = "") -> canvas.Figure:
    """How much of each composite is chair: distributions, their means, and the paper's mean as a line.

    ``shares``: by label, per cent of chair pixels of each composite, [N] in [0, 100]. The paper's mean is 21.99 per
    cent, the complement of the all-background precision of section 5.2.
    """
    paper, data = 21.99, {name: np.asarray(values, dtype=float) for name, values in shares.items()}
    most = max(values.max() for values in data.values())
    step = 2.0 if most > 20 else 1.0
    bins = step * np.arange(math.ceil(most / step) + 1)
    fig = canvas.new_figure(3.7)
    ax = fig.subplots()
    described = []
    for colour, (name, values) in zip(canvas.PALETTE, data.items(), strict=False):
        mean = values.mean()
        sns.histplot(x=values, bins=bins, stat="percent", element="step", alpha=0.18, color=colour, ax=ax)
        ax.axvline(mean, color=colour, label=f"{name}: mean {mean:.2f} %")
        spread = f"mean {mean:.2f} %, from {values.min():.1f} to {values.max():.1f} %"
        described.append(f"{name}: {values.size:,} composites, {spread}")
    ax.axvline(paper, color="black", linestyle="--", label=f"the paper: mean {paper:.2f} %")
    ax.set(xlabel="chair pixels in a composite (%)", ylabel=f"composites (% per {step:g}-point bin)", xlim=(0, None))
    canvas.legend_above(ax, columns=1)
    alt = f"Histogram of the share of chair pixels per composite. {'; '.join(described)}. The paper's mean is {paper} %"
    means = canvas.join_words([f"{values.mean():.1f} % ({name})" for name, values in data.items()])
    return canvas.show(fig, alt, title, takeaway=f"Chair pixels on average: {means}; in the paper {paper} %")


@canvas.theme()
def training_curves(
    history: pd.DataFrame, best_images: float | None = None, title: str = "", on: str = ""
) -> canvas.Figure:
    """One run's losses, validation IoU and learning rate against images seen; the evaluation that was kept is marked.

    ``history``: columns images, train_loss, val_loss, val_iou (per cent), learning_rate, seconds; gaps (NaN) are
    skipped. Where no validation IoU is defined, its panel says so. ``best_images``: images seen at the evaluation
    that was kept (default: the highest validation IoU, if there is any). ``on``: the data, for the axes.
    """
    scored = history.dropna(subset=["val_iou"])
    fig = canvas.new_figure(6.2)
    loss, iou, rate = axes = fig.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.4))
    losses = []
    for name, column, look in (("training", "train_loss", 1), ("validation", "val_loss", 0)):
        line = history.dropna(subset=[column])
        loss.plot(line["images"], line[column], label=name, **_line_style(line, canvas.line_style(look)))
        losses += [f"{name} loss ends at {value:.4f}" for value in line[column].tail(1)]
    if scored.empty:
        iou_words = "There is no validation IoU, since no validation image holds the object"
        iou.set_yticks([])
        iou.text(0.02, 0.5, "undefined: no validation image holds the object", transform=iou.transAxes)
    else:
        first, last = scored["val_iou"].iloc[[0, -1]]
        iou_words = f"Validation IoU goes from {first:.1f} to {last:.1f} %"
        iou.plot(scored["images"], scored["val_iou"], **_line_style(scored, canvas.line_style(0)))
        best_images = scored["images"].iloc[int(scored["val_iou"].argmax())] if best_images is None else best_images
    if best_images is not None:
        evaluations = history if scored.empty else scored
        kept = evaluations.iloc[int((evaluations["images"] - best_images).abs().argmin())]
        value, after = "" if scored.empty else f" {kept['val_iou']:.1f} %", f"after {kept['images']:,.0f} images"
        ring: dict[str, Any] = {"markersize": 9, "markerfacecolor": "none", "markeredgewidth": 2}
        iou.plot(kept["images"], kept["val_iou"], "o", color="black", **ring)  # nothing where that is NaN
        iou.set_title(f"kept:{value} {after}")
        iou_words += f"; the evaluation kept {'has' + value if value else 'comes'} {after}"
        for ax in axes:
            ax.axvline(kept["images"], color=canvas.GREY, linewidth=1, linestyle=":")
    rate.plot(history["images"], history["learning_rate"], color=canvas.PALETTE[2])
    rate.yaxis.set_major_locator(MaxNLocator(2))
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-3, 3))
    loss.set(ylabel="loss")
    iou.set(ylabel=f"validation IoU\non {on} (%)" if on else "validation\nIoU (%)")
    rate.set(ylabel="learning\nrate", ylim=(0, None))
    canvas.images_axis(rate, history["images"].max())
    fig.align_ylabels()
    canvas.legend_above(loss)
    spent = f"{history['images'].max():,.0f} images and {history['seconds'].max():,.0f} seconds"
    return canvas.show(
        fig, f"Training curves over {spent}: {', '.join(losses)}. {iou_words}", title, takeaway=iou_words
    )


def _line_style(line: pd.DataFrame, look: dict[str, Any]) -> dict[str, Any]:
    """Colour, dashes and markers of a line; its markers are far enough apart to be told from each other."""
    return {**look, "markersize": 5, "markeredgecolor": look["color"], "markevery": math.ceil(len(line) / 15)}


@canvas.theme()
def iou_over_steps(curves: Mapping[str, Sequence[pd.DataFrame]], title: str = "", on: str = "") -> canvas.Figure:
    """The paper's Figure 6: validation IoU over training, the mean over seeds as a line and their range as a band.

    ``curves``: label -> histories, one a seed, each with the columns images (seen) and val_iou (per cent; gaps are
    skipped, and histories without any value). ``on``: the data, for the axis. Seeds that were evaluated at different
    places are interpolated (:func:`over_seeds`). Raises ParameterError where there is no validation IoU at all.
    """
    scored = {label: [h for h in histories if h["val_iou"].notna().any()] for label, histories in curves.items()}
    seeds = {label: over_seeds(histories) for label, histories in scored.items() if histories}
    if not seeds:
        raise ParameterError("there is nothing to show: give at least one history with a validation IoU.")
    fig = canvas.new_figure(4.4)
    ax = fig.subplots()
    described = []
    for label, look in canvas.line_styles(list(seeds)).items():
        values = seeds[label]
        rows = values.melt(ignore_index=False, value_name="iou").reset_index()
        sns.lineplot(rows, x="images", y="iou", label=label, **_line_style(values, look), **canvas.BAND, ax=ax)
        described.append(_describe_seeds(label, values))
    ax.set(ylabel=f"validation IoU{_on(on)} (%)")
    canvas.images_axis(ax, max(values.index[-1] for values in seeds.values()))
    canvas.legend_above(ax)
    several = any(len(values.columns) > 1 for values in seeds.values())
    alt = f"Validation IoU against images seen{', the mean over seeds and their range' if several else ''}. "
    ends = pd.Series({label: values.iloc[-1].mean() for label, values in seeds.items()})
    takeaway = canvas.describe_ends("Validation IoU at the end of training", ends)
    return canvas.show(fig, alt + "; ".join(described), title, takeaway=takeaway)


def over_seeds(histories: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Validation IoU of several seeds after the same numbers of images: a column a seed, indexed by images.

    The numbers are all at which some seed was evaluated, from where all had begun. In between, a seed is
    interpolated; one that ended early keeps its last value.
    """
    lines = [history.dropna(subset=["images", "val_iou"]).sort_values("images") for history in histories]
    images = np.unique(np.concatenate([line["images"] for line in lines]))
    images = images[images >= max(line["images"].iloc[0] for line in lines)]
    columns = {number: np.interp(images, line["images"], line["val_iou"]) for number, line in enumerate(lines)}
    return pd.DataFrame(columns, pd.Index(images, name="images"))


def _describe_seeds(label: str, values: pd.DataFrame) -> str:
    mean, end, seeds = values.mean(axis=1), values.iloc[-1], len(values.columns)
    best = f"best {mean.max():.1f} % after {mean.idxmax():,.0f} images"
    last = f"at the end {end.mean():.1f} % after {values.index[-1]:,.0f} images"
    if seeds == 1:
        return f"{label}: {best}, {last}"
    spread = f"seeds there {end.min():.1f} to {end.max():.1f} % ({end.max() - end.min():.1f} points)"
    return f"{label}: {seeds} seeds, mean {best}, mean {last}, {spread}"


def _on(data: str) -> str:
    return f" on {data}" if data else ""


def iou_by_resolution(ours: pd.DataFrame, paper: pd.DataFrame, title: str = "") -> canvas.Figure:
    """Test IoU at each resolution: ours (filled, with interval) beside the paper's (hollow, dashed).

    ``ours``: columns model, resolution, iou, low, high (per cent; may have no rows). ``paper``: model, resolution, iou.
    """
    tables = [ours.assign(paper=False)] if len(ours) else []
    rows = pd.concat([*tables, paper.assign(low=math.nan, high=math.nan, paper=True)], ignore_index=True)
    sizes, wheres = rows["resolution"].astype(int), np.where(rows["paper"], " in the paper", "")
    named = rows.assign(label=rows["model"], size=sizes, tick=sizes.astype(str))
    named["where"] = [f"at {size}{where}" for size, where in zip(sizes, wheres, strict=True)]
    axes = {"xlabel": "resolution (pixels a side)", "ylabel": "test IoU (%)"}
    return _iou_by_size(named, axes, "Test IoU by resolution, with 95 % intervals", title)


def iou_by_share(table: pd.DataFrame, title: str = "", on: str = "") -> canvas.Figure:
    """IoU against the share of the training images that was used, one line a label, with interval bars.

    ``table``: columns label, share (per cent of the training images, above 0), n_images, and iou with its 95 %
    interval low, high (per cent; the interval may be NaN). ``on``: the data, for the axis.
    """
    counts = table.groupby("share")["n_images"]
    span = counts.transform(lambda n: "–".join(f"{count:,.0f}" for count in dict.fromkeys([n.min(), n.max()])))
    shares = table["share"].map("{:g} %".format)
    rows = table.assign(size=table["share"], tick=shares + "\n" + span, paper=False)
    rows["where"] = "with " + shares + table["n_images"].map(" ({:,.0f} images)".format)
    label = "share of the training images, and their number"
    axes = {"xlabel": label, "ylabel": f"IoU{_on(on)} (%),\nwith 95 % interval"}
    return _iou_by_size(rows, axes, "IoU by share of the training images, with 95 % intervals", title)


@canvas.theme()
def _iou_by_size(rows: pd.DataFrame, axes: Mapping[str, str], alt: str, title: str) -> canvas.Figure:
    """IoU over sizes (a logarithmic axis) with intervals, a colour and a marker for each label.

    ``rows``: columns label; size, ``tick`` below the axis, and ``where`` in the alternative text; iou, low, high (per
    cent; an interval may be NaN); and paper, whether this is a figure of the paper: it is hollow and dashed.
    """
    rows = rows.dropna(subset=["iou"]).sort_values("size", kind="stable")
    labels = list(dict.fromkeys(rows.sort_index()["label"]))
    reach = math.log(rows["size"].max() / rows["size"].min()) or 1.0
    hollow = {"linestyle": "--", "markerfacecolor": canvas.GROUND, "linewidth": 1.2}
    fig = canvas.new_figure(4.4)
    ax = fig.subplots()
    handles, described = [], []
    for number, (label, own_look) in enumerate(canvas.line_styles(labels).items()):
        look = {**own_look, "linestyle": "-", "markersize": 7}
        handles.append(canvas.legend_line(label, **look))
        for paper, own in rows[rows["label"] == label].groupby("paper"):
            # Side by side, so that intervals of near figures stay apart.
            x = np.log(own["size"]) + 0.02 * reach * (number - (len(labels) - 1) / 2)
            spread = [own["iou"] - own["low"], own["high"] - own["iou"]]
            ax.errorbar(x, own["iou"], yerr=spread, capsize=4, elinewidth=1.4, **look | (hollow if paper else {}))
            described += [
                f"{label} {row['where']}: {row['iou']:.{2 if paper else 1}f} %"
                + canvas.describe_interval(row["low"], row["high"])
                for row in own.to_dict("records")
            ]
    if rows["paper"].any():
        grey: dict[str, Any] = {"color": canvas.GREY, "marker": "o"}
        handles += [] if rows["paper"].all() else [canvas.legend_line("ours, 95 % interval", **grey)]
        handles.append(canvas.legend_line("the paper", **grey, **hollow))
    ticks = rows.drop_duplicates("size")
    ax.set_xticks(np.log(ticks["size"]), ticks["tick"])
    ax.set(**axes)
    ax.margins(x=0.08)
    canvas.legend_above(fig, handles)
    told = rows[rows["paper"] == rows["paper"].all()]  # ours, where there are any
    takeaway = canvas.describe_ends("IoU", told.set_index(told["label"] + " " + told["where"])["iou"])
    return canvas.show(fig, f"{alt}. {'; '.join(described)}", title, takeaway=takeaway)


@canvas.theme()
def steps_to_reach(table: pd.DataFrame, title: str = "", on: str = "") -> canvas.Figure:
    """How many images training needs to be as good as training from scratch gets, one bar a category and label.

    ``table``: columns category and label (one row each); images: images seen until the validation IoU has reached, for
    good, what training from scratch ends with, NaN where it never does; low and high, the range over seeds, drawn as a
    line over the bar; undecided: in words why a row's figures say nothing, "" where they do; such a row has no bar. A
    category's first label (from scratch) is what its others are compared with. ``on``: the data, for the axis.
    """
    values = ["images", "low", "high"]
    table = table.astype(dict.fromkeys(values, float))
    table.loc[table["undecided"] != "", values] = math.nan
    by_category = table.groupby("category")
    scratch = by_category["images"].transform(lambda images: images.iloc[0]).where(by_category.cumcount() > 0)
    table["note"] = [
        f"undecided: {row['undecided']}"
        if row["undecided"]
        else _images_needed(row["images"], row["low"], row["high"], first)
        for row, first in zip(table.to_dict("records"), scratch, strict=True)
    ]
    labels, categories = list(dict.fromkeys(table["label"])), list(dict.fromkeys(table["category"]))
    images, low, high, notes = (
        table.pivot(index="category", columns="label", values=name).reindex(index=categories, columns=labels)
        for name in (*values, "note")
    )
    fig = canvas.new_figure(1.5 + 0.27 * len(labels) + 0.26 * len(categories) * (len(labels) + 0.7))
    ax = fig.subplots()
    looks = [canvas.bar_style(n, look["color"]) for n, look in enumerate(canvas.line_styles(labels).values())]
    canvas.grouped_bars(ax, images, looks, notes.fillna(""), low, high)
    most = float(table[values].max().max())
    ax.set_xlim(0, most if most > 0 else 1.0)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    canvas.images_axis(ax, most)
    goal = f"until the final validation IoU{_on(on)} of training from scratch"
    ax.set_xlabel(textwrap.fill(f"{ax.get_xlabel()} {goal}", 46))
    canvas.legend_above(ax, [Patch(label=label, **look) for label, look in zip(labels, looks, strict=True)], columns=1)
    described = [
        f"{category}: " + ", ".join(rows["label"] + " " + rows["note"])
        for category, rows in table.groupby("category", sort=False)
    ]
    alt = "Images seen until the validation IoU has reached, for good, what training from scratch ends with. "
    fewer, compared = int((table["images"] < scratch).sum()), int((scratch.notna() & (table["undecided"] == "")).sum())
    takeaway = f"Fewer images than from scratch were enough in {fewer} of {compared} comparisons" if compared else ""
    return canvas.show(fig, alt + "; ".join(described), title, takeaway=takeaway)


def _images_needed(images: float, low: float, high: float, first: float) -> str:
    """In words: images needed, their range over seeds, and the change from the ``first`` label's (NaN: none)."""
    words = "never" if math.isnan(images) else f"{images:,.0f}"
    if low < high:
        words += f" [{low:,.0f}–{high:,.0f}]"
    elif math.isnan(high) and not math.isnan(low):
        words += f" [{low:,.0f} to never]"
    if first > 0 and not math.isnan(images):
        change = round(100 * (images / first - 1))
        words += f" ({abs(change)} % {'fewer' if change < 0 else 'more'})" if change else " (as many)"
    return words
