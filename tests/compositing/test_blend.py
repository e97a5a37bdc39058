"""Compositing against Pillow's own, and the rules of section 3."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chairlib.compositing.blend import (
    blend,
    blend_arrays,
    mask_from_opacity,
    padding,
    resize_background,
    resize_segment,
)
from chairlib.core.errors import ParameterError


def random_rgba(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)


@pytest.mark.parametrize(
    ("resolution", "pixels"), [(32, 3), (64, 6), (128, 13), (256, 26), (16, 2), (100, 10), (512, 51)]
)
def test_padding_is_the_papers_and_a_tenth_elsewhere(resolution, pixels):
    assert padding(resolution) == pixels


@pytest.mark.parametrize("resolution", [15, 0, -64, 4097, 10**8, 64.0, "64", True, None])
def test_resolutions_that_make_no_sense_are_refused_by_value(resolution):
    with pytest.raises(ParameterError, match=repr(resolution).replace("(", r"\(")):
        padding(resolution)


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 12))
def test_blend_equals_pillow_within_one_level(seed, height, width):
    segment, other = random_rgba(seed, height, width), random_rgba(seed + 1, height, width)
    ours = blend_arrays(segment, other[..., :3])
    opaque = Image.fromarray(other[..., :3]).convert("RGBA")
    theirs = np.asarray(Image.alpha_composite(opaque, Image.fromarray(segment)).convert("RGB"))
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_blend_is_the_exactly_rounded_formula_for_every_level():
    opacity, front = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    segments = torch.stack([front, front, front, opacity]).byte()
    for back in (0, 1, 127, 128, 254, 255):
        blended = blend(segments, torch.full((3, 256, 256), back, dtype=torch.uint8))
        exact = (2 * (opacity * front + (255 - opacity) * back) + 255) // 510
        assert torch.equal(blended[0].long(), exact)


def test_mask_is_opacity_above_two_fifths():
    levels = torch.tensor([0, 101, 102, 103, 255], dtype=torch.uint8)
    assert mask_from_opacity(levels).tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("resolution", [16, 32, 50, 64, 128])
@pytest.mark.parametrize(("fit", "crop"), [("stretch", False), ("keep", False), ("stretch", True), ("keep", True)])
def test_segments_keep_their_padding(resolution, fit, crop):
    opaque = Image.new("RGBA", (30, 60), (10, 200, 30, 255))
    canvas = resize_segment(opaque, resolution, fit, crop)
    side = resolution - padding(resolution)
    rows, columns = canvas[..., 3].any(1).nonzero()[0], canvas[..., 3].any(0).nonzero()[0]
    assert canvas.shape == (resolution, resolution, 4)
    assert canvas.dtype == np.uint8
    assert (rows[0], len(rows)) == (padding(resolution) // 2, side)
    if fit == "stretch":
        assert (columns[0], len(columns)) == (padding(resolution) // 2, side)
    else:
        assert len(columns) == round(side / 2)
        assert abs((columns[0] + columns[-1]) / 2 - (rows[0] + rows[-1]) / 2) <= 0.5


def test_crop_cuts_to_what_can_be_seen():
    canvas = Image.new("RGBA", (100, 100), (0, 0, 0, 7))  # opacity 0.027: not part of the segment
    canvas.paste((255, 0, 0, 255), (40, 20, 60, 80))
    cropped = resize_segment(canvas, 64, crop=True)
    assert (cropped[3:61, 3:61, 3] == 255).all()
    assert resize_segment(canvas, 64)[..., 3].mean() < cropped[..., 3].mean() / 3


def test_resizing_brings_in_no_invisible_colour():
    """A white chair on transparent black must have no dark fringe over a white wall."""
    segment = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    segment.paste((255, 255, 255, 255), (61, 37, 143, 171))
    white = np.full((64, 64, 3), 255, np.uint8)
    assert blend_arrays(resize_segment(segment, 64), white).min() >= 254


def test_backgrounds_are_squashed_and_antialiased():
    stripes = np.zeros((64, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resize_background(Image.fromarray(stripes), 32)
    assert small.shape == (32, 32, 3)
    assert np.abs(small.astype(int) - 127).max() < 20


def test_an_unknown_fit_is_refused():
    with pytest.raises(ParameterError, match="squeeze"):
        resize_segment(Image.new("RGBA", (9, 9)), 32, "squeeze")
