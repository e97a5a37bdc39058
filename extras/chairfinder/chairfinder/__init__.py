"""Makes collections for chairlib: imports folders, collects from the web, screens, reviews, audits, fetches datasets.

:class:`CocoChairs`, the chairs of COCO's photos as a dataset, is imported on first use.
"""

from chairlib.core.lazy import lazy_names

__all__ = ["CocoChairs"]
__getattr__ = lazy_names(__name__, {"CocoChairs": "chairfinder.coco_chairs"})
