"""A claim of the paper at first sight: a number and how sure it is, a few pictures, a verdict, and the control."""

import html
from collections.abc import Mapping

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike, NDArray

from chairlib.show import mosaic
from chairlib.show.widgets import encode

_SMALL = "font-size:.8em;line-height:1.25;margin:.3em 0"


class Tile(HTML):
    """A claim as a narrow card, and in words: ``sentence``. ``alt`` says what its pictures show.

    ``number`` with its unit; ``about`` goes on from it; ``verdict`` in a few words, ``why`` with the control; ``more``,
    what the sentence alone says; ``pictures``: label -> image uint8 [d, d, 3]; ``caption``: which image they are of.
    """

    def __init__(
        self,
        number: str,
        about: str,
        verdict: str,
        why: str,
        more: str = "",
        pictures: Mapping[str, NDArray[np.uint8]] | None = None,
        caption: str = "",
    ) -> None:
        shown = pictures or {}
        self.alt, self.sentence = (
            "; ".join(shown),
            " ".join(filter(None, (f"{verdict}.", number, f"{about}.", why, more))),
        )
        cells = "".join(_cell(image, label) for label, image in shown.items())
        grid = f"display:grid;grid-template-columns:repeat({len(shown)},minmax(0,1fr));gap:6px;margin:.6em 0 .3em"
        row = f'<div style="{grid}">{cells}</div><p style="{_SMALL}">{html.escape(caption)}</p>' if shown else ""
        head = f'<strong style="font-size:1.7em;line-height:1.1">{html.escape(number)}</strong> {html.escape(about)}'
        told = f'<p style="margin:.6em 0 0"><strong>{html.escape(verdict)}.</strong> {html.escape(why)}</p>'
        super().__init__(
            f'<div class="chair-tile" style="line-height:1.4"><p style="margin:0">{head}</p>{row}{told}</div>'
        )


def _cell(image: NDArray[np.uint8], label: str) -> str:
    look = "display:block;width:100%;aspect-ratio:1;border-radius:4px;image-rendering:pixelated"
    words = (
        html.escape(label).replace(": ", "<br>").replace(" %", "&nbsp;%")
    )  # below as text too, which is not read out a second time
    return (
        f'<div style="text-align:center;{_SMALL}"><img alt="{html.escape(label)}" style="{look}" src="{encode(image)}">'
        f'<span aria-hidden="true" style="overflow-wrap:normal">{words}</span></div>'
    )


def masks(
    image: NDArray[np.uint8], target: NDArray[np.bool_], predicted: Mapping[str, NDArray[np.bool_]], noun: str = "image"
) -> dict[str, NDArray[np.uint8]]:
    """The pictures of a tile: an image, its true mask, and what each of some models predicts, with the mask's IoU."""
    ious = {name: mosaic.mask_iou(mask, target) for name, mask in predicted.items()}
    labels = {
        f"{name}: {'no IoU' if np.isnan(iou) else f'IoU {iou:.0f} %'}": predicted[name] for name, iou in ious.items()
    }
    return {noun: image} | {label: mosaic.mask_picture(mask) for label, mask in {"true mask": target, **labels}.items()}


def middle(values: ArrayLike, aim: float = np.nan) -> int:
    """The index of the value nearest to ``aim``, by default to the median: no example is chosen for its looks."""
    found = np.asarray(values, float)
    known = np.isfinite(found)
    target = np.median(found[known]) if np.isnan(aim) and known.any() else aim
    return int(np.where(known, np.abs(found - target), np.inf).argmin())
