"""What it costs to plan and to hand out jobs, however many they are: seconds of the plan and of Snakemake, no training.

Claim: all of this takes less than 4 s of processor time for a job, at 3,000 jobs as at 300, and most of it is the start
of Snakemake for each job of a cluster, which reads the whole plan: 1.7 s at 300 jobs and 2.9 s at 3,000. The rest is
below 0.05 s a job with the scheduler `greedy`. The start is the limit, as it grows with the plan: above some 3,000 jobs
split a profile into several, or let the profile of a cluster put several runs into one job (group-components).

For each number of jobs: seconds of making the plan (runs opened, fingerprints), of writing and reading its file, of a
dry run (Snakemake's start and its graph), of executing everything where each job only touches its files, with both of
Snakemake's schedulers, and of what one job of a cluster does before its notebook starts: Snakemake in a process of its
own, for that job alone. `cpu` is the processor time of the process and its children, which other work on the machine
changes less than `wall`. What a cluster's queue itself takes is not in it.

    python benchmarks/plan_cost.py [--jobs 300 3000] [--executed 300] [--schedulers greedy ilp] [--cores 2]
        [--data mini]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from _records import write_record

from chairlib.build.plan import Plan
from chairlib.build.snakemake import PLAN, write_plan
from chairlib.core import paths

T = TypeVar("T")
#: Runs of one seed: a benchmark run at two resolutions, and fine-tuning of three categories in two arms.
PROFILE = """
description: Many small runs, never trained.
benchmark:
  featured: {{resolution: 64, seed: 0}}
  runs: [{{model: unet, width: 4, images: 64, recipe: fast, resolution: [32, 64], seed: {seeds}}}]
transfer:
  featured: {{category: car, seed: 0}}
  common: {{model: unet, width: 4, images: 64, recipe: fast}}
  runs: [{{category: [airplane, car, horse], pretraining: [none, chair_segments], seed: {seeds}}}]
"""
A_SEED = 8
#: Stands for the interpreter of jobs, which Snakemake calls with: -P -m chairlib run NOTEBOOK -P PARAMETERS -o PAGE
NOTHING = """#!/bin/sh
[ "$7" = - ] && cat > /dev/null
case "$4" in
    render-book) mkdir -p _build/html; : > _build/html/index.html ;;
    *) : > "$9"; name=$(basename "$9" .ipynb)
       case "$9" in */runs/*) mkdir -p "runs/$name"; : > "runs/$name/record.json" ;; esac ;;
esac
"""


def timed(work: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """What ``work`` gives, and its seconds by the clock and of the processor, children that ended included."""

    def used() -> float:
        return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

    wall, cpu = time.perf_counter(), used()
    found = work()
    return found, {"wall": round(time.perf_counter() - wall, 3), "cpu": round(used() - cpu, 3)}


def snakemake(home: Path, *options: str) -> None:
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(paths.package.parent / "Snakefile")]
    command += ["--directory", str(home), "--nolock", "--quiet", "all", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"Snakemake failed:\n{done.stdout}{done.stderr}")


def make_home(home: Path) -> None:
    """Everything that the Snakefile names beside the plan, empty."""
    for folder in ("book/_assets", "book/notebooks/runs", "notebooks", ".cache"):
        (home / folder).mkdir(parents=True)
    notebooks = (f"notebooks/{file.name}" for file in (paths.package.parent / "notebooks").glob("*.ipynb"))
    for name in ("_config.yml", "CITATION.cff", "book/intro.md", *notebooks):
        (home / name).touch()
    (home / "nothing").write_text(NOTHING)
    (home / "nothing").chmod(0o755)


def pretend(home: Path) -> list[str]:
    """Let the jobs of the plan's file only touch their files. Gives the names of the runs' rules."""
    plan: dict[str, Any] = json.loads((home / ".cache" / PLAN).read_text(encoding="utf-8"))
    names = []
    for job in plan["jobs"]:
        if job["record"]:
            names.append(Path(job["record"]).parent.name)
            job["out"] = str(home / "book" / "notebooks" / "runs" / f"{names[-1]}.ipynb")
    (home / ".cache" / PLAN).write_text(json.dumps(plan | {"python": str(home / "nothing")}), encoding="utf-8")
    return [f"run_{name}" for name in names]


def measure(home: Path, count: int, schedulers: list[str], cores: int, data: str) -> dict[str, Any]:
    """All seconds at about ``count`` jobs."""
    make_home(home)
    folders = {"cache": ".cache", "runs": "runs", "book": "book", "notebooks": "notebooks"}
    profile = home / "many.yaml"
    profile.write_text(PROFILE.format(seeds=list(range(max(1, count // A_SEED)))), encoding="utf-8")
    with patch.multiple(paths, home=home, **{name: home / folder for name, folder in folders.items()}):
        plan, planning = timed(lambda: Plan(str(profile), data, "cpu"))
        jobs, listing = timed(plan.for_snakemake)
        _, writing = timed(lambda: write_plan(plan, {}, time.time()))
    file = home / ".cache" / PLAN
    _, reading = timed(lambda: json.loads(file.read_text(encoding="utf-8")))
    told: dict[str, Any] = {"jobs": len(jobs), "bytes": file.stat().st_size}
    told |= {"plan": planning, "jobs_of_plan": listing, "write": writing, "read": reading}
    rules = pretend(home)
    told["dry_run"] = timed(lambda: snakemake(home, "--cores", str(cores), "--dry-run"))[1]
    alone = [
        "--target-jobs",
        f"{rules[0]}:",
        "--allowed-rules",
        rules[0],
        "--cores",
        "1",
        "--mode",
        "remote",
        "--force",
    ]
    told["one_cluster_job"] = timed(lambda: snakemake(home, *alone))[1]
    for scheduler in schedulers:
        for made in (*home.glob("runs/*/record.json"), *home.glob("book/notebooks/**/*.ipynb")):
            made.unlink()
        seconds = timed(lambda s=scheduler: snakemake(home, "--cores", str(cores), "--scheduler", s))[1]
        told[f"executed_{scheduler}"] = seconds
        told[f"a_job_{scheduler}"] = {name: round(spent / len(jobs), 4) for name, spent in seconds.items()}
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--executed", type=int, default=300, help="up to how many jobs are executed, too")
    parser.add_argument("--schedulers", nargs="+", default=["greedy", "ilp"])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--data", default="mini")
    arguments = parser.parse_args()
    points = []
    for count in arguments.jobs:
        with tempfile.TemporaryDirectory(prefix="chairlib-") as folder:
            home = Path(folder).resolve()
            schedulers = arguments.schedulers if count <= arguments.executed else []
            point = measure(home, count, schedulers, arguments.cores, arguments.data)
        points.append(point)
        print(f"{point['jobs']} jobs, {point['bytes'] / 1e6:.2f} MB of plan")
        for name, seconds in point.items():
            if isinstance(seconds, dict):
                print(f"  {name:<16} {seconds['wall']:9.3f} s, of the processor {seconds['cpu']:9.3f} s", flush=True)
    load = [round(one, 2) for one in os.getloadavg()]
    print(write_record("plan-cost", {"cores": arguments.cores, "load": load, "points": points}, "cpu"))


if __name__ == "__main__":
    main()
