"""Surfaces: each function draws one material at random and gives its Mitsuba description.

To add one, copy a function, paint its texture with :mod:`textures`, and give it a name in ``MATERIALS``. Chair families
ask for materials by these names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chairmaker import textures
from chairmaker.engine import mitsuba
from chairmaker.meshes import Floats, Mesh
from chairmaker.textures import Colour, hsv

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
    kind = pick(rng, {"white": 4, "black": 3.2, "grey": 3.2, "beige": 3, "brown": 1.2, "muted": 4.5, "vivid": 4})
    if kind == "white":
        # No white paint reflects more than 85 %.
        return np.full(3, rng.uniform(0.8, 0.93)) * [1, rng.uniform(0.96, 1), rng.uniform(0.88, 1)]
    if kind == "black":
        return np.full(3, rng.uniform(0.09, 0.19))
    if kind == "grey":
        return np.full(3, rng.uniform(0.22, 0.75)) + rng.normal(0, 0.015, 3)
    if kind == "beige":
        return hsv(rng.uniform(0.08, 0.12), rng.uniform(0.08, 0.3), rng.uniform(0.65, 0.92))
    if kind == "brown":
        return hsv(rng.uniform(0.03, 0.09), rng.uniform(0.3, 0.6), rng.uniform(0.2, 0.55))
    if kind == "muted":
        return hsv(pick_hue(rng), rng.uniform(0.15, 0.45), rng.uniform(0.3, 0.85))
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
    image = textures.mottled(rng, colour, rng.uniform(0.01, 0.04), rng.uniform(0.7, 1.8))
    return plain(textured(image, (0.35, 0.35)))


def leather(rng: np.random.Generator) -> Material:
    """Leather, mostly browns and blacks, with a soft shine."""
    kind = pick(rng, {"brown": 4, "black": 3, "pale": 2, "dyed": 2})
    colour = {
        "brown": hsv(rng.uniform(0.03, 0.08), rng.uniform(0.5, 0.8), rng.uniform(0.25, 0.62)),
        "black": np.full(3, rng.uniform(0.13, 0.2)),
        "pale": hsv(0.1, rng.uniform(0.05, 0.25), rng.uniform(0.75, 0.92)),
        "dyed": hsv(pick_hue(rng), rng.uniform(0.5, 0.8), rng.uniform(0.2, 0.6)),
    }[kind]
    image = textures.mottled(rng, colour, rng.uniform(0.01, 0.03), 1.4, clouds=0.2)
    return surface(textured(image, (0.3, 0.3)), roughness=rng.uniform(0.3, 0.5), specular=0.5)


def black_leather(rng: np.random.Generator) -> Material:
    """Smooth black or charcoal leather, as on gaming and office chairs."""
    image = textures.mottled(rng, np.full(3, rng.uniform(0.12, 0.21)), 0.03, 1.4, clouds=0.2)
    return surface(textured(image, (0.3, 0.3)), roughness=rng.uniform(0.35, 0.5), specular=0.5)


def bright_leather(rng: np.random.Generator) -> Material:
    """The loud second colour of a racing seat: red, orange, yellow, green, blue, pink, white."""
    hue = rng.choice([0.0, 0.0, 0.06, 0.13, 0.33, 0.58, 0.62, 0.93]) + rng.normal(0, 0.015)
    white = rng.uniform() < 0.25
    colour = np.full(3, rng.uniform(0.8, 0.9)) if white else hsv(hue, rng.uniform(0.5, 0.8), rng.uniform(0.38, 0.7))
    return surface(colour, roughness=rng.uniform(0.35, 0.5), specular=0.5)


def plastic(rng: np.random.Generator) -> Material:
    """Moulded plastic, glossy to satin."""
    return surface(_furniture_colour(rng), roughness=rng.uniform(0.15, 0.45), specular=0.55)


def steel(rng: np.random.Generator) -> Material:
    """Powder-coated steel tube: mostly black, white or grey, now and then a colour."""
    colour = {
        "black": np.full(3, rng.uniform(0.07, 0.16)),
        "white": np.full(3, rng.uniform(0.82, 0.94)),
        "grey": np.full(3, rng.uniform(0.3, 0.65)),
        "colour": _furniture_colour(rng),
    }[pick(rng, {"black": 6, "white": 2, "grey": 1.5, "colour": 1.5})]
    return surface(colour, roughness=rng.uniform(0.3, 0.55), specular=0.4)


def velvet(rng: np.random.Generator) -> Material:
    """Velvet: deep colours, brushed a little lighter and darker."""
    kind = pick(rng, {"deep": 5, "dusty": 3, "grey": 2})
    colour = {
        "deep": hsv(pick_hue(rng), rng.uniform(0.5, 0.85), rng.uniform(0.25, 0.6)),
        "dusty": hsv(pick_hue(rng), rng.uniform(0.2, 0.45), rng.uniform(0.55, 0.85)),
        "grey": np.full(3, rng.uniform(0.15, 0.6)),
    }[kind]
    image = textures.mottled(rng, colour, rng.uniform(0.015, 0.035), 2.0, clouds=0.3)
    return surface(textured(image, (0.7, 0.7)), roughness=rng.uniform(0.55, 0.75), specular=0.35)


def patterned_fabric(rng: np.random.Generator) -> Material:
    """Woven or printed cloth with stripes, checks, a lattice or blots."""
    colour = _furniture_colour(rng)
    second = colour * rng.uniform(0.3, 0.8) if rng.uniform() < 0.5 else _furniture_colour(rng)
    image = textures.patterned(rng, [colour, second, _furniture_colour(rng)])
    return plain(textured(image, (rng.uniform(0.12, 0.5),) * 2))


def canvas(rng: np.random.Generator) -> Material:
    """Stout cotton: undyed, black, or dyed, sometimes with awning stripes."""
    colour = {
        "raw": hsv(rng.uniform(0.09, 0.12), rng.uniform(0.08, 0.22), rng.uniform(0.8, 0.94)),
        "black": np.full(3, rng.uniform(0.09, 0.17)),
        "dyed": hsv(pick_hue(rng), rng.uniform(0.4, 0.85), rng.uniform(0.3, 0.8)),
        "khaki": hsv(rng.uniform(0.09, 0.2), rng.uniform(0.2, 0.45), rng.uniform(0.35, 0.6)),
    }[pick(rng, {"raw": 3, "black": 2.5, "dyed": 4, "khaki": 2})]
    if rng.uniform() < 0.15:
        return plain(textured(textures.stripes(rng, [colour, np.full(3, 0.9)]), (rng.uniform(0.12, 0.4), 0.4)))
    return plain(textured(textures.weave(rng, colour, rng.uniform(0.04, 0.1), 24), (0.1, 0.1)))


def cane(rng: np.random.Generator) -> Material:
    """Strands of peeled cane or paper cord: straw, honey, seldom stained black."""
    black = rng.uniform() < 0.12
    colour = np.full(3, 0.14) if black else hsv(rng.uniform(0.09, 0.12), rng.uniform(0.25, 0.55), rng.uniform(0.7, 0.9))
    return surface(colour, roughness=0.45, specular=0.4)


def wicker(rng: np.random.Generator) -> Material:
    """Plaited rattan or its plastic likeness: honey, brown, grey, black or white."""
    colour = {
        "honey": hsv(rng.uniform(0.08, 0.11), rng.uniform(0.35, 0.6), rng.uniform(0.6, 0.85)),
        "brown": hsv(rng.uniform(0.05, 0.08), rng.uniform(0.4, 0.6), rng.uniform(0.25, 0.45)),
        "grey": np.full(3, rng.uniform(0.3, 0.65)),
        "black": np.full(3, rng.uniform(0.12, 0.2)),
        "white": np.full(3, rng.uniform(0.8, 0.92)),
    }[pick(rng, {"honey": 4, "brown": 3, "grey": 2, "black": 1, "white": 1})]
    cell = rng.uniform(0.12, 0.24)
    return surface(textured(textures.weave(rng, colour, rng.uniform(0.25, 0.45), 8), (cell, cell)), 0.5, 0.4)


def black_plastic(rng: np.random.Generator) -> Material:
    """The dark nylon of castors, arm pads and star bases."""
    return surface(np.full(3, rng.uniform(0.07, 0.2)), roughness=rng.uniform(0.3, 0.55), specular=0.4)


def chrome(rng: np.random.Generator) -> Material:
    """Polished or brushed steel."""
    return surface(
        np.array([0.86, 0.87, 0.88]) * rng.uniform(0.9, 1.0), roughness=rng.uniform(0.27, 0.42), metallic=1.0
    )


def metal(rng: np.random.Generator, polish: float = 1.0) -> Material:
    """Black steel, brass, copper or aluminium.

    With less ``polish`` it mirrors less and shows more of its own colour.
    """
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
    "black_leather": black_leather,
    "bright_leather": bright_leather,
    "plastic": plastic,
    "black_plastic": black_plastic,
    "chrome": chrome,
    "metal": metal,
    "steel": steel,
    "velvet": velvet,
    "patterned_fabric": patterned_fabric,
    "canvas": canvas,
    "cane": cane,
    "wicker": wicker,
}
