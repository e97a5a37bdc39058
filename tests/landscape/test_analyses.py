"""The paper's analyses: lines, distances and planes hold what is computed by hand from the models."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from chairlib.benchmark.evaluation import evaluate
from chairlib.compositing.loader import CompositeLoader
from chairlib.landscape import run as landscape
from chairlib.landscape.analyses import Lines
from chairlib.landscape.barriers import barrier, barrier_interval
from chairlib.landscape.cells import Study
from chairlib.landscape.settings import LandscapeSettings
from chairlib.landscape.space import interpolate
from chairlib.landscape.states import l2_distance
from chairlib.transfer import run as transfer
from chairlib.transfer.photos import open_photos
from chairlib.transfer.settings import TransferSettings
from weights import member_of, state_of


def test_ends_of_a_line_are_the_trained_models(full):
    """With averaged statistics, alpha 0 and 1 are the records' own scores."""
    curves = full.table("curves").query("batch_norm == 'average' and split == 'test'")
    for pair in "FSR":
        for alpha, number in ((1, 1), (0, 2)):
            own = curves[(curves["pair"] == pair) & (curves["alpha"] == alpha)].iloc[0]
            member = member_of(full, f"{pair}{number}")
            for metric in ("iou", "dice", "precision", "loss"):
                assert own[metric] == member.metrics["test"][metric]


def test_the_middle_of_a_line_is_the_mean_of_its_ends(full):
    settings = member_of(full, "F1").settings
    model = transfer.initial_model(settings)
    model.load_state_dict(interpolate(state_of(full, "F1"), state_of(full, "F2"), 0.5))
    photos = open_photos(settings, torch.device("cpu"))
    expected = evaluate(model, CompositeLoader(photos.scored, "test", batch_size=256))
    found = full.table("curves").query("pair == 'F' and batch_norm == 'average' and split == 'test' and alpha == 0.5")
    assert found["loss"].item() == pytest.approx(expected.loss)
    assert found["precision"].item() == pytest.approx(expected.scores.precision)


@pytest.mark.parametrize("pair", "FSR")
@pytest.mark.parametrize("way", ["average", "recalibrate"])
def test_a_mean_barrier_and_its_interval_are_of_the_scored_photos(full, by_hand, pair, way):
    (mean,) = (one for one in full.metrics["mean_barriers"] if (one["pair"], one["batch_norm"]) == (pair, way))
    ends = [state_of(full, f"{pair}{number}") for number in (1, 2)]
    between = [by_hand(interpolate(*ends, alpha), way == "recalibrate").scores for alpha in (0, 0.5, 1)]
    assert mean["barrier"] == pytest.approx(barrier([0, 0.5, 1], [scores.iou for scores in between]), abs=1e-2)
    photos = [scores.per_image["iou"].to_numpy() for scores in between]
    assert (mean["low"], mean["high"]) == pytest.approx(barrier_interval([0, 0.5, 1], [photos]), abs=1e-2)


def test_a_mean_barrier_is_over_all_pairs_of_a_set():
    """Lines with holes of known depths half-way. One of five photos has no object."""
    depths = {"F1": {"F2": 2.0, "F3": 4.0}, "F2": {"F3": 9.0}, "S1": {"S2": 40.0, "S3": 42.0}, "S2": {"S3": 50.0}}
    depths |= {"R1": {"R2": 10.0, "R3": 11.0}, "R2": {"R3": 30.0}}
    photos = np.array([10.0, 40.0, np.nan, 20.0, 30.0])

    def result(cell):
        _, first, second, _, alpha = cell.key
        hole = depths[first][second] * (alpha == "alpha 0.5")
        # Photos that are alike but for their level have the mean's barrier in every resample.
        return {"photos": (photos - hole).tolist()}

    study = Study(LandscapeSettings(n_seeds=3, n_alphas=3), ("average",), (), ())
    found = Lines(study).mean_barriers(SimpleNamespace(result=result))
    assert [(mean["pair"], mean["batch_norm"]) for mean in found] == [(pair, "average") for pair in "FSR"]
    for mean, expected in zip(found, (5, 44, 17), strict=True):
        assert (mean["barrier"], mean["low"], mean["high"]) == pytest.approx((expected,) * 3)


def test_distances_are_between_the_members(full):
    table = full.table("distances").query("block == 'total'").set_index("name")
    whole = table["l2"]
    assert table["kind"].tolist() == ["ft_ft", "ri_ri", "rs_rs", "ft_p", "ft_p", "ri_p", "ri_p"]
    assert list(whole.index) == ["F1 & F2", "S1 & S2", "R1 & R2", "F1 & P", "F2 & P", "S1 & P", "S2 & P"]
    for name, distance in whole.items():
        first, second = str(name).split(" & ")
        assert distance == pytest.approx(l2_distance(state_of(full, first), state_of(full, second)))
    # In the network's order, which figures show from input to output.
    blocks = full.table("distances").query("name == 'F1 & F2'")["block"].tolist()
    assert blocks[:3] == ["total", "stem", "down.0"]
    assert blocks[-1] == "classifier"


def test_a_cell_of_a_plane_is_the_score_of_the_state_at_its_middle(full, by_hand):
    """W = P + (x / |F1 - P|) (F1 - P) + y up, with the frame written out."""
    p, a, b = ({k: t.double() for k, t in state_of(full, label).items()} for label in ("P", "F1", "F2"))
    keys = [key for key in p if "running" not in key and "num_batches" not in key]
    flat_p, flat_a, flat_b = (torch.cat([state[key].flatten() for key in keys]) for state in (p, a, b))
    across = (flat_a - flat_p) / (flat_a - flat_p).norm()
    up = (flat_b - flat_p) - ((flat_b - flat_p) @ across) * across
    up /= up.norm()
    model, cells = transfer.initial_model(TransferSettings(width=4, resolution=32)), full.table("planes")
    for _, cell in cells[cells["pair"] == "F"].iterrows():
        weights, state = flat_p + cell["x"] * across + cell["y"] * up, model.state_dict()
        for key, part in zip(keys, weights.split([p[key].numel() for key in keys]), strict=True):
            state[key] = part.view_as(p[key]).float()
        expected = by_hand(state, recalibrated=True)
        assert cell["precision"] == pytest.approx(expected.scores.precision, abs=0.05)
        assert cell["loss"] == pytest.approx(expected.loss, rel=1e-4)
    assert cells["loss"].nunique() == len(cells)


def test_a_line_may_go_on_past_its_ends(tiny):
    run = landscape.open_run(**{**tiny, "n_alphas": 5, "beyond_ends": 0.5})
    curves = landscape.analyse(run, progress=False).table("curves")
    assert sorted(curves["alpha"].unique()) == [-0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]
    assert (curves["extrapolated"] == ~curves["alpha"].between(0, 1)).all()
