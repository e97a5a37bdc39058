"""Predictions to look through: many composites of several models, and a few composites over steps.

Probabilities are stored in 256 levels, one picture a model or step. The script of the widget cuts them at a threshold,
and computes IoU from the masks that are seen.
"""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chairlib.core.errors import ParameterError
from chairlib.show import mosaic
from chairlib.show.widgets import Widget, encode, image_tag

_SCRIPTS = Path(__file__).parent / "assets"


def browse(
    images: Sequence[ArrayLike],
    targets: Sequence[ArrayLike],
    probabilities: Mapping[str, ArrayLike],
    note: str = "",
    steps: str = "",
) -> Widget:
    """Look through what several models predict, or with ``steps`` what one model predicts over resolutions or training.

    Models: sort composites by IoU, filter them, move the threshold, and see two models side by side on one of them.
    Steps: move over them, and see the same few composites at each; ``steps`` is the slider's label.

    ``probabilities``: model or step -> [N, d, d] in [0, 1]. ``images``, each [N, d, d, 3], and ``targets``, each
    [N, d, d], as in :mod:`chairlib.show.mosaic`: one for all, or one for each step in its size. ``note``: how the
    composites were chosen. Where no script runs, the composite in the middle (of steps: the first one at the last step)
    is shown at threshold 0.5. Raises ParameterError where these don't fit.
    """
    pictures, truth, names = list(map(mosaic.as_rgb, images)), list(map(mosaic.as_masks, targets)), list(probabilities)
    if len(pictures) != len(truth) or len(truth) not in (1, len(names)) or not names:
        found = f"{len(pictures)} of images, {len(truth)} of masks and {len(names)} of probabilities"
        raise ParameterError(f"give images and masks once, or a set for each set of probabilities; found {found}.")
    sizes = truth if len(truth) == len(names) else truth * len(names)
    levels = [_levels(*named, masks.shape) for named, masks in zip(probabilities.items(), sizes, strict=True)]
    for part, masks in zip(pictures, truth, strict=True):
        mosaic.check_same_count(images=part, targets=masks)
    first, shown = (0, slice(-1, None)) if steps else (len(truth[0]) // 2, slice(2))
    target, predicted = truth[-1][first], [level[first] > 127 for level in levels[shown]]
    scores = [mosaic.mask_iou(mask, target) for mask in predicted]
    told = "; ".join(f"{name}: IoU {score:.1f} %" for name, score in zip(names[shown], scores, strict=True))
    told = told.replace("nan %", "undefined, as both masks are empty")
    alt = f"A composite, its true mask, and what was predicted at threshold 0.5. {told}"
    cells = [pictures[-1][first], mosaic.mask_picture(target)]
    cells += [mosaic.agreement_picture(mask, target) for mask in predicted]
    strip = np.hstack([np.pad(cell, ((0, 0), (0, 2), (0, 0)), constant_values=128) for cell in cells])[:, :-2]
    picture = image_tag(strip, alt, f"max-width:{150 * len(cells)}px;image-rendering:pixelated;")
    legend = "White is chair and was found, orange was wrongly called chair, and blue was missed."
    body = f'<div class="chair-first">{picture}<p>{html.escape(alt)}.</p></div><p>{legend} {html.escape(note)}</p>'
    sprites = {
        "images": [encode(np.concatenate(part)) for part in pictures],
        "targets": [encode(np.concatenate(masks)) for masks in truth],
        "levels": [encode(np.concatenate(level)) for level in levels],
    }
    state = {"names": names, "count": len(truth[0]), "first": first, "label": steps, "colours": mosaic.AGREEMENT}
    return Widget("steps" if steps else "browser", body, {**state, **sprites}, _SCRIPTS)


def _levels(name: str, probabilities: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Probabilities as whole levels of 255, so that above 127 is above one half."""
    values = np.asarray(probabilities)
    if values.shape != shape or not (values.min() >= 0 and values.max() <= 1):
        found = f"shape {list(values.shape)}" + (f", {values.min()} to {values.max()}" if values.size else "")
        raise ParameterError(f"probabilities of {name} must be {list(shape)} and lie in [0, 1]; found {found}.")
    return np.rint(values * 255).astype(np.uint8)
