"""Work in processes: results keep their order, errors come through, and a lost process is reported."""

import os
import signal

import pytest

from chairlib.core.errors import ChairlibError, ParameterError
from chairmaker.workers import in_processes

pytest.importorskip("mitsuba", reason="the renderer's tests need Mitsuba")


def square(n: int) -> int:
    return n * n


def own_process(n: int) -> int:
    return os.getpid()


def refuse(n: int) -> int:
    raise ParameterError(f"{n} is no good.")


def die(n: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return n


@pytest.mark.parametrize("workers", [1, 2, 50])
def test_results_keep_their_order(workers):
    assert list(in_processes(square, range(9), workers)) == [n * n for n in range(9)]


def test_one_worker_is_this_process_and_more_are_not():
    assert set(in_processes(own_process, range(3), 1)) == {os.getpid()}
    assert os.getpid() not in set(in_processes(own_process, range(3), 2))


def test_nothing_to_do_is_nothing_done():
    assert list(in_processes(square, [])) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_come_through(workers):
    with pytest.raises(ParameterError, match="is no good"):
        list(in_processes(refuse, range(4), workers))


def test_a_process_that_is_killed_is_reported_in_one_line():
    with pytest.raises(ChairlibError, match="a rendering process was stopped"):
        list(in_processes(die, range(4), 2))
