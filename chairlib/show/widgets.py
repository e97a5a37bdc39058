"""Widgets that work without a kernel: everything is computed beforehand and linked in the browser.

A slider shows one of several pictures held in a ``Stack``; ``jslink`` and ``jsdlink`` join the two inside the page,
so a reader of the static site, with no kernel and no network, can move them by mouse, by keyboard and with the Play
button. Nothing is observed from Python. Every picture is an HTML ``<img>`` with alternative text of its own.
"""

import base64
import html
import io
from collections.abc import Callable, Iterable, Sequence

import ipywidgets
import numpy as np
from ipywidgets.widgets.widget_string import HTMLStyle
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from chairlib.collection.opacity import MASK_THRESHOLD

#: CSS of what shows through a transparent picture.
CHECKERBOARD = "background:#fff repeating-conic-gradient(#ccc 0% 25%,#fff 0% 50%) 0 0/16px 16px;"


def encode(picture: ArrayLike) -> str:
    """A picture (uint8 [h, w], [h, w, 3] or [h, w, 4]) as a data URI: the smaller of a PNG and a lossless WebP file."""
    array = np.asarray(picture)
    image, png, webp = Image.fromarray(array), io.BytesIO(), io.BytesIO()
    image.save(png, "PNG", optimize=True)
    # exact: the colour of transparent pixels stays what it is.
    image.save(webp, "WEBP", lossless=True, exact=True)
    kind, data = min((("png", png.getvalue()), ("webp", webp.getvalue())), key=lambda file: len(file[1]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def image_tag(picture: NDArray[np.uint8], alt: str, css: str = "") -> str:
    """The ``<img>`` of a picture (as :func:`encode` takes it), as wide as there is room."""
    height, width = picture.shape[:2]
    # The ratio reserves the height of a picture that a browser is still decoding.
    style = f"display:block;width:100%;aspect-ratio:{width}/{height};margin:0;border-radius:6px;background:#fff;{css}"
    attributes = f'alt="{html.escape(alt)}" style="{style}" src="{encode(picture)}"'
    return f'<img class="chair-frame" decoding="sync" {attributes}>'


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
    n_segments, n_backgrounds, side = len(segments), len(backgrounds), segments.shape[1]
    pairs = blend(np.repeat(segments, n_backgrounds, axis=0), np.tile(backgrounds, (n_segments, 1, 1, 1)))
    composites = np.asarray(pairs).reshape(n_segments, n_backgrounds, side, side, 3)
    parts = WidgetParts(width=220, description_width="85px")
    segment = parts.slider([f"{s} of {n_segments}" for s in range(1, n_segments + 1)], "segment")
    background = parts.slider([f"{b} of {n_backgrounds}" for b in range(1, n_backgrounds + 1)], "background")
    released = next((number for number, t in enumerate(thresholds) if np.isclose(t, MASK_THRESHOLD)), None)
    levels = [f"{t:g}" + (" (released)" if number == released else "") for number, t in enumerate(thresholds)]
    threshold = parts.slider(levels, "opacity >", released or 0)

    def opacity(s: int) -> ipywidgets.HTML:
        partial = f"{((alphas[s] > 0) & (alphas[s] < 255)).mean() * 100:.1f} %"
        alt = f"Opacity of segment {s + 1}: {partial} of the pixels are partly transparent"
        return parts.picture(alphas[s], alt, f"{partial} partial")

    def mask(s: int, t: float) -> ipywidgets.HTML:
        chair = alphas[s] > t * 255
        share = f"{chair.mean() * 100:.2f} %"
        alt = f"Mask of segment {s + 1}, opacity above {t:g}: {share} of the pixels are chair"
        return parts.picture(np.where(chair, 255, 0).astype(np.uint8), alt, f"{share} chair")

    def composites_of(s: int) -> ipywidgets.Stack:
        alts = [f"Segment {s + 1} composited on background {b}" for b in range(1, n_backgrounds + 1)]
        return parts.stack(map(parts.picture, composites[s], alts), background)

    alphas, numbers = segments[..., 3], range(n_segments)
    rooms = [f"Background {b} of {n_backgrounds}" for b in range(1, n_backgrounds + 1)]
    cut_outs = [
        parts.picture(segments[s], f"Segment {s + 1} of {n_segments} on a checkerboard", css=CHECKERBOARD)
        for s in numbers
    ]
    masks = [parts.stack([mask(s, t) for t in thresholds], threshold) for s in numbers]
    panels = {
        "background": parts.stack(map(parts.picture, backgrounds, rooms), background),
        "segment": parts.stack(cut_outs, segment),
        "opacity": parts.stack(map(opacity, numbers), segment),
        "composite": parts.stack(map(composites_of, numbers), segment),
        "mask": parts.stack(masks, segment),
    }
    boxes = [ipywidgets.VBox([parts.text(f"<strong>{name}</strong>"), stack]) for name, stack in panels.items()]
    # As many panels in a row as fit: five on a page, two on a phone.
    columns = "repeat(auto-fill, minmax(128px, 1fr))"
    grid = ipywidgets.Layout(grid_template_columns=columns, grid_gap="8px", max_width="1100px", overflow="hidden")
    return ipywidgets.VBox([segment, background, threshold, ipywidgets.GridBox(boxes, layout=grid)])


class WidgetParts:
    """Makes pictures, stacks and sliders that share one layout and one style, which keeps pages small."""

    def __init__(self, width: int, description_width: str = "initial", pixelated: bool = True) -> None:
        self._rendering = "image-rendering:pixelated;" if pixelated else ""
        self._layout = ipywidgets.Layout(margin="0", width="100%", max_width=f"{width}px", overflow="hidden")
        self._style = HTMLStyle()
        self._slider_layout = ipywidgets.Layout(width="420px", max_width="100%", flex="0 1 auto")
        self._slider_style = {"description_width": description_width}

    def text(self, content: str) -> ipywidgets.HTML:
        return ipywidgets.HTML(content, layout=self._layout, style=self._style)

    def picture(self, picture: NDArray[np.uint8], alt: str, below: str = "", css: str = "") -> ipywidgets.HTML:
        """A picture with its alternative text and, where given, a note below it."""
        note = f'<div style="line-height:1.6">{html.escape(below)}</div>' if below else ""
        return self.text(image_tag(picture, alt, css + self._rendering) + note)

    def slider(self, labels: Sequence[str], description: str, start: int = 0) -> ipywidgets.SelectionSlider:
        options = [(label, number) for number, label in enumerate(labels)]
        return ipywidgets.SelectionSlider(
            options=options, index=start, description=description, layout=self._slider_layout, style=self._slider_style
        )

    def stack(
        self, children: Iterable[ipywidgets.Widget], slider: ipywidgets.SelectionSlider | ipywidgets.Dropdown
    ) -> ipywidgets.Stack:
        """Show the child whose number the slider (or list) gives."""
        stack = ipywidgets.Stack(list(children), selected_index=slider.index, layout=self._layout)
        ipywidgets.jsdlink((slider, "index"), (stack, "selected_index"))
        return stack
