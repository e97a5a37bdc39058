"""A model judged by a protocol: trained with every seed, or scored as it was trained elsewhere."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from chairlib.benchmark.adapters import adapt
from chairlib.benchmark.models import MODELS
from chairlib.benchmark.protocols import data_identity, get_protocol
from chairlib.benchmark.run import open_run, train
from chairlib.benchmark.weights import AS_BUILT, load_weights
from chairlib.core import runs
from chairlib.core.errors import ParameterError
from chairlib.core.progress import note
from chairlib.core.runs import Record


def judge(
    protocol: str = "mini-64-v1",
    *,
    data: str = "mini",
    seeds: Iterable[int] | None = None,
    try_rates: bool = False,
    progress: bool = True,
    **parameters: Any,
) -> list[Record]:
    """Train a model by a protocol, once with each of its seeds; finished runs are only read.

    ``parameters``: those of :func:`chairlib.benchmark.open_run`, ``model`` above all. ``try_rates``: first
    :func:`sweep` its learning rates. Raises :class:`ParameterError` for a model that is not named by a text.
    """
    if not isinstance(model := parameters.get("model"), str | None):
        raise ParameterError(
            f"model must be named, as package.module:callable; found a {type(model).__name__}, for score_model or fit."
        )
    terms = get_protocol(protocol, data)
    parameters = {**parameters, "protocol": protocol, "data": data}
    seeds = terms.seeds if seeds is None else tuple(seeds)
    if try_rates:
        if parameters.get("learning_rate") is not None:
            raise ParameterError("a sweep chooses the learning rate: leave out learning_rate, or the sweep.")
        parameters |= {"learning_rate": sweep(**parameters, seed=seeds[0], progress=progress), "swept": True}
    return [train(open_run(**parameters, seed=seed), progress) for seed in seeds]


def sweep(protocol: str, *, data: str = "mini", seed: int = 0, progress: bool = True, **parameters: Any) -> float:
    """The learning rate of the protocol's three with the highest validation IoU on one seed. Test images have no part.

    Each rate is a run of its own, so a leaderboard's row counts what they cost.
    """
    terms = get_protocol(protocol, data)
    parameters |= {"protocol": protocol, "data": data, "seed": seed}
    ious = {}
    for rate in terms.learning_rates:
        record = train(open_run(**{**parameters, "learning_rate": rate, "swept": True}), progress)
        ious[rate] = record.metrics["val"]["iou"] or 0.0
    best = max(ious, key=ious.__getitem__)
    tried = ", ".join(f"{rate:g}: {iou:.1f}" for rate, iou in ious.items())
    note(f"validation IoU by learning rate, seed {seed}: {tried}; {best:g} is taken")
    return best


def score_model(
    model: str | nn.Module | Any,
    *,
    name: str | None = None,
    weights: str | None = None,
    protocol: str = "mini-64-v1",
    data: str = "mini",
    device: str = "auto",
    progress: bool = True,
    **options: Any,
) -> Record:
    """Score what was trained elsewhere, or needs no training, and leave a record beside those of trained models.

    Parameters
    ----------
    model: a name, ``package.module:callable``, or what :func:`chairlib.benchmark.adapters.adapt` takes: a module, a
        class, a factory, or a function that gives masks for images [B, 3, d, d] in [0, 1].
    name: what tables call it; needed unless ``model`` is a name itself.
    weights: a file for it; without one, it is scored as it is.
    protocol, data: which test composites, and how they are scored.
    options: ``width``, ``model_args``, ``normalise``, ``outputs``, and the ``seed`` that it was trained with, as
        :func:`chairlib.benchmark.open_run` takes them.

    Raises :class:`ParameterError` for a model or weights that cannot be used, or a missing name.
    """
    common = {"protocol": protocol, "data": data, "weights": weights or AS_BUILT, "device": device}
    if isinstance(model, str):
        if model in MODELS and weights is None:
            raise ParameterError(f"{model} has random weights until it is trained: give a file of weights to score.")
        return train(open_run(model=model, **common, **options), progress, title=name)
    if not name or name in MODELS or not re.search("[A-Za-z0-9]", name) or ":" in name:
        raise ParameterError(
            f"name {name!r} must say what the model is, with letters or digits, no colon, and be none of "
            f"{', '.join(MODELS)}."
        )
    settings = open_run(**common, **{**options, "model_args": {}}).settings.with_changes(model=name)
    built = adapt(
        model,
        args=options.get("model_args"),
        width=settings.width,
        resolution=settings.resolution,
        normalise=settings.normalise,
        outputs=settings.outputs,
        name=name,
    )
    load_weights(built, weights or AS_BUILT)
    digest = hashlib.sha256(type(built).__qualname__.encode())
    for key, tensor in built.state_dict().items():
        digest.update(key.encode() + tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    run = runs.open_run(settings, *data_identity(data, settings.resolution), weights=digest.hexdigest()[:16])
    return train(run, progress, model=built)
