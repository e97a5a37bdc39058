import os
import shutil
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from chairfinder import cli
from chairfinder.collecting import collect, remove
from chairfinder.decisions import export_decisions, replay_decisions
from chairfinder.ledger import Entry, Ledger, Search, SearchResult, image_id
from chairlib.core.errors import CollectionError, ParameterError


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "work")
    yield made
    made.close()


def fill(ledger, *numbers, kind="segment"):
    ids = []
    for number in numbers:
        url = f"https://x.org/{number}"
        ledger.add_found(
            kind,
            SearchResult(url, f"{url}/about", f"author {number}", "CC0", "https://cc0", "t"),
            "commons",
            "arm chair",
        )
        ids.append(ledger.add_fetched(url, b"image %d" % number, (3, 4), pixels=f"pixels {number}"))
    return ids


def test_the_way_of_an_image(ledger):
    assert ledger.add_found(
        "segment", SearchResult("https://x.org/1", author="A", licence="CC0"), "commons", "arm chair"
    )
    assert not ledger.add_found("segment", SearchResult("https://x.org/1", author="B"), "openverse", "club chair")
    assert ledger.images() == []
    assert ledger.waiting() == [("https://x.org/1", "segment", "commons")]
    identity = ledger.add_fetched("https://x.org/1", b"data", (3, 4))
    assert identity == image_id(b"data")
    assert ledger.waiting() == []
    (entry,) = ledger.images("fetched")
    assert ledger.path(entry) == ledger.path(identity)
    assert ledger.path(entry).read_bytes() == b"data"
    ledger.set_screened(identity)
    (entry,) = ledger.images("accepted", "segment")
    assert isinstance(entry, Entry)
    assert (entry.id, entry.author, entry.licence, entry.query, entry.provider) == (
        identity,
        "A",
        "CC0",
        "arm chair",
        "commons",
    )
    assert (entry.width, entry.height, entry.state, entry.decision) == (3, 4, "accepted", "")
    assert entry.retrieved.startswith("20")
    ledger.set_screened(identity, "no real alpha: none")
    assert [(entry.state, entry.reason) for entry in ledger.images("refused")] == [("refused", "no real alpha: none")]
    assert ledger.images("accepted") == ledger.images(kind="background") == []
    for wrong in ({"state": "x"}, {"kind": "x"}):
        with pytest.raises(ParameterError, match="'x' is unknown"):
            ledger.images(**wrong)


def test_several_addresses_of_one_image_give_it_the_first(ledger):
    for number in (1, 2):
        ledger.add_found("segment", SearchResult(f"https://x.org/{number}", author=f"author {number}"))
    for number in (2, 1):
        ledger.add_fetched(f"https://x.org/{number}", b"data", (3, 4))
    (entry,) = ledger.images()
    assert (entry.url, entry.author) == ("https://x.org/1", "author 1")


def test_decisions(ledger, tmp_path):
    first, second = fill(ledger, 1, 2)
    for identity in (first, second):
        ledger.set_screened(identity)
    ledger.decide(first, "refuse", "a stool", "ann")
    ledger.decide(second, "keep")
    ledger.decide(first, "keep", by="bob")
    assert [(found.image_id, found.decision, found.by) for found in ledger.decisions()] == [
        (second, "keep", ""),
        (first, "keep", "bob"),
    ]
    assert {entry.state for entry in ledger.images()} == {"reviewed"}
    assert len(ledger.images("accepted")) == len(ledger.images("reviewed")) == 2
    # Another process sees each at once.
    assert Ledger(ledger.folder).decisions() == ledger.decisions()
    assert ledger.undo() == first
    assert {found.image_id: found.reason for found in ledger.decisions()} == {first: "a stool", second: ""}
    assert (ledger.undo(), ledger.undo(), ledger.undo()) == (second, first, None)
    assert ledger.decisions() == []
    assert {entry.decision for entry in ledger.images()} == {""}
    with pytest.raises(ParameterError, match="'maybe' is unknown"):
        ledger.decide(first, "maybe")
    with pytest.raises(CollectionError, match="'0' is not in the ledger"):
        ledger.decide("0", "keep")


def test_decisions_are_replayed_into_another_ledger(ledger, tmp_path):
    ids = fill(ledger, 1, 2, 3)
    ledger.decide(ids[0], "refuse", 'a "stool", and\nmore', "ann")
    ledger.decide(ids[1], "keep")
    ledger.decide(ids[2], "keep")
    assert export_decisions(ledger, tmp_path / "d.csv") == 3
    other = Ledger(tmp_path / "other")
    fill(other, 3, 1)
    replay = replay_decisions(other, tmp_path / "d.csv")
    assert (replay.applied, replay.standing, replay.unknown) == (2, 0, 1)
    mine = {found.image_id: found for found in ledger.decisions()}
    assert all(found == mine[found.image_id] for found in other.decisions())
    assert replay_decisions(other, tmp_path / "d.csv").standing == 2
    assert len(other.decisions()) == 2
    for content, error, message in (
        ("a,b\n1,2\n", CollectionError, "names of its columns: .* expected some of image, decision"),
        (f"image,decision\n{ids[0]},keep\n{ids[2]},perhaps\n", ParameterError, "line 3: decision 'perhaps'"),
    ):
        (tmp_path / "bad.csv").write_text(content)
        with pytest.raises(error, match=message):
            replay_decisions(other, tmp_path / "bad.csv")
    assert len(other.decisions()) == 2
    with pytest.raises(CollectionError, match="cannot be read"):
        replay_decisions(other, tmp_path / "none.csv")


def test_tombstones(ledger):
    gone, kept = fill(ledger, 1, 2)
    file = ledger.path(gone)
    ledger.decide(gone, "keep")
    assert ledger.remove(gone) == ["https://x.org/1"]
    assert not file.exists()
    for identity in (gone, kept):
        ledger.check_known(identity)
    with pytest.raises(CollectionError, match="not in the ledger"):
        ledger.check_known("0123456789abcdef")
    assert [entry.id for entry in ledger.images()] == [kept]
    assert ledger.decisions() == []
    assert not ledger.add_found("segment", SearchResult("https://x.org/1"))
    for url, data, options in (
        ("https://x.org/same", b"image 1", {}),
        ("https://x.org/original", b"other", {"original": b"image 1"}),
        ("https://x.org/pixels", b"another", {"pixels": "pixels 1"}),
    ):
        assert ledger.add_found("segment", SearchResult(url))
        assert ledger.add_fetched(url, data, (3, 4), **options) is None
        assert not ledger.add_found("segment", SearchResult(url))
    assert ledger.waiting() == []
    assert [path.name for path in (ledger.folder / "images").iterdir()] == [f"{kept}.png"]
    assert len(ledger.remove(gone)) == 4
    with pytest.raises(CollectionError, match="not in the ledger"):
        ledger.remove("0123456789abcdef")
    with pytest.raises(CollectionError, match="not in the ledger"):
        ledger.path(gone)


def test_copies_go_with_the_image_that_is_removed(ledger):
    gone, kept = fill(ledger, 1, 2)
    ledger.add_found("segment", SearchResult("https://x.org/copy"))
    copy = ledger.add_fetched("https://x.org/copy", b"encoded anew", (3, 4), pixels="pixels 1")
    ledger.decide(copy, "keep")
    assert ledger.copies(gone) == [copy]
    assert ledger.copies(kept) == []
    assert ledger.remove(gone, "look 1") == ["https://x.org/1", "https://x.org/copy"]
    assert [entry.id for entry in ledger.images()] == [kept]
    assert ledger.decisions() == []
    assert [path.name for path in (ledger.folder / "images").iterdir()] == [f"{kept}.png"]
    assert ledger.removed_appearances() == [(gone, "look 1")]
    ledger.check_known(copy)
    assert not ledger.add_found("segment", SearchResult("https://x.org/copy"))


def test_images_without_a_digest_of_their_pixels_are_no_copies(ledger):
    for number in (1, 2):
        ledger.add_found("segment", SearchResult(f"https://x.org/{number}"))
    first, second = (ledger.add_fetched(f"https://x.org/{n}", b"image %d" % n, (3, 4)) for n in (1, 2))
    ledger.remove(first)
    assert [entry.id for entry in ledger.images()] == [second]


def test_stray_files_are_cleaned(ledger):
    (identity,) = fill(ledger, 1)
    (ledger.folder / "images" / "0123.png").write_bytes(b"x")
    (ledger.folder / "images" / ".0123.png.ab.tmp").write_bytes(b"x")
    assert ledger.clean() == 2
    assert [path.name for path in (ledger.folder / "images").iterdir()] == [f"{identity}.png"]


def test_a_page_and_its_cursor_come_together(ledger, monkeypatch):
    items = [(SearchResult("https://x.org/1"), None), (SearchResult("https://x.org/2"), "no licence: none")]
    assert ledger.add_page("commons", "arm chair", "segment", items, Search("50", 1, 2)) == 2
    assert ledger.search("commons", "arm chair", "segment") == Search("50", 1, 2)
    assert ledger.search("commons", "arm chair", "background") == Search()
    assert [url for url, _, _ in ledger.waiting()] == ["https://x.org/1"]
    with pytest.raises(AttributeError):
        ledger.add_page(
            "commons",
            "arm chair",
            "segment",
            [(SearchResult("https://x.org/3"), None), (None, None)],
            Search("100", 2, 4),
        )
    assert ledger.search("commons", "arm chair", "segment") == Search("50", 1, 2)
    assert len(ledger.waiting()) == 1
    ledger.reopen("no licence")
    assert len(ledger.waiting()) == 2


def test_ledgers_that_are_none(tmp_path):
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(CollectionError, match="version 99, where 1 is read"):
        Ledger(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ledger.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(CollectionError, match="damaged or no ledger"):
        Ledger(tmp_path / "other")
    (tmp_path / "file").write_text("x")
    with pytest.raises(CollectionError, match="cannot hold a ledger"):
        Ledger(tmp_path / "file")


@pytest.fixture
def place():
    """An empty folder that others may look into, unlike ``tmp_path``."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@contextmanager
def read_only(place):
    """Be someone who may read everything in ``place`` and write nothing."""
    modes = {path: path.stat().st_mode for path in (place, *place.rglob("*"))}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # what is written in a file's mode is nothing to root
    try:
        yield
    finally:
        os.seteuid(user)
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_ledger_on_a_read_only_place_can_be_read(place):
    made = Ledger(place)
    made.decide(*fill(made, 1), "keep")
    made.close()
    with read_only(place):
        with pytest.raises(CollectionError, match=r"cannot write .*ledger\.sqlite: .*Make it and its folder writable"):
            Ledger(place)
        ledger = Ledger(place, to_read=True)
        assert [decision.decision for decision in ledger.decisions()] == ["keep"]
        with pytest.raises(CollectionError, match=r"cannot write .*ledger\.sqlite"):
            ledger.undo()
        ledger.close()
    assert sorted(os.listdir(place)) == ["images", "ledger.sqlite"]


def test_the_commands_that_only_read_need_no_place_to_write(place, capsys):
    made = Ledger(place / "c.collect")
    made.decide(*fill(made, 1), "keep")
    made.close()
    with read_only(place):
        cli.collect_status(place / "c")
        cli.collect_decisions(place / "c")
        for writes in (lambda: remove("0123", place / "c"), lambda: collect(None, None, place / "c", resume=True)):
            with pytest.raises(CollectionError, match="Make it and its folder writable"):
                writes()
    printed = capsys.readouterr().out
    assert "reviewed: 1 kept" in printed
    assert ",keep,," in printed


def test_a_ledger_that_is_being_filled_can_be_read_by_who_may_not_write(place):
    made = Ledger(place)
    fill(made, 1)
    with read_only(place):
        assert len(Ledger(place, to_read=True).images()) == 1
    made.close()


def test_changes_that_a_killed_process_left_are_never_passed_over(ledger, place):
    ledger.decide(*fill(ledger, 1), "keep")
    for name in ("ledger.sqlite", "ledger.sqlite-wal"):  # as a kill leaves them
        shutil.copy(ledger.folder / name, place)
    with read_only(place), pytest.raises(CollectionError, match="cannot write"):
        Ledger(place, to_read=True)
    assert len(Ledger(place).decisions()) == 1


def test_reading_makes_no_ledger(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CollectionError, match="cannot hold a ledger"):
        Ledger(tmp_path / "file", to_read=True)


def test_an_address_that_was_never_found(ledger):
    with pytest.raises(CollectionError, match="add it as found first"):
        ledger.add_fetched("https://x.org/1", b"x", (1, 1))


def test_addresses_without_a_licence_are_refused_until_they_are_wanted(ledger):
    licences = {
        "1": ("", ""),
        "2": ("All rights reserved", ""),
        "3": ("", "https://shop.example/terms"),
        "4": ("CC0", ""),
    }
    for name, (licence, address) in licences.items():
        ledger.add_found("segment", SearchResult(f"https://x.org/{name}", licence=licence, licence_url=address))
    ledger.refuse_waiting("no licence: none")
    assert [url for url, _, _ in ledger.waiting()] == ["https://x.org/4"]
    ledger.reopen("no licence")
    assert len(ledger.waiting()) == 4
