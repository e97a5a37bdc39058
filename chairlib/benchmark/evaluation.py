"""What a model's masks are worth on a loader's images: its scores, its loss, its probabilities."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from chairlib.benchmark.adapters import ready
from chairlib.benchmark.metrics import MIN_CHAIR_PIXELS, MaskScorer, Scores
from chairlib.benchmark.models import evaluation_mode, forward
from chairlib.benchmark.recipes import LOSSES
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.checks import check_choice
from chairlib.core.progress import progress_bar


def segmentation_loss(logits: torch.Tensor, masks: torch.Tensor, loss: str = "bce") -> torch.Tensor:
    """The mean loss of logits [B, 1, H, W] against masks in [0, 1] of the same shape: a scalar.

    ``bce`` is the binary cross entropy per pixel. ``bce_jaccard`` adds 1 less the images' mean IoU, with probabilities
    in place of predicted masks (the soft Jaccard index): IoU is what is scored. ``double_sigmoid`` repeats the
    released code's slip: the sigmoid of the logits is taken for logits once more, so the loss never falls below 0.31
    on chair pixels and 0.69 on the others.
    """
    check_choice("loss", loss, LOSSES)
    if loss == "double_sigmoid":
        logits = torch.sigmoid(logits)
    mean = F.binary_cross_entropy_with_logits(logits, masks)
    if loss != "bce_jaccard":
        return mean
    found, pixels = torch.sigmoid(logits), (1, 2, 3)
    shared = (found * masks).sum(pixels)
    union = found.sum(pixels) + masks.sum(pixels) - shared
    # One pixel more in both: images without an object have a finite loss too.
    return mean + 1 - ((shared + 1) / (union + 1)).mean()


@dataclass(frozen=True)
class Evaluation:
    """A model's scores on a loader's images, and its mean loss there."""

    scores: Scores
    loss: float


def evaluate(model: nn.Module, loader: CompositeLoader, loss: str = "bce", progress: bool = False) -> Evaluation:
    """Score ``model`` on every image of ``loader``, unshuffled and unflipped, in float32.

    A model that gives something else than logits is adapted, see :func:`chairlib.benchmark.adapters.adapt`, or refused
    with a ParameterError.

    On NVIDIA's GPUs, torch rounds the products of float32 convolutions to TF32, unless
    ``torch.backends.cudnn.allow_tf32`` is off.

    Its mode and the images stay as they were, so no score depends on what was scored before.
    """
    model = ready(model, loader.image_set.batch(loader.indices[:1].to(loader.device))[0])
    scorer, losses = MaskScorer(), []
    total = math.ceil(len(loader.indices) / loader.batch_size)
    with evaluation_mode(model):
        for images, masks in progress_bar(
            loader.in_order(), "scoring", total, delay=1, leave=False, disable=not progress
        ):
            logits = forward(model, images, torch.channels_last)
            scorer.update(logits > 0, masks)
            losses.append(segmentation_loss(logits, masks, loss).double() * len(images))
    return Evaluation(scorer.compute(loader.groups), (torch.stack(losses).sum() / len(loader.indices)).item())


def predict(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Probability of chair, float32 [B, 1, d, d] in [0, 1], for images [B, 3, d, d]; both stay as they were.

    ``model`` is adapted or refused as by :func:`evaluate`.
    """
    model = ready(model, images[:1])
    with evaluation_mode(model):
        return torch.sigmoid(forward(model, images))


def holds_objects(loader: CompositeLoader) -> bool:
    """Whether IoU is defined on any image; looks at the first batch, as a rule."""
    return any((masks.sum(dim=(1, 2, 3)) >= MIN_CHAIR_PIXELS).any().item() for _, masks in loader.in_order())
