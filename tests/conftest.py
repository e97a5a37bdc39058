"""Fixtures shared by the tests: a tiny collection made on the spot, and a home of the test's own."""

import io
import os
import shutil

# Tiny tensors gain nothing from threads, and lose a lot when the machine has other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from PIL import Image, ImageDraw

# Before any test file imports torchvision itself: see that module.
from chairlib import (
    _torchvision,  # noqa: F401
    paths,
)
from chairlib.collection import Collection, Item, write_collection


def encode(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG" if kind == "segment" else "JPEG", quality=92)
    return stream.getvalue()


def draw_segment(rng: np.random.Generator, width: int = 48, height: int = 56) -> Image.Image:
    """A chair of sorts: a back, a seat and two legs in one colour, drawn at four times the size for fractional opacity."""
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
                Item(kind, encode(image, kind), *image.size, group=f"{kind}:{number}", source="drawn by a test")
            )
    return write_collection(folder, items, seed)


@pytest.fixture(scope="session")
def collection(tmp_path_factory) -> Collection:
    """18 segments (10, 4, 4) and 10 backgrounds (6, 2, 2): 60 training, 8 validation and 8 test composites."""
    return make_collection(tmp_path_factory.mktemp("collections") / "drawn")


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


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Three categories of 20 photos: 16 train, 4 validate."""
    return draw_photos(tmp_path_factory.mktemp("photos") / "drawn")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Packed images and runs of the tests never land in the checkout."""
    patch = pytest.MonkeyPatch()
    home = tmp_path_factory.mktemp("home")
    patch.setattr(paths, "cache", home / "cache")
    patch.setattr(paths, "runs", home / "runs")
    yield
    patch.undo()


@pytest.fixture
def own_runs(tmp_path, monkeypatch):
    """An empty folder of runs."""
    monkeypatch.setattr(paths, "runs", tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium. One for all tests: Playwright's synchronous driver can run only once in a process at a time."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs a Chromium browser")
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet]
    with driver.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=flags)
        yield running
        running.close()


def pytest_collection_modifyitems(items):
    """The files that take longest first: where files are shared out among processes, none is left with them at the end."""
    longest = ("test_smoke", "test_chapters", "test_collecting", "test_book", "test_site", "test_alpha_scrubber")
    items.sort(key=lambda item: longest.index(item.path.stem) if item.path.stem in longest else len(longest))
