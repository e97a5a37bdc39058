"""Landscape runs: their members, what is refused before anything is trained, and what a record holds."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from chairboard.landscape_report import KINDS, open_report
from chairlib.benchmark import run as benchmark
from chairlib.benchmark.models import build_model
from chairlib.core import locks, paths, runs
from chairlib.core.errors import CollectionError, ParameterError, RecordError
from chairlib.core.tensors import load_tensors
from chairlib.landscape import run as landscape
from chairlib.landscape.settings import LandscapeSettings
from chairlib.landscape.states import l2_distance
from chairlib.transfer import run as transfer
from chairlib.transfer.object_discovery import ObjectDiscovery
from chairlib.transfer.recipes import RECIPES, get_recipe
from chairlib.transfer.settings import TransferSettings
from lock_helpers import copies, holder
from weights import member_of, state_of


def test_fine_tuned_members_share_a_pretraining_and_differ_in_order(tiny):
    opened = landscape.members(LandscapeSettings.of({**tiny, "n_early": 3}))
    tuned, scratch = ([opened[f"{pair}{n}"].settings.to_dict() for n in (1, 2)] for pair in "FS")
    assert {settings["pretrained"] for settings in tuned} == {opened["P"].name}
    assert {settings["pretrained"] for settings in scratch} == {None}
    for pair in (tuned, scratch):
        assert [settings["seed"] for settings in pair] == [0, 1]
        assert [settings["init_seed"] for settings in pair] == [None, None]
    same = set(tuned[0]) - {"pretraining", "pretrained", "seed"}
    assert all(tuned[0][name] == scratch[1][name] for name in same)
    # A shared pretraining of 0 images: the random start in common.
    assert [opened[f"F{number}@0"].name for number in (1, 2)] == [opened[f"R{number}"].name for number in (1, 2)]
    assert opened["P@12"].settings.images == 12  # a quarter of P's 48
    assert opened["F2@12"].settings.pretrained == opened["P@12"].name


def test_a_third_set_shares_a_random_start_and_differs_as_the_fine_tuned_ones_do(tiny):
    opened = landscape.members(LandscapeSettings.of({**tiny, "n_seeds": 3}))
    scratch, shared = ([opened[f"{pair}{n}"] for n in (1, 2, 3)] for pair in "SR")
    assert shared[0].name == scratch[0].name  # it is not trained twice
    assert len({run.name for run in [*scratch, *shared]}) == 5
    changed = {"init_seed": None}
    assert [run.settings.with_changes(**changed) for run in shared] == [run.settings for run in scratch]
    start, *others = (transfer.initial_model(run.settings).state_dict() for run in shared)
    assert all(torch.equal(other[name], weights) for other in others for name, weights in start.items())
    start, *others = (transfer.initial_model(run.settings).state_dict() for run in scratch)
    assert not any(torch.equal(other["classifier.weight"], start["classifier.weight"]) for other in others)


def test_second_process_waits_for_the_first_and_reads_its_record(full, tmp_path, monkeypatch):
    run = replace(landscape.open_run(full.settings), folder=tmp_path / full.name)
    monkeypatch.setattr(locks, "POLL", 0.05)
    monkeypatch.setattr(landscape, "members", lambda _: pytest.fail("analysed twice"))
    with holder(paths.cache, run.name, code=copies(full.folder, run.folder)):
        assert landscape.analyse(run, progress=False).content == full.content


def test_models_from_one_start_end_apart(full):
    """They see the photos in another order."""
    assert torch.equal(state_of(full, "R1")["classifier.weight"], state_of(full, "S1")["classifier.weight"])
    assert l2_distance(state_of(full, "R1"), state_of(full, "R2")) > 0


def test_a_model_from_scratch_shares_nothing_with_a_pretrained_one_of_its_seed():
    scratch = transfer.initial_model(TransferSettings(width=2, resolution=32)).state_dict()
    torch.manual_seed(0)  # as the benchmark starts
    start = build_model("unet", 2).state_dict()
    drawn = [key for key in start if key.endswith("weight") and start[key].ndim == 4]
    assert drawn
    assert not any(torch.equal(scratch[key], start[key]) for key in drawn)


def test_members_of_one_start_have_one_start():
    first, second, other = (
        transfer.initial_model(TransferSettings(width=2, resolution=32, seed=seed, init_seed=init)).state_dict()
        for seed, init in ((0, None), (1, 0), (1, None))
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"alpha": 3}, "a landscape run has no parameter alpha; it has model, width"),
        ({"n_seeds": 1}, "n_seeds 1 must be a whole number of at least 2"),
        ({"n_alphas": 1}, "n_alphas 1 must be a whole number of at least 2"),
        ({"beyond_ends": 3}, "beyond_ends 3.0 must be a number from 0 to 2"),
        ({"plane": 1}, "plane 1 must be a whole number of at least 2"),
        ({"beyond": "yes"}, "beyond 'yes' must be True or False"),
        ({"pretrain": 3}, "pretrain 3 must be parameters by name; found the type int"),
        ({"pretrain": {"width": 4}}, "pretrain takes width from the run itself"),
        ({"pretrain": {"imges": 4}}, "a benchmark run has no parameter imges"),
        ({"category": "boat"}, "boat"),
        ({"recipe": "slow"}, "recipe 'slow' is unknown"),
    ],
)
def test_bad_parameters_are_told_before_anything_is_trained(tiny, own_runs, changed, message):
    with pytest.raises((ParameterError, CollectionError), match=message):
        landscape.open_run(**{**tiny, **changed})
    assert not own_runs.exists()


@pytest.mark.parametrize("change", [{"select": "iou"}, {"select": "loss"}, {"patience": 3}])
def test_a_recipe_that_ends_models_at_different_lengths_is_refused_before_anything_is_trained(
    tiny, own_runs, monkeypatch, change
):
    chosen = replace(get_recipe("fast", "unet"), name="choosy", **change)
    monkeypatch.setitem(RECIPES, "choosy", {"*": chosen})
    with pytest.raises(
        ParameterError, match=r"recipe 'choosy' stops early or keeps .*; use one that does neither: .*fast"
    ):
        landscape.open_run(**{**tiny, "recipe": "choosy"})
    assert not own_runs.exists()


def test_everything_that_was_asked_for_is_there(full):
    assert full.content["batch_norm"] == ["average", "recalibrate"]
    assert {"distances", "curves", "planes", "early", "soups", "matched", "similarities", "criticality"} == set(
        full.content["tables"]
    )
    assert full.table("early")["images"].unique().tolist() == [0, 60]
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


def test_examples_are_the_masks_of_each_alpha(full):
    shown = landscape.examples(full)
    assert shown["images"].shape[1:] == (32, 32, 3)
    assert set(shown["predicted"]) == {(pair, way) for pair in "FSR" for way in ("average", "recalibrate")}
    model = transfer.initial_model(TransferSettings(width=4, resolution=32)).eval()
    model.load_state_dict(state_of(full, "F2"))
    with torch.no_grad():
        logits = model(torch.from_numpy(shown["images"]).permute(0, 3, 1, 2) / 255)
    assert np.array_equal(shown["predicted"]["F", "average"][0], (logits > 0)[:, 0].numpy())
    assert shown["targets"].any(axis=(1, 2)).all()


def test_a_record_of_other_weights_is_no_longer_read(full, everything, monkeypatch):
    run = landscape.open_run(**everything)
    assert run.record is not None
    name = full.content["members"]["F1"]
    monkeypatch.setattr(runs, "weights_hash", lambda other: "new" if other == name else "same")
    assert run.record is None
    with pytest.raises(RecordError, match="it was made from other weights than those that"):
        runs.load_records("landscape", None, [full.name])


def test_a_model_without_batchnorm_has_one_way(tiny):
    changed = {"model": "weights:without_batchnorm", "n_alphas": 2, "plane": 2, "beyond": True}
    record = landscape.analyse(landscape.open_run(**{**tiny, **changed}), progress=False)
    assert record.content["batch_norm"] == ["average"]
    report = open_report(record, [])
    assert set(record.table("curves")["batch_norm"]) == {"average"}
    assert report.recalibration_shift()["as trained"].notna().all()
    assert report.table("matched") is None  # its permutations are not known
    assert "BatchNorm" not in "".join(report.in_short())


@pytest.mark.parametrize(("model", "layers"), [("repeated", ["first", "last"]), ("only_repeated", None)])
def test_layers_that_run_twice_a_pass_are_not_compared_and_all_else_is_kept(tiny, model, layers):
    changed = {"model": f"weights:{model}", "n_alphas": 2, "beyond": True}
    report = open_report(landscape.analyse(landscape.open_run(**{**tiny, **changed}), progress=False), [])
    assert report.table("criticality") is not None
    similar = report.table("similarities")
    assert layers == (None if similar is None else similar["layer"].unique().tolist())
    assert report.table("matched") is None


def test_only_layers_that_can_be_recalibrated_are(tiny):
    changed = {"model": "weights:statistics_of_others", "n_alphas": 2, "plane": 2}
    run = landscape.open_run(**{**tiny, **changed})
    assert landscape.analyse(run, progress=False).content["batch_norm"] == ["average"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_photos_without_an_object_are_refused_before_anything_is_trained(tiny, photos, own_runs, tmp_path, split):
    folder = shutil.copytree(photos, tmp_path / "photos")
    for identity in ObjectDiscovery(folder, "car", split).ids:
        mask = Image.new("L", (48, 40))
        mask.putpixel((20, 20), 255)  # an object, but of no more than five pixels
        mask.save(folder / "Data" / "Car" / "GroundTruth" / f"{identity}.png")
    run = landscape.open_run(**{**tiny, "photos": str(folder)})
    with pytest.raises(
        ParameterError,
        match=f"no {split} photo of car in .*photos has an object of more than 5 pixels .*no IoU to follow",
    ):
        landscape.analyse(run, progress=False)
    assert not own_runs.exists()


def test_the_seconds_of_an_analysis_hold_no_training(tiny, monkeypatch, tmp_path):
    """A clock that stands still but for the training of members, a minute each."""
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    clock = SimpleNamespace(seconds=0.0)
    for chapter in (benchmark, transfer):

        def a_minute_later(run, progress, train=chapter.train):
            clock.seconds += 60
            return train(run, progress)

        monkeypatch.setattr(chapter, "train", a_minute_later)
    monkeypatch.setattr(landscape, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    record = landscape.analyse(landscape.open_run(**{**tiny, "n_alphas": 4}), progress=False)
    assert clock.seconds == 60 * (1 + 3 * 2)  # P, and two models of each set
    assert record.content["seconds"] == 0
    assert record.content["member_seconds"] > 0


def test_a_model_that_changes_its_input_in_place_gives_the_analysis_of_its_twin(tiny):
    """All tables and pictures of training, fine-tuning, lines, planes, soups, ensembles, similarity and criticality."""
    changed = {**tiny, "width": 4, "images": 64, "n_alphas": 3, "plane": 2, "beyond": True}
    records = [
        landscape.analyse(landscape.open_run(**{**changed, "model": f"weights:{name}"}), progress=False)
        for name in ("in_place", "out_of_place")
    ]
    for name in records[0].content["tables"]:
        pd.testing.assert_frame_equal(*(record.table(name) for record in records))
    for label in (None, *records[0].content["members"]):
        one, twin = (record if label is None else member_of(record, label) for record in records)
        assert one.metrics == twin.metrics
        pictures, twins = (load_tensors(record.file("examples.safetensors"))[0] for record in (one, twin))
        assert all(torch.equal(picture, twins[key]) for key, picture in pictures.items())


def test_what_a_model_keeps_beside_its_weights_is_not_measured_and_its_size_of_images_is_asked_for(tiny):
    changed = {**tiny, "n_alphas": 2, "plane": 2, "beyond": True}
    for name in ("masked", "tied", "one_size"):
        record = landscape.analyse(landscape.open_run(**{**changed, "model": f"weights:{name}"}), progress=False)
        table = record.table("distances").query("block == 'total'")
        assert set(table["n_parameters"]) == {member_of(record, "F1").content["n_parameters"]}


def test_the_report_shows_the_papers_rows_and_ours(full):
    report = open_report(full, [full.name])
    table = report.table5().rename(index=lambda name: name.replace("\N{NO-BREAK SPACE}", " "))
    mean, low, high = table["ours, car"]["Ft & P"]
    whole = report.distances().query("kind == 'ft_p'")["l2"]
    assert (mean, low, high) == pytest.approx((whole.mean(), whole.min(), whole.max()))
    assert set(report.distances()["kind"]) == set(KINDS)
    barriers = report.barriers()
    assert len(barriers) == 6
    # The mean of one pair's barrier is that of the pair, and its interval is of the same photos.
    for mean, own in zip(barriers.iloc[:, 2], barriers["each pair, val images"], strict=True):
        assert f"{mean[0]:.1f}" == own
        assert 0 <= mean[1] <= mean[2]
    shift = report.recalibration_shift()
    assert shift["model"].tolist() == ["F1", "F2", "R1", "R2", "S1", "S2"]
    assert report.scrubber()["alphas"] == [0, 0.5, 1]
    assert report.plane("F")["values"].shape == (len(report.plane("F")["y"]), len(report.plane("F")["x"]))
    values = report.glued("toy", "A toy.")
    assert values["landscape_sentence"].startswith("A toy. U-Net, width 4 on car, ")
    assert all(sentence.endswith(".") for sentence in report.in_short())


def test_what_was_not_asked_for_is_blank(tiny):
    record = landscape.analyse(landscape.open_run(**{**tiny, "n_alphas": 6}), progress=False)
    report = open_report(record, [])
    assert report.table("early") is None
    assert report.table("soups") is None
    assert report.plane("F") is None
