import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chairlib.core.errors import ChairlibError
from chairlib.core.files import (
    atomic_folder,
    atomic_path,
    check_free,
    check_replaceable,
    disk_errors,
    keep,
    kept,
    write_json,
    write_text,
)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@given(text=st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"])))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_text_comes_back_as_written(tmp_path, text):
    write_text(tmp_path / "a" / "b.txt", text)
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == text
    assert listing(tmp_path / "a") == ["b.txt"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OSError(errno.EIO, "Input/output error")])
def test_failure_in_the_block_leaves_the_old_file(tmp_path, failure):
    target = tmp_path / "record.json"
    write_text(target, "old")

    def fail() -> None:
        with atomic_path(target) as path:
            path.write_text("half of the n")
            raise failure

    with pytest.raises((ValueError, KeyboardInterrupt, ChairlibError)):
        fail()
    assert target.read_text() == "old"
    assert listing(tmp_path) == ["record.json"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_failure_in_the_block_leaves_no_folder(tmp_path, failure):
    def fail() -> None:
        with atomic_folder(tmp_path / "new") as folder:
            (folder / "inner").mkdir()
            (folder / "inner" / "file").write_text("x")
            raise failure

    with pytest.raises(failure):
        fail()
    assert listing(tmp_path) == []


def test_folder_appears_when_it_is_whole(tmp_path):
    (tmp_path / "new").mkdir()  # an empty folder may be there
    with atomic_folder(tmp_path / "new") as folder:
        (folder / "file").write_text("x")
        assert listing(tmp_path / "new") == []
    assert listing(tmp_path) == ["new"]
    assert listing(tmp_path / "new") == ["file"]


def test_what_is_kept_stays_until_the_folder_is_there(tmp_path, capsys):
    def fail() -> None:
        with atomic_folder(tmp_path / "new") as folder:
            (folder / "file").write_text("half")
            keep(folder, b"one", "key", 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert listing(tmp_path) == [".new.part"]
    assert capsys.readouterr().err == (
        f"what was done is kept in {tmp_path / '.new.part'}: the same command goes on. "
        "To give it up, delete that folder\n"
    )
    with atomic_folder(tmp_path / "new") as folder:
        assert listing(folder) == []
        assert kept(folder, "key", 1) == b"one"
        assert kept(folder, "key", 2) is None
        (folder / "file").write_text("whole")
    assert listing(tmp_path) == ["new"]
    assert listing(tmp_path / "new") == ["file"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:-9] + data[-8:]])
def test_a_damaged_result_is_no_result(tmp_path, damage):
    (tmp_path / "part" / "whole").mkdir(parents=True)
    keep(tmp_path / "part" / "whole", b"a result of some length", "key")
    assert kept(tmp_path / "part" / "whole", "key") == b"a result of some length"
    (file,) = [path for path in (tmp_path / "part").iterdir() if path.is_file()]
    file.write_bytes(damage(file.read_bytes()))
    assert kept(tmp_path / "part" / "whole", "key") is None


def test_a_result_that_cannot_be_kept_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(ChairlibError, match=r"^cannot write .*: No space left on device"):
        keep(tmp_path / "part" / "whole", b"data", "key")


def test_a_second_process_is_told_that_another_one_writes_the_folder(tmp_path):
    code = (
        "import sys; from chairlib.core.files import atomic_folder\n"
        "with atomic_folder(sys.argv[1]) as folder:\n    print('ready', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "new")], text=True, **pipes) as first:
        assert first.stdout.readline() == "ready\n"
        with (
            pytest.raises(ChairlibError, match=rf"^another process is writing .*new: process {first.pid} on .*; wait"),
            atomic_folder(tmp_path / "new"),
        ):
            pytest.fail("the block must not run")
        assert listing(tmp_path) == [".new.part"]
        first.kill()
    # What a killed process leaves does not keep the next one out, and is none of its result.
    (tmp_path / ".new.part" / "whole" / "half").write_text("x")
    with atomic_folder(tmp_path / "new") as folder:
        assert listing(folder) == []
    assert listing(tmp_path) == ["new"]


def test_what_a_kill_left_of_a_finished_folder_goes(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("chairlib.core.files.shutil.rmtree", lambda *_, **__: None)  # killed before it has deleted much
        with atomic_folder(tmp_path / "new") as folder:
            keep(folder, b"data", "key")
            (folder / "file").write_text("whole")
    assert listing(tmp_path) == [".new.part", "new"]
    with pytest.raises(ChairlibError, match="new exists and is not an empty folder"), atomic_folder(tmp_path / "new"):
        pytest.fail("the block must not run")
    assert listing(tmp_path) == ["new"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_person_has_is_never_replaced_by_a_folder(tmp_path, kind):
    target = tmp_path / "mine"
    precious = target if kind == "file" else target / "precious"
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("mine")
    with pytest.raises(ChairlibError, match="mine exists and is not an empty folder"), atomic_folder(target):
        pytest.fail("the block must not run")
    assert precious.read_text() == "mine"
    assert listing(tmp_path) == ["mine"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_those_of_ordinary_files(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "ours", "x")
        (tmp_path / "theirs").write_text("x")
        with atomic_folder(tmp_path / "our folder"):
            pass
        (tmp_path / "their folder").mkdir()
    finally:
        os.umask(before)
    mode = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in listing(tmp_path)}
    assert mode["ours"] == mode["theirs"]
    assert mode["our folder"] == mode["their folder"]


def test_readers_see_the_old_or_the_new(tmp_path):
    target, seen, stop = tmp_path / "value", set(), threading.Event()
    versions = [character * 200_000 for character in "ab"]
    write_text(target, versions[0])

    def read() -> None:
        while not stop.is_set():
            seen.add(target.read_text())

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(60):
        write_text(target, versions[number % 2])
    stop.set()
    for reader in readers:
        reader.join()
    assert seen <= set(versions)


def test_writers_at_once_leave_one_whole_file(tmp_path):
    versions = [character * 100_000 for character in "abcd"]
    writers = [threading.Thread(target=write_text, args=(tmp_path / "value", text)) for text in versions]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (tmp_path / "value").read_text() in versions
    assert listing(tmp_path) == ["value"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_is_one_clear_line(tmp_path, monkeypatch, call):
    write_text(tmp_path / "file", "old")
    monkeypatch.setattr(os, call, no_space)
    with pytest.raises(
        ChairlibError, match=r"cannot write .*file: No space left on device\. Free some space"
    ) as caught:
        write_text(tmp_path / "file", "new")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "old"
    assert listing(tmp_path) == ["file"]


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 256 kB, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a tmpfs can only be mounted by root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_is_no_folder_to_replace(tiny_disk):
    with pytest.raises(ChairlibError, match="disk is the top of a disk"):
        check_free(tiny_disk)
    check_free(tiny_disk / "new")


def test_where_a_folder_can_be_put(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "empty")
    check_free(tmp_path / "new")
    with pytest.raises(ChairlibError, match=r"^/ is the top of a disk"):
        check_replaceable(Path("/"))
    monkeypatch.chdir(tmp_path / "empty")
    for place in (Path("."), tmp_path / "empty", Path(".."), tmp_path):
        with pytest.raises(ChairlibError, match="is the current folder or holds it"):
            check_replaceable(place)
    check_free(Path("new"))


def test_disk_that_is_really_full(tiny_disk):
    write_text(tiny_disk / "file", "old")
    with pytest.raises(ChairlibError, match="No space left on device"):
        write_text(tiny_disk / "file", "x" * 400_000)
    with (
        pytest.raises(ChairlibError, match=r"cannot write .*folder: No space left"),
        atomic_folder(tiny_disk / "folder") as folder,
    ):
        (folder / "large").write_bytes(bytes(400_000))
    assert listing(tiny_disk) == ["file"]
    assert (tiny_disk / "file").read_text() == "old"


def test_file_larger_than_allowed(tmp_path):
    write_text(tmp_path / "file", "old")
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        with pytest.raises(ChairlibError, match="File too large"):
            write_text(tmp_path / "file", "x" * 50_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "file").read_text() == "old"
    assert listing(tmp_path) == ["file"]


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ChairlibError, match=r"cannot write .*inner: "):
        write_text(tmp_path / "file" / "inner", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ChairlibError, match=r"cannot write .*folder: Is a directory"):
        write_text(tmp_path / "folder", "x")
    assert listing(tmp_path) == ["file", "folder"]


def test_relative_targets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(ChairlibError, match=r"^\. is the current folder"),
        atomic_folder("."),
    ):  # nobody can replace their own place, and it is said before the work
        pytest.fail("the work was begun")
    write_text("file", "x")
    with pytest.raises(ChairlibError, match="is not an empty folder"), atomic_folder("."):
        pass
    assert listing(tmp_path) == ["file"]


def test_nan_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "record.json", {"iou": float("nan")})
    assert listing(tmp_path) == []


def test_disk_errors_names_the_target():
    with pytest.raises(ChairlibError, match=r"^cannot write there: Permission denied\."), disk_errors(Path("there")):
        raise PermissionError(errno.EACCES, "Permission denied", "elsewhere")


@pytest.mark.slow
def test_kill_at_any_moment_leaves_the_old_or_the_new(tmp_path):
    target = tmp_path / "value"
    code = (
        "import sys; from chairlib.core.files import write_text\n"
        "print('ready', flush=True)\n"
        "while True:\n    for c in 'ab': write_text(sys.argv[1], c * 300_000)"
    )
    for delay in (0.01, 0.03, 0.07, 0.11, 0.2):
        process = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(delay + (0 if target.exists() else 0.5))
        process.kill()
        process.communicate()
        assert target.read_text() in ("a" * 300_000, "b" * 300_000)
