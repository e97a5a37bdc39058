"""What the benchmark asks of a build: runs and notebooks, runs beside COCO's chairs, and the time that runs take."""

import sys
import types

import pytest
import torch

from chairlib.benchmark import jobs, train
from chairlib.benchmark.recipes import get_recipe
from chairlib.benchmark.run import open_run
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core.errors import ParameterError
from chairlib.core.jobs import Inputs
from chairlib.core.runs import record_file
from drawing import draw_released

TINY = {"width": 2, "resolution": 32, "images": 64, "val_images": 2, "test_images": 2, "device": "cpu"}


@pytest.fixture
def coco(tmp_path):
    """Two training crops, one for validation."""
    return draw_released(tmp_path / "crops", {"train": 2, "val": 1, "test": 1}, source="coco_chairs")


def test_each_run_has_a_notebook_and_the_first_is_the_chapter(collection):
    inputs = Inputs(data=str(collection.root), photos="stand-in", coco=None, device="cpu")
    entries = [{"width": 2, "resolution": resolution} for resolution in (64, 32, 64)]
    runs = jobs.open_runs(entries, inputs)
    assert [run.settings.resolution for run in runs] == [64, 32]  # each once
    chapter, other = jobs.jobs(runs)
    assert (chapter.notebook, chapter.out.name) == (jobs.NOTEBOOK, "03_benchmark.ipynb")
    assert other.out.parts[-2:] == ("runs", f"{runs[1].name}.ipynb")
    assert other.record == record_file(runs[1].name)
    assert other.parameters == runs[1].settings.to_dict()


def test_a_pretraining_is_found_by_model_size_and_seed(collection):
    runs = [open_run(data=str(collection.root), **TINY, seed=seed) for seed in (0, 1)]
    settings = runs[0].settings
    assert [jobs.find_run(runs, settings, seed) for seed in (0, 1, 2)] == [runs[0], runs[1], runs[0]]
    with pytest.raises(ParameterError, match="no benchmark run of unet with width 2 at 32 px"):
        jobs.find_run(runs, settings.with_changes(normalise="imagenet"), 0)
    for model, width, resolution in (("fcn_vgg16", 2, 32), ("unet", 3, 32), ("unet", 2, 64)):
        message = f"no benchmark run of {model} with width {width} at {resolution} px to pretrain from"
        with pytest.raises(ParameterError, match=message):
            jobs.find_run(runs, settings.with_changes(model=model, width=width, resolution=resolution), 0)


def test_runs_beside_coco_differ_in_their_data_alone(collection, coco):
    run = open_run(data=str(collection.root), **TINY)
    on_coco, matched = (jobs.beside_coco(run, coco, matched) for matched in (False, True))
    assert on_coco.data["name"] == "drawn"
    assert matched.data == run.data
    own = run.settings.to_dict()
    for other, changed in ((on_coco, {"data"}), (matched, {"train_images"})):
        assert jobs.count_images(other)[0] == jobs.count_images(run)[0]
        assert {name for name, value in other.settings.to_dict().items() if value != own[name]} == {
            *changed,
            "evaluations",
        }
    # As often as the run that they stand beside, which has seen no eight epochs by the end.
    assert on_coco.settings.evaluations == matched.settings.evaluations == 8


def test_data_sets_that_are_compared_give_as_many_images(collection, coco, own_runs):
    # A recipe that stops early would end as soon as its score stands still: after a few evaluations of two crops.
    run = open_run(data=str(collection.root), **TINY, recipe="paper")
    records = [train(jobs.beside_coco(run, coco, matched), progress=False) for matched in (False, True)]
    assert [record.content["images_seen"] for record in records] == [64, 64]
    assert len({len(record.history()) for record in records}) == 1
    assert [record.content["recipe"]["patience"] for record in records] == [None, None]


def test_counts_are_what_is_trained_and_scored(collection):
    asked = {**TINY, "images": None, "val_images": 6, "test_images": 12}
    run = open_run(data=str(collection.root), **asked, recipe="paper", evaluations=2)
    assert jobs.count_images(run) == (20 * 60, 2 * 6 + 8)


def test_speed_is_measured_per_image():
    ticks = iter([0.0, 3.0, 10.0, 12.0])
    recipe = get_recipe("fast", "unet")
    speed = jobs.measure_speed(BenchmarkSettings.of(TINY), recipe, clock=lambda: next(ticks))
    assert speed == pytest.approx((3 / (3 * recipe.batch_size), 2 / recipe.batch_size))


def test_speed_is_measured_on_the_same_images_at_the_resolution_asked_for(monkeypatch):
    seen = []

    class InPlace(torch.nn.Conv2d):
        def forward(self, images):
            if images.any():  # not the black ones of a model's trial
                seen.append(images.clone())
            return super().forward(images.mul_(9))

    monkeypatch.setitem(sys.modules, "own_models", types.SimpleNamespace(net=lambda: InPlace(3, 1, 1)))
    recipe = get_recipe("fast", "own", half_until=0.0)
    jobs.measure_speed(BenchmarkSettings(model="own_models:net", resolution=40, device="cpu"), recipe)
    timed = [images for images in seen if len(images) == recipe.batch_size]
    assert len(timed) == 4 + 2
    assert all(torch.equal(images, timed[0]) for images in timed)
    assert {images.shape[-1] for images in seen} == {40}


def test_speed_counts_the_steps_at_half_the_resolution_as_what_they_take():
    # By turns: full, half, scored. 3 steps in 3 s and 1 s, and a score in 2 s.
    ticks = iter([0.0, 3.0, 10.0, 11.0, 20.0, 22.0])
    recipe = get_recipe("fast", "unet", half_until=0.25)
    trained, scored = jobs.measure_speed(BenchmarkSettings(width=2, device="cpu"), recipe, clock=lambda: next(ticks))
    assert trained == pytest.approx((0.75 * 3 + 0.25 * 1) / (3 * recipe.batch_size))
    assert scored == pytest.approx(2 / recipe.batch_size)
