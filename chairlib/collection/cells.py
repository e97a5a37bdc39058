"""Texts as cells of a CSV table, written so that no spreadsheet runs them as formulas."""

import csv
import io
import re

__all__ = ["from_cell", "guard_table", "one_line", "to_cell"]

#: What spreadsheets take for the beginning of a formula, after any apostrophes of ours.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def one_line(text: object) -> str:
    """``text`` with a space for every character that is not printable, such as a terminal's control characters."""
    return "".join(sign if sign.isprintable() else " " for sign in str(text))


def to_cell(value: object) -> str:
    """``value`` as the text of a CSV cell: an apostrophe before what a spreadsheet would run, numbers as they are."""
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def from_cell(cell: str) -> str:
    """The text that :func:`to_cell` turned into ``cell``."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def guard_table(text: str) -> str:
    """A CSV table with :func:`one_line` and, once, :func:`to_cell` on every cell; ``text`` itself if none changes."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    guarded = [[to_cell(one_line(from_cell(cell))) for cell in row] for row in rows]
    if guarded == rows:
        return text
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(guarded)
    return stream.getvalue()
