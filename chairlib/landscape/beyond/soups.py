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

__all__ = ["Soups", "member_cell", "state_cell"]

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

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        for pair in "FS":
            labels = [f"{pair}{number}" for number in self.study.numbers]
            for way in self.study.batch_norm:
                about = {"pair": pair, "batch_norm": way}
                for label in labels:
                    yield member_cell(label, way), {**about, "kind": "member", "label": label}
                yield _soup_cell(labels, way), {**about, "kind": "soup", "label": "soup"}
                yield _ensemble_cell(labels, way), {**about, "kind": "ensemble", "label": "ensemble"}

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """pair, label, kind (member, mean, soup, ensemble), iou, low, high in per cent.

        Members one by one are as trained.
        """
        points = pd.DataFrame([{**about, **models.result(cell)} for cell, about in self.points()])
        tables = []
        for (pair, way), own in points.groupby(["pair", "batch_norm"], sort=False):
            is_member = own["kind"] == "member"
            if way == "average":
                tables.append(own[is_member])
            mean = {"pair": pair, "kind": "mean", "label": "members' mean", "iou": np.mean(own.loc[is_member, "iou"])}
            suffix = f", {_TITLES[str(way)]}" if len(self.study.batch_norm) > 1 else ""
            summaries = pd.concat([pd.DataFrame([mean]), own[~is_member]])
            tables.append(summaries.assign(label=summaries["label"] + suffix))
        return pd.concat(tables, ignore_index=True)[["pair", "label", "kind", "iou", "low", "high"]]


def member_cell(label: str, batch_norm: str) -> Cell:
    """The IoU of a trained model on the scored photos, with its 95 % interval."""
    return state_cell((label,), batch_norm, lambda models: models.states[label])


def _soup_cell(labels: list[str], batch_norm: str) -> Cell:
    return state_cell(("soup", *labels), batch_norm, lambda models: average(models.states[label] for label in labels))


def _ensemble_cell(labels: list[str], batch_norm: str) -> Cell:
    recalibrated = batch_norm == "recalibrate"

    def compute(models: TrainedModels) -> dict[str, float]:
        members = [models.states[label] for label in labels]
        if recalibrated:
            members = [models.on_test.recalibrated(state) for state in members]
        return _with_interval(score_ensemble(models.model, members, models.test).scores)

    return Cell(("ensemble", *labels, batch_norm), compute, recalibrated * len(labels), len(labels))
