"""Numbers that describe a collection: `chairlib info`."""

import html
import textwrap
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from chairlib.collection.collection import KINDS, SPLITS, Collection
from chairlib.collection.opacity import MASK_OPACITY
from chairlib.core.published import FOREGROUND_SHARE
from chairlib.show.tables import style_table

__all__ = ["Description", "describe"]

# The paper's default resolution and its padding; compositing, which knows it too, cannot be imported from here.
_RESOLUTION, _PADDING = 64, 6


@dataclass(frozen=True)
class Description:
    """Numbers that describe a collection. ``str()`` gives them as text; a notebook shows them as a table."""

    name: str
    hash: str
    counts: Mapping[str, Mapping[str, int]]
    """Images by kind and split."""
    groups: Mapping[str, Mapping[str, int]]
    """Groups by kind and split."""
    widths: Mapping[str, tuple[int, int, int]]
    """Least, median and greatest width in pixels, by kind."""
    heights: Mapping[str, tuple[int, int, int]]
    licences: Mapping[str, Mapping[str, int]]
    """Images by kind and licence, the most common first; ``"not stated"`` where the manifest has none."""
    canvas_share: float
    """Mean share of a segment's own canvas with opacity above 0.4, in [0, 1]."""
    composite_share: float
    """The same in a 64 x 64 composite: the whole canvas stretched to 58 x 58, the padding counted as background."""

    def __str__(self) -> str:
        table = self._table().rename_axis(None).map("{:,}".format).to_string()
        notes = [textwrap.fill(note, 100, subsequent_indent="    ") for note in self._notes()]
        return "\n".join([f"{self.name}  (data hash {self.hash})", "", table, "", *notes])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in self._notes())
        return f"{style_table(self._table(), f'{self.name} (data hash {self.hash})').data}<ul>{items}</ul>"

    def _table(self) -> pd.DataFrame:
        columns = {
            (f"{kind}s", what): [*(table[split] for split in SPLITS), sum(table.values())]
            for kind in KINDS
            for what, table in (("images", self.counts[kind]), ("groups", self.groups[kind]))
        }
        return pd.DataFrame(columns, pd.Index([*SPLITS, "all"], name="split"))

    def _notes(self) -> list[str]:
        """Sizes and licences of each kind, and the share of the foreground: a sentence each."""
        shares = f"{self.canvas_share:.1%} of a segment's canvas, {self.composite_share:.1%} of a composite"
        return [
            *(
                f"{kind}s: {_in_words(self.widths[kind])} pixels wide, {_in_words(self.heights[kind])} high; licence: "
                + ", ".join(f"{licence} ({count:,})" for licence, count in self.licences[kind].items())
                for kind in KINDS
            ),
            f"foreground: {shares} at {_RESOLUTION} x {_RESOLUTION} (the paper's: {FOREGROUND_SHARE} %)",
        ]


def describe(collection: Collection) -> Description:
    """Describe a collection. Reads every segment; raises CollectionError where one is damaged."""
    rows = {kind: collection.rows(kind) for kind in KINDS}
    with ThreadPoolExecutor() as pool:
        shares = list(pool.map(lambda identity: _shares(collection.open("segment", identity)), rows["segment"]["id"]))
    canvas_share, composite_share = np.mean(shares, axis=0)
    return Description(
        name=collection.name,
        hash=collection.hash,
        counts={kind: {split: len(collection.rows(kind, split)) for split in SPLITS} for kind in KINDS},
        groups={kind: {split: collection.rows(kind, split)["group"].nunique() for split in SPLITS} for kind in KINDS},
        widths={kind: _least_median_greatest(rows[kind]["width"]) for kind in KINDS},
        heights={kind: _least_median_greatest(rows[kind]["height"]) for kind in KINDS},
        licences={kind: dict(Counter(rows[kind]["licence"].replace("", "not stated")).most_common()) for kind in KINDS},
        canvas_share=float(canvas_share),
        composite_share=float(composite_share),
    )


def _shares(segment: Image.Image) -> tuple[float, float]:
    """Shares of pixels above the mask's opacity, in [0, 1]: of the segment's own canvas, and of a composite."""
    opacity = segment.getchannel("A")
    inner = _RESOLUTION - _PADDING
    small = np.asarray(opacity.resize((inner, inner), Image.Resampling.BILINEAR))
    return float((np.asarray(opacity) > MASK_OPACITY).mean()), float((small > MASK_OPACITY).sum()) / _RESOLUTION**2


def _least_median_greatest(values: pd.Series) -> tuple[int, int, int]:
    return int(values.min()), int(values.median()), int(values.max())


def _in_words(spread: tuple[int, int, int]) -> str:
    least, median, greatest = spread
    return f"{median:,}" if least == greatest else f"{least:,} to {greatest:,} (median {median:,})"
