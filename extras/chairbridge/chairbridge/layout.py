"""What a format must have: names of its files, and what is written beside images and masks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chairbridge.composites import Composites, Options


class BaseLayout:
    """A format. A subclass names its files and may write more of them."""

    #: What the data card calls it.
    title: str
    #: Whether masks are files.
    has_masks = True
    #: How to read it, for the data card: Markdown.
    usage: str

    def __init__(self, options: Options):
        self.options = options

    def image_file(self, split: str, index: int) -> str:
        """The file of a composite's image, from the top of the folder."""
        raise NotImplementedError

    def mask_file(self, split: str, index: int) -> str:
        """The file of a composite's mask, where :attr:`has_masks`."""
        raise NotImplementedError

    def describe(self, masks: np.ndarray) -> list[Any]:
        """What :meth:`add` needs to know of a batch of masks, bool [B, d, d], as JSON has it."""
        return []

    def add(self, split: str, described: list[Any]) -> None:
        """Take note of a batch of masks whose images were written, by what :meth:`describe` gave."""

    def finish(self, folder: Path, composites: Composites, table: pd.DataFrame) -> None:
        """Write what comes last; ``table`` is the table of contents, a row for each composite in order."""

    def front_matter(self) -> dict[str, object]:
        """More entries for the head of the data card."""
        return {}
