"""Recipes as printed, their learning rates, and their rule for stopping early."""

import itertools

import pytest

from chairlib.benchmark.models import MODELS
from chairlib.benchmark.recipes import RECIPES, Recipe, get_recipe
from chairlib.core.errors import ParameterError
from chairlib.transfer import recipes as fine_tuning


@pytest.mark.parametrize(
    ("model", "optimizer", "rate", "momentum", "decay"),
    [
        ("unet", "adam", 1e-3, 0, 0),
        ("fcn_vgg16", "sgd", 1e-4, 0.9, 1e-5),
        ("fcn_resnet50", "rmsprop", 1e-5, 0.9, 1e-6),
        ("fcn_resnet101", "rmsprop", 1e-5, 0.9, 1e-6),
    ],
)
def test_paper_recipes_are_section_5_2(model, optimizer, rate, momentum, decay):
    recipe = get_recipe("paper", model)
    assert (recipe.optimizer, recipe.learning_rate, recipe.momentum, recipe.weight_decay) == (
        optimizer,
        rate,
        momentum,
        decay,
    )
    assert (recipe.loss, recipe.backbone_weights, recipe.flip, recipe.schedule) == ("bce", None, False, "constant")
    assert "batch_size" in recipe.not_in_paper
    assert "learning_rate" not in recipe.not_in_paper


@pytest.mark.parametrize(
    ("model", "optimizer", "rate", "decay", "epochs", "weights"),
    [
        ("unet", "adam", 1e-3, 0, 20, None),
        ("fcn_vgg16", "sgd", 1e-4, 1e-5, 50, None),
        ("fcn_resnet50", "sgd", 1e-4, 1e-5, 100, "imagenet"),
        ("fcn_resnet101", "rmsprop", 1e-6, 1e-7, 100, "imagenet"),
    ],
)
def test_released_recipes_are_the_authors_code(model, optimizer, rate, decay, epochs, weights):
    recipe = get_recipe("released", model)
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay, recipe.epochs) == (
        optimizer,
        rate,
        decay,
        epochs,
    )
    assert (recipe.backbone_weights, recipe.loss, recipe.select, recipe.patience) == (
        weights,
        "double_sigmoid",
        "loss",
        None,
    )
    assert recipe.batch_size == 10


def test_every_model_has_every_recipe():
    for name in RECIPES:
        for model in MODELS:
            assert get_recipe(name, model).name == name


def test_unknown_recipes_are_refused():
    with pytest.raises(ParameterError, match=r"'papper'.*paper"):
        get_recipe("papper", "unet")
    with pytest.raises(ParameterError, match="'fast'"):
        get_recipe("paper", "mine:Net")
    assert get_recipe("fast", "mine:Net") == get_recipe("fast", "unet")
    with pytest.raises(ParameterError, match="learning_rat"):
        get_recipe("fast", "unet", learning_rat=1)
    assert get_recipe("fast", "unet", batch_size=4).batch_size == 4


def history_of(ious, recipe):
    """Where early stopping ends a run whose evaluations give ``ious``."""
    for count in range(1, len(ious) + 1):
        if recipe.has_settled(ious[:count]):
            return count
    return None


def test_early_stopping_waits_for_its_patience():
    recipe = get_recipe("paper", "unet", patience=3, min_change=0.5)
    assert history_of([10, 20, 30, 30.2, 30.3, 30.4, 90], recipe) == 6
    assert history_of([10, 20, 30, 30.2, 30.3, 30.6, 90], recipe) is None
    assert history_of([50, 40, 30, 20], recipe) == 4
    assert history_of([1] * 99, get_recipe("fast", "unet")) is None
    assert history_of([0, 0, 0, 0, 0, 0.3, 0.4, 5, 9], recipe) is None  # slow to start is not settled


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"select": "dice"}, "select 'dice' is unknown; use one of iou, loss, last"),
        ({"patience": 0}, "patience 0 must be a whole number of at least 1, or None"),
        ({"patience": 1.5}, "patience 1.5 must be a whole number of at least 1, or None"),
        ({"learning_rate": "x"}, "learning_rate 'x' must be a finite number above 0"),
        ({"learning_rate": -1}, "learning_rate -1 must be a finite number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate nan must be a finite number above 0"),
        ({"epochs": float("inf")}, "epochs inf must be a finite number above 0"),
        ({"optimizer": "lion"}, "optimizer 'lion' is unknown; use one of adam, adamw, sgd, rmsprop, muon"),
        ({"loss": "dice"}, "loss 'dice' is unknown; use one of bce, bce_jaccard, double_sigmoid"),
        ({"batch_size": 0}, "batch_size 0 must be a whole number of at least 1"),
        ({"momentum": 1.0}, "momentum 1.0 must be a number from 0 to below 1"),
        ({"momentum": "0.9"}, "momentum '0.9' must be a number from 0 to below 1"),
        ({"weight_decay": -1e-4}, "weight_decay -0.0001 must be a number of at least 0"),
        ({"weight_decay": float("nan")}, "weight_decay nan must be a number of at least 0"),
        ({"min_change": float("inf")}, "min_change inf must be a number of at least 0"),
        ({"backbone_weights": "coco"}, "backbone_weights 'coco' is unknown; use 'imagenet', or None"),
        ({"warm_up": 1}, "warm_up 1 must be a share of the steps, from 0 to below 1"),
        ({"half_until": -0.1}, "half_until -0.1 must be a share of the steps, from 0 to below 1"),
    ],
)
def test_a_recipe_is_checked_where_it_is_made(change, words):
    with pytest.raises(ParameterError, match=words):
        get_recipe("fast", "unet", **change)
    with pytest.raises(ParameterError, match=words):
        Recipe(**{"name": "own", "optimizer": "adam", "learning_rate": 1e-3, "epochs": 1, **change})


def test_one_cycle_rises_then_falls_to_nothing():
    recipe = Recipe("r", "adam", 2.0, 1, schedule="one_cycle")
    rates = [recipe.rate_at(step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(2.0, rel=0.05)
    assert rates[0] < 0.1
    assert rates[-1] < 0.01
    assert rates.index(max(rates)) == pytest.approx(30, abs=2)


def test_linear_falls_by_a_straight_line_after_its_warm_up():
    recipe = Recipe("r", "adam", 2.0, 1, schedule="linear", warm_up=0.2)
    rates = [recipe.rate_at(step, 99) for step in range(99)]
    assert max(rates) == pytest.approx(2.0)
    assert rates.index(max(rates)) == 19
    falls = [a - b for a, b in itertools.pairwise(rates[19:])]
    assert falls == pytest.approx([2.0 / 80] * len(falls))
    assert Recipe("r", "adam", 2.0, 1, schedule="linear", warm_up=0.0).rate_at(0, 99) == pytest.approx(2.0 * 0.99)


@pytest.mark.parametrize("recipes", [RECIPES, fine_tuning.RECIPES])
def test_fast_is_one_recipe_whatever_a_model_is_called(recipes):
    assert list(recipes["fast"]) == ["*"]
