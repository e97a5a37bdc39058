"""Matched lines: from the first model to the second with its units permuted."""

import pytest

from chairlib.landscape.beyond.weight_matching import match, permute
from chairlib.landscape.space import interpolate
from weights import iou_of, state_of


def test_matched_lines_end_in_the_first_model_and_the_permuted_second(full, by_hand):
    ends = [state_of(full, f"S{number}") for number in (1, 2)]
    moved = permute(ends[1], match(*ends, "unet"))
    matched = full.table("matched").query("matching == 'weights' and permuted and alpha == 0.5")
    for way in ("average", "recalibrate"):
        expected = by_hand(interpolate(ends[0], moved, 0.5), way == "recalibrate").scores.iou
        assert iou_of(matched, batch_norm=way) == pytest.approx(expected, abs=1e-4)
