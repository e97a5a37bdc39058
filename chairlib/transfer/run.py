"""One fine-tuning run: a model on one category of Object Discovery, from scratch or from pretrained weights (5.3).

Section 5.3 trains every model twice on photos of airplanes, cars and horses: from randomly initialised weights, and
from weights pretrained on chairs. Both use the same recipe, the same photos and the same number of images. The protocol
decides which photos train, validate and are scored (:mod:`chairlib.transfer.protocols`).
"""

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from chairlib.benchmark.determinism import deterministic_mode
from chairlib.benchmark.evaluation import evaluate, predict
from chairlib.benchmark.metrics import MaskScorer
from chairlib.benchmark.models import MIN_SIZE, check_model, model_code_hash, model_of
from chairlib.benchmark.run import leave_record
from chairlib.benchmark.settings import ModelSettings
from chairlib.benchmark.training import fit
from chairlib.compositing.augmentation import Augment
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import runs
from chairlib.core.checks import check_count
from chairlib.core.devices import pick_device
from chairlib.core.errors import ParameterError, RecordError
from chairlib.core.runs import Record, Run
from chairlib.transfer.object_discovery import ObjectDiscovery, categories_of
from chairlib.transfer.photos import check_unchanged, name_and_hash, open_datasets, photos_root, share_of, splits_of
from chairlib.transfer.pretraining import (
    check_same_model,
    load_pretrained,
    pretraining_cost,
    pretraining_of,
    read_pretrained,
)
from chairlib.transfer.protocols import figure_ids
from chairlib.transfer.recipes import get_recipe
from chairlib.transfer.settings import STAND_IN, TransferSettings

_INIT_STREAM = 53
#: Scored photos kept with the record, at most: Figure 5 shows some of them, chosen when all models have been scored.
N_EXAMPLES = 64
#: Which of them it shows: those at fixed places when all are ordered by IoU, so that nobody picks them. Where one photo
#: is at several of these places, the last name is its own.
QUANTILES = {"median": 0.5, "25 %": 0.25, "75 %": 0.75, "worst": 0.0, "best": 1.0}


def open_run(settings: TransferSettings | None = None, /, **parameters: Any) -> Run[TransferSettings]:
    """The run with these settings, with single ``parameters`` changed by name; nothing is trained yet.

    Raises :class:`ParameterError` for an unknown name or an impossible value, :class:`CollectionError` for unusable
    data. Only :func:`train` checks whether the pretrained record exists and fits: it may not have been made yet.
    """
    settings = (settings or TransferSettings()).with_changes(**parameters)
    check_count("resolution", settings.resolution, least=MIN_SIZE)
    if (settings.pretraining == "none") != (settings.pretrained is None):
        raise ParameterError(
            f"pretraining {settings.pretraining!r} and pretrained {settings.pretrained!r} do not go together; give the "
            "name of a record with every pretraining but 'none', and with that none."
        )
    if settings.pretrained is not None:
        with suppress(RecordError):  # where it is there yet: a shortened name stands for the same run
            settings = settings.with_changes(pretrained=runs.find_record(settings.pretrained).name)
    get_recipe(settings.recipe, settings.model)
    pick_device(settings.device)
    check_model(settings)
    return runs.open_run(settings, *name_and_hash(settings), model_code=model_code_hash(settings.model))


def training_budget(settings: TransferSettings) -> int:
    """How many photos a run with these settings trains on, those not counted that match a pretraining."""
    n_train = math.ceil(len(open_datasets(settings)["train"]) * settings.share / 100)
    return settings.images or math.ceil(get_recipe(settings.recipe, settings.model).epochs * n_train)


def initial_model(settings: TransferSettings) -> nn.Module:
    """The model of a run with these settings before anything is learned or loaded, on the CPU."""
    seed = settings.seed if settings.init_seed is None else settings.init_seed
    # Not the benchmark's random stream: a model from scratch must not share its initial weights with a pretrained one.
    torch.manual_seed(int(np.random.SeedSequence([seed, _INIT_STREAM]).generate_state(1, np.uint32)[0]))
    return model_of(settings)


def train(run: Run[TransferSettings], progress: bool = True) -> Record:
    """Train the run's model, score it, and leave its record; a finished run is only read.

    Interrupted at any point, it goes on from its last checkpoint when called again, and ends with the same weights.
    Raises :class:`CollectionError` where photos have changed since the run was opened, :class:`RecordError` where the
    pretrained record is missing or does not fit.
    """
    check_unchanged(run)
    if run.record is not None:
        return run.record
    with run.alone(), deterministic_mode(pick_device(run.settings.device), run.settings.deterministic):
        return run.record or _train(run, progress)


def _train(run: Run[TransferSettings], progress: bool) -> Record:
    settings = run.settings
    recipe, device = get_recipe(settings.recipe, settings.model), pick_device(settings.device)
    _, val_split, scored_split = splits_of(settings.protocol)
    datasets = open_datasets(settings)
    photos = {split: data.image_set(settings.resolution, device) for split, data in datasets.items()}
    augment = Augment() if settings.recipe == "fast" else None  # ours: section 5.3 names no augmentation
    train_loader = CompositeLoader(
        share_of(photos["train"], datasets["train"].ids, settings.share, settings.seed),
        "train",
        batch_size=recipe.batch_size,
        flip=recipe.flip and augment is None,
        augment=augment,
        seed=settings.seed,
    )
    val_loader, test_loader = (
        CompositeLoader(photos[split], split, batch_size=256) for split in (val_split, scored_split)
    )

    model = initial_model(settings)
    checkpoint, images, cost, made_from = run.checkpoint, training_budget(settings), None, {}
    if settings.pretrained is not None:
        pretrained = read_pretrained(settings.pretrained)
        cost, weights = pretraining_cost(pretrained), runs.weights_hash(pretrained.name)
        if settings.pretraining == "none_equal_total":
            images += cost["images_seen"]
        else:
            load_pretrained(model, pretrained, settings)
        # Made again under the same name, a pretrained record may hold other weights: their checkpoints stay apart.
        checkpoint, made_from = checkpoint.with_stem(f"{checkpoint.stem}-{weights}"), {pretrained.name: weights}
    model.to(device)
    # What it can do before any photo: a model pretrained on chairs already finds some of the objects.
    start = evaluate(model, test_loader, recipe.loss, progress)
    result = fit(
        model,
        train_loader,
        val_loader,
        recipe,
        images=images,
        evaluations=settings.evaluations,
        score_start=True,
        checkpoint=checkpoint,
        precision=settings.precision,
        seed=settings.seed,
        progress=progress,
    )
    test = evaluate(model, test_loader, recipe.loss, progress)
    perfect = MaskScorer()  # leaves out the images that hold too little of the object for an IoU
    for _, masks in val_loader.in_order():
        perfect.update(masks, masks)
    n_left_out = perfect.compute(val_loader.groups).n_left_out
    return leave_record(
        run,
        model,
        recipe,
        result,
        test,
        test_images=test.scores.per_image.assign(id=datasets[scored_split].ids),
        examples=_pick_examples(model, test_loader, datasets[scored_split]),
        metrics={
            "val": {"n_images": val_loader.n_images, "n_left_out": n_left_out},
            "start": {**start.scores.to_dict(), "loss": start.loss},
        },
        n_train_images=len(train_loader.indices),
        scored_split=scored_split,
        published_split=datasets["train"].is_published,
        chosen_on_scored=val_split == scored_split and (recipe.select != "last" or recipe.patience is not None),
        pretrained_on=None if settings.pretraining == "none_equal_total" else cost,
        matched_to=cost if settings.pretraining == "none_equal_total" else None,
        made_from=made_from,
    )


def _pick_examples(model: nn.Module, test: CompositeLoader, data: ObjectDiscovery) -> dict[str, torch.Tensor]:
    """Images, masks and probabilities (uint8) of the photos with the object, evenly spread where there are too many.

    ``rows``: their places among the scored photos. The photos of the paper's Figure 5 are always among them.
    """
    masks = torch.cat([masks for _, masks in test.in_order()])
    with_object = torch.nonzero(masks.sum(dim=(1, 2, 3)) > 0).flatten().tolist()
    count = min(N_EXAMPLES, len(with_object))
    chosen = {with_object[number * len(with_object) // count] for number in range(count)}
    chosen |= {data.ids.index(identity) for identity in figure_ids(data.category) if identity in data.ids}
    rows = torch.tensor(sorted(chosen), dtype=torch.int64)
    images, targets = test.image_set.batch(rows.to(test.device))
    parts = {"images": images, "targets": targets, "probabilities": predict(model, images)}
    return {"rows": rows, **{name: (part * 255).round().byte() for name, part in parts.items()}}


def fine_tune(
    model: str | None = None,
    pretrained: Record | str | None = None,
    category: str | None = None,
    recipe: str = "fast",
    seed: int = 0,
    progress: bool = True,
    **more: Any,
) -> Record:
    """Train a model on a category, from scratch or from the weights of a ``pretrained`` record; returns the record.

    ``model``: "unet" by default; with ``pretrained``, a record, its name, or a beginning of that which no other has,
    the model, its width and all else that decides which model is built are the record's, and RecordError is raised
    where others are given. ``category``: the only one that there is, or "car", by default. ``more``: any other
    parameter of :class:`TransferSettings`. A finished run is only read. Raises as :func:`open_run`, :func:`train` do.
    """
    if isinstance(pretrained, str):
        pretrained = read_pretrained(pretrained)
    if not isinstance(pretrained, Record | None):
        raise ParameterError(f"pretrained {pretrained!r} is no record; give a record, or its name.")
    asked = more if model is None else {"model": model, **more}
    if pretrained is not None:
        start = {"pretraining": pretraining_of(pretrained), "pretrained": pretrained.name}
        check_same_model(pretrained, {name: asked[name] for name in ModelSettings.names() if name in asked})
        asked = {**start, **{name: getattr(pretrained.settings, name) for name in ModelSettings.names()}, **asked}
    if category is None:
        found = categories_of(photos_root(asked.get("data", STAND_IN)))
        category = found[0] if len(found) == 1 else TransferSettings().category
    return train(open_run(category=category, recipe=recipe, seed=seed, **asked), progress)


def examples(record: Record, ranked_by: pd.Series | None = None) -> dict[str, Any]:
    """Photos of a finished run for Figure 5, at fixed quantiles of IoU (:data:`QUANTILES`).

    ``ranked_by``: the IoU of each scored photo by its id, by default this run's own; photos without one are left out.
    Gives ``images`` uint8 [N, d, d, 3], ``targets`` and ``predicted`` bool [N, d, d], and ``notes``: N quantiles.
    """
    tensors = record.tensors("examples.safetensors")
    table = record.table("test_images").set_index("id")
    ious = (table["iou"] if ranked_by is None else ranked_by).reindex(table.index).to_numpy()
    kept = ious[tensors["rows"].numpy()]
    order = np.argsort(kept, kind="stable")[: np.count_nonzero(~np.isnan(kept))]  # NaN comes last
    names = {round(share * (len(order) - 1)): name for name, share in QUANTILES.items() if len(order)}
    chosen = order[sorted(names)]
    return {
        "images": tensors["images"].permute(0, 2, 3, 1).numpy()[chosen],
        "targets": tensors["targets"][:, 0].numpy()[chosen] > 127,
        "predicted": tensors["probabilities"][:, 0].numpy()[chosen] > 127,
        "notes": [names[place] for place in sorted(names)],
    }
