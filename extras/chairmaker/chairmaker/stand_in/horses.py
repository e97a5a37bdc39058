"""Horses: a trunk, a neck, a head and four jointed legs, in poses from grazing to galloping."""

from dataclasses import dataclass, field

import numpy as np

from chairmaker import textures
from chairmaker.materials import Material, Part, pick, plain, surface, textured
from chairmaker.meshes import Floats, grid, smooth_path
from chairmaker.rooms import patterns
from chairmaker.rooms.shapes import ball
from chairmaker.stand_in.loft import hull, limb, posed
from chairmaker.stand_in.subject import Kind, vertices
from chairmaker.textures import hsv


@dataclass(frozen=True)
class Pose:
    """Angles in degrees, forwards positive: swing and bend of the left and right fore leg, left and right hind leg."""

    swing: tuple[float, float, float, float]
    bend: tuple[float, float, float, float]
    neck: float
    head: float
    tail: float = 0.1
    spread: float = field(default=4.0)


#: Poses; each number is varied a little for every horse.
POSES: dict[str, Pose] = {
    "standing": Pose((0, 3, -4, 3), (0, 0, 0, 0), 48, -48),
    "walking": Pose((20, -18, -14, 16), (5, 0, 5, 20), 38, -45, 0.15),
    "trotting": Pose((34, -26, -28, 26), (50, 0, 5, 25), 50, -58, 0.35),
    "galloping": Pose((52, 30, -42, -30), (15, 60, 0, 10), 34, -32, 0.6),
    "gathered": Pose((10, -30, 30, 12), (80, 30, 30, 45), 40, -40, 0.6),
    "rearing": Pose((38, 50, 12, 4), (90, 70, 20, 15), 52, -60, 0.3),
    "grazing": Pose((14, -10, -6, 6), (0, 0, 0, 0), -42, -72),
    "sniffing": Pose((6, -4, -4, 4), (0, 0, 0, 0), 2, -52),
}


@dataclass(frozen=True)
class _Coat:
    body: Material
    shank: Material
    hair: Material
    hoof: Material
    blaze: Material | None


def _coat(rng: np.random.Generator) -> _Coat:
    kind = pick(rng, {"bay": 5, "chestnut": 4, "black": 2, "white": 2.5, "grey": 2, "dun": 1.5, "piebald": 1.5})
    colour = {
        "bay": hsv(rng.uniform(0.03, 0.07), rng.uniform(0.5, 0.75), rng.uniform(0.28, 0.5)),
        "chestnut": hsv(rng.uniform(0.04, 0.07), rng.uniform(0.55, 0.75), rng.uniform(0.45, 0.7)),
        "black": hsv(0.05, 0.15, rng.uniform(0.08, 0.18)),
        "white": hsv(0.1, rng.uniform(0.02, 0.12), rng.uniform(0.8, 0.95)),
        "grey": hsv(0.6, rng.uniform(0, 0.08), rng.uniform(0.35, 0.65)),
        "dun": hsv(0.1, rng.uniform(0.3, 0.5), rng.uniform(0.55, 0.8)),
        "piebald": hsv(rng.choice([0.05, 0.07]), rng.choice([0.2, 0.6]), rng.uniform(0.15, 0.5)),
    }[kind]
    dark, pale = hsv(0.06, 0.3, rng.uniform(0.06, 0.14)), hsv(0.1, 0.08, rng.uniform(0.8, 0.95))
    image = textures.mottled(rng, colour, 0.08, 7.0)
    if kind == "grey":
        image = np.clip(image * (1 + 0.18 * patterns.blotches(rng, 96, 14))[..., None], 0, 1)
    if kind == "piebald":
        image = np.where((patterns.blotches(rng, 96, 5) > rng.uniform(-0.5, 0.3))[..., None], image, pale)
    shank = {"bay": dark, "dun": dark, "piebald": pale, "white": colour * 0.9}.get(kind, colour * 0.85)
    if rng.uniform() < 0.25:
        shank = pale
    hair = {"bay": dark, "dun": dark, "black": colour * 0.7, "white": pale, "grey": colour * rng.uniform(0.5, 1.4)}
    mane = hair.get(kind, colour * 0.8 if rng.uniform() < 0.7 else hsv(0.11, 0.4, 0.8))
    return _Coat(
        surface(textured(image, (1.5, 1.5)), rng.uniform(0.4, 0.6), 0.3),
        surface(np.clip(shank, 0, 1), 0.6, 0.2),
        surface(np.clip(mane, 0, 1), 0.55, 0.3),
        plain(hsv(0.08, 0.3, rng.uniform(0.1, 0.4))),
        plain(pale) if rng.uniform() < 0.45 else None,
    )


def _along(angle: float, length: float) -> Floats:
    """A step of ``length`` metres, ``angle`` degrees forwards of straight down, in the y-z plane."""
    return length * np.array([0.0, -np.sin(np.radians(angle)), -np.cos(np.radians(angle))])


def _leg(coat: _Coat, x: float, hind: bool, swing: float, bend: float, long: float) -> list[Part]:
    """A leg from its joint at the trunk: the fleshy part, the shank, and the hoof."""
    if hind:
        top = np.array([x, 0.56, 1.22])
        angles, lengths = (swing + 24, swing - 34 - 0.3 * bend, swing + 8 - bend), (0.34, 0.45, 0.40)
    else:
        top = np.array([x, -0.47, 1.04])
        angles, lengths = (swing, swing * 0.9 - 0.2 * bend, swing - bend), (0.16, 0.38, 0.34)
    joints = [top]
    for angle, length in zip(angles, lengths, strict=True):
        joints.append(joints[-1] + _along(angle, length * long))
    toe = joints[-1] + _along(angles[2] + (30 if bend < 30 else -25), 0.13)
    sole = toe + _along(angles[2] + (10 if bend < 30 else -30), 0.09)
    thick = [(0.24, 0.48), (0.20, 0.32), (0.11, 0.13), (0.085, 0.10)] if hind else [
        (0.19, 0.34), (0.165, 0.23), (0.105, 0.115), (0.08, 0.095)]  # fmt: skip
    rows = [(*joint, *size) for joint, size in zip(joints, thick, strict=True)]
    middle = (joints[2] + joints[3]) / 2
    upper = limb([*rows[:3], (*middle, 0.075, 0.085)], 12)
    lower = limb([(*joints[2], 0.09, 0.10), (*middle, 0.08, 0.09), rows[3], (*toe, 0.085, 0.10)], 8)
    hoof = limb([(*toe, 0.09, 0.11), (*((toe + sole) / 2), 0.105, 0.125), (*sole, 0.12, 0.145)], 3)
    return [Part(upper, coat.body), Part(lower, coat.shank), Part(hoof, coat.hoof)]


def _head_and_neck(rng: np.random.Generator, coat: _Coat, pose: Pose, thick: float) -> list[Part]:
    neck, head = np.radians([pose.neck, pose.head])
    base, length = np.array([0.0, -0.56, 1.33]), 0.86
    way = np.array([0.0, -np.cos(neck), np.sin(neck)])
    arch = np.array([0.0, np.sin(neck), np.cos(neck)]) * rng.uniform(0.0, 0.07)
    start = base + [0, 0.16, 0.0]
    rows = [
        (*start, 0.34, 0.66 * thick),
        (*(base + way * 0.2 * length), 0.28, 0.54 * thick),
        (*(base + way * 0.55 * length + arch), 0.20, 0.38 * thick),
        (*(base + way * 0.9 * length + arch), 0.17, 0.28),
        (*(base + way * length), 0.15, 0.20),
    ]
    parts = [Part(limb(rows, 14, 3), coat.body)]
    poll = base + way * length
    look = np.array([0.0, -np.cos(head), np.sin(head)])
    across = np.array([0.0, np.sin(head), np.cos(head)])
    chin = poll - across * 0.04
    skull = [
        (*(chin - look * 0.06), 0.10, 0.14),
        (*(chin + 1.1 * look * 0.04), 0.19, 0.25),
        (*(chin + 1.1 * look * 0.16 - across * 0.015), 0.20, 0.27),
        (*(chin + 1.1 * look * 0.34), 0.15, 0.19),
        (*(chin + 1.1 * look * 0.50 + across * 0.005), 0.12, 0.145),
        (*(chin + 1.1 * look * 0.58), 0.125, 0.14),
        (*(chin + 1.1 * look * 0.62), 0.08, 0.08),
    ]
    parts.append(Part(limb(skull, 14, 2), coat.body))
    muzzle = limb(
        [(*(chin + 1.1 * look * s), w, d) for s, w, d in ((0.53, 0.126, 0.15), (0.6, 0.13, 0.14), (0.64, 0.07, 0.07))],
        5,
    )
    parts.append(Part(muzzle, coat.shank))
    if coat.blaze is not None:
        front = [
            (*(chin + 1.1 * look * s + across * d), 0.06, 0.02) for s, d in ((0.1, 0.125), (0.3, 0.11), (0.5, 0.075))
        ]
        parts.append(Part(limb(front, 6, 1), coat.blaze))
    for side in (-1, 1):
        ear = chin + across * 0.1 + [side * 0.055, 0, 0]
        tip = ear + across * 0.16 - look * rng.uniform(-0.04, 0.08) + [side * 0.02, 0, 0]
        parts.append(
            Part(limb([(*ear, 0.06, 0.07), (*((ear + tip) / 2), 0.07, 0.06), (*tip, 0.01, 0.01)], 6, 1), coat.body)
        )
        parts.append(Part(ball(0.022, chin + look * 0.17 + across * 0.05 + [side * 0.088, 0, 0], 1.0, 6), coat.hoof))
    return parts + _mane(
        rng, coat, np.array([row[:3] for row in rows]), np.array([row[4] for row in rows]), chin + across * 0.12
    )


def _mane(rng: np.random.Generator, coat: _Coat, line: Floats, depth: Floats, top: Floats) -> list[Part]:
    """Locks that hang from the crest of the neck, mostly on one side."""
    tangent = np.gradient(line, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    crest = line + np.stack([0 * depth, tangent[:, 2], -tangent[:, 1]], axis=1) * (depth / 2 - 0.01)[:, None]
    crest = smooth_path(np.concatenate([crest[1:], top[None]]), 12)
    side, length = rng.choice([-1, 1]), rng.uniform(0.12, 0.34)
    lengths = length * rng.uniform(0.7, 1.15, len(crest))
    rings = [
        crest + np.stack([side * out + 0 * lengths, 0.3 * fall * lengths, rise - fall * lengths], axis=1)
        for out, rise, fall in (
            (-0.03, 0.0, 0.0),
            (0.0, 0.045, 0.0),
            (0.08, 0.02, 0.15),
            (0.125, 0.0, 0.55),
            (0.14, 0.0, 1.0),
        )
    ]
    return [Part(grid(np.stack(rings, axis=1)), coat.hair)]


def _tail(rng: np.random.Generator, coat: _Coat, lift: float) -> Part:
    root, length = np.array([0.0, 0.80, 1.44]), rng.uniform(0.75, 1.0)
    sway = rng.normal(0, 0.08)
    out = np.array([0.0, lift * 0.8, 0.12 * lift])
    rows = [
        (*root, 0.07, 0.08),
        (*(root + [0, 0.12, 0.02] + out * 0.4), 0.08, 0.09),
        (*(root + [sway * 0.5, 0.16, -length * 0.45 * (1 - 0.6 * lift)] + out), 0.13, 0.17),
        (*(root + [sway, 0.15, -length * (1 - 0.7 * lift)] + out * 1.5), 0.05, 0.07),
    ]
    return Part(limb(rows, 10), coat.hair)


def _trunk(rng: np.random.Generator, fat: float) -> Floats:
    """Cross-sections of the trunk, chest to buttocks."""
    return np.array(
        [
            (-0.80, 1.17, 0.04, 0.06),
            (-0.76, 1.17, 0.24, 0.34),
            (-0.64, 1.19, 0.42, 0.56),
            (-0.42, 1.245, 0.50 * fat, 0.71),
            (-0.10, 1.215, 0.57 * fat, 0.66 * fat),
            (0.20, 1.225, 0.59 * fat, 0.63 * fat),
            (0.48, 1.28, 0.55, 0.56),
            (0.70, 1.265, 0.49, 0.53),
            (0.84, 1.22, 0.34, 0.40),
            (0.90, 1.20, 0.04, 0.06),
        ]
    )


def _saddle(rng: np.random.Generator, trunk: Floats) -> list[Part]:
    """A saddle on its cloth."""
    cloth = hull(trunk, (5, 175), (0.36, 0.58), 0.025, sides=14, count=6)
    seat = hull(trunk, (40, 140), (0.4, 0.54), 0.07, sides=8, count=6)
    return [
        Part(cloth, plain(hsv(rng.uniform(), rng.choice([0.0, 0.7]), rng.uniform(0.15, 0.9)))),
        Part(seat, surface(hsv(0.06, 0.5, rng.uniform(0.08, 0.35)), 0.4)),
    ]


def _varied(rng: np.random.Generator, pose: Pose) -> Pose:
    swing = tuple(float(v) for v in np.array(pose.swing) + rng.normal(0, pose.spread, 4))
    bend = tuple(float(max(v, 0)) for v in np.array(pose.bend) * rng.uniform(0.6, 1.2))
    if rng.uniform() < 0.5:
        swing, bend = (tuple(v[i] for i in (1, 0, 3, 2)) for v in (swing, bend))
    return Pose(
        swing,  # type: ignore[arg-type]
        bend,  # type: ignore[arg-type]
        pose.neck + rng.normal(0, 7),
        pose.head + rng.normal(0, 8),
        max(0.0, pose.tail + rng.normal(0, 0.08)),
    )


def _grounded(parts: list[Part]) -> list[Part]:
    low = float(vertices(parts)[:, 2].min())
    return [Part(part.mesh.moved(z=-low), part.material) for part in parts]


def horse(rng: np.random.Generator, name: str, long: float = 1.0, scale: float = 1.0) -> list[Part]:
    """A horse in the pose ``name``; ``long`` is its legs' length, ``scale`` its size, both about 1."""
    pose, coat = _varied(rng, POSES[name]), _coat(rng)
    trunk = _trunk(rng, rng.uniform(0.92, 1.1))
    parts = [Part(hull(trunk, power=2.2, sides=18), coat.body)]
    for number, (x, hind) in enumerate(((-0.14, False), (0.14, False), (-0.15, True), (0.15, True))):
        parts += _leg(coat, x, hind, pose.swing[number], pose.bend[number], long)
    parts += [*_head_and_neck(rng, coat, pose, rng.uniform(0.85, 1.1)), _tail(rng, coat, pose.tail)]
    if rng.uniform() < 0.15:
        parts += _saddle(rng, trunk)
    if name == "rearing":
        parts = posed(parts, pitch=rng.uniform(28, 45))
    stretch = rng.uniform(0.95, 1.06)
    parts = [Part(part.mesh.mapped(lambda v: v * [scale, scale * stretch, scale]), part.material) for part in parts]
    return _grounded(parts)


def _kind(name: str) -> Kind:
    weight = {"standing": 6, "walking": 3, "trotting": 2.5, "galloping": 2, "gathered": 1, "rearing": 0.4}
    return Kind(weight.get(name, 1.5), lambda rng: horse(rng, name, rng.uniform(0.96, 1.06), rng.uniform(0.9, 1.05)))


def foal(rng: np.random.Generator) -> list[Part]:
    """A foal: small, on long legs."""
    return horse(rng, pick(rng, ("standing", "walking")), rng.uniform(1.2, 1.3), rng.uniform(0.5, 0.65))


def pony(rng: np.random.Generator) -> list[Part]:
    """A pony: small, on short legs."""
    return horse(rng, pick(rng, ("standing", "walking", "grazing")), rng.uniform(0.75, 0.85), rng.uniform(0.7, 0.85))


#: Every pose of a grown horse, foals and ponies.
HORSES: dict[str, Kind] = {**{name: _kind(name) for name in POSES}, "foal": Kind(0.6, foal), "pony": Kind(1.2, pony)}
