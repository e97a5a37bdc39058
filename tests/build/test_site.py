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
SLIDER = ".chair-widget input[type=range]"
#: What the pictures of the widgets say: it changes with every frame.
TOLD = """() => [...document.querySelectorAll(".chair-widget canvas")]
    .filter((canvas) => canvas.checkVisibility() && canvas.clientWidth > 0).map((canvas) => canvas.ariaLabel)"""
DEAD_WIDGETS = """() => document.querySelectorAll(".chair-widget:not([data-live=ready])").length"""
BARE_MATHS = """() => [...document.querySelectorAll(".math")]
    .filter((node) => !node.querySelector("math") || node.querySelector("merror")).length"""
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Watched:
    """A browser page, and what it asked for or complained about while it was used."""

    page: Any
    external: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, address: Path | str) -> None:
        self.page.goto(address.as_uri() if isinstance(address, Path) else address)
        self.page.wait_for_timeout(200)  # for what a script asks for after the page has loaded
        self.page.wait_for_function(f"() => ({DEAD_WIDGETS})() === 0", timeout=20_000)


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
        if 'class="chair-widget"' in path.read_text():
            with watch() as watched:
                watched.open(path)
                watched.page.locator(SLIDER).first.scroll_into_view_if_needed()
                yield watched
            return
    pytest.fail("no page has a slider")


def changed(watched: Watched, before: list[str]) -> bool:
    differs = f"(before) => JSON.stringify(({TOLD})()) !== JSON.stringify(before)"
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
                "dead widgets": watched.page.evaluate(DEAD_WIDGETS),
                "pixels too wide": watched.page.evaluate(SIDEWAYS),
            }
            watched.external.clear()
            watched.errors.clear()
    assert {name: facts for name, facts in found.items() if any(facts.values())} == {}


def test_formulas_are_drawn_and_text_uses_the_font_that_the_site_carries(site, watch):
    with watch() as watched:
        watched.open(site / "definitions.html")
        assert watched.page.locator("math").count() > 5
        # A fraction is drawn as one: its parts stand one above the other.
        above = "() => { const [a, b] = document.querySelector('mfrac').children; " + (
            "return a.getBoundingClientRect().bottom <= b.getBoundingClientRect().top + 1 }"
        )
        assert watched.page.evaluate(above)
        watched.page.evaluate("() => document.fonts.ready")
        loaded = watched.page.evaluate(
            "() => [...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family.replaceAll('\"', ''))"
        )
    assert {"Source Serif 4", "Font Awesome 6 Free"} <= set(loaded)


def test_arrow_keys_on_a_slider_change_the_picture(scrubber):
    before = scrubber.page.evaluate(TOLD)
    assert before
    handle = scrubber.page.locator(SLIDER).first
    at_end = handle.input_value() == handle.get_attribute("max")
    handle.focus()
    scrubber.page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
    assert changed(scrubber, before)
    assert scrubber.errors == []


def test_dragging_a_slider_changes_the_picture(scrubber):
    before = scrubber.page.evaluate(TOLD)
    handle = scrubber.page.locator(SLIDER).first
    box = handle.bounding_box()
    y, first = box["y"] + box["height"] / 2, handle.input_value() == "0"
    start, far = (box["x"] + share * box["width"] for share in ((0.02, 0.98) if first else (0.5, 0.02)))
    scrubber.page.mouse.move(start, y)
    scrubber.page.mouse.down()
    scrubber.page.mouse.move(far, y, steps=8)
    scrubber.page.mouse.up()
    assert changed(scrubber, before)
    assert scrubber.errors == []


def test_play_moves_the_picture(scrubber):
    play = scrubber.page.get_by_role("button", name="Play")
    if not play.count():
        pytest.skip("this site has no play button")
    before = scrubber.page.evaluate(TOLD)
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


def test_a_printed_page_is_its_text_alone_with_nothing_cut_or_folded(site, watch):
    with watch({"width": 700, "height": 900}, "dark") as watched:
        for name in ("results", "notebooks/08_leaderboard"):
            watched.open(site / f"{name}.html")
            watched.page.emulate_media(media="print")
            watched.page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
            assert watched.page.evaluate(SIDEWAYS) == 0
            for unwanted in (".bd-sidebar-primary", ".bd-header-article", ".prev-next-area", "button", "#jb-print-toc"):
                assert watched.page.locator(f"{unwanted}:visible").count() == 0, unwanted
            assert watched.page.locator(".bd-article details:not([open])").count() == 0
            assert watched.page.locator("h1:visible").count() == 1
            colour = "(node) => getComputedStyle(node).color.match(/\\d+/g).map(Number)"
            assert max(watched.page.locator(".bd-article p").first.evaluate(colour)) < 100  # dark ink, in dark mode too


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


def test_search_from_disk_shows_the_words_around_a_hit(site, watch):
    with watch() as watched:
        watched.page.goto((site / "search.html").as_uri() + "?q=dice")
        watched.page.wait_for_selector("#search-results li p.context .highlighted")
        shown = watched.page.locator("#search-results li p.context").all_inner_texts()
        watched.page.wait_for_timeout(200)  # for what it would ask for afterwards
    assert any("Dice" in text for text in shown)
    assert (watched.external, watched.errors) == ([], [])
