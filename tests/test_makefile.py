"""The Makefile: what is said before anything is installed. Python and pip are small scripts, but in one test."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from chairlib.core import paths


@pytest.fixture
def checkout(tmp_path):
    """A folder, with a space and a quote in its name, that has what the Makefile looks at."""
    folder = tmp_path / "it's a checkout"
    neighbours = [
        f"extras/{name}/pyproject.toml" for name in ("chairboard", "chairbridge", "chairfinder", "chairmaker")
    ]
    hashes = [f"hashes/{file.name}" for file in (paths.package.parent / "hashes").glob("*.txt")]
    for name in ("Makefile", "pyproject.toml", "constraints.txt", *neighbours, *hashes):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(paths.package.parent / name, folder / name)
    return folder


@pytest.fixture
def make(checkout):
    if not shutil.which("make"):
        pytest.skip("make is not installed")

    def run(*arguments: str, folder: Path = checkout, **variables: str) -> subprocess.CompletedProcess:
        environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
        command = ["make", "-C", str(folder), "--no-print-directory", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**environment, **variables})

    return run


def script(file: Path, text: str, python: str = "") -> str:
    """A shell script. Its second line names a Python, as those that pip writes for a folder with a space do."""
    file.write_text(f"#!/bin/sh\n# {python}\n{text}\n")
    file.chmod(0o755)
    return str(file)


def set_up(folder: Path, chairlib: str = 'echo "$@"') -> Path:
    """What a finished installation leaves, as far as the Makefile looks. Returns the log of its Python's calls."""
    bin = folder / ".venv" / "bin"
    bin.mkdir(parents=True)
    script(bin / "python", f'echo "$@" >> "{folder}/log"\ncase "$*" in *__path__*) echo True;; esac')
    for name, text in (("chairlib", chairlib), ("pip", "")):
        script(bin / name, text, f"{bin}/python")
    (folder / ".venv" / ".installed").touch()
    return folder / "log"


@pytest.fixture
def python(tmp_path):
    """A Python that logs its calls, and makes an environment of which the Python logs its own."""
    bin, log = '"$PWD"/.venv/bin', f'"{tmp_path}/log"'
    write = f'printf "#!/bin/sh\\necho \\"in .venv: \\$*\\" >> \'{tmp_path}/log\'\\n" > {bin}/python'
    made = f'mkdir -p {bin} && {write} && chmod +x {bin}/python && echo "# $PWD/.venv/bin/python" > {bin}/pip'
    return script(tmp_path / "python", f'echo "$@" >> {log}\nif [ "$2" = venv ]; then {made}; fi')


def test_make_targets_are_sound(make):
    tested, kept = ("paper", "test", "test-slow", "kill-test", "lab", "lint"), ("pins", "audit", "dist", "release")
    for target in (*tested, "install", *kept, "clean"):
        done = make("-n", target)
        assert done.returncode == 0, done.stderr
    assert '--profile "smoke" --data "my chairs"' in make("-n", "paper", "PROFILE=smoke", "DATA=my chairs").stdout


def test_make_is_quick_once_installed(make, checkout):
    set_up(checkout)
    done = make("paper", "PROFILE=smoke", "DATA=my chairs", "DEVICE=cpu")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "paper --profile smoke --data my chairs --photos stand-in --device cpu"
    assert "install" not in done.stdout


def test_make_installs_again_when_what_is_needed_changes(make, checkout):
    set_up(checkout)
    os.utime(checkout / ".venv" / ".installed", (1, 1))
    assert "pip install" in make("-n", "install").stdout


def test_python_that_cannot_be_used(make, checkout, tmp_path):
    done = make("install", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert done.stderr.startswith(
        "no-such-python was not found: install Python 3.11, 3.12 or 3.13, or name it: make PY"
    )
    for version in ("3.9.2", "3.14.0"):
        text = f'if [ "$1" = --version ]; then echo "Python {version}"; else exit 1; fi'
        done = make("install", f"PYTHON={script(tmp_path / 'other', text)}")
        assert done.returncode != 0
        assert done.stderr.startswith(
            f"Python {version} cannot be used: the versions in constraints.txt are there ready"
        )
    bare = script(tmp_path / "bare", 'case "$2" in *venv*) exit 1;; esac')
    done = make("install", f"PYTHON={bare}")
    assert done.returncode != 0
    assert "has no venv module: install it (on Debian: python3-venv)" in done.stderr
    assert not (checkout / ".venv").exists()


def test_which_pythons_are_let_in(make, tmp_path):
    """The condition in the Makefile, judged by a real Python that believes to be another one."""
    told = 'exec "{python}" -c "import sys; sys.version_info = {version}; exec(sys.argv[1])" "$2"'
    for version, let_in in (((3, 10, 9), 0), ((3, 11, 2), 1), ((3, 13, 9), 1), ((3, 14, 0), 0), ((3, 15, 0), 0)):
        text = told.format(python=sys.executable, version=version)
        python = script(tmp_path / "python", f'case "$2" in *venv*) exit 1;; *version_info*) {text};; esac')
        assert ("has no venv module" in make("install", f"PYTHON={python}").stderr) == let_in, version


def test_versions_are_there_for_debians_python():
    """Debian 12 has Python 3.11.2. What asks for a later 3.11 would have pip search older versions for hours."""
    pins = [line for line in (paths.package.parent / "constraints.txt").read_text().splitlines() if "==" in line]
    asking = {}
    for name, _, pinned in (pin.partition("==") for pin in pins):
        try:
            found = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        if found["Version"].partition("+")[0] == pinned:
            asking[name] = found.get("Requires-Python", "")
    assert len(asking) > 10
    assert [name for name, asked in asking.items() if "3.11.2" not in SpecifierSet(asked)] == []


def test_pip_gets_each_version_ready_made_or_stops(make, checkout, python, tmp_path):
    assert make("install", f"PYTHON={python}").returncode == 0
    *pinned, ours = [line for line in (tmp_path / "log").read_text().splitlines() if "pip install" in line]
    assert [line.rpartition(" ")[2] for line in pinned] == [
        f"hashes/{name}.txt" for name in ("installers", "torch", "packages", "cuda")
    ]
    for line in pinned:
        assert "--no-deps --require-hashes --only-binary :all:" in line
    assert "--no-index --no-build-isolation" in ours  # pip fetches nothing that is not pinned, not even to build
    assert "-e .[all]" in ours
    shutil.rmtree(checkout / ".venv")
    set_up(checkout).write_text("")
    script(checkout / ".venv" / "bin" / "python", 'case "$*" in *install*) echo "no torch==1" >&2; exit 1;; esac')
    os.utime(checkout / ".venv" / ".installed", (1, 1))
    done = make("install")
    assert done.returncode != 0
    assert done.stderr.startswith(
        "no torch==1\nthe versions in constraints.txt cannot all be installed here, as the lin"
    )


def test_torch_of_the_machine_comes_before_the_registrys(make, checkout):
    log = set_up(checkout)
    for found_here, wanted in (("exit 0", 1), ("exit 1", 2)):
        log.write_text("")
        os.utime(checkout / ".venv" / ".installed", (1, 1))
        text = f'echo "$@" >> "{log}"\ncase "$*" in *no-index*torch.txt*) {found_here};; esac'
        script(checkout / ".venv" / "bin" / "python", text)
        assert make("install").returncode == 0
        asked = [line for line in log.read_text().splitlines() if "torch.txt" in line]
        assert ["--no-index" in line for line in asked] == [True, False][:wanted]


@pytest.mark.parametrize("torch", ["cpu", "cuda"])
def test_only_torch_for_cuda_brings_nvidias_libraries(make, checkout, torch):
    log = set_up(checkout)
    os.utime(checkout / ".venv" / ".installed", (1, 1))
    asked = 'case "$*" in *nvidia*) exit {};; esac'.format(0 if torch == "cuda" else 1)
    script(checkout / ".venv" / "bin" / "python", f'echo "$@" >> "{log}"\n{asked}')
    assert make("install").returncode == 0
    assert ("cuda.txt" in log.read_text()) == (torch == "cuda")


def test_requirement_that_is_not_pinned_is_an_error(make, checkout):
    set_up(checkout)
    os.utime(checkout / ".venv" / ".installed", (1, 1))
    script(checkout / ".venv" / "bin" / "python", 'case "$*" in *"-e .["*) exit 1;; esac')
    done = make("install")
    assert done.returncode != 0
    assert "add its version to constraints.txt, then run: make pins" in done.stderr
    assert not (checkout / ".venv" / ".installed").stat().st_mtime > 1


@pytest.mark.parametrize("change", ["none", "file", "no hash"])
def test_changed_file_is_refused(make, checkout, tmp_path, change):
    """Real pip, on a tiny wheel in a folder."""
    wheel, target = tmp_path / "tiny-1.0-py3-none-any.whl", tmp_path / "installed"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tiny.py", "")
        file.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        file.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("tiny-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    listed = "tiny==1.0\n" if change == "no hash" else f"tiny==1.0 --hash=sha256:{digest}\n"
    (checkout / "hashes" / "packages.txt").write_text(listed)
    if change == "file":
        with zipfile.ZipFile(wheel, "a") as file:
            file.writestr("more.py", "")
    set_up(checkout)
    os.utime(checkout / ".venv" / ".installed", (1, 1))
    real = f'exec "{sys.executable}" "$@" --no-index --find-links "{tmp_path}" --target "{target}"'
    script(checkout / ".venv" / "bin" / "python", f'case "$*" in *packages.txt*) {real};; esac')
    done = make("install")
    assert (done.returncode == 0, target.exists()) == ((True, True) if change == "none" else (False, False)), (
        done.stderr
    )
    if change != "none":
        assert {"file": "DO NOT MATCH THE HASHES", "no hash": "Hashes are required"}[change] in done.stderr
        assert "find out why before you use it" in done.stderr


def test_pip_settings_that_would_install_elsewhere(make, checkout):
    log = set_up(checkout)
    os.utime(checkout / ".venv" / ".installed", (1, 1))
    script(
        checkout / ".venv" / "bin" / "python", f'[ "$1" = -Ic ] || echo "$PIP_USER,$PIP_TARGET,$PYTHONPATH" >> "{log}"'
    )
    assert make("install", PIP_USER="yes", PIP_TARGET="/nowhere", PYTHONPATH="/other").returncode == 0
    assert set(log.read_text().splitlines()) == {"no,,"}


# -- environments that others made, or for another folder -------------------------------------------------------------


def test_environment_that_was_half_made_is_made_again(make, checkout, python, tmp_path):
    (checkout / ".venv" / "bin").mkdir(parents=True)
    script(checkout / ".venv" / "bin" / "python", "exit 1")  # as Ctrl-C before pip is there leaves it
    command = f'command = /usr/bin/python3 -m venv --clear --prompt="chair-segments" {checkout}/.venv'
    (checkout / ".venv" / "pyvenv.cfg").write_text(f"home = /usr/bin\n{command}\n")
    done = make("install", f"PYTHON={python}")
    assert done.returncode == 0, done.stderr
    assert "-m venv --clear --prompt chair-segments .venv" in (tmp_path / "log").read_text()
    assert (checkout / ".venv" / ".installed").exists()


@pytest.mark.parametrize("move", [shutil.copytree, shutil.move])
def test_environment_of_another_folder_is_made_again(make, checkout, python, tmp_path, move):
    set_up(checkout, "echo the other one")
    move(checkout, tmp_path / "new")
    done = make("paper", f"PYTHON={python}", folder=tmp_path / "new")
    assert "the .venv here was made for another folder, or never finished: it is set up again" in done.stdout
    assert "in .venv: -m pip install" in (tmp_path / "log").read_text()


def test_chairlib_of_another_folder_is_replaced(make, checkout):
    log = set_up(checkout)
    script(checkout / ".venv" / "bin" / "python", f'echo "$@" >> "{log}"\ncase "$*" in *__path__*) echo False;; esac')
    assert make("paper").returncode == 0
    assert "-m pip install" in log.read_text()
    assert "venv" not in log.read_text()


def test_environment_of_somebody_else_is_left_alone(make, checkout, python, tmp_path):
    others = checkout / ".venv"
    others.mkdir()
    (others / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.11.2\nprompt = chair-segments\n")
    done = make("install", f"PYTHON={python}")
    assert done.returncode != 0
    assert done.stderr.startswith(
        "the .venv here was not set up by make, and cannot be used: it has no pip, or was made"
    )
    assert [file.name for file in others.iterdir()] == ["pyvenv.cfg"]
    others.rename(tmp_path / "elsewhere")
    set_up(tmp_path)
    others.symlink_to(tmp_path / ".venv")  # what lies there may be in use
    assert make("install", f"PYTHON={python}").returncode != 0
    assert (tmp_path / ".venv" / "bin" / "chairlib").exists()
    others.unlink()
    others.mkdir()  # nothing in it is lost
    assert make("install", f"PYTHON={python}").returncode == 0


# -- what is started --------------------------------------------------------------------------------------------------


def test_make_paper_of_a_profile_that_does_not_exist(make, checkout):
    set_up(checkout, f'exec {sys.executable} -m chairlib "$@"')
    done = make("paper", "PROFILE=nope")
    assert done.returncode != 0
    lines = done.stderr.splitlines()
    assert (
        lines[0]
        == "chairlib: profile 'nope' does not exist; use evening, paper, quick, smoke, or the path of a .yaml file."
    )
    assert len(lines) == 2  # and make's own


def test_make_serve_without_a_book(make):
    done = make("serve")
    assert done.returncode != 0
    assert done.stderr.startswith("there is no book yet: run 'make paper' first")


def test_modules_of_ones_own_are_passed_on(make, checkout):
    set_up(checkout, 'echo "$CHAIRLIB_MODULES,$PYTHONPATH"')
    assert make("paper", PYTHONPATH="/my models:").stdout.splitlines()[-1] == f"{checkout}:/my models:,"


def test_make_lab_as_root(make, checkout, tmp_path):
    set_up(checkout)
    script(checkout / ".venv" / "bin" / "jupyter", 'case "$*" in *--allow-root*) echo "$@";; *) exit 3;; esac')
    script(tmp_path / "id", "echo 0")
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = make("lab", PATH=path)
    assert done.returncode != 0
    assert done.stderr.startswith("if that is because you are root: start it as another user, or, in a container of yo")
    assert make("lab", "LAB=--allow-root", PATH=path).stdout.endswith("lab --notebook-dir notebooks --allow-root\n")
    script(tmp_path / "id", "echo 1000")
    assert make("lab", PATH=path).stderr.startswith("make: *** ")


def test_make_serve_on_a_port_that_is_taken(make, checkout):
    set_up(checkout)
    (checkout / "_build" / "html").mkdir(parents=True)
    (checkout / "_build" / "html" / "index.html").touch()
    script(checkout / ".venv" / "bin" / "python", f'exec "{sys.executable}" "$@"')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for wanted in (port, "many", 99999):
            done = make("serve", f"PORT={wanted}")
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith(
                f"port {wanted} is taken, or cannot be used: choose another one, as in: make s"
            )
            assert done.stderr.count("\n") == 2  # and make's own
