"""Explorers of predictions: what they hold, what stands without scripts, and what each control does."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chairboard.browser import browse
from chairlib.core.errors import ParameterError
from chairlib.show import mosaic
from chairlib.show.widgets import Widget
from figure_helpers import data_of, decoded, pictures, shown_pixels, size_of

N, D = 7, 15  # no share of 225 pixels lies half-way between two decimals
RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (N, D, D, 3), dtype=np.uint8)
#: Chairs of different sizes: the first few rows of each picture.
TARGETS = np.arange(D)[None, :, None] < np.array([2, 9, 4, 12, 6, 8, 3])[:, None, None] * np.ones((N, 1, D))
#: Far from one level of 255 to the next, and so from each threshold.
PROBABILITIES = {
    name: (np.clip(np.rint(255 * (TARGETS * 0.55 + noise * RNG.random((N, D, D)))), 0, 255)) / 255
    for name, noise in (("U-Net", 0.6), ("FCN <8>", 0.9), ("Mine", 0.75))
}


def browser_of(names: tuple[str, ...] = ("U-Net", "FCN <8>", "Mine"), note: str = "Chosen by a rule.") -> Widget:
    return browse([IMAGES], [TARGETS], {name: PROBABILITIES[name] for name in names}, note)


def cut(name: str, threshold: float = 0.5) -> np.ndarray:
    return PROBABILITIES[name] > threshold


def ious(name: str, threshold: float = 0.5) -> np.ndarray:
    return np.array(list(map(mosaic.mask_iou, cut(name, threshold), TARGETS)))


def slider_of_sizes() -> Widget:
    halves = {"8 px": PROBABILITIES["U-Net"][:, ::2, ::2], "15 px": PROBABILITIES["U-Net"]}
    images, targets = [IMAGES[:, ::2, ::2], IMAGES], [TARGETS[:, ::2, ::2], TARGETS]
    return browse(images, targets, halves, "A note.", steps="Size")


def slider_of_times() -> Widget:
    three = {name: values[:3] for name, values in PROBABILITIES.items()}
    return browse([IMAGES[:3]], [TARGETS[:3]], three, steps="Trained on")


# What they hold


def test_a_page_holds_every_picture_once_and_exactly() -> None:
    data = data_of(browser_of())
    assert data["names"] == [*PROBABILITIES]
    (images,), (targets,) = ([decoded(source) for source in data[part]] for part in ("images", "targets"))
    np.testing.assert_array_equal(images, IMAGES.reshape(N * D, D, 3))
    np.testing.assert_array_equal(grey(targets) > 0, TARGETS.reshape(N * D, D))
    for source, expected in zip(data["levels"], PROBABILITIES.values(), strict=True):
        np.testing.assert_array_equal(grey(decoded(source)), np.rint(expected * 255).reshape(N * D, D))


def grey(picture: np.ndarray) -> np.ndarray:
    return picture[..., 0] if picture.ndim == 3 else picture


def test_steps_have_sizes_of_their_own_or_share_their_images() -> None:
    data = data_of(slider_of_sizes())
    assert [decoded(source).shape[:2] for source in data["levels"]] == [(N * 8, 8), (N * 15, 15)]
    assert [decoded(source).shape[:2] for source in data["images"]] == [(N * 8, 8), (N * 15, 15)]
    data = data_of(slider_of_times())
    assert (len(data["images"]), len(data["targets"]), len(data["levels"])) == (1, 1, 3)


def test_the_first_state_is_a_picture_with_words() -> None:
    widget = browser_of()
    ((alt, picture),) = pictures(widget).items()
    first = N // 2
    assert alt.endswith(f"U-Net: IoU {ious('U-Net')[first]:.1f} %; FCN <8>: IoU {ious('FCN <8>')[first]:.1f} %")
    assert picture.shape == (D, 4 * D + 3 * 2, 4)
    expected = mosaic.agreement_picture(cut("FCN <8>")[first], TARGETS[first])
    np.testing.assert_array_equal(picture[:, -D:, :3], expected)
    assert "wrongly called chair" in widget.body
    assert "Chosen by a rule." in widget.body
    ((alt, picture),) = pictures(slider_of_sizes()).items()
    assert alt.endswith(f"15 px: IoU {ious('U-Net')[0]:.1f} %")
    assert picture.shape == (D, 3 * D + 2 * 2, 4)


def test_an_iou_of_two_empty_masks_is_undefined_and_counts_in_no_mean(open_widget: Callable[..., Any]) -> None:
    targets, values = TARGETS.copy(), PROBABILITIES["U-Net"].copy()
    targets[0], values[0] = False, 0
    widget = browse([IMAGES], [targets], {"all": values}, steps="Size")
    assert "all: IoU undefined, as both masks are empty." in widget.body
    mean = np.mean(list(map(mosaic.mask_iou, values[1:] > 0.5, targets[1:])))
    told = read_out(open_widget(widget))
    assert told == f"all: IoU of this composite undefined; mean of the {N} composites {mean:.1f} %."


def test_thirty_composites_of_four_models_keep_to_their_share_of_a_page() -> None:
    """Rooms as noisy as rendered ones are, and probabilities that are sure of all but the outlines."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    distance = 20 - np.hypot(x - 32, y - 30) + rng.normal(0, 1.5, (4, 30, 64, 64))
    images = np.clip(rng.normal(120, 12, (30, 64, 64, 3)), 0, 255).astype(np.uint8)
    found = {f"model {number}": 1 / (1 + np.exp(-3 * part)) for number, part in enumerate(distance)}
    widget = browse([images], [np.repeat(np.hypot(x - 32, y - 30)[None] < 20, 30, 0)], found)
    assert 100_000 < size_of(widget) < 1_300_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": [TARGETS[:2]]}, r"probabilities of a must be \[2, 15, 15\] .* found shape \[7, 15, 15\]"),
        ({"images": [IMAGES[:2]]}, "images has 2, targets has 7"),
        ({"images": [IMAGES / 1.0]}, "found float64"),
        ({"probabilities": {"a": PROBABILITIES["U-Net"] * 2}}, r"lie in \[0, 1\]; found shape .*, 0\.0 to 2\.0"),
        ({"probabilities": {"a": PROBABILITIES["U-Net"] * np.nan}}, "nan to nan"),
        ({"probabilities": {}}, "1 of images, 1 of masks and 0 of probabilities"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Any], message: str) -> None:
    given = {"images": [IMAGES], "targets": [TARGETS], "probabilities": {"a": PROBABILITIES["U-Net"]}}
    with pytest.raises(ParameterError, match=message) as raised:
        browse(**{**given, **changes})
    assert "\n" not in str(raised.value)


def test_steps_without_images_of_their_own_are_refused() -> None:
    with pytest.raises(ParameterError, match="2 of images, 2 of masks and 3 of probabilities"):
        browse([IMAGES, IMAGES], [TARGETS, TARGETS], PROBABILITIES, steps="Size")


# What they do, in a page from disk


def panels(page: Any) -> list[str]:
    """What the large pictures say."""
    return page.eval_on_selector_all(".chair-panels canvas", "all => all.map(canvas => canvas.ariaLabel)")


def read_out(page: Any) -> str:
    return page.locator(".chair-read-out").inner_text()


def listed(page: Any) -> list[int]:
    """The numbers of the composites in the list, from 0."""
    labels = page.eval_on_selector_all(".chair-list button", "all => all.map(button => button.ariaLabel)")
    return [int(re.match(r"Composite (\d+)", label).group(1)) - 1 for label in labels]


def chosen(page: Any) -> int:
    label = page.locator(".chair-list button[aria-pressed=true]").get_attribute("aria-label")
    return int(re.match(r"Composite (\d+)", label).group(1)) - 1


def check_browser(page: Any, number: int, models: list[str], threshold: float = 0.5) -> None:
    """All that is seen of one composite: its pictures to the pixel, and every number."""
    image, truth, *found = panels(page)
    np.testing.assert_array_equal(shown_pixels(page, image)[..., :3], IMAGES[number])
    np.testing.assert_array_equal(shown_pixels(page, truth)[..., 0] > 0, TARGETS[number])
    assert f"{100 * TARGETS[number].mean():.1f} % is chair" in truth
    for name, words in zip(models, found, strict=True):
        iou = ious(name, threshold)[number]
        assert words.startswith(f"Prediction for composite {number + 1} of {N} at threshold {threshold:.2f}.")
        assert words.endswith(f"{name}: IoU {iou:.1f} %")
        expected = mosaic.agreement_picture(cut(name, threshold)[number], TARGETS[number])
        np.testing.assert_array_equal(shown_pixels(page, words)[..., :3], expected)
    told = read_out(page)
    assert told.startswith(f"Threshold {threshold:.2f}. Mean IoU of the {len(listed(page))} composites listed:")
    for name in models:
        assert f"{name} {ious(name, threshold)[listed(page)].mean():.1f} %" in told
    if len(models) > 1:
        differ = (cut(models[0], threshold) ^ cut(models[1], threshold))[number].mean()
        assert f"differ on {100 * differ:.1f} % of the pixels" in told


def test_keys_move_the_threshold_and_all_that_hangs_on_it(open_widget: Callable[..., Any]) -> None:
    page = open_widget(browser_of())
    check_browser(page, N // 2, ["U-Net", "FCN <8>"])
    slider = page.get_by_role("slider", name="Threshold")
    for key, threshold in (("ArrowRight", 0.55), ("ArrowRight", 0.6), ("Home", 0.05), ("End", 0.95)):
        slider.press(key)
        check_browser(page, N // 2, ["U-Net", "FCN <8>"], threshold)
        assert listed(page) == np.argsort(ious("U-Net", threshold), kind="stable").tolist()


def test_the_list_is_sorted_as_asked(open_widget: Callable[..., Any]) -> None:
    page = open_widget(browser_of())
    sort = page.get_by_role("combobox", name="Sort by")
    differ = (cut("U-Net") ^ cut("FCN <8>")).mean((1, 2))
    shares = TARGETS.mean((1, 2))
    keys = [ious("U-Net"), -ious("U-Net"), -differ, shares, -shares]
    for number, key in enumerate(keys):
        sort.select_option(index=number)
        assert listed(page) == np.argsort(key, kind="stable").tolist()
    texts = page.eval_on_selector_all(".chair-list button", "all => all.map(button => button.innerText.trim())")
    assert texts == [f"{ious('U-Net')[number]:.1f}" for number in listed(page)]


def test_filters_keep_what_fits_and_the_mean_is_of_that(open_widget: Callable[..., Any]) -> None:
    page = open_widget(browser_of())
    size = page.get_by_role("combobox", name="Chairs of")
    found = []
    for number in (1, 2, 3):
        size.select_option(index=number)
        found.append(listed(page))
        assert chosen(page) in listed(page)
        check_browser(page, chosen(page), ["U-Net", "FCN <8>"])
    shares = TARGETS.mean((1, 2))
    assert sorted(itertools.chain(*found)) == [*range(N)]
    for smaller, larger in itertools.pairwise(found):
        assert shares[smaller].max() < shares[larger].min()
    size.select_option(index=0)
    kept = page.get_by_role("combobox", name="Show")
    for number, (low, high) in enumerate([(0, 50), (50, 75), (75, 101)], 1):
        kept.select_option(index=number)
        fits = [one for one in np.argsort(ious("U-Net"), kind="stable") if low <= ious("U-Net")[one] < high]
        assert listed(page) == fits if fits else page.get_by_text("No composite fits both filters.").is_visible()


def test_any_two_models_stand_side_by_side(open_widget: Callable[..., Any]) -> None:
    page = open_widget(browser_of())
    page.get_by_role("combobox", name="Compare with").select_option("2")
    check_browser(page, N // 2, ["U-Net", "Mine"])
    page.get_by_role("combobox", name="Model").select_option("1")
    check_browser(page, N // 2, ["FCN <8>", "Mine"])
    assert listed(page) == np.argsort(ious("FCN <8>"), kind="stable").tolist()


def test_one_model_has_nothing_to_be_compared_with(open_widget: Callable[..., Any]) -> None:
    page = open_widget(browser_of(("Mine",)))
    check_browser(page, N // 2, ["Mine"])
    assert page.get_by_role("combobox", name="Compare with").count() == 0
    assert "disagreement" not in page.get_by_role("combobox", name="Sort by").inner_text()


def test_a_composite_is_chosen_by_mouse_and_by_arrows(open_widget: Callable[..., Any]) -> None:
    page = open_widget(browser_of())
    order = listed(page)
    page.locator(".chair-list button").nth(1).click()
    check_browser(page, order[1], ["U-Net", "FCN <8>"])
    for key, place in (("ArrowRight", 2), ("ArrowLeft", 1), ("End", N - 1), ("ArrowRight", N - 1), ("Home", 0)):
        page.keyboard.press(key)
        assert chosen(page) == order[place]
        assert page.evaluate("() => document.activeElement.ariaPressed") == "true"
    check_browser(page, order[0], ["U-Net", "FCN <8>"])


def check_steps(page: Any, label: str, images: np.ndarray, truth: np.ndarray, values: np.ndarray, number: int) -> None:
    """All that is seen of one composite at one step."""
    image, target, level, compared = panels(page)
    np.testing.assert_array_equal(shown_pixels(page, image)[..., :3], images[number])
    np.testing.assert_array_equal(shown_pixels(page, target)[..., 0] > 0, truth[number])
    np.testing.assert_array_equal(shown_pixels(page, level)[..., 0], np.rint(values[number] * 255))
    expected = mosaic.agreement_picture(values[number] > 0.5, truth[number])
    np.testing.assert_array_equal(shown_pixels(page, compared)[..., :3], expected)
    scores = [mosaic.mask_iou(one > 0.5, mask) for one, mask in zip(values, truth, strict=True)]
    assert compared.endswith(f"composite {number + 1} of {len(truth)}, {label}, IoU {scores[number]:.1f} %")
    mean = f"mean of the {len(truth)} composites {np.mean(scores):.1f} %."
    assert read_out(page) == f"{label}: IoU of this composite {scores[number]:.1f} %; {mean}"


def test_keys_move_over_resolutions(open_widget: Callable[..., Any]) -> None:
    page = open_widget(slider_of_sizes())
    large = ("15 px", IMAGES, TARGETS, PROBABILITIES["U-Net"])
    small = ("8 px", *(part[:, ::2, ::2] for part in large[1:]))
    check_steps(page, *large, 0)
    page.get_by_role("slider", name="Size").press("Home")
    check_steps(page, *small, 0)
    page.get_by_role("combobox", name="Composite").select_option(index=4)
    check_steps(page, *small, 4)
    page.get_by_role("slider", name="Size").press("ArrowRight")
    check_steps(page, *large, 4)


def test_play_goes_through_training_to_its_end(open_widget: Callable[..., Any]) -> None:
    page = open_widget(slider_of_times())
    check_steps(page, "Mine", IMAGES[:3], TARGETS[:3], PROBABILITIES["Mine"][:3], 0)
    page.get_by_role("slider", name="Trained on").press("Home")
    check_steps(page, "U-Net", IMAGES[:3], TARGETS[:3], PROBABILITIES["U-Net"][:3], 0)
    page.get_by_role("button", name="Play Trained on").click()
    page.wait_for_function("() => document.querySelector('.chair-read-out').innerText.startsWith('Mine')", timeout=5000)
    check_steps(page, "Mine", IMAGES[:3], TARGETS[:3], PROBABILITIES["Mine"][:3], 0)


def test_explorers_on_one_page_do_not_meddle_with_each_other(open_widget: Callable[..., Any]) -> None:
    page = open_widget(browser_of(), browser_of(), slider_of_sizes())
    before = panels(page)
    page.get_by_role("slider", name="Threshold").nth(1).press("End")
    after = panels(page)
    assert after[:4] == before[:4]
    assert after[4:8] != before[4:8]
    assert after[8:] == before[8:]


def test_without_scripts_there_is_a_picture_and_no_control(open_widget: Callable[..., Any]) -> None:
    page = open_widget(browser_of(), slider_of_sizes(), scripts=False)
    assert page.locator("img.chair-frame:visible").count() == 2
    assert page.locator("input, select, button").count() == 0
    assert page.get_by_text("Chosen by a rule.").is_visible()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (800, "dark")])
def test_they_fit_a_phone_and_fingers(open_widget: Callable[..., Any], width: int, scheme: str) -> None:
    page = open_widget(browser_of(), slider_of_sizes(), width=width, scheme=scheme)
    assert page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    boxes = page.eval_on_selector_all(
        ".chair-widget :is(input, select, button, .chair-panels canvas)",
        "all => all.map(part => part.getBoundingClientRect()).map(b => [b.left, b.right, b.width, b.height])",
    )
    assert len(boxes) == 5 + 1 + N + 4 + 2 + 1 + 4
    assert all(0 <= left < right <= width and min(wide, high) >= 24 for left, right, wide, high in boxes)
