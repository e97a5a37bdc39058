"""The lists of hashes, and the audit of known vulnerabilities. No test asks a network."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chairlib.core import paths

ROOT = paths.package.parent


@pytest.fixture
def tool(monkeypatch):
    """Imports a script of the folder tools, which is no package."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))

    def load(name: str):
        spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_pinned_version_has_hashes(tool):
    pins = tool("pin_hashes").pins
    listed = [pins(read(f"hashes/{name}.txt")) for name in ("installers", "torch", "packages")]
    together = {name: version for found in listed for name, version in found.items()}
    assert together == pins(read("constraints.txt")), "constraints.txt was changed: run make pins"
    assert sum(map(len, listed)) == len(together)
    assert set(listed[0]) == {"pip", "setuptools"}
    assert set(listed[1]) == {"torch"}


def test_every_entry_of_the_lists_has_a_sha256():
    for file in (ROOT / "hashes").glob("*.txt"):
        entries = re.sub(r"\\\n", " ", file.read_text(encoding="utf-8")).splitlines()
        for entry in entries:
            if not entry.startswith("#"):
                assert re.fullmatch(r"[\w.-]+==[^\s;]+( ;[^\\]+?)?( +--hash=sha256:[0-9a-f]{64})+ *", entry), entry


def test_cuda_and_the_rest_do_not_contradict_each_other(tool):
    pins = tool("pin_hashes").pins
    cuda, rest = pins(read("hashes/cuda.txt")), pins(read("constraints.txt"))
    assert any(name.startswith("nvidia-") for name in cuda)
    assert not set(cuda) & set(rest)


def test_cpu_build_of_torch_is_allowed_beside_the_registrys(tool):
    pin_hashes = tool("pin_hashes")
    (pin, builds), *_ = pin_hashes.OTHER_BUILDS.items()
    text = f"{pin} \\\n    --hash=sha256:{'1' * 64}\nnext==1.0 \\\n    --hash=sha256:{'2' * 64}\n"
    found = pin_hashes.with_other_builds(text)
    first = found[: found.index("next==")]
    assert re.findall("sha256:(.*?)(?: |$)", first, re.MULTILINE) == ["1" * 64, *builds]
    assert first.startswith(f"# The last hash of {pin} is not the registry's: ")
    assert found.endswith(text[text.index("next==") :])
    assert all(digest in read("hashes/torch.txt") for digest in builds)
    with pytest.raises(SystemExit, match="no longer has torch=="):
        pin_hashes.with_other_builds("torch==9.9 \\\n    --hash=sha256:00\n")


def test_names_are_compared_as_the_tools_spell_them(tool):
    pins = tool("pin_hashes").pins
    text = "# a comment==1\nConfig_Arg.Parse==1.9.0\ntriton==3.7 ; sys_platform == 'linux' \\\n    --hash=sha256:ab\n"
    assert pins(text) == {"config-arg-parse": "1.9.0", "triton": "3.7"}


def test_packages_are_left_out_with_their_hashes(tool):
    text = "# told\nA.b==1 ; x == 'y' \\\n    --hash=1 \\\n    --hash=2\nc==2 \\\n    --hash=3\n"
    assert tool("pin_hashes").without(text, {"a-b"}) == "# told\nc==2 \\\n    --hash=3\n"


# -- the audit --------------------------------------------------------------------------------------------------------


def test_accepted_advisories(tool):
    accepted, pinned = tool("audit").accepted, {("torch", "2.13.0"), ("pip", "26.3")}
    text = "# why\n\nPYSEC-2026-1 torch==2.13.0 only on Windows\nGHSA-a-b pip==26.3 we never do that\n"
    assert accepted(text, pinned) == ["PYSEC-2026-1", "GHSA-a-b"]
    for line, said in {
        "PYSEC-2026-1 torch==2.13.0": ":1 should read: ADVISORY PACKAGE==VERSION REASON, and is: PYSEC-2026-1 torch",
        "PYSEC-2026-1 torch==2.12.0 only on Windows": ":1 is about torch==2.12.0, which is no longer pinned: remove",
    }.items():
        with pytest.raises(SystemExit, match=re.escape(f"accepted_advisories.txt{said}")):
            accepted(line, pinned)


def test_audit_asks_about_every_list_and_fails_with_any(tmp_path):
    """pip-audit itself is a stand-in, which fails for one list."""
    for name in ("tools", "hashes"):
        (tmp_path / name).mkdir()
        for file in (ROOT / name).glob("*.txt"):
            (tmp_path / name / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    for name in ("audit.py", "pin_hashes.py"):
        (tmp_path / "tools" / name).write_text(read(f"tools/{name}"), encoding="utf-8")
    stand_in = (
        "import sys\nprint(*sys.argv[1:])\nsys.exit(any(sys.argv[i].endswith('{}') for i in range(len(sys.argv))))"
    )

    def audit(bad: str) -> subprocess.CompletedProcess:
        (tmp_path / "tools" / "pip_audit.py").write_text(stand_in.format(bad))
        command = [sys.executable, str(tmp_path / "tools" / "audit.py"), "--timeout", "9"]
        found = {**os.environ, "PYTHONPATH": str(tmp_path / "tools")}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=found)

    pin = next(line for line in read("hashes/torch.txt").splitlines() if "==" in line and line[0] != "#").split()[0]
    (tmp_path / "tools" / "accepted_advisories.txt").write_text(f"PYSEC-1 {pin} a reason\n")
    done = audit("nothing")
    assert done.returncode == 0, done.stderr
    asked = [line for line in done.stdout.splitlines() if line.startswith("--strict")]
    files = sorted(file.name for file in (ROOT / "hashes").glob("*.txt"))
    assert [Path(line.split("--requirement ")[1].split()[0]).name for line in asked] == files
    assert all(line.endswith("--ignore-vuln PYSEC-1 --timeout 9") for line in asked)
    for name in files:
        assert audit(name).returncode == 1
