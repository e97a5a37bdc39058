"""CSV tables: read as spreadsheets write them, written so that no spreadsheet runs a text as a formula."""

import codecs
import csv
import io
import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from chairlib.core.errors import CollectionError

#: What spreadsheets take for the beginning of a formula, after any apostrophes of ours.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
#: A first line by which some spreadsheets are told what stands between cells.
_SEPARATOR = re.compile(r'"?sep=(.)\1*"?\s*', re.IGNORECASE)
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


def read_table(file: Path, known: Collection[str]) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns of a CSV table, and its rows with their line numbers: texts by column.

    Commas, semicolons, tabs or bars may stand between cells, and spaces after them; a line ``sep=;`` above the header
    is heeded. UTF-8 and, with a byte-order mark, UTF-16 are read. Columns are named in lower case, with ``_`` for
    spaces and hyphens; some may be others than the ``known``. Raises :class:`CollectionError` for a table without a
    header, a column that is nearly a known one or stands twice, a row of more cells than the header has, and an open
    quote.
    """
    try:
        data = file.read_bytes()
        is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        stream = io.StringIO(data.decode("utf-16" if is_utf16 else "utf-8-sig"), newline="")
        above, told, header = 0, None, ""
        while not header.strip(",;|\t\r\n ") and (header := stream.readline()):  # what is empty, or says the separator
            above += 1
            if sign := _SEPARATOR.fullmatch(header):
                told, header = sign, ""
        separator = told[1] if told else max(",;\t|", key=lambda sign: len({*_columns(header, sign)} & {*known}))
        columns = _columns(header, separator)
        _check_columns(file, columns, known, header)
        reader = csv.reader(stream, delimiter=separator, skipinitialspace=True, strict=True)
        rows = []
        for cells in reader:
            line = reader.line_num + above
            if any(cell.strip() for cell in cells[len(columns) :]):
                raise CollectionError(
                    f"{file}, line {line}: {len(cells)} cells, but {len(columns)} columns; put texts that hold "
                    f"{separator!r} in quotes."
                )
            if any(cell.strip() for cell in cells):
                rows.append((line, dict(zip(columns, [*cells, *[""] * len(columns)], strict=False))))
    except (OSError, UnicodeError, csv.Error) as error:
        raise CollectionError(
            f"{file} cannot be read as CSV ({error}); save it as CSV in UTF-8, or remove it."
        ) from error
    return columns, rows


def _columns(header: str, separator: str) -> list[str]:
    cells = next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])
    return [re.sub(r"[\s-]+", "_", cell.strip().lower()) for cell in cells]


def _check_columns(file: Path, columns: list[str], known: Collection[str], header: str) -> None:
    if not {*columns} & {*known}:
        found = f"its first line is {one_line(header).strip()[:80]!r}" if header.strip() else "it is empty"
        raise CollectionError(
            f"{file} has no line with the names of its columns: {found}; expected some of {', '.join(known)}. Write "
            "that line, or remove the file."
        )
    for name in columns:
        near = get_close_matches(name, [*known], 1, cutoff=0.8)
        if name not in known and near and near[0] not in columns:
            raise CollectionError(f"{file} has a column {name!r}, which is not read; rename it: {near[0]!r} is.")
        if name and columns.count(name) > 1:
            raise CollectionError(f"{file} has {columns.count(name)} columns {name!r}; remove all but one.")
