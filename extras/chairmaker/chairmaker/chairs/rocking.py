"""Rocking chairs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.moulded import Moulded
from chairmaker.chairs.shared import bar, both, dress, leg, padded, tapered
from chairmaker.chairs.shell import wire_base
from chairmaker.materials import Part, pick
from chairmaker.meshes import Floats, Mesh, bundle, smooth_path


@family("rocking")
@dataclass(frozen=True)
class RockingChair:
    """A chair on runners: a wooden one with a tall back of slats, spindles or rungs, or a shell on wires."""

    slots: ClassVar[Slots] = {
        "wood": {"wood": 8, "paint": 3},
        "shell": {"plastic": 5, "wood": 1},
        "cover": {"fabric": 4, "velvet": 1, "leather": 2, "patterned_fabric": 0.7},
        "wire": {"steel": 2, "chrome": 2},
    }
    fill: ClassVar[float] = 0.92
    turns: ClassVar[Turns] = (("height", 0.36, 0.46), ("runner_radius", 0.85, 1.30))

    form: str
    seat: Moulded
    width: float
    depth: float
    height: float
    back_height: float
    rake: float
    bow: float
    back: str
    bars: int
    crest: float
    leg: float
    runner: float
    runner_radius: float
    runner_rear: float
    arm_height: float
    arm_width: float
    cushion: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "RockingChair":
        """Random proportions."""
        return cls(
            form=pick(rng, {"wood": 3, "shell": 1.5}),
            seat=Moulded.draw(rng, hard=bool(rng.uniform() < 0.7)),
            width=rng.uniform(0.50, 0.58),
            depth=rng.uniform(0.46, 0.54),
            height=rng.uniform(0.38, 0.44),
            back_height=rng.uniform(0.55, 0.78),
            rake=rng.uniform(0.14, 0.26),
            bow=rng.uniform(0.01, 0.05),
            back=pick(rng, {"slats": 4, "spindles": 3, "rungs": 2, "pad": 1.5}),
            bars=int(rng.integers(5, 9)),
            crest=rng.uniform(0.0, 0.04),
            leg=rng.uniform(0.032, 0.044),
            runner=rng.uniform(0.026, 0.04),
            runner_radius=rng.uniform(0.85, 1.3),
            runner_rear=rng.uniform(0.45, 0.6),
            arm_height=rng.uniform(0.2, 0.26),
            arm_width=rng.uniform(0.05, 0.09),
            cushion=bool(rng.uniform() < 0.4),
        )

    def _runner(self, y: Floats | float) -> Floats:
        """Height of a runner's middle at y."""
        r = self.runner_radius
        return self.runner / 2 + r - np.sqrt(r**2 - np.asarray(y, dtype=float) ** 2)

    def _runners(self, x: float, front: float) -> list[Mesh]:
        y = np.linspace(front, self.runner_rear, 15)
        path = np.stack([np.full(15, x), y, self._runner(y)], axis=1)
        return [both(bar(path, 0.03, self.runner, 0.4, side=[1, 0, 0]))]

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``wood``, and ``shell``, ``wire`` or ``cover``."""
        return self._on_wires(finish) if self.form == "shell" else self._wooden(finish)

    def _on_wires(self, finish: Finish) -> list[Part]:
        z, x, y = self.seat.below(self.height), 0.21, 0.17
        low = float(self._runner(y))
        wire = [self.seat.plate(self.height), wire_base(0.12, 0.11, x, y, z, low, 0.011)]
        runners = self._runners(x, -0.36)
        across = [bar([(-x, side * y, low), (x, side * y, low)], 0.022, corner=0.4) for side in (-1, 1)]
        slots: dict[str, list[Mesh]] = {"wood": [*runners, *across], "shell": [], "cover": [], "wire": wire}
        slots[self.seat.substance].append(self.seat.shell(self.height))
        return dress(finish, slots)

    def _back_point(self, across: Floats | float, up: Floats | float) -> Floats:
        """A point of the back: ``across`` in [-1, 1] from post to post, ``up`` in [0, 1] from seat to top."""
        a, t = np.broadcast_arrays(np.asarray(across, dtype=float), np.asarray(up, dtype=float))
        half = self.width / 2 - self.leg / 2 - 0.01
        y = self.depth / 2 - 0.02 + self.rake * t + self.bow * (1 - a**2) - 0.05 * np.sin(np.pi * t)
        return np.stack([a * half, y, self.height - 0.01 + self.back_height * t], axis=-1)

    def _wooden(self, finish: Finish) -> list[Part]:
        x = self.width / 2 - self.leg / 2
        y = self.depth / 2 - 0.05
        front = leg((x, -y, float(self._runner(y))), (x, -y, self.height + self.arm_height), self.leg, None, 0.7)
        rear_foot = (x, y - 0.03, float(self._runner(y - 0.03)))
        knots = np.stack(
            [
                np.array(rear_foot),
                *(self._back_point(x / (self.width / 2 - self.leg / 2 - 0.01), t) for t in (0, 0.5, 1)),
            ]
        )
        post = bar(smooth_path(knots, 12), self.leg * 0.8, self.leg, 0.7, side=[1, 0, 0])
        board = tapered(self.width + 0.02, self.depth + 0.02, 0.03, 0.012, 0.0, -0.008).moved(z=self.height - 0.015)
        wood = [both(front), both(post), board, *self._runners(x, -self.depth / 2 - 0.12), *self._stretchers(x, y)]
        cover = []
        if self.cushion:
            pad = tapered(self.width - 0.05, self.depth - 0.05, 0.05, 0.024, 0.0, 0.015)
            cover.append(pad.moved(z=self.height + 0.022))
        bars, soft = self._fill()
        return dress(finish, {"wood": [*wood, *bars, *self._arms(x, y)], "cover": [*cover, *soft]})

    def _stretchers(self, x: float, y: float) -> list[Mesh]:
        z = self.height * 0.45
        ends = [[(-x, -y, z + 0.04), (x, -y, z + 0.04)], [(-x, y - 0.02, z), (x, y - 0.02, z)]]
        sides = [[(side * x, -y, z - 0.03), (side * x, y - 0.02, z - 0.03)] for side in (-1, 1)]
        return [bundle(ends, 0.02), bundle(sides, 0.02)]

    def _arms(self, x: float, y: float) -> list[Mesh]:
        top = self.height + self.arm_height
        rear = self._back_point(1, min(0.9, (self.arm_height + 0.01) / self.back_height))
        path = smooth_path(
            [(x + 0.015, -y - 0.06, top - 0.005), (x + 0.03, -y + 0.12, top + 0.005), (x + 0.01, rear[1] + 0.02, top)],
            8,
        )
        wide = np.array([0.8, 1.1, 1.15, 1, 0.85, 0.75, 0.65, 0.6]) * self.arm_width
        middle = [(x, 0.05, self.height - 0.02), (x + 0.025, 0.05, top)]
        return [both(bar(path, wide, 0.024, 0.6, side=[1, 0, 0])), both(bar(middle, 0.018))]

    def _rail(self, up: float, height: float, crest: float = 0.0) -> Mesh:
        across = np.linspace(-1, 1, 11)
        path = self._back_point(across, up) + np.outer(1 - across**2, [0, 0, crest])
        return bar(path, height, 0.02, 0.5, side=[0, 0.25, 1])

    def _fill(self) -> tuple[list[Mesh], list[Mesh]]:
        """What is between the back posts: bars, and soft parts."""
        top = self._rail(0.94, 0.085, self.crest)
        if self.back == "rungs":
            return [self._rail(t, 0.05, self.crest) for t in np.linspace(0.18, 0.95, self.bars - 2)], []
        low = self._rail(0.12, 0.04)
        if self.back == "pad":
            return [top, low], [padded(lambda u, v: self._back_point(u * 0.97, 0.52 + 0.38 * v), 0.05)]
        width, depth = (0.034, 0.012) if self.back == "slats" else (0.014, 0.014)
        a = np.linspace(-1, 1, self.bars + 2)[1:-1, None]
        paths = self._back_point(a, np.linspace(0.12, 0.93, 8)[None])
        return [top, low, bundle(paths, width, depth, 0.4 if self.back == "slats" else 1.0, side=[1, 0, 0])], []
