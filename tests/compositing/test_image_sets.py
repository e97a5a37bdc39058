"""Sets of images on a device: pairs, hashes, and splits that share nothing."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chairlib import ChairSegments, CompositeLoader
from chairlib.compositing import image_sets
from chairlib.compositing.blend import blend, mask_from_opacity
from chairlib.compositing.image_sets import CompositeSet, StoredSet, pair_table, to_arrays
from drawing import make_collection

OPTIONS = {"soft": True, "fit": "keep", "crop": True, "backgrounds_per_segment": 2, "pair_seed": 1}


@given(st.integers(1, 30), st.integers(1, 150), st.sampled_from(["train", "val", "test"]), st.integers(0, 5))
def test_each_segment_meets_a_hundred_different_backgrounds(n_segments, n_backgrounds, split, seed):
    pairs = pair_table(n_segments, n_backgrounds, split, seed=seed)
    count = min(100, n_backgrounds)
    assert pairs.shape == (n_segments * count, 2)
    assert pairs[:, 1].max() < n_backgrounds
    for segment, backgrounds in enumerate(pairs[:, 1].reshape(n_segments, count)):
        assert (pairs[segment * count : (segment + 1) * count, 0] == segment).all()
        assert len(set(backgrounds.tolist())) == count


def test_pairs_depend_on_split_and_seed_only():
    same = pair_table(5, 50, "val", seed=1)
    assert torch.equal(same, pair_table(5, 50, "val", seed=1))
    assert not torch.equal(same, pair_table(5, 50, "test", seed=1))
    assert not torch.equal(same, pair_table(5, 50, "val", seed=2))


def test_the_papers_counts():
    assert len(pair_table(500, 6000, "train")) == 50_000
    assert len(pair_table(200, 2000, "val")) == 20_000


def test_other_images_have_another_hash(collection):
    asked = [
        {},
        {"split": "val"},
        {"resolution": 48},
        *({option: value} for option, value in OPTIONS.items()),
    ]
    hashes = [
        CompositeLoader(collection, **{"split": "train", "resolution": 32, "device": "cpu", **more}).image_set.data_hash
        for more in asked
    ]
    assert len(set(hashes)) == len(asked)
    assert CompositeLoader(collection, "train", 32, device="cpu", seed=9).image_set.data_hash == hashes[0]


def test_soft_masks_are_the_opacity(collection):
    hard = next(iter(CompositeLoader(collection, "test", 32, 99, "cpu")))[1]
    soft = next(iter(CompositeLoader(collection, "test", 32, 99, "cpu", soft=True)))[1]
    assert len(soft.unique()) > 2
    assert torch.equal((soft > 0.4001).float(), hard)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 100))
def test_no_segment_or_background_is_in_two_splits(seed, tmp_path_factory):
    drawn = make_collection(tmp_path_factory.mktemp("c") / "c", 9, 9, seed)
    for kind in ("segments", "backgrounds"):
        digests = [
            {tensor.numpy().tobytes() for tensor in getattr(ChairSegments(drawn, split, 32).composites, kind)}
            for split in ("train", "val", "test")
        ]
        assert len(set.union(*digests)) == sum(map(len, digests))


def test_arrays_for_figures(collection):
    images, masks = next(iter(CompositeLoader(collection, "test", 32, 5, "cpu")))
    pictures, levels = to_arrays(images, masks)
    assert pictures.shape == (len(images), 32, 32, 3)
    assert set(np.unique(levels)) == {0, 255}


@pytest.mark.parametrize("soft", [False, True])
def test_a_batch_is_the_formula_whatever_is_blended_at_once(collection, monkeypatch, soft):
    composites = CompositeLoader(collection, "train", 32, device="cpu", soft=soft).image_set
    segments, backgrounds = (part[pairs] for part, pairs in zip(
        (composites.segments, composites.backgrounds), composites.pairs.T, strict=True
    ))  # fmt: skip
    levels = segments.long()
    exact = (2 * (levels[:, 3:] * levels[:, :3] + (255 - levels[:, 3:]) * backgrounds) + 255) // 510
    opacity = segments[:, 3:]
    expected = exact.float() / 255, opacity.float() / 255 if soft else mask_from_opacity(opacity).float()
    assert torch.equal(blend(segments, backgrounds), exact.float())
    for pixels in (1, 7 * 32**2, 2**30):
        monkeypatch.setattr(image_sets, "_CPU_PIXELS", pixels)
        found = composites.batch(torch.arange(len(composites)))
        assert all(map(torch.equal, found, expected))
        assert [tensor.dtype for tensor in found] == [torch.float32] * 2
    assert [tensor.shape for tensor in composites.batch(torch.tensor([], dtype=torch.int64))] == [
        (0, 3, 32, 32),
        (0, 1, 32, 32),
    ]


def test_what_does_not_fit_is_streamed_said_and_the_same(collection, monkeypatch, capsys):
    def loader():
        return CompositeLoader(collection, "train", 32, 7, "cpu", flip=True, seed=3)

    resident = loader()
    needed = resident.image_set.segments.nbytes + resident.image_set.backgrounds.nbytes
    assert "streamed" not in repr(resident) + capsys.readouterr().err
    monkeypatch.setattr(image_sets, "free_memory", lambda device: 2 * needed)
    assert not loader().streamed
    monkeypatch.setattr(image_sets, "free_memory", lambda device: 2 * needed - 1)
    streamed = loader()
    assert streamed.streamed
    assert repr(streamed).endswith("device='cpu', streamed)")
    assert "drawn train at 32 px: 0.00 GB of images are streamed, as they" in capsys.readouterr().err
    assert streamed.image_set.data_hash == resident.image_set.data_hash
    for ours, theirs in ((streamed.batches(1), resident.batches(1)), (streamed.in_order(), resident.in_order())):
        for one, other in zip(ours, theirs, strict=True):
            assert all(map(torch.equal, one, other))


def test_streamed_images_stay_with_the_host_and_batches_are_on_the_device(collection, monkeypatch):
    """The device is one without values, which takes any amount: what matters is where tensors lie."""
    meta = torch.device("meta")
    levels = torch.zeros(5, 3, 16, 16, dtype=torch.uint8)
    for share, place in ((0, "cpu"), (1, "meta")):
        monkeypatch.setattr(image_sets, "MEMORY_SHARE", share)
        composites = image_sets.CompositeSet(collection, "train", 32, meta)
        stored = StoredSet(levels, levels[:, :1], meta, "stored")
        assert composites.streamed == stored.streamed == (place == "cpu")
        held = (composites.segments, composites.backgrounds, composites.pairs, stored.images, stored.masks)
        assert {tensor.device.type for tensor in held} == {place}
        for images in (composites, stored):
            batches = [*CompositeLoader(images, batch_size=3, limit=5).in_order()]
            assert [len(batch) for batch, _ in batches] == [3, 2]
            assert {tensor.device.type for batch in batches for tensor in batch} == {"meta"}


def test_stored_images_are_hashed_as_one_piece():
    levels = torch.arange(300, dtype=torch.int64).byte()[:, None, None, None].expand(300, 4, 2, 2).contiguous()
    device = torch.device("cpu")
    views, copies = (levels[:, :3], levels[:, 3:]), (levels[:, :3].contiguous(), levels[:, 3:].contiguous())
    digest = hashlib.sha256(copies[0].numpy().tobytes() + copies[1].numpy().tobytes()).hexdigest()[:16]
    assert StoredSet(*views, device, "drawn").data_hash == StoredSet(*copies, device, "drawn").data_hash == digest


@pytest.mark.parametrize("kind", ["composites", "stored"])
def test_indices_may_be_a_list_and_may_be_none(collection, kind):
    images = CompositeSet(collection, "test", 32, torch.device("cpu"))
    if kind == "stored":
        levels = [(255 * part).byte() for part in images.batch(torch.arange(len(images)))]
        images = StoredSet(*levels, torch.device("cpu"), "stored")
    for listed, indices in (([2, 0], torch.tensor([2, 0])), ([], torch.empty(0, dtype=torch.int64))):
        for one, other in zip(images.batch(listed), images.batch(indices), strict=True):
            assert torch.equal(one, other)
