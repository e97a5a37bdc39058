import json
import os
import subprocess
import sys
import time

import pytest

from chairlib.build import gpus
from chairlib.core import paths
from chairlib.core.errors import ChairlibError
from chairlib.core.locks import started

#: Takes a GPU, says which, and keeps it until its input ends.
HOLDER = """
import os, sys
from chairlib.build import gpus
with gpus.claim():
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with two pretended GPUs, a and b, and a folder for locks of its own; gives that folder."""
    locks = tmp_path / "machine"
    locks.mkdir()
    monkeypatch.setattr(paths, "machine", locks)
    monkeypatch.setenv("TMPDIR", str(locks))
    monkeypatch.setenv("PATH", str(tmp_path))  # there is no nvidia-smi
    monkeypatch.setenv(gpus.VISIBLE, "a,b")
    return locks


def start():
    # In one stream, so that a test that expects another line fails instead of waiting.
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, "-c", HOLDER], text=True, **pipes)


def pretend_nvidia_smi(folder, *uuids):
    tool = folder / "nvidia-smi"
    tool.write_text("#!/bin/sh\n" + "".join(f"echo {uuid}\n" for uuid in uuids))
    tool.chmod(0o755)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (None, ["GPU-aa1", "GPU-ab2", "GPU-cc3"]),
        ("2,0", ["GPU-cc3", "GPU-aa1"]),
        ("1, GPU-cc", ["GPU-ab2", "GPU-cc3"]),
        ("GPU-ab2,GPU-ab2", ["GPU-ab2"]),
        ("MIG-17", ["MIG-17"]),
        ("", []),
        ("-1", []),
    ],
)
def test_gpus_are_named_so_that_every_process_means_the_same(machine, tmp_path, monkeypatch, variable, expected):
    pretend_nvidia_smi(tmp_path, "GPU-aa1", "GPU-ab2", "GPU-cc3")
    monkeypatch.delenv(gpus.VISIBLE)
    if variable is not None:
        monkeypatch.setenv(gpus.VISIBLE, variable)
    assert gpus.visible() == expected


def test_without_the_tool_the_variable_names_them(machine, monkeypatch):
    assert gpus.visible() == ["a", "b"]
    monkeypatch.delenv(gpus.VISIBLE)
    assert gpus.visible() == []


def test_each_process_has_a_gpu_of_its_own_and_the_third_waits_until_one_is_killed(machine):
    first, second = start(), start()
    try:
        held = {first.stdout.readline().strip(): first, second.stdout.readline().strip(): second}
        assert set(held) == {"a", "b"}
        third = start()
        said = third.stdout.readline()
        assert said.startswith("waiting for a GPU: runs of processes ")
        assert {str(first.pid), str(second.pid)} == set(said.split("processes ")[1].split(" have")[0].split(", "))
        held["b"].kill()
        assert third.stdout.readline().strip() == "b"
        third.communicate("")
        assert third.returncode == 0
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()


def test_no_gpu_is_ever_held_twice(machine):
    code = """
import os, random, time
from pathlib import Path
from chairlib.build import gpus
for _ in range(5):
    os.environ["CUDA_VISIBLE_DEVICES"] = "a,b,c"
    with gpus.claim():
        mark = Path(os.environ["TMPDIR"]) / f"inside-{os.environ['CUDA_VISIBLE_DEVICES']}"
        mark.touch(exist_ok=False)
        time.sleep(random.random() / 50)
        mark.unlink()
"""
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(6)]
    failed = [said for process in processes for said in [process.communicate()[1]] if process.returncode != 0]
    assert not failed, failed[0]


def test_nothing_is_taken_where_there_is_no_gpu(machine, monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "")
    with gpus.claim() as held:
        assert held == ()
    assert not list(machine.iterdir())


def test_a_lock_that_cannot_be_made_is_told_in_a_line(machine, monkeypatch):
    monkeypatch.setattr(paths, "machine", machine / "missing")
    with pytest.raises(ChairlibError, match=r"cannot write .*/missing/chairlib-\d+-a.lock: No such file"), gpus.claim():
        pytest.fail("the block must not run")


@pytest.mark.slow
def test_a_gpu_is_free_when_the_kernel_of_a_killed_run_has_ended_too(machine, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("papermill")
    monkeypatch.setenv(gpus.VISIBLE, "a")
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv("CHAIRLIB_HOME", str(tmp_path))
    told = tmp_path / "told.json"
    cell = (
        "import json, os, signal, time\n"
        f"with open({str(told)!r} + '.new', 'w') as file:\n"
        "    json.dump([os.getpid(), os.environ['CUDA_VISIBLE_DEVICES']], file)\n"
        f"os.rename({str(told)!r} + '.new', {str(told)!r})\n"
        "time.sleep(600)"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    nbformat.write(notebook, tmp_path / "slow.ipynb")
    command = [sys.executable, "-P", "-m", "chairlib", "run", str(tmp_path / "slow.ipynb"), "--own-gpu"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not told.exists():
        assert process.poll() is None
        time.sleep(0.1)
    kernel, named = json.loads(told.read_text())
    assert named == "a"
    process.kill()
    process.wait()
    assert start().communicate("")[0].endswith("a\n")
    assert started(kernel) is None  # it ends with the process that started it, or the two would share the GPU
