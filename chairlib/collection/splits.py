"""Train, validation and test splits by whole groups (paper, section 3: 500/200/200 segments, 60/20/20 % backgrounds).

Images of one group (near-duplicates, colour variants, mirrored copies) must be in one split, or a model would be tested
on what it was trained on. So groups are assigned to splits, not images.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chairlib.collection.groups import group_labels
from chairlib.core.errors import CollectionError

__all__ = ["BACKGROUND_RATIOS", "SEGMENT_RATIOS", "SPLITS", "assign_splits"]

#: The splits, in the order in which a run needs them.
SPLITS = ("train", "val", "test")
#: How many segments of each split for how many of the others, as in the paper.
SEGMENT_RATIOS: Mapping[str, float] = {"train": 500, "val": 200, "test": 200}
#: The same for backgrounds.
BACKGROUND_RATIOS: Mapping[str, float] = {"train": 60, "val": 20, "test": 20}


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
