"""The packages that are built, and the release, on a small repository with our pyproject.toml files and our scripts."""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from chairlib.core import paths

ROOT = paths.package.parent
EXTRAS = ("chairboard", "chairbridge", "chairfinder", "chairmaker")
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\nWhat will be 0.1.0.\n\n### Added\n\n- Chairs.\n"


def git(folder: Path, *arguments: str) -> str:
    named = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    return subprocess.run(
        ["git", "-C", str(folder), *named, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A small repository, and a folder for temporary files of its own, which must be empty afterwards."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    folder = tmp_path / "repository"
    for name in ("CITATION.cff", "LICENSE", ".gitignore", "tools/build_dist.py", "tools/release.py"):
        write(folder / name, (ROOT / name).read_text(encoding="utf-8"))
    for package in ("chairlib", *EXTRAS):
        place = folder if package == "chairlib" else folder / "extras" / package
        original = ROOT / place.relative_to(folder) / "pyproject.toml"
        write(place / "pyproject.toml", original.read_text(encoding="utf-8"))
        write(place / "README.md", "Chairs.\n")
        write(place / package / "__init__.py", "")
        write(place / package / "py.typed", "")
        write(place / "tests" / "test_nothing.py", "")
    write(folder / "chairlib" / "__init__.py", (ROOT / "chairlib" / "__init__.py").read_text(encoding="utf-8"))
    write(folder / "chairlib" / "assets" / "deep" / "chair.txt", "chair\n")
    write(folder / "CHANGELOG.md", CHANGELOG)
    write(folder / ".ci" / "run", 'grep -h ^__version__ chairlib/__init__.py > "$TOLD"\n')
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Chairs")
    return git(folder, "rev-parse", "HEAD")


def run(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, f"tools/{script}.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def assert_untouched(folder: Path, head: str) -> None:
    assert git(folder, "rev-parse", "HEAD") == head
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "worktree", "list").count("\n") == 0
    assert list(Path(os.environ["TMPDIR"]).iterdir()) == []


# -- packages ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_packages_are_built_twice_with_equal_bytes(repository, tmp_path):
    done = run(repository, "build_dist")
    assert done.returncode == 0, done.stderr
    built = repository / "dist" / "0.1.0"
    names = sorted(f"{name}-0.1.0{end}" for name in ("chairlib", *EXTRAS) for end in ("-py3-none-any.whl", ".tar.gz"))
    sums = (built / "SHA256SUMS").read_text()
    assert [line.split()[1] for line in sums.splitlines()] == names
    assert "built twice, with equal bytes" in done.stdout
    seconds = int(git(repository, "log", "-1", "--format=%ct"))
    with tarfile.open(built / "chairlib-0.1.0.tar.gz") as sdist:
        members = sdist.getmembers()
    assert {(member.mtime, member.uid, member.uname) for member in members} == {(seconds, 0, "")}
    assert {member.mode for member in members} == {0o644, 0o755}
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert not [member.name for member in members if "tests" in member.name]
    for name in ("chairlib", *EXTRAS):
        held = zipfile.ZipFile(built / f"{name}-0.1.0-py3-none-any.whl").namelist()
        assert f"{name}-0.1.0.dist-info/licenses/LICENSE" in held
        assert f"{name}/py.typed" in held
    assert "chairlib/assets/deep/chair.txt" in zipfile.ZipFile(built / "chairlib-0.1.0-py3-none-any.whl").namelist()
    # Another clone, and files that are not of the commit.
    other = tmp_path / "a clone"
    git(tmp_path, "clone", "--quiet", str(repository), str(other))
    write(other / "chairlib" / "stray.py", "")
    write(other / "dist" / "0.1.0" / "of an older build", "")
    assert run(other, "build_dist").returncode == 0
    assert sorted(file.name for file in (other / "dist" / "0.1.0").iterdir()) == ["SHA256SUMS", *names]
    assert [folder.name for folder in (other / "dist").iterdir()] == ["0.1.0"]
    assert (other / "dist" / "0.1.0" / "SHA256SUMS").read_text() == sums


def test_packages_of_a_released_version_are_not_replaced_by_those_of_another_commit(repository):
    git(repository, "tag", "--annotate", "--message=Version 0.1.0", "v0.1.0")
    released = git(repository, "rev-parse", "HEAD")
    write(repository / "dist" / "0.1.0" / "SHA256SUMS", "those of the release")
    write(repository / "chairlib" / "more.py", "")
    later = commit(repository)
    done = run(repository, "build_dist")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"0.1.0 is released: v0.1.0 is the commit {released[:12]}, not {later[:12]}. "
        "Build that one (tools/build_dist.py v0.1.0), or give pyproject.toml a newer version\n"
    )
    assert (repository / "dist" / "0.1.0" / "SHA256SUMS").read_text() == "those of the release"


@pytest.mark.slow
def test_file_that_a_wheel_would_lack_is_an_error(repository):
    write(repository / "extras" / "chairbridge" / "chairbridge" / "left_out.txt", "")
    commit(repository)
    done = run(repository, "build_dist")
    assert done.returncode == 1
    assert (
        "chairbridge-0.1.0-py3-none-any.whl lacks chairbridge/left_out.txt (and 0 more): see package-data"
        in done.stderr
    )
    assert list((repository / "dist").iterdir()) == []


@pytest.mark.slow
def test_builds_that_differ_are_an_error(repository):
    """A backend that packs the time of day: setuptools as it is, without SOURCE_DATE_EPOCH."""
    file = repository / "tools" / "build_dist.py"
    file.write_text(file.read_text().replace("        normalise(sdist, epoch)", "        pass"))
    done = run(repository, "build_dist", "HEAD")
    assert done.returncode == 1
    assert "differ in chairboard-0.1.0.tar.gz" in done.stderr


@pytest.mark.slow
def test_our_own_packages(tmp_path):
    """The real ones: built once, installed into an empty environment, and imported there."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from build_dist import build
    finally:
        sys.path.remove(str(ROOT / "tools"))
    if subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, check=False).returncode:
        pytest.skip("needs git and a checkout")
    build("HEAD", tmp_path / "built", dict(os.environ))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")], check=True)
    python = tmp_path / "empty" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*install, *map(str, (tmp_path / "built").glob("*.whl"))], check=True)
    told = "import chairlib, os; print(chairlib.__version__, len(os.listdir(chairlib.__path__[0] + '/assets/mini')))"
    done = subprocess.run([python, "-Ic", told], capture_output=True, text=True, check=True, cwd=tmp_path)
    version, files = done.stdout.split()
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert int(files) == len(list((paths.package / "assets" / "mini").iterdir()))


# -- the release ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_rehearsal_keeps_nothing(repository, tmp_path):
    head = git(repository, "rev-parse", "HEAD")
    done = run(repository, "release", "0.2.0")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "told").read_text() == '__version__ = "0.2.0"\n'  # the tests saw the new version
    assert "chairmaker-0.2.0.tar.gz" in done.stdout
    assert done.stdout.endswith(
        "a rehearsal: nothing was kept. For the release: make release VERSION=0.2.0 RELEASE=--tag\n"
    )
    assert_untouched(repository, head)
    assert git(repository, "tag", "--list") == ""
    assert not (repository / "dist").exists()


@pytest.mark.slow
def test_release_makes_packages_and_a_tag_and_publishes_nothing(repository):
    head = git(repository, "rev-parse", "HEAD")
    done = run(repository, "release", "0.2.0", "--tag", "--skip-tests")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("WARNING: THE TESTS WERE NOT RUN") == 2
    for command in (
        "git merge --ff-only v0.2.0",
        "git push --atomic origin main v0.2.0",
        "twine upload dist/0.2.0/*.whl dist/0.2.0/*.tar.gz",
    ):
        assert f"\n    {command}\n" in done.stdout
    assert_untouched(repository, head)
    assert git(repository, "rev-parse", "v0.2.0^") == head
    assert "### Added\n\n- Chairs." in git(repository, "tag", "--list", "--format=%(contents)", "v0.2.0")
    git(repository, "merge", "--quiet", "--ff-only", "v0.2.0")
    assert '__version__ = "0.2.0"' in (repository / "chairlib" / "__init__.py").read_text()
    for package in ("chairlib", *(f"extras/{name}" for name in EXTRAS)):
        text = (
            repository / package / "pyproject.toml" if "/" in package else repository / "pyproject.toml"
        ).read_text()
        assert 'version = "0.2.0"' in text
        assert "0.1.0" not in text
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert f"\nversion: 0.2.0\ndate-released: {today}\n" in (repository / "CITATION.cff").read_text()
    changelog = (repository / "CHANGELOG.md").read_text()
    assert changelog == f"# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - {today}\n\n### Added\n\n- Chairs.\n"
    assert len(list((repository / "dist" / "0.2.0").iterdir())) == 11
    done = run(repository, "release", "0.2.0")
    assert done.stderr == "0.2.0 is not newer than 0.2.0, which has a tag; see git tag --list\n"
    done = run(repository, "release", "0.3.0")
    assert done.stderr == "CHANGELOG.md has no entries under ## [Unreleased]: write what changed\n"


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("next", "'next' is not a version; write one like 0.2.0 or 0.2.0rc1 (PEP 440)"),
        ("", "'' is not a version; write one like 0.2.0 or 0.2.0rc1 (PEP 440)"),
        ("v0.2.0", "write the version v0.2.0 as 0.2.0, without v and without +"),
        ("0.2.0-rc.1", "write the version 0.2.0-rc.1 as 0.2.0rc1, without v and without +"),
        ("0.2.0+mine", "write the version 0.2.0+mine as 0.2.0, without v and without +"),
        ("0.0.9", "0.0.9 is older than 0.1.0, the version in pyproject.toml"),
        ("0.1.0", "0.1.0 is not newer than 0.1.5, which has a tag; see git tag --list"),
    ],
)
def test_version_that_cannot_be_released(repository, version, said):
    if "tag" in said:
        git(repository, "tag", "v0.1.5")
    done = run(repository, "release", version)
    assert (done.returncode, done.stderr) == (1, f"{said}\n")
    assert_untouched(repository, git(repository, "rev-parse", "HEAD"))


def test_checkout_that_cannot_be_released(repository):
    write(repository / "note.txt", "")
    done = run(repository, "release", "0.2.0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the checkout has changes (?? note.txt, 1 in all): commit or remove them\n"
    write(repository / "note.txt", "more")
    write(
        repository / "CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\nWhat will be 0.1.0.\n\n## [0.0.1]\n\n- Old.\n"
    )
    commit(repository)
    assert "has no entries under ## [Unreleased]" in run(repository, "release", "0.2.0").stderr


def test_failed_tests_stop_the_release(repository):
    write(repository / ".ci" / "run", "exit 3\n")
    head = commit(repository)
    done = run(repository, "release", "0.2.0", "--tag")
    assert (done.returncode, done.stderr) == (1, "the tests failed: nothing was released\n")
    assert_untouched(repository, head)
    assert git(repository, "tag", "--list") == ""


def test_killed_release_leaves_nothing_that_matters(repository, tmp_path):
    write(repository / ".ci" / "run", '[ -e "$TOLD" ] && exit 3\ntouch "$TOLD"\nexec sleep 100\n')
    head = commit(repository)
    command = [sys.executable, "tools/release.py", "0.2.0", "--tag"]
    started = subprocess.Popen(command, cwd=repository, start_new_session=True, stdout=subprocess.DEVNULL)
    while not (tmp_path / "told").exists():
        assert started.poll() is None
        time.sleep(0.05)
    run(repository, "release", "0.2.0")  # another one beside it, which fails, leaves it alone
    (tree,) = Path(os.environ["TMPDIR"]).iterdir()
    assert (tree / "checkout" / "CITATION.cff").exists()
    assert git(repository, "worktree", "list").count("\n") == 1
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    assert git(repository, "rev-parse", "HEAD") == head
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "tag", "--list") == ""
    run(repository, "release", "0.2.0", "--tag")  # the next one removes the work tree that was left
    assert_untouched(repository, head)
