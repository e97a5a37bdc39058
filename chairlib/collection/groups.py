"""The group of each image as plain values: however groups are given, equal ones are one group."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

import pandas as pd

from chairlib.core.errors import ParameterError


def group_labels(groups: Iterable[Any], n_images: int | None = None) -> list[Any]:
    """The label of each image's group [N], as text or a number (or a tuple of such).

    groups: one label per image in order, as a list, NumPy array, tensor, pandas column (categorical too) or any other
    ordered collection of one dimension. Numbers may be Python's, NumPy's or tensors without dimensions; 1 and 1.0 are
    one group. n_images: how many there must be.

    Raises ParameterError for another number of labels, for a label that is missing (None, NaN, pandas.NA) or is no
    single value, and for labels that differ but read alike, as 1 and "1" do.
    """
    unordered = not isinstance(groups, Iterable) or isinstance(groups, str | bytes | Mapping | Set)
    if unordered or getattr(groups, "ndim", 1) != 1:
        shape = f" of shape {list(groups.shape)}" if hasattr(groups, "shape") else ""
        raise ParameterError(
            f"groups must be one label per image, in order, found {type(groups).__name__}{shape}: give a list, an "
            "array [N] or one column of a table."
        )
    # A tensor equals nothing but itself: as a label, each would be a group of its own.
    values = groups.tolist() if hasattr(groups, "tolist") else groups
    labels = [label.tolist() if hasattr(label, "tolist") else label for label in values]
    if n_images is not None and len(labels) != n_images:
        raise ParameterError(f"{len(labels)} groups for {n_images} images: give one group per image, in order.")
    missing = pd.Series(labels, dtype=object).isna().tolist()
    if True in missing:
        raise ParameterError(
            f"image {missing.index(True)} has the group {labels[missing.index(True)]!r}: give every image a group, or "
            "groups=None where images are independent."
        )
    first: dict[Any, Any] = {}
    try:
        labels = [first.setdefault(label, label) for label in labels]  # 1.0 after 1 is 1 everywhere
    except TypeError as error:
        raise ParameterError(f"a group must be one text or number, found {error}: give one label per image.") from error
    by_text: dict[str, Any] = {}
    for label in first:
        if (other := by_text.setdefault(str(label), label)) is not label:
            raise ParameterError(f"groups {other!r} and {label!r} differ but read alike: give all labels one type.")
    return labels
