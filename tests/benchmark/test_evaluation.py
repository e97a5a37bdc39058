"""Scores, losses and probabilities of a model on a loader's images."""

import pandas as pd
import pytest
import torch

from chairlib.benchmark.evaluation import evaluate, predict, segmentation_loss
from chairlib.benchmark.models import build_model
from chairlib.benchmark.training import fit
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError
from weights import OwnTensors, in_place, out_of_place


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return build_model("unet", width=2)


def test_the_double_sigmoid_has_its_floor():
    sure = torch.full((1, 1, 2, 2), 50.0)
    assert segmentation_loss(sure, torch.ones(1, 1, 2, 2), "double_sigmoid").item() == pytest.approx(0.3133, abs=1e-3)
    assert segmentation_loss(-sure, torch.zeros(1, 1, 2, 2), "double_sigmoid").item() == pytest.approx(0.6931, abs=1e-3)
    assert segmentation_loss(sure, torch.ones(1, 1, 2, 2)).item() < 1e-6
    with pytest.raises(ParameterError, match="focal"):
        segmentation_loss(sure, sure, "focal")


def test_the_soft_iou_is_the_iou_of_sure_masks():
    masks = torch.zeros(2, 1, 8, 8)
    masks[0, :, :4] = 1  # 32 pixels
    masks[1, :, :, :2] = 1  # 16 pixels
    found = torch.zeros(2, 1, 8, 8)
    found[0, :, 2:6] = 1  # 16 of 48 shared
    logits = 200 * found - 100
    bce = segmentation_loss(logits, masks)
    ious = (16 + 1) / (48 + 1), (0 + 1) / (16 + 1)  # with one pixel more
    expected = bce.item() + 1 - sum(ious) / 2
    assert segmentation_loss(logits, masks, "bce_jaccard").item() == pytest.approx(expected)


def test_the_soft_iou_of_images_without_an_object_is_finite_and_can_be_learnt():
    logits = torch.zeros(2, 1, 8, 8, requires_grad=True)
    segmentation_loss(logits, torch.zeros(2, 1, 8, 8), "bce_jaccard").backward()
    assert (logits.grad > 0).all()


def test_evaluation_does_not_depend_on_batch_size_or_change_the_model(collection, unet):
    model = unet.train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    results = [evaluate(model, CompositeLoader(collection, "test", 32, size, "cpu")) for size in (1, 3, 50)]
    assert len({(r.scores.iou, r.scores.dice, r.scores.precision) for r in results}) == 1
    assert results[0].loss == pytest.approx(results[2].loss, rel=1e-6)
    assert model.training
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in state.items())


def test_scores_belong_to_their_groups_whatever_the_loader_does(collection, unet):
    """A shuffled, flipped loader scores as an ordered one does, group by group."""
    shuffled = CompositeLoader(collection, "train", 32, 7, "cpu", flip=True, drop_last=True)
    plain = CompositeLoader(collection, "train", 32, 9, "cpu", shuffle=False)
    first, second = (evaluate(unet, loader).scores.per_image for loader in (shuffled, plain))
    pd.testing.assert_frame_equal(first, second)


def test_predictions_are_probabilities(collection, unet):
    images, masks = next(iter(CompositeLoader(collection, "val", 32, 16, "cpu")))
    probabilities = predict(unet, images)
    assert probabilities.shape == masks.shape
    assert 0 <= probabilities.min() <= probabilities.max() <= 1


@pytest.mark.parametrize("make", [in_place, out_of_place])
def test_a_model_that_changes_its_input_in_place_changes_no_image(make):
    """In evaluation, in predictions, and in training with its validation."""
    torch.manual_seed(0)
    model, images = make(), OwnTensors()
    loader = CompositeLoader(images, "val", 32, 6, "cpu")
    results = [evaluate(model, loader) for _ in range(2)]
    probabilities = predict(model, images.images)
    fit(model, CompositeLoader(images, "train", 32, 6, "cpu", shuffle=False), loader, "fast", epochs=2, progress=False)
    assert torch.equal(images.images, OwnTensors().images)
    assert results[0] == results[1]
    torch.manual_seed(0)
    twin = out_of_place()
    assert results[0] == evaluate(twin, loader)
    assert torch.equal(probabilities, predict(twin, images.images))
    fit(twin, CompositeLoader(images, "train", 32, 6, "cpu", shuffle=False), loader, "fast", epochs=2, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


@pytest.mark.parametrize(("bias", "said"), [(99.0, "chair"), (-99.0, "background"), (0.0, None)])
def test_scores_say_where_every_pixel_is_one_class(collection, bias, said):
    torch.manual_seed(0)
    model = torch.nn.Conv2d(3, 1, 1)
    torch.nn.init.constant_(model.bias, bias)
    with torch.no_grad():
        model.weight -= 0 if bias else model.weight.mean()  # so that both signs are there
    scores = evaluate(model, CompositeLoader(collection, "test", 32, 3, "cpu")).scores
    assert scores.predicted_all == scores.to_dict()["predicted_all"] == said
    assert f"predicted_all={said!r}" in repr(scores)
    assert (f"predicted as {said}, so these are the scores of a constant mask" in scores._repr_html_()) == bool(said)
