"""Files of every kind come out as the same plain pixels, or are refused with their name and a reason in one line."""

import io
import os
import re
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chairlib.collection import images
from chairlib.collection.images import (
    decode_photo,
    decode_segment,
    is_image_name,
    read_photo,
    read_segment,
    read_upright,
)
from chairlib.core.errors import ImageError

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
LEVELS = [0, 127, 128, 255, 256, 0x7F80, 0x80FF, 0xFF00, 0xFFFE, 0xFFFF]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, depth, colour_type, row, *chunks, height=1):
    """A PNG made byte by byte, every row alike, without a library's opinion on what it may hold."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * height)
    end = chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + end


def words(*values):
    return struct.pack(f">{len(values)}H", *values)


def pixels(data):
    image = decode_segment(data).image
    assert image.mode == "RGBA"
    assert image.info == {}
    return [tuple(int(value) for value in pixel) for pixel in np.asarray(image).reshape(-1, 4)]


def saved(image, format, **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def noise(mode="RGBA", size=(7, 5), seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8)
    return Image.fromarray(values.squeeze(), mode)


def refusal(data, read=decode_segment):
    with pytest.raises(ImageError) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def near(values, expected):
    """Within one level, which is what cutting to the upper byte may cost against rounding; the ends are exact."""
    return all(
        abs(value - wide / 257) < 1 and (wide not in (0, 65535) or value == wide // 257)
        for value, wide in zip(values, expected, strict=True)
    )


def test_16_bit_grey_is_scaled_not_clipped():
    found = pixels(png(len(LEVELS), 16, GREY, words(*LEVELS)))
    assert near([grey for grey, *_ in found], LEVELS)
    assert all(pixel == (pixel[0],) * 3 + (255,) for pixel in found)


def test_16_bit_grey_with_a_transparent_value():
    found = pixels(png(len(LEVELS), 16, GREY, words(*LEVELS), chunk(b"tRNS", words(256))))
    assert [opacity for *_, opacity in found] == [0 if level == 256 else 255 for level in LEVELS]


@pytest.mark.parametrize(("colour_type", "channels"), [(GREY_ALPHA, 2), (RGB, 3), (RGBA, 4)])
def test_16_bit_colour_and_alpha_are_scaled(colour_type, channels):
    row = words(*(level for level in LEVELS for _ in range(channels)))
    found = pixels(png(len(LEVELS), 16, colour_type, row))
    assert near([red for red, *_ in found], LEVELS)
    if colour_type == RGB:
        assert all(opacity == 255 for *_, opacity in found)
    else:
        assert near([opacity for *_, opacity in found], LEVELS)


def test_16_bit_channels_are_not_mixed_up():
    assert pixels(png(1, 16, RGBA, words(0x1100, 0x2200, 0x3300, 0x4400))) == [(0x11, 0x22, 0x33, 0x44)]
    assert pixels(png(1, 16, GREY_ALPHA, words(0x1100, 0x4400))) == [(0x11, 0x11, 0x11, 0x44)]


def test_16_bit_rgb_with_a_transparent_colour():
    row = words(0, 0, 0, 0x1234, 0x5678, 0x9ABC, 0xFFFF, 0, 0)
    found = pixels(png(3, 16, RGB, row, chunk(b"tRNS", words(0x1234, 0x5678, 0x9ABC))))
    assert found == [(0, 0, 0, 255), (0x12, 0x56, 0x9A, 0), (255, 0, 0, 255)]


@pytest.mark.parametrize(
    ("depth", "row", "greys"),
    [(1, b"\x40", [0, 255]), (2, b"\x1b", [0, 85, 170, 255]), (4, b"\x01\xef", [0, 17, 238, 255])],
)
def test_transparent_grey_of_few_bits(depth, row, greys):
    found = pixels(png(len(greys), depth, GREY, row, chunk(b"tRNS", words(1))))
    assert found == [(grey, grey, grey, 0 if index == 1 else 255) for index, grey in enumerate(greys)]


def test_transparent_colour_of_8_bits():
    assert pixels(png(2, 8, GREY, b"\x05\x06", chunk(b"tRNS", words(5)))) == [(5, 5, 5, 0), (6, 6, 6, 255)]
    found = pixels(png(2, 8, RGB, b"\x01\x02\x03\x01\x02\x04", chunk(b"tRNS", words(1, 2, 3))))
    assert found == [(1, 2, 3, 0), (1, 2, 4, 255)]


def test_palette_with_fractional_opacity():
    palette = chunk(b"PLTE", bytes([1, 2, 3, 4, 5, 6, 7, 8, 9]))
    expected = [(1, 2, 3, 0), (4, 5, 6, 128), (7, 8, 9, 255)]
    assert pixels(png(3, 8, PALETTE, b"\0\1\2", palette, chunk(b"tRNS", b"\0\x80"))) == expected
    assert pixels(png(3, 2, PALETTE, b"\x18", palette, chunk(b"tRNS", b"\0\x80"))) == expected
    assert pixels(png(1, 8, PALETTE, b"\2", palette)) == [(7, 8, 9, 255)]


@pytest.mark.parametrize(
    ("format", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})]
)
def test_rgba_of_each_format_is_exact(format, options):
    image = noise()
    assert decode_segment(saved(image, format, **options)).image.tobytes() == image.tobytes()


def test_grey_and_alpha_and_opaque_modes():
    assert pixels(saved(Image.new("LA", (1, 1), (9, 70)), "PNG")) == [(9, 9, 9, 70)]
    assert pixels(saved(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG")) == [(9, 8, 7, 255)]
    assert pixels(saved(Image.new("1", (1, 1), 1), "PNG")) == [(255, 255, 255, 255)]
    assert pixels(saved(Image.new("L", (1, 1), 77), "BMP")) == [(77, 77, 77, 255)]


def test_gif_with_a_transparent_colour():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putdata([0, 1])
    assert pixels(saved(image, "GIF", transparency=1))[0] == (255, 0, 0, 255)
    assert pixels(saved(image, "GIF", transparency=1))[1][3] == 0


def test_content_counts_not_the_name(tmp_path):
    (tmp_path / "chair.png").write_bytes(saved(noise(), "WEBP", lossless=True, exact=True))
    assert read_segment(tmp_path / "chair.png").tobytes() == noise().tobytes()
    (tmp_path / "room.txt").write_bytes(saved(noise("RGB"), "PNG"))
    assert read_photo(str(tmp_path / "room.txt")).tobytes() == noise("RGB").tobytes()


def test_which_files_a_collection_takes_as_they_are():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_segment(saved(noise(), "PNG")).finished
    assert not decode_segment(saved(noise(), "PNG", exif=exif)).finished
    assert not decode_segment(saved(noise(), "WEBP", lossless=True)).finished
    assert not decode_segment(saved(noise("RGB"), "PNG")).finished
    assert not decode_segment(png(1, 16, RGBA, words(1, 2, 3, 4))).finished
    assert decode_photo(saved(noise("RGB"), "JPEG")).finished
    assert not decode_photo(saved(noise("RGB"), "JPEG", exif=exif)).finished
    assert not decode_photo(saved(noise("RGB").convert("CMYK"), "JPEG")).finished
    assert not decode_photo(saved(noise("RGB").convert("L"), "JPEG")).finished
    assert not decode_photo(saved(noise("RGB"), "PNG")).finished


@pytest.mark.parametrize("orientation", range(2, 9))
def test_images_are_turned_upright(orientation):
    # Dark top, light right: every orientation shows.
    upright = np.zeros((24, 32, 3), np.uint8)
    upright[:, 24:] = 250
    upright[16:, :24] = 120
    # Its own inverse, but for the two quarter turns, which are each other's.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = Image.fromarray(upright).transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for format in ("JPEG", "PNG", "WEBP"):
        found = np.asarray(decode_photo(saved(stored, format, exif=exif)).image).astype(int)
        assert found.shape == upright.shape
        assert np.abs(found - upright).mean() < 12
    segment = decode_segment(saved(stored.convert("RGBA"), "PNG", exif=exif)).image
    assert np.array_equal(np.asarray(segment)[..., :3], upright)


def damaged_exif(orientation: int) -> bytes:
    """An EXIF block with an orientation, and an exposure of signed numbers below zero in a field of unsigned ones."""
    entries = [(0x0112, 3, 1, struct.pack("<HH", orientation, 0)), (0x829A, 5, 1, struct.pack("<I", 38))]
    table = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHI", *head) + data for *head, data in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + table + b"\0" * 4 + struct.pack("<ii", -1, 0)


@pytest.mark.parametrize("tail", [b"", b"\xff" * 40, None])
@pytest.mark.parametrize("read", [decode_photo, decode_segment])
def test_damaged_metadata_beside_sound_pixels_are_dropped(read, tail):
    exif = damaged_exif(6) + tail if tail is not None else damaged_exif(6)[:40]
    for format in ("JPEG", "PNG", "WEBP"):
        assert read(saved(noise("RGB"), format, exif=exif)).image.size == (5, 7)


def test_an_orientation_that_writing_would_trip_over(tmp_path):
    """A signed fraction below zero: Pillow reads the block, and fails where it writes it anew."""
    entries = struct.pack("<H", 2) + struct.pack("<HHIHH", 0x0112, 3, 1, 3, 0) + struct.pack("<HHII", 0x829A, 10, 1, 38)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + entries + b"\0" * 4 + struct.pack("<ii", -1, -3)
    stored = saved(noise("RGB"), "PNG", exif=exif)
    turned = noise("RGB").transpose(Image.Transpose.ROTATE_180)
    assert decode_photo(stored).image.tobytes() == turned.tobytes()


def test_read_upright_keeps_the_values(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    values = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    Image.fromarray(values).save(tmp_path / "mask.png", exif=exif)
    assert np.array_equal(np.asarray(read_upright(tmp_path / "mask.png")), values[::-1, ::-1])


def test_a_mask_of_several_pages_is_refused(tmp_path):
    pages = [Image.new("L", (4, 4), level) for level in (0, 255)]
    pages[0].save(tmp_path / "mask.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ImageError, match=r"mask\.tif .*2 frames or pages"):
        read_upright(tmp_path / "mask.tif")


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.jpe", "a.jfif", "a.webp", "a.avif", "a.jp2", "a.tif", "a.bmp"])
def test_names_of_images(name):
    assert is_image_name(Path(name))


def test_names_of_other_files():
    assert not any(
        is_image_name(Path(name)) for name in ("a.txt", "a.json", "png", "a.pdf", "a.heic", "a.ppm", "a.eps")
    )


@pytest.mark.parametrize("read", [decode_photo, decode_segment])
def test_no_program_is_started(read, monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: pytest.fail("a program was started"))
    assert refusal(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", read)


def test_cmyk_photographs():
    for colour in ((250, 20, 20), (20, 200, 60), (240, 240, 240)):
        cmyk = Image.new("RGB", (16, 16), colour).convert("CMYK")
        found = decode_photo(saved(cmyk, "JPEG", quality=95)).image
        assert found.mode == "RGB"
        assert np.abs(np.asarray(found).astype(int) - colour).max() < 12


def test_backgrounds_must_be_opaque():
    assert decode_photo(saved(noise("RGB").convert("RGBA"), "PNG")).image.tobytes() == noise("RGB").tobytes()
    assert refusal(saved(noise(), "PNG"), decode_photo).startswith("transparent: ")
    assert refusal(png(2, 8, GREY, b"\5\6", chunk(b"tRNS", words(5))), decode_photo).startswith("transparent: ")


def test_moving_pictures_are_no_segments():
    frames = [noise(seed=seed) for seed in range(3)]
    for format in ("PNG", "WEBP", "GIF"):
        data = saved(frames[0], format, save_all=True, append_images=frames[1:], duration=50)
        assert refusal(data) == "animated: 3 frames; a segment is one still image"


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_truncated_files_are_refused(format):
    data = saved(noise("RGB", (64, 64)), format)
    for share in (0.3, 0.6, 0.9):
        for read in (decode_segment, decode_photo):
            assert refusal(data[: int(len(data) * share)], read)


def test_a_flipped_bit_in_compressed_pixels_is_noticed():
    data = bytearray(saved(noise("RGBA", (64, 64)), "PNG"))
    data[len(data) // 2] ^= 0x10
    assert refusal(bytes(data)).startswith("damaged: ")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS pointer"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<svg/>", "an SVG drawing"),
        (b"\n<!DOCTYPE html><title>404</title>", "an HTML page"),
        (b"file,url\n1,2\n", "a text file"),
        ("Zażółć gęślą jaźń ".encode() * 300, "a text file"),
        (b"%PDF-1.7", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PostScript document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "'heic'"),
        (b"\x89PNG\r\n\x1a\n", "damaged PNG"),
        (b"\xff\xd8\xff\xe0\0\0", "damaged JPEG"),
        (bytes(range(256)) * 20, "none of the formats"),
    ],
)
def test_what_is_no_image_is_called_what_it_is(data, words):
    for read in (decode_segment, decode_photo):
        assert refusal(data, read).startswith("not an image: ")
        assert words in refusal(data, read)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
def test_bombs_are_refused_from_their_header(side):
    header = struct.pack(">IIBBBBB", side, side, 8, RGBA, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    assert refusal(bomb).startswith("too many pixels: ")
    assert "80,000,000" in refusal(bomb)


@pytest.mark.parametrize(("depth", "colour_type"), [(8, RGBA), (16, GREY), (8, PALETTE)])
def test_a_png_too_short_for_its_pixels_is_refused_before_they_are_made(depth, colour_type):
    header = struct.pack(">IIBBBBB", 7000, 7000, depth, colour_type, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(6)) if colour_type == PALETTE else b""
    short = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + chunk(b"IDAT", zlib.compress(bytes(9000)))
    assert re.match(r"damaged: \d+ bytes cannot hold the 7000 x 7000 pixels it claims", refusal(short))


def test_a_png_that_compresses_as_well_as_can_be_is_read():
    assert decode_segment(png(2000, 8, RGBA, bytes(8000), height=2000)).image.size == (2000, 2000)


def test_a_bomb_in_the_metadata_is_refused():
    text = chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(5_000_000)))
    assert refusal(png(1, 8, RGBA, b"abcd", text)).startswith("damaged: ")


def many_scans(count, side=64):
    """A progressive JPEG whose last scan is there ``count`` times: each is a few bytes, and goes over every pixel."""
    data = saved(noise("RGB", (side, side)), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), len(data) - 2
    return data[:last] + data[last:end] * count + data[end:], data.count(b"\xff\xda") - 1 + count


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded(monkeypatch):
    data, scans = many_scans(50_000)
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
        patch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("decoded"))
        for read in (decode_segment, decode_photo):
            assert refusal(data, read) == f"damaged: {scans:,} scans of its pixels, at most 100 are decoded"
    data, scans = many_scans(images.MAX_SCANS - 9)
    assert scans == images.MAX_SCANS
    assert decode_photo(data).image.size == (64, 64)
    assert f"{scans + 1} scans" in refusal(many_scans(images.MAX_SCANS - 8)[0])


def test_scans_are_not_counted_in_metadata_or_behind_the_image():
    plain = saved(noise("RGB", (64, 64)), "JPEG")
    scans = b"\xff\xda" * 500
    comment = b"\xff\xfe" + struct.pack(">H", len(scans) + 2) + scans
    data = plain[:2] + comment + plain[2:] + b"\0\0\0\x18ftypmp42" + scans
    assert decode_photo(data).image.tobytes() == decode_photo(plain).image.tobytes()


def test_the_pixel_cap_is_exact(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 35)
    assert decode_segment(saved(noise(size=(7, 5)), "PNG")).image.size == (7, 5)
    assert "6 x 6" in refusal(saved(noise(size=(6, 6)), "PNG"))


def test_grey_without_a_known_range_is_refused():
    assert "32-bit" in refusal(saved(Image.new("F", (2, 2), 0.5), "TIFF"))
    assert "32-bit" in refusal(saved(Image.new("I", (2, 2), 5), "TIFF"), decode_photo)


def test_errors_name_the_file(tmp_path, monkeypatch):
    file = tmp_path / "chair.png"
    for read in (read_segment, read_photo):
        with pytest.raises(ImageError, match=r"chair\.png cannot be read as an image \(no such file\)"):
            read(file)
        with pytest.raises(ImageError, match="not a plain file"):
            read(tmp_path)
    file.write_bytes(b"abc")
    with pytest.raises(ImageError, match=r"chair\.png .*\(not an image: a text file\)"):
        read_segment(file)
    monkeypatch.setattr(images, "MAX_BYTES", 2)
    with pytest.raises(ImageError, match=r"chair\.png .*\(too large: 3 bytes"):
        read_segment(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "chair.png")
    with pytest.raises(ImageError, match="not a plain file"):
        read_segment(tmp_path / "chair.png")


@given(st.sampled_from(["PNG", "WEBP", "JPEG", "GIF", "TIFF", "BMP"]), st.data())
def test_damage_gives_an_image_or_a_reason(format, data):
    original = bytearray(saved(noise("RGB", (12, 9)), format))
    for _ in range(data.draw(st.integers(1, 4))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    for read, mode in ((decode_segment, "RGBA"), (decode_photo, "RGB")):
        with suppress(ImageError):  # and nothing else
            assert read(bytes(original)).image.mode == mode
