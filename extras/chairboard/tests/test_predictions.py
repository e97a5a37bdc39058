"""Predictions to look through: which composites, what each model makes of them, and what is left out."""

import shutil

import numpy as np
import pandas as pd
import pytest

from chairboard.predictions import (
    browse_predictions,
    mean_ious,
    predict_test_images,
    slide_over_resolutions,
    slide_over_training,
    spread_over,
)
from chairlib.benchmark import examples
from chairlib.benchmark.evaluation import predict
from chairlib.benchmark.models import build_model
from chairlib.benchmark.report import open_report
from chairlib.benchmark.run import open_run, train
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import paths
from chairlib.core.tensors import load_tensors
from chairlib.show.mosaic import mask_iou

TOY = {"images": 64, "val_images": 6, "test_images": 8, "evaluations": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def trained(collection, tmp_path_factory):
    """Runs of a U-Net at two resolutions, and at 32 of a wider one and of a model of one's own that gives a mask."""
    home = tmp_path_factory.mktemp("predictions")
    code = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, images):
        return {"out": super().forward(images)[:, 0]}
"""
    (home / "browsed.py").write_text(code)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "runs", home / "runs")
        patch.syspath_prepend(home)
        terms = {**TOY, "data": str(collection.root)}
        for model in ({"width": 2}, {"width": 2, "resolution": 64}, {"width": 4}, {"model": "browsed:Net"}):
            train(open_run(**{"resolution": 32, **terms, **model}), progress=False)
        yield home / "runs"


@pytest.fixture
def report(trained, collection, tmp_path, monkeypatch):
    """The report of these runs, as copies that a test may spoil."""
    shutil.copytree(trained, tmp_path / "runs")
    monkeypatch.setattr(paths, "runs", tmp_path / "runs")
    return open_report(str(collection.root))


def test_each_model_predicts_the_same_composites_as_when_it_was_scored(report, collection):
    found = predict_test_images(report, 32, count=5)
    assert set(found["probabilities"]) == {"U-Net, width 2", "U-Net, width 4", "browsed:Net"}
    scores = [report.find(name, 32) for name in ("unet", "browsed:Net")]
    records = [records[0] for group in scores for records in group]
    chosen = spread_over(mean_ious(records), 5)
    assert len({*chosen}) == 5
    for record in records:
        kept = record.table("test_images")["iou"][chosen]
        masks = found["probabilities"][report.label(record)] > 0.5
        ious = list(map(mask_iou, masks, found["targets"][0]))
        np.testing.assert_allclose(np.nan_to_num(ious), kept, atol=1e-4)
    model = build_model("unet", 2)
    model.load_state_dict(load_tensors(report.find("unet", 32)[0][0].file("weights.safetensors"))[0])
    loader = CompositeLoader(collection, "test", 32, device="cpu", limit=8)
    images, _ = loader.image_set.batch(loader.indices[chosen])
    expected = predict(model, images)[:, 0].numpy()
    np.testing.assert_allclose(found["probabilities"]["U-Net, width 2"], expected, atol=1e-6)
    assert found["note"].startswith("Shown are 5 of 8 test composites, chosen by a fixed rule")


def test_the_best_model_stands_first(report):
    names = list(predict_test_images(report, 32)["probabilities"])
    ious = {report.label(record): record.metrics["test"]["iou"] for record in report.records}
    assert [ious[name] for name in names] == sorted((ious[name] for name in names), reverse=True)


def test_composites_are_spread_over_iou_from_the_lowest_to_the_highest():
    ious = pd.Series(np.random.default_rng(0).permutation(np.arange(100.0)))
    assert ious[spread_over(ious, 5)].tolist() == [0, 25, 50, 74, 99]
    assert ious[spread_over(ious, 500)].tolist() == sorted(ious)
    assert spread_over(pd.Series([3.0, 1.0], index=[7, 9]), 30) == [9, 7]


def test_a_run_whose_weights_are_gone_is_left_out_and_told(report):
    (record,) = report.find("browsed:Net", 32)[0]
    (record.folder / "weights.safetensors").unlink()
    found = predict_test_images(report, 32)
    assert set(found["probabilities"]) == {"U-Net, width 2", "U-Net, width 4"}
    assert "browsed:Net is left out: record" in found["note"]
    widget = browse_predictions(report, 32)
    assert widget.kind == "browser"
    assert "browsed:Net is left out" in widget.body


def test_runs_without_an_iou_are_left_out_and_told(report):
    (record,) = report.find("browsed:Net", 32)[0]
    record.metrics["test"]["iou"] = None
    found = predict_test_images(report, 32)
    assert set(found["probabilities"]) == {"U-Net, width 2", "U-Net, width 4"}
    assert "browsed:Net is left out: it has no IoU" in found["note"]
    for other in report.records:
        other.metrics["test"]["iou"] = None
    assert predict_test_images(report, 32) == {}
    assert "pixels that has an IoU" in browse_predictions(report, 32).data


def test_where_no_model_is_there_a_line_says_so(report):
    assert predict_test_images(report, 128) == {}
    assert "chair-absent" in browse_predictions(report, 128).data
    for record in report.records:
        (record.folder / "weights.safetensors").unlink()
    assert predict_test_images(report, 32) == {}


def test_a_build_without_any_run_has_neither(own_runs, collection):
    report = open_report(str(collection.root))
    assert "no model at 64 × 64 pixels" in browse_predictions(report).data
    assert "no model at two resolutions" in slide_over_resolutions(report).data


def test_the_same_composites_at_every_resolution(report):
    widget = slide_over_resolutions(report)
    assert widget.kind == "steps"
    assert widget.content["names"] == ["32 × 32 px", "64 × 64 px"]
    assert widget.content["count"] == 6
    assert "U-Net, width 2: one model for each resolution" in widget.body
    # The same chairs: at half the resolution a composite is the average of four pixels, or nearly.
    small, large = (examples(report.find("unet", size)[0][0], "fixed") for size in (32, 64))
    halves = large["images"].reshape(6, 32, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(halves - small["images"]).mean() < 12


def test_one_resolution_is_no_choice(report):
    report = open_report(report.records[0].content["parameters"]["data"], [r.name for r in report.find("unet", 32)[0]])
    assert "chair-absent" in slide_over_resolutions(report).data


def test_training_has_a_step_for_each_evaluation_and_a_line_for_runs_that_kept_none(report):
    record = report.records[0]
    assert "Trained on" in slide_over_training(record).data
    record.file("previews.safetensors").unlink()
    assert "kept none" in slide_over_training(record).data
