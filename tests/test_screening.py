"""Each rule refuses what it is there for, says its figure, and lets an honest cut-out pass."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from chairlib.collection import screening
from chairlib.collection.screening import object_box, screen_background, screen_segment


def cut_out(size=64, box=(16, 8, 48, 60), opacity=255, colour=(120, 60, 30)):
    image = Image.new("RGBA", (size, size), (255, 255, 255, 0))
    ImageDraw.Draw(image).polygon(
        [(box[0], box[1]), (box[2], box[1]), ((box[0] + box[2]) // 2, box[3])], (*colour, opacity)
    )
    return image


def panel(margin=(255, 255, 255), chair=True, edge=0):
    image = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.rectangle((10, 10, 69, 69), (*margin, 255))
    if chair:
        pen.ellipse((20 - edge, 20, 55, 65), (90, 40, 10, 255))
    return image


def test_an_honest_cut_out_passes():
    assert screen_segment(cut_out()) is None
    assert screen_segment(cut_out(opacity=180)) is None


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_images_without_alpha_are_refused(mode):
    assert screen_segment(Image.new(mode, (64, 64), "white").convert("RGBA")).startswith("no real alpha: 0.0% of its")


def test_an_alpha_channel_that_says_nothing_is_refused():
    image = Image.new("RGBA", (100, 100), (1, 2, 3, 255))
    image.paste((0, 0, 0, 0), (0, 0, 9, 10))
    assert screen_segment(image).startswith("no real alpha: 0.9%")
    image.paste((0, 0, 0, 0), (0, 0, 11, 10))
    assert screen_segment(image) is None
    faint = Image.new("RGBA", (64, 64), (1, 2, 3, 100))
    assert screen_segment(faint).startswith("no real alpha: ")


def test_nothing_opaque_is_refused():
    assert screen_segment(Image.new("RGBA", (64, 64))).startswith("nothing opaque: its highest opacity is 0.00")
    assert "0.40" in screen_segment(cut_out(opacity=102))
    assert screen_segment(cut_out(opacity=103)) is None


def test_an_object_of_a_few_pixels_is_refused():
    assert screen_segment(cut_out(box=(20, 20, 34, 60))).startswith("object too small: its object is 15 x ")
    assert screen_segment(cut_out(box=(20, 20, 35, 60))) is None
    assert screen_segment(cut_out(size=1000, box=(20, 20, 30, 30))).startswith("object too small: ")


def test_an_object_painted_on_a_panel_is_refused():
    assert screen_segment(panel()).startswith("painted panel: 100% of the object's box is opaque")
    assert screen_segment(panel(margin=(200, 190, 180))).startswith("painted panel: ")
    assert screen_segment(panel(edge=9)).startswith("painted panel: ")


def test_a_plain_block_is_no_painted_panel():
    assert screen_segment(panel(chair=False)) is None
    noisy = np.asarray(panel()).copy()
    noisy[10:70, 10:70, :3] = np.random.default_rng(0).integers(0, 256, (60, 60, 3))
    assert screen_segment(Image.fromarray(noisy)) is None


def test_backgrounds_of_a_few_pixels_are_refused():
    assert screen_background(Image.new("RGB", (300, 15))).startswith("image too small: it is 300 x 15")
    assert screen_background(Image.new("RGB", (16, 16))) is None


def test_the_box_of_the_object():
    opacity = np.zeros((20, 30), np.uint8)
    assert object_box(opacity) == (0, 0, 0, 0)
    opacity[3:9, 5:25] = 103
    opacity[0, 0] = 102
    assert object_box(opacity) == (5, 3, 25, 9)


def test_the_first_rule_that_refuses_counts_and_lists_can_be_extended():
    def always_refused(pixels):
        return f"{pixels.shape[1]} x {pixels.shape[0]}"

    rules = (screening.no_real_alpha, always_refused)
    assert screen_segment(cut_out(), rules) == "always refused: 64 x 64"
    assert screen_segment(Image.new("RGBA", (64, 64), "red"), rules).startswith("no real alpha")
    assert screen_background(Image.new("RGB", (9, 9)), ()) is None
