"""A 21-point interpolation curve takes little more than its forward passes, which are its limit.

Claim, on one CPU thread (U-Net of width 16, 64 x 64): at least 80 % of the time is the bare forward pass over the same
images, and no curve is slower than the naive way (for each alpha copy both states, interpolate entry by entry, build a
model, load, evaluate on fresh loaders); both give the same figures. Evaluation dominates on a CPU, so the ratio is
small there by nature, and grows where the forward pass is quick: on a GPU, for small models and for few images.

All ways run in turns in one process and each time is the shortest of the repeats: processor seconds on one CPU thread,
which other work on the machine disturbs least, and seconds by the clock elsewhere. For each treatment of BatchNorm it
prints the curve's seconds, their ratio, those of the forward passes alone, and the share of that limit that is reached.

    python benchmarks/interpolation.py [--model unet] [--width 16] [--resolution 64] [--train-images 128]
        [--test-images 128] [--alphas 21] [--batch-size 64] [--batch-norm average recalibrate] [--threads 1]
        [--repeats 1] [--data mini] [--device auto]
"""

import argparse
import copy
import math
import time

import numpy as np
import pandas as pd
import torch
from torch import nn

from chairlib.benchmark.evaluation import evaluate
from chairlib.benchmark.models import build_model
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.landscape.evaluator import BATCH_NORM, FIGURES, interpolation_curve


def make_loaders(arguments: argparse.Namespace, device: torch.device) -> dict[str, CompositeLoader]:
    """Unshuffled, so that the naive way recalibrates on the order it finds."""
    limits = {"train": arguments.train_images, "test": arguments.test_images}
    return {
        split: CompositeLoader(arguments.data, split, arguments.resolution, arguments.batch_size, device, limit=limit)
        for split, limit in limits.items()
    }


def make_state(arguments: argparse.Namespace, loader: CompositeLoader, seed: int) -> dict[str, torch.Tensor]:
    """Random weights whose BatchNorm statistics have seen some composites: training would not change the times."""
    torch.manual_seed(seed)
    model = build_model(arguments.model, arguments.width).to(loader.device).train()
    with torch.no_grad():
        for images, _ in loader.in_order():
            model(images)
    return model.state_dict()


def recalibrate_plainly(model: nn.Module, loader: CompositeLoader) -> None:
    """What a notebook would write: reset, cumulative momentum, one pass in training mode over shuffled batches."""
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.reset_running_stats()
            layer.momentum = None
    model.train()
    with torch.no_grad():
        for number, (images, _) in enumerate(loader.batches(0), 1):
            if number * loader.batch_size <= len(loader.indices):
                model(images)


def naive_curve(
    arguments: argparse.Namespace,
    device: torch.device,
    states: tuple[dict, dict],
    alphas: np.ndarray,
    batch_norm: str,
) -> pd.DataFrame:
    """A new model, new states and new loaders for each alpha."""
    rows = []
    for alpha in alphas:
        loaders = make_loaders(arguments, device)
        a, b = copy.deepcopy(states[0]), copy.deepcopy(states[1])
        mixed = {key: alpha * a[key] + (1 - alpha) * b[key] if a[key].is_floating_point() else a[key] for key in a}
        model = build_model(arguments.model, arguments.width).to(device)
        model.load_state_dict(mixed)
        if batch_norm == "recalibrate":
            recalibrate_plainly(model, loaders["train"])
        found = {split: evaluate(model, loader) for split, loader in loaders.items()}
        rows += [
            {
                "alpha": alpha,
                "split": split,
                **{name: getattr(one.scores, name) for name in FIGURES if name != "loss"},
                "loss": one.loss,
            }
            for split, one in found.items()
        ]
    return pd.DataFrame(rows)[["alpha", "split", *FIGURES]]


def bare_forward(model: nn.Module, batches: dict[str, list[torch.Tensor]], n_alphas: int, batch_norm: str) -> None:
    """Nothing but the passes that no curve can leave out."""
    with torch.inference_mode():
        for _ in range(n_alphas):
            if batch_norm == "recalibrate":
                model.train()
                for images in batches["train"]:
                    model(images)
            model.eval()
            for images in batches["train"] + batches["test"]:
                model(images)


def seconds(device: torch.device, function, *arguments) -> tuple[float, object]:
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    result = function(*arguments)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - started, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="unet")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--train-images", type=int, default=128)
    parser.add_argument("--test-images", type=int, default=128)
    parser.add_argument("--alphas", type=int, default=21)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--batch-norm", nargs="+", choices=BATCH_NORM, default=BATCH_NORM)
    parser.add_argument("--data", default="mini")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    loaders = make_loaders(arguments, device)
    states = tuple(make_state(arguments, loaders["train"], seed) for seed in (0, 1))
    model = build_model(arguments.model, arguments.width).to(device, memory_format=torch.channels_last)
    batches = {
        split: [images.to(memory_format=torch.channels_last) for images, _ in loader.in_order()]
        for split, loader in loaders.items()
    }
    alphas = np.linspace(0, 1, arguments.alphas)
    print(f"{describe_hardware(device)}; {arguments.model} of width {arguments.width}, {arguments.resolution} px")
    print(f"{arguments.alphas} alphas, {arguments.train_images} train and {arguments.test_images} test images each")
    for batch_norm in arguments.batch_norm:
        ways = {
            "naive": lambda b=batch_norm: naive_curve(arguments, device, states, alphas, b),
            "ours": lambda b=batch_norm: interpolation_curve(
                model, *states, alphas, loaders["train"], loaders["test"], b, progress=False
            ),
            "forward": lambda b=batch_norm: bare_forward(copy.deepcopy(model), batches, len(alphas), b),
        }
        bare_forward(copy.deepcopy(model), batches, 1, batch_norm)  # warm up
        best, tables = dict.fromkeys(ways, math.inf), {}
        for _ in range(arguments.repeats):
            for name, way in ways.items():
                took, tables[name] = seconds(device, way)
                best[name] = min(best[name], took)
        print(f"batch_norm={batch_norm}")
        print(f"  naive         {best['naive']:8.2f} s")
        print(f"  ours          {best['ours']:8.2f} s")
        print(f"  ratio         {best['naive'] / best['ours']:8.2f}")
        print(
            f"  forward alone {best['forward']:8.2f} s, the limit: {best['forward'] / best['ours']:.0%} of it reached"
        )
        if batch_norm == "average":  # recalibration takes another order of images in each way
            np.testing.assert_allclose(tables["ours"]["loss"], tables["naive"]["loss"], rtol=1e-4)


if __name__ == "__main__":
    main()
