"""Studies, home offices and studios."""

import itertools

import numpy as np

from chairmaker.materials import Part, black_plastic, glow, plain, surface, textured
from chairmaker.meshes import wall
from chairmaker.rooms import patterns
from chairmaker.rooms.floor_pieces import table
from chairmaker.rooms.ornaments import any_colour, lampshade, scattered
from chairmaker.rooms.room import Room, Style, room_kind, wall_piece
from chairmaker.rooms.shapes import bars, box, boxes, made_of, moved
from chairmaker.rooms.shells import indoors
from chairmaker.rooms.wall_pieces import bookshelf, window


def _monitor(rng: np.random.Generator) -> list[Part]:
    """A screen with a keyboard before it, about the origin."""
    w, h = rng.uniform(0.4, 0.65), rng.uniform(0.28, 0.38)
    image = textured(patterns.screen(rng), (w, h))
    shown = glow(image, rng.uniform(0.4, 1.2)) if rng.uniform() < 0.6 else surface(np.full(3, 0.05), 0.2)
    shell = boxes(
        [
            [-w / 2, w / 2, 0, 0.03, 0.1, 0.1 + h],
            [-0.03, 0.03, 0.02, 0.05, 0, 0.15],
            [-0.12, 0.12, -0.05, 0.1, 0, 0.012],
            [-0.21, 0.21, -0.36, -0.22, 0, 0.02],
        ]
    )
    return [
        Part(shell, black_plastic(rng)),
        Part(wall((-w / 2 + 0.015, -0.003, 0.115), (w - 0.03, 0, 0), (0, 0, h - 0.03)), shown),
    ]


def _desk_lamp(rng: np.random.Generator, style: Style) -> list[Part]:
    """A jointed lamp."""
    arms = bars([(0, 0, 0), (-0.1, 0, 0.3)], [(-0.1, 0, 0.3), (0.2, 0, 0.48)], 0.022)
    return [
        *made_of(style.dark, arms, box((-0.08, 0.08), (-0.08, 0.08), (0, 0.02))),
        *moved(lampshade(rng, 0.09, 0.1, 0.5), 0.2, 0, 0.45),
    ]


@wall_piece(2, "study")
def desk(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """A desk with one or two screens, a lamp, papers, a drawer unit below and notes above."""
    w, d, h = rng.uniform(1.1, 1.8), rng.uniform(0.6, 0.8), rng.uniform(0.72, 0.76)
    legs = ("corner", "frame", "trestle")[rng.integers(3)]
    parts = moved(table(rng, style, w, d, h, legs), w / 2, -d / 2 - 0.02)
    for x in np.linspace(0.35, 0.75, int(rng.integers(1, 3))) * w:
        parts += moved(_monitor(rng), x, -0.28, h, rng.normal(0, 10))
    if rng.uniform() < 0.7:
        parts += moved(_desk_lamp(rng, style), rng.choice([0.14, w - 0.2]), -0.25, h, rng.uniform(-60, 60))
    parts += moved(scattered(rng, "study", w, d, h, int(rng.integers(2, 6))), w / 2, -d / 2)
    if rng.uniform() < 0.5:
        x = rng.choice([0.08, w - 0.5])
        levels = np.linspace(0.06, h - 0.06, 4)
        drawers = [
            [x + 0.01, x + 0.41, -d + 0.03, -d + 0.05, a + 0.01, b - 0.01] for a, b in itertools.pairwise(levels)
        ]
        parts.append(Part(boxes([[x, x + 0.42, -d + 0.05, -0.05, 0.04, h - 0.05], *drawers]), style.second))
    if rng.uniform() < 0.5:
        board = box((0.15, w - 0.15), (-0.02, 0), (1.15, 1.9))
        parts.append(Part(board, style.timber))
        for _ in range(rng.integers(3, 12)):
            x, z, s = rng.uniform(0.2, w - 0.4), rng.uniform(1.2, 1.7), rng.uniform(0.06, 0.16)
            parts.append(Part(box((x, x + s), (-0.025, -0.02), (z, z + s * 1.2)), plain(any_colour(rng))))
    return parts, w + 0.04


@wall_piece(1, "study")
def filing_cabinet(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """Steel drawers with papers or a printer on top."""
    w, h = 0.46, rng.uniform(0.7, 1.35)
    levels = np.linspace(0.04, h - 0.03, int(rng.integers(3, 5)))
    slabs = [[0.01, w - 0.01, -0.62, -0.6, a + 0.01, b - 0.01] for a, b in itertools.pairwise(levels)]
    grips = [[w / 2 - 0.07, w / 2 + 0.07, -0.64, -0.62, b - 0.09, b - 0.07] for b in levels[1:]]
    printer = boxes([[0.03, w - 0.03, -0.5, -0.1, h, h + 0.22], [0.08, w - 0.08, -0.6, -0.5, h + 0.04, h + 0.05]])
    return [
        Part(boxes([[0, w, -0.6, 0, 0, h], *slabs]), surface(any_colour(rng) * 0.5 + 0.3, 0.4)),
        Part(boxes(grips), style.dark),
        Part(printer, surface(np.full(3, rng.choice([0.15, 0.85])), 0.4)),
    ], w


@room_kind("study", 9)
def study(rng: np.random.Generator, style: Style) -> Room:
    """A desk at the back or the side, shelves."""
    size = (rng.uniform(2.6, 4.0), rng.uniform(2.8, 4.2), rng.uniform(2.35, 2.9))
    back, side = ((desk, bookshelf), (window,)) if rng.uniform() < 0.6 else ((window, bookshelf), (desk,))
    return indoors(rng, style, "study", size, back, side, (), (0, 4), 0.4)
