"""A leakage audit for the book: a table, a histogram of the distances, and the nearest pairs side by side."""

import numpy as np
import pandas as pd
from IPython.display import HTML
from numpy.typing import NDArray
from PIL import Image

from chairlib.collection.collection import KINDS
from chairlib.collection.leakage import THRESHOLD, LeakageReport
from chairlib.collection.opacity import object_box
from chairlib.core.errors import ParameterError
from chairlib.show.canvas import Figure
from chairlib.show.distributions import distance_histogram
from chairlib.show.pictures import pair_grid
from chairlib.show.tables import style_table

__all__ = ["distances_figure", "leakage_table", "worst_pairs_figure"]

_SIDE = 160


def leakage_table(report: LeakageReport, threshold: int = THRESHOLD, caption: str = "") -> HTML:
    """Least and median distance, and the number of images closer than ``threshold``, by kind and pair of splits."""
    found = report.summary(threshold)
    table = pd.DataFrame(
        {
            "images of": found["kind"] + "s, " + found["split"],
            "nearest in": found["other_split"],
            "images": found["images"],
            "least bits": found["least"],
            "median bits": found["median"],
            f"closer than {threshold}": found["closer"],
        }
    )
    return style_table(table, caption or "Distance to the nearest image of another split", decimals=0)


def distances_figure(report: LeakageReport, threshold: int = THRESHOLD, title: str = "", caption: str = "") -> Figure:
    """The histogram of the distances, by kind: each validation and test image to its nearest in another split."""
    found = report.nearest
    kinds = [kind for kind in KINDS if (found["kind"] == kind).any()]
    distances = {f"{kind}s": found.loc[found["kind"] == kind, "bits"].to_numpy() for kind in kinds}
    return distance_histogram(distances, threshold, title, caption)


def worst_pairs_figure(
    report: LeakageReport, n: int = 6, kind: str | None = None, title: str = "", caption: str = ""
) -> Figure:
    """The ``n`` nearest pairs side by side, of both kinds or of one, each with its splits and its distance in bits.

    Segments are cropped to their object and all images squashed to a square, as they are before hashing. Raises
    ParameterError where ``n`` is below 1 or the report has no such kind.
    """
    worst = report.worst(n, kind)
    if not worst:
        raise ParameterError(f"the report has no {kind}s; found {', '.join(report.nearest['kind'].unique())}.")
    pictures = [(_picture(report, pair.kind, pair.id), _picture(report, pair.kind, pair.other)) for pair in worst]
    labels = [f"{number}: {pair.bits} bits ({pair.by})" for number, pair in enumerate(worst, 1)]
    notes = [(f"{pair.split} {pair.id[:6]}", f"{pair.other_split} {pair.other[:6]}") for pair in worst]
    noun = f"nearest {kind or 'image'}s of two splits"
    return pair_grid(pictures, labels, notes, title=title, caption=caption, noun=noun)


def _picture(report: LeakageReport, kind: str, identity: str) -> NDArray[np.uint8]:
    """One image, uint8 [160, 160, 4], squashed to a square as before hashing."""
    image = report.collection.open(kind, identity).convert("RGBA")
    box = object_box(np.asarray(image.getchannel("A")))
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX, box=box))
