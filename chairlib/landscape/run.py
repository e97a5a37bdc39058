"""One analysis of the loss landscape (section 6): models that share a pretraining beside models that do not.

P is pretrained; F1, F2, ... start from P, S1, S2, ... from random weights of their own (the paper's Ft and Ri), and the
control R1, R2, ... from the random weights of S1 (so R1 is S1). F, S and R are trained alike on one category of photos.
What is missing of them is trained. Then the analyses are computed a cell at a time (:mod:`chairlib.landscape.cells`).
"""

import hashlib
import time
from typing import Any

import torch

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.determinism import deterministic_mode
from chairlib.benchmark.evaluation import holds_objects
from chairlib.benchmark.metrics import MIN_CHAIR_PIXELS
from chairlib.benchmark.recipes import Recipe
from chairlib.benchmark.settings import BenchmarkSettings, ModelSettings
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import runs
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.errors import ChairlibError, ParameterError, RecordError
from chairlib.core.runs import Record, Run
from chairlib.core.tensors import save_tensors
from chairlib.landscape.analyses import Lines, Planes, all_distances, barriers_of
from chairlib.landscape.beyond.analyses import Criticality, EarlyPretraining, Matching, Similarities, Soups
from chairlib.landscape.cells import Analysis, Study, TrainedModels, unique_cells
from chairlib.landscape.settings import LandscapeSettings
from chairlib.transfer import run as transfer
from chairlib.transfer.photos import open_photos
from chairlib.transfer.recipes import RECIPES, get_recipe
from chairlib.transfer.settings import TransferSettings

#: Shared pretrainings grow by this factor.
_EARLY_FACTOR = 4
#: What goes from an analysis to all its models as it is.
SHARED = (*ModelSettings.names(), "resolution", "precision", "deterministic", "device")
_TUNING = ("category", "protocol", "fold", "recipe", "images", "evaluations")


def open_run(settings: LandscapeSettings | None = None, /, **parameters: Any) -> Run[LandscapeSettings]:
    """The analysis with these settings, with single ``parameters`` changed by name; nothing is computed yet.

    Raises :class:`ParameterError` for an unknown name or an impossible value, :class:`CollectionError` for unusable
    data.
    """
    settings = (settings or LandscapeSettings()).with_changes(**parameters)
    _check_recipe(settings)
    opened = members(settings)
    names = repr([(label, run.name) for label, run in opened.items()])
    return runs.open_run(settings, opened["F1"].data["name"], hashlib.sha256(names.encode()).hexdigest()[:16])


def _check_recipe(settings: LandscapeSettings) -> None:
    """Refuse, before anything is trained, a recipe whose models may end at different lengths of training."""

    def is_fair(recipe: Recipe) -> bool:
        return recipe.select == "last" and recipe.patience is None

    recipe = get_recipe(settings.recipe, settings.model)
    if not is_fair(recipe):
        fair = [name for name, by_model in RECIPES.items() if all(map(is_fair, by_model.values()))]
        raise ParameterError(
            f"recipe {recipe.name!r} stops early or keeps the weights that validate best, but a landscape compares "
            f"models of one length of training; use one that does neither: {', '.join(fair)}."
        )


def members(settings: LandscapeSettings) -> dict[str, Run[Any]]:
    """The runs that an analysis is made of, by label: P, F1, S1, R1, F2, S2, R2, ...

    For a shared pretraining of N images there are P@N, F1@N and F2@N too; P@0 would be untrained, and is left out.
    """
    shared = {name: getattr(settings, name) for name in SHARED}
    pretraining = BenchmarkSettings.of({**settings.pretrain, **shared, "data": settings.data})
    opened: dict[str, Run[Any]] = {"P": benchmark.open_run(pretraining)}
    for number in range(1, settings.n_seeds + 1):
        opened[f"F{number}"] = _tuned_run(settings, opened["P"], seed=number - 1)
        opened[f"S{number}"] = _tuned_run(settings, None, seed=number - 1)
        start = {"init_seed": 0} if number > 1 else {}
        opened[f"R{number}"] = _tuned_run(settings, None, seed=number - 1, **start)
    for images in _early_budgets(settings, pretraining):
        if images == 0:  # what two models share without a pretraining is their initial weights
            opened |= {f"F{number}@0": opened[f"R{number}"] for number in (1, 2)}
            continue
        opened[f"P@{images}"] = early = benchmark.open_run(pretraining, images=images)
        opened |= {f"F{number}@{images}": _tuned_run(settings, early, seed=number - 1) for number in (1, 2)}
    return opened


def _tuned_run(
    settings: LandscapeSettings, pretraining: Run[BenchmarkSettings] | None, **more: Any
) -> Run[TransferSettings]:
    """A fine-tuning run of the analysis: from ``pretraining``, or from scratch where it is None."""
    if pretraining is not None:
        kind = "chair_segments_matched" if pretraining.settings.train_images else "chair_segments"
        more |= {"pretraining": kind, "pretrained": pretraining.name}
    tuning = {name: getattr(settings, name) for name in (*SHARED, *_TUNING)}
    return transfer.open_run(**tuning, data=settings.photos, **more)


def _early_budgets(settings: LandscapeSettings, pretraining: BenchmarkSettings) -> list[int]:
    """Lengths of the shared pretrainings that are shorter than P's own, in images: 0, then by a constant factor up."""
    if settings.n_early == 0:
        return []
    longest = benchmark.training_budget(pretraining)
    powers = reversed(range(1, settings.n_early - 1))
    return [0, *(max(1, round(longest / _EARLY_FACTOR**power)) for power in powers)]


def analyses(study: Study) -> dict[str, Analysis]:
    """The analyses that a study asks for, by the names of their tables."""
    chosen: dict[str, Analysis] = {"curves": Lines(study), "planes": Planes(study)}
    if study.settings.n_early:
        chosen["early"] = EarlyPretraining(study)
    if study.settings.beyond:
        chosen |= {
            "soups": Soups(study),
            "similarities": Similarities(study),
            "criticality": Criticality(study),
            "matched": Matching(study),
        }
    return chosen


def analyse(run: Run[LandscapeSettings], progress: bool = True) -> Record:
    """Train what is missing of the run's models, analyse them, and leave the record; a finished run is only read.

    Interrupted at any point, it goes on when called again: models from their checkpoints, the analysis from its cells.
    Raises :class:`ParameterError` where no photo to be scored holds the object, :class:`RecordError` where a model
    cannot be used, and as the training of the models does.
    """
    if run.record is not None:
        return run.record
    with run.alone(), deterministic_mode(pick_device(run.settings.device), run.settings.deterministic):
        return run.record or _analyse(run, progress)


def _analyse(run: Run[LandscapeSettings], progress: bool) -> Record:
    opened = members(run.settings)
    _check_objects(opened["F1"].settings)
    records = {label: _train(label, member, progress) for label, member in opened.items()}
    started = time.monotonic()  # of the analysis alone: each model's record has the seconds of its training
    study = Study.of(run.settings, opened)
    models = TrainedModels(study, records, progress)
    chosen = analyses(study)
    models.cells.bar.reset(total=len(unique_cells(chosen.values(), models)))
    try:
        tables = {name: analysis.table(models) for name, analysis in chosen.items()}
        metrics: dict[str, Any] = {"barriers": barriers_of(tables["curves"])}
        metrics["mean_barriers"] = Lines(study).mean_barriers(models)
        metrics["points"] = Planes(study).coordinates(models)
        if study.settings.beyond:
            metrics["matched_l2"] = Matching(study).lengths(models)
        masks = Lines(study).masks(models)
    finally:
        models.cells.bar.close()
    tables["distances"] = all_distances(models)
    for name, table in tables.items():
        run.write_table(name, table)
    images, targets = models.test.image_set.batch(models.example_indices)
    examples = {"images": (images * 255).round().byte(), "targets": targets.byte(), **masks}
    save_tensors(run.folder / "examples.safetensors", examples)
    return run.finish(
        metrics,
        seconds=time.monotonic() - started,
        images_seen=0,
        hardware=describe_hardware(models.device),
        members={label: record.name for label, record in records.items()},
        made_from={record.name: runs.weights_hash(record.name) for record in records.values()},
        member_seconds=sum({record.name: record.content["seconds"] for record in records.values()}.values()),
        scored_split=models.scored_split,
        batch_norm=list(study.batch_norm),
        tables=list(tables),
        n_scored=len(models.test.indices),
        n_train=models.n_train,
    )


def _train(label: str, run: Run[Any], progress: bool) -> Record:
    train = benchmark.train if run.kind == BenchmarkSettings.kind else transfer.train
    try:
        return train(run, progress)
    except ChairlibError as error:
        raise type(error)(f"{label} ({run.name}) could not be made: {error}") from error


def _check_objects(settings: TransferSettings) -> None:
    """Refuse, before anything is trained, photos without an object to score: a line without IoU has no barrier."""
    photos = open_photos(settings, torch.device("cpu"))
    for split, images in (("train", photos.train), (photos.scored_split, photos.scored)):
        if not holds_objects(CompositeLoader(images, split, batch_size=256)):
            raise ParameterError(
                f"no {split} photo of {settings.category} in {settings.data} has an object of more than "
                f"{MIN_CHAIR_PIXELS - 1} pixels at resolution {settings.resolution}, so there is no IoU to follow; "
                "check the masks in GroundTruth, or use other photos."
            )


def examples(record: Record) -> dict[str, Any]:
    """What the scrubber shows of a finished run. Raises :class:`RecordError` if its file is missing.

    ``images`` uint8 [N, d, d, 3], ``targets`` bool [N, d, d], ``predicted``: (pair, batch_norm) -> bool [n_alphas, N,
    d, d].
    """
    tensors = record.tensors("examples.safetensors")
    names = [name for name in tensors if name.startswith("masks.")]
    masks = {tuple(name.split(".")[1:]): tensors[name].numpy().astype(bool) for name in names}
    if not masks:
        raise RecordError(f"{record.folder} has no masks; delete it and run it again.")
    return {
        "images": tensors["images"].permute(0, 2, 3, 1).numpy(),
        "targets": tensors["targets"][:, 0].numpy().astype(bool),
        "predicted": masks,
    }
