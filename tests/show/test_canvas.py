"""The theme leaves matplotlib as it found it, colours are told apart, and pictures carry their words."""

import re
import subprocess
import sys

import matplotlib
import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, findfont, get_font

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


def test_a_label_has_its_own_colour_whatever_stands_beside_it() -> None:
    def colours(*labels: str) -> list[int]:
        return [canvas.PALETTE.index(look["color"]) for look in canvas.line_styles(labels).values()]

    assert colours("U-Net, width 16 at 64 px", "U-Net, width 16 at 32 px", "FCN-VGG-16") == [0, 0, 1]
    assert colours("FCN-VGG-16", "a net", "U-Net, width 4") == [1, 2, 0]
    assert colours("from scratch", "pretrained on Chair Segments") == [1, 0]
    assert colours("pretrained on COCO chairs", "from scratch, as many images in all") == [3, 4]
    assert len(colours(*map(str, range(20)))) == 20
    first, second = canvas.line_styles(["U-Net at 64 px", "U-Net at 32 px"]).values()
    assert first["marker"] != second["marker"]
    assert first["linestyle"] != second["linestyle"]


def test_the_largest_and_the_smallest_are_named_for_a_caption() -> None:
    def told(*values: float) -> str:
        return canvas.describe_ends("IoU", pd.Series(dict(zip("abcd", values, strict=False)), dtype=float))

    assert told(54.31, 77.42, 60) == "IoU: highest 77.4 %, b; lowest 54.3 %, a"
    assert told(1, 1, 0.96, np.nan) == "IoU: 1.0 %, a, b and c"
    assert told(2, 1, 1.01) == "IoU: highest 2.0 %, a; lowest 1.0 %, c and b"
    assert told(5) == told(5, np.nan) == "IoU: 5.0 %, a"
    assert told() == told(np.nan) == ""


def contrast(one: str, other: str) -> float:
    """As the Web Content Accessibility Guidelines have it."""

    def luminance(colour: str) -> float:
        parts = np.array(to_rgb(colour))
        return float(
            np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
        )

    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_is_legible_on_the_card_and_the_card_is_neither_white_nor_dark() -> None:
    assert contrast(canvas.INK, canvas.GROUND) > 12
    assert contrast(canvas.GREY, canvas.GROUND) > 4.5
    assert all(contrast(colour, canvas.GROUND) > 1.9 for colour in canvas.PALETTE)
    assert 1.05 < contrast("#ffffff", canvas.GROUND) < 1.3


def test_figures_are_written_in_the_typeface_of_the_book() -> None:
    """No letter that figures use falls back to another typeface, and figures of one height are equally wide."""
    with canvas.theme():
        for style in ({}, {"weight": "bold"}, {"style": "italic"}):
            font = get_font(findfont(FontProperties(family=matplotlib.rcParams["font.family"], **style)))
            assert font.family_name == "Chair Serif"
            assert set("aé0−–×αℓ₁₂%") <= set(map(chr, font.get_charmap()))
            assert len({font.load_char(ord(figure)).linearHoriAdvance for figure in "0123456789"}) == 1


def test_a_caption_begins_with_the_takeaway() -> None:
    fig = matplotlib.figure.Figure(figsize=(6, 2))
    figure = canvas.show(fig, "words", "Title", "A note.", takeaway="It rises by 3 points.")
    assert ImageTag(figure.data).words == "Title. It rises by 3 points. A note."
    assert canvas.show(fig, "words", takeaway="It rises").caption == "It rises."


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
