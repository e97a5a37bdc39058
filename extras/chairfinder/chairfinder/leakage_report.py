"""A leakage audit for the book: a table, a histogram of the distances, and the nearest pairs side by side."""

import numpy as np
import seaborn as sns
from IPython.display import HTML
from numpy.typing import NDArray
from PIL import Image, ImageColor

from chairfinder.boxes import object_box
from chairfinder.leakage import THRESHOLD, LeakageReport
from chairlib.collection.collection import KINDS
from chairlib.show.canvas import GROUND, Figure, legend_above, line_style, new_figure, show, theme
from chairlib.show.mosaic import Row, as_rgb, mosaic
from chairlib.show.tables import style_table

_SIDE = 160


def answer(report: LeakageReport, threshold: int = THRESHOLD) -> list[str]:
    """What a collection holds, and whether an image of one split was found near one of another: three sentences.

    ``threshold``: bits below which two images count as a leak. Raises ParameterError as
    :meth:`LeakageReport.summary` does.
    """
    report.summary(threshold)  # which checks the threshold
    near, (worst,) = report.nearest, report.worst(1)
    close, compared = near.loc[near["bits"] < threshold, "id"].nunique(), near["id"].nunique()
    segments, rooms = (len(report.collection.rows(kind)) for kind in KINDS)
    count = f"{close:,}" if close else "None"
    found = f"{count} of {compared:,} validation and test images"
    verb = "are" if close > 1 else "is"
    return [
        f"{report.collection.name} holds {segments:,} chairs and {rooms:,} rooms in three splits, and no group of "
        "near-duplicates is in two of them.",
        f"{found} {verb} closer than {threshold} of 256 bits to an image of another split; the nearest pair differs in "
        f"{worst.bits}.",
        "The audit finds copies, in other colours too, and nearly all mirrored ones; it can miss turned images and "
        "uneven crops, so it does not prove that there are none.",
    ]


def leakage_table(report: LeakageReport, threshold: int = THRESHOLD) -> HTML:
    """Least and median distance, and the number of images closer than ``threshold``, by kind and pair of splits."""
    found = report.summary(threshold)
    found["kind"] += "s, " + found.pop("split")
    found.columns = ["images of", "nearest in", "images", "least bits", "median bits", f"closer than {threshold}"]
    title, constants = "Distance to the nearest image of another split", {"images": "{} images"}
    return style_table(found, title, decimals=0, constants=constants)


@theme()
def distances_figure(report: LeakageReport, threshold: int = THRESHOLD, title: str = "") -> Figure:
    """The histogram of the distances, by kind: each validation and test image to its nearest in another split.

    ``threshold``: bits below which two images count as a leak, drawn as a line.
    """
    most = max(threshold, report.nearest["bits"].max())
    fig = new_figure(3.7)
    ax = fig.subplots()
    described, found = [], []
    for number, kind in enumerate(KINDS):
        bits = report.nearest.loc[report.nearest["kind"] == kind, "bits"]
        look = {key: line_style(number)[key] for key in ("color", "linestyle")}
        bars = {"bins": np.arange(0, most + 5, 4), "stat": "percent", "element": "step", "fill": False}
        sns.histplot(x=bits, **bars, **look, label=f"{kind}s: {len(bits):,}", ax=ax)
        described.append(
            f"{kind}s: {len(bits):,} distances from {bits.min()} to {bits.max()} bits, "
            f"median {bits.median():.0f}, {(bits < threshold).sum():,} below {threshold}"
        )
        found.append(f"{(bits < threshold).sum():,} of {len(bits):,} {kind}s")
    ax.axvline(threshold, color="black", linestyle=":", label=f"leak: below {threshold}")
    ax.set(xlabel="bits to the nearest image of another split", ylabel="images (% per 4 bits)", xlim=(0, most + 4))
    legend_above(ax)
    alt = f"Histogram of the distances to the nearest image of another split. {'; '.join(described)}"
    takeaway = f"Nearer than {threshold} bits to an image of another split: {' and '.join(found)}"
    return show(fig, alt, title, takeaway=takeaway)


@theme()
def worst_pairs_figure(report: LeakageReport, n: int = 6, title: str = "") -> Figure:
    """The ``n`` nearest pairs side by side, each with its splits and its distance in bits.

    Segments are cropped to their object and all images squashed to a square, as they are before hashing. Raises
    ParameterError where ``n`` is below 1.
    """
    worst = report.worst(n)
    empty = np.full((_SIDE, _SIDE, 3), ImageColor.getrgb(GROUND), np.uint8)  # between the two pairs of a row
    rows, labels, described = [], [], []
    for start in range(0, len(worst), 2):
        cells, notes = [], []
        for number, pair in enumerate(worst[start : start + 2], start + 1):
            first, second = f"{pair.split} {pair.id[:6]}", f"{pair.other_split} {pair.other[:6]}"
            labels.append(f"{number}: {pair.bits} bits ({pair.by})")
            described.append(f"{labels[-1]}, {first} beside {second}")
            cells += [_picture(report, pair.kind, pair.id), _picture(report, pair.kind, pair.other), empty]
            notes += [first, second, ""]
        rows.append(Row(cells[:-1], " ", notes[:-1]))
    fig, axes = mosaic(rows, 5)
    for number, label in enumerate(labels):
        ax = axes[number // 2][3 * (number % 2)]
        ax.text(0, 1.03, label, transform=ax.transAxes, va="bottom", weight="bold")
    alt = f"{len(worst)} nearest images of two splits: {'; '.join(described)}"
    takeaway = f"The nearest pair differs in {worst[0].bits} bits" if len(worst) else ""
    return show(fig, alt, title, dpi=fig.dpi, takeaway=takeaway)


def _picture(report: LeakageReport, kind: str, identity: str) -> NDArray[np.uint8]:
    """One image, uint8 [160, 160, 3], over a checkerboard, squashed to a square as before hashing."""
    image = report.collection.open(kind, identity).convert("RGBA")
    box = object_box(np.asarray(image.getchannel("A")))
    return as_rgb(np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX, box=box)))[0]
