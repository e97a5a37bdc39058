"""Protocols: the terms on which models are judged, fixed under a name, so that a score stands beside others'.

``mini-64-v1`` is the collection ``mini`` at 64 x 64 pixels: one recipe, one number of training images, the same
composites to choose weights by and to score, three seeds, arithmetic in float32. A model brings only itself. Where the
recipe's learning rate does not suit it, a sweep may try three rates on the first seed and choose by validation IoU;
what that costs is counted. ``mini-32-v1`` and ``mini-128-v1`` differ in resolution; on another collection a protocol is
named by its data's hash, as ``163c28ca0a214966-64-v1``. With any other change the terms are another protocol,
``custom-...``. Version 0 is for trying things out in a minute: a tenth of the images, and no score to compare.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.collection import SPLITS, Collection
from chairlib.compositing.loader import open_images
from chairlib.compositing.released import is_released
from chairlib.core.errors import ParameterError
from chairlib.core.once import look

#: The hash of the collection ``mini``, on which version 1 is defined.
MINI_HASH = "f043787b2807758f"
RESOLUTIONS = (32, 64, 128)
VERSION = 1
#: Version 1, as settings. Never change these: a change is version 2.
TERMS = {
    "recipe": "fast",
    "images": 6000,
    "train_images": None,
    "val_images": 200,
    "test_images": 500,
    "evaluations": 4,
    "precision": "float32",
    "batch_size": None,
}
#: What version 0, a trial, has instead.
TRIAL = {"images": 640, "val_images": 100, "test_images": 100}
#: The rates that may be tried; the recipe's is the middle one.
RATES = (6e-3, 2e-2, 6e-2)


@dataclass(frozen=True)
class Protocol:
    """What every model of one table has in common."""

    data_hash: str
    resolution: int
    version: int = VERSION
    seeds: tuple[int, ...] = (0, 1, 2)
    learning_rates: tuple[float, ...] = RATES

    @property
    def name(self) -> str:
        """As ``"mini-64-v1"``."""
        data = "mini" if self.data_hash == MINI_HASH else self.data_hash
        return f"{data}-{self.resolution}-v{self.version}"

    def parameters(self) -> dict[str, Any]:
        """The parameters of its runs, as :class:`BenchmarkSettings` takes them."""
        return {"resolution": self.resolution, **TERMS, **(TRIAL if self.version == 0 else {})}


def data_identity(data: str, resolution: int) -> tuple[str, str]:
    """The name and the content's hash of a collection, or of a folder in the authors' layout at this resolution."""
    if is_released(data):
        cpu = torch.device("cpu")
        sets = [open_images(data, split, resolution, cpu) for split in SPLITS]
        return sets[0].name, "".join(image_set.data_hash[:5] for image_set in sets)
    collection = look(data, lambda: Collection(data))
    return collection.name, collection.hash


def get_protocol(name: str, data: str = "mini") -> Protocol:
    """The protocol of this name on ``data``; ``"64-v1"`` names it on any data.

    Raises :class:`ParameterError` for an unknown name or version, and where the name is that of other data.
    """
    found = re.fullmatch(r"(?:(mini|[0-9a-f]{15,16})-)?(\d+)-v(\d+)", name)
    if not found or int(found[2]) not in RESOLUTIONS:
        names = ", ".join(f"mini-{size}-v{VERSION}" for size in RESOLUTIONS)
        raise ParameterError(
            f"unknown protocol {name!r}: choose {names}, or for data of your own 32-v1, 64-v1 or 128-v1."
        )
    if int(found[3]) > VERSION:
        raise ParameterError(f"protocol {name} is newer than version {VERSION}, which this chairlib knows: update it.")
    protocol = Protocol(data_identity(data, int(found[2]))[1], int(found[2]), int(found[3]))
    wanted = {None: protocol.data_hash, "mini": MINI_HASH}.get(found[1], found[1])
    if wanted != protocol.data_hash:
        raise ParameterError(
            f"protocol {name} is of data with the hash {wanted}, but {Path(data).name} has {protocol.data_hash}: "
            f"name the protocol {protocol.name}, or give its own data."
        )
    return protocol


def follow(protocol: Protocol, settings: BenchmarkSettings, given: set[str]) -> BenchmarkSettings:
    """``settings`` with the terms of ``protocol``, but for the parameters that were ``given`` beside it.

    Raises :class:`ParameterError` for another resolution: the protocol's name says it.
    """
    if "resolution" in given and settings.resolution != protocol.resolution:
        raise ParameterError(
            f"resolution {settings.resolution} contradicts the protocol {protocol.name}: leave it out, or name "
            f"{Protocol(protocol.data_hash, settings.resolution).name}."
        )
    return settings.with_changes(**{name: value for name, value in protocol.parameters().items() if name not in given})


def differing_terms(settings: BenchmarkSettings, protocol: Protocol) -> dict[str, Any]:
    """The parameters of a run by which it is not one of ``protocol``; empty where it is."""
    differing = {
        name: getattr(settings, name)
        for name, value in protocol.parameters().items()
        if getattr(settings, name) != value
    }
    if settings.learning_rate is not None and not (settings.swept and settings.learning_rate in RATES):
        differing["learning_rate"] = settings.learning_rate
    if settings.weights is not None:  # only what is scored has to agree
        differing = {name: value for name, value in differing.items() if name in ("resolution", "test_images")}
    return differing


def common_terms(settings: BenchmarkSettings) -> dict[str, Any]:
    """What two runs must have in common to stand in one table: everything but data, resolution, model and seed.

    A learning rate that a sweep tried is the model's, and no term.
    """
    if settings.weights is not None:
        return {"test_images": settings.test_images, "trained": False}
    terms = {name: getattr(settings, name) for name in TERMS}
    rate = None if settings.swept and settings.learning_rate in RATES else settings.learning_rate
    return {**terms, "learning_rate": rate, "trained": True}


def protocol_of(settings: BenchmarkSettings, data_hash: str) -> str:
    """The name of the protocol that a run follows, whether it was asked for or not.

    ``mini-64-v1-scored``: the weights were trained elsewhere, so that only data and scoring are the protocol's.
    ``custom-`` and 8 digits over all terms: none of the named ones.
    """
    for version in (VERSION, 0) if settings.resolution in RESOLUTIONS else ():
        protocol = Protocol(data_hash, settings.resolution, version)
        if not differing_terms(settings, protocol):
            return protocol.name + ("" if settings.weights is None else "-scored")
    terms = {"data": data_hash, "resolution": settings.resolution, **common_terms(settings)}
    return f"custom-{hashlib.sha256(json.dumps(terms, sort_keys=True).encode()).hexdigest()[:8]}"
