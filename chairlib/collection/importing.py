"""A collection from two folders of one's own images: `chairlib import`.

Every file is decoded, screened and compared with the others; each that is refused is reported with its reason. A
``manifest.csv`` beside the images may say more about them: ``file`` (or ``filename``) names the image; ``shape_group`` says which belong
together and wins over their looks; ``source`` (or ``source_repo`` and ``path``), ``url``, ``author``, ``licence`` (or
``license``) and ``retrieved`` are kept with the image.
"""

import csv
import hashlib
import io
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from PIL import Image

from chairlib.collection.collection import KINDS, Collection, Item, write_collection
from chairlib.collection.decode import decode_background, decode_segment, read_bytes
from chairlib.collection.grouping import Signature, background_signature, find_groups, segment_signature
from chairlib.collection.screening import screen_background, screen_segment
from chairlib.collection.splits import SPLITS
from chairlib.errors import CollectionError, ImageError
from chairlib.files import disk_errors
from chairlib.progress import progress_bar

__all__ = ["REFUSED_FILE", "ImportReport", "import_folders"]

#: The report of refused files inside the collection: kind, file, reason.
REFUSED_FILE = "refused.csv"
_MANIFEST = "manifest.csv"
_JPEG_QUALITY = 95
#: Decoders at work at once. Each may hold an image of :data:`chairlib.collection.decode.MAX_PIXELS` several times over.
_MAX_WORKERS = 8


@dataclass(frozen=True)
class ImportReport:
    """What an import made of the files it found."""

    collection: Collection
    accepted: Mapping[str, int]
    """Images taken, by kind."""
    refused: list[tuple[Path, str]]
    """Every file that was not taken, with its reason (``name: explanation``)."""

    def __str__(self) -> str:
        taken = " and ".join(f"{count} {kind}s" for kind, count in self.accepted.items())
        lines = [f"{self.collection.root}: {taken} imported, {len(self.refused)} files refused"]
        lines += [f"  {count:5d}  {name}" for name, count in _by_reason(reason for _, reason in self.refused)]
        if self.refused:
            lines.append(f"  each file and its reason: {self.collection.root / REFUSED_FILE}")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Candidate:
    """An image that passed screening, without its pixels."""

    final: Path
    """Holds the bytes that go into the collection: the file itself, or a copy encoded anew."""
    width: int
    height: int
    pixel_digest: str
    final_digest: str
    signature: Signature


@dataclass(frozen=True)
class _Source:
    """A folder of images of one kind, with what its manifests say about them by path."""

    kind: str
    folder: Path
    files: list[Path]
    notes: Mapping[Path, Mapping[str, str]]


def import_folders(
    segments_dir: str | Path, backgrounds_dir: str | Path, out: str | Path, seed: int = 0, progress: bool = True
) -> ImportReport:
    """Make the collection ``out`` from a folder of segments and one of backgrounds, sub-folders included.

    8-bit RGBA PNG (segments) and upright RGB JPEG files (backgrounds) are kept byte for byte, at any size; whatever else can be
    decoded is written anew. Exact copies are taken once. Hidden files, ``manifest.csv`` and README files are passed over.
    The same files and ``seed`` give the same collection. Raises CollectionError where a folder is missing or empty, ``out`` is
    not empty or what is fit makes too few groups to split; then nothing is written.
    """
    out = Path(out).expanduser()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CollectionError(f"{out} exists and is not an empty folder; name a new folder, or remove it first.")
    sources = [
        _find_files(kind, Path(folder)) for kind, folder in zip(KINDS, (segments_dir, backgrounds_dir), strict=True)
    ]
    with tempfile.TemporaryDirectory(prefix="chairlib-import-") as copies:
        sifted = [_sift(source, Path(copies), progress) for source in sources]
        groups = [_group(source, candidates) for source, (candidates, _) in zip(sources, sifted, strict=True)]
        for source, of_kind, (_, refused) in zip(sources, groups, sifted, strict=True):
            _check_enough(source, of_kind, refused)
        items = chain.from_iterable(
            _items(source, candidates, of_kind)
            for source, of_kind, (candidates, _) in zip(sources, groups, sifted, strict=True)
        )
        n = sum(map(len, groups))
        bar = progress_bar(items, "writing", total=n, unit="image", disable=not progress)
        collection = write_collection(out, bar, seed, {REFUSED_FILE: _refused_table(sources, sifted)})
    return ImportReport(
        collection,
        accepted={source.kind: len(of_kind) for source, of_kind in zip(sources, groups, strict=True)},
        refused=[refusal for _, refused in sifted for refusal in refused.items()],
    )


def _find_files(kind: str, folder: Path) -> _Source:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise CollectionError(f"{folder} is not a folder; give the folder that holds the {kind}s.")
    files: list[Path] = []
    notes: dict[Path, dict[str, str]] = {}
    for place, folders, names in os.walk(folder, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        # A link to a folder isn't followed (it may lead in a circle) but reported, like any entry that is no image.
        names += [name for name in folders if (Path(place) / name).is_symlink()]
        files += [Path(place) / name for name in sorted(names) if not _is_passed_over(name)]
        if _MANIFEST in names:
            notes |= _read_notes(Path(place) / _MANIFEST, Path(place).relative_to(folder))
    if not files:
        raise CollectionError(f"{folder} holds no files; give the folder that holds the {kind}s.")
    return _Source(kind, folder, files, notes)


def _refuse_folder(error: OSError) -> None:
    raise CollectionError(f"{error.filename} cannot be read: {error.strerror}.") from error


def _is_passed_over(name: str) -> bool:
    name = name.lower()
    return name.startswith((".", "readme")) or name in (_MANIFEST, "thumbs.db", "desktop.ini")


def _read_notes(file: Path, place: Path) -> dict[Path, dict[str, str]]:
    """The manifest's rows by the path of their image. Labels of a sub-folder's manifest are its own."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="")
            rows = list(reader)
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CollectionError(f"{file} cannot be read as CSV ({error}); mend it, or remove it.") from error
    column = next((name for name in ("file", "filename") if name in columns), None)
    if column is None and "shape_group" in columns:
        raise CollectionError(f"{file} has a column shape_group but none that names the images; add a column file.")
    if column is None:
        return {}
    return {
        file.parent / row[column]: {
            "label": (place / row["shape_group"]).as_posix() if row.get("shape_group") else "",
            "source": row.get("source") or "/".join(filter(None, [row.get("source_repo"), row.get("path")])),
            "url": row.get("url", ""),
            "author": row.get("author", ""),
            "licence": row.get("licence") or row.get("license", ""),
            "retrieved": row.get("retrieved", ""),
        }
        for row in rows
    }


def _sift(source: _Source, copies: Path, progress: bool) -> tuple[dict[Path, _Candidate], dict[Path, str]]:
    """What is fit, and what is refused with its reason, each by path and in order."""
    candidates: dict[Path, _Candidate] = {}
    refused: dict[Path, str] = {}
    known: dict[str, Path] = {}
    bar = progress_bar(
        _in_threads(lambda file: _examine(source.kind, file, copies), source.files),
        f"reading {source.kind}s",
        total=len(source.files),
        unit="file",
        disable=not progress,
    )
    for file, result in zip(source.files, bar, strict=True):
        if isinstance(result, str):
            refused[file] = result
            continue
        # Different pixels may still make the same JPEG bytes.
        twin = known.get(result.pixel_digest) or known.get(result.final_digest)
        if twin:
            refused[file] = f"duplicate: the same image as {twin.relative_to(source.folder).as_posix()}"
            continue
        candidates[file] = result
        known[result.pixel_digest] = known[result.final_digest] = file
    return candidates, refused


def _in_threads(examine: Callable[[Path], _Candidate | str], files: Sequence[Path]) -> Iterator[_Candidate | str]:
    """Results in the order of ``files``. Pillow decodes outside Python's global lock."""
    pool = ThreadPoolExecutor(min(_MAX_WORKERS, os.cpu_count() or 1))
    try:
        with warnings.catch_warnings():
            # What Pillow warns of (large images, odd metadata) is judged and reported here.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield from pool.map(examine, files)
    finally:
        pool.shutdown(cancel_futures=True)  # on Ctrl-C, don't decode the rest first


def _examine(kind: str, file: Path, copies: Path) -> _Candidate | str:
    try:
        data = read_bytes(file)
        decoded = decode_segment(data) if kind == "segment" else decode_background(data)
        image = decoded.image
        refusal = screen_segment(image) if kind == "segment" else screen_background(image)
        if refusal is not None:
            return refusal
        final = file
        if not decoded.finished:
            data = _encode(kind, image)
            final = copies / f"{kind}-{hashlib.sha256(bytes(file)).hexdigest()}"
            with disk_errors(final):
                final.write_bytes(data)
    except ImageError as error:
        return str(error)
    return _Candidate(
        final,
        image.width,
        image.height,
        pixel_digest=hashlib.sha256(str(image.size).encode() + image.tobytes()).hexdigest(),
        final_digest=hashlib.sha256(data).hexdigest(),
        signature=segment_signature(image) if kind == "segment" else background_signature(image),
    )


def _encode(kind: str, image: Image.Image) -> bytes:
    stream = io.BytesIO()
    try:
        if kind == "segment":
            image.save(stream, "PNG")
        else:
            image.save(stream, "JPEG", quality=_JPEG_QUALITY)
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be encoded: {image.width} x {image.height} pixels ({error})") from error
    return stream.getvalue()


def _group(source: _Source, candidates: Mapping[Path, _Candidate]) -> list[str]:
    return find_groups(
        source.kind,
        [candidate.signature for candidate in candidates.values()],
        [candidate.pixel_digest for candidate in candidates.values()],
        [source.notes.get(file, {}).get("label") or None for file in candidates],
    )


def _check_enough(source: _Source, groups: Sequence[str], refused: Mapping[Path, str]) -> None:
    n = len(set(groups))
    if n >= len(SPLITS):
        return
    reasons = ", ".join(f"{count} {name}" for name, count in _by_reason(refused.values())) or "none"
    raise CollectionError(
        f"too few {source.kind}s to split: of {len(source.files)} files in {source.folder}, {len(groups)} can be used and make {n} "
        f"group{'' if n == 1 else 's'} of alike images, where {len(SPLITS)} are needed (refused: {reasons}); add {source.kind}s."
    )


def _items(source: _Source, candidates: Mapping[Path, _Candidate], groups: Sequence[str]) -> Iterator[Item]:
    for (file, candidate), group in zip(candidates.items(), groups, strict=True):
        try:
            data = read_bytes(candidate.final)
        except ImageError as error:
            raise CollectionError(f"{file} was there a moment ago: {error}; run the import again.") from error
        note = source.notes.get(file, {})
        yield Item(
            source.kind,
            data,
            candidate.width,
            candidate.height,
            group,
            source=note.get("source") or file.relative_to(source.folder).as_posix(),
            **{name: note.get(name, "") for name in ("url", "author", "licence", "retrieved")},
        )


def _refused_table(
    sources: Sequence[_Source], sifted: Sequence[tuple[Mapping[Path, _Candidate], Mapping[Path, str]]]
) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["kind", "file", "reason"])
    for source, (_, refused) in zip(sources, sifted, strict=True):
        writer.writerows(
            (source.kind, file.relative_to(source.folder).as_posix(), why) for file, why in refused.items()
        )
    return stream.getvalue()


def _by_reason(reasons: Iterable[str]) -> list[tuple[str, int]]:
    return Counter(reason.split(":")[0] for reason in reasons).most_common()
