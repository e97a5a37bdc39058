"""Seeds to images to a collection.

Every image has random generators of its own, made from (seed, kind, number), so that it never depends on how many others are
rendered, in what order, or by how many processes.
"""

import hashlib
import io
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from chairlib.collection.collection import Collection, Item, write_collection
from chairlib.collection.procedural.chairs import FAMILIES, Design, design_group, draw_design
from chairlib.collection.procedural.engine import mitsuba, use_one_thread
from chairlib.collection.procedural.materials import MATERIALS, Part, pick
from chairlib.collection.procedural.meshes import Floats
from chairlib.collection.procedural.render import (
    Camera,
    encode,
    render,
    render_guide,
    smooth_light,
    straight_rgba,
    studio,
)
from chairlib.collection.procedural.rooms import draw_room
from chairlib.errors import ChairlibError, ParameterError

__all__ = ["render_chair", "render_collection", "render_room"]

CHAIR_SAMPLES = 16
ROOM_SAMPLES = 9

#: Six images show four designs: the first two designs come in two variants each.
_DESIGNS_OF_SIX = (0, 1, 2, 3, 0, 1)

_DESIGN, _CHAIR, _ROOM = range(3)
_SMALLEST, _LARGEST = 32, 2048


def _generator(seed: int, stream: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, number])


def _check(name: str, value: int, low: int, high: int | None = None) -> None:
    bounds = f"{low} or more" if high is None else f"from {low} to {high}"
    if not isinstance(value, int | np.integer) or value < low or (high is not None and value > high):
        raise ParameterError(f"{name} is {value!r}; expected a whole number, {bounds}.")


def _design(seed: int, index: int) -> tuple[str, Design]:
    number = index // 6 * 4 + _DESIGNS_OF_SIX[index % 6]
    names = list(FAMILIES)
    name = names[number % len(names)]
    return name, draw_design(_generator(seed, _DESIGN, number), name)


def _catalogue_camera(rng: np.random.Generator, vertices: Floats, fill: float) -> Camera:
    """Mostly three-quarter views, some from the front, the side and behind, from about eye height of a person who sits."""
    side = rng.choice([-1, 1])
    azimuth = {
        "three-quarter": side * rng.uniform(20, 55),
        "front": rng.uniform(-12, 12),
        "side": side * rng.uniform(65, 100),
        "behind": side * rng.uniform(120, 205),
    }[pick(rng, {"three-quarter": 66, "front": 16, "side": 9, "behind": 9})]
    elevation = rng.uniform(4, 24) if rng.uniform() < 0.9 else rng.uniform(24, 42)
    return Camera.around(
        vertices, azimuth, elevation, rng.uniform(2.6, 5.0), np.clip(rng.normal(fill, 0.05), 0.6, 0.98)
    )


def _quiet(
    parts: list[Part],
    lights: list[dict[str, Any]],
    camera: Camera,
    size: int,
    samples: int,
    rng: np.random.Generator,
    window: tuple[int, int, int, int] | None = None,
) -> NDArray[np.floating]:
    """Linear premultiplied RGBA [size,size,4] without sampling noise: of a chair alone in its window, or of a whole room."""
    noise = int(rng.integers(2**31))
    image = render(parts, lights, camera, size, samples, noise, window, hide_lights=window is not None)
    albedo = render_guide(parts, camera, size, samples, noise, "albedo", window)
    # Normals only weigh neighbours: fewer samples do.
    normal = render_guide(parts, camera, size, 4, noise, "normal", window)
    return smooth_light(image, albedo, normal, bounce=0.1)


def render_chair(seed: int, index: int, size: int = 128) -> tuple[Image.Image, str]:
    """Chair number ``index`` as a straight RGBA image of size x size pixels, and the group of its design.

    Raises ParameterError for a size under 32 or a negative seed or index, ChairlibError where Mitsuba is missing.
    """
    _check("seed", seed, 0)
    _check("index", index, 0)
    _check("size", size, _SMALLEST, _LARGEST)
    mitsuba()
    name, design = _design(seed, index)
    rng = _generator(seed, _CHAIR, index)
    finish = {slot: MATERIALS[pick(rng, choices)](rng) for slot, choices in design.slots.items()}
    parts = design.parts(finish)
    vertices = np.concatenate([part.mesh.vertices for part in parts])
    camera = _catalogue_camera(rng, vertices, design.fill)
    image = _quiet(parts, [studio(rng)], camera, size, CHAIR_SAMPLES, rng, camera.window(vertices, size))
    rgba = straight_rgba(image, exposure=rng.uniform(0.85, 1.15), contrast=rng.uniform(0.0, 0.4))
    return Image.fromarray(rgba), design_group(name, design)


def render_room(seed: int, index: int, size: int = 128) -> Image.Image:
    """Room number ``index`` as an RGB image of size x size pixels. No room has anything to sit on.

    Raises ParameterError for a size under 32 or a negative seed or index, ChairlibError where Mitsuba is missing.
    """
    _check("seed", seed, 0)
    _check("index", index, 0)
    _check("size", size, _SMALLEST, _LARGEST)
    mitsuba()
    rng = _generator(seed, _ROOM, index)
    room = draw_room(rng)
    image = _quiet(room.parts, room.lights, room.camera, size, ROOM_SAMPLES, rng)[..., :3]
    # As a camera's automatic exposure would: the picture's log mean goes to a middle grey.
    light = image.mean(axis=2)
    exposure = rng.uniform(0.17, 0.30) / np.exp(np.log(light + 0.02).mean())
    exposed = image * exposure * room.balance
    # A soft shoulder keeps windows from burning out abruptly.
    bright = np.where(exposed > 0.7, 0.7 + 0.3 * (1 - np.exp(-(exposed - 0.7) / 0.3)), exposed)
    return Image.fromarray(encode(bright, contrast=rng.uniform(0.1, 0.5)))


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=87, optimize=True)
    return stream.getvalue()


def _item(task: tuple[str, int, int, int]) -> Item:
    """One finished file: the whole work of a process of the pool."""
    kind, seed, index, size = task
    if kind == "segment":
        image, group = render_chair(seed, index, size)
        data = _png(image)
    else:
        data, group = _jpeg(render_room(seed, index, size)), f"background:room-{seed}-{index}"
    return Item(kind, data, size, size, group, "procedural", author="Chair Segments", licence="CC0-1.0")


def _start_worker() -> None:
    # Ctrl-C reaches every process of a terminal: the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use_one_thread()


def _rendered(tasks: list[tuple[str, int, int, int]], workers: int) -> Iterator[Item]:
    if workers == 1:
        yield from map(_item, tasks)
        return
    # Mitsuba's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield from pool.map(_item, tasks, chunksize=4)
    except BrokenProcessPool as error:
        raise ChairlibError(
            "a rendering process was stopped, perhaps for want of memory; try again with fewer workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _estimate(segments: int, backgrounds: int, size: int, seed: int, workers: int) -> str:
    """How long it will take, from one chair and one room rendered here and now."""
    seconds = 0.0
    for kind, count in (("segment", segments), ("background", backgrounds)):
        start = time.perf_counter()
        _item((kind, seed, 0, size))
        seconds += count * (time.perf_counter() - start)
    minutes = seconds / workers / 60
    length = (
        f"{minutes * 60:.0f} seconds"
        if minutes < 2
        else f"{minutes:.0f} minutes"
        if minutes < 120
        else f"{minutes / 60:.1f} hours"
    )
    return f"Rendering {segments} segments and {backgrounds} backgrounds of {size} pixels with {workers} processes: about {length}."


def _items(segments: int, backgrounds: int, size: int, seed: int, workers: int, progress: bool) -> Iterator[Item]:
    """Every image once; begins only when the first is asked for, that is, when the folder is known to be free."""
    if progress:
        print(_estimate(segments, backgrounds, size, seed, workers), file=sys.stderr)
    tasks = [("segment", seed, index, size) for index in range(segments)]
    tasks += [("background", seed, index, size) for index in range(backgrounds)]
    seen = set()
    images = _rendered(tasks, workers)
    for item in tqdm(images, total=len(tasks), desc="rendering", unit="image", disable=not progress):
        digest = hashlib.sha256(item.data).digest()
        if digest not in seen:
            seen.add(digest)
            yield item


def _readme(name: str, segments: int, backgrounds: int, size: int, seed: int) -> str:
    command = (
        f"chairlib render --out {name} --segments {segments} --backgrounds {backgrounds} --size {size} --seed {seed}"
    )
    return f"# {name}\n\nRendered chairs and rooms, made by\n\n    {command}\n\nLicence: CC0-1.0.\n"


def render_collection(
    out: str | Path,
    segments: int,
    backgrounds: int,
    size: int = 128,
    seed: int = 0,
    progress: bool = True,
    workers: int | None = None,
) -> Collection:
    """Render a new collection into the folder ``out``, which must be absent or empty.

    ``size`` is in pixels (square images), ``workers`` the number of processes, each on one core (by default
    as many as there are cores). With ``progress``
    an estimate and a bar go to standard error. Raises ParameterError for fewer than 3 of a kind or a size under 32, ChairlibError
    where Mitsuba is missing or ``out`` can't be written; an interrupted call leaves nothing behind.
    """
    _check("segments", segments, 3)
    _check("backgrounds", backgrounds, 3)
    _check("size", size, _SMALLEST, _LARGEST)
    _check("seed", seed, 0)
    workers = (os.cpu_count() or 1) if workers is None else workers
    _check("workers", workers, 1)
    use_one_thread()
    items = _items(segments, backgrounds, size, seed, min(workers, segments + backgrounds), progress)
    return write_collection(out, items, seed, {"README.md": _readme(Path(out).name, segments, backgrounds, size, seed)})
