"""Grids show the images and masks they are given, pixel by pixel, and tell them in their alternative text."""

import re
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from PIL import ImageColor

from chairlib.core.errors import ParameterError
from chairlib.show import mosaic
from chairlib.show.canvas import GROUND, Figure
from chairlib.show.pictures import (
    composite_grid,
    figure4,
    figure5,
    outline_against_mask,
    predictions,
    resolution_strip,
    side_by_side,
)
from chairlib.show.widgets import CHECKERBOARD
from figure_helpers import check_figure, has_colour, images, masks, pixels

MAKE = {
    "composite_grid": lambda: composite_grid(images(10), masks(10), title="Training split"),
    "composite_grid_rgba": lambda: composite_grid(np.dstack([images(1)[0], np.full((32, 32), 90, np.uint8)])[None]),
    "composite_grid_large": lambda: composite_grid(images(8, 256), masks(8, 256)),
    "resolution_strip": lambda: resolution_strip({d: images(1, d)[0] for d in (32, 64, 128, 256)}),
    "outline_against_mask": lambda: outline_against_mask(images(1, 64)[0], masks(1, 64)[0] * np.uint8(255)),
    "outline_empty": lambda: outline_against_mask(images(1, 64)[0], np.zeros((64, 64), np.uint8)),
    "predictions": lambda: predictions(images(), masks(), np.where(masks(), 0.9, 0.2), [90.0, 80.5, np.nan, 70.0]),
    "predictions_one": lambda: predictions(images(1), masks(1), masks(1), [100.0]),
    "figure4": lambda: figure4(images(), masks(), {"U-Net": masks(), "coarse": masks(4, 16)}, caption="No more."),
    "figure5": lambda: figure5(images(), masks(), {"U-Net": ~masks(), "coarse": masks(4, 16)}),
    "figure5_none": lambda: figure5(images(), masks(), {}),
}

ALT = {
    "composite_grid": ["Training split", "10 composites of 32 × 32 pixels in 2 rows of 8", "25.0 % on average"],
    "resolution_strip": ["32 × 32, 64 × 64, 128 × 128 and 256 × 256"],
    "outline_against_mask": [
        "4 corners",
        "IoU with the mask is 98.4 %",
        "0 pixels that are not chair",
        "16 of the 1,024",
    ],
    "predictions": ["IoU in per cent: 90.0, 80.5, left out of the metric and 70.0", "0.0 % are missed"],
    "figure4": [
        "U-Net: 25.0 % of the pixels",
        "mean IoU of these 100.0 %",
    ],
    "figure5": [
        "4 images with masks. U-Net: 75.0 % of the pixels called object",
        "mean IoU of these 0.0 %",
    ],
    "figure5_none": ["Ground truth: 25.0 % of the pixels are object."],
}


@cache
def drawn(name: str) -> Figure:
    return MAKE[name]()


@pytest.mark.parametrize("name", MAKE)
def test_every_figure_is_a_picture_with_alternative_text(name: str) -> None:
    check_figure(drawn(name))


@pytest.mark.parametrize("name", ALT)
def test_alternative_text_holds_the_numbers(name: str) -> None:
    alt = drawn(name).alt
    for words in ALT[name]:
        assert words in alt


def test_figures_have_a_caption() -> None:
    assert "<figcaption" in drawn("figure4").data
    assert "No more." in drawn("figure4").data


def test_only_the_same_images_stand_side_by_side() -> None:
    def kept(pictures: np.ndarray) -> dict[str, np.ndarray]:
        return {"images": pictures, "targets": masks(), "predicted": ~masks()}

    same = images()
    shown = side_by_side({"U-Net": kept(same), "other": kept(same[::-1]), "again": kept(same)}, "A note.")
    assert list(shown["predictions"]) == ["U-Net", "again"]
    assert shown["caption"] == "other was scored on other images. A note."
    np.testing.assert_array_equal(shown["targets"], masks())
    assert figure5(**shown).alt
    assert side_by_side({}, "A note.") == {}


def test_every_pixel_of_an_image_is_drawn_as_an_equal_square() -> None:
    """Nearest interpolation at a whole-number scale: the drawn grid divides into blocks of one colour each."""
    pictures = images(8)
    shown = pixels(composite_grid(pictures, columns=8))
    rows, columns = np.nonzero((shown != ImageColor.getrgb(GROUND)).any(axis=2))
    shown = shown[rows.min() + 1 : rows.max(), columns.min() + 1 : columns.max()]  # within the hairline
    side = shown.shape[0]
    assert side % 32 == 0
    blocks = shown[:, :side].reshape(32, side // 32, 32, side // 32, 3)
    np.testing.assert_array_equal(blocks.min(axis=(1, 3)), blocks.max(axis=(1, 3)))
    np.testing.assert_array_equal(blocks[:, 0, :, 0], pictures[0])


def test_notes_wider_than_their_pictures_are_broken_and_do_not_collide() -> None:
    cells, notes = list(images(5)), ["albedo", "light, sampled", "light, averaged", "patterned fabric", "result"]
    fig, _ = mosaic.mosaic([mosaic.Row(cells, notes=notes), mosaic.Row(cells, notes=notes)], 5)
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in fig.texts]
    assert [text.get_text() for text in fig.texts[:3]] == ["albedo", "light,", "sampled"]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    axes = [ax.get_window_extent() for ax in fig.axes]
    assert not any(box.overlaps(ax) for box in boxes for ax in axes)


def test_a_mask_that_is_white_all_over_has_an_edge() -> None:
    figure = figure4(images(1), np.ones((1, 32, 32), bool), {})
    assert has_colour(figure, "#c9c0b0")


def test_what_is_transparent_lies_on_a_light_checkerboard_on_any_page() -> None:
    board = mosaic.as_rgb(np.zeros((1, 32, 32, 4), np.uint8))
    assert board.min() > 200
    assert len(np.unique(board)) == 2
    assert {ImageColor.getrgb(colour)[0] > 200 for colour in re.findall(r"#\w+", CHECKERBOARD)} == {True}


def test_photos_have_a_word_below_each() -> None:
    figure = figure5(images(2), masks(2), {"U-Net": masks(2)}, notes=["worst", "best"])
    assert figure.alt.startswith("2 images (worst and best) with masks")
    assert figure.caption == "Mean IoU of these 2 images: 100.0 %, U-Net."
    assert pixels(figure).shape[0] > pixels(figure5(images(2), masks(2), {"U-Net": masks(2)})).shape[0]


def test_float_images_are_drawn_as_their_bytes() -> None:
    pictures = images(2)
    as_floats = (pictures / 255).astype(np.float32)
    assert composite_grid(as_floats).webp == composite_grid(pictures).webp


def test_errors_of_a_prediction_have_colours_of_their_own() -> None:
    truth = np.zeros((1, 32, 32), bool)
    truth[0, :16] = True
    predicted = np.zeros((1, 32, 32), bool)
    predicted[0, :, :16] = True
    black = np.zeros((1, 32, 32, 3), np.uint8)
    colours = {tuple(colour) for colour in pixels(predictions(black, truth, predicted, [33.3])).reshape(-1, 3)}
    assert {(255, 255, 255), (213, 94, 0), (86, 180, 233), (0, 0, 0)} <= colours
    right = pixels(predictions(black, truth, truth, [100.0])).reshape(-1, 3)
    # The legend alone shows the colours of errors then.
    assert (right == (213, 94, 0)).all(axis=1).sum() < 3000


def test_probability_one_half_is_background() -> None:
    half = np.full((1, 32, 32), 0.5)
    figure = predictions(images(1), masks(1), half, [0.0])
    assert "0.0 % of the pixels are wrongly called chair and 25.0 % are missed" in figure.alt


def test_the_ground_truth_is_the_last_row_of_figure_5_and_the_second_of_figure_4() -> None:
    """Black photos, a white prediction and a mask that is white on its left quarter."""
    black, truth, white = np.zeros((1, 32, 32, 3), np.uint8), masks(1), np.ones((1, 32, 32), bool)
    for draw, order in ((figure4, [0, 0.25, 1]), (figure5, [0, 1, 0.25])):
        shown = pixels(draw(black, truth, {"U-Net": white}))
        side = shown.shape[0] // 3
        lines = [shown[(row + 1) * side - side // 3, :] for row in range(3)]
        inside = (lines[0] == 0).all(axis=-1)
        light = [(line[inside] == 255).all(axis=-1).mean() for line in lines]
        assert light == pytest.approx(order, abs=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: composite_grid(images().astype(float)), r"\[0, 1\]; found float64, shape \[4, 32, 32, 3\], values 0"),
        (lambda: composite_grid(np.full((1, 8, 8, 3), np.nan)), r"\[0, 1\]"),
        (lambda: composite_grid(images().transpose(0, 3, 1, 2)), "channels last"),
        (lambda: composite_grid(images().astype(np.int64)), "found int64"),
        (lambda: composite_grid(images(), masks() * 255), "values 0 to 255. Threshold"),
        (lambda: composite_grid(images(3), masks(4)), "images has 3, masks has 4"),
        (lambda: predictions(images(), masks(), np.full((4, 32, 32), 1.5), [1] * 4), "lie in"),
        (lambda: predictions(images(), masks(), masks(), [1]), "ious has 1"),
        (lambda: figure4(images(), masks(), {"U-Net": masks(3)}), "U-Net has 3"),
        (lambda: figure5(images(), masks(), {"U-Net": masks(3)}), "U-Net has 3"),
        (lambda: figure5(images(), masks(3), {}), "Ground truth has 3"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
