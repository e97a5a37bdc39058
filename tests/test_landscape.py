"""Landscape runs: their members, their cells, and what a stopped or finer analysis computes again."""

import json

import numpy as np
import pytest
import torch

from chairlib import landscape, paths, runs, transfer
from chairlib.errors import ParameterError, RecordError
from chairlib.landscape_report import KINDS, open_report
from chairlib.loss_landscape import interpolate, l2_distance
from chairlib.tensors import load_tensors
from chairlib.training import evaluate

PRETRAIN = {"recipe": "fast", "images": 48, "val_images": 8, "test_images": 8, "evaluations": 1}
TINY = {"width": 2, "resolution": 32, "images": 32, "evaluations": 1, "pretrain": PRETRAIN, "n_alphas": 3}


@pytest.fixture(scope="module")
def asked(collection, photos):
    return {"data": str(collection.root), "photos": str(photos), **TINY}


@pytest.fixture(scope="module")
def full(asked):
    """An analysis of everything."""
    run = landscape.open_run(**asked, plane=2, n_early=2, beyond=True)
    return landscape.analyse(run, progress=False)


def state_of(record, label):
    return load_tensors(paths.runs / record.content["members"][label] / "weights.safetensors")[0]


def test_fine_tuned_members_share_a_pretraining_and_differ_in_order(asked):
    opened = landscape.members({**asked, "n_early": 3})
    tuned, scratch = ([opened[f"{pair}{n}"].parameters for n in (1, 2)] for pair in "FS")
    assert {settings["pretrained"] for settings in tuned} == {opened["P"].name}
    assert {settings["pretrained"] for settings in scratch} == {None}
    for pair in (tuned, scratch):
        assert [settings["seed"] for settings in pair] == [0, 1]
        assert [settings["init_seed"] for settings in pair] == [None, None]
    same = set(tuned[0]) - {"pretraining", "pretrained", "seed"}
    assert all(tuned[0][name] == scratch[1][name] for name in same)
    # A shared pretraining of 0 images: the same initial weights, another order. The first of them is S1 itself.
    assert opened["F1@0"].name == opened["S1"].name
    assert (opened["F2@0"].parameters["seed"], opened["F2@0"].parameters["init_seed"]) == (1, 0)
    assert opened["P@12"].parameters["images"] == 12  # a quarter of P's 48
    assert opened["F2@12"].parameters["pretrained"] == opened["P@12"].name


def test_a_model_from_scratch_shares_nothing_with_a_pretrained_one_of_its_seed():
    scratch = transfer.initial_model({**transfer.DEFAULTS, "width": 2, "resolution": 32}).state_dict()
    torch.manual_seed(0)  # as the benchmark starts
    start = transfer.build_model("unet", 2).state_dict()
    drawn = [key for key in start if key.endswith("weight") and start[key].ndim == 4]
    assert drawn
    assert not any(torch.equal(scratch[key], start[key]) for key in drawn)


def test_members_of_one_start_have_one_start():
    settings = {**transfer.DEFAULTS, "width": 2, "resolution": 32}
    first, second, other = (
        transfer.initial_model({**settings, "seed": seed, "init_seed": init}).state_dict()
        for seed, init in ((0, None), (1, 0), (1, None))
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"alpha": 3}, "a landscape run has no parameter alpha; it has data, pretrain"),
        ({"n_seeds": 1}, "n_seeds 1 must be a whole number of at least 2"),
        ({"n_alphas": 1}, "n_alphas 1 must be a whole number of at least 2"),
        ({"beyond_ends": 3}, "beyond_ends 3 must be a number from 0 to 2"),
        ({"plane": 1}, "plane 1 must be a whole number of at least 2"),
        ({"beyond": "yes"}, "beyond 'yes' must be True or False"),
        ({"pretrain": 3}, "pretrain 3 must be parameters of a benchmark run"),
        ({"pretrain": {"width": 4}}, "pretrain takes width from the run itself"),
        ({"pretrain": {"imges": 4}}, "a benchmark run has no parameter imges"),
        ({"category": "boat"}, "boat"),
    ],
)
def test_bad_parameters_are_told_before_anything_is_trained(asked, own_runs, changed, message):
    with pytest.raises(ParameterError, match=message):
        landscape.open_run(**{**asked, **changed})
    assert not own_runs.exists()


def test_ends_of_a_line_are_the_trained_models(full):
    """With averaged statistics, alpha 0 and 1 are the records' own scores."""
    curves = full.table("curves").query("batch_norm == 'average' and split == 'test'")
    for pair in "FS":
        for alpha, number in ((1, 1), (0, 2)):
            own = curves[(curves["pair"] == pair) & (curves["alpha"] == alpha)].iloc[0]
            member = runs.read_record(paths.runs / full.content["members"][f"{pair}{number}"])
            for metric in ("iou", "dice", "precision", "loss"):
                assert own[metric] == member.metrics["test"][metric]


def test_the_middle_of_a_line_is_the_mean_of_its_ends(full, photos):
    settings = runs.read_record(paths.runs / full.content["members"]["F1"]).parameters
    model = transfer.initial_model(settings)
    model.load_state_dict(interpolate(state_of(full, "F1"), state_of(full, "F2"), 0.5))
    sources = transfer.open_sources(settings, torch.device("cpu"))
    expected = evaluate(model, landscape.CompositeLoader(sources.scored, "test", batch_size=256))
    found = full.table("curves").query("pair == 'F' and batch_norm == 'average' and split == 'test' and alpha == 0.5")
    assert found["loss"].item() == pytest.approx(expected.loss)
    assert found["precision"].item() == pytest.approx(expected.scores.precision)


def test_distances_are_between_the_members(full):
    whole = full.table("distances").query("block == 'total'").set_index("name")["l2"]
    assert list(whole.index) == ["F1 & F2", "S1 & S2", "F1 & P", "F2 & P", "S1 & P", "S2 & P"]
    for name, distance in whole.items():
        first, second = str(name).split(" & ")
        assert distance == pytest.approx(l2_distance(state_of(full, first), state_of(full, second)))
    # In the network's order, which figures show from input to output.
    blocks = full.table("distances").query("name == 'F1 & F2'")["block"].tolist()
    assert blocks[:3] == ["total", "stem", "down.0"]
    assert blocks[-1] == "classifier"


def test_everything_that_was_asked_for_is_there(full):
    assert full.content["batch_norm"] == ["average", "recalibrate"]
    assert {"distances", "curves", "planes", "early", "soups", "matched", "similarities", "criticality"} == set(
        full.content["tables"]
    )
    assert full.table("early")["images"].unique().tolist() == [0, 48]
    assert full.table("soups").query("pair == 'F'")["kind"].tolist() == [
        "member",
        "member",
        "mean",
        "soup",
        "soup",
        "ensemble",
    ]
    by_weights, by_activations = full.metrics["matched_l2"]
    assert by_weights["after"] <= by_weights["before"] == by_activations["before"]
    matched = full.table("matched")
    ends = matched[matched["alpha"].isin((0, 1))].groupby(["matching", "batch_norm", "alpha"])["iou"]
    assert (ends.max() - ends.min()).max() < 1e-6  # permuting leaves what a network computes
    assert full.table("criticality")["block"].nunique() == 10
    plane = full.table("planes")
    assert set(plane["pair"]) == {"F", "S"}
    assert full.metrics["points"]["F"]["P"] == [0, 0]


def test_examples_are_the_masks_of_each_alpha(full, asked):
    shown = landscape.examples(full)
    assert shown["images"].shape[1:] == (32, 32, 3)
    assert set(shown["predicted"]) == {(pair, way) for pair in "FS" for way in ("average", "recalibrate")}
    model = transfer.initial_model({**transfer.DEFAULTS, "width": 2, "resolution": 32}).eval()
    model.load_state_dict(state_of(full, "F2"))
    with torch.no_grad():
        logits = model(torch.from_numpy(shown["images"]).permute(0, 3, 1, 2) / 255)
    assert np.array_equal(shown["predicted"]["F", "average"][0], (logits > 0)[:, 0].numpy())
    assert shown["targets"].any(axis=(1, 2)).all()


def test_a_stopped_analysis_goes_on_where_it_was(full, asked, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    scored = []
    score = landscape.Evaluator.score

    def stop_at_the_fifth(self, *arguments, **options):
        if len(scored) == 4:
            raise KeyboardInterrupt
        scored.append(1)
        return score(self, *arguments, **options)

    monkeypatch.setattr(landscape.Evaluator, "score", stop_at_the_fifth)
    run = landscape.open_run(**asked)
    with pytest.raises(KeyboardInterrupt):
        landscape.analyse(run, progress=False)
    assert run.record is None
    cells = sorted((tmp_path / "cache" / "landscape").rglob("*.json"))
    assert len(cells) == 4
    before = {file: file.stat().st_mtime_ns for file in cells}

    def count(self, *arguments, **options):
        scored.append(1)
        return score(self, *arguments, **options)

    monkeypatch.setattr(landscape.Evaluator, "score", count)
    landscape.analyse(run, progress=False)
    assert len(scored) == 2 * 2 * 3  # pairs, ways and alphas, each once
    assert {file: file.stat().st_mtime_ns for file in cells} == before

    # A finer grid computes only what is new; a damaged cell is computed again.
    scored.clear()
    cells[0].write_text("{")
    finer = landscape.analyse(landscape.open_run(**{**asked, "n_alphas": 5}), progress=False)
    assert len(scored) == 2 * 2 * 2 + 1
    json.loads(cells[0].read_text())
    assert finer.table("curves")["alpha"].nunique() == 5


def test_a_record_of_other_weights_is_no_longer_read(full, asked, tmp_path, monkeypatch):
    run = landscape.open_run(**asked, plane=2, n_early=2, beyond=True)
    assert run.record is not None
    name = full.content["members"]["F1"]
    monkeypatch.setattr(runs, "weights_hash", lambda other: "new" if other == name else "same")
    assert run.record is None
    with pytest.raises(RecordError, match="it was made from other weights than those that"):
        runs.load_records("landscape", None, [full.name])


def test_the_report_shows_the_papers_rows_and_ours(full):
    report = open_report(full, [full.name])
    table = report.table5()
    assert table["task"].tolist()[:2] == [
        "the paper, classification (Neyshabur et al. 2020)",
        "the paper, segmentation (Chair Segments)",
    ]
    assert table["Ft & Ft / Ri & Ri"].tolist()[1] == pytest.approx(0.587, abs=1e-3)
    assert table["Ft & P / Ri & P"].tolist()[1] == pytest.approx(0.569, abs=1e-3)
    mean, low, high = table["Ft & P"].iloc[2]
    whole = report.distances().query("kind == 'ft_p'")["l2"]
    assert (mean, low, high) == pytest.approx((whole.mean(), whole.min(), whole.max()))
    assert set(report.distances()["kind"]) == set(KINDS)
    assert len(report.barriers()) == 4
    shift = report.recalibration_shift()
    assert shift["model"].tolist() == ["F1", "F2", "S1", "S2"]
    assert report.scrubber()["alphas"] == [0, 0.5, 1]
    assert report.plane("F")["values"].shape == (len(report.plane("F")["y"]), len(report.plane("F")["x"]))
    values = report.glued("toy", "A toy.")
    assert values["landscape_sentence"].startswith("A toy. U-Net, width 2 on car, ")
    assert values["paper_ratio_ft_ft"] == "0.587"


def test_what_was_not_asked_for_is_blank(asked, full):
    record = landscape.analyse(landscape.open_run(**asked), progress=False)
    report = open_report(record, [])
    assert report.table("early") is None
    assert report.table("soups") is None
    assert report.plane("F") is None


def without_batchnorm(width=2):
    """A model of one's own that has nothing to recalibrate."""
    layers = torch.nn.Conv2d(3, width, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(width, 1, 1)
    return torch.nn.Sequential(*layers)


def test_a_model_without_batchnorm_has_one_way(asked):
    changed = {"model": "tests.test_landscape:without_batchnorm", "n_alphas": 2, "plane": 2, "beyond": True}
    record = landscape.analyse(landscape.open_run(**{**asked, **changed}), progress=False)
    assert record.content["batch_norm"] == ["average"]
    report = open_report(record, [])
    assert set(record.table("curves")["batch_norm"]) == {"average"}
    assert report.recalibration_shift()["as trained"].notna().all()
    assert report.table("matched") is None  # its permutations are not known
    assert report.glued()["barrier_scratch_recalibrate"] == "(without BatchNorm: nothing to recalibrate)"


def test_a_line_may_go_on_past_its_ends(asked):
    run = landscape.open_run(**{**asked, "n_alphas": 5, "beyond_ends": 0.5})
    curves = landscape.analyse(run, progress=False).table("curves")
    assert sorted(curves["alpha"].unique()) == [-0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]
    assert (curves["extrapolated"] == ~curves["alpha"].between(0, 1)).all()


def test_models_of_different_lengths_of_training_are_not_compared(full):
    records = {label: runs.read_record(paths.runs / name) for label, name in full.content["members"].items()}
    landscape._check_fair(records)
    records["S2"].content["best_images"] -= 16
    with pytest.raises(ParameterError, match=r"of different numbers of images \(F1 32, .*S2 16"):
        landscape._check_fair(records)
