import getpass
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chairlib import __version__, cli
from chairlib.build import notebooks
from chairlib.core import paths

SCRATCH = ["--images", "64", "--val-images", "4", "--test-images", "4", "--width", "2", "--resolution", "32"]


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# -- what works -------------------------------------------------------------------------------------------------------


def test_version_and_help(call):
    assert call("--version") == (0, f"chairlib {__version__}\n", "")
    status, out, _ = call("--help")
    assert status == 0
    for command in (
        "info",
        "benchmark",
        "run",
        "paper",
    ):
        assert f" {command} " in out
        assert call(command, "-h")[0] == 0
    assert "render-book" not in out


def test_the_help_of_a_build_names_every_profile(call):
    _, out, _ = call("paper", "--help")
    for profile in (paths.home / "profiles").glob("*.yaml"):
        assert profile.stem in re.findall(r"\w+", out)


def test_help_does_not_wait_for_torch():
    code = "import sys; from chairlib.cli import app; assert not {'torch', 'pandas', 'PIL'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_info(call, collection):
    status, out, errors = call("info", collection.root)
    assert (status, errors) == (0, "")
    assert collection.hash in out


def test_benchmark_and_a_second_time(call, collection, own_runs, monkeypatch):
    monkeypatch.chdir(collection.root.parent)
    status, out, _ = call("benchmark", "--data", collection.root.name, *SCRATCH)
    assert status == 0
    assert "IoU" in out
    (record,) = own_runs.glob("*/record.json")
    assert json.loads(record.read_text())["parameters"]["data"] == str(collection.root.resolve())
    written = record.stat().st_mtime_ns
    assert call("benchmark", "--data", collection.root, *SCRATCH)[:2] == (0, out)
    assert record.stat().st_mtime_ns == written


def test_a_model_in_the_current_folder(call, collection, own_runs):
    Path("my_own_model.py").write_text("import random, torch\ndef Net(): return torch.nn.Conv2d(3, 1, 3, padding=1)\n")
    Path("random.py").write_text("raise RuntimeError('shadowed')")
    arguments = [argument for argument in SCRATCH if argument not in ("--width", "2")]
    status, out, errors = call("benchmark", "--data", collection.root, "--model", "my_own_model:Net", *arguments)
    assert status == 0, errors
    assert "(28 parameters)" in out
    Path("quarter_model.py").write_text("import torch\ndef net(out): return torch.nn.Conv2d(3, out, 4, stride=4)\n")
    adapted = ["--model", "quarter_model:net", "--model-args", '{"out": 2}', "--normalise", "imagenet"]
    status, out, errors = call("benchmark", "--data", collection.root, *adapted, *arguments)
    assert status == 0, errors
    assert "(98 parameters)" in out
    status, _, errors = call("benchmark", "--data", collection.root, "--model", "no_such_module:Net", *arguments)
    assert status == 1
    assert "go to the folder that the package is in, put that folder on PYTHONPATH, or install the package." in errors


def test_folders_of_modules_reach_other_processes(tmp_path):
    code = (
        "import subprocess, sys; from pathlib import Path; from chairlib.core.code import look_for_modules_in\n"
        "look_for_modules_in(Path('second'))\n"
        "code = 'import sys, chairlib.core.code; print(*sys.path[-2:])'\n"
        "subprocess.run([sys.executable, '-c', code], check=True, cwd='/')"
    )
    environment = {**os.environ, "CHAIRLIB_MODULES": str(tmp_path / "first")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path / 'first'} {tmp_path / 'second'}\n"


def test_user_without_a_name_or_a_home(call, monkeypatch, tmp_path):
    def unknown(*_):
        raise KeyError("uid not found: 4242")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "TORCH_HOME", "CHAIRLIB_HOME"):
        monkeypatch.setenv(name, "")  # so that it is taken back
        monkeypatch.delenv(name)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for anybody but root
    own = tmp_path / "own"
    (own / ".cache" / "torch").mkdir(parents=True)
    for home in ("", str(own)):
        monkeypatch.setenv("HOME", home)
        if not home:
            monkeypatch.delenv("HOME")
        assert call("--version")[0] == 0
        assert getpass.getuser() == f"user-{os.getuid()}"
        assert Path.home() == paths.cache / "home"
    assert os.environ["TORCH_HOME"] == str(own / ".cache" / "torch")
    monkeypatch.setattr(os, "access", lambda *_: True)
    monkeypatch.setenv("HOME", str(own))
    assert call("--version")[0] == 0
    assert Path.home() == own


def test_an_installed_package_without_a_home(monkeypatch, tmp_path):
    monkeypatch.delenv("CHAIRLIB_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as without HOME and an entry in passwd
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chairlib" / "core").mkdir(parents=True)
    shutil.copy(paths.__file__, tmp_path / "chairlib" / "core")
    assert runpy.run_path(str(tmp_path / "chairlib" / "core" / "paths.py"))["home"] == tmp_path / ".chairlib"


# -- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["info", "a", "b"],
        ["coco-chairs"],
        ["benchmark", "--resolution", "many"],
        ["benchmark", "--imags", "3"],
    ],
)
def test_wrong_usage_is_status_2(call, arguments):
    status, out, errors = call(*arguments)
    assert (status, out) == (2, "")
    assert "Error: " in errors
    assert "Traceback" not in errors
    assert tree(Path()) == []


def test_no_arguments_show_the_commands(call):
    status, out, errors = call()
    assert status == 2
    assert "benchmark" in out + errors


# -- bad input: one line, status 1, nothing written -------------------------------------------------------------------


def test_folders_that_are_missing_or_empty(fails, tmp_path):
    (tmp_path / "empty").mkdir()
    for data, reason in ((tmp_path / "nope", "is not a folder"), (tmp_path / "empty", "holds no manifest.csv")):
        assert reason in fails("info", data)
        assert reason in fails("audit", data)
        assert reason in fails("benchmark", "--data", data)
        assert reason in fails("paper", "--data", data)
    assert fails("benchmark", "--data", "~/no such folder").startswith(f"{Path.home()}/no such folder is not a folder")


def test_unreadable_image_in_a_collection(fails, collection, tmp_path):
    shutil.copytree(collection.root, tmp_path / "broken")
    file = sorted((tmp_path / "broken" / "segments").iterdir())[0]
    file.write_bytes(file.read_bytes()[:60])
    assert file.name in fails("info", tmp_path / "broken")
    file.unlink()
    assert "lacks 1 of" in fails("info", tmp_path / "broken")


def test_numbers_out_of_range(fails, collection):
    data = ["--data", collection.root]
    assert "resolution 8" in fails("benchmark", *data, "--resolution", 8)
    assert fails("benchmark", *data, "--resolution", 16).startswith("resolution 16 is too small for a model; use at le")
    assert "width 0" in fails("benchmark", *data, "--width", 0)
    assert "images -3" in fails("benchmark", *data, "--images", -3)
    assert "test_images 0" in fails("benchmark", *data, "--test-images", 0)
    assert "seed -1 must be a whole number from 0" in fails("benchmark", *data, "--seed", -1)


def test_names_that_are_unknown(fails, collection):
    data = ["--data", collection.root]
    assert "Did you mean 'unet'?" in fails("benchmark", *data, "--model", "unett")
    assert "no_such_module" in fails("benchmark", *data, "--model", "no_such_module:build")
    assert "--model-args '{x' is not JSON" in fails("benchmark", *data, "--model-args", "{x")
    assert "--model-args '[3]' is not a JSON object" in fails("benchmark", *data, "--model-args", "[3]")
    assert "outputs 'masks' is unknown" in fails("benchmark", *data, "--outputs", "masks")
    assert "recipe 'slow' is unknown; use one of paper, released, fast" in fails("benchmark", *data, "--recipe", "slow")
    assert "device 'gpu' cannot be used here" in fails("benchmark", *data, "--device", "gpu")
    assert "profile 'nope' does not exist; use evening, paper, quick, smoke" in fails("paper", "--profile", "nope")
    assert re.search(r"notebook '09_nope' does not exist in .*notebooks; use 01_collection", fails("run", "09_nope"))


def test_parameters_of_a_notebook(fails):
    assert "parameter resolutoin is unknown to notebook 03_ben" in fails("run", "03_benchmark", "-p", "resolutoin=64")
    assert "-p 'resolution' is not of the form name=value" in fails("run", "03_benchmark", "-p", "resolution")
    assert "is not JSON" in fails("run", "03_benchmark", "-P", "{resolution: 64}")
    assert "is not a JSON object" in fails("run", "03_benchmark", "-P", "[64]")


def test_values_of_parameters():
    given = ["a=1", "b=x", "c=[1, null]", 'd="7"', "e=", "f=1=2", "g=true"]
    expected = {"a": 1, "b": "x", "c": [1, None], "d": "7", "e": "", "f": "1=2", "g": True}
    assert cli.read_parameters(given, '{"a": 0, "z": 9}') == {**expected, "z": 9}


def test_folders_of_a_notebook_are_the_callers(call, monkeypatch):
    given = {}
    monkeypatch.setattr(notebooks, "execute", lambda notebook, parameters, *_: given.update(parameters))
    Path("mine").mkdir()
    for name in ("data", "photos"):
        call("run", "07_loss_landscape", "-p", f"{name}=mine")
        assert given.pop(name) == str(Path("mine").resolve())
    for _ in range(2):
        call("run", "07_loss_landscape", "-p", "photos=stand-in", "-p", "data=mini")
        assert given == {"photos": "stand-in", "data": "mini"}  # names, whether or not there are such folders
        given.clear()
        Path("mini").mkdir(exist_ok=True)
        Path("stand-in").mkdir(exist_ok=True)


def test_full_disk(collection, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a tmpfs can only be mounted by root")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "chairlib", "benchmark", "--data", str(collection.root), *SCRATCH],
            env={**os.environ, "CHAIRLIB_HOME": str(disk)},
            capture_output=True,
            text=True,
            check=False,
        )
        last = done.stderr.replace("\r", "\n").rstrip().splitlines()[-1]
        assert done.returncode == 1
        assert last.startswith(f"chairlib: cannot write {disk}")
        assert "No space left on device" in last
        assert "Traceback" not in done.stderr
        assert not list(disk.rglob("*.tmp"))
        assert not list(disk.rglob("record.json"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 PiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to\nallocate 9 bytes."),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."),
    ],
)
def test_memory_that_is_not_there(fails, collection, monkeypatch, error):
    def describe(*_, **__):
        raise error

    monkeypatch.setattr("chairlib.collection.info.describe", describe)
    said = fails("info", collection.root)
    assert f"out of memory ({' '.join(str(error).split())}); ask for less" in said


def test_output_that_nobody_can_read():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full")
    with full.open("w") as stream:
        command = [sys.executable, "-m", "chairlib", "--version"]
        done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


# -- Ctrl-C and SIGTERM -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signum", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "stopped by SIGTERM")]
)
def test_a_signal_while_training_and_on_again(call, collection, own_runs, tmp_path, signum, status, word):
    command = ["benchmark", "--data", str(collection.root), *SCRATCH, "--images", "1600", "--evaluations", "40"]
    process = subprocess.Popen(
        [sys.executable, "-m", "chairlib", *command],
        env={**os.environ, "CHAIRLIB_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, which this may be one of, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and not list(own_runs.glob("*/checkpoint-*.safetensors")):
        pass
    process.send_signal(signum)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "")
    line = f"\nchairlib: {word}; the same command goes on where it stopped.\n"
    assert errors.endswith(line)
    assert "Traceback" not in errors
    (folder,) = own_runs.iterdir()
    assert [path.name for path in folder.iterdir()] == [next(folder.glob("checkpoint-*")).name]

    assert call(*command)[0] == 0
    resumed = json.loads((folder / "record.json").read_text())["metrics"]
    shutil.rmtree(folder)
    assert call(*command)[0] == 0
    assert json.loads((folder / "record.json").read_text())["metrics"] == resumed


def test_a_defect_keeps_its_traceback(monkeypatch):
    def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "print", broken, raising=False)
    monkeypatch.setattr(sys, "argv", ["chairlib", "--version"])
    with pytest.raises(ZeroDivisionError):
        cli.main()
