"""Groups mean the same however they are given, and what names no group is refused in one line."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chairlib.benchmark.metrics import bootstrap_interval, score_masks
from chairlib.collection.groups import group_labels
from chairlib.compositing.image_sets import StoredSet
from chairlib.core.errors import ParameterError

#: Ways to give the same groups, numbered from 0.
NUMBERS: dict[str, Callable[[list[int]], Any]] = {
    "tensor": torch.tensor,
    "half": lambda ids: torch.tensor(ids, dtype=torch.bfloat16),
    "uint16": lambda ids: torch.tensor(ids, dtype=torch.uint16),
    "tensors": lambda ids: [torch.tensor(number) for number in ids],
    "array": np.array,
    "floats": lambda ids: np.array(ids, float),
    "objects": lambda ids: np.array([torch.tensor(number) for number in ids], object),
    "scalars": lambda ids: [np.uint8(number) for number in ids],
    "zero-dimensional": lambda ids: [np.array(number) for number in ids],
    "mixed": lambda ids: [(int, np.int64, torch.tensor)[place % 3](number) for place, number in enumerate(ids)],
    "tuple": tuple,
    "iterator": iter,
    "column": lambda ids: pd.Series(ids, index=range(7, 7 + len(ids))[::-1]),
    "nullable": lambda ids: pd.Series(ids, dtype="Int64"),
    "categorical": lambda ids: pd.Series(ids, dtype="category"),
    "index": pd.Index,
    "tuples": lambda ids: [("chair", number) for number in ids],
    "array of text": lambda ids: np.array(as_text(ids)),
    "categorical text": lambda ids: pd.Categorical(as_text(ids)),
    "column of text": lambda ids: pd.Series(as_text(ids), dtype="string"),
}


def as_text(ids: list[int]) -> list[str]:
    return [f"chair {number}" for number in ids]


@pytest.mark.parametrize("way", NUMBERS)
@settings(max_examples=10, deadline=None)
@given(ids=st.lists(st.integers(0, 5), min_size=2, max_size=12))
def test_groups_mean_the_same_however_they_are_given(way, ids):
    give, n = NUMBERS[way], len(ids)
    labels = group_labels(give(ids), n)
    assert [labels.index(label) for label in labels] == [ids.index(number) for number in ids]
    assert {type(label) for label in labels} <= {int, float, str, tuple}

    values = np.arange(n) ** 2.0
    one, other = (bootstrap_interval(values, groups=groups, n_resamples=20) for groups in (give(ids), as_text(ids)))
    np.testing.assert_array_equal(one, other)

    target = (torch.arange(64) < torch.arange(8, 8 + n)[:, None]).view(n, 1, 8, 8)
    predicted = target.roll(3, -1)
    scores, expected = (score_masks(predicted, target, groups) for groups in (give(ids), as_text(ids)))
    assert scores.n_groups == expected.n_groups == len(set(ids))
    np.testing.assert_array_equal(scores.interval("iou", n_resamples=20), expected.interval("iou", n_resamples=20))

    images = torch.zeros(n, 3, 2, 2, dtype=torch.uint8)
    assert StoredSet(images, images[:, :1], torch.device("cpu"), "drawn", groups=give(ids)).groups == labels


def test_equal_numbers_of_other_types_are_one_group():
    labels = group_labels([1, 1.0, np.int8(1), torch.tensor(1.0), 2])
    assert [repr(label) for label in labels] == ["1", "1", "1", "1", "2"]


@pytest.mark.parametrize("missing", [None, math.nan, np.float32("nan"), pd.NA, pd.NaT, torch.tensor(math.nan)])
@pytest.mark.parametrize("kind", [list, lambda labels: np.array(labels, object), pd.Series])
def test_a_missing_group_is_named_by_its_image(kind, missing):
    groups = kind(["a", missing, "b"])
    masks = torch.ones(3, 1, 4, 4, dtype=torch.bool)
    for use in (
        lambda: group_labels(groups),
        lambda: score_masks(masks, masks, groups),
        lambda: bootstrap_interval(np.arange(3.0), groups=groups),
        lambda: StoredSet(masks.byte().expand(-1, 3, -1, -1), masks.byte(), torch.device("cpu"), "drawn", groups),
    ):
        with pytest.raises(
            ParameterError, match=r"^image 1 has the group [^\n]*: give every image a group, or groups=No"
        ):
            use()


@pytest.mark.parametrize("dtype", ["category", "string", "Int64", "float64"])
def test_a_gap_in_a_column_is_named_by_its_image(dtype):
    with pytest.raises(ParameterError, match=r"^image 1 has the group (nan|<NA>): give every image a group"):
        group_labels(pd.Series(["1", None, "2"]).astype(dtype))


def test_the_text_na_is_a_group_as_any_other():
    assert group_labels(["NA", "nan", "", "None"]) == ["NA", "nan", "", "None"]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (5, "found int: give a list"),
        ("abc", "found str"),
        (b"abc", "found bytes"),
        ({"a", "b"}, "found set"),
        ({"a": 1, "b": 2}, "found dict"),
        (torch.tensor(3), r"found Tensor of shape \[\]"),
        (torch.zeros(3, 1), r"found Tensor of shape \[3, 1\]"),
        (np.zeros((3, 2)), r"found ndarray of shape \[3, 2\]"),
        (pd.DataFrame({"group": ["a", "b"]}), r"found DataFrame of shape \[2, 1\]"),
        ([["a"], ["b"]], "one text or number, found unhashable type: .list"),
        ([("a", []), ("b", [])], "one text or number, found unhashable type: .list"),
        (["a", torch.tensor([1])], "one text or number, found unhashable type: .list"),
        ([np.array([1]), np.array([2])], "one text or number, found unhashable type: .list"),
        ([2, 1, "1"], "groups 1 and '1' differ but read alike: give all labels one type"),
    ],
)
def test_what_names_no_group_is_one_line(groups, words):
    with pytest.raises(ParameterError, match=f"^[^\n]*{words}[^\n]*$"):
        group_labels(groups)


def test_another_number_of_groups_than_images_is_refused():
    images = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    for use in (
        lambda: group_labels(["a"], 3),
        lambda: bootstrap_interval([1.0, 2.0, 3.0], groups=["a"]),
        lambda: StoredSet(images, images[:, :1], torch.device("cpu"), "drawn", groups=["a"]),
    ):
        with pytest.raises(ParameterError, match=r"^1 groups for 3 images: give one group per image, in order\.$"):
            use()
