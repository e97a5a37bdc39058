"""Signals that wait, and builds of which nothing is left when any of their processes is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from chairlib.core import paths
from chairlib.core.stopping import held_signals


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def signum(request):
    """A signal, to which this process answers with KeyboardInterrupt."""

    def stop(number, frame):
        raise KeyboardInterrupt(number)

    before = signal.signal(request.param, stop)
    yield request.param
    assert signal.getsignal(request.param) is stop
    signal.signal(request.param, before)


def held(signum: int, times: int, done: list[str]) -> None:
    with held_signals(lambda: done.append("before")):
        for number in range(times):
            signal.raise_signal(signum)
            done.append(f"{number + 1}")


def test_a_held_signal_comes_when_the_block_ends(signum):
    done = []
    with pytest.raises(KeyboardInterrupt, match=str(int(signum))):
        held(signum, 1, done)
    assert done == ["1", "before"]
    held(signum, 0, done)
    assert done == ["1", "before"]  # without a signal, nothing


def test_a_second_ctrl_c_does_not_wait(signum):
    done = []
    with pytest.raises(KeyboardInterrupt):
        held(signum, 2, done)
    assert done == (["1"] if signum == signal.SIGINT else ["1", "2", "before"])


def test_who_answers_a_signal_and_goes_on_goes_on():
    answered = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: answered.append(number))
    try:
        with held_signals():
            signal.raise_signal(signal.SIGTERM)
            assert answered == []
    finally:
        signal.signal(signal.SIGTERM, before)
    assert answered == [signal.SIGTERM]


def test_what_is_ignored_stays_ignored_and_other_threads_are_left_alone():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    done = []
    try:
        held(signal.SIGINT, 2, done)
        thread = threading.Thread(target=held, args=(signal.SIGINT, 0, done))
        thread.start()  # pytest makes an error of what a thread raises, as Python does of handlers that a thread sets
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["1", "2"]


def test_sigterm_interrupts_once_and_not_in_forked_children():
    code = """
import os, signal, sys, time
from chairlib.core import stopping
stopping.listen()
ready, is_ready = os.pipe()
child = os.fork()
if child == 0:
    os.write(is_ready, b"1")
    time.sleep(60)
    os._exit(9)
os.read(ready, 1)
os.kill(child, signal.SIGTERM)
print(-os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
except KeyboardInterrupt as error:
    print(type(error).__name__, len(stopping.terminated))
    os.kill(os.getpid(), signal.SIGTERM)
    print("tidied up")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [str(int(signal.SIGTERM)), "Terminated 1", "tidied up"]
    assert done.stderr == ""


# -- a build of one notebook that waits -------------------------------------------------------------------------------

SNAKEFILE = """
import shlex, sys
rule page:
    output: "page.ipynb"
    shell: "{python} -P -m chairlib run waiting.ipynb -o {{output}} && touch after"
"""
#: The parts of a build, by words of their command lines.
PARTS = {"paper": "paper", "snakemake": "snakemake.cli", "run": "run", "kernel": "ipykernel"}


@pytest.fixture
def build(tmp_path):
    """`chairlib paper` with a Snakefile of its own, once its notebook's cell waits: its processes by name."""
    nbformat, _ = pytest.importorskip("nbformat"), pytest.importorskip("snakemake")
    home = tmp_path / "home"
    home.mkdir()
    (home / "Snakefile").write_text(SNAKEFILE.format(python=sys.executable))
    for name in ("profiles", "notebooks", "book"):
        (home / name).symlink_to(paths.package.parent / name)
    cell = nbformat.v4.new_code_cell("import time\nopen('waits', 'w').close()\ntime.sleep(600)")
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), home / "waiting.ipynb")
    environment = {**os.environ, "CHAIRLIB_HOME": str(home), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "chairlib", "paper", "--profile", "smoke"]
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        while not (home / "waits").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        yield process, home
    finally:
        for one in processes(home):
            one.kill()
        process.wait()


def processes(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CHAIRLIB_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def one_of(home: Path, part: str) -> psutil.Process:
    matching = [one for one in processes(home) if any(PARTS[part] in word for word in one.cmdline()[2:5])]
    return next(one for one in matching if "bash" not in one.name())


def wait_until_alone(home: Path, seconds: float) -> list[list[str]]:
    end = time.monotonic() + seconds
    while (left := processes(home)) and time.monotonic() < end:
        time.sleep(0.2)
    return [one.cmdline() for one in left]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
@pytest.mark.parametrize("part", PARTS)
def test_nothing_of_a_build_outlives_a_killed_part(build, part):
    process, home = build
    one_of(home, part).kill()
    if part == "paper":
        process.wait()
    assert wait_until_alone(home, 30) == []
    assert not (home / "page.ipynb").exists()


@pytest.mark.slow
def test_sigterm_ends_a_build_and_all_it_started(build, tmp_path):
    process, home = build
    process.terminate()
    assert process.wait(60) == 143
    assert processes(home) == []  # at once: whoever sent it may kill what is left, as docker does
    log = (tmp_path / "log").read_text()
    line = "\nchairlib: stopped by SIGTERM; the same command goes on where it stopped.\n"
    assert log.endswith(line)
    assert "Traceback" not in log
    assert not list(home.rglob("*.tmp"))
    assert not (home / "after").exists()
    assert json.loads((home / ".cache" / "plan.json").read_text())["jobs"]
