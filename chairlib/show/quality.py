"""Pictures of what masks are like: how thin parts and boundaries are defined, calibration, foreground, robustness.

Tables in, a :class:`~chairlib.show.canvas.Figure` out, with its ``title`` below the picture. IoU is in per cent.
"""

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from chairlib.core.errors import ParameterError
from chairlib.show.canvas import (
    GREY,
    Figure,
    describe_interval,
    legend_above,
    legend_line,
    line_style,
    new_figure,
    show,
    theme,
)
from chairlib.show.mosaic import FALSE_ALARM, HIT, Row, as_masks, as_rgb, mask_picture, mosaic

__all__ = ["iou_by_foreground", "mask_regions", "reliability", "robustness_curves"]

_REST = (110, 110, 110)


@theme()
def mask_regions(
    image: ArrayLike, mask: ArrayLike, boundary: ArrayLike, thin: ArrayLike, beside: ArrayLike, title: str = ""
) -> Figure:
    """What boundary IoU and thin IoU look at: an image [d, d, 3], its mask, its boundary band and its thin parts.

    ``boundary``, and ``thin`` with the pixels ``beside`` it: [d, d], as :func:`chairlib.benchmark.mask_quality.boundary`
    and :func:`chairlib.benchmark.mask_quality.thin_parts` give them.
    """
    whole, edge, legs, near = (as_masks(part)[0] for part in (mask, boundary, thin, beside))
    band, parts = (np.where(whole[..., None], np.uint8(_REST), np.uint8(0)) for _ in range(2))
    band[edge], parts[legs], parts[near] = HIT, HIT, FALSE_ALARM
    cells = [as_rgb(image)[0], mask_picture(whole), band, parts]
    legend = {"counted": HIT, "counted if predicted": FALSE_ALARM, "rest of the chair": _REST}
    fig, _ = mosaic([Row(cells, notes=["image", "mask", "boundary", "thin parts"])], 4, legend)
    shares = [f"{100 * part.sum() / max(whole.sum(), 1):.1f} % of the chair's pixels" for part in (edge, legs)]
    alt = f"An image, its mask, the band along the mask's edge ({shares[0]}) and its thin parts ({shares[1]})"
    return show(fig, f"{alt}, with the {near.sum():,} pixels beside these that are no chair", title, dpi=fig.dpi)


@theme()
def reliability(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Reliability diagram: the share of chair pixels in each bin of probabilities, and below how many pixels it has.

    ``tables``: by label, columns pixels, chair and probability (the mean, in [0, 1]), a row a bin; bins without pixels
    are skipped. A calibrated model lies on the diagonal.
    """
    fig = new_figure(5.6)
    share, count = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
    share.plot([0, 100], [0, 100], color=GREY, linestyle=":")
    described = []
    for number, (label, table) in enumerate(_given(tables).items()):
        bins = table[table["pixels"] > 0].astype(float)
        x, y, weights = 100 * bins["probability"], 100 * bins["chair"] / bins["pixels"], bins["pixels"]
        share.plot(x, y, label=label, **line_style(number))
        count.plot(x, 100 * weights / weights.sum(), **line_style(number))
        gap = np.average((x - y).abs(), weights=weights) if len(bins) else np.nan
        told = f"{gap:.1f} points off on average" if len(bins) else "undefined"
        described.append(f"{label}: {told}")
    share.set(ylabel="chair pixels (%)", xlim=(0, 100), ylim=(0, 100))
    count.set(xlabel="probability of chair (%)", ylabel="pixels (%)", yscale="log")
    legend_above(share)
    alt = (
        "Share of chair pixels against the predicted probability, in bins, beside the diagonal of a calibrated model. "
    )
    return show(fig, alt + "; ".join(described), title)


@theme()
def iou_by_foreground(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """IoU in fifths of the images, from the smallest objects to the largest, with 95 % intervals.

    ``tables``: by label, a row a fifth with the columns fifth, share_low, share_high, iou, low, high (per cent).
    """
    fig = new_figure(4.2)
    ax = fig.subplots()
    described = []
    for number, (label, table) in enumerate(_given(tables).items()):
        _line(ax, table, table["fifth"] + 0.06 * number, label, number)
        described.append(f"{label}: " + ", ".join(map(_told, table.to_dict("records"))))
    ranges = pd.concat(tables.values()).groupby("fifth").agg({"share_low": "min", "share_high": "max"})
    ticks = [f"{row.share_low:.0f}–{row.share_high:.0f}" for row in ranges.itertuples()]
    ax.set_xticks(list(ranges.index), ticks)
    ax.set(xlabel="chair pixels in the image (%), in fifths of the images", ylabel="IoU (%)")
    legend_above(ax)
    return show(fig, f"IoU by the share of chair pixels, with 95 % intervals. {'; '.join(described)}", title)


def _told(row: Mapping[Any, Any]) -> str:
    span = f"{row['share_low']:.0f} to {row['share_high']:.0f} % chair"
    return f"{row['iou']:.1f} %{describe_interval(row['low'], row['high'])} at {span}"


@theme()
def robustness_curves(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """IoU against the strength of what makes images worse, with 95 % intervals: a panel a kind, a line a model.

    ``tables``: by label, as :func:`chairlib.benchmark.robustness.robustness` gives them.
    """
    rows = pd.concat(_given(tables), names=["label"]).reset_index("label")
    kinds = list(dict.fromkeys(rows["kind"]))
    fig = new_figure(0.6 + 2.3 * ((len(kinds) + 1) // 2))
    panels = fig.subplots((len(kinds) + 1) // 2, 2, sharey=True, squeeze=False).flat
    labels, described = list(tables), []
    for ax, kind in zip(panels, kinds, strict=False):
        own = rows[rows["kind"] == kind]
        for number, label in enumerate(labels):
            line = own[own["label"] == label].sort_values("strength")
            _line(ax, line, line["strength"] + 0.06 * number, label, number)
            ends = [f"{iou:.1f} %" for iou in line["iou"].iloc[[0, -1]]]
            worst = f"{line['unit'].iloc[0]} {line['amount'].iloc[-1]:g}"
            described.append(f"{line['title'].iloc[0]}, {label}: from {ends[0]} to {ends[1]} at {worst}")
        ticks = own.drop_duplicates("strength")
        ax.set_xticks(ticks["strength"], ["–" if np.isnan(amount) else f"{amount:g}" for amount in ticks["amount"]])
        ax.set_title(own["title"].iloc[0])
        ax.set_xlabel(textwrap.fill(own["unit"].iloc[0], 28))
        ax.set_ylim(bottom=0)
    for ax in panels:
        ax.set_visible(False)
    fig.supylabel("IoU (%)")
    legend_above(fig, [legend_line(label, **line_style(number)) for number, label in enumerate(labels)])
    return show(fig, f"IoU on images made worse, with 95 % intervals. {'; '.join(described)}", title)


def _line(ax: Axes, table: pd.DataFrame, x: pd.Series, label: str, number: int) -> None:
    iou, low, high = (table[name].astype(float) for name in ("iou", "low", "high"))
    ax.errorbar(x, iou, yerr=[iou - low, high - iou], label=label, capsize=3, elinewidth=1.4, **line_style(number))


def _given(tables: Mapping[str, pd.DataFrame]) -> Mapping[str, pd.DataFrame]:
    if not tables or any(table.empty for table in tables.values()):
        raise ParameterError("there is nothing to show: give at least one label with a table that has rows.")
    return tables
