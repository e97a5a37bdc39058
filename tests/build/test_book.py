"""The book's sources and front-door files, and the site they build, read without a browser."""

import ast
import importlib.util
import json
import os
import re
import tomllib
import types
from html.parser import HTMLParser
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml

import chairlib
import site_helpers
from chairlib.core import paths

ROOT = paths.package.parent
BOOK = ROOT / "book"
PROSE = sorted(BOOK.glob("*.md"))
#: The pages of the API reference: folders of the library.
CHAPTERS = ("collection", "compositing", "benchmark", "transfer", "landscape", "show", "build", "core")
FRONT_DOOR = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", BOOK / "guide.md"]
# What the pages' html-manager holds; a widget from any other package would be looked up on a CDN.
OFFLINE_WIDGETS = {"@jupyter-widgets/base", "@jupyter-widgets/controls", "@jupyter-widgets/output"}
FETCHED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src",),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src",),
    "track": ("src",),
    "video": ("src", "poster"),
}


@pytest.fixture(scope="session")
def built_site(tmp_path_factory):
    return site_helpers.site_under_test(tmp_path_factory.getbasetemp())


class Page(HTMLParser):
    """What a page fetches, where it links to, its targets, its inline code and its pictures' texts."""

    def __init__(self, path: Path):
        super().__init__(convert_charrefs=True)
        self.path, self.fetched, self.links, self.targets = path, [], [], set()
        self.pictures, self.scripts, self.styles, self.inside = [], {}, [], None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        self.fetched += [
            values[name] for name in FETCHED.get(tag, ()) if name in values and "canonical" not in values.get("rel", "")
        ]
        self.fetched += [part.split()[0] for part in values.get("srcset", "").split(",") if part.strip()]
        self.targets |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "img":
            self.pictures.append(values)
        if "style" in values:
            self.styles.append(values["style"])
        self.inside = (tag, values.get("type", "")) if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside and self.inside[0] == "style":
            self.styles.append(data)
        elif self.inside:
            self.scripts.setdefault(self.inside[1], []).append(data)


@pytest.fixture(scope="session")
def pages(built_site):
    return [Page(path) for path in site_helpers.site_pages(built_site)]


def is_external(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme not in ("", "data", "blob")


def style_addresses(style: str) -> list[str]:
    """What a style sheet loads: url(...) and @import, comments left out."""
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.S)
    found = re.findall(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""", style)
    return [first or second for first, second in found]


# Sources


def test_contents_name_every_page_of_prose_once():
    text = (BOOK / "_toc.yml").read_text()
    named = re.findall(r"^\s*(?:- file|root): (\S+)", text, flags=re.M)
    assert sorted(name for name in named if "/" not in name) == sorted(path.stem for path in PROSE)
    assert [name for name in named if "/" in name] == [
        "notebooks/01_collection",
        "notebooks/01_gallery",
        "notebooks/02_compositing",
        "notebooks/03_benchmark",
        "notebooks/04_benchmark_report",
        "notebooks/05_object_discovery",
        "notebooks/06_transfer_report",
        "notebooks/07_loss_landscape",
        "notebooks/08_leaderboard",
        *(f"api/{name}" for name in ("index", *CHAPTERS)),
    ]


@pytest.mark.parametrize("page", PROSE, ids=lambda path: path.stem)
def test_a_page_with_our_numbers_says_what_they_ran_on(page):
    text = page.read_text()
    if "{glue" in text:
        assert "::profile_sentence:s`" in text


@pytest.mark.parametrize("page", PROSE, ids=lambda path: path.stem)
def test_every_value_glued_into_prose_is_among_the_agreed_ones(page):
    """The chapters promise exactly these names, so a new one has to be added there too."""
    agreed = {
        "02_compositing": site_helpers.GLUED_02,
        "04_benchmark_report": site_helpers.GLUED_04,
        "06_transfer_report": site_helpers.GLUED_06,
        "07_loss_landscape": site_helpers.GLUED_07,
    }
    for chapter, key in re.findall(r"`notebooks/(\w+)\.ipynb::(\w+):s`", page.read_text()):
        assert key in agreed[chapter]


def test_vendored_versions_are_those_the_readme_names():
    readme = (BOOK / "_assets/thirdparty/README.md").read_text()
    licences = (BOOK / "data-and-licences.md").read_text()
    embed = (BOOK / "_assets/thirdparty/html-manager/embed.js").read_text()
    mathjax = (BOOK / "_assets/thirdparty/mathjax/tex-mml-chtml.js").read_text()
    for code, version in ((embed, "1.0.15"), (mathjax, "3.2.2")):
        assert f'"{version}"' in code or f"'{version}'" in code
        assert version in readme
        assert version in licences
    for folder in (BOOK / "_assets/thirdparty").iterdir():
        if folder.is_dir():
            assert (folder / "LICENSE").is_file()
            assert f"`{folder.name}/`" in readme


def test_each_run_is_titled_by_its_name(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from run_titles import titled

    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("# a comment"), nbformat.v4.new_markdown_cell("# One run\n\nText\n# Other")]
    )
    cells = json.loads(titled(nbformat.writes(notebook), "unet-64"))["cells"]
    assert ["".join(cell["source"]) for cell in cells] == ["# a comment", "# Run `unet-64`\n\nText\n# Other"]


def test_the_site_leaves_out_what_no_page_shows(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from lean_site import slim

    output = nbformat.v4.new_output("stream", text="a picture")
    cell = nbformat.v4.new_code_cell(
        "x = 1", outputs=[output], execution_count=3, metadata={"papermill": {}, "tags": []}
    )
    page = tmp_path / "_sources" / "notebooks" / "one.ipynb"
    page.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {}}), page)
    files = ("a.js", "a.js.map", "old.ttf", "both.ttf", "both.woff2", "readme.png", "logo.png")
    (tmp_path / "_static" / "fonts").mkdir(parents=True)
    for name in files:
        (tmp_path / "_static" / "fonts" / name).touch()

    slim(tmp_path)
    left = nbformat.read(page, as_version=4)
    nbformat.validate(left)
    assert left.metadata == {}
    assert [(cell.source, cell.outputs, cell.execution_count, cell.metadata) for cell in left.cells] == [
        ("x = 1", [], None, {"tags": []})
    ]
    kept = {file.name for file in (tmp_path / "_static" / "fonts").iterdir()}
    assert kept == {"a.js", "old.ttf", "both.woff2", "logo.png"}


def test_the_site_carries_no_picture_twice(built_site):
    """A page's download is its notebook without outputs."""
    for file in (built_site / "_sources").rglob("*.ipynb"):
        assert not any(cell.get("outputs") for cell in nbformat.read(file, as_version=4).cells), file.name
    assert not list((built_site / "_static").rglob("*.map"))


# The API reference


def public_names() -> dict[str, list[str]]:
    """By folder of the library, every public name of its modules, in full."""
    names: dict[str, list[str]] = {folder: [] for folder in CHAPTERS}
    for file in sorted(paths.package.glob("*/**/*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if file.name != "__init__.py":
            found = importlib.import_module(module)
            names[module.split(".")[1]] += [
                f"{module}.{name}"
                for name, value in vars(found).items()
                if getattr(value, "__module__", None) == module
                and not name.startswith("_")
                and not isinstance(value, TypeVar)
            ]
    return names


def test_search_knows_every_public_name(built_site):
    text = (built_site / "searchindex.js").read_text()
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip().removesuffix(")"))
    known: dict[str, str] = {}
    for prefix, entries in index["objects"].items():
        for page, _kind, _priority, _anchor, name in entries:
            known[f"{prefix}.{name}" if prefix else name] = index["docnames"][page]
    names = public_names()
    assert sum(map(len, names.values())) > 400
    for folder, public in names.items():
        assert [name for name in public if known.get(name) != f"api/{folder}"] == []


def test_the_reference_lists_what_the_library_itself_has(pages):
    (index,) = (page for page in pages if page.path.match("api/index.html"))
    linked = {address.partition("#")[2].rpartition(".")[2] for address in index.links}
    chapters = {name for name in dir(chairlib) if isinstance(getattr(chairlib, name), types.ModuleType)}
    assert chapters <= set(CHAPTERS)
    assert {name for name in dir(chairlib) if not name.startswith("__")} - chapters - linked == set()


def test_sections_of_a_docstring_become_lists(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from api_pages import without_sections

    entries = "a: one, in\n    two lines.\nb, c: see: this,\nin two.\n\nIt raises: x."
    items = "- **a**: one, in\n  two lines.\n- **b, c**: see: this,\n  in two.\n\nIt raises: x."
    assert without_sections(f"Do it.\n\nParameters\n----------\n{entries}") == f"Do it.\n\n\n**Parameters**\n\n{items}"
    assert without_sections("No section.\n\na: b") == "No section.\n\na: b"


# Front door


@pytest.mark.parametrize("page", FRONT_DOOR, ids=lambda path: path.name)
def test_every_make_target_shown_exists(page):
    targets = set(re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), flags=re.M))
    shown = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), flags=re.M))
    assert shown
    assert shown <= targets


def can_import(module: str, name: str) -> bool:
    """Whether `from module import name` works: an attribute, or a module inside a package."""
    return hasattr(importlib.import_module(module), name) or importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("page", FRONT_DOOR, ids=lambda path: path.name)
def test_python_shown_uses_names_that_exist(page):
    for snippet in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.S):
        for node in ast.walk(ast.parse(snippet)):
            if isinstance(node, ast.ImportFrom):
                assert [alias.name for alias in node.names if not can_import(str(node.module), alias.name)] == []


@pytest.mark.parametrize("page", [*FRONT_DOOR, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_every_file_linked_from_the_front_door_exists(page):
    for address in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
        if not urlsplit(address).scheme:
            assert (page.parent / address).is_file(), address


def test_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (paper,) = citation["references"]
    assert "2012.01250" in paper["url"]
    assert [author["family-names"] for author in paper["authors"]] == [
        "Pinto-Alva",
        "Torres",
        "Garcia",
        "Yang",
        "Ordonez",
    ]


def test_pre_commit_fetches_nothing():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert {repository["repo"] for repository in hooks} == {"local"}
    assert {hook["language"] for repository in hooks for hook in repository["hooks"]} == {"system"}


# The built site


def test_pages_fetch_nothing_from_elsewhere(pages):
    found = {
        (page.path.name, address[:120])
        for page in pages
        for address in [*page.fetched, *(url for style in page.styles for url in style_addresses(style))]
        if is_external(address)
    }
    assert found == set()


def test_scripts_and_styles_fetch_nothing_from_elsewhere(built_site, pages):
    styles = {path: style_addresses(path.read_text()) for path in built_site.rglob("*.css")}
    assert {(path.name, url[:120]) for path, urls in styles.items() for url in urls if is_external(url)} == set()
    loads = re.compile(r"""(?:import\s*\(?|from|importScripts\(|fetch\()\s*["'`](?:https?:)?//[^"'`]+""")
    for path in built_site.rglob("*.js"):
        assert loads.findall(path.read_text()) == [], path.name
    for page in pages:
        inline = "".join(code for kind in ("", "text/javascript", "module") for code in page.scripts.get(kind, []))
        assert re.findall(r"""https?://[^"'`\s]+\.(?:m?js|css|woff2?)\b""", inline) == [], page.path.name


def test_whatever_a_page_names_is_there(built_site, pages):
    targets = {page.path: page.targets for page in pages}
    missing = []
    for page in pages:
        for address in {*page.fetched, *page.links}:
            parts = urlsplit(address)
            if parts.scheme or not address:
                continue
            path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            known = targets.get(path)
            if not path.is_file() or (parts.fragment and known is not None and unquote(parts.fragment) not in known):
                missing.append((page.path.name, address))
    assert missing == []


def test_widgets_are_of_packages_that_the_site_carries(pages):
    used = set()
    for page in pages:
        for state in page.scripts.get("application/vnd.jupyter.widget-state+json", []):
            used |= {model["model_module"] for model in json.loads(state)["state"].values()}
    assert used
    assert used <= OFFLINE_WIDGETS


def test_every_picture_has_words_for_who_cannot_see_it(pages):
    wordless = {
        (page.path.name, picture.get("src", "")[:60])
        for page in pages
        for picture in page.pictures
        # Sphinx puts the file's own path where an author gave no words.
        if "alt" not in picture or re.search(r"\.(png|jpe?g|svg|gif)$", picture["alt"])
    }
    assert wordless == set()


def test_a_page_stays_light_enough_for_a_phone(pages):
    heavy = {page.path.name: page.path.stat().st_size for page in pages if page.path.stat().st_size > 4_000_000}
    assert heavy == {}


def test_every_run_has_a_page_of_its_own_in_the_contents(built_site):
    runs = sorted(path.stem for path in (built_site / "notebooks/runs").glob("*.html"))
    contents = (built_site / "index.html").read_text()
    assert runs or "CHAIRLIB_SITE" in os.environ  # a profile of one run shows it as the chapter
    for run in runs:
        assert f"<title>Run {run}" in (built_site / f"notebooks/runs/{run}.html").read_text()
        assert f'href="notebooks/runs/{run}.html"' in contents


@pytest.mark.slow
def test_a_missing_value_fails_the_build(tmp_path):
    folder = site_helpers.stub_sources(tmp_path)
    results = folder / "book" / "results.md"
    results.write_text(results.read_text().replace("::unet_iou_64:s", "::no_such_value:s"))
    built = site_helpers.build_book(folder)
    assert built.returncode != 0
    assert "no_such_value" in built.stdout + built.stderr


@pytest.mark.slow
def test_a_book_without_runs_builds(tmp_path):
    folder = site_helpers.stub_sources(tmp_path)
    for path in (folder / "book/notebooks/runs").iterdir():
        path.unlink()
    built = site_helpers.build_book(folder)
    assert built.returncode == 0, built.stdout + built.stderr
