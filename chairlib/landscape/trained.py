"""The trained models of a study, and the photos that score them."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch

from chairlib.benchmark.models import model_of
from chairlib.compositing.image_sets import spread
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import paths, runs
from chairlib.core.devices import pick_device
from chairlib.core.runs import Record
from chairlib.core.tensors import load_tensors
from chairlib.landscape.cells import Cell, CellStore, Study
from chairlib.landscape.evaluator import Evaluator
from chairlib.landscape.states import State, copy_of
from chairlib.transfer.photos import open_photos

__all__ = ["N_TRAIN", "TrainedModels"]

#: Photos whose predicted masks are kept for every alpha.
N_EXAMPLES = 6
#: Training photos that are scored on lines and that recalibrate BatchNorm, evenly spread: each point of a line sends
#: them through the network twice.
N_TRAIN = 128
#: Images of a batch that recalibrates BatchNorm: several, or there is no variance over batches' means to average.
_BATCH_SIZE = 32


class TrainedModels:
    """The states of a study's models by label (P, F1, S1, ...), and evaluators that score states on its photos.

    ``records``: those of all models, by label.
    """

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
        identity = repr([runs.code_hash(settings.kind), settings.model_terms(), self.device.type, hashes])
        folder = paths.cache / settings.kind / hashlib.sha256(identity.encode()).hexdigest()[:16]
        # A cell is named by the weights it is about, so that it serves every analysis of them, however fine its grids.
        tags = {label: f"{label}.{str(runs.weights_hash(record.name))[:8]}" for label, record in records.items()}
        self.cells = CellStore(folder, tags, progress)

    def _load(self, record: Record) -> State:
        """A record's weights on the device, in the network's order, which tables and figures follow.

        As parameters and buffers, so that they tell what is trained.
        """
        weights, _ = load_tensors(record.file("weights.safetensors"))
        own = copy_of(self.model).requires_grad_(False)
        own.load_state_dict(weights)
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
