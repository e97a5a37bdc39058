"""What the benchmark asks of a build: its runs, their notebooks, and how long they take."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from chairlib.benchmark.evaluation import predict
from chairlib.benchmark.models import model_of
from chairlib.benchmark.precision import training_dtype
from chairlib.benchmark.recipes import Recipe, recipe_of
from chairlib.benchmark.run import count_composites, open_run, training_budget
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.benchmark.steps import Stepper, halve, takes_half
from chairlib.compositing.released import ReleasedChairSegments
from chairlib.core import paths
from chairlib.core.devices import pick_device
from chairlib.core.errors import ParameterError
from chairlib.core.jobs import Inputs, Job, executed_notebook, run_job, unique
from chairlib.core.runs import Run

#: The chapter that makes one run.
NOTEBOOK = "03_benchmark"
#: Training steps that are timed.
_STEPS = 3
#: Steps before those on CUDA, where some go before a step is recorded.
_WARM_UP = 5


def open_runs(entries: Sequence[Mapping[str, Any]], inputs: Inputs) -> list[Run[BenchmarkSettings]]:
    """The runs that a profile lists, each once; the first is the featured one."""
    return unique(open_run(**entry, data=inputs.data, device=inputs.device) for entry in entries)


def jobs(runs: Sequence[Run[BenchmarkSettings]]) -> list[Job]:
    """One notebook a run; the first is chapter 03 itself."""
    return [run_job(NOTEBOOK, run, NOTEBOOK if number == 0 else f"runs/{run.name}") for number, run in enumerate(runs)]


def board_job(runs: Sequence[Run[BenchmarkSettings]]) -> Job:
    """The page of the leaderboard, made again once a row has changed, and one run of each model looked at closely."""
    first = runs[0].settings
    alike = [run for run in runs if (run.settings.resolution, run.settings.seed) == (first.resolution, first.seed)]
    shown = list({run.settings.model: run for run in reversed(alike)}.values())[::-1]
    rows = b"".join(file.read_bytes() for file in sorted(paths.board.rglob("*.json")))
    name = "08_leaderboard"
    records = tuple(run.folder / "record.json" for run in shown)
    parameters = {"runs": [run.name for run in shown]}
    return Job(
        name, parameters, executed_notebook(name), needs=records, data_hash=hashlib.sha256(rows).hexdigest()[:16]
    )


def find_run(runs: Sequence[Run[BenchmarkSettings]], settings: Any, seed: int) -> Run:
    """The run to pretrain with: of the model and resolution of ``settings``, and of this seed where there is one.

    Raises ParameterError where there is none.
    """
    wanted, size = settings.model_terms(), settings.resolution
    same = [run for run in runs if (run.settings.model_terms(), run.settings.resolution) == (wanted, size)]
    if not same:
        raise ParameterError(
            f"the profile has no benchmark run of {settings.model} with width {settings.width} at {size} px to "
            "pretrain from, with the same model_args, normalise and outputs; add one under benchmark: runs:."
        )
    return next((run for run in same if run.settings.seed == seed), same[0])


def beside_coco(run: Run[BenchmarkSettings], coco: Path, matched: bool) -> Run[BenchmarkSettings]:
    """``run`` trained on COCO's chairs, or (``matched``) on as many different composites as those are.

    The two are compared at the same number of images seen: the budget is in images instead of epochs, the number of
    evaluations is fixed, and the recipe never stops early.
    """
    settings, budget = run.settings, training_budget(run.settings)
    recipe = recipe_of(settings)
    an_epoch = training_budget(settings.with_changes(images=None)) / recipe.epochs
    fixed = settings.with_changes(
        protocol=None,
        images=budget,
        evaluations=settings.evaluations or max(8, round(budget / an_epoch)),
        recipe=settings.recipe if recipe.patience is None else "fast",
    )
    if matched:
        return open_run(fixed, train_images=len(ReleasedChairSegments(coco, "train")))
    return open_run(fixed, data=str(coco))


def count_images(run: Run[BenchmarkSettings]) -> tuple[int, int]:
    """How many images the run trains on and scores at most: its budget, and all its validations and its test."""
    sizes, trained = count_composites(run.settings), training_budget(run.settings)
    evaluations = run.settings.evaluations or max(8, round(trained / sizes["train"]))
    return trained, evaluations * sizes["val"] + sizes["test"]


def measure_speed(settings: Any, recipe: Recipe, clock: Callable[[], float] = time.perf_counter) -> tuple[float, float]:
    """Seconds that a training image and a scored image take here in batches of ``recipe``.

    ``settings``: of any kind of run; its model, resolution, device and precision count. A training image takes what the
    recipe's steps at half and at full resolution take on average.
    """
    on, resolution = pick_device(settings.device), settings.resolution
    network = model_of(settings)
    network.to(device=on, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    stepper = Stepper(network, recipe, training_dtype(on, settings.precision))
    images = torch.rand(recipe.batch_size, 3, resolution, resolution, device=on)
    masks = torch.zeros(recipe.batch_size, 1, resolution, resolution, device=on)

    def seconds_of(step: Callable[[], torch.Tensor], n_steps: int) -> float:
        """An image's share of ``n_steps`` steps."""
        for _ in range(_WARM_UP if on.type == "cuda" else 1):
            step().sum().item()
        started = clock()
        for _ in range(n_steps - 1):
            step()
        step().sum().item()  # waits for the device
        return (clock() - started) / (n_steps * recipe.batch_size)

    trained = seconds_of(lambda: stepper(images, masks, 0.0), _STEPS)
    if recipe.half_until > 0 and takes_half(network, images[:1], masks[:1]):
        half = halve(images, masks)
        at_half = seconds_of(lambda: stepper(*half, 0.0), _STEPS)
        trained = recipe.half_until * at_half + (1 - recipe.half_until) * trained
    return trained, seconds_of(lambda: predict(network, images), 1)
