"""The open sky: colours for every direction, as a light for Mitsuba and, exactly, behind every pixel."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from chairmaker.engine import mitsuba
from chairmaker.materials import pick
from chairmaker.meshes import Floats
from chairmaker.render import Camera
from chairmaker.textures import hsv

_FIELD = 192


@dataclass(frozen=True)
class Sky:
    """A sky: linear colours, clouds, and perhaps a sun.

    ``top``, ``low``, ``ground`` and ``cloud`` are the colours of the zenith, the horizon, the haze below it and the
    clouds. Clouds are where ``field``, whose period is 1 / ``scale``, is above ``cover``. ``sun`` is the sun's
    direction, or None.
    """

    top: Floats
    low: Floats
    ground: Floats
    cloud: Floats
    field: Floats
    cover: float
    scale: float
    sun: Floats | None
    sunlight: Floats

    def colours(self, directions: Floats) -> Floats:
        """Linear colour of unit directions [...,3]."""
        up = directions[..., 2]
        share = np.clip(up, 0, 1)[..., None] ** 0.55
        image = self.low * (1 - share) + self.top * share
        # Clouds lie in a plane overhead, so they crowd together towards the horizon.
        plane = directions[..., :2] / (np.maximum(up, 0) + 0.12)[..., None] * self.scale
        thick = map_coordinates(self.field, np.moveaxis(plane * _FIELD % _FIELD, -1, 0), order=1, mode="grid-wrap")
        opacity = 1 / (1 + np.exp(-(thick - self.cover) * 3.5)) * np.clip(up / 0.05, 0, 1)
        shade = 1.0 - 0.22 * np.clip(thick - self.cover, 0, 2)
        image = image * (1 - opacity[..., None]) + self.cloud * (shade * opacity)[..., None]
        return np.where(up[..., None] < 0, self.ground, image)

    def behind(self, camera: Camera, size: int, window: tuple[int, int, int, int]) -> Floats:
        """What each pixel of the window [H,W,3] sees of the sky."""
        left, top, width, height = window
        right, up, forward = camera.axes()
        reach = np.tan(np.radians(camera.degrees / 2))
        x = (2 * (left + np.arange(width) + 0.5) / size - 1)[None, :, None] * reach
        y = (1 - 2 * (top + np.arange(height) + 0.5) / size)[:, None, None] * reach
        way = forward + x * right + y * up
        return self.colours(way / np.linalg.norm(way, axis=2, keepdims=True))

    def lights(self) -> list[dict[str, Any]]:
        """The sky as a surrounding light, and the sun."""
        height, width = 24, 48
        down = ((np.arange(height) + 0.5) / height * np.pi)[:, None]
        turn = ((np.arange(width) + 0.5) / width * 2 * np.pi)[None]
        way = np.stack(
            np.broadcast_arrays(np.sin(turn) * np.sin(down), np.cos(turn) * np.sin(down), np.cos(down)), axis=2
        )
        mi = mitsuba()
        image = mi.Bitmap(self.colours(way).astype(np.float32))
        lights: list[dict[str, Any]] = [
            {"type": "envmap", "bitmap": image, "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90)}
        ]
        if self.sun is not None:
            rgb = {"type": "rgb", "value": [float(v) for v in self.sunlight]}
            lights.append({"type": "directional", "direction": [float(-v) for v in self.sun], "irradiance": rgb})
        return lights


def _clouds(rng: np.random.Generator) -> NDArray[np.float64]:
    """Lumps at four scales, with standard deviation 1, that repeat at the edges."""
    field = np.zeros((_FIELD, _FIELD))
    for blur in (24, 10, 4, 1.6):
        layer = gaussian_filter(rng.standard_normal(field.shape), blur, mode="wrap")
        field += layer / layer.std() * blur**0.6
    return field / field.std()


def draw_sky(rng: np.random.Generator, kinds: dict[str, float] | None = None) -> Sky:
    """A sky at random: blue, with clouds, overcast, hazy, an evening's, or before a storm."""
    kind = pick(rng, kinds or {"blue": 4, "clouds": 4, "overcast": 3, "hazy": 2, "evening": 1.2, "storm": 0.8})
    top, low = {
        "blue": (
            hsv(rng.uniform(0.56, 0.62), rng.uniform(0.5, 0.85), rng.uniform(0.45, 0.85)),
            hsv(0.56, rng.uniform(0.15, 0.4), 0.92),
        ),
        "clouds": (hsv(rng.uniform(0.56, 0.62), rng.uniform(0.4, 0.8), rng.uniform(0.5, 0.8)), hsv(0.56, 0.15, 0.92)),
        "overcast": (hsv(0.6, rng.uniform(0, 0.1), rng.uniform(0.65, 0.85)), hsv(0.6, 0.04, 0.9)),
        "hazy": (
            hsv(rng.uniform(0.5, 0.62), rng.uniform(0.1, 0.35), rng.uniform(0.65, 0.85)),
            hsv(rng.uniform(0.1, 0.6), 0.08, 0.92),
        ),
        "evening": (
            hsv(rng.uniform(0.58, 0.7), rng.uniform(0.3, 0.6), rng.uniform(0.35, 0.6)),
            hsv(rng.uniform(0.02, 0.1), rng.uniform(0.35, 0.75), 0.95),
        ),
        "storm": (hsv(0.6, 0.15, rng.uniform(0.3, 0.5)), hsv(0.58, 0.1, rng.uniform(0.55, 0.8))),
    }[kind]  # fmt: skip
    cover = {"blue": rng.uniform(1.5, 4), "clouds": rng.uniform(-0.3, 0.9), "overcast": -1.0, "hazy": 2.5}.get(
        kind, 0.2
    )
    cloud = {"evening": hsv(0.05, 0.35, 0.85), "storm": np.full(3, 0.6), "overcast": np.full(3, rng.uniform(0.8, 0.92))}
    side, lift = rng.uniform(-2.2, 2.2), rng.uniform(0.15, 0.5) if kind == "evening" else rng.uniform(0.35, 1.2)
    # Behind or beside the camera, which looks towards +y.
    sun = np.array([np.sin(side) * np.cos(lift), -np.cos(side) * np.cos(lift), np.sin(lift)])
    tint = hsv(0.09, rng.uniform(0.3, 0.6) if kind == "evening" else rng.uniform(0.03, 0.2), 1.0)
    grey = np.array([0.2, 0.2, 0.15]) * rng.uniform(0.7, 1.4)
    return Sky(
        top**2.2,
        low**2.2,
        grey,
        cloud.get(kind, np.full(3, 0.98)) ** 2.2,
        _clouds(rng),
        cover,
        float(rng.uniform(0.06, 0.22)),
        None if kind in ("overcast", "storm") else sun,
        tint * rng.uniform(1.4, 3.6),
    )
