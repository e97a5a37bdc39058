"""Texts as cells of a table that no spreadsheet runs."""

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chairlib.collection.cells import from_cell, guard_table, one_line, to_cell

#: Texts that are likely to go wrong: signs that begin formulas, apostrophes, numbers.
CELLS = st.text(st.sampled_from("'=+-@\t\r 1.e\"a,\n"), max_size=8) | st.text()

#: Some versions of Python don't quote a carriage return where another line's end was asked for.
LINES = CELLS.filter(lambda text: "\r" not in text and "\0" not in text)


@given(st.text())
@example("a\x1b[2Jb\r\n\x07\u202e\x85")
def test_one_line_has_nothing_that_steers_a_terminal(text):
    assert one_line(text).isprintable()
    assert len(one_line(text)) == len(text)
    if text.isprintable():
        assert one_line(text) == text


@given(CELLS)
@example("'=a")
@example("''-5")
def test_what_is_written_is_read(text):
    assert from_cell(to_cell(text)) == text


@given(CELLS)
def test_no_cell_is_a_formula(text):
    cell = to_cell(text)
    assert not re.match(r"[=+\-@\t\r]", cell) or float(cell) is not None


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.from_regex(r"\A[0-9a-f]{16}\Z"))
def test_numbers_and_ids_stay_as_they_are(value):
    assert to_cell(value) == str(value)
    assert from_cell(str(value)) == str(value)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "\t=1", "--5", "-inf", "+"])
def test_formulas(text):
    assert to_cell(text) == f"'{text}"


@given(st.lists(st.tuples(LINES, LINES), min_size=1, max_size=4))
def test_tables_are_guarded_once(rows):
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    table = guard_table(stream.getvalue())
    assert guard_table(table) == table
    cells = [to_cell(one_line(from_cell(cell))) for row in rows for cell in row]
    assert [cell for row in csv.reader(io.StringIO(table, newline="")) for cell in row] == cells


def test_names_with_control_characters_in_a_table():
    assert guard_table("file\na\x1b[2J\n=b\n") == "file\na [2J\n'=b\n"


def test_a_harmless_table_is_left_as_it_is():
    assert guard_table('a,"b"\r\n1,"-2"') == 'a,"b"\r\n1,"-2"'
