"""Protocols: which photos of a category train, validate and test. Every table and figure names its protocol.

``authors``
    The labelled images of the full folder, sorted by id: the first 80 % train, the rest validate. There is no test
    split. On the release itself these are the id lists that the authors' code once held.
``subset100``
    The labelled images of the 100-image folder test. Those of the full folder that are not among them train and
    validate, 80/20 in order of id. It is the one that can stand beside the literature's rows.
``folds``
    Five folds over the labelled images of the full folder, so that each image is tested once: for small sets. Images
    are dealt to folds in the order of a hash of their id. (Frames of one video may be dealt to several folds.)
"""

import hashlib
from collections.abc import Iterable, Sequence

from chairlib.collection import SPLITS
from chairlib.core import paths
from chairlib.core.checks import check_choice, check_count
from chairlib.core.errors import ParameterError

#: The categories in the order of the paper's tables, and the folders they are in.
CATEGORIES = {"car": "Car", "horse": "Horse", "airplane": "Airplane"}
#: Ways to share photos out into training, validation and test.
PROTOCOLS = ("authors", "subset100", "folds")
#: Number of folds of the protocol ``folds``.
FOLDS = 5


def split_off(ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first 80 %, rounded down, and the rest: 448 and 113 of 561, as in the authors' lists."""
    count = len(ids) * 4 // 5
    return list(ids[:count]), list(ids[count:])


def stable_order(ids: Iterable[str], salt: str = "") -> list[str]:
    """The ids shuffled by a hash of each: the same order on every machine, whatever other ids there are."""
    return sorted(ids, key=lambda identity: hashlib.sha256(f"{salt}/{identity}".encode()).digest())


def fold_ids(ids: Sequence[str], fold: int) -> dict[str, list[str]]:
    """Ids by split: those of ``fold`` test, and a tenth of the rest (at least one) validates."""
    test = stable_order(ids)[fold::FOLDS]
    rest = stable_order(set(ids) - set(test), f"fold {fold}")
    count = max(1, len(rest) // 10)
    return {"train": sorted(rest[count:]), "val": sorted(rest[:count]), "test": sorted(test)}


def _read_ids(category: str, name: str) -> list[str]:
    """A list of the paper's, or none for a category of one's own."""
    file = paths.published / "object-discovery-splits" / f"{category}_{name}.txt"
    return file.read_text(encoding="utf-8").split() if category in CATEGORIES else []


def published_ids(category: str) -> dict[str, list[str]]:
    """The authors' own id lists of the full release: ``{"train": [...], "val": [...]}``."""
    return {split: _read_ids(category, split) for split in ("train", "val")}


def figure_ids(category: str) -> list[str]:
    """The ids of the photos in the paper's Figure 5: four or five validation images of the ``authors`` protocol."""
    return _read_ids(category, "figure")


def check_protocol(protocol: str, split: str, fold: int) -> None:
    """Raise :class:`ParameterError` for an unknown protocol, split or fold, and for those that do not go together."""
    check_choice("protocol", protocol, PROTOCOLS)
    check_choice("split", split, SPLITS)
    if protocol == "authors" and split == "test":
        raise ParameterError(
            "protocol 'authors' has no test split: the paper's figures are most likely of 'val'. "
            "Use that, or protocol 'subset100' or 'folds'."
        )
    if protocol != "folds" and fold != 0:
        raise ParameterError(
            f"fold {fold!r} means something under protocol 'folds' only; leave it at 0 for {protocol!r}."
        )
    check_count("fold", fold, least=0, most=FOLDS - 1)
