"""Building the paper: a profile turned into a graph of notebook runs, executed by Snakemake and rendered by Jupyter Book.

:class:`Plan` says which notebook runs with which parameters and leaves which files; the Snakefile only turns it into rules.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from chairlib.core import paths, runs
from chairlib.benchmark import run as benchmark
from chairlib.landscape import run as landscape
from chairlib.transfer import run as transfer
from chairlib.collection import Collection
from chairlib.compositing.blend import padding
from chairlib.compositing.released import ReleasedChairSegments, is_released, read_note
from chairlib.core.devices import pick_device
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.files import write_json
from chairlib.benchmark.models import build_model
from chairlib.build.profiles import Profile, load_profile
from chairlib.benchmark.training import get_recipe

__all__ = ["Job", "Plan", "build", "estimate"]

#: Chapters that come before the runs and after them.
_RUN_CHAPTER, _REPORT_CHAPTER = "03_benchmark", "04_benchmark_report"
_TRANSFER_CHAPTER, _TRANSFER_REPORT_CHAPTER = "05_object_discovery", "06_transfer_report"
_LANDSCAPE_CHAPTER = "07_loss_landscape"
#: What decides how long an image takes.
_SPEED = ("model", "width", "resolution", "recipe")
#: What Snakemake is told, under ``paths.cache``: on its command line values lose quotes, and a path may read as YAML.
_CONFIG = "build.json"


#: Pretrainings that COCO's photos are needed for: the second is matched to their number.
_NEED_COCO = ("coco_chairs", "chair_segments_matched")


def _default_evaluations(run: runs.Run) -> int:
    """How often a benchmark run is scored that doesn't say: once an epoch over its own images, and at least eight times."""
    recipe = get_recipe(run.parameters["recipe"], run.parameters["model"])
    by_epochs = benchmark.open_run(**{**run.parameters, "images": None})
    n_images = benchmark.count_images(by_epochs)[0] / recipe.epochs
    return max(8, round(benchmark.count_images(run)[0] / n_images))


def _coco_folder(folder: str) -> Path:
    root = Path(folder).expanduser().resolve()
    if not is_released(root) or read_note(root)["source"] != "coco_chairs":
        raise ParameterError(
            f"{root} is no folder of COCO's chairs; make one with: chairlib coco-chairs --images DIR --annotations FILE --out {root.name}"
        )
    return root


@dataclass(frozen=True)
class Job:
    """A notebook to be executed."""

    notebook: str
    parameters: dict[str, Any]
    out: Path
    record: Path | None = field(default=None)
    """The run record that it leaves; None for a chapter that trains nothing."""
    needs: tuple[Path, ...] = ()
    """Records that must be there first."""


class Plan:
    """Everything a build of ``profile`` executes. Names are checked here, before anything starts.

    ``data``: the collection; ``photos``: ``"stand-in"``, or a folder in the layout of the Object Discovery release; ``coco``: the
    folder that `chairlib coco-chairs` wrote, without which the runs pretrained on COCO's chairs are left out.
    """

    def __init__(
        self,
        profile: str,
        data: str = "mini",
        device: str = "auto",
        photos: str = transfer.STAND_IN,
        coco: str | None = None,
    ):
        self.profile: Profile = load_profile(profile)
        #: Names the profile from any folder.
        self.profile_name = str(Path(profile).resolve()) if profile.endswith((".yaml", ".yml")) else profile
        collection = Collection(data)
        # An absolute path means the same in every notebook, wherever it runs; "mini" does anyway.
        self.data = data if data == "mini" else str(collection.root.resolve())
        self.data_hash = collection.hash
        opened = [
            benchmark.open_run(**{**settings, "data": self.data, "device": device})
            for settings in self.profile.benchmark
        ]
        #: Each once, though several lists of the profile may name it.
        self.runs = list({run.name: run for run in opened}.values())
        #: Benchmark runs that only serve fine-tuning: on COCO's chairs, and on as many composites.
        self.extra_runs: list[runs.Run] = []
        self.coco = _coco_folder(coco) if coco else None
        self.photos = photos if photos == transfer.STAND_IN else str(Path(photos).expanduser().resolve())
        tuned = [
            transfer.open_run(
                **{**settings, "data": self.photos, "device": device, "pretrained": self._pretrained(settings)}
            )
            for settings in self.profile.transfer
            if self.coco or settings.get("pretraining") not in _NEED_COCO
        ]
        self.transfer_runs = list({run.name: run for run in tuned}.values())
        self.landscape_runs = [self._landscape_run(settings, device) for settings in self.profile.landscape]
        #: Fine-tuning runs that only serve the loss landscape: its models share one pretraining.
        self.extra_transfer_runs = self._landscape_members()

    def _pretrained(self, settings: dict[str, Any]) -> str | None:
        """The name of the benchmark run that a fine-tuning run starts from: of the same model, width and resolution."""
        asked = transfer.DEFAULTS | settings
        if asked["pretraining"] not in transfer.PRETRAININGS:
            raise ParameterError(
                f"profile {self.profile.name}: pretraining {asked['pretraining']!r} is unknown; use one of "
                f"{', '.join(transfer.PRETRAININGS)}."
            )
        if asked["pretraining"] == "none":
            return None
        chosen = self._find_run(asked)
        return (self._beside_coco(chosen, asked["pretraining"]) if asked["pretraining"] in _NEED_COCO else chosen).name

    def _find_run(self, asked: dict[str, Any]) -> runs.Run:
        """The benchmark run of the model, width and resolution that is asked for, and of its seed where there is one."""
        same = [
            run
            for run in self.runs
            if all(run.parameters[name] == asked[name] for name in ("model", "width", "resolution"))
        ]
        # Each seed from a pretraining of its own where there is one: else one pretraining's luck is in all of them.
        of_seed = [run for run in same if run.parameters["seed"] == asked["seed"]]
        if same:
            return (of_seed or same)[0]
        raise ParameterError(
            f"profile {self.profile.name} has no benchmark run of {asked['model']} with width {asked['width']} at "
            f"{asked['resolution']} px to pretrain from; add one under benchmark: runs:."
        )

    def _landscape_run(self, settings: dict[str, Any], device: str) -> runs.Run:
        """A landscape run whose pretrained model is the benchmark run of its model, width and resolution."""
        given: dict[str, Any] = {"data": self.data, "photos": self.photos, "device": device}
        if "pretrain" not in settings:
            chosen = self._find_run({**landscape.DEFAULTS, **settings, "seed": 0})
            own = (*given, "model", "width", "resolution")
            given["pretrain"] = {name: value for name, value in chosen.parameters.items() if name not in own}
        return landscape.open_run(**{**settings, **given})

    def _landscape_members(self) -> list[runs.Run]:
        """What landscapes need and neither the benchmark nor fine-tuning trains; benchmark runs join ``extra_runs``."""
        known = {run.name for run in (*self.runs, *self.extra_runs, *self.transfer_runs)}
        missing = {
            member.name: member
            for run in self.landscape_runs
            for member in landscape.members(run.parameters).values()
            if member.name not in known
        }
        self.extra_runs += [run for run in missing.values() if run.kind == benchmark.KIND]
        return [run for run in missing.values() if run.kind == transfer.KIND]

    def _beside_coco(self, run: runs.Run, pretraining: str) -> runs.Run:
        """``run`` on COCO's chairs, or on as many different composites as there are of those: the two are the same in all else."""
        assert self.coco is not None
        asked = run.parameters
        changed = (
            {"data": str(self.coco)}
            if pretraining == "coco_chairs"
            else {"train_images": len(ReleasedChairSegments(self.coco, "train"))}
        )
        # The two are compared at the same number of images SEEN. Without a budget in images each would train for epochs over its own
        # number of images; without a number of evaluations, `run`'s own, it would be scored once an epoch, a hundred times as often on
        # few crops as on all composites; and a recipe that stops early counts evaluations, so it would end each arm somewhere else.
        stops_early = get_recipe(asked["recipe"], asked["model"]).patience is not None
        fixed = {
            "images": benchmark.count_images(run)[0],
            "evaluations": asked["evaluations"] or _default_evaluations(run),
            "recipe": "fast" if stops_early else asked["recipe"],
        }
        extra = benchmark.open_run(**{**asked, **fixed, **changed})
        if extra.name not in {known.name for known in (*self.runs, *self.extra_runs)}:
            self.extra_runs.append(extra)
        return extra

    @cached_property
    def run_jobs(self) -> list[Job]:
        """One a benchmark run; the first is the featured one, which is chapter 03 itself."""
        pages = paths.book / "notebooks"
        return [
            Job(
                _RUN_CHAPTER,
                run.parameters,
                pages / (f"{_RUN_CHAPTER}.ipynb" if number == 0 else f"runs/{run.name}.ipynb"),
                run.folder / "record.json",
            )
            for number, run in enumerate([*self.runs, *self.extra_runs])
        ]

    @cached_property
    def chapters(self) -> list[Job]:
        """The chapters that don't wait for runs."""
        pages = paths.book / "notebooks"
        return [
            Job("01_collection", {"data": self.data, **self.profile.collection}, pages / "01_collection.ipynb"),
            Job("01_gallery", self.profile.gallery, pages / "01_gallery.ipynb"),
            Job("02_compositing", {"data": self.data, **self.profile.compositing}, pages / "02_compositing.ipynb"),
        ]

    @cached_property
    def report(self) -> Job:
        parameters = {
            "data": self.data,
            "profile": self.profile.name,
            "description": self.profile.description,
            "runs": [run.name for run in self.runs],
        }
        return Job(_REPORT_CHAPTER, parameters, paths.book / "notebooks" / f"{_REPORT_CHAPTER}.ipynb")

    @cached_property
    def transfer_jobs(self) -> list[Job]:
        """One a fine-tuning run; the first is chapter 05 itself."""
        pages = paths.book / "notebooks"
        return [
            Job(
                _TRANSFER_CHAPTER,
                run.parameters,
                pages / (f"{_TRANSFER_CHAPTER}.ipynb" if number == 0 else f"transfer/{run.name}.ipynb"),
                run.folder / "record.json",
                (paths.runs / run.parameters["pretrained"] / "record.json",) if run.parameters["pretrained"] else (),
            )
            for number, run in enumerate([*self.transfer_runs, *self.extra_transfer_runs])
        ]

    @cached_property
    def transfer_report(self) -> Job:
        parameters = {
            "data": self.photos,
            "profile": self.profile.name,
            "description": self.profile.description,
            "runs": [run.name for run in self.transfer_runs],
        }
        return Job(_TRANSFER_REPORT_CHAPTER, parameters, paths.book / "notebooks" / f"{_TRANSFER_REPORT_CHAPTER}.ipynb")

    @cached_property
    def landscape_jobs(self) -> list[Job]:
        """One a category; the first is chapter 07 itself, which waits for the others, since its Table 5 shows all."""
        pages = paths.book / "notebooks"
        told = {
            "profile": self.profile.name,
            "description": self.profile.description,
            "beside": [run.name for run in self.landscape_runs],
        }
        jobs = []
        for number, run in enumerate(self.landscape_runs):
            name = _LANDSCAPE_CHAPTER if number == 0 else f"landscape/{run.name}"
            needs = [member.folder / "record.json" for member in landscape.members(run.parameters).values()]
            beside = [other.folder / "record.json" for other in self.landscape_runs[1:]] if number == 0 else []
            # Another category's page has only itself in Table 5: it must not wait for the chapter.
            parameters = run.parameters | (told if number == 0 else told | {"beside": [run.name]})
            jobs.append(
                Job(
                    _LANDSCAPE_CHAPTER,
                    parameters,
                    pages / f"{name}.ipynb",
                    run.folder / "record.json",
                    (*needs, *beside),
                )
            )
        return jobs

    @property
    def jobs(self) -> list[Job]:
        """Everything that is executed."""
        return [
            *self.chapters,
            *self.run_jobs,
            self.report,
            *self.transfer_jobs,
            self.transfer_report,
            *self.landscape_jobs,
        ]

    def threads_per_run(self, cores: int) -> int:
        """How many of the machine's cores one run gets.

        On a GPU runs go one after the other. On the CPU they share the cores out among them: two runs of one thread each
        finish sooner than one run of two threads after the other, the more so where the machine has other work, because
        threads of one run wait for each other thousands of times a second.
        """
        if pick_device(self.runs[0].parameters["device"]).type != "cpu":
            return cores
        return max(1, cores // len(self.runs))

    @cached_property
    def _sources_hash(self) -> str:
        """Over the library's code and the paper's tables: a page is executed again when one of them changes.

        Not given to Snakemake as files: it looks at every waiting job's files each time that a job ends.
        """
        tables = [path for path in paths.published.rglob("*.*") if path.suffix in (".csv", ".txt")]
        digest = hashlib.sha256()
        for path in sorted([*paths.package.rglob("*.py"), *tables]):
            digest.update(
                f"{path.relative_to(paths.package)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
            )
        return digest.hexdigest()[:16]

    def fingerprint(self, job: Job) -> str:
        """What decides a job's outcome, as one line that Snakemake compares with the last build's."""
        photos = job.notebook in (_TRANSFER_CHAPTER, _TRANSFER_REPORT_CHAPTER, _LANDSCAPE_CHAPTER)
        data_hash: object = [run.data["hash"] for run in self.transfer_runs] if photos else self.data_hash
        data_hash = data_hash if "data" in job.parameters else None
        return json.dumps([job.parameters, data_hash, self._sources_hash], sort_keys=True)

    def remove_leftovers(self) -> None:
        """Delete executed notebooks of another profile or collection, and what failed or killed builds left beside them."""
        wanted = {job.out for job in self.jobs}
        for page in (paths.book / "notebooks").rglob("*"):
            if page.is_file() and page not in wanted:
                page.unlink()


def estimate(plan: Plan) -> float:
    """Seconds that the plan's unfinished runs take at most (early stopping may end them sooner), measured on this machine.

    Training and scoring, and the analyses of the loss landscape, whose cells are scored at the speed of their models.
    """
    seconds, known = 0.0, {}
    modules = {benchmark.KIND: benchmark, transfer.KIND: transfer, landscape.KIND: landscape}
    everything = (*plan.runs, *plan.extra_runs, *plan.transfer_runs, *plan.extra_transfer_runs, *plan.landscape_runs)
    for run in everything:
        if run.record is not None:
            continue
        settings = run.parameters
        # A landscape is about models that were fine-tuned: theirs is the recipe, and the speed.
        trainer = benchmark if run.kind == benchmark.KIND else transfer
        key = (trainer.KIND, *(settings[name] for name in _SPEED))
        if key not in known:
            recipe = trainer.get_recipe(settings["recipe"], settings["model"])
            asked = {name: settings[name] for name in (*_SPEED, "device")}
            known[key] = benchmark.measure_speed(asked, recipe=recipe)
        counts = modules[run.kind].count_images(run)
        seconds += sum(rate * count for rate, count in zip(known[key], counts, strict=True))
    return seconds


@contextmanager
def _only_one() -> Iterator[int]:
    """Refuse a second build in this checkout. The kernel lets go of the lock when its holders die, however they die."""
    paths.cache.mkdir(parents=True, exist_ok=True)
    with open(paths.cache / "build.lock", "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ChairlibError(f"another build is running in {paths.home}; wait for it, or stop it.") from None
        yield stream.fileno()


def _snakemake(lock: int, *arguments: str) -> int:
    """Run Snakemake and return its exit status."""
    options = {
        "--snakefile": paths.home / "Snakefile",
        "--directory": paths.home,
        "--configfile": paths.cache / _CONFIG,
        "--cores": "all",
    }
    command = [sys.executable, "-m", "snakemake", *(str(part) for pair in options.items() for part in pair), *arguments]
    # The children hold the lock too: if this process is killed and Snakemake lives on, a second build is still refused.
    process = subprocess.Popen(command, pass_fds=(lock,))
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()  # in a terminal, Ctrl-C has reached Snakemake and its jobs as well: give them time to clean up
        raise


def _too_small(plan: Plan) -> str | None:
    """A warning where the collection's images are smaller than what is made of them; None where they are not."""
    sides = Collection(plan.data).manifest[["width", "height"]].min(axis=1)
    wanted = max(run.parameters["resolution"] for run in plan.runs)
    if sides.median() >= wanted - padding(wanted):
        return None
    return f"note: half of the images are at most {sides.median():.0f} px wide or high and are enlarged for {wanted} px"


def _format_seconds(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{max(minutes, 1)} min"


def _named() -> str:
    return " (the environment variable CHAIRLIB_HOME names it)" if "CHAIRLIB_HOME" in os.environ else ""


def _check_backbones(plan: Plan) -> None:
    """Have the ImageNet weights that runs start from before the first of them is trained, not hours later."""
    recipes = [
        (run.parameters["model"], get_recipe(run.parameters["recipe"], run.parameters["model"])) for run in plan.runs
    ]
    for model in dict.fromkeys(model for model, recipe in recipes if recipe.backbone_weights):
        try:
            build_model(model, backbone_weights="imagenet")
        except ChairlibError as error:
            raise ChairlibError(
                f"{error} Or build from a profile without the runs that start from them (recipe released)."
            ) from error


def build(
    profile: str = "quick",
    data: str = "mini",
    device: str = "auto",
    dry_run: bool = False,
    photos: str = transfer.STAND_IN,
    coco: str | None = None,
) -> Path:
    """Execute what is missing, render the book, and return the path of its first page.

    A build that was killed is simply started again: finished runs are kept, interrupted ones go on from their checkpoints.
    """
    if not (paths.home / "Snakefile").is_file():
        raise ChairlibError(
            f"there is no Snakefile in {paths.home}{_named()}; clone the project's repository and build there."
        )
    plan = Plan(profile, data, device, photos, coco)
    runs_of_all = [
        *(*plan.runs, *plan.extra_runs, *plan.transfer_runs),
        *(*plan.extra_transfer_runs, *plan.landscape_runs),
    ]
    todo = sum(run.record is None for run in runs_of_all)
    print(
        f"profile {plan.profile.name}: {len(runs_of_all)} runs, {todo} to train, on {Collection(plan.data).name}",
        flush=True,
    )
    if todo and not dry_run:
        _check_backbones(plan)
    if plan.profile.estimate and todo:
        print("measuring how fast this machine trains ...", flush=True)
        print(f"training will take at most {_format_seconds(estimate(plan))} on this machine", flush=True)
    if note := _too_small(plan):
        print(note, flush=True)
    # Our lock, unlike Snakemake's, does not outlive a build that is killed. Every file here is written whole or not at all:
    # Snakemake need not delete the record of a finished run because a later cell failed.
    options = ["--nolock", "--keep-incomplete", "--rerun-incomplete", "--printshellcmds", "--quiet", "rules", "host"]
    with _only_one() as lock:
        write_json(
            paths.cache / _CONFIG,
            {
                "profile": plan.profile_name,
                "data": plan.data,
                "device": device,
                "photos": plan.photos,
                "coco": str(plan.coco) if plan.coco else None,
            },
        )
        if not dry_run:
            plan.remove_leftovers()
        if _snakemake(lock, *options, *(["--dry-run"] if dry_run else [])) != 0:
            raise ChairlibError("the build stopped; the lines above say why. Started again, it goes on from here.")
    return paths.home / "_build" / "html" / "index.html"


def render() -> None:
    """Render the executed notebooks and the prose with Jupyter Book; a warning is an error."""
    site, new = paths.home / "_build", paths.cache / "render"
    # Rendered elsewhere and moved when it is whole: a render that fails or is killed leaves the old site.
    shutil.rmtree(new, ignore_errors=True)
    command = ["build", str(paths.book), "--config", str(paths.home / "_config.yml"), "--path-output", str(new)]
    # jupyter-book exits with 0 after errors unless warnings are errors; prose that glues values needs --all.
    flags = ["-W", "-n", "--keep-going", "--all", "--quiet"]
    # The package has no __main__ of its own.
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([*jupyter_book, *command, *flags], check=False, env=environment)
    if done.returncode == 0:
        shutil.rmtree(site, ignore_errors=True)
        (new / "_build").replace(site)
    shutil.rmtree(new, ignore_errors=True)
    if done.returncode != 0:
        raise ChairlibError("the book was not rendered; the lines above say why.")
