"""Differences over units and seeds: how often they are told where there is none, and how often where there is one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chairlib.core.errors import ParameterError
from chairlib.core.statistics import difference, half_width, smallest_found, variance_parts


def simulate(n, m, photos, seeds, rest, count=4000, seed=0):
    """Mean differences of studies in which nothing differs, and how far their intervals reach: both [count]."""
    rng = np.random.default_rng(seed)
    means, reaches = [], []
    for few in [count // 10] * 10:  # all at once would fill the memory
        drawn = rng.normal(0, rest, (few, n, m)) + rng.normal(0, photos, (few, n, 1))
        drawn += rng.normal(0, seeds, (few, 1, m))
        units, of_seeds = variance_parts(drawn)
        means.append(drawn.mean((-2, -1)))
        reaches.append(half_width([(units, n), (of_seeds, m)]))
    return np.concatenate(means), np.concatenate(reaches)


@pytest.mark.parametrize(("n", "m"), itertools.product((25, 100), (2, 3, 5)))
def test_of_equal_models_at_most_six_per_cent_are_told_apart(n, m):
    """Whichever part of the luck dominates. A rate of 5 % is measured to 0.35 points here."""
    for ratio, rest in itertools.product((0, 1, 10, 100), (0, 2)):
        seeds = np.sqrt(ratio * m / n * (1 + rest**2 / m))
        means, reaches = simulate(n, m, 1, seeds, rest)
        assert (np.abs(means) > reaches).mean() <= 0.06


@pytest.mark.parametrize("m", [2, 3, 5])
def test_the_smallest_gain_is_found_in_80_per_cent_of_studies(m):
    photos, seeds, rest, n = 7, 1.5, 8, 60
    found = smallest_found([(photos**2 / n, n), (seeds**2 / m + rest**2 / (n * m), m)])
    means, reaches = simulate(n, m, photos, seeds, rest)
    assert (means + found > reaches).mean() == pytest.approx(0.8, abs=0.03)
    assert found < {2: 22, 3: 7, 5: 4.5}[m]  # a rule that is more cautious would find less


def test_more_photos_and_more_seeds_find_smaller_gains():
    def smallest(n, m):
        return smallest_found([(49 / n, n), (1 / m + 64 / (n * m), m)])

    assert smallest(400, 3) < smallest(100, 3) < smallest(25, 3)
    assert smallest(100, 5) < smallest(100, 3) < smallest(100, 2)
    assert smallest_found([(0, 9), (0, 3)]) == 0


def test_the_parts_of_the_variance_are_found():
    drawn, n, m = np.random.default_rng(1), 50, 4
    gains = drawn.normal(0, 3, (4000, n, 1)) + drawn.normal(0, 2, (4000, 1, m)) + drawn.normal(0, 5, (4000, n, m))
    units, seeds = variance_parts(gains)
    assert units.mean() == pytest.approx(9 / n, rel=0.05)
    assert seeds.mean() == pytest.approx(4 / m + 25 / (n * m), rel=0.05)
    assert variance_parts(gains[..., :1])[1].max() == 0


def test_a_gain_is_told_with_its_sign():
    rng = np.random.default_rng(0)
    gains = 5 + rng.normal(0, 2, (40, 3))
    up, down = difference([gains]), difference([-gains])
    assert (up.told("more", "less"), down.told("more", "less")) == ("more", "less")
    assert (up.low, up.high) == pytest.approx((-down.high, -down.low))
    assert up.low < up.mean < up.high
    assert up.by_seed == pytest.approx(gains.mean(0))
    assert difference([gains - gains.mean()]).told("more", "less") == "no clear difference"


def test_seeds_that_disagree_widen_the_interval():
    photos = np.random.default_rng(0).normal(0, 1, (400, 1))
    alike, apart = difference([photos + [4, 5, 6]]), difference([photos + [-5, 5, 15]])
    assert (alike.told("more", "less"), apart.told("more", "less")) == ("more", "no clear difference")
    assert alike.mean == pytest.approx(apart.mean)


def test_one_seed_gives_an_interval_over_units_and_no_verdict():
    gains = np.random.default_rng(0).normal(5, 2, (40, 1))
    found = difference([gains])
    reach = half_width([(gains.var(ddof=1) / 40, 40)])
    assert (found.low, found.high) == pytest.approx((gains.mean() - reach, gains.mean() + reach))
    assert found.low > 0
    assert found.told("more", "less") == "one seed"
    assert found.smallest_found is None


def test_fewer_than_two_units_are_no_difference():
    assert difference([np.ones((1, 3))]) is None
    assert difference([np.ones((0, 3))]) is None
    assert difference([np.ones((9, 3)), np.ones((1, 3))]) is None


@given(shift=st.floats(-20, 20), seed=st.integers(0, 99))
def test_strata_count_the_same_whatever_their_size(shift, seed):
    rng = np.random.default_rng(seed)
    small, large = rng.normal(0, 1, (5, 3)), rng.normal(shift, 1, (50, 3))
    found = difference([small, large])
    assert found.mean == pytest.approx((small.mean() + large.mean()) / 2)
    assert found.n_units == 55
    assert found.by_seed == pytest.approx((small.mean(0) + large.mean(0)) / 2)


def test_seeds_that_are_shared_by_strata_are_not_taken_for_independent_ones():
    """A pretraining that serves three categories has one luck, which their mean does not even out."""
    luck, rng = np.array([-3.0, 0, 3]), np.random.default_rng(0)
    strata = [rng.normal(5, 0.1, (200, 3)) + luck for _ in range(3)]
    one, pooled = difference(strata[:1]), difference(strata)
    assert pooled.high - pooled.low == pytest.approx(one.high - one.low, rel=0.05)
    # Where the luck of each category is its own, it does.
    own = difference([stratum - luck + np.roll(luck, k) for k, stratum in enumerate(strata)])
    assert own.high - own.low < 0.2 * (pooled.high - pooled.low)


@pytest.mark.parametrize(
    ("strata", "words"),
    [
        ([], "shapes"),
        ([[1.0, 2.0]], "shapes"),
        ([np.ones((4, 0))], "shapes"),
        ([np.ones((4, 2)), np.ones((4, 3))], "same seeds"),
        ([[[1.0, np.nan], [1.0, 2.0]]], "that are not finite"),
    ],
)
def test_what_is_no_table_of_differences_is_refused(strata, words):
    with pytest.raises(ParameterError, match=words):
        difference(strata)
