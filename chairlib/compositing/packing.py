"""A collection's images, resized once for a resolution and kept as uint8 tensors in one safetensors file.

50,000 composites of 64 x 64 pixels are 819 MB as images; their parts are about 80 MB. The file lies in ``paths.cache``
and can be deleted; its name holds the collection's content hash and every option. It is written image by image and
mapped when read, so collections that are larger than the memory can be packed.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from chairlib.collection import KINDS, SPLITS, Collection
from chairlib.compositing.blend import Placement, check_resolution, resize_background, resize_segment
from chairlib.core import paths
from chairlib.core.checks import check_choice
from chairlib.core.code import code_hash
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.progress import progress_bar
from chairlib.core.tensors import load_tensors, save_rows

T = TypeVar("T")
#: How many images are read ahead: enough to keep many cores busy, 64 MB at 512 pixels.
_AHEAD = 64


@dataclass(frozen=True)
class PackedSplit:
    """The parts of one split's composites at one resolution d."""

    segments: torch.Tensor
    """uint8 [S, 4, d, d]: straight colour and opacity."""
    backgrounds: torch.Tensor
    """uint8 [B, 3, d, d]."""
    segment_groups: list[str]


def read_in_order(read: Callable[[T], np.ndarray], files: Sequence[T], title: str) -> Iterator[np.ndarray]:
    """What ``read`` gives for each of ``files``, arrays uint8 [d, d, C], as [C, d, d].

    Uses all cores, holds no more than a few arrays, and shows progress once it has taken more than a second.
    """
    bar = progress_bar(total=len(files), desc=title, unit="image", delay=1, leave=False)
    with bar, ThreadPoolExecutor() as pool:
        ahead = deque(pool.submit(read, file) for file in files[:_AHEAD])
        for number in range(len(files)):
            array = ahead.popleft().result()
            if number + _AHEAD < len(files):
                ahead.append(pool.submit(read, files[number + _AHEAD]))
            bar.update()
            yield array.transpose(2, 0, 1)


def map_images(read: Callable[[T], np.ndarray], files: Sequence[T], title: str) -> torch.Tensor:
    """As :func:`read_in_order`, for arrays of one shape: one tensor uint8 [N, C, d, d]."""
    arrays = read_in_order(read, files, title)
    first = next(arrays, None)
    if first is None:
        raise ParameterError("there are no images to read.")
    images = torch.empty((len(files), *first.shape), dtype=torch.uint8)
    for number, array in enumerate(itertools.chain([first], arrays)):
        images[number] = torch.from_numpy(array)
    return images


def _pack(file: Path, collection: Collection, resolution: int, fit: Placement, crop: bool) -> None:
    def read(image: tuple[str, str]) -> np.ndarray:
        opened = collection.open(*image)
        is_segment = image[0] == "segment"
        return resize_segment(opened, resolution, fit, crop) if is_segment else resize_background(opened, resolution)

    tensors = {}
    for kind, split in itertools.product(KINDS, SPLITS):
        images = [(kind, identity) for identity in collection.rows(kind, split)["id"]]
        shape = (len(images), 4 if kind == "segment" else 3, resolution, resolution)
        tensors[f"{split}.{kind}s"] = shape, read_in_order(read, images, f"packing {split} {kind}s at {resolution} px")
    save_rows(file, tensors)


@cache
def packing_code() -> str:
    """A hash of the code that packs: other code packs other pixels."""
    return code_hash("chairlib.compositing.packing", skip=("chairlib.core",))


def load_split(
    collection: Collection, split: str, resolution: int = 64, fit: Placement = "stretch", crop: bool = False
) -> PackedSplit:
    """The parts of ``split`` at ``resolution``: read from the cache, or made and written to it where it has none."""
    check_choice("split", split, SPLITS)
    check_resolution(resolution)
    options = f"{resolution}-{fit}-{'cropped' if crop else 'whole'}-{packing_code()}"
    file = paths.cache / "packed" / f"{collection.hash}-{options}.safetensors"
    try:
        tensors, _ = load_tensors(file, prefix=f"{split}.")
        if not tensors:
            raise ChairlibError(f"{file} holds no {split} split.")
    except ChairlibError:  # not there yet, or damaged: either way it can be made again
        _pack(file, collection, resolution, fit, crop)
        tensors, _ = load_tensors(file, prefix=f"{split}.")
    groups = collection.rows("segment", split)["group"].tolist()
    return PackedSplit(tensors[f"{split}.segments"], tensors[f"{split}.backgrounds"], groups)


def spread(n: int, count: int) -> torch.Tensor:
    """``count`` of the numbers 0..n-1, evenly spaced and ascending: int64 [min(count, n)]."""
    count = min(count, n)
    return torch.arange(count) * n // max(count, 1)


def sample_arrays(images: torch.Tensor, count: int) -> np.ndarray:
    """``count`` evenly spaced images of packed ones [N, C, d, d], channels last for figures: uint8 [count, d, d, C]."""
    return images[spread(len(images), count)].permute(0, 2, 3, 1).numpy()
