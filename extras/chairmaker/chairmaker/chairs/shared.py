"""What several families are built from: pads, panes with openings, lattices, legs and bases."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from chairmaker.chairs.design import Finish
from chairmaker.materials import Part
from chairmaker.meshes import (
    Floats,
    Mesh,
    bundle,
    cylinder,
    filleted,
    grid,
    join,
    lathe,
    rounded_box,
    smooth_path,
    sphere,
)

#: Points [...,3] of a surface for u and v [...] in [-1, 1]; its front is where u x v points.
Surface = Callable[[Floats, Floats], Floats]
#: Height of a relief (metres) for u and v [...] in [-1, 1].
Relief = Callable[[Floats, Floats], Floats]
#: An opening: its centre (u, v), half its extents, and how square it is (2 is an ellipse, 6 nearly a rectangle).
Hole = tuple[float, float, float, float, float]


def dress(finish: Finish, meshes: Mapping[str, Sequence[Mesh]]) -> list[Part]:
    """The meshes of every slot in that slot's material."""
    return [Part(mesh, finish[slot]) for slot, several in meshes.items() for mesh in several]


def both(mesh: Mesh) -> Mesh:
    """A part and its mirror image on the other side."""
    return join([mesh, mesh.mirrored()])


def four(mesh: Mesh) -> Mesh:
    """A part in all four corners."""
    return both(join([mesh, mesh.mirrored().turned(180)]))


def curve(points: ArrayLike) -> Callable[[Floats], Floats]:
    """A smooth curve through points [N,D], as a function of the share of its length in [0, 1]."""
    controls = np.asarray(points, dtype=float)
    position = np.concatenate([[0.0], np.linalg.norm(np.diff(controls, axis=0), axis=1).cumsum()])
    spline = CubicSpline(position / position[-1], controls, bc_type="natural")
    return lambda t: spline(t)


# --- seats and pads ---------------------------------------------------------------------------------------------------


def tapered(width: float, depth: float, height: float, radius: float, narrowing: float, crown: float = 0.0) -> Mesh:
    """A seat board or pad about the origin, narrower at the back (+y)."""
    box = rounded_box(width, depth, height, radius, inner=8, steps=3)

    def shape(v: Floats) -> Floats:
        along = v[:, 1] / depth + 0.5
        x = v[:, 0] * (1 - narrowing * along)
        dome = (1 - np.clip(2 * v[:, 0] / width, -1, 1) ** 2) * (1 - np.clip(2 * v[:, 1] / depth, -1, 1) ** 2)
        return np.stack([x, v[:, 1], v[:, 2] + crown * dome * (v[:, 2] > 0)], axis=1)

    return box.mapped(shape)


def round_pad(width: float, depth: float, height: float, crown: float) -> Mesh:
    """A round seat about the origin."""
    r = min(height * 0.45, 0.02)
    h = height / 2
    angles = np.radians(np.linspace(0, 90, 4))
    lower = [(1 - r + r * np.sin(a), -h + r - r * np.cos(a)) for a in angles]
    upper = [(1 - r + r * np.cos(a), h - r + r * np.sin(a)) for a in angles]
    dome = [(s, h + crown * (1 - s**2)) for s in (0.85, 0.6, 0.3, 0.0)]
    disc = lathe([(0.0, -h), *lower, *upper, *dome], sides=32)
    return disc.mapped(lambda v: v * [width / 2, depth / 2, 1.0])


def tufts(depth: float, columns: int) -> Relief:
    """Buttons in a diamond lattice, with creases from button to button."""

    def relief(u: Floats, v: Floats) -> Floats:
        x, y = u * columns, v * columns
        pillow = np.abs(np.sin(np.pi / 2 * (x + y)) * np.sin(np.pi / 2 * (x - y)))
        return depth * (pillow**0.6 - 1)

    return relief


def channels(depth: float, columns: int) -> Relief:
    """Vertical pleats."""
    return lambda u, v: depth * (np.abs(np.cos(np.pi / 2 * u * columns)) ** 0.7 - 1)


def spread(count: int) -> Floats:
    """Places in [-1, 1] that crowd towards the ends, where soft edges bend most."""
    return np.sin(np.linspace(-np.pi / 2, np.pi / 2, count))


def padded(surface: Surface, thickness: float, rows: int = 16, columns: int = 16, relief: Relief | None = None) -> Mesh:
    """A soft pad around a surface, thinner towards its edges. ``relief`` shapes its front; thickness is in metres."""
    u, v = np.meshgrid(spread(columns), spread(rows))
    points = surface(u, v)
    normals = grid(points).normals().reshape(points.shape)
    swell = np.sqrt(np.clip((1 - np.abs(u) ** 6) * (1 - np.abs(v) ** 6), 0, 1)) * thickness / 2
    front = swell if relief is None else swell + relief(u, v) * swell / max(thickness / 2, 1e-9)
    return join([grid(points + normals * front[..., None]), grid((points - normals * swell[..., None])[:, ::-1])])


# --- panes and lattices -----------------------------------------------------------------------------------------------


def _punch(u: Floats, v: Floats, hole: Hole) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Lattice coordinates [R,C] drawn to the rim of an opening, and which cells [R-1,C-1] stay."""
    across, up, wide, high, power = hole
    x, y = (u - across) / wide, (v - up) / high
    distance = (np.abs(x) ** power + np.abs(y) ** power) ** (1 / power)
    corners = (distance[:-1, :-1], distance[1:, :-1], distance[:-1, 1:], distance[1:, 1:])
    kept = sum(corners) / 4 > 1.0
    touching = np.zeros((2, *u.shape), dtype=bool)
    for row in (slice(None, -1), slice(1, None)):
        for column in (slice(None, -1), slice(1, None)):
            touching[0, row, column] |= kept
            touching[1, row, column] |= ~kept
    pull = np.where(touching.all(axis=0), 1 / np.maximum(distance, 1e-6), 1.0)
    return across + x * pull * wide, up + y * pull * high, np.asarray(kept)


def pane(surface: Surface, thickness: float, rows: int, columns: int, holes: Sequence[Hole] = ()) -> Mesh:
    """A hard closed shell of even thickness (metres) about a surface, with real openings."""
    u, v = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    kept = np.ones((rows - 1, columns - 1), dtype=bool)
    for hole in holes:
        u, v, stays = _punch(u, v, hole)
        kept &= stays
    middle = grid(surface(u, v))
    faces = middle.faces[np.tile(kept.reshape(-1), 2)]
    offset = middle.normals() * thickness / 2
    front, back = middle.vertices + offset, middle.vertices - offset
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = len(middle.vertices)
    a, b = edges[~np.isin(edges @ [count, 1], edges @ [1, count])].T
    wall = np.concatenate([front[b], front[a], back[a], back[b]])
    corner = np.arange(4 * len(a)).reshape(4, -1)
    quads = np.concatenate([corner[[0, 1, 2]].T, corner[[0, 2, 3]].T])
    return join(
        [
            Mesh(front, faces, middle.uv, middle.weld),
            Mesh(back, faces[:, ::-1], middle.uv, middle.weld),
            Mesh(wall, quads, np.zeros((len(wall), 2)), np.arange(len(wall))),
        ]
    )


def lattice(surface: Surface, wide: int, high: int, strand: float, diagonals: bool = False, points: int = 7) -> Mesh:
    """Woven cane or a net over a surface: ``wide`` upright and ``high`` level strands with real holes between them."""
    t = np.linspace(-1, 1, points)
    upright = np.broadcast_arrays(np.linspace(-1, 1, wide + 2)[1:-1, None], t[None])
    level = np.broadcast_arrays(t[None], np.linspace(-1, 1, high + 2)[1:-1, None])
    pairs = [upright, level]
    if diagonals:
        # The lines u + v = c and u - v = c, cut off where the panel ends.
        c = np.linspace(-2, 2, wide + 1)[1:-1, None]
        reach = 1 - np.abs(c) / 2
        pairs += [(c / 2 + reach * t, sign * (c / 2 - reach * t)) for sign in (1, -1)]
    strands = [surface(u, v) for u, v in pairs]
    return bundle(np.concatenate(strands), strand, strand * 0.5, 0.05, steps=0)


# --- legs and bases ---------------------------------------------------------------------------------------------------


def bar(
    points: ArrayLike,
    width: ArrayLike,
    depth: ArrayLike | None = None,
    corner: float = 1.0,
    side: ArrayLike | None = None,
    radius: float = 0.0,
    steps: int = 2,
) -> Mesh:
    """One bar along points [N,3], its corners bent to ``radius``."""
    path = filleted(points, radius) if radius else np.asarray(points, dtype=float)
    return bundle(path[None], width, depth, corner, side, steps)


def leg(foot: ArrayLike, top: ArrayLike, width: float, end: float | None = None, corner: float = 1.0) -> Mesh:
    """A straight leg from foot to top, ``end`` wide at the foot, cut level with the floor."""
    low, high = np.asarray(foot, dtype=float), np.asarray(top, dtype=float)
    mesh = bundle(np.stack([low, high])[None], [end or width, width], corner=corner, side=[1, 0, 0], steps=2)
    return level(mesh, low[2])


def level(mesh: Mesh, floor: float = 0.0) -> Mesh:
    """A mesh whose feet are cut level with the floor."""
    return mesh.mapped(lambda v: np.stack([v[:, 0], v[:, 1], np.maximum(v[:, 2], floor)], axis=1))


def turned_leg(height: float, width: float, beads: int = 2) -> Mesh:
    """A leg turned on a lathe, standing on z = 0 about the z axis."""
    t = np.linspace(0, 1, 6 * beads + 7)
    swell = 0.55 + 0.3 * t + 0.22 * np.sin(np.pi * (beads + 0.5) * t) ** 2
    swell[-2:] = 1.0
    rings = zip(width / 2 * swell, height * t, strict=True)
    return lathe([(0.0, 0.0), *rings, (0.0, height)], 10)


def star_base(radius: float, low: float, rise: float, top: float, turn: float = 0.0, count: int = 5) -> list[Mesh]:
    """A column up to ``top`` on arms whose tips are at ``low``, and whose hub lies ``rise`` above them."""
    hub = low + rise
    neck = max(top - 0.1, hub + 0.06)
    column = lathe(
        [
            (0, hub - 0.012),
            (0.036, hub - 0.012),
            (0.036, hub + 0.04),
            (0.026, hub + 0.05),
            (0.026, neck),
            (0.018, neck + 0.01),
            (0.018, max(top, neck + 0.02)),
            (0, max(top, neck + 0.02)),
        ],
        14,
    )
    path = smooth_path([(0, 0, hub + 0.012), (radius * 0.5, 0, hub - rise * 0.3 + 0.004), (radius, 0, low)], 7)
    arm = bar(path, np.linspace(0.06, 0.034, 7), np.linspace(0.045, 0.024, 7), 0.55, side=[0, 1, 0])
    return [column, *(arm.turned(turn + 360 / count * k) for k in range(count))]


def castors(size: float, radius: float, turn: float, count: int = 5) -> list[Mesh]:
    """Twin-wheeled castors under the tips of a star base."""
    r = size / 2 + 0.002
    x = -0.012 + r * 0.3
    pair = [cylinder((x, y - 0.009, r), (x, y + 0.009, r), 2 * r) for y in (-0.015, 0.015)]
    castor = join([*pair, cylinder((0, 0, r), (0, 0, size + 0.02), 0.014), sphere(0.017, (0, 0, r * 1.7), 8)])
    turned = [castor.turned(137.0 * k + turn * 3) for k in range(count)]
    return [wheel.moved(radius - 0.01).turned(turn + 360 / count * k) for k, wheel in enumerate(turned)]


def sled(width: float, depth: float, top: float, tube: float, inset: float = 0.06, rear: float = 0.0) -> list[Mesh]:
    """Two bent tubes along the floor, with bars across under the seat.

    ``rear`` moves the rear uprights back (metres).
    """
    x, y, z = width / 2, depth / 2, tube / 2
    loop = [(x - inset, -y + inset, top), (x, -y, z), (x, y + rear, z), (x - inset, y - inset, top)]
    across = [
        bar([(-x + inset, side * (y - inset), top), (x - inset, side * (y - inset), top)], tube) for side in (-1, 1)
    ]
    return [both(bar(loop, tube, radius=0.05)), *across]
