"""What the chapter on the benchmark shows: its answer in words, and Tables 1 and 2, of a report that chairlib gathers.

The numbers are those of :class:`chairlib.benchmark.report.Report`. Here they become sentences and HTML.
"""

import math
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML

from chairlib.benchmark.comparison import paired_difference
from chairlib.benchmark.describe import mean_score, model_title, predicted_all
from chairlib.benchmark.report import Report, for_each_part
from chairlib.core import published
from chairlib.core.runs import Record
from chairlib.show.boxes import absent
from chairlib.show.curves import iou_over_steps
from chairlib.show.pictures import figure4 as draw_figure4
from chairlib.show.tables import style_table, switch

#: Columns that go to a table's caption where all rows have the same, and their words there.
CONSTANTS = {"seeds": "{} seeds", "images trained": "{} training images", "groups": "{} groups of test composites"}
#: Metrics by name, and their text on a switch.
METRICS = {"iou": "IoU", "dice": "Dice", "precision": "Precision"}
#: What the verdict on the best model and the next one says.
_SAID = {
    "lower": "So on the seeds that both have, the order is clearly the other way round.",
    "higher": "This is a clear difference: its interval leaves out zero.",
    "no clear difference": "This is no clear difference: its interval holds zero.",
    "one seed": "With one seed there is no verdict: nothing shows the luck of training.",
}


def answer(report: Report) -> list[str]:
    """The answer in a few sentences: the highest IoU at 64 px, how far the next model is below it, cost, and control.

    Only runs of the same terms are compared: those that most runs have.
    """
    main = report.parts()[0]
    at_64 = [records for key, records in main.configurations().items() if key[2] == 64]
    scored = [(mean_score(records, "iou"), records) for records in at_64]
    scored = sorted((one for one in scored if math.isfinite(one[0][0])), key=lambda one: -one[0][0])
    if not scored:
        return [
            f"No model has been trained and scored at 64 × 64 pixels on {report.collection} yet: make paper does it."
        ]
    ((iou, low, high), best), *others = scored
    interval = f"95 % interval {low:.1f} to {high:.1f}" if math.isfinite(low) else "no interval: too few groups"
    name, value = main.label(best[0]), f"{iou:.1f} % ({interval})"
    if others:
        most = (
            f"Of {len(scored)} models at 64 × 64 pixels, {name} has the highest mean IoU on test composites: {value}."
        )
        sentences = [most, _gap(main, best, others[0][1])]
    else:
        sentences = [f"{name}, the only model at 64 × 64 pixels here, has a mean IoU of {value} on test composites."]
    if any(record.content["images_seen"] for record in best):
        seen, spent = median_cost(best)
        run = "The median run" if len(best) > 1 else "The run"
        sentences.append(f"{run} of {name} saw {seen} images in {spent} on {best[0].content['hardware']}.")
    return [*sentences, _control(main, best, name)]


def duration(seconds: float) -> str:
    """``"64 seconds"``, ``"3.4 minutes"`` or ``"2.5 hours"``."""
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


def median_cost(records: list[Record]) -> tuple[str, str]:
    """How many images the median of some runs saw, and how long it took: ``("6,016", "35 seconds")``."""
    seen, spent = (float(np.median([one.content[name] for one in records])) for name in ("images_seen", "seconds"))
    return f"{seen:,.0f}", duration(spent)


def _gap(report: Report, best: list[Record], next_best: list[Record]) -> str:
    name, gain = report.label(next_best[0]), paired_difference(best, next_best)
    if gain is None:
        return f"The next, {name}, was not scored on the same composites with the same seeds: no difference is given."
    than, ends = ("lower", (gain.low, gain.high)) if gain.mean >= 0 else ("higher", (-gain.high, -gain.low))
    points = f"{abs(gain.mean):.1f} points {than} on the same composites and seeds"
    interval = f"(95 % interval {ends[0]:.1f} to {ends[1]:.1f})".replace(" -", " −")
    return f"The next, {name}, is {points} {interval}. {_SAID[gain.told('higher', 'lower')]}"


def _control(report: Report, best: list[Record], name: str) -> str:
    """What the best model is worth beside a mask that needs no model."""
    if any(map(predicted_all, best)):
        return f"But {name} calls every pixel the same, in one run at least: that is the score of a constant mask."
    right, baseline = mean_score(best, "precision")[0], report.all_background_precision()
    share = 100 - (baseline or 0)
    return (
        f"The control is a mask that needs no model: one that is all chair has an IoU of about {share:.0f} %, one "
        f"without chair 0 %, though {100 - share:.1f} % of its pixels are right. Of {name}'s pixels, {right:.1f} % are."
    )


def table1(report: Report) -> HTML:
    """Table 1 of each part of a report."""
    return _table(report, "Table 1. Test IoU at each resolution, and when a run had converged", Report.table1)


def table2(report: Report) -> HTML:
    """Table 2 of each part of a report, one metric at a time."""

    def shown(metric: str, title: str) -> HTML:
        caption = f"Table 2. {title} on test composites of 64 × 64 pixels"
        return _table(report, caption, lambda part: part.table2(metric))

    return switch({title: shown(metric, title) for metric, title in METRICS.items()})


def differences(report: Report) -> HTML:
    """The paired differences between runs, or a line that there are none."""
    compared = [record for part in report.parts() if len(part.differences()) for record in part.records]
    if not compared:
        return absent("Differences between models: they need two runs that differ in model or resolution alone.")
    note = "Higher, lower: the whole interval is above, or below, zero. One seed: nothing shows the luck of training."
    caption = "Differences on the same composites"
    return _table(Report(report.collection, compared, []), caption, Report.differences, note)


def not_trained(report: Report, number: int) -> HTML | None:
    """A line about rows of the paper's Table 1 or 2 that this build has not. None where it has all, or no run."""
    paper = published.table(number) if number == 1 else published.table(number).assign(resolution=64)
    cells = [*zip(paper["model"], paper["resolution"], strict=True)] if report.records else []
    return untrained(
        f"Table {number}", ((model_title(m), f"{size} px") for m, size in cells if not report.find(m, size))
    )


def learning_curves(report: Report) -> HTML:
    """Validation IoU over images of one seed of each model, or a line where nothing was trained."""
    curves = {label: [history] for label, history in report.histories().items()}
    return iou_over_steps(curves) if curves else absent("Learning curves: no run is recorded yet.")


def figure4(report: Report) -> HTML:
    """Figure 4, or a line where nothing was trained at 64 x 64."""
    shown = report.figure4()
    return draw_figure4(**shown) if shown else absent("Figure 4: no run at 64 × 64 pixels is recorded yet.")


def all_tables(report: Report) -> list[HTML]:
    """Tables 1 and 2 and the differences, as for a reference build."""
    return [table1(report), table2(report), differences(report)]


def _table(report: Report, caption: str, table: Callable[[Report], pd.DataFrame], note: str = "") -> HTML:
    def draw(part: Report) -> HTML:
        return style_table(table(part), f"{caption}. {in_common(part.records)}".strip(), 1, note, CONSTANTS)

    return for_each_part(report, draw)


def in_common(records: Iterable[Record]) -> str:
    """What all rows of a table have in common, for its caption: ``"Ours: width 16, recipe fast"``; may be empty."""
    values: dict[str, set[Any]] = {"width {}": set(), "recipe {}": set(), "on {}": set()}
    for record in records:
        found = (record.settings.width, record.settings.recipe, record.content.get("hardware"))
        for seen, value in zip(values.values(), found, strict=True):
            seen.add(value)
    told = [words.format(*seen) for words, seen in values.items() if len(seen) == 1 and None not in seen]
    return f"Ours: {', '.join(told)}." if told else ""


def untrained(table: str, missing: Iterable[tuple[str, str]]) -> HTML | None:
    """A line about rows (model, what) of a table that a build did not train; None where there are none."""
    models = groupby(sorted(missing, key=lambda row: row[0]), lambda row: row[0])
    names = "; ".join(f"{model} ({', '.join(what for _, what in rows)})" for model, rows in models)
    more = "Larger profiles train more of these rows."
    return absent(f"{table}, rows that this build did not train: {names}. {more}") if names else None
