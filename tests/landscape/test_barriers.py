"""Barriers: never negative, of known curves, whatever the order; and clear words for what has none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chairlib
from chairlib.core.errors import ParameterError
from chairlib.landscape.barriers import barrier, below_line

CURVES = st.lists(st.floats(0, 100), min_size=2, max_size=20)
QUICK = settings(max_examples=15, deadline=None)


def test_the_library_gives_this_one():
    assert chairlib.barrier is barrier


@QUICK
@given(CURVES, st.randoms(use_true_random=False), st.booleans())
def test_barriers_are_never_negative_whatever_the_order(values, random, higher_is_better):
    alphas = np.linspace(0, 1, len(values)).tolist()
    height = barrier(alphas, values, higher_is_better)
    assert 0 <= height <= max(values) - min(values) + 1e-9
    pairs = list(zip(alphas, values, strict=True))
    random.shuffle(pairs)
    assert barrier(*zip(*pairs, strict=True), higher_is_better) == height
    beyond = [(-0.5, -1e6), (1.5, 1e6), *pairs]
    assert barrier(*zip(*beyond, strict=True), higher_is_better) == height
    assert barrier(alphas, [-value for value in values], not higher_is_better) == height
    assert barrier([1 - alpha for alpha in alphas], values, higher_is_better) == pytest.approx(height, abs=1e-9)


@QUICK
@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 50))
def test_barriers_of_known_curves(start, end, bulge):
    alphas = np.linspace(0, 1, 21)
    line = alphas * end + (1 - alphas) * start
    bow = 4 * bulge * alphas * (1 - alphas)
    assert barrier(alphas, line) == pytest.approx(0, abs=1e-9)
    assert barrier(alphas, line + bow) == pytest.approx(0, abs=1e-9)
    assert barrier(alphas, line - bow) == pytest.approx(bulge, abs=1e-9)
    assert barrier(alphas, line + bow, higher_is_better=False) == pytest.approx(bulge, abs=1e-9)


@pytest.mark.parametrize(
    ("alphas", "values", "message"),
    [
        ([0, 0.5], [1, 2], "alpha 1.*nearest is 0.5"),
        ([0.5, 0.9999999999999999, 1], [1, 2, 3], "alpha 0.*nearest is 0.5"),
        ([], [], "alpha 0"),
        ([0, 1], [1], "1 for 2"),
        ([0, 0.5, 1], [1, math.nan, 1], "alpha 0.5 is nan"),
        ([0, 0, 1], [1, 2, 1], "alpha 0 has 2"),
        ([0, math.nan, 1], [1, 0, 1], "alphas must be finite numbers, found nan"),
        ([0, 1, math.inf], [1, 0, 1], "alphas must be finite numbers, found inf"),
    ],
)
def test_curves_without_a_barrier(alphas, values, message):
    with pytest.raises(ParameterError, match=message):
        barrier(alphas, values)


def test_each_point_has_its_gap_and_extrapolated_ones_none():
    alphas, values = [-0.5, 0, 0.25, 0.5, 1, 1.5], [0, 80, 70, 90, 60, 0]
    gaps = [math.nan, 0, 5, -20, 0, math.nan]
    assert below_line(alphas, values) == pytest.approx(gaps, nan_ok=True)
    assert below_line(alphas, values, higher_is_better=False) == pytest.approx([-gap for gap in gaps], nan_ok=True)
    assert barrier(alphas, values) == 5
    assert barrier(alphas, values, higher_is_better=False) == 20


def test_ends_may_miss_0_and_1_by_rounding():
    steps = np.cumsum([0.0, *[0.1] * 10])
    assert steps[-1] != 1
    assert barrier(steps, 80 - 40 * steps * (1 - steps)) == pytest.approx(10)
    assert barrier([1e-9, 0.5, 1 - 1e-9], [80, 60, 80]) == pytest.approx(20)


def test_values_that_are_not_finite_matter_only_between_the_models():
    assert barrier(iter([-1, 0, 0.5, 1]), iter([math.nan, 80, 79, 80])) == 1
