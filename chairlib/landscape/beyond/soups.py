"""Soups (the average of several models' weights) beside the models, their mean score and their ensemble.

After Wortsman et al. (ICML 2022), Model soups: averaging weights of multiple fine-tuned models improves accuracy
without increasing inference time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chairlib.benchmark.metrics import Scores
from chairlib.landscape.cells import Cell, Study
from chairlib.landscape.evaluator import score_ensemble
from chairlib.landscape.space import average
from chairlib.landscape.states import State
from chairlib.landscape.trained import TrainedModels

__all__ = ["Soups", "state_cell"]

_TITLES = {"average": "not recalibrated", "recalibrate": "recalibrated"}


def state_cell(key: Sequence[str], batch_norm: str, state: Callable[[TrainedModels], State]) -> Cell:
    """The IoU of a state on the scored photos, with its 95 % interval. ``key`` names the state."""

    def compute(models: TrainedModels) -> dict[str, float]:
        return _with_interval(models.on_test.evaluations(state(models), batch_norm)["test"].scores)

    return Cell(("state", *key, batch_norm), compute, int(batch_norm == "recalibrate"), 1)


def _with_interval(scores: Scores) -> dict[str, float]:
    low, high = scores.interval("iou")
    return {"iou": float(scores.iou), "low": float(low), "high": float(high)}


@dataclass(frozen=True)
class Soups:
    """Means, soups and ensembles come in all ways to treat BatchNorm, so that like stands beside like."""

    study: Study

    def labels(self, pair: str) -> list[str]:
        return [f"{pair}{number}" for number in self.study.numbers]

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        for pair in "FS":
            for way in self.study.batch_norm:
                about = {"pair": pair, "batch_norm": way}
                for label in self.labels(pair):
                    yield _member_cell(label, way), {**about, "kind": "member", "label": label}
                yield self._soup_cell(pair, way), {**about, "kind": "soup", "label": "soup"}
                yield self._ensemble_cell(pair, way), {**about, "kind": "ensemble", "label": "ensemble"}

    def _soup_cell(self, pair: str, way: str) -> Cell:
        labels = self.labels(pair)
        return state_cell(("soup", *labels), way, lambda models: average([models.states[label] for label in labels]))

    def _ensemble_cell(self, pair: str, way: str) -> Cell:
        labels = self.labels(pair)

        def compute(models: TrainedModels) -> dict[str, float]:
            states = [models.states[label] for label in labels]
            members = [models.on_test.recalibrated(state) for state in states] if way == "recalibrate" else states
            return _with_interval(score_ensemble(models.model, members, models.test).scores)

        recalibrated = int(way == "recalibrate")
        return Cell(("ensemble", *labels, way), compute, recalibrated * len(labels), len(labels))

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """pair, label, kind (member, mean, soup, ensemble), iou, low, high in per cent.

        Members one by one are as trained.
        """
        points = pd.DataFrame([{**about, **models.result(cell)} for cell, about in self.points()])
        rows: list[dict[str, Any]] = []
        for pair, own in points.groupby("pair", sort=False):
            members = own[own["kind"] == "member"]
            shown: list[list[dict[Any, Any]]] = [members[members["batch_norm"] == "average"].to_dict("records")]
            for way in self.study.batch_norm:
                mean = {
                    "kind": "mean",
                    "label": "members' mean",
                    "iou": np.mean(members.loc[members["batch_norm"] == way, "iou"]),
                }
                others = own[(own["kind"] != "member") & (own["batch_norm"] == way)].to_dict("records")
                suffix = f", {_TITLES[way]}" if len(self.study.batch_norm) > 1 else ""
                summaries: list[dict[Any, Any]] = [mean, *others]
                shown.append([{**row, "label": row["label"] + suffix} for row in summaries])
            rows += [{**row, "pair": pair} for group in shown for row in group]
        return pd.DataFrame(rows, columns=["pair", "label", "kind", "iou", "low", "high"])


def _member_cell(label: str, batch_norm: str) -> Cell:
    return state_cell((label,), batch_norm, lambda models: models.states[label])
