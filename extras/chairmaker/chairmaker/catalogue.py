"""From seeds to images, and from images to a collection.

Every image has random generators of its own, made from (seed, kind, number). So it does not depend on how many others
are rendered, in what order, or by how many processes.
"""

import hashlib
import io
import os
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from chairfinder.provenance import Provenance
from chairfinder.screening import screen_background
from chairfinder.screening.rooms import flat_graphic, no_detail
from chairfinder.writing import Item, fill_collection
from chairlib.collection import Collection
from chairlib.core.code import code_hash
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.files import atomic_folder, check_free, keep, kept
from chairlib.core.progress import note
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

#: An image to render: the folder beside which it is kept, "segment" or "background", seed, number, size in pixels, and
#: the :func:`renderer_fingerprint`.
Task = tuple[Path, str, int, int, int, str]

_DESIGN, _CHAIR, _ROOM = range(3)
_SMALLEST, _LARGEST = 32, 2048
_ATTEMPTS = 5
#: How many images of a kind are rendered to estimate how long all of them will take.
_TIMED_IMAGES = 3
#: A chair is exposed so that the share _BURNT of its pixels stays below _WHITE, and so that the median of a black chair
#: comes near _SHADE (both linear). The exposure changes by a factor of _LIFT at most.
_BURNT, _WHITE, _SHADE, _LIFT = 0.993, 0.97, 0.035, 1.6
#: A room is drawn again where more than the share _NEAR_SHARE of the picture is nearer than _NEAR (metres).
_NEAR, _NEAR_SHARE = 1.3, 0.35
#: Rays for each pixel: as many as fit into 0.3 s of one core for a chair and 0.6 s for a room, both of 128 pixels.
CHAIR_SAMPLES, ROOM_SAMPLES = 16, 12


def _generator(seed: int, stream: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, number])


def _check(name: str, value: int, low: int, high: int | None = None) -> None:
    bounds = f"{low} or more" if high is None else f"from {low} to {high}"
    if not isinstance(value, int | np.integer) or value < low or (high is not None and value > high):
        raise ParameterError(f"{name} is {value!r}; expected a whole number, {bounds}.")


def design_of_chair(seed: int, index: int) -> tuple[str, Design]:
    """Family and design of chair number ``index``.

    Every chair has a design of its own: how sure a test score is depends on the number of designs, not of images.
    """
    name = list(FAMILIES)[index % len(FAMILIES)]
    return name, draw_design(_generator(seed, _DESIGN, index), name)


def draw_angles(rng: np.random.Generator, behind: float = 9) -> tuple[float, float]:
    """Azimuth and elevation of the camera in degrees.

    Mostly three-quarter views, some from the front, the side and behind, a few from above. ``behind`` is the weight of
    views from behind, of about 100.
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


def choose_exposure(image: NDArray[np.floating], wanted: float) -> float:
    """The exposure for a linear premultiplied image [H,W,4] of a chair: ``wanted``, or near it.

    It is less where a white chair would burn out, and more where a black one would lose its shape.
    """
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
    """A chair of this design in front of the camera, in a picture of size x size pixels.

    ``finish`` gives the material of every slot, ``angles`` the camera's azimuth and elevation in degrees, ``light`` the
    seed of the studio's light. What is not given is drawn from ``rng``.
    """
    drawn = {slot: MATERIALS[pick(rng, choices)](rng) for slot, choices in design.slots.items()}
    parts = design.parts(drawn if finish is None else finish)
    vertices = np.concatenate([part.mesh.vertices for part in parts])
    azimuth, elevation = draw_angles(rng, getattr(design, "behind", 9)) if angles is None else angles
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
    """A chair of this design as a straight RGBA image of size x size pixels.

    The options are those of :func:`in_studio`.
    """
    view = in_studio(design, rng, size, finish, angles, light)
    image = _render_chair(view, int(rng.integers(2**31)))
    exposure = choose_exposure(image, rng.uniform(0.95, 1.4))
    return Image.fromarray(straight_rgba(image, exposure, contrast=rng.uniform(0.1, 0.6)))


def render_chair(seed: int, index: int, size: int = 128) -> tuple[Image.Image, str]:
    """Chair number ``index`` as a straight RGBA image of size x size pixels, and the group of its design.

    Raises ParameterError for a size under 32 or a negative seed or index, ChairlibError where Mitsuba is missing.
    """
    _check("seed", seed, 0)
    _check("index", index, 0)
    _check("size", size, _SMALLEST, _LARGEST)
    mitsuba()
    name, design = design_of_chair(seed, index)
    return photograph(design, _generator(seed, _CHAIR, index), size), design_group(name, design)


def draw_visible_room(rng: np.random.Generator, kind: str | None = None) -> Room:
    """A random room, of any kind unless ``kind`` is given.

    It is drawn again where something hides it from the camera.
    """
    for _ in range(_ATTEMPTS):
        room = draw_room(rng, kind)
        if (View(room.parts, (), room.camera, 1).distances() < _NEAR).mean() < _NEAR_SHARE:
            break
    return room


def photograph_room(room: Room, rng: np.random.Generator, size: int = 128) -> Image.Image:
    """The room as an RGB image of size x size pixels; ``rng`` draws exposure and contrast."""
    view = View(room.parts, room.lights, room.camera, size)
    image = _render_room(view, int(rng.integers(2**31)))
    # Like a camera's automatic exposure: the picture's mean, in logarithms, becomes a middle grey.
    light = image.mean(axis=2)
    exposure = rng.uniform(0.18, 0.36) / np.exp(np.log(light + 0.02).mean())
    exposed = image * exposure * room.balance
    # A soft shoulder keeps windows from burning out abruptly.
    bright = np.where(exposed > 0.7, 0.7 + 0.3 * (1 - np.exp(-(exposed - 0.7) / 0.3)), exposed)
    return Image.fromarray(encode(bright, contrast=rng.uniform(0.0, 0.35)))


def render_room(seed: int, index: int, size: int = 128) -> Image.Image:
    """Room number ``index`` as an RGB image of size x size pixels. No room has anything to sit on.

    One room in a few hundred shows nothing but a wall, or the camera stands in one. Such a room is drawn again.

    Raises ParameterError for a size under 32 or a negative seed or index, ChairlibError where Mitsuba is missing.
    """
    _check("seed", seed, 0)
    _check("index", index, 0)
    _check("size", size, _SMALLEST, _LARGEST)
    mitsuba()
    for attempt in range(_ATTEMPTS):
        rng = _generator(seed, _ROOM, index) if attempt == 0 else np.random.default_rng([seed, _ROOM, index, attempt])
        image = photograph_room(draw_visible_room(rng), rng, size)
        if screen_background(image, (no_detail, flat_graphic)) is None:
            break
    return image


def render_file(task: Task) -> None:
    """Render one image, and keep its file beside the task's folder."""
    folder, kind, seed, index, size, _ = task
    image = render_chair(seed, index, size)[0] if kind == "segment" else render_room(seed, index, size)
    stream = io.BytesIO()
    if kind == "segment":
        image.save(stream, "PNG", optimize=True)
    else:
        image.save(stream, "JPEG", quality=87, optimize=True)
    keep(folder, stream.getvalue(), *task[1:])


def _group(kind: str, seed: int, index: int) -> str:
    return design_group(*design_of_chair(seed, index)) if kind == "segment" else f"background:room-{seed}-{index}"


def renderer_fingerprint() -> str:
    """Versions of libraries, and a hash of all code that may change a pixel: that which renders or screens rooms.

    Images that an interrupted call has left are used only while it stays the same.
    """
    # Screening decides which rooms are drawn again.
    code = [code_hash(module) for module in ("chairmaker.catalogue", "chairfinder.screening")]
    return " ".join([mitsuba().__version__, *code, *map(version, ("numpy", "pillow", "scipy"))])


def estimate_time(counts: dict[str, int], size: int, seed: int, workers: int) -> str:
    """How long rendering so many "segment" and "background" images will take, measured on a few of each, in words."""
    use_one_thread()  # as the workers do
    seconds = 0.0
    for kind, count in counts.items():
        start, timed = time.perf_counter(), min(count, _TIMED_IMAGES)
        for index in range(timed):
            render_chair(seed, index, size) if kind == "segment" else render_room(seed, index, size)
        seconds += count * (time.perf_counter() - start) / max(timed, 1)
    minutes = seconds / workers / 60
    length = (
        f"{minutes * 60:.0f} seconds"
        if minutes < 2
        else f"{minutes:.0f} minutes"
        if minutes < 120
        else f"{minutes / 60:.1f} hours"
    )
    return f"about {length} with {workers} processes"


def _items(tasks: list[Task]) -> Iterator[Item]:
    """The images of all tasks as items of a collection, without repeated ones."""
    seen = set()
    provenance = Provenance("procedural", author="Chair Segments", licence="CC0-1.0")
    for folder, kind, seed, index, size, code in tasks:
        data = kept(folder, kind, seed, index, size, code)
        if data is None:
            raise ChairlibError(f"{kind} {index} was there a moment ago; run it again.")
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

    ``size`` is in pixels (images are square). ``workers`` is the number of processes, each on one core: by default one
    for each core. With ``progress`` an estimate and a progress bar go to standard error. If the call is stopped in any
    way, finished images stay in a hidden folder beside ``out``, and the same call goes on from them.

    Raises ParameterError for fewer than 3 of a kind or a size under 32, ChairlibError where Mitsuba is missing or
    nothing can be written.
    """
    _check("segments", segments, 3)
    _check("backgrounds", backgrounds, 3)
    _check("size", size, _SMALLEST, _LARGEST)
    _check("seed", seed, 0)
    workers = (os.cpu_count() or 1) if workers is None else workers
    _check("workers", workers, 1)
    out = Path(out).expanduser()
    check_free(out)
    counts, code = {"segment": segments, "background": backgrounds}, renderer_fingerprint()
    with atomic_folder(out) as folder:
        tasks = [(folder, kind, seed, i, size, code) for kind, count in counts.items() for i in range(count)]
        missing = [task for task in tasks if kept(*task) is None]
        if progress:
            _announce(counts, tasks, missing, workers)
        bar = tqdm(
            total=len(tasks), initial=len(tasks) - len(missing), desc="rendering", unit="image", disable=not progress
        )
        with bar:
            for _ in in_processes(render_file, missing, workers):
                bar.update()
        readme = _readme(out.name, segments, backgrounds, size, seed)
        fill_collection(folder, out, _items(tasks), seed, {"README.md": readme})
    return Collection(out)


def _announce(counts: dict[str, int], tasks: list[Task], missing: list[Task], workers: int) -> None:
    """Say what is to be rendered, how much of it was done before, and how long the rest takes."""
    _, _, seed, _, size, _ = tasks[0]
    if len(missing) < len(tasks):
        note(f"going on: {len(tasks) - len(missing):,} of {len(tasks):,} images were done before")
    # Printed before the estimate, which renders some images itself: at large sizes that takes a while.
    announced = f"Rendering {counts['segment']} segments and {counts['background']} backgrounds of {size} pixels: "
    print(announced, end="", file=sys.stderr, flush=True)
    left = {kind: sum(task[1] == kind for task in missing) for kind in counts}
    length = estimate_time(left, size, seed, min(workers, max(len(missing), 1))) if missing else "nothing left to do"
    print(f"{length}.", file=sys.stderr)
