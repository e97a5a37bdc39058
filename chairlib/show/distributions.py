"""A histogram of how much of each composite is chair."""

import math
from collections.abc import Mapping

import numpy as np
import seaborn as sns
from numpy.typing import ArrayLike

from chairlib.core.errors import ParameterError
from chairlib.show.canvas import PALETTE, Figure, describe_array, legend_above, new_figure, show, theme

__all__ = ["foreground_histogram"]


@theme()
def foreground_histogram(
    shares: ArrayLike | Mapping[str, ArrayLike], paper: float | None = 21.99, title: str = "", caption: str = ""
) -> Figure:
    """How much of each composite is chair: one or several distributions, their means, and the paper's mean as a line.

    ``shares``: per cent of chair pixels of each composite, [N] in [0, 100], or several such by label. ``paper``: 21.99
    per cent, the complement of the all-background precision of section 5.2; None leaves the line out.
    """
    named = shares if isinstance(shares, Mapping) else {"these composites": shares}
    data = {name: np.asarray(values, dtype=float).ravel() for name, values in named.items()}
    for name, values in data.items():
        if not values.size or not (values.min() >= 0 and values.max() <= 100):
            problem = f"shares of {name!r} must be per cent in [0, 100], at least one"
            raise ParameterError(f"{problem}; {describe_array(values)}.")
    most = max(values.max() for values in data.values())
    step = 2.0 if most > 20 else 1.0
    bins = step * np.arange(math.ceil(most / step) + 1)
    fig = new_figure(3.7)
    ax = fig.subplots()
    described = []
    for number, (name, values) in enumerate(data.items()):
        colour, mean = PALETTE[number % len(PALETTE)], values.mean()
        alpha = 0.18 if len(data) > 1 else 0.35
        sns.histplot(x=values, bins=bins, stat="percent", element="step", alpha=alpha, color=colour, ax=ax)
        ax.axvline(mean, color=colour, label=f"{name}: mean {mean:.2f} %")
        spread = f"mean {mean:.2f} %, from {values.min():.1f} to {values.max():.1f} %"
        described.append(f"{name}: {values.size:,} composites, {spread}")
    if paper is not None:
        ax.axvline(paper, color="black", linestyle="--", label=f"the paper: mean {paper:.2f} %")
    ax.set(xlabel="chair pixels in a composite (%)", ylabel=f"composites (% per {step:g}-point bin)", xlim=(0, None))
    legend_above(ax)
    alt = f"Histogram of the share of chair pixels per composite. {'; '.join(described)}"
    alt += "" if paper is None else f". The paper's mean is {paper:.2f} %"
    return show(fig, alt, title, caption)
