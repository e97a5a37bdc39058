"""Distances, similarities, soups and blocks reset are drawn as given and described in words."""

from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest

from chairlib.show.canvas import Figure
from chairlib.show.interpolation import PAIR_COLOURS
from chairlib.show.landscape import block_distances, cka_by_layer, criticality_bars, distance_bars, soup_bars
from figure_helpers import check_figure, has_colour

WAYS = ("average", "recalibrate")
BLOCKS = ("stem", "down.0", "up.0", "classifier")
#: As long as a chapter's labels get.
LONG = "validation IoU on airplane, the stand-in (%)"


def kinds(key: str, value: str, names: str = "ab") -> pd.DataFrame:
    base = {"ft_ft": 0.2, "ri_ri": 0.8, "ft_p": 0.1, "ri_p": 0.7, "rs_rs": 0.5}
    rows = product(base, enumerate(names), BLOCKS)
    return pd.DataFrame([{"kind": k, "name": n, key: block, value: base[k] + 0.1 * i} for k, (i, n), block in rows])


LENGTHS = [("ft_ft", 18.0), ("ft_ft", 22.0), ("ri_ri", 80.0), ("ft_p", 12.0), ("ri_p", 60.0), ("rs_rs", 40.0)]
DISTANCES = pd.DataFrame(LENGTHS, columns=["kind", "l2"])
SOUP = pd.DataFrame(
    {
        "label": ["F1", "F2", "soup, recalibrated", "ensemble"],
        "kind": ["member", "member", "soup", "ensemble"],
        "iou": [70.0, 72.0, 73.5, 74.0],
        "low": [68.0, 70.0, 71.0, np.nan],
        "high": [72.0, 74.0, 75.0, np.nan],
    }
)
REWOUND = pd.DataFrame(
    [(p, b, 70.0 - 10 * n, 75.0) for p, (n, b) in product("FS", enumerate(BLOCKS))],
    columns=["pair", "block", "iou", "untouched"],
)
WAYS_OF_SOUP = SOUP.assign(label=["F1", "F2", "members' mean, not recalibrated", "ensemble, not recalibrated"])


MAKE = {
    "distance_bars": lambda: distance_bars(DISTANCES),
    "distance_bars_one": lambda: distance_bars(DISTANCES[:1]),
    "block_distances": lambda: block_distances(kinds("block", "relative")),
    "cka_by_layer": lambda: cka_by_layer(kinds("layer", "cka", "a")[:8]),
    "soup_bars": lambda: soup_bars(SOUP, "test IoU on the stand-in (%)"),
    "soup_bars_plain": lambda: soup_bars(SOUP.assign(low=np.nan, high=np.nan)),
    "criticality_bars": lambda: criticality_bars(REWOUND),
    "soup_bars_long": lambda: soup_bars(WAYS_OF_SOUP, LONG),
    "criticality_bars_long": lambda: criticality_bars(REWOUND, LONG),
}

ALT = {
    "distance_bars": [
        "Ft & Ft: 20 (18 to 22 over 2 pairs); Ri & Ri: 80; Ft & P: 12",
        "Rs & Rs: 40",
        "ours: Ft & Ft 25 %, Ri & Ri 100 %, Ft & P 15 %, Ri & P 75 %, Rs & Rs 50 %",
        "the paper, segmentation (Chair Segments): Ft & Ft 59 %, Ri & Ri 100 %, Ft & P 49 %, Ri & P 86 %;",
        "the paper, classification (Neyshabur et al. 2020): Ft & Ft 24 %",
    ],
    "block_distances": [
        "mean of up to 2 repetitions",
        "Ft & P: stem 0.15, down.0 0.15, up.0 0.15, classifier 0.15",
        "Rs & Rs: stem 0.55, down.0 0.55",
    ],
    "cka_by_layer": [
        "from the network's input down to its output. Ft & Ft: stem 0.20",
        "Ri & Ri: stem 0.80",
    ],
    "soup_bars": [
        "F1: 70.0 % (68.0 to 72.0)",
        "ensemble: 74.0 %; the members' mean is 71.0 %",
        "on the stand-in",
    ],
    "criticality_bars": [
        "S, from scratch, without a reset 75.0 %, with one block reset: stem 70.0 %, down.0 60.0 %",
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


@pytest.mark.parametrize("name", ALT)
def test_alternative_text_holds_the_numbers(name: str) -> None:
    for words in ALT[name]:
        assert words in drawn(name).alt


def test_data_are_drawn_and_not_only_described() -> None:
    higher = SOUP.assign(iou=SOUP["iou"] + 0.5)
    assert drawn("soup_bars").webp != soup_bars(higher, "test IoU on the stand-in (%)").webp
    assert has_colour(drawn("criticality_bars"), PAIR_COLOURS["S"])
    assert not has_colour(criticality_bars(REWOUND[REWOUND["pair"] == "F"]), PAIR_COLOURS["S"], 1)


def test_captions_say_what_is_found() -> None:
    assert drawn("distance_bars").caption == "Mean distance: highest 80, Ri & Ri; lowest 12, Ft & P."
    assert drawn("cka_by_layer").caption.startswith("Linear CKA of each layer, the mean over all: highest 0.8")
    assert "74.0 %, ensemble" in drawn("soup_bars").caption
    assert drawn("criticality_bars").caption == (
        "The lowest IoU after resetting one block: 40.0 % (F, classifier) and 40.0 % (S, classifier)."
    )


def test_the_total_is_no_block() -> None:
    frame = kinds("block", "relative")
    total = frame[:1].assign(block="total", relative=1.9)
    assert block_distances(pd.concat([total, frame])).webp == drawn("block_distances").webp


def test_gaps_in_repetitions_are_left_out() -> None:
    frame = kinds("layer", "cka")
    frame.loc[0, "cka"] = np.nan
    assert "Ft & Ft: stem 0.30, down.0 0.25" in cka_by_layer(frame).alt
