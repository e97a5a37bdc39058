"""The authors' layout on disk: folders of finished images and masks.

DIR/
    train/image/N.png   RGB
    train/mask/N.png    grey
    val/ test/          the same
    source.json         what the images are and which belong together, where that is known, see read_note
"""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from chairlib.collection import SPLITS
from chairlib.compositing.masked_images import MaskedImages, files_by_key, list_folder, name_of, unread_files
from chairlib.compositing.masks import MaskReader
from chairlib.core.checks import check_choice
from chairlib.core.errors import CollectionError

#: Beside ``train/``, ``val/`` and ``test/``: what the images are, and their groups. See :func:`read_note`.
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


class ReleasedChairSegments(MaskedImages):
    """Composites stored as the authors store them: ``DIR/{train,val,test}/{image,mask}/N.<ext>``, N an integer.

    Reads what ``chairlib export`` writes, and the authors' archives once unpacked (``Chair064`` and the others). For
    what is given, and for ``transforms``, see :class:`MaskedImages` and
    :class:`chairlib.compositing.transforms.MaskedDataset`.
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
        check_choice("split", split, SPLITS)
        self.split = split
        folder = Path(root) / split
        if not (folder / "image").is_dir() or not (folder / "mask").is_dir():
            raise CollectionError(
                f"{folder} has no image/ and mask/ folders (in {root}: {list_folder(Path(root))}); "
                "name the folder that holds train/, val/ and test/."
            )
        masks = {each: files_by_key(Path(root) / each / "mask", _number, "a number") for each in SPLITS}
        self.images, self.masks = files_by_key(folder / "image", _number, "a number"), masks[split]
        for path in (*unread_files(folder / "image"), *unread_files(folder / "mask")):
            if _number(name_of(path)) not in (None, *self.images, *self.masks):
                raise CollectionError(f"{path} is no image of a format that is read; save it as PNG, or move it.")
        if self.images.keys() != self.masks.keys():
            odd = min(self.images.keys() ^ self.masks.keys())
            raise CollectionError(
                f"{folder}: number {odd} has an image or a mask but not both, looking at suffixes of images; unpack or "
                "export it again."
            )
        if not self.images:
            raise CollectionError(f"{folder / 'image'} holds no images named by a number; unpack or export it again.")
        self.numbers = sorted(self.images)
        # What a mask's values mean is decided over all splits, so that a model isn't scored on another class.
        self._reader = MaskReader(itertools.chain.from_iterable(map(dict.values, masks.values())), soft=True)
        note = read_note(root)
        self.name = note.get("name", Path(root).name)
        self.groups = note["groups"].get(split) if "groups" in note else None
        if self.groups is not None and len(self.groups) != len(self.numbers):
            raise CollectionError(
                f"{Path(root) / NOTE} has {len(self.groups)} groups for {len(self.numbers)} {split} images; "
                "write the folder again."
            )

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, index: int) -> tuple[Image.Image, Image.Image]:
        number = self.numbers[index]
        return self._reader.read(self.images[number], self.masks[number])


def _number(name: str) -> int | None:
    """The number that a file is named by, ``7`` or ``007``; None for other names."""
    return int(name) if name.isdecimal() else None
