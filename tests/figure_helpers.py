"""What the tests of figures share: made-up images and masks, and reading a figure's picture and its words."""

import base64
import html
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
from PIL import Image, ImageColor

from chairlib.show.canvas import GROUND, Figure
from chairlib.show.widgets import Widget

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
    """Whether at least so many pixels have this colour, given as "#rrggbb", or one that blending rounds to."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return bool((np.abs(pixels(figure).astype(int) - wanted) <= 1).all(axis=-1).sum() >= least)


def mixed(colour: str, ground: str, opacity: float) -> str:
    """A colour of this opacity laid over a ground, all as "#rrggbb"."""
    over, under = (np.array(ImageColor.getrgb(one)) for one in (colour, ground))
    return "#{:02x}{:02x}{:02x}".format(*np.rint(opacity * over + (1 - opacity) * under).astype(int))


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
        assert (edge == ImageColor.getrgb(GROUND)).all()
    assert "nan" not in figure.caption
    assert not figure.caption or figure.caption.endswith(".")
    assert not figure.title or figure.title.rstrip(".") not in figure.caption
    assert len(figure.webp) < 1_000_000


def size_of(widget: Widget) -> int:
    """The number of bytes that a widget, with its scripts and all it holds, adds to a page."""
    return len(widget.data.encode())


def data_of(widget: Widget) -> dict[str, Any]:
    """What a page hands to the widget's script."""
    (packed,) = re.findall(r'<script type="application/json" class="chair-data">(.*?)</script>', widget.data, re.DOTALL)
    return json.loads(packed)


def decoded(source: str) -> np.ndarray:
    """A picture's pixels, from its data URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))))


def pictures(widget: Widget) -> dict[str, np.ndarray]:
    """The pictures of a widget's first state, as RGBA, by alternative text."""
    found = re.findall(r'<img [^>]*alt="([^"]*)"[^>]*src="data:image/\w+;base64,([^"]*)"', widget.body)
    files = {html.unescape(alt): io.BytesIO(base64.b64decode(data)) for alt, data in found}
    return {alt: np.asarray(Image.open(file).convert("RGBA")) for alt, file in files.items()}


def wait_for_words(page: Any, *expected: str) -> None:
    """Wait until the pictures of a page's widgets say this, in order."""
    told = "JSON.stringify([...document.querySelectorAll('canvas.chair-frame')].map(c => c.ariaLabel))"
    page.wait_for_function(f"expected => {told} === JSON.stringify(expected)", arg=list(expected), timeout=5000)


def shown_pixels(page: Any, words: str) -> np.ndarray:
    """The pixels of the canvas that says these words, as RGBA."""
    read = """words => { const canvas = [...document.querySelectorAll("canvas")].find(c => c.ariaLabel === words);
        const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return [[...data], height, width]; }"""
    data, height, width = page.evaluate(read, words)
    return np.array(data, np.uint8).reshape(height, width, 4)
