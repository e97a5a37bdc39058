"""An audit of a finished collection: does an image of one split have a near copy in another one?

Every validation and test image is compared with every training image, and every test image with every validation image;
for each, the nearest one is reported. The distance is the number of bits, 0 to 256, in which perceptual hashes differ
(:mod:`chairfinder.signatures`), the smallest of these:

* segments: the hashes of colours and of silhouettes, each compared directly and mirrored;
* backgrounds: the hashes of colours, directly and mirrored, and that of each one's centre against the other's whole.

So a copy, a mirrored copy and a variant in another colour are near; unrelated images differ in about 100 bits. Groups,
labels, shapes and mean colours, which the import also weighs, are ignored: the audit checks the splits.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chairfinder.signatures import as_signs, background_signature, segment_signature
from chairlib.collection.collection import KINDS, Collection
from chairlib.core.checks import check_count
from chairlib.core.errors import CollectionError, ParameterError
from chairlib.core.progress import progress_bar

#: Bits of a hash: distances lie between 0 and this.
HASH_BITS = 256
#: Two images of different splits that differ in fewer bits than this are a leak. ``benchmarks/thresholds.py`` finds on
#: ``mini`` that all paler, recoloured or compressed copies (JPEG quality 40) lie below it, and 99 % of mirrored ones
#: or more. Two rooms differ in at least 80 bits, two chairs in 32. Chairs at half the size (63 % are found), those that
#: were cut out anew, and other crops than the compared centres may be missed.
THRESHOLD = 24
#: (split, other split): each image of the first is compared with all images of the second.
COMPARISONS = (("val", "train"), ("test", "train"), ("test", "val"))

#: Entries of a table of distances that are computed at once. It bounds the memory: 16 MB a table, a few at a time.
BLOCK_ENTRIES = 1 << 22

Signs = NDArray[np.float32]


class Pair(NamedTuple):
    """An image and the nearest image of another split. ``str()`` gives it as text."""

    kind: str
    id: str
    split: str
    other: str
    """The nearest image's id."""
    other_split: str
    bits: int
    """Their distance, 0 to 256."""
    by: str
    """The hash with that distance: ``silhouette``, ``colours`` or ``centre``."""

    def __str__(self) -> str:
        pair = f"{self.kind}s {self.id} ({self.split}) and {self.other} ({self.other_split})"
        return f"{pair} differ in {self.bits} bits of {HASH_BITS} ({self.by})"


@dataclass(frozen=True)
class LeakageReport:
    """The result of an audit. ``str()`` gives it as text."""

    collection: Collection
    nearest: pd.DataFrame
    """A row for each image and other split, nearest first; its columns are the fields of :class:`Pair`."""

    def worst(self, n: int, kind: str | None = None) -> list[Pair]:
        """The ``n`` nearest pairs (fewer where there are no more), of both kinds or of one, nearest first."""
        check_count("n", n)
        found = self.nearest if kind is None else self.nearest[self.nearest["kind"] == kind]
        return [Pair(*row) for row in found[list(Pair._fields)].head(n).itertuples(index=False, name=None)]

    def summary(self, threshold: int = THRESHOLD) -> pd.DataFrame:
        """A row for each kind and comparison.

        Columns: ``kind``, ``split``, ``other_split``, ``images``, ``least`` and ``median`` (bits), ``closer`` (images
        with fewer bits than ``threshold``). Raises ParameterError unless that is a whole number in [0, 256].
        """
        check_count("the threshold in bits", threshold, least=0, most=HASH_BITS)
        found = self.nearest.assign(closer=self.nearest["bits"] < threshold)
        table = found.groupby(["kind", "split", "other_split"]).agg(
            images=("bits", "size"), least=("bits", "min"), median=("bits", "median"), closer=("closer", "sum")
        )
        return table.reindex([(kind, *splits) for kind in KINDS for splits in COMPARISONS]).reset_index()

    def __str__(self) -> str:
        table = self.summary().drop(columns="closer").rename(columns={"other_split": "against"})
        table["kind"] += "s"
        lines = [
            f"{self.collection.name}  (data hash {self.collection.hash})",
            f"\nbits of {HASH_BITS} in which the nearest image of another split differs",
            table.to_string(index=False, float_format="{:.0f}".format),
            "\nnearest pairs",
        ]
        return "\n".join([*lines, *(f"  {pair}" for pair in self.worst(3))])


def audit(collection: Collection, progress: bool = False) -> LeakageReport:
    """Find each validation and test image's nearest image in another split.

    Raises CollectionError where an image is damaged.
    """
    found = [_nearest_of_kind(collection, kind, progress) for kind in KINDS]
    # Pairs of the same distance are sorted by id, so that the same images give the same report.
    nearest = pd.concat(found, ignore_index=True).sort_values(["bits", "id", "other"], ignore_index=True)
    return LeakageReport(collection, nearest)


def check(report: LeakageReport, threshold: int = THRESHOLD, most: float = 0.0) -> None:
    """Raise CollectionError, naming the nearest pair, where images of two splits are closer than ``threshold`` bits.

    most: the share of val and test images of a kind, in [0, 1], that may be that close to another split. Raises
    ParameterError where it lies outside [0, 1], and as :meth:`LeakageReport.summary` does.
    """
    if not 0 <= most <= 1:
        raise ParameterError(f"the share of near-duplicates that is let through must lie in [0, 1]; found {most!r}.")
    for kind, pairs in report.summary(threshold).groupby("kind", sort=False):
        count = int(pairs["closer"].sum())
        n_scored = sum(len(report.collection.rows(str(kind), split)) for split in ("val", "test"))
        if count > most * n_scored:
            allowed = f", at most {most:.0%} may" if most else ""
            raise CollectionError(
                f"{report.collection.root}: {report.worst(1, str(kind))[0]}, fewer than {threshold}, so they are "
                f"near-duplicates ({count} of {n_scored} {kind}s of val and test have one{allowed}); put such images "
                "into one group, or take one of them out, and make the collection again."
            )


def _nearest_of_kind(collection: Collection, kind: str, progress: bool) -> pd.DataFrame:
    rows = collection.rows(kind)
    sign = segment_signature if kind == "segment" else background_signature
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda identity: sign(collection.open(kind, identity)), rows["id"])
        bar = progress_bar(found, f"comparing {kind}s", total=len(rows), unit="image", disable=not progress)
        signatures = list(bar)
    colours, mirrored = (as_signs([getattr(s, name) for s in signatures]) for name in ("colours", "mirrored_colours"))
    hashes = [("colours", colours, colours), ("colours", colours, mirrored)]
    if kind == "segment":
        names = ("silhouette", "mirrored_silhouette")
        silhouettes, flipped = (as_signs([getattr(s, name) for s in signatures]) for name in names)
        hashes += [("silhouette", silhouettes, silhouettes), ("silhouette", silhouettes, flipped)]
    else:
        for centres in map(as_signs, zip(*(s.centres for s in signatures), strict=True)):
            for whole in (colours, mirrored):
                hashes += [("centre", centres, whole), ("centre", whole, centres)]
    identities, splits = rows["id"].to_numpy(), rows["split"].to_numpy()
    parts = []
    for split, other in COMPARISONS:
        queries, candidates = np.flatnonzero(splits == split), np.flatnonzero(splits == other)
        index, bits, by = nearest_candidates(hashes, queries, candidates)
        columns = {"kind": kind, "id": identities[queries], "split": split, "other": identities[index]}
        parts.append(pd.DataFrame({**columns, "other_split": other, "bits": bits, "by": by}))
    return pd.concat(parts, ignore_index=True)


def nearest_candidates(
    hashes: Sequence[tuple[str, Signs, Signs]], queries: NDArray[np.intp], candidates: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.str_]]:
    """For each query: the nearest candidate's index, their distance in bits, and the name of the hash it was found by.

    ``hashes`` are (name, hashes for queries, hashes for candidates), both float32 [N, 256] of -1 and 1. ``queries`` and
    ``candidates`` are row numbers in them. At most :data:`BLOCK_ENTRIES` distances are held at once.
    """
    names, of_queries, of_candidates = zip(*hashes, strict=True)
    step = max(1, BLOCK_ENTRIES // len(candidates))
    found = []
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        best = np.full((len(block), len(candidates)), -np.inf, dtype=np.float32)
        by = np.zeros(best.shape, dtype=np.intp)
        for number, (one, other) in enumerate(zip(of_queries, of_candidates, strict=True)):
            agreement = one[block] @ other[candidates].T
            by[agreement > best] = number
            np.maximum(best, agreement, out=best)
        nearest = np.arange(len(block)), best.argmax(axis=1)
        found.append((candidates[nearest[1]], best[nearest], by[nearest]))
    index, agreed, by_hash = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return index, ((HASH_BITS - agreed) // 2).astype(np.int64), np.array(names)[by_hash]
