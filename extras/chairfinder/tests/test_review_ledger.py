"""A review on the real ledger: what the session relies on, the ledger does."""

import io

import numpy as np
import pytest
from PIL import Image

from chairfinder.ledger import Ledger, SearchResult
from chairfinder.review import review
from chairfinder.review_session import ReviewSession
from chairlib.core.errors import CollectionError


def picture(number):
    pixels = np.random.default_rng(number).integers(0, 256, (40, 32, 4), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def ledger(tmp_path):
    """Seven accepted segments."""
    opened = Ledger(tmp_path / "work")
    for number in range(7):
        url = f"https://host.example/{number}.png"
        opened.add_found("segment", SearchResult(url=url, licence="CC0-1.0"), "commons", "arm chair")
        opened.set_screened(opened.add_fetched(url, picture(number), (32, 40)))
    yield opened
    opened.close()


def test_a_review_is_kept_taken_back_and_gone_on_with(ledger, tmp_path):
    session = ReviewSession(ledger, per_page=3)
    first = list(session.ids)
    session.refuse("1")
    assert [entry.decision for entry in ledger.images() if entry.id == first[0]] == ["refuse"]
    session.next_page()
    assert {d.image_id: d.decision for d in ledger.decisions()} == dict(
        zip(first, ("refuse", "keep", "keep"), strict=True)
    )
    session.undo()  # over the page's border
    assert len(ledger.decisions()) < 3
    session.next_page()

    again = Ledger(tmp_path / "work")
    later = ReviewSession(again, per_page=3)
    assert not set(later.ids) & set(first)  # goes on at the first undecided image
    later.next_page()
    later.next_page()
    assert later.done
    assert len(again.decisions()) == 7
    again.close()


def test_images_that_are_removed_meanwhile_leave_their_page(ledger):
    grid = review(ledger, per_page=3)
    session = grid.session
    first, second = session.ids, session.page_ids(1)
    grid.press("dd1")
    ledger.remove(first[0])
    ledger.remove(first[2])
    ledger.remove(second[0])
    grid.press("n")
    # What was not seen yet is not kept: it stays on the page where it was.
    assert {d.image_id: d.decision for d in ledger.decisions()} == {first[1]: "keep"}
    assert (session.page, session.ids) == (1, second[1:])
    assert f"no longer shown: {first[0]}, {first[2]}, {second[0]}" in grid._status.value
    assert "alert" not in grid._status.value
    assert [picture.layout.display for picture in grid._pictures] == ["", "", "none"]
    grid.press("uu")  # the decision on what was removed went with it
    assert ledger.decisions() == []
    assert (session.page, session.ids, session.current) == (0, [first[1]], first[1])


def test_a_page_of_which_nothing_is_left(ledger):
    grid = review(ledger, per_page=3)
    for image_id in grid.session.ids:
        ledger.remove(image_id)
    grid.press("z")
    assert (grid.session.ids, grid.session.current, grid.session.done) == ([], None, False)
    grid.press("1kdn")
    assert (grid.session.page, len(grid.session.ids)) == (1, 3)
    assert ledger.decisions() == []


def test_a_click_on_an_image_that_was_removed_a_moment_ago(ledger):
    grid = review(ledger, per_page=3)
    gone = grid.session.current
    ledger.remove(gone)
    with pytest.raises(CollectionError, match="not in the ledger"):
        grid.session.refuse("1")
    grid.press("1")
    assert gone not in grid.session.ids
    assert ledger.missing([gone, grid.session.current]) == [gone]
