"""Barriers: never negative, of known curves, whatever the order; and clear words for what has none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chairlib
from chairlib.core.errors import ParameterError
from chairlib.landscape.barriers import barrier, barrier_interval, below_line

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


# -- intervals over photos ---

ALPHAS = np.linspace(0, 1, 5)


def photos_of(seed, n_lines=2, n_photos=6):
    """Scores of some lines [lines, alphas, photos] that have nothing in common."""
    return np.random.default_rng(seed).uniform(0, 100, (n_lines, len(ALPHAS), n_photos))


def bootstrap_by_hand(alphas, lines):
    """The same photos for all lines in each resample, as many as there are; the ends are percentiles."""
    lines, n_photos = np.asarray(lines), np.shape(lines)[-1]
    rng = np.random.default_rng(1)
    means = []
    for _ in range(4000):
        drawn = rng.integers(n_photos, size=n_photos)
        means.append(np.mean([barrier(alphas, line[:, drawn].mean(axis=1)) for line in lines]))
    return np.quantile(means, [0.025, 0.975])


@QUICK
@given(st.lists(st.floats(0, 100), min_size=2, max_size=8), st.floats(0, 50), st.floats(0, 50), st.integers(2, 9))
def test_photos_that_are_alike_have_the_barrier_for_an_interval(values, more, less, n_photos):
    """Two lines, all photos the same: whatever is drawn, the mean barrier is that of one photo."""
    alphas = np.linspace(0, 1, len(values))
    lines = np.array([values, np.linspace(more, less, len(values)) - 7 * alphas * (1 - alphas)])
    height = np.mean([barrier(alphas, line) for line in lines])
    low, high = barrier_interval(alphas, lines[..., None].repeat(n_photos, -1))
    assert low == pytest.approx(height, abs=1e-9)
    assert high == pytest.approx(height, abs=1e-9)


@QUICK
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=2, max_size=8))
def test_straight_lines_have_none(ends):
    """Each photo has ends of its own."""
    start, end = np.transpose(ends)
    line = ALPHAS[:, None] * end + (1 - ALPHAS[:, None]) * start
    assert barrier_interval(ALPHAS, [line, line[::-1]]) == pytest.approx((0, 0), abs=1e-9)
    assert barrier_interval(ALPHAS, [line + 5 * (ALPHAS * (1 - ALPHAS))[:, None]]) == pytest.approx((0, 0), abs=1e-9)


@QUICK
@given(st.integers(0, 99), st.integers(0, 1), st.integers(0, 4), st.integers(0, 5))
def test_a_photo_without_a_score_anywhere_is_left_out_everywhere(seed, line, alpha, photo):
    lines = photos_of(seed)
    kept = np.delete(lines, photo, axis=-1)
    lines[line, alpha, photo] = math.nan
    assert barrier_interval(ALPHAS, lines) == barrier_interval(ALPHAS, kept)


@pytest.mark.parametrize("missing", [5, 6])
def test_fewer_than_two_photos_have_no_interval(missing):
    lines = photos_of(0)
    lines[..., :missing] = math.nan
    found = barrier_interval(ALPHAS, lines)
    assert isinstance(found, tuple)
    assert np.isnan(found).tolist() == [True, True]


@pytest.mark.parametrize("n_lines", [1, 3])
def test_an_interval_is_that_of_a_bootstrap_by_hand(n_lines):
    rng = np.random.default_rng(3)
    bow = 4 * ALPHAS * (1 - ALPHAS)
    depths = rng.uniform(0, 60, (n_lines, 1, 30))
    lines = 80 - bow[:, None] * depths + rng.normal(0, 3, (n_lines, len(ALPHAS), 30))
    found = barrier_interval(ALPHAS, lines)
    expected = bootstrap_by_hand(ALPHAS, lines)
    assert expected[1] - expected[0] > 1
    assert found == pytest.approx(expected, abs=0.08 * (expected[1] - expected[0]))
    assert found == barrier_interval(ALPHAS, lines)  # nothing is left to chance
    assert found[0] < np.mean([barrier(ALPHAS, line.mean(axis=1)) for line in lines]) < found[1]


def test_an_interval_is_of_the_mean_over_lines_of_the_same_photos():
    """Photos with a deep hole on one line have a shallow one on the other, so all have the same mean."""
    lines = np.full((2, len(ALPHAS), 20), 90.0)
    lines[0, 2], lines[1, 2] = np.linspace(0, 30, 20), np.linspace(30, 0, 20)
    low, high = barrier_interval(ALPHAS, lines[:1])
    assert low < 73 < 77 < high
    assert barrier_interval(ALPHAS, lines) == pytest.approx((75, 75))


def test_extrapolated_points_and_the_order_of_alphas_change_nothing():
    lines = photos_of(2)
    wild = np.full((2, 1, 6), -1e6)
    expected = barrier_interval(ALPHAS, lines)
    assert barrier_interval([-0.5, *ALPHAS, 1.5], np.concatenate([wild, lines, -wild], axis=1)) == expected
    assert barrier_interval(ALPHAS[::-1], lines[:, ::-1]) == expected
