"""What the tests of figures share: made-up images and masks, and reading a figure's picture and its words."""

import base64
import html
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import ipywidgets
import numpy as np
from ipywidgets.embed import dependency_state
from PIL import Image

from chairlib.show.canvas import Figure

RNG = np.random.default_rng(0)


def images(n: int = 4, d: int = 32) -> np.ndarray:
    return RNG.integers(0, 256, (n, d, d, 3), dtype=np.uint8)


def masks(n: int = 4, d: int = 32) -> np.ndarray:
    """The left quarter of every mask is chair."""
    truth = np.zeros((n, d, d), bool)
    truth[:, :, : d // 4] = True
    return truth


def pixels(figure: Figure) -> np.ndarray:
    """The picture as uint8 [h, w, 3]."""
    return np.asarray(Image.open(io.BytesIO(figure.webp)).convert("RGB"))


def has_colour(figure: Figure, colour: str, least: int = 100) -> bool:
    """Whether at least so many pixels have this colour, given as "#rrggbb"."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return bool((pixels(figure) == wanted).all(axis=-1).sum() >= least)


class ImageTag(HTMLParser):
    """The attributes of the image in a figure's HTML, and all words around it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.attributes: dict[str, str | None] = {}
        self.words = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.attributes = dict(attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


def check_figure(figure: Figure) -> None:
    """A figure is an opaque WebP of a sensible size in an ``<img>`` with alternative text, and nothing is cut off."""
    read = ImageTag(figure._repr_html_()).attributes
    assert read["class"] == "chair-figure"
    assert read["alt"] == figure.alt
    assert figure.alt.endswith(".")
    assert not figure.alt.endswith("..")
    assert "nan" not in figure.alt
    source = read["src"] or ""
    assert base64.b64decode(source.removeprefix("data:image/webp;base64,"), validate=True) == figure.webp
    with Image.open(io.BytesIO(figure.webp)) as image:
        image.load()
        assert image.format == "WEBP"
        assert 100 <= int(read["width"] or 0) <= 640  # CSS pixels: fits the page
        assert int(read["width"] or 0) * 1.4 <= image.width <= 2400  # sharp on a dense screen, never huge
        assert 100 <= image.height <= 2400
        assert np.asarray(image.convert("RGBA"))[..., 3].min() == 255
    shown = pixels(figure)
    for edge in (shown[0], shown[-1], shown[:, 0], shown[:, -1]):
        assert (edge == 255).all()
    assert len(figure.webp) < 1_000_000


def embed_size(widget: ipywidgets.Widget) -> int:
    """The number of bytes that a widget, with all it holds and its links, adds to a page (its state as UTF-8 JSON)."""
    return len(json.dumps(dependency_state([widget], drop_defaults=False)).encode())


def models(widget: ipywidgets.Widget, name: str) -> list[dict[str, Any]]:
    states = dependency_state([widget], drop_defaults=False).values()
    return [model["state"] for model in states if model["model_name"] == name]


def pictures(widget: ipywidgets.Widget) -> dict[str, np.ndarray]:
    """Every picture the widget holds, as RGBA, by alternative text."""
    found = {}
    for state in models(widget, "HTMLModel"):
        if image := re.search(r'alt="(.*?)".*src="data:image/(?:png|webp);base64,(.*?)"', state["value"]):
            data = base64.b64decode(image.group(2))
            found[html.unescape(image.group(1))] = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    return found


def children(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from children(child)


def wait_for_alts(page: Any, *expected: str) -> None:
    shown = "JSON.stringify([...document.querySelectorAll('img.chair-frame')].map(i => i.alt))"
    page.wait_for_function(f"expected => {shown} === JSON.stringify(expected)", arg=list(expected), timeout=5000)


def colour_of(page: Any, selector: str, x: float = 0.5) -> tuple[int, ...]:
    """The colour on the screen at a share ``x`` of a picture's width, half-way down."""
    shot = Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    return shot.getpixel((int(x * shot.width), shot.height // 2))
