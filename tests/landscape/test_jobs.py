"""What a build is told of the landscape: its analyses, and how many images they cost."""

from types import SimpleNamespace

import pytest

from chairlib.benchmark import jobs as benchmark
from chairlib.build import plan as build
from chairlib.core.errors import ParameterError
from chairlib.core.jobs import Inputs
from chairlib.landscape import jobs
from chairlib.landscape import run as landscape

#: Images and seed of two pretrainings.
PAIRS = [(48, 1), (64, 0)]


def test_a_planes_images_are_counted_as_if_it_were_square(tiny):
    plain, plane = (jobs.count_images(landscape.open_run(**tiny, plane=n))[1] for n in (0, 6))
    assert plane - plain == 2 * 6 * 6 * (16 + 4)  # each cell recalibrates on 16 photos and scores 4


def test_an_estimate_of_a_build_holds_the_analysis(tiny, monkeypatch):
    run = landscape.open_run(**tiny, plane=6, n_early=2)
    monkeypatch.setattr(benchmark, "measure_speed", lambda *settings: (100.0, 0.5))
    assert build.estimate(SimpleNamespace(runs=[run])) == 0.5 * jobs.count_images(run)[1] > 0


def test_a_profile_lists_each_analysis_once_and_p_is_a_run_of_the_benchmark(tiny):
    inputs = Inputs(data=tiny["data"], photos=tiny["photos"], coco=None, device="cpu")
    common = {"width": 2, "resolution": 32}
    pretrainings = benchmark.open_runs([{**common, "images": images, "seed": seed} for images, seed in PAIRS], inputs)
    entries = [{**common, "images": 32}, {**common, "images": 32, "category": "horse"}, {**common, "images": 32}]
    runs = jobs.open_runs(entries, inputs, pretrainings)
    assert [run.settings.category for run in runs] == ["car", "horse"]
    # Seed 0 of the two pretrainings of this model, width and resolution.
    assert {landscape.members(run.settings)["P"].name for run in runs} == {pretrainings[1].name}
    needed = jobs.members(runs)
    assert len(needed) == len({run.name for run in needed}) == 1 + 2 * 5  # R1 is S1, so it is not needed as well
    with pytest.raises(ParameterError, match="no benchmark run of unet with width 4 at 32 px to pretrain from"):
        jobs.open_runs([{**common, "width": 4}], inputs, pretrainings)


def test_the_chapter_waits_for_the_other_analyses_and_they_not_for_it(tiny):
    runs = [landscape.open_run(**tiny, category=category) for category in ("car", "horse")]
    chapter, other = jobs.jobs(runs, "toy", "A toy.")
    assert (chapter.out.stem, other.out.stem) == (jobs.NOTEBOOK, runs[1].name)
    assert runs[1].folder / "record.json" in chapter.needs
    assert runs[0].folder / "record.json" not in other.needs
    for job, run in zip((chapter, other), runs, strict=True):
        assert job.record == run.folder / "record.json"
        assert {member.folder / "record.json" for member in jobs.members([run])} <= set(job.needs)
        assert job.parameters["pretrain"] == tiny["pretrain"]
    assert chapter.parameters["beside"] == [run.name for run in runs]
    assert other.parameters["beside"] == [runs[1].name]
