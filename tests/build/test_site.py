"""The site as a reader meets it: opened from disk in a browser that can reach no network."""

import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import site_helpers

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a Chromium or Chrome on the PATH")

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
SLIDER = ".widget-subarea [role=slider]"
VISIBLE_PICTURES = """() => [...document.querySelectorAll(".widget-subarea img")]
    .filter((img) => img.checkVisibility() && img.clientWidth > 0).map((img) => img.src)"""
UNRENDERED_WIDGETS = """() => [...document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]')]
    .filter((script) => !script.previousElementSibling?.matches(".widget-subarea:has(.jupyter-widgets)")).length"""
BARE_MATHS = """() => [...document.querySelectorAll(".math")]
    .filter((node) => !node.querySelector("mjx-container") || node.querySelector("mjx-merror")).length"""
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Watched:
    """A browser page, and what it asked for or complained about while it was used."""

    page: Any
    external: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, address: Path | str) -> None:
        self.page.goto(address.as_uri() if isinstance(address, Path) else address)
        self.page.evaluate("() => window.MathJax?.startup?.promise")
        self.page.wait_for_timeout(200)  # for what a script asks for after the page has loaded
        if self.page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count():
            self.page.wait_for_function(f"() => ({UNRENDERED_WIDGETS})() === 0", timeout=20_000)


def is_here(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("file", "data", "blob", "about") or parts.hostname in ("127.0.0.1", "localhost")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    return site_helpers.site_under_test(tmp_path_factory.getbasetemp())


@pytest.fixture
def watch(browser):
    @contextmanager
    def watching(viewport: dict[str, int] = DESKTOP, scheme: str = "light") -> Iterator[Watched]:
        context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        watched = Watched(context.new_page())

        def pass_or_block(route: Any) -> None:
            if is_here(route.request.url):
                route.continue_()
            else:
                watched.external.append(route.request.url)
                route.abort()

        context.route("**/*", pass_or_block)
        watched.page.on("console", lambda said: watched.errors.append(said.text) if said.type == "error" else None)
        watched.page.on("pageerror", lambda error: watched.errors.append(str(error)))
        yield watched
        context.close()

    return watching


@pytest.fixture
def scrubber(site, watch):
    """A page with a slider, opened, and that slider brought into view."""
    for path in site_helpers.site_pages(site):
        # The state names the model of every widget on the page.
        if "IntSliderModel" in (text := path.read_text()) or "SelectionSliderModel" in text:
            with watch() as watched:
                watched.open(path)
                watched.page.locator(SLIDER).first.scroll_into_view_if_needed()
                yield watched
            return
    pytest.fail("no page has a slider")


def changed(watched: Watched, before: list[str]) -> bool:
    differs = f"(before) => JSON.stringify(({VISIBLE_PICTURES})()) !== JSON.stringify(before)"
    try:
        watched.page.wait_for_function(differs, arg=before, timeout=10_000)
    except playwright_api.TimeoutError:
        return False
    return True


@pytest.mark.parametrize(("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_every_page_opens_from_disk_with_no_network(site, watch, viewport, scheme):
    found: dict[str, Any] = {}
    with watch(viewport, scheme) as watched:
        for path in site_helpers.site_pages(site):
            watched.open(path)
            found[path.name] = {
                "asked elsewhere for": watched.external[:],
                "errors": watched.errors[:],
                "formulas not typeset": watched.page.evaluate(BARE_MATHS),
                "widgets not shown": watched.page.evaluate(UNRENDERED_WIDGETS),
                "pixels too wide": watched.page.evaluate(SIDEWAYS),
            }
            watched.external.clear()
            watched.errors.clear()
    assert {name: facts for name, facts in found.items() if any(facts.values())} == {}


def test_formulas_and_text_use_the_fonts_that_the_site_carries(site, watch):
    with watch() as watched:
        watched.open(site / "definitions.html")
        assert watched.page.locator("mjx-container").count() > 5
        watched.page.evaluate("() => document.fonts.ready")
        loaded = watched.page.evaluate(
            "() => [...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family.replaceAll('\"', ''))"
        )
    assert "Source Serif 4" in loaded
    assert any(family.startswith("MJX") for family in loaded)


def test_arrow_keys_on_a_slider_change_the_picture(scrubber):
    before = scrubber.page.evaluate(VISIBLE_PICTURES)
    assert before
    handle = scrubber.page.locator(SLIDER).first
    at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
    handle.focus()
    scrubber.page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
    assert changed(scrubber, before)
    assert scrubber.errors == []


def test_dragging_a_slider_changes_the_picture(scrubber):
    before = scrubber.page.evaluate(VISIBLE_PICTURES)
    handle = scrubber.page.locator(SLIDER).first
    box = handle.bounding_box()
    track = scrubber.page.locator(".widget-subarea .noUi-base").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    far = track["x"] + (track["width"] if x < track["x"] + track["width"] / 2 else 0)
    scrubber.page.mouse.move(x, y)
    scrubber.page.mouse.down()
    scrubber.page.mouse.move(far, y, steps=8)
    scrubber.page.mouse.up()
    assert changed(scrubber, before)
    assert scrubber.errors == []


def test_play_moves_the_picture(scrubber):
    play = scrubber.page.locator(".widget-subarea .widget-play button")
    if not play.count():
        pytest.skip("this site has no play button")
    before = scrubber.page.evaluate(VISIBLE_PICTURES)
    play.first.click()
    assert changed(scrubber, before)
    assert scrubber.errors == []


def test_the_colour_mode_can_be_changed_and_is_kept(site, watch):
    with watch() as watched:
        watched.open(site / "index.html")
        ground = "() => getComputedStyle(document.body).backgroundColor"
        seen = {watched.page.evaluate(ground)}
        for _ in range(3):
            watched.page.locator(".theme-switch-button:visible").first.click()
            seen.add(watched.page.evaluate(ground))
        mode = watched.page.evaluate("() => document.documentElement.dataset.mode")
        watched.open(site / "guide.html")
        assert watched.page.evaluate("() => document.documentElement.dataset.mode") == mode
    assert len(seen) == 2


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_search_finds_pages_when_served(site, watch):
    with served(site) as address, watch() as watched:
        watched.open(f"{address}/search.html?q=dice")
        watched.page.wait_for_selector("#search-results li a")
        found = watched.page.locator("#search-results li a").all_inner_texts()
        watched.page.wait_for_load_state("networkidle")
    assert any("Definitions" in title for title in found)
    assert (watched.external, watched.errors) == ([], [])


def test_search_finds_pages_from_disk(site, watch):
    with watch() as watched:
        watched.page.goto((site / "search.html").as_uri() + "?q=dice")
        watched.page.wait_for_selector("#search-results li a")
    assert watched.external == []
