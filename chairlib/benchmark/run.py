"""One run of the benchmark: a model trained on a collection at a resolution, and scored once on its test split (5.1, 5.2)."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chairlib.benchmark.metrics import Scores, none_if_nan
from chairlib.benchmark.models import MIN_SIZE, build_model, check_model, count_parameters, source_hash
from chairlib.benchmark.training import (
    Recipe,
    evaluate,
    fit,
    forward_precision,
    get_recipe,
    predict,
    segmentation_loss,
    training_dtype,
)
from chairlib.collection import KINDS, SPLITS, Collection
from chairlib.compositing.blend import padding
from chairlib.compositing.datasets import (
    BACKGROUNDS_PER_SEGMENT,
    CompositeLoader,
    ReleasedChairSegments,
    foreground_shares,
    is_released,
    open_source,
    read_note,
)
from chairlib.core import runs
from chairlib.core.checks import LARGEST_SEED, check_count
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.errors import ParameterError
from chairlib.core.runs import Record, Run
from chairlib.core.tensors import load_tensors, save_tensors

__all__ = ["DEFAULTS", "KIND", "examples", "measure_speed", "open_run", "train", "count_images"]

KIND = "benchmark"

#: The parameters of a run and their defaults. ``images``: training budget; ``train_images``, ``val_images`` and ``test_images``: fixed
#: subsets, spread over all segments. None means the recipe's epochs, and every composite of the split.
DEFAULTS: dict[str, Any] = {
    "data": "mini",
    "model": "unet",
    "width": None,
    "resolution": 64,
    "recipe": "fast",
    "images": None,
    "train_images": None,
    "val_images": None,
    "test_images": None,
    "evaluations": None,
    "seed": 0,
    "device": "auto",
}
#: Test composites kept with the record, so that reports can show predictions without the model.
N_FIXED, N_EXTREME = 6, 4


def _data_identity(data: str | Path, resolution: int) -> tuple[str, str]:
    """(name, content hash) of a collection, or of a folder in the authors' layout."""
    if is_released(data):
        sources = [open_source(data, split, resolution, torch.device("cpu")) for split in ("train", "val", "test")]
        return sources[0].name, "".join(source.data_hash[:5] for source in sources)
    collection = Collection(data)
    return collection.name, collection.hash


def open_run(**parameters: Any) -> Run:
    """Check the parameters of a run (those of :data:`DEFAULTS`) and open it; nothing is computed yet.

    Raises :class:`ParameterError` for an unknown name or an impossible value, :class:`CollectionError` for unusable data.
    """
    settings = runs.fill(KIND, DEFAULTS, parameters)
    padding(settings["resolution"])
    if settings["resolution"] < MIN_SIZE:
        raise ParameterError(
            f"resolution {settings['resolution']} is too small for a model; use at least {MIN_SIZE} pixels."
        )
    for name in ("width", "images", "train_images", "val_images", "test_images", "evaluations"):
        check_count(name, settings[name], none=True)
    check_count("seed", settings["seed"], least=0, most=LARGEST_SEED)
    check_model(settings["model"], settings["width"])
    get_recipe(settings["recipe"], settings["model"])
    pick_device(settings["device"])
    identity = _data_identity(settings["data"], settings["resolution"])
    return runs.open_run(KIND, settings, *identity, model_source=source_hash(settings["model"]))


def count_images(run: Run) -> tuple[int, int]:
    """How many images the run trains on and scores at most: its budget, and all its validations and its test."""
    settings = run.parameters
    recipe = get_recipe(settings["recipe"], settings["model"])
    if is_released(settings["data"]):
        sizes = {split: len(ReleasedChairSegments(settings["data"], split)) for split in SPLITS}
    else:
        collection = Collection(settings["data"])
        counts = {split: [len(collection.rows(kind, split)) for kind in KINDS] for split in SPLITS}
        sizes = {
            split: n_segments * min(n_rooms, BACKGROUNDS_PER_SEGMENT) for split, (n_segments, n_rooms) in counts.items()
        }
    train, val, test = (min(settings[f"{split}_images"] or sizes[split], sizes[split]) for split in SPLITS)
    trained = settings["images"] or math.ceil(recipe.epochs * train)
    evaluations = settings["evaluations"] or max(8, round(trained / train))
    return trained, evaluations * val + test


def _loaders(run: Run) -> tuple[CompositeLoader, CompositeLoader, CompositeLoader]:
    settings = run.parameters
    recipe = get_recipe(settings["recipe"], settings["model"])
    device = pick_device(settings["device"])

    def loader(split: str, **options: Any) -> CompositeLoader:
        return CompositeLoader(settings["data"], split, settings["resolution"], device=device, **options)

    return (
        loader(
            "train",
            batch_size=recipe.batch_size,
            limit=settings["train_images"],
            flip=recipe.flip,
            seed=settings["seed"],
        ),
        loader("val", batch_size=256, limit=settings["val_images"]),
        loader("test", batch_size=256, limit=settings["test_images"]),
    )


def train(run: Run, progress: bool = True) -> Record:
    """Train the run's model, score it on the test split, and leave its record; a finished run is only read.

    Interrupted at any point, it goes on from its last checkpoint (at most a minute old) when called again, and ends with
    the same weights.
    """
    if run.record is not None:
        return run.record
    settings = run.parameters
    recipe = get_recipe(settings["recipe"], settings["model"])
    train_loader, val_loader, test_loader = _loaders(run)
    torch.manual_seed(settings["seed"])
    model = build_model(settings["model"], settings["width"], recipe.backbone_weights).to(train_loader.device)
    result = fit(
        model,
        train_loader,
        val_loader,
        recipe,
        images=settings["images"],
        evaluations=settings["evaluations"],
        checkpoint=run.checkpoint,
        seed=settings["seed"],
        progress=progress,
    )
    test = evaluate(model, test_loader, recipe.loss, progress)
    run.write_table("history", result.history)
    run.write_table("test_images", test.scores.per_image)
    save_tensors(run.folder / "examples.safetensors", _pick_examples(model, test_loader, test.scores))
    save_tensors(run.folder / "weights.safetensors", model.state_dict())
    best = result.history.loc[result.history["images"] == result.best_images].iloc[0]
    return run.finish(
        {
            "test": {**test.scores.to_dict(), "loss": test.loss},
            "val": {"iou": none_if_nan(best["val_iou"]), "n_images": val_loader.n_images},
            "all_background_precision": 100 - float(foreground_shares(test_loader).mean()),
        },
        seconds=result.seconds,
        images_seen=result.images_seen,
        hardware=describe_hardware(train_loader.device),
        precision=str(training_dtype(train_loader.device)).removeprefix("torch."),
        n_parameters=count_parameters(model),
        n_train_images=len(train_loader.indices),
        source=read_note(settings["data"])["source"] if is_released(settings["data"]) else "chair_segments",
        recipe=vars(recipe),
        best_images=result.best_images,
        converged_images=result.converged_images,
        converged_seconds=result.converged_seconds,
        stopped_early=result.stopped_early,
    )


def _pick_examples(model: torch.nn.Module, test: CompositeLoader, scores: Scores) -> dict[str, torch.Tensor]:
    """Images, masks and probabilities (uint8) and IoU (per cent) of some fixed, the best and the worst test composites."""
    ious = scores.per_image["iou"].to_numpy()
    by_iou = [index for index in np.argsort(ious, kind="stable").tolist() if not np.isnan(ious[index])]
    count = len(test.indices)
    chosen = {
        "fixed": [number * count // N_FIXED for number in range(min(N_FIXED, count))],
        "best": by_iou[::-1][:N_EXTREME],
        "worst": by_iou[:N_EXTREME],
    }
    tensors: dict[str, torch.Tensor] = {}
    for which, indices in chosen.items():
        images, masks = test.source.batch(test.indices[indices].to(test.device))
        parts = {"images": images, "targets": masks, "probabilities": predict(model, images)}
        tensors |= {f"{which}.{name}": (part * 255).round().byte() for name, part in parts.items()}
        tensors[f"{which}.iou"] = torch.tensor(ious[indices], dtype=torch.float64)
    return tensors


def examples(record: Record, which: str) -> dict[str, np.ndarray]:
    """``fixed``, ``best`` or ``worst`` test composites of a finished run, as arrays for :mod:`chairlib.show.pictures`.

    ``images`` uint8 [N, d, d, 3], ``targets`` bool [N, d, d], ``probabilities`` float [N, d, d] in [0, 1], ``ious`` [N] in per cent.
    """
    tensors, _ = load_tensors(record.file("examples.safetensors"))
    return {
        "images": tensors[f"{which}.images"].permute(0, 2, 3, 1).numpy(),
        "targets": tensors[f"{which}.targets"][:, 0].numpy() > 127,
        "probabilities": tensors[f"{which}.probabilities"][:, 0].numpy() / 255,
        "ious": tensors[f"{which}.iou"].numpy(),
    }


def measure_speed(
    parameters: Mapping[str, Any],
    steps: int = 3,
    clock: Callable[[], float] = time.perf_counter,
    recipe: Recipe | None = None,
) -> tuple[float, float]:
    """Seconds that a training image and a scored image take here, measured on random images after one warm-up step.

    ``recipe``: the benchmark's by default; its batch size decides how long an image takes.
    """
    settings = DEFAULTS | dict(parameters)
    device = pick_device(settings["device"])
    recipe = recipe or get_recipe(settings["recipe"], settings["model"])
    size = settings["resolution"]
    model = build_model(settings["model"], settings["width"]).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    images = torch.rand(recipe.batch_size, 3, size, size, device=device).to(memory_format=torch.channels_last)
    masks = torch.zeros(recipe.batch_size, 1, size, size, device=device)
    started = clock()
    for step in range(steps + 1):
        with forward_precision(device):
            logits = model(images)
        segmentation_loss(logits.float(), masks, recipe.loss).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if step == 0:
            started = clock()
    trained = clock()
    predict(model, images).sum().item()
    return (trained - started) / (steps * recipe.batch_size), (clock() - trained) / recipe.batch_size
