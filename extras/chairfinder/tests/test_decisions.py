"""Decisions as a file that goes from hand to hand: nothing in it steers a terminal or runs in a spreadsheet."""

import csv

import pytest

from chairfinder.decisions import COLUMNS, decisions_table, export_decisions, replay_decisions
from chairfinder.ledger import Ledger, SearchResult

EVIL = "\x1b]0;owned\x07bad"


@pytest.fixture
def ledger(tmp_path):
    """Two accepted images, one of them at an address with control characters."""
    opened = Ledger(tmp_path / "work")
    for number, url in enumerate(("https://a.example/0.png", f"https://a.example/{EVIL}.png")):
        opened.add_found("segment", SearchResult(url=url, licence="CC0"), "commons", "chair")
        opened.set_screened(opened.add_fetched(url, b"image %d" % number, (8, 8)))
    yield opened
    opened.close()


def cells(text):
    return [cell for row in csv.reader(text.splitlines()) for cell in row]


def test_reasons_are_exported_clean(ledger):
    first, second = (entry.id for entry in ledger.images())
    ledger.decide(first, "refuse", f"{EVIL}\n", by="=cmd()")
    ledger.decide(second, "refuse", "=1+1", by="-me")
    table = decisions_table(ledger)
    assert all(line.isprintable() for line in table.splitlines())
    assert not [cell for cell in cells(table) if cell.startswith(("=", "+", "-", "@"))]
    assert {"'=1+1", "'=cmd()", "'-me", first, second} <= set(cells(table))


def test_an_exported_file_is_understood_again(ledger, tmp_path):
    ids = [entry.id for entry in ledger.images()]
    ledger.decide(ids[0], "refuse", f"{EVIL}\n")
    ledger.decide(ids[1], "refuse", "=1+1", by="@me")
    export_decisions(ledger, tmp_path / "d.csv")
    assert replay_decisions(ledger, tmp_path / "d.csv").standing == 2
    for image_id in ids:
        ledger.decide(image_id, "keep")
    assert replay_decisions(ledger, tmp_path / "d.csv").applied == 2
    found = {decision.image_id: (decision.reason, decision.by) for decision in ledger.decisions()}
    assert found == {ids[0]: (" ]0;owned bad\n", ""), ids[1]: ("=1+1", "@me")}


def test_a_file_by_someone_else_is_cleaned(ledger, tmp_path):
    first = ledger.images()[0].id
    with open(tmp_path / "d.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, (first, "refuse", EVIL, "", f"1{EVIL}", f"me{EVIL}")])
    assert replay_decisions(ledger, tmp_path / "d.csv").applied == 1
    (decision,) = ledger.decisions()
    assert (decision.reason, decision.by) == (" ]0;owned bad", "me ]0;owned bad")
    assert decision.time.isprintable()
    assert replay_decisions(ledger, tmp_path / "d.csv").standing == 1
