"""One run of the transfer experiment: a model on one category of Object Discovery, from scratch or from a pretrained record.

Section 5.3 trains every model twice on photos of airplanes, cars and horses: from randomly initialised weights, and from
weights pretrained on chairs. Both use the same recipe, the same images and the same number of them. Which images train,
validate and test is the protocol's matter (:mod:`chairlib.transfer.object_discovery`), and stands wherever a figure does.
"""

import hashlib
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from chairlib.benchmark import run as benchmark
from chairlib.benchmark import training
from chairlib.benchmark.metrics import MaskScorer, none_if_nan
from chairlib.benchmark.models import MIN_SIZE, build_model, check_model, count_parameters, source_hash
from chairlib.benchmark.training import Recipe, evaluate, fit, predict, training_dtype
from chairlib.compositing.augmentation import Augment
from chairlib.compositing.image_sets import StoredSet, to_arrays
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import paths, runs
from chairlib.core.checks import LARGEST_SEED, check_count
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.errors import CollectionError, ParameterError, RecordError
from chairlib.core.runs import Record, Run
from chairlib.core.tensors import load_tensors, save_tensors
from chairlib.transfer.object_discovery import (
    CATEGORIES,
    FOLDS,
    ObjectDiscovery,
    figure_ids,
    photos_folder,
    stable_order,
)

__all__ = [
    "DEFAULTS",
    "KIND",
    "PRETRAININGS",
    "RECIPES",
    "STAND_IN",
    "ImageSets",
    "examples",
    "fine_tune",
    "get_recipe",
    "initial_model",
    "open_run",
    "open_image_sets",
    "pretraining_of",
    "protocol_title",
    "run_title",
    "train",
]

KIND = "transfer"
#: The rendered photos that ship with the package. Never to be called Object Discovery.
STAND_IN = "stand-in"
#: What a model may have learned before. ``chair_segments_matched``: as many different composites as there are crops of COCO's
#: chairs, so that the two sources are compared at the same number of images.
PRETRAININGS = ("none", "chair_segments", "coco_chairs", "chair_segments_matched")

#: The parameters of a run and their defaults. ``pretrained``: the name of the record whose weights it starts from;
#: ``share``: per cent of the training images used; ``images``: training budget (None: the recipe's epochs);
#: ``seed``: of initial weights, order, augmentation and which images a share holds; ``init_seed``: of initial weights alone, where
#: they have another.
DEFAULTS: dict[str, Any] = {
    "data": STAND_IN,
    "category": "car",
    "protocol": "authors",
    "fold": 0,
    "model": "unet",
    "width": None,
    "resolution": 64,
    "pretraining": "none",
    "pretrained": None,
    "recipe": "fast",
    "share": 100,
    "images": None,
    "evaluations": None,
    "seed": 0,
    "init_seed": None,
    "device": "auto",
}
_INIT_STREAM = 53
#: Test images kept with the record where the category has no published list of its own.
N_EXAMPLES = 5


def _printed(model: str) -> Recipe:
    """Section 5.3's values for a model; the rest as in the pretraining recipe ``paper``, and said to be not printed."""
    base = training.RECIPES["paper"][model]
    values: dict[str, dict[str, Any]] = {
        "unet": {"optimizer": "adam", "learning_rate": 1e-3},
        "fcn_vgg16": {"optimizer": "sgd", "learning_rate": 1e-4},
        "fcn_resnet50": {"optimizer": "sgd", "learning_rate": 1e-4, "momentum": 0.9, "weight_decay": 1e-5},
        "fcn_resnet101": {"optimizer": "rmsprop", "learning_rate": 1e-5, "momentum": 0.9, "weight_decay": 1e-6},
    }
    # Not stopped early, which the paper prints for section 5.1 alone: each arm would end after another number of images, the
    # sooner the fewer photos it has, and a comparison of arms would measure that. The last weights are kept: the authors'
    # protocol has no other photos to choose them on than those that are scored.
    return replace(base, epochs=100, patience=None, select="last", **values[model])


_FAST = replace(training.RECIPES["fast"]["*"], learning_rate=1e-3, batch_size=16, epochs=40, select="last")

#: Recipes by name, then by model; ``*`` stands for every other model. ``paper``: section 5.3. ``fast``: ours, for short budgets.
#: Both train for the whole budget and keep the last weights, so that arms that are compared have seen as many images.
RECIPES: dict[str, dict[str, Recipe]] = {
    "paper": {model: _printed(model) for model in ("unet", "fcn_vgg16", "fcn_resnet50", "fcn_resnet101")},
    "fast": {"*": _FAST, "unet": replace(_FAST, learning_rate=2e-3)},
}


def get_recipe(name: str, model: str) -> Recipe:
    """The fine-tuning recipe ``name`` for ``model``. Raises :class:`ParameterError` where there is none."""
    return training.get_recipe(name, model, RECIPES)


def data_root(data: str | Path) -> Path:
    """The folder of ``data``: the stand-in that ships with the package, or a folder in Object Discovery's layout.

    Raises :class:`ParameterError` for what is neither a name nor a path.
    """
    return paths.stand_in if data == STAND_IN else photos_folder(data)


def _splits(protocol: str) -> tuple[str, str, str]:
    """The splits that train, validate and are reported: the authors' protocol has no test."""
    return ("train", "val", "val") if protocol == "authors" else ("train", "val", "test")


def _datasets(settings: dict[str, Any]) -> dict[str, ObjectDiscovery]:
    return {
        split: ObjectDiscovery(
            data_root(settings["data"]), settings["category"], split, settings["protocol"], fold=settings["fold"]
        )
        for split in set(_splits(settings["protocol"]))
    }


@dataclass(frozen=True)
class ImageSets:
    """The photos of a run on a device: those that train, and those that are scored, with the name of their split."""

    train: StoredSet
    scored: StoredSet
    scored_split: str


def open_image_sets(settings: dict[str, Any], device: torch.device) -> ImageSets:
    """The photos that a run with these settings trains on (all of them, whatever its share) and is scored on."""
    datasets, scored = _datasets(settings), _splits(settings["protocol"])[2]
    train, test = (datasets[split].image_set(settings["resolution"], device) for split in ("train", scored))
    return ImageSets(train, test, scored)


def initial_model(settings: dict[str, Any]) -> nn.Module:
    """The model of a run with these settings before anything is learned or loaded, on the CPU."""
    seed = settings["seed"] if settings["init_seed"] is None else settings["init_seed"]
    # Another stream than the benchmark's: a model from scratch must not share its initial weights with a pretrained one.
    torch.manual_seed(int(np.random.SeedSequence([seed, _INIT_STREAM]).generate_state(1, np.uint32)[0]))
    return build_model(settings["model"], settings["width"])


def open_run(**parameters: Any) -> Run:
    """Check the parameters of a run (those of :data:`DEFAULTS`) and open it; nothing is trained yet.

    Raises :class:`ParameterError` for an unknown name or an impossible value, :class:`CollectionError` for unusable data.
    Whether the pretrained record exists and fits is found out by :func:`train`: it may not have been made yet.
    """
    settings = runs.fill(KIND, DEFAULTS, parameters)
    for name in ("width", "images", "evaluations"):
        check_count(name, settings[name], none=True)
    check_count("seed", settings["seed"], least=0, most=LARGEST_SEED)
    check_count("init_seed", settings["init_seed"], least=0, most=LARGEST_SEED, none=True)
    check_count("resolution", settings["resolution"], least=MIN_SIZE)
    check_count("share", settings["share"], most=100)
    if settings["pretraining"] not in PRETRAININGS:
        raise ParameterError(
            f"pretraining {settings['pretraining']!r} is unknown; use one of {', '.join(PRETRAININGS)}."
        )
    if (settings["pretraining"] == "none") != (settings["pretrained"] is None):
        raise ParameterError(
            f"pretraining {settings['pretraining']!r} and pretrained {settings['pretrained']!r} do not go together; give the name "
            "of a record with a pretraining, and neither from scratch."
        )
    get_recipe(settings["recipe"], settings["model"])
    pick_device(settings["device"])
    check_model(settings["model"], settings["width"])
    folder = data_root(settings["data"])
    name = ObjectDiscovery(folder, settings["category"], "train", settings["protocol"], fold=settings["fold"]).name
    return runs.open_run(KIND, settings, name, _content_hash_of(settings), model_source=source_hash(settings["model"]))


def content_hash(folder: Path, category: str, protocol: str, fold: int) -> str:
    """16 hexadecimal digits over the ids and files of every split, as they are now."""
    digest = hashlib.sha256()
    for split in ("train", "val", "test"):
        if protocol != "authors" or split != "test":
            data = ObjectDiscovery(folder, category, split, protocol, fold=fold)
            digest.update(repr((split, data.ids)).encode())
            for file in itertools.chain.from_iterable(data.files):
                now = file.stat()
                digest.update(_file_digest(file, now.st_mtime_ns, now.st_size))
    return digest.hexdigest()[:16]


@cache
def _file_digest(file: Path, modified: int, size: int) -> bytes:
    """Read once a process as long as it stays as it is: a mask may be corrected while a notebook is open."""
    return hashlib.sha256(file.read_bytes()).digest()


def _content_hash_of(settings: dict[str, Any]) -> str:
    folder = data_root(settings["data"]).resolve()
    return content_hash(folder, settings["category"], settings["protocol"], settings["fold"])


def _check_photos(run: Run) -> None:
    """Refuse to train on, or to answer for, other photos than those that the run was opened with."""
    now = _content_hash_of(run.parameters)
    if now != run.data["hash"]:
        raise CollectionError(
            f"{data_root(run.parameters['data'])}: photos or masks have changed ({now}) since run {run.name} was opened "
            f"({run.data['hash']}); open it again."
        )


def count_images(run: Run) -> tuple[int, int]:
    """How many images the run trains on and scores at most: its budget, and all its validations and its test."""
    settings = run.parameters
    sizes = {split: len(data) for split, data in _datasets(settings).items()}
    names = _splits(settings["protocol"])
    n_train = math.ceil(sizes["train"] * settings["share"] / 100)
    trained = settings["images"] or math.ceil(get_recipe(settings["recipe"], settings["model"]).epochs * n_train)
    evaluations = settings["evaluations"] or max(8, round(trained / n_train))
    return trained, (1 + evaluations) * sizes[names[1]] + sizes[names[2]]


def protocol_title(settings: Mapping[str, Any]) -> str:
    """A run's protocol, with its fold where it has one: ``"folds (fold 0 of 5)"``."""
    fold = f" (fold {settings['fold']} of {FOLDS})" if settings["protocol"] == "folds" else ""
    return f"{settings['protocol']}{fold}"


def run_title(run: Run | Record, split: str | None = None) -> str:
    """What every figure of a run says of its photos: their name, the protocol, and which split of it is shown (the scored one)."""
    data, asked = (run.data if isinstance(run, Run) else run.content["data"]), run.parameters
    return f"{data['name']}, protocol {protocol_title(asked)}, {split or _splits(asked['protocol'])[2]} images"


def pretraining_of(record: Record) -> str:
    """What a record was pretrained on: one of :data:`PRETRAININGS`. Raises :class:`RecordError` where it is no pretraining."""
    if record.content["kind"] != benchmark.KIND:
        raise RecordError(
            f"record {record.name} is no pretraining but of kind {record.content['kind']}; give one of `chairlib benchmark`."
        )
    source = record.content["source"]
    return f"{source}_matched" if source == "chair_segments" and record.parameters["train_images"] else source


def load_pretrained(name: str, model: nn.Module, settings: dict[str, Any]) -> str | None:
    """Fill ``model`` with a record's weights; returns a hash of them.

    Raises :class:`RecordError` where the record is missing, is no pretraining or another than is asked for, or is of another
    model or width.
    """
    record = runs.read_record(paths.runs / name)
    source = pretraining_of(record)
    if settings["pretraining"] != source:
        raise RecordError(
            f"record {name} was pretrained on {source}, but pretraining {settings['pretraining']!r} is asked for; correct one of them."
        )
    asked = {key: settings[key] for key in ("model", "width")}
    found = {key: record.parameters.get(key) for key in asked}
    if found != asked:
        raise RecordError(
            f"record {name} holds a model with {found}, but {asked} is asked for; pretrain that model first."
        )
    weights, _ = load_tensors(record.file("weights.safetensors"))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RecordError(
            f"record {name} does not fit model {settings['model']!r} ({reason}); pretrain it again."
        ) from error
    return runs.weights_hash(name)


def train(run: Run, progress: bool = True) -> Record:
    """Train the run's model, score it, and leave its record; a finished run is only read.

    Interrupted at any point, it goes on from its last checkpoint when called again, and ends with the same weights. Raises
    :class:`CollectionError` where photos have changed since the run was opened.
    """
    _check_photos(run)
    if run.record is not None:
        return run.record
    settings = run.parameters
    recipe = get_recipe(settings["recipe"], settings["model"])
    datasets, device = _datasets(settings), pick_device(settings["device"])
    names = _splits(settings["protocol"])
    image_sets = {split: data.image_set(settings["resolution"], device) for split, data in datasets.items()}
    train_loader = _training_loader(image_sets["train"], datasets["train"].ids, settings, recipe)
    val_loader, test_loader = (CompositeLoader(image_sets[split], split, batch_size=256) for split in names[1:])
    model = initial_model(settings)
    started_from = load_pretrained(settings["pretrained"], model, settings) if settings["pretrained"] else None
    model.to(device)
    result = fit(
        model,
        train_loader,
        val_loader,
        recipe,
        images=settings["images"],
        evaluations=settings["evaluations"],
        score_start=True,
        # Remade under the same name, a pretrained record may hold other weights: their checkpoints stay apart.
        checkpoint=run.checkpoint.with_stem(f"{run.checkpoint.stem}-{started_from}")
        if started_from
        else run.checkpoint,
        seed=settings["seed"],
        progress=progress,
    )
    test = evaluate(model, test_loader, recipe.loss, progress)
    run.write_table("history", result.history)
    run.write_table("test_images", test.scores.per_image.assign(id=datasets[names[2]].ids))
    save_tensors(run.folder / "examples.safetensors", _pick_examples(model, test_loader, datasets[names[2]]))
    save_tensors(run.folder / "weights.safetensors", model.state_dict())
    best = result.history.loc[result.history["images"] == result.best_images].iloc[0]
    return run.finish(
        {
            "test": {**test.scores.to_dict(), "loss": test.loss},
            "val": {
                "iou": none_if_nan(best["val_iou"]),
                "n_images": val_loader.n_images,
                "n_left_out": _count_left_out(val_loader),
            },
        },
        seconds=result.seconds,
        images_seen=result.images_seen,
        hardware=describe_hardware(device),
        precision=str(training_dtype(device)).removeprefix("torch."),
        n_parameters=count_parameters(model),
        n_train_images=len(train_loader.indices),
        scored_split=names[2],
        published_split=datasets["train"].is_published,
        chosen_on_scored=names[1] == names[2] and (recipe.select != "last" or recipe.patience is not None),
        started_from=started_from,
        pretrained_on=_spent_before(settings["pretrained"]),
        recipe=vars(recipe),
        best_images=result.best_images,
        converged_images=result.converged_images,
        converged_seconds=result.converged_seconds,
        stopped_early=result.stopped_early,
    )


def _count_left_out(loader: CompositeLoader) -> int:
    """How many images hold too little of the object for an IoU, whatever a model makes of them."""
    scorer = MaskScorer()
    for _, masks in loader.in_order():
        scorer.update(masks, masks)
    return scorer.compute(loader.groups).n_left_out


def _spent_before(name: str | None) -> dict[str, Any] | None:
    """What the record of this name was pretrained with: images seen and budgeted, different images, recipe; None from scratch.

    Where a recipe stops early, images seen differ by seed among pretrainings that are the same in all else: the budget doesn't.
    """
    if name is None:
        return None
    content = runs.read_record(paths.runs / name).content
    by_epochs = math.ceil(content["recipe"]["epochs"] * content["n_train_images"])
    return {
        "images_seen": content["images_seen"],
        "budget": content["parameters"]["images"] or by_epochs,
        "n_train_images": content["n_train_images"],
        "recipe": content["parameters"]["recipe"],
    }


def _training_loader(image_set: StoredSet, ids: list[str], settings: dict[str, Any], recipe: Recipe) -> CompositeLoader:
    # Augmentation is ours: section 5.3 names none.
    augment = Augment() if settings["recipe"] == "fast" else None
    flip = recipe.flip and augment is None
    return CompositeLoader(
        _share_of(image_set, ids, settings["share"], settings["seed"]),
        "train",
        batch_size=recipe.batch_size,
        flip=flip,
        augment=augment,
        seed=settings["seed"],
    )


def _share_of(image_set: StoredSet, ids: list[str], share: int, seed: int) -> StoredSet:
    """``share`` per cent of the photos, rounded up: other ones for each seed, the same for both arms of a comparison.

    Of one seed, each share holds all of the smaller ones, so that a curve over shares adds photos and exchanges none.
    """
    if share == 100:
        return image_set
    first = stable_order(ids, f"share {seed}")[: math.ceil(len(ids) * share / 100)]
    chosen = torch.tensor(sorted(ids.index(identity) for identity in first), device=image_set.device)
    images, masks = image_set.images[chosen].cpu(), image_set.masks[chosen].cpu()
    return StoredSet(images, masks, image_set.device, image_set.name)


def fine_tune(
    model: str = "unet",
    pretrained: Record | str | None = None,
    category: str = "car",
    recipe: str = "fast",
    seed: int = 0,
    progress: bool = True,
    **more: Any,
) -> Record:
    """Train ``model`` on a category, from scratch or from the weights of a ``pretrained`` record (or its name), and return its record.

    ``more``: any other of :data:`DEFAULTS`, as ``data``, ``protocol``, and ``width`` (the pretrained record's by default). What
    was asked before is only read. Raises as :func:`open_run` and :func:`train` do.
    """
    if isinstance(pretrained, str):
        pretrained = runs.read_record(paths.runs / pretrained)
    if pretrained is not None:
        more = {
            "width": pretrained.parameters.get("width"),
            "pretraining": pretraining_of(pretrained),
            "pretrained": pretrained.name,
            **more,
        }
    return train(open_run(model=model, category=category, recipe=recipe, seed=seed, **more), progress)


def _pick_examples(model: nn.Module, test: CompositeLoader, data: ObjectDiscovery) -> dict[str, torch.Tensor]:
    """Images, masks and probabilities (uint8) of the images of Figure 5, or of evenly spread ones that hold the object."""
    chosen = [data.ids.index(identity) for identity in figure_ids(data.category) if identity in data.ids]
    if not chosen:
        masks = torch.cat([masks for _, masks in test.in_order()])
        shown = torch.nonzero(masks.sum(dim=(1, 2, 3)) > 0).flatten().tolist()
        chosen = [shown[number * len(shown) // N_EXAMPLES] for number in range(min(N_EXAMPLES, len(shown)))]
    images, targets = test.image_set.batch(torch.tensor(chosen, dtype=torch.int64, device=test.device))
    parts = {"images": images, "targets": targets, "probabilities": predict(model, images)}
    return {name: (part * 255).round().byte() for name, part in parts.items()}


def preview(run: Run, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first ``count`` training photos of a run and their masks: uint8 [N, d, d, 3], bool [N, d, d]."""
    settings = run.parameters
    photos = _datasets(settings)["train"].image_set(settings["resolution"], "cpu")
    images, masks = to_arrays(*photos.batch(torch.arange(min(count, len(photos)))))
    return images, masks > 127


def examples(record: Record) -> dict[str, np.ndarray]:
    """Images of a finished run for Figure 5: ``images`` uint8 [N, d, d, 3], ``targets`` and ``predicted`` bool [N, d, d]."""
    tensors, _ = load_tensors(record.file("examples.safetensors"))
    return {
        "images": tensors["images"].permute(0, 2, 3, 1).numpy(),
        "targets": tensors["targets"][:, 0].numpy() > 127,
        "predicted": tensors["probabilities"][:, 0].numpy() > 127,
    }


def categories() -> tuple[str, ...]:
    """The three categories, in the order of the paper's tables."""
    return tuple(sorted(CATEGORIES, key=("car", "horse", "airplane").index))
