"""The composites of a collection, what each is made of, and what was measured while their files were written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch

from chairlib.collection import SPLITS, Collection
from chairlib.compositing.blend import Placement
from chairlib.compositing.image_sets import BACKGROUNDS_PER_SEGMENT, CompositeSet

#: What stands for a licence where a manifest has none.
NOT_STATED = "not stated"
#: Composites that are blended at once. An export that was stopped goes on at the batch that was not finished.
BATCH = 512
#: Columns of a manifest that the table of contents repeats for each part. ``address`` is the page that shows an image,
#: or where there is none the image's own address.
_COLUMNS = ("author", "licence", "licence_url", "source", "address")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How composites are made: see :class:`chairlib.compositing.image_sets.CompositeSet`."""

    resolution: int = 64
    soft: bool = False
    fit: Placement = "stretch"
    crop: bool = False
    backgrounds_per_segment: int = BACKGROUNDS_PER_SEGMENT
    pair_seed: int = 0


class Composites:
    """All composites of a collection, by split."""

    def __init__(self, collection: Collection, options: Options):
        self.collection, self.options = collection, options
        own = {name: value for name, value in vars(options).items() if name != "resolution"}
        self._sets = {
            split: CompositeSet(collection, split, options.resolution, torch.device("cpu"), **own) for split in SPLITS
        }

    @property
    def counts(self) -> Mapping[str, int]:
        """How many composites each split has."""
        return {split: len(of_split) for split, of_split in self._sets.items()}

    def groups(self, split: str) -> list[str]:
        """The group of each composite: that of its segment."""
        return list(self._sets[split].groups or [])

    def batches(self, split: str) -> list[list[int]]:
        """The numbers of the composites, by batch."""
        return [batch.tolist() for batch in torch.arange(len(self._sets[split])).split(BATCH)]

    def blend(self, split: str, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Images float [B, 3, d, d] in [0, 1], and masks float [B, 1, d, d], of the composites of these numbers."""
        return self._sets[split].batch(torch.tensor(indices))

    def contents(self, split: str) -> pd.DataFrame:
        """A row for each composite: the ids, groups, authors, licences and sources of its segment and background."""
        pairs = self._sets[split].pairs.cpu().numpy()
        parts = []
        for column, kind in enumerate(("segment", "background")):
            rows = self.sources(kind, split).iloc[pairs[:, column]].reset_index(drop=True)
            parts.append(rows.rename(columns={"id": kind, **{name: f"{kind}_{name}" for name in ("group", *_COLUMNS)}}))
        table = pd.concat(parts, axis=1).rename(columns={"segment_group": "group"})
        table.insert(0, "split", split)
        return table

    def sources(self, kind: str, split: str | None = None) -> pd.DataFrame:
        """The segments or backgrounds: id, group, author, licence, its address, source, and the image's address."""
        rows = self.collection.rows(kind, split)
        for optional in ("licence_url", "landing_page"):
            if optional not in rows:
                rows[optional] = ""
        rows["address"] = rows["landing_page"].where(rows["landing_page"] != "", rows["url"])
        return rows[["id", "group", *_COLUMNS]]

    def licences(self) -> pd.DataFrame:
        """How many segments and backgrounds have each licence: columns ``segment`` and ``background``."""
        counts: dict[str, Any] = {
            kind: self.sources(kind)["licence"].replace("", NOT_STATED).value_counts()
            for kind in ("segment", "background")
        }
        return pd.DataFrame(counts).fillna(0).astype(int)


@dataclass
class Written:
    """What is known of files that were written: names, SHA-256, the share of pixels that are chair."""

    file: list[str] = field(default_factory=list)
    mask_file: list[str] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)
    mask_sha256: list[str] = field(default_factory=list)
    foreground_share: list[float] = field(default_factory=list)

    def columns(self) -> dict[str, list[Any]]:
        """Those that have values: a format without mask files has neither their names nor their hashes."""
        return {name: values for name, values in vars(self).items() if values}

    def files(self) -> list[tuple[str, str]]:
        """Name and SHA-256 of every image and mask."""
        return [*zip(self.file, self.sha256, strict=True), *zip(self.mask_file, self.mask_sha256, strict=True)]

    def add(self, other: "Written") -> None:
        """Take in what is known of the files that follow these."""
        for name, values in vars(self).items():
            values += getattr(other, name)
