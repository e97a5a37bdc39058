"""Single values from a person: what is right passes, and what is wrong is named with its bounds."""

import numpy as np
import pytest

from chairlib.core.checks import check_choice, check_count, check_package, check_positive, is_whole
from chairlib.core.errors import ChairlibError, ParameterError


@pytest.mark.parametrize("value", [1, 7, np.int64(7), np.uint8(7)])
def test_whole_numbers_pass(value):
    assert is_whole(value)
    check_count("images", value, most=7)


@pytest.mark.parametrize("value", [0, 8, True, np.bool_(True), 2.0, np.float64(2), "2", None, float("nan")])
def test_other_counts_are_named(value):
    with pytest.raises(ParameterError) as caught:
        check_count("images", value, most=7)
    assert str(caught.value) == f"images {value!r} must be a whole number from 1 to 7."


def test_none_passes_where_it_may():
    check_count("images", None, none=True)
    check_positive("epochs", None, none=True)
    with pytest.raises(ParameterError, match=r"^images 0 must be a whole number of at least 1, or None\.$"):
        check_count("images", 0, none=True)


def test_numbers_above_zero():
    check_positive("epochs", 0.5)
    for value in (0, -1.0, float("inf"), float("nan"), "1", True):
        with pytest.raises(ParameterError, match="must be a finite number above 0"):
            check_positive("epochs", value)


@pytest.mark.parametrize("value", ["test", ["train"], None, 0])
def test_choices_are_named(value):
    check_choice("split", "train", ("train", "val"))
    with pytest.raises(ParameterError) as caught:
        check_choice("split", value, iter(("train", "val")))
    assert str(caught.value) == f"split {value!r} is unknown; use one of train, val."


def test_a_package_that_is_not_installed_is_named_with_how_to_get_it():
    check_package("chairlib")
    with pytest.raises(
        ChairlibError, match=r"this page needs the package chairfoo: pip install \. \./extras/\* in a clone"
    ):
        check_package("chairfoo")
