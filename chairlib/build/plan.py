"""A profile turned into the jobs of a build: which notebook runs with which parameters and leaves which files.

Each chapter lists its own jobs (its module ``jobs``); the plan adds them up. It is written to a file, which the
Snakefile turns into rules: each job on a cluster does that anew, and must not take as long as planning.
"""

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import chairlib.benchmark.jobs as benchmark
import chairlib.landscape.jobs as landscape
import chairlib.transfer.jobs as transfer
from chairlib.benchmark.recipes import recipe_of
from chairlib.build import gpus
from chairlib.build.profiles import Profile, load_profile
from chairlib.collection import Collection
from chairlib.compositing.released import COCO_SOURCE, is_released, read_note
from chairlib.core import paths
from chairlib.core.code import project_folder
from chairlib.core.devices import pick_device
from chairlib.core.errors import ParameterError
from chairlib.core.jobs import Inputs, Job, executed_notebook, report_job, unique
from chairlib.core.once import looked_at_once
from chairlib.core.runs import Run
from chairlib.transfer.recipes import get_recipe
from chairlib.transfer.settings import STAND_IN

_NO_CODE = (".jpg", ".png", ".pyc")  # images are data, which has a hash of its own
_CHAPTERS = {"benchmark": benchmark, "transfer": transfer, "landscape": landscape}


class Plan:
    """Everything that a build of ``profile`` executes. Names are checked here, before anything starts.

    ``data``: the collection; ``photos``: ``"stand-in"``, or a folder in the layout of the Object Discovery release;
    ``coco``: the folder that `chairlib coco-chairs` wrote; without it, runs pretrained on COCO's chairs are left out.
    ``elsewhere``: other machines than this one execute the jobs, and have the ``device`` even if this one lacks it.
    """

    @looked_at_once()
    def __init__(
        self,
        profile: str,
        data: str = "mini",
        device: str = "auto",
        photos: str = STAND_IN,
        coco: str | None = None,
        elsewhere: bool = False,
    ):
        self.profile: Profile = load_profile(profile)
        self.collection = Collection(data)
        # An absolute path means the same in every notebook, wherever it runs; a name does anyway.
        self.inputs = Inputs(
            data=data if data == "mini" else str(self.collection.root.resolve()),
            photos=photos if photos == STAND_IN else str(Path(photos).expanduser().resolve()),
            coco=_coco_folder(coco) if coco else None,
            # Any device here opens the same runs: it is no part of what a run is.
            device="cpu" if elsewhere else device,
        )
        if elsewhere and device not in ("auto", "cpu", "cuda"):
            raise ParameterError(f"device {device!r} cannot be asked of a cluster; use 'auto', 'cpu' or 'cuda'.")
        self.device, self.elsewhere = device, elsewhere
        self.benchmark_runs = benchmark.open_runs(self.profile.benchmark, self.inputs)
        self.transfer_runs, extra = transfer.open_runs(self.profile.transfer, self.inputs, self.benchmark_runs)
        self.landscape_runs = landscape.open_runs(self.profile.landscape, self.inputs, self.benchmark_runs)
        reported = {run.name for run in self.benchmark_runs} | {run.name for run in self.transfer_runs}
        more: list[Run[Any]] = [*extra, *landscape.members(self.landscape_runs)]
        #: Runs that no report shows: pretrainings and members of landscapes that the profile does not list itself.
        self.extra_runs = [run for run in unique(more) if run.name not in reported]

    @property
    def runs(self) -> list[Run[Any]]:
        """All runs, each after those that it starts from."""
        return [*self._all_of("benchmark"), *self._all_of("transfer"), *self.landscape_runs]

    def _all_of(self, kind: str) -> list[Run[Any]]:
        every: list[Run[Any]] = [*self.benchmark_runs, *self.transfer_runs, *self.extra_runs]
        return [run for run in every if run.kind == kind]

    @cached_property
    @looked_at_once()
    def jobs(self) -> list[Job]:
        """Everything that is executed."""
        profile, about = self.profile, (self.profile.name, self.profile.description)
        data, hash = self.inputs.data, self.collection.hash
        chapters = {
            "01_collection": {"data": data, **profile.collection},
            "01_gallery": profile.gallery,
            "02_compositing": {"data": data, **profile.compositing},
        }
        return [
            *(
                Job(name, parameters, executed_notebook(name), data_hash=hash if "data" in parameters else None)
                for name, parameters in chapters.items()
            ),
            *benchmark.jobs(self._all_of("benchmark")),
            report_job("04_benchmark_report", data, self.benchmark_runs, *about),
            *transfer.jobs(self._all_of("transfer")),
            report_job("06_transfer_report", self.inputs.photos, self.transfer_runs, *about),
            *landscape.jobs(self.landscape_runs, *about),
            benchmark.board_job(self.benchmark_runs),
        ]

    def threads_per_run(self, cores: int) -> int:
        """How many of the machine's cores one run gets: its share of them on GPUs, where each run has one.

        On the CPU runs share them: two runs of one thread each finish sooner than one run of two threads after the
        other, because threads of one run wait for each other thousands of times a second.
        """
        return max(1, cores // (self.n_gpus or len(self.benchmark_runs)))

    @cached_property
    def n_gpus(self) -> int:
        """How many GPUs runs can have at a time, one each; 0 where they need none. A cluster's are not counted: 1.

        There, "auto" needs none: a job computes on what it finds.
        """
        if self.elsewhere:
            return int(self.device == "cuda")
        if pick_device(self.device).type == "cpu":
            return 0
        return (self.takes_gpus and len(gpus.visible())) or 1

    @property
    def takes_gpus(self) -> bool:
        """Whether each run takes a GPU that no other has, if there are any. A device as cuda:1 is one already."""
        return self.device in ("auto", "cuda")

    def for_snakemake(self) -> list[dict[str, Any]]:
        """The jobs in JSON's own types, each with its :meth:`fingerprint`."""
        jobs = []
        for job in self.jobs:
            device = {"device": self.device} if "device" in job.parameters else {}
            job = replace(job, parameters=job.parameters | device)
            jobs.append(asdict(job) | {"fingerprint": self.fingerprint(job)})
        return json.loads(json.dumps(jobs, default=str))

    @cached_property
    def _code(self) -> str:
        """What decides how pages look: every file of the library and of the packages that add commands, but images.

        Not given to Snakemake as files: it looks at every waiting job's files each time that a job ends.
        """
        added = {entry.module.partition(".")[0] for entry in entry_points(group="chairlib.commands")}
        digest = hashlib.sha256()
        for folder in (paths.package, *(project_folder(name) / name for name in sorted(added))):
            for path in sorted(p for p in folder.rglob("*") if p.suffix not in _NO_CODE and p.is_file()):
                digest.update(repr((str(path.relative_to(folder)), path.read_bytes())).encode())
        return digest.hexdigest()[:16]

    def fingerprint(self, job: Job) -> str:
        """What decides a job's outcome, as one line that Snakemake compares with the last build's."""
        return json.dumps([job.parameters, job.data_hash, self._code], sort_keys=True)

    def remove_leftovers(self) -> None:
        """Delete executed notebooks of another profile or collection, and what failed or killed builds left."""
        wanted = {job.out for job in self.jobs}
        for page in (paths.book / "notebooks").rglob("*"):
            if page.is_file() and page not in wanted:
                page.unlink()
        # What is younger may be in work: other commands write here beside a build.
        old = time.time() - 24 * 3600
        for file in paths.cache.rglob(".*.tmp"):
            with suppress(FileNotFoundError):
                if file.is_file() and file.stat().st_mtime < old:
                    file.unlink()


def _coco_folder(folder: str) -> Path:
    root = Path(folder).expanduser().resolve()
    if not is_released(root) or read_note(root)["source"] != COCO_SOURCE:
        raise ParameterError(
            f"{root} is no folder of COCO's chairs; make one with: "
            f"chairlib coco-chairs --images DIR --annotations FILE --out {root.name}"
        )
    return root


def estimate(plan: Plan) -> float:
    """Seconds that the plan's unfinished runs take at most here, measured. Early stopping may end them sooner."""
    seconds = 0.0
    measured: dict[str, tuple[float, float]] = {}
    by_name = {run.name: run for run in plan.runs}
    for run in plan.runs:
        if run.record is not None:
            continue
        settings = run.settings
        # A landscape is about models that were fine-tuned: theirs is the recipe, and the speed.
        recipe = recipe_of(settings) if run.kind == "benchmark" else get_recipe(settings.recipe, settings.model)
        same = repr([settings.model_terms(), settings.resolution, settings.device, settings.precision, recipe])
        if same not in measured:
            measured[same] = benchmark.measure_speed(settings, recipe)
        speeds = measured[same]
        trained, scored = _CHAPTERS[run.kind].count_images(run)  # type: ignore[attr-defined]
        if getattr(settings, "pretraining", None) == "none_equal_total":  # as many as the pretraining, on top
            trained += benchmark.count_images(by_name[settings.pretrained])[0]
        seconds += speeds[0] * trained + speeds[1] * scored
    return seconds
