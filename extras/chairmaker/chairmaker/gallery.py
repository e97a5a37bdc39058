"""Pictures of everything in the catalogue: families, materials, kinds of rooms, and chairs seen from all sides.

Each function renders in several processes with a progress bar and gives uint8 arrays. The same arguments give the same
pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chairlib.core.progress import progress_bar
from chairmaker.catalogue import CHAIR_SAMPLES, draw_visible_room, in_studio, photograph, photograph_room
from chairmaker.chairs import FAMILIES, Design, draw_design, with_dimension
from chairmaker.materials import MATERIALS, Material, pick
from chairmaker.render import smooth_light, straight_rgba
from chairmaker.rooms import ROOM_KINDS
from chairmaker.workers import in_processes

#: The family that shows materials: its frame, seat and back are large and plain.
_SAMPLE = "dining"
_ELEVATION = 14.0
_DESIGN, _PICTURE, _FINISH = range(3)


@dataclass(frozen=True)
class Turntable:
    """One chair in one finish, seen from all sides, with one of its dimensions from small to large."""

    pictures: NDArray[np.uint8]
    """[V, A, size, size, 4]: V values of the dimension, A angles."""
    dimension: str
    """The dimension's name."""
    values: list[float]
    """Its values [V], in the dimension's own unit (metres, mostly)."""
    angles: list[float]
    """Degrees [A] from the front, to the right."""


def _rng(seed: int, *stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, *stream])


def _render_all(function: Callable[[Any], NDArray[np.uint8]], tasks: Sequence[Any], title: str) -> NDArray[np.uint8]:
    """``function`` of every task in several processes, stacked; ``title`` names the progress bar."""
    images = in_processes(function, tasks)
    return np.stack(list(progress_bar(images, title, total=len(tasks), unit="image", delay=1, leave=False)))


def _render_design(task: tuple[str, int, int, int]) -> NDArray[np.uint8]:
    name, number, size, seed = task
    family = list(FAMILIES).index(name)
    design = draw_design(_rng(seed, _DESIGN, family, number), name)
    return np.asarray(photograph(design, _rng(seed, _PICTURE, family, number), size))


def _render_material(task: tuple[str, int, int]) -> NDArray[np.uint8]:
    name, size, seed = task
    design = draw_design(_rng(seed, _DESIGN), _SAMPLE)
    rng = _rng(seed, _PICTURE, list(MATERIALS).index(name))
    finish = dict.fromkeys(design.slots, MATERIALS[name](rng))
    return np.asarray(photograph(design, _rng(seed, _PICTURE), size, finish, (32.0, _ELEVATION)))


def _render_kind(task: tuple[str, int, int, int]) -> NDArray[np.uint8]:
    kind, number, size, seed = task
    rng = _rng(seed, list(ROOM_KINDS).index(kind), number)
    return np.asarray(photograph_room(draw_visible_room(rng, kind), rng, size))


def render_turned(task: tuple[str, int, float, float, int, int]) -> NDArray[np.uint8]:
    """One picture [size,size,4] of a turntable.

    ``task`` is a family's name, the number of the dimension among its ``turns``, the dimension's value, the azimuth of
    the camera in degrees, the size in pixels and the seed.
    """
    name, turn, value, angle, size, seed = task
    family = list(FAMILIES).index(name)
    design = draw_design(_rng(seed, _DESIGN, family), name)
    design = with_dimension(design, design.turns[turn][0], value)
    # The same draws each time: nothing but the angle and the dimension changes.
    finish = _finish(design, _rng(seed, _FINISH, family, turn))
    return np.asarray(photograph(design, _rng(seed, _PICTURE, family), size, finish, (angle, _ELEVATION)))


def _finish(design: Design, rng: np.random.Generator) -> dict[str, Material]:
    """A material for every slot."""
    return {slot: MATERIALS[pick(rng, choices)](rng) for slot, choices in design.slots.items()}


def answer() -> list[str]:
    """What the renderer can make and how fine its opacity is, in three sentences."""
    rays = CHAIR_SAMPLES
    return [
        f"The renderer draws {len(FAMILIES)} families of chairs, {len(MATERIALS)} materials and {len(ROOM_KINDS)} "
        "kinds of rooms and outdoor places.",
        "Each chair is a new design: its proportions, parts, materials, camera and light are drawn at random, and the "
        "same seed draws the same chair.",
        f"A pixel's opacity is the share of its {rays} rays that hit the chair, so it has steps of "
        f"about {100 / rays:.0f} points; nobody drew it.",
    ]


def family_pictures(each: int = 4, size: int = 128, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """``each`` random chairs [each,size,size,4] of every family, by the family's name."""
    tasks = [(name, number, size, seed) for name in FAMILIES for number in range(each)]
    pictures = _render_all(_render_design, tasks, "families").reshape(len(FAMILIES), each, size, size, 4)
    return dict(zip(FAMILIES, pictures, strict=True))


def material_pictures(size: int = 128, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """One and the same chair [size,size,4] made wholly of each material, by the material's name."""
    pictures = _render_all(_render_material, [(name, size, seed) for name in MATERIALS], "materials")
    return dict(zip(MATERIALS, pictures, strict=True))


def room_pictures(each: int = 3, size: int = 128, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """``each`` random rooms [each,size,size,3] of every kind, by the kind's name."""
    tasks = [(kind, number, size, seed) for kind in ROOM_KINDS for number in range(each)]
    pictures = _render_all(_render_kind, tasks, "rooms").reshape(len(ROOM_KINDS), each, size, size, 3)
    return dict(zip(ROOM_KINDS, pictures, strict=True))


def _title(dimension: str) -> str:
    """A dimension's name for readers: "seat width" for "seat.width"."""
    return dimension.replace(".", " ").replace("_", " ")


def making_pictures(size: int = 128, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """The steps that make one chair's picture, each [size,size,4], by the step's name.

    The surfaces' own colours, the light on them as it is sampled and after averaging, the product of both, and the
    opacity.
    """
    view = in_studio(draw_design(_rng(seed, _DESIGN), _SAMPLE), _rng(seed, _PICTURE), size, None, (32.0, _ELEVATION))
    lit, albedo = view.colour(16, seed), view.guide("albedo", 16, seed)
    result = smooth_light(lit, albedo, bounce=0.1)
    opacity = np.repeat(view.on_canvas(albedo)[..., 3:], 3, axis=2)
    solid = np.ones((*opacity.shape[:2], 1))
    linear = {
        "albedo": np.concatenate([albedo[..., :3] * albedo[..., 3:], albedo[..., 3:]], axis=2),
        "light, sampled": _light(lit, albedo),
        "light, averaged": _light(result, albedo),
        "result": result,
    }
    pictures = {name: straight_rgba(view.on_canvas(picture)) for name, picture in linear.items()}
    # Opacity is a share, not a colour: its grey is not encoded.
    return {**pictures, "opacity": np.round(255 * np.concatenate([opacity, solid], axis=2)).astype(np.uint8)}


def _light(image: NDArray[np.floating], albedo: NDArray[np.floating]) -> NDArray[np.floating]:
    """The light of ``image`` [H,W,4] (premultiplied) at half its strength: without the surfaces' colours ``albedo``."""
    light = 0.5 * image[..., :3] / np.maximum(albedo[..., :3], 0.02)
    return np.concatenate([light, image[..., 3:]], axis=2)


def light_pictures(lights: int = 3, size: int = 128, seed: int = 0) -> NDArray[np.uint8]:
    """One chair [lights,size,size,4] in as many studios; nothing else differs."""
    design = draw_design(_rng(seed, _DESIGN), "lounge")
    finish = _finish(design, _rng(seed, _FINISH))
    angles = (32.0, _ELEVATION)
    return np.stack(
        [np.asarray(photograph(design, _rng(seed, _PICTURE), size, finish, angles, light)) for light in range(lights)]
    )


def part_pictures(name: str, part: str, size: int = 128, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """One chair of the family ``name`` with each kind of one part: pictures [size,size,4] by the kind's name.

    ``part`` is a field of the design such as the "back" of a dining chair or the "base" of a shell.
    """
    kinds = _kinds_of_part(name, part)
    design = draw_design(_rng(seed, _DESIGN), name)
    views = [replace(design, **{part: kind}) for kind in kinds]  # type: ignore[type-var]
    angles = (32.0, _ELEVATION)
    return {
        kind: np.asarray(photograph(one, _rng(seed, _PICTURE), size, angles=angles))
        for kind, one in zip(kinds, views, strict=True)
    }


def _kinds_of_part(name: str, part: str, tries: int = 100) -> list[str]:
    """The kinds of a part that a family draws, in alphabetical order."""
    return sorted({str(getattr(draw_design(_rng(0, number), name), part)) for number in range(tries)})


def turntables(n_angles: int = 8, n_values: int = 3, size: int = 96, seed: int = 0) -> dict[str, Turntable]:
    """One chair of each family from ``n_angles`` sides, by the names of the family and of the dimension that changes.

    There is a turntable for each of the family's ``turns``, with ``n_values`` values of that dimension and a finish of
    its own.
    """
    angles = [360 * number / n_angles for number in range(n_angles)]
    turns = [
        (name, turn, *limits)
        for number, name in enumerate(FAMILIES)
        for turn, limits in enumerate(draw_design(_rng(seed, _DESIGN, number), name).turns)
    ]
    values = [np.linspace(low, high, n_values).tolist() for *_, low, high in turns]
    tasks = [
        (name, turn, value, angle, size, seed)
        for (name, turn, *_), some in zip(turns, values, strict=True)
        for value in some
        for angle in angles
    ]
    pictures = _render_all(render_turned, tasks, "turning chairs").reshape(
        len(turns), n_values, n_angles, size, size, 4
    )
    return {
        f"{name}, {_title(dimension)}": Turntable(chair, _title(dimension), some, angles)
        for (name, _, dimension, *_), some, chair in zip(turns, values, pictures, strict=True)
    }
