"""Places to put chairs in: rooms, terraces, gardens and house fronts with everything but a seat.

:mod:`room` says what a room is and holds the registries. ``ornaments``, ``wall_pieces`` and ``floor_pieces`` fill them.
``shells`` builds walls, floors and daylight, ``outdoors`` sky and plants. Each kind of place is a module of its own.
"""

# Kinds register themselves when they are imported, in this order.
from chairmaker.rooms import living  # isort: skip
from chairmaker.rooms import dining  # isort: skip
from chairmaker.rooms import bedroom  # isort: skip
from chairmaker.rooms import kitchen  # isort: skip
from chairmaker.rooms import bathroom  # isort: skip
from chairmaker.rooms import study  # isort: skip
from chairmaker.rooms import hallway  # isort: skip
from chairmaker.rooms import terrace  # isort: skip
from chairmaker.rooms import garden  # isort: skip
from chairmaker.rooms import facade  # isort: skip
from chairmaker.rooms.room import (
    FLOOR_PIECES,
    ORNAMENTS,
    ROOM_KINDS,
    WALL_PIECES,
    Room,
    Style,
    draw_room,
    floor_piece,
    ornament,
    room_kind,
    wall_piece,
)

__all__ = [
    "FLOOR_PIECES",
    "ORNAMENTS",
    "ROOM_KINDS",
    "WALL_PIECES",
    "Room",
    "Style",
    "draw_room",
    "floor_piece",
    "ornament",
    "room_kind",
    "wall_piece",
    "bathroom",
    "bedroom",
    "dining",
    "facade",
    "garden",
    "hallway",
    "kitchen",
    "living",
    "study",
    "terrace",
]
