"""Other processes that take a lock of :mod:`chairlib.core.locks`, on this machine or on one that they pretend to be."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Arguments: the cache, the name of the lock, the machine that it pretends to be on ("" for this one), more code.
_HOLDER = """
import os, sys, time
from pathlib import Path
from chairlib.core import locks, paths
paths.cache, name, machine, code = Path(sys.argv[1]), *sys.argv[2:]
locks.BEAT, locks.POLL = 0.05, 0.05
if machine:
    locks.machine = lambda: machine
    locks.socket.gethostname = lambda: machine
with locks.alone(name) as lock:
    print("in", flush=True)
    exec(code)
    sys.stdin.readline()
"""


def copies(done: Path, folder: Path) -> str:
    """The code of a holder that makes a run, by copying it, and ends without a word."""
    return f"import shutil; time.sleep(1); shutil.copytree({str(done)!r}, {str(folder)!r}); os._exit(0)"


def start_holder(cache: Path, name: str, machine: str = "", code: str = "") -> subprocess.Popen[str]:
    """A process that takes the lock, says "in", runs the code, and keeps the lock until it is sent a line."""
    command = [sys.executable, "-c", _HOLDER, str(cache), name, machine, code]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@contextmanager
def holder(cache: Path, name: str, machine: str = "", code: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that has the lock. It ends with the block, if not before."""
    process = start_holder(cache, name, machine, code)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "in\n"
        yield process
    finally:
        process.kill()
        process.communicate()
