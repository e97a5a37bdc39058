"""Where the seconds of a build went, read from what it left: Snakemake's job times, executed notebooks and records.

Claim: all of a build's time between Snakemake's first line and its last is told, within a second; no job is timed
anew. Prints a table by part, the longest runs, and how many bytes the site has. Jobs run beside each other, so seconds
of parts add up to the build's time multiplied by its cores.

Only jobs of the newest build count: records that it found finished cost it nothing. Training holds its validations.
Packing is from the start of a cell to the last file that was packed during it; where two jobs run beside each other
and may both have packed it, it is counted with the first.

    python benchmarks/paper_time.py FOLDER [--runs 20]
"""

import argparse
import itertools
import json
import re
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chairlib.core.errors import ChairlibError

#: The parts, in the order of a build; each is a sum over jobs.
PARTS = {
    "process": "notebooks' processes: start and end",
    "imports": "notebooks' first code cell: imports, opening runs",
    "packing": "packing images",
    "training": "training, validations included",
    "analyses": "analyses of the landscape",
    "scores": "runs' data and test scores",
    "cells": "other cells: figures, tables, reports",
    "book": "rendering the book",
}


@dataclass
class Job:
    """A job of Snakemake: when it ran, in seconds since 1970, and how many of them each part took.

    ``packs``: whether it is given a collection.
    """

    rule: str
    start: float
    end: float
    page: Path | None
    packs: bool
    record: dict[str, Any] | None
    parts: dict[str, float] = field(default_factory=dict)


def seconds_of(text: str) -> float:
    """A time as papermill and records write it, in seconds since 1970."""
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def newest_build(folder: Path) -> tuple[float, float]:
    """When Snakemake's newest build began and ended: its log is named by the first, and written to until the second."""
    for log in sorted((folder / ".snakemake" / "log").glob("*.snakemake.log"), reverse=True):
        if "%) done" in log.read_text(encoding="utf-8", errors="replace"):
            began = datetime.strptime(log.name.split(".snakemake")[0], "%Y-%m-%dT%H%M%S.%f")
            return began.timestamp(), log.stat().st_mtime
    raise ChairlibError(f"{folder} holds no log of a build in .snakemake/log; build there first: make paper.")


def read_jobs(folder: Path, began: float, ended: float) -> list[Job]:
    """The jobs of the build, in the order of their start."""
    jobs = {}
    for file in (folder / ".snakemake" / "metadata").rglob("*"):
        told = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        start, end = told.get("starttime"), told.get("endtime")
        if start is None or end is None or not began <= start <= end <= ended + 1:
            continue
        words = shlex.split(told["shellcmd"] or "")
        page = Path(words[words.index("-o") + 1]) if "-o" in words else None
        # ... chairlib run NOTEBOOK -P PARAMETERS -o PAGE
        given = words[words.index("-o") - 1] if page else "{}"
        parameters = json.loads(words[2] if given == "-" else given)  # printf %s PARAMETERS | ...
        record = folder / "runs" / told["rule"].removeprefix("run_") / "record.json"
        found = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else None
        # A job with two outputs is told of twice, a few milliseconds apart.
        jobs[told["rule"]] = Job(told["rule"], start, end, page, "data" in parameters, found)
    return sorted(jobs.values(), key=lambda job: job.start)


def split(job: Job, packed: list[tuple[int, float]]) -> None:
    """Fill ``job.parts``. ``packed``: resolution and time of each file that was packed; those of this job are taken."""
    job.parts = dict.fromkeys(PARTS, 0.0)
    if job.page is None or not job.page.is_file():
        job.parts["book" if job.rule == "book" else "process"] = job.end - job.start
        return
    cells = [cell for cell in json.loads(job.page.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    times = [cell["metadata"]["papermill"] for cell in cells if "papermill" in cell["metadata"]]
    spans = [(seconds_of(time["start_time"]), seconds_of(time["end_time"])) for time in times if time["start_time"]]
    # The cells of the parameters take no time; the first that does imports the chapter's code.
    first = next((number for number, (start, end) in enumerate(spans) if end - start > 0.05), None)
    finished, resolution = None, None
    if job.record:
        finished, resolution = seconds_of(job.record["finished"]), job.record["parameters"]["resolution"]
    for number, (start, end) in enumerate(spans):
        rest, part = end - start, "imports" if number == first else "cells"
        # A record's time is in whole seconds.
        if finished is not None and start - 1 <= finished <= end + 1 and rest >= job.record["seconds"]:
            job.parts["analyses" if job.record["kind"] == "landscape" else "training"] += job.record["seconds"]
            rest, part = rest - job.record["seconds"], "scores"
        within = [one for one in packed if job.packs and start < one[1] < end and resolution in (None, one[0])]
        if within:
            packing = min(rest, max(time for _, time in within) - start)
            job.parts["packing"] += packing
            rest -= packing
            packed[:] = [one for one in packed if one not in within]
        job.parts[part] += rest
    job.parts["process"] = max(0.0, job.end - job.start - sum(job.parts.values()))


def unused(jobs: list[Job], began: float, ended: float) -> tuple[float, float, float]:
    """Seconds before the first job, without any job since, and with one job only."""
    moments = sorted({began, ended, *(job.start for job in jobs), *(job.end for job in jobs)})
    first = min((job.start for job in jobs), default=ended)
    empty = alone = 0.0
    for start, end in itertools.pairwise(moments):
        count = sum(job.start <= start and end <= job.end for job in jobs)
        empty += (end - start) * (count == 0 and start >= first)
        alone += (end - start) * (count == 1)
    return first - began, empty, alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the paper was built")
    parser.add_argument("--runs", type=int, default=20, help="how many of the longest jobs to list")
    arguments = parser.parse_args()
    folder = arguments.folder.expanduser().resolve()

    began, ended = newest_build(folder)
    jobs = read_jobs(folder, began, ended)
    packed = [
        (int(named[1]), file.stat().st_mtime)
        for file in (folder / ".cache" / "packed").glob("*.safetensors")
        if (named := re.match(r"[0-9a-f]+-(\d+)-", file.name))
    ]
    # Chapters pack any resolution, so runs choose first.
    for job in sorted(jobs, key=lambda job: job.record is None):
        split(job, packed)

    before, empty, alone = unused(jobs, began, ended)
    print(f"{'build':<50} {ended - began:9.1f} s, {len(jobs)} jobs")
    config = folder / ".cache" / "plan.json"
    if config.is_file() and (started := json.loads(config.read_text(encoding="utf-8")).get("started")) is not None:
        print(f"{'  set-up before Snakemake: the plan, estimates':<50} {began - started:9.1f} s")
    print(f"{'  Snakemake before the first job':<50} {before:9.1f} s")
    print(f"{'  Snakemake between jobs and at the end, none running':<50} {empty:9.1f} s")
    print(f"{'  one job only was running':<50} {alone:9.1f} s")
    total = sum(job.end - job.start for job in jobs)
    print(f"{'all jobs, added up':<50} {total:9.1f} s")
    for part, title in PARTS.items():
        spent = sum(job.parts[part] for job in jobs)
        print(f"  {title:<48} {spent:9.1f} s {spent / max(total, 1e-9):6.1%}")
    longest = sorted(jobs, key=lambda job: job.start - job.end)[: arguments.runs]
    for job in longest:
        shown = ", ".join(f"{part} {spent:.1f}" for part, spent in job.parts.items() if spent >= 0.05)
        print(f"  {job.end - job.start:8.1f} s  {job.rule}: {shown}")
    files = [file for file in (folder / "_build" / "html").rglob("*") if file.is_file()]
    print(f"the site: {len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
