"""Analyses as cells: small results that are computed one at a time and kept, so that a killed analysis loses only one.

An analysis lists its cells before any model is trained: its estimate, progress bar and results come from that list.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch

from chairlib.benchmark.models import model_of
from chairlib.benchmark.weights import load_recorded
from chairlib.compositing.image_sets import spread
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import paths, runs
from chairlib.core.devices import pick_device
from chairlib.core.files import write_text
from chairlib.core.progress import progress_bar
from chairlib.core.runs import Record
from chairlib.landscape.evaluator import BATCH_NORM, Evaluator, recalibrated_layers
from chairlib.landscape.settings import LandscapeSettings
from chairlib.landscape.space import blocks
from chairlib.landscape.states import State, copy_of
from chairlib.transfer.photos import open_photos

#: Photos whose predicted masks are kept for every alpha.
N_EXAMPLES = 6
#: Training photos that are scored on lines and that recalibrate BatchNorm, evenly spread: each point of a line sends
#: them through the network twice.
N_TRAIN = 128
#: Images of a batch that recalibrates BatchNorm: several, or there is no variance over batches' means to average.
_BATCH_SIZE = 32


@dataclass(frozen=True)
class Study:
    """What an analysis is about, as far as it is known before any model is trained."""

    settings: LandscapeSettings
    batch_norm: tuple[str, ...]
    """How BatchNorm's statistics are treated: a model without BatchNorm has nothing to recalibrate."""
    blocks: tuple[str, ...]
    """The model's blocks, from its input to its output."""
    early_budgets: tuple[int, ...]
    """Lengths of the shared pretrainings that are shorter than P's own, in images: those of F1@N and F2@N."""

    @classmethod
    def of(cls, settings: LandscapeSettings, labels: Iterable[str]) -> Study:
        """The study with these settings of the models with these ``labels``."""
        model = model_of(settings)
        batch_norm = BATCH_NORM if recalibrated_layers(model) else BATCH_NORM[:1]
        early = sorted(int(label.partition("@")[2]) for label in labels if label.startswith("F1@"))
        return cls(settings, batch_norm, tuple(blocks(model.state_dict())), tuple(early))

    @property
    def numbers(self) -> range:
        """The numbers of the fine-tuned models F1, F2, ... and of those from scratch, S1, S2, ..."""
        return range(1, self.settings.n_seeds + 1)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of different numbers."""
        return [(i, j) for i in self.numbers for j in self.numbers if i < j]

    @property
    def alphas(self) -> list[float]:
        """Equal steps along a line, 0 and 1 among them."""
        steps = self.settings.n_alphas - 1
        beyond = math.floor(self.settings.beyond_ends * steps + 1e-9)
        return [round(number / steps, 6) for number in range(-beyond, steps + beyond + 1)]


@dataclass(frozen=True)
class Cell:
    """One small result of an analysis."""

    key: tuple[str, ...]
    """Names the result. Parts that are labels of models stand for their weights: other weights are another cell."""
    compute: Callable[[TrainedModels], Any]
    """Computes the result, which is made of types that JSON has."""
    train_passes: int = 0
    """How often it sends all training photos through a network."""
    scored_passes: int = 0
    """How often it sends all scored photos through a network."""


class Analysis(Protocol):
    """An analysis of a study's models."""

    def points(self, models: TrainedModels | None = None) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """Its cells, each with the columns of the table that identify it; without ``models``, all there may be."""
        ...

    def table(self, models: TrainedModels) -> pd.DataFrame:
        """Its result: a table with a row for each point, or summaries of them."""
        ...


def unique_cells(analyses: Iterable[Analysis], models: TrainedModels | None = None) -> dict[tuple[str, ...], Cell]:
    """All cells of some analyses by key: one that several share is computed once."""
    return {cell.key: cell for analysis in analyses for cell, _ in analysis.points(models)}


class CellStore:
    """Results of cells, each in a small JSON file of ``folder``.

    ``tags``: for a model's label, what stands for it in the names of files. It must change with the model's weights.
    """

    def __init__(self, folder: Path, tags: Mapping[str, str], progress: bool):
        self.folder, self.tags = folder, tags
        self.results: dict[tuple[str, ...], Any] = {}
        self.bar = progress_bar(desc="analysing", unit="cell", disable=not progress)

    def get(self, cell: Cell, models: TrainedModels) -> Any:
        """The cell's result: read where it is, else computed and kept."""
        if cell.key not in self.results:
            self.results[cell.key] = self._read(cell, models)
            self.bar.update()
        return self.results[cell.key]

    def _read(self, cell: Cell, models: TrainedModels) -> Any:
        # Not with_suffix: a part such as "alpha 0.25" has a dot of its own.
        file = self.folder / ("/".join(self.tags.get(part, part) for part in cell.key) + ".json")
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # not there, or damaged from outside: either way it is computed
            result = cell.compute(models)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, json.dumps(result))  # NaN and all: what is undefined is a result too
            return result


class TrainedModels:
    """The states of a study's models by label (P, F1, S1, ...), as their ``records``, and evaluators on its photos."""

    def __init__(self, study: Study, records: Mapping[str, Record], progress: bool = False):
        self.study, settings = study, study.settings
        self.device = pick_device(settings.device)
        self.model = model_of(settings).to(self.device)
        self.states: dict[str, State] = {label: self._load(record) for label, record in records.items()}
        #: Images that a pretrained model's weights have seen. Fewer than its budget where an earlier evaluation was
        #: the best.
        self.pretraining_images = {
            label: int(record.content["best_images"]) for label, record in records.items() if label.startswith("P")
        }
        photos = open_photos(records["F1"].settings, self.device)
        self.scored_split = photos.scored_split
        self.n_train = len(photos.train)
        limit = min(N_TRAIN, self.n_train)
        self.train = CompositeLoader(photos.train, "train", batch_size=_BATCH_SIZE, shuffle=False, limit=limit)
        self.test = CompositeLoader(photos.scored, "test", batch_size=256)
        #: Scores training photos and scored photos, and scored photos alone.
        self.on_both = Evaluator(self.model, {"train": self.train, "test": self.test})
        self.on_test = Evaluator(self.model, {"test": self.test}, recalibrate_on=self.train)
        hashes = [loader.image_set.data_hash for loader in (self.train, self.test)]
        how = [self.device.type, settings.deterministic]
        identity = repr([runs.code_hash(settings.kind), settings.model_terms(), how, hashes])
        folder = paths.cache / settings.kind / hashlib.sha256(identity.encode()).hexdigest()[:16]
        # A cell is named by the weights it is about, so that it serves every analysis of them, however fine its grids.
        tags = {label: f"{label}.{str(runs.weights_hash(record.name))[:8]}" for label, record in records.items()}
        self.cells = CellStore(folder, tags, progress)

    def _load(self, record: Record) -> State:
        """A record's weights on the device, in the network's order; parameters and buffers tell what is trained."""
        own = copy_of(self.model).requires_grad_(False)
        load_recorded(own, record)
        return own.state_dict(keep_vars=True)

    def result(self, cell: Cell) -> Any:
        """The cell's result, which is computed once and then kept."""
        return self.cells.get(cell, self)

    @cached_property
    def example_indices(self) -> torch.Tensor:
        """Scored photos that hold the object, evenly spread."""
        masks = torch.cat([masks for _, masks in self.test.in_order()])
        with_object = torch.nonzero(masks.sum(dim=(1, 2, 3)) > 0).flatten()
        return with_object[spread(len(with_object), N_EXAMPLES)]

    @cached_property
    def example_images(self) -> torch.Tensor:
        return self.test.image_set.batch(self.example_indices)[0]
