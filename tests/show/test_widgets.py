"""Widgets work with no kernel: pictures are precomputed, linked in the browser, and within a page's budget."""

import base64
import io
from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from chairlib.core.errors import ParameterError
from chairlib.show.widgets import compositing_explorer, encode
from figure_helpers import children, colour_of, embed_size, models, pictures, wait_for_alts

COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40)]
THRESHOLDS = (0.2, 0.4, 0.6)


def blend(segments: np.ndarray, backgrounds: np.ndarray) -> np.ndarray:
    opacity = segments[..., 3:].astype(float)
    return np.rint((opacity * segments[..., :3] + (255 - opacity) * backgrounds) / 255).astype(np.uint8)


def plain(colour: tuple[int, ...], side: int = 16) -> np.ndarray:
    return np.full((side, side, len(colour)), colour, np.uint8)


def small_explorer() -> ipywidgets.Widget:
    """Three segments, opaque on the left and of opacity 0.5 on the right, over two backgrounds."""
    segments = np.stack([plain((*COLOURS[i], 255)) for i in range(3)])
    segments[:, :, 8:, 3] = 128
    backgrounds = np.stack([plain((0, 0, 0)), plain((255, 255, 255))])
    return compositing_explorer(segments, backgrounds, blend, THRESHOLDS)


@given(arrays(np.uint8, st.sampled_from([(5, 7), (6, 6, 3), (3, 8, 4)])))
@settings(max_examples=25, deadline=None)
def test_encoding_changes_no_pixel(picture: np.ndarray) -> None:
    kind, data = encode(picture).removeprefix("data:image/").split(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.format == kind.upper()
        mode = {2: "L"}.get(picture.ndim) or ("RGB" if picture.shape[-1] == 3 else "RGBA")
        np.testing.assert_array_equal(np.asarray(image.convert(mode)), picture)


def test_python_observes_nothing() -> None:
    """What moved only with a kernel would do nothing on the site: here moving a slider from Python moves no stack."""
    widget = small_explorer()
    stacks = [part for part in children(widget) if isinstance(part, ipywidgets.Stack)]
    before = [stack.selected_index for stack in stacks]
    for slider in (part for part in children(widget) if isinstance(part, ipywidgets.SelectionSlider)):
        slider.index = 1 - min(slider.index, 1)
    assert stacks
    assert [stack.selected_index for stack in stacks] == before


def test_explorer_holds_every_picture_once() -> None:
    found = pictures(small_explorer())
    assert len(found) == 2 + 3 + 3 + 3 * 2 + 3 * len(THRESHOLDS)
    np.testing.assert_array_equal(found["Background 2 of 2"][..., :3], 255)
    on_white = found["Segment 1 composited on background 2"]
    assert tuple(on_white[0, 0, :3]) == COLOURS[0]
    np.testing.assert_allclose(on_white[0, 15, :3], (np.array(COLOURS[0]) * 128 + 255 * 127) / 255, atol=1)
    soft = found["Opacity of segment 3: 50.0 % of the pixels are partly transparent"]
    assert (soft[0, 0, 0], soft[0, 15, 0]) == (255, 128)
    assert found["Mask of segment 2, opacity above 0.4: 100.00 % of the pixels are chair"].all()
    half = found["Mask of segment 2, opacity above 0.6: 50.00 % of the pixels are chair"][..., 0].astype(bool)
    assert half[:, :8].all()
    assert not half[:, 8:].any()


def test_explorer_starts_at_the_released_threshold_and_says_so() -> None:
    sliders = models(small_explorer(), "SelectionSliderModel")
    threshold = next(slider for slider in sliders if slider["description"] == "opacity >")
    assert threshold["_options_labels"][threshold["index"]] == "0.4 (released)"
    assert [slider["description"] for slider in sliders].count("") == 0


def test_explorer_at_its_default_size_keeps_to_a_pages_budget() -> None:
    """Five segments and five backgrounds of 128 pixels, with as much noise as a rendering has, in less than 1.2 MB."""
    rng = np.random.default_rng(0)
    slope = np.linspace(60, 190, 128)
    rooms = slope[None, :, None, None] + slope[None, None, :, None] / 3 + rng.normal(0, 1.5, (5, 128, 128, 3))
    segments = np.zeros((5, 128, 128, 4), np.uint8)
    segments[:, 30:110, 30:100] = np.clip(rng.normal(120, 4, (5, 80, 70, 4)), 0, 255)
    segments[:, 32:108, 32:98, 3] = 255
    widget = compositing_explorer(segments, np.clip(rooms, 0, 255).astype(np.uint8), blend)
    assert 100_000 < embed_size(widget) < 1_200_000


OPAQUE, ROOM = np.full((1, 8, 8, 4), 255, np.uint8), np.zeros((1, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encode(np.zeros((4, 4))), "found float64"),
        (
            lambda: compositing_explorer(OPAQUE[..., :3], ROOM, blend),
            r"segments must .* found uint8, shape \[1, 8, 8, 3\]",
        ),
        (lambda: compositing_explorer(OPAQUE, ROOM / 255, blend), "backgrounds must .* found float64"),
        (lambda: compositing_explorer(OPAQUE, np.zeros((1, 9, 9, 3), np.uint8), blend), r"\[8, 8\] and \[9, 9\]"),
        (lambda: compositing_explorer(OPAQUE, ROOM, blend, ()), "at least one"),
        (lambda: compositing_explorer(OPAQUE, ROOM, blend, (0.5, 1.0)), r"found \[0.5, 1.0\]"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


# In a browser, with no kernel and no network


def test_the_explorer_shows_the_pictures_chosen(open_widget: Callable[..., Any]) -> None:
    page = open_widget(small_explorer())
    sliders = page.locator('[role="slider"]')

    def expect(segment: int, background: int, threshold: float, share: str) -> None:
        wait_for_alts(
            page,
            f"Background {background} of 2",
            f"Segment {segment} of 3 on a checkerboard",
            f"Opacity of segment {segment}: 50.0 % of the pixels are partly transparent",
            f"Segment {segment} composited on background {background}",
            f"Mask of segment {segment}, opacity above {threshold}: {share} % of the pixels are chair",
        )

    expect(1, 1, 0.4, "100.00")
    composite, mask = 'img[alt*="composited"]', 'img[alt^="Mask"]'
    sliders.nth(1).press("ArrowRight")
    expect(1, 2, 0.4, "100.00")
    assert colour_of(page, composite, 0.25) == COLOURS[0]
    sliders.nth(0).press("End")
    expect(3, 2, 0.4, "100.00")  # a segment not shown before has followed the background all the same
    assert colour_of(page, composite, 0.25) == COLOURS[2]
    assert colour_of(page, composite, 0.75) == pytest.approx((np.array(COLOURS[2]) * 128 + 255 * 127) / 255, abs=1)
    assert colour_of(page, mask, 0.75) == (255, 255, 255)
    sliders.nth(2).press("ArrowRight")
    expect(3, 2, 0.6, "50.00")
    assert (colour_of(page, mask, 0.25), colour_of(page, mask, 0.75)) == ((255, 255, 255), (0, 0, 0))
    sliders.nth(0).press("Home")
    expect(1, 2, 0.6, "50.00")


@pytest.mark.parametrize("width", [360, 1200])
def test_widgets_fit_a_phone_and_a_wide_page(open_widget: Callable[..., Any], width: int) -> None:
    page = open_widget(small_explorer(), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.eval_on_selector_all("img.chair-frame", "all => all.map(i => [i.clientWidth, i.clientHeight])")
    assert all(100 <= wide == high <= 600 for wide, high in sizes)
