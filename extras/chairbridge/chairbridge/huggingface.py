"""Hugging Face's image folder: ``{train,val,test}/{images,masks}/*.png`` with a ``metadata.jsonl``, and Croissant.

``datasets.load_dataset`` gives images and masks as columns, and the groups, licences and hashes beside them.
``croissant.json`` describes the same files for other tools, see :mod:`chairbridge.croissant`.
"""

import json
from pathlib import Path

import pandas as pd

from chairbridge.composites import Composites
from chairbridge.croissant import write_croissant
from chairbridge.layout import BaseLayout

METADATA = "metadata.jsonl"
#: Hugging Face's names of the splits.
_SPLITS = {"train": "train", "val": "validation", "test": "test"}


class Layout(BaseLayout):
    """Hugging Face's image folder."""

    title = "Hugging Face's image folder"
    usage = """\
- `train/images/` has images and `train/masks/` masks of the same names; `val/` and `test/` are the same.
- `train/metadata.jsonl` has a line for each composite: its files and their SHA-256, its group, its licences.
- `croissant.json` describes all files and tables in [Croissant](https://docs.mlcommons.org/croissant/) 1.0.

```python
from datasets import load_dataset

data = load_dataset("PATH")  # splits train, validation, test
image, mask = data["train"][0]["image"], data["train"][0]["mask"]
```

`data.push_to_hub("NAME")` uploads it as a few Parquet files. That is faster than uploading each image.
"""

    def image_file(self, split: str, index: int) -> str:
        return f"{split}/images/{index:06}.png"

    def mask_file(self, split: str, index: int) -> str:
        return f"{split}/masks/{index:06}.png"

    def front_matter(self) -> dict[str, object]:
        files = [{"split": theirs, "path": f"{split}/**"} for split, theirs in _SPLITS.items()]
        return {"configs": [{"config_name": "default", "data_files": files}]}

    def finish(self, folder: Path, composites: Composites, table: pd.DataFrame) -> None:
        columns = {"file": "file_name", "mask_file": "mask_file_name"}
        for split in composites.counts:
            rows = table[table["split"] == split].drop(columns="split").rename(columns=columns)
            for name in columns.values():  # seen from the split's own folder
                rows[name] = rows[name].str.removeprefix(f"{split}/")
            lines = (json.dumps(row) + "\n" for row in rows.to_dict("records"))
            (folder / split / METADATA).write_text("".join(lines), encoding="utf-8")
        write_croissant(folder, composites, table, [f"{split}/{METADATA}" for split in composites.counts])
