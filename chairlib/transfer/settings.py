"""The parameters of a fine-tuning run."""

from dataclasses import dataclass
from typing import ClassVar

from chairlib.benchmark.settings import ModelSettings
from chairlib.core.checks import LARGEST_SEED, PRECISIONS, check_choice, check_count
from chairlib.core.settings import parameter

#: The rendered photos that ship with the package. Never to be called Object Discovery.
STAND_IN = "stand-in"
#: Pretrainings that need COCO's photos: the matched composites need them for their number.
NEED_COCO = ("coco_chairs", "chair_segments_matched")
#: What a model may have learned before. ``none_equal_total``: nothing, but it trains on as many photos more as the
#: pretrained model had seen chairs: a control of what the longer training alone does. ``chair_segments_matched``: as
#: many different composites as there are crops of COCO's chairs, so that both saw as many images.
PRETRAININGS = ("none", "none_equal_total", "chair_segments", "coco_chairs", "chair_segments_matched")


@dataclass(frozen=True, kw_only=True)
class TuningSettings(ModelSettings):
    """What every kind of run with fine-tuned models says about them. Raises ParameterError for an impossible value."""

    category: str = parameter("car", help="airplane, car, horse, or a folder of your own photos in lower case.")
    protocol: str = parameter(
        "authors", help="Which photos train, validate and are scored: authors, folds or subset100."
    )
    fold: int = parameter(0, help="Which fold is scored under the protocol folds, 0 to 4.")
    resolution: int = parameter(64, help="Pixels a side, at least 32.")
    recipe: str = parameter("fast", help="paper or fast; for a model of one's own only fast.")
    images: int | None = parameter(None, help="Training budget in images; the recipe's epochs by default.")
    evaluations: int | None = parameter(None, help="How often to validate; once an epoch, at least 8, by default.")
    precision: str = parameter("auto", help="Of training: float32, bfloat16, or the faster one here, auto.")
    deterministic: bool = parameter(False, help="On CUDA: the same bits for one seed, at a cost.", later=True)
    device: str = parameter("auto", help="auto, cpu, cuda, ...", identity=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "category", self.category.lower())  # one name for a run, however it is written
        check_choice("precision", self.precision, PRECISIONS)
        for name in ("images", "evaluations"):
            check_count(name, getattr(self, name), none=True)


@dataclass(frozen=True, kw_only=True)
class TransferSettings(TuningSettings):
    """What a fine-tuning run is asked for. Raises ParameterError for an impossible value."""

    kind: ClassVar[str] = "transfer"

    data: str = parameter(STAND_IN, help="A folder in Object Discovery's layout, or 'stand-in'.", identity=False)
    pretraining: str = parameter("none", help=f"One of {', '.join(PRETRAININGS)}.")
    pretrained: str | None = parameter(None, help="Name of the record whose weights, or number of images, it takes.")
    share: int = parameter(100, help="Per cent of the training photos that are used, from 1 to 100.")
    seed: int = parameter(0, help="Seed of initial weights, order, augmentation, and of which photos a share holds.")
    init_seed: int | None = parameter(None, help="Seed of the initial weights alone, where they have another.")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("seed", self.seed, least=0, most=LARGEST_SEED)
        check_count("init_seed", self.init_seed, least=0, most=LARGEST_SEED, none=True)
        check_count("share", self.share, most=100)
        check_choice("pretraining", self.pretraining, PRETRAININGS)
