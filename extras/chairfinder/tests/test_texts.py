"""Texts by strangers, in a terminal."""

from hypothesis import example, given
from hypothesis import strategies as st

from chairfinder.texts import lines_of, text_of, url_of


@given(st.text())
@example("a\x1b[2Jb\r\n\x07\u202e\x85")
def test_nothing_steers_a_terminal(text):
    assert text_of(text).isprintable()
    assert lines_of(text).count("\n") == text.count("\n")
    assert lines_of(text).replace("\n", "").isprintable()


def test_text_of():
    assert text_of("  a\x1b[31m \n b ") == "a [31m b"
    assert [text_of(value) for value in (None, True, [], {}, 3, 2.5)] == ["", "", "", "", "3", "2.5"]
    assert (len(text_of("x" * 999)), len(url_of("x" * 999))) == (500, 999)
