"""Mask files in common encodings: 0/255, 0/1, boolean, 16 bits, palette, RGB. Others are refused with what was found.

:func:`read_mask` is for masks of two values, :func:`read_levels` for those that may be soft (the authors' grey masks).
"""

from pathlib import Path

import numpy as np
from PIL import Image

from chairlib.core.errors import ImageError

__all__ = ["read_levels", "read_mask", "read_photo"]

#: Background, object, and the undecided border between them, as PASCAL VOC's masks of one class have them.
_VOC = [0, 1, 255]


def read_photo(path: Path) -> Image.Image:
    """An image file as RGB. Raises :class:`ImageError` where it cannot be read."""
    return open_image(path).convert("RGB")


def read_mask(path: Path, size: tuple[int, int] | None = None) -> Image.Image:
    """A mask file of two values as mode L, 0 and 255: black is background, the other value is the object.

    Images of 1, 8 and 16 bits, palettes (by their colours) and colour images are read, transparent or not. Raises
    :class:`ImageError` for a file of more values, of one value that is neither black nor the largest possible, or of
    another ``size`` (width, height).
    """
    image = open_image(path, size)
    values = _pixel_values(image)
    found = np.unique(values)
    is_whole = len(found) == 1 and found[0] in (0, 1, 255, 65535, 0xFFFFFF)
    if not is_whole and (len(found) != 2 or found[0] != 0):
        raise ImageError(_bad_values(path, image, found))
    distinct = values
    if image.mode == "P":
        distinct = np.asarray(image)
    elif "A" in image.getbands():
        distinct = values << 8 | np.asarray(image.getchannel("A"))
    if len(np.unique(distinct)) != len(found):
        raise ImageError(
            f"{path} (mode {image.mode}, {_size_text(image.size)}) tells pixels of one colour apart by palette index "
            "or opacity, so which are the object is unclear; save it as PNG, black for background and white for the "
            "object."
        )
    return Image.fromarray((values != 0).astype(np.uint8) * 255)


def read_levels(path: Path, size: tuple[int, int] | None = None) -> Image.Image:
    """A grey mask, hard or soft, as opacity levels 0..255 in mode L; the released rule (above 0.4) is applied to these.

    A mask without a value above 1 is taken for one of 0 and 1; 16 bits are scaled to 8. Masks with colours other than
    grey, or with transparent parts, must have two values: :func:`read_mask` reads them, or raises.
    """
    image = open_image(path, size)
    values = _pixel_values(image)
    transparent = "A" in image.getbands() and image.getchannel("A").getextrema() != (255, 255)
    if not _has_grey_mode(image):
        if transparent or (values >> 16 != values & 255).any() or (values >> 8 & 255 != values & 255).any():
            return read_mask(path, size)
        values = values & 255
    found = np.unique(values)
    if found[0] < 0 or found[-1] > 65535 or found.tolist() == _VOC:
        raise ImageError(_bad_values(path, image, found))
    scale = 255 if found[-1] <= 1 else 1 if found[-1] <= 255 else 1 / 257
    return Image.fromarray(np.rint(values * float(scale)).astype(np.uint8))


def open_image(path: Path, size: tuple[int, int] | None = None) -> Image.Image:
    """An image file, decoded, in its own mode. Raises :class:`ImageError` where it cannot be read.

    ``size``: the only (width, height) that is let through, where given: that of the image that the mask belongs to.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
        raise ImageError(f"{path} cannot be read as an image ({reason}); unpack or download it again.") from error
    if size is not None and image.size != size:
        raise ImageError(
            f"{path} is {_size_text(image.size)} pixels, its image {_size_text(size)}; a mask must have the size of "
            "its image: unpack or draw it again."
        )
    return image


def _has_grey_mode(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "F") or image.mode.startswith("I")


def _pixel_values(image: Image.Image) -> np.ndarray:
    """One number per pixel [H, W], 0 for black: the grey value, or red, green and blue as one number of 24 bits."""
    if _has_grey_mode(image):
        return np.asarray(image)
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(np.int64), -1, 0)
    return red << 16 | green << 8 | blue


def _bad_values(path: Path, image: Image.Image, found: np.ndarray) -> str:
    shown = ", ".join(f"{value:g}" if _has_grey_mode(image) else f"#{value:06x}" for value in found[:8].tolist())
    more = f", ... ({len(found)} in all)" if len(found) > 8 else ""
    dtype = np.asarray(image).dtype
    mend = (
        "1 is the object, 255 the border that PASCAL VOC leaves undecided: save `mask == 1`"
        if found.tolist() == _VOC
        else "threshold it, for instance `mask > 127`, and save it as PNG"
    )
    return (
        f"{path} (mode {image.mode}, {dtype}, {_size_text(image.size)}) holds the values {shown}{more}; a mask has "
        f"two, black for background and one other for the object: {mend}."
    )


def _size_text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
