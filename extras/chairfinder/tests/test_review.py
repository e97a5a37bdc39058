"""The grid does what is typed and clicked, shows what was decided, and never loses or doubles a key."""

import io
import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.display import HTML
from PIL import Image

from chairfinder.collecting import collect
from chairfinder.queries import Query
from chairfinder.review import ReviewGrid, review, typed
from chairfinder.review_session import ReviewSession
from chairfinder.thumbnails import Thumbnails, thumbnail
from chairlib.collection import Collection
from chairlib.core.errors import CollectionError, ImageError
from chairlib.core.progress import HEADLESS
from drawing import draw_background, draw_segment, encode
from ledger_helpers import Entry, FakeLedger


def ledger_in(folder, n=10, kind="segment", **fields) -> FakeLedger:
    rng = np.random.default_rng(0)
    entries, paths = [], {}
    for number in range(n):
        name = f"{kind}-{number:03d}"
        image = draw_segment(rng) if kind == "segment" else draw_background(rng)
        paths[name] = folder / f"{name}{'.png' if kind == 'segment' else '.jpg'}"
        paths[name].write_bytes(encode(image, kind))
        entries.append(Entry(name, kind=kind, width=image.width, height=image.height, **fields))
    return FakeLedger(entries, paths)


def decided(ledger) -> dict[str, str]:
    return {entry.id: entry.decision_reason or entry.decision for entry in ledger.images() if entry.decision}


def type_keys(grid: ReviewGrid, keys: str) -> None:
    grid._keys.value += keys


def shown(grid: ReviewGrid) -> list[str]:
    return [picture.value for picture in grid._pictures if picture.layout.display != "none"]


def test_keys_refuse_keep_and_turn_the_page(tmp_path):
    ledger = ledger_in(tmp_path)
    grid = review(ledger, per_page=4, by="me")
    type_keys(grid, "d")
    type_keys(grid, "3d4k")
    assert decided(ledger) == {"segment-001": "cut", "segment-002": "keep"}
    type_keys(grid, "n")
    assert decided(ledger).keys() == {f"segment-{n:03d}" for n in range(4)}
    assert "page 2 of 3, 3 kept, 1 refused" in grid._status.value
    type_keys(grid, "uu")
    assert decided(ledger) == {"segment-001": "cut", "segment-002": "bad edges"}
    assert {decision.by for decision in ledger.decisions()} == {"me"}


@pytest.mark.parametrize("key", ["n", "N", " "])
def test_keys_that_turn_the_page(tmp_path, key):
    ledger = ledger_in(tmp_path, 2)
    type_keys(review(ledger), key)
    assert decided(ledger) == {"segment-000": "keep", "segment-001": "keep"}


def test_other_keys_do_nothing(tmp_path):
    ledger = ledger_in(tmp_path, 3)
    type_keys(review(ledger), "q9é?x")
    assert decided(ledger) == {}


@given(st.text("adwsknpu123", max_size=12), st.text("adwsknpu123", min_size=1, max_size=4), st.data())
def test_what_was_inserted_is_what_was_typed(before, keys, data):
    place = data.draw(st.integers(0, len(before)))
    inserted = typed(before, before[:place] + keys + before[place:])
    # In "aa" nobody can tell which a is new: the same keys, turned round at most.
    assert len(inserted) == len(keys)
    assert sorted(inserted) == sorted(keys)
    if place == len(before):
        assert inserted == keys


def test_deleting_a_character_undoes_and_clearing_the_field_does_not():
    assert typed("ad3", "ad") == "u"
    assert typed("a", "") == "u"
    assert typed("ad3", "") == ""
    assert typed("ad3", "ad3") == ""


def test_pictures_tell_the_licence_that_is_known(tmp_path):
    terms = "https://creativecommons.org/licenses/by/4.0/"
    for fields, told in (({"licence": "", "licence_url": terms}, terms), ({"licence": ""}, "no licence stated")):
        assert f"<br>{told}</div>" in shown(review(ledger_in(tmp_path, 1, **fields), per_page=1))[0]


def test_a_collection_s_own_licence_stands_below_its_pictures(tmp_path):
    """As the chapter on collections shows it: mini's images, collected once more, state mini's licence."""
    queries = [Query("segments", "segment"), Query("backgrounds", "background")]
    folder = f"local:{Collection('mini').root}"
    found = collect(queries, [folder], tmp_path / "c", limit=16, any_licence=True, progress=False)
    pictures = shown(review(found.ledger, per_page=16))
    assert len(pictures) == 16
    assert all("<br>CC0-1.0</div>" in picture for picture in pictures)


def test_pictures_tell_size_query_licence_and_decision(tmp_path):
    ledger = ledger_in(tmp_path, 3, query="<b>stool</b>", licence="CC BY 4.0")
    grid = review(ledger)
    type_keys(grid, "d3")
    values = shown(grid)
    assert len(values) == 3
    for number, value in enumerate(values):
        assert "48 × 56" in value
        assert "&lt;b&gt;stool" in value
        assert "<b>stool" not in value
        assert "CC BY 4.0" in value
        assert f'alt="segment segment-{number:03d}, 48 × 56 pixels' in value
        assert "repeating-conic-gradient" in value
    assert "✕ cut" in values[1]
    assert [button.description for button in grid._buttons[:3]] == ["undecided", "▶ ✕ cut", "undecided"]


def test_clicks_refuse_for_the_chosen_reason_and_keep_again(tmp_path):
    ledger = ledger_in(tmp_path, 5)
    grid = review(ledger, per_page=4)
    grid._reason.value = "5"
    grid._buttons[2].click()
    assert decided(ledger) == {"segment-002": "text or watermark"}
    grid._buttons[2].click()
    assert decided(ledger) == {"segment-002": "keep"}
    buttons = {button.description: button for button in grid.children[1].children[1:-1]}
    buttons["Keep the rest, next page (N)"].click()
    assert len(decided(ledger)) == 4
    buttons["Undo (U)"].click()
    assert decided(ledger) == {"segment-002": "keep"}


def test_enlarging_follows_the_cursor(tmp_path):
    grid = review(ledger_in(tmp_path, 3))
    assert grid._large.value == ""
    type_keys(grid, "z")
    assert 'alt="segment segment-000, enlarged"' in grid._large.value
    type_keys(grid, "d")
    assert "segment-001" in grid._large.value
    type_keys(grid, "z")
    assert grid._large.value == ""


def test_backgrounds_have_reasons_of_their_own(tmp_path):
    ledger = ledger_in(tmp_path, 3, "background")
    grid = review(ledger, "background")
    assert "conic" not in shown(grid)[0]
    type_keys(grid, "1n")
    assert decided(ledger) == {"background-000": "holds a chair", "background-001": "keep", "background-002": "keep"}
    assert shown(grid) == []
    assert "all 3 backgrounds looked at, 2 kept, 1 refused" in grid._status.value


def test_an_error_is_shown_and_nothing_is_lost(tmp_path):
    ledger = ledger_in(tmp_path, 3)
    grid = review(ledger)

    def full(*_arguments):
        raise CollectionError("<no> space left")

    ledger.decide = full
    type_keys(grid, "3")
    assert 'role="alert"' in grid._status.value
    assert "&lt;no&gt; space left" in grid._status.value
    assert "undecided" in shown(grid)[0]
    del ledger.decide
    type_keys(grid, "3")
    assert decided(ledger) == {"segment-000": "cut"}
    assert "alert" not in grid._status.value


def test_a_damaged_file_is_shown_as_such_and_can_be_refused(tmp_path):
    ledger = ledger_in(tmp_path, 3)
    ledger.path("segment-001").write_bytes(b"no image")
    grid = review(ledger)
    assert "segment-001.png" in shown(grid)[1]
    assert "<img" not in shown(grid)[1]
    type_keys(grid, "zd6")
    assert decided(ledger) == {"segment-001": "other"}


def test_moving_redraws_two_pictures_only(tmp_path):
    grid = review(ledger_in(tmp_path, 10))
    changed = []
    for number, picture in enumerate(grid._pictures):
        picture.observe(lambda _change, number=number: changed.append(number), "value")
    type_keys(grid, "d")
    assert changed == [0, 1]


def test_a_prepared_page_is_turned_at_once(tmp_path):
    grid = ReviewGrid(ReviewSession(ledger_in(tmp_path, 72)))
    for made in list(grid._images.thumbnails._made.values()):
        made.result()
    began = time.perf_counter()
    grid.press("n")
    assert time.perf_counter() - began < 1  # 0.03 s on a free core


def test_thumbnails_are_small_and_keep_transparency(tmp_path):
    file = tmp_path / "wide.png"
    Image.new("RGBA", (400, 100), (255, 0, 0, 0)).save(file)
    uri = thumbnail("segment", file)
    with Image.open(io.BytesIO(_bytes(uri))) as image:
        assert (image.format, image.size, image.mode) == ("WEBP", (160, 40), "RGBA")
        assert image.getextrema()[3] == (0, 0)


def _bytes(uri: str) -> bytes:
    import base64

    match = re.fullmatch(r"data:image/webp;base64,(.*)", uri)
    assert match
    return base64.b64decode(match[1], validate=True)


def test_only_what_was_announced_last_is_held(tmp_path):
    ledger = ledger_in(tmp_path, 6)
    files = [ledger.path(entry.id) for entry in ledger.images()]
    thumbnails = Thumbnails("segment")
    thumbnails.announce(files[:4])
    thumbnails.announce(files[3:])
    assert list(thumbnails._made) == files[3:]
    assert all(thumbnails.get(file) == thumbnail("segment", file) for file in files)
    with pytest.raises(ImageError, match=r"missing\.png"):
        thumbnails.get(tmp_path / "missing.png")


def test_where_nobody_looks_it_is_pictures_without_controls(tmp_path, monkeypatch):
    """On the site nothing would hear a control."""
    monkeypatch.setenv(HEADLESS, "1")
    still = review(ledger_in(tmp_path, 10, licence="CC0"), per_page=6)
    assert isinstance(still, HTML)
    assert re.findall(r'alt="segment (segment-\d+),', still.data) == [f"segment-{number:03d}" for number in range(6)]
    assert still.data.count("CC0") == 6
    assert not re.search("<(input|button|select|script)", still.data)


STATE = '<script type="application/vnd.jupyter.widget-state+json">{}</script>'


@pytest.mark.parametrize("stored", [False, True])
def test_keys_on_a_page_with_and_without_a_kernel(browser, tmp_path, stored):
    """With one, the field is ready and arrows are letters; without, controls are off and arrows are the page's."""
    grid = review(ledger_in(tmp_path, 2))
    page = browser.new_page()
    page.set_content(
        f'{STATE if stored else ""}<div class="chair-review"><div class="chair-review-keys"><input></div>'
        f"<button>Undo</button>{grid.children[-1].value}</div>"
    )
    field, button = page.locator("input"), page.locator("button")
    page.wait_for_function(
        "() => document.querySelector('input').disabled || document.querySelector('input').dataset.keys"
    )
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert (field.is_enabled(), button.is_enabled()) == (not stored, not stored)
    assert field.input_value() == ("" if stored else "dn")
    page.close()
