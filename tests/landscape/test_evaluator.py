"""Scores of states: those of `evaluate` to the last bit, recalibrated or not; nothing that is given changes."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from chairlib.benchmark.evaluation import evaluate
from chairlib.benchmark.models import build_model
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError
from chairlib.landscape.beyond.activations import default_layers
from chairlib.landscape.beyond.similarity import layer_similarity
from chairlib.landscape.evaluator import (
    FIGURES,
    Evaluator,
    interpolation_curve,
    score_ensemble,
)
from chairlib.landscape.space import interpolate
from weights import (
    Masked,
    OwnTensors,
    Quarter,
    Tied,
    figures_of,
    in_place,
    loaded,
    make_unet,
    out_of_place,
    recalibrate,
    same,
)


def test_scores_are_those_of_evaluate(models, states, loaders):
    """Whatever was scored before."""
    evaluator = Evaluator(models[0], loaders)
    for number in (1, 2):
        found = evaluator.evaluations(states[number])
        for split, loader in loaders.items():
            expected = evaluate(loaded(states[number]), loader)
            assert figures_of(found[split]) == figures_of(expected)
            assert 0 < found[split].scores.precision < 100
            pd.testing.assert_frame_equal(found[split].scores.per_image, expected.scores.per_image)
        assert evaluator.score(states[number]) == {split: figures_of(found[split]) for split in loaders}


def test_a_line_between_networks_of_another_library(loaders):
    """Raw, as they come, with their own names of weights."""
    networks = [Quarter(3), Quarter(3)]
    a, b = (network.state_dict() for network in networks)
    options = {"batch_norm": "recalibrate", "progress": False}
    table = interpolation_curve(networks[0], a, b, [0, 0.5, 1], loaders["train"], loaders["test"], **options)
    assert table["iou"].notna().all()
    ends = interpolation_curve(networks[0], a, b, [0, 1], loaders["train"], loaders["test"], progress=False)
    for alpha, network in ((0, networks[1]), (1, networks[0])):
        row = ends[(ends["alpha"] == alpha) & (ends["split"] == "test")].iloc[0]
        assert {name: row[name] for name in FIGURES} == figures_of(evaluate(network, loaders["test"]))


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
    evaluator = Evaluator(template, {"train": loaders["train"], "test": interrupted})
    interrupted.armed = True
    with pytest.raises(KeyboardInterrupt):
        evaluator.score(states[0], batch_norm)
    assert same(template.state_dict(), before)
    assert modes == [module.training for module in template.modules()]
    assert all(parameter.requires_grad for parameter in template.parameters())
    assert all(same(a, b) for a, b in zip(states, given_states, strict=True))
    interrupted.armed = False
    fresh = Evaluator(template, {"train": loaders["train"], "test": interrupted})
    assert evaluator.score(states[0], batch_norm) == fresh.score(states[0], batch_norm)


def test_a_curve_kept_point_by_point_is_the_same(models, states, loaders):
    evaluator = Evaluator(models[2], loaders)
    rows = [
        {"alpha": alpha, "split": split, **scores, "extrapolated": not 0 <= alpha <= 1}
        for alpha in (0.25, 1.25)
        for split, scores in evaluator.score(interpolate(states[0], states[1], alpha)).items()
    ]
    pd.testing.assert_frame_equal(pd.DataFrame(rows), curve(models, states, loaders, [0.25, 1.25, 0.25]))


def test_a_recalibrated_state_is_the_one_that_is_scored(models, states, loaders):
    evaluator = Evaluator(models[2], {"test": loaders["test"]}, recalibrate_on=loaders["train"])
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
    assert score_ensemble(models[0], tuple(states), loaders["test"]).scores == found.scores
    for wrong, message in (
        (states[0], "state 1 must be a state_dict .* found str"),
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


def test_whatever_scores_states_gives_a_model_that_changes_its_input_the_figures_of_its_twin():
    """On an image set that hands out its own tensors: these stay as they are."""
    found = []
    for make in (in_place, out_of_place):
        torch.manual_seed(0)
        model, other, images = make(), make().state_dict(), OwnTensors()
        state = model.state_dict()
        train, test = (CompositeLoader(images, split, 32, 6, "cpu") for split in ("train", "test"))
        for batch_norm in ("average", "recalibrate"):
            curve = interpolation_curve(model, state, state, [0, 0.5, 1], train, test, batch_norm, progress=False)
            assert all(
                curve[curve["split"] == split][name].nunique() == 1 for split in ("train", "test") for name in FIGURES
            )
            found.append(curve[curve["split"] == "test"]["loss"].iloc[0])
        found += [recalibrate(model, train)["layers.1.running_mean"], score_ensemble(model, [state, other], test).loss]
        assert default_layers(model, images.images) == ["layers.0", "layers.3"]
        found.append(layer_similarity(model, state, other, test)["cka"].to_numpy())
        assert torch.equal(images.images, OwnTensors().images)
    half = len(found) // 2
    assert all(np.array_equal(a, b) for a, b in zip(found[:half], found[half:], strict=True))


def test_masks_of_infinities_and_shared_weights_are_scored_along_a_line(loaders):
    for make in (Masked, Tied):
        torch.manual_seed(0)
        models = [make() for _ in range(2)]
        first, last = (model.state_dict() for model in models)
        curve = interpolation_curve(
            models[0], first, last, [-0.5, 0, 0.5, 1], loaders["train"], loaders["test"], progress=False
        )
        assert np.isfinite(curve[list(FIGURES)].to_numpy()).all()
        ends = curve[curve["split"] == "test"].set_index("alpha")["loss"]
        assert ends[1] == evaluate(models[0], loaders["test"]).loss
        assert ends[0] == evaluate(models[1], loaders["test"]).loss


@pytest.mark.parametrize("wrong", ["first.weight_orig", "parametrizations"])
def test_a_weight_is_never_taken_for_a_mask(loaders, wrong):
    model = Masked()
    key = next(key for key, _ in model.named_parameters() if wrong in key)
    state = {**model.state_dict(), key: torch.full_like(model.state_dict()[key], -math.inf)}
    with pytest.raises(ParameterError, match="diverged"):
        Evaluator(model, loaders).score(state)
    with pytest.raises(ParameterError, match="diverged"):
        interpolate(state, state, 0.5)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_model_whose_weights_are_derived_is_copied_right_after_a_step_of_training(loaders):
    for model in (Masked(), nn.utils.weight_norm(nn.Conv2d(3, 1, 1))):
        model(torch.rand(2, 3, 32, 32)).sum().backward()
        assert Evaluator(model, loaders).evaluations(model.state_dict())["test"] == evaluate(model, loaders["test"])
        assert len(default_layers(model, torch.rand(1, 3, 32, 32))) == 1 + isinstance(model, Masked)
        assert (
            score_ensemble(model, [model.state_dict()], loaders["test"]).scores
            == evaluate(model, loaders["test"]).scores
        )


def test_two_values_for_one_parameter_are_refused(loaders):
    model = Tied()
    state = {**model.state_dict(), "tail.weight": torch.zeros(3, 3, 3, 3)}
    with pytest.raises(
        ParameterError, match=r"'head.weight' and 'tail.weight' are one parameter .* differ in the state"
    ):
        Evaluator(model, loaders).score(state)


def test_recalibrating_on_one_image_is_refused_where_batchnorm_cannot(loaders):
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1), nn.Upsample((32, 32)))
    assert recalibrate(pooled, loaders["train"], 2)
    with pytest.raises(ParameterError, match="cannot be recalibrated on a batch of one image: use 2 or more"):
        recalibrate(pooled, loaders["train"], 1)
    assert recalibrate(make_unet(0), loaders["train"], 1)
