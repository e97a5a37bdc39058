"""Curves over alpha and barriers draw the data they are given, describe it in words, and name what is wrong with it."""

from functools import cache
from itertools import product

import pandas as pd
import pytest

from chairlib.core.errors import ParameterError
from chairlib.show.canvas import GROUND, PALETTE, Figure
from chairlib.show.interpolation import PAIR_COLOURS, barrier_over_pretraining, interpolation_curves, matching_curves
from figure_helpers import check_figure, has_colour, mixed

WAYS = ("average", "recalibrate")
BLOCKS = ("stem", "down.0", "up.0", "classifier")
#: As long as a chapter's labels get.
LONG = "validation IoU on airplane, the stand-in (%)"


def curves(names: tuple[str, ...] = ("1-2",), alphas: tuple[float, ...] = (0, 0.25, 0.5, 0.75, 1)) -> pd.DataFrame:
    """Parabolas: F loses 2 points half-way, S 60, R 40 (half as many when recalibrated); names differ by a point."""
    rows = []
    for (number, name), pair, way, split, alpha in product(enumerate(names), "FSR", WAYS, ("test", "train"), alphas):
        depth = {"F": 2, "S": 60, "R": 40}[pair] * (0.5 if way == "recalibrate" else 1)
        iou = 80 - number - depth * 4 * alpha * (1 - alpha)
        found = {"iou": iou, "dice": iou + 5, "loss": 1 - iou / 100}
        rows.append({"name": name, "pair": pair, "batch_norm": way, "split": split, "alpha": alpha, **found})
    return pd.DataFrame(rows)


BARRIERS = pd.DataFrame(
    [(n, w, b / (1 + (w == "recalibrate"))) for n, b in ((0, 50.0), (1000, 20.0), (64000, 2.0)) for w in WAYS],
    columns=["images", "batch_norm", "barrier"],
)
MATCHED = pd.DataFrame(
    [(p, w, a, 80 - (20 if p else 70) * 4 * a * (1 - a)) for p, w, a in product((False, True), WAYS, (0, 0.5, 1))],
    columns=["permuted", "batch_norm", "alpha", "iou"],
)

MAKE = {
    "interpolation_curves": lambda: interpolation_curves(curves(), title="Figure 7"),
    "interpolation_curves_several": lambda: interpolation_curves(
        curves(("a", "b")).drop(columns=["iou", "dice"]), "the stand-in"
    ),
    "interpolation_curves_beyond": lambda: interpolation_curves(curves(alphas=(-0.2, 0, 0.5, 1, 1.2))),
    "barrier_over_pretraining": lambda: barrier_over_pretraining(BARRIERS),
    "barrier_over_pretraining_one": lambda: barrier_over_pretraining(BARRIERS[:1]),
    "matching_curves": lambda: matching_curves(MATCHED),
    "barrier_over_pretraining_long": lambda: barrier_over_pretraining(BARRIERS, LONG),
    "matching_curves_long": lambda: matching_curves(MATCHED, LONG),
}

ALT = {
    "interpolation_curves": [
        "Figure 7: IoU (%), Dice (%) and loss (BCE) over alpha.",
        "F, fine-tuned, BatchNorm averaged: test IoU 80.0 % at alpha 0 and 80.0 % at 1, at worst 78.0 % at 0.5",
        "S, from scratch, BatchNorm recalibrated: test IoU 80.0 % at alpha 0 and 80.0 % at 1, at worst 50.0 % at 0.5",
        "R, one random start, BatchNorm averaged: test IoU 80.0 % at alpha 0 and 80.0 % at 1, at worst 40.0 % at 0.5",
    ],
    "interpolation_curves_several": [
        "the mean of up to 2 repetitions and their range",
        "S, from scratch, BatchNorm averaged: test loss 0.205 at alpha 0 and 0.205 at 1, at worst 0.805 at 0.5",
    ],
    "interpolation_curves_beyond": [
        "80.0 % at alpha 0 and 80.0 % at 1, at worst 20.0 % at 0.5",
    ],
    "barrier_over_pretraining": [
        "BatchNorm averaged: 50.0 after 0, 20.0 after 1,000, 2.0 after 64,000; BatchNorm recalibrated: 25.0 after 0",
    ],
    "matching_curves": [
        "as trained, BatchNorm averaged: at worst 10.0 % at alpha 0.5; ",
        "permuted to match, BatchNorm averaged: at worst 60.0 %",
    ],
}


@cache
def drawn(name: str) -> Figure:
    return MAKE[name]()


@pytest.mark.parametrize("name", MAKE)
def test_every_figure_is_a_picture_that_fits_a_page(name: str) -> None:
    check_figure(drawn(name))
    assert 'width="600"' in drawn(name).data
    assert len(drawn(name).webp) < 300_000


def test_captions_say_what_is_found() -> None:
    assert drawn("interpolation_curves").caption == (
        "With BatchNorm recalibrated, the worst IoU for alpha from 0 to 1: "
        "79.0 % (F, fine-tuned); 50.0 % (S, from scratch); 60.0 % (R, one random start)."
    )
    averaged = interpolation_curves(curves().query("batch_norm == 'average' and pair == 'S'")).caption
    assert averaged == "With BatchNorm averaged, the worst IoU for alpha from 0 to 1: 20.0 % (S, from scratch)."
    assert drawn("barrier_over_pretraining").caption == (
        "Barrier in points: 50.0 after 0, 2.0 after 64,000 images (BatchNorm averaged); "
        "25.0 after 0, 1.0 after 64,000 images (BatchNorm recalibrated)."
    )
    assert (
        drawn("barrier_over_pretraining_one").caption == "Barrier in points: 50.0 after 0 images (BatchNorm averaged)."
    )
    assert "as trained, BatchNorm averaged: at worst 10.0 % at alpha 0.5" in drawn("matching_curves").caption


@pytest.mark.parametrize("name", ALT)
def test_alternative_text_holds_the_numbers(name: str) -> None:
    for words in ALT[name]:
        assert words in drawn(name).alt


def test_data_are_drawn_and_not_only_described() -> None:
    rows = curves().drop(columns=["dice", "loss"])
    every, alone = interpolation_curves(rows), interpolation_curves(rows[rows["pair"] == "F"])
    for pair in "SR":
        assert has_colour(every, PAIR_COLOURS[pair])
        assert not has_colour(alone, PAIR_COLOURS[pair], 1)


def test_repetitions_are_drawn_as_a_mean_and_a_band() -> None:
    """Pairs that differ by 20 points leave a wide band in a paler blue, equal ones none."""
    rows = curves(("a", "b")).drop(columns=["dice", "loss"]).query("pair == 'F' and split == 'test'")
    apart = rows.assign(iou=rows["iou"] - 20 * (rows["name"] == "b"))
    alike = rows.assign(iou=rows.groupby(["batch_norm", "alpha"])["iou"].transform("mean"))
    assert has_colour(interpolation_curves(apart), mixed(PALETTE[0], GROUND, 0.2), 10_000)
    assert not has_colour(interpolation_curves(alike), mixed(PALETTE[0], GROUND, 0.2), 2_000)


def test_alphas_that_miss_the_ends_by_a_rounding_error_count_as_the_ends() -> None:
    def off(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(alpha=frame["alpha"] + 3e-17 - 1e-9 * (frame["alpha"] == 0))

    assert matching_curves(off(MATCHED)).webp == drawn("matching_curves").webp


def test_a_table_without_a_metric_is_named() -> None:
    with pytest.raises(ParameterError, match="has no metric; give one of iou, dice, loss"):
        interpolation_curves(curves().drop(columns=["iou", "dice", "loss"]))
