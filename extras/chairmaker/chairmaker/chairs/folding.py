"""Folding chairs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chairmaker.chairs.design import Finish, Slots, Turns, family
from chairmaker.chairs.shared import bar, both, dress, padded, pane, tapered
from chairmaker.materials import Part, pick
from chairmaker.meshes import Floats, Mesh, bundle, rounded_box, smooth_path


@family("folding")
@dataclass(frozen=True)
class FoldingChair:
    """Legs crossed like an X below a seat of slats, plastic or padding."""

    slots: ClassVar[Slots] = {
        "wood": {"wood": 7, "paint": 2},
        "metal": {"steel": 5, "chrome": 1.5, "metal": 1},
        "plastic": {"plastic": 4, "black_plastic": 1},
        "cover": {"leather": 3, "fabric": 3, "canvas": 1},
    }
    fill: ClassVar[float] = 0.94
    turns: ClassVar[Turns] = (("back_height", 0.3, 0.5), ("width", 0.40, 0.48))

    form: str
    width: float
    depth: float
    height: float
    back_height: float
    rake: float
    stride: float
    bar: float
    slats: int
    upright: bool
    back_slats: int
    seat_thick: float
    handle: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "FoldingChair":
        """Random proportions."""
        return cls(
            form=pick(rng, {"wood": 3, "bistro": 3, "plastic": 2, "padded": 2}),
            width=rng.uniform(0.40, 0.48),
            depth=rng.uniform(0.36, 0.42),
            height=rng.uniform(0.43, 0.46),
            back_height=rng.uniform(0.32, 0.45),
            rake=rng.uniform(0.05, 0.13),
            stride=rng.uniform(0.2, 0.26),
            bar=rng.uniform(0.8, 1.2),
            slats=int(rng.integers(5, 9)),
            upright=bool(rng.uniform() < 0.3),
            back_slats=int(rng.integers(2, 5)),
            seat_thick=rng.uniform(0.02, 0.05),
            handle=bool(rng.uniform() < 0.5),
        )

    @property
    def _half(self) -> float:
        return self.width / 2 - 0.01

    def _back_point(self, across: Floats | float, up: Floats | float) -> Floats:
        """A point of the back: ``across`` in [-1, 1], ``up`` in [0, 1] from seat to top."""
        a, t = np.broadcast_arrays(np.asarray(across, dtype=float), np.asarray(up, dtype=float))
        y = self.depth / 2 - 0.01 + self.rake * t + 0.02 * (1 - a**2)
        return np.stack([a * self._half, y, self.height + self.back_height * t], axis=-1)

    def parts(self, finish: Finish) -> list[Part]:
        """The chair in the slots ``wood``, ``metal``, ``plastic`` and ``cover``, as its form needs them."""
        frame, filling = self._frame(), self._slats()
        if self.form == "wood":
            return dress(finish, {"wood": [*frame, *filling]})
        if self.form == "bistro":
            return dress(finish, {"metal": frame, "wood": filling})
        return dress(finish, {"metal": frame, "plastic" if self.form == "plastic" else "cover": self._panels()})

    def _frame(self) -> list[Mesh]:
        x, s, h = self._half, self.stride, self.height
        flat = self.form in ("wood", "bistro")
        wide, deep = (0.018, 0.032) if self.form == "wood" else (0.012, 0.022) if flat else (0.02, 0.02)
        wide, deep, corner = wide * self.bar, deep * self.bar, 0.3 if flat else 1.0
        knee = self.depth / 2 - 0.03
        top = self._back_point(1, 1) - [0, 0.02, 0]
        post = smooth_path([(x, -s, 0.008), (x, knee - 0.09, h - 0.12), (x, knee, h + 0.02), tuple(top)], 12)
        inner = x - wide - 0.006
        strut = [(inner, s + 0.03, 0.008), (inner, -self.depth / 2 + 0.03, h - 0.012)]
        rail = [(inner, -self.depth / 2 + 0.01, h - 0.014), (inner, self.depth / 2, h - 0.014)]
        pieces = [both(bar(path, wide, deep, corner, side=[1, 0, 0])) for path in (post, strut, rail)]
        thin = wide * 0.9
        low = 0.25 * h
        y = s + 0.03 - (s + self.depth / 2) * low / h
        front = -s + (s + knee - 0.09) * 0.16 / (h - 0.12)
        levels = [[(-inner, y, low), (inner, y, low)], [(-x, front, 0.16), (x, front, 0.16)]]
        hinges = [
            [(-x, self.depth / 2 - 0.03, h - 0.014), (x, self.depth / 2 - 0.03, h - 0.014)],
            [(-inner, -self.depth / 2 + 0.03, h - 0.014), (inner, -self.depth / 2 + 0.03, h - 0.014)],
        ]
        return [*pieces, bundle([*levels, *hinges], thin), *self._crown(wide)]

    def _crown(self, wide: float) -> list[Mesh]:
        """The bent tube that joins the posts of a metal chair above the back."""
        if self.form in ("wood", "bistro"):
            return []
        across = np.linspace(-1, 1, 9)
        return [bar(self._back_point(across, 1.0) - [0, 0.02, 0], wide)]

    def _slats(self) -> list[Mesh]:
        if self.form not in ("wood", "bistro"):
            return []
        h, thick = self.height + 0.004, 0.014
        x, y = self._half, self.depth / 2
        if self.upright:
            at = np.linspace(-x + 0.03, x - 0.03, self.slats)
            seat = [[(a, -y, h), (a, y, h)] for a in at]
            gap = (2 * x - 0.06) / (self.slats - 1)
            side = [1, 0, 0]
        else:
            at = np.linspace(-y + 0.02, y - 0.03, self.slats)
            seat = [[(-x - 0.005, a, h), (x + 0.005, a, h)] for a in at]
            gap = (2 * y - 0.05) / (self.slats - 1)
            side = [0, 1, 0]
        boards = bundle(seat, gap * 0.68, thick, 0.3, side=side)
        across = np.linspace(-1.02, 1.02, 9)
        share = 0.62 / self.back_slats
        levels = np.linspace(0.45 + share / 2, 0.97, self.back_slats)[:, None]
        if self.form == "wood" and self.upright:
            ends = np.array([[0.42], [0.95]])
            rails = bundle(self._back_point(across[None], ends), 0.04, 0.016, 0.4, side=[0, 0, 1])
            a = np.linspace(-0.8, 0.8, self.slats)[:, None]
            return [boards, rails, bundle(self._back_point(a, np.linspace(0.42, 0.95, 4)[None]), 0.03, 0.01, 0.3)]
        rails = bundle(
            self._back_point(across[None], levels), share * self.back_height * 0.75, 0.012, 0.4, side=[0, 0, 1]
        )
        return [boards, rails]

    def _panels(self) -> list[Mesh]:
        """Moulded or padded seat and back."""
        soft = self.form == "padded"
        thick = self.seat_thick if soft else 0.018
        seat = tapered(self.width - 0.03, self.depth, thick, thick * 0.45, 0.06, 0.012 if soft else -0.004)
        deck = rounded_box(self.width - 0.05, self.depth - 0.03, 0.012, 0.004).moved(z=self.height - 0.008)
        panels = [seat.moved(z=self.height + thick / 2 - 0.004), deck]
        if soft:
            return [*panels, padded(lambda u, v: self._back_point(u, 0.7 + 0.26 * v), 0.04, 10, 14)]
        holes = [(0.0, 0.55, 0.3, 0.22, 3.0)] if self.handle else []
        if self.back_slats > 3:
            holes = [(0.0, v, 0.75, 0.09, 5.0) for v in (-0.6, -0.2, 0.2, 0.6)]
        return [*panels, pane(lambda u, v: self._back_point(u, 0.7 + 0.27 * v), 0.014, 25, 21, holes)]
