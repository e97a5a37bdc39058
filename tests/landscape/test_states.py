"""What is trained in a state, whether two belong together, and how far apart they are."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import chairlib
from chairlib.benchmark.models import build_model
from chairlib.core.errors import ParameterError
from chairlib.landscape.states import check_alike, check_fits, l2_distance, squared_norms, tied, trainable
from weights import Masked, Tied

SEEDS = st.integers(0, 10_000)
QUICK = settings(max_examples=15, deadline=None)


def make_state(seed, size=6):
    """A layer and BatchNorm, whose statistics are far larger than the weights."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "0.weight": torch.randn(size, 3, generator=generator),
        "1.weight": torch.randn(size, generator=generator),
        "1.running_mean": 1e4 * torch.randn(size, generator=generator),
        "1.running_var": 1e4 * torch.rand(size, generator=generator),
        "1.num_batches_tracked": torch.tensor(seed),
    }


def flat(state):
    return torch.cat([state[key].double().flatten() for key in ("0.weight", "1.weight")])


def scaled(state, factor):
    return {key: tensor * factor if tensor.is_floating_point() else tensor for key, tensor in state.items()}


def test_the_library_gives_this_distance():
    assert chairlib.l2_distance is l2_distance


def test_what_is_trained_is_what_an_optimiser_gets():
    model = build_model("unet", 2)
    assert set(trainable(model.state_dict())) == {name for name, _ in model.named_parameters()}
    assert trainable({"running_mean.weight": torch.ones(1)})


def test_squares_are_those_of_each_entry():
    a, b = make_state(0), make_state(1)
    assert squared_norms(a) == pytest.approx({key: a[key].square().sum().item() for key in ("0.weight", "1.weight")})
    assert sum(squared_norms(a, b).values()) == pytest.approx(l2_distance(a, b) ** 2)


@QUICK
@given(SEEDS, SEEDS, SEEDS, st.floats(0.01, 100))
def test_l2_is_a_distance(first, second, third, factor):
    a, b, c = (make_state(seed) for seed in (first, second, third))
    assert l2_distance(a, b) == l2_distance(b, a) == pytest.approx((flat(a) - flat(b)).norm().item())
    assert l2_distance(a, a) == 0
    assert l2_distance(a, c) <= l2_distance(a, b) + l2_distance(b, c) + 1e-9
    assert l2_distance(scaled(a, factor), scaled(b, factor)) == pytest.approx(factor * l2_distance(a, b), rel=1e-5)


def test_l2_leaves_statistics_out_but_counts_batch_norms_weights():
    a, b = make_state(0), make_state(0)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        b[f"1.{name}"] = a[f"1.{name}"] + 5
    assert l2_distance(a, b) == 0
    b["1.weight"] = a["1.weight"] + 5
    assert l2_distance(a, b) == pytest.approx(5 * math.sqrt(6), rel=1e-6)


def test_l2_is_summed_in_double_precision():
    """Ten million differences of 1e-3 after one of 1e4: float32 would lose every one of them."""
    a = {"weight": torch.zeros(1_000_001)}
    b = {"weight": torch.full((1_000_001,), 1e-3)}
    b["weight"][0] = 1e4
    assert l2_distance(a, b) ** 2 - 1e8 == pytest.approx(1.0, rel=1e-3)


def test_states_are_named_as_the_caller_knows_them():
    a, b = make_state(0), make_state(1)
    check_alike([a, b], ["mine", "yours"])
    with pytest.raises(ParameterError, match=r"yours has no entry '1\.weight', which mine has"):
        check_alike([a, {key: tensor for key, tensor in b.items() if key != "1.weight"}], ["mine", "yours"])
    with pytest.raises(ParameterError, match=r"'1\.weight' of state 2 holds NaN or infinity"):
        check_alike([a, {**b, "1.weight": torch.full((6,), math.nan)}])


def test_states_of_two_devices_are_compared_with_a_model_but_not_with_each_other():
    model = build_model("unet", 2)
    there = build_model("unet", 2).to("meta")
    check_fits(model.state_dict(), there, "a")
    a, b = make_state(0), make_state(1)
    with pytest.raises(ParameterError, match=r"'0\.weight' is on cpu in mine and on meta in yours: move one of them"):
        check_alike([a, Elsewhere(b)], ["mine", "yours"])


class Elsewhere(dict):
    """A state whose tensors say that they lie on another device."""

    def __getitem__(self, key):
        return super().__getitem__(key).to("meta")


def rounds(make):
    """A model of this kind twice, each trained a little so that all its weights differ."""
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = make()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        yield model


def with_weight_norm():
    return torch.nn.utils.weight_norm(torch.nn.Conv2d(3, 1, 1))


@pytest.mark.parametrize("make", [Tied, Masked, with_weight_norm, lambda: build_model("unet", 2)])
@pytest.mark.parametrize("keep_vars", [False, True])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_distances_are_those_of_what_an_optimiser_gets(make, keep_vars):
    """One parameter under two names, the vectors of spectral norm, and a mask of infinities among the entries."""
    models = list(rounds(make))
    a, b = (model.state_dict(keep_vars=keep_vars) for model in models)
    pairs = zip(*(model.parameters() for model in models), strict=True)
    assert l2_distance(a, b) == pytest.approx(math.sqrt(sum((x - y).double().square().sum().item() for x, y in pairs)))
    assert set(trainable(a, b)) == {name for name, _ in models[0].named_parameters()}


@pytest.mark.parametrize("key", ["buffer", "norm.buffer"])
def test_a_state_that_tells_parameters_from_buffers_is_believed(key):
    model = torch.nn.Module()
    model.norm = torch.nn.Module()
    model.get_submodule(key.rpartition(".")[0]).register_buffer("buffer", torch.tensor([1.0, math.nan]))
    model.buffer_of_none = torch.nn.Parameter(torch.ones(2))
    plain, told = model.state_dict(), model.state_dict(keep_vars=True)
    assert set(trainable(told)) == set(trainable(plain, told)) == {"buffer_of_none"}
    assert l2_distance(told, plain) == 0
    check_fits(plain, model, "it")
    with pytest.raises(ParameterError, match=f"'{key}' of state 1 holds NaN"):
        l2_distance(plain, plain)


def test_two_entries_are_one_parameter_only_where_a_state_shares_it_and_all_agree():
    weight, other = torch.randn(3), torch.randn(3)
    shared, copied = {"a": weight, "b": weight}, {"a": other, "b": other.clone()}
    assert tied([shared]) == tied([shared, copied]) == tied([copied, shared]) == {"b": "a"}
    assert tied([copied]) == {}  # two layers may start as copies
    assert tied([shared, {"a": other, "b": weight}]) == {}
    assert tied([{"b": weight, "a": weight}, shared]) == {"a": "b"}
    assert tied([{"a": weight, "b": weight, "c": weight}]) == {"b": "a", "c": "a"}
    assert tied([{"a": torch.ones(0), "b": torch.ones(0)}, {"a": weight, "b": weight[:2]}]) == {}


def test_infinities_belong_where_they_are_in_all_states():
    a, b = (model.state_dict() for model in rounds(Masked))
    b["mask"] = b["mask"].T.contiguous()
    with pytest.raises(ParameterError, match="'mask' is infinite in other places in state 1 than in state 2"):
        l2_distance(a, b)
    with pytest.raises(ParameterError, match="'mask' of state 2 holds NaN"):
        l2_distance(a, {**b, "mask": torch.full((32, 32), math.nan)})
