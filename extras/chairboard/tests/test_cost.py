"""IoU beside cost: which models are cheap and good, a name at every point, and words for all of it."""

import math
import re

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from chairboard.cost import iou_against_cost
from chairlib.core.errors import ParameterError
from chairlib.show.canvas import PALETTE
from figure_helpers import check_figure, has_colour

TABLE = pd.DataFrame(
    {
        "model": ["small", "good", "slow", "classical"],
        "iou": [50.0, 70.0, 60.0, 20.0],
        "low": [45.0, 66.0, math.nan, 18.0],
        "high": [55.0, 73.0, math.nan, 22.0],
        "seconds": [10.0, 60.0, 200.0, math.nan],
        "flops": [1e8, 2e9, 1e9, 0.0],
    }
)


def front(alt: str) -> list[str]:
    """By axis, the models that the words of a picture call cheap and good."""
    return re.findall(r"no other model beats (.+?)\.", alt)


def test_cheap_and_good_is_what_no_other_model_beats():
    assert front(iou_against_cost(TABLE).alt) == ["small and good", "small, slow and good"]
    equal = TABLE.assign(iou=[50, 50, 40, 45], low=math.nan, high=math.nan, seconds=[10, 20, 10, 5], flops=0)
    assert front(iou_against_cost(equal).alt) == ["classical and small"]


def test_the_picture_says_what_it_shows():
    figure = iou_against_cost(TABLE, "Cost", "mini")
    check_figure(figure)
    assert has_colour(figure, PALETTE[0])
    assert "small 50.0 % (45.0 to 55.0), good 70.0 % (66.0 to 73.0), slow 60.0 %, classical 20.0 %" in figure.alt
    seconds, operations = figure.alt.split(". By ")[1:]
    assert "small 10 s, good 60 s, slow 200 s, classical has no place; no other model beats small and good" in seconds
    assert "small 1e+08, good 2e+09, slow 1e+09, classical has no place" in operations
    assert "no other model beats small, slow and good" in operations
    assert figure.caption == (
        "Test IoU: highest 70.0 %, good; lowest 20.0 %, classical. No other model is as good and as cheap as: "
        "small and good (by seconds); small, slow and good (by flops)."
    )


def test_axes_without_any_value_are_left_out():
    figure = iou_against_cost(TABLE.assign(seconds=math.nan))
    check_figure(figure)
    assert "seconds" not in figure.alt
    check_figure(iou_against_cost(TABLE.iloc[:1]))
    with pytest.raises(ParameterError, match="there is nothing to show"):
        iou_against_cost(TABLE.iloc[3:])
    with pytest.raises(ParameterError, match="there is nothing to show"):
        iou_against_cost(TABLE.assign(iou=math.nan))


def test_names_cover_neither_each_other_nor_points(monkeypatch):
    drawn: list[tuple[Axes, Text]] = []
    annotate = Axes.annotate

    def watch(ax, *args, **options):
        drawn.append((ax, annotate(ax, *args, **options)))
        return drawn[-1][1]

    monkeypatch.setattr(Axes, "annotate", watch)
    near = pd.concat([TABLE.iloc[[1]].assign(model=f"model-{number}") for number in range(4)], ignore_index=True)
    near["seconds"] += [0.0, 1.0, 2.0, 3.0]
    check_figure(iou_against_cost(near.assign(flops=math.nan)))
    shown = [(ax, text) for ax, text in drawn if text.get_visible()]
    assert sorted(text.get_text() for _, text in shown) == sorted(near["model"])
    boxes = [Text.get_window_extent(text) for _, text in shown]
    assert not [one for one in boxes for other in boxes if one is not other and one.overlaps(other)]
    points = [shown[0][0].transData.transform(place) for place in zip(near["seconds"], near["iou"], strict=True)]
    assert not [box for box in boxes if box.count_contains(points)]
