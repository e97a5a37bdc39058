"""A collection's images, resized once for a resolution and kept as uint8 tensors in one safetensors file.

50,000 composites of 64 x 64 pixels are 819 MB as images; their parts are about 80 MB. The file lies in ``paths.cache``
and can be deleted; its name holds the collection's content hash and every option.
"""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
import torch

from chairlib.collection import KINDS, SPLITS, Collection
from chairlib.compositing.blend import Placement, check_resolution, resize_background, resize_segment
from chairlib.core import paths
from chairlib.core.code import code_hash
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.progress import progress_bar
from chairlib.core.tensors import load_tensors, save_tensors

__all__ = ["PackedSplit", "check_split", "load_split", "map_images", "sample_arrays", "spread"]

T = TypeVar("T")


@dataclass(frozen=True)
class PackedSplit:
    """The parts of one split's composites at one resolution d."""

    segments: torch.Tensor
    """uint8 [S, 4, d, d]: straight colour and opacity."""
    backgrounds: torch.Tensor
    """uint8 [B, 3, d, d]."""
    segment_groups: list[str]


def check_split(split: str) -> str:
    """Return ``split`` if it is train, val or test; raise :class:`ParameterError` otherwise."""
    if split not in SPLITS:
        raise ParameterError(f"split {split!r} is unknown; use one of {', '.join(SPLITS)}.")
    return split


def map_images(read: Callable[[T], np.ndarray], files: Sequence[T], title: str) -> torch.Tensor:
    """What ``read`` gives for each of ``files``, arrays uint8 [d, d, C] of one shape, as one tensor uint8 [N, C, d, d].

    Uses all cores, and shows progress once it has taken more than a second.
    """
    with ThreadPoolExecutor() as pool:
        arrays = list(progress_bar(pool.map(read, files), title, total=len(files), unit="image", delay=1, leave=False))
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def _pack(collection: Collection, resolution: int, fit: Placement, crop: bool) -> dict[str, torch.Tensor]:
    def read(image: tuple[str, str]) -> np.ndarray:
        opened = collection.open(*image)
        is_segment = image[0] == "segment"
        return resize_segment(opened, resolution, fit, crop) if is_segment else resize_background(opened, resolution)

    tensors = {}
    for kind, split in itertools.product(KINDS, SPLITS):
        images = [(kind, identity) for identity in collection.rows(kind, split)["id"]]
        tensors[f"{split}.{kind}s"] = map_images(read, images, f"packing {split} {kind}s at {resolution} px")
    return tensors


@cache
def packing_code() -> str:
    """A hash of the code that packs: other code packs other pixels."""
    return code_hash("chairlib.compositing.packing", skip=("chairlib.core",))


def load_split(
    collection: Collection, split: str, resolution: int = 64, fit: Placement = "stretch", crop: bool = False
) -> PackedSplit:
    """The parts of ``split`` at ``resolution``: read from the cache, or made and written to it where it has none."""
    check_split(split)
    check_resolution(resolution)
    options = f"{resolution}-{fit}-{'cropped' if crop else 'whole'}-{packing_code()}"
    file = paths.cache / "packed" / f"{collection.hash}-{options}.safetensors"
    try:
        tensors, _ = load_tensors(file, prefix=f"{split}.")
        if not tensors:
            raise ChairlibError(f"{file} holds no {split} split.")
    except ChairlibError:  # not there yet, or damaged: either way it can be made again
        tensors = _pack(collection, resolution, fit, crop)
        save_tensors(file, tensors)
    groups = collection.rows("segment", split)["group"].tolist()
    return PackedSplit(tensors[f"{split}.segments"], tensors[f"{split}.backgrounds"], groups)


def spread(n: int, count: int) -> torch.Tensor:
    """``count`` of the numbers 0..n-1, evenly spaced and ascending: int64 [min(count, n)]."""
    count = min(count, n)
    return torch.arange(count) * n // max(count, 1)


def sample_arrays(images: torch.Tensor, count: int) -> np.ndarray:
    """``count`` evenly spaced images of packed ones [N, C, d, d], channels last for figures: uint8 [count, d, d, C]."""
    return images[spread(len(images), count)].permute(0, 2, 3, 1).numpy()
