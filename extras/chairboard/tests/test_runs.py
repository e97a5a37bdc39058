"""The card and robustness of a finished run, as the command line prints them."""

from dataclasses import replace

import pytest

from chairboard.runs import by_title, card_of, card_table, describe
from chairlib.benchmark.run import open_run, train


@pytest.fixture
def run(collection, own_runs):
    toy = {"width": 2, "images": 32, "val_images": 4, "test_images": 8, "evaluations": 1}
    settings = open_run(data=str(collection.root), resolution=32, device="cpu", **toy)
    return train(settings, progress=False).name


def test_a_card_has_an_interval_at_every_number(run, call):
    status, out, _ = call("card", run)
    assert status == 0
    assert out.startswith("boundary IoU ")
    card = card_of(run, "cpu", progress=False)
    shares = card.by_share.iloc[:2].assign(share_low=[5.0, 10.0], share_high=[10.0, 20.0], iou=[60.0, 70.0])
    shares = shares.assign(low=[50.0, float("nan")], high=[65.0, float("nan")])  # of one group there is none
    told = describe(replace(card, by_share=shares)).splitlines()[-2:]
    assert told[0] == "    5.0 to  10.0 % of the image: 60.0 %  (95 % interval 50.0 to 65.0)"
    assert told[1] == "   10.0 to  20.0 % of the image: 70.0 %"


def test_robustness_says_how_many_images_and_intervals(run, call):
    status, out, _ = call("robustness", run, "--images", 4)
    assert status == 0
    first, *lines = out.splitlines()
    assert first == "IoU in per cent (95 % interval) on 4 test composites; strength 0: as they are"
    assert any(line.startswith("blur ") for line in lines)


def test_no_images_are_refused_by_the_name_of_the_option(run, fails):
    assert fails("robustness", run, "--images", 0) == "--images 0 must be a whole number of at least 1."


def test_cards_make_a_table_by_the_titles_of_their_models(run):
    record = by_title([run])["U-Net, width 2"]
    assert record.name == run
    assert list(by_title([run, run])) == [run]  # the same title twice: told apart by name
    card = card_of(record, "cpu", progress=False)
    shown = card_table({"net": card})
    assert shown.columns.tolist() == ["IoU", "boundary IoU", "thin IoU", "calibration error"]
    assert shown.loc["net", "thin IoU"][1:] == pytest.approx(card.interval("thin_iou"), nan_ok=True)
    assert card_table({}).empty
