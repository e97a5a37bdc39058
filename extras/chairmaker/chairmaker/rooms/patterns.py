"""Surfaces that only places have: brick, parquet, stone, lawn, sky, shelves full of things.

As in :mod:`textures`, each function takes a random generator and gives sRGB values [H,W,3] in [0, 1].
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from chairmaker.materials import pick
from chairmaker.meshes import Floats
from chairmaker.textures import Colour, hsv


def blotches(rng: np.random.Generator, size: int, cells: int) -> Floats:
    """Smooth noise [size,size] that repeats at its edges: standard deviation about 1, ``cells`` lumps across."""
    coarse = rng.standard_normal((cells, cells))
    return 1.3 * zoom(coarse, size / cells, order=1, mode="grid-wrap", grid_mode=True)[:size, :size]


def _lit(colour: Colour, brightness: Floats) -> Floats:
    return np.clip(np.asarray(colour) * brightness[..., None], 0, 1)


def bricks(
    rng: np.random.Generator,
    colours: Sequence[Colour],
    joint: Colour,
    rows: int = 8,
    columns: int = 4,
    shift: float = 0.5,
    uneven: float = 0.1,
    size: int = 128,
) -> Floats:
    """Bricks, paving or tiles in courses, each with a shade of its own.

    ``shift`` is how far every second course is moved, as a share of a brick.
    """
    y, x = np.mgrid[0:size, 0:size]
    row = y * rows // size
    along = (x * columns / size + (row % 2) * shift) % columns
    column = along.astype(int)
    palette = np.array([np.asarray(colour, dtype=float) for colour in colours])
    shade = rng.normal(1.0, uneven, (rows, columns))
    choice = rng.integers(0, len(palette), (rows, columns))
    dirt = 1 + 0.06 * blotches(rng, size, 32) + 0.04 * blotches(rng, size, 6)
    image = palette[choice[row, column]] * (shade[row, column] * dirt)[..., None]
    gap = (y * rows % size < rows) | ((along % 1) * size < columns)
    image[gap] = np.asarray(joint)
    return np.clip(image, 0, 1)


def herringbone(rng: np.random.Generator, colour: Colour, long: int = 4, cell: int = 14) -> Floats:
    """Parquet of blocks laid at right angles to each other."""
    count = 2 * long
    j, i = np.divmod(np.arange(count * count), count)
    place = (i - j) % count
    lying = place < long
    first = np.where(lying, (i - place) % count, i)
    second = np.where(lying, j, (j - (count - 1 - place)) % count)
    shade = rng.normal(1.0, 0.11, (2, count, count))[lying.astype(int), first, second].reshape(count, count)
    size = count * cell
    image = np.kron(shade, np.ones((cell, cell)))
    within = np.arange(size) % cell
    flat, start = (
        np.kron(lying.reshape(count, count), np.ones((cell, cell))) > 0,
        np.kron(np.where(lying, place == 0, place == count - 1).reshape(count, count), np.ones((cell, cell))) > 0,
    )
    edge_y, edge_x = (within == 0)[:, None], (within == 0)[None, :]
    image = np.where((flat & (edge_y | (start & edge_x))) | (~flat & (edge_x | (start & edge_y))), image * 0.6, image)
    return _lit(colour, image * (1 + 0.03 * rng.standard_normal((size, size))))


def speckled(rng: np.random.Generator, colour: Colour, other: Colour, share: float = 0.3, size: int = 96) -> Floats:
    """Granite, terrazzo, gravel: grains of a second colour."""
    grains = blotches(rng, size, size // 2) > 1.2 * (0.55 - share)
    image = np.where(grains[..., None], np.asarray(other), np.asarray(colour))
    return np.clip(image * (1 + 0.05 * blotches(rng, size, 12))[..., None], 0, 1)


def veined(rng: np.random.Generator, colour: Colour, vein: Colour, size: int = 128) -> Floats:
    """Marble."""
    warp = blotches(rng, size, 5) + 0.35 * blotches(rng, size, 16)
    share = np.exp(-np.abs(warp) / rng.uniform(0.05, 0.2))[..., None] * rng.uniform(0.3, 0.9)
    return np.clip(np.asarray(colour) * (1 - share) + np.asarray(vein) * share, 0, 1)


def stained(rng: np.random.Generator, colour: Colour, contrast: float = 0.08, size: int = 128) -> Floats:
    """Plaster, concrete and worn paint: uneven at three scales."""
    field = 0.6 * blotches(rng, size, 4) + 0.5 * blotches(rng, size, 14) + 0.4 * blotches(rng, size, 50)
    return _lit(colour, 1 + contrast * field)


def lawn(rng: np.random.Generator, size: int = 192) -> Floats:
    """Grass, from lush to parched, with darker and worn places."""
    green = hsv(rng.uniform(0.17, 0.31), rng.uniform(0.35, 0.7), rng.uniform(0.35, 0.6))
    dry = hsv(rng.uniform(0.09, 0.16), rng.uniform(0.3, 0.5), rng.uniform(0.4, 0.65))
    share = np.clip(rng.uniform(0.05, 0.3) + 0.1 * blotches(rng, size, 5) + 0.1 * blotches(rng, size, 32), 0, 1)[
        ..., None
    ]
    blades = 1 + 0.16 * blotches(rng, size, size // 2) + 0.07 * blotches(rng, size, 48) + 0.03 * blotches(rng, size, 7)
    if rng.uniform() < 0.35:
        # Mown in stripes.
        blades = blades + 0.05 * np.sign(np.sin(4 * np.pi * np.arange(size) / size))[None]
    return np.clip((green * (1 - share) + dry * share) * blades[..., None], 0, 1)


def foliage(rng: np.random.Generator, size: int = 96) -> Floats:
    """Leaves from some way off, with gaps of shadow, and sometimes in flower."""
    green = hsv(rng.uniform(0.16, 0.36), rng.uniform(0.25, 0.6), rng.uniform(0.28, 0.55))
    field = 0.7 * blotches(rng, size, size // 3) + 0.5 * blotches(rng, size, 10)
    image = _lit(green, np.clip(0.85 + 0.4 * field, 0.12, 1.7))
    if rng.uniform() < 0.3:
        flower = hsv(rng.choice([0.0, 0.12, 0.8, 0.92, 0.6]), rng.uniform(0.1, 0.85), rng.uniform(0.75, 1.0))
        image[blotches(rng, size, size // 4) > rng.uniform(1.5, 2.2)] = flower
    return image


def floral(rng: np.random.Generator, ground: Colour, colours: Sequence[Colour], size: int = 64) -> Floats:
    """Printed cloth or paper: flowers and leaves scattered over a ground."""
    y, x = np.mgrid[0:size, 0:size] / size
    image = np.ones((size, size, 3)) * np.asarray(ground)
    for number in range(int(rng.integers(6, 16))):
        cx, cy = rng.uniform(0, 1, 2)
        dx, dy = x - cx - np.round(x - cx), y - cy - np.round(y - cy)
        petals = 1 + 0.35 * np.cos(rng.integers(3, 7) * np.arctan2(dy, dx) + rng.uniform(0, 6))
        far = np.hypot(dx, dy) / petals
        radius = rng.uniform(0.03, 0.11)
        image[far < radius] = np.asarray(colours[number % len(colours)])
        image[far < radius * 0.35] = np.asarray(colours[(number + 1) % len(colours)])
    return np.clip(image * (1 + 0.05 * rng.standard_normal((size, size)))[..., None], 0, 1)


def patchwork(rng: np.random.Generator, colours: Sequence[Colour], cells: int = 8, size: int = 96) -> Floats:
    """A quilt of squares, some of them printed."""
    palette = np.array([np.asarray(colour, dtype=float) for colour in colours])
    choice = rng.integers(0, len(palette), (cells, cells))
    y, x = np.mgrid[0:size, 0:size] * cells / size
    cell = choice[y.astype(int), x.astype(int)]
    inner = (np.abs(y % 1 - 0.5) + np.abs(x % 1 - 0.5)) < 0.35
    cell = np.where(inner & (cell % 2 == 0), cell + 1, cell) % len(palette)
    return np.clip(palette[cell] * (1 + 0.06 * rng.standard_normal((size, size)))[..., None], 0, 1)


def goods(rng: np.random.Generator, size: int = 96, shadow: float = 0.08) -> Floats:
    """A shelf full of boxes, jars, bottles and folded cloth, from left to right; meant to fill its surface once."""
    image = np.zeros((size, size, 3)) + shadow * rng.uniform(0.6, 2.0, 3)
    left = int(rng.integers(0, 6))
    while left < size:
        width, height = int(rng.integers(5, 20)), int(size * rng.uniform(0.25, 0.95))
        colour = hsv(rng.uniform(), rng.choice([0.05, 0.3, 0.75]), rng.uniform(0.2, 0.95))
        kind = rng.integers(4)
        right = left + width
        if kind == 0:
            for low in range(0, height, 7):
                image[low : low + 6, left:right] = np.clip(
                    hsv(rng.uniform(), rng.uniform(0, 0.6), rng.uniform(0.3, 0.95)), 0, 1
                )
        elif kind == 1:
            body, neck = int(height * 0.65), max(1, width // 3)
            image[:body, left:right] = colour
            image[body:height, left + neck : right - neck] = colour * 0.8
            image[int(body * 0.25) : int(body * 0.65), left:right] = hsv(rng.uniform(), 0.2, 0.9)
        else:
            image[:height, left:right] = colour
            image[int(height * 0.4) : int(height * 0.6), left:right] = np.clip(colour * 0.6 + 0.3, 0, 1)
        image[:height, left : left + 1] *= 0.6
        image[:height, right - 2 : right] *= 0.8
        left = right + int(rng.integers(0, 6))
    return np.clip(image, 0, 1)


def screen(rng: np.random.Generator, size: int = 64) -> Floats:
    """A computer's or television's picture, first row at the bottom."""
    image = np.ones((size, size, 3)) * hsv(rng.uniform(0.5, 0.7), rng.uniform(0.2, 0.8), rng.uniform(0.15, 0.7))
    image *= (1 + 0.3 * blotches(rng, size, 4))[..., None]
    for _ in range(rng.integers(0, 4)):
        x, y = rng.integers(2, size // 2, 2)
        w, h = rng.integers(12, size // 2, 2)
        image[y : y + h, x : x + w] = rng.choice([0.12, 0.9, 0.95])
        for line in range(int(y) + 3, min(int(y + h) - 2, size), 4):
            image[line : line + 2, x + 2 : x + int(rng.integers(5, w))] = hsv(rng.uniform(), 0.4, 0.55)
    return np.clip(image, 0, 1)


def glimpse(rng: np.random.Generator, size: int = 64) -> Floats:
    """The next room as seen through a doorway: floor, walls, a bright and a dark thing.

    Meant to fill its surface once.
    """
    y, x = np.mgrid[0:size, 0:size] / size
    colour = hsv(rng.uniform(0.04, 0.16), rng.uniform(0.05, 0.4), rng.uniform(0.3, 0.9))
    floor = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.6))
    image = np.ones((size, size, 3)) * colour * (0.6 + 0.5 * y)[..., None]
    image[y < rng.uniform(0.12, 0.25)] = floor
    side = rng.uniform(0.2, 0.8)
    image[(x > side) & (y > 0.13)] *= rng.uniform(0.5, 0.85)
    for _ in range(rng.integers(1, 5)):
        cx, low = rng.uniform(0, 0.9), rng.choice([0.15, 0.45])
        w, h = rng.uniform(0.08, 0.4), rng.uniform(0.1, 0.4)
        bright = hsv(rng.uniform(), rng.choice([0.05, 0.5]), rng.uniform(0.1, 1.0))
        image[(x > cx) & (x < cx + w) & (y > low) & (y < low + h)] = bright
    return np.clip(gaussian_filter(image, (0.7, 0.7, 0), mode="nearest"), 0.01, 1)


def sky(rng: np.random.Generator, height: int = 48) -> tuple[Floats, bool]:
    """Linear light from all round [H,2H,3], first row overhead, and whether the sun shines."""
    width = 2 * height
    kind = pick(rng, {"blue": 4, "clouds": 4, "grey": 3, "evening": 1.5})
    up = np.clip((0.5 - (np.arange(height) + 0.5) / height) * 2, -1, 1)[:, None]
    top, low = {
        "blue": (hsv(0.58, rng.uniform(0.6, 0.85), rng.uniform(0.5, 0.75)), hsv(0.55, rng.uniform(0.1, 0.3), 0.95)),
        "clouds": (hsv(0.58, rng.uniform(0.4, 0.75), 0.7), hsv(0.56, 0.12, 0.95)),
        "grey": (hsv(0.6, rng.uniform(0, 0.1), rng.uniform(0.7, 0.9)), hsv(0.6, 0.03, 0.95)),
        "evening": (
            hsv(rng.uniform(0.58, 0.68), 0.6, rng.uniform(0.2, 0.5)),
            hsv(rng.uniform(0.02, 0.1), rng.uniform(0.3, 0.7), 0.95),
        ),
    }[kind]
    share = np.clip(up, 0, 1)[..., None] ** 0.5
    image = np.repeat((low**2.2) * (1 - share) + (top**2.2) * share, width, axis=1)
    if kind in ("clouds", "evening"):
        field = zoom(rng.standard_normal((8, 12)), (height / 8, width / 12), order=1, mode="grid-wrap", grid_mode=True)
        field += 0.6 * zoom(
            rng.standard_normal((16, 32)), (height / 16, width / 32), order=1, mode="grid-wrap", grid_mode=True
        )
        cloud = 1 / (1 + np.exp(-(field - rng.uniform(0, 1.0)) * 4))[..., None]
        image = image * (1 - cloud) + cloud * (low**2.2 * 0.3 + 0.7) * (1 + 0.15 * field[..., None])
    ground = np.array([0.25, 0.23, 0.2]) * rng.uniform(0.6, 1.2)
    image = np.where(up[..., None] < 0, ground, image)
    return np.maximum(image, 0.01) * rng.uniform(0.7, 1.2), kind != "grey"
