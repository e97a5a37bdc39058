"""Chapter 01: collections of segments and backgrounds, and their splits (section 3 of the paper).

Collections are made by the packages in the folder ``extras/`` of the repository (imported, collected, rendered), and
described by :mod:`chairlib.collection.info`, which is not imported here: opening a collection stays quick.
"""

from chairlib.collection.collection import KINDS, MANIFEST_COLUMNS, SPLITS, Collection

__all__ = ["KINDS", "MANIFEST_COLUMNS", "SPLITS", "Collection"]
