"""A loader that makes batches on a device from what lies there, without touching a file per image."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chairlib.collection import SPLITS, Collection
from chairlib.compositing.augmentation import Augment
from chairlib.compositing.blend import mask_from_opacity
from chairlib.compositing.image_sets import CompositeSet, ImageSet
from chairlib.compositing.released import ReleasedChairSegments, is_released
from chairlib.core.checks import check_choice, check_count
from chairlib.core.devices import pick_device
from chairlib.core.errors import CollectionError, ParameterError


class CompositeLoader:
    """Batches of composites, made on the device.

    Parameters
    ----------
    root: a collection (``"mini"``, a folder, a :class:`Collection`), a folder in the authors' layout, or an
        :class:`ImageSet`.
    split: ``"train"``, ``"val"`` or ``"test"``; resolution: pixels d, at least 16; device: ``"auto"``, or torch's name.
    batch_size: images a batch; the last batch is smaller unless ``drop_last``.
    shuffle: a new order each epoch; by default for the train split only.
    flip: mirror each image and its mask left to right with probability 1/2.
    augment: change each image and its mask at random, after any ``flip``; :meth:`in_order` gives them unchanged.
    soft: give the opacity in [0, 1] instead of the 0/1 mask.
    limit: use only this many images, always the same, spread over all segments.
    seed: of order, flips and augmentation. Pairs belong to the benchmark and have a seed of their own, ``pair_seed``.
    options: ``fit``, ``crop``, ``backgrounds_per_segment``, ``pair_seed`` of :class:`CompositeSet`.

    Iterating gives ``(images float32 [B, 3, d, d] in [0, 1], masks float32 [B, 1, d, d])`` on the device. Unless
    ``augment`` changes them, image values are whole levels over 255. Order, flips and augmentation depend only on seed,
    epoch and the batch's number, so a run that stopped after any batch can go on from there, see :meth:`batches`.
    """

    def __init__(
        self,
        root: str | Path | Collection | ImageSet = "mini",
        split: str = "train",
        resolution: int = 64,
        batch_size: int = 64,
        device: str | torch.device = "auto",
        *,
        shuffle: bool | None = None,
        flip: bool = False,
        augment: Augment | None = None,
        soft: bool = False,
        limit: int | None = None,
        drop_last: bool = False,
        seed: int = 0,
        **options: Any,
    ):
        check_count("batch_size", batch_size)
        check_count("limit", limit, none=True)
        check_count("seed", seed, least=0)
        check_choice("split", split, SPLITS)
        if isinstance(root, str | Path | Collection):
            root = open_images(root, split, resolution, pick_device(device), soft=soft, **options)
        elif not isinstance(root, ImageSet):
            raise ParameterError(
                f"{root!r} holds no images; give a collection, a folder in the authors' layout, or an image set "
                "such as StoredSet."
            )
        self.image_set: ImageSet = root
        self.split, self.resolution, self.batch_size = split, resolution, batch_size
        self.shuffle = split == "train" if shuffle is None else shuffle
        self.flip, self.augment, self.seed = flip, augment, seed
        self.drop_last = drop_last
        #: Whether a last batch of a single image is joined to the batch before it, where there is one.
        self.join_last = False
        self.indices = torch.arange(len(self.image_set)) if limit is None else self.image_set.spread(limit)
        self.epoch = 0

    @property
    def device(self) -> torch.device:
        return self.image_set.device

    @property
    def streamed(self) -> bool:
        """Whether the images don't fit the device, and each batch's are copied to it: the batches are the same."""
        return getattr(self.image_set, "streamed", False)

    @property
    def n_images(self) -> int:
        """Images an epoch gives."""
        return len(self) * self.batch_size if self.drop_last else len(self.indices)

    @property
    def groups(self) -> list[str] | None:
        """The segment group of each image in unshuffled order; None where groups are unknown."""
        groups = self.image_set.groups
        return None if groups is None else [groups[index] for index in self.indices.tolist()]

    def __len__(self) -> int:
        """Batches an epoch."""
        whole, rest = divmod(len(self.indices), self.batch_size)
        joined = self.join_last and rest == 1 and whole > 0
        return whole + (rest > 0 and not self.drop_last and not joined)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """One epoch; the next iteration is the next epoch, in another order where ``shuffle`` is on."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self.batches(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The batches of ``epoch`` from number ``start`` on, the same whatever was iterated before."""
        # The CPU's generator: its stream is the same whatever the device.
        generator = torch.Generator().manual_seed(_combined_seed(self.seed, epoch))
        count = len(self.indices)
        order = self.indices[torch.randperm(count, generator=generator)] if self.shuffle else self.indices
        flips = (torch.rand(count, 1, 1, 1, generator=generator) < 0.5).to(self.device) if self.flip else None
        order = self._placed(order)
        for number in range(start, len(self)):
            is_last = number + 1 == len(self) and not self.drop_last  # it may hold one image more, see `join_last`
            chosen = slice(number * self.batch_size, None if is_last else (number + 1) * self.batch_size)
            images, masks = self.image_set.batch(order[chosen])
            if flips is not None:  # the device chooses: the host would have to wait for a list of the mirrored ones
                images, masks = (torch.where(flips[chosen], part.flip(-1), part) for part in (images, masks))
            if self.augment is not None:
                # Numbers from 1: a seed sequence ignores a last 0, which would give the generator of the order again.
                own = torch.Generator().manual_seed(_combined_seed(self.seed, epoch, number + 1))
                images, masks = self.augment(images, masks, own)
            yield images, masks

    def in_order(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Every image once, unshuffled and unchanged, a batch at a time, in the order of :attr:`groups`."""
        for indices in self._placed(self.indices).split(self.batch_size):
            yield self.image_set.batch(indices)

    def _placed(self, indices: torch.Tensor) -> torch.Tensor:
        """Indices where they are looked up: reading them back from the device would wait for it at every batch."""
        return indices if self.streamed else indices.to(self.device)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.image_set.name!r}, split={self.split!r}, resolution={self.resolution}, "
            f"images={len(self.indices)}, batch_size={self.batch_size}, device='{self.device}'"
            f"{', streamed' if self.streamed else ''})"
        )


def _combined_seed(*numbers: int) -> int:
    """One 63-bit seed from several numbers; neighbouring seeds, epochs and batches give unrelated streams."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def foreground_shares(loader: CompositeLoader) -> np.ndarray:
    """Per cent of each image's pixels that are chair, float64 [N] in unshuffled order (the paper's mean: 21.99)."""
    shares = [masks.mean(dim=(1, 2, 3), dtype=torch.float64) for _, masks in loader.in_order()]
    return 100 * torch.cat(shares).cpu().numpy()


def open_images(
    root: str | Path | Collection, split: str, resolution: int, device: torch.device, **options: Any
) -> ImageSet:
    """The images of ``root``, a folder in the authors' layout or else a collection.

    ``options``: those of :class:`CompositeSet`. Raises :class:`ParameterError` for any with finished images, and
    :class:`CollectionError` where all masks of finished images are empty, but for those that validate.
    """
    if not isinstance(root, Collection) and is_released(root):
        if options.pop("soft", False) or options:
            raise ParameterError(
                f"{root} holds finished composites: soft masks and {', '.join(options) or 'options'} need a collection."
            )
        stored = ReleasedChairSegments(root, split).image_set(resolution, device)
        # A validation split without any has a loss all the same.
        if split != "val" and not any(mask_from_opacity(part).any() for part in stored.masks.split(256)):
            raise CollectionError(
                f"{Path(root) / split / 'mask'}: none of the {len(stored)} masks marks a pixel, so there is nothing to "
                "learn or to score; look at the mask files."
            )
        return stored
    collection = root if isinstance(root, Collection) else Collection(root)
    return CompositeSet(collection, split, resolution, device, **options)
