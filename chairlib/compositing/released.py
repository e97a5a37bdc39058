"""The authors' layout on disk: folders of finished images and masks, read and written.

DIR/
    train/image/N.png   RGB
    train/mask/N.png    grey
    val/ test/          the same
    source.json         only where the images are not composites, see read_note
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from chairlib.collection import SPLITS, Collection
from chairlib.collection.opacity import MASK_OPACITY
from chairlib.compositing.blend import check_resolution
from chairlib.compositing.image_sets import CompositeSet, StoredSet, to_pillow
from chairlib.compositing.masks import read_levels, read_photo
from chairlib.compositing.packing import check_split, map_images
from chairlib.core.errors import CollectionError
from chairlib.core.files import atomic_folder
from chairlib.core.progress import progress_bar
from chairlib.core.vision import torchvision

__all__ = ["COCO_SOURCE", "NOTE", "ReleasedChairSegments", "export", "is_released", "read_note"]

#: Beside ``train/``, ``val/`` and ``test/``: what the images are, where they aren't composites. See :func:`read_note`.
NOTE = "source.json"
#: The ``source`` that the note of COCO's chairs names.
COCO_SOURCE = "coco_chairs"


def read_note(root: str | Path) -> dict[str, Any]:
    """The note in a folder in the authors' layout: ``source``, ``name``, and ``groups``, by split a label per image.

    Without a note: ``{"source": "chair_segments"}``. Raises :class:`CollectionError` for a note that can't be read.
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

    Reads what :func:`export` writes, and the authors' archives once unpacked (``Chair064`` and the others). Gives
    ``(Pillow RGB image, Pillow L mask of 0 and 255)``: chair where the level that
    :func:`chairlib.compositing.masks.read_levels` gives exceeds 0.4 of the largest possible one.
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
            names = (
                sorted(path.name for path in Path(root).iterdir())[:8] if Path(root).is_dir() else ["no such folder"]
            )
            raise CollectionError(
                f"{folder} has no image/ and mask/ folders (in {root}: {', '.join(names) or 'nothing'}); "
                "name the folder that holds train/, val/ and test/."
            )
        self.images, self.masks = _files_by_number(folder / "image"), _files_by_number(folder / "mask")
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
                f"{Path(root) / NOTE} has {len(self.groups)} groups for {len(self.numbers)} {split} images; "
                "write the folder again."
            )

    def __len__(self) -> int:
        return len(self.numbers)

    def _read(self, number: int) -> tuple[Image.Image, Image.Image]:
        """Image and opacity levels."""
        image = read_photo(self.images[number])
        return image, read_levels(self.masks[number], image.size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, levels = self._read(self.numbers[index])
        mask = levels.point(lambda level: 255 if level > MASK_OPACITY else 0)
        return self.transforms(image, mask) if self.transforms is not None else (image, mask)

    def image_set(self, resolution: int, device: torch.device) -> StoredSet:
        """All images on ``device`` at ``resolution``: images resized antialiased, masks by nearest neighbour."""
        check_resolution(resolution)
        size = (resolution, resolution)

        def read(number: int) -> np.ndarray:
            image, levels = self._read(number)
            resized = image.resize(size, Image.Resampling.BILINEAR), levels.resize(size, Image.Resampling.NEAREST)
            return np.dstack([np.asarray(part) for part in resized])

        both = map_images(read, self.numbers, f"reading {self.split}")
        return StoredSet(both[:, :3], both[:, 3:], device, self.name, groups=self.groups)


def _files_by_number(folder: Path) -> dict[int, Path]:
    """The files of ``folder`` that are named by a number, ``7.png`` or ``007.png``."""
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.stem.isdecimal() and (other := files.setdefault(int(path.stem), path)) != path:
            raise CollectionError(
                f"{folder} holds both {other.name} and {path.name}; a number names one file: remove one."
            )
    return files


def export(
    root: str | Path | Collection, out: str | Path, resolution: int = 64, *, soft: bool = False, **options: Any
) -> int:
    """Write every composite of a collection to ``out`` in the authors' layout; returns how many were written.

    Masks are 0 and 255, or the opacity itself if ``soft``, the same under the 0.4 rule. ``out`` must not exist; it
    appears when all of it is written. ``options`` are those of :class:`CompositeSet`.
    """
    collection = root if isinstance(root, Collection) else Collection(root)
    cpu = torch.device("cpu")
    composites = {split: CompositeSet(collection, split, resolution, cpu, soft=soft, **options) for split in SPLITS}
    total = sum(len(of_split) for of_split in composites.values())
    with (
        atomic_folder(out) as folder,
        ThreadPoolExecutor() as pool,
        progress_bar(total=total, desc="exporting", unit="image", delay=1) as bar,
    ):
        for split, of_split in composites.items():
            for kind in ("image", "mask"):
                (folder / split / kind).mkdir(parents=True)
            for indices in torch.arange(len(of_split)).split(512):
                for kind, tensors in zip(("image", "mask"), of_split.batch(indices), strict=True):
                    files = [folder / split / kind / f"{index}.png" for index in indices.tolist()]
                    list(pool.map(lambda tensor, file: to_pillow(tensor).save(file), tensors, files))
                bar.update(len(indices))
    return total
