"""Boundaries, thin parts, calibration and foreground share, against plain scipy and NumPy, and their rules."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from chairboard.mask_quality import QUALITIES, Quality, boundary, quality, thin_parts
from chairlib.benchmark.evaluation import evaluate
from chairlib.benchmark.models import build_model
from chairlib.compositing.image_sets import StoredSet
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError

SIZES = st.sampled_from([(32, 32), (64, 64), (50, 90), (128, 128)])


class Told(torch.nn.Module):
    """Takes the first channel of an image for the probability of chair. 0 gives a logit that is not a number."""

    def forward(self, images):
        levels = (images[:, :1] * 255).round()
        return torch.where(levels == 0, torch.nan, torch.logit(levels / 256))


def judge(probabilities, targets, groups=None, batch_size=7) -> Quality:
    """The quality of these probabilities [N, d, d], in levels of 1/256 from 1 to 255; of masks, of 1 and 255."""
    levels = torch.as_tensor(probabilities)
    levels = torch.where(levels, 255, 1) if levels.dtype == torch.bool else (levels * 256).round().clamp(max=255)
    masks = 255 * torch.as_tensor(targets)[:, None].byte()
    images = StoredSet(levels.byte()[:, None].expand(-1, 3, -1, -1), masks, torch.device("cpu"), "told", groups)
    return quality(Told(), CompositeLoader(images, "test", masks.shape[-1], batch_size))


def blobs(seed, size, n=3) -> np.ndarray:
    """Masks with thick and thin parts, some at the image's border: bool [n, h, w]."""
    noise = np.random.default_rng(seed).normal(size=(n, *size))
    return ndimage.gaussian_filter(noise, (0, size[0] / 25, size[1] / 40), mode="wrap") > 0.01


def chair(d=64, leg=3) -> torch.Tensor:
    """A seat and two legs of this width, all scaled with the side d."""
    mask, s = torch.zeros(64, 64, dtype=torch.bool), d // 64
    mask[10:40, 12:52] = True
    for x in (12, 52 - leg):
        mask[40:60, x : x + leg] = True
    return mask.repeat_interleave(s, 0).repeat_interleave(s, 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), SIZES)
def test_a_boundary_is_what_the_authors_erosion_leaves(seed, size):
    """A 3 x 3 square, once a pixel of width, with nothing beyond the image, as in their code."""
    masks, width = blobs(seed, size), max(1, round(0.02 * math.hypot(*size)))
    for mask, found in zip(masks, boundary(torch.from_numpy(masks)).numpy(), strict=True):
        eroded = ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width, border_value=0)
        assert (found == (mask & ~eroded)).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), SIZES)
def test_thin_parts_are_what_an_opening_removes(seed, size):
    masks, width = blobs(seed, size), max(1, round(0.02 * math.hypot(*size)))
    square = np.ones(2 * (2 * max(1, round(0.03 * min(size))) + 1,))
    thin, beside = thin_parts(torch.from_numpy(masks))
    for mask, own, near in zip(masks, thin.numpy(), beside.numpy(), strict=True):
        assert (own == (mask & ~ndimage.binary_opening(mask, square))).all()
        assert (
            near == (ndimage.binary_dilation(own, np.ones((3, 3)), iterations=width) & ~mask)
        ).all() or not own.any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), SIZES)
def test_boundary_iou_equals_plain_numpy(seed, size):
    size = (size[0], size[0])
    predicted, targets = blobs(seed, size), blobs(seed + 1, size)
    edges = [boundary(torch.from_numpy(masks)).numpy() for masks in (predicted, targets)]
    expected = 100 * (edges[0] & edges[1]).sum((1, 2)) / (edges[0] | edges[1]).sum((1, 2))
    found = judge(predicted, targets)
    assert found.per_image["boundary_iou"].to_numpy() == pytest.approx(expected)
    assert found.boundary_iou == pytest.approx(expected.mean())


@pytest.mark.parametrize("d", [64, 128, 256])
def test_the_same_legs_are_thin_at_every_resolution(d):
    """At 64 pixels, four pixels are thin and five are not."""
    legs = chair(d, 4) & (torch.arange(d)[:, None] >= 40 * d // 64)
    assert torch.equal(thin_parts(chair(d, 4))[0], legs)
    assert not thin_parts(chair(d, 6))[0].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([32, 64]))
def test_a_perfect_prediction_scores_100_everywhere(seed, d):
    masks = blobs(seed, (d, d), 6)
    found = judge(masks, masks)
    assert found.boundary_iou == found.scores.iou == 100
    assert set(found.per_image["thin_iou"].dropna()) <= {100}
    assert set(found.by_share["iou"]) == {100}
    assert found.calibration_error < 0.4  # probabilities of 1/256 and 255/256


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 40), st.integers(8, 40), st.sampled_from([(0, 1), (1, 0), (1, 1)]))
def test_a_shift_of_one_pixel_hurts_the_boundary_more(height, width, shift):
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[:, 10 : 10 + height, 10 : 10 + width] = True
    row = judge(mask.roll(shift, (1, 2)), mask).per_image.iloc[0]
    assert 0 < row["boundary_iou"] < row["iou"] < 100


def test_thin_iou_sees_legs_that_are_missing_or_too_thick_and_no_more():
    target = chair()[None]
    beheaded, holed = target.clone(), target.clone()
    beheaded[:, 40:] = False
    holed[:, 20:30, 25:40] = False
    fat = target | target.roll(1, 2) & (torch.arange(64)[:, None] >= 40)
    assert judge(target, target).thin_iou == 100
    assert judge(beheaded, target).thin_iou == 0
    assert judge(holed, target).thin_iou == 100 > judge(holed, target).scores.iou
    # Of each leg's 3 x 20 pixels nothing is missing, and 20 more were found.
    assert judge(fat, target).thin_iou == pytest.approx(100 * 60 / 80)


def test_what_is_undefined_is_none_and_counted_never_zero():
    empty, block, few = (torch.zeros(64, 64, dtype=torch.bool) for _ in range(3))
    block[10:50, 10:50] = True
    few[:1, :5] = True
    found = judge(torch.stack([block, block, few, chair()]), torch.stack([empty, block, few, chair()]))
    assert found.per_image["boundary_iou"].isna().tolist() == [True, False, True, False]
    assert found.per_image["thin_iou"].isna().tolist() == [True, True, True, False]
    card = found.to_dict()
    assert card["n_undefined"] == {"boundary_iou": 2, "thin_iou": 3, "calibration_error": 0}
    assert (card["boundary_iou"], card["thin_iou"]) == (100, 100)
    assert card["intervals"]["thin_iou"] == [None, None]  # of one image there is none
    nothing = judge(empty[None], empty[None])
    assert [math.isnan(value) for value in (nothing.boundary_iou, nothing.thin_iou)] == [True, True]
    assert nothing.by_share.empty
    assert nothing.to_dict()["boundary_iou"] is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_calibration_equals_plain_numpy(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(1, 256, (5, 32, 32)) / 256
    targets = rng.random((5, 32, 32)) < rng.uniform(0.2, 0.8)
    found = judge(probabilities, targets)
    bins = np.minimum((probabilities * 15).astype(int), 14)
    error = 0.0
    for number, row in found.reliability.iterrows():
        inside = bins == number
        assert (row["pixels"], row["chair"]) == (inside.sum(), targets[inside].sum())
        assert row["probability"] == pytest.approx(probabilities[inside].mean(), abs=1e-4)
        assert row["low"] <= row["probability"] < row["high"]
        error += inside.mean() * abs(probabilities[inside].mean() - targets[inside].mean())
    assert found.calibration_error == pytest.approx(100 * error, abs=0.01)
    low, high = found.interval("calibration_error")
    assert low <= found.calibration_error <= high


def test_logits_that_are_not_numbers_leave_calibration_undefined_there():
    sure = torch.full((3, 64, 64), 192 / 256)
    sure[0, 0, 0] = 0
    found = judge(sure, chair().expand(3, -1, -1))
    share = chair().float().mean().item()
    assert found.per_image["calibration_error"].isna().tolist() == [True, False, False]
    assert found.to_dict()["n_undefined"]["calibration_error"] == 1
    assert found.calibration_error == pytest.approx(100 * (0.75 - share))
    assert found.reliability["pixels"].sum() == 2 * 64 * 64
    assert judge(torch.zeros(2, 64, 64), chair().expand(2, -1, -1)).to_dict()["calibration_error"] is None


def test_iou_by_share_is_the_mean_of_each_fifth():
    """Ten chairs from small to large, in turn found and missed, one image without, and two of the same share."""
    targets = torch.zeros(12, 64, 64, dtype=torch.bool)
    for number in range(1, 11):
        targets[number, : 2 * number, :40] = True
    targets[11] = targets[10]
    predicted = targets.clone()
    predicted[2::2] = False
    found = judge(predicted, targets, groups=[f"g{number}" for number in range(12)]).by_share
    assert found["fifth"].tolist() == [1, 2, 3, 4, 5]
    assert found["n_images"].tolist() == [2, 2, 2, 2, 3]
    assert found["iou"].tolist() == pytest.approx([50, 50, 50, 50, 200 / 3])
    assert found["share_low"].iloc[0] == pytest.approx(100 * 2 * 40 / 64**2)
    assert found["share_high"].iloc[-1] == pytest.approx(100 * 20 * 40 / 64**2)
    assert (found["low"] <= found["iou"]).all()
    assert (found["iou"] <= found["high"]).all()


def test_images_with_the_same_share_are_in_the_same_fifth():
    targets = torch.stack([chair()] * 8 + [torch.ones(64, 64, dtype=torch.bool)] * 2)
    assert judge(targets, targets).by_share[["fifth", "n_images"]].to_numpy().tolist() == [[3, 8], [5, 2]]


def test_intervals_resample_groups():
    """Of one group there is no interval; of many images of two groups it is as wide as of two images."""
    targets = chair().expand(12, -1, -1)
    predicted = torch.where(torch.arange(12)[:, None, None] < 6, targets, targets.roll(3, 2))
    assert all(map(math.isnan, judge(predicted, targets, ["one"] * 12).interval("boundary_iou")))
    of_groups, of_images = judge(predicted, targets, ["a"] * 6 + ["b"] * 6), judge(predicted, targets)
    widths = [np.ptp(found.interval("boundary_iou")) for found in (of_groups, of_images)]
    assert widths[0] > 1.5 * widths[1] > 0
    assert (of_groups.to_dict()["interval_units"], of_images.to_dict()["interval_units"]) == ("groups", "images")
    with pytest.raises(ParameterError, match="quality 'dice' is unknown; use one of boundary_iou"):
        of_groups.interval("dice")


def test_one_pass_gives_the_scores_too_whatever_the_batches(collection):
    torch.manual_seed(0)
    model = build_model("unet", width=2).train()
    found = [quality(model, CompositeLoader(collection, "test", 32, size, "cpu")) for size in (3, 50)]
    assert model.training
    assert found[0].scores == evaluate(model, CompositeLoader(collection, "test", 32, 3, "cpu")).scores
    assert found[0].per_image["iou"].equals(found[0].scores.per_image["iou"])
    for name in QUALITIES:
        tables = [each.per_image[name] for each in found]
        pd.testing.assert_series_equal(*tables, atol=0.01)


def test_a_card_is_plain_json_and_its_tables_come_back(collection):
    torch.manual_seed(0)
    found = quality(build_model("unet", width=2), CompositeLoader(collection, "test", 32, 9, "cpu"))
    card = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    for name in ("reliability", "by_share"):
        table = pd.DataFrame(card[name])
        pd.testing.assert_frame_equal(table.astype(float), getattr(found, name).astype(float))
