"""Rules of the house that no linter checks: lines, private names, and tests that stand where their modules do."""

import ast
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from chairlib.core import paths

ROOT = paths.package.parent
OURS = ("chairlib", "chairboard", "chairbridge", "chairfinder", "chairmaker")


def tracked(*patterns: str) -> list[Path]:
    """Files of the checkout by pattern, those that git ignores aside."""
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z", *patterns]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_line_is_longer_than_120_characters():
    long = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in tracked("*.py", "Snakefile", "Makefile", "*.md", "*.yaml", "*.yml", "*.toml", ".ci/run")
        if not {"assets", "thirdparty"} & set(file.parts)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        # A row of a table and an address cannot be broken.
        if len(line) > 120 and not (file.suffix == ".md" and (line.startswith("|") or "://" in line))
    ]
    assert not long


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def reached_private_names(file: Path) -> list[str]:
    """Private names that a file takes from another module of ours, by import or as an attribute of the module."""
    found, modules = [], set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] in OURS):
            found += [f"{node.lineno} {alias.name}" for alias in node.names if private(alias.name)]
            modules |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name.split(".")[0] in OURS}
    for node in ast.walk(tree):
        owner = node.value if isinstance(node, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.id in modules and private(node.attr):
            found.append(f"{node.lineno} {owner.id}.{node.attr}")
    return found


def test_no_private_name_of_another_module_is_used():
    reached = {file: reached_private_names(file) for file in tracked("*.py")}
    assert not {str(file.relative_to(ROOT)): names for file, names in reached.items() if names}


def test_the_rule_about_private_names_sees_them(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "from chairlib.core import files\nfrom chairlib.core.files import _beside, write_json\nfiles._beside\n"
        "files.write_json\nimport numpy as np\nnp._core\nfiles.__name__\n"
    )
    assert reached_private_names(file) == ["2 _beside", "3 files._beside"]


def test_no_module_of_the_library_is_longer_than_450_lines():
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in tracked("chairlib/*.py")}
    assert not {str(file): count for file, count in lengths.items() if count > 450}
    assert sum(lengths.values()) <= 14_500


def test_every_test_file_is_collected(pytestconfig):
    """pytest passes over some folders by their names alone, as it would over build."""
    ignored = pytestconfig.getini("norecursedirs")
    folders = {part for file in tracked("*test_*.py") for part in file.parent.relative_to(ROOT).parts}
    assert not [(name, pattern) for name in folders for pattern in ignored if fnmatch(name, pattern)]


def test_tests_stand_where_their_modules_do():
    folders = {file.parent.relative_to(ROOT / "tests") for file in tracked("tests/**/test_*.py")}
    for folder in folders:
        assert (paths.package / folder).is_dir(), folder
