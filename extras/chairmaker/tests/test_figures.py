"""The gallery's figures hold every picture with its text, and the turner shows the chair chosen."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mitsuba", reason="the gallery needs Mitsuba")

from chairmaker.figures import chair_turner, named_grid
from chairmaker.gallery import Turntable
from figure_helpers import check_figure, data_of, decoded, images, pictures, shown_pixels, wait_for_words


def test_a_grid_names_its_pictures() -> None:
    figure = named_grid({"bar_stool": images(3), "egg": images(1)}, columns=3, noun="chairs")
    check_figure(figure)
    assert "4 chairs: bar stool and egg" in figure.alt
    assert figure.caption == "4 chairs of 2 kinds."


def turntables() -> dict[str, Turntable]:
    """Two chairs, two values of a dimension, three angles: every picture in a grey of its own."""
    codes = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)[..., None, None, None] * 20
    pictures = np.broadcast_to(codes, (2, 2, 3, 128, 128, 4)).copy()
    pictures[..., 3] = 255
    dimensions = {"bar_stool": ("height", [0.6, 0.8]), "egg": ("seat_width", [0.5, 0.7])}
    return {
        name: Turntable(chair, dimension, values, [0.0, 120.0, 240.0])
        for (name, (dimension, values)), chair in zip(dimensions.items(), pictures, strict=True)
    }


def test_the_turner_holds_every_view_once_with_its_text() -> None:
    data, tables = data_of(chair_turner(turntables())), turntables()
    for sheet, own in zip(data["sheets"], tables.values(), strict=True):
        greys = decoded(sheet)[64::128, 64::128, 0]
        np.testing.assert_allclose(greys, own.pictures[:, :, 64, 64, 0], atol=2)
    told = [words for chair in data["words"] for value in chair for words in value]
    assert len(set(told)) == 12
    assert "A rendered chair, bar stool, height 0.80, seen from 240 degrees" in told
    assert "A rendered chair, egg, seat width 0.50, seen from 120 degrees" in told


def test_without_a_script_the_turner_is_one_view() -> None:
    ((alt, picture),) = pictures(chair_turner(turntables())).items()
    assert alt == "A rendered chair, bar stool, height 0.80, seen from 120 degrees"
    assert (picture[..., 0] == 80).all()


def test_transparency_and_shape_survive_the_lossy_files() -> None:
    tables = turntables()
    for table in tables.values():
        table.pictures[..., :64, :, 3] = 0
    for sheet in data_of(chair_turner(tables))["sheets"]:
        opacity = decoded(sheet)[..., 3]
        np.testing.assert_array_equal(opacity[:128, 0], np.repeat([0, 255], 64))


def test_the_turner_walks_round_and_changes_the_chair(open_widget: Callable[..., Any]) -> None:
    page = open_widget(chair_turner(turntables()))

    def expect(words: str, grey: int, note: str) -> None:
        wait_for_words(page, words)
        np.testing.assert_allclose(shown_pixels(page, words)[64, 64, :3], grey, atol=2)
        assert page.locator(".chair-note").inner_text() == note

    expect("A rendered chair, bar stool, height 0.80, seen from 120 degrees", 80, "height 0.80")
    page.get_by_role("slider", name="walk round").press("End")
    expect("A rendered chair, bar stool, height 0.80, seen from 240 degrees", 100, "height 0.80")
    page.get_by_role("combobox", name="chair").select_option(label="egg")
    expect("A rendered chair, egg, seat width 0.70, seen from 240 degrees", 220, "seat width 0.70")
    page.get_by_role("slider", name="dimension").press("Home")
    expect("A rendered chair, egg, seat width 0.50, seen from 240 degrees", 160, "seat width 0.50")


@pytest.mark.parametrize("width", [360, 1200])
def test_the_turner_fits_a_phone_and_never_enlarges_a_picture(open_widget: Callable[..., Any], width: int) -> None:
    page = open_widget(chair_turner(turntables()), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    (size,) = page.eval_on_selector_all("canvas.chair-frame", "all => all.map(i => [i.clientWidth, i.clientHeight])")
    assert size == [128, 128]
