"""One fine-tuning run: its parameters are checked, it starts from the weights it names, and its record is complete."""

import ast
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from chairboard.transfer_tables import open_report
from chairlib import CompositeLoader, ObjectDiscovery, benchmark, compare_runs, fine_tune, load_model
from chairlib.benchmark import training
from chairlib.benchmark.evaluation import evaluate
from chairlib.benchmark.models import build_model
from chairlib.core import locks, paths, runs
from chairlib.core.errors import ChairlibError, CollectionError, RecordError
from chairlib.core.runs import Record
from chairlib.core.tensors import load_tensors, save_tensors
from chairlib.show.boxes import ABSENT
from chairlib.show.pictures import composite_grid
from chairlib.transfer import run as transfer
from chairlib.transfer.photos import preview, run_title
from drawing import draw_photos
from lock_helpers import copies, holder

TINY = {"width": 2, "resolution": 32, "images": 64, "evaluations": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def tuned(photos, pretrained):
    return fine_tune(pretrained=pretrained, data=str(photos), progress=False, **TINY)


@pytest.fixture(scope="module")
def as_long(photos, pretrained):
    """From scratch, on as many images as the pretrained model has seen in all."""
    changed = {"pretraining": "none_equal_total", "data": str(photos), "progress": False}
    return fine_tune(pretrained=pretrained, **changed, **TINY)


def test_second_process_waits_for_the_first_and_reads_its_record(tuned, tmp_path, monkeypatch):
    run = replace(transfer.open_run(tuned.settings), folder=tmp_path / tuned.name)
    monkeypatch.setattr(locks, "POLL", 0.05)
    monkeypatch.setattr(transfer, "fit", lambda *_, **__: pytest.fail("trained twice"))
    with holder(paths.cache, run.name, code=copies(tuned.folder, run.folder)):
        assert transfer.train(run, progress=False).content == tuned.content


def test_a_record_tells_everything(scratch):
    content = scratch.content
    assert content["kind"] == "transfer"
    assert content["data"]["name"] == "drawn car"
    assert content["code"]["hash"] == runs.code_hash("transfer")
    assert content["scored_split"] == "val"
    assert (content["published_split"], content["chosen_on_scored"]) == (False, False)
    assert scratch.metrics["val"]["iou"] == pytest.approx(scratch.history()["val_iou"].iloc[-1])
    assert (scratch.metrics["val"]["n_images"], scratch.metrics["val"]["n_left_out"]) == (4, 1)
    assert content["n_train_images"] == 16
    assert content["made_from"] == {}
    assert content["pretrained_on"] is None
    assert content["images_seen"] == 64
    test = scratch.metrics["test"]
    assert (test["n_images"], test["n_left_out"]) == (4, 1)  # one of the four has no car
    assert test["interval_units"] == "images"
    assert scratch.table("test_images")["id"].tolist() == [17, 18, 19, 20]
    history = scratch.history()
    assert history["images"].tolist() == [0, 32, 64]  # scored before the first step too, which has no training loss
    assert history["train_loss"].isna().tolist() == [True, False, False]


def test_from_scratch_depends_on_the_seed_alone(scratch, photos, own_runs):
    again = transfer.train(transfer.open_run(data=str(photos), **TINY), progress=False)
    other = transfer.train(transfer.open_run(data=str(photos), **TINY, seed=1), progress=False)
    assert again.metrics == scratch.metrics
    assert other.metrics != scratch.metrics


def test_a_finished_run_is_only_read(tuned, pretrained, photos, monkeypatch):
    monkeypatch.setattr(transfer, "fit", lambda *_, **__: pytest.fail("trained twice"))
    assert fine_tune(pretrained=pretrained, data=str(photos), **TINY).content == tuned.content


def test_both_arms_differ_in_nothing_but_where_they_start(scratch, tuned, pretrained):
    differing = {name for name, value in tuned.settings.to_dict().items() if getattr(scratch.settings, name) != value}
    assert differing == {"pretraining", "pretrained"}
    assert tuned.content["recipe"] == scratch.content["recipe"]
    assert tuned.content["images_seen"] == scratch.content["images_seen"]
    assert tuned.name != scratch.name
    assert tuned.content["pretrained_on"] == {
        "images_seen": pretrained.content["images_seen"],
        "budget": 64,
        "n_train_images": 60,
        "recipe": "fast",
    }


def test_the_control_of_equal_total_trains_as_long_as_pretraining_and_fine_tuning(as_long, tuned, pretrained):
    total = tuned.content["images_seen"] + pretrained.content["images_seen"]
    assert total <= as_long.content["images_seen"] < total + as_long.content["recipe"]["batch_size"]
    assert as_long.history()["images"].iloc[-1] == as_long.content["images_seen"]
    assert (as_long.content["pretrained_on"], tuned.content["matched_to"]) == (None, None)
    assert as_long.content["matched_to"] == tuned.content["pretrained_on"]
    for what in ("recipe", "n_train_images", "made_from"):
        assert as_long.content[what] == tuned.content[what]


def test_the_control_of_equal_total_starts_from_the_weights_of_the_run_from_scratch(photos, pretrained, monkeypatch):
    starts, lengths = [], []

    def look(model, *_, images, **__):
        starts.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        lengths.append(images)
        raise ChairlibError("seen enough")

    monkeypatch.setattr(transfer, "fit", look)
    for arm in ({}, {"pretraining": "none_equal_total", "pretrained": pretrained.name}):
        with pytest.raises(ChairlibError, match="seen enough"):
            transfer.train(transfer.open_run(data=str(photos), **TINY, seed=3, **arm), progress=False)
    assert all(torch.equal(starts[1][name], tensor) for name, tensor in starts[0].items())
    assert lengths == [64, 64 + pretrained.content["images_seen"]]


def test_scores_before_fine_tuning_are_those_of_the_weights_that_it_starts_from(
    scratch, tuned, as_long, pretrained, photos
):
    image_set = ObjectDiscovery(photos, "car", "val").image_set(32, "cpu")
    model = build_model("unet", width=2)
    model.load_state_dict(load_tensors(pretrained.file("weights.safetensors"))[0])
    fresh = transfer.initial_model(scratch.settings)
    for record, start in ((tuned, model), (scratch, fresh), (as_long, fresh)):
        expected = evaluate(start, CompositeLoader(image_set, "val", batch_size=256))
        found = record.metrics["start"]
        assert found["loss"] == pytest.approx(expected.loss)
        assert found["iou"] == pytest.approx(expected.scores.iou)
        assert (found["n_images"], found["n_left_out"]) == (4, 1)
        assert found["loss"] != record.metrics["test"]["loss"]
    assert tuned.metrics["start"]["loss"] != scratch.metrics["start"]["loss"]


def test_every_figure_of_the_chapter_names_the_protocol(photos):
    run = transfer.open_run(data=str(photos), **TINY)
    told = composite_grid(*preview(run, 2), title=run_title(run, "train"), noun="photos").alt
    assert told.startswith("drawn car, protocol authors, train images: 2 photos")
    assert "object is " in told
    cells = json.loads((paths.notebooks / "05_object_discovery.ipynb").read_text())["cells"]
    code = "".join(line for cell in cells if cell["cell_type"] == "code" for line in cell["source"])
    assert code.count("title=") == 3
    assert code.count("run_title(") == 4  # a table has one too


def test_a_share_of_the_photos_is_used(photos, own_runs):
    record = transfer.train(transfer.open_run(data=str(photos), **TINY, share=25), progress=False)
    assert record.content["n_train_images"] == 4
    assert record.content["images_seen"] == 64


def test_photos_without_the_object_validate_and_are_scored_as_undefined(tmp_path, own_runs):
    draw_photos(tmp_path / "drawn", ("Car",))
    for number in range(17, 21):  # the last 20 %, which validate under the protocol authors
        Image.new("L", (48, 40)).save(tmp_path / f"drawn/Data/Car/GroundTruth/{number:04d}.png")
    record = fine_tune(data=str(tmp_path / "drawn"), progress=False, **TINY)
    assert record.metrics["val"]["iou"] is record.metrics["test"]["iou"] is None
    assert record.metrics["test"]["precision"] is not None
    full = open_report(str(tmp_path / "drawn"))
    assert full.records == [record]
    assert full.curves("car") == full.figure5("car") == {}
    assert full.steps_to_reach().empty


def test_the_chapter_says_in_words_what_needs_photos_with_the_object(tmp_path, own_runs):
    draw_photos(tmp_path / "drawn", ("Car",))
    for mask in (tmp_path / "drawn/Data/Car/GroundTruth").iterdir():
        Image.new("L", (48, 40)).save(mask)
    notebook = json.loads((paths.notebooks / "05_object_discovery.ipynb").read_text())
    parameters, *cells = ("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    names = {}
    exec(parameters, names)
    names.update(TINY, data=str(tmp_path / "drawn"))
    shown = []
    for cell in map(ast.parse, cells):
        *statements, last = cell.body
        exec(compile(ast.Module(statements, []), "a cell", "exec"), names)
        if isinstance(last, ast.Expr):  # what the notebook would show
            shown.append(eval(compile(ast.Expression(last.value), "a cell", "eval"), names))
        else:
            exec(compile(ast.Module([last], []), "a cell", "exec"), names)
    words = [re.sub("<.*?>", "", output.data) for output in shown if ABSENT in getattr(output, "data", "")]
    assert words == [
        "Training curves: they need a validation image that holds the object.",
        "Examples: they need a scored image that holds the object.",
    ]


def test_a_category_of_ones_own_from_one_folder(tmp_path, own_runs):
    draw_photos(tmp_path / "mine", ("Bicycle",))
    record = fine_tune(data=str(tmp_path / "mine"), progress=False, **TINY)
    assert record.settings.category == "bicycle"
    assert record.name.startswith("transfer-bicycle-unet")
    own_folder = str(tmp_path / "mine" / "Data" / "Bicycle")
    assert fine_tune(category="Bicycle", data=own_folder, progress=False, **TINY).folder == record.folder
    with pytest.raises(CollectionError, match="has no category 'boat'; it has bicycle"):
        fine_tune(category="boat", data=str(tmp_path / "mine"), **TINY)
    report = open_report(str(tmp_path / "mine"))
    assert [record.name for record in report.records] == [record.name]
    assert report.left_out == []
    assert report.table3()["category"].tolist() == ["bicycle"]


def test_two_runs_are_compared_photo_by_photo(scratch, tuned):
    found = compare_runs(tuned.name, scratch.name)
    gains = tuned.table("test_images")["iou"] - scratch.table("test_images")["iou"]
    assert found.mean == pytest.approx(gains.mean())
    assert found.n_groups == gains.notna().sum()
    assert found.labels == ("U-Net, width 2, pretraining chair_segments", "U-Net, width 2, pretraining none")
    assert found.notes == []
    weights, _ = load_tensors(tuned.file("weights.safetensors"))
    assert all(torch.equal(load_model(tuned.name).state_dict()[name], tensor) for name, tensor in weights.items())


def test_folds_are_scored_on_their_test_split(photos, own_runs):
    record = transfer.train(transfer.open_run(data=str(photos), **TINY, protocol="folds", fold=2), progress=False)
    assert record.content["scored_split"] == "test"
    assert record.metrics["test"]["n_images"] == 4


def test_examples_hold_photos_with_the_object(scratch):
    kept = transfer.examples(scratch)
    assert kept["targets"].any(axis=(1, 2)).all()
    assert kept["images"].shape[:3] == kept["targets"].shape == kept["predicted"].shape


def test_examples_are_the_photos_at_fixed_quantiles_of_iou(tmp_path):
    """Seven photos; the sixth has no IoU. Each is of one grey, so that the picture says which it is."""
    rows = torch.arange(7)
    grey = (10 * rows).byte()[:, None, None, None].expand(7, 1, 4, 4)
    parts = {"images": grey.expand(7, 3, 4, 4), "targets": grey, "probabilities": grey}
    save_tensors(tmp_path / "examples.safetensors", {"rows": rows, **parts})
    ious = [50.0, 10.0, 90.0, 30.0, 70.0, np.nan, 80.0]
    pd.DataFrame({"id": list("abcdefg"), "iou": ious}).to_csv(tmp_path / "test_images.csv", index=False)
    record = Record(tmp_path, {})
    found = transfer.examples(record)
    assert found["notes"] == ["worst", "25 %", "median", "75 %", "best"]
    by_iou = [1, 3, 0, 4, 6, 2]
    assert (found["images"][:, 0, 0, 0] // 10).tolist() == [by_iou[place] for place in (0, 1, 2, 4, 5)]
    other_order = pd.Series({"g": 1.0, "a": 2.0})
    found = transfer.examples(record, other_order)
    assert found["notes"] == ["worst", "best"]
    assert (found["images"][:, 0, 0, 0] // 10).tolist() == [6, 0]
    nothing = transfer.examples(record, pd.Series({"a": np.nan}))
    assert nothing["notes"] == []
    assert nothing["images"].shape == (0, 4, 4, 3)


def test_the_weights_are_those_that_were_scored(scratch, photos):
    model = build_model("unet", width=2)
    model.load_state_dict(load_tensors(scratch.file("weights.safetensors"))[0])
    image_set = ObjectDiscovery(photos, "car", "val").image_set(32, "cpu")
    scores = evaluate(model, CompositeLoader(image_set, "val", batch_size=3)).scores
    assert scores.iou == pytest.approx(scratch.metrics["test"]["iou"], abs=0.05)
    assert scores.precision == pytest.approx(scratch.metrics["test"]["precision"], abs=0.05)


def test_a_network_of_another_library_is_pretrained_and_fine_tuned(collection, photos, own_runs):
    """Its arguments and conversions are those of the record that it starts from."""
    asked = {name: value for name, value in TINY.items() if name != "width"}
    made = {"model": "weights:quarter", "model_args": {"channels": 4}, "normalise": "imagenet"}
    run = benchmark.open_run(data=str(collection.root), **asked, **made, val_images=4, test_images=4)
    pretrained = benchmark.train(run, progress=False)
    record = fine_tune("weights:quarter", pretrained=pretrained, data=str(photos), progress=False, **asked)
    assert record.settings.model_terms() == pretrained.settings.model_terms()
    assert all(key.startswith("model.layers.") for key in load_tensors(record.file("weights.safetensors"))[0])
    with pytest.raises(RecordError, match=r"holds a model with .*'channels': 4.*, but .*'channels': 5.* is asked for"):
        fine_tune("weights:quarter", pretrained, data=str(photos), **asked, model_args={"channels": 5})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"categorie": "car"}, "no parameter categorie; it has model, width"),
        ({"category": "cat"}, "has no category 'cat'; it has airplane, car, horse"),
        ({"protocol": "mine"}, "protocol 'mine' is unknown"),
        ({"fold": 1}, "fold 1 means something under protocol 'folds' only"),
        ({"share": 0}, "share 0 must be a whole number from 1 to 100"),
        ({"share": 101}, "share 101 must be"),
        ({"images": 0}, "images 0 must be a whole number of at least 1, or None"),
        ({"seed": -1}, "seed -1 must be a whole number from 0 to 4294967295"),
        ({"resolution": 16}, "resolution 16 must be a whole number of at least 32"),
        ({"recipe": "slow"}, "recipe 'slow' is unknown; use one of paper, fast"),
        ({"model": "my.module:net", "recipe": "paper"}, "no 'paper' recipe for model"),
        ({"pretraining": "imagenet"}, "pretraining 'imagenet' is unknown"),
        ({"pretraining": "chair_segments"}, "do not go together"),
        ({"pretraining": "none_equal_total"}, "do not go together"),
        ({"pretrained": "benchmark-x"}, "do not go together"),
        ({"model": "resnet"}, "resnet"),
        ({"data": None}, "data None must be text; found the type NoneType"),
        ({"category": ["car"]}, r"category \['car'\] must be text; found the type list"),
    ],
)
def test_bad_parameters_are_one_clear_line(photos, changed, message):
    with pytest.raises(ChairlibError, match=message):
        transfer.open_run(**{"data": str(photos), **TINY, **changed})


def test_a_run_that_stops_goes_on_to_the_same_weights(photos, own_runs, monkeypatch):
    whole = transfer.train(transfer.open_run(data=str(photos), **TINY), progress=False)
    expected = load_tensors(whole.file("weights.safetensors"))[0]
    for file in whole.folder.iterdir():
        file.unlink()
    evaluations = []
    original = training.evaluate

    def stop_at_the_second(*arguments, **options):
        evaluations.append(1)
        if len(evaluations) == 3:  # the first is before the first step
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(training, "evaluate", stop_at_the_second)
    run = transfer.open_run(data=str(photos), **TINY)
    with pytest.raises(KeyboardInterrupt):
        transfer.train(run, progress=False)
    assert run.checkpoint.is_file()
    again = transfer.train(run, progress=False)
    assert again.metrics["start"] == whole.metrics["start"]
    resumed = load_tensors(again.file("weights.safetensors"))[0]
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())
