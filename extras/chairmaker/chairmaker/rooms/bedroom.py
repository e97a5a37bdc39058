"""Bedrooms: a bed with cushions and a cover, bedside tables, a wardrobe."""

import numpy as np

from chairmaker import textures
from chairmaker.materials import Material, Part, fabric, plain, textured
from chairmaker.meshes import rounded_box
from chairmaker.rooms import patterns
from chairmaker.rooms.ornaments import any_colour, on_top
from chairmaker.rooms.room import Room, Style, room_kind, wall_piece
from chairmaker.rooms.shapes import bars, box, boxes, made_of, moved
from chairmaker.rooms.shells import indoors
from chairmaker.rooms.wall_pieces import cupboard, framed, window
from chairmaker.textures import hsv


def bedding(rng: np.random.Generator) -> Material:
    """Printed, quilted, striped or plain bed linen."""
    colours = [any_colour(rng) for _ in range(4)]
    kind = rng.integers(5)
    if kind == 0:
        return plain(textured(patterns.patchwork(rng, colours), (1.4, 1.4)))
    if kind == 1:
        return plain(textured(patterns.floral(rng, colours[0], colours[1:]), (0.9, 0.9)))
    if kind == 2:
        return plain(textured(textures.patterned(rng, colours[:2]), (0.8, 0.8)))
    if kind == 3:
        return plain(textured(textures.mottled(rng, hsv(0.1, rng.uniform(0, 0.08), 0.92), 0.04, 4), (0.8, 0.8)))
    return fabric(rng)


def _headboard(rng: np.random.Generator, style: Style, w: float) -> list[Part]:
    """Boards, bars or upholstery at the head of a bed, from x = 0."""
    h = rng.uniform(0.85, 1.3)
    kind = rng.integers(3)
    if kind == 0:
        xs = np.linspace(0.05, w - 0.05, int(rng.integers(6, 12)))
        feet = np.stack([xs, 0 * xs - 0.05, 0 * xs], axis=1)
        return made_of(
            style.dark, bars(feet, feet + [0, 0, h], 0.03), box((0, w), (-0.08, -0.02), (h - 0.03, h + 0.03))
        )
    if kind == 1:
        return [Part(rounded_box(w, 0.1, h, 0.04).moved(w / 2, -0.05, h / 2), fabric(rng))]
    panels = [[x + 0.04, x + w / 3 - 0.04, -0.08, -0.06, 0.55, h - 0.08] for x in np.arange(3) * w / 3]
    return [
        Part(
            boxes(
                [[0, w, -0.06, 0, 0, h], [-0.04, 0.04, -0.1, 0, 0, h + 0.1], [w - 0.04, w + 0.04, -0.1, 0, 0, h + 0.1]]
            ),
            style.timber,
        ),
        Part(boxes(panels), style.timber),
    ]


@wall_piece(1, "bedroom")
def bed(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """A bed with its head to the wall, cushions, a cover, a throw, and bedside tables."""
    w, long, h = rng.uniform(1.1, 1.9), rng.uniform(1.95, 2.1), rng.uniform(0.48, 0.65)
    sheet, cover, slips = bedding(rng), bedding(rng), bedding(rng)
    low = rng.uniform(0.05, 0.25)
    frame = boxes(
        [
            [0, w, -long, 0, low, 0.32],
            *([x, x + 0.07, y, y + 0.07, 0, low] for x in (0.02, w - 0.09) for y in (-long, -0.1)),
        ]
    )
    mattress = rounded_box(w - 0.04, long - 0.04, h - 0.28, 0.07).moved(w / 2, -long / 2, h / 2 + 0.14)
    reach = rng.uniform(0.55, 0.8) * long
    quilt = rounded_box(w + 0.08, reach, h - rng.uniform(0.1, 0.3), 0.06, inner=8)
    ripple = rng.uniform(0.006, 0.02)
    quilt = quilt.mapped(
        lambda v: v + np.stack([0 * v[:, 0], 0 * v[:, 0], ripple * np.sin(v[:, 0] * 9 + v[:, 1] * 6)], axis=1)
    )
    quilt = quilt.moved(w / 2, -long + reach / 2 - 0.03, h - (quilt.vertices[:, 2].max()) + 0.05)
    quilt = quilt.mapped(lambda v: np.maximum(v, [-9, -9, 0.02]))
    parts = [Part(frame, style.timber), Part(mattress, sheet), Part(quilt, cover), *_headboard(rng, style, w)]
    rows = int(rng.integers(1, 3))
    for row in range(rows):
        for x in np.linspace(0.3, w - 0.3, 2 if w > 1.3 else 1):
            cushion = rounded_box(0.6 - 0.12 * row, 0.14, 0.42 - 0.08 * row, 0.06).turned(-35, "x")
            parts.append(Part(cushion.moved(x, -0.22 - 0.2 * row, h + 0.17), slips if row else sheet))
    if rng.uniform() < 0.4:
        throw = rounded_box(w + 0.11, rng.uniform(0.3, 0.5), 0.3, 0.05).moved(w / 2, -long + 0.45, h - 0.08)
        parts.append(Part(throw, bedding(rng)))
    parts = moved(parts, 0.55)
    for x in (0.0, 0.65 + w):
        tall = rng.uniform(0.45, 0.6)
        parts += moved(
            [
                Part(
                    boxes([[0, 0.45, -0.4, 0, 0.14, tall], [0.02, 0.43, -0.42, -0.4, 0.2, tall - 0.04]]), style.timber
                ),
                Part(
                    boxes([[a, a + 0.04, b, b + 0.04, 0, 0.14] for a in (0.02, 0.39) for b in (-0.38, -0.06)]),
                    style.dark,
                ),
                *on_top(rng, "bedroom", 0.4, 0.3, tall, 3),
            ],
            x,
        )
    size = rng.uniform(0.4, 0.8, 2)
    if rng.uniform() < 0.6:
        parts += moved(framed(rng, style, *size), 0.55 + w / 2 - size[0] / 2, 0, 1.45)
    return parts, w + 1.1


@room_kind("bedroom", 13)
def bedroom(rng: np.random.Generator, style: Style) -> Room:
    """A bed at the back or at the side."""
    size = (rng.uniform(3.2, 4.6), rng.uniform(3.4, 4.8), rng.uniform(2.35, 2.8))
    other = cupboard if rng.uniform() < 0.5 else window
    back, side = ((bed, window), (other,)) if rng.uniform() < 0.6 else ((window, other), (bed,))
    return indoors(rng, style, "bedroom", size, back, side, loose=(0, 3), rugs=0.45)
