"""Trained models: which photos score a landscape."""

import pytest
import torch

from chairlib.benchmark.evaluation import evaluate
from chairlib.compositing.loader import CompositeLoader
from chairlib.landscape import cells
from chairlib.landscape import run as landscape
from chairlib.landscape.cells import Study, TrainedModels
from chairlib.transfer import run as transfer
from chairlib.transfer.photos import open_photos
from weights import member_of, state_of


def models_of(analysis):
    labels = analysis.content["members"]
    return TrainedModels(Study.of(analysis.settings, labels), {label: member_of(analysis, label) for label in labels})


def test_of_many_training_photos_evenly_spread_ones_are_scored(full, monkeypatch):
    everything = models_of(full)
    assert everything.train.indices.tolist() == list(range(16))
    monkeypatch.setattr(cells, "N_TRAIN", 5)
    models = models_of(full)
    assert models.n_train == 16  # what the models were trained on
    chosen = models.train.indices
    assert len(chosen) == 5
    assert chosen.diff().min() >= 3
    assert len(models.test.indices) == 4  # those that are scored stay all

    photos = open_photos(member_of(full, "F1").settings, torch.device("cpu"))
    every = CompositeLoader(photos.train, "train", batch_size=32, shuffle=False)
    model = transfer.initial_model(member_of(full, "F1").settings)
    model.load_state_dict(state_of(full, "F1"))
    found, whole = (one.on_both.evaluations(one.states["F1"])["train"].scores for one in (models, everything))
    expected = evaluate(model, every).scores.per_image["iou"].to_numpy()
    assert whole.per_image["iou"].to_numpy() == pytest.approx(expected, abs=0.05, nan_ok=True)
    assert found.per_image["iou"].to_numpy() == pytest.approx(expected[chosen.numpy()], abs=0.05, nan_ok=True)


def test_the_landscape_of_a_network_of_another_library(tiny, own_runs):
    asked = {name: value for name, value in tiny.items() if name != "width"} | {"n_alphas": 2}
    made = {"model": "weights:quarter", "model_args": {"channels": 3}, "normalise": "imagenet"}
    record = landscape.analyse(landscape.open_run(**asked, **made), progress=False)
    assert {member_of(record, label).settings.model_args["channels"] for label in ("P", "F1", "S1")} == {3}
    assert models_of(record).study.blocks == ("model.layers",)
    curves = record.table("curves")
    ends = curves[(curves["batch_norm"] == "average") & (curves["alpha"] == 1) & (curves["split"] == "test")]
    expected = member_of(record, "F1").metrics["test"]["iou"]
    assert ends[ends["pair"] == "F"]["iou"].item() == pytest.approx(expected, abs=0.05)


def test_a_landscape_says_how_many_photos_its_models_were_trained_on(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(cells, "N_TRAIN", 5)
    monkeypatch.setattr("chairlib.core.paths.cache", tmp_path / "cache")
    record = landscape.analyse(landscape.open_run(**{**tiny, "n_alphas": 2, "evaluations": 2}), progress=False)
    assert record.content["n_train"] == 16
