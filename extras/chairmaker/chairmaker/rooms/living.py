"""Living rooms."""

import numpy as np

from chairmaker.rooms.floor_pieces import coffee_table
from chairmaker.rooms.room import Room, Style, room_kind
from chairmaker.rooms.shapes import moved
from chairmaker.rooms.shells import indoors
from chairmaker.rooms.wall_pieces import tall_window, window


@room_kind("living", 18)
def living_room(rng: np.random.Generator, style: Style) -> Room:
    """Shelves, cabinets, a low table on a rug."""
    size = (rng.uniform(3.2, 5.6), rng.uniform(3.4, 5.6), rng.uniform(2.4, 3.0))
    centre = moved(coffee_table(rng, style), rng.uniform(-0.8, 0.8), rng.uniform(-0.2, 1.0), turn=rng.normal(0, 8))
    light = (tall_window,) if rng.uniform() < 0.35 else (window,)
    return indoors(
        rng,
        style,
        "living",
        size,
        back=light if rng.uniform() < 0.6 else (),
        side=() if rng.uniform() < 0.5 else light,
        centre=centre if rng.uniform() < 0.45 else (),
        rugs=0.65,
    )
