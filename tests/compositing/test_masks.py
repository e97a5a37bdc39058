"""Masks in every encoding met in the wild: read as what was meant, or refused with what was found."""

import numpy as np
import pytest
from PIL import Image

from chairlib.compositing.masks import read_levels, read_mask
from chairlib.core.errors import ImageError

SHAPE = np.zeros((9, 12), bool)
SHAPE[2:7, 3:9] = True


def grey(one: int, dtype=np.uint8) -> Image.Image:
    return Image.fromarray(SHAPE.astype(dtype) * dtype(one))


def palette(colours: list[int], indices: np.ndarray) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette(colours)
    return image


ENCODINGS = {
    "boolean": lambda: Image.fromarray(SHAPE),
    "0 and 255": lambda: grey(255),
    "0 and 1": lambda: grey(1),
    "16 bits": lambda: grey(65535, np.uint16),
    "16 bits, 0 and 1": lambda: grey(1, np.uint16),
    "palette": lambda: palette([0, 0, 0, 128, 0, 0], SHAPE),
    "palette, white first": lambda: palette([255, 255, 255, 0, 0, 0], ~SHAPE),
    "RGB": lambda: grey(255).convert("RGB"),
    "RGBA": lambda: grey(255).convert("RGBA"),
    "RGBA, clear background": lambda: Image.merge("RGBA", [grey(255)] * 4),
    "grey and opacity": lambda: grey(255).convert("LA"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_masks_are_read_in_any_encoding(tmp_path, encoding):
    file = tmp_path / "mask.png"
    ENCODINGS[encoding]().save(file)
    mask = read_mask(file, (12, 9))
    assert mask.mode == "L"
    assert np.array_equal(np.asarray(mask), SHAPE * 255)


@pytest.mark.parametrize(("level", "read"), [(0, 0), (1, 255), (255, 255)])
def test_masks_of_one_value(tmp_path, level, read):
    Image.new("L", (4, 4), level).save(tmp_path / "mask.png")
    assert set(np.asarray(read_mask(tmp_path / "mask.png")).flat) == {read}


def smooth() -> Image.Image:
    return grey(255).resize((29, 18), Image.Resampling.BICUBIC)


def in_opacity() -> Image.Image:
    """A mask in the alpha channel of a black image."""
    black = Image.new("L", (12, 9))
    return Image.merge("RGBA", [black, black, black, grey(255)])


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (smooth, r"mode L, uint8, 29 x 18\) holds the values 0, \d+, .* in all\).*threshold"),
        (lambda: Image.fromarray(np.where(SHAPE, 255, 100).astype(np.uint8)), "values 100, 255;"),
        (lambda: Image.new("L", (4, 4), 77), "values 77;"),
        (lambda: Image.fromarray(SHAPE.astype(np.uint8) + np.roll(SHAPE, 2)), "values 0, 1, 2"),
        (lambda: Image.new("RGB", (4, 4), (128, 0, 0)), "values #800000"),
        (
            lambda: Image.fromarray(SHAPE * np.uint16(65235) + np.roll(SHAPE, 2) * np.uint16(300)),
            "values 0, 300, 65235",
        ),
        (in_opacity, "opacity"),
        (lambda: palette([0, 0, 0, 0, 0, 0], SHAPE), "palette index"),
    ],
)
def test_masks_of_other_values_are_refused(tmp_path, image, said):
    file = tmp_path / "mask.png"
    image().save(file)
    with pytest.raises(ImageError, match=f"{file.name} .*{said}") as caught:
        read_mask(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_hard_masks_have_the_highest_level_in_any_encoding(tmp_path, encoding):
    file = tmp_path / "mask.png"
    ENCODINGS[encoding]().save(file)
    assert np.array_equal(np.asarray(read_levels(file, (12, 9))), SHAPE * 255)


@pytest.mark.parametrize("encoding", ["grey", "RGB", "RGBA", "16 bits", "palette"])
def test_soft_masks_keep_their_levels(tmp_path, encoding):
    levels = np.arange(108, dtype=np.uint8).reshape(9, 12) * 2
    soft = Image.fromarray(levels)
    greys = np.repeat(np.arange(256), 3).tolist()
    images = {
        "grey": soft,
        "RGB": soft.convert("RGB"),
        "RGBA": soft.convert("RGBA"),
        "16 bits": Image.fromarray(levels.astype(np.uint16) * np.uint16(257)),
        "palette": palette(greys, levels),
    }
    images[encoding].save(tmp_path / "mask.png")
    assert np.array_equal(np.asarray(read_levels(tmp_path / "mask.png")), levels)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (
            lambda: palette([0, 0, 0, 128, 0, 0, 0, 128, 0], SHAPE.astype(np.uint8) + np.roll(SHAPE, 2)),
            "#000000, #008000, #800000",
        ),
        (
            lambda: Image.fromarray(np.where(SHAPE, np.where(np.roll(SHAPE, 2), 1, 255), 0).astype(np.uint8)),
            "mask == 1",
        ),
        (in_opacity, "opacity"),
    ],
)
def test_levels_that_could_mean_two_things_are_refused(tmp_path, image, said):
    image().save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match=said):
        read_levels(tmp_path / "mask.png")
