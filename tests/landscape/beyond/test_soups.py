"""Soups and ensembles: the score of the mean weights, and of the mean probabilities."""

import numpy as np
import pytest

from chairlib.benchmark.metrics import score_masks
from weights import iou_of, state_of


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
