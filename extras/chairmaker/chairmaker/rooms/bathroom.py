"""Bathrooms: a tub or a shower, a washbasin, tiles, towels."""

import itertools
from dataclasses import replace

import numpy as np

from chairmaker.materials import Material, Part, fabric, plain, surface, textured
from chairmaker.meshes import lathe, wall
from chairmaker.rooms import patterns
from chairmaker.rooms.ornaments import any_colour, lampshade, on_top, scattered
from chairmaker.rooms.room import PANE, Room, Style, WallPiece, room_kind, wall_piece
from chairmaker.rooms.shapes import bar, bars, box, boxes, curtain, disc, made_of, moved, ring
from chairmaker.rooms.shells import indoors, tiled
from chairmaker.rooms.wall_pieces import window

Built = tuple[list[Part], float]


def _chrome() -> Material:
    return surface(np.full(3, 0.78), 0.25, metallic=0.4)


def _enamel(rng: np.random.Generator) -> Material:
    tint = rng.choice([0.0, 0.0, 0.0, 0.25])
    return surface(np.clip(np.full(3, 0.93) - tint * rng.uniform(0, 0.6, 3), 0, 1), 0.15)


def _towel(rng: np.random.Generator, x: float, y: float, top: float) -> Part:
    return Part(
        boxes([[x, x + rng.uniform(0.2, 0.4), y - 0.04, y + 0.02, top - rng.uniform(0.35, 0.75), top + 0.01]]),
        fabric(rng),
    )


@wall_piece(1, "bathroom")
def bath_tub(rng: np.random.Generator, style: Style) -> Built:
    """A tub along the wall with taps, perhaps a shower curtain or a glass screen."""
    w, d, h = rng.uniform(1.5, 1.75), rng.uniform(0.7, 0.8), rng.uniform(0.52, 0.6)
    enamel = _enamel(rng)
    rim = [
        [0, w, -d, -d + 0.06, h - 0.06, h],
        [0, w, -0.06, 0, h - 0.06, h],
        [0, 0.08, -d, 0, h - 0.06, h],
        [w - 0.08, w, -d, 0, h - 0.06, h],
    ]
    inside = [
        [0.06, w - 0.06, -d + 0.04, -d + 0.06, 0.15, h],
        [0.06, w - 0.06, -0.06, -0.04, 0.15, h],
        [0.06, 0.08, -d, 0, 0.15, h],
        [w - 0.08, w - 0.06, -d, 0, 0.15, h],
        [0.06, w - 0.06, -d + 0.05, -0.05, 0.12, 0.16],
    ]
    apron = tiled(rng) if rng.uniform() < 0.4 else enamel
    parts = [
        Part(boxes(rim + inside), enamel),
        Part(boxes([[0.01, w - 0.01, -d + 0.01, -d + 0.03, 0, h - 0.05]]), apron),
    ]
    parts.append(Part(wall((-0.02, -PANE, h), (w + 0.04, 0, 0), (0, 0, rng.uniform(0.5, 1.6))), tiled(rng)))
    pipes = bars(
        [(0.2, -0.02, h + 0.15), (0.2, -0.02, h + 0.2), (0.2, -0.03, 2.0)],
        [(0.2, -0.18, h + 0.13), (0.2, -0.02, 2.0), (0.2, -0.3, 2.02)],
        0.025,
    )
    parts += made_of(_chrome(), pipes, disc(0.08, 0.02, 12).moved(0.2, -0.3, 2.0))
    kind = rng.integers(4)
    if kind == 0:
        cloth = fabric(rng)
        if rng.uniform() < 0.5:
            cloth = plain(
                textured(patterns.floral(rng, any_colour(rng), [any_colour(rng), any_colour(rng)]), (0.6, 0.6))
            )
        parts.append(Part(curtain(rng.uniform(0, 0.7) * w, 0.3 * w + 0.2, -d - 0.02, 0.2, 1.95, 7, 0.03), cloth))
        parts.append(Part(bar((-0.05, -d - 0.02, 1.97), (w + 0.05, -d - 0.02, 1.97), 0.025), _chrome()))
    elif kind == 1:
        lines = np.array([(x, -d + 0.02, z) for x in (0.02, 0.8) for z in (h, 2.0)])
        parts.append(Part(bars(lines[[0, 0, 2, 1]], lines[[1, 2, 3, 3]], 0.025), _chrome()))
    parts += moved(scattered(rng, "bathroom", w * 0.8, 0.02, h, int(rng.integers(0, 3))), w / 2, -0.04)
    return parts, w


@wall_piece(1, "bathroom")
def shower(rng: np.random.Generator, style: Style) -> Built:
    """A tiled shower behind a framed glass screen (open glass: only its frame shows)."""
    w, d = rng.uniform(0.8, 1.3), rng.uniform(0.75, 0.9)
    tray = box((0, w), (-d, 0), (0, 0.1))
    corners = [((x, y, 0.1), (x, y, 2.0)) for x in (0.01, w / 2, w - 0.01) for y in (-d,)]
    lines = [
        *corners,
        ((0, -d, 2.0), (w, -d, 2.0)),
        ((0, -d, 0.12), (w, -d, 0.12)),
        ((0, -d, 2.0), (0, 0, 2.0)),
        ((w, -d, 2.0), (w, 0, 2.0)),
    ]
    pipes = bars([(w / 2, -0.03, 0.9), (w / 2, -0.03, 2.05)], [(w / 2, -0.03, 2.05), (w / 2, -0.35, 2.08)], 0.028)
    frosted = surface(textured(patterns.stained(rng, [0.72, 0.78, 0.78], 0.08, 48), (0.6, 1.2)), 0.3)
    parts = [
        Part(tray, _enamel(rng)),
        Part(wall((0, -PANE, 0.1), (w, 0, 0), (0, 0, 2.1)), tiled(rng)),
        Part(bars([a for a, _ in lines], [b for _, b in lines], 0.03), _chrome()),
        *made_of(_chrome(), pipes, disc(0.1, 0.02, 12).moved(w / 2, -0.35, 2.05)),
    ]
    if rng.uniform() < 0.5:
        parts.append(Part(box((0.0, w / 2), (-d - 0.005, -d), (0.12, 1.98)), frosted))
    return parts, w


def _basin(rng: np.random.Generator, x: float, h: float) -> list[Part]:
    r = rng.uniform(0.19, 0.26)
    bowl = lathe([(0, -0.12), (r * 0.5, -0.12), (r, 0.02), (r, 0.04), (r * 0.9, 0.04), (0, -0.06)], 18)
    tap = bars([(x, -0.06, h), (x, -0.06, h + 0.17)], [(x, -0.06, h + 0.17), (x, -0.2, h + 0.14)], 0.03)
    return [Part(bowl.moved(x, -0.28, h), _enamel(rng)), Part(tap, _chrome())]


@wall_piece(1, "bathroom")
def washbasin(rng: np.random.Generator, style: Style) -> Built:
    """A washbasin on a cabinet or a column, a mirror or a cabinet with lamps above, and bottles."""
    w, h, d = rng.uniform(0.6, 1.5), rng.uniform(0.8, 0.88), 0.48
    parts: list[Part] = []
    if rng.uniform() < 0.75:
        xs = np.linspace(0.02, w - 0.02, max(2, round(w / 0.4)) + 1)
        low = rng.choice([0.06, 0.25])
        slabs = [[a + 0.01, b - 0.01, -d - 0.015, -d, low + 0.05, h - 0.08] for a, b in itertools.pairwise(xs)]
        body = (style.timber, style.second, style.trim)[rng.integers(3)]
        parts += [
            Part(boxes([[0, w, -d, 0, low, h - 0.04], *slabs]), body),
            Part(
                boxes([[-0.02, w + 0.02, -d - 0.03, 0, h - 0.04, h]]),
                surface(textured(patterns.veined(rng, [0.9, 0.89, 0.86], [0.6, 0.55, 0.5], 64), (0.8, 0.8)), 0.2),
            ),
            *on_top(rng, "bathroom", w, d * 0.5, h, 5),
        ]
    else:
        parts.append(
            Part(
                lathe([(0, 0), (0.13, 0), (0.08, 0.2), (0.1, h - 0.1), (0, h - 0.1)], 12).moved(w / 2, -0.25),
                _enamel(rng),
            )
        )
    centres = [w / 2] if w < 1.2 else [w * 0.27, w * 0.73]
    for x in centres:
        parts += _basin(rng, x, h)
    z, tall = rng.uniform(1.1, 1.25), rng.uniform(0.6, 0.9)
    edge, deep = rng.uniform(0.0, 0.06), rng.choice([PANE, 0.13])
    image = surface(textured(patterns.glimpse(rng, 48), (w, tall)), 0.1)
    parts += [
        Part(
            box((-edge, w + edge), (-deep, 0), (z - edge, z + tall + edge)),
            style.dark if edge > 0.02 else style.trim,
        ),
        Part(wall((0.01, -deep - 0.004, z), (w - 0.02, 0, 0), (0, 0, tall)), image),
    ]
    for x in np.linspace(0.12, w - 0.12, int(rng.integers(2, 5))):
        parts += moved(lampshade(rng, 0.06, 0.1, 0.7), x, -0.14, z + tall + 0.15)
    return parts, w + 0.05


@wall_piece(1.5, "bathroom")
def towel_rail(rng: np.random.Generator, style: Style) -> Built:
    """A heated rail of many bars, or a single one, with towels."""
    w = rng.uniform(0.45, 0.7)
    if rng.uniform() < 0.5:
        zs = np.arange(0.5, 1.6, 0.08)
        lines = [((0.02, -0.08, z), (w - 0.02, -0.08, z)) for z in zs] + [
            ((x, -0.08, 0.45), (x, -0.08, 1.65)) for x in (0.02, w - 0.02)
        ]
        parts = [
            Part(
                bars([a for a, _ in lines], [b for _, b in lines], 0.025),
                _chrome() if rng.uniform() < 0.5 else style.trim,
            )
        ]
        return [*parts, _towel(rng, 0.08, -0.09, rng.uniform(1.1, 1.55)), _towel(rng, 0.12, -0.09, 0.95)], w
    parts = [Part(bars([(0, -0.08, 1.25)], [(w, -0.08, 1.25)], 0.025), _chrome()), _towel(rng, 0.05, -0.08, 1.25)]
    if rng.uniform() < 0.4:
        parts.append(Part(ring(0.09, 0.015, 16, (w / 2, -0.05, 1.5), "x"), _chrome()))
    return parts, w


@wall_piece(0.8, "bathroom")
def washing_machine(rng: np.random.Generator, style: Style) -> Built:
    """A washing machine with bottles and linen on it."""
    h = 0.85
    drum = disc(0.19, 0.03, 22).turned(90, "x").moved(0.3, -0.6, 0.42)
    parts = [
        Part(boxes([[0, 0.6, -0.6, 0, 0.02, h]]), _enamel(rng)),
        Part(drum, surface(np.full(3, 0.08), 0.15)),
        Part(ring(0.2, 0.04, 22, (0.3, -0.61, 0.42), "x"), _chrome()),
        Part(boxes([[0.04, 0.56, -0.605, -0.6, h - 0.12, h - 0.03]]), plain(np.full(3, rng.choice([0.2, 0.7])))),
    ]
    return parts + on_top(rng, "bathroom", 0.6, 0.5, h, 4), 0.6


@wall_piece(0.8, "bathroom")
def laundry_bin(rng: np.random.Generator, style: Style) -> tuple[list[Part], float]:
    """A tall wicker bin with a towel over its rim."""
    h = rng.uniform(0.75, 0.95)
    return [Part(box((0, 0.4), (-0.34, 0), (0, h)), style.timber), _towel(rng, 0.05, -0.34, h)], 0.5


@room_kind("bathroom", 11)
def bathroom(rng: np.random.Generator, style: Style) -> Room:
    """Small, tiled, with a tub or a shower."""
    size = (rng.uniform(2.4, 3.4), rng.uniform(2.6, 3.6), rng.uniform(2.35, 2.7))
    # Bathrooms are bright, whatever the rest of the house is like.
    style = replace(style, wall_colour=np.clip(0.45 * style.wall_colour + 0.5, 0, 1))
    back: tuple[WallPiece, ...]
    tub = bath_tub if rng.uniform() < 0.65 else shower
    back, side = ((washbasin,), (tub,)) if rng.uniform() < 0.55 else ((tub,), (washbasin,))
    if rng.uniform() < 0.5:
        back = (*back, window)
    finishes = {"tile": 5, "paint": 2.5, "floral": 0.6, "boards": 0.5}
    floors = {"tiles": 5, "slabs": 3, "planks": 1}
    return indoors(rng, style, "bathroom", size, back, side, (), (0, 2), 0.6, finishes, floors, 0.35, tiles=True)
