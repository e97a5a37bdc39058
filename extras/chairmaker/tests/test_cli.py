"""The commands that the renderer adds to ``chairlib``: ``render`` and ``render-stand-in``."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mitsuba", reason="the renderer's tests need Mitsuba")

from chairlib.collection import Collection

COMMANDS = ("render", "render-stand-in")


def test_the_commands_are_listed_and_have_help(call):
    listed = call("--help")[1]
    for command in COMMANDS:
        assert f" {command} " in listed
        status, out, _ = call(command, "-h")
        assert status == 0
        assert "--seed" in out


def test_registering_the_commands_does_not_load_mitsuba_or_numpy():
    code = (
        "import sys; from chairlib.cli import app; assert 'chairmaker.cli' in sys.modules; "
        "assert not {'mitsuba', 'numpy', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_render_makes_a_collection(call):
    command = ("render", "--out", "c", "--segments", 3, "--backgrounds", 4, "--size", 32, "--seed", 5)
    status, out, errors = call(*command)
    assert status == 0, errors
    collection = Collection("c")
    assert collection.hash in out
    assert [len(collection.rows(kind)) for kind in ("segment", "background")] == [3, 4]
    assert f"chairlib {' '.join(map(str, command))}" in Path("c/README.md").read_text(encoding="utf-8")


def test_render_stand_in_makes_photos(call):
    command = ("render-stand-in", "--out", "photos", "--images", 3, "--size", 32, "--seed", 1)
    status, out, errors = call(*command)
    assert (status, out) == (0, "The stand-in (not Object Discovery) is in photos\n"), errors
    assert len(list(Path("photos/Data/Car").glob("*.jpg"))) == 3
    assert f"chairlib {' '.join(map(str, command))}" in Path("photos/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_usage_is_status_2(call, command):
    for arguments in ([command, "--out"], [command], [command, "--out", "new", "--seed", "-1"]):
        status, out, errors = call(*arguments)
        assert (status, out) == (2, "")
        assert "Error: " in errors
        assert "Traceback" not in errors
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["render", "--segments", 2], "segments is 2"),
        (["render", "--size", 8], "size is 8"),
        (["render-stand-in", "--images", 2], "images is 2"),
        (["render-stand-in", "--size", 8], "size is 8"),
    ],
)
def test_numbers_out_of_range_are_one_line_and_make_nothing(call, arguments, named):
    status, out, errors = call(*arguments, "--out", "new")
    assert (status, out) == (1, "")
    assert errors.startswith(f"chairlib: {named}")
    assert errors.count("\n") == 1
    assert not list(Path().iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_exists_is_left_alone(call, command):
    Path("mine").mkdir()
    Path("mine/precious").write_text("x")
    status, _, errors = call(command, "-o", "mine", "--size", 32)
    said = "chairlib: mine exists and is not an empty folder; name a new folder, or remove it first.\n"
    assert (status, errors) == (1, said)
    assert list(Path().rglob("*")) == [Path("mine"), Path("mine/precious")]
