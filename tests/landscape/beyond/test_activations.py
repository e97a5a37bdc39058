"""Layers are watched on copies, over un-augmented images in order; sums over batches equal sums over all examples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from chairlib.benchmark.models import build_model
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.landscape.beyond.activations import CrossProducts, activations, default_layers


def make_loader(collection, **options):
    return CompositeLoader(collection, "test", 32, device="cpu", **{"batch_size": 3, **options})


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("unet", 2)


def watch(model, loader, layers=None, **options):
    """All batches of one state, side by side."""
    batches = [f["own"] for f in activations(model, {"own": model.state_dict()}, loader, layers, **options)]
    return {layer: torch.cat([batch[layer] for batch in batches]) for layer in batches[0]}


class Shared(nn.Module):
    """Has a layer that runs twice, one that never does, one whose output is no tensor, and an in-place ReLU."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 2, 1)
        self.twice = nn.Conv2d(2, 2, 1)
        self.never = nn.Conv2d(2, 2, 1)
        self.pair = Pair()
        self.infinite = Infinite()

    def forward(self, images):
        features = torch.relu_(self.first(images))
        features = self.twice(self.twice(features))
        return self.infinite(self.pair(features)[0])


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Infinite(nn.Module):
    def forward(self, x):
        return x / 0


def test_unets_layers_are_its_blocks_in_forward_order(model, collection):
    expected = ["stem", *(f"down.{i}" for i in range(4)), *(f"up.{i}" for i in range(4)), "classifier"]
    assert default_layers(model, torch.zeros(1, 3, 32, 32)) == expected
    features = watch(model, make_loader(collection), n_images=2)
    assert list(features) == expected
    assert features["stem"].shape == (2 * 32 * 32, 2)
    assert features["down.3"].shape == (2 * 2 * 2, 16)
    assert features["classifier"].dtype == torch.float64


def test_another_models_layers_are_its_convolutions(collection):
    vgg = build_model("fcn_vgg16", 2)
    features = watch(vgg, make_loader(collection), n_images=1, grid=2)
    assert len(features) == 13 + 5 + 1
    assert list(features)[:3] == ["stages.0.0", "stages.0.2", "stages.1.0"]
    assert list(features)[-2:] == ["up.4", "classifier"]
    assert {len(matrix) for matrix in features.values()} == {4}
    assert features["stages.0.0"].min() < 0  # before the ReLU that overwrites it


def test_only_layers_that_run_once_a_pass_are_compared_by_default(collection):
    model = Shared().train()
    model.infinite = nn.Identity()
    model.pair = Pair()
    assert default_layers(model, torch.zeros(1, 3, 32, 32)) == ["first"]
    assert list(watch(model, make_loader(collection))) == ["first"]
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    model.first = nn.Identity()
    model.twice = nn.Conv2d(3, 3, 1)
    assert default_layers(model, torch.zeros(1, 3, 32, 32)) == []
    with pytest.raises(ParameterError, match="name the layers of Shared to compare; the default is its convolutions"):
        watch(model, make_loader(collection))


def test_examples_are_positions_of_the_loaders_images_in_order(model, collection):
    loader = make_loader(collection, flip=True, shuffle=True)
    images = torch.cat([images for images, _ in loader.in_order()])
    with torch.no_grad():
        output = model.eval().stem(images)
    expected, pooled = (
        features.movedim(1, -1).reshape(-1, 2).double()
        for features in (output, nn.functional.adaptive_avg_pool2d(output, 4))
    )
    few = expected.reshape(8, -1)[[0, 4]].reshape(-1, 2)
    assert (few[-1024:] - expected[1024:2048]).abs().max() > 1e-3  # images differ, so that their order shows
    close = {"rtol": 0, "atol": 1e-6}
    torch.testing.assert_close(watch(model, loader, ["stem"])["stem"], expected, **close)
    torch.testing.assert_close(watch(model, loader, ["stem"], grid=4)["stem"], pooled, **close)
    torch.testing.assert_close(watch(model, loader, ["stem"], n_images=2)["stem"], few, **close)


def test_the_state_given_is_the_state_that_runs_and_the_model_is_untouched(collection):
    torch.manual_seed(1)
    model, other = build_model("unet", 2).train(), build_model("unet", 2)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    loader = make_loader(collection)
    states = {"own": before, "other": other.state_dict()}
    features = next(activations(model, states, loader, ["stem"]))
    assert not torch.equal(features["own"]["stem"], features["other"]["stem"])
    torch.testing.assert_close(features["other"]["stem"], watch(other, loader, ["stem"])["stem"][: 3 * 32 * 32])
    assert model.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["twice"], "'twice' runs twice"),
        (["never"], "'never' did not run"),
        (["pair"], "'pair' gives tuple"),
        (["frist"], "no layer 'frist'.*first"),
        ([], "name the layers of Shared to compare"),
    ],
)
def test_layers_that_cannot_be_compared_are_named_and_nothing_is_left_behind(layers, message, collection):
    model = Shared().train()
    with pytest.raises(ParameterError, match=message):
        watch(model, make_loader(collection), layers)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_infinite_activations_are_refused(collection):
    with pytest.raises(ChairlibError, match="'infinite' gives NaN or infinite"):
        watch(Shared(), make_loader(collection), ["infinite"])


def test_layers_come_in_the_order_asked_for(model, collection):
    asked = ["classifier", "stem", "up.1.3"]
    assert list(watch(model, make_loader(collection), [*asked, "stem"], n_images=1)) == asked


@pytest.mark.parametrize("wrong", [0, 2.5])
@pytest.mark.parametrize("option", ["n_images", "grid"])
def test_impossible_counts_are_refused(option, wrong, model, collection):
    with pytest.raises(ParameterError, match=f"{option} {wrong} must be a whole number of at least 1, or None"):
        watch(model, make_loader(collection), **{option: wrong})


def test_states_that_do_not_fit_are_refused(model, collection):
    state = model.state_dict()
    wider = build_model("unet", 3).state_dict()
    with pytest.raises(
        ParameterError, match=r"'stem.0.weight' has shape \[2, 3, 3, 3\] in the model and \[3, 3, 3, 3\] in own"
    ):
        next(activations(model, {"own": wider}, make_loader(collection)))
    with pytest.raises(ParameterError, match="own has no floating-point weights"):
        next(activations(model, {"own": {}}, make_loader(collection)))
    broken = {**state, "up.0.0.bias": torch.full_like(state["up.0.0.bias"], float("nan"))}
    with pytest.raises(ParameterError, match=r"'up\.0\.0\.bias' of own holds NaN"):
        next(activations(model, {"own": broken}, make_loader(collection)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 9), st.sampled_from([0.0, 1.0, 1e6]))
def test_products_by_batches_are_those_of_all_examples(seed, n, batch, offset):
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(n, width, generator=rng, dtype=torch.float64) + offset for width in (3, 2))
    x[:, 1] = offset  # a dead unit
    sums = CrossProducts()
    for part_x, part_y in zip(x.split(batch), y.split(batch), strict=True):
        sums.add(part_x, part_y)
    tolerance = {"rtol": 1e-6, "atol": 1e-8}
    a, b = x - x.mean(0), y - y.mean(0)
    assert sums.count == n
    torch.testing.assert_close(sums.centred(), a.T @ b, **tolerance)
    torch.testing.assert_close(sums.spreads()[1], b.square().sum(0), **tolerance)
    assert sums.spreads()[0][1] == 0
    expected = torch.corrcoef(torch.cat([x, y], dim=1).T)[:3, 3:].nan_to_num(0)
    expected[1] = 0
    torch.testing.assert_close(sums.correlations(), expected, **tolerance)
