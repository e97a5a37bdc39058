"""CKA equals its kernel formula, has the invariances it is used for, and does not depend on the batch size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from chairlib.benchmark.models import build_model
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError
from chairlib.landscape.beyond.similarity import layer_similarity, linear_cka
from chairlib.landscape.beyond.weight_matching import Permutations, permutation_spec, permute
from chairlib.transfer.photos import open_photos
from chairlib.transfer.run import initial_model
from weights import member_of, state_of

SHAPES = st.tuples(st.integers(2, 12), st.integers(1, 15), st.integers(1, 15))
SEEDS = st.integers(0, 10**6)


def features(seed, n, *widths):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 2))
    return [rng.normal(size=(n, width)) + common @ rng.normal(size=(2, width)) for width in widths]


def hsic(k, m):
    """Gretton et al. 2005, with the centring matrix written out; Kornblith et al., section 3."""
    n = len(k)
    h = np.eye(n) - np.ones((n, n)) / n
    return np.trace(k @ h @ m @ h) / (n - 1) ** 2


def kernel_cka(x, y):
    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def make_loader(collection, **options):
    return CompositeLoader(collection, "test", 32, device="cpu", **{"batch_size": 8, **options})


def new_state(name="unet", seed=0, width=3):
    torch.manual_seed(seed)
    return build_model(name, width).state_dict()


@pytest.fixture(scope="module")
def model():
    return build_model("unet", 3)


@settings(max_examples=60, deadline=None)
@given(SEEDS, SHAPES)
def test_it_equals_the_kernel_formula_and_lies_between_0_and_1(seed, shape):
    x, y = features(seed, *shape)
    found = linear_cka(x, y)
    assert found == pytest.approx(kernel_cka(x, y), abs=1e-10)
    assert 0 <= found <= 1
    assert linear_cka(torch.from_numpy(y), torch.from_numpy(x)) == pytest.approx(found, abs=1e-10)
    assert linear_cka(x, x) == pytest.approx(1, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS, SHAPES, st.floats(1e-100, 1e100), st.floats(-100, 100))
def test_rotations_scale_and_shifts_change_nothing(seed, shape, scale, shift):
    x, y = features(seed, *shape)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(x.shape[1], x.shape[1])))
    assert linear_cka(scale * (x @ rotation + shift), y) == pytest.approx(linear_cka(x, y), abs=1e-8)


def test_it_is_not_invariant_to_other_linear_maps():
    x = features(0, 50, 4)[0]
    assert linear_cka(x * [100, 1, 1, 1], x) < 0.9


def test_independent_features_are_near_0_and_orthogonal_ones_at_0():
    rng = np.random.default_rng(0)
    assert linear_cka(rng.normal(size=(5000, 3)), rng.normal(size=(5000, 3))) < 0.01
    pattern = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert linear_cka(pattern[:, :1], pattern[:, 1:]) == pytest.approx(0, abs=1e-15)


def test_a_constant_has_no_similarity():
    x = features(0, 10, 3)[0]
    assert np.isnan(linear_cka(x, np.full((10, 4), 0.1)))
    assert np.isnan(linear_cka(np.zeros((10, 2)), x))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((3, 2)), np.ones((4, 2)), "x has 3 examples and y has 4"),
        (np.ones(3), np.ones((3, 2)), r"x has shape \[3\]"),
        (np.ones((3, 2)), np.ones((3, 0)), r"y has shape \[3, 0\]"),
        (np.ones((1, 2)), np.ones((1, 2)), "two examples"),
        (np.ones((3, 2)), np.full((3, 2), np.nan), "y holds NaN"),
    ],
)
def test_other_features_are_refused(x, y, message):
    with pytest.raises(ParameterError, match=message):
        linear_cka(x, y)


@pytest.mark.parametrize("grid", [None, 4])
def test_layers_are_compared_position_by_position(grid, model, collection):
    states = [new_state(seed=seed) for seed in (0, 1)]
    loader = make_loader(collection)
    found = layer_similarity(model, *states, loader, ["stem", "down.3"], grid=grid)
    assert list(found.columns) == ["layer", "cka"]
    assert list(found["layer"]) == ["stem", "down.3"]
    outputs = [outputs_of(state, loader, grid) for state in states]
    for layer, cka in zip(found["layer"], found["cka"], strict=True):
        assert cka == pytest.approx(linear_cka(outputs[0][layer], outputs[1][layer]), abs=1e-6)
        assert 0 < cka < 0.999


def outputs_of(state, loader, grid):
    """By hand: no hooks, no streaming."""
    network = build_model("unet", 3).eval()
    network.load_state_dict(state)
    images = torch.cat([images for images, _ in loader.in_order()])
    with torch.no_grad():
        found = {"stem": network.stem(images)}
        below = found["stem"]
        for block in network.down:
            below = block(nn.functional.max_pool2d(below, 2))
        found["down.3"] = below
    if grid:
        found = {layer: nn.functional.adaptive_avg_pool2d(output, grid) for layer, output in found.items()}
    return {layer: output.movedim(1, -1).flatten(0, 2) for layer, output in found.items()}


@pytest.mark.parametrize("name", ["unet", "fcn_vgg16"])
def test_a_permuted_network_is_the_same_in_every_layer(name, collection):
    model, state = build_model(name, 3), new_state(name)
    spec, rng = permutation_spec(name), torch.Generator().manual_seed(0)
    orders = {group: torch.randperm(n, generator=rng) for group, n in spec.sizes(state).items()}
    permuted = permute(state, Permutations(spec, orders))
    found = layer_similarity(model, state, permuted, make_loader(collection), n_images=4)
    assert found["cka"].dropna().to_numpy() == pytest.approx(1, abs=1e-6)
    assert found["cka"].notna().sum() >= 8


def test_nothing_depends_on_the_batch_size_or_on_shuffling_and_flips(model, collection):
    a, b = (new_state(seed=seed) for seed in (0, 1))
    plain = layer_similarity(model, a, b, make_loader(collection))
    other = layer_similarity(model, a, b, make_loader(collection, batch_size=3, shuffle=True, flip=True))
    np.testing.assert_allclose(other["cka"], plain["cka"], atol=1e-6)


def test_a_dead_layer_has_no_similarity(model, collection):
    a, b = (new_state(seed=seed) for seed in (0, 1))
    b["up.1.4.weight"].zero_()
    b["up.1.4.bias"].fill_(0.3)
    loader = make_loader(collection)
    found = layer_similarity(model, a, b, loader).set_index("layer")["cka"]
    assert list(found.index[found.isna()]) == ["up.1"]


def test_the_model_is_left_as_it_was_even_when_it_fails(model, collection):
    state = new_state()
    model.train()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    layer_similarity(model, state, state, make_loader(collection), ["stem"])
    with pytest.raises(ParameterError, match="no layer 'steam'"):
        layer_similarity(model, state, state, make_loader(collection), ["steam"])
    with pytest.raises(ParameterError, match="state_b has no floating-point weights"):
        layer_similarity(model, state, {}, make_loader(collection))
    assert model.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_similarities_are_those_of_the_scored_photos(full):
    settings = member_of(full, "F1").settings
    scored = open_photos(settings, torch.device("cpu")).scored
    expected = layer_similarity(
        initial_model(settings), state_of(full, "F1"), state_of(full, "F2"), CompositeLoader(scored, "test")
    )
    found = full.table("similarities").query("kind == 'ft_ft'")
    assert found["layer"].tolist() == expected["layer"].tolist()
    assert found["cka"].to_numpy() == pytest.approx(expected["cka"].to_numpy(), nan_ok=True)
