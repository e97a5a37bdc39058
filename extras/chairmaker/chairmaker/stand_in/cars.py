"""Cars: a lofted body and cabin with panes, lights, bumpers and wheels, in nine types."""

from dataclasses import dataclass

import numpy as np

from chairmaker.materials import Material, Part, chrome, pick, plain, surface
from chairmaker.meshes import Floats, Mesh, grid, rounded_box, sweep
from chairmaker.rooms.shapes import ball, bars, boxes, made_of
from chairmaker.stand_in.loft import hull, limb, wheel
from chairmaker.stand_in.subject import Kind, car_paint, enamel, glass
from chairmaker.textures import hsv


@dataclass(frozen=True)
class _Shape:
    """A car's measures in metres; places along its length are shares of it from the nose (0) to the tail (1)."""

    length: float
    width: float
    height: float
    clearance: float
    belt: float
    nose: float
    tail: float
    wheel: float
    axles: tuple[float, float]
    base: tuple[float, float]
    roof: tuple[float, float]
    #: Stretches of the sides that are glass, as shares of the cabin in [-1, 1].
    panes: tuple[tuple[float, float], ...]
    round: float = 5.0
    inset: float = 0.14

    def y(self, share: float) -> float:
        return (share - 0.5) * self.length


@dataclass(frozen=True)
class _Finish:
    paint: Material
    second: Material
    pane: Material
    dark: Material
    bright: Material
    bumper: Material


def _finish(rng: np.random.Generator, two_tone: float = 0.05) -> _Finish:
    colour = car_paint(rng)
    paint, dark = enamel(colour, rng), plain(np.full(3, rng.uniform(0.03, 0.09)))
    bright = chrome(rng) if rng.uniform() < 0.4 else surface(np.full(3, rng.uniform(0.5, 0.75)), 0.35, 0.5, 0.5)
    bumper = {"paint": paint, "dark": surface(np.full(3, rng.uniform(0.08, 0.3)), 0.5), "chrome": bright}
    return _Finish(
        paint,
        enamel(car_paint(rng), rng) if rng.uniform() < two_tone else paint,
        glass(rng),
        dark,
        bright,
        bumper[pick(rng, {"paint": 5, "dark": 3, "chrome": 1})],
    )


def _rows(s: _Shape) -> Floats:
    """Cross-sections of the lower body, nose to tail."""
    low, w = s.clearance, s.width
    top = [(0.005, s.nose * 0.86, 0.80), (0.035, s.nose * 0.97, 0.91), (0.09, s.nose, 0.97)]
    front, back = s.base
    if front > 0.12:
        top += [(front * 0.65, s.nose + (s.belt - s.nose) * 0.75, 1.0)]
    top += [(max(front, 0.13), s.belt, 1.0), (0.5, s.belt + 0.01, 1.0)]
    if back < 0.9:
        top += [(back, s.belt + 0.02, 1.0), ((1 + back) / 2, (s.belt + s.tail) / 2 + 0.02, 0.99)]
    top += [(0.93, s.tail, 0.96), (0.975, s.tail * 0.97, 0.92), (0.996, s.tail * 0.9, 0.84)]
    rows = []
    for share, high, wide in top:
        lift = 0.10 * np.clip((abs(share - 0.5) - 0.4) / 0.1, 0, 1)
        bottom = low + lift
        rows.append((s.y(share), (high + bottom) / 2, w * wide, high - bottom))
    ends = [(s.y(0), rows[0][1], w * 0.3, 0.06), (s.y(1), rows[-1][1], w * 0.3, 0.06)]
    return np.array([ends[0], *rows, ends[1]])


class _Cabin:
    """The glazed upper body as a function of height, and panes as patches of it."""

    def __init__(self, s: _Shape) -> None:
        self.s, self.power = s, s.round

    def _half(self, v: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Half width, middle and half length of the ring at height share ``v`` in [0, 1], and its height."""
        s = self.s
        bulge = v**0.85
        front = s.y(s.base[0]) + (s.y(s.roof[0]) - s.y(s.base[0])) * bulge
        back = s.y(s.base[1]) + (s.y(s.roof[1]) - s.y(s.base[1])) * v**1.25
        wide = s.width / 2 * 0.95 - s.inset * v**1.2
        return wide, (front + back) / 2, (back - front) / 2, s.belt - 0.06 + (s.height - 0.05 - s.belt + 0.06) * v

    def skin(self) -> Mesh:
        """All round, and the crowned roof."""
        v = np.array([0, 0.25, 0.5, 0.75, 0.9, 0.97, 1.0, 1.0, 1.0])
        shrink = np.array([1, 1, 1, 1, 1, 0.985, 0.95, 0.6, 0.0])
        rise = np.array([0, 0, 0, 0, 0, 0, 0.015, 0.045, 0.05])
        wide, middle, long, z = (part[:, None] for part in self._half(v))
        angle = np.linspace(0, 2 * np.pi, 29)
        cos, sin = (np.sign(wave) * np.abs(wave) ** (2 / self.power) for wave in (np.cos(angle), np.sin(angle)))
        x, y = wide * shrink[:, None] * cos, middle + long * shrink[:, None] * sin
        return grid(np.stack(np.broadcast_arrays(x, y, z + rise[:, None]), axis=2))

    def _patch(self, share: Floats, low: float, high: float, end: int = 0) -> Mesh:
        v = np.linspace(low, high, 5)
        wide, middle, long, z = (part[:, None] for part in self._half(v))
        other = (1 - np.abs(share) ** self.power) ** (1 / self.power)
        x, y = (
            ((wide + 0.012) * other, middle + long * share)
            if end == 0
            else (wide * share, middle + end * (long + 0.012) * other)
        )
        return grid(np.stack(np.broadcast_arrays(x, y, z), axis=2))

    def side(self, stretch: tuple[float, float], low: float = 0.16, high: float = 0.88) -> list[Mesh]:
        """A pane on either side."""
        mesh = self._patch(np.linspace(*stretch, 6), low, high)
        return [mesh, mesh.mirrored()]

    def screen(self, end: int, low: float = 0.14, high: float = 0.92) -> Mesh:
        """The windscreen (end -1) or the rear window (end 1)."""
        return self._patch(np.linspace(-0.88, 0.88, 9), low, high, end)


def _wheels(rng: np.random.Generator, s: _Shape, f: _Finish) -> list[Part]:
    parts = []
    spokes = int(rng.choice([0, 5, 6, 8]))
    tyre = plain(np.full(3, 0.05))
    for share in s.axles:
        y, r = s.y(share), s.wheel
        angle = np.radians(np.linspace(-8, 188, 15))
        rim = np.stack([0 * angle, y + 1.17 * r * np.cos(angle), r + 1.17 * r * np.sin(angle)], axis=1)
        floor = np.stack([0 * angle, rim[:, 1], np.full(15, rim[:, 2].min() - 0.02)], axis=1)
        arch = grid(np.stack([floor, rim])).moved(x=s.width / 2 + 0.006)
        parts += made_of(f.dark, arch, arch.mirrored())
        for x in (-1, 1):
            parts += wheel(r, 0.2, (x * (s.width / 2 - 0.085), y, r), tyre, f.bright, spokes, 18)
    return parts


def _lamps(rng: np.random.Generator, s: _Shape, f: _Finish, round_lamps: bool) -> list[Part]:
    """Headlights, rear lights, grille, number plates, bumpers and mirrors."""
    w, front, back = s.width / 2, s.y(0), s.y(1)
    lens = surface(np.full(3, 0.85), 0.15, 0.8)
    red = surface(hsv(0.0, 0.9, rng.uniform(0.45, 0.7)), 0.2, 0.6)
    high = s.clearance + 0.62 * (s.nose - s.clearance)
    size = (0.20, 0.12, 0.18) if round_lamps else (rng.uniform(0.26, 0.42), 0.22, rng.uniform(0.1, 0.17))
    parts, tall = [], rng.uniform(0.12, 0.35)
    plate = plain(hsv(0.14, rng.choice([0.0, 0.0, 0.7]), 0.9))
    for x in (-1, 1):
        lamp = ball(0.5, sides=10).mapped(lambda v: v * size)
        parts.append(Part(lamp.moved(x * w * 0.70, front + 0.07, high), lens))
        tail = rounded_box(rng.uniform(0.18, 0.3), 0.16, tall, 0.04)
        parts.append(Part(tail.moved(x * w * 0.76, back - 0.045, s.tail * 0.97 - tall / 2 - 0.12), red))
        mirror = ball(0.11, sides=8).mapped(lambda v: v * [1.0, 0.7, 0.75])
        parts.append(Part(mirror.moved(x * (w + 0.06), s.y(s.base[0]) + 0.3, s.belt + 0.1), f.second))
    grille = rounded_box(w * rng.uniform(0.5, 1.0), 0.06, rng.uniform(0.08, 0.2), 0.02)
    parts.append(
        Part(grille.moved(0, front + 0.015, high - rng.uniform(0.0, 0.06)), f.dark if rng.uniform() < 0.7 else f.bright)
    )
    low = s.clearance + 0.2
    for y, sign in ((front + 0.03, -1), (back - 0.03, 1)):
        curve = [
            (-w * 0.92, y - sign * 0.22, low),
            (-w * 0.7, y, low),
            (0, y + sign * 0.03, low),
            (w * 0.7, y, low),
            (w * 0.92, y - sign * 0.22, low),
        ]
        parts.append(Part(sweep(curve, 0.1, 0.15, 0.5, side=(0, 0, 1), steps=1), f.bumper))
        height = low + (0.02 if sign < 0 else rng.choice([0.05, 0.3]))
        parts.append(
            Part(
                boxes(
                    [[-0.24, 0.24, min(y, y + sign * 0.075), max(y, y + sign * 0.075), height - 0.06, height + 0.06]]
                ),
                plate,
            )
        )
    return parts


def _trim(s: _Shape, f: _Finish) -> list[Part]:
    """Door joints, sills and the shadow underneath."""
    w, middle = s.width / 2, s.y((s.axles[0] + s.axles[1]) / 2)
    a, b = s.y(s.axles[0]) + s.wheel * 1.2, s.y(s.axles[1]) - s.wheel * 1.2
    high = s.belt - 0.08
    lines = [
        [-w - 0.003, w + 0.003, y - 0.008, y + 0.008, s.clearance + 0.12, high] for y in (a + 0.12, middle, b - 0.05)
    ]
    sill = [[-w * 0.96, w * 0.96, s.y(0.06), s.y(0.94), s.clearance - 0.05, s.clearance + 0.1]]
    handles = [[-w - 0.02, w + 0.02, y, y + 0.14, high - 0.12, high - 0.08] for y in (middle - 0.22, b - 0.25)]
    return [Part(boxes([*lines, *sill]), f.dark), Part(boxes(handles), f.bright)]


def _car(
    rng: np.random.Generator, s: _Shape, f: _Finish, round_lamps: bool = False, roofless: bool = False
) -> list[Part]:
    rows = _rows(s)
    parts = [Part(hull(rows, power=6.0, count=30, sides=28), f.paint)]
    cabin = _Cabin(s)
    if roofless:
        parts += _open_cabin(rng, s, f, cabin)
    else:
        panes = [mesh for stretch in s.panes for mesh in cabin.side(stretch)]
        parts += [Part(cabin.skin(), f.second), *made_of(f.pane, *panes, cabin.screen(-1), cabin.screen(1, 0.3))]
    return [*parts, *_wheels(rng, s, f), *_lamps(rng, s, f, round_lamps), *_trim(s, f)]


def _open_cabin(rng: np.random.Generator, s: _Shape, f: _Finish, cabin: _Cabin) -> list[Part]:
    """A windscreen, seats and a folded roof."""
    a, b, w = s.y(s.base[0]) + 0.3, s.y(s.base[1]) - 0.1, s.width / 2
    hole = hull(
        [(a, s.belt, 0.2, 0.1), (a + 0.15, s.belt, w * 1.6, 0.1), (b - 0.1, s.belt, w * 1.6, 0.1), (b, s.belt, w, 0.1)],
        power=6,
    )
    leather = surface(hsv(0.07, rng.choice([0.1, 0.6]), rng.uniform(0.1, 0.8)), 0.4)
    seats = [
        rounded_box(0.5, 0.2, 0.75, 0.08).turned(-12, "x").moved(x, (a + b) / 2 + 0.2, s.belt + 0.02)
        for x in (-0.36, 0.36)
    ]
    hood = rounded_box(w * 1.5, 0.4, 0.18, 0.08).moved(0, b, s.belt + 0.07)
    screen = cabin.screen(-1, 0.1, 0.9)
    edge = screen.vertices.reshape(5, 9, 3)
    frame = [edge[0, 0], edge[-1, 0], edge[-1, -1]], [edge[-1, 0], edge[-1, -1], edge[0, -1]]
    return [
        *made_of(f.dark, hole, hood),
        *made_of(leather, *seats),
        Part(screen, f.pane),
        Part(bars(*frame, 0.05), f.second),
    ]


def _saloon_shape(rng: np.random.Generator) -> _Shape:
    length = rng.uniform(4.2, 4.9)
    return _Shape(
        length, rng.uniform(1.68, 1.85), rng.uniform(1.38, 1.48), 0.2, rng.uniform(0.9, 0.97), rng.uniform(0.72, 0.85),
        rng.uniform(0.88, 1.02), rng.uniform(0.30, 0.34), (0.185, 0.79),
        (rng.uniform(0.25, 0.30), rng.uniform(0.83, 0.9)),
        (rng.uniform(0.41, 0.45), rng.uniform(0.66, 0.72)), ((-0.80, -0.05), (0.02, 0.72)),
    )  # fmt: skip


def saloon(rng: np.random.Generator) -> list[Part]:
    """A three-box saloon."""
    return _car(rng, _saloon_shape(rng), _finish(rng))


def hatchback(rng: np.random.Generator) -> list[Part]:
    """A small car with a steep tail."""
    length = rng.uniform(3.5, 4.2)
    shape = _Shape(
        length, rng.uniform(1.58, 1.76), rng.uniform(1.40, 1.54), 0.19, rng.uniform(0.9, 0.98), rng.uniform(0.72, 0.85),
        rng.uniform(0.93, 1.0), rng.uniform(0.28, 0.32), (0.19, 0.83), (rng.uniform(0.22, 0.28), 0.985),
        (rng.uniform(0.40, 0.45), rng.uniform(0.86, 0.94)), ((-0.78, 0.05), (0.12, 0.75)),
    )  # fmt: skip
    return _car(rng, shape, _finish(rng, 0.1))


def estate(rng: np.random.Generator) -> list[Part]:
    """An estate car."""
    length = rng.uniform(4.4, 4.9)
    shape = _Shape(
        length, rng.uniform(1.7, 1.84), rng.uniform(1.42, 1.52), 0.2, rng.uniform(0.92, 0.98), rng.uniform(0.75, 0.85),
        rng.uniform(0.95, 1.0), rng.uniform(0.30, 0.34), (0.185, 0.79), (rng.uniform(0.25, 0.29), 0.985),
        (rng.uniform(0.40, 0.43), rng.uniform(0.88, 0.94)), ((-0.82, -0.25), (-0.2, 0.3), (0.36, 0.82)),
    )  # fmt: skip
    return _car(rng, shape, _finish(rng))


def suv(rng: np.random.Generator) -> list[Part]:
    """A tall off-roader, round or boxy."""
    length, boxy = rng.uniform(4.0, 4.9), rng.uniform() < 0.4
    shape = _Shape(
        length, rng.uniform(1.75, 1.95), rng.uniform(1.68, 1.9), rng.uniform(0.27, 0.36), rng.uniform(1.08, 1.18),
        rng.uniform(0.98, 1.1), rng.uniform(1.08, 1.15), rng.uniform(0.36, 0.41), (0.185, 0.8),
        (rng.uniform(0.27, 0.31), 0.985), (0.33 if boxy else 0.40, 0.97 if boxy else rng.uniform(0.88, 0.93)),
        ((-0.84, -0.25), (-0.2, 0.3), (0.36, 0.84)), 7.0 if boxy else 5.0, 0.06 if boxy else 0.14,
    )  # fmt: skip
    return _car(rng, shape, _finish(rng, 0.15), boxy)


def van(rng: np.random.Generator) -> list[Part]:
    """A van, with or without windows behind."""
    length = rng.uniform(4.3, 5.2)
    panes: tuple[tuple[float, float], ...] = ((-0.88, -0.50),)
    if rng.uniform() < 0.6:
        panes = (*panes, (-0.42, 0.15), (0.22, 0.82))
    shape = _Shape(
        length, rng.uniform(1.75, 1.98), rng.uniform(1.85, 2.3), 0.22, rng.uniform(1.05, 1.18), rng.uniform(0.85, 1.0),
        rng.uniform(1.08, 1.15), rng.uniform(0.31, 0.34), (0.17, 0.8), (rng.uniform(0.08, 0.16), 0.99),
        (rng.uniform(0.24, 0.31), 0.98), panes, 7.0, 0.09,
    )  # fmt: skip
    return _car(rng, shape, _finish(rng, 0.2))


def pickup(rng: np.random.Generator) -> list[Part]:
    """A pickup with an open bed."""
    length = rng.uniform(4.8, 5.5)
    shape = _Shape(
        length, rng.uniform(1.75, 1.95), rng.uniform(1.66, 1.82), rng.uniform(0.28, 0.36), rng.uniform(1.05, 1.12),
        rng.uniform(0.95, 1.05), rng.uniform(1.05, 1.1), rng.uniform(0.35, 0.4), (0.175, 0.78),
        (0.25, rng.uniform(0.56, 0.64)),
        (0.36, rng.uniform(0.54, 0.6)), ((-0.8, 0.05), (0.12, 0.8)), 6.0, 0.1,
    )  # fmt: skip
    finish = _finish(rng, 0.1)
    a, b, w = shape.y(shape.base[1]) + 0.12, shape.y(0.965), shape.width / 2 - 0.14
    top = shape.belt + 0.045
    bed = boxes([[-w, w, a, b, top - 0.3, top]])
    rails = boxes(
        [[x - 0.05, x + 0.05, a, b, top - 0.2, top + 0.03] for x in (-w - 0.06, w + 0.06)]
        + [[-w, w, b - 0.02, b + 0.08, top - 0.3, top + 0.03]]
    )
    return [*_car(rng, shape, finish), Part(bed, finish.dark), Part(rails, finish.paint)]


def sports(rng: np.random.Generator) -> list[Part]:
    """A low coupe or cabriolet."""
    length, roofless = rng.uniform(3.9, 4.5), bool(rng.uniform() < 0.45)
    shape = _Shape(
        length, rng.uniform(1.72, 1.9), rng.uniform(1.2, 1.3), 0.15, rng.uniform(0.80, 0.86), rng.uniform(0.6, 0.68),
        rng.uniform(0.8, 0.92), rng.uniform(0.31, 0.34), (0.19, 0.79),
        (rng.uniform(0.34, 0.4), rng.uniform(0.82, 0.94)),
        (0.5, 0.66), ((-0.62, 0.55),), 3.6, 0.2,
    )  # fmt: skip
    return _car(rng, shape, _finish(rng), roofless=roofless)


def beetle(rng: np.random.Generator) -> list[Part]:
    """A small round car of the fifties."""
    shape = _Shape(
        rng.uniform(3.3, 4.1), rng.uniform(1.45, 1.6), rng.uniform(1.42, 1.5), 0.22, rng.uniform(0.9, 0.95),
        rng.uniform(0.75, 0.82), rng.uniform(0.75, 0.85), 0.32, (0.2, 0.79), (0.28, 0.95), (0.45, 0.68),
        ((-0.66, -0.02), (0.06, 0.6)), 2.8, 0.2,
    )  # fmt: skip
    finish = _finish(rng, 0.3)
    return [*_car(rng, shape, finish, round_lamps=True), *_mudguards(shape, finish, 0.06)]


def old_timer(rng: np.random.Generator) -> list[Part]:
    """A car of the thirties: narrow bonnet, upright cabin, mudguards, running boards."""
    shape = _Shape(
        rng.uniform(3.9, 4.6), rng.uniform(1.25, 1.4), rng.uniform(1.6, 1.75), 0.38, rng.uniform(1.12, 1.2),
        rng.uniform(1.05, 1.15), rng.uniform(0.95, 1.1), rng.uniform(0.36, 0.41), (0.17, 0.81), (0.42, 0.93),
        (0.46, 0.88), ((-0.8, -0.03), (0.05, 0.8)), 4.0, 0.08,
    )  # fmt: skip
    finish = _finish(rng, 0.6)
    return [
        *_car(rng, shape, finish, round_lamps=True, roofless=bool(rng.uniform() < 0.3)),
        *_mudguards(shape, finish, 0.14),
    ]


def _mudguards(s: _Shape, f: _Finish, out: float) -> list[Part]:
    """Wings over the wheels with a running board between them."""
    x, r = s.width / 2 + out - 0.1, s.wheel * 1.25
    meshes = []
    for share in s.axles:
        angle = np.radians(np.linspace(-20, 200, 9))
        rows = np.stack(
            [
                np.full(9, x),
                s.y(share) - r * np.cos(angle),
                s.wheel + r * np.sin(angle),
                np.full(9, 0.32),
                np.full(9, 0.1),
            ],
            axis=1,
        )
        guard = limb(rows, 14, 1)
        meshes += [guard, guard.mirrored()]
    board = boxes([[-x - 0.15, x + 0.15, s.y(s.axles[0]) + r, s.y(s.axles[1]) - r, s.clearance - 0.06, s.clearance]])
    return [*made_of(f.second, *meshes), Part(board, f.dark)]


#: Every type of car.
CARS: dict[str, Kind] = {
    "saloon": Kind(5, saloon),
    "hatchback": Kind(5, hatchback),
    "estate": Kind(2.5, estate),
    "suv": Kind(3, suv),
    "van": Kind(2, van),
    "pickup": Kind(2, pickup),
    "sports": Kind(2.5, sports),
    "beetle": Kind(1.5, beetle),
    "old-timer": Kind(1.5, old_timer),
}
