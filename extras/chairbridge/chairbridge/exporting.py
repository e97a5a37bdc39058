"""Every composite of a collection as files, in one of three formats, with a data card and a table of contents.

OUT/
    README.md           the data card, see :mod:`chairbridge.card`
    composites.csv      a row for each composite: its files, their SHA-256, what it is made of, whose that is
    ...                 images and masks, as the format has them: see the modules of :data:`FORMATS`
"""

import hashlib
import io
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
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
from chairlib.core.code import code_hash
from chairlib.core.files import atomic_folder, check_free, keep, kept
from chairlib.core.progress import note, progress_bar

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

    ``out`` must not exist; it appears when all of it is written. Until then, finished files are kept in a hidden folder
    beside it: a call that was stopped in any way is repeated at little cost.

    Raises :class:`ParameterError` for an impossible value, :class:`CollectionError` for unusable data,
    :class:`ChairlibError` where ``out`` exists or cannot be written and where COCO's masks lack pycocotools.
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
        writer = _Writer(folder, composites, layout, format)
        if done := sum(
            len(batch) for split in SPLITS for batch in composites.batches(split) if writer.read(split, batch)
        ):
            note(f"going on: {done:,} of {total:,} images were done before")
        tables = []
        with progress_bar(total=total, desc="exporting", unit="image", delay=1) as bar:
            for split in SPLITS:
                written = writer.write_split(split, bar)
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


class _Writer:
    """Writes the images and masks of a split, a batch after the other, all cores at work.

    Files are first written beside ``folder``, and what is known of a batch is kept when all its files are there. They
    come into the folder as links, which take no more room.
    """

    def __init__(self, folder: Path, composites: Composites, layout: Any, format: str):
        self._folder, self._composites, self._layout = folder, composites, layout
        code = [code_hash(module) for module in ("chairbridge.exporting", "chairlib.compositing.image_sets")]
        versions = map(version, ("numpy", "pillow", "torch"))
        self._key = ("export", composites.collection.hash, composites.options, format, *code, *versions)
        self._kept_files = folder.with_name(f"files-{hashlib.sha256(repr(self._key).encode()).hexdigest()[:16]}")

    def read(self, split: str, batch: list[int]) -> tuple[Written, list[Any]] | None:
        """What is kept of a batch: what is known of its files, and how the layout describes its masks."""
        found = kept(self._folder, *self._key, split, batch)
        if found is None:
            return None
        content = json.loads(found)
        return Written(**content["written"]), content["described"]

    def write_split(self, split: str, bar: Any) -> Written:
        """Write what is not kept; what is known of the split's files, in their order."""
        written = Written()
        with ThreadPoolExecutor() as pool:
            for batch in self._composites.batches(split):
                known = self.read(split, batch)
                if known is None or not all(pool.map(self._is_whole, known[0].files())):
                    known = self._write_batch(split, batch, pool)
                names = [name for name, _ in known[0].files()]
                for parent in {(self._folder / name).parent for name in names}:
                    parent.mkdir(parents=True, exist_ok=True)
                for name in names:
                    _link(self._kept_files / name, self._folder / name)
                written.add(known[0])
                self._layout.add(split, known[1])
                bar.update(len(batch))
        return written

    def _is_whole(self, name_and_digest: tuple[str, str]) -> bool:
        name, digest = name_and_digest
        try:
            return hashlib.sha256((self._kept_files / name).read_bytes()).hexdigest() == digest
        except OSError:
            return False

    def _write_batch(self, split: str, batch: list[int], pool: ThreadPoolExecutor) -> tuple[Written, list[Any]]:
        written, layout = Written(), self._layout
        images, masks = self._composites.blend(split, batch)
        written.file = [layout.image_file(split, index) for index in batch]
        written.sha256 = self._write_files(images, written.file, pool)
        if layout.has_masks:
            written.mask_file = [layout.mask_file(split, index) for index in batch]
            written.mask_sha256 = self._write_files(masks, written.mask_file, pool)
        chairs = mask_from_opacity((masks * 255).round().byte())
        written.foreground_share = chairs.double().mean(dim=(1, 2, 3)).tolist()
        described = layout.describe(chairs[:, 0].numpy())
        content = {"written": vars(written), "described": described}
        keep(self._folder, json.dumps(content).encode(), *self._key, split, batch)
        return written, described

    def _write_files(self, images: torch.Tensor, names: list[str], pool: ThreadPoolExecutor) -> list[str]:
        """Write a batch as PNG files beside the folder; the SHA-256 of each."""

        def write_one(image: torch.Tensor, name: str) -> str:
            stream = io.BytesIO()
            to_pillow(image).save(stream, "PNG")
            (self._kept_files / name).write_bytes(stream.getvalue())
            return hashlib.sha256(stream.getvalue()).hexdigest()

        for parent in {(self._kept_files / name).parent for name in names}:
            parent.mkdir(parents=True, exist_ok=True)
        return list(pool.map(write_one, images, names))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # some file systems have no links
        shutil.copyfile(source, target)
