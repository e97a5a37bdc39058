"""Sets of images on a device: pairs, hashes, and splits that share nothing."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chairlib import ChairSegments, CompositeLoader
from chairlib.compositing.image_sets import pair_table, to_arrays
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
