"""What makes a record stale: the syntax of the modules that decide its numbers, and nothing else."""

import shutil
import sys

import pytest

from chairlib.core import code, paths, runs
from chairlib.core.code import code_hash, imported_modules

NET = '''"""A model of one's own."""
from helpers import blocks
from . import layers
import torch


def build(width=8):
    """Build it."""
    # A comment.
    if width < 1:
        raise ValueError(f"width {width} is too small")
    return layers.conv(width * blocks.FACTOR)
'''


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A package of one's own beside a second one, and an installed package in the same folder."""
    files = {
        "own/__init__.py": "",
        "own/net.py": NET,
        "own/layers.py": "from .deep.convolution import conv\n",
        "own/deep/__init__.py": "",
        "own/deep/convolution.py": "def conv(width):\n    return width\n",
        "own/unused.py": "x = 1\n",
        "helpers/__init__.py": "",
        "helpers/blocks.py": "FACTOR = 2\n",
        "env/site-packages/installed/__init__.py": "from installed import part\nimport alone\n",
        "env/site-packages/installed/part.py": "x = 1\n",
        "env/site-packages/alone.py": "x = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / "env" / "site-packages"))
    return tmp_path


def test_modules_that_a_module_imports(project):
    assert set(imported_modules("own.net")) == {
        "own.net",
        "own.layers",
        "own.deep.convolution",
        "helpers.blocks",
    }
    assert set(imported_modules("own.net", skip=("own.deep", "helpers"))) == {"own.net", "own.layers"}
    assert {"own", "own.deep", "helpers"} < set(imported_modules("own.net", parents=True))
    # Of installed packages, which share a folder with all others, only the one itself.
    assert set(imported_modules("installed")) == {"installed", "installed.part"}
    assert "own.net" not in sys.modules  # nothing is imported to find out


@pytest.mark.parametrize("name", ["nowhere", "own.nowhere", "sys"])
def test_modules_without_source(project, name):
    with pytest.raises(ModuleNotFoundError, match="no source file of module"):
        code_hash(name)


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("own/net.py", '"""Build it."""', '"""Builds a model, in other words."""', False),
        ("own/net.py", "# A comment.", "# Another comment.", False),
        ("own/net.py", '"""A model of one\'s own."""\n', "", False),
        ("own/net.py", "is too small", "must be at least 1", False),
        ("own/net.py", "def build(width=8):", "\n\ndef build(\n    width=8,\n):", False),
        ("own/net.py", "width=8", "width=16", True),
        ("own/net.py", "width < 1", "width <= 1", True),
        ("own/net.py", "import torch\n", "", True),
        ("own/unused.py", "x = 1", "x = 2", False),
        ("own/deep/convolution.py", "return width", "return width + 1", True),
        ("helpers/blocks.py", "FACTOR = 2", "FACTOR = 3", True),
    ],
)
def test_what_changes_the_hash(project, file, old, new, changes):
    before = code_hash("own.net")
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))
    assert (code_hash("own.net") != before) == changes


def test_attribute_docstrings_do_not_count(project):
    text = "class A:\n    x = 1\n    {}\n    y = 2\n"
    hashes = set()
    for note in ('"""What x is."""', '"""Said better."""'):
        (project / "alone.py").write_text(text.format(note))
        hashes.add(code_hash("alone"))
    assert len(hashes) == 1


@pytest.fixture
def copied_library(tmp_path, monkeypatch):
    """The library's modules in a folder where they may be changed."""
    package = tmp_path / "chairlib"
    shutil.copytree(paths.package, package, ignore=shutil.ignore_patterns("assets", "__pycache__"))
    monkeypatch.setattr(code, "project_folder", lambda top: tmp_path)
    yield package
    runs.code_hash.cache_clear()


def code_hashes():
    runs.code_hash.cache_clear()
    return {kind: runs.code_hash(kind) for kind in runs.KINDS}


def change(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return file


def test_a_constant_of_compositing_makes_all_records_stale(copied_library):
    before = code_hashes()
    change(copied_library / "compositing" / "blend.py", "div_(255)", "div_(256)")
    after = code_hashes()
    assert all(after[kind] != before[kind] for kind in runs.KINDS)


def test_words_make_no_record_stale(copied_library):
    before = code_hashes()
    for file in copied_library.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if text.startswith('"""'):
            file.write_text('"""Reworded. ' + text[3:] + "\n# A comment at the end.\n", encoding="utf-8")
    assert code_hashes() == before


def test_help_and_descriptions_make_no_record_stale(copied_library):
    before = code_hashes()
    change(copied_library / "benchmark" / "settings.py", "Validation composites; all by default.", "A number.")
    change(copied_library / "core" / "published.py", '"U-Net"', '"A U-Net"')
    change(copied_library / "benchmark" / "metrics.py", "def _repr_html_(self) -> str:", "def _repr_html_(self):")
    assert code_hashes() == before
    change(
        copied_library / "benchmark" / "settings.py",
        "resolution: int = parameter(64,",
        "resolution: int = parameter(32,",
    )
    assert code_hashes() != before


def test_what_shows_results_makes_no_record_stale(copied_library):
    before = code_hashes()
    for file in [*(copied_library / "show").glob("*.py"), *copied_library.glob("*/report.py")]:
        file.write_text(file.read_text(encoding="utf-8") + "\nTITLE = 'Another title'\n", encoding="utf-8")
    for file in [*copied_library.glob("*/jobs.py"), copied_library / "cli.py", *copied_library.glob("build/*.py")]:
        file.write_text(file.read_text(encoding="utf-8") + "\nCOUNT = 3\n", encoding="utf-8")
    assert code_hashes() == before


def test_each_kind_of_run_has_code_of_its_own(copied_library):
    before = code_hashes()
    for kind, stale in (
        ("landscape", {"landscape"}),
        ("transfer", {"transfer", "landscape"}),
        ("benchmark", {"benchmark", "transfer", "landscape"}),
    ):
        file = copied_library / kind / "run.py"
        file.write_text(file.read_text(encoding="utf-8") + "\nCOUNT = 3\n", encoding="utf-8")
        after = code_hashes()
        assert {name for name in runs.KINDS if after[name] != before[name]} == stale
        before = after


@pytest.mark.parametrize("kind", runs.KINDS)
def test_modules_that_decide_numbers_are_among_them(kind):
    modules = set(imported_modules(f"chairlib.{kind}.run", runs.DECIDES_NOTHING))
    assert modules >= {
        "chairlib.benchmark.evaluation",
        "chairlib.benchmark.metrics",
        "chairlib.benchmark.models",
        "chairlib.benchmark.recipes",
        "chairlib.benchmark.settings",
        "chairlib.benchmark.training",
        "chairlib.compositing.augmentation",
        "chairlib.compositing.blend",
        "chairlib.compositing.packing",
        f"chairlib.{kind}.run",
    }
    assert not any(name.rpartition(".")[2] in ("report", "jobs") for name in modules)
    assert not any(name.startswith(("chairlib.core", "chairlib.show", "chairlib.build")) for name in modules)
