"""Dining rooms: a large table laid or bare, and a lamp above it."""

import numpy as np

from chairmaker.materials import Part
from chairmaker.rooms.floor_pieces import dining_table
from chairmaker.rooms.ornaments import lampshade
from chairmaker.rooms.room import Room, Style, room_kind
from chairmaker.rooms.shapes import bar, bars, made_of, moved
from chairmaker.rooms.shells import indoors
from chairmaker.rooms.wall_pieces import window


def chandelier(rng: np.random.Generator, style: Style, h: float) -> list[Part]:
    """Arms with small shades or candles, hung from height ``h``."""
    low, r, count = rng.uniform(1.5, 1.8), rng.uniform(0.22, 0.38), int(rng.integers(4, 8))
    turns = np.linspace(0, 2 * np.pi, count + 1)[:-1]
    tips = np.stack([r * np.cos(turns), r * np.sin(turns), np.full(count, low + 0.08)], axis=1)
    parts = made_of(style.dark, bar((0, 0, low), (0, 0, h), 0.03), bars(tips * 0 + [0, 0, low], tips, 0.02))
    shade = lampshade(rng, 0.06, 0.1, 0.6)
    return parts + [part for tip in tips for part in moved(shade, *(tip + [0, 0, 0.06]))]


@room_kind("dining", 9)
def dining_room(rng: np.random.Generator, style: Style) -> Room:
    """A table in the middle of the room."""
    size = (rng.uniform(3.0, 4.6), rng.uniform(3.4, 4.8), rng.uniform(2.4, 3.0))
    x, y = rng.uniform(-0.5, 0.5), rng.uniform(0.0, 0.7)
    centre = moved(dining_table(rng, style), x, y, turn=rng.choice([0, 90]) + rng.normal(0, 6))
    if rng.uniform() < 0.5:
        centre += moved(chandelier(rng, style, size[2]), x, y)
    return indoors(
        rng, style, "dining", size, (window,) if rng.uniform() < 0.6 else (), (), centre, (0, 3), 0.5, lined=0.35
    )
