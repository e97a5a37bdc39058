"""CompositeLoader on the CPU gives composites many times faster than reading them from PNG files with worker processes.

Claim, on two cores with 64 x 64 composites of `mini`: at least 10 times the images per second of torch's DataLoader
over the exported files with two workers. Prints both rates, their ratio, and the share of the machine's copy bandwidth
that blending reaches (its limit: it reads a segment and a background and writes an image and a mask).

    python benchmarks/loader_speed.py [--data mini] [--resolution 64] [--batch-size 64] [--device cpu] [--images 4000]
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from chairlib.compositing.loader import CompositeLoader
from chairlib.compositing.released import ReleasedChairSegments, export
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.vision import torchvision


def rate(batches, n_images: int, device: torch.device) -> float:
    """Images per second until ``n_images`` have come."""
    seen, started = 0, None
    for images, _ in batches:
        if started is None:  # the first batch pays for start-up: leave it out
            started = time.perf_counter()
            continue
        seen += len(images)
        if seen >= n_images:
            break
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return seen / (time.perf_counter() - started)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes per second that a large copy moves, read plus written."""
    source = torch.rand(2**26, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    started = time.perf_counter()
    for _ in range(5):
        target.copy_(source)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return 5 * 2 * source.numel() * 4 / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="mini")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=4000)
    arguments = parser.parse_args()
    device = pick_device(arguments.device)

    loader = CompositeLoader(arguments.data, "train", arguments.resolution, arguments.batch_size, device)
    endless = (batch for epoch in range(10**6) for batch in loader.batches(epoch))
    ours = rate(endless, arguments.images, device)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "composites"
        export(arguments.data, out, arguments.resolution, backgrounds_per_segment=20)
        v2 = torchvision.transforms.v2
        transforms = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
        files = ReleasedChairSegments(out, "train", transforms=transforms)
        plain = torch.utils.data.DataLoader(files, arguments.batch_size, shuffle=True, num_workers=2)
        theirs = rate(plain, min(arguments.images, len(files) - 2 * arguments.batch_size), torch.device("cpu"))

    bytes_per_image = arguments.resolution**2 * (4 + 3 + 4 * 3 + 4)
    share = ours * bytes_per_image / copy_bandwidth(device)
    print(f"{describe_hardware(device)}; {arguments.resolution} px, batches of {arguments.batch_size}")
    print(f"CompositeLoader       {ours:10,.0f} images/s  ({share:.1%} of copy bandwidth)")
    print(f"DataLoader over files {theirs:10,.0f} images/s")
    print(f"ratio                 {ours / theirs:10.1f}")


if __name__ == "__main__":
    main()
