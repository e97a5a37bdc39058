"""The paper's tables as printed, and the slips, each checked against the tables themselves."""

import pytest

from chairlib.benchmark.models import MODELS
from chairlib.core import published


def value(table, column, **where):
    for key, wanted in where.items():
        table = table[table[key] == wanted]
    assert len(table) == 1
    return table[column].item()


@pytest.mark.parametrize(
    ("number", "rows", "column", "where", "printed"),
    [
        (1, 12, "iou", {"model": "unet", "resolution": 64}, 85.08),
        (1, 12, "hours", {"model": "fcn_resnet50", "resolution": 256}, 33),
        (2, 4, "dice", {"model": "unet"}, 91.25),
        (2, 4, "precision", {"model": "fcn_resnet101"}, 92.19),
        (3, 27, "iou", {"model": "unet", "pretraining": "chair_segments", "category": "airplane"}, 71.59),
        (3, 27, "dice", {"model": "fcn_vgg16", "pretraining": "none", "category": "car"}, 62.27),
        (4, 18, "iou", {"method": "Yuan et al. 2017", "category": "airplane"}, 0.66),
        (5, 2, "ft_ft", {"task": "segmentation (Chair Segments)"}, 373.94),
    ],
)
def test_tables_are_as_printed(number, rows, column, where, printed):
    table = published.table(number)
    assert len(table) == rows
    assert value(table, column, **where) == printed


def test_figures_as_printed_keep_their_digits():
    assert published.table(1, as_printed=True)["hours"].tolist()[:4] == ["0.4", "0.5", "1", "6.4"]
    assert value(
        published.table(3, as_printed=True), "precision", model="fcn_vgg16", pretraining="none", category="car"
    ) == ("78.70")
    assert (
        value(published.table(4, as_printed=True), "precision", method="Rubinstein et al. 2013", category="car")
        == "85.4"
    )


@pytest.mark.parametrize("number", range(1, 6))
def test_no_cell_is_missing(number):
    assert not published.table(number).isna().any(axis=None)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_models_carry_the_names_that_build_model_knows(number):
    assert set(published.table(number)["model"]) <= set(MODELS)


def test_callers_cannot_change_the_tables():
    table = published.table(2)
    table["iou"] = 0
    assert value(published.table(2), "iou", model="unet") == 85.08


def test_the_baseline_is_the_share_of_background():
    assert round(published.ALL_BACKGROUND_PRECISION + published.FOREGROUND_SHARE, 9) == 100


def test_slips_are_filed_under_tables_and_figures():
    assert set(published.SLIPS) == {"table1", "table2", "table3", "table4", "figure4"}
    assert all(text.endswith(".") for texts in published.SLIPS.values() for text in texts)


def test_slip_vgg_and_resnet50_change_places_across_resolutions():
    table = published.table(1)
    above = [
        value(table, "iou", model="fcn_vgg16", resolution=d) > value(table, "iou", model="fcn_resnet50", resolution=d)
        for d in (32, 64, 128, 256)
    ]
    assert above == [True, True, True, False]
    assert "epochs" not in table


def test_slip_table_2_contradicts_the_ranking_in_the_text():
    table = published.table(2).set_index("model")
    assert table.loc["fcn_vgg16", "iou"] > table.loc["fcn_resnet50", "iou"]
    assert table.loc["fcn_vgg16", "dice"] > table.loc[["fcn_resnet50", "fcn_resnet101"], "dice"].max()


def test_slip_equal_iou_and_dice():
    table = published.table(3)
    equal = table[table["iou"] == table["dice"]]
    assert equal[["model", "pretraining", "category", "iou"]].values.tolist() == [
        ["fcn_resnet101", "chair_segments", "airplane", 51.54]
    ]


def test_slip_how_many_pretrained_figures_are_lower():
    table = published.table(3).set_index(["model", "category"])
    scratch, pretrained = (
        table[table["pretraining"] == name][["precision", "iou", "dice"]].sort_index()
        for name in ("none", "chair_segments")
    )
    lower = pretrained < scratch
    text = published.SLIPS["table3"][1]
    assert f"{lower.to_numpy().sum()} of the {lower.size} figures" in text
    assert f"{lower.loc['fcn_resnet101'].to_numpy().sum()} of them FCN-ResNet-101's" in text


def test_slip_the_unet_from_scratch_is_below_yuan_on_airplane():
    table = published.table(4)
    unet, yuan = (value(table, "iou", method=name, category="airplane") for name in ("U-Net", "Yuan et al. 2017"))
    assert (unet, yuan) == (0.65, 0.66)
    assert table["iou"].max() < 1
