"""Polygons follow the mask as closely as their tolerance says, and no closer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chairlib.show.outlines import polygon_outline, rasterise, simplify


def disc(side: int, radius: float, hole: float = 0.0) -> np.ndarray:
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    distance = np.hypot(rows, columns)
    return np.where((distance < radius) & (distance >= hole), 255, 0).astype(np.uint8)


def distance_to_ring(point: np.ndarray, ring: np.ndarray) -> float:
    starts, steps = ring[:-1], np.diff(ring, axis=0)
    lengths = np.maximum((steps**2).sum(axis=1), 1e-30)
    along = np.clip(((point - starts) * steps).sum(axis=1) / lengths, 0, 1)
    return float(np.linalg.norm(starts + along[:, None] * steps - point, axis=1).min())


@given(
    points=arrays(np.float64, st.tuples(st.integers(3, 40), st.just(2)), elements=st.floats(-50, 50)),
    tolerance=st.floats(0, 20),
)
@settings(max_examples=60, deadline=None)
def test_a_simplified_ring_stays_within_its_tolerance(points: np.ndarray, tolerance: float) -> None:
    ring = np.vstack([points, points[:1]])
    simple = simplify(ring, tolerance)
    assert len(simple) <= len(ring)
    np.testing.assert_array_equal(simple[[0, -1]], ring[[0, -1]])
    assert all(distance_to_ring(point, simple) <= tolerance + 1e-6 for point in ring)


@given(opacity=arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 80, 102, 103, 180, 255])))
@settings(max_examples=60, deadline=None)
def test_an_exact_outline_holds_every_pixel_of_the_mask(opacity: np.ndarray) -> None:
    mask = opacity > 102
    assert rasterise(polygon_outline(opacity, 0), opacity.shape)[mask].all()


@pytest.mark.parametrize("radius", [3.2, 10.0, 40.0])  # the last is cut off by the frame on all sides
def test_an_exact_outline_of_a_disc_is_the_disc(radius: float) -> None:
    opacity = disc(48, radius)
    (polygon,) = polygon_outline(opacity, 0)
    np.testing.assert_array_equal(rasterise([polygon], opacity.shape), opacity > 102)
    # It ends where the image does: its pixels reach half a pixel beyond their centres.
    assert polygon.min() > -1
    assert polygon.max() < 48


def test_tolerance_trades_corners_for_accuracy() -> None:
    opacity = disc(64, 24)
    corners, areas = [], []
    for tolerance in (0.0, 1.0, 3.0):
        (polygon,) = polygon_outline(opacity, tolerance)
        corners.append(len(polygon) - 1)
        areas.append((rasterise([polygon], opacity.shape) ^ (opacity > 102)).sum())
    assert corners[0] > corners[1] > corners[2] >= 3
    assert 0 == areas[0] < areas[1] < areas[2]


def test_holes_are_filled_and_specks_skipped() -> None:
    opacity = disc(64, 24, hole=8)
    opacity[1, 1] = 255
    (polygon,) = polygon_outline(opacity, 1.0)
    assert rasterise([polygon], opacity.shape)[32, 32]


def test_an_empty_mask_has_no_polygon() -> None:
    assert polygon_outline(np.zeros((8, 8), np.uint8), 0) == []
    assert not rasterise([], (4, 5)).any()
