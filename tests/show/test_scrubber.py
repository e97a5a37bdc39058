"""The alpha scrubber: what each frame holds, and that a reader with no kernel and no network can move it."""

import html
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import site_helpers
from chairlib.core.errors import ParameterError
from chairlib.show.scrubber import BATCH_NORM_TITLES, alpha_scrubber
from chairlib.show.widgets import Widget
from figure_helpers import data_of, decoded, pictures, shown_pixels, size_of

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
keys = [(pair, way) for way in ("recalibrate", "average") for pair in "FSR"]
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
WAYS = ("recalibrate", "average")
#: The frame half-way.
HALF = 3
PAIRS = {"F": "fine-tuned", "S": "from scratch", "R": "one random start"}
COLOURS = {"found": (255, 255, 255), "false alarm": (213, 94, 0), "missed": (86, 180, 233)}


def scrubber(**changes: Any) -> Widget:
    asked = {"alphas": ALPHAS, "curves": CURVES, "images": IMAGES, "targets": TARGETS, "predicted": PREDICTED}
    return alpha_scrubber(**{**asked, **changes})


def iou_at(pair: str, way: str, alpha: float, curves: pd.DataFrame = CURVES) -> float:
    return curves[(curves["pair"] == pair) & (curves["batch_norm"] == way)].set_index("alpha")["iou"][alpha]


def pairs_of(widget: Widget, way: int = 0) -> dict[str, Any]:
    return data_of(widget)["treatments"][way]["pairs"]


def words(source: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", source))).strip()


def cells(strip: np.ndarray) -> np.ndarray:
    """The three pictures of a strip [3, 16, 16, 3]; they are one transparent pixel apart."""
    assert strip.shape == (16, 3 * 16 + 2, 4)
    assert not strip[:, [16, 33], 3].any()
    return np.stack([strip[:, left : left + 16, :3] for left in (0, 17, 34)])


def expected_masks(pair: str, way: str, number: int) -> np.ndarray:
    masks = PREDICTED[pair, way][number]
    picture = np.zeros((*TARGETS.shape, 3), np.uint8)
    for name, where in (("found", masks & TARGETS), ("false alarm", masks & ~TARGETS), ("missed", ~masks & TARGETS)):
        picture[where] = COLOURS[name]
    return picture


# What it holds


def test_there_is_a_frame_for_every_alpha_and_way_with_text_of_its_own() -> None:
    data = data_of(scrubber())
    assert data["labels"] == [f"{alpha:.2f}".replace("-", "−") for alpha in ALPHAS]
    assert [treatment["title"] for treatment in data["treatments"]] == list(BATCH_NORM_TITLES.values())
    told = [text for treatment in data["treatments"] for text in treatment["words"]]
    told += [text for one in data["treatments"] for pair in one["pairs"].values() for text in pair["words"]]
    assert len(set(told)) == len(told) == 2 * (1 + len(PAIRS)) * len(ALPHAS)
    for figures in (
        "At alpha 0.50, between the trained models: F, fine-tuned, has 74.5 %, 4.0 points below",
        "S, from scratch, has 17.5 %, 60.0 points below",
        "R, one random start, has 56.5 %, 20.0 points below the line between its ends; its barrier is 20.0 points.",
    ):
        assert figures in data["treatments"][0]["words"][HALF]


def test_it_starts_half_way_and_stands_without_a_script() -> None:
    widget = scrubber()
    assert data_of(widget)["start"] == HALF
    assert words(read_out(widget)).startswith("α = 0.50 : between the trained models")
    found = pictures(widget)
    np.testing.assert_array_equal(cells(found["3 scored images"]), IMAGES)
    (truth,) = (picture for alt, picture in found.items() if alt.startswith("The true masks of these 3 images: 16.7 %"))
    np.testing.assert_array_equal(cells(truth), np.repeat(TARGETS[..., None], 3, -1) * np.uint8(255))
    for pair in PAIRS:
        ((alt, picture),) = (
            (a, p) for a, p in found.items() if a.startswith(f"Masks predicted by {pair} at alpha 0.50")
        )
        np.testing.assert_array_equal(cells(picture), expected_masks(pair, "recalibrate", HALF))
        assert alt == pairs_of(widget)[pair]["words"][HALF]
    svg = curve(widget)
    assert (
        html.unescape(re.search('aria-label="(.*?)"', svg).group(1)) == data_of(widget)["treatments"][0]["words"][HALF]
    )
    for pair, line in zip(PAIRS, re.findall('points="(.*?)"', svg), strict=True):
        assert line == pairs_of(widget)[pair]["points"]


def read_out(widget: Widget) -> str:
    return re.search(r'<div class="alpha-read-out".*?(?=<div class="chair-note")', widget.body, re.DOTALL).group()


def curve(widget: Widget) -> str:
    return re.search(r"<svg.*</svg>", widget.body, re.DOTALL).group()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pair", PAIRS)
def test_every_mask_is_held_once(pair: str, way: str) -> None:
    held = pairs_of(scrubber(), WAYS.index(way))[pair]
    sheet = decoded(held["sheet"])
    sheet = (sheet[..., 0] if sheet.ndim == 3 else sheet) > 0
    masks = PREDICTED[pair, way]
    np.testing.assert_array_equal(sheet.reshape(7, 16, 3, 16).swapaxes(1, 2), masks)
    ious = 100 * (masks & TARGETS).sum((2, 3)) / (masks | TARGETS).sum((2, 3))
    assert held["ious"] == [[f"{iou:.0f}" for iou in frame] for frame in ious]
    for number, (told, own) in enumerate(zip(held["words"], held["ious"], strict=True)):
        assert f"{pair} at alpha {ALPHAS[number]:.2f}".replace("-", "−") in told
        assert told.endswith(f"BatchNorm {BATCH_NORM_TITLES[way]}: IoU in per cent {', '.join(own)}")


def test_the_read_out_gives_figures_gaps_and_barriers_and_marks_extrapolation() -> None:
    widget = scrubber()
    assert data_of(widget)["places"] == [
        "extrapolated, past F₂, S₂, R₂",
        "the trained F₂, S₂, R₂",
        *["between the trained models"] * 3,
        "the trained F₁, S₁, R₁",
        "extrapolated, past F₁, S₁, R₁",
    ]
    texts = {pair: own["texts"] for pair, own in pairs_of(widget).items()}
    assert {pair: own[HALF] for pair, own in texts.items()} == {
        "F": ["74.5", "4.0 below", "4.0"],
        "S": ["17.5", "60.0 below", "60.0"],
        "R": ["56.5", "20.0 below", "20.0"],
    }
    assert {pair: own[6] for pair, own in texts.items()} == {
        "F": ["76.2", "–", "4.0"],
        "S": ["75.2", "–", "60.0"],
        "R": ["74.2", "–", "20.0"],
    }
    assert texts["F"][1] == ["80.0", "0.0", "4.0"]
    assert words(read_out(widget)).endswith(
        "● F α , fine-tuned 74.5 4.0 below 4.0 ■ S α , from scratch 17.5 60.0 below 60.0 "
        "▲ R α , one random start 56.5 20.0 below 20.0"
    )


def test_a_model_above_its_line_is_told_to_be_above_it() -> None:
    """No reader has to turn "below the line: −0.9" round in the head."""
    bulging = CURVES.assign(iou=60.0 + 0.9 * CURVES["alpha"].between(0.1, 0.9))
    widget = scrubber(curves=bulging)
    for pair in PAIRS:
        assert pairs_of(widget)[pair]["texts"][HALF] == ["60.9", "0.9 above", "0.0"]
    assert "has 60.9 %, 0.9 points above the line between its ends; its barrier is 0.0" in curve(widget)
    level = scrubber(curves=CURVES.assign(iou=60.0 + 0.04 * CURVES["alpha"].between(0.1, 0.9)))
    assert pairs_of(level)["F"]["texts"][HALF] == ["60.0", "0.0", "0.0"]
    assert "has 60.0 %, on the line between its ends; its barrier is 0.0" in curve(level)
    for told in (widget.data, level.data):
        assert not re.search(r"[−-]\d+\.\d+ (below|above|points)|[−-]0\.0", told)


def test_points_lie_on_the_curves() -> None:
    widget = scrubber()
    svg, xs = curve(widget), data_of(widget)["xs"]
    for number, way in enumerate(WAYS):
        for pair, own in pairs_of(widget, number).items():
            line = [tuple(map(float, point.split(","))) for point in own["points"].split()]
            np.testing.assert_allclose(np.transpose([xs, own["ys"]]), line, atol=0.06)
            for alpha, y in zip(ALPHAS, own["ys"], strict=True):
                assert value_of(svg, y) == pytest.approx(iou_at(pair, way, alpha), abs=0.1)


def value_of(svg: str, y: float) -> float:
    """The value that a height stands for, read off the labelled grid lines."""
    grid = [(float(at), float(value)) for at, value in re.findall(r"M[\d.]+ ([\d.]+)H.*?>(\d+)</text>", svg)]
    slope, zero = np.polyfit(*zip(*grid, strict=True), 1)
    return float(slope * y + zero)


def test_curves_may_be_finer_and_alphas_off_by_a_rounding_error() -> None:
    steps = -0.25 + np.cumsum([0.0, *[0.05] * 30])
    fine = pd.concat(
        [pd.DataFrame({"pair": p, "batch_norm": "recalibrate", "alpha": steps, "iou": 50.0}) for p in PAIRS]
    )
    data = data_of(scrubber(curves=fine))
    assert len(data["places"]) == len(data["treatments"][0]["words"]) == len(ALPHAS)
    assert data["places"][1] == "the trained F₂, S₂, R₂"
    assert len(data["treatments"][0]["pairs"]["F"]["points"].split()) == len(steps)


def test_large_pictures_are_thinned_out() -> None:
    big = {key: masks.repeat(16, -1).repeat(16, -2) for key, masks in PREDICTED.items()}
    widget = scrubber(
        images=IMAGES.repeat(16, 1).repeat(16, 2), targets=TARGETS.repeat(16, 1).repeat(16, 2), predicted=big
    )
    assert data_of(widget)["side"] <= 96
    assert all(picture.shape[0] <= 96 for picture in pictures(widget).values())
    assert decoded(pairs_of(widget)["F"]["sheet"]).shape[0] == data_of(widget)["side"] * len(ALPHAS)


def test_21_alphas_of_six_images_keep_to_their_share_of_a_page() -> None:
    """Blobs with a ragged outline, and photos as noisy as photos are."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    targets = np.stack([np.hypot(x - 32, y - 30) < r for r in (12, 16, 20, 22, 24, 26)])
    alphas = np.linspace(0, 1, 21)
    predicted = {(p, w): targets ^ (rng.random((21, 6, 64, 64)) < 0.02) for p in PAIRS for w in WAYS}
    curves = pd.DataFrame([(p, w, a, 70.0) for p in PAIRS for w in WAYS for a in alphas], columns=CURVES.columns)
    widget = alpha_scrubber(alphas, curves, rng.integers(90, 160, (6, 64, 64, 3), np.uint8), targets, predicted)
    assert 100_000 < size_of(widget) < 400_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alphas": [0, 1]}, r"must be \[2, 3, 16, 16\]; found \[7, 3, 16, 16\]"),
        ({"alphas": [*ALPHAS[:6], 1.3]}, r"\('F', 'recalibrate'\) lacks alpha = 1.3"),
        ({"curves": CURVES[CURVES["pair"] == "F"]}, r"\('S', 'recalibrate'\) lacks alpha = -0.25"),
        ({"curves": CURVES[CURVES["pair"] != "R"]}, r"\('R', 'recalibrate'\) lacks alpha = -0.25"),
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
    page = [new_markdown_cell("# Scrub alpha"), new_code_cell(DATA), new_code_cell(show)]
    notebook = new_notebook(cells=page, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
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
        page.wait_for_selector(".chair-widget[data-live=ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked == []
    assert failed == []


#: What a reader sees of the curve: read-out, text, where the points are, and the lines.
SEEN = """() => ({
    readOut: document.querySelector(".alpha-read-out").innerText,
    label: document.querySelector("svg.alpha-curve").ariaLabel,
    svg: document.querySelector("svg.alpha-curve").outerHTML,
    ious: [...document.querySelectorAll(".alpha-ious")].map(row => row.innerText.split(/\\s+/)),
    bubble: document.querySelector(".chair-bubble").innerText,
})"""


def wait_for_frame(page: Any, way: str, number: int) -> None:
    """Wait until the page shows this frame, and check all that it shows: read-out, curve, points and masks."""
    held = pairs_of(scrubber(), WAYS.index(way))
    alpha = f"{ALPHAS[number]:.2f}".replace("-", "−")
    drawn = "told => told.every(words => [...document.querySelectorAll('canvas')].some(c => c.ariaLabel === words))"
    page.wait_for_function(drawn, arg=[held[pair]["words"][number] for pair in PAIRS], timeout=5000)
    seen = page.evaluate(SEEN)
    assert f"α = {alpha}:" in seen["readOut"]
    assert seen["bubble"] == alpha
    assert f"alpha {alpha}, " in seen["label"]
    assert BATCH_NORM_TITLES[way] in seen["label"]
    points = re.findall(r'<g data-pair="(\w)" transform="translate\((\S+) (\S+)\)"', seen["svg"])
    assert sorted(pair for pair, *_ in points) == sorted(PAIRS)
    for pair, x, y in points:
        iou = iou_at(pair, way, ALPHAS[number])
        assert re.search(rf"\s{iou:.1f}\s", seen["readOut"])
        assert f"{pair}, {PAIRS[pair]}, has {iou:.1f} %" in seen["label"]
        assert value_of(seen["svg"], float(y)) == pytest.approx(iou, abs=0.1)
        line = held[pair]["points"].split()
        assert (float(x), float(y)) == pytest.approx(tuple(map(float, line[number].split(","))), abs=0.06)
        assert f'points="{held[pair]["points"]}"' in seen["svg"]
    for pair, ious in zip(PAIRS, seen["ious"], strict=True):
        assert ious == held[pair]["ious"][number]
        strip = shown_pixels(page, held[pair]["words"][number])
        np.testing.assert_array_equal(cells(strip), expected_masks(pair, way, number))


SLIDER = "input[type=range]"


def test_keys_move_curve_point_masks_and_read_out_together(opened: Callable[..., Any]) -> None:
    page = opened()
    wait_for_frame(page, "recalibrate", HALF)
    page.locator(SLIDER).focus()
    for key, number in (("ArrowRight", 4), ("ArrowRight", 5), ("End", 6), ("ArrowLeft", 5), ("Home", 0)):
        page.keyboard.press(key)
        wait_for_frame(page, "recalibrate", number)


def test_the_mouse_moves_it_and_the_bubble_follows_the_handle(opened: Callable[..., Any]) -> None:
    page = opened()
    page.locator(SLIDER).scroll_into_view_if_needed()
    bar = page.locator(SLIDER).bounding_box()
    assert bar["height"] >= 24
    middle, travel = bar["y"] + bar["height"] / 2, bar["width"] - 26
    page.mouse.move(bar["x"] + 13 + travel / 2, middle)
    page.mouse.down()
    for number in (4, 1):
        at = bar["x"] + 13 + travel * number / 6
        page.mouse.move(at, middle, steps=6)
        wait_for_frame(page, "recalibrate", number)
        bubble = page.locator(".chair-bubble").bounding_box()
        assert bubble["x"] + bubble["width"] / 2 == pytest.approx(at, abs=2)
    page.mouse.up()


def test_play_runs_through_the_frames_to_the_last(opened: Callable[..., Any]) -> None:
    page = opened()
    collect = """() => { window.labels = new Set(); (function look() {
        window.labels.add(document.querySelector('.alpha-read-out strong').innerText);
        requestAnimationFrame(look) })() }"""
    page.evaluate(collect)
    page.get_by_role("button", name="Play alpha").click()
    wait_for_frame(page, "recalibrate", len(ALPHAS) - 1)
    page.get_by_role("button", name="Play alpha").wait_for(timeout=5000)  # it has stopped
    assert page.evaluate("() => [...window.labels]") == [f"α = {alpha:.2f}" for alpha in ALPHAS[HALF:]]


def test_the_switch_changes_the_way_and_keeps_alpha(opened: Callable[..., Any]) -> None:
    page = opened()
    page.locator(SLIDER).focus()
    page.keyboard.press("ArrowRight")
    for _ in range(2):  # past Play
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    wait_for_frame(page, "average", 4)
    page.locator(SLIDER).press("End")
    wait_for_frame(page, "average", 6)
    page.get_by_role("combobox", name="BatchNorm").select_option(index=0)
    wait_for_frame(page, "recalibrate", 6)


def test_one_way_alone_needs_no_switch(open_widget: Callable[..., Any]) -> None:
    page = open_widget(scrubber(curves=CURVES[CURVES["batch_norm"] == "average"]))
    assert page.locator("select").count() == 0
    page.get_by_role("slider", name="α").press("End")
    assert "α = 1.25" in page.locator(".alpha-read-out").inner_text()
    assert "averaged" in page.locator("svg.alpha-curve").get_attribute("aria-label")


def test_curve_and_masks_are_seen_at_once_on_a_laptop(opened: Callable[..., Any]) -> None:
    page = opened(width=1366, height=768)
    parts = (".chair-widget", "svg.alpha-curve", "[data-masks=R]")
    widget, curves, masks = (page.locator(part).bounding_box() for part in parts)
    assert widget["height"] <= 620
    assert curves["x"] + curves["width"] <= masks["x"]


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (390, "light"), (1280, "dark")])
def test_it_fits_a_phone_and_is_legible_in_the_dark(opened: Callable[..., Any], width: int, scheme: str) -> None:
    page = opened(width=width, scheme=scheme)
    assert page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    boxes = page.eval_on_selector_all(
        ".chair-widget :is(svg.alpha-curve, .chair-frame, .alpha-read-out, .chair-slider, select)",
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
    page.set_content(scrubber(alphas=ALPHAS[kept], curves=ends, predicted=masks).data)
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
    page.locator(SLIDER).focus()
    for key in ("ArrowRight", "ArrowRight", "End", "Home"):
        page.keyboard.press(key)
        page.wait_for_timeout(60)
    wait_for_frame(page, "recalibrate", 0)
    assert page.evaluate("() => [...seen]") == [height]


def test_the_page_carries_every_frame_itself(page_of_book: Path) -> None:
    text = page_of_book.read_text(encoding="utf-8")
    assert len(text.encode()) < 3_000_000
    assert text.count('class="chair-widget"') == 1
    assert text.count(pairs_of(scrubber())["F"]["sheet"]) == 1
    assert "vnd.jupyter" not in text
