"""Chair families: each is a dataclass of dimensions (metres, degrees) that draws itself at random and builds its parts.

To add a family, copy one of the classes: give it fields, a ``draw`` that fills them, the materials its ``slots`` may be made
of, and ``parts``. ``@family("name")`` registers it. Two images show one *design*, and share a group, exactly when their
family and all their fields agree; materials, camera and light vary freely.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import ClassVar, Protocol, TypeVar

import numpy as np

from chairlib.collection.procedural.materials import Material, Part, pick
from chairlib.collection.procedural.meshes import (
    Floats,
    Mesh,
    cushion,
    cylinder,
    filleted,
    join,
    lathe,
    rounded_box,
    sheet,
    smooth_path,
    sphere,
    sweep,
)

__all__ = ["FAMILIES", "Armchair", "Design", "DiningChair", "OfficeChair", "design_group", "draw_design", "family"]

Finish = Mapping[str, Material]


class Design(Protocol):
    """One chair's dimensions."""

    #: For each slot, the materials it may be made of, with weights.
    slots: ClassVar[Mapping[str, Mapping[str, float]]]
    #: The share of the image that its larger extent fills, on average: bulky chairs get wider margins.
    fill: ClassVar[float]

    def parts(self, finish: Finish) -> list[Part]:
        """The chair, standing on z = 0 and facing -y, with a material for every slot."""
        ...


FAMILIES: dict[str, Callable[[np.random.Generator], Design]] = {}
Class = TypeVar("Class")


def family(name: str) -> Callable[[Class], Class]:
    """Register a design class under ``name``."""

    def register(cls: Class) -> Class:
        FAMILIES[name] = cls.draw  # type: ignore[attr-defined]
        return cls

    return register


def draw_design(rng: np.random.Generator, name: str) -> Design:
    """A random design of the family ``name``."""
    return FAMILIES[name](rng)


def design_group(name: str, design: Design) -> str:
    """The group of all images of a design: its family and a digest of its dimensions."""
    digest = hashlib.sha256(repr((name, astuple(design))).encode()).hexdigest()  # type: ignore[call-overload]
    return f"segment:{name}-{digest[:12]}"


def _both(mesh: Mesh) -> Mesh:
    """A part and its mirror image on the other side."""
    return join([mesh, mesh.mirrored()])


def _tapered(width: float, depth: float, height: float, radius: float, narrowing: float, crown: float = 0.0) -> Mesh:
    """A seat board or pad about the origin, narrower at the back (+y)."""
    box = rounded_box(width, depth, height, radius, inner=8, steps=3)

    def shape(v: Floats) -> Floats:
        along = v[:, 1] / depth + 0.5
        x = v[:, 0] * (1 - narrowing * along)
        dome = (1 - np.clip(2 * v[:, 0] / width, -1, 1) ** 2) * (1 - np.clip(2 * v[:, 1] / depth, -1, 1) ** 2)
        return np.stack([x, v[:, 1], v[:, 2] + crown * dome * (v[:, 2] > 0)], axis=1)

    return box.mapped(shape)


def _round_pad(width: float, depth: float, height: float, crown: float) -> Mesh:
    """A round seat about the origin."""
    r = min(height * 0.45, 0.02)
    h = height / 2
    angles = np.radians(np.linspace(0, 90, 4))
    lower = [(1 - r + r * np.sin(a), -h + r - r * np.cos(a)) for a in angles]
    upper = [(1 - r + r * np.cos(a), h - r + r * np.sin(a)) for a in angles]
    dome = [(s, h + crown * (1 - s**2)) for s in (0.85, 0.6, 0.3, 0.0)]
    disc = lathe([(0.0, -h), *lower, *upper, *dome], sides=32)
    return disc.mapped(lambda v: v * [width / 2, depth / 2, 1.0])


@family("dining")
@dataclass(frozen=True)
class DiningChair:
    """A wooden side chair: four legs, a seat, and a back of rails, slats, spindles, a hoop, a cross, a splat or a pad."""

    slots: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "frame": {"wood": 7, "paint": 3, "metal": 0.6},
        "seat": {"fabric": 4, "leather": 3},
    }
    fill: ClassVar[float] = 0.93

    width: float
    depth: float
    height: float
    narrowing: float
    seat: str
    seat_thickness: float
    leg: float
    leg_end: float
    leg_corner: float
    splay: float
    apron: float
    stretchers: str
    back: str
    back_height: float
    rake: float
    bow: float
    rails: int
    rail_height: float
    crest: float
    arms: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "DiningChair":
        """Random proportions."""
        leg = rng.uniform(0.026, 0.046)
        return cls(
            width=rng.uniform(0.40, 0.50),
            depth=rng.uniform(0.38, 0.46),
            height=rng.uniform(0.43, 0.47),
            narrowing=rng.uniform(0.0, 0.18),
            seat=pick(rng, {"board": 3, "pad": 4, "round": 1.2}),
            seat_thickness=rng.uniform(0.018, 0.04),
            leg=leg,
            leg_end=leg * rng.uniform(0.5, 1.0),
            leg_corner=float(rng.choice([0.25, 1.0])),
            splay=rng.uniform(0.0, 0.07),
            apron=rng.choice([0.0, 1.0]) * rng.uniform(0.04, 0.08),
            stretchers=pick(rng, {"none": 4, "h": 2, "box": 3, "front": 1}),
            back=pick(
                rng,
                {"ladder": 3, "slats": 3, "spindles": 2, "hoop": 2, "cross": 1.5, "splat": 1.5, "pad": 2, "board": 1},
            ),
            back_height=rng.uniform(0.34, 0.62),
            rake=rng.uniform(0.05, 0.15),
            bow=rng.uniform(0.0, 0.06),
            rails=int(rng.integers(3, 8)),
            rail_height=rng.uniform(0.03, 0.085),
            crest=rng.uniform(-0.01, 0.05),
            arms=bool(rng.uniform() < 0.22),
        )

    @property
    def _rear(self) -> float:
        """Half the distance between the back posts at the seat."""
        return self.width / 2 * (1 - self.narrowing) - self.leg / 2

    def _back_point(self, across: float, up: float) -> Floats:
        """A point of the back: ``across`` in [-1, 1] from post to post, ``up`` in [0, 1] from seat to top."""
        x = across * (self._rear + self.splay * 0.5 * up)
        y = self.depth / 2 - self.leg / 2 + self.rake * up**1.4 + self.bow * (1 - across**2) * min(1.0, 2 * up)
        return np.array([x, y, self.height + self.back_height * up])

    def _back_path(self, ups: Floats | float, acrosses: Floats) -> Floats:
        heights = np.broadcast_to(ups, acrosses.shape)
        return np.stack([self._back_point(float(a), float(u)) for a, u in zip(acrosses, heights, strict=True)])

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``frame`` and ``seat``."""
        frame = [*self._legs(), *self._stretchers(), *self._arms()]
        soft = []
        backs: dict[str, Callable[[], list[Mesh]]] = {
            "ladder": self._ladder,
            "slats": lambda: self._uprights(0.032, 0.012, 0.3),
            "spindles": lambda: self._uprights(0.012, 0.012, 1.0),
            "hoop": self._hoop,
            "cross": self._cross,
            "splat": self._splat,
            "board": lambda: [self._panel(0.45, 0.016)],
            "pad": self._top_rail,
        }
        frame += backs[self.back]()
        if self.back == "pad":
            soft.append(self._panel(0.18, 0.045, 0.93))
        (soft if self.seat == "pad" else frame).append(self._seat())
        return [*(Part(mesh, finish["frame"]) for mesh in frame), *(Part(mesh, finish["seat"]) for mesh in soft)]

    def _seat(self) -> Mesh:
        if self.seat == "round":
            return _round_pad(self.width * 1.02, self.depth * 1.05, self.seat_thickness + 0.01, 0.006).moved(
                z=self.height
            )
        thick = self.seat_thickness + (0.035 if self.seat == "pad" else 0.0)
        crown = 0.022 if self.seat == "pad" else -0.004
        board = _tapered(self.width + 0.015, self.depth + 0.01, thick, thick * 0.48, self.narrowing, crown)
        return board.moved(z=self.height - self.seat_thickness / 2 + thick / 2)

    def _legs(self) -> list[Mesh]:
        x, y = self.width / 2 - self.leg / 2, self.depth / 2 - self.leg / 2
        top = np.array([x - 0.01, -y + 0.01, self.height - 0.01])
        foot = np.array([x - 0.01 + self.splay * 0.8, -y + 0.01 - self.splay, 0.0])
        front = sweep(
            np.linspace(foot, top, 4), np.linspace(self.leg_end, self.leg, 4), corner=self.leg_corner, side=[1, 0, 0]
        )
        apron = []
        if self.apron:
            z = self.height - self.seat_thickness / 2 - self.apron / 2
            for ends in (((-x, -y + 0.012), (x, -y + 0.012)), ((x - 0.005, -y), (self._rear, y))):
                path = [(*ends[0], z), (*ends[1], z)]
                apron.append(
                    sweep(path, 0.018, self.apron, 0.2, side=np.cross(np.subtract(path[1], path[0]), [0, 0, 1]))
                )
        return [_both(front), *(_both(mesh) for mesh in apron), _both(self._post())]

    def _post(self) -> Mesh:
        """A back leg; where the back hangs between posts it runs on to the top."""
        seat = self._back_point(1, 0)
        foot = seat * [1, 1, 0] + [self.splay * 0.5, self.splay * 0.8 + 0.02, 0]
        if self.back in ("hoop", "spindles"):
            path = np.linspace(foot, seat, 4)
        else:
            up = [self._back_point(1, t) * [1, 1, 1] for t in (0.35, 0.7, 1.0)]
            path = smooth_path([foot, foot * 0.4 + seat * 0.6, seat, *up], 14)
        share = np.linspace(0, 1, len(path))
        thick = np.interp(share, [0, 0.45, 1], [self.leg_end, self.leg, self.leg * 0.75])
        return sweep(path, thick * 0.9, thick, self.leg_corner, side=[1, 0, 0])

    def _stretchers(self) -> list[Mesh]:
        if self.stretchers == "none":
            return []
        z = self.height * 0.38
        low = 1 - z / self.height
        x, y = (
            self.width / 2 - self.leg / 2 - 0.01 + self.splay * 0.8 * low,
            -self.depth / 2 + self.leg / 2 - self.splay * low,
        )
        rear = self._back_point(1, 0) + [self.splay * 0.5 * low, (self.splay * 0.8 + 0.02) * low, 0]
        bar = min(self.leg * 0.6, 0.022)
        sides = _both(cylinder((x, y, z), (rear[0], rear[1], z), bar))
        front = cylinder((-x, y, z * 1.25), (x, y, z * 1.25), bar)
        if self.stretchers == "front":
            return [front]
        if self.stretchers == "h":
            middle = (x + rear[0]) / 2
            return [sides, cylinder((-middle, (y + rear[1]) / 2, z), (middle, (y + rear[1]) / 2, z), bar)]
        return [sides, front, cylinder((-rear[0], rear[1], z), (rear[0], rear[1], z), bar)]

    def _rail(self, up: float, height: float, thick: float = 0.016, crest: float = 0.0) -> Mesh:
        across = np.linspace(-1, 1, 11)
        path = self._back_path(up, across)
        path[:, 2] += crest * (1 - across**2)
        return sweep(path, height, thick, 0.5, side=[0, 0.25, 1])

    def _ladder(self) -> list[Mesh]:
        count = min(self.rails, 5)
        return [
            self._rail(up, min(self.rail_height, 0.55 * self.back_height / count), crest=self.crest)
            for up in np.linspace(0.25, 0.95, count)
        ]

    def _top_rail(self) -> list[Mesh]:
        return [self._rail(0.96, self.rail_height, 0.02, self.crest)]

    def _uprights(self, width: float, thick: float, corner: float) -> list[Mesh]:
        """Vertical slats or spindles below a top rail, standing on a lower rail or on the seat."""
        on_rail = self.back == "slats"
        low = 0.16 if on_rail else 0.0
        bars = [
            sweep(self._back_path(np.linspace(low, 0.94, 7), np.full(7, a)), width, thick, corner, side=[1, 0, 0])
            for a in np.linspace(-1, 1, self.rails + 2)[slice(1, -1) if on_rail else slice(None)]
        ]
        rails = [self._rail(0.96, max(self.rail_height, 0.045), 0.022, self.crest if on_rail else 0.0)]
        return bars + rails + ([self._rail(low, 0.03)] if on_rail else [])

    def _hoop(self) -> list[Mesh]:
        """A bent bow over spindles, as in a Windsor chair."""
        angle = np.linspace(0, np.pi, 25)
        across, up = np.cos(angle) * (1 + 0.12 * np.sin(angle)), np.sin(angle) ** 0.75
        bow = sweep(self._back_path(up, across), 0.024, corner=1.0)
        bars = []
        for a in np.linspace(-0.75, 0.75, self.rails + 1):
            top = float(np.sqrt(1 - (a / 1.08) ** 2)) ** 0.75
            bars.append(sweep(self._back_path(np.linspace(0, top, 6), np.full(6, a)), 0.011, corner=1.0))
        return [bow, *bars]

    def _cross(self) -> list[Mesh]:
        """Two bent bars that cross below the top rail."""
        up = np.linspace(0.08, 0.93, 9)
        bars = [
            sweep(self._back_path(up, sign * np.linspace(-0.95, 0.95, 9)), 0.02, 0.014, 0.6, side=[1, 0, 0])
            for sign in (1, -1)
        ]
        return [*bars, *self._top_rail(), self._rail(0.07, 0.025)]

    def _splat(self) -> list[Mesh]:
        """One shaped board in the middle, below a crest."""
        up = np.linspace(0.04, 0.95, 15)
        width = 0.10 + 0.05 * np.sin(up * np.pi * (1 + self.rails % 3)) ** 2
        board = sweep(self._back_path(up, np.zeros(15)), width, 0.012, 0.3, side=[1, 0, 0])
        return [board, *self._top_rail(), self._rail(0.04, 0.03)]

    def _panel(self, low: float, thick: float, high: float = 0.98) -> Mesh:
        """A bent board or pad from post to post."""
        across = np.linspace(-0.94, 0.94, 11)
        points = np.stack([self._back_path(up, across) for up in np.linspace(low, high, 8)])
        if thick < 0.03:
            return sheet(points, thick)
        pad = cushion(2, 2, thick, thick * 0.48, crown=0.012)

        def bend(v: Floats) -> Floats:
            span = [self._back_point(x * 0.9, low + (high - low) * (y + 1) / 2) for x, y in v[:, :2]]
            return np.stack(span) + v[:, 2:] * np.array([0.0, -1.0, 0.2])

        return pad.mapped(bend)

    def _arms(self) -> list[Mesh]:
        if not self.arms:
            return []
        up = min(0.6, 0.2 / self.back_height)
        rear = self._back_point(1, up)
        x, y = self.width / 2 + 0.015, -self.depth / 2 + 0.09
        tip = np.array([x + 0.01, y - 0.04, rear[2] - 0.01])
        arm = sweep(smooth_path([rear, (rear + tip) / 2 + [0.03, 0, 0.008], tip], 9), 0.045, 0.022, 0.7, side=[1, 0, 0])
        knots = [[x - 0.02, y + 0.02, self.height - 0.02], [x + 0.005, y, self.height + 0.1], [x + 0.01, y, tip[2]]]
        post = sweep(smooth_path(knots, 7), 0.028, corner=self.leg_corner, side=[1, 0, 0])
        return [_both(arm), _both(post)]


def _tufts(depth: float, columns: int) -> Callable[[Floats, Floats], Floats]:
    """Buttons in a diamond lattice."""

    def relief(x: Floats, y: Floats) -> Floats:
        u, v = x * columns, y * columns
        waves = (np.cos(np.pi * (u + v)) + np.cos(np.pi * (u - v))) / 2
        return -depth * np.clip(waves, 0, 1) ** 2

    return relief


def _channels(depth: float, columns: int) -> Callable[[Floats, Floats], Floats]:
    """Vertical pleats."""
    return lambda x, y: depth * (np.abs(np.cos(np.pi / 2 * x * columns)) - 1)


@family("armchair")
@dataclass(frozen=True)
class Armchair:
    """An upholstered arm chair: a boxy one with track or rolled arms, or a tub whose arms and back are one curve."""

    slots: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "cover": {"fabric": 6, "leather": 3},
        "legs": {"wood": 6, "metal": 2, "chrome": 1},
        "pillow": {"fabric": 1},
    }
    fill: ClassVar[float] = 0.77

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
    wings: bool
    pillow: bool
    pillow_turn: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Armchair":
        """Random proportions."""
        form = pick(rng, {"track": 3, "rolled": 2, "tub": 3, "slim": 2})
        tall = rng.uniform() < 0.3
        return cls(
            form=form,
            width=rng.uniform(0.64, 0.86),
            depth=rng.uniform(0.62, 0.80),
            height=rng.uniform(0.40, 0.46),
            base=rng.uniform(0.08, 0.16),
            clearance=rng.uniform(0.09, 0.2),
            arm_width=rng.uniform(0.06, 0.10) if form in ("tub", "slim") else rng.uniform(0.1, 0.17),
            arm_height=rng.uniform(0.56, 0.66),
            back_height=rng.uniform(0.95, 1.12) if tall else rng.uniform(0.74, 0.9),
            back_thick=rng.uniform(0.1, 0.18),
            lean=rng.uniform(0.06, 0.2),
            relief=pick(rng, {"none": 5, "tufts": 2, "channels": 2}),
            relief_count=int(rng.integers(2, 5)),
            softness=rng.uniform(0.25, 0.48),
            leg=pick(rng, {"taper": 5, "block": 1, "frame": 2}),
            leg_width=rng.uniform(0.03, 0.05),
            leg_splay=rng.uniform(0.0, 0.07),
            wings=bool(tall and rng.uniform() < 0.6),
            pillow=bool(rng.uniform() < 0.25),
            pillow_turn=rng.uniform(-25, 25),
        )

    @property
    def _relief(self) -> Callable[[Floats, Floats], Floats] | None:
        if self.relief == "tufts":
            return _tufts(0.022, self.relief_count)
        return _channels(0.018, 2 * self.relief_count + 1) if self.relief == "channels" else None

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``cover``, ``legs`` and ``pillow``."""
        cover = [*self._seat(), *(self._tub() if self.form == "tub" else [*self._back(), *self._arms()])]
        parts = [
            *(Part(mesh, finish["cover"]) for mesh in cover),
            *(Part(mesh, finish["legs"]) for mesh in self._legs()),
        ]
        if self.pillow:
            pillow = cushion(0.4, 0.4, 0.05, 0.024, crown=0.05, inner=12).turned(72, "x").turned(self.pillow_turn)
            parts.append(
                Part(pillow.moved(0.02, self.depth / 2 - self.back_thick - 0.1, self.height + 0.19), finish["pillow"])
            )
        return parts

    @property
    def _inside(self) -> float:
        return self.width - 2 * self.arm_width

    def _seat(self) -> list[Mesh]:
        top = self.clearance + self.base
        thick = max(self.height - top, 0.08)
        if self.form == "tub":
            deck = _round_pad(self.width * 0.96, self.depth * 0.96, self.base, 0.0).moved(z=top - self.base / 2)
            pad = _round_pad(self._inside * 1.02, self.depth - self.arm_width, thick, 0.025)
            return [deck, pad.moved(0, -self.arm_width * 0.4, top + thick / 2)]
        deck = rounded_box(self.width - 0.02, self.depth - 0.03, self.base, 0.02).moved(z=top - self.base / 2)
        pad = cushion(self._inside + 0.01, self.depth - self.back_thick * 0.6, thick, thick * self.softness, 0.028)
        return [deck, pad.moved(0, -self.back_thick * 0.35 - 0.012, top + thick / 2)]

    def _back(self) -> list[Mesh]:
        low = self.clearance + 0.02
        tall = self.back_height - low
        wide = self._inside + (0.02 if self.form in ("track", "rolled") else self.arm_width)
        pad = cushion(wide, tall, self.back_thick, self.back_thick * self.softness, 0.03, self._relief, inner=22)
        upright = pad.turned(90, "x").moved(0, self.depth / 2 - self.back_thick / 2, low + tall / 2)

        def lean(v: Floats) -> Floats:
            up = np.clip((v[:, 2] - self.height) / (self.back_height - self.height), 0, 1.2)
            return v + np.stack([0 * up, self.lean * up, 0 * up], axis=1)

        back = [upright.mapped(lean)]
        if self.wings:
            z = self.arm_height - 0.05
            wing = rounded_box(0.05, 0.26, self.back_height - z - 0.03, 0.024, inner=4)
            shaped = wing.mapped(lambda v: v + np.stack([0.25 * -v[:, 1], 0.25 * v[:, 2], 0 * v[:, 0]], axis=1))
            centre = (wide / 2 - 0.01, self.depth / 2 - self.back_thick - 0.05, (z + self.back_height) / 2)
            back.append(_both(shaped.moved(*centre).mapped(lean)))
        return back

    def _arms(self) -> list[Mesh]:
        x = self.width / 2 - self.arm_width / 2
        low = self.clearance + 0.01
        tall = self.arm_height - low
        arm = rounded_box(self.arm_width, self.depth - 0.02, tall, self.arm_width * self.softness, inner=4, steps=3)
        parts = [_both(arm.moved(x, 0, low + tall / 2))]
        if self.form == "rolled":
            radius = self.arm_width * 0.62
            path = np.linspace(
                (x + 0.012, -self.depth / 2 - 0.004, self.arm_height - 0.01),
                (x + 0.012, self.depth / 2, self.arm_height),
                8,
            )
            roll = sweep(path, np.array([0.93, 1, 1, 1, 1, 1, 1, 0.9]) * 2 * radius, steps=5)
            parts.append(_both(roll))
        return parts

    def _tub(self) -> list[Mesh]:
        """A thick band bent round the seat, high behind and lower at the arms."""
        # Seen from above: an ellipse, open at the front (-y).
        theta = np.radians(np.linspace(-52, 232, 45))
        rear = np.clip((np.sin(theta) + 0.25) / 1.25, 0, 1)
        top = self.arm_height + (self.back_height - self.arm_height) * rear**1.5
        low = self.clearance + 0.01
        rows = []
        for t in np.linspace(0, 1, 14):
            swell = 1 + 0.5 * self.lean * rear * t
            x = (self.width - self.arm_width) / 2 * np.cos(theta) * swell
            y = (self.depth - self.arm_width) / 2 * np.sin(theta) * swell + self.lean * 0.5 * t * rear
            rows.append(np.stack([x, y, low + (top - low) * t], axis=1))
        surface = np.stack(rows)
        thick = self.arm_width * 0.7
        rims = [sweep(path, thick * 1.04, steps=4) for path in (surface[-1], surface[:, 0], surface[:, -1])]
        return [sheet(surface, thick), *rims, *(sphere(thick * 0.52, surface[-1, end]) for end in (0, -1))]

    def _legs(self) -> list[Mesh]:
        inset = 0.16 if self.form == "tub" else 0.05
        x, y, z = self.width / 2 - inset, self.depth / 2 - inset, self.clearance + 0.02
        s = self.leg_splay
        if self.leg == "frame":
            loop = [(x, -y, z), (x, -y, 0.01), (x, y, 0.01), (x, y, z)]
            bar = sweep(filleted(loop, 0.03), 0.018, corner=0.3, side=[1, 0, 0])
            cross = [cylinder((-x, side * y, z - 0.012), (x, side * y, z - 0.012), 0.018) for side in (-1, 1)]
            return [_both(bar), *cross]
        if self.leg == "block":
            return [_both(rounded_box(0.06, 0.06, z, 0.004).moved(x, side * y, z / 2)) for side in (-1, 1)]
        return [
            _both(cylinder((x + s, side * (y + s), 0), (x, side * y, z), self.leg_width * 0.55, self.leg_width))
            for side in (-1, 1)
        ]


@family("office")
@dataclass(frozen=True)
class OfficeChair:
    """A swivel chair on a five-star base with castors."""

    slots: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "pad": {"fabric": 4, "leather": 3, "plastic": 0.5},
        "shell": {"black_plastic": 4, "plastic": 1.5, "chrome": 0.6},
        "base": {"black_plastic": 3, "chrome": 3, "metal": 1},
        "wheels": {"black_plastic": 1},
    }
    fill: ClassVar[float] = 0.93

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
        return [
            *(Part(mesh, finish["pad"]) for mesh in self._pads()),
            *(Part(mesh, finish["shell"]) for mesh in self._shell()),
            *(Part(mesh, finish["base"]) for mesh in self._star()),
            *(Part(mesh, finish["wheels"]) for mesh in self._wheels()),
        ]

    def _curved(self, low: float, high: float, thick: float, share: float = 1.0, relief: bool = False) -> Mesh:
        pattern = _channels(0.014, self.ribs) if relief else None
        pad = cushion(2, 2, thick, thick * 0.48, 0.01, (lambda x, y: pattern(y, x)) if pattern else None, inner=20)

        def bend(v: Floats) -> Floats:
            point = self._bend(v[:, 0] * share, low + (high - low) * (v[:, 1] + 1) / 2)
            return point + v[:, 2:] * np.array([0.0, -1.0, 0.1])

        return pad.mapped(bend)

    def _pads(self) -> list[Mesh]:
        seat = cushion(self.width, self.depth, self.pad, self.pad * 0.48, 0.015, inner=12)

        def drop(v: Floats) -> Floats:
            front = np.clip(-v[:, 1] / self.depth - 0.1, 0, 1)
            round_off = 1 - 0.1 * np.clip(2 * v[:, 1] / self.depth, -1, 1) ** 2
            return np.stack([v[:, 0] * round_off, v[:, 1], v[:, 2] - self.waterfall * (2.2 * front) ** 2], axis=1)

        pads = [seat.mapped(drop).moved(z=self.height - self.pad / 2)]
        if self.back != "mesh":
            pads.append(self._curved(0, 1, self.back_thick, relief=self.back == "ribbed"))
        else:
            # A stretched net: narrow bands with gaps, at this scale.
            for t in np.linspace(0.06, 0.94, 3 * self.ribs):
                path = self._bend(np.linspace(-0.97, 0.97, 9), np.full(9, t))
                pads.append(sweep(path, self.back_height / self.ribs / 4.6, 0.006, 0.4, side=[0, 0.1, 1], steps=2))
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
            return [_both(post), _both(rest)]
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
            return [_both(sweep(filleted(loop, 0.07), 0.034, 0.034, 0.8))]
        return []

    def _star(self) -> list[Mesh]:
        low = self.castor + 0.015
        hub = low + self.base_rise
        column = lathe(
            [
                (0, hub),
                (0.036, hub),
                (0.036, hub + 0.04),
                (0.026, hub + 0.05),
                (0.026, self.height - self.pad - 0.1),
                (0.018, self.height - self.pad - 0.09),
                (0.018, self.height - self.pad),
            ]
        )
        leg = sweep(
            smooth_path(
                [
                    (0, 0, hub + 0.012),
                    (self.base_radius * 0.5, 0, hub - self.base_rise * 0.3 + 0.004),
                    (self.base_radius, 0, low + 0.004),
                ],
                9,
            ),
            np.linspace(0.06, 0.034, 9),
            np.linspace(0.045, 0.024, 9),
            0.55,
            side=[0, 1, 0],
        )
        return [column, *(leg.turned(self.base_turn + 72 * k) for k in range(5))]

    def _wheels(self) -> list[Mesh]:
        r = self.castor / 2 + 0.002
        pair = [
            cylinder((-0.012 + r * 0.3, y - 0.009, r), (-0.012 + r * 0.3, y + 0.009, r), 2 * r) for y in (-0.015, 0.015)
        ]
        castor = join(
            [*pair, cylinder((0, 0, r), (0, 0, self.castor + 0.02), 0.014), sphere(0.017, (0, 0, r * 1.7), 8)]
        )
        turned = [castor.turned(137.0 * k + self.base_turn * 3) for k in range(5)]
        return [wheel.moved(self.base_radius - 0.01).turned(self.base_turn + 72 * k) for k, wheel in enumerate(turned)]
