"""States, the weights of models by name: which entries are trained, whether two states match, and their distance."""

import copy
import itertools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from chairlib.core.errors import ParameterError

__all__ = [
    "State",
    "check_alike",
    "check_fits",
    "l2_distance",
    "loaded_copy",
    "squared_norms",
    "trainable",
]

#: Names and tensors of a module, as its ``state_dict()`` gives them.
State = Mapping[str, Tensor]

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def trainable(state: State) -> dict[str, Tensor]:
    """The entries that distances are measured over: floating-point ones but BatchNorm's running statistics."""
    return {
        key: tensor
        for key, tensor in state.items()
        if tensor.is_floating_point() and key.rpartition(".")[2] not in _STATISTICS
    }


def check_alike(states: Sequence[State], names: Sequence[str] | None = None) -> None:
    """Raise :class:`ParameterError` unless all are states of one model on one device, with finite weights.

    ``names``: what to call them in errors; "state 1", "state 2", ... where None.
    """
    named = names or [f"state {number}" for number in range(1, len(states) + 1)]
    for state, name in zip(states, named, strict=True):
        _check_state(state, name)
        _check_entries(states[0], state, named[0], name)
        for key in state:
            first, own = states[0][key].device, state[key].device
            if own != first:
                raise ParameterError(f"{key!r} is on {first} in {named[0]} and on {own} in {name}: move one of them.")


def check_fits(state: State, model: nn.Module, name: str) -> None:
    """Raise :class:`ParameterError` unless ``state`` has the model's entries, on any device, with finite weights."""
    _check_state(state, name)
    _check_entries(model.state_dict(), state, "the model", name)


def loaded_copy(model: nn.Module, state: State, name: str, device: torch.device) -> nn.Module:
    """A copy of ``model`` with these weights, on ``device``, in evaluation mode. Raises as :func:`check_fits` does."""
    check_fits(state, model, name)
    own = copy.deepcopy(model).to(device)
    own.load_state_dict(state)
    own.eval()  # whatever it returns: a model's own train() may return nothing
    return own


def _check_state(state: State, name: str) -> None:
    if not isinstance(state, Mapping):
        raise ParameterError(f"{name} must be a state_dict of named tensors, found {type(state).__name__}.")
    for key, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise ParameterError(f"{key!r} of {name} must be a tensor, found {type(tensor).__name__}.")
    if not trainable(state):
        raise ParameterError(f"{name} has no floating-point weights: give the state_dict of a model.")
    floats = {key: tensor for key, tensor in state.items() if tensor.is_floating_point()}
    # One answer for all, so that a GPU is waited for once.
    finite = torch.stack([tensor.isfinite().all() for tensor in floats.values()]).tolist()
    for key, is_finite in zip(floats, finite, strict=True):
        if not is_finite:
            raise ParameterError(f"{key!r} of {name} holds NaN or infinity: has its training diverged?")


def _check_entries(one: State, other: State, name: str, other_name: str) -> None:
    mend = "give states of the same model and width"
    for key in itertools.chain(one, other):
        if key not in one or key not in other:
            has, lacks = (name, other_name) if key in one else (other_name, name)
            raise ParameterError(f"{lacks} has no entry {key!r}, which {has} has: {mend}.")
        a, b = one[key], other[key]
        for what in ("shape", "dtype"):
            if getattr(a, what) != getattr(b, what):
                found = [list(t.shape) if what == "shape" else t.dtype for t in (a, b)]
                raise ParameterError(f"{key!r} has {what} {found[0]} in {name} and {found[1]} in {other_name}: {mend}.")


def squared_norms(state: State, less: State | None = None) -> dict[str, float]:
    """Squared l2 norm of each trainable entry (less another state's), accumulated in float64 on the states' device."""
    entries = trainable(state)
    sums = [
        (tensor.detach().double() - (0 if less is None else less[key].detach().double())).square().sum()
        for key, tensor in entries.items()
    ]
    return dict(zip(entries, torch.stack(sums).tolist(), strict=True))


def l2_distance(state_a: State, state_b: State) -> float:
    """Euclidean distance between two models in parameter space (the paper's Table 5, after Neyshabur et al. 2020).

    Over trainable parameters: all floating-point entries but BatchNorm's running statistics (``running_mean``,
    ``running_var``, ``num_batches_tracked``). BatchNorm's weight and bias count. Accumulated in float64. It grows with
    the number of parameters, so compare it within one model.

    Raises :class:`ParameterError` for states of different models and for weights that are not finite.
    """
    check_alike([state_a, state_b])
    return math.sqrt(math.fsum(squared_norms(state_a, state_b).values()))
