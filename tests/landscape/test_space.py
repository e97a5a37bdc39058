"""Distances by block, lines, averages and rewound blocks: the rules of each, and states that do not go together."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from chairlib.benchmark.models import MODELS, build_model, count_parameters
from chairlib.core.errors import ParameterError
from chairlib.landscape.space import average, block_of, blocks, distances, interpolate, rewind
from chairlib.landscape.states import l2_distance
from weights import Masked, Tied, flat, make_state, same, scaled

SEEDS = st.integers(0, 10_000)
QUICK = settings(max_examples=15, deadline=None)
ALPHAS = st.floats(-1, 2, allow_subnormal=False)


def test_distances_by_block(states):
    table = distances(states[0], states[1])
    expected = ["stem", *(f"down.{i}" for i in range(4)), *(f"up.{i}" for i in range(4)), "classifier"]
    assert list(table.index) == ["total", *expected]
    assert expected == blocks(states[0])
    assert table.loc["total", "l2"] == pytest.approx(l2_distance(states[0], states[1]))
    assert (table["l2"].iloc[1:] ** 2).sum() == pytest.approx(table.loc["total", "l2"] ** 2)
    assert table["n_parameters"].iloc[1:].sum() == table.loc["total", "n_parameters"]
    assert table.loc["total", "n_parameters"] == sum(p.numel() for p in build_model("unet", 2).parameters())
    assert table.loc["total", "norm_a"] == pytest.approx(flat(states[0]).norm().item())


@QUICK
@given(SEEDS, SEEDS, st.floats(0.01, 100))
def test_relative_distances_have_a_range_and_no_unit(first, second, factor):
    a, b = make_state(first), make_state(second)
    table = distances(a, b)
    assert table["relative"].between(0, 2).all()
    np.testing.assert_allclose(
        distances(scaled(a, factor), scaled(b, factor))["relative"], table["relative"], rtol=1e-5
    )
    np.testing.assert_allclose(distances(a, scaled(a, -1))["relative"], 2)
    assert (distances(a, a)["relative"] == 0).all()
    assert (distances(scaled(a, 0), scaled(a, 0))["relative"] == 0).all()


@pytest.mark.parametrize(
    ("key", "block"),
    [
        ("stem.0.weight", "stem"),
        ("down.3.1.running_mean", "down.3"),
        ("classifier.bias", "classifier"),
        ("backbone.layer1.0.downsample.0.weight", "backbone.layer1.0"),
        ("backbone.conv1.weight", "backbone"),
        ("classifier.4.weight", "classifier"),
        ("stages.2.0.weight", "stages.2"),
        ("0.weight", "0"),
        ("1.0.weight", "1"),
        ("weight", "weight"),
    ],
)
def test_blocks_from_names(key, block):
    assert block_of(key) == block


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_several_blocks(name):
    with torch.device("meta"):
        state = build_model(name).state_dict()
    assert 4 <= len(blocks(state)) <= 50


def broken(state, key, tensor):
    return {**state, key: tensor}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {k: t for k, t in s.items() if k != "classifier.bias"}, "state 2 has no entry 'classifier.bias'"),
        (lambda s: broken(s, "extra.weight", torch.ones(1)), "state 1 has no entry 'extra.weight'"),
        (lambda s: broken(s, "classifier.bias", torch.ones(2)), r"'classifier.bias' has shape \[1\] .*and \[2\]"),
        (lambda s: broken(s, "classifier.bias", torch.ones(1).double()), "'classifier.bias' has dtype .*float64"),
        (lambda s: broken(s, "classifier.bias", torch.tensor([math.nan])), "'classifier.bias' of state 2 holds NaN"),
        (lambda s: broken(s, "down.0.1.running_mean", torch.full((6,), math.inf)), "'down.0.1.running_mean'.*infinity"),
        (lambda s: broken(s, "classifier.bias", None), "'classifier.bias' of state 2 .* NoneType"),
        (lambda s: {}, "state 2 has no floating-point weights"),
        (lambda s: nn.Linear(1, 1), "state 2 must be a state_dict .* Linear"),
    ],
)
def test_states_that_do_not_go_together(change, message):
    state = make_state(0)
    for function in (l2_distance, distances, lambda a, b: interpolate(a, b, 0), lambda a, b: average([a, b])):
        with pytest.raises(ParameterError, match=message):
            function(state, change(state))
    with pytest.raises(ParameterError, match=message):
        rewind(state, change(state), "classifier")


@QUICK
@given(SEEDS, SEEDS, ALPHAS)
def test_interpolation_is_linear(first, second, alpha):
    a, b = make_state(first), make_state(second)
    before = copy.deepcopy((a, b))
    between = interpolate(a, b, alpha)
    for key in a:
        assert between[key].dtype == a[key].dtype
        if key.endswith("num_batches_tracked"):
            assert between[key] == (b if alpha == 0 else a)[key]
            continue
        expected = alpha * a[key].double() + (1 - alpha) * b[key].double()
        if key.endswith("running_var") and not 0 <= alpha <= 1:
            expected = expected.clamp(min=0)
        torch.testing.assert_close(between[key].double(), expected, rtol=1e-6, atol=1e-6)
    assert same(a, before[0])
    assert same(b, before[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_ends_are_the_states_bit_for_bit(dtype):
    a, b = make_state(1, torch.float32), make_state(2, torch.float32)
    a, b = ({k: t.to(dtype) if t.is_floating_point() and "run" not in k else t for k, t in s.items()} for s in (a, b))
    b["classifier.bias"] = torch.tensor([-0.0]).to(dtype)  # which 0 * a + 1 * b would turn into +0
    a["classifier.weight"] = torch.full((1, 6), torch.finfo(dtype).max, dtype=dtype)
    assert interpolate(a, b, 0)["classifier.bias"].signbit().all()
    for alpha, end in ((1, a), (0, b), (1.0, a), (0.0, b)):
        result = interpolate(a, b, alpha)
        assert all(
            torch.equal(result[key].view(torch.uint8), end[key].view(torch.uint8)) for key in end if end[key].ndim
        )
        assert result["down.0.1.num_batches_tracked"] == end["down.0.1.num_batches_tracked"]
        assert all(result[key].data_ptr() != end[key].data_ptr() for key in end)


@QUICK
@given(SEEDS, ALPHAS)
def test_between_equal_states_nothing_changes(seed, alpha):
    state = make_state(seed)
    between = interpolate(state, state, alpha)
    assert all(torch.allclose(between[key].double(), state[key].double(), rtol=1e-7, atol=0) for key in state)


@pytest.mark.parametrize("alpha", [math.nan, math.inf, "0.5", None, [0.5, 1]])
def test_alpha_must_be_a_finite_number(alpha):
    state = make_state(0)
    with pytest.raises(ParameterError, match=r"alpha must be a finite number, found (nan|inf|'0.5'|None|\[0.5, 1\])\."):
        interpolate(state, state, alpha)


def test_alpha_may_be_any_kind_of_number():
    a, b = make_state(0), make_state(1)
    for alpha in (np.float32(0.5), torch.tensor(0.5), np.float64(0.5)):
        assert same(interpolate(a, b, alpha), interpolate(a, b, 0.5))


def test_soups():
    states = [make_state(number) for number in range(3)]
    before = copy.deepcopy(states)
    soup = average(states)
    expected = torch.stack([flat(state) for state in states]).mean(0)
    torch.testing.assert_close(flat(soup), expected, rtol=1e-6, atol=1e-6)
    assert soup["down.0.1.num_batches_tracked"] == 0
    assert all(same(a, b) for a, b in zip(states, before, strict=True))
    assert same(average(states[:1]), states[0])
    assert same(average([states[0]] * 3), states[0])
    for key, tensor in interpolate(*states[:2], 0.5).items():
        assert torch.equal(average(states[:2])[key], tensor)
    assert same(average(state for state in states), soup)
    for wrong, message in (([], "at least one"), (states[0], "state 1 must be a state_dict .* found str")):
        with pytest.raises(ParameterError, match=message):
            average(wrong)


def test_rewinding_takes_one_block_with_its_statistics(states):
    trained, origin = states[:2]
    before = copy.deepcopy((trained, origin))
    rewound = rewind(trained, origin, "down.1")
    assert list(rewound) == list(trained)
    for key, tensor in rewound.items():
        assert torch.equal(tensor, (origin if key.startswith("down.1.") else trained)[key])
        assert tensor.data_ptr() not in (trained[key].data_ptr(), origin[key].data_ptr())
    assert any("running_mean" in key for key in rewound if key.startswith("down.1."))
    everything = trained
    for block in blocks(trained):
        everything = rewind(everything, origin, block)
    assert same(everything, origin)
    assert same(trained, before[0])
    assert same(origin, before[1])
    with pytest.raises(ParameterError, match=r"'down'.*down\.0"):
        rewind(trained, origin, "down")


def test_a_shared_parameter_counts_once_and_is_rewound_under_both_names():
    a, b = Tied(), Tied()
    table = distances(a.state_dict(), b.state_dict())
    assert table.loc["total", "n_parameters"] == count_parameters(a) == 81 + 3 + 10 - 6
    assert table["n_parameters"].to_dict() == {"total": 88, "head": 81, "tail": 3, "last": 4}
    for block in ("head", "tail"):
        rewound = rewind(a.state_dict(), b.state_dict(), block)
        from_origin = [key for key, tensor in rewound.items() if torch.equal(tensor, b.state_dict()[key])]
        assert from_origin == ["head.weight", "tail.weight", *(["tail.bias"] if block == "tail" else [])]
        a.load_state_dict(rewound)  # into one parameter: whichever name comes last
        assert torch.equal(a.head.weight, b.head.weight)
        a = Tied()


@QUICK
@given(SEEDS, ALPHAS)
def test_what_is_one_parameter_or_infinite_stays_so_on_a_line(seed, alpha):
    torch.manual_seed(seed)
    between = interpolate(Tied().state_dict(), Tied().state_dict(), alpha)
    assert torch.equal(between["head.weight"], between["tail.weight"])
    ends = [Masked().state_dict() for _ in range(2)]
    assert torch.equal(interpolate(*ends, alpha)["mask"], ends[0]["mask"])
    assert torch.equal(average([*ends, ends[0]])["mask"], ends[0]["mask"])
