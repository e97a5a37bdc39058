"""Directors' chairs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import bar, both, dress, pane
from chairmaker.materials import Part, pick
from chairmaker.meshes import Floats, Mesh, bundle, rounded_box


@family("directors")
@dataclass(frozen=True)
class DirectorsChair:
    """Crossed legs between runners and seat rails, with canvas slings for a seat and a back."""

    slots: ClassVar[Slots] = {
        "frame": {"wood": 7, "paint": 2, "steel": 1, "metal": 0.7},
        "sling": {"canvas": 6, "leather": 1.5, "patterned_fabric": 0.5},
    }
    fill: ClassVar[float] = 0.93
    turns: ClassVar[Turns] = (("height", 0.40, 0.72), ("width", 0.50, 0.58))

    width: float
    depth: float
    height: float
    bar: float
    round: bool
    sag: float
    arm_height: float
    arm_wide: float
    back_height: float
    back_band: float
    back_sag: float
    lean: float
    crosses: str
    rest: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "DirectorsChair":
        """Random proportions."""
        tall = rng.uniform() < 0.25
        return cls(
            width=rng.uniform(0.50, 0.58),
            depth=rng.uniform(0.38, 0.44),
            height=rng.uniform(0.60, 0.70) if tall else rng.uniform(0.42, 0.48),
            bar=rng.uniform(0.024, 0.034),
            round=bool(rng.uniform() < 0.2),
            sag=rng.uniform(0.015, 0.05),
            arm_height=rng.uniform(0.17, 0.22),
            arm_wide=rng.uniform(0.04, 0.065),
            back_height=rng.uniform(0.38, 0.46),
            back_band=rng.uniform(0.15, 0.24),
            back_sag=rng.uniform(0.02, 0.06),
            lean=rng.uniform(0.0, 0.07),
            crosses=pick(rng, {"front and rear": 4, "double": 2}),
            rest=bool(tall),
        )

    @property
    def _corner(self) -> float:
        return 1.0 if self.round else 0.3

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``frame`` and ``sling``."""
        return dress(finish, {"frame": [*self._legs(), *self._posts()], "sling": [self._seat(), self._back()]})

    def _legs(self) -> list[Mesh]:
        x, y, b, h = self.width / 2 - 0.02, self.depth / 2 - 0.02, self.bar, self.height
        runners = both(bar([(x, -y - 0.04, b / 2), (x, y + 0.04, b / 2)], b, corner=self._corner))
        rails = both(bar([(x, -y - 0.03, h), (x, y + 0.03, h)], b, corner=self._corner))
        places = (-y, y) if self.crosses == "front and rear" else (-y, -y + 2.4 * b, y - 2.4 * b, y)
        pairs = []
        for k, place in enumerate(places):
            shift = b * 0.3 * (1 if k % 2 else -1)
            pairs += [
                [(side * x, place + side * shift, b * 0.6), (-side * x, place + side * shift, h)] for side in (-1, 1)
            ]
        legs = bundle(pairs, b * 0.6, b, self._corner, side=[0, 1, 0], steps=2)
        pieces = [runners, rails, legs]
        if self.rest:
            z = 0.2 * h
            step = x * (1 - 2 * z / h)
            board = rounded_box(2 * step + 0.05, 0.07, 0.018, 0.005).moved(0, -y - 0.03, z)
            pieces.append(board)
        return pieces

    def _posts(self) -> list[Mesh]:
        x, y, b = self.width / 2 - 0.005, self.depth / 2 - 0.02, self.bar
        arm = self.height + self.arm_height
        front = bar([(x, -y, self.height - 0.015), (x, -y, arm)], b, b * 0.7, self._corner, side=[0, 1, 0])
        top = self.height + self.back_height + 0.01
        rear = [(x, y, self.height - 0.015), (x, y, arm), (x, y + self.lean, top)]
        post = bar(rear, b, b * 0.7, self._corner, side=[0, 1, 0], radius=0.03)
        board = rounded_box(self.arm_wide, self.depth + 0.06, 0.02, 0.008).moved(x, -0.01, arm)
        return [both(mesh) for mesh in (front, post, board)]

    def _seat(self) -> Mesh:
        x, y = self.width / 2 - 0.012, self.depth / 2 - 0.025

        def surface(u: Floats, v: Floats) -> Floats:
            z = self.height + self.bar * 0.55 - self.sag * (1 - u**2) * (1 - 0.25 * v)
            return np.stack(np.broadcast_arrays(u * x, v * y, z), axis=-1)

        return pane(surface, 0.006, 5, 13)

    def _back(self) -> Mesh:
        x, y = self.width / 2 + 0.012, self.depth / 2 - 0.02
        high = self.height + self.back_height
        reach = self.back_height - self.arm_height

        def surface(u: Floats, v: Floats) -> Floats:
            z = high - self.back_band * (1 - v) / 2 - 0.012 * (1 - u**2)
            lean = self.lean * np.clip((z - self.height - self.arm_height) / reach, 0, 1)
            sag = self.back_sag * (1 - np.abs(u) ** 2.5)
            return np.stack(np.broadcast_arrays(u * x, y - 0.018 + lean + sag, z), axis=-1)

        # The hems go round the posts.
        return pane(surface, 0.014, 5, 15)
