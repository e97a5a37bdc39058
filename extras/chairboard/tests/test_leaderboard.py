"""Rows of the leaderboard: written from runs, computed again from their counts, scored again with their weights."""

import copy
import json
import shutil
from dataclasses import dataclass
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from chairboard import leaderboard
from chairboard.leaderboard import read_row, rows, score_counts, submit, verify
from chairboard.tables import MINUS_BEST, PAPER, answer, checks, common_terms, cost_tables, costs, origins, tables
from chairlib.benchmark.jobs import board_job
from chairlib.benchmark.models import build_model
from chairlib.benchmark.protocols import Protocol
from chairlib.benchmark.report import open_report
from chairlib.benchmark.run import open_run, train
from chairlib.build import notebooks
from chairlib.core import paths, runs
from chairlib.core.errors import ChairlibError, ParameterError, RecordError

TOY = {"images": 640, "val_images": 6, "test_images": 8, "evaluations": 2}
#: The rows of the repository itself.
REPOSITORY = paths.package.parent / "leaderboard"


@dataclass(frozen=True)
class Toy(Protocol):
    """A protocol that takes a second instead of minutes."""

    def parameters(self):
        return {**super().parameters(), **TOY}


@pytest.fixture(scope="module")
def toy(collection):
    """The toy protocol in the place of version 1, for data drawn by a test."""
    patch = pytest.MonkeyPatch()
    real = leaderboard.get_protocol

    def get_protocol(name, data="mini"):
        protocol = real(name, data)
        return protocol if data == "mini" else Toy(protocol.data_hash, protocol.resolution)

    patch.setattr(leaderboard, "get_protocol", get_protocol)
    yield Toy(collection.hash, 32)
    patch.undo()


@pytest.fixture(scope="module")
def start(collection, toy):
    def open_one(**changes):
        own = {"data": str(collection.root), "width": 4, "device": "cpu"}
        return open_run(**{**own, **toy.parameters(), **changes})

    return open_one


@pytest.fixture(scope="module")
def made(start, toy, tmp_path_factory):
    """Three seeds of a small U-Net, and their row."""
    patch = pytest.MonkeyPatch()
    home = tmp_path_factory.mktemp("board")
    patch.setattr(paths, "runs", home / "runs")
    records = [train(start(seed=seed), progress=False) for seed in toy.seeds]
    file = submit(records[1].name, home / "leaderboard", by="A. Person", link="https://example.org/net")
    yield SimpleNamespace(records=records, file=file, runs=[record.name for record in records], home=home)
    patch.undo()


@pytest.fixture
def falsify(made, tmp_path):
    """The row with one thing changed, as a file of its own."""

    def write(change):
        content = copy.deepcopy(read_row(made.file).content)
        change(content)
        file = tmp_path / "row.json"
        file.write_text(json.dumps(content))
        return file

    return write


def more_pixels(content, seed=0, share=0.05):
    """Let the masks of one seed overlap more than they do, with scores to match: only weights can tell."""
    images = content["images"]
    pairs = zip(images["intersection"][seed].split(), images["target"].split(), strict=True)
    raised = [min(int(both) + round(share * int(target)), int(target)) for both, target in pairs]
    predicted = [max(int(old), new) for old, new in zip(images["predicted"][seed].split(), raised, strict=True)]
    images["intersection"][seed], images["predicted"][seed] = (" ".join(map(str, part)) for part in (raised, predicted))
    rescore(content)


def rescore(content):
    content["scores"] = score_counts(leaderboard.Row(None, content).counts)


# -- what submit writes ---


def test_a_row_says_what_its_runs_say(made, collection, toy):
    row = read_row(made.file)
    assert made.file == made.home / "leaderboard" / f"{collection.hash}-32-v1" / "u-net-width-4.json"
    assert (row.protocol, row.content["title"], row.seeds) == (toy.name, "U-Net, width 4", [0, 1, 2])
    for metric, scores in row.content["scores"].items():
        assert scores["by_seed"] == pytest.approx([one.metrics["test"][metric] for one in made.records], abs=1e-4)
        assert scores["mean"] == pytest.approx(np.mean(scores["by_seed"]), abs=2e-4)
        assert 0 <= scores["low"] < scores["mean"] < scores["high"] <= 100
    assert row.content["data"] == {"name": "drawn", "hash": collection.hash}
    assert row.content["cost"]["images"] == made.records[0].content["images_seen"]
    assert row.content["cost"]["seconds"] == pytest.approx(
        np.mean([r.content["seconds"] for r in made.records]), abs=0.01
    )
    assert row.content["runs"] == made.runs
    assert not {"seed", "device", "data"} & row.content["settings"].keys()
    assert str(collection.root) not in made.file.read_text()
    assert (row.facts["author"], row.facts["link"]) == ("A. Person", "https://example.org/net")


def test_intervals_are_those_of_the_report(made, collection):
    _, _, iou, low, high = open_report(str(collection.root), made.runs).by_resolution().iloc[0]
    scores = read_row(made.file).content["scores"]["iou"]
    assert (scores["mean"], scores["low"], scores["high"]) == pytest.approx((iou, low, high), abs=1e-4)


def test_counts_are_those_of_the_test_composites(made):
    for counts, record in zip(read_row(made.file).counts, made.records, strict=True):
        kept = record.table("test_images")
        assert counts["group"].tolist() == kept["group"].tolist()
        iou = counts["intersection"] / (counts["predicted"] + counts["target"] - counts["intersection"])
        assert (100 * iou).tolist() == pytest.approx(kept["iou"].tolist())


def test_missing_seeds_are_named_with_the_command_that_makes_them(own_runs, made, collection, toy):
    shutil.copytree(made.records[1].folder, own_runs / made.runs[1])
    with pytest.raises(RecordError) as error:
        submit(made.runs[1], own_runs)
    command = f"chairlib benchmark --protocol {toy.name} --model unet --width 4 --data {collection.root}"
    assert str(error.value) == f"a row lacks seed 0, 2; make what is missing: {command}"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": 64}, "images 64 instead of 640"),
        ({"batch_size": 4}, "batch_size 4 instead of None"),
        ({"learning_rate": 0.5}, r"learning_rate 0.5 instead of one of \(0.006, 0.02, 0.06\)"),
    ],
)
def test_a_run_of_other_terms_is_refused(own_runs, start, change, words):
    record = train(start(**{"images": 32, **change}), progress=False)
    with pytest.raises(ParameterError, match=f"does not follow the protocol .*{words}"):
        submit(record.name, own_runs)


def edit_record(folder, **entries):
    content = json.loads((folder / "record.json").read_text())
    (folder / "record.json").write_text(json.dumps(content | entries))


@pytest.mark.parametrize("part", ["code", "data"])
def test_a_stale_run_is_refused(own_runs, made, part):
    folder = shutil.copytree(made.records[0].folder, own_runs / made.runs[0])
    edit_record(folder, **{part: {**made.records[0].content[part], "hash": "0" * 16}})
    with pytest.raises(RecordError, match=f"is stale: it was made .* other {part}"):
        submit(made.runs[0], own_runs)


def test_a_run_whose_model_has_changed_is_refused(own_runs, made):
    shutil.copytree(made.records[0].folder, own_runs / "benchmark-other-name")
    with pytest.raises(RecordError, match="benchmark-other-name is stale: its model or weights"):
        submit("benchmark-other-name", own_runs)


def test_a_checkout_with_changes_is_noted(own_runs, made):
    for record, commit in zip(made.records, ("abc", "abc+", None), strict=True):
        shutil.copytree(record.folder, own_runs / record.name)
        edit_record(own_runs / record.name, code={**record.content["code"], "commit": commit})
    row = read_row(submit(made.runs[0], own_runs / "board"))
    assert row.content["notes"] == [f"{made.runs[1]} was made from a checkout with changes that were not committed."]
    assert row.content["notes"][0] in row.notes


def test_what_is_no_run_of_the_benchmark_is_refused(own_runs, made):
    folder = shutil.copytree(made.records[0].folder, own_runs / "transfer-other")
    edit_record(folder, kind="transfer")
    with pytest.raises(ParameterError, match="of the kind transfer"):
        submit("transfer-other")
    with pytest.raises(RecordError, match="no finished run is called 'benchmark-nothing'"):
        submit("benchmark-nothing")


def test_a_row_never_takes_the_place_of_another_model(made, falsify, start):
    assert submit(made.runs[0], made.file.parent.parent, by="A. Person", link="https://example.org/net") == made.file
    other = falsify(lambda content: content["settings"].update(width=8))
    place = other.parent / made.file.parent.name / made.file.name
    place.parent.mkdir()
    other.rename(place)
    with pytest.raises(ParameterError, match="other settings: give this one another title"):
        submit(made.runs[0], other.parent)
    assert submit(made.runs[0], other.parent, title="My U-Net!").name == "my-u-net.json"


def test_runs_of_different_models_are_no_row(made, start):
    other = train(start(width=2, images=32), progress=False)
    with pytest.raises(ParameterError, match=f"{made.runs[0]}, {other.name} are not of one model on the same terms"):
        submit([made.runs[0], other.name])


# -- learning rates that were tried ---


@pytest.fixture(scope="module")
def tried(made, start):
    """Runs of the three rates on the first seed, and of the highest rate on the others."""
    asked = [{"learning_rate": rate, "swept": True} for rate in (0.006, 0.02, 0.06)]
    asked += [{"learning_rate": 0.06, "swept": True, "seed": seed} for seed in (1, 2)]
    return [train(start(**one), progress=False) for one in asked]


@pytest.fixture
def sweep(own_runs, tried):
    """These runs alone, with validation IoUs that a test gives."""

    def make(*ious):
        for record in tried:
            shutil.copytree(record.folder, own_runs / record.name)
        for record, iou in zip(tried, ious, strict=False):
            edit_record(
                own_runs / record.name, metrics={**record.metrics, "val": {**record.metrics["val"], "iou": iou}}
            )
        return tried

    return make


def test_rates_that_were_tried_are_counted(sweep, own_runs, collection):
    low, middle, high, *_ = sweep(10.0, 20.0, 30.0)
    file = submit(high.name, own_runs / "board")
    content = read_row(file).content
    tried = [(one["learning_rate"], one["val_iou"], one["chosen"]) for one in content["sweep"]]
    assert tried == [(0.006, 10.0, False), (0.02, 20.0, False), (0.06, 30.0, True)]
    seen = [record.content["images_seen"] for record in (low, middle, high)]
    assert content["cost"]["images"] == sum(seen)
    assert content["title"] == "U-Net, width 4"
    assert common_terms([read_row(file)], read_row(file).protocol) == "3 seeds each, 3 learning rates tried"
    verify(file, data=str(collection.root))


def test_the_rate_is_the_one_that_validation_chose(sweep, own_runs, collection, tmp_path):
    *_, high, _, _ = sweep(10.0, 40.0, 30.0)
    with pytest.raises(RecordError, match=r"the learning rate 0.02, which validation chose \(IoU 40.00 %\)"):
        submit(high.name, own_runs / "board")


def other_rate(content):
    """Settings and recipe of another rate than the one that validation chose."""
    content["settings"]["learning_rate"] = content["recipe"]["learning_rate"] = 0.006


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content["sweep"][0].update(val_iou=99.0), "learning rate 0.006, which validation chose"),
        (lambda content: content["sweep"].pop(0), r"learning rates tried are \[0.02, 0.06\]"),
        (lambda content: content["sweep"].clear(), r"learning rates tried are \[\]"),
        (other_rate, r"learning rates chosen are \[0.06\], but must be \[0.006\]"),
        (lambda content: content["sweep"][1].update(images=1), "images of all runs, less the rates not chosen, are 13"),
        (lambda content: content["sweep"][2].update(images=1), "the images of the run with learning rate 0.06 are 1"),
        (lambda content: content["sweep"][1].pop("chosen"), "chosen is None"),
    ],
)
def test_a_falsified_choice_is_caught(sweep, own_runs, collection, change, words):
    *_, high, _, _ = sweep(10.0, 20.0, 30.0)
    file = submit(high.name, own_runs / "board")
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=words):
        verify(file, data=str(collection.root))


def test_a_rate_alone_is_no_sweep(own_runs, tried):
    for record in tried[2:]:
        shutil.copytree(record.folder, own_runs / record.name)
    with pytest.raises(RecordError, match=r"lacks learning rate 0.006, 0.02; make .* --width 4 --data .* --sweep$"):
        submit(tried[2].name)


# -- what verify finds ---


def test_without_weights_arithmetic_is_checked(made, collection):
    told = verify(made.file, data=str(collection.root))
    assert told == "arithmetic checked, not rescored (8 images of 4 groups, 3 seeds)"


def put(path, value):
    """A change of one entry of a row: ``"scores.iou.mean"``."""

    def change(content):
        *way, last = path.split(".")
        for name in way:
            content = content[int(name) if isinstance(content, list) else name]
        content[int(last) if isinstance(content, list) else last] = value

    return change


def one_count(name, by, seed=0):
    def change(content):
        first, _, rest = content["images"][name][seed].partition(" ")
        content["images"][name][seed] = f"{int(first) + by} {rest}"

    return change


def own_group(content):
    """The first image as a group by itself, with scores to match: more groups make intervals shorter."""
    images = content["images"]
    images["groups"].append("segment:other")
    images["group"] = f"{len(images['groups']) - 1} {images['group'].partition(' ')[2]}"
    rescore(content)


def smaller_targets(content):
    """Targets no larger than what was found, with scores to match."""
    content["images"]["target"] = content["images"]["intersection"][0]
    content["images"]["intersection"] = [content["images"]["intersection"][0]] * 3
    content["images"]["predicted"] = [content["images"]["predicted"][0]] * 3
    rescore(content)


def same_seed(content):
    """The first seed three times, with scores to match."""
    for name in ("intersection", "predicted"):
        content["images"][name] = [content["images"][name][0]] * 3
    rescore(content)


def fewer_images(content):
    images = content["images"]
    for name in ("group", "target"):
        images[name] = images[name].rpartition(" ")[0]
    for name in ("intersection", "predicted"):
        images[name] = [text.rpartition(" ")[0] for text in images[name]]
    rescore(content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: put("scores.iou.mean", content["scores"]["iou"]["mean"] + 0.01)(content), "its iou, mean, is"),
        (
            lambda content: put("scores.dice.low", content["scores"]["dice"]["low"] + 1)(content),
            "its dice, low end, is",
        ),
        (lambda content: put("scores.pooled_iou.high", 99.0)(content), "its pooled_iou, high end, is 99.0"),
        (lambda content: put("scores.precision.by_seed.1", 99.0)(content), "its precision, of seed 1, is 99.0"),
        (lambda content: put("scores.iou.mean", None)(content), "its iou, mean, is nan"),
        (one_count("intersection", -1), "its iou, mean, is"),
        (one_count("predicted", 1, seed=2), "its iou, mean, is"),
        (own_group, "the group of image 0 is segment:other"),
        (smaller_targets, "the chair pixels of image"),
        (fewer_images, "the number of its images is 7, but must be 8"),
        (put("images.pixels", 4096), "the pixels of its images are 4096"),
        (put("data.hash", "0" * 16), "its data have the hash 0000000000000000"),
        (put("protocol", f"{'0' * 16}-32-v1"), "is of data with the hash 0000000000000000"),
        (put("protocol", "mini-33-v1"), "unknown protocol 'mini-33-v1'"),
        (put("protocol", "32-v1"), "its protocol is 32-v1"),
        (put("seeds", [0, 1, 3]), r"its seeds are \[0, 1, 3\], but must be \[0, 1, 2\]"),
        (put("settings.images", 6400), "its setting images is 6400, but must be 640"),
        (put("settings.learning_rate", 0.5), "its setting learning_rate is 0.5"),
        (put("settings.widht", 3), "no parameter widht"),
        (put("recipe.learning_rate", 0.06), "its recipe's learning_rate is 0.06, but must be 0.02"),
        (put("recipe.more", 1), "its recipe's more is 1, but must be None"),
        (same_seed, "its seeds 0 and 1 have the same counts in every image"),
        (lambda content: put("weights.2", content["weights"][0])(content), "its seeds 0 and 2 have the same weights"),
        (put("cost.images", 1), "the images of all runs, less the rates not chosen, are 1, but must be 640 to 672"),
        (put("cost.seconds", 0), "the seconds of all runs, less the rates not chosen, are 0, but must be above 0"),
        (put("half_images", 640), "its images of half the size are 640, but must be 0 or about 336"),
    ],
)
def test_a_falsified_row_is_caught(falsify, collection, change, words):
    with pytest.raises(ChairlibError, match=words) as error:
        verify(falsify(change), data=str(collection.root))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("schema", 2), "has version 2, but 1 is the newest known here: update chairlib"),
        (put("schema", None), "schema"),
        (put("more", 1), "missing or of another type: more"),
        (lambda content: content.pop("cost"), "missing or of another type: cost"),
        (put("cost.seconds", -1), "seconds is -1, but must be a number of at least 0"),
        (put("cost.images", None), "images is None, but must be a number of at least 0"),
        (put("half_images", "none"), "another type: half_images"),
        (put("seeds", [0, 1]), "entries of 2 and 3 seeds"),
        (put("seeds", []), "entries of 0 and 3 seeds"),
        (put("images.target", "many"), "many"),
        (put("images.group", "9 9"), "no row"),
        (put("images.intersection.0", 7), "no row"),
        (put("scores.iou", {}), "mean"),
        (one_count("intersection", 2000, seed=1), "seed 1, image 0: counts that no two masks have"),
        (one_count("intersection", -2000), "seed 0, image 0: counts that no two masks have"),
    ],
)
def test_what_is_no_row_is_one_line(falsify, change, words):
    with pytest.raises(RecordError, match=words) as error:
        read_row(falsify(change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", "null", '"row"'])
def test_neither_are_other_files(tmp_path, text):
    (tmp_path / "row.json").write_text(text)
    with pytest.raises(RecordError, match="is no row of a leaderboard"):
        verify(tmp_path / "row.json")
    with pytest.raises(RecordError, match="is no row of a leaderboard"):
        verify(tmp_path / "missing.json")


# -- with weights ---


def test_with_weights_the_model_is_scored(made, collection):
    told = verify(made.file, made.runs, str(collection.root), "cpu")
    assert told.startswith("rescored on ")
    assert told.endswith("3 of 3 seeds; all counts of 24 images agree")


def test_weights_may_be_files_and_of_some_seeds(made, collection, tmp_path):
    file = shutil.copy(made.records[0].file("weights.safetensors"), tmp_path)
    told = verify(made.file, [str(file)], str(collection.root), "cpu")
    assert "1 of 3 seeds; all counts of 8 images agree" in told
    with pytest.raises(ParameterError, match="4 weights are too many for 3 seeds"):
        verify(made.file, [*made.runs, str(file)], str(collection.root))
    with pytest.raises(ChairlibError, match=r"nothing\.safetensors"):
        verify(made.file, ["nothing.safetensors"], str(collection.root))


@pytest.mark.parametrize("seed", [0, 2])
def test_numbers_that_the_weights_do_not_give_are_caught(made, falsify, collection, seed):
    file = falsify(lambda content: more_pixels(content, seed))
    assert verify(file, data=str(collection.root)).startswith("arithmetic checked")
    with pytest.raises(RecordError) as error:
        verify(file, made.runs, str(collection.root), "cpu")
    told = str(error.value)
    assert f"its iou of seed {seed} is " in told
    gives = made.records[seed].metrics["test"]["iou"]
    assert f"{made.runs[seed]} gives {gives:.2f} %" in told
    assert "of 8 images have other counts" in told
    assert "\n" not in told


def test_other_weights_are_caught(made, collection):
    with pytest.raises(RecordError, match="does not hold: its iou of seed 0"):
        verify(made.file, made.runs[::-1], str(collection.root), "cpu")


def test_counts_of_other_images_at_the_same_mean_are_caught(made, falsify, collection):
    """Two images swap pixels: all scores of the seed stay, but the images are not those of the weights."""

    def swap(content):
        images = content["images"]
        both, predicted = ([int(n) for n in images[name][0].split()] for name in ("intersection", "predicted"))
        for one, other in ((0, 1), (2, 3), (4, 5), (6, 7)):  # of one chair: their targets are equal
            for part in (both, predicted):
                part[one], part[other] = part[other], part[one]
        images["intersection"][0], images["predicted"][0] = (" ".join(map(str, part)) for part in (both, predicted))

    file = falsify(swap)
    assert verify(file, data=str(collection.root)).startswith("arithmetic checked")
    with pytest.raises(RecordError, match=r"scored with .*, seed 0: \d of 8 images have other counts"):
        verify(file, made.runs, str(collection.root), "cpu")


def test_rounding_of_other_hardware_is_let_pass_and_counted(made, falsify, collection):
    def change(content):
        one_count("predicted", 1)(content)
        rescore(content)

    told = verify(falsify(change), made.runs, str(collection.root), "cpu")
    assert "1 of 24 images have other counts" in told


def test_notes_say_what_differs_beside_the_numbers(made, falsify, collection):
    file = falsify(lambda content: (put("weights.0", "0" * 16)(content), put("code.hash", "0" * 16)(content)))
    told = verify(file, made.runs[:1], str(collection.root), "cpu")
    assert f"{made.runs[0]} is another file than the row's; the row was made by other code of chairlib" in told


def test_other_code_of_a_model_is_caught(made, falsify, collection):
    file = falsify(put("model_code", "0" * 16))
    with pytest.raises(RecordError, match="is of the code 0000000000000000 of unet, here it is None"):
        verify(file, made.runs, str(collection.root), "cpu")


# -- trained elsewhere ---


@pytest.fixture
def scored(made, start, tmp_path):
    """The row of weights that were trained elsewhere, and its file of weights."""
    weights = shutil.copy(made.records[2].file("weights.safetensors"), tmp_path / "mine.safetensors")
    record = train(start(weights=str(weights), images=None), progress=False)
    return submit(record.name, tmp_path / "board", title="Mine"), weights


def test_what_was_trained_elsewhere_has_a_row_apart(scored, made, collection, toy):
    file, weights = scored
    row = read_row(file)
    assert file.parent.name == f"{toy.name}-scored"
    assert row.protocol == toy.name
    assert row.content["settings"]["weights"] == "mine.safetensors"
    assert row.content["scores"]["iou"]["mean"] == pytest.approx(made.records[2].metrics["test"]["iou"], abs=0.05)
    assert verify(file, data=str(collection.root)).startswith("arithmetic checked")
    assert verify(file, [str(weights)], str(collection.root), "cpu").startswith("rescored")
    shown = tables([row, read_row(made.file)], toy.name)["IoU"]
    assert shown.index.tolist() == ["U-Net, width 4", "Mine (trained elsewhere)"]
    assert shown["seeds"].tolist() == [3, 1]  # a column of its own where rows differ
    assert common_terms([row, read_row(made.file)], toy.name) == "1 learning rate tried"
    assert answer([row], toy.name) == [f"No model has an IoU under {toy.name} yet."]
    assert costs([row, read_row(made.file)], toy.name)["model"].tolist() == ["U-Net, width 4"]


def test_a_model_that_was_given_as_an_object_has_a_row_too(own_runs, start, collection):
    """Its run has a title instead of a name to build it by, so it cannot be scored from its row."""
    settings = start(weights="built").settings.with_changes(model="my own")
    run = runs.open_run(settings, "drawn", collection.hash, weights="0" * 16)
    record = train(run, progress=False, model=build_model("unet", 4), title="My own net")
    file = submit(record.name, own_runs / "board")
    assert file.name == "my-own-net.json"
    assert verify(file, data=str(collection.root)).startswith("arithmetic checked")
    with pytest.raises(ParameterError, match="unknown model 'my own'"):
        verify(file, [record.name], str(collection.root))


def test_weights_as_built_are_no_other_file(own_runs, start, collection, tmp_path, monkeypatch):
    (tmp_path / "darkness.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return 0.4 - x.mean(1, True)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    record = train(start(model="darkness:Net", width=None, weights="built"), progress=False)
    file = submit(record.name, own_runs / "board")
    told = verify(file, ["built"], str(collection.root), "cpu")
    assert told.endswith("1 of 1 seeds; all counts of 8 images agree")


def test_a_row_without_half_images_still_holds(made, falsify, collection):
    """Older rows have none; of the others, those trained at full size throughout say so."""
    file = falsify(lambda content: content.pop("half_images"))
    assert verify(file, data=str(collection.root)).startswith("arithmetic checked")
    assert "no images of half the size" not in " ".join(read_row(file).notes)
    assert read_row(made.file).content["half_images"] == made.records[0].content["half_images"] == 0
    assert "no images of half the size" in " ".join(read_row(made.file).notes)


def test_it_cannot_pass_for_one_of_the_protocol(scored, collection, toy):
    file, _ = scored
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "protocol": toy.name}))
    with pytest.raises(RecordError, match=f"its protocol is {toy.name}, but must be {toy.name}-scored"):
        verify(file, data=str(collection.root))


# -- tables and pages ---


def with_iou(row, title, iou):
    content = copy.deepcopy(row.content)
    content["title"], content["author"] = title, None
    content["scores"]["iou"].update(
        mean=iou, low=None if iou is None else iou - 1, high=None if iou is None else iou + 1
    )
    return leaderboard.Row(row.file, content)


def test_the_best_row_comes_first_and_the_papers_scores_stand_beside_its_models(made, toy):
    row = read_row(made.file)
    found = [with_iou(row, title, iou) for title, iou in (("worse", 30.0), ("none", None), ("best", 50.0))]
    shown = tables(found, toy.name)
    assert list(shown) == ["IoU", "Dice", "precision", "pooled IoU"]
    assert shown["IoU"].index.tolist() == ["best", "worse", "none"]
    assert shown["IoU"]["IoU, %"].iloc[0] == (50.0, 49.0, 51.0)
    assert shown["IoU"].columns.tolist() == ["IoU, %", MINUS_BEST, PAPER]
    assert set(shown["IoU"][PAPER]) == {"77.59"}  # as printed, at 32 pixels
    assert shown["Dice"].columns.tolist() == ["Dice, %"]  # the paper printed none at 32 pixels
    assert tables(found, "mini-64-v1") == {}
    others = [copy.deepcopy(one) for one in found]
    for one in others:
        one.content["settings"]["model"] = "some:net"
    assert PAPER not in tables(others, toy.name)["IoU"]


def test_differences_to_the_best_are_paired(made, toy, falsify):
    """By hand: the same masks with more overlap; only the first row's own cell, and other seeds, have none."""
    best = read_row(falsify(lambda content: [more_pixels(content, seed, 0.2) for seed in range(3)]))
    row = read_row(made.file)
    less = tables([row, best], toy.name)["IoU"][MINUS_BEST]
    assert less.iloc[0] is None
    mean, low, high = less.iloc[1]
    ious = [one.content["scores"]["iou"] for one in (row, best)]
    assert mean == pytest.approx(ious[0]["mean"] - ious[1]["mean"], abs=1e-3)
    assert low < mean < high < 0
    assert high - low < ious[0]["high"] - ious[0]["low"]  # what is hard for both is no difference
    other = copy.deepcopy(row)
    other.content["seeds"].pop()
    assert MINUS_BEST not in tables([best, other], toy.name)["IoU"]


def test_the_answer_is_right_whatever_the_rows_are(made, toy, falsify):
    best = read_row(falsify(lambda content: [more_pixels(content, seed, 0.2) for seed in range(3)]))
    row, name = read_row(made.file), toy.name
    best.content["title"], best.content["cost"]["seconds"] = "Better", row.content["cost"]["seconds"] + 10
    iou, less = best.content["scores"]["iou"], tables([row, best], name)["IoU"][MINUS_BEST].iloc[1]
    first, second, third = answer([row, best], name)
    interval = f"(95 % interval {iou['low']:.1f} to {iou['high']:.1f})"
    assert first == f"Under {name}, the highest IoU of 2 models is {iou['mean']:.1f} % {interval}, by Better."
    interval = f"(95 % interval {-less[2]:.1f} to {-less[1]:.1f})"
    assert second == f"The next is {-less[0]:.1f} points lower {interval}, clearly worse: U-Net, width 4."
    assert "the fastest took " in third
    best.content["cost"]["seconds"] = 0
    assert answer([row, best], name)[2] == "The best model is also the one that trained fastest, in 0 s."
    assert "), no clear difference: " in answer([row, with_iou(row, "twin", 1.0)], name)[1]
    other = copy.deepcopy(row)
    other.content["seeds"].pop()
    assert "cannot be compared image by image: seeds or groups differ: " in answer([best, other], name)[1]
    assert answer([row], name)[0].startswith(f"Under {name}, the only model has an IoU of ")
    assert len(answer([row], name)) == 1
    for found in ([], [with_iou(row, "none", None)]):
        assert answer(found, name) == [f"No model has an IoU under {name} yet."]


def test_what_rows_share_is_said_once(made, toy, falsify):
    row = read_row(made.file)
    other = read_row(falsify(lambda content: content.update(title="Other", machine="a GPU")))
    title, lines = origins([row, other])
    assert title.startswith("Where the rows are from: A. Person, https://example.org/net, ")
    assert lines[1].startswith("Other: a GPU.")
    assert "https://example.org/net" in origins([row])[1][0]
    assert origins([]) == ("Where the rows are from", [])
    assert checks([("A", "rescored"), ("B", "rescored"), ("C", "not")]) == ["Rescored: A; B.", "Not: C."]


def test_cost_has_what_is_the_same_in_its_captions(made, toy, falsify):
    row = read_row(made.file)
    needs, speed = cost_tables([row, with_iou(row, "none", None)], toy.name).items()
    images = row.content["cost"]["images"]
    assert needs[0] == f"What a model needs, protocol {toy.name} ({images:,.0f} images trained on)"
    assert needs[1].columns.tolist() == ["model", "parameters, millions", "operations an image, millions"]
    assert speed[0].endswith(f"(on {row.content['machine']})")
    other = read_row(falsify(lambda content: content.update(machine="a GPU")))
    other.content["cost"]["images"] *= 2
    needs, speed = cost_tables([row, other], toy.name).items()
    assert needs[1]["images trained on"].tolist() == [f"{images:,.0f}", f"{2 * images:,.0f}"]
    assert speed[0].endswith("(each on its own machine)")
    assert cost_tables([], toy.name) == {}


def test_costs_have_what_the_picture_takes(made, toy):
    row = read_row(made.file)
    spent = costs([row, with_iou(row, "none", None)], toy.name)
    assert spent["model"].tolist() == ["U-Net, width 4", "none"]
    assert spent["iou"].isna().tolist() == [False, True]
    assert {"low", "high", "seconds", "flops", "parameters"} <= set(spent.columns)
    assert set(map(str, spent.dtypes.drop("model"))) == {"float64"}
    assert len(costs([], toy.name)) == 0


def test_rows_are_found_below_a_folder(made, tmp_path):
    assert [row.content["title"] for row in rows(made.home / "leaderboard")] == ["U-Net, width 4"]
    assert rows(tmp_path / "nothing") == []


def test_the_page_is_made_again_once_a_row_changes(made, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "board", tmp_path)
    run = open_run(width=4)
    empty = board_job([run])
    shutil.copytree(made.file.parent, tmp_path / made.file.parent.name)
    filled = board_job([run])
    assert empty.data_hash != filled.data_hash == board_job([run]).data_hash
    assert (filled.parameters, filled.needs) == ({"runs": [run.name]}, (run.folder / "record.json",))
    assert filled.notebook == filled.out.stem == "08_leaderboard"


def test_the_page_shows_the_rows(made, tmp_path, monkeypatch, toy):
    pytest.importorskip("papermill")
    monkeypatch.setenv("CHAIRLIB_HOME", str(made.home))
    page = notebooks.execute("08_leaderboard", {}, tmp_path / "page.ipynb")
    outputs = [str(cell.get("outputs")) for cell in nbformat.read(page, as_version=4).cells]
    assert "rows: 1" in " ".join(outputs)
    assert f"IoU, protocol {toy.name}" in " ".join(outputs)
    assert "https://example.org/net" in " ".join(outputs)


# -- the rows of this repository ---


def test_every_row_here_holds():
    assert len(rows(REPOSITORY)) >= 7
    for row in rows(REPOSITORY):
        assert row.content["protocol"] == row.file.parent.name
        assert row.file.stat().st_size < 60_000, row.file
        if row.protocol.startswith("mini-"):  # other data are not here
            assert verify(row.file).startswith("arithmetic checked"), row.file
        assert not [note for note in row.content["notes"] if "not committed" in note], row.file


@pytest.mark.slow
def test_the_cheapest_row_can_be_trained_again(own_runs, made, collection, tmp_path, monkeypatch):
    """Its first seed. On the same machine the counts are the row's; elsewhere training goes another way, as by luck."""
    ours = [row for row in rows(REPOSITORY) if row.content["protocol"] in ("mini-32-v1", "mini-64-v1")]
    ours = [row for row in ours if ":" not in row.content["settings"]["model"]]  # other libraries may be missing
    row, data = read_row(made.file), str(collection.root)
    if ours:
        monkeypatch.undo()
        monkeypatch.setattr(paths, "runs", own_runs)
        row, data = min(ours, key=lambda one: one.content["cost"]["seconds"]), "mini"
    record = train(open_run(**row.content["settings"], data=data, seed=row.seeds[0]), progress=False)
    same = all(record.content[name] == row.content[name] for name in ("packages", "code"))
    if same and record.content["hardware"] == row.content["machine"]:
        assert verify(row.file, [record.name], data).startswith("rescored")
    ious = row.content["scores"]["iou"]["by_seed"]
    assert record.metrics["test"]["iou"] == pytest.approx(ious[0], abs=max(6.0, 3 * np.std(ious, ddof=1)))

    content, file = copy.deepcopy(row.content), tmp_path / "row.json"
    kept = record.table("test_images")
    for name in ("intersection", "predicted"):
        content["images"][name][0] = " ".join(map(str, kept[name]))
    rescore(content)
    file.write_text(json.dumps(content))
    assert verify(file, [record.name], data).startswith("rescored")
    more_pixels(content)
    file.write_text(json.dumps(content))
    with pytest.raises(RecordError, match="does not hold"):
        verify(file, [record.name], data)


# -- the command line ---


def test_submit_and_verify_on_the_command_line(made, call, collection):
    status, out, _ = call("submit", made.runs[0], "--out", "rows", "--title", "Mine", "--by", "Me")
    assert status == 0
    file = f"rows/{made.file.parent.name}/mine.json"
    assert out.startswith(f"{file} (")
    status, out, _ = call("verify", file, "--data", collection.root)
    assert (status, out) == (0, f"{file}: arithmetic checked, not rescored (8 images of 4 groups, 3 seeds)\n")
    options = [part for run in made.runs for part in ("--weights", run)]
    status, out, _ = call("verify", file, "--data", collection.root, *options, "--device", "cpu")
    assert status == 0
    assert "rescored on" in out


def test_the_command_line_says_what_is_wrong_in_one_line(fails, falsify, made, collection):
    assert "no row of a leaderboard" in fails("verify", "missing.json")
    file = falsify(put("scores.iou.mean", 99.0))
    assert "its iou, mean, is 99.0" in fails("verify", file, "--data", collection.root)
    assert "benchmark-nothing" in fails("submit", "benchmark-nothing")
