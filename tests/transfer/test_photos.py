"""The photos of a run: shares of them, their title, and runs that notice when a photo or a mask changes."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chairboard.transfer_tables import open_report
from chairlib import fine_tune
from chairlib.compositing.image_sets import StoredSet
from chairlib.core import paths
from chairlib.core.errors import CollectionError
from chairlib.core.once import looked_at_once
from chairlib.transfer.photos import photos_root, preview, run_title, share_of
from chairlib.transfer.run import open_run, train
from drawing import draw_photos

CPU = torch.device("cpu")
TINY = {"width": 2, "resolution": 32, "images": 64, "evaluations": 2, "device": "cpu"}


def test_the_title_of_a_run_names_photos_protocol_and_split(photos, scratch):
    run = open_run(data=str(photos), **TINY)
    assert run_title(run) == run_title(scratch) == "drawn car, protocol authors, val images"
    assert run_title(run, "train") == "drawn car, protocol authors, train images"
    folds = open_run(data=str(photos), **TINY, protocol="folds", fold=2)
    assert run_title(folds) == "drawn car, protocol folds (fold 2 of 5), test images"


@given(st.integers(1, 99), st.integers(1, 99), st.integers(0, 9))
def test_shares_of_a_seed_are_nested(one, other, seed):
    ids = [f"{number:04d}" for number in range(30)]
    photos = StoredSet(torch.arange(30, dtype=torch.uint8)[:, None, None, None], torch.zeros(30, 1, 1, 1), CPU, "drawn")
    small, large = (set(share_of(photos, ids, share, seed).images.flatten().tolist()) for share in sorted((one, other)))
    assert small <= large
    assert len(small) == math.ceil(30 * min(one, other) / 100)


def test_each_seed_has_a_share_of_its_own_and_its_masks():
    ids = [f"{number:04d}" for number in range(30)]
    images = torch.arange(30, dtype=torch.uint8)[:, None, None, None]
    photos = StoredSet(images, images + 100, CPU, "drawn")
    shares = [share_of(photos, ids, 20, seed) for seed in range(5)]
    assert len({tuple(share.images.flatten().tolist()) for share in shares}) == 5
    assert all(torch.equal(share.masks, share.images + 100) for share in shares)
    assert torch.equal(share_of(photos, ids, 20, 3).images, shares[3].images)
    assert (
        len({share.data_hash for share in shares}) == 5
    )  # a checkpoint of another seed's photos is never gone on with
    assert share_of(photos, ids, 100, 3) is photos


def test_photos_that_stay_as_they_are_are_read_once(photos, monkeypatch):
    before = open_run(data=str(photos), **TINY)
    monkeypatch.setattr(Path, "read_bytes", lambda file: pytest.fail(f"{file} was read again"))
    assert open_run(data=str(photos), **TINY) == before


def test_the_preview_shows_training_photos_with_their_masks(photos):
    images, masks = preview(open_run(data=str(photos), **TINY), 3)
    assert images.shape == (3, 32, 32, 3)
    assert masks.shape == (3, 32, 32)
    assert images[masks].mean() > images[~masks].mean() + 40


def test_the_stand_in_is_where_the_default_looks():
    assert photos_root("stand-in") == paths.stand_in


def test_other_photos_are_another_run(photos, tmp_path):
    name = open_run(data=str(photos), **TINY).name
    draw_photos(tmp_path / "drawn", ("Car",), seed=1)
    assert open_run(data=str(tmp_path / "drawn"), **TINY).name != name
    assert open_run(data=str(photos), **TINY, protocol="folds", fold=1).name != name
    assert open_run(data=str(photos), **{**TINY, "device": "auto"}).name == name


def invert(mask):
    """Correct a mask on disk, as a person does between two cells of a notebook."""
    Image.eval(Image.open(mask).convert("L"), lambda value: 255 - value).save(mask)


def test_a_corrected_mask_is_another_run(tmp_path, own_runs):
    root = draw_photos(tmp_path / "drawn", ("Car",))
    before = fine_tune(data=str(root), progress=False, **TINY)
    opened = open_run(data=str(root), **{**TINY, "seed": 1})
    invert(root / "Data/Car/GroundTruth/0018.png")
    after = fine_tune(data=str(root), progress=False, **TINY)
    assert after.name != before.name
    assert after.metrics["test"]["precision"] != before.metrics["test"]["precision"]
    with pytest.raises(CollectionError, match=rf"have changed \(.*since run {opened.name} was opened.*open it again"):
        train(opened, progress=False)
    assert not opened.folder.exists()
    found = open_report(str(root))
    assert found.records == [after]
    assert found.left_out == [f"{before.name}: it was made from other images (drawn car)"]


def test_a_folder_that_is_not_the_release_is_told(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(CollectionError, match=r"is not the Object Discovery release.*holiday\.jpg"):
        open_run(data=str(tmp_path), **TINY)


def test_a_plan_of_many_runs_looks_at_their_photos_once(tmp_path):
    root = draw_photos(tmp_path / "drawn")
    before = open_run(data=str(root), **TINY)
    with looked_at_once():
        assert open_run(data=str(root), **TINY) == before
        other = open_run(data=str(root), **TINY, category="horse")
        assert other.data["hash"] != before.data["hash"]
        mask = sorted((root / "Data" / "Car" / "GroundTruth").iterdir())[0]
        mask.unlink()
        assert open_run(data=str(root), **TINY, seed=1).data == before.data
    assert open_run(data=str(root), **TINY).data != before.data
