"""Upholstered arm chairs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import Relief, both, channels, dress, leg, padded, round_pad, tufts
from chairmaker.materials import Part, pick
from chairmaker.meshes import (
    Floats,
    Mesh,
    cushion,
    cylinder,
    filleted,
    rounded_box,
    sweep,
)


@family("armchair")
@dataclass(frozen=True)
class Armchair:
    """An upholstered arm chair: a boxy one with track or rolled arms, or a tub whose arms and back are one curve."""

    slots: ClassVar[Slots] = {
        "cover": {"fabric": 6, "leather": 3, "velvet": 2.5, "patterned_fabric": 0.7},
        "wicker": {"wicker": 1},
        "legs": {"wood": 6, "metal": 2, "chrome": 1},
        "pillow": {"fabric": 2, "patterned_fabric": 2, "velvet": 1},
        "seat": {"fabric": 4, "leather": 3, "patterned_fabric": 1.5, "velvet": 1, "bright_leather": 0.7},
    }
    fill: ClassVar[float] = 0.8
    turns: ClassVar[Turns] = (("back_height", 0.72, 1.1), ("width", 0.64, 0.86))

    form: str
    width: float
    depth: float
    height: float
    base: float
    clearance: float
    arm_width: float
    arm_height: float
    back_height: float
    back_thick: float
    lean: float
    relief: str
    relief_count: int
    softness: float
    leg: str
    leg_width: float
    leg_splay: float
    woven: bool
    pillow: bool
    pillow_turn: float
    two_tone: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Armchair":
        """Random proportions."""
        form = pick(rng, {"track": 3, "rolled": 2, "tub": 3, "slim": 2})
        tall = form != "tub" and rng.uniform() < 0.3
        # A third stand on the floor or nearly so, covered all the way down.
        low = rng.uniform() < 0.35
        leg = pick(rng, {"none": 2, "block": 1, "plinth": 1} if low else {"taper": 5, "block": 1, "frame": 2})
        clearance = rng.uniform(0.02, 0.05) if low else rng.uniform(0.09, 0.2)
        return cls(
            form=form,
            width=rng.uniform(0.64, 0.86),
            depth=rng.uniform(0.62, 0.80),
            height=rng.uniform(0.40, 0.46),
            base=rng.uniform(0.2, 0.27) if low else rng.uniform(0.08, 0.16),
            clearance=0.0 if leg == "none" else clearance,
            arm_width=rng.uniform(0.06, 0.10) if form in ("tub", "slim") else rng.uniform(0.1, 0.17),
            arm_height=rng.uniform(0.56, 0.66),
            back_height=rng.uniform(0.95, 1.12) if tall else rng.uniform(0.74, 0.9),
            back_thick=rng.uniform(0.1, 0.18),
            lean=rng.uniform(0.06, 0.2),
            relief=pick(rng, {"none": 5, "tufts": 2, "channels": 2}),
            relief_count=int(rng.integers(2, 5)),
            softness=rng.uniform(0.25, 0.48),
            leg=leg,
            leg_width=rng.uniform(0.03, 0.05),
            leg_splay=rng.uniform(0.0, 0.07),
            woven=bool(form == "tub" and rng.uniform() < 0.35),
            pillow=bool(rng.uniform() < 0.25),
            pillow_turn=rng.uniform(-25, 25),
            two_tone=bool(rng.uniform() < 0.25),
        )

    @property
    def _relief(self) -> Relief | None:
        if self.relief == "tufts":
            return tufts(0.022, self.relief_count)
        return channels(0.018, 2 * self.relief_count + 1) if self.relief == "channels" else None

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``cover``, ``seat``, ``wicker``, ``legs`` and ``pillow``."""
        around = self._tub() if self.form == "tub" else [*self._back(), *self._arms()]
        deck, pad = self._seat()
        slots: dict[str, list[Mesh]] = {"cover": [], "seat": [], "wicker": []}
        slots["wicker" if self.woven else "cover"] += [deck, *around]
        slots["seat" if self.two_tone else "cover"].append(pad)
        return dress(finish, {**slots, "legs": self._legs(), "pillow": self._pillow()})

    def _pillow(self) -> list[Mesh]:
        if not self.pillow:
            return []
        pillow = cushion(0.4, 0.4, 0.05, 0.024, crown=0.05, inner=8).turned(72, "x").turned(self.pillow_turn)
        return [pillow.moved(0.02, self.depth / 2 - self.back_thick - 0.1, self.height + 0.19)]

    @property
    def _inside(self) -> float:
        return self.width - 2 * self.arm_width

    def _seat(self) -> list[Mesh]:
        top = self.clearance + self.base
        thick = max(self.height - top, 0.08)
        if self.form == "tub":
            deck = round_pad(self.width * 0.96, self.depth * 0.96, self.base, 0.0).moved(z=top - self.base / 2)
            pad = round_pad(self._inside * 1.02, self.depth - self.arm_width, thick, 0.025)
            return [deck, pad.moved(0, -self.arm_width * 0.4, top + thick / 2)]
        deck = rounded_box(self.width - 0.02, self.depth - 0.03, self.base, 0.02).moved(z=top - self.base / 2)
        pad = cushion(self._inside + 0.01, self.depth - self.back_thick * 0.6, thick, thick * self.softness, 0.028)
        return [deck, pad.moved(0, -self.back_thick * 0.35 - 0.012, top + thick / 2)]

    def _back(self) -> list[Mesh]:
        low = self.clearance + 0.02
        tall = self.back_height - low
        wide = self._inside + (0.02 if self.form in ("track", "rolled") else self.arm_width)
        pad = cushion(wide, tall, self.back_thick, self.back_thick * self.softness, 0.03, self._relief, inner=18)
        upright = pad.turned(90, "x").moved(0, self.depth / 2 - self.back_thick / 2, low + tall / 2)

        def lean(v: Floats) -> Floats:
            up = np.clip((v[:, 2] - self.height) / (self.back_height - self.height), 0, 1.2)
            return v + np.stack([0 * up, self.lean * up, 0 * up], axis=1)

        return [upright.mapped(lean)]

    def _arms(self) -> list[Mesh]:
        x = self.width / 2 - self.arm_width / 2
        low = self.clearance + 0.01
        tall = self.arm_height - low
        arm = rounded_box(self.arm_width, self.depth - 0.02, tall, self.arm_width * self.softness, inner=4, steps=3)
        parts = [both(arm.moved(x, 0, low + tall / 2))]
        if self.form == "rolled":
            radius = self.arm_width * 0.62
            path = np.linspace(
                (x + 0.012, -self.depth / 2 - 0.004, self.arm_height - 0.01),
                (x + 0.012, self.depth / 2, self.arm_height),
                8,
            )
            roll = sweep(path, np.array([0.93, 1, 1, 1, 1, 1, 1, 0.9]) * 2 * radius, steps=5)
            parts.append(both(roll))
        return parts

    def _tub(self) -> list[Mesh]:
        """A thick band bent round the seat, high behind and lower at the arms."""
        low, pleats = self.clearance + 0.01, 2 * self.relief_count + 5
        scallop = 0.02 * (self.relief == "channels" and self.softness > 0.36)

        def surface(u: Floats, v: Floats) -> Floats:
            # Seen from above: an ellipse, open at the front (-y); the padding is inside.
            theta, t = np.radians(90 - 142 * u), (v + 1) / 2
            rear = np.clip((np.sin(theta) + 0.25) / 1.25, 0, 1)
            top = self.arm_height + (self.back_height - self.arm_height) * rear
            top = top + scallop * np.abs(np.cos(np.pi / 2 * u * pleats)) ** 0.7
            swell = 1 + 0.5 * self.lean * rear * t
            x = (self.width - self.arm_width) / 2 * np.cos(theta) * swell
            y = (self.depth - self.arm_width) / 2 * np.sin(theta) * swell + self.lean * 0.5 * t * rear
            return np.stack([x, y, low + (top - low) * t], axis=-1)

        buttons, fans = tufts(self.arm_width * 0.35, 2), channels(self.arm_width * 0.3, pleats)
        reliefs: dict[str, Relief] = {"channels": fans, "tufts": lambda u, v: buttons(u * self.relief_count, v)}
        return [padded(surface, self.arm_width, 16, 54 if self.relief in reliefs else 36, reliefs.get(self.relief))]

    def _legs(self) -> list[Mesh]:
        inset = 0.16 if self.form == "tub" else 0.05
        x, y, z = self.width / 2 - inset, self.depth / 2 - inset, self.clearance + 0.02
        s = self.leg_splay
        if self.leg == "none":
            return []
        if self.leg == "plinth":
            inside = 0.75 if self.form == "tub" else 0.92
            return [rounded_box(self.width * inside, self.depth * inside, z, 0.004).moved(z=z / 2)]
        if self.leg == "frame":
            loop = [(x, -y, z), (x, -y, 0.01), (x, y, 0.01), (x, y, z)]
            bar = sweep(filleted(loop, 0.03), 0.018, corner=0.3, side=[1, 0, 0])
            cross = [cylinder((-x, side * y, z - 0.012), (x, side * y, z - 0.012), 0.018) for side in (-1, 1)]
            return [both(bar), *cross]
        if self.leg == "block":
            return [both(rounded_box(0.06, 0.06, z, 0.004).moved(x, side * y, z / 2)) for side in (-1, 1)]
        return [
            both(leg((x + s, side * (y + s), 0), (x, side * y, z), self.leg_width, self.leg_width * 0.55))
            for side in (-1, 1)
        ]
