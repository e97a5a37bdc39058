"""From parts to pixels: a Mitsuba scene, exact opacity, straight colour.

The reconstruction filter is a box, so a pixel's opacity is the share of its samples that hit something, and no colour leaks
from one pixel to the next. The light's own image is hidden, so what is not hit is transparent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from chairlib.collection.procedural.engine import mitsuba
from chairlib.collection.procedural.materials import Material, Part
from chairlib.collection.procedural.meshes import Floats, Mesh, join

__all__ = ["Camera", "encode", "render", "render_guide", "smooth_light", "straight_rgba", "studio"]

#: A fixed block keeps the random numbers, and so the image, the same however many threads render it.
_BLOCK = 32
#: What stands for a light in a picture of albedo: no surface reflects as much, even averaged over a pixel.
_LIGHT_ALBEDO = 100.0


@dataclass(frozen=True)
class Camera:
    """A square pinhole camera: where it stands, what it looks at (metres), and how wide it sees (degrees)."""

    origin: tuple[float, float, float]
    target: tuple[float, float, float]
    degrees: float

    @classmethod
    def around(cls, vertices: Floats, azimuth: float, elevation: float, distance: float, fill: float) -> "Camera":
        """A camera that sees ``vertices`` [V,3] centred, their larger extent filling the share ``fill`` of the image.

        It stands ``distance`` metres off, ``azimuth`` degrees right of the front (-y) and ``elevation`` degrees up.
        """
        a, e = np.radians([azimuth, elevation])
        away = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
        target = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        camera = cls(tuple(target + away * distance), tuple(target), 60.0)
        for _ in range(4):
            # Looking at the middle of the picture moves the picture a little: a few rounds settle it.
            low, high = camera.bounds(vertices)
            span = float((high - low).max())
            right, up, _forward = camera.axes()
            middle = (low + high) / 2
            target = target + distance * (right * middle[0] + up * middle[1])
            camera = cls(
                tuple(target + away * distance), tuple(target), float(np.degrees(2 * np.arctan(span / fill / 2)))
            )
        return camera

    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Unit vectors to the right, upwards and forwards."""
        forward = np.subtract(self.target, self.origin)
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return right, np.cross(right, forward), forward

    def bounds(self, vertices: Floats) -> tuple[Floats, Floats]:
        """Smallest and largest (right, up) of the projections of ``vertices`` [V,3], as tangents of the angle off the axis."""
        right, up, forward = self.axes()
        seen = vertices - np.array(self.origin)
        depth = seen @ forward
        points = np.stack([seen @ right / depth, seen @ up / depth], axis=1)
        return points.min(axis=0), points.max(axis=0)

    def window(self, vertices: Floats, size: int) -> tuple[int, int, int, int]:
        """Left, top, width and height, in pixels of a ``size``-pixel image, of the box that holds ``vertices``."""
        low, high = self.bounds(vertices)
        scale = size / 2 / np.tan(np.radians(self.degrees / 2))
        left, top = np.floor([size / 2 + low[0] * scale, size / 2 - high[1] * scale]).astype(int) - 1
        right, bottom = np.ceil([size / 2 + high[0] * scale, size / 2 - low[1] * scale]).astype(int) + 1
        left, top, right, bottom = (int(np.clip(edge, 0, size)) for edge in (left, top, right, bottom))
        return left, top, right - left, bottom - top


def studio(rng: np.random.Generator) -> dict[str, Any]:
    """A photographer's studio as an environment: a pale surround and one to three soft boxes of varied size and place."""
    height, width = 32, 64
    elevation = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    azimuth = ((np.arange(width) + 0.5) / width) * 2 * np.pi
    up = np.sin(elevation)[:, None]
    # From the white floor below to the ceiling above.
    level = rng.uniform(0.25, 0.6) + rng.uniform(0.0, 0.35) * up + rng.uniform(0.05, 0.2) * (up < -0.1)
    light = np.repeat(np.maximum(level, 0.05), width, axis=1)
    for _ in range(rng.integers(1, 4)):
        softness, place = rng.uniform(0.18, 0.7), rng.uniform(0.25, 1.2)
        turn = rng.uniform(0, 2 * np.pi)
        cosine = np.sin(place) * up + np.cos(place) * np.cos(elevation)[:, None] * np.cos(azimuth - turn)
        angle = np.arccos(np.clip(cosine, -1, 1))
        box = 1 / (1 + np.exp((angle - softness) / 0.06))
        light = light + box * rng.uniform(0.8, 2.2) / softness**1.6 * 0.35
    tint = 1 + rng.normal(0, 0.025, 3) * [1, 0.3, 1]
    image = (light[..., None] * tint).astype(np.float32)
    mi = mitsuba()
    # The environment's own up is y.
    return {"type": "envmap", "bitmap": mi.Bitmap(image), "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90)}


def _shape(mesh: Mesh, material: Material, guide: str = "") -> Any:
    """A Mitsuba shape. As a ``guide`` ("albedo" or "normal") it shines with that instead of reflecting light."""
    mi = mitsuba()
    properties = mi.Properties()
    shining = material["type"] == "area"
    if guide == "normal":
        radiance = {"type": "mesh_attribute", "name": "vertex_facing"}
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": radiance})
    elif guide and shining:
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": {"type": "rgb", "value": _LIGHT_ALBEDO}})
    elif guide:
        bsdf = material["bsdf"]
        radiance = bsdf["reflectance" if bsdf["type"] == "diffuse" else "base_color"]
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": radiance})
    else:
        properties["emitter" if shining else "bsdf"] = mi.load_dict(dict(material))
    shape = mi.Mesh(
        "part", len(mesh.vertices), len(mesh.faces), properties, has_vertex_normals=True, has_vertex_texcoords=True
    )
    normals = mesh.normals().astype(np.float32)
    if guide == "normal":
        # Light can't be negative: 1.2 keeps interpolated normals positive.
        shape.add_attribute("vertex_facing", 3, (normals + 1.2).ravel())
    buffers = mi.traverse(shape)
    buffers["faces"] = mesh.faces.astype(np.uint32).ravel()
    buffers["vertex_positions"] = mesh.vertices.astype(np.float32).ravel()
    buffers["vertex_normals"] = normals.ravel()
    buffers["vertex_texcoords"] = mesh.uv.astype(np.float32).ravel()
    buffers.update()
    return shape


def _shapes(parts: Sequence[Part], guide: str = "") -> dict[str, Any]:
    """One Mitsuba shape a material: few large meshes load and trace faster than many small ones."""
    by_material: dict[int, list[Part]] = {}
    for part in parts:
        by_material.setdefault(id(part.material), []).append(part)
    return {
        f"shape{number}": _shape(join([part.mesh for part in same]), same[0].material, guide)
        for number, same in enumerate(by_material.values())
    }


def _sensor(camera: Camera, size: int, samples: int, window: tuple[int, int, int, int]) -> dict[str, Any]:
    left, top, width, height = window
    return {
        "type": "perspective",
        "fov": camera.degrees,
        "to_world": mitsuba().ScalarTransform4f().look_at(list(camera.origin), list(camera.target), [0, 0, 1]),
        "near_clip": 0.01,
        "film": {
            "type": "hdrfilm",
            "width": size,
            "height": size,
            "crop_offset_x": left,
            "crop_offset_y": top,
            "crop_width": width,
            "crop_height": height,
            "pixel_format": "rgba",
            "component_format": "float32",
            "rfilter": {"type": "box"},
        },
        "sampler": {"type": "multijitter", "sample_count": samples},
    }


def render(
    parts: Sequence[Part],
    lights: Sequence[dict[str, Any]],
    camera: Camera,
    size: int,
    samples: int,
    seed: int,
    window: tuple[int, int, int, int] | None = None,
    hide_lights: bool = True,
) -> NDArray[np.float32]:
    """Linear, premultiplied RGBA [size,size,4] with opacity in [0, 1].

    ``samples`` is the number per pixel; ``window`` is the part of the image that can hold anything (left, top, width, height):
    the rest stays transparent. Light is direct only, from broad sources: what bounces between surfaces shows little at a
    thumbnail's size and would double the time.
    """
    left, top, width, height = window or (0, 0, size, size)
    scene = {
        "type": "scene",
        "integrator": {"type": "direct", "hide_emitters": hide_lights, "block_size": _BLOCK},
        "sensor": _sensor(camera, size, samples, (left, top, width, height)),
        **{f"light{number}": light for number, light in enumerate(lights)},
        **_shapes(parts),
    }
    image = np.zeros((size, size, 4), np.float32)
    mi = mitsuba()
    image[top : top + height, left : left + width] = np.array(mi.render(mi.load_dict(scene), seed=seed))
    return image


def render_guide(
    parts: Sequence[Part],
    camera: Camera,
    size: int,
    samples: int,
    seed: int,
    guide: str,
    window: tuple[int, int, int, int] | None = None,
) -> NDArray[np.float32]:
    """What the eye sees without light [size,size,3], linear and straight (the mean over what a pixel shows, 0 where nothing).

    ``guide`` is "albedo", each surface's own colour (over 1 where a light shows), or "normal" (plus 1.2).
    One ray a sample and the very samples of :func:`render`, so it is cheap and its edges are the same. (Mitsuba's own ``aov``
    integrator takes four times as long as the picture itself in the scalar variants.)
    """
    left, top, width, height = window or (0, 0, size, size)
    scene = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 1, "block_size": _BLOCK},
        "sensor": _sensor(camera, size, samples, (left, top, width, height)),
        **_shapes(parts, guide),
    }
    image = np.zeros((size, size, 3), np.float32)
    mi = mitsuba()
    pixels = np.array(mi.render(mi.load_dict(scene), seed=seed))
    image[top : top + height, left : left + width] = pixels[..., :3] / np.maximum(pixels[..., 3:], 1e-6)
    return image


def smooth_light(
    image: NDArray[np.floating],
    albedo: NDArray[np.floating],
    normal: NDArray[np.floating],
    reach: int = 3,
    bounce: float = 0.0,
) -> NDArray[np.floating]:
    """A linear premultiplied RGBA image [H,W,4] with the sampling noise of its colour averaged out.

    Only the light is averaged, over neighbours (up to ``reach`` pixels off) that face the same way and have a like colour: each
    pixel is divided by its surface's ``albedo`` first and multiplied again after, so texture and edges stay as sharp as they
    were. Pixels with a light in them, and all opacity, stay as they are. ``bounce`` is the share of the mean light that reaches
    every surface by way of the others. ``albedo`` and ``normal`` [H,W,3] are straight, see :func:`render_guide`.
    """
    opacity = image[..., 3]
    colour = image[..., :3] / np.maximum(opacity, 1e-6)[..., None]
    shining, empty = albedo.max(axis=2) > 1.0, opacity <= 0
    safe = np.maximum(albedo, 0.02)
    light = np.log1p(colour / safe)
    # Single bright samples (a lamp seen in a shiny rod) would stay as specks: nothing may outshine its surroundings by far.
    level = light.mean(axis=2)
    # What is empty sets no limit: thin bars have little else around them.
    limit = 1.4 * median_filter(np.where(empty, np.inf, level), 5) + 0.05
    light = light * np.minimum(1.0, limit / np.maximum(level, 1e-6))[..., None]
    total, weights = np.zeros_like(light), np.zeros(opacity.shape)
    height, width = opacity.shape
    guides = np.concatenate([normal * 2.5, albedo], axis=2)
    padded = [np.pad(a, [(reach, reach), (reach, reach), (0, 0)], mode="edge") for a in (light, guides)]
    # A pixel that is hardly covered has few samples to tell of.
    usable = np.pad(np.where(shining, 0.0, opacity), reach, mode="constant")
    for down in range(2 * reach + 1):
        for across in range(2 * reach + 1):
            here = (slice(down, down + height), slice(across, across + width))
            other, guide = padded[0][here], padded[1][here]
            unlike = ((guide - guides) ** 2).sum(axis=2) / 0.1 + ((other - light) ** 2).sum(axis=2) / 0.6
            weight = np.exp(-unlike) * usable[here]
            total += other * weight[..., None]
            weights += weight
    smooth = np.expm1(total / np.maximum(weights, 1e-6)[..., None])
    lit = ~shining & ~empty
    bounced = bounce * smooth[lit].mean(axis=0) if lit.any() else 0.0
    smoothed = np.where(shining[..., None], colour, smooth * safe + bounced * albedo)
    return np.concatenate([smoothed * opacity[..., None], image[..., 3:]], axis=2)


def encode(linear: NDArray[np.floating], contrast: float = 0.0) -> NDArray[np.uint8]:
    """sRGB bytes of linear colour (any shape; clipped to [0, 1]); ``contrast`` in [0, 1] mixes in a photographic S curve."""
    clipped = np.clip(linear, 0.0, 1.0)
    srgb = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    srgb = (1 - contrast) * srgb + contrast * srgb**2 * (3 - 2 * srgb)
    return np.round(srgb * 255).astype(np.uint8)


def straight_rgba(
    premultiplied: NDArray[np.floating], exposure: float = 1.0, contrast: float = 0.0
) -> NDArray[np.uint8]:
    """RGBA bytes [H,W,4], straight, from linear premultiplied RGBA [H,W,4].

    Colour is divided by opacity while still linear: an edge pixel keeps the chair's own colour, and no dark rim shows on any
    background. Where opacity rounds to 0 everything is 0.
    """
    opacity = np.clip(premultiplied[..., 3], 0.0, 1.0)
    alpha = np.round(opacity * 255).astype(np.uint8)
    colour = exposure * premultiplied[..., :3] / np.maximum(opacity, 1e-6)[..., None]
    rgba = np.concatenate([encode(colour, contrast), alpha[..., None]], axis=2)
    rgba[alpha == 0] = 0
    return rgba
