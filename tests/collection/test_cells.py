"""Tables: read as spreadsheets write them, with texts that no spreadsheet runs."""

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chairlib.collection.cells import from_cell, one_line, read_table, to_cell
from chairlib.core.errors import CollectionError

#: Texts that are likely to go wrong: signs that begin formulas, apostrophes, numbers.
CELLS = st.text(st.sampled_from("'=+-@\t\r 1.e\"a,\n"), max_size=8) | st.text()


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


# -- tables as spreadsheets write them --------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=8).map(str.strip)


@given(st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=5), st.sampled_from(",;\t|"), st.data())
def test_a_table_is_read_whatever_stands_between_its_cells(tmp_path_factory, rows, separator, data):
    file = tmp_path_factory.mktemp("table") / "t.csv"
    stream = io.StringIO(newline="")
    if data.draw(st.booleans()):
        stream.write(f"sep={separator}\r\n")
    writer = csv.writer(stream, delimiter=separator, lineterminator=data.draw(st.sampled_from(["\n", "\r\n", "\r"])))
    writer.writerows([["File Name", "Licence"], *rows])
    file.write_bytes(stream.getvalue().encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))))
    columns, read = read_table(file, ("file_name", "licence"))
    assert columns == ["file_name", "licence"]
    assert [list(row.values()) for _, row in read] == [row for row in rows if any(row)]


def test_rows_may_be_shorter_than_the_header(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1\n\n2,3\n")
    assert read_table(tmp_path / "t.csv", "ab") == (["a", "b"], [(2, {"a": "1", "b": ""}), (4, {"a": "2", "b": "3"})])


@pytest.mark.parametrize("content", [b"", b"\n", b"x,y\n", b"\xff\xfea\n", b"\xe9,a\n", b"a,a\n", b"a\n1,2\n"])
def test_tables_that_cannot_be_understood_are_refused(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(CollectionError, match=r"t\.csv") as caught:
        read_table(tmp_path / "t.csv", "ab")
    assert "\n" not in str(caught.value)
