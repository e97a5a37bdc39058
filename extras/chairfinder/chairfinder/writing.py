"""Writing a collection: images that are fit for one, their manifest, and their splits by whole groups.

The paper (section 3) has 500/200/200 segments and 60/20/20 % of the backgrounds. Images of one group (near-duplicates,
colour variants, mirrored copies) must be in one split, or a model would be tested on what it was trained on. So groups
are assigned to splits, not images.
"""

import csv
import hashlib
import io
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from chairfinder.provenance import Provenance
from chairlib.collection.cells import from_cell, one_line, to_cell
from chairlib.collection.collection import (
    KINDS,
    MANIFEST,
    MANIFEST_COLUMNS,
    OPTIONAL_COLUMNS,
    Collection,
    check_manifest,
    image_file,
)
from chairlib.collection.groups import group_labels
from chairlib.core.errors import CollectionError
from chairlib.core.files import atomic_folder

#: How many segments of each split for how many of the others, as in the paper.
SEGMENT_RATIOS: Mapping[str, float] = {"train": 500, "val": 200, "test": 200}
#: The same for backgrounds.
BACKGROUND_RATIOS: Mapping[str, float] = {"train": 60, "val": 20, "test": 20}
_RATIOS = {"segment": SEGMENT_RATIOS, "background": BACKGROUND_RATIOS}


@dataclass(frozen=True)
class Item:
    """One image that is to be written to a collection: ``data`` is the finished file, an RGBA PNG or an RGB JPEG."""

    kind: str
    data: bytes
    width: int
    height: int
    group: str
    provenance: Provenance


def write_collection(
    out: str | Path, items: Iterable[Item], seed: int = 0, extra_files: Mapping[str, str] | None = None
) -> Collection:
    """Write ``items`` as a new collection in the folder ``out``, assign splits, and open it.

    ``items`` are written one at a time; their order is the manifest's. ``extra_files`` are texts by file name to stand
    beside the manifest, CSV tables with apostrophes before formulas. The folder appears whole or not at all; ``out``
    must be absent or empty. Raises CollectionError where an image is given twice or a kind has too few groups,
    ChairlibError where ``out`` can't be written.
    """
    out = Path(out).expanduser()
    with atomic_folder(out) as folder:
        fill_collection(folder, out, items, seed, extra_files)
    return Collection(out)


def fill_collection(
    folder: Path, out: Path, items: Iterable[Item], seed: int = 0, extra_files: Mapping[str, str] | None = None
) -> None:
    """What :func:`write_collection` does, in a ``folder`` that is there and empty. ``out``: its name in messages."""
    for kind in KINDS:
        image_file(folder, kind, "").parent.mkdir()
    manifest = pd.DataFrame(
        [_write_item(folder, item) for item in items], columns=[*MANIFEST_COLUMNS, *OPTIONAL_COLUMNS]
    )
    manifest = manifest.drop(columns=[name for name in OPTIONAL_COLUMNS if not manifest[name].any()])
    for kind in KINDS:
        of_kind = manifest["kind"] == kind
        try:
            manifest.loc[of_kind, "split"] = assign_splits(manifest.loc[of_kind, "group"].tolist(), _RATIOS[kind], seed)
        except CollectionError as error:
            raise CollectionError(f"too few {kind}s: {error}") from None
    check_manifest(manifest, out)
    manifest.map(to_cell).to_csv(folder / MANIFEST, index=False, lineterminator="\n")
    for name, text in (extra_files or {}).items():
        text = guard_table(text) if name.endswith(".csv") else text
        (folder / name).write_text(text, encoding="utf-8")


def _write_item(folder: Path, item: Item) -> dict[str, str | int]:
    identity = hashlib.sha256(item.data).hexdigest()[:16]
    image_file(folder, item.kind, identity).write_bytes(item.data)
    columns = {name: getattr(item, name) for name in ("kind", "width", "height", "group")}
    return {**columns, **asdict(item.provenance), "id": identity, "split": ""}


def guard_table(text: str) -> str:
    """A CSV table with :func:`one_line` and, once, :func:`to_cell` on every cell; ``text`` itself if none changes."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    guarded = [[to_cell(one_line(from_cell(cell))) for cell in row] for row in rows]
    if guarded == rows:
        return text
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(guarded)
    return stream.getvalue()


def assign_splits(groups: Iterable[Any], ratios: Mapping[str, float], seed: int) -> list[str]:
    """The split of each element, whole groups only.

    ``groups`` names the group of each element, as :func:`group_labels` takes them; ``ratios`` gives each split's
    weight (any positive numbers). The numbers of elements are as near to the ratios as the groups allow, and no split
    is empty. The result does not depend on the elements' order. Raises CollectionError where there are fewer groups
    than splits, ParameterError where an element's group is missing.
    """
    groups = group_labels(groups)
    sizes = Counter(groups)
    if len(sizes) < len(ratios):
        raise CollectionError(
            f"{len(sizes)} group{'' if len(sizes) == 1 else 's'} of alike images cannot be split into "
            f"{', '.join(ratios)}: at least {len(ratios)} are needed; add images that differ more."
        )
    deficits = _targets(len(groups), ratios)
    generator = random.Random(str(seed))  # a string, because the signs of numbers are ignored
    draws = {group: generator.random() for group in sorted(sizes, key=str)}
    split_of: dict[Any, str] = {}
    empty = set(ratios)
    # Large groups first: the small ones that follow fill what is left.
    for number, group in enumerate(sorted(sizes, key=lambda group: (-sizes[group], draws[group]))):
        must_fill = len(sizes) - number <= len(empty)
        open_splits = [split for split in ratios if split in empty or not must_fill]
        split = _choose(open_splits, deficits, sizes[group], generator)
        split_of[group] = split
        deficits[split] -= sizes[group]
        empty.discard(split)
    return [split_of[group] for group in groups]


def _targets(n: int, ratios: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that add up to ``n``, by the largest remainder."""
    exact = {split: n * weight / sum(ratios.values()) for split, weight in ratios.items()}
    targets = {split: int(value) for split, value in exact.items()}
    by_remainder = sorted(ratios, key=lambda split: targets[split] - exact[split])
    for split in by_remainder[: n - sum(targets.values())]:
        targets[split] += 1
    return targets


def _choose(splits: Sequence[str], deficits: Mapping[str, int], size: int, generator: random.Random) -> str:
    """A random split with room for ``size`` elements, with probability proportional to its room.

    Where none has, the one with the most. Always taking that one would put all large groups into the largest split.
    """
    roomy = [split for split in splits if deficits[split] >= size]
    if not roomy:
        return max(splits, key=lambda split: deficits[split])
    return generator.choices(roomy, weights=[deficits[split] for split in roomy])[0]
