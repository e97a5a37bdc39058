"""Hallways and landings, with doors and stairs."""

import numpy as np

from chairmaker.materials import Part, fabric
from chairmaker.rooms.room import Room, Style, WallPiece, room_kind, wall_piece
from chairmaker.rooms.shapes import bars, box, boxes, made_of
from chairmaker.rooms.shells import indoors
from chairmaker.rooms.wall_pieces import door, open_door


@wall_piece(1.5, "hallway")
def stairs(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """A flight of stairs up along the wall, with a railing."""
    w, rise, tread = rng.uniform(0.8, 1.0), rng.uniform(0.17, 0.19), rng.uniform(0.24, 0.28)
    count = 14
    number = np.arange(count)
    x, z = number * tread, (number + 1) * rise
    solid = rng.uniform() < 0.7
    body = [
        [a, a + tread + (0 if solid else 0.02), -w, 0, 0 if solid else b - 0.05, b] for a, b in zip(x, z, strict=True)
    ]
    treads = [[a - 0.025, a + tread, -w - 0.02, 0, b, b + 0.03] for a, b in zip(x, z, strict=True)]
    parts = [Part(boxes(body), style.trim), Part(boxes(treads), style.timber)]
    if rng.uniform() < 0.35:
        parts.append(
            Part(
                boxes(
                    [[a - 0.03, a + tread, -w + 0.15, -0.15, b + 0.005, b + 0.037] for a, b in zip(x, z, strict=True)]
                ),
                fabric(rng),
            )
        )
    feet = np.stack(
        [np.repeat(x, 2) + np.tile([0.06, 0.19], count), np.full(2 * count, -w + 0.03), np.repeat(z, 2)], axis=1
    )
    tops = feet * [1, 1, 0] + np.stack(
        [0 * feet[:, 0], 0 * feet[:, 0], feet[:, 0] * rise / tread + rise + 0.88], axis=1
    )
    rail = bars([(0.0, -w + 0.03, rise + 0.9)], [(count * tread, -w + 0.03, (count + 1) * rise + 0.9)], 0.06)
    newel = box((-0.05, 0.05), (-w - 0.02, -w + 0.08), (0, rise + 1.0))
    rod = style.trim if rng.uniform() < 0.5 else style.dark
    parts += [Part(bars(feet, tops, rng.uniform(0.02, 0.035)), rod), *made_of(style.timber, rail, newel)]
    width = float(rng.uniform(1.8, 3.0))
    if rng.uniform() < 0.5:
        return parts, width
    # The same flight climbing the other way.
    return [Part(part.mesh.mirrored().moved(width), part.material) for part in parts], width


@room_kind("hallway", 9)
def hallway(rng: np.random.Generator, style: Style) -> Room:
    """Narrow, with doors; often with stairs at the back or the side."""
    back: tuple[WallPiece, ...]
    side: tuple[WallPiece, ...]
    size = (rng.uniform(1.9, 3.4), rng.uniform(3.2, 5.5), rng.uniform(2.4, 3.2))
    entrance: WallPiece = door if rng.uniform() < 0.5 else open_door
    if rng.uniform() < 0.6:
        back, side = ((stairs,), (entrance,)) if rng.uniform() < 0.6 and size[0] > 2.4 else ((entrance,), (stairs,))
    else:
        back, side = (entrance,), (door, open_door)
    return indoors(rng, style, "hallway", size, back, side, (), (0, 3), 0.5, lined=0.4)
