"""Many simple shapes at once, and how parts are moved: what rooms are built from besides :mod:`meshes`.

A room has hundreds of boards and bars of a few pixels each; they are made together, with flat faces and few triangles.
"""

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chairmaker.materials import Material, Part
from chairmaker.meshes import Floats, Mesh, grid, lathe

Span = tuple[float, float]

#: The corners of a box, as 0 (low) or 1 (high) in x, y and z: face by face, anticlockwise as seen from outside.
_CORNERS = np.array(
    [
        [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]],
        [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]],
        [[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]],
        [[0, 1, 0], [0, 1, 1], [1, 1, 1], [1, 1, 0]],
        [[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]],
        [[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]],
    ]
)
_AXES = np.repeat([0, 0, 1, 1, 2, 2], 4)


def boxes(spans: ArrayLike) -> Mesh:
    """Boxes from rows [N,6] of (x low, x high, y low, y high, z low, z high) as one mesh.

    Wood grain runs along the longest side of each.
    """
    sides = np.asarray(spans, dtype=float).reshape(-1, 3, 2)
    count = len(sides)
    corners = _CORNERS.reshape(24, 3)
    vertices = np.take_along_axis(sides[:, None], corners[None, :, :, None], axis=3)[..., 0]
    order = np.argsort(sides[:, :, 1] - sides[:, :, 0], axis=1, kind="stable")
    short, middle, long = (order[:, i : i + 1] for i in range(3))
    across, along = np.where(short == _AXES, middle, short), np.where(long == _AXES, middle, long)
    uv = np.stack([np.take_along_axis(vertices, axis[..., None], axis=2)[..., 0] for axis in (across, along)], axis=2)
    start = np.arange(count * 6)[:, None] * 4
    faces = np.concatenate([start + [0, 1, 2], start + [0, 2, 3]])
    return Mesh(vertices.reshape(-1, 3), faces, uv.reshape(-1, 2) + 5.0, np.arange(count * 24) // 4)


def box(x: Span, y: Span, z: Span) -> Mesh:
    """One box between two corners."""
    return boxes([[*x, *y, *z]])


@cache
def _strip_faces(count: int, rows: int, columns: int) -> NDArray[np.int64]:
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    lower = np.stack([corner, corner + 1, corner + columns + 1], axis=1)
    upper = np.stack([corner, corner + columns + 1, corner + columns], axis=1)
    one = np.concatenate([lower, upper])
    return (one[None] + np.arange(count)[:, None, None] * rows * columns).reshape(-1, 3)


def strips(points: Floats, closed: bool = False) -> Mesh:
    """Smooth surfaces through points [N,R,C,3] as one mesh: leaves, blades, flags.

    ``closed`` joins the last column to the first.
    """
    count, rows, columns = points.shape[:3]
    across = np.linalg.norm(np.diff(points, axis=2), axis=3).mean(axis=1).cumsum(axis=1)
    along = np.linalg.norm(np.diff(points, axis=1), axis=3).max(axis=2).cumsum(axis=1)
    u, v = (np.concatenate([np.zeros((count, 1)), lengths], axis=1) for lengths in (across, along))
    shape = (count, rows, columns)
    uv = np.stack([np.broadcast_to(u[:, None, :], shape), np.broadcast_to(v[:, :, None], shape)], axis=3)
    weld = np.arange(count * rows * columns).reshape(shape)
    if closed:
        weld[:, :, -1] = weld[:, :, 0]
    return Mesh(points.reshape(-1, 3), _strip_faces(count, rows, columns), uv.reshape(-1, 2), weld.reshape(-1))


def bars(starts: ArrayLike, ends: ArrayLike, thickness: ArrayLike, sides: int = 6) -> Mesh:
    """Straight round bars between points [N,3] as one mesh, open at their ends; ``thickness`` is one number or [N]."""
    start, end = np.asarray(starts, dtype=float).reshape(-1, 3), np.asarray(ends, dtype=float).reshape(-1, 3)
    way = end - start
    way = way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    helper = np.where(np.abs(way[:, 2:]) > 0.9, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    first = np.cross(way, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(way, first)
    angle = np.linspace(0, 2 * np.pi, sides + 1)[None, :, None]
    radius = np.broadcast_to(np.asarray(thickness, dtype=float) / 2, len(start))[:, None, None]
    circle = radius * (np.cos(angle) * first[:, None] + np.sin(angle) * second[:, None])
    return strips(np.stack([start[:, None] + circle, end[:, None] + circle], axis=1), closed=True)


def bar(start: ArrayLike, end: ArrayLike, thickness: float, sides: int = 6) -> Mesh:
    """One straight round bar."""
    return bars(np.asarray(start), np.asarray(end), thickness, sides)


def ring(
    radius: float, thickness: float, sides: int = 20, centre: ArrayLike = (0.0, 0.0, 0.0), axis: str = "z"
) -> Mesh:
    """A hoop about ``axis``."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    circle = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], axis=1)
    hoop = bars(circle[:-1], circle[1:], thickness, 5)
    if axis != "z":
        hoop = hoop.turned(90, axis)
    return hoop.moved(*np.asarray(centre))


def disc(radius: float, thickness: float, sides: int = 20) -> Mesh:
    """A flat round plate about the z axis, standing on z = 0."""
    return lathe([(0, 0), (radius, 0), (radius, thickness), (0, thickness)], sides)


def ball(
    radius: float, centre: ArrayLike = (0.0, 0.0, 0.0), squash: float = 1.0, sides: int = 10, rough: float = 0.0
) -> Mesh:
    """A ball, flattened by ``squash``; ``rough`` dents it, for bushes and crowns of trees."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, sides // 2 + 1)
    mesh = lathe(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), sides)

    def shaped(v: Floats) -> Floats:
        waves = np.sin(v / radius * 7.0 + np.asarray(centre) * 5.0).sum(axis=1, keepdims=True)
        return v * (1 + rough * waves) * [1, 1, squash] + np.asarray(centre)

    return mesh.mapped(shaped)


def curtain(start: float, width: float, y: float, low: float, high: float, folds: float, depth: float = 0.035) -> Mesh:
    """Hanging cloth in folds along x, ``y`` metres off (negative: before the wall)."""
    x = np.linspace(0, width, max(8, int(folds * 6)))
    line = np.stack([x + start, y + depth * np.sin(x / width * 2 * np.pi * folds), 0 * x], axis=1)
    return grid(np.stack([line + [0, 0, low], line + [0, 0, high]]))


def pierced(width: float, height: float, holes: Sequence[tuple[float, float, float, float]]) -> Mesh:
    """An upright wall in the plane y = 0 from x = 0 and z = 0, facing -y. Holes are (x low, x high, z low, z high)."""
    xs = np.unique(np.clip([0.0, width, *(h[0] for h in holes), *(h[1] for h in holes)], 0, width))
    zs = np.unique(np.clip([0.0, height, *(h[2] for h in holes), *(h[3] for h in holes)], 0, height))
    cells = []
    for x0, x1 in itertools.pairwise(xs):
        for z0, z1 in itertools.pairwise(zs):
            x, z = (x0 + x1) / 2, (z0 + z1) / 2
            if not any(h[0] < x < h[1] and h[2] < z < h[3] for h in holes):
                cells.append([[(x0, 0, z0), (x1, 0, z0)], [(x0, 0, z1), (x1, 0, z1)]])
    mesh = strips(np.array(cells))
    return Mesh(mesh.vertices, mesh.faces, mesh.vertices[:, [0, 2]], mesh.weld)


def moved(parts: Sequence[Part], x: float = 0.0, y: float = 0.0, z: float = 0.0, turn: float = 0.0) -> list[Part]:
    """Parts turned about the z axis (degrees), then shifted by (x, y, z) metres."""
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    shift = np.array([x, y, z])
    return [Part(part.mesh.mapped(lambda v: v @ matrix + shift), part.material) for part in parts]


def made_of(material: Material, *meshes: Mesh) -> list[Part]:
    """Several meshes of one material."""
    return [Part(mesh, material) for mesh in meshes]
