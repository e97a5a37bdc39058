"""Composites as a torchvision dataset, one at a time. :mod:`chairlib.compositing.loader` gives whole batches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from chairlib.collection import Collection
from chairlib.compositing.blend import padding
from chairlib.compositing.image_sets import CompositeSet, to_pillow
from chairlib.compositing.transforms import MaskedDataset


class ChairSegments(MaskedDataset):
    """A split of a collection as a torchvision dataset: ``(Pillow RGB image, Pillow L mask of 0 and 255)``.

    ``root`` is a collection (``"mini"``, a folder or a :class:`Collection`), ``split`` train, val or test,
    ``resolution`` in pixels; ``options`` are those of :class:`CompositeSet`. ``transforms``, ``transform`` and
    ``target_transform`` are those of :class:`MaskedDataset`, which says what v2's transforms get.

    >>> image, mask = ChairSegments("mini", split="val", resolution=64)[0]
    >>> image.size, image.mode, mask.mode
    ((64, 64), 'RGB', 'L')
    """

    def __init__(
        self,
        root: str | Path | Collection = "mini",
        split: str = "train",
        resolution: int = 64,
        transforms: Callable | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        **options: Any,
    ):
        collection = root if isinstance(root, Collection) else Collection(root)
        super().__init__(str(collection.root), transforms, transform, target_transform)
        self.split, self.resolution = split, resolution
        self.composites = CompositeSet(collection, split, resolution, torch.device("cpu"), **options)

    def __len__(self) -> int:
        return len(self.composites)

    def untransformed(self, index: int) -> tuple[Image.Image, Image.Image]:
        images, masks = self.composites.batch(torch.tensor([index]))
        return to_pillow(images[0]), to_pillow(masks[0])

    def extra_repr(self) -> str:
        d = self.resolution
        return (
            f"Split: {self.split}\nResolution: {d} x {d}, padding {padding(d)}\n"
            f"Segments: {len(self.composites.segments)}, backgrounds: {len(self.composites.backgrounds)}"
        )
