"""Criticality: a block set back to its start, all others as trained."""

import pytest
import torch

from chairlib.transfer import run as transfer
from weights import iou_of, member_of, state_of


@pytest.mark.parametrize(("pair", "block"), [("F", "up.3"), ("S", "classifier")])
def test_a_block_set_back_is_scored_with_all_others_as_trained(full, by_hand, pair, block):
    trained = state_of(full, f"{pair}2")
    settings = member_of(full, f"{pair}2").settings
    origin = state_of(full, "P") if pair == "F" else transfer.initial_model(settings).state_dict()
    changed = [key for key in trained if key.startswith(f"{block}.")]
    assert any(not torch.equal(trained[key], origin[key]) for key in changed)
    expected = by_hand({**trained, **{key: origin[key] for key in changed}}, recalibrated=True).scores.iou
    untouched = by_hand(trained, recalibrated=True).scores.iou
    assert 0 < expected != untouched
    table = full.table("criticality").query(f"pair == '{pair}' and name == 2")
    assert iou_of(table, block=block) == pytest.approx(expected, abs=1e-4)
    assert table["untouched"].to_numpy() == pytest.approx(untouched, abs=1e-4)
