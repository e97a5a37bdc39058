"""Widgets work with no kernel and no network: what they hold and show, and what stands without scripts."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chairlib.core import paths
from chairlib.core.errors import ParameterError
from chairlib.show import mosaic
from chairlib.show.widgets import Widget, compositing_explorer, encode
from figure_helpers import data_of, decoded, pictures, shown_pixels, size_of, wait_for_words

COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40)]
THRESHOLDS = (0.2, 0.4, 0.6)


def blend(segments: np.ndarray, backgrounds: np.ndarray) -> np.ndarray:
    opacity = segments[..., 3:].astype(float)
    return np.rint((opacity * segments[..., :3] + (255 - opacity) * backgrounds) / 255).astype(np.uint8)


def plain(colour: tuple[int, ...], side: int = 16) -> np.ndarray:
    return np.full((side, side, len(colour)), colour, np.uint8)


def small_explorer() -> Widget:
    """Three segments, opaque on the left and of opacity 0.5 on the right, over two backgrounds."""
    segments = np.stack([plain((*COLOURS[i], 255)) for i in range(3)])
    segments[:, :, 8:, 3] = 128
    backgrounds = np.stack([plain((0, 0, 0)), plain((255, 255, 255))])
    return compositing_explorer(segments, backgrounds, blend, THRESHOLDS)


@given(arrays(np.uint8, st.sampled_from([(5, 7), (6, 6, 3), (3, 8, 4)])) | arrays(bool, (5, 7)))
@settings(max_examples=25, deadline=None)
def test_encoding_changes_no_pixel(picture: np.ndarray) -> None:
    expected = picture if picture.dtype == np.uint8 else picture * np.uint8(255)
    got = decoded(encode(picture))
    if picture.ndim == 2 and got.ndim == 3:  # WebP has no greys of its own
        expected = np.dstack([expected] * 3)
    np.testing.assert_array_equal(got.astype(np.uint8) * (255 if got.dtype == bool else 1), expected)


def test_a_picture_taller_than_webp_allows_is_kept_all_the_same() -> None:
    tall = np.zeros((17_000, 2), np.uint8)
    tall[-1] = 200
    np.testing.assert_array_equal(decoded(encode(tall)), tall)


def test_a_lossy_picture_is_near_and_small() -> None:
    rng = np.random.default_rng(0)
    picture = np.clip(np.linspace(0, 200, 96)[:, None, None] + rng.normal(0, 4, (96, 96, 4)), 0, 255).astype(np.uint8)
    picture[..., 3] = 255
    lossy = encode(picture, 80)
    assert lossy.startswith("data:image/webp")
    assert len(lossy) * 4 < len(encode(picture))
    assert np.abs(decoded(lossy).astype(int) - picture[..., :3]).mean() < 6


# -- any widget ---


def probe(texts: tuple[str, ...] = ("none", "half", "</script>"), script: str = "", **more: Any) -> Widget:
    """A widget of a kind of its own: a slider, Play, a list and a button that tell what they did."""
    own = (
        script
        or """
        const ui = window.chairWidgets, told = root.querySelector("p");
        const say = (what) => (text) => (told.textContent = `${what} ${text}`);
        const slider = ui.slider(root, { label: "step", texts: data.texts, change: say("step") });
        ui.play(root, slider, { interval: 30, name: "steps" });
        ui.slider(root, { label: "level", texts: ["0.1", "0.2"], start: 1, bubble: true, change: say("level") });
        ui.select(root, { label: "way", texts: ["a", "b"], change: say("way") });
        ui.button(root, "Reset", () => slider.set(0));"""
    )
    widget = Widget("compositing", '<p aria-live="polite">still</p>', {"texts": texts, **more})
    # In place of the script of its kind.
    core, _ = widget.data.split('chairWidgets.define("compositing"')
    define = f'chairWidgets.define("probe", async (root, data) => {{{own}}});</script></div>'
    widget.data = core.replace('data-kind="compositing"', 'data-kind="probe"') + define
    return widget


def told(page: Any, number: int = 0) -> str:
    return page.locator(".chair-widget p").nth(number).inner_text()


def test_data_of_any_kind_reaches_the_script_unharmed() -> None:
    data = {"words": "</script><!-- \u2028 & é", "numbers": [1.5, None]}
    widget = Widget("compositing", "", data)
    assert data_of(widget) == data
    assert widget.data.count("</script>") == 2
    with pytest.raises(ValueError, match="JSON compliant"):
        Widget("compositing", "", {"iou": float("nan")})


@pytest.mark.parametrize("kind", ["compositing", "scrubber"])
def test_scripts_are_our_own_small_and_ask_nobody(kind: str) -> None:
    source = Widget(kind, "", {}).data
    assert f'chairWidgets.define("{kind}"' in source
    assert 5_000 < len(source.encode()) < 20_000
    assert not re.search(r"https?:|import |fetch\(|@import|url\(", source)
    assert not re.search(r"^\s*(//|/\*|\*)", source, re.MULTILINE)  # comments stay in the file
    for name in ("widgets.js", f"{kind}.js"):
        assert "</script" not in (paths.assets / name).read_text()


def test_keys_move_a_slider_its_read_out_and_what_hears_it(open_widget: Callable[..., Any]) -> None:
    page = open_widget(probe())
    step = page.get_by_role("slider", name="step")
    assert page.locator(".chair-value").inner_text() == "none"
    for key, number, text in (("ArrowRight", 1, "half"), ("End", 2, "</script>"), ("Home", 0, "none")):
        step.press(key)
        assert told(page) == f"step {number}"
        assert page.locator(".chair-value").inner_text() == text
        assert step.get_attribute("aria-valuetext") == text
    page.get_by_role("combobox", name="way").select_option(index=1)
    assert told(page) == "way 1"
    step.press("End")
    page.get_by_role("button", name="Reset").click()
    assert told(page) == "step 0"
    assert step.input_value() == "0"


def test_play_goes_to_the_end_and_stops_and_begins_anew(open_widget: Callable[..., Any]) -> None:
    page = open_widget(probe(tuple(map(str, range(12)))))
    play = page.get_by_role("button", name="Play steps")
    assert told(page) == "still"  # it never starts by itself
    play.click()
    assert page.locator("p").get_attribute("aria-live") == "off"
    page.get_by_role("button", name="Play steps").wait_for(timeout=5000)
    assert told(page) == "step 11"
    assert page.locator("p").get_attribute("aria-live") == "polite"
    play.click()
    page.get_by_role("button", name="Pause steps").click()
    stopped = told(page)
    assert stopped != "step 11"
    page.wait_for_timeout(120)
    assert told(page) == stopped


def test_a_finger_finds_the_handle_and_the_bubble_is_above_it(open_widget: Callable[..., Any]) -> None:
    page = open_widget(probe())
    assert page.eval_on_selector_all("input, select, button", "all => all.every(c => c.offsetHeight >= 24)")
    size = "i => parseFloat(getComputedStyle(i, '::-webkit-slider-thumb').width)"
    assert (
        page.get_by_role("slider", name="level").evaluate(
            "i => parseFloat(getComputedStyle(i).getPropertyValue('--handle'))"
        )
        >= 24
    )
    assert page.get_by_role("slider", name="level").evaluate(size) >= 24
    track, bubble = (page.locator(part).bounding_box() for part in (".chair-track:has(.chair-bubble)", ".chair-bubble"))
    assert bubble["y"] + bubble["height"] <= track["y"] + 12
    # At the end of the track, and so over the handle.
    assert bubble["x"] + bubble["width"] / 2 == pytest.approx(track["x"] + track["width"] - 13, abs=1)


def test_focus_can_be_seen(open_widget: Callable[..., Any]) -> None:
    page = open_widget(probe())
    page.keyboard.press("Tab")
    seen = page.evaluate("() => [document.activeElement.type, getComputedStyle(document.activeElement).outlineWidth]")
    assert seen == ["range", "3px"]


def test_widgets_of_one_page_are_each_for_themselves(open_widget: Callable[..., Any]) -> None:
    page = open_widget(probe(), probe())
    page.get_by_role("slider", name="step").nth(1).press("End")
    assert (told(page), told(page, 1)) == ("still", "step 2")
    assert page.locator("input").count() == 4


#: How JupyterLab and VS Code show an output: as inner HTML, whose scripts don't run, and then the scripts once more.
RUNS = {
    "jupyterlab": """old => { const made = document.createElement("script"); made.textContent = old.textContent;
        for (const { name, value } of old.attributes) made.setAttribute(name, value); old.replaceWith(made); }""",
    "vscode": """old => { const made = document.createElement("script"); made.text = old.innerText;
        if (old.type) made.type = old.type; box.appendChild(made).remove(); }""",
}


AGAIN = """source => { const box = document.body.firstElementChild; box.innerHTML = source;
    [...box.querySelectorAll("script")].forEach(%s); }"""


@pytest.mark.parametrize("front_end", RUNS)
def test_an_output_that_is_run_again_works_again(open_widget: Callable[..., Any], front_end: str) -> None:
    page = open_widget(probe())
    for _ in range(2):
        page.evaluate(AGAIN % RUNS[front_end], probe().data)
        page.wait_for_selector("[data-live=ready]")
        page.get_by_role("slider", name="step").press("End")
        assert told(page) == "step 2"
        assert page.locator("input").count() == 2


def test_without_scripts_there_are_no_controls(open_widget: Callable[..., Any]) -> None:
    page = open_widget(small_explorer(), scripts=False)
    assert page.locator("input, select, button").count() == 0
    assert page.locator("img").count() == 5


@pytest.mark.parametrize("moment", ["async", ""])
def test_a_widget_that_cannot_start_shows_its_first_state_alone(open_widget: Callable[..., Any], moment: str) -> None:
    faulty = 'window.chairWidgets.slider(root, { label: "step", texts: data.texts, change() {} }); throw Error("no");'
    source = probe(script=faulty).data.replace('"probe", async', f'"probe", {moment}')
    page = open_widget(probe())
    with page.expect_console_message(lambda said: "could not start" in said.text):
        page.evaluate(AGAIN % RUNS["jupyterlab"], source)
    page.wait_for_function("() => !document.querySelector('input, select, button')", timeout=5000)
    page.wait_for_selector("[data-live=failed]")
    assert page.locator("[data-live=starting]").count() == 0
    assert told(page) == "still"


def test_masks_agree_in_the_page_as_they_do_in_python(open_widget: Callable[..., Any]) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 4, 6)) < 0.5
    colours = [mosaic.HIT, mosaic.FALSE_ALARM, mosaic.MISS, (0, 0, 0)]
    page = open_widget(probe())
    ask = """([a, b, colours]) => [[...chairWidgets.agreement(a, b, 6, colours).data], chairWidgets.iou(a, b),
        Number.isNaN(chairWidgets.iou([0], [0]))]"""
    data, iou, nothing = page.evaluate(ask, [a.ravel().astype(int).tolist(), b.ravel().astype(int).tolist(), colours])
    np.testing.assert_array_equal(np.reshape(data, (4, 6, 4))[..., :3], mosaic.agreement_picture(a, b))
    assert iou == pytest.approx(mosaic.mask_iou(a, b))
    assert nothing


# -- the compositing explorer ---


def test_explorer_holds_every_picture_once() -> None:
    data = data_of(small_explorer())
    np.testing.assert_array_equal(decoded(data["colours"])[0, [0, 16, 32], :3], COLOURS[:3])
    opacities = decoded(data["opacities"])
    assert [opacities[0, x].max() for x in (0, 15, 16)] == [255, 128, 255]
    assert decoded(data["backgrounds"]).shape[:2] == (16, 32)
    assert len(re.findall("data:image", small_explorer().data)) == 3 + 5  # and those of the first state


def test_explorer_shows_its_first_state_without_a_script() -> None:
    found = pictures(small_explorer())
    assert list(found) == words_of(1, 1, 0.4, "100.00")
    assert tuple(found["Segment 1 composited on background 1"][0, 0, :3]) == COLOURS[0]
    assert found["Mask of segment 1, opacity above 0.4: 100.00 % of the pixels are chair"].all()


def test_explorer_starts_at_the_released_threshold_and_says_so(open_widget: Callable[..., Any]) -> None:
    page = open_widget(small_explorer())
    assert page.locator(".chair-value").all_inner_texts() == ["1 of 3", "1 of 2", "0.4 (released)"]


def test_explorer_refuses_another_rule_of_blending() -> None:
    segments, rooms = np.full((1, 8, 8, 4), 255, np.uint8), np.zeros((1, 8, 8, 3), np.uint8)
    with pytest.raises(ParameterError, match="differs from it by up to 55 of 255 levels") as raised:
        compositing_explorer(segments, rooms, lambda s, b: s[..., :3] - np.uint8(55))
    assert "\n" not in str(raised.value)


def test_explorer_at_its_default_size_keeps_to_a_pages_budget() -> None:
    """Five segments and five backgrounds of 128 pixels, with as much noise as a rendering has, in less than 0.5 MB."""
    rng = np.random.default_rng(0)
    slope = np.linspace(60, 190, 128)
    rooms = slope[None, :, None, None] + slope[None, None, :, None] / 3 + rng.normal(0, 1.5, (5, 128, 128, 3))
    segments = np.zeros((5, 128, 128, 4), np.uint8)
    segments[:, 30:110, 30:100] = np.clip(rng.normal(120, 4, (5, 80, 70, 4)), 0, 255)
    segments[:, 32:108, 32:98, 3] = 255
    widget = compositing_explorer(segments, np.clip(rooms, 0, 255).astype(np.uint8), blend)
    assert 50_000 < size_of(widget) < 500_000


def words_of(segment: int, background: int, threshold: float, share: str) -> list[str]:
    return [
        f"Background {background} of 2",
        f"Segment {segment} of 3 on a checkerboard",
        f"Opacity of segment {segment}: 50.0 % of the pixels are partly transparent",
        f"Segment {segment} composited on background {background}",
        f"Mask of segment {segment}, opacity above {threshold:g}: {share} % of the pixels are chair",
    ]


def test_the_explorer_shows_the_pictures_chosen(open_widget: Callable[..., Any]) -> None:
    rng = np.random.default_rng(2)
    segments = rng.integers(0, 256, (3, 16, 16, 4), np.uint8)
    segments[:, :8, :, 3], segments[:, 8:, :, 3] = 255, 128  # half of each is partly transparent
    rooms = rng.integers(0, 256, (2, 16, 16, 3), np.uint8)
    page = open_widget(compositing_explorer(segments, rooms, blend, THRESHOLDS))

    def expect(segment: int, background: int, threshold: float, share: str) -> None:
        told = words_of(segment, background, threshold, share)
        wait_for_words(page, *told)
        room, cut_out, opacity, composite, mask = (shown_pixels(page, words) for words in told)
        front, behind = segments[segment - 1], rooms[background - 1]
        np.testing.assert_array_equal(room[..., :3], behind)
        np.testing.assert_array_equal(cut_out[:8], front[:8])
        np.testing.assert_array_equal(opacity[..., 0], front[..., 3])
        np.testing.assert_array_equal(composite[..., :3], blend(front[None], behind[None])[0])
        np.testing.assert_array_equal(mask[..., 0] > 0, front[..., 3] > 255 * threshold)
        assert page.locator("[data-panel=mask] .chair-note").inner_text() == f"{share} % chair"

    expect(1, 1, 0.4, "100.00")
    page.get_by_role("slider", name="background").press("ArrowRight")
    expect(1, 2, 0.4, "100.00")
    page.get_by_role("slider", name="segment").press("End")
    expect(3, 2, 0.4, "100.00")
    page.get_by_role("slider", name="opacity").press("ArrowRight")
    expect(3, 2, 0.6, "50.00")
    page.get_by_role("slider", name="segment").press("Home")
    expect(1, 2, 0.6, "50.00")


@pytest.mark.parametrize("width", [360, 1200])
def test_widgets_fit_a_phone_and_a_wide_page(open_widget: Callable[..., Any], width: int) -> None:
    page = open_widget(small_explorer(), probe(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.eval_on_selector_all("canvas.chair-frame", "all => all.map(i => [i.clientWidth, i.clientHeight])")
    assert len(sizes) == 5
    assert all(100 <= wide == high <= 600 for wide, high in sizes)
