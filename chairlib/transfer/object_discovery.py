"""Object Discovery: photos of cars, horses and airplanes with masks, the paper's test of pretraining (section 5.3).

The official release unpacks to ``Data/{Airplane,Car,Horse}/ID.jpg`` with ``GroundTruth/ID.png`` for the labelled images
only, and to ``Data/{Airplane100,Car100,Horse100}/``, subsets of about 100 images. :class:`ObjectDiscovery` reads any
folder of that layout, with categories of one's own too: each folder with a ``GroundTruth/`` is one, by its name in
lower case. A protocol (:mod:`chairlib.transfer.protocols`) decides which images train, validate and test.

``Data/source.json`` may say what a folder is (:func:`photos_name`): a copy of the stand-in keeps its name.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from chairlib.compositing.masked_images import MaskedImages, files_by_key, list_folder, name_of, unread_files
from chairlib.compositing.masks import MaskReader
from chairlib.compositing.released import read_note
from chairlib.core.errors import CollectionError, ParameterError
from chairlib.transfer.protocols import (
    CATEGORIES,
    FOLDS,
    check_protocol,
    fold_ids,
    published_ids,
    split_off,
)

_MASKS = "GroundTruth"


def photos_folder(root: str | Path) -> Path:
    """``root`` with ``~`` expanded. Raises :class:`ParameterError` for what names no folder."""
    if not isinstance(root, str | Path):
        raise ParameterError(f"the folder of the photos {root!r} must be a path; name the folder that holds Data/.")
    return Path(root).expanduser()


def photos_name(root: str | Path) -> str:
    """What the photos below ``root`` are called: as their ``source.json`` says, or as the folder of ``Data/``.

    Raises :class:`CollectionError` for another layout, and for a ``source.json`` that cannot be read.
    """
    home = photos_folder(root).resolve()
    data, _ = _look_into(home)
    home = data if (data, data.name) == (home.parent, "Data") else home  # for a category's own folder
    return read_note(data).get("name", home.parent.name if home.name == "Data" else home.name)


def categories_of(root: str | Path) -> list[str]:
    """The categories below ``root``; of a category's own folder, that one. Raises as :func:`photos_name` does."""
    return list(_look_into(photos_folder(root))[1])


class ObjectDiscovery(MaskedImages):
    """One category and split of a folder in the layout of the Object Discovery release.

    Parameters
    ----------
    root: the folder that holds ``ObjectDiscovery-data/`` or ``Data/``, or ``Data/`` itself, or a category's own folder;
    ``~`` is expanded.
    category: ``"airplane"``, ``"car"``, ``"horse"``, or another folder that is there; the only one by default.
    split: ``"train"``, ``"val"`` or ``"test"``.
    protocol: ``"authors"`` (no test), ``"subset100"`` or ``"folds"``; see :mod:`chairlib.transfer.protocols`.
    transforms, transform, target_transform: see :class:`chairlib.compositing.transforms.MaskedDataset`.
    fold: 0 to 4, the fold that tests under ``"folds"``.

    Gives ``(Pillow RGB image, Pillow L mask of 0 and 255)`` in their native size. Unlabelled images are left out;
    images without the object stay, with a black mask. ``ids`` names the images in order.
    """

    def __init__(
        self,
        root: str | Path,
        category: str | None = None,
        split: str = "train",
        protocol: str = "authors",
        transforms: Callable | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        *,
        fold: int = 0,
    ):
        if not isinstance(category, str | None):
            raise ParameterError(f"category {category!r} must be text; name a folder of photos, as 'car'.")
        check_protocol(protocol, split, fold)
        home = photos_folder(root)
        super().__init__(str(home), transforms, transform, target_transform)
        data, folders = _look_into(home)
        if category is None and len(folders) != 1:
            raise ParameterError(f"a category is missing: {data} has {', '.join(folders) or 'none'}; name one of them.")
        self.category = next(iter(folders)) if category is None else category.lower()
        found = folders.get(self.category, [])
        if len(found) != 1:
            what = f"both {' and '.join(found)}" if found else f"no category {self.category!r}"
            raise CollectionError(
                f"{data} has {what}; it has {', '.join(folders) or 'none'}. Name one: a folder's name in lower case."
            )
        self.split, self.protocol, self.fold = split, protocol, fold
        #: Whether the labelled ids are those of the authors' lists, so that `authors` means their very split.
        self.is_published = False
        name = photos_name(home)  # of a category's own folder, it may be that of the category
        self.name = name if name.lower() == self.category else f"{name} {self.category}"
        self._files = self._find_files(data, found[0])
        self.ids = list(self._files)

    def _find_files(self, data: Path, folder_name: str) -> dict[str, tuple[Path, Path]]:
        """(image, mask) of each id of the split, in order of id."""
        files = full = _labelled(data, folder_name)
        ids = sorted(full)
        if self.protocol == "folds":
            splits = fold_ids(ids, self.fold)
        elif self.protocol == "subset100":
            subset = _labelled(data, f"{folder_name}100")
            train, val = split_off(_ids_outside(full, subset))
            splits, files = {"train": train, "val": val, "test": sorted(subset)}, full | subset
        else:
            splits = published_ids(self.category)
            self.is_published = ids == splits["train"] + splits["val"]
            if not self.is_published:
                splits = dict(zip(("train", "val"), split_off(ids), strict=True))
        if not splits[self.split]:
            counts = ", ".join(f"{len(chosen)} {split}" for split, chosen in splits.items())
            raise CollectionError(
                f"{data / folder_name}: protocol {self.protocol!r} leaves no images for {self.split!r} ({counts}, of "
                f"{len(ids)} labelled); choose another protocol, 'folds' suits small sets."
            )
        # What a mask's values mean is decided over all labelled images of a folder, not over those of one split.
        masks = sorted(mask for _, mask in files.values())
        by_folder = itertools.groupby(masks, key=lambda mask: mask.parent)
        self._readers = {folder: MaskReader(of_folder) for folder, of_folder in by_folder}
        return {identity: files[identity] for identity in splits[self.split]}

    @property
    def files(self) -> list[tuple[Path, Path]]:
        """(image, mask) of each image, in the order of ``ids``."""
        return list(self._files.values())

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, index: int) -> tuple[Image.Image, Image.Image]:
        photo, mask = self._files[self.ids[index]]
        return self._readers[mask.parent].read(photo, mask)

    def extra_repr(self) -> str:
        fold = f", fold {self.fold} of {FOLDS}" if self.protocol == "folds" else ""
        lists = " (the authors' own id lists)" if self.is_published else ""
        return f"Category: {self.category}\nSplit: {self.split}\nProtocol: {self.protocol}{fold}{lists}"


def _look_into(root: Path) -> tuple[Path, dict[str, list[str]]]:
    """The folder that holds the categories, and the names of their folders by category, in lower case.

    Where ``root`` is itself the folder of a category, only that one.
    """
    for data in (root / "ObjectDiscovery-data" / "Data", root / "Data", root):
        if folders := _folders_with_masks(data):
            # Car100/ is a subset of a category, whether Car/ is there or not.
            whole = {*CATEGORIES, *folders}
            is_subset = {name: name.endswith("100") and name[:-3] in whole for name in folders}
            return data, {name: found for name, found in folders.items() if not is_subset[name]}
    if (root / _MASKS).is_dir():
        folder = root.resolve()
        return folder.parent, {folder.name.lower(): [folder.name]}
    found = "it is not a folder" if root.exists() else "there is no such folder"
    if root.is_dir():
        wanted = ", ".join(f"{name}/" for name in CATEGORIES.values())
        found = (
            f"neither {wanted} nor another folder with {_MASKS}/ is in ObjectDiscovery-data/Data/, in Data/ or in the "
        )
        found += f"folder itself, which holds: {list_folder(root)}"
    raise CollectionError(
        f"{root} is not the Object Discovery release: {found}. Name the folder that Data/ was unpacked into."
    )


def _folders_with_masks(data: Path) -> dict[str, list[str]]:
    """The names of the folders in ``data`` that are the release's, or hold masks, by their name in lower case."""
    folders: dict[str, list[str]] = {}
    for path in sorted(data.iterdir()) if data.is_dir() else []:
        name = path.name.lower()
        if path.is_dir() and (name.removesuffix("100") in CATEGORIES or (path / _MASKS).is_dir()):
            folders.setdefault(name, []).append(path.name)
    return folders


def _labelled(data: Path, folder_name: str) -> dict[str, tuple[Path, Path]]:
    """(image, mask) by id, of the images in a category's folder that have a mask."""
    folder = data / folder_name
    if not folder.is_dir():
        raise CollectionError(
            f"{data} has no folder {folder_name}/; it holds: {list_folder(data)}. Unpack the release again."
        )
    images, masks = (files_by_key(place, str, "an id") for place in (folder, folder / _MASKS))
    if not masks:
        raise CollectionError(
            f"{folder} has no labelled images: looked for {_MASKS}/ID.png, found {len(images)} images and, in "
            f"{_MASKS}/: {list_folder(folder / _MASKS)}. Unpack the release again."
        )
    lost = sorted(masks.keys() - images.keys())
    if lost:
        raise CollectionError(
            f"{folder}: {len(lost)} of {len(masks)} masks have no image, the first is {_MASKS}/{masks[lost[0]].name}; "
            "unpack the release again, or remove those masks."
        )
    photos = {*images, *map(name_of, unread_files(folder))}
    for path in unread_files(folder / _MASKS):
        if name_of(path) in photos - masks.keys():
            raise CollectionError(
                f"{path} has the name of a photo, but is no image of a format that is read; save it as PNG, or move it."
            )
    labelled = {identity: (images[identity], mask) for identity, mask in masks.items()}
    for path in itertools.chain.from_iterable(labelled.values()):
        if not path.is_file():
            no_file = "a link to a file that does not exist" if path.is_symlink() else "no file"
            raise CollectionError(
                f"{path} is {'a folder' if path.is_dir() else no_file}, expected an image file; put that in its place, "
                "or remove it and its mask or image."
            )
    return labelled


def _ids_outside(full: dict[str, tuple[Path, Path]], subset: dict[str, tuple[Path, Path]]) -> list[str]:
    """Sorted ids of ``full`` that are not in ``subset``, neither by id nor by the content of their image."""
    taken = {image.read_bytes() for image, _ in subset.values()}
    sizes = {len(content) for content in taken}

    def is_taken(image: Path) -> bool:
        # Only a file of the same length can be equal, so that few of the full folder are opened.
        return image.stat().st_size in sizes and image.read_bytes() in taken

    return [identity for identity in sorted(full) if identity not in subset and not is_taken(full[identity][0])]
