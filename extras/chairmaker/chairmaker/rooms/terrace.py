"""Terraces, balconies and patios."""

import numpy as np

from chairmaker import textures
from chairmaker.materials import Part, fabric, glow, plain, surface, textured
from chairmaker.meshes import lathe
from chairmaker.rooms import outdoors
from chairmaker.rooms.floor_pieces import dining_table
from chairmaker.rooms.ornaments import any_colour, leafy
from chairmaker.rooms.placing import Ground
from chairmaker.rooms.room import FLOOR_PIECES, Room, Style, choose, floor_piece, room_kind
from chairmaker.rooms.shapes import bar, bars, box, boxes, disc, made_of, moved
from chairmaker.textures import hsv


@floor_piece(1.5, "terrace", "garden")
def parasol(rng: np.random.Generator, style: Style) -> list[Part]:
    """A sunshade on its pole, open or closed."""
    h, r = rng.uniform(2.1, 2.5), rng.uniform(1.0, 1.5)
    pole = made_of(style.timber, bar((0, 0, 0), (0, 0, h), 0.045), disc(0.25, 0.08, 12))
    cloth = fabric(rng)
    if rng.uniform() < 0.3:
        return [*pole, Part(lathe([(0.1, h * 0.5), (0.16, h * 0.6), (0.05, h)], 10), cloth)]
    return [*pole, Part(lathe([(r, h - 0.5), (r, h - 0.38), (0, h)], 8), cloth)]


@floor_piece(2.5, "terrace", "garden", "facade")
def planter(rng: np.random.Generator, style: Style) -> list[Part]:
    """A large pot or trough with a shrub or flowers."""
    if rng.uniform() < 0.5:
        return leafy(rng, rng.uniform(0.6, 1.6))
    w, h = rng.uniform(0.3, 1.0), rng.uniform(0.3, 0.5)
    tub = boxes([[-w / 2, w / 2, -0.18, 0.18, 0, h]])
    filling = outdoors.flowers(rng, w * 0.9, 0.25) if rng.uniform() < 0.6 else outdoors.bush(rng, 0.3)
    return [Part(tub, style.timber if rng.uniform() < 0.5 else plain(any_colour(rng))), *moved(filling, z=h * 0.8)]


@floor_piece(0.8, "terrace", "garden", "facade")
def broom_and_bucket(rng: np.random.Generator, style: Style) -> list[Part]:
    """A watering can or bucket with a rake stuck beside it."""
    pail = lathe([(0, 0), (0.12, 0), (0.16, 0.3), (0.14, 0.3), (0, 0.1)], 14)
    return [
        Part(pail, surface(any_colour(rng), 0.4)),
        *made_of(style.timber, bar((0.25, 0, 0), (0.3, 0.1, 1.5), 0.03), box((0.1, 0.45), (-0.03, 0.0), (0, 0.06))),
    ]


def railing(rng: np.random.Generator, style: Style, width: float) -> list[Part]:
    """A balcony's railing along x, from 0: bars, wires or glass posts."""
    h, step = rng.uniform(0.9, 1.1), rng.choice([0.11, 0.14, 1.2])
    feet = np.array([(x, 0, 0) for x in np.arange(0, width, step)])
    material = style.dark if rng.uniform() < 0.5 else style.trim
    rails = [[0, width, -0.025, 0.025, h, h + 0.04], [0, width, -0.015, 0.015, 0.1, 0.13]]
    if step > 1:
        rails += [[0, width, -0.006, 0.006, z, z + 0.012] for z in np.arange(0.2, h, 0.12)]
    return made_of(material, bars(feet, feet + [0, 0, h], 0.025, 5), boxes(rails))


def _beyond(rng: np.random.Generator) -> list[Part]:
    """Trees, hedges and lawn behind a terrace."""
    parts = [outdoors.ground(plain(textured(outdoors.patterns.lawn(rng), (3.0, 3.0))), z=-0.15)]
    parts += moved(outdoors.hedge(rng, 30, rng.uniform(0.8, 2.2)), -15, rng.uniform(6, 12))
    for _ in range(rng.integers(2, 6)):
        parts += moved(outdoors.tree(rng, rng.uniform(3, 8)), rng.uniform(-9, 9), rng.uniform(6, 18))
    return parts


@room_kind("terrace", 6)
def terrace(rng: np.random.Generator, style: Style) -> Room:
    """Paving before a house wall or a railing, a table, pots, a sunshade."""
    d = rng.uniform(2.0, 3.2)
    parts = [outdoors.ground(outdoors.paving(rng), (-6, 6), (-8, d))]
    if rng.uniform() < 0.5:
        parts += moved(
            outdoors.house_wall(rng, style, 12, rng.uniform(2.8, 5.5), glazed=bool(rng.uniform() < 0.5)),
            -6 + rng.uniform(-1, 1),
            d,
        )
    else:
        parts += _beyond(rng)
        parts += moved(railing(rng, style, 12) if rng.uniform() < 0.7 else outdoors.fence(rng, 12), -6, d)
        if rng.uniform() < 0.5:
            side = rng.choice([-1, 1])
            parts += moved(
                outdoors.house_wall(rng, style, 9, 3.2), side * 2.8, d if side > 0 else d - 9, turn=-90 * side
            )
    if rng.uniform() < 0.3:
        posts = [[x, x + 0.12, y, y + 0.12, 0, 2.4] for x in (-2.5, 2.4) for y in (-0.5, d - 0.2)]
        beams = [[x, x + 0.06, -1.0, d, 2.4, 2.52] for x in np.arange(-2.6, 2.7, 0.45)]
        parts.append(Part(boxes(posts + beams), style.timber))
    if rng.uniform() < 0.3:
        bulbs = np.array([(x, d - 0.5, 2.5 - 0.25 * np.cos(x * 1.5)) for x in np.linspace(-3, 3, 16)])
        parts += made_of(
            glow(hsv(0.11, 0.4, 1.0), 2.0),
            *(lathe([(0, -0.04), (0.04, 0), (0, 0.04)], 6).moved(*spot) for spot in bulbs),
        )
        parts.append(Part(bars(bulbs[:-1], bulbs[1:], 0.012, 4), style.dark))
    ground = Ground((-5.0, -0.8), (5.0, d - 0.1))
    if rng.uniform() < 0.6:
        table = moved(dining_table(rng, style), rng.uniform(-1, 1), rng.uniform(0, 1.2), turn=rng.uniform(-30, 30))
        parts += table if ground.take(table, inside=True) else []
    for _ in range(rng.integers(2, 6)):
        # One table is enough.
        piece = choose(rng, {one: use for one, use in FLOOR_PIECES.items() if one is not dining_table}, "terrace")
        parts += ground.strewn(rng, piece(rng, style), (-2.6, 2.6), (0.2, d - 0.5), 30)
    if rng.uniform() < 0.25:
        image = textures.rug(rng, [any_colour(rng) for _ in range(4)], 96)
        parts.append(outdoors.ground(plain(textured(image, (2.4, 1.6))), (-1.2, 1.2), (-0.2, 1.4), 0.012))
    return outdoors.open_air(rng, parts, d, rng.uniform(0.6, 1.3))
