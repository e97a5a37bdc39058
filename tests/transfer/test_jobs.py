"""What fine-tuning asks of a build: runs with the pretrainings they start from, notebooks, and numbers of images."""

import pytest

from chairlib import benchmark
from chairlib.core.errors import ParameterError
from chairlib.core.jobs import Inputs
from chairlib.core.runs import record_file
from chairlib.transfer import jobs
from chairlib.transfer.run import open_run
from drawing import draw_released

TINY = {"width": 2, "resolution": 32, "images": 64, "evaluations": 2}
PRETRAININGS = ("none", "chair_segments", "coco_chairs", "chair_segments_matched")
ENTRIES = [{**TINY, "pretraining": pretraining} for pretraining in PRETRAININGS]


@pytest.fixture
def chairs(collection):
    """The benchmark runs of a profile: two seeds of one model."""
    return [benchmark.open_run(data=str(collection.root), device="cpu", **TINY, seed=seed) for seed in (0, 1)]


def inputs(photos, coco=None) -> Inputs:
    return Inputs(data="mini", photos=str(photos), coco=coco, device="cpu")


def test_each_run_starts_from_the_benchmark_run_of_its_model_and_seed(photos, chairs):
    entries = [{**TINY, "pretraining": "chair_segments", "seed": seed} for seed in (0, 1, 2, 0)]
    runs, further = jobs.open_runs(entries, inputs(photos), chairs)
    assert [run.settings.pretrained for run in runs] == [chairs[0].name, chairs[1].name, chairs[0].name]
    assert further == []
    with pytest.raises(ParameterError, match="no benchmark run of unet with width 3 at 32 px to pretrain from"):
        jobs.open_runs([{**TINY, "width": 3, "pretraining": "chair_segments"}], inputs(photos), chairs)


def test_training_as_long_waits_for_the_pretraining_of_its_seed_for_its_number_of_images(photos, chairs):
    entries = [{**TINY, "pretraining": "none_equal_total", "seed": seed} for seed in (0, 1)]
    runs, further = jobs.open_runs(entries, inputs(photos), chairs)
    assert [run.settings.pretrained for run in runs] == [run.name for run in chairs]
    assert further == []
    assert [job.needs for job in jobs.jobs(runs)] == [(record_file(run.name),) for run in chairs]


def test_runs_that_need_coco_are_left_out_without_it(photos, chairs):
    runs, further = jobs.open_runs(ENTRIES, inputs(photos), chairs)
    assert [run.settings.pretraining for run in runs] == ["none", "chair_segments"]
    assert further == []


def test_cocos_chairs_and_as_many_composites_are_pretrained_on(photos, chairs, tmp_path):
    coco = draw_released(tmp_path / "crops", {"train": 2, "val": 1, "test": 1}, source="coco_chairs")
    runs, further = jobs.open_runs([*ENTRIES, *ENTRIES], inputs(photos, coco), chairs)
    assert [run.settings.pretraining for run in runs] == list(PRETRAININGS)
    on_coco, matched = further  # each once
    assert on_coco.settings.data == str(coco)
    assert matched.settings.train_images == 2
    pretrained = [run.settings.pretrained for run in runs]
    assert pretrained == [None, chairs[0].name, on_coco.name, matched.name]


def test_one_notebook_a_run_and_the_first_is_the_chapter(photos, chairs):
    runs, _ = jobs.open_runs(ENTRIES, inputs(photos), chairs)
    chapter, other = jobs.jobs(runs)
    assert (chapter.notebook, chapter.out.name, chapter.needs) == (jobs.NOTEBOOK, "05_object_discovery.ipynb", ())
    assert other.out.parts[-2:] == ("transfer", f"{runs[1].name}.ipynb")
    assert other.needs == (record_file(chairs[0].name),)
    assert other.parameters == runs[1].settings.to_dict()
    assert other.record == record_file(runs[1].name)


def test_counts_are_what_is_trained_and_scored(photos):
    # 4 photos before the first step and twice on the way; and the 4 that are scored, at the start and at the end.
    assert jobs.count_images(open_run(data=str(photos), **TINY, device="cpu")) == (64, (1 + 2) * 4 + 2 * 4)
