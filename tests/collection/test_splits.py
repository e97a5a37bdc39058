"""Whole groups only, near the ratios, never empty, the same for the same seed."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chairlib.collection.splits import BACKGROUND_RATIOS, SEGMENT_RATIOS, SPLITS, assign_splits
from chairlib.core.errors import CollectionError

groups_strategy = st.lists(st.integers(0, 40).map(str), min_size=3, max_size=200).filter(lambda g: len(set(g)) >= 3)
ratios_strategy = st.sampled_from([SEGMENT_RATIOS, BACKGROUND_RATIOS])
seeds = st.integers(-(2**40), 2**40)


def expected(n, ratios):
    return {split: n * ratios[split] / sum(ratios.values()) for split in SPLITS}


@given(groups_strategy, ratios_strategy, seeds)
def test_groups_stay_whole_and_no_split_is_empty(groups, ratios, seed):
    splits = assign_splits(groups, ratios, seed)
    assert len(splits) == len(groups)
    assert set(splits) == set(SPLITS)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))


@given(groups_strategy, ratios_strategy, seeds)
def test_counts_are_as_near_the_ratios_as_the_largest_group_allows(groups, ratios, seed):
    counts = Counter(assign_splits(groups, ratios, seed))
    slack = 2 * max(Counter(groups).values()) + 1
    assert all(abs(counts[split] - target) <= slack for split, target in expected(len(groups), ratios).items())


@given(st.integers(20, 300), ratios_strategy, seeds)
def test_single_images_meet_the_ratios_exactly_up_to_rounding(n, ratios, seed):
    counts = Counter(assign_splits([f"group {i}" for i in range(n)], ratios, seed))
    assert all(abs(counts[split] - target) < 1 for split, target in expected(n, ratios).items())


def test_the_paper_s_counts():
    segments = Counter(assign_splits([str(i) for i in range(900)], SEGMENT_RATIOS, seed=0))
    backgrounds = Counter(assign_splits([str(i) for i in range(10_000)], BACKGROUND_RATIOS, seed=0))
    assert segments == {"train": 500, "val": 200, "test": 200}
    assert backgrounds == {"train": 6000, "val": 2000, "test": 2000}


@given(groups_strategy, seeds, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_the_call_matters(groups, seed, random):
    before = dict(zip(groups, assign_splits(groups, SEGMENT_RATIOS, seed), strict=True))
    shuffled = random.sample(groups, len(groups))
    assert dict(zip(shuffled, assign_splits(shuffled, SEGMENT_RATIOS, seed), strict=True)) == before


def test_seeds_differ():
    groups = [str(i) for i in range(60)]
    assert len({tuple(assign_splits(groups, SEGMENT_RATIOS, seed)) for seed in (-2, -1, 0, 1, 2)}) == 5


@given(st.lists(st.integers(2, 12), max_size=6), ratios_strategy, seeds)
def test_single_images_even_out_what_large_groups_leave(sizes, ratios, seed):
    groups = [f"large {number}" for number, size in enumerate(sizes) for _ in range(size)]
    groups += [f"single {number}" for number in range(100)]
    counts = Counter(assign_splits(groups, ratios, seed))
    assert all(abs(counts[split] - target) < 1 for split, target in expected(len(groups), ratios).items())


def test_large_groups_do_not_all_land_in_train():
    groups = [f"large {i // 20}" for i in range(100)] + [str(i) for i in range(500)]
    found = set()
    for seed in range(5):
        splits = assign_splits(groups, SEGMENT_RATIOS, seed)
        found |= {split for group, split in zip(groups, splits, strict=True) if group.startswith("large")}
    assert found == set(SPLITS)


@pytest.mark.parametrize("groups", [[], ["a"], ["a", "b", "a", "b"]])
def test_too_few_groups_say_so_in_one_line(groups):
    with pytest.raises(CollectionError, match=f"{len(set(groups))} group.*at least 3") as caught:
        assign_splits(groups, SEGMENT_RATIOS, 0)
    assert "\n" not in str(caught.value)
