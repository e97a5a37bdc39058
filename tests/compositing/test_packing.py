"""Packing: what is cached is what would be made again, and a damaged cache mends itself."""

import numpy as np
import pytest
import torch
from PIL import Image

from chairlib.collection import Collection
from chairlib.compositing import packing
from chairlib.compositing.blend import resize_background, resize_segment
from chairlib.compositing.packing import load_split, sample_arrays
from chairlib.core import paths
from chairlib.core.errors import CollectionError, ParameterError
from drawing import make_collection


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    return tmp_path / "cache"


def test_packed_images_are_the_resized_files(collection):
    packed = load_split(collection, "val", 32)
    segment, background = (
        Image.open(collection.path(kind, collection.rows(kind, "val")["id"][0])) for kind in ("segment", "background")
    )
    assert np.array_equal(packed.segments[0].permute(1, 2, 0), resize_segment(segment, 32))
    assert np.array_equal(packed.backgrounds[0].permute(1, 2, 0), resize_background(background, 32))
    assert packed.segments.dtype == packed.backgrounds.dtype == torch.uint8


def test_the_cache_lies_outside_the_collection_and_is_used(collection, own_cache, monkeypatch):
    before = sorted(collection.root.rglob("*"))
    first = load_split(collection, "train", 32)
    assert sorted(collection.root.rglob("*")) == before
    monkeypatch.setattr(Collection, "open", lambda *_: pytest.fail("packed twice"))
    assert torch.equal(load_split(collection, "train", 32).segments, first.segments)


def test_other_code_packs_anew(collection, own_cache, monkeypatch):
    load_split(collection, "train", 32)
    monkeypatch.setattr(packing, "packing_code", lambda: "other code")
    load_split(collection, "train", 32)
    assert len(list(own_cache.rglob("*.safetensors"))) == 2


def test_a_cut_cache_file_is_made_again(collection, own_cache):
    whole = load_split(collection, "train", 32).segments.clone()  # what is mapped ends with its file
    (file,) = (own_cache / "packed").iterdir()
    cut = file.read_bytes()[:1000]
    file.unlink()
    file.write_bytes(cut)
    assert torch.equal(load_split(collection, "train", 32).segments, whole)


def test_an_interrupted_packing_leaves_nothing_to_read(collection, own_cache, monkeypatch):
    opened, after = Collection.open, iter([None] * 5)

    def interrupted(*image):
        if next(after, "now") == "now":
            raise KeyboardInterrupt
        return opened(*image)

    monkeypatch.setattr(Collection, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_split(collection, "train", 32)
    monkeypatch.setattr(Collection, "open", opened)
    assert not list((own_cache / "packed").iterdir())
    assert len(load_split(collection, "train", 32).segments) == 10


def test_few_images_are_in_memory_while_many_are_packed(monkeypatch):
    monkeypatch.setattr(packing, "_AHEAD", 3)
    read = []

    def image(number):
        read.append(number)
        return np.full((2, 2, 1), number, np.uint8)

    for number, array in enumerate(packing.read_in_order(image, range(20), "reading")):
        assert (array == number).all()
        assert array.shape == (1, 2, 2)
        assert len(read) <= number + 1 + 3
    assert sorted(read) == list(range(20))


def test_mapped_images_are_channels_first_in_order():
    found = packing.map_images(lambda number: np.full((2, 3, 4), number, np.uint8), range(70), "reading")
    assert found.shape == (70, 4, 2, 3)
    assert found[:, 0, 0, 0].tolist() == list(range(70))


@pytest.mark.parametrize("options", [{"resolution": 48}, {"fit": "keep"}, {"crop": True}])
def test_every_option_has_a_cache_file_of_its_own(collection, own_cache, options):
    plain = load_split(collection, "train", 32)
    other = load_split(collection, "train", **{"resolution": 32, **options})
    assert plain.segments.shape != other.segments.shape or not torch.equal(plain.segments, other.segments)


def test_nothing_is_kept_of_a_collection_with_a_damaged_image(tmp_path, own_cache):
    collection = make_collection(tmp_path / "c")
    broken = collection.path("segment", collection.rows("segment", "train")["id"].iloc[0])
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(CollectionError, match=broken.name):
        load_split(collection, "train", 32)
    assert not list(own_cache.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("split", "resolution", "fit"), [("dev", 32, "stretch"), ("train", 8, "stretch"), ("train", 32, "fill")]
)
def test_bad_options_are_refused(collection, split, resolution, fit):
    with pytest.raises(ParameterError):
        load_split(collection, split, resolution, fit)


def test_samples_are_spread_and_channels_last(collection):
    packed = load_split(collection, "train", 32)
    assert sample_arrays(packed.segments, 3).shape == (3, 32, 32, 4)
    assert len(sample_arrays(packed.segments, 999)) == len(packed.segments)
