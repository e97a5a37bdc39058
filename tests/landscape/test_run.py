"""Landscape runs: their members, their cells, and what a stopped or finer analysis computes again."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import FrozenBatchNorm2d

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.metrics import score_masks
from chairlib.benchmark.models import UNet
from chairlib.benchmark.training import evaluate, predict
from chairlib.build import plan as build
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import paths, runs
from chairlib.core.errors import ParameterError, RecordError
from chairlib.core.tensors import load_tensors
from chairlib.landscape import run as landscape
from chairlib.landscape.beyond.similarity import layer_similarity
from chairlib.landscape.beyond.weight_matching import match, permute
from chairlib.landscape.report import KINDS, open_report
from chairlib.landscape.space import interpolate, l2_distance, recalibrate
from chairlib.transfer import run as transfer
from chairlib.transfer.object_discovery import ObjectDiscovery

PRETRAIN = {"recipe": "fast", "images": 48, "val_images": 8, "test_images": 8, "evaluations": 1}
TINY = {"width": 2, "resolution": 32, "images": 32, "evaluations": 1, "pretrain": PRETRAIN, "n_alphas": 3}


@pytest.fixture(scope="module")
def asked(collection, photos):
    return {"data": str(collection.root), "photos": str(photos), **TINY}


@pytest.fixture(scope="module")
def everything(asked):
    """An analysis of all there is, of models that have learned enough for their scores to differ."""
    return {**asked, "width": 4, "images": 960, "plane": 2, "n_early": 2, "beyond": True}


@pytest.fixture(scope="module")
def full(everything):
    return landscape.analyse(landscape.open_run(**everything), progress=False)


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
        ({"recipe": "slow"}, "recipe 'slow' is unknown"),
    ],
)
def test_bad_parameters_are_told_before_anything_is_trained(asked, own_runs, changed, message):
    with pytest.raises(ParameterError, match=message):
        landscape.open_run(**{**asked, **changed})
    assert not own_runs.exists()


@pytest.mark.parametrize("change", [{"select": "iou"}, {"select": "loss"}, {"patience": 3}])
def test_a_recipe_that_ends_models_at_different_lengths_is_refused_before_anything_is_trained(
    asked, own_runs, monkeypatch, change
):
    chosen = replace(transfer.get_recipe("fast", "unet"), name="choosy", **change)
    monkeypatch.setitem(transfer.RECIPES, "choosy", {"*": chosen})
    with pytest.raises(
        ParameterError, match=r"recipe 'choosy' stops early or keeps .*; use one that does neither: .*fast"
    ):
        landscape.open_run(**{**asked, "recipe": "choosy"})
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
    photos = transfer.open_image_sets(settings, torch.device("cpu"))
    expected = evaluate(model, CompositeLoader(photos.scored, "test", batch_size=256))
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
        *("member", "member"),
        *("mean", "soup", "ensemble"),
        *("mean", "soup", "ensemble"),
    ]
    by_weights, by_activations = full.metrics["matched_l2"]
    between = l2_distance(state_of(full, "S1"), state_of(full, "S2"))
    assert by_weights["before"] == by_activations["before"] == pytest.approx(between)
    assert by_weights["after"] < by_weights["before"]
    matched = full.table("matched")
    ends = matched[matched["alpha"].isin((0, 1))].groupby(["matching", "batch_norm", "alpha"])["iou"]
    assert (ends.max() - ends.min()).max() < 1e-6  # permuting leaves what a network computes
    assert full.table("criticality")["block"].nunique() == 10
    plane = full.table("planes")
    assert set(plane["pair"]) == {"F", "S"}
    assert full.metrics["points"]["F"]["P"] == [0, 0]


# -- what the tables hold, by hand --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def by_hand(full):
    """Score a state, recalibrated or not, without the analysis: a model, its weights, the images in order."""
    settings = runs.read_record(paths.runs / full.content["members"]["F1"]).parameters
    photos = transfer.open_image_sets(settings, torch.device("cpu"))
    train = CompositeLoader(photos.train, "train", batch_size=32, shuffle=False)
    test = CompositeLoader(photos.scored, "test", batch_size=256)
    model = transfer.initial_model(settings)

    def prepare(state, recalibrated):
        model.load_state_dict(state)
        if recalibrated:
            model.load_state_dict(recalibrate(model, train))
        return model

    def score(state, recalibrated=False):
        return evaluate(prepare(state, recalibrated), test)

    def probabilities(state, recalibrated):
        images, masks = (torch.cat(parts) for parts in zip(*test.in_order(), strict=True))
        return predict(prepare(state, recalibrated), images).double(), masks

    score.probabilities = probabilities
    return score


def value(table, **asked):
    """The one IoU of a table in the row that is asked for."""
    for name, wanted in asked.items():
        table = table[table[name] == wanted]
    assert len(table) == 1
    return table["iou"].item()


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
    assert value(table, pair=pair, label=f"soup, {way}") == pytest.approx(expected, abs=1e-4)
    means = [by_hand(state, recalibrated).scores.iou for state in members]
    assert value(table, pair=pair, label=f"members' mean, {way}") == pytest.approx(np.mean(means), abs=1e-4)
    if not recalibrated:
        assert [value(table, pair=pair, label=f"{pair}{n}") for n in (1, 2)] == pytest.approx(means)


@pytest.mark.parametrize("recalibrated", [False, True])
def test_an_ensemble_is_the_score_of_the_mean_probability(full, by_hand, recalibrated):
    found = [by_hand.probabilities(state_of(full, f"S{number}"), recalibrated) for number in (1, 2)]
    mean, masks = (found[0][0] + found[1][0]) / 2, found[0][1]
    expected = score_masks((mean > 0.5), masks).iou
    way = "recalibrated" if recalibrated else "not recalibrated"
    assert 0 < expected < 100
    assert value(full.table("soups"), pair="S", label=f"ensemble, {way}") == pytest.approx(expected, abs=1e-4)


def test_a_cell_of_a_plane_is_the_score_of_the_state_at_its_middle(full, by_hand):
    """W = P + (x / |F1 - P|) (F1 - P) + y up, with the frame written out."""
    p, a, b = ({k: t.double() for k, t in state_of(full, label).items()} for label in ("P", "F1", "F2"))
    keys = [key for key in p if "running" not in key and "num_batches" not in key]
    flat_p, flat_a, flat_b = (torch.cat([state[key].flatten() for key in keys]) for state in (p, a, b))
    across = (flat_a - flat_p) / (flat_a - flat_p).norm()
    up = (flat_b - flat_p) - ((flat_b - flat_p) @ across) * across
    up /= up.norm()
    model, cells = transfer.initial_model({**transfer.DEFAULTS, "width": 4, "resolution": 32}), full.table("planes")
    for _, cell in cells[cells["pair"] == "F"].iterrows():
        weights, state = flat_p + cell["x"] * across + cell["y"] * up, model.state_dict()
        for key, part in zip(keys, weights.split([p[key].numel() for key in keys]), strict=True):
            state[key] = part.view_as(p[key]).float()
        expected = by_hand(state, recalibrated=True)
        assert cell["precision"] == pytest.approx(expected.scores.precision, abs=0.05)
        assert cell["loss"] == pytest.approx(expected.loss, rel=1e-4)
    assert cells["loss"].nunique() == len(cells)


@pytest.mark.parametrize(("pair", "block"), [("F", "up.3"), ("S", "classifier")])
def test_a_block_set_back_is_scored_with_all_others_as_trained(full, by_hand, pair, block):
    trained = state_of(full, f"{pair}2")
    settings = runs.read_record(paths.runs / full.content["members"][f"{pair}2"]).parameters
    origin = state_of(full, "P") if pair == "F" else transfer.initial_model(settings).state_dict()
    changed = [key for key in trained if key.startswith(f"{block}.")]
    assert any(not torch.equal(trained[key], origin[key]) for key in changed)
    expected = by_hand({**trained, **{key: origin[key] for key in changed}}, recalibrated=True).scores.iou
    untouched = by_hand(trained, recalibrated=True).scores.iou
    assert 0 < expected != untouched
    table = full.table("criticality").query(f"pair == '{pair}' and name == 2")
    assert value(table, block=block) == pytest.approx(expected, abs=1e-4)
    assert table["untouched"].to_numpy() == pytest.approx(untouched, abs=1e-4)


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
        assert value(matched, batch_norm=way) == pytest.approx(expected, abs=1e-4)


def test_similarities_are_those_of_the_scored_photos(full, by_hand):
    settings = runs.read_record(paths.runs / full.content["members"]["F1"]).parameters
    scored = transfer.open_image_sets(settings, torch.device("cpu")).scored
    expected = layer_similarity(
        transfer.initial_model(settings), state_of(full, "F1"), state_of(full, "F2"), CompositeLoader(scored, "test")
    )
    found = full.table("similarities").query("kind == 'ft_ft'")
    assert found["layer"].tolist() == expected["layer"].tolist()
    assert found["cka"].to_numpy() == pytest.approx(expected["cka"].to_numpy(), nan_ok=True)


# -- what is kept and what it costs -------------------------------------------------------------------------------------


def test_examples_are_the_masks_of_each_alpha(full):
    shown = landscape.examples(full)
    assert shown["images"].shape[1:] == (32, 32, 3)
    assert set(shown["predicted"]) == {(pair, way) for pair in "FS" for way in ("average", "recalibrate")}
    model = transfer.initial_model({**transfer.DEFAULTS, "width": 4, "resolution": 32}).eval()
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


@pytest.mark.parametrize(("coarse", "fine"), [(5, 9), (7, 13)])
def test_a_finer_plane_scores_only_the_cells_between(asked, monkeypatch, tmp_path, coarse, fine):
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    first = landscape.analyse(landscape.open_run(**asked, plane=coarse), progress=False).table("planes")
    scored, score = [], landscape.Evaluator.score

    def count(self, *arguments, **options):
        scored.append(1)
        return score(self, *arguments, **options)

    monkeypatch.setattr(landscape.Evaluator, "score", count)
    second = landscape.analyse(landscape.open_run(**asked, plane=fine), progress=False).table("planes")
    assert set(first["pair"]) == {"F", "S"}
    kept = first.merge(second, on=["pair", "x", "y"], suffixes=("", "_again"))
    assert len(kept) == len(first)  # all cells of both planes
    assert (kept["loss"] == kept["loss_again"]).all()
    assert len(scored) == len(second) - len(first)


@pytest.mark.parametrize("changes", [{}, {"n_early": 2}, {"beyond": True}, {"beyond": True, "n_seeds": 3}])
def test_the_images_of_an_analysis_are_counted(asked, full, monkeypatch, tmp_path, changes):
    """What its cells send through the network, the examples' masks aside; and how many cells the progress bar is told."""
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    run = landscape.open_run(**{**asked, **changes, "n_alphas": 2})
    for label, member in landscape.members(run.parameters).items():
        landscape._train(label, member, False)
    seen, cells = [], []
    forward, get = UNet.forward, landscape._Cells.get
    monkeypatch.setattr(UNet, "forward", lambda self, images: (seen.append(len(images)), forward(self, images))[1])

    def counted(self, name, compute):
        cells.append((name, self.bar.total))
        return get(self, name, compute)

    monkeypatch.setattr(landscape._Cells, "get", counted)
    record = landscape.analyse(run, progress=False)
    shown = len({name for name, _ in cells if name.startswith("line/")}) * len(landscape.examples(record)["images"])
    assert landscape.count_images(run) == (0, sum(seen) - shown)
    assert {total for _, total in cells} == {len(cells)}


def test_a_planes_images_are_counted_as_if_it_were_square(asked):
    plain, plane = (landscape.count_images(landscape.open_run(**asked, plane=n))[1] for n in (0, 6))
    assert plane - plain == 2 * 6 * 6 * (16 + 4)  # each cell recalibrates on 16 photos and scores 4


def test_an_estimate_of_a_build_holds_the_analysis(asked, monkeypatch):
    run = landscape.open_run(**asked, plane=6, n_early=2)
    plan = SimpleNamespace(runs=[], extra_runs=[], transfer_runs=[], extra_transfer_runs=[], landscape_runs=[run])
    monkeypatch.setattr(benchmark, "measure_speed", lambda settings, recipe: (100.0, 0.5))
    assert build.estimate(plan) == 0.5 * landscape.count_images(run)[1] > 0


def test_a_record_of_other_weights_is_no_longer_read(full, everything, monkeypatch):
    run = landscape.open_run(**everything)
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
    assert values["landscape_sentence"].startswith("A toy. U-Net, width 4 on car, ")
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


class Repeated(torch.nn.Module):
    """A convolution that runs twice a pass, between two that run once where there are such."""

    def __init__(self, ends):
        super().__init__()
        self.first, self.last = (torch.nn.Conv2d(3, 3, 1), torch.nn.Conv2d(3, 1, 1)) if ends else (None, None)
        self.twice = torch.nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, images):
        if self.first is None:
            return self.twice(torch.relu(self.twice(images)))[:, :1]
        return self.last(self.twice(torch.relu(self.twice(self.first(images)))))


def repeated(width=2):
    return Repeated(ends=True)


def only_repeated(width=2):
    return Repeated(ends=False)


@pytest.mark.parametrize(("model", "layers"), [("repeated", ["first", "last"]), ("only_repeated", None)])
def test_layers_that_run_twice_a_pass_are_not_compared_and_all_else_is_kept(asked, model, layers):
    changed = {"model": f"tests.test_landscape:{model}", "n_alphas": 2, "beyond": True}
    report = open_report(landscape.analyse(landscape.open_run(**{**asked, **changed}), progress=False), [])
    assert report.table("criticality") is not None
    similar = report.table("similarities")
    assert layers == (None if similar is None else similar["layer"].unique().tolist())
    assert "runs exactly once a pass" in report.missing("similarities")
    assert "not those of this model" in report.missing("matched")


def statistics_of_others(width=2):
    """Layers that hold running statistics but are no BatchNorm that could be recalibrated."""
    norms = FrozenBatchNorm2d(width), torch.nn.InstanceNorm2d(width, affine=True, track_running_stats=True)
    return torch.nn.Sequential(torch.nn.Conv2d(3, width, 3, padding=1), *norms, torch.nn.Conv2d(width, 1, 1))


def test_only_layers_that_can_be_recalibrated_are(asked):
    changed = {"model": "tests.test_landscape:statistics_of_others", "n_alphas": 2, "plane": 2}
    run = landscape.open_run(**{**asked, **changed})
    assert landscape.analyse(run, progress=False).content["batch_norm"] == ["average"]


def test_a_line_may_go_on_past_its_ends(asked):
    run = landscape.open_run(**{**asked, "n_alphas": 5, "beyond_ends": 0.5})
    curves = landscape.analyse(run, progress=False).table("curves")
    assert sorted(curves["alpha"].unique()) == [-0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]
    assert (curves["extrapolated"] == ~curves["alpha"].between(0, 1)).all()


@pytest.mark.parametrize("split", ["train", "val"])
def test_photos_without_an_object_are_refused_before_anything_is_trained(asked, photos, own_runs, tmp_path, split):
    folder = shutil.copytree(photos, tmp_path / "photos")
    for identity in ObjectDiscovery(folder, "car", split).ids:
        mask = Image.new("L", (48, 40))
        mask.putpixel((20, 20), 255)  # an object, but of no more than five pixels
        mask.save(folder / "Data" / "Car" / "GroundTruth" / f"{identity}.png")
    run = landscape.open_run(**{**asked, "photos": str(folder)})
    with pytest.raises(
        ParameterError,
        match=f"no {split} photo of car in .*photos has an object of more than 5 pixels .*no IoU to follow",
    ):
        landscape.analyse(run, progress=False)
    assert not own_runs.exists()


def test_the_seconds_of_an_analysis_hold_no_training(asked, monkeypatch, tmp_path):
    """A clock that stands still but for the training of members, a minute each."""
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    clock, train = SimpleNamespace(seconds=0.0), landscape._train

    def a_minute_later(*arguments):
        clock.seconds += 60
        return train(*arguments)

    monkeypatch.setattr(landscape, "_train", a_minute_later)
    monkeypatch.setattr(landscape, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    record = landscape.analyse(landscape.open_run(**{**asked, "n_alphas": 4}), progress=False)
    assert clock.seconds == 60 * 5
    assert record.content["seconds"] == 0
    assert record.content["member_seconds"] > 0


def test_models_of_different_lengths_of_training_are_not_compared(full):
    records = {label: runs.read_record(paths.runs / name) for label, name in full.content["members"].items()}
    landscape._check_fair(records)
    records["S2"].content["best_images"] -= 16
    with pytest.raises(ParameterError, match=r"of different numbers of images \(F1 960, .*S2 944"):
        landscape._check_fair(records)
