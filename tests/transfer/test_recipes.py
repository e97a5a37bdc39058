"""The recipes of fine-tuning: the values of section 5.3, and as many images for every model that is compared."""

from dataclasses import replace

import pytest

from chairlib.transfer.recipes import RECIPES, get_recipe
from chairlib.transfer.run import open_run, train

TINY = {"width": 2, "resolution": 32, "images": 64, "evaluations": 2, "device": "cpu"}


@pytest.mark.parametrize(
    ("model", "optimizer", "rate", "momentum", "decay"),
    [
        ("unet", "adam", 1e-3, 0, 0),
        ("fcn_vgg16", "sgd", 1e-4, 0.9, 1e-5),
        ("fcn_resnet50", "sgd", 1e-4, 0.9, 1e-5),
        ("fcn_resnet101", "rmsprop", 1e-5, 0.9, 1e-6),
    ],
)
def test_paper_recipes_are_section_5_3(model, optimizer, rate, momentum, decay):
    recipe = get_recipe("paper", model)
    assert (recipe.optimizer, recipe.learning_rate, recipe.momentum, recipe.weight_decay) == (
        optimizer,
        rate,
        momentum,
        decay,
    )
    assert (recipe.loss, recipe.flip) == ("bce", False)
    assert {"epochs", "patience"} <= set(recipe.not_in_paper)


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_chooses_weights_on_what_it_is_scored_on(recipe):
    assert {one.select for one in RECIPES[recipe].values()} == {"last"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_arms_see_as_many_images_however_they_do(photos, own_runs, recipe):
    # A rate next to 0: nothing is ever learned, so that a recipe that stopped early would.
    frozen = {name: replace(one, learning_rate=1e-30) for name, one in RECIPES[recipe].items()}
    asked = {**TINY, "images": 160, "evaluations": 20, "recipe": recipe}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, recipe, frozen)
        seen = [train(open_run(data=str(photos), **asked, share=share), progress=False).content for share in (25, 100)]
    assert [content["images_seen"] for content in seen] == [160, 160]
    assert not any(content["stopped_early"] or content["chosen_on_scored"] for content in seen)
