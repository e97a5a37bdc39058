import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("papermill")
from nbformat.v4 import new_code_cell, new_notebook  # noqa: E402

from chairlib.build import notebooks  # noqa: E402
from chairlib.build.notebooks import execute, names  # noqa: E402
from chairlib.core import paths  # noqa: E402
from chairlib.core.errors import ChairlibError, ParameterError  # noqa: E402
from chairlib.core.progress import HEADLESS  # noqa: E402
from chairlib.core.tensors import load_tensors  # noqa: E402

PARAMETERS = "depth = 1\nname = 'x'\nnothing = None\ndata = ''"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("CHAIRLIB_MODULES", "")  # execute sets it; this takes it back
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def notebook(tmp_path):
    def write(*cells: str, name: str = "given.ipynb") -> str:
        kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
        parameters = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
        content = new_notebook(cells=[parameters, *map(new_code_cell, cells)], metadata=kernel)
        nbformat.write(content, tmp_path / name)
        return str(tmp_path / name)

    return write


def output(file: Path) -> str:
    cells = nbformat.read(file, as_version=4).cells
    return "".join(part.get("text", "") for cell in cells for part in cell.get("outputs", []))


def test_no_grammar_of_addresses_is_compiled_and_it_can_be_afterwards(notebook, tmp_path):
    pytest.importorskip("rfc3987_syntax")
    code = (
        "import sys\nfrom chairlib.build.notebooks import execute\n"
        f"execute({notebook('print(depth)')!r}, {{}}, {str(tmp_path / 'out.ipynb')!r})\n"
        "assert 'papermill' in sys.modules and 'rfc3987_syntax' not in sys.modules and 'lark' not in sys.modules\n"
        "import rfc3987_syntax"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_notebooks_process_tidies_up_and_then_ends_at_once(notebook, tmp_path):
    """What is registered for the end is done; the interpreter, with all its objects, is not taken apart."""
    code = f"""
import atexit, pathlib, tempfile
folder = pathlib.Path({str(tmp_path)!r})
atexit.register((folder / "registered").touch)
temporary = tempfile.TemporaryDirectory(dir=folder)
class Late:
    def __del__(self, touch=(folder / "taken_apart").touch):
        touch()
import builtins
builtins.late = Late()
"""
    execute(notebook(code), {}, tmp_path / "out.ipynb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.ipynb", "out.ipynb", "registered"]


def test_chapters():
    assert names() == sorted(names())
    assert {"01_collection", "02_compositing", "03_benchmark", "04_benchmark_report"} <= set(names())


def test_values_arrive_and_the_page_shows_them_without_paths(notebook, tmp_path, monkeypatch, capfd):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    given = {"depth": 5, "name": 'it\'s "{x}" ü', "nothing": [1, None, True], "data": str(tmp_path)}
    code = "import os\nprint(depth, name, nothing, os.getcwd())"
    file = execute(notebook(code), given, "out.ipynb")  # relative to here, though the notebook runs at home
    assert file == Path("out.ipynb")
    assert output(file) == f'5 it\'s "{{x}}" ü [1, None, True] {paths.home}\n'
    assert [path.name for path in Path().iterdir()] == ["out.ipynb"]
    done = nbformat.read(file, as_version=4)
    injected = [cell for cell in done.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert len(injected) == 1
    assert "depth = 5" in injected[0].source
    assert f'data = "{tmp_path.name}"' in injected[0].source
    assert "papermill" not in done.metadata
    assert str(tmp_path) not in "".join(cell.source for cell in done.cells)
    log = capfd.readouterr().err
    assert "5 it's" in log  # what the notebook prints is seen as it runs
    assert "WARNING" not in log


def test_a_failure_leaves_the_old_copy_and_shows_the_failed_one(notebook, tmp_path):
    out, failed = tmp_path / "out.ipynb", tmp_path / "out.failed.ipynb"
    out.write_text("old")
    with pytest.raises(
        ChairlibError, match=r"^notebook given failed: ValueError: two lines \(see .*out\.failed\.ipynb"
    ):
        execute(notebook("print('before')", "raise ValueError('two\\nlines')", "print('after')"), {}, out)
    assert out.read_text() == "old"
    assert "before" in output(failed)
    assert "after" not in output(failed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.ipynb", "out.failed.ipynb", "out.ipynb"]
    execute(notebook("print('mended')"), {}, out)
    assert output(out) == "mended\n"
    assert not failed.exists()


def test_process_that_dies(notebook, tmp_path):
    with pytest.raises(ChairlibError, match="notebook given stopped: its process died"):
        execute(notebook("import os; os._exit(9)"), {}, tmp_path / "out.ipynb")
    assert [path.name for path in tmp_path.iterdir()] == ["given.ipynb"]


def test_undeclared_parameter(notebook, tmp_path):
    with pytest.raises(ParameterError, match="dpth, widht is unknown to notebook given; it has depth, name, nothing"):
        execute(notebook(), {"widht": 1, "depth": 2, "dpth": 3}, tmp_path / "out.ipynb")
    assert [path.name for path in tmp_path.iterdir()] == ["given.ipynb"]


def test_undeclared_parameter_of_a_chapter(tmp_path):
    with pytest.raises(ParameterError, match="parameter resolutoin is unknown to notebook 03_benchmark; it has data, "):
        execute("03_benchmark", {"resolutoin": 64}, tmp_path / "out.ipynb")


@pytest.mark.parametrize("name", ["05_nope", "nope.ipynb", "", "03_benchmark.py"])
def test_notebook_that_does_not_exist(name, tmp_path):
    with pytest.raises(
        ParameterError, match=r"does not exist in .*notebooks; use 01_collection, .* or the path of an \.ipynb file"
    ):
        execute(name, {}, tmp_path / "out.ipynb")


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b'{"cells": 3}', b"\xff\xfe", b'{"nbformat": 4}'])
def test_file_that_is_no_notebook(content, tmp_path):
    (tmp_path / "broken.ipynb").write_bytes(content)
    with pytest.raises(ChairlibError, match=r"broken\.ipynb cannot be read as a notebook") as caught:
        execute(str(tmp_path / "broken.ipynb"), {}, tmp_path / "out.ipynb")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.ipynb"]


def test_folder_that_cannot_be_written_is_found_before_the_work(notebook, tmp_path):
    (tmp_path / "file").write_text("x")
    began = time.monotonic()
    with pytest.raises(ChairlibError, match="cannot write"):
        execute(notebook("import time; time.sleep(60)"), {}, tmp_path / "file" / "out.ipynb")
    assert time.monotonic() - began < 30


def test_without_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "papermill", None)
    with pytest.raises(ChairlibError, match=r"is not installed; pip install 'chairlib\[notebooks\]' brings it"):
        execute("03_benchmark", {}, tmp_path / "out.ipynb")


# -- machines of all kinds --------------------------------------------------------------------------------------------


def test_start_up_files_play_no_part(notebook, tmp_path, monkeypatch):
    (tmp_path / "profile_default" / "startup").mkdir(parents=True)
    (tmp_path / "profile_default" / "startup" / "mine.py").write_text("of_ipython = 3")
    (tmp_path / "startup.py").write_text("of_python = 3")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "startup.py"))
    code = "print('of_python' in globals(), 'of_ipython' in globals())"
    assert output(execute(notebook(code), {}, tmp_path / "out.ipynb")) == "False False\n"


def test_it_runs_under_this_interpreter_whatever_jupyter_calls_python3(notebook, tmp_path, monkeypatch):
    (tmp_path / "kernels" / "python3").mkdir(parents=True)
    stale = {"argv": ["/no/such/python", "{connection_file}"], "display_name": "Stale", "language": "python"}
    (tmp_path / "kernels" / "python3" / "kernel.json").write_text(json.dumps(stale))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    code = "import sys; print(sys.executable)"
    assert output(execute(notebook(code), {}, tmp_path / "out.ipynb")) == f"{sys.executable}\n"


def test_modules_of_ones_own_come_after_pythons(notebook, tmp_path):
    """In the current folder: models are found there, and a random.py does not take the place of Python's."""
    (tmp_path / "mine.py").write_text("name = 'mine'")
    for name in ("random.py", "numpy.py"):
        (tmp_path / name).write_text("raise RuntimeError('shadowed')")
    file = notebook("import mine, numpy, random; print(mine.name, numpy.__name__, random.__name__)")
    command = "from chairlib.cli import main; main()"  # as the script `chairlib` does; `-m` prefers the current folder
    environment = {name: value for name, value in os.environ.items() if name != "CHAIRLIB_MODULES"}
    arguments = [sys.executable, "-P", "-c", command, "run", file, "-o", "out.ipynb"]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert output(tmp_path / "out.ipynb") == "mine numpy random\n"


@pytest.mark.parametrize(
    ("kernel", "reason"), [("import time; time.sleep(60)", "respond in 1 seconds"), ("", "died before replying")]
)
def test_process_that_does_not_start(notebook, tmp_path, monkeypatch, kernel, reason):
    monkeypatch.setattr(notebooks, "KERNEL", kernel)
    monkeypatch.setenv(notebooks.START_SECONDS, "1")
    with pytest.raises(ChairlibError, match=f"of notebook given did not start .*{reason}.* longer than 1 s for"):
        execute(notebook("1"), {}, tmp_path / "out.ipynb")
    assert [path.name for path in tmp_path.iterdir()] == ["given.ipynb"]


@pytest.mark.parametrize("value", ["", "soon", "0", "-3", "1.5", "1000000"])
def test_seconds_to_start_that_are_none(notebook, tmp_path, monkeypatch, value):
    monkeypatch.setenv(notebooks.START_SECONDS, value)
    with pytest.raises(ParameterError, match=f"CHAIRLIB_START_SECONDS is '{value}', but must be a whole number"):
        execute(notebook("1"), {}, tmp_path / "out.ipynb")


# -- stopped, and killed ----------------------------------------------------------------------------------------------

WAITING = "import os, time\nprint('kernel', os.getpid(), flush=True)\ntime.sleep(120)"


def hear_ctrl_c() -> None:
    """A shell's background jobs, which these tests may be run by, ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_until_it_waits(file: str, folder: Path, *wrapper: str, **more: Any) -> tuple[subprocess.Popen[str], int]:
    """`chairlib run` of a notebook, once its cell has printed the number of the kernel's process, and that number."""
    process = subprocess.Popen(
        [sys.executable, *wrapper, "-m", "chairlib", "run", file, "-o", str(folder / "out.ipynb")],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        preexec_fn=hear_ctrl_c,
        **more,
    )
    line = next(line for line in process.stderr if line.startswith("kernel"))
    return process, int(line.split()[1])


@pytest.mark.parametrize(
    ("signum", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "stopped by SIGTERM")]
)
def test_a_signal_ends_the_notebook_and_leaves_nothing(notebook, tmp_path, signum, status, word):
    process, kernel = run_until_it_waits(notebook(WAITING), tmp_path)
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert errors.strip() == f"chairlib: {word}; the same command goes on where it stopped."
    assert [path.name for path in tmp_path.iterdir()] == ["given.ipynb"]
    assert not is_alive(kernel)


def test_sigterm_to_the_kernel_alone_ends_all_in_order(notebook, tmp_path):
    """A queue signals every process of a job: the kernel may be the first."""
    process, kernel = run_until_it_waits(notebook(WAITING), tmp_path)
    os.kill(kernel, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in errors
    assert errors.endswith("\nchairlib: stopped by SIGTERM; the same command goes on where it stopped.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["given.ipynb"]
    assert not is_alive(kernel)


#: Starts a command as systemd, `docker --init` or Slurm do: they, not process 1, adopt what a killed process leaves.
_ADOPTING = """
import ctypes, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
print(subprocess.Popen([sys.executable, *sys.argv[1:]]).pid, flush=True)
time.sleep(120)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such processes")
def test_a_kernel_does_not_outlive_its_killed_parent_whoever_adopts_it(notebook, tmp_path):
    without_poller = "import os\nparent = os.getppid()\nos.getppid = lambda: parent\n"  # ipykernel's own, once a second
    file = notebook(without_poller + WAITING)
    adopting, kernel = run_until_it_waits(file, tmp_path, "-c", _ADOPTING, stdout=subprocess.PIPE)
    try:
        os.kill(int(adopting.stdout.readline()), signal.SIGKILL)
        assert not is_alive(kernel)
    finally:
        adopting.kill()
        adopting.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such processes")
def test_a_kernel_whose_parent_was_killed_before_it_started_ends_at_once(tmp_path):
    """ipykernel would then take whoever adopted it for its parent, and wait for the connection for ever."""
    environment = {**os.environ, "JPY_PARENT_PID": "999999999"}
    command = [sys.executable, "-c", notebooks.KERNEL, "-f", str(tmp_path / "k.json")]
    done = subprocess.run(command, env=environment, timeout=60)
    assert done.returncode == -signal.SIGKILL


# -- the chapter that trains ------------------------------------------------------------------------------------------

SMALL = {"width": 2, "resolution": 32, "train_images": 64, "val_images": 16, "test_images": 16}
#: A checkpoint after half of the steps, and at the end.
LONG = {"images": 12800, "evaluations": 2}


def train_in(home: Path) -> subprocess.Popen[str]:
    """`chairlib run 03_benchmark`, small, in a home of its own."""
    if not home.exists():
        home.mkdir()
        (home / "notebooks").symlink_to(paths.package.parent / "notebooks")
    arguments = ["run", "03_benchmark", "-P", json.dumps(SMALL | LONG), "-o", str(home / "out.ipynb")]
    environment = {**os.environ, "CHAIRLIB_HOME": str(home)}
    command = [sys.executable, "-m", "chairlib", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)


def results(home: Path) -> dict[str, Any]:
    """The weights and metrics of the one run in ``home``."""
    (folder,) = (home / "runs").iterdir()
    assert not [file for file in folder.iterdir() if "checkpoint" in file.name or file.suffix == ".tmp"]
    metrics = json.loads((folder / "record.json").read_text())["metrics"]
    return {"metrics": metrics, "weights": (folder / "weights.safetensors").read_bytes()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("trained") / "home"
    _, errors = train_in(home).communicate()
    assert (home / "out.ipynb").exists(), errors
    return home


@pytest.mark.slow
def test_sigterm_while_a_chapter_trains_writes_a_checkpoint_and_leads_to_the_same_bits(trained, tmp_path):
    process = train_in(tmp_path / "home")
    while not (saved := list(tmp_path.glob("home/runs/*/checkpoint-*.safetensors"))):
        assert process.poll() is None
        time.sleep(0.05)
    step = steps_done(saved[0])
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in errors
    assert steps_done(saved[0]) >= step  # the same where it came while scoring
    assert not list(tmp_path.rglob("*.tmp"))
    _, errors = train_in(tmp_path / "home").communicate()
    assert "error" not in errors.lower()
    assert results(tmp_path / "home") == results(trained)


def steps_done(checkpoint: Path) -> int:
    return json.loads(load_tensors(checkpoint)[1]["state"])["step"]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_full_disk_is_one_line_and_with_room_again_the_bits_are_the_same(trained, tmp_path, share):
    """At a moment that follows from how much of what it writes there is room for."""
    disk, size = tmp_path / "disk", 16_000_000
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a tmpfs can only be mounted by root")
    try:
        kept = sum(file.stat().st_size for file in trained.rglob("*") if file.is_file() and not file.is_symlink())
        assert kept < size / 2
        (disk / "others").write_bytes(bytes(int(size - share * kept)))
        process = train_in(disk / "home")
        _, errors = process.communicate()
        assert process.returncode == 1
        *_, line = errors.splitlines()
        assert line.startswith("chairlib: ")
        assert "No space left on device" in line
        assert str(disk) in line
        assert not list(disk.rglob("*.tmp"))
        (disk / "others").unlink()
        _, errors = train_in(disk / "home").communicate()
        assert results(disk / "home") == results(trained), errors
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_kernels_need_no_ports_of_the_machine(notebook, tmp_path):
    """Two that start at once may draw the same one."""
    code = "from ipykernel.connect import get_connection_info; print(get_connection_info(unpack=True)['transport'])"
    assert output(execute(notebook(code), {}, tmp_path / "out.ipynb")) == "ipc\n"


def test_where_names_of_sockets_would_be_too_long_it_still_runs(notebook, tmp_path, monkeypatch):
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    code = "from ipykernel.connect import get_connection_info; print(get_connection_info(unpack=True)['transport'])"
    assert output(execute(notebook(code), {}, tmp_path / "out.ipynb")) == "tcp\n"
    assert list(deep.iterdir()) == []


def is_alive(process: int) -> bool:
    for _ in range(50):
        try:
            os.kill(process, 0)
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return False
        if state == "Z":
            return False
        time.sleep(0.1)
    return True


def test_a_notebook_knows_that_nobody_looks_and_this_process_keeps_its_bars(notebook, tmp_path, monkeypatch):
    monkeypatch.delenv(HEADLESS, raising=False)
    execute(notebook(f"import os; print(os.environ[{HEADLESS!r}])"), {}, tmp_path / "out.ipynb")
    assert "1" in output(tmp_path / "out.ipynb")
    assert HEADLESS not in os.environ
