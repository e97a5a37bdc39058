"""Seeds to images to a collection.

Every image has random generators of its own, made from (seed, kind, number), so that it never depends on how many others are
rendered, in what order, or by how many processes.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from chairfinder import screening
from chairfinder.screening import screen_background
from chairfinder.screening.rooms import flat_graphic, no_detail
from chairlib.collection import Collection, Item, Provenance, write_collection
from chairlib.core.errors import ParameterError
from chairlib.core.files import atomic_path, check_free
from chairmaker.chairs import FAMILIES, Design, design_group, draw_design
from chairmaker.engine import mitsuba, use_one_thread
from chairmaker.materials import MATERIALS, Material, pick
from chairmaker.render import (
    Camera,
    View,
    encode,
    smooth_light,
    straight_rgba,
    studio,
)
from chairmaker.rooms import Room, draw_room
from chairmaker.workers import in_processes

__all__ = [
    "furnished",
    "in_studio",
    "photograph",
    "photograph_room",
    "render_chair",
    "render_collection",
    "render_room",
]

#: Six images show four designs: the first two designs come in two variants each.
_DESIGNS_OF_SIX = (0, 1, 2, 3, 0, 1)

_DESIGN, _CHAIR, _ROOM = range(3)
_SMALLEST, _LARGEST = 32, 2048
_ATTEMPTS = 5
#: As many images of a kind are rendered to estimate how long all of them will take.
_TRIES = 3
#: A chair is exposed so that this share of it stays below white, and the median of a black one near a shade (linear), by at most
#: so much more light.
_BURNT, _WHITE, _SHADE, _LIFT = 0.993, 0.97, 0.035, 1.6
#: A room is drawn again where more than this share of the picture is nearer than this (metres).
_NEAR, _NEAR_SHARE = 1.3, 0.35
#: Rays a pixel: as many as fit into 0.3 s of one core for a chair and 0.6 s for a room, both of 128 pixels.
CHAIR_SAMPLES, ROOM_SAMPLES = 16, 12


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


def _catalogue_angles(rng: np.random.Generator, behind: float = 9) -> tuple[float, float]:
    """Azimuth and elevation in degrees: mostly three-quarter views, some from the front, the side and behind, a few from above.

    ``behind`` is the weight of views from behind, of about 100.
    """
    side = rng.choice([-1, 1])
    azimuth = {
        "three-quarter": side * rng.uniform(20, 55),
        "front": rng.uniform(-12, 12),
        "side": side * rng.uniform(65, 100),
        "behind": side * rng.uniform(120, 205),
    }[pick(rng, {"three-quarter": 66, "front": 16, "side": 9, "behind": behind})]
    return azimuth, rng.uniform(2, 20) if rng.uniform() < 0.9 else rng.uniform(20, 42)


def _render_chair(view: View, seed: int) -> NDArray[np.floating]:
    """Linear premultiplied RGBA [size,size,4] without sampling noise."""
    lit, albedo = view.colour(CHAIR_SAMPLES, seed), view.guide("albedo", CHAIR_SAMPLES, seed)
    return view.on_canvas(smooth_light(lit, albedo, bounce=0.1))


def _render_room(view: View, seed: int) -> NDArray[np.floating]:
    """Linear RGB [size,size,3] without sampling noise."""
    lit, albedo, normal = (
        view.colour(ROOM_SAMPLES, seed, hide_lights=False),
        view.guide("albedo", ROOM_SAMPLES, seed),
        view.guide("normal", ROOM_SAMPLES, seed),
    )
    return smooth_light(lit, albedo, normal, bounce=0.3)[..., :3]


def _exposure(image: NDArray[np.floating], wanted: float) -> float:
    """The exposure nearest to ``wanted`` at which hardly anything of a chair [H,W,4] burns out, and a black one keeps its shape."""
    seen = image[..., 3] > 0.5
    if not seen.any():
        return wanted
    bright = image[seen][:, :3].max(axis=1) / image[seen][:, 3]
    lifted = max(wanted, min(_SHADE / max(float(np.median(bright)), 1e-6), _LIFT * wanted))
    return max(min(lifted, _WHITE / max(float(np.quantile(bright, _BURNT)), 1e-6)), wanted / _LIFT)


def in_studio(
    design: Design,
    rng: np.random.Generator,
    size: int = 128,
    finish: Mapping[str, Material] | None = None,
    angles: tuple[float, float] | None = None,
    light: int | None = None,
) -> View:
    """A chair of this design before the camera, in a picture of size x size pixels.

    ``finish`` gives the material of every slot, ``angles`` the camera's azimuth and elevation in degrees, ``light`` the number
    of a studio's light; whatever is not given is drawn from ``rng``.
    """
    drawn = {slot: MATERIALS[pick(rng, choices)](rng) for slot, choices in design.slots.items()}
    parts = design.parts(drawn if finish is None else finish)
    vertices = np.concatenate([part.mesh.vertices for part in parts])
    azimuth, elevation = _catalogue_angles(rng, getattr(design, "behind", 9)) if angles is None else angles
    fill = np.clip(rng.normal(design.fill, 0.08), 0.6, 0.99)
    camera = Camera.around(vertices, azimuth, elevation, rng.uniform(2.6, 5.0), fill)
    lights = [studio(rng if light is None else np.random.default_rng(light))]
    return View(parts, lights, camera, size, camera.window(vertices, size))


def photograph(
    design: Design,
    rng: np.random.Generator,
    size: int = 128,
    finish: Mapping[str, Material] | None = None,
    angles: tuple[float, float] | None = None,
    light: int | None = None,
) -> Image.Image:
    """A chair of this design as a straight RGBA image of size x size pixels: :func:`in_studio`, rendered and exposed."""
    view = in_studio(design, rng, size, finish, angles, light)
    image = _render_chair(view, int(rng.integers(2**31)))
    exposure = _exposure(image, rng.uniform(0.95, 1.4))
    return Image.fromarray(straight_rgba(image, exposure, contrast=rng.uniform(0.1, 0.6)))


def render_chair(seed: int, index: int, size: int = 128) -> tuple[Image.Image, str]:
    """Chair number ``index`` as a straight RGBA image of size x size pixels, and the group of its design.

    Raises ParameterError for a size under 32 or a negative seed or index, ChairlibError where Mitsuba is missing.
    """
    _check("seed", seed, 0)
    _check("index", index, 0)
    _check("size", size, _SMALLEST, _LARGEST)
    mitsuba()
    name, design = _design(seed, index)
    return photograph(design, _generator(seed, _CHAIR, index), size), design_group(name, design)


def furnished(rng: np.random.Generator, kind: str | None = None) -> Room:
    """A room, of a given or any kind, that can be seen: it is drawn again where one thing stands right before the camera."""
    for _ in range(_ATTEMPTS):
        room = draw_room(rng, kind)
        if (View(room.parts, (), room.camera, 1).distances() < _NEAR).mean() < _NEAR_SHARE:
            break
    return room


def photograph_room(room: Room, rng: np.random.Generator, size: int = 128) -> Image.Image:
    """The room as an RGB image of size x size pixels; ``rng`` draws exposure and contrast."""
    view = View(room.parts, room.lights, room.camera, size)
    image = _render_room(view, int(rng.integers(2**31)))
    # As a camera's automatic exposure would: the picture's log mean goes to a middle grey.
    light = image.mean(axis=2)
    exposure = rng.uniform(0.18, 0.36) / np.exp(np.log(light + 0.02).mean())
    exposed = image * exposure * room.balance
    # A soft shoulder keeps windows from burning out abruptly.
    bright = np.where(exposed > 0.7, 0.7 + 0.3 * (1 - np.exp(-(exposed - 0.7) / 0.3)), exposed)
    return Image.fromarray(encode(bright, contrast=rng.uniform(0.0, 0.35)))


def render_room(seed: int, index: int, size: int = 128) -> Image.Image:
    """Room number ``index`` as an RGB image of size x size pixels. No room has anything to sit on.

    Once in a few hundred the camera looks at nothing but a wall, or stands in one: such a room is drawn again.

    Raises ParameterError for a size under 32 or a negative seed or index, ChairlibError where Mitsuba is missing.
    """
    _check("seed", seed, 0)
    _check("index", index, 0)
    _check("size", size, _SMALLEST, _LARGEST)
    mitsuba()
    for attempt in range(_ATTEMPTS):
        rng = _generator(seed, _ROOM, index) if attempt == 0 else np.random.default_rng([seed, _ROOM, index, attempt])
        image = photograph_room(furnished(rng), rng, size)
        if screen_background(image, (no_detail, flat_graphic)) is None:
            break
    return image


def _render_file(task: tuple[Path, str, int, int, int]) -> None:
    """One finished file: the whole work of a process of the pool."""
    path, kind, seed, index, size = task
    image = render_chair(seed, index, size)[0] if kind == "segment" else render_room(seed, index, size)
    with atomic_path(path) as temporary:
        if kind == "segment":
            image.save(temporary, "PNG", optimize=True)
        else:
            image.save(temporary, "JPEG", quality=87, optimize=True)


def _group(kind: str, seed: int, index: int) -> str:
    return design_group(*_design(seed, index)) if kind == "segment" else f"background:room-{seed}-{index}"


@cache
def _version() -> str:
    """Changes with anything that may change a pixel."""
    digest = hashlib.sha256(mitsuba().__version__.encode())
    # Screening decides which rooms are drawn again.
    for folder in (Path(__file__).parent, Path(screening.__file__).parent):
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _estimate(counts: dict[str, int], size: int, seed: int, workers: int) -> str:
    """How long it will take, from a few chairs and rooms rendered here and now: of each kind that is still to be rendered."""
    use_one_thread()  # as the workers will
    seconds = 0.0
    for kind, count in counts.items():
        start, tries = time.perf_counter(), min(count, _TRIES)
        for index in range(tries):
            render_chair(seed, index, size) if kind == "segment" else render_room(seed, index, size)
        seconds += count * (time.perf_counter() - start) / max(tries, 1)
    minutes = seconds / workers / 60
    length = (
        f"{minutes * 60:.0f} seconds"
        if minutes < 2
        else f"{minutes:.0f} minutes"
        if minutes < 120
        else f"{minutes / 60:.1f} hours"
    )
    return f"about {length} with {workers} processes"


def _items(tasks: list[tuple[Path, str, int, int, int]]) -> Iterator[Item]:
    """Every image once."""
    seen = set()
    provenance = Provenance("procedural", author="Chair Segments", licence="CC0-1.0")
    for path, kind, seed, index, size in tasks:
        data = path.read_bytes()
        digest = hashlib.sha256(data).digest()
        if digest not in seen:
            seen.add(digest)
            group = _group(kind, seed, index)
            yield Item(kind, data, size, size, group, provenance)


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

    ``size`` is in pixels (square images), ``workers`` the number of processes, each on one core (by default as many as there are
    cores). With ``progress`` an estimate and a bar go to standard error. However the call ends before ``out`` is whole, finished
    images are kept in a hidden folder beside it, and the same call goes on from them.

    Raises ParameterError for fewer than 3 of a kind or a size under 32, ChairlibError where Mitsuba is missing or nothing can be
    written.
    """
    _check("segments", segments, 3)
    _check("backgrounds", backgrounds, 3)
    _check("size", size, _SMALLEST, _LARGEST)
    _check("seed", seed, 0)
    workers = (os.cpu_count() or 1) if workers is None else workers
    _check("workers", workers, 1)
    out = Path(out).expanduser()
    check_free(out)
    asked = hashlib.sha256(f"{seed} {size} {_version()}".encode()).hexdigest()[:8]
    kept = out.absolute().with_name(f".{out.name}.rendering-{asked}")
    counts = {"segment": segments, "background": backgrounds}
    tasks = [(kept / f"{kind}-{i}", kind, seed, i, size) for kind, count in counts.items() for i in range(count)]
    missing = [task for task in tasks if not task[0].is_file()]
    if progress:
        left = {kind: sum(task[1] == kind for task in missing) for kind in counts}
        there = f", {len(tasks) - len(missing)} of them already there" if len(missing) < len(tasks) else ""
        # Said before the estimate, which renders some images of its own: at large sizes that takes a while.
        announced = f"Rendering {segments} segments and {backgrounds} backgrounds of {size} pixels{there}: "
        print(announced, end="", file=sys.stderr, flush=True)
        length = _estimate(left, size, seed, min(workers, max(len(missing), 1))) if missing else "nothing left to do"
        print(f"{length}.", file=sys.stderr)
    bar = tqdm(
        total=len(tasks), initial=len(tasks) - len(missing), desc="rendering", unit="image", disable=not progress
    )
    try:
        with bar:
            for _ in in_processes(_render_file, missing, workers):
                bar.update()
    except KeyboardInterrupt:
        n_kept = sum(
            task[0].is_file() for task in tasks
        )  # more than the bar has counted: it waits for the first of those under way
        print(f"{n_kept} of {len(tasks)} images are kept: the same command goes on from there.", file=sys.stderr)
        raise
    readme = _readme(out.name, segments, backgrounds, size, seed)
    collection = write_collection(out, _items(tasks), seed, {"README.md": readme})
    shutil.rmtree(kept, ignore_errors=True)
    return collection
