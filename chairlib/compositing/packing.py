"""A collection's images, resized once for a resolution and kept as uint8 tensors in one safetensors file.

50,000 composites of 64 x 64 pixels are 819 MB as images; the parts they are made of are about 80 MB. The file lives
under ``paths.cache`` and can be deleted at any time; its name holds the collection's content hash and every option, so
a changed collection or option is packed anew.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from chairlib.collection import SPLITS, Collection
from chairlib.compositing.blend import FITS, Placement, check_resolution, resize_background, resize_segment
from chairlib.core import paths
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.progress import progress_bar
from chairlib.core.tensors import load_tensors, save_tensors

__all__ = ["PackedSplit", "check_split", "load_split", "map_images", "sample_arrays"]

T = TypeVar("T")

#: Raise when packing would give other pixels than before.
VERSION = 1


@dataclass(frozen=True)
class PackedSplit:
    """The parts of one split's composites at one resolution d."""

    segments: torch.Tensor
    """uint8 [S, 4, d, d]: straight colour and opacity."""
    backgrounds: torch.Tensor
    """uint8 [B, 3, d, d]."""
    segment_ids: list[str]
    background_ids: list[str]
    segment_groups: list[str]


def check_split(split: str) -> str:
    """Return ``split`` if it is train, val or test; raise :class:`ParameterError` otherwise."""
    if split not in SPLITS:
        raise ParameterError(f"split {split!r} is unknown; use one of {', '.join(SPLITS)}.")
    return split


def map_images(read: Callable[[T], np.ndarray], files: Sequence[T], title: str) -> torch.Tensor:
    """Call ``read`` for each of ``files`` on all cores; it returns a uint8 array [d, d, C], all of one shape.

    Threads are enough, as Pillow works outside Python's global lock. Returns uint8 [N, C, d, d]. Shows progress once it
    has taken more than a second.
    """
    with ThreadPoolExecutor() as pool:
        arrays = list(progress_bar(pool.map(read, files), title, total=len(files), unit="image", delay=1, leave=False))
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def _cache_file(collection: Collection, resolution: int, fit: Placement, crop: bool) -> Path:
    options = f"{resolution}-{fit}{'-crop' if crop else ''}-v{VERSION}"
    return paths.cache / "packed" / f"{collection.hash}-{options}.safetensors"


def _pack(collection: Collection, resolution: int, fit: Placement, crop: bool) -> dict[str, torch.Tensor]:
    def read_segment(identity: str) -> np.ndarray:
        return resize_segment(collection.open("segment", identity), resolution, fit, crop)

    def read_background(identity: str) -> np.ndarray:
        return resize_background(collection.open("background", identity), resolution)

    tensors = {}
    for kind, read in (("segment", read_segment), ("background", read_background)):
        for split in SPLITS:
            ids = collection.rows(kind, split)["id"].tolist()
            tensors[f"{split}.{kind}s"] = map_images(read, ids, f"packing {split} {kind}s at {resolution} px")
    return tensors


def load_split(
    collection: Collection, split: str, resolution: int = 64, fit: Placement = "stretch", crop: bool = False
) -> PackedSplit:
    """The parts of ``split`` at ``resolution``: read from the cache, or made and written to it where it has none."""
    check_split(split)
    check_resolution(resolution)
    if fit not in FITS:
        raise ParameterError(f"fit {fit!r} is unknown; use one of {', '.join(FITS)}.")
    file = _cache_file(collection, resolution, fit, crop)
    try:
        tensors, _ = load_tensors(file, prefix=f"{split}.")
        if not tensors:
            raise ChairlibError(f"{file} holds no {split} split.")
    except ChairlibError:  # not there yet, or damaged: either way it can be made again
        tensors = _pack(collection, resolution, fit, crop)
        save_tensors(file, tensors)
    segments, backgrounds = collection.rows("segment", split), collection.rows("background", split)
    return PackedSplit(
        tensors[f"{split}.segments"],
        tensors[f"{split}.backgrounds"],
        segments["id"].tolist(),
        backgrounds["id"].tolist(),
        segments["group"].tolist(),
    )


def sample_arrays(images: torch.Tensor, count: int) -> np.ndarray:
    """``count`` evenly spaced images of packed ones [N, C, d, d], channels last for figures: uint8 [count, d, d, C]."""
    count = min(count, len(images))
    return images[torch.arange(count) * len(images) // max(count, 1)].permute(0, 2, 3, 1).numpy()
