"""The page of recipes: every block runs as it stands, at toy size; and ``dir(chairlib)`` has what pages import."""

import ast
import re
import sys

import pytest
import torch

import chairlib
from chairlib import benchmark
from chairlib.build.profiles import load_profile
from chairlib.core import paths
from drawing import draw_photos, make_collection

ROOT = paths.package.parent
PAGE = ROOT / "book" / "recipes.md"
#: What makes a block small: text of the page, and what is run in its place.
FEW = "images=64, val_images=6, test_images=12, evaluations=2"
TOY = {
    'open_run(protocol="mini-64-v1"': f'open_run({FEW}, data="mini", protocol="32-v1"',
    'open_run(data="my-chairs", protocol="64-v1"': f'open_run({FEW}, data="my-chairs", protocol="32-v1"',
    'name="my-net", protocol="mini-64-v1"': 'name="my-net", data="mini", protocol="32-v1"',
    'model="unet"': 'model="unet", width=2',
    "resolution=64": "resolution=32",
    "limit=3200": "limit=64",
    "images=6000": "images=64",
    "width=16, images=4000": "width=2, resolution=32, images=32, evaluations=1",
    "limit=200": "limit=8",
}


def sections(page=PAGE) -> dict[str, list[str]]:
    """The blocks of Python below each heading."""
    parts = re.split(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        title: re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


def imported_names(code: str) -> list[str]:
    """What a block imports from chairlib itself."""
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    return [alias.name for node in nodes if node.module == "chairlib" for alias in node.names]


@pytest.fixture
def folder(tmp_path, monkeypatch, own_runs):
    """An empty folder with a reader's own module, chairs, photos and checkpoints; Python finds modules in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_net.py").write_text(sections()["My model"][0])
    make_collection(tmp_path / "my-chairs")
    draw_photos(tmp_path / "photos", ("bicycle",))
    namespace: dict = {}
    exec((tmp_path / "my_net.py").read_text(), namespace)
    for name in ("a", "b"):
        torch.save(namespace["net"]().state_dict(), f"{name}.pt")
    yield tmp_path
    sys.modules.pop("my_net", None)


def at_toy_size(block: str, mini: str) -> str:
    for shown, small in TOY.items():
        block = block.replace(shown, small)
    return block.replace('"mini"', repr(mini))


BLOCKS = [(title, number) for title, blocks in sections().items() for number in range(len(blocks))]


def test_every_question_has_a_recipe():
    titles = ["My model", "My loop", "My chairs", "Another object", "Compare two runs", "Analyse my checkpoints"]
    assert list(sections()) == [*titles, "Write a profile"]
    assert all(sections()[title] for title in titles)


@pytest.mark.parametrize(("title", "number"), BLOCKS, ids=[f"{title}, {number + 1}" for title, number in BLOCKS])
def test_a_recipe_runs_as_it_stands(title, number, folder, collection, capsys):
    block = sections()[title][number]
    if "load_runs()" in block:
        for seed in (0, 1):
            settings = eval(f"dict({FEW}, width=2, resolution=32)")
            benchmark.train(benchmark.open_run(data=str(collection.root), seed=seed, **settings), progress=False)
    exec(compile(at_toy_size(block, str(collection.root)), f"{title}, {number + 1}", "exec"), {"__name__": "recipe"})
    printed = capsys.readouterr().out
    assert bool(printed) == ("print(" in block)


def test_the_runs_that_the_readme_compares_are_called_so(folder):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    ((mine, baseline),) = re.findall(r"^chairlib runs compare (\S+) (\S+)$", text, flags=re.MULTILINE)
    assert benchmark.open_run(protocol="mini-64-v1", model="my_net:net").name.startswith(f"{mine}-seed0-")
    assert benchmark.open_run(protocol="mini-64-v1", width=16).name.startswith(f"{baseline}-seed0-")


def test_whatever_makes_a_recipe_small_is_on_the_page():
    text = "".join(block for blocks in sections().values() for block in blocks)
    assert [shown for shown in TOY if shown not in text] == []


def test_the_profile_of_the_page_is_one(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "mine.yaml").write_text(text)
    profile = load_profile(str(tmp_path / "mine.yaml"))
    assert len(profile.benchmark) == 6
    assert {run["model"] for run in profile.benchmark} == {"unet", "my_net:net"}


@pytest.mark.parametrize("page", ["README.md", "book/guide.md", "book/recipes.md"])
def test_the_library_lists_what_a_page_imports(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names = {name for block in blocks for name in imported_names(block)}
    assert names
    assert sorted(names - set(dir(chairlib))) == []
    assert all(hasattr(chairlib, name) for name in names)
