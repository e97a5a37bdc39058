"""The answers of single chapters are right whatever their numbers are."""

import copy
import re
from types import SimpleNamespace

import numpy as np
import pytest

from chairboard.answers import composites, how_made, one_run
from chairlib.benchmark.run import open_run, train
from chairlib.core.statistics import difference

COUNTS = {"train": 25_000, "val": 10_000, "test": 6}


def test_the_share_of_chair_has_an_interval_over_chairs():
    """Composites of one chair have one mask: three chairs make three units, not six."""
    shares, groups = np.array([10.0, 10, 20, 20, 30, 30]), list("aabbcc")
    counts, share, control = composites(COUNTS, shares, groups)
    assert counts.startswith("There are 25,000 training, 10,000 validation and 6 test composites")
    found = difference([np.array([[10.0], [20.0], [30.0]])])
    assert (
        f"cover 20.0 % of the pixels of the test composites (95 % interval over chairs 0.0 to {found.high:.1f}; "
        in share
    )
    assert found.low < 0 < found.high
    assert share.endswith("the paper's: 21.99 %).")
    assert "right for 80.0 % of the pixels" in control
    assert "(the paper's: 21.99 %)" in composites(COUNTS, [15.0, 15.0], ["a", "a"])[1]  # one chair has no interval


def test_chairs_with_more_composites_count_for_more():
    """The interval lies about the mean over composites, also where chairs have different numbers of them."""
    shares, groups = np.array([*[10.0, 12.0, 11.0] * 20, 40.0, 20.0]), [*["a", "b", "c"] * 20, "d", "e"]
    said = composites(COUNTS, shares, groups)[1]
    low, high = map(float, re.search(r"over chairs (\S+) to (\S+);", said).groups())
    assert f"cover {shares.mean():.1f} %" in said
    assert (low + high) / 2 == pytest.approx(shares.mean(), abs=0.1)
    assert high - low < 5
    wide = composites(COUNTS, np.array([1.0] * 30 + [99.0] * 2), ["a"] * 30 + ["b"] * 2)[1]
    assert "over chairs 0.0 to 100.0;" in wide  # a share lies from 0 to 100 %


@pytest.fixture
def record(collection, own_runs):
    toy = {"width": 2, "images": 32, "val_images": 4, "test_images": 8, "evaluations": 1}
    return train(open_run(data=str(collection.root), resolution=32, device="cpu", **toy), progress=False)


def changed(record, **test):
    """The record with other numbers of its test."""
    content = copy.deepcopy(record.content)
    content["metrics"]["test"].update({"predicted_all": None, **test})
    return SimpleNamespace(content=content, metrics=content["metrics"], settings=record.settings)


def test_a_run_s_answer_has_its_numbers_and_a_control(record):
    intervals = {**record.metrics["test"]["intervals"], "iou": [61.5, 72.25]}
    scored, spent, control = one_run(changed(record, iou=66.66, precision=91.0, intervals=intervals))
    assert scored.startswith("U-Net, width 2 has a mean IoU of 66.7 % (95 % interval over chairs 61.5 to 72.2)")
    assert scored.endswith("on 8 test composites at 32 px.")
    assert f"on {record.content['images_seen']:,} images" in spent
    assert "another seed" in spent
    baseline = record.metrics["all_background_precision"]
    assert control == (
        f"It labels 91.0 % of the pixels correctly; a mask without chair is right for {baseline:.1f} % of them, but "
        f"its IoU is 0 %. A mask that is all chair has an IoU of about {100 - baseline:.0f} %."
    )


def test_a_run_that_says_nothing_is_told_so(record):
    nothing = {**record.metrics["test"]["intervals"], "iou": [None, None]}
    assert "(no interval)" in one_run(changed(record, iou=50.0, intervals=nothing))[0]
    assert one_run(changed(record, iou=None, intervals=nothing))[0] == (
        "U-Net, width 2 has no IoU: no test image has enough chair pixels."
    )
    constant = one_run(changed(record, predicted_all="background"))
    assert constant[2] == "But it calls every pixel background, so this is the score of a constant mask."
    elsewhere = changed(record)
    elsewhere.settings = SimpleNamespace(**{**vars(record.settings), "weights": "mine.pt"})
    assert one_run(elsewhere)[1] == "It was trained elsewhere and is only scored here."


def test_how_a_run_was_made_repeats_no_score(record):
    protocol, scored, spent = how_made(record)
    assert protocol.startswith("Protocol custom-")
    assert scored.startswith("Scored on 8 test composites of ")
    assert spent.startswith(f"{record.content['images_seen']} images")
    assert "converged after" in spent
    assert "constant mask" not in protocol + scored + spent
