"""The authors' layout on disk: what is exported is read back as the same data."""

import numpy as np
import pytest
import torch
from PIL import Image

from chairlib import ChairSegments, CompositeLoader, ReleasedChairSegments
from chairlib.compositing.released import export
from chairlib.core.errors import ChairlibError, CollectionError


@pytest.fixture(scope="module")
def released(collection, tmp_path_factory):
    out = tmp_path_factory.mktemp("released") / "Chair032"
    assert export(collection, out, 32) == sum(len(ChairSegments(collection, s, 32)) for s in ("train", "val", "test"))
    return out


def test_an_export_reads_back_as_the_same_data(collection, released):
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


def test_soft_masks_on_disk_give_the_same_masks(collection, tmp_path, released):
    export(collection, tmp_path / "soft", 32, soft=True)
    raw = np.asarray(Image.open(tmp_path / "soft/val/mask/0.png"))
    assert len(np.unique(raw)) > 2
    assert np.array_equal(
        ReleasedChairSegments(tmp_path / "soft", "val")[0][1], ReleasedChairSegments(released, "val")[0][1]
    )


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


def test_export_never_overwrites(collection, released):
    before = sorted(released.rglob("*"))
    with pytest.raises(ChairlibError, match="exists"):
        export(collection, released, 32)
    assert sorted(released.rglob("*")) == before


def test_a_failed_export_leaves_nothing(collection, tmp_path, monkeypatch):
    monkeypatch.setattr(Image.Image, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ChairlibError, match="No space left"):
        export(collection, tmp_path / "out", 32)
    assert list(tmp_path.iterdir()) == []
