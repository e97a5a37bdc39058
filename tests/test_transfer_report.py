"""Tables 3 and 4 from records: paired gains, what is blank and why, and never a wrong name for the photos."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chairlib import paths, runs, transfer
from chairlib.errors import RecordError
from chairlib.runs import Record
from chairlib.transfer_report import MISSING, NO_COCO, TransferReport, open_report, paired_gain

IDS = [f"{number:04d}" for number in range(40)]


def make(
    folder, ious, *, name="unet", category="car", pretraining="none", seed=0, share=100, fold=0, curve=(40, 60)
) -> Record:
    """A record whose images have these IoUs (NaN: without the object)."""
    ious = np.asarray(ious, float)
    home = folder / f"transfer-{category}-{name}-{pretraining}-{seed}-{share}-{fold}"
    home.mkdir(parents=True)
    table = pd.DataFrame({"iou": ious, "dice": ious + (100 - ious) / 4, "precision": 90.0, "id": IDS[: len(ious)]})
    table.to_csv(home / "test_images.csv", index=False)
    pd.DataFrame({"images": [100 * (n + 1) for n in range(len(curve))], "val_iou": curve}).to_csv(
        home / "history.csv", index=False
    )
    asked = {
        **transfer.DEFAULTS,
        "model": name,
        "width": 16,
        "category": category,
        "pretraining": pretraining,
        "seed": seed,
        "share": share,
        "fold": fold,
    }
    content = {
        "format": 1,
        "kind": "transfer",
        "parameters": asked,
        "data": {"name": "drawn car", "hash": "d" * 16},
        "code": {"hash": runs.code_hash("transfer")},
        "metrics": {"test": {"iou": float(np.nanmean(ious)), "n_images": len(ious)}},
        "n_train_images": 16 * share // 100,
        "scored_split": "val",
        "seconds": 60.0,
        "images_seen": 640,
        "hardware": "a test",
    }
    (home / "record.json").write_text(json.dumps(content))
    return Record(home, content)


def report(*records: Record) -> TransferReport:
    return TransferReport("stand-in", list(records), [])


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(-20, 20), seed=st.integers(0, 100))
def test_a_constant_gain_is_found_exactly(tmp_path_factory, gain, seed):
    base = np.random.default_rng(seed).uniform(30, 70, 20)
    folder = tmp_path_factory.mktemp("records")
    found = paired_gain([make(folder, base)], [make(folder, base + gain, pretraining="chair_segments")])
    assert found is not None
    assert found.mean == pytest.approx(gain, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((gain, gain), abs=1e-6)
    expected = "helps" if found.low > 0 else "hurts" if found.high < 0 else "no clear difference"
    assert found.verdict == expected
    assert found.n_images == 20


def test_pairing_finds_what_two_intervals_would_not(tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.uniform(5, 95, 30)  # images differ far more than arms do
    found = paired_gain(
        [make(tmp_path, hard)], [make(tmp_path, hard + rng.normal(3, 2, 30), pretraining="chair_segments")]
    )
    assert found is not None
    assert found.verdict == "helps"
    assert 2 < found.low < 3 < found.high < 4.5


def test_noise_is_no_difference(tmp_path):
    rng = np.random.default_rng(1)
    base = rng.uniform(40, 60, 30)
    found = paired_gain(
        [make(tmp_path, base)], [make(tmp_path, base + rng.normal(0, 5, 30), pretraining="chair_segments")]
    )
    assert found is not None
    assert found.verdict == "no clear difference"


def test_seeds_are_averaged_and_photos_without_the_object_left_out(tmp_path):
    scratch = [make(tmp_path, [10, 20, np.nan]), make(tmp_path, [30, 40, np.nan], seed=1)]
    tuned = [make(tmp_path, [25, 40, np.nan], pretraining="chair_segments")]
    found = paired_gain(scratch, tuned)
    assert found is not None
    assert (found.mean, found.n_images, found.seeds) == (pytest.approx(7.5), 2, (2, 1))
    assert paired_gain(scratch, []) is None


def test_folds_do_not_pair_with_each_other(tmp_path):
    scratch = [make(tmp_path, [10, 20], fold=0), make(tmp_path, [50, 60], fold=1)]
    tuned = [
        make(tmp_path, [11, 21], fold=0, pretraining="chair_segments"),
        make(tmp_path, [51, 61], fold=1, pretraining="chair_segments"),
    ]
    found = paired_gain(scratch, tuned)
    assert found is not None
    assert (found.mean, found.n_images) == (pytest.approx(1.0), 4)


def test_table_3_has_the_papers_nine_rows_and_says_why_cells_are_blank(tmp_path):
    table = report(make(tmp_path, [50, 60, 70]), make(tmp_path, [55, 66, 77], pretraining="chair_segments")).table3()
    assert len(table) == 9
    unet = table.loc[("U-Net, width 16", "Chair Segments")]
    assert unet[("car", "paper, IoU, %")] == 88.22
    assert unet[("car", "ours (95 % interval)")][0] == pytest.approx(66.0)
    assert unet[("car", "gain")] == "+6.0 ▲"
    assert unet[("horse", "ours (95 % interval)")] == MISSING
    assert table.loc[("U-Net, width 16", "COCO chairs")][("car", "ours (95 % interval)")] == NO_COCO
    assert table.loc[("U-Net, width 16", "–")][("car", "gain")] == ""


def test_table_3_without_records_is_the_papers(tmp_path):
    table = report().table3("dice")
    assert table.loc[("U-Net", "Chair Segments")][("airplane", "paper, Dice, %")] == 80.42
    assert set(table[("car", "ours (95 % interval)")]) == {MISSING, NO_COCO}


def test_table_4_says_who_saw_masks(tmp_path):
    table = report(make(tmp_path, [50, 60, 70])).table4()
    assert table[("", "supervised")].to_dict()["U-Net"] == "yes"
    assert table[("", "supervised")].to_dict()["Yuan et al. 2017"] == "no"
    assert table.loc["U-Net", ("car", "ours, IoU")].startswith("0.60 (")
    assert table.loc["U-Net", ("horse", "ours, IoU")] == MISSING


def test_gains_show_every_seed(tmp_path):
    records = [make(tmp_path, [50, 60], seed=s) for s in (0, 1)]
    records += [make(tmp_path, [60, 70], seed=s, pretraining="chair_segments") for s in (0, 1)]
    table = report(*records).gains()
    assert len(table) == 1
    assert table["IoU pretrained, by seed, %"].iloc[0] == "65.0 / 65.0"
    assert table["gain, points (95 % interval)"].iloc[0] == pytest.approx((10, 10, 10))
    assert table["verdict"].iloc[0] == "helps"
    assert report().gains().empty


def test_steps_to_reach_what_training_from_scratch_ends_with(tmp_path):
    steps = report(
        make(tmp_path, [50], curve=(20, 40, 60)),
        make(tmp_path, [50], seed=1, curve=(30, 50, 70)),
        make(tmp_path, [50], pretraining="chair_segments", curve=(50, 65, 80)),
        make(tmp_path, [50], category="horse", curve=(50, 70)),
        make(tmp_path, [50], category="horse", pretraining="chair_segments", curve=(50, 60)),
    ).steps_to_reach()
    found = {(row.category, row.label): row.images for row in steps.itertuples()}
    assert found["car", "from scratch"] == 300
    assert found["car", "pretrained on Chair Segments"] == 200
    assert np.isnan(found["horse", "pretrained on Chair Segments"])


def test_arms_that_are_compared_differ_in_pretraining_alone(tmp_path):
    # Three scratch runs of another budget outnumber the pair that belongs together.
    pair = [make(tmp_path, [50, 60]), make(tmp_path, [60, 70], pretraining="chair_segments")]
    others = [make(tmp_path / "other", [5, 5], seed=seed) for seed in range(3)]
    for record in others:
        record.parameters["images"] = 99
    full = report(*others, *pair)
    assert full.find("unet", "none", "car") == pair[:1]
    assert full.gains()["gain, points (95 % interval)"].iloc[0][0] == pytest.approx(10)


def test_a_seed_that_stopped_early_keeps_its_last_value(tmp_path):
    steps = report(
        make(tmp_path, [50], curve=(20, 40, 60)),
        make(tmp_path, [50], seed=1, curve=(20, 20)),
        make(tmp_path, [50], pretraining="chair_segments", curve=(39, 41, 41)),
    ).steps_to_reach()
    # From scratch ends at (60 + 20) / 2.
    assert steps.set_index("label").loc["pretrained on Chair Segments", "images"] == 200


def test_shares_are_told_apart(tmp_path):
    small, whole = make(tmp_path, [30, 40], share=25), make(tmp_path, [50, 60])
    table = report(small, whole).by_share("car")
    assert table[["share", "n_images", "iou"]].to_numpy().tolist() == [[25, 4, 35.0], [100, 16, 55.0]]
    assert report(small, whole).find("unet", "none", "car") == [whole]
    assert set(report(small, whole).curves("car")) == {"from scratch"}


def test_the_stand_in_is_never_called_object_discovery(tmp_path):
    full = report(make(tmp_path, [50, 60]))
    assert "stand-in" in full.title
    assert "Object Discovery" not in full.title
    sentence = full.sentence("quick", "A quick build.")
    assert "not the official Object Discovery release" in sentence
    assert "protocol authors, val images" in sentence
    assert "chosen on" not in sentence
    official = make(tmp_path, [50, 60], seed=1)
    official.content.update(published_split=True, chosen_on_scored=True)
    told = TransferReport("photos", [official], []).sentence()
    assert "the authors' own lists of the release" in told
    assert "Weights were chosen on the very photos that are scored" in told
    assert full.glued()["gain_car"] == "not measured"
    assert full.glued()["scratch_car"].startswith("55.0 % (")


def test_records_of_other_photos_are_left_out(photos, tmp_path, own_runs):
    settings = {"width": 2, "resolution": 32, "images": 16, "evaluations": 1, "device": "cpu"}
    record = transfer.train(transfer.open_run(data=str(photos), **settings), progress=False)
    make(own_runs, [50, 60])
    found = open_report(str(photos))
    assert [kept.name for kept in found.records] == [record.name]
    assert found.data == "drawn"
    assert any("other photos" in reason for reason in found.left_out)
    assert open_report(str(photos), [record.name]).records[0].name == record.name
    other = next(path.name for path in own_runs.iterdir() if path.name != record.name)
    with pytest.raises(RecordError, match="is refused: it was made from other photos"):
        open_report(str(photos), [other])
    with pytest.raises(RecordError, match="nowhere"):
        open_report(str(photos), ["transfer-nowhere"])


def test_real_records_make_every_table_and_figure(photos, collection, own_runs):
    from chairlib import benchmark
    from chairlib.figures import figure5, iou_over_steps

    chairs = benchmark.train(
        benchmark.open_run(
            data=str(collection.root),
            width=2,
            resolution=32,
            images=32,
            val_images=4,
            test_images=4,
            evaluations=1,
            device="cpu",
        ),
        progress=False,
    )
    settings = {
        "data": str(photos),
        "resolution": 32,
        "images": 32,
        "evaluations": 2,
        "device": "cpu",
        "progress": False,
    }
    for start in (None, chairs):
        transfer.fine_tune(pretrained=start, **{**settings, "width": 2})
    full = open_report(str(photos))
    assert len(full.records) == 2
    assert len(full.gains()) == 1
    assert figure5(**full.figure5("car")).alt
    assert full.figure5("horse") == {}
    assert iou_over_steps(full.curves("car")).alt
    assert paths.runs == own_runs
