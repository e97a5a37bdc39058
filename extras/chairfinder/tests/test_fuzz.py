"""Damaged and hostile image files: each is accepted or refused with a reason, within the memory that images.py states.

The files are made from small images of every format by mutations from a seed: flipped bits, truncation, chunks spliced
in, repeated or left out, headers of another format, changed sizes with checksums that fit, and bombs. They are decoded
and screened in a process of its own, whose address space may grow by no more than the stated cap for the largest image
that was tried.
"""

import io
import json
import random
import resource
import struct
import subprocess
import sys
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from chairfinder.screening import screen_background, screen_segment
from chairlib.collection import images
from chairlib.core.errors import ImageError

#: Pixels that the run lets an image have, so that the cap on memory is a small one.
PIXELS = 4_000_000
#: Beside the images: what the allocator keeps, and the mutations themselves.
SLACK = 96 * 1024**2
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def interlaced(size=96):
    """A 16-bit RGBA PNG whose header says interlaced.

    Its pixels are not in Adam7's order, but any order is some image.
    """
    header = struct.pack(">IIBBBBB", size, size, 16, 6, 0, 0, 1)
    passes = [
        ((size + x - 1) // x, (size + y - 1) // y) for x, y in ((8, 8), (8, 8), (4, 8), (4, 4), (2, 4), (2, 2), (1, 2))
    ]
    raw = b"".join((b"\0" + bytes(8 * width)) * height for width, height in passes)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def seeds():
    """An honest file of each kind."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    rgb = Image.fromarray(colours).resize((120, 140), Image.Resampling.BICUBIC)
    rgba = rgb.convert("RGBA")
    y, x = np.mgrid[:140, :120]
    radius = 42 + 8 * np.cos(3 * np.arctan2(y - 70, x - 60))  # no disc: that would be a photo's
    rgba.putalpha(Image.fromarray((255 * (np.hypot(x - 60, y - 70) < radius)).astype(np.uint8)))
    wide = Image.fromarray(rng.integers(0, 65536, (90, 100), dtype=np.uint16))
    kinds = [
        (rgba, "PNG", {}),
        (rgba.quantize(32), "PNG", {}),
        (wide, "PNG", {}),
        (rgb, "PNG", {"transparency": (1, 2, 3)}),
        (rgba, "WEBP", {"lossless": True}),
        (rgba, "WEBP", {"quality": 60}),
        (rgba, "GIF", {}),
        (rgba, "GIF", {"save_all": True, "append_images": [rgba.transpose(Image.Transpose.ROTATE_180)] * 2}),
        (rgb, "JPEG", {}),
        (rgb, "JPEG", {"progressive": True}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgba, "TIFF", {}),
        (rgba, "TIFF", {"compression": "tiff_lzw"}),
        (rgb, "BMP", {}),
        (rgba, "AVIF", {}),
        (rgb, "JPEG2000", {}),
    ]
    files = [interlaced()]
    Image.init()
    for image, format, options in kinds:
        if format in Image.SAVE:
            stream = io.BytesIO()
            image.save(stream, format, **options)
            files.append(stream.getvalue())
    return files


def largest():
    """Honest files with as many pixels as are let in, of the kinds that take the most memory."""
    width, height = 2000, PIXELS // 2000
    for depth, colour_type, extra in ((16, 0, b""), (16, 6, b""), (8, 6, b""), (16, 2, chunk(b"tRNS", bytes(6)))):
        length = 1 + width * {0: 1, 2: 3, 6: 4}[colour_type] * depth // 8
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
        pixels = zlib.compress(bytes(length * height), 1)
        yield SIGNATURE + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode, format in (("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "WEBP"), ("P", "GIF"), ("RGBA", "TIFF")):
        stream = io.BytesIO()
        Image.new(mode, (width, height)).save(stream, format, **({"exif": exif} if format != "GIF" else {}))
        yield stream.getvalue()


def chunks_of(data):
    """Start and stop of each chunk of an honest PNG."""
    places, at = [], len(SIGNATURE)
    while at + 12 <= len(data):
        stop = at + 12 + int.from_bytes(data[at : at + 4], "big")
        places.append((at, stop))
        at = stop
    return places


def flip_bits(data, rng, files):
    changed = bytearray(data)
    for _ in range(rng.choice([1, 2, 8, 64])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncate(data, rng, files):
    return data[: rng.randrange(len(data))]


def splice(data, rng, files):
    """Chunks (or any part of another format) repeated, left out, put elsewhere or taken from another file."""
    other = rng.choice(files)
    if data.startswith(SIGNATURE) and rng.random() < 0.7:
        parts = [data[start:stop] for start, stop in chunks_of(data)]
        rest = [other[start:stop] for start, stop in chunks_of(other)] if other.startswith(SIGNATURE) else parts
        parts.insert(rng.randrange(1, len(parts) + 1), rng.choice(rest))
        if rng.random() < 0.5:
            del parts[rng.randrange(len(parts))]
        return SIGNATURE + b"".join(parts)
    start, stop = sorted(rng.randrange(len(other)) for _ in range(2))
    at = rng.randrange(len(data))
    return data[:at] + other[start:stop] + data[at + rng.randrange(64) :]


def swap_header(data, rng, files):
    length = rng.choice([4, 8, 16, 33, 64])
    return rng.choice(files)[:length] + data[length:]


def change_size(data, rng, files):
    """Another width, height, depth or type in a PNG's header, with its checksum; large words in other headers."""
    side = rng.choice([0, 1, 7, 1000, 1999, 2001, 30_000, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
    if not data.startswith(SIGNATURE):
        at = rng.randrange(min(64, len(data) - 4))
        return data[:at] + struct.pack(rng.choice("<>") + "I", side) + data[at + 4 :]
    header = list(struct.unpack(">IIBBBBB", data[16:29]))
    field = rng.randrange(5)
    header[field] = side if field < 2 else rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 255])
    if rng.random() < 0.3:
        header[1 - field % 2] = rng.choice([1, 2000, 4000])
    return data[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", *header)) + data[33:]


def bomb(data, rng, files):
    """Compressed text, profiles and pixels that unfold to far more than the file."""
    size = rng.choice([100_000, 5_000_000, 30_000_000])
    packed = zlib.compress(bytes(size), 1)
    name, body = rng.choice([(b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"IDAT", b"")])
    if data.startswith(SIGNATURE):
        copies = chunk(name, body + packed) * rng.choice([1, 3])
        return data[:33] + copies + data[33:]
    side = rng.choice([500, 1999, 2500])
    header = struct.pack(">IIBBBBB", side, side, rng.choice([8, 16]), rng.choice([0, 2, 6]), 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def repeat_scans(data, rng, files):
    """The scans of a JPEG again and again, each a pass over its pixels."""
    jpegs = [file for file in files if file.startswith(b"\xff\xd8")]
    data = data if data.startswith(b"\xff\xd8") else rng.choice(jpegs)
    start, end = data.rindex(b"\xff\xda"), len(data) - 2
    return data[:start] + data[start:end] * rng.choice([2, 95, 2000]) + data[end:]


MUTATIONS = (flip_bits, truncate, splice, swap_header, change_size, bomb, repeat_scans)


def run(count, seed):
    """Decode and screen ``count`` mutated files in this process: the results, and anything that must not happen."""
    warnings.simplefilter("ignore")
    images.MAX_PIXELS = PIXELS
    rng, files = random.Random(seed), seeds()
    for file in files:  # loads every codec before memory is measured
        judge(file)
    before = memory("VmHWM")
    cap = PIXELS * images.BYTES_PER_PIXEL + SLACK
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + cap, resource.RLIM_INFINITY))
    large = [outcome for file in largest() for outcome in judge(file)]
    outcomes, wrong, slowest = {}, [], 0.0
    for number in range(count):
        mutation = rng.choice(MUTATIONS) if number % 20 else bomb
        data = mutation(rng.choice(files), rng, files)
        if rng.random() < 0.2:
            data = flip_bits(data, rng, files) if data else data
        start = time.monotonic()
        try:
            for outcome in judge(data):
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
        except Exception as error:
            wrong.append(f"{number} {mutation.__name__}: {type(error).__name__}: {error}")
        slowest = max(slowest, time.monotonic() - start)
    grown = memory("VmHWM") - before
    return {"outcomes": outcomes, "large": large, "wrong": wrong, "slowest": slowest, "grown": grown, "cap": cap}


def memory(name):
    """Of this process (getrusage's figure would be its parent's), in bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))


def judge(data):
    """Accepted, or the name of the reason, as a segment and as a background. Anything but an ImageError is a defect."""
    for read, screen in ((images.decode_segment, screen_segment), (images.decode_photo, screen_background)):
        try:
            why = screen(read(data).image)
        except ImageError as error:
            why = str(error)
            assert why
            assert "\n" not in why
        yield why.split(":")[0] if why else "accepted"


def fuzz(count, seed):
    code = f"import json, sys; sys.path.insert(0, {__file__.rsplit('/', 1)[0]!r}); import test_fuzz; "
    code += f"print(json.dumps(test_fuzz.run({count}, {seed})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


def check(found, count):
    assert found["wrong"] == []
    assert sum(found["outcomes"].values()) == 2 * count
    assert not {"damaged", "too many pixels"} & set(found["large"])
    assert found["grown"] > 2 * PIXELS  # or the figure is of something else
    # Out of memory would come out as a refusal for damage; the peak says how near that was.
    assert found["grown"] < found["cap"]
    assert found["slowest"] < 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory as Linux has them")
def test_a_hundred_mutated_images():
    found = fuzz(100, seed=1)
    check(found, 100)
    assert {"accepted", "damaged", "not an image"} <= found["outcomes"].keys()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory as Linux has them")
def test_thousands_of_mutated_images():
    found = fuzz(2400, seed=2)
    print(json.dumps(found, indent=1))
    check(found, 2400)
    named = {"accepted", "damaged", "not an image", "too many pixels", "no real alpha", "transparent", "animated"}
    assert named <= found["outcomes"].keys()


def test_honest_files_are_judged_as_such():
    found = [tuple(judge(file)) for file in seeds()]
    assert ("accepted", "transparent") in found
    assert all(reason not in pair for pair in found for reason in ("damaged", "not an image"))
