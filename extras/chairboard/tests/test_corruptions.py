"""Images made worse: by the right amount, more and more, the same for every model; and the curves over them."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from chairboard.corruptions import CORRUPTIONS, Corrupted, robustness
from chairlib.benchmark.evaluation import evaluate
from chairlib.compositing.image_sets import ImageSet, StoredSet
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import paths
from chairlib.core.errors import ParameterError
from weights import OwnTensors, make_unet

RANDOM = ("noise", "low_light", "place")


@pytest.fixture
def loader(collection):
    return CompositeLoader(collection, "test", 48, 3, "cpu")


@pytest.fixture
def model():
    return make_unet(0)


def worse(image_set, kind, strength, seed=0, indices=None):
    return Corrupted(image_set, kind, strength, seed).batch(
        torch.arange(len(image_set)) if indices is None else indices
    )


def stored(value, d=64):
    """Six images, all pixels of this level."""
    levels = torch.full((6, 3, d, d), value, dtype=torch.uint8)
    return StoredSet(levels, levels[:, :1], torch.device("cpu"), "flat")


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_images_differ_more_and_more_and_masks_never(loader, kind):
    clean, masks = loader.image_set.batch(loader.indices)
    changes = []
    for strength in range(6):
        images, same = worse(loader.image_set, kind, strength)
        assert torch.equal(same, masks)
        assert images.shape == clean.shape
        assert 0 <= images.min() <= images.max() <= 1
        changes.append((images - clean).abs().mean().item())
    assert changes[0] == 0
    assert all(np.diff(changes) > 0.001), changes


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_the_same_seed_gives_the_same_bits_whatever_the_batches(loader, kind):
    everything = loader.indices
    whole, _ = worse(loader.image_set, kind, 3)
    parts = torch.cat([worse(loader.image_set, kind, 3, indices=part)[0] for part in everything.flip(0).split(3)])
    assert torch.equal(whole, parts.flip(0))
    assert torch.equal(whole, worse(loader.image_set, kind, 3, seed=1)[0]) == (kind not in RANDOM)


def test_images_are_made_worse_by_other_draws_than_their_neighbours():
    noise = worse(stored(127), "noise", 5)[0]
    assert not torch.equal(noise[0], noise[1])


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if kind != "place"])
def test_images_that_a_set_hands_out_stay_as_they_are(kind):
    images = OwnTensors()
    worse(images, kind, 5)
    assert torch.equal(images.images, OwnTensors().images)
    assert torch.equal(images.masks, OwnTensors().masks)


def test_blur_is_a_gaussian_in_per_cent_of_the_side(loader):
    clean, _ = loader.image_set.batch(loader.indices)
    images, _ = worse(loader.image_set, "blur", 4)
    sigma = CORRUPTIONS["blur"].amounts[4] / 100 * 48
    expected = ndimage.gaussian_filter(clean.numpy(), (0, 0, sigma, sigma), mode="mirror", radius=math.ceil(3 * sigma))
    assert np.abs(images.numpy() - expected).max() < 1e-5


@pytest.mark.parametrize("strength", [1, 3])
def test_noise_has_its_deviation(strength):
    noise = worse(stored(127), "noise", strength)[0] - 127 / 255
    assert noise.std().item() == pytest.approx(CORRUPTIONS["noise"].amounts[strength] / 100, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.002)


@pytest.mark.parametrize("strength", [1, 5])
def test_jpeg_is_pillows_round_trip(loader, strength):
    clean, _ = loader.image_set.batch(loader.indices)
    images, _ = worse(loader.image_set, "jpeg", strength)
    for before, after in zip(clean, images, strict=True):
        file = io.BytesIO()
        levels = (before * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(levels).save(file, "JPEG", quality=CORRUPTIONS["jpeg"].amounts[strength])
        assert ((after * 255).round().byte().permute(1, 2, 0).numpy() == np.asarray(Image.open(file))).all()


def test_low_light_leaves_its_share_of_the_light_with_the_noise_of_photons():
    amount = CORRUPTIONS["low_light"].amounts[3] / 100
    light = worse(stored(255), "low_light", 3)[0] ** 2.2
    assert light.mean().item() == pytest.approx(amount, rel=0.02)
    photons = amount * 1000  # a Poisson distribution varies as much as its mean
    assert (light * 1000).var().item() == pytest.approx(photons, rel=0.05)


def test_low_contrast_leaves_its_share_of_the_spread(loader):
    clean, _ = loader.image_set.batch(loader.indices)
    images, _ = worse(loader.image_set, "contrast", 5)
    ratio = images.std((1, 2, 3)) / clean.std((1, 2, 3))
    assert (ratio < 0.35).all()  # colours keep a tenth of their distance from the image's mean grey
    assert torch.allclose(
        images.amax((1, 2, 3)) - images.amin((1, 2, 3)),
        0.1 * (clean.amax((1, 2, 3)) - clean.amin((1, 2, 3))),
        atol=1e-4,
    )


@pytest.mark.parametrize("strength", [1, 5])
def test_another_place_is_blended_behind_the_same_chair(loader, strength):
    """Solid pixels of the chair stay bit for bit; where there is no chair, the change is the opacity's."""
    clean, masks = loader.image_set.batch(loader.indices)
    segments, _ = loader.image_set.parts(loader.indices)
    images, same = worse(loader.image_set, "place", strength)
    whole, _ = worse(loader.image_set, "place", 5)
    solid, free = (segments[:, 3:] == 255).expand_as(clean), (segments[:, 3:] == 0).expand_as(clean)
    assert solid.any()
    assert torch.equal(images[solid], clean[solid])
    assert torch.equal(same, masks)
    expected = clean.lerp(whole, CORRUPTIONS["place"].amounts[strength] / 100)
    assert (images - expected)[free].abs().max() < 0.6 / 255
    # With all of the other place, nothing of the collection's own background is left.
    other = loader.image_set.pairs[:, 1].flip(0)
    loader.image_set.pairs[:, 1] = other
    assert torch.equal(worse(loader.image_set, "place", 5)[0], whole)


def test_strength_0_is_what_evaluate_gives(loader, model):
    scores = evaluate(model, loader).scores
    table = robustness(model, loader, progress=False)
    clean = table[table["strength"] == 0]
    assert clean["kind"].tolist() == list(CORRUPTIONS)
    assert set(clean["iou"]) == {scores.iou}
    assert set(zip(clean["low"], clean["high"], strict=True)) == {scores.interval("iou")}


def test_a_curve_is_the_score_on_the_images_made_worse(loader, model):
    table = robustness(model, loader, kinds=["noise", "place"], strengths=2, seed=4, progress=False)
    assert table[["kind", "strength", "amount"]].to_numpy().tolist() == [
        ["noise", 0, 0],
        ["noise", 2, 8],
        ["noise", 5, 26],
        ["place", 0, 0],
        ["place", 2, 40],
        ["place", 5, 100],
    ]
    assert table["unit"].unique().tolist() == [CORRUPTIONS[kind].unit for kind in ("noise", "place")]
    for row in table.to_dict("records"):
        images = Corrupted(loader.image_set, row["kind"], row["strength"], seed=4)
        scores = evaluate(model, CompositeLoader(images, "test", 48, 5)).scores
        assert (row["iou"], row["low"], row["high"]) == (scores.iou, *scores.interval("iou"))
    assert len(table["iou"].unique()) > 1
    assert table.equals(robustness(model, loader, kinds=["noise", "place"], strengths=2, seed=4, progress=False))


def test_the_loader_and_its_choice_of_images_stay(collection, model):
    loader = CompositeLoader(collection, "test", 32, 3, "cpu", limit=5)
    image_set = loader.image_set
    table = robustness(model, loader, kinds=["contrast"], strengths=1, progress=False)
    assert loader.image_set is image_set
    indices = loader.indices
    images, masks = worse(image_set, "contrast", 5, indices=indices)
    kept = StoredSet((images * 255).round().byte(), (masks * 255).byte(), torch.device("cpu"), "kept")
    assert evaluate(model, CompositeLoader(kept, "test", 32)).scores.iou == pytest.approx(table["iou"].iloc[1], abs=0.5)


def test_a_set_made_worse_is_an_image_set_with_a_hash_of_its_own(loader):
    sets = [Corrupted(loader.image_set, *terms) for terms in (("blur", 1), ("blur", 2), ("noise", 1), ("noise", 1, 1))]
    assert all(isinstance(images, ImageSet) for images in sets)
    assert len({loader.image_set.data_hash, *(images.data_hash for images in sets)}) == 5
    assert sets[0].groups == loader.image_set.groups
    assert len(sets[0]) == len(loader.image_set)
    assert torch.equal(sets[0].spread(3), loader.image_set.spread(3))


def test_finished_images_have_no_other_place(model):
    loader = CompositeLoader(stored(200, 32), "test", 32)
    table = robustness(model, loader, strengths=1, progress=False)
    assert set(table["kind"]) == set(CORRUPTIONS) - {"place"}
    with pytest.raises(ParameterError, match="flat holds finished images: kind 'place' needs composites; leave it out"):
        robustness(model, loader, kinds=["place"], progress=False)


def test_impossible_values_are_refused_before_anything_is_scored(loader):
    for values, message in (
        ({"kinds": ["fog"]}, "kind 'fog' is unknown; use one of blur, noise"),
        ({"strengths": 6}, "strengths 6 must be a whole number from 1 to 5"),
        ({"strengths": 0}, "strengths 0"),
        ({"seed": -1}, "seed -1"),
    ):
        with pytest.raises(ParameterError, match=message):
            robustness(None, loader, progress=False, **values)
    with pytest.raises(ParameterError, match="strength 7 must be a whole number from 0 to 5"):
        Corrupted(loader.image_set, "blur", 7)


def test_the_book_has_the_amounts_of_every_strength():
    text = (paths.book / "definitions.md").read_text(encoding="utf-8")
    for kind in CORRUPTIONS.values():
        amounts = ", ".join(f"{amount:g}" for amount in kind.amounts[1:])
        assert any(
            line.startswith(f"| {kind.title.lower()}") and line.endswith(f"| {amounts} |")
            for line in text.lower().splitlines()
        )
