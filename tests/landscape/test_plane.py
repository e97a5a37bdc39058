"""Planes: true distances, three points that are the models themselves, and grids that nest."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chairlib.core.errors import ParameterError
from chairlib.landscape.plane import Plane
from chairlib.landscape.space import average, interpolate
from chairlib.landscape.states import l2_distance
from weights import make_state, same

SEEDS = st.integers(0, 10_000)
QUICK = settings(max_examples=15, deadline=None)
COORDINATES = st.tuples(st.floats(-20, 20), st.floats(-20, 20))


@QUICK
@given(SEEDS, COORDINATES, COORDINATES)
def test_planes_keep_distances(seed, one, other):
    p, a, b = (make_state(seed + number) for number in range(3))
    plane = Plane(p, a, b)
    found = l2_distance(plane.state(*one), plane.state(*other))
    assert found == pytest.approx(math.dist(one, other), rel=1e-5, abs=1e-4)


@QUICK
@given(SEEDS)
def test_planes_hold_their_three_points(seed):
    corners = [make_state(seed + number) for number in range(3)]
    plane = Plane(*corners)
    assert plane.points[0].tolist() == [0, 0]
    assert plane.points[1, 1] == 0
    assert plane.points[2, 1] > 0
    for point, corner in zip(plane.points.tolist(), corners, strict=True):
        assert same(plane.state(*point), corner)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert math.dist(plane.points[i], plane.points[j]) == pytest.approx(l2_distance(corners[i], corners[j]))
    centre = plane.state(*plane.points.mean(0).tolist())
    mean = average(corners)
    for key in mean:
        torch.testing.assert_close(centre[key], mean[key], rtol=1e-5, atol=1e-2 if "running" in key else 1e-5)


@QUICK
@given(SEEDS, st.integers(2, 30))
def test_grids_cover_the_points_with_one_step(seed, n):
    plane = Plane(*(make_state(seed + number) for number in range(3)))
    axes = plane.grid(n)
    space = 0.2 * np.ptp(plane.points, axis=0).max()
    assert max(map(len, axes)) == n
    steps = np.concatenate([np.diff(axis) for axis in axes])
    np.testing.assert_allclose(steps, steps[0])
    for axis, low, high in zip(axes, plane.points.min(0), plane.points.max(0), strict=True):
        assert axis[0] == pytest.approx(low - space)
        assert axis[-1] + steps[0] / 2 >= high - 1e-6
        assert axis[-1] <= high + space + steps[0] + 1e-6


@QUICK
@given(SEEDS, st.integers(5, 20))
def test_a_grid_of_twice_as_many_steps_holds_every_cell_of_the_coarser(seed, n):
    """To the last bit: cells are found again by their coordinates."""
    plane = Plane(*(make_state(seed + number) for number in range(3)))
    for coarse, fine in zip(plane.grid(n), plane.grid(2 * n - 1), strict=True):
        assert set(coarse) <= set(fine)
        assert len(fine) >= 2 * len(coarse) - 1


def test_states_on_a_line_span_no_plane():
    p, a, b = (make_state(number) for number in range(3))
    for three in (
        (p, a, a),
        (p, p, b),
        (p, a, p),
        (p, a, interpolate(p, a, 0.3)),
        (p, p, p),
        (p, a, interpolate(a, p, 3)),
    ):
        with pytest.raises(ParameterError, match="on a line"):
            Plane(*three)
