"""Walls, floors, ceilings and daylight, and how a room with four walls is put together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chairmaker import textures
from chairmaker.materials import Material, Part, glow, pick, pick_hue, plain, surface, textured
from chairmaker.meshes import Floats, wall
from chairmaker.render import Camera
from chairmaker.rooms import patterns
from chairmaker.rooms.floor_pieces import rug
from chairmaker.rooms.ornaments import any_colour, lampshade
from chairmaker.rooms.placing import Ground
from chairmaker.rooms.room import (
    FLOOR_PIECES,
    LINING,
    RAIL,
    WALL_PIECES,
    Room,
    Style,
    WallPiece,
    choose,
    white_balance,
)
from chairmaker.rooms.shapes import bar, boxes, disc, made_of, moved, pierced
from chairmaker.textures import hsv

#: How far before the front edge of the room, in metres, the hidden part of the ceiling ends.
_LAMP_END = 0.3
#: The least distance of hanging lamps from the floor and from the camera (metres).
_HEADROOM, _BEFORE_THE_EYE = 1.8, 1.8
#: In a room less deep than this (metres) the camera never steps closer: it would see little.
_CLOSE = 3.4
#: The light behind the camera measures as much across (metres): its shadows have soft edges.
_FLASH = (0.6, 1.1)
#: How far a piece is pushed along its wall where something is in its way (metres), and how often a place is tried for a
#: loose one.
_SHIFTS, _TRIES = (0.0, 0.3, 0.6, -0.25, -0.5), 6
#: How walls and floors are finished, by weight; kinds of rooms pass others.
WALLS = {"paint": 5, "plaster": 2, "paper": 2.5, "floral": 1.2, "brick": 0.8, "boards": 0.8, "stone": 0.3}
FLOORS = {"planks": 4, "herringbone": 1.5, "tiles": 1.2, "slabs": 1, "carpet": 2.5}


def tiled(rng: np.random.Generator, colour: Floats | None = None) -> Material:
    """Glazed wall tiles: square, oblong or small, in one colour or several."""
    if colour is None:
        strength = rng.choice([0.03, 0.05, 0.1, 0.35, 0.5])
        colour = hsv(pick_hue(rng), strength, rng.uniform(0.35 if strength > 0.2 else 0.65, 0.95))
    others = [colour] * 4 + [any_colour(rng) if rng.uniform() < 0.25 else colour * rng.uniform(0.85, 1.0)]
    rows, columns = ((8, 4), (6, 6), (10, 10), (4, 3))[rng.integers(4)]
    joint = np.clip(colour * 0.5 + rng.choice([0.05, 0.45]), 0, 1)
    image = patterns.bricks(rng, others, joint, rows, columns, rng.choice([0.0, 0.5]), 0.04)
    return surface(textured(image, (rng.uniform(0.5, 1.3),) * 2), rng.uniform(0.15, 0.35))


def wall_material(rng: np.random.Generator, style: Style, finishes: Mapping[str, float] | None = None) -> Material:
    """Paint, plaster, paper, brick, boards, stone or tiles."""
    finish = pick(rng, finishes or WALLS)
    colour = style.wall_colour
    if finish == "tile":
        return tiled(rng, colour if rng.uniform() < 0.5 else None)
    if finish == "paper":
        return plain(textured(textures.wallpaper(rng, colour), (rng.uniform(0.4, 1.1),) * 2))
    if finish == "floral":
        image = patterns.floral(rng, colour, [colour * rng.uniform(0.5, 0.85), any_colour(rng) * 0.5 + colour * 0.5])
        return plain(textured(image, (rng.uniform(0.5, 1.1),) * 2))
    if finish == "brick":
        red = (
            colour
            if rng.uniform() < 0.4
            else hsv(rng.uniform(0.01, 0.06), rng.uniform(0.35, 0.6), rng.uniform(0.35, 0.6))
        )
        image = patterns.bricks(
            rng, [red, red * 0.8, np.clip(red * 1.15, 0, 1)], np.clip(red * 0.6 + 0.25, 0, 1), 14, 4
        )
        return plain(textured(image, (1.0, 1.0)))
    if finish == "boards":
        return plain(textured(textures.planks(rng, colour, 8, 160), (1.2, 2.6)))
    if finish == "stone":
        grey = hsv(0.09, rng.uniform(0.1, 0.3), rng.uniform(0.4, 0.7))
        image = patterns.bricks(rng, [grey, grey * 0.7, grey * 1.1], grey * 0.45, 8, 4, 0.37, 0.18)
        return plain(textured(image, (1.5, 1.3)))
    return plain(textured(patterns.stained(rng, colour, 0.012 if finish == "paint" else 0.03, 96), (1.7, 1.7)))


def floor_material(rng: np.random.Generator, style: Style, finishes: Mapping[str, float] | None = None) -> Material:
    """Planks, parquet, tiles, stone slabs or carpet."""
    finish = pick(rng, finishes or FLOORS)
    gloss = rng.uniform(0.2, 0.6)
    brown = hsv(rng.uniform(0.03, 0.1), rng.uniform(0.2, 0.7), rng.uniform(0.25, 0.8))
    if finish == "planks":
        size = rng.uniform(0.6, 1.1)
        boards = textures.planks(rng, brown, int(rng.integers(6, 11)), 192)
        return surface(textured(boards, (size, size * 1.8), turned=bool(rng.uniform() < 0.5)), gloss, 0.45)
    if finish == "herringbone":
        size = rng.uniform(0.6, 1.1)
        return surface(textured(patterns.herringbone(rng, brown), (size, size)), gloss, 0.45)
    if finish == "carpet":
        colour = hsv(rng.choice([0.08, 0.1, style.hue]), rng.uniform(0.03, 0.5), rng.uniform(0.3, 0.8))
        return plain(textured(textures.carpet(rng, colour, 128), (1.2, 1.2)))
    light = hsv(rng.uniform(0.03, 0.15), rng.uniform(0.02, 0.4), rng.uniform(0.35, 0.92))
    joint = light * rng.uniform(0.5, 0.9)
    if finish == "slabs":
        image = patterns.bricks(rng, [light, light * 0.9, light * 0.8], joint, 4, 3, rng.choice([0, 0.5]), 0.08)
        return surface(textured(image, (rng.uniform(1.5, 2.5),) * 2), gloss, 0.45)
    other = light if rng.uniform() < 0.6 else light * rng.uniform(0.2, 0.6)
    image = textures.tiles(rng, [light, other], joint, size=128)
    return surface(textured(image, (rng.uniform(0.8, 2.0),) * 2), gloss * 0.7, 0.5)


def _ceiling(rng: np.random.Generator, style: Style) -> Material:
    """White or tinted plaster, sometimes boards."""
    if rng.uniform() < 0.12:
        return plain(
            textured(textures.planks(rng, hsv(0.08, rng.uniform(0.1, 0.6), rng.uniform(0.5, 0.9)), 9, 128), (1.2, 3.0))
        )
    return plain(hsv(0.1, rng.uniform(0, 0.1), rng.uniform(0.85, 0.97)))


def _uneven_glow(rng: np.random.Generator, size: tuple[float, float], strength: float, warmth: float) -> Material:
    """A shining surface, brighter on one side and in places."""
    y, x = np.mgrid[0:24, 0:24] / 23
    turn = rng.uniform(0, 2 * np.pi)
    level = 0.6 + 0.4 * ((x - 0.5) * np.cos(turn) + (y - 0.5) * np.sin(turn)) + 0.06 * patterns.blotches(rng, 24, 4)
    return glow(textured(hsv(0.09, warmth, 1.0) * np.clip(level, 0.1, 1)[..., None], size), strength)


def wall_lining(rng: np.random.Generator, style: Style, w: float, d: float, front: float, tiles: bool) -> list[Part]:
    """Boards, panels or tiles on the lower part of three walls, with a rail on top.

    ``w`` is the room's width and ``d`` its depth; the side walls start at y = ``front`` (metres).
    """
    h = rng.uniform(0.85, 1.4)
    if tiles:
        material = tiled(rng)
    elif rng.uniform() < 0.5:
        material = plain(textured(textures.planks(rng, style.wall_colour * rng.uniform(0.5, 1), 9, 128), (1.0, 2.0)))
    else:
        material = style.trim
    parts = made_of(
        material,
        wall((-w / 2, d / 2 - LINING, 0), (w, 0, 0), (0, 0, h)),
        wall((-w / 2 + LINING, front, 0), (0, d / 2 - front, 0), (0, 0, h)),
        wall((w / 2 - LINING, d / 2, 0), (0, front - d / 2, 0), (0, 0, h)),
    )
    z = (h, h + 0.05)
    rail = [
        [-w / 2, w / 2, d / 2 - RAIL, d / 2, *z],
        [-w / 2, -w / 2 + RAIL, front, d / 2, *z],
        [w / 2 - RAIL, w / 2, front, d / 2, *z],
    ]
    if not tiles:
        xs = np.arange(-w / 2 + 0.3, w / 2, rng.uniform(0.45, 0.8))
        rail += [[x, x + 0.06, d / 2 - 0.9 * RAIL, d / 2, 0, h] for x in xs]
    return [*parts, Part(boxes(rail), style.trim)]


def _pendants(rng: np.random.Generator, style: Style, h: float) -> list[Part]:
    """One to three shades on their flexes, hung from height ``h``, with room to walk under them."""
    tall, count = rng.uniform(0.12, 0.3), int(rng.choice([1, 1, 1, 2, 3]))
    low = max(_HEADROOM + tall / 2, h - rng.uniform(0.4, 1.1))
    shade = lampshade(rng, rng.uniform(0.1, 0.28), tall, 0.5)
    one = [Part(bar((0, 0, low), (0, 0, h), 0.012), style.dark), *moved(shade, z=low)]
    return [part for x in (np.arange(count) - (count - 1) / 2) * 0.55 for part in moved(one, x)]


def ceiling_fittings(
    rng: np.random.Generator, style: Style, size: tuple[float, float, float], front: float, eye: Floats
) -> list[Part]:
    """Beams, spots, a fan, a lamp or nothing under the ceiling. Nothing hangs right in front of the ``eye`` (x, y)."""
    w, d, h = size
    kind = pick(rng, {"nothing": 3, "pendant": 3, "spots": 2, "beams": 1, "fan": 1, "plate": 1})
    x, y = rng.uniform(-0.25, 0.25) * w, rng.uniform(-0.15, 0.2) * d
    y = max(y, eye[1] + _BEFORE_THE_EYE)
    if kind == "beams":
        return [
            Part(
                boxes([[-w / 2, w / 2, b, b + 0.14, h - 0.16, h] for b in np.arange(front + 1, d / 2, 0.9)]),
                style.timber,
            )
        ]
    if kind == "spots":
        lamp = glow(hsv(0.1, 0.2, 1.0), rng.uniform(4, 10))
        spots = [(a, b) for a in (-w / 4, w / 4) for b in np.arange(-d / 4, d / 2, 1.2)]
        return made_of(lamp, *(disc(0.07, 0.01, 10).moved(a, b, h - 0.012) for a, b in spots))
    if kind == "fan":
        blades = [
            boxes([[0.12, 0.62, -0.06, 0.06, -0.01, 0.01]]).turned(a) for a in np.arange(5) * 72 + rng.uniform(0, 72)
        ]
        body = [disc(0.1, 0.12, 12).moved(z=-0.06), bar((0, 0, 0), (0, 0, 0.3), 0.03)]
        return moved([*made_of(style.timber, *blades), *made_of(style.dark, *body)], x, y, h - 0.3)
    if kind == "plate":
        return moved(made_of(glow(hsv(0.1, 0.15, 1.0), rng.uniform(2, 6)), disc(0.17, 0.06, 16)), x, y, h - 0.07)
    if kind == "pendant":
        return moved(_pendants(rng, style, h), x, y)
    return []


def _front(d: float) -> float:
    """Where (y) the side walls of a room ``d`` deep end, behind the camera."""
    return -d / 2 - 2.0


def shell(
    rng: np.random.Generator,
    style: Style,
    size: tuple[float, float, float],
    walls: Mapping[str, float] | None = None,
    floors: Mapping[str, float] | None = None,
    lined: float = 0.2,
    tiles: bool = False,
) -> list[Part]:
    """Walls, floor, ceiling and skirting about the origin; the side at negative y is open.

    ``lined`` is the probability of panels on the walls, which are tiles with ``tiles``.
    """
    w, d, h = size
    front = _front(d)
    long = d / 2 - front
    material = wall_material(rng, style, walls)
    feature = wall_material(rng, style, walls) if rng.uniform() < 0.3 else material
    parts = [
        Part(wall((-w / 2, d / 2, 0), (w, 0, 0), (0, 0, h)), feature),
        Part(wall((-w / 2, front, 0), (0, long, 0), (0, 0, h)), material),
        Part(wall((w / 2, d / 2, 0), (0, -long, 0), (0, 0, h)), material),
        Part(wall((-w / 2, front, 0), (w, 0, 0), (0, long, 0)), floor_material(rng, style, floors)),
        # Above and behind the camera the ceiling shines instead, see _daylight.
        Part(wall((w / 2, _LAMP_END - d / 2, h), (-w, 0, 0), (0, d - _LAMP_END, 0)), _ceiling(rng, style)),
    ]
    high = rng.uniform(0.06, 0.18)
    boards = [
        [-w / 2, w / 2, d / 2 - 0.02, d / 2, 0, high],
        [-w / 2, -w / 2 + 0.02, front, d / 2, 0, high],
        [w / 2 - 0.02, w / 2, front, d / 2, 0, high],
    ]
    if rng.uniform() < 0.5:
        deep = rng.uniform(0.05, 0.12)
        boards += [
            [-w / 2, w / 2, d / 2 - deep, d / 2, h - deep, h],
            [-w / 2, -w / 2 + deep, front, d / 2, h - deep, h],
            [w / 2 - deep, w / 2, front, d / 2, h - deep, h],
        ]
    parts.append(Part(boxes(boards), style.trim))
    if rng.uniform() < lined:
        parts += wall_lining(rng, style, w, d, front, tiles)
    return parts


def along_wall(
    rng: np.random.Generator,
    style: Style,
    kind: str,
    length: float,
    wanted: Sequence[WallPiece] = (),
    ground: Ground | None = None,
    place: Callable[..., list[Part]] = moved,
) -> list[Part]:
    """Pieces side by side along a wall of the given length, from x = 0: those that are ``wanted``, and others.

    ``place(parts, x)`` moves a piece to the place ``x`` along the wall. Places that are taken on ``ground`` are left
    out.
    """
    ground = Ground() if ground is None else ground
    parts: list[Part] = []
    x = rng.uniform(0.02, 0.4) if not wanted else rng.uniform(0.0, 0.1)
    left = list(wanted)
    last = None
    for _ in range(9):
        first = left and (rng.uniform() < 0.75 or x > 0.3 * length)
        piece = left[0] if first else choose(rng, WALL_PIECES, kind)
        if piece is last:
            continue
        built, width = piece(rng, style)
        if first:
            left.pop(0)
        starts = [x + shift for shift in _SHIFTS if x + shift + width <= length + 0.01]
        placed = (place(built, start) for start in starts)
        there = next((some for some in placed if ground.take(some)), None)
        if there is not None:
            parts += there
            x += width + rng.uniform(0.03, 0.4)
            last = piece
    return parts


def _flash(rng: np.random.Generator, w: float, d: float, h: float) -> list[Part]:
    """A flash behind the photographer, through a soft box: from a point it would throw hard shadows."""
    size = rng.uniform(*_FLASH)
    x, z = rng.uniform(-0.3, 0.3) * w, rng.uniform(1.0, h - 0.6)
    box = wall((x + size / 2, -d / 2 - 1.4, z - size / 2), (-size, 0, 0), (0, 0, size))
    return [Part(box, glow(hsv(0.1, rng.uniform(0, 0.2), 1.0), rng.uniform(4, 20) / size**2))]


def _daylight(rng: np.random.Generator, w: float, d: float, h: float) -> tuple[list[Part], list[dict[str, Any]]]:
    """The rest of the house behind the camera, as a broad soft light; and often the sun through windows in it."""
    strength = rng.choice([4.0, 8.0, 12.0]) * rng.uniform(0.7, 1.3)
    back = -d / 2 - 1.95
    material = _uneven_glow(rng, (w, h), strength, rng.uniform(0, 0.3))
    above = Part(wall((w / 2, back, h), (-w, 0, 0), (0, 1.95 + _LAMP_END, 0)), material)
    fill = [above, *(_flash(rng, w, d, h) if rng.uniform() < 0.85 else [])]
    if rng.uniform() < 0.4:
        mesh = wall((w / 2, back, 0), (-w, 0, 0), (0, 0, h))
        return [Part(mesh, material), *fill], []
    count, width, high = int(rng.integers(1, 4)), rng.uniform(0.5, 1.2), rng.uniform(0.3, 1.1)
    holes = []
    for start in rng.uniform(0.1, max(w - width, 0.2), count):
        middle = start + width / 2
        holes += [(start, middle - 0.03, high, h - 0.5), (middle + 0.03, start + width, high, h - 0.5)]
    mesh = pierced(w, h, holes).turned(180).moved(w / 2, back)
    side, lift = rng.uniform(-0.9, 0.9), rng.uniform(0.25, 0.7)
    way = [float(np.sin(side) * np.cos(lift)), float(np.cos(side) * np.cos(lift)), float(-np.sin(lift))]
    colour = hsv(0.09, rng.uniform(0.05, 0.45), 1.0) * rng.uniform(3, 14)
    sun = {"type": "directional", "direction": way, "irradiance": {"type": "rgb", "value": [float(v) for v in colour]}}
    return [Part(mesh, material), *fill], [sun]


def _camera(rng: np.random.Generator, w: float, d: float) -> Camera:
    """Eye height; mostly across the room, sometimes straight ahead, into a corner, or close."""
    view = pick(rng, {"across": 5, "frontal": 2, "corner": 2, "close": 2.5 if d > _CLOSE else 0.4})
    x = rng.uniform(-0.5, 0.5) * (w - 1.0)
    y = -d / 2 - rng.uniform(-0.4, 0.5)
    z = rng.uniform(0.8, 1.7)
    aim = [rng.uniform(-0.45, 0.45) * w, d / 2 - 0.5, rng.uniform(0.4, 1.3)]
    degrees = rng.uniform(48, 78)
    if view == "frontal":
        aim[0], aim[2] = x + rng.normal(0, 0.1), z - rng.uniform(0, 0.25)
    elif view == "corner":
        aim[0] = -np.sign(x) * w / 2
        aim[1] = d / 2
    elif view == "close":
        y, degrees = rng.uniform(-0.35, -0.1) * d, rng.uniform(45, 62)
        aim[2] = rng.uniform(0.2, 1.1)
    return Camera((float(x), float(y), float(z)), (float(aim[0]), float(aim[1]), float(aim[2])), float(degrees))


def _standing(
    rng: np.random.Generator,
    style: Style,
    kind: str,
    size: tuple[float, float, float],
    camera: Camera,
    count: int,
    ground: Ground,
) -> list[Part]:
    """Pieces on what is free of the floor, none right before the camera, often near the middle of the picture."""
    w, d, _ = size
    eye, aim = np.array(camera.origin[:2]), np.array(camera.target[:2])
    ahead = aim - eye
    parts: list[Part] = []
    for _ in range(count):
        built = choose(rng, FLOOR_PIECES, kind)(rng, style)
        reach = max(float(np.abs(part.mesh.vertices[:, :2]).max()) for part in built)
        room = np.maximum(np.array([w / 2, d / 2]) - 0.2 - reach * 0.6, 0.05)
        for _ in range(_TRIES):
            place = eye + ahead * rng.uniform(0.4, 0.9) + np.array([-ahead[1], ahead[0]]) * rng.normal(0, 0.25)
            x, y = np.clip(place, -room, room)
            there = moved(built, float(x), float(y), turn=rng.normal(0, 15) + rng.choice([0, 90]))
            if np.hypot(x - eye[0], y - eye[1]) > 0.9 + reach and ground.take(there, inside=True):
                parts += there
                break
    return parts


def indoors(
    rng: np.random.Generator,
    style: Style,
    kind: str,
    size: tuple[float, float, float],
    back: Sequence[WallPiece] = (),
    side: Sequence[WallPiece] = (),
    centre: Sequence[Part] = (),
    loose: tuple[int, int] = (0, 4),
    rugs: float = 0.5,
    walls: Mapping[str, float] | None = None,
    floors: Mapping[str, float] | None = None,
    lined: float = 0.2,
    tiles: bool = False,
) -> Room:
    """A room of ``size`` with pieces along three walls.

    ``back`` and ``side`` are the pieces that must stand at those walls, ``centre`` what stands in the middle. ``loose``
    is the range of the number of things on the floor (the upper end excluded), ``rugs`` the probability of a rug.
    ``walls`` and ``floors`` give weights of finishes; ``lined`` and ``tiles`` are those of :func:`shell`.
    """
    w, d, h = size
    ground = Ground((-w / 2, -d / 2), (w / 2, d / 2))
    parts = shell(rng, style, size, walls, floors, lined, tiles)
    right, left = ((), side) if rng.uniform() < 0.5 else (side, ())

    def behind(piece: Sequence[Part], x: float) -> list[Part]:
        return moved(piece, x - w / 2, d / 2)

    def on_the_right(piece: Sequence[Part], x: float) -> list[Part]:
        return moved(piece, w / 2, d / 2 - x, turn=-90)

    def on_the_left(piece: Sequence[Part], x: float) -> list[Part]:
        return moved(piece, -w / 2, x - d * 0.3, turn=90)

    parts += along_wall(rng, style, kind, w, back, ground, behind)
    parts += along_wall(rng, style, kind, d * 0.8, right, ground, on_the_right)
    parts += along_wall(rng, style, kind, d * 0.8, left, ground, on_the_left)
    if rng.uniform() < rugs:
        parts += moved(rug(rng, style), rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.8), turn=rng.normal(0, 6))
    nearer = (moved(centre, y=-step) for step in _SHIFTS if centre)
    parts += next((some for some in nearer if ground.take(some)), [])
    camera = _camera(rng, w, d)
    parts += ceiling_fittings(rng, style, size, _front(d), np.array(camera.origin[:2]))
    parts += _standing(rng, style, kind, size, camera, int(rng.integers(*loose)), ground)
    fill, sun = _daylight(rng, w, d, h)
    return Room(parts + fill, sun, camera, white_balance(rng))
