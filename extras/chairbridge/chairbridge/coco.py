"""COCO's format: ``images/`` and an ``instances_*.json`` for each split. Masks are compressed run lengths.

Written by pycocotools' own encoder. A composite without a pixel of chair has an image and no annotation. Numbers of
images and annotations begin at 1 and go on from split to split, so that the three files can be joined.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chairbridge.composites import NOT_STATED, Composites, Options
from chairbridge.layout import BaseLayout
from chairbridge.libraries import need
from chairlib.core.errors import ParameterError

#: COCO's number of the one category.
_CHAIR = 1


class Layout(BaseLayout):
    """COCO's format for instances. Raises :class:`ParameterError` for soft masks, which run lengths cannot hold."""

    title = "COCO's format for instances"
    has_masks = False
    usage = """\
- `images/` has the images of all splits.
- `instances_train.json`, `instances_val.json` and `instances_test.json` have the masks, as compressed run lengths,
  with area and box. An image without a pixel of chair has no annotation.

```python
from pycocotools.coco import COCO

coco = COCO("PATH/instances_train.json")
image = coco.loadImgs(coco.getImgIds()[0])[0]  # its "file_name" is in PATH/images
masks = [coco.annToMask(one) for one in coco.imgToAnns[image["id"]]]
```
"""

    def __init__(self, options: Options):
        if options.soft:
            raise ParameterError("soft True does not go with format 'coco', whose masks are 0 and 1; leave one out.")
        super().__init__(options)
        self._encoder = need("pycocotools.mask", "COCO's format")
        self._runs: dict[str, list[dict[str, Any]]] = {}

    def image_file(self, split: str, index: int) -> str:
        return f"images/{split}-{index:06}.png"

    def describe(self, masks: np.ndarray) -> list[Any]:
        columns = np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8))
        return [{**runs, "counts": runs["counts"].decode("ascii")} for runs in self._encoder.encode(columns)]

    def add(self, split: str, described: list[Any]) -> None:
        self._runs.setdefault(split, []).extend(described)

    def finish(self, folder: Path, composites: Composites, table: pd.DataFrame) -> None:
        names = table.apply(_licence_of, axis=1)
        licences = list(dict.fromkeys(names))
        shared = {
            "info": {
                "description": f"Chair Segments composites of {composites.collection.name}",
                "version": composites.collection.hash,
                "contributor": "see composites.csv",
            },
            "licenses": [
                {"id": number, "name": name, "url": _address_of(table, names, name)}
                for number, name in enumerate(licences, 1)
            ],
            "categories": [{"id": _CHAIR, "name": "chair", "supercategory": "furniture"}],
        }
        table = table.assign(id=range(1, len(table) + 1), license=names.map(licences.index) + 1)
        n_annotations = 0
        for split, runs in self._runs.items():
            images = self._images(table[table["split"] == split])
            marked = [(one, mask) for one, mask in zip(images, runs, strict=True) if self._encoder.area(mask)]
            annotations = [
                self._annotation(number, image["id"], mask)
                for number, (image, mask) in enumerate(marked, n_annotations + 1)
            ]
            n_annotations += len(annotations)
            content = json.dumps({**shared, "images": images, "annotations": annotations})
            (folder / f"instances_{split}.json").write_text(content, encoding="utf-8")

    def _images(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """COCO's entries of images, with the group and the parts of each as entries of our own."""
        side = self.options.resolution
        own = rows[["id", "file", "license", "group", "segment", "background"]].rename(columns={"file": "file_name"})
        own = own.assign(file_name=own["file_name"].str.removeprefix("images/"), width=side, height=side)
        return [{str(key): value for key, value in row.items()} for row in own.to_dict("records")]

    def _annotation(self, identity: int, image: int, runs: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": identity,
            "image_id": image,
            "category_id": _CHAIR,
            "segmentation": {"size": runs["size"], "counts": runs["counts"]},
            "area": int(self._encoder.area(runs)),
            "bbox": self._encoder.toBbox(runs).tolist(),
            "iscrowd": 0,
        }


def _licence_of(row: Any) -> str:
    """The licence of a composite in words: that of both parts, or each part's own."""
    segment, background = row["segment_licence"] or NOT_STATED, row["background_licence"] or NOT_STATED
    return segment if segment == background else f"segment: {segment}; background: {background}"


def _address_of(table: pd.DataFrame, names: pd.Series, name: str) -> str:
    """Where the text of a licence is; empty where the manifest has no address, or two parts have two licences."""
    addresses = {*table.loc[names == name, ["segment_licence_url", "background_licence_url"]].to_numpy().flatten()}
    return addresses.pop() if len(addresses) == 1 else ""
