"""Tables 1 and 2 and Figure 4 from records: every paper figure beside ours, nothing without a record."""

import copy
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.report import (
    Report,
    describe_record,
    open_reference,
    open_report,
    score_table,
    scored_on,
    show_notes,
    show_reference,
    show_slips,
)
from chairlib.collection import SPLITS
from chairlib.compositing.released import NOTE, export
from chairlib.core import paths, published
from chairlib.core.errors import RecordError
from chairlib.show.curves import iou_by_resolution, training_curves
from chairlib.show.pictures import figure4
from chairlib.show.tables import style_table

TINY = {"width": 2, "images": 32, "val_images": 4, "test_images": 8, "evaluations": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def records(collection, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr("chairlib.core.paths.runs", tmp_path_factory.mktemp("runs"))
    settings = [
        {"model": "unet", "resolution": 64, "seed": 0},
        {"model": "unet", "resolution": 64, "seed": 1},
        {"model": "unet", "resolution": 32},
        {"model": "fcn_vgg16", "resolution": 64},
    ]
    yield [
        benchmark.train(benchmark.open_run(data=str(collection.root), **TINY, **one), progress=False)
        for one in settings
    ]
    patch.undo()


@pytest.fixture
def report(records, collection):
    return open_report(collection.root)


def test_table1_has_the_rows_of_this_build_and_the_papers_beside_them(report, records):
    table = report.table1()
    assert table.index.tolist() == [
        ("U-Net, width 2", "32 px"),
        ("U-Net, width 2", "64 px"),
        ("FCN-VGG-16, width 2", "64 px"),
    ]
    row = table.loc[("U-Net, width 2", "64 px")]
    assert row[("paper", "IoU, %")] == 85.08
    assert row[("paper", "hours")] == 0.5
    ious = [record.metrics["test"]["iou"] for record in records[:2]]
    value, low, high = row[("ours", "IoU, % (95 % interval)")]
    assert value == pytest.approx(np.mean(ious))
    assert low <= value <= high
    assert row[("ours", "seeds")] == 2
    assert row[("ours", "SD over seeds")] == pytest.approx(np.std(ious, ddof=1))
    assert row[("ours", "images trained")] == 32
    assert table["ours", "IoU, % (95 % interval)"].notna().all()  # no holes


def test_what_was_not_trained_is_one_line(report):
    assert report.not_trained(1) == (
        "Not trained in this build: FCN-ResNet-50 (32 px, 64 px, 128 px, 256 px); FCN-VGG-16 (32 px, 128 px, 256 px); "
        "U-Net (128 px, 256 px). With more compute: make paper PROFILE=evening, or paper"
    )
    assert "build: FCN-ResNet-101 (64 px); FCN-ResNet-50 (64 px). With" in report.not_trained(2)
    assert report.figure4()["caption"] == report.not_trained(2)
    assert style_table(report.table1(), "Table 1", note=report.not_trained(1)).data.endswith(
        "PROFILE=evening, or paper</p>"
    )


def test_table2_has_the_baseline(report, records):
    table = report.table2()
    assert table.loc["All background", ("paper", "precision, %")] == 78.01
    ours = table.loc["All background", ("ours (95 % interval)", "precision, %")]
    assert ours == pytest.approx(records[0].metrics["all_background_precision"])
    assert table.loc["All background", ("ours (95 % interval)", "IoU, %")] == 0
    assert table.index.tolist() == ["U-Net, width 2", "FCN-VGG-16, width 2", "All background"]
    assert table.loc["FCN-VGG-16, width 2", ("paper", "Dice, %")] == 74.09
    assert table.loc["FCN-VGG-16, width 2", ("ours (95 % interval)", "IoU, %")][0] == records[3].metrics["test"]["iou"]
    style_table(table, "Table 2")


def test_without_records_the_tables_are_the_papers(collection, own_runs):
    report = open_report(collection.root)
    assert report.records == []
    assert report.table1()["paper", "IoU, %"].tolist() == published.table1()["iou"].tolist()
    assert report.table2()["paper", "precision, %"].tolist() == [*published.table2()["precision"], 78.01]
    assert {*report.table1().columns, *report.table2().columns} <= {
        ("paper", name) for name in ("hours", "precision, %", "IoU, %", "Dice, %")
    }
    assert report.not_trained(1) == report.not_trained(2) == ""  # the page says that nothing was trained
    assert report.differences_from_paper() == []
    assert report.figure4() == {}
    assert "Nothing has been trained" in report.sentence()
    assert report.glued()["unet_iou_64"] == "not trained in this build"
    style_table(report.table1(), "x")
    style_table(report.table2(), "x")
    assert report.histories() == {}
    iou_by_resolution(report.by_resolution(), report.paper_by_resolution())


def test_figure4_compares_models_on_the_same_composites(report):
    shown = report.figure4()
    assert list(shown["predictions"]) == ["U-Net, width 2", "FCN-VGG-16, width 2"]
    assert shown["predictions"]["U-Net, width 2"].shape == shown["targets"].shape
    assert "FCN-VGG-16" in figure4(**shown).data


def test_models_that_change_places_are_told_with_their_figures(report):
    """The two at 64 pixels: the paper has U-Net on top."""
    records = copy.deepcopy(report.records)
    vgg16, *unets = sorted(
        (record for record in records if record.settings.resolution == 64), key=lambda record: record.settings.model
    )
    found = Report("drawn", [vgg16, *unets], [])
    for record, iou in zip((vgg16, *unets), (60.0, 62.0, 64.0), strict=True):
        record.metrics["test"] |= {"iou": iou, "intervals": {"iou": [iou - 1, iou + 1]}}
    assert found.differences_from_paper() == []
    vgg16.metrics["test"] |= {"iou": 70.0, "intervals": {"iou": [69.0, 71.0]}}
    assert found.differences_from_paper() == [
        "Table 2, another order of IoU here. FCN-VGG-16, width 2: 70.0 % (69.0–71.0), 61.09 % in the paper; "
        "U-Net, width 2: 63.0 % (62.0–64.0), 85.08 % in the paper."
    ]
    # By another recipe it is no comparison.
    vgg16.content["parameters"]["recipe"] = "paper"
    assert found.differences_from_paper() == []
    vgg16.content["parameters"]["recipe"] = "fast"
    assert Report("drawn", unets, []).differences_from_paper() == []


def test_notes_are_escaped_and_show_nothing_where_there_are_none():
    assert "<li>a &lt; b</li>" in show_notes("Where ours differs from the paper", ["a < b"]).data
    assert show_notes("Where ours differs from the paper", []) is None


def test_the_reference_build_is_shown_as_what_it_is(report, ship):
    assert open_reference() is None
    ship(report.records, "Made on 2026-01-02 <here>.")
    reference = open_reference()
    assert reference.collection == "drawn"
    for ours, shipped in ((report.table1(), reference.table1()), (report.table2(), reference.table2())):
        assert style_table(shipped, "").data == style_table(ours, "").data
    shown = show_reference(reference.records[0], [style_table(reference.table1(), "Table 1, reference build")]).data
    assert shown.startswith("<details><summary>Reference build</summary><p>Made on 2026-01-02 &lt;here&gt;.</p><style>")
    assert "Table 1, reference build" in shown
    assert shown.count("<details") == shown.count("</details>") == 1


def test_histories_and_resolutions(report):
    assert set(report.histories()) == {
        "U-Net, width 2 at 64 px",
        "U-Net, width 2 at 32 px",
        "FCN-VGG-16, width 2 at 64 px",
    }
    assert len(report.by_resolution()) == 3


def test_every_quoted_value_traces_to_a_record(report, records):
    glued = report.glued("smoke", "A tiny build.")
    assert glued["profile_sentence"].startswith("A tiny build. Data: drawn. 4 runs with 2 seeds")
    assert glued["training_images"] == "32"
    assert glued["hardware"] == records[0].content["hardware"]
    assert f"{records[3].metrics['test']['iou']:.1f}" in glued["fcn_vgg16_iou_64"]


def test_records_of_other_code_or_data_are_refused(report, records, collection):
    file = records[2].folder / "record.json"
    original = file.read_text()
    for part, words in (("code", "other code"), ("data", "other data")):
        content = json.loads(original)
        content[part]["hash"] = "0" * 16
        file.write_text(json.dumps(content))
        try:
            with pytest.raises(RecordError, match=words):
                open_report(collection.root, [record.name for record in records])
            assert words in open_report(collection.root).left_out[0]
            assert len(open_report(collection.root).records) == 3
        finally:
            file.write_text(original)


def test_a_record_as_text_and_table(records):
    text = describe_record(records[0])
    assert f"{records[0].metrics['test']['iou']:6.2f} %" in text
    assert "segment" not in score_table(records[0]).columns
    assert score_table(records[0]).loc["IoU, %"].iloc[0][0] == records[0].metrics["test"]["iou"]


def test_a_run_that_predicts_one_class_is_told(records, report):
    record, *others = copy.deepcopy(report.records)
    assert report.sentence() == Report(report.collection, [record, *others], []).sentence()
    record.metrics["test"]["predicted_all"] = "chair"
    for other in others:
        other.metrics["test"]["predicted_all"] = None
    note = "Every pixel of every image was predicted as chair, so these are the scores of a constant mask."
    assert f"\n  {note}\n" in describe_record(record)
    assert score_table(record).loc["one class"].tolist() == ["chair", note]
    assert note in style_table(score_table(record), "Scores").data
    told = f" Every test pixel was predicted as one class by {record.name} (chair)."
    assert Report(report.collection, [record, *others], []).sentence().endswith(told)
    assert not any("one class" in str(what(others[0])) for what in (describe_record, score_table))


def test_a_run_without_a_validation_iou_is_told(collection, tmp_path, own_runs):
    """Masks of a folder in the authors' layout may be empty, and the released recipe chooses by the loss."""
    folder = tmp_path / "drawn"
    export(collection, folder, 32)
    for mask in (folder / "val" / "mask").iterdir():
        Image.new("L", (32, 32)).save(mask)
    settings = {**TINY, "resolution": 32, "recipe": "released", "data": str(folder)}
    record = benchmark.train(benchmark.open_run(**settings), progress=False)
    assert record.metrics["val"]["iou"] is None
    assert describe_record(record).endswith("validation IoU undefined")
    assert "no validation image" in training_curves(record.history(), record.content["best_images"]).alt


def test_coco_crops_are_not_called_test_composites(collection, tmp_path, own_runs):
    """The folder of COCO's crops holds its validation crops once more as test."""
    folder = tmp_path / "drawn"
    export(collection, folder, 32)
    groups = {
        split: [str(number) for number in range(len(list((folder / split / "mask").iterdir())))] for split in SPLITS
    }
    settings = {**TINY, "resolution": 32, "data": str(folder)}
    for source, words, images in (
        ("chair_segments", "8 test composites", "8 images"),
        ("coco_chairs", "8 validation crops (COCO has no test split here)", "8 validation crops"),
    ):
        (folder / NOTE).write_text(json.dumps({"source": source, "name": "drawn", "groups": groups}))
        record = benchmark.train(benchmark.open_run(**settings, seed=len(source)), progress=False)
        assert scored_on(record) == words
        assert f"on {words} of drawn" in describe_record(record)
        assert f"of {images}" in score_table(record).loc["precision, %", "meaning"]


def test_slips_are_shown_escaped():
    assert "FCN-VGG-16" in show_slips("table2").data


def test_the_paper_s_recipe_stands_beside_the_paper_s_figure(records, collection):
    """Whichever run was finished first, and wherever it stands in the list."""
    named = [record.name for record in records[:2]]
    for recipe in ("released", "paper"):
        run = benchmark.open_run(data=str(collection.root), **TINY, model="unet", resolution=64, recipe=recipe)
        named.append(benchmark.train(run, progress=False).name)
    try:
        for names in (named, named[::-1]):
            report = open_report(collection.root, names)
            chosen = next(record for record in report.records if record.settings.recipe == "paper")
            quoted = report.glued()["unet_iou_64"]
            assert quoted.startswith(f"{chosen.metrics['test']['iou']:.1f} % (")
            assert quoted.endswith(", recipe paper")
            # Tables and curves keep the order that was asked for.
            assert next(iter(report.configurations().values()))[0].name == names[0]
            assert [r.settings.seed for r in report.find("unet", 64)[0 if names is named else -1]] == (
                [0, 1] if names is named else [1, 0]
            )
            assert report.table2()[("ours (95 % interval)", "SD over seeds")].notna().sum() == 1
    finally:
        for name in named[2:]:
            shutil.rmtree(paths.runs / name)


def test_runs_that_differ_are_told_apart(records, collection):
    more = benchmark.train(
        benchmark.open_run(data=str(collection.root), **{**TINY, "test_images": 4}, model="unet", resolution=64),
        progress=False,
    )
    try:
        report = open_report(collection.root)
        names = [name for name, size in report.table1().index if size == "64 px" and name.startswith("U-Net")]
        assert sorted(names) == ["U-Net, width 2, test images 4", "U-Net, width 2, test images 8"]
        assert len(report.histories()) == 4
    finally:
        (more.folder / "record.json").unlink()
