"""The authors' layout on disk: what is written is read back as the same data."""

import numpy as np
import pytest
import torch
from PIL import Image

from chairlib import ChairSegments, CompositeLoader, ReleasedChairSegments
from chairlib.core.errors import ChairlibError, CollectionError
from drawing import write_released


@pytest.fixture(scope="module")
def released(collection, tmp_path_factory):
    out = tmp_path_factory.mktemp("released") / "Chair032"
    write_released(collection, out, 32)
    return out


def test_what_was_written_reads_back_as_the_same_data(collection, released):
    for split in ("train", "val", "test"):
        ours, theirs = ChairSegments(collection, split, 32), ReleasedChairSegments(released, split)
        assert len(ours) == len(theirs)
        for index in (0, len(ours) // 2, len(ours) - 1):
            for a, b in zip(ours[index], theirs[index], strict=True):
                assert a.mode == b.mode
                assert np.array_equal(a, b)


def test_the_loader_takes_the_authors_layout(collection, released):
    ours = CompositeLoader(collection, "val", 32, 7, "cpu")
    theirs = CompositeLoader(released, "val", 32, 7, "cpu")
    for (a, b), (c, d) in zip(ours, theirs, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    assert theirs.groups is None


def test_files_sort_by_number_and_other_resolutions_keep_masks_binary(released):
    dataset = ReleasedChairSegments(released, "train")
    assert dataset.numbers == list(range(len(dataset)))
    masks = next(iter(CompositeLoader(released, "train", 48, 9, "cpu")))[1]
    assert set(masks.unique().tolist()) == {0.0, 1.0}


def test_what_is_wrong_with_an_authors_folder_is_said(released, tmp_path):
    with pytest.raises(CollectionError, match=r"train/.*val/"):
        ReleasedChairSegments(released.parent, "train")
    for split in ("train",):
        for kind in ("image", "mask"):
            (tmp_path / split / kind).mkdir(parents=True)
    with pytest.raises(CollectionError, match="no images"):
        ReleasedChairSegments(tmp_path, "train")
    Image.new("RGB", (8, 8)).save(tmp_path / "train/image/3.png")
    with pytest.raises(CollectionError, match="number 3"):
        ReleasedChairSegments(tmp_path, "train")
    Image.new("L", (9, 8)).save(tmp_path / "train/mask/3.png")
    with pytest.raises(ChairlibError, match="9 x 8"):
        ReleasedChairSegments(tmp_path, "train")[0]


# -- folders that others made -----------------------------------------------------------------------------------------


def write(root, photos, masks, suffix="png", mask_suffix="png"):
    for split in ("train", "val", "test"):
        for kind, images, end in (("image", photos, suffix), ("mask", masks, mask_suffix)):
            (root / split / kind).mkdir(parents=True, exist_ok=True)
            for number, image in enumerate(images):
                image.save(root / split / kind / f"{number}.{end}")
    return root


def stripes(*values):
    return Image.fromarray(np.repeat([[0, 0, *values]], 16, axis=0).astype(np.uint8).repeat(4, axis=1))


def test_photos_of_16_bits_are_scaled(tmp_path):
    levels = np.arange(16 * 16).reshape(16, 16).astype(np.uint16) * 257
    root = write(tmp_path, [Image.fromarray(levels)], [Image.new("L", (16, 16), 255)])
    assert np.array_equal(np.asarray(ReleasedChairSegments(root)[0][0])[..., 0], levels // 257)


@pytest.mark.parametrize(
    ("photo", "said"),
    [
        (Image.new("RGBA", (16, 16), (255, 0, 0, 0)), "transparent"),
        (Image.new("F", (16, 16), 0.5), "no known range"),
    ],
)
def test_photos_without_plain_colours_are_refused(tmp_path, photo, said):
    root = write(tmp_path, [photo], [Image.new("L", (16, 16), 255)], suffix="tif")
    with pytest.raises(ChairlibError, match=f"0.tif .*{said}"):
        ReleasedChairSegments(root)[0]


def test_masks_of_class_numbers_with_a_border_are_refused_as_a_folder(tmp_path):
    root = write(tmp_path, [Image.new("RGB", (12, 16))] * 2, [stripes(255), stripes(0)])
    assert np.asarray(ReleasedChairSegments(root)[0][1]).any()
    stripes(9).resize((12, 16)).save(root / "train/mask/1.png")
    with pytest.raises(ChairlibError, match=r"0.png .*the values 0, 255, 1.png .* holds 0, 9; .*number classes"):
        ReleasedChairSegments(root)


def test_masks_without_a_chair_are_the_cause_that_is_named(tmp_path):
    root = write(tmp_path, [Image.new("RGB", (12, 16))] * 2, [stripes(0)] * 2)
    with pytest.raises(CollectionError, match=r"train/mask: none of the 2 masks marks a pixel"):
        CompositeLoader(root, "train", 16)


@pytest.mark.parametrize("suffix", ["webp", "jfif", "avif", "jpe", "jp2", "TIFF"])
def test_every_format_is_read_by_its_suffix(tmp_path, suffix):
    root = write(tmp_path, [Image.new("RGB", (64, 64))], [Image.new("L", (64, 64), 255)], suffix)
    for leftover in ("Thumbs.db", "desktop.ini", ".DS_Store", "notes.txt"):
        (root / "train/image" / leftover).write_bytes(b"x")
    (root / "train/image/@eaDir").mkdir()
    assert len(ReleasedChairSegments(root)) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [("chair.png", "not named by a number"), ("7.ppm", "no image of a format that is read"), ("7.npy", "no image")],
)
def test_no_image_is_left_out_without_a_word(tmp_path, name, said):
    root = write(tmp_path, [Image.new("RGB", (16, 16))], [Image.new("L", (16, 16), 255)])
    for kind in ("image", "mask"):
        Image.new("L", (16, 16)).save(root / "train" / kind / name, "PNG")
    with pytest.raises(ChairlibError, match=f"{name} is {said}"):
        ReleasedChairSegments(root)


def test_every_split_marks_the_same_object(tmp_path):
    root = write(tmp_path, [Image.new("RGB", (12, 16))], [stripes(9)])
    assert np.asarray(ReleasedChairSegments(root)[0][1]).any()
    stripes(20).save(root / "test/mask/0.png")
    with pytest.raises(ChairlibError, match=r"holds the values 0, \d+, 0.png .* holds 0, \d+; .*number classes"):
        ReleasedChairSegments(root)
