"""Distances, lines, planes, soups: the rules of each, and scores that are those of `evaluate` to the last bit."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from chairlib.benchmark.models import MODELS, build_model
from chairlib.benchmark.training import evaluate
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError
from chairlib.landscape.space import (
    FIGURES,
    Evaluator,
    Plane,
    _same_device,
    average,
    block_of,
    blocks,
    curve_table,
    distances,
    interpolate,
    interpolation_curve,
    l2_distance,
    recalibrate,
    rewind,
    score_ensemble,
)

SEEDS = st.integers(0, 10_000)
ALPHAS = st.floats(-1, 2, allow_subnormal=False)
QUICK = settings(max_examples=15, deadline=None)


def make_state(seed, dtype=torch.float32, size=6):
    """Two layers and a BatchNorm layer, with statistics far larger than the weights."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return {
        "down.0.0.weight": draw(size, 3, 2, 2),
        "down.0.1.weight": draw(size),
        "down.0.1.running_mean": 1e4 * draw(size),
        "down.0.1.running_var": 1e4 * draw(size).abs(),
        "down.0.1.num_batches_tracked": torch.tensor(seed),
        "classifier.weight": draw(1, size),
        "classifier.bias": draw(1),
    }


def trainable(state):
    flat = [t.double().flatten() for key, t in state.items() if "running" not in key and "num_batches" not in key]
    return torch.cat(flat)


def same(a, b):
    """Bit for bit, signs of zeros too."""
    return list(a) == list(b) and all(
        a[key].dtype == b[key].dtype and a[key].numpy().tobytes() == b[key].numpy().tobytes() for key in a
    )


def scaled(state, factor):
    return {key: tensor * factor if tensor.is_floating_point() else tensor for key, tensor in state.items()}


@pytest.fixture(scope="module")
def loaders(collection):
    return {split: CompositeLoader(collection, split, 32, 16, "cpu") for split in ("train", "test")}


def make_unet(seed):
    """A U-Net whose statistics have seen something, and whose masks are mixed: about half of noise is chair to it."""
    torch.manual_seed(seed)
    model = build_model("unet", width=2)
    model.train()
    with torch.no_grad():
        for _ in range(20):
            model(torch.rand(4, 1, 1, 1) * torch.rand(4, 3, 32, 32))
        logits = model.eval()(torch.rand(8, 1, 1, 1) * torch.rand(8, 3, 32, 32))
        model.classifier.bias -= logits.median()
    return model.train()


@pytest.fixture(scope="module")
def models():
    return [make_unet(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def states(models):
    return [{key: tensor.clone() for key, tensor in model.state_dict().items()} for model in models]


def loaded(state):
    model = build_model("unet", width=2)
    model.load_state_dict(state)
    return model


def figures_of(evaluation):
    scores = evaluation.scores
    return {"iou": scores.iou, "dice": scores.dice, "precision": scores.precision, "loss": evaluation.loss}


# -- distances ----------------------------------------------------------------------------------------------------------


def test_distances_by_block(states):
    table = distances(states[0], states[1])
    expected = ["stem", *(f"down.{i}" for i in range(4)), *(f"up.{i}" for i in range(4)), "classifier"]
    assert list(table.index) == ["total", *expected]
    assert expected == blocks(states[0])
    assert table.loc["total", "l2"] == pytest.approx(l2_distance(states[0], states[1]))
    assert (table["l2"].iloc[1:] ** 2).sum() == pytest.approx(table.loc["total", "l2"] ** 2)
    assert table["n_parameters"].iloc[1:].sum() == table.loc["total", "n_parameters"]
    assert table.loc["total", "n_parameters"] == sum(p.numel() for p in build_model("unet", 2).parameters())
    assert table.loc["total", "norm_a"] == pytest.approx(trainable(states[0]).norm().item())


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


# -- what cannot be compared --------------------------------------------------------------------------------------------


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


# -- lines --------------------------------------------------------------------------------------------------------------


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


# -- scores -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_gib", [0, 1e-4, 2])
def test_scores_are_those_of_evaluate(models, states, loaders, keep_gib):
    """Whether no split, one or both are kept in memory, and whatever was scored before."""
    evaluator = Evaluator(models[0], loaders, keep_gib=keep_gib)
    for number in (1, 2):
        found = evaluator.evaluations(states[number])
        for split, loader in loaders.items():
            expected = evaluate(loaded(states[number]), loader)
            assert figures_of(found[split]) == figures_of(expected)
            assert 0 < found[split].scores.precision < 100
            pd.testing.assert_frame_equal(found[split].scores.per_image, expected.scores.per_image)
        assert evaluator.score(states[number]) == {split: figures_of(found[split]) for split in loaders}


def test_images_are_kept_only_within_the_budget(loaders):
    size = sum(images.nbytes + masks.nbytes for images, masks in loaders["test"].in_order())
    evaluator = Evaluator(
        build_model("unet", 2), {"train": loaders["train"], "test": loaders["test"]}, keep_gib=size / 2**30
    )
    assert evaluator._loaders["train"].batches.kept is None
    assert len(evaluator._loaders["test"].batches.kept) == len(loaders["test"])
    assert evaluator._memory.bytes_left == 0


def test_double_sigmoid_loss_is_passed_on(models, states, loaders):
    found = Evaluator(models[0], loaders, loss="double_sigmoid").score(states[1])
    assert found["test"]["loss"] == evaluate(loaded(states[1]), loaders["test"], "double_sigmoid").loss


def curve(models, states, loaders, alphas, **options):
    a, b = states[:2]
    return interpolation_curve(models[2], a, b, alphas, loaders["train"], loaders["test"], progress=False, **options)


def test_average_statistics_reproduce_both_checkpoints(models, states, loaders):
    table = curve(models, states, loaders, [0, 0.5, 1, 1.25])
    assert list(table.columns) == ["alpha", "split", "iou", "dice", "precision", "loss", "extrapolated"]
    assert list(table["alpha"]) == [0, 0, 0.5, 0.5, 1, 1, 1.25, 1.25]
    assert table["extrapolated"].tolist() == [False] * 6 + [True] * 2
    for alpha, state in ((1, states[0]), (0.5, interpolate(*states[:2], 0.5)), (0, states[1])):
        for split, loader in loaders.items():
            row = table[(table["alpha"] == alpha) & (table["split"] == split)].iloc[0]
            assert {name: row[name] for name in FIGURES} == figures_of(evaluate(loaded(state), loader))


@pytest.mark.parametrize("n_images", [None, 20])
def test_recalibrated_ends_are_the_checkpoints_recalibrated_alike(models, states, loaders, n_images):
    table = curve(models, states, loaders, [0, 1], batch_norm="recalibrate", n_images=n_images)
    for alpha, state in ((1, states[0]), (0, states[1])):
        again = recalibrate(loaded(state), loaders["train"], n_images)
        assert again["stem.1.num_batches_tracked"] == (3 if n_images is None else 1)  # no longer the 20 it had seen
        alike = loaded(again)
        for split, loader in loaders.items():
            row = table[(table["alpha"] == alpha) & (table["split"] == split)].iloc[0]
            assert {name: row[name] for name in FIGURES} == figures_of(evaluate(alike, loader))
    plain = curve(models, states, loaders, [0, 1])
    assert not np.isclose(plain["loss"], table["loss"]).any()
    assert not np.isclose(plain["precision"], table["precision"]).all()


def test_extrapolated_variances_stay_usable(loaders):
    """0.2 - 1 would be a negative variance, whose square root is not a number."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    small, large = ({**model.state_dict(), "0.running_var": torch.full((3,), value)} for value in (0.1, 1.0))
    beyond = interpolate(small, large, 2)
    assert beyond["0.running_var"].tolist() == [0, 0, 0]
    assert interpolate(small, large, -1)["0.running_var"].tolist() == pytest.approx([1.9] * 3)
    assert math.isfinite(Evaluator(model, loaders).score(beyond)["test"]["loss"])


class Interrupted(CompositeLoader):
    def in_order(self):
        for number, batch in enumerate(super().in_order()):
            if number and self.armed:
                raise KeyboardInterrupt
            yield batch


@pytest.mark.parametrize("batch_norm", ["average", "recalibrate"])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_that_is_given_changes(models, states, loaders, collection, batch_norm, training):
    template = copy.deepcopy(models[2]).train(training)
    before, given_states = copy.deepcopy(template.state_dict()), copy.deepcopy(states)
    modes = [module.training for module in template.modules()]
    randomness = torch.get_rng_state()
    curve([None, None, template], states, loaders, [0.5], batch_norm=batch_norm)
    assert torch.equal(torch.get_rng_state(), randomness)
    interrupted = Interrupted(collection, "test", 32, 2, "cpu")
    interrupted.armed = False
    evaluator = Evaluator(template, {"train": loaders["train"], "test": interrupted}, keep_gib=0)
    interrupted.armed = evaluator._loaders["test"].armed = True
    with pytest.raises(KeyboardInterrupt):
        evaluator.score(states[0], batch_norm)
    assert same(template.state_dict(), before)
    assert modes == [module.training for module in template.modules()]
    assert all(parameter.requires_grad for parameter in template.parameters())
    assert all(same(a, b) for a, b in zip(states, given_states, strict=True))
    interrupted.armed = evaluator._loaders["test"].armed = False
    fresh = Evaluator(template, {"train": loaders["train"], "test": interrupted})
    assert evaluator.score(states[0], batch_norm) == fresh.score(states[0], batch_norm)


def test_a_curve_kept_point_by_point_is_the_same(models, states, loaders):
    evaluator = Evaluator(models[2], loaders)
    cells = {alpha: evaluator.score(interpolate(states[0], states[1], alpha)) for alpha in (0.25, 0.75)}
    pd.testing.assert_frame_equal(curve_table(cells), curve(models, states, loaders, [0.25, 0.75, 0.25]))


@pytest.mark.parametrize("alphas", [0.5, "0.5", ["0.5"], [[0.5]]])
def test_curves_need_a_list_of_numbers(models, states, loaders, alphas):
    with pytest.raises(ParameterError, match="alphas must be a list of numbers"):
        curve(models, states, loaders, alphas)


def test_a_recalibrated_state_is_the_one_that_is_scored(models, states, loaders):
    evaluator = Evaluator(models[2], {"test": loaders["test"]}, recalibrate_on=loaders["train"])
    assert evaluator.splits == ["test"]
    state = evaluator.recalibrated(states[0])
    assert same(state, recalibrate(loaded(states[0]), loaders["train"]))
    assert evaluator.score(states[0], "recalibrate")["test"] == figures_of(evaluate(loaded(state), loaders["test"]))
    assert same(state, evaluator.recalibrated(states[0]))  # a copy, which scoring another state leaves as it is


def test_evaluators_refuse(models, states, loaders):
    evaluator = Evaluator(models[0], {"test": loaders["test"]})
    with pytest.raises(ParameterError, match=r"'recalibrated'.*recalibrate"):
        evaluator.score(states[0], "recalibrated")
    with pytest.raises(ParameterError, match="'train'"):
        evaluator.score(states[0], "recalibrate")
    with pytest.raises(ParameterError, match=r"has shape .* in the model"):
        evaluator.score(build_model("unet", 3).state_dict())
    with pytest.raises(ParameterError, match=r"the state has no entry 'classifier.bias', which the model has"):
        evaluator.score({key: tensor for key, tensor in states[0].items() if key != "classifier.bias"})
    with pytest.raises(ParameterError, match=r"'classifier.bias' of the state holds NaN"):
        evaluator.score({**states[0], "classifier.bias": torch.tensor([math.nan])})
    with pytest.raises(ParameterError, match="at least one loader"):
        Evaluator(models[0], {})
    with pytest.raises(ParameterError, match="meta"):
        Evaluator(build_model("unet", 2).to("meta"), loaders)


def test_devices_with_and_without_a_number():
    cuda, first, second, cpu = map(torch.device, ("cuda", "cuda:0", "cuda:1", "cpu"))
    assert _same_device(cuda, first)
    assert _same_device(first, cuda)
    assert not _same_device(first, second)
    assert not _same_device(cuda, cpu)


# -- BatchNorm ----------------------------------------------------------------------------------------------------------


class Shared(nn.Module):
    """A BatchNorm layer used twice, dropout, and a BatchNorm layer without statistics."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(3, momentum=0.3), nn.Dropout(0.5)
        self.plain, self.last = nn.BatchNorm2d(3, track_running_stats=False), nn.Conv2d(3, 1, 1)

    def forward(self, images):
        return self.last(self.plain(self.norm(self.drop(self.norm(images)))))


def test_recalibration_is_the_mean_over_batches(collection):
    """The first layer sees the images themselves: the mean of its batches' means and unbiased variances."""
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1)).train()
    loader = CompositeLoader(collection, "train", 32, 16, "cpu", flip=True)
    before = copy.deepcopy(model.state_dict())
    for n_images, n_batches in ((None, 3), (40, 2), (16, 1), (5, 1), (1000, 3)):
        state = recalibrate(model, loader, n_images)
        order = torch.randperm(60, generator=torch.Generator().manual_seed(0))[: n_images or 60]
        chosen = order[: 16 * n_batches].split(16)
        parts = [loader.image_set.batch(indices)[0].double().transpose(0, 1).flatten(1) for indices in chosen]
        assert state["0.num_batches_tracked"] == n_batches == len(parts)
        for name, function in (("mean", lambda p: p.mean(1)), ("var", lambda p: p.var(1, correction=1))):
            expected = torch.stack([function(part) for part in parts]).mean(0)
            torch.testing.assert_close(state[f"0.running_{name}"].double(), expected, rtol=1e-4, atol=1e-6)
        assert same(state, recalibrate(model, loader, n_images))
        assert same(
            {k: t for k, t in state.items() if "0." not in k}, {k: t for k, t in before.items() if "0." not in k}
        )
    assert same(model.state_dict(), before)
    assert model.training
    assert model[0].momentum == 0.1


def test_recalibration_equals_torchs_cumulative_average(collection):
    loader = CompositeLoader(collection, "train", 32, 16, "cpu")
    torch.manual_seed(0)
    model = Shared()
    ours = recalibrate(model, loader)
    reference = copy.deepcopy(model).eval()
    reference.norm.reset_running_stats()
    reference.norm.momentum = None
    reference.norm.train()
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))[:48]
    with torch.no_grad():
        for indices in order.split(16):
            reference(loader.image_set.batch(indices)[0].to(memory_format=torch.channels_last))
    assert ours["norm.num_batches_tracked"] == 6
    for key, tensor in reference.state_dict().items():
        torch.testing.assert_close(ours[key], tensor)
    evaluator = Evaluator(model, {"train": loader})
    evaluator.score(model.state_dict(), "recalibrate")
    assert evaluator.model.norm.momentum == 0.3
    assert not evaluator.model.norm._forward_pre_hooks
    assert not any(module.training for module in evaluator.model.modules())


def test_models_without_statistics_cannot_be_recalibrated(loaders):
    model = nn.Sequential(nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1, track_running_stats=False))
    with pytest.raises(ParameterError, match=r"Sequential has no BatchNorm.*average"):
        recalibrate(model, loaders["train"])
    evaluator = Evaluator(model, loaders)
    with pytest.raises(ParameterError, match="no BatchNorm"):
        evaluator.score(model.state_dict(), "recalibrate")
    assert evaluator.score(model.state_dict())["test"]["loss"] == evaluate(model, loaders["test"]).loss
    with pytest.raises(ParameterError, match="n_images 0 must be a whole number"):
        recalibrate(make_unet(0), loaders["train"], 0)
    with pytest.raises(ParameterError, match=r"n_images 2.5 must be a whole number"):
        recalibrate(make_unet(0), loaders["train"], 2.5)


# -- planes -------------------------------------------------------------------------------------------------------------

COORDINATES = st.tuples(st.floats(-20, 20), st.floats(-20, 20))


@QUICK
@given(SEEDS, COORDINATES, COORDINATES)
def test_planes_keep_distances(seed, one, other):
    p, a, b = (make_state(seed + number) for number in range(3))
    plane = Plane(p, a, b)
    found = l2_distance(plane.state(*one), plane.state(*other))
    assert found == pytest.approx(math.dist(one, other), rel=1e-5, abs=1e-4)
    x, y, off = plane.coordinates(plane.state(*one))
    assert (x, y, off) == pytest.approx((*one, 0), rel=1e-5, abs=1e-4)


@QUICK
@given(SEEDS)
def test_planes_hold_their_three_points(seed):
    corners = [make_state(seed + number) for number in range(3)]
    plane = Plane(*corners)
    assert plane.points[0].tolist() == [0, 0]
    assert plane.points[1, 1] == 0
    assert plane.points[2, 1] > 0
    for point, corner in zip(plane.points.tolist(), corners, strict=True):
        assert same(plane.state(*point), corner)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert math.dist(plane.points[i], plane.points[j]) == pytest.approx(l2_distance(corners[i], corners[j]))
    centre = plane.state(*plane.points.mean(0).tolist())
    mean = average(corners)
    for key in mean:
        torch.testing.assert_close(centre[key], mean[key], rtol=1e-5, atol=1e-2 if "running" in key else 1e-5)
    assert plane.coordinates(make_state(seed + 3))[2] > 0


@QUICK
@given(SEEDS, st.integers(2, 30), st.floats(0, 1))
def test_grids_cover_the_points_with_one_step(seed, n, margin):
    plane = Plane(*(make_state(seed + number) for number in range(3)))
    axes = plane.grid(n, margin)
    space = margin * np.ptp(plane.points, axis=0).max()
    assert max(map(len, axes)) == n
    steps = np.concatenate([np.diff(axis) for axis in axes])
    np.testing.assert_allclose(steps, steps[0])
    for axis, low, high in zip(axes, plane.points.min(0), plane.points.max(0), strict=True):
        assert axis[0] == pytest.approx(low - space)
        assert axis[-1] + steps[0] / 2 >= high - 1e-6
        assert axis[-1] <= high + space + steps[0] + 1e-6


@QUICK
@given(SEEDS, st.integers(5, 20))
def test_a_grid_of_twice_as_many_steps_holds_every_cell_of_the_coarser(seed, n):
    """To the last bit: cells are found again by their coordinates."""
    plane = Plane(*(make_state(seed + number) for number in range(3)))
    for coarse, fine in zip(plane.grid(n), plane.grid(2 * n - 1), strict=True):
        assert set(coarse) <= set(fine)
        assert len(fine) >= 2 * len(coarse) - 1


def test_degenerate_planes_and_bad_coordinates():
    p, a, b = (make_state(number) for number in range(3))
    for three in (
        (p, a, a),
        (p, p, b),
        (p, a, p),
        (p, a, interpolate(p, a, 0.3)),
        (p, p, p),
        (p, a, interpolate(a, p, 3)),
    ):
        with pytest.raises(ParameterError, match="on a line"):
            Plane(*three)
    plane = Plane(p, a, b)
    for place in ((math.nan, 0), (0, "1")):
        with pytest.raises(ParameterError, match="of the coordinates must be a finite number"):
            plane.state(*place)
    for n, margin, message in (
        (1, 0.2, "n 1 must be a whole number of at least 2"),
        (5.5, 0.2, "n 5.5 must be a whole number of at least 2"),
        (5, -0.1, "margin must be at least 0, found -0.1"),
        (5, math.inf, "margin must be a finite number, found inf"),
    ):
        with pytest.raises(ParameterError, match=message):
            plane.grid(n, margin)


# -- soups, ensembles, rewound blocks -----------------------------------------------------------------------------------


def test_soups():
    states = [make_state(number) for number in range(3)]
    before = copy.deepcopy(states)
    soup = average(states)
    expected = torch.stack([trainable(state) for state in states]).mean(0)
    torch.testing.assert_close(trainable(soup), expected, rtol=1e-6, atol=1e-6)
    assert soup["down.0.1.num_batches_tracked"] == 0
    assert all(same(a, b) for a, b in zip(states, before, strict=True))
    assert same(average(states[:1]), states[0])
    assert same(average([states[0]] * 3), states[0])
    for key, tensor in interpolate(*states[:2], 0.5).items():
        assert torch.equal(average(states[:2])[key], tensor)
    assert same(average(state for state in states), soup)
    for wrong, message in (([], "at least one"), (states[0], "needs a list of states, found dict"), (5, "found int")):
        with pytest.raises(ParameterError, match=message):
            average(wrong)


def test_an_ensemble_of_one_is_that_model(models, states, loaders):
    found = score_ensemble(models[0], states[1:2], loaders["test"])
    expected = evaluate(loaded(states[1]), loaders["test"])
    assert found.scores == expected.scores
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)


def test_ensembles_average_probabilities(models, states, loaders):
    """Of members of unlike sureness, whose mean logit is another thing."""
    states = [states[0], {**states[1], "classifier.weight": 30 * states[1]["classifier.weight"]}, states[2]]
    found = score_ensemble(models[0], states, loaders["test"])
    images, masks = (torch.cat(parts) for parts in zip(*loaders["test"].in_order(), strict=True))
    with torch.no_grad():
        mean = torch.stack([loaded(state).eval()(images).double().sigmoid() for state in states]).mean(0)
    assert found.loss == pytest.approx(torch.nn.functional.binary_cross_entropy(mean, masks.double()).item(), rel=1e-5)
    correct = ((mean > 0.5) == (masks > 0.5)).double().mean().item()
    assert found.scores.precision == pytest.approx(100 * correct, abs=1e-3)
    assert (
        score_ensemble(models[0], states[:1] * 3, loaders["test"]).scores
        == evaluate(loaded(states[0]), loaders["test"]).scores
    )
    assert models[0].training
    assert score_ensemble(models[0], iter(states), loaders["test"]).scores == found.scores
    for wrong, message in (
        ([], "at least one"),
        (states[0], "needs a list of states, found dict"),
        ([states[0], build_model("unet", 3).state_dict()], r"has shape .* in the model and .* in state 2"),
    ):
        with pytest.raises(ParameterError, match=message):
            score_ensemble(models[0], wrong, loaders["test"])


def test_ensembles_of_sure_members_have_a_finite_loss(loaders):
    model = nn.Conv2d(3, 1, 1)
    sure = {"weight": torch.zeros(1, 3, 1, 1), "bias": torch.tensor([200.0])}
    found = score_ensemble(model, [sure, {**sure, "bias": torch.tensor([-120.0])}], loaders["test"])
    assert found.loss == pytest.approx(math.log(2))
    assert score_ensemble(model, [sure], loaders["test"]).loss > 100


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
