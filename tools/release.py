"""Prepare a release: the version everywhere, the changelog, the tests, the packages, a commit and a tag.

    make release VERSION=0.2.0                    # a rehearsal: it does all of that, and keeps nothing
    make release VERSION=0.2.0 RELEASE=--tag      # keeps dist/0.2.0/ and the tag v0.2.0

It publishes nothing: it ends with the commands for that, which a person runs. Everything happens in a work tree of its
own. So the checkout does not change, and a release that is stopped leaves neither a tag nor a changed file. The last
step makes the tag. The tests are `.ci/run` on the very commit that gets the tag; --skip-tests leaves them out.
"""

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from build_dist import PACKAGES, ROOT, build_twice, git, sums, version_of
from packaging.version import InvalidVersion, Version

#: What the name of a work tree's folder begins with; the number of the process that made it follows.
WORK_TREE = "chair-segments-release-"
SECTION = re.compile(r"^## \[Unreleased\]\n(.*?)(?=^## \[|\Z)", re.MULTILINE | re.DOTALL)


def checked(text: str) -> Version:
    """A version that may be released.

    Raises:
        SystemExit: it is no version, is not written in the usual form, or is not newer than the last one.
    """
    try:
        version = Version(text)
    except InvalidVersion:
        raise SystemExit(f"{text!r} is not a version; write one like 0.2.0 or 0.2.0rc1 (PEP 440)") from None
    if str(version) != text or version.local:
        raise SystemExit(f"write the version {text} as {version.public}, without v and without +")
    current = Version(version_of("HEAD"))
    tags = [Version(tag[1:]) for tag in git("tag", "--list", "v[0-9]*").split()]
    if tags and version <= max(tags):
        raise SystemExit(f"{text} is not newer than {max(tags)}, which has a tag; see git tag --list")
    if version < current:
        raise SystemExit(f"{text} is older than {current}, the version in pyproject.toml")
    return version


def check_clean() -> None:
    changed = git("status", "--porcelain").splitlines()
    if changed:
        raise SystemExit(
            f"the checkout has changes ({changed[0].strip()}, {len(changed)} in all): commit or remove them"
        )


def notes(changelog: str) -> str:
    """What stands under [Unreleased], without the line that announces a version."""
    section = SECTION.search(changelog)
    text = re.sub(r"^What will be .*\n", "", section[1], flags=re.MULTILINE).strip() if section else ""
    if not re.search(r"^- ", text, re.MULTILINE):
        raise SystemExit("CHANGELOG.md has no entries under ## [Unreleased]: write what changed")
    return text


def replace(file: Path, pattern: str, new: str) -> None:
    """Replace each match in a file. None is an error: a version would stay the old one."""
    text, count = re.subn(pattern, new, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if not count:
        raise SystemExit(f"{file.name} has no line like {pattern}")
    file.write_text(text, encoding="utf-8")


def set_version(tree: Path, version: str, today: str) -> None:
    """Write the version wherever it stands: the five packages, what they ask of each other, the citation."""
    replace(tree / "chairlib" / "__init__.py", r'^__version__ = ".*"$', f'__version__ = "{version}"')
    for package, place in PACKAGES.items():
        file = tree / place / "pyproject.toml"
        replace(file, r'^version = ".*"$', f'version = "{version}"')
        if package != "chairlib":
            replace(file, rf'"({"|".join(PACKAGES)})==[^"]+"', rf'"\1=={version}"')
    citation = tree / "CITATION.cff"
    replace(citation, r"^version: .*\n(date-released: .*\n)?", f"version: {version}\ndate-released: {today}\n")


def set_changelog(tree: Path, version: str, today: str) -> str:
    """Give the entries under [Unreleased] their version and date. Returns the entries."""
    file = tree / "CHANGELOG.md"
    old = file.read_text(encoding="utf-8")
    text = notes(old)
    section = f"## [Unreleased]\n\n## [{version}] - {today}\n\n{text}\n\n"
    file.write_text(SECTION.sub(lambda _: section, old, count=1).rstrip() + "\n", encoding="utf-8")
    return text


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True


def remove_work_trees() -> None:
    """Those of this release, and of one that was stopped; not those of a release that runs beside this one."""
    listed = re.findall(r"^worktree (.*)$", git("worktree", "list", "--porcelain"), re.MULTILINE)
    for tree in map(Path, listed):
        if not tree.parent.name.startswith(WORK_TREE):
            continue
        number = tree.parent.name.removeprefix(WORK_TREE).partition("-")[0]
        if number == str(os.getpid()) or not (number.isdecimal() and lives(int(number))):
            shutil.rmtree(tree.parent, ignore_errors=True)
    git("worktree", "prune")


def prepare(tree: Path, version: str) -> tuple[str, str]:
    """Commit the new version in a work tree. Returns the commit and the entries of the changelog."""
    git("worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    set_version(tree, version, today)
    text = set_changelog(tree, version, today)
    # The commit hook asks for a .venv, which a new work tree does not have. The tests check more than it does.
    git("commit", "--quiet", "--all", "--no-verify", f"--message=Version {version}", root=tree)
    return git("rev-parse", "HEAD", root=tree), text


def main() -> None:
    parser = argparse.ArgumentParser(description="Prepare a release. It publishes nothing.")
    parser.add_argument("version", help="as 0.2.0")
    parser.add_argument("--tag", action="store_true", help="keep the packages and the tag; without, it is a rehearsal")
    parser.add_argument("--skip-tests", action="store_true", help="do not run .ci/run on the commit")
    options = parser.parse_args()
    version, head = str(checked(options.version)), git("rev-parse", "HEAD")
    check_clean()
    notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    tree = Path(tempfile.mkdtemp(prefix=f"{WORK_TREE}{os.getpid()}-")) / "checkout"
    try:
        commit, text = prepare(tree, version)
        print(git("show", "--stat", "--format=%s", commit), flush=True)
        if options.skip_tests:
            print("WARNING: THE TESTS WERE NOT RUN (--skip-tests)", flush=True)
        elif subprocess.run(["bash", ".ci/run"], cwd=tree, check=False).returncode:
            raise SystemExit("the tests failed: nothing was released")
        target = ROOT / "dist" / version if options.tag else tree.parent / "dist"
        build_twice(commit, target)
        for name, digest in sums(target).items():
            print(digest, name)
        if git("rev-parse", "HEAD") != head:
            raise SystemExit("the branch got new commits meanwhile: start again")
        if not options.tag:
            print(f"a rehearsal: nothing was kept. For the release: make release VERSION={version} RELEASE=--tag")
            return
        # One step, after all others: there is a tag, and all is done, or there is none.
        message = f"Version {version}\n\n{text}"
        git("tag", "--annotate", "--cleanup=whitespace", f"--message={message}", f"v{version}", commit)
    finally:
        remove_work_trees()
    branch = git("branch", "--show-current") or "main"
    print(f"""
The tag v{version} and dist/{version}/ are here, and nowhere else. To take them back: git tag -d v{version}
To publish, run these (the upload needs twine and an account):
    git merge --ff-only v{version}
    git push --atomic origin {branch} v{version}
    twine upload dist/{version}/*.whl dist/{version}/*.tar.gz
Put dist/{version}/SHA256SUMS beside the notes of the release.""")
    if options.skip_tests:
        print("WARNING: THE TESTS WERE NOT RUN (--skip-tests)")


if __name__ == "__main__":
    sys.exit(main())
