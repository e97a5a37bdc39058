"""Cantilever chairs."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import Surface, bar, both, dress, lattice, padded, pane
from chairmaker.materials import Part, pick
from chairmaker.meshes import Floats, Mesh, bundle, filleted


@family("cantilever")
@dataclass(frozen=True)
class CantileverChair:
    """One bent steel tube from the floor over the seat to the back, without rear legs."""

    slots: ClassVar[Slots] = {
        "tube": {"chrome": 7, "steel": 3, "metal": 1},
        "wood": {"wood": 5, "paint": 2},
        "cane": {"cane": 1},
        "cover": {"leather": 5, "fabric": 3, "velvet": 1},
    }
    fill: ClassVar[float] = 0.93
    turns: ClassVar[Turns] = (("back_height", 0.32, 0.5), ("width", 0.44, 0.54))

    width: float
    depth: float
    height: float
    back_height: float
    rake: float
    bow: float
    tube: float
    bend: float
    slope: float
    base_depth: float
    closed: bool
    filling: str
    thickness: float
    straps: int
    band: float
    arms: bool
    arm_height: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "CantileverChair":
        """Random proportions."""
        return cls(
            width=rng.uniform(0.44, 0.54),
            depth=rng.uniform(0.42, 0.48),
            height=rng.uniform(0.43, 0.46),
            back_height=rng.uniform(0.34, 0.46),
            rake=rng.uniform(0.06, 0.16),
            bow=rng.uniform(0.0, 0.04),
            tube=rng.uniform(0.019, 0.028),
            bend=rng.uniform(0.04, 0.1),
            slope=rng.uniform(-0.02, 0.05),
            base_depth=rng.uniform(0.46, 0.54),
            closed=bool(rng.uniform() < 0.6),
            filling=pick(rng, {"cane": 4, "pad": 4, "sling": 2, "straps": 2}),
            thickness=rng.uniform(0.035, 0.07),
            straps=int(rng.integers(5, 9)),
            band=rng.uniform(0.5, 0.75),
            arms=bool(rng.uniform() < 0.4),
            arm_height=rng.uniform(0.19, 0.24),
        )

    def _seat(self, across: float, lift: float = 0.0) -> Surface:
        def surface(u: Floats, v: Floats) -> Floats:
            z = self.height + lift + 0.0 * u * v
            return np.stack(np.broadcast_arrays(u * across, v * self.depth / 2 * 0.97, z), axis=-1)

        return surface

    def _back(self, across: float, lift: float = 0.0) -> Surface:
        """The part of the back that is filled."""

        def surface(u: Floats, v: Floats) -> Floats:
            t = 1 - self.band * (1 - v) / 2 * 0.98
            y = self.depth / 2 + self.rake * t + self.bow * (1 - u**2) - lift
            return np.stack(np.broadcast_arrays(u * across, y, self.height + self.back_height * t), axis=-1)

        return surface

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``tube``, and ``cane`` in ``wood`` or ``cover``."""
        slots: dict[str, list[Mesh]] = {"tube": self._tubes(), "wood": [], "cane": [], "cover": []}
        half = self.width / 2 - self.tube * 0.3
        if self.filling == "cane":
            for plane in (self._seat(half), self._back(half)):
                wide, high = int(2 * half / 0.02), int(0.38 / 0.02)
                slots["wood"].append(self._rim(plane))
                slots["cane"].append(lattice(plane, wide, high, 0.006, self.straps % 2 == 0, 5))
        elif self.filling == "pad":
            lift = self.thickness * 0.25
            slots["cover"] = [
                padded(plane, self.thickness) for plane in (self._seat(half, lift), self._back(half, lift))
            ]
        elif self.filling == "sling":
            slots["cover"] = [pane(plane, 0.012, 5, 9) for plane in (self._seat(half, 0.008), self._back(half, 0.006))]
        else:
            slots["cover"] = self._straps(half)
        slots["wood"] += self._rests()
        return dress(finish, slots)

    def _rim(self, plane: Surface) -> Mesh:
        """The wooden frame of a caned panel."""
        corners = filleted([(-1, 0), (-1, -1), (1, -1), (1, 1), (-1, 1), (-1, 0)], 0.25, 4)
        pieces = []
        for a, b in pairwise(corners):
            pieces += list(np.linspace(a, b, 4 if np.linalg.norm(b - a) > 0.4 else 2)[:-1])
        path = np.array([*pieces, corners[-1]]) * 0.97
        return bar(plane(path[:, 0], path[:, 1]), 0.034, 0.022, 0.6)

    def _straps(self, half: float) -> list[Mesh]:
        u = np.linspace(-1, 1, 9)
        meshes = []
        for plane, count in (
            (self._seat(half, 0.008), self.straps),
            (self._back(half, 0.006), max(2, self.straps // 2)),
        ):
            v = np.linspace(-1, 1, count + 2)[1:-1, None]
            gap = 0.42 / self.straps
            side = [0, 1, 0] if count == self.straps else [0, 0, 1]
            meshes.append(bundle(plane(*np.broadcast_arrays(u[None], v)), gap * 0.72, 0.007, 0.3, side=side))
        lengthwise = np.broadcast_arrays(
            np.linspace(-0.75, 0.75, self.straps - 1)[:, None], np.linspace(-1, 1, 4)[None]
        )
        return [*meshes, bundle(self._seat(half, 0.004)(*lengthwise), 0.035, 0.006, 0.3, side=[1, 0, 0])]

    def _tubes(self) -> list[Mesh]:
        x, d, t = self.width / 2, self.depth / 2, self.tube
        floor, rear = t / 2, -self.depth / 2 + self.base_depth
        top = (d + self.rake, self.height + self.back_height)
        line = [(x, *top), (x, d, self.height), (x, -d, self.height), (x, -d - self.slope, floor), (x, rear, floor)]
        if self.closed:
            path = [*line, (-x, rear, floor), *((-x, y, z) for _, y, z in line[-2::-1])]
            tubes = [bar(filleted(path, self.bend), t)]
        else:
            tubes = [both(bar(filleted(line, self.bend), t))]
        across = np.linspace(-1, 1, 7)
        levels = [self._back(x)(across, np.full(7, 0.98)), self._seat(x)(across, np.full(7, 0.9))]
        if not self.closed:
            levels.append(np.column_stack([across * x, np.full(7, -d - self.slope + self.bend), np.full(7, floor)]))
        return [*tubes, *(bar(path, t * 0.9) for path in levels), *self._arm_tubes()]

    def _arm_tubes(self) -> list[Mesh]:
        if not self.arms:
            return []
        x, d, z = self.width / 2, self.depth / 2, self.height + self.arm_height
        back = d + self.rake * self.arm_height / self.back_height
        path = [(x, back, z - 0.01), (x + 0.035, d - 0.05, z), (x + 0.035, -d + 0.06, z), (x, -d + 0.06, self.height)]
        return [both(bar(path, self.tube * 0.9, radius=0.06))]

    def _rests(self) -> list[Mesh]:
        if not self.arms:
            return []
        x, d, z = self.width / 2 + 0.035, self.depth / 2, self.height + self.arm_height + self.tube * 0.5
        return [both(bar([(x, d - 0.1, z), (x, -d + 0.08, z)], 0.04, 0.02, 0.6, side=[1, 0, 0]))]
