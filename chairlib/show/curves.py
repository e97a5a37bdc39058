"""IoU and loss as curves and bars: over training, by resolution, by share of the training images, and images needed.

Data frames in, a :class:`~chairlib.show.canvas.Figure` out, with ``title`` and ``caption`` below the picture. IoU is
in per cent.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullFormatter

from chairlib.core.errors import ParameterError
from chairlib.show.canvas import (
    BAND,
    DASHES,
    GREY,
    PALETTE,
    Figure,
    bar_style,
    check_columns,
    check_intervals,
    grouped_bars,
    images_axis,
    label_line_ends,
    legend_above,
    line_style,
    new_figure,
    show,
    theme,
)

__all__ = [
    "iou_by_resolution",
    "iou_by_share",
    "iou_over_images",
    "iou_over_steps",
    "over_seeds",
    "steps_to_reach",
    "training_curves",
]


@theme()
def training_curves(
    history: pd.DataFrame, best_images: float | None = None, title: str = "", caption: str = "", on: str = ""
) -> Figure:
    """One run's losses, validation IoU and learning rate against images seen; the evaluation that was kept is marked.

    ``history``: columns images, train_loss, val_loss, val_iou (per cent), learning_rate, seconds; gaps (NaN) are
    skipped. Where no validation IoU is defined, its panel says so. ``best_images``: images seen at the evaluation
    that was kept (default: the highest validation IoU, if there is any). ``on``: the data, for the axes.
    """
    needed = ("images", "train_loss", "val_loss", "val_iou", "learning_rate", "seconds")
    check_columns(history, needed, "the training history")
    scored = history.dropna(subset=["val_iou"])
    fig = new_figure(6.2)
    loss, iou, rate = axes = fig.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.4))
    ends = []
    for name, column, colour in (("training", "train_loss", PALETTE[1]), ("validation", "val_loss", PALETTE[0])):
        line = history.dropna(subset=[column])
        loss.plot(line["images"], line[column], color=colour, **_points(line))
        ends += [(x, y, name, colour) for x, y in line[["images", column]].tail(1).to_numpy()]
    if scored.empty:
        iou_words = "There is no validation IoU, since no validation image holds the object"
        iou.set_yticks([])
        plate = {"facecolor": "white", "edgecolor": "none"}  # the line at the evaluation kept may cross it
        place: dict[str, Any] = {"ha": "center", "va": "center", "transform": iou.transAxes}
        iou.text(0.5, 0.5, "undefined: no validation image holds the object", bbox=plate, **place)
    else:
        first, last = scored["val_iou"].iloc[[0, -1]]
        iou_words = f"Validation IoU goes from {first:.1f} to {last:.1f} %"
        iou.plot(scored["images"], scored["val_iou"], color=PALETTE[0], **_points(scored))
    kept = _kept_evaluation(history, scored, best_images)
    if kept is not None:
        after = f"after {kept['images']:,.0f} images"
        if scored.empty:
            iou.set_title(f"kept: {after}")
            iou_words += f"; the evaluation kept comes {after}"
        else:
            ring: dict[str, Any] = {"markersize": 9, "markerfacecolor": "none", "markeredgewidth": 2}
            iou.plot(kept["images"], kept["val_iou"], "o", color="black", **ring)
            iou.set_title(f"kept: {kept['val_iou']:.1f} % {after}")
            iou_words += f"; the evaluation kept has {kept['val_iou']:.1f} % {after}"
        for ax in axes:
            ax.axvline(kept["images"], color=GREY, linewidth=1, linestyle=":")
    rate.plot(history["images"], history["learning_rate"], color=PALETTE[2])
    rate.yaxis.set_major_locator(MaxNLocator(2))
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-3, 3))
    loss.set(ylabel="loss (BCE)")
    iou.set(ylabel=f"validation IoU\non {on} (%)" if on else "validation\nIoU (%)")
    rate.set(ylabel="learning\nrate", ylim=(0, None))
    images_axis(rate, history["images"].max())
    fig.align_ylabels()
    label_line_ends(loss, ends)
    spent = f"{history['images'].max():,.0f} images and {history['seconds'].max():,.0f} seconds"
    losses = ", ".join(f"{name} loss ends at {value:.4f}" for _, value, name, _ in ends)
    return show(fig, f"Training curves over {spent}: {losses}. {iou_words}", title, caption)


def _kept_evaluation(history: pd.DataFrame, scored: pd.DataFrame, best_images: float | None) -> pd.Series | None:
    """The row nearest to ``best_images``, by default that of the highest validation IoU; None where there is none."""
    if best_images is not None:
        evaluations = history if scored.empty else scored
        return evaluations.iloc[int((evaluations["images"] - best_images).abs().argmin())]
    return None if scored.empty else scored.iloc[int(scored["val_iou"].argmax())]


def _points(line: pd.DataFrame) -> dict[str, Any]:
    """Markers, while the evaluations are few enough to be told apart."""
    return {"marker": "o", "markersize": 4} if len(line) <= 30 else {}


@theme()
def iou_over_images(histories: Mapping[str, pd.DataFrame], title: str = "", caption: str = "") -> Figure:
    """Validation IoU against images seen, one line a run, labelled at its end.

    ``histories``: label -> data frame with the columns images and val_iou (per cent).
    """
    if not histories:
        raise ParameterError("no run to show: give at least one history.")
    fig = new_figure(4.2)
    ax = fig.subplots()
    ends, described = [], []
    for number, (label, history) in enumerate(histories.items()):
        check_columns(history, ("images", "val_iou"), f"the history of {label!r}")
        line = history.dropna(subset=["val_iou"])
        if line.empty:
            continue
        colour, dash = PALETTE[number % len(PALETTE)], DASHES[number // len(PALETTE) % len(DASHES)]
        ax.plot(line["images"], line["val_iou"], color=colour, linestyle=dash, **_points(line))
        ends.append((line["images"].iloc[-1], line["val_iou"].iloc[-1], label, colour))
        best = line.iloc[int(line["val_iou"].argmax())]
        described.append(f"{label}: best {best['val_iou']:.1f} % after {best['images']:,.0f} images")
    if not ends:
        raise ParameterError("no history holds a validation IoU.")
    ax.set(ylabel="validation IoU (%)")
    images_axis(ax, max(x for x, *_ in ends))
    label_line_ends(ax, ends)
    return show(fig, f"Validation IoU against images seen. {'; '.join(described)}", title, caption)


@theme()
def iou_over_steps(
    curves: Mapping[str, Sequence[pd.DataFrame]], title: str = "", caption: str = "", on: str = ""
) -> Figure:
    """The paper's Figure 6: validation IoU over training, the mean over seeds as a line and their range as a band.

    ``curves``: label -> histories, one a seed, each with the columns images (seen) and val_iou (per cent; gaps are
    skipped). ``on``: the data, for the axis. Seeds that were evaluated at different places are interpolated
    (:func:`over_seeds`).
    """
    seeds = {label: over_seeds(label, histories) for label, histories in curves.items() if len(histories)}
    if not seeds:
        raise ParameterError("no run to show: give at least one history.")
    fig = new_figure(4.2)
    ax = fig.subplots()
    ends, described = [], []
    for number, (label, values) in enumerate(seeds.items()):
        mean, look = values.mean(axis=1), line_style(number)
        # Markers far enough apart to be told from each other and from dashes.
        markers = {"markersize": 5, "markeredgecolor": look["color"], "markevery": math.ceil(len(values) / 15)}
        rows = values.melt(ignore_index=False, value_name="iou").reset_index()
        sns.lineplot(rows, x="images", y="iou", **look, **markers, **BAND, ax=ax)
        ends.append((values.index[-1], mean.iloc[-1], label, look["color"]))
        described.append(_describe_seeds(label, values))
    ax.set(ylabel=f"validation IoU{_on(on)} (%)")
    images_axis(ax, max(images for images, *_ in ends))
    label_line_ends(ax, ends)
    alt = f"Validation IoU against images seen, the mean over seeds and their range. {'; '.join(described)}"
    return show(fig, alt, title, caption)


def over_seeds(label: str, histories: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Validation IoU of several seeds after the same numbers of images: a column a seed, indexed by images.

    The numbers are all at which some seed was evaluated, from where all had begun. In between, a seed is
    interpolated; one that ended early keeps its last value. ``label``: what the seeds are, for the message of an
    error.
    """
    lines = []
    for history in histories:
        check_columns(history, ("images", "val_iou"), f"a history of {label!r}")
        lines.append(history.dropna(subset=["images", "val_iou"]).sort_values("images"))
        check_columns(lines[-1], ("images",), f"the validation IoU in a history of {label!r}")
    images = np.unique(np.concatenate([line["images"] for line in lines]))
    images = images[images >= max(line["images"].iloc[0] for line in lines)]
    columns = {number: np.interp(images, line["images"], line["val_iou"]) for number, line in enumerate(lines)}
    return pd.DataFrame(columns, pd.Index(images, name="images"))


def _describe_seeds(label: str, values: pd.DataFrame) -> str:
    mean, end, seeds = values.mean(axis=1), values.iloc[-1], len(values.columns)
    best = f"mean best {mean.max():.1f} % after {values.index[int(mean.argmax())]:,.0f} images"
    last = f"mean at the end {end.mean():.1f} % after {values.index[-1]:,.0f} images"
    spread = f", seeds there {end.min():.1f} to {end.max():.1f} % ({end.max() - end.min():.1f} points)"
    return f"{label}: {seeds} seed{'s' if seeds > 1 else ''}, {best}, {last}" + (spread if seeds > 1 else "")


def _on(data: str) -> str:
    return f" on {data}" if data else ""


@theme()
def iou_by_resolution(ours: pd.DataFrame, paper: pd.DataFrame, title: str = "", caption: str = "") -> Figure:
    """Test IoU at each resolution: ours (filled, with interval) beside the paper's (hollow, dashed); a colour a model.

    ``ours``: columns model, resolution, iou, low, high (per cent; may have no rows). ``paper``: model, resolution, iou.
    """
    check_columns(paper, ("model", "resolution", "iou"), "the paper's table")
    columns = ["model", "resolution", "iou", "low", "high"]
    if len(ours):
        check_columns(ours, columns, "our table")
    else:
        ours = pd.DataFrame(columns=columns)
    models = list(dict.fromkeys([*ours["model"], *paper["model"]]))
    resolutions = sorted({int(r) for r in [*ours["resolution"], *paper["resolution"]]})
    theirs_look: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "linestyle": "--", "linewidth": 1.2}
    own_look: dict[str, Any] = {"marker": "o", "markersize": 7}
    fig = new_figure(4.4)
    ax = fig.subplots()
    ends, described = [], []
    for number, model in enumerate(models):
        colour = PALETTE[number % len(PALETTE)]
        theirs, own = (
            table[table["model"] == model].dropna(subset=["iou"]).sort_values("resolution") for table in (paper, ours)
        )
        # Side by side, so that intervals of models with near figures stay apart.
        shift = (number - (len(models) - 1) / 2) * 0.06
        x, own_x = ([resolutions.index(int(r)) + shift for r in table["resolution"]] for table in (theirs, own))
        ax.plot(x, theirs["iou"], color=colour, **theirs_look)
        if len(own):
            spread = [own["iou"] - own["low"], own["high"] - own["iou"]]
            ax.errorbar(own_x, own["iou"], yerr=spread, color=colour, capsize=4, **own_look)
        last = [*zip(own_x, own["iou"], strict=True), *zip(x, theirs["iou"], strict=True)][-1:]
        ends += [(at, iou, model, colour) for at, iou in last]
        described += [
            f"{model} at {r['resolution']}: {r['iou']:.1f} % (95 % interval {r['low']:.1f} to {r['high']:.1f})"
            for r in own.to_dict("records")
        ]
        described += [f"{model} at {r['resolution']} in the paper: {r['iou']:.2f} %" for r in theirs.to_dict("records")]
    ax.set_xticks(range(len(resolutions)), [f"{r}" for r in resolutions])
    ax.set(xlabel="resolution (pixels a side)", ylabel="test IoU (%)")
    ax.margins(x=0.08)
    handles = [Line2D([], [], color=GREY, label="the paper", **theirs_look)]
    if len(ours):
        handles.insert(0, Line2D([], [], color=GREY, label="ours, 95 % interval", **own_look))
    legend_above(ax, handles, columns=2)
    label_line_ends(ax, ends)
    return show(fig, f"Test IoU by resolution. {'; '.join(described)}", title, caption)


@theme()
def iou_by_share(table: pd.DataFrame, title: str = "", caption: str = "", on: str = "") -> Figure:
    """IoU against the share of the training images that was used, one line a label, with interval bars.

    ``table``: columns label, share (per cent of the training images, above 0), n_images, and iou with its 95 %
    interval low, high (per cent; the interval may be NaN). ``on``: the data, for the axis.
    """
    check_columns(table, ("label", "share", "n_images", "iou", "low", "high"), "the table of shares")
    table = table.dropna(subset=["share", "iou"])
    check_columns(table, ("share",), "the IoU in the table of shares")
    if not table["share"].between(0, 100, inclusive="right").all():
        span = f"{table['share'].min():g} to {table['share'].max():g}"
        raise ParameterError(f"shares must be per cent above 0 and up to 100; found {span}.")
    check_intervals(table, "the table of shares")
    shares, labels = sorted(set(table["share"])), list(dict.fromkeys(table["label"]))
    reach = shares[-1] / shares[0] if len(shares) > 1 else 10
    fig = new_figure(4.2)
    ax = fig.subplots()
    ends, described = [], []
    for number, label in enumerate(labels):
        look, own = line_style(number), table[table["label"] == label].sort_values("share")
        # Side by side, so that intervals of near figures stay apart.
        x = own["share"] * reach ** (0.018 * (number - (len(labels) - 1) / 2))
        spread = [own["iou"] - own["low"], own["high"] - own["iou"]]
        ax.errorbar(x, own["iou"], yerr=spread, **look, markersize=7, capsize=4, elinewidth=1.4)
        ends.append((x.iloc[-1], own["iou"].iloc[-1], label, look["color"]))
        for row in own.to_dict("records"):
            interval = "" if math.isnan(row["low"] + row["high"]) else f" ({row['low']:.1f} to {row['high']:.1f})"
            images = f"{row['share']:g} % ({row['n_images']:,.0f} images)"
            described.append(f"{label} with {images}: {row['iou']:.1f} %{interval}")
    ax.set_xscale("log")
    ax.set_xticks(shares, [_share_tick(table, share) for share in shares])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="share of the training images, and their number", ylabel=f"IoU{_on(on)} (%),\nwith 95 % interval")
    ax.set_xlim(shares[0] / reach**0.08, shares[-1] * reach**0.08)
    label_line_ends(ax, ends)
    alt = f"IoU by share of the training images, with 95 % intervals. {'; '.join(described)}"
    return show(fig, alt, title, caption)


def _share_tick(table: pd.DataFrame, share: float) -> str:
    counts = table.loc[table["share"] == share, "n_images"]
    fewest, most = counts.min(), counts.max()
    return f"{share:g} %\n{fewest:,.0f}" + ("" if fewest == most else f"–{most:,.0f}")


@theme()
def steps_to_reach(table: pd.DataFrame, title: str = "", caption: str = "", on: str = "") -> Figure:
    """How many images training needs to be as good as training from scratch gets, one bar a category and label.

    ``table``: columns category, label and images: images seen until the validation IoU has reached, for good, what
    training from scratch ends with; NaN where it never does. It may have low and high, the range over seeds, drawn as
    a line over the bar, and undecided: in words why a row's figures say nothing, "" where they do; such a row has no
    bar. A category's first label (from scratch) is what its others are compared with. ``on``: the data, for the axis.
    """
    check_columns(table, ("category", "label", "images"), "the table of images needed")
    table = table.assign(**{name: math.nan for name in ("low", "high") if name not in table})
    table = table.astype(dict.fromkeys(("images", "low", "high"), float))
    undecided = table["undecided"] if "undecided" in table else pd.Series("", table.index)
    table.loc[undecided != "", ["images", "low", "high"]] = math.nan
    if table["images"].min() < 0 or table.duplicated(["category", "label"]).any():
        found = f"{len(table)} rows from {table['images'].min():g}"
        raise ParameterError(f"images must be at least 0, once for each category and label; found {found}.")
    by_category = table.groupby("category")
    scratch = by_category["images"].transform(lambda images: images.iloc[0]).where(by_category.cumcount() > 0)
    table["note"] = [
        f"undecided: {why}" if why else _images_needed(row["images"], row["low"], row["high"], first)
        for row, why, first in zip(table.to_dict("records"), undecided, scratch, strict=True)
    ]
    labels, categories = list(dict.fromkeys(table["label"])), list(dict.fromkeys(table["category"]))
    images, low, high, notes = (
        table.pivot(index="category", columns="label", values=name).reindex(index=categories, columns=labels)
        for name in ("images", "low", "high", "note")
    )
    fig = new_figure(1.5 + 0.27 * len(labels) + 0.26 * len(categories) * (len(labels) + 0.7))
    ax = fig.subplots()
    looks = [bar_style(number) for number in range(len(labels))]
    grouped_bars(ax, images, looks, notes.fillna(""), low, high)
    most = float(table[["images", "low", "high"]].max().max())
    ax.set_xlim(0, most if most > 0 else 1.0)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    images_axis(ax, most)
    goal = f"until the final validation IoU{_on(on)} of training from scratch"
    ax.set_xlabel(textwrap.fill(f"{ax.get_xlabel()} {goal}", 46))
    legend_above(ax, [Patch(label=label, **look) for label, look in zip(labels, looks, strict=True)])
    described = [
        f"{category}: " + ", ".join(f"{row['label']} {row['note']}" for row in rows.to_dict("records"))
        for category, rows in table.groupby("category", sort=False)
    ]
    alt = "Images seen until the validation IoU has reached, for good, what training from scratch ends with. "
    return show(fig, alt + "; ".join(described), title, caption)


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
