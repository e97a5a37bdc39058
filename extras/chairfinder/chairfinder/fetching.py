"""Fetching public datasets: resumable downloads, checked archives, unpacking that stays in its folder.

Nothing here is needed to build the paper: the data it uses by default ships with the package or is rendered. Hosts of
old datasets disappear, so every error of the network ends with the steps to take by hand; the address can be replaced
by a mirror's. No checksum of these archives is published: those of the first fetch and of what was unpacked from it are
kept in ``.fetched.json``, and whatever is there later is checked against them.

Requests go through :mod:`chairfinder.web`: archives of old hosts come over plain http, and whoever answers in their
stead may redirect to, or name images at, machines that only this one can reach. Only the host that a person gave may be
such a machine.
"""

import fcntl
import hashlib
import json
import math
import os
import random
import re
import shutil
import stat
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from PIL import Image

from chairfinder import web
from chairfinder.web import Limits, PassingError, UnusableError, is_web_address, open_client, without_credentials
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.files import atomic_folder, check_free, disk_errors, is_leftover, write_json
from chairlib.core.progress import progress_bar

#: Beside what was fetched: address, bytes, SHA-256 and date of every file.
RECORD = ".fetched.json"
#: Bytes that stay free on the disk whatever is fetched.
MARGIN = 32_000_000
#: An attempt that brings this many new bytes is progress: the tries are counted from the start again.
PROGRESS = 1_000_000


class FetchError(ChairlibError):
    """A failure of the network, the server or the file it sent.

    The first line says what happened; the steps to take by hand may follow.
    """


class _Unusable(FetchError):
    """The server answers but does not have this file, or sends something else."""


#: How patient a fetch is. ``total`` is for all of it, and what it has got by then is kept.
LIMITS = Limits(connect=20, read=30, total=12 * 3600, tries=5)


@dataclass(frozen=True)
class Kind:
    """A file format, known by its first bytes."""

    noun: str
    magic: bytes


ZIP = Kind("a zip archive", b"PK\x03\x04")
JPEG = Kind("a JPEG image", b"\xff\xd8\xff")


@dataclass(frozen=True)
class Dataset:
    """One dataset: its address, its limits of size, what is made of it, and how it is read (``{out}`` is the folder).

    folder: what the archive is unpacked to, whole; ``expected`` must be in it. None: only ``expected`` is read, as
    annotations. images_from: the domain of the images that annotations may name, unless they come from another address
    than ``url``.
    """

    about: str
    url: str
    archive: str
    size: str
    max_bytes: int
    folder: str | None
    expected: tuple[str, ...]
    max_unpacked: int
    max_members: int
    by_hand: str
    reading: str
    images_from: str = ""

    def steps(self, name: str, out: Path) -> str:
        """What a person can do where the download can't be made."""
        lines = [
            f"Get {self.archive} ({self.size}) from {self.url}, from a mirror, or from somebody who has it.",
            f"Put it at {out / self.archive} and run again: chairlib fetch {name} --out {out}",
            self.by_hand.format(out=out),
            f"Then read it: {self.reading.format(out=out)}",
        ]
        numbered = "\n".join(f"  {number}. {line}" for number, line in enumerate(lines, 1))
        return f"By hand, {self.about}:\n{numbered}\nFrom a mirror: chairlib fetch {name} --out {out} --url ADDRESS"


DATASETS = {
    "object-discovery": Dataset(
        about="Object Discovery (airplanes, cars and horses)",
        url="https://people.csail.mit.edu/mrub/ObjectDiscovery/ObjectDiscovery-data.zip",
        archive="ObjectDiscovery-data.zip",
        size="about 400 MB",
        max_bytes=2 * 10**9,
        folder="ObjectDiscovery-data",
        expected=("Data",),
        max_unpacked=8 * 10**9,
        max_members=500_000,
        by_hand="Or unpack it yourself, so that {out}/ObjectDiscovery-data/Data/Car exists.",
        reading='ObjectDiscovery("{out}", "car")',
    ),
    "released-64": Dataset(
        about="the authors' composites at 64 pixels",
        url="https://www.cs.rice.edu/~vo9/chair-segments/Chair064.zip",
        archive="Chair064.zip",
        size="size unknown",
        max_bytes=8 * 10**9,
        folder="Chair064",
        expected=("train/image", "train/mask", "val/image", "val/mask", "test/image", "test/mask"),
        max_unpacked=20 * 10**9,
        max_members=4_000_000,
        by_hand="Or unpack it yourself, so that {out}/Chair064/train/image and {out}/Chair064/train/mask exist.",
        reading="chairlib benchmark --data {out}/Chair064",
    ),
    "coco-chairs": Dataset(
        about="the images of COCO val2017 that hold a chair",
        url="http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
        archive="annotations_trainval2017.zip",
        size="about 250 MB",
        max_bytes=10**9,
        folder=None,
        expected=("annotations/instances_val2017.json",),
        max_unpacked=200 * 10**6,
        max_members=1000,
        by_hand="Images already in {out}/images are kept: those of val2017.zip, of the same site, are the same files.",
        reading='CocoChairs("{out}/images", "{out}/instances_chairs.json")',
        images_from="cocodataset.org",
    ),
}


# -- the record -------------------------------------------------------------------------------------------------------


def _digest(path: Path, is_left_out: Callable[[str], bool] = is_leftover) -> str:
    """SHA-256 of a file, or of a folder: over the names and contents of its files.

    Hidden files and others that systems leave behind do not count.
    """
    with disk_errors(path):
        if not path.is_dir():
            with open(path, "rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        lines = [f"{_digest(file)} {file.relative_to(path).as_posix()}\n" for file in _files(path, is_left_out)]
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _files(folder: Path, is_left_out: Callable[[str], bool] = is_leftover) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(map(is_left_out, path.relative_to(folder).parts)))


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (_files(path) if path.is_dir() else [path]))


class _Record:
    """``.fetched.json``: what was fetched first, by name relative to the folder."""

    def __init__(self, out: Path) -> None:
        self.path = out / RECORD
        self.files: dict[str, dict[str, Any]] = {}
        if not self.path.exists():
            return
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))["files"]
            if not all(re.fullmatch("[0-9a-f]{64}", entry["sha256"]) for entry in found.values()):
                raise ValueError("not a SHA-256")
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ChairlibError(
                f"{self.path} cannot be read as a record of what was fetched; "
                "remove it, and what is in its folder will be taken as it is."
            ) from error
        self.files = found

    def save(self) -> None:
        write_json(self.path, {"files": self.files})

    def agree(self, name: str, path: Path, url: str | None) -> bool:
        """Check ``path`` against the entry of ``name``, or make that entry, without saving it.

        Returns whether there was one.
        """
        digest, entry = _digest(path), self.files.get(name)
        if entry is None:
            self.files[name] = {
                "url": url,
                "bytes": _size(path),
                "sha256": digest,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            return False
        # Earlier versions counted all files but the hidden ones.
        if entry["sha256"] in (digest, _digest(path, lambda name: name.startswith("."))):
            return True
        first = (
            f"first fetched on {entry.get('date', '?')} from {entry.get('url') or 'a file that was put there by hand'}"
        )
        if path.name != Path(name).name:
            cause = (
                f"the server now sends {Path(name).name} with SHA-256 {digest}, "
                f"but the one {first} had {entry['sha256']}"
            )
            cure = f"If you want the new one, remove {self.path} and run it again"
        else:
            cause = (
                f"{path} has SHA-256 {digest}, but had {entry['sha256']} when {first}: it is damaged or was replaced"
            )
            cure = f"Remove it and run it again; if you replaced it on purpose, remove {self.path} instead"
        raise ChairlibError(f"{cause}. {cure}.")


# -- one file ---------------------------------------------------------------------------------------------------------


def _format_bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.{0 if unit == 'B' else 1}f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _check_address(url: str, origin: str | None = None) -> None:
    if is_web_address(url):
        return
    if origin is None:
        raise ParameterError(f"the address {url!r} is not of the form http://... or https://...")
    raise FetchError(f"{without_credentials(origin)} redirects to {url!r}; only http and https are followed.")


def _check_space(folder: Path, count: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < count + MARGIN:
        raise ChairlibError(
            f"{folder} has {_format_bytes(free)} free, and {what} needs {_format_bytes(count + MARGIN)}; "
            "free some space or choose another folder, then run it again."
        )


class _Part:
    """The unfinished file beside its target, and what the server said of it (``.part.json``)."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + ".part")
        self.notes = target.with_name(target.name + ".part.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def known(self, url: str) -> dict[str, Any]:
        """The notes, where the part can be gone on with; else an empty dictionary."""
        try:
            found = json.loads(self.notes.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        usable = (
            isinstance(found, dict)
            and found.get("url") == without_credentials(url)
            and isinstance(found.get("validator"), str)
        )
        return found if usable and self.size else {}

    def start(self, url: str, validator: str | None, total: int | None) -> None:
        self.path.unlink(missing_ok=True)  # first: notes must never stand beside bytes of another file
        write_json(self.notes, {"url": without_credentials(url), "validator": validator, "total": total})

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        with open(self.path, "rb+") as stream:
            os.fsync(stream.fileno())
        self.path.replace(target)
        self.notes.unlink(missing_ok=True)


def _validator(response: httpx.Response) -> str | None:
    """What says that a file is still the same one: a strong ETag, or the date of the last change."""
    tag = response.headers.get("ETag", "")
    found = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
    return found if found and found.isascii() else None


@contextmanager
def _follow_redirects(
    client: httpx.Client, url: str, headers: dict[str, str], limits: Limits
) -> Iterator[httpx.Response]:
    """The response at the end of the redirects."""
    address = url
    for _ in range(limits.redirects + 1):
        with client.stream("GET", address, headers=headers) as response:
            if not response.has_redirect_location:
                yield response
                return
            target = response.headers["Location"]
        try:
            address = urljoin(address, target)
        except ValueError:
            address = target
        _check_address(address, origin=url)
    raise FetchError(
        f"{without_credentials(url)} redirects more than {limits.redirects} times, "
        f"the last time to {without_credentials(address)}."
    )


def _check_status(response: httpx.Response, url: str) -> None:
    """Raise PassingError, with the pause that the server asks for, or FetchError, unless bytes of the file are sent."""
    code = response.status_code
    if code == 206:
        return
    try:
        web.check_status(response)
    except UnusableError:
        reason = f"the server answered {code} {response.reason_phrase}".rstrip()
        raise (_Unusable if code in (403, 404, 410) else FetchError)(
            f"{without_credentials(url)} cannot be fetched: {reason}."
        ) from None


def _check_format(chunks: Iterable[bytes], kind: Kind, response: httpx.Response, url: str) -> Iterator[bytes]:
    """The chunks, once the first bytes are those of ``kind``: a login page must not take a file's place."""
    head, known = b"", False
    for chunk in chunks:
        if known:
            yield chunk
            continue
        head += chunk
        if len(head) < len(kind.magic):
            continue
        known = head.startswith(kind.magic)
        if not known:
            page = head.lstrip()[:1] == b"<" or "html" in response.headers.get("Content-Type", "")
            found = "a web page" if page else f"a file that begins with {head[:8]!r}"
            raise FetchError(
                f"{without_credentials(url)} sent {found} instead of {kind.noun}: "
                "the file has moved, or this network asks for a login first."
            )
        yield head


def _total_from_range(response: httpx.Response, offset: int) -> int | None:
    """The whole file's size (None: not said) from a 206's Content-Range, which must begin at ``offset``."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not found or int(found[1]) != offset:
        raise PassingError("the server sent another part of the file than it was asked for")
    return None if found[3] == "*" else int(found[3])


@dataclass
class _Download:
    """One file on its way to ``target``."""

    client: httpx.Client
    url: str
    target: Path
    kind: Kind
    max_bytes: int
    limits: Limits
    deadline: float
    one_of_many: bool

    def __post_init__(self) -> None:
        self.part = _Part(self.target)
        #: Whether anybody ever answered: a host that is gone is not asked again.
        self.answered = self.one_of_many
        self.random = random.Random()

    def attempt(self) -> int | None:
        """Ask for what is missing and append it; the whole file's size as the server stated it.

        Whatever it sends and however slowly, also before the file and between its pieces, this ends when the time is
        up.
        """
        with web.deadline(self.deadline - time.monotonic()):
            try:
                with web.transport_errors(self.limits):
                    return self._attempt()
            except UnusableError as error:
                raise FetchError(f"{without_credentials(self.url)} cannot be fetched: {error}.") from None

    def _attempt(self) -> int | None:
        notes = self.part.known(self.url)
        offset = self.part.size if notes else 0
        headers = {"Range": f"bytes={offset}-", "If-Range": notes["validator"]} if offset else {}
        with _follow_redirects(self.client, self.url, headers, self.limits) as response:
            self.answered = True
            if response.status_code == 416 and offset:
                if notes.get("total") == offset:
                    return offset
                self.part.remove()
                raise PassingError("the server has no such part of the file any more")
            _check_status(response, self.url)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise FetchError(f"{without_credentials(self.url)} was sent in an encoding that was not asked for.")
            if response.status_code == 206:
                total = self._resumed(response, notes, offset)
            else:
                offset, total = 0, self._length(response)
            self._check_size(total or 0)
            _check_space(self.target.parent, (total or 0) - offset, self.target.name)
            self._append(response, offset, total)
        if total not in (None, self.part.size):
            raise PassingError(f"only {_format_bytes(self.part.size)} of {_format_bytes(total or 0)} came")
        return total

    def _length(self, response: httpx.Response) -> int | None:
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    def _resumed(self, response: httpx.Response, notes: dict[str, Any], offset: int) -> int | None:
        try:
            total = _total_from_range(response, offset)
            if offset and (_validator(response) not in (None, notes["validator"]) or total != notes.get("total")):
                raise PassingError("the file has changed on the server")
        except PassingError:
            self.part.remove()
            raise
        return total

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            self.part.remove()
            raise FetchError(
                f"{without_credentials(self.url)} is larger than {_format_bytes(self.max_bytes)}, "
                "the most that is taken: not the file it was."
            )

    def _append(self, response: httpx.Response, offset: int, total: int | None) -> None:
        size = offset
        bar = progress_bar(
            total=total,
            initial=offset,
            desc=self.target.name,
            unit="B",
            unit_scale=True,
            disable=self.one_of_many,
            leave=False,
        )
        chunks: Iterable[bytes] = response.iter_raw()
        if not offset:
            chunks = _check_format(chunks, self.kind, response, self.url)
        stream = None
        try:
            for chunk in chunks:
                if stream is None:
                    # Only now: an old part is worth more than an answer that turns out to be a login page.
                    if not offset:
                        self.part.start(self.url, _validator(response), total)
                    stream = open(self.part.path, "ab")  # noqa: SIM115
                size += len(chunk)
                self._check_size(size)
                stream.write(chunk)
                bar.update(len(chunk))
                self.check_time()
        finally:
            bar.close()
            if stream is not None:
                stream.close()

    def check_time(self, pause: float = 0) -> None:
        if time.monotonic() + pause > self.deadline:
            raise FetchError(
                f"{without_credentials(self.url)} took longer than the {self.limits.total:g} s allowed; "
                f"{_format_bytes(self.part.size)} are kept, and running it again goes on from there."
            )

    def run(self, check: Callable[[Path], None], say: Callable[[str], None]) -> None:
        """Attempts until the file is whole and ``check`` accepts it."""
        best, failures = self.part.size, 0
        while True:
            try:
                total = self.attempt()
                self._accept(check, total)
                return
            except PassingError as error:
                failures = 1 if self.part.size >= best + PROGRESS else failures + 1
                best = max(best, self.part.size)
                self.check_time()
                if failures >= self.limits.tries or not (self.answered or best) or error.outlasts(self.limits):
                    kept = f"; {_format_bytes(self.part.size)} are kept for the next time" if self.part.size else ""
                    times = f" ({failures} tries)" if failures > 1 else ""
                    later = f"; it asks to be left alone for {error.wait:,.0f} s" if error.outlasts(self.limits) else ""
                    raise FetchError(
                        f"{without_credentials(self.url)} cannot be fetched: {error}{later}{times}{kept}."
                    ) from error
                pause = web.pause_before(failures, error.wait, self.limits, self.random)
                self.check_time(pause)
                if not self.one_of_many:
                    say(f"{self.target.name}: {error}; trying again")
                time.sleep(pause)

    def _accept(self, check: Callable[[Path], None], total: int | None) -> None:
        if not self.part.size:
            raise PassingError("the server sent nothing")
        try:
            check(self.part.path)
        except FetchError as error:
            self.part.remove()
            if total is None:  # nobody said how long the file is: it may have been cut
                raise PassingError(f"what came is not whole ({error})") from error
            raise _Unusable(f"{without_credentials(self.url)} sent a file that cannot be used: {error}") from error


def download(
    url: str,
    target: Path,
    kind: Kind,
    max_bytes: int,
    check: Callable[[Path], None],
    accept: Callable[[Path], object] = lambda part: None,
    *,
    client: httpx.Client,
    limits: Limits = LIMITS,
    deadline: float = math.inf,
    one_of_many: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Fetch ``url`` to ``target``, going on with what an earlier try left in ``target.part``.

    check: raises FetchError for bytes that cannot be the file. accept: may refuse the whole file, which is then kept as
    part. one_of_many: no bar of its own, and a server that doesn't answer is tried again, as it did for the others.
    """
    _check_address(url)
    with disk_errors(target):
        job = _Download(client, url, target, kind, max_bytes, limits, deadline, one_of_many)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            job.run(check, say)
        except KeyboardInterrupt:
            if job.part.size:
                print(f"\nkept {_format_bytes(job.part.size)} in {job.part.path}", file=sys.stderr)
            raise
        accept(job.part.path)
        job.part.finish(target)


# -- archives ---------------------------------------------------------------------------------------------------------

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError,
    OverflowError, OSError,
)  # fmt: skip


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        opened = zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise FetchError(f"{path} is not a whole zip archive ({error}).") from error
    with opened:
        yield opened


def _check_archive(path: Path) -> None:
    with _archive(path):
        pass


def _safe_name(info: zipfile.ZipInfo) -> PurePosixPath:
    """The path of a member below the folder; FetchError for one that could lie anywhere else, on any system."""
    name = info.orig_filename
    parts = name.removesuffix("/").split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise FetchError(f"the archive holds a link or a device: {name!r}; nothing was unpacked.")
    if any(part in ("", ".", "..") or len(part.encode("utf-8", "replace")) > 255 for part in parts) or re.search(
        r'[\x00-\x1f\x7f\\:*?"<>|\ud800-\udfff]', name
    ):
        raise FetchError(f"the archive holds a file of the unsafe name {name!r}; nothing was unpacked.")
    return PurePosixPath(*parts)


def _checked_members(
    archive: zipfile.ZipFile, max_bytes: int, max_members: int
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The files of an archive by path, all of them checked before the first is written."""
    infos = archive.infolist()
    if len(infos) > max_members:
        raise FetchError(f"the archive holds {len(infos)} files, more than the {max_members} that are taken.")
    total = sum(info.file_size for info in infos)  # no member can unpack to more than it states: zipfile stops there
    if total > max_bytes:
        raise FetchError(
            f"the archive would unpack to {_format_bytes(total)}, "
            f"more than the {_format_bytes(max_bytes)} that are taken."
        )
    files: dict[PurePosixPath, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    for info in infos:
        path = _safe_name(info)
        if info.is_dir() or any(map(is_leftover, path.parts)):
            continue
        if info.flag_bits & 1:
            raise FetchError(f"the archive is encrypted ({path}).")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others unpack without a bound
            raise FetchError(f"the archive is compressed in a way that is not read here ({path}).")
        if str(path).casefold() in folded:
            raise FetchError(f"the archive holds {path} twice; nothing was unpacked.")
        folded.add(str(path).casefold())
        files[path] = info
    for path in files:
        clash = next((above for above in path.parents if str(above).casefold() in folded), None)
        if clash:
            raise FetchError(f"the archive holds {clash} both as a file and as a folder; nothing was unpacked.")
    return files


def _read_chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as stream:
            while chunk := stream.read(1 << 20):
                yield chunk
    except _DAMAGE as error:
        raise FetchError(f"{info.filename} in the archive is damaged ({error}).") from error


def _n_wrapping_folders(files: Iterable[PurePosixPath], expected: tuple[str, ...]) -> int:
    """How many leading parts of the paths to leave out: 1 if everything lies in one unexpected folder, else 0."""
    tops = {path.parts[0] if len(path.parts) > 1 else "" for path in files}
    return int(len(tops) == 1 and not tops & {"", *(PurePosixPath(name).parts[0] for name in expected)})


def unpack(archive: Path, folder: Path, expected: tuple[str, ...], max_bytes: int, max_members: int) -> None:
    """Unpack a zip archive to a new ``folder``, whole or not at all, and never to anywhere else.

    A single folder around everything is left out; ``expected`` must be among what remains.
    """
    # What an unpacking that was killed has left takes the room that is looked for below.
    shutil.rmtree(folder.with_name(f".{folder.name}.part"), ignore_errors=True)
    with _archive(archive) as opened:
        files = _checked_members(opened, max_bytes, max_members)
        skipped = _n_wrapping_folders(files, expected)
        paths = {PurePosixPath(*path.parts[skipped:]): info for path, info in files.items()}
        there = {str(above) for path in paths for above in (path, *path.parents)}
        lacking = [name for name in expected if name not in there]
        if lacking:
            tops = ", ".join(sorted({path.parts[0] for path in paths})[:5]) or "nothing"
            raise FetchError(f"{archive} does not hold {lacking[0]}; it holds {tops}.")
        size = sum(info.file_size for info in paths.values())
        _check_space(folder.parent, size + 4096 * len(paths), f"what {archive.name} unpacks to")
        bar = progress_bar(total=size, desc=f"unpacking {archive.name}", unit="B", unit_scale=True, leave=False)
        with bar, atomic_folder(folder) as temporary:
            for path, info in paths.items():
                target = temporary / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "xb") as stream:
                    for chunk in _read_chunks(opened, info):
                        stream.write(chunk)
                        bar.update(len(chunk))


# -- COCO -------------------------------------------------------------------------------------------------------------


def _annotations(archive: Path, dataset: Dataset) -> bytes:
    """The one file of COCO's archive that is read."""
    (name,) = dataset.expected
    with _archive(archive) as opened:
        members = _checked_members(opened, 10**13, dataset.max_members)  # only one of them is unpacked
        info = members.get(PurePosixPath(name))
        if info is None:
            raise FetchError(f"{archive} does not hold {name}.")
        if info.file_size > dataset.max_unpacked:
            raise FetchError(f"{name} in {archive} is larger than {_format_bytes(dataset.max_unpacked)}.")
        return b"".join(_read_chunks(opened, info))


def is_of_domain(url: str, domain: str) -> bool:
    """Whether an address is of ``domain`` or below it; of any, where that is empty."""
    return not domain or f".{urlsplit(url).hostname or ''}".endswith(f".{domain}")


def _select_chairs(text: bytes, where: Path, domain: str) -> dict[str, Any]:
    """COCO's annotations, restricted to chairs and to the images that hold one.

    domain: the images must be of this domain; empty for any.
    """
    try:
        found = json.loads(text)
        chairs = [category for category in found["categories"] if category["name"] == "chair"]
        ids = {category["id"] for category in chairs}
        annotations = [entry for entry in found["annotations"] if entry["category_id"] in ids]
        held = {entry["image_id"] for entry in annotations}
        images = [image for image in found["images"] if image["id"] in held]
        if not all(re.fullmatch(r"\w[\w-]*\.jpg", image["file_name"]) for image in images):
            raise ValueError("an image has an unsafe file name")
        if not all(isinstance(image["coco_url"], str) for image in images):
            raise ValueError("an image has no address")
        stranger = next((image["coco_url"] for image in images if not is_of_domain(image["coco_url"], domain)), None)
        if stranger is not None:
            raise ValueError(f"an image is not at {domain} but at {without_credentials(stranger)}")
        names = {image["file_name"] for image in images}
        if not names or len(names) != len(images):
            raise ValueError("no image of a chair" if not names else "two images have one name")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise FetchError(f"the annotations in {where} are not in COCO's format ({error!r}).") from error
    kept = {key: found[key] for key in ("info", "licenses") if key in found}
    return {**kept, "categories": chairs, "images": images, "annotations": annotations}


def _check_image(path: Path, image: dict[str, Any]) -> None:
    """FetchError unless the file decodes to the size that the annotations state."""
    try:
        with Image.open(path, formats=["JPEG"]) as opened:
            if opened.size != (image.get("width"), image.get("height")):
                raise FetchError(f"it has {opened.size} pixels instead of {(image.get('width'), image.get('height'))}.")
            opened.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FetchError(f"it cannot be decoded ({error}).") from error


def _fetch_image(image: dict[str, Any], job: "_Job") -> None:
    """Have one image in place, checked; :class:`_Unusable` where the server hasn't got it, or not whole."""
    name = f"images/{image['file_name']}"
    target = job.out / name

    def check(path: Path) -> None:
        _check_image(path, image)

    if target.exists():
        if name not in job.record.files:
            try:
                check(target)
            except FetchError as error:
                raise ChairlibError(f"{target} is not COCO's image: {error} Remove it and run it again.") from error
        job.record.agree(name, target, None)
        return
    url = image["coco_url"]

    def accept(part: Path) -> None:
        job.record.agree(name, part, without_credentials(url))

    common: dict[str, Any] = {"client": job.client, "limits": job.limits, "deadline": job.deadline}
    download(url, target, JPEG, 20 * 10**6, check, accept, one_of_many=True, say=job.say, **common)


def _fetch_coco_images(job: "_Job", chairs: dict[str, Any]) -> None:
    """``images/`` and, at the very end, ``instances_chairs.json``: where that exists, the images it names are there."""
    gone: dict[int, str] = {}
    allowed = max(3, len(chairs["images"]) // 50)
    saved = time.monotonic()
    try:
        for image in progress_bar(chairs["images"], desc="images", unit="image", leave=False):
            try:
                _fetch_image(image, job)
            except _Unusable as error:
                gone[image["id"]] = str(error)
                if len(gone) > allowed:
                    raise FetchError(f"{error} So it is with {len(gone)} images.") from error
            if time.monotonic() - saved > 2:
                job.record.save()
                saved = time.monotonic()
    finally:
        job.record.save()
    chairs["images"] = [image for image in chairs["images"] if image["id"] not in gone]
    chairs["annotations"] = [entry for entry in chairs["annotations"] if entry["image_id"] not in gone]
    if not chairs["images"]:
        raise FetchError(f"none of the images could be fetched. {next(iter(gone.values()))}")
    for reason in gone.values():
        job.say(f"left out: {reason}")
    write_json(job.out / "instances_chairs.json", chairs)
    job.say(f"{len(chairs['images'])} images with {len(chairs['annotations'])} chairs in {job.out}")


# -- datasets ---------------------------------------------------------------------------------------------------------


@dataclass
class _Job:
    """One dataset being fetched into ``out``."""

    dataset: Dataset
    out: Path
    url: str
    images_from: str
    client: httpx.Client
    limits: Limits
    deadline: float
    record: _Record
    say: Callable[[str], None]

    def have_archive(self) -> Path:
        """The archive, downloaded where it isn't there, and agreeing with the record."""
        name = self.dataset.archive
        path = self.out / name
        if path.exists():
            if not self.record.agree(name, path, None):
                _check_archive(path)
                self.record.save()
            self.say(f"{path} is there already, {self.record.files[name]['sha256']}: nothing to download")
            return path

        def accept(part: Path) -> None:
            self.record.agree(name, part, without_credentials(self.url))

        common: dict[str, Any] = {"client": self.client, "limits": self.limits, "deadline": self.deadline}
        download(self.url, path, ZIP, self.dataset.max_bytes, _check_archive, accept, say=self.say, **common)
        self.record.save()
        entry = self.record.files[name]
        self.say(f"{path}: {_format_bytes(entry['bytes'])}, SHA-256 {entry['sha256']}")
        return path

    def run(self) -> None:
        """Everything, or what is still lacking of it."""
        archive = self.out / self.dataset.archive
        if self.dataset.folder is None:
            done = self.out / "instances_chairs.json"
            if done.exists() and not archive.exists():
                _fetch_coco_images(self, _select_chairs(done.read_bytes(), done, self.images_from))
                return
            self.have_archive()
            with self.unusable(archive):
                chairs = _select_chairs(_annotations(archive, self.dataset), archive, self.images_from)
            _fetch_coco_images(self, chairs)
            return
        folder = self.out / self.dataset.folder
        ready = all((folder / name).exists() for name in self.dataset.expected)
        if ready:
            self.remember(folder)
            if not archive.exists():
                self.say(f"{folder} is there already: nothing to download")
                return
        else:
            check_free(folder)
        self.have_archive()
        if not ready:
            with self.unusable(archive):
                unpack(archive, folder, self.dataset.expected, self.dataset.max_unpacked, self.dataset.max_members)
            self.remember(folder)
            self.say(f"unpacked to {folder}")

    def remember(self, folder: Path) -> None:
        """Check what was unpacked against the record, or make its entry.

        The archive may have been deleted and the folder damaged since.
        """
        archive = self.record.files.get(self.dataset.archive, {})
        self.record.agree(folder.name, folder, archive.get("url"))
        self.record.save()

    @contextmanager
    def unusable(self, archive: Path) -> Iterator[None]:
        """An archive from which nothing can be made is not the file to remember."""
        try:
            yield
        except FetchError as error:
            self.record.files.pop(archive.name, None)
            self.record.save()
            raise FetchError(f"{error} Remove {archive} before you run it again.") from error


@contextmanager
def exclusive_folder(out: Path) -> Iterator[None]:
    """Make ``out``, for this process alone, and take away what was made if nothing came into it."""
    with disk_errors(out):
        made = [path for path in (out, *out.parents) if not path.exists()]
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ChairlibError(f"another fetch into {out} is at work; wait for it to end.") from error
            except OSError:
                pass  # a file system without locks
            yield
        finally:
            os.close(handle)
            with suppress(OSError):
                for path in made:
                    path.rmdir()


def fetch(
    name: str,
    out: Path | str,
    url: str | None = None,
    limits: Limits | None = None,
    say: Callable[[str], None] = print,
) -> str:
    """Fetch a dataset of :data:`DATASETS` into ``out`` (``~`` is expanded); started again, it goes on.

    Returns how the dataset is read.

    url: another address of the archive, a mirror's; its host alone may be one that is not on the public internet, and
    annotations that come from it may name images anywhere. say: what is told of the progress. Proxies are not used:
    behind one, nobody knows which address is connected to.

    Raises ParameterError for an unknown dataset or an address that is none; FetchError, with the steps to take by hand,
    for whatever the network or the server does; ChairlibError for a full disk, and for files that are not those of the
    first fetch.

    >>> fetch("object-discovery", "data/object-discovery")  # doctest: +SKIP
    """
    if name not in DATASETS:
        raise ParameterError(f"dataset {name!r} is unknown; use one of {', '.join(DATASETS)}.")
    dataset, out, limits = DATASETS[name], Path(out).expanduser(), limits or LIMITS
    address = url or dataset.url
    _check_address(address)
    with exclusive_folder(out):
        deadline, record = time.monotonic() + limits.total, _Record(out)
        try:
            with open_client("", limits, trusted_url=url) as client:
                images_from = "" if url else dataset.images_from
                _Job(dataset, out, address, images_from, client, limits, deadline, record, say).run()
        except FetchError as error:
            raise FetchError(f"{error}\n\n{dataset.steps(name, out)}") from error
    return dataset.reading.format(out=out)
