"""Which pixels of an image belong to its object, by their opacity (alpha channel)."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["MASK_OPACITY", "MASK_THRESHOLD", "Box", "object_box"]

#: Opacity in [0, 1] above which a pixel belongs to the mask: the rule of the released code.
MASK_THRESHOLD = 0.4
#: The same rule for opacity as 8-bit levels, 0 to 255: whole levels above 102 are above 0.4.
MASK_OPACITY = int(255 * MASK_THRESHOLD)

#: Left, top, right, bottom in pixels; the last two are exclusive.
Box = tuple[int, int, int, int]


def object_box(opacity: NDArray[np.uint8]) -> Box:
    """The smallest box around all pixels of ``opacity`` [H, W] above :data:`MASK_OPACITY`; zeros if there is none."""
    inside = opacity > MASK_OPACITY
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
