"""Figures of the gallery: pictures by name in a grid, and chairs to walk round."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from chairlib.show.canvas import Figure, join_words, show, theme
from chairlib.show.mosaic import Row, as_rgb, mosaic, thumbnails
from chairlib.show.widgets import CHECKERBOARD, Widget, encode, image_tag
from chairmaker.gallery import Turntable


@theme()
def named_grid(images: Mapping[str, ArrayLike], columns: int = 8, title: str = "", noun: str = "pictures") -> Figure:
    """A grid of images by name: [N, d, d, 3 or 4], or one [d, d, 3 or 4]. The name stands below the first of each."""
    named = {name.replace("_", " "): as_rgb(pictures) for name, pictures in images.items()}
    notes = [note for name, pictures in named.items() for note in (name, *[""] * (len(pictures) - 1))]
    columns = min(columns, len(notes))
    pictures = thumbnails(np.concatenate(list(named.values())), columns)
    rows = [
        Row(list(pictures[start : start + columns]), notes=notes[start : start + columns])
        for start in range(0, len(pictures), columns)
    ]
    fig, _ = mosaic(rows, columns)
    several = f"{len(pictures)} {noun} of {len(named)} kinds" if 1 < len(named) < len(pictures) else ""
    return show(fig, f"{len(pictures)} {noun}: {join_words(list(named))}", title, dpi=fig.dpi, takeaway=several)


def chair_turner(chairs: Mapping[str, Turntable]) -> Widget:
    """Choose a chair, change one of its dimensions, and walk round it.

    ``chairs``: turntables by name, with the same numbers of values and of angles for all, as
    :func:`chairmaker.gallery.turntables` gives them. Pictures are never shown larger than they are. They are kept in
    WebP files that are not lossless, one a chair.
    """
    tables = list(chairs.values())
    n_values, angles = len(tables[0].values), tables[0].angles
    height, width = tables[0].pictures.shape[2:4]
    titles = [name.replace("_", " ") for name in chairs]
    value, angle = n_values // 2, min(1, len(angles) - 1)
    notes = [[f"{table.dimension.replace('_', ' ')} {size:.2f}" for size in table.values] for table in tables]
    words = [
        [[f"A rendered chair, {title}, {note}, seen from {seen:.0f} degrees" for seen in angles] for note in own]
        for title, own in zip(titles, notes, strict=True)
    ]
    data = {
        "width": width,
        "height": height,
        "sheets": [encode(np.vstack([np.hstack(list(row)) for row in table.pictures]), 55) for table in tables],
        "words": words,
        "notes": [[[note] * len(angles) for note in own] for own in notes],
        "sliders": [
            {"label": "chair", "texts": titles, "start": 0, "list": True},
            {"label": "dimension", "texts": [f"{v + 1} of {n_values}" for v in range(n_values)], "start": value},
            {"label": "walk round", "texts": [f"{seen:.0f}°" for seen in angles], "start": angle},
        ],
    }
    look = f"{CHECKERBOARD}width:{width}px;image-rendering:auto;"
    first = image_tag(tables[0].pictures[value, angle], words[0][value][angle], look)
    note = f'<div class="chair-note" aria-live="polite">{notes[0][value]}</div>'
    body = f'<div class="chair-beside"><div>{first}{note}</div><div class="chair-controls"></div></div>'
    return Widget("frames", body, data, Path(__file__).parent / "assets")
