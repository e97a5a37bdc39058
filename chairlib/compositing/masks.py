"""Mask files in common encodings: 0/255, 0/1, boolean, 16 bits, palette, RGB. Others are refused with what was found.

What a value means cannot be told from one file: a mask of 0 and 255 is a chair, or the border that PASCAL VOC leaves
undecided around objects of other numbers. :class:`MaskReader` decides once, over all masks of a folder.
"""

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from chairlib.collection.images import exif_note, read_photo, read_upright
from chairlib.collection.opacity import MASK_OPACITY
from chairlib.core.errors import ImageError
from chairlib.core.files import once_a_file
from chairlib.core.progress import progress_bar

#: The full grey value of a file. Others are compared as shares of it: 255 of 8 bits is 65535 of 16 bits.
_FULL = 65535
#: One level of 8 bits.
_LEVEL = 257
#: Values that mean the object even where no pixel of any mask is black: all of the image is object.
_WHOLE = (1, _LEVEL, _FULL)
#: Opacities have at least this many levels, one of them (below the full value) above 182, COCO's highest class number.
_FEWEST_LEVELS, _HIGHEST_CLASS = 12, 182
_SHOWN = 8


class MaskReader:
    """Reads the masks of one folder. What their values mean is decided once, over all ``files``.

    Black is background, and the one other value of all masks is the object: 255, 1, a class number or a colour. With
    ``soft``, grey masks of many levels are opacities. Raises :class:`ImageError` where there are more values than that,
    as there are for several classes or instances, or an undecided border.
    """

    def __init__(self, files: Iterable[Path], soft: bool = False):
        files = list(files)
        with ThreadPoolExecutor() as pool:
            found = progress_bar(
                pool.map(_values_in, files), "looking at masks", total=len(files), unit="mask", delay=1, leave=False
            )
            values_in = dict(zip(files, found, strict=True))
        first: dict[int, Path] = {}
        for file, values in values_in.items():
            for value in sorted(values):
                first.setdefault(value, file)
        mixed = next((file for file, values in values_in.items() if len(values - {0}) > 1), None)
        marked = sorted(first.keys() - {0})
        self._is_soft = soft and _look_like_opacities(marked)
        is_hard = len(marked) == 1 and (0 in first or marked[0] in _WHOLE)
        if marked and not is_hard and not self._is_soft:
            raise ImageError(_bad_values(mixed or first[marked[-1]], first))
        for file, values in values_in.items():
            if self._is_soft and len(values - {0}) == 1 and max(values) <= MASK_OPACITY * _LEVEL:
                raise ImageError(
                    f"{file} ({_kind(read_upright(file))}) holds the values {_shown(file)}, but other masks of its "
                    "folder are opacities of many levels, as which it marks nothing; save its object as 255."
                )

    def read(self, photo: Path, mask: Path) -> tuple[Image.Image, Image.Image]:
        """A photo in mode RGB and its mask in mode L, 0 and 255 or opacities; upright and of one size.

        Raises :class:`ImageError` where one cannot be read, the sizes differ, or a mask tells pixels of one colour
        apart.
        """
        image, marks = read_photo(photo), read_upright(mask)
        if marks.size != image.size:
            raise ImageError(
                f"{mask} is {_size(marks)} pixels{exif_note(mask)}, its image {_size(image)}{exif_note(photo)}; a mask "
                "must have the size of its image: unpack or draw it again."
            )
        try:
            values = _values(marks)
        except ImageError as error:
            raise ImageError(f"{mask} ({_kind(marks)}) holds {error}; save it as PNG, 0 and 255.") from error
        distinct = values
        if marks.mode == "P":
            distinct = np.asarray(marks)
        elif "A" in marks.getbands():
            distinct = values << 8 | np.asarray(marks.getchannel("A"))
        if distinct is not values and len(np.unique(distinct)) != len(np.unique(values)):
            raise ImageError(
                f"{mask} ({_kind(marks)}) tells pixels of one colour apart by palette index or opacity, so which are "
                "the object is unclear; save it as PNG, black for background and white for the object."
            )
        levels = np.rint(values / _LEVEL) if self._is_soft else (values != 0) * 255
        return image, Image.fromarray(levels.astype(np.uint8))


def _look_like_opacities(values: list[int]) -> bool:
    """Whether values, ascending, are opacities rather than numbers of classes or instances."""
    between = [value for value in values if value < _FULL]
    is_fine = math.gcd(*values) <= 4 * _LEVEL  # numbers may be spread over the levels, as 12, 24, 36, ...
    return len(values) >= _FEWEST_LEVELS and values[-1] <= _FULL and between[-1] > _HIGHEST_CLASS * _LEVEL and is_fine


def _values_in(file: Path) -> frozenset[int]:
    """The values of a mask file; none where it cannot be read, which is said when it is needed."""
    try:
        return _distinct_values(file)
    except (OSError, ImageError):
        return frozenset()


@once_a_file
def _distinct_values(file: Path) -> frozenset[int]:
    image = read_upright(file)
    if image.mode == "L":  # most are, and this is the fastest way
        return frozenset(value * _LEVEL for value, count in enumerate(image.histogram()) if count)
    if image.mode in ("P", "RGB", "RGBA") and (colours := image.convert("RGB").getcolors(_FULL)):
        image = Image.fromarray(np.array([[colour for _, colour in colours]], np.uint8))  # each of its colours once
    return frozenset(np.unique(_values(image)).tolist())


def _pixels(image: Image.Image) -> np.ndarray:
    """Grey values of any depth [H, W], or colours [H, W, 3]."""
    is_grey = image.mode in ("1", "L", "F") or image.mode.startswith("I")
    return np.asarray(image if is_grey else image.convert("RGB"))


def _values(image: Image.Image) -> np.ndarray:
    """One number per pixel, int64 [H, W]: the grey value as a share of 65535, or, above that, a colour."""
    pixels = _pixels(image)
    if pixels.ndim == 3:
        red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
        is_grey = (red == green) & (green == blue)
        return np.where(is_grey, red * _LEVEL, _FULL + 1 + (red << 16 | green << 8 | blue))
    if not (pixels.min() >= 0 and pixels.max() <= _FULL):  # NaN is neither
        raise ImageError(f"values from {pixels.min()} to {pixels.max()}, of 0 to {_FULL} that a mask may have")
    scale = _FULL if image.mode == "1" or (image.mode == "F" and pixels.max() <= 1) else 1
    values = np.rint(pixels * float(_LEVEL if image.mode == "L" else scale)).astype(np.int64)
    return np.where(pixels > 0, np.maximum(values, 1), 0)


def _bad_values(file: Path, first: dict[int, Path]) -> str:
    """What the masks of a folder hold and how to mend it, in one line. ``first``: a file that has it, by value."""
    marked, own = sorted(first.keys() - {0}), _values_in(file)
    others = [
        f", {other.name} ({_kind(read_upright(other))}) holds {_shown(other)}"
        for value, other in first.items()
        if value and value not in own
    ]
    numbers = [value // _LEVEL for value in marked if value % _LEVEL == 0]
    if 0 not in first:
        mend = "save the background as 0"
    elif marked[-1] > _FULL:
        mend = "save the object's colour as white and all others as black"
    elif _look_like_opacities(marked) or (marked[-1] == _FULL and marked[-2] > _HIGHEST_CLASS * _LEVEL):
        mend = "threshold it, for instance `mask > 127`, and save it as PNG"
    elif len(marked) == len(numbers) == 2 and numbers[1] == 255 and own.issuperset(marked):
        mend = (
            f"if 255 is the border that PASCAL VOC leaves undecided, save `mask == {numbers[0]}`; if it is the object, "
            "save `mask == 255`"
        )
    else:
        mend = "if they number classes or instances, save the object's as 255 and all others as 0"
    return (
        f"{file} ({_kind(read_upright(file))}) holds the values {_shown(file)}{''.join(others[:1])}; the masks of a "
        f"folder have two, black for background and one other for the object: {mend}."
    )


def _shown(file: Path) -> str:
    """The values of a mask file as its own depth has them, for a message."""
    pixels = _pixels(read_upright(file))
    if pixels.ndim == 3:
        names = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in np.unique(pixels.reshape(-1, 3), axis=0)]
    else:
        names = [f"{value:g}" for value in np.unique(pixels)]
    return ", ".join(names[:_SHOWN]) + (f", ... ({len(names)} in all)" if len(names) > _SHOWN else "")


def _kind(image: Image.Image) -> str:
    return f"mode {image.mode}, {np.asarray(image).dtype}, {_size(image)}"


def _size(image: Image.Image) -> str:
    return f"{image.width} x {image.height}"
