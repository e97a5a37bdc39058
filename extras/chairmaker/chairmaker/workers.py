"""Work for several processes, one image each: Mitsuba's own threads gain little on images this small."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from chairlib.core.errors import ChairlibError
from chairmaker.engine import use_one_thread

Task = TypeVar("Task")
Result = TypeVar("Result")


def _start_worker() -> None:
    # Ctrl-C reaches every process of a terminal: only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    use_one_thread()


def _leave_with_parent() -> None:
    """End this worker when its parent ends: a parent that is killed cannot stop its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def in_processes(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int | None = None
) -> Iterator[Result]:
    """``function`` of each of ``tasks``, in order, from ``workers`` processes (one for each core by default).

    ``function`` must be defined at the top of a module. Raises ChairlibError where a process is stopped from outside.
    """
    workers = min(workers or os.cpu_count() or 1, len(tasks))
    if workers <= 1:
        use_one_thread()
        yield from map(function, tasks)
        return
    # Mitsuba does not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield from pool.map(function, tasks, chunksize=min(4, -(-len(tasks) // workers)))
    except BrokenProcessPool as error:
        raise ChairlibError(
            "a rendering process was stopped: for want of memory (try again with fewer workers), or because a script "
            'renders without `if __name__ == "__main__":` around it, which its processes run again.'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
