"""Cells: listed before anything is trained, computed once, kept in files, and the same in the estimate and the bar."""

import json
import math
from dataclasses import replace

import pytest

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.models import UNet
from chairlib.core import paths
from chairlib.landscape import cells as landscape_cells
from chairlib.landscape import jobs
from chairlib.landscape import run as landscape
from chairlib.landscape.cells import Cell, CellStore, Study, TrainedModels, unique_cells
from chairlib.landscape.evaluator import Evaluator
from chairlib.landscape.settings import LandscapeSettings
from chairlib.transfer import run as transfer


@pytest.fixture
def computed(monkeypatch, tmp_path):
    """Keys of the cells that are computed, in order, from an empty cache on."""
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    keys, read = [], CellStore.get

    def get(self, cell, models):
        def compute(models):
            keys.append(cell.key)
            return cell.compute(models)

        return read(self, replace(cell, compute=compute), models)

    monkeypatch.setattr(CellStore, "get", get)
    return keys


def test_a_stopped_analysis_goes_on_where_it_was(full, tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    scored = []
    evaluations = Evaluator.evaluations

    def stop_at_the_fifth(self, *arguments, **options):
        if len(scored) == 4:
            raise KeyboardInterrupt
        scored.append(1)
        return evaluations(self, *arguments, **options)

    monkeypatch.setattr(Evaluator, "evaluations", stop_at_the_fifth)
    run = landscape.open_run(**tiny)
    with pytest.raises(KeyboardInterrupt):
        landscape.analyse(run, progress=False)
    assert run.record is None
    cells = sorted((tmp_path / "cache" / "landscape").rglob("*.json"))
    assert len(cells) == 4
    before = {file: file.stat().st_mtime_ns for file in cells}

    def count(self, *arguments, **options):
        scored.append(1)
        return evaluations(self, *arguments, **options)

    monkeypatch.setattr(Evaluator, "evaluations", count)
    landscape.analyse(run, progress=False)
    assert len(scored) == 3 * 2 * 3  # sets, ways and alphas, each once
    assert {file: file.stat().st_mtime_ns for file in cells} == before

    # A finer grid computes only what is new; a damaged cell is computed again.
    scored.clear()
    cells[0].write_text("{")
    finer = landscape.analyse(landscape.open_run(**{**tiny, "n_alphas": 5}), progress=False)
    assert len(scored) == 3 * 2 * 2 + 1
    json.loads(cells[0].read_text())
    assert finer.table("curves")["alpha"].nunique() == 5


@pytest.mark.parametrize(("coarse", "fine"), [(5, 9), (7, 13)])
def test_a_finer_plane_scores_only_the_cells_between(tiny, monkeypatch, tmp_path, coarse, fine):
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    first = landscape.analyse(landscape.open_run(**tiny, plane=coarse), progress=False).table("planes")
    scored, score = [], Evaluator.score

    def count(self, *arguments, **options):
        scored.append(1)
        return score(self, *arguments, **options)

    monkeypatch.setattr(Evaluator, "score", count)
    second = landscape.analyse(landscape.open_run(**tiny, plane=fine), progress=False).table("planes")
    assert set(first["pair"]) == {"F", "S"}
    kept = first.merge(second, on=["pair", "x", "y"], suffixes=("", "_again"))
    assert len(kept) == len(first)  # all cells of both planes
    assert (kept["loss"] == kept["loss_again"]).all()
    assert len(scored) == len(second) - len(first)


CHANGES = [
    {},
    {"n_early": 3},
    {"plane": 3},
    {"beyond": True},
    {"beyond": True, "n_seeds": 3, "n_early": 2, "plane": 2, "beyond_ends": 1.0},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_all_that_is_computed_was_listed_before_and_nothing_is_computed_twice(tiny, computed, changes):
    run = landscape.open_run(**{**tiny, **changes, "n_alphas": 2})
    opened = landscape.members(run.settings)
    analyses = landscape.analyses(Study.of(run.settings, opened))
    listed = unique_cells(analyses.values())
    record = landscape.analyse(run, progress=False)
    assert len(computed) == len(set(computed))
    made = dict.fromkeys(computed)
    planes = {key for key in listed if key[0] == "plane"}
    # Where the cells of a plane lie, and how many rows there are, is known only of trained models.
    assert {key for key in made if key[0] != "plane"} == listed.keys() - planes
    assert len([key for key in made if key[0] == "plane"]) == (len(record.table("planes")) if planes else 0)
    assert len(record.table("planes")) <= len(planes)

    models = TrainedModels(Study.of(run.settings, opened), {label: each.record for label, each in opened.items()})
    known = {key for analysis in analyses.values() for key in unique_cells([analysis], models)}
    assert known == made.keys()

    computed.clear()
    (run.folder / "record.json").unlink()
    again = landscape.analyse(run, progress=False)
    assert computed == []
    assert again.metrics == record.metrics


@pytest.mark.parametrize(("changes", "n_train"), [*((changes, 16) for changes in CHANGES), ({"plane": 3}, 6)])
def test_the_images_of_an_analysis_are_counted(tiny, monkeypatch, computed, changes, n_train):
    """What its cells send through the network, the examples' masks aside, and the total of the progress bar.

    Of 16 training photos, all are used or a part.
    """
    for module in (jobs, landscape_cells):
        monkeypatch.setattr(module, "N_TRAIN", n_train)
    run = landscape.open_run(**{**tiny, **changes, "n_alphas": 2})
    for label, member in landscape.members(run.settings).items():
        (benchmark if label.startswith("P") else transfer).train(member, False)
    (run.folder / "record.json").unlink(missing_ok=True)
    seen, totals = [], []
    forward, get = UNet.forward, CellStore.get
    monkeypatch.setattr(UNet, "forward", lambda self, images: (seen.append(len(images)), forward(self, images))[1])

    def counted(self, cell, models):
        totals.append(self.bar.total)
        return get(self, cell, models)

    monkeypatch.setattr(CellStore, "get", counted)
    record = landscape.analyse(run, progress=False)
    shown = len({key for key in computed if key[0] == "line"}) * len(landscape.examples(record)["images"])
    # The estimate takes a plane for a square: each cell that it has not would recalibrate, and score 4 photos.
    missing = 2 * run.settings.plane**2 - len(record.table("planes"))
    assert jobs.count_images(run) == (0, sum(seen) - shown + missing * (n_train + 4))
    assert set(totals) == {len(computed)}


def make_store(folder, **tags):
    return CellStore(folder, tags, progress=False)


def test_a_result_is_computed_once_and_kept_in_a_file(tmp_path):
    calls = []
    cell = Cell(("line", "F1", "alpha 0.25"), lambda models: calls.append(models) or {"iou": math.nan, "masks": "AA=="})
    store = make_store(tmp_path, F1="F1.abc")
    first = store.get(cell, "models")
    assert store.get(cell, "models") is first
    assert calls == ["models"]
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.json")] == [
        "line/F1.abc/alpha 0.25.json"
    ]
    again = make_store(tmp_path, F1="F1.abc").get(cell, "models")
    assert math.isnan(again["iou"])
    assert again["masks"] == first["masks"]
    assert len(calls) == 1


def test_cells_that_differ_in_one_part_have_files_of_their_own(tmp_path):
    """Numbers with a point among them: alpha 0.25 and alpha 0.5 are not both "alpha 0"."""
    keys = [(kind, "F1", f"alpha {alpha:g}") for kind in ("line", "plane") for alpha in (0, 0.25, 0.5, 1, 1.25)]
    store = make_store(tmp_path)
    for number, key in enumerate(keys):
        assert store.get(Cell(key, lambda models, number=number: number), None) == number
    again = make_store(tmp_path)
    assert [again.get(Cell(key, lambda models: None), None) for key in keys] == list(range(len(keys)))


def test_other_weights_are_another_cell_and_a_damaged_file_is_computed_again(tmp_path):
    cell = Cell(("line", "F1"), lambda models: models)
    assert make_store(tmp_path, F1="F1.old").get(cell, 1) == 1
    assert make_store(tmp_path, F1="F1.new").get(cell, 2) == 2
    (tmp_path / "line" / "F1.old.json").write_text("{")
    assert make_store(tmp_path, F1="F1.old").get(cell, 3) == 3
    assert make_store(tmp_path, F1="F1.old").get(cell, 4) == 3


def test_a_study_knows_its_models_before_they_are_trained():
    settings = LandscapeSettings(width=2, n_seeds=3, n_alphas=5, beyond_ends=0.3)
    study = Study.of(settings, ["P", "F1", "S1", "P@12", "F1@12", "F2@12", "F1@0", "F2@0"])
    assert study.batch_norm == ("average", "recalibrate")
    assert study.blocks[0] == "stem"
    assert study.blocks[-1] == "classifier"
    assert study.early_budgets == (0, 12)
    assert list(study.numbers) == [1, 2, 3]
    assert study.pairs == [(1, 2), (1, 3), (2, 3)]
    assert study.alphas == [-0.25, 0, 0.25, 0.5, 0.75, 1, 1.25]
    assert Study.of(LandscapeSettings(model="weights:without_batchnorm"), []).batch_norm == ("average",)
