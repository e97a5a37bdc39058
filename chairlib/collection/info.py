"""Numbers that describe a collection: `chairlib info`."""

import html
import textwrap
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from chairlib.collection.collection import KINDS, SPLITS, Collection
from chairlib.collection.opacity import MASK_OPACITY
from chairlib.core.published import FOREGROUND_SHARE
from chairlib.show.tables import style_table

# The paper's default resolution and its padding; compositing, which knows it too, cannot be imported from here.
_RESOLUTION, _PADDING = 64, 6


@dataclass(frozen=True)
class Description:
    """Numbers that describe a collection. ``str()`` gives them as text; a notebook shows them as a table."""

    title: str
    """Name and data hash."""
    counts: pd.DataFrame
    """A row per split, and ``all``. Columns: (``segments`` or ``backgrounds``, number of ``images`` or ``groups``)."""
    notes: list[str]
    """Sizes and licences of each kind, and the share of the foreground: a sentence each."""

    def __str__(self) -> str:
        table = self.counts.rename_axis(None).map("{:,}".format).to_string()
        notes = [textwrap.fill(note, 100, subsequent_indent="    ") for note in self.notes]
        return "\n".join([self.title, "", table, "", *notes])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return f"{style_table(self.counts, self.title).data}<ul>{items}</ul>"


def describe(collection: Collection) -> Description:
    """Describe a collection: counts by split; by kind the least, median and greatest size, and licences; foreground.

    Reads every segment; raises CollectionError where one is damaged.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    notes = []
    for kind in KINDS:
        rows = collection.rows(kind)
        by_split = rows.groupby("split")["group"]
        for what, found in (("images", by_split.size()), ("groups", by_split.nunique())):
            counts[f"{kind}s", what] = [*found[list(SPLITS)], found.sum()]
        licences = Counter(rows["licence"].replace("", "not stated")).most_common()
        notes.append(
            f"{kind}s: {_in_words(rows['width'])} pixels wide, {_in_words(rows['height'])} high; licence: "
            + ", ".join(f"{licence} ({count:,})" for licence, count in licences)
        )
    identities = collection.rows("segment")["id"]
    with ThreadPoolExecutor() as pool:
        shares = list(pool.map(lambda identity: _shares(collection.open("segment", identity)), identities))
    of_canvas, of_composite = 100 * np.mean(shares, axis=0)
    notes.append(
        f"chair, over all splits: {of_canvas:.1f} % of a segment's canvas, {of_composite:.1f} % of a composite at "
        f"{_RESOLUTION} x {_RESOLUTION} (the paper's: {FOREGROUND_SHARE} %)"
    )
    table = pd.DataFrame(counts, pd.Index([*SPLITS, "all"], name="split"))
    return Description(f"{collection.name}  (data hash {collection.hash})", table, notes)


def _shares(segment: Image.Image) -> tuple[float, float]:
    """Shares of pixels with opacity above 0.4, in [0, 1]: of the segment's canvas, and of a composite.

    In a composite the whole canvas is stretched to 58 x 58 pixels, and the padding counts as background.
    """
    opacity = segment.getchannel("A")
    inner = _RESOLUTION - _PADDING
    small = np.asarray(opacity.resize((inner, inner), Image.Resampling.BILINEAR))
    return float((np.asarray(opacity) > MASK_OPACITY).mean()), float((small > MASK_OPACITY).sum()) / _RESOLUTION**2


def _in_words(values: pd.Series) -> str:
    least, median, greatest = int(values.min()), int(values.median()), int(values.max())
    return f"{median:,}" if least == greatest else f"{least:,} to {greatest:,} (median {median:,})"
