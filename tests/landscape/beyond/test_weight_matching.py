"""Permuting units changes weights, not the function; matching undoes a permutation and never moves networks apart."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chairlib.benchmark.models import build_model
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError
from chairlib.landscape.beyond.weight_matching import (
    SUPPORTED,
    MatchingProblem,
    Permutations,
    PermutationSpec,
    match,
    match_activations,
    permutation_spec,
    permute,
)

NAMES = sorted(SUPPORTED)


def network(name="unet", width=4, seed=0):
    """In evaluation mode, with every parameter and statistic random, so that a wrong permutation of any one shows."""
    torch.manual_seed(seed)
    model = build_model(name, width).eval()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if "running_var" in key:
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(0.2 * torch.randn_like(tensor))
    return model


def random_permutations(name, state, seed=0):
    spec, rng = permutation_spec(name), torch.Generator().manual_seed(seed)
    return Permutations(spec, {group: torch.randperm(n, generator=rng) for group, n in spec.sizes(state).items()})


def distance(a, b):
    """Over parameters, independently of the module."""
    keys = [key for key in a if "running" not in key and "num_batches" not in key]
    return torch.cat([(a[key].double() - b[key].double()).flatten() for key in keys]).norm().item()


@pytest.fixture(scope="module")
def loader(collection):
    return CompositeLoader(collection, "train", 32, batch_size=16, device="cpu", flip=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(32, 32), (45, 61)])
def test_a_permuted_network_computes_the_same_function(name, size):
    model, other = network(name), build_model(name, 4).eval()
    state = model.state_dict()
    permuted = permute(state, random_permutations(name, state))
    other.load_state_dict(permuted)
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        ours, theirs = model(images), other(images)
    assert ours.std() > 1e-3  # a constant would be preserved by anything
    torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-5)
    moved = [key for key in state if not torch.equal(state[key], permuted[key])]
    assert moved == [k for k in state if "num_batches" not in k and k != "classifier.bias"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [1, 2, 5, 8])
def test_matching_recovers_a_permutation_exactly(name, width):
    state = network(name, width).state_dict()
    for seed in range(3):
        permuted = permute(state, random_permutations(name, state, seed))
        found = match(state, permuted, name, seed=seed)
        assert found.distance_before == pytest.approx(distance(state, permuted))
        assert found.distance_after == 0
        restored = permute(permuted, found)
        assert [key for key in state if not torch.equal(state[key], restored[key])] == []
        if width >= 5:
            assert found.distance_before > 1


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(NAMES), st.integers(1, 4), st.integers(0, 10**6))
def test_matching_never_increases_the_distance(name, width, seed):
    a, b = (network(name, width, s).state_dict() for s in (seed, seed + 1))
    found = match(a, b, name, seed)
    assert found.distance_after == pytest.approx(distance(a, permute(b, found)))
    assert found.distance_after <= found.distance_before * (1 + 1e-12)


def test_matching_ends_where_no_swap_of_two_units_helps():
    a, b = (network(width=2, seed=seed).state_dict() for seed in (0, 1))
    found = match(a, b)
    assert found.distance_after < found.distance_before
    for group, order in found.orders.items():
        for i in range(len(order)):
            for j in range(i):
                swapped = order.clone()
                swapped[[i, j]] = order[[j, i]]
                other = Permutations(found.spec, {**found.orders, group: swapped})
                assert distance(a, permute(b, other)) >= found.distance_after - 1e-9


def test_the_better_end_of_two_starts_is_taken():
    better = set()
    for seed in range(3):
        a, b = (network(width=2, seed=s).state_dict() for s in (seed, seed + 1))
        spec = permutation_spec("unet")
        problem = MatchingProblem(spec, spec.sizes(a), a, b)
        ends = [
            problem.descend(start, np.random.default_rng([0, number]))
            for number, start in enumerate((problem.identity(), problem.forward()))
        ]
        distances = [distance(a, permute(b, Permutations(spec, orders))) for orders in ends]
        better.add(distances.index(min(distances)))
        assert match(a, b).distance_after == pytest.approx(min(distances), abs=1e-9)
    assert better == {0, 1}


def test_the_same_seed_gives_the_same_permutations_and_nothing_given_is_changed():
    a, b = (network(seed=seed).state_dict() for seed in (0, 1))
    before = [{key: tensor.clone() for key, tensor in state.items()} for state in (a, b)]
    first, second = match(a, b, seed=3), match(a, b, seed=3)
    assert all(torch.equal(first.orders[group], second.orders[group]) for group in first.orders)
    permuted = permute(b, first)
    for tensor in permuted.values():
        tensor.zero_()
    for state, kept in zip((a, b), before, strict=True):
        assert all(torch.equal(state[key], kept[key]) for key in state)


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_covers_every_tensor_and_no_other(name):
    spec, state = permutation_spec(name), network(name).state_dict()
    assert list(spec.axes.keys() ^ state.keys()) == []
    sizes = spec.sizes(state)
    assert list(sizes) == spec.groups
    for key, tensor in state.items():
        for number, channels in enumerate(tensor.shape[:2]):
            axis = spec.axes[key][number] if number < len(spec.axes[key]) else ()
            fixed = "image or logit" if not axis else None
            assert fixed == ("image or logit" if is_image_or_logit(key, number) else None), key
            assert not axis or sum(sizes[group] for group in axis) == channels
    with pytest.raises(ParameterError, match="gate"):
        spec.sizes({**state, "gate.weight": torch.zeros(4)})
    without = dict(list(state.items())[1:])
    with pytest.raises(ParameterError, match=next(iter(state))):
        spec.sizes(without)


def is_image_or_logit(key, axis):
    return (key in ("stem.0.weight", "stages.0.0.weight") and axis == 1) or (key.startswith("classifier") and axis == 0)


def test_unets_up_blocks_read_the_skip_and_the_upsampled_features_side_by_side():
    axes = permutation_spec("unet").axes
    read = [axes[f"up.{number}.0.weight"][1] for number in range(4)]
    assert read == [("down.2.3", "down.3.3"), ("down.1.3", "up.0.3"), ("down.0.3", "up.1.3"), ("stem.3", "up.2.3")]


def test_vgg16s_additive_skips_tie_groups():
    spec = permutation_spec("fcn_vgg16")
    assert spec.axes["up.0.weight"] == (("stages.4.4",), ("stages.3.4",))
    assert spec.axes["norms.3.running_var"] == (("stages.0.2",),)
    assert len(spec.groups) == 13 + 1


def test_a_model_without_a_spec_is_refused_by_name():
    with pytest.raises(ParameterError, match=r"'fcn_resnet50'.*unet or fcn_vgg16"):
        match({}, {}, "fcn_resnet50")
    with pytest.raises(ParameterError, match="Linear"):
        permutation_spec(torch.nn.Linear(1, 1))
    assert permutation_spec(network("fcn_vgg16")) == permutation_spec("fcn_vgg16")


def test_weights_of_different_models_are_refused_naming_what_differs():
    a = network(width=4).state_dict()
    with pytest.raises(ParameterError, match=r"'stem.0.weight' has shape \[4, 3, 3, 3\] in state_a and \[2, 3, 3, 3\]"):
        match(a, network(width=2).state_dict())
    with pytest.raises(ParameterError, match=r"'stem\.0\.weight'"):
        match(a, network("fcn_vgg16").state_dict())
    with pytest.raises(ParameterError, match="'extra'"):
        match(a, {**a, "extra": torch.zeros(1)})
    with pytest.raises(ParameterError, match=r"'stages\.0\.0\.weight'"):
        match(a, a, "fcn_vgg16")


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_naming_the_key(which, value):
    states = [network(seed=seed).state_dict() for seed in (0, 1)]
    states[which]["up.2.4.bias"][1] = value
    with pytest.raises(ParameterError, match=f"'up.2.4.bias' of state_{'ab'[which]}"):
        match(*states)


def test_an_order_that_is_no_permutation_is_refused():
    state = network().state_dict()
    good = random_permutations("unet", state)
    for bad in ({"stem.3": torch.zeros(4, dtype=torch.int64)}, {"stem.3": torch.arange(5)}):
        with pytest.raises(ParameterError, match=r"stem\.3"):
            permute(state, Permutations(good.spec, {**good.orders, **bad}))
    with pytest.raises(ParameterError, match=r"stem\.0"):
        permute(state, Permutations(good.spec, {}))


def test_a_spec_of_ones_own():
    spec = PermutationSpec(
        {"0.weight": (("hidden",),), "0.bias": (("hidden",),), "2.weight": ((), ("hidden",)), "2.bias": ()}
    )
    state = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1)).state_dict()
    other = permute(state, Permutations(spec, {"hidden": torch.tensor([3, 1, 5, 0, 2, 4])}))
    assert torch.equal(other["0.weight"][0], state["0.weight"][3])
    assert match(state, other, spec).distance_after == 0
    with pytest.raises(ParameterError, match="axis 0 of 'v' has 3"):
        PermutationSpec({"w": (("g",),), "v": (("g",),)}).sizes({"w": torch.zeros(2), "v": torch.zeros(3)})


@pytest.mark.parametrize("name", NAMES)
def test_matching_activations_recovers_a_permutation(name, loader):
    model = network(name, 8)
    # Small weights and large biases keep every unit off its ReLU's zero: a dead one could be any other.
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith("bias") and tensor.shape != (1,):
                tensor.add_(1.0)
            elif tensor.ndim == 4:
                tensor.mul_(0.5)
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    permuted = permute(state, random_permutations(name, state))
    found = match_activations(model, state, permuted, loader, n_images=32)
    restored = permute(permuted, found)
    assert [key for key in state if not torch.equal(state[key], restored[key])] == []
    assert found.distance_before > 1
    assert found.distance_after == 0


def test_matching_activations_survives_dead_units(loader):
    model = network(width=4)
    a, b = network(seed=1).state_dict(), network(seed=2).state_dict()
    for state in (a, b):
        state["stem.1.weight"].zero_()
        state["stem.1.bias"].fill_(-1)
    found = match_activations(model, a, b, loader, n_images=4)
    assert sorted(found.orders["stem.0"].tolist()) == [0, 1, 2, 3]
    assert found.distance_after == pytest.approx(distance(a, permute(b, found)))
