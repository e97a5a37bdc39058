"""Pictures of masks' quality: what its measures look at, reliability, IoU by foreground share, robustness.

Tables in, a :class:`~chairlib.show.canvas.Figure` out, with its ``title`` below the picture. IoU is in per cent.
"""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike

from chairlib.core.errors import ParameterError
from chairlib.show import canvas
from chairlib.show.canvas import Figure, describe_ends, describe_interval, legend_above, line_styles
from chairlib.show.mosaic import FALSE_ALARM, HIT, Row, as_masks, as_rgb, mask_picture, mosaic

_REST = (110, 110, 110)


@canvas.theme()
def mask_regions(
    image: ArrayLike, mask: ArrayLike, boundary: ArrayLike, thin: ArrayLike, beside: ArrayLike, title: str = ""
) -> Figure:
    """What boundary IoU and thin IoU look at: an image [d, d, 3], its mask, the band along its edge, its thin parts.

    ``boundary``, ``thin`` and the pixels ``beside`` the thin ones are masks [d, d], made by the functions
    ``boundary`` and ``thin_parts`` of :mod:`chairboard.mask_quality`.
    """
    whole, edge, legs, near = (as_masks(part)[0] for part in (mask, boundary, thin, beside))
    band = np.where(whole[..., None], np.array(_REST, np.uint8), np.uint8(0))
    parts = band.copy()
    band[edge], parts[legs], parts[near] = HIT, HIT, FALSE_ALARM
    notes = ["image", "mask", "boundary", "thin parts"]
    legend = {"counted": HIT, "counted if predicted": FALSE_ALARM, "rest of the chair": _REST}
    fig, _ = mosaic([Row([as_rgb(image)[0], mask_picture(whole), band, parts], notes=notes)], 4, legend)
    percent = [100 * part.sum() / max(whole.sum(), 1) for part in (edge, legs)]
    shares = [f"{share:.1f} % of the chair's pixels" for share in percent]
    takeaway = f"Boundary IoU looks at {percent[0]:.1f} % of this chair's pixels, thin IoU at {percent[1]:.1f} %"
    alt = f"An image, its mask, the band along the mask's edge ({shares[0]}) and its thin parts ({shares[1]})"
    alt += f", with the {near.sum():,} pixels beside these that are no chair"
    return canvas.show(fig, alt, title, dpi=fig.dpi, takeaway=takeaway)


@canvas.theme()
def reliability(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Reliability diagram: the share of chair pixels in each bin of probabilities, and below how many pixels it has.

    ``tables``: by label, a row a bin, columns pixels, chair and probability (its mean, in [0, 1]); bins without pixels
    are skipped. A calibrated model lies on the diagonal.
    """
    fig = canvas.new_figure(5.6)
    share, count = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
    share.plot([0, 100], [0, 100], color=canvas.GREY, linestyle=":")
    described, off = [], {}
    looks = line_styles(list(_given(tables)))
    for label, table in tables.items():
        bins = table[table["pixels"] > 0].astype(float)
        x, y, weights = 100 * bins["probability"], 100 * bins["chair"] / bins["pixels"], bins["pixels"]
        share.plot(x, y, label=label, **looks[label])
        count.plot(x, 100 * weights / weights.sum(), **looks[label])
        off[label] = float(np.average((x - y).abs(), weights=weights)) if len(bins) else math.nan
        told = f"{off[label]:.1f} points off on average" if len(bins) else "undefined"
        described.append(f"{label}: {told}")
    share.set(ylabel="chair pixels (%)", xlim=(0, 100), ylim=(0, 100))
    count.set(xlabel="probability of chair (%)", ylabel="pixels (%)", yscale="log", ylim=(0.01, 100))
    count.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    legend_above(share)
    alt = (
        "Share of chair pixels against the predicted probability, in bins, beside the diagonal of a calibrated model. "
    )
    takeaway = describe_ends("Distance from the diagonal, the mean over pixels", pd.Series(off), "{:.1f} points")
    return canvas.show(fig, alt + "; ".join(described), title, takeaway=takeaway)


@canvas.theme()
def iou_by_foreground(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """IoU in fifths of the images, from the smallest objects to the largest, with 95 % intervals.

    ``tables``: by label, a row a fifth, columns fifth, share_low, share_high, iou, low, high (per cent).
    """
    fig = canvas.new_figure(4.2)
    ax = fig.subplots()
    described = []
    gaps = {}
    looks = line_styles(list(_given(tables)))
    for number, (label, table) in enumerate(tables.items()):
        _line(ax, table, "fifth", label, number, looks[label])
        gaps[label] = table["iou"].iloc[-1] - table["iou"].iloc[0]
        spans = table["share_low"].map("{:.0f} to ".format) + table["share_high"].map("{:.0f} % chair".format)
        told = [f"{_told(row)} at {span}" for span, (_, row) in zip(spans, table.iterrows(), strict=True)]
        described.append(f"{label}: {', '.join(told)}")
    ranges = pd.concat(tables.values()).groupby("fifth").agg({"share_low": "min", "share_high": "max"})
    ax.set_xticks(list(ranges.index), [f"{low:.0f}–{high:.0f}" for low, high in ranges.to_numpy()])
    ax.set(xlabel="chair pixels in the image (%), in fifths of the images", ylabel="IoU (%)")
    legend_above(ax)
    takeaway = describe_ends("IoU of the largest chairs minus that of the smallest", pd.Series(gaps), "{:+.1f} points")
    alt = f"IoU by the share of chair pixels, with 95 % intervals. {'; '.join(described)}"
    return canvas.show(fig, alt, title, takeaway=takeaway)


@canvas.theme()
def robustness_curves(tables: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """IoU against the strength of what makes images worse, with 95 % intervals: a panel a kind, a line a model.

    ``tables``: by label, as :func:`chairboard.corruptions.robustness` gives them.
    """
    kinds = pd.concat(_given(tables).values()).groupby("kind", sort=False)
    rows = math.ceil(len(kinds) / 2)
    fig = canvas.new_figure(0.6 + 2.3 * rows)
    panels = list(fig.subplots(rows, 2, sharey=True, squeeze=False).flat)
    described, kept = [], {}
    looks = line_styles(list(tables))
    for ax, (kind, own) in zip(panels, kinds, strict=False):
        kind_title, unit = own["title"].iloc[0], own["unit"].iloc[0]
        for number, (label, table) in enumerate(tables.items()):
            line = table[table["kind"] == kind]
            _line(ax, line, "strength", label, number, looks[label])
            first, last = line.iloc[0], line.iloc[-1]
            kept[f"{label} ({kind_title})"] = last["iou"] - first["iou"]
            told = f"from {first['iou']:.1f} % to {_told(last)} at {last['amount']:g} ({unit})"
            described.append(f"{kind_title}, {label}: {'undefined' if np.isnan(last['iou']) else told}")
        ticks = own.drop_duplicates("strength")
        ax.set_xticks(ticks["strength"], ticks["amount"].map("{:g}".format).replace("nan", "–"))
        ax.set(title=kind_title, xlabel=textwrap.fill(unit, 26), ylim=(0, None))
    for ax in panels[len(kinds) :]:
        ax.set_visible(False)
    fig.supylabel("IoU (%)")
    legend_above(fig, panels[0].get_legend_handles_labels()[0])
    takeaway = describe_ends("Change of IoU at the strongest", pd.Series(kept), "{:+.1f} points")
    alt = f"IoU on images made worse, with 95 % intervals. {'; '.join(described)}"
    return canvas.show(fig, alt, title, takeaway=takeaway)


def _line(ax: Axes, table: pd.DataFrame, x: str, label: str, number: int, style: dict[str, Any]) -> None:
    iou = table["iou"]
    look = {"label": label, "capsize": 3, "elinewidth": 1.4, **style}
    # Side by side, so that intervals of near figures stay apart.
    spread = [(iou - table["low"]).clip(lower=0), (table["high"] - iou).clip(lower=0)]  # at 100, sums are rounded
    ax.errorbar(table[x] + 0.06 * number, iou, yerr=spread, **look)


def _told(row: pd.Series) -> str:
    return f"{row['iou']:.1f} %{describe_interval(row['low'], row['high'])}"


def _given(tables: Mapping[str, pd.DataFrame]) -> Mapping[str, pd.DataFrame]:
    if not tables or any(table.empty for table in tables.values()):
        raise ParameterError("there is nothing to show: give at least one label with a table that has rows.")
    return tables
