"""Sets of images and masks for a device: composites blended on demand, and stored images.

A split pairs every segment with 100 random backgrounds of the same split (paper, section 3): 50,000 training composites
from the paper's 500 segments. :class:`CompositeSet` holds only their parts. Parts and images lie on the device where
they fit. Where they don't, they are *streamed*, and an attribute ``streamed`` is true: they stay in the host's memory
(composites' parts in their file, mapped into it), and each batch's are copied.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image

from chairlib.collection import SPLITS, Collection
from chairlib.collection.groups import group_labels
from chairlib.compositing.blend import Placement, blend, mask_from_opacity, unit_range
from chairlib.compositing.packing import load_split, spread
from chairlib.core.checks import check_choice, check_count
from chairlib.core.devices import free_memory
from chairlib.core.progress import note

#: How many backgrounds each segment is paired with (paper, section 3).
BACKGROUNDS_PER_SEGMENT = 100
#: Images that would take more of a device's free memory are streamed; the rest is for training.
MEMORY_SHARE = 0.5
#: Pixels that the CPU blends at a time: few enough for its cache, which is twice as fast or more.
_CPU_PIXELS = 2**16


def pair_table(
    n_segments: int, n_backgrounds: int, split: str, per_segment: int = BACKGROUNDS_PER_SEGMENT, seed: int = 0
) -> torch.Tensor:
    """Which segment stands before which background: int64 [N, 2], ordered by segment.

    Every segment has ``per_segment`` different backgrounds, or all where there are fewer. Each split has its own random
    stream.
    """
    check_choice("split", split, SPLITS)
    check_count("backgrounds_per_segment", per_segment)
    check_count("pair_seed", seed, least=0)
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    count = min(per_segment, n_backgrounds)
    pairs = np.empty((n_segments, count, 2), np.int64)
    for segment in range(n_segments):
        pairs[segment, :, 0], pairs[segment, :, 1] = segment, rng.permutation(n_backgrounds)[:count]
    return torch.from_numpy(pairs.reshape(-1, 2))


@runtime_checkable
class ImageSet(Protocol):
    """Images and masks that are given on a device and are addressed by number."""

    device: torch.device
    groups: list[str] | None
    """The group of each image, for intervals that resample groups; None where groups are unknown."""
    name: str
    data_hash: str
    """16 hexadecimal digits over everything that decides the images: other images, another hash."""

    def __len__(self) -> int: ...

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(images float32 [B, 3, d, d] in [0, 1], masks float32 [B, 1, d, d]) for int64 ``indices`` [B].

        Where a set has an attribute ``streamed`` that is true, the host looks the indices up, and should have them.
        """

    def spread(self, count: int) -> torch.Tensor:
        """``count`` indices that represent the whole, always the same ones."""


def _place(tensors: Sequence[torch.Tensor], device: torch.device, name: str) -> tuple[Sequence[torch.Tensor], bool]:
    """The tensors on ``device`` and False where they fit, else as they are and True; tells people if so."""
    needed, free = sum(tensor.nbytes for tensor in tensors), free_memory(device)
    if needed <= MEMORY_SHARE * free:
        return [tensor.to(device) for tensor in tensors], False
    note(
        f"{name}: {needed / 1e9:.2f} GB of images are streamed, as they would take more than {MEMORY_SHARE:.0%} of the "
        f"{free / 1e9:.2f} GB free on {device}"
    )
    return tensors, True


def _take(tensor: torch.Tensor, indices: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy of ``tensor[indices]`` on ``device``, wherever ``tensor`` lies."""
    # From pinned memory the host need not wait for the copy, and torch keeps that memory until the copy is done.
    pinned = device.type == "cuda" and tensor.device.type == "cpu"
    taken = torch.empty(len(indices), *tensor.shape[1:], dtype=tensor.dtype, device=tensor.device, pin_memory=pinned)
    torch.index_select(tensor, 0, torch.as_tensor(indices, dtype=torch.int64).to(tensor.device), out=taken)
    return taken.to(device, non_blocking=pinned)


class CompositeSet:
    """A split of a collection, blended on the device a batch at a time. See :class:`ImageSet`.

    ``fit`` and ``crop`` are those of :func:`chairlib.compositing.blend.resize_segment`, ``backgrounds_per_segment`` and
    ``pair_seed`` those of :func:`pair_table`. With ``soft``, masks are the opacity in [0, 1] instead of 0 and 1.
    """

    def __init__(
        self,
        collection: Collection,
        split: str,
        resolution: int,
        device: torch.device,
        *,
        soft: bool = False,
        fit: Placement = "stretch",
        crop: bool = False,
        backgrounds_per_segment: int = BACKGROUNDS_PER_SEGMENT,
        pair_seed: int = 0,
    ):
        packed = load_split(collection, split, resolution, fit, crop)
        self.device = device
        self.name = collection.name
        settings = [collection.hash, split, resolution, soft, fit, crop, backgrounds_per_segment, pair_seed]
        self.data_hash = hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
        self.soft = soft
        title = f"{self.name} {split} at {resolution} px"
        (self.segments, self.backgrounds), self.streamed = _place((packed.segments, packed.backgrounds), device, title)
        pairs = pair_table(len(self.segments), len(self.backgrounds), split, backgrounds_per_segment, pair_seed)
        self.groups: list[str] | None = [packed.segment_groups[segment] for segment in pairs[:, 0].tolist()]
        self.pairs = pairs.to(self.segments.device)

    def __len__(self) -> int:
        return len(self.pairs)

    def parts(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What these composites are made of, on the device.

        segments uint8 [B, 4, d, d], backgrounds uint8 [B, 3, d, d].
        """
        pairs = self.pairs[torch.as_tensor(indices, dtype=torch.int64).to(self.pairs.device)]
        return _take(self.segments, pairs[:, 0], self.device), _take(self.backgrounds, pairs[:, 1], self.device)

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = self.segments.shape[2:]
        images, masks = (
            torch.empty(len(indices), channels, height, width, dtype=torch.float32, device=self.device)
            for channels in (3, 1)
        )
        at_once = _CPU_PIXELS // (height * width) if self.device.type == "cpu" else len(indices)
        for start in range(0, len(indices), max(1, at_once)):
            part = slice(start, start + max(1, at_once))
            segments, backgrounds = self.parts(indices[part])
            unit_range(blend(segments, backgrounds, out=images[part]))
            opacity = segments[:, 3:4]
            masks[part] = unit_range(opacity.float()) if self.soft else mask_from_opacity(opacity)
        return images, masks

    def spread(self, count: int) -> torch.Tensor:
        """``count`` indices in ascending order, with as many different segments among them as possible."""
        by_turn = torch.arange(len(self)).reshape(len(self.segments), -1).T.flatten()
        return by_turn[:count].sort().values


class StoredSet:
    """Finished images and masks, such as the authors' archives, in the host's memory. See :class:`ImageSet`."""

    def __init__(
        self,
        images: torch.Tensor,
        masks: torch.Tensor,
        device: torch.device,
        name: str,
        groups: Iterable[Any] | None = None,
    ):
        """``images`` uint8 [N, 3, d, d]; ``masks`` uint8 opacity levels [N, 1, d, d], chair where they exceed 0.4.

        ``groups``: the group of each image, as :func:`chairlib.collection.groups.group_labels` takes them.
        """
        self.images, self.masks, self.streamed = images, masks, False
        if device.type != "cpu":
            (self.images, self.masks), self.streamed = _place((images, masks), device, name)
        self.device, self.name = device, name
        self.groups: list[Any] | None = None if groups is None else group_labels(groups, len(images))
        digest = hashlib.sha256()
        for part in (*images.split(256), *masks.split(256)):
            digest.update(part.contiguous().numpy())
        self.data_hash = digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images, masks = (_take(tensor, indices, self.device) for tensor in (self.images, self.masks))
        return unit_range(images.float()), mask_from_opacity(masks).float()

    def spread(self, count: int) -> torch.Tensor:
        return spread(len(self), count)


def to_arrays(images: torch.Tensor, masks: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """A batch as numpy arrays for figures: images uint8 [B, d, d, 3], masks as levels 0..255, uint8 [B, d, d]."""
    image_levels, mask_levels = ((tensor * 255).round().byte().cpu().numpy() for tensor in (images, masks))
    return image_levels.transpose(0, 2, 3, 1), mask_levels[:, 0]


def to_pillow(image: torch.Tensor) -> Image.Image:
    """One image or mask, float [C, H, W] in [0, 1], as a Pillow image: mode RGB for three channels, L for one."""
    levels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(levels.squeeze(-1) if levels.shape[-1] == 1 else levels)
