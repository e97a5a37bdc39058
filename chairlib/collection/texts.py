"""Texts by strangers (names of files, fields of manifests, answers of services) made safe for a terminal and for a spreadsheet."""

import csv
import io
import re

__all__ = ["from_cell", "guard_table", "lines_of", "one_line", "text_of", "to_cell", "url_of"]

_MAX_TEXT = 500
_MAX_URL = 10_000
#: What spreadsheets take for the beginning of a formula, after any apostrophes of ours.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def one_line(text: object) -> str:
    """``text`` with a space for every character that is not printable: control characters would steer the reader's terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in str(text))


def lines_of(text: str) -> str:
    """As :func:`one_line`, but line breaks (``\\n``) stay: for what a person wrote."""
    return "\n".join(map(one_line, text.split("\n")))


def text_of(value: object, most: int = _MAX_TEXT) -> str:
    """A field of an answer as one line of text, at most ``most`` characters; empty where it is none."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    return " ".join(one_line(value).split())[:most]


def url_of(value: object) -> str:
    """A field of an answer that is an address: never shortened to another one."""
    return text_of(value, _MAX_URL)


def to_cell(value: object) -> str:
    """``value`` as the text of a CSV cell that no spreadsheet runs: an apostrophe before ``=``, ``+``, ``-`` or ``@``; numbers as they are.

    :func:`from_cell` gives the text back.
    """
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def from_cell(cell: str) -> str:
    """The text that :func:`to_cell` made ``cell`` of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def guard_table(text: str) -> str:
    """A CSV table whose cells all went through :func:`one_line` and :func:`to_cell`; the very text where none needed it.

    A table that was guarded before stays as it is.
    """
    rows = list(csv.reader(io.StringIO(text, newline="")))
    guarded = [[to_cell(one_line(from_cell(cell))) for cell in row] for row in rows]
    if guarded == rows:
        return text
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(guarded)
    return stream.getvalue()
