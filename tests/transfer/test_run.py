"""One fine-tuning run: its parameters are checked, it starts from the weights it names, and its record is complete."""

import ast
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from IPython.display import HTML
from PIL import Image

from chairlib import CompositeLoader, ObjectDiscovery, fine_tune
from chairlib.benchmark import run as benchmark
from chairlib.benchmark.models import build_model
from chairlib.benchmark.training import evaluate
from chairlib.compositing.image_sets import StoredSet
from chairlib.core import paths, runs
from chairlib.core.errors import ChairlibError, CollectionError, ParameterError, RecordError
from chairlib.core.published import table3
from chairlib.core.tensors import load_tensors, save_tensors
from chairlib.show.pictures import composite_grid
from chairlib.transfer import run as transfer
from chairlib.transfer.report import open_report
from drawing import draw_photos

CPU = torch.device("cpu")
TINY = {"width": 2, "resolution": 32, "images": 64, "evaluations": 2, "device": "cpu"}
CHAIRS = {
    "width": 2,
    "resolution": 32,
    "images": 64,
    "val_images": 6,
    "test_images": 8,
    "evaluations": 2,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def pretrained(collection):
    return benchmark.train(benchmark.open_run(data=str(collection.root), **CHAIRS), progress=False)


@pytest.fixture(scope="module")
def scratch(photos):
    return transfer.train(transfer.open_run(data=str(photos), **TINY), progress=False)


@pytest.fixture(scope="module")
def tuned(photos, pretrained):
    return fine_tune(pretrained=pretrained, data=str(photos), progress=False, **TINY)


def test_a_record_tells_everything(scratch):
    content = scratch.content
    assert content["kind"] == "transfer"
    assert content["data"]["name"] == "drawn car"
    assert content["code"]["hash"] == runs.code_hash("transfer")
    assert content["scored_split"] == "val"
    assert (content["published_split"], content["chosen_on_scored"]) == (False, False)
    assert scratch.metrics["val"]["iou"] == pytest.approx(scratch.history()["val_iou"].iloc[-1])
    assert (scratch.metrics["val"]["n_images"], scratch.metrics["val"]["n_left_out"]) == (4, 1)
    assert content["n_train_images"] == 16
    assert content["started_from"] is None
    assert content["pretrained_on"] is None
    assert content["images_seen"] == 64
    test = scratch.metrics["test"]
    assert (test["n_images"], test["n_left_out"]) == (4, 1)  # one of the four has no car
    assert test["interval_units"] == "images"
    assert scratch.table("test_images")["id"].tolist() == [17, 18, 19, 20]
    history = scratch.history()
    assert history["images"].tolist() == [0, 32, 64]  # scored before the first step too, which has no training loss
    assert history["train_loss"].isna().tolist() == [True, False, False]


def test_it_starts_from_the_weights_it_names(pretrained, photos, monkeypatch, own_runs):
    seen = {}

    def look(model, *_, **__):
        seen.update({name: tensor.clone() for name, tensor in model.state_dict().items()})
        raise ChairlibError("seen enough")

    for file in pretrained.folder.iterdir():
        (own_runs / pretrained.name).mkdir(parents=True, exist_ok=True)
        (own_runs / pretrained.name / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(transfer, "fit", look)
    with pytest.raises(ChairlibError, match="seen enough"):
        fine_tune(pretrained=pretrained, data=str(photos), **TINY)
    weights, _ = load_tensors(pretrained.file("weights.safetensors"))
    assert all(torch.equal(seen[name], tensor) for name, tensor in weights.items())


def test_from_scratch_depends_on_the_seed_alone(scratch, photos, own_runs):
    again = transfer.train(transfer.open_run(data=str(photos), **TINY), progress=False)
    other = transfer.train(transfer.open_run(data=str(photos), **TINY, seed=1), progress=False)
    assert again.metrics == scratch.metrics
    assert other.metrics != scratch.metrics


def test_a_finished_run_is_only_read(tuned, pretrained, photos, monkeypatch):
    monkeypatch.setattr(transfer, "fit", lambda *_, **__: pytest.fail("trained twice"))
    assert fine_tune(pretrained=pretrained, data=str(photos), **TINY).content == tuned.content


def test_both_arms_differ_in_nothing_but_where_they_start(scratch, tuned, pretrained):
    differing = {name for name, value in tuned.parameters.items() if scratch.parameters[name] != value}
    assert differing == {"pretraining", "pretrained"}
    assert tuned.content["recipe"] == scratch.content["recipe"]
    assert tuned.content["images_seen"] == scratch.content["images_seen"]
    assert tuned.name != scratch.name
    assert tuned.content["pretrained_on"] == {
        "images_seen": pretrained.content["images_seen"],
        "budget": 64,
        "n_train_images": 60,
        "recipe": "fast",
    }


@pytest.mark.parametrize("recipe", transfer.RECIPES)
def test_arms_see_as_many_images_however_they_do(photos, own_runs, recipe):
    # A rate next to 0: nothing is ever learned, so that a recipe that stopped early would.
    frozen = {name: replace(one, learning_rate=1e-30) for name, one in transfer.RECIPES[recipe].items()}
    asked = {**TINY, "images": 160, "evaluations": 20, "recipe": recipe}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(transfer.RECIPES, recipe, frozen)
        seen = [
            transfer.train(transfer.open_run(data=str(photos), **asked, share=share), progress=False).content
            for share in (25, 100)
        ]
    assert [content["images_seen"] for content in seen] == [160, 160]
    assert not any(content["stopped_early"] or content["chosen_on_scored"] for content in seen)


def test_a_pretrained_record_may_be_given_by_its_name(photos, pretrained, tuned):
    assert fine_tune(pretrained=pretrained.name, data=str(photos), **TINY).content == tuned.content
    with pytest.raises(RecordError, match=r"benchmark-x.*does not exist"):
        fine_tune(pretrained="benchmark-x", data=str(photos), **TINY)


def test_the_title_of_a_run_names_photos_protocol_and_split(photos, scratch):
    run = transfer.open_run(data=str(photos), **TINY)
    assert transfer.run_title(run) == transfer.run_title(scratch) == "drawn car, protocol authors, val images"
    assert transfer.run_title(run, "train") == "drawn car, protocol authors, train images"
    folds = transfer.open_run(data=str(photos), **TINY, protocol="folds", fold=2)
    assert transfer.run_title(folds) == "drawn car, protocol folds (fold 2 of 5), test images"


def test_every_figure_of_the_chapter_names_the_protocol(photos):
    run = transfer.open_run(data=str(photos), **TINY)
    told = composite_grid(*transfer.preview(run, 2), title=transfer.run_title(run, "train"), noun="photos").alt
    assert told.startswith("drawn car, protocol authors, train images: 2 photos")
    assert "object is " in told
    cells = json.loads((paths.notebooks / "05_object_discovery.ipynb").read_text())["cells"]
    code = "".join(line for cell in cells if cell["cell_type"] == "code" for line in cell["source"])
    assert code.count("title=") == code.count("title=f") == 3
    assert code.count("run_title(") == 4  # a table has one too


def test_a_record_is_stale_once_the_pretrained_weights_change(photos, pretrained, own_runs):
    copy = own_runs / pretrained.name
    copy.mkdir(parents=True)
    for file in pretrained.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    record = fine_tune(pretrained=pretrained, data=str(photos), progress=False, **TINY)
    assert record.mismatch() is None
    weights, _ = load_tensors(copy / "weights.safetensors")
    changed = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    save_tensors(copy / "weights.safetensors", changed)
    assert "started from other weights" in record.mismatch()


def test_a_fine_tuned_record_is_no_pretraining(photos, scratch):
    with pytest.raises(RecordError, match="is no pretraining but of kind transfer"):
        fine_tune(pretrained=scratch, data=str(photos), progress=False, **{**TINY, "seed": 5})


def test_a_record_is_taken_for_what_it_was_pretrained_on(photos, pretrained):
    assert transfer.pretraining_of(pretrained) == "chair_segments"
    asked = transfer.open_run(data=str(photos), **TINY, pretraining="coco_chairs", pretrained=pretrained.name)
    with pytest.raises(
        RecordError, match="was pretrained on chair_segments, but pretraining 'coco_chairs' is asked for"
    ):
        transfer.train(asked, progress=False)


def test_a_checkpoint_from_other_weights_is_not_gone_on_with(photos, pretrained, own_runs, monkeypatch):
    copy = own_runs / pretrained.name
    copy.mkdir(parents=True)
    for file in pretrained.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    used = []

    def stop(*_, checkpoint, **__):
        used.append(checkpoint)
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer, "fit", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fine_tune(pretrained=pretrained, data=str(photos), progress=False, **TINY)
        weights, _ = load_tensors(copy / "weights.safetensors")
        save_tensors(copy / "weights.safetensors", {name: tensor * 2 for name, tensor in weights.items()})
    assert used[0] != used[1]
    assert used[0].parent == used[1].parent


def test_a_share_of_the_photos_is_used(photos, own_runs):
    record = transfer.train(transfer.open_run(data=str(photos), **TINY, share=25), progress=False)
    assert record.content["n_train_images"] == 4
    assert record.content["images_seen"] == 64


def test_photos_without_the_object_validate_and_are_scored_as_undefined(tmp_path, own_runs):
    draw_photos(tmp_path / "drawn", ("Car",))
    for number in range(17, 21):  # the last 20 %, which validate under the protocol authors
        Image.new("L", (48, 40)).save(tmp_path / f"drawn/Data/Car/GroundTruth/{number:04d}.png")
    record = fine_tune(data=str(tmp_path / "drawn"), progress=False, **TINY)
    assert record.metrics["val"]["iou"] is record.metrics["test"]["iou"] is None
    assert record.metrics["test"]["precision"] is not None
    full = open_report(str(tmp_path / "drawn"))
    assert full.records == [record]
    assert full.curves("car") == full.figure5("car") == {}
    assert full.steps_to_reach().empty


def test_the_chapter_says_in_words_what_needs_photos_with_the_object(tmp_path, own_runs):
    draw_photos(tmp_path / "drawn", ("Car",))
    for mask in (tmp_path / "drawn/Data/Car/GroundTruth").iterdir():
        Image.new("L", (48, 40)).save(mask)
    notebook = json.loads((paths.notebooks / "05_object_discovery.ipynb").read_text())
    parameters, *cells = ("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    names = {}
    exec(parameters, names)
    names.update(TINY, data=str(tmp_path / "drawn"))
    shown = []
    for cell in map(ast.parse, cells):
        *statements, last = cell.body
        exec(compile(ast.Module(statements, []), "a cell", "exec"), names)
        if isinstance(last, ast.Expr):  # what the notebook would show
            shown.append(eval(compile(ast.Expression(last.value), "a cell", "eval"), names))
        else:
            exec(compile(ast.Module([last], []), "a cell", "exec"), names)
    words = [output.data for output in shown if type(output) is HTML and "<" not in output.data]
    assert words == [
        "No curves: no validation photo holds the object, so there is no IoU.",
        "No photos to show: none of those that are scored holds the object.",
    ]


@given(st.integers(1, 99), st.integers(1, 99), st.integers(0, 9))
def test_shares_of_a_seed_are_nested(one, other, seed):
    ids = [f"{number:04d}" for number in range(30)]
    photos = StoredSet(torch.arange(30, dtype=torch.uint8)[:, None, None, None], torch.zeros(30, 1, 1, 1), CPU, "drawn")
    small, large = (
        set(transfer._share_of(photos, ids, share, seed).images.flatten().tolist()) for share in sorted((one, other))
    )
    assert small <= large
    assert len(small) == math.ceil(30 * min(one, other) / 100)


def test_each_seed_has_a_share_of_its_own_and_its_masks():
    ids = [f"{number:04d}" for number in range(30)]
    images = torch.arange(30, dtype=torch.uint8)[:, None, None, None]
    photos = StoredSet(images, images + 100, CPU, "drawn")
    shares = [transfer._share_of(photos, ids, 20, seed) for seed in range(5)]
    assert len({tuple(share.images.flatten().tolist()) for share in shares}) == 5
    assert all(torch.equal(share.masks, share.images + 100) for share in shares)
    assert torch.equal(transfer._share_of(photos, ids, 20, 3).images, shares[3].images)
    assert (
        len({share.data_hash for share in shares}) == 5
    )  # a checkpoint of another seed's photos is never gone on with
    assert transfer._share_of(photos, ids, 100, 3) is photos


def test_other_photos_are_another_run(photos, tmp_path):
    name = transfer.open_run(data=str(photos), **TINY).name
    draw_photos(tmp_path / "drawn", ("Car",), seed=1)
    assert transfer.open_run(data=str(tmp_path / "drawn"), **TINY).name != name
    assert transfer.open_run(data=str(photos), **TINY, protocol="folds", fold=1).name != name
    assert transfer.open_run(data=str(photos), **{**TINY, "device": "auto"}).name == name


def invert(mask):
    """Correct a mask on disk, as a person does between two cells of a notebook."""
    Image.eval(Image.open(mask).convert("L"), lambda value: 255 - value).save(mask)


def test_a_corrected_mask_is_another_run(tmp_path, own_runs):
    root = draw_photos(tmp_path / "drawn", ("Car",))
    before = fine_tune(data=str(root), progress=False, **TINY)
    opened = transfer.open_run(data=str(root), **{**TINY, "seed": 1})
    invert(root / "Data/Car/GroundTruth/0018.png")
    after = fine_tune(data=str(root), progress=False, **TINY)
    assert after.name != before.name
    assert after.metrics["test"]["precision"] != before.metrics["test"]["precision"]
    with pytest.raises(CollectionError, match=rf"have changed \(.*since run {opened.name} was opened.*open it again"):
        transfer.train(opened, progress=False)
    assert not opened.folder.exists()
    found = open_report(str(root))
    assert found.records == [after]
    assert found.left_out == [f"{before.name}: it was made from other photos (drawn car)"]


def test_photos_that_stay_as_they_are_are_read_once(photos, monkeypatch):
    before = transfer.open_run(data=str(photos), **TINY)
    monkeypatch.setattr(Path, "read_bytes", lambda file: pytest.fail(f"{file} was read again"))
    assert transfer.open_run(data=str(photos), **TINY) == before


def test_folds_are_scored_on_their_test_split(photos, own_runs):
    record = transfer.train(transfer.open_run(data=str(photos), **TINY, protocol="folds", fold=2), progress=False)
    assert record.content["scored_split"] == "test"
    assert record.metrics["test"]["n_images"] == 4


def test_counts_are_what_is_trained_and_scored(photos):
    assert transfer.count_images(transfer.open_run(data=str(photos), **TINY)) == (
        64,
        (1 + 2) * 4 + 4,
    )  # before the first step, and twice


def test_the_preview_shows_training_photos_with_their_masks(photos):
    images, masks = transfer.preview(transfer.open_run(data=str(photos), **TINY), 3)
    assert images.shape == (3, 32, 32, 3)
    assert masks.shape == (3, 32, 32)
    assert images[masks].mean() > images[~masks].mean() + 40


def test_examples_hold_photos_with_the_object(scratch):
    kept = transfer.examples(scratch)
    assert kept["targets"].any(axis=(1, 2)).all()
    assert kept["images"].shape[:3] == kept["targets"].shape == kept["predicted"].shape


def test_the_weights_are_those_that_were_scored(scratch, photos):
    model = build_model("unet", width=2)
    model.load_state_dict(load_tensors(scratch.file("weights.safetensors"))[0])
    image_set = ObjectDiscovery(photos, "car", "val").image_set(32, "cpu")
    scores = evaluate(model, CompositeLoader(image_set, "val", batch_size=3)).scores
    assert scores.iou == pytest.approx(scratch.metrics["test"]["iou"], abs=0.05)
    assert scores.precision == pytest.approx(scratch.metrics["test"]["precision"], abs=0.05)


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
    recipe = transfer.get_recipe("paper", model)
    assert (recipe.optimizer, recipe.learning_rate, recipe.momentum, recipe.weight_decay) == (
        optimizer,
        rate,
        momentum,
        decay,
    )
    assert (recipe.loss, recipe.flip) == ("bce", False)
    assert {"epochs", "patience"} <= set(recipe.not_in_paper)


@pytest.mark.parametrize("recipe", transfer.RECIPES)
def test_no_recipe_chooses_weights_on_what_it_is_scored_on(recipe):
    assert {one.select for one in transfer.RECIPES[recipe].values()} == {"last"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"categorie": "car"}, "no parameter categorie; it has data, category"),
        ({"category": "cat"}, "category 'cat' is unknown"),
        ({"protocol": "mine"}, "protocol 'mine' is unknown"),
        ({"fold": 1}, "fold 1 means something under protocol 'folds' only"),
        ({"share": 0}, "share 0 must be a whole number from 1 to 100"),
        ({"share": 101}, "share 101 must be"),
        ({"images": 0}, "images 0 must be a whole number of at least 1, or None"),
        ({"seed": -1}, "seed -1 must be a whole number from 0 to 4294967295"),
        ({"resolution": 16}, "resolution 16 must be a whole number of at least 32"),
        ({"recipe": "slow"}, "recipe 'slow' is unknown; use one of paper, fast"),
        ({"model": "my.module:net", "recipe": "paper"}, "no 'paper' recipe for model"),
        ({"pretraining": "imagenet"}, "pretraining 'imagenet' is unknown"),
        ({"pretraining": "chair_segments"}, "do not go together"),
        ({"pretrained": "benchmark-x"}, "do not go together"),
        ({"model": "resnet"}, "resnet"),
        ({"data": None}, "photos None must be a path"),
        ({"category": ["car"]}, r"category \['car'\] is unknown"),
    ],
)
def test_bad_parameters_are_one_clear_line(photos, changed, message):
    with pytest.raises(ParameterError, match=message):
        transfer.open_run(**{"data": str(photos), **TINY, **changed})


def test_a_folder_that_is_not_the_release_is_told(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(CollectionError, match=r"is not the Object Discovery release.*holiday\.jpg"):
        transfer.open_run(data=str(tmp_path), **TINY)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"pretrained": "benchmark-nowhere"}, "does not exist; make the run first"),
        ({"width": 4}, "holds a model with .*'width': 2.* but .*'width': 4.* is asked for"),
    ],
)
def test_a_pretrained_record_that_does_not_fit_is_told(photos, pretrained, asked, message):
    settings = {**TINY, "pretraining": "chair_segments", "pretrained": pretrained.name, **asked}
    with pytest.raises(RecordError, match=message):
        transfer.train(transfer.open_run(data=str(photos), **settings), progress=False)


def test_a_run_that_stops_goes_on_to_the_same_weights(photos, own_runs, monkeypatch):
    whole = transfer.train(transfer.open_run(data=str(photos), **TINY), progress=False)
    expected = load_tensors(whole.file("weights.safetensors"))[0]
    for file in whole.folder.iterdir():
        file.unlink()
    evaluations = []
    original = transfer.fit.__globals__["evaluate"]

    def stop_at_the_second(*arguments, **options):
        evaluations.append(1)
        if len(evaluations) == 3:  # the first is before the first step
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setitem(transfer.fit.__globals__, "evaluate", stop_at_the_second)
    run = transfer.open_run(data=str(photos), **TINY)
    with pytest.raises(KeyboardInterrupt):
        transfer.train(run, progress=False)
    assert run.checkpoint.is_file()
    again = transfer.train(run, progress=False)
    resumed = load_tensors(again.file("weights.safetensors"))[0]
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())


def test_categories_are_the_papers():
    assert set(transfer.categories()) == set(table3()["category"])


def test_the_stand_in_is_where_the_default_looks():
    assert transfer.data_root("stand-in") == paths.stand_in
