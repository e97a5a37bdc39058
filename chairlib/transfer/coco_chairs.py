"""Chairs out of COCO's photos, as a pretraining source beside Chair Segments (the paper's section 5.3).

An annotation file in COCO's own format (``instances_train2017.json``) marks chairs by polygons or run lengths. Each chair, or
group of chairs whose boxes overlap, gives one square crop of its photo; the mask is every chair within the crop. Crops are
left out by rules with a name:

``small``
    the crop's shorter side is below ``least_side`` pixels of the photo;
``sparse``
    chairs cover less than the share ``least_share`` of the crop;
``crowd``
    a crowd region touches the crop: COCO marks heaps of chairs as a whole there, so that neither chair nor background can
    be told;
``repeated``
    it is the same crop as that of another group.

Annotations whose outline holds no pixel count as ``empty``. Needs pycocotools: ``pip install "chairlib[coco]"``.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from chairlib.compositing.released import COCO_SOURCE, NOTE
from chairlib.core.errors import ChairlibError, CollectionError, ImageError, ParameterError
from chairlib.core.files import atomic_folder, write_json
from chairlib.core.progress import progress_bar
from chairlib.transfer.object_discovery import MaskedPhotos, read_photo, split_off, stable_order

__all__ = ["REASONS", "CocoChairs", "export"]
#: Why a crop (or, of ``empty``, an annotation) is left out.
REASONS = ("small", "sparse", "crowd", "repeated", "empty")

#: The largest photo whose masks are made, in pixels: pycocotools takes the memory for any size that a file states.
MAX_PIXELS = 10**8
#: Bits that are read of one compressed run length: more than any photo needs, so that no file makes a number grow without end.
_MAX_BITS = 35

#: Left, top, right and bottom in pixels, right and bottom excluded.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Photo:
    """A photo with chairs: its file, size and annotations."""

    identity: str
    file: Path
    width: int
    height: int
    chairs: list[dict[str, Any]]
    crowds: list[dict[str, Any]]


@dataclass(frozen=True)
class _Crop:
    photo: _Photo
    box: Box


class CocoChairs(MaskedPhotos):
    """Square crops around the chairs of COCO photos.

    Parameters
    ----------
    images_dir: the folder of the photos, named as in the annotation file; ``~`` is expanded here and in ``instances_json``.
    instances_json: annotations in COCO's format, with a category named "chair".
    split: ``"train"`` or ``"val"``: 80 % and 20 % of the photos, in an order given by a hash of their ids. No test.
    transforms, transform, target_transform: as everywhere in torchvision.
    margin: free space on each side of a chair or group, as a share of the longer side of its box.
    least_side, least_share: which crops are too small, see the module; 0 for no limit.

    Gives ``(Pillow RGB image, Pillow L mask of 0 and 255)``. A square that would reach beyond the photo is moved inside it;
    where the photo is too short for it, the crop is as high (or wide) as the photo and :meth:`image_set` squashes it.
    ``groups`` has the photo's id of each crop; ``n_left_out`` counts what this split left out by reason.
    """

    def __init__(
        self,
        images_dir: str | Path,
        instances_json: str | Path,
        split: str = "train",
        transforms: Callable | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        *,
        margin: float = 0.1,
        least_side: int = 32,
        least_share: float = 0.1,
    ):
        _check_options(split, margin, least_side, least_share)
        folder, file = Path(images_dir).expanduser(), Path(instances_json).expanduser()
        super().__init__(str(folder), transforms, transform, target_transform)
        self.split, self.margin, self.least_side, self.least_share = split, margin, least_side, least_share
        self.name = f"COCO chairs ({file.stem})"
        photos = _read_photos(folder, file)
        train, val = split_off(stable_order(photos))
        chosen = sorted(train if split == "train" else val, key=int)
        left_out: Counter[str] = Counter()
        bar = progress_bar(chosen, f"cropping {split} chairs", unit="image", delay=1, leave=False)
        self._crops = [crop for identity in bar for crop in self._crop(photos[identity], left_out)]
        self.n_left_out: dict[str, int] = {reason: left_out[reason] for reason in REASONS}
        if not self._crops:
            counts = ", ".join(f"{count} {reason}" for reason, count in self.n_left_out.items() if count)
            raise CollectionError(
                f"{file}: no crops for {split!r} from {len(chosen)} of {len(photos)} photos with chairs (left out: "
                f"{counts or 'none'}); give more photos, or lower least_side and least_share."
            )
        self.groups = [crop.photo.identity for crop in self._crops]

    def __len__(self) -> int:
        return len(self._crops)

    def read(self, index: int) -> tuple[Image.Image, Image.Image]:
        photo, box = self._crops[index].photo, self._crops[index].box
        image = read_photo(photo.file)
        if image.size != (photo.width, photo.height):
            raise ImageError(
                f"{photo.file} is {image.size[0]} x {image.size[1]} pixels, its annotations are for {photo.width} x {photo.height}; "
                "use the photos that the annotations were made for, unscaled."
            )
        mask = Image.fromarray(_mask(photo, photo.chairs).astype(np.uint8) * 255)
        return image.crop(box), mask.crop(box)

    def extra_repr(self) -> str:
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.n_left_out.items())
        return (
            f"Split: {self.split}\nPhotos: {len(set(self.groups or []))}\nLeft out: {left_out}\n"
            f"Margin: {self.margin}, least side: {self.least_side}, least share: {self.least_share}"
        )

    def _crop(self, photo: _Photo, left_out: Counter[str]) -> list[_Crop]:
        """The crops of a photo; those that a rule leaves out are counted."""
        boxes = [_outline_box(photo, chair) for chair in photo.chairs]
        left_out["empty"] += boxes.count(None)
        groups = _merge_boxes([box for box in boxes if box is not None])
        if not groups:
            return []
        chairs, crowds = _mask(photo, photo.chairs), _mask(photo, photo.crowds)
        kept: list[_Crop] = []
        for group in groups:
            crop = _Crop(photo, _square(group, self.margin, photo.width, photo.height))
            left, top, right, bottom = crop.box
            inside = (slice(top, bottom), slice(left, right))
            if min(right - left, bottom - top) < self.least_side:
                left_out["small"] += 1
            elif crowds[inside].any():
                left_out["crowd"] += 1
            elif chairs[inside].mean() < self.least_share:
                left_out["sparse"] += 1
            elif crop in kept:
                left_out["repeated"] += 1
            else:
                kept.append(crop)
        return kept


def _check_options(split: str, margin: float, least_side: int, least_share: float) -> None:
    if split not in ("train", "val"):
        raise ParameterError(f"split {split!r} is unknown; COCO chairs have train and val, and no test.")
    for name, value in (("margin", margin), ("least side", least_side), ("least share", least_share)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ParameterError(f"{name} {value!r} must be a number.")
    if not 0 <= margin <= 2:
        raise ParameterError(f"margin {margin!r} must be a share of the box's longer side from 0 to 2.")
    if least_side < 0:
        raise ParameterError(f"least side {least_side!r} must be a number of pixels, 0 for no limit.")
    if not 0 <= least_share < 1:
        raise ParameterError(f"least share {least_share!r} must be a share of the crop, from 0 (no limit) to below 1.")


# -- annotations --------------------------------------------------------------------------------------------------------


def _read_photos(images_dir: Path, instances_json: Path) -> dict[str, _Photo]:
    """The photos that hold a chair that isn't part of a crowd, by id."""
    annotations = _load(instances_json)
    try:
        return _with_chairs(annotations, images_dir, instances_json)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CollectionError(
            f"{instances_json} is not as COCO writes instances ({type(error).__name__}: {error}); download it again."
        ) from error


def _load(file: Path) -> dict[str, Any]:
    try:
        with file.open(encoding="utf-8") as stream:
            content = json.load(stream)
    except OSError as error:
        raise CollectionError(f"{file} cannot be read ({error.strerror}); name COCO's instances_....json.") from error
    except (ValueError, RecursionError) as error:
        raise CollectionError(f"{file} is not JSON ({error}); download it again.") from error
    wanted = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in wanted):
        found = ", ".join(list(content)[:8]) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise CollectionError(
            f"{file} has no lists named {', '.join(wanted)} (found: {found or 'nothing'}); name COCO's instances_....json."
        )
    return content


def _with_chairs(content: dict[str, Any], images_dir: Path, file: Path) -> dict[str, _Photo]:
    names = {category["id"]: category["name"] for category in content["categories"]}
    labels = [label for label, name in names.items() if name == "chair"]
    if not labels:
        found = ", ".join(map(str, list(names.values())[:8]))
        raise CollectionError(f"{file} has no category named 'chair' (found: {found or 'none'}); use COCO's own file.")
    records = {record["id"]: record for record in content["images"]}
    marked: dict[int, tuple[list[dict], list[dict]]] = {}
    for annotation in content["annotations"]:
        if annotation["category_id"] in labels:
            marked.setdefault(annotation["image_id"], ([], []))[bool(annotation.get("iscrowd", 0))].append(annotation)
    photos = {}
    for identity, (chairs, crowds) in sorted(marked.items()):
        if chairs:
            record = records[identity]
            path, size = images_dir / record["file_name"], (record["width"], record["height"])
            if not all(type(side) is int and side > 0 for side in size) or math.prod(size) > MAX_PIXELS:
                raise ValueError(f"image {identity} has width and height {size}, of at most {MAX_PIXELS:,} pixels")
            photos[str(int(identity))] = _Photo(str(int(identity)), path, *size, chairs, crowds)
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
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ChairlibError(
            f'COCO annotations need pycocotools ({error}); install it with: pip install "chairlib[coco]"'
        ) from error
    return mask


def _outline(photo: _Photo, annotation: dict[str, Any]) -> dict[str, Any] | None:
    """An annotation's run lengths in COCO's packed form; None where it has no outline."""
    coco = _coco_masks()
    shape: Any = annotation.get("segmentation")
    try:
        if isinstance(shape, list):
            # Fewer than three corners enclose nothing, and pycocotools would take four numbers for a box.
            polygons = [_checked_polygon(polygon, photo) for polygon in shape if len(polygon) >= 6]
            return coco.merge(coco.frPyObjects(polygons, photo.height, photo.width)) if polygons else None
        size = [photo.height, photo.width]
        if list(shape["size"]) != size:
            raise ValueError(f"run lengths are for {shape['size']}, height and width are {size[0]}, {size[1]}")
        return coco.frPyObjects({"size": size, "counts": _checked_runs(shape["counts"], math.prod(size))}, *size)
    except Exception as error:  # pycocotools raises bare Exception
        raise CollectionError(
            f"annotation {annotation.get('id')} of {photo.file.name} has no readable outline ({error}); download the annotations again."
        ) from error


def _checked_polygon(polygon: Sequence[float], photo: _Photo) -> Sequence[float]:
    """``polygon``, if pycocotools can draw it: it walks along every edge, however far away, and takes NaN for a number."""
    reach = 2 * max(photo.width, photo.height)
    if len(polygon) % 2 or not all(-reach <= place <= reach for place in polygon):
        raise ValueError("a polygon's corners are not pairs of numbers in or about the photo")
    return polygon


def _checked_runs(counts: Any, n_pixels: int) -> list[int]:
    """Run lengths as numbers, if they cover ``n_pixels`` exactly: pycocotools checks nothing, and reads what it never wrote."""
    runs = _unpacked(counts) if isinstance(counts, str) else list(counts)
    if not all(type(length) is int and length >= 0 for length in runs) or sum(runs) != n_pixels:
        raise ValueError(f"run lengths must be whole numbers that add up to {n_pixels:,} pixels")
    return runs


def _unpacked(packed: str) -> list[int]:
    """The run lengths in COCO's compressed form: 5 bits a character, a bit that says that more follow, differences from the 4th on."""
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


def _outline_box(photo: _Photo, annotation: dict[str, Any]) -> Box | None:
    """The box around an annotation's pixels; None where it has none."""
    coco, outline = _coco_masks(), _outline(photo, annotation)
    if outline is None or not coco.area(outline):
        return None
    left, top, width, height = (int(value) for value in coco.toBbox(outline))
    return left, top, left + width, top + height


def _mask(photo: _Photo, annotations: list[dict[str, Any]]) -> np.ndarray:
    """Every pixel within any of the outlines: bool [height, width]."""
    outlines = [outline for outline in (_outline(photo, one) for one in annotations) if outline is not None]
    if not outlines:
        return np.zeros((photo.height, photo.width), bool)
    coco = _coco_masks()
    return coco.decode(coco.merge(outlines)).astype(bool)


# -- boxes --------------------------------------------------------------------------------------------------------------


def _merge_boxes(boxes: list[Box]) -> list[Box]:
    """The boxes around groups of overlapping boxes, until none overlap; in order of their first box."""
    merged: list[Box] = []
    for box in boxes:
        while (touched := next((other for other in merged if _overlap(box, other)), None)) is not None:
            merged.remove(touched)
            left, top, right, bottom = zip(box, touched, strict=True)
            box = (min(left), min(top), max(right), max(bottom))
        merged.append(box)
    return merged


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _square(box: Box, margin: float, width: int, height: int) -> Box:
    """The square about a box's centre with ``margin`` on each side, moved and where need be cut to lie within the photo."""
    left, top, right, bottom = box
    side = round(max(right - left, bottom - top) * (1 + 2 * margin))
    across, down = min(side, width), min(side, height)
    start = min(max(round((left + right - across) / 2), 0), width - across)
    upper = min(max(round((top + bottom - down) / 2), 0), height - down)
    return start, upper, start + across, upper + down


def export(
    images_dir: str | Path, instances_json: str | Path, out: str | Path, **options: Any
) -> dict[str, CocoChairs]:
    """Write the crops to files in the authors' layout, so that whatever trains on Chair Segments can train on them.

    ``out/{train,val,test}/{image,mask}/N.png``; test holds the same crops as val, since COCO chairs have no test. A note beside
    them says that they are COCO's and which photo each crop is of: records made from them know it, and intervals resample
    photos. ``out`` must not exist; it appears when all of it is written. ``options`` as of :class:`CocoChairs`. Returns the
    datasets by split.
    """
    datasets = {split: CocoChairs(images_dir, instances_json, split, **options) for split in ("train", "val")}
    with atomic_folder(out) as folder:
        for split, data in (*datasets.items(), ("test", datasets["val"])):
            for kind in ("image", "mask"):
                (folder / split / kind).mkdir(parents=True)
            for index in progress_bar(range(len(data)), f"writing {split}", unit="image", delay=1, leave=False):
                for kind, picture in zip(("image", "mask"), data[index], strict=True):
                    picture.save(folder / split / kind / f"{index}.png")
        groups = {split: datasets["val" if split == "test" else split].groups for split in ("train", "val", "test")}
        write_json(folder / NOTE, {"source": COCO_SOURCE, "name": datasets["train"].name, "groups": groups})
    return datasets
