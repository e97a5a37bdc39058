"""The smoke profile end to end: collection, composites, training, report and book, in a home of the test's own."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chairlib.core import paths

pytest.importorskip("snakemake")
pytest.importorskip("jupyter_book")


def copy_sources(home: Path) -> Path:
    """What a build needs of the checkout; the library itself is imported from where it is."""
    home.mkdir()
    for name in ("Snakefile", "_config.yml", "CITATION.cff"):
        shutil.copy(paths.package.parent / name, home)
    for name in ("profiles", "notebooks", "book"):
        ignored = shutil.ignore_patterns(
            "__pycache__", ".ipynb_checkpoints", *(["notebooks"] if name == "book" else [])
        )
        shutil.copytree(paths.package.parent / name, home / name, ignore=ignored)
    return home


def hear_ctrl_c() -> None:
    """A shell's background jobs, which these tests may be run by, ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(home: Path) -> subprocess.Popen[str]:
    """`make paper PROFILE=smoke`, in a process group of its own, as a terminal would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "chairlib", "paper", "--profile", "smoke"],
        env={**os.environ, "CHAIRLIB_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )


def build(home: Path) -> str:
    process = start(home)
    log, _ = process.communicate()
    assert process.returncode == 0, log
    return log


def records(home: Path) -> dict[str, Any]:
    """What every record says that doesn't depend on the clock."""
    found = {}
    for file in (home / "runs").glob("*/record.json"):
        content = json.loads(file.read_text())
        found[content["name"]] = {name: content[name] for name in ("parameters", "data", "metrics", "images_seen")}
    return found


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


def _kernels(home: Path) -> list[int]:
    """Processes that still work on a build in ``home``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"CHAIRLIB_HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _wait_until_alone(home: Path, seconds: float) -> bool:
    """Whether all processes of a build ended by themselves: kernels notice within moments that their parent is gone."""
    end = time.monotonic() + seconds
    while _kernels(home) and time.monotonic() < end:
        time.sleep(0.2)
    return not _kernels(home)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found by /proc")
def test_a_build_killed_at_any_moment_recovers(built, tmp_path):
    home = copy_sources(tmp_path / "home")
    rng = random.Random(0)
    for _ in range(5):
        process = start(home)
        try:
            process.wait(rng.uniform(5, 45))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert _wait_until_alone(home, 30)
        for file in (home / "runs").glob("*/record.json"):
            json.loads(file.read_text())
    build(home)
    assert records(home) == records(built[0])
    assert (home / "_build" / "html" / "notebooks" / "04_benchmark_report.html").is_file()
    assert not list((home / "book" / "notebooks").rglob("*.failed.ipynb"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found by /proc")
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
    assert log.endswith("\nchairlib: interrupted; started again, training and rendering go on where they stopped.\n")
    assert "Traceback" not in log
    assert _wait_until_alone(home, 10)
    assert not list((home / "book").rglob("*.tmp"))
    build(home)
    assert records(home) == records(built[0])
