"""How far a model's score holds: test images made worse in six ways, each in five strengths (:data:`CORRUPTIONS`).

After the corruptions of Hendrycks and Dietterich (ICLR 2019), in strengths for composites of 32 to 256 pixels. What is
random depends on the seed, the kind and the image's number only: every model meets the same images, in any batches.
"""

import copy
import hashlib
import io
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from chairlib.benchmark.evaluation import evaluate
from chairlib.compositing.blend import blend, resize_background, unit_range
from chairlib.compositing.image_sets import CompositeSet, ImageSet, to_arrays
from chairlib.compositing.loader import CompositeLoader
from chairlib.compositing.packing import map_images, spread
from chairlib.core import paths
from chairlib.core.checks import check_choice, check_count
from chairlib.core.errors import ParameterError
from chairlib.core.progress import progress_bar
from chairlib.core.vision import torchvision

#: The greatest strength. Strength 0 is the image as it is.
STRENGTHS = 5
#: A pixel's value is about this root of the light that fell on it.
_GAMMA = 2.2
#: Photons that a white pixel collects in full light: few, so that the noise of little light can be seen.
_PHOTONS = 1000
#: Photos that other places are taken from.
_PLACES = 200


class Corruption(NamedTuple):
    """A way of making images worse: its title, what an amount is, and the amounts of the strengths 0 to 5."""

    title: str
    unit: str
    amounts: tuple[float, ...]


#: All kinds by name. The amount of an image that is no JPEG is NaN.
CORRUPTIONS = {
    "blur": Corruption("Gaussian blur", "standard deviation, % of the side", (0, 1.5, 2.5, 4, 6, 8)),
    "noise": Corruption("Gaussian noise", "standard deviation, % of white", (0, 4, 8, 12, 18, 26)),
    "jpeg": Corruption("JPEG", "quality", (math.nan, 60, 35, 20, 10, 5)),
    "low_light": Corruption("Low light", "light left, %", (100, 40, 20, 10, 5, 2)),
    "contrast": Corruption("Low contrast", "contrast left, %", (100, 70, 50, 35, 20, 10)),
    "place": Corruption("Another place", "opacity of the other place, %", (0, 20, 40, 60, 80, 100)),
}


def _made_worse(kind: str, images: Tensor, amount: float, draw: Callable[[], Tensor]) -> Tensor:
    """Images in [0, 1] made worse, which may leave that range; ``draw`` gives normal noise of their shape."""
    transforms = torchvision.transforms.v2.functional
    if kind == "blur":
        sigma = amount / 100 * images.shape[-1]
        size = 2 * math.ceil(3 * sigma) + 1
        # In one direction, then in the other: many times as fast.
        return transforms.gaussian_blur(transforms.gaussian_blur(images, [size, 1], sigma), [1, size], sigma)
    if kind == "noise":  # torchvision's takes no generator
        return images + amount / 100 * draw()
    if kind == "contrast":
        return transforms.adjust_contrast(images, amount / 100)
    if kind == "low_light":
        # The number of photons is Poisson distributed: about normal, with a variance as large as its mean.
        photons = images**_GAMMA * (amount / 100 * _PHOTONS)
        return ((photons + photons.sqrt() * draw()).clamp(min=0) / _PHOTONS) ** (1 / _GAMMA)
    # torchvision's JPEG needs its compiled library, which cannot be loaded beside a CPU build of torch.
    levels, files = to_arrays(images, images[:, :1])[0], [io.BytesIO() for _ in images]
    for image, file in zip(levels, files, strict=True):
        Image.fromarray(image).save(file, "JPEG", quality=int(amount))
    back = torch.from_numpy(np.stack([np.asarray(Image.open(file)) for file in files]))
    return unit_range(back.movedim(-1, 1).to(images.device).float())


class Corrupted:
    """The images of ``image_set`` made worse, with its masks. See :class:`chairlib.compositing.image_sets.ImageSet`.

    ``kind`` is one of :data:`CORRUPTIONS`, ``strength`` 0 to 5. Kind ``place`` lays over the background, behind the
    same chair, a photo of the stand-in for Object Discovery that ships with the package: of cars, horses and airplanes,
    at most 128 pixels a side. Raises ParameterError for other values, and for ``place`` where images are finished.
    """

    def __init__(self, image_set: ImageSet, kind: str, strength: int, seed: int = 0):
        check_choice("kind", kind, CORRUPTIONS)
        check_count("strength", strength, least=0, most=STRENGTHS)
        check_count("seed", seed, least=0)
        if kind == "place" and not isinstance(image_set, CompositeSet):
            raise ParameterError(
                f"{image_set.name} holds finished images: kind 'place' needs composites; leave it out."
            )
        self.image_set, self.kind, self.strength, self.seed = image_set, kind, strength, seed
        self.device, self.groups, self.name = image_set.device, image_set.groups, image_set.name
        self.streamed, self.spread = getattr(image_set, "streamed", False), image_set.spread
        terms = repr((image_set.data_hash, kind, strength, seed))
        self.data_hash = hashlib.sha256(terms.encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.image_set)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        images, masks = self.image_set.batch(indices)
        if self.strength == 0:
            return images, masks
        # An image draws the same at every strength, so that only the amount differs.
        generators = [np.random.default_rng([self.seed, *self.kind.encode(), index]) for index in indices.tolist()]
        amount = CORRUPTIONS[self.kind].amounts[self.strength]
        if isinstance(self.image_set, CompositeSet) and self.kind == "place":
            segments, backgrounds = self.image_set.parts(indices)
            places = _places(images.shape[-1])[[int(generator.integers(_PLACES)) for generator in generators]]
            behind = backgrounds.float().lerp(places.to(self.device).float(), amount / 100)
            return unit_range(blend(segments, behind.round())), masks

        def draw() -> Tensor:
            noise = [generator.standard_normal(images.shape[1:], np.float32) for generator in generators]
            return torch.from_numpy(np.stack(noise)).to(self.device)

        return _made_worse(self.kind, images, amount, draw).clamp(0, 1), masks


@cache
def _places(resolution: int) -> Tensor:
    """The photos of other places, uint8 [_PLACES, 3, d, d]."""
    files = sorted(path for path in paths.stand_in.glob("Data/*/*.jpg") if not path.parent.name.endswith("100"))

    def read(file: Path) -> np.ndarray:
        with Image.open(file) as photo:
            return resize_background(photo.convert("RGB"), resolution).copy()

    return map_images(read, [files[number] for number in spread(len(files), _PLACES).tolist()], "reading other places")


def robustness(
    model: nn.Module,
    loader: CompositeLoader,
    kinds: Sequence[str] | None = None,
    strengths: int = STRENGTHS,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """IoU of ``model`` on the images of ``loader``, as they are and made worse: a row for each kind and strength.

    ``kinds``: names of :data:`CORRUPTIONS`, by default all that can be applied. ``strengths``: how many of the five,
    evenly spread up to the strongest: fewer take less time. Columns: kind, title, strength (0 to 5), amount and unit
    (what the strength is), n_images, and iou with its 95 % interval low, high, in per cent.
    Strength 0 is what :func:`~chairlib.benchmark.evaluation.evaluate` gives. Raises ParameterError as
    :class:`Corrupted` does.
    """
    check_count("strengths", strengths, most=STRENGTHS)
    if kinds is None:
        kinds = [kind for kind in CORRUPTIONS if kind != "place" or isinstance(loader.image_set, CompositeSet)]
    chosen = [round(STRENGTHS * number / strengths) for number in range(strengths + 1)]
    sets = [Corrupted(loader.image_set, kind, strength, seed) for kind in kinds for strength in chosen]
    clean = evaluate(model, loader).scores
    rows = []
    for images in progress_bar(sets, "robustness", leave=False, disable=not progress):
        worse = copy.copy(loader)
        worse.image_set = images
        scores = evaluate(model, worse).scores if images.strength else clean
        title, unit, amounts = CORRUPTIONS[images.kind]
        what = (images.kind, title, images.strength, amounts[images.strength], unit, scores.n_images)
        rows.append((*what, scores.iou, *scores.interval("iou")))
    columns = ["kind", "title", "strength", "amount", "unit", "n_images", "iou", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
