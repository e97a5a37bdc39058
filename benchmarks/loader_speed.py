"""CompositeLoader on the CPU gives composites many times faster than reading them from PNG files with worker processes.

Claim, with 64 x 64 composites of `mini`: on one thread, at least 10 times the images per second of torch's DataLoader
over the exported files with two workers. Of a GPU the script claims nothing; `records/gpu.json` has the loader's share
of a training step on one.

The loaders take turns, and each figure is the median of the repeats, with the lowest and the highest beside it. For
each resolution and batch size it also prints the loader's best rate with and without flips, and the share of the limit
that it reaches: the best bandwidth of a large copy, as blending must read a segment and a background and write an image
and a mask. It does ten operations on each value between, so on a CPU the arithmetic is the nearer limit. All of it goes
into a dated record in `benchmarks/records/`.

    python benchmarks/loader_speed.py [--data mini] [--resolution 64] [--batch-size 64] [--device cpu] [--images 4000]
        [--also 32x64 32x256 64x16 64x256 128x32 256x16 512x4] [--repeats 3] [--threads 1]
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from _records import write_record

from chairbridge import export
from chairlib.compositing.loader import CompositeLoader
from chairlib.compositing.released import ReleasedChairSegments
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.vision import torchvision

#: Bytes of a pixel that a composite cannot do without: opacity and two colours read, an image and a mask written.
BYTES_PER_PIXEL = 4 + 3 + 4 * 3 + 4
ALSO = ("32x64", "32x256", "64x16", "64x256", "128x32", "256x16", "512x4")


def rate(batches: Iterable[Any], n_images: int, device: torch.device) -> float:
    """Images per second until ``n_images`` have come."""
    seen, started = 0, 0.0
    for number, (images, _) in enumerate(batches):
        if number == 0:  # the first batch pays for start-up: leave it out
            synchronize(device)
            started = time.perf_counter()
            continue
        seen += len(images)
        if seen >= n_images:
            break
    synchronize(device)
    return seen / (time.perf_counter() - started)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes per second that a large copy moves, read plus written."""
    source = torch.rand(2**26, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    synchronize(device)
    started = time.perf_counter()
    for _ in range(5):
        target.copy_(source)
    synchronize(device)
    return 5 * 2 * source.numel() * 4 / (time.perf_counter() - started)


def composites(data: str, resolution: int, batch_size: int, device: torch.device, flip: bool) -> Iterable[Any]:
    loader = CompositeLoader(data, "train", resolution, batch_size, device, flip=flip)
    return itertools.chain.from_iterable(loader.batches(epoch) for epoch in itertools.count())


def spread(figures: list[float]) -> dict[str, float]:
    return {"median": statistics.median(figures), "low": min(figures), "high": max(figures)}


def in_words(figures: dict[str, float], digits: int = 0) -> str:
    return f"{figures['median']:10,.{digits}f} ({figures['low']:,.{digits}f} to {figures['high']:,.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="mini")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=4000, help="images of 64 x 64, as many pixels elsewhere")
    parser.add_argument("--also", nargs="*", default=ALSO, help="more sizes: resolution x batch size")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; 0 leaves torch's choice")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    resolution, batch_size = arguments.resolution, arguments.batch_size

    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "composites"
        export(arguments.data, files, resolution, backgrounds_per_segment=20)
        v2 = torchvision.transforms.v2
        transforms = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
        stored = ReleasedChairSegments(files, "train", transforms=transforms)
        plain = torch.utils.data.DataLoader(stored, batch_size, shuffle=True, num_workers=2)
        ours, theirs, bandwidth = [], [], []
        for _ in range(arguments.repeats):
            ours.append(
                rate(composites(arguments.data, resolution, batch_size, device, False), arguments.images, device)
            )
            theirs.append(rate(plain, min(arguments.images, len(stored) - 2 * batch_size), torch.device("cpu")))
            bandwidth.append(copy_bandwidth(device))
    limit = max(bandwidth)
    ratio = spread([one / other for one, other in zip(ours, theirs, strict=True)])
    print(f"{describe_hardware(device)}; {resolution} px, batches of {batch_size}; median (lowest to highest)")
    print(f"CompositeLoader       {in_words(spread(ours))} images/s")
    print(f"DataLoader over files {in_words(spread(theirs))} images/s, two workers")
    print(f"ratio                 {in_words(ratio, 1)}")
    print(f"limit: a large copy moves {limit / 1e9:.1f} GB/s")

    table = []
    for d, size in [(resolution, batch_size), *(map(int, one.split("x")) for one in arguments.also)]:
        n_images = max(2 * size, arguments.images * 64**2 // d**2)
        row: dict[str, Any] = {"resolution": d, "batch_size": size}
        for name, flip in (("images_per_second", False), ("flipped_per_second", True)):
            batches = [composites(arguments.data, d, size, device, flip) for _ in range(arguments.repeats)]
            row[name] = max(rate(one, n_images, device) for one in batches)
        row["share_of_limit"] = row["images_per_second"] * d**2 * BYTES_PER_PIXEL / limit
        table.append(row)
        print(
            f"{d:4} px, batches of {size:3}: {row['images_per_second']:10,.0f} images/s, "
            f"{row['share_of_limit']:6.1%} of the limit; flipped {row['flipped_per_second']:10,.0f}"
        )
    content = {
        "claim": "at least 10 times torch's DataLoader over files, on one thread; nothing claimed of a GPU",
        "measured_on": describe_hardware(device),
        "settings": {name: str(value) for name, value in vars(arguments).items()},
        "images_per_second": spread(ours),
        "dataloader_images_per_second": spread(theirs),
        "ratio": ratio,
        "copy_bytes_per_second": spread(bandwidth),
        "sizes": table,
    }
    print(f"record: {write_record('loader_speed', content, device)}")


if __name__ == "__main__":
    main()
