"""The card and robustness of a finished run, as the command line prints them."""

import pytest

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
    assert "boundary iou" not in out
    fifths = out.partition("IoU by foreground share:\n")[2].splitlines()
    assert fifths
    assert any("(95 % interval " in line for line in fifths)


def test_robustness_says_how_many_images_and_intervals(run, call, fails):
    status, out, _ = call("robustness", run, "--images", 4)
    assert status == 0
    first, *lines = out.splitlines()
    assert first == "IoU in per cent (95 % interval) on 4 test composites; strength 0: as they are"
    assert any(line.startswith("blur ") for line in lines)


def test_no_images_are_refused_by_the_name_of_the_option(run, fails):
    assert fails("robustness", run, "--images", 0) == "--images 0 must be a whole number of at least 1."
