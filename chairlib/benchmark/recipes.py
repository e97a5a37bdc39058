"""Recipes: everything that decides how a model is trained, the data and the seed aside (section 5.2, released code).

- ``paper``: random initialisation and the values printed in section 5.2. What is not printed there has the released
  code's value and is listed in :attr:`Recipe.not_in_paper`.
- ``released``: what the authors' code does: a second sigmoid before the loss, ImageNet backbones for the ResNets, the
  epoch of the lowest validation loss.
- ``fast``: ours, for short budgets, the same for every model: Muon, the first images at half the resolution, IoU in
  the loss. Found on validation images of real chairs with U-Net, and tried on FCN-VGG-16 and FCN-ResNet-50
  (``benchmarks/records/recipe-screening-2026-11-27.json``; around it: ``benchmarks/recipe_search.py``).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core.checks import check_choice, check_count, check_positive
from chairlib.core.errors import ParameterError

#: Optimisers that a recipe may name, see :mod:`chairlib.benchmark.optimizers`.
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop", "muon")
#: Losses that a recipe may name, see :func:`chairlib.benchmark.evaluation.segmentation_loss`.
LOSSES = ("bce", "bce_jaccard", "double_sigmoid")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a model is trained, the data and the seed aside."""

    name: str
    optimizer: str
    """``adam``, ``adamw``, ``sgd``, ``rmsprop``, or ``muon``: see :mod:`chairlib.benchmark.optimizers`."""
    learning_rate: float
    epochs: float
    """Passes over the training images where no other budget is asked for."""
    batch_size: int = 10
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "constant"
    """``constant``; ``one_cycle``, up over the share ``warm_up`` of the steps, then down to zero by a cosine; or
    ``linear``, down by a straight line."""
    warm_up: float = 0.3
    loss: str = "bce"
    """``bce`` per pixel, ``bce_jaccard`` (with the soft IoU), or ``double_sigmoid`` (the released code's slip): see
    :func:`chairlib.benchmark.evaluation.segmentation_loss`."""
    flip: bool = False
    half_until: float = 0.0
    """The share of the steps, from the first on, that train on images of half the height and width, where the model
    takes them: a step takes about a third of the time on a CPU."""
    backbone_weights: str | None = None
    select: str = "iou"
    """The weights to keep: those with the highest validation ``iou``, the lowest ``loss``, or the ``last`` ones."""
    patience: int | None = 3
    """Early stopping: evaluations in a row without a change of more than ``min_change``; None never stops early."""
    min_change: float = 0.1
    """In points of validation IoU."""
    not_in_paper: tuple[str, ...] = ()
    """Names of the values above that the paper doesn't print."""

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_positive("epochs", self.epochs)
        check_count("patience", self.patience, none=True)
        check_count("batch_size", self.batch_size)
        share = "a share of the steps, from 0 to below 1"
        wanted = {"warm_up": share, "half_until": share, "momentum": "a number from 0 to below 1"}
        for name in (*wanted, "weight_decay", "min_change"):
            value, most = getattr(self, name), 1 if name in wanted else math.inf
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < most:
                raise ParameterError(f"{name} {value!r} must be {wanted.get(name, 'a number of at least 0')}.")
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("loss", self.loss, LOSSES)
        if self.backbone_weights not in (None, "imagenet"):
            raise ParameterError(f"backbone_weights {self.backbone_weights!r} is unknown; use 'imagenet', or None.")
        check_choice("select", self.select, ("iou", "loss", "last"))
        check_choice("schedule", self.schedule, ("constant", "one_cycle", "linear"))

    def rate_at(self, step: int, n_steps: int) -> float:
        """The learning rate of step number ``step``, from 0, of ``n_steps``."""
        if self.schedule == "constant":
            return self.learning_rate
        progress = (step + 1) / (n_steps + 1)
        if progress < self.warm_up:
            return self.learning_rate * progress / self.warm_up
        rest = (1 - progress) / (1 - self.warm_up)
        return self.learning_rate * (rest if self.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * rest)))

    def has_settled(self, ious: Sequence[float]) -> bool:
        """Early stopping (5.1): the last ``patience`` evaluations raised validation IoU by at most ``min_change``."""
        # As long as nothing is learnt, nothing can have settled.
        if self.patience is None or len(ious) <= self.patience or max(ious) <= self.min_change:
            return False
        return max(ious[-self.patience :]) <= max(ious[: -self.patience]) + self.min_change


# The paper prints neither batch size nor what "the past few training steps" of early stopping are, and no number of
# epochs beyond saying that U-Net converges in four (section 5.1).
_UNPRINTED = ("batch_size", "epochs", "patience", "min_change")
_ALL = ("*",)
_RESNET = Recipe("paper", "rmsprop", 1e-5, 100, momentum=0.9, weight_decay=1e-6, not_in_paper=_UNPRINTED)
_VGG16 = Recipe("paper", "sgd", 1e-4, 50, momentum=0.9, weight_decay=1e-5)
_RELEASED: dict[str, Any] = {"loss": "double_sigmoid", "select": "loss", "patience": None, "not_in_paper": _ALL}
_FAST = Recipe(
    "fast",
    "muon",
    learning_rate=2e-2,
    epochs=1,
    batch_size=32,
    momentum=0.9,
    weight_decay=0.1,
    schedule="linear",
    warm_up=0.2,
    loss="bce_jaccard",
    flip=True,
    half_until=0.5,
    patience=None,
    not_in_paper=_ALL,
)

#: Recipes by name, then by model; ``*`` stands for every other model.
RECIPES: dict[str, dict[str, Recipe]] = {
    "paper": {
        "unet": Recipe("paper", "adam", 1e-3, 20, not_in_paper=_UNPRINTED),
        "fcn_vgg16": replace(_VGG16, not_in_paper=(*_UNPRINTED, "momentum", "weight_decay")),
        "fcn_resnet50": _RESNET,
        "fcn_resnet101": _RESNET,
    },
    "released": {
        "unet": Recipe("released", "adam", 1e-3, 20, **_RELEASED),
        "fcn_vgg16": replace(_VGG16, name="released", **_RELEASED),
        "fcn_resnet50": replace(_VGG16, name="released", epochs=100, backbone_weights="imagenet", **_RELEASED),
        "fcn_resnet101": replace(
            _RESNET, name="released", learning_rate=1e-6, weight_decay=1e-7, backbone_weights="imagenet", **_RELEASED
        ),
    },
    "fast": {"*": _FAST},
}


def get_recipe(
    name: str, model: str, recipes: Mapping[str, Mapping[str, Recipe]] = RECIPES, /, **changes: Any
) -> Recipe:
    """The recipe ``name`` for ``model``, with single values changed by keyword.

    ``recipes``: by name, then by model; those of the benchmark by default. Raises :class:`ParameterError` for an
    unknown recipe or value, and where there is no such recipe for the model.
    """
    check_choice("recipe", name, recipes)
    by_model = recipes[name]
    recipe = by_model.get(model, by_model.get("*"))
    if recipe is None:
        raise ParameterError(
            f"there is no {name!r} recipe for model {model!r}; use recipe 'fast', or one of {', '.join(by_model)}."
        )
    unknown = changes.keys() - asdict(recipe).keys()
    if unknown:
        raise ParameterError(f"a recipe has no {', '.join(sorted(unknown))}; it has {', '.join(asdict(recipe))}.")
    return replace(recipe, **changes)


def read_recipe(recipe: str) -> str:
    """What stands for a recipe in settings: a name as it is, a file as its name and content, ``mine:{...}``.

    So a run is asked for what the file says, wherever it lies and however it changes later. A file is YAML: ``start:
    fast`` (another name, or nothing for ``fast``) and the values that it changes. Raises :class:`ParameterError` for a
    file that cannot be read.
    """
    if not recipe.endswith((".yaml", ".yml")):
        return recipe
    try:
        content = yaml.safe_load(Path(recipe).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ParameterError(f"recipe {recipe} cannot be read ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise ParameterError(f"recipe {recipe} must hold values by name, as in: learning_rate: 0.001")
    # YAML takes 1e-3 for text: only 1.0e-3 is a number to it.
    values = {str(name): _number(value) for name, value in content.items()}
    return f"{Path(recipe).stem}:{json.dumps(values, sort_keys=True, default=str)}"


def recipe_of(settings: BenchmarkSettings) -> Recipe:
    """The recipe of a run, with the learning rate and batch size that were asked for.

    Raises :class:`ParameterError` for a file (see :func:`read_recipe`) with other entries than a recipe has, and as
    :func:`get_recipe` does.
    """
    name, _, content = read_recipe(settings.recipe).partition(":")
    changes: dict[str, Any] = {}
    if content:
        changes = {"name": name, **json.loads(content)}
        name = str(changes.pop("start", "fast"))
    for changed in ("learning_rate", "batch_size"):
        if (value := getattr(settings, changed)) is not None:
            changes[changed] = value
    return get_recipe(name, settings.model, **changes)


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
