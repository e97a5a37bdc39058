"""Shapes as triangles: the few primitives from which every chair and room part is built.

Lengths are metres, z points up, a chair stands on z = 0 and faces -y. Texture coordinates are metres too, the second
one along the length of a part, so that wood grain follows every leg and rail at its true scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mesh:
    """Triangles: vertices [V,3] (metres), faces [F,3], uv [V,2] (metres) and weld [V].

    Vertices with the same number in ``weld`` share a normal.
    """

    vertices: Floats
    faces: NDArray[np.int64]
    uv: Floats
    weld: NDArray[np.int64]

    def mapped(self, function: Callable[[Floats], Floats]) -> "Mesh":
        """The same triangles with every vertex [V,3] sent through ``function``."""
        return Mesh(function(self.vertices), self.faces, self.uv, self.weld)

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> "Mesh":
        """Shifted by (x, y, z) metres."""
        return self.mapped(lambda v: v + np.array([x, y, z]))

    def turned(self, degrees: float, axis: str = "z") -> "Mesh":
        """Turned about an axis through the origin, anticlockwise when seen with the axis pointing at the viewer."""
        angle = np.radians(degrees)
        cos, sin = np.cos(angle), np.sin(angle)
        first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        matrix = np.eye(3)
        matrix[first, first], matrix[first, second] = cos, -sin
        matrix[second, first], matrix[second, second] = sin, cos
        return self.mapped(lambda v: v @ matrix.T)

    def mirrored(self) -> "Mesh":
        """The mirror image: x changes sign, and faces still point outwards."""
        return Mesh(self.vertices * [-1, 1, 1], self.faces[:, ::-1], self.uv, self.weld)

    def normals(self) -> Floats:
        """Unit normal of every vertex [V,3]: the mean over its faces by area, so large flat faces stay flat."""
        a, b, c = (self.vertices[self.faces[:, i]] for i in range(3))
        areas = np.cross(b - a, c - a)
        corners = self.weld[self.faces].T.ravel()
        sums = np.stack([np.bincount(corners, np.tile(areas[:, axis], 3)) for axis in range(3)], axis=1)
        result = sums[self.weld]
        return result / np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-12)


def join(meshes: Sequence[Mesh]) -> Mesh:
    """All triangles of several meshes as one mesh."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    welds = np.cumsum([0] + [int(mesh.weld.max()) + 1 for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.weld + start for mesh, start in zip(meshes, welds, strict=True)]),
    )


def _weld(points: Floats) -> NDArray[np.int64]:
    """Vertices of a grid [R,C,3] that share a normal: along a seam where the surface closes, and at poles."""
    rows, columns = points.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    for row in (0, -1):
        if np.abs(points[row] - points[row, 0]).max() < 1e-7:
            number[row] = number[row, 0]
    if np.abs(points[:, 0] - points[:, -1]).max() < 1e-7:
        number[:, -1] = number[:, 0]
    if np.abs(points[0] - points[-1]).max() < 1e-7:
        number[-1] = number[0]
    return number.reshape(-1)


@cache
def _grid_faces(rows: int, columns: int) -> NDArray[np.int64]:
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    lower = np.stack([corner, corner + 1, corner + columns + 1], axis=1)
    upper = np.stack([corner, corner + columns + 1, corner + columns], axis=1)
    return np.concatenate([lower, upper])


def grid(points: Floats, uv: Floats | None = None) -> Mesh:
    """A smooth surface through points [R,C,3]; its front is where (along columns) x (along rows) points.

    Without ``uv`` [R,C,2] the texture follows the lengths of the surface.
    """
    rows, columns = points.shape[:2]
    if uv is None:
        across = np.linalg.norm(np.diff(points, axis=1), axis=2).mean(axis=0).cumsum()
        along = np.linalg.norm(np.diff(points, axis=0), axis=2).max(axis=1).cumsum()
        u, v = np.concatenate([[0.0], across]), np.concatenate([[0.0], along])
        uv = np.stack(np.broadcast_arrays(u[None, :], v[:, None]), axis=2)
    return Mesh(points.reshape(-1, 3), _grid_faces(rows, columns), uv.reshape(-1, 2), _weld(points))


def _rounded_rectangle(corner: float, steps: int, width: Floats, depth: Floats) -> Floats:
    """Outlines [N,4*(steps+1)+1,2], anticlockwise and closed, of N rectangles with rounded corners.

    The radius of a corner is ``corner`` times half of the shorter side.
    """
    radius = corner * np.minimum(width, depth) / 2
    centres = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    angles = np.radians(np.arange(4)[:, None] * 90 + np.linspace(0, 90, steps + 1))
    arcs = np.stack([np.cos(angles), np.sin(angles)], axis=2)
    half = np.stack([width / 2 - radius, depth / 2 - radius], axis=1)
    points = half[:, None, None, :] * centres[None, :, None, :] + radius[:, None, None, None] * arcs[None]
    points = points.reshape(len(width), -1, 2)
    return np.concatenate([points, points[:, :1]], axis=1)


def _square_to(way: Floats, tangent: Floats) -> Floats:
    """The unit vectors [...,3] at right angles to ``tangent`` [...,3] that are nearest to ``way``, [3] or [...,3]."""
    across = way - tangent * (tangent * way).sum(axis=-1, keepdims=True)
    return across / np.linalg.norm(across, axis=-1, keepdims=True)


def _carried(way: Floats, tangent: Floats) -> Floats:
    """Directions [N,K,3] at right angles to ``tangent``, from ``way`` at the start on along each path without a twist.

    With one fixed direction a tube that bends round three corners would turn over, and be pinched shut at that place.
    """
    across = [_square_to(way, tangent[:, 0])]
    for k in range(1, tangent.shape[1]):
        across.append(_square_to(across[-1], tangent[:, k]))
    return np.stack(across, axis=1)


def _frames(path: Floats, side: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    if side is None:
        across = _carried(np.eye(3)[np.argmin(np.abs(tangent[0]))], tangent[None])[0]
    else:
        across = _square_to(np.asarray(side, dtype=float), tangent)
    return tangent, across, np.cross(tangent, across)


def sweep(
    path: ArrayLike,
    width: ArrayLike,
    depth: ArrayLike | None = None,
    corner: float = 1.0,
    side: ArrayLike | None = None,
    steps: int = 3,
) -> Mesh:
    """A closed bar along path [N,3]: legs, rails, slats, bent tubes.

    ``width`` (in the direction ``side``) and ``depth`` (at right angles to it; by default the width) are metres: one
    number, or one for each point of the path, so that a leg can taper. ``corner`` is 1 for round and near 0 for square
    sections.
    """
    points = np.asarray(path, dtype=float)
    widths = np.broadcast_to(np.asarray(width, dtype=float), len(points))
    depths = widths if depth is None else np.broadcast_to(np.asarray(depth, dtype=float), len(points))
    _, across, normal = _frames(points, side)
    outline = _rounded_rectangle(corner, steps, widths, depths)
    rings = points[:, None] + outline[..., :1] * across[:, None] + outline[..., 1:] * normal[:, None]
    caps = [
        grid(np.stack([np.broadcast_to(points[end], rings[end].shape), rings[end]])[::order])
        for end, order in ((0, 1), (-1, -1))
    ]
    return join([grid(rings), *caps])


def bundle(
    paths: ArrayLike,
    width: ArrayLike,
    depth: ArrayLike | None = None,
    corner: float = 1.0,
    side: ArrayLike | None = None,
    steps: int = 1,
) -> Mesh:
    """Closed bars along paths [N,K,3], all of the same section, built at once: spindles, slats, wires, strands.

    ``width`` (in the direction ``side``), ``depth`` and ``corner`` are those of :func:`sweep`. Without ``side`` the
    widths point along the axis from which the bars' own directions differ most. ``steps=0`` gives the plainest section,
    four edges.
    """
    points = np.asarray(paths, dtype=float)
    number, count = points.shape[:2]
    widths = np.broadcast_to(np.asarray(width, dtype=float), count)
    depths = widths if depth is None else np.broadcast_to(np.asarray(depth, dtype=float), count)
    tangent = np.gradient(points, axis=1)
    tangent /= np.linalg.norm(tangent, axis=2, keepdims=True)
    if side is None:
        across = _carried(np.eye(3)[np.argmin(np.abs(tangent).max(axis=(0, 1)))], tangent)
    else:
        across = _square_to(np.asarray(side, dtype=float), tangent)
    outline = _rounded_rectangle(corner, steps, widths, depths)
    around = outline.shape[1]
    rings = points[:, :, None] + outline[..., :1] * across[:, :, None]
    rings = rings + outline[..., 1:] * np.cross(tangent, across)[:, :, None]
    tips = [np.broadcast_to(points[:, end, None, None], (number, 1, around, 3)) for end in (0, -1)]
    rings = np.concatenate([tips[0], rings[:, :1], rings, rings[:, -1:], tips[1]], axis=1)
    rows = count + 4
    # Each end has its outline twice, so that its edge stays sharp: nothing joins the two.
    joined = np.tile(np.repeat(~np.isin(np.arange(rows - 1), (1, rows - 3)), around - 1), 2)
    faces = _grid_faces(rows, around)[joined]
    weld = np.arange(rows * around).reshape(rows, around)
    weld[:, -1] = weld[:, 0]
    weld[[0, -1]] = weld[[0, -1], :1]
    starts = np.arange(number)[:, None] * rows * around
    lengths = np.linalg.norm(np.diff(rings[:, :, 0], axis=1), axis=2).cumsum(axis=1)
    along = np.concatenate([np.zeros((number, 1)), lengths], axis=1)
    girth = np.linspace(0, 2 * float(widths.mean() + depths.mean()), around)
    # Every bar is cut from another place of the board.
    shift = np.arange(number)[:, None, None] * 0.037
    uv = np.stack(np.broadcast_arrays(girth + shift, along[..., None] + 3 * shift), axis=3)
    return Mesh(
        rings.reshape(-1, 3),
        (faces[None] + starts[..., None]).reshape(-1, 3),
        uv.reshape(-1, 2),
        (weld.reshape(1, -1) + starts).reshape(-1),
    )


def cylinder(start: ArrayLike, end: ArrayLike, diameter: float, end_diameter: float | None = None) -> Mesh:
    """A straight round bar between two points, tapered where the second diameter differs."""
    ends = np.array([start, end], dtype=float)
    return sweep(ends, [diameter, diameter if end_diameter is None else end_diameter], steps=3)


def lathe(profile: ArrayLike, sides: int = 20) -> Mesh:
    """A solid turned about the z axis from a profile [N,2] of (radius, height), listed from the bottom upwards."""
    radius, height = np.asarray(profile, dtype=float).T
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    points = np.stack(
        np.broadcast_arrays(
            radius[:, None] * np.cos(angle)[None],
            radius[:, None] * np.sin(angle)[None],
            height[:, None] + 0 * angle[None],
        ),
        axis=2,
    )
    return grid(points)


def sphere(radius: float, centre: ArrayLike = (0.0, 0.0, 0.0), sides: int = 14) -> Mesh:
    """A ball."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, sides // 2 + 1)
    return lathe(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), sides).moved(*np.asarray(centre))


@cache
def _box_lattice(
    inner: int, steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What all boxes with the same divisions share.

    Whole-number positions [V,3], the axis of each vertex's face [V], the faces [F,3], and the weld [V].
    """
    count = inner + 1 + 2 * steps
    points: list[NDArray[np.int64]] = []
    axes, faces = [], []
    for axis in range(3):
        # (first, second, axis) is right-handed, so that both faces of the axis point outwards.
        first, second = (axis + 1) % 3, (axis + 2) % 3
        for end in (0, count - 1):
            lattice = np.full((count, count, 3), end)
            lattice[..., first], lattice[..., second] = np.meshgrid(np.arange(count), np.arange(count))
            lattice = lattice[:, :: 1 if end else -1]
            faces.append(_grid_faces(count, count) + len(points) * count * count)
            points.append(lattice.reshape(-1, 3))
            axes.append(np.full(count * count, axis))
    positions = np.concatenate(points)
    weld = np.unique(positions @ [1, count, count * count], return_inverse=True)[1]
    return positions, np.concatenate(axes), np.concatenate(faces), weld


def rounded_box(
    width: float, depth: float, height: float, radius: float = 0.005, inner: int = 1, steps: int = 1
) -> Mesh:
    """A box with rounded edges about the origin, by its sizes in x, y and z.

    ``inner`` is how many times each face is divided: more than 1 for a box that will be bent.
    """
    half = np.array([width, depth, height]) / 2
    radius = float(min(radius, half.min() * 0.999))
    positions, axes, faces, weld = _box_lattice(inner, steps)
    arc = radius * np.tan(np.radians(np.linspace(0, 45, steps + 1)))[1:]
    flat = half - radius
    lines = [np.concatenate([-f - arc[::-1], np.linspace(-f, f, inner + 1), f + arc]) for f in flat]
    surface = np.stack([lines[axis][positions[:, axis]] for axis in range(3)], axis=1)
    core = np.clip(surface, -flat, flat)
    offset = surface - core
    vertices = core + radius * offset / np.linalg.norm(offset, axis=1, keepdims=True)
    # Grain runs along the longest side; ends show the other two.
    order = np.argsort(half)
    across = np.where(axes == order[0], order[1], order[0])
    along = np.where(axes == order[2], order[1], order[2])
    row = np.arange(len(vertices))
    uv = np.stack([surface[row, across], surface[row, along]], axis=1) + half.sum()
    return Mesh(vertices, faces, uv, weld)


def cushion(
    width: float,
    depth: float,
    height: float,
    radius: float | None = None,
    crown: float = 0.02,
    pattern: Callable[[Floats, Floats], Floats] | None = None,
    inner: int = 10,
) -> Mesh:
    """A soft box about the origin whose top swells by ``crown``, with an optional relief.

    ``pattern(x, y)`` gives the relief of the top in metres (tufts, channels), for x and y [V] in [-1, 1] over the
    cushion.
    """
    box = rounded_box(width, depth, height, height * 0.45 if radius is None else radius, inner=inner, steps=3)

    def swell(v: Floats) -> Floats:
        x, y = v[:, 0] / (width / 2), v[:, 1] / (depth / 2)
        bulge = crown * (1 - x**2) * (1 - y**2) * np.sign(v[:, 2])
        if pattern is not None:
            bulge = bulge + np.where(
                v[:, 2] > 0, pattern(x, y) * np.clip(4 * (1 - np.maximum(abs(x), abs(y))), 0, 1), 0
            )
        # Sides draw in a little at the corners, as filled covers do.
        squeeze = 1 - 0.04 * (x**2) * (y**2)
        return np.stack([v[:, 0] * squeeze, v[:, 1] * squeeze, v[:, 2] + bulge], axis=1)

    return box.mapped(swell)


def sheet(points: Floats, thickness: float) -> Mesh:
    """A closed shell of even thickness (metres) about a surface through points [R,C,3]: moulded seats, bent panels."""
    flat = points.reshape(-1, 3)
    rows, columns = points.shape[:2]
    normals = (
        Mesh(flat, _grid_faces(rows, columns), np.zeros((len(flat), 2)), _weld(points)).normals().reshape(points.shape)
    )
    front, back = points + normals * thickness / 2, points - normals * thickness / 2
    border = [
        np.stack([back[0], front[0]]),
        np.stack([front[-1], back[-1]]),
        np.stack([front[:, 0], back[:, 0]]),
        np.stack([back[:, -1], front[:, -1]]),
    ]
    return join([grid(front), grid(back[:, ::-1]), *(grid(strip) for strip in border)])


def wall(corner: ArrayLike, across: ArrayLike, up: ArrayLike) -> Mesh:
    """A flat rectangle from a corner along two edges. Its front is on the side of the cross product across x up.

    Texture coordinates are metres from the corner.
    """
    corner, across, up = (np.asarray(vector, dtype=float) for vector in (corner, across, up))
    points = np.array([[corner, corner + across], [corner + up, corner + across + up]])
    u, v = np.linalg.norm(across), np.linalg.norm(up)
    return grid(points, np.array([[[0, 0], [u, 0]], [[0, v], [u, v]]]))


def smooth_path(points: ArrayLike, count: int = 12) -> Floats:
    """A smooth curve [count,3] through a few points [N,3]."""
    controls = np.asarray(points, dtype=float)
    steps = np.linalg.norm(np.diff(controls, axis=0), axis=1)
    position = np.concatenate([[0.0], np.cumsum(steps)])
    return CubicSpline(position, controls, bc_type="natural")(np.linspace(0, position[-1], count))


def filleted(points: ArrayLike, radius: float, steps: int = 5) -> Floats:
    """A polyline [N,3] with its corners rounded as a tube bender would, [M,3]."""
    controls = np.asarray(points, dtype=float)
    result = [controls[0]]
    for before, corner, after in zip(controls[:-2], controls[1:-1], controls[2:], strict=True):
        a, b = before - corner, after - corner
        reach = min(radius, 0.45 * np.linalg.norm(a), 0.45 * np.linalg.norm(b))
        start, end = corner + a / np.linalg.norm(a) * reach, corner + b / np.linalg.norm(b) * reach
        for t in np.linspace(0, 1, steps):
            result.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    return np.array([*result, controls[-1]])
