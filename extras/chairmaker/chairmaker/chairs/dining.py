"""Dining chairs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import (
    Surface,
    bar,
    both,
    dress,
    lattice,
    leg,
    level,
    padded,
    pane,
    round_pad,
    tapered,
)
from chairmaker.materials import Part, pick
from chairmaker.meshes import Floats, Mesh, bundle, cylinder, smooth_path, sweep


@family("dining")
@dataclass(frozen=True)
class DiningChair:
    """A wooden side chair: four legs, a seat and a back.

    The back is filled with rails, slats, spindles, a hoop, a cross, a splat, cane or a pad.
    """

    slots: ClassVar[Slots] = {
        "frame": {"wood": 8, "paint": 2.5, "steel": 0.8},
        "seat": {"fabric": 4, "leather": 3, "velvet": 1, "patterned_fabric": 0.6},
        "cane": {"cane": 1},
    }
    fill: ClassVar[float] = 0.93
    turns: ClassVar[Turns] = (("back_height", 0.34, 0.62), ("width", 0.40, 0.50))

    width: float
    depth: float
    height: float
    narrowing: float
    seat: str
    seat_thickness: float
    leg: float
    leg_end: float
    leg_corner: float
    splay: float
    apron: float
    stretchers: str
    back: str
    back_height: float
    rake: float
    bow: float
    rails: int
    rail_height: float
    crest: float
    arms: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "DiningChair":
        """Random proportions."""
        leg = rng.uniform(0.026, 0.046)
        return cls(
            width=rng.uniform(0.40, 0.50),
            depth=rng.uniform(0.38, 0.46),
            height=rng.uniform(0.43, 0.47),
            narrowing=rng.uniform(0.0, 0.18),
            seat=pick(rng, {"board": 3, "pad": 4, "round": 1.2}),
            seat_thickness=rng.uniform(0.018, 0.04),
            leg=leg,
            leg_end=leg * rng.uniform(0.5, 1.0),
            leg_corner=float(rng.choice([0.25, 1.0])),
            splay=rng.uniform(0.0, 0.07),
            apron=float(rng.choice([0.0, 1.0]) * rng.uniform(0.04, 0.08)),
            stretchers=pick(rng, {"none": 4, "h": 2, "box": 3, "front": 1}),
            back=pick(
                rng,
                {
                    "ladder": 3,
                    "slats": 3,
                    "spindles": 2,
                    "hoop": 2,
                    "cross": 1.5,
                    "splat": 1.5,
                    "pad": 2,
                    "board": 1,
                    "cane": 2,
                },
            ),
            back_height=rng.uniform(0.34, 0.62),
            rake=rng.uniform(0.05, 0.15),
            bow=rng.uniform(0.0, 0.06),
            rails=int(rng.integers(3, 8)),
            rail_height=rng.uniform(0.03, 0.085),
            crest=rng.uniform(-0.01, 0.05),
            arms=bool(rng.uniform() < 0.22),
        )

    @property
    def _rear(self) -> float:
        """Half the distance between the back posts at the seat."""
        return self.width / 2 * (1 - self.narrowing) - self.leg / 2

    def _back_point(self, across: float, up: float) -> Floats:
        """A point of the back: ``across`` in [-1, 1] from post to post, ``up`` in [0, 1] from seat to top."""
        x = across * (self._rear + self.splay * 0.5 * up)
        y = self.depth / 2 - self.leg / 2 + self.rake * up**1.4 + self.bow * (1 - across**2) * min(1.0, 2 * up)
        return np.array([x, y, self.height + self.back_height * up])

    def _back_path(self, ups: Floats | float, acrosses: Floats) -> Floats:
        heights = np.broadcast_to(ups, acrosses.shape)
        return np.stack([self._back_point(float(a), float(u)) for a, u in zip(acrosses, heights, strict=True)])

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``frame``, ``seat`` and ``cane``."""
        frame = [*self._legs(), *self._stretchers(), *self._arms()]
        soft: list[Mesh] = []
        woven = [self._weave()] if self.back == "cane" else []
        backs: dict[str, Callable[[], list[Mesh]]] = {
            "ladder": self._ladder,
            "slats": lambda: self._uprights(0.032, 0.012, 0.3),
            "spindles": lambda: self._uprights(0.012, 0.012, 1.0),
            "hoop": self._hoop,
            "cross": self._cross,
            "splat": self._splat,
            "board": lambda: [self._panel(0.45, 0.016)],
            "pad": self._top_rail,
            "cane": lambda: [*self._top_rail(), self._rail(0.2, 0.03)],
        }
        frame += backs[self.back]()
        if self.back == "pad":
            soft.append(self._panel(0.18, 0.05, 0.93))
        (soft if self.seat == "pad" else frame).append(self._seat())
        return dress(finish, {"frame": frame, "seat": soft, "cane": woven})

    def _seat(self) -> Mesh:
        if self.seat == "round":
            return round_pad(self.width * 1.02, self.depth * 1.05, self.seat_thickness + 0.01, 0.006).moved(
                z=self.height
            )
        thick = self.seat_thickness + (0.035 if self.seat == "pad" else 0.0)
        crown = 0.022 if self.seat == "pad" else -0.004
        board = tapered(self.width + 0.015, self.depth + 0.01, thick, thick * 0.48, self.narrowing, crown)
        return board.moved(z=self.height - self.seat_thickness / 2 + thick / 2)

    def _legs(self) -> list[Mesh]:
        x, y = self.width / 2 - self.leg / 2, self.depth / 2 - self.leg / 2
        top = np.array([x - 0.01, -y + 0.01, self.height - 0.01])
        foot = np.array([x - 0.01 + self.splay * 0.8, -y + 0.01 - self.splay, 0.0])
        front = leg(foot, top, self.leg, self.leg_end, self.leg_corner)
        apron = []
        if self.apron:
            z = self.height - self.seat_thickness / 2 - self.apron / 2
            for ends in (((-x, -y + 0.012), (x, -y + 0.012)), ((x - 0.005, -y), (self._rear, y))):
                path = [(*ends[0], z), (*ends[1], z)]
                apron.append(
                    sweep(path, 0.018, self.apron, 0.2, side=np.cross(np.subtract(path[1], path[0]), [0, 0, 1]))
                )
        return [both(front), *(both(mesh) for mesh in apron), both(self._post())]

    def _post(self) -> Mesh:
        """A back leg; where the back hangs between posts it runs on to the top."""
        seat = self._back_point(1, 0)
        foot = seat * [1, 1, 0] + [self.splay * 0.5, self.splay * 0.8 + 0.02, 0]
        if self.back in ("hoop", "spindles"):
            path = np.linspace(foot, seat, 4)
        else:
            up = [self._back_point(1, t) * [1, 1, 1] for t in (0.35, 0.7, 1.0)]
            path = smooth_path([foot, foot * 0.4 + seat * 0.6, seat, *up], 14)
        share = np.linspace(0, 1, len(path))
        thick = np.interp(share, [0, 0.45, 1], [self.leg_end, self.leg, self.leg * 0.75])
        return level(bar(path, thick * 0.9, thick, self.leg_corner, side=[1, 0, 0]))

    def _stretchers(self) -> list[Mesh]:
        if self.stretchers == "none":
            return []
        z = self.height * 0.38
        low = 1 - z / self.height
        x, y = (
            self.width / 2 - self.leg / 2 - 0.01 + self.splay * 0.8 * low,
            -self.depth / 2 + self.leg / 2 - self.splay * low,
        )
        rear = self._back_point(1, 0) + [self.splay * 0.5 * low, (self.splay * 0.8 + 0.02) * low, 0]
        thin = min(self.leg * 0.6, 0.022)
        sides = both(cylinder((x, y, z), (rear[0], rear[1], z), thin))
        front = cylinder((-x, y, z * 1.25), (x, y, z * 1.25), thin)
        if self.stretchers == "front":
            return [front]
        if self.stretchers == "h":
            middle = (x + rear[0]) / 2
            return [sides, cylinder((-middle, (y + rear[1]) / 2, z), (middle, (y + rear[1]) / 2, z), thin)]
        return [sides, front, cylinder((-rear[0], rear[1], z), (rear[0], rear[1], z), thin)]

    def _rail(self, up: float, height: float, thick: float = 0.016, crest: float = 0.0) -> Mesh:
        across = np.linspace(-1, 1, 11)
        path = self._back_path(up, across)
        path[:, 2] += crest * (1 - across**2)
        return sweep(path, height, thick, 0.5, side=[0, 0.25, 1])

    def _ladder(self) -> list[Mesh]:
        count = min(self.rails, 5)
        return [
            self._rail(up, min(self.rail_height, 0.55 * self.back_height / count), crest=self.crest)
            for up in np.linspace(0.25, 0.95, count)
        ]

    def _top_rail(self) -> list[Mesh]:
        return [self._rail(0.96, self.rail_height, 0.02, self.crest)]

    def _uprights(self, width: float, thick: float, corner: float) -> list[Mesh]:
        """Vertical slats or spindles below a top rail, standing on a lower rail or on the seat."""
        on_rail = self.back == "slats"
        low = 0.16 if on_rail else 0.0
        acrosses = np.linspace(-1, 1, self.rails + 2)[slice(1, -1) if on_rail else slice(None)]
        paths = np.stack([self._back_path(np.linspace(low, 0.94, 7), np.full(7, a)) for a in acrosses])
        bars = [bundle(paths, width, thick, corner, side=[1, 0, 0])]
        rails = [self._rail(0.96, max(self.rail_height, 0.045), 0.022, self.crest if on_rail else 0.0)]
        return bars + rails + ([self._rail(low, 0.03)] if on_rail else [])

    def _hoop(self) -> list[Mesh]:
        """A bent bow over spindles, as in a Windsor chair."""
        angle = np.linspace(0, np.pi, 25)
        across, up = np.cos(angle) * (1 + 0.12 * np.sin(angle)), np.sin(angle) ** 0.75
        bow = sweep(self._back_path(up, across), 0.024, corner=1.0)
        spindles = []
        for a in np.linspace(-0.75, 0.75, self.rails + 1):
            top = float(np.sqrt(1 - (a / 1.08) ** 2)) ** 0.75
            spindles.append(self._back_path(np.linspace(0, top, 6), np.full(6, a)))
        return [bow, bundle(np.stack(spindles), 0.011, side=[1, 0, 0])]

    def _cross(self) -> list[Mesh]:
        """Two bent bars that cross below the top rail."""
        up = np.linspace(0.08, 0.93, 9)
        bars = [
            sweep(self._back_path(up, sign * np.linspace(-0.95, 0.95, 9)), 0.02, 0.014, 0.6, side=[1, 0, 0])
            for sign in (1, -1)
        ]
        return [*bars, *self._top_rail(), self._rail(0.07, 0.025)]

    def _splat(self) -> list[Mesh]:
        """One shaped board in the middle, below a crest."""
        up = np.linspace(0.04, 0.95, 15)
        width = 0.10 + 0.05 * np.sin(up * np.pi * (1 + self.rails % 3)) ** 2
        board = sweep(self._back_path(up, np.zeros(15)), width, 0.012, 0.3, side=[1, 0, 0])
        return [board, *self._top_rail(), self._rail(0.04, 0.03)]

    def _on_back(self, low: float, high: float, share: float = 0.94) -> Surface:
        """The part of the back between two heights (shares of the back)."""

        def surface(u: Floats, v: Floats) -> Floats:
            across, up = u * share, low + (high - low) * (v + 1) / 2
            x = across * (self._rear + self.splay * 0.5 * up)
            y = self.depth / 2 - self.leg / 2 + self.rake * np.abs(up) ** 1.4
            y = y + self.bow * (1 - across**2) * np.minimum(1.0, 2 * up)
            return np.stack(np.broadcast_arrays(x, y, self.height + self.back_height * up), axis=-1)

        return surface

    def _panel(self, low: float, thick: float, high: float = 0.98) -> Mesh:
        """A bent board or pad from post to post."""
        if thick < 0.03:
            return pane(self._on_back(low, high), thick, 8, 11)
        return padded(self._on_back(low, high, 0.99), thick)

    def _weave(self) -> Mesh:
        """Cane between two rails and the posts."""
        tall = self.back_height * 0.74
        return lattice(
            self._on_back(0.21, 0.95), int(2 * self._rear / 0.02), int(tall / 0.02), 0.0055, self.rails % 2 == 0
        )

    def _arms(self) -> list[Mesh]:
        if not self.arms:
            return []
        up = min(0.6, 0.2 / self.back_height)
        rear = self._back_point(1, up)
        x, y = self.width / 2 + 0.015, -self.depth / 2 + 0.09
        tip = np.array([x + 0.01, y - 0.04, rear[2] - 0.01])
        arm = sweep(smooth_path([rear, (rear + tip) / 2 + [0.03, 0, 0.008], tip], 9), 0.045, 0.022, 0.7, side=[1, 0, 0])
        knots = [[x - 0.02, y + 0.02, self.height - 0.02], [x + 0.005, y, self.height + 0.1], [x + 0.01, y, tip[2]]]
        post = sweep(smooth_path(knots, 7), 0.028, corner=self.leg_corner, side=[1, 0, 0])
        return [both(arm), both(post)]
