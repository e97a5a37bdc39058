"""Barriers of models that share a shorter pretraining: those of lines between them."""

import pytest

from chairlib.landscape.space import interpolate
from weights import state_of


@pytest.mark.parametrize("way", ["average", "recalibrate"])
def test_an_early_barrier_is_that_of_its_own_line(full, by_hand, way):
    """Two models that share initial weights alone: alpha 0, 1/2 and 1."""
    ends = [state_of(full, f"F{number}@0") for number in (1, 2)]
    low, middle, high = (by_hand(interpolate(*ends, alpha), way == "recalibrate").scores.iou for alpha in (0, 0.5, 1))
    table = full.table("early").query(f"images == 0 and batch_norm == '{way}'")
    assert middle < (low + high) / 2
    assert table["barrier"].item() == pytest.approx(max(0.0, (low + high) / 2 - middle), abs=1e-4)
