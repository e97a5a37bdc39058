"""Image files into plain Pillow images: straight-alpha RGBA for segments, RGB for photos, 8 bits, upright.

Every image file that the library is given is read here. A file is known by its content, never by its name. What cannot
be decoded in full is refused with a reason: Pillow's leniency towards truncated files stays off, and a file that would
fill memory is refused from its header alone. Damaged metadata beside sound pixels is dropped.

Memory: :data:`MAX_PIXELS` bounds the image, and decoding it takes at most :data:`BYTES_PER_PIXEL` bytes for each of its
pixels and three times the file's own size (at most :data:`MAX_BYTES`) beside it. What would take more memory, or hours
(:data:`MAX_SCANS`), is refused before it is decoded. Compressed text and colour profiles are limited by Pillow (1 MiB
each, 64 MiB together).

Where Pillow 13 needs help (established with files made byte by byte, see the tests): 16-bit grey is clipped at 255 by
``convert`` instead of scaled, and the transparent colour (tRNS) of grey or RGB pixels that have other than 8 bits is
compared with scaled values without being scaled itself. Other 16-bit pixels are cut to their upper byte, within one
level of rounding.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from chairlib.core.errors import ImageError

# What Pillow warns of in metadata is dropped here.
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")

#: Largest image that is decoded, in pixels. Below Pillow's own limit, so that the reason given is always this one.
MAX_PIXELS = 80_000_000
#: Most memory that decoding takes for each pixel of the image, in bytes: turned images take the most (20 measured).
BYTES_PER_PIXEL = 24
#: Largest file that is read.
MAX_BYTES = 256 * 1024**2
#: Most scans of a JPEG that is decoded, each over the whole image; libtiff's own limit. Encoders write about ten.
MAX_SCANS = 100

#: Decoders that are let near files from anywhere. Pillow has more; one of them starts an interpreter (PostScript).
_FORMATS = ("PNG", "WEBP", "JPEG", "MPO", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_GREY, _PNG_RGB, _PNG_RGBA = 0, 2, 6
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Deflate makes at most this many bytes of one.
_DEFLATE_RATIO = 1032
#: How to turn an image that is stored with an EXIF orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
#: A marker, but for those that stand in the middle of a scan (restarts), and not a byte FF of its data, which a zero
#: follows.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])")


@dataclass(frozen=True)
class Decoded:
    """An image, and whether its file already is what a collection holds (8-bit RGBA PNG, upright RGB JPEG)."""

    image: Image.Image
    finished: bool


def read_segment(path: str | Path) -> Image.Image:
    """A segment file as RGBA, 8 bits a channel, straight alpha. Without an alpha channel it is opaque everywhere.

    Raises ImageError (one line with the file and the reason) for anything that is not one whole, still image.
    """
    return _read(path, decode_segment)


def read_photo(path: str | Path) -> Image.Image:
    """A photo's file as RGB, 8 bits a channel, turned upright by its EXIF orientation. Of several frames, the first.

    Raises ImageError (one line with the file and the reason) for anything that is not one whole image, or is
    transparent anywhere.
    """
    return _read(path, decode_photo)


def read_upright(path: str | Path) -> Image.Image:
    """An image file, turned upright by its EXIF orientation, in its own mode: a mask's values are kept as they are.

    Raises ImageError (one line with the file and the reason) for anything that is not one whole image.
    """
    return _read(path, _decode_upright)


def exif_note(path: Path) -> str:
    """For a message about sizes: what the EXIF orientation of a readable image does; empty where it does nothing."""
    with Image.open(path, formats=readable_formats()) as image:
        size, turn = image.size, _turn(image)
    return "" if turn is None else f" (turned by its EXIF orientation; stored as {size[0]} x {size[1]})"


def read_bytes(path: Path) -> bytes:
    """A file's bytes.

    Raises ImageError, with the bare reason, for an unreadable file, no plain file or a too large one.
    """
    try:
        if not path.is_file():
            raise ImageError("not a plain file" if path.exists() else "no such file")
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(f"too large: {path.stat().st_size:,} bytes, at most {MAX_BYTES:,} are read")
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"unreadable: {error.strerror or error}") from error


def is_image_name(path: Path) -> bool:
    """Whether a file's suffix is that of a format that is read: ``.png``, ``.JPG``, ``.webp``, ``.jfif``, ..."""
    return Image.registered_extensions().get(path.suffix.lower()) in _FORMATS


def readable_formats() -> list[str]:
    """The formats that are read, of those that this Pillow knows."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


@contextmanager
def _explained(data: bytes) -> Iterator[None]:
    """Turn every exception of a decoder into an ImageError: for damaged files Pillow raises nearly any built-in one."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"not an image: {_describe(data)}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"too many pixels: at most {MAX_PIXELS:,} are decoded") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"damaged: {reason}") from error


def decode_segment(data: bytes) -> Decoded:
    """As :func:`read_segment`, from a file's bytes. Raises ImageError with the bare reason."""
    with _explained(data), _open(data) as image:
        if getattr(image, "is_animated", False):
            raise ImageError(f"animated: {getattr(image, 'n_frames', 'several')} frames; a segment is one still image")
        image.load()
        upright, turned = _turn_upright(image)  # before it is converted, which loses some formats' orientation
        finished = _png_header(data) == (8, _PNG_RGBA) and not turned
        return Decoded(_without_metadata(_to_rgba(upright, data)), finished)


def decode_photo(data: bytes) -> Decoded:
    """As :func:`read_photo`, from a file's bytes. Raises ImageError with the bare reason."""
    with _explained(data), _open(data) as image:
        image.load()
        upright, turned = _turn_upright(image)
        finished = image.format == "JPEG" and image.mode == "RGB" and not turned
        if finished:
            return Decoded(_without_metadata(upright), finished)
        rgba = _to_rgba(upright, data)
        if rgba.getchannel("A").getextrema() != (255, 255):
            raise ImageError("transparent: some of its pixels are; a photo must be opaque everywhere")
        return Decoded(_without_metadata(rgba.convert("RGB")), finished)


def _decode_upright(data: bytes) -> Decoded:
    with _explained(data), _open(data) as image:
        if (count := getattr(image, "n_frames", 1)) > 1:
            raise ImageError(f"{count} frames or pages, of which a mask has one")
        image.load()
        return Decoded(_turn_upright(image)[0], False)


def _read(path: str | Path, decode: Callable[[bytes], Decoded]) -> Image.Image:
    try:
        return decode(read_bytes(Path(path))).image
    except ImageError as error:
        raise ImageError(f"{path} cannot be read as an image ({error}); mend or replace it.") from error


def _open(data: bytes) -> Image.Image:
    """The image's header. Frames and pixels are not decoded yet."""
    if not data:
        raise ImageError("not an image: an empty file")
    image = Image.open(io.BytesIO(data), formats=readable_formats())
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(
            f"too many pixels: {image.width} x {image.height}, at most {MAX_PIXELS:,} are decoded: make it smaller"
        )
    _check_fills(image, data)
    if image.format in ("JPEG", "MPO"):
        _check_scans(data)
    return image


def _check_fills(image: Image.Image, data: bytes) -> None:
    """Refuse a PNG whose file is too short for its pixels, however well they compress, before memory is allocated."""
    depth, colour_type = _png_header(data)
    raw = image.height * (image.width * _PNG_CHANNELS.get(colour_type, 0) * depth // 8)
    if raw > _DEFLATE_RATIO * len(data):
        raise ImageError(
            f"damaged: {len(data):,} bytes cannot hold the {image.width} x {image.height} pixels it claims"
        )


def _check_scans(data: bytes) -> None:
    """Refuse a JPEG that goes over its pixels again and again."""
    # A count of the marker is never too low, and far cheaper than looking where each stands.
    if data.count(bytes([0xFF, _JPEG_SCAN])) > MAX_SCANS and (scans := _count_scans(data)) > MAX_SCANS:
        raise ImageError(f"damaged: {scans:,} scans of its pixels, at most {MAX_SCANS} are decoded")


def _count_scans(data: bytes) -> int:
    """Scans up to the image's end: what metadata, or a film behind the image, holds by chance does not count."""
    scans, at = 0, 0
    while (marker := _JPEG_MARKER.search(data, at)) and marker[1][0] != _JPEG_END:
        scans += marker[1][0] == _JPEG_SCAN
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        at = marker.end() + max(length, 2)
    return scans


def _to_rgba(image: Image.Image, data: bytes) -> Image.Image:
    depth, colour_type = _png_header(data)
    if image.mode.startswith("I;16") or (image.mode == "I" and depth == 16):
        return _grey16_to_rgba(image)
    if image.mode in ("I", "F"):
        raise ImageError(f"mode {image.mode}: 32-bit grey has no known range; save it with 8 or 16 bits")
    key: Any = image.info.get("transparency")
    if key is not None and colour_type == _PNG_RGB and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif key is not None and colour_type == _PNG_GREY and depth in (2, 4):
        image.info["transparency"] = key * 255 // (2**depth - 1)
    if image.mode == "La":  # Pillow takes no direct way from this one
        image = image.convert("LA")
    has_alpha = key is not None or "A" in image.mode or image.mode == "RGBa"
    return image.convert("RGBA") if has_alpha else image.convert("RGB").convert("RGBA")


def _grey16_to_rgba(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 is 257 times 255
    key = image.info.get("transparency")
    opacity = np.full_like(grey, 255) if key is None else np.where(values == key, 0, 255).astype(np.uint8)
    return Image.fromarray(np.stack([grey, grey, grey, opacity], axis=-1))


def _png_header(data: bytes) -> tuple[int, int]:
    """Bit depth and colour type, from the fixed place where every PNG has them; zeros for another format."""
    return (data[24], data[25]) if data.startswith(_PNG_SIGNATURE) else (0, 0)


def _turn_upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """The image turned by its EXIF orientation, and whether it had to be.

    ``ImageOps.exif_transpose`` also writes the metadata anew, and so fails where they are damaged.
    """
    turn = _turn(image)
    return (image, False) if turn is None else (image.transpose(turn), True)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # for damaged metadata Pillow raises nearly any built-in exception
        return None


def _without_metadata(image: Image.Image) -> Image.Image:
    """The image without what would otherwise be written into copies of it."""
    image.info = {}
    return image


_SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer to the image; fetch the image itself with `git lfs pull`"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (_PNG_SIGNATURE, "a damaged PNG file"),
    (b"\xff\xd8\xff", "a damaged JPEG file"),
    (b"RIFF", "a damaged WebP file, or another RIFF file"),
    (b"GIF8", "a damaged GIF file"),
    (b"8BPS", "a Photoshop document"),
)


def _describe(data: bytes) -> str:
    """What a file that is no readable image is instead, in words."""
    for signature, description in _SIGNATURES:
        if data.startswith(signature):
            return description
    if data[4:8] == b"ftyp":
        return f"a media file of type {data[8:12].decode('ascii', 'replace').strip()!r} (HEIC and video are not read)"
    try:
        start = data[:2048].decode("utf-8-sig", errors="strict" if len(data) <= 2048 else "ignore").strip().lower()
    except UnicodeDecodeError:
        start = "\0"
    if "<svg" in start:
        return "an SVG drawing; render it to PNG first"
    if start.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "an HTML page, as servers send in place of a missing image"
    if "\0" in start:
        return f"none of the formats read here ({', '.join(_FORMATS)})"
    return "a text file"
