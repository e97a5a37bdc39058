"""How much shared pretraining it takes for two fine-tuned models to be connected without a barrier.

After Frankle, Dziugaite, Roy & Carbin (ICML 2020), Linear Mode Connectivity and the Lottery Ticket Hypothesis.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

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
        for images in self.study.early_budgets:
            for way in self.study.batch_norm:
                for alpha in self.study.alphas:
                    yield _line_cell(images, alpha, way), {"budget": images, "batch_norm": way, "alpha": alpha}

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """images (that the shared weights have seen), batch_norm, barrier (points of IoU), name."""
        points = [{**about, "iou": models.result(cell)["iou"]} for cell, about in self.points()]
        lines = pd.DataFrame(points, columns=["budget", "batch_norm", "alpha", "iou"])
        rows = [
            {
                "images": models.pretraining_images[f"P@{budget}"] if budget else 0,
                "batch_norm": way,
                "barrier": barrier(line["alpha"], line["iou"]),
                "name": "1 & 2",
            }
            for (budget, way), line in lines.groupby(["budget", "batch_norm"], sort=False)
        ]
        return pd.DataFrame(rows, columns=["images", "batch_norm", "barrier", "name"])


def _line_cell(images: int, alpha: float, batch_norm: str) -> Cell:
    first, second = f"F1@{images}", f"F2@{images}"

    def compute(models: TrainedModels) -> dict[str, float]:
        between = interpolate(models.states[first], models.states[second], alpha)
        return models.on_test.score(between, batch_norm)["test"]

    key = ("line, scored", first, second, batch_norm, f"alpha {alpha:g}")
    return Cell(key, compute, int(batch_norm == "recalibrate"), 1)
