"""Padded recliners."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import Relief, bar, both, dress, four
from chairmaker.materials import Part, pick
from chairmaker.meshes import Floats, Mesh, cushion, cylinder, filleted, lathe, rounded_box, sweep

#: No chair reaches further to the front (metres): one with its footrest out stands further back.
_FRONT = -0.68


def _creases(columns: int, rows: int, depth: float) -> Relief:
    """Sewn lines that part a cushion into columns and rows."""

    def crease(x: Floats, count: int) -> Floats:
        return np.abs(np.sin(np.pi / 2 * count * (x + 1))) ** 0.5 if count > 1 else np.ones_like(x)

    return lambda u, v: depth * (crease(u, columns) * crease(v, rows) - 1)


@family("recliner")
@dataclass(frozen=True)
class Recliner:
    """A plump recliner that stands nearly on the floor: pillow back, wide padded arms, a footrest folded in or out."""

    slots: ClassVar[Slots] = {
        "cover": {"leather": 6, "fabric": 5, "velvet": 1, "patterned_fabric": 0.3},
        "accent": {"fabric": 3, "leather": 3, "bright_leather": 1, "patterned_fabric": 0.7, "velvet": 0.7},
        "metal": {"steel": 3, "black_plastic": 2, "chrome": 1},
        "wood": {"wood": 4, "paint": 1},
    }
    fill: ClassVar[float] = 0.84
    turns: ClassVar[Turns] = (("back_height", 0.92, 1.14), ("width", 0.80, 1.02))

    width: float
    depth: float
    height: float
    base: str
    clearance: float
    arm: str
    arm_width: float
    arm_height: float
    arm_slope: float
    seat_thick: float
    back_height: float
    back_width: float
    back_thick: float
    rolls: int
    head: float
    columns: int
    lean: float
    wrap: float
    plump: float
    footrest: float
    foot_length: float
    foot_rows: int
    two_tone: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Recliner":
        """Random proportions."""
        base = pick(rng, {"floor": 5, "block": 3, "ring": 2})
        opened = rng.uniform() < 0.35
        return cls(
            width=rng.uniform(0.78, 1.02),
            depth=rng.uniform(0.76, 0.88),
            height=rng.uniform(0.44, 0.51),
            base=base,
            clearance={"floor": 0.0, "block": rng.uniform(0.02, 0.07), "ring": rng.uniform(0.06, 0.14)}[base],
            arm=pick(rng, {"over": 4, "top": 3, "rolled": 2}),
            arm_width=rng.uniform(0.15, 0.23),
            arm_height=rng.uniform(0.57, 0.68),
            arm_slope=rng.uniform(-0.03, 0.05),
            seat_thick=rng.uniform(0.15, 0.22),
            back_height=rng.uniform(0.94, 1.13),
            back_width=rng.uniform(0.0, 1.0),
            back_thick=rng.uniform(0.17, 0.26),
            rolls=int(rng.choice([1, 2, 3, 3])),
            head=rng.uniform(0.85, 1.2),
            columns=int(rng.choice([1, 2, 3])),
            lean=rng.uniform(15, 23) if opened else rng.uniform(7, 18),
            wrap=rng.uniform(0.0, 0.07),
            plump=rng.uniform(0.03, 0.06),
            footrest=rng.uniform(0, 45) if opened else 90.0,
            foot_length=rng.uniform(0.28, 0.35),
            foot_rows=int(rng.integers(1, 3)),
            two_tone=bool(rng.uniform() < 0.3),
        )

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``cover``, ``accent``, ``metal`` and ``wood``."""
        foot, linkage = self._footrest()
        slots = {
            "cover": [self._body(), *self._arms(), self._outer_back()],
            "accent" if self.two_tone else "": [*self._rolls(), self._seat(), foot],
            "metal": linkage,
            "wood": [],
        }
        slots["cover"] += slots.pop("", [])
        slots["wood" if self.base == "block" or self.foot_rows == 1 else "metal"] += self._base()
        front = min(mesh.vertices[:, 1].min() for several in slots.values() for mesh in several)
        back = max(0.0, _FRONT - float(front))
        return dress(finish, {slot: [mesh.moved(y=back) for mesh in several] for slot, several in slots.items()})

    @property
    def _inside(self) -> float:
        return self.width - 2 * self.arm_width

    def _body(self) -> Mesh:
        """The box under the seat."""
        tall = self.height - 0.6 * self.seat_thick - self.clearance
        box = rounded_box(self._inside + 0.06, self.depth - 0.1, tall, 0.02)
        return box.moved(0, 0.02, self.clearance + tall / 2)

    def _seat(self) -> Mesh:
        thick = self.seat_thick
        relief = _creases(self.columns if self.columns > 2 else 1, 1, 0.02)
        pad = cushion(self._inside + 0.02, self.depth - 0.08, thick, thick * 0.49, self.plump, relief, inner=12)

        def droop(v: Floats) -> Floats:
            # Sat in: lower towards the back.
            return v - [0, 0, 1] * (0.05 * np.clip(v[:, 1:2] / self.depth + 0.5, 0, 1))

        return pad.mapped(droop).moved(0, -0.05, self.height - thick / 2)

    def _arms(self) -> list[Mesh]:
        x, aw, front, rear = self.width / 2 - self.arm_width / 2, self.arm_width, -self.depth / 2, self.depth / 2
        tall = self.arm_height - 0.05 - self.clearance
        side = rounded_box(aw * 0.9, self.depth - 0.05, tall, 0.045, inner=2, steps=2)
        parts = [both(side.moved(x, 0, self.clearance + tall / 2))]
        top = self.arm_height - 0.06
        end = top - self.arm_slope
        if self.arm == "over":
            # One long pillow from the floor's edge up the front and back along the top.
            path = filleted(
                [(x, front + 0.03, self.clearance + 0.03), (x, front + 0.03, top), (x, rear - 0.06, end)], 0.13, 6
            )
            full = np.linspace(0, 1, len(path))
            swell = 0.75 + 0.25 * np.sin(np.pi * np.clip(full, 0.03, 0.97)) ** 0.4
            parts.append(both(sweep(path, aw * 1.08 * swell, 0.14 * swell, 0.85, side=[1, 0, 0], steps=4)))
        elif self.arm == "top":
            pillow = cushion(aw * 1.12, self.depth - 0.02, 0.15, 0.073, self.plump * 0.8, inner=6)
            slope = -np.degrees(np.arctan2(self.arm_slope, self.depth))
            parts.append(both(pillow.turned(slope, "x").moved(x, -0.01, top - self.arm_slope / 2)))
        else:
            path = np.linspace((x + 0.01, front - 0.005, top), (x + 0.01, rear - 0.02, end), 9)
            swell = np.array([0.72, 0.93, 1, 1, 1, 1, 1, 0.97, 0.85])
            parts.append(both(sweep(path, aw * 1.2 * swell, 0.19 * swell, side=[1, 0, 0], steps=4)))
        return parts

    # --- the back ----------------------------------------------------------------------------------------------------

    @property
    def _hinge(self) -> tuple[float, float]:
        """Where the back starts (y, z), on the middle of its pillows."""
        return self.depth / 2 - 0.5 * self.back_thick, self.height - 0.1

    @property
    def _rise(self) -> float:
        return (self.back_height - self._hinge[1]) / float(np.cos(np.radians(self.lean)))

    @property
    def _breadth(self) -> float:
        """The back's width: from what fits between the arms to nearly the whole chair."""
        return self._inside + (0.02 + self.back_width * 1.1 * self.arm_width)

    def _leaned(self, mesh: Mesh) -> Mesh:
        """From a flat back (y up along it, its front +z) to its place."""
        half = self._breadth / 2
        bent = mesh.mapped(lambda v: v + [0, 0, 1] * (self.wrap * np.clip(v[:, :1] / half, -1.1, 1.1) ** 2))
        y, z = self._hinge
        return bent.turned(90 - self.lean, "x").moved(0, y, z)

    def _rolls(self) -> list[Mesh]:
        shares = np.array({1: [1.0], 2: [1.15, 0.85], 3: [1.05, 1.0, 0.85]}[self.rolls])
        ends = np.concatenate([[0.0], (shares / shares.sum()).cumsum()]) * self._rise
        parts = []
        for k, (low, high) in enumerate(pairwise(ends)):
            tall = high - low
            thick = self.back_thick * (self.head if k == self.rolls - 1 else 1.0)
            # Only where the back rises above the arms may it be wider than the seat.
            wide = self._breadth if low > 0.2 or self.rolls == 1 else self._inside + 0.03
            relief = _creases(self.columns, 1, 0.025)
            radius = 0.49 * min(thick, tall)
            pillow = cushion(wide, tall * 1.1, thick, radius, self.plump, relief, inner=12)
            parts.append(self._leaned(pillow.moved(0, (low + high) / 2, 0)))
        return parts

    def _outer_back(self) -> Mesh:
        """The stuffed board behind the pillows; down to the body."""
        tall = self._rise + self.height - self.clearance - 0.3
        board = rounded_box(self._breadth - 0.03, tall, self.back_thick * 0.7, self.back_thick * 0.3, inner=6, steps=2)
        return self._leaned(board.moved(0, self._rise - 0.03 - tall / 2, -self.back_thick * 0.42))

    # --- below -------------------------------------------------------------------------------------------------------

    def _footrest(self) -> tuple[Mesh, list[Mesh]]:
        """The footrest, and the rods that hold it when it is out."""
        out = 1 - self.footrest / 90
        z = self.height - 0.75 * self.seat_thick
        length = min(self.foot_length, z - self.clearance - 0.01) if out == 0 else self.foot_length
        panel = cushion(
            self._inside - 0.01, length, 0.1, 0.048, self.plump * 0.7, _creases(1, self.foot_rows, 0.02), inner=10
        )
        y = -self.depth / 2 + 0.03 - 0.1 * out
        foot = panel.moved(0, -length / 2, 0).turned(self.footrest, "x").moved(0, y, z)
        if out == 0:
            return foot, []
        x = self._inside / 2 - 0.06
        drop = np.radians(self.footrest)
        tip = (x, y - 0.6 * length * np.cos(drop), z - 0.6 * length * np.sin(drop) - 0.02)
        rods = [bar([(x, -0.1, z - 0.2 + n), (x, y + 0.02, z - 0.14 + n), tip], 0.03, 0.012) for n in (0.0, 0.05)]
        return foot, [both(rod) for rod in rods]

    def _base(self) -> list[Mesh]:
        x, y, z = self.width / 2 - 0.09, self.depth / 2 - 0.09, self.clearance
        if self.base == "floor":
            return []
        if self.base == "block":
            return [four(rounded_box(0.07, 0.07, z + 0.02, 0.006).moved(x, y, z / 2 + 0.01))]
        r = 0.42 * min(self.width, self.depth)
        ring = lathe([(0, 0), (r, 0), (r + 0.01, 0.012), (r, 0.026), (r - 0.05, 0.03), (0, 0.035)], 32)
        return [ring, cylinder((0, 0, 0.02), (0, 0, z + 0.03), 0.2, 0.16)]
