"""Airplanes: jet liners, business jets, propeller planes, fighters, gliders, biplanes; with or without their wheels."""

from collections.abc import Callable

import numpy as np

from chairmaker import textures
from chairmaker.materials import Material, Part, pick, plain, surface, textured
from chairmaker.meshes import Mesh
from chairmaker.rooms import patterns
from chairmaker.rooms.shapes import ball, bars, boxes, made_of
from chairmaker.stand_in.loft import fin, hull, posed, wheel, wing
from chairmaker.stand_in.subject import Kind, glass, vertices
from chairmaker.textures import hsv

Draw = Callable[[np.random.Generator, bool], list[Part]]


def _livery(rng: np.random.Generator) -> tuple[Material, Material, Material]:
    """Skin, belly and signal colour."""
    white = np.full(3, rng.uniform(0.8, 0.95))
    signal = hsv(
        rng.choice([0.0, 0.02, 0.08, 0.13, 0.35, 0.5, 0.6, 0.63]), rng.uniform(0.6, 0.95), rng.uniform(0.3, 0.85)
    )
    grey = np.full(3, rng.uniform(0.45, 0.75))
    top, belly = {
        "white": (white, white),
        "white and grey": (white, grey),
        "silver": (grey * 1.1, grey),
        "colour": (signal, signal if rng.uniform() < 0.5 else white),
        "two-tone": (white, signal),
    }[pick(rng, {"white": 4, "white and grey": 3, "silver": 1.5, "colour": 1.2, "two-tone": 1.5})]
    if top is signal:
        signal = hsv(rng.uniform(), 0.7, rng.uniform(0.1, 0.7))
    return surface(top, 0.3, 0.5), surface(belly, 0.35, 0.5), surface(signal, 0.3, 0.5)


def _gear(legs: list[tuple[float, float, float, float]], metal: Material, tyre: Material) -> list[Part]:
    """Struts and wheels; each leg is (x, y, height of its upper end, wheel's radius), its wheels stand on z = 0."""
    parts = []
    for x, y, top, radius in legs:
        parts.append(Part(bars([(x, y, top)], [(x, y, radius)], radius * 0.5), metal))
        parts += wheel(radius, radius * 1.1, (x, y, radius), tyre, metal, sides=12)
    return parts


def _standing(parts: list[Part]) -> list[Part]:
    low = float(vertices(parts)[:, 2].min())
    return [Part(part.mesh.moved(z=-low), part.material) for part in parts]


def _nacelle(x: float, y: float, z: float, length: float, width: float, skin: Material, dark: Material) -> list[Part]:
    """A jet engine's pod and its dark mouth, and those of its twin."""
    body = hull(
        [
            (y, z, width * 0.88, width * 0.88),
            (y + length * 0.15, z, width, width),
            (y + length * 0.6, z, width * 0.95, width * 0.95),
            (y + length, z, width * 0.5, width * 0.5),
        ],
        count=10,
        sides=14,
    )
    mouth = hull(
        [(y + length * 0.02, z, width * 0.8, width * 0.8), (y + length * 0.03, z, 0.01, 0.01)], count=3, sides=14
    )
    jet = hull(
        [(y + length * 0.98, z, width * 0.45, width * 0.45), (y + length * 1.1, z, 0.02, 0.02)], count=4, sides=10
    )
    shifted = [Part(mesh.moved(x), material) for mesh, material in ((body, skin), (mouth, dark), (jet, dark))]
    return shifted + [Part(part.mesh.mirrored(), part.material) for part in shifted]


def _windows(length: tuple[float, float], z: float, half: float, pitch: float, size: float) -> Mesh:
    return boxes(
        [[-half, half, y - size / 2, y + size / 2, z - size * 0.6, z + size * 0.6] for y in np.arange(*length, pitch)]
    )


def liner(rng: np.random.Generator, flying: bool, business: bool = False) -> list[Part]:
    """A jet liner with two to four engines below its wings or at its tail; or a business jet."""
    width = rng.uniform(1.9, 2.4) if business else rng.uniform(3.3, 5.6)
    length = width * (rng.uniform(7, 8.5) if business else rng.uniform(8.5, 12))
    skin, belly, signal = _livery(rng)
    metal, dark = surface(np.full(3, rng.uniform(0.55, 0.75)), 0.35, 0.5, 0.3), plain(np.full(3, 0.05))
    nose, z = -length / 2, width * (0.95 if business else 1.0)
    rows = [
        (nose, z - 0.12 * width, 0.02 * width, 0.02 * width),
        (nose + 0.02 * length, z - 0.11 * width, 0.42 * width, 0.42 * width),
        (nose + 0.06 * length, z - 0.05 * width, 0.78 * width, 0.8 * width),
        (nose + 0.12 * length, z, width, width),
        (nose + 0.62 * length, z, width, width),
        (nose + 0.82 * length, z + 0.13 * width, 0.7 * width, 0.74 * width),
        (nose + 0.95 * length, z + 0.27 * width, 0.3 * width, 0.36 * width),
        (nose + length, z + 0.33 * width, 0.06 * width, 0.1 * width),
    ]
    cut = rng.uniform(-35, 5)
    parts = [Part(hull(rows, (cut, 180 - cut), sides=16), skin), Part(hull(rows, (-180 - cut, cut), sides=14), belly)]
    pane = glass(rng)
    parts.append(Part(hull(rows, (38, 142), (0.055, 0.085), 0.015, sides=8, count=4), pane))
    row = _windows(
        (nose + 0.15 * length, nose + 0.8 * length), z + 0.12 * width, width * 0.49, width * 0.16, width * 0.075
    )
    parts.append(Part(row, pane))
    if rng.uniform() < 0.5:
        low = rng.uniform(-20, 0)
        parts += made_of(
            signal,
            hull(rows, (low, low + 22), (0.08, 0.93), 0.02, sides=3),
            hull(rows, (180 - low - 22, 180 - low), (0.08, 0.93), 0.02, sides=3),
        )
    if rng.uniform() < 0.4:
        parts.append(Part(hull(rows, along=(rng.uniform(0.72, 0.84), 1.0), swell=0.02), signal))
    rear = business or rng.uniform() < 0.2
    half, swept = length * rng.uniform(0.44, 0.54), np.tan(np.radians(rng.uniform(22, 36)))
    root_y, root_z, chord = nose + length * (0.44 if rear else 0.36), z - width * 0.3, length * 0.19
    tip_z = root_z + half * 0.09
    kink = 0.38
    wings = wing(
        [
            (0.0, root_y - 0.02 * length, root_z, chord, chord * 0.13),
            (half * kink, root_y + half * kink * swept, root_z + (tip_z - root_z) * kink, chord * 0.6, chord * 0.07),
            (half, root_y + half * swept, tip_z, chord * 0.22, chord * 0.03),
        ]
    )
    grey = surface(np.full(3, rng.uniform(0.55, 0.85)), 0.35, 0.5)
    parts += made_of(grey, *wings)
    if rng.uniform() < 0.4:
        for side in (-1, 1):
            parts.append(
                Part(
                    fin(
                        [
                            (tip_z, root_y + half * swept, 0, chord * 0.2, 0.1),
                            (tip_z + half * 0.08, root_y + half * swept + chord * 0.15, 0, chord * 0.08, 0.05),
                        ],
                        side * half * 0.99,
                    ),
                    signal,
                )
            )
    pod, pod_width = (skin if rng.uniform() < 0.6 else signal), width * rng.uniform(0.42, 0.62)
    if rear:
        parts += _nacelle(width * 0.72, nose + 0.68 * length, z + 0.25 * width, width * 1.3, width * 0.42, pod, dark)
    else:
        for share in (0.33, 0.62)[: 2 if rng.uniform() < 0.25 else 1]:
            y = root_y + half * share * swept - width * 0.75
            parts += _nacelle(
                half * share, y, root_z + (tip_z - root_z) * share - pod_width * 0.62, width * 1.1, pod_width, pod, dark
            )
    tail, high = nose + 0.80 * length, length * rng.uniform(0.15, 0.19)
    base = z + 0.3 * width
    parts.append(
        Part(
            fin([(base, tail, 0, 0.16 * length, 0.3), (base + high, tail + high * 0.75, 0, 0.065 * length, 0.15)]),
            signal if rng.uniform() < 0.8 else skin,
        )
    )
    tee = base + high * 0.97 if rear else z + 0.22 * width
    y = tail + high * 0.75 if rear else nose + 0.86 * length
    parts += made_of(
        grey,
        *wing(
            [
                (0.0, y, tee, 0.1 * length, 0.25),
                (half * 0.38, y + half * 0.38 * 0.65, tee + half * 0.03, 0.035 * length, 0.1),
            ]
        ),
    )
    if not flying or rng.uniform() < 0.3:
        r = width * (0.14 if business else 0.16)
        legs = [
            (0.0, nose + 0.1 * length, z, r * 0.8),
            *((x, nose + (0.56 if rear else 0.52) * length, root_z, r) for x in (-width * 0.75, width * 0.75)),
        ]
        parts += [Part(part.mesh.moved(z=-0.1 * width), part.material) for part in _gear(legs, metal, dark)]
    return _standing(parts)


def business_jet(rng: np.random.Generator, flying: bool) -> list[Part]:
    """A business jet."""
    return liner(rng, flying, True)


def _propeller(
    rng: np.random.Generator, y: float, z: float, radius: float, dark: Material, tip: Material, x: float = 0.0
) -> list[Part]:
    """A spinner and two to four blades, standing still."""
    blades, start = int(rng.integers(2, 5)), rng.uniform(0, np.pi)
    turns = start + np.arange(blades) * 2 * np.pi / blades
    hub = np.array([x, y, z])
    meshes = [
        boxes([[-radius * 0.06, radius * 0.06, -0.02, 0.02, 0, radius]])
        .turned(float(np.degrees(turn)), "y")
        .moved(*hub)
        for turn in turns
    ]
    return [*made_of(dark, *meshes), Part(ball(radius * 0.16, hub, 1.0, 8), tip)]


def propeller_plane(rng: np.random.Generator, flying: bool) -> list[Part]:
    """A light plane with its wings high or low, one engine in the nose or two on the wings."""
    twin = rng.uniform() < 0.3
    width = rng.uniform(1.15, 1.35) if not twin else rng.uniform(1.5, 2.6)
    length = width * rng.uniform(5.6, 7.0)
    high_wing = rng.uniform() < 0.5
    skin, belly, signal = _livery(rng)
    dark = plain(np.full(3, 0.06))
    nose, z = -length / 2, width * 1.15
    blunt = 0.3 if twin else 0.62
    rows = [
        (nose, z - 0.1 * width, 0.1 * width, 0.1 * width),
        (nose + 0.01 * length, z - 0.1 * width, blunt * width, blunt * width),
        (nose + 0.16 * length, z - 0.08 * width, 0.85 * width, 0.8 * width),
        (nose + 0.28 * length, z, width, 1.12 * width),
        (nose + 0.45 * length, z, width, 1.15 * width),
        (nose + 0.7 * length, z + 0.06 * width, 0.5 * width, 0.6 * width),
        (nose + length, z + 0.2 * width, 0.08 * width, 0.16 * width),
    ]
    parts = [Part(hull(rows, (-20, 200), power=2.6), skin), Part(hull(rows, (-160, -20), power=2.6), belly)]
    pane = glass(rng)
    parts += made_of(
        pane,
        hull(rows, (30, 78) if high_wing else (25, 155), (0.2, 0.3), 0.02, 2.6, 5, 8),
        hull(rows, (12, 48), (0.31, 0.5), 0.015, 2.6, 5, 4),
        hull(rows, (132, 168), (0.31, 0.5), 0.015, 2.6, 5, 4),
    )
    if high_wing:
        parts.append(Part(hull(rows, (102, 150), (0.2, 0.3), 0.02, 2.6, 5, 8), pane))
    stripe = rng.uniform(-15, 0)
    parts += made_of(
        signal,
        hull(rows, (stripe, stripe + 14), (0.03, 0.97), 0.015, 2.6, sides=3),
        hull(rows, (166 - stripe, 180 - stripe), (0.03, 0.97), 0.015, 2.6, sides=3),
    )
    half, chord = length * rng.uniform(0.55, 0.7), length * rng.uniform(0.17, 0.21)
    root_z, root_y = z + (0.55 if high_wing else -0.42) * width, nose + 0.27 * length
    tip_z = root_z + half * (0.02 if high_wing else 0.1)
    wings = wing(
        [
            (0, root_y, root_z, chord, chord * 0.16),
            (half * 0.5, root_y + 0.02, (root_z + tip_z) / 2, chord * 0.98, chord * 0.15),
            (half, root_y + chord * 0.15, tip_z, chord * rng.uniform(0.5, 0.8), chord * 0.09),
        ]
    )
    parts += made_of(skin, *wings)
    if high_wing and not twin:
        ends = np.array([(side * half * 0.5, root_y + chord * 0.3, (root_z + tip_z) / 2) for side in (-1, 1)])
        feet = np.array([(side * width * 0.45, root_y + chord * 0.3, z - 0.4 * width) for side in (-1, 1)])
        parts.append(Part(bars(feet, ends, 0.09), skin))
    tail, rise = nose + 0.86 * length, length * rng.uniform(0.13, 0.18)
    parts.append(
        Part(
            fin(
                [
                    (z + 0.15 * width, tail, 0, 0.14 * length, 0.15),
                    (z + 0.15 * width + rise, tail + 0.07 * length, 0, 0.075 * length, 0.07),
                ]
            ),
            signal,
        )
    )
    parts += made_of(
        skin,
        *wing(
            [
                (0, tail + 0.02 * length, z + 0.22 * width, 0.12 * length, 0.12),
                (half * 0.35, tail + 0.05 * length, z + 0.24 * width, 0.08 * length, 0.07),
            ]
        ),
    )
    if twin:
        for side in (-1, 1):
            x, y, r = side * half * 0.3, root_y - 0.13 * length, width * 0.45
            pod = hull(
                [
                    (y, root_z, 0.1, 0.1),
                    (y + 0.02, root_z, r * 0.7, r * 0.7),
                    (y + 0.3 * chord, root_z, r, r),
                    (y + 1.6 * chord, root_z, 0.1, 0.1),
                ],
                count=10,
                sides=12,
            )
            parts += [Part(pod.moved(x), skin), *_propeller(rng, y - 0.06, root_z, width * 0.75, dark, signal, x)]
    else:
        parts += _propeller(rng, nose - 0.06, z - 0.1 * width, width * 0.85, dark, signal)
    if not twin or not flying:
        r = width * 0.18
        legs = [(0.0, nose + 0.1 * length, z - 0.3 * width, r * 0.9)]
        legs += [(x, nose + 0.36 * length, z - 0.3 * width, r) for x in (-width * 0.8, width * 0.8)]
        parts += _gear(legs, skin, dark)
        struts = [(side * width * 0.3, nose + 0.36 * length, z - 0.45 * width) for side in (-1, 1)]
        parts.append(Part(bars(struts, [(side * width * 0.8, nose + 0.36 * length, r) for side in (-1, 1)], 0.1), skin))
    return _standing(parts)


def _camouflage(rng: np.random.Generator) -> Material:
    grey = hsv(rng.choice([0.58, 0.25, 0.1]), rng.uniform(0.02, 0.3), rng.uniform(0.3, 0.65))
    if rng.uniform() < 0.5:
        return surface(grey, 0.5, 0.4)
    image = textures.mottled(rng, grey, 0.03)
    image = np.where((patterns.blotches(rng, 96, 5) > 0.1)[..., None], image, image * hsv(0.2, 0.3, 0.65))
    return surface(textured(image, (9.0, 9.0)), 0.5, 0.4)


def fighter(rng: np.random.Generator, flying: bool) -> list[Part]:
    """A jet fighter with swept or delta wings and one or two fins."""
    length, width = rng.uniform(13, 18), rng.uniform(1.5, 2.2)
    skin = _camouflage(rng) if rng.uniform() < 0.75 else _livery(rng)[0]
    signal = _livery(rng)[2] if rng.uniform() < 0.3 else skin
    metal, dark = surface(np.full(3, 0.45), 0.4, 0.5, 0.4), plain(np.full(3, 0.05))
    nose, z, twin = -length / 2, width * 1.25, rng.uniform() < 0.5
    broad = 1.7 if twin else 1.1
    rows = [
        (nose, z - 0.1, 0.03, 0.03),
        (nose + 0.12 * length, z - 0.04, 0.48 * width, 0.5 * width),
        (nose + 0.3 * length, z, 0.8 * width, 0.8 * width),
        (nose + 0.5 * length, z, broad * width, 0.85 * width),
        (nose + 0.8 * length, z, broad * width, 0.8 * width),
        (nose + 0.97 * length, z, broad * 0.75 * width, 0.55 * width),
    ]
    parts = [Part(hull(rows, power=2.4), skin)]
    cockpit = nose + 0.26 * length
    canopy = [
        (cockpit - 0.12 * length, z + 0.2 * width, 0.1, 0.1),
        (cockpit - 0.04 * length, z + 0.32 * width, 0.5 * width, 0.55 * width),
        (cockpit + 0.04 * length, z + 0.34 * width, 0.52 * width, 0.6 * width),
        (cockpit + 0.2 * length, z + 0.3 * width, 0.1, 0.2),
    ]
    parts.append(Part(hull(canopy, count=12, sides=12), glass(rng)))
    intakes = boxes(
        [
            [
                s * 0.62 * width - 0.28 * width,
                s * 0.62 * width + 0.28 * width,
                nose + 0.36 * length,
                nose + 0.7 * length,
                z - 0.35 * width,
                z + 0.3 * width,
            ]
            for s in (-1, 1)
        ]
    )
    mouths = boxes(
        [
            [
                s * 0.62 * width - 0.22 * width,
                s * 0.62 * width + 0.22 * width,
                nose + 0.355 * length,
                nose + 0.37 * length,
                z - 0.28 * width,
                z + 0.24 * width,
            ]
            for s in (-1, 1)
        ]
    )
    parts += [Part(intakes, skin), Part(mouths, dark)]
    for x in (-0.42 * width, 0.42 * width) if twin else (0.0,):
        nozzle = hull(
            [
                (nose + 0.94 * length, z, 0.8 * width * 0.9, 0.7 * width),
                (nose + length, z, 0.55 * width, 0.55 * width),
                (nose + length, z, 0.02, 0.02),
            ],
            count=8,
            sides=12,
        )
        parts.append(Part(nozzle.moved(x), metal))
    half, delta = length * rng.uniform(0.27, 0.36), rng.uniform() < 0.5
    chord, root = (0.42 if delta else 0.28) * length, nose + (0.42 if delta else 0.46) * length
    swept = np.tan(np.radians(rng.uniform(48, 58) if delta else rng.uniform(28, 44)))
    height = z + rng.uniform(-0.2, 0.2) * width
    parts += made_of(
        skin,
        *wing(
            [
                (0.2 * width, root, height, chord, 0.3),
                (half, root + (half - 0.3 * width) * swept, height, chord * (0.1 if delta else 0.3), 0.08),
            ]
        ),
    )
    tail, rise = nose + 0.78 * length, length * rng.uniform(0.13, 0.17)
    shape = [
        (z + 0.3 * width, tail, 0, 0.17 * length, 0.2),
        (z + 0.3 * width + rise, tail + 0.11 * length, 0, 0.07 * length, 0.08),
    ]
    parts += made_of(signal, *((fin(shape, -0.6 * width, -14), fin(shape, 0.6 * width, 14)) if twin else (fin(shape),)))
    if not delta or rng.uniform() < 0.3:
        parts += made_of(
            skin,
            *wing(
                [
                    (0.4 * width, nose + 0.84 * length, z, 0.14 * length, 0.15),
                    (half * 0.55, nose + 0.92 * length, z, 0.06 * length, 0.06),
                ]
            ),
        )
    stores = (
        [(x, root + chord * 0.5, height - 0.35) for x in (-half * 0.55, half * 0.55)] if rng.uniform() < 0.6 else []
    )
    for x, y, low in stores:
        parts.append(
            Part(
                hull(
                    [
                        (y - 1.6, low, 0.02, 0.02),
                        (y - 0.8, low, 0.4, 0.4),
                        (y + 1.2, low, 0.4, 0.4),
                        (y + 1.8, low, 0.05, 0.05),
                    ],
                    count=8,
                    sides=10,
                ).moved(x),
                skin,
            )
        )
    if not flying:
        parts += _gear(
            [
                (0.0, nose + 0.26 * length, z, 0.28),
                *((x, nose + 0.6 * length, z, 0.38) for x in (-width * 0.85, width * 0.85)),
            ],
            metal,
            dark,
        )
    return _standing(parts)


def glider(rng: np.random.Generator, flying: bool) -> list[Part]:
    """A glider: slim, white, with very long wings."""
    length, half = rng.uniform(6.4, 8), rng.uniform(7, 9)
    skin, signal = surface(np.full(3, rng.uniform(0.85, 0.96)), 0.25), _livery(rng)[2]
    nose, z = -length / 2, 0.65
    rows = [
        (nose, z - 0.05, 0.03, 0.03),
        (nose + 0.25, z, 0.38, 0.42),
        (nose + 1.4, z + 0.05, 0.62, 0.85),
        (nose + 2.6, z + 0.1, 0.5, 0.62),
        (nose + 3.8, z + 0.15, 0.28, 0.3),
        (nose + length, z + 0.25, 0.12, 0.16),
    ]
    parts = [Part(hull(rows), skin), Part(hull(rows, (15, 165), (0.05, 0.27), 0.03, sides=10, count=8), glass(rng))]
    parts += made_of(
        skin,
        *wing(
            [
                (0, nose + 2.0, z + 0.3, 0.95, 0.16),
                (half * 0.6, nose + 2.1, z + 0.55, 0.75, 0.1),
                (half, nose + 2.35, z + 0.95, 0.35, 0.05),
            ]
        ),
    )
    parts.append(
        Part(fin([(z + 0.2, nose + length - 0.9, 0, 0.9, 0.1), (z + 1.5, nose + length - 0.55, 0, 0.6, 0.07)]), signal)
    )
    parts += made_of(
        skin, *wing([(0, nose + length - 0.6, z + 1.5, 0.55, 0.07), (1.4, nose + length - 0.45, z + 1.52, 0.35, 0.04)])
    )
    if rng.uniform() < 0.4:
        parts.append(Part(hull(rows, along=(0.0, 0.04), swell=0.01), signal))
    return _standing(parts)


def biplane(rng: np.random.Generator, flying: bool) -> list[Part]:
    """A biplane with a radial engine, struts and wires."""
    length, half = rng.uniform(6.5, 9), rng.uniform(4, 5.5)
    skin, belly, signal = _livery(rng)
    if rng.uniform() < 0.6:
        skin = surface(
            hsv(rng.choice([0.0, 0.1, 0.13, 0.25, 0.6]), rng.uniform(0.5, 0.9), rng.uniform(0.35, 0.85)), 0.4
        )
    dark, nose, z, chord = plain(np.full(3, 0.08)), -length / 2, 1.5, rng.uniform(1.2, 1.6)
    rows = [
        (nose, z, 0.3, 0.3),
        (nose + 0.02, z, 0.95, 0.95),
        (nose + 0.7, z, 1.05, 1.05),
        (nose + 0.35 * length, z, 0.9, 1.05),
        (nose + 0.6 * length, z + 0.05, 0.55, 0.7),
        (nose + length, z + 0.2, 0.06, 0.2),
    ]
    parts = [Part(hull(rows), skin), Part(hull(rows, along=(0.0, 0.12), swell=0.02), signal)]
    low, high = z - 0.4, z + rng.uniform(0.9, 1.15)
    front = nose + 1.1
    for level, lead, span in (
        (low, front + rng.uniform(0.0, 0.5), half * rng.uniform(0.85, 1.0)),
        (high, front - 0.1, half),
    ):
        parts += made_of(
            skin if rng.uniform() < 0.7 else signal,
            *wing(
                [
                    (0, lead, level, chord, 0.18),
                    (span * 0.94, lead, level + 0.08, chord, 0.16),
                    (span, lead + 0.25, level + 0.1, chord * 0.6, 0.08),
                ]
            ),
        )
    x = np.repeat([-half * 0.7, half * 0.7, -0.5, 0.5], 2)
    y = np.tile([front + 0.25, front + chord * 0.75], 4)
    parts.append(Part(bars(np.stack([x, y, 0 * x + low], axis=1), np.stack([x, y, 0 * x + high], axis=1), 0.09), belly))
    parts.append(
        Part(fin([(z + 0.2, nose + length - 1.1, 0, 1.1, 0.1), (z + 1.2, nose + length - 0.7, 0, 0.6, 0.06)]), signal)
    )
    parts += made_of(
        skin, *wing([(0, nose + length - 1.1, z + 0.25, 1.0, 0.1), (1.5, nose + length - 0.8, z + 0.25, 0.6, 0.06)])
    )
    parts += _propeller(rng, nose - 0.1, z, 1.15, dark, signal)
    parts += _gear([(-0.8, nose + 1.2, z - 0.5, 0.34), (0.8, nose + 1.2, z - 0.5, 0.34)], skin, dark)
    cockpit = [(0.0, nose + 0.42 * length, z + 0.5)]
    parts += made_of(dark, *(ball(0.28, spot, 0.7, 8) for spot in cockpit))
    # On the ground its tail is low.
    return _standing(posed(parts, pitch=0.0 if flying else 11.0))


_DRAW: dict[str, tuple[float, Draw]] = {
    "liner": (8, liner),
    "business jet": (2, business_jet),
    "propeller plane": (5, propeller_plane),
    "fighter": (3.5, fighter),
    "glider": (0.8, glider),
    "biplane": (1.5, biplane),
}


def _kinds(flying: bool) -> dict[str, Kind]:
    def bound(function: Draw) -> Callable[[np.random.Generator], list[Part]]:
        return lambda rng: function(rng, flying)

    return {name: Kind(weight, bound(function)) for name, (weight, function) in _DRAW.items()}


#: Every type of airplane on its wheels.
AIRPLANES: dict[str, Kind] = _kinds(False)
#: The same types in flight, with their wheels mostly drawn in.
FLYING: dict[str, Kind] = _kinds(True)
