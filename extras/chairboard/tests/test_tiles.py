"""A claim as a card and as a sentence: nothing lost, nothing unescaped, examples that luck did not choose."""

import re

import numpy as np
import pytest

from chairboard.tiles import Tile, masks, middle

HALF = np.arange(16).reshape(4, 4) < 8


def test_a_tile_says_the_same_in_a_sentence():
    shown = masks(np.zeros((4, 4, 3), np.uint8), HALF, {"from scratch": HALF, "pretrained": ~HALF})
    tile = Tile(
        "+2.0 points", "of IoU <b>", "Supported in part", "Control: 1 & 2.", "Three seeds.", shown, "The median."
    )
    assert tile.sentence == "Supported in part. +2.0 points of IoU <b>. Control: 1 & 2. Three seeds."
    assert "of IoU &lt;b&gt;" in tile.data
    assert "Control: 1 &amp; 2." in tile.data
    assert "The median." in tile.data
    assert "Three seeds" not in tile.data
    assert re.findall('alt="([^"]*)"', tile.data) == tile.alt.split("; ")
    assert tile.alt == "image; true mask; from scratch: IoU 100 %; pretrained: IoU 0 %"


def test_a_tile_without_pictures_has_no_row_of_them():
    tile = Tile("–", "nothing was trained", "Not shown by this build", "There is nothing to compare.")
    assert "<img" not in tile.data
    assert "grid" not in tile.data
    assert tile.sentence == "Not shown by this build. – nothing was trained. There is nothing to compare."


def test_masks_without_an_iou_say_so():
    empty = np.zeros((4, 4), bool)
    assert list(masks(np.zeros((4, 4, 3), np.uint8), empty, {"predicted": empty}, "composite")) == [
        "composite",
        "true mask",
        "predicted: no IoU",
    ]


@pytest.mark.parametrize(
    ("values", "aim", "index"),
    [
        ([1, 50, 99], np.nan, 1),
        ([9, np.nan, 1, 4], np.nan, 3),
        ([1, 50, 99], 90.0, 2),
        ([np.nan, np.nan], np.nan, 0),
        ([5], np.nan, 0),
    ],
)
def test_the_middle_is_the_median_or_what_lies_nearest_to_the_aim(values, aim, index):
    assert middle(values, aim) == index
