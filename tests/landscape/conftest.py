"""Fixtures of the loss landscape: parameters of small analyses, a finished one, and scores made by hand."""

import pytest
import torch

from chairlib.benchmark.evaluation import evaluate, predict
from chairlib.compositing.loader import CompositeLoader
from chairlib.landscape import run as landscape
from chairlib.transfer import run as transfer
from chairlib.transfer.photos import open_photos
from weights import make_unet, member_of, recalibrate

PRETRAIN = {"recipe": "fast", "images": 48, "val_images": 8, "test_images": 8, "evaluations": 1}
TINY = {"width": 2, "resolution": 32, "images": 32, "evaluations": 1, "pretrain": PRETRAIN, "n_alphas": 3}


@pytest.fixture(scope="session")
def tiny(collection, photos):
    """Parameters of a small analysis of lines alone."""
    return {"data": str(collection.root), "photos": str(photos), **TINY}


@pytest.fixture(scope="session")
def everything(tiny):
    """Parameters of an analysis of all there is, of models that have learned enough for their scores to differ."""
    return {**tiny, "width": 4, "images": 960, "plane": 2, "n_early": 2, "beyond": True}


@pytest.fixture(scope="session")
def full(everything):
    """The record of the analysis of all there is."""
    return landscape.analyse(landscape.open_run(**everything), progress=False)


@pytest.fixture(scope="session")
def by_hand(full):
    """Scores a state, recalibrated or not, without the analysis: a model, its weights, the images in order."""
    settings = member_of(full, "F1").settings
    photos = open_photos(settings, torch.device("cpu"))
    train = CompositeLoader(photos.train, "train", batch_size=32, shuffle=False)
    test = CompositeLoader(photos.scored, "test", batch_size=256)
    model = transfer.initial_model(settings)

    def prepare(state, recalibrated):
        model.load_state_dict(state)
        if recalibrated:
            model.load_state_dict(recalibrate(model, train))
        return model

    def score(state, recalibrated=False):
        return evaluate(prepare(state, recalibrated), test)

    def probabilities(state, recalibrated):
        images, masks = (torch.cat(parts) for parts in zip(*test.in_order(), strict=True))
        return predict(prepare(state, recalibrated), images).double(), masks

    score.probabilities = probabilities
    return score


@pytest.fixture(scope="session")
def loaders(collection):
    return {split: CompositeLoader(collection, split, 32, 16, "cpu") for split in ("train", "test")}


@pytest.fixture(scope="session")
def models():
    return [make_unet(seed) for seed in range(3)]


@pytest.fixture(scope="session")
def states(models):
    return [{key: tensor.clone() for key, tensor in model.state_dict().items()} for model in models]
