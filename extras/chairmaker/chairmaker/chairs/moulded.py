"""The one-piece seat that shell chairs, rockers and lounge chairs share."""

from dataclasses import dataclass

import numpy as np

from chairmaker.chairs.shared import (
    Hole,
    Relief,
    Surface,
    bar,
    channels,
    curve,
    lattice,
    padded,
    pane,
    tufts,
)
from chairmaker.materials import pick
from chairmaker.meshes import Floats, Mesh, join, rounded_box


@dataclass(frozen=True)
class Moulded:
    """A shell bent from one sheet: seat, back, and in some arms, hard or upholstered."""

    width: float
    depth: float
    back_height: float
    recline: float
    dish: float
    wrap: float
    arm: float
    waist: float
    top: float
    droop: float
    thickness: float
    relief: str
    relief_count: int
    opening: str
    pad: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, hard: bool) -> "Moulded":
        """Random proportions; ``hard`` ones are thin, others upholstered."""
        armed = rng.uniform() < 0.4
        return cls(
            width=rng.uniform(0.43, 0.52) + 0.05 * armed,
            depth=rng.uniform(0.41, 0.48),
            back_height=rng.uniform(0.30, 0.40) if armed else rng.uniform(0.34, 0.50),
            recline=rng.uniform(0.08, 0.2),
            dish=rng.uniform(0.01, 0.04),
            wrap=rng.uniform(0.03, 0.11),
            arm=rng.uniform(0.14, 0.24) if armed else 0.0,
            waist=rng.uniform(0.82, 1.05),
            top=rng.uniform(0.72, 1.0),
            droop=rng.uniform(0.02, 0.16),
            thickness=rng.uniform(0.008, 0.014) if hard else rng.uniform(0.045, 0.075),
            relief="none" if hard else pick(rng, {"none": 4, "channels": 2, "tufts": 2}),
            relief_count=int(rng.integers(2, 6)),
            opening=pick(rng, {"none": 5, "slot": 2, "oval": 2, "slats": 1.5, "holes": 1.5, "wire": 2})
            if hard
            else "none",
            pad=bool(rng.uniform() < 0.3),
        )

    def surface(self, height: float) -> Surface:
        """The shell with its seat at ``height`` metres: u runs across, v from the front lip to the top of the back."""
        d, b, r = self.depth, self.back_height, self.recline
        profile = curve(
            [
                (-d / 2, height - 0.025),
                (-d / 2 + 0.07, height + 0.002),
                (0.02, height - 0.012),
                (d / 2 - 0.09, height - 0.008),
                (d / 2 - 0.005, height + 0.055),
                (d / 2 + 0.45 * r, height + 0.5 * b),
                (d / 2 + r, height + b),
            ]
        )
        knots = [(0.0, 0.9), (0.25, 1.0), (0.5, self.waist), (0.78, (1 + self.top) / 2), (1.0, self.top * 0.9)]
        breadth = curve(knots)

        def shell(u: Floats, v: Floats) -> Floats:
            t = (v + 1) / 2
            # Rounded corners: the edges at the sides end sooner.
            t = t - self.droop * np.abs(u) ** 4 * t**3 + 0.04 * np.abs(u) ** 4 * (1 - t) ** 3
            line = profile(t)
            half = self.width / 2 * breadth(t)[..., 1]
            bend = np.clip((t - 0.35) / 0.3, 0, 1)
            bend = bend * bend * (3 - 2 * bend)
            # Arms rise steeply from the seat and run out slowly into the back.
            rise = np.exp(-(((t - 0.43) / np.where(t < 0.43, 0.24, 0.36)) ** 2))
            side = np.abs(u) ** 2.5
            x = u * (half + 0.05 * rise * (self.arm > 0))
            # Arms are the sides of the seat drawn up; without them the back hugs a little.
            y = line[..., 0] - bend * self.wrap * side - 0.25 * self.arm * rise * side
            z = line[..., 1] + (1 - bend) * self.dish * side + (1 - 0.3 * bend) * self.arm * rise * side
            return np.stack([x, y, z], axis=-1)

        return shell

    def _holes(self) -> list[Hole]:
        low, high = 0.35, 0.85
        middle, half = (low + high) / 2, (high - low) / 2
        return {
            "none": [],
            "wire": [],
            "slot": [(0.0, 0.12, 0.5, 0.09, 4.0)],
            "oval": [(0.0, 0.62, 0.45, 0.14, 2.0)],
            "slats": [(u, middle, 0.06, half, 5.0) for u in np.linspace(-0.6, 0.6, 4)],
            "holes": [(u, v, 0.09, 0.055, 2.0) for u in (-0.48, -0.16, 0.16, 0.48) for v in (0.38, 0.56, 0.74)],
        }[self.opening]

    def shell(self, height: float) -> Mesh:
        """The shell itself."""
        if self.thickness > 0.03:
            relief: Relief | None = None
            if self.relief == "channels":
                relief = channels(self.thickness * 0.3, 2 * self.relief_count + 1)
            elif self.relief == "tufts":
                relief = tufts(self.thickness * 0.45, self.relief_count)
            return padded(self.surface(height), self.thickness, 30, 26, relief)
        if self.opening == "wire":
            return self._wires(self.surface(height))
        fine = self.opening in ("slats", "holes")
        return pane(self.surface(height), self.thickness, 49 if fine else 29, 37 if fine else 23, self._holes())

    def _wires(self, surface: Surface) -> Mesh:
        """The shell as a net of welded wires in a rim."""
        edge = np.linspace(-1, 1, 17)
        full = np.ones(17)
        u = np.concatenate([edge, full, -edge, -full])
        v = np.concatenate([-full, edge, full, -edge])
        count = 3 * self.relief_count + 5
        return join([lattice(surface, count, 2 * count, 0.005, points=15), bar(surface(u, v), 0.011)])

    def cushion(self, height: float) -> list[Mesh]:
        """The loose pad on the seat, where there is one."""
        if not self.pad:
            return []
        surface = self.surface(height)
        lift = np.array([0.0, 0.0, self.thickness / 2 + 0.014])
        return [padded(lambda u, v: surface(u * 0.8, -0.52 + 0.4 * v) + lift, 0.04, 10, 10)]

    @property
    def substance(self) -> str:
        """Whether it is a ``cover``, a hard ``shell``, or of ``wire``."""
        return "cover" if self.thickness > 0.03 else "wire" if self.opening == "wire" else "shell"

    def below(self, height: float) -> float:
        """Where the underside of the seat's middle is."""
        return height - 0.016 - self.thickness / 2

    def plate(self, height: float) -> Mesh:
        """What the legs are bolted to."""
        return rounded_box(0.27, 0.25, 0.022, 0.006).moved(z=self.below(height) - 0.008)
