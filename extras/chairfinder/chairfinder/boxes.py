"""The box around an object, by the opacity (alpha channel) of its image."""

import numpy as np
from numpy.typing import NDArray

from chairlib.collection.opacity import MASK_OPACITY

#: Left, top, right, bottom in pixels; the last two are exclusive.
Box = tuple[int, int, int, int]


def object_box(opacity: NDArray[np.uint8]) -> Box:
    """The smallest box around all pixels of ``opacity`` [H, W] that belong to the mask; zeros if there is none."""
    inside = opacity > MASK_OPACITY
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
