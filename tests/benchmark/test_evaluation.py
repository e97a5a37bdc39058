"""Scores, losses and probabilities of a model on a loader's images."""

import pandas as pd
import pytest
import torch

from chairlib.benchmark.evaluation import evaluate, predict, segmentation_loss
from chairlib.benchmark.models import build_model
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError


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
