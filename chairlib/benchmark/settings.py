"""The parameters of a benchmark run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from chairlib.core.checks import LARGEST_SEED, PRECISIONS, check_choice, check_count
from chairlib.core.errors import ParameterError
from chairlib.core.settings import Settings, parameter

__all__ = ["BenchmarkSettings", "ModelSettings", "check_model_options"]


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
    resolution: int = parameter(64, help="Pixels a side, at least 16.")
    recipe: str = parameter("fast", help="paper, released or fast.")
    images: int | None = parameter(None, help="Training budget in images; the recipe's epochs by default.")
    train_images: int | None = parameter(None, help="Different training composites; all by default.")
    val_images: int | None = parameter(None, help="Validation composites; all by default.")
    test_images: int | None = parameter(None, help="Test composites; all by default.")
    evaluations: int | None = parameter(None, help="How often to validate; once an epoch, at least 8, by default.")
    seed: int = parameter(0, help="Seed of the initial weights, the order of images and their flips.")
    precision: str = parameter("auto", help="Of training: float32, bfloat16, or the faster one here, auto.")
    device: str = parameter("auto", help="auto, cpu, cuda, ...", identity=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("precision", self.precision, PRECISIONS)
        for name in ("images", "train_images", "val_images", "test_images", "evaluations"):
            check_count(name, getattr(self, name), none=True)
        check_count("seed", self.seed, least=0, most=LARGEST_SEED)
