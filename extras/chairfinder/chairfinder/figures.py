"""A figure of what the screening kept and refused."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from chairlib.core.errors import ParameterError
from chairlib.show.canvas import Figure, show, theme
from chairlib.show.mosaic import Row, as_rgb, mosaic, thumbnails


@theme()
def kept_and_refused(
    images: ArrayLike,
    reasons: Sequence[str],
    columns: int = 6,
    title: str = "",
    noun: str = "images",
) -> Figure:
    """What was kept and what was refused: a row of examples for each reason, the commonest first, with its count.

    ``images`` [N, d, d, 3 or 4]; ``reasons``: why each was refused (what stands before a colon counts), or an empty
    text where it was kept; ``columns``: the most examples of each that are shown, at least 1.
    """
    pictures = as_rgb(images)
    if len(pictures) != len(reasons):
        raise ParameterError(
            f"reasons must have one entry per image: found {len(pictures)} images and {len(reasons)} reasons."
        )
    names = np.array([reason.partition(":")[0].strip() for reason in reasons])
    counts = Counter(name for name in names.tolist() if name)
    n_kept = len(names) - counts.total()
    pictures = thumbnails(pictures, columns)
    labels = {"": f"kept: {n_kept:,}", **{name: f"refused, {name}: {n:,}" for name, n in counts.most_common()}}
    rows = [Row(list(pictures[names == name][:columns]) or "none", label) for name, label in labels.items()]
    takeaway = alt = f"{n_kept:,} {noun} kept and {counts.total():,} refused"
    alt += f". Refused: {', '.join(f'{name} {n:,}' for name, n in counts.most_common())}" if counts else ""
    takeaway += "".join(f", most often for: {name} ({n:,})" for name, n in counts.most_common(1))
    fig, _ = mosaic(rows, columns, largest=1.2)
    return show(fig, alt, title, dpi=fig.dpi, takeaway=takeaway)
