"""Small things for tables, worktops and shelves; each about the origin, on z = 0."""

import numpy as np

from chairmaker import textures
from chairmaker.materials import Part, fabric, glow, metal, paint, plain, surface, textured
from chairmaker.meshes import lathe, wall
from chairmaker.rooms import patterns
from chairmaker.rooms.room import ORNAMENTS, POLISH, choose, ornament
from chairmaker.rooms.shapes import ball, bar, bars, box, boxes, disc, made_of, moved, ring, strips
from chairmaker.textures import hsv


def any_colour(rng: np.random.Generator) -> np.ndarray:
    """The colour of some object or other."""
    return hsv(rng.uniform(), rng.choice([0.05, 0.3, 0.6, 0.85]), rng.uniform(0.15, 0.95))


@ornament(3)
def vase(rng: np.random.Generator) -> list[Part]:
    """A turned vase or jar, sometimes with twigs."""
    h, r = rng.uniform(0.1, 0.35), rng.uniform(0.04, 0.1)
    z = np.linspace(0, 1, 7)
    swell = 0.55 + 0.45 * np.sin(np.pi * (z * rng.uniform(0.7, 1.1) + rng.uniform(0, 0.25)))
    profile = [(0.0, 0.0), *zip(r * swell, h * z, strict=True), (r * swell[-1] * 0.85, h), (0.0, h * 0.8)]
    parts = [Part(lathe(profile, 12), surface(any_colour(rng), rng.uniform(0.15, 0.5)))]
    if rng.uniform() < 0.35:
        count = int(rng.integers(5, 12))
        ends = np.column_stack([rng.normal(0, 0.09, (count, 2)), h + rng.uniform(0.12, 0.4, count)])
        parts.append(Part(bars(ends * [0.1, 0.1, 0] + [0, 0, h * 0.8], ends, 0.006, 4), plain(hsv(0.2, 0.4, 0.3))))
        bloom = plain(hsv(rng.choice([0.0, 0.1, 0.14, 0.8, 0.92, 0.3]), rng.uniform(0.1, 0.85), rng.uniform(0.5, 1)))
        parts += [Part(ball(rng.uniform(0.02, 0.045), end, 0.8, 6), bloom) for end in ends]
    return parts


def leafy(rng: np.random.Generator, height: float) -> list[Part]:
    """A potted plant of the given height."""
    pot_height = min(height * 0.3, 0.35)
    r = pot_height * rng.uniform(0.4, 0.6)
    pot = lathe([(0, 0), (r * 0.75, 0), (r, pot_height), (r * 0.9, pot_height), (0, pot_height * 0.9)], 14)
    count = int(rng.integers(16, 40))
    long = rng.uniform(0.25, 0.6) * (height - pot_height)
    turn, lift = rng.uniform(0, 2 * np.pi, (count, 1)), rng.uniform(0.2, 1.45, (count, 1))
    foot = pot_height + rng.uniform(0, 1, (count, 1)) * (height - pot_height - long * 0.6)
    t = np.linspace(0, 1, 5)[None]
    reach = np.cos(lift) * t * long
    path = np.stack(
        [np.cos(turn) * reach, np.sin(turn) * reach, foot + long * (np.sin(lift) * t - 0.35 * t**2 * np.cos(lift))],
        axis=2,
    )
    wide = long * rng.uniform(0.12, 0.3) * np.sin(np.pi * np.clip(t * 0.95 + 0.05, 0, 1)) ** 0.8 + 0.002
    across = np.stack([-np.sin(turn) * wide, np.cos(turn) * wide, 0 * turn * wide], axis=2) / 2
    leaves = strips(np.stack([path - across, path + across], axis=2))
    leaf = plain(hsv(rng.uniform(0.2, 0.38), rng.uniform(0.4, 0.8), rng.uniform(0.22, 0.55)))
    clay = plain(hsv(rng.uniform(0.03, 0.1), rng.uniform(0, 0.6), rng.uniform(0.2, 0.95)))
    stem = bar((0, 0, pot_height * 0.8), (0, 0, max(height - long * 0.5, pot_height)), 0.02)
    return [Part(pot, clay), *made_of(leaf, stem, leaves)]


@ornament(1.5)
def pot_plant(rng: np.random.Generator) -> list[Part]:
    """A small plant."""
    return leafy(rng, rng.uniform(0.2, 0.5))


def lampshade(rng: np.random.Generator, radius: float, height: float, lit: float = 0.3) -> list[Part]:
    """A shade about the origin, open above and below; ``lit`` is how likely it shines."""
    top = radius * rng.uniform(0.55, 1.0)
    shade = lathe([(radius, -height / 2), (top, height / 2)], 16)
    colour = hsv(rng.uniform(0.08, 0.13), rng.uniform(0.05, 0.35), rng.uniform(0.5, 1.0))
    if rng.uniform() < lit:
        return [Part(shade, glow(hsv(0.1, rng.uniform(0.25, 0.5), 1.0), rng.uniform(1.0, 4.0)))]
    return [Part(shade, plain(colour if rng.uniform() < 0.8 else any_colour(rng)))]


@ornament(1.5, "living", "dining", "bedroom", "study", "hallway")
def table_lamp(rng: np.random.Generator) -> list[Part]:
    """A lamp with a turned foot."""
    h = rng.uniform(0.22, 0.36)
    foot = lathe([(0, 0), (0.07, 0), (0.02, 0.05), (0.05, h * 0.5), (0.015, h * 0.85), (0.012, h), (0, h)], 10)
    material = metal(rng, POLISH) if rng.uniform() < 0.5 else paint(rng)
    return [Part(foot, material), *moved(lampshade(rng, rng.uniform(0.1, 0.17), 0.2), z=h + 0.08)]


@ornament(2, "living", "bedroom", "study", "hallway")
def book_pile(rng: np.random.Generator) -> list[Part]:
    """A few books lying flat."""
    parts, z = [], 0.0
    for _ in range(rng.integers(2, 6)):
        w, d, thick = rng.uniform(0.18, 0.26), rng.uniform(0.13, 0.18), rng.uniform(0.015, 0.04)
        book = box((-w / 2, w / 2), (-d / 2, d / 2), (z, z + thick)).turned(rng.uniform(-12, 12))
        parts.append(Part(book, plain(any_colour(rng))))
        z += thick
    return parts


@ornament(2.5, "kitchen", "bathroom", "dining", "terrace")
def bottles(rng: np.random.Generator) -> list[Part]:
    """Bottles of different heights close together."""
    parts = []
    for x in np.arange(rng.integers(1, 5)) * 0.085:
        h, r = rng.uniform(0.14, 0.32), rng.uniform(0.025, 0.038)
        profile = [(0, 0), (r, 0), (r, h * 0.6), (r * 0.35, h * 0.78), (r * 0.35, h), (0, h)]
        green = hsv(rng.choice([0.3, 0.12, 0.05, 0.6]), 0.6, rng.uniform(0.1, 0.5))
        colour = green if rng.uniform() < 0.5 else any_colour(rng)
        parts += moved([Part(lathe(profile, 9), surface(colour, 0.15))], x, rng.normal(0, 0.03))
    return parts


@ornament(1.5, "kitchen", "dining", "living", "terrace")
def bowl_of_fruit(rng: np.random.Generator) -> list[Part]:
    """Fruit heaped in a bowl."""
    r = rng.uniform(0.1, 0.17)
    bowl = lathe([(0, 0), (r * 0.4, 0), (r, r * 0.55), (r * 0.92, r * 0.55), (0, r * 0.2)], 14)
    skin = surface(hsv(rng.choice([0.0, 0.06, 0.12, 0.15, 0.25]), 0.8, rng.uniform(0.6, 0.95)), 0.35)
    places = rng.normal(0, r * 0.36, (6, 2))
    fruit = [ball(0.042, (x, y, r * 0.55 + 0.03 * (i % 2)), 1, 8) for i, (x, y) in enumerate(places)]
    return [Part(bowl, surface(any_colour(rng), 0.3)), *made_of(skin, *fruit)]


@ornament(2, "kitchen", "dining", "terrace")
def crockery(rng: np.random.Generator) -> list[Part]:
    """A stack of plates and a cup or two."""
    r, count = rng.uniform(0.09, 0.14), int(rng.integers(1, 7))
    glaze = surface(hsv(rng.uniform(), rng.choice([0.02, 0.5]), rng.uniform(0.6, 0.95)), 0.2)
    plates = disc(r, 0.012 * count + 0.008, 16)
    cup = lathe([(0, 0), (0.03, 0), (0.042, 0.085), (0.036, 0.085), (0, 0.01)], 10)
    return made_of(glaze, plates, cup.moved(r + 0.07, 0.03), cup.moved(-r - 0.08, -0.05))


@ornament(2, "kitchen")
def cooking_pot(rng: np.random.Generator) -> list[Part]:
    """A pot with a lid, or a kettle."""
    r, h = rng.uniform(0.09, 0.14), rng.uniform(0.1, 0.24)
    body = lathe([(0, 0), (r, 0), (r, h), (r * 0.9, h + 0.02), (0.02, h + 0.04), (0.02, h + 0.06), (0, h + 0.06)], 14)
    handles = box((-r - 0.05, r + 0.05), (-0.012, 0.012), (h * 0.8, h * 0.8 + 0.02))
    material = metal(rng, POLISH) if rng.uniform() < 0.6 else surface(any_colour(rng), 0.25)
    return made_of(material, body, handles)


@ornament(1.5, "kitchen")
def appliance(rng: np.random.Generator) -> list[Part]:
    """A microwave, a toaster or a coffee machine."""
    w, d, h = rng.uniform(0.2, 0.5), rng.uniform(0.18, 0.32), rng.uniform(0.2, 0.34)
    shell = surface(rng.choice([0.1, 0.5, 0.75, 0.92]) * np.ones(3), 0.35, metallic=rng.choice([0, POLISH]))
    front = box((-w * 0.42, w * 0.25), (-d / 2 - 0.004, -d / 2), (h * 0.15, h * 0.85))
    return [Part(box((-w / 2, w / 2), (-d / 2, d / 2), (0.01, h)), shell), Part(front, surface(np.full(3, 0.06), 0.2))]


@ornament(1.5, "kitchen", "bathroom", "study", "hallway")
def jars(rng: np.random.Generator) -> list[Part]:
    """A row of jars or tins with lids."""
    material, lid = surface(any_colour(rng), 0.3), surface(any_colour(rng), 0.4)
    parts = []
    for x in np.arange(rng.integers(2, 5)) * 0.12:
        h, r = rng.uniform(0.09, 0.2), rng.uniform(0.04, 0.055)
        parts += [Part(disc(r, h, 10).moved(x), material), Part(disc(r * 1.05, 0.025, 10).moved(x, 0, h), lid)]
    return parts


@ornament(1, "kitchen")
def utensils(rng: np.random.Generator) -> list[Part]:
    """Spoons and whisks in a jug."""
    count = int(rng.integers(4, 8))
    ends = np.column_stack([rng.normal(0, 0.05, (count, 2)), rng.uniform(0.24, 0.34, count)])
    handles = bars(ends * [0.3, 0.3, 0], ends, 0.012, 4)
    heads = [ball(0.025, end, 1.3, 6) for end in ends]
    return [
        Part(lathe([(0, 0), (0.05, 0), (0.06, 0.15), (0, 0.12)], 12), surface(any_colour(rng), 0.3)),
        *made_of(paint(rng), handles, *heads),
    ]


@ornament(1.5, "living", "bedroom", "study", "hallway", "dining")
def photo_frame(rng: np.random.Generator) -> list[Part]:
    """A framed photograph leaning back on its stand."""
    w, h = rng.uniform(0.1, 0.28), rng.uniform(0.13, 0.3)
    frame = box((-w / 2 - 0.015, w / 2 + 0.015), (0, 0.012), (0, h + 0.03))
    image = wall((-w / 2, -0.002, 0.015), (w, 0, 0), (0, 0, h))
    photograph = plain(textured(textures.painting(rng, 32), (w, h)))
    parts = [Part(frame, metal(rng, POLISH)), Part(image, photograph)]
    return moved([Part(part.mesh.turned(-10, "x"), part.material) for part in parts], turn=rng.uniform(-25, 25))


@ornament(1, "living", "dining", "bathroom", "bedroom")
def candles(rng: np.random.Generator) -> list[Part]:
    """Candlesticks of different heights."""
    heights = rng.uniform(0.12, 0.3, rng.integers(1, 4))
    xs = np.arange(len(heights)) * 0.09
    feet = [disc(0.035, 0.02, 10).moved(x) for x in xs]
    base = np.stack([xs, 0 * xs, 0 * xs], axis=1)
    up = np.stack([0 * xs, 0 * xs, heights], axis=1)
    wax = plain(hsv(rng.choice([0.1, 0.0, 0.6]), rng.choice([0.08, 0.7]), 0.9))
    return [
        *made_of(metal(rng, POLISH), *feet, bars(base, base + up, 0.014)),
        Part(bars(base + up, base + up + [0, 0, 0.17], 0.022), wax),
    ]


@ornament(1, "study", "living", "bedroom")
def globe(rng: np.random.Generator) -> list[Part]:
    """A globe on its stand."""
    r = rng.uniform(0.1, 0.17)
    sea = textures.patterned(rng, [hsv(0.57, 0.5, 0.6), hsv(0.25, 0.4, 0.6)], 48)
    stand = metal(rng, POLISH)
    return [
        Part(ball(r, (0, 0, r + 0.07), 1, 14), plain(textured(sea, (0.5, 0.5)))),
        *made_of(
            stand,
            disc(r * 0.6, 0.02),
            bar((0, 0, 0), (0, 0, 0.09), 0.03),
            ring(r * 1.06, 0.012, 18, (0, 0, r + 0.07), "x"),
        ),
    ]


@ornament(2, "bathroom", "bedroom")
def towels(rng: np.random.Generator) -> list[Part]:
    """Folded towels."""
    parts, z = [], 0.0
    for _ in range(rng.integers(1, 5)):
        thick = rng.uniform(0.04, 0.07)
        parts.append(Part(box((-0.16, 0.16), (-0.1, 0.1), (z, z + thick)), fabric(rng)))
        z += thick + 0.004
    return parts


@ornament(1.5, "study", "hallway", "bedroom")
def papers(rng: np.random.Generator) -> list[Part]:
    """Sheets of paper lying about, and a mug of pencils."""
    sheets = [
        box((-0.1, 0.1), (-0.14, 0.14), (0, 0.004 + 0.003 * i))
        .turned(rng.uniform(-40, 40))
        .moved(*rng.normal(0, 0.06, 2))
        for i in range(3)
    ]
    mug = lathe([(0, 0), (0.04, 0), (0.04, 0.1), (0, 0.09)], 10).moved(0.2, 0.05)
    pencils = np.column_stack([0.2 + rng.normal(0, 0.03, 4), 0.05 + rng.normal(0, 0.02, 4), np.full(4, 0.2)])
    return [
        *made_of(plain(hsv(0.12, 0.04, 0.92)), *sheets),
        *made_of(surface(any_colour(rng), 0.4), mug, bars(pencils - [0, 0, 0.14], pencils, 0.008, 4)),
    ]


@ornament(0.8)
def clutter_box(rng: np.random.Generator) -> list[Part]:
    """A printed box or tin."""
    w, d, h = rng.uniform(0.08, 0.3), rng.uniform(0.08, 0.22), rng.uniform(0.06, 0.22)
    image = (
        textures.patterned(rng, [any_colour(rng), any_colour(rng)], 32)
        if rng.uniform() < 0.5
        else patterns.goods(rng, 48, 0.5)
    )
    shell = box((-w / 2, w / 2), (-d / 2, d / 2), (0, h)).turned(rng.uniform(-20, 20))
    return [Part(shell, plain(textured(image, (0.2, 0.2))))]


@ornament(0.6, "living", "study", "hallway")
def sculpture(rng: np.random.Generator) -> list[Part]:
    """An abstract figure on a plinth."""
    material = metal(rng, POLISH) if rng.uniform() < 0.5 else surface(any_colour(rng), 0.4)
    x = np.cumsum(rng.normal(0, 0.03, 4))
    z = 0.05 + np.arange(4) * 0.07
    return made_of(
        material,
        box((-0.06, 0.06), (-0.06, 0.06), (0, 0.05)),
        *(ball(rng.uniform(0.03, 0.07), (a, 0, b + 0.03), 1.2, 8) for a, b in zip(x, z, strict=True)),
    )


@ornament(1, "living", "hallway", "kitchen", "bedroom")
def basketful(rng: np.random.Generator) -> list[Part]:
    """A small wicker basket."""
    r = rng.uniform(0.09, 0.15)
    wicker = plain(textured(textures.patterned(rng, [hsv(0.09, 0.5, 0.6), hsv(0.08, 0.6, 0.35)], 48), (0.15, 0.15)))
    return [
        Part(lathe([(0, 0), (r * 0.8, 0), (r, r), (r * 0.9, r), (0, r * 0.8)], 14), wicker),
        Part(ring(r * 0.7, 0.015, 12, (0, 0, r), "x"), wicker),
        Part(boxes([[-r * 0.5, 0.0, -r * 0.4, r * 0.4, r * 0.7, r * 1.2]]), fabric(rng)),
    ]


def scattered(rng: np.random.Generator, kind: str, wide: float, deep: float, z: float, count: int) -> list[Part]:
    """Ornaments for a kind of room on a surface ``wide`` x ``deep`` metres, about the origin at height ``z``."""
    parts: list[Part] = []
    for _ in range(count):
        x, y = rng.uniform(-wide, wide) * 0.42, rng.uniform(-deep, deep) * 0.33
        parts += moved(choose(rng, ORNAMENTS, kind)(rng), x, y, z, rng.normal(0, 20))
    return parts


def on_top(rng: np.random.Generator, kind: str, width: float, depth: float, z: float, most: int) -> list[Part]:
    """Up to ``most`` ornaments on furniture along a wall."""
    return moved(scattered(rng, kind, width, depth * 0.5, z, int(rng.integers(0, most + 1))), width / 2, -depth / 2)
