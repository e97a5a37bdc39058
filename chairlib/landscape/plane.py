"""The plane through three models in the space of weights (Garipov et al. 2018)."""

import math

import numpy as np
import torch
from torch import Tensor

from chairlib.core.errors import ParameterError
from chairlib.landscape.space import combine
from chairlib.landscape.states import State, check_alike, trainable

#: Three points whose directions differ by less than this many radians span no plane worth drawing.
_LEAST_ANGLE = 1e-4
#: The space around the three points, as a share of the longer side.
_MARGIN = 0.2


class Plane:
    """The plane through three models in parameter space, with true distances (Garipov et al. 2018).

    ``p`` is the origin, ``a`` lies on the x axis and ``b`` above it; axes are orthonormal (Gram-Schmidt over trainable
    parameters, in float64), so one unit along either is one unit of :func:`l2_distance`. Don't change the states that
    are given. points: coordinates of p, a and b, float64 [3, 2]. Raises :class:`ParameterError` if the three lie on a
    line (an angle below 1e-4 rad), and as :func:`l2_distance` does.
    """

    def __init__(self, p: State, a: State, b: State):
        check_alike([p, a, b])
        self.states = (p, a, b)
        origin = trainable(p, a, b)
        to_a, to_b = (
            [state[key].detach().double() - origin[key].detach().double() for key in origin] for state in (a, b)
        )
        aa, ab, bb = _dot(to_a, to_a), _dot(to_a, to_b), _dot(to_b, to_b)
        span_a, span_b = math.sqrt(aa), math.sqrt(bb)
        along = above = 0.0
        if span_a:
            along = ab / span_a
            # From the entries: the difference of norms would cancel to noise.
            rest = [of_b - ab / aa * of_a for of_a, of_b in zip(to_a, to_b, strict=True)]
            above = math.sqrt(_dot(rest, rest))
        if above <= _LEAST_ANGLE * span_b or span_a <= _LEAST_ANGLE * span_b:
            raise ParameterError(
                f"three states on a line span no plane (p to a {span_a:g}, p to b {span_b:g}, "
                f"b is {above:g} off the line): give three different models."
            )
        self.points = np.array([[0.0, 0.0], [span_a, 0.0], [along, above]])

    def coefficients(self, x: float, y: float) -> tuple[float, float, float]:
        """How p, a and b are weighed at (x, y); they sum to 1, and all lie in [0, 1] inside of the triangle."""
        (_, (span_a, _), (along, above)) = self.points.tolist()
        of_b = y / above
        of_a = (x - of_b * along) / span_a
        return 1 - of_a - of_b, of_a, of_b

    def state(self, x: float, y: float) -> dict[str, Tensor]:
        """The state at coordinates (x, y), as a new one (see :func:`combine`); at the three points a copy of theirs."""
        return combine(self.states, self.coefficients(x, y))

    def grid(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (xs, ys), float64 and ascending, of cells around the three points, with one step on both axes.

        ``n`` (2 or more) along the longer side, and as many as fit along the other. The space around the points is a
        fifth of the longer side, and up to one step less beyond the shorter side's far end. The points lie inside of
        the cells, which reach half a step beyond their coordinates. Cells beyond the triangle extrapolate. From n = 5
        on, twice as many steps (5 -> 9) keep every coordinate to the last bit: a finer grid goes on from a coarser one.
        """
        low, high = self.points.min(0), self.points.max(0)
        space = _MARGIN * (high - low).max()
        sides = high - low + 2 * space
        longest, steps = sides.max(), n - 1
        axes = []
        for start, side in zip(low - space, sides / longest, strict=True):
            # Rounded down, because twice a number rounded down never is more than its double rounded down: so grids
            # nest. No fewer, though, than reach the farthest point, which few steps may not.
            fit = math.floor(steps * (side + 1e-9))
            reach = math.ceil(steps * (side - space / longest - 1e-9) - 0.5)
            axes.append(start + longest / steps * np.arange(max(1, fit, reach) + 1))
        return axes[0], axes[1]


def _dot(a: list[Tensor], b: list[Tensor]) -> float:
    return math.fsum(torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).tolist())
