"""Writing files so that a crash at any moment leaves the old file or the new one, never half of one."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

from chairlib.core.errors import ChairlibError

T = TypeVar("T")

#: What systems leave in folders, in lower case: thumbnails, settings of the view, a bin.
_LEFTOVERS = (
    "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "__macosx", "$recycle.bin", "#recycle", "lost+found",
    "system volume information",
)  # fmt: skip


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name is none of the data: hidden, or left behind by a system (``@eaDir``)."""
    return name.startswith(".") or name.lower() in _LEFTOVERS


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn the system's errors of writing ``target`` (full disk, no permission, ...) into one clear line."""
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or error}. Free some space or choose another folder, then run it again."
        raise ChairlibError(f"cannot write {target}: {reason}") from error


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Give an empty temporary file beside ``target``; move it there, durably, if the block succeeds, else delete it."""
    target = Path(target)
    temporary = target.absolute().with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.touch(exist_ok=False)  # a folder that can't be written to is found out before the work, not after
            yield temporary
            with open(temporary, "rb+") as stream:
                os.fsync(stream.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def check_free(target: Path) -> None:
    """Raise ChairlibError unless ``target`` is absent, or an empty folder that another can take the place of."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ChairlibError(f"{target} exists and is not an empty folder; name a new folder, or remove it first.")
    check_replaceable(target)


def check_writable(folder: Path) -> None:
    """Raise ChairlibError, before the work, where nothing can be written to ``folder``, which need not exist yet."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        reason = "you may not write there, or the disk is read-only" if existing.is_dir() else "it is no folder"
        raise ChairlibError(
            f"cannot write {folder}: {existing}: {reason}. Change that, or choose another CHAIRLIB_HOME."
        )


def check_replaceable(target: Path) -> None:
    """Raise ChairlibError, before the work, where ``target`` is a folder that cannot be replaced."""
    if not target.is_dir():
        return
    if os.path.ismount(target):
        raise ChairlibError(f"{target} is the top of a disk, which nothing can replace; name a new folder in it.")
    if Path.cwd().is_relative_to(target.resolve()):
        raise ChairlibError(
            f"{target} is the current folder or holds it and cannot be replaced; name a new one, or go elsewhere first."
        )


@contextmanager
def atomic_folder(target: Path | str) -> Iterator[Path]:
    """Give the empty folder ``.NAME.part/whole`` beside ``target``; rename it to ``target`` if the block succeeds.

    If not, it is deleted. What :func:`keep` wrote beside it stays then, and the next call finds it.
    ``target`` must not exist or be an empty folder: what a person already has there is never replaced. Raises
    ChairlibError for that, and where another process is writing ``target``.
    """
    target = Path(target)
    part = target.absolute().with_name(f".{target.name}.part")
    if (part / "done").exists():  # of a call that was killed while it tidied up
        shutil.rmtree(part, ignore_errors=True)
    check_free(target)
    whole, unfinished = part / "whole", False
    with disk_errors(target):
        part.mkdir(parents=True, exist_ok=True)
        from chairlib.core.locks import alone  # which loads tqdm

        with alone(str(part / "lock"), f"another process is writing {target}"):
            try:
                check_free(target)  # again: another process may just have finished it
                shutil.rmtree(whole, ignore_errors=True)  # of a call that was killed
                whole.mkdir()
                yield whole
                whole.replace(target)
                (part / "done").touch()
            except BaseException:
                shutil.rmtree(whole, ignore_errors=True)
                unfinished = has_kept(whole)
                raise
            finally:
                if unfinished:
                    from chairlib.core.progress import note  # which loads tqdm

                    note(
                        f"what was done is kept in {part}: the same command goes on. To give it up, delete that folder"
                    )
                else:
                    shutil.rmtree(part, ignore_errors=True)


def keep(folder: Path, data: bytes, *key: object) -> None:
    """Keep a result beside the ``folder`` of :func:`atomic_folder`. ``key``: all that it depends on.

    Its SHA-256 comes first in the file: half a file is found out, and needs no second name.
    """
    with disk_errors(file := _kept_file(folder, key)):
        file.write_bytes(hashlib.sha256(data).digest() + data)


def kept(folder: Path, *key: object) -> bytes | None:
    """What :func:`keep` kept under this key; None if there is nothing, or if it is damaged."""
    file = _kept_file(folder, key)
    found = file.read_bytes() if file.is_file() else b""
    return found[32:] if hashlib.sha256(found[32:]).digest() == found[:32] else None


def has_kept(folder: Path) -> bool:
    """Whether anything is kept beside the ``folder`` of :func:`atomic_folder`."""
    return any(file.is_file() for file in folder.parent.iterdir())


def _kept_file(folder: Path, key: tuple[object, ...]) -> Path:
    return folder.with_name(hashlib.sha256(repr(key).encode()).hexdigest())


def once_a_file(function: Callable[[Path], T]) -> Callable[[Path], T]:
    """``function`` of a file, called once a process, and again when the file's time or size has changed."""

    @cache
    def remembered(file: Path, modified: int, size: int) -> T:
        return function(file)

    @wraps(function)
    def checked(file: Path) -> T:
        now = file.stat()
        return remembered(file.resolve(), now.st_mtime_ns, now.st_size)

    return checked


@once_a_file
def file_digest(file: Path) -> bytes:
    """SHA-256 of a file, remembered by :func:`once_a_file`."""
    return hashlib.sha256(file.read_bytes()).digest()


def write_text(target: Path | str, text: str) -> None:
    """Write ``text`` (UTF-8) to ``target`` atomically."""
    with atomic_path(target) as path:
        path.write_text(text, encoding="utf-8")


def write_json(target: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON to ``target`` atomically. NaN and infinity are refused: they are not JSON."""
    write_text(target, json.dumps(value, indent=2, allow_nan=False) + "\n")
