"""The commands that this package adds to ``chairlib``: ``export`` and ``export-onnx``."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

COMMANDS = ("export", "export-onnx")


def test_the_commands_are_listed_and_have_help(call):
    listed = call("--help")[1]
    for command in COMMANDS:
        assert f" {command} " in listed
        status, out, _ = call(command, "-h")
        assert status == 0
        assert "--resolution" in out


def test_registering_the_commands_does_not_load_torch_or_numpy():
    code = (
        "import sys; from chairlib.cli import app; assert 'chairbridge.cli' in sys.modules; "
        "assert not {'torch', 'numpy', 'pandas', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_export(call, collection):
    status, out, _ = call("export", collection.root, "--out", "out", "--resolution", 32)
    assert status == 0
    assert out == f"{len(list(Path('out').rglob('mask/*.png')))} composites of 32 x 32 pixels in out\n"
    assert set(Image.open("out/train/mask/0.png").tobytes()) == {0, 255}
    assert call("export", collection.root, "--out", "soft", "--resolution", 32, "--soft")[0] == 0
    assert len(set(Image.open("soft/train/mask/0.png").tobytes())) > 2


def test_export_for_hugging_face(call, collection):
    status, out, _ = call("export", collection.root, "--out", "out", "--resolution", 32, "--format", "huggingface")
    assert (status, out) == (0, "76 composites of 32 x 32 pixels in out\n")
    assert {"README.md", "composites.csv", "croissant.json"} < {path.name for path in Path("out").iterdir()}


def test_wrong_usage_is_status_2(call):
    for arguments in (["export", "mini"], ["export-onnx"], ["export-onnx", "run"]):
        status, out, errors = call(*arguments)
        assert (status, out) == (2, "")
        assert "Error: " in errors


def test_bad_input_is_one_line(fails, collection, tmp_path, own_runs):
    (tmp_path / "empty").mkdir()
    for data, reason in ((tmp_path / "nope", "is not a folder"), (tmp_path / "empty", "holds no manifest.csv")):
        assert reason in fails("export", data, "-o", "out")
    assert "resolution 8" in fails("export", collection.root, "-o", "out", "--resolution", 8)
    assert "format 'voc' is unknown" in fails("export", collection.root, "-o", "out", "--format", "voc")
    said = fails("export", collection.root, "-o", "out", "--format", "coco", "--soft")
    assert said.startswith("soft True does not go with format 'coco'")
    said = fails("export-onnx", "no-such-run", "-o", "out.onnx")
    assert said.startswith("no finished run is called 'no-such-run' (similar: none); `chairlib runs list`")


def test_an_unreadable_image_is_named(fails, collection, tmp_path):
    shutil.copytree(collection.root, tmp_path / "broken")
    file = sorted((tmp_path / "broken" / "segments").iterdir())[0]
    file.write_bytes(file.read_bytes()[:60])
    # At a resolution of its own: the packed images of the same content would be taken from the cache.
    assert file.name in fails("export", tmp_path / "broken", "-o", "out", "--resolution", 40)


def test_out_that_exists_or_cannot_be_written(call, collection):
    Path("mine").mkdir()
    Path("mine/precious").write_text("x")
    assert call("export", collection.root, "-o", "mine") == (
        1,
        "",
        "chairlib: mine exists and is not an empty folder; name a new folder, or remove it first.\n",
    )
    status, _, errors = call("export", collection.root, "-o", "mine/precious/out", "--resolution", 32)
    assert status == 1
    assert errors.startswith("chairlib: cannot write mine/precious/out: ")
    assert errors.count("\n") == 1
    assert [path.name for path in Path().rglob("*")] == ["mine", "precious"]


@pytest.mark.parametrize("name", ["released", "coco", "huggingface"])
def test_full_disk(collection, tmp_path, name):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a tmpfs can only be mounted by root")
    try:
        command = [sys.executable, "-m", "chairlib", "export", collection.root, "--format", name, "-o"]
        run = partial(
            subprocess.run,
            env={**os.environ, "CHAIRLIB_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        done = run([*command, disk / "out"])
        last = done.stderr.replace("\r", "\n").rstrip().splitlines()[-1]
        assert done.returncode == 1
        assert last.startswith(f"chairlib: cannot write {disk}")
        assert "No space left on device" in last
        assert "Traceback" not in done.stderr
        assert {path.name for path in disk.iterdir()} <= {".out.part"}
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        for out in (disk / "out", tmp_path / "elsewhere"):
            assert run([*command, out]).returncode == 0
        assert [path.name for path in disk.iterdir()] == ["out"]
        files = [path.relative_to(disk / "out") for path in (disk / "out").rglob("*") if path.is_file()]
        assert len(files) == len([path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()])
        for file in files:
            assert (disk / "out" / file).read_bytes() == (tmp_path / "elsewhere" / file).read_bytes()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


_SLOWLY = """
import sys, time
from chairbridge import composites
composites.BATCH = 4
original = composites.Composites.blend
def blend(*arguments):
    time.sleep(0.1)
    return original(*arguments)
composites.Composites.blend = blend
from chairlib import cli
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_at_random_moments_it_ends_as_one_that_was_not(collection, tmp_path, how):
    command = [sys.executable, "-c", _SLOWLY, "export", collection.root, "--format", "huggingface", "-o"]
    environment = {**os.environ, "CHAIRLIB_HOME": str(tmp_path)}
    part, rng, stops, said = tmp_path / ".out.part", random.Random(int(how)), 0, ""

    def records() -> int:
        return sum(len(path.name) == 64 for path in part.glob("*"))

    for _ in range(40):
        # Whoever starts the tests may have told this process to ignore Ctrl-C, and a child would inherit it.
        process = subprocess.Popen(
            [*command, tmp_path / "out"],
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        before, more = records(), rng.randrange(6)
        while process.poll() is None and records() <= before + more:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(how)
        _, said = process.communicate(timeout=200)
        assert "Traceback" not in said
        if process.returncode == 0 or (tmp_path / "out").exists():  # finished, or stopped at its very end
            break
        stops += 1
    assert stops >= 2
    assert "images were done before" in said or process.returncode != 0
    assert subprocess.run([*command, tmp_path / "whole"], env=environment, check=False).returncode == 0
    files = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file()}
    assert files == {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for file in files:
        ours, theirs = ((tmp_path / name / file).read_bytes() for name in ("out", "whole"))
        assert ours == theirs, file
    assert how == signal.SIGKILL or not part.exists()
