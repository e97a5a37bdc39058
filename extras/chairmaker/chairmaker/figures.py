"""Figures of the gallery: pictures by name in a grid, and chairs to walk round."""

from collections.abc import Mapping

import ipywidgets
import numpy as np
from numpy.typing import ArrayLike

from chairlib.show.canvas import Figure, join_words, show, theme
from chairlib.show.mosaic import Row, as_rgb, mosaic, thumbnails
from chairlib.show.widgets import CHECKERBOARD, WidgetParts
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
    return show(fig, f"{len(pictures)} {noun}: {join_words(list(named))}", title, dpi=fig.dpi)


def chair_turner(chairs: Mapping[str, Turntable]) -> ipywidgets.Widget:
    """Choose a chair, walk round it, and change one of its dimensions.

    ``chairs``: turntables by name, with the same numbers of values and of angles for all, as
    :func:`chairmaker.gallery.turntables` gives them.
    """
    first = next(iter(chairs.values()))
    n_values, angles = len(first.values), first.angles
    parts = WidgetParts(width=320, pixelated=False, description_width="85px")
    chair = parts.slider([name.replace("_", " ") for name in chairs], "chair")
    angle = parts.slider([f"{degrees:.0f}°" for degrees in angles], "walk round", min(1, len(angles) - 1))
    value = parts.slider([f"{number + 1} of {n_values}" for number in range(n_values)], "dimension", n_values // 2)

    def view(name: str, v: int, a: int) -> ipywidgets.HTML:
        turned = chairs[name]
        dimension = f"{turned.dimension.replace('_', ' ')} {turned.values[v]:.2f}"
        alt = f"A rendered chair, {name.replace('_', ' ')}, {dimension}, seen from {turned.angles[a]:.0f} degrees"
        return parts.picture(turned.pictures[v, a], alt, dimension, CHECKERBOARD)

    def sides(name: str, v: int) -> ipywidgets.Stack:
        return parts.stack([view(name, v, a) for a in range(len(angles))], angle)

    views = [parts.stack([sides(name, v) for v in range(n_values)], value) for name in chairs]
    return ipywidgets.VBox([chair, angle, value, parts.stack(views, chair)])
