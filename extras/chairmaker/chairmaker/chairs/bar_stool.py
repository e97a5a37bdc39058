"""Bar stools."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import (
    Surface,
    bar,
    both,
    channels,
    dress,
    four,
    leg,
    padded,
    round_pad,
    tapered,
)
from chairmaker.materials import Part, pick
from chairmaker.meshes import Floats, Mesh, bundle, lathe


@family("bar_stool")
@dataclass(frozen=True)
class BarStool:
    """A high seat on a pedestal or four legs, with a rest for the feet and a low back or none."""

    slots: ClassVar[Slots] = {
        "seat": {"leather": 5, "fabric": 3, "velvet": 2, "plastic": 2},
        "wood": {"wood": 6, "paint": 2},
        "metal": {"chrome": 4, "steel": 5, "metal": 2},
    }
    fill: ClassVar[float] = 0.94
    turns: ClassVar[Turns] = (("height", 0.58, 0.84), ("width", 0.34, 0.42))

    height: float
    form: str
    width: float
    thickness: float
    crown: float
    soft: bool
    back: str
    back_height: float
    back_lean: float
    base: str
    leg: float
    splay: float
    ring: float
    foot: float
    ribs: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "BarStool":
        """Random proportions."""
        base = pick(rng, {"pedestal": 4, "steel": 3, "wood": 4})
        soft = bool(base == "pedestal" or rng.uniform() < 0.5)
        return cls(
            height=rng.uniform(0.62, 0.80),
            form=pick(rng, {"round": 4, "square": 4, "bucket": 3 if soft else 0}),
            width=rng.uniform(0.34, 0.42),
            thickness=rng.uniform(0.05, 0.09) if soft else rng.uniform(0.025, 0.04),
            crown=rng.uniform(0.005, 0.02),
            soft=soft,
            back=pick(rng, {"none": 4, "pad": 4, "hoop": 2, "slats": 2}),
            back_height=rng.uniform(0.16, 0.36),
            back_lean=rng.uniform(0.02, 0.08),
            base=base,
            leg=rng.uniform(0.8, 1.2),
            splay=rng.uniform(0.03, 0.09),
            ring=rng.uniform(0.26, 0.42),
            foot=rng.uniform(0.19, 0.23),
            ribs=int(rng.integers(3, 6)),
        )

    def parts(self, finish: Finish) -> list[Part]:
        """The stool in the slots ``seat``, ``wood`` and ``metal``."""
        frame = self._pedestal() if self.base == "pedestal" else self._four_legs()
        hard, soft = self._back()
        timber = self.base == "wood"
        (soft if self.soft else hard).append(self._seat())
        if self.base == "pedestal":
            return dress(finish, {"seat": soft, "metal": [*frame, *hard]})
        return dress(
            finish, {"seat": soft, "wood": [*(frame if timber else []), *hard], "metal": [] if timber else frame}
        )

    def _seat(self) -> Mesh:
        z = self.height - self.thickness / 2
        if self.form == "round":
            return round_pad(self.width, self.width, self.thickness, self.crown).moved(z=z)
        return tapered(self.width, self.width * 0.95, self.thickness, self.thickness * 0.45, 0.08, self.crown).moved(
            z=z
        )

    def _rest(self) -> Surface:
        """The back, bent round the rear of the seat; deep round the sides in a bucket."""
        sweep_angle = np.radians(100 if self.form == "bucket" else 58 if self.form == "round" else 46)
        radius = self.width / 2 + 0.01

        def surface(u: Floats, v: Floats) -> Floats:
            t, a = (v + 1) / 2, u * sweep_angle
            top = self.back_height * (1 - (0.45 if self.form == "bucket" else 0.12) * u**2)
            out = radius + self.back_lean * t * np.cos(a * 0.5)
            z = self.height - self.thickness * 0.6 + (top + self.thickness * 0.6) * t
            return np.stack([out * np.sin(a), out * np.cos(a), z], axis=-1)

        return surface

    def _back(self) -> tuple[list[Mesh], list[Mesh]]:
        """Hard parts and soft parts of the back."""
        rest = self._rest()
        if self.form == "bucket":
            return [], [padded(rest, 0.06, 10, 26, channels(0.012, 2 * self.ribs + 3) if self.ribs % 2 else None)]
        if self.back == "none":
            return [], []
        around = np.linspace(-1, 1, 13)
        low, full = np.full(13, -1.0), np.full(13, 1.0)
        posts = both(bar(rest(np.full(6, 0.86), np.linspace(-1, 0.9, 6)), 0.022, corner=0.8))
        if self.back == "pad":
            cover = padded(lambda u, v: rest(u, 0.25 + 0.7 * v), 0.05, 9, 16)
            return [posts], [cover]
        if self.back == "hoop":
            loop = np.concatenate([rest(np.full(4, -1.0), np.linspace(-1, 0.6, 4)), rest(around * 0.9, full)])
            loop = np.concatenate([loop, rest(np.full(4, 1.0), np.linspace(0.6, -1, 4))])
            return [bar(loop, 0.022), bar(rest(around * 0.97, full * 0.2), 0.018)], []
        rail = bar(rest(around, full * 0.9), 0.045, 0.018, 0.5, side=[0, 0, 1])
        u = np.linspace(-0.8, 0.8, self.ribs + 2)[:, None]
        slats = bundle(rest(*np.broadcast_arrays(u, np.linspace(-1, 0.9, 5)[None])), 0.018, 0.012, 0.6, side=[1, 0, 0])
        return [rail, slats, bar(rest(around, low), 0.02)], []

    def _pedestal(self) -> list[Mesh]:
        z, r = self.height - self.thickness, self.foot
        disc = [(0, 0), (r, 0), (r, 0.008), (r * 0.8, 0.018), (0.05, 0.03), (0.033, 0.06)]
        column = [(0.033, 0.3 * z), (0.024, 0.3 * z + 0.01), (0.024, z - 0.09), (0.035, z - 0.08), (0.08, z), (0, z)]
        angle = np.linspace(0, 2 * np.pi, 21)
        out, level = self.width * 0.38, self.ring + 0.02
        ring = np.stack([out * np.cos(angle), out * np.sin(angle) - out * 0.6, np.full(21, level)], axis=1)
        stay = [(0, 0, level), (0, -out * 1.6, level)]
        return [lathe([*disc, *column], 22), bar(ring, 0.018), bar(stay, 0.016), self._plate(z)]

    def _plate(self, z: float) -> Mesh:
        return lathe([(0, z - 0.012), (0.13, z - 0.012), (0.13, z + 0.006), (0, z + 0.006)], 14)

    def _four_legs(self) -> list[Mesh]:
        half, z = self.width / 2, self.height - self.thickness * 0.7
        top, out = half * 0.78, half * 0.8 + self.splay
        timber = self.base == "wood"
        width, end = (0.036 * self.leg, 0.028 * self.leg) if timber else (0.02 * self.leg,) * 2
        legs = four(leg((out, out, 0), (top, top, z), width, end, 0.4 if timber else 1.0))
        at = out + (top - out) * self.ring / z
        level = np.array([(at, -at, self.ring), (-at, -at, self.ring), (-at, at, self.ring), (at, at, self.ring)])
        thick = width * 0.75
        if not timber and self.form == "round":
            angle = np.linspace(0, 2 * np.pi, 25)
            around = at * 1.41 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
            return [legs, bar(np.column_stack([around, np.full(25, self.ring)]), thick), self._plate(z)]
        rails = bundle(np.stack([level, np.roll(level, -1, axis=0)], axis=1), thick)
        upper = level * [0.98, 0.98, 0] + [0, 0, z - 0.01]
        upper[:, :2] *= top / (at * 0.98)
        apron = bundle(np.stack([upper, np.roll(upper, -1, axis=0)], axis=1), 0.03, 0.016, 0.3, side=[0, 0, 1])
        return [legs, rails, apron, self._plate(z)]
