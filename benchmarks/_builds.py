"""Smoke builds in folders of their own: what they start, which of their processes live, and what they leave behind.

For `kill_test.py`, and for the tests of whole builds.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import nbformat
import pandas as pd
import psutil
from safetensors import SafetensorError, safe_open

from chairlib.core import paths
from chairlib.core.errors import ChairlibError
from chairlib.core.tensors import load_tensors

__all__ = [
    "ANY",
    "STAGES",
    "Build",
    "Work",
    "RECORD_ENTRIES",
    "complete",
    "copy_sources",
    "damages",
    "differences",
    "hear_signals",
    "leftovers",
    "page_differences",
    "processes",
    "records",
    "role",
    "start",
    "wait_until_alone",
]

#: What a record says that does not depend on the clock.
RECORD_ENTRIES = ("parameters", "data", "metrics", "images_seen")
#: Files of a run that are the same bit for bit whenever it is made, on one CPU with as many threads.
SAME_BITS = ("weights.safetensors", "previews.safetensors", "examples.safetensors", "test_images.csv")

#: The stages of a build, and how many seconds a kill waits at most once the stage has begun.
STAGES = {
    "starting": 10.0,
    "packing": 0.3,
    "training": 1.0,
    "fine-tuning": 1.0,
    "landscape cells": 15.0,
    "rendering": 20.0,
    "a notebook": 6.0,
    "the book": 15.0,
}
ANY = "any moment"
PLAN = """
import json
from chairlib.build.plan import Plan
print(json.dumps([[str(job.out), job.notebook, str(job.record or "")] for job in Plan("smoke").jobs]))
"""


def copy_sources(home: Path) -> Path:
    """Copy what a build needs of the checkout to the new folder ``home``; the library is imported from where it is."""
    home.mkdir()
    for name in ("Snakefile", "_config.yml", "CITATION.cff"):
        shutil.copy(paths.package.parent / name, home)
    for name in ("profiles", "notebooks", "book"):
        ignored = shutil.ignore_patterns(
            "__pycache__", ".ipynb_checkpoints", *(["notebooks"] if name == "book" else [])
        )
        shutil.copytree(paths.package.parent / name, home / name, ignore=ignored)
    return home


def hear_signals() -> None:
    """A shell's background jobs, which this may be run by, ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(home: Path, *command: str, output: Any = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    """`chairlib paper --profile smoke`, or another command, in a process group of its own, as in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "chairlib", *(command or ("paper", "--profile", "smoke"))],
        env={**os.environ, "CHAIRLIB_HOME": str(home), **environment},
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=hear_signals,
    )


def processes(home: Path) -> list[psutil.Process]:
    """Living processes that work in ``home``."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CHAIRLIB_HOME") == str(home) and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:  # it has just ended, or is somebody else's
            continue
    return found


def role(process: psutil.Process) -> str:
    """What a process of a build is, in words; empty for one that has just ended."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return ""
    if "chairlib" in words[:-1] and words[words.index("chairlib") - 1] == "-m":
        command = words[words.index("chairlib") + 1 :]
        return " ".join(["chairlib", *command[: 2 if command[0] == "run" else 1]])
    if "snakemake" in words:
        return "Snakemake"
    text = " ".join(words)
    told = {"jupyter_book": "jupyter-book", "ipykernel": "a kernel", "multiprocessing": "a worker", "bash": "a shell"}
    return next((name for word, name in told.items() if word in text), Path(words[0]).name if words else "")


def wait_until_alone(home: Path, seconds: float) -> bool:
    """Whether all processes of a build end by themselves within so many seconds."""
    end = time.monotonic() + seconds
    while processes(home):
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def records(home: Path) -> dict[str, dict[str, Any]]:
    """What every record says that does not depend on the clock, by the run's name."""
    found = {}
    for file in (home / "runs").glob("*/record.json"):
        content = json.loads(file.read_text())
        found[content["name"]] = {name: content[name] for name in RECORD_ENTRIES}
    return found


def complete(home: Path) -> bool:
    """Whether there is a site, of which the first page is written with the others."""
    return (home / "_build" / "html" / "index.html").is_file()


# -- whole? ------------------------------------------------------------------------------------------------------------


def damages(home: Path) -> list[str]:
    """Files of a build that are there and are not whole, with the reason: what has its final name must be whole."""
    found = []
    for file in sorted(path for folder in ("runs", ".cache", "book/notebooks") for path in (home / folder).rglob("*")):
        if file.is_file() and not _is_temporary(file.relative_to(home)) and (reason := _damage(file)):
            found.append(f"{file.relative_to(home)}: {reason}")
    return found + site_damages(home / "_build" / "html")


def _is_temporary(name: Path) -> bool:
    # The new site grows in .cache/render and is moved when it is whole.
    return name.name.endswith(".tmp") or name.parts[:2] == (".cache", "render")


def _damage(file: Path) -> str:
    """Why a file cannot be read; empty where it can."""
    try:
        if file.suffix == ".json":
            json.loads(file.read_text(encoding="utf-8"))
        elif file.suffix == ".csv":
            table = pd.read_csv(file)
            if not len(table) or not file.read_bytes().endswith(b"\n"):
                return "it is cut short"
        elif file.suffix == ".safetensors":
            load_tensors(file)
        elif file.suffix == ".ipynb":
            nbformat.validate(nbformat.read(file, as_version=4))
    except Exception as error:  # each reader raises what it stumbles over
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ""


def site_damages(site: Path) -> list[str]:
    """Pages of a site that are cut short, and pages that it links to and does not have."""
    found = []
    pages = sorted(site.rglob("*.html"))
    if pages and not (site / "index.html").is_file():
        found.append("_build/html: there are pages, but no index.html")
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if "_static" not in page.parts and not text.rstrip().endswith("</html>"):
            found.append(f"_build/html/{page.relative_to(site)}: it is cut short")
    if (site / "index.html").is_file():
        for name in re.findall(r'href="([\w/]+\.html)"', (site / "index.html").read_text(encoding="utf-8")):
            if not (site / name).is_file():
                found.append(f"_build/html/{name}: index.html links to it, but it is not there")
    return found


def leftovers(home: Path) -> dict[str, int]:
    """Bytes of files that only a process in the middle of its work should have, by name."""
    patterns = ("*.tmp", "checkpoint-*", "*.failed.ipynb")
    files = [file for folder in ("runs", "book/notebooks", ".cache") for file in (home / folder).rglob("*")]
    kept = [file for file in files if file.is_file() and any(file.match(pattern) for pattern in patterns)]
    return {str(file.relative_to(home)): file.stat().st_size for file in sorted(kept)}


# -- the same? ---------------------------------------------------------------------------------------------------------


def differences(home: Path, reference: Path) -> list[str]:
    """What of a build's runs is not as in another build: records but for the clock, and files bit for bit."""
    ours, theirs = records(home), records(reference)
    found = [f"only one of the builds has {name}" for name in sorted(ours.keys() ^ theirs.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        found += [f"{name}: another {entry}" for entry in RECORD_ENTRIES if ours[name][entry] != theirs[name][entry]]
        for file in SAME_BITS:
            one, other = home / "runs" / name / file, reference / "runs" / name / file
            if one.is_file() != other.is_file() or (one.is_file() and one.read_bytes() != other.read_bytes()):
                found.append(f"{name}: another {file}")
    return found


def page_differences(home: Path, reference: Path) -> list[str]:
    """Executed pages that are not as in another folder, bit for bit.

    Left out are the times that papermill notes of cells, and what went to stderr: progress bars, and notes of training,
    which a page that only shows the finished run does not have.
    """
    folders = [folder / "book" / "notebooks" for folder in (home, reference)]
    ours, theirs = ({page.relative_to(folder): page for page in folder.rglob("*.ipynb")} for folder in folders)
    found = [f"only one of the builds has the page {name}" for name in sorted(ours.keys() ^ theirs.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        cells = [_cells(pages[name]) for pages in (ours, theirs)]
        numbers = [n for n, (one, other) in enumerate(zip(*cells, strict=False)) if one != other]
        if numbers or len(cells[0]) != len(cells[1]):
            found.append(f"page {name}: other cells {', '.join(map(str, numbers))}")
    return found


def _cells(page: Path) -> list[str]:
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        for name in ("papermill", "execution"):
            cell["metadata"].pop(name, None)
        cell.pop("id", None)  # of the cell with a build's parameters: another each time
        cell["outputs"] = [one for one in cell.get("outputs", []) if one.get("name") != "stderr"]
    return [json.dumps(cell, sort_keys=True) for cell in cells]


# -- a build, stage by stage ------------------------------------------------------------------------------------------


@dataclass
class Work:
    """A job that is in work."""

    name: str
    """The page, as ``runs/benchmark-...``; or ``the book``."""
    out: Path
    record: Path | None
    began: float
    """Seconds since 1970."""
    stage: str = "a notebook"
    kept: int | None = None
    """Images that its checkpoint had seen when it was killed, for a run in training."""

    @property
    def done(self) -> bool:
        return self.out.is_file() and self.out.stat().st_mtime > self.began


@dataclass
class Build:
    """A smoke build in a folder of its own."""

    home: Path
    log: TextIO
    jobs: dict[Path, tuple[str, Path | None]] = field(default_factory=dict)
    """Notebook and record of each executed notebook."""

    @classmethod
    def prepare(cls, home: Path, log: TextIO) -> "Build":
        copy_sources(home)
        environment = {**os.environ, "CHAIRLIB_HOME": str(home)}
        told = subprocess.run([sys.executable, "-c", PLAN], env=environment, capture_output=True, text=True, check=True)
        jobs = json.loads(told.stdout.splitlines()[-1])
        return cls(home, log, {Path(out): (name, Path(record) if record else None) for out, name, record in jobs})

    @property
    def page(self) -> Path:
        return self.home / "_build" / "html" / "index.html"

    def start(self) -> subprocess.Popen:
        # Temporary files lie on the same disk, as on most machines: they are short of space as well.
        temporary = self.home.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        return start(self.home, output=self.log, TMPDIR=str(temporary))

    def run(self) -> float:
        """Build to the end without a kill; the seconds that it took."""
        began = time.monotonic()
        if self.start().wait() != 0:
            raise ChairlibError(f"the build failed where nothing was killed; {self.log.name} says why.")
        return time.monotonic() - began

    def work(self) -> list[Work]:
        """The jobs in work, each with its stage."""
        living = [(process, role(process)) for process in processes(self.home)]
        found = []
        for process, what in living:
            try:
                words, began = process.cmdline(), process.create_time()
            except psutil.Error:
                continue
            if what == "chairlib render-book":
                found.append(Work("the book", self.page, None, began, "the book"))
            elif what.startswith("chairlib run") and "-o" in words:
                out = Path(words[words.index("-o") + 1])
                record = self.jobs.get(out, ("", None))[1]
                name = out.relative_to(self.home / "book" / "notebooks").with_suffix("").as_posix()
                found.append(self.look(Work(name, out, record, began), {what for _, what in living}))
        return found

    def look(self, work: Work, roles: set[str]) -> Work:
        """Tell the stage of a notebook by the files that it has written."""
        if work.name == "01_gallery":
            work.stage = "rendering" if "a worker" in roles else "a notebook"
        if work.record is None or work.record.is_file():
            return work
        folder = work.record.parent
        if folder.name.startswith("landscape"):
            if any(file.stat().st_mtime > work.began for file in self.cells()):
                work.stage = "landscape cells"
            return work
        work.kept = 0
        for file in folder.glob("checkpoint-*.safetensors"):
            work.stage = "training" if folder.name.startswith("benchmark") else "fine-tuning"
            try:
                with safe_open(file, "pt") as opened:
                    work.kept = json.loads(opened.metadata()["state"])["images"]
            except (OSError, SafetensorError):  # gone: the run is done
                continue
        return work

    def cells(self) -> list[Path]:
        return list((self.home / ".cache" / "landscape").rglob("*.json"))

    def packing_since(self, moment: float) -> bool:
        """Whether a packed file is being written: by now, not by a process of an earlier start."""
        times = []
        for file in (self.home / ".cache" / "packed").glob(".*.tmp"):
            with suppress(OSError):  # it has just been renamed
                times.append(file.stat().st_mtime)
        return any(time > moment for time in times)

    def reached(self, target: str, moment: float) -> bool:
        """Whether a stage has begun in the start of this moment: short ones are seen by their files, in no time."""
        if target == "packing":
            return self.packing_since(moment)
        if target in ("training", "fine-tuning"):
            kind = "benchmark" if target == "training" else "transfer"
            checkpoints = list((self.home / "runs").glob(f"{kind}-*/checkpoint-*.safetensors"))
            with suppress(OSError):  # the run is done
                return any(file.stat().st_mtime > moment for file in checkpoints)
            return False
        return target in {one.stage for one in self.work()}

    def finished(self) -> dict[str, int]:
        """What need not be done again, with the time at which it was written: runs, packed files, cells."""
        runs = [file.with_name("history.csv") for file in (self.home / "runs").glob("*/record.json")]
        files = [*runs, *(self.home / ".cache" / "packed").glob("[!.]*.safetensors"), *self.cells()]
        return {str(file.relative_to(self.home)): file.stat().st_mtime_ns for file in files if file.is_file()}

    def made_by(self, target: str, rng: random.Random) -> list[Path]:
        """What must be deleted so that a stage comes again; nothing where it is still to come."""
        pages = self.home / "book" / "notebooks"
        chapters = sorted(out for out, (_, record) in self.jobs.items() if record is None)
        made: list[Path] = []
        if target == ANY and complete(self.home):
            choice = rng.sample([stage for stage in STAGES if stage != "starting"], 2)
            return [path for stage in choice for path in self.made_by(stage, rng)]
        if target == "packing":
            made = [self.home / ".cache" / "packed", pages / "02_compositing.ipynb"]
        elif target == "rendering":
            made = [pages / "01_gallery.ipynb"]
        elif target == "a notebook" and all(page.is_file() for page in chapters):
            made = [rng.choice(chapters)]
        elif target == "the book" and complete(self.home):
            made = [self.home / "_build"]
        elif target in ("training", "fine-tuning", "landscape cells"):
            kind = {"training": "benchmark", "fine-tuning": "transfer"}.get(target, "landscape")
            of_kind = sorted(
                {record for _, record in self.jobs.values() if record and record.parts[-2].startswith(kind)}
            )
            if all(record.is_file() for record in of_kind):
                made = [rng.choice(of_kind).parent]
                made += [self.home / ".cache" / "landscape"] if kind == "landscape" else []
        return [path for path in made if path.exists()]

    def bring_back(self, target: str, rng: random.Random) -> list[str]:
        """Delete what a stage has made, where it is over; the names of what was deleted."""
        gone = self.made_by(target, rng)
        for path in gone:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        return [str(path.relative_to(self.home)) for path in gone]
