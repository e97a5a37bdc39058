"""All rules screen a segment of up to 512 pixels in less than 25 ms of one CPU core; 448 of the 450 of `mini` pass.

Run it with `python benchmarks/screening.py [FOLDER] [--backgrounds FOLDER]`; without folders it takes the collection
that ships with the package. It prints the time of each rule, each on the image as the rules before it left it (what
they have computed is shared), beside the baseline: decoding the same files. Then it counts what is accepted and
refused, by reason.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

from PIL import Image

from chairfinder.screening import (
    BACKGROUND_RULES,
    SEGMENT_RULES,
    BackgroundView,
    SegmentView,
    Thresholds,
    rule_name,
    screen_background,
    screen_segment,
)
from chairlib.collection.images import read_photo, read_segment
from chairlib.core import paths
from chairlib.core.errors import ImageError


def measure(kind: str, folder: Path) -> None:
    """Print the time of each rule and the count of each reason over a folder's files."""
    read = read_segment if kind == "segment" else read_photo
    seconds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    decoding, screening, count = 0.0, 0.0, 0
    for file in sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() != ".csv"):
        start = time.process_time()
        try:
            image = read(file)
        except ImageError as error:
            reasons[str(error).removeprefix(f"{file}: ").split(":")[0]] += 1
            continue
        decoding += time.process_time() - start
        count += 1
        start = time.process_time()
        refusal = screen_segment(image) if kind == "segment" else screen_background(image)
        screening += time.process_time() - start
        reasons[refusal.split(":")[0] if refusal else "accepted"] += 1
        for name, spent in time_rules(kind, image):
            seconds[name] += spent
    count = max(1, count)
    print(
        f"{kind}s of {folder.name}: {1000 * screening / count:.1f} ms each to screen, "
        f"{1000 * decoding / count:.1f} ms to decode"
    )
    print(f"  screening takes {screening / max(decoding, 1e-9):.1f} x the time of decoding; every rule on every image:")
    for name, spent in seconds.most_common():
        print(f"  {1000 * spent / count:7.2f} ms  {name}")
    for reason, number in reasons.most_common():
        print(f"  {number:6d}  {reason}")


def time_rules(kind: str, image: Image.Image) -> list[tuple[str, float]]:
    """Name and CPU seconds of every rule on one image."""
    limits, spent = Thresholds(), []
    segment, background = SegmentView(image) if kind == "segment" else None, None
    if segment is None:
        background = BackgroundView(image)
    for rule in SEGMENT_RULES if segment else BACKGROUND_RULES:
        start = time.process_time()
        rule(segment or background, limits)  # type: ignore[arg-type]
        spent.append((rule_name(rule), time.process_time() - start))
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("segments", nargs="?", type=Path, default=paths.mini / "segments")
    parser.add_argument("--backgrounds", type=Path, default=None)
    given = parser.parse_args()
    measure("segment", given.segments)
    if given.backgrounds or given.segments == paths.mini / "segments":
        measure("background", given.backgrounds or paths.mini / "backgrounds")


if __name__ == "__main__":
    main()
