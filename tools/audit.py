"""Ask a database of known vulnerabilities about every pinned version, with pip-audit.

    make audit
    make audit AUDIT="--vulnerability-service osv"

It fails at a vulnerability that tools/accepted_advisories.txt does not explain, and at a package that the database
could not be asked about. It needs a network, and asks one of two services (pip-audit's own is the registry's).
"""

import re
import subprocess
import sys
from pathlib import Path

from pin_hashes import HASHES, pins

ACCEPTED = Path(__file__).with_name("accepted_advisories.txt")
LINE = re.compile(r"([\w-]+) ([\w.-]+==\S+) (\S.*)")


def accepted(text: str, pinned: set[tuple[str, str]]) -> list[str]:
    """Names of the accepted advisories.

    Raises:
        SystemExit: a line has another form, has no reason, or is about a version that is no longer pinned.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = LINE.fullmatch(line.strip())
        if not parts:
            raise SystemExit(f"{ACCEPTED.name}:{number} should read: ADVISORY PACKAGE==VERSION REASON, and is: {line}")
        name, pin, _ = parts.groups()
        if not pinned.issuperset(pins(pin).items()):
            raise SystemExit(f"{ACCEPTED.name}:{number} is about {pin}, which is no longer pinned: remove the line")
        found.append(name)
    return found


def command(file: Path, names: list[str], options: list[str]) -> list[str]:
    """Strict, because pip-audit would otherwise call a package clean that the database does not answer for."""
    ignored = [part for name in names for part in ("--ignore-vuln", name)]
    # The file has all packages and their hashes, so pip need not resolve anything.
    fixed = ["--strict", "--disable-pip", "--require-hashes", "--desc", "off", "--progress-spinner", "off"]
    return [sys.executable, "-m", "pip_audit", *fixed, "--requirement", str(file), *ignored, *options]


def main() -> int:
    files = {file: pins(file.read_text(encoding="utf-8")) for file in sorted(HASHES.glob("*.txt"))}
    names = accepted(ACCEPTED.read_text(encoding="utf-8"), {pin for found in files.values() for pin in found.items()})
    failed = 0
    # One file after the other: pip-audit refuses a package that two files pin to different versions.
    for file, found in files.items():
        print(f"{file.name}: {len(found)} packages", flush=True)
        failed |= subprocess.run(command(file, names, sys.argv[1:]), check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
