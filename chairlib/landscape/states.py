"""States, the weights of models by name: which entries are trained, whether two states match, and their distance."""

import copy
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from chairlib.core.errors import ParameterError

#: Names and tensors of a module, as its ``state_dict()`` gives them.
State = Mapping[str, Tensor]

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def trainable(state: State, *others: State) -> dict[str, Tensor]:
    """The entries of ``state`` that distances are measured over: trained weights, each once.

    In a ``state_dict(keep_vars=True)`` (or if one of ``others`` is one) those are the ``nn.Parameter``. A plain
    ``state_dict()`` doesn't tell: there they are the floating-point entries, except BatchNorm's running statistics,
    vectors of spectral normalisation, and masks: entries with infinities that are not called a weight or bias. Of a
    parameter with several names the first counts (:func:`tied`).
    """
    states = (state, *others)
    parameters, names = _parameters(*states), tied(states)
    return {
        key: tensor
        for key, tensor in state.items()
        if tensor.is_floating_point()
        and key not in names
        and (key in parameters if parameters else not (_is_statistic(key, state) or _is_mask(key, tensor)))
    }


def tied(states: Sequence[State]) -> dict[str, str]:
    """Other names of one parameter, each with its first name.

    Two entries are one parameter where they are one tensor in a state, as in the ``state_dict()`` of a model with tied
    weights, and equal in all other states. Equal values alone are none: layers may start as copies of each other.
    """
    names: dict[str, str] = {}
    for state in states:
        first: dict[Any, str] = {}
        for key in states[0]:  # in one order, so that the first name is the same in every state
            tensor = state[key]
            place = (tensor.data_ptr() or key, tensor.shape, tensor.stride(), tensor.dtype)
            other = first.setdefault(place, key)
            if other != key and all(torch.equal(each[other], each[key]) for each in states):
                names.setdefault(key, names.get(other, other))
    return names


def _parameters(*states: State) -> set[str]:
    """The names of the entries that are known to be parameters, from the states that tell."""
    mappings = (state for state in states if isinstance(state, Mapping))  # of others, an error is still to come
    return {key for state in mappings for key, tensor in state.items() if isinstance(tensor, nn.Parameter)}


def _is_statistic(key: str, state: State) -> bool:
    """Whether an entry is one of BatchNorm's statistics, or a vector of spectral norm's, by its name."""
    name = key.rpartition(".")[2]
    if name.endswith(("_u", "_v")):  # spectral norm's; weight norm has a trained `weight_v`, but no `weight_orig`
        return f"{key[:-2]}_orig" in state or ("parametrizations." in key and len(name) == 2)
    return name in _STATISTICS


def _is_mask(key: str, tensor: Tensor) -> bool:
    """Whether an entry that is not known to be a parameter holds infinities on purpose."""
    if any(word in key.rpartition(".")[2] for word in ("weight", "bias", "original", *_STATISTICS)):
        return False
    return bool(tensor.isinf().any()) and not tensor.isnan().any()


def check_alike(states: Sequence[State], names: Sequence[str] | None = None) -> None:
    """Raise :class:`ParameterError` unless all are states of one model on one device, with finite weights.

    ``names``: what to call them in errors; "state 1", "state 2", ... where None.
    """
    named = names or [f"state {number}" for number in range(1, len(states) + 1)]
    infinite: set[str] = set()
    for state, name in zip(states, named, strict=True):
        infinite |= _check_state(state, name, states)
        _check_entries(states[0], state, named[0], name)
        for key in state:
            first, own = states[0][key].device, state[key].device
            if own != first:
                raise ParameterError(f"{key!r} is on {first} in {named[0]} and on {own} in {name}: move one of them.")
    for key, (state, name) in itertools.product(infinite, zip(states, named, strict=True)):
        if not torch.equal(states[0][key].isfinite(), state[key].isfinite()):
            raise ParameterError(
                f"{key!r} is infinite in other places in {named[0]} than in {name}: give states of one model."
            )


def check_fits(state: State, model: nn.Module, name: str) -> None:
    """Raise :class:`ParameterError` unless ``state`` has the model's entries, finite, and one value a parameter."""
    own = model.state_dict(keep_vars=True)
    _check_state(state, name, [own])
    _check_entries(own, state, "the model", name)
    for key, first in tied([own]).items():
        if not torch.equal(state[first], state[key]):
            raise ParameterError(f"{first!r} and {key!r} are one parameter of the model, but differ in {name}.")


def copy_of(model: nn.Module) -> nn.Module:
    """A deep copy, also where a module keeps a tensor that it derives from its weights anew in each pass."""
    kept = (value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor))
    # Weight norm and spectral norm do; after training these belong to a graph, which Python's own copy refuses.
    return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in kept if not tensor.is_leaf})


def loaded_copy(model: nn.Module, state: State, name: str, device: torch.device) -> nn.Module:
    """A copy of ``model`` with these weights, on ``device``, in evaluation mode. Raises as :func:`check_fits` does."""
    check_fits(state, model, name)
    own = copy_of(model).to(device)
    own.load_state_dict(state)
    own.eval()  # whatever it returns: a model's own train() may return nothing
    return own


def _check_state(state: State, name: str, states: Sequence[State]) -> set[str]:
    """The names of buffers that are not finite, which is no error; ``states`` may tell what is a buffer."""
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
    infinite = {key for key, is_finite in zip(floats, finite, strict=True) if not is_finite}
    parameters = _parameters(*states) if infinite else set()
    for key in infinite:
        is_weight = key in parameters if parameters else not _is_mask(key, state[key])
        if is_weight or key.rpartition(".")[2] in _STATISTICS:
            raise ParameterError(f"{key!r} of {name} holds NaN or infinity: has its training diverged?")
    return infinite


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
    entries = trainable(state, *([] if less is None else [less]))
    sums = [
        (tensor.detach().double() - (0 if less is None else less[key].detach().double())).square().sum()
        for key, tensor in entries.items()
    ]
    return dict(zip(entries, torch.stack(sums).tolist(), strict=True))


def l2_distance(state_a: State, state_b: State) -> float:
    """Euclidean distance between two models in parameter space (the paper's Table 5, after Neyshabur et al. 2020).

    Over trained weights, each once (see :func:`trainable`): not over BatchNorm's running statistics, but its weight and
    bias. It grows with the number of parameters, so compare it within one model. Raises :class:`ParameterError` for
    states of different models and for weights that are not finite.
    """
    check_alike([state_a, state_b])
    return math.sqrt(math.fsum(squared_norms(state_a, state_b).values()))
