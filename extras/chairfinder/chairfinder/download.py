"""Many transfers at once: few from one host at a time, with pauses, and as patient as each host asks for.

Every worker takes the next address whose host is ready. A failure that may pass puts the address back, not before the
pause is over, while the worker turns to other hosts. A host that fails again and again, or asks to be left alone for
longer than a run waits, is left for another run.
"""

import logging
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from chairfinder.web import Limits, PassingError, UnusableError, host_of, pause_before
from chairlib.core.errors import ChairlibError

_TICK = 0.05
_LOG = logging.getLogger(__name__)
#: What no other address would be spared: a mistake of the caller, a full disk, a ledger that cannot be written.
_ENDS_A_RUN = (ChairlibError, OSError, sqlite3.Error)


@dataclass
class Task:
    """An address to fetch. failures: tries that failed in this run. ready: when to try next (monotonic seconds)."""

    url: str
    kind: str
    provider: str
    failures: int = 0
    ready: float = 0

    @property
    def host(self) -> str:
        """As :func:`chairfinder.web.host_of` names it; of a local file, nothing."""
        return host_of(self.url)


@dataclass(frozen=True)
class Outcome:
    """How one address ended. reason: None where it was fetched; final: whether another run should leave it alone."""

    task: Task
    reason: str | None = None
    final: bool = True


@dataclass
class _Host:
    tasks: deque[Task] = field(default_factory=deque)
    active: int = 0
    next_start: float = 0
    failures: int = 0
    closed: bool = False


class Schedule:
    """Which address comes next. Safe to use from many threads."""

    def __init__(self, tasks: Iterable[Task], limits: Limits) -> None:
        self._limits = limits
        self._hosts: dict[str, _Host] = {}
        self._changed = threading.Condition()
        self._stopped = False
        for task in tasks:
            self._hosts.setdefault(task.host, _Host()).tasks.append(task)

    def take(self) -> Task | None:
        """The next task whose host is ready, waited for; None where none is left or everything was stopped."""
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                soonest: float | None = None
                busy = False
                for name, host in self._hosts.items():
                    busy |= host.active > 0
                    if not host.tasks or (name and host.active >= self._limits.per_host):
                        continue
                    task = min(host.tasks, key=lambda task: task.ready) if host.tasks[0].ready > now else host.tasks[0]
                    start = max(host.next_start, task.ready)
                    if start <= now:
                        host.tasks.remove(task)
                        host.active += 1
                        host.next_start = now + self._limits.interval if name else now  # this machine's own files
                        return task
                    soonest = start if soonest is None else min(soonest, start)
                if soonest is None and not busy:
                    return None
                self._changed.wait(None if soonest is None else soonest - now)
            return None

    def put_back(self, task: Task, pause: float, whole_host: bool) -> list[Task]:
        """Try ``task`` again after ``pause`` seconds; ``whole_host``: ask that host for nothing else until then either.

        Returns the tasks that are given up, where too many of the host's failed in a row; a host that says when to come
        back is there.
        """
        with self._changed:
            host = self._hosts[task.host]
            task.ready = time.monotonic() + pause
            host.tasks.append(task)
            host.active -= 1
            if whole_host:
                host.next_start = max(host.next_start, task.ready)
            return self._count(host, not whole_host)

    def finish(self, task: Task, failed: bool = False) -> list[Task]:
        """``task`` is through, in vain if ``failed``. Returns the tasks that are given up, as :meth:`put_back` does."""
        with self._changed:
            host = self._hosts[task.host]
            host.active -= 1
            if not failed:
                host.failures = 0
            return self._count(host, failed)

    def close(self, task: Task) -> list[Task]:
        """``task`` failed and its host must be asked for nothing more in this run. Returns the tasks that are given up.

        Those of its tasks that are on their way end as they would; none of them is tried again.
        """
        with self._changed:
            host = self._hosts[task.host]
            host.active -= 1
            host.closed = True
            return self._count(host, True)

    def _count(self, host: _Host, failed: bool) -> list[Task]:
        host.failures += failed
        given_up: list[Task] = []
        if host.closed or host.failures >= self._limits.give_up:
            given_up = list(host.tasks)
            host.tasks.clear()
        self._changed.notify_all()
        return given_up

    def stop(self) -> None:
        """Let every :meth:`take` return None."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


def transfer_all(
    tasks: Iterable[Task], work: Callable[[Task], None], limits: Limits, seed: int = 0
) -> Iterator[Outcome]:
    """Do ``work`` for every task in threads, again after a PassingError, and say of each how it ended, as it ends.

    ``work`` raises PassingError or UnusableError. A ChairlibError, OSError or sqlite3.Error (a full disk, say) ends the
    whole, and is raised here; any other exception is of that one address, which waits for another run.
    """
    schedule = Schedule(tasks, limits)
    ended: SimpleQueue[Outcome | BaseException] = SimpleQueue()
    threads = [
        threading.Thread(
            target=_work_off, args=(schedule, work, limits, random.Random(f"{seed} {number}"), ended), daemon=True
        )
        for number in range(limits.workers)
    ]
    try:
        for thread in threads:
            thread.start()
        while True:
            at_work = any(thread.is_alive() for thread in threads)
            with suppress(Empty):
                while True:
                    outcome = ended.get(timeout=_TICK) if at_work else ended.get_nowait()
                    if isinstance(outcome, BaseException):
                        for thread in threads:
                            thread.join(limits.total)  # what the others have just fetched is not lost
                        raise outcome
                    yield outcome
            if not at_work:
                return
    finally:
        schedule.stop()


def _work_off(
    schedule: Schedule,
    work: Callable[[Task], None],
    limits: Limits,
    rng: random.Random,
    ended: "SimpleQueue[Outcome | BaseException]",
) -> None:
    try:
        while (task := schedule.take()) is not None:
            for outcome in _try(schedule, work, task, limits, rng):
                ended.put(outcome)
    except BaseException as error:
        schedule.stop()
        ended.put(error)


def _try(
    schedule: Schedule, work: Callable[[Task], None], task: Task, limits: Limits, rng: random.Random
) -> list[Outcome]:
    """The tasks that end with one try of ``task``; none where it is to be tried again."""
    try:
        work(task)
    except PassingError as error:
        return _after_failure(schedule, task, error, limits, rng)
    except UnusableError as error:
        schedule.finish(task)
        return [Outcome(task, str(error))]
    except _ENDS_A_RUN:
        raise
    except Exception as error:
        # Strangers send what nobody thought of: one address fails of it, and may not once chairlib has learnt it.
        _LOG.debug("unexpected while fetching %s", task.url, exc_info=True)
        return _give_up(task, f"unexpected: {type(error).__name__}: {error}", schedule.finish(task, failed=True))
    schedule.finish(task)
    return [Outcome(task)]


def _after_failure(
    schedule: Schedule, task: Task, error: PassingError, limits: Limits, rng: random.Random
) -> list[Outcome]:
    task.failures += 1
    reason = f"unreachable: {error}"
    if error.outlasts(limits):
        return _give_up(task, f"{reason}, and asks to wait {error.wait:.0f} s", schedule.close(task))
    if task.failures >= limits.tries:
        return _give_up(task, reason, schedule.finish(task, failed=True))
    pause = pause_before(task.failures, error.wait, limits, rng)
    return _left_alone(reason, schedule.put_back(task, pause, whole_host=error.wait is not None))


def _give_up(task: Task, reason: str, others: Iterable[Task]) -> list[Outcome]:
    return [Outcome(task, reason, final=False), *_left_alone(reason, others)]


def _left_alone(reason: str, tasks: Iterable[Task]) -> list[Outcome]:
    return [Outcome(task, f"{reason}; so were others of its host", final=False) for task in tasks]
