"""Fixtures of all tests, those of the packages in extras/ too: a tiny collection, photos, a home of the test's own."""

import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Tiny tensors gain nothing from threads, and lose a lot when the machine has other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from chairlib import cli
from chairlib.collection import Collection

# Before any test file imports torchvision itself: see that module.
from chairlib.core import (
    paths,
    vision,  # noqa: F401
)
from chairlib.core.runs import Record
from drawing import draw_photos, make_collection

# Property tests meet the same examples in every run of `make test`. `make test-slow` draws fresh ones, and more of them
# where a test does not set their number itself.
settings.register_profile("reproducible", derandomize=True, deadline=None)
# Hypothesis derandomises by itself where CI is set.
settings.register_profile("explore", derandomize=False, max_examples=500, print_blob=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "reproducible"))


@pytest.fixture(scope="session")
def collection(tmp_path_factory) -> Collection:
    """18 segments (10, 4, 4) and 10 backgrounds (6, 2, 2): 60 training, 8 validation and 8 test composites."""
    return make_collection(tmp_path_factory.mktemp("collections") / "drawn")


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Three categories of 20 photos: 16 train, 4 validate."""
    return draw_photos(tmp_path_factory.mktemp("photos") / "drawn")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Packed images and runs of the tests never land in the checkout."""
    patch = pytest.MonkeyPatch()
    home = tmp_path_factory.mktemp("home")
    patch.setattr(paths, "cache", home / "cache")
    patch.setattr(paths, "runs", home / "runs")
    yield
    patch.undo()


@pytest.fixture
def own_runs(tmp_path, monkeypatch):
    """An empty folder of runs."""
    monkeypatch.setattr(paths, "runs", tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def ship(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Ship records as a reference build, with a sentence about it: writes the archive that reports look for."""
    monkeypatch.setattr(paths, "assets", tmp_path / "assets")

    def write(records: list[Record], sentence: str, name: str = "evening-2026-01-02") -> Path:
        archive = tmp_path / "assets" / "reference" / f"{name}.zip"
        archive.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive, "w") as file:
            for record in records:
                content = {**record.content, "reference": sentence}
                file.writestr(f"{record.name}/record.json", json.dumps(content))
                for table in record.folder.glob("*.csv"):
                    file.write(table, f"{record.name}/{table.name}")
        return archive

    return write


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder, in this process: (exit status, stdout, stderr)."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("CHAIRLIB_MODULES", "")  # commands add the current folder to both
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chairlib", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def fails(call):
    """Run a command that must fail with one clear line and leave nothing; gives the line."""

    def run(*arguments: object) -> str:
        status, out, errors = call(*arguments)
        assert (status, out) == (1, ""), errors
        assert errors.endswith("\n")
        *bars, line = errors.replace("\r", "\n").split("\n")[:-1]
        assert all(not bar or "%|" in bar for bar in bars), errors
        assert line.startswith("chairlib: ")
        assert list(Path().iterdir()) == []
        return line.removeprefix("chairlib: ")

    return run


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium.

    One for all tests: Playwright's synchronous driver can run only once in a process at a time.
    """
    driver = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs a Chromium browser")
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet]
    with driver.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=flags)
        yield running
        running.close()


@pytest.fixture
def open_widget(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a page that holds some widgets; scripts=False: in a browser without scripts.

    Afterwards, no request may have left the machine and no script failed.
    """
    asked: list[str] = []
    failed: list[str] = []
    contexts: list[Any] = []

    def open_page(*widgets: Any, width: int = 800, scripts: bool = True, scheme: str = "light") -> Any:
        size = {"width": width, "height": 900}
        contexts.append(browser.new_context(viewport=size, java_script_enabled=scripts, color_scheme=scheme))
        contexts[-1].route(re.compile(r"^(https?|wss?):"), lambda r: (asked.append(r.request.url), r.abort()))
        path = tmp_path / "page.html"
        shown = "".join(f"<div>{widget.data}</div>" for widget in widgets)
        path.write_text(f'<!doctype html><meta charset="utf-8"><title>widget</title><body>{shown}', encoding="utf-8")
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(path.as_uri())
        if scripts:
            waiting = "() => !document.querySelector('.chair-widget:not([data-live=ready])')"
            page.wait_for_function(waiting, timeout=5000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked == []
    assert failed == []


def pytest_collection_modifyitems(items):
    """The files that take longest go first, so that no process is left with them at the end."""
    longest = ("test_smoke", "test_chapters", "test_collecting", "test_book", "test_site", "test_scrubber")
    items.sort(key=lambda item: longest.index(item.path.stem) if item.path.stem in longest else len(longest))
