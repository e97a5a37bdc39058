"""What goes beyond the paper, by hand: soups and ensembles, shorter pretrainings, matched lines, blocks set back."""

import numpy as np
import pytest
import torch

from chairlib.benchmark.metrics import score_masks
from chairlib.landscape.beyond.weight_matching import match, permute
from chairlib.landscape.space import interpolate
from chairlib.transfer import run as transfer
from weights import iou_of, member_of, state_of


@pytest.mark.parametrize("recalibrated", [False, True])
@pytest.mark.parametrize("pair", "FS")
def test_a_soup_is_the_score_of_the_mean_state(full, by_hand, pair, recalibrated):
    table, way = full.table("soups"), "recalibrated" if recalibrated else "not recalibrated"
    members = [state_of(full, f"{pair}{number}") for number in (1, 2)]
    soup = {
        key: (sum(state[key].double() for state in members) / 2).to(tensor.dtype) for key, tensor in members[0].items()
    }
    expected = by_hand(soup, recalibrated).scores.iou
    assert 0 < expected < 100 or (pair == "S" and not recalibrated)  # a soup of unlike models finds nothing
    assert iou_of(table, pair=pair, label=f"soup, {way}") == pytest.approx(expected, abs=1e-4)
    means = [by_hand(state, recalibrated).scores.iou for state in members]
    assert iou_of(table, pair=pair, label=f"members' mean, {way}") == pytest.approx(np.mean(means), abs=1e-4)
    if not recalibrated:
        assert [iou_of(table, pair=pair, label=f"{pair}{n}") for n in (1, 2)] == pytest.approx(means)


@pytest.mark.parametrize("recalibrated", [False, True])
def test_an_ensemble_is_the_score_of_the_mean_probability(full, by_hand, recalibrated):
    found = [by_hand.probabilities(state_of(full, f"S{number}"), recalibrated) for number in (1, 2)]
    mean, masks = (found[0][0] + found[1][0]) / 2, found[0][1]
    expected = score_masks((mean > 0.5), masks).iou
    way = "recalibrated" if recalibrated else "not recalibrated"
    assert 0 < expected < 100
    assert iou_of(full.table("soups"), pair="S", label=f"ensemble, {way}") == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("way", ["average", "recalibrate"])
def test_an_early_barrier_is_that_of_its_own_line(full, by_hand, way):
    """Two models that share initial weights alone: alpha 0, 1/2 and 1."""
    ends = [state_of(full, f"F{number}@0") for number in (1, 2)]
    low, middle, high = (by_hand(interpolate(*ends, alpha), way == "recalibrate").scores.iou for alpha in (0, 0.5, 1))
    table = full.table("early").query(f"images == 0 and batch_norm == '{way}'")
    assert middle < (low + high) / 2
    assert table["barrier"].item() == pytest.approx(max(0.0, (low + high) / 2 - middle), abs=1e-4)


def test_matched_lines_end_in_the_first_model_and_the_permuted_second(full, by_hand):
    ends = [state_of(full, f"S{number}") for number in (1, 2)]
    moved = permute(ends[1], match(*ends, "unet"))
    matched = full.table("matched").query("matching == 'weights' and permuted and alpha == 0.5")
    for way in ("average", "recalibrate"):
        expected = by_hand(interpolate(ends[0], moved, 0.5), way == "recalibrate").scores.iou
        assert iou_of(matched, batch_norm=way) == pytest.approx(expected, abs=1e-4)


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
