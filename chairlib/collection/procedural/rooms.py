"""Rooms to put chairs in: living and dining rooms with everything but a seat.

A room is a shell (walls, floor, ceiling), pieces along its walls, and things on its floor. Each piece is one function. Along a
wall it works in coordinates of its own: x from 0 to its width, the wall at y = 0, the room towards -y, the floor at z = 0;
register it with ``@wall_piece(weight)``. Things on the floor stand about the origin; register them with ``@floor_piece(weight)``.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chairlib.collection.procedural import textures
from chairlib.collection.procedural.engine import mitsuba
from chairlib.collection.procedural.materials import (
    Material,
    Part,
    black_plastic,
    fabric,
    glow,
    metal,
    paint,
    pick,
    pick_hue,
    plain,
    surface,
    textured,
    wood,
)
from chairlib.collection.procedural.meshes import Floats, Mesh, cylinder, grid, lathe, rounded_box, sphere, sweep, wall
from chairlib.collection.procedural.render import Camera
from chairlib.collection.procedural.textures import hsv

__all__ = ["FLOOR_PIECES", "WALL_PIECES", "Room", "Style", "draw_room", "floor_piece", "wall_piece"]


@dataclass(frozen=True)
class Style:
    """What the pieces of one room have in common."""

    hue: float
    wall_colour: Floats
    trim: Material
    timber: Material
    second: Material
    dark: Material


@dataclass(frozen=True)
class Room:
    """A scene: parts, lights besides those that shine among the parts, a camera, and a white balance [3]."""

    parts: list[Part]
    lights: list[dict[str, Any]]
    camera: Camera
    balance: Floats


#: Bounced light is not traced, so polished metal would mirror darkness.
_POLISH = 0.4

WallPiece = Callable[[np.random.Generator, Style], tuple[list[Part], float]]
FloorPiece = Callable[[np.random.Generator, Style], list[Part]]
#: Pieces along a wall, with weights: each gives its parts and its width in metres.
WALL_PIECES: dict[WallPiece, float] = {}
#: Things on the floor, with weights.
FLOOR_PIECES: dict[FloorPiece, float] = {}


def wall_piece(weight: float) -> Callable[[WallPiece], WallPiece]:
    """Register a piece of furniture that stands along a wall or hangs on it."""

    def register(function: WallPiece) -> WallPiece:
        WALL_PIECES[function] = weight
        return function

    return register


def floor_piece(weight: float) -> Callable[[FloorPiece], FloorPiece]:
    """Register a thing that stands free."""

    def register(function: FloorPiece) -> FloorPiece:
        FLOOR_PIECES[function] = weight
        return function

    return register


def _box(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], radius: float = 0.004) -> Mesh:
    """A rounded box between two corners."""
    middle = [(a + b) / 2 for a, b in (x, y, z)]
    return rounded_box(x[1] - x[0], y[1] - y[0], z[1] - z[0], radius).moved(*middle)


def _moved(parts: list[Part], x: float = 0.0, y: float = 0.0, z: float = 0.0, turn: float = 0.0) -> list[Part]:
    return [Part(part.mesh.turned(turn).moved(x, y, z), part.material) for part in parts]


# --- small things to stand on furniture; each about the origin, on z = 0 -------------------------------------------------


def vase(rng: np.random.Generator) -> list[Part]:
    """A turned vase, bowl or jar."""
    h, r = rng.uniform(0.1, 0.35), rng.uniform(0.04, 0.1)
    z = np.linspace(0, 1, 9)
    swell = 0.55 + 0.45 * np.sin(np.pi * (z * rng.uniform(0.7, 1.1) + rng.uniform(0, 0.25)))
    profile = [(0.0, 0.0), *zip(r * swell, h * z, strict=True), (r * swell[-1] * 0.85, h), (0.0, h * 0.8)]
    colour = hsv(rng.uniform(), rng.uniform(0, 0.6), rng.uniform(0.15, 0.95))
    return [Part(lathe(profile, 16), surface(colour, rng.uniform(0.15, 0.5)))]


def leafy(rng: np.random.Generator, height: float) -> list[Part]:
    """A potted plant of the given height."""
    pot_height = min(height * 0.3, 0.35)
    r = pot_height * rng.uniform(0.4, 0.6)
    pot = lathe([(0, 0), (r * 0.75, 0), (r, pot_height), (r * 0.9, pot_height), (0, pot_height * 0.9)], 16)
    leaves = []
    count = int(rng.integers(14, 34))
    long = rng.uniform(0.25, 0.6) * (height - pot_height)
    for _ in range(count):
        turn, lift = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 1.45)
        base = np.array([0, 0, pot_height + rng.uniform(0, 1) * (height - pot_height - long * 0.6)])
        out = np.array([np.cos(turn) * np.cos(lift), np.sin(turn) * np.cos(lift), np.sin(lift)])
        t = np.linspace(0, 1, 6)[:, None]
        path = base + out * t * long + np.array([0, 0, -0.35]) * long * t**2 * np.cos(lift)
        wide = long * rng.uniform(0.12, 0.3) * np.sin(np.pi * np.clip(t[:, 0] * 0.95 + 0.05, 0, 1)) ** 0.8 + 0.002
        across = np.array([-np.sin(turn), np.cos(turn), 0.0]) * wide[:, None] / 2
        leaves.append(grid(np.stack([path - across, path + across], axis=1)))
    green = hsv(rng.uniform(0.22, 0.38), rng.uniform(0.4, 0.75), rng.uniform(0.25, 0.5))
    leaf, clay = plain(green), plain(hsv(rng.uniform(0.03, 0.1), rng.uniform(0, 0.6), rng.uniform(0.4, 0.95)))
    stem = cylinder((0, 0, pot_height * 0.8), (0, 0, height - long * 0.5), 0.015)
    return [Part(pot, clay), Part(stem, leaf), *(Part(mesh, leaf) for mesh in leaves)]


def lampshade(rng: np.random.Generator, radius: float, height: float) -> list[Part]:
    """A cloth shade about the origin, open above and below."""
    top = radius * rng.uniform(0.6, 1.0)
    shade = lathe([(radius, -height / 2), (top, height / 2)], 20)
    return [Part(shade, plain(hsv(rng.uniform(0.08, 0.13), rng.uniform(0.05, 0.3), rng.uniform(0.5, 1.0))))]


def table_lamp(rng: np.random.Generator) -> list[Part]:
    """A lamp with a turned foot."""
    h = rng.uniform(0.22, 0.36)
    foot = lathe(
        [(0, 0), (0.07, 0), (0.06, 0.015), (0.02, 0.05), (0.05, h * 0.5), (0.015, h * 0.85), (0.012, h), (0, h)], 14
    )
    material = metal(rng, _POLISH) if rng.uniform() < 0.5 else paint(rng)
    return [Part(foot, material), *_moved(lampshade(rng, rng.uniform(0.1, 0.17), 0.2), z=h + 0.08)]


def book_pile(rng: np.random.Generator) -> list[Part]:
    """A few books lying flat."""
    parts, z = [], 0.0
    for _ in range(rng.integers(2, 6)):
        thick = rng.uniform(0.015, 0.04)
        colour = hsv(rng.uniform(), rng.uniform(0.1, 0.8), rng.uniform(0.2, 0.9))
        book = rounded_box(rng.uniform(0.18, 0.26), rng.uniform(0.13, 0.18), thick, 0.002).turned(rng.uniform(-12, 12))
        parts.append(Part(book.moved(z=z + thick / 2), plain(colour)))
        z += thick
    return parts


def ornament(rng: np.random.Generator) -> list[Part]:
    """Something small for the top of a cabinet or table."""
    kind = pick(rng, {"vase": 4, "plant": 2, "lamp": 2, "books": 2})
    if kind == "vase":
        return vase(rng)
    if kind == "plant":
        return leafy(rng, rng.uniform(0.25, 0.5))
    return table_lamp(rng) if kind == "lamp" else book_pile(rng)


def _on_top(rng: np.random.Generator, width: float, depth: float, z: float, most: int) -> list[Part]:
    parts = []
    for _ in range(rng.integers(0, most + 1)):
        x = rng.uniform(0.12, max(width - 0.12, 0.13))
        parts += _moved(ornament(rng), x, -depth * rng.uniform(0.35, 0.6), z, rng.uniform(0, 360))
    return parts


def _picture(rng: np.random.Generator, style: Style, width: float, height: float) -> list[Part]:
    """A framed picture with its lower left corner at the origin, on the wall."""
    image = wall((0, -0.021, 0), (width, 0, 0), (0, 0, height))
    edge = rng.uniform(0.012, 0.05)
    frame = [
        _box((-edge, width + edge), (-0.03, 0), (-edge, 0)),
        _box((-edge, width + edge), (-0.03, 0), (height, height + edge)),
        _box((-edge, 0), (-0.03, 0), (0, height)),
        _box((width, width + edge), (-0.03, 0), (0, height)),
    ]
    material = (style.timber, style.dark, style.trim)[rng.integers(3)]
    canvas = plain(textured(textures.painting(rng), (width, height)))
    return [Part(image, canvas), *(Part(mesh, material) for mesh in frame)]


# --- pieces along a wall -------------------------------------------------------------------------------------------------


@wall_piece(3)
def pictures(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """One to three framed pictures over bare wall."""
    parts, x = [], 0.1
    base = rng.uniform(1.2, 1.5)
    for _ in range(rng.integers(1, 4)):
        w, h = rng.uniform(0.25, 0.8), rng.uniform(0.3, 0.8)
        parts += _moved(_picture(rng, style, w, h), x, 0, base - h / 4)
        x += w + rng.uniform(0.12, 0.3)
    return parts, x


@wall_piece(1.5)
def mirror(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """A round mirror over a narrow console with thin legs."""
    w, h, d = rng.uniform(0.8, 1.2), rng.uniform(0.72, 0.85), 0.32
    r = rng.uniform(0.25, 0.38)
    disc = lathe([(0, 0), (r, 0), (r, 0.01), (0, 0.012)], 28).turned(90, "x").moved(w / 2, -0.01, 1.55)
    angle = np.linspace(0, 2 * np.pi, 29)
    circle = np.stack([w / 2 + r * np.cos(angle), 0 * angle - 0.015, 1.55 + r * np.sin(angle)], axis=1)
    top = _box((0, w), (-d, 0), (h - 0.03, h))
    legs = [cylinder((x, y, 0), (x, y, h), 0.025) for x in (0.03, w - 0.03) for y in (-0.03, -d + 0.03)]
    parts = [
        Part(disc, surface([0.75, 0.8, 0.84], 0.1, metallic=_POLISH)),
        Part(sweep(circle, 0.03), style.dark),
        Part(top, style.timber),
    ]
    return [*parts, *(Part(leg, style.dark) for leg in legs), *_on_top(rng, w, d, h, 2)], w


@wall_piece(3.5)
def window(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """A window with daylight and a view, glazing bars, and perhaps curtains or a radiator."""
    w, h, low = rng.uniform(0.8, 1.9), rng.uniform(1.1, 1.5), rng.uniform(0.55, 0.95)
    if rng.uniform() < 0.2:
        low, h = 0.08, rng.uniform(1.95, 2.15)
    curtains = rng.uniform() < 0.6
    margin = 0.35 if curtains else 0.08
    pane = wall((margin, -0.012, low), (w, 0, 0), (0, 0, h))
    parts = [Part(pane, glow(textured(textures.view(rng), (w, h)), rng.uniform(3.0, 8.0)))]
    x0, x1, z1 = margin, margin + w, low + h
    bars = [
        _box((x0 - 0.07, x1 + 0.07), (-0.05, 0), (low - 0.07, low + 0.02)),
        _box((x0 - 0.07, x1 + 0.07), (-0.05, 0), (z1 - 0.02, z1 + 0.07)),
        _box((x0 - 0.07, x0 + 0.02), (-0.05, 0), (low, z1)),
        _box((x1 - 0.02, x1 + 0.07), (-0.05, 0), (low, z1)),
        _box((x0 - 0.1, x1 + 0.1), (-0.14, 0), (low - 0.09, low - 0.06)),
    ]
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    bars += [_box((x - 0.015, x + 0.015), (-0.04, 0), (low, z1)) for x in np.linspace(x0, x1, columns + 1)[1:-1]]
    bars += [_box((x0, x1), (-0.04, 0), (z - 0.012, z + 0.012)) for z in np.linspace(low, z1, rows + 1)[1:-1]]
    parts += [Part(bar, style.trim) for bar in bars]
    if curtains:
        cloth = fabric(rng)
        foot = 0.03 if rng.uniform() < 0.7 else low - 0.15
        spread = rng.uniform(0.3, 0.5)
        for start in (0.0, margin * 2 + w - spread):
            x = np.linspace(0, spread, 30)
            folds = -0.11 + 0.035 * np.sin(x / spread * 2 * np.pi * rng.uniform(4, 6))
            line = np.stack([x + start, folds, 0 * x], axis=1)
            parts.append(Part(grid(np.stack([line + [0, 0, foot], line + [0, 0, z1 + 0.16]])), cloth))
        rod = cylinder((-0.08, -0.11, z1 + 0.16), (margin * 2 + w + 0.08, -0.11, z1 + 0.16), 0.028)
        parts.append(Part(rod, style.dark))
    if low > 0.5 and rng.uniform() < 0.4:
        parts += [
            Part(_box((x, x + 0.045), (-0.12, -0.03), (0.12, low - 0.18), 0.015), style.trim)
            for x in np.arange(x0 + 0.1, x1 - 0.1, 0.06)
        ]
    return parts, w + 2 * margin


@wall_piece(2)
def door(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """A panelled door in its frame."""
    w, h = rng.uniform(0.75, 0.92), rng.uniform(1.98, 2.1)
    leaf = style.trim if rng.uniform() < 0.6 else style.timber
    parts = [Part(_box((0.09, 0.09 + w), (-0.03, 0), (0, h)), leaf)]
    rows = int(rng.integers(1, 4))
    edges = np.linspace(0.12, h - 0.1, rows + 1)
    for low, high in itertools.pairwise(edges):
        for x in (0.18, 0.09 + w / 2 + 0.04):
            parts.append(Part(_box((x, x + w / 2 - 0.13), (-0.045, -0.02), (low + 0.05, high - 0.03), 0.012), leaf))
    frame = [_box((0, 0.09), (-0.06, 0), (0, h + 0.08)), _box((0.09 + w, 0.18 + w), (-0.06, 0), (0, h + 0.08))]
    frame.append(_box((0, 0.18 + w), (-0.065, 0), (h, h + 0.09)))
    knob = sphere(0.03, (0.15, -0.08, 1.0))
    return [*parts, *(Part(mesh, style.trim) for mesh in frame), Part(knob, metal(rng, _POLISH))], w + 0.18


@wall_piece(3)
def bookshelf(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """An open shelf with rows of books and a few ornaments."""
    w, h, d = rng.uniform(0.7, 1.3), rng.uniform(1.1, 2.15), 0.3
    timber = style.timber if rng.uniform() < 0.6 else style.trim
    boards = [
        _box((0, 0.022), (-d, 0), (0, h)),
        _box((w - 0.022, w), (-d, 0), (0, h)),
        _box((0, w), (-0.012, 0), (0, h)),
    ]
    levels = np.linspace(0.07, h - 0.02, int(rng.integers(4, 7)))
    boards += [_box((0.01, w - 0.01), (-d, 0), (z, z + 0.022)) for z in levels]
    parts = [Part(board, timber) for board in boards]
    for low, high in itertools.pairwise(levels):
        if rng.uniform() < 0.22:
            parts += _moved(vase(rng), rng.uniform(0.15, w - 0.15), -d / 2, low + 0.022)
            continue
        full = rng.uniform(0.5, 1.0) * (w - 0.05)
        tall = (high - low - 0.022) * rng.uniform(0.75, 0.96)
        start = rng.choice([0.025, w - 0.025 - full])
        row = wall((start, -d * 0.8, low + 0.022), (full, 0, 0), (0, 0, tall))
        parts.append(Part(row, plain(textured(textures.books(rng), (full, tall)))))
    return [*parts, *_on_top(rng, w, d, h, 1)], w


@wall_piece(4)
def cabinet(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """A sideboard, chest of drawers or cupboard with things on it, and perhaps a picture or a screen above."""
    w, d = rng.uniform(0.7, 1.8), rng.uniform(0.38, 0.5)
    tall = rng.uniform() < 0.2
    h, low = (rng.uniform(1.8, 2.1), 0.05) if tall else (rng.uniform(0.55, 0.95), rng.choice([0.06, 0.16]))
    body = style.timber if rng.uniform() < 0.65 else style.second
    parts = [Part(_box((0, w), (-d, 0), (low, h), 0.006), body)]
    columns = max(1, round(w / rng.uniform(0.4, 0.6)))
    rows = 1 if tall else int(rng.integers(1, 5))
    xs, zs = np.linspace(0.02, w - 0.02, columns + 1), np.linspace(low + 0.03, h - 0.04, rows + 1)
    handle = metal(rng, _POLISH)
    for x0, x1 in itertools.pairwise(xs):
        for z0, z1 in itertools.pairwise(zs):
            parts.append(
                Part(_box((x0 + 0.007, x1 - 0.007), (-d - 0.02, -d + 0.01), (z0 + 0.007, z1 - 0.007), 0.006), body)
            )
            x = (x0 + x1) / 2 if rows > 1 else x1 - 0.07
            z = (z0 + z1) / 2
            parts.append(Part(cylinder((x - 0.04, -d - 0.035, z), (x + 0.04, -d - 0.035, z), 0.016), handle))
    parts += [
        Part(_box((x, x + 0.04), (y, y + 0.04), (0, low), 0.003), style.dark)
        for x in (0.03, w - 0.07)
        for y in (-d + 0.03, -0.07)
    ]
    if not tall:
        parts += _on_top(rng, w, d, h, 4)
        above = pick(rng, {"picture": 4, "screen": 2, "nothing": 3})
        if above == "picture":
            size = rng.uniform(0.35, 0.8, 2)
            parts += _moved(_picture(rng, style, *size), (w - size[0]) / 2, 0, max(h + 0.25, 1.25))
        elif above == "screen" and w > 1.0:
            parts.append(
                Part(_box((w / 2 - 0.5, w / 2 + 0.5), (-0.2, -0.15), (h + 0.05, h + 0.62), 0.008), black_plastic(rng))
            )
    return parts, w


@wall_piece(0.8)
def fireplace(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """A mantelpiece about a dark hearth."""
    w, h, d = rng.uniform(1.2, 1.6), rng.uniform(1.0, 1.2), rng.uniform(0.15, 0.3)
    stone = style.trim
    if rng.uniform() < 0.4:
        brick = textures.planks(rng, hsv(0.03, 0.5, 0.55), 10, 160)
        stone = plain(textured(brick, (0.8, 0.8), turned=True))
    parts = [
        Part(_box((0, w * 0.25), (-d, 0), (0, h)), stone),
        Part(_box((w * 0.75, w), (-d, 0), (0, h)), stone),
        Part(_box((0, w), (-d, 0), (h * 0.72, h)), stone),
        Part(_box((-0.08, w + 0.08), (-d - 0.08, 0), (h, h + 0.05)), style.trim),
        Part(_box((w * 0.24, w * 0.76), (-0.03, 0), (0, h * 0.73)), plain([0.06, 0.05, 0.05])),
    ]
    return [
        *parts,
        *_on_top(rng, w, d, h + 0.05, 3),
        *_moved(_picture(rng, style, 0.6, 0.5), w / 2 - 0.3, 0, h + 0.4),
    ], w


@wall_piece(2)
def bare(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """A stretch of wall with nothing on it, or a plant or a lamp before it."""
    w = rng.uniform(0.3, 0.9)
    kind = pick(rng, {"nothing": 3, "plant": 2, "lamp": 2})
    if kind == "plant":
        return _moved(leafy(rng, rng.uniform(0.8, 1.7)), w / 2, -0.35), w
    return (_moved(floor_lamp(rng, style), w / 2, -0.3) if kind == "lamp" else []), w


# --- things on the floor -------------------------------------------------------------------------------------------------


@floor_piece(2)
def floor_lamp(rng: np.random.Generator, style: Style) -> list[Part]:
    """A thin stand with a shade."""
    h = rng.uniform(1.3, 1.7)
    if rng.uniform() < 0.3:
        legs = [cylinder((0.24 * np.cos(a), 0.24 * np.sin(a), 0), (0, 0, h), 0.022) for a in np.radians([90, 210, 330])]
    else:
        legs = [cylinder((0, 0, 0), (0, 0, h), 0.022), lathe([(0, 0), (0.15, 0), (0.15, 0.02), (0, 0.03)])]
    return [*(Part(leg, style.dark) for leg in legs), *_moved(lampshade(rng, rng.uniform(0.15, 0.25), 0.28), z=h + 0.1)]


@floor_piece(2.5)
def dining_table(rng: np.random.Generator, style: Style) -> list[Part]:
    """A table, round or oblong, laid with a few things."""
    h = rng.uniform(0.72, 0.77)
    top_material = style.timber if rng.uniform() < 0.7 else style.second
    if rng.uniform() < 0.35:
        r = rng.uniform(0.42, 0.6)
        top = lathe([(0, h - 0.03), (r, h - 0.03), (r, h), (0, h)], 36)
        stem = lathe([(0, 0), (0.28, 0), (0.26, 0.03), (0.06, 0.1), (0.045, 0.4), (0.08, h - 0.03), (0, h - 0.03)], 20)
        parts, wide, deep = [Part(top, top_material), Part(stem, top_material)], r, r
    else:
        w, d = rng.uniform(1.0, 1.7), rng.uniform(0.7, 0.9)
        thick, inset, splay = rng.uniform(0.035, 0.08), rng.uniform(0.04, 0.12), rng.choice([0.0, 0.08])
        legs = [
            cylinder(
                (sx * (w / 2 - inset + splay), sy * (d / 2 - inset + splay / 2), 0),
                (sx * (w / 2 - inset), sy * (d / 2 - inset), h),
                thick * 0.7,
                thick,
            )
            for sx in (-1, 1)
            for sy in (-1, 1)
        ]
        parts = [Part(rounded_box(w, d, 0.035, 0.008).moved(z=h), top_material)]
        parts += [Part(leg, style.dark if rng.uniform() < 0.2 else top_material) for leg in legs]
        wide, deep, h = w / 2.4, d / 2.6, h + 0.018
    for _ in range(rng.integers(1, 4)):
        parts += _moved(ornament(rng), rng.uniform(-wide, wide) * 0.7, rng.uniform(-deep, deep) * 0.6, h)
    return parts


@floor_piece(2)
def coffee_table(rng: np.random.Generator, style: Style) -> list[Part]:
    """A low table with a shelf or on thin legs."""
    w, d, h = rng.uniform(0.7, 1.1), rng.uniform(0.45, 0.6), rng.uniform(0.34, 0.42)
    parts = [Part(rounded_box(w, d, 0.03, 0.008).moved(z=h), style.timber)]
    bar = rng.uniform(0.02, 0.05)
    parts += [
        Part(
            cylinder((sx * (w / 2 - 0.04), sy * (d / 2 - 0.04), 0), (sx * (w / 2 - 0.06), sy * (d / 2 - 0.06), h), bar),
            style.dark,
        )
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    if rng.uniform() < 0.4:
        parts.append(Part(rounded_box(w - 0.12, d - 0.12, 0.02, 0.004).moved(z=h * 0.4), style.timber))
    return parts + _moved(ornament(rng), rng.uniform(-0.25, 0.25), 0, h + 0.015)


@floor_piece(2)
def plant(rng: np.random.Generator, style: Style) -> list[Part]:
    """A tall potted plant."""
    return leafy(rng, rng.uniform(0.7, 1.6))


@floor_piece(1)
def basket(rng: np.random.Generator, style: Style) -> list[Part]:
    """A wicker basket or a crate, heaped with cloth."""
    r, h = rng.uniform(0.16, 0.25), rng.uniform(0.25, 0.4)
    wicker = plain(textured(textures.patterned(rng, [hsv(0.09, 0.5, 0.6), hsv(0.08, 0.6, 0.35)]), (0.25, 0.25)))
    tub = lathe([(0, 0), (r * 0.85, 0), (r, h), (r * 0.93, h), (0, h * 0.9)], 22)
    heap = sphere(r * 0.85, sides=12).mapped(lambda v: v * [1, 1, 0.35]).moved(z=h * 0.95)
    return [Part(tub, wicker), Part(heap, fabric(rng))]


@floor_piece(1)
def boxes(rng: np.random.Generator, style: Style) -> list[Part]:
    """Cardboard boxes, stacked untidily."""
    parts, z = [], 0.0
    for _ in range(rng.integers(1, 4)):
        w, d, h = rng.uniform(0.28, 0.5), rng.uniform(0.25, 0.4), rng.uniform(0.15, 0.35)
        card = plain(
            textured(textures.mottled(rng, hsv(0.09, rng.uniform(0.2, 0.45), rng.uniform(0.5, 0.8)), 0.04), (0.4, 0.4))
        )
        parts.append(Part(rounded_box(w, d, h, 0.004).turned(rng.uniform(-20, 20)).moved(z=z + h / 2), card))
        z += h
    return parts


def rug(rng: np.random.Generator, style: Style) -> list[Part]:
    """A rug, plain, patterned or oriental."""
    w, d = rng.uniform(1.4, 2.6), rng.uniform(1.0, 1.8)
    colours = [hsv(style.hue + rng.normal(0, 0.12), rng.uniform(0.1, 0.75), rng.uniform(0.2, 0.9)) for _ in range(4)]
    if rng.uniform() < 0.3:
        r = w / 2
        disc = lathe([(r, 0.0), (r, 0.012), (0, 0.014)], 40)
        return [Part(disc, plain(textured(textures.patterned(rng, colours[:3]), (0.7, 0.7))))]
    material = plain(textured(textures.rug(rng, colours), (w, d)))
    return [Part(wall((-w / 2, -d / 2, 0.012), (w, 0, 0), (0, d, 0)), material)]


# --- the room ------------------------------------------------------------------------------------------------------------


def _style(rng: np.random.Generator) -> Style:
    hue = pick_hue(rng)
    tint = pick(rng, {"white": 5, "warm": 4, "coloured": 4, "dark": 1})
    wall_colour = {
        "white": hsv(rng.uniform(0.05, 0.6), rng.uniform(0, 0.05), rng.uniform(0.82, 0.95)),
        "warm": hsv(rng.uniform(0.06, 0.14), rng.uniform(0.08, 0.35), rng.uniform(0.68, 0.92)),
        "coloured": hsv(hue, rng.uniform(0.06, 0.3), rng.uniform(0.55, 0.88)),
        "dark": hsv(hue, rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.4)),
    }[tint]
    trim = surface(hsv(0.1, rng.uniform(0, 0.08), rng.uniform(0.8, 0.95)), 0.4) if rng.uniform() < 0.8 else wood(rng)
    dark = metal(rng, _POLISH) if rng.uniform() < 0.6 else wood(rng)
    return Style(hue, wall_colour, trim, wood(rng), paint(rng) if rng.uniform() < 0.7 else wood(rng), dark)


def _wall_material(rng: np.random.Generator, style: Style) -> Material:
    kind = pick(rng, {"paint": 6, "paper": 2.5, "brick": 0.6, "panel": 0.7})
    if kind == "paper":
        return plain(textured(textures.wallpaper(rng, style.wall_colour), (rng.uniform(0.4, 1.1),) * 2))
    if kind == "brick":
        colour = style.wall_colour if rng.uniform() < 0.5 else hsv(rng.uniform(0.01, 0.05), 0.5, 0.55)
        return plain(textured(textures.planks(rng, colour, 14), (1.1, 1.1), turned=True))
    if kind == "panel":
        return plain(textured(textures.planks(rng, style.wall_colour, 8), (1.2, 2.6)))
    return plain(textured(textures.mottled(rng, style.wall_colour, 0.015, 6.0), (1.5, 1.5)))


def _floor_material(rng: np.random.Generator, style: Style) -> Material:
    kind = pick(rng, {"planks": 6, "tiles": 2.5, "carpet": 2.5})
    if kind == "planks":
        colour = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.8))
        size = rng.uniform(0.7, 1.2)
        boards = textures.planks(rng, colour, int(rng.integers(6, 12)))
        laid = textured(boards, (size, size * 1.8), turned=bool(rng.uniform() < 0.5))
        return surface(laid, rng.uniform(0.3, 0.6), 0.4)
    if kind == "tiles":
        light = hsv(rng.uniform(0.05, 0.15), rng.uniform(0.02, 0.25), rng.uniform(0.6, 0.92))
        other = light if rng.uniform() < 0.7 else light * rng.uniform(0.25, 0.6)
        image = textures.tiles(rng, [light, other], light * rng.uniform(0.5, 0.9))
        return surface(textured(image, (rng.uniform(1.2, 2.2),) * 2), rng.uniform(0.2, 0.45), 0.45)
    colour = hsv(rng.choice([0.08, 0.1, style.hue]), rng.uniform(0.03, 0.35), rng.uniform(0.35, 0.8))
    return plain(textured(textures.carpet(rng, colour), (1.2, 1.2)))


def _shell(rng: np.random.Generator, style: Style, w: float, d: float, h: float) -> list[Part]:
    """Walls, floor, ceiling and skirting of a room w x d x h metres about the origin; the front, at -d / 2, is open."""
    material = _wall_material(rng, style)
    feature = _wall_material(rng, style) if rng.uniform() < 0.25 else material
    # Side walls run on past the open front, out of sight of the camera.
    long = d + 2.0
    front = -d / 2 - 2.0
    parts = [
        Part(wall((-w / 2, d / 2, 0), (w, 0, 0), (0, 0, h)), feature),
        Part(wall((-w / 2, front, 0), (0, long, 0), (0, 0, h)), material),
        Part(wall((w / 2, d / 2, 0), (0, -long, 0), (0, 0, h)), material),
        Part(wall((-w / 2, front, 0), (w, 0, 0), (0, long, 0)), _floor_material(rng, style)),
        Part(
            wall((w / 2, front, h), (-w, 0, 0), (0, long, 0)),
            glow(hsv(0.1, rng.uniform(0, 0.12), 1.0), rng.uniform(0.15, 0.6)),
        ),
    ]
    skirting = rng.uniform(0.06, 0.16)
    boards = [
        _box((-w / 2, w / 2), (d / 2 - 0.018, d / 2), (0, skirting)),
        _box((-w / 2, -w / 2 + 0.018), (front, d / 2), (0, skirting)),
        _box((w / 2 - 0.018, w / 2), (front, d / 2), (0, skirting)),
    ]
    if rng.uniform() < 0.4:
        boards += [_box((-w / 2, w / 2), (d / 2 - 0.07, d / 2), (h - 0.08, h), 0.03)]
        boards += [_box((s - 0.035, s + 0.035), (front, d / 2), (h - 0.08, h), 0.03) for s in (-w / 2, w / 2)]
    return parts + [Part(board, style.trim) for board in boards]


def _furnish(rng: np.random.Generator, style: Style, length: float) -> list[Part]:
    """Pieces side by side along a wall of the given length, from x = 0."""
    pieces, weights = list(WALL_PIECES), np.array(list(WALL_PIECES.values()))
    parts: list[Part] = []
    x = rng.uniform(0.05, 0.5)
    last = None
    for _ in range(8):
        piece = pieces[int(rng.choice(len(pieces), p=weights / weights.sum()))]
        if piece is last:
            continue
        built, width = piece(rng, style)
        if x + width > length - 0.05:
            continue
        parts += _moved(built, x)
        x += width + rng.uniform(0.08, 0.5)
        last = piece
    return parts


def _pendant(rng: np.random.Generator, style: Style, h: float) -> list[Part]:
    drop = rng.uniform(0.4, 1.0)
    cord = cylinder((0, 0, h - drop), (0, 0, h), 0.012)
    return [Part(cord, style.dark), *_moved(lampshade(rng, rng.uniform(0.14, 0.28), 0.2), z=h - drop)]


def draw_room(rng: np.random.Generator) -> Room:
    """A furnished room and a camera in it."""
    style = _style(rng)
    w, d, h = rng.uniform(3.2, 5.4), rng.uniform(3.4, 5.6), rng.uniform(2.4, 2.9)
    parts = _shell(rng, style, w, d, h)
    parts += _moved(_furnish(rng, style, w), -w / 2, d / 2)
    parts += _moved(_furnish(rng, style, d * 0.8), w / 2, d / 2, turn=-90)
    parts += _moved(_furnish(rng, style, d * 0.8), -w / 2, -d * 0.3, turn=90)
    if rng.uniform() < 0.55:
        parts += _moved(rug(rng, style), rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.8), turn=rng.normal(0, 6))
    pieces, weights = list(FLOOR_PIECES), np.array(list(FLOOR_PIECES.values()))
    for _ in range(rng.integers(0, 4)):
        piece = pieces[int(rng.choice(len(pieces), p=weights / weights.sum()))]
        x, y = rng.uniform(-w / 2 + 0.9, w / 2 - 0.9), rng.uniform(-0.9, d / 2 - 1.1)
        parts += _moved(piece(rng, style), x, y, turn=rng.normal(0, 15))
    if rng.uniform() < 0.35:
        parts += _moved(_pendant(rng, style, h), rng.uniform(-0.6, 0.6), rng.uniform(-0.3, 0.8))
    eye = (rng.uniform(-w / 2 + 0.5, w / 2 - 0.5), -d / 2 - rng.uniform(-0.3, 0.5), rng.uniform(0.9, 1.65))
    aim = (rng.uniform(-0.45, 0.45) * w, d / 2 - 0.5, rng.uniform(0.55, 1.35))
    camera = Camera(eye, aim, rng.uniform(48, 74))
    return Room(parts, [_fill(rng, w, d, h)], camera, 1 + rng.normal(0, 0.05, 3) * [1, 0.3, 1])


def _fill(rng: np.random.Generator, w: float, d: float, h: float) -> dict[str, Any]:
    """The rest of the house: a broad soft light from behind the camera."""
    mi = mitsuba()
    place = mi.ScalarTransform4f().look_at([0, -d / 2 - 1.9, h / 2], [0, 0, h / 2], [0, 0, 1])
    warm = hsv(0.09, rng.uniform(0, 0.2), rng.uniform(0.4, 1.2))
    light = {"type": "area", "radiance": {"type": "rgb", "value": [float(v) for v in warm]}}
    return {"type": "rectangle", "to_world": place @ mi.ScalarTransform4f().scale([w / 2, h / 2, 1]), "emitter": light}
