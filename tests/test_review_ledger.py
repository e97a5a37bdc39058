"""A review on the real ledger: what the session relies on, the ledger does."""

import io

import numpy as np
import pytest
from PIL import Image

from chairlib.collection.ledger import Found, Ledger
from chairlib.collection.review_session import ReviewSession


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
        opened.add_found("segment", Found(url=url, licence="CC0-1.0"), "commons", "arm chair")
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
