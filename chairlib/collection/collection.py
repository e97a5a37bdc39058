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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from chairlib.collection.cells import from_cell, guard_table, read_table, to_cell
from chairlib.collection.images import decode_photo, decode_segment
from chairlib.collection.provenance import OPTIONAL_COLUMNS, PROVENANCE_COLUMNS, Provenance
from chairlib.collection.splits import BACKGROUND_RATIOS, SEGMENT_RATIOS, SPLITS, assign_splits
from chairlib.core import paths
from chairlib.core.errors import CollectionError, ImageError
from chairlib.core.files import atomic_folder

__all__ = ["KINDS", "MANIFEST_COLUMNS", "Collection", "Item", "image_file", "write_collection"]

#: The two kinds of images: what is cut out, and what it is pasted on.
KINDS = ("segment", "background")
#: The columns of every manifest, in order; :data:`chairlib.collection.provenance.OPTIONAL_COLUMNS` may follow.
MANIFEST_COLUMNS = ("id", "kind", *PROVENANCE_COLUMNS, "width", "height", "group", "split")
_FOLDERS = {"segment": "segments", "background": "backgrounds"}
_SUFFIXES = {"segment": ".png", "background": ".jpg"}
_RATIOS = {"segment": SEGMENT_RATIOS, "background": BACKGROUND_RATIOS}
_MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Item:
    """One image that is to be written to a collection: ``data`` is the finished file, an RGBA PNG or an RGB JPEG."""

    kind: str
    data: bytes
    width: int
    height: int
    group: str
    provenance: Provenance


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
        _check_manifest(self.manifest, self.root)
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


def write_collection(
    out: str | Path, items: Iterable[Item], seed: int = 0, extra_files: Mapping[str, str] | None = None
) -> Collection:
    """Write ``items`` as a new collection in the folder ``out``, assign splits, and open it.

    ``items`` are written one at a time; their order is the manifest's. ``extra_files`` are texts by file name to stand
    beside the manifest, CSV tables with apostrophes before formulas. The folder appears whole or not at all; ``out``
    must be absent or empty. Raises CollectionError where an image is given twice or a kind has too few groups,
    ChairlibError where ``out`` can't be written.
    """
    out = Path(out).expanduser()
    with atomic_folder(out) as folder:
        for name in _FOLDERS.values():
            (folder / name).mkdir()
        manifest = pd.DataFrame(
            [_write_item(folder, item) for item in items], columns=[*MANIFEST_COLUMNS, *OPTIONAL_COLUMNS]
        )
        manifest = manifest.drop(columns=[name for name in OPTIONAL_COLUMNS if not manifest[name].any()])
        for kind in KINDS:
            of_kind = manifest["kind"] == kind
            try:
                manifest.loc[of_kind, "split"] = assign_splits(
                    manifest.loc[of_kind, "group"].tolist(), _RATIOS[kind], seed
                )
            except CollectionError as error:
                raise CollectionError(f"too few {kind}s: {error}") from None
        _check_manifest(manifest, out)
        manifest.map(to_cell).to_csv(folder / _MANIFEST, index=False, lineterminator="\n")
        for name, text in (extra_files or {}).items():
            text = guard_table(text) if name.endswith(".csv") else text
            (folder / name).write_text(text, encoding="utf-8")
    return Collection(out)


def _write_item(folder: Path, item: Item) -> dict[str, str | int]:
    identity = hashlib.sha256(item.data).hexdigest()[:16]
    image_file(folder, item.kind, identity).write_bytes(item.data)
    columns = {name: getattr(item, name) for name in ("kind", "width", "height", "group")}
    return {**columns, **asdict(item.provenance), "id": identity, "split": ""}


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
    file = root / _MANIFEST
    if not file.is_file():
        raise CollectionError(
            f"{root} holds no {_MANIFEST}, so it is not a collection; make one with `chairlib import`."
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


def _check_manifest(manifest: pd.DataFrame, root: Path) -> None:
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
