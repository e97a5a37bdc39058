"""Whether the limits of `chairfinder.grouping` and of the audit part different images from altered copies.

Every image of a collection is compared with every other one, and with copies of itself that are mirrored, recoloured,
encoded again, halved, stretched or cropped. Then each limit is changed alone, to values on both sides of the chosen
one. Each row tells how many pairs of different images would be taken for alike (too lax), and which share of the copies
would be found (too strict).

Claim, on `mini` (450 chairs, each of its own design, and 500 rooms): no two rooms are taken for alike at any value
tried, and their altered copies are found: of crops to the centre, all to 95, 90 and 80 % of the sides, 99.8 % to 76 %,
97 % to 85 %, but 2 % to 70 %. Of chairs, all mirrored, paler, recoloured and encoded copies are found, 99 % of halved
ones, 83 % of those cut out a pixel closer, and 4 % of those without their feet. 70 of 101,025 pairs of different chairs
are taken for alike: two of one family, seen from the same side. The audit calls none of them a leak.

Pairs in one group of the manifest are left out of the different ones, unless the group was found by looks: that would
be a circle. Where groups were made by hand, it is also told how far the limits agree with them.

    python benchmarks/thresholds.py [COLLECTION] [--images 1000] [--seed 0]
"""

import argparse
import io
import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
from _records import write_record
from PIL import Image, ImageEnhance, ImageFilter

from chairfinder import grouping, leakage
from chairfinder.boxes import object_box
from chairfinder.signatures import CENTRES, Signature, as_signs, background_signature, segment_signature
from chairlib.collection import Collection

#: The limits that are tried, each alone. The chosen value is tried as well. "duplicate bits" is not a constant of the
#: library but what its caller gives to `near_duplicates`: 12 where images are collected.
VALUES = {
    "segment": {
        "SILHOUETTE_BITS": (40, 48, 64, 72),
        "SILHOUETTE_ASPECT": (1.07, 1.3),
        "COLOUR_BITS": (48, 56, 72, 80),
        "COLOUR_ASPECT": (1.15, 1.6),
    },
    "background": {
        "BACKGROUND_BITS": (44, 52, 68, 76),
        "BACKGROUND_COLOUR": (16, 64),
        "CENTRES": ((), (0.9,), (0.8,), (0.9, 0.8, 0.7)),
    },
    "duplicates": {"DUPLICATE_COLOUR": (4, 16), "duplicate bits": (6, 24)},
    "leaks": {"THRESHOLD": (16, 32, 40)},
}
CHOSEN = {name: getattr(grouping, name, 12) for values in VALUES.values() for name in values}
CHOSEN |= {"CENTRES": CENTRES, "THRESHOLD": leakage.THRESHOLD}
#: Shares of a background's sides that its crops keep.
CROPS = (0.95, 0.9, 0.85, 0.8, 0.76, 0.7)
_CENTRES = (0.9, 0.8, 0.7)
#: More different bits than any limit allows.
_MOST = 96


def encoded(image: Image.Image, quality: int) -> Image.Image:
    """The image as a JPEG of this quality shows it; a segment keeps its opacity."""
    stream = io.BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=quality)
    decoded = Image.open(stream).convert("RGB")
    if image.mode == "RGBA":
        decoded.putalpha(image.getchannel("A"))
    return decoded


def swapped(image: Image.Image) -> Image.Image:
    """Red, green and blue in other places, as a chair in another colour."""
    red, green, blue, *rest = image.split()
    return Image.merge(image.mode, (blue, red, green, *rest))


def graded(image: Image.Image) -> Image.Image:
    """A little brighter and paler, as another person's photo editing."""
    return ImageEnhance.Brightness(ImageEnhance.Color(image).enhance(0.7)).enhance(1.1)


def resized(image: Image.Image, across: float, down: float) -> Image.Image:
    size = (max(1, round(image.width * across)), max(1, round(image.height * down)))
    return image.resize(size, Image.Resampling.BILINEAR)


def cut_closer(image: Image.Image) -> Image.Image:
    """Cut out again, a pixel closer to the object all around."""
    closer = image.copy()
    closer.putalpha(image.getchannel("A").filter(ImageFilter.MinFilter(3)))
    return closer


def without_feet(image: Image.Image) -> Image.Image:
    """The lowest tenth of the object is cut off."""
    left, top, right, bottom = object_box(np.asarray(image.getchannel("A")))
    return image.crop((left, top, right, max(top + 1, round(bottom - (bottom - top) / 10))))


def centre_of(image: Image.Image, side: float) -> Image.Image:
    """The middle of the image, of ``side`` of its width and height."""
    width, height = image.size
    across, down = width * (1 - side) / 2, height * (1 - side) / 2
    return image.crop((round(across), round(down), round(width - across), round(height - down)))


Alteration = Callable[[Image.Image], Image.Image]
BOTH: dict[str, Alteration] = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "encoded again": lambda image: encoded(image, 40),
    "halved": lambda image: resized(image, 0.5, 0.5),
    "stretched 10 %": lambda image: resized(image, 1.1, 1),
    "paler": graded,
}
ALTERATIONS: dict[str, dict[str, Alteration]] = {
    "segment": {**BOTH, "other colours": swapped, "cut out closer": cut_closer, "feet cut off": without_feet},
    "background": {**BOTH, **{f"centre {side:.0%}": lambda image, side=side: centre_of(image, side) for side in CROPS}},
}


class Compared:
    """What the limits are applied to: differences of pairs of images, [M] each."""

    def __init__(self, kind: str, one: "Hashes", other: "Hashes", pairs: tuple[np.ndarray, np.ndarray]):
        self.kind = kind
        first, second = pairs
        self.colours = _bits(one.colours[first], other.colours[second], other.mirrored[second])
        self.mean = np.abs(one.means[first] - other.means[second]).max(axis=1)
        self.aspect = np.exp(np.abs(np.log(one.aspects[first]) - np.log(other.aspects[second])))
        if kind == "segment":
            self.silhouette = _bits(one.silhouettes[first], other.silhouettes[second], other.flipped[second])
        else:
            self.centres = {
                side: np.minimum(
                    _bits(one.centres[side][first], other.colours[second], other.mirrored[second]),
                    _bits(other.centres[side][second], one.colours[first], one.mirrored[first]),
                )
                for side in _CENTRES
            }
        compared = [self.centres[side] for side in CHOSEN["CENTRES"]] if kind == "background" else [self.silhouette]
        #: By the nearest of the hashes that are compared.
        self.nearest = np.minimum.reduce([self.colours, *compared])

    def alike(self, **changes) -> np.ndarray:
        """Bool [M]: which pairs are alike under the chosen limits, with some of them changed."""
        limits = {**CHOSEN, **changes}
        if self.kind == "segment":
            shapes = (self.silhouette <= limits["SILHOUETTE_BITS"]) & (self.aspect <= limits["SILHOUETTE_ASPECT"])
            return shapes | (self.colours <= limits["COLOUR_BITS"]) & (self.aspect <= limits["COLOUR_ASPECT"])
        nearest = np.minimum.reduce([self.colours, *(self.centres[side] for side in limits["CENTRES"])])
        return (nearest <= limits["BACKGROUND_BITS"]) & (self.mean <= limits["BACKGROUND_COLOUR"])

    def leaks(self, **changes) -> np.ndarray:
        """Bool [M]: which pairs the audit calls a leak, where they are in two splits."""
        return self.nearest < {**CHOSEN, **changes}["THRESHOLD"]

    def duplicates(self, **changes) -> np.ndarray:
        """Bool [M]: which pairs are near-duplicates."""
        limits = {**CHOSEN, **changes}
        return (self.colours <= limits["duplicate bits"]) & (self.mean <= limits["DUPLICATE_COLOUR"])


class Hashes:
    """The signatures of N images as arrays; backgrounds have those of their centres by the side's share."""

    def __init__(self, kind: str, images: list[Image.Image]):
        signatures: list[Signature] = [
            (segment_signature if kind == "segment" else background_signature)(image) for image in images
        ]
        self.colours = np.array([found.colours for found in signatures])
        self.mirrored = np.array([found.mirrored_colours for found in signatures])
        self.means = np.array([found.mean_colour for found in signatures])
        self.aspects = np.array([found.aspect for found in signatures])
        if kind == "segment":
            self.silhouettes = np.array([found.silhouette for found in signatures])
            self.flipped = np.array([found.mirrored_silhouette for found in signatures])
        else:
            self.centres = {
                side: np.array([background_signature(centre_of(image, side)).colours for image in images])
                for side in _CENTRES
            }


def _bits(hashes: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """[M]: in how many bits each row of ``hashes`` differs from that row of the ``others`` that is nearest."""
    return np.minimum.reduce([np.count_nonzero(hashes != other, axis=1) for other in others])


def candidates(one: Hashes, kind: str, most: int = _MOST) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of images that any of the tried limits could take for alike: [M] and [M]."""
    near = np.zeros((len(one.colours),) * 2, bool)
    signs = [(one.colours, (one.colours, one.mirrored))]
    if kind == "segment":
        signs.append((one.silhouettes, (one.silhouettes, one.flipped)))
    else:
        signs += [(centre, (one.colours, one.mirrored)) for centre in one.centres.values()]
    for hashes, others in signs:
        for other in others:
            near |= as_signs(hashes) @ as_signs(other).T >= hashes.shape[1] - 2 * most
    return np.nonzero(np.triu(near | near.T, k=1))


def measure(kind: str, collection: Collection, count: int, seed: int) -> dict:
    """Print the tables of one kind; give them as a record."""
    rows = collection.rows(kind)
    rows = rows.sample(min(count, len(rows)), random_state=seed)
    images = [collection.open(kind, identity) for identity in rows["id"]]
    groups = rows["group"].to_numpy()
    hashes = Hashes(kind, images)
    first, second = candidates(hashes, kind)
    # A group that was found by looks says nothing about the looks' limits.
    known = np.array([":like-" not in group for group in groups])
    related = (groups[first] == groups[second]) & known[first]
    different = Compared(kind, hashes, hashes, (first[~related], second[~related]))
    sizes = rows["group"][known].value_counts()
    n_related = int((sizes * (sizes - 1) // 2).sum())
    n_pairs = len(images) * (len(images) - 1) // 2 - n_related
    itself = (np.arange(len(images)),) * 2
    copies = {
        name: Compared(kind, hashes, Hashes(kind, [alter(image) for image in images]), itself)
        for name, alter in ALTERATIONS[kind].items()
    }
    least = int(different.nearest.min(initial=_MOST + 1))
    print(f"\n{kind}s: {len(images)} of {collection.name}, {n_pairs:,} pairs of different ones")
    print(f"two different ones differ in at least {least} bits")
    record = {"images": len(images), "pairs": n_pairs, "least_bits": least, "limits": []}
    if n_related:
        alike = Compared(kind, hashes, hashes, (first[related], second[related])).alike()
        found, wrong = int(alike.sum()), int(different.alike().sum())
        record["by_hand"] = {"pairs": n_related, "found": found, "found_in_all": found + wrong}
        print(f"pairs of one group: {found / n_related:.0%} of {n_related} are found; {wrong} others are taken for one")
    for family in (kind, "duplicates", "leaks"):
        decide = "alike" if family == kind else family
        for name, tried in VALUES[family].items():
            for value in sorted((*tried, CHOSEN[name])):
                found_shares = {
                    alteration: round(100 * float(getattr(copy, decide)(**{name: value}).mean()), 1)
                    for alteration, copy in copies.items()
                }
                taken = int(getattr(different, decide)(**{name: value}).sum())
                entry = {"rule": decide, "limit": name, "value": value, "chosen": value == CHOSEN[name]}
                record["limits"].append(entry | {"different_taken": taken, "copies_found": found_shares})
    for rule, rows_of_rule in itertools.groupby(record["limits"], lambda entry: entry["rule"]):
        print(f"\n{rule}: pairs of different images taken for it, and copies found, in per cent")
        print(table(list(rows_of_rule)))
    return record


def table(entries: list[dict]) -> str:
    """A row for each value of a limit; the chosen one has a star."""
    lines = {
        f"{entry['limit']} {entry['value'] or 'none'}{' *' if entry['chosen'] else ''}": {
            "pairs": entry["different_taken"],
            **entry["copies_found"],
        }
        for entry in entries
    }
    return pd.DataFrame.from_dict(lines, orient="index").to_string()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("collection", nargs="?", default="mini", help="mini, or a folder")
    parser.add_argument("--images", type=int, default=1000, help="at most so many of each kind")
    parser.add_argument("--seed", type=int, default=0, help="which images, where there are more")
    asked = parser.parse_args()
    collection = Collection(asked.collection)
    found = {kind: measure(kind, collection, asked.images, asked.seed) for kind in ("segment", "background")}
    record = {"collection": collection.name, "data_hash": collection.hash, **found}
    print(write_record(f"thresholds-{collection.name}", record, "cpu").name)


if __name__ == "__main__":
    main()
