"""Polygon outlines of alpha masks, as an annotator would draw them (the point of the paper's Figure 3)."""

from collections.abc import Sequence
from typing import Any, cast

import contourpy
import numpy as np
from matplotlib.path import Path
from numpy.typing import NDArray

from chairlib.collection.opacity import MASK_OPACITY


def simplify(ring: NDArray[np.floating[Any]], tolerance: float) -> NDArray[np.float64]:
    """Douglas and Peucker's simplification of a closed ring [n, 2] (first point = last point), both ends included.

    Every point left out lies within ``tolerance`` of the result.
    """
    points = np.asarray(ring, dtype=np.float64)
    last = len(points) - 1
    far = int(np.argmax(np.linalg.norm(points - points[0], axis=1)))
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, far, last]] = True
    pending = [(0, far), (far, last)]
    while pending:
        start, end = pending.pop()
        if end - start < 2:
            continue
        offsets, chord = points[start + 1 : end] - points[start], points[end] - points[start]
        along = np.clip(offsets @ chord / (chord @ chord or 1.0), 0, 1)
        distances = np.linalg.norm(offsets - along[:, None] * chord, axis=1)
        worst = int(np.argmax(distances))
        if distances[worst] > tolerance:
            middle = start + 1 + worst
            keep[middle] = True
            pending += [(start, middle), (middle, end)]
    return points[keep]


def polygon_outline(opacity: NDArray[np.uint8], tolerance_px: float) -> list[NDArray[np.float64]]:
    """The outline of the mask as an annotator's polygons: closed rings [n, 2] of (x, y). Pixel centres are integers.

    As in polygon datasets, holes are not cut out, and parts too small for a polygon at this tolerance are skipped.
    ``opacity`` is uint8 [h, w], and the mask is where it exceeds :data:`~chairlib.collection.opacity.MASK_OPACITY`;
    ``tolerance_px`` >= 0 is how far the outline may stray.
    """
    # Between two grey levels: then no pixel centre lies on the contour. A border of zeros closes what the frame cuts.
    level = MASK_OPACITY + 0.5
    generator = contourpy.contour_generator(
        z=np.pad(opacity, 1).astype(np.float64), fill_type=contourpy.FillType.OuterOffset
    )
    rings, offsets = cast(tuple[list[Any], list[Any]], generator.filled(level, np.inf))
    outers = [simplify(ring[: offset[1]] - 1, tolerance_px) for ring, offset in zip(rings, offsets, strict=True)]
    return [outer for outer in outers if len(outer) > 3]


def rasterise(polygons: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels have their centre inside any of the polygons (closed rings [n, 2] of (x, y)): bool [h, w]."""
    rows, columns = np.indices(shape)
    centres = np.column_stack([columns.ravel(), rows.ravel()])
    inside = np.zeros(len(centres), dtype=bool)
    for polygon in polygons:
        inside |= Path(polygon, closed=True).contains_points(centres)
    return inside.reshape(shape)
