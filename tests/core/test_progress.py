"""Progress bars: lines in a log, one now and then; a moving line in a terminal."""

import io
import sys

import pytest

from chairlib.core import progress
from chairlib.core.progress import HEADLESS, progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def stderr(monkeypatch):
    def use(stream):
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    monkeypatch.delenv(HEADLESS, raising=False)
    return use


def count(n: int = 200, **options) -> None:
    for _ in progress_bar(range(n), "counting", **options):
        pass


def test_a_short_task_writes_nothing_to_a_log(stderr):
    log = stderr(io.StringIO())
    count()
    count(leave=False)
    assert log.getvalue() == ""


@pytest.mark.parametrize("leave", [True, False])
def test_a_long_task_writes_whole_lines_to_a_log(stderr, monkeypatch, leave):
    monkeypatch.setattr(progress, "SECONDS", 1e-4)
    log = stderr(io.StringIO())
    with progress_bar(total=200, desc="counting", leave=leave) as outer:
        for _ in range(200):
            outer.update()
            count(3, leave=False)
    text = log.getvalue()
    assert "\r" not in text
    assert "\x1b" not in text
    assert text.endswith("\n")
    assert all(line.strip() for line in text.splitlines())
    assert "counting" in text
    assert "200" in text


def test_headless_writes_lines_to_a_terminal_too(stderr, monkeypatch):
    terminal = stderr(Terminal())
    monkeypatch.setenv(HEADLESS, "1")
    count()
    assert terminal.getvalue() == ""


def test_a_terminal_has_a_moving_line(stderr):
    terminal = stderr(Terminal())
    count()
    assert "\r" in terminal.getvalue()
    assert "200/200" in terminal.getvalue()


def test_a_bar_can_be_left_out(stderr):
    terminal = stderr(Terminal())
    count(disable=True)
    assert terminal.getvalue() == ""
