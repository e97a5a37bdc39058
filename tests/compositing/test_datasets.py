"""Pairs, the dataset, the loader and the authors' layout: one and the same benchmark."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from chairlib import ChairSegments, CompositeLoader, ReleasedChairSegments
from chairlib.compositing.datasets import export, foreground_shares, pair_table, to_arrays
from chairlib.core.errors import ChairlibError, CollectionError, ParameterError
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


@pytest.mark.parametrize(
    "options", [{}, {"fit": "keep"}, {"crop": True}, {"backgrounds_per_segment": 2, "pair_seed": 3}]
)
@pytest.mark.parametrize("resolution", [16, 32, 45])
def test_dataset_and_loader_give_the_same_pixels(collection, resolution, options):
    dataset = ChairSegments(collection, "test", resolution, **options)
    loader = CompositeLoader(collection, "test", resolution, batch_size=3, device="cpu", **options)
    seen = 0
    for images, masks in loader:
        assert images.dtype == masks.dtype == torch.float32
        for image, mask in zip(images, masks, strict=True):
            picture, outline = dataset[seen]
            assert (picture.mode, outline.mode, picture.size) == ("RGB", "L", (resolution, resolution))
            assert torch.equal((image * 255).round().byte(), torch.from_numpy(np.array(picture)).permute(2, 0, 1))
            assert torch.equal(image, (image * 255).round() / 255)
            assert torch.equal(mask[0] * 255, torch.from_numpy(np.array(outline)).float())
            seen += 1
    assert seen == len(dataset)


def test_a_composite_is_pillows_own_within_one_level(collection):
    dataset = ChairSegments(collection, "val", 32)
    for index, (segment, background) in enumerate(dataset.composites.pairs.tolist()):
        front = dataset.composites.segments[segment].permute(1, 2, 0).numpy()
        back = dataset.composites.backgrounds[background].permute(1, 2, 0).numpy()
        pillow = Image.fromarray(back).convert("RGBA")
        pillow.alpha_composite(Image.fromarray(np.ascontiguousarray(front)))
        ours = np.asarray(dataset[index][0]).astype(int)
        assert np.abs(ours - np.asarray(pillow.convert("RGB"))).max() <= 1


def test_the_dataset_follows_torchvision(collection):
    both = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    dataset = ChairSegments(collection, "train", 32, transforms=both)
    image, mask = dataset[-1]
    assert image.shape == (3, 32, 32)
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert "train" in repr(dataset)
    assert "32" in repr(dataset)
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    only_mask = ChairSegments(collection, "train", 32, target_transform=lambda mask: "mask")[0]
    assert only_mask[1] == "mask"


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


def test_soft_masks_are_the_opacity(collection):
    hard = next(iter(CompositeLoader(collection, "test", 32, 99, "cpu")))[1]
    soft = next(iter(CompositeLoader(collection, "test", 32, 99, "cpu", soft=True)))[1]
    assert len(soft.unique()) > 2
    assert torch.equal((soft > 0.4001).float(), hard)


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


# -- the authors' layout ------------------------------------------------------------------------------------------------


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


def test_foreground_shares_are_mask_means(collection):
    loader = CompositeLoader(collection, "test", 32, 5, "cpu")
    masks = torch.cat([masks for _, masks in loader])
    assert np.allclose(foreground_shares(loader), masks.mean(dim=(1, 2, 3)) * 100)


def test_arrays_for_figures(collection):
    images, masks = next(iter(CompositeLoader(collection, "test", 32, 5, "cpu")))
    pictures, levels = to_arrays(images, masks)
    assert pictures.shape == (len(images), 32, 32, 3)
    assert set(np.unique(levels)) == {0, 255}


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
