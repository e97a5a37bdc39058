"""Chairs from COCO's photos, to pretrain on instead of Chair Segments (the paper's section 5.3).

An annotation file in COCO's own format (``instances_train2017.json``) marks the outlines of chairs. Each chair, or
group of chairs whose boxes overlap, gives one square crop of its photo; the mask is every chair within the crop. Crops
are left out by rules with a name:

``small``
    the crop's shorter side is below ``least_side`` pixels of the photo;
``sparse``
    chairs cover less than the share ``least_share`` of the crop;
``crowd``
    a crowd region touches the crop: there COCO marks a heap of chairs as a whole, so that chair and background cannot
    be told apart; or the box of a chair whose outline is missing does;
``repeated``
    it is the same crop as that of another group.

Annotations whose outline holds no pixel count as ``empty``. Needs pycocotools: ``pip install "chairfinder[coco]"``.
"""

import hashlib
import io
import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from chairfinder.boxes import Box
from chairfinder.coco_annotations import (
    CocoPhoto,
    box_region,
    draw_mask,
    natural_order,
    outline_box,
    read_photos,
)
from chairlib.collection.images import exif_note, read_bytes, read_photo
from chairlib.compositing.masked_images import MaskedImages
from chairlib.compositing.released import COCO_SOURCE, NOTE
from chairlib.core.code import code_hash
from chairlib.core.errors import CollectionError, ImageError, ParameterError
from chairlib.core.files import atomic_folder, has_kept, keep, kept, write_json
from chairlib.core.progress import note, progress_bar
from chairlib.transfer.protocols import split_off, stable_order

#: Why a crop (or, of ``empty``, an annotation) is left out.
REASONS = ("small", "sparse", "crowd", "repeated", "empty")


class CocoChairs(MaskedImages):
    """Square crops around the chairs of COCO photos.

    Parameters
    ----------
    images_dir: the folder of the photos, named as in the annotation file; ``~`` is expanded, as in ``instances_json``.
    instances_json: annotations in COCO's format, with a category named "chair".
    split: ``"train"`` or ``"val"``: 80 % and 20 % of the photos, in an order given by a hash of their ids. No test.
    transforms, transform, target_transform: see :class:`chairlib.compositing.transforms.MaskedDataset`.
    margin: free space on each side of a chair or group, as a share of the longer side of its box.
    least_side, least_share: which crops are too small, see the module; 0 for no limit.

    Gives ``(Pillow RGB image, Pillow L mask of 0 and 255)``. A square that would reach beyond the photo is moved
    inside; where the photo is too short for it, the crop is as high (or wide) as the photo. ``groups`` has the photo's
    id for each crop; ``n_left_out`` counts what this split left out by reason.
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
        photos = read_photos(folder, file)
        train, val = split_off(stable_order(photos))
        chosen = sorted(train if split == "train" else val, key=natural_order)
        left_out: Counter[str] = Counter()
        bar = progress_bar(chosen, f"cropping {split} chairs", unit="image", delay=1, leave=False)
        self._crops = [(photos[name], box) for name in bar for box in self._find_crops(photos[name], left_out)]
        self.n_left_out: dict[str, int] = {reason: left_out[reason] for reason in REASONS}
        if not self._crops:
            counts = ", ".join(f"{count} {reason}" for reason, count in self.n_left_out.items() if count)
            raise CollectionError(
                f"{file}: no crops for {split!r} from {len(chosen)} of {len(photos)} photos with chairs (left out: "
                f"{counts or 'none'}); give more photos with outlines"
                f"{', or lower least_side and least_share' * (left_out['small'] + left_out['sparse'] > 0)}."
            )
        self.groups = [photo.identity for photo, _ in self._crops]

    def __len__(self) -> int:
        return len(self._crops)

    def read(self, index: int) -> tuple[Image.Image, Image.Image]:
        photo, box = self._crops[index]
        image = read_photo(photo.file)
        if image.size != (photo.width, photo.height):
            raise ImageError(
                f"{photo.file} is {image.width} x {image.height} pixels{exif_note(photo.file)}, its annotations are "
                f"for {photo.width} x {photo.height}; use the photos that the annotations were made for, unscaled."
            )
        mask = Image.fromarray(draw_mask(photo, photo.chairs).astype(np.uint8) * 255)
        return image.crop(box), mask.crop(box)

    def encoded(self, index: int, folder: Path) -> tuple[list[bytes], bool]:
        """Image and mask as PNG files, and whether they were kept beside ``folder`` before; else, they are now.

        folder: as :func:`chairlib.core.files.atomic_folder` gives it.
        """
        photo, box = self._crops[index]
        source = hashlib.sha256(read_bytes(photo.file)).hexdigest()
        key = ("coco", source, photo.chairs, box, _code())
        files = [kept(folder, kind, *key) for kind in ("image", "mask")]
        if self.transforms is None and None not in files:
            return [file for file in files if file is not None], True
        made = []
        for kind, picture in zip(("image", "mask"), self[index], strict=True):
            stream = io.BytesIO()
            picture.save(stream, "PNG")
            made.append(stream.getvalue())
            if self.transforms is None:  # what a function of a person's own does, no key can tell
                keep(folder, made[-1], kind, *key)
        return made, False

    def extra_repr(self) -> str:
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.n_left_out.items())
        return (
            f"Split: {self.split}\nPhotos: {len(set(self.groups or []))}\nLeft out: {left_out}\n"
            f"Margin: {self.margin}, least side: {self.least_side}, least share: {self.least_share}"
        )

    def _find_crops(self, photo: CocoPhoto, left_out: Counter[str]) -> list[Box]:
        """The boxes of a photo's crops; those that a rule leaves out are counted."""
        boxes = [outline_box(photo, chair) for chair in photo.chairs]
        left_out["empty"] += boxes.count(None)
        groups = merge_boxes([box for box in boxes if box is not None])
        if not groups:
            return []
        unknown = [
            box_region(chair) for chair, box in zip(photo.chairs, boxes, strict=True) if not box and chair.get("bbox")
        ]
        chairs, crowds = draw_mask(photo, photo.chairs), draw_mask(photo, [*photo.crowds, *unknown])
        kept: list[Box] = []
        for group in groups:
            left, top, right, bottom = crop = square_around(group, self.margin, photo.width, photo.height)
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


@cache
def _code() -> str:
    """The code that makes a crop, ours and others'."""
    ours = [code_hash(module) for module in ("chairfinder.coco_chairs", "chairlib.collection.images")]
    return " ".join([*ours, *map(version, ("numpy", "pillow", "pycocotools"))])


def _check_options(split: str, margin: float, least_side: int, least_share: float) -> None:
    if split not in ("train", "val"):
        raise ParameterError(f"split {split!r} is unknown; COCO chairs have train and val, and no test.")
    for name, value, most, meaning in (
        ("margin", margin, 2, "a share of the box's longer side from 0 to 2"),
        ("least side", least_side, math.inf, "a number of pixels, 0 for no limit"),
        ("least share", least_share, math.nextafter(1, 0), "a share of the crop, from 0 (no limit) to below 1"),
    ):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise ParameterError(f"{name} {value!r} must be {meaning}.")


def merge_boxes(boxes: list[Box]) -> list[Box]:
    """The boxes around groups of overlapping boxes, until none overlap; in order of their first box."""
    merged: list[Box] = []
    for box in boxes:
        while (touched := next((other for other in merged if overlap(box, other)), None)) is not None:
            merged.remove(touched)
            left, top, right, bottom = zip(box, touched, strict=True)
            box = (min(left), min(top), max(right), max(bottom))
        merged.append(box)
    return merged


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share a pixel."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def square_around(box: Box, margin: float, width: int, height: int) -> Box:
    """The square around a box with ``margin`` on each side, moved and where necessary cut to lie inside the photo."""
    left, top, right, bottom = box
    side = round(max(right - left, bottom - top) * (1 + 2 * margin))
    across, down = min(side, width), min(side, height)
    start = min(max(round((left + right - across) / 2), 0), width - across)
    upper = min(max(round((top + bottom - down) / 2), 0), height - down)
    return start, upper, start + across, upper + down


def export(
    images_dir: str | Path, instances_json: str | Path, out: str | Path, **options: Any
) -> dict[str, CocoChairs]:
    """Write the crops to files in the authors' layout, so that everything that takes Chair Segments takes them.

    ``out/{train,val,test}/{image,mask}/N.png``; test holds the crops of val once more. A note beside them says that
    they are COCO's, and which photo each is of, so that intervals resample photos. ``out`` must not exist; it appears
    when all of it is written. Until then, finished crops are kept beside it: a call that was stopped in any way is
    repeated at little cost. ``options`` are those of :class:`CocoChairs`. Returns the datasets by split.
    """
    datasets = {split: CocoChairs(images_dir, instances_json, split, **options) for split in ("train", "val")}
    with atomic_folder(out) as folder:
        written = {**datasets, "test": datasets["val"]}
        going_on = has_kept(folder)
        for split, data in written.items():
            for kind in ("image", "mask"):
                (folder / split / kind).mkdir(parents=True)
            done = 0
            for index in progress_bar(range(len(data)), f"writing {split}", unit="image", delay=1, leave=False):
                files, was_done = data.encoded(index, folder)
                done += was_done
                for kind, content in zip(("image", "mask"), files, strict=True):
                    (folder / split / kind / f"{index}.png").write_bytes(content)
            if going_on and split in datasets:
                note(f"{done:,} of {len(data):,} images of {split} were done before")
        groups = {split: data.groups for split, data in written.items()}
        write_json(folder / NOTE, {"source": COCO_SOURCE, "name": datasets["train"].name, "groups": groups})
    return datasets
