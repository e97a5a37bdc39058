"""A ledger in memory, with the interface of the real one: what a review needs, and nothing else."""

from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["Decision", "Entry", "FakeLedger"]


@dataclass(frozen=True)
class Entry:
    id: str
    kind: str = "segment"
    state: str = "accepted"
    reason: str = ""
    url: str = ""
    landing_page: str = ""
    author: str = ""
    licence: str = "CC0-1.0"
    licence_url: str = ""
    title: str = ""
    query: str = "chair"
    provider: str = ""
    retrieved: str = ""
    width: int = 48
    height: int = 56
    decision: str = ""
    decision_reason: str = ""


@dataclass(frozen=True)
class Decision:
    image_id: str
    decision: str
    reason: str
    time: str
    by: str


class FakeLedger:
    def __init__(self, entries: list[Entry], paths: dict[str, Path] | None = None) -> None:
        self._entries = {entry.id: entry for entry in entries}
        self._paths = paths or {}
        self._decisions: list[Decision] = []

    def images(self, state=None, kind=None) -> list[Entry]:
        entries = [self._with_decision(entry) for _, entry in sorted(self._entries.items())]
        return [e for e in entries if state in (None, e.state) and kind in (None, e.kind)]

    def path(self, image_id) -> Path:
        return self._paths.get(image_id, Path(f"{image_id}.png"))

    def missing(self, image_ids) -> list[str]:
        return [image_id for image_id in image_ids if image_id not in self._entries]

    def decide(self, image_id, decision, reason="", by="") -> None:
        assert image_id in self._entries
        assert decision in ("keep", "refuse")
        self._decisions.append(Decision(image_id, decision, reason, "2026-01-01T00:00:00Z", by))

    def decide_page(self, image_ids, decision, reason="", by="") -> None:
        for image_id in image_ids:
            self.decide(image_id, decision, reason, by)

    def undo(self) -> str | None:
        return self._decisions.pop().image_id if self._decisions else None

    def decisions(self) -> list[Decision]:
        return list(self._decisions)

    def _with_decision(self, entry: Entry) -> Entry:
        of_image = [decision for decision in self._decisions if decision.image_id == entry.id]
        if not of_image:
            return entry
        return replace(entry, decision=of_image[-1].decision, decision_reason=of_image[-1].reason)
