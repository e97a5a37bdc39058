"""Tables 1 and 2 and Figure 4 from records: every paper figure beside ours, nothing without a record."""

import copy
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.describe import describe_record, score_table, scored_on
from chairlib.benchmark.metrics import bootstrap_interval
from chairlib.benchmark.report import (
    Report,
    for_each_part,
    open_reference,
    open_report,
    show_notes,
    show_reference,
    show_slips,
)
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.collection import SPLITS
from chairlib.compositing.released import NOTE
from chairlib.core import paths, published
from chairlib.core.errors import RecordError
from chairlib.core.runs import Record
from chairlib.show.curves import iou_by_resolution, training_curves
from chairlib.show.pictures import figure4
from chairlib.show.tables import style_table
from drawing import write_released

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


def test_only_runs_of_the_same_terms_stand_in_one_table(report, records, collection):
    assert [part.records for part in report.parts()] == [report.records]
    # A toy run, as an earlier parameter cell made it, is no row beside those of a larger budget.
    toy = benchmark.train(benchmark.open_run(records[0].settings, images=64, model="fcn_vgg16"), progress=False)
    try:
        mixed = open_report(collection.root)
        most, fewest = mixed.parts()
        assert [len(most.records), fewest.records] == [4, [toy]]
        assert "images 32," in most.terms()
        assert "images 64," in fewest.terms()
        assert toy.name not in str(most.table2().index)
        drawn = for_each_part(mixed, lambda part: style_table(part.table2(), "Table 2")).data
        assert drawn.count("<table") == drawn.count("No named protocol") == 2
        against = set(mixed.differences()["model"])
        assert not [label for label in against if "images 64" in label]
    finally:
        shutil.rmtree(toy.folder)
    assert for_each_part(report, lambda part: style_table(part.table2(), "Table 2")).data.count("No named") == 0


def test_table1_has_the_rows_of_this_build_and_the_papers_beside_them(report, records):
    table = report.table1()
    assert table.index.tolist() == [
        ("U-Net", "32 px"),
        ("U-Net", "64 px"),
        ("FCN-VGG-16", "64 px"),
    ]
    row = table.loc[("U-Net", "64 px")]
    assert row["IoU, %, paper"] == "85.08"
    assert row["hours, paper"] == "0.5"
    value, low, high = row["IoU, %, ours (95 % interval)"]
    assert value == pytest.approx(np.mean([record.metrics["test"]["iou"] for record in records[:2]]))
    assert low <= value <= high
    assert row["seeds"] == 2
    assert row["images trained"] == 32
    assert row["minutes until converged"] == "< 0.1"
    assert table["IoU, %, ours (95 % interval)"].notna().all()  # no holes
    assert table.columns[0] == "IoU, %, ours (95 % interval)"  # ours stand first


def test_table2_has_the_baseline(report, records):
    table, precision = report.table2(), report.table2("precision")
    assert precision.loc["all background", "precision, %, paper"] == "78.01"
    ours = float(precision.loc["all background", "precision, %, ours (95 % interval)"])
    assert ours == pytest.approx(records[0].metrics["all_background_precision"], abs=0.05)
    assert table.loc["all background", "IoU, %, ours (95 % interval)"] == "0"
    assert table.index.tolist() == ["U-Net", "FCN-VGG-16", "all background"]
    assert report.table2("dice").loc["FCN-VGG-16", "Dice, %, paper"] == "74.09"
    assert table.loc["FCN-VGG-16", "IoU, %, ours (95 % interval)"][0] == records[3].metrics["test"]["iou"]
    ious = [record.metrics["test"]["iou"] for record in records[:2]]
    assert table.loc["U-Net", "SD over seeds"] == pytest.approx(np.std(ious, ddof=1))
    assert "pooled IoU, %" not in precision
    style_table(table, "Table 2")


def test_without_records_the_tables_are_the_papers(collection, own_runs):
    report = open_report(collection.root)
    assert report.records == []
    assert report.table1()["IoU, %, paper"].astype(float).tolist() == published.table(1)["iou"].tolist()
    assert report.table2("precision").iloc[:, 0].astype(float).tolist() == [*published.table(2)["precision"], 78.01]
    assert list(report.table1().columns) == ["IoU, %, paper", "hours, paper"]
    assert list(report.table2().columns) == ["IoU, %, paper"]
    assert report.differences_from_paper() == []
    assert report.figure4() == {}
    assert "Nothing has been trained" in report.sentence()
    assert report.glued()["chair_share"] == "not measured"
    style_table(report.table1(), "x")
    style_table(report.table2(), "x")
    assert report.histories() == {}
    iou_by_resolution(report.by_resolution(), report.paper_by_resolution())


def test_figure4_compares_models_on_the_same_composites(report):
    shown = report.figure4()
    assert list(shown["predictions"]) == ["U-Net", "FCN-VGG-16"]
    assert shown["predictions"]["U-Net"].shape == shown["targets"].shape
    assert "FCN-VGG-16" in figure4(**shown).data


def test_models_that_change_places_are_told_with_their_figures(records, tmp_path):
    """The paper has U-Net 23.99 points above FCN-VGG-16."""

    def made(like, seed, iou):
        content = copy.deepcopy(like.content)
        content["parameters"]["seed"] = seed
        folder = tmp_path / f"{like.settings.model}-{seed}-{iou}"
        folder.mkdir()
        ious = iou + np.array([0.0, 1.0, 0.0, 1.0])
        pd.DataFrame({"iou": ious, "group": list("aabb")}).to_csv(folder / "test_images.csv", index=False)
        return Record(folder, content)

    unets = [made(records[0], seed, 60.0) for seed in (0, 1)]
    above, below = ([made(records[3], seed, iou) for seed in (0, 1)] for iou in (70.0, 50.0))
    assert Report("drawn", [*unets, *above], []).differences_from_paper() == [
        "Table 2, IoU of U-Net minus that of FCN-VGG-16: -10.0 (-10.0 to -10.0) points here, +24.0 in the paper."
    ]
    assert Report("drawn", [*unets, *below], []).differences_from_paper() == []
    assert Report("drawn", [unets[0], above[0]], []).differences_from_paper() == []  # one seed tells nothing
    for record in above:  # by another recipe it is no comparison
        record.content["parameters"]["recipe"] = "paper"
    assert Report("drawn", [*unets, *above], []).differences_from_paper() == []


def test_notes_are_escaped_and_show_nothing_where_there_are_none():
    assert "<li>a &lt; b</li>" in show_notes("Where ours differs from the paper", ["a < b"]).data
    assert show_notes("Where ours differs from the paper", []) is show_notes("Left out", [], folded=True) is None
    assert show_notes("Left out", ["a < b"], folded=True).data == (
        "<details><summary>Left out</summary><ul><li>a &lt; b</li></ul></details>"
    )


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
        "U-Net at 64 px",
        "U-Net at 32 px",
        "FCN-VGG-16 at 64 px",
    }
    assert sorted(report.by_resolution()["model"]) == ["FCN-VGG-16", "U-Net", "U-Net"]


def test_every_quoted_value_traces_to_a_record(report, records):
    glued = report.glued("smoke", "A tiny build.")
    assert glued["profile_sentence"].startswith("A tiny build. Data: drawn. 4 runs with 2 seeds")
    assert glued["training_images"] == "32"
    assert glued["hardware"] == records[0].content["hardware"]
    precision, share = (float(glued[name].removesuffix(" %")) for name in ("all_background_precision", "chair_share"))
    assert precision + share == pytest.approx(100)  # of the same composites


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
    write_released(collection, folder, 32)
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
    write_released(collection, folder, 32)
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
    """Of as many seeds: whichever run was finished first, and wherever it stands in the list."""
    named = [record.name for record in records[:2]]
    for recipe, seed in (("released", 0), ("paper", 0), ("paper", 1)):
        asked = {**TINY, "model": "unet", "resolution": 64, "recipe": recipe, "seed": seed}
        run = benchmark.open_run(data=str(collection.root), **asked)
        named.append(benchmark.train(run, progress=False).name)
    try:
        for names in (named, named[::-1]):
            report = open_report(collection.root, names)
            chosen = [record for record in report.records if record.settings.recipe == "paper"]
            assert len(chosen) == 2
            # Tables and curves keep the order that was asked for.
            assert next(iter(report.configurations().values()))[0].name == names[0]
            assert [r.settings.seed for r in report.find("unet", 64)[0 if names is named else -1]] == (
                [0, 1] if names is named else [1, 0]
            )
            assert report.table2()["SD over seeds"].notna().sum() == 2
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
        assert sorted(names) == ["U-Net, test images 4", "U-Net, test images 8"]
        assert len(report.histories()) == 4
    finally:
        (more.folder / "record.json").unlink()


CHANGE = "difference in IoU, points (95 % interval)"


def scored(folder, ious, groups, model="unet", resolution=64, seed=0, **more) -> Record:
    """A record whose test composites have these IoUs (NaN: left out) and are of these groups (None: of none)."""
    asked = {
        **BenchmarkSettings().to_dict(),
        "model": model,
        "width": 16,
        "resolution": resolution,
        "seed": seed,
        **more,
    }
    home = folder / f"{model}-{resolution}-{seed}-{'-'.join(map(str, more.values()))}"
    home.mkdir(parents=True)
    table = pd.DataFrame({"iou": ious, "dice": ious, "precision": 90.0, "group": groups})
    table.to_csv(home / "test_images.csv", index=False)
    return Record(home, {"kind": "benchmark", "parameters": asked, "finished": "2026-01-01"})


GROUPS = np.repeat([f"segment:{number}" for number in range(30)], 20)


def hard_and_easy(seed):
    """IoUs [600] of composites whose segments differ far more than models do."""
    return np.repeat(np.random.default_rng(0).uniform(30, 80, 30), 20) + np.random.default_rng(seed).normal(0, 2, 600)


def test_differences_are_taken_on_the_same_composites(tmp_path):
    unet, fcn, small = (
        [scored(tmp_path, hard_and_easy(10 * offset + seed) + offset, GROUPS, model, size, seed) for seed in (0, 1, 2)]
        for offset, model, size in ((7, "unet", 64), (2, "fcn_vgg16", 64), (1, "unet", 32))
    )
    table = Report("drawn", [*fcn, *small, *unet], []).differences().set_index(["model", "compared with"])
    assert len(table) == 2
    other = table.loc[("FCN-VGG-16 at 64 px", "U-Net at 64 px")]
    assert (other["groups"], other["seeds"], other["verdict"]) == (30, 3, "lower")
    larger = table.loc[("U-Net at 64 px", "U-Net at 32 px")]
    mean, low, high = larger[CHANGE]
    assert mean == pytest.approx(6, abs=0.3)
    assert low < 6 < high
    assert high - low < 2  # while IoU of each alone has an interval of more than 10 points
    assert larger["verdict"] == "higher"
    assert "higher" in style_table(table.reset_index(), "Differences").data


def test_composites_of_one_segment_are_one_unit_and_large_groups_weigh_more(tmp_path):
    rng = np.random.default_rng(0)
    groups = [f"segment:{number}" for number in range(60) for _ in range(5 + number % 10)]
    by_group = {group: 0.5 * int(group[8:]) + rng.normal(0, 5) for group in sorted(set(groups))}
    gains = np.array([by_group[group] for group in groups]) + rng.normal(0, 1, len(groups))
    gains[3] = np.nan  # a composite with too few pixels of chair
    one, other = np.full(len(groups), 20.0), 20 + gains
    records = [scored(tmp_path, one, groups), scored(tmp_path, other, groups, "fcn_vgg16")]
    (row,) = Report("drawn", records, []).differences().to_dict("records")
    mean, low, high = row[CHANGE]
    assert mean == pytest.approx(np.nanmean(gains))
    assert (row["groups"], row["verdict"]) == (60, "one seed")
    below, above = bootstrap_interval(np.nan_to_num(gains), np.isfinite(gains), groups=groups, n_resamples=4000)
    assert high - low == pytest.approx(above - below, rel=0.1)
    alone = bootstrap_interval(gains[np.isfinite(gains)], n_resamples=4000)  # as if composites were independent
    assert high - low > 2 * (alone[1] - alone[0])


def test_composites_without_groups_are_units_of_their_own(tmp_path):
    records = [scored(tmp_path, np.arange(9.0) * k, [None] * 9, model) for k, model in ((1, "unet"), (2, "fcn_vgg16"))]
    assert Report("drawn", records, []).differences()["groups"].tolist() == [9]


def test_what_was_not_scored_on_the_same_composites_is_not_compared(tmp_path):
    unet = scored(tmp_path, hard_and_easy(0), GROUPS)
    assert Report("drawn", [unet], []).differences().empty
    for others in (
        scored(tmp_path / "order", hard_and_easy(1), GROUPS[::-1], "fcn_vgg16"),
        scored(tmp_path / "number", hard_and_easy(1)[:400], GROUPS[:400], "fcn_vgg16"),
        scored(tmp_path / "seed", hard_and_easy(1), GROUPS, "fcn_vgg16", seed=1),
        scored(tmp_path / "recipe", hard_and_easy(1), GROUPS, "fcn_vgg16", recipe="paper"),
    ):
        assert Report("drawn", [unet, others], []).differences().empty


def test_models_are_compared_over_the_seeds_that_both_have(tmp_path):
    unet = [scored(tmp_path, hard_and_easy(seed), GROUPS, seed=seed) for seed in (0, 1, 2)]
    fcn = [scored(tmp_path, hard_and_easy(9 + seed) - 5, GROUPS, "fcn_vgg16", seed=seed) for seed in (1, 2)]
    assert Report("drawn", [*unet, *fcn], []).differences()["seeds"].tolist() == [2]
    (row,) = Report("drawn", [*unet, fcn[0]], []).differences().to_dict("records")
    assert (row["seeds"], row["verdict"]) == (1, "one seed")


def test_real_records_are_compared(report):
    assert report.differences()["verdict"].tolist() == ["one seed"] * 2
