"""Lounge chairs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import (
    Relief,
    Surface,
    bar,
    both,
    channels,
    curve,
    dress,
    four,
    lattice,
    leg,
    padded,
    pane,
    star_base,
    tufts,
)
from chairmaker.materials import Part, pick
from chairmaker.meshes import Floats, Mesh, bundle, lathe, smooth_path


@family("lounge")
@dataclass(frozen=True)
class LoungeChair:
    """A low reclined chair: cushions in a wooden frame, leather pads in plywood shells, or a sling on steel."""

    slots: ClassVar[Slots] = {
        "wood": {"wood": 8, "paint": 1.5},
        "cover": {"leather": 4, "fabric": 5, "velvet": 2, "patterned_fabric": 0.6},
        "sling": {"leather": 4, "canvas": 3, "cane": 1, "fabric": 1},
        "metal": {"chrome": 4, "steel": 4, "metal": 2},
    }
    fill: ClassVar[float] = 0.88
    turns: ClassVar[Turns] = (("back_height", 0.44, 0.78), ("width", 0.58, 0.72))

    form: str
    width: float
    depth: float
    height: float
    tilt: float
    back_height: float
    recline: float
    pad: float
    relief: str
    relief_count: int
    bar: float
    legs: str
    splay: float
    arm: str
    arm_height: float
    arm_wide: float
    wrap: float
    headrest: bool
    base_radius: float
    base_turn: float
    arms_count: int
    woven: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "LoungeChair":
        """Random proportions."""
        return cls(
            form=pick(rng, {"frame": 4, "ply": 2.5, "sling": 3}),
            width=rng.uniform(0.58, 0.72),
            depth=rng.uniform(0.50, 0.60),
            height=rng.uniform(0.34, 0.40),
            tilt=rng.uniform(0.04, 0.10),
            back_height=rng.uniform(0.46, 0.70),
            recline=rng.uniform(0.2, 0.36),
            pad=rng.uniform(0.08, 0.14),
            relief=pick(rng, {"none": 4, "channels": 2, "tufts": 2}),
            relief_count=int(rng.integers(2, 5)),
            bar=rng.uniform(0.85, 1.25),
            legs=pick(rng, {"straight": 3, "angled": 3, "loop": 1.5, "z": 1.5}),
            splay=rng.uniform(0.02, 0.1),
            arm=pick(rng, {"paddle": 3, "flat": 3, "none": 1}),
            arm_height=rng.uniform(0.16, 0.22),
            arm_wide=rng.uniform(0.05, 0.09),
            wrap=rng.uniform(0.03, 0.09),
            headrest=bool(rng.uniform() < 0.5),
            base_radius=rng.uniform(0.28, 0.36),
            base_turn=rng.uniform(0, 90),
            arms_count=int(rng.integers(4, 6)),
            woven=bool(rng.uniform() < 0.25),
        )

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots that its form needs."""
        return {"frame": self._framed, "ply": self._plywood, "sling": self._slung}[self.form](finish)

    def _relief(self, depth: float) -> Relief | None:
        if self.relief == "channels":
            return lambda u, v: channels(depth * 0.5, 2 * self.relief_count + 1)(v, u)
        return tufts(depth, self.relief_count) if self.relief == "tufts" else None

    def _seat_plane(self, across: float, lift: float = 0.0, front: float = 0.0) -> Surface:
        """The seat, higher in front; ``lift`` above it."""

        def surface(u: Floats, v: Floats) -> Floats:
            y = v * self.depth / 2 - front * (1 - v) / 2
            z = self.height - self.tilt * v / 2 + lift
            return np.stack(np.broadcast_arrays(u * across, y, z), axis=-1)

        return surface

    def _back_plane(self, across: float, lift: float = 0.0, low: float = 0.0, high: float = 1.0) -> Surface:
        """The back from ``low`` to ``high`` (shares of its height); ``lift`` in front of it."""

        def surface(u: Floats, v: Floats) -> Floats:
            t = low + (high - low) * (v + 1) / 2
            y = self.depth / 2 + self.recline * t - lift
            z = self.height - self.tilt / 2 + self.back_height * t + 0.3 * lift
            return np.stack(np.broadcast_arrays(u * across, y, z), axis=-1)

        return surface

    # --- cushions in a wooden frame ---

    def _framed(self, finish: Finish) -> list[Part]:
        half = self.width / 2 - 0.05
        seat, back = self._seat_plane(half), self._back_plane(half)
        edge = np.linspace(-1, 1, 5)
        flat = np.zeros(5)
        rails = [both(bar(plane(flat + 0.98, edge), 0.026, 0.045, 0.4, side=[1, 0, 0])) for plane in (seat, back)]
        ends = [(seat, -0.96), (seat, 0.96), (back, 0.3), (back, 0.98)]
        cross = [bar(plane(edge, flat + v), 0.03, 0.04, 0.4, side=[0, 0.3, 1]) for plane, v in ends]
        u = np.linspace(-0.85, 0.85, 2 * self.relief_count + 3)[:, None]
        slats = bundle(back(*np.broadcast_arrays(u, np.linspace(-1, 0.98, 4)[None])), 0.024, 0.012, 0.4, side=[1, 0, 0])
        relief = self._relief(self.pad * 0.25)
        pads = [
            padded(self._seat_plane(half * 0.97, self.pad / 2 + 0.012, 0.02), self.pad, 12, 14),
            padded(self._back_plane(half * 0.97, self.pad / 2 + 0.014, 0.08, 1.04), self.pad, 24, 24, relief),
        ]
        return dress(finish, {"wood": [*rails, *cross, slats, *self._sides()], "cover": pads})

    def _sides(self) -> list[Mesh]:
        """Legs and arms."""
        x, y, w = self.width / 2 - 0.018, self.depth / 2, 0.036 * self.bar
        top = self.height + self.arm_height
        s = self.splay
        rear = y + 0.12

        def beam(points: ArrayLike, radius: float = 0.0) -> Mesh:
            return bar(points, w * 0.75, w, 0.5, side=[1, 0, 0], radius=radius)

        if self.legs == "loop":
            loop = [(x, -y, top), (x, -y - s, 0.016), (x, rear, 0.016), (x, rear, top), (x, -y, top)]
            bars = [beam(loop, 0.04)]
        elif self.legs == "z":
            bars = [
                beam([(x, -y - 0.02, top), (x, rear - 0.06, 0.012)]),
                beam([(x, -y - 0.05, 0.012), (x, rear, top)]),
            ]
        else:
            foot = s if self.legs == "angled" else 0.0
            bars = [
                leg((x, -y - foot + 0.04, 0), (x, -y + 0.04, top), w, w * 0.7, 0.6),
                leg((x, rear + foot * 1.3, 0), (x, rear - 0.05, top), w, w * 0.7, 0.6),
            ]
        rail = beam([(x, -y + 0.02, self.height + self.tilt * 0.4), (x, rear - 0.04, self.height - self.tilt * 0.6)])
        # Where the frame stands outside the seat, bars across carry it.
        carriers = [
            bar([(-x, place, z), (x, place, z)], 0.03, 0.03, 0.5)
            for place, z in ((-y + 0.05, self.height + self.tilt * 0.38), (y - 0.02, self.height - self.tilt * 0.48))
        ]
        if self.legs != "loop" and (self.arm != "none" or self.legs == "z"):
            wide = np.array([0.9, 1.1, 1.0, 0.75, 0.6]) if self.arm == "paddle" else np.ones(5)
            knots = [(x, -y - 0.06, top + 0.01), (x + 0.01, 0, top + 0.012), (x, rear + 0.04, top)]
            bars.append(bar(smooth_path(knots, 5), wide * self.arm_wide, 0.024, 0.6, side=[1, 0, 0]))
        return [*(both(mesh) for mesh in [*bars, rail]), *carriers]

    # --- plywood shells with leather pads ---

    def _bent(self, points: list[tuple[float, float]], lift: float = 0.0, share: float = 1.0) -> Surface:
        """A bent shell along a profile of (y, z), its sides drawn up; ``lift`` above it."""
        profile = curve(points)
        half = self.width * 0.46 * share

        def surface(u: Floats, v: Floats) -> Floats:
            t = (v * share + 1) / 2
            line, ahead, behind = profile(t), profile(t + 0.02), profile(t - 0.02)
            slope = ahead - behind
            slope = slope / np.linalg.norm(slope, axis=-1, keepdims=True)
            up = lift + self.wrap * np.abs(u * share) ** 2.5
            narrow = 1 - 0.08 * np.abs(v) ** 4
            return np.stack(
                [u * half * narrow, line[..., 0] - slope[..., 1] * up, line[..., 1] + slope[..., 0] * up], -1
            )

        return surface

    def _plywood(self, finish: Finish) -> list[Part]:
        d, h, t = self.depth, self.height - 0.03, self.tilt
        rear, r, b = d / 2, self.recline, self.back_height
        low = h - 0.02
        seat = [(-d / 2, h + t - 0.01), (-d / 4, h + t * 0.5), (d / 5, h - 0.01), (rear, h + 0.10)]
        split = 0.52 if self.headrest else 0.95
        back = [(rear + 0.02 + r * k, h + 0.13 + b * k) for k in (0.0, split * 0.5, split)]
        shells = [seat, back]
        if self.headrest:
            shells.append([(rear + 0.03 + r * k, h + 0.13 + b * k) for k in (split + 0.06, 0.85, 1.1)])
        ply = [pane(self._bent(points), 0.014, 9, 15) for points in shells]
        thick = self.pad * 0.8
        relief = self._relief(thick * 0.3)
        pads = [padded(self._bent(points, thick * 0.45, 0.93), thick, 14, 18, relief) for points in shells]
        metal = star_base(self.base_radius, 0.02, 0.05, low, self.base_turn, self.arms_count)
        foot = lathe([(0, 0), (0.02, 0), (0.02, 0.02), (0, 0.02)], 8).moved(self.base_radius - 0.01)
        metal += [foot.turned(self.base_turn + 360 / self.arms_count * k) for k in range(self.arms_count)]
        spine = [
            (0.0, h - 0.012),
            (rear + 0.01, h + 0.05),
            *((y + 0.022, z) for y, z in (shells[-1][0], shells[-1][1])),
        ]
        for side in (-0.1, 0.1):
            path = smooth_path([(side, y, z) for y, z in spine], 9)
            metal.append(bar(path, 0.035, 0.012, 0.5, side=[1, 0, 0]))
        metal.append(bar([(-0.12, 0, low), (0.12, 0, low)], 0.1, 0.03, 0.4, side=[0, 1, 0]))
        if self.arm != "none":
            x, z = self.width * 0.46, self.height + self.arm_height
            rest = padded(
                lambda u, v: np.stack([x + 0.03 * u, 0.02 + 0.17 * v, z + 0.02 - 0.03 * v + 0 * u], axis=-1),
                0.05,
                10,
                8,
            )
            pads.append(both(rest))
            stay = [(x - 0.05, 0.06, h + 0.01), (x + 0.01, 0.08, h + 0.08), (x, 0.05, z)]
            ply.append(both(bar(stay, 0.07, 0.014, 0.5, side=[0, 1, 0], radius=0.05)))
        return dress(finish, {"wood": ply, "cover": pads, "metal": metal})

    # --- a sling on steel ---

    def _slung(self, finish: Finish) -> list[Part]:
        x, tube = self.width / 2 - 0.03, 0.018 * self.bar
        front, rear, h = -self.depth / 2, self.depth / 2, self.height
        top = (rear + self.recline, h + self.back_height)
        profile = [
            (front - 0.01, h + self.tilt),
            (0.02, h - 0.01),
            (rear - 0.03, h - 0.02),
            *[(rear + 0.1, h + 0.16), top],
        ]
        line = curve(profile)
        edge = line(np.linspace(0, 1, 14))
        rails = both(bar(np.column_stack([np.full(14, x), edge]), tube))
        ends = [bar([(-x, *edge[k]), (x, *edge[k])], tube) for k in (0, -1)]

        def surface(u: Floats, v: Floats) -> Floats:
            points = line((v + 1) / 2)
            sag = 0.03 * (1 - u**2) * np.sin(np.pi * (v + 1) / 2)
            return np.stack(np.broadcast_arrays(u * x, points[..., 0] + sag * 0.4, points[..., 1] - sag), axis=-1)

        if self.woven:
            sling = lattice(surface, int(self.width / 0.03), int(1.2 / 0.024), 0.01, points=12)
        elif self.relief == "none":
            sling = pane(surface, 0.01, 25, 9)
        else:
            sling = padded(surface, self.pad * 0.5, 34, 18, self._relief(0.012))
        return dress(finish, {"metal": [rails, *ends, *self._legs_of_steel(x, tube)], "sling": [sling]})

    def _legs_of_steel(self, x: float, tube: float) -> list[Mesh]:
        front, rear, h, z = -self.depth / 2, self.depth / 2, self.height, tube / 2
        s = self.splay
        if self.legs in ("loop", "straight"):
            arm = h + self.arm_height
            loop = [(x, rear + 0.1, h + 0.16), (x + 0.03, rear + 0.1, z), (x + 0.03, front, z), (x + 0.03, front, arm)]
            loop += [(x + 0.03, rear + 0.16, arm + 0.02), (x, rear + 0.14, h + 0.22)]
            stay = bar([(-x - 0.03, front, h + self.tilt), (x + 0.03, front, h + self.tilt)], tube)
            floor = bar([(-x - 0.03, rear + 0.1, z), (x + 0.03, rear + 0.1, z)], tube)
            rest = bar(
                [(x + 0.03, front + 0.03, arm + 0.012), (x + 0.03, rear, arm + 0.025)], self.arm_wide * 0.8, 0.02, 0.5
            )
            return [both(bar(loop, tube, radius=0.06)), stay, floor, both(rest)]
        if self.legs == "z":
            crossed = [
                [(x, front, h + self.tilt), (x, rear + 0.12, z)],
                [(x, rear + 0.1, h + 0.16), (x, front + 0.02, z)],
            ]
            lows = [bar([(-x, y, z), (x, y, z)], tube) for y in (front + 0.02, rear + 0.12)]
            return [both(bundle(crossed, tube)), *lows]
        plate = [bar([(-x, y, h - 0.02), (x, y, h - 0.02)], tube) for y in (-0.14, 0.14)]
        beams = both(bar([(x, -0.16, h - 0.02), (x, rear - 0.02, h - 0.02)], tube))
        return [*plate, beams, four(leg((x + s, 0.16 + 1.5 * s, 0), (x - 0.04, 0.14, h - 0.02), tube * 1.1))]
