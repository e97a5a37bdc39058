"""Tables 3 and 4 from records: paired gains, what is blank and why, and never a wrong name for the photos."""

import itertools
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chairboard import transfer_tables
from chairboard.transfer_tables import GAIN, PRETRAINING_TITLES, TransferReport, open_reference, open_report
from chairlib.benchmark import run as benchmark
from chairlib.core import paths, runs
from chairlib.core.errors import CollectionError, RecordError
from chairlib.core.runs import Record
from chairlib.show.curves import iou_by_share, iou_over_steps, steps_to_reach
from chairlib.show.pictures import figure5
from chairlib.show.tables import style_table
from chairlib.transfer import run as transfer
from chairlib.transfer.comparisons import mean_score, paired_gain, pooled_gain
from chairlib.transfer.settings import TransferSettings

IDS = [f"{number:04d}" for number in range(40)]


def make(
    folder,
    ious,
    *,
    name="unet",
    category="car",
    pretraining="none",
    seed=0,
    share=100,
    fold=0,
    curve=(40, 60),
    n_val=40,
) -> Record:
    """A record whose images have these IoUs (NaN: without the object), validated on ``n_val`` photos."""
    ious = np.asarray(ious, float)
    home = folder / f"transfer-{category}-{name}-{pretraining}-{seed}-{share}-{fold}"
    home.mkdir(parents=True)
    table = pd.DataFrame({"iou": ious, "dice": ious + (100 - ious) / 4, "precision": 90.0, "id": IDS[: len(ious)]})
    table.to_csv(home / "test_images.csv", index=False)
    pd.DataFrame({"images": [100 * (n + 1) for n in range(len(curve))], "val_iou": curve}).to_csv(
        home / "history.csv", index=False
    )
    asked = {
        **TransferSettings().to_dict(),
        "model": name,
        "width": 16,
        "category": category,
        "pretraining": pretraining,
        "seed": seed,
        "share": share,
        "fold": fold,
        "pretrained": None if pretraining == "none" else f"benchmark-{pretraining}-{seed}",
    }
    content = {
        "format": 1,
        "kind": "transfer",
        "parameters": asked,
        "data": {"name": "drawn car", "hash": "d" * 16},
        "code": {"hash": runs.code_hash("transfer")},
        "metrics": {
            "test": {"iou": float(np.nanmean(ious)), "n_images": len(ious)},
            "val": {"n_images": n_val, "n_left_out": 0},
            "start": {"iou": 0.0},
        },
        "finished": "2026-01-01T00:00:00Z",
        "pretrained_on": None
        if pretraining == "none"
        else {"images_seen": 8000, "budget": 8000, "n_train_images": 600, "recipe": "fast"},
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


def arms(folder, scratch, tuned, pretraining="chair_segments"):
    """Records of two arms, one a seed, from the IoUs of each seed's images."""
    return (
        [make(folder, ious, seed=seed) for seed, ious in enumerate(scratch)],
        [make(folder, ious, seed=seed, pretraining=pretraining) for seed, ious in enumerate(tuned)],
    )


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.01, 20), sign=st.sampled_from([-1, 1]), seed=st.integers(0, 100))
def test_a_constant_gain_is_found_exactly(tmp_path_factory, gain, sign, seed):
    bases = np.random.default_rng(seed).uniform(30, 70, (2, 20))
    folder = tmp_path_factory.mktemp("records")
    found = paired_gain(*arms(folder, bases, bases + sign * gain))
    assert found is not None
    for figure in (found.mean, found.low, found.high, *found.by_seed):
        assert figure == pytest.approx(sign * gain, abs=1e-6)
    assert found.verdict == ("helps" if sign > 0 else "hurts")
    assert found.n_units == 20


def test_no_gain_at_all_is_no_difference(tmp_path):
    found = paired_gain(*arms(tmp_path, [[50, 60]] * 2, [[50, 60]] * 2))
    assert found is not None
    assert (found.mean, found.verdict) == (0, "no clear difference")


def test_pairing_finds_what_two_intervals_would_not(tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.uniform(5, 95, 30)  # images differ far more than arms do
    scratch, tuned = arms(tmp_path, [hard] * 2, hard + rng.normal(3, 2, (2, 30)))
    found = paired_gain(scratch, tuned)
    assert found is not None
    assert found.verdict == "helps"
    assert 2 < found.low < 3 < found.high < 5
    (_, _, top), (_, bottom, _) = (mean_score(records, "iou") for records in (scratch, tuned))
    assert bottom < top  # each arm's own interval holds much of the other's


@pytest.mark.parametrize(
    ("tuned", "verdict", "mark"),
    [
        ((60, 72), "no clear difference", "+1.0 (-113.4 to +115.4) ≈"),  # one gained 10, the other lost 8: luck
        ((51, 81), "helps", "+1.0 (+1.0 to +1.0) ▲"),
        ((49, 79), "hurts", "-1.0 (-1.0 to -1.0) ▼"),
        ((49, 70), "no clear difference", "-5.5 (-62.7 to +51.7) ≈"),  # one lost 1, the other 10
        ((60,), "one seed", "+10.0 (+10.0 to +10.0) ?"),  # nothing tells its luck
    ],
)
def test_a_verdict_counts_the_luck_of_seeds(tmp_path, tuned, verdict, mark):
    found = paired_gain(*arms(tmp_path, [[50] * 3, [80] * 3], [[iou] * 3 for iou in tuned]))
    assert found is not None
    assert found.verdict == verdict
    assert found.mark == mark
    assert verdict in str(found)


def test_luck_of_training_is_seldom_called_a_gain(tmp_path):
    """Two arms of three seeds that differ only in their seeds' luck, of 3 points: no verdict is given nearly always."""
    rng = np.random.default_rng(0)
    verdicts = []
    for number in range(40):
        base, luck = rng.normal(60, 20, 40), rng.normal(0, 3, (2, 3, 1))
        scratch, tuned = base + luck + rng.normal(0, 6, (2, 3, 40))
        found = paired_gain(*arms(tmp_path / str(number), scratch, tuned))
        assert found is not None
        verdicts.append(found.verdict)
    # With the interval over photos alone a good half of them would be called one; 5 % of 40 are two.
    assert sum(verdict in ("helps", "hurts") for verdict in verdicts) <= 4
    assert set(verdicts) <= {"helps", "hurts", "no clear difference"}


def three_categories(folder, gains, seeds=(0, 1, 2)):
    """(against, tuned) of three categories: 30 photos, and for each seed this gain in all of them."""
    rng, pairs = np.random.default_rng(0), []
    for category in ("car", "horse", "airplane"):
        base = rng.uniform(30, 60, 30)
        pairs.append(
            tuple(
                [
                    make(folder, base + added + rng.normal(0, 3, 30), category=category, seed=seed, pretraining=arm)
                    for seed, added in zip(seeds, several, strict=True)
                ]
                for arm, several in (("none", [0] * len(seeds)), ("chair_segments", gains))
            )
        )
    return pairs


def test_the_gain_over_categories_is_known_better_than_that_of_one(tmp_path):
    pairs = three_categories(tmp_path, [4, 4, 4])
    one, pooled = paired_gain(*pairs[0]), pooled_gain(pairs)
    assert one is not None
    assert pooled is not None
    assert pooled.mean == pytest.approx(np.mean([paired_gain(*pair).mean for pair in pairs]))
    assert pooled.n_units == 90
    assert pooled.high - pooled.low < one.high - one.low
    assert pooled.smallest_found < one.smallest_found
    full = report(*(record for pair in pairs for arm in pair for record in arm))
    table = full.gains()
    assert table["category"].tolist() == ["car", "horse", "airplane", "all three"]
    last = table.iloc[-1]
    assert last[GAIN] == pytest.approx((pooled.mean, pooled.low, pooled.high))
    assert (last["images with the object"], last["seeds"], last["pretrainings"], last["verdict"]) == (90, 3, 3, "helps")
    assert last["smallest gain found in 80 % of studies, points"] == pytest.approx(pooled.smallest_found)
    assert full.smallest_gain() == (
        f"With 90 images of car, horse, airplane and 3 seeds that vary this much, a true gain, the mean over these "
        f"categories, of {pooled.smallest_found:.1f} points is found in 80 % of studies."
    )
    both = report(*(record for pair in pairs[:2] for arm in pair for record in arm)).gains()
    assert both["category"].tolist() == ["car", "horse", "both"]


def test_a_gain_over_categories_is_of_the_seeds_that_all_have(tmp_path):
    pairs = three_categories(tmp_path, [4, 4, 40])
    pairs[0] = (pairs[0][0][:2], pairs[0][1])  # cars from scratch lack the third seed
    pooled = pooled_gain(pairs)
    assert pooled is not None
    assert len(pooled.by_seed) == 2
    assert pooled.mean < 6
    assert pooled_gain([*pairs[1:], ([], pairs[0][1])]) is None
    assert pooled_gain([]) is None


def test_a_category_of_ones_own_stands_beside_the_papers(tmp_path):
    sides = [arms(tmp_path, [[50, 40]] * 2, [[60, 52]] * 2)]
    for tuned, arm in ((0, "none"), (9, "chair_segments")):
        for seed in (0, 1):
            make(tmp_path, [50 + tuned, 40 + tuned], category="bicycle", seed=seed, pretraining=arm)
    own = [Record(path, json.loads((path / "record.json").read_text())) for path in tmp_path.glob("transfer-bicycle-*")]
    both = report(*sides[0][0], *sides[0][1], *own)
    table = both.table3()
    assert table["category"].unique().tolist() == ["car", "bicycle"]
    own_rows = table[table["category"] == "bicycle"]
    assert own_rows["IoU, %, paper"].isna().all()  # the paper has no figure of them
    assert own_rows[OURS].notna().sum() == 2
    style_table(table, "Table 3")
    assert both.gains()["category"].tolist() == ["car", "bicycle", "both"]
    assert both.left_out == []
    assert both.steps_to_reach()["category"].unique().tolist() == ["car", "bicycle"]
    alone = report(*own)
    assert alone.table3()["category"].unique().tolist() == ["bicycle"]
    assert len(alone.table4())
    assert alone.curves("bicycle").keys() == {"from scratch", "pretrained on Chair Segments"}


def test_one_category_or_one_seed_finds_nothing_over_all(tmp_path):
    alone = report(*itertools.chain(*three_categories(tmp_path / "a", [4, 4, 4])[0]))
    assert alone.gains()["category"].tolist() == ["car"]
    once = report(*(r for pair in three_categories(tmp_path / "b", [4], seeds=(0,)) for arm in pair for r in arm))
    assert once.gains()["verdict"].tolist() == ["one seed"] * 4
    assert once.smallest_gain() == ""


def test_noise_is_no_difference(tmp_path):
    rng = np.random.default_rng(1)
    base = rng.uniform(40, 60, 30)
    found = paired_gain(*arms(tmp_path, [base] * 2, base + rng.normal(0, 5, (2, 30))))
    assert found is not None
    assert found.verdict == "no clear difference"


def test_seeds_are_averaged_and_photos_without_the_object_left_out(tmp_path):
    scratch, tuned = arms(
        tmp_path, [[10, 20, np.nan], [30, 40, np.nan], [0, 0, 0]], [[25, 40, np.nan], [31, 43, np.nan]]
    )
    found = paired_gain(scratch, tuned)
    assert found is not None
    # Over the two seeds that both arms have: the third, bad one of one arm is no gain of the other.
    assert (found.mean, found.n_units) == (pytest.approx(9.75), 2)
    assert found.by_seed == pytest.approx((17.5, 2))
    assert paired_gain(scratch, []) is None
    assert paired_gain(scratch[2:], tuned) is None


def test_folds_do_not_pair_with_each_other(tmp_path):
    scratch = [make(tmp_path, [10, 20], fold=0), make(tmp_path, [50, 60], fold=1)]
    tuned = [
        make(tmp_path, [11, 21], fold=0, pretraining="chair_segments"),
        make(tmp_path, [51, 61], fold=1, pretraining="chair_segments"),
    ]
    found = paired_gain(scratch, tuned)
    assert found is not None
    assert (found.mean, found.n_units) == (pytest.approx(1.0), 4)


OURS = "IoU, %, ours (95 % interval)"


def row(table, **where):
    """The one row of a table with these values."""
    for name, wanted in where.items():
        table = table[table[name] == wanted]
    assert len(table) == 1
    return table.iloc[0]


def test_table_3_has_the_rows_of_this_build(tmp_path):
    scratch, tuned = arms(tmp_path, [[50, 60, 70]] * 2, [[55, 66, 77]] * 2)
    table = report(*scratch, *tuned).table3()
    assert table[["category", "model", "pretraining"]].to_numpy().tolist() == [
        ["car", "U-Net", "from scratch"],
        ["car", "U-Net", "Chair Segments"],
    ]
    unet = row(table, pretraining="Chair Segments")
    assert unet["IoU, %, paper"] == "88.22"
    assert unet[OURS][0] == pytest.approx(66.0)
    gain = "gain over scratch, points (95 % interval)"
    assert unet[gain] == "+6.0 (+3.5 to +8.5) ▲"
    assert row(table, pretraining="from scratch")[gain] == ""
    assert table["seeds"].tolist() == [2, 2]


def test_models_of_several_widths_are_told_apart(tmp_path):
    unet, fcn = make(tmp_path, [50, 60]), make(tmp_path, [50, 60], name="fcn_vgg16")
    assert report(unet, fcn).table3()["model"].tolist() == ["FCN-VGG-16", "U-Net"]
    unet.content["parameters"]["width"] = 8
    assert report(unet, fcn).table3()["model"].tolist() == ["FCN-VGG-16, width 16", "U-Net, width 8"]


def test_table_3_without_records_is_the_papers(tmp_path):
    table = report().table3("dice")
    assert len(table) == 27
    one = row(table, model="U-Net", pretraining="Chair Segments", category="airplane")
    assert one["Dice, %, paper"] == "80.42"
    assert list(table.columns) == ["category", "model", "pretraining", "Dice, %, paper"]


def test_table_4_says_who_saw_masks(tmp_path):
    full = report(make(tmp_path, [50, 60, 70]))
    iou, precision = (full.table4(metric) for metric in ("iou", "precision"))
    ours, theirs = ({"scores": "ours, protocol authors"}, {"scores": "the paper"})
    assert row(iou, method="U-Net", **ours)["learned from masks"] == "yes"
    assert row(iou, method="U-Net", **theirs)["learned from masks"] == "yes"
    assert row(iou, method="Yuan et al. 2017")["learned from masks"] == "no"
    assert row(iou, method="U-Net", **ours)["car"][0] == pytest.approx(0.6)  # a fraction, as the paper prints it
    assert row(precision, method="U-Net", **ours)["car"] == pytest.approx((90, 90, 90))
    assert row(precision, method="Rubinstein et al. 2013")["car"] == "85.4"
    assert row(iou, method="U-Net", **ours)["horse"] is row(precision, method="U-Net", **ours)["horse"] is None
    assert iou["scores"].tolist() == ["ours, protocol authors", *["the paper"] * 6]  # none of what was not trained
    assert iou["method"].tolist()[1:4] == ["U-Net", "U-Net (w/ pretraining)", "Rubinstein et al. 2013"]


def test_table_4_has_a_row_for_each_protocol(tmp_path):
    authors = [make(tmp_path, [86, 88], seed=seed) for seed in range(3)]
    beside = make(tmp_path / "subset", [40, 42])
    beside.content["parameters"]["protocol"], beside.content["scored_split"] = "subset100", "test"
    full = report(*authors, beside)
    ours = full.table4().set_index("scores")["car"].drop("the paper")
    assert ours["ours, protocol authors"][0] == pytest.approx(0.87)
    assert ours["ours, protocol subset100"][0] == pytest.approx(0.41)
    assert len(ours) == 2
    # All else is of one protocol, and says which.
    assert full.selection.find("unet", "none", "car") == authors
    assert full.selection.find("unet", "none", "car", protocol="subset100") == [beside]
    assert full.selection.find("unet", "none", "car", protocol="folds") == []
    assert full.title.endswith("protocol authors, val images")
    assert full.left_out == []
    # Without any run, the rows are the paper's.
    assert row(report().table4(), method="U-Net")["car"] == "0.86"


def test_gains_show_every_seed(tmp_path):
    records = [make(tmp_path, [50, 60], seed=s) for s in (0, 1)]
    records += [make(tmp_path, [60, 70], seed=s, pretraining="chair_segments") for s in (0, 1)]
    table = report(*records).gains()
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["IoU by seed, %"], row["IoU of the other, by seed, %"]) == ("65.0 / 65.0", "55.0 / 55.0")
    assert row[GAIN] == pytest.approx((10, 10, 10))
    assert (row["images with the object"], row["seeds"], row["pretrainings"], row["verdict"]) == (2, 2, 2, "helps")
    assert report().gains().empty


def test_sources_of_pretraining_are_compared_with_each_other(tmp_path):
    records = [
        make(tmp_path, [iou, iou + 9], seed=seed, pretraining=pretraining)
        for pretraining, iou in (
            ("none", 50),
            ("chair_segments", 70),
            ("coco_chairs", 61),
            ("chair_segments_matched", 60),
        )
        for seed in (0, 1)
    ]
    table = report(*records).gains()
    found = {(row["arm"], row["compared with"]): row for _, row in table.iterrows()}
    matched, all_of_them, coco = (
        f"pretrained on {PRETRAINING_TITLES[name]}"
        for name in ("chair_segments_matched", "chair_segments", "coco_chairs")
    )
    assert len(found) == len(table) == 5
    assert (found[matched, coco][GAIN][0], found[matched, coco]["verdict"]) == (pytest.approx(-1), "hurts")
    assert (found[all_of_them, coco][GAIN][0], found[all_of_them, coco]["verdict"]) == (pytest.approx(9), "helps")
    assert found[coco, "from scratch"][GAIN][0] == pytest.approx(11)


def test_only_verdicts_against_the_paper_are_told(tmp_path):
    """Cars from scratch: 86.16 in the paper, 88.22 after chairs; FCN-VGG-16 on horses falls from 36.19 to 33.33."""
    scratch, tuned = arms(tmp_path, [[60, 70]] * 2, [[50, 61]] * 2)
    assert report(*scratch, *tuned).differences_from_paper() == [
        "Table 3, car, U-Net pretrained on Chair Segments, against from scratch: "
        "-9.5 (-15.9 to -3.1), hurts, 2 seeds here, +2.1 points of IoU in the paper."
    ]
    assert report(*tuned).differences_from_paper() == []
    # In the direction of the paper, or with one seed and so no verdict, there is nothing to tell.
    helped = [make(tmp_path / "up", [70, 81], seed=seed, pretraining="chair_segments") for seed in (0, 1)]
    assert report(*scratch, *helped).differences_from_paper() == []
    assert report(scratch[0], tuned[0]).differences_from_paper() == []
    # The paper has no run pretrained on as many composites as there are chairs in COCO.
    matched = [make(tmp_path, [50, 61], seed=seed, pretraining="chair_segments_matched") for seed in (0, 1)]
    assert report(*scratch, *matched).differences_from_paper() == []
    horses = [
        make(tmp_path, ious, seed=seed, name="fcn_vgg16", category="horse", pretraining=pretraining)
        for seed in (0, 1)
        for pretraining, ious in (("none", [60, 70]), ("chair_segments", [70, 81]))
    ]
    (told,) = report(*horses).differences_from_paper()
    assert told.startswith("Table 3, horse, FCN-VGG-16 pretrained on Chair Segments")
    assert "+10.5 (+4.1 to +16.9), helps, 2 seeds here, -2.9 points of IoU in the paper." in told


def test_the_reference_build_has_the_same_tables(tmp_path, ship):
    assert open_reference() is None
    scratch, tuned = arms(tmp_path / "runs", [[50, 60, np.nan]] * 2, [[55, 66, np.nan]] * 2)
    ship([*scratch, *tuned], "Made on 2026-01-02.")
    ours, shipped = report(*scratch, *tuned), open_reference()
    assert shipped.photos == ours.photos
    assert shipped.left_out == []
    for made in (lambda one: one.table3(), lambda one: one.gains()):
        assert style_table(made(shipped), "").data == style_table(made(ours), "").data


def test_what_each_arm_saw_is_shown(tmp_path):
    scratch, tuned = arms(tmp_path, [[50]] * 2, [[60]] * 2)
    scratch[0].content["images_seen"] = 77
    for record, seen in zip(tuned, (8000, 9000), strict=True):  # one of them stopped early
        record.content["pretrained_on"] |= {"images_seen": seen, "budget": 9500, "recipe": "paper"}
    none, chairs = report(*scratch, *tuned).images_seen().to_dict("records")
    assert (none["images seen"], none["training images"]) == ("77 to 640", "16")
    assert pd.isna(none["pretraining: images seen"])
    assert (chairs["images seen"], chairs["pretraining: images seen"]) == ("640", "8,000 to 9,000")
    assert (chairs["pretraining: different images"], chairs["pretraining: recipe"]) == ("600", "paper")


def test_a_pretraining_has_no_more_different_images_than_it_saw(tmp_path):
    _, tuned = arms(tmp_path, [[50]], [[60]])
    tuned[0].content["pretrained_on"] |= {"images_seen": 320, "n_train_images": 9000}
    (chairs,) = report(*tuned).images_seen().to_dict("records")
    assert (chairs["pretraining: different images"], chairs["pretraining: images seen"]) == ("320", "320")


def test_seeds_that_share_a_pretraining_are_told(tmp_path):
    scratch, tuned = arms(tmp_path, [[50, 60]] * 2, [[60, 70]] * 2)
    assert "4 runs of fine-tuning with 2 seeds, 2 pretrainings;" in report(*scratch, *tuned).sentence()
    for record in tuned:
        record.content["parameters"]["pretrained"] = "benchmark-the-only-one"
    assert "4 runs of fine-tuning with 2 seeds, 1 pretraining;" in report(*scratch, *tuned).sentence()
    assert report(*scratch, *tuned).gains()["pretrainings"].tolist() == [1]


def steps(*records):
    """category, label -> (images, low, high, undecided)."""
    table = report(*records).steps_to_reach()
    return {(row.category, row.label): (row.images, row.low, row.high, row.undecided) for row in table.itertuples()}


CHAIRS = "pretrained on Chair Segments"


def test_steps_to_reach_what_training_from_scratch_ends_with(tmp_path):
    found = steps(
        make(tmp_path, [50], curve=(20, 40, 60)),
        make(tmp_path, [50], seed=1, curve=(30, 70, 70)),
        make(tmp_path, [50], pretraining="chair_segments", curve=(50, 65, 80)),
        make(tmp_path, [50], pretraining="chair_segments", seed=1, curve=(75, 76, 80)),
        make(tmp_path, [50], category="horse", curve=(50, 70)),
        make(tmp_path, [50], category="horse", pretraining="chair_segments", curve=(50, 60)),
    )
    assert found["car", "from scratch"] == (250, 200, 300, "")  # each seed against its own end
    assert found["car", CHAIRS] == (150, 100, 200, "")
    assert np.isnan(found["horse", CHAIRS][:3]).all()
    assert found["horse", CHAIRS][3] == ""


def test_a_seed_that_never_gets_there_counts_as_infinity(tmp_path):
    found = steps(
        *(make(tmp_path, [50], seed=seed, curve=(20, 40)) for seed in range(3)),
        *(
            make(tmp_path, [50], seed=seed, pretraining="chair_segments", curve=curve)
            for seed, curve in enumerate([(40, 50), (30, 50), (10, 20)])
        ),
    )
    images, low, high, undecided = found["car", CHAIRS]
    assert (images, low, undecided) == (200, 100, "")
    assert np.isnan(high)


def test_a_curve_that_falls_below_again_is_not_there_yet(tmp_path):
    scratch = make(tmp_path, [50], curve=(20, 61, 40, 60))
    falls = make(tmp_path, [50], pretraining="chair_segments", curve=(61, 59, 70, 60))
    ends_below = make(tmp_path, [50], category="horse", pretraining="chair_segments", curve=(61, 70, 59))
    horse = make(tmp_path, [50], category="horse", curve=(20, 40, 60))
    found = steps(scratch, falls, horse, ends_below)
    assert found["car", "from scratch"] == (400, 400, 400, "")
    assert found["car", CHAIRS] == (300, 300, 300, "")
    assert np.isnan(found["horse", CHAIRS][0])


def test_steps_are_undecided_where_few_photos_validate(tmp_path):
    few = [make(tmp_path / "few", [50], curve=(20, 40, 60), n_val=29)]
    assert steps(*few)["car", "from scratch"][3] == "29 validation images with the object"
    empty = make(tmp_path / "empty", [50], curve=(20, 40, 60), n_val=40)
    empty.metrics["val"]["n_left_out"] = 11  # without the object: IoU rests on the others
    assert steps(empty)["car", "from scratch"][3] == "29 validation images with the object"
    # Folds are validated on photos of their own, so that together they may be enough.
    folds = [make(tmp_path / "folds", [50], fold=fold, curve=(20, 40, 60), n_val=6) for fold in range(5)]
    assert steps(*folds)["car", "from scratch"] == (300, 300, 300, "")


def test_arms_that_are_compared_differ_in_pretraining_alone(tmp_path):
    # Three scratch runs of another budget outnumber the pair that belongs together.
    pair = [make(tmp_path, [50, 60]), make(tmp_path, [60, 70], pretraining="chair_segments")]
    others = [make(tmp_path / "other", [5, 5], seed=seed) for seed in range(3)]
    for record in others:
        record.content["parameters"]["images"] = 99
    full = report(*others, *pair)
    assert full.selection.find("unet", "none", "car") == pair[:1]
    assert full.gains()[GAIN].iloc[0][0] == pytest.approx(10)
    assert full.left_out == [
        f"{record.name}: its images 99 differ from the runs that are shown, of which there are more"
        for record in others
    ]


def test_a_fold_that_stopped_early_keeps_its_last_value(tmp_path):
    folds = [make(tmp_path, [50], fold=fold, curve=curve) for fold, curve in enumerate([(20, 40, 60), (20, 20)])]
    (curve,) = report(*folds).curves("car")["from scratch"]
    assert curve["val_iou"].tolist() == [20, 30, 40]


def test_folds_are_one_seed_and_not_its_spread(tmp_path):
    records = [
        make(tmp_path, [50], seed=seed, fold=fold, curve=(10 * fold, 10 * fold + seed))
        for seed in (0, 1)
        for fold in range(5)
    ]
    curves = report(*records).curves("car")["from scratch"]
    assert [curve["val_iou"].tolist() for curve in curves] == [[20, 20], [20, 21]]


def test_shares_and_curves_are_of_one_configuration(tmp_path):
    whole = [make(tmp_path, [50, 60]), make(tmp_path, [55, 65], pretraining="chair_segments")]
    small = [make(tmp_path, [30, 40], share=25, pretraining=pretraining) for pretraining in ("none", "chair_segments")]
    for record in small:
        record.content["parameters"].update(recipe="paper", protocol="folds")
    full = report(*whole, *small)
    assert set(full.by_share("car")["share"]) == {100}
    assert full.selection.find("unet", "none", "car", share=25) == []
    assert len(full.left_out) == 2
    assert "its protocol folds, recipe paper differ" in full.left_out[0]
    for record in small:
        record.content["parameters"].update(recipe="fast", protocol="authors")
    full = report(*whole, *small)
    assert set(full.by_share("car")["share"]) == {25, 100}
    assert full.left_out == []


def test_of_two_pretrainings_under_one_seed_the_newer_counts(tmp_path):
    old, new = (make(tmp_path / name, [50, 60], pretraining="chair_segments") for name in "ab")
    old.content["parameters"]["pretrained"], new.content["finished"] = "benchmark-old", "2026-02-01T00:00:00Z"
    full = report(old, new)
    assert full.selection.find("unet", "chair_segments", "car") == [new]
    assert full.left_out == [f"{old.name}: a newer record answers the same question"]


def test_a_landscapes_members_are_not_taken_for_other_seeds_and_pretrainings(tmp_path):
    """They are newer: S2 with the initial weights of S1, and fine-tuned from early stages of the pretraining."""
    scratch, tuned = arms(tmp_path / "own", [[50, 60]] * 2, [[60, 70]] * 2)
    shared, early = arms(tmp_path / "landscape", [[10, 20]] * 2, [[20, 30]] * 2)
    for record in (*shared, *early):
        record.content["finished"] = "2026-02-01T00:00:00Z"
        record.content["parameters"]["init_seed"] = 0 if record in shared else None
    for record, spent in zip(early, ({"images_seen": 80, "budget": 80}, {"recipe": "paper"}), strict=True):
        record.content["pretrained_on"] |= spent
    early.append(make(tmp_path / "more", [10, 20], seed=2, pretraining="chair_segments"))
    early[-1].content["pretrained_on"] |= {"images_seen": 80, "budget": 80}
    full = report(*tuned, scratch[1], *shared, *early)
    assert full.selection.find("unet", "none", "car") == [
        shared[0],
        scratch[1],
    ]  # seed 0 with the weights of seed 0 is as any other
    assert full.selection.find("unet", "chair_segments", "car") == tuned
    most = "shown is the one with most, of 8,000 images (600 different ones, recipe fast)"
    assert full.left_out == [
        f"{shared[1].name}: its init_seed 0 differ from the runs that are shown, of which there are more",
        f"{early[0].name}: its pretraining has 80 images (80 different ones, recipe fast); {most}",
        f"{early[1].name}: its pretraining has 8,000 images (600 different ones, recipe paper); {most}",
        f"{early[2].name}: its pretraining has 80 images (80 different ones, recipe fast); {most}",
    ]


def test_pretrainings_that_stopped_at_their_own_time_are_the_same(tmp_path):
    tuned = [make(tmp_path, [60, 70], seed=seed, pretraining="chair_segments") for seed in (0, 1)]
    for record, seen in zip(tuned, (5000, 7000), strict=True):
        record.content["pretrained_on"] |= {"images_seen": seen, "budget": 8000}
    assert report(*tuned).selection.find("unet", "chair_segments", "car") == tuned


def test_shares_are_told_apart(tmp_path):
    small, whole = make(tmp_path, [30, 40], share=25), make(tmp_path, [50, 60])
    table = report(small, whole).by_share("car")
    assert table[["share", "n_images", "iou"]].to_numpy().tolist() == [[25, 4, 35.0], [100, 16, 55.0]]
    assert report(small, whole).selection.find("unet", "none", "car") == [whole]
    assert set(report(small, whole).curves("car")) == {"from scratch"}


def test_the_stand_in_is_never_called_object_discovery(tmp_path):
    full = report(make(tmp_path, [50, 60]))
    assert "stand-in" in full.title
    assert "Object Discovery" not in full.title
    sentence = full.sentence("quick", "A quick build.")
    assert "not the official Object Discovery release" in sentence
    assert "protocol authors, val images" in sentence
    assert "chosen on" not in sentence
    assert full.title_of("car") == full.title
    assert full.title_of("horse") == full.photos
    official = make(tmp_path, [50, 60], seed=1)
    official.content.update(published_split=True, chosen_on_scored=True)
    told = TransferReport("photos", [official], []).sentence()
    assert "the authors' own lists of the release" in told
    assert "Weights were chosen on the very images that are scored" in told
    assert full.glued("toy", "A toy.") == {"profile_sentence": full.sentence("toy", "A toy.")}


def test_records_of_other_photos_are_left_out(photos, tmp_path, own_runs):
    settings = {"width": 2, "resolution": 32, "images": 16, "evaluations": 1, "device": "cpu"}
    record = transfer.train(transfer.open_run(data=str(photos), **settings), progress=False)
    make(own_runs, [50, 60])
    found = open_report(str(photos))
    assert [kept.name for kept in found.records] == [record.name]
    assert found.data == "drawn"
    with pytest.raises(CollectionError, match="is not the Object Discovery release"):
        open_report(str(tmp_path / "nowhere"))
    assert any("other images" in reason for reason in found.left_out)
    assert open_report(str(photos), [record.name]).records[0].name == record.name
    other = next(path.name for path in own_runs.iterdir() if path.name != record.name)
    with pytest.raises(RecordError, match="is refused: it was made from other images"):
        open_report(str(photos), [other])
    with pytest.raises(RecordError, match="nowhere"):
        open_report(str(photos), ["transfer-nowhere"])


def test_a_copy_of_the_stand_in_is_called_the_stand_in(tmp_path, own_runs):
    shutil.copytree(paths.stand_in, tmp_path / "ObjectDiscovery")
    copied = open_report(str(tmp_path / "ObjectDiscovery"))
    assert (copied.data, copied.axis) == ("stand-in", "the stand-in")
    assert copied.photos == open_report().photos


def test_figure_5_says_which_rows_have_other_images(tmp_path, monkeypatch):
    masks = np.zeros((2, 4, 4), bool)
    kept = {
        "none": {"images": np.zeros((2, 4, 4, 3)), "targets": masks, "predicted": masks},
        "chair_segments": {"images": np.ones((2, 4, 4, 3)), "targets": masks, "predicted": masks},
    }
    monkeypatch.setattr(transfer_tables, "examples", lambda record, order: kept[record.settings.pretraining])
    shown = report(make(tmp_path, [50]), make(tmp_path, [50], pretraining="chair_segments")).figure5("car")
    rows = shown["predictions"]
    assert rows["U-Net, from scratch"] is masks
    assert len(rows) == 1
    scored_elsewhere = "U-Net, pretrained on Chair Segments was scored on other images."
    assert shown["caption"].split() == f"{scored_elsewhere} {transfer_tables.FIGURE5_NOTE}".split()
    assert report(make(tmp_path / "only", [50])).figure5("car")["caption"] == transfer_tables.FIGURE5_NOTE


def test_images_needed_are_drawn_with_their_range_over_seeds_and_doubts():
    table = pd.DataFrame(
        [
            ("car", "from scratch", 4000, 3000, 5000, ""),
            ("car", "pretrained", 2000, 2000, 2000, ""),
            ("horse", "from scratch", 4000, 3000, 5000, "12 validation photos"),
            ("horse", "pretrained", np.nan, 1000, np.nan, ""),
        ],
        columns=["category", "label", "images", "low", "high", "undecided"],
    )
    told = steps_to_reach(table).alt
    assert "car: from scratch 4,000 [3,000–5,000], pretrained 2,000 (50 % fewer)" in told
    assert "horse: from scratch undecided: 12 validation photos, pretrained never [1,000 to never]" in told


def test_real_records_make_every_table_and_figure(photos, collection, own_runs):
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
    asked = {"data": str(photos), "resolution": 32, "width": 2, "images": 32, "evaluations": 2, "device": "cpu"}
    for start, seed, share in itertools.product((None, chairs), (0, 1), (50, 100)):
        transfer.fine_tune(pretrained=start, seed=seed, share=share, progress=False, **asked)
    for start in (None, chairs):
        transfer.fine_tune(pretrained=start, protocol="folds", progress=False, **asked)
    full = open_report(str(photos))
    assert len(full.records) == 10
    assert full.left_out == []  # the fold is in Table 4
    assert full.gains()["seeds"].tolist() == [2]
    seen = full.images_seen()[["share of the images, %", "training images", "images seen"]]
    assert seen.to_numpy().tolist() == [[50, "8", "32"], [100, "16", "32"]] * 2
    unet = row(full.table3(), pretraining="from scratch")[OURS]
    ious = [record.metrics["test"]["iou"] for record in full.selection.find("unet", "none", "car")]
    assert unet[0] == pytest.approx(np.mean(ious))
    table4 = full.table4()
    assert row(table4, method="U-Net", scores="ours, protocol authors")["car"][0] == pytest.approx(unet[0] / 100)
    assert row(table4, method="U-Net (w/ pretraining)", scores="ours, protocol folds")["car"]
    for table in (full.table3(), full.table3("precision"), table4, full.gains(), full.images_seen()):
        assert "U-Net" in style_table(table, "a table").data
    shares = full.by_share("car")
    assert shares[["share", "n_images"]].to_numpy().tolist() == [[50, 8], [100, 16]] * 2
    assert iou_by_share(shares).alt
    needed = full.steps_to_reach()
    assert needed["undecided"].tolist() == ["3 validation images with the object"] * 2  # and one without a car
    assert "undecided" in steps_to_reach(needed).alt
    assert figure5(**full.figure5("car")).alt
    assert full.figure5("horse") == {}
    assert "2 seeds" in iou_over_steps(full.curves("car")).alt
    assert paths.runs == own_runs


def test_a_run_that_predicts_one_class_is_told_by_the_name_of_its_object(tmp_path):
    (record,), _ = arms(tmp_path, [[50]], [[60]])
    assert "one class" not in report(record).sentence()
    for found, said in (("chair", record.settings.category), ("background", "background")):
        record.metrics["test"]["predicted_all"] = found
        assert report(record).sentence().endswith(f" was predicted as one class by {record.name} ({said}).")
