"""Widgets work with no kernel: pictures are precomputed, linked in the browser, and within a page's budget."""

import base64
import html
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ipywidgets.embed import dependency_state, embed_snippet
from PIL import Image

from chairlib.core import paths
from chairlib.core.errors import ParameterError
from chairlib.show.widgets import chair_turner, compositing_explorer, encode
from figure_helpers import embed_size

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


def models(widget: ipywidgets.Widget, name: str) -> list[dict[str, Any]]:
    states = dependency_state([widget], drop_defaults=False).values()
    return [model["state"] for model in states if model["model_name"] == name]


def pictures(widget: ipywidgets.Widget) -> dict[str, np.ndarray]:
    """Every picture the widget holds, as RGBA, by alternative text."""
    found = {}
    for state in models(widget, "HTMLModel"):
        if image := re.search(r'alt="(.*?)".*src="data:image/(?:png|webp);base64,(.*?)"', state["value"]):
            data = base64.b64decode(image.group(2))
            found[html.unescape(image.group(1))] = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    return found


def children(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from children(child)


@given(arrays(np.uint8, st.sampled_from([(5, 7), (6, 6, 3), (3, 8, 4)])))
@settings(max_examples=25, deadline=None)
def test_encoding_changes_no_pixel(picture: np.ndarray) -> None:
    kind, data = encode(picture).removeprefix("data:image/").split(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.format == kind.upper()
        mode = {2: "L"}.get(picture.ndim) or ("RGB" if picture.shape[-1] == 3 else "RGBA")
        np.testing.assert_array_equal(np.asarray(image.convert(mode)), picture)


@pytest.mark.parametrize(
    "make",
    [small_explorer, lambda: chair_turner(turntables())],
)
def test_python_observes_nothing(make: Callable[[], ipywidgets.Widget]) -> None:
    """What moved only with a kernel would do nothing on the site: here moving a slider from Python moves no stack."""
    widget = make()
    stacks = [part for part in children(widget) if isinstance(part, ipywidgets.Stack)]
    before = [stack.selected_index for stack in stacks]
    for slider in (part for part in children(widget) if isinstance(part, ipywidgets.SelectionSlider)):
        slider.index = 1 - min(slider.index, 1)
    assert stacks
    assert [stack.selected_index for stack in stacks] == before


def turntables() -> dict[str, SimpleNamespace]:
    """Two chairs, two values of a dimension, three angles: every picture in a colour of its own."""
    codes = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)[..., None, None, None] * 20
    pictures = np.broadcast_to(codes, (2, 2, 3, 8, 8, 4)).copy()
    pictures[..., 3] = 255
    dimensions = {"bar_stool": ("height", [0.6, 0.8]), "egg": ("seat_width", [0.5, 0.7])}
    return {
        name: SimpleNamespace(pictures=chair, dimension=dimension, values=values, angles=[0.0, 120.0, 240.0])
        for (name, (dimension, values)), chair in zip(dimensions.items(), pictures, strict=True)
    }


def test_the_turner_holds_every_view_with_its_text() -> None:
    found = pictures(chair_turner(turntables()))
    assert len(found) == 12
    assert "A rendered chair, bar stool, height 0.80, seen from 240 degrees" in found
    assert found["A rendered chair, egg, seat width 0.50, seen from 120 degrees"][0, 0, 0] == 20 * 7


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
        (lambda: chair_turner({}), r"one shape \[V, A, d, d, 4\]; found none"),
        (lambda: chair_turner({"a": SimpleNamespace(pictures=OPAQUE)}), r"found \[\(1, 8, 8, 4\)\]"),
        (lambda: compositing_explorer(OPAQUE, ROOM, blend, (0.5, 1.0)), r"found \[0.5, 1.0\]"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


# In a browser, with no kernel and no network

EMBED = paths.book / "_assets" / "thirdparty" / "html-manager" / "embed.js"


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a static page that holds one widget. Afterwards, no request may have left the machine, no script failed."""
    if not EMBED.is_file():
        pytest.skip(f"needs the widgets' html-manager, {EMBED.name}")
    context = browser.new_context(viewport={"width": 800, "height": 900})
    asked: list[str] = []
    failed: list[str] = []
    context.route(re.compile(r"^(https?|wss?):"), lambda route: (asked.append(route.request.url), route.abort()))

    def open_page(widget: ipywidgets.Widget, width: int = 800) -> Any:
        state = dependency_state([widget], drop_defaults=False)
        snippet = embed_snippet(views=[widget], state=state, requirejs=False, embed_url=EMBED.as_uri(), cors=False)
        path = tmp_path / "page.html"
        path.write_text(f'<!doctype html><meta charset="utf-8"><title>widget</title><body>{snippet}', encoding="utf-8")
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("img.chair-frame")
        return page

    yield open_page
    context.close()
    assert asked == []
    assert failed == []


def alts(page: Any) -> list[str]:
    return page.eval_on_selector_all("img.chair-frame", "all => all.filter(i => i.checkVisibility()).map(i => i.alt)")


def wait_for_alts(page: Any, *expected: str) -> None:
    shown = "JSON.stringify([...document.querySelectorAll('img.chair-frame')].map(i => i.alt))"
    page.wait_for_function(f"expected => {shown} === JSON.stringify(expected)", arg=list(expected), timeout=5000)


def colour_of(page: Any, selector: str, x: float = 0.5) -> tuple[int, ...]:
    """The colour on the screen at a share ``x`` of a picture's width, half-way down."""
    shot = Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    return shot.getpixel((int(x * shot.width), shot.height // 2))


def test_the_explorer_shows_the_pictures_chosen(opened: Callable[..., Any]) -> None:
    page = opened(small_explorer())
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


def test_the_turner_walks_round_and_changes_the_chair(opened: Callable[..., Any]) -> None:
    page = opened(chair_turner(turntables()))
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
def test_widgets_fit_a_phone_and_a_wide_page(opened: Callable[..., Any], width: int) -> None:
    for make in (
        small_explorer,
        lambda: chair_turner(turntables()),
    ):
        page = opened(make(), width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.eval_on_selector_all("img.chair-frame", "all => all.map(i => [i.clientWidth, i.clientHeight])")
        assert all(100 <= wide == high <= 600 for wide, high in sizes)
