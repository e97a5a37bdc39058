"""A model judged by a protocol, whoever trained it."""

import numpy as np
import pytest
import torch
from torch import nn

from chairlib import CompositeLoader, compare_runs, judge, load_model, score_masks, score_model
from chairlib.benchmark import protocols
from chairlib.benchmark.describe import describe_record, describe_seeds
from chairlib.benchmark.judge import sweep
from chairlib.benchmark.report import open_report
from chairlib.benchmark.run import examples, open_run
from chairlib.core.errors import ParameterError


@pytest.fixture(autouse=True)
def _short(monkeypatch, own_runs):
    """Protocols of 64 training images: what they fix is tested elsewhere."""
    monkeypatch.setitem(protocols.TERMS, "images", 64)
    monkeypatch.setitem(protocols.TERMS, "evaluations", 1)


@pytest.fixture
def toy(collection):
    return {"protocol": "32-v1", "data": str(collection.root), "progress": False}


def dark(images):
    """A classical method: what is darker than the mean is chair."""
    grey = images.mean(dim=1)
    return grey < grey.mean(dim=(1, 2), keepdim=True)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))  # two logits


def test_every_seed_of_the_protocol_is_trained(toy, collection):
    records = judge(**toy, width=2, device="cpu")
    assert [record.settings.seed for record in records] == [0, 1, 2]
    assert {record.content["protocol"] for record in records} == {f"{collection.hash}-32-v1"}
    assert {record.content["precision"] for record in records} == {"float32"}
    assert "U-Net, width 2, 3 seeds" in describe_seeds(records)
    text = describe_seeds(records)
    assert text.count("95 % interval over groups and seeds") == 3
    pooled = np.mean([record.metrics["test"]["pooled_iou"] for record in records])
    assert f"pooled IoU  {pooled:6.2f} %  (mean of the seeds)" in text
    for lines in (text.splitlines()[1:], describe_record(records[0]).splitlines()[1:5]):
        assert [line.partition("  ")[2].split("  ")[0] for line in lines] == ["IoU", "Dice", "precision", "pooled IoU"]
    assert judge(**toy, width=2, device="cpu")[1].content["finished"] == records[1].content["finished"]
    assert len(judge(**toy, width=2, device="cpu", seeds=[2])) == 1


def test_a_sweep_takes_the_rate_of_the_highest_validation_iou(toy, collection, capsys):
    best = sweep(**toy, width=2)
    runs = [
        open_run(protocol="32-v1", data=toy["data"], width=2, learning_rate=rate, swept=True)
        for rate in protocols.RATES
    ]
    ious = {rate: run.record.metrics["val"]["iou"] for rate, run in zip(protocols.RATES, runs, strict=True)}
    assert ious[best] == max(ious.values())
    assert f"{best:g} is taken" in capsys.readouterr().err
    assert {run.record.content["protocol"] for run in runs} == {f"{collection.hash}-32-v1"}
    record = judge(**toy, width=2, seeds=[0], try_rates=True)[0]
    assert record.content["recipe"]["learning_rate"] == best
    with pytest.raises(ParameterError, match="leave out learning_rate, or the sweep"):
        judge(**toy, width=2, try_rates=True, learning_rate=0.1)


def test_what_was_trained_elsewhere_gets_a_record_a_page_and_a_row(toy, tmp_path, collection):
    trained = judge(**toy, width=2, seeds=[0])[0]
    torch.save(load_model(trained).state_dict(), tmp_path / "w.pt")
    record = score_model("unet", **toy, width=2, weights=str(tmp_path / "w.pt"))
    assert record.metrics["test"]["iou"] == trained.metrics["test"]["iou"]
    assert record.metrics["val"]["iou"] == pytest.approx(trained.metrics["val"]["iou"])
    assert (record.content["images_seen"], record.content["seconds"]) == (0, 0.0)
    assert record.content["protocol"] == f"{collection.hash}-32-v1-scored"
    assert examples(record, "best")["images"].shape[0] == 4
    assert len(record.history()) == 1
    parts = open_report(toy["data"]).parts()
    assert len(parts) == 2  # never beside models that were trained by the protocol
    assert [part.terms().endswith("trained elsewhere, only scored here") for part in parts] == [False, True]
    assert "protocol" in describe_record(record)


@pytest.mark.parametrize("model", [small(), small, 5])
def test_a_model_that_is_no_name_is_refused_in_a_line(toy, model):
    found = rf"named, as package\.module:callable; found a {type(model).__name__}, for score_model or fit\.$"
    with pytest.raises(ParameterError, match=found):
        judge(**toy, model=model, try_rates=True)


@pytest.mark.parametrize("model", [dark, small(), small])
def test_modules_factories_and_functions_are_scored(toy, model):
    record = score_model(model, name="mine", **toy)
    assert "mine" in open_report(toy["data"]).label(record)
    assert 0 <= record.metrics["test"]["iou"] <= 100
    assert record.content["n_parameters"] == (0 if model is dark else 122)
    again = score_model(model, name="mine", **toy)
    assert again.metrics["test"] == record.metrics["test"]


def test_a_method_that_changed_under_its_name_is_scored_again(toy):
    """Nothing tells two functions apart for sure, so no record of one is taken for the other's."""
    one, other = (score_model(lambda images, t=t: images.mean(1) < t, name="mine", **toy) for t in (0.3, 0.6))
    assert one.metrics["test"]["iou"] != other.metrics["test"]["iou"]
    found = compare_runs(other.name, judge(**toy, width=2, device="cpu")[0].name)
    assert len(found.by_seed) == 3  # the one result beside each seed
    assert not any(note.startswith("left out") for note in found.notes)


def test_a_learning_rate_by_hand_is_another_protocol(toy, collection):
    by_hand = open_run(protocol="32-v1", data=toy["data"], width=2, learning_rate=0.006)
    assert protocols.protocol_of(by_hand.settings, collection.hash).startswith("custom-")
    assert protocols.common_terms(by_hand.settings)["learning_rate"] == 0.006


def test_a_function_is_scored_as_it_says(toy, collection):
    loader = CompositeLoader(collection, "test", 32, batch_size=500, device="cpu")
    images, masks = next(iter(loader))
    expected = score_masks(dark(images).unsqueeze(1), masks, groups=loader.groups)
    record = score_model(dark, name="darker than the mean", **toy)
    assert record.metrics["test"]["iou"] == expected.iou
    assert np.isclose(record.metrics["test"]["precision"], expected.precision)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (small(), {}, "name None must say what the model is"),
        (small(), {"name": "unet"}, "name 'unet' must"),
        (small(), {"name": "a:b"}, "name 'a:b' must"),
        ("unet", {}, "unet has random weights until it is trained: give a file of weights"),
        ("unet", {"weights": "none.pt"}, "cannot be read"),
        ("nope", {}, "unknown model 'nope'"),
    ],
)
def test_what_cannot_be_scored_is_one_line(toy, model, options, message):
    with pytest.raises(ParameterError, match=message):
        score_model(model, **toy, **options)
