"""Which blocks a trained model needs: its IoU after one block is set back to where training began.

After Zhang, Bengio & Singer (2019), Are all layers created equal?, and Chatterji, Neyshabur & Sedghi (ICLR 2020), The
intriguing role of module criticality in the generalization of deep networks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from chairlib.landscape.beyond.soups import member_cell, state_cell
from chairlib.landscape.cells import Cell, Study
from chairlib.landscape.space import rewind
from chairlib.landscape.states import State
from chairlib.landscape.trained import TrainedModels
from chairlib.transfer.run import initial_model
from chairlib.transfer.settings import TransferSettings

__all__ = ["Criticality"]


@dataclass(frozen=True)
class Criticality:
    """F's blocks are set back to P's, and S's to their initial values.

    Recalibrated where there is BatchNorm: the statistics of all later layers no longer fit what the block gives them.
    """

    study: Study

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """A model as it is has ``None`` for its block."""
        for pair in "FS":
            for number in self.study.numbers:
                about = {"pair": pair, "name": str(number)}
                yield member_cell(f"{pair}{number}", self.study.batch_norm[-1]), {**about, "block": None}
                for block in self.study.blocks:
                    yield self._cell(pair, number, block), {**about, "block": block}

    def _cell(self, pair: str, number: int, block: str) -> Cell:
        label, settings = f"{pair}{number}", self.study.settings
        start = settings.model, settings.width, settings.resolution, number - 1

        def state(models: TrainedModels) -> State:
            origin = models.states["P"] if pair == "F" else _initial_state(*start)
            on_device = {key: tensor.to(models.device) for key, tensor in origin.items()}
            return rewind(models.states[label], on_device, block)

        return state_cell((label, f"{block} of", "P" if pair == "F" else "start"), self.study.batch_norm[-1], state)

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """pair, name, block, iou, untouched (the IoU of the model as it is), in per cent."""
        table = pd.DataFrame([{**about, "iou": models.result(cell)["iou"]} for cell, about in self.points()])
        table["untouched"] = table["iou"].where(table["block"].isna()).ffill()
        return table.dropna(subset="block")


@cache
def _initial_state(model: str, width: int | None, resolution: int, seed: int) -> State:
    """The weights that a model from scratch started from."""
    return initial_model(TransferSettings(model=model, width=width, resolution=resolution, seed=seed)).state_dict()
