"""The paper's three claims from records: verdicts that follow the numbers, and none from toy ones."""

import json
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from chairboard.claims import (
    IN_PART,
    NOT_SHOWN,
    OPPOSITE,
    OTHER_ORDER,
    SUPPORTED,
    benchmark_claim,
    landscape_claim,
    transfer_claim,
)
from chairboard.transfer_tables import TransferReport
from chairboard.verdicts import NOISE, SKILL, Drop
from chairlib.benchmark.report import Report
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core.runs import Record
from chairlib.core.tensors import save_tensors
from chairlib.transfer.settings import STAND_IN, TransferSettings

IDS = [f"{number:04d}" for number in range(12)]
SCATTER = np.tile([-1.0, 1.0], 6)
WAYS = ("average", "recalibrate")


def made(folder, settings, iou, **more) -> Record:
    """A finished run whose images score around ``iou``, with three examples."""
    home = folder / f"{settings.kind}-{len(list(folder.iterdir()))}"
    home.mkdir()
    ious = iou + SCATTER
    table = {"id": IDS, "group": IDS, "iou": ious, "dice": ious, "precision": ious}
    pd.DataFrame(table).to_csv(home / "test_images.csv", index=False)
    part = {
        "images": torch.zeros(3, 3, 8, 8, dtype=torch.uint8),
        "targets": torch.full((3, 1, 8, 8), 255, dtype=torch.uint8),
        "probabilities": torch.full((3, 1, 8, 8), 200, dtype=torch.uint8),
        "rows": torch.arange(3),
    }
    rows = {"rows": torch.tensor([1, 5, 8])}  # a fine-tuned run says which of its scored images it keeps
    fixed = {f"fixed.{name}": tensor for name, tensor in part.items()} | {"fixed.iou": torch.tensor([1.0, 2.0, 9.0])}
    save_tensors(home / "examples.safetensors", part | fixed | rows)
    content = {
        "format": 1,
        "kind": settings.kind,
        "parameters": settings.to_dict(),
        "metrics": {
            "test": {"iou": iou, "intervals": {"iou": [iou - 1, iou + 1]}},
            "start": {"iou": 0.0},
            "all_background_precision": 78.0,
        },
        "finished": "2026-01-01T00:00:00Z",
        "images_seen": 6000,
        "seconds": 64.0,
        "hardware": "a test",
        "scored_split": "val",
        **more,
    }
    (home / "record.json").write_text(json.dumps(content))
    return Record(home, content)


# -- how fast, and are models told apart ---


def benchmark(folder, **ious) -> Report:
    """A report of models whose seeds have these IoUs."""
    runs = [
        made(folder, BenchmarkSettings.of({"model": model, "resolution": 64, "seed": seed}), iou)
        for model, by_seed in ious.items()
        for seed, iou in enumerate(by_seed)
    ]
    return Report("drawn", runs, [])


@pytest.mark.parametrize(
    ("ious", "verdict"),
    [
        ({"unet": (70, 71, 70), "fcn_vgg16": (50, 51, 50), "fcn_resnet50": (60, 61, 60)}, SUPPORTED),
        ({"unet": (70, 71, 70), "fcn_vgg16": (50, 51, 50), "fcn_resnet50": (80, 81, 80)}, OTHER_ORDER),
        ({"unet": (70, 71, 70), "fcn_vgg16": (50, 51, 50), "fcn_resnet50": (60, 82, 70)}, NOT_SHOWN),
        ({"unet": (70,), "fcn_vgg16": (0,)}, NOT_SHOWN),  # one seed tells nothing of the luck of training
        ({"unet": (0, 0), "fcn_vgg16": (0, 0)}, NOT_SHOWN),
        ({"unet": (20, 21, 20), "fcn_vgg16": (0, 1, 0)}, NOT_SHOWN),  # a mask that is all chair scores 22 %
        ({"unet": (70, 71, 70), "fcn_vgg16": (60, 61, 60), "fcn_resnet50": (55,)}, NOT_SHOWN),  # one of them has a seed
        ({"unet": (70, 71, 70)}, NOT_SHOWN),
        ({"fcn_vgg16": (70, 71, 70)}, NOT_SHOWN),
        ({}, NOT_SHOWN),
    ],
)
def test_the_benchmark_is_supported_where_the_unet_is_clearly_above_every_model(tmp_path, ious, verdict):
    tile = benchmark_claim(benchmark(tmp_path, **ious))
    assert tile.sentence.startswith(f"{verdict}. ")


def test_the_benchmark_says_the_score_its_cost_and_the_nearest_model(tmp_path):
    report = benchmark(tmp_path, unet=(70, 71, 72), fcn_vgg16=(50, 51, 52), fcn_resnet50=(60, 61, 62))
    sentence = benchmark_claim(report).sentence
    assert sentence.startswith("Supported by this build. 71.0 % IoU of a U-Net at 64 × 64 pixels (")
    assert "after 6,000 images and 64 seconds of training. U-Net minus FCN-ResNet-50, the least favour" in sentence
    assert "favourable of 2 comparisons: +10.0 points (+10.0 to +10.0), 3 seeds. Control: a mask that" in sentence
    assert sentence.endswith("the mean of 3 seeds, the time their median, on a test.")
    assert benchmark_claim(report).alt == "composite; true mask; predicted: IoU 100 %"


def test_the_comparison_with_the_lowest_interval_is_told_as_the_least_favourable(tmp_path):
    """Not the nearest by its mean: a wide interval leaves more doubt."""
    report = benchmark(tmp_path, unet=(70, 70, 70), fcn_vgg16=(10, 60, 90), fcn_resnet50=(65, 65, 65))
    assert "U-Net minus FCN-VGG-16, the least favourable of 2" in benchmark_claim(report).sentence
    one = benchmark_claim(benchmark(tmp_path, unet=(70, 71), fcn_vgg16=(50, 51)))
    assert "U-Net minus FCN-VGG-16, the only comparison: " in one.sentence


def test_a_unet_of_one_class_is_not_supported_and_models_with_one_seed_are_named(tmp_path):
    report = benchmark(tmp_path, unet=(70, 71), fcn_vgg16=(50, 51), fcn_resnet50=(40,))
    assert "With one seed or none to compare: FCN-ResNet-50." in benchmark_claim(report).sentence
    report.records[0].metrics["test"]["predicted_all"] = "chair"
    sentence = benchmark_claim(report).sentence
    assert sentence.startswith(NOT_SHOWN)
    assert "all chair scores about 22 %, one without chair 0 %. The U-Net is not clearly above that." in sentence


def test_a_score_without_an_interval_or_without_a_value_is_told(tmp_path):
    report = benchmark(tmp_path, unet=(70,))
    report.records[0].metrics["test"]["intervals"]["iou"] = [None, None]
    assert "pixels (no interval), after" in benchmark_claim(report).sentence
    report.records[0].metrics["test"]["iou"] = None
    assert benchmark_claim(report).sentence.startswith(f"{NOT_SHOWN}. – no test composite has enough chair pixels")


def test_the_time_is_that_of_the_median_run(tmp_path):
    report = benchmark(tmp_path, unet=(70, 71, 72))
    for record, seconds in zip(report.records, (60, 200, 9000), strict=True):
        record.content["seconds"] = seconds
    assert "after 6,000 images and 3.3 minutes of training" in benchmark_claim(report).sentence


# -- before and after chairs ---


def transfer(folder, **ious) -> TransferReport:
    """A report of cars and horses: by arm, the IoU of each seed."""
    runs = []
    for (arm, by_seed), category in product(ious.items(), ("car", "horse")):
        for seed, iou in enumerate(by_seed):
            named = f"benchmark-{seed}" if arm == "chair_segments" else None
            asked = {"category": category, "pretraining": arm, "seed": seed, "pretrained": named}
            cost = {"images_seen": 1, "budget": 1, "n_train_images": 1, "recipe": "fast"} if named else None
            settings = TransferSettings.of(asked)
            runs.append(made(folder, settings, iou, data={"name": "drawn", "hash": "0"}, pretrained_on=cost))
    return TransferReport("stand-in", runs, [])


@pytest.mark.parametrize(
    ("ious", "verdict", "words"),
    [
        ({"none": (50, 51), "chair_segments": (60, 61), "none_equal_total": (55, 56)}, SUPPORTED, "+5.0 points (+5.0"),
        ({"none": (50, 51), "chair_segments": (60, 61), "none_equal_total": (65, 66)}, IN_PART, "as long does better"),
        ({"none": (50, 51), "chair_segments": (60, 61), "none_equal_total": (50, 70)}, IN_PART, "may do as well"),
        ({"none": (50, 51), "chair_segments": (60, 61)}, IN_PART, "without chairs: not measured"),
        ({"none": (50, 51), "chair_segments": (40, 41), "none_equal_total": (30, 31)}, OPPOSITE, "+10.0 points"),
        ({"none": (50, 51), "chair_segments": (40, 70)}, NOT_SHOWN, "not measured"),
        ({"none": (0,), "chair_segments": (0,), "none_equal_total": (60.7,)}, NOT_SHOWN, "−60.7 points"),
        ({"none": (50, 51)}, NOT_SHOWN, "nothing to compare"),
        ({}, NOT_SHOWN, "nothing to compare"),
    ],
)
def test_chairs_are_supported_where_they_help_over_both_arms(tmp_path, ious, verdict, words):
    sentence = transfer_claim(transfer(tmp_path, **ious)).sentence
    assert sentence.startswith(f"{verdict}. ")
    assert words in sentence


def test_the_gain_is_told_with_its_photos_and_seeds(tmp_path):
    report = transfer(tmp_path, none=(50, 51), chair_segments=(60, 61), none_equal_total=(62, 63))
    tile = transfer_claim(report)
    assert "of IoU (+10.0 to +10.0) by pretraining on chairs, measured on the stand-in (renderings of" in tile.sentence
    assert "measured on the stand-in (renderings of airplanes, cars and horses)" in tile.data
    assert "−2.0 points (−2.0 to −2.0), 2 seeds. So chairs help a short training" in tile.sentence
    assert tile.sentence.endswith("mean of car and horse, 2 seeds and 2 pretrainings.")
    assert tile.alt == "image; true mask; from scratch: IoU 100 %; pretrained: IoU 100 %"


def test_a_gain_without_figure_5_is_told_without_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(TransferReport, "figure5", lambda report, category: {})
    tile = transfer_claim(transfer(tmp_path, none=(50, 51), chair_segments=(60, 61)))
    assert "<img" not in tile.data
    assert tile.sentence.startswith(IN_PART)


# -- two models averaged ---


def landscape(lost, n_pairs=3, worst=80.0, ways=WAYS, spread=0.3, photos=STAND_IN):
    """A stand-in for a report: what is lost between models, by pair and way, each interval twice ``spread`` long."""

    def drops(pair):
        heights = {way: lost[pair] if isinstance(lost[pair], int | float) else lost[pair][way] for way in ways}
        return {
            way: Drop(height, max(0.0, height - spread), height + spread, (height,) * n_pairs, worst)
            for way, height in heights.items()
        }

    truth = np.ones((2, 8, 8), bool)
    scrubber = {
        "alphas": [0, 0.5, 1],
        "images": np.zeros((2, 8, 8, 3), np.uint8),
        "targets": truth,
        "predicted": {key: np.stack([truth, truth & (key[0] == "F"), truth]) for key in product("FSR", ways)},
    }
    record = SimpleNamespace(settings=SimpleNamespace(photos=photos, category="car"))
    return SimpleNamespace(drops=drops, scrubber=lambda: scrubber, photos=f"car, {photos}", record=record)


@pytest.mark.parametrize(
    ("lost", "more", "verdict", "words"),
    [
        (
            {"F": 0.5, "S": 40, "R": 30},
            {},
            SUPPORTED,
            "30.0 points (29.7–30.3); less than S and more than F, so a shared start makes part of the difference, ",
        ),
        (
            {"F": 0.5, "S": 40, "R": 5},
            {},
            SUPPORTED,
            "5.0 points (4.7–5.3); less than S and more than F, so a shared start makes part of the difference, ",
        ),
        ({"F": 0.5, "S": 40, "R": 40}, {}, SUPPORTED, "(39.7–40.3); more than F and not clearly less than S"),
        ({"F": 0.5, "S": 40, "R": 30}, {"n_pairs": 1}, NOT_SHOWN, "One pair of each kind does not tell"),
        ({"F": 0.5, "S": 40, "R": 30}, {"worst": SKILL - 1}, NOT_SHOWN, "the models themselves score too low"),
        ({"F": NOISE, "S": 40, "R": 30}, {}, IN_PART, "It is less, but it may be more than 2 points"),
        (
            {"F": {"average": 40, "recalibrate": 1}, "S": 40, "R": 30},
            {},
            IN_PART,
            "less only with BatchNorm recalibrated",
        ),
        ({"F": {"average": 1, "recalibrate": 40}, "S": 40, "R": 30}, {}, IN_PART, "less only with BatchNorm averaged"),
        ({"F": 3, "S": 3.5, "R": 3}, {}, NOT_SHOWN, "Neither kind loses clearly less"),
        ({"F": 40, "S": 3, "R": 3}, {}, OPPOSITE, "From scratch (S): 3.0"),
        ({"F": 0.0, "S": 0.0, "R": 0.0}, {"spread": 0}, NOT_SHOWN, "Neither kind"),
        ({"F": 0.5, "S": 40, "R": 30}, {"ways": ("average",)}, SUPPORTED, "models (F), measured on renderings"),
    ],
)
def test_a_basin_is_supported_where_little_is_lost_by_fine_tuned_pairs_alone(lost, more, verdict, words):
    sentence = landscape_claim(landscape(lost, **more)).sentence
    assert sentence.startswith(f"{verdict}. ")
    assert words in sentence


def test_the_average_of_two_models_is_told_and_shown():
    tile = landscape_claim(landscape({"F": 0.5, "S": 40, "R": 30}))
    about = "of IoU (0.2–0.8) lost at most between two fine-tuned models (F), with BatchNorm recalibrated, measured on "
    assert f"0.5 points {about}renderings of cars." in tile.sentence
    assert f"{about}renderings of cars" in tile.data
    assert tile.sentence.endswith(" 3 pairs of each kind.")
    real = landscape_claim(landscape({"F": 0.5, "S": 40, "R": 30}, photos="ObjectDiscovery"))
    assert "measured on car, ObjectDiscovery." in real.sentence
    assert tile.alt == "image; true mask; fine-tuned: IoU 100 %; from scratch: IoU 0 %; one start: IoU 0 %"
