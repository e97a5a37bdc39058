"""What models reach beside what they cost: IoU against seconds of training, and against operations an image."""

import itertools
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from chairlib.core.errors import ParameterError
from chairlib.show import canvas
from chairlib.show.canvas import GREY, PALETTE, Figure, join_words, legend_line

#: By column: the label of its axis, and how a value is read out.
_COSTS = {
    "seconds": ("seconds of training and validation", "{:,.0f} s"),
    "flops": ("floating point operations for one image", "{:.3g}"),
}
_POINT: dict[str, Any] = {"marker": "o", "markersize": 8, "linestyle": "none"}
_FRONT, _BEATEN = _POINT | {"color": PALETTE[0]}, _POINT | {"color": GREY, "markerfacecolor": canvas.GROUND}


@canvas.theme()
def iou_against_cost(table: pd.DataFrame, title: str = "", on: str = "") -> Figure:
    """IoU with its interval against seconds and against FLOPs an image, a point a model, on logarithmic axes.

    ``table``: a row a model, columns model; iou with its 95 % interval low, high (per cent; the interval may be NaN);
    seconds of training; flops of an image. A point is filled where no other model has an IoU as high at a cost as low:
    a line joins these. Where a cost is NaN or 0, the alternative text says that the axis has no place for it. ``on``:
    the data, for the axes. Raises ParameterError where nothing can be drawn.
    """
    table = table.dropna(subset=["iou"], ignore_index=True)
    places = {cost: rows for cost in _COSTS if len(rows := table[table[cost] > 0])}
    if not places:
        raise ParameterError("there is nothing to show: give at least one model with an IoU, and its seconds or flops.")
    fig = canvas.new_figure(0.8 + 3.4 * len(places))
    axes = fig.subplots(len(places), squeeze=False)[:, 0]
    parts = zip(table["model"], table["iou"], table["low"], table["high"], strict=True)
    ious = [f"{model} {iou:.1f} %{canvas.describe_interval(low, high)}" for model, iou, low, high in parts]
    described = [f"Test IoU, with 95 % intervals: {', '.join(ious)}"]
    unbeaten = []
    for ax, (cost, there) in zip(axes, places.items(), strict=True):
        label, unit = _COSTS[cost]
        ordered = there.sort_values([cost, "iou"], ascending=[True, False])
        best = ordered[ordered["iou"] > ordered["iou"].cummax().shift(fill_value=-1)]
        ax.plot(best[cost], best["iou"], color=PALETTE[0], linewidth=1, linestyle=":")
        for look, own in ((_FRONT, best), (_BEATEN, there.drop(best.index))):
            spread = [own["iou"] - own["low"], own["high"] - own["iou"]]
            ax.errorbar(own[cost], own["iou"], yerr=spread, capsize=4, elinewidth=1.4, **look)
        ax.set(xscale="log", xlabel=label, ylabel=f"test IoU{f' on {on}' if on else ''} (%)")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(EngFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.margins(x=0.15, y=0.2)
        values = ", ".join(there["model"] + " " + there[cost].map(unit.format))
        absent = "".join(f", {model} has no place" for model in table["model"].drop(there.index))
        unbeaten.append(f"{canvas.join_words(list(best['model']))} (by {cost})")
        described.append(f"By {label}: {values}{absent}; no other model beats {join_words(list(best['model']))}")
    words = ("no other model is as cheap and as good", "another model is")
    handles = [legend_line(text, **look) for text, look in zip(words, (_FRONT, _BEATEN), strict=True)]
    canvas.legend_above(fig, handles)
    fig.draw_without_rendering()  # names find their places on finished axes
    for ax, (cost, there) in zip(axes, places.items(), strict=True):
        _name_points(ax, there, cost)
    takeaway = canvas.describe_ends("Test IoU", table.set_index("model")["iou"])
    takeaway += f". No other model is as good and as cheap as: {'; '.join(unbeaten)}"
    return canvas.show(fig, ". ".join(described), title, takeaway=takeaway)


def _name_points(ax: Axes, rows: pd.DataFrame, cost: str) -> None:
    """Name each point at the first place beside it where the name covers no point, no interval and no other name."""
    ends = [
        ax.transData.transform(list(zip(rows[cost], rows[end].fillna(rows["iou"]), strict=True)))
        for end in ("low", "high")
    ]
    around = 0.6 * _POINT["markersize"] * ax.figure.dpi / 72  # half a point's mark, in pixels
    taken = [Bbox([low - around, high + around]) for low, high in zip(*ends, strict=True)]
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8}
    for row in rows.to_dict("records"):
        for dy, dx in itertools.product((0, 13, -13, 26, -26, 39, -39, 52, -52), (9, -9)):
            look: dict[str, Any] = {"ha": "left" if dx > 0 else "right", "va": "center", "fontsize": 11, "zorder": 5}
            look |= {"xytext": (dx, dy), "textcoords": "offset points", "arrowprops": line if dy else None}
            name = ax.annotate(row["model"], (row[cost], row["iou"]), **look)
            name.set_in_layout(False)
            canvas.outline_text(name, canvas.GROUND, 3)
            name.get_window_extent()  # finds the place of the text; what it returns has the line in it
            box = Text.get_window_extent(name)
            inside = all(ax.bbox.contains(*corner) for corner in box.corners())
            if inside and not box.count_overlaps(taken):
                break
            name.set_visible(False)
        name.set_visible(True)  # where no place is free, the last one
        taken.append(box)
