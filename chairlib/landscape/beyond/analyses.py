"""The analyses that go beyond the paper: soups, shorter pretrainings, matched units, similarity and criticality."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch

from chairlib.benchmark.metrics import Scores
from chairlib.landscape.analyses import line_cell, scored_cell
from chairlib.landscape.barriers import barrier
from chairlib.landscape.beyond import weight_matching
from chairlib.landscape.beyond.activations import default_layers
from chairlib.landscape.beyond.similarity import layer_similarity
from chairlib.landscape.cells import Cell, Study, TrainedModels
from chairlib.landscape.evaluator import score_ensemble
from chairlib.landscape.space import average, interpolate, rewind
from chairlib.landscape.states import State
from chairlib.transfer.run import initial_model
from chairlib.transfer.settings import TransferSettings

_BATCH_NORM = {"average": "not recalibrated", "recalibrate": "recalibrated"}
#: Ways to match the units of one model to another's.
_METHODS: dict[str, Callable[[TrainedModels, State, State], weight_matching.Permutations]] = {
    "weights": lambda models, a, b: weight_matching.match(a, b, models.study.settings.model),
    "activations": lambda models, a, b: weight_matching.match_activations(models.model, a, b, models.train),
}


def _ious(points: Iterable[tuple[Cell, dict[str, Any]]], models: TrainedModels) -> pd.DataFrame:
    """The IoU (per cent) of scored photos at each of these points, beside the columns that identify it."""
    results = [(about, models.result(cell)) for cell, about in points]
    # A cell of Figure 7's lines has the training photos' scores too.
    return pd.DataFrame([{**about, "iou": result.get("test", result)["iou"]} for about, result in results])


def _state_cell(key: Sequence[str], batch_norm: str, state: Callable[[TrainedModels], State]) -> Cell:
    """The IoU of a state on the scored photos, with its 95 % interval. ``key`` names the state."""

    def compute(models: TrainedModels) -> dict[str, float]:
        return _with_interval(models.on_test.evaluations(state(models), batch_norm)["test"].scores)

    return Cell(("state", *key, batch_norm), compute, int(batch_norm == "recalibrate"), 1)


def _member_cell(label: str, batch_norm: str) -> Cell:
    return _state_cell((label,), batch_norm, lambda models: models.states[label])


def _with_interval(scores: Scores) -> dict[str, float]:
    low, high = scores.interval("iou")
    return {"iou": float(scores.iou), "low": float(low), "high": float(high)}


@dataclass(frozen=True)
class Soups:
    """Soups (the average of several models' weights) beside the models, their mean score and their ensemble.

    After Wortsman et al. (ICML 2022), Model soups. All come in all ways to treat BatchNorm, like beside like.
    """

    study: Study

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        for pair, way in itertools.product("FS", self.study.batch_norm):
            labels = [f"{pair}{number}" for number in self.study.numbers]
            cells = {("member", label): _member_cell(label, way) for label in labels}
            cells["soup", "soup"] = _soup_cell(labels, way)
            cells["ensemble", "ensemble"] = _ensemble_cell(labels, way)
            for (kind, label), cell in cells.items():
                yield cell, {"pair": pair, "batch_norm": way, "kind": kind, "label": label}

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """pair, label, kind (member, mean, soup, ensemble), iou, low, high in per cent; members are as trained."""
        points = pd.DataFrame([{**about, **models.result(cell)} for cell, about in self.points()])
        tables = []
        for (pair, way), own in points.groupby(["pair", "batch_norm"], sort=False):
            is_member = own["kind"] == "member"
            if way == "average":
                tables.append(own[is_member])
            mean = {"pair": pair, "kind": "mean", "label": "members' mean", "iou": np.mean(own.loc[is_member, "iou"])}
            suffix = f", {_BATCH_NORM[str(way)]}" if len(self.study.batch_norm) > 1 else ""
            summaries = pd.concat([pd.DataFrame([mean]), own[~is_member]])
            tables.append(summaries.assign(label=summaries["label"] + suffix))
        return pd.concat(tables, ignore_index=True)[["pair", "label", "kind", "iou", "low", "high"]]


def _soup_cell(labels: list[str], batch_norm: str) -> Cell:
    return _state_cell(("soup", *labels), batch_norm, lambda models: average(models.states[label] for label in labels))


def _ensemble_cell(labels: list[str], batch_norm: str) -> Cell:
    recalibrated = batch_norm == "recalibrate"

    def compute(models: TrainedModels) -> dict[str, float]:
        members = [models.states[label] for label in labels]
        if recalibrated:
            members = [models.on_test.recalibrated(state) for state in members]
        return _with_interval(score_ensemble(models.model, members, models.test).scores)

    return Cell(("ensemble", *labels, batch_norm), compute, recalibrated * len(labels), len(labels))


@dataclass(frozen=True)
class EarlyPretraining:
    """The barrier between two fine-tuned models by the images of their pretraining, after Frankle et al. (2020)."""

    study: Study

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """No pretraining, shorter ones, and P's own. The lines of the first and the last are among Figure 7's."""
        of_figure7 = {"@0": ("R1", "R2"), "": ("F1", "F2")}
        for start in (*(f"@{images}" for images in self.study.early_budgets), ""):
            pair = of_figure7.get(start, (f"F1{start}", f"F2{start}"))
            for way, alpha in itertools.product(self.study.batch_norm, self.study.alphas):
                cell = (line_cell if start in of_figure7 else _early_cell)(*pair, alpha, way)
                yield cell, {"start": f"P{start}", "batch_norm": way, "alpha": alpha}

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """images (that the shared weights have seen), batch_norm, barrier (points of IoU), name."""
        rows = [
            (models.pretraining_images.get(str(start), 0), way, barrier(line["alpha"], line["iou"]), "1 & 2")
            for (start, way), line in _ious(self.points(), models).groupby(["start", "batch_norm"], sort=False)
        ]
        return pd.DataFrame(rows, columns=["images", "batch_norm", "barrier", "name"])


def _early_cell(first: str, second: str, alpha: float, batch_norm: str) -> Cell:
    key = ("line, scored", first, second, f"alpha {alpha:g}")
    return scored_cell(key, batch_norm, lambda models: interpolate(models.states[first], models.states[second], alpha))


@dataclass(frozen=True)
class Matching:
    """How much of the barrier between models from scratch is only the order of their units.

    Lines between two of them, the second as trained and with its units permuted to match the first's. After Ainsworth,
    Hayase & Srinivasa (ICLR 2023), Git Re-Basin; recalibrated as in Jordan et al. (ICLR 2023), REPAIR.
    """

    study: Study

    def matches(self) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """The permutations, by pair and method. Empty for a model whose units are not known."""
        settings = self.study.settings
        # Where images are normalised inside, weights have other names: see Adapted.
        supported = settings.model in weight_matching.SUPPORTED and settings.normalise is None
        for i, j in self.study.pairs if supported else []:
            for method in _METHODS:
                yield _match_cell(f"S{i}", f"S{j}", method), {"name": f"{i} & {j}", "matching": method}

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        for match_cell, about in self.matches():
            yield match_cell, about
            first, second = (f"S{number}" for number in about["name"].split(" & "))
            for way, permuted, alpha in itertools.product(self.study.batch_norm, (False, True), self.study.alphas):
                # As trained, the line is one of Figure 7's.
                cell = line_cell(first, second, alpha, way)
                if permuted:
                    cell = _permuted_cell(first, second, about["matching"], alpha, way, match_cell)
                yield cell, {**about, "permuted": permuted, "batch_norm": way, "alpha": alpha}

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """matching, permuted, batch_norm, alpha, iou (of scored photos, per cent), name."""
        table = _ious((point for point in self.points() if "alpha" in point[1]), models)
        return table.reindex(columns=["matching", "permuted", "batch_norm", "alpha", "iou", "name"])

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
        spec = weight_matching.permutation_spec(models.study.settings.model)
        permuted = weight_matching.permute(models.states[second], weight_matching.Permutations(spec, orders))
        return interpolate(models.states[first], permuted, alpha)

    return scored_cell(("line, permuted", first, second, method, f"alpha {alpha:g}"), batch_norm, state)


@dataclass(frozen=True)
class Similarities:
    """Linear CKA of corresponding layers of two models, on the scored photos."""

    study: Study

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        for (kind, pair), (i, j) in itertools.product((("ft_ft", "F"), ("ri_ri", "S")), self.study.pairs):
            yield _similarity_cell(f"{pair}{i}", f"{pair}{j}"), {"kind": kind, "name": f"{i} & {j}"}

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """kind, name, layer, cka. Empty where the model has no layers to compare."""
        tables = [pd.DataFrame(models.result(cell)).assign(**about) for cell, about in self.points()]
        return pd.concat(tables, ignore_index=True)


def _similarity_cell(first: str, second: str) -> Cell:
    def compute(models: TrainedModels) -> dict[str, Any]:
        layers = default_layers(models.model, models.test.image_set.batch(models.test.indices[:1])[0])
        if not layers:  # a model of one's own may have none, and all the rest is worth having
            return {"layer": [], "cka": []}
        table = layer_similarity(models.model, models.states[first], models.states[second], models.test, layers)
        return {"layer": table["layer"].tolist(), "cka": table["cka"].tolist()}

    return Cell(("cka", first, second), compute, scored_passes=2)


@dataclass(frozen=True)
class Criticality:
    """Which blocks a trained model needs: F's are set back to P's, one at a time, and S's to their initial values.

    After Zhang, Bengio & Singer (2019), Are all layers created equal?, and Chatterji, Neyshabur & Sedghi (ICLR 2020).
    BatchNorm is recalibrated: the statistics of all later layers no longer fit what the block gives them.
    """

    study: Study

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """A model as it is has ``None`` for its block."""
        for pair, number in itertools.product("FS", self.study.numbers):
            about = {"pair": pair, "name": str(number)}
            yield _member_cell(f"{pair}{number}", self.study.batch_norm[-1]), {**about, "block": None}
            for block in self.study.blocks:
                yield self._cell(pair, number, block), {**about, "block": block}

    def _cell(self, pair: str, number: int, block: str) -> Cell:
        label, settings = f"{pair}{number}", self.study.settings
        start = settings.model, settings.width, settings.resolution, number - 1

        def state(models: TrainedModels) -> State:
            origin = models.states["P"] if pair == "F" else _initial_state(*start)
            on_device = {key: tensor.to(models.device) for key, tensor in origin.items()}
            return rewind(models.states[label], on_device, block)

        return _state_cell((label, f"{block} of", "P" if pair == "F" else "start"), self.study.batch_norm[-1], state)

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """pair, name, block, iou, untouched (the IoU of the model as it is), in per cent."""
        table = _ious(self.points(), models)
        table["untouched"] = table["iou"].where(table["block"].isna()).ffill()
        return table.dropna(subset="block")


@cache
def _initial_state(model: str, width: int | None, resolution: int, seed: int) -> State:
    """The weights that a model from scratch started from."""
    return initial_model(TransferSettings(model=model, width=width, resolution=resolution, seed=seed)).state_dict()
