"""A reviewer's decisions as a CSV file, which can be committed and replayed into another ledger with the same images.

Texts are of printable characters and line breaks, and no cell is a formula to a spreadsheet (:mod:`chairfinder.texts`).
Columns: ``image`` (the id, from the image's content), ``decision`` (keep or refuse), ``reason``, ``url``, ``time``,
``by``.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from chairfinder.ledger import DECISIONS, Decision, Ledger
from chairfinder.texts import lines_of
from chairlib.collection.cells import from_cell, one_line, read_table, to_cell
from chairlib.core.errors import CollectionError, ParameterError
from chairlib.core.files import write_text

COLUMNS = ("image", "decision", "reason", "url", "time", "by")


@dataclass(frozen=True)
class Replay:
    """Counts of a replay: decisions applied, those that stood already, and those about images not in the ledger."""

    applied: int
    standing: int
    unknown: int

    def __str__(self) -> str:
        return (
            f"{self.applied} decisions applied, {self.standing} stood so already, {self.unknown} are about other images"
        )


def decisions_table(ledger: Ledger) -> str:
    """The decision that stands for each image, as CSV, sorted by id."""
    urls = {entry.id: entry.url for entry in ledger.images()}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for found in sorted(ledger.decisions(), key=lambda found: found.image_id):
        url = urls.get(found.image_id, "")
        row = (found.image_id, found.decision, lines_of(found.reason), *map(one_line, (url, found.time, found.by)))
        writer.writerow(map(to_cell, row))
    return stream.getvalue()


def export_decisions(ledger: Ledger, file: str | Path) -> int:
    """Write :func:`decisions_table` to ``file``, atomically; how many decisions it holds."""
    write_text(file, decisions_table(ledger))
    return len(ledger.decisions())


def replay_decisions(ledger: Ledger, file: str | Path) -> Replay:
    """Apply the decisions of ``file`` to the images of the ledger, all or none. Replaying a file twice changes nothing.

    Raises CollectionError for a file that is no such CSV, ParameterError, with the line, for a decision that is
    unknown.
    """
    rows = _read(Path(file))
    held = {entry.id: (entry.decision, lines_of(entry.decision_reason)) for entry in ledger.images()}
    known = [row for row in rows if row.image_id in held]
    new = [row for row in known if held[row.image_id] != (row.decision, row.reason)]
    ledger.decide_all(new)
    return Replay(len(new), len(known) - len(new), len(rows) - len(known))


def _read(file: Path) -> list[Decision]:
    columns, rows = read_table(file, COLUMNS)
    missing = [name for name in ("image", "decision") if name not in columns]
    if missing:
        raise CollectionError(
            f"{file} has no column {' or '.join(missing)}; name a file that --export wrote ({', '.join(COLUMNS)})."
        )
    latest: dict[str, Decision] = {}
    for line, raw in rows:
        row = {name: lines_of(from_cell(raw.get(name, ""))) for name in COLUMNS}
        if row["decision"] not in DECISIONS:
            raise ParameterError(
                f"{file}, line {line}: decision {row['decision']!r} is unknown; use one of {', '.join(DECISIONS)}."
            )
        latest[row["image"]] = Decision(row["image"], row["decision"], row["reason"], row["time"], row["by"])
    return list(latest.values())
