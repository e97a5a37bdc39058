"""Transforms of torchvision: Pillow images as ever, and with v2 a mask that stays a mask beside its image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torch.nn.functional import max_pool2d
from torch.utils.data import DataLoader
from torchvision import transforms as v1
from torchvision import tv_tensors
from torchvision.transforms import v2

from chairlib import ChairSegments, ReleasedChairSegments
from chairlib.compositing.masked_images import MaskedImages
from chairlib.core.errors import ParameterError
from drawing import write_released

WHITE = {tv_tensors.Image: 255, tv_tensors.Mask: 0}
GEOMETRY = {
    "flip": v2.RandomHorizontalFlip(1),
    "crop": v2.RandomResizedCrop(24, scale=(0.3, 0.9)),
    "resize": v2.Resize(40),
    "antialiased": v2.Resize(20, antialias=True),
    "bicubic": v2.Resize(50, interpolation=v2.InterpolationMode.BICUBIC),
    "turn": v2.RandomRotation(90),
    "affine": v2.RandomAffine(60, translate=(0.3, 0.3), scale=(0.5, 1.5), shear=20),
    "perspective": v2.RandomPerspective(0.5, p=1),
    "elastic": v2.ElasticTransform(20.0),
    "pad": v2.Pad(4, padding_mode="reflect"),
}
COLOUR = {
    "jitter": v2.ColorJitter(0.5, 0.5, 0.5),
    "invert": v2.RandomInvert(1),
    "blur": v2.GaussianBlur(3),
    "grey": v2.RandomGrayscale(1),
    "solarize": v2.RandomSolarize(128, 1),
    "scaled": v2.ToDtype(torch.float32, scale=True),
    "normalised": v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]),
}


class Silhouettes(MaskedImages):
    """One image that is its own mask: white where the object is."""

    split, name = "train", "drawn"

    def __len__(self):
        return 1

    def read(self, index):
        mask = Image.new("L", (32, 32))
        ImageDraw.Draw(mask).polygon([(8, 4), (26, 10), (14, 28)], fill=255)
        return Image.merge("RGB", [mask] * 3), mask


@pytest.mark.parametrize("name", GEOMETRY)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_moves_pixels_moves_image_and_mask_alike(name, seed):
    torch.manual_seed(seed)
    image, mask = Silhouettes("", transforms=GEOMETRY[name])[0]
    assert (type(image), type(mask)) == (tv_tensors.Image, tv_tensors.Mask)
    assert image.shape[1:] == mask.shape[1:]
    assert set(mask.unique().tolist()) <= {0, 1}
    # The image is interpolated, the mask is not: they part within two pixels of the outline. A tip of the object that
    # a crop has cut off may be in one of them alone, hence the hundredth.
    area = mask[None].float()
    outline = max_pool2d(area, 5, 1, 2) > -max_pool2d(-area, 5, 1, 2)
    apart = (image[0] > 127) != mask[0].bool()
    assert (apart & ~outline[0, 0]).float().mean() < 0.01


@pytest.mark.parametrize("name", COLOUR)
def test_what_changes_colours_leaves_the_mask(name):
    plain_image, plain = Silhouettes("", transforms=v2.Identity())[0]
    image, mask = Silhouettes("", transforms=COLOUR[name])[0]
    assert torch.equal(mask, plain)
    assert (type(mask), mask.dtype) == (tv_tensors.Mask, torch.uint8)
    assert set(mask.unique().tolist()) == {0, 1}
    assert not torch.equal(image, plain_image) or name == "grey"


def test_every_dataset_gives_the_same_pixels_as_without(collection, tmp_path):
    write_released(collection, tmp_path / "out", 32)
    for make in (
        lambda **options: ChairSegments(collection, "val", 32, **options),
        lambda **options: ReleasedChairSegments(tmp_path / "out", "val", **options),
    ):
        picture, outline = make()[1]
        assert (picture.mode, outline.mode) == ("RGB", "L")
        for options in ({"transforms": v2.Identity()}, {"transform": v2.ToImage()}, {"target_transform": v2.ToImage()}):
            image, mask = make(**options)[1]
            assert (type(image), type(mask)) == (tv_tensors.Image, tv_tensors.Mask)
            assert np.array_equal(image.permute(1, 2, 0), picture)
            assert np.array_equal(mask[0] * 255, outline)


def test_batches_are_collated(collection):
    steps = v2.Compose([v2.RandomHorizontalFlip(), v2.Resize(24), v2.ToDtype(torch.float32, scale=True)])
    dataset = ChairSegments(collection, "val", 32, transforms=steps)
    for workers in (0, 1):
        images, masks = next(iter(DataLoader(dataset, batch_size=4, num_workers=workers)))
        assert (images.shape, images.dtype) == ((4, 3, 24, 24), torch.float32)
        assert (masks.shape, masks.dtype) == ((4, 1, 24, 24), torch.uint8)
        assert images.max() <= 1
        assert set(masks.unique().tolist()) == {0, 1}


def test_one_side_alone_is_transformed_alone():
    plain_image, plain_mask = Silhouettes("", transforms=v2.Identity())[0]
    image, mask = Silhouettes("", transform=v2.RandomHorizontalFlip(1))[0]
    assert torch.equal(image, plain_image.flip(-1))
    assert torch.equal(mask, plain_mask)
    image, mask = Silhouettes("", target_transform=v2.RandomHorizontalFlip(1))[0]
    assert torch.equal(image, plain_image)
    assert torch.equal(mask, plain_mask.flip(-1))


def test_other_functions_get_pillow_images():
    picture, outline = Silhouettes("")[0]
    both = Silhouettes("", transforms=lambda image, mask: (image, mask))[0]
    assert [np.array_equal(*pair) for pair in zip(both, (picture, outline), strict=True)] == [True, True]
    image, mask = Silhouettes("", transform=v1.ToTensor(), target_transform=v1.PILToTensor())[0]
    assert (image.max(), mask.max()) == (1, 255)
    assert type(image) is type(mask) is torch.Tensor
    image, mask = Silhouettes("", transform=v1.ToTensor())[0]
    assert (type(image), mask.mode) == (torch.Tensor, "L")
    image, mask = Silhouettes("", transform=v2.ToImage(), target_transform=lambda mask: mask.mode)[0]
    assert (type(image), mask) == (tv_tensors.Image, "L")


@pytest.mark.parametrize("fill", [255, 0.5, [255], (0, 0, 0), {"others": 255}])
def test_a_colour_that_would_fill_masks_is_refused(fill):
    for step in (v2.RandomAffine(40, fill=fill), v2.Compose([v2.RandomApply([v2.RandomRotation(40, fill=fill)])])):
        with pytest.raises(
            ParameterError, match=r"^Random\w+ would fill masks, too, with [^\n]*: give fill={[^\n]*}\.$"
        ):
            Silhouettes("", transforms=step)
        Silhouettes("", transform=step)


def test_a_colour_for_images_alone_is_taken():
    for fill in (WHITE, {tv_tensors.Image: 255}, 0, None):
        image, mask = Silhouettes("", transforms=v2.RandomRotation((45, 45), fill=fill))[0]
        assert image[0, 0, 0] == (255 if isinstance(fill, dict) else 0)
        assert mask[0, 0, 0] == 0


@pytest.mark.filterwarnings("ignore:The transform `ToTensor")
@pytest.mark.parametrize("steps", [v2.ToTensor, lambda: v2.Compose([v1.ToTensor()])])
@pytest.mark.parametrize("parameter", ["transforms", "transform", "target_transform"])
def test_a_step_that_does_nothing_to_tensors_is_refused(steps, parameter):
    with pytest.raises(ParameterError, match=r"^ToTensor would leave levels [^\n]*: use v2\.ToDtype"):
        Silhouettes("", **{parameter: steps()})
