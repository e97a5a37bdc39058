"""Things that stand along a wall or hang on it.

To add one, copy a function; :mod:`room` says what its coordinates are.
"""

import itertools

import numpy as np

from chairmaker import textures
from chairmaker.materials import (
    Material,
    Part,
    black_plastic,
    fabric,
    glow,
    metal,
    paint,
    pick,
    plain,
    surface,
    textured,
)
from chairmaker.meshes import wall
from chairmaker.rooms import patterns
from chairmaker.rooms.floor_pieces import floor_lamp, leafy
from chairmaker.rooms.ornaments import any_colour, lampshade, on_top, scattered, vase
from chairmaker.rooms.room import PANE, POLISH, Style, wall_piece
from chairmaker.rooms.shapes import bar, bars, box, boxes, curtain, disc, made_of, moved, ring
from chairmaker.textures import hsv

Built = tuple[list[Part], float]


def framed(rng: np.random.Generator, style: Style, width: float, height: float) -> list[Part]:
    """A framed picture with its lower left corner at the origin, on the wall."""
    edge = rng.uniform(0.012, 0.05)
    frame = boxes(
        [
            [-edge, width + edge, -0.03, 0, -edge, 0],
            [-edge, width + edge, -0.03, 0, height, height + edge],
            [-edge, 0, -0.03, 0, 0, height],
            [width, width + edge, -0.03, 0, 0, height],
        ]
    )
    material = (style.timber, style.dark, style.trim)[rng.integers(3)]
    canvas = plain(textured(textures.painting(rng, 48), (width, height)))
    return [Part(wall((0, -PANE, 0), (width, 0, 0), (0, 0, height)), canvas), Part(frame, material)]


@wall_piece(2.5)
def pictures(rng: np.random.Generator, style: Style) -> Built:
    """One to three framed pictures over bare wall."""
    parts, x = [], 0.1
    base = rng.uniform(1.2, 1.5)
    for _ in range(rng.integers(1, 4)):
        w, h = rng.uniform(0.25, 0.8), rng.uniform(0.3, 0.8)
        parts += moved(framed(rng, style, w, h), x, 0, base - h / 4)
        x += w + rng.uniform(0.12, 0.3)
    return parts, x


@wall_piece(1, "living", "hallway", "dining", "study", "bedroom")
def gallery(rng: np.random.Generator, style: Style) -> Built:
    """Many small pictures hung close together."""
    columns, rows = int(rng.integers(2, 5)), int(rng.integers(2, 4))
    parts = []
    for column, row in itertools.product(range(columns), range(rows)):
        w, h = rng.uniform(0.16, 0.28, 2)
        parts += moved(framed(rng, style, w, h), 0.1 + column * 0.36, 0, 1.0 + row * 0.36)
    return parts, 0.1 + columns * 0.36


def _mirror_glass(rng: np.random.Generator, width: float, height: float) -> Material:
    """What a mirror shows: a picture of some other part of the house."""
    return surface(textured(patterns.glimpse(rng, 48), (width, height)), 0.1, 0.5)


@wall_piece(1.5, "living", "hallway", "bedroom", "dining")
def mirror(rng: np.random.Generator, style: Style) -> Built:
    """A round mirror over a narrow console with thin legs."""
    w, h, d = rng.uniform(0.8, 1.2), rng.uniform(0.72, 0.85), 0.32
    r = rng.uniform(0.25, 0.38)
    glass = disc(r, 0.012, 22).turned(90, "x").moved(w / 2, 0.01 - PANE, 1.55)
    feet = [(x, y, 0.0) for x in (0.03, w - 0.03) for y in (-0.03, -d + 0.03)]
    legs = bars(feet, [(x, y, h) for x, y, _ in feet], 0.028)
    parts = [
        Part(glass, _mirror_glass(rng, r, r)),
        Part(ring(r, 0.03, 22, (w / 2, -PANE, 1.55), "x"), style.dark),
        Part(box((0, w), (-d, 0), (h - 0.03, h)), style.timber),
        Part(legs, style.dark),
    ]
    return parts + on_top(rng, "hallway", w, d, h, 3), w


@wall_piece(0.8, "bedroom", "hallway", "living")
def standing_mirror(rng: np.random.Generator, style: Style) -> Built:
    """A tall mirror that leans on the wall."""
    w, h = rng.uniform(0.45, 0.8), rng.uniform(1.5, 1.9)
    edge = 0.04
    frame = boxes(
        [
            [0, edge, -0.03, 0, 0, h],
            [w - edge, w, -0.03, 0, 0, h],
            [0, w, -0.03, 0, 0, edge],
            [0, w, -0.03, 0, h - edge, h],
        ]
    )
    glass = wall((edge, -0.02, edge), (w - 2 * edge, 0, 0), (0, 0, h - 2 * edge))
    parts = [Part(frame, style.dark), Part(glass, _mirror_glass(rng, w, h))]
    return moved([Part(part.mesh.turned(-6, "x"), part.material) for part in parts], y=-0.2), w


def _casement(rng: np.random.Generator, x0: float, x1: float, z0: float, z1: float) -> np.ndarray:
    """Frame and glazing bars of a window between four edges, as boxes."""
    bars_ = [
        [x0 - 0.07, x1 + 0.07, -0.05, 0, z0 - 0.07, z0 + 0.02],
        [x0 - 0.07, x1 + 0.07, -0.05, 0, z1 - 0.02, z1 + 0.07],
        [x0 - 0.07, x0 + 0.02, -0.05, 0, z0, z1],
        [x1 - 0.02, x1 + 0.07, -0.05, 0, z0, z1],
        [x0 - 0.1, x1 + 0.1, -0.14, 0, z0 - 0.09, z0 - 0.06],
    ]
    columns, rows = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    bars_ += [[x - 0.015, x + 0.015, -0.04, 0, z0, z1] for x in np.linspace(x0, x1, columns + 1)[1:-1]]
    bars_ += [[x0, x1, -0.04, 0, z - 0.012, z + 0.012] for z in np.linspace(z0, z1, rows + 1)[1:-1]]
    return np.array(bars_)


def _outlook(rng: np.random.Generator, w: float, h: float) -> Material:
    """Daylight with a view; sometimes dusk."""
    # A little paler than it is, as the world outside always is in pictures of rooms; any paler and little of it would
    # show.
    image = 0.8 * textures.view(rng, 48) + 0.2
    if rng.uniform() < 0.12:
        return glow(textured(image * [0.25, 0.35, 0.6], (w, h)), rng.uniform(0.5, 1.5))
    return glow(textured(image, (w, h)), rng.choice([0.5, 0.8, 1.4]) * rng.uniform(0.7, 1.3))


def _radiator(style: Style, x0: float, x1: float, low: float, high: float) -> Part:
    xs = np.arange(x0, x1, 0.07)
    ribs = [[x, x + 0.045, -0.12, -0.03, low, high] for x in xs]
    return Part(boxes([*ribs, [x0, x1, -0.1, -0.05, low + 0.03, low + 0.07]]), style.trim)


def _translucent(rng: np.random.Generator) -> Material:
    """Cloth with daylight behind it."""
    return glow(hsv(rng.choice([0.1, 0.12, rng.uniform()]), rng.uniform(0.02, 0.35), 1.0), rng.uniform(0.3, 0.9))


def _dressed(rng: np.random.Generator, style: Style, x0: float, x1: float, z0: float, z1: float) -> list[Part]:
    """Curtains, a blind, slats, or nothing before a window."""
    kind = pick(rng, {"nothing": 2, "curtains": 5, "blind": 1.5, "slats": 1.5, "sheer": 1})
    if kind == "blind":
        drop = rng.uniform(0.15, 0.7) * (z1 - z0)
        return [Part(box((x0 - 0.03, x1 + 0.03), (-0.07, -0.06), (z1 - drop, z1 + 0.05)), _translucent(rng))]
    if kind == "slats":
        low = z0 + rng.uniform(0, 0.5) * (z1 - z0)
        slats = boxes([[x0, x1, -0.09, -0.07, z, z + 0.035] for z in np.arange(low, z1, 0.06)])
        return [Part(slats, _translucent(rng) if rng.uniform() < 0.7 else style.timber)]
    if kind == "nothing":
        return []
    cloth = fabric(rng)
    if rng.uniform() < 0.35:
        print_ = patterns.floral(rng, any_colour(rng), [any_colour(rng) for _ in range(3)])
        cloth = plain(textured(print_, (0.5, 0.5)))
    foot = 0.03 if rng.uniform() < 0.7 else max(z0 - 0.15, 0.03)
    spread = rng.uniform(0.25, 0.5)
    if kind == "sheer":
        spread, cloth = (x1 - x0) * 0.5, _translucent(rng)
    meshes = [
        curtain(start, spread, -0.11, foot, z1 + 0.16, rng.uniform(4, 6)) for start in (x0 - 0.3, x1 + 0.3 - spread)
    ]
    rod = bar((x0 - 0.4, -0.11, z1 + 0.16), (x1 + 0.4, -0.11, z1 + 0.16), 0.028)
    return [*made_of(cloth, *meshes), Part(rod, style.dark)]


@wall_piece(3.5)
def window(rng: np.random.Generator, style: Style) -> Built:
    """A window with daylight and a view, glazing bars, and perhaps curtains or a radiator."""
    w, h, low = rng.uniform(0.6, 1.9), rng.uniform(0.9, 1.4), rng.uniform(0.65, 1.05)
    x0, x1, z1 = 0.35, 0.35 + w, low + h
    parts = [Part(wall((x0, -PANE, low), (w, 0, 0), (0, 0, h)), _outlook(rng, w, h))]
    parts.append(Part(boxes(_casement(rng, x0, x1, low, z1)), style.trim))
    parts += _dressed(rng, style, x0, x1, low, z1)
    if rng.uniform() < 0.4:
        parts.append(_radiator(style, x0 + 0.05, x1 - 0.05, 0.12, low - 0.18))
    if rng.uniform() < 0.4:
        parts += moved(scattered(rng, "bathroom", w, 0.01, low - 0.06, 2), x0 + w / 2, -0.1)
    return parts, w + 0.7


@wall_piece(1.5, "living", "dining", "bedroom", "study")
def tall_window(rng: np.random.Generator, style: Style) -> Built:
    """A french window down to the floor."""
    w, h = rng.uniform(1.2, 2.4), rng.uniform(2.0, 2.2)
    parts = [Part(wall((0.35, -PANE, 0.06), (w, 0, 0), (0, 0, h)), _outlook(rng, w, h))]
    parts.append(Part(boxes(_casement(rng, 0.35, 0.35 + w, 0.06, h + 0.06)), style.trim))
    return parts + _dressed(rng, style, 0.35, 0.35 + w, 0.06, h + 0.06), w + 0.7


def _door_frame(style: Style, w: float, h: float) -> Part:
    return Part(
        boxes(
            [
                [0, 0.09, -0.06, 0, 0, h + 0.08],
                [0.09 + w, 0.18 + w, -0.06, 0, 0, h + 0.08],
                [0, 0.18 + w, -0.065, 0, h, h + 0.09],
            ]
        ),
        style.trim,
    )


def _door_leaf(rng: np.random.Generator, style: Style, w: float, h: float) -> list[Part]:
    """A panelled or plain leaf, hinged at the origin, its front at y = -0.03."""
    leaf = (style.trim, style.timber, style.second)[rng.choice(3, p=[0.55, 0.3, 0.15])]
    slabs = [[0, w, -0.03, 0, 0, h]]
    rows = int(rng.integers(0, 4))
    for low, high in itertools.pairwise(np.linspace(0.12, h - 0.1, rows + 1)):
        slabs += [[x, x + w / 2 - 0.13, -0.045, -0.03, low + 0.05, high - 0.03] for x in (0.09, w / 2 + 0.04)]
    grip = boxes([[w - 0.09, w - 0.06, -0.08, -0.03, 0.97, 1.03], [w - 0.18, w - 0.06, -0.09, -0.075, 0.99, 1.01]])
    return [Part(boxes(slabs), leaf), Part(grip, metal(rng, POLISH))]


@wall_piece(2)
def door(rng: np.random.Generator, style: Style) -> Built:
    """A closed door in its frame."""
    w, h = rng.uniform(0.75, 0.92), rng.uniform(1.98, 2.1)
    return [*moved(_door_leaf(rng, style, w, h), 0.09), _door_frame(style, w, h)], w + 0.18


@wall_piece(1.3)
def open_door(rng: np.random.Generator, style: Style) -> Built:
    """A doorway with a glimpse of the next room, the door wide open or missing."""
    w, h = rng.uniform(0.75, 1.1), rng.uniform(1.98, 2.1)
    image = patterns.glimpse(rng)
    beyond = plain(textured(image, (w, h)))
    if rng.uniform() < 0.6:
        beyond = glow(textured(image, (w, h)), rng.uniform(0.15, 0.8))
    parts = [Part(wall((0.09, -PANE, 0), (w, 0, 0), (0, 0, h)), beyond), _door_frame(style, w, h)]
    if rng.uniform() < 0.5:
        parts += moved(_door_leaf(rng, style, w, h), 0.09, -0.05, turn=-rng.uniform(60, 95))
    return parts, w + 0.25


@wall_piece(2.5, "living", "study", "bedroom", "hallway", "dining")
def bookshelf(rng: np.random.Generator, style: Style) -> Built:
    """An open shelf with rows of books, boxes and a few ornaments."""
    w, h, d = rng.uniform(0.7, 1.6), rng.uniform(1.1, 2.2), 0.3
    levels = np.linspace(0.07, h - 0.02, int(rng.integers(4, 7)))
    boards = [[0, 0.022, -d, 0, 0, h], [w - 0.022, w, -d, 0, 0, h], [0, w, -0.012, 0, 0, h]]
    boards += [[0.01, w - 0.01, -d, 0, z, z + 0.022] for z in levels]
    timber = (style.timber, style.trim, style.second)[rng.choice(3, p=[0.5, 0.3, 0.2])]
    parts = [Part(boxes(boards), timber)]
    for low, high in itertools.pairwise(levels):
        if rng.uniform() < 0.15:
            parts += moved(vase(rng), rng.uniform(0.15, w - 0.15), -d / 2, low + 0.022)
            continue
        full = rng.uniform(0.5, 1.0) * (w - 0.05)
        tall = (high - low - 0.022) * rng.uniform(0.75, 0.96)
        start = rng.choice([0.025, w - 0.025 - full])
        image = textures.books(rng, 96) if rng.uniform() < 0.75 else patterns.goods(rng)
        row = wall((start, -d * 0.8, low + 0.022), (full, 0, 0), (0, 0, tall))
        parts.append(Part(row, plain(textured(image, (full, tall)))))
    return [*parts, *on_top(rng, "study", w, d, h, 1)], w


@wall_piece(1.5, "living", "study", "kitchen", "bedroom", "bathroom", "hallway")
def wall_shelves(rng: np.random.Generator, style: Style) -> Built:
    """Boards on brackets with small things on them."""
    w, d = rng.uniform(0.6, 1.4), 0.22
    parts: list[Part] = []
    kind = ("study", "kitchen", "living")[rng.integers(3)]
    levels = 1.15 + np.arange(rng.integers(1, 4)) * 0.38
    for z in levels:
        parts += moved(scattered(rng, kind, w, 0.02, z, int(rng.integers(2, 6))), w / 2, -d / 2)
    boards = boxes([[0, w, -d, 0, z - 0.025, z] for z in levels])
    feet = np.array([(x, -0.01, z - 0.2) for x in (0.12, w - 0.12) for z in levels])
    return [*parts, Part(boards, style.timber), Part(bars(feet, feet + [0, -d * 0.8, 0.18], 0.02), style.dark)], w


def _fronts(
    rng: np.random.Generator, xs: np.ndarray, zs: np.ndarray, y: float, body: Material, glass: bool = False
) -> list[Part]:
    """Doors or drawers with handles between the given edges, on a front at ``y``."""
    slabs, grips, panes = [], [], []
    rows = len(zs) - 1
    for (x0, x1), (z0, z1) in itertools.product(itertools.pairwise(xs), itertools.pairwise(zs)):
        slabs.append([x0 + 0.006, x1 - 0.006, y - 0.02, y, z0 + 0.006, z1 - 0.006])
        panes.append([x0 + 0.06, x1 - 0.06, y - 0.024, y - 0.02, z0 + 0.06, z1 - 0.06])
        x, z = ((x0 + x1) / 2, (z0 + z1) / 2) if rows > 1 else (x1 - 0.06, (z0 + z1) / 2)
        wide, tall = (0.06, 0.008) if rows > 1 else (0.008, 0.06)
        grips.append([x - wide, x + wide, y - 0.045, y - 0.02, z - tall, z + tall])
    parts = [Part(boxes(slabs), body), Part(boxes(grips), metal(rng, POLISH))]
    if glass:
        high = float(zs[-1] - zs[0])
        image = surface(textured(patterns.goods(rng), (float(xs[-1] - xs[0]), high / 3)), 0.15)
        parts.append(Part(boxes(panes), image))
    elif rng.uniform() < 0.5 and min(np.diff(xs).min(), np.diff(zs).min()) > 0.2:
        parts.append(Part(boxes(panes), body))
    return parts


@wall_piece(3.5, "living", "dining", "bedroom", "study", "hallway")
def cabinet(rng: np.random.Generator, style: Style) -> Built:
    """A sideboard or chest of drawers with things on it, and perhaps a picture or a television above."""
    w, d = rng.uniform(0.7, 1.8), rng.uniform(0.38, 0.5)
    h, low = rng.uniform(0.55, 1.0), rng.choice([0.06, 0.18])
    body = style.timber if rng.uniform() < 0.65 else style.second
    columns = max(1, round(w / rng.uniform(0.4, 0.6)))
    xs, zs = np.linspace(0.02, w - 0.02, columns + 1), np.linspace(low + 0.03, h - 0.04, int(rng.integers(2, 5)))
    legs = boxes([[x, x + 0.04, y, y + 0.04, 0, low] for x in (0.03, w - 0.07) for y in (-d + 0.03, -0.07)])
    parts = [Part(box((0, w), (-d, 0), (low, h)), body), *_fronts(rng, xs, zs, -d, body), Part(legs, style.dark)]
    parts += on_top(rng, "living", w, d, h, 5)
    above = pick(rng, {"picture": 4, "television": 2.5, "nothing": 3})
    if above == "picture":
        size = rng.uniform(0.35, 0.8, 2)
        parts += moved(framed(rng, style, *size), (w - size[0]) / 2, 0, max(h + 0.25, 1.25))
    elif above == "television" and w > 1.0:
        parts += moved(_television(rng, 1.1), w / 2, -0.2, h + 0.03)
    return parts, w


@wall_piece(1.5, "dining", "living", "kitchen", "bedroom")
def cupboard(rng: np.random.Generator, style: Style) -> Built:
    """A tall cupboard, wardrobe or dresser, sometimes glazed."""
    w, d, h = rng.uniform(0.8, 1.9), rng.uniform(0.4, 0.6), rng.uniform(1.8, 2.25)
    body = (style.timber, style.second, style.trim)[rng.choice(3, p=[0.5, 0.25, 0.25])]
    xs = np.linspace(0.03, w - 0.03, max(2, round(w / 0.5)) + 1)
    parts = [Part(boxes([[0, w, -d, 0, 0, h], [-0.03, w + 0.03, -d - 0.04, 0, h, h + 0.05]]), body)]
    if rng.uniform() < 0.4:
        middle = rng.uniform(0.7, 1.0)
        parts += _fronts(rng, xs, np.array([middle, h - 0.05]), -d, body, glass=True)
        parts += _fronts(rng, xs, np.array([0.08, middle / 2, middle]), -d, body)
    else:
        parts += _fronts(rng, xs, np.array([0.08, h - 0.05]), -d, body)
    return parts + on_top(rng, "hallway", w, d, h + 0.05, 2), w


def _television(rng: np.random.Generator, width: float) -> list[Part]:
    """A flat screen on its foot, about the origin."""
    h = width * 0.58
    shell = boxes([[-width / 2, width / 2, 0, 0.05, 0.05, h + 0.05], [-0.15, 0.15, -0.08, 0.1, 0, 0.06]])
    glass = wall((-width / 2 + 0.02, -0.003, 0.07), (width - 0.04, 0, 0), (0, 0, h - 0.04))
    if rng.uniform() < 0.3:
        shown = glow(textured(patterns.screen(rng), (width, h)), rng.uniform(0.3, 0.9))
    else:
        shown = surface(np.full(3, rng.uniform(0.02, 0.1)), 0.15)
    return [Part(shell, black_plastic(rng)), Part(glass, shown)]


@wall_piece(1, "living", "bedroom", "study")
def hung_television(rng: np.random.Generator, style: Style) -> Built:
    """A television on the wall over a low board."""
    w = rng.uniform(0.9, 1.6)
    board = box((-0.1, w + 0.1), (-0.4, 0), (0.2, 0.5))
    return [
        *moved(_television(rng, w), w / 2 + 0.1, -0.06, rng.uniform(0.8, 1.2)),
        *moved([Part(board, style.timber), *on_top(rng, "living", w, 0.4, 0.5, 3)], 0.1),
    ], w + 0.2


@wall_piece(1.2, "living", "dining", "study")
def fireplace(rng: np.random.Generator, style: Style) -> Built:
    """A mantelpiece about a dark or burning hearth."""
    w, h, d = rng.uniform(1.2, 1.7), rng.uniform(1.0, 1.3), rng.uniform(0.15, 0.35)
    stone = style.trim
    if rng.uniform() < 0.5:
        red = hsv(rng.uniform(0.02, 0.09), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.65))
        stone = plain(textured(patterns.bricks(rng, [red, red * 0.8], red * 0.5 + 0.2, 12, 4), (0.8, 0.8)))
    blocks = [[0, w * 0.25, -d, 0, 0, h], [w * 0.75, w, -d, 0, 0, h], [0, w, -d, 0, h * 0.72, h]]
    if rng.uniform() < 0.35:
        blocks.append([w * 0.1, w * 0.9, -d, 0, h, 2.4])
    parts = [
        Part(boxes(blocks), stone),
        Part(boxes([[-0.08, w + 0.08, -d - 0.08, 0, h, h + 0.05], [0, w, -d - 0.35, 0, 0, 0.03]]), style.trim),
        Part(box((w * 0.24, w * 0.76), (-0.03, 0), (0, h * 0.73)), plain([0.06, 0.05, 0.05])),
    ]
    logs = bars(
        [(w * 0.35, -0.1, 0.08 + i * 0.07) for i in range(3)],
        [(w * 0.65, -0.12, 0.08 + i * 0.06) for i in range(3)],
        0.08,
    )
    parts.append(Part(logs, style.timber))
    if rng.uniform() < 0.3:
        parts.append(
            Part(wall((w * 0.36, -0.15, 0.15), (w * 0.28, 0, 0), (0, 0, 0.2)), glow(hsv(0.07, 0.85, 1.0), 3.0))
        )
    parts += moved(framed(rng, style, 0.6, 0.5), w / 2 - 0.3, -d, h + 0.3)
    return parts + on_top(rng, "living", w, d, h + 0.05, 5), w


@wall_piece(1, "living", "bedroom", "hallway", "bathroom", "study", "dining")
def radiator(rng: np.random.Generator, style: Style) -> Built:
    """A radiator, with a shelf or a picture above."""
    w = rng.uniform(0.6, 1.4)
    parts = [_radiator(style, 0, w, 0.12, rng.uniform(0.5, 0.95))]
    if rng.uniform() < 0.5:
        parts += moved(framed(rng, style, 0.5, 0.4), w / 2 - 0.25, 0, 1.35)
    return parts, w


@wall_piece(0.8)
def clock(rng: np.random.Generator, style: Style) -> Built:
    """A round clock."""
    r = rng.uniform(0.12, 0.25)
    face = disc(r, 0.03, 20).turned(90, "x").moved(r, 0, 1.75)
    hands = boxes(
        [[r - 0.01, r + 0.01, -0.036, -0.031, 1.75, 1.75 + r * 0.7], [r, r * 1.5, -0.036, -0.031, 1.74, 1.76]]
    )
    return [
        Part(face, plain(hsv(0.1, 0.1, rng.uniform(0.7, 0.95)))),
        *made_of(style.dark, ring(r, 0.03, 20, (r, -0.015, 1.75), "x"), hands),
    ], 2 * r


@wall_piece(0.8, "living", "bedroom", "hallway")
def hanging(rng: np.random.Generator, style: Style) -> Built:
    """A rug or woven cloth hung on the wall."""
    w, h = rng.uniform(0.6, 1.3), rng.uniform(0.7, 1.3)
    cloth = plain(textured(textures.rug(rng, [any_colour(rng) for _ in range(4)], 96), (w, h)))
    rod = bar((-0.05, -0.03, 2.1), (w + 0.05, -0.03, 2.1), 0.025)
    return [Part(wall((0, -PANE, 2.1 - h), (w, 0, 0), (0, 0, h)), cloth), Part(rod, style.dark)], w


@wall_piece(1, "hallway", "bedroom", "kitchen", "bathroom")
def hooks(rng: np.random.Generator, style: Style) -> Built:
    """A rail of hooks with coats, bags or towels."""
    count = int(rng.integers(2, 6))
    w = count * 0.22
    parts = [Part(box((0, w), (-0.03, 0), (1.6, 1.7)), style.timber)]
    pegs = np.array([(0.11 + i * 0.22, -0.02, 1.65) for i in range(count)])
    parts.append(Part(bars(pegs, pegs + [0, -0.08, 0.02], 0.02), style.dark))
    for x, y, _ in pegs:
        if rng.uniform() < 0.65:
            parts.append(
                Part(
                    curtain(x - 0.1, rng.uniform(0.16, 0.24), y - 0.08, rng.uniform(0.6, 1.1), 1.64, 2.0, 0.05),
                    fabric(rng),
                )
            )
    return parts, w


@wall_piece(1, "living", "hallway", "dining", "bedroom")
def wall_lamps(rng: np.random.Generator, style: Style) -> Built:
    """A pair of lamps on the wall beside a picture."""
    parts: list[Part] = moved(framed(rng, style, 0.5, 0.6), 0.35, 0, 1.25)
    for x in (0.1, 1.1):
        parts += moved(lampshade(rng, 0.09, 0.16, 0.5), x, -0.14, 1.75)
        parts.append(Part(bars([(x, 0, 1.65)], [(x, -0.14, 1.7)], 0.02), style.dark))
    return parts, 1.2


@wall_piece(0.8, "hallway", "kitchen", "bathroom", "study")
def leaning_things(rng: np.random.Generator, style: Style) -> Built:
    """A broom, a mop, a ladder or planks leaning on the wall."""
    w = rng.uniform(0.4, 0.6)
    feet = np.column_stack([rng.uniform(0.05, w, 3), rng.uniform(-0.4, -0.25, 3), np.zeros(3)])
    heads = feet * [1, 0.1, 0] + np.column_stack([rng.normal(0, 0.06, 3), np.zeros(3), rng.uniform(1.2, 1.7, 3)])
    parts = [Part(bars(feet, heads, 0.028), style.timber)]
    brush = boxes([[feet[0, 0] - 0.15, feet[0, 0] + 0.15, feet[0, 1] - 0.03, feet[0, 1] + 0.03, 0, 0.1]])
    parts.append(Part(brush, plain(any_colour(rng))))
    if rng.uniform() < 0.5:
        rails = np.array([(0.0, -0.45, 0.0), (w, -0.45, 0.0)])
        tops = rails * [1, 0.1, 1] + [0, 0, 1.9]
        steps = np.linspace(0.12, 0.9, 6)[:, None]
        rungs = [a + (b - a) * steps for a, b in zip(rails, tops, strict=True)]
        parts.append(Part(bars([*rails, *rungs[0]], [*tops, *rungs[1]], 0.035), style.dark))
    return parts, w


@wall_piece(1.2)
def bare(rng: np.random.Generator, style: Style) -> Built:
    """A stretch of wall with nothing on it, or a plant or a lamp before it."""
    w = rng.uniform(0.3, 0.9)
    kind = pick(rng, {"nothing": 3, "plant": 3, "lamp": 2})
    if kind == "plant":
        return moved(leafy(rng, rng.uniform(0.8, 1.7)), w / 2, -0.35), w
    return (moved(floor_lamp(rng, style), w / 2, -0.3) if kind == "lamp" else []), w


@wall_piece(0.8, "living", "dining")
def piano(rng: np.random.Generator, style: Style) -> Built:
    """An upright piano with things on it."""
    w, h = 1.45, rng.uniform(1.1, 1.25)
    case = boxes(
        [
            [0, w, -0.32, 0, 0, h],
            [0, w, -0.6, -0.3, 0.62, 0.72],
            [0, 0.08, -0.6, -0.3, 0, 0.62],
            [w - 0.08, w, -0.6, -0.3, 0, 0.62],
        ]
    )
    keys = textures.patterned(rng, [[0.93, 0.93, 0.9], [0.9, 0.9, 0.87]], 32)
    keys[:, ::3] = 0.1
    board = box((0.1, w - 0.1), (-0.58, -0.34), (0.72, 0.74))
    body = style.dark if rng.uniform() < 0.4 else style.timber
    return [Part(case, body), Part(board, plain(textured(keys, (0.2, 0.2)))), *on_top(rng, "living", w, 0.3, h, 4)], w


@wall_piece(0.6, "living", "bedroom", "study")
def rack(rng: np.random.Generator, style: Style) -> Built:
    """A metal rack with boxes and bins."""
    w, d, h = rng.uniform(0.7, 1.1), 0.35, rng.uniform(1.2, 1.9)
    feet = np.array([(x, y, 0.0) for x in (0.02, w - 0.02) for y in (-0.02, -d)])
    levels = np.linspace(0.1, h, 4)
    shelves = boxes([[0, w, -d, 0, z - 0.02, z] for z in levels])
    parts = made_of(style.dark, bars(feet, feet + [0, 0, h], 0.03), shelves)
    for low, high in itertools.pairwise(levels):
        bins = [
            [x, x + w / 3 - 0.05, -d + 0.02, -0.04, low, low + (high - low) * rng.uniform(0.4, 0.8)]
            for x in np.arange(3) * w / 3 + 0.03
        ]
        parts += [Part(boxes([one]), paint(rng)) for one in bins if rng.uniform() < 0.8]
    return parts, w


@wall_piece(0.7, "dining", "kitchen", "living")
def wine_rack(rng: np.random.Generator, style: Style) -> Built:
    """A tall rack of bottles lying in rows."""
    w, h = rng.uniform(0.4, 0.8), rng.uniform(0.8, 1.8)
    xs, zs = np.arange(0.06, w, 0.12), np.arange(0.1, h, 0.13)
    spots = np.array([(x, -0.3, z) for x in xs for z in zs if rng.uniform() < 0.7] or [(0.1, -0.3, 0.1)])
    frame = boxes(
        [[0, w, -0.28, 0, z - 0.06, z - 0.045] for z in zs] + [[0, 0.02, -0.28, 0, 0, h], [w - 0.02, w, -0.28, 0, 0, h]]
    )
    return [
        Part(frame, style.timber),
        Part(bars(spots, spots + [0, 0.28, 0], 0.08), surface(hsv(0.3, 0.5, 0.15), 0.2)),
    ], w
