"""Masks in every encoding met in the wild: read as what was meant, or refused with what was found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chairlib.compositing.masks import MaskReader
from chairlib.core.errors import ImageError

SHAPE = np.zeros((9, 12), bool)
SHAPE[2:7, 3:9] = True


def grey(one: int, dtype=np.uint8) -> Image.Image:
    return Image.fromarray(SHAPE.astype(dtype) * dtype(one))


def palette(colours: list[int], indices: np.ndarray) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette(colours)
    return image


def read(file, soft=False, beside=()):
    """A mask, read as one of a folder that also holds the images ``beside`` it."""
    photo = file.with_name("photo.jpg")
    Image.new("RGB", Image.open(file).size).save(photo)
    others = [file.with_name(f"beside{number}.png") for number in range(len(beside))]
    for other, image in zip(others, beside, strict=True):
        image.save(other)
    return MaskReader([file, *others], soft).read(photo, file)[1]


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
    mask = read(file)
    assert mask.mode == "L"
    assert np.array_equal(np.asarray(mask), SHAPE * 255)


@pytest.mark.parametrize(("level", "wanted"), [(0, 0), (1, 255), (255, 255)])
def test_masks_of_one_value(tmp_path, level, wanted):
    Image.new("L", (4, 4), level).save(tmp_path / "mask.png")
    assert set(np.asarray(read(tmp_path / "mask.png")).flat) == {wanted}


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
        read(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_hard_masks_have_the_highest_level_in_any_encoding(tmp_path, encoding):
    file = tmp_path / "mask.png"
    ENCODINGS[encoding]().save(file)
    assert np.array_equal(np.asarray(read(file, soft=True)), SHAPE * 255)


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
    assert np.array_equal(np.asarray(read(tmp_path / "mask.png", soft=True)), levels)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (
            lambda: palette([0, 0, 0, 128, 0, 0, 0, 128, 0], SHAPE.astype(np.uint8) + np.roll(SHAPE, 2)),
            "#000000, #008000, #800000",
        ),
        (
            lambda: Image.fromarray(np.where(SHAPE, np.where(np.roll(SHAPE, 2), 1, 255), 0).astype(np.uint8)),
            "PASCAL VOC.*mask == 1",
        ),
        (in_opacity, "opacity"),
    ],
)
def test_levels_that_could_mean_two_things_are_refused(tmp_path, image, said):
    image().save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match=said):
        read(tmp_path / "mask.png", soft=True)


def labels(*values, dtype=np.uint8) -> Image.Image:
    """A mask of stripes: background, then one stripe of each value."""
    return Image.fromarray(np.repeat([[0, *values]], 9, axis=0).astype(dtype).repeat(4, axis=1))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    "image", [labels(9), labels(20), labels(300, dtype=np.uint16), labels(0.5, dtype=np.float32), labels(254)]
)
def test_one_class_number_is_the_object(tmp_path, image, soft):
    image.save(tmp_path / "mask.tif")
    assert np.array_equal(np.asarray(read(tmp_path / "mask.tif", soft)), np.asarray(labels(255)))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("image", "said"),
    [
        (labels(9, 255), "values 0, 9, 255; .*PASCAL VOC.*`mask == 9`"),
        (labels(1, 2), "values 0, 1, 2; .*number classes"),
        (labels(*range(1, 21), 255), "22 in all.*number classes"),
        (labels(*range(23, 256, 23)), "number classes"),
        (labels(128, 255), "PASCAL VOC.*`mask == 128`; if it is the object, save `mask == 255`"),
        (labels(7, 300, dtype=np.uint16), "values 0, 7, 300"),
        (labels(*range(12, 252, 12)), "number classes"),
    ],
)
def test_class_numbers_and_undecided_borders_are_refused(tmp_path, image, said, soft):
    image.save(tmp_path / "mask.tif")
    with pytest.raises(ImageError, match=said) as caught:
        read(tmp_path / "mask.tif", soft)
    assert "127" not in str(caught.value)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("image", "beside"),
    [
        (labels(255), labels(9, 255)),  # only the undecided border reaches into this image
        (labels(255), labels(9)),
        (labels(1), labels(255)),
        (labels(9), labels(20)),
        (labels(255, dtype=np.uint16), labels(255)),
    ],
)
def test_what_a_value_means_is_decided_over_the_whole_folder(tmp_path, image, beside, soft):
    image.save(tmp_path / "mask.png")
    read(tmp_path / "mask.png", soft)
    with pytest.raises(ImageError, match=r"(mask|beside0)\.png .*the masks of a folder have two"):
        read(tmp_path / "mask.png", soft, [beside])


@pytest.mark.parametrize("beside", ["boolean", "16 bits", "RGB", "grey and opacity"])
def test_masks_of_one_folder_may_differ_in_depth(tmp_path, beside):
    grey(255).save(tmp_path / "mask.png")
    assert np.array_equal(np.asarray(read(tmp_path / "mask.png", beside=[ENCODINGS[beside]()])), SHAPE * 255)


def test_an_empty_mask_beside_others_is_empty(tmp_path):
    Image.new("L", (12, 9)).save(tmp_path / "mask.png")
    assert np.asarray(read(tmp_path / "mask.png", beside=[grey(255)])).max() == 0


@given(st.sets(st.integers(1, 255), min_size=1, max_size=8), st.integers(0, 4), st.booleans())
def test_the_object_or_an_error_never_a_part_of_it(tmp_path_factory, values, empty, soft):
    """Whatever few values the masks of a folder have: with one, all it marks is the object; with more, an error."""
    folder = tmp_path_factory.mktemp("folder")
    labels(*sorted(values)).save(folder / "mask.png")
    beside = [Image.new("L", (4, 4))] * empty
    if len(values) == 1:
        assert (np.asarray(read(folder / "mask.png", soft, beside)) == np.asarray(labels(255))).all()
    else:
        with pytest.raises(ImageError, match="holds the values"):
            read(folder / "mask.png", soft, beside)


def test_a_mask_of_one_faint_value_among_opacities_is_refused(tmp_path):
    """As an opacity, a number of a class or an instance would be an empty mask."""
    labels(*range(1, 256)).save(tmp_path / "mask.png")
    read(tmp_path / "mask.png", soft=True, beside=[labels(0), labels(200), labels(255)])
    for number in (1, 7, 102):
        with pytest.raises(
            ImageError, match=rf"beside0.png .* holds the values 0, {number}, .*as which it marks nothing"
        ):
            read(tmp_path / "mask.png", soft=True, beside=[labels(number)])


def test_a_value_that_no_mask_may_have_is_named_with_its_file(tmp_path):
    labels(-1, dtype=np.float32).save(tmp_path / "mask.tif")
    with pytest.raises(ImageError, match=r"mask.tif .* holds values from -1.0 to 0.0"):
        read(tmp_path / "mask.tif")


def test_a_mask_that_was_drawn_anew_is_looked_at_again(tmp_path):
    labels(9).save(tmp_path / "mask.png")
    read(tmp_path / "mask.png")
    labels(9, 255).save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match="mask == 9"):
        read(tmp_path / "mask.png")
