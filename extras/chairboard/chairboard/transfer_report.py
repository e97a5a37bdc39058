"""What the chapter on fine-tuning shows: its answer in words, and its tables and figures, of a report of chairlib.

The numbers are those of :class:`chairboard.transfer_tables.TransferReport`. Here they become sentences, HTML, and, for
what a build did not compute, a line that says so.
"""

import math
from collections.abc import Iterable

import pandas as pd
from IPython.display import HTML

from chairboard.benchmark_report import METRICS, in_common, untrained
from chairboard.selection import count_pretrainings
from chairboard.transfer_tables import GAIN, TransferReport, label_of
from chairlib.benchmark.describe import mean_score, plural, predicted_all
from chairlib.core.runs import Record
from chairlib.show.boxes import absent
from chairlib.show.canvas import join_words
from chairlib.show.curves import iou_by_share, iou_over_steps, steps_to_reach
from chairlib.show.pictures import figure5 as draw_figure5
from chairlib.show.tables import style_table, switch
from chairlib.transfer.comparisons import MARKS, Gain, pooled_gain
from chairlib.transfer.protocols import CATEGORIES
from chairlib.transfer.settings import NEED_COCO, STAND_IN

#: Columns that go to a table's caption where all rows have the same, and their words there.
CONSTANTS = {
    "model": "{}",
    "seeds": "{} seeds",
    "pretrainings": "{} pretrainings",
    "share of the images, %": "{} % of the training images",
    "training images": "{} training images",
    "pretraining: recipe": "pretraining by recipe {}",
}
#: What the verdicts mean, for the line below a table.
LEGEND = (
    "▲ helps: the whole interval is above zero. ▼ hurts: it is below zero. ≈ no clear difference: it holds zero. "
    "? one seed: nothing shows the luck of training."
)


def answer(report: TransferReport) -> list[str]:
    """The answer in three sentences: the U-Net's gain from chairs over scratch, over the control, what they rest on."""
    pairs = report.pairs("unet", "none", "chair_segments")
    gain = pooled_gain(list(pairs.values()))
    if gain is None:
        return [f"No U-Net from scratch can be compared yet with one pretrained on chairs, on {report.photos}."]
    photos = "renderings" if report.data == STAND_IN else "photos"
    tuned = [record for _, of_category in pairs.values() for record in of_category]
    seeds, starts = plural(len(gain.by_seed), "seed"), plural(count_pretrainings(tuned), "pretraining")
    rests = f"This rests on {gain.n_units:,} {photos}, {seeds} and {starts}"
    if report.data == STAND_IN:
        rests += "; chairs and test images come from one renderer, so it need not hold for real photos"
    return [
        f"Pretraining on chairs {_told(gain)} over a U-Net from scratch, {_mean_of(pairs)}.",
        _against_control(report, gain),
        f"{rests}.",
    ]


def _against_control(report: TransferReport, gain: Gain) -> str:
    """What pretraining adds over a U-Net from scratch that saw as many images, and what follows where it helps."""
    pairs = report.pairs("unet", "none_equal_total", "chair_segments")
    control = pooled_gain(list(pairs.values()))
    if control is None:
        return "The control, a U-Net from scratch with as many images in all, is not in this build."
    told = _told(control, helps="does better", hurts="does worse")
    follows = {
        "helps": " So longer training alone does not explain the gain.",
        "hurts": " So here it is better to train for as long without chairs.",
        "no clear difference": " So longer training alone may explain the gain.",
    }
    return (
        f"Against the control, a U-Net from scratch with as many images in all, it {told}, {_mean_of(pairs)}."
        f"{follows.get(control.verdict, '') if gain.verdict == 'helps' else ''}"
    )


def _told(gain: Gain, **words: str) -> str:
    """A gain in words that begin with its verdict, by ``words`` where they have it."""
    words = {"no clear difference": "makes no clear difference", "one seed": "has one seed and no verdict"} | words
    points = f"{gain.mean:+.1f} points of IoU (95 % interval {gain.low:+.1f} to {gain.high:+.1f})".replace("-", "−")
    return f"{words.get(gain.verdict, gain.verdict)}: {points}"


def _mean_of(categories: Iterable[str]) -> str:
    names = list(categories)
    return f"as the mean of {join_words(names)}" if len(names) > 1 else f"on images of the category {names[0]}"


def run_answer(record: Record) -> list[str]:
    """What one run came to: its IoU, that of the weights it started from, and what it cannot say."""
    (iou, low, high), start = mean_score([record], "iou"), record.metrics["start"]["iou"]
    settings, seen = record.settings, record.content["images_seen"]
    limits = "One run shows neither the luck of training nor what pretraining adds: the next chapter compares runs."
    if math.isnan(iou):
        return [f"This run has no IoU: no scored image holds the object {settings.category}.", limits]
    interval = "no interval" if math.isnan(low) else f"95 % interval over images {low:.1f} to {high:.1f}"
    sentences = [
        f"After {seen:,} images, the model finds the object ({settings.category}) with a mean IoU of {iou:.1f} % "
        f"({interval})."
    ]
    if all_as := predicted_all(record):
        sentences.append(f"But it calls every pixel {all_as}: that is the score of a constant mask.")
    if start is not None:
        weights = "random" if settings.pretraining.startswith("none") else "pretrained"
        stage = "training" if weights == "random" else "fine-tuning"
        sentences.append(f"Before {stage}, the {weights} weights reached an IoU of {start:.1f} %.")
    return [*sentences, limits]


def gains(report: TransferReport) -> HTML:
    """What pretraining adds, and folded below it what each row rests on; a line where no two runs can be compared."""
    table = report.gains()
    if table.empty:
        return absent("What pretraining adds: it takes a run from scratch and a pretrained one with the same seed.")
    what = "What each gain rests on"
    rest = _table(report, table.drop(columns=[GAIN, "verdict"]), what, report.smallest_gain()).data
    # A comparison in a column, so that a gain stands beside its control.
    marks = [f"{gain[0]:+.1f} ({gain[1]:+.1f} to {gain[2]:+.1f})".replace("-", "−") for gain in table[GAIN]]
    table["gain"] = [f"{mark} {MARKS[verdict]}" for mark, verdict in zip(marks, table["verdict"], strict=True)]
    table["arms"] = table["arm"] + " minus " + table["compared with"]
    rows, columns = pd.MultiIndex.from_frame(table[["model", "category"]]).unique(), table["arms"].unique()
    wide = table.pivot(index=["model", "category"], columns="arms", values="gain").loc[rows, columns].reset_index()
    shown = _table(report, wide, "What pretraining adds to the IoU, in points (95 % interval)", LEGEND).data
    return HTML(f"{shown}<details><summary>{what}</summary>{rest}</details>")


def table3(report: TransferReport) -> HTML:
    """Table 3, one metric at a time."""
    tables = {title: report.table3(metric) for metric, title in METRICS.items()}
    return switch({title: _table(report, one, f"Table 3, {title}", LEGEND) for title, one in tables.items()})


def not_trained(report: TransferReport) -> HTML | None:
    """A line about rows of Table 3 that this build has not. None where it has all, or no run."""
    categories, missing = report.selection.categories, []
    for model, arm in report.rows() if report.records else []:
        lacks = [name for name in categories if not report.selection.find(model, arm, name)]
        if lacks:
            where = "" if lacks == list(categories) else f" on {join_words(lacks)}"
            needs = " (needs COCO's photos)" * (arm in NEED_COCO)
            missing.append((report.model_title(model), f"{label_of(arm)}{where}{needs}"))
    return untrained("Table 3", missing)


def table4(report: TransferReport) -> HTML:
    """Table 4, one metric at a time."""
    told = f"{in_common(report.selection.shown)} Our images: {report.photos}".strip()
    iou = style_table(report.table4("iou"), f"Table 4, IoU as a fraction. {told}", 1)
    precision = style_table(report.table4("precision"), f"Table 4, precision in per cent. {told}", 1)
    return switch({"IoU": iou, "Precision": precision})


def images_seen(report: TransferReport) -> HTML:
    """How many images each arm was given, or a line where nothing was trained."""
    table = report.images_seen()
    return absent("Images seen: no run is recorded yet.") if table.empty else _table(report, table, "Images seen")


def figure5(report: TransferReport, category: str) -> HTML:
    """Figure 5 of a category, or a line where there is no picture of it."""
    kept = report.figure5(category)
    return draw_figure5(**kept, title=_title(report, category)) if kept else _none(f"Figure 5, {category}")


def figure6(report: TransferReport, category: str) -> HTML:
    """Figure 6 of a category, or a line where nothing was trained on it."""
    curves = report.curves(category)
    title = _title(report, category)
    return iou_over_steps(curves, title=title, on=report.axis) if curves else _none(f"Figure 6, {category}")


def shares(report: TransferReport, category: str) -> HTML:
    """IoU over the share of the training photos, or a line where all runs had one share."""
    table, title = report.by_share(category), _title(report, category)
    several = table["share"].nunique() > 1
    return (
        iou_by_share(table, title=title, on=report.axis)
        if several
        else _none(f"Shares of the images, {category}", "evening and paper")
    )


def images_needed(report: TransferReport) -> HTML:
    """Images until a run is as good as training from scratch ends, or a line where nothing was trained from scratch."""
    steps = report.steps_to_reach()
    title = f"U-Net on {report.title}"
    return _none("Images needed") if steps.empty else steps_to_reach(steps, title=title, on=report.axis)


def own_categories(report: TransferReport) -> HTML | None:
    """Figures 5 and 6 of categories that the paper has not; None where there are none."""
    own = [category for category in report.selection.categories if category not in CATEGORIES]
    return HTML("".join(draw(report, name).data for draw in (figure5, figure6) for name in own)) if own else None


def all_tables(report: TransferReport) -> list[HTML]:
    """The gains and Tables 3 and 4, as for a reference build."""
    return [gains(report), table3(report), table4(report)]


def _table(report: TransferReport, table: pd.DataFrame, what: str, note: str = "") -> HTML:
    caption = f"{what}, on {report.title}. {in_common(report.selection.shown)}".strip()
    return style_table(table, caption, 1, note, CONSTANTS)


def _title(report: TransferReport, category: str) -> str:
    return f"{category.capitalize()}: {report.title_of(category)}"


def _none(what: str, profiles: str = "quick, evening and paper") -> HTML:
    return absent(f"{what}: this build has no such runs. The profiles {profiles} have them.")
