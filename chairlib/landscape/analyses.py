"""The paper's analyses: distances (Table 5), lines between models (Figure 7), and planes through three of them."""

import base64
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from chairlib.benchmark.evaluation import predict
from chairlib.landscape.barriers import barrier, barrier_interval
from chairlib.landscape.cells import Cell, Study, TrainedModels
from chairlib.landscape.evaluator import FIGURES, figures_of
from chairlib.landscape.plane import Plane
from chairlib.landscape.space import distances, interpolate
from chairlib.landscape.states import State

#: Sets of models: the kind of a pair within one, as Table 5 calls it (the paper has no third), and its letter.
_KINDS = {"ft_ft": "F", "ri_ri": "S", "rs_rs": "R"}


def all_distances(models: TrainedModels) -> pd.DataFrame:
    """Table 5, in all and by block: kind, name, block, l2, norm_a, norm_b, relative, n_parameters."""
    study = models.study
    pairs = [(kind, f"{letter}{i}", f"{letter}{j}") for kind, letter in _KINDS.items() for i, j in study.pairs]
    pairs += [(kind, f"{letter}{i}", "P") for kind, letter in (("ft_p", "F"), ("ri_p", "S")) for i in study.numbers]
    tables = [
        distances(models.states[a], models.states[b]).reset_index().assign(kind=kind, name=f"{a} & {b}")
        for kind, a, b in pairs
    ]
    return pd.concat(tables, ignore_index=True)


def line_cell(first: str, second: str, alpha: float, batch_norm: str) -> Cell:
    """Scores of training and scored photos, and the examples' masks, at one point of the line between two models."""

    def compute(models: TrainedModels) -> dict[str, Any]:
        between = interpolate(models.states[first], models.states[second], alpha)
        found = models.on_both.evaluations(between, batch_norm)
        return {
            **{split: figures_of(evaluation) for split, evaluation in found.items()},
            "photos": found["test"].scores.per_image["iou"].round(3).tolist(),
            # The evaluator's model still has that state, recalibrated where that was asked for.
            "masks": _pack(predict(models.on_both.model, models.example_images) > 0.5),
        }

    recalibrated = int(batch_norm == "recalibrate")
    return Cell(("line", first, second, batch_norm, f"alpha {alpha:g}"), compute, 1 + recalibrated, 1)


def scored_cell(key: tuple[str, ...], batch_norm: str, state: Callable[[TrainedModels], State]) -> Cell:
    """Scores of the scored photos for a state, which ``key`` names."""

    def compute(models: TrainedModels) -> dict[str, float]:
        return models.on_test.score(state(models), batch_norm)["test"]

    return Cell((*key, batch_norm), compute, int(batch_norm == "recalibrate"), 1)


def _pack(masks: torch.Tensor) -> str:
    return base64.b64encode(np.packbits(masks.cpu().numpy()).tobytes()).decode()


def _unpack(text: str, shape: tuple[int, ...]) -> np.ndarray:
    bits = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)


@dataclass(frozen=True)
class Lines:
    """Figure 7: the lines between the models of each set. Alpha weighs the first."""

    study: Study

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        study = self.study
        grid = itertools.product(_KINDS.values(), study.pairs, study.batch_norm, study.alphas)
        for pair, (i, j), way, alpha in grid:
            about = {"pair": pair, "name": f"{i} & {j}", "batch_norm": way, "alpha": alpha}
            yield line_cell(f"{pair}{i}", f"{pair}{j}", alpha, way), about

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """pair, name, batch_norm, alpha, split, scores, extrapolated (bool)."""
        rows = [
            {**about, "split": split, **models.result(cell)[split], "extrapolated": not 0 <= about["alpha"] <= 1}
            for cell, about in self.points()
            for split in ("train", "test")
        ]
        return pd.DataFrame(rows)

    def masks(self, models: TrainedModels) -> dict[str, torch.Tensor]:
        """The examples' masks along the first pair's lines: ``masks.<pair>.<batch_norm>`` bool [n_alphas, N, d, d]."""
        side = self.study.settings.resolution
        shape = (len(models.example_indices), side, side)
        stacks: dict[str, list[np.ndarray]] = {}
        for cell, about in self.points():
            if about["name"] == "1 & 2":
                stack = stacks.setdefault(f"masks.{about['pair']}.{about['batch_norm']}", [])
                stack.append(_unpack(models.result(cell)["masks"], shape))
        return {name: torch.from_numpy(np.stack(stack)) for name, stack in stacks.items()}

    def mean_barriers(self, models: TrainedModels) -> list[dict[str, Any]]:
        """The mean barrier of IoU (points) of each set's pairs on scored photos, with its 95 % interval over photos."""
        lines: dict[tuple[str, str], dict[str, list[list[float]]]] = {}
        for cell, about in self.points():
            by_name = lines.setdefault((about["pair"], about["batch_norm"]), {})
            by_name.setdefault(about["name"], []).append(models.result(cell)["photos"])
        means = []
        for (pair, way), by_name in lines.items():
            scores = np.array([*by_name.values()])  # [pairs, alphas, photos]
            height = np.mean([barrier(self.study.alphas, line) for line in np.nanmean(scores, axis=-1)]).item()
            low, high = barrier_interval(self.study.alphas, scores)
            means.append({"pair": pair, "batch_norm": way, "barrier": height, "low": low, "high": high})
        return means


def barriers_of(curves: pd.DataFrame) -> list[dict[str, Any]]:
    """The barrier of every line, split and metric: in points for IoU and Dice, in the loss's unit for the loss."""
    return [
        {
            "pair": pair,
            "name": name,
            "batch_norm": way,
            "split": split,
            "metric": metric,
            "barrier": barrier(rows["alpha"], rows[metric], higher_is_better=metric != "loss"),
        }
        for (pair, name, way, split), rows in curves.groupby(["pair", "name", "batch_norm", "split"], sort=False)
        for metric in ("iou", "dice", "loss")
    ]


@dataclass(frozen=True)
class Planes:
    """The planes through P and a pair of models, recalibrated where there is BatchNorm."""

    study: Study

    def plane(self, pair: str, models: TrainedModels) -> Plane:
        """The plane through P and the first two models from scratch (``S``) or fine-tuned (``F``)."""
        return Plane(*(models.states[label] for label in ("P", f"{pair}1", f"{pair}2")))

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        side, way = self.study.settings.plane, self.study.batch_norm[-1]
        for pair in "FS" if side else "":
            # How many rows there are depends on where the models lie; never more than columns.
            plane = self.plane(pair, models) if models else None
            xs, ys = (axis.tolist() for axis in plane.grid(side)) if plane else (range(side), range(side))
            for x, y in itertools.product(xs, ys):
                key = ("plane", "P", f"{pair}1", f"{pair}2", f"{x:.6g},{y:.6g}")
                yield scored_cell(key, way, _state_at(plane, x, y)), {"pair": pair, "x": x, "y": y}

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """pair, x, y, and the scores of the scored photos."""
        rows = [{**about, **models.result(cell)} for cell, about in self.points(models)]
        return pd.DataFrame(rows, columns=["pair", "x", "y", *FIGURES])

    def coordinates(self, models: TrainedModels) -> dict[str, dict[str, list[float]]]:
        """Where the three models of each plane lie: [x, y] by pair and label."""
        return {
            pair: dict(zip(("P", f"{pair}1", f"{pair}2"), self.plane(pair, models).points.tolist(), strict=True))
            for pair in ("FS" if self.study.settings.plane else "")
        }


def _state_at(plane: Plane | None, x: float, y: float) -> Callable[[TrainedModels], State]:
    return lambda models: plane.state(x, y)  # type: ignore[union-attr]
