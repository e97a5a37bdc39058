"""Sky and sun, trees and bushes, fences and walls of houses: what places without a ceiling have in common."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chairmaker import textures
from chairmaker.materials import Material, Part, glow, pick, plain, surface, textured
from chairmaker.meshes import Floats, Mesh, grid, wall
from chairmaker.render import Camera
from chairmaker.rooms import patterns
from chairmaker.rooms.room import Room, Style, white_balance
from chairmaker.rooms.shapes import ball, bar, bars, box, boxes, made_of, moved, pierced
from chairmaker.textures import hsv

_SKY_RADIUS = 70.0


def _dome(image: Floats) -> Mesh:
    """Half a ball overhead whose inside shows ``image`` once."""
    turns, lifts = np.linspace(0, 2 * np.pi, 17), np.radians([-4, 6, 18, 35, 60, 90])
    turn, lift = np.meshgrid(turns, lifts)
    points = _SKY_RADIUS * np.stack([np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift)], axis=2)
    mesh = grid(points[:, ::-1])
    uv = np.stack([turn[:, ::-1] / (2 * np.pi), np.clip(lift / (np.pi / 2), 0.01, 0.99)], axis=2)
    return Mesh(mesh.vertices, mesh.faces, uv.reshape(-1, 2), mesh.weld)


def _heavens(rng: np.random.Generator) -> tuple[list[Part], list[dict[str, Any]]]:
    """A sky that shines, and mostly a sun."""
    image, sunny = patterns.sky(rng)
    upper = image[: len(image) // 2][::-1]
    level = float(upper.max())
    srgb = np.clip(upper / level, 0, 1) ** (1 / 2.2)
    parts = [Part(_dome(srgb), glow(textured(srgb, (1.0, 1.0)), level))]
    if not sunny or rng.uniform() < 0.2:
        return parts, []
    side, lift = rng.uniform(-1.9, 1.9), rng.uniform(0.25, 1.1)
    # Behind or beside the camera: it looks towards +y. The sky would hide a sun farther off than itself.
    far = 60.0
    place = [far * np.sin(side) * np.cos(lift), -far * np.cos(side) * np.cos(lift), far * np.sin(lift)]
    colour = hsv(0.1, rng.uniform(0.05, 0.35), 1.0) * rng.uniform(1.5, 4.5) * far**2
    sun = {
        "type": "point",
        "position": [float(v) for v in place],
        "intensity": {"type": "rgb", "value": [float(v) for v in colour]},
    }
    return parts, [sun]


def open_air(rng: np.random.Generator, parts: Sequence[Part], depth: float, aim: float = 1.0) -> Room:
    """A place under the sky: ``parts``, and a camera at negative y.

    The camera looks at about y = ``depth`` and z = ``aim`` (metres).
    """
    sky, sun = _heavens(rng)
    x = rng.uniform(-1.2, 1.2)
    eye = (float(x), float(-rng.uniform(2.5, 4.5)), float(rng.uniform(1.0, 1.7)))
    target = (float(x * 0.5 + rng.uniform(-1.6, 1.6)), float(depth), float(aim + rng.uniform(-0.4, 0.4)))
    camera = Camera(eye, target, float(rng.uniform(45, 75)))
    return Room([*parts, *sky], sun, camera, white_balance(rng, 0.06))


def paving(rng: np.random.Generator) -> Material:
    """Slabs, bricks, cobbles, gravel, concrete or decking."""
    kind = pick(rng, {"slabs": 3, "bricks": 2, "cobbles": 1.5, "gravel": 1.5, "concrete": 1.5, "decking": 2})
    grey = hsv(rng.uniform(0.04, 0.12), rng.uniform(0.03, 0.3), rng.uniform(0.35, 0.8))
    if kind == "decking":
        brown = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.15, 0.55), rng.uniform(0.3, 0.7))
        return plain(textured(textures.planks(rng, brown, 10, 160), (1.3, 3.0), turned=bool(rng.uniform() < 0.5)))
    if kind == "gravel":
        return plain(textured(patterns.speckled(rng, grey, grey * 0.6, 0.4), (0.8, 0.8)))
    if kind == "concrete":
        return plain(textured(patterns.stained(rng, grey, 0.06), (3.0, 3.0)))
    rows, columns, size = {"slabs": (4, 3, 2.0), "bricks": (10, 5, 1.1), "cobbles": (9, 9, 1.1)}[kind]
    red = hsv(0.03, rng.uniform(0.3, 0.5), rng.uniform(0.4, 0.6)) if kind == "bricks" and rng.uniform() < 0.6 else grey
    image = patterns.bricks(rng, [red, red * 0.85, red * 0.95], red * 0.55, rows, columns, rng.choice([0.0, 0.5]))
    return plain(textured(image, (size, size)))


def ground(
    material: Material, x: tuple[float, float] = (-25.0, 25.0), y: tuple[float, float] = (-8.0, 40.0), z: float = 0.0
) -> Part:
    """A stretch of flat ground."""
    return Part(wall((x[0], y[0], z), (x[1] - x[0], 0, 0), (0, y[1] - y[0], 0)), material)


def outer_wall(rng: np.random.Generator) -> Material:
    """Brick, render, boards or stone."""
    kind = pick(rng, {"brick": 4, "render": 4, "boards": 2, "stone": 1.5})
    red = hsv(rng.uniform(0.01, 0.09), rng.uniform(0.25, 0.65), rng.uniform(0.35, 0.7))
    pale = hsv(rng.choice([0.08, 0.12, 0.02, 0.55, rng.uniform()]), rng.uniform(0.02, 0.28), rng.uniform(0.6, 0.92))
    if kind == "brick":
        image = patterns.bricks(
            rng, [red, red * 0.8, np.clip(red * 1.2, 0, 1)], np.clip(red * 0.5 + rng.uniform(0.1, 0.35), 0, 1), 14, 4
        )
        return plain(textured(image, (0.95, 1.05)))
    if kind == "boards":
        return plain(textured(textures.planks(rng, pale, 9, 160), (1.4, 4.0), turned=bool(rng.uniform() < 0.7)))
    if kind == "stone":
        grey = hsv(0.1, rng.uniform(0.05, 0.35), rng.uniform(0.45, 0.75))
        image = patterns.bricks(rng, [grey, grey * 0.75, np.clip(grey * 1.15, 0, 1)], grey * 0.6, 7, 4, 0.4, 0.12)
        return plain(textured(image, (1.8, 1.6)))
    return plain(textured(patterns.stained(rng, pale, 0.03), (3.0, 3.0)))


def tree(rng: np.random.Generator, height: float) -> list[Part]:
    """A broad, slender or bare tree."""
    kind = pick(rng, {"broad": 4, "slender": 2, "bare": 1})
    leaf, bark = plain(textured(patterns.foliage(rng), (1.2, 1.2))), plain(hsv(0.07, 0.35, rng.uniform(0.2, 0.45)))
    trunk = bar((0, 0, 0), (rng.normal(0, 0.1), 0, height * 0.6), height * 0.05)
    if kind == "slender":
        z = np.linspace(0.2, 0.95, 8)
        wide = height * rng.uniform(0.11, 0.17) * np.sin(np.pi * z**0.8) ** 0.6
        return [Part(trunk, bark), *made_of(leaf, *_tuft(rng, zip(wide, z * height, strict=True)))]
    count = int(rng.integers(14, 24))
    turn, out = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count)) * height * 0.28
    rise = rng.uniform(0.5, 0.9, count)
    # A crown is widest a little under its middle.
    out *= 1 - 1.6 * np.abs(rise - 0.66)
    tips = np.column_stack([out * np.cos(turn), out * np.sin(turn), rise * height])
    branches = bars(tips * 0 + [0, 0, height * 0.4], tips, height * 0.018)
    parts = made_of(bark, trunk, branches)
    if kind == "bare":
        twigs = np.repeat(tips, 5, axis=0)
        parts.append(Part(bars(twigs, twigs + rng.normal(0, height * 0.08, twigs.shape), height * 0.008, 4), bark))
        return parts
    return parts + made_of(leaf, *(ball(height * rng.uniform(0.06, 0.13), tip, 0.75, 8, 0.16) for tip in tips))


def _tuft(rng: np.random.Generator, levels: Iterable[tuple[float, float]]) -> list[Mesh]:
    """Leaves in ragged balls, one of each radius at each height."""
    return [ball(r, (*rng.normal(0, 0.12 * r, 2), z), 1.3, 10, 0.12) for r, z in levels]


def bush(rng: np.random.Generator, radius: float) -> list[Part]:
    """A rounded shrub."""
    leaf = plain(textured(patterns.foliage(rng), (0.8, 0.8)))
    balls = [
        ball(
            radius * rng.uniform(0.5, 0.8),
            (*rng.normal(0, radius * 0.4, 2), radius * rng.uniform(0.4, 0.8)),
            0.9,
            10,
            0.08,
        )
        for _ in range(rng.integers(2, 5))
    ]
    return made_of(leaf, *(mesh.mapped(lambda v: np.maximum(v, [-99.0, -99.0, -0.05])) for mesh in balls))


def hedge(rng: np.random.Generator, width: float, height: float) -> list[Part]:
    """A clipped hedge along x, from 0."""
    leaf = plain(textured(patterns.foliage(rng), (1.0, 1.0)))
    x = np.linspace(0, width, 30)
    top = height + rng.normal(0, 0.04, 30)
    front, back = rng.normal(0, 0.05, 30), 0.6 + rng.normal(0, 0.03, 30)
    rows = [
        np.stack([x, front, 0 * x], 1),
        np.stack([x, front - 0.03, top * 0.5], 1),
        np.stack([x, front + 0.03, top], 1),
        np.stack([x, back, top], 1),
    ]
    return [Part(grid(np.stack(rows)), leaf)]


def fence(rng: np.random.Generator, width: float) -> list[Part]:
    """Boards, pickets, rails or iron bars along x, from 0."""
    kind = pick(rng, {"boards": 3, "pickets": 3, "rails": 1.5, "iron": 1.5, "wall": 1})
    h = rng.uniform(0.9, 1.8)
    white = surface(hsv(0.1, 0.04, 0.9), 0.5)
    brown = plain(
        textured(textures.planks(rng, hsv(0.07, rng.uniform(0.1, 0.5), rng.uniform(0.3, 0.6)), 10, 128), (1.4, 2.0))
    )
    paint = white if rng.uniform() < 0.4 else brown
    if kind == "boards":
        return [Part(boxes([[x, x + 0.13, 0, 0.03, 0, h] for x in np.arange(0, width, 0.14)]), paint)]
    if kind == "pickets":
        h = min(h, 1.1)
        pales = [[x, x + 0.07, -0.03, 0, 0.06, h] for x in np.arange(0, width, 0.14)]
        return [Part(boxes([*pales, [0, width, 0, 0.03, 0.25, 0.33], [0, width, 0, 0.03, h - 0.3, h - 0.22]]), paint)]
    if kind == "rails":
        posts = [[x, x + 0.1, -0.05, 0.05, 0, h * 0.8] for x in np.arange(0, width, 1.6)]
        return [Part(boxes(posts + [[0, width, -0.02, 0.02, z, z + 0.1] for z in (0.3, 0.65)]), paint)]
    if kind == "iron":
        feet = np.array([(x, 0, 0.05) for x in np.arange(0, width, 0.13)])
        rails = boxes([[0, width, -0.015, 0.015, z, z + 0.03] for z in (0.15, h - 0.15)])
        return made_of(surface(np.full(3, 0.08), 0.4), bars(feet, feet + [0, 0, h], 0.02, 4), rails)
    return [Part(box((0, width), (0, 0.25), (0, h)), outer_wall(rng))]


def flowers(rng: np.random.Generator, width: float, depth: float) -> list[Part]:
    """A bed of flowers about the origin."""
    count = int(rng.integers(20, 50))
    spots = np.column_stack(
        [
            rng.uniform(-width / 2, width / 2, count),
            rng.uniform(-depth / 2, depth / 2, count),
            rng.uniform(0.15, 0.6, count),
        ]
    )
    leaf = plain(textured(patterns.foliage(rng), (0.5, 0.5)))
    stems = bars(spots * [1, 1, 0], spots, 0.012, 4)
    parts = made_of(leaf, stems, *(ball(0.16, spot * [1, 1, 0.4], 0.8, 6, 0.1) for spot in spots[::3]))
    for shade in range(rng.integers(1, 4)):
        bloom = plain(hsv(rng.choice([0.0, 0.05, 0.13, 0.62, 0.78, 0.9]), rng.uniform(0.1, 0.9), rng.uniform(0.7, 1.0)))
        parts += made_of(bloom, *(ball(0.05, spot, 0.7, 6) for spot in spots[shade::3]))
    return parts


def _pane(rng: np.random.Generator, w: float, h: float) -> Material:
    """Window glass from outside: dark, with a little of the room and of the sky."""
    image = np.clip(
        patterns.glimpse(rng, 32) * rng.uniform(0.1, 0.5) + rng.uniform(0.0, 0.35) * np.array([0.7, 0.85, 1.0]), 0, 1
    )
    return surface(textured(image, (w, h)), 0.1, 0.6)


def _outside_window(
    rng: np.random.Generator, style: Style, w: float, h: float, shutters: Material | None
) -> list[Part]:
    """A window in a house wall, from its lower left corner."""
    edge = rng.uniform(0.05, 0.1)
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    frame = [
        [-edge, 0, -0.04, 0.1, -edge, h + edge],
        [w, w + edge, -0.04, 0.1, -edge, h + edge],
        [0, w, -0.04, 0.1, -edge, 0],
        [0, w, -0.04, 0.1, h, h + edge],
    ]
    frame += [[x - 0.02, x + 0.02, 0.03, 0.1, 0, h] for x in np.linspace(0, w, columns + 1)[1:-1]]
    frame += [[0, w, 0.03, 0.1, z - 0.02, z + 0.02] for z in np.linspace(0, h, rows + 1)[1:-1]]
    sill = boxes([[-0.15, w + 0.15, -0.14, 0, -edge - 0.06, -edge]])
    parts = [
        Part(boxes(frame), style.trim),
        Part(sill, style.trim),
        Part(wall((0, 0.09, 0), (w, 0, 0), (0, 0, h)), _pane(rng, w, h)),
    ]
    if shutters is not None:
        leaves = [[x, x + w * 0.48, -0.06, -0.01, -edge, h + edge] for x in (-w * 0.5 - edge, w * 1.02 + edge)]
        slats = [
            [a + 0.05, b - 0.05, -0.08, -0.06, z, z + 0.03] for a, b, *_ in leaves for z in np.arange(0.05, h, 0.09)
        ]
        parts.append(Part(boxes(leaves + slats), shutters))
    if rng.uniform() < 0.25:
        trough = boxes([[0, w, -0.3, -0.08, -edge, 0.1]])
        parts += [Part(trough, plain(hsv(0.05, 0.5, 0.4))), *moved(flowers(rng, w, 0.15), w / 2, -0.18)]
    return parts


def _front_door(rng: np.random.Generator, style: Style, w: float, h: float) -> list[Part]:
    hue = rng.choice([0.0, 0.03, 0.08, 0.13, 0.3, 0.42, 0.55, 0.6]) + rng.normal(0, 0.015)
    colour = surface(hsv(hue, rng.uniform(0.15, 0.7), rng.uniform(0.15, 0.6)), 0.35)
    slabs = [[0, w, 0.02, 0.08, 0, h]] + [
        [x, x + w / 2 - 0.14, 0.0, 0.02, a + 0.05, b - 0.05]
        for x in (0.09, w / 2 + 0.05)
        for a, b in itertools.pairwise(np.linspace(0.05, h, 4))
    ]
    frame = boxes(
        [[-0.12, 0, -0.04, 0.1, 0, h + 0.12], [w, w + 0.12, -0.04, 0.1, 0, h + 0.12], [0, w, -0.04, 0.1, h, h + 0.12]]
    )
    leaf = colour if rng.uniform() < 0.75 else style.timber
    return [
        Part(boxes(slabs), leaf),
        Part(frame, style.trim),
        Part(bar((w - 0.12, -0.04, 0.95), (w - 0.12, -0.04, 1.15), 0.03), style.dark),
    ]


def house_wall(rng: np.random.Generator, style: Style, width: float, height: float, glazed: bool = False) -> list[Part]:
    """A house wall in the plane y = 0 from x = 0, facing -y, with rows of windows and a door.

    With ``glazed`` the windows of the ground floor are wide.
    """
    storey, top = rng.uniform(2.7, 3.2), rng.uniform(1.2, 1.6)
    pitch = rng.uniform(1.5, 2.6)
    shutters = (
        surface(hsv(rng.uniform(), rng.uniform(0.1, 0.7), rng.uniform(0.2, 0.8)), 0.5) if rng.uniform() < 0.3 else None
    )
    w = rng.uniform(0.8, min(1.4, pitch - 0.6))
    starts = np.arange(rng.uniform(0.3, 0.8), width - w - 0.2, pitch if shutters is None else max(pitch, 2.2 * w))
    doors = set(rng.choice(len(starts), min(len(starts), int(rng.integers(1, 3))), replace=False).tolist())
    holes, parts = [], []
    for floor in range(max(1, int(height / storey))):
        for i, x in enumerate(starts):
            if floor == 0 and i in doors:
                h = rng.uniform(2.05, 2.3)
                holes.append((x, x + w, 0.0, h))
                parts += moved(_front_door(rng, style, w, h), x)
            elif rng.uniform() < 0.92:
                low = floor * storey + (0.15 if glazed and floor == 0 else rng.choice([0.85, 0.95]))
                h = 2.1 if glazed and floor == 0 else top
                if low + h < height:
                    holes.append((x, x + w, low, low + h))
                    parts += moved(_outside_window(rng, style, w, h, shutters), x, 0, low)
    parts.append(Part(pierced(width, height, holes), outer_wall(rng)))
    if rng.uniform() < 0.5:
        parts.append(
            Part(
                boxes([[0, width, -0.05, 0, 0, rng.uniform(0.2, 0.6)]]),
                plain(textured(patterns.stained(rng, [0.5, 0.48, 0.45], 0.1, 64), (2, 2))),
            )
        )
    if rng.uniform() < 0.5:
        x = rng.uniform(0, width)
        parts.append(Part(bar((x, -0.06, 0), (x, -0.06, height), 0.09), style.trim))
    return parts
