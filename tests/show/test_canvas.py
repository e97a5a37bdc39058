"""The theme leaves matplotlib as it found it, colours are told apart, and pictures carry their words."""

import re
import subprocess
import sys

import matplotlib
import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from chairlib.core.errors import ParameterError
from chairlib.show import canvas
from figure_helpers import ImageTag, check_figure, has_colour, pixels


def line(title: str = "") -> canvas.Figure:
    """A rising line in the theme's first colour."""
    with canvas.theme():
        fig = canvas.new_figure(2)
        fig.subplots().plot([0, 1], [0, 1])
        return canvas.show(fig, "A line that rises from 0 to 1", title)


def test_titles_and_captions_are_escaped_text_below_the_picture() -> None:
    fig = matplotlib.figure.Figure(figsize=(6, 2))
    figure = canvas.show(fig, alt='a "quoted" <alt>', title="Title.", caption="<i>caption</i>")
    read = ImageTag(figure.data)
    assert read.attributes["alt"] == figure.alt == 'Title: a "quoted" <alt>.'
    assert read.words == "Title. <i>caption</i>"
    with pytest.raises(ParameterError, match="alternative text"):
        canvas.show(fig, alt=" ")


def test_a_figure_is_the_same_opaque_picture_each_time() -> None:
    check_figure(line())
    assert line().webp == line().webp
    assert line("A title").alt == "A title: A line that rises from 0 to 1."


def test_few_colours_are_a_smaller_file_of_the_same_size() -> None:
    fig = canvas.new_figure(3)
    fig.subplots().imshow(np.random.default_rng(0).random((40, 40)))
    full, few = canvas.show(fig, "noise"), canvas.show(fig, "noise", colours=256)
    assert len(few.webp) < 0.7 * len(full.webp)
    assert pixels(few).shape == pixels(full).shape
    assert 'width="600"' in few.data


def test_the_theme_is_ours_whatever_the_session_has_chosen_and_is_undone() -> None:
    plain = line().webp
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "text.color": "white"}):
        before = dict(matplotlib.rcParams)
        assert line().webp == plain
        assert dict(matplotlib.rcParams) == before
    assert has_colour(line(), canvas.PALETTE[0])


def test_importing_the_figures_changes_no_setting_and_no_colour_name() -> None:
    """In a fresh interpreter: rcParams and the shorthand "b" stay matplotlib's, and torch is not imported."""
    modules = ["canvas", "curves", "interpolation", "landscape", "pictures", "plane", "scrubber"]
    code = f"""
import sys, matplotlib, matplotlib.colors
before = dict(matplotlib.rcParams)
import {", ".join(f"chairlib.show.{module}" for module in modules)}
with chairlib.show.canvas.theme():
    pass
assert dict(matplotlib.rcParams) == before
assert matplotlib.colors.to_hex("b") == "#0000ff"
print([name for name in sys.modules if name.split(".")[0] in ("torch", "torchvision")])
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_the_palette_is_told_apart_in_grey_or_hue() -> None:
    assert len(set(canvas.PALETTE)) == len(canvas.PALETTE) == 7
    assert all(re.fullmatch(r"#[0-9A-F]{6}", colour) for colour in canvas.PALETTE)


def test_labels_differ_in_more_than_colour() -> None:
    numbers = range(len(canvas.PALETTE))
    assert len({canvas.line_style(number)["marker"] for number in numbers}) == len(numbers)
    assert len({canvas.bar_style(number)["hatch"] for number in numbers}) == len(numbers)


def test_grouped_bars_stand_where_their_values_ranges_and_notes_do() -> None:
    values = pd.DataFrame({"a": [3.0, np.nan], "b": [1.0, 2.0]}, ["first", "second"])
    notes = pd.DataFrame({"a": ["3", "none"], "b": ["1", "2"]}, values.index)
    fig = canvas.new_figure(3)
    ax = fig.subplots()
    canvas.grouped_bars(ax, values, [canvas.bar_style(0), canvas.bar_style(1)], notes, values - 0.5, values + 1)
    bars = {
        (round(bar.get_y() + bar.get_height() / 2, 2), bar.get_width()) for bar in ax.patches if bar.get_width() > 0
    }
    assert bars == {(-0.2, 3.0), (0.2, 1.0), (1.2, 2.0)}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is at the top
    at = {text.get_text(): (text.xy[0], round(text.xy[1], 2), text.get_style()) for text in ax.texts}
    assert at == {
        "3": (4, -0.2, "normal"),
        "1": (2, 0.2, "normal"),
        "none": (0, 0.8, "italic"),
        "2": (3, 1.2, "normal"),
    }
    ranges = [tuple(path[:, 0]) for lines in ax.collections for path in lines.get_segments() if len(path)]
    assert {span for span in ranges if not np.isnan(span).any()} == {(2.5, 4.0), (0.5, 2.0), (1.5, 3.0)}


def test_words_are_joined_as_in_a_sentence() -> None:
    assert [canvas.join_words(list(words)) for words in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
