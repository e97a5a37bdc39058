"""The histogram shows the data it is given, tells it in its alternative text, and names what is wrong with it."""

from functools import cache

import pytest

from chairlib.core.errors import ParameterError
from chairlib.show.canvas import Figure
from chairlib.show.distributions import foreground_histogram
from figure_helpers import RNG, check_figure

MAKE = {
    "foreground_histogram": lambda: foreground_histogram(RNG.uniform(5, 40, 500)),
    "foreground_histogram_sets": lambda: foreground_histogram({"training": [10.0, 20.0], "test": [30.0]}, paper=None),
}

ALT = {
    "foreground_histogram_sets": [
        "training: 2 composites, mean 15.00 %, from 10.0 to 20.0 %",
        "test: 1 composites, mean 30.00 %",
    ],
}


@cache
def drawn(name: str) -> Figure:
    return MAKE[name]()


@pytest.mark.parametrize("name", MAKE)
def test_every_figure_is_a_picture_with_alternative_text(name: str) -> None:
    check_figure(drawn(name))


@pytest.mark.parametrize("name", ALT)
def test_alternative_text_holds_the_numbers(name: str) -> None:
    alt = drawn(name).alt
    for words in ALT[name]:
        assert words in alt


def test_the_papers_mean_is_drawn_unless_it_is_left_out() -> None:
    assert "The paper's mean is 21.99 %" in foreground_histogram([20.0, 30.0]).alt
    assert "paper" not in foreground_histogram([20.0, 30.0], paper=None).alt


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: foreground_histogram([120.0]), r"per cent in \[0, 100\].*120"),
        (lambda: foreground_histogram([]), "at least one"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
