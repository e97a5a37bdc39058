"""The parameters of a benchmark run."""

from dataclasses import dataclass
from typing import ClassVar

from chairlib.core.checks import LARGEST_SEED, PRECISIONS, check_choice, check_count, check_positive
from chairlib.core.settings import Settings, parameter

__all__ = ["BenchmarkSettings"]


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings(Settings):
    """What a benchmark run is asked for. Raises ParameterError for an impossible value."""

    kind: ClassVar[str] = "benchmark"

    data: str = parameter("mini", help="A collection, or a folder in the authors' layout.", identity=False)
    protocol: str | None = parameter(
        None, help="Terms fixed under a name: mini-64-v1, or 64-v1 on data of your own.", identity=False
    )
    model: str = parameter("unet", help="unet, fcn_vgg16, fcn_resnet50, fcn_resnet101, or package.module:callable.")
    width: int | None = parameter(None, help="Channels of the first convolution; the paper's by default.")
    resolution: int = parameter(64, help="Pixels a side, at least 16.")
    recipe: str = parameter("fast", help="paper, released, fast, or a .yaml file of changes to one of them.")
    learning_rate: float | None = parameter(None, help="The recipe's by default.", later=True)
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
    device: str = parameter("auto", help="auto, cpu, cuda, ...", identity=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("precision", self.precision, PRECISIONS)
        check_positive("learning_rate", self.learning_rate, none=True)
        for name in ("width", "batch_size", "images", "train_images", "val_images", "test_images", "evaluations"):
            check_count(name, getattr(self, name), none=True)
        check_count("seed", self.seed, least=0, most=LARGEST_SEED)
