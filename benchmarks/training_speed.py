"""Training steps as `fit` takes them: images a second in float32 and in bfloat16, and how near they come to the limit.

Claim, on two cores with AVX512_BF16 (U-Net of width 16, 64 x 64 pixels, batches of 32): in bfloat16 at least 1.4 times
the images a second of float32. A step is that of the recipe `fast`, Muon included. Both precisions run in turns, each
time is the median of the repeats, and each row is printed as soon as it is measured. The limit is a large matrix
product in the same precision on as many threads. Where a processor has no arithmetic in bfloat16, it emulates it, and
the ratio is below 1.

    python benchmarks/training_speed.py [--rows unet:16:64:16 unet:16:64:32 ...] [--threads 1 2] [--repeats 6]
        [--device auto]

A row is model:width:resolution:batch size.
"""

import argparse
import statistics
import time

import torch
from _records import write_record
from _training import flops_of_an_image

from chairlib.benchmark.models import build_model
from chairlib.benchmark.recipes import get_recipe
from chairlib.benchmark.steps import Stepper
from chairlib.core.devices import describe_hardware, pick_device

ROWS = ("unet:16:64:16", "unet:16:64:32", "unet:64:64:16", "unet:16:128:16", "fcn_vgg16:16:64:32")
DTYPES = (torch.float32, torch.bfloat16)
#: Steps before those that are timed: on CUDA a step is recorded after three.
WARM_UP = 5


def make_step(row: tuple[str, int, int, int], dtype: torch.dtype, device: torch.device):
    """A function that takes one step on random images and waits for it."""
    name, width, resolution, batch_size = row
    torch.manual_seed(0)
    model = build_model(name, width).to(device=device, memory_format=torch.channels_last).train()
    stepper = Stepper(model, get_recipe("fast", name), dtype)
    images = torch.rand(batch_size, 3, resolution, resolution, device=device)
    masks = (torch.rand(batch_size, 1, resolution, resolution, device=device) > 0.5).float()
    return lambda: stepper(images, masks, 1e-4).item()


def seconds_of(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def peak_flops(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of a large matrix product."""
    size = 8192 if device.type == "cuda" else 1024
    matrix = torch.rand(size, size, device=device).to(dtype)
    times = [seconds_of(lambda: (matrix @ matrix)[0, 0].item()) for _ in range(6)]
    return 2 * size**3 / min(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", nargs="+", default=ROWS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    measured = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        peaks = {dtype: peak_flops(dtype, device) for dtype in DTYPES}
        limits = ", ".join(f"{peak / 1e9:,.0f} GFLOP/s in {dtype}" for dtype, peak in peaks.items())
        print(f"{describe_hardware(device)}; a large matrix product: {limits}", flush=True)
        for text in arguments.rows:
            name, *numbers = text.split(":")
            row = (name, *map(int, numbers))
            steps = {dtype: make_step(row, dtype, device) for dtype in DTYPES}
            for step in steps.values():
                for _ in range(WARM_UP if device.type == "cuda" else 1):
                    step()
            times = [{dtype: seconds_of(step) for dtype, step in steps.items()} for _ in range(arguments.repeats)]
            rates = {dtype: row[3] / statistics.median(time[dtype] for time in times) for dtype in DTYPES}
            shares = {dtype: rates[dtype] * flops_of_an_image(*row[:3]) / peaks[dtype] for dtype in DTYPES}
            print(
                f"{text:20} {threads} threads: float32 {rates[torch.float32]:8.1f} images/s "
                f"({shares[torch.float32]:.0%} of its limit), bfloat16 {rates[torch.bfloat16]:8.1f} "
                f"({shares[torch.bfloat16]:.0%}), ratio {rates[torch.bfloat16] / rates[torch.float32]:.2f}",
                flush=True,
            )
            measured.append(
                {
                    **dict(zip(("model", "width", "resolution", "batch_size"), row, strict=True)),
                    "threads": threads,
                    "images_per_second": {str(dtype): round(rate, 1) for dtype, rate in rates.items()},
                    "share_of_limit": {str(dtype): round(share, 3) for dtype, share in shares.items()},
                }
            )
    print(write_record("training-speed", {"rows": measured}, device).name)


if __name__ == "__main__":
    main()
