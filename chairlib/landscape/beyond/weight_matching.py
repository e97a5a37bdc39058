"""Weight matching: rename the units of one network so that its weights lie as near as can be to another's.

The units of a layer have no order: permuting a convolution's output channels, and with them whatever reads these
channels, gives other weights and the same function. Two networks trained from scratch may therefore differ by little
more than the names of their units, and *Git Re-Basin: Merging Models modulo Permutation Symmetries* (Ainsworth, Hayase
& Srinivasa, ICLR 2023) asks whether the barrier between them disappears once these are matched.

Two ways to match:

- :func:`match`: by weights (section 3.2, algorithm 1), coordinate descent over groups of units that maximises the inner
  product of the two networks' parameters, which is to minimise their l2 distance. Needs no data.
- :func:`match_activations`: by activations (section 3.1; Li et al., *Convergent Learning*, 2016), each group by the
  correlations of its units over images. It does not look at distances, and is often the better for networks with
  BatchNorm, whose weights have no scale of their own.

BatchNorm's running statistics are permuted with their channels but take no part in distances: they are no parameters. A
network halfway between two others needs them estimated anew, matched or not (Jordan et al., *REPAIR*, ICLR 2023).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from chairlib.benchmark.models import FCNVGG16, UNet
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.checks import check_count
from chairlib.core.errors import ParameterError
from chairlib.landscape.beyond.activations import CrossProducts, activations
from chairlib.landscape.states import State, check_alike, l2_distance, trainable

__all__ = [
    "SUPPORTED",
    "MatchingProblem",
    "PermutationSpec",
    "Permutations",
    "match",
    "match_activations",
    "permutation_spec",
    "permute",
]

#: The models whose permutation groups are known.
SUPPORTED = {"unet": UNet, "fcn_vgg16": FCNVGG16}
#: A step must gain at least this share of |A| |B|, so that rounding is never taken for progress.
TOLERANCE = 1e-12

Axes = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class PermutationSpec:
    """Which axes of which tensors one permutation acts on.

    ``axes``: for each key of the state dict, for each leading axis, the permutation groups that lie along it: ``()``
    for an axis that is not permuted (and for all axes left out), one group, or several side by side for concatenated
    features. Groups come in forward order. Sizes are not part of it: they are read from the weights, so one spec fits
    all widths.

    ``outputs``: for each group, the modules in whose outputs its units can be observed; for matching by activations.
    """

    axes: Mapping[str, Axes]
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def groups(self) -> list[str]:
        """The groups, in forward order."""
        return list(dict.fromkeys(group for axes in self.axes.values() for axis in axes for group in axis))

    def neighbours(self, group: str) -> set[str]:
        """The groups along other axes of the tensors that ``group`` permutes."""
        found: set[str] = set()
        for axes in self.axes.values():
            if any(group in axis for axis in axes):
                found.update(other for axis in axes if group not in axis for other in axis)
        return found

    def sizes(self, state: State) -> dict[str, int]:
        """The number of units of each group in ``state``.

        Raises :class:`ParameterError`, naming the key, where the state has a tensor that the spec doesn't cover, lacks
        one, or has one of a shape that doesn't fit.
        """
        for key in self.axes:
            if key not in state:
                raise ParameterError(f"the weights have no {key!r}, which the permutation spec covers: another model?")
        for key in state:
            if key not in self.axes:
                raise ParameterError(
                    f"the permutation spec does not cover {key!r}: these are weights of another model than it is for."
                )
        for key, axes in self.axes.items():
            if state[key].ndim < len(axes):
                raise ParameterError(
                    f"{key!r} has shape {list(state[key].shape)}; its permutations need {len(axes)} axes or more."
                )
            self._check_axes(key, axes)
        sizes: dict[str, int] = {}
        # First the axes of one group each, which say how large it is; then those that concatenate several.
        for several in (False, True):
            for key, axes in self.axes.items():
                for number, axis in enumerate(axes):
                    if axis and (len(axis) > 1) == several:
                        self._check_size(key, number, axis, state[key].shape[number], sizes)
        return sizes

    @staticmethod
    def _check_axes(key: str, axes: Axes) -> None:
        seen: set[str] = set()
        for axis in axes:
            if seen & set(axis):
                # The similarity would be quadratic in that permutation, which no linear assignment solves.
                raise ParameterError(
                    f"{key!r} has a group along two of its axes: {', '.join(sorted(seen & set(axis)))}."
                )
            seen |= set(axis)

    @staticmethod
    def _check_size(key: str, number: int, axis: tuple[str, ...], found: int, sizes: dict[str, int]) -> None:
        if len(axis) == 1:
            sizes.setdefault(axis[0], found)
        unknown = [group for group in axis if group not in sizes]
        if unknown:
            raise ParameterError(f"no axis has the group {unknown[0]!r} to itself, so its size is not known.")
        expected = sum(sizes[group] for group in axis)
        if found != expected:
            raise ParameterError(
                f"axis {number} of {key!r} has {found} channels; {' and '.join(axis)} together have {expected}."
            )


@dataclass(frozen=True)
class Permutations:
    """A permutation of every group's units, and how it was found.

    ``orders``: for each group, int64 [n]: the unit at position i of the permuted network is unit ``order[i]`` of the
    network that was given.
    """

    spec: PermutationSpec
    orders: Mapping[str, Tensor]
    distance_before: float | None = None
    """:func:`chairlib.landscape.states.l2_distance` of B from A. None for permutations that were not matched."""
    distance_after: float | None = None
    """The same with B permuted."""
    sweeps: int | None = None
    """Passes over all groups, the last one without progress."""
    converged: bool | None = None
    """Whether the last sweep changed nothing; False where ``max_iterations`` ended it."""


def permutation_spec(model: str | nn.Module) -> PermutationSpec:
    """The spec of ``unet`` or ``fcn_vgg16``, for a name or a module. Raises :class:`ParameterError` for any other."""
    name = model if isinstance(model, str) else next((n for n, kind in SUPPORTED.items() if type(model) is kind), None)
    if name == "unet":
        return _unet_spec()
    if name == "fcn_vgg16":
        return _vgg16_spec()
    raise ParameterError(
        f"the permutations of {name or type(model).__name__!r} are not known: use {' or '.join(SUPPORTED)}, or write a "
        "PermutationSpec of your own."
    )


def match(
    state_a: State, state_b: State, spec: str | PermutationSpec = "unet", seed: int = 0, max_iterations: int = 100
) -> Permutations:
    """The permutations that bring ``state_b`` nearest to ``state_a``, by their weights.

    Coordinate descent: with all other groups held, a group's best permutation is a linear assignment problem; groups
    are visited in random order, again and again, until none can be improved. That ends in a local optimum, so it is
    done from two starts and the better end is taken: from ``state_b`` as it is (as in the paper), and from a pass in
    forward order that matches each group on the weights towards inputs already matched. The second recovers a permuted
    copy exactly. The distance never grows.

    Parameters
    ----------
    state_a, state_b: state dicts of one model; neither is changed. Similarities are computed in float64 on the CPU.
    spec: a model's name as in :func:`permutation_spec`, or a spec.
    seed: of the order in which groups are visited.
    max_iterations: sweeps over all groups from each start, at most.

    Raises
    ------
    ParameterError: unknown model, weights of different models (naming the first key that differs) or not those that the
    spec covers, values that are not finite (naming the key), no iterations.
    """
    spec = permutation_spec(spec) if isinstance(spec, str) else spec
    check_count("max_iterations", max_iterations)
    sizes = _check(state_a, state_b, spec)
    problem = MatchingProblem(spec, sizes, state_a, state_b)
    ends = [
        problem.descend(start, np.random.default_rng([seed, number]), max_iterations)
        for number, start in enumerate((problem.identity(), problem.forward()))
    ]
    orders, sweeps, converged = max(ends, key=lambda end: problem.total(end[0]))
    return _report(Permutations(spec, orders, sweeps=sweeps, converged=converged), state_a, state_b)


def match_activations(
    model: nn.Module,
    state_a: State,
    state_b: State,
    loader: CompositeLoader,
    n_images: int = 256,
    spec: PermutationSpec | None = None,
    progress: bool = False,
) -> Permutations:
    """The permutations under which the units of ``state_b`` correlate most with those of ``state_a`` over images.

    Each group is one linear assignment problem over the correlations of its units' outputs, all positions of all images
    pooled; units that never vary correlate with none. The l2 distance is reported, and may well grow.

    Parameters
    ----------
    model: its architecture only; run in eval mode on a copy.
    loader: of the training split, as a rule; ``n_images`` of its images, evenly spread, un-augmented.
    spec: the model's own by default; one of your own must name ``outputs`` for every group.

    Raises
    ------
    ParameterError: as :func:`match`, and where a group has no output to be observed.
    """
    spec = spec or permutation_spec(model)
    sizes = _check(state_a, state_b, spec)
    missing = [group for group in sizes if not spec.outputs.get(group)]
    if missing:
        raise ParameterError(f"the permutation spec names no outputs for {missing[0]!r}: match by weights instead.")
    layers = list(dict.fromkeys(layer for group in sizes for layer in spec.outputs[group]))
    products = {layer: CrossProducts() for layer in layers}
    states = {"state_a": state_a, "state_b": state_b}
    for features in activations(model, states, loader, layers, n_images, progress=progress):
        for layer, product in products.items():
            product.add(features["state_a"][layer], features["state_b"][layer])
    orders = {}
    for group, size in sizes.items():
        similarity = sum(products[layer].correlations() for layer in spec.outputs[group])
        if not isinstance(similarity, Tensor) or similarity.shape != (size, size):
            raise ParameterError(f"{spec.outputs[group][0]!r} does not give the {size} channels of group {group!r}.")
        orders[group] = _assign(similarity)
    return _report(Permutations(spec, orders), state_a, state_b)


def permute(state: State, permutations: Permutations) -> dict[str, Tensor]:
    """A copy of ``state`` with its units permuted: the same function, other weights.

    Raises :class:`ParameterError` where the spec doesn't cover the state exactly or an order is no permutation of its
    group.
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

    def descend(
        self, orders: dict[str, Tensor], rng: np.random.Generator, max_iterations: int
    ) -> tuple[dict[str, Tensor], int, bool]:
        """Improve one group after another until none can be: the orders, the number of sweeps, whether it converged."""
        groups = self.spec.groups
        # The best permutation of a group depends on its neighbours alone: while these stay, so does it.
        stale = set(groups)
        for sweep in range(1, max_iterations + 1):
            improved = False
            for number in rng.permutation(len(groups)).tolist():
                group = groups[number]
                if group not in stale:
                    continue
                stale.discard(group)
                similarity = self.similarity(group, orders)
                order = _assign(similarity)
                if _gain(similarity, order) > _gain(similarity, orders[group]) + self.least_gain:
                    orders, improved = {**orders, group: order}, True
                    stale |= self.spec.neighbours(group)
            if not improved:
                return orders, sweep, True
        return orders, max_iterations, False

    def similarity(self, group: str, orders: Mapping[str, Tensor], known: Collection[str] | None = None) -> Tensor:
        """How alike the units of a group are, all other groups of B permuted by ``orders``: float64 [n, n].

        Entry (i, j) is the inner product of the parameters of unit i of A and of unit j of B.

        ``known``: leave out tensors that other groups than these have a part in.
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
                for start in _starts(axis, group, self.sizes):
                    blocks = [
                        tensor.narrow(number, start, self.sizes[group])
                        .movedim(number, 0)
                        .reshape(self.sizes[group], -1)
                        for tensor in (self.a[key], matched)
                    ]
                    total += blocks[0] @ blocks[1].T
        return total

    def total(self, orders: Mapping[str, Tensor]) -> float:
        """The inner product of A and the permuted B."""
        pairs = ((self.a[key], _permute_axes(self.b[key], self.spec.axes[key], orders, self.sizes)) for key in self.a)
        return float(sum((a * b).sum() for a, b in pairs))


def _check(state_a: State, state_b: State, spec: PermutationSpec) -> dict[str, int]:
    check_alike([state_a, state_b], ["state_a", "state_b"])
    return spec.sizes(state_a)


def _starts(axis: tuple[str, ...], group: str, sizes: Mapping[str, int]) -> Iterator[int]:
    """Where the blocks of ``group`` begin along an axis."""
    start = 0
    for name in axis:
        if name == group:
            yield start
        start += sizes[name]


def _permute_axes(tensor: Tensor, axes: Axes, orders: Mapping[str, Tensor], sizes: Mapping[str, int]) -> Tensor:
    for number, axis in enumerate(axes):
        if not axis:
            continue
        parts, start = [], 0
        for group in axis:
            parts.append(orders[group].to(tensor.device) + start)
            start += sizes[group]
        tensor = tensor.index_select(number, torch.cat(parts))
    return tensor


def _assign(similarity: Tensor) -> Tensor:
    """The order [n] with the largest sum of ``similarity[i, order[i]]``."""
    return torch.from_numpy(linear_sum_assignment(similarity.cpu().numpy(), maximize=True)[1])


def _gain(similarity: Tensor, order: Tensor) -> float:
    return similarity.gather(1, order[:, None]).sum().item()


def _report(permutations: Permutations, state_a: State, state_b: State) -> Permutations:
    after = l2_distance(state_a, permute(state_b, permutations))
    return replace(permutations, distance_before=l2_distance(state_a, state_b), distance_after=after)


def _layer(name: str, out: str, into: tuple[str, ...]) -> dict[str, Axes]:
    """A convolution from the channels ``into`` to those of the group ``out``."""
    return {f"{name}.weight": ((out,), into), f"{name}.bias": ((out,),)}


def _batch_norm(name: str, group: str) -> dict[str, Axes]:
    per_channel = {f"{name}.{part}": ((group,),) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**per_channel, f"{name}.num_batches_tracked": ()}


def _unet_spec() -> PermutationSpec:
    """Every convolution is a group of its own; the first of an up block reads [skip, upsampled features]."""
    axes: dict[str, Axes] = {}
    outputs: dict[str, tuple[str, ...]] = {}

    def double_convolution(block: str, into: tuple[str, ...]) -> str:
        for number in (0, 3):
            group = f"{block}.{number}"
            axes.update(_layer(group, group, into) | _batch_norm(f"{block}.{number + 1}", group))
            outputs[group] = (f"{block}.{number + 2}",)
            into = (group,)
        return group

    skips = [double_convolution("stem", ())]
    for number in range(4):
        skips.append(double_convolution(f"down.{number}", (skips[-1],)))
    features = skips.pop()
    for number in range(4):
        features = double_convolution(f"up.{number}", (skips.pop(), features))
    # One logit, which is not permuted.
    axes.update({"classifier.weight": ((), (features,)), "classifier.bias": ()})
    return PermutationSpec(axes, outputs)


def _vgg16_spec() -> PermutationSpec:
    """What a transposed convolution gives is added to a stage's output, so both are one group."""
    axes: dict[str, Axes] = {}
    outputs: dict[str, tuple[str, ...]] = {}
    stages: list[str] = []
    into: tuple[str, ...] = ()
    for stage, depth in enumerate((2, 2, 3, 3, 3)):
        for number in range(depth):
            group = f"stages.{stage}.{2 * number}"
            axes.update(_layer(group, group, into))
            outputs[group] = (f"stages.{stage}.{2 * number + 1}",)
            into = (group,)
        stages.append(group)
    features = stages.pop()
    for number in range(5):
        group = stages.pop() if stages else f"up.{number}"
        # Transposed convolutions keep their inputs on the first axis.
        axes.update({f"up.{number}.weight": ((features,), (group,)), f"up.{number}.bias": ((group,),)})
        axes.update(_batch_norm(f"norms.{number}", group))
        outputs[group] = (*outputs.get(group, ()), f"norms.{number}")
        features = group
    axes.update({"classifier.weight": ((), (features,)), "classifier.bias": ()})
    return PermutationSpec(axes, outputs)
