"""Kitchens: units, worktops, cookers, refrigerators."""

import itertools

import numpy as np

from chairmaker.materials import Material, Part, fabric, paint, plain, surface, textured
from chairmaker.meshes import wall
from chairmaker.rooms import patterns
from chairmaker.rooms.floor_pieces import dining_table
from chairmaker.rooms.ornaments import any_colour, on_top, scattered
from chairmaker.rooms.room import PANE, Room, Style, room_kind, wall_piece
from chairmaker.rooms.shapes import Span, bars, box, boxes, disc, made_of, moved
from chairmaker.rooms.shells import indoors, tiled
from chairmaker.rooms.wall_pieces import window
from chairmaker.textures import hsv


def steel(rng: np.random.Generator) -> Material:
    """White enamel, black glass or brushed steel."""
    level = rng.choice([0.93, 0.06, 0.6, 0.72])
    return surface(np.full(3, level), 0.3, metallic=0.3 if 0.5 < level < 0.8 else 0.0)


def worktop(rng: np.random.Generator, style: Style) -> Material:
    """Granite, marble, wood or laminate."""
    kind = rng.integers(4)
    colour = hsv(rng.uniform(0.05, 0.12), rng.uniform(0, 0.35), rng.uniform(0.12, 0.9))
    if kind == 0:
        return surface(
            textured(patterns.speckled(rng, colour, np.clip(colour * 0.6 + rng.uniform(0, 0.35), 0, 1)), (0.3, 0.3)),
            0.2,
        )
    if kind == 1:
        return surface(textured(patterns.veined(rng, [0.9, 0.9, 0.88], [0.5, 0.5, 0.5]), (1.2, 1.2)), 0.2)
    return style.timber if kind == 2 else surface(colour, 0.3)


def _doors(
    xs: np.ndarray, z: Span, y: float, drawers: np.ndarray | None = None
) -> tuple[list[list[float]], list[list[float]]]:
    """Fronts and grips of cupboards between the edges ``xs``; where ``drawers`` says so, three drawers each."""
    slabs, grips = [], []
    for i, (x0, x1) in enumerate(itertools.pairwise(xs)):
        levels = np.linspace(*z, 4) if drawers is not None and drawers[i] else np.array(z)
        for z0, z1 in itertools.pairwise(levels):
            slabs.append([x0 + 0.005, x1 - 0.005, y - 0.02, y, z0 + 0.005, z1 - 0.005])
            x = (x0 + x1) / 2
            grips.append([x - 0.07, x + 0.07, y - 0.045, y - 0.02, z1 - 0.06, z1 - 0.045])
    return slabs, grips


def _cooker(rng: np.random.Generator, x: float, h: float) -> list[Part]:
    """An oven with a hob and something on it, 0.6 m wide from ``x``."""
    y = -0.62
    knobs = bars(
        [(x + 0.1 + i * 0.1, y - 0.02, h - 0.08) for i in range(5)],
        [(x + 0.1 + i * 0.1, y - 0.05, h - 0.08) for i in range(5)],
        0.04,
    )
    rings = [disc(0.09, 0.012, 12).moved(x + a, b, h + 0.04) for a in (0.16, 0.44) for b in (-0.45, -0.17)]
    parts = [
        Part(
            boxes([[x, x + 0.6, y - 0.01, 0, 0.08, h + 0.042], [x + 0.03, x + 0.57, y - 0.03, y, 0.2, h - 0.14]]),
            steel(rng),
        ),
        Part(
            boxes([[x + 0.09, x + 0.51, y - 0.034, y, 0.3, h - 0.22], [x, x + 0.6, -0.6, -0.02, h + 0.04, h + 0.045]]),
            surface(np.full(3, 0.04), 0.15),
        ),
        Part(box((x + 0.06, x + 0.54), (y - 0.07, y - 0.05), (h - 0.18, h - 0.16)), steel(rng)),
        *made_of(surface(np.full(3, 0.1), 0.5), knobs, *rings),
    ]
    if rng.uniform() < 0.4:
        cloth = box((x + 0.15, x + 0.4), (y - 0.08, y - 0.075), (h - 0.55, h - 0.16))
        parts.append(Part(cloth, fabric(rng)))
    return parts + moved(scattered(rng, "kitchen", 0.01, 0.01, h + 0.05, int(rng.integers(0, 2))), x + 0.3, -0.3)


def _hood(rng: np.random.Generator, x: float) -> list[Part]:
    return [Part(boxes([[x, x + 0.6, -0.5, 0, 1.55, 1.63], [x + 0.16, x + 0.44, -0.3, 0, 1.63, 2.7]]), steel(rng))]


def _tap(rng: np.random.Generator, x: float, h: float) -> list[Part]:
    pipe = bars(
        [(x, -0.1, h), (x, -0.1, h + 0.3), (x, -0.3, h + 0.3)],
        [(x, -0.1, h + 0.3), (x, -0.3, h + 0.3), (x, -0.3, h + 0.22)],
        0.028,
    )
    basin = box((x - 0.28, x + 0.28), (-0.52, -0.12), (h - 0.01, h + 0.004))
    return [
        Part(pipe, surface(np.full(3, 0.75), 0.25, metallic=0.4)),
        Part(basin, surface(np.full(3, rng.choice([0.35, 0.6, 0.9])), 0.3)),
    ]


def fridge(rng: np.random.Generator) -> tuple[list[Part], float]:
    """A refrigerator with two doors and notes stuck to it."""
    w, h = rng.uniform(0.6, 0.9), rng.uniform(1.7, 2.0)
    split = rng.uniform(0.5, 0.7) * h
    body = steel(rng)
    gap = [
        [0, w, -0.66, 0, 0, h],
        [0.005, w - 0.005, -0.7, -0.66, 0.06, split - 0.005],
        [0.005, w - 0.005, -0.7, -0.66, split + 0.005, h - 0.01],
    ]
    grips = bars(
        [(0.07, -0.73, split - 0.5), (0.07, -0.73, split + 0.06)],
        [(0.07, -0.73, split - 0.05), (0.07, -0.73, split + 0.35)],
        0.025,
    )
    parts = [Part(boxes(gap), body), Part(grips, surface(np.full(3, rng.choice([0.1, 0.75])), 0.3))]
    for _ in range(rng.integers(0, 7)):
        x, z, s = rng.uniform(0.15, w - 0.2), rng.uniform(0.9, h - 0.2), rng.uniform(0.04, 0.13)
        parts.append(Part(box((x, x + s), (-0.705, -0.701), (z, z + s * 1.2)), plain(any_colour(rng))))
    return parts + on_top(rng, "kitchen", w, 0.5, h, 2), w


def units(rng: np.random.Generator, style: Style, length: float) -> list[Part]:
    """A kitchen along a wall from x = 0: base and wall units, worktop, splashback, cooker, sink, shelves, clutter."""
    h, y = rng.uniform(0.84, 0.92), -0.58
    front = (style.timber, style.second, style.trim, paint(rng))[rng.choice(4, p=[0.35, 0.2, 0.25, 0.2])]
    parts: list[Part] = []
    start = 0.0
    if rng.uniform() < 0.65 and length > 2.4:
        parts, start = fridge(rng)
    count = max(3, round((length - start) / 0.6))
    xs = np.linspace(start, length, count + 1)
    cooker = int(rng.integers(0, count))
    sink = int((cooker + rng.integers(1, count)) % count)
    slabs, grips = _doors(xs, (0.1, h - 0.02), y, rng.uniform(size=count) < 0.35)
    if rng.uniform() < 0.4:
        slabs += [
            [s[0] + 0.06, s[1] - 0.06, s[2] - 0.01, s[2], s[4] + 0.06, s[5] - 0.06] for s in slabs if s[5] - s[4] > 0.4
        ]
    top = worktop(rng, style)
    grip = surface(rng.choice([0.1, 0.7, 0.4]) * np.ones(3), 0.35, metallic=0.3)
    parts += [
        Part(boxes([[start, length, y, 0, 0.1, h]]), front),
        Part(boxes(slabs), front),
        Part(boxes([[start, length, y + 0.05, 0, 0, 0.1]]), plain(np.full(3, 0.12))),
        Part(boxes([[start, length, y - 0.04, 0, h, h + 0.035]]), top),
    ]
    parts += _cooker(rng, xs[cooker], h)
    parts += _tap(rng, (xs[sink] + xs[sink + 1]) / 2, h + 0.035)
    splash = tiled(rng) if rng.uniform() < 0.7 else top
    parts.append(Part(wall((start, -PANE, h), (length - start, 0, 0), (0, 0, rng.uniform(0.45, 0.65))), splash))
    parts += moved(
        scattered(rng, "kitchen", length - start, 0.4, h + 0.035, int(rng.integers(3, 9))), (start + length) / 2, -0.25
    )
    kind = rng.choice(3, p=[0.65, 0.2, 0.15])
    if kind == 0:
        low, high = rng.uniform(1.38, 1.5), rng.uniform(2.05, 2.3)
        shown = [i for i in range(count) if i != cooker and rng.uniform() < 0.9]
        carcass = [[xs[i], xs[i + 1], -0.34, 0, low, high] for i in shown]
        for i in shown:
            over, grips_over = _doors(xs[i : i + 2], (low, high), -0.34)
            glazed = rng.uniform() < 0.2
            image = plain(textured(patterns.goods(rng, 64), (0.6, 0.4))) if glazed else front
            parts.append(Part(boxes(over), image))
            grips += [[g[0], g[1], g[2], g[3], low + 0.05, low + 0.065] for g in grips_over]
        if carcass:
            parts.append(Part(boxes(carcass), front))
    elif kind == 1:
        parts.append(
            Part(boxes([[start + 0.1, length - 0.1, -0.26, 0, z - 0.03, z] for z in (1.45, 1.85)]), style.timber)
        )
        for z in (1.45, 1.85):
            parts += moved(
                scattered(rng, "kitchen", length - start, 0.02, z, int(rng.integers(3, 7))), (start + length) / 2, -0.13
            )
    if rng.uniform() < 0.75:
        parts += _hood(rng, xs[cooker])
    return [*parts, Part(boxes(grips), grip)]


@wall_piece(1.5, "kitchen")
def larder(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """An open larder full of goods."""
    w, h = rng.uniform(0.6, 1.1), rng.uniform(1.7, 2.1)
    levels = np.linspace(0.08, h, 6)
    frame = boxes(
        [[0, 0.025, -0.32, 0, 0, h], [w - 0.025, w, -0.32, 0, 0, h], *([0, w, -0.32, 0, z - 0.02, z] for z in levels)]
    )
    parts = [Part(frame, style.timber)]
    for low, high in itertools.pairwise(levels):
        image = plain(textured(patterns.goods(rng), (w - 0.05, high - low)))
        parts.append(Part(wall((0.025, -0.24, low), (w - 0.05, 0, 0), (0, 0, high - low - 0.02)), image))
    return parts, w


def island(rng: np.random.Generator, style: Style) -> list[Part]:
    """A block of cupboards with a worktop in the middle of the floor."""
    w, d, h = rng.uniform(1.1, 1.8), rng.uniform(0.6, 0.9), 0.9
    slabs, grips = _doors(np.linspace(-w / 2, w / 2, 4), (0.1, h - 0.02), -d / 2)
    front = style.second if rng.uniform() < 0.6 else style.timber
    return [
        Part(boxes([[-w / 2, w / 2, -d / 2, d / 2, 0.08, h], *slabs]), front),
        Part(boxes([[-w / 2 - 0.06, w / 2 + 0.06, -d / 2 - 0.06, d / 2 + 0.06, h, h + 0.04]]), worktop(rng, style)),
        Part(boxes(grips), style.dark),
        *scattered(rng, "kitchen", w, d, h + 0.04, int(rng.integers(1, 6))),
    ]


@room_kind("kitchen", 14)
def kitchen(rng: np.random.Generator, style: Style) -> Room:
    """Units along one or two walls, a table or an island, or neither."""
    w, d, h = rng.uniform(2.4, 4.0), rng.uniform(2.8, 4.4), rng.uniform(2.4, 2.8)
    length = w - 0.12 if rng.uniform() < 0.75 else w - 0.7

    def along(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
        return units(rng, style, length), length

    def beside(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
        return moved(units(rng, style, d * 0.6), 0.05), d * 0.6 + 0.05

    centre: list[Part] = []
    middle = rng.uniform()
    if middle < 0.45 and w > 2.8:
        piece = island(rng, style) if middle < 0.2 else dining_table(rng, style)
        centre = moved(piece, rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.1), turn=rng.choice([0, 90]))
    finishes = {"paint": 4, "plaster": 1.5, "tile": 2, "paper": 0.7, "brick": 0.4, "boards": 0.6}
    floors = {"tiles": 3, "slabs": 2, "planks": 3.5, "herringbone": 0.7}
    second = rng.uniform()
    side = (beside,) if second < 0.4 else (window,) if second < 0.75 else ()
    return indoors(rng, style, "kitchen", (w, d, h), (along,), side, centre, (0, 2), 0.25, finishes, floors, 0.0)
