"""The alpha scrubber: what each frame holds, and that a reader with no kernel and no network can move it."""

import base64
import html
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import nbformat
import numpy as np
import pandas as pd
import pytest
from ipywidgets.embed import dependency_state
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

import site_helpers
from chairlib.core.errors import ParameterError
from chairlib.show.scrubber import BATCH_NORM_TITLES, alpha_scrubber
from figure_helpers import embed_size

#: Masks that differ between any two of frames, pairs, ways and images, and an IoU that differs as well.
DATA = """
import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
alphas = np.array([-0.25, 0, 0.25, 0.5, 0.75, 1, 1.25])
images = rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
targets = np.zeros((3, 16, 16), bool)
targets[:2, 4:12, 4:12] = True
predicted, rows = {}, []
keys = [(pair, way) for way in ("average", "recalibrate") for pair in "FSR"]
for number, (pair, way) in enumerate(keys):
    predicted[pair, way] = rng.random((7, 3, 16, 16)) < 0.5
    depth = (4, 60, 20, 2, 30, 10)[number]
    for alpha in alphas:
        rows.append((pair, way, alpha, 80 - number - 3 * alpha - depth * 4 * max(0.0, alpha * (1 - alpha))))
curves = pd.DataFrame(rows, columns=["pair", "batch_norm", "alpha", "iou"])
"""
GIVEN: dict[str, Any] = {}
exec(DATA, GIVEN)
ALPHAS, CURVES, IMAGES, TARGETS, PREDICTED = (
    GIVEN[name] for name in ("alphas", "curves", "images", "targets", "predicted")
)
WAYS = ("average", "recalibrate")
PAIRS = {"F": "fine-tuned", "S": "from scratch", "R": "one random start"}
COLOURS = {"found": (255, 255, 255), "false alarm": (213, 94, 0), "missed": (86, 180, 233)}


def scrubber(**changes: Any) -> ipywidgets.Widget:
    asked = {"alphas": ALPHAS, "curves": CURVES, "images": IMAGES, "targets": TARGETS, "predicted": PREDICTED}
    return alpha_scrubber(**{**asked, **changes})


def iou_at(pair: str, way: str, alpha: float, curves: pd.DataFrame = CURVES) -> float:
    return curves[(curves["pair"] == pair) & (curves["batch_norm"] == way)].set_index("alpha")["iou"][alpha]


def values(widget: ipywidgets.Widget, name: str = "HTMLModel") -> list[dict[str, Any]]:
    states = dependency_state([widget], drop_defaults=False).values()
    return [model["state"] for model in states if model["model_name"] == name]


def contents(widget: ipywidgets.Widget) -> list[str]:
    return [state["value"] for state in values(widget)]


def read_outs(widget: ipywidgets.Widget) -> list[str]:
    return [text for text in contents(widget) if "alpha-read-out" in text]


def words(source: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", source))).strip()


def strip(source: str) -> np.ndarray:
    """The three pictures in a data URI [3, 16, 16, 3]; they are one pixel apart."""
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))).convert("RGBA"))
    assert picture.shape == (16, 3 * 16 + 2, 4)
    assert not picture[:, [16, 33], 3].any()
    return np.stack([picture[:, left : left + 16, :3] for left in (0, 17, 34)])


def expected_masks(pair: str, way: str, number: int) -> np.ndarray:
    masks = PREDICTED[pair, way][number]
    picture = np.zeros((*TARGETS.shape, 3), np.uint8)
    for name, where in (("found", masks & TARGETS), ("false alarm", masks & ~TARGETS), ("missed", ~masks & TARGETS)):
        picture[where] = COLOURS[name]
    return picture


# What it holds


def test_there_is_a_frame_for_every_alpha_and_way_with_text_of_its_own() -> None:
    found = contents(scrubber())
    curves = [text for text in found if "alpha-curve" in text]
    masks = [text for text in found if "Masks predicted" in text]
    assert len(curves) == len(masks) == 2 * len(ALPHAS)
    told = [*(re.search('aria-label="(.*?)"', text).group(1) for text in curves)]
    told += [alt for text in masks for alt in re.findall('alt="(.*?)"', text)]
    assert len(set(told)) == len(told) == 2 * (1 + len(PAIRS)) * len(ALPHAS)
    half = next(text for text in told if "alpha 0.50," in text and "averaged" in text and "over alpha" in text)
    for figures in (
        "F, fine-tuned, has 74.5 %, 4.0 points below",
        "S, from scratch, has 17.5 %, 60.0 points below",
        "R, one random start, has 56.5 %, 20.0 points below the line between its ends; its barrier is 20.0 points.",
    ):
        assert figures in half


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pair", PAIRS)
def test_masks_show_what_was_found_missed_and_wrongly_called(pair: str, way: str) -> None:
    frames = [text for text in contents(scrubber()) if "Masks predicted" in text and BATCH_NORM_TITLES[way] in text]
    for number, frame in enumerate(frames):
        alt, source = re.findall('alt="(.*?)".*?src="(.*?)"', frame)[[*PAIRS].index(pair)]
        assert f"{pair} at alpha {ALPHAS[number]:.2f}".replace("-", "−") in alt
        np.testing.assert_array_equal(strip(source), expected_masks(pair, way, number))
        masks = PREDICTED[pair, way][number]
        ious = 100 * (masks & TARGETS).sum((1, 2)) / (masks | TARGETS).sum((1, 2))
        assert alt.endswith(", ".join(f"{iou:.0f}" for iou in ious))


def test_images_and_true_masks_stand_above_every_frame() -> None:
    (given,) = (text for text in contents(scrubber()) if "Ground truth" in text)
    pictures, truth = map(strip, re.findall('src="(.*?)"', given))
    np.testing.assert_array_equal(pictures, IMAGES)
    np.testing.assert_array_equal(truth, np.repeat(TARGETS[..., None], 3, -1) * np.uint8(255))


def test_the_read_out_gives_figures_gaps_and_barriers_and_marks_extrapolation() -> None:
    averaged = [words(text.split("<svg")[0]) for text in read_outs(scrubber())][: len(ALPHAS)]
    assert averaged[0].startswith("α = −0.25 : extrapolated, past F₂, S₂, R₂")
    assert averaged[1].startswith("α = 0.00 : the trained F₂, S₂, R₂")
    assert averaged[3].startswith("α = 0.50 : between the trained models")
    assert averaged[5].startswith("α = 1.00 : the trained F₁, S₁, R₁")
    assert averaged[6].startswith("α = 1.25 : extrapolated, past F₁, S₁, R₁")
    assert averaged[3].endswith(
        "● F α , fine-tuned 74.5 4.0 4.0 ■ S α , from scratch 17.5 60.0 60.0 ▲ R α , one random start 56.5 20.0 20.0"
    )
    assert averaged[6].endswith(
        "● F α , fine-tuned 76.2 – 4.0 ■ S α , from scratch 75.2 – 60.0 ▲ R α , one random start 74.2 – 20.0"
    )


def test_a_curve_above_its_line_has_no_barrier() -> None:
    bulging = CURVES.assign(iou=60.0 + 10 * CURVES["alpha"].between(0.1, 0.9))
    half = words(read_outs(scrubber(curves=bulging))[3].split("<svg")[0])
    for mark, (pair, title) in zip("●■▲", PAIRS.items(), strict=True):
        assert f"{mark} {pair} α , {title} 70.0 −10.0 0.0" in half


def test_points_lie_on_the_curves() -> None:
    for number, text in enumerate(read_outs(scrubber())):
        way, alpha = WAYS[number // len(ALPHAS)], ALPHAS[number % len(ALPHAS)]
        lines = [
            [tuple(map(float, p.split(","))) for p in points.split()] for points in re.findall('points="(.*?)"', text)
        ]
        for pair, line, (x, y) in zip(PAIRS, lines, points_of(text), strict=True):
            assert (x, y) == pytest.approx(line[number % len(ALPHAS)], abs=0.06)
            assert value_of(text, y) == pytest.approx(iou_at(pair, way, alpha), abs=0.1)


def points_of(svg: str) -> list[tuple[float, float]]:
    """Where the points of F, S and R are, in the drawing's own units."""
    places = re.findall(r'<g transform="translate\((\S+) (\S+)\)"><\w+ class="alpha-point-(\w)"', svg)
    found = {pair: (float(x), float(y)) for x, y, pair in places}
    assert len(places) == len(found) == len(PAIRS)
    return [found[pair] for pair in PAIRS]


def value_of(svg: str, y: float) -> float:
    """The value that a height stands for, read off the labelled grid lines."""
    grid = [(float(at), float(value)) for at, value in re.findall(r"M[\d.]+ ([\d.]+)H.*?>(\d+)</text>", svg)]
    slope, zero = np.polyfit(*zip(*grid, strict=True), 1)
    return float(slope * y + zero)


def test_both_ways_have_one_scale() -> None:
    svgs = read_outs(scrubber())
    grids = {tuple(re.findall(r"M[\d.]+ ([\d.]+)H", svg)) for svg in svgs}
    assert len(grids) == 1


def test_python_observes_nothing() -> None:
    """What moved only with a kernel would do nothing on the site."""
    widget = scrubber()
    states = values(widget, "StackModel")
    assert len(states) == 6
    for name in ("SelectionSliderModel", "DropdownModel"):
        (state,) = values(widget, name)
        assert state["index"] == {"SelectionSliderModel": 1, "DropdownModel": 0}[name]
    parts = list(all_parts(widget))
    before = [part.selected_index for part in parts if isinstance(part, ipywidgets.Stack)]
    for part in parts:
        if isinstance(part, ipywidgets.SelectionSlider | ipywidgets.Dropdown):
            part.index = 1 - min(part.index, 1)
    assert [part.selected_index for part in parts if isinstance(part, ipywidgets.Stack)] == before


def all_parts(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from all_parts(child)


def test_one_way_alone_needs_no_switch() -> None:
    widget = scrubber(curves=CURVES[CURVES["batch_norm"] == "recalibrate"])
    assert len(read_outs(widget)) == len(ALPHAS)
    assert not [part for part in all_parts(widget) if isinstance(part, ipywidgets.Dropdown)]


def test_curves_may_be_finer_and_alphas_off_by_a_rounding_error() -> None:
    steps = -0.25 + np.cumsum([0.0, *[0.05] * 30])
    fine = pd.concat([pd.DataFrame({"pair": p, "batch_norm": "average", "alpha": steps, "iou": 50.0}) for p in PAIRS])
    told = [words(text.split("<svg")[0]) for text in read_outs(scrubber(curves=fine))]
    assert len(told) == len(ALPHAS)
    assert told[1].startswith("α = 0.00 : the trained")


def test_large_pictures_are_thinned_out() -> None:
    big = {key: masks.repeat(16, -1).repeat(16, -2) for key, masks in PREDICTED.items()}
    widget = scrubber(
        images=IMAGES.repeat(16, 1).repeat(16, 2), targets=TARGETS.repeat(16, 1).repeat(16, 2), predicted=big
    )
    (given,) = (text for text in contents(widget) if "Ground truth" in text)
    source = re.search('src="(.*?)"', given).group(1)
    with Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))) as image:
        assert image.height <= 96


def test_21_alphas_of_six_images_keep_to_their_share_of_a_page() -> None:
    """Blobs with a ragged outline, and photos as noisy as photos are."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    targets = np.stack([np.hypot(x - 32, y - 30) < r for r in (12, 16, 20, 22, 24, 26)])
    alphas = np.linspace(0, 1, 21)
    predicted = {(p, w): targets ^ (rng.random((21, 6, 64, 64)) < 0.02) for p in PAIRS for w in WAYS}
    curves = pd.DataFrame([(p, w, a, 70.0) for p in PAIRS for w in WAYS for a in alphas], columns=CURVES.columns)
    widget = alpha_scrubber(alphas, curves, rng.integers(90, 160, (6, 64, 64, 3), np.uint8), targets, predicted)
    assert 200_000 < embed_size(widget) < 1_200_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alphas": [0, 1]}, r"must be \[2, 3, 16, 16\]; found \[7, 3, 16, 16\]"),
        ({"alphas": [*ALPHAS[:6], 1.3]}, r"\('F', 'average'\) lacks alpha = 1.3"),
        ({"curves": CURVES[CURVES["pair"] == "F"]}, r"\('S', 'average'\) lacks alpha = -0.25"),
        ({"curves": CURVES[CURVES["pair"] != "R"]}, r"\('R', 'average'\) lacks alpha = -0.25"),
        ({"curves": CURVES[CURVES["alpha"] != 0]}, "lacks alpha = 0"),
        ({"targets": TARGETS[:2]}, r"must be \[7, 2, 16, 16\]"),
        ({"images": IMAGES / 1.0}, "found float64"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message) as raised:
        scrubber(**changes)
    assert "\n" not in str(raised.value)


# In the static book, with no kernel and no network


@pytest.fixture(scope="module")
def page_of_book(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Path:
    """A book of one executed notebook that shows the scrubber, with the repository's own settings and scripts."""
    pytest.importorskip("jupyter_book", reason="needs jupyter-book to render a notebook")
    folder = tmp_path_factory.mktemp("scrubber-book")
    book = folder / "book"
    for part in ("_assets", "_extensions"):
        shutil.copytree(site_helpers.ROOT / "book" / part, book / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(site_helpers.ROOT / "_config.yml", folder)
    (book / "_toc.yml").write_text("format: jb-book\nroot: scrubber\n")
    (book / "references.bib").write_text("")
    show = "from chairlib.show.scrubber import alpha_scrubber\n"
    show += "alpha_scrubber(alphas, curves, images, targets, predicted, interval=150)"
    cells = [new_markdown_cell("# Scrub alpha"), new_code_cell(DATA), new_code_cell(show)]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    nbformat.write(notebook, book / "scrubber.ipynb")
    built = site_helpers.build_book(folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "_build" / "html" / "scrubber.html"


@pytest.fixture
def opened(page_of_book: Path, browser: Any) -> Iterator[Callable[..., Any]]:
    """Open the page; afterwards, no request may have left the machine and no script failed."""
    contexts, asked, failed = [], [], []

    def open_page(width: int = 1280, height: int = 900, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        context.route(re.compile(r"^(https?|wss?):"), lambda route: (asked.append(route.request.url), route.abort()))
        page = context.new_page()
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.on("console", lambda said: failed.append(said.text) if said.type == "error" else None)
        page.goto(page_of_book.as_uri())
        page.wait_for_selector("svg.alpha-curve")
        page.wait_for_selector("img[alt^='Masks predicted by R']")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked == []
    assert failed == []


SEEN = """() => ({
    readOut: document.querySelector('.alpha-read-out').innerText,
    svgs: [...document.querySelectorAll('svg.alpha-curve')].map(svg => [svg.ariaLabel, svg.outerHTML]),
    masks: [...document.querySelectorAll("img[alt^='Masks']")]
        .filter(i => i.checkVisibility()).map(i => [i.alt, i.src]),
})"""


def wait_for_frame(page: Any, way: str, number: int) -> None:
    """Wait until the page shows this frame, and check all that it shows: read-out, curve, points and masks."""
    alpha = f"{ALPHAS[number]:.2f}".replace("-", "−")
    here = f"at alpha {alpha}, "
    shown = """([here, way]) => [...document.querySelectorAll("svg.alpha-curve")]
        .map(svg => svg.ariaLabel.toLowerCase())
        .concat([...document.querySelectorAll("img[alt^='Masks']")].map(image => image.alt))
        .filter(told => told.includes(here) && told.includes(way)).length === 4"""
    page.wait_for_function(shown, arg=[here, BATCH_NORM_TITLES[way]], timeout=5000)
    seen = page.evaluate(SEEN)
    assert len(seen["svgs"]) == 1
    assert len(seen["masks"]) == len(PAIRS)
    assert f"α = {alpha}:" in seen["readOut"]
    ((label, svg),) = seen["svgs"]
    for pair, (_, y), (alt, source) in zip(PAIRS, points_of(svg), seen["masks"], strict=True):
        iou = iou_at(pair, way, ALPHAS[number])
        assert re.search(rf"\s{iou:.1f}\s", seen["readOut"])
        assert f"{pair}, {PAIRS[pair]}, has {iou:.1f} %" in label
        assert value_of(svg, y) == pytest.approx(iou, abs=0.1)
        assert alt.startswith(f"Masks predicted by {pair} at alpha {alpha},")
        np.testing.assert_array_equal(strip(source), expected_masks(pair, way, number))
    line = re.findall('points="(.*?)"', svg)[0].split()
    assert points_of(svg)[0] == pytest.approx(tuple(map(float, line[number].split(","))), abs=0.06)
    assert page.locator(".widget-slider .widget-readout").inner_text() == alpha


def test_keys_move_curve_point_masks_and_read_out_together(opened: Callable[..., Any]) -> None:
    page = opened()
    wait_for_frame(page, "average", 1)
    page.locator("[role=slider]").focus()
    for key, number in (("ArrowRight", 2), ("ArrowRight", 3), ("End", 6), ("ArrowLeft", 5), ("Home", 0)):
        page.keyboard.press(key)
        wait_for_frame(page, "average", number)


def test_the_mouse_moves_it(opened: Callable[..., Any]) -> None:
    page = opened()
    page.locator("[role=slider]").scroll_into_view_if_needed()
    bar = page.locator(".noUi-base").bounding_box()
    page.mouse.click(bar["x"] + bar["width"] * 4 / 6, bar["y"] + bar["height"] / 2)
    wait_for_frame(page, "average", 4)
    page.wait_for_timeout(400)  # the handle glides to where it was called
    handle = page.locator(".noUi-handle").bounding_box()
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(bar["x"] - 5, bar["y"] + bar["height"] / 2, steps=6)
    page.mouse.up()
    wait_for_frame(page, "average", 0)


def test_play_runs_through_the_frames_to_the_last(opened: Callable[..., Any]) -> None:
    page = opened()
    collect = """() => { window.labels = new Set(); (function look() {
        const readOut = document.querySelector('.alpha-read-out strong');
        if (readOut) window.labels.add(readOut.innerText); requestAnimationFrame(look) })() }"""
    page.evaluate(collect)
    page.locator(".widget-play button").first.click()
    wait_for_frame(page, "average", len(ALPHAS) - 1)
    labels = [f"α = {alpha:.2f}" for alpha in ALPHAS[1:]]
    assert page.evaluate("() => [...window.labels]") == labels


def test_the_switch_changes_the_way_and_keeps_alpha(opened: Callable[..., Any]) -> None:
    page = opened()
    page.locator("[role=slider]").focus()
    page.keyboard.press("ArrowRight")
    wait_for_frame(page, "average", 2)
    page.keyboard.press("Tab")
    for _ in range(3):  # the read-out of the slider can be reached by Tab as well
        if page.evaluate("() => document.activeElement.tagName") == "SELECT":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    wait_for_frame(page, "recalibrate", 2)
    page.locator("[role=slider]").focus()
    page.keyboard.press("End")
    wait_for_frame(page, "recalibrate", 6)
    page.locator(".widget-dropdown select").select_option(index=0)  # what a click on the list does
    wait_for_frame(page, "average", 6)  # frames that were hidden have followed


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (390, "light"), (1280, "dark")])
def test_it_fits_a_phone_and_is_legible_in_the_dark(opened: Callable[..., Any], width: int, scheme: str) -> None:
    page = opened(width=width, scheme=scheme)
    assert page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    boxes = page.eval_on_selector_all(
        ".widget-subarea :is(svg.alpha-curve, img.chair-frame, .alpha-read-out, .widget-slider, select)",
        "all => all.map(part => part.getBoundingClientRect()).map(box => [box.left, box.right, box.width])",
    )
    assert len(boxes) == 4 + 2 + len(PAIRS)  # images and true masks, and a picture a set of models
    assert all(0 <= left < right <= width and wide >= 150 for left, right, wide in boxes)
    ink = page.evaluate("() => getComputedStyle(document.querySelector('svg.alpha-curve text')).fill")
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    lightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in (ink, ground)]
    assert abs(lightness[0] - lightness[1]) > 120
    assert (lightness[0] > lightness[1]) == (scheme == "dark")


def test_no_label_of_a_chart_is_cut_off(browser: Any) -> None:
    """Where curves end at the trained models, their names stand at the chart's very edges."""
    kept = slice(1, 6)
    ends = CURVES[CURVES["alpha"].between(0, 1)]
    masks = {key: frames[kept] for key, frames in PREDICTED.items()}
    page = browser.new_page()
    page.set_content(read_outs(scrubber(alphas=ALPHAS[kept], curves=ends, predicted=masks))[0])
    boxes = page.evaluate("""() => [...document.querySelectorAll('svg, svg text')]
        .map(part => part.getBoundingClientRect()).map(box => [box.left, box.right])""")
    page.close()
    (left, right), *labels = boxes
    assert len(labels) > 10
    assert all(left <= start < end <= right for start, end in labels)


def test_scrubbing_does_not_move_the_page(opened: Callable[..., Any]) -> None:
    page = opened(width=390, height=844)
    page.evaluate("() => document.fonts.ready")
    page.wait_for_timeout(300)
    height = page.evaluate("() => document.documentElement.scrollHeight")
    page.evaluate("""() => { window.seen = new Set(); (function look() {
        seen.add(document.documentElement.scrollHeight); requestAnimationFrame(look) })() }""")
    page.locator("[role=slider]").focus()
    for key in ("ArrowRight", "ArrowRight", "End", "Home"):
        page.keyboard.press(key)
        page.wait_for_timeout(60)
    wait_for_frame(page, "average", 0)
    assert page.evaluate("() => [...seen]") == [height]


def test_the_page_carries_every_frame_itself(page_of_book: Path) -> None:
    text = page_of_book.read_text(encoding="utf-8")
    assert len(text.encode()) < 3_000_000
    state = re.search(r'application/vnd.jupyter.widget-state\+json">(.*?)</script>', text, re.DOTALL)
    assert state is not None
    models = [model["model_name"] for model in json.loads(state.group(1))["state"].values()]
    assert models.count("HTMLModel") >= 4 * len(ALPHAS) + 2
    assert {"SelectionSliderModel", "PlayModel", "DropdownModel", "DirectionalLinkModel"} <= set(models)
