"""One run a GPU: which GPUs this process may use, and taking one that no other run of the same user has."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from chairlib.core import paths
from chairlib.core.files import disk_errors
from chairlib.core.progress import note

#: The variable with which CUDA, and the scheduler of a cluster, say which GPUs a process may use.
VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible() -> list[str]:
    """The GPUs that this process may use, each by a name that means the same in every process of the machine.

    These are the UUIDs that `nvidia-smi` lists; with ``CUDA_VISIBLE_DEVICES``, those that it names by UUID or number. A
    scheduler may number the GPUs of each job from 0: the same number can mean two GPUs, a UUID cannot. Without
    `nvidia-smi` the variable's own words are the names, and without the variable there are none.
    """
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        every = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        every = []
    if VISIBLE not in os.environ:
        return every
    names = [name for name in re.split(r"[,\s]+", os.environ[VISIBLE]) if name not in ("", "-1")]
    known = {str(number): uuid for number, uuid in enumerate(every)}
    known |= {name: uuid for name in names for uuid in every if uuid.startswith(name)}  # CUDA takes a beginning, too
    return list(dict.fromkeys(known.get(name, name) for name in names))


@contextmanager
def claim() -> Iterator[tuple[int, ...]]:
    """Take one of the :func:`visible` GPUs, and name it alone in ``CUDA_VISIBLE_DEVICES``. Waits while all are taken.

    Gives the descriptor of a lock, for the process that computes to inherit: the GPU is free again when all who have
    it open have ended, however they ended. Gives none, and takes nothing, where no GPU is visible.
    """
    import fcntl  # Windows has none

    names, told = visible(), False
    if not names:
        note("no GPU is visible by name: nvidia-smi does not answer. Nothing keeps another run off the GPU of this one")
    while names:
        with ExitStack() as stack:
            holders = []
            for name in names:
                # Never deleted: a lock on a file that another process has deleted would keep nobody out.
                file = paths.machine / f"chairlib-{os.getuid()}-{re.sub('[^A-Za-z0-9-]', '_', name)}.lock"
                with disk_errors(file):
                    opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
                lock = stack.enter_context(open(opened, "r+"))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    holders.append(lock.read() or "?")
                    continue
                lock.truncate(0)
                print(os.getpid(), end="", file=lock, flush=True)
                os.environ[VISIBLE] = name
                yield (lock.fileno(),)
                return
        if not told:
            told = True
            print(f"waiting for a GPU: runs of processes {', '.join(holders)} have all that there are", file=sys.stderr)
        time.sleep(0.5)
    yield ()
