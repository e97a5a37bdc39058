"""What the models of a report predict for the same test composites, for a reader to look through.

The composites are chosen by one rule, so none is picked for its looks: all test composites are sorted by their IoU,
the mean over the models shown, and taken at even steps from the lowest to the highest.
"""

from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML

from chairboard.browser import browse
from chairlib.benchmark import examples, previews
from chairlib.benchmark.comparison import load_model
from chairlib.benchmark.describe import model_title
from chairlib.benchmark.evaluation import predict
from chairlib.benchmark.report import Report
from chairlib.compositing.image_sets import to_arrays
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ChairlibError
from chairlib.core.runs import Record
from chairlib.show.boxes import absent


def browse_predictions(report: Report, resolution: int = 64, count: int = 30) -> HTML:
    """:func:`chairboard.browser.browse` of :func:`predict_test_images`; a line where nothing is found.

    Of several sets of terms, the runs of that with the most: only they were scored on the same composites.
    """
    found = predict_test_images(report.parts()[0], resolution, count)
    if found:
        return browse(**found)
    return absent(
        f"The predictions of each model: this build holds no model at {resolution} × {resolution} pixels "
        "that has an IoU."
    )


def predict_test_images(report: Report, resolution: int = 64, count: int = 30) -> dict[str, Any]:
    """Arguments of :func:`chairboard.browser.browse`: one run a model, the best model first. Or empty.

    ``report``: runs of the same terms, see :meth:`chairlib.benchmark.report.Report.parts`. ``count``: composites at
    most. Runs without an IoU, and those whose weights are not here or do not fit the model any more, are left out, and
    ``note`` says why. Empty where no run at ``resolution`` pixels remains.
    """
    records = [records[0] for records in report.configurations().values()]
    at_size = [record for record in records if record.settings.resolution == resolution]
    scored = [record for record in at_size if record.metrics["test"]["iou"] is not None]
    found = {report.label(record): record for record in sorted(scored, key=lambda one: -one.metrics["test"]["iou"])}
    why = "is left out: it has no IoU, since no composite that it was scored on has enough chair pixels."
    left_out = [f"{report.label(record)} {why}" for record in at_size if record.metrics["test"]["iou"] is None]
    models = {}
    for label, record in found.items():
        try:
            models[label] = load_model(record)
        except ChairlibError as error:
            left_out.append(f"{label} is left out: {error}")
    if not models:
        return {}
    settings = next(found[label] for label in models).settings
    loader = CompositeLoader(settings.data, "test", resolution, device="cpu", limit=settings.test_images)
    ious = mean_ious([found[label] for label in models])
    chosen = spread_over(ious, count)
    batch, masks = loader.image_set.batch(loader.indices[chosen])
    images, targets = to_arrays(batch, masks)
    rule = (
        f"Shown are {len(chosen)} of {len(ious)} test composites, chosen by a fixed rule: all are sorted by IoU (the "
        "mean over the models here) and taken at even steps from the lowest to the highest."
    )
    return {
        "images": [images],
        "targets": [targets > 127],
        "probabilities": {label: predict(model, batch)[:, 0].numpy() for label, model in models.items()},
        "note": " ".join([rule, *left_out]),
    }


def mean_ious(records: list[Record]) -> pd.Series:
    """IoU of each test composite in per cent, the mean over records; without those that are left out of the metric."""
    return pd.concat([record.table("test_images")["iou"] for record in records], axis=1).mean(axis=1).dropna()


def spread_over(ious: pd.Series, count: int) -> list[int]:
    """At most ``count`` labels of ``ious``: of the lowest, of the highest, and of even steps between, in that order."""
    order = ious.sort_values(kind="stable").index
    return order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)].tolist()


def slide_over_resolutions(report: Report) -> HTML:
    """The same test composites at every resolution that a model was trained at; a line where there is but one.

    It is the model with the most resolutions. Composites are those that each record keeps: evenly spread over all,
    whatever came of them.
    """
    main = report.parts()[0]
    models: dict[Any, dict[int, Record]] = {}
    for records in main.configurations().values():
        settings, tested = records[0].settings, records[0].metrics["test"]["n_images"]
        models.setdefault((settings.model, settings.width, tested), {})[settings.resolution] = records[0]
    # U-Net before others with as many: it is the model that the paper trains at every resolution.
    ranked = sorted(models.items(), key=lambda item: (len(item[1]), item[0][0] == "unet"))
    sizes = ranked[-1][1] if ranked else {}
    if len(sizes) < 2:
        return absent("One composite at every resolution: this build trained no model at two resolutions.")
    kept = {f"{size} × {size} px": examples(sizes[size], "fixed") for size in sorted(sizes)}
    probabilities = {size: one["probabilities"] for size, one in kept.items()}
    title = model_title(sizes[max(sizes)].settings.model, sizes[max(sizes)].settings.width)
    note = f"{title}: one model for each resolution. The test composites are evenly spread over all that were scored."
    images, targets = ([one[part] for one in kept.values()] for part in ("images", "targets"))
    return browse(images, targets, probabilities, note, steps="Resolution")


def slide_over_training(record: Record) -> HTML:
    """:func:`chairboard.browser.browse` of what a run kept of its training; a line where it kept nothing."""
    kept = previews(record)
    if not kept:
        return absent("Predictions during training: this run kept none.")
    moments = [f"{seen:,} images" for seen in kept["seen"]]
    predicted = dict(zip(moments, kept["probabilities"], strict=True))
    return browse([kept["images"]], [kept["targets"]], predicted, steps="Trained on")
