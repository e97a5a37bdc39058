"""What the chapter on the benchmark shows is right whatever was trained: nothing, one model, ties, one class."""

import numpy as np
import pandas as pd
import pytest

from chairboard import benchmark_report as shown
from chairlib.benchmark.report import Report
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core.runs import Record

GROUPS = np.repeat([f"segment:{number}" for number in range(20)], 5)
HARD = np.repeat(np.random.default_rng(0).uniform(30, 70, 20), 5)


def scored(folder, ious, model="unet", resolution=64, seed=0, predicted_all=None, **more) -> Record:
    """A record whose 100 test composites, of 20 groups, have these IoUs."""
    settings = BenchmarkSettings(model=model, width=16, resolution=resolution, seed=seed, images=6000, **more)
    home = folder / f"{model}-{resolution}-{seed}-{'-'.join(map(str, more.values()))}"
    home.mkdir(parents=True)
    ious = np.broadcast_to(np.asarray(ious, float), GROUPS.shape)
    table = pd.DataFrame({"iou": ious, "dice": ious, "precision": 90.0, "group": GROUPS})
    table.to_csv(home / "test_images.csv", index=False)
    mean = None if np.isnan(ious).all() else float(np.nanmean(ious))
    ends = [None, None] if mean is None else [mean - 4, mean + 4]
    test = {"iou": mean, "dice": mean, "precision": 90.0, "pooled_iou": mean, "predicted_all": predicted_all}
    test |= {"n_images": 100, "intervals": dict.fromkeys(("iou", "dice", "precision", "pooled_iou"), ends)}
    content = {
        "kind": "benchmark",
        "parameters": settings.to_dict(),
        "finished": "2026-01-01",
        "hardware": "a test",
        "metrics": {"test": test, "all_background_precision": 78.2},
        "seconds": 35.0,
        "images_seen": 6016,
        "converged_images": 6016,
        "converged_seconds": 33.0,
    }
    return Record(home, content)


def several(folder, offset, model="unet", seeds=3, **more) -> list[Record]:
    noise = np.random.default_rng(len(model)).normal(0, 0.5, (seeds, len(GROUPS)))
    return [scored(folder, HARD + offset + noise[seed], model, seed=seed, **more) for seed in range(seeds)]


def answer(*records: Record) -> list[str]:
    return shown.answer(Report("drawn", list(records), []))


def test_the_answer_names_the_best_model_the_gap_the_cost_and_the_control(tmp_path):
    best, gap, cost, control = answer(*several(tmp_path, 0, "fcn_vgg16"), *several(tmp_path, 10))
    assert best.startswith("Of 2 models at 64 × 64 pixels, U-Net has the highest mean IoU on test composites: ")
    shown_iou = float(best.split("composites: ")[1].split(" %")[0])
    assert shown_iou == pytest.approx(HARD.mean() + 10, abs=0.2)
    assert "% (95 % interval " in best
    assert gap.startswith("The next, FCN-VGG-16, is ")
    assert gap.endswith("This is a clear difference: its interval leaves out zero.")
    assert cost == "The median run of U-Net saw 6,016 images in 35 seconds on a test."
    assert "one that is all chair has an IoU of about 22 %, one without chair 0 %, though 78.2 %" in control
    assert control.endswith("of its pixels are right. Of U-Net's pixels, 90.0 % are.")


def test_a_tie_is_no_clear_difference(tmp_path):
    gap = answer(*several(tmp_path, 0), *several(tmp_path, 0, "fcn_vgg16"))[1]
    assert gap.endswith("This is no clear difference: its interval holds zero.")
    exact = answer(*[scored(tmp_path / "tie", 50, model, seed=s) for s in (0, 1) for model in ("unet", "fcn_vgg16")])[1]
    assert exact == (
        "The next, FCN-VGG-16, is 0.0 points lower on the same composites and seeds (95 % interval 0.0 to 0.0). "
        "This is no clear difference: its interval holds zero."
    )


def test_an_order_that_turns_round_on_the_shared_seeds_is_told(tmp_path):
    unet = [scored(tmp_path / "u", HARD + high, seed=seed) for seed, high in enumerate((10, 10, 50))]
    other = [scored(tmp_path / "v", HARD + 12, "fcn_vgg16", seed=seed) for seed in (0, 1)]
    gap = answer(*unet, *other)[1]
    assert gap.startswith("The next, FCN-VGG-16, is 2.0 points higher on the same composites and seeds (95 %")
    assert gap.endswith("So on the seeds that both have, the order is clearly the other way round.")


def test_one_seed_has_no_verdict(tmp_path):
    gap = answer(scored(tmp_path, HARD + 9), scored(tmp_path, HARD, "fcn_vgg16"))[1]
    assert gap.endswith("With one seed there is no verdict: nothing shows the luck of training.")


def test_what_cannot_be_compared_is_said(tmp_path):
    assert answer() == ["No model has been trained and scored at 64 × 64 pixels on drawn yet: make paper does it."]
    assert answer(scored(tmp_path, HARD, resolution=32))[0].startswith("No model has been trained and scored at 64")
    alone = answer(*several(tmp_path, 5))
    assert alone[0].startswith("U-Net, the only model at 64 × 64 pixels here, has a mean IoU of ")
    assert "The next" not in " ".join(alone)
    apart = answer(scored(tmp_path / "a", HARD + 9, seed=1), scored(tmp_path / "a", HARD, "fcn_vgg16"))
    assert apart[1].endswith("with the same seeds: no difference is given.")
    undefined = scored(tmp_path / "b", np.nan, "fcn_vgg16")
    assert answer(undefined)[0].startswith("No model")
    assert answer(undefined, scored(tmp_path / "b", HARD))[0].startswith("U-Net, the only model")


def test_a_constant_mask_is_called_one(tmp_path):
    toy = answer(scored(tmp_path, 22, predicted_all="chair"), scored(tmp_path, 5, "fcn_vgg16"))
    assert toy[-1].startswith("But U-Net calls every pixel the same")
    assert "The control" not in " ".join(toy)


def test_the_cost_is_that_of_the_median_run(tmp_path):
    records = several(tmp_path, 0)
    for record, seconds in zip(records, (60, 200, 9000), strict=True):
        record.content["seconds"] = seconds
    assert "The median run of U-Net saw 6,016 images in 3.3 minutes on a test." in answer(*records)


def test_times_are_told_in_a_unit_that_suits_them():
    told = ["6 seconds", "99 seconds", "3.3 minutes", "2.5 hours"]
    assert [shown.duration(seconds) for seconds in (6, 99, 200, 9000)] == told


def test_weights_from_elsewhere_have_no_cost(tmp_path):
    (record,) = several(tmp_path, 0, seeds=1)
    record.content["images_seen"] = 0
    assert "seconds" not in " ".join(answer(record))


def test_only_runs_of_the_same_terms_are_ranked(tmp_path):
    other = scored(tmp_path, HARD + 20, "fcn_vgg16", recipe="paper")
    assert answer(*several(tmp_path, 0), other)[0].startswith("U-Net, the only model")


def test_tables_say_in_the_caption_what_rows_have_in_common(tmp_path):
    report = Report("drawn", [*several(tmp_path, 0, "fcn_vgg16"), *several(tmp_path, 10)], [])
    common = "Ours: width 16, recipe fast, on a test. In every row: 3 seeds, 6,016 training images."
    assert f"Test IoU at each resolution, and when a run had converged. {common}" in shown.table1(report).data
    table2 = shown.table2(report).data
    assert table2.count("<table") == 3
    trained = common.replace("every row", "every row that we trained")  # the control, all background, was not
    assert table2.count(trained) == 6  # in each caption and its label
    assert table2.startswith('<form class="chair-switch"')
    assert table2.index("IoU on test") < table2.index("Dice on test") < table2.index("Precision on test")
    assert ">seeds<" not in table2
    assert "20 groups of test composites" in shown.differences(report).data
    mixed = Report("drawn", [*report.records, scored(tmp_path, HARD, recipe="paper")], [])
    assert shown.table1(mixed).data.count("<table") == 2
    assert shown.in_common(mixed.records) == "Ours: width 16, on a test."


def test_what_was_not_trained_is_a_line_that_the_site_folds(tmp_path):
    report = Report("drawn", several(tmp_path, 0), [])
    assert shown.not_trained(report, 2).data == (
        '<p class="chair-absent">Table 2, rows that this build did not train: FCN-ResNet-101 (64 px); FCN-ResNet-50 '
        "(64 px); FCN-VGG-16 (64 px). Larger profiles train more of these rows.</p>"
    )
    assert "U-Net (32 px, 128 px, 256 px)" in shown.not_trained(report, 1).data
    assert shown.untrained("Table 2", []) is None
    assert 'class="chair-absent"' in shown.differences(report).data


def test_without_records_the_tables_are_the_papers_and_figures_are_absent():
    report = Report("drawn", [], [])
    assert shown.not_trained(report, 1) is shown.not_trained(report, 2) is None
    assert ">0.4<" in shown.table1(report).data
    assert ">33<" in shown.table1(report).data
    for one in (shown.learning_curves(report), shown.figure4(report), shown.differences(report)):
        assert one.data.startswith('<p class="chair-absent">')
    assert len(shown.all_tables(report)) == 3


@pytest.mark.parametrize("seeds", [1, 3])
def test_captions_count_seeds_right(tmp_path, seeds):
    told = f"In every row: {seeds} seed{'s' if seeds > 1 else ''}, "
    assert told in shown.table1(Report("drawn", several(tmp_path, 0, seeds=seeds), [])).data
