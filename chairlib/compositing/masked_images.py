"""Base of the datasets of images with masks that lie in files, and what they need to look into folders."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from chairlib.collection.images import is_image_name
from chairlib.compositing.blend import check_resolution, mask_from_opacity
from chairlib.compositing.image_sets import StoredSet, to_pillow
from chairlib.compositing.packing import map_images
from chairlib.compositing.transforms import MaskedDataset
from chairlib.core.devices import pick_device
from chairlib.core.errors import CollectionError
from chairlib.core.files import is_leftover

K = TypeVar("K", int, str)

#: Suffixes of what people write beside images.
_TEXTS = (".txt", ".md", ".json", ".xml", ".csv", ".html", ".log")
#: How many names of a folder a message shows.
_SHOWN = 8


class MaskedImages(MaskedDataset):
    """Images with masks: ``(Pillow RGB image, Pillow L mask of 0 and 255)``, each in the size of its file.

    A subclass has ``__len__`` and :meth:`read`, and sets ``split`` and ``name``. It may set ``groups``, one label
    per image: intervals resample images of a label together.
    """

    split: str
    name: str
    groups: list[str] | None = None

    def read(self, index: int) -> tuple[Image.Image, Image.Image]:
        """Image and mask number ``index``, untransformed. The mask, mode L, is object where it exceeds 0.4 of 255."""
        raise NotImplementedError

    def untransformed(self, index: int) -> tuple[Image.Image, Image.Image]:
        image, levels = self.read(index)
        return image, to_pillow(mask_from_opacity(torch.from_numpy(np.array(levels)))[None].float())

    def image_set(self, resolution: int = 64, device: str | torch.device = "auto") -> StoredSet:
        """All images for ``device``, squashed to ``resolution`` x ``resolution`` as in the paper; untransformed.

        Images are resized antialiased, masks by nearest neighbour. :class:`chairlib.CompositeLoader` takes the result.
        """
        check_resolution(resolution)
        device = pick_device(device)
        size = (resolution, resolution)

        def read(index: int) -> np.ndarray:
            image, mask = self.read(index)
            image = image.resize(size, Image.Resampling.BILINEAR)
            return np.dstack([np.asarray(image), np.asarray(mask.resize(size, Image.Resampling.NEAREST))])

        both = map_images(read, range(len(self)), f"reading {self.name} {self.split}")
        return StoredSet(both[:, :3], both[:, 3:], device, self.name, groups=self.groups)


def files_by_key(folder: Path, key: Callable[[str], K | None], noun: str) -> dict[K, Path]:
    """The images of a folder by ``key`` of their name without suffix, sorted by name; empty without a folder.

    A name is the same however its accents are stored, as systems differ in that. What a system left behind, and files
    whose suffix is no image's, are passed over. Raises :class:`CollectionError` where the key of an image is None, or
    two have the same; ``noun`` says what a key is, as ``"a number"``.
    """
    files: dict[K, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if is_leftover(path.name) or not is_image_name(path):
            continue
        value = key(name_of(path))
        if value is None:
            raise CollectionError(
                f"{path} is not named by {noun}, as images here are; rename it, or move it elsewhere."
            )
        if (other := files.setdefault(value, path)) != path:
            raise CollectionError(
                f"{folder} holds both {other.name} and {path.name}; {noun} names one file: remove one."
            )
    return files


def name_of(path: Path) -> str:
    """The name of a file without its suffix, the same however its accents are stored."""
    return unicodedata.normalize("NFC", path.stem)


def unread_files(folder: Path) -> list[Path]:
    """The files of a folder that may hold images or masks, in formats that are not read (``.npy``, ``.heic``, ...)."""
    files = sorted(path for path in folder.iterdir() if not is_leftover(path.name)) if folder.is_dir() else []
    return [path for path in files if path.suffix.lower() not in ("", *_TEXTS) and not is_image_name(path)]


def list_folder(folder: Path) -> str:
    """What a folder holds, for a message: up to eight names, or why there are none."""
    if not folder.is_dir():
        return "not a folder" if folder.exists() else "no such folder"
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more
