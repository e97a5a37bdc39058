"""The benchmark's splits as data: a torchvision dataset, a device-resident loader, and the authors' own layout on disk.

A split pairs every segment with 100 random backgrounds of the same split (paper, section 3): 50,000 training composites
from the paper's 500 segments. Composites are never stored. :class:`ChairSegments` makes one at a time as Pillow images;
:class:`CompositeLoader` keeps the parts on the device and blends a batch there. Both give the same pixels.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image

from chairlib.collection import SPLITS, Collection
from chairlib.compositing.augmentation import Augment
from chairlib.compositing.blend import Placement, blend, mask_from_opacity, padding
from chairlib.compositing.masks import read_levels, read_photo
from chairlib.compositing.packing import check_split, load_split, map_images
from chairlib.core.checks import check_count
from chairlib.core.devices import pick_device
from chairlib.core.errors import CollectionError, ParameterError
from chairlib.core.files import atomic_folder
from chairlib.core.progress import progress_bar
from chairlib.core.vision import torchvision

__all__ = [
    "BACKGROUNDS_PER_SEGMENT",
    "ChairSegments",
    "CompositeLoader",
    "CompositeSet",
    "StoredSet",
    "ReleasedChairSegments",
    "ImageSet",
    "export",
    "foreground_shares",
    "is_released",
    "open_images",
    "pair_table",
    "spread",
    "to_arrays",
]

#: How many backgrounds each segment is paired with (paper, section 3).
BACKGROUNDS_PER_SEGMENT = 100


def pair_table(
    n_segments: int, n_backgrounds: int, split: str, per_segment: int = BACKGROUNDS_PER_SEGMENT, seed: int = 0
) -> torch.Tensor:
    """Which segment stands before which background: int64 [N, 2], ordered by segment.

    Every segment meets ``per_segment`` different backgrounds, or all of them where the split has fewer; N is the number of
    segments times that. Each split draws from a stream of its own.
    """
    check_count("backgrounds_per_segment", per_segment)
    check_count("pair_seed", seed, least=0)
    rng = np.random.default_rng([seed, SPLITS.index(check_split(split))])
    count = min(per_segment, n_backgrounds)
    backgrounds = [rng.permutation(n_backgrounds)[:count] for _ in range(n_segments)]
    segments = np.repeat(np.arange(n_segments), count)
    return torch.from_numpy(np.stack([segments, np.concatenate(backgrounds)], axis=1))


@runtime_checkable
class ImageSet(Protocol):
    """Images and masks that live on a device and are addressed by number."""

    device: torch.device
    groups: list[str] | None
    """The group of each image, for intervals that resample groups; None where groups are unknown."""
    name: str
    data_hash: str
    """16 hexadecimal digits over everything that decides the images: other images, another hash."""

    def __len__(self) -> int: ...

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(images float32 [B, 3, d, d] in [0, 1], masks float32 [B, 1, d, d]) for int64 ``indices`` [B]."""
        ...

    def spread(self, count: int) -> torch.Tensor:
        """``count`` indices that represent the whole, always the same ones."""
        ...


def spread(n: int, count: int) -> torch.Tensor:
    """``count`` of the numbers 0..n-1, evenly spaced and ascending: int64 [min(count, n)]."""
    count = min(count, n)
    return torch.arange(count) * n // count


class CompositeSet:
    """A split of a collection, blended on the device a batch at a time. See :class:`ImageSet`."""

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
        asked = [collection.hash, split, resolution, soft, fit, crop, backgrounds_per_segment, pair_seed]
        self.data_hash = hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
        self.soft = soft
        self.segments = packed.segments.to(device)
        self.backgrounds = packed.backgrounds.to(device)
        pairs = pair_table(len(self.segments), len(self.backgrounds), split, backgrounds_per_segment, pair_seed)
        self.groups: list[str] | None = [packed.segment_groups[segment] for segment in pairs[:, 0].tolist()]
        self.pairs = pairs.to(device)

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = self.pairs[indices]
        segments = self.segments[pairs[:, 0]]
        images = blend(segments, self.backgrounds[pairs[:, 1]]).div_(255)
        opacity = segments[:, 3:4]
        return images, (opacity.float().div_(255) if self.soft else mask_from_opacity(opacity).float())

    def spread(self, count: int) -> torch.Tensor:
        """Segments in turn, so that as many different chairs as possible are among the first ``count``."""
        n_segments = len(self.segments)
        by_turn = torch.arange(len(self)).reshape(n_segments, -1).T.flatten()
        return by_turn[: min(count, len(self))].sort().values


class StoredSet:
    """Ready-made images and masks held on the device, such as the authors' archives. See :class:`ImageSet`."""

    def __init__(
        self,
        images: torch.Tensor,
        masks: torch.Tensor,
        device: torch.device,
        name: str,
        *,
        groups: list[str] | None = None,
    ):
        """``images`` uint8 [N, 3, d, d]; ``masks`` uint8 opacity levels [N, 1, d, d], chair where they exceed 0.4."""
        self.images, self.masks = images.to(device), masks.to(device)
        self.device, self.name, self.groups = device, name, groups
        digest = hashlib.sha256(images.numpy().tobytes())
        digest.update(masks.numpy().tobytes())
        self.data_hash = digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[indices].float().div_(255), mask_from_opacity(self.masks[indices]).float()

    def spread(self, count: int) -> torch.Tensor:
        return spread(len(self), count)


class CompositeLoader:
    """Batches of composites, made on the device without touching a file per image.

    Parameters
    ----------
    root: a collection (``"mini"``, a folder, a :class:`Collection`), a folder in the authors' layout, or an :class:`ImageSet`.
    split: ``"train"``, ``"val"`` or ``"test"``.
    resolution: pixels d, at least 16.
    batch_size: images a batch; the last batch is smaller unless ``drop_last``.
    device: ``"auto"``, or a name that torch knows.
    shuffle: a new order each epoch; by default for the train split only.
    flip: mirror each image and its mask left to right with probability 1/2.
    augment: change each image and its mask at random, after any ``flip``; :meth:`in_order` gives them unchanged.
    soft: give the opacity in [0, 1] instead of the 0/1 mask.
    limit: use only this many images, always the same, spread over all segments.
    seed: of order, flips and augmentation; the pairs are part of the benchmark and have a ``pair_seed`` of their own.
    options: ``fit``, ``crop``, ``backgrounds_per_segment``, ``pair_seed`` of :class:`CompositeSet`.

    Iterating gives ``(images float32 [B, 3, d, d] in [0, 1], masks float32 [B, 1, d, d])`` on the device. Image values are
    whole levels over 255, equal to the bytes that :class:`ChairSegments` gives, unless ``augment`` changes them. Order, flips
    and augmentation depend on seed, epoch and the batch's number alone, so a run that stopped after any batch can go on as if
    it had not: see :meth:`batches`.
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
        check_split(split)
        if isinstance(root, str | Path | Collection):
            self.image_set = open_images(root, split, resolution, pick_device(device), soft=soft, **options)
        elif isinstance(root, ImageSet):
            self.image_set = root
        else:
            raise ParameterError(
                f"{root!r} holds no images; give a collection, a folder in the authors' layout, or an image set such as StoredSet."
            )
        self.split, self.resolution, self.batch_size = split, resolution, batch_size
        self.shuffle = split == "train" if shuffle is None else shuffle
        self.flip, self.augment, self.drop_last, self.seed = flip, augment, drop_last, seed
        self.indices = torch.arange(len(self.image_set)) if limit is None else self.image_set.spread(limit)
        self.epoch = 0

    @property
    def device(self) -> torch.device:
        return self.image_set.device

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
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """One epoch; the next iteration is the next epoch, in another order where ``shuffle`` is on."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self.batches(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The batches of ``epoch`` from number ``start`` on, the same whatever was iterated before."""
        # The CPU's generator: its stream is the same whatever the device.
        generator = torch.Generator().manual_seed(_mix(self.seed, epoch))
        count = len(self.indices)
        order = self.indices[torch.randperm(count, generator=generator)] if self.shuffle else self.indices
        flips = torch.rand(count, generator=generator) < 0.5 if self.flip else None
        order = order.to(self.device)
        for number in range(start, len(self)):
            chosen = slice(number * self.batch_size, (number + 1) * self.batch_size)
            images, masks = self.image_set.batch(order[chosen])
            if flips is not None:
                mirrored = flips[chosen].to(self.device).view(-1, 1, 1, 1)
                images = torch.where(mirrored, images.flip(-1), images)
                masks = torch.where(mirrored, masks.flip(-1), masks)
            if self.augment is not None:
                # From 1, since a seed sequence takes a last 0 for none: that would be the generator of the order.
                own = torch.Generator().manual_seed(_mix(self.seed, epoch, number + 1))
                images, masks = self.augment(images, masks, own)
            yield images, masks

    def in_order(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Every image once, unshuffled, unflipped and complete, a batch at a time: the order of :attr:`groups`."""
        for indices in self.indices.to(self.device).split(self.batch_size):
            yield self.image_set.batch(indices)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.image_set.name!r}, split={self.split!r}, resolution={self.resolution}, "
            f"images={len(self.indices)}, batch_size={self.batch_size}, device='{self.device}')"
        )


def _mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers; neighbouring seeds, epochs and batches give unrelated streams."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def foreground_shares(loader: CompositeLoader) -> np.ndarray:
    """Per cent of each image's pixels that are chair, float64 [N] in unshuffled order (the paper's mean: 21.99)."""
    shares = [masks.mean(dim=(1, 2, 3), dtype=torch.float64) for _, masks in loader.in_order()]
    return 100 * torch.cat(shares).cpu().numpy()


def to_arrays(images: torch.Tensor, masks: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """A batch as numpy for figures: uint8 [B, d, d, 3], and the masks' single channel [B, d, d] as levels 0..255."""
    levels = [(tensor * 255).round().byte().cpu().numpy() for tensor in (images, masks)]
    return levels[0].transpose(0, 2, 3, 1), levels[1][:, 0]


def open_images(
    root: str | Path | Collection, split: str, resolution: int, device: torch.device, **options: Any
) -> ImageSet:
    """The images of ``root``: a folder in the authors' layout, or else a collection. Options as in :class:`CompositeSet`."""
    if not isinstance(root, Collection) and is_released(root):
        if options.pop("soft", False) or options:
            raise ParameterError(
                f"{root} holds finished composites: soft masks and {', '.join(options) or 'options'} need a collection."
            )
        return ReleasedChairSegments(root, split).image_set(resolution, device)
    collection = root if isinstance(root, Collection) else Collection(root)
    return CompositeSet(collection, split, resolution, device, **options)


class ChairSegments(torchvision.datasets.VisionDataset):
    """A split of a collection as a torchvision dataset: ``(Pillow RGB image, Pillow L mask of 0 and 255)``.

    Parameters: ``root`` a collection (``"mini"``, a folder or a :class:`Collection`); ``split`` train, val or test;
    ``resolution`` in pixels; ``transforms``, ``transform``, ``target_transform`` as everywhere in torchvision; options of
    :class:`CompositeSet` by name.

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
        self.composites = CompositeSet(collection, check_split(split), resolution, torch.device("cpu"), **options)

    def __len__(self) -> int:
        return len(self.composites)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"composite {index} of {len(self)}")
        images, masks = self.composites.batch(torch.tensor([index % len(self)]))
        image, mask = (_to_pillow(tensor[0]) for tensor in (images, masks))
        return self.transforms(image, mask) if self.transforms is not None else (image, mask)

    def extra_repr(self) -> str:
        parts = self.composites
        return (
            f"Split: {self.split}\nResolution: {self.resolution} x {self.resolution}, padding {padding(self.resolution)}\n"
            f"Segments: {len(parts.segments)}, backgrounds: {len(parts.backgrounds)}"
        )


def _to_pillow(image: torch.Tensor) -> Image.Image:
    """Float [C, H, W] of whole levels over 255 to a Pillow image: RGB for three channels, L for one."""
    levels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(levels.squeeze(-1) if levels.shape[-1] == 1 else levels)


#: Beside ``train/``, ``val/`` and ``test/``: what the images are, where they aren't composites. See :func:`read_note`.
NOTE = "source.json"
#: The ``source`` that the note of COCO's chairs names.
COCO_SOURCE = "coco_chairs"


def read_note(root: str | Path) -> dict[str, Any]:
    """What a folder in the authors' layout says of itself: ``source``, ``name``, and ``groups``, by split one label an image.

    ``{"source": "chair_segments"}`` without a note: composites. Raises :class:`CollectionError` for one that can't be read.
    """
    file = Path(root) / NOTE
    if not file.is_file():
        return {"source": "chair_segments"}
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        return {"source": str(note["source"]), "name": str(note["name"]), "groups": dict(note["groups"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CollectionError(f"{file} cannot be used ({error}); write the folder again.") from error


def is_released(root: str | Path) -> bool:
    """Whether ``root`` is a folder in the authors' layout, as :class:`ReleasedChairSegments` reads it."""
    return any((Path(root) / split / "image").is_dir() for split in SPLITS)


class ReleasedChairSegments(torchvision.datasets.VisionDataset):
    """Composites stored as the authors store them: ``DIR/{train,val,test}/{image,mask}/N.<ext>``, N an integer.

    Reads what :func:`export` writes, and so the authors' archives once unpacked (``Chair064`` and its like). Gives
    ``(Pillow RGB image, Pillow L mask of 0 and 255)``; a mask pixel is chair where its grey value exceeds 0.4 of the largest
    there can be (:func:`chairlib.compositing.masks.read_levels` says which encodings are understood).
    :class:`CompositeLoader` takes the same folder.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transforms: Callable | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ):
        super().__init__(str(root), transforms, transform, target_transform)
        self.split = check_split(split)
        folder = Path(root) / split
        if not (folder / "image").is_dir() or not (folder / "mask").is_dir():
            found = (
                ", ".join(sorted(path.name for path in Path(root).iterdir())[:8])
                if Path(root).is_dir()
                else "no such folder"
            )
            raise CollectionError(
                f"{folder} has no image/ and mask/ folders (in {root}: {found or 'nothing'}); "
                "name the folder that holds train/, val/ and test/."
            )
        self.images, self.masks = _numbered(folder / "image"), _numbered(folder / "mask")
        if self.images.keys() != self.masks.keys():
            odd = min(self.images.keys() ^ self.masks.keys())
            raise CollectionError(
                f"{folder}: number {odd} has an image or a mask but not both; unpack or export it again."
            )
        if not self.images:
            raise CollectionError(f"{folder / 'image'} holds no images named by a number; unpack or export it again.")
        self.numbers = sorted(self.images)
        note = read_note(root)
        self.name: str = note.get("name", Path(root).name)
        self.groups: list[str] | None = note["groups"].get(split) if "groups" in note else None
        if self.groups is not None and len(self.groups) != len(self.numbers):
            raise CollectionError(
                f"{Path(root) / NOTE} has {len(self.groups)} groups for {len(self.numbers)} {split} images; write the folder again."
            )

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        number = self.numbers[index]
        image = read_photo(self.images[number])
        levels = torch.from_numpy(np.array(read_levels(self.masks[number], image.size)))
        mask = _to_pillow(mask_from_opacity(levels)[None].float())
        return self.transforms(image, mask) if self.transforms is not None else (image, mask)

    def image_set(self, resolution: int, device: torch.device) -> StoredSet:
        """All images on ``device`` at ``resolution``: images resized antialiased, masks by nearest neighbour."""
        padding(resolution)
        size = (resolution, resolution)

        def read(number: int) -> np.ndarray:
            image = read_photo(self.images[number])
            mask = read_levels(self.masks[number], image.size)
            image = image.resize(size, Image.Resampling.BILINEAR)
            mask = mask.resize(size, Image.Resampling.NEAREST)
            return np.dstack([np.asarray(image), np.asarray(mask)])

        both = map_images(read, self.numbers, f"reading {self.split}")
        return StoredSet(both[:, :3], both[:, 3:], device, self.name, groups=self.groups)


def _numbered(folder: Path) -> dict[int, Path]:
    """The files named by a number, ``7.png`` or ``007.png``."""
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.stem.isdecimal() and (other := found.setdefault(int(path.stem), path)) != path:
            raise CollectionError(
                f"{folder} holds both {other.name} and {path.name}; a number names one file: remove one."
            )
    return found


def export(
    root: str | Path | Collection, out: str | Path, resolution: int = 64, *, soft: bool = False, **options: Any
) -> int:
    """Write every composite of a collection to files in the authors' layout; returns how many were written.

    ``out/{train,val,test}/image/N.png`` (RGB) and ``.../mask/N.png`` (grey: 0 and 255, or the opacity itself if ``soft``:
    both give the same mask under the 0.4 rule). ``out`` must not exist; it appears when all of it is written.
    """
    collection = root if isinstance(root, Collection) else Collection(root)
    cpu = torch.device("cpu")
    image_sets = {split: CompositeSet(collection, split, resolution, cpu, soft=soft, **options) for split in SPLITS}
    total = sum(len(image_set) for image_set in image_sets.values())
    with (
        atomic_folder(out) as folder,
        ThreadPoolExecutor() as pool,
        progress_bar(total=total, desc="exporting", unit="image", delay=1) as bar,
    ):
        for split, image_set in image_sets.items():
            for kind in ("image", "mask"):
                (folder / split / kind).mkdir(parents=True)
            for indices in torch.arange(len(image_set)).split(512):
                images, masks = image_set.batch(indices)
                jobs = [
                    pool.submit(_to_pillow(tensor).save, folder / split / kind / f"{index}.png")
                    for kind, tensors in (("image", images), ("mask", masks))
                    for index, tensor in zip(indices.tolist(), tensors, strict=True)
                ]
                for job in jobs:
                    job.result()
                bar.update(len(indices))
    return total
