"""House fronts, shop windows and the street before them."""

import numpy as np

from chairmaker.materials import Part, fabric, glow, plain, surface, textured
from chairmaker.meshes import wall
from chairmaker.rooms import outdoors, patterns
from chairmaker.rooms.ornaments import any_colour
from chairmaker.rooms.placing import Ground
from chairmaker.rooms.room import FLOOR_PIECES, Room, Style, choose, floor_piece, room_kind
from chairmaker.rooms.shapes import bar, bars, boxes, disc, made_of, moved, ring
from chairmaker.textures import hsv


@floor_piece(3, "facade")
def bicycle(rng: np.random.Generator, style: Style) -> list[Part]:
    """A bicycle leaning by the wall, along x."""
    r = 0.34
    rear, crank, head, top, post = (
        np.array(p) for p in ((-0.52, 0, r), (-0.08, 0, 0.28), (0.38, 0, 0.72), (0.33, 0, 0.9), (-0.22, 0, 0.78))
    )
    front = np.array([0.54, 0, r])
    frame = bars([rear, rear, crank, crank, post, head], [crank, post, post, head, head, front], 0.034)
    spokes = [c + [r * np.cos(a), 0, r * np.sin(a)] for c in (rear, front) for a in np.radians(np.arange(0, 360, 45))]
    hubs = [c for c in (rear, front) for _ in range(8)]
    steering = bars([head, top, top], [top, top + [0.06, 0.25, 0.02], top + [0.06, -0.25, 0.02]], 0.03)
    tyres = [ring(r, 0.04, 22, c, "x") for c in (rear, front)]
    bags = boxes([[-0.75, -0.35, -0.06, 0.06, 0.7, 0.73]])
    return [
        *made_of(surface(any_colour(rng), 0.35), frame),
        *made_of(plain(np.full(3, 0.07)), *tyres, steering, bags),
        Part(bars(hubs, spokes, 0.006, 3), surface(np.full(3, 0.6), 0.4)),
    ]


@floor_piece(1.5, "facade", "terrace")
def street_lamp(rng: np.random.Generator, style: Style) -> list[Part]:
    """A lamp post."""
    h = rng.uniform(2.4, 4.0)
    iron = surface(rng.choice([0.06, 0.12, 0.3]) * np.array([0.9, 1.0, 0.95]), 0.4)
    head = boxes([[-0.11, 0.11, -0.11, 0.11, h, h + 0.3]])
    return [
        *made_of(iron, bar((0, 0, 0), (0, 0, h), 0.08), disc(0.14, 0.4, 10), disc(0.16, 0.05, 8).moved(z=h + 0.3)),
        Part(head, glow(hsv(0.11, 0.25, 1.0), rng.choice([0.6, 2.5]))),
    ]


@floor_piece(1.2, "facade")
def bins(rng: np.random.Generator, style: Style) -> list[Part]:
    """Dustbins on wheels."""
    parts = []
    for x in np.arange(rng.integers(1, 4)) * 0.65:
        colour = surface(hsv(rng.choice([0.35, 0.58, 0.12, 0.0]), rng.choice([0.0, 0.7]), rng.uniform(0.15, 0.45)), 0.5)
        parts.append(
            Part(
                boxes([[x - 0.26, x + 0.26, -0.3, 0.3, 0.05, 0.95], [x - 0.29, x + 0.29, -0.34, 0.32, 0.95, 1.03]]),
                colour,
            )
        )
    return parts


@floor_piece(1.2, "facade")
def signpost(rng: np.random.Generator, style: Style) -> list[Part]:
    """A street sign, or a board with the day's offers."""
    if rng.uniform() < 0.5:
        h = rng.uniform(2.0, 2.6)
        plate = disc(0.28, 0.02, 20).turned(90, "x").moved(0, -0.03, h - 0.2)
        return [
            Part(bar((0, 0, 0), (0, 0, h), 0.06), surface(np.full(3, 0.6), 0.4)),
            Part(plate, surface(hsv(rng.choice([0.0, 0.6]), 0.85, 0.7), 0.4)),
        ]
    frame = boxes(
        [[-0.3, -0.26, -0.25, -0.21, 0, 1.05], [0.26, 0.3, -0.25, -0.21, 0, 1.05], [-0.3, 0.3, -0.25, -0.21, 1.0, 1.05]]
    )
    board = boxes([[-0.28, 0.28, -0.24, -0.22, 0.2, 1.0]])
    image = np.clip(patterns.screen(rng, 48) * 0.6, 0, 1)
    return [Part(frame, style.timber), Part(board, plain(textured(image, (0.6, 0.8))))]


@floor_piece(1, "facade")
def bollards(rng: np.random.Generator, style: Style) -> list[Part]:
    """Posts along the kerb, some with a chain."""
    xs = np.arange(-2, 3) * 1.1
    feet = np.stack([xs, 0 * xs, 0 * xs], axis=1)
    tops = feet + [0, 0, 0.85]
    return made_of(
        surface(np.full(3, rng.choice([0.1, 0.5])), 0.5),
        bars(feet, tops, 0.11, 8),
        bars(tops[:-1] - [0, 0, 0.1], tops[1:] - [0, 0, 0.1], 0.02, 4),
    )


def steps(rng: np.random.Generator, count: int) -> list[Part]:
    """Steps up to a door with a handrail, about x = 0, before y = 0."""
    w = rng.uniform(1.2, 1.8)
    flight = [[-w / 2, w / 2, -0.3 * (count - i), 0, 0.16 * i, 0.16 * (i + 1)] for i in range(count)]
    stone = plain(textured(patterns.stained(rng, [0.6, 0.58, 0.54], 0.1, 64), (1.5, 1.5)))
    parts = [Part(boxes(flight), stone)]
    if rng.uniform() < 0.7:
        for x in (-w / 2 + 0.05, w / 2 - 0.05):
            low, high = np.array([x, -0.3 * count, 0.0]), np.array([x, -0.05, 0.16 * count])
            ts = np.linspace(0, 1, 5)[:, None]
            feet = low + (high - low) * ts
            parts.append(
                Part(
                    bars([*feet, low + [0, 0, 0.9]], [*(feet + [0, 0, 0.9]), high + [0, 0, 0.9]], 0.03),
                    surface(np.full(3, 0.08), 0.4),
                )
            )
    return parts


def shop(rng: np.random.Generator, style: Style, width: float) -> list[Part]:
    """A shop's front on a wall, from x = 0: wide panes full of goods, a sign, an awning."""
    h = rng.uniform(2.3, 2.7)
    colour = surface(any_colour(rng), 0.4)
    parts = []
    step = rng.uniform(1.2, 2.0)
    for x in np.arange(0.1, width - step, step):
        image = np.clip(patterns.goods(rng, 96, 0.15) * rng.uniform(0.5, 1.0), 0, 1)
        pane = textured(image, (step - 0.1, h - 0.5))
        lit = glow(pane, rng.uniform(0.3, 0.8)) if rng.uniform() < 0.4 else surface(pane, 0.1, 0.6)
        parts.append(Part(wall((x, -0.05, 0.5), (step - 0.1, 0, 0), (0, 0, h - 0.5)), lit))
    posts = [[x - 0.1, x, -0.1, -0.01, 0.0, h] for x in np.arange(0.1, width, step)]
    parts.append(Part(boxes([[0, width, -0.1, -0.01, 0, 0.5], [0, width, -0.15, -0.01, h, h + 0.5], *posts]), colour))
    for _ in range(rng.integers(3, 8)):
        x = rng.uniform(0.3, width - 0.5)
        parts.append(Part(boxes([[x, x + 0.2, -0.16, -0.15, h + 0.12, h + 0.38]]), plain(hsv(0.12, 0.2, 0.9))))
    if rng.uniform() < 0.6:
        deep = rng.uniform(0.8, 1.4)
        awning = wall((0, -0.1, h + 0.1), (width, 0, 0), (0, -deep, -0.5))
        cloth = fabric(rng)
        if rng.uniform() < 0.6:
            stripes = np.ones((8, 32, 3)) * 0.92
            stripes[:, (np.arange(32) // 4) % 2 == 0] = any_colour(rng)
            cloth = plain(textured(stripes, (2.0, 2.0)))
        parts.append(Part(awning, cloth))
    return parts


def road(rng: np.random.Generator, kerb: float) -> list[Part]:
    """Asphalt up to a kerb at y = ``kerb``, with a line, patches, drains and fallen leaves: a road is never bare."""
    grey = rng.uniform(0.22, 0.4)
    asphalt = plain(textured(patterns.speckled(rng, [grey] * 3, [grey * 0.75] * 3), (1, 1)))
    parts = [
        outdoors.ground(asphalt, (-25, 25), (-8, kerb), 0.006),
        Part(boxes([[-25, 25, kerb, kerb + 0.15, 0, 0.1]]), plain(hsv(0.1, 0.05, 0.6))),
    ]
    line = kerb - rng.uniform(0.25, 1.2)
    starts = np.arange(-9, 9, rng.choice([1.2, 2.0, 18.0]))
    length = 18.0 if len(starts) == 1 else 0.6 * (starts[1] - starts[0])
    white = plain(hsv(rng.choice([0.1, 0.13]), rng.choice([0.03, 0.6]), rng.uniform(0.65, 0.85)))
    parts.append(Part(boxes([[x, x + length, line, line + 0.1, 0, 0.012] for x in starts]), white))
    patch = plain(textured(patterns.speckled(rng, [grey * 0.7] * 3, [grey * 0.55] * 3), (1, 1)))
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(-3, 2), kerb - rng.uniform(0.3, 2.5)
        parts.append(outdoors.ground(patch, (x, x + rng.uniform(0.4, 2.5)), (y, y + rng.uniform(0.2, 0.7)), 0.009))
    iron = plain(np.full(3, rng.uniform(0.12, 0.25)))
    parts += made_of(iron, disc(0.3, 0.013, 18).moved(rng.uniform(-2, 2), kerb - rng.uniform(0.6, 2.0)))
    return parts + _fallen_leaves(rng, kerb)


def _fallen_leaves(rng: np.random.Generator, kerb: float) -> list[Part]:
    """Leaves that lie about the kerb."""
    count = int(rng.integers(0, 60))
    x, y = rng.uniform(-4, 4, count), kerb + rng.normal(-0.3, 0.6, count)
    size = rng.uniform(0.02, 0.06, count)
    flat = np.stack([x, x + size, y, y + size, np.full(count, 0.014), np.full(count, 0.018)], axis=1)
    return [Part(boxes(flat), plain(hsv(rng.uniform(0.06, 0.16), 0.6, rng.uniform(0.35, 0.7))))] if count else []


@room_kind("facade", 6)
def facade(rng: np.random.Generator, style: Style) -> Room:
    """A street front: a wall with windows and doors, or a shop, pavement, and what stands on it."""
    depth = rng.uniform(1.5, 4.5)
    parts = [outdoors.ground(outdoors.paving(rng))]
    front = outdoors.house_wall(rng, style, 16, rng.uniform(5, 9), glazed=bool(rng.uniform() < 0.25))
    parts += moved(front, -8 + rng.uniform(-1, 1), depth)
    if rng.uniform() < 0.3:
        parts += moved(shop(rng, style, rng.uniform(4, 9)), rng.uniform(-4, -2), depth)
    elif rng.uniform() < 0.4:
        parts += moved(steps(rng, int(rng.integers(2, 5))), rng.uniform(-2, 2), depth)
    if rng.uniform() < 0.75:
        parts += road(rng, rng.uniform(-1.2, depth - 1.2))
    if rng.uniform() < 0.35:
        for x in np.arange(-6, 6, rng.uniform(1.0, 2.5)):
            if rng.uniform() < 0.6:
                parts += moved(outdoors.bush(rng, rng.uniform(0.3, 0.7)), x, depth - 0.5)
    if rng.uniform() < 0.25:
        parts += moved(outdoors.fence(rng, 6), rng.uniform(-6, 0), depth - 1.2)
    pavement = Ground()
    for _ in range(rng.integers(3, 8)):
        piece = choose(rng, FLOOR_PIECES, "facade")
        parts += pavement.strewn(rng, piece(rng, style), (-3.2, 3.2), (depth - 2.2, depth - 0.4), 12)
    return outdoors.open_air(rng, parts, depth, rng.uniform(0.9, 1.7))
