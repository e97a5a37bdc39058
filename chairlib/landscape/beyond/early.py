"""How much shared pretraining it takes for two fine-tuned models to be connected without a barrier.

After Frankle, Dziugaite, Roy & Carbin (ICML 2020), Linear Mode Connectivity and the Lottery Ticket Hypothesis.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from chairlib.landscape.analyses import line_cell, scored_cell
from chairlib.landscape.barriers import barrier
from chairlib.landscape.cells import Cell, Study
from chairlib.landscape.space import interpolate
from chairlib.landscape.trained import TrainedModels

__all__ = ["EarlyPretraining"]


@dataclass(frozen=True)
class EarlyPretraining:
    """The barrier between two models that share a pretraining of so many images."""

    study: Study

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """No pretraining, shorter ones, and P's own. The lines of the first and the last are among Figure 7's."""
        of_figure7 = {"@0": ("R1", "R2"), "": ("F1", "F2")}
        for start in (*(f"@{images}" for images in self.study.early_budgets), ""):
            pair = of_figure7.get(start, (f"F1{start}", f"F2{start}"))
            for way in self.study.batch_norm:
                for alpha in self.study.alphas:
                    cell = (line_cell if start in of_figure7 else _line_cell)(*pair, alpha, way)
                    yield cell, {"start": f"P{start}", "batch_norm": way, "alpha": alpha}

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """images (that the shared weights have seen), batch_norm, barrier (points of IoU), name."""
        results = [(about, models.result(cell)) for cell, about in self.points()]
        lines = pd.DataFrame([{**about, "iou": result.get("test", result)["iou"]} for about, result in results])
        rows = [
            (models.pretraining_images.get(str(start), 0), way, barrier(line["alpha"], line["iou"]), "1 & 2")
            for (start, way), line in lines.groupby(["start", "batch_norm"], sort=False)
        ]
        return pd.DataFrame(rows, columns=["images", "batch_norm", "barrier", "name"])


def _line_cell(first: str, second: str, alpha: float, batch_norm: str) -> Cell:
    key = ("line, scored", first, second, f"alpha {alpha:g}")
    return scored_cell(key, batch_norm, lambda models: interpolate(models.states[first], models.states[second], alpha))
