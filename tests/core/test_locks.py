"""Locks: never two inside, whatever dies, on one machine or on several; and words for whoever waits."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from chairlib.core import locks, paths
from chairlib.core.errors import ChairlibError
from chairlib.core.locks import alone
from lock_helpers import holder, start_holder

ENTERED = "(paths.cache / 'entered').touch()"
SINCE = r"since \d{4}-\d\d-\d\d \d\d:\d\d"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own, looks that take no time, and a holder that is not given up by its silence."""
    monkeypatch.setattr(paths, "cache", tmp_path)
    monkeypatch.setattr(locks, "POLL", 0.02)
    monkeypatch.setattr(locks, "SPAN", 1000.0)
    return tmp_path


def write_claim(cache, **changed):
    """The file of a holder: this process, unless it is changed."""
    own = [[os.getpid(), locks.started(os.getpid())]]
    claim = {"host": "node7", "machine": locks.machine(), "since": time.time(), "processes": own, **changed}
    file = cache / "locks" / "job" / "1"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(claim))
    return file


def end(process):
    """Let a holder go on to its end; gives its words on stderr."""
    _, errors = process.communicate("\n", timeout=60)
    assert process.returncode == 0, errors
    return errors


# -- Waiting, and being refused ----------------------------------------------------------------------------------------


def test_second_process_waits_says_so_once_and_gets_the_lock(cache):
    with holder(cache, "job") as first:
        second = start_holder(cache, "job", code=ENTERED)
        line = second.stderr.readline()
        who = f"process {first.pid} on {re.escape(socket.gethostname())}, {SINCE}"
        assert re.fullmatch(f"job is in work: {who}; waiting for it\n", line)
        time.sleep(0.5)  # many looks
        assert not (cache / "entered").exists()
        assert end(first) == ""
        assert second.stdout.readline() == "in\n"
        assert end(second) == ""


def test_with_a_refusal_it_names_who_has_it_at_once(cache, capsys):
    with holder(cache, "job") as first:
        words = rf"busy: process {first.pid} on {re.escape(socket.gethostname())}, {SINCE}; wait for it, or stop it\.$"
        with pytest.raises(ChairlibError, match=words), alone("job", "busy"):
            pytest.fail("the block must not run")
        end(first)
    with alone("job", "busy"):
        pass
    assert capsys.readouterr().err == ""


def test_other_names_are_other_locks(cache):
    with holder(cache, "job"), alone("another job", "busy"):
        pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_lock_is_free_after_an_error(cache, error):
    with pytest.raises(error), alone("job"):
        raise error
    with holder(cache, "job"):
        pass


# -- Dead holders ------------------------------------------------------------------------------------------------------


def test_killed_process_is_followed_at_once(cache, capsys):
    with holder(cache, "job") as first:
        first.kill()
        while locks.started(first.pid):
            pass
        with alone("job", "busy"):  # its parent has not even asked for it yet
            pass
    assert capsys.readouterr().err == ""


def test_another_process_with_the_number_of_a_dead_one_is_no_holder(cache):
    with holder(cache, "another job") as other:
        write_claim(cache, processes=[[other.pid, "1"]])
        with alone("job", "busy"):
            pass


def test_child_that_survives_its_parent_keeps_the_lock(cache):
    code = "import subprocess; child = subprocess.Popen(['sleep', '1000']); lock.share(child.pid); print(child.pid)"
    with holder(cache, "job", code=code + "; sys.stdout.flush()") as first:
        child = int(first.stdout.readline())
        try:
            first.kill()
            first.wait()
            with pytest.raises(ChairlibError, match=f"busy: process {child} on "), alone("job", "busy"):
                pass
        finally:
            os.kill(child, 9)
        while locks.started(child):
            pass
        with alone("job", "busy"):
            pass


def test_child_that_survives_keeps_it_when_its_parent_ends_in_peace_too(cache):
    child = subprocess.Popen(["sleep", "1000"])
    with alone("job") as lock:
        lock.share(child.pid)
    with pytest.raises(ChairlibError, match=f"busy: process {child.pid} on "), alone("job", "busy"):
        pass
    child.kill()
    child.wait()
    with alone("job", "busy"):
        pass


def test_process_that_was_interrupted_while_freeing_its_lock_can_take_it_again(cache):
    write_claim(cache)
    with alone("job", "busy"):
        pass


# -- Other machines ----------------------------------------------------------------------------------------------------


def test_process_of_another_machine_is_refused_when_it_shows_that_it_lives(cache, capsys):
    with holder(cache, "job", machine="node7") as first:
        words = f"^busy: process {first.pid} on node7, {SINCE}; wait for it"
        with pytest.raises(ChairlibError, match=words), alone("job", "busy"):
            pass
    looking = f"busy: process {first.pid} on node7, {SINCE}; looking for up to 1000 s whether it lives\n"
    assert re.fullmatch(looking, capsys.readouterr().err)


def test_process_of_another_machine_that_lives_is_waited_for(cache, monkeypatch):
    monkeypatch.setattr(locks, "SPAN", 5.0)
    with holder(cache, "job", machine="node7") as first:
        second = start_holder(cache, "job", machine="node8", code=ENTERED)
        assert f"process {first.pid} on node7" in second.stderr.readline()
        time.sleep(0.5)
        assert not (cache / "entered").exists()
        end(first)
        assert second.stdout.readline() == "in\n"
        end(second)


def test_dead_process_of_another_machine_is_followed_after_the_span(cache, monkeypatch, capsys):
    monkeypatch.setattr(locks, "SPAN", 1.0)
    with holder(cache, "job", machine="node7") as first:
        first.kill()
        first.wait()
        began = time.monotonic()
        with alone("job", "busy"):
            assert time.monotonic() - began >= 1
    assert "looking for up to 1 s" in capsys.readouterr().err


@pytest.mark.parametrize("shift", [-1e6, 1e6])
def test_clock_of_another_machine_plays_no_part(cache, shift, monkeypatch):
    monkeypatch.setattr(locks, "SPAN", 0.5)
    file = write_claim(cache, machine="node7")
    os.utime(file, (time.time() + shift,) * 2)
    with alone("job", "busy"):
        pass


def test_pause_of_the_waiting_process_is_not_held_against_the_holder(cache, monkeypatch):
    """A suspended machine, or a disk that was away: the holder could not show that it lives either."""
    write_claim(cache, machine="node7")
    looks = []
    clock = {"monotonic": lambda: len(looks) * 1e6, "sleep": looks.append}
    kept = {name: getattr(time, name) for name in ("time", "strftime", "localtime")}
    monkeypatch.setattr(locks, "time", SimpleNamespace(**clock, **kept))
    monkeypatch.setattr(locks, "SPAN", 1.0)
    with alone("job"):
        assert len(looks) >= 1 / (2 * 0.02)


def test_refusal_always_names_somebody(cache, monkeypatch):
    """A holder of another machine is just writing who it is, or that it is not the holder any more."""
    file = write_claim(cache, machine="node7")
    texts = [file.read_text(), ""]
    monkeypatch.setattr(time, "sleep", lambda _: (file.write_text(texts.pop()), os.utime(file, (len(texts) + 1,) * 2)))
    with pytest.raises(ChairlibError, match="busy: process"), alone("job", "busy"):
        pass


def test_holder_without_room_for_its_name_is_refused_for_too(cache, monkeypatch):
    """The disk is full: its file is empty, and yet it lives."""
    file = write_claim(cache, machine="node7")
    file.write_text("")
    beats = iter(range(1, 100))
    monkeypatch.setattr(time, "sleep", lambda _: os.utime(file, (next(beats),) * 2))
    with pytest.raises(ChairlibError, match="busy: its name is unknown; wait for it"), alone("job", "busy"):
        pass


def test_freed_lock_is_free_though_the_disk_has_no_room_to_say_so(cache, monkeypatch):
    with alone("job") as lock:
        monkeypatch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
    monkeypatch.undo()
    (file,) = lock.folder.iterdir()
    assert json.loads(file.read_text())["processes"]  # its last words are that it works
    assert file.stat().st_mtime == 0


@pytest.mark.parametrize("text", ["", '{"host": "nod', "\0" * 100])
def test_holder_that_died_before_it_wrote_its_name_is_followed_after_the_span(cache, text, monkeypatch, capsys):
    monkeypatch.setattr(locks, "SPAN", 0.5)
    write_claim(cache).write_text(text)
    with alone("job"):
        pass
    assert capsys.readouterr().err.count("a process that has not written its name") == 1


# -- Disks that fail ---------------------------------------------------------------------------------------------------


def test_holder_that_cannot_show_that_it_lives_goes_on(cache, monkeypatch):
    monkeypatch.setattr(locks, "BEAT", 0.01)
    failed = []

    def fail(*_):
        failed.append(1)
        raise OSError(28, "No space left on device")

    with alone("job"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "utime", fail)
            while len(failed) < 3:
                time.sleep(0.01)
        (file,) = (cache / "locks" / "job").iterdir()
        before = file.stat().st_mtime_ns
        while file.stat().st_mtime_ns == before:  # and shows it again when it can
            time.sleep(0.01)


def test_folder_that_vanishes_costs_no_work(cache):
    with alone("job"):
        (cache / "locks").rename(cache / "elsewhere")
    with alone("job", "busy"):
        pass


def test_folder_that_cannot_be_written_is_told_of_and_costs_no_work(cache, capsys):
    (cache / "locks").write_text("a file where a folder should be")
    with alone("job", "busy"):
        told = capsys.readouterr().err
    assert "job cannot be locked (Not a directory); start nothing that does the same beside this" in told


# -- Within one process ------------------------------------------------------------------------------------------------


def test_thread_that_has_the_lock_may_ask_again(cache):
    with alone("job") as lock:
        with alone("job", "busy") as again:
            assert again is lock
        process = start_holder(cache, "job")
        assert "waiting" in process.stderr.readline()  # leaving the inner block has not freed it
    assert process.stdout.readline() == "in\n"
    end(process)


def test_threads_of_one_process_take_turns(cache):
    inside, most = [], []

    def work():
        for _ in range(20):
            with alone("job"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80


def test_forked_child_does_not_have_its_parents_lock(cache):
    code = """
child = os.fork()
if child == 0:
    try:
        with locks.alone(name, "busy"):
            os._exit(0)
    except locks.ChairlibError:
        os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
    with holder(cache, "job", code=code) as first:
        assert first.stdout.readline() == "7\n"
        end(first)


# -- Races -------------------------------------------------------------------------------------------------------------

#: Arguments: the cache, how many processes, how often each takes the lock. Each of them makes a file that must not be
#: there yet. One that was killed leaves it: then its process must be dead.
RACE = """
import os, random, sys, time
from pathlib import Path
from chairlib.core import locks, paths
paths.cache, (count, times) = Path(sys.argv[1]), map(int, sys.argv[2:])
locks.POLL, locks.SPAN = 0.05, 5  # what is killed before it wrote its name is followed after the span
inside, log = paths.cache / "inside", paths.cache / "log"
start, release = os.pipe()
for _ in range(count):
    if os.fork() == 0:
        os.close(release)
        os.read(start, 1)  # until all are there
        for _ in range(times):
            with locks.alone("job"):
                if inside.exists() and (text := inside.read_text()) and locks.started(int(text)):
                    log.open("a").write("two\\n")
                inside.write_text(str(os.getpid()))
                time.sleep(random.uniform(0, 0.004))
                inside.write_text("")
                log.open("a").write("one\\n")
        os._exit(0)
os.close(release)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


def race(cache, count, times):
    return subprocess.Popen(
        [sys.executable, "-c", RACE, *map(str, (cache, count, times))],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    "gone",
    [{"processes": [[2**22 + 1, "1"]]}, {"machine": "node7"}, {"machine": "node7", "processes": []}],
    ids=["dead", "on a dead machine", "free"],
)
def test_forty_processes_that_take_over_are_never_two_inside(cache, gone):
    write_claim(cache, **gone)
    assert race(cache, 40, 1).wait(timeout=200) == 0
    assert (cache / "log").read_text() == "one\n" * 40
    assert len(list((cache / "locks" / "job").iterdir())) == 41


@pytest.mark.slow
def test_never_two_inside_while_processes_are_killed_at_random(cache, monkeypatch):
    monkeypatch.setattr(locks, "SPAN", 5.0)
    log = cache / "log"
    log.touch()
    for number in range(30):
        before = log.stat().st_size
        process = race(cache, 8, 1000)
        while log.stat().st_size == before:
            time.sleep(0.01)
        time.sleep(number * 0.01)
        os.killpg(process.pid, 9)  # at any moment of taking and freeing it
        process.wait()
        began = time.monotonic()
        with alone("job"):  # nobody is left
            assert time.monotonic() - began < 20
    assert set(log.read_text().split()) == {"one"}


@pytest.mark.slow
def test_never_two_inside_while_single_processes_are_killed(cache):
    process = race(cache, 12, 10_000)
    try:
        while not (cache / "log").exists():
            time.sleep(0.01)
        for _ in range(10):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(children[len(children) // 2]), 9)
            before = (cache / "log").stat().st_size
            deadline = time.monotonic() + 60
            while (cache / "log").stat().st_size == before:  # the others go on
                assert time.monotonic() < deadline
                time.sleep(0.01)
    finally:
        os.killpg(process.pid, 9)
        process.wait()
    assert "two" not in (cache / "log").read_text()
