"""Surfaces: each function draws one material at random and gives its Mitsuba description.

To add one, copy a function, paint its texture with :mod:`textures`, and name it in ``MATERIALS``; a chair family asks for
materials by these names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chairlib.collection.procedural import textures
from chairlib.collection.procedural.engine import mitsuba
from chairlib.collection.procedural.meshes import Floats, Mesh
from chairlib.collection.procedural.textures import Colour, hsv

__all__ = [
    "MATERIALS",
    "Material",
    "Part",
    "chrome",
    "fabric",
    "glow",
    "leather",
    "metal",
    "paint",
    "pick",
    "pick_hue",
    "plain",
    "plastic",
    "surface",
    "textured",
    "wood",
]

#: A Mitsuba ``bsdf`` (or, from :func:`glow`, an emitting shape's) description.
Material = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A mesh and what it is made of."""

    mesh: Mesh
    material: Material


def pick(rng: np.random.Generator, choices: Mapping[str, float] | list[str] | tuple[str, ...]) -> str:
    """One name at random; a mapping gives weights."""
    names = list(choices)
    weights = np.array([choices[name] for name in names]) if isinstance(choices, Mapping) else np.ones(len(names))
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def textured(image: Floats, metres: tuple[float, float], turned: bool = False) -> dict[str, Any]:
    """A texture from an sRGB image [H,W,3] in [0, 1] that repeats every ``metres`` (across, along)."""
    mi = mitsuba()
    pixels = np.ascontiguousarray(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))
    scale = mi.ScalarTransform3f().scale([1 / metres[0], 1 / metres[1]])
    transform = scale @ mi.ScalarTransform3f().rotate(90) if turned else scale
    return {"type": "bitmap", "bitmap": mi.Bitmap(pixels), "to_uv": transform, "filter_type": "bilinear"}


def surface(
    colour: Colour | dict[str, Any], roughness: float = 0.5, specular: float = 0.5, metallic: float = 0.0
) -> Material:
    """A glossy surface of an sRGB colour in [0, 1] or a texture."""
    return _both_sides(
        {
            "type": "principled",
            "base_color": _reflectance(colour),
            "roughness": float(roughness),
            "specular": float(specular),
            "metallic": float(metallic),
        }
    )


def plain(colour: Colour | dict[str, Any]) -> Material:
    """A matt surface of an sRGB colour in [0, 1] or a texture."""
    return _both_sides({"type": "diffuse", "reflectance": _reflectance(colour)})


def glow(colour: Colour | dict[str, Any], strength: float) -> Material:
    """A surface that shines with ``strength`` times an sRGB colour or a texture: windows, lamps."""
    if isinstance(colour, dict):
        image = np.array(colour["bitmap"], dtype=np.float32) / 255
        bright = mitsuba().Bitmap((_linear(image) * strength).astype(np.float32))
        return {"type": "area", "radiance": {**colour, "bitmap": bright, "raw": True}}
    return {
        "type": "area",
        "radiance": {"type": "rgb", "value": [float(v) * strength for v in _linear(np.asarray(colour))]},
    }


def _linear(srgb: Floats) -> Floats:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _reflectance(colour: Colour | dict[str, Any]) -> dict[str, Any]:
    if isinstance(colour, dict):
        return colour
    return {"type": "rgb", "value": [float(v) for v in _linear(np.asarray(colour, dtype=float))]}


def _both_sides(bsdf: dict[str, Any]) -> Material:
    return {"type": "twosided", "bsdf": bsdf}


_WOODS = {  # sRGB of the planed board
    "ash": (0.80, 0.67, 0.50),
    "oak": (0.71, 0.54, 0.36),
    "beech": (0.79, 0.58, 0.41),
    "pine": (0.86, 0.68, 0.44),
    "teak": (0.60, 0.38, 0.21),
    "cherry": (0.55, 0.27, 0.15),
    "walnut": (0.36, 0.23, 0.15),
    "mahogany": (0.34, 0.14, 0.09),
    "wenge": (0.19, 0.13, 0.10),
    "weathered": (0.60, 0.55, 0.49),
}


def wood(rng: np.random.Generator) -> Material:
    """Planed wood of some species, oiled to varnished."""
    colour = np.clip(np.array(_WOODS[pick(rng, tuple(_WOODS))]) * rng.uniform(0.85, 1.12), 0, 1)
    grain = textures.wood_grain(rng, colour, rng.uniform(0.06, 0.16))
    return surface(textured(grain, (0.16, 0.9)), roughness=rng.uniform(0.25, 0.6), specular=rng.uniform(0.25, 0.6))


def _furniture_colour(rng: np.random.Generator) -> Floats:
    kind = pick(rng, {"white": 3, "black": 3, "grey": 3, "muted": 6, "vivid": 4})
    if kind == "white":
        return np.full(3, rng.uniform(0.82, 0.95)) * [1, rng.uniform(0.96, 1), rng.uniform(0.88, 1)]
    if kind == "black":
        return np.full(3, rng.uniform(0.11, 0.2))
    if kind == "grey":
        return np.full(3, rng.uniform(0.25, 0.7)) + rng.normal(0, 0.015, 3)
    if kind == "muted":
        return hsv(pick_hue(rng), rng.uniform(0.15, 0.45), rng.uniform(0.35, 0.85))
    return hsv(pick_hue(rng), rng.uniform(0.55, 0.9), rng.uniform(0.35, 0.9))


def pick_hue(rng: np.random.Generator) -> float:
    """A hue as furniture makers use them: warm and blue ones often, violet seldom."""
    centre = rng.choice([0.01, 0.07, 0.11, 0.14, 0.3, 0.45, 0.52, 0.58, 0.62, 0.93])
    return float(centre + rng.normal(0, 0.025))


def paint(rng: np.random.Generator) -> Material:
    """Lacquered wood or powder-coated metal in one colour."""
    return surface(_furniture_colour(rng), roughness=rng.uniform(0.2, 0.6), specular=0.45)


def fabric(rng: np.random.Generator) -> Material:
    """Upholstery cloth: plain weave, heather, or a woven pattern."""
    colour = _furniture_colour(rng)
    if rng.uniform() < 0.15:
        second = colour * rng.uniform(0.3, 0.8) if rng.uniform() < 0.5 else _furniture_colour(rng)
        image = textures.patterned(rng, [colour, second, _furniture_colour(rng)])
        return plain(textured(image, (rng.uniform(0.12, 0.5),) * 2))
    image = textures.mottled(rng, colour, rng.uniform(0.01, 0.05), rng.uniform(0.8, 2.5))
    return plain(textured(image, (0.35, 0.35)))


def leather(rng: np.random.Generator) -> Material:
    """Leather, mostly browns and blacks, with a soft shine."""
    kind = pick(rng, {"brown": 4, "black": 3, "pale": 2, "dyed": 2})
    colour = {
        "brown": hsv(rng.uniform(0.03, 0.08), rng.uniform(0.5, 0.8), rng.uniform(0.25, 0.62)),
        "black": np.full(3, rng.uniform(0.1, 0.17)),
        "pale": hsv(0.1, rng.uniform(0.05, 0.25), rng.uniform(0.75, 0.92)),
        "dyed": hsv(pick_hue(rng), rng.uniform(0.5, 0.8), rng.uniform(0.2, 0.6)),
    }[kind]
    image = textures.mottled(rng, colour, 0.06, 3.0)
    return surface(textured(image, (0.3, 0.3)), roughness=rng.uniform(0.3, 0.5), specular=0.5)


def plastic(rng: np.random.Generator) -> Material:
    """Moulded plastic, glossy to satin."""
    return surface(_furniture_colour(rng), roughness=rng.uniform(0.15, 0.45), specular=0.55)


def black_plastic(rng: np.random.Generator) -> Material:
    """The dark nylon of castors, arm pads and star bases."""
    return surface(np.full(3, rng.uniform(0.07, 0.2)), roughness=rng.uniform(0.3, 0.55), specular=0.4)


def chrome(rng: np.random.Generator) -> Material:
    """Polished or brushed steel."""
    return surface(
        np.array([0.86, 0.87, 0.88]) * rng.uniform(0.9, 1.0), roughness=rng.uniform(0.18, 0.38), metallic=1.0
    )


def metal(rng: np.random.Generator, polish: float = 1.0) -> Material:
    """Black steel, brass, copper, or aluminium. With less ``polish`` it shows more of its own colour than of its surroundings."""
    colour, metallic = {
        "black": (np.full(3, rng.uniform(0.08, 0.16)), 0.0),
        "brass": (np.array([0.85, 0.68, 0.36]), 1.0),
        "copper": (np.array([0.85, 0.55, 0.42]), 1.0),
        "aluminium": (np.full(3, 0.85), 1.0),
    }[pick(rng, {"black": 5, "brass": 2, "copper": 1, "aluminium": 3})]
    return surface(colour, roughness=rng.uniform(0.25, 0.5), metallic=metallic * polish)


#: Every material that a chair may name.
MATERIALS: dict[str, Callable[[np.random.Generator], Material]] = {
    "wood": wood,
    "paint": paint,
    "fabric": fabric,
    "leather": leather,
    "plastic": plastic,
    "black_plastic": black_plastic,
    "chrome": chrome,
    "metal": metal,
}
