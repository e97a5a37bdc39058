"""Wing chairs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import (
    Relief,
    Surface,
    bar,
    both,
    channels,
    dress,
    four,
    leg,
    level,
    padded,
    tufts,
    turned_leg,
)
from chairmaker.materials import Part, pick
from chairmaker.meshes import Floats, Mesh, cushion, rounded_box, smooth_path


@family("wingback")
@dataclass(frozen=True)
class Wingback:
    """A tall upholstered chair whose back has wings, with rolled, scrolled or sloping arms."""

    slots: ClassVar[Slots] = {
        "cover": {"fabric": 5, "leather": 3, "velvet": 4, "patterned_fabric": 0.8},
        "legs": {"wood": 7, "paint": 1, "metal": 1},
    }
    fill: ClassVar[float] = 0.88
    turns: ClassVar[Turns] = (("back_height", 0.88, 1.2), ("width", 0.66, 0.80))

    width: float
    depth: float
    height: float
    clearance: float
    base: float
    back_height: float
    back_thick: float
    lean: float
    crest: float
    relief: str
    relief_count: int
    wing_depth: float
    wing_flare: float
    wing_thick: float
    wing_belly: float
    arms: str
    arm_height: float
    arm_width: float
    arm_slope: float
    legs: str
    leg_width: float
    leg_splay: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Wingback":
        """Random proportions."""
        return cls(
            width=rng.uniform(0.66, 0.80),
            depth=rng.uniform(0.66, 0.78),
            height=rng.uniform(0.42, 0.47),
            clearance=rng.uniform(0.12, 0.22),
            base=rng.uniform(0.1, 0.15),
            back_height=rng.uniform(0.94, 1.15),
            back_thick=rng.uniform(0.1, 0.14),
            lean=rng.uniform(0.08, 0.2),
            crest=float(rng.choice([0.0, 1.0]) * rng.uniform(0.03, 0.09)),
            relief=pick(rng, {"none": 3, "tufts": 4, "channels": 3}),
            relief_count=int(rng.integers(3, 5)),
            wing_depth=rng.uniform(0.12, 0.24),
            wing_flare=rng.uniform(0.0, 0.08),
            wing_thick=rng.uniform(0.05, 0.08),
            wing_belly=rng.uniform(0.4, 1.0),
            arms=pick(rng, {"rolled": 4, "scroll": 2, "slim": 3}),
            arm_height=rng.uniform(0.56, 0.66),
            arm_width=rng.uniform(0.07, 0.11),
            arm_slope=rng.uniform(0.0, 0.06),
            legs=pick(rng, {"cabriole": 3, "turned": 2.5, "taper": 4}),
            leg_width=rng.uniform(0.035, 0.055),
            leg_splay=rng.uniform(0.0, 0.06),
        )

    @property
    def _inside(self) -> float:
        return self.width - 2 * self.arm_width

    def _lean(self, z: Floats) -> Floats:
        """How far back a height leans."""
        return self.lean * np.clip((z - self.height) / (self.back_height - self.height), 0, 1.2)

    def _relief(self) -> Relief | None:
        if self.relief == "tufts":
            return tufts(0.045, self.relief_count)
        return channels(0.03, 2 * self.relief_count + 1) if self.relief == "channels" else None

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``cover`` and ``legs``."""
        cover = [*self._seat(), self._back(), *self._wings(), *self._arms()]
        return dress(finish, {"cover": cover, "legs": self._legs()})

    def _seat(self) -> list[Mesh]:
        top = self.clearance + self.base
        thick = max(self.height - top, 0.09)
        deck = rounded_box(self.width - 0.05, self.depth - 0.06, self.base, 0.02).moved(z=top - self.base / 2)
        pad = cushion(self._inside + 0.02, self.depth - 0.06, thick, thick * 0.45, 0.03)
        return [deck, pad.moved(0, -0.03, top + thick / 2)]

    def _back(self) -> Mesh:
        low, rear = self.clearance + 0.04, self.depth / 2 - self.back_thick / 2

        def surface(u: Floats, v: Floats) -> Floats:
            t = (v + 1) / 2
            z = low + (self.back_height - low) * t + self.crest * (1 - u**2) * t**4
            x = u * (self._inside / 2 + 0.03 + 0.02 * t)
            return np.stack([x, rear + self._lean(z), z], axis=-1)

        return padded(surface, self.back_thick, 34, 34, self._relief())

    def _wing(self) -> Surface:
        """From the edge of the back (u = -1) to the front edge of the wing, from the arm up."""
        low, high = self.arm_height - 0.1, self.back_height - 0.01
        x, rear = self._inside / 2 + 0.025, self.depth / 2 - 0.03

        def surface(u: Floats, v: Floats) -> Floats:
            t, out = (v + 1) / 2, (u + 1) / 2
            z = low + (high - low) * t
            belly = np.sin(np.pi * np.clip(0.25 + 0.75 * t, 0, 1)) ** self.wing_belly
            reach = 0.05 + self.wing_depth * (0.35 + 0.65 * belly) + 0.22 * np.clip(0.25 - t, 0, 1)
            y = rear + self._lean(z) - out * reach
            return np.stack([x + 0.02 * t + self.wing_flare * out * np.sin(np.pi * t), y, z - 0.03 * out * t], axis=-1)

        return surface

    def _wings(self) -> list[Mesh]:
        return [both(padded(self._wing(), self.wing_thick, 14, 9))]

    def _arms(self) -> list[Mesh]:
        x, low = self.width / 2 - self.arm_width / 2, self.clearance + 0.02
        front, rear = -self.depth / 2 + 0.03, self.depth / 2 - 0.05
        top = self.arm_height
        wall = rounded_box(self.arm_width * 0.8, rear - front, top - low - 0.01, 0.03, inner=3, steps=2)
        parts = [both(wall.moved(x, (front + rear) / 2, (low + top - 0.01) / 2))]
        if self.arms == "slim":
            return parts
        path = smooth_path(
            [(x, rear, top + 0.02), (x + 0.01, 0, top - 0.005), (x + 0.02, front, top - self.arm_slope)], 8
        )
        roll = np.full(8, self.arm_width * 1.15)
        roll[-1] *= 0.9
        parts.append(both(bar(path, roll, roll, steps=3)))
        if self.arms == "scroll":
            post = smooth_path([(x + 0.02, front, top - self.arm_slope), (x + 0.005, front + 0.015, top - 0.13)], 4)
            parts.append(both(bar(np.vstack([post, [(x, front, low)]]), np.linspace(0.11, 0.05, 5), 0.04, 0.9)))
        return parts

    def _legs(self) -> list[Mesh]:
        x, y, z = self.width / 2 - 0.07, self.depth / 2 - 0.08, self.clearance + 0.02
        w, s = self.leg_width, self.leg_splay
        rear = both(leg((x - 0.01, y + s + 0.03, 0), (x - 0.01, y, z), w, w * 0.7, 0.3))
        if self.legs == "taper":
            return [four(leg((x + s, y + s, 0), (x, y, z), w, w * 0.55))]
        if self.legs == "turned":
            return [both(turned_leg(z, w * 1.2).moved(x, -y)), rear]
        knots = [(0.03, -0.03, 0), (0.0, 0.0, 0.25 * z), (0.008, -0.008, 0.6 * z), (0.02, -0.02, 0.85 * z), (0, 0, z)]
        path = smooth_path(np.array(knots) + [x, -y, 0], 9)
        thick = w * np.array([1.0, 0.75, 0.6, 0.6, 0.7, 0.9, 1.15, 1.3, 1.3])
        return [both(level(bar(path, thick))), rear]
