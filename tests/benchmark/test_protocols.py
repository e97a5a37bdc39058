"""Protocols: fixed terms under a name, whoever asks; any other term is another protocol, and said to be."""

import pytest

from chairlib.benchmark import protocols
from chairlib.benchmark.protocols import MINI_HASH, Protocol, common_terms, get_protocol, protocol_of
from chairlib.benchmark.recipes import RECIPES, recipe_of
from chairlib.benchmark.run import open_run
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.collection import Collection
from chairlib.core.errors import ParameterError


def of(**changes):
    """The name of the protocol that settings of mini-64-v1 follow, with some changed."""
    settings = BenchmarkSettings(**{**Protocol(MINI_HASH, 64).parameters(), **changes})
    return protocol_of(settings, MINI_HASH)


def test_version_1_never_changes():
    """Scores of years stand side by side only as long as every one of these stays: a change is a version 2."""
    assert Collection("mini").hash == MINI_HASH == "f043787b2807758f"
    assert get_protocol("mini-64-v1") == Protocol(MINI_HASH, 64, 1, (0, 1, 2), (0.006, 0.02, 0.06))
    assert get_protocol("mini-64-v1").parameters() == {
        "resolution": 64,
        "recipe": "fast",
        "images": 6000,
        "train_images": None,
        "val_images": 200,
        "test_images": 500,
        "evaluations": 4,
        "precision": "float32",
        "batch_size": None,
    }
    recipe = vars(RECIPES["fast"]["*"])
    assert list(RECIPES["fast"]) == ["*"]  # one recipe for all models
    assert {name: value for name, value in recipe.items() if name not in ("name", "not_in_paper", "epochs")} == {
        "optimizer": "muon",
        "learning_rate": 0.02,
        "batch_size": 32,
        "momentum": 0.9,
        "weight_decay": 0.1,
        "schedule": "linear",
        "warm_up": 0.2,
        "loss": "bce_jaccard",
        "flip": True,
        "half_until": 0.5,
        "backbone_weights": None,
        "select": "iou",
        "patience": None,
        "min_change": 0.1,
    }


def test_a_run_follows_a_protocol_whether_it_was_asked_for_or_not():
    assert of() == of(seed=7) == of(model="fcn_vgg16", width=8) == of(device="cpu") == "mini-64-v1"
    assert of(learning_rate=0.06, swept=True) == "mini-64-v1"  # one of those that a sweep offers
    assert of(resolution=128) == "mini-128-v1"
    assert of(images=640, val_images=100, test_images=100) == "mini-64-v0"  # a trial


@pytest.mark.parametrize(
    "change",
    [
        {"images": 640},
        {"learning_rate": 0.001},
        {"learning_rate": 0.06},
        {"learning_rate": 0.05, "swept": True},
        {"batch_size": 16},
        {"recipe": "paper"},
        {"precision": "auto"},
        {"test_images": 100},
        {"val_images": None},
        {"train_images": 50},
        {"evaluations": 2},
        {"resolution": 48},
    ],
)
def test_any_other_term_is_another_protocol(change):
    assert of(**change).startswith("custom-")
    assert of(**change) == of(**change, seed=2)
    assert of(**change) != of(images=5000)


def test_what_was_trained_elsewhere_shares_only_the_scoring():
    assert of(weights="built", images=None, recipe="paper") == "mini-64-v1-scored"
    assert of(weights="built", test_images=50).startswith("custom-")


def test_a_protocol_gives_its_terms_and_says_what_is_not_its_own(collection):
    name = f"{collection.hash}-32-v1"
    run = open_run(protocol="32-v1", data=str(collection.root), width=2, precision=None, images=None)
    assert protocol_of(run.settings, run.data["hash"]) == name
    assert run.name == open_run(protocol=name, data=str(collection.root), width=2, learning_rate=0.02).name
    other = open_run(protocol="32-v1", data=str(collection.root), width=2, images=64)
    assert other.settings.images == 64
    assert protocol_of(other.settings, other.data["hash"]).startswith("custom-")
    # Settings that were opened once are opened again as they are.
    assert open_run(other.settings).name == other.name
    assert open_run(**other.settings.to_dict()).name == other.name


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"protocol": "mini-64"}, "unknown protocol 'mini-64': choose mini-32-v1, mini-64-v1, mini-128-v1, or"),
        ({"protocol": "mini-48-v1"}, "unknown protocol"),
        ({"protocol": "mini-64-v2"}, "protocol mini-64-v2 is newer than version 1, which this chairlib knows: update"),
        ({"protocol": "mini-32-v1", "resolution": 64}, "resolution 64 contradicts the protocol mini-32-v1: .*mini-64-"),
    ],
)
def test_an_impossible_protocol_is_one_line(parameters, message):
    with pytest.raises(ParameterError, match=message):
        open_run(**parameters)


def test_a_protocol_of_other_data_is_refused(collection):
    with pytest.raises(ParameterError, match=f"hash {MINI_HASH}, but drawn has {collection.hash}: name the protocol"):
        open_run(protocol="mini-32-v1", data=str(collection.root))
    with pytest.raises(ParameterError, match=f"hash {'0' * 16}, but mini has {MINI_HASH}"):
        open_run(protocol=f"{'0' * 16}-32-v1")


def test_only_terms_decide_whether_two_runs_stand_in_one_table():
    one = BenchmarkSettings(**protocols.TERMS)
    assert common_terms(one) == common_terms(one.with_changes(resolution=32, model="fcn_vgg16", seed=3))
    assert common_terms(one) == common_terms(one.with_changes(learning_rate=0.006, swept=True))
    assert common_terms(one) != common_terms(one.with_changes(learning_rate=0.007))
    scored = one.with_changes(weights="built")
    assert common_terms(one) != common_terms(scored) == common_terms(scored.with_changes(images=1, recipe="paper"))


def test_a_recipe_from_a_file(tmp_path, collection):
    file = tmp_path / "mine.yaml"
    file.write_text("start: paper\nlearning_rate: 1e-4\nbatch_size: 8\n")
    settings = BenchmarkSettings(recipe=str(file), data=str(collection.root), width=2, resolution=32)
    recipe = recipe_of(settings)
    assert (recipe.name, recipe.optimizer, recipe.learning_rate, recipe.batch_size) == ("mine", "adam", 1e-4, 8)
    assert recipe_of(settings.with_changes(learning_rate=0.5, batch_size=4)).learning_rate == 0.5
    before = open_run(settings)
    assert "-mine-seed0-" in before.name
    elsewhere = tmp_path / "other" / "mine.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(file.read_text())
    assert open_run(settings, recipe=str(elsewhere)).name == before.name
    file.write_text("start: paper\nlearning_rate: 1e-3\n")
    after = open_run(settings)
    assert after.name != before.name  # what it says is the question, not where it lies
    names = {protocol_of(run.settings, run.data["hash"]) for run in (before, after)}
    assert len(names) == len({repr(common_terms(run.settings)) for run in (before, after)}) == 2
    assert open_run(before.settings).name == before.name
    assert recipe_of(before.settings) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lerning_rate: 1", "a recipe has no lerning_rate"),
        ("- 1", "must hold values by name"),
        ("start: nope", "recipe 'nope' is unknown"),
        ("learning_rate: soon", "learning_rate 'soon' must be a finite number"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_recipe_file_that_cannot_be_used_is_one_line(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ParameterError, match=message) as error:
        open_run(recipe=str(file))
    assert "\n" not in str(error.value)
