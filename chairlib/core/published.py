"""The paper's own numbers: Tables 1 to 5 as printed, the all-background baseline, and the slips to show beside them.

Every function returns a new, tidy DataFrame. The numbers are as printed, slips included; :data:`SLIPS` says what does
not add up, and where. Models are named as in :data:`chairlib.benchmark.models.MODELS`.
"""

import pandas as pd

from chairlib.core import paths

__all__ = [
    "ALL_BACKGROUND_PRECISION",
    "FOREGROUND_SHARE",
    "MODEL_TITLES",
    "SLIPS",
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
]

#: What the paper calls its models.
MODEL_TITLES = {
    "unet": "U-Net",
    "fcn_vgg16": "FCN-VGG-16",
    "fcn_resnet50": "FCN-ResNet-50",
    "fcn_resnet101": "FCN-ResNet-101",
}
#: Precision, in per cent, of calling every pixel background (section 5.2, "Is Chair Segments solved?").
ALL_BACKGROUND_PRECISION = 78.01
#: The share of pixels that are chair, in per cent, which that baseline implies.
FOREGROUND_SHARE = 21.99

#: What does not add up in the paper, by the table or figure it stands in. Shown where it matters, never mended.
SLIPS: dict[str, tuple[str, ...]] = {
    str(at): tuple(texts) for at, texts in pd.read_csv(paths.published / "slips.csv").groupby("at")["slip"]
}


def table1() -> pd.DataFrame:
    """Time to converge and best IoU by resolution: model, resolution (pixels), hours, iou (%)."""
    return _read(1)


def table2() -> pd.DataFrame:
    """The benchmark at 64 x 64: model, precision (%), iou (%), dice (%)."""
    return _read(2)


def table3() -> pd.DataFrame:
    """Object Discovery by pretraining: model, pretraining, category, precision, iou, dice (%).

    ``pretraining``: none, chair_segments or coco_chairs.
    """
    return _read(3)


def table4() -> pd.DataFrame:
    """Object Discovery beside the literature: method, category, precision (%), iou (a FRACTION, as printed)."""
    return _read(4)


def table5() -> pd.DataFrame:
    """L2 distances in parameter space: task, and the columns ft_ft, ri_ri, ft_p and ri_p.

    Between models fine-tuned (ft) from the pretrained one (p), and models trained from random initial weights (ri).
    """
    return _read(5)


def _read(number: int) -> pd.DataFrame:
    # A pretraining of "none" is a value, not a missing one.
    return pd.read_csv(paths.published / f"table{number}.csv", keep_default_na=False)
