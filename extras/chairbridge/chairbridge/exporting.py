"""Every composite of a collection as files, in one of three formats, with a data card and a table of contents.

OUT/
    README.md           the data card, see :mod:`chairbridge.card`
    composites.csv      a row for each composite: its files, their SHA-256, what it is made of, whose that is
    ...                 images and masks, as the format has them: see the modules of :data:`FORMATS`
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from chairbridge import coco, huggingface, released
from chairbridge.card import write_card
from chairbridge.composites import Composites, Options, Written
from chairlib.collection import SPLITS, Collection
from chairlib.collection.cells import to_cell
from chairlib.compositing.blend import Placement, mask_from_opacity
from chairlib.compositing.image_sets import BACKGROUNDS_PER_SEGMENT, to_pillow
from chairlib.core.checks import check_choice
from chairlib.core.files import atomic_folder, check_free
from chairlib.core.progress import progress_bar

#: The formats by name. A module has ``Layout``: names of files, and what is to be written beside them.
FORMATS: dict[str, Any] = {"released": released.Layout, "coco": coco.Layout, "huggingface": huggingface.Layout}
#: The table of contents.
CONTENTS = "composites.csv"


def export(
    root: str | Path | Collection,
    out: str | Path,
    resolution: int = 64,
    *,
    format: str = "released",
    soft: bool = False,
    fit: Placement = "stretch",
    crop: bool = False,
    backgrounds_per_segment: int = BACKGROUNDS_PER_SEGMENT,
    pair_seed: int = 0,
) -> int:
    """Write every composite of a collection to the new folder ``out``; returns how many were written.

    root: a collection, its folder, or ``"mini"``.
    resolution: pixels a side, 16 to 4096.
    format: ``"released"``, the layout of the paper's authors; ``"coco"``; or ``"huggingface"``, with Croissant.
    soft: masks hold the opacity, 0 to 255, instead of 0 and 255. Both are the same under the 0.4 rule. Not for COCO.
    fit, crop, backgrounds_per_segment, pair_seed: those of :class:`chairlib.compositing.image_sets.CompositeSet`.

    ``out`` must not exist; it appears when all of it is written. Raises :class:`ParameterError` for an impossible
    value, :class:`CollectionError` for unusable data, :class:`ChairlibError` where ``out`` exists or cannot be written
    and where COCO's masks lack pycocotools.
    """
    check_choice("format", format, FORMATS)
    out = Path(out).expanduser()
    check_free(out)
    options = Options(
        resolution=resolution,
        soft=soft,
        fit=fit,
        crop=crop,
        backgrounds_per_segment=backgrounds_per_segment,
        pair_seed=pair_seed,
    )
    layout = FORMATS[format](options)
    composites = Composites(root if isinstance(root, Collection) else Collection(root), options)
    total = sum(composites.counts.values())
    with atomic_folder(out) as folder:
        tables = []
        with progress_bar(total=total, desc="exporting", unit="image", delay=1) as bar:
            for split in SPLITS:
                written = _write_split(folder, composites, split, layout, bar)
                contents = composites.contents(split)
                tables.append(pd.concat([contents[["split"]], pd.DataFrame(written.columns())], axis=1))
                tables[-1] = pd.concat([tables[-1], contents.drop(columns="split")], axis=1)
        table = pd.concat(tables, ignore_index=True)
        text = table.select_dtypes(exclude="number").columns
        guarded = table.assign(**{name: table[name].map(to_cell) for name in text})
        guarded.to_csv(folder / CONTENTS, index=False, lineterminator="\n", float_format="%.6f")
        write_card(folder, composites, table, layout)
        layout.finish(folder, composites, table)
    return total


def _write_split(folder: Path, composites: Composites, split: str, layout: Any, bar: Any) -> Written:
    """Write the images and masks of a split, all cores at work; what is known of them, in their order."""
    written = Written()
    with _writer(folder) as write:
        for indices, images, masks in composites.batches(split):
            names = [layout.image_file(split, index) for index in indices]
            written.file += names
            written.sha256 += write(images, names)
            if layout.has_masks:
                mask_names = [layout.mask_file(split, index) for index in indices]
                written.mask_file += mask_names
                written.mask_sha256 += write(masks, mask_names)
            chairs = mask_from_opacity((masks * 255).round().byte())
            written.foreground_share += chairs.double().mean(dim=(1, 2, 3)).tolist()
            layout.add(split, indices, chairs[:, 0].numpy())
            bar.update(len(indices))
    return written


@contextmanager
def _writer(folder: Path) -> Iterator[Callable[[torch.Tensor, list[str]], list[str]]]:
    """A function that writes a batch as PNG files and gives the SHA-256 of each."""

    def write_one(image: torch.Tensor, name: str) -> str:
        stream = io.BytesIO()
        to_pillow(image).save(stream, "PNG")
        (folder / name).write_bytes(stream.getvalue())
        return hashlib.sha256(stream.getvalue()).hexdigest()

    def write(images: torch.Tensor, names: list[str]) -> list[str]:
        for parent in {(folder / name).parent for name in names}:
            parent.mkdir(parents=True, exist_ok=True)
        return list(pool.map(write_one, images, names))

    with ThreadPoolExecutor() as pool:
        yield write
