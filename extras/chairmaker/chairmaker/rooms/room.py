"""What a room is, and the registries from which one is drawn.

Four decorators register a function:

``@room_kind(name, weight)``  a kind of place: ``(rng, style) -> Room``
``@wall_piece(weight, *kinds)``  a thing that stands or hangs along a wall: ``(rng, style) -> (parts, width)``.
  Its coordinates: x from 0 to its width, the wall at y = 0, the room at negative y, the floor at z = 0.
``@floor_piece(weight, *kinds)``  a thing that stands free, about the origin: ``(rng, style) -> parts``
``@ornament(weight, *kinds)``  a thing on tables and shelves, about the origin: ``(rng) -> parts``

``kinds`` names the rooms in which a piece may appear. A piece without kinds may appear in every room with four walls,
but not out of doors. No room may hold anything to sit on: chairs are composited onto it later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from chairlib.core.errors import ParameterError
from chairmaker.materials import Material, Part, metal, paint, pick, pick_hue, surface, wood
from chairmaker.meshes import Floats
from chairmaker.render import Camera
from chairmaker.textures import hsv


@dataclass(frozen=True)
class Style:
    """What the pieces of one room have in common."""

    hue: float
    wall_colour: Floats
    trim: Material
    timber: Material
    second: Material
    dark: Material


@dataclass(frozen=True)
class Room:
    """A scene: its parts, lights that are no parts, a camera, a white balance [3], and the name of its kind."""

    parts: list[Part]
    lights: list[dict[str, Any]]
    camera: Camera
    balance: Floats
    kind: str = ""


class Use(NamedTuple):
    """How often a piece is drawn, and in which kinds of room (empty: in all indoors)."""

    weight: float
    kinds: frozenset[str]


class RoomKind(NamedTuple):
    """How often a kind is drawn, and by what."""

    weight: float
    draw: Callable[[np.random.Generator, Style], Room]


#: How far from the wall (metres) panels, their rails, and flat things that hang on it are. In one and the same plane
#: two of them would show through each other.
LINING, RAIL, PANE = 0.008, 0.02, 0.027
#: Bounced light is not traced, so polished metal would mirror darkness.
POLISH = 0.4
#: Kinds without walls all round.
OUTDOORS = frozenset({"terrace", "garden", "facade"})

WallPiece = Callable[[np.random.Generator, Style], tuple[list[Part], float]]
FloorPiece = Callable[[np.random.Generator, Style], list[Part]]
Ornament = Callable[[np.random.Generator], list[Part]]
KindFunction = Callable[[np.random.Generator, Style], Room]
Piece = TypeVar("Piece", bound=Callable[..., Any])

#: Pieces along a wall: each gives its parts and its width in metres.
WALL_PIECES: dict[WallPiece, Use] = {}
#: Things that stand free.
FLOOR_PIECES: dict[FloorPiece, Use] = {}
#: Small things for tables and shelves.
ORNAMENTS: dict[Ornament, Use] = {}
#: Kinds of places by name.
ROOM_KINDS: dict[str, RoomKind] = {}


def _into(registry: dict[Any, Use], weight: float, kinds: tuple[str, ...]) -> Callable[[Piece], Piece]:
    def register(function: Piece) -> Piece:
        registry[function] = Use(weight, frozenset(kinds))
        return function

    return register


def wall_piece(weight: float, *kinds: str) -> Callable[[WallPiece], WallPiece]:
    """Register what stands along a wall or hangs on it."""
    return _into(WALL_PIECES, weight, kinds)


def floor_piece(weight: float, *kinds: str) -> Callable[[FloorPiece], FloorPiece]:
    """Register a thing that stands free."""
    return _into(FLOOR_PIECES, weight, kinds)


def ornament(weight: float, *kinds: str) -> Callable[[Ornament], Ornament]:
    """Register a small thing for tables and shelves."""
    return _into(ORNAMENTS, weight, kinds)


def room_kind(name: str, weight: float) -> Callable[[KindFunction], KindFunction]:
    """Register a kind of place."""

    def register(function: KindFunction) -> KindFunction:
        ROOM_KINDS[name] = RoomKind(weight, function)
        return function

    return register


def choose(rng: np.random.Generator, registry: Mapping[Piece, Use], kind: str) -> Piece:
    """A piece at random from those that may appear in rooms of this kind."""
    fit = {
        piece: use.weight
        for piece, use in registry.items()
        if (kind in use.kinds if use.kinds else kind not in OUTDOORS)
    }
    weights = np.array(list(fit.values()))
    return list(fit)[int(rng.choice(len(fit), p=weights / weights.sum()))]


def draw_style(rng: np.random.Generator) -> Style:
    """Colours and woods that go together, more or less."""
    hue = pick_hue(rng)
    tint = pick(rng, {"white": 5, "warm": 5, "coloured": 3, "strong": 1.5, "dark": 0.8})
    wall_colour = {
        "white": hsv(rng.uniform(0.05, 0.6), rng.uniform(0, 0.05), rng.uniform(0.8, 0.95)),
        "warm": hsv(rng.uniform(0.06, 0.14), rng.uniform(0.1, 0.45), rng.uniform(0.65, 0.92)),
        "coloured": hsv(hue, rng.uniform(0.08, 0.35), rng.uniform(0.5, 0.88)),
        "strong": hsv(hue, rng.uniform(0.4, 0.8), rng.uniform(0.45, 0.85)),
        "dark": hsv(hue, rng.uniform(0.2, 0.5), rng.uniform(0.18, 0.4)),
    }[tint]
    trim = surface(hsv(0.1, rng.uniform(0, 0.08), rng.uniform(0.8, 0.95)), 0.4) if rng.uniform() < 0.75 else wood(rng)
    dark = metal(rng, POLISH) if rng.uniform() < 0.6 else wood(rng)
    return Style(hue, wall_colour, trim, wood(rng), paint(rng) if rng.uniform() < 0.7 else wood(rng), dark)


def white_balance(rng: np.random.Generator, spread: float = 0.09) -> Floats:
    """Random factors [3] for red, green and blue, from cool to warm: a camera's white balance is seldom quite right."""
    warmth = rng.normal(0.015, spread)
    return np.array([1 + warmth, 1 + rng.normal(0, 0.015), 1 - warmth])


def draw_room(rng: np.random.Generator, kind: str | None = None) -> Room:
    """A furnished room or an outdoor place without a seat, and a camera in it. Any kind, unless ``kind`` is given.

    Raises ParameterError for a kind that is not in ``ROOM_KINDS``.
    """
    if kind is None:
        kind = pick(rng, {name: entry.weight for name, entry in ROOM_KINDS.items()})
    if kind not in ROOM_KINDS:
        raise ParameterError(f"kind is {kind!r}; expected one of {', '.join(ROOM_KINDS)}.")
    return replace(ROOM_KINDS[kind].draw(rng, draw_style(rng)), kind=kind)
