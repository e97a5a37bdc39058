"""One benchmark run: a model trained on a collection at a resolution, and scored once on its test split (5.1, 5.2)."""

import math
import time
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from chairlib.benchmark.cost import measure_cost, reset_peak_memory
from chairlib.benchmark.determinism import deterministic_mode
from chairlib.benchmark.evaluation import Evaluation, evaluate, predict
from chairlib.benchmark.metrics import Scores, none_if_nan
from chairlib.benchmark.models import MIN_SIZE, check_model, count_parameters, model_code_hash, model_of
from chairlib.benchmark.protocols import data_identity, follow, get_protocol, protocol_of
from chairlib.benchmark.recipes import Recipe, read_recipe, recipe_of
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.benchmark.training import Fit, fit, untrained
from chairlib.benchmark.weights import AS_BUILT, load_weights, weights_digest
from chairlib.collection import KINDS, SPLITS, Collection
from chairlib.compositing.blend import check_resolution
from chairlib.compositing.image_sets import BACKGROUNDS_PER_SEGMENT
from chairlib.compositing.loader import CompositeLoader, foreground_shares
from chairlib.compositing.released import ReleasedChairSegments, is_released, read_note
from chairlib.core import runs
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.errors import ParameterError
from chairlib.core.runs import Record, Run
from chairlib.core.tensors import save_tensors

#: Test composites kept with the record, so that reports can show predictions without the model.
N_FIXED, N_EXTREME = 6, 4
#: Validation composites of which the record keeps what the model made of them during training.
N_PREVIEWS = 3


def open_run(settings: BenchmarkSettings | None = None, /, **parameters: Any) -> Run[BenchmarkSettings]:
    """The run with these settings, with single ``parameters`` changed by name; nothing is computed yet.

    A ``protocol`` gives all its terms; a parameter beside it makes the run one of another protocol. None stands for a
    parameter's default, or for the protocol's.

    Raises :class:`ParameterError` for an unknown name or an impossible value, :class:`CollectionError` for unusable
    data.
    """
    settings = settings or BenchmarkSettings()
    defaults = BenchmarkSettings().to_dict()
    given = {name: value for name, value in parameters.items() if value is not None or defaults.get(name, "") is None}
    settings = settings.with_changes(**given)
    if (protocol := given.get("protocol")) is not None:
        asked = {name for name, value in given.items() if value is not None}
        settings = follow(get_protocol(protocol, settings.data), settings, asked)
    if settings.weights not in (None, AS_BUILT):
        settings = settings.with_changes(weights=Path(settings.weights))
    check_resolution(settings.resolution)
    if settings.resolution < MIN_SIZE:
        raise ParameterError(
            f"resolution {settings.resolution} is too small for a model; use at least {MIN_SIZE} pixels."
        )
    check_model(settings, trained=settings.weights is None)
    settings = settings.with_changes(recipe=read_recipe(settings.recipe))
    recipe, default = recipe_of(settings), recipe_of(settings.with_changes(learning_rate=None))
    if recipe.learning_rate == default.learning_rate:  # the same run, whether its rate was named or not
        settings = settings.with_changes(learning_rate=None, swept=False)
    pick_device(settings.device)
    return runs.open_run(
        settings,
        *data_identity(settings.data, settings.resolution),
        model_code=model_code_hash(settings.model),
        weights=weights_digest(settings.weights),
    )


def train(
    run: Run[BenchmarkSettings], progress: bool = True, model: nn.Module | None = None, title: str | None = None
) -> Record:
    """Train the run's model, score it on the test split, and leave its record; a finished run is only read.

    Interrupted at any point, it goes on from its last checkpoint when called again, and ends with the same weights.
    Called in two processes, it is trained in one; the other waits and reads the record, or goes on if the first dies.
    With ``weights`` in the settings, the model is scored as it is. ``model``: one that cannot be built by its name. It
    is scored each time, for nothing tells whether it is the one of last time. ``title``: what tables call it, where
    that is not its name.
    """
    if model is None and run.record is not None:
        return run.record
    with run.alone(), deterministic_mode(pick_device(run.settings.device), run.settings.deterministic):
        if model is not None:
            (run.folder / "record.json").unlink(missing_ok=True)
        return run.record or _train(run, progress, model, title)


def _train(run: Run[BenchmarkSettings], progress: bool, model: nn.Module | None, title: str | None) -> Record:
    settings = run.settings
    recipe, device = recipe_of(settings), pick_device(settings.device)

    def loader(split: str, **options: Any) -> CompositeLoader:
        return CompositeLoader(settings.data, split, settings.resolution, device=device, **options)

    limit, seed = settings.train_images, settings.seed
    train_loader = loader("train", batch_size=recipe.batch_size, limit=limit, flip=recipe.flip, seed=seed)
    val_loader = loader("val", batch_size=256, limit=settings.val_images)
    test_loader = loader("test", batch_size=256, limit=settings.test_images)

    reset_peak_memory(device)
    torch.manual_seed(seed)
    model = model or model_of(settings, recipe.backbone_weights)
    model.to(device)
    if settings.weights is not None:
        load_weights(model, settings.weights)
        result = untrained(evaluate(model, val_loader, recipe.loss))
    else:
        result = fit(
            model,
            train_loader,
            val_loader,
            recipe,
            images=settings.images,
            evaluations=settings.evaluations,
            previews=N_PREVIEWS,
            checkpoint=run.checkpoint,
            precision=settings.precision,
            seed=seed,
            progress=progress,
        )
    began = time.perf_counter()
    test = evaluate(model, test_loader, recipe.loss, progress)
    scoring, trained = time.perf_counter() - began, result if settings.weights is None else None

    return leave_record(
        run,
        model,
        recipe,
        result,
        test,
        test_images=test.scores.per_image.join(test.scores.counts),  # from which others can compute the scores
        examples=_pick_examples(model, test_loader, test.scores),
        metrics={
            "val": {"n_images": val_loader.n_images},
            "all_background_precision": 100 - float(foreground_shares(test_loader).mean()),
        },
        protocol=protocol_of(settings, run.data["hash"]),
        title=title,
        cost=measure_cost(model, trained, len(test_loader.indices), scoring, settings.resolution),
        n_train_images=len(train_loader.indices),
        trained_on=read_note(settings.data)["source"] if is_released(settings.data) else "chair_segments",
    )


def leave_record(
    run: Run,
    model: nn.Module,
    recipe: Recipe,
    result: Fit,
    test: Evaluation,
    *,
    test_images: pd.DataFrame,
    examples: Mapping[str, torch.Tensor],
    metrics: Mapping[str, Any],
    **more: Any,
) -> Record:
    """Write what training came to: history, table of test images, examples, weights, previews, and last the record.

    The validation IoU of the chosen weights joins the entry ``val`` of ``metrics``; ``more`` are further entries.
    """
    run.write_table("history", result.history)
    run.write_table("test_images", test_images)
    save_tensors(run.folder / "examples.safetensors", examples)
    save_tensors(run.folder / "weights.safetensors", model.state_dict())
    if result.previews:
        save_tensors(run.folder / "previews.safetensors", result.previews)
    device = next(chain(model.parameters(), model.buffers()), torch.empty(0)).device
    best = result.history.loc[result.history["images"] == result.best_images].iloc[0]
    return run.finish(
        {
            "test": {**test.scores.to_dict(), "loss": test.loss},
            **metrics,
            "val": {"iou": none_if_nan(best["val_iou"]), **metrics["val"]},
        },
        seconds=result.seconds,
        images_seen=result.images_seen,
        hardware=describe_hardware(device),
        model_code=model_code_hash(run.settings.model),
        precision=result.precision,
        n_parameters=count_parameters(model),
        recipe=vars(recipe),
        best_images=result.best_images,
        converged_images=result.converged_images,
        converged_seconds=result.converged_seconds,
        stopped_early=result.stopped_early,
        half_images=result.half_images,
        **more,
    )


def _pick_examples(model: torch.nn.Module, test: CompositeLoader, scores: Scores) -> dict[str, torch.Tensor]:
    """Some fixed, the best and the worst test composites: images, masks and probabilities as uint8, IoU in per cent.

    The best, and the worst, are of different segment groups: otherwise one chair on many backgrounds takes all places.
    """
    by_iou = scores.per_image.dropna(subset=["iou"]).sort_values("iou", kind="stable")
    units = by_iou["group"] if scores.has_groups else by_iou.index.to_series()
    ious, count = scores.per_image["iou"].to_numpy(), len(test.indices)
    chosen = {
        "fixed": [number * count // N_FIXED for number in range(min(N_FIXED, count))],
        "best": units[::-1].drop_duplicates().index[:N_EXTREME].tolist(),
        "worst": units.drop_duplicates().index[:N_EXTREME].tolist(),
    }
    tensors: dict[str, torch.Tensor] = {}
    for which, indices in chosen.items():
        images, masks = test.image_set.batch(test.indices[indices].to(test.device))
        parts = {"images": images, "targets": masks, "probabilities": predict(model, images)}
        tensors |= {f"{which}.{name}": (part * 255).round().byte() for name, part in parts.items()}
        tensors[f"{which}.iou"] = torch.tensor(ious[indices], dtype=torch.float64)
    return tensors


def examples(record: Record, which: str) -> dict[str, np.ndarray]:
    """``fixed``, ``best`` or ``worst`` test composites of a finished run, as arrays for :mod:`chairlib.show.pictures`.

    The best are of different segment groups, and so are the worst, where groups are known.

    ``images`` uint8 [N, d, d, 3], ``targets`` bool [N, d, d], ``probabilities`` float [N, d, d] in [0, 1], ``ious`` [N]
    in per cent.
    """
    tensors = record.tensors("examples.safetensors")
    return {**_as_arrays(tensors, f"{which}."), "ious": tensors[f"{which}.iou"].numpy()}


def previews(record: Record) -> dict[str, np.ndarray]:
    """What the model made of a few validation composites during training; empty where the run kept nothing of it.

    ``seen`` int [T], images trained on by then; ``images`` uint8 [N, d, d, 3], ``targets`` bool [N, d, d] and
    ``probabilities`` float [T, N, d, d] in [0, 1]. See :attr:`chairlib.benchmark.training.Fit.previews`.
    """
    if not (record.folder / "previews.safetensors").is_file():
        return {}
    tensors = record.tensors("previews.safetensors")
    return {**_as_arrays(tensors), "seen": tensors["seen"].numpy()}


def _as_arrays(tensors: Mapping[str, torch.Tensor], prefix: str = "") -> dict[str, np.ndarray]:
    return {
        "images": tensors[f"{prefix}images"].permute(0, 2, 3, 1).numpy(),
        "targets": tensors[f"{prefix}targets"][:, 0].numpy() > 127,
        "probabilities": tensors[f"{prefix}probabilities"][..., 0, :, :].numpy() / 255,
    }


def count_composites(settings: BenchmarkSettings) -> dict[str, int]:
    """How many different composites each split gives to a run with these settings."""
    if is_released(settings.data):
        sizes = {split: len(ReleasedChairSegments(settings.data, split)) for split in SPLITS}
    else:
        collection = Collection(settings.data)
        counts = {split: [len(collection.rows(kind, split)) for kind in KINDS] for split in SPLITS}
        sizes = {split: segments * min(rooms, BACKGROUNDS_PER_SEGMENT) for split, (segments, rooms) in counts.items()}
    limits = {"train": settings.train_images, "val": settings.val_images, "test": settings.test_images}
    return {split: min(limits[split] or size, size) for split, size in sizes.items()}


def training_budget(settings: BenchmarkSettings) -> int:
    """How many images a run with these settings trains on at most: its budget, or its recipe's epochs."""
    if settings.weights is not None:
        return 0
    return settings.images or math.ceil(recipe_of(settings).epochs * count_composites(settings)["train"])
