"""Models as ONNX, run by ONNX Runtime."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from chairbridge import export_onnx
from chairlib import CompositeLoader, build_model, load_model
from chairlib.benchmark.run import open_run, train
from chairlib.core.errors import ChairlibError, ParameterError, RecordError
from chairlib.core.runs import read_record

pytest.importorskip("onnxscript", reason="needs onnxscript")
onnx = pytest.importorskip("onnx", reason="needs onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")

SCRATCH = {"images": 64, "val_images": 4, "test_images": 4, "width": 2, "resolution": 32, "device": "cpu"}


@pytest.fixture
def record(collection, own_runs):
    return train(open_run(data=str(collection.root), **SCRATCH), progress=False)


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def logits(path, images):
    return session(path).run(["logits"], {"images": images.numpy()})[0]


def test_a_runs_model_gives_the_same_masks(record, collection, tmp_path, call):
    status, out, errors = call("export-onnx", record.name, "--out", "model.onnx")
    assert (status, errors) == (0, "")
    assert "images float32 [B, 3, 32, 32] in [0, 1] to logits [B, 1, 32, 32]" in out
    assert "largest difference of logits from PyTorch's: " in out
    onnx.checker.check_model(onnx.load("model.onnx"), full_check=True)
    model = load_model(record)
    for batch_size in (1, 5):
        images, _ = next(iter(CompositeLoader(collection, "test", 32, batch_size, "cpu")))
        with torch.no_grad():
            ours = model(images).numpy()
        theirs = logits("model.onnx", images)
        assert theirs.shape == (batch_size, 1, 32, 32)
        assert np.abs(ours - theirs).max() <= 1e-3 * np.abs(ours).max()
        assert np.array_equal(ours > 0, theirs > 0)


def test_the_file_says_what_it_is(record, tmp_path):
    result = export_onnx(record, tmp_path / "m.onnx")
    assert result.resolution == 32
    assert 0 <= result.relative <= 1e-3
    told = session(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map
    assert told["run"] == record.name
    assert told["model"] == "unet"
    assert told["data_hash"] == record.content["data"]["hash"]
    assert json.loads(told["classes"]) == ["chair"]
    assert (told["threshold"], told["input_range"], told["resolution"]) == ("0.0", "[0, 1]", "32")


@pytest.mark.parametrize("name", ["unet", "fcn_vgg16", "fcn_resnet50"])
def test_every_family_of_models_can_be_exported_untrained(tmp_path, name):
    model = build_model(name, 2)
    export_onnx(model, tmp_path / "m.onnx", 48)
    assert model.training  # as it was
    images = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        ours = model.eval()(images).numpy()
    assert np.abs(ours - logits(tmp_path / "m.onnx", images)).max() <= 1e-3 * np.abs(ours).max()


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, images):
        images -= 0.5
        return self.layer(images)


def test_a_model_that_changes_its_input_is_compared_on_what_it_was_given(tmp_path):
    assert export_onnx(InPlace(), tmp_path / "m.onnx", 32).relative <= 1e-3


class Branches(InPlace):
    def forward(self, images):
        return self.layer(images) if images.sum() > 0 else -self.layer(images)


class Random(InPlace):
    def forward(self, images):
        return self.layer(images) + torch.rand_like(images[:, :1])


class Infinite(InPlace):
    def forward(self, images):
        return self.layer(images) / (images[:, :1] * 0)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Branches, "Branches cannot be exported to ONNX"),
        (Random, "Random gives other logits than PyTorch: they differ by"),
        (Infinite, "Infinite gives other logits than PyTorch"),
    ],
)
def test_what_does_not_compute_the_same_is_not_written(tmp_path, capsys, model, said):
    with pytest.raises(ChairlibError, match=said) as raised, np.errstate(invalid="ignore"):
        export_onnx(model(), tmp_path / "m.onnx", 32)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_runs_that_cannot_be_exported(record, own_runs, tmp_path):
    shutil.copytree(record.folder, own_runs / "bare")
    (own_runs / "bare" / "weights.safetensors").unlink()
    with pytest.raises(RecordError, match=r"weights\.safetensors is missing"):
        export_onnx(read_record(own_runs / "bare"), tmp_path / "m.onnx")
    shutil.copytree(record.folder, own_runs / "other")
    content = json.loads((own_runs / "other" / "record.json").read_text())
    content["parameters"]["width"] = 3
    (own_runs / "other" / "record.json").write_text(json.dumps(content))
    with pytest.raises(RecordError, match="not fit"):
        export_onnx(read_record(own_runs / "other"), tmp_path / "m.onnx")
    content["kind"] = "landscape"
    (own_runs / "other" / "record.json").write_text(json.dumps(content))
    with pytest.raises(RecordError, match="is of kind landscape, which has no model of its own"):
        export_onnx(read_record(own_runs / "other"), tmp_path / "m.onnx")
    assert not list(tmp_path.glob("*.onnx*"))


def test_bad_arguments(tmp_path):
    file = tmp_path / "m.onnx"
    file.write_text("mine")
    with pytest.raises(ParameterError, match="exists; name a new file"):
        export_onnx(build_model("unet", 2), file)
    assert file.read_text() == "mine"
    with pytest.raises(ParameterError, match="found a str"):
        export_onnx("unet", tmp_path / "other.onnx")
    with pytest.raises(ParameterError, match="resolution 8 must be"):
        export_onnx(build_model("unet", 2), tmp_path / "other.onnx", 8)
