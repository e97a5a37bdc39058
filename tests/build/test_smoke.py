"""The smoke profile end to end: collection, composites, training, report and book, in a home of the test's own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from _builds import copy_sources, records, start, wait_until_alone

from chairlib.core import paths

pytest.importorskip("snakemake")
pytest.importorskip("jupyter_book")


def build(home: Path) -> str:
    process = start(home)
    log, _ = process.communicate()
    assert process.returncode == 0, log
    return log


def written(home: Path) -> dict[str, int]:
    return {file.parent.name: file.stat().st_mtime_ns for file in (home / "runs").glob("*/history.csv")}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    home = copy_sources(tmp_path_factory.mktemp("smoke") / "home")
    return home, build(home)


def test_a_build_leaves_records_pages_and_the_book(built):
    home, log = built
    assert "profile smoke: 10 runs, 10 to train, on mini" in log
    assert len(records(home)) == 10
    trained = {name: record for name, record in records(home).items() if not name.startswith("landscape")}
    assert len(trained) == 9
    for record in trained.values():
        assert record["images_seen"] >= 256
        assert 0 <= record["metrics"]["test"]["precision"] <= 100
    site = home / "_build" / "html"
    chapters = [path.stem for path in (paths.package.parent / "notebooks").glob("*.ipynb")]
    for page in ("index", "results", *(f"notebooks/{chapter}" for chapter in chapters)):
        assert (site / f"{page}.html").is_file()
    assert (site / "notebooks" / "07_loss_landscape.html").stat().st_size < 3_000_000
    assert len(list((site / "notebooks" / "runs").glob("*.html"))) == 2
    assert len(list((site / "notebooks" / "transfer").glob("*.html"))) == 5  # three of them for the landscape
    leftovers = [path for path in (home / "runs").rglob("*") if "checkpoint" in path.name or path.suffix == ".tmp"]
    assert leftovers == []
    assert "Traceback" not in log
    assert str(home) not in (site / "notebooks" / "03_benchmark.html").read_text()


def test_the_site_of_a_build_is_as_the_book_s_tests_want_it(built):
    """The tests of the book, run over a site of real chapters; their own has stubs in the chapters' place."""
    home, _ = built
    tests = [str(Path(__file__).with_name(f"{name}.py")) for name in ("test_book", "test_site")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    environment = {**os.environ, "CHAIRLIB_SITE": str(home / "_build" / "html")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=paths.package.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_done_is_not_done_again(built):
    home, _ = built
    before, page = written(home), (home / "_build/html/index.html").stat().st_mtime_ns
    log = build(home)
    assert "10 runs, 0 to train" in log
    assert written(home) == before
    assert (home / "_build/html/index.html").stat().st_mtime_ns == page


def test_a_deleted_run_alone_is_trained_again(built):
    home, _ = built
    before, results = written(home), records(home)
    lost = next(name for name in before if "32px" in name)
    shutil.rmtree(home / "runs" / lost)
    log = build(home)
    assert "10 runs, 1 to train" in log
    assert records(home) == results  # the same seed gives the same bits
    after = written(home)
    assert {name for name in after if after[name] != before[name]} == {lost}


@pytest.mark.slow
def test_a_build_killed_at_any_moment_recovers(built, tmp_path, monkeypatch):
    """Five kills of `make kill-test`, which kills thirty times; its record is not kept here."""
    monkeypatch.setenv("CHAIRLIB_RECORDS", str(tmp_path / "records"))
    script = paths.package.parent / "benchmarks" / "kill_test.py"
    options = ["--kills", "5", "--command-kills", "2", "--reference", str(built[0]), "--folder", str(tmp_path / "work")]
    done = subprocess.run([sys.executable, str(script), *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = (tmp_path / "records").glob("kill-test-*.json")
    kills = json.loads(record.read_text())["build"]["kills"]
    assert len(kills) == 5
    assert len({stage for kill in kills for stage in kill["stages"]}) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["starting", "training"])
def test_ctrl_c_ends_a_build_and_all_it_started(built, tmp_path, moment):
    home = copy_sources(tmp_path / "home")
    process = start(home)
    assert any("profile smoke" in printed for printed in process.stdout)
    while moment == "training" and not list((home / "runs").glob("*/*")):  # bars of short runs print nothing in a log
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert log.endswith("\nchairlib: interrupted; the same command goes on where it stopped.\n")
    assert "Traceback" not in log
    assert wait_until_alone(home, 10)
    assert not list((home / "book").rglob("*.tmp"))
    build(home)
    assert records(home) == records(built[0])
