"""The paper's own numbers: Tables 1 to 5 as printed, the all-background baseline, and the slips to show beside them.

The numbers are as printed, slips included; :data:`SLIPS` says what does not add up, and where. Models are named
as in :data:`chairlib.benchmark.models.MODELS`.
"""

import pandas as pd

from chairlib.core import paths

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


def table(number: int, as_printed: bool = False) -> pd.DataFrame:
    """One of the paper's tables as a tidy DataFrame, new at each call.

    ``as_printed``: all cells are text, with as many digits as the paper gives: "0.4", "33", "78.70".

    1. Time to converge and best IoU by resolution: model, resolution (pixels), hours, iou (%).
    2. The benchmark at 64 x 64: model, precision (%), iou (%), dice (%).
    3. Object Discovery by pretraining (none, chair_segments or coco_chairs): model, pretraining, category, precision,
       iou, dice (%).
    4. Object Discovery beside the literature: method, category, precision (%), iou (a FRACTION, as printed).
    5. L2 distances in parameter space: task, and the columns ft_ft, ri_ri, ft_p and ri_p, between models fine-tuned
       (ft) from the pretrained one (p), and models trained from random initial weights (ri).
    """
    # A pretraining of "none" is a value, not a missing one.
    kind = str if as_printed else None
    return pd.read_csv(paths.published / f"table{number}.csv", keep_default_na=False, dtype=kind)
