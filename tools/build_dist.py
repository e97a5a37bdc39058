"""Build the five packages, each as an sdist and a wheel, so that everybody gets the same bytes.

    make dist                                  # the last commit, into dist/<version>/
    .venv/bin/python tools/build_dist.py v0.1.0      # any other commit or tag

Everything is built twice, from two exports of the commit that differ in folder, file times, umask, time zone and hash
seed. Unequal bytes are an error. Equal bytes elsewhere need the setuptools of constraints.txt, and the same zlib: it
compresses, and another zlib may compress in another way. What is packed is the same everywhere.
"""

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Where each package's pyproject.toml lies.
PACKAGES = {
    "chairlib": ".",
    **{name: f"extras/{name}" for name in ("chairboard", "chairbridge", "chairfinder", "chairmaker")},
}
BUILD = """
import os, sys
from setuptools import build_meta
# What setuptools writes itself, as METADATA, gets its mode from here.
os.umask(0o022)
print(getattr(build_meta, sys.argv[1])(sys.argv[2]), file=sys.stderr)
"""


def git(*arguments: str, root: Path = ROOT) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def unpack(archive: Path, folder: Path) -> None:
    """Python 3.11.2 unpacks without a filter only, and later ones warn without."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))


def export(commit: str, folder: Path, root: Path) -> None:
    """The files of a commit: not those of the work tree, nor what git ignores."""
    archive = folder / "commit.tar"
    git("archive", "--format=tar", f"--output={archive}", commit, root=root)
    unpack(archive, folder)
    archive.unlink()


def stage(package: str, exported: Path, folder: Path) -> None:
    """What an sdist holds: the package, its pyproject.toml, its README, and the licence, which lies at the top only.

    Tests stay out: setuptools would take some of them, and they would not run.
    """
    source = exported / PACKAGES[package]
    (source / package).rename(folder / package)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(source / name, folder / name)
    shutil.copy2(exported / "LICENSE", folder / "LICENSE")


def backend(hook: str, source: Path, target: Path, environment: dict[str, str]) -> Path:
    """Run a hook of setuptools. Returns the file that it made."""
    target.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", BUILD, hook, str(target)]
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{hook} of {source.name} failed:\n{done.stderr.strip()}")
    return target / done.stderr.strip().splitlines()[-1]


def normalise(sdist: Path, epoch: int) -> None:
    """Rewrite an sdist in one order, with one time, owner and mode: setuptools keeps those of the machine."""
    packed = io.BytesIO()
    with tarfile.open(sdist) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    with sdist.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=epoch) as compressed:
        compressed.write(packed.getvalue())


def build(
    commit: str, target: Path, environment: dict[str, str], root: Path = ROOT, file_time: int | None = None
) -> None:
    """Build all five into a folder. A wheel is built from its sdist, so the sdist has what that needs.

    Raises:
        SystemExit: setuptools fails, or a wheel lacks a file that the commit has.
    """
    epoch = int(git("log", "-1", "--format=%ct", commit, root=root))
    environment = {**environment, "SOURCE_DATE_EPOCH": str(epoch)}
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder, "exported")
        exported.mkdir()
        export(commit, exported, root)
        for file in exported.rglob("*") if file_time else ():
            os.utime(file, (file_time, file_time))
        for package in PACKAGES:
            staged, unpacked = Path(folder, "staged", package), Path(folder, "unpacked", package)
            staged.mkdir(parents=True)
            stage(package, exported, staged)
            files = (file for file in (staged / package).rglob("*") if file.is_file())
            wanted = {file.relative_to(staged).as_posix() for file in files}
            sdist = backend("build_sdist", staged, target, environment)
            normalise(sdist, epoch)
            unpack(sdist, unpacked)
            wheel = backend("build_wheel", next(unpacked.iterdir()), target, environment)
            missing = sorted(wanted - set(zipfile.ZipFile(wheel).namelist()))
            if missing:
                raise SystemExit(f"{wheel.name} lacks {missing[0]} (and {len(missing) - 1} more): see package-data")


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder, by name."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def differences(one: Path, two: Path) -> list[str]:
    """Names of the files of two folders that differ, or that only one has."""
    return sorted({name for name, _ in sums(one).items() ^ sums(two).items()})


def build_twice(commit: str, target: Path, root: Path = ROOT) -> dict[str, str]:
    """Build all five twice, compare the bytes, and put them with their ``SHA256SUMS`` into a folder.

    The folder gets all of it or nothing: a build that is stopped leaves an older one as it was.

    Raises:
        SystemExit: the bytes differ.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".unfinished-") as one,
        tempfile.TemporaryDirectory() as two,
    ):
        first, second = Path(one, "first"), Path(two, "the second, in another folder")
        build(commit, first, plain, root)
        umask = os.umask(0o077)
        try:
            other = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
            build(commit, second, {**plain, **other}, root, file_time=946_684_800)
        finally:
            os.umask(umask)
        unequal = differences(first, second)
        if unequal:
            raise SystemExit(f"two builds of {commit} differ in {', '.join(unequal)}")
        hashes = sums(first)
        listed = "".join(f"{digest}  {name}\n" for name, digest in hashes.items())
        (first / "SHA256SUMS").write_text(listed, encoding="utf-8")
        if target.exists():  # moved in one step, and deleted with the rest: no half-deleted one has this name
            target.rename(Path(one, "replaced"))
        first.rename(target)
    return hashes


def version_of(commit: str, root: Path = ROOT) -> str:
    """The version in chairlib's pyproject.toml of a commit."""
    return re.search(r'^version = "(.+)"$', git("show", f"{commit}:pyproject.toml", root=root), re.MULTILINE)[1]


def check_not_released(commit: str, version: str, root: Path = ROOT) -> None:
    """The folder of a released version holds what is to be uploaded. Packages of another commit must not replace that.

    Raises:
        SystemExit: the version has a tag, at another commit.
    """
    tag = f"v{version}"
    if not git("tag", "--list", tag, root=root):
        return
    tagged = git("rev-parse", "--verify", f"refs/tags/{tag}^{{commit}}", root=root)
    if tagged != commit:
        raise SystemExit(
            f"{version} is released: {tag} is the commit {tagged[:12]}, not {commit[:12]}. "
            f"Build that one (tools/build_dist.py {tag}), or give pyproject.toml a newer version"
        )


def main() -> None:
    commit = git("rev-parse", "--verify", f"{sys.argv[1] if len(sys.argv) > 1 else 'HEAD'}^{{commit}}")
    version = version_of(commit)
    check_not_released(commit, version)
    target = ROOT / "dist" / version
    for name, digest in build_twice(commit, target).items():
        print(digest, name)
    print(f"built twice, with equal bytes, from {commit[:12]}: {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
