"""Looking through fetched images page by page, without widgets: what is shown, what is marked, what goes to the ledger.

One looks at a page, refuses what is not fit, and turns the page: whatever was not refused is then kept. Each refusal
goes to the ledger at once and the page's keeps when it is turned, so a session that ends at any moment loses no more
than the keeps of one page.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chairlib.collection.collection import KINDS
from chairlib.core.errors import CollectionError, ParameterError

#: Why a person refuses an image, by the key to press.
REASONS = {
    "segment": {
        "1": "not a chair",
        "2": "several objects",
        "3": "cut",
        "4": "bad edges",
        "5": "text or watermark",
        "6": "other",
    },
    "background": {
        "1": "holds a chair",
        "2": "not a room",
        "3": "plan",
        "4": "collage",
        "5": "text or watermark",
        "6": "other",
    },
}
_SHOWN = {"undecided": "", "kept": "keep", "refused": "refuse"}


class LedgerLike(Protocol):
    """What a session needs of a ledger.

    Entries have ``id``, ``state``, ``decision`` and ``decision_reason``, among others.
    """

    def images(self, state: str | None = None, kind: str | None = None) -> Sequence[Any]: ...

    def path(self, image_id: str) -> Path: ...

    def missing(self, image_ids: Sequence[str]) -> Sequence[str]: ...

    def decide_page(self, image_ids: Sequence[str], decision: str, reason: str = "", by: str = "") -> None: ...

    def undo(self) -> str | None: ...

    def decisions(self) -> Sequence[Any]: ...


@dataclass(frozen=True)
class Mark:
    """A decision on an image: ``"keep"`` or ``"refuse"``, and the reason of a refusal."""

    decision: str
    reason: str = ""


@dataclass(frozen=True)
class _Step:
    """What one command did: where it was given, and each decision with the mark that stood before it."""

    page: int
    cursor: int
    changes: list[tuple[str, Mark | None]]


class ReviewSession:
    """A person's way through the images of one kind that a ledger has accepted.

    ``per_page``: images a page; ``by``: who decides, for the ledger; ``show``: ``"undecided"`` (the default: a new
    session goes on where the last one stopped), ``"kept"`` or ``"refused"`` (to look again at what was decided);
    ``where``: a condition on an entry, say ``lambda entry: entry.query == "armchair"``; ``clock``: seconds, for the
    pace. Pages stay as they are while the session lasts, but for images that are removed from the ledger meanwhile.
    Raises ParameterError for an unknown kind or ``show``, or fewer than one image a page.
    """

    def __init__(
        self,
        ledger: LedgerLike,
        kind: str = "segment",
        per_page: int = 24,
        by: str = "",
        show: str = "undecided",
        where: Callable[[Any], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if kind not in KINDS:
            raise ParameterError(f"kind {kind!r} is unknown; expected one of {', '.join(KINDS)}.")
        if show not in _SHOWN:
            raise ParameterError(f"show {show!r} is unknown; expected one of {', '.join(_SHOWN)}.")
        if per_page < 1:
            raise ParameterError(f"per_page must be at least 1; found {per_page}.")
        self.ledger, self.kind, self.per_page, self.by = ledger, kind, per_page, by
        #: Why an image of this kind may be refused, by key.
        self.reasons = REASONS[kind]
        entries = [entry for entry in ledger.images(kind=kind) if entry.decision or entry.state == "accepted"]
        self._entries = {entry.id: entry for entry in entries}
        #: Every decision on images of this kind that stands, earlier sessions' too.
        self.marks = {entry.id: Mark(entry.decision, entry.decision_reason) for entry in entries if entry.decision}
        self._ids = [
            entry.id for entry in entries if (entry.decision or "") == _SHOWN[show] and (where is None or where(entry))
        ]
        #: The page shown, from 0; :attr:`n_pages` once all have been turned.
        self.page = 0
        #: The image that a command is about, counted on the page from 0.
        self.cursor = 0
        #: Images of the pages seen so far that were removed from the ledger while the session lasted.
        self.removed: list[str] = []
        self._steps: list[_Step] = []
        self._clock, self._since, self._seconds = clock, clock(), list[float]()

    @property
    def n_pages(self) -> int:
        return -(-len(self._ids) // self.per_page)

    @property
    def done(self) -> bool:
        """Whether the last page has been turned."""
        return self.page >= self.n_pages

    @property
    def ids(self) -> list[str]:
        """The images of the page shown."""
        return self.page_ids(self.page)

    @property
    def current(self) -> str | None:
        """The image at the cursor; None when :attr:`done`, or when all images of the page were removed."""
        return self.ids[self.cursor] if self.ids else None

    def page_ids(self, page: int) -> list[str]:
        """The images of any page, none beyond the last."""
        # What was removed leaves a gap: were it closed, images nobody has seen would move to a page that is about to be
        # turned.
        of_page = self._ids[page * self.per_page : (page + 1) * self.per_page]
        return [image_id for image_id in of_page if image_id not in self.removed]

    def forget_removed(self, image_ids: Sequence[str]) -> None:
        """Drop those of these images that were removed from the ledger meanwhile; :attr:`removed` tells which."""
        gone = self.ledger.missing([image_id for image_id in image_ids if image_id not in self.removed])
        self.removed += gone
        for image_id in gone:
            self.marks.pop(image_id, None)
        self.move(0)

    def entry(self, image_id: str) -> Any:
        """The ledger's entry of an image, as it was when the session began."""
        return self._entries[image_id]

    def move(self, steps: int) -> None:
        """Move the cursor on the page; it stops at the page's ends."""
        self.cursor = min(max(self.cursor + steps, 0), max(len(self.ids) - 1, 0))

    def refuse(self, key: str) -> None:
        """Refuse the image at the cursor, for the reason with this key. Raises ParameterError for a key without one."""
        if key not in self.reasons:
            raise ParameterError(
                f"key {key!r} has no reason; use {', '.join(f'{k} {r}' for k, r in self.reasons.items())}."
            )
        self._decide_current(Mark("refuse", self.reasons[key]))

    def keep(self) -> None:
        """Keep the image at the cursor, whatever was decided before."""
        self._decide_current(Mark("keep"))

    def next_page(self) -> None:
        """Keep what is undecided on the page, and show the next one."""
        if self.done:
            return
        self.forget_removed(self.ids)
        self._decide([image_id for image_id in self.ids if image_id not in self.marks], Mark("keep"))
        self._seconds.append(self._clock() - self._since)
        self._show(self.page + 1)

    def previous_page(self) -> None:
        """Show the page before, to look again; its decisions stand."""
        self._show(max(self.page - 1, 0))

    def undo(self) -> str | None:
        """Take the last command's decisions back, across pages, and show where it was given.

        Once this session's commands are used up, the last decision of an earlier session on an image of this kind is
        taken back; the image is then shown first on the page. Returns an image that it was about, or None where there
        is nothing to undo. Raises CollectionError where someone else has decided in the meantime.
        """
        if not self._steps:
            return self._undo_earlier()
        step, image_id = self._steps[-1], None
        self.forget_removed([changed for changed, _ in step.changes])
        step.changes[:] = [change for change in step.changes if change[0] not in self.removed]
        while step.changes:
            image_id, before = step.changes[-1]
            last = self._last_decided()
            if last != image_id:
                raise CollectionError(
                    f"the ledger's last decision is on {last}, not on {image_id}: another review is going on; "
                    "end one of them, and start this one again."
                )
            self.ledger.undo()
            self._set(image_id, before)
            step.changes.pop()  # one by one: a full disk may stop it halfway
        self._steps.pop()
        self._show(step.page, step.cursor)
        return image_id

    @property
    def progress(self) -> str:
        """One line: the page, what is kept and refused in all, the pace, and the time left at that pace."""
        decisions = [mark.decision for mark in self.marks.values()]
        counts = f"{decisions.count('keep'):,} kept, {decisions.count('refuse'):,} refused"
        if self.done:
            return f"all {len(self._ids):,} {self.kind}s looked at, {counts}"
        line = f"page {self.page + 1:,} of {self.n_pages:,}, {counts}"
        if not self._seconds:
            return line
        # The median: a pause for coffee is no pace.
        pace = statistics.median(self._seconds)
        minutes = (self.n_pages - self.page) * pace / 60
        left = (
            f"about {minutes:.0f} minute{'s' if round(minutes) != 1 else ''}" if minutes >= 1 else "less than a minute"
        )
        return f"{line}, {pace:.0f} s a page, {left} left"

    def _decide_current(self, mark: Mark) -> None:
        if self.current is not None and self.marks.get(self.current) != mark:
            self._decide([self.current], mark)

    def _decide(self, image_ids: Sequence[str], mark: Mark) -> None:
        """All of them or, where the disk is full, none."""
        if not image_ids:
            return
        self.ledger.decide_page(image_ids, mark.decision, mark.reason, self.by)
        self._steps.append(_Step(self.page, self.cursor, [(found, self.marks.get(found)) for found in image_ids]))
        self.marks.update(dict.fromkeys(image_ids, mark))

    def _undo_earlier(self) -> str | None:
        last = self._last_decided()
        if last is None or last not in self._entries:
            return None
        self.ledger.undo()
        again = {entry.id: entry for entry in self.ledger.images(kind=self.kind)}[last]
        self._set(last, Mark(again.decision, again.decision_reason) if again.decision else None)
        if last not in self._ids:
            self._ids.insert(self.page * self.per_page, last)
        page = self._ids.index(last) // self.per_page
        self._show(page, self.page_ids(page).index(last))
        return last

    def _last_decided(self) -> str | None:
        decisions = self.ledger.decisions()
        return decisions[-1].image_id if decisions else None

    def _set(self, image_id: str, mark: Mark | None) -> None:
        if mark is None:
            self.marks.pop(image_id, None)
        else:
            self.marks[image_id] = mark

    def _show(self, page: int, cursor: int = 0) -> None:
        self.page, self.cursor, self._since = page, cursor, self._clock()
        self.move(0)  # there may be fewer images on the page than there were
