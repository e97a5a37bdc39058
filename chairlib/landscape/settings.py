"""The parameters of an analysis of the loss landscape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core.checks import PRECISIONS, check_choice, check_count
from chairlib.core.errors import ParameterError
from chairlib.core.settings import Settings, parameter
from chairlib.transfer.settings import STAND_IN


@dataclass(frozen=True, kw_only=True)
class LandscapeSettings(Settings):
    """What an analysis is asked for. Raises ParameterError for an impossible value.

    From ``category`` to ``evaluations`` the parameters are those of the fine-tuned models.
    """

    kind: ClassVar[str] = "landscape"

    data: str = parameter("mini", help="The collection of the pretraining.", identity=False)
    pretrain: Mapping[str, Any] = parameter(
        dict, help="The other parameters of the benchmark run that is the pretraining."
    )
    photos: str = parameter(STAND_IN, help="A folder in Object Discovery's layout, or 'stand-in'.", identity=False)
    category: str = parameter("car", help="airplane, car or horse.")
    protocol: str = parameter(
        "authors", help="Which photos train, validate and are scored: authors, folds or subset100."
    )
    fold: int = parameter(0, help="Which fold is scored, under the protocol folds.")
    model: str = parameter("unet", help="unet, fcn_vgg16, fcn_resnet50, fcn_resnet101, or package.module:callable.")
    width: int | None = parameter(None, help="Channels of the first convolution; the paper's by default.")
    resolution: int = parameter(64, help="Pixels a side, at least 32.")
    recipe: str = parameter("fast", help="paper or fast.")
    images: int | None = parameter(None, help="Training budget in images; the recipe's epochs by default.")
    evaluations: int | None = parameter(None, help="How often to validate; once an epoch, at least 8, by default.")
    n_seeds: int = parameter(2, help="Models of each set: fine-tuned, from scratch, and from one random start.")
    n_alphas: int = parameter(21, help="Points of a line from alpha 0 to alpha 1.")
    beyond_ends: float = parameter(0.0, help="How far a line goes on past both ends, in steps of the same size.")
    plane: int = parameter(0, help="Cells of a plane's longer side; 0 for no planes.")
    n_early: int = parameter(0, help="How many lengths of a shared pretraining to compare; 0 for none.")
    beyond: bool = parameter(False, help="Soups, matching of units, similarity and criticality too.")
    precision: str = parameter("auto", help="Of training: float32, bfloat16, or the faster one here, auto.")
    device: str = parameter("auto", help="auto, cpu, cuda, ...", identity=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("precision", self.precision, PRECISIONS)
        check_count("n_seeds", self.n_seeds, least=2)
        check_count("n_alphas", self.n_alphas, least=2)
        for name in ("plane", "n_early"):
            if getattr(self, name) != 0:
                check_count(name, getattr(self, name), least=2)
        if not 0 <= self.beyond_ends <= 2:
            raise ParameterError(f"beyond_ends {self.beyond_ends!r} must be a number from 0 to 2.")
        inherited = {"data", "device", "model", "precision", "resolution", "width"} & self.pretrain.keys()
        if inherited:
            raise ParameterError(
                f"pretrain takes {', '.join(sorted(inherited))} from the run itself; leave it out there."
            )
        try:
            pretraining = BenchmarkSettings.of(self.pretrain)
        except ParameterError as error:
            raise ParameterError(f"pretrain: {error}") from error
        object.__setattr__(self, "pretrain", {name: getattr(pretraining, name) for name in self.pretrain})
