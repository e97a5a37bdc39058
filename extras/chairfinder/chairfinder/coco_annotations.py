"""COCO's annotation files: photos with chairs, and the outlines of the chairs as pixels.

Outlines are polygons or run lengths, plain or compressed. They are drawn by pycocotools, which does not check what it
is given; so everything that it could fall over is checked here. It comes with ``pip install "chairfinder[coco]"``.
"""

import json
import math
import os
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from chairfinder.boxes import Box
from chairfinder.names import find_file
from chairlib.core.errors import ChairlibError, CollectionError

#: The largest photo, in pixels: pycocotools takes the memory for any size that a file states.
MAX_PIXELS = 10**8
#: Bits that are read of one compressed run length. Any photo needs fewer, and no file can make a number grow for ever.
_MAX_BITS = 35

#: What every image of a chair must have.
_FIELDS = ("file_name", "width", "height")


@dataclass(frozen=True)
class CocoPhoto:
    """A photo with chairs: its file, its size in pixels, and its annotations."""

    identity: str
    file: Path
    width: int
    height: int
    chairs: list[dict[str, Any]]
    crowds: list[dict[str, Any]]


def read_photos(images_dir: Path, instances_json: Path) -> dict[str, CocoPhoto]:
    """The photos that hold a chair that is not part of a crowd, by id.

    Raises :class:`CollectionError` for a file that is not as COCO writes it, and where photos are missing.
    """
    try:
        return _find_chairs(_load(instances_json), images_dir, instances_json)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CollectionError(
            f"{instances_json} is not as COCO writes instances ({type(error).__name__}: {error}); export it "
            "again, or download it."
        ) from error


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())  # in any encoding of Unicode, with or without a byte-order mark
    except OSError as error:
        raise CollectionError(f"{file} cannot be read ({error.strerror}); name COCO's instances_....json.") from error
    except (ValueError, RecursionError) as error:
        raise CollectionError(f"{file} is not JSON ({error}); download it again.") from error
    wanted = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in wanted):
        found = ", ".join(list(content)[:8]) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise CollectionError(
            f"{file} has no lists named {', '.join(wanted)} (found: {found or 'nothing'}); "
            "name COCO's instances_....json."
        )
    return content


def _find_chairs(content: dict[str, Any], images_dir: Path, file: Path) -> dict[str, CocoPhoto]:
    names: dict[str, str] = {}
    for category in content["categories"]:
        identity, name = _identity(category["id"]), str(category["name"])
        if (other := names.setdefault(identity, name)) != name:
            raise CollectionError(
                f"{file}: category id {identity} is that of {other} and of {name}, as where files are joined; number "
                "the categories anew."
            )
    chair_ids = {identity for identity, name in names.items() if name.strip().lower() == "chair"}
    if not chair_ids:
        found = ", ".join(list(names.values())[:8])
        raise CollectionError(f"{file} has no category named 'chair' (found: {found or 'none'}); use COCO's own file.")
    records: dict[str, dict[str, Any]] = {}
    for record in content["images"]:
        identity = _identity(record["id"])
        texts = [_photo_text(each) for each in (records.setdefault(identity, record), record)]
        if texts[0] != texts[1]:
            raise CollectionError(
                f"{file}: image id {identity} is that of {' and of '.join(texts)}, as where files are joined, so "
                "outlines of one would be cut from the other; number the images anew."
            )
    marked: dict[str, tuple[list[dict], list[dict]]] = {}
    for annotation in content["annotations"]:
        if _identity(annotation["category_id"]) in chair_ids:
            chairs, crowds = marked.setdefault(_identity(annotation["image_id"]), ([], []))
            (crowds if _is_true(annotation.get("iscrowd")) else chairs).append(annotation)
    photos: dict[str, CocoPhoto] = {}
    for identity, (chairs, crowds) in sorted(marked.items(), key=lambda entry: natural_order(entry[0])):
        if chairs:
            if identity not in records:
                raise ValueError(f"annotation {chairs[0].get('id')} is of image {identity}, which images does not list")
            record = records[identity]
            absent = [key for key in _FIELDS if record.get(key) is None]
            if absent:
                raise ValueError(f"image {identity} has no {' and no '.join(absent)}, which every image needs")
            width, height = (int(_identity(record[side])) for side in ("width", "height"))
            if not (width > 0 and height > 0 and width * height <= MAX_PIXELS):
                raise ValueError(
                    f"image {identity} has width and height {width, height}, of at most {MAX_PIXELS:,} pixels"
                )
            path = find_file(images_dir, str(record["file_name"]))
            photos[identity] = CocoPhoto(identity, path, width, height, chairs, crowds)
    if not photos:
        raise CollectionError(f"{file} marks no chairs in its {len(records)} images; use a file that does.")
    missing = [photo.file for photo in photos.values() if not os.path.isfile(photo.file)]
    if missing:
        raise CollectionError(
            f"{images_dir} lacks {len(missing)} of the {len(photos)} photos with chairs in {file.name}, the first is "
            f"{str(missing[0]).removeprefix(f'{images_dir}/')}; download them, or name the folder from which the file "
            "names them."
        )
    shared = Counter(photo.file for photo in photos.values()).most_common(1)[0]
    if shared[1] > 1:
        both = ", ".join(photo.identity for photo in photos.values() if photo.file == shared[0])
        raise CollectionError(
            f"{file}: images {both} are one file, {shared[0].name}, so chairs of one would be background in the other; "
            "join them."
        )
    return photos


def _identity(value: Any) -> str:
    """An id as text: tools write 7, "7" and 7.0 for the same. Raises ValueError for what is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
        raise ValueError(f"{value!r} is no id or number")
    text = str(value).strip().removesuffix(".0")
    return str(int(text)) if text.isdecimal() else text


def _is_true(value: Any) -> bool:
    """A flag, however tools write it. Raises ValueError for what is none."""
    text = str(value).strip().lower()
    if text not in ("none", "", "0", "1", "false", "true"):
        raise ValueError(f"iscrowd {value!r} is neither 0 nor 1")
    return text in ("1", "true")


def _photo_text(record: dict[str, Any]) -> str:
    return f"{record.get('file_name')} ({record.get('width')} x {record.get('height')})"


def natural_order(identity: str) -> tuple[bool, int, str]:
    """The key that sorts ids as numbers, and those that are none after them."""
    return not identity.isdecimal(), int(identity) if identity.isdecimal() else 0, identity


def box_region(annotation: dict[str, Any]) -> dict[str, Any]:
    """The box of a chair without an outline, as a crowd region: nobody knows which of its pixels are the chair."""
    left, top, width, height = annotation["bbox"]
    corners = [left, top, left + width, top, left + width, top + height, left, top + height]
    return {"id": annotation.get("id"), "segmentation": [corners]}


def _coco_masks() -> Any:
    """The module that draws outlines. Raises :class:`ChairlibError` where it is not installed."""
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ChairlibError(
            f'COCO annotations need pycocotools ({error}); install it with: pip install "chairfinder[coco]"'
        ) from error
    return mask


def _outline(photo: CocoPhoto, annotation: dict[str, Any]) -> dict[str, Any] | None:
    """An annotation's run lengths in COCO's packed form; None where it has no outline."""
    coco = _coco_masks()
    shape: Any = annotation.get("segmentation")
    try:
        size = [photo.height, photo.width]
        if shape is None:
            return None
        if isinstance(shape, list):
            shape = _flat_polygons(shape)
            # Fewer than three corners enclose nothing, and pycocotools would take four numbers for a box.
            polygons = [polygon for polygon in shape if len(polygon) >= 6]
            # It walks along every edge, however far away, and takes NaN for a number.
            reach = 2 * max(size)
            if not all(len(one) % 2 == 0 and all(-reach <= place <= reach for place in one) for one in polygons):
                raise ValueError("a polygon's corners are not pairs of numbers in or about the photo")
            return coco.merge(coco.frPyObjects(polygons, *size)) if polygons else None
        if list(shape["size"]) != size:
            raise ValueError(f"run lengths are for {shape['size']}, height and width are {size[0]}, {size[1]}")
        runs = unpack_runs(shape["counts"]) if isinstance(shape["counts"], str) else list(shape["counts"])
        # It does not check that they cover the photo exactly, and reads memory beyond the end.
        if not all(type(length) is int and length >= 0 for length in runs) or sum(runs) != math.prod(size):
            raise ValueError(f"run lengths must be whole numbers that add up to {math.prod(size):,} pixels")
        return coco.frPyObjects({"size": size, "counts": runs}, *size)
    except Exception as error:  # pycocotools raises bare Exception
        raise CollectionError(
            f"annotation {annotation.get('id')} of {photo.file.name} has no readable outline ({error}); "
            "download the annotations again."
        ) from error


def _flat_polygons(shape: list[Any]) -> list[Any]:
    """Polygons as lists x, y, x, y, ...: some tools write corners as pairs, or a single polygon without a list."""
    if any(isinstance(part, dict) for part in shape):
        raise ValueError("its corners are objects, expected lists of numbers")
    if any(not isinstance(part, list) for part in shape):
        return [shape]
    if len(shape) >= 3 and all(len(part) == 2 and not isinstance(part[0], list) for part in shape):
        shape = [shape]
    return [list(chain.from_iterable(part)) if part and isinstance(part[0], list) else part for part in shape]


def unpack_runs(packed: str) -> list[int]:
    """The run lengths in a text of COCO's compressed form.

    Each character has 5 bits of a number, and one bit that says whether more follow. From the fourth number on, a
    number is the difference to the one two places before. Raises ValueError for a text that is not of this form.
    """
    runs: list[int] = []
    value = shift = 0
    for character in packed:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift >= _MAX_BITS:
            raise ValueError("compressed run lengths hold a character or a number that is none")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits >> 4 & 1) << shift  # the last character's highest bit is the sign
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("compressed run lengths end within a number")
    return runs


def outline_box(photo: CocoPhoto, annotation: dict[str, Any]) -> Box | None:
    """The box around an annotation's pixels; None where it has none."""
    coco, outline = _coco_masks(), _outline(photo, annotation)
    if outline is None or not coco.area(outline):
        return None
    left, top, width, height = (int(value) for value in coco.toBbox(outline))
    return left, top, left + width, top + height


def draw_mask(photo: CocoPhoto, annotations: list[dict[str, Any]]) -> np.ndarray:
    """The pixels inside any of the outlines: bool [height, width]."""
    outlines = [outline for one in annotations if (outline := _outline(photo, one)) is not None]
    if not outlines:
        return np.zeros((photo.height, photo.width), bool)
    coco = _coco_masks()
    return coco.decode(coco.merge(outlines)).astype(bool)
