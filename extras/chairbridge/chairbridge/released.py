"""The layout of the paper's authors: ``{train,val,test}/{image,mask}/N.png``, and a note about groups.

:class:`chairlib.ReleasedChairSegments` reads it, and so does everything of chairlib that takes a collection.
"""

from pathlib import Path

import pandas as pd

from chairbridge.composites import Composites
from chairbridge.layout import BaseLayout
from chairlib.compositing.released import NOTE
from chairlib.core.files import write_json


class Layout(BaseLayout):
    """The authors' layout."""

    title = "the layout of the paper's authors"
    usage = """\
- `train/image/N.png` is an image and `train/mask/N.png` its mask; `val/` and `test/` are the same.
- `source.json` has the group of each composite, by split, in the order of the numbers N.

```python
from chairlib import ReleasedChairSegments

train = ReleasedChairSegments("PATH", "train")
image, mask = train[0]  # Pillow images; train.groups has the groups
```
"""

    def image_file(self, split: str, index: int) -> str:
        return f"{split}/image/{index}.png"

    def mask_file(self, split: str, index: int) -> str:
        return f"{split}/mask/{index}.png"

    def finish(self, folder: Path, composites: Composites, table: pd.DataFrame) -> None:
        groups = {split: composites.groups(split) for split in composites.counts}
        write_json(folder / NOTE, {"source": "chair_segments", "name": composites.collection.name, "groups": groups})
