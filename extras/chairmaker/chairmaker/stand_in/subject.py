"""What the stand-in's three catalogues have in common: a name, a weight, and a function that draws one subject."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chairmaker.materials import Material, Part, pick, surface
from chairmaker.meshes import Floats
from chairmaker.textures import hsv


class Kind(NamedTuple):
    """How often a type is drawn, and by what; it stands on z = 0 and faces -y."""

    weight: float
    draw: Callable[[np.random.Generator], list[Part]]


def draw(rng: np.random.Generator, kinds: dict[str, Kind]) -> list[Part]:
    """A subject of any type."""
    return kinds[pick(rng, {name: kind.weight for name, kind in kinds.items()})].draw(rng)


def vertices(parts: list[Part]) -> Floats:
    """Every vertex [V,3]."""
    return np.concatenate([part.mesh.vertices for part in parts])


def car_paint(rng: np.random.Generator) -> Floats:
    """An sRGB colour as cars wear them: silver, black, white and grey mostly; red, blue, green, beige, yellow."""
    kind = pick(rng, {"silver": 3, "black": 2.5, "white": 3, "grey": 2, "red": 3, "blue": 3, "green": 1, "other": 1.5})
    return {
        "silver": hsv(0.6, rng.uniform(0, 0.06), rng.uniform(0.6, 0.78)),
        "black": np.full(3, rng.uniform(0.04, 0.14)),
        "white": np.full(3, rng.uniform(0.82, 0.95)),
        "grey": hsv(0.6, rng.uniform(0, 0.15), rng.uniform(0.25, 0.5)),
        "red": hsv(rng.uniform(-0.02, 0.015), rng.uniform(0.75, 0.95), rng.uniform(0.35, 0.8)),
        "blue": hsv(rng.uniform(0.55, 0.65), rng.uniform(0.4, 0.9), rng.uniform(0.25, 0.75)),
        "green": hsv(rng.uniform(0.3, 0.45), rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.5)),
        "other": hsv(rng.choice([0.07, 0.1, 0.14, 0.5, 0.85]), rng.uniform(0.2, 0.85), rng.uniform(0.45, 0.9)),
    }[kind]


def enamel(colour: Floats, rng: np.random.Generator) -> Material:
    """Glossy paint."""
    return surface(colour, rng.uniform(0.15, 0.3), rng.uniform(0.5, 0.8), rng.choice([0.0, 0.0, 0.25]))


def glass(rng: np.random.Generator) -> Material:
    """Dark panes that show the sky."""
    return surface(hsv(0.55, 0.15, rng.uniform(0.06, 0.22)), 0.12, 0.9)
