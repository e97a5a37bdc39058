"""Every benchmark runs, at toy size: only whether it runs is tested, never how fast."""

import json
import math
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import torch
from _builds import damages, differences, leftovers, page_differences
from kill_test import kill_command, page_rows
from nbformat.v4 import new_code_cell, new_notebook

from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core import paths
from chairlib.core.errors import ChairlibError, RecordError
from chairlib.core.runs import Record, open_run, reference_records
from chairlib.core.tensors import save_tensors

ROOT = paths.package.parent
SCRIPTS = sorted(
    str(file.relative_to(ROOT)) for folder in ("", "extras/*/") for file in ROOT.glob(f"{folder}benchmarks/[!_]*.py")
)

#: The smallest settings of each script. DATA stands for a tiny collection, BUILD for a folder with a finished build.
TOYS = {
    "benchmarks/cross_test.py": "DATA --width 2 --resolution 32 --images 32 --test-images 8",
    "benchmarks/determinism.py": "--data DATA --width 2 --resolution 32 --images 128 --val-images 8 --test-images 8 "
    "--seeds 2 --repeats 1 --threads 1 --device cpu --trial",
    "benchmarks/fine_tuning_rates.py": "--data DATA --models unet --width 2 --rates 1e-3 --categories car --seeds 1 "
    "--images 32 --pretrained-images 32 --resolution 32 --device cpu",
    "benchmarks/gpu.py": "DATA --device cpu --width 2 --models unet fcn_vgg16 --resolutions 32 --images 32 "
    "--short-images 32 --race-images 32 --val-images 8 --test-images 8 --compared 8 --batch-sizes 4 --steps 1 "
    "--seeds 1",
    "benchmarks/growth.py": "--data DATA --sizes 10 1000 --grouped 10 20 40",
    "benchmarks/interpolation.py": "--data DATA --width 2 --resolution 32 --alphas 3 --batch-size 4 --device cpu "
    "--train-images 8 --test-images 4",
    "benchmarks/kill_test.py": "--kills 0 --commands export --command-kills 1 --data DATA",
    "benchmarks/loader_speed.py": "--data DATA --resolution 16 --batch-size 4 --images 16 --device cpu "
    "--also 32x2 --repeats 1",
    "benchmarks/metrics_speed.py": "--images 20",
    "benchmarks/page_weight.py": "BUILD/_build/html",
    "benchmarks/paper_time.py": "BUILD",
    "benchmarks/pack_for_gpu.py": "DATA packed.zip --side 48",
    "benchmarks/pack_reference.py": "--all --out evening-2026-01-02.zip",
    "benchmarks/plan_cost.py": "--data DATA --jobs 8 --cores 1 --schedulers greedy",
    "benchmarks/recipe_search.py": "--data DATA --width 2 --resolution 32 --images 32 --images-full 32 --val-images 8 "
    "--seeds 1 --device cpu",
    "benchmarks/scale.py": "--segments 9 12 18 --backgrounds 5 6 7 --resolutions 32 40 48 --images 8 12 16 --width 2 "
    "--loaded 16 --repeats 1 --device cpu",
    "benchmarks/thresholds.py": "DATA --images 6",
    "benchmarks/time_to_iou.py": "--data DATA --width 2 --resolution 32 --images 64 --evaluations 2 --val-images 8 "
    "--seeds 1 --plain-seconds 0.1 --device cpu",
    "benchmarks/training_speed.py": "--rows unet:2:32:2 fcn_vgg16:2:32:2 --threads 1 --repeats 1 --device cpu",
    "benchmarks/verdicts.py": "--photos 9 --seeds 1 3 --studies 50",
    "extras/chairfinder/benchmarks/review.py": "--images 26 --pages 1 --pause 0",
    "extras/chairfinder/benchmarks/screening.py": "DATA/segments --backgrounds DATA/backgrounds",
    "extras/chairfinder/benchmarks/screening_thresholds.py": "DATA --images 2 --records .",
    "extras/chairmaker/benchmarks/render_speed.py": "--images 1 --compared 1 --sizes 32 --collections DATA",
}
#: What a script needs that the library does not.
NEEDS = {"review": "ipywidgets", "plan_cost": "snakemake", "render_speed": "mitsuba"}


#: When the finished build began, and the seconds of it at which things happened.
BEGAN = datetime(2026, 1, 2, 3, 4, 5)
RUN, REPORT, BOOK, ENDED = (10, 110), (105, 115), (115, 120), 121
RUN_CELLS, REPORT_CELLS = [(12, 12.01), (12.01, 15), (15, 108), (108, 109)], [(106, 109), (109, 114)]


@pytest.fixture
def build(tmp_path) -> Path:
    """What a build leaves that is of interest for its times: a run that packed and trained, a report, and the book."""
    folder, began = tmp_path / "build", BEGAN.timestamp()
    state, pages, run = folder / ".snakemake", folder / "book" / "notebooks", folder / "runs" / "benchmark-a"
    for new in (state / "log", state / "metadata", pages, run, folder / ".cache/packed", folder / "_build/html"):
        new.mkdir(parents=True)
    (folder / "_build/html/index.html").write_text("<p>A page.</p>")

    def at(seconds: float) -> str:
        return datetime.fromtimestamp(began + seconds, UTC).isoformat()

    def cell(start: float, end: float) -> dict:
        times = {"start_time": at(start), "end_time": at(end)}
        return {"cell_type": "code", "metadata": {"papermill": times}, "source": "", "outputs": []}

    told = {"run_benchmark-a": RUN, "chapter_report": REPORT, "book": BOOK, "chapter_of_another_build": (-50, -40)}
    data = json.dumps({"data": "mini"})
    for number, (rule, (start, end)) in enumerate(told.items()):
        command = (
            "render-book"
            if rule == "book"
            else f"python -P -m chairlib run x -P '{data}' -o {pages / rule}.ipynb && true"
        )
        job = {"rule": rule, "starttime": began + start, "endtime": began + end, "shellcmd": command}
        (state / "metadata" / str(number)).write_text(json.dumps(job))
    for rule, cells in (("run_benchmark-a", RUN_CELLS), ("chapter_report", REPORT_CELLS)):
        (pages / f"{rule}.ipynb").write_text(json.dumps({"cells": [cell(*times) for times in cells]}))
    record = {"kind": "benchmark", "finished": at(107).replace("+00:00", "Z"), "seconds": 80.0}
    (run / "record.json").write_text(json.dumps({**record, "parameters": {"resolution": 64}}))
    packed, log = folder / ".cache/packed/0a-64-x.safetensors", state / f"log/{BEGAN:%Y-%m-%dT%H%M%S.%f}.snakemake.log"
    log.write_text("3 of 3 steps (100%) done")
    for file, seconds in ((packed, 20), (log, ENDED)):
        file.touch()
        os.utime(file, (began + seconds, began + seconds))
    (folder / ".cache" / "plan.json").write_text(json.dumps({"started": began - 4}))
    return folder


@pytest.fixture
def finished(own_runs) -> Record:
    """A finished run, whose data lie in a folder of somebody."""
    run = open_run(BenchmarkSettings(data="/home/me/chairs", width=2), "chairs", "d" * 16)
    run.write_table("history", pd.DataFrame({"images": [1024], "val_iou": [60.123456], "learning_rate": [0.000123456]}))
    (run.folder / "weights.safetensors").write_bytes(b"many")
    return run.finish({"iou": 61.0}, seconds=1.0, images_seen=1024, hardware="a computer")


def test_every_benchmark_has_a_toy_size():
    assert sorted(TOYS) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_runs_at_toy_size(script, collection, build, finished, tmp_path, monkeypatch, capsys):
    if needed := NEEDS.get(Path(script).stem):
        pytest.importorskip(needed)
    arguments = TOYS[script].replace("DATA", str(collection.root)).replace("BUILD", str(build)).split()
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAIRLIB_RECORDS", str(tmp_path / "records"))
    monkeypatch.syspath_prepend(str((ROOT / script).parent))  # as Python does where a script is called
    threads = torch.get_num_threads()
    try:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    assert capsys.readouterr().out.strip()


def test_a_reference_build_holds_records_and_tables_alone(finished, tmp_path, monkeypatch):
    archives = [tmp_path / name / "reference" / "evening-2026-01-02.zip" for name in ("a", "b")]
    for archive in archives:
        monkeypatch.setattr(sys, "argv", ["pack_reference.py", "--all", "--out", str(archive)])
        runpy.run_path(str(ROOT / "benchmarks/pack_reference.py"), run_name="__main__")
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with zipfile.ZipFile(archives[0]) as file:
        assert file.namelist() == [f"{finished.name}/record.json", f"{finished.name}/history.csv"]
        assert file.read(f"{finished.name}/history.csv").decode() == (
            "images,val_iou,learning_rate\n1024,60.123,0.00012346\n"
        )
        assert b"/home/me" not in file.read(f"{finished.name}/record.json")
    monkeypatch.setattr(paths, "assets", tmp_path / "a")
    (record,) = reference_records("benchmark")
    day, commit = finished.content["finished"][:10], finished.content["code"]["commit"]
    assert record.content["reference"] == (
        f"Made on {day} at commit {commit} on a computer; profile evening; data: chairs."
    )
    assert (record.metrics, record.settings.data) == (finished.metrics, "chairs")


def test_without_finished_runs_there_is_no_reference_build(own_runs, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pack_reference.py", "--all", "--out", str(tmp_path / "evening-2026-01-02.zip")])
    with pytest.raises(RecordError, match=r"there is no finished run in .*; make paper PROFILE=evening first"):
        runpy.run_path(str(ROOT / "benchmarks/pack_reference.py"), run_name="__main__")
    assert not (tmp_path / "evening-2026-01-02.zip").exists()


def test_the_time_of_a_build_is_told_by_part(build, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["paper_time.py", str(build)])
    runpy.run_path(str(ROOT / "benchmarks/paper_time.py"), run_name="__main__")
    lines = re.findall(r"^ *([^\d\s].*?) +(\d+\.\d) s", capsys.readouterr().out, re.MULTILINE)
    told = {title: float(seconds) for title, seconds in lines}
    assert told == {
        "build": 121,
        "set-up before Snakemake: the plan, estimates": 4,
        "Snakemake before the first job": 10,
        "Snakemake between jobs and at the end, none running": 1,
        "one job only was running": 105,
        "all jobs, added up": 115,
        "notebooks' processes: start and end": 5,
        "notebooks' first code cell: imports, opening runs": 6,
        "packing images": 5,
        "training, validations included": 80,
        "analyses of the landscape": 0,
        "runs' data and test scores": 8,
        "other cells: figures, tables, reports": 6,
        "rendering the book": 5,
    }


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_growth_is_carried_on_along_the_measured_slope(power, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    growth = runpy.run_path(str(ROOT / "benchmarks/growth.py"))
    points = [(size, 3 * size**power) for size in (10, 100, 1000)]
    assert growth["carry_on"](points, 100) == (3 * 100**power, 3 * 100**power)
    low, high = growth["carry_on"](points, 1e6)
    assert low == pytest.approx(3 * 1e6**power)
    assert high == pytest.approx(low)
    bent = [*points[:2], (1000, 2 * points[2][1])]  # steeper at the end: the two slopes differ
    low, high = growth["carry_on"](bent, 1e6)
    assert low < high == pytest.approx(bent[-1][1] * 1000 ** (power + math.log10(2)))
    with pytest.raises(ChairlibError, match="2 points are too few"):
        growth["carry_on"](points[:2], 1e6)


def test_growth_is_told_in_units_for_people(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    in_words = runpy.run_path(str(ROOT / "benchmarks/growth.py"))["in_words"]
    told = {
        ("B", 1.5e8, 1.5e8): "150 MB",
        ("B", 5e8, 1.2e9): "500 MB to 1.2 GB",
        ("s", 0.3, 0.3): "0.30 s",
        ("s", 138.0, 1260.0): "2.3 to 21 min",
        ("s", 2580.0, 207_000.0): "43 min to 2.4 days",
    }
    assert {key: in_words(*key[1:], key[0]) for key in told} == told


def test_a_machine_with_a_gpu_needs_no_notebooks(collection, tmp_path):
    """`gpu.py` runs where packages of notebooks, collecting and building are missing."""
    missing = (
        "IPython",
        "ipykernel",
        "ipywidgets",
        "jupyter_core",
        "papermill",
        "nbformat",
        "imagehash",
        "httpx",
        "snakemake",
    )
    script = ROOT / "benchmarks/gpu.py"
    program = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({missing})); sys.path.insert(0, {str(script.parent)!r}); "
        f"sys.argv = [{str(script)!r}, *{TOYS['benchmarks/gpu.py'].replace('DATA', str(collection.root)).split()}]; "
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    env = {**os.environ, "CHAIRLIB_HOME": str(tmp_path), "CHAIRLIB_RECORDS": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "gpu.json").read_text())
    assert {"composites-32", "recorded-steps", "loader", "seconds-to-iou", "line", "cell-unet-32"} <= record.keys()
    rows = record["deterministic"]["rows"]
    assert [row["same_bits"] for row in rows] == [True, True, False]  # on a CPU, one seed has the same bits always
    assert all(row["seconds"] > 0 for row in rows)
    # A later call goes on with what the record lacks: nothing.
    again = subprocess.run([sys.executable, "-c", program], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "gpu.json").read_text()) == record


def test_rates_of_fine_tuning_are_measured_once(collection, own_runs, tmp_path, monkeypatch, capsys):
    """A second call goes on with the cells that the record lacks; one with other settings begins anew."""
    script, file = "benchmarks/fine_tuning_rates.py", tmp_path / "rates.json"
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def cells(*more: str) -> list[dict]:
        arguments = TOYS[script].replace("DATA", str(collection.root)).split()
        monkeypatch.setattr(sys, "argv", [script, *arguments, "--record", str(file), *more])
        runpy.run_path(str(ROOT / script), run_name="__main__")
        return json.loads(file.read_text())["runs"]

    def measured() -> int:
        return capsys.readouterr().out.count("seed")

    first = cells()
    assert ([cell["start"] for cell in first], measured()) == (["scratch", "pretrained"], 2)
    again = cells("--rates", "1e-3", "1e-2")
    assert (again[:2], [cell["learning_rate"] for cell in again[2:]], measured()) == (first, [1e-2, 1e-2], 2)
    assert len(cells("--images", "64")) == measured() == 2


def test_without_a_gpu_nothing_is_measured(collection, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py", str(collection.root)])
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    runpy.run_path(str(ROOT / "benchmarks/gpu.py"), run_name="__main__")
    assert capsys.readouterr().out == "not measured: there is no GPU here\n"


# -- what the kill test sees -------------------------------------------------------------------------------------------


@pytest.fixture
def killed_build(tmp_path) -> Path:
    """A folder with one file of each kind that a build leaves, all of them whole."""
    home = tmp_path / "killed"
    run, page, site = home / "runs/benchmark-a", home / "book/notebooks/03_benchmark.ipynb", home / "_build/html"
    for folder in (run, page.parent, site):
        folder.mkdir(parents=True)
    record = {"name": run.name, "parameters": {}, "data": {}, "metrics": {"iou": 61.5}, "images_seen": 512}
    (run / "record.json").write_text(json.dumps({**record, "seconds": 1.5}))
    (run / "history.csv").write_text("images,val_iou\n128,40.5\n512,61.5\n")
    save_tensors(run / "weights.safetensors", {"weight": torch.arange(100.0)})
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1"), new_code_cell("2 + 2")]), page)
    (site / "index.html").write_text('<html><a href="intro.html">to the introduction</a></html>\n')
    (site / "intro.html").write_text("<html></html>\n")
    return home


def test_the_kill_test_finds_every_file_that_is_not_whole(killed_build):
    assert damages(killed_build) == []
    names = [str(file.relative_to(killed_build)) for file in killed_build.rglob("*") if file.is_file()]
    assert len(names) == 6
    for name in names:
        file = killed_build / name
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) - 12])
        assert [found.split(":")[0] for found in damages(killed_build)] == [name]
        file.with_name(f".{file.name}.tmp").write_bytes(b"what a killed process was writing")
        file.write_bytes(whole)
        assert damages(killed_build) == []
    (killed_build / "_build/html/intro.html").unlink()
    assert damages(killed_build) == ["_build/html/intro.html: index.html links to it, but it is not there"]
    assert len(leftovers(killed_build)) == 4


def test_the_kill_test_finds_every_difference(killed_build, tmp_path):
    other = Path(shutil.copytree(killed_build, tmp_path / "other"))
    record, page = other / "runs/benchmark-a/record.json", other / "book/notebooks/03_benchmark.ipynb"
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "seconds": 2.5}))  # the clock makes no difference
    assert differences(killed_build, other) == page_differences(killed_build, other) == []
    record.write_text(json.dumps({**content, "metrics": {"iou": 61.4}}))
    save_tensors(other / "runs/benchmark-a/weights.safetensors", {"weight": torch.arange(100.0) + 1})
    assert differences(killed_build, other) == [
        "benchmark-a: another metrics",
        "benchmark-a: another weights.safetensors",
    ]
    page.write_text(page.read_text().replace("2 + 2", "2 + 3"))
    assert page_differences(killed_build, other) == ["page 03_benchmark.ipynb: other cells 1"]
    page.unlink()
    assert page_differences(killed_build, other) == ["only one of the builds has the page 03_benchmark.ipynb"]


@pytest.mark.parametrize("status", [0, 3])
def test_the_kill_test_says_when_a_command_ended_before_every_kill(tmp_path, monkeypatch, status):
    """The command has always ended before it is looked at. All calls but the first end with this status."""
    calls: list[Path] = []

    def start(home, name, *words, output):
        calls.append(out := Path(words[-1]))
        if fails := status and len(calls) > 1:
            out = tmp_path / "nothing"
        process = subprocess.Popen(["sh", "-c", 'mkdir -p "$0"; exit "$1"', str(out), str(status if fails else 0)])
        process.wait()
        return process

    monkeypatch.setitem(kill_command.__globals__, "start", start)
    faults: list[str] = []
    with open(tmp_path / "log.txt", "w") as log:
        found = kill_command("export", [], tmp_path, 2, random.Random(0), log, faults)
    assert found["kills"] == []
    tries = len(calls) - 2
    ended = [f"export: a start that nothing killed ended with status 3; {log.name} says why"] * tries
    few = "export: only 0 of 2 kills struck: it ended before the others"
    assert faults == ([*ended, few, "export: the start after the last kill failed"] if status else [few])


def test_the_kill_test_has_a_table_for_a_page():
    kill = {"stages": ["packing", "training"], "way": "Ctrl-C", "seconds_until_all_ended": 1.5, "status": 130}
    cost = {"jobs_lost": ["runs/benchmark-a"], "images_lost_at_most": 128, "recovered": 20.5}
    assert page_rows([kill | cost]) == [
        {
            "stage": "packing, training",
            "way": "Ctrl-C",
            "seconds_until_all_ended": 1.5,
            "jobs_lost": 1,
            "images_lost_at_most": 128,
            "recovered_seconds": 20.5,
        }
    ]
