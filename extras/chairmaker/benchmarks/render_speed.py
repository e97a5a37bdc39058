r"""A chair of 128 pixels takes at most 0.3 s of one core, a room at most 0.6 s: less than plain rays that are as good.

Claim, on one core, on average over images: within both limits, and in less time than plain Mitsuba needs with as many
samples as come as near to a reference of many samples as our guides and smoothing do with 16 and 12. Measured over six
chairs: 1.4 times our time. Prints CPU seconds an image at 128 and 256 pixels beside the limits (these are for 128),
that ratio, and how much of a composite's canvas the chairs of given collections cover at 64 pixels, side by side.

    python extras/chairmaker/benchmarks/render_speed.py [--images 12] [--compared 4] [--sizes 128 256] \
        [--collections mini PATH ...]
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from chairlib.collection.collection import Collection
from chairlib.compositing.packing import load_split
from chairlib.core.progress import progress_bar
from chairmaker import catalogue
from chairmaker.chairs import FAMILIES, draw_design
from chairmaker.engine import use_one_thread
from chairmaker.render import View, encode, smooth_light
from chairmaker.rooms import draw_room

LIMITS = {"chair": 0.3, "room": 0.6}
#: Plain renders with so many samples (squares, as the sampler wants them) are tried until one is as good as ours.
PLAIN = (9, 16, 25, 36, 49, 64, 100, 144, 256)
REFERENCE = 576


def chair(number: int, size: int) -> View:
    """A chair of some family before the camera."""
    rng = np.random.default_rng(number)
    return catalogue.in_studio(draw_design(rng, list(FAMILIES)[number % len(FAMILIES)]), rng, size)


def room(number: int, size: int) -> View:
    """A room and its camera."""
    place = draw_room(np.random.default_rng(number))
    return View(place.parts, place.lights, place.camera, size)


#: How a scene is made, and how often our guides and colour are sampled: as the catalogue does, without the bounced
#: light, which plain rays that stop at the first surface have not either.
SCENES: dict[str, tuple[Callable[[int, int], View], int, bool]] = {
    "chair": (chair, catalogue.CHAIR_SAMPLES, True),
    "room": (room, catalogue.ROOM_SAMPLES, False),
}
FINISHED: dict[str, Callable[[int, int, int], Any]] = {
    "chair": catalogue.render_chair,
    "room": catalogue.render_room,
}


def ours(view: View, samples: int, hide_lights: bool) -> np.ndarray:
    """A picture as the catalogue makes it."""
    normal = None if hide_lights else view.guide("normal", samples, 1)
    return smooth_light(view.colour(samples, 1, hide_lights), view.guide("albedo", samples, 1), normal)


def seconds(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function gives, and its CPU seconds."""
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def error(picture: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square of the difference in sRGB, of 255, where the reference is solid and no lamp."""
    use = (reference[..., 3] > 0.99) & (reference[..., :3].max(axis=2) < 1)
    difference = encode(picture[..., :3]).astype(float) - encode(reference[..., :3])
    return float(np.sqrt((difference[use] ** 2).mean())) if use.any() else 0.0


def as_good(kind: str, number: int, size: int) -> tuple[float, float, int]:
    """CPU seconds of our picture, those of the first plain one that is as near the reference, and its samples."""
    scene, samples, hide_lights = SCENES[kind]
    view = scene(number, size)
    reference = view.colour(REFERENCE, 2, hide_lights)
    picture, our_time = seconds(partial(ours, view, samples, hide_lights))
    for count in PLAIN:
        plain, their_time = seconds(partial(view.colour, count, 3, hide_lights))
        if error(plain, reference) <= error(picture, reference):
            break
    return our_time, their_time, count


def report_speed(kind: str, size: int, images: int, compared: int) -> None:
    """Print a line: seconds, the limit, and the ratio to plain rays."""
    finished = FINISHED[kind]
    total = [seconds(partial(finished, 0, number, size))[1] for number in range(images)]
    limit = f"limit {LIMITS[kind]:.1f} s" if size == 128 else "no limit"
    pairs = np.array([as_good(kind, number, size) for number in progress_bar(range(compared), kind, leave=False)])
    ratio = pairs[:, 1].sum() / pairs[:, 0].sum()
    print(
        f"{kind:6} {size:4} px  {np.mean(total):6.3f} s (slowest {max(total):.2f}; {limit})   "
        "plain rays as near the reference: "
        f"{np.median(pairs[:, 2]):4.0f} samples (median), {ratio:.1f} times our time"
    )


def report_shares(names: list[str], resolution: int) -> None:
    """Print a table: the share of a composite that the chair covers, by collection and split."""
    print(
        f"\nshare of a {resolution}-pixel canvas that is chair, %\n{'':32}{'mean':>7}{'10 %':>7}{'50 %':>7}{'90 %':>7}"
    )
    for name in names:
        for split in ("train", "val", "test"):
            opacity = load_split(Collection(name), split, resolution).segments[:, 3].numpy() / 255
            shares = 100 * (opacity > 0.4).mean(axis=(1, 2))
            row = [shares.mean(), *np.quantile(shares, [0.1, 0.5, 0.9])]
            print(f"{f'{name} {split} ({len(shares)})':32}" + "".join(f"{value:7.1f}" for value in row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--compared", type=int, default=4, help="scenes that plain rays render too")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--collections", nargs="+", default=["mini"])
    arguments = parser.parse_args()
    use_one_thread()
    catalogue.render_chair(0, 0, 32)  # so that loading Mitsuba is not measured
    for kind in SCENES:
        for size in arguments.sizes:
            report_speed(kind, size, arguments.images, arguments.compared)
    report_shares(arguments.collections, 64)


if __name__ == "__main__":
    main()
