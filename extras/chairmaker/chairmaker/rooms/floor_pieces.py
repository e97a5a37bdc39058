"""Things that stand free on the floor, about the origin; tables above all. Copy any function to add one."""

import numpy as np

from chairmaker import textures
from chairmaker.materials import (
    Material,
    Part,
    black_plastic,
    fabric,
    paint,
    pick,
    plain,
    surface,
    textured,
)
from chairmaker.meshes import Mesh, lathe, wall
from chairmaker.rooms import patterns
from chairmaker.rooms.ornaments import any_colour, lampshade, leafy, scattered
from chairmaker.rooms.room import Style, floor_piece
from chairmaker.rooms.shapes import ball, bar, bars, box, boxes, curtain, disc, made_of, moved, ring
from chairmaker.textures import hsv


@floor_piece(2.5, "living", "bedroom", "study", "hallway", "dining")
def floor_lamp(rng: np.random.Generator, style: Style) -> list[Part]:
    """A thin stand, or a tripod, with a shade."""
    h = rng.uniform(1.3, 1.7)
    shade = moved(lampshade(rng, rng.uniform(0.15, 0.25), 0.28), z=h + 0.1)
    if rng.uniform() < 0.4:
        turns = np.radians([90, 210, 330])
        feet = np.stack([0.28 * np.cos(turns), 0.28 * np.sin(turns), 0 * turns], axis=1)
        return [Part(bars(feet, feet * 0 + [0, 0, h], 0.026), style.dark), *shade]
    return [*made_of(style.dark, bar((0, 0, 0), (0, 0, h), 0.024), disc(0.15, 0.03)), *shade]


def table(rng: np.random.Generator, style: Style, w: float, d: float, h: float, legs: str = "") -> list[Part]:
    """A bare table; ``legs`` is "corner", "splayed", "trestle", "frame" or "pedestal" (any by default)."""
    top = style.timber if rng.uniform() < 0.65 else style.second
    under = style.dark if rng.uniform() < 0.35 else top
    thick, inset = rng.uniform(0.03, 0.08), rng.uniform(0.03, 0.12)
    x, y = w / 2 - inset - thick / 2, d / 2 - inset - thick / 2
    legs = legs or pick(rng, {"corner": 4, "splayed": 3, "trestle": 1.5, "frame": 1.5, "pedestal": 1})
    corners = np.array([(a * x, b * y, 0.0) for a in (-1, 1) for b in (-1, 1)])
    board = rng.uniform(0.02, 0.045)
    parts = [Part(box((-w / 2, w / 2), (-d / 2, d / 2), (h - board, h)), top)]
    up = np.array([0, 0, h - board])
    if legs == "corner":
        posts = [[a - thick / 2, a + thick / 2, b - thick / 2, b + thick / 2, 0, h - board] for a, b, _ in corners]
        apron = [[-x, x, s * y - 0.01, s * y + 0.01, h - 0.12, h - board] for s in (-1, 1)]
        apron += [[s * x - 0.01, s * x + 0.01, -y, y, h - 0.12, h - board] for s in (-1, 1)]
        return [*parts, Part(boxes(posts + apron), under)]
    if legs == "splayed":
        return [*parts, Part(bars(corners, corners * [0.85, 0.85, 0] + up, thick * 0.8), under)]
    if legs == "trestle":
        feet = corners[[0, 1, 2, 3]]
        tops = feet * [1, -0.6, 0] + up
        beam = bar((-x, 0, h * 0.45), (x, 0, h * 0.45), thick)
        return [*parts, *made_of(under, bars(feet, tops, thick), beam)]
    if legs == "frame":
        t = 0.035
        runs = [[s * x - t, s * x + t, -y, y, z, z + t] for s in (-1, 1) for z in (0, h - board - t)]
        runs += [[s * x - t, s * x + t, b * y - t, b * y + t, 0, h - board] for s in (-1, 1) for b in (-1, 1)]
        return [*parts, Part(boxes(runs), under)]
    stem = lathe([(0, 0), (d * 0.35, 0), (0.06, 0.1), (0.045, h * 0.5), (0.09, h - board), (0, h - board)], 14)
    return [*parts, Part(stem, under)]


def _round_top(r: float, h: float) -> Mesh:
    return lathe([(0, h - 0.03), (r, h - 0.03), (r, h), (0, h)], 28)


def _on_one_foot(rng: np.random.Generator, style: Style, r: float, h: float, material: Material) -> list[Part]:
    """A round table on a turned foot."""
    stem = lathe([(0, 0), (r * 0.6, 0), (0.06, 0.08), (0.045, h * 0.5), (0.08, h - 0.03), (0, h - 0.03)], 16)
    return [Part(_round_top(r, h), material), Part(stem, style.dark if rng.uniform() < 0.4 else material)]


def _round_table(rng: np.random.Generator, style: Style, r: float, h: float) -> list[Part]:
    top = _round_top(r, h)
    material = style.timber if rng.uniform() < 0.65 else style.second
    if rng.uniform() < 0.5:
        return _on_one_foot(rng, style, r, h, material)
    turns = np.radians(np.arange(3 if rng.uniform() < 0.5 else 4) * (120 if rng.uniform() < 0.5 else 90) + 45)
    feet = np.stack([r * 0.85 * np.cos(turns), r * 0.85 * np.sin(turns), 0 * turns], axis=1)
    return [Part(top, material), Part(bars(feet, feet * [0.7, 0.7, 0] + [0, 0, h - 0.03], 0.045), style.dark)]


@floor_piece(4, "living", "dining", "kitchen", "study", "terrace")
def dining_table(rng: np.random.Generator, style: Style) -> list[Part]:
    """A table, round or oblong, laid with a few things."""
    h = rng.uniform(0.72, 0.77)
    if rng.uniform() < 0.35:
        r = rng.uniform(0.4, 0.65)
        return _round_table(rng, style, r, h) + scattered(rng, "dining", r, r, h, int(rng.integers(1, 5)))
    w, d = rng.uniform(0.9, 1.8), rng.uniform(0.65, 0.95)
    parts = table(rng, style, w, d, h)
    if rng.uniform() < 0.25:
        cloth = plain(textured(textures.patterned(rng, [any_colour(rng), [0.9, 0.9, 0.88]]), (0.4, 0.4)))
        drop = rng.uniform(0.1, 0.35)
        parts.append(
            Part(box((-w / 2 - 0.01, w / 2 + 0.01), (-d / 2 - 0.01, d / 2 + 0.01), (h - drop, h + 0.006)), cloth)
        )
    return parts + scattered(rng, "dining", w, d, h + 0.006, int(rng.integers(1, 6)))


@floor_piece(2, "living")
def coffee_table(rng: np.random.Generator, style: Style) -> list[Part]:
    """A low table with a shelf or on thin legs."""
    w, d, h = rng.uniform(0.9, 1.25), rng.uniform(0.55, 0.7), rng.uniform(0.34, 0.42)
    if rng.uniform() < 0.3:
        return _round_table(rng, style, d * 0.8, h) + scattered(rng, "living", d, d, h, 2)
    parts = table(rng, style, w, d, h)
    if rng.uniform() < 0.4:
        parts.append(
            Part(box((-w / 2 + 0.06, w / 2 - 0.06), (-d / 2 + 0.06, d / 2 - 0.06), (0.12, 0.14)), style.timber)
        )
    return parts + scattered(rng, "living", w, d, h, int(rng.integers(1, 5)))


@floor_piece(2, "living", "bedroom", "hallway", "terrace", "dining")
def side_table(rng: np.random.Generator, style: Style) -> list[Part]:
    """A small tall table with a lamp, a plant or a vase: on one foot, or square with a shelf or a drawer."""
    # A small top on thin legs would look like a stool. So there is a foot, a shelf or a drawer below and something on
    # top.
    h = rng.uniform(0.6, 0.8)
    if rng.uniform() < 0.45:
        r = rng.uniform(0.24, 0.34)
        base = _on_one_foot(rng, style, r, h, style.timber if rng.uniform() < 0.65 else style.second)
    else:
        base = _with_a_shelf(rng, style, rng.uniform(0.36, 0.5), rng.uniform(0.36, 0.45), h)
    return base + scattered(rng, "living", 0.15, 0.15, h, int(rng.integers(1, 4)))


def _with_a_shelf(rng: np.random.Generator, style: Style, w: float, d: float, h: float) -> list[Part]:
    """A square little table with a shelf and perhaps a drawer."""
    body = style.timber if rng.uniform() < 0.65 else style.second
    x, y, t = w / 2, d / 2, 0.035
    posts = [
        [a - t * (a > 0), a + t * (a < 0), b - t * (b > 0), b + t * (b < 0), 0, h] for a in (-x, x) for b in (-y, y)
    ]
    level = rng.uniform(0.12, 0.3)
    boards = [[-x - 0.015, x + 0.015, -y - 0.015, y + 0.015, h - 0.025, h], [-x, x, -y, y, level, level + 0.025]]
    parts = [Part(boxes(posts + boards), body)]
    if rng.uniform() < 0.7:
        deep = rng.uniform(0.12, 0.3 * h)
        front = [-x + t, x - t, -y - 0.008, -y, h - deep, h - 0.035]
        parts.append(Part(boxes([[-x + 0.01, x - 0.01, -y, y, h - deep - 0.01, h - 0.02], front]), style.second))
        parts.append(Part(box((-0.04, 0.04), (-y - 0.03, -y), (h - deep / 2 - 0.02, h - deep / 2)), style.dark))
    return parts + scattered(rng, "living", w * 0.5, d * 0.5, level + 0.025, int(rng.integers(1, 3)))


@floor_piece(2)
def plant(rng: np.random.Generator, style: Style) -> list[Part]:
    """A tall potted plant."""
    return leafy(rng, rng.uniform(0.7, 1.7))


@floor_piece(1, "living", "bedroom", "bathroom", "hallway", "kitchen")
def basket(rng: np.random.Generator, style: Style) -> list[Part]:
    """A wicker basket or a bin, heaped with cloth."""
    r, h = rng.uniform(0.16, 0.25), rng.uniform(0.25, 0.45)
    wicker = plain(textured(textures.patterned(rng, [hsv(0.09, 0.5, 0.6), hsv(0.08, 0.6, 0.35)], 48), (0.25, 0.25)))
    tub = lathe([(0, 0), (r * 0.85, 0), (r, h), (r * 0.93, h), (0, h * 0.9)], 18)
    return [Part(tub, wicker), Part(ball(r * 0.6, (0, 0, h), 0.7, 10, 0.09), fabric(rng))]


@floor_piece(1, "living", "study", "hallway", "bedroom")
def cartons(rng: np.random.Generator, style: Style) -> list[Part]:
    """Cardboard boxes, stacked untidily."""
    parts, z = [], 0.0
    for _ in range(rng.integers(1, 4)):
        w, d, h = rng.uniform(0.28, 0.5), rng.uniform(0.25, 0.4), rng.uniform(0.15, 0.35)
        card = textures.mottled(rng, hsv(0.09, rng.uniform(0.2, 0.45), rng.uniform(0.5, 0.8)), 0.04, size=48)
        carton = box((-w / 2, w / 2), (-d / 2, d / 2), (z, z + h)).turned(rng.uniform(-20, 20))
        parts.append(Part(carton, plain(textured(card, (0.4, 0.4)))))
        z += h
    return parts


@floor_piece(1.2, "living", "study", "hallway")
def easel(rng: np.random.Generator, style: Style) -> list[Part]:
    """A painter's easel with a canvas."""
    h = rng.uniform(1.4, 1.8)
    feet = np.array([(-0.32, -0.2, 0), (0.32, -0.2, 0), (0, 0.4, 0)])
    tops = np.array([(-0.05, 0, h), (0.05, 0, h), (0, 0.02, h * 0.95)])
    w, tall, low = rng.uniform(0.4, 0.7), rng.uniform(0.4, 0.65), rng.uniform(0.7, 0.85)
    canvas = plain(textured(textures.painting(rng), (w, tall)))
    ledge = box((-0.3, 0.3), (-0.16, -0.1), (low - 0.03, low))
    picture = wall((-w / 2, -0.15, low), (w, 0, 0), (0, 0.08, tall))
    back = box((-w / 2, w / 2), (-0.05, -0.04), (low, low + tall * 0.98))
    return [*made_of(style.timber, bars(feet, tops, 0.035), ledge, back), Part(picture, canvas)]


@floor_piece(1.5, "hallway", "bedroom", "living", "study")
def coat_stand(rng: np.random.Generator, style: Style) -> list[Part]:
    """A pole with hooks, and perhaps coats and a hat."""
    h = rng.uniform(1.6, 1.85)
    turns = np.radians(np.arange(4) * 90 + 20)
    out = np.stack([np.cos(turns), np.sin(turns), 0 * turns], axis=1)
    arms = bars(out * 0 + [0, 0, h - 0.15], out * 0.16 + [0, 0, h - 0.05], 0.022)
    feet = bars(out * 0.27 + [0, 0, 0.0], out * 0 + [0, 0, 0.25], 0.03)
    parts = made_of(style.timber if rng.uniform() < 0.6 else style.dark, bar((0, 0, 0.1), (0, 0, h), 0.04), arms, feet)
    for turn in np.degrees(turns)[: rng.integers(0, 4)]:
        coat = curtain(-0.12, 0.24, -0.16, rng.uniform(0.7, 1.0), h - 0.1, 2.0, 0.04).turned(turn + 90)
        parts.append(Part(coat, fabric(rng)))
    return parts


@floor_piece(1, "bedroom", "hallway", "bathroom")
def clothes_rail(rng: np.random.Generator, style: Style) -> list[Part]:
    """A rail on two stands with clothes on hangers."""
    w, h = rng.uniform(0.8, 1.3), rng.uniform(1.4, 1.65)
    lines = [((s * w / 2, 0.0, 0.0), (s * w / 2, 0.0, h)) for s in (-1, 1)] + [((-w / 2, 0.0, h), (w / 2, 0.0, h))]
    lines += [((s * w / 2, -0.22, 0.02), (s * w / 2, 0.22, 0.02)) for s in (-1, 1)]
    parts = [Part(bars([a for a, _ in lines], [b for _, b in lines], 0.028), style.dark)]
    for x in np.arange(-w / 2 + 0.1, w / 2 - 0.15, rng.uniform(0.06, 0.14)):
        garment = boxes([[x, x + 0.05, -0.2, 0.2, rng.uniform(0.5, 0.9), h - 0.1]])
        parts.append(Part(garment, plain(any_colour(rng))))
    return parts


@floor_piece(1, "bathroom", "kitchen", "bedroom", "terrace", "garden")
def drying_rack(rng: np.random.Generator, style: Style) -> list[Part]:
    """A folding rack with washing."""
    w, h, d = rng.uniform(0.8, 1.2), rng.uniform(0.85, 1.0), 0.5
    corners = [((x, -d / 2, 0), (x, d / 2, h)) for x in (-w / 2, w / 2)] + [
        ((x, d / 2, 0), (x, -d / 2, h)) for x in (-w / 2, w / 2)
    ]
    lines = corners + [((-w / 2, y, h), (w / 2, y, h)) for y in np.linspace(-d / 2, d / 2, 6)]
    parts = [Part(bars([a for a, _ in lines], [b for _, b in lines], 0.02), style.trim)]
    for y in np.linspace(-d / 2, d / 2, 6)[: rng.integers(1, 6)]:
        x = rng.uniform(-w / 2, 0.0)
        cloth = boxes([[x, x + rng.uniform(0.2, 0.5), y, y + 0.015, h - rng.uniform(0.25, 0.6), h + 0.01]])
        parts.append(Part(cloth, fabric(rng)))
    return parts


@floor_piece(1, "living", "study")
def camera_tripod(rng: np.random.Generator, style: Style) -> list[Part]:
    """A tripod with a camera, a telescope or a music desk."""
    h = rng.uniform(1.1, 1.5)
    turns = np.radians([90, 210, 330])
    feet = np.stack([0.35 * np.cos(turns), 0.35 * np.sin(turns), 0 * turns], axis=1)
    parts = [Part(bars([*feet, (0, 0, h * 0.6)], [*(feet * 0 + [0, 0, h * 0.8]), (0, 0, h)], 0.026), style.dark)]
    kind = rng.integers(3)
    if kind == 0:
        return [
            *parts,
            Part(
                boxes([[-0.07, 0.07, -0.04, 0.05, h, h + 0.1], [-0.03, 0.03, -0.14, -0.04, h + 0.02, h + 0.08]]),
                black_plastic(rng),
            ),
        ]
    if kind == 1:
        return [*parts, Part(bar((0, -0.4, h + 0.25), (0, 0.35, h - 0.08), 0.1, 10), paint(rng))]
    return [
        *parts,
        Part(box((-0.25, 0.25), (-0.02, 0.0), (h, h + 0.33)).turned(-20, "x").moved(0, h * 0.3, h * 0.06), style.dark),
    ]


@floor_piece(1, "hallway", "kitchen", "study")
def step_ladder(rng: np.random.Generator, style: Style) -> list[Part]:
    """A tall pair of steps."""
    h, w = rng.uniform(1.3, 1.8), 0.42
    lines = [((s * w / 2, -0.35, 0), (s * w * 0.35, 0, h)) for s in (-1, 1)] + [
        ((s * w / 2, 0.4, 0), (s * w * 0.35, 0.03, h)) for s in (-1, 1)
    ]
    treads = [
        [-w * 0.45, w * 0.45, -0.35 * (1 - t) - 0.05, -0.35 * (1 - t) + 0.05, h * t, h * t + 0.025]
        for t in np.linspace(0.15, 0.98, 6)
    ]
    return made_of(_aluminium(rng, style), bars([a for a, _ in lines], [b for _, b in lines], 0.035), boxes(treads))


def _aluminium(rng: np.random.Generator, style: Style) -> Material:
    """Bare aluminium or the room's wood."""
    return style.timber if rng.uniform() < 0.4 else surface(np.full(3, 0.72), 0.4, metallic=0.3)


@floor_piece(1, "kitchen", "hallway", "living", "bedroom")
def vacuum_cleaner(rng: np.random.Generator, style: Style) -> list[Part]:
    """A vacuum cleaner left in the room."""
    body = ball(0.16, (0, 0, 0.14), 0.8, 10)
    wand = bars(
        [(0.5, -0.1, 0.04), (0.1, 0, 0.18), (0.35, 0.1, 0.4)],
        [(0.65, 0.0, 1.05), (0.35, 0.1, 0.4), (0.65, 0.0, 1.05)],
        0.035,
    )
    foot = box((0.38, 0.62), (-0.16, -0.06), (0, 0.07))
    return [Part(body, surface(any_colour(rng), 0.25)), *made_of(black_plastic(rng), wand, foot)]


@floor_piece(1, "bedroom", "hallway")
def suitcases(rng: np.random.Generator, style: Style) -> list[Part]:
    """A suitcase or two with pulled-out handles."""
    parts: list[Part] = []
    for x in np.arange(rng.integers(1, 3)) * 0.45:
        w, h = rng.uniform(0.35, 0.45), rng.uniform(0.5, 0.75)
        shell = box((x - w / 2, x + w / 2), (-0.12, 0.12), (0.04, h))
        handle = bars(
            [(x - 0.1, 0.08, h), (x + 0.1, 0.08, h), (x - 0.1, 0.08, h + 0.35)],
            [(x - 0.1, 0.08, h + 0.35), (x + 0.1, 0.08, h + 0.35), (x + 0.1, 0.08, h + 0.35)],
            0.018,
        )
        parts += [Part(shell, surface(any_colour(rng), 0.35)), Part(handle, style.dark)]
    return parts


@floor_piece(1, "kitchen", "dining", "living", "terrace")
def serving_trolley(rng: np.random.Generator, style: Style) -> list[Part]:
    """A trolley of two or three trays with bottles and plates."""
    w, d, h = rng.uniform(0.55, 0.8), rng.uniform(0.35, 0.45), rng.uniform(0.75, 0.9)
    posts = np.array([(a * w / 2, b * d / 2, 0.0) for a in (-1, 1) for b in (-1, 1)])
    levels = np.linspace(0.18, h - 0.08, int(rng.integers(2, 4)))
    trays = boxes([[-w / 2, w / 2, -d / 2, d / 2, z - 0.02, z] for z in levels])
    parts = [Part(bars(posts, posts + [0, 0, h], 0.025), style.dark), Part(trays, style.timber)]
    for z in levels:
        parts += scattered(rng, "kitchen", w * 0.7, d * 0.5, z, int(rng.integers(1, 3)))
    return parts


@floor_piece(0.8, "bedroom", "kitchen", "hallway")
def ironing_board(rng: np.random.Generator, style: Style) -> list[Part]:
    """An ironing board with an iron."""
    h = rng.uniform(0.82, 0.95)
    board = box((-0.65, 0.65), (-0.19, 0.19), (h - 0.03, h))
    legs = bars(
        [(-0.45, -0.2, 0), (-0.45, 0.2, 0), (0.45, -0.2, 0), (0.45, 0.2, 0)],
        [(0.4, -0.05, h - 0.03), (0.4, 0.05, h - 0.03), (-0.4, -0.05, h - 0.03), (-0.4, 0.05, h - 0.03)],
        0.025,
    )
    iron = box((0.2, 0.42), (-0.06, 0.06), (h, h + 0.12))
    return [Part(board, fabric(rng)), Part(legs, style.dark), Part(iron, surface(any_colour(rng), 0.3))]


@floor_piece(1, "living", "bedroom")
def toys(rng: np.random.Generator, style: Style) -> list[Part]:
    """Building blocks, balls and a ring tower strewn on the floor."""
    parts: list[Part] = []
    for _ in range(rng.integers(5, 12)):
        x, y = rng.normal(0, 0.35, 2)
        s = rng.uniform(0.05, 0.11)
        colour = surface(hsv(rng.uniform(), 0.8, rng.uniform(0.6, 0.95)), 0.35)
        shape = (
            ball(s, (0, 0, s), 1, 8)
            if rng.uniform() < 0.3
            else box((-s, s), (-s, s), (0, 1.4 * s)).turned(rng.uniform(0, 90))
        )
        parts.append(Part(shape.moved(x, y), colour))
    return parts


@floor_piece(0.7, "living", "study", "hallway")
def pedestal(rng: np.random.Generator, style: Style) -> list[Part]:
    """A column that carries an ornament."""
    h = rng.uniform(0.7, 1.1)
    column = boxes(
        [
            [-0.15, 0.15, -0.15, 0.15, 0, 0.06],
            [-0.1, 0.1, -0.1, 0.1, 0.06, h - 0.05],
            [-0.16, 0.16, -0.16, 0.16, h - 0.05, h],
        ]
    )
    return [Part(column, style.trim), *scattered(rng, "living", 0.01, 0.01, h, 1)]


@floor_piece(0.8, "living", "hallway", "bedroom")
def folding_screen(rng: np.random.Generator, style: Style) -> list[Part]:
    """A folding screen of three painted or papered leaves."""
    h, w = rng.uniform(1.5, 1.8), rng.uniform(0.4, 0.5)
    cloth = plain(textured(patterns.floral(rng, any_colour(rng), [any_colour(rng), any_colour(rng)]), (0.6, 0.6)))
    parts: list[Part] = []
    for x, turn in ((-w, 25), (0.0, -25), (w * 0.95, 25)):
        rim = boxes(
            [
                [-w / 2, -w / 2 + 0.03, -0.012, 0.012, 0, h],
                [w / 2 - 0.03, w / 2, -0.012, 0.012, 0, h],
                [-w / 2, w / 2, -0.012, 0.012, h - 0.03, h],
            ]
        )
        leaf = box((-w / 2 + 0.02, w / 2 - 0.02), (-0.005, 0.005), (0.08, h - 0.02))
        parts += moved([Part(rim, style.dark), Part(leaf, cloth)], x, 0, turn=turn)
    return parts


@floor_piece(0.7, "bedroom", "living")
def birdcage(rng: np.random.Generator, style: Style) -> list[Part]:
    """A birdcage on a stand."""
    r, low, h = 0.2, 0.9, 1.5
    turns = np.linspace(0, 2 * np.pi, 13)[:-1]
    rim = np.stack([r * np.cos(turns), r * np.sin(turns), 0 * turns], axis=1)
    cage = bars(rim + [0, 0, low], rim + [0, 0, h - 0.15], 0.01, 4)
    roof = bars(rim + [0, 0, h - 0.15], rim * 0 + [0, 0, h], 0.01, 4)
    return made_of(
        style.dark,
        cage,
        roof,
        disc(r, 0.04).moved(z=low),
        bar((0, 0, 0), (0, 0, low), 0.035),
        disc(0.17, 0.03),
        ring(r, 0.016, 16, (0, 0, h - 0.15)),
    )


def rug(rng: np.random.Generator, style: Style) -> list[Part]:
    """A rug, plain, patterned or oriental."""
    w, d = rng.uniform(1.3, 2.6), rng.uniform(0.9, 1.8)
    colours = [hsv(style.hue + rng.normal(0, 0.12), rng.uniform(0.1, 0.85), rng.uniform(0.15, 0.9)) for _ in range(4)]
    if rng.uniform() < 0.25:
        r = w / 2
        round_rug = lathe([(r, 0.0), (r, 0.012), (0, 0.014)], 32)
        return [Part(round_rug, plain(textured(textures.patterned(rng, colours[:3]), (0.7, 0.7))))]
    image = textures.rug(rng, colours, 128) if rng.uniform() < 0.65 else textures.patterned(rng, colours[:3])
    material = plain(textured(image, (w, d)))
    return [Part(wall((-w / 2, -d / 2, 0.012), (w, 0, 0), (0, d, 0)), material)]
