"""The parameters of a benchmark run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from chairlib.core.checks import LARGEST_SEED, PRECISIONS, check_choice, check_count, check_positive
from chairlib.core.errors import ParameterError
from chairlib.core.settings import Settings, parameter


def check_model_options(normalise: str | None, outputs: str) -> None:
    """Raise ParameterError for a ``normalise`` or ``outputs`` that ``adapt`` does not know."""
    if normalise not in (None, "imagenet"):
        raise ParameterError(f"normalise {normalise!r} is unknown; use 'imagenet', or None for images in [0, 1].")
    check_choice("outputs", outputs, ("logits", "probabilities"))


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Settings):
    """What every kind of run says about its model. Raises ParameterError for an impossible value."""

    model: str = parameter("unet", help="unet, fcn_vgg16, fcn_resnet50, fcn_resnet101, or package.module:callable.")
    width: int | None = parameter(None, help="Channels of the first convolution; the paper's by default.")
    model_args: Mapping[str, Any] = parameter(
        dict, help="What package.module:callable is called with, as a JSON object of arguments.", later=True
    )
    normalise: str | None = parameter(None, help="imagenet: its mean and deviation; images in [0, 1] else.", later=True)
    outputs: str = parameter("logits", help="What the model returns: logits or probabilities.", later=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("width", self.width, none=True)
        check_model_options(self.normalise, self.outputs)
        try:
            # As a record gives them back, so that equal settings have one name: of a tuple, a list.
            args = json.loads(json.dumps(self.model_args, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"model_args {' '.join(repr(self.model_args).split())} must be JSON, which a record can hold ({error})."
            ) from error
        if args.keys() != self.model_args.keys():
            raise ParameterError(f"model_args {self.model_args!r} must have names of arguments as keys.")
        object.__setattr__(self, "model_args", args)

    def model_terms(self) -> dict[str, Any]:
        """By name, the parameters that say which model it is, its resolution aside."""
        return {field.name: getattr(self, field.name) for field in fields(ModelSettings)}


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings(ModelSettings):
    """What a benchmark run is asked for. Raises ParameterError for an impossible value."""

    kind: ClassVar[str] = "benchmark"

    data: str = parameter("mini", help="A collection, or a folder in the authors' layout.", identity=False)
    protocol: str | None = parameter(
        None, help="Terms fixed under a name: mini-64-v1, or 64-v1 on data of your own.", identity=False
    )
    resolution: int = parameter(64, help="Pixels a side, from 32 to 4096.")
    recipe: str = parameter("fast", help="paper, released, fast (any model's), or a .yaml file of changes to one.")
    learning_rate: float | None = parameter(None, help="The recipe's by default.", later=True)
    swept: bool = parameter(
        False, help="The learning rate is one that a protocol offers, tried by a sweep or chosen by it.", later=True
    )
    batch_size: int | None = parameter(None, help="Images of a training step; the recipe's by default.", later=True)
    images: int | None = parameter(None, help="Training budget in images; the recipe's epochs by default.")
    train_images: int | None = parameter(None, help="Different training composites; all by default.")
    val_images: int | None = parameter(None, help="Validation composites; all by default.")
    test_images: int | None = parameter(None, help="Test composites; all by default.")
    evaluations: int | None = parameter(None, help="How often to validate; once an epoch, at least 8, by default.")
    weights: str | None = parameter(
        None,
        help="Trained elsewhere, a .safetensors or .pt file: scored, not trained. 'built': as the model is built.",
        later=True,
    )
    seed: int = parameter(0, help="Seed of the initial weights, the order of images and their flips.")
    precision: str = parameter("auto", help="Of training: float32, bfloat16, or the faster one here, auto.")
    deterministic: bool = parameter(False, help="On CUDA: the same bits for one seed, at a cost.", later=True)
    device: str = parameter("auto", help="auto, cpu, cuda, ...", identity=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("precision", self.precision, PRECISIONS)
        check_positive("learning_rate", self.learning_rate, none=True)
        for name in ("batch_size", "images", "train_images", "val_images", "test_images", "evaluations"):
            check_count(name, getattr(self, name), none=True)
        check_count("seed", self.seed, least=0, most=LARGEST_SEED)
