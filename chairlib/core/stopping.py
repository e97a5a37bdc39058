"""Ending in order: upon Ctrl-C, upon SIGTERM, and when the process that started this one is gone.

SIGTERM is what a queue sends at its time limit, ``kill`` by default, and ``docker stop``.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

#: Seconds that a command takes at most to end after SIGTERM: Slurm kills after 30 by default.
GRACE = 24
#: Environment variable: the process whose end also ends `chairlib run` and `chairlib render-book`.
BUILD = "CHAIRLIB_BUILD"
#: What stops Snakemake: it may ignore Ctrl-C's own signal, as all does that a script starts in the background.
STOP_SNAKEMAKE = getattr(signal, "SIGUSR1", signal.SIGTERM)
#: When SIGTERM came: an exception alone may be turned into another one by a library.
terminated: list[float] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM came. It ends what is going on as Ctrl-C does."""

    def __init__(self) -> None:
        terminated.append(time.monotonic())


def listen() -> None:
    """From now on SIGTERM raises :class:`Terminated` in the main thread of this process, but not in forked children."""
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(os, "register_at_fork"):  # a pool stops its workers by SIGTERM: they have nothing to say
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))


def _terminate(signum: int, frame: Any) -> None:
    # Slurm signals every process, and so does `chairlib paper`: the second time must not disturb tidying up.
    if not terminated or time.monotonic() - terminated[-1] > GRACE:
        raise Terminated


@contextmanager
def held_signals(before: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM back during this block, then call ``before`` and give them to whoever handles them.

    A second Ctrl-C is not kept back. In other threads than the main one, which never get signals, it does nothing.
    """
    handlers: dict[int, Any] = {}
    waiting: list[int] = []

    def hold(signum: int, frame: Any) -> None:
        if signum == signal.SIGINT and signum in waiting:
            signal.signal(signum, handlers[signum])
            signal.raise_signal(signum)
        waiting.append(signum)

    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(signum) not in (signal.SIG_IGN, None):
                handlers[signum] = signal.signal(signum, hold)
    try:
        yield
    finally:
        for each in handlers.items():
            signal.signal(*each)
    if waiting:
        before()
        signal.raise_signal(waiting[0])


def end_with_parent(parent: int, signum: int = getattr(signal, "SIGKILL", signal.SIGTERM)) -> None:
    """On Linux: have this process sent ``signum`` when the thread that started it ends, be it killed.

    ``parent``: the process that started this one. If it is gone by now, another one has adopted this one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signum)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os.kill(os.getpid(), signum)


def end_with_build() -> None:
    """SIGTERM to this process when the build that it is part of ends: Snakemake and a shell stand between the two."""
    if BUILD not in os.environ:
        return
    import psutil

    def wait(build: psutil.Process) -> None:
        with suppress(psutil.Error):
            while build.is_running() and build.status() != psutil.STATUS_ZOMBIE:
                time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    with suppress(psutil.Error):
        for process in psutil.Process().parents():  # on a node of a cluster, the number is that of something else
            if str(process.pid) == os.environ[BUILD]:
                threading.Thread(target=wait, args=(process,), daemon=True).start()


def end_jobs(snakemake: int) -> None:
    """Stop Snakemake and what it runs on this machine. Its own answer to SIGTERM is to wait for hours, till all ran."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(snakemake)
        process.send_signal(STOP_SNAKEMAKE)
        while process.status() != psutil.STATUS_ZOMBIE:  # which a child that has ended is, until it is waited for
            for child in process.children(recursive=True):
                with suppress(psutil.Error):
                    if "chairlib" in child.cmdline():  # not a shell, which would die at once and leave it alone
                        child.terminate()
            time.sleep(0.5)
