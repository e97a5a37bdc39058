"""Tables, numbers and pictures that pages of the book take from the records of benchmarks."""

import importlib
import json
import shutil
import subprocess
import sys

import pytest

from chairlib.core import paths

pytest.importorskip("sphinx")
ROOT = paths.package.parent
EXTENSIONS = ROOT / "book/_extensions"
RECORD = {
    "date": "2026-01-02",
    "hardware": "a computer",
    "versions": {"torch": "2.0"},
    "budget": "200 images a run",
    "total": 12.345,
    "points": [
        {"step": "train", "size": 1000, "fit": {"slope": 1.26}, "same": True, "seconds": None},
        {"step": "train", "size": 2000, "fit": {"slope": 2.0}, "same": False, "seconds": 3.14},
        {"step": "score", "size": 3000, "same": True},
    ],
    "parts": {"cpu": {"iou": 50.0}, "gpu": {"iou": None}, "date": "no row"},
}
TABLE = """
```{record-table} speed
:rows: points
:where: step=train
:caption: A caption.

size | images | ,
fit.slope | slope | {:.1f} points
same | the same
seconds | seconds | .1f
```
"""


@pytest.fixture
def extension(monkeypatch):
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    return importlib.import_module("records_page")


def render(folder, page, record=RECORD, file="speed-2026-01-02.json", conf=""):
    """The HTML of a page beside such a record (None: without any), or what Sphinx says is wrong with it."""
    book, records = folder / "book", folder / "benchmarks/records"
    book.mkdir(parents=True, exist_ok=True)
    if record is not None:
        records.mkdir(parents=True, exist_ok=True)
        (records / file).write_text(record if isinstance(record, str) else json.dumps(record))
    (book / "index.md").write_text(f"# Title\n\n{page}")
    (book / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\nextensions = ['myst_parser', 'records_page']\n{conf}"
    )
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-E", str(book), str(folder / "site")]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr if done.returncode else (folder / "site/index.html").read_text()


def test_a_table_shows_the_rows_and_where_they_were_measured(tmp_path):
    page = render(tmp_path, TABLE)
    assert '<span class="caption-text">A caption.</span>' in page
    assert '<th class="stub"><p>1,000</p></th>\n<td><p>1.3 points</p></td>\n<td><p>yes</p></td>' in page
    assert "<td><p>not measured</p></td>" in page
    assert "<td><p>no</p></td>\n<td><p>3.1</p></td>" in page
    assert "3,000" not in page
    line = "From the record speed-2026-01-02.json of 2026-01-02 (a computer, torch 2.0). Budget: 200 images a run."
    assert line in page


def test_mappings_are_rows_too_and_one_value_stands_in_a_sentence(tmp_path):
    table = "```{record-table} speed\n:rows: parts\n\nname | device\niou | IoU | .1f\n```\n"
    page = render(tmp_path, table + "It took {record}`speed | total | {:.1f} s` or {record}`speed|points.0.size`.")
    assert '<th class="stub"><p>gpu</p></th>\n<td><p>not measured</p></td>' in page
    assert "no row" not in page
    assert '<span class="record-value">12.3 s</span> or <span class="record-value">1000</span>' in page


def test_without_the_record_the_page_says_so(tmp_path):
    words = "It took {record}`speed | total | .1f`.\n\n```{record-picture} speed\n:alt: a\n```\n"
    page = render(tmp_path, TABLE + words, record=None)
    assert page.count("is not shown: this build has no folder benchmarks/records.") == 2
    assert '<span class="record-value">not measured</span>' in page
    page = render(tmp_path, TABLE, file="speed-of-light-2026-01-02.json")
    assert "is not shown: no record of that name is in benchmarks/records." in page
    page = render(tmp_path, "```{record-table} speed\n:rows: cuda\n\na | b\n```\n")
    assert "Not measured: the record speed-2026-01-02.json does not have it." in page


@pytest.mark.parametrize(
    ("page", "record", "said"),
    [
        (TABLE.replace("size |", "sizes |"), RECORD, "no row of points in speed-2026-01-02.json has 'sizes'"),
        (TABLE.replace("size | images | ,", "size"), RECORD, "is a column: field | heading | format"),
        ("{record}`speed | totals`", RECORD, "speed has nothing at 'totals'"),
        (TABLE, '{"date"', "speed-2026-01-02.json is no JSON"),
        ("```{record-picture} speed\n```", RECORD, "needs :alt:"),
        ("```{record-picture} speed\n:alt: a\n```", RECORD, "no picture speed-2026-01-02.svg or"),
    ],
)
def test_a_slip_of_the_page_is_an_error(tmp_path, page, record, said):
    assert said in render(tmp_path, page, record)


def test_a_picture_lies_beside_its_record(tmp_path):
    page = "```{record-picture} speed\n:alt: A line.\n:suffix: -dark\n:class: only-dark\n```"
    (tmp_path / "benchmarks/records").mkdir(parents=True)
    (tmp_path / "benchmarks/records/speed-2026-01-02-dark.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    found = render(tmp_path, page)
    assert 'alt="A line." class="only-dark" src="_images/speed-2026-01-02-dark.svg"' in found


def test_the_newest_record_of_exactly_this_name_is_taken(extension, tmp_path):
    assert extension.newest(tmp_path, "a") is None
    (tmp_path / "a.json").touch()
    assert extension.newest(tmp_path, "a").name == "a.json"
    for name in ("a-2026-01-02", "a-2026-02-01", "a-b-2027-01-01", "a-old"):
        (tmp_path / f"{name}.json").touch()
    assert extension.newest(tmp_path, "a").name == "a-2026-02-01.json"


@pytest.mark.parametrize("page", [page for page in (ROOT / "book").glob("*.md") if "{record" in page.read_text()])
def test_pages_find_what_they_tell_of_in_the_records_of_this_checkout(tmp_path, page):
    pytest.importorskip("sphinxcontrib.bibtex")
    shutil.copytree(ROOT / "benchmarks/records", tmp_path / "benchmarks/records")
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "book/references.bib", tmp_path / "book")
    # Other pages are not here, so nothing can lead to them.
    conf = "extensions.append('sphinxcontrib.bibtex')\nbibtex_bibfiles = ['references.bib']\n"
    conf += "suppress_warnings = ['myst.xref_missing', 'ref.doc', 'bibtex.missing_field']\n"
    conf += "myst_enable_extensions = ['colon_fence', 'deflist', 'dollarmath', 'substitution', 'tasklist']\n"
    found = render(tmp_path, page.read_text(), record=None, conf=conf)
    assert found.count('class="record docutils') == page.read_text().count("{record-table}"), found
    assert "is not shown" not in found
