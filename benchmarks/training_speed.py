"""Training steps of the U-Net as `fit` takes them are faster than a plain loop (contiguous memory, float32).

Claim, on two cores with AMX (width 16, 64 x 64): at least twice as fast; without AMX at least 1.1 times (channels-last
alone). Prints images per second of both, their ratio, and the floating-point rate reached beside that of a large matrix
product on this machine, which is the limit.

    python benchmarks/training_speed.py [--model unet] [--width 16] [--resolution 64] [--batch-size 32] [--device auto]
"""

import argparse
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from chairlib.benchmark.evaluation import segmentation_loss
from chairlib.benchmark.models import build_model
from chairlib.benchmark.training import forward_precision, training_dtype
from chairlib.core.devices import describe_hardware, pick_device


def step_seconds(arguments: argparse.Namespace, device: torch.device, ours: bool, steps: int = 6) -> float:
    """Median seconds of a training step."""
    torch.manual_seed(0)
    layout = torch.channels_last if ours else torch.contiguous_format
    model = build_model(arguments.model, arguments.width).to(device=device, memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    shape = (arguments.batch_size, 3, arguments.resolution, arguments.resolution)
    images = torch.rand(shape, device=device).to(memory_format=layout)
    masks = (torch.rand(shape, device=device)[:, :1] > 0.5).float()
    times = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        if ours:
            with forward_precision(device):
                logits = model(images)
        else:
            logits = model(images)
        optimizer.zero_grad(set_to_none=True)
        segmentation_loss(logits.float(), masks).backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return sorted(times[1:])[steps // 2]


def step_flops(arguments: argparse.Namespace) -> int:
    """Floating-point operations of a forward and backward pass over one batch, counted on the meta device."""
    with torch.device("meta"):
        model = build_model(arguments.model, arguments.width)
        images = torch.empty(arguments.batch_size, 3, arguments.resolution, arguments.resolution)
        with FlopCounterMode(display=False) as counter:
            model(images).sum().backward()
    return counter.get_total_flops()


def peak_flops(device: torch.device) -> float:
    """Operations per second of a large matrix product in the precision that training uses."""
    size = 8192 if device.type == "cuda" else 2048
    matrix = torch.rand(size, size, device=device).to(training_dtype(device))
    (matrix @ matrix).sum().item()
    started = time.perf_counter()
    for _ in range(3):
        product = matrix @ matrix
    product.sum().item()
    return 3 * 2 * size**3 / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="unet")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)

    plain, ours = step_seconds(arguments, device, ours=False), step_seconds(arguments, device, ours=True)
    reached, limit = step_flops(arguments) / ours, peak_flops(device)
    print(f"{describe_hardware(device)}; {arguments.model} of width {arguments.width}, {arguments.resolution} px")
    print(f"plain loop {arguments.batch_size / plain:10,.1f} images/s")
    print(f"fit        {arguments.batch_size / ours:10,.1f} images/s in {training_dtype(device)}")
    print(f"ratio      {plain / ours:10.2f}")
    print(f"{reached / 1e9:.0f} GFLOP/s, {reached / limit:.1%} of a large matrix product's {limit / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
