"""A page of 24 pictures is turned in well under a second of the kernel, on a ledger that holds 1,000 images.

Run it with `python benchmarks/review.py [--images N] [--pages N]`. It fills a ledger with the rendered chairs that ship
with the package, repeated, opens the review's grid on it and turns 42 pages with the key N, each of which keeps 24
images. It prints the seconds that a page change takes in the kernel, and beside it, in the same run, the ledger alone:
a page's decisions in one transaction, as a review gives them, and the baseline, one after the other, each waiting for
the disk. Between two pages it waits as long as a person looks (`--pause`), while the next pages' thumbnails are made;
with `--pause 0` nobody waits.
"""

import argparse
import io
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image, PngImagePlugin

from chairfinder.ledger import Ledger, SearchResult
from chairfinder.review import ReviewGrid
from chairfinder.review_session import ReviewSession
from chairlib.core import paths

PER_PAGE = 24


def fill(ledger: Ledger, count: int) -> None:
    """Put ``count`` accepted segments into the ledger: the chairs of `mini` in turn.

    A note in each file makes its bytes differ from all others.
    """
    files = sorted((paths.mini / "segments").iterdir())
    for number in range(count):
        note = PngImagePlugin.PngInfo()
        note.add_text("number", str(number))
        stream = io.BytesIO()
        with Image.open(files[number % len(files)]) as image:
            size = image.size
            image.save(stream, "PNG", pnginfo=note, compress_level=1)
        url = f"https://host.example/{number}.png"
        ledger.add_found("segment", SearchResult(url=url, licence="CC0"), "commons", "arm chair")
        ledger.set_screened(ledger.add_fetched(url, stream.getvalue(), size))


def turn(grid: ReviewGrid, pages: int, pause: float) -> list[float]:
    """Seconds of each page change."""
    seconds = []
    for _ in range(pages):
        time.sleep(pause)
        start = time.perf_counter()
        grid.press("n")
        seconds.append(time.perf_counter() - start)
    return seconds


def decide(ledger: Ledger, pages: int, at_once: int) -> list[float]:
    """Seconds in which the ledger alone takes a page of decisions, so many in one transaction."""
    ids = [entry.id for entry in ledger.images()]
    seconds = []
    for page in range(pages):
        start = time.perf_counter()
        of_page = ids[page * PER_PAGE : (page + 1) * PER_PAGE]
        for first in range(0, len(of_page), at_once):
            ledger.decide_page(of_page[first : first + at_once], "keep")
        seconds.append(time.perf_counter() - start)
    return seconds


def describe_times(seconds: list[float]) -> str:
    """Median, 95th percentile and greatest, in milliseconds."""
    ordered = sorted(seconds)
    late = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return (
        f"median {1000 * statistics.median(seconds):.0f} ms, 95 % within {1000 * late:.0f} ms, "
        f"at most {1000 * ordered[-1]:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--pages", type=int, default=42)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two pages")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ledgers = [Ledger(Path(folder) / name) for name in ("grid", "alone")]
        for ledger in ledgers:
            fill(ledger, given.images)
        start = time.perf_counter()
        grid = ReviewGrid(ReviewSession(ledgers[0], per_page=PER_PAGE))
        print(f"{given.images:,} images; the first page is there after {time.perf_counter() - start:.2f} s")
        turned = turn(grid, given.pages, given.pause)
        at_once, singly = (decide(ledgers[1], given.pages, number) for number in (PER_PAGE, 1))
        print(f"{given.pages} page changes: {describe_times(turned)}")
        print(f"the ledger alone, {PER_PAGE} decisions at once: {describe_times(at_once)}")
        print(f"the ledger alone, one after the other: {describe_times(singly)}")
        print(f"kept: {len(ledgers[0].decisions()):,} of {given.images:,}")
        for ledger in ledgers:
            ledger.close()


if __name__ == "__main__":
    main()
