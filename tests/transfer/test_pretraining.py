"""The pretrained record: its weights are those that fine-tuning starts from, and what does not fit is refused."""

import pytest
import torch

from chairlib import fine_tune
from chairlib.core.errors import ChairlibError, ParameterError, RecordError
from chairlib.core.tensors import load_tensors, save_tensors
from chairlib.transfer import run as transfer
from chairlib.transfer.pretraining import pretraining_of

TINY = {"width": 2, "resolution": 32, "images": 64, "evaluations": 2, "device": "cpu"}


def test_it_starts_from_the_weights_it_names(pretrained, photos, monkeypatch, own_runs):
    seen = {}

    def look(model, *_, **__):
        seen.update({name: tensor.clone() for name, tensor in model.state_dict().items()})
        raise ChairlibError("seen enough")

    for file in pretrained.folder.iterdir():
        (own_runs / pretrained.name).mkdir(parents=True, exist_ok=True)
        (own_runs / pretrained.name / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(transfer, "fit", look)
    with pytest.raises(ChairlibError, match="seen enough"):
        fine_tune(pretrained=pretrained, data=str(photos), **TINY)
    weights, _ = load_tensors(pretrained.file("weights.safetensors"))
    assert all(torch.equal(seen[name], tensor) for name, tensor in weights.items())


def test_a_pretrained_record_may_be_given_by_its_name(photos, pretrained):
    by_record, by_name = (fine_tune(pretrained=one, data=str(photos), **TINY) for one in (pretrained, pretrained.name))
    assert by_name.content == by_record.content
    with pytest.raises(
        RecordError, match=rf"no finished run is called '{pretrained.name}x' \(similar: {pretrained.name}"
    ):
        fine_tune(pretrained=f"{pretrained.name}x", data=str(photos), **TINY)
    with pytest.raises(ParameterError, match="pretrained 5 is no record; give a record, or its name"):
        fine_tune(pretrained=5, data=str(photos), **TINY)


def test_the_beginning_of_a_name_will_do(photos, pretrained):
    full = fine_tune(pretrained=pretrained, data=str(photos), progress=False, **TINY)
    for short in (pretrained.name[:-3], pretrained.name.partition("-")[2][:-3]):
        assert fine_tune(pretrained=short, data=str(photos), **TINY).folder == full.folder
        asked = {"pretraining": "chair_segments", "pretrained": short, "data": str(photos)}
        assert transfer.open_run(**asked, **TINY).folder == full.folder
    # A run that a plan names may not be finished yet: its name stays as it is.
    later = transfer.open_run(**{**asked, "pretrained": "benchmark-unet-later"}, **TINY)
    assert later.settings.pretrained == "benchmark-unet-later"
    with pytest.raises(RecordError, match="no finished run is called 'benchmark-unet-later'"):
        transfer.train(later, progress=False)


def test_model_and_width_are_those_of_the_record(photos, pretrained):
    without = {name: value for name, value in TINY.items() if name != "width"}
    record = fine_tune(pretrained=pretrained, data=str(photos), progress=False, **without)
    assert (record.settings.model, record.settings.width) == ("unet", 2)
    for name, other in (("model", "fcn_vgg16"), ("width", 4), ("width", None)):
        with pytest.raises(RecordError, match=rf"holds a model with .*{name}.* is asked for; leave that out"):
            fine_tune(pretrained=pretrained, data=str(photos), progress=False, **without, **{name: other})


@pytest.mark.parametrize("pretraining", ["chair_segments", "none_equal_total"])
def test_a_record_is_stale_once_the_pretrained_weights_change(photos, pretrained, own_runs, pretraining):
    """One that has only the number of its images from there, too: that number may be another one now."""
    copy = own_runs / pretrained.name
    copy.mkdir(parents=True)
    for file in pretrained.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    asked = {"pretrained": pretrained, "pretraining": pretraining, "data": str(photos), **TINY}
    record = fine_tune(progress=False, **asked)
    assert record.mismatch() is None
    weights, _ = load_tensors(copy / "weights.safetensors")
    changed = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    save_tensors(copy / "weights.safetensors", changed)
    assert f"made from other weights than those that {pretrained.name} holds now" in record.mismatch()


def test_a_fine_tuned_record_is_no_pretraining(photos, scratch):
    with pytest.raises(RecordError, match="is no pretraining but of kind transfer"):
        fine_tune(pretrained=scratch, data=str(photos), progress=False, **{**TINY, "seed": 5})


def test_a_record_is_taken_for_what_it_was_pretrained_on(photos, pretrained):
    assert pretraining_of(pretrained) == "chair_segments"
    asked = transfer.open_run(data=str(photos), **TINY, pretraining="coco_chairs", pretrained=pretrained.name)
    with pytest.raises(
        RecordError, match="was pretrained on chair_segments, but pretraining 'coco_chairs' is asked for"
    ):
        transfer.train(asked, progress=False)


def test_a_checkpoint_from_other_weights_is_not_gone_on_with(photos, pretrained, own_runs, monkeypatch):
    copy = own_runs / pretrained.name
    copy.mkdir(parents=True)
    for file in pretrained.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    used = []

    def stop(*_, checkpoint, **__):
        used.append(checkpoint)
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer, "fit", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fine_tune(pretrained=pretrained, data=str(photos), progress=False, **TINY)
        weights, _ = load_tensors(copy / "weights.safetensors")
        save_tensors(copy / "weights.safetensors", {name: tensor * 2 for name, tensor in weights.items()})
    assert used[0] != used[1]
    assert used[0].parent == used[1].parent


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"pretrained": "benchmark-nowhere"}, "no finished run is called .benchmark-nowhere."),
        ({"width": 4}, "holds a model with .*'width': 2.* but .*'width': 4.* is asked for"),
    ],
)
def test_a_pretrained_record_that_does_not_fit_is_told(photos, pretrained, asked, message):
    settings = {**TINY, "pretraining": "chair_segments", "pretrained": pretrained.name, **asked}
    with pytest.raises(RecordError, match=message):
        transfer.train(transfer.open_run(data=str(photos), **settings), progress=False)
