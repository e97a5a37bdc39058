"""Pictures painted with numpy that give surfaces their grain, weave and pattern.

Each function takes a random generator and gives sRGB values in [0, 1], a float array [H,W,3] that repeats at its edges.
"""

import colorsys
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from chairmaker.meshes import Floats

Colour = Sequence[float] | Floats


def hsv(hue: float, saturation: float, value: float) -> Floats:
    """An sRGB colour [3] from hue, saturation and value in [0, 1]."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0)))


def _noise(rng: np.random.Generator, shape: tuple[int, int], blur: tuple[float, float]) -> Floats:
    """Smooth noise [H,W] with standard deviation 1 that repeats at its edges."""
    field = gaussian_filter(rng.standard_normal(shape), blur, mode="wrap")
    return field / max(float(field.std()), 1e-9)


def _tinted(colour: Colour, brightness: Floats) -> Floats:
    return np.clip(np.asarray(colour) * brightness[..., None], 0, 1)


def wood_grain(rng: np.random.Generator, colour: Colour, contrast: float = 0.1, size: int = 128) -> Floats:
    """Grain that runs along the second texture axis."""
    fibres = _noise(rng, (size, size), (size / 5, 0.7))
    figure = np.sin(_noise(rng, (size, size), (size / 4, size / 14)) * 3.0 + np.arange(size) * 2 * np.pi * 5 / size)
    return _tinted(colour, 1 + contrast * (0.6 * fibres + 0.6 * figure))


def mottled(
    rng: np.random.Generator,
    colour: Colour,
    contrast: float = 0.05,
    blur: float = 2.0,
    size: int = 96,
    clouds: float = 0.4,
) -> Floats:
    """Cloth, leather or plaster: uneven at two scales; ``clouds`` is the share of the coarser."""
    fine, coarse = _noise(rng, (size, size), (blur, blur)), _noise(rng, (size, size), (9, 9))
    return _tinted(colour, 1 + contrast * (0.7 * fine + clouds * coarse))


def patterned(rng: np.random.Generator, colours: Sequence[Colour], size: int = 96) -> Floats:
    """Woven cloth with stripes, checks, a zigzag, a diamond lattice or blots, in two or three colours."""
    y, x = np.mgrid[0:size, 0:size] / size
    repeats = int(rng.integers(3, 9))
    wave = 2 * np.pi * repeats
    kind = rng.integers(5)
    if kind == 0:
        choice = (np.sin(wave * x) > rng.uniform(-0.5, 0.7)).astype(int)
    elif kind == 1:
        choice = (np.sin(wave * x) > 0).astype(int) + (np.sin(wave * y) > 0)
    elif kind == 2:
        choice = (np.sin(wave * (x + 0.25 * np.abs((y * repeats) % 1 - 0.5))) > 0).astype(int)
    elif kind == 3:
        choice = (np.cos(wave * (x + y)) + np.cos(wave * (x - y)) > 0.3).astype(int)
    else:
        field = _noise(rng, (size, size), (5, 5))
        choice = (field > 0.3).astype(int) + (field > 1.1)
    palette = np.array([np.asarray(colour) for colour in colours])
    weave = 1 + 0.06 * rng.standard_normal((size, size))
    return np.clip(palette[choice % len(palette)] * weave[..., None], 0, 1)


def stripes(rng: np.random.Generator, colours: Sequence[Colour], size: int = 64) -> Floats:
    """Awning cloth: broad stripes along the second axis, woven."""
    bands = (np.arange(size) * len(colours) // size) % len(colours)
    image = np.array([np.asarray(colour) for colour in colours])[np.tile(bands, (size, 1))]
    return np.clip(image * (1 + 0.05 * rng.standard_normal((size, size)))[..., None], 0, 1)


def weave(rng: np.random.Generator, colour: Colour, contrast: float, strands: int, size: int = 96) -> Floats:
    """A plain weave of ``strands`` round strands in each direction, each with a shade of its own."""
    strands += strands % 2
    y, x = np.mgrid[0:size, 0:size] * strands / size
    over = (np.floor(x) + np.floor(y)) % 2 == 0
    crest = np.where(over, np.sin(np.pi * (x % 1)), np.sin(np.pi * (y % 1)))
    shade = rng.normal(0, 0.25, (2, strands))
    tone = np.where(over, shade[0][x.astype(int)], shade[1][y.astype(int)])
    return _tinted(colour, 1 + contrast * (crest - 0.8 + tone))


def planks(rng: np.random.Generator, colour: Colour, rows: int = 8, size: int = 256) -> Floats:
    """Floorboards with staggered ends and a shade of their own; also brick and subway tile, with fewer fibres."""
    image = np.zeros((size, size, 3))
    width = size // rows
    for row in range(rows):
        cuts = sorted({int(rng.integers(0, size)), int(rng.integers(0, size))})
        shades = rng.normal(1.0, 0.09, 3)
        board = np.repeat(shades, [cuts[0], cuts[-1] - cuts[0], size - cuts[-1]])
        board[: cuts[0]] = board[-1]
        strip = np.tile(board[:, None], (1, width))
        strip = strip * (1 + 0.05 * _noise(rng, (size, width), (size / 8, 0.7)))
        strip[:, 0] *= 0.55
        for cut in cuts:
            strip[cut % size] *= 0.65
        image[:, row * width : (row + 1) * width] = _tinted(colour, strip)
    image[:, rows * width :] = image[:, :1]
    return image


def tiles(
    rng: np.random.Generator, colours: Sequence[Colour], joint: Colour, count: int = 4, size: int = 192
) -> Floats:
    """Square tiles in one colour or a checkerboard of two, with joints."""
    y, x = np.mgrid[0:size, 0:size]
    step = size // count
    row, column = y // step, x // step
    palette = np.array([np.asarray(colour) for colour in colours])
    shade = rng.normal(1.0, 0.03, (count + 1, count + 1))[row % count, column % count]
    image = palette[(row + column) % len(palette)] * (shade * (1 + 0.03 * _noise(rng, (size, size), (4, 4))))[..., None]
    line = (y % step < 2) | (x % step < 2)
    image[line] = np.asarray(joint)
    return np.clip(image, 0, 1)


def carpet(rng: np.random.Generator, colour: Colour, size: int = 192) -> Floats:
    """Short pile: fine speckle with broad brushed patches."""
    speckle = 0.07 * _noise(rng, (size, size), (0.8, 0.8)) + 0.03 * _noise(rng, (size, size), (14, 14))
    return _tinted(colour, 1 + speckle)


def wallpaper(rng: np.random.Generator, colour: Colour, size: int = 128) -> Floats:
    """Papered walls: faint stripes, lattices or blots a little off the wall's colour."""
    other = np.clip(np.asarray(colour) * rng.uniform(0.72, 0.93) + rng.normal(0, 0.03, 3), 0, 1)
    return patterned(rng, [colour, other], size)


def rug(rng: np.random.Generator, colours: Sequence[Colour], size: int = 160) -> Floats:
    """A bordered rug with mirrored ornament, meant to fill its surface once."""
    half = size // 2
    field = _noise(rng, (half, half), (3.5, 3.5)) + 0.6 * _noise(rng, (half, half), (10, 10))
    field = np.concatenate([field, field[::-1]])
    field = np.concatenate([field, field[:, ::-1]], axis=1)
    palette = np.array([np.asarray(colour) for colour in colours])
    image = palette[np.digitize(field, [-0.3, 0.7, 1.5]) % len(palette)]
    y, x = np.mgrid[0:size, 0:size]
    edge = np.minimum.reduce([x, y, size - 1 - x, size - 1 - y]) / size
    image[edge < 0.10] = palette[1 % len(palette)]
    image[(edge > 0.035) & (edge < 0.06)] = palette[-1]
    return np.clip(image * (1 + 0.06 * rng.standard_normal((size, size)))[..., None], 0, 1)


def painting(rng: np.random.Generator, size: int = 64) -> Floats:
    """A picture for a wall: a landscape, an abstract, or a print on white paper. Meant to fill its surface once."""
    y, x = np.mgrid[0:size, 0:size] / size
    hue = rng.uniform()
    kind = rng.integers(3)
    if kind == 0:
        sky, land = hsv(rng.uniform(0.05, 0.62), 0.35, 0.9), hsv(rng.uniform(0.08, 0.4), 0.5, 0.45)
        horizon = rng.uniform(0.3, 0.6) + 0.06 * _noise(rng, (1, size), (0, 6))[0][None]
        image = np.where((y < horizon)[..., None], land * (0.6 + y)[..., None], sky * (0.75 + 0.4 * (1 - y))[..., None])
    elif kind == 1:
        palette = np.array(
            [hsv(hue + rng.normal(0, 0.2), rng.uniform(0.2, 0.9), rng.uniform(0.2, 1)) for _ in range(5)]
        )
        image = palette[np.digitize(_noise(rng, (size, size), (9, 9)), [-1, -0.2, 0.4, 1.1])]
    else:
        image = np.ones((size, size, 3)) * 0.93
        for _ in range(rng.integers(2, 7)):
            centre, radius = rng.uniform(0.25, 0.75, 2), rng.uniform(0.04, 0.2)
            image[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2] = hsv(
                hue + rng.normal(0, 0.15), 0.6, rng.uniform(0.2, 0.9)
            )
    return np.clip(image * (1 + 0.05 * _noise(rng, (size, size), (1, 1)))[..., None], 0, 1)


def view(rng: np.random.Generator, size: int = 64) -> Floats:
    """What is seen through a window: bright sky over trees or houses, out of focus."""
    y, _ = np.mgrid[0:size, 0:size] / size
    sky = hsv(rng.uniform(0.52, 0.62), rng.uniform(0.02, 0.3), 1.0)
    image = np.ones((size, size, 3)) * sky
    skyline = rng.uniform(0.15, 0.6) + 0.1 * _noise(rng, (1, size), (0, 5))[0][None]
    green = hsv(rng.uniform(0.2, 0.38), rng.uniform(0.15, 0.55), rng.uniform(0.35, 0.7))
    leaves = green * (1 + 0.35 * _noise(rng, (size, size), (2.5, 2.5)))[..., None]
    image = np.where((y < skyline)[..., None], leaves, image)
    return np.clip(gaussian_filter(image, (1.5, 1.5, 0), mode="nearest"), 0.02, 1)


def books(rng: np.random.Generator, size: int = 128) -> Floats:
    """A row of book spines, from left to right, with shadow above the shorter ones. Meant to fill its surface once."""
    image = np.zeros((size, size, 3)) + 0.06
    left = 0
    while left < size:
        width, height = int(rng.integers(4, 11)), int(size * rng.uniform(0.68, 0.97))
        muted = rng.uniform() < 0.75
        spine = hsv(rng.uniform(), rng.uniform(0.05, 0.3) if muted else rng.uniform(0.4, 0.75), rng.uniform(0.2, 0.85))
        image[:height, left : left + width] = spine
        image[:height, left] = spine * 0.5
        band = int(height * rng.uniform(0.55, 0.85))
        image[band : band + 6, left + 1 : left + width - 1] = np.clip(spine * 0.5 + rng.uniform(0, 0.5), 0, 1)
        left += width
    return image
