"""The gallery's figures hold every picture with its text, and the turner moves without a kernel."""

from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
import pytest

pytest.importorskip("mitsuba", reason="the gallery needs Mitsuba")

from chairmaker.figures import chair_turner, named_grid
from chairmaker.gallery import Turntable
from figure_helpers import check_figure, children, colour_of, images, pictures, wait_for_alts


def test_a_grid_names_its_pictures() -> None:
    figure = named_grid({"bar_stool": images(3), "egg": images(1)}, columns=3, noun="chairs")
    check_figure(figure)
    assert "4 chairs: bar stool and egg" in figure.alt


def turntables() -> dict[str, Turntable]:
    """Two chairs, two values of a dimension, three angles: every picture in a colour of its own."""
    codes = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)[..., None, None, None] * 20
    pictures = np.broadcast_to(codes, (2, 2, 3, 8, 8, 4)).copy()
    pictures[..., 3] = 255
    dimensions = {"bar_stool": ("height", [0.6, 0.8]), "egg": ("seat_width", [0.5, 0.7])}
    return {
        name: Turntable(chair, dimension, values, [0.0, 120.0, 240.0])
        for (name, (dimension, values)), chair in zip(dimensions.items(), pictures, strict=True)
    }


def test_python_observes_nothing() -> None:
    """What moved only with a kernel would do nothing on the site: here moving a slider from Python moves no stack."""
    parts = list(children(chair_turner(turntables())))
    stacks = [part for part in parts if isinstance(part, ipywidgets.Stack)]
    before = [stack.selected_index for stack in stacks]
    for slider in (part for part in parts if isinstance(part, ipywidgets.SelectionSlider)):
        slider.index = 1 - min(slider.index, 1)
    assert [stack.selected_index for stack in stacks] == before


def test_the_turner_holds_every_view_with_its_text() -> None:
    found = pictures(chair_turner(turntables()))
    assert len(found) == 12
    assert "A rendered chair, bar stool, height 0.80, seen from 240 degrees" in found
    assert found["A rendered chair, egg, seat width 0.50, seen from 120 degrees"][0, 0, 0] == 20 * 7


def test_the_turner_walks_round_and_changes_the_chair(open_widget: Callable[..., Any]) -> None:
    page = open_widget(chair_turner(turntables()))
    sliders = page.locator('[role="slider"]')
    wait_for_alts(page, "A rendered chair, bar stool, height 0.80, seen from 120 degrees")
    sliders.nth(1).press("End")
    wait_for_alts(page, "A rendered chair, bar stool, height 0.80, seen from 240 degrees")
    sliders.nth(0).press("End")
    wait_for_alts(page, "A rendered chair, egg, seat width 0.70, seen from 240 degrees")
    sliders.nth(2).press("Home")
    wait_for_alts(page, "A rendered chair, egg, seat width 0.50, seen from 240 degrees")
    assert colour_of(page, "img.chair-frame") == (160, 160, 160)


@pytest.mark.parametrize("width", [360, 1200])
def test_the_turner_fits_a_phone_and_a_wide_page(open_widget: Callable[..., Any], width: int) -> None:
    page = open_widget(chair_turner(turntables()), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    (size,) = page.eval_on_selector_all("img.chair-frame", "all => all.map(i => [i.clientWidth, i.clientHeight])")
    assert 100 <= size[0] == size[1] <= 600
