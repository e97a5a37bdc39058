"""What several benchmarks of training share: a run of the benchmark without its record, and the work of an image."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from chairlib import CompositeLoader, build_model
from chairlib.benchmark.recipes import Recipe
from chairlib.benchmark.training import Fit, fit

__all__ = ["flops_of_an_image", "train_once"]


def train_once(
    data: str,
    model: str,
    width: int | None,
    resolution: int,
    recipe: Recipe,
    *,
    images: int,
    val_images: int,
    seed: int,
    device: str | torch.device,
    evaluations: int = 1,
    precision: str = "auto",
    checkpoint: Path | None = None,
) -> tuple[nn.Module, Fit]:
    """Train a model from a random start, as a run of the benchmark does, but leave no record."""
    train = CompositeLoader(data, "train", resolution, recipe.batch_size, device, flip=recipe.flip, seed=seed)
    val = CompositeLoader(data, "val", resolution, 256, device, limit=val_images)
    torch.manual_seed(seed)
    network = build_model(model, width, resolution=resolution)
    options: dict[str, Any] = {
        "images": images,
        "evaluations": evaluations,
        "precision": precision,
        "seed": seed,
        "progress": False,
        "checkpoint": checkpoint,
    }
    return network, fit(network, train, val, recipe, **options)


def flops_of_an_image(model: str, width: int | None, resolution: int) -> int:
    """Floating-point operations of a forward and backward pass, counted on the meta device."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        build_model(model, width)(torch.empty(1, 3, resolution, resolution)).sum().backward()
    return counter.get_total_flops()
