"""What the chapter on fine-tuning shows: its verdicts in words, each beside its control, whatever was trained."""

import numpy as np
import pandas as pd
import pytest

from chairboard import transfer_report as shown
from chairboard.transfer_tables import TransferReport
from chairlib.core.runs import Record
from chairlib.transfer.settings import TransferSettings

HARD = np.random.default_rng(0).uniform(20, 60, 40)


def made(folder, ious, pretraining="none", category="car", seed=0, start=1.0, predicted_all=None, **more) -> Record:
    """A record whose images have these IoUs."""
    settings = TransferSettings(category=category, pretraining=pretraining, seed=seed, width=16, **more)
    home = folder / f"transfer-{category}-{pretraining}-{seed}-{'-'.join(map(str, more.values()))}"
    home.mkdir(parents=True)
    ious = np.asarray(ious, float)
    ids = [f"{number:04d}" for number in range(len(ious))]
    pd.DataFrame({"iou": ious, "dice": ious, "precision": 90.0, "id": ids}).to_csv(
        home / "test_images.csv", index=False
    )
    pd.DataFrame({"images": [100, 200], "val_iou": [40, 60]}).to_csv(home / "history.csv", index=False)
    mean = None if np.isnan(ious).all() else float(np.nanmean(ious))
    ends = [None, None] if mean is None else [mean - 2, mean + 2]
    content = {
        "kind": "transfer",
        "parameters": {
            **settings.to_dict(),
            "pretrained": f"benchmark-{seed}" if not pretraining.startswith("none") else None,
        },
        "metrics": {
            "test": {"iou": mean, "intervals": {"iou": ends}, "predicted_all": predicted_all, "n_images": len(ious)},
            "val": {"n_images": 40, "n_left_out": 0},
            "start": {"iou": start},
        },
        "finished": "2026-01-01T00:00:00Z",
        "pretrained_on": None
        if pretraining.startswith("none")
        else {"images_seen": 8000, "budget": 8000, "n_train_images": 600, "recipe": "fast"},
        "n_train_images": 16,
        "scored_split": "val",
        "seconds": 60.0,
        "images_seen": 640,
        "hardware": "a test",
    }
    return Record(home, content)


def runs(folder, chairs, control=None, seeds=3, categories=("car", "horse")) -> list[Record]:
    """Runs from scratch, from chairs and of the control; the latter two so many points above the first."""
    rng, found = np.random.default_rng(1), []
    for category in categories:
        for arm, more in (("none", 0), ("chair_segments", chairs), ("none_equal_total", control)):
            found += [
                made(folder, HARD + more + rng.normal(0, 0.3, 40), arm, category, seed)
                for seed in (range(seeds) if more is not None else ())
            ]
    return found


def report(*records: Record, data="stand-in") -> TransferReport:
    return TransferReport(data, list(records), [])


@pytest.mark.parametrize(
    ("chairs", "control", "first", "second", "follows"),
    [
        (5.4, 2, "helps: +5.", "does better: +3.", " So longer training alone does not explain the gain."),
        (5.4, 9, "helps: +5.", "does worse: −3.", " So here it is better to train for as long without chairs."),
        (-5.4, 2, "hurts: −5.", "does worse: −7.", ""),
        (0, 0, "makes no clear difference: ", "makes no clear difference: ", ""),
        (5.4, 5.4, "helps: +5.", "makes no clear difference: ", " So longer training alone may explain the gain."),
    ],
)
def test_the_answer_has_the_verdict_and_its_control(tmp_path, chairs, control, first, second, follows):
    gain, against, rests = shown.answer(report(*runs(tmp_path, chairs, control)))
    assert gain.startswith(f"Pretraining on chairs {first}")
    assert gain.endswith("over a U-Net from scratch, as the mean of car and horse.")
    assert "points of IoU (95 % interval " in gain
    assert against.startswith(f"Against the control, a U-Net from scratch with as many images in all, it {second}")
    assert against.endswith(f"as the mean of car and horse.{follows}")
    assert rests.startswith("This rests on 80 renderings, 3 seeds and 3 pretrainings; chairs and test images come from")


def test_the_answer_of_real_photos_says_nothing_of_the_renderer(tmp_path):
    rests = shown.answer(report(*runs(tmp_path, 5, 2), data="ObjectDiscovery"))[2]
    assert rests == "This rests on 80 photos, 3 seeds and 3 pretrainings."


def test_one_seed_one_category_and_no_control(tmp_path):
    gain, against, rests = shown.answer(report(*runs(tmp_path, 5, seeds=1, categories=("car",))))
    assert gain.startswith("Pretraining on chairs has one seed and no verdict: +")
    assert gain.endswith("over a U-Net from scratch, on images of the category car.")
    assert against == "The control, a U-Net from scratch with as many images in all, is not in this build."
    assert "1 seed and 1 pretraining;" in rests
    controlled = shown.answer(report(*runs(tmp_path / "c", 5, 2, seeds=1)))[1]
    assert "it has one seed and no verdict: " in controlled
    assert "So " not in controlled


def test_without_a_pair_there_is_no_answer(tmp_path):
    assert shown.answer(report())[0].startswith("No U-Net from scratch can be compared yet")
    assert len(shown.answer(report(made(tmp_path, HARD)))) == 1


def test_a_run_is_told_with_its_start_and_its_limits(tmp_path):
    score, start, limits = shown.run_answer(made(tmp_path, HARD, start=12.34))
    assert score == (
        f"After 640 images, the model finds the object (car) with a mean IoU of {HARD.mean():.1f} % "
        f"(95 % interval over images {HARD.mean() - 2:.1f} to {HARD.mean() + 2:.1f})."
    )
    assert start == "Before training, the random weights reached an IoU of 12.3 %."
    assert limits.startswith("One run shows neither")
    tuned = shown.run_answer(made(tmp_path, HARD, "chair_segments"))
    assert tuned[1].startswith("Before fine-tuning, the pretrained weights reached")
    constant = shown.run_answer(made(tmp_path, HARD, seed=1, predicted_all="chair"))
    assert constant[1] == "But it calls every pixel car: that is the score of a constant mask."
    empty = shown.run_answer(made(tmp_path, [np.nan] * 3, seed=2, start=None))
    assert empty[0] == "This run has no IoU: no scored image holds the object car."


def test_a_gain_stands_beside_its_control_and_the_rest_is_folded(tmp_path):
    drawn = shown.gains(report(*runs(tmp_path, 5, 2))).data
    first, folded = drawn.split("<details>")
    assert "In every row: U-Net." in first
    assert shown.LEGEND in first
    heads = [part.split("<")[0] for part in first.split('<th scope="col" class="')[1:]]
    assert [head.split(">")[1] for head in heads] == [
        "category",
        "pretrained on Chair Segments minus from scratch",
        "pretrained on Chair Segments minus from scratch, as many images in all",
        "from scratch, as many images in all minus from scratch",
    ]
    car, horse, both = first.split("<tbody>")[1].split("<tr>")[1:]
    assert car.count(" ▲") == both.count(" ▲") == 3
    assert ">car<" in car
    assert ">horse<" in horse
    assert ">both<" in both
    assert "points is found in 80 % of studies" in folded
    assert "In every row: U-Net, 3 seeds." in folded
    assert 'class="chair-absent"' in shown.gains(report()).data


def test_tables_have_one_metric_at_a_time(tmp_path):
    full = report(*runs(tmp_path, 5, 2))
    table3, table4 = shown.table3(full).data, shown.table4(full).data
    assert (table3.count("<table"), table4.count("<table")) == (3, 2)
    assert table3.count(shown.LEGEND) == 3
    assert "Ours: width 16, recipe fast, on a test. In every row: U-Net, 3 seeds." in table3
    assert ">85.4<" in table4
    assert shown.not_trained(full).data.startswith(
        '<p class="chair-absent">Table 3, rows that this build did not train: '
    )
    assert "pretrained on COCO chairs (needs COCO&#x27;s photos)" in shown.not_trained(full).data
    assert shown.not_trained(report()) is None
    assert len(shown.all_tables(full)) == 3


def test_what_a_build_has_not_is_a_line_that_the_site_folds(tmp_path):
    full = report(*runs(tmp_path, 5, categories=("car",)))
    for absent in (
        shown.figure6(full, "horse"),
        shown.shares(full, "car"),
        shown.shares(report(), "car"),
        shown.figure5(report(), "car"),
        shown.images_seen(report()),
        shown.images_needed(report()),
    ):
        assert absent.data.startswith('<p class="chair-absent">')
    assert "evening and paper have them" in shown.shares(full, "car").data
    assert "Car: the stand-in" in shown.figure6(full, "car").data
    assert "16 training images" in shown.images_seen(full).data
    assert shown.images_needed(full).alt
    assert shown.own_categories(full) is None


def test_categories_of_ones_own_have_figures(tmp_path, monkeypatch):
    masks = np.zeros((2, 4, 4), bool)
    kept = {"images": np.zeros((2, 4, 4, 3)), "targets": masks, "predicted": masks}
    monkeypatch.setattr("chairboard.transfer_tables.examples", lambda record, ranked_by: kept)
    own = shown.own_categories(report(made(tmp_path, HARD, category="bicycle")))
    assert own.data.count("Bicycle: the stand-in") >= 2


def test_shares_are_drawn_where_there_are_several(tmp_path):
    records = [made(tmp_path, HARD, share=50), made(tmp_path, HARD + 3)]
    assert shown.shares(report(*records), "car").alt
