"""Round bucket chairs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import dress, four, leg, round_pad, sled, star_base
from chairmaker.materials import Part, pick
from chairmaker.meshes import Floats, Mesh, cushion, cylinder, grid, lathe


@family("egg")
@dataclass(frozen=True)
class Egg:
    """A round bucket, upholstered inside and often of another colour outside: egg, ball, cocoon or swivel tub."""

    slots: ClassVar[Slots] = {
        "shell": {"fabric": 4, "plastic": 3, "leather": 3, "paint": 1, "velvet": 1, "bright_leather": 1, "wood": 1},
        "cover": {"fabric": 6, "leather": 3, "velvet": 2, "bright_leather": 0.7, "patterned_fabric": 0.7},
        "pad": {"fabric": 4, "leather": 3, "velvet": 1, "bright_leather": 1, "patterned_fabric": 1},
        "metal": {"chrome": 4, "steel": 3, "metal": 2},
        "wood": {"wood": 5, "paint": 1},
    }
    fill: ClassVar[float] = 0.84
    turns: ClassVar[Turns] = (("back_height", 0.86, 1.2), ("width", 0.76, 0.96))
    #: From behind it is a plain ball.
    behind: ClassVar[float] = 2

    form: str
    width: float
    depth: float
    height: float
    bowl: float
    back_height: float
    tilt: float
    rim_top: float
    rim_side: float
    rim_front: float
    wing: float
    square: float
    thick: float
    inset: float
    seat_thick: float
    two_tone: bool
    third_tone: bool
    pillow: bool
    base: str
    base_size: float
    turn: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Egg":
        """Random proportions."""
        form = pick(rng, {"egg": 3, "ball": 2, "cocoon": 2, "tub": 4})
        # Ranges of the back's height, of the bowl's tilt, and of the rim's place at the top, the sides and the front.
        low, high = np.array(
            {
                "egg": [(0.98, 46, 96, 78, 82), (1.18, 56, 108, 90, 94)],
                "ball": [(1.08, 16, 98, 96, 112), (1.25, 30, 116, 110, 122)],
                "cocoon": [(0.9, 40, 98, 92, 88), (1.1, 52, 112, 106, 102)],
                "tub": [(0.68, 52, 92, 84, 72), (0.84, 68, 106, 98, 88)],
            }[form]
        )
        back_height, tilt, rim_top, rim_side, rim_front = (float(value) for value in rng.uniform(low, high))
        return cls(
            form=form,
            width=rng.uniform(0.74, 0.94) + 0.1 * (form == "ball"),
            depth=rng.uniform(0.7, 0.86) + 0.06 * (form == "ball"),
            height=rng.uniform(0.36, 0.44),
            bowl=rng.uniform(0.36, 0.46) if form == "ball" else rng.uniform(0.26, 0.38),
            back_height=back_height,
            tilt=tilt,
            rim_top=rim_top,
            rim_side=rim_side,
            rim_front=rim_front,
            wing=rng.uniform(4, 16) if form in ("egg", "cocoon") and rng.uniform() < 0.6 else 0.0,
            square=rng.uniform(2.0, 3.6) if form == "tub" else rng.uniform(2.0, 2.4),
            thick=rng.uniform(0.045, 0.1),
            inset=rng.uniform(0.93, 0.98) if rng.uniform() < 0.35 else rng.uniform(1.0, 1.03),
            seat_thick=rng.uniform(0.09, 0.15),
            two_tone=bool(rng.uniform() < 0.6),
            third_tone=bool(rng.uniform() < 0.35),
            pillow=bool(rng.uniform() < 0.3),
            base=pick(rng, {"disc": 4, "star": 3, "legs": 3, "sled": 1.5, "floor": 3}),
            base_size=rng.uniform(0.22, 0.32),
            turn=rng.uniform(0, 90),
        )

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``shell``, ``cover``, ``pad``, ``metal`` and ``wood``."""
        slots: dict[str, list[Mesh]] = {"shell": [], "cover": [], "pad": [], "metal": [], "wood": []}
        slots["shell" if self.two_tone else "cover"].append(self._layer(0.0, 0.016, 1.0, 3))
        slots["cover"].append(self._layer(0.006, self.thick, self.inset, 6))
        slots["pad" if self.third_tone else "cover"] += self._cushions()
        substance, base = self._base()
        slots[substance] += base
        return dress(finish, slots)

    # --- the bowl ----------------------------------------------------------------------------------------------------

    @property
    def _front_drop(self) -> float:
        """How deep the front of the rim lies below the bowl's widest level, as a share of the bowl's depth."""
        return float(max(np.sin(np.radians(self.tilt + self.rim_front)), 0.3))

    @property
    def _level(self) -> float:
        """The height at which the bowl is widest."""
        return self.height - 0.45 * self.seat_thick + self.bowl * self._front_drop

    @property
    def _low(self) -> float:
        """The underside of the bowl."""
        return self._level - self.bowl

    def _surface(self, reach: float, rows: int, columns: int) -> Floats:
        """Points [rows,columns,3] of the outside, from the bottom of the bowl to ``reach`` times where its rim is."""
        theta = np.linspace(0, 2 * np.pi, columns)
        up = np.sin(theta)
        rim = self.rim_side + np.where(up > 0, self.rim_top - self.rim_side, self.rim_front - self.rim_side) * up**2
        rim = rim + self.wing * np.exp(-(((up - 0.55) / 0.28) ** 2))
        phi = np.radians(rim)[None] * np.linspace(0, reach, rows)[:, None]
        t = np.radians(self.tilt)
        x = np.sin(phi) * np.cos(theta)
        y = np.cos(phi) * np.cos(t) + np.sin(phi) * up * np.sin(t)
        z = -np.cos(phi) * np.sin(t) + np.sin(phi) * up * np.cos(t)
        swell = (np.hypot(x, y) ** self.square + np.abs(z) ** self.square) ** (-1 / self.square)
        x, y, z = x * swell, y * swell, z * swell
        top = np.maximum(z, 0) / max(float(z.max()), 1e-6) * self._crown
        # Backs rake: what rises also leans back.
        rake = 0.12 * np.maximum(z, 0) * (self.form != "ball")
        return np.stack(
            [x * self.width / 2, (y + rake) * self.depth / 2, self._level + top + np.minimum(z, 0) * self.bowl], axis=-1
        )

    def _layer(self, outside: float, inside: float, reach: float, lip: int) -> Mesh:
        """A closed layer of the bowl between two depths (metres) under its outside, with a round lip."""
        points = self._surface(reach, 15, 37)
        normals = grid(points).normals().reshape(points.shape)
        outer, inner = points - normals * outside, points - normals * inside
        along = points[-1] - points[-2]
        along = along / np.linalg.norm(along, axis=1, keepdims=True)
        angle = np.linspace(0, np.pi, lip + 2)[1:-1, None, None]
        middle, half = (outer[-1] + inner[-1]) / 2, (outer[-1] - inner[-1]) / 2
        radius = (inside - outside) / 2
        rounding = middle + half * np.cos(angle) + along * radius * np.sin(angle)
        return grid(np.concatenate([outer, rounding, inner[::-1]]))

    def _chord(self, z: Floats) -> Floats:
        """The bowl's radius at heights ``z``, as a share of its widest."""
        share = np.where(z < self._level, (self._level - z) / self.bowl, (z - self._level) / self._crown)
        return np.asarray((1 - np.clip(share, 0, 0.98) ** self.square) ** (1 / self.square))

    @property
    def _crown(self) -> float:
        """How far the bowl rises above its widest level."""
        return self.back_height - self._level

    def _cushions(self) -> list[Mesh]:
        thick, gap, z = self.seat_thick, 0.6 * self.thick, self.height - self.seat_thick / 2
        seat = round_pad(2.0, 2.0, thick, 0.04)

        def fit(v: Floats) -> Floats:
            # As wide at every height as the bowl leaves room for.
            room = self._chord(v[:, 2] + z)
            x, y = (v[:, k] * (room * size / 2 - gap) for k, size in enumerate((self.width, self.depth)))
            return np.stack([x, y - 0.2 * gap, v[:, 2] + z], axis=1)

        if not self.pillow:
            return [seat.mapped(fit)]
        wall = float(self._chord(np.array(self.height + 0.2))) * self.depth / 2 - self.thick
        back = cushion(0.36, 0.3, 0.12, 0.058, 0.035, inner=6).turned(72, "x")
        return [seat.mapped(fit), back.moved(0, wall - 0.05, self.height + 0.14)]

    # --- the base ----------------------------------------------------------------------------------------------------

    def _drum(self, share: float) -> Mesh:
        """A drum from the floor up to the bowl, as a share of the widest that fits under its front."""
        wide = share * min(float(self._chord(np.array(self._level - self.bowl * self._front_drop))), 0.9)
        radius = np.linspace(wide, 0.0, 7)
        under = self._level - self.bowl * (1 - radius**self.square) ** (1 / self.square) + 0.006
        drum = lathe([(0, 0), (wide * 0.93, 0), (wide * 0.96, 0.012), *zip(radius, under, strict=True)], 32)
        return drum.mapped(lambda v: v * [self.width / 2, self.depth / 2, 1.0])

    def _base(self) -> tuple[str, list[Mesh]]:
        """The slot and the meshes of what the bowl stands on."""
        outside = "shell" if self.two_tone else "cover"
        low, top = self._low, self._low + 0.03
        r = self.base_size
        x = self.width * 0.24
        if self.base == "floor" or low < 0.07:
            return ("metal", [self._drum(0.62)]) if self.turn < 25 else (outside, [self._drum(0.98)])
        if self.base == "disc":
            disc = lathe([(0, 0), (r, 0), (r, 0.008), (r * 0.96, 0.013), (0.05, 0.022), (0.028, 0.04), (0, 0.04)], 32)
            return "metal", [disc, cylinder((0, 0, 0.03), (0, 0, top), 0.055)]
        if self.base == "star":
            return "metal", star_base(r + 0.04, 0.012, 0.03, top, self.turn, 4 + (self.turn > 45))
        if self.base == "sled":
            return "metal", sled(self.width * 0.62, self.depth * 0.62, top + 0.05, 0.02, 0.06)
        return "wood", [four(leg((x + 0.06, x + 0.04, 0), (x * 0.8, x * 0.8, top + 0.05), 0.045, 0.028))]
