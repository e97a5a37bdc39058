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
def _beside(target: Path) -> Iterator[Path]:
    """The name of a temporary file or folder beside ``target``, for writing it: in a folder that is there."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        yield target.absolute().with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Give an empty temporary file beside ``target``; move it there, durably, if the block succeeds, else delete it."""
    target = Path(target)
    with _beside(target) as temporary:
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
    """Give a temporary folder beside ``target``; rename it to ``target`` if the block succeeds, delete it if not.

    ``target`` must not exist or be an empty folder: what a person already has there is never replaced.
    """
    target = Path(target)
    check_free(target)
    with _beside(target) as temporary:
        try:
            temporary.mkdir()
            yield temporary
            temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


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
