"""The loader: order, flips, limits, and options that are refused."""

import numpy as np
import pytest
import torch

from chairlib import ChairSegments, CompositeLoader
from chairlib.compositing.loader import foreground_shares
from chairlib.core.errors import ParameterError


def test_loader_shuffles_by_seed_and_epoch(collection):
    def order(loader, epoch):
        return torch.cat([images for images, _ in loader.batches(epoch)])

    loader = CompositeLoader(collection, "train", 32, 8, "cpu", seed=1)
    other = CompositeLoader(collection, "train", 32, 8, "cpu", seed=2)
    plain = CompositeLoader(collection, "train", 32, 8, "cpu", shuffle=False)
    assert torch.equal(order(loader, 0), order(loader, 0))
    assert not torch.equal(order(loader, 0), order(loader, 1))
    assert not torch.equal(order(loader, 0), order(other, 0))
    assert torch.equal(order(plain, 0), order(plain, 1))
    assert torch.equal(order(loader, 0).sum(0), order(plain, 0).sum(0)) or torch.allclose(
        order(loader, 0).sum(0), order(plain, 0).sum(0), rtol=1e-5
    )


def test_iterating_goes_on_to_the_next_epoch(collection):
    loader = CompositeLoader(collection, "train", 32, 999, "cpu")
    (first, _), (second, _) = next(iter(loader)), next(iter(loader))
    assert not torch.equal(first, second)
    assert torch.equal(second, next(loader.batches(1))[0])


def test_batches_can_start_in_the_middle(collection):
    loader = CompositeLoader(collection, "train", 32, 4, "cpu", flip=True)
    whole = list(loader.batches(3))
    rest = list(loader.batches(3, start=2))
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(a, b) for pair in zip(whole[2:], rest, strict=True) for a, b in zip(*pair, strict=True))


def test_flips_take_image_and_mask_together(collection):
    plain = CompositeLoader(collection, "train", 32, 99, "cpu", shuffle=False)
    flipped = CompositeLoader(collection, "train", 32, 99, "cpu", shuffle=False, flip=True)
    turned = 0
    for (image, mask), (image_f, mask_f) in zip(
        *(zip(*next(iter(x)), strict=True) for x in (plain, flipped)), strict=True
    ):
        if torch.equal(image, image_f):
            assert torch.equal(mask, mask_f)
        else:
            turned += 1
            assert torch.equal(image.flip(-1), image_f)
            assert torch.equal(mask.flip(-1), mask_f)
    assert 0.2 < turned / plain.n_images < 0.8


def test_a_limited_loader_spreads_over_segments(collection):
    loader = CompositeLoader(collection, "train", 32, 4, "cpu", shuffle=False, limit=6)
    assert loader.n_images == len(loader.groups) == 6
    assert len(set(loader.groups)) == 6
    assert [len(images) for images, _ in loader] == [4, 2]
    assert torch.equal(loader.indices, CompositeLoader(collection, "train", 64, 9, "cpu", limit=6).indices)


def test_drop_last_and_groups(collection):
    loader = CompositeLoader(collection, "val", 32, 4, "cpu", drop_last=True)
    assert all(len(images) == 4 for images, _ in loader)
    assert loader.n_images == len(loader) * 4
    assert len(CompositeLoader(collection, "val", 32, 4, "cpu").groups) == len(ChairSegments(collection, "val", 32))


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"limit": 0}, {"split": "dev"}, {"resolution": 15}, {"backgrounds_per_segment": 0}]
)
def test_impossible_options_are_refused(collection, options):
    with pytest.raises(ParameterError):
        CompositeLoader(collection, **{"device": "cpu", **options})


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("batch_size", [2.5, 8.0, "8", None]),
        ("limit", [2.5, True]),
        ("seed", [-1, 0.5]),
        ("pair_seed", [-1, None]),
        ("backgrounds_per_segment", [2.5, "all"]),
    ],
)
def test_numbers_that_are_not_whole_are_refused_by_name(collection, option, wrong):
    for value in wrong:
        with pytest.raises(ParameterError, match=f"^{option} {value!r} must be a whole number of at least"):
            CompositeLoader(collection, resolution=32, device="cpu", **{option: value})


@pytest.mark.parametrize("root", [None, 5, ["mini"]])
def test_what_is_no_data_is_refused(root):
    with pytest.raises(ParameterError, match="holds no images; give a collection, a folder"):
        CompositeLoader(root)


def test_misspelt_options_are_refused(collection):
    with pytest.raises(TypeError, match="fitt"):
        CompositeLoader(collection, device="cpu", fitt="keep")


def test_foreground_shares_are_mask_means(collection):
    loader = CompositeLoader(collection, "test", 32, 5, "cpu")
    masks = torch.cat([masks for _, masks in loader])
    assert np.allclose(foreground_shares(loader), masks.mean(dim=(1, 2, 3)) * 100)


@pytest.mark.parametrize(
    ("limit", "joins", "drops", "sizes"),
    [
        (9, False, False, [4, 4, 1]),
        (9, True, False, [4, 5]),
        (9, True, True, [4, 4]),
        (10, True, False, [4, 4, 2]),
        (8, True, False, [4, 4]),
        (1, True, False, [1]),
    ],
)
def test_a_last_batch_of_one_may_join_the_one_before(collection, limit, joins, drops, sizes):
    loader = CompositeLoader(collection, "train", 32, 4, "cpu", limit=limit, drop_last=drops)
    loader.join_last = joins
    batches = list(loader.batches(0))
    assert [len(images) for images, _ in batches] == sizes
    assert len(loader) == len(sizes)
    assert loader.n_images == sum(sizes)
    plain = torch.cat([images for images, _ in CompositeLoader(collection, "train", 32, 4, "cpu", limit=limit)])
    assert torch.equal(torch.cat([images for images, _ in batches]), plain[: sum(sizes)])
