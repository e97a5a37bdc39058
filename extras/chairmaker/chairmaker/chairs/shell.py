"""Shell chairs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.moulded import Moulded
from chairmaker.chairs.shared import dress, four, leg, sled, star_base
from chairmaker.materials import Part, pick
from chairmaker.meshes import Mesh, bundle, lathe


def wire_base(x: float, y: float, foot_x: float, foot_y: float, top: float, low: float, wire: float) -> Mesh:
    """Crossed wires between the four corners of a seat plate (half extents x, y) and four feet."""
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    feet, heads = corners * [foot_x, foot_y], corners * [x, y]
    pairs = []
    for k in range(4):
        for n in (k, (k + 1) % 4, (k - 1) % 4):
            share = 1.0 if n == k else 0.55
            start = np.append(feet[k], low)
            end = np.append(heads[n], top)
            # The braces start some way up the legs.
            begin = start + (1 - share) * (np.append(heads[k], top) - start)
            pairs.append([begin, end])
    return bundle(np.array(pairs), wire)


@family("shell")
@dataclass(frozen=True)
class ShellChair:
    """A one-piece shell on crossed wires, wooden dowels, steel legs, a sled or a swivel base."""

    slots: ClassVar[Slots] = {
        "shell": {"plastic": 6, "wood": 2, "paint": 1},
        "cover": {"fabric": 5, "velvet": 3, "leather": 3, "patterned_fabric": 0.4},
        "pad": {"fabric": 3, "leather": 2},
        "wood": {"wood": 6, "paint": 1},
        "metal": {"steel": 4, "chrome": 3, "metal": 1},
    }
    fill: ClassVar[float] = 0.92
    turns: ClassVar[Turns] = (("height", 0.40, 0.50), ("seat.width", 0.43, 0.55))

    seat: Moulded
    height: float
    base: str
    leg: float
    splay_x: float
    splay_y: float
    turn: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "ShellChair":
        """Random proportions."""
        return cls(
            seat=Moulded.draw(rng, hard=bool(rng.uniform() < 0.6)),
            height=rng.uniform(0.42, 0.47),
            base=pick(rng, {"eiffel": 2, "dowel": 3, "steel": 3, "sled": 1.5, "swivel": 1}),
            leg=rng.uniform(0.7, 1.1),
            splay_x=rng.uniform(0.05, 0.13),
            splay_y=rng.uniform(0.05, 0.13),
            turn=rng.uniform(0, 90),
        )

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``shell`` or ``cover``, ``pad``, ``wood`` and ``metal``."""
        z = self.seat.below(self.height)
        wood: list[Mesh] = []
        metal = [self.seat.plate(self.height)]
        x, y, sx, sy = 0.12, 0.11, self.splay_x, self.splay_y
        if self.base == "eiffel":
            metal.append(wire_base(x, y, x + sx, y + sy, z, 0.0, 0.009 * self.leg))
        elif self.base == "dowel":
            wood.append(four(leg((x + sx, y + sy, 0), (x, y, z), 0.034 * self.leg, 0.022 * self.leg)))
            metal.append(wire_base(x, y, x + 0.62 * sx, y + 0.62 * sy, z, z * 0.38, 0.007))
        elif self.base == "steel":
            metal.append(four(leg((x + sx, y + sy, 0), (x, y, z), 0.024 * self.leg, 0.016 * self.leg)))
        elif self.base == "sled":
            metal += sled(0.42 + sx, 0.40 + sy, z, 0.016 * self.leg, 0.1)
        else:
            metal += star_base(0.27, 0.02, 0.04, z, self.turn, 4)
            foot = lathe([(0, 0), (0.018, 0), (0.018, 0.02), (0, 0.02)], 8).moved(0.26)
            metal += [foot.turned(self.turn + 90 * k) for k in range(4)]
        pad = [] if self.seat.substance == "cover" else self.seat.cushion(self.height)
        slots: dict[str, list[Mesh]] = {"shell": [], "cover": [], "pad": pad, "wood": wood, "metal": metal}
        slots["metal" if self.seat.substance == "wire" else self.seat.substance].append(self.seat.shell(self.height))
        return dress(finish, slots)
