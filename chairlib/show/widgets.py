"""Widgets that work without a kernel: HTML, pictures and numbers in it, and a small script of ours that makes it live.

A widget works in a page from disk with no network, and in notebooks whose outputs are trusted. Where no script runs
(a printed page, GitHub, a notebook that is not trusted) its first state stands as pictures and words, without controls.
The scripts are ``assets/widgets.js``, which all share, and one a kind of widget.
"""

import base64
import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from chairlib.collection.opacity import MASK_THRESHOLD
from chairlib.core import paths
from chairlib.core.errors import ParameterError

#: CSS of what shows through a transparent picture.
CHECKERBOARD = "background:#fff repeating-conic-gradient(#ccc 0% 25%,#fff 0% 50%) 0 0/16px 16px;"
#: Alternative texts of the compositing explorer's pictures, and what stands below two of them.
_WORDS = {
    "background": "Background {background} of {backgrounds}",
    "segment": "Segment {segment} of {segments} on a checkerboard",
    "opacity": "Opacity of segment {segment}: {share} of the pixels are partly transparent",
    "composite": "Segment {segment} composited on background {background}",
    "mask": "Mask of segment {segment}, opacity above {threshold}: {share} of the pixels are chair",
}
_NOTES = {"opacity": "{share} partial", "mask": "{share} chair"}
#: A WebP file is at most so many pixels wide and high.
_WEBP_SIDE = 16383


class Widget(HTML):
    """HTML that a small script of ours makes live, in a notebook, in a page from disk, with no kernel and no network.

    ``kind`` names the script ``<kind>.js`` in the folder ``scripts`` (by default the library's own), which registers
    itself with ``chairWidgets.define(kind, start)``.
    ``body`` is HTML of the first state, pictures with alternative text and words: it stands as it is wherever no
    script runs, so it holds no controls. The script makes those, inside its ``<div class="chair-controls"></div>``.
    ``data`` is what the script gets, as JSON: numbers must be finite.
    """

    def __init__(self, kind: str, body: str, data: Mapping[str, Any], scripts: Path = paths.assets) -> None:
        self.kind, self.body, self.content = kind, body, dict(data)
        files = paths.assets / "widgets.css", paths.assets / "widgets.js", scripts / f"{kind}.js"
        style, core, own = map(_without_comments, files)
        # "<" could end the script early; in JSON its code says the same.
        packed = json.dumps(self.content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        packed = packed.replace("<", "\\u003c")
        super().__init__(
            f'<div class="chair-widget" data-kind="{html.escape(kind)}" data-lm-suppress-shortcuts="true">'
            f'<style>{style}</style>{body}<script type="application/json" class="chair-data">{packed}</script>'
            f'<script class="chair-script">{core}{own}</script></div>'
        )

    def __repr__(self) -> str:
        return f"Widget: {self.kind}"


def _without_comments(file: Path) -> str:
    """A script or style of ours without its comments, which would stand in every page once for each widget."""
    lines = map(str.strip, file.read_text(encoding="utf-8").splitlines())
    return "".join(f"{line}\n" for line in lines if not line.startswith(("//", "/*", "*")))


def encode(picture: ArrayLike, quality: int | None = None) -> str:
    """A picture (uint8 [h, w], [h, w, 3] or [h, w, 4]; bool [h, w] is black and white) as a data URI.

    The smaller of a PNG and a lossless WebP file; with ``quality`` (0 to 100), a lossy WebP file.
    """
    image, files = Image.fromarray(np.asarray(picture)), {"webp": io.BytesIO()}
    if quality is not None:
        image.save(files["webp"], "WEBP", quality=quality, alpha_quality=50, method=6)
    else:
        files["png"] = io.BytesIO()
        image.save(files["png"], "PNG", optimize=True)
        if max(image.size) <= _WEBP_SIDE:
            # exact: the colour of transparent pixels stays what it is.
            image.save(files["webp"], "WEBP", lossless=True, exact=True)
    found = {kind: file.getvalue() for kind, file in files.items() if file.getvalue()}
    kind = min(found, key=lambda kind: len(found[kind]))
    return f"data:image/{kind};base64,{base64.b64encode(found[kind]).decode()}"


def image_tag(picture: ArrayLike, alt: str, css: str = "") -> str:
    """The ``<img>`` of a picture (as :func:`encode` takes it), as wide as there is room, its pixels kept sharp."""
    array = np.asarray(picture)
    # The ratio reserves the height of a picture that a browser is still decoding. Themes put a ground below pictures.
    style = f"aspect-ratio:{array.shape[1]}/{array.shape[0]};background:none;{css}"
    return f'<img class="chair-frame chair-pixels" alt="{html.escape(alt)}" style="{style}" src="{encode(array)}">'


def compositing_explorer(
    segments: NDArray[np.uint8],
    backgrounds: NDArray[np.uint8],
    blend: Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]],
    thresholds: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
) -> Widget:
    """Choose a segment, a background and a mask threshold; see background, segment, opacity, composite and mask.

    ``segments`` uint8 [S, d, d, 4], straight colour, already on their canvas; ``backgrounds`` uint8 [B, d, d, 3];
    ``blend(segments [N, d, d, 4], backgrounds [N, d, d, 3]) -> uint8 [N, d, d, 3]`` makes the composites;
    ``thresholds`` in [0, 1): a pixel is chair when opacity / 255 exceeds it. Holds the S + B pictures; the page makes
    composites and masks from them.

    Raises :class:`~chairlib.core.errors.ParameterError` where ``blend`` gives other pixels than the page makes.
    """
    segments, backgrounds = np.asarray(segments), np.asarray(backgrounds)
    colours, alphas, n_rooms = segments[..., :3], segments[..., 3], len(backgrounds)
    fronts, rooms = np.repeat(segments, n_rooms, axis=0), np.tile(backgrounds, (len(segments), 1, 1, 1))
    blended, cover = np.asarray(blend(fronts, rooms)), fronts[..., 3:].astype(int)
    made = np.rint((cover * fronts[..., :3] + (255 - cover) * rooms) / 255)
    if worst := int(np.abs(blended - made).max()):
        rule = "opacity x segment + (1 - opacity) x background, rounded to whole levels"
        raise ParameterError(f"the page composites by {rule}; blend differs from it by up to {worst} of 255 levels.")
    released = next((number for number, t in enumerate(thresholds) if np.isclose(t, MASK_THRESHOLD)), -1)
    start = max(0, released)
    mask, partial = alphas[0] > thresholds[start] * 255, (alphas[0] > 0) & (alphas[0] < 255)
    first = {
        "background": (backgrounds[0], ""),
        "segment": (segments[0], ""),
        "opacity": (alphas[0], f"{partial.mean() * 100:.1f} %"),
        "composite": (blended[0], ""),
        "mask": (mask, f"{mask.mean() * 100:.2f} %"),
    }
    numbers = {"segment": 1, "background": 1, "segments": len(segments), "backgrounds": n_rooms}
    panels = "".join(
        f'<div data-panel="{name}"><strong>{name}</strong>'
        f"{image_tag(picture, _WORDS[name].format(**numbers, threshold=f'{thresholds[start]:g}', share=share), look)}"
        f'<div class="chair-note" aria-live="polite">{_NOTES.get(name, "").format(share=share)}</div></div>'
        for name, (picture, share) in first.items()
        for look in (CHECKERBOARD if name == "segment" else "",)
    )
    sheets = {"colours": colours, "opacities": alphas, "backgrounds": backgrounds}
    data: dict[str, Any] = {name: encode(np.hstack(list(pictures))) for name, pictures in sheets.items()}
    data |= {"side": segments.shape[1], "thresholds": list(thresholds), "released": released, "start": start}
    data |= {"words": _WORDS, "notes": _NOTES}
    return Widget("compositing", f'<div class="chair-controls"></div><div class="chair-panels">{panels}</div>', data)
