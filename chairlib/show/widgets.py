"""Widgets that work without a kernel: everything is computed beforehand and linked in the browser.

A slider shows one of several pictures held in a ``Stack``; ``jslink`` and ``jsdlink`` join the two inside the page,
so a reader of the static site, with no kernel and no network, can move them by mouse, by keyboard and with the Play
button. Nothing is observed from Python. Every picture is an HTML ``<img>`` with alternative text of its own.
"""

import base64
import html
import io
from collections.abc import Callable, Iterable, Sequence
from itertools import count

import ipywidgets
import numpy as np
from ipywidgets.widgets.widget_string import HTMLStyle
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from chairlib.collection.opacity import MASK_THRESHOLD
from chairlib.core.errors import ParameterError

__all__ = ["CHECKERBOARD", "WidgetParts", "compositing_explorer", "encode"]

#: CSS of what shows through a transparent picture.
CHECKERBOARD = "background:#fff repeating-conic-gradient(#ccc 0% 25%,#fff 0% 50%) 0 0/16px 16px;"


def encode(picture: ArrayLike) -> str:
    """A picture (uint8 [h, w], [h, w, 3] or [h, w, 4]) as a data URI: the smaller of a PNG and a lossless WebP file."""
    array = np.asarray(picture)
    if (
        array.dtype != np.uint8
        or not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (3, 4)))
        or not array.size
    ):
        raise ParameterError(
            f"a picture must be uint8 [h, w], [h, w, 3] or [h, w, 4]; found {array.dtype}, shape {list(array.shape)}."
        )
    image, png, webp = Image.fromarray(array), io.BytesIO(), io.BytesIO()
    image.save(png, "PNG", optimize=True)
    # exact: the colour of transparent pixels stays what it is.
    image.save(webp, "WEBP", lossless=True, exact=True)
    kind, data = min((("png", png.getvalue()), ("webp", webp.getvalue())), key=lambda file: len(file[1]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def compositing_explorer(
    segments: NDArray[np.uint8],
    backgrounds: NDArray[np.uint8],
    blend: Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]],
    thresholds: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
) -> ipywidgets.Widget:
    """Choose a segment, a background and a mask threshold; see background, segment, opacity, composite and mask.

    ``segments`` uint8 [S, d, d, 4], straight colour, already on their canvas; ``backgrounds`` uint8 [B, d, d, 3];
    ``blend(segments [N, d, d, 4], backgrounds [N, d, d, 3]) -> uint8 [N, d, d, 3]`` makes the composites;
    ``thresholds`` in [0, 1): a pixel is chair when opacity / 255 exceeds it. Holds S x B composites and S x
    len(thresholds) masks.
    """
    segments, backgrounds = np.asarray(segments), np.asarray(backgrounds)
    _check_explorer(segments, backgrounds, thresholds)
    n_segments, n_backgrounds, side = len(segments), len(backgrounds), segments.shape[1]
    pairs = blend(np.repeat(segments, n_backgrounds, axis=0), np.tile(backgrounds, (n_segments, 1, 1, 1)))
    composites = np.asarray(pairs).reshape(n_segments, n_backgrounds, side, side, 3)
    parts = WidgetParts(width=220, pixelated=True, description_width="85px")
    segment = parts.slider([f"{s} of {n_segments}" for s in range(1, n_segments + 1)], "segment")
    background = parts.slider([f"{b} of {n_backgrounds}" for b in range(1, n_backgrounds + 1)], "background")
    released = next((number for number, t in enumerate(thresholds) if np.isclose(t, MASK_THRESHOLD)), None)
    levels = [f"{t:g}" + (" (released)" if number == released else "") for number, t in enumerate(thresholds)]
    threshold = parts.slider(levels, "opacity >", released or 0)

    def backdrop(b: int) -> ipywidgets.HTML:
        return parts.picture(backgrounds[b], f"Background {b + 1} of {n_backgrounds}")

    def cut_out(s: int) -> ipywidgets.HTML:
        return parts.picture(segments[s], f"Segment {s + 1} of {n_segments} on a checkerboard", css=CHECKERBOARD)

    def opacity(s: int) -> ipywidgets.HTML:
        alpha = segments[s, ..., 3]
        partial = f"{((alpha > 0) & (alpha < 255)).mean() * 100:.1f} %"
        alt = f"Opacity of segment {s + 1}: {partial} of the pixels are partly transparent"
        return parts.picture(alpha, alt, f"{partial} partial")

    def composite(s: int, b: int) -> ipywidgets.HTML:
        return parts.picture(composites[s, b], f"Segment {s + 1} composited on background {b + 1}")

    def mask(s: int, t: float) -> ipywidgets.HTML:
        chair = segments[s, ..., 3] > t * 255
        share = f"{chair.mean() * 100:.2f} %"
        alt = f"Mask of segment {s + 1}, opacity above {t:g}: {share} of the pixels are chair"
        return parts.picture(np.where(chair, 255, 0).astype(np.uint8), alt, f"{share} chair")

    panels = {
        "background": parts.stack([backdrop(b) for b in range(n_backgrounds)], background),
        "segment": parts.stack([cut_out(s) for s in range(n_segments)], segment),
        "opacity": parts.stack([opacity(s) for s in range(n_segments)], segment),
        "composite": parts.stack(
            [parts.stack([composite(s, b) for b in range(n_backgrounds)], background) for s in range(n_segments)],
            segment,
        ),
        "mask": parts.stack(
            [parts.stack([mask(s, t) for t in thresholds], threshold) for s in range(n_segments)], segment
        ),
    }
    boxes = [ipywidgets.VBox([parts.text(f"<strong>{name}</strong>"), stack]) for name, stack in panels.items()]
    # As many panels in a row as fit: five on a page, two on a phone.
    columns = "repeat(auto-fill, minmax(128px, 1fr))"
    grid = ipywidgets.Layout(grid_template_columns=columns, grid_gap="8px", max_width="1100px", overflow="hidden")
    return ipywidgets.VBox([segment, background, threshold, ipywidgets.GridBox(boxes, layout=grid)])


class WidgetParts:
    """Makes pictures, stacks and sliders that share one layout and one style, which keeps pages small."""

    def __init__(self, width: int, pixelated: bool, description_width: str = "initial") -> None:
        self.width, self.pixelated = width, pixelated
        self._layout = ipywidgets.Layout(margin="0", width="100%", max_width=f"{width}px", overflow="hidden")
        self._style = HTMLStyle()
        self._slider_layout = ipywidgets.Layout(width="420px", max_width="100%", flex="0 1 auto")
        self._slider_style = {"description_width": description_width}

    def text(self, content: str) -> ipywidgets.HTML:
        return ipywidgets.HTML(content, layout=self._layout, style=self._style)

    def picture(self, picture: NDArray[np.uint8], alt: str, below: str = "", css: str = "") -> ipywidgets.HTML:
        """A picture (as :func:`encode` takes it) with its alternative text and, where given, a note below it."""
        note = f'<div style="line-height:1.6">{html.escape(below)}</div>' if below else ""
        return self.text(self.image(picture, alt, css) + note)

    def image(self, picture: NDArray[np.uint8], alt: str, css: str = "") -> str:
        """The ``<img>`` of a picture."""
        height, width = picture.shape[:2]
        # The ratio reserves the height of a picture that a browser is still decoding.
        style = (
            f"display:block;width:100%;aspect-ratio:{width}/{height};margin:0;border-radius:6px;background:#fff;{css}"
        )
        style += "image-rendering:pixelated;" if self.pixelated else ""
        attributes = f'alt="{html.escape(alt)}" style="{style}" src="{encode(picture)}"'
        return f'<img class="chair-frame" decoding="sync" {attributes}>'

    def slider(self, labels: Sequence[str], description: str, start: int = 0) -> ipywidgets.SelectionSlider:
        options = list(zip(labels, count()))
        return ipywidgets.SelectionSlider(
            options=options, index=start, description=description, layout=self._slider_layout, style=self._slider_style
        )

    def player(self, slider: ipywidgets.SelectionSlider, description: str, interval: int) -> ipywidgets.Play:
        """Buttons that run the slider through its labels, one every ``interval`` milliseconds."""
        player = ipywidgets.Play(
            min=0,
            max=len(slider.options) - 1,
            value=slider.index,
            interval=interval,
            description=f"Play {description}",
        )
        player.layout.flex = "0 0 auto"
        ipywidgets.jslink((player, "value"), (slider, "index"))
        return player

    def controls(self, children: Sequence[ipywidgets.Widget]) -> ipywidgets.HBox:
        layout = ipywidgets.Layout(max_width=f"{self.width}px", align_items="center", flex_flow="row wrap")
        return ipywidgets.HBox(children, layout=layout)

    def stack(
        self, children: Iterable[ipywidgets.Widget], slider: ipywidgets.SelectionSlider | ipywidgets.Dropdown
    ) -> ipywidgets.Stack:
        """Show the child whose number the slider (or list) gives."""
        stack = ipywidgets.Stack(list(children), selected_index=slider.index, layout=self._layout)
        ipywidgets.jsdlink((slider, "index"), (stack, "selected_index"))
        return stack


def _check_explorer(segments: NDArray[np.uint8], backgrounds: NDArray[np.uint8], thresholds: Sequence[float]) -> None:
    for name, array, channels in (("segments", segments, 4), ("backgrounds", backgrounds, 3)):
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != channels or not array.size:
            shape = list(array.shape)
            raise ParameterError(
                f"{name} must be uint8 [N, d, d, {channels}], at least one; found {array.dtype}, shape {shape}."
            )
    if segments.shape[1:3] != backgrounds.shape[1:3]:
        sizes = f"{list(segments.shape[1:3])} and {list(backgrounds.shape[1:3])}"
        raise ParameterError(f"segments and backgrounds must have one size; found {sizes}.")
    if not thresholds or not all(0 <= threshold < 1 for threshold in thresholds):
        raise ParameterError(f"thresholds must be numbers in [0, 1), at least one; found {list(thresholds)}.")
