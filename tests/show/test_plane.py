"""The plane is drawn to scale, with its models and its gaps, and described in words."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from chairlib.show.canvas import Figure
from chairlib.show.plane import plane_map
from figure_helpers import check_figure, has_colour, pixels

WAYS = ("average", "recalibrate")
BLOCKS = ("stem", "down.0", "up.0", "classifier")
#: As long as a chapter's labels get.
LONG = "validation IoU on airplane, the stand-in (%)"


X, Y = np.linspace(-5, 40, 10), np.linspace(-5, 30, 8)
HEIGHTS = 80 - 0.02 * ((X - 15) ** 2 + (Y[:, None] - 10) ** 2)
POINTS = {"P": (0.0, 0.0), "F1": (35.0, 0.0), "F2": (15.0, 25.0)}
GAPS = np.where(Y[:, None] > 24, np.nan, HEIGHTS)


MAKE = {
    "plane_map": lambda: plane_map(X, Y, HEIGHTS, POINTS),
    "plane_map_gaps": lambda: plane_map(X, Y, GAPS, POINTS, "test loss (BCE)"),
    "plane_map_flat": lambda: plane_map(X, Y, np.full(HEIGHTS.shape, 50.0), {"P": (0, 0)}),
    "plane_map_long": lambda: plane_map(X, Y, HEIGHTS, POINTS, LONG),
}

ALT = {
    "plane_map": [
        "on the plane through P, F1 and F2, 59.5 to 80.",
        "P at (0, 0): 73.5; F1 at (35, 0): 70",
    ],
    "plane_map_gaps": [
        "test loss (BCE) on",
        "F2 at (15, 25): not computed; 20 of 80 cells are not computed",
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


def test_planes_are_light() -> None:
    assert len(drawn("plane_map").webp) < 60_000


def test_cells_that_were_not_computed_are_hatched() -> None:
    assert has_colour(drawn("plane_map_gaps"), "#f2f2f2", 2000)
    assert not has_colour(drawn("plane_map"), "#f2f2f2", 2000)


def test_the_caption_says_what_lies_between_the_pair() -> None:
    """F1 is on a cell of 70, F2 on one of 75.5; the hill's top, 80, is beside the line between them."""
    assert (
        drawn("plane_map").caption == "Test IoU (%) in the cells on the line from F1 to F2: 70 to 79. Bright is good."
    )
    gaps = np.where(X > -10, np.nan, HEIGHTS)
    gaps[0, 0] = 50.0
    assert plane_map(X, Y, gaps, POINTS).caption.endswith("from F1 to F2: nothing was computed. Bright is good.")


def test_two_planes_on_one_scale_have_one_colour_for_one_value() -> None:
    """The same value is another colour where each plane has a scale of its own, and loss is bright where it is low."""

    def colour(values: np.ndarray, **looks: Any) -> tuple[int, ...]:
        figure = plane_map([0, 1, 2], [0, 1, 2], values, {"P": (0, 0)}, **looks)
        return tuple(map(int, pixels(figure)[300, 500]))

    narrow, wide = np.array([[1.0, 2, 1], [2, 2, 2], [1, 2, 1]]), np.array([[1.0, 2, 1], [2, 2, 2], [1, 2, 9]])
    assert colour(narrow) != colour(wide)
    assert colour(narrow, scale=(1, 9)) == colour(wide, scale=(1, 9))
    light, dark = (sum(colour(narrow, scale=(2, 9), low_is_good=good)) for good in (True, False))
    assert light > dark


def test_a_distance_on_the_plane_is_the_same_both_ways() -> None:
    """Cells twice as wide as high, and a plane of one colour: its picture has the plane's proportions."""
    figure = plane_map([0, 20, 40], [0, 10, 20], np.full((3, 3), 1.0), {"P": (20, 10)})
    shown = pixels(figure).astype(int)
    inside = (np.abs(shown - shown[shown.shape[0] // 2, 300]).sum(axis=-1)) < 12
    rows, columns = np.flatnonzero(inside[:, 300]), np.flatnonzero(inside[np.flatnonzero(inside[:, 300])[5]])
    high, wide = np.ptp(rows), np.ptp(columns[columns < 1000])
    assert wide / high == pytest.approx(60 / 30, rel=0.03)
