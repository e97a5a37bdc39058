"""Makes a collection from images that are fit for one, be they from folders (`import`) or the web (`collect`).

Candidates are compared, alike ones put into groups, groups dealt to splits, and the collection written, whole or not at
all.

Memory: the images that are held at one time have at most :data:`PIXELS_AT_ONCE` pixels together, however many threads
there are. At :data:`chairlib.collection.images.BYTES_PER_PIXEL` bytes for each while it is decoded, that is 1.9 GB, and
the files' own bytes.
"""

import csv
import hashlib
import io
import json
import os
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from chairfinder.grouping import find_groups, near_duplicates
from chairfinder.provenance import Provenance
from chairfinder.signatures import Signature, background_signature, segment_signature
from chairfinder.writing import Item, fill_collection
from chairlib.collection.collection import SPLITS, Collection
from chairlib.collection.images import MAX_PIXELS, Decoded, decode_photo, decode_segment, read_bytes, readable_formats
from chairlib.core.errors import CollectionError, ImageError
from chairlib.core.files import atomic_folder
from chairlib.core.progress import progress_bar

#: The report of what was refused inside the collection: kind, file, reason.
REFUSED_FILE = "refused.csv"
_JPEG_QUALITY = 95
#: Pixels of the images that are held at one time: one image of the largest size, or many small ones.
PIXELS_AT_ONCE = MAX_PIXELS
#: Decoders at work at once, as far as there is room for their images.
_MAX_WORKERS = 8

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Candidate:
    """An image that is fit for a collection, without its pixels.

    final: the file that holds the bytes which go into the collection. name: what it is called in messages. label: the
    group that a person put it in, or None.
    """

    final: Path
    name: str
    width: int
    height: int
    pixel_digest: str
    signature: Signature
    provenance: Provenance
    label: str | None = None


@dataclass(frozen=True)
class Origin:
    """What messages say of the candidates of one kind.

    about: where they are from, such as ``"8 files in chairs"``. refused: the reason of each refusal, by name.
    """

    kind: str
    about: str
    refused: Mapping[str, str]


def decode(kind: str, data: bytes) -> Decoded:
    """Decode a file's bytes to a segment (RGBA) or a background (RGB). Raises ImageError with the bare reason."""
    return decode_segment(data) if kind == "segment" else decode_photo(data)


def final_bytes(kind: str, data: bytes, decoded: Decoded) -> bytes:
    """The bytes that go into a collection: the file's own where they are fit, else the image encoded anew.

    Raises ImageError where it cannot be encoded.
    """
    if decoded.finished:
        return data
    stream = io.BytesIO()
    image = decoded.image
    try:
        if kind == "segment":
            image.save(stream, "PNG")
        else:
            image.save(stream, "JPEG", quality=_JPEG_QUALITY)
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be encoded: {image.width} x {image.height} pixels ({error})") from error
    return stream.getvalue()


def pixel_digest(image: Image.Image) -> str:
    """A name for the pixels, however they are encoded."""
    return hashlib.sha256(str(image.size).encode() + image.tobytes()).hexdigest()


def signature(kind: str, image: Image.Image) -> Signature:
    """What is compared to find groups."""
    return segment_signature(image) if kind == "segment" else background_signature(image)


class _Room:
    """How many pixels are held, of :data:`PIXELS_AT_ONCE`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = 0

    def enter(self, pixels: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + pixels <= PIXELS_AT_ONCE)
            self._held += pixels

    def leave(self, pixels: int) -> None:
        with self._changed:
            self._held -= pixels
            self._changed.notify_all()


_ROOM = _Room()


def count_pixels(source: bytes | Path) -> int:
    """The number of pixels that an image's header states, at most :data:`MAX_PIXELS`; 0 where it is no image."""
    try:
        with Image.open(
            io.BytesIO(source) if isinstance(source, bytes) else source, formats=readable_formats()
        ) as image:
            return min(image.width * image.height, MAX_PIXELS)
    except Exception:  # decoding it says what is wrong
        return 0


@contextmanager
def room_for(pixels: int) -> Iterator[None]:
    """Wait until an image of so many pixels may be held, and hold it. Not to be nested: it would wait for itself."""
    _ROOM.enter(pixels)
    try:
        yield
    finally:
        _ROOM.leave(pixels)


def in_threads(
    function: Callable[[In], Out], items: Sequence[In], pixels: Callable[[In], int] | None = None
) -> Iterator[Out]:
    """Results in the order of ``items``. Pillow decodes outside Python's global lock.

    pixels: of the image that ``function`` holds for an item; where that is not given, those of the file that the item
    is.
    """

    def work(item: In) -> Out:
        with room_for(pixels(item) if pixels else count_pixels(item) if isinstance(item, bytes | Path) else 0):
            return function(item)

    pool = ThreadPoolExecutor(min(_MAX_WORKERS, os.cpu_count() or 1))
    try:
        with warnings.catch_warnings():
            # What Pillow warns of (large images, odd metadata) is judged and reported here.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)  # on Ctrl-C, don't decode the rest first


def take_out_near_duplicates(
    candidates: Sequence[Candidate], bits: float, name: Callable[[Candidate], str]
) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
    """Take out near duplicates of earlier candidates: (candidates that stay, candidates taken out with the reason).

    name: what the reason calls the earlier candidate.

    bits: the threshold ``duplicate_bits`` of :class:`chairfinder.screening.Thresholds`.
    """
    near = near_duplicates([candidate.signature for candidate in candidates], int(bits))
    refused = [
        (
            candidates[later],
            f"near duplicate: {differing} of 256 bits differ from {name(candidates[earlier])} "
            f"(more than {bits:g} would do)",
        )
        for later, (earlier, differing) in near.items()
    ]
    return [candidate for number, candidate in enumerate(candidates) if number not in near], refused


def appearance_of(kind: str, image: Image.Image) -> str:
    """The image's signature as a text, by which :func:`take_out_copies` knows it.

    It can be kept where the image itself may not be.
    """
    made = signature(kind, image)
    bits = {name: np.packbits(getattr(made, name)).tobytes().hex() for name in ("colours", "mirrored_colours")}
    values = {"kind": kind, **bits, "mean_colour": made.mean_colour.tolist(), "aspect": made.aspect}
    return json.dumps(values, sort_keys=True)


def _read_appearance(appearance: str) -> tuple[str, Signature]:
    values = json.loads(appearance)
    colours, mirrored = (
        np.unpackbits(np.frombuffer(bytes.fromhex(values[name]), np.uint8)).astype(bool)
        for name in ("colours", "mirrored_colours")
    )
    return values["kind"], Signature(colours, mirrored, np.array(values["mean_colour"]), values["aspect"])


def take_out_copies(
    kind: str, candidates: Sequence[Candidate], appearances: Sequence[tuple[str, str]], bits: float
) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
    """What stays, in order, and what shows the same as an image that was removed, with the reason.

    appearances: (id, appearance) of the removed ones, of any kind. bits: as for :func:`take_out_near_duplicates`, which
    compares in the same way.
    """
    removed = [(identity, *_read_appearance(appearance)) for identity, appearance in appearances]
    kept: list[Candidate] = []
    refused: list[tuple[Candidate, str]] = []
    for candidate in candidates:
        for identity, of_kind, removed_signature in removed:
            # Pair by pair: among several, one that is near another would not count as an original.
            if of_kind == kind and (near := near_duplicates([removed_signature, candidate.signature], int(bits))):
                _, differing = near[1]
                refused.append(
                    (candidate, f"removed: {differing} of 256 bits differ from {identity}, which was removed")
                )
                break
        else:
            kept.append(candidate)
    return kept, refused


def build(
    out: Path,
    candidates: Mapping[str, Sequence[Candidate]],
    origins: Sequence[Origin],
    seed: int,
    extra_files: Mapping[str, str],
    progress: bool = True,
) -> Collection:
    """Group the candidates of each kind, and write them as the collection ``out``.

    The same candidates and ``seed`` give the same collection. Raises CollectionError where a kind has too few groups to
    split; then nothing is written.
    """
    with atomic_folder(out) as folder:
        build_in(folder, out, candidates, origins, seed, extra_files, progress)
    return Collection(out)


def build_in(
    folder: Path,
    out: Path,
    candidates: Mapping[str, Sequence[Candidate]],
    origins: Sequence[Origin],
    seed: int,
    extra_files: Mapping[str, str],
    progress: bool = True,
) -> None:
    """What :func:`build` does, in a ``folder`` that is there and empty. ``out``: its name in messages."""
    groups = {origin.kind: _group(origin.kind, candidates[origin.kind]) for origin in origins}
    for origin in origins:
        _check_enough(origin, groups[origin.kind])
    items = (item for kind, of_kind in groups.items() for item in _items(kind, candidates[kind], of_kind))
    n = sum(map(len, groups.values()))
    # Closed before an error is told, or the error would stand in the bar's own line.
    with progress_bar(items, "writing", total=n, unit="image", disable=not progress) as bar:
        fill_collection(folder, out, bar, seed, extra_files)


def _group(kind: str, candidates: Sequence[Candidate]) -> list[str]:
    return find_groups(
        kind,
        [candidate.signature for candidate in candidates],
        [candidate.pixel_digest for candidate in candidates],
        [candidate.label for candidate in candidates],
    )


def _check_enough(origin: Origin, groups: Sequence[str]) -> None:
    n = len(set(groups))
    if n >= len(SPLITS):
        return
    reasons = ", ".join(f"{count} {name}" for name, count in by_reason(origin.refused.values())) or "none"
    raise CollectionError(
        f"too few {origin.kind}s to split: of {origin.about}, {len(groups)} can be used and make {n} "
        f"group{'' if n == 1 else 's'} of alike images, where {len(SPLITS)} are needed "
        f"(refused: {reasons}); add {origin.kind}s."
    )


def _items(kind: str, candidates: Sequence[Candidate], groups: Sequence[str]) -> Iterator[Item]:
    for candidate, group in zip(candidates, groups, strict=True):
        try:
            data = read_bytes(candidate.final)
        except ImageError as error:
            raise CollectionError(f"{candidate.name} was there a moment ago: {error}; run it again.") from error
        yield Item(kind, data, candidate.width, candidate.height, group, candidate.provenance)


def refused_table(origins: Sequence[Origin]) -> str:
    """The text of :data:`REFUSED_FILE`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["kind", "file", "reason"])
    for origin in origins:
        writer.writerows((origin.kind, name, why) for name, why in origin.refused.items())
    return stream.getvalue()


def by_reason(reasons: Iterable[str]) -> list[tuple[str, int]]:
    """Refusals counted by the rule before the colon, commonest first."""
    return Counter(reason.split(":")[0] for reason in reasons).most_common()
