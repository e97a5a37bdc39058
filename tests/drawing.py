"""Tiny collections and photos that tests draw on the spot."""

import io
import json

import numpy as np
from PIL import Image, ImageDraw

from chairfinder.provenance import Provenance
from chairfinder.writing import Item, write_collection
from chairlib.collection import SPLITS, Collection
from chairlib.compositing.datasets import ChairSegments


def encode(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG" if kind == "segment" else "JPEG", quality=92)
    return stream.getvalue()


def draw_segment(rng: np.random.Generator, width: int = 48, height: int = 56) -> Image.Image:
    """A back, a seat and two legs in one colour, drawn at four times the size so that edges have fractional opacity."""
    colour = tuple(int(value) for value in rng.integers(0, 256, 3))
    opacity = Image.new("L", (width * 4, height * 4))
    pen = ImageDraw.Draw(opacity)
    left, right = (int(value) for value in (rng.integers(10, 50), rng.integers(120, 180)))
    seat = int(rng.integers(90, 130))
    pen.rectangle((left, 10, right, seat), fill=255)
    pen.rectangle((left, seat, right + 8, seat + 24), fill=255)
    for leg in (left, right - 10):
        pen.rectangle((leg, seat, leg + 12, height * 4 - 8), fill=255)
    image = Image.new("RGBA", (width, height), (*colour, 0))
    image.putalpha(opacity.resize((width, height), Image.Resampling.BOX))
    return image


def draw_background(rng: np.random.Generator, size: int = 40) -> Image.Image:
    coarse = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size + 12, size), Image.Resampling.BICUBIC)


def make_collection(folder, n_segments: int = 18, n_backgrounds: int = 10, seed: int = 0) -> Collection:
    rng = np.random.default_rng(seed)
    items = []
    for kind, count, draw in (("segment", n_segments, draw_segment), ("background", n_backgrounds, draw_background)):
        for number in range(count):
            image = draw(rng)
            items.append(
                Item(kind, encode(image, kind), *image.size, f"{kind}:{number}", Provenance("drawn by a test"))
            )
    return write_collection(folder, items, seed)


def write_released(collection: Collection, out, resolution: int = 32) -> None:
    """All composites of a collection in the layout of the paper's authors, without a note."""
    for split in SPLITS:
        for kind in ("image", "mask"):
            (out / split / kind).mkdir(parents=True)
        composites = ChairSegments(collection, split, resolution)
        for index in range(len(composites)):
            for kind, picture in zip(("image", "mask"), composites[index], strict=True):
                picture.save(out / split / kind / f"{index}.png")


def draw_photos(root, categories=("Airplane", "Car", "Horse"), count: int = 20, seed: int = 0):
    """Photos in Object Discovery's layout: a bright ellipse, the object, on a dark gradient; every tenth has none."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:40, 0:48]
    for category in categories:
        folder = root / "Data" / category
        (folder / "GroundTruth").mkdir(parents=True)
        for number in range(1, count + 1):
            a, b = rng.uniform(8, 18), rng.uniform(6, 14)
            mask = ((x - rng.uniform(18, 30)) / a) ** 2 + ((y - rng.uniform(15, 25)) / b) ** 2 < 1
            mask &= number % 10 != 0
            colour = rng.integers(140, 256, 3)
            image = np.where(mask[..., None], colour, rng.integers(0, 90, 3) + (x + y)[..., None] // 3)
            noisy = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"{number:04d}.jpg", quality=92)
            Image.fromarray(mask).save(folder / "GroundTruth" / f"{number:04d}.png")
    return root


def draw_released(root, counts, source="chair_segments"):
    """Images of noise, all chair, in the authors' layout: ``counts`` of each split, and a note that says ``source``."""
    for split, count in counts.items():
        for kind, shape, low in (("image", (40, 40, 3), 0), ("mask", (40, 40), 255)):
            (root / split / kind).mkdir(parents=True)
            for number in range(count):
                pixels = np.random.default_rng(number).integers(low, 256, shape, dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / kind / f"{number}.png")
    groups = {split: [str(number) for number in range(count)] for split, count in counts.items()}
    (root / "source.json").write_text(json.dumps({"source": source, "name": "drawn", "groups": groups}))
    return root


def blob(seed, size=160):
    """An irregular object: a polygon with a hole, each seed another, in colours with some texture."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 11))
    radii = rng.uniform(0.15, 0.48, 11) * size
    points = [(size / 2 + r * np.cos(a), size / 2 + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)]
    opacity = Image.new("L", (size, size))
    ImageDraw.Draw(opacity).polygon(points, fill=255)
    colours = Image.fromarray(rng.integers(30, 220, (4, 4, 3), dtype=np.uint8)).resize((size, size))
    colours.putalpha(opacity)
    return colours


def recoloured(segment, seed):
    colours = blob(seed, segment.width).convert("RGB")
    colours.putalpha(segment.getchannel("A"))
    return colours
