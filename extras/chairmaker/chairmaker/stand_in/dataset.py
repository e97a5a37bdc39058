"""The stand-in as files, in the layout of the Object Discovery release."""

import io
import os
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chairlib.core.code import code_hash
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.files import atomic_folder, check_free, keep, kept, write_json
from chairlib.core.progress import note, progress_bar
from chairmaker.engine import mitsuba
from chairmaker.materials import Part, glow, plain
from chairmaker.render import View, encode, smooth_light
from chairmaker.stand_in.scenes import CATEGORIES, Scene, draw_scene
from chairmaker.workers import in_processes

_PICTURE, _LAYOUT = range(2)
_SMALLEST, _LARGEST = 32, 1024
#: Ids are drawn from this many numbers: like those of the release they have gaps.
_IDS = 10_000
_EMPTY, _UNLABELLED, _SUBSET = 0.04, 0.03, 1 / 3
_QUALITY = 84
_SAMPLES = 12
#: Mean and standard deviation of the grey (linear) that a picture's mean, in logarithms, is exposed to.
_EXPOSURE = {"Airplane": (0.27, 0.07), "Car": (0.18, 0.06), "Horse": (0.21, 0.05)}

_KINDS = ("image", "mask")

#: The folder beside which results are kept, category, seed, number, size in pixels, the image's id, whether it shows
#: the subject, whether its mask is written, and the code that renders.
_Task = tuple[Path, str, int, int, int, str, bool, bool, str]


def picture_window(scene: Scene, size: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of the scene's picture in a square of ``size`` pixels."""
    height = round(size * scene.aspect)
    return 0, (size - height) // 2, size, height


def subject_mask(scene: Scene, size: int, seed: int) -> NDArray[np.bool_]:
    """Where the visible part of the subject covers more than half of a pixel [H,W]."""
    left, top, width, height = picture_window(scene, size)
    if not scene.subjects:
        return np.zeros((height, width), bool)
    # The subject is black, and what stands in front of it is a light: the guide's red is the light's share of each
    # pixel.
    light, black = glow(np.ones(3), 1.0), plain(np.zeros(3))
    parts = [Part(part.mesh, black) for part in scene.subjects] + [Part(p.mesh, light) for p in scene.place.before]
    pixels = View(parts, [], scene.camera, size, (left, top, width, height)).guide("albedo", 25, seed)
    return pixels[..., 3] * (1 - pixels[..., 0] / 100) > 0.5


def _photograph(scene: Scene, rng: np.random.Generator, category: str, size: int, seed: int) -> Image.Image:
    window = picture_window(scene, size)
    parts = [*scene.subjects, *scene.place.behind, *scene.place.before]
    view = View(parts, scene.sky.lights(), scene.camera, size, window)
    lit, albedo = view.colour(_SAMPLES, seed), view.guide("albedo", _SAMPLES, seed)
    # Slivers of triangles have no normal.
    normal = np.nan_to_num(view.guide("normal", _SAMPLES, seed))
    image = smooth_light(lit, albedo, normal, bounce=0.12)
    colour = image[..., :3] + (1 - image[..., 3:]) * scene.sky.behind(scene.camera, size, window)
    # Like a camera's automatic exposure: the picture's mean, in logarithms, becomes a middle grey.
    mean, spread = _EXPOSURE[category]
    grey = np.clip(rng.normal(mean, spread), 0.06, 0.5)
    exposed = colour * grey / np.exp(np.log(colour.mean(axis=2) + 0.02).mean())
    warmth = rng.normal(0, 0.05)
    exposed = exposed * np.array([1 + warmth, 1.0, 1 - warmth])
    bright = np.where(exposed > 0.7, 0.7 + 0.3 * (1 - np.exp(-(exposed - 0.7) / 0.3)), exposed)
    return Image.fromarray(encode(bright, contrast=rng.uniform(0.0, 0.5)))


def _check(category: str, seed: int, size: int) -> None:
    if category not in CATEGORIES:
        raise ParameterError(f"category is {category!r}; expected one of {', '.join(CATEGORIES)}.")
    if not _SMALLEST <= size <= _LARGEST:
        raise ParameterError(f"size is {size!r}; expected a whole number, from {_SMALLEST} to {_LARGEST}.")
    if seed < 0:
        raise ParameterError(f"seed is {seed!r}; expected a whole number, 0 or more.")


def render_subject(
    category: str, seed: int, index: int, size: int = 128, present: bool = True
) -> tuple[Image.Image, Image.Image]:
    """Picture number ``index`` of a category ("Airplane", "Car" or "Horse") as an RGB image, and its mask (1 bit).

    ``size`` is the longer side in pixels. With ``present=False`` the picture shows the place without the subject, and
    the mask is black. Raises ParameterError for another category, a size out of range or a negative seed.
    """
    _check(category, seed, size)
    mitsuba()
    rng = np.random.default_rng([seed, _PICTURE, CATEGORIES.index(category), index])
    scene = draw_scene(rng, category, present)
    number = int(rng.integers(2**31))
    picture = _photograph(scene, rng, category, size, number)
    return picture, Image.fromarray(subject_mask(scene, size, number))


def _key(task: _Task) -> tuple[object, ...]:
    """All that decides the pixels of a task's image."""
    _, category, seed, index, size, _, present, _, code = task
    return "stand-in", category, seed, index, size, present, code


def _render_files(task: _Task) -> None:
    """Render one image and its mask, and keep both files beside the folder."""
    folder, category, seed, index, size, _, present, _, _ = task
    picture, mask = render_subject(category, seed, index, size, present)
    streams = io.BytesIO(), io.BytesIO()
    picture.save(streams[0], "JPEG", quality=_QUALITY, optimize=True)
    mask.save(streams[1], "PNG", optimize=True)
    for kind, stream in zip(_KINDS, streams, strict=True):
        keep(folder, stream.getvalue(), kind, *_key(task))


def _kept_files(task: _Task) -> list[bytes] | None:
    """The files of a task's image and mask, where both are kept and whole."""
    files = [file for kind in _KINDS if (file := kept(task[0], kind, *_key(task))) is not None]
    return files if len(files) == len(_KINDS) else None


def _write_files(folder: Path, task: _Task) -> None:
    """Write a task's image, and its mask unless it is to have none, into the folders of ``folder``."""
    _, category, _, _, _, name, _, labelled, _ = task
    files = _kept_files(task)
    if files is None:
        raise ChairlibError(f"image {name} of {category} was there a moment ago; run it again.")
    (folder / category / f"{name}.jpg").write_bytes(files[0])
    if labelled:
        (folder / category / "GroundTruth" / f"{name}.png").write_bytes(files[1])


def _tasks(folder: Path, category: str, images: int, size: int, seed: int, code: str) -> list[_Task]:
    rng = np.random.default_rng([seed, _LAYOUT, CATEGORIES.index(category)])
    names = np.sort(rng.choice(np.arange(1, min(_IDS, 28 * images + 30)), images, replace=False))
    order = rng.permutation(images)
    empty, unlabelled = round(_EMPTY * images), round(_UNLABELLED * images)
    without, without_mask = set(order[:empty]), set(order[empty : empty + unlabelled])
    return [
        (folder, category, seed, i, size, f"{names[i]:04d}", i not in without, i not in without_mask, code)
        for i in range(images)
    ]


def _copy_subset(folder: Path, tasks: list[_Task], seed: int) -> None:
    """Copy a third of the labelled images into the folder of the category's subset."""
    category = tasks[0][1]
    rng = np.random.default_rng([seed, _LAYOUT, CATEGORIES.index(category), 100])
    labelled = [task[5] for task in tasks if task[7]]
    for name in rng.choice(labelled, max(1, round(_SUBSET * len(labelled))), replace=False):
        for part in (f"{name}.jpg", f"GroundTruth/{name}.png"):
            (folder / f"{category}100" / part).write_bytes((folder / category / part).read_bytes())


def _readme(name: str, images: int, size: int, seed: int) -> str:
    command = f"chairlib render-stand-in --out {name} --images {images} --size {size} --seed {seed}"
    return (
        f"# {name}\n\nA stand-in, not Object Discovery: rendered airplanes, cars and horses with exact masks, "
        "in the layout of the Object Discovery data set.\n"
        "No score measured on it may be called a score on Object Discovery. Made by\n\n"
        f"    {command}\n\n`Data/<Category>/NNNN.jpg` are the images and `GroundTruth/NNNN.png` their masks, "
        "missing for the unlabelled few\nand black where the object is absent; "
        "`Data/<Category>100/` repeats a third of the labelled images.\n\nLicence: CC0-1.0.\n"
    )


def _estimate(images: float, size: int, seed: int, workers: int) -> str:
    """How long rendering will take, measured on one image of each category, in words."""
    start = time.perf_counter()
    for category in CATEGORIES:
        render_subject(category, seed, 0, size)
    seconds = (time.perf_counter() - start) * images / min(workers, len(CATEGORIES) * images)
    length = f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    return f"about {length} with {workers} processes"


def render_stand_in(
    out: str | Path,
    images: int = 560,
    size: int = 128,
    seed: int = 0,
    progress: bool = True,
    workers: int | None = None,
) -> Path:
    """Render the stand-in into the folder ``out``, which must be absent or empty: ``images`` of each category.

    ``size`` is the longer side in pixels. ``workers`` is the number of processes, each on one core: by default one for
    each core. With ``progress`` an estimate and a progress bar go to standard error. If the call is
    stopped in any way, finished images stay in a hidden folder beside ``out``, and the same call goes on from them.

    Raises ParameterError for fewer than 3 images or a size out of range, ChairlibError where Mitsuba is missing or
    nothing can be written.
    """
    out = Path(out).expanduser()
    if images < 3 or 28 * images > 28 * _IDS / 2:
        raise ParameterError(f"images is {images!r}; expected a whole number, from 3 to {_IDS // 2}.")
    workers = (os.cpu_count() or 1) if workers is None else workers
    if workers < 1:
        raise ParameterError(f"workers is {workers!r}; expected a whole number, 1 or more.")
    _check(CATEGORIES[0], seed, size)
    check_free(out)
    others = (mitsuba().__version__, *map(version, ("numpy", "pillow", "scipy")))
    code = " ".join([code_hash("chairmaker.stand_in.dataset"), *others])
    with atomic_folder(out) as folder:
        tasks = {category: _tasks(folder, category, images, size, seed, code) for category in CATEGORIES}
        every = [task for some in tasks.values() for task in some]
        missing = [task for task in every if _kept_files(task) is None]
        if progress:
            _announce(images, size, seed, workers, len(every), len(missing))
        bar = progress_bar(
            total=len(every),
            initial=len(every) - len(missing),
            desc="rendering",
            unit="image",
            disable=not progress,
        )
        with bar:
            for _ in in_processes(_render_files, missing, workers):
                bar.update()
        for category, some in tasks.items():
            for name in (category, f"{category}100"):
                (folder / "Data" / name / "GroundTruth").mkdir(parents=True)
            for task in some:
                _write_files(folder / "Data", task)
            _copy_subset(folder / "Data", some, seed)
        # People copy Data/ alone. This file goes along, so a copy is still known as the stand-in.
        write_json(folder / "Data" / "source.json", {"source": "stand-in", "name": "stand-in", "groups": {}})
        (folder / "README.md").write_text(_readme(out.name, images, size, seed), encoding="utf-8")
    return out


def _announce(images: int, size: int, seed: int, workers: int, total: int, missing: int) -> None:
    """Say what is to be rendered, how much of it was done before, and how long the rest takes."""
    if missing < total:
        note(f"going on: {total - missing:,} of {total:,} images were done before")
    length = _estimate(missing / len(CATEGORIES), size, seed, workers) if missing else "nothing left to do"
    note(f"Rendering {images} images each of airplanes, cars and horses, {size} pixels wide: {length}.")
