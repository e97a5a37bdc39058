"""Office chairs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import both, castors, channels, dress, padded, star_base
from chairmaker.materials import Part, pick
from chairmaker.meshes import (
    Floats,
    Mesh,
    bundle,
    cushion,
    cylinder,
    filleted,
    rounded_box,
    sheet,
    smooth_path,
    sweep,
)


@family("office")
@dataclass(frozen=True)
class OfficeChair:
    """A swivel chair on a five-star base with castors."""

    slots: ClassVar[Slots] = {
        "pad": {"fabric": 4, "leather": 3, "plastic": 0.4},
        "shell": {"black_plastic": 4, "plastic": 1.5, "chrome": 0.6},
        "base": {"black_plastic": 3, "chrome": 3, "metal": 1},
        "wheels": {"black_plastic": 1},
    }
    fill: ClassVar[float] = 0.93
    turns: ClassVar[Turns] = (("back_height", 0.36, 0.70), ("width", 0.46, 0.54))

    width: float
    depth: float
    height: float
    pad: float
    waterfall: float
    back: str
    back_width: float
    back_height: float
    back_gap: float
    back_thick: float
    lumbar: float
    lean: float
    wrap: float
    ribs: int
    headrest: bool
    arms: str
    arm_height: float
    base_radius: float
    base_rise: float
    base_turn: float
    castor: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "OfficeChair":
        """Random proportions."""
        return cls(
            width=rng.uniform(0.46, 0.54),
            depth=rng.uniform(0.44, 0.52),
            height=rng.uniform(0.44, 0.56),
            pad=rng.uniform(0.05, 0.11),
            waterfall=rng.uniform(0.01, 0.05),
            back=pick(rng, {"pad": 4, "ribbed": 2, "mesh": 3}),
            back_width=rng.uniform(0.38, 0.52),
            back_height=rng.uniform(0.36, 0.72),
            back_gap=rng.uniform(0.02, 0.14),
            back_thick=rng.uniform(0.035, 0.09),
            lumbar=rng.uniform(0.01, 0.05),
            lean=rng.uniform(0.04, 0.16),
            wrap=rng.uniform(0.02, 0.09),
            ribs=int(rng.integers(4, 9)),
            headrest=bool(rng.uniform() < 0.3),
            arms=pick(rng, {"none": 2, "t": 3, "loop": 3}),
            arm_height=rng.uniform(0.18, 0.25),
            base_radius=rng.uniform(0.28, 0.34),
            base_rise=rng.uniform(0.03, 0.09),
            base_turn=rng.uniform(0, 72),
            castor=rng.uniform(0.045, 0.06),
        )

    def _bend(self, x: Floats | float, t: Floats | float) -> Floats:
        """A point of the back: ``x`` in [-1, 1] across, ``t`` in [0, 1] from its lower to its upper edge."""
        x, t = np.asarray(x, dtype=float), np.asarray(t, dtype=float)
        half = self.back_width / 2 * (1 - 0.18 * (2 * t - 0.9) ** 2)
        y = (
            self.depth / 2
            - 0.02
            + self.lean * t**1.5
            - self.lumbar * np.exp(-(((t - 0.3) / 0.2) ** 2))
            - self.wrap * x**2
        )
        return np.stack(np.broadcast_arrays(x * half, y, self.height + self.back_gap + self.back_height * t), axis=-1)

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``pad``, ``shell``, ``base`` and ``wheels``."""
        low = self.castor + 0.019
        top = self.height - self.pad - 0.02
        slots = {"pad": self._pads(), "shell": self._shell()}
        slots["base"] = star_base(self.base_radius, low, self.base_rise, top, self.base_turn)
        slots["wheels"] = castors(self.castor, self.base_radius, self.base_turn)
        return dress(finish, slots)

    def _curved(self, thick: float, relief: bool) -> Mesh:
        """The padded back."""
        pattern = channels(0.014, self.ribs)
        return padded(
            lambda u, v: self._bend(u, (v + 1) / 2),
            thick * 1.25,
            20,
            16,
            (lambda u, v: pattern(v, u)) if relief else None,
        )

    def _pads(self) -> list[Mesh]:
        seat = cushion(self.width, self.depth, self.pad, self.pad * 0.48, 0.015, inner=12)

        def drop(v: Floats) -> Floats:
            front = np.clip(-v[:, 1] / self.depth - 0.1, 0, 1)
            round_off = 1 - 0.1 * np.clip(2 * v[:, 1] / self.depth, -1, 1) ** 2
            return np.stack([v[:, 0] * round_off, v[:, 1], v[:, 2] - self.waterfall * (2.2 * front) ** 2], axis=1)

        pads = [seat.mapped(drop).moved(z=self.height - self.pad / 2)]
        if self.back != "mesh":
            pads.append(self._curved(self.back_thick, self.back == "ribbed"))
        else:
            # A stretched net: narrow bands with gaps, at this scale.
            t = np.linspace(0.06, 0.94, 3 * self.ribs)[:, None]
            paths = self._bend(np.linspace(-0.97, 0.97, 9)[None], t)
            pads.append(bundle(paths, self.back_height / self.ribs / 4.6, 0.006, 0.4, side=[0, 0.1, 1]))
        if self.headrest:
            top = self._bend(0, 1.0)
            rest = cushion(0.28, 0.14, 0.06, 0.028, 0.01, inner=6).turned(98, "x")
            pads.append(
                rest.mapped(lambda v: v - [0, 1, 0] * (0.5 * v[:, :1] ** 2)).moved(0, top[1] + 0.01, top[2] + 0.12)
            )
        return pads

    def _shell(self) -> list[Mesh]:
        z = self.height - self.pad
        under = rounded_box(self.width * 0.8, self.depth * 0.8, 0.02, 0.009).moved(z=z - 0.005)
        box = rounded_box(0.16, 0.22, 0.06, 0.02).moved(z=z - 0.04)
        lower, middle = self._bend(0, 0.1), self._bend(0, 0.5)
        behind = np.array([0, self.back_thick / 2 + 0.02, 0])
        spine = smooth_path(
            [(0, 0.06, z - 0.04), (0, self.depth / 2, z - 0.03), lower + behind * 1.6, middle + behind], 14
        )
        parts = [under, box, sweep(spine, np.linspace(0.075, 0.05, 14), 0.02, 0.6, side=[1, 0, 0])]
        if self.back == "mesh":
            around = [(x, 0.02) for x in np.linspace(-1, 1, 9)] + [(1, t) for t in np.linspace(0.1, 0.9, 8)]
            around += (
                [(x, 0.98) for x in np.linspace(1, -1, 9)] + [(-1, t) for t in np.linspace(0.9, 0.1, 8)] + [(-1, 0.02)]
            )
            parts.append(sweep(np.stack([self._bend(x, t) for x, t in around]), 0.024, corner=1.0))
        elif self.back == "pad":
            points = np.stack([self._bend(np.linspace(-0.8, 0.8, 9), np.full(9, t)) for t in np.linspace(0.08, 0.9, 8)])
            parts.append(sheet(points + behind * 0.9, 0.012))
        if self.headrest:
            top = self._bend(0, 0.9)
            parts.append(cylinder(top + [0, 0.02, 0], top + [0, 0.035, self.back_height * 0.1 + 0.12], 0.025))
        return parts + self._arms(z)

    def _arms(self, z: float) -> list[Mesh]:
        x, top = self.width / 2 + 0.03, self.height + self.arm_height
        if self.arms == "t":
            post = sweep(filleted([(0.1, 0.02, z - 0.01), (x, 0.02, z - 0.01), (x, 0.03, top)], 0.05), 0.03, 0.05, 0.6)
            rest = rounded_box(0.075, 0.25, 0.03, 0.014).moved(x - 0.005, -0.01, top)
            return [both(post), both(rest)]
        if self.arms == "loop":
            rear = self.depth / 2 - 0.05
            loop = [
                (x - 0.06, -0.08, z),
                (x, -0.13, z + 0.04),
                (x, -0.15, top),
                (x, rear - 0.05, top),
                (x, rear, z + 0.06),
                (x - 0.06, rear - 0.08, z),
            ]
            return [both(sweep(filleted(loop, 0.07), 0.034, 0.034, 0.8))]
        return []
