"""Words about lines between models: right for good models, for toy ones, and for ties."""

import math

import pytest

from chairboard.verdicts import NOISE, NOTHING, SKILL, Drop, by_treatment, what_makes_the_difference
from chairlib.core import paths


def drop(mean, low=None, high=None, pairs=None, worst=80.0):
    """A drop; its interval is the mean alone, and its pairs too, where nothing else is said."""
    return Drop(mean, mean if low is None else low, mean if high is None else high, pairs or (mean,), worst)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (drop(0.0, 0.0, 0.2), "nothing is lost"),
        (drop(0.2, 0.0, 0.4, pairs=(0.0, 0.6)), "less than 2 points of IoU are lost"),  # one pair is above
        (drop(1.0, 0.5, 2.0), "less than 2 points of IoU are lost"),
        (drop(1.5, 0.5, 2.1), "it is not clear whether more than 2 points of IoU are lost"),
        (drop(5.0, 4.0, 6.0, pairs=(1.0, 9.0)), "it is not clear whether more than 2 points of IoU are lost"),
        (drop(5.0, 4.0, 6.0), "more than 2 points of IoU are lost"),
        (drop(0.0, worst=20.5), "nothing can be said, as the models themselves score too low"),
        (drop(0.0, worst=0.0), "nothing can be said, as the models themselves score too low"),
        (drop(0.0, math.nan, math.nan), "nothing can be said, as there are too few images"),
    ],
)
def test_a_verdict_is_what_interval_and_pairs_agree_on(found, verdict):
    assert found.verdict == verdict


def test_a_drop_is_told_with_its_interval_and_with_pairs_beyond_it():
    assert str(drop(4.0, 3.0, 6.0)) == "4.0 points (3.0–6.0)"
    assert str(drop(4.0, 3.0, 6.0, pairs=(2.96, 6.04))) == "4.0 points (3.0–6.0)"  # beyond it by rounding alone
    assert str(drop(55.0, 52.8, 57.3, pairs=(35.0, 77.6))) == "55.0 points (52.8–57.3; single pairs 35.0 to 77.6)"
    assert str(drop(4.0, math.nan, math.nan)) == "4.0 points (no interval)"


def test_less_is_lost_only_where_intervals_and_pairs_are_apart():
    assert drop(1, 0, 2).is_less(drop(4, 3, 5))
    assert not drop(4, 3, 5).is_less(drop(1, 0, 2))
    assert not drop(1, 0, 3).is_less(drop(4, 3, 5))
    assert not drop(1, 0, 2, pairs=(0, 4.5)).is_less(drop(4, 3, 5, pairs=(4,)))
    assert not drop(1, 0, 2, worst=10).is_less(drop(4, 3, 5))
    assert not drop(1, math.nan, math.nan).is_less(drop(4, 3, 5))


LITTLE, SOME, MUCH = drop(0.0, 0.0, 0.2), drop(10, 8, 12), drop(70, 65, 75)


@pytest.mark.parametrize(
    ("tuned", "scratch", "one_start", "begins"),
    [
        (LITTLE, MUCH, SOME, "less than S and more than F"),
        (LITTLE, MUCH, LITTLE, "less than S and not clearly more than F"),
        (SOME, MUCH, LITTLE, "less than S and not clearly more than F"),
        (LITTLE, MUCH, MUCH, "more than F and not clearly less than S"),
        (LITTLE, SOME, drop(5, 0, 9), "not clearly different from F or S"),
        (MUCH, MUCH, LITTLE, "F does not clearly lose less than S"),
        (MUCH, LITTLE, LITTLE, "F does not clearly lose less than S"),
        (LITTLE, MUCH, drop(10, worst=5), "too little is known"),
        (drop(0, worst=5), MUCH, SOME, "too little is known"),
    ],
)
def test_the_control_says_what_makes_the_difference(tuned, scratch, one_start, begins):
    assert what_makes_the_difference(tuned, scratch, one_start).startswith(begins)


def test_what_holds_under_both_treatments_is_said_once():
    assert by_treatment({"average": "x"}) == "x"  # a model without BatchNorm
    assert by_treatment({"average": "x", "recalibrate": "x"}) == "x"
    both = by_treatment({"average": "x", "recalibrate": "y"})
    assert both == "with BatchNorm averaged, x; with it recalibrated, y"


def test_the_book_defines_the_limits_of_the_verdicts():
    text = " ".join((paths.book / "definitions.md").read_text(encoding="utf-8").split())
    assert f"stay below {NOTHING:g} points of IoU. Up to {NOISE:g} points" in text
    assert f"score less than {SKILL:g} %" in text
