"""The record that a fine-tuning run starts from: what it was pretrained on, its weights, and what it cost."""

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.benchmark.weights import load_recorded
from chairlib.core.errors import RecordError
from chairlib.core.runs import Record, find_record
from chairlib.transfer.settings import TransferSettings


def read_pretrained(name: str) -> Record:
    """The record of this name, as :func:`find_record` looks it up; :class:`RecordError` if it is no benchmark run."""
    record = find_record(name)
    pretraining_of(record)
    return record


def pretraining_of(record: Record) -> str:
    """What a record was pretrained on, as :class:`TransferSettings` call it; :class:`RecordError` where it is none."""
    if record.kind != BenchmarkSettings.kind:
        raise RecordError(
            f"record {record.name} is no pretraining but of kind {record.kind}; give one of `chairlib benchmark`."
        )
    on = record.content["trained_on"]
    return f"{on}_matched" if on == "chair_segments" and record.settings.train_images else on


def load_pretrained(model: nn.Module, record: Record, settings: TransferSettings) -> None:
    """Fill ``model`` with a record's weights; :class:`RecordError` where it is not what ``settings`` ask for."""
    pretraining = pretraining_of(record)
    if settings.pretraining != pretraining:
        raise RecordError(
            f"record {record.name} was pretrained on {pretraining}, but pretraining {settings.pretraining!r} is asked "
            "for; correct one of them."
        )
    check_same_model(record, settings.model_terms())
    load_recorded(model, record)


def check_same_model(record: Record, asked: Mapping[str, Any]) -> None:
    """Raise :class:`RecordError` where a record's model has other parameters than those ``asked`` for, by name."""
    found = {name: getattr(record.settings, name) for name in asked}
    if found != dict(asked):
        raise RecordError(
            f"record {record.name} holds a model with {found}, but {dict(asked)} is asked for; leave that out, or "
            "pretrain that model first."
        )


def pretraining_cost(record: Record) -> dict[str, Any]:
    """What a record was pretrained with: ``images_seen``, the ``budget`` in images, ``n_train_images``, ``recipe``.

    Where a recipe stops early, pretrainings that are otherwise the same differ in the images seen, not in the budget.
    """
    content = record.content
    by_epochs = math.ceil(content["recipe"]["epochs"] * content["n_train_images"])
    seen = {name: content[name] for name in ("images_seen", "n_train_images")}
    return {**seen, "budget": record.settings.images or by_epochs, "recipe": record.settings.recipe}
