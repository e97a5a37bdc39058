"""The book's sources and front-door files, and the site they build, read without a browser."""

import ast
import base64
import importlib.util
import io
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
import numpy as np
import pytest
import yaml
from PIL import Image

import chairlib
import site_helpers
from chairlib.core import paths
from chairlib.show.boxes import absent

ROOT = paths.package.parent
BOOK = ROOT / "book"
PROSE = sorted(BOOK.glob("*.md"))
#: The pages of the API reference: folders of the library.
CHAPTERS = ("collection", "compositing", "benchmark", "transfer", "landscape", "show", "build", "core")
FRONT_DOOR = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", BOOK / "guide.md"]
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


def test_cards_of_the_first_page_lead_to_sections_that_the_chapters_have():
    for name, anchor in re.findall(
        r"^:link: notebooks/(\w+)\.html#(\S+)$", (BOOK / "index.md").read_text(), flags=re.M
    ):
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        headings = re.findall(r"^#+ (.+)$", prose, flags=re.M)
        assert anchor in [re.sub(r"\W+", "-", heading.lower()).strip("-") for heading in headings]


def test_vendored_works_stand_with_their_version_and_licence():
    readme = (BOOK / "_assets/thirdparty/README.md").read_text()
    versions = re.findall(r"^\| `[\w-]+/` \|[^|]* (\d+\.\d+\.\d+) \|", readme, flags=re.M)
    assert versions
    for version in versions:
        assert version in (BOOK / "data-and-licences.md").read_text()
    for folder in (BOOK / "_assets/thirdparty").iterdir():
        if folder.is_dir():
            assert (folder / "LICENSE").is_file()
            assert f"`{folder.name}/`" in readme


STORED = """\
data = "mini"  # größe: "mini", or a folder
pretrain = {
    "images": 640,
}  # of P
images = None  # budget
n_alphas = 11
seed = 0
note = ""
"""


def parameters_of(monkeypatch, injected=None):
    """The cells of a chapter after its parameters were folded; papermill injected a cell or did not."""
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from folded_parameters import folded

    cells = [
        nbformat.v4.new_markdown_cell("# One"),
        nbformat.v4.new_code_cell(STORED, metadata={"tags": ["parameters"]}),
        *([nbformat.v4.new_code_cell(injected, metadata={"tags": ["injected-parameters"]})] if injected else []),
        nbformat.v4.new_code_cell("run()"),
    ]
    return nbformat.reads(folded(nbformat.writes(nbformat.v4.new_notebook(cells=cells))), as_version=4).cells


def test_parameters_are_one_cell_with_the_values_of_the_build(monkeypatch):
    injected = '# The values of this build\ndata = "mini"\nimages = 6000\npretrain = {"images": 2}\nn_alphas = 5\n'
    title, cell, last = parameters_of(monkeypatch, injected + f'seed = 0\nnote = "{"long " * 20}"\n')
    assert (title.source, last.source) == ("# One", "run()")
    assert cell.metadata.tags == ["hide-input", "parameters"]
    assert 'pretrain = {"images": 2}  # of P\nimages = 6000  # budget\nn_alphas = 5\nseed = 0' in cell.source
    assert cell.source.startswith('data = "mini"  # größe: "mini", or a folder\n')
    compile(cell.source, "parameters", "exec")
    assert cell.metadata.mystnb.code_prompt_show == (
        "This build chose: data mini, 6,000 images, 5 alphas, and 2 more; the rest as stored. Show the parameters"
    )


def test_one_of_something_is_not_told_as_many(monkeypatch):
    _, cell, _ = parameters_of(monkeypatch, "n_alphas = 1\n")
    assert ": 1 alpha; the rest as stored." in cell.metadata.mystnb.code_prompt_show


def test_stored_parameters_are_said_to_be_so(monkeypatch):
    _, cell, _ = parameters_of(monkeypatch)
    assert cell.source == STORED
    assert cell.metadata.mystnb.code_prompt_show.startswith("This build kept the parameters as they are stored.")


def shown(*html, **metadata):
    """A code cell that shows these pieces of HTML."""
    outputs = [nbformat.v4.new_output("display_data", {"text/html": piece, "text/plain": "HTML"}) for piece in html]
    return nbformat.v4.new_code_cell("show()", outputs=outputs, metadata=metadata)


def without_absent(monkeypatch, *cells):
    """The cells of a page of which some show what is absent, each as its source or its visible outputs."""
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from absent_sections import without_absent

    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    )
    left = nbformat.reads(without_absent(nbformat.writes(notebook)), as_version=4)
    nbformat.validate(left)
    return [
        cell.source if cell.cell_type == "markdown" else [output.data["text/html"] for output in cell.outputs]
        for cell in left.cells
        if "remove-cell" not in cell.metadata.get("tags", [])
    ]


def test_a_section_of_what_is_absent_goes_and_is_listed_once(monkeypatch):
    soups, basin = absent("Soups < all.").data, absent("The basin.").data
    *left, folded = without_absent(
        monkeypatch,
        "# Title",
        shown(basin),  # alone, before the first section
        "## Soups",
        "Words on soups.",
        shown(soups),
        "### A part of it",
        shown(soups, basin),
        nbformat.v4.new_code_cell("silent()"),
        "## Half",
        shown("<b>a table</b>"),
        "### Not here",
        shown(soups),
        "### Here",
        shown(f"<div>{basin}<img src='x'></div>", soups),
        "## Last",
        nbformat.v4.new_code_cell("silent()"),
    )
    kept = ["# Title", "## Half", ["<b>a table</b>"], "### Here", ["<div><img src='x'></div>"], "## Last", []]
    assert left == kept
    assert folded.startswith('<details class="chair-more">\n<summary>Not in this build</summary>')
    assert re.findall("<li>(.*)</li>", folded) == ["The basin.", "Soups &lt; all."]


def test_a_page_where_nothing_is_absent_stays_as_it_is(monkeypatch):
    assert without_absent(monkeypatch, "# T", "## S", shown("<p>x</p>")) == ["# T", "## S", ["<p>x</p>"]]


def test_values_glued_by_an_absent_section_are_kept(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from absent_sections import without_absent

    cell = shown(absent("Soups.").data)
    cell.outputs.append(nbformat.v4.new_output("display_data", {"application/papermill.record/text/plain": "'1'"}))
    heading = nbformat.v4.new_markdown_cell("## Soups")
    left = json.loads(without_absent(nbformat.writes(nbformat.v4.new_notebook(cells=[heading, cell]))))["cells"]
    assert [cell["metadata"].get("tags") for cell in left] == [["remove-cell"], None]
    assert len(left[0]["outputs"]) == 1


def run_titles(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    return importlib.import_module("run_titles")


def test_a_run_is_titled_by_what_it_is_and_named_in_the_text(monkeypatch):
    titled = run_titles(monkeypatch).titled
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("# a comment"), nbformat.v4.new_markdown_cell("# One run\n\nText\n# Other")]
    )
    cells = json.loads(titled(nbformat.writes(notebook), "U-Net, 64 px, seed 0", "unet-64-1f"))["cells"]
    text = "# U-Net, 64 px, seed 0\n\nText\n# Other\n\nThis page shows the run `unet-64-1f`."
    assert ["".join(cell["source"]) for cell in cells] == ["# a comment", text]


def test_titles_of_runs_are_short_and_no_two_are_alike(monkeypatch):
    found = run_titles(monkeypatch)
    one = {"model": "unet", "resolution": 64, "protocol": None, "seed": 0, "width": 16}
    tuned = {"category": "car", "model": "unet", "pretraining": "none", "seed": 1, "init_seed": None}
    chairs = {**tuned, "pretraining": "chair_segments", "pretrained": "benchmark-unet-seed1-1a"}
    runs = {
        "runs/a": one,
        "runs/b": {**one, "width": 8},
        "runs/c": {**one, "model": "my.net:Small", "resolution": None, "protocol": "64-v1"},
        "transfer/a": tuned,
        "transfer/b": {**tuned, "init_seed": 0},
        "transfer/f": {**tuned, "share": 10, "category": "airplane"},
        "transfer/g": {**tuned, "share": 100, "category": "airplane"},
        "transfer/c": chairs,
        "transfer/d": {**chairs, "pretrained": "benchmark-unet-seed0-2b"},
        "transfer/e-1": {**tuned, "category": "horse"},
        "transfer/e-2": {**tuned, "category": "horse"},
        "landscape/a": {"category": "car", "model": "unet"},
    }
    assert found.titles_of(runs) == {
        "runs/a": "U-Net, 64 px, seed 0, width 16",
        "runs/b": "U-Net, 64 px, seed 0, width 8",
        "runs/c": "Small, 64-v1, seed 0",
        "transfer/a": "Car: U-Net, from scratch, seed 1",
        "transfer/b": "Car: U-Net, from scratch, seed 1, weights of seed 0",
        "transfer/f": "Airplane: U-Net, from scratch, seed 1, 10 % of the training images",
        "transfer/g": "Airplane: U-Net, from scratch, seed 1, 100 % of the training images",
        "transfer/c": "Car: U-Net, pretrained, seed 1, chairs of seed 1",
        "transfer/d": "Car: U-Net, pretrained, seed 1, chairs of seed 0",
        "transfer/e-1": "Horse: U-Net, from scratch, seed 1",
        "transfer/e-2": "Horse: U-Net, from scratch, seed 1 (2)",
        "landscape/a": "Landscape: car, U-Net",
    }


def test_the_description_of_a_page_is_its_first_words(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from docutils.core import publish_doctree
    from page_head import description_of, tags

    assert (
        description_of(publish_doctree("T\n=\n\n.. note:: no\n\n*Which one\nis best?*\n\nMore."))
        == "Which one is best?"
    )
    long = description_of(publish_doctree("T\n=\n\n" + "word " * 90))
    assert len(long) <= 202
    assert long.endswith("word …")
    assert '<meta property="og:title" content="A &lt; B"/>' in tags("A < B", "What.", "Book")


# Where the book can be run, and how it is cited


def launch(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    return importlib.import_module("launch")


def test_links_to_services_once_there_is_a_repository(monkeypatch):
    found = launch(monkeypatch)
    assert found.links("", "notebooks/03_benchmark.ipynb") == {}
    assert found.links("https://github.com/owner/chairs.git", found.notebook_of("notebooks/runs/benchmark-x")) == {
        "GitHub": "https://github.com/owner/chairs",
        "Binder": "https://mybinder.org/v2/gh/owner/chairs/HEAD?urlpath=lab/tree/notebooks/03_benchmark.ipynb",
        "Colab": "https://colab.research.google.com/github/owner/chairs/blob/main/notebooks/03_benchmark.ipynb",
    }
    assert found.links("https://github.com/owner/chairs")["Binder"].endswith("HEAD?urlpath=lab/tree/notebooks")
    with pytest.raises(Exception, match="is no repository"):
        found.links("https://example.org/chairs")


def test_every_run_leads_to_a_notebook_that_is_stored(monkeypatch):
    found = launch(monkeypatch)
    pages = [f"notebooks/{folder}/some-run" for folder in ("runs", "transfer", "landscape")]
    pages += [f"notebooks/{path.stem}" for path in paths.notebooks.glob("*.ipynb")]
    assert [page for page in pages if not (ROOT / str(found.notebook_of(page))).is_file()] == []
    assert found.notebook_of("guide") is None


def test_entries_to_cite_are_made_from_the_citation_file(monkeypatch):
    found = launch(monkeypatch)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    software = found.bibtex(citation, "software", "https://github.com/owner/chairs", "2026")
    assert software.startswith("@software{chairsegments,\n  title   = {{Chair Segments as living software}},")
    assert f"version = {{{citation['version']}}}" in software
    assert "url     = {https://github.com/owner/chairs}" in software
    assert "url" not in found.bibtex(citation, "software")
    paper = found.bibtex(citation, "paper")
    assert paper.startswith("@article{pintoalva2020,")
    assert "Pinto-Alva, Leticia and Torres, Ian K. and " in paper
    assert paper.count("{") == paper.count("}")
    with pytest.raises(Exception, match="use software or paper"):
        found.bibtex(citation, "book")


def test_binder_installs_what_the_notebooks_need():
    script = (ROOT / ".binder/postBuild").read_text()
    assert os.access(ROOT / ".binder/postBuild", os.X_OK)
    assert "-c constraints.txt" in script
    assert "extras/chairbridge[formats]" in script
    for package in ROOT.glob("extras/*/pyproject.toml"):
        assert f"extras/{package.parent.name}" in script
    assert "python=3.11" in yaml.safe_load((ROOT / ".binder/environment.yml").read_text())["dependencies"]


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


def test_pictures_of_figures_become_files(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from lean_site import with_files

    data = base64.b64encode(bytes(900)).decode()
    picture = f'<img alt="a" src="data:image/webp;base64,{data}">'
    moving = f"<figure><canvas></canvas>{picture}</figure><script>'<figure>{picture}</figure>'</script>{picture}"
    page = with_files(f"<figure>{picture}<p>c</p></figure>{moving}", tmp_path, tmp_path / "notebooks")
    (file,) = (tmp_path / "_images").iterdir()
    assert page == f'<figure><img alt="a" src="../_images/{file.name}"><p>c</p></figure>{moving}'
    assert file.read_bytes() == bytes(900)


def test_large_grids_of_photos_become_lighter(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from lean_site import LARGE, LEVELS, lighter

    grey = np.random.default_rng(0).normal(128, 12, (400, 400, 1)).clip(0, 255).astype(np.uint8)
    noise = np.repeat(grey, 3, axis=2)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    before = stream.getvalue()
    after = lighter(before)
    assert LARGE < len(before) > len(after)
    seen = np.asarray(Image.open(io.BytesIO(after)).convert("RGB")).astype(float)
    assert seen.shape == noise.shape
    assert abs(seen - noise).mean() < 5
    assert (abs(seen - noise).max(axis=2) > LEVELS).mean() < 0.001
    assert lighter(before[:LARGE]) == before[:LARGE]  # small ones are not even opened


def test_masks_in_pure_colours_stay_as_they_are(monkeypatch):
    """Lossy WebP would change the pixels along their edges, as this shows, though the mean error is small."""
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from lean_site import LEVELS, SHARE, lighter

    rng = np.random.default_rng(0)
    colours = np.array([(0, 0, 0), (255, 255, 255), (213, 94, 0), (86, 180, 233)], np.uint8)
    masks = np.repeat(np.repeat(colours[rng.integers(0, 4, (60, 120))], 8, axis=0), 8, axis=1)
    stream, lossy = io.BytesIO(), io.BytesIO()
    Image.fromarray(masks).save(stream, "BMP")  # large, whatever it holds
    Image.fromarray(masks).save(lossy, "WEBP", quality=85, method=4)
    errors = abs(np.asarray(Image.open(lossy).convert("RGB")).astype(int) - masks)
    assert errors.mean() < 8
    assert (errors.max(axis=2) > LEVELS).mean() > 5 * SHARE
    assert lighter(stream.getvalue()) == stream.getvalue()


def test_only_icons_that_pages_show_are_kept(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from lean_site import icons_of, with_icons

    icons = icons_of('<i class="fa-solid fa-sun fa-lg"></i><p>fa-not</p>')
    assert icons == {"fa-solid", "fa-sun", "fa-lg"}
    style = (
        '.fa-lg{font-size:2em}.fa-sun:before{content:"\\f185"}.fa-adjust:before,.fa-moon:before{content:"\\f186"}'
        'p{src:url(a.woff2) format("woff2"),url(a.ttf) format("truetype")}'
    )
    left, characters = with_icons(style, icons)
    assert left == '.fa-lg{font-size:2em}.fa-sun:before{content:"\\f185"}p{src:url(a.ttf) format("truetype")}'
    assert characters == {0xF185}


def test_what_search_shows_is_the_words_of_an_article(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from lean_site import text_of

    article = '<h1>Dice<a class="headerlink" href="#d">#</a></h1><pre>code</pre><script>x</script><p>A &lt; B.</p>'
    assert text_of(f'<p>Menu</p><article class="a">{article}</article>') == "Dice A < B."


def test_a_formula_becomes_mathml_or_an_error(monkeypatch):
    monkeypatch.syspath_prepend(str(BOOK / "_extensions"))
    from mathml import mathml
    from sphinx.errors import ExtensionError

    assert '<mi class="variable">α</mi>' in mathml(r"\frac{\alpha}{2}")
    assert "<mtr>" in mathml(r"a &= b \\ c &= d", block=True)
    with pytest.raises(ExtensionError, match="nonsense"):
        mathml(r"\nonsense")


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


def test_widgets_are_our_own_and_without_dead_controls(pages):
    """An ipywidget would need a library of 1.9 MB, and controls that no script makes would do nothing."""
    kinds = set()
    for page in pages:
        assert not [kind for kind in page.scripts if "vnd.jupyter.widget" in kind], page.path.name
        text = page.path.read_text()
        kinds |= set(re.findall(r'<div class="chair-widget" data-kind="(\w+)"', text))
        outputs = "".join(re.findall(r'<div class="chair-widget".*?<script', text, re.DOTALL))
        assert not re.search("<(input|select|button)", outputs), page.path.name
    assert kinds


def test_every_picture_has_words_for_who_cannot_see_it(pages):
    wordless = {
        (page.path.name, picture.get("src", "")[:60])
        for page in pages
        for picture in page.pictures
        # Sphinx puts the file's own path where an author gave no words.
        if "alt" not in picture or re.search(r"\.(png|jpe?g|svg|gif)$", picture["alt"])
    }
    assert wordless == set()


def page_weight(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("page_weight")


def test_pages_and_the_site_stay_light_enough_for_a_phone(built_site, monkeypatch):
    found = page_weight(monkeypatch)
    assert found.over_limit(found.weights(built_site), found.total(built_site)) == []


def test_what_a_page_loads_is_counted(monkeypatch, tmp_path):
    found = page_weight(monkeypatch)
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static/a.css").write_text(
        "@font-face{src:url('f.woff2?x')}p{background:url(data:image/png;base64,AA)}"
    )
    for name, size in {"f.woff2": 100, "a.js": 10, "other.js": 1000, "p.png": 7}.items():
        (tmp_path / "_static" / name).write_bytes(bytes(size))
    page = (
        '<link rel="stylesheet" href="_static/a.css?v=1"><script defer src="_static/a.js"></script>'
        '<img alt="" src="_static/p.png"><a href="_static/other.js">x</a><img src="https://example.org/a.png">'
    )
    (tmp_path / "index.html").write_text(page)
    style = (tmp_path / "_static/a.css").stat().st_size
    assert found.weights(tmp_path) == {"index.html": len(page) + style + 117}
    said = found.over_limit({"index.html": 2_000_001, "notebooks/07_loss_landscape.html": 2_999_999}, 25_000_001)
    assert len(said) == 2
    assert said[0] == "index.html weighs 2.00 MB: more than 2 MB"


def test_every_run_has_a_page_of_its_own_in_the_contents(built_site):
    contents = Page(built_site / "index.html")
    titles = []
    runs = [
        path for name in ("runs", "transfer", "landscape") for path in (built_site / "notebooks" / name).glob("*.html")
    ]
    assert runs or "CHAIRLIB_SITE" in os.environ  # a profile of one run shows it as the chapter
    for run in runs:
        titles += re.findall("<title>(.*?) &#8212;", run.read_text())
        assert f'<span class="pre">{run.stem}</span>' in run.read_text()
        assert f"notebooks/{run.parent.name}/{run.name}" in contents.links
    assert len(set(titles)) == len(runs)
    assert not any(title.startswith("One run") or re.search("-[0-9a-f]{8}", title) for title in titles)


def test_a_page_says_what_it_is(pages):
    for page in pages:
        text = page.path.read_text()
        assert len(re.findall('<meta name="description" content="[^"]+"', text)) == 1, page.path.name
        assert '<meta property="og:title" content="' in text, page.path.name
        title = re.search("<title>(.*?)</title>", text)[1]
        assert title.count("Chair Segments") == 1, page.path.name


def test_pages_show_parameters_folded_and_nothing_of_the_plumbing(pages):
    chapters = [page for page in pages if page.path.parent.name in ("notebooks", "runs", "transfer", "landscape")]
    folded = [page for page in chapters if "This build " in page.path.read_text()]
    assert folded
    for page in chapters:
        assert "check_parameters" not in page.path.read_text(), page.path.name


def test_what_is_absent_is_folded_at_the_end_of_its_page(built_site):
    if "CHAIRLIB_SITE" in os.environ:
        pytest.skip("another site has other sections")
    text = (built_site / "notebooks/08_leaderboard.html").read_text()
    assert "An absent section" not in text
    assert text.count("The absent part: the profile evening computes it.") == 1
    assert '<details class="chair-more">' in text


def test_no_page_leads_to_a_service_as_long_as_there_is_no_repository(pages):
    if not yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]["public_repository"]:
        assert [page.path.name for page in pages if "mybinder.org" in page.path.read_text()] == []


@pytest.mark.slow
def test_chapters_have_buttons_once_there_is_a_repository(tmp_path):
    folder = site_helpers.stub_sources(tmp_path)
    config = folder / "_config.yml"
    config.write_text(config.read_text().replace('public_repository: ""', "public_repository: https://github.com/a/b"))
    built = site_helpers.build_book(folder)
    assert built.returncode == 0, built.stdout + built.stderr
    page = Page(next((folder / "_build/html/notebooks/transfer").glob("*.html")))
    assert "https://mybinder.org/v2/gh/a/b/HEAD?urlpath=lab/tree/notebooks/05_object_discovery.ipynb" in page.links
    assert "https://colab.research.google.com/github/a/b/blob/main/notebooks/05_object_discovery.ipynb" in page.links
    assert "https://github.com/a/b" in Page(folder / "_build/html/references.html").links


@pytest.mark.slow
def test_a_missing_value_fails_the_build(tmp_path):
    folder = site_helpers.stub_sources(tmp_path)
    results = folder / "book" / "results.md"
    results.write_text(results.read_text().replace("::chair_share:s", "::no_such_value:s"))
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
