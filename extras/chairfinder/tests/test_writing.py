"""Splits: whole groups only, near the ratios, never empty, the same for the same seed."""

import csv
import io
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chairfinder.writing import BACKGROUND_RATIOS, SEGMENT_RATIOS, assign_splits, guard_table
from chairlib.collection import SPLITS
from chairlib.collection.cells import from_cell, one_line, to_cell
from chairlib.core.errors import CollectionError, ParameterError

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


@pytest.mark.parametrize("give", [torch.tensor, np.array, pd.Series, lambda ids: pd.Series(ids, dtype="category")])
def test_splits_keep_groups_together_however_they_are_given(give):
    ids = [number % 13 for number in range(60)]
    splits = assign_splits(give(ids), {"train": 3, "val": 1, "test": 1}, seed=0)
    assert len(set(zip(ids, splits, strict=True))) == 13
    assert splits == assign_splits(ids, {"train": 3, "val": 1, "test": 1}, seed=0)
    assert assign_splits(give(ids[::-1]), {"train": 3, "val": 1, "test": 1}, seed=0)[::-1] == splits


@pytest.mark.parametrize("missing", [None, math.nan, pd.NA])
def test_a_missing_group_is_named_by_its_image(missing):
    with pytest.raises(ParameterError, match=r"^image 1 has the group "):
        assign_splits(["a", missing, "b"], {"train": 1, "val": 1}, seed=0)


# -- tables beside the manifest ---------------------------------------------------------------------------------------

#: Texts that are likely to go wrong: signs that begin formulas, apostrophes, numbers. Some versions of Python don't
#: quote a carriage return where another line's end was asked for.
LINES = (st.text(st.sampled_from("'=+-@\t\r 1.e\"a,\n"), max_size=8) | st.text()).filter(
    lambda text: "\r" not in text and "\0" not in text
)


@given(st.lists(st.tuples(LINES, LINES), min_size=1, max_size=4))
def test_tables_are_guarded_once(rows):
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    table = guard_table(stream.getvalue())
    assert guard_table(table) == table
    cells = [to_cell(one_line(from_cell(cell))) for row in rows for cell in row]
    assert [cell for row in csv.reader(io.StringIO(table, newline="")) for cell in row] == cells


def test_names_with_control_characters_in_a_table():
    assert guard_table("file\na\x1b[2J\n=b\n") == "file\na [2J\n'=b\n"


def test_a_harmless_table_is_left_as_it_is():
    assert guard_table('a,"b"\r\n1,"-2"') == 'a,"b"\r\n1,"-2"'
