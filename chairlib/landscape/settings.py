"""The parameters of an analysis of the loss landscape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from chairlib.benchmark.settings import BenchmarkSettings, ModelSettings
from chairlib.core.checks import check_count
from chairlib.core.errors import ParameterError
from chairlib.core.settings import parameter
from chairlib.transfer.settings import STAND_IN, TuningSettings


@dataclass(frozen=True, kw_only=True)
class LandscapeSettings(TuningSettings):
    """What an analysis is asked for, and of its fine-tuned models. Raises ParameterError for an impossible value."""

    kind: ClassVar[str] = "landscape"

    data: str = parameter("mini", help="The collection of the pretraining.", identity=False)
    pretrain: Mapping[str, Any] = parameter(
        dict, help="The other parameters of the benchmark run that is the pretraining."
    )
    photos: str = parameter(STAND_IN, help="A folder in Object Discovery's layout, or 'stand-in'.", identity=False)
    n_seeds: int = parameter(2, help="Models of each set (fine-tuned, from scratch, from one random start), 2 or more.")
    n_alphas: int = parameter(21, help="Points of a line from alpha 0 to alpha 1, at least 2.")
    beyond_ends: float = parameter(0.0, help="How far a line goes on past both ends, in its own lengths, 0 to 2.")
    plane: int = parameter(0, help="Cells of a plane's longer side, at least 2; 0 for no planes.")
    n_early: int = parameter(0, help="How many lengths of a shared pretraining to compare, at least 2; 0 for none.")
    beyond: bool = parameter(False, help="Soups, matching of units, similarity and criticality too.")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("n_seeds", self.n_seeds, least=2)
        check_count("n_alphas", self.n_alphas, least=2)
        for name in ("plane", "n_early"):
            if getattr(self, name) != 0:
                check_count(name, getattr(self, name), least=2)
        if not 0 <= self.beyond_ends <= 2:
            raise ParameterError(f"beyond_ends {self.beyond_ends!r} must be a number from 0 to 2.")
        own = {"data", "deterministic", "device", "precision", "resolution", *ModelSettings.names()}
        inherited = own & self.pretrain.keys()
        if inherited:
            raise ParameterError(
                f"pretrain takes {', '.join(sorted(inherited))} from the run itself; leave it out there."
            )
        try:
            pretraining = BenchmarkSettings.of(self.pretrain)
        except ParameterError as error:
            raise ParameterError(f"pretrain: {error}") from error
        object.__setattr__(self, "pretrain", {name: getattr(pretraining, name) for name in self.pretrain})
