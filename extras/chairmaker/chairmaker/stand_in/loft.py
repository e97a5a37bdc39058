"""Organic and streamlined bodies: hulls, wings, limbs and wheels, from a few rows of numbers each.

Subjects face -y and stand on z = 0, as chairs do.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

from chairmaker.materials import Material, Part
from chairmaker.meshes import Floats, Mesh, grid, lathe, smooth_path, sweep


def _interpolated(rows: ArrayLike, along: tuple[float, float], count: int) -> Floats:
    """Rows [N,K] made dense [count,K] without overshooting, densest at the ends."""
    controls = np.asarray(rows, dtype=float)
    place = np.concatenate([[0.0], np.linalg.norm(np.diff(controls, axis=0), axis=1).cumsum()])
    share = (1 - np.cos(np.linspace(0, np.pi, count))) / 2
    wanted = (along[0] + (along[1] - along[0]) * share) * place[-1]
    return PchipInterpolator(place, controls)(wanted)


def hull(
    rows: ArrayLike,
    turn: tuple[float, float] = (0.0, 360.0),
    along: tuple[float, float] = (0.0, 1.0),
    swell: float = 0.0,
    power: float = 2.0,
    count: int = 22,
    sides: int = 20,
) -> Mesh:
    """A body, or a patch of its skin, from cross-sections.

    ``rows`` [N,4] are (y, height of the middle, width, height) in metres.

    A patch covers the range ``turn`` of each section in degrees (0 right, 90 top) and the range ``along`` of the length
    in [0, 1]; ``swell`` lifts it off the skin by that many metres. ``power`` is 2 for ellipses and more for boxier
    sections.
    """
    y, z, width, height = _interpolated(rows, along, count).T
    angle = np.radians(np.linspace(*turn, sides + 1))
    cos, sin = (np.sign(wave) * np.abs(wave) ** (2 / power) for wave in (np.cos(angle), np.sin(angle)))
    points = np.stack(
        np.broadcast_arrays(
            (width[:, None] / 2 + swell) * cos, y[:, None], z[:, None] + (height[:, None] / 2 + swell) * sin
        ),
        axis=2,
    )
    return grid(points[::-1] if y[0] < y[-1] else points)


def _aerofoil(stations: ArrayLike) -> Floats:
    """Points [N,C,3] of sections from rows (place along the span, leading edge's y, height, chord, thickness)."""
    span, lead, height, chord, thickness = np.asarray(stations, dtype=float).T[..., None]
    share = np.array([1, 0.7, 0.4, 0.15, 0.03, 0, 0.03, 0.15, 0.4, 0.7, 1])
    side = np.array([0, 0.55, 0.95, 0.8, 0.4, 0, -0.25, -0.5, -0.6, -0.3, 0])
    points = np.stack(
        np.broadcast_arrays(span, lead + chord * share, height + thickness * side * 0.6),
        axis=2,
    )
    return np.concatenate([points, points.mean(axis=1, keepdims=True)[-1:].repeat(points.shape[1], 1)])


def wing(stations: ArrayLike) -> list[Mesh]:
    """A wing and its twin, from rows (x, leading edge's y, z, chord, thickness) from the root to the tip."""
    right = grid(_aerofoil(stations))
    return [right, right.mirrored()]


def fin(stations: ArrayLike, x: float = 0.0, lean: float = 0.0) -> Mesh:
    """An upright fin from rows (z, leading edge's y, 0, chord, thickness); ``lean`` degrees outwards."""
    points = _aerofoil(stations)[..., [2, 1, 0]]
    root = float(np.asarray(stations)[0][0])
    mesh = grid(points).moved(z=-root).turned(lean, "y")
    return mesh.moved(x=x, z=root)


def limb(points: ArrayLike, count: int = 10, steps: int = 2) -> Mesh:
    """A limb along rows (x, y, z, width across, depth in the y-z plane)."""
    line = smooth_path(points, count)
    return sweep(line[:, :3], np.maximum(line[:, 3], 0.01), np.maximum(line[:, 4], 0.01), side=(1, 0, 0), steps=steps)


def wheel(
    radius: float, width: float, centre: ArrayLike, tyre: Material, rim: Material, spokes: int = 0, sides: int = 20
) -> list[Part]:
    """A wheel that turns about x, with a hub that stands out a little on both sides; dark gaps between ``spokes``."""
    r, w = radius, width / 2
    profile = [(0, -w * 0.9), (r * 0.7, -w * 0.9), (r * 0.93, -w), (r, -w * 0.7), (r, w * 0.7), (r * 0.93, w)]
    rubber = lathe([*profile, (r * 0.7, w * 0.9), (0, w * 0.9)], sides)
    hub = lathe([(0, -w * 1.02), (r * 0.62, -w * 1.02), (r * 0.66, 0), (r * 0.62, w * 1.02), (0, w * 1.02)], sides)
    at = np.asarray(centre, dtype=float)
    parts = [Part(mesh.turned(90, "y").moved(*at), material) for mesh, material in ((rubber, tyre), (hub, rim))]
    if spokes:
        gap = lathe([(0, -w * 1.06), (r * 0.11, -w * 1.06), (r * 0.11, w * 1.06), (0, w * 1.06)], 6).turned(90, "y")
        for turn in np.arange(spokes) * 2 * np.pi / spokes:
            out = [0, 0.42 * r * np.cos(turn), 0.42 * r * np.sin(turn)]
            parts.append(Part(gap.moved(*(at + out)), tyre))
    return parts


def posed(
    parts: list[Part], roll: float = 0.0, pitch: float = 0.0, turn: float = 0.0, scale: float = 1.0
) -> list[Part]:
    """Parts rolled about y, pitched about x (nose up for positive), turned about z (degrees), and scaled."""
    return [
        Part(
            part.mesh.turned(roll, "y").turned(-pitch, "x").turned(turn).mapped(lambda v: v * scale),
            part.material,
        )
        for part in parts
    ]
