"""The torchvision dataset: the same pixels as the loader's, and Pillow's own blending within a level."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from chairlib import ChairSegments, CompositeLoader


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
