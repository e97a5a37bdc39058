"""Figures show the data they are given, tell it in their alternative text, and leave matplotlib as they found it."""

import base64
import io
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser

import matplotlib
import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chairlib.core.errors import ParameterError
from chairlib.show import figures

RNG = np.random.default_rng(0)


def images(n: int = 4, d: int = 32) -> np.ndarray:
    return RNG.integers(0, 256, (n, d, d, 3), dtype=np.uint8)


def masks(n: int = 4, d: int = 32) -> np.ndarray:
    """The left quarter of every mask is chair."""
    truth = np.zeros((n, d, d), bool)
    truth[:, :, : d // 4] = True
    return truth


def history(n: int = 6, top: float = 80.0) -> pd.DataFrame:
    seen = np.arange(1, n + 1) * 2000
    return pd.DataFrame(
        {
            "images": seen,
            "train_loss": 0.6 / np.arange(1, n + 1),
            "val_loss": 0.7 / np.arange(1, n + 1),
            "val_iou": top - 30.0 / np.arange(1, n + 1),
            "learning_rate": 1e-3,
            "seconds": seen / 100,
        }
    )


PAPER = pd.DataFrame(
    {"model": ["U-Net"] * 2 + ["FCN-VGG-16"], "resolution": [32, 64, 64], "iou": [77.59, 85.08, 61.09]}
)
OURS = pd.DataFrame({"model": ["U-Net"], "resolution": [64], "iou": [83.21], "low": [82.0], "high": [84.5]})
SEEDS = {"from scratch": [history(), history(top=76)], "pretrained": [history(top=84)]}
SHARES = pd.DataFrame(
    {
        "label": ["from scratch", "from scratch", "pretrained"],
        "share": [10, 100, 100],
        "n_images": [45, 448, 448],
        "iou": [40.0, 50.0, 56.0],
        "low": [37.0, 47.0, np.nan],
        "high": [43.0, 53.5, np.nan],
    }
)
NEEDED = pd.DataFrame(
    {
        "category": ["car", "car", "horse", "horse"],
        "label": ["from scratch", "pretrained"] * 2,
        "images": [8000.0, 2000.0, 6000.0, np.nan],
    }
)

MAKE = {
    "composite_grid": lambda: figures.composite_grid(images(10), masks(10), title="Training split"),
    "composite_grid_rgba": lambda: figures.composite_grid(np.dstack([images(1)[0], np.full((32, 32), 90, np.uint8)])[None]),
    "composite_grid_large": lambda: figures.composite_grid(images(8, 256), masks(8, 256)),
    "named_grid": lambda: figures.named_grid({"bar_stool": images(3), "egg": images(1)}, columns=3, noun="chairs"),
    "pair_grid": lambda: figures.pair_grid([(images(1)[0], images(1)[0])] * 3, ["2 bits", "4 bits", "9 bits"], [("val a", "train b")] * 3),
    "kept_and_refused": lambda: figures.kept_and_refused(images(9), ["", "cut", "", "bad edges", "cut: at the left", "", "", "", ""]),
    "kept_and_refused_none_kept": lambda: figures.kept_and_refused(images(1), ["cut"]),
    "distance_histogram": lambda: figures.distance_histogram({"segments": [2, 80, 92], "backgrounds": [100]}, 24),
    "resolution_strip": lambda: figures.resolution_strip({d: images(1, d)[0] for d in (32, 64, 128, 256)}),
    "outline_against_mask": lambda: figures.outline_against_mask(images(1, 64)[0], masks(1, 64)[0] * np.uint8(255)),
    "outline_empty": lambda: figures.outline_against_mask(images(1, 64)[0], np.zeros((64, 64), np.uint8)),
    "foreground_histogram": lambda: figures.foreground_histogram(RNG.uniform(5, 40, 500)),
    "foreground_histogram_sets": lambda: figures.foreground_histogram({"training": [10.0, 20.0], "test": [30.0]}, paper=None),
    "training_curves": lambda: figures.training_curves(history()),
    "predictions": lambda: figures.predictions(images(), masks(), np.where(masks(), 0.9, 0.2), [90.0, 80.5, np.nan, 70.0]),
    "predictions_one": lambda: figures.predictions(images(1), masks(1), masks(1), [100.0]),
    "iou_over_images": lambda: figures.iou_over_images({"U-Net": history(), "FCN-VGG-16": history(top=60)}),
    "iou_over_images_log": lambda: figures.iou_over_images({"U-Net": history()}, log=True),
    "figure4": lambda: figures.figure4(images(), masks(), {"U-Net": masks(), "coarse": masks(4, 16), "FCN-ResNet-50": None}),
    "figure5": lambda: figures.figure5(images(), masks(), {"U-Net": ~masks(), "coarse": masks(4, 16), "FCN-VGG-16": None}),
    "figure5_none": lambda: figures.figure5(images(), masks(), {}),
    "iou_over_steps": lambda: figures.iou_over_steps(SEEDS),
    "iou_over_steps_seconds": lambda: figures.iou_over_steps(SEEDS, x="seconds"),
    "iou_by_share": lambda: figures.iou_by_share(SHARES),
    "iou_by_share_one": lambda: figures.iou_by_share(SHARES[1:]),
    "steps_to_reach": lambda: figures.steps_to_reach(NEEDED),
    "steps_to_reach_never": lambda: figures.steps_to_reach(NEEDED.assign(images=None)),
    "iou_by_resolution": lambda: figures.iou_by_resolution(OURS, PAPER),
    "iou_by_resolution_none": lambda: figures.iou_by_resolution(pd.DataFrame(), PAPER),
}  # fmt: skip


@cache
def drawn(name: str) -> figures.Figure:
    return MAKE[name]()


class _Image(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.attributes: dict[str, str | None] = {}
        self.words = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.attributes = dict(attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


def decode(figure: figures.Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))


@pytest.mark.parametrize("name", MAKE)
def test_every_figure_is_a_picture_with_alternative_text(name: str) -> None:
    figure = drawn(name)
    read = _Image(figure._repr_html_()).attributes
    assert read["class"] == "chair-figure"
    assert read["alt"] == figure.alt
    assert figure.alt.endswith(".")
    source = read["src"] or ""
    assert base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True) == figure.png
    with Image.open(io.BytesIO(figure.png)) as image:
        image.load()
        assert image.format == "PNG"
        assert 100 <= int(read["width"] or 0) <= 640  # CSS pixels: fits the page
        assert int(read["width"] or 0) * 1.4 <= image.width <= 2400  # sharp on a dense screen, never huge
        assert 100 <= image.height <= 2400
    assert len(figure.png) < 1_000_000


ALT = {
    "composite_grid": ["Training split", "10 composites of 32 × 32 pixels in 2 rows of 8", "25.0 % on average"],
    "named_grid": ["4 chairs: bar stool and egg"],
    "pair_grid": ["3 pairs of pictures: 2 bits, val a beside train b; 4 bits"],
    "kept_and_refused": ["6 images kept and 3 refused. Refused: cut 2, bad edges 1"],
    "kept_and_refused_none_kept": ["0 images kept and 1 refused"],
    "distance_histogram": [
        "segments: 3 distances from 2 to 92 bits, median 80, 1 below 24; backgrounds: 1 distances from 100"
    ],
    "resolution_strip": ["32 × 32, 64 × 64, 128 × 128 and 256 × 256"],
    "outline_against_mask": [
        "4 corners",
        "IoU with the mask is 98.4 %",
        "0 pixels that are not chair",
        "16 of the 1,024",
    ],
    "foreground_histogram_sets": [
        "training: 2 composites, mean 15.00 %, from 10.0 to 20.0 %",
        "test: 1 composites, mean 30.00 %",
    ],
    "training_curves": [
        "12,000 images and 120 seconds",
        "validation loss ends at 0.1167",
        "75.0 % after 12,000 images",
    ],
    "predictions": ["IoU in per cent: 90.0, 80.5, left out of the metric and 70.0", "0.0 % are missed"],
    "iou_over_images": ["U-Net: best 75.0 % after 12,000 images", "FCN-VGG-16: best 55.0 %"],
    "figure4": [
        "U-Net: 25.0 % of the pixels",
        "mean IoU of these 100.0 %",
        "FCN-ResNet-50: not trained in this profile",
    ],
    "figure5": [
        "4 photos, the masks predicted and the ground truth (25.0 % object). U-Net: 75.0 % of the pixels called object",
        "mean IoU of these 0.0 %",
        "FCN-VGG-16: not trained in this profile",
    ],
    "figure5_none": ["the ground truth (25.0 % object)."],
    "iou_over_steps": [
        "from scratch: 2 seeds, mean best 73.0 % after 12,000 images, mean at the end 73.0 % after 12,000 images",
        "seeds there 71.0 to 75.0 % (4.0 points)",
        "pretrained: 1 seed, mean best 79.0 % after 12,000 images",
    ],
    "iou_over_steps_seconds": ["from scratch: 2 seeds, mean best 73.0 % after 120 seconds"],
    "iou_by_share": [
        "from scratch with 10 % (45 images): 40.0 % (37.0 to 43.0)",
        "pretrained with 100 % (448 images): 56.0 %.",
    ],
    "steps_to_reach": [
        "car: from scratch 8,000, pretrained 2,000 (75 % fewer)",
        "horse: from scratch 6,000, pretrained never",
    ],
    "steps_to_reach_never": ["car: from scratch never, pretrained never"],
    "iou_by_resolution": ["U-Net at 64: 83.2 % (95 % interval 82.0 to 84.5)", "FCN-VGG-16 at 64 in the paper: 61.09 %"],
}


@pytest.mark.parametrize("name", ALT)
def test_alternative_text_holds_the_numbers(name: str) -> None:
    alt = drawn(name).alt
    for words in ALT[name]:
        assert words in alt


def test_the_papers_mean_is_drawn_unless_it_is_left_out() -> None:
    assert "The paper's mean is 21.99 %" in figures.foreground_histogram([20.0, 30.0]).alt
    assert "paper" not in figures.foreground_histogram([20.0, 30.0], paper=None).alt


def test_every_pixel_of_an_image_is_drawn_as_an_equal_square() -> None:
    """Nearest interpolation at a whole-number scale: the drawn grid divides into blocks of one colour each."""
    pictures = images(8)
    shown = decode(figures.composite_grid(pictures, columns=8))
    rows, columns = np.nonzero((shown != 255).any(axis=2))
    shown = shown[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    side = shown.shape[0]
    assert side % 32 == 0
    blocks = shown[:, :side].reshape(32, side // 32, 32, side // 32, 3)
    np.testing.assert_array_equal(blocks.min(axis=(1, 3)), blocks.max(axis=(1, 3)))
    np.testing.assert_array_equal(blocks[:, 0, :, 0], pictures[0])


def test_float_images_are_drawn_as_their_bytes() -> None:
    pictures = images(2)
    as_floats = (pictures / 255).astype(np.float32)
    assert figures.composite_grid(as_floats).png == figures.composite_grid(pictures).png


def test_errors_of_a_prediction_have_colours_of_their_own() -> None:
    truth = np.zeros((1, 32, 32), bool)
    truth[0, :16] = True
    predicted = np.zeros((1, 32, 32), bool)
    predicted[0, :, :16] = True
    black = np.zeros((1, 32, 32, 3), np.uint8)
    colours = {tuple(colour) for colour in decode(figures.predictions(black, truth, predicted, [33.3])).reshape(-1, 3)}
    assert {(255, 255, 255), (213, 94, 0), (86, 180, 233), (0, 0, 0)} <= colours
    right = decode(figures.predictions(black, truth, truth, [100.0])).reshape(-1, 3)
    # The legend alone shows the colours of errors then.
    assert (right == (213, 94, 0)).all(axis=1).sum() < 3000


def test_probability_one_half_is_background() -> None:
    half = np.full((1, 32, 32), 0.5)
    figure = figures.predictions(images(1), masks(1), half, [0.0])
    assert "0.0 % of the pixels are wrongly called chair and 25.0 % are missed" in figure.alt


def test_the_evaluation_that_was_kept_can_be_named() -> None:
    assert (
        "the evaluation kept has 72.5 % after 8,000 images" in figures.training_curves(history(), best_images=8000).alt
    )


def test_gaps_in_a_history_are_skipped() -> None:
    gaps = history()
    gaps.loc[[0, 5], ["val_loss", "val_iou"]] = np.nan
    alt = figures.training_curves(gaps).alt
    assert "Validation IoU goes from 65.0 to 74.0 %" in alt
    assert "validation loss ends at 0.1400" in alt


def test_a_history_without_a_validation_iou_says_so() -> None:
    """No validation image holds the object: losses and rate are shown all the same, with the evaluation kept if it is named."""
    undefined = history().assign(val_iou=np.nan)
    words = "There is no validation IoU, since no validation image holds the object"
    assert figures.training_curves(undefined).alt.endswith(f"{words}.")
    alt = figures.training_curves(undefined, best_images=8000).alt
    assert alt.endswith(f"{words}; the evaluation kept comes after 8,000 images.")
    assert "validation loss ends at 0.1167" in alt


def test_the_ground_truth_is_the_last_row_of_figure_5_and_the_second_of_figure_4() -> None:
    """Black photos, a white prediction and a mask that is white on its left quarter."""
    black, truth, white = np.zeros((1, 32, 32, 3), np.uint8), masks(1), np.ones((1, 32, 32), bool)
    for draw, order in ((figures.figure4, [0, 0.25, 1]), (figures.figure5, [0, 1, 0.25])):
        shown = decode(draw(black, truth, {"U-Net": white}))
        side = shown.shape[0] // 3
        light = [(shown[(row + 1) * side - side // 3, :] == 255).all(axis=-1) for row in range(3)]
        edge = int(np.argmin(light[0]))
        width = int((~light[0]).sum())
        assert [line[edge : edge + width].mean() for line in light] == pytest.approx(order, abs=0.02)


def test_seeds_evaluated_at_different_places_are_interpolated() -> None:
    """A seed counts from its first evaluation, and keeps its last value where it ended early."""
    short = pd.DataFrame({"images": [3000, 5000], "val_iou": [10.0, 20.0]})
    long = pd.DataFrame({"images": [8000, 2000, 4000, 6000], "val_iou": [40.0, 10.0, 20.0, np.nan]})
    line = figures._over_seeds("U-Net", [short, long], "images")
    assert line["images"].tolist() == [3000, 4000, 5000, 8000]
    assert line["low"].tolist() == [10, 15, 20, 20]
    assert line["high"].tolist() == [15, 20, 25, 40]
    assert line["mean"].tolist() == [12.5, 17.5, 22.5, 30]


def test_images_needed_are_compared_with_the_first_label() -> None:
    needed = pd.DataFrame({"category": "car", "label": list("abcde"), "images": [4000, 4000, 6000, 0, 1000]})
    told = "car: a 4,000, b 4,000 (as many), c 6,000 (50 % more), d 0 (100 % fewer), e 1,000 (75 % fewer)"
    assert told in figures.steps_to_reach(needed).alt
    needed.loc[0, "images"] = 0
    assert "car: a 0, b 4,000, c 6,000, d 0, e 1,000." in figures.steps_to_reach(needed).alt


def test_labels_differ_in_more_than_colour() -> None:
    looks = [figures._look(number) for number in range(len(figures.PALETTE))]
    assert len({look["marker"] for look in looks}) == len(looks)
    assert len(set(figures._HATCHES)) == len(looks)


def test_titles_and_captions_are_escaped_text_below_the_picture() -> None:
    fig = matplotlib.figure.Figure(figsize=(6, 2))
    figure = figures.show(fig, alt='a "quoted" <alt>', title="Title.", caption="<i>caption</i>")
    read = _Image(figure.data)
    assert read.attributes["alt"] == 'a "quoted" <alt>'
    assert read.words == "Title. <i>caption</i>"
    with pytest.raises(ParameterError, match="alternative text"):
        figures.show(fig, alt=" ")


def test_pictures_are_the_same_bytes_each_time() -> None:
    assert MAKE["iou_by_resolution"]().png == drawn("iou_by_resolution").png


def test_matplotlib_is_left_alone_and_its_current_style_ignored() -> None:
    plain = drawn("training_curves").png
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "text.color": "white"}):
        before = dict(matplotlib.rcParams)
        assert figures.training_curves(history()).png == plain
        assert dict(matplotlib.rcParams) == before


def test_no_training_code_is_imported() -> None:
    code = "import sys, chairlib.show.figures, chairlib.show.widgets; print([m for m in sys.modules if m.split('.')[0] in ('torch', 'torchvision')])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.composite_grid(images().astype(float)), r"\[0, 1\]; found float64, shape \[4, 32, 32, 3\], values 0"),
        (lambda: figures.composite_grid(np.full((1, 8, 8, 3), np.nan)), r"\[0, 1\]"),
        (lambda: figures.composite_grid(images().transpose(0, 3, 1, 2)), "channels last"),
        (lambda: figures.composite_grid(images().astype(np.int64)), "found int64"),
        (lambda: figures.composite_grid(images(), masks() * 255), "values 0 to 255. Threshold"),
        (lambda: figures.composite_grid(images(3), masks(4)), "images has 3, masks has 4"),
        (lambda: figures.composite_grid(images(), columns=0), "found 0"),
        (lambda: figures.pair_grid([], [], []), "at least one"),
        (lambda: figures.pair_grid([(images(1)[0], images(1)[0])], [], [("a", "b")]), "labels has 0"),
        (lambda: figures.kept_and_refused(images(3), ["cut"]), "images has 3, reasons has 1"),
        (lambda: figures.kept_and_refused(images(1), [""], columns=0), "found 0"),
        (lambda: figures.distance_histogram({"segments": [257]}, 24), r"bits in \[0, 256\].*257"),
        (lambda: figures.resolution_strip({}), "at least one"),
        (lambda: figures.resolution_strip({64: images(1)[0]}), "resolution 64"),
        (lambda: figures.outline_against_mask(images(1)[0], np.zeros((16, 16), np.uint8)), r"\[32, 32\]"),
        (lambda: figures.foreground_histogram([120.0]), r"per cent in \[0, 100\].*120"),
        (lambda: figures.foreground_histogram([]), "at least one"),
        (lambda: figures.predictions(images(), masks(), np.full((4, 32, 32), 1.5), [1] * 4), "1.5"),
        (lambda: figures.predictions(images(), masks(), masks(), [1]), "ious has 1"),
        (lambda: figures.figure4(images(), masks(), {"U-Net": masks(3)}), "U-Net has 3"),
        (lambda: figures.training_curves(history().drop(columns="seconds")), "lacks the column.s. seconds"),
        (lambda: figures.training_curves(history()[:0]), "no rows"),
        (lambda: figures.iou_over_images({}), "at least one"),
        (lambda: figures.iou_by_resolution(OURS, PAPER[:0]), "no rows"),
        (lambda: figures.figure5(images(), masks(), {"U-Net": masks(3)}), "U-Net has 3"),
        (lambda: figures.figure5(images(), masks(3), {}), "targets has 3"),
        (lambda: figures.iou_over_steps({"U-Net": []}), "at least one"),
        (lambda: figures.iou_over_steps(SEEDS, x="epochs"), "found 'epochs'"),
        (lambda: figures.iou_over_steps({"U-Net": [history().drop(columns="val_iou")]}), "'U-Net' lacks the column.s. val_iou"),
        (lambda: figures.iou_over_steps({"U-Net": [history().assign(val_iou=np.nan)]}), "'U-Net' has no rows"),
        (lambda: figures.iou_by_share(SHARES.drop(columns="n_images")), "lacks the column.s. n_images"),
        (lambda: figures.iou_by_share(SHARES.assign(iou=np.nan)), "no rows"),
        (lambda: figures.iou_by_share(SHARES.assign(share=0)), "above 0 and up to 100; found 0 to 0"),
        (lambda: figures.iou_by_share(SHARES.assign(low=60.0)), "does not hold its IoU"),
        (lambda: figures.steps_to_reach(NEEDED[:0]), "no rows"),
        (lambda: figures.steps_to_reach(NEEDED.drop(columns="label")), "lacks the column.s. label"),
        (lambda: figures.steps_to_reach(NEEDED.assign(category="car")), "once for each category"),
        (lambda: figures.steps_to_reach(NEEDED.assign(images=-5.0)), "found 4 rows from -5"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


@given(
    st.lists(st.tuples(st.floats(-1, 2), st.floats(0.01, 0.3)), min_size=1, max_size=12).map(sorted),
)
def test_labels_never_overlap_and_keep_their_order(labels: list[tuple[float, float]]) -> None:
    wanted, heights = [w for w, _ in labels], [h for _, h in labels]
    places = figures._apart(wanted, heights)
    for below, above in zip(range(len(labels)), range(1, len(labels)), strict=False):
        assert places[above] - places[below] >= (heights[above] + heights[below]) / 2 - 1e-9
    if len(labels) == 1:
        assert places == pytest.approx(wanted, abs=1e-9)


def test_the_palette_is_told_apart_in_grey_or_hue() -> None:
    assert len(set(figures.PALETTE)) == len(figures.PALETTE) == 7
    assert all(re.fullmatch(r"#[0-9A-F]{6}", colour) for colour in figures.PALETTE)
