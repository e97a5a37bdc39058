"""Curves and bars show the data they are given, tell it in their alternative text, and name what is wrong with it."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from chairlib.core.errors import ParameterError
from chairlib.show import canvas
from chairlib.show.canvas import Figure
from chairlib.show.curves import (
    foreground_histogram,
    iou_by_resolution,
    iou_by_share,
    iou_over_steps,
    over_seeds,
    steps_to_reach,
    training_curves,
)
from figure_helpers import RNG, check_figure, has_colour, mixed


def history(n: int = 6, top: float = 80.0) -> pd.DataFrame:
    seen = np.arange(1, n + 1) * 2000
    return pd.DataFrame(
        {
            "images": seen,
            "train_loss": 0.6 / np.arange(1, n + 1),
            "val_loss": 0.7 / np.arange(1, n + 1),
            "val_iou": top - 30.0 / np.arange(1, n + 1),
            "learning_rate": 1e-3,
            "seconds": seen / 100,
        }
    )


PAPER = pd.DataFrame(
    {"model": ["U-Net"] * 2 + ["FCN-VGG-16"], "resolution": [32, 64, 64], "iou": [77.59, 85.08, 61.09]}
)
OURS = pd.DataFrame({"model": ["U-Net"], "resolution": [64], "iou": [83.21], "low": [82.0], "high": [84.5]})
SEEDS = {"from scratch": [history(), history(top=76)], "pretrained": [history(top=84)]}
SHARES = pd.DataFrame(
    {
        "label": ["from scratch", "from scratch", "pretrained"],
        "share": [10, 100, 100],
        "n_images": [45, 448, 448],
        "iou": [40.0, 50.0, 56.0],
        "low": [37.0, 47.0, np.nan],
        "high": [43.0, 53.5, np.nan],
    }
)
NEEDED = pd.DataFrame(
    {
        "category": ["car", "car", "horse", "horse"],
        "label": ["from scratch", "pretrained"] * 2,
        "images": [8000.0, 2000.0, 6000.0, np.nan],
        "low": np.nan,
        "high": np.nan,
        "undecided": "",
    }
)

MAKE = {
    "foreground_histogram": lambda: foreground_histogram({"test": RNG.uniform(5, 40, 500)}),
    "foreground_histogram_sets": lambda: foreground_histogram({"training": [10.0, 20.0], "test": [30.0]}),
    "training_curves": lambda: training_curves(history()),
    "iou_over_steps_one_seed": lambda: iou_over_steps({"U-Net": [history()], "FCN-VGG-16": [history(top=60)]}),
    "iou_over_steps": lambda: iou_over_steps(SEEDS),
    "iou_by_share": lambda: iou_by_share(SHARES),
    "iou_by_share_one": lambda: iou_by_share(SHARES[1:]),
    "steps_to_reach": lambda: steps_to_reach(NEEDED),
    "steps_to_reach_never": lambda: steps_to_reach(NEEDED.assign(images=None)),
    "iou_by_resolution": lambda: iou_by_resolution(OURS, PAPER),
    "iou_by_resolution_none": lambda: iou_by_resolution(pd.DataFrame(), PAPER),
}

ALT = {
    "foreground_histogram_sets": [
        "training: 2 composites, mean 15.00 %, from 10.0 to 20.0 %",
        "test: 1 composites, mean 30.00 %, from 30.0 to 30.0 %. The paper's mean is 21.99 %.",
    ],
    "training_curves": [
        "12,000 images and 120 seconds",
        "validation loss ends at 0.1167",
        "75.0 % after 12,000 images",
    ],
    "iou_over_steps_one_seed": ["images seen. U-Net: best 75.0 % after 12,000 images", "FCN-VGG-16: best 55.0 %"],
    "iou_over_steps": [
        "from scratch: 2 seeds, mean best 73.0 % after 12,000 images, mean at the end 73.0 % after 12,000 images",
        "seeds there 71.0 to 75.0 % (4.0 points)",
        "pretrained: best 79.0 % after 12,000 images",
    ],
    "iou_by_share": [
        "from scratch with 10 % (45 images): 40.0 % (37.0 to 43.0)",
        "pretrained with 100 % (448 images): 56.0 %.",
    ],
    "steps_to_reach": [
        "car: from scratch 8,000, pretrained 2,000 (75 % fewer)",
        "horse: from scratch 6,000, pretrained never",
    ],
    "steps_to_reach_never": ["car: from scratch never, pretrained never"],
    "iou_by_resolution": ["U-Net at 64: 83.2 % (82.0 to 84.5)", "FCN-VGG-16 at 64 in the paper: 61.09 %"],
}


@cache
def drawn(name: str) -> Figure:
    return MAKE[name]()


@pytest.mark.parametrize("name", MAKE)
def test_every_figure_is_a_picture_with_alternative_text(name: str) -> None:
    check_figure(drawn(name))


@pytest.mark.parametrize("name", ALT)
def test_alternative_text_holds_the_numbers(name: str) -> None:
    alt = drawn(name).alt
    for words in ALT[name]:
        assert words in alt


def test_the_evaluation_that_was_kept_can_be_named() -> None:
    assert "the evaluation kept has 72.5 % after 8,000 images" in training_curves(history(), best_images=8000).alt


def test_gaps_in_a_history_are_skipped() -> None:
    gaps = history()
    gaps.loc[[0, 5], ["val_loss", "val_iou"]] = np.nan
    alt = training_curves(gaps).alt
    assert "Validation IoU goes from 65.0 to 74.0 %" in alt
    assert "validation loss ends at 0.1400" in alt


def test_a_history_without_a_validation_iou_says_so() -> None:
    """No validation image holds the object: losses and rate are shown all the same, with the evaluation kept."""
    undefined = history().assign(val_iou=np.nan)
    words = "There is no validation IoU, since no validation image holds the object"
    assert training_curves(undefined).alt.endswith(f"{words}.")
    alt = training_curves(undefined, best_images=8000).alt
    assert alt.endswith(f"{words}; the evaluation kept comes after 8,000 images.")
    assert "validation loss ends at 0.1167" in alt


def test_seeds_evaluated_at_different_places_are_interpolated() -> None:
    """A seed counts from its first evaluation, and keeps its last value where it ended early."""
    short = pd.DataFrame({"images": [3000, 5000], "val_iou": [10.0, 20.0]})
    long = pd.DataFrame({"images": [8000, 2000, 4000, 6000], "val_iou": [40.0, 10.0, 20.0, np.nan]})
    seeds = over_seeds([short, long])
    assert seeds.index.tolist() == [3000, 4000, 5000, 8000]
    assert seeds[0].tolist() == [10, 15, 20, 20]
    assert seeds[1].tolist() == [15, 20, 25, 40]


def test_a_first_row_without_a_learning_rate_leaves_the_curve_as_it_is() -> None:
    """The evaluation before the first step has none. The axis still begins at 0."""
    rates = history()["learning_rate"].to_numpy().astype(float)
    figure = training_curves(history().assign(learning_rate=[np.nan, *rates[1:]]))
    check_figure(figure)
    assert has_colour(figure, canvas.PALETTE[2])


def test_captions_say_what_is_found() -> None:
    both = iou_over_steps({"U-Net": [history(top=80)], "FCN-VGG-16": [history(top=40)]})
    ends = [history(top=top)["val_iou"].iloc[-1] for top in (80, 40)]
    assert both.caption == (
        f"Validation IoU at the end of training: highest {ends[0]:.1f} %, U-Net; lowest {ends[1]:.1f} %, FCN-VGG-16."
    )
    assert "Validation IoU goes from" in training_curves(history()).caption
    needed = pd.DataFrame({"category": "car", "label": ["from scratch", "pretrained on", "other"], "undecided": ""})
    needed = needed.assign(images=[4000, 1000, np.nan], low=np.nan, high=np.nan)
    assert steps_to_reach(needed).caption == "Fewer images than from scratch were enough in 1 of 2 comparisons."
    assert steps_to_reach(needed.assign(undecided="too few photos")).caption == ""
    assert foreground_histogram({"train": [20.0, 22.0]}).caption == (
        "Chair pixels on average: 21.0 % (train); in the paper 21.99 %."
    )


def test_seeds_are_drawn_as_a_mean_and_a_band() -> None:
    """Where seeds differ, the range is there in a paler colour than the mean."""
    apart, alike = (iou_over_steps({"U-Net": [history(top=80), history(top=top)]}) for top in (40, 80))
    band = mixed(canvas.PALETTE[0], canvas.GROUND, 0.2)
    assert has_colour(apart, band, 20_000)
    assert not has_colour(alike, band, 2_000)


def test_images_needed_are_compared_with_the_first_label() -> None:
    needed = pd.DataFrame({"category": "car", "label": list("abcde"), "images": [4000, 4000, 6000, 0, 1000]})
    needed = needed.assign(low=np.nan, high=np.nan, undecided="")
    told = "car: a 4,000, b 4,000 (as many), c 6,000 (50 % more), d 0 (100 % fewer), e 1,000 (75 % fewer)"
    assert told in steps_to_reach(needed).alt
    needed.loc[0, "images"] = 0
    assert "car: a 0, b 4,000, c 6,000, d 0, e 1,000." in steps_to_reach(needed).alt


def test_histories_without_a_validation_iou_are_left_out() -> None:
    undefined = history().assign(val_iou=np.nan)
    told = iou_over_steps({"U-Net": [history(), undefined], "FCN-VGG-16": [undefined]}).alt
    assert "U-Net: best 75.0 %" in told
    assert "FCN" not in told
    with pytest.raises(ParameterError, match="at least one history with a validation IoU"):
        iou_over_steps({"U-Net": [undefined], "FCN-VGG-16": []})
