"""A collection: a folder of segments and backgrounds, and a manifest with the provenance and split of each.

    collection/
        segments/<id>.png       RGBA, 8 bits, straight (not premultiplied) alpha
        backgrounds/<id>.jpg    RGB
        manifest.csv            a row per file, see MANIFEST_COLUMNS and OPTIONAL_COLUMNS

A text that a spreadsheet would take for a formula has an apostrophe before it in manifest.csv, but not in
:attr:`Collection.manifest`. An id is the first 16 hexadecimal digits of the SHA-256 of the file's bytes. A group is a
set of images that must stay in one split (near-duplicates, colour variants, mirrored copies); each group has images of
one kind only.
"""

import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from PIL import Image

from chairlib.collection.cells import from_cell, read_table
from chairlib.collection.images import decode_photo, decode_segment
from chairlib.core import paths
from chairlib.core.errors import CollectionError, ImageError

#: The two kinds of images: what is cut out, and what it is pasted on.
KINDS = ("segment", "background")
#: Groups belong to one of them as a whole, or a model would be tested on what it was trained on.
SPLITS = ("train", "val", "test")
_PROVENANCE = ("source", "url", "author", "licence", "retrieved")
#: The columns of every manifest, in order; those of OPTIONAL_COLUMNS may follow.
MANIFEST_COLUMNS = ("id", "kind", *_PROVENANCE, "width", "height", "group", "split")
#: The page that shows an image, and the text of its licence: columns only where an image has one, as from the web.
OPTIONAL_COLUMNS = ("landing_page", "licence_url")
_FOLDERS = {"segment": "segments", "background": "backgrounds"}
_SUFFIXES = {"segment": ".png", "background": ".jpg"}
#: The manifest's file name.
MANIFEST = "manifest.csv"


class Collection:
    """A collection on disk, checked when it is opened.

    ``root`` is ``"mini"`` for the collection that ships with the package, or a folder. Raises CollectionError, in one
    line, where the folder, the manifest, a column or a file is missing, an id stands twice, a group is in two splits or
    has two kinds, or a split is empty.
    """

    def __init__(self, root: str | Path = "mini") -> None:
        if not isinstance(root, str | Path):
            raise CollectionError(f"{root!r} is no collection; name a folder, or 'mini'.")
        #: The folder.
        self.root: Path = paths.mini if root == "mini" else Path(root).expanduser()
        #: A row per file: every column of MANIFEST_COLUMNS, and those of OPTIONAL_COLUMNS that manifest.csv has. All
        #: are text, except the integers ``width`` and ``height``.
        self.manifest: pd.DataFrame = _read_manifest(self.root)
        check_manifest(self.manifest, self.root)
        _check_files(self.manifest, self.root)
        # In the manifest's order, which decides which segment meets which backgrounds.
        rows = list(self.manifest[["id", "kind", "group", "split"]].itertuples(index=False, name=None))
        #: The "data hash": 16 hexadecimal digits that change with any file, group or split, or with their order.
        self.hash: str = hashlib.sha256(repr(rows).encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.root.resolve().name

    def rows(self, kind: str, split: str | None = None) -> pd.DataFrame:
        """The manifest's rows of one kind (and of one split, where given), in manifest order, numbered from 0."""
        chosen = self.manifest["kind"] == kind
        if split is not None:
            chosen &= self.manifest["split"] == split
        return self.manifest[chosen].reset_index(drop=True)

    def path(self, kind: str, id: str) -> Path:
        """The file of one segment or background."""
        return image_file(self.root, kind, id)

    def open(self, kind: str, id: str) -> Image.Image:
        """The image of one segment (mode RGBA, straight colour) or background (mode RGB).

        Raises CollectionError where the file has another hash than its name, or cannot be read as an image.
        """
        path = self.path(kind, id)
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest()[:16] != path.stem:
                raise CollectionError(
                    f"{path} has been changed since the collection was made (its name is a hash of its content); "
                    "restore it, or make the collection again from the changed images."
                )
            return (decode_segment if kind == "segment" else decode_photo)(data).image
        except (OSError, ImageError) as error:
            raise CollectionError(
                f"{path} cannot be read as an image ({error}); restore it or make the collection again."
            ) from error

    def __repr__(self) -> str:
        counts = self.manifest["kind"].value_counts()
        n_segments, n_backgrounds = counts["segment"], counts["background"]
        return f"Collection({str(self.root)!r}, {n_segments} segments, {n_backgrounds} backgrounds, {self.hash})"


def image_file(root: Path, kind: str, identity: str) -> Path:
    """Where a collection in the folder ``root`` has an image. Raises CollectionError for an unknown kind."""
    if kind not in KINDS:
        raise CollectionError(f"kind {kind!r} is unknown; expected one of {', '.join(KINDS)}.")
    return root / _FOLDERS[kind] / f"{identity}{_SUFFIXES[kind]}"


def _read_manifest(root: Path) -> pd.DataFrame:
    if not root.is_dir():
        raise CollectionError(
            f"{root} is not a folder; give a collection's folder, or make one with `chairlib import` or "
            "`chairlib render`."
        )
    file = root / MANIFEST
    if not file.is_file():
        raise CollectionError(
            f"{root} holds no {MANIFEST}, so it is not a collection; make one with `chairlib import`."
        )
    columns, rows = read_table(file, (*MANIFEST_COLUMNS, *OPTIONAL_COLUMNS))
    missing = [name for name in MANIFEST_COLUMNS if name not in columns]
    if missing:
        raise CollectionError(
            f"{file} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)} (found: {', '.join(columns)}); "
            "restore it, or make the collection again."
        )
    manifest = pd.DataFrame([row for _, row in rows], columns=columns, dtype=str)
    manifest = manifest.map(lambda cell: from_cell(cell.strip()))
    for name in ("width", "height"):
        numbers = pd.to_numeric(manifest[name], errors="coerce")
        wrong = numbers.isna() | (numbers < 1) | (numbers % 1 != 0)
        for found in manifest.loc[wrong, name]:
            raise CollectionError(
                f"{file}: {name} {found!r} is not a positive whole number; make the collection again."
            )
        manifest[name] = numbers.astype("int64")
    return manifest


def check_manifest(manifest: pd.DataFrame, root: Path) -> None:
    """Raise CollectionError, naming ``root``, for a manifest that no sound collection can have."""
    if problem := next(_problems(manifest), None):
        raise CollectionError(f"{root}: {problem}")


def _problems(manifest: pd.DataFrame) -> Iterator[str]:
    """Unknown kinds and splits, ids that are none or stand twice, groups in two splits or kinds, empty splits."""
    for column, known in (("kind", KINDS), ("split", SPLITS)):
        for unknown in manifest.loc[~manifest[column].isin(known), column]:
            yield f"{column} {unknown!r} is unknown; expected one of {', '.join(known)}."
    ids = manifest["id"]
    for strange in ids[~ids.str.fullmatch(r"[\w-]+").astype(bool)]:
        yield f"id {strange!r} is not made of letters and digits; make the collection again."
    for repeated in ids[ids.duplicated()]:
        yield f"id {repeated} stands {(ids == repeated).sum()} times."
    for column in ("split", "kind"):
        spread = manifest.groupby("group")[column].nunique()
        for group, count in spread[spread > 1].items():
            yield f"group {group!r} is in {count} {column}s; a group belongs to one."
    for kind, split in itertools.product(KINDS, SPLITS):
        if not ((manifest["kind"] == kind) & (manifest["split"] == split)).any():
            yield f"the {split} split has no {kind}s; add images and make the collection again."


def _check_files(manifest: pd.DataFrame, root: Path) -> None:
    for kind in KINDS:
        folder = root / _FOLDERS[kind]
        present = set(os.listdir(folder)) if folder.is_dir() else set()
        wanted = manifest.loc[manifest["kind"] == kind, "id"] + _SUFFIXES[kind]
        missing = sorted(set(wanted) - present)
        if missing:
            raise CollectionError(
                f"{folder} lacks {len(missing)} of {len(wanted)} files that the manifest names (first: {missing[0]}); "
                "restore them or make the collection again."
            )
