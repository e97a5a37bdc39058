"""Object Discovery: photos of airplanes, cars and horses with masks, the paper's test of what chairs teach (section 5.3).

The official release unpacks to ``Data/{Airplane,Car,Horse}/ID.jpg`` with ``GroundTruth/ID.png`` for the labelled images
only, and to ``Data/{Airplane100,Car100,Horse100}/``, subsets of about 100 images. :class:`ObjectDiscovery` reads any folder
of that layout. Which images train, validate and test is decided by a protocol, named wherever a figure stands:

``authors``
    The labelled images of the full folder, sorted by id: the first 80 % train, the rest validate, and there is no test. On
    the release itself these are the id lists that the authors' code once held.
``subset100``
    The labelled images of the 100-image folder test; those of the full folder that aren't among them train and validate,
    80/20 in order of id. The one that can stand beside the literature's rows.
``folds``
    Five folds over the labelled images of the full folder, so that each is tested once: for small sets. Images are dealt
    to folds in the order of a hash of their id, so that folds are alike whatever the order of the ids means. (Frames of one
    video, where a folder has such, may land in several folds.)

A folder may say what it is in ``Data/source.json`` (:func:`photos_name`): the rendered stand-in does, so that a copy of it
keeps its name whatever the copy is called.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from chairlib.compositing.blend import check_resolution
from chairlib.compositing.image_sets import StoredSet
from chairlib.compositing.masks import read_mask, read_photo
from chairlib.compositing.packing import check_split, map_images
from chairlib.compositing.released import read_note
from chairlib.core import paths
from chairlib.core.devices import pick_device
from chairlib.core.errors import CollectionError, ParameterError
from chairlib.core.vision import torchvision

__all__ = [
    "CATEGORIES",
    "FOLDS",
    "PROTOCOLS",
    "MaskedPhotos",
    "ObjectDiscovery",
    "figure_ids",
    "photos_folder",
    "photos_name",
    "published_ids",
    "read_mask",
    "read_photo",
    "split_off",
    "stable_order",
]

#: Names of the categories in the order of the paper's tables, and the folders they live in.
CATEGORIES = {"car": "Car", "horse": "Horse", "airplane": "Airplane"}
#: Ways to say which images train, validate and test.
PROTOCOLS = ("authors", "subset100", "folds")
#: Folds of the protocol of that name.
FOLDS = 5

_MASKS = "GroundTruth"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff")
_SHOWN = 8


# -- files --------------------------------------------------------------------------------------------------------------


def photos_folder(root: str | Path) -> Path:
    """``root`` with ``~`` expanded. Raises :class:`ParameterError` for what names no folder."""
    if not isinstance(root, str | Path):
        raise ParameterError(f"the folder of the photos {root!r} must be a path; name the folder that holds Data/.")
    return Path(root).expanduser()


def photos_name(root: str | Path) -> str:
    """What the photos below ``root`` are called: as their ``source.json`` says, else as the folder that holds ``Data/``.

    Raises :class:`CollectionError` for a folder that is not in the release's layout, or a ``source.json`` that can't be read.
    """
    home = photos_folder(root).resolve()
    return read_note(_data_folder(home)).get("name", home.parent.name if home.name == "Data" else home.name)


def _listing(folder: Path) -> str:
    """What a folder holds, for a message."""
    if not folder.is_dir():
        return "not a folder" if folder.exists() else "no such folder"
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more


def _images_by_id(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their stem; empty where there is no folder."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise CollectionError(
                    f"{folder} holds both {found[path.stem].name} and {path.name}; an id names one file: remove one."
                )
            found[path.stem] = path
    return found


# -- splits -------------------------------------------------------------------------------------------------------------


def split_off(ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first 80 %, rounded down, and the rest: 448 and 113 of 561, as the authors' lists have it."""
    count = len(ids) * 4 // 5
    return list(ids[:count]), list(ids[count:])


def stable_order(ids: Iterable[str], salt: str = "") -> list[str]:
    """Shuffled by a hash of each id: the same order on every machine, whatever other ids there are."""
    return sorted(ids, key=lambda identity: hashlib.sha256(f"{salt}/{identity}".encode()).digest())


def _folds(ids: Sequence[str], fold: int) -> dict[str, list[str]]:
    """Fold ``fold`` tests; of the rest, in an order of the fold's own, the first tenth validates (at least one image)."""
    dealt = stable_order(ids)
    test = set(dealt[fold::FOLDS])
    rest = stable_order((identity for identity in ids if identity not in test), f"fold {fold}")
    count = max(1, len(rest) // 10)
    return {"train": sorted(rest[count:]), "val": sorted(rest[:count]), "test": sorted(test)}


def _read_ids(category: str, name: str) -> list[str]:
    file = paths.published / "object-discovery-splits" / f"{_check_category(category)}_{name}.txt"
    return file.read_text(encoding="utf-8").split()


def published_ids(category: str) -> dict[str, list[str]]:
    """The authors' own id lists of the full release: ``{"train": [...], "val": [...]}``."""
    return {split: _read_ids(category, split) for split in ("train", "val")}


def figure_ids(category: str) -> list[str]:
    """The ids that the paper's Figure 5 shows: four or five validation images of the ``authors`` protocol."""
    return _read_ids(category, "figure")


def _check_category(category: str) -> str:
    if not isinstance(category, str) or category not in CATEGORIES:
        raise ParameterError(f"category {category!r} is unknown; use one of {', '.join(CATEGORIES)}.")
    return category


def _check_protocol(protocol: str, split: str, fold: int) -> None:
    if protocol not in PROTOCOLS:
        raise ParameterError(f"protocol {protocol!r} is unknown; use one of {', '.join(PROTOCOLS)}.")
    check_split(split)
    if protocol == "authors" and split == "test":
        raise ParameterError(
            "protocol 'authors' has no test split: the paper's figures are most likely of 'val'. "
            "Use that, or protocol 'subset100' or 'folds'."
        )
    if protocol != "folds" and fold != 0:
        raise ParameterError(
            f"fold {fold!r} means something under protocol 'folds' only; leave it at 0 for {protocol!r}."
        )
    if isinstance(fold, bool) or fold not in range(FOLDS):
        raise ParameterError(f"fold {fold!r} is not a whole number from 0 to {FOLDS - 1}.")


# -- datasets -----------------------------------------------------------------------------------------------------------


class MaskedPhotos(torchvision.datasets.VisionDataset):
    """Base of photos with masks: ``(Pillow RGB image, Pillow L mask of 0 and 255)`` in their native size.

    A subclass gives :meth:`__len__` and :meth:`read`, and may set ``groups``, which hold what intervals resample together.
    """

    split: str
    name: str
    groups: list[str] | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def read(self, index: int) -> tuple[Image.Image, Image.Image]:
        """Image and mask number ``index``, untransformed."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        image, mask = self.read(index % len(self))
        return self.transforms(image, mask) if self.transforms is not None else (image, mask)

    def image_set(self, resolution: int = 64, device: str | torch.device = "auto") -> StoredSet:
        """All images on ``device``, squashed to ``resolution`` x ``resolution`` as in the paper; untransformed.

        Images are resized antialiased, masks by nearest neighbour. :class:`~chairlib.compositing.loader.CompositeLoader` takes it.
        """
        check_resolution(resolution)
        device = pick_device(device)
        size = (resolution, resolution)

        def read(index: int) -> np.ndarray:
            image, mask = self.read(index)
            image = image.resize(size, Image.Resampling.BILINEAR)
            return np.dstack([np.asarray(image), np.asarray(mask.resize(size, Image.Resampling.NEAREST))])

        both = map_images(read, range(len(self)), f"reading {self.name} {self.split}")
        return StoredSet(both[:, :3].contiguous(), both[:, 3:].contiguous(), device, self.name, groups=self.groups)


class ObjectDiscovery(MaskedPhotos):
    """One category and split of a folder in the layout of the Object Discovery release.

    Parameters
    ----------
    root: the folder that holds ``ObjectDiscovery-data/`` or ``Data/``, or ``Data/`` itself; ``~`` is expanded.
    category: ``"airplane"``, ``"car"`` or ``"horse"``.
    split: ``"train"``, ``"val"`` or ``"test"``.
    protocol: ``"authors"`` (no test), ``"subset100"`` or ``"folds"``; see the module.
    transforms, transform, target_transform: as everywhere in torchvision.
    fold: 0 to 4, the fold that tests under ``"folds"``.

    Gives ``(Pillow RGB image, Pillow L mask of 0 and 255)`` in their native size. Unlabelled images are left out; images
    without the object stay, their mask all black. ``ids`` names the images in order. Files are opened when asked for.
    """

    def __init__(
        self,
        root: str | Path,
        category: str,
        split: str = "train",
        protocol: str = "authors",
        transforms: Callable | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        *,
        fold: int = 0,
    ):
        _check_category(category)
        _check_protocol(protocol, split, fold)
        home = photos_folder(root)
        super().__init__(str(home), transforms, transform, target_transform)
        self.category, self.split, self.protocol, self.fold = category, split, protocol, fold
        #: Whether the labelled ids are those of the authors' lists, so that `authors` means their very split.
        self.is_published = False
        self.name = f"{photos_name(home)} {category}"
        self._files = self._choose(_data_folder(home))
        self.ids = list(self._files)

    def _choose(self, data: Path) -> dict[str, tuple[Path, Path]]:
        """(image, mask) of each id of the split, in order of id."""
        full = _labelled(data, CATEGORIES[self.category])
        ids = sorted(full)
        splits: dict[str, list[str]]
        if self.protocol == "folds":
            splits = _folds(ids, self.fold)
        elif self.protocol == "subset100":
            subset = _labelled(data, f"{CATEGORIES[self.category]}100")
            if self.split == "test":
                return dict(sorted(subset.items()))
            train, val = split_off(_outside(full, subset))
            splits = {"train": train, "val": val}
        else:
            published = published_ids(self.category)
            self.is_published = ids == published["train"] + published["val"]
            train, val = split_off(ids)
            splits = published if self.is_published else {"train": train, "val": val}
        if not splits[self.split]:
            counts = ", ".join(f"{len(chosen)} {split}" for split, chosen in splits.items())
            raise CollectionError(
                f"{data / CATEGORIES[self.category]}: protocol {self.protocol!r} leaves no images for {self.split!r} ({counts}, "
                f"of {len(ids)} labelled); choose another protocol, 'folds' suits small sets."
            )
        return {identity: full[identity] for identity in splits[self.split]}

    @property
    def files(self) -> list[tuple[Path, Path]]:
        """(image, mask) of each image, in the order of :attr:`ids`."""
        return list(self._files.values())

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, index: int) -> tuple[Image.Image, Image.Image]:
        image_file, mask_file = self._files[self.ids[index]]
        image = read_photo(image_file)
        return image, read_mask(mask_file, image.size)

    def extra_repr(self) -> str:
        fold = f", fold {self.fold} of {FOLDS}" if self.protocol == "folds" else ""
        lists = " (the authors' own id lists)" if self.is_published else ""
        return f"Category: {self.category}\nSplit: {self.split}\nProtocol: {self.protocol}{fold}{lists}"


def _data_folder(root: Path) -> Path:
    """The folder that holds the categories."""
    candidates = (root / "ObjectDiscovery-data" / "Data", root / "Data", root)
    for folder in candidates:
        if any((folder / f"{name}{end}").is_dir() for name in CATEGORIES.values() for end in ("", "100")):
            return folder
    if not root.is_dir():
        found = "it is not a folder" if root.exists() else "there is no such folder"
    else:
        wanted = ", ".join(f"{name}/" for name in CATEGORIES.values())
        found = f"none of {wanted} or their ...100/ is in ObjectDiscovery-data/Data/, in Data/ or in the folder itself"
        found += f", which holds: {_listing(root)}"
    raise CollectionError(
        f"{root} is not the Object Discovery release: {found}. Name the folder that Data/ was unpacked into."
    )


def _labelled(data: Path, folder_name: str) -> dict[str, tuple[Path, Path]]:
    """(image, mask) by id, of the images in a category's folder that have a mask."""
    folder = data / folder_name
    if not folder.is_dir():
        raise CollectionError(
            f"{data} has no folder {folder_name}/; it holds: {_listing(data)}. Unpack the release again."
        )
    images, masks = _images_by_id(folder), _images_by_id(folder / _MASKS)
    if not masks:
        raise CollectionError(
            f"{folder} has no labelled images: looked for {_MASKS}/ID.png, found {len(images)} images and, in {_MASKS}/: "
            f"{_listing(folder / _MASKS)}. Unpack the release again."
        )
    lost = sorted(masks.keys() - images.keys())
    if lost:
        raise CollectionError(
            f"{folder}: {len(lost)} of {len(masks)} masks have no image, the first is {_MASKS}/{masks[lost[0]].name}; "
            "unpack the release again, or remove those masks."
        )
    labelled = {identity: (images[identity], mask) for identity, mask in masks.items()}
    for file in itertools.chain.from_iterable(labelled.values()):
        _check_file(file)
    return labelled


def _check_file(path: Path) -> None:
    """Files are read in many places, so what can't be one is told here. Unlabelled images, which nobody reads, may be anything."""
    if not path.is_file():
        found = (
            "a folder" if path.is_dir() else "a link to a file that does not exist" if path.is_symlink() else "no file"
        )
        raise CollectionError(
            f"{path} is {found}, expected an image file; put that in its place, or remove it and its mask or image."
        )


def _outside(full: dict[str, tuple[Path, Path]], subset: dict[str, tuple[Path, Path]]) -> list[str]:
    """Sorted ids of ``full`` that are not in ``subset``, neither by id nor, in case ids differ, by the image's content."""
    taken: dict[int, set[bytes]] = {}
    for image, _ in subset.values():
        taken.setdefault(image.stat().st_size, set()).add(image.read_bytes())

    def is_taken(identity: str) -> bool:
        # Only a file of the same length can be equal, so that few of the full folder are opened.
        image = full[identity][0]
        alike = taken.get(image.stat().st_size)
        return identity in subset or (alike is not None and image.read_bytes() in alike)

    return [identity for identity in sorted(full) if not is_taken(identity)]
