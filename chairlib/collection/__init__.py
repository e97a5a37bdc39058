"""Collections of segments and backgrounds: where they come from, which are fit, and how they are split (section 3 of the paper).

Making one is :mod:`chairfinder.importing` (folders of images) and :mod:`chairmaker` (rendered);
describing one is :mod:`chairlib.collection.info`. None of them is imported here, so that opening a collection stays quick.
"""

from chairlib.collection.collection import KINDS, MANIFEST_COLUMNS, Collection, Item, write_collection
from chairlib.collection.splits import SPLITS

__all__ = ["KINDS", "MANIFEST_COLUMNS", "SPLITS", "Collection", "Item", "write_collection"]
