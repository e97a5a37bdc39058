"""A metric on the plane through three models of the loss landscape."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from chairlib.show.canvas import WIDTH, Figure, join_words, new_figure, outline_text, show, theme


@theme()
def plane_map(
    x: ArrayLike,
    y: ArrayLike,
    values: ArrayLike,
    points: Mapping[str, Sequence[float]],
    data_label: str = "test IoU (%)",
    title: str = "",
    caption: str = "",
    scale: tuple[float, float] | None = None,
    low_is_good: bool = False,
) -> Figure:
    """A metric on the plane through three models (Garipov et al. 2018), with the models and the segments between them.

    ``x`` [m], ``y`` [n]: ascending l2 coordinates; ``values`` [n, m]: the metric there, NaN where it wasn't computed
    (hatched); ``points``: name -> (x, y) of each model, three as a rule. A distance on the picture is one in
    parameter space. A model is rarely the middle of a cell, so the colour under its mark is that of the nearest cell.
    ``scale``: the metric at both ends of the colours, so that several planes compare (default: that of this plane's
    values). Bright is good: ``low_is_good`` for a loss.
    """
    across, up, heights = (np.asarray(array, dtype=float) for array in (x, y, values))
    places = {name: (float(place[0]), float(place[1])) for name, place in points.items()}
    masked = np.ma.masked_invalid(heights)
    wide, high = float(np.ptp(across)), float(np.ptp(up))
    fig = new_figure(max(3.0, min(7.0, 0.9 + (WIDTH - 1.9) * high / wide)))
    ax = fig.subplots()
    ax.set_facecolor("#f2f2f2")
    limits = _edges(across), _edges(up)
    if masked.mask.any():
        hatched: dict[str, Any] = {"facecolor": "#f2f2f2", "edgecolor": "#a0a0a0", "hatch": "////", "linewidth": 0}
        ax.fill_between(limits[0], *limits[1], zorder=0, **hatched)
    # Not seaborn's heat map: that numbers its cells, and here the axes are distances.
    worst, best = scale or (None, None)
    look: dict[str, Any] = {"cmap": f"viridis{'_r' * low_is_good}", "vmin": worst, "vmax": best, "rasterized": True}
    mesh = ax.pcolormesh(across, up, masked, shading="nearest", zorder=1, **look)
    if masked.count() > 3 and float(np.ptp(masked.compressed())) > 0:
        lines = ax.contour(across, up, masked, levels=6, colors="white", linewidths=0.9, alpha=0.85, zorder=2)
        for text in ax.clabel(lines, fontsize=10, fmt="%g"):
            outline_text(text, "#000000", 1.5)
            # Not on a model, whose name stands there.
            if min(math.dist(text.get_position(), place) for place in places.values()) < 0.09 * max(wide, high):
                text.remove()
    corners = [*places.values(), next(iter(places.values()))]
    ax.plot(*zip(*corners, strict=True), color="black", linewidth=3, zorder=3)
    ax.plot(*zip(*corners, strict=True), color="white", linewidth=1.3, linestyle="--", zorder=3)
    _mark_models(ax, places)
    ax.set(xlabel="first axis (ℓ₂ distance)", ylabel="second axis (ℓ₂ distance)", aspect="equal")
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.grid(visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    label = textwrap.fill(data_label, 34, break_on_hyphens=False)
    fig.colorbar(mesh, ax=ax, label=label, shrink=0.9, pad=0.02).ax.yaxis.set_inverted(low_is_good)
    alt = _describe_plane(across, up, masked, places, data_label)
    ends = list(places)[-2:]  # the pair; the first is P
    on_line = np.linspace(places[ends[0]], places[ends[-1]], 101)
    nearest = (np.abs(axis[:, None] - at).argmin(axis=0) for axis, at in ((up, on_line[:, 1]), (across, on_line[:, 0])))
    cells = masked[tuple(nearest)]
    found = f"{cells.min():.4g} to {cells.max():.4g}" if cells.count() else "nothing was computed"
    name = data_label[0].upper() + data_label[1:]
    takeaway = f"{name} in the cells on the line from {' to '.join(ends)}: {found}. Bright is good"
    # A plane is coloured all over: in all colours, four of them took 0.9 MB of a page.
    return show(fig, alt, title, caption, colours=256, takeaway=takeaway)


def _edges(axis: NDArray[Any]) -> tuple[float, float]:
    return axis[0] - (axis[1] - axis[0]) / 2, axis[-1] + (axis[-1] - axis[-2]) / 2


def _mark_models(ax: Axes, places: Mapping[str, tuple[float, float]]) -> None:
    """Mark each model, and name it on the side away from the others."""
    centre = np.mean(list(places.values()), axis=0)
    for name, (x, y) in places.items():
        ax.plot(x, y, "o", color="white", markersize=9, markeredgecolor="black", markeredgewidth=1.6, zorder=4)
        away = np.array((x, y)) - centre
        offset = 13 * away / (float(np.hypot(*away)) or 1.0)
        look: dict[str, Any] = {"ha": "center", "va": "center", "weight": "bold", "zorder": 5}
        outline_text(ax.annotate(name, (x, y), offset, textcoords="offset points", **look), "white", 3.5)


def _describe_plane(
    x: NDArray[Any], y: NDArray[Any], values: Any, places: Mapping[str, tuple[float, float]], data_label: str
) -> str:
    models = []
    for name, (px, py) in places.items():
        value = values[int(np.abs(y - py).argmin()), int(np.abs(x - px).argmin())]
        there = "not computed" if np.ma.is_masked(value) else f"{value:.4g}"
        models.append(f"{name} at ({px:,.4g}, {py:,.4g}): {there}")
    gaps = f"; {values.mask.sum():,} of {values.size:,} cells are not computed" if values.mask.any() else ""
    plane = f"the plane through {join_words(list(places))}, {values.min():.4g} to {values.max():.4g}"
    return (
        f"{data_label} on {plane}. The cell nearest to each model, whose middle is beside it and whose value is "
        f"not the model's own: {'; '.join(models)}{gaps}"
    )
