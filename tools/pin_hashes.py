"""Write the folder hashes: what `make install` takes, with the SHA-256 of every file that the registry has of it.

    make pins

does this after a change of constraints.txt, and needs a network. It runs this script with uv, which asks the registry.

- hashes/installers.txt: pip and setuptools, which install the rest and are therefore installed first.
- hashes/torch.txt: torch, which some machines have in a folder of their own, as a CPU build.
- hashes/cuda.txt: what torch's builds for CUDA need besides. CPU builds need none of it.
- hashes/packages.txt: every other version of constraints.txt.
- hashes/tools.txt: uv and pip-audit, for `make pins` and `make audit`, with what they need.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HASHES = ROOT / "hashes"
INSTALLERS = {"pip", "setuptools"}
TOOLS = ("pip-audit==2.10.1", "uv==0.13.9")
#: Files of a pinned version that the registry does not have: SHA-256 and what the file is.
#: A file counts only if we know it from two places: the machine that installs it, and somebody else's list of hashes.
OTHER_BUILDS = {
    "torch==2.13.0": {
        "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b": (
            "PyTorch's own CPU build, torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"
        )
    }
}
#: A requirement of a file of hashes: its name and version, then its marker if there is one, then its hashes.
PINNED = re.compile(r"^([\w.-]+)==([^\s;\\]+)[^\\\n]*\\\n(?: +--hash=.*\n)+", re.MULTILINE)


def canonical(name: str) -> str:
    """A package's name as every tool spells it: lower case, with hyphens."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Versions by canonical name, from constraints.txt or from a file of hashes."""
    found = re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {canonical(name): version for name, version in found}


def compiled(requirements: str, name: str, *options: str) -> str:
    """uv's answer: a hash of each file of each version. Versions that the file of hashes already has are kept."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / name
        # The old versions without their hashes: uv would take old hashes over without asking the registry.
        old = (HASHES / name).read_text(encoding="utf-8") if (HASHES / name).exists() else ""
        target.write_text(
            "".join(f"{package}=={version}\n" for package, version in pins(old).items()), encoding="utf-8"
        )
        command = [sys.executable, "-m", "uv", "pip", "compile", "--no-config", "--quiet", "--generate-hashes"]
        command += ["--universal", "--python-version=3.11", "--no-header", "--no-annotate", *options]
        command += [f"--output-file={target}", "-"]
        done = subprocess.run(command, input=requirements, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"hashes/{name} could not be made:\n{done.stderr.strip()}")
        return target.read_text(encoding="utf-8")


def with_other_builds(text: str) -> str:
    """The hashes of files that the registry does not have, each after the registry's own."""
    for pin, builds in OTHER_BUILDS.items():
        found = re.search(rf"^{re.escape(pin)}(?= )[^\\\n]*\\\n( +--hash=.*\n)+", text, re.MULTILINE)
        if not found:
            raise SystemExit(f"constraints.txt no longer has {pin}: look after OTHER_BUILDS in {Path(__file__).name}")
        more = "".join(f" \\\n    --hash=sha256:{digest}" for digest in builds)
        told = "".join(f"# The last hash of {pin} is not the registry's: {what}.\n" for what in builds.values())
        text = text[: found.start()] + told + found[0].rstrip() + more + "\n" + text[found.end() :]
    return text


def without(text: str, names: set[str]) -> str:
    """A file of hashes without these packages."""
    return PINNED.sub(lambda found: "" if canonical(found[1]) in names else found[0], text)


def write(name: str, what: str, text: str) -> None:
    file = HASHES / name
    file.write_text(f"# Made by `make pins`, not by hand. {what}\n{text}", encoding="utf-8")
    print(f"{file.relative_to(ROOT)}: {len(pins(text))} packages, {text.count('--hash=')} hashes")


def main() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    versions = pins(constraints)
    packages = compiled(constraints, "packages.txt", "--no-deps")
    if pins(packages) != versions:
        raise SystemExit(f"uv answered other versions: {sorted(versions.items() ^ pins(packages).items())}")
    write("installers.txt", "What installs the rest.", without(packages, set(versions) - INSTALLERS))
    write("torch.txt", "Torch.", with_other_builds(without(packages, set(versions) - {"torch"})))
    write("packages.txt", "The other versions of constraints.txt.", without(packages, INSTALLERS | {"torch"}))
    torch = f"torch=={versions['torch']}\n"
    cuda = compiled(torch, "cuda.txt", f"--constraints={ROOT / 'constraints.txt'}")
    write("cuda.txt", "What torch's builds for CUDA need besides.", without(cuda, set(versions)))
    tools = compiled("\n".join(TOOLS), "tools.txt")
    write("tools.txt", "What `make pins` and `make audit` use, in an environment of its own.", tools)


if __name__ == "__main__":
    main()
