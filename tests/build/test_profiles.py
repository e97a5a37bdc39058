import pytest

from chairlib.benchmark import open_run
from chairlib.build.profiles import load_profile
from chairlib.core import paths
from chairlib.core.errors import ParameterError

RUNS = "benchmark: {runs: [{model: unet}]}\n"


@pytest.fixture
def profile(tmp_path):
    def load(text: str, name: str = "own.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return load_profile(str(tmp_path / name))

    return load


@pytest.mark.parametrize("name", ["smoke", "quick", "evening", "paper"])
def test_shipped_profiles(name, collection):
    shipped = load_profile(name)
    assert shipped.name == name
    assert shipped.description.endswith(".")
    assert shipped.estimate == (name == "paper")
    names = [open_run(**settings, data=collection.root).name for settings in shipped.benchmark]
    assert len(set(names)) == len(names) == {"smoke": 3, "quick": 15, "evening": 30, "paper": 56}[name]
    featured = shipped.benchmark[0]
    assert (featured["model"], featured["resolution"]) == ("unet", 64)


@pytest.mark.parametrize("name", ["quick", "evening"])
def test_runs_are_compared_on_the_same_budget(name):
    shipped = load_profile(name)
    for shared in ("width", "images", "val_images", "test_images", "evaluations"):
        assert len({run[shared] for run in shipped.benchmark}) == 1
    # Models of a landscape are trained as those of the tables.
    for shared in ("recipe", "width", "images", "evaluations"):
        assert len({run[shared] for run in [*shipped.transfer, *shipped.landscape]}) == 1


def test_evening_asks_what_paper_asks():
    """Other budgets and widths, and fewer seeds and shares; but for 256 pixels, for which mini is too small."""
    evening, paper = load_profile("evening"), load_profile("paper")
    for section in ("benchmark", "transfer", "landscape"):
        for name in ("model", "category", "protocol", "n_seeds", "beyond"):
            asked, full = ({run.get(name) for run in getattr(one, section)} for one in (evening, paper))
            assert asked == full, f"{name} of {section}"
    resolutions = [{run["resolution"] for run in one.benchmark} for one in (evening, paper)]
    assert resolutions[0] == resolutions[1] - {256}
    pretrainings = [{run["pretraining"] for run in one.transfer} for one in (evening, paper)]
    assert pretrainings[0] == pretrainings[1] - {"coco_chairs", "chair_segments_matched"}
    assert all(run["n_early"] and run["plane"] for run in evening.landscape)


@pytest.mark.parametrize("name", ["smoke", "quick", "evening", "paper"])
def test_every_profile_has_the_control_of_training_as_long(name):
    """For every pretrained U-Net on all photos of the authors' protocol, with the same seed."""
    runs = [run for run in load_profile(name).transfer if run["model"] == "unet"]
    runs = [run for run in runs if not run.keys() & {"share", "protocol"}]
    arms = {
        arm: {(run["category"], run["seed"]) for run in runs if run["pretraining"] == arm}
        for arm in ("none", "none_equal_total", "chair_segments")
    }
    assert arms["none"] == arms["none_equal_total"] == arms["chair_segments"] != set()


def test_paper_is_the_papers():
    settings = load_profile("paper").benchmark
    assert {run["recipe"] for run in settings} == {"paper", "released", "fast"}
    settings = [run for run in settings if run["recipe"] == "paper"]
    assert {run["model"] for run in settings} == {"unet", "fcn_vgg16", "fcn_resnet50", "fcn_resnet101"}
    assert {run["resolution"] for run in settings} == {32, 64, 128, 256}
    assert not any({"width", "images", "test_images"} & run.keys() for run in settings)


def test_a_list_is_a_run_for_each_element(profile):
    found = profile(
        """
        benchmark:
          common: {recipe: fast, seed: [0, 1]}
          runs:
            - {model: unet, resolution: [32, 64]}
            - {model: fcn_vgg16, seed: 7, recipe: paper}
            - {model: "my:net", model_args: [{classes: 1}, {classes: 2}], seed: 0, normalise: imagenet}
        """
    ).benchmark
    assert [run["model_args"] for run in found[5:]] == [{"classes": 1}, {"classes": 2}]
    found = found[:5]
    assert [tuple(run.get(key) for key in ("model", "resolution", "seed", "recipe")) for run in found] == [
        ("unet", 32, 0, "fast"),
        ("unet", 64, 0, "fast"),
        ("unet", 32, 1, "fast"),
        ("unet", 64, 1, "fast"),
        ("fcn_vgg16", None, 7, "paper"),
    ]


def test_featured_run_comes_first(profile):
    found = profile("benchmark: {featured: {resolution: 64, seed: 1}, runs: [{resolution: [32, 64], seed: [0, 1]}]}")
    assert found.benchmark[0] == {"resolution": 64, "seed": 1}
    assert len(found.benchmark) == 4
    with pytest.raises(ParameterError, match=r"no run of profile own\.yaml is the featured one \(.*128"):
        profile("benchmark: {featured: {resolution: 128}, runs: [{resolution: [32, 64]}]}")


def test_everything_but_runs_may_be_left_out(profile):
    found = profile(RUNS)
    assert (found.name, found.description, found.estimate, found.gallery, found.compositing) == (
        "own",
        "",
        False,
        {},
        {},
    )
    assert found.benchmark == [{"model": "unet"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RUNS + "compositting: {}", "profile own.yaml has unknown entry compositting; it may have benchmark, "),
        ("benchmark: {runz: []}", "benchmark of profile own.yaml has unknown entry runz"),
        ("benchmark: {common: {imags: 3}, runs: [{}]}", "common of profile own.yaml has unknown entry imags"),
        ("benchmark: {runs: [{}, {modle: unet}]}", "run 2 of profile own.yaml has unknown entry modle"),
        ("benchmark: {featured: {width: 3}, runs: [{}]}", "featured of profile own.yaml has unknown entry width"),
        ("benchmark: {runs: []}", "no benchmark runs"),
        ("benchmark: {runs: [{seed: []}]}", "no benchmark runs"),
        ("benchmark: {}", "no benchmark runs"),
        ("benchmark: {runs: 3}", "runs of profile own.yaml must be a list, found 3"),
        ("benchmark: {runs: [unet]}", "run 1 of profile own.yaml must be a mapping .* found 'unet'"),
        ("benchmark: {common: fast, runs: [{}]}", "common of profile own.yaml must be a mapping"),
        ("benchmark: [unet]", "benchmark of profile own.yaml must be a mapping"),
        (
            RUNS + "gallery: {sizes: 8}",
            "gallery of profile own.yaml has unknown entry sizes; it may have",
        ),
        (
            RUNS + "compositing: {n_example: 8}",
            "compositing of profile own.yaml has unknown entry n_example; it may have",
        ),
        (
            RUNS + "collection: {threshold: 8}",
            "collection of profile own.yaml has unknown entry threshold; it may have leakage_threshold",
        ),
        (RUNS + "compositing: [8]", "compositing of profile own.yaml must be a mapping"),
        ("description: nothing else", "benchmark of profile own.yaml must be a mapping"),
        ("", "profile own.yaml must be a mapping"),
        ("- a list", "profile own.yaml must be a mapping"),
        ("a: [1", r"own\.yaml is not YAML"),
        ("!!python/object/apply:os.getcwd []", r"own\.yaml is not YAML"),
    ],
)
def test_mistakes_are_named(profile, text, message):
    with pytest.raises(ParameterError, match=message) as caught:
        profile(text)
    assert "\n" not in str(caught.value)


def test_not_text(tmp_path):
    (tmp_path / "own.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ParameterError, match="is not YAML"):
        load_profile(str(tmp_path / "own.yaml"))


@pytest.mark.parametrize("name", ["nope", "nope.yaml", "", "../profiles/nope"])
def test_profile_that_does_not_exist(name):
    with pytest.raises(
        ParameterError, match=r"does not exist; use evening, paper, quick, smoke, or the path of a \.yaml file"
    ):
        load_profile(name)


def test_unknown_home(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "home", tmp_path)
    with pytest.raises(ParameterError, match="'quick' does not exist; use a path"):
        load_profile("quick")
