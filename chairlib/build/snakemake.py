"""`chairlib paper`: the jobs of a plan executed by Snakemake, and the book rendered from them."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from chairlib.benchmark.models import build_model
from chairlib.benchmark.recipes import recipe_of
from chairlib.build.plan import Plan, estimate
from chairlib.compositing.blend import padding
from chairlib.core import paths
from chairlib.core.errors import ChairlibError
from chairlib.core.files import write_json

#: What Snakemake is told, under ``paths.cache``: on its command line values lose quotes, and a path may read as YAML.
_CONFIG = "build.json"


def build(profile: str, data: str, device: str, dry_run: bool, photos: str, coco: str | None) -> Path:
    """Execute what is missing, render the book, and return the path of its first page. Parameters as for a plan.

    A build that was killed is simply started again: finished runs are kept, interrupted ones go on from checkpoints.
    """
    if not (paths.home / "Snakefile").is_file():
        named = " (the environment variable CHAIRLIB_HOME names it)" if "CHAIRLIB_HOME" in os.environ else ""
        raise ChairlibError(
            f"there is no Snakefile in {paths.home}{named}; clone the project's repository and build there."
        )
    started = time.time()
    plan = Plan(profile, data, device, photos, coco)
    _announce(plan, dry_run)
    # Our lock, unlike Snakemake's, does not outlive a build that is killed. Every file here is written whole or not at
    # all: Snakemake need not delete the record of a finished run because a later cell failed.
    options = ["--nolock", "--keep-incomplete", "--rerun-incomplete", "--printshellcmds", "--quiet", "rules", "host"]
    with only_build() as lock:
        config = {
            "profile": plan.profile_name,
            "data": plan.inputs.data,
            "device": device,
            "photos": plan.inputs.photos,
            "coco": str(plan.inputs.coco) if plan.inputs.coco else None,
            "started": started,  # for benchmarks/paper_time.py: Snakemake's log begins after the plan is made
        }
        write_json(paths.cache / _CONFIG, config)
        if not dry_run:
            plan.remove_leftovers()
        if _snakemake(lock, *options, *(["--dry-run"] if dry_run else [])) != 0:
            raise ChairlibError("the build stopped; the lines above say why. Started again, it goes on from here.")
    return paths.home / "_build" / "html" / "index.html"


def _announce(plan: Plan, dry_run: bool) -> None:
    """Say what is to be done and how long it takes, and find out what is missing before anything starts."""
    say = partial(print, flush=True)
    to_train = sum(run.record is None for run in plan.runs)
    say(f"profile {plan.profile.name}: {len(plan.runs)} runs, {to_train} to train, on {plan.collection.name}")
    if to_train and not dry_run:
        _check_backbones(plan)
    if to_train and plan.profile.estimate:
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


@contextmanager
def only_build() -> Iterator[int]:
    """Refuse a second build in this checkout, with ChairlibError; gives the lock's file descriptor.

    The kernel lets go of the lock when its holders die, however they die.
    """
    paths.cache.mkdir(parents=True, exist_ok=True)
    with open(paths.cache / "build.lock", "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ChairlibError(f"another build is running in {paths.home}; wait for it, or stop it.") from None
        except OSError as error:  # some file systems of clusters have no locks
            print(f"note: {paths.cache} cannot be locked ({error.strerror}); start no second build beside this one")
        yield stream.fileno()


def _snakemake(lock: int, *arguments: str) -> int:
    """Run Snakemake and return its exit status."""
    files = ["--snakefile", paths.home / "Snakefile", "--directory", paths.home, "--configfile", paths.cache / _CONFIG]
    command = [sys.executable, "-P", "-m", "snakemake", *map(str, files), "--cores", "all", *arguments]
    # A profile of Snakemake that a person has for other work would change how many jobs run, and where.
    environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
    # The children hold the lock too: if this process is killed and Snakemake lives on, a second build is still refused.
    process = subprocess.Popen(command, pass_fds=(lock,), env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()  # in a terminal, Ctrl-C has reached Snakemake and its jobs as well: give them time to clean up
        raise
