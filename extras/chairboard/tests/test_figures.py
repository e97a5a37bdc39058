"""Pictures of quality show the tables they are given, and tell them in their alternative text."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from chairboard.figures import iou_by_foreground, mask_regions, reliability, robustness_curves
from chairlib.core.errors import ParameterError
from chairlib.show.canvas import PALETTE, Figure
from figure_helpers import check_figure, has_colour, images, masks

BINS = pd.DataFrame(
    {
        "pixels": [800, 0, 200],
        "chair": [80, 0, 160],
        "probability": [0.05, np.nan, 0.9],
    }
)
NO_BINS = pd.DataFrame({"pixels": [0, 0], "chair": [0, 0], "probability": [None, None]})
FIFTHS = pd.DataFrame(
    {
        "fifth": [1, 2, 4],
        "share_low": [5.0, 15.0, 30.0],
        "share_high": [14.0, 22.0, 50.0],
        "iou": [40.0, 55.5, 71.0],
        "low": [35.0, np.nan, 68.0],
        "high": [45.0, np.nan, 74.0],
    }
)
LOWER = FIFTHS.assign(**{name: FIFTHS[name] - 9 for name in ("iou", "low", "high")})


def curves(fall=3.0, kinds=("blur", "jpeg", "place"), strengths=(0, 2, 5)) -> pd.DataFrame:
    rows = []
    for number, kind in enumerate(kinds):
        for strength in strengths:
            iou = 60 - fall * strength
            amount = np.nan if kind == "jpeg" and strength == 0 else 10 * strength
            row = {
                "kind": kind,
                "title": kind.title(),
                "strength": strength,
                "amount": amount,
                "unit": f"unit {number}",
            }
            rows.append({**row, "iou": iou, "low": iou - 2, "high": iou + 2})
    return pd.DataFrame(rows)


def regions() -> Figure:
    mask = masks(1)[0]  # the left 8 of 32 columns
    edge, thin, beside = (np.zeros_like(mask) for _ in range(3))
    edge[:, 6:8], thin[:, 7], beside[:, 8] = True, True, True
    return mask_regions(images(1)[0], mask, edge, thin, beside, title="Regions")


MAKE = {
    "regions": regions,
    "reliability": lambda: reliability({"U-Net": BINS, "FCN-VGG-16": BINS.assign(chair=[40, 0, 180])}, title="Sure?"),
    "reliability_undefined": lambda: reliability({"U-Net": NO_BINS}),
    "foreground": lambda: iou_by_foreground({"U-Net": FIFTHS, "FCN-VGG-16": LOWER}),
    "robustness": lambda: robustness_curves({"U-Net": curves(), "FCN-VGG-16": curves(5.0)}),
    "robustness_one": lambda: robustness_curves({"U-Net": curves(kinds=("blur",))}),
    "robustness_undefined": lambda: robustness_curves({"U-Net": curves().assign(iou=np.nan, low=np.nan, high=np.nan)}),
}
ALT = {
    "regions": ["edge (25.0 % of the chair's pixels)", "thin parts (12.5 % of the chair's pixels), with the 32 pixels"],
    "reliability": ["Sure?: Share of chair pixels", "U-Net: 6.0 points off on average; FCN-VGG-16: 0.0 points off"],
    "reliability_undefined": ["U-Net: undefined"],
    "foreground": [
        "U-Net: 40.0 % (35.0 to 45.0) at 5 to 14 % chair, 55.5 % at 15 to 22 % chair, 71.0 % (68.0 to 74.0)"
    ],
    "robustness": [
        "with 95 % intervals. Blur, U-Net: from 60.0 % to 45.0 % (43.0 to 47.0) at 50 (unit 0)",
        "Place, FCN-VGG-16: from 60.0 % to 35.0 % (33.0 to 37.0) at 50 (unit 2)",
    ],
    "robustness_undefined": ["Blur, U-Net: undefined"],
}


@cache
def drawn(name: str) -> Figure:
    return MAKE[name]()


@pytest.mark.parametrize("name", MAKE)
def test_every_figure_is_a_picture_with_alternative_text(name):
    check_figure(drawn(name))


@pytest.mark.parametrize("name", ALT)
def test_alternative_text_holds_the_numbers(name):
    for words in ALT[name]:
        assert words in drawn(name).alt


def test_captions_say_what_is_found():
    told = {name: drawn(name).caption for name in MAKE}
    assert told["regions"] == "Boundary IoU looks at 25.0 % of this chair's pixels, thin IoU at 12.5 %."
    assert told["reliability"] == (
        "Distance from the diagonal, the mean over pixels: highest 6.0 points, U-Net; lowest 0.0 points, FCN-VGG-16."
    )
    assert told["reliability_undefined"] == told["robustness_undefined"] == ""
    assert "+31.0 points, U-Net" in told["foreground"]
    assert "Change of IoU at the strongest: highest -15.0 points, U-Net (Blur)" in told["robustness"]


@pytest.mark.parametrize("name", ["reliability", "foreground", "robustness"])
def test_every_model_has_its_line(name):
    assert all(has_colour(drawn(name), colour) for colour in PALETTE[:2])
    assert not has_colour(drawn(name), PALETTE[2])


def test_regions_have_their_colours():
    assert all(has_colour(drawn("regions"), colour, 1000) for colour in ("#ffffff", "#d55e00", "#6e6e6e"))


def test_there_must_be_something_to_show():
    for draw in (reliability, iou_by_foreground, robustness_curves):
        for tables in ({}, {"U-Net": pd.DataFrame()}):
            with pytest.raises(ParameterError, match="nothing to show: give at least one label with a table"):
                draw(tables)
