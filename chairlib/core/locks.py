"""One process at a time, on one machine or on several that share a folder: one build in a home, one process on a run.

A lock is a folder in ``paths.cache / "locks"`` with numbered files. The file with the highest number is the holder's,
until the holder frees the lock or dies. Whoever wants it then makes the file with the next number, which exactly one
process can. No file is ever removed, so that no slow process uses its number again.

A holder of this machine is dead when its process has ended. Any other sets the time of its file every :data:`BEAT`
seconds, and is dead when it stays the same for :data:`SPAN` seconds: clocks of two machines are never compared.
Neither flock nor the package filelock would do: not all shared file systems have flock, and on NFS no lease of filelock
is ever taken over from a dead machine.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chairlib.core import paths
from chairlib.core.errors import ChairlibError
from chairlib.core.progress import note

#: Seconds from one sign of life to the next; without one until a holder is dead (NFS may show a file as it was a minute
#: ago); and from one look of a waiting process to the next.
BEAT, SPAN, POLL = 5.0, 90.0, 1.0
#: By process and folder: what its threads agree by, and the lock that it has. A forked child starts without any.
_own: dict[tuple[int, Path], tuple[Any, list["Lock"]]] = {}


def machine() -> str | None:
    """The same for two processes that can look each other up: not in two containers. None where none can be."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')} {os.getuid()}"  # another user's may be hidden
    except OSError:  # not Linux
        return None


def started(pid: int) -> str | None:
    """When the process of this machine started, in the kernel's ticks; None if it has ended. Numbers are used again."""
    with suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
        return None if state in "ZX" else fields[18]  # a zombie has ended: its parent has only not asked yet
    return None


def _others(processes: list[list[Any]]) -> list[list[Any]]:
    """Those of the processes of this machine that still run, without this one."""
    return [[pid, start] for pid, start in processes if pid != os.getpid() and start and started(pid) == start]


class Lock:
    """What :func:`alone` gives."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._freed, self._told = folder, threading.Event(), False
        self._since, self._processes = time.time(), [[os.getpid(), started(os.getpid())]]
        self._file: Path | None = None
        self._seen, self._looked, self._still = (folder, 0), 0.0, 0.0

    def acquire(self, refusal: str | None) -> None:
        """Take the lock. If another process has it, say so once and wait, or raise ``refusal``: see :func:`alone`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        nameless = 0
        while self._file is None:
            newest = max((int(file.name) for file in self.folder.iterdir() if file.name.isdecimal()), default=0)
            holder, lives = self._look(self.folder / str(newest)) if newest else ("", False)
            if lives is False:
                with suppress(FileExistsError):  # another process was quicker
                    (file := self.folder / str(newest + 1)).touch(exist_ok=False)
                    self._file = file
                    continue
            nameless = 0 if holder else nameless + 1  # for a moment while it writes, for long on a full disk
            if lives and refusal and (holder or nameless > 3):
                raise ChairlibError(f"{refusal}: {holder or 'its name is unknown'}; wait for it, or stop it.")
            if not self._told and (holder or nameless > 3):
                now = f"looking for up to {SPAN:.0f} s whether it lives" if refusal else "waiting for it"
                holder = holder or "a process that has not written its name, on a full disk perhaps"
                note(f"{refusal or f'{self.folder.name} is in work'}: {holder}; {now}")
                self._told = True
            time.sleep(POLL)
        self._write()
        threading.Thread(target=self._beat, args=(self._file,), daemon=True).start()

    def _look(self, file: Path) -> tuple[str, bool | None]:
        """Whose the newest ``file`` is, "" if unknown; whether that lives, None if unknown, False for a free lock."""
        # Opened, and not only asked for its time: NFS remembers an old time until the file is opened.
        with open(file, encoding="utf-8") as stream:
            seen, text = (file, os.fstat(stream.fileno()).st_mtime_ns), stream.read()
        if seen[1] == 0:
            return "", False
        before, self._seen, looked, self._looked = self._seen, seen, self._looked, time.monotonic()
        # If this process or the disk stood still for long, so may the holder have: that counts as one look.
        self._still = self._still + min(self._looked - looked, 2 * POLL) if seen == before else 0.0
        lives = False if self._still >= SPAN else True if before[0] == file and before != seen else None
        try:
            told = json.loads(text)
        except ValueError:  # it is just being written
            return "", lives
        if told["machine"] == machine() is not None:
            # Not this process: without a lock, it was interrupted at the very moment of freeing it.
            told["processes"] = _others(told["processes"])
            lives = bool(told["processes"])
        if not told["processes"]:
            return "", False
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(told["since"]))
        return f"process {told['processes'][-1][0]} on {told['host']}, since {since}", lives

    def share(self, pid: int) -> None:
        """Have the child ``pid`` hold the lock too: while it survives this process, the lock is not free."""
        self._processes.append([pid, started(pid)])
        self._write()

    def release(self) -> None:
        """Free the lock, but for children that still run."""
        self._freed.set()
        self._processes = _others(self._processes)
        self._write()
        if self._file and not self._processes:
            with suppress(OSError):  # says the same again, where a full disk leaves no room for words
                os.utime(self._file, (0, 0))

    def _write(self) -> None:
        who = {"host": socket.gethostname(), "machine": machine(), "since": self._since, "processes": self._processes}
        with suppress(OSError):  # a full disk, or a lost one, is no reason to lose the work
            if self._file:
                self._file.write_text(json.dumps(who), encoding="utf-8")

    def _beat(self, file: Path) -> None:
        while not self._freed.wait(BEAT):
            with suppress(OSError):
                os.utime(file)


@contextmanager
def alone(name: str, refusal: str | None = None) -> Iterator[Lock]:
    """Do what goes by ``name`` in one thread of one process at a time. The thread that has the lock may ask again.

    If another process is at it, wait, and say so on stderr once. With ``refusal``, find out whether it lives, and raise
    ChairlibError if so: these words, and who it is. If the folder cannot be written, say so and go on without a lock.
    """
    folder = paths.cache / "locks" / name
    threads, held = _own.setdefault((os.getpid(), folder), (threading.RLock(), []))
    with threads:
        if held:
            yield held[0]
            return
        held.append(Lock(folder))
        try:
            try:
                held[0].acquire(refusal)
            except OSError as error:  # no reason to lose the work
                note(f"{folder} cannot be locked ({error.strerror}); start nothing that does the same beside this")
            yield held[0]
        finally:
            held.pop().release()
