"""How much of the barrier between models from scratch is only the order of their units.

After Ainsworth, Hayase & Srinivasa (ICLR 2023), Git Re-Basin: Merging Models modulo Permutation Symmetries, with
statistics recalibrated as in Jordan, Sedghi, Saukh, Entezari & Neyshabur (ICLR 2023), REPAIR: REnormalizing Permuted
Activations for Interpolation Repair.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from chairlib.landscape.analyses import line_cell, scored_cell
from chairlib.landscape.beyond.weight_matching import (
    SUPPORTED,
    Permutations,
    match,
    match_activations,
    permutation_spec,
    permute,
)
from chairlib.landscape.cells import Cell, Study
from chairlib.landscape.space import interpolate
from chairlib.landscape.states import State
from chairlib.landscape.trained import TrainedModels

__all__ = ["Matching"]

#: Training photos whose activations match units.
_N_IMAGES = 256
#: Ways to match the units of one model to another's.
_METHODS: dict[str, Callable[[TrainedModels, State, State], Permutations]] = {
    "weights": lambda models, a, b: match(a, b, models.study.settings.model),
    "activations": lambda models, a, b: match_activations(models.model, a, b, models.train, _N_IMAGES),
}


@dataclass(frozen=True)
class Matching:
    """Lines between models from scratch, the second as trained and with its units permuted to match the first's."""

    study: Study

    def matches(self) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """The permutations, by pair and method. Empty for a model whose units are not known."""
        settings = self.study.settings
        # Where images are normalised inside, weights have other names: see Adapted.
        for i, j in self.study.pairs if settings.model in SUPPORTED and settings.normalise is None else []:
            for method in _METHODS:
                yield _match_cell(f"S{i}", f"S{j}", method), {"name": f"{i} & {j}", "matching": method}

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        for match_cell, about in self.matches():
            yield match_cell, about
            first, second = (f"S{number}" for number in about["name"].split(" & "))
            for way in self.study.batch_norm:
                for permuted in (False, True):
                    for alpha in self.study.alphas:
                        # As trained, the line is one of Figure 7's.
                        cell = line_cell(first, second, alpha, way)
                        if permuted:
                            cell = _permuted_cell(first, second, about["matching"], alpha, way, match_cell)
                        yield cell, {**about, "permuted": permuted, "batch_norm": way, "alpha": alpha}

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """matching, permuted, batch_norm, alpha, iou (of scored photos, per cent), name."""
        results = [(about, models.result(cell)) for cell, about in self.points() if "alpha" in about]
        rows = [{**about, "iou": result.get("test", result)["iou"]} for about, result in results]
        return pd.DataFrame(rows, columns=["matching", "permuted", "batch_norm", "alpha", "iou", "name"])

    def lengths(self, models: TrainedModels) -> list[dict[str, Any]]:
        """The l2 distance of each pair before and after it was matched: name, matching, before, after."""
        results = [(about, models.result(cell)) for cell, about in self.matches()]
        return [{**about, "before": result["before"], "after": result["after"]} for about, result in results]


def _match_cell(first: str, second: str, method: str) -> Cell:
    def compute(models: TrainedModels) -> dict[str, Any]:
        found = _METHODS[method](models, models.states[first], models.states[second])
        orders = {group: order.tolist() for group, order in found.orders.items()}
        return {"orders": orders, "before": found.distance_before, "after": found.distance_after}

    return Cell(("match", first, second, method), compute, train_passes=2 if method == "activations" else 0)


def _permuted_cell(first: str, second: str, method: str, alpha: float, batch_norm: str, match_cell: Cell) -> Cell:
    def state(models: TrainedModels) -> State:
        # Found once: the cells of a line must all be about one permutation.
        orders = {group: torch.tensor(order) for group, order in models.result(match_cell)["orders"].items()}
        permutations = Permutations(permutation_spec(models.study.settings.model), orders)
        return interpolate(models.states[first], permute(models.states[second], permutations), alpha)

    return scored_cell(("line, permuted", first, second, method, f"alpha {alpha:g}"), batch_norm, state)
