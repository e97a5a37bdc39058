"""Page by page: what isn't refused is kept, everything is in the ledger at once, and every command can be undone."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chairfinder.review_session import REASONS, Mark, ReviewSession
from chairlib.core.errors import CollectionError, ParameterError
from ledger_helpers import Entry, FakeLedger


def ledger_of(n: int, **fields) -> FakeLedger:
    return FakeLedger([Entry(f"{number:04d}", **fields) for number in range(n)])


def standing(ledger: FakeLedger) -> dict[str, tuple[str, str]]:
    return {entry.id: (entry.decision, entry.decision_reason) for entry in ledger.images() if entry.decision}


def as_text(session: ReviewSession) -> dict[str, tuple[str, str]]:
    return {image_id: (mark.decision, mark.reason) for image_id, mark in session.marks.items()}


COMMANDS: dict[str, Callable[[ReviewSession], object]] = {
    "left": lambda session: session.move(-1),
    "right": lambda session: session.move(1),
    "down": lambda session: session.move(3),
    "refuse 1": lambda session: session.refuse("1"),
    "refuse 4": lambda session: session.refuse("4"),
    "keep": lambda session: session.keep(),
    "next": lambda session: session.next_page(),
    "previous": lambda session: session.previous_page(),
    "undo": lambda session: session.undo(),
}
commands = st.lists(st.sampled_from(sorted(COMMANDS)), max_size=40)


def test_what_is_not_refused_is_kept_when_the_page_is_turned():
    ledger = ledger_of(10)
    session = ReviewSession(ledger, per_page=4, by="me")
    session.move(2)
    session.refuse("3")
    assert standing(ledger) == {"0002": ("refuse", "cut")}  # at once, before the page is turned
    session.next_page()
    assert standing(ledger) == {
        "0000": ("keep", ""),
        "0001": ("keep", ""),
        "0002": ("refuse", "cut"),
        "0003": ("keep", ""),
    }
    assert {decision.by for decision in ledger.decisions()} == {"me"}
    assert session.ids == ["0004", "0005", "0006", "0007"]


@given(commands, st.integers(0, 13), st.integers(1, 6))
def test_session_and_ledger_agree_and_undo_leads_all_the_way_back(names, n, per_page):
    ledger = ledger_of(n)
    session = ReviewSession(ledger, per_page=per_page)
    pages = [session.page_ids(page) for page in range(session.n_pages)]
    for name in names:
        COMMANDS[name](session)
        assert as_text(session) == standing(ledger)
        assert 0 <= session.page <= session.n_pages
        assert session.done == (session.current is None)
        assert session.done or session.current == session.ids[session.cursor]
    assert [image_id for page in pages for image_id in page] == [entry.id for entry in ledger.images()]
    for _ in range(len(ledger.decisions())):
        session.undo()
    assert session.undo() is None
    assert standing(ledger) == as_text(session) == {}
    assert pages == [session.page_ids(page) for page in range(session.n_pages)]


@given(commands, st.integers(1, 5))
def test_undo_takes_back_exactly_the_last_decisive_command(names, per_page):
    ledger = ledger_of(11)
    session = ReviewSession(ledger, per_page=per_page)
    trail = []
    for name in names:
        if name == "undo":
            continue
        before, count, place = standing(ledger), len(ledger.decisions()), (session.page, session.cursor)
        COMMANDS[name](session)
        if len(ledger.decisions()) > count:
            trail.append((before, place))
    for before, place in reversed(trail):
        assert session.undo() is not None
        assert standing(ledger) == before
        assert (session.page, session.cursor) == place


@given(commands, st.integers(1, 5), st.integers(1, 5))
def test_a_new_session_goes_on_at_the_first_undecided_image(names, per_page, other_per_page):
    ledger = ledger_of(11)
    session = ReviewSession(ledger, per_page=per_page)
    for name in names:
        COMMANDS[name](session)
    left = [entry.id for entry in ledger.images() if not entry.decision]
    resumed = ReviewSession(ledger, per_page=other_per_page)
    assert [image_id for page in range(resumed.n_pages) for image_id in resumed.page_ids(page)] == left
    assert resumed.done == (not left)
    while not resumed.done:
        resumed.next_page()
    assert len(standing(ledger)) == 11
    assert all(standing(ledger)[image_id] == ("keep", "") for image_id in left)


def test_only_accepted_images_of_the_kind_are_shown():
    states = ["found", "fetched", "accepted", "refused"]
    entries = [Entry(f"s-{state}", state=state) for state in states]
    ledger = FakeLedger([*entries, Entry("room", kind="background")])
    assert ReviewSession(ledger).ids == ["s-accepted"]
    assert ReviewSession(ledger, kind="background").ids == ["room"]


def test_filters_and_looking_again():
    ledger = FakeLedger([Entry(f"{n}", query="stool" if n % 2 else "bench") for n in range(6)])
    stools = ReviewSession(ledger, where=lambda entry: entry.query == "stool")
    assert stools.ids == ["1", "3", "5"]
    stools.refuse("1")
    stools.next_page()
    assert standing(ledger).keys() == {"1", "3", "5"}
    refused = ReviewSession(ledger, show="refused")
    assert refused.ids == ["1"]
    refused.next_page()  # what is decided stays as it is
    assert standing(ledger)["1"] == ("refuse", "not a chair")
    refused.previous_page()
    refused.keep()
    assert standing(ledger)["1"] == ("keep", "")
    assert ReviewSession(ledger, show="kept").ids == ["1", "3", "5"]


def test_the_last_decision_of_an_earlier_session_can_be_undone():
    ledger = ledger_of(6)
    ReviewSession(ledger, per_page=4).next_page()
    session = ReviewSession(ledger, per_page=4)
    assert session.undo() == "0003"
    assert (session.current, session.ids) == ("0003", ["0003", "0004", "0005"])
    session.refuse("2")
    assert standing(ledger)["0003"] == ("refuse", "several objects")


def test_another_kinds_decision_is_not_undone():
    ledger = FakeLedger([Entry("chair"), Entry("room", kind="background")])
    ReviewSession(ledger, kind="background").next_page()
    assert ReviewSession(ledger).undo() is None
    assert standing(ledger) == {"room": ("keep", "")}


def test_undo_refuses_to_take_back_someone_elses_decision():
    ledger = ledger_of(4)
    session = ReviewSession(ledger, per_page=2)
    session.next_page()
    ledger.decide("0003", "keep")
    with pytest.raises(CollectionError, match="last decision is on 0003, not on 0001: another review is going on"):
        session.undo()
    assert len(standing(ledger)) == 3


def test_a_full_disk_leaves_the_page_as_it_was():
    class FullLedger(FakeLedger):
        full = True

        def decide_page(self, image_ids, *details, **options):
            if self.full and len(image_ids) > 1:
                raise CollectionError("no space left")
            super().decide_page(image_ids, *details, **options)

    ledger = FullLedger([Entry(f"{number:04d}") for number in range(4)])
    session = ReviewSession(ledger, per_page=4)
    session.refuse("1")
    with pytest.raises(CollectionError, match="no space left"):
        session.next_page()
    assert session.page == 0
    assert as_text(session) == standing(ledger) == {"0000": ("refuse", "not a chair")}
    ledger.full = False
    session.next_page()
    assert as_text(session) == standing(ledger)
    assert len(standing(ledger)) == 4
    session.undo()
    assert session.undo() == "0000"
    assert standing(ledger) == {}


def test_a_page_is_written_at_once():
    class CountingLedger(FakeLedger):
        writes = 0

        def decide_page(self, image_ids, *details, **options):
            self.writes += 1
            super().decide_page(image_ids, *details, **options)

    ledger = CountingLedger([Entry(f"{number:04d}") for number in range(48)])
    session = ReviewSession(ledger, per_page=24)
    session.next_page()
    session.previous_page()
    session.next_page()  # nothing new: nothing written
    assert (ledger.writes, len(standing(ledger))) == (1, 24)


def test_the_same_decision_twice_is_one():
    ledger = ledger_of(2)
    session = ReviewSession(ledger)
    session.refuse("1")
    session.refuse("1")
    assert len(ledger.decisions()) == 1
    session.refuse("2")
    assert session.marks == {"0000": Mark("refuse", "several objects")}
    session.undo()
    assert session.marks == {"0000": Mark("refuse", "not a chair")}


def test_progress_tells_page_counts_pace_and_time_left():
    now = [0.0]
    session = ReviewSession(ledger_of(1000), per_page=24, clock=lambda: now[0])
    assert session.progress == "page 1 of 42, 0 kept, 0 refused"
    for seconds in (14, 17, 300):  # a pause doesn't spoil the pace
        session.refuse("1")
        now[0] += seconds
        session.next_page()
    assert session.progress == "page 4 of 42, 69 kept, 3 refused, 17 s a page, about 11 minutes left"
    while not session.done:
        session.next_page()
    assert session.progress == "all 1,000 segments looked at, 997 kept, 3 refused"


def test_an_empty_ledger_is_done():
    session = ReviewSession(ledger_of(0))
    for command in COMMANDS.values():
        command(session)
    assert (session.done, session.ids, session.current) == (True, [], None)


@pytest.mark.parametrize("kind", ["segment", "background"])
def test_every_reason_has_a_key_that_types(kind):
    assert all(len(key) == 1 and key.isdigit() for key in REASONS[kind])
    assert len(set(REASONS[kind].values())) == len(REASONS[kind])


@pytest.mark.parametrize(
    ("settings_given", "message"),
    [
        ({"kind": "stool"}, "kind 'stool' is unknown; expected one of segment, background"),
        ({"show": "all"}, "show 'all' is unknown; expected one of undecided, kept, refused"),
        ({"per_page": 0}, "per_page must be at least 1; found 0"),
    ],
)
def test_bad_settings(settings_given, message):
    with pytest.raises(ParameterError, match=message):
        ReviewSession(ledger_of(1), **settings_given)


def test_a_key_without_a_reason():
    with pytest.raises(ParameterError, match="key '9' has no reason; use 1 not a chair, 2 several objects"):
        ReviewSession(ledger_of(1)).refuse("9")


@given(st.integers(-50, 50), st.integers(1, 9))
def test_the_cursor_stays_on_the_page(steps, n):
    session = ReviewSession(ledger_of(n), per_page=4)
    session.move(steps)
    assert session.cursor == min(max(steps, 0), len(session.ids) - 1)
