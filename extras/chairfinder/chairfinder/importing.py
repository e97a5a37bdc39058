"""A collection from two folders of one's own images: `chairlib import`.

Every file is decoded, screened and compared with the others; each that is refused is reported with its reason. A
``manifest.csv`` beside the images may say more about them: ``file`` (or ``filename``, ``file_name``) names the image;
``shape_group`` (or ``group``) says which belong together and wins over their looks; ``source`` (or ``source_repo`` and
``path``), ``url``, ``author``, ``licence`` (or ``license``), ``retrieved``, ``landing_page`` and ``licence_url`` are
kept with the image. It is read as spreadsheets write it, see :func:`chairlib.collection.cells.read_table`.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chairfinder.building import (
    REFUSED_FILE,
    Candidate,
    Origin,
    build_in,
    by_reason,
    decode,
    final_bytes,
    in_threads,
    pixel_digest,
    refused_table,
    signature,
    take_out_near_duplicates,
)
from chairfinder.licences import forbids_changes
from chairfinder.names import find_file
from chairfinder.provenance import Provenance
from chairfinder.screening import Thresholds, screen_background, screen_segment
from chairfinder.signatures import Signature
from chairfinder.texts import text_of, url_of
from chairlib.collection.cells import from_cell, one_line, read_table
from chairlib.collection.collection import KINDS, Collection, image_file
from chairlib.collection.images import read_bytes
from chairlib.core.code import code_hash
from chairlib.core.errors import CollectionError, ImageError
from chairlib.core.files import atomic_folder, check_free, disk_errors, has_kept, is_leftover, keep, kept
from chairlib.core.progress import note, progress_bar

_MANIFEST = "manifest.csv"
#: The columns of a manifest that are read: names of one thing beside each other.
_NAME_COLUMNS = ("file", "filename", "file_name")
_COLUMNS = (
    *_NAME_COLUMNS, "id", "kind", "shape_group", "group", "source", "source_repo", "path", "url", "author", "licence",
    "license", "retrieved", "landing_page", "licence_url", "license_url",
)  # fmt: skip


@dataclass(frozen=True)
class ImportReport:
    """What an import made of the files it found."""

    collection: Collection
    accepted: Mapping[str, int]
    """Images taken, by kind."""
    refused: list[tuple[Path, str]]
    """Every file that was not taken, with its reason (``name: explanation``)."""
    unmatched: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """Rows of the manifests that name no file, by kind."""

    def __str__(self) -> str:
        taken = " and ".join(f"{count} {kind}s" for kind, count in self.accepted.items())
        lines = [f"{self.collection.root}: {taken} imported, {len(self.refused)} files refused"]
        lines += [f"  {count:5d}  {name}" for name, count in by_reason(reason for _, reason in self.refused)]
        if self.refused:
            lines.append(f"  each file and its reason: {self.collection.root / REFUSED_FILE}")
        lines += [
            f"  {len(paths)} rows of {kind}s' {_MANIFEST} name no file (first: {paths[0]})"
            for kind, paths in self.unmatched.items()
            if paths
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class _ImageFolder:
    """A folder of images of one kind, with what its manifests say about them by path."""

    kind: str
    folder: Path
    files: list[Path]
    notes: Mapping[Path, Mapping[str, str]]

    @property
    def unmatched(self) -> list[Path]:
        """Paths that rows of the manifests name and that are no readable file: those rows describe no image."""
        found = set(self.files)
        return [path for path in self.notes if path not in found]


def import_folders(
    segments_dir: str | Path,
    backgrounds_dir: str | Path,
    out: str | Path,
    seed: int = 0,
    progress: bool = True,
    thresholds: Thresholds | None = None,
) -> ImportReport:
    """Make the collection ``out`` from a folder of segments and one of backgrounds, sub-folders included.

    8-bit RGBA PNG (segments) and upright RGB JPEG files (backgrounds) are kept byte for byte, at any size; whatever
    else can be decoded is written anew. What the rules of :mod:`chairfinder.screening` refuse, with ``thresholds`` or
    its defaults, is left out and reported with the figure, as is an image whose licence, by the manifest, forbids
    changes. Exact copies are taken once, and of pictures that show the same (``duplicate_bits``) the first. Hidden
    files, ``manifest.csv`` and README files are passed over. The same files and ``seed`` give the same collection.
    Raises CollectionError where a folder is missing or empty, none of a manifest's rows names a file, or what is fit
    makes too few groups to split, ChairlibError where ``out`` is not empty; then nothing is written.

    What was found out about each file is kept beside ``out`` until that is there. So a call that was stopped in any
    way is repeated at little cost, and so is one with other files: what is kept belongs to a file's content.
    """
    out = Path(out).expanduser()
    check_free(out)
    folders = [
        _find_files(kind, Path(folder)) for kind, folder in zip(KINDS, (segments_dir, backgrounds_dir), strict=True)
    ]
    with atomic_folder(out) as folder:
        judge = _Judge(folder, thresholds or Thresholds())
        if progress:
            judge.tell_what_is_done(folders)
        sifted = [_screen_files(images, judge, progress) for images in folders]
        origins = [_origin(images, refused) for images, (_, refused) in zip(folders, sifted, strict=True)]
        candidates = {images.kind: found for images, (found, _) in zip(folders, sifted, strict=True)}
        build_in(folder, out, candidates, origins, seed, {REFUSED_FILE: refused_table(origins)}, progress)
    return ImportReport(
        Collection(out),
        accepted={kind: len(of_kind) for kind, of_kind in candidates.items()},
        refused=[refusal for _, refused in sifted for refusal in refused.items()],
        unmatched={images.kind: images.unmatched for images in folders},
    )


def _origin(images: _ImageFolder, refused: Mapping[Path, str]) -> Origin:
    names = {file.relative_to(images.folder).as_posix(): reason for file, reason in refused.items()}
    return Origin(images.kind, f"{len(images.files)} files in {images.folder}", names)


def _find_files(kind: str, folder: Path) -> _ImageFolder:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise CollectionError(f"{folder} is not a folder; give the folder that holds the {kind}s.")
    files: list[Path] = []
    notes: dict[Path, dict[str, str]] = {}
    for place, folders, names in os.walk(folder, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if not is_leftover(name))
        # A link to a folder isn't followed (it may lead in a circle) but reported, like any entry that is no image.
        names += [name for name in folders if (Path(place) / name).is_symlink()]
        files += [Path(place) / name for name in sorted(names) if not is_ignored(name)]
        for name in filter(is_manifest, names):
            notes |= read_notes(Path(place) / name, Path(place).relative_to(folder))
    if not files:
        raise CollectionError(f"{folder} holds no files; give the folder that holds the {kind}s.")
    if notes:  # a name in other capitals is the same one on many systems
        by_path, by_name = set(files), {str(file).casefold(): file for file in files}
        notes = {path if path in by_path else by_name.get(str(path).casefold(), path): notes[path] for path in notes}
    images = _ImageFolder(kind, folder, files, notes)
    if notes and len(images.unmatched) == len(notes):
        # Groups and licences would be lost without a word.
        raise CollectionError(
            f"{folder}: none of the {len(notes)} rows of {_MANIFEST} names a file (first: {next(iter(notes))}); "
            "its column file "
            "holds the images' names, with their suffix and relative to the manifest."
        )
    return images


def _refuse_folder(error: OSError) -> None:
    raise CollectionError(f"{error.filename} cannot be read: {error.strerror}.") from error


def is_ignored(name: str) -> bool:
    """Whether a file of this name is no image: left behind by a system, a manifest, a README."""
    return is_leftover(name) or is_manifest(name) or name.lower().startswith("readme")


def is_manifest(name: str) -> bool:
    """Whether a file of this name says more about the images beside it: ``manifest.csv``, in any capitals."""
    return name.lower() == _MANIFEST


def read_notes(file: Path, place: Path) -> dict[Path, dict[str, str]]:
    """The manifest's rows by the path of their image, each text in one line of printable characters.

    Labels of a sub-folder's manifest are its own (``place``, relative).
    """
    columns, rows = read_table(file, _COLUMNS)
    is_collection = "id" in columns and "kind" in columns  # its own manifest, which names no files
    if not is_collection and not {*_NAME_COLUMNS} & {*columns}:
        raise CollectionError(
            f"{file} has no column that names the images (found: {', '.join(columns)}; expected: file); add it, or "
            "remove the manifest."
        )
    for names in (("licence", "license"), ("shape_group", "group")):
        for column in columns:
            # What decides which images may be taken, and in which split, must not be lost for its name.
            if column not in _COLUMNS and {*names} & {*re.split(r"\W|_", column)} and not {*names} & {*columns}:
                raise CollectionError(f"{file} has a column {column!r}, which is not read; rename it: {names[0]!r} is.")
    notes: dict[Path, dict[str, str]] = {}
    for line, row in rows:
        if any(re.search(r"\n.*\.(png|jpe?g|webp|tiff?)\b", cell, re.IGNORECASE) for cell in row.values()):
            raise CollectionError(f"{file}: a cell that ends in line {line} holds whole rows; close its quote.")
        one_of = partial(_one_of, file, line, row)
        note = _read_row(one_of, place)
        if is_collection:
            path = image_file(file.parent, one_of("kind"), one_of("id"))
        elif name := one_of(*_NAME_COLUMNS):
            path = find_file(file.parent, name)
        else:
            raise CollectionError(
                f"{file}, line {line} names no image; write its file's name there, or remove the row."
            )
        if notes.setdefault(path, note) != note:
            raise CollectionError(
                f"{file}, line {line}: {path.name} has another row that says something else; keep one."
            )
    return notes


def _one_of(file: Path, line: int, row: Mapping[str, str], *names: str) -> str:
    """The text of the columns that mean the same, of which at most one says something."""
    found = {text for name in names if (text := from_cell(row.get(name, "").strip()))}
    if len(found) > 1:
        raise CollectionError(
            f"{file}, line {line}: columns {' and '.join(names)} differ: {', '.join(sorted(found))}; keep one."
        )
    return found.pop() if found else ""


def _read_row(field: Callable[..., str], place: Path) -> dict[str, str]:
    group = url_of(field("shape_group") or field("group"))
    source = field("source") or "/".join(filter(None, [field("source_repo"), field("path")]))
    return {
        "label": (place / group).as_posix() if group else "",
        "source": text_of(source),
        "url": url_of(field("url")),
        "author": text_of(field("author")),
        "licence": text_of(field("licence", "license")),
        "retrieved": text_of(field("retrieved")),
        "landing_page": url_of(field("landing_page")),
        "licence_url": url_of(field("licence_url", "license_url")),
    }


def _screen_files(images: _ImageFolder, judge: "_Judge", progress: bool) -> tuple[list[Candidate], dict[Path, str]]:
    """What is fit, and what is refused with its reason by path, each in order."""
    candidates: list[Candidate] = []
    refused: dict[Path, str] = {}
    known: dict[str, Path] = {}
    bar = progress_bar(
        in_threads(lambda file: _examine(images, file, judge), images.files),
        f"reading {images.kind}s",
        total=len(images.files),
        unit="file",
        disable=not progress,
    )
    for file, result in zip(images.files, bar, strict=True):
        if isinstance(result, str):
            refused[file] = result
            continue
        candidate, final_digest = result
        # Different pixels may still make the same JPEG bytes.
        twin = known.get(candidate.pixel_digest) or known.get(final_digest)
        if twin:
            refused[file] = f"duplicate: the same image as {twin.relative_to(images.folder).as_posix()}"
            continue
        candidates.append(candidate)
        known[candidate.pixel_digest] = known[final_digest] = file
    staying, near = take_out_near_duplicates(
        candidates,
        judge.thresholds.duplicate_bits,
        lambda candidate: Path(candidate.name).relative_to(images.folder).as_posix(),
    )
    return staying, refused | {Path(candidate.name): reason for candidate, reason in near}


def _examine(images: _ImageFolder, file: Path, judge: "_Judge") -> tuple[Candidate, str] | str:
    """The candidate and the digest of its final bytes, or why the file is refused."""
    kind, row = images.kind, images.notes.get(file, {})
    if forbids_changes(row.get("licence", "")):
        return f"licence forbids changes: {row['licence']}; a composite is one"
    try:
        judged = judge(kind, read_bytes(file))
    except ImageError as error:  # not kept: the next call may have more memory, say
        return str(error)
    if "refused" in judged:
        return str(judged["refused"])
    known = {column.name: row.get(column.name, "") for column in fields(Provenance)}
    known["source"] = known["source"] or one_line(file.relative_to(images.folder).as_posix())
    candidate = Candidate(
        file if judged["finished"] else judge.final_file(judged["final"]),
        str(file),
        judged["width"],
        judged["height"],
        judged["pixels"],
        Signature.from_json(judged["signature"]),
        Provenance(**known),
        label=row.get("label") or None,
    )
    return candidate, judged["final"]


class _Judge:
    """Decodes and screens files, and keeps what it finds beside the folder of the collection."""

    def __init__(self, folder: Path, thresholds: Thresholds) -> None:
        self._folder, self.thresholds = folder, thresholds
        # Here, and not when the first file needs it: Python cannot parse code in several threads at once.
        ours = [code_hash(module) for module in ("chairfinder.importing", "chairlib.collection.images")]
        self._code = (*ours, *map(version, ("imagehash", "numpy", "pillow", "scipy")))

    def __call__(self, kind: str, data: bytes) -> dict[str, Any]:
        """What a file's bytes are found to be: ``refused`` with the reason, or all of a candidate.

        Raises ImageError where they cannot be decoded. That is not kept: the next call may have more memory, say.
        """
        key = self._key(kind, data)
        if (known := self._read(key)) is not None:
            return known
        decoded = decode(kind, data)
        image = decoded.image
        screen = screen_segment if kind == "segment" else screen_background
        refusal = screen(image, thresholds=self.thresholds)
        judged: dict[str, Any] = {"refused": refusal}
        if refusal is None:
            final = final_bytes(kind, data, decoded)
            judged = {
                "width": image.width,
                "height": image.height,
                "pixels": pixel_digest(image),
                "signature": signature(kind, image).to_json(),
                "final": hashlib.sha256(final).hexdigest(),
                "finished": decoded.finished,
            }
            if not decoded.finished:
                file = self.final_file(judged["final"])
                with disk_errors(file):
                    file.write_bytes(final)
        keep(self._folder, json.dumps(judged).encode(), *key)
        return judged

    def final_file(self, digest: str) -> Path:
        """Where the bytes of this SHA-256 are kept that go into the collection in place of the file's own."""
        return self._folder.with_name(f"{digest}.image")

    def tell_what_is_done(self, folders: Sequence[_ImageFolder]) -> None:
        """Say how many of the files an earlier call has judged, if any."""
        if not has_kept(self._folder):  # no need to read all files
            return
        files = [(images.kind, file) for images in folders for file in images.files]
        results = in_threads(lambda pair: self._is_kept(*pair), files, lambda _: 0)
        bar = progress_bar(results, "looking for what was done", total=len(files), unit="file", leave=False)
        if done := sum(bar):
            note(f"going on: {done:,} of {len(files):,} images were done before")

    def _is_kept(self, kind: str, file: Path) -> bool:
        try:
            return self._read(self._key(kind, read_bytes(file))) is not None
        except ImageError:
            return False

    def _key(self, kind: str, data: bytes) -> tuple[object, ...]:
        return "import", kind, hashlib.sha256(data).hexdigest(), self.thresholds, self._code

    def _read(self, key: tuple[object, ...]) -> dict[str, Any] | None:
        """What was kept, where that is whole."""
        found = kept(self._folder, *key)
        judged: dict[str, Any] | None = json.loads(found) if found else None
        if judged and not judged.get("finished", True):
            try:
                final = self.final_file(judged["final"]).read_bytes()
            except OSError:
                return None
            if hashlib.sha256(final).hexdigest() != judged["final"]:
                return None
        return judged
