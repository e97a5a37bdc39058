"""Where things stand, so that nothing is put into anything else."""

from collections.abc import Sequence

import numpy as np

from chairmaker.materials import Part
from chairmaker.meshes import Floats
from chairmaker.rooms.shapes import Span, moved

#: What lies flatter than this (rugs) is walked on, and what hangs higher is walked under (metres).
_FLAT, _OVERHEAD = 0.05, 1.9
#: How far things keep from one another (metres).
_GAP = 0.03
#: How often a place is tried for what is strewn about.
_TRIES = 6


def _rectangles(parts: Sequence[Part]) -> Floats:
    """The ground that each part stands on or over, [N,2,2] of (low, high) in x and y."""
    spans = [(part.mesh.vertices.min(axis=0), part.mesh.vertices.max(axis=0)) for part in parts]
    standing = [(low[:2], high[:2]) for low, high in spans if high[2] > _FLAT and low[2] < _OVERHEAD]
    return np.array(standing).reshape(-1, 2, 2)


class Ground:
    """A floor that remembers which places are taken. It reaches from ``low`` to ``high`` (x, y)."""

    def __init__(self, low: Sequence[float] = (-np.inf, -np.inf), high: Sequence[float] = (np.inf, np.inf)) -> None:
        self._low, self._high = np.asarray(low), np.asarray(high)
        self._taken = np.empty((0, 2, 2))

    def take(self, parts: Sequence[Part], inside: bool = False) -> bool:
        """Whether the place of ``parts`` is free; if it is, it is taken from now on.

        With ``inside`` they must not reach beyond the floor either.
        """
        wanted = _rectangles(parts)
        if not len(wanted):
            return True
        low, high = wanted[:, 0].min(axis=0), wanted[:, 1].max(axis=0)
        if inside and ((low < self._low).any() or (high > self._high).any()):
            return False
        # A thing's own parts may overlap, but nothing should stand between the legs of another thing.
        meets = (self._taken[:, 0] < high + _GAP).all(axis=1) & (self._taken[:, 1] > low - _GAP).all(axis=1)
        if meets.any():
            return False
        self._taken = np.concatenate([self._taken, wanted])
        return True

    def strewn(
        self, rng: np.random.Generator, parts: Sequence[Part], x: Span, y: Span, turn: float = 0.0
    ) -> list[Part]:
        """``parts`` at a free place within spans of x and y, turned by up to ``turn`` degrees; empty without one."""
        for _ in range(_TRIES):
            there = moved(parts, rng.uniform(*x), rng.uniform(*y), turn=rng.uniform(-turn, turn))
            if self.take(there, inside=True):
                return there
        return []
