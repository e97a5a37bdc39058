"""Weights as points of a space (the paper's section 6): lines, averages, distances. No state that is given changes."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from chairlib.core.checks import check_choice
from chairlib.core.errors import ParameterError
from chairlib.landscape.states import State, check_alike, squared_norms, tied, trainable


def combine(states: Sequence[State], coefficients: Sequence[float]) -> dict[str, Tensor]:
    """The sum of coefficient times state, computed in float64, as new tensors of the states' own dtypes.

    The coefficients sum to 1. Integer entries are the first state's. A single coefficient of 1 beside zeros gives that
    state's copy, bit for bit.
    """
    if sorted(coefficients) == [0] * (len(states) - 1) + [1]:
        chosen = states[list(coefficients).index(1)]
        return {key: tensor.detach().clone() for key, tensor in chosen.items()}
    result: dict[str, Tensor] = {}
    names = tied(states)
    for key, first in states[0].items():
        if key in names:
            result[key] = result[names[key]]  # what is one parameter in the states is one here
            continue
        if not first.is_floating_point():
            result[key] = first.detach().clone()
            continue
        total = torch.zeros_like(first, dtype=torch.float64, requires_grad=False)
        for state, coefficient in zip(states, coefficients, strict=True):
            total.add_(state[key].detach().double(), alpha=coefficient)
        if key.rpartition(".")[2] == "running_var":
            total.clamp_(min=0)  # outside of its ends a line of variances runs below zero, which has no square root
        # Infinities are the same in all states, a mask's, and no line: 0 times infinity is not a number.
        result[key] = torch.where(first.isfinite(), total.to(first.dtype), first.detach())
    return result


def interpolate(state_a: State, state_b: State, alpha: float) -> dict[str, Tensor]:
    """W = alpha W_a + (1 - alpha) W_b (the paper's section 6.2), as a new state of the same dtypes on the same device.

    ``alpha``: any finite number; 1 gives a copy of ``state_a`` and 0 one of ``state_b``, bit for bit. Floating-point
    entries, BatchNorm's statistics among them, are computed in float64 and rounded once (variances not below 0).
    Integers (``num_batches_tracked``) are those of ``state_a`` unless alpha is 0. Raises :class:`ParameterError` for an
    alpha that is no finite number, and as :func:`l2_distance` does.
    """
    check_alike([state_a, state_b])
    try:
        weight = math.nan if isinstance(alpha, str) else float(alpha)
    except (TypeError, ValueError):
        weight = math.nan
    if not math.isfinite(weight):
        raise ParameterError(f"alpha must be a finite number, found {alpha!r}.")
    return combine([state_a, state_b], [weight, 1 - weight])


def average(states: Iterable[State]) -> dict[str, Tensor]:
    """The mean of several models' weights, a uniform soup (Wortsman et al. 2022, Model soups), as a new state.

    BatchNorm's statistics are averaged alike (or recalibrate them, see :class:`Evaluator`); integer entries are the
    first state's. Raises :class:`ParameterError` for no states, and as :func:`l2_distance` does.
    """
    members = list(states)
    if not members:
        raise ParameterError("an average needs at least one state, found none.")
    check_alike(members)
    return combine(members, [1 / len(members)] * len(members))


def rewind(state: State, origin: State, block: str) -> dict[str, Tensor]:
    """A trained state with one block's parameters, and its BatchNorm statistics, taken from ``origin``, as a new state.

    If that costs no score, the block's training was not needed. A parameter that the block shares with another one is
    taken from ``origin`` under all its names. ``block``: one of :func:`blocks`. Raises :class:`ParameterError` for
    another, and as :func:`l2_distance` does.
    """
    check_alike([state, origin])
    check_choice("block", block, blocks(state))
    names = tied([state, origin])
    rewound = {names.get(key, key) for key in state if block_of(key) == block}
    return {key: (origin if names.get(key, key) in rewound else state)[key].detach().clone() for key in state}


def block_of(key: str) -> str:
    """The block that a state's entry belongs to, from its name.

    It is the module path up to the first index whose module has modules of its own (``down.0.1.weight`` -> ``down.0``,
    ``backbone.layer1.0.bn1.weight`` -> ``backbone.layer1.0``), and else the top-level child (``stem.0.weight`` ->
    ``stem``, ``backbone.conv1.weight`` -> ``backbone``). For U-Net: stem, down.0 to down.3, up.0 to up.3, classifier.
    """
    path = key.split(".")[:-1]
    for depth, part in enumerate(path[:-1]):
        if part.isdigit():
            return ".".join(path[: depth + 1])
    return ".".join(path[: 2 if path[0] == "model" else 1]) if path else key  # "model": see Adapted


def blocks(state: State) -> list[str]:
    """The names of a state's blocks in its own order; together they hold every entry once. See :func:`block_of`."""
    return list(dict.fromkeys(map(block_of, state)))


def distances(state_a: State, state_b: State) -> pd.DataFrame:
    """Distance between two models in all and in each block, as :func:`l2_distance` measures it.

    A row for ``total`` and one for each block with trainable parameters (:func:`blocks`), which is the index. Columns:
    ``l2``, ||a - b||; ``norm_a``, ``norm_b``; ``relative``, 2 ||a - b|| / (||a|| + ||b||), in [0, 2]: 0 for equal
    weights, 2 for opposite ones, about 1.41 for unrelated ones of one size (but 0.71 for two fresh U-Nets, whose
    BatchNorm scales start at 1); ``n_parameters``. Raises as :func:`l2_distance` does.
    """
    check_alike([state_a, state_b])
    a, b = trainable(state_a, state_b), trainable(state_b, state_a)
    parts = pd.DataFrame(
        {"l2": squared_norms(a, b), "norm_a": squared_norms(a), "norm_b": squared_norms(b)}, dtype=float
    )
    parts["n_parameters"] = {key: tensor.numel() for key, tensor in a.items()}
    by_block = parts.groupby([block_of(key) for key in parts.index], sort=False).sum()
    table = pd.concat([parts.sum().to_frame("total").T, by_block]).astype({"n_parameters": int})
    norms = ["l2", "norm_a", "norm_b"]
    table[norms] = np.sqrt(table[norms])
    mean_norm = (table["norm_a"] + table["norm_b"]) / 2
    table["relative"] = (table["l2"] / mean_norm.where(mean_norm > 0)).fillna(0.0)
    return table.rename_axis("block")[[*norms, "relative", "n_parameters"]]
