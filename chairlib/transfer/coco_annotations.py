"""COCO's annotation files: photos with chairs, and the outlines of the chairs as pixels.

Outlines are polygons or run lengths, plain or compressed. They are drawn by pycocotools, which does not check what it
is given; so everything that it could fall over is checked here. It comes with ``pip install "chairlib[coco]"``.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chairlib.core.errors import ChairlibError, CollectionError

__all__ = ["Box", "CocoPhoto", "draw_mask", "outline_box", "read_photos", "unpack_runs"]

#: The largest photo, in pixels: pycocotools takes the memory for any size that a file states.
MAX_PIXELS = 10**8
#: Bits that are read of one compressed run length. Any photo needs fewer, and no file can make a number grow for ever.
_MAX_BITS = 35

#: Left, top, right and bottom in pixels, right and bottom excluded.
Box = tuple[int, int, int, int]


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
            f"{instances_json} is not as COCO writes instances ({type(error).__name__}: {error}); download it again."
        ) from error


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
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
    names = {category["id"]: category["name"] for category in content["categories"]}
    if "chair" not in names.values():
        found = ", ".join(map(str, list(names.values())[:8]))
        raise CollectionError(f"{file} has no category named 'chair' (found: {found or 'none'}); use COCO's own file.")
    records = {record["id"]: record for record in content["images"]}
    marked: dict[int, tuple[list[dict], list[dict]]] = {}
    for annotation in content["annotations"]:
        if names.get(annotation["category_id"]) == "chair":
            marked.setdefault(annotation["image_id"], ([], []))[bool(annotation.get("iscrowd", 0))].append(annotation)
    photos = {}
    for number, (chairs, crowds) in sorted(marked.items()):
        if chairs:
            record, identity = records[number], str(int(number))
            path, size = images_dir / record["file_name"], (record["width"], record["height"])
            if not all(type(side) is int and side > 0 for side in size) or math.prod(size) > MAX_PIXELS:
                raise ValueError(f"image {identity} has width and height {size}, of at most {MAX_PIXELS:,} pixels")
            photos[identity] = CocoPhoto(identity, path, *size, chairs, crowds)
    if not photos:
        raise CollectionError(f"{file} marks no chairs in its {len(records)} images; use a file that does.")
    missing = [photo.file for photo in photos.values() if not photo.file.is_file()]
    if missing:
        raise CollectionError(
            f"{images_dir} lacks {len(missing)} of the {len(photos)} photos with chairs in {file.name}, the first is "
            f"{missing[0].name}; download them, or name their folder."
        )
    return photos


def _coco_masks() -> Any:
    """The module that draws outlines. Raises :class:`ChairlibError` where it is not installed."""
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ChairlibError(
            f'COCO annotations need pycocotools ({error}); install it with: pip install "chairlib[coco]"'
        ) from error
    return mask


def _outline(photo: CocoPhoto, annotation: dict[str, Any]) -> dict[str, Any] | None:
    """An annotation's run lengths in COCO's packed form; None where it has no outline."""
    coco = _coco_masks()
    shape: Any = annotation.get("segmentation")
    try:
        size = [photo.height, photo.width]
        if isinstance(shape, list):
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
