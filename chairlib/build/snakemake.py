"""`chairlib paper`: the jobs of a plan executed by Snakemake, and the book rendered from them."""

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from chairlib.benchmark.models import build_model
from chairlib.benchmark.recipes import recipe_of
from chairlib.build import slurm
from chairlib.build.clusters import find_cluster
from chairlib.build.plan import Plan, estimate
from chairlib.compositing.blend import padding
from chairlib.core import paths, stopping
from chairlib.core.errors import ChairlibError
from chairlib.core.files import write_json
from chairlib.core.locks import Lock, alone

#: What the Snakefile reads, under ``paths.cache``.
PLAN = "plan.json"
#: Snakemake, which cancels its jobs and ends where the build is killed.
_STARTING = """
import signal
from chairlib.core.stopping import STOP_SNAKEMAKE as stop, end_with_parent
signal.signal(stop, signal.default_int_handler)
end_with_parent({parent}, stop)
try:
    from snakemake.cli import main  # Ctrl-C may come while it imports
    main()
except KeyboardInterrupt:
    raise SystemExit(130) from None
finally:
    for one in (stop, signal.SIGINT):  # it ends anyway, and a traceback would say no more
        signal.signal(one, signal.SIG_IGN)
"""


def build(
    profile: str, data: str, device: str, dry_run: bool, photos: str, coco: str | None, cluster: str | None = None
) -> Path:
    """Execute what is missing, render the book, and return the path of its first page. Parameters as for a plan.

    ``cluster``: what executes the jobs, as :func:`find_cluster` takes it; None for this machine.

    A build that was killed is simply started again: finished runs are kept, interrupted ones go on from checkpoints.
    """
    if not (paths.home / "Snakefile").is_file():
        named = " (the environment variable CHAIRLIB_HOME names it)" if "CHAIRLIB_HOME" in os.environ else ""
        raise ChairlibError(
            f"there is no Snakefile in {paths.home}{named}; clone the project's repository and build there."
        )
    started = time.time()
    folder, settings = find_cluster(cluster) if cluster else (None, {})
    plan = Plan(profile, data, device, photos, coco, elsewhere=cluster is not None)
    _announce(plan, dry_run)
    # Our lock, unlike Snakemake's, does not outlive a build that is killed. Every file here is written whole or not at
    # all: Snakemake need not delete the record of a finished run because a later cell failed.
    options = ["--nolock", "--keep-incomplete", "--rerun-incomplete", "--printshellcmds"]
    # The other scheduler solves an integer program each time that a job ends: benchmarks/plan_cost.py measures both.
    options += ["--scheduler", "greedy"]
    with alone("build", f"another build is running in {paths.home}") as lock:
        write_plan(plan, settings, started)
        if not dry_run:
            plan.remove_leftovers()
        if folder is None:
            options += ["--quiet", "host", "rules", "--cores", "all", "--resources", f"gpu={plan.n_gpus}"]
        else:  # Snakemake must be told how many jobs may wait and run at once
            # Not quiet about rules: only with a rule does it print why a cluster refused a job, or ended it.
            options += ["--quiet", "host", "reason", "--profile", str(folder)]
            options += [] if {"jobs", "cores"} & settings.keys() else ["--jobs", "100"]
        if _snakemake(lock, *options, *(["--dry-run"] if dry_run else [])) != 0:
            done = [job.record.parent.name if job.record else job.notebook for job in plan.jobs if job.out.is_file()]
            for line in slurm.endings(paths.home / ".snakemake" / "slurm_logs", started, done):
                print(line, flush=True)
            raise ChairlibError("the build stopped; the lines above say why. Started again, it goes on from here.")
    return paths.home / "_build" / "html" / "index.html"


def write_plan(plan: Plan, settings: dict[str, Any], started: float) -> None:
    """Write what the Snakefile reads. ``settings``: of the profile of a cluster; ``started``: seconds since 1970."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    content = {
        "started": started,  # for benchmarks/paper_time.py: Snakemake's log begins after the plan is made
        "python": sys.executable,
        "cluster": settings,
        "n_gpus": plan.n_gpus,
        "own_gpu": plan.n_gpus > 0 and plan.takes_gpus,
        "threads": plan.threads_per_run(cores),
        "jobs": plan.for_snakemake(),
    }
    write_json(paths.cache / PLAN, content)


def _announce(plan: Plan, dry_run: bool) -> None:
    """Say what is to be done and how long it takes, and find out what is missing before anything starts."""
    say = partial(print, flush=True)
    to_train = sum(run.record is None for run in plan.runs)
    say(f"profile {plan.profile.name}: {len(plan.runs)} runs, {to_train} to train, on {plan.collection.name}")
    if to_train and not dry_run:
        _check_backbones(plan)
    if plan.elsewhere and plan.device == "auto":
        say("note: no job asks for a GPU; with --device cuda each run does")
    if to_train and plan.profile.estimate and not plan.elsewhere:
        say("measuring how fast this machine trains ...")
        say(f"training will take at most {format_seconds(estimate(plan))} on this machine")
    sides = plan.collection.manifest[["width", "height"]].min(axis=1)
    wanted, side = max(run.settings.resolution for run in plan.benchmark_runs), sides.median()
    if side < wanted - padding(wanted):
        say(f"note: half of the images are at most {side:.0f} px wide or high and are enlarged for {wanted} px")


def _check_backbones(plan: Plan) -> None:
    """Have the ImageNet weights that runs start from before the first of them is trained, not hours later."""
    settings = [run.settings for run in plan.benchmark_runs]
    for model in dict.fromkeys(one.model for one in settings if recipe_of(one).backbone_weights):
        try:
            build_model(model, backbone_weights="imagenet")
        except ChairlibError as error:
            raise ChairlibError(
                f"{error} Or build from a profile without the runs that start from them (recipe released)."
            ) from error


def format_seconds(seconds: float) -> str:
    """``"1 h 5 min"``; at least a minute."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{max(minutes, 1)} min"


def _snakemake(lock: Lock, *arguments: str) -> int:
    """Run Snakemake and return its exit status."""
    files = ["--snakefile", paths.home / "Snakefile", "--directory", paths.home]
    command = [sys.executable, "-P", "-c", _STARTING.format(parent=os.getpid()), *map(str, files), *arguments]
    # A profile of Snakemake that a person has for other work would change how many jobs run, and where.
    environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
    environment[stopping.BUILD] = str(os.getpid())
    process = subprocess.Popen(command, env=environment)
    lock.share(process.pid)  # until Snakemake has ended too, a second build is refused
    try:
        return process.wait()
    except KeyboardInterrupt:
        if stopping.terminated:  # in a terminal, Ctrl-C has reached Snakemake and its jobs as well
            stopping.end_jobs(process.pid)
        process.wait()
        raise
