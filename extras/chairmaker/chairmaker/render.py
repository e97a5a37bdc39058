"""From parts to pixels: a Mitsuba scene, exact opacity, straight colour.

The reconstruction filter is a box: a pixel's opacity is the share of its samples that hit something, and no colour
leaks from one pixel to the next. Lights are hidden, so where no ray hits anything the image is transparent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter

from chairmaker.engine import mitsuba
from chairmaker.materials import Material, Part
from chairmaker.meshes import Floats, Mesh, join

#: A fixed block keeps the random numbers, and so the image, the same however many threads render it.
_BLOCK = 32
#: What stands for a light in a picture of albedo: no surface reflects as much, even averaged over a pixel.
_LIGHT_ALBEDO = (100.0, 0.0, 0.0)
#: How strongly a difference of 1 in colour, in the logarithm of light and in the normal keeps pixels from being
#: averaged.
_ALBEDO_WEIGHT, _LIGHT_WEIGHT, _NORMAL_WEIGHT = 3.0, 6.0, 4.0
#: The weight of a neighbour that is quite unlike a pixel: it matters where a pixel has no other neighbours.
_UNLIKE_WEIGHT = 1e-5
#: Light can't be negative: this keeps the components of interpolated normals positive.
_FACING_OFFSET = 1.2
#: By what share bounced light is stronger on surfaces that face down than on walls, and weaker on those that face up:
#: most of it comes from the floor.
_BOUNCE_FROM_BELOW = 0.6


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
        """Smallest and largest (right, up) of the projected ``vertices`` [V,3], as tangents of angles to the axis."""
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
    """A photographer's studio as an environment light: a pale surround and one to three soft boxes, drawn at random."""
    height, width = 32, 64
    elevation = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    azimuth = ((np.arange(width) + 0.5) / width) * 2 * np.pi
    up = np.sin(elevation)[:, None]
    # From the white floor below to the ceiling above.
    level = rng.uniform(0.15, 0.5) + rng.uniform(0.0, 0.35) * up + rng.uniform(0.05, 0.25) * (up < -0.1)
    light = np.repeat(np.maximum(level, 0.05), width, axis=1)
    for _ in range(rng.integers(1, 4)):
        softness, place = rng.uniform(0.18, 0.7), rng.uniform(0.25, 1.2)
        turn = rng.uniform(0, 2 * np.pi)
        cosine = np.sin(place) * up + np.cos(place) * np.cos(elevation)[:, None] * np.cos(azimuth - turn)
        angle = np.arccos(np.clip(cosine, -1, 1))
        box = 1 / (1 + np.exp((angle - softness) / 0.06))
        light = light + box * rng.uniform(1.2, 3.6) / softness**1.6 * 0.35
    tint = 1 + rng.normal(0, 0.025, 3) * [1, 0.3, 1]
    image = (light[..., None] * tint).astype(np.float32)
    mi = mitsuba()
    # The environment's own up is y.
    return {"type": "envmap", "bitmap": mi.Bitmap(image), "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90)}


def _shape(mesh: Mesh, normals: NDArray[np.float32], material: Material, guide: str = "") -> Any:
    """A Mitsuba shape.

    For a ``guide`` ("albedo" or "normal") it emits that as its colour instead of reflecting light.
    """
    mi = mitsuba()
    properties = mi.Properties()
    if not guide:
        properties["emitter" if material["type"] == "area" else "bsdf"] = mi.load_dict(dict(material))
    else:
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": _guide_radiance(material, guide)})
    # A guide has flat faces. An interpolated normal turns away from the camera along every outline; a light emits
    # nothing there, and the chair would have a black rim.
    rounded = not guide
    shape = mi.Mesh(
        "part", len(mesh.vertices), len(mesh.faces), properties, has_vertex_normals=rounded, has_vertex_texcoords=True
    )
    if guide == "normal":
        shape.add_attribute("vertex_facing", 3, (normals + _FACING_OFFSET).ravel())
    buffers = mi.traverse(shape)
    buffers["faces"] = mesh.faces.astype(np.uint32).ravel()
    buffers["vertex_positions"] = mesh.vertices.astype(np.float32).ravel()
    if rounded:
        buffers["vertex_normals"] = normals.ravel()
    buffers["vertex_texcoords"] = mesh.uv.astype(np.float32).ravel()
    buffers.update()
    return shape


def _guide_radiance(material: Material, guide: str) -> dict[str, Any]:
    if guide == "normal":
        return {"type": "mesh_attribute", "name": "vertex_facing"}
    if material["type"] == "area":
        return {"type": "rgb", "value": list(_LIGHT_ALBEDO)}
    bsdf = material["bsdf"]
    return bsdf["reflectance" if bsdf["type"] == "diffuse" else "base_color"]


class View:
    """A scene before a camera, which can be rendered in several ways.

    Only ``window`` (left, top, width, height in pixels; by default the whole image) is rendered. Every picture has the
    window's size [H,W]; :meth:`on_canvas` puts it back into the whole image.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        lights: Sequence[dict[str, Any]],
        camera: Camera,
        size: int,
        window: tuple[int, int, int, int] | None = None,
    ) -> None:
        self.size, self.window = size, window or (0, 0, size, size)
        self._camera = camera
        self._film = self._sensor(camera)
        self._lights = {f"light{number}": light for number, light in enumerate(lights)}
        # One shape a material: few large meshes load and trace faster than many small ones.
        by_material: dict[int, list[Part]] = {}
        for part in parts:
            by_material.setdefault(id(part.material), []).append(part)
        self._shapes = [(join([part.mesh for part in same]), same[0].material) for same in by_material.values()]
        self._normals = [mesh.normals().astype(np.float32) for mesh, _ in self._shapes]

    def _sensor(self, camera: Camera) -> dict[str, Any]:
        left, top, width, height = self.window
        return {
            "type": "perspective",
            "fov": camera.degrees,
            "to_world": mitsuba().ScalarTransform4f().look_at(list(camera.origin), list(camera.target), [0, 0, 1]),
            "near_clip": 0.01,
            "film": {
                "type": "hdrfilm",
                "width": self.size,
                "height": self.size,
                "crop_offset_x": left,
                "crop_offset_y": top,
                "crop_width": width,
                "crop_height": height,
                "pixel_format": "rgba",
                "component_format": "float32",
                "rfilter": {"type": "box"},
            },
            # Without jitter, pictures with the same seed and number of samples use the same points of each pixel. A
            # colour and its guide then agree on how much of each side of an edge they saw. Otherwise edges come out
            # dotted.
            "sampler": {"type": "multijitter", "jitter": False},
        }

    def _render(self, integrator: dict[str, Any], samples: int, seed: int, guide: str = "") -> NDArray[np.float32]:
        mi = mitsuba()
        shapes = {
            f"shape{number}": _shape(mesh, normals, material, guide)
            for number, ((mesh, material), normals) in enumerate(zip(self._shapes, self._normals, strict=True))
        }
        scene = {"type": "scene", "sensor": self._film, **({} if guide else self._lights), **shapes}
        integrator = mi.load_dict({**integrator, "block_size": _BLOCK})
        return np.array(mi.render(mi.load_dict(scene), integrator=integrator, spp=samples, seed=seed))

    def colour(self, samples: int, seed: int, hide_lights: bool = True) -> NDArray[np.float32]:
        """Linear, premultiplied RGBA [H,W,4] with opacity in [0, 1], from ``samples`` rays a pixel.

        Only direct light is traced: light that bounces between surfaces would double the time and hardly shows in a
        thumbnail. Where lights are hidden, pixels that show nothing else are transparent.
        """
        return self._render({"type": "direct", "hide_emitters": hide_lights}, samples, seed)

    def guide(self, what: str, samples: int, seed: int) -> NDArray[np.float32]:
        """A property of the surfaces that each pixel sees, straight (not premultiplied), with opacity [H,W,4].

        ``what`` is "albedo", each surface's own linear colour (lights are 100 in red), or "normal" (plus 1.2). The rays
        are those of :meth:`colour` with the same number of samples and the same seed. (Mitsuba's own ``aov`` integrator
        takes many times as long in the scalar variants.)
        """
        pixels = self._render({"type": "path", "max_depth": 1}, samples, seed, what)
        pixels[..., :3] /= np.maximum(pixels[..., 3:], 1e-6)
        return pixels

    def distances(self, across: int = 20) -> NDArray[np.floating]:
        """Distances (metres) to the nearest surface over a grid [across,across] of the whole image, infinite if none.

        The first row is at the bottom of the image.
        """
        mi = mitsuba()
        shapes = {
            f"shape{number}": _shape(mesh, normals, material)
            for number, ((mesh, material), normals) in enumerate(zip(self._shapes, self._normals, strict=True))
        }
        scene = mi.load_dict({"type": "scene", **shapes})
        right, up, forward = self._camera.axes()
        offsets = np.tan(np.radians(self._camera.degrees / 2)) * (2 * (np.arange(across) + 0.5) / across - 1)
        ways = forward + offsets[:, None, None] * up + offsets[None, :, None] * right
        ways /= np.linalg.norm(ways, axis=2, keepdims=True)
        eye = mi.ScalarPoint3f(*self._camera.origin)
        rays = (mi.Ray3f(eye, mi.ScalarVector3f(*way)) for way in ways.reshape(-1, 3))
        return np.array([scene.ray_intersect_preliminary(ray).t for ray in rays]).reshape(across, across)

    def on_canvas(self, picture: NDArray[Any]) -> NDArray[Any]:
        """The whole image [size,size,C] that holds a picture of the window [H,W,C], 0 around it."""
        left, top, width, height = self.window
        image = np.zeros((self.size, self.size, picture.shape[2]), picture.dtype)
        image[top : top + height, left : left + width] = picture
        return image


def smooth_light(
    image: NDArray[np.floating],
    albedo: NDArray[np.floating],
    normal: NDArray[np.floating] | None = None,
    reach: int = 3,
    bounce: float = 0.0,
) -> NDArray[np.floating]:
    """A linear premultiplied RGBA image [H,W,4] with the sampling noise of its colour averaged out.

    Only the light is averaged: each pixel is divided by its surface's ``albedo`` first and multiplied by it afterwards,
    so texture and edges stay sharp. The mean is over neighbours, up to ``reach`` pixels away, that have a similar
    colour and similar light, and that face the same way where ``normal`` is given. ``albedo`` and ``normal`` are
    [H,W,4] from :meth:`View.guide`.

    The result has the opacity of ``albedo``. Surfaces that emit light are dimmed to about a photograph's white.
    ``bounce`` is the share of the mean light that every surface gets from the others; with ``normal``, surfaces that
    face down get more of it and those that face up less.
    """
    opacity = image[..., 3]
    colour = image[..., :3] / np.maximum(opacity, 1e-6)[..., None]
    albedo, final = albedo[..., :3], albedo[..., 3:]
    empty = opacity <= 0
    shine, albedo = _split_lights(albedo)
    shining = shine[..., 0] > 0
    safe = np.maximum(albedo, 0.02)
    light = np.log1p(colour / safe)
    # Single bright samples (a lamp seen in a shiny rod) would stay as specks: limit a pixel to a little over its
    # surroundings.
    level = light.mean(axis=2)
    # Empty pixels get the level of what is near them: thin bars have little else around them.
    there = (~empty).astype(float)
    nearby = uniform_filter(level * there, 7) / np.maximum(uniform_filter(there, 7), 1e-6)
    limit = 1.4 * median_filter(np.where(empty, nearby, level), 5) + 0.05
    light = (light * np.minimum(1.0, limit / np.maximum(level, 1e-6))[..., None]).astype(np.float32)
    # A pixel that is hardly covered has few samples, so it counts little.
    usable = np.where(shining, 0.0, opacity).astype(np.float32)
    # Light is compared after a first rough averaging: single pixels are too noisy to tell shade from sun.
    rough = (
        uniform_filter(light * usable[..., None], (3, 3, 0)) / np.maximum(uniform_filter(usable, 3), 1e-3)[..., None]
    )
    kinds = [albedo * _ALBEDO_WEIGHT, rough * _LIGHT_WEIGHT]
    if normal is not None:
        kinds.append(normal[..., :3] * _NORMAL_WEIGHT)
    features = np.concatenate(kinds, axis=2).astype(np.float32)
    smooth = np.expm1(_average(light, features, usable, reach))
    lit = ~shining & (final[..., 0] > 0)
    bounced = bounce * smooth[lit].mean(axis=0) if lit.any() else 0.0
    if normal is not None:
        up = np.clip(normal[..., 2:3] - _FACING_OFFSET, -1, 1)
        bounced = bounced * (1 - _BOUNCE_FROM_BELOW * up)
    surfaces = smooth * safe + bounced * albedo
    if shining.any():
        # A lamp many times as bright as white paper would fill every pixel that it touches: its edge would be jagged.
        knee = 2 * float(surfaces[lit].mean()) if lit.any() else 1.0
        lamps = colour / np.maximum(shine, 0.1)
        held = np.where(lamps > knee, knee * (2 - np.exp(1 - lamps / knee)), lamps)
        surfaces = np.where(shining[..., None], shine * held + (1 - shine) * surfaces, surfaces)
    return np.concatenate([surfaces * final, final], axis=2)


def _split_lights(albedo: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Split a guide's colours [H,W,3] into each pixel's share of light [H,W,1] and the albedo of the rest [H,W,3]."""
    red, others = albedo[..., :1], albedo[..., 1:]
    rough = np.clip(red / _LIGHT_ALBEDO[0], 0, 1)
    # A light has no green and no blue in it; the red of the rest is taken to be like them.
    rest = others / np.maximum(1 - rough, 1e-6)
    own_red = rest.mean(axis=2, keepdims=True)
    shine = np.where(red > 1.0, np.clip((red - own_red) / (_LIGHT_ALBEDO[0] - own_red), 0, 1), 0.0)
    own = np.concatenate([np.where(red > 1.0, own_red, red), others / np.maximum(1 - shine, 1e-6)], axis=2)
    return shine, np.clip(own, 0, 1)


def _average(
    values: NDArray[np.float32], features: NDArray[np.float32], weights: NDArray[np.float32], reach: int
) -> NDArray[np.floating]:
    """A weighted mean of ``values`` [H,W,C] over the neighbours up to ``reach`` pixels away.

    A neighbour counts the less, the more its ``features`` [H,W,F] differ, and in proportion to its ``weights`` [H,W].
    Where all neighbours differ much, their mean is taken; where all weights are 0, the mean of the whole picture.
    """
    height, width = weights.shape
    edge = [(reach, reach), (reach, reach), (0, 0)]
    near_values, near_features = np.pad(values, edge, mode="edge"), np.pad(features, edge, mode="edge")
    near_weights = np.pad(weights, reach, mode="constant")
    total, weight = np.zeros_like(values), np.zeros_like(weights)
    for down in range(2 * reach + 1):
        for across in range(2 * reach + 1):
            here = (slice(down, down + height), slice(across, across + width))
            unlike = near_features[here] - features
            likeness = np.exp(-np.einsum("hwf,hwf->hw", unlike, unlike)) + _UNLIKE_WEIGHT
            share = likeness * near_weights[here]
            total += near_values[here] * share[..., None]
            weight += share
    everywhere = np.einsum("hwc,hw->c", values, weights) / max(float(weights.sum()), 1e-6)
    return np.where(weight[..., None] > 0, total / np.maximum(weight, 1e-12)[..., None], everywhere)


def encode(linear: NDArray[np.floating], contrast: float = 0.0) -> NDArray[np.uint8]:
    """sRGB bytes of linear colour of any shape, clipped to [0, 1]; ``contrast`` in [0, 1] mixes in an S curve."""
    clipped = np.clip(linear, 0.0, 1.0)
    srgb = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    srgb = (1 - contrast) * srgb + contrast * srgb**2 * (3 - 2 * srgb)
    return np.round(srgb * 255).astype(np.uint8)


def straight_rgba(
    premultiplied: NDArray[np.floating], exposure: float = 1.0, contrast: float = 0.0
) -> NDArray[np.uint8]:
    """RGBA bytes [H,W,4], straight, from linear premultiplied RGBA [H,W,4].

    Colour is divided by opacity while still linear, so a pixel on an edge keeps the chair's own colour, and no dark rim
    shows on any background. Where opacity rounds to 0, all four channels are 0.
    """
    opacity = np.clip(premultiplied[..., 3], 0.0, 1.0)
    alpha = np.round(opacity * 255).astype(np.uint8)
    colour = exposure * premultiplied[..., :3] / np.maximum(opacity, 1e-6)[..., None]
    rgba = np.concatenate([encode(colour, contrast), alpha[..., None]], axis=2)
    rgba[alpha == 0] = 0
    return rgba
