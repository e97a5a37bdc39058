"""One benchmark run: its parameters are checked, its record is complete, and it is never trained twice."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.describe import describe_record
from chairlib.benchmark.evaluation import evaluate
from chairlib.benchmark.models import build_model
from chairlib.benchmark.report import open_report
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import locks, paths, runs
from chairlib.core.errors import ChairlibError
from chairlib.core.tensors import load_tensors
from chairlib.show.tables import style_table
from drawing import make_collection, write_released
from lock_helpers import copies, holder

TINY = {
    "width": 2,
    "resolution": 32,
    "images": 64,
    "val_images": 6,
    "test_images": 12,
    "evaluations": 2,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def record(collection):
    return benchmark.train(benchmark.open_run(data=str(collection.root), **TINY), progress=False)


def test_a_record_tells_everything(record, collection):
    content = record.content
    assert content["data"] == {"name": "drawn", "hash": collection.hash}
    assert content["images_seen"] == 92  # an epoch of 60, then a whole batch of 32 for the other 4
    assert content["code"]["hash"] == runs.code_hash("benchmark")
    assert content["packages"]["torch"]
    assert content["hardware"]
    assert content["recipe"]["batch_size"] == 32
    assert content["half_images"] == 0  # half of 32 pixels would be too few for a model
    assert content["precision"] in ("float32", "bfloat16")
    test = record.metrics["test"]
    assert test["n_images"] == 8
    assert test["interval_units"] == "groups"
    assert 0 <= test["iou"] <= test["dice"] <= 100
    assert 50 < record.metrics["all_background_precision"] < 90
    assert record.history()["images"].tolist() == [60, 92]
    assert len(record.table("test_images")) == 8
    assert not list(record.folder.glob("checkpoint*"))


def test_the_weights_are_those_that_were_scored(record, collection):
    model = build_model("unet", width=2)
    model.load_state_dict(load_tensors(record.file("weights.safetensors"))[0])
    loader = CompositeLoader(collection, "test", 32, 4, "cpu", limit=12)
    assert evaluate(model, loader).scores.iou == pytest.approx(record.metrics["test"]["iou"], abs=0.05)


def test_a_finished_run_is_only_read(record, collection, monkeypatch):
    monkeypatch.setattr(benchmark, "fit", lambda *_, **__: pytest.fail("trained twice"))
    again = benchmark.train(benchmark.open_run(data=str(collection.root), **TINY))
    assert again.content == record.content


def test_second_process_waits_for_the_first_and_reads_its_record(record, collection, own_runs, monkeypatch, capsys):
    run = benchmark.open_run(data=str(collection.root), **TINY)
    monkeypatch.setattr(locks, "POLL", 0.05)
    monkeypatch.setattr(benchmark, "fit", lambda *_, **__: pytest.fail("trained twice"))
    with holder(paths.cache, run.name, code=copies(record.folder, run.folder)) as first:
        assert run.record is None
        assert benchmark.train(run).content == record.content
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{run.name} is in work: process {first.pid} on ")


#: Arguments: the home, the data, the parameters of the run. It says what it trains.
TRAINS = """
import json, sys
from pathlib import Path
from chairlib.benchmark import run as benchmark
from chairlib.core import locks, paths
locks.POLL, original = 0.1, benchmark.fit
def fit(*arguments, checkpoint, **options):
    print("from a checkpoint" if checkpoint.exists() else "from the start", flush=True)
    return original(*arguments, checkpoint=checkpoint, **options)
benchmark.fit = fit
paths.cache, paths.runs = Path(sys.argv[1]) / "cache", Path(sys.argv[1]) / "runs"
record = benchmark.train(benchmark.open_run(data=sys.argv[2], **json.loads(sys.argv[3])), progress=False)
print("weights", benchmark.runs.weights_hash(record.name), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_two_processes_train_a_run_once_and_the_second_goes_on_where_the_first_dies(collection, tmp_path, killed):
    def start(home):
        command = [sys.executable, "-c", TRAINS, str(home), str(collection.root), json.dumps(settings)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    settings = {**TINY, "images": 1600, "evaluations": 40}
    first = start(tmp_path)
    while not list(tmp_path.glob("runs/*/checkpoint-*.safetensors")):
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # so that it has not finished before the second comes
    second = start(tmp_path)
    assert f"is in work: process {first.pid} on" in second.stderr.readline()
    first.send_signal(signal.SIGKILL if killed else signal.SIGCONT)
    out, _ = first.communicate(timeout=120)
    told, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    assert "is in work" not in errors  # it has been said
    *trained, weights = told.splitlines()
    assert trained == (["from a checkpoint"] if killed else [])
    assert out.splitlines() == ["from the start", *([] if killed else [weights])]
    uninterrupted, _ = start(tmp_path / "alone").communicate(timeout=120)
    assert uninterrupted.splitlines() == ["from the start", weights]


def test_device_and_path_of_the_data_are_not_part_of_the_question(record, collection, tmp_path):
    (tmp_path / "elsewhere").symlink_to(collection.root)
    assert benchmark.open_run(data=str(tmp_path / "elsewhere"), **{**TINY, "device": "auto"}).name == record.name


def test_numpys_numbers_ask_the_same(record, collection):
    asked = {name: np.int64(value) if type(value) is int else value for name, value in TINY.items()}
    run = benchmark.open_run(data=str(collection.root), **asked)
    assert run.name == record.name
    assert json.loads(json.dumps(run.settings.to_dict())) == run.settings.to_dict()


@pytest.mark.parametrize("change", [{"seed": 1}, {"images": 65}, {"width": 3}, {"test_images": 5}, {"recipe": "paper"}])
def test_every_other_parameter_is(record, collection, change):
    assert benchmark.open_run(data=str(collection.root), **{**TINY, **change}).name != record.name


@pytest.mark.parametrize("which", ["fixed", "best", "worst"])
def test_examples_are_kept_for_reports(record, which):
    kept = benchmark.examples(record, which)
    count = len(kept["ious"])
    assert count == {"fixed": 6, "best": 4, "worst": 4}[which]
    assert kept["images"].shape == (count, 32, 32, 3)
    assert kept["targets"].dtype == bool
    assert kept["probabilities"].max() <= 1
    # One composite a chair: each of the four test chairs stands before two rooms.
    by_chair = record.table("test_images").groupby("group")["iou"]
    if which == "best":
        assert np.array_equal(kept["ious"], np.sort(by_chair.max())[::-1])
    if which == "worst":
        assert np.array_equal(kept["ious"], np.sort(by_chair.min()))


def test_what_the_model_made_of_a_few_validation_composites_is_kept(record):
    kept = benchmark.previews(record)
    seen = kept["seen"].tolist()
    assert (seen[0], seen[-1]) == (0, record.content["images_seen"])
    assert {*record.history()["images"]} <= {*seen}
    assert kept["images"].shape == (3, 32, 32, 3)
    assert kept["targets"].any((1, 2)).all()
    assert kept["probabilities"].shape == (len(seen), 3, 32, 32)
    assert 0 <= kept["probabilities"].min() < kept["probabilities"].max() <= 1
    assert record.file("previews.safetensors").stat().st_size < 200_000


def test_an_older_record_has_no_previews(record, tmp_path):
    shutil.copytree(record.folder, tmp_path / record.name, ignore=shutil.ignore_patterns("previews*"))
    assert benchmark.previews(runs.read_record(tmp_path / record.name)) == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "unett"}, "unett"),
        ({"recipe": "slow"}, "slow"),
        ({"resolution": 16}, "at least 32"),
        ({"resolution": 8}, "8"),
        ({"images": 0}, "images 0"),
        ({"images": 2.5}, "2.5"),
        ({"val_images": -1}, "val_images"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed 18446744073709551616 must be a whole number from 0 to 4294967295"),
        ({"device": "warp"}, "warp"),
        ({"widht": 4}, "widht"),
        ({"data": "no-such-folder"}, "no-such-folder"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(collection, change, words):
    with pytest.raises(ChairlibError, match=words):
        benchmark.open_run(**{"data": str(collection.root), **TINY, **change})


def test_data_in_the_authors_layout_can_be_benchmarked(collection, tmp_path, own_runs):
    write_released(collection, tmp_path / "Chair032", 32)
    record = benchmark.train(benchmark.open_run(data=str(tmp_path / "Chair032"), **TINY), progress=False)
    assert record.metrics["test"]["interval_units"] == "images"
    assert record.content["data"]["name"] == "Chair032"


def test_a_model_of_ones_own(collection, tmp_path, own_runs, monkeypatch):
    code = ["from torch import nn", "def net():", "    return nn.Sequential(nn.Conv2d(3, 1, 3, padding=1))"]
    (tmp_path / "mine.py").write_text("\n".join(code))
    monkeypatch.syspath_prepend(tmp_path)
    record = benchmark.train(
        benchmark.open_run(data=str(collection.root), **{**TINY, "model": "mine:net", "width": None}), progress=False
    )
    assert record.content["n_parameters"] == 28


def test_an_edited_model_of_ones_own_is_another_run(collection, tmp_path, own_runs, monkeypatch):
    code = "from torch import nn\ndef net():\n    return nn.Conv2d(3, 1, 3, padding=1)\n"
    (tmp_path / "edited.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    settings = {"data": str(collection.root), **TINY, "model": "edited:net", "width": None}
    first = benchmark.open_run(**settings).name
    assert benchmark.open_run(**settings).name == first
    (tmp_path / "edited.py").write_text(code.replace("1)", "1, 3, padding=1)"))
    assert benchmark.open_run(**settings).name != first


def test_a_folder_that_cannot_be_written_is_told_before_training(collection, own_runs, monkeypatch):
    run = benchmark.open_run(data=str(collection.root), **TINY)
    monkeypatch.setattr("chairlib.benchmark.run.fit", lambda *_, **__: pytest.fail("must not train"))
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    run.folder.write_text("a file in its place")
    with pytest.raises(ChairlibError, match=rf"cannot write .*{run.name}: .*{run.name}: it is no folder\. Change that"):
        benchmark.train(run, progress=False)
    run.folder.unlink()
    with monkeypatch.context() as patch:  # root may write everywhere, and a test has no read-only disk
        patch.setattr("chairlib.core.files.os.access", lambda path, mode: Path(path) != run.folder.parent)
        with pytest.raises(ChairlibError, match="you may not write there, or the disk is read-only"):
            benchmark.train(run, progress=False)
    assert not run.folder.exists()


def test_too_few_groups_for_an_interval_is_said(tmp_path, own_runs):
    small = make_collection(tmp_path / "small", 3, 3)
    record = benchmark.train(benchmark.open_run(data=str(small.root), **TINY), progress=False)
    assert "too few groups" in describe_record(record)
    style_table(open_report(small.root).table1(), "Table 1")
