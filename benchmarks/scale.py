"""How seconds and memory grow with segments, backgrounds, resolution and images.

Claim: seconds grow in proportion to segments, backgrounds and images at most (an exponent of about 1), and as the
square of the resolution (about 2; steeper on a CPU where a batch passes 32 MB, as the system then clears new memory for
every batch: take smaller ones). Own memory grows with what is counted (rows of the manifest, pairs), under 100 bytes a
composite, and with a batch's pixels, never with the pixels of a collection: those are mapped from their file. Parts
that don't fit the device are streamed: `streamed` is loading with that forced; on a CPU it takes the same way, as parts
are mapped from their file in any case.

One quantity grows at a time; the others stay at their base. Each point is the shortest time of the repeats, on one CPU
thread, as other work on the machine only adds to it, and the median of their memory. The exponent is the slope of a
least-squares line through the logarithms, with its standard error; beside it the slope between the last two points, as
fixed costs flatten the first ones. Memory that never reaches 5 MB has none. `own` is the peak of what the process
allocates, over what it had; `mapped` that of pages of files, which the system may take back; `device` that of a GPU's.

The collections are synthetic: small blurred noise as PNG and JPEG, so decoding costs less than with photos, and
resizing enlarges. Training is of a small U-Net from a random start. Everything is temporary, in the system's folder for
such files; sizes are options. A dated record and a log-log picture land in `benchmarks/records/`.

    python benchmarks/scale.py [--segments 100 300 1000 3000 10000] [--backgrounds 100 300 1000 3000 10000]
        [--resolutions 32 64 128 256 512] [--images 500 1000 2000 4000 8000] [--base 300 100 64] [--loaded 4000]
        [--width 4] [--repeats 3] [--seconds 4] [--threads 1] [--device auto]
"""

import argparse
import ctypes
import io
import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from _records import write_record
from matplotlib.ticker import NullLocator
from PIL import Image

from chairfinder.provenance import Provenance
from chairfinder.writing import Item, write_collection
from chairlib.benchmark.evaluation import evaluate
from chairlib.benchmark.models import build_model
from chairlib.benchmark.training import fit
from chairlib.collection import Collection
from chairlib.compositing import image_sets
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import paths
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.files import atomic_path

SYNTHETIC = "segments and backgrounds are blurred noise of 48 x 48 pixels, drawn for this benchmark"
MEMORY = ("own", "mapped", "device")
#: Bytes below which memory is noise.
NOISE = 5e6


def make_items(n_segments: int, n_backgrounds: int) -> Iterator[Item]:
    rng = np.random.default_rng(0)
    for kind, count, mode in (("segment", n_segments, "RGBA"), ("background", n_backgrounds, "RGB")):
        for number in range(count):
            coarse = rng.integers(0, 256, (6, 6, len(mode)), dtype=np.uint8)
            stream = io.BytesIO()
            small = Image.fromarray(coarse).resize((48, 48), Image.Resampling.BILINEAR)
            small.save(stream, "PNG" if kind == "segment" else "JPEG", compress_level=1)
            yield Item(kind, stream.getvalue(), 48, 48, f"{kind}:{number}", Provenance("drawn by a benchmark"))


def resident() -> dict[str, float]:
    """Bytes of this process in memory; none where the system doesn't say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return {}
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return {"own": sizes["RssAnon"], "mapped": sizes["RssFile"]}


@contextmanager
def peaks(device: torch.device) -> Iterator[dict[str, float]]:
    """Fills in, at the end, how far memory rose in the block; looked at every 5 ms."""
    if Path("/proc/self/status").exists():
        ctypes.CDLL(None).malloc_trim(0)  # what is free but kept would hide what is used
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        already = torch.cuda.memory_allocated(device)
    before, highest, risen, done = resident(), resident(), {}, threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            for name, size in resident().items():
                highest[name] = max(highest[name], size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield risen
    finally:
        done.set()
        watcher.join()
    risen |= {name: highest[name] - size for name, size in before.items()}
    if device.type == "cuda":
        risen["device"] = torch.cuda.max_memory_allocated(device) - already


def measure(arguments: argparse.Namespace, device: torch.device, step: Callable[[], Any]) -> dict[str, float]:
    """The least seconds and the median memory of the repeats, of which there are fewer where they take long."""
    rows: list[dict[str, float]] = []
    while len(rows) < arguments.repeats and sum(row["seconds"] for row in rows) < arguments.seconds:
        with peaks(device) as risen:
            started = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - started
        rows.append({"seconds": seconds, **risen})
    table = pd.DataFrame(rows)
    return {**table.median().to_dict(), "seconds": table["seconds"].min(), "repeats": len(rows)}


def collection_steps(
    arguments: argparse.Namespace, device: torch.device, folder: Path, resolution: int
) -> dict[str, Callable[[], Any]]:
    def loader() -> CompositeLoader:
        return CompositeLoader(folder, "train", resolution, 16, device)

    def pack() -> None:
        for file in (paths.cache / "packed").glob("*"):
            file.unlink()
        loader()

    def load(images: CompositeLoader) -> None:
        seen = 0
        for epoch in range(arguments.loaded):
            for batch, _ in images.batches(epoch):
                seen += len(batch)
                if seen >= arguments.loaded:
                    return

    def streamed() -> None:
        with patch.object(image_sets, "MEMORY_SHARE", 0), patch.object(image_sets, "note"):
            images = loader()
        assert images.streamed
        load(images)

    return {
        "check the collection": lambda: Collection(folder),
        "pack and open": pack,
        "open": loader,
        "open and load": lambda: load(loader()),
        "streamed": streamed,
    }


def image_steps(
    arguments: argparse.Namespace, device: torch.device, folder: Path, resolution: int, count: int
) -> dict[str, Callable[[], Any]]:
    def loader(batch_size: int, limit: int = count) -> CompositeLoader:
        return CompositeLoader(folder, "train", resolution, batch_size, device, limit=limit)

    def model() -> torch.nn.Module:
        torch.manual_seed(0)
        return build_model("unet", arguments.width).to(device)

    few = loader(16, min(64, count))
    return {
        "load": lambda: [None for _ in loader(64)],
        "score": lambda: evaluate(model(), loader(64)),
        "train": lambda: fit(model(), loader(16), few, "fast", images=count, evaluations=1, progress=False),
    }


def grow(arguments: argparse.Namespace, device: torch.device, root: Path) -> Iterator[dict[str, Any]]:
    """A row for each step at each size, as measured."""
    n_segments, n_backgrounds, resolution = arguments.base
    base = {"segments": n_segments, "backgrounds": n_backgrounds, "resolution": resolution, "images": 0}
    sizes = {
        "segments": arguments.segments,
        "backgrounds": arguments.backgrounds,
        "resolution": arguments.resolutions,
        "images": arguments.images,
    }
    for quantity, values in sizes.items():
        for value in values:
            now = {**base, quantity: value}
            folder = root / f"{now['segments']}-{now['backgrounds']}"
            if not folder.exists():
                write_collection(folder, make_items(now["segments"], now["backgrounds"]))
            if quantity == "images":
                steps = image_steps(arguments, device, folder, resolution, value)
            else:
                steps = collection_steps(arguments, device, folder, now["resolution"])
            for name, step in steps.items():
                yield {"grows": quantity, "size": value, "step": name, **measure(arguments, device, step)}


def exponent(sizes: np.ndarray, figures: np.ndarray) -> dict[str, float] | None:
    """Slope of log(figures) over log(sizes), its standard error, and the slope of the last two points."""
    used = figures > 0
    if used.sum() < 3:
        return None
    x, y = np.log(sizes[used]), np.log(figures[used])
    slope, offset = np.polyfit(x, y, 1)
    rest = y - (slope * x + offset)
    error = math.sqrt((rest**2).sum() / (len(x) - 2) / ((x - x.mean()) ** 2).sum())
    return {"exponent": slope, "standard_error": error, "last": (y[-1] - y[-2]) / (x[-1] - x[-2])}


def draw(table: pd.DataFrame, target: Path) -> None:
    """Seconds and the process's own memory, both on logarithmic axes, a panel for each quantity that grows."""
    figures = [name for name in ("seconds", "own", "device") if name in table]
    long = table.melt(["grows", "size", "step"], figures, var_name="figure")
    long.loc[long["figure"] != "seconds", "value"] /= 1e6
    long = long[long["value"] > 0].replace({"figure": {name: f"{name} memory, MB" for name in MEMORY}})
    grid = sns.relplot(
        long, x="size", y="value", hue="step", col="grows", row="figure", kind="line", marker="o", height=2.6,
        facet_kws={"sharex": "col", "sharey": "row", "margin_titles": True},
    )  # fmt: skip
    grid.set(xscale="log", yscale="log")
    grid.set_titles(col_template="{col_name}", row_template="")
    for (row, column), axes in np.ndenumerate(grid.axes):
        sizes = sorted(set(table.loc[table["grows"] == grid.col_names[column], "size"]))
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=7)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(ylabel=grid.row_names[row] if column == 0 else "", xlabel=grid.col_names[column])
    with atomic_path(target) as temporary:
        grid.figure.savefig(temporary, format="png")
    plt.close(grid.figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--segments", type=int, nargs="+", default=[100, 300, 1000, 3000, 10000])
    parser.add_argument("--backgrounds", type=int, nargs="+", default=[100, 300, 1000, 3000, 10000])
    parser.add_argument("--resolutions", type=int, nargs="+", default=[32, 64, 128, 256, 512])
    parser.add_argument("--images", type=int, nargs="+", default=[500, 1000, 2000, 4000, 8000])
    parser.add_argument("--base", type=int, nargs=3, help="segments, backgrounds and resolution that don't grow")
    parser.add_argument("--loaded", type=int, default=4000, help="composites that are loaded where parts grow")
    parser.add_argument("--width", type=int, default=4, help="channels of the U-Net's first convolution")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="no repeat of a step begins after so many")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    arguments.base = arguments.base or [arguments.segments[1], arguments.backgrounds[0], arguments.resolutions[1]]
    device = pick_device(arguments.device)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as root, patch.object(paths, "cache", Path(root) / "cache"):
        rows = []
        for row in grow(arguments, device, Path(root)):
            rows.append(row)
            memory = ", ".join(f"{row[name] / 1e6:.1f} MB {name}" for name in MEMORY if name in row)
            print(f"{row['size']:6} {row['grows']:12}{row['step']:21}{row['seconds']:9.3f} s  {memory}", flush=True)
    table = pd.DataFrame(rows)
    figures = [name for name in ("seconds", *MEMORY) if name in table]
    print(f"\n{describe_hardware(device)}; synthetic: {SYNTHETIC}\nexponents, +- standard error (between the last two)")
    fits = []
    for (quantity, step), part in table.groupby(["grows", "step"], sort=False):
        found = {
            name: exponent(part["size"].to_numpy(), part[name].to_numpy())
            for name in figures
            if name == "seconds" or part[name].max() >= NOISE
        }
        fits.append({"grows": quantity, "step": step, **found})
        words = [
            f"{name} {one['exponent']:5.2f} +- {one['standard_error']:.2f} ({one['last']:5.2f})"
            for name, one in found.items()
            if one
        ]
        print(f"{quantity:12}{step:21} {'   '.join(words)}")
    content = {
        "measured_on": describe_hardware(device),
        "synthetic": SYNTHETIC,
        "settings": vars(arguments),
        "total_seconds": round(time.perf_counter() - started, 1),
        "points": rows,
        "exponents": fits,
    }
    path = write_record("scale", content, device)
    draw(table, path.with_suffix(".png"))
    print(f"{content['total_seconds']} s in all; record: {path}, picture beside it")


if __name__ == "__main__":
    main()
