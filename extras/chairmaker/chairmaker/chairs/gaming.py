"""Gaming chairs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import (
    Surface,
    bar,
    both,
    castors,
    channels,
    curve,
    dress,
    padded,
    pane,
    star_base,
)
from chairmaker.materials import Part
from chairmaker.meshes import Floats, Mesh, cushion, rounded_box


@family("gaming")
@dataclass(frozen=True)
class GamingChair:
    """A swivel chair with a tall racing back: coloured wings and bolsters round a dark middle."""

    slots: ClassVar[Slots] = {
        "cover": {"black_leather": 4, "black_plastic": 1, "leather": 0.6},
        "accent": {"bright_leather": 6, "black_leather": 0.7, "plastic": 1},
        "base": {"black_plastic": 5, "metal": 1, "chrome": 0.6},
        "wheels": {"black_plastic": 1},
    }
    fill: ClassVar[float] = 0.94
    turns: ClassVar[Turns] = (("back_height", 0.66, 0.92), ("width", 0.50, 0.56))

    width: float
    depth: float
    height: float
    pad: float
    bolster: float
    back_width: float
    back_height: float
    waist: float
    shoulder: float
    head: float
    lean: float
    wrap: float
    thickness: float
    middle: float
    holes: bool
    dark: bool
    lumbar: bool
    pillow: bool
    ribs: int
    arm_height: float
    base_radius: float
    base_rise: float
    base_turn: float
    castor: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "GamingChair":
        """Random proportions."""
        return cls(
            width=rng.uniform(0.50, 0.56),
            depth=rng.uniform(0.48, 0.54),
            height=rng.uniform(0.46, 0.54),
            pad=rng.uniform(0.09, 0.13),
            bolster=rng.uniform(0.03, 0.06),
            back_width=rng.uniform(0.48, 0.56),
            back_height=rng.uniform(0.72, 0.86),
            waist=rng.uniform(0.78, 0.9),
            shoulder=rng.uniform(0.95, 1.08),
            head=rng.uniform(0.45, 0.62),
            lean=rng.uniform(0.08, 0.22),
            wrap=rng.uniform(0.05, 0.1),
            thickness=rng.uniform(0.07, 0.1),
            middle=rng.uniform(0.5, 0.66),
            holes=bool(rng.uniform() < 0.6),
            dark=bool(rng.uniform() < 0.6),
            lumbar=bool(rng.uniform() < 0.5),
            pillow=bool(rng.uniform() < 0.5),
            ribs=int(rng.integers(2, 5)),
            arm_height=rng.uniform(0.19, 0.25),
            base_radius=rng.uniform(0.30, 0.35),
            base_rise=rng.uniform(0.04, 0.09),
            base_turn=rng.uniform(0, 72),
            castor=rng.uniform(0.05, 0.06),
        )

    def _back(self, share: float = 1.0, low: float = 0.0, high: float = 1.0, lift: float = 0.0) -> Surface:
        """The back from ``low`` to ``high``, ``share`` of its width; ``lift`` in front of it."""
        half = curve(
            [(0.0, 0.92), (0.25, self.waist), (0.62, self.shoulder), (0.84, self.head * 1.05), (1.0, self.head)]
        )

        def surface(u: Floats, v: Floats) -> Floats:
            t = low + (high - low) * (v + 1) / 2
            x = u * share * self.back_width / 2 * half(t)[..., 1]
            y = self.depth / 2 - 0.02 + self.lean * t**1.3 - self.wrap * np.abs(u * share) ** 2.5 * (1 - 0.6 * t) - lift
            z = self.height - 0.03 + self.back_height * t - 0.02 * (u * share) ** 4 * t
            return np.stack(np.broadcast_arrays(x, y, z), axis=-1)

        return surface

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``cover``, ``accent``, ``base`` and ``wheels``."""
        cover, accent = [*self._seat()], [*self._stripes()]
        body = cover if self.dark else accent
        body.append(self._bolsters())
        if self.holes:
            # A hard shell shows the openings below the head; the padding stays below them.
            holes = [(side * 0.42, 0.66, 0.26, 0.06, 2.5) for side in (-1, 1)]
            body.append(pane(self._back(), self.thickness * 0.6, 33, 23, holes))
            cover.append(padded(self._back(0.8, 0.87, 0.99, 0.02), self.thickness * 0.8, 10, 12))
            top = 0.74
        else:
            body.append(padded(self._back(), self.thickness, 26, 18))
            top = 0.95
        relief = channels(0.012, 2 * self.ribs + 1)
        cover.append(
            padded(self._back(self.middle, 0.03, top, 0.025), self.thickness, 20, 16, lambda u, v: relief(v, u))
        )
        if self.lumbar:
            accent.append(padded(self._back(0.55, 0.1, 0.3, 0.07), 0.07, 8, 12))
        if self.pillow:
            cover.append(padded(self._back(0.75, 0.82, 0.95, 0.06), 0.06, 8, 10))
        z = self.height - self.pad
        base = star_base(self.base_radius, self.castor + 0.019, self.base_rise, z - 0.02, self.base_turn)
        box = rounded_box(0.2, 0.24, 0.07, 0.02).moved(z=z - 0.02)
        wheels = castors(self.castor, self.base_radius, self.base_turn)
        return dress(finish, {"cover": cover, "accent": accent, "base": [*base, box, *self._arms(z)], "wheels": wheels})

    def _seat(self) -> list[Mesh]:
        pad = cushion(self.width * 0.8, self.depth, self.pad, self.pad * 0.45, 0.015)
        return [pad.moved(z=self.height - self.pad / 2)]

    def _stripes(self) -> list[Mesh]:
        """Coloured panels down the sides of a dark back."""
        if not self.dark:
            return []
        whole = self._back(1.0, 0.06, 0.78, 0.02)
        inner = self.middle + 0.03
        middle, half = (inner + 0.9) / 2, (0.9 - inner) / 2
        return [both(padded(lambda u, v: whole(middle + half * u, v), self.thickness * 0.8, 14, 6))]

    def _bolsters(self) -> Mesh:
        x, y, z = self.width / 2 - 0.04, self.depth / 2, self.height - self.pad / 2
        path = [(x, y - 0.02, z), (x + 0.015, 0, z + self.bolster * 0.4), (x, -y + 0.03, z - 0.01)]
        return both(bar(path, [0.1, 0.12, 0.09], self.pad + self.bolster, 0.8, side=[1, 0, 0], steps=3))

    def _arms(self, z: float) -> list[Mesh]:
        x, top = self.width / 2 + 0.05, self.height + self.arm_height
        post = bar([(0.1, 0.03, z), (x, 0.03, z), (x, 0.04, top)], 0.045, 0.06, 0.5, side=[0, 1, 0], radius=0.04)
        rest = rounded_box(0.09, 0.26, 0.03, 0.013).moved(x - 0.005, 0, top)
        return [both(post), both(rest)]
