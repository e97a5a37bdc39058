"""The loss landscape's figures draw the data they are given, tell it in words, and name what is wrong with it."""

import io
from functools import cache
from itertools import product

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from chairlib.core.errors import ParameterError
from chairlib.show import landscape
from chairlib.show.figures import Figure

WAYS = ("average", "recalibrate")
BLOCKS = ("stem", "down.0", "up.0", "classifier")


def curves(names: tuple[str, ...] = ("1-2",), alphas: tuple[float, ...] = (0, 0.25, 0.5, 0.75, 1)) -> pd.DataFrame:
    """Parabolas: F loses 2 points half-way, S 60 (half as many when recalibrated); names differ by a point."""
    rows = []
    for (number, name), pair, way, split, alpha in product(enumerate(names), "FS", WAYS, ("test", "train"), alphas):
        depth = {"F": 2, "S": 60}[pair] * (0.5 if way == "recalibrate" else 1)
        iou = 80 - number - depth * 4 * alpha * (1 - alpha)
        found = {"iou": iou, "dice": iou + 5, "loss": 1 - iou / 100}
        rows.append({"name": name, "pair": pair, "batch_norm": way, "split": split, "alpha": alpha, **found})
    return pd.DataFrame(rows)


def kinds(key: str, value: str, names: str = "ab") -> pd.DataFrame:
    base = {"ft_ft": 0.2, "ri_ri": 0.8, "ft_p": 0.1, "ri_p": 0.7}
    rows = product(base, enumerate(names), BLOCKS)
    return pd.DataFrame([{"kind": k, "name": n, key: block, value: base[k] + 0.1 * i} for k, (i, n), block in rows])


DISTANCES = pd.DataFrame({"kind": ["ft_ft", "ft_ft", "ri_ri", "ft_p", "ri_p"], "l2": [18.0, 22.0, 80.0, 12.0, 60.0]})
BARRIERS = pd.DataFrame(
    [(n, w, b / (1 + (w == "recalibrate"))) for n, b in ((0, 50.0), (1000, 20.0), (64000, 2.0)) for w in WAYS],
    columns=["images", "batch_norm", "barrier"],
)
SOUP = pd.DataFrame(
    {
        "label": ["F1", "F2", "soup, recalibrated", "ensemble"],
        "kind": ["member", "member", "soup", "ensemble"],
        "iou": [70.0, 72.0, 73.5, 74.0],
        "low": [68.0, 70.0, 71.0, np.nan],
        "high": [72.0, 74.0, 75.0, np.nan],
    }
)
MATCHED = pd.DataFrame(
    [(p, w, a, 80 - (20 if p else 70) * 4 * a * (1 - a)) for p, w, a in product((False, True), WAYS, (0, 0.5, 1))],
    columns=["permuted", "batch_norm", "alpha", "iou"],
)
REWOUND = pd.DataFrame(
    [(p, b, 70.0 - 10 * n, 75.0) for p, (n, b) in product("FS", enumerate(BLOCKS))],
    columns=["pair", "block", "iou", "untouched"],
)
X, Y = np.linspace(-5, 40, 10), np.linspace(-5, 30, 8)
HEIGHTS = 80 - 0.02 * ((X - 15) ** 2 + (Y[:, None] - 10) ** 2)
POINTS = {"P": (0.0, 0.0), "F1": (35.0, 0.0), "F2": (15.0, 25.0)}
GAPS = np.where(Y[:, None] > 24, np.nan, HEIGHTS)

#: As long as a chapter's labels get.
LONG = "validation IoU on airplane, the stand-in (%)"
WAYS_OF_SOUP = SOUP.assign(label=["F1", "F2", "members' mean, not recalibrated", "ensemble, not recalibrated"])

MAKE = {
    "interpolation_curves": lambda: landscape.interpolation_curves(curves(), title="Figure 7"),
    "interpolation_curves_several": lambda: landscape.interpolation_curves(curves(("a", "b")), ["loss"], "the stand-in"),
    "interpolation_curves_beyond": lambda: landscape.interpolation_curves(curves(alphas=(-0.2, 0, 0.5, 1, 1.2))),
    "distance_bars": lambda: landscape.distance_bars(DISTANCES),
    "distance_bars_one": lambda: landscape.distance_bars(DISTANCES[:1]),
    "block_distances": lambda: landscape.block_distances(kinds("block", "relative")),
    "cka_by_layer": lambda: landscape.cka_by_layer(kinds("layer", "cka", "a")[:8]),
    "plane_map": lambda: landscape.plane_map(X, Y, HEIGHTS, POINTS),
    "plane_map_gaps": lambda: landscape.plane_map(X, Y, GAPS, POINTS, "test loss (BCE)"),
    "plane_map_flat": lambda: landscape.plane_map(X, Y, np.full(HEIGHTS.shape, 50.0), {"P": (0, 0)}),
    "barrier_over_pretraining": lambda: landscape.barrier_over_pretraining(BARRIERS),
    "barrier_over_pretraining_one": lambda: landscape.barrier_over_pretraining(BARRIERS[:1]),
    "soup_bars": lambda: landscape.soup_bars(SOUP, "test IoU on the stand-in (%)"),
    "soup_bars_plain": lambda: landscape.soup_bars(SOUP[["label", "kind", "iou"]]),
    "matching_curves": lambda: landscape.matching_curves(MATCHED),
    "criticality_bars": lambda: landscape.criticality_bars(REWOUND),
    "plane_map_long": lambda: landscape.plane_map(X, Y, HEIGHTS, POINTS, LONG),
    "barrier_over_pretraining_long": lambda: landscape.barrier_over_pretraining(BARRIERS, LONG),
    "soup_bars_long": lambda: landscape.soup_bars(WAYS_OF_SOUP, LONG),
    "matching_curves_long": lambda: landscape.matching_curves(MATCHED, LONG),
    "criticality_bars_long": lambda: landscape.criticality_bars(REWOUND, LONG),
}  # fmt: skip

ALT = {
    "interpolation_curves": [
        "Figure 7: IoU (%), Dice (%) and loss (BCE) over alpha.",
        "F, fine-tuned, BatchNorm averaged: test IoU 80.0 % at alpha 0 and 80.0 % at 1, at worst 78.0 % at 0.5",
        "S, from scratch, BatchNorm recalibrated: test IoU 80.0 % at alpha 0 and 80.0 % at 1, at worst 50.0 % at 0.5",
    ],
    "interpolation_curves_several": [
        "the mean of up to 2 repetitions and their range",
        "S, from scratch, BatchNorm averaged: test loss 0.205 at alpha 0 and 0.205 at 1, at worst 0.805 at 0.5",
    ],
    "interpolation_curves_beyond": ["80.0 % at alpha 0 and 80.0 % at 1, at worst 20.0 % at 0.5"],
    "distance_bars": [
        "Ft & Ft: 20 (18 to 22 over 2 pairs); Ri & Ri: 80; Ft & P: 12",
        "ours: Ft & Ft 25 %, Ri & Ri 100 %, Ft & P 15 %, Ri & P 75 %",
        "the paper, segmentation (Chair Segments): Ft & Ft 59 %, Ri & Ri 100 %, Ft & P 49 %, Ri & P 86 %",
        "the paper, classification (Neyshabur et al. 2020): Ft & Ft 24 %",
    ],
    "block_distances": ["mean of up to 2 repetitions", "Ft & P: stem 0.15, down.0 0.15, up.0 0.15, classifier 0.15"],
    "cka_by_layer": ["from the network's input down to its output. Ft & Ft: stem 0.20", "Ri & Ri: stem 0.80"],
    "plane_map": ["on the plane through P, F1 and F2, 59.5 to 80.", "P at (0, 0): 73.5; F1 at (35, 0): 70"],
    "plane_map_gaps": ["test loss (BCE) on", "F2 at (15, 25): not computed; 20 of 80 cells are not computed"],
    "barrier_over_pretraining": [
        "BatchNorm averaged: 50.0 after 0, 20.0 after 1,000, 2.0 after 64,000; BatchNorm recalibrated: 25.0 after 0"
    ],
    "soup_bars": ["F1: 70.0 % (68.0 to 72.0)", "ensemble: 74.0 %; the members' mean is 71.0 %", "on the stand-in"],
    "matching_curves": [
        "as trained, BatchNorm averaged: at worst 10.0 % at alpha 0.5; permuted to match, BatchNorm averaged: at worst 60.0 %"
    ],
    "criticality_bars": ["S, from scratch, untouched 75.0 %, with one block set back: stem 70.0 %, down.0 60.0 %"],
}


@cache
def drawn(name: str) -> Figure:
    return MAKE[name]()


@pytest.mark.parametrize("name", MAKE)
def test_every_figure_is_a_picture_that_fits_a_page(name: str) -> None:
    figure = drawn(name)
    assert figure.alt.endswith(".")
    assert "nan" not in figure.alt
    with Image.open(io.BytesIO(figure.png)) as image:
        image.load()
        assert image.width == 1200
        assert 500 <= image.height <= 1700
    # Nothing is cut off: the outermost pixels are white.
    pixels = np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    assert len(figure.png) < 300_000


@pytest.mark.parametrize("name", ALT)
def test_alternative_text_holds_the_numbers(name: str) -> None:
    for words in ALT[name]:
        assert words in drawn(name).alt


def has_colour(figure: Figure, colour: str, least: int = 100) -> bool:
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    pixels = np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))
    return bool((pixels == wanted).all(axis=-1).sum() >= least)


def test_data_are_drawn_and_not_only_told() -> None:
    both = landscape.interpolation_curves(curves(), ["iou"])
    alone = landscape.interpolation_curves(curves()[curves()["pair"] == "F"], ["iou"])
    assert has_colour(both, landscape._COLOURS["S"])
    assert not has_colour(alone, landscape._COLOURS["S"], 1)
    assert (
        drawn("soup_bars").png
        != landscape.soup_bars(SOUP.assign(iou=SOUP["iou"] + 0.5), "test IoU on the stand-in (%)").png
    )


def test_cells_that_were_not_computed_are_hatched() -> None:
    assert has_colour(drawn("plane_map_gaps"), "#f2f2f2", 2000)
    assert not has_colour(drawn("plane_map"), "#f2f2f2", 2000)


def test_planes_are_light_and_shown_as_wide_as_other_figures() -> None:
    assert len(drawn("plane_map").png) < 60_000
    for name in ("plane_map", "soup_bars"):
        assert 'width="600"' in drawn(name).data
    with Image.open(io.BytesIO(drawn("plane_map").png)) as image:
        assert image.mode == "P"


def test_a_distance_on_the_plane_is_the_same_both_ways() -> None:
    """Cells twice as wide as high, and a plane of one colour: its picture has the plane's proportions."""
    figure = landscape.plane_map([0, 20, 40], [0, 10, 20], np.full((3, 3), 1.0), {"P": (20, 10)})
    pixels = np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB")).astype(int)
    inside = (np.abs(pixels - pixels[pixels.shape[0] // 2, 300]).sum(axis=-1)) < 12
    rows, columns = np.flatnonzero(inside[:, 300]), np.flatnonzero(inside[np.flatnonzero(inside[:, 300])[5]])
    high, wide = np.ptp(rows), np.ptp(columns[columns < 1000])
    assert wide / high == pytest.approx(60 / 30, rel=0.03)


def test_alphas_that_miss_the_ends_by_a_rounding_error_count_as_the_ends() -> None:
    def off(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(alpha=frame["alpha"] + 3e-17 - 1e-9 * (frame["alpha"] == 0))

    assert landscape.matching_curves(off(MATCHED)).png == drawn("matching_curves").png


def test_the_total_is_no_block() -> None:
    frame = kinds("block", "relative")
    total = frame[:1].assign(block="total", relative=1.9)
    assert landscape.block_distances(pd.concat([total, frame])).png == drawn("block_distances").png


def test_gaps_in_repetitions_are_left_out() -> None:
    frame = kinds("layer", "cka")
    frame.loc[0, "cka"] = np.nan
    assert "Ft & Ft: stem 0.30, down.0 0.25" in landscape.cka_by_layer(frame).alt


def test_matplotlib_is_left_alone_and_its_current_style_ignored() -> None:
    plain = drawn("matching_curves").png
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30}):
        before = dict(matplotlib.rcParams)
        assert landscape.matching_curves(MATCHED).png == plain
        assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: landscape.interpolation_curves(curves()[:0]), "no rows"),
        (lambda: landscape.interpolation_curves(curves().drop(columns="split")), "lacks the column.s. split"),
        (lambda: landscape.interpolation_curves(curves().drop(columns=["iou", "dice", "loss"])), "has no metric"),
        (lambda: landscape.interpolation_curves(curves(), ["auc"]), "iou, dice, loss; found auc"),
        (lambda: landscape.interpolation_curves(curves().assign(pair="R")), "pair must be one of F, S; found R"),
        (lambda: landscape.interpolation_curves(curves().assign(batch_norm="none")), "recalibrate; found none"),
        (lambda: landscape.interpolation_curves(curves().assign(iou=np.nan)), "iou has no values"),
        (lambda: landscape.distance_bars(DISTANCES.assign(kind="a")), "ri_p; found a"),
        (lambda: landscape.distance_bars(DISTANCES.assign(l2=-1.0)), "distances must .* found -1 to -1"),
        (lambda: landscape.distance_bars(DISTANCES, DISTANCES), "the paper's table lacks the column.s. task"),
        (lambda: landscape.block_distances(kinds("block", "relative").assign(relative=3.0)), "from 0 to 2; found 3"),
        (lambda: landscape.cka_by_layer(kinds("layer", "cka").assign(cka=1.5)), "CKA must be .* found 1.5"),
        (lambda: landscape.cka_by_layer(kinds("layer", "cka").assign(cka=np.nan)), "CKA .* found none"),
        (lambda: landscape.plane_map(X[::-1], Y, HEIGHTS, POINTS), "x must be at least two ascending"),
        (lambda: landscape.plane_map(X, Y, HEIGHTS.T, POINTS), r"shape \[8, 10\], a row for each y; found float64, shape \[10, 8\]"),
        (lambda: landscape.plane_map(X, Y, HEIGHTS * np.nan, POINTS), "no value on the plane"),
        (lambda: landscape.plane_map(X, Y, HEIGHTS, {}), "name the models"),
        (lambda: landscape.plane_map(X, Y, HEIGHTS, {"P": (0, np.inf)}), "point 'P' must have two finite"),
        (lambda: landscape.barrier_over_pretraining(BARRIERS.assign(barrier=-0.5)), "barriers must .* found -0.5"),
        (lambda: landscape.barrier_over_pretraining(BARRIERS.assign(images=-1)), "images must .* found -1"),
        (lambda: landscape.soup_bars(SOUP.assign(kind="broth")), "ensemble; found broth"),
        (lambda: landscape.soup_bars(SOUP.assign(low=90.0)), "does not hold its IoU"),
        (lambda: landscape.matching_curves(MATCHED.drop(columns="permuted")), "lacks the column.s. permuted"),
        (lambda: landscape.criticality_bars(REWOUND.assign(untouched=np.nan)), "untouched must .* 8 missing"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
