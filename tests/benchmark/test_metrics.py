"""Scores against torchmetrics and plain numpy, and the rules that every figure keeps."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

# Before torchmetrics, which imports torchvision by itself.
from chairlib.core import vision  # noqa: F401  # isort: skip
from torchmetrics.functional.classification import binary_accuracy, binary_f1_score, binary_jaccard_index

from chairlib.benchmark.metrics import METRICS, MaskScorer, bootstrap_interval, score_masks
from chairlib.core.errors import ParameterError


def random_masks(seed, n=12, size=8, share=0.4):
    rng = torch.Generator().manual_seed(seed)
    predicted = torch.rand(n, 1, size, size, generator=rng)
    return predicted, torch.rand(n, 1, size, size, generator=rng) < share


def with_chair_pixels(*counts, size=8):
    masks = torch.zeros(len(counts), 1, size, size, dtype=torch.bool)
    for mask, count in zip(masks, counts, strict=True):
        mask.view(-1)[:count] = True
    return masks


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.1, 0.5]))
def test_scores_equal_torchmetrics_image_by_image(seed, share):
    predicted, target = random_masks(seed, share=share)
    scores = score_masks(predicted, target)
    for image, (p, t) in enumerate(zip(predicted, target, strict=True)):
        row = scores.per_image.loc[image]
        assert row["precision"] == pytest.approx(100 * binary_accuracy(p, t.int()).item(), abs=1e-4)
        if t.sum() > 5:
            assert row["iou"] == pytest.approx(100 * binary_jaccard_index(p, t.int()).item(), abs=1e-4)
            assert row["dice"] == pytest.approx(100 * binary_f1_score(p, t.int()).item(), abs=1e-4)
        else:
            assert row[["iou", "dice"]].isna().all()
    if target.any():
        assert scores.pooled_iou == pytest.approx(100 * binary_jaccard_index(predicted, target.int()).item(), abs=1e-4)


def test_scores_equal_plain_numpy():
    predicted, target = random_masks(3, n=20, share=0.12)
    p, t = predicted.numpy() > 0.5, target.numpy()
    both, union = (p & t).sum((1, 2, 3)), (p | t).sum((1, 2, 3))
    kept = t.sum((1, 2, 3)) > 5
    assert 0 < kept.sum() < 20
    scores = score_masks(predicted, target)
    assert scores.iou == pytest.approx(100 * np.mean((both / union)[kept]))
    assert scores.dice == pytest.approx(100 * np.mean((2 * both / (p.sum((1, 2, 3)) + t.sum((1, 2, 3))))[kept]))
    assert scores.precision == pytest.approx(100 * np.mean(p == t))
    assert scores.pooled_iou == pytest.approx(100 * both.sum() / union.sum())
    assert (scores.n_images, scores.n_left_out) == (20, 20 - kept.sum())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 7), min_size=1, max_size=12))
def test_batches_of_any_size_give_the_same_bits(seed, batch_sizes):
    n = sum(batch_sizes)
    predicted, target = random_masks(seed, n=n)
    groups = [f"g{i % 3}" for i in range(n)]
    scorer = MaskScorer()
    for p, t in zip(predicted.split(batch_sizes), target.split(batch_sizes), strict=True):
        scorer.update(p, t)
    batched, whole = scorer.compute(groups), score_masks(predicted, target, groups)
    assert batched.to_dict() == whole.to_dict()
    assert batched.per_image.equals(whole.per_image)


def test_a_large_set_is_scored_like_its_images():
    predicted, target = random_masks(5, n=300, size=96)
    scores = score_masks(predicted, target)
    alone = [score_masks(predicted[i : i + 1], target[i : i + 1]).iou for i in range(300)]
    assert scores.per_image["iou"].tolist() == alone


def test_five_chair_pixels_are_left_out_and_six_are_not():
    target = with_chair_pixels(5, 6)
    scores = score_masks(torch.ones_like(target), target)
    assert scores.n_left_out == 1
    assert scores.iou == pytest.approx(100 * 6 / 64)
    assert scores.dice == pytest.approx(100 * 12 / 70)
    assert scores.precision == pytest.approx(100 * 11 / 128)
    assert scores.pooled_iou == pytest.approx(100 * 11 / 128)


def test_empty_masks_have_no_iou_but_count_as_pixels():
    target = with_chair_pixels(0, 0)
    scores = score_masks(target, target)
    assert all(math.isnan(value) for value in (scores.iou, scores.dice, scores.pooled_iou))
    assert (scores.precision, scores.n_left_out) == (100, 2)
    assert scores.interval("iou") == pytest.approx((math.nan, math.nan), nan_ok=True)
    assert score_masks(~target, target).pooled_iou == 0


def test_a_perfect_prediction_scores_100():
    _, target = random_masks(1)
    scores = score_masks(target, target)
    assert [getattr(scores, metric) for metric in METRICS] == [100] * 4
    assert scores.interval("iou") == (100, 100)


def test_all_background_scores_the_share_of_background():
    target = with_chair_pixels(8, 16, 24)
    scores = score_masks(torch.zeros_like(target), target)
    assert (scores.iou, scores.dice, scores.pooled_iou) == (0, 0, 0)
    assert scores.precision == pytest.approx(75)


def test_a_probability_of_one_half_is_background():
    target = with_chair_pixels(10)
    assert score_masks(torch.full(target.shape, 0.5), target).iou == 0
    assert score_masks(torch.full(target.shape, 0.5001), target).iou > 0


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz),
    ],
)
def test_masks_of_0_and_1_are_understood_in_any_dtype(dtype):
    predicted, target = random_masks(2)
    expected = score_masks(predicted > 0.5, target).to_dict()
    assert score_masks((predicted > 0.5).to(dtype), target.to(dtype)).to_dict() == expected
    assert score_masks(predicted, target.to(dtype)).to_dict() == expected
    assert score_masks((predicted > 0.5).to(dtype), target).to_dict() == expected


def test_sparse_masks_are_understood():
    predicted, target = random_masks(2)
    expected = score_masks(predicted > 0.5, target).to_dict()
    assert score_masks((predicted > 0.5).float().to_sparse(), target.float().to_sparse()).to_dict() == expected


def test_double_probabilities_stay_double():
    target = with_chair_pixels(64)
    assert score_masks(torch.full(target.shape, 0.5 + 1e-12, dtype=torch.float64), target).iou == 100


@pytest.mark.parametrize(
    ("predicted", "target", "words"),
    [
        (lambda p, t: p, lambda p, t: t.to(torch.uint8) * 255, ["uint8", "0 to 255", "[12, 1, 8, 8]", "target > 127"]),
        (lambda p, t: p, lambda p, t: p, ["float32", "target > 0.4"]),
        (lambda p, t: p, lambda p, t: p.to(torch.float8_e5m2), ["float8_e5m2", "target > 0.4"]),
        (lambda p, t: p, lambda p, t: (t.long() * 255).to(torch.uint16), ["uint16", "0 to 255", "target > 127"]),
        (lambda p, t: p, lambda p, t: (t.long() * 2**62).to(torch.uint64), ["uint64", "0 to 4.61169e+18"]),
        (lambda p, t: (p * 8 - 4).to(torch.float8_e4m3fn), lambda p, t: t, ["logits", "float8_e4m3fn"]),
        (lambda p, t: torch.zeros(p.shape, dtype=torch.float4_e2m1fn_x2), lambda p, t: t, ["float4", "float32"]),
        (lambda p, t: p, lambda p, t: t.long() * 7, ["int64", "0 to 7", "chair_label"]),
        (lambda p, t: p, lambda p, t: t * torch.nan, ["nan", "not-a-number"]),
        (lambda p, t: p * 8 - 4, lambda p, t: t, ["logits", "float32", "[12, 1, 8, 8]"]),
        (lambda p, t: t.float() * 255, lambda p, t: t, ["0 to 255", "255"]),
        (lambda p, t: p * torch.nan, lambda p, t: t, ["nan", "diverged"]),
        (lambda p, t: p[:, 0], lambda p, t: t[:, 0], ["[N, 1, H, W]", "[12, 8, 8]", "unsqueeze"]),
        (lambda p, t: p.expand(-1, 3, -1, -1), lambda p, t: t, ["[12, 3, 8, 8]", "channels"]),
        (lambda p, t: p.permute(0, 2, 3, 1), lambda p, t: t, ["permute"]),
        (lambda p, t: p[:5], lambda p, t: t, ["[5, 1, 8, 8]", "[12, 1, 8, 8]"]),
        (lambda p, t: p.numpy(), lambda p, t: t, ["ndarray", "torch.as_tensor"]),
        (lambda p, t: p[:0], lambda p, t: t[:0], ["no images"]),
        (lambda p, t: p.to("meta"), lambda p, t: t, ["meta", "cpu"]),
    ],
)
def test_masks_that_are_not_masks_are_refused_with_what_was_found(predicted, target, words):
    p, t = random_masks(7)
    with pytest.raises(ParameterError) as error:
        score_masks(predicted(p, t), target(p, t))
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_wrong_values_in_any_batch_are_found():
    predicted, target = random_masks(7)
    scorer = MaskScorer()
    scorer.update(predicted, target)
    scorer.update(predicted, target.float() * 255)
    scorer.update(predicted, target)
    with pytest.raises(ParameterError, match="0 to 255"):
        scorer.compute()


def test_groups_must_match_the_images():
    predicted, target = random_masks(7)
    with pytest.raises(ParameterError, match="3 groups for 12 images"):
        score_masks(predicted, target, ["a", "b", "c"])


@pytest.mark.parametrize(("numerator", "denominator"), [(np.ones(3), np.ones(2)), (np.ones((3, 2)), None), (1.0, None)])
def test_an_interval_takes_one_number_an_image(numerator, denominator):
    with pytest.raises(ParameterError, match=r"one number per image, found the shapes \[.*: give both as \[N\]\.$"):
        bootstrap_interval(numerator, denominator)


def test_intervals_are_seeded_and_hold_the_score():
    predicted, target = random_masks(4, n=60, share=0.3)
    scores = score_masks(predicted, target)
    for metric in METRICS:
        low, high = scores.interval(metric)
        assert low < getattr(scores, metric) < high
        assert scores.interval(metric) == (low, high) != scores.interval(metric, seed=1)
        narrow = scores.interval(metric, level=0.5)
        assert low < narrow[0] < narrow[1] < high


def test_image_intervals_match_the_normal_approximation():
    predicted, target = random_masks(4, n=400, share=0.3)
    scores = score_masks(predicted, target)
    low, high = scores.interval("iou", n_resamples=4000)
    half_width = 1.96 * scores.per_image["iou"].std() / math.sqrt(400)
    assert (high - low) / 2 == pytest.approx(half_width, rel=0.1)


def test_repeating_every_image_does_not_narrow_a_group_interval():
    predicted, target = random_masks(4, n=30, share=0.3)
    groups = [f"chair {i}" for i in range(30)]
    once = score_masks(predicted, target, groups)
    often = score_masks(predicted.repeat(20, 1, 1, 1), target.repeat(20, 1, 1, 1), groups * 20)
    assert often.n_groups == 30
    for metric in METRICS:
        assert often.interval(metric) == pytest.approx(once.interval(metric))
    images = score_masks(predicted.repeat(20, 1, 1, 1), target.repeat(20, 1, 1, 1)).interval("iou")
    assert images[1] - images[0] < 0.5 * (once.interval("iou")[1] - once.interval("iou")[0])


def test_group_intervals_weigh_groups_by_their_images():
    # One group of 8 perfect images and one of a single worst: resamples are (p, p), (p, w), (w, p), (w, w).
    target = with_chair_pixels(*[16] * 9)
    predicted = target.clone()
    predicted[8] = False
    scores = score_masks(predicted, target, ["perfect"] * 8 + ["worst"])
    assert scores.interval("iou", level=0.4) == pytest.approx((100 * 8 / 9, 100 * 8 / 9))
    assert scores.interval("iou") == (0, 100)


def test_a_paired_interval_is_narrower_than_those_of_what_is_compared():
    rng = np.random.default_rng(0)
    one = rng.uniform(50, 100, 200)
    other = one + rng.normal(2, 1, 200)
    low, high = bootstrap_interval(other - one)
    assert low < (other - one).mean() < high
    assert high - low < 0.2 * np.diff(bootstrap_interval(one)).item()
    assert (
        (low, high)
        == bootstrap_interval(other - one, np.ones(200))
        == bootstrap_interval(other - one, groups=range(200))
    )


def test_one_group_has_no_interval():
    predicted, target = random_masks(4)
    scores = score_masks(predicted, target, ["a"] * 12)
    assert all(math.isnan(end) for end in scores.interval("iou"))
    assert scores.to_dict()["intervals"]["iou"] == [None, None]


@pytest.mark.parametrize("arguments", [{"metric": "f1"}, {"level": 95}, {"n_resamples": 0}])
def test_unknown_interval_parameters_are_refused(arguments):
    scores = score_masks(*random_masks(4))
    with pytest.raises(ParameterError):
        scores.interval(**{"metric": "iou"} | arguments)


def test_a_record_of_scores_is_plain_json_with_null_for_undefined():
    empty = with_chair_pixels(0, 0)
    record = json.loads(json.dumps(score_masks(empty, empty).to_dict(), allow_nan=False))
    assert record["iou"] is None
    assert (record["precision"], record["n_left_out"]) == (100, 2)
    assert record["interval_units"] == "images"
    assert score_masks(empty, empty, ["a", "b"]).to_dict()["interval_units"] == "groups"


def test_the_card_states_scores_definitions_and_what_was_left_out():
    target = with_chair_pixels(3, 16, 32)
    scores = score_masks(target, target, ["a", "b", "c"])
    card = scores._repr_html_()
    for words in ("IoU", "100.00", "more than 5 chair pixels", "1 of 3 images", "bootstrap over 3 segment groups"):
        assert words in card
    empty = with_chair_pixels(0)
    assert "–" in score_masks(empty, empty)._repr_html_()
