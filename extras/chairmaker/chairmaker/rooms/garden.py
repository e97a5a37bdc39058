"""Gardens and yards."""

import numpy as np

from chairmaker import textures
from chairmaker.materials import Part, fabric, plain, textured
from chairmaker.meshes import grid
from chairmaker.rooms import outdoors, patterns
from chairmaker.rooms.placing import Ground
from chairmaker.rooms.room import FLOOR_PIECES, Room, Style, choose, floor_piece, room_kind
from chairmaker.rooms.shapes import bars, box, boxes, made_of, moved
from chairmaker.textures import hsv


def shed(rng: np.random.Generator, style: Style) -> list[Part]:
    """A wooden shed with a door and a window, about the origin."""
    w, d, h = rng.uniform(1.8, 3.0), rng.uniform(1.5, 2.2), rng.uniform(1.9, 2.2)
    colour = hsv(rng.choice([0.07, 0.3, 0.55, 0.02]), rng.uniform(0.1, 0.5), rng.uniform(0.35, 0.8))
    boards = plain(textured(textures.planks(rng, colour, 9, 128), (1.2, 2.5)))
    eave = 0.2
    line = np.array([(-w / 2 - eave, h - 0.1), (0, h + 0.6), (w / 2 + eave, h - 0.1)])
    roof = np.stack([np.stack([line[:, 0], np.full(3, y), line[:, 1]], axis=1) for y in (d / 2 + eave, -d / 2 - eave)])
    gable = np.stack(
        [
            np.array([(-w / 2, -d / 2, h), (0, -d / 2, h), (w / 2, -d / 2, h)]),
            np.array([(-w / 2, -d / 2, h), (0, -d / 2, h + 0.52), (w / 2, -d / 2, h)]),
        ]
    )
    tile = plain(
        textured(patterns.bricks(rng, [hsv(0.03, 0.4, 0.4), hsv(0.05, 0.3, 0.3)], [0.12, 0.1, 0.1], 8, 6), (1.2, 1.2))
    )
    doors = boxes([[-0.4, 0.4, -d / 2 - 0.03, -d / 2, 0, 1.8], [0.55, w / 2 - 0.1, -d / 2 - 0.03, -d / 2, 1.0, 1.6]])
    return [
        *made_of(boards, box((-w / 2, w / 2), (-d / 2, d / 2), (0, h)), grid(gable)),
        Part(grid(roof), tile),
        Part(doors, style.second),
    ]


@floor_piece(1.2, "garden")
def shrub(rng: np.random.Generator, style: Style) -> list[Part]:
    """A shrub."""
    return outdoors.bush(rng, rng.uniform(0.3, 0.8))


@floor_piece(1, "garden")
def flower_bed(rng: np.random.Generator, style: Style) -> list[Part]:
    """A bed of flowers edged with stones."""
    return outdoors.flowers(rng, rng.uniform(0.8, 2.0), rng.uniform(0.5, 1.0))


@floor_piece(0.8, "garden")
def bean_poles(rng: np.random.Generator, style: Style) -> list[Part]:
    """Sticks tied together in a wigwam with climbing leaves."""
    turns = np.linspace(0, 2 * np.pi, 7)[:-1]
    feet = np.stack([0.4 * np.cos(turns), 0.4 * np.sin(turns), 0 * turns], axis=1)
    return [Part(bars(feet, feet * -0.1 + [0, 0, 1.9], 0.025), style.timber), *outdoors.bush(rng, 0.35)]


@floor_piece(0.8, "garden")
def wheelbarrow(rng: np.random.Generator, style: Style) -> list[Part]:
    """A wheelbarrow."""
    tray = boxes([[-0.3, 0.3, -0.35, 0.4, 0.35, 0.55]])
    shafts = bars(
        [(-0.25, -0.85, 0.6), (0.25, -0.85, 0.6), (-0.22, -0.2, 0.35), (0.22, -0.2, 0.35)],
        [(-0.1, 0.65, 0.2), (0.1, 0.65, 0.2), (-0.22, -0.25, 0.0), (0.22, -0.25, 0.0)],
        0.035,
    )
    wheel = bars([(-0.05, 0.65, 0.19)], [(0.05, 0.65, 0.19)], 0.38, 12)
    return [Part(tray, style.second), Part(shafts, style.timber), Part(wheel, plain(np.full(3, 0.1)))]


@floor_piece(0.8, "garden")
def washing_line(rng: np.random.Generator, style: Style) -> list[Part]:
    """Washing on a line between two posts."""
    w, h = rng.uniform(2.5, 4.0), 1.9
    lines = bars(
        [(-w / 2, 0, 0), (w / 2, 0, 0), (-w / 2, 0, h)],
        [(-w / 2, 0, h), (w / 2, 0, h), (w / 2, 0, h)],
        [0.06, 0.06, 0.012],
    )
    parts = [Part(lines, style.dark)]
    for x in np.arange(-w / 2 + 0.2, w / 2 - 0.6, 0.6):
        if rng.uniform() < 0.7:
            parts.append(
                Part(box((x, x + rng.uniform(0.3, 0.55)), (-0.01, 0.01), (h - rng.uniform(0.4, 1.0), h)), fabric(rng))
            )
    return parts


@room_kind("garden", 6)
def garden(rng: np.random.Generator, style: Style) -> Room:
    """Lawn with a path, beds and trees, before a hedge, a fence, a shed or a house."""
    depth = rng.uniform(3.5, 9)
    parts = [outdoors.ground(plain(textured(patterns.lawn(rng), (rng.uniform(2, 4),) * 2)))]
    kind = rng.choice(3, p=[0.35, 0.35, 0.3])
    if kind == 0:
        parts += moved(outdoors.hedge(rng, 30, rng.uniform(1.0, 2.5)), -15, depth)
    elif kind == 1:
        parts += moved(outdoors.fence(rng, 30), -15, depth)
    else:
        parts += moved(
            outdoors.house_wall(rng, style, rng.uniform(7, 14), rng.uniform(2.8, 6)), -rng.uniform(3, 7), depth
        )
    plot = Ground((-8.0, -0.8), (8.0, depth - 0.1))
    if rng.uniform() < 0.4:
        hut = moved(shed(rng, style), rng.uniform(-4, 4), depth - 1.9, turn=rng.uniform(-25, 25))
        parts += hut if plot.take(hut) else []
    if rng.uniform() < 0.5:
        x = rng.uniform(-2, 2)
        parts.append(outdoors.ground(outdoors.paving(rng), (x, x + rng.uniform(0.8, 2.0)), (-8, depth), 0.01))
    for _ in range(rng.integers(2, 7)):
        parts += moved(outdoors.tree(rng, rng.uniform(2.5, 9)), rng.uniform(-10, 10), depth + rng.uniform(0.8, 10))
    if rng.uniform() < 0.4:
        parts += plot.strewn(rng, outdoors.tree(rng, rng.uniform(2.5, 4.5)), (-2.5, 2.5), (1, depth - 0.5), 180)
    for _ in range(rng.integers(3, 8)):
        piece = choose(rng, FLOOR_PIECES, "garden")
        parts += plot.strewn(rng, piece(rng, style), (-3.5, 3.5), (0.2, depth - 0.8), 40)
    for x in np.arange(-8, 8, rng.uniform(1.0, 2.2)):
        if rng.uniform() < 0.6:
            shrub = moved(outdoors.bush(rng, rng.uniform(0.3, 0.8)), x, depth - 0.5)
            parts += shrub if plot.take(shrub) else []
    return outdoors.open_air(rng, parts, depth, rng.uniform(0.5, 1.5))
