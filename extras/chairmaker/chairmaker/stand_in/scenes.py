"""Where airplanes, cars and horses are met: airfields, streets, roads, meadows, paddocks, beaches, snow, the open sky.

A place is a function ``(rng, reach) -> Place``: the subject stands within ``reach`` metres of the origin, and the
camera at negative y.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from chairmaker.materials import Material, Part, plain, surface, textured
from chairmaker.meshes import Floats, grid
from chairmaker.render import Camera
from chairmaker.rooms import outdoors, patterns
from chairmaker.rooms.facade import street_lamp
from chairmaker.rooms.garden import shed
from chairmaker.rooms.room import draw_style
from chairmaker.rooms.shapes import bars, box, boxes, moved
from chairmaker.stand_in.airplanes import AIRPLANES, FLYING
from chairmaker.stand_in.cars import CARS
from chairmaker.stand_in.horses import HORSES
from chairmaker.stand_in.loft import posed
from chairmaker.stand_in.sky import Sky, draw_sky
from chairmaker.stand_in.subject import draw, vertices
from chairmaker.textures import hsv

#: The data set's categories, as its folders are named.
CATEGORIES = ("Airplane", "Car", "Horse")


@dataclass(frozen=True)
class Place:
    """Everything but the subject: what lies behind, and what may stand before it."""

    behind: list[Part]
    before: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Scene:
    """Subjects in a place, below a sky, before a camera; ``aspect`` is the picture's height for a width of 1."""

    subjects: list[Part]
    place: Place
    sky: Sky
    camera: Camera
    aspect: float


def _land(
    material: Material, x: tuple[float, float] = (-400, 400), y: tuple[float, float] = (-400, 500), z: float = 0.0
) -> Part:
    return outdoors.ground(material, x, y, z)


def _grass(rng: np.random.Generator, metres: float = 6.0) -> Material:
    return plain(textured(patterns.lawn(rng), (metres * rng.uniform(0.7, 1.5),) * 2))


def _asphalt(rng: np.random.Generator) -> Material:
    grey = hsv(rng.uniform(0.05, 0.6), rng.uniform(0.0, 0.06), rng.uniform(0.25, 0.55))
    if rng.uniform() < 0.3:
        return plain(textured(patterns.speckled(rng, grey, grey * 0.8, 0.3), (1.5, 1.5)))
    return plain(textured(patterns.stained(rng, grey, rng.uniform(0.04, 0.12)), (7.0, 7.0)))


def _sand(rng: np.random.Generator) -> Material:
    colour = hsv(rng.uniform(0.07, 0.12), rng.uniform(0.15, 0.4), rng.uniform(0.5, 0.85))
    return plain(textured(patterns.stained(rng, colour, 0.09), (4.0, 4.0)))


def _skyline(rng: np.random.Generator, y: float, height: float, rough: float, colour: Floats) -> Part:
    """Hills, or the edge of a wood, far off."""
    x = np.linspace(-1.4 * y - 60, 1.4 * y + 60, 160)
    wave = np.interp(x, np.linspace(x[0], x[-1], 17), gaussian_filter1d(rng.normal(0, 1, 17), 1.0))
    crowns = np.abs(np.sin(x * rng.uniform(0.5, 1.1) / height * 2 + 2 * wave)) + rng.normal(0, 0.5, len(x))
    tops = np.maximum(height * (1 + 0.5 * wave + 0.18 * rough * crowns), 0.2 * height)
    points = np.stack([np.stack([x, 0 * x + y, top], axis=1) for top in (0 * x - 1, tops)])
    image = np.clip(colour * (1 + 0.3 * rough * patterns.blotches(rng, 96, 40))[..., None], 0, 1)
    return Part(grid(points), plain(textured(image, (height * 2.5, height * 1.5))))


def _horizon(rng: np.random.Generator, near: float = 60.0) -> list[Part]:
    """Woods and hills at the end of the land."""
    parts = []
    green = hsv(rng.uniform(0.2, 0.35), rng.uniform(0.15, 0.5), rng.uniform(0.2, 0.42))
    if rng.uniform() < 0.8:
        y = rng.uniform(near, 3 * near)
        parts.append(_skyline(rng, y, rng.uniform(0.03, 0.1) * y, 1.0, green))
    if rng.uniform() < 0.5:
        haze = rng.uniform(0.3, 0.7)
        parts.append(
            _skyline(rng, 480, rng.uniform(10, 55), 0.1, green * (1 - haze) + np.array([0.6, 0.68, 0.75]) * haze)
        )
    return parts


def _trees(
    rng: np.random.Generator, count: int, x: float, y: tuple[float, float], tall: tuple[float, float] = (4, 10)
) -> list[Part]:
    """Trees of two shapes, scattered."""
    if count == 0:
        return []
    shapes = [outdoors.tree(rng, rng.uniform(*tall)) for _ in range(min(count, 2))]
    parts = []
    for number in range(count):
        copy = posed(shapes[number % len(shapes)], scale=rng.uniform(0.7, 1.3))
        parts += moved(copy, rng.uniform(-x, x), rng.uniform(*y), turn=rng.uniform(0, 360))
    return parts


def _blades(rng: np.random.Generator, reach: float) -> list[Part]:
    """Tall grass about the feet."""
    count, height, wide = 900, rng.uniform(0.1, 0.35), 2.2 * max(reach, 1.3)
    feet = np.stack([rng.uniform(-wide, wide, count), rng.uniform(-1.0, 0.3, count) * wide, np.zeros(count)], axis=1)
    tips = feet + np.stack(
        [rng.normal(0, 0.06, count), rng.normal(0, 0.06, count), height * rng.uniform(0.4, 1.3, count)], axis=1
    )
    green = hsv(rng.uniform(0.14, 0.3), rng.uniform(0.35, 0.65), rng.uniform(0.3, 0.6))
    return [Part(bars(feet, tips, 0.02, 3), plain(green))]


def _rails(rng: np.random.Generator, length: float) -> list[Part]:
    """A paddock's fence: posts and two to four rails along x, about the origin."""
    high, count, pitch = rng.uniform(1.1, 1.5), int(rng.integers(2, 5)), rng.uniform(2, 3.2)
    posts = [[x, x + 0.12, -0.06, 0.06, 0, high] for x in np.arange(-length / 2, length / 2, pitch)]
    rails = [[-length / 2, length / 2, -0.09, -0.06, z - 0.06, z + 0.06] for z in np.linspace(high, 0.4, count)]
    white = hsv(0.1, 0.04, rng.uniform(0.75, 0.95))
    brown = hsv(0.07, rng.uniform(0.2, 0.5), rng.uniform(0.25, 0.5))
    return [Part(boxes(posts + rails), plain(white if rng.uniform() < 0.5 else brown))]


def _hangar(rng: np.random.Generator) -> list[Part]:
    """A hangar that faces -y, with a dark or closed door."""
    w, d, h = rng.uniform(22, 45), 30.0, rng.uniform(7, 11)
    arched = rng.uniform() < 0.5
    turn = np.linspace(0, np.pi, 13)
    line = np.stack(
        [-w / 2 * np.cos(turn), h * (0.55 + 0.45 * np.sin(turn)) if arched else h * (0.8 + 0.2 * np.sin(turn))], axis=1
    )
    colour = hsv(rng.choice([0.58, 0.1, 0.35, 0.0]), rng.uniform(0, 0.3), rng.uniform(0.45, 0.85))
    skin = plain(textured(patterns.stained(rng, colour, 0.05), (12, 12)))
    roof = grid(np.stack([np.stack([line[:, 0], np.full(13, y), line[:, 1]], axis=1) for y in (d, 0.0)]))
    front = grid(np.stack([np.stack([line[:, 0], 0 * turn, z], axis=1) for z in (0 * turn, line[:, 1])]))
    sides = boxes([[-w / 2, -w / 2 + 0.2, 0, d, 0, line[0, 1]], [w / 2 - 0.2, w / 2, 0, d, 0, line[0, 1]]])
    shut = rng.uniform() < 0.5
    door = plain(colour * rng.uniform(0.6, 0.9) if shut else np.full(3, 0.06))
    leaf = [[-w * 0.38, w * 0.38, -0.2, -0.05, 0, h * 0.6]]
    return [Part(roof, plain(colour * 0.8)), Part(front, skin), Part(sides, skin), Part(boxes(leaf), door)]


def airfield(rng: np.random.Generator, reach: float) -> Place:
    """An apron or runway with its lines, grass, hangars, a tower, and woods behind."""
    far = reach + rng.uniform(4, 25)
    parts = [_land(_grass(rng, 14)), *_horizon(rng, 160 + far)]
    hard = plain(
        textured(
            patterns.bricks(rng, [hsv(0.1, 0.05, rng.uniform(0.4, 0.7))], [0.3, 0.3, 0.28], 4, 4, 0.0, 0.05), (24, 24)
        )
    )
    parts.append(_land(hard if rng.uniform() < 0.5 else _asphalt(rng), y=(-400, far), z=0.01))
    if rng.uniform() < 0.15:
        parts = [_land(_grass(rng, 10)), *_horizon(rng, 160)]
    yellow = plain(hsv(0.13, rng.choice([0.0, 0.7]), 0.85))
    for y in rng.uniform(-1.5, 0.9, int(rng.integers(0, 3))) * reach:
        parts.append(_land(yellow, y=(y, y + 0.25 + reach * 0.01), z=0.02))
    if rng.uniform() < 0.65:
        x = rng.uniform(-60, 30)
        for _ in range(rng.integers(1, 5)):
            parts += moved(_hangar(rng), x, far + rng.uniform(25, 60))
            x += rng.uniform(40, 60)
    if rng.uniform() < 0.25:
        x, y, h = rng.uniform(-50, 50), far + rng.uniform(60, 120), rng.uniform(20, 35)
        parts.append(Part(box((x - 3, x + 3), (y - 3, y + 3), (0, h)), plain(np.full(3, 0.7))))
        parts.append(Part(box((x - 5, x + 5), (y - 5, y + 5), (h, h + 4)), surface([0.1, 0.15, 0.2], 0.1)))
    parts += _trees(rng, int(rng.integers(0, 7)), 90, (far + 30, far + 130), (8, 16))
    if rng.uniform() < 0.4:
        parts += moved(_rails(rng, 160), 0, far + 5)
    return Place(parts)


def aloft(rng: np.random.Generator, reach: float) -> Place:
    """Nothing but land far below and woods on the horizon."""
    return Place([_land(_grass(rng, 30)), *_horizon(rng, 160 + 3 * reach)])


def fields(rng: np.random.Generator, reach: float) -> Place:
    """Fields far below, seen from above."""
    colours = [hsv(rng.uniform(0.1, 0.33), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.75)) for _ in range(4)]
    quilt = plain(textured(patterns.patchwork(rng, colours, 8), (1500, 1100)))
    depth = rng.uniform(250, 600)
    return Place([outdoors.ground(quilt, (-9000, 9000), (-6000, 12000), -depth)])


def street(rng: np.random.Generator, reach: float) -> Place:
    """A street along house fronts, with pavement, lamps and trees."""
    style = draw_style(rng)
    kerb = reach + rng.uniform(0.3, 2.5)
    front = kerb + rng.uniform(1.5, 5)
    parts = [_land(_asphalt(rng)), _land(outdoors.paving(rng), y=(kerb, front + 1), z=0.1), *_horizon(rng)]
    parts.append(Part(box((-60, 60), (kerb - 0.15, kerb), (0, 0.12)), plain(np.full(3, rng.uniform(0.5, 0.75)))))
    x = -rng.uniform(16, 24)
    while x < 16:
        wide = rng.uniform(6, 14)
        parts += moved(outdoors.house_wall(rng, style, wide, rng.uniform(3.2, 9)), x, front + rng.uniform(0, 0.5))
        x += wide + rng.choice([0.0, 0.0, rng.uniform(1, 4)])
    for _ in range(rng.integers(0, 4)):
        parts += moved(street_lamp(rng, style), rng.uniform(-10, 10), kerb + 0.5)
    parts += _trees(rng, int(rng.integers(0, 3)), 12, (kerb + 0.6, kerb + 1.2), (4, 7))
    if rng.uniform() < 0.5:
        y = -rng.uniform(0.8, 1.5) * reach
        parts += [_land(plain(np.full(3, 0.8)), (x, x + 2.0), (y, y + 0.12), 0.01) for x in np.arange(-20, 20, 4.0)]
    return Place(parts)


def yard(rng: np.random.Generator, reach: float) -> Place:
    """A drive or yard before a wall, a fence, a hedge or a shed."""
    style, back = draw_style(rng), reach + rng.uniform(0.4, 4)
    parts = [_land(outdoors.paving(rng) if rng.uniform() < 0.6 else _asphalt(rng)), *_horizon(rng, 40)]
    kind = rng.integers(4)
    if kind == 0:
        parts += moved(outdoors.fence(rng, 40), -20, back)
    elif kind == 1:
        parts += moved(outdoors.hedge(rng, 40, rng.uniform(1.2, 2.6)), -20, back)
    elif kind == 2:
        parts.append(Part(box((-25, 25), (back, back + 0.3), (0, rng.uniform(2.2, 5))), outdoors.outer_wall(rng)))
    else:
        parts += moved(outdoors.house_wall(rng, style, 24, rng.uniform(3, 6)), -12, back)
    if rng.uniform() < 0.3:
        parts += moved(shed(rng, style), rng.uniform(-7, 7), back + 2)
    return Place(parts + _trees(rng, int(rng.integers(0, 5)), 18, (back + 1, back + 12)))


def car_park(rng: np.random.Generator, reach: float) -> Place:
    """Marked bays, a strip of green, trees, a flat building."""
    far = reach + rng.uniform(2, 12)
    parts = [_land(_asphalt(rng)), _land(_grass(rng), y=(far, 500), z=0.05), *_horizon(rng)]
    white, first = plain(np.full(3, rng.uniform(0.65, 0.9))), rng.uniform(-2, 0)
    parts += [_land(white, (x, x + 0.12), (-2.6, 2.6), 0.01) for x in np.arange(first - 15, 15, 2.6)]
    if rng.uniform() < 0.5:
        y, h = far + rng.uniform(5, 25), rng.uniform(4, 10)
        parts.append(Part(box((-40, 40), (y, y + 10), (0, h)), outdoors.outer_wall(rng)))
        parts.append(
            Part(
                boxes(
                    [
                        [x, x + 2.4, y - 0.05, y, z, z + 1.3]
                        for x in np.arange(-38, 38, 3.5)
                        for z in np.arange(1, h - 1.3, 3)
                    ]
                ),
                surface([0.12, 0.16, 0.2], 0.15),
            )
        )
    return Place(parts + _trees(rng, int(rng.integers(2, 9)), 25, (far + 0.5, far + 10)))


def country_road(rng: np.random.Generator, reach: float) -> Place:
    """A road through fields, across the picture or away from the camera."""
    parts = [_land(_grass(rng)), *_horizon(rng)]
    if rng.uniform() < 0.6:
        edge = reach + rng.uniform(0.2, 2)
        parts.append(_land(_asphalt(rng), y=(-rng.uniform(4, 12), edge), z=0.01))
    else:
        edge = rng.uniform(2.5, 4.5)
        parts.append(_land(_asphalt(rng), (-edge, edge), z=0.01))
        parts += [_land(plain(np.full(3, 0.8)), (edge * 0.9, edge * 0.9 + 0.12), z=0.02)]
    if rng.uniform() < 0.4:
        parts += moved(_rails(rng, 80), 0, reach + rng.uniform(3, 9))
    return Place(parts + _trees(rng, int(rng.integers(1, 8)), 30, (reach + 4, reach + 45)))


def meadow(rng: np.random.Generator, reach: float) -> Place:
    """Grass with fences, trees, bushes, tall blades."""
    parts, before = [_land(_grass(rng)), *_horizon(rng)], []
    back = reach + rng.uniform(0.6, 12)
    if rng.uniform() < 0.55:
        parts += moved(_rails(rng, 70), 0, back, turn=rng.normal(0, 5))
    if rng.uniform() < 0.25:
        parts += moved(outdoors.hedge(rng, 60, rng.uniform(1.2, 3)), -30, back + 3)
    if rng.uniform() < 0.12:
        parts += moved(shed(rng, draw_style(rng)), rng.uniform(-9, 9), back + 4)
    if rng.uniform() < 0.5:
        before += _blades(rng, reach)
    parts += _trees(rng, int(rng.integers(0, 8)), 20, (back + 1, back + 25), (4, 12))
    return Place(parts, before)


def wood(rng: np.random.Generator, reach: float) -> Place:
    """The edge of a wood, dark behind the subject."""
    back = reach + rng.uniform(1, 6)
    dark = hsv(rng.uniform(0.2, 0.38), rng.uniform(0.3, 0.6), rng.uniform(0.12, 0.35))
    parts = [
        _land(_grass(rng) if rng.uniform() < 0.7 else _sand(rng)),
        _skyline(rng, back + 9, rng.uniform(8, 14), 1.0, dark),
    ]
    for x in np.arange(-12, 12, rng.uniform(1.5, 3)):
        parts += moved(outdoors.bush(rng, rng.uniform(0.5, 1.4)), x, back + 4) if rng.uniform() < 0.5 else []
    return Place(parts + _trees(rng, int(rng.integers(5, 11)), 14, (back, back + 8), (6, 12)))


def paddock(rng: np.random.Generator, reach: float) -> Place:
    """A sand arena or earth paddock with rails, before a stable or trees."""
    back, style = reach + rng.uniform(0.5, 7), draw_style(rng)
    parts = [
        _land(_sand(rng)),
        _land(_grass(rng), y=(back + 0.3, 500), z=0.02),
        *_horizon(rng),
        *moved(_rails(rng, 60), 0, back),
    ]
    if rng.uniform() < 0.4:
        parts += moved(
            outdoors.house_wall(rng, style, 22, rng.uniform(2.8, 4.5)), -rng.uniform(6, 16), back + rng.uniform(3, 10)
        )
    before = moved(_rails(rng, 30), 0, -reach - rng.uniform(0.2, 0.8)) if rng.uniform() < 0.12 else []
    return Place(parts + _trees(rng, int(rng.integers(0, 7)), 18, (back + 2, back + 18)), before)


def beach(rng: np.random.Generator, reach: float) -> Place:
    """Sand, surf and the sea to the horizon."""
    shore = reach + rng.uniform(0.5, 9)
    water = hsv(rng.uniform(0.48, 0.6), rng.uniform(0.25, 0.7), rng.uniform(0.3, 0.65))
    sea = surface(textured(patterns.stained(rng, water, 0.15), (9, 3)), 0.3, 0.6)
    parts = [_land(_sand(rng)), _land(sea, y=(shore, 4000), x=(-3000, 3000), z=0.02)]
    foam = plain(np.full(3, rng.uniform(0.8, 0.95)))
    for y in shore + np.cumsum(rng.uniform(0.2, 5, int(rng.integers(1, 6)))):
        x = np.linspace(-80, 80, 60)
        line, wide = y + 0.3 * rng.normal(0, 1, 60), rng.uniform(0.1, 0.9) * np.abs(rng.normal(0.7, 0.4, 60))
        strip = np.stack([np.stack([x, line + sign * wide / 2, 0 * x + 0.05], axis=1) for sign in (-1, 1)])
        parts.append(Part(grid(strip), foam))
    if rng.uniform() < 0.3:
        parts.append(_skyline(rng, 490, rng.uniform(15, 60), 0.15, np.array([0.45, 0.52, 0.6])))
    return Place(parts)


def snow(rng: np.random.Generator, reach: float) -> Place:
    """Snow, bare trees, a fence."""
    white = plain(textured(patterns.stained(rng, [0.86, 0.89, 0.93], 0.04), (5, 5)))
    parts = [_land(white), *_horizon(rng, 40)]
    if rng.uniform() < 0.6:
        parts += moved(_rails(rng, 60), 0, reach + rng.uniform(1, 8))
    return Place(parts + _trees(rng, int(rng.integers(1, 7)), 16, (reach + 1.5, reach + 20)))


PlaceFunction = Callable[[np.random.Generator, float], Place]

#: Each category's places, with weights.
PLACES: dict[str, dict[PlaceFunction, float]] = {
    "Airplane": {aloft: 6, fields: 0.5, airfield: 4},
    "Car": {street: 4, yard: 3, car_park: 3, country_road: 3, meadow: 1, beach: 0.6, snow: 0.7, wood: 0.7},
    "Horse": {meadow: 5, paddock: 3, wood: 2, beach: 1.3, snow: 1, country_road: 0.7, yard: 1},
}
#: Mean and spread of the share of the picture's width or height that a subject fills.
_FILL = {"Airplane": (1.03, 0.30), "Car": (0.64, 0.25), "Horse": (1.0, 0.26)}


def _choose(rng: np.random.Generator, category: str) -> PlaceFunction:
    places = PLACES[category]
    weights = np.array(list(places.values()))
    return list(places)[int(rng.choice(len(places), p=weights / weights.sum()))]


def _turn(rng: np.random.Generator, category: str) -> float:
    """Degrees by which a subject that faces the camera is turned."""
    views = {
        "Airplane": {(20, 65): 5.0, (65, 115): 4, (-10, 10): 1, (115, 165): 2},
        "Car": {(20, 65): 6.0, (70, 110): 3, (-12, 12): 1.5, (120, 160): 2.5, (168, 192): 1.5},
        "Horse": {(60, 120): 7.0, (25, 60): 3, (-15, 15): 0.8, (120, 160): 1},
    }[category]
    spans = list(views)
    low, high = spans[int(rng.choice(len(spans), p=np.array(list(views.values())) / sum(views.values())))]
    return float(rng.choice([-1, 1]) * rng.uniform(low, high))


def _subjects(rng: np.random.Generator, category: str, flying: bool) -> tuple[list[Part], float]:
    """One subject, or two or three side by side, turned to be seen well; and how far they reach from the origin."""
    kinds = {"Airplane": FLYING if flying else AIRPLANES, "Car": CARS, "Horse": HORSES}[category]
    count = 1 if rng.uniform() < (0.95 if category == "Airplane" else 0.86) else int(rng.integers(2, 4))
    turn = _turn(rng, category)
    parts: list[Part] = []
    for number in range(count):
        angles = (rng.normal(0, 16), rng.normal(2, 9)) if flying else (0.0, 0.0)
        one = posed(draw(rng, kinds), *angles, turn + rng.normal(0, 10) * (number > 0))
        if parts:
            edge, own = vertices(parts), vertices(one)
            # The next stands beside and somewhat behind: to the right of all, or half hidden.
            gap = rng.uniform(-0.6, 0.1) * np.ptp(own[:, 0])
            back = float(edge[:, 1].max() - own[:, 1].min()) + 0.3
            one = moved(one, float(edge[:, 0].max() - own[:, 0].min() + gap), back)
        parts += one
    points = vertices(parts)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    parts = moved(parts, -middle[0], -middle[1])
    return parts, float(np.ptp(points[:, 1]) / 2)


def _framed(rng: np.random.Generator, points: Floats, origin: Floats, fill: float, aspect: float) -> Camera:
    """A camera at ``origin`` in whose picture the points fill ``fill`` of the width or height, off centre by chance."""
    target = (points.min(axis=0) + points.max(axis=0)) / 2
    camera = Camera(tuple(origin), tuple(target), 40.0)
    right, up, _ = camera.axes()
    low, high = camera.bounds(points)
    width, height = high - low
    reach = float(max(width, height / aspect) / fill / 2)
    slack = np.array([2 * reach - width, 2 * reach * aspect - height])
    # Where it doesn't fit, some of it is cut off; else it may stand anywhere, the middle preferred.
    shift = (low + high) / 2 + rng.uniform(-0.42, 0.42, 2) * (np.abs(slack) * 0.75 + 0.04 * reach)
    distance = float(np.linalg.norm(target - origin))
    aim = target + distance * (right * shift[0] + up * shift[1])
    return Camera(tuple(origin), tuple(aim), float(np.degrees(2 * np.arctan(reach))))


def draw_scene(rng: np.random.Generator, category: str, present: bool = True) -> Scene:
    """A subject of ``category`` in a place of its own; or, where not ``present``, the place alone."""
    build = _choose(rng, category)
    flying = build in (aloft, fields)
    subjects, reach = _subjects(rng, category, flying)
    points = vertices(subjects)
    extent = float(np.ptp(points, axis=0).max())
    aspect = float(rng.choice([0.75, 0.75, 0.67, 1.0 if category == "Horse" else 0.75]))
    distance = extent * rng.uniform(1.5, 4.5)
    lift = {"Airplane": rng.normal(3, 3), "Car": rng.uniform(1, 14), "Horse": rng.uniform(0, 9)}[category]
    eye = max(0.5 if category != "Airplane" else 1.2, distance * float(np.sin(np.radians(max(lift, 0.5)))) + 0.6)
    origin = np.array([0.0, -distance - reach, eye])
    place = build(rng, reach)
    if flying:
        angle = np.radians(
            -rng.uniform(8, 40) if build is fields else rng.choice([rng.uniform(1, 8), rng.uniform(6, 50)])
        )
        ground = np.array([0.0, -distance * np.cos(angle), 1.7 if build is aloft else distance])
        subjects = moved(subjects, z=float(ground[2] + distance * np.sin(angle) - points[:, 2].mean()))
        origin, points = ground, vertices(subjects)
    mean, spread = _FILL[category]
    fill = float(np.clip(rng.normal(mean, spread), 0.34, 1.5 if category == "Airplane" else 1.25))
    sky = draw_sky(
        rng, {"blue": 5, "clouds": 3, "overcast": 3, "hazy": 3, "evening": 1, "storm": 0.7} if flying else None
    )
    camera = _framed(rng, points, origin, fill, aspect)
    return Scene(subjects if present else [], place, sky, camera, aspect)
