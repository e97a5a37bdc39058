"""Augmentation: image and mask move together, masks keep their values, and a run can go on in the middle."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chairlib import CompositeLoader
from chairlib.compositing.augmentation import Augment
from chairlib.core.errors import ParameterError

augments = st.builds(
    Augment,
    flip=st.booleans(),
    crop=st.floats(0, 0.5),
    scale=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)).map(lambda ends: (min(ends), max(ends))),
    colour=st.floats(0, 1),
)
NOTHING = Augment(flip=False, crop=0, scale=(1, 1), colour=0)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(seed: int, count: int = 3, side: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images, and masks of one rectangle each."""
    generator = drawn(seed)
    masks = torch.zeros(count, 1, side, side)
    for mask in masks:
        top, left, height, width = (torch.randint(2, side // 2, (4,), generator=generator)).tolist()
        mask[0, top : top + height, left : left + width] = 1
    return torch.rand(count, 3, side, side, generator=generator), masks


@settings(max_examples=60, deadline=None)
@given(augments, st.integers(0, 1000))
def test_values_keep_their_range_and_shape(augment, seed):
    images, masks = batch(seed)
    changed, outlines = augment(images, masks, drawn(seed))
    assert changed.shape == images.shape
    assert outlines.shape == masks.shape
    assert changed.dtype == outlines.dtype == torch.float32
    assert set(outlines.unique().tolist()) <= {0.0, 1.0}
    assert changed.min() >= 0
    assert changed.max() <= 1


@given(st.integers(0, 1000), st.integers(15, 18))
def test_ranges_of_nothing_change_nothing(seed, side):
    images, masks = batch(seed, side=side)
    for before, after in zip((images, masks), NOTHING(images, masks, drawn(seed)), strict=True):
        assert torch.equal(before, after)


@settings(max_examples=60, deadline=None)
@given(augments, st.integers(0, 1000))
def test_an_image_that_is_its_mask_stays_its_mask(augment, seed):
    masks = batch(seed)[1]
    moved = Augment(augment.flip, augment.crop, augment.scale, colour=0)
    images, outlines = moved(masks.expand(-1, 3, -1, -1), masks, drawn(seed))
    # Between pixels an image is a mixture, of which the nearest pixel is a part; where it is pure, it must be that one.
    assert (outlines[(images[:, :1] == 1)] == 1).all()
    assert (outlines[(images[:, :1] == 0)] == 0).all()
    # The rest is within half a pixel of an outline.
    assert (images[:, :1] - outlines).abs().mean() < 0.15
    assert (images[:, :1] - outlines).abs().max() <= 0.75 + 1e-5


def test_flips_alone_are_exact():
    images, masks = batch(1, count=40)
    changed, outlines = Augment(crop=0, scale=(1, 1), colour=0)(images, masks, drawn())
    flipped = [torch.equal(new, old.flip(-1)) for new, old in zip(changed, images, strict=True)]
    assert 8 < sum(flipped) < 32
    for new, old, is_flipped in zip(
        zip(changed, outlines, strict=True), zip(images, masks, strict=True), flipped, strict=True
    ):
        assert all(torch.equal(a, b.flip(-1) if is_flipped else b) for a, b in zip(new, old, strict=True))


def test_each_image_gets_a_transform_of_its_own():
    images, masks = (tensor[:1].expand(6, -1, -1, -1) for tensor in batch(2))
    for augment in (Augment(False, 0.2, (1, 1), 0), Augment(False, 0, (0.5, 2), 0), Augment(False, 0, (1, 1), 0.5)):
        changed, outlines = augment(images, masks, drawn())
        assert len({image.numpy().tobytes() for image in changed}) == 6
        if augment.colour:
            assert torch.equal(outlines, masks)


def test_magnifying_and_shrinking_change_the_area_as_they_should():
    masks = torch.zeros(1, 1, 40, 40)
    masks[..., 15:25, 15:25] = 1
    images = masks.expand(-1, 3, -1, -1)
    for scale, side in ((2, 20), (0.5, 5), (1, 10)):
        outlines = Augment(False, 0, (scale, scale), 0)(images, masks, drawn())[1]
        # Beyond the border of a shrunken image its mirrored copies begin.
        assert outlines[..., 10:30, 10:30].sum() == pytest.approx(side**2, rel=0.25)


def test_moves_stay_within_the_range_and_reach_it():
    masks = torch.zeros(300, 1, 41, 41)
    masks[..., 20, 20] = 1
    outlines = Augment(False, 0.25, (1, 1), 0)(masks.expand(-1, 3, -1, -1), masks, drawn())[1]
    where = outlines.nonzero()[:, 2:] - 20
    assert len(where) == 300
    assert where.abs().max() in (10, 11)
    assert where.min(0).values.max() < -7
    assert where.max(0).values.min() > 7


def test_beyond_the_border_lies_the_image_mirrored():
    images = torch.arange(20.0).div(20).view(1, 1, 1, 20).expand(1, 3, 20, 20)
    masks = (images[:, :1] < 0.06).float()
    changed, outlines = Augment(False, 0, (0.5, 0.5), 0)(images, masks, drawn())
    line = changed[0, 0, 10]
    assert torch.allclose(line[:5].flip(0), line[5:10], atol=1e-6)
    assert (line[5:15].diff() > 0).all()
    assert outlines[0, 0, 10].nonzero().flatten().tolist() == [4, 5]


def test_colour_changes_brightness_contrast_and_saturation_of_the_image():
    grey = torch.full((1, 3, 8, 8), 0.5)
    images = batch(3, count=50)[0] * 0.5 + 0.25
    masks = torch.zeros(50, 1, 20, 20)
    means = Augment(False, 0, (1, 1), 0.4)(grey.expand(50, -1, -1, -1), masks[..., :8, :8], drawn())[0]
    # An even grey has no contrast and no colour: only its brightness changes.
    assert means.amax((1, 2, 3)).sub(means.amin((1, 2, 3))).max() < 1e-5
    assert means.mean((1, 2, 3)).min() < 0.35
    assert means.mean((1, 2, 3)).max() > 0.65
    changed = Augment(False, 0, (1, 1), 0.4)(images, masks, drawn())[0]
    spread = changed.mean(1).std((1, 2)) / changed.mean((1, 2, 3))
    colourful = changed.std(1).mean((1, 2)) / changed.mean(1).std((1, 2))
    assert spread.max() / spread.min() > 1.5
    assert colourful.max() / colourful.min() > 1.5


@pytest.mark.parametrize(
    ("option", "value"),
    [("scale", (2, 1)), ("scale", (0, 1)), ("scale", (1, 50)), ("crop", 0.7), ("crop", -0.1), ("colour", 1.5)],
)
def test_impossible_ranges_are_refused(option, value):
    with pytest.raises(ParameterError, match=option):
        Augment(**{option: value})


# -- in the loader ----------------------------------------------------------------------------------------------------


def loader(collection, seed: int = 0, **options) -> CompositeLoader:
    return CompositeLoader(collection, "train", 32, 7, "cpu", seed=seed, **{"augment": Augment(), **options})


def test_batches_can_start_in_the_middle(collection):
    whole = list(loader(collection, flip=True).batches(2))
    rest = list(loader(collection, flip=True).batches(2, start=3))
    assert len(rest) == len(whole) - 3 > 2
    assert all(torch.equal(a, b) for pair in zip(whole[3:], rest, strict=True) for a, b in zip(*pair, strict=True))


def test_every_epoch_and_seed_draws_anew(collection):
    def first(loader, epoch=0):
        return next(loader.batches(epoch))[0]

    plain = loader(collection, augment=None, shuffle=False)
    same = loader(collection, shuffle=False)
    assert torch.equal(first(same), first(loader(collection, shuffle=False)))
    assert not torch.equal(first(same), first(plain))
    assert not torch.equal(first(same), first(same, epoch=1))
    assert not torch.equal(first(same), first(loader(collection, seed=1, shuffle=False)))


def test_every_batch_draws_anew(collection):
    seen = []

    class Spy(Augment):
        def __call__(self, images, masks, generator):
            seen.append(generator.initial_seed())
            return images, masks

    spying = loader(collection, augment=Spy())
    for epoch in range(3):
        list(spying.batches(epoch))
    assert len(set(seen)) == len(seen) == 3 * len(spying)


def test_the_order_is_the_same_with_and_without(collection):
    plain, changed = loader(collection, augment=None), loader(collection, augment=NOTHING)
    for before, after in zip(plain, changed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_images_in_order_are_never_changed(collection):
    for before, after in zip(loader(collection, augment=None).in_order(), loader(collection).in_order(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
