"""What more segments would cost: the slopes that `scale.py` measured, carried on to 100 million segments.

Claim: nothing here is measured beyond 10,000 segments (grouping: 20,000). Bytes are counted from the layout of files
and tensors. Seconds and memory of a step are carried on from its largest measured point, along two slopes: that of the
line through all points, less its standard error, which the fixed costs of small collections make too flat; and that of
the last two points, which is the noisiest. Both ends of that range are shown. The weakest assumption is that a step
keeps its slope: memory that no longer fits, or a folder of millions of files, ends it.

There are as many backgrounds as segments, and each segment has 100 backgrounds, as in the paper. Grouping compares
every image with every other one, and is timed here, at up to 20,000 random signatures, because `scale.py` does not
time it. Bytes of image files are those of the collection, `mini` by default.

    python benchmarks/growth.py [--data mini] [--sizes 10000 1000000 100000000] [--grouped 2500 5000 10000 20000]
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from _records import write_record
from matplotlib.ticker import NullLocator
from scale import exponent

from chairfinder.grouping import find_groups
from chairfinder.signatures import Signature
from chairlib.collection import Collection
from chairlib.compositing.image_sets import BACKGROUNDS_PER_SEGMENT
from chairlib.core.errors import ChairlibError, RecordError
from chairlib.core.files import atomic_path
from chairlib.show.canvas import line_style, theme

#: Steps of `scale.py` that look at a whole collection: what to call them. Each grows with segments and backgrounds.
STEPS = {
    "check the collection": "reading the manifest and checking that files are there",
    "pack and open": "packing at 64 px",
    "open": "opening a packed split",
}
#: Bytes of one composite in memory: two int64 in the table of pairs, and a reference to the name of its group.
BYTES_A_PAIR = 24
#: Pixels a side at which packed bytes are counted.
SIDE = 64

Range = tuple[float, float]


def newest_scale() -> dict[str, Any]:
    """The newest record of `scale.py`, wherever new ones are written; RecordError where there is none."""
    folder = Path(__file__).parent / "records"
    files = sorted(folder.glob("scale-*.json"))
    if not files:
        raise RecordError(f"no record of scale.py is in {folder}; run it first: python benchmarks/scale.py")
    return json.loads(files[-1].read_text(encoding="utf-8"))


def exponent_of(points: list[tuple[float, float]]) -> Range:
    """Two slopes of log(figure) over log(size): of all points, less its standard error; and of the last two points."""
    sizes, figures = (np.array(values, dtype=float) for values in zip(*points, strict=True))
    fit = exponent(sizes, figures)
    if fit is None:
        raise ChairlibError(f"{len(points)} points are too few to carry a slope on; three are needed.")
    return fit["exponent"] - fit["standard_error"], fit["last"]


def carry_on(points: list[tuple[float, float]], size: float) -> Range:
    """The range of a figure at ``size``, from its measured points (size, figure) in order, by two slopes.

    At a measured size, both ends are the measured figure.
    """
    measured = dict(points)
    if size in measured:
        return measured[size], measured[size]
    sizes, figures = (np.array(values, dtype=float) for values in zip(*points, strict=True))
    ends = [figures[-1] * (size / sizes[-1]) ** slope for slope in exponent_of(points)]
    return min(ends), max(ends)


def points_of(scale: dict[str, Any], grows: str, step: str, figure: str) -> list[tuple[float, float]]:
    found = [row for row in scale["points"] if (row["grows"], row["step"]) == (grows, step)]
    return [(row["size"], row[figure]) for row in found if row.get(figure, 0) > 0]


def both(scale: dict[str, Any], step: str, figure: str, size: float) -> Range:
    """A figure of a step with ``size`` segments and as many backgrounds: of the two, each with few of the other."""
    ranges = [carry_on(points_of(scale, grows, step, figure), size) for grows in ("segments", "backgrounds")]
    low, high = (sum(ends) for ends in zip(*ranges, strict=True))
    return low, high


def time_grouping(counts: list[int]) -> list[tuple[float, float]]:
    """Seconds to group so many segments of random looks."""
    rng, points = np.random.default_rng(0), []
    for count in counts:
        hashes = rng.integers(0, 2, (count, 4, 256)).astype(bool)
        colours, aspects = rng.uniform(0, 255, (count, 3)), rng.uniform(0.3, 3, count)
        signatures = [
            Signature(one[0], one[1], colour, float(aspect), one[2], one[3])
            for one, colour, aspect in zip(hashes, colours, aspects, strict=True)
        ]
        digests = [f"{number:064x}" for number in range(count)]
        began = time.perf_counter()
        find_groups("segment", signatures, digests, [None] * count)
        points.append((float(count), time.perf_counter() - began))
        print(f"grouping {count:6} segments: {points[-1][1]:.2f} s", flush=True)
    return points


def file_bytes(collection: Collection) -> dict[str, float]:
    """Mean bytes of an image file, by kind."""
    sizes = {}
    for kind in ("segment", "background"):
        folder = collection.root / f"{kind}s"
        sizes[kind] = float(np.mean([file.stat().st_size for file in folder.iterdir() if file.is_file()]))
    return sizes


def rows_of(scale: dict[str, Any], collection: Collection, sizes: list[int], grouped: list[tuple[float, float]]) -> Any:
    """A row for each quantity: its name, unit, how its figures come about, and for each size their range."""
    files = file_bytes(collection)
    packed = (4 + 3) * SIDE**2
    largest = max(row["size"] for row in scale["points"] if row["grows"] == "segments")

    def row(quantity: str, unit: str, how: str, at: Any) -> dict[str, Any]:
        ranges = {size: at(size) for size in sizes}
        shown = {f"{size:,}": in_words(*ends, unit) for size, ends in ranges.items()}
        return {"quantity": quantity, "unit": unit, "how": how, "ranges": list(ranges.values()), **shown}

    def exact(each: float) -> Any:
        return lambda size: (each * size, each * size)

    def slopes(step: str, figure: str) -> str:
        fits = [exponent_of(points_of(scale, grows, step, figure)) for grows in ("segments", "backgrounds")]
        least, most = min(min(fit) for fit in fits), max(max(fit) for fit in fits)
        return f"measured to {largest:,}, then n^{least:.1f} to n^{most:.1f}"

    yield row(f"image files, at the mean size of {collection.name}'s", "B", "counted", exact(sum(files.values())))
    yield row(f"packed at {SIDE} px", "B", "counted", exact(packed))
    yield row("table of pairs and groups", "B", "counted", exact(BYTES_A_PAIR * BACKGROUNDS_PER_SEGMENT))
    for step, name in STEPS.items():
        how = slopes(step, "seconds")
        yield row(name, "s", how, lambda size, step=step: both(scale, step, "seconds", size))
    # The memory of opening is that of the table of pairs, which is counted above.
    step = "check the collection"
    yield row("memory of the manifest", "B", slopes(step, "own"), lambda size: both(scale, step, "own", size))
    least, most = sorted(exponent_of(grouped))
    how = f"measured to {grouped[-1][0]:,.0f}, then n^{least:.1f} to n^{most:.1f}"
    yield row("grouping near-duplicates, segments alone", "s", how, lambda size: carry_on(grouped, size))


def in_words(low: float, high: float, unit: str) -> str:
    """A range for people: ``"2.1 GB"``, ``"3 to 8 min"``. Two figures, because none is surer."""
    steps = {
        "B": [("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("PB", 1e15)],
        "s": [("s", 1), ("min", 60), ("h", 3600), ("days", 86400), ("years", 365.25 * 86400)],
    }[unit]
    texts = []
    for value in (low, high):
        name, one = next((step for step in reversed(steps) if value >= step[1]), steps[0])
        texts.append(f"{_two_figures(value / one)} {name}")
    # One unit for both ends is said once.
    same = texts[0].split()[1] == texts[1].split()[1]
    return texts[0] if texts[0] == texts[1] else f"{texts[0].split()[0] if same else texts[0]} to {texts[1]}"


def _two_figures(value: float) -> str:
    if value <= 0:
        return "0"
    digits = max(0, 1 - math.floor(math.log10(value)))
    rounded = round(value, 1 - math.floor(math.log10(value)))
    return f"{rounded:,.{digits}f}"


@theme()
def draw(scale: dict[str, Any], grouped: list[tuple[float, float]], most: float, target: Path) -> None:
    """Seconds over segments, both on logarithmic axes: measured points, and bands between the two slopes."""
    lines = {name: points_of(scale, "segments", step, "seconds") for step, name in STEPS.items()}
    lines["grouping near-duplicates"] = grouped
    figure, axes = plt.subplots(figsize=(6, 6), layout="constrained")
    for number, (name, points) in enumerate(lines.items()):
        sizes, seconds = zip(*points, strict=True)
        style = line_style(number)
        axes.plot(sizes, seconds, label=name, **style)
        beyond = np.geomspace(sizes[-1], most, 20)
        low, high = zip(*(carry_on(points, float(size)) for size in beyond), strict=True)
        axes.fill_between(beyond, low, high, color=style["color"], alpha=0.25, linewidth=0)
        axes.plot(beyond, high, color=style["color"], linestyle=style["linestyle"], linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="segments", ylabel="seconds, one thread")
    times = {0.01: "10 ms", 1: "1 s", 60: "1 min", 3600: "1 h", 86400: "1 day", 365.25 * 86400: "1 year"}
    axes.set_yticks(list(times), list(times.values()))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("points are measured, bands are carried on", fontsize=13)
    figure.legend(loc="outside lower center", ncols=1)
    with atomic_path(target) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="mini", help="the collection whose files are weighed")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000, 100_000_000])
    sizes = [2500, 5000, 10_000, 20_000]
    parser.add_argument("--grouped", type=int, nargs="+", default=sizes, help="three sizes or more")
    arguments = parser.parse_args()
    scale, collection = newest_scale(), Collection(arguments.data)
    grouped = time_grouping(sorted(arguments.grouped))
    rows = list(rows_of(scale, collection, arguments.sizes, grouped))
    for row in rows:
        print(f"{row['quantity']:56}", *(f"{row[f'{size:,}']:>22}" for size in arguments.sizes))
    content = {
        "scale": {name: scale[name] for name in ("date", "hardware", "settings", "synthetic")},
        "data": collection.name,
        "file_bytes": file_bytes(collection),
        "sizes": arguments.sizes,
        "grouping": grouped,
        "rows": rows,
    }
    path = write_record("growth", content, "cpu")
    draw(scale, grouped, max(arguments.sizes), path.with_suffix(".png"))
    print(f"written: {path}, picture beside it")


if __name__ == "__main__":
    main()
