"""Weight matching: rename the units of one network so that its weights lie as near as can be to another's.

The units of a layer have no order: permuting a convolution's output channels, and with them whatever reads these
channels, gives other weights and the same function. *Git Re-Basin* (Ainsworth, Hayase & Srinivasa, ICLR 2023) asks
whether the barrier between two networks from scratch disappears if their units are matched: by their weights
(:func:`match`), or by what they compute (:func:`match_activations`, often better for networks with BatchNorm, whose
weights have no scale). BatchNorm's running statistics are permuted with their channels but take no part in distances.
Halfway between two networks they are estimated anew, matched or not (Jordan et al., *REPAIR*, ICLR 2023).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from chairlib.benchmark.models import name_of
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError
from chairlib.landscape.beyond.activations import CrossProducts, activations
from chairlib.landscape.states import State, check_alike, l2_distance, trainable

#: A step must gain at least this share of |A| |B|, so that rounding is never taken for progress.
TOLERANCE = 1e-12

Axes = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class PermutationSpec:
    """Which axes of which tensors one permutation acts on.

    ``axes``: for each key of the state and each leading axis, the groups that lie along it: ``()`` for an axis that
    is not permuted (and for all axes left out), one group, or several side by side for concatenated features. No group
    lies twice in one tensor. Groups come in forward order. Sizes come from the weights, so one spec fits all widths.
    ``outputs``: for each group, the modules in whose outputs its units can be observed; for matching by activations.
    """

    axes: dict[str, Axes] = field(default_factory=dict)
    outputs: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def groups(self) -> list[str]:
        """The groups, in forward order."""
        return list(dict.fromkeys(group for axes in self.axes.values() for axis in axes for group in axis))

    def sizes(self, state: State) -> dict[str, int]:
        """The number of units of each group in ``state``.

        Raises :class:`ParameterError` where the state has a tensor that the spec doesn't cover, lacks one, or has one
        of a shape that doesn't fit.
        """
        for key in [*self.axes, *state]:
            if key not in state or key not in self.axes:
                has, lacks = ("weights", "permutation spec") if key in state else ("permutation spec", "weights")
                raise ParameterError(f"the {has} has {key!r}, the {lacks} not: weights of another model?")
        sizes: dict[str, int] = {}
        axes = [(key, *about) for key in self.axes for about in enumerate(self.axes[key])]
        for key, number, axis in axes:
            if len(axis) == 1:
                sizes.setdefault(axis[0], state[key].shape[number])
        for key, number, axis in axes:
            expected = sum(sizes[group] for group in axis)
            if axis and state[key].shape[number] != expected:
                raise ParameterError(
                    f"axis {number} of {key!r} has {state[key].shape[number]} channels; {' and '.join(axis)} have "
                    f"{expected}."
                )
        return {group: sizes[group] for group in self.groups}

    def add_layer(self, name: str, axes: Axes, group: str, norm: str | None, observed: str) -> None:
        """Add a convolution, and the BatchNorm layer after it if any, whose output channels are ``group``.

        ``axes``: those of its weight. ``observed``: the module in whose output the units can be observed.
        """
        parts = ("weight", "bias", "running_mean", "running_var") if norm else ()
        self.axes[f"{name}.weight"] = axes
        self.axes.update(dict.fromkeys([f"{name}.bias", *(f"{norm}.{part}" for part in parts)], ((group,),)))
        if norm:
            self.axes[f"{norm}.num_batches_tracked"] = ()
        self.outputs[group] = (*self.outputs.get(group, ()), observed)

    def add_classifier(self, features: tuple[str, ...]) -> None:
        """Add the last layer, whose one logit is not permuted."""
        self.axes.update({"classifier.weight": ((), features), "classifier.bias": ()})


def _unet_spec() -> PermutationSpec:
    """Every convolution is a group of its own; the first of an up block reads [skip, upsampled features]."""
    spec = PermutationSpec()
    into: tuple[str, ...] = ()
    skips = {"up.0": "down.2.3", "up.1": "down.1.3", "up.2": "down.0.3", "up.3": "stem.3"}
    for block in ("stem", *(f"down.{number}" for number in range(4)), *skips):
        if block in skips:
            into = (skips[block], *into)
        for number in (0, 3):
            group = f"{block}.{number}"
            spec.add_layer(group, ((group,), into), group, f"{block}.{number + 1}", f"{block}.{number + 2}")
            into = (group,)
    spec.add_classifier(into)
    return spec


def _vgg16_spec() -> PermutationSpec:
    """What a transposed convolution gives is added to a stage's output, so both are one group."""
    spec = PermutationSpec()
    into: tuple[str, ...] = ()
    for stage, depth in enumerate((2, 2, 3, 3, 3)):
        for number in range(0, 2 * depth, 2):
            group = f"stages.{stage}.{number}"
            spec.add_layer(group, ((group,), into), group, None, f"stages.{stage}.{number + 1}")
            into = (group,)
    for number, group in enumerate(("stages.3.4", "stages.2.4", "stages.1.2", "stages.0.2", "up.4")):
        # Transposed convolutions keep their inputs on the first axis.
        spec.add_layer(f"up.{number}", (into, (group,)), group, f"norms.{number}", f"norms.{number}")
        into = (group,)
    spec.add_classifier(into)
    return spec


#: The models whose permutation groups are known.
SUPPORTED = {"unet": _unet_spec, "fcn_vgg16": _vgg16_spec}


def permutation_spec(model: str | nn.Module) -> PermutationSpec:
    """The spec of ``unet`` or ``fcn_vgg16``, for a name or a module. Raises :class:`ParameterError` for any other."""
    name = model if isinstance(model, str) else name_of(model)
    if name not in SUPPORTED:
        raise ParameterError(
            f"the permutations of {name!r} are not known: use {' or '.join(SUPPORTED)}, or write a PermutationSpec of "
            "your own."
        )
    return SUPPORTED[name]()


@dataclass(frozen=True)
class Permutations:
    """A permutation of every group's units, and how it was found.

    ``orders``: for each group, int64 [n]: the unit at position i of the permuted network is unit ``order[i]`` of the
    network that was given. ``distance_before`` and ``distance_after``: :func:`chairlib.landscape.states.l2_distance` of
    B from A, as given and permuted; None for permutations that were not matched.
    """

    spec: PermutationSpec
    orders: Mapping[str, Tensor]
    distance_before: float | None = None
    distance_after: float | None = None


def match(state_a: State, state_b: State, spec: str | PermutationSpec = "unet", seed: int = 0) -> Permutations:
    """The permutations that bring ``state_b`` nearest to ``state_a``: the largest inner product of their parameters.

    Git Re-Basin's section 3.2, algorithm 1, in float64 on the CPU. With all other groups held, a group's best
    permutation is a linear assignment problem; groups are visited in random order (``seed``) until none can be
    improved. That ends in a local optimum, so the better of two starts counts: ``state_b`` as it is (as in the paper),
    and a pass in forward order that matches each group on the weights towards inputs already matched, which recovers a
    permuted copy exactly. The distance never grows. Raises :class:`ParameterError` for an unknown model, weights of
    different models or that the ``spec`` does not cover, and values that are not finite.
    """
    spec = permutation_spec(spec) if isinstance(spec, str) else spec
    check_alike([state_a, state_b], ["state_a", "state_b"])
    problem = MatchingProblem(spec, spec.sizes(state_a), state_a, state_b)
    ends = [
        problem.descend(start, np.random.default_rng([seed, number]))
        for number, start in enumerate((problem.identity(), problem.forward()))
    ]
    matched = [_measured(spec, orders, state_a, state_b) for orders in ends]
    return min(matched, key=lambda permutations: permutations.distance_after or 0.0)


def match_activations(
    model: nn.Module, state_a: State, state_b: State, loader: CompositeLoader, n_images: int = 256
) -> Permutations:
    """The permutations under which the units of ``state_b`` correlate most with those of ``state_a`` over images.

    Section 3.1 (after Li et al., *Convergent Learning*, 2016): each group is one linear assignment problem over the
    correlations of its units' outputs, all positions of all images pooled; units that never vary correlate with none.
    The l2 distance is reported, and may well grow. ``model``: one that :func:`permutation_spec` knows. ``loader``: of
    the training split, as a rule; see :func:`activations`. Raises :class:`ParameterError` as :func:`match` does.
    """
    spec = permutation_spec(model)
    states = {"state_a": state_a, "state_b": state_b}
    check_alike(list(states.values()), list(states))
    products = {layer: CrossProducts() for layers in spec.outputs.values() for layer in layers}
    for features in activations(model, states, loader, list(products), n_images):
        for layer, product in products.items():
            product.add(features["state_a"][layer], features["state_b"][layer])
    correlations = {
        group: torch.stack([products[layer].correlations() for layer in layers]).sum(0)
        for group, layers in spec.outputs.items()
    }
    orders = {group: _assign(correlation) for group, correlation in correlations.items()}
    return _measured(spec, orders, state_a, state_b)


def permute(state: State, permutations: Permutations) -> dict[str, Tensor]:
    """A copy of ``state`` with its units permuted: the same function, other weights.

    Raises :class:`ParameterError` if the spec doesn't cover the state or an order is no permutation of its group.
    """
    sizes = permutations.spec.sizes(state)
    for group, size in sizes.items():
        order = permutations.orders.get(group)
        if order is None or not torch.equal(order.cpu().sort().values, torch.arange(size)):
            raise ParameterError(f"group {group!r} needs a permutation of its {size} units, found {order}.")
    return {
        key: _permute_axes(tensor, permutations.spec.axes[key], permutations.orders, sizes).clone()
        for key, tensor in state.items()
    }


class MatchingProblem:
    """Two networks' parameters in float64, and how alike their units are under permutations of the second's."""

    def __init__(self, spec: PermutationSpec, sizes: dict[str, int], state_a: State, state_b: State) -> None:
        self.spec, self.sizes = spec, sizes
        self.a, self.b = (
            {key: tensor.detach().double().cpu() for key, tensor in trainable(state).items()}
            for state in (state_a, state_b)
        )
        norms = [float(sum(tensor.square().sum() for tensor in side.values())) ** 0.5 for side in (self.a, self.b)]
        self.least_gain = TOLERANCE * norms[0] * norms[1]

    def identity(self) -> dict[str, Tensor]:
        return {group: torch.arange(size) for group, size in self.sizes.items()}

    def forward(self) -> dict[str, Tensor]:
        orders: dict[str, Tensor] = {}
        for group in self.spec.groups:
            orders[group] = _assign(self.similarity(group, orders, known=orders.keys()))
        return orders

    def descend(self, orders: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """Improve one group after another until none can be. It ends, as each step gains more than rounding."""
        groups, improved = self.spec.groups, True
        while improved:
            improved = False
            for number in rng.permutation(len(groups)).tolist():
                group = groups[number]
                similarity = self.similarity(group, orders)
                order = _assign(similarity)
                if _gain(similarity, order) > _gain(similarity, orders[group]) + self.least_gain:
                    orders, improved = {**orders, group: order}, True
        return orders

    def similarity(self, group: str, orders: Mapping[str, Tensor], known: Collection[str] | None = None) -> Tensor:
        """Inner products of the parameters of unit i of A and unit j of B, in one group: float64 [n, n].

        All other groups of B are permuted by ``orders``. ``known``: leave out tensors that other groups than these have
        a part in.
        """
        total = torch.zeros(self.sizes[group], self.sizes[group], dtype=torch.float64)
        for key in self.a:
            axes = self.spec.axes[key]
            for number, axis in enumerate(axes):
                if group not in axis:
                    continue
                # What lies beside the group on its own axis has no part in its similarity.
                others = tuple(() if i == number else other for i, other in enumerate(axes))
                if known is not None and any(other not in known for names in others for other in names):
                    continue
                matched = _permute_axes(self.b[key], others, orders, self.sizes)
                start = sum(self.sizes[other] for other in axis[: axis.index(group)])
                size = self.sizes[group]
                a, b = (
                    tensor.narrow(number, start, size).movedim(number, 0).reshape(size, -1)
                    for tensor in (self.a[key], matched)
                )
                total += a @ b.T
        return total


def _permute_axes(tensor: Tensor, axes: Axes, orders: Mapping[str, Tensor], sizes: Mapping[str, int]) -> Tensor:
    for number, axis in enumerate(axes):
        if axis:
            starts = np.cumsum([0, *(sizes[group] for group in axis)]).tolist()
            order = torch.cat([orders[group] + start for group, start in zip(axis, starts, strict=False)])
            tensor = tensor.index_select(number, order.to(tensor.device))
    return tensor


def _assign(similarity: Tensor) -> Tensor:
    """The order [n] with the largest sum of ``similarity[i, order[i]]``."""
    return torch.from_numpy(linear_sum_assignment(similarity.cpu().numpy(), maximize=True)[1])


def _gain(similarity: Tensor, order: Tensor) -> float:
    return similarity.gather(1, order[:, None]).sum().item()


def _measured(spec: PermutationSpec, orders: Mapping[str, Tensor], state_a: State, state_b: State) -> Permutations:
    """The permutations with the distances before and after."""
    permuted = permute(state_b, Permutations(spec, orders))
    return Permutations(spec, orders, l2_distance(state_a, state_b), l2_distance(state_a, permuted))
