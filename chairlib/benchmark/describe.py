"""Records in words: names of models and scores, and what one run, or several seeds of it, came to."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from chairlib.benchmark.comparison import units
from chairlib.benchmark.metrics import one_class_note
from chairlib.benchmark.models import FULL_WIDTH
from chairlib.benchmark.protocols import differing_terms, get_protocol
from chairlib.compositing.released import COCO_SOURCE
from chairlib.core.published import MODEL_TITLES
from chairlib.core.runs import Record
from chairlib.core.statistics import difference

#: The scores of a run in the order of printed text, and their names there.
SCORES = {"iou": "IoU", "dice": "Dice", "precision": "precision", "pooled_iou": "pooled IoU"}
#: Headings of the scores that tables show, in the order of the paper's.
METRIC_TITLES = {"precision": "precision, %", "iou": "IoU, %", "dice": "Dice, %"}


def model_title(model: str, width: int | None = None) -> str:
    """``"U-Net"``, or ``"U-Net, width 16"`` where the width is not the paper's."""
    title = MODEL_TITLES.get(model, model)
    return title if width in (None, FULL_WIDTH) else f"{title}, width {width}"


def plural(number: int, noun: str) -> str:
    """``"1 seed"``, ``"2 seeds"``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def number_range(numbers: Iterable[int]) -> str:
    """``"4,000"``, or the least and the greatest: ``"4,000 to 8,000"``; empty for no numbers."""
    ends = sorted(set(numbers))
    return " to ".join(f"{end:,}" for end in (ends if len(ends) < 2 else (ends[0], ends[-1])))


def mean_score(records: Sequence[Record], metric: str) -> tuple[float, float, float]:
    """(mean, low, high) of a test score in per cent: over segment groups, and over seeds where there are several."""
    tests = [record.metrics["test"] for record in records]
    mean = float(np.mean(np.array([test[metric] for test in tests], float)))  # None, where undefined, becomes NaN
    low, high = np.array(tests[0]["intervals"][metric], float)
    if len(records) > 1 and metric in METRIC_TITLES:
        tables = [record.table("test_images") for record in records]
        scores = pd.concat([table[metric] for table in tables], axis=1).dropna()
        found = difference([units(scores, tables[0]["group"])]) if len(scores) else None
        low, high = (max(found.low, 0.0), min(found.high, 100.0)) if found else (np.nan, np.nan)
    return mean, float(low), float(high)


def _on_coco(record: Record) -> bool:
    """Whether a run's images are crops of COCO's photos. Their validation crops stand in the place of a test split."""
    return record.content.get("trained_on") == COCO_SOURCE


def scored_on(record: Record) -> str:
    """What a run of the benchmark was scored on, in words: ``"100 test composites"``."""
    count = f"{record.metrics['test']['n_images']:,}"
    return f"{count} validation crops (COCO has no test split here)" if _on_coco(record) else f"{count} test composites"


def describe_record(record: Record) -> str:
    """A run's scores and costs as text, its :func:`record_lines` below each other."""
    return "\n  ".join(record_lines(record))


def record_lines(record: Record) -> list[str]:
    """A run's name, its scores, then its protocol, what it was scored on, and its costs: each a line of text."""
    test, content, val = record.metrics["test"], record.content, record.metrics["val"]["iou"]
    lines = [f"{record.name}  ({content['n_parameters']:,} parameters)"]
    for metric, title in SCORES.items():
        low, high = test["intervals"][metric]
        value = "undefined" if test[metric] is None else f"{test[metric]:6.2f} %"
        interval = "no interval: too few groups" if low is None else f"95 % interval {low:.2f} to {high:.2f}"
        lines.append(f"{title:<11} {value}  ({interval})")
    lines += [one_class_note(all_as)] if (all_as := predicted_all(record)) else []
    protocol = content.get("protocol", "none")
    if protocol.startswith("custom") and record.settings.protocol:
        asked = get_protocol(record.settings.protocol, record.settings.data)
        differing = ", ".join(f"{name} {value}" for name, value in differing_terms(record.settings, asked).items())
        protocol += f" ({asked.name}, but for {differing})"
    scored = f"on {scored_on(record)} of {content['data']['name']} ({test['n_groups'] or test['n_images']} "
    scored += f"{test['interval_units']}; {test['n_left_out']} left out of IoU and Dice)"
    took = f"trained elsewhere; scored on {content['hardware']}" if record.settings.weights else _told_training(content)
    spent = f"{took}; validation IoU {'undefined' if val is None else f'{val:.2f} %'}"
    return [*lines, f"protocol {protocol}", scored, spent]


def _told_training(content: dict[str, Any]) -> str:
    half = f", the first {content['half_images']:,} at half the resolution," if content["half_images"] else ""
    return (
        f"{content['images_seen']:,} images{half} in {content['seconds']:.0f} s on {content['hardware']}, "
        f"{content['precision']}{', deterministic' if content['parameters'].get('deterministic') else ''}; "
        f"converged after {content['converged_images']:,} images, {content['converged_seconds']:.0f} s"
    )


def describe_seeds(records: Sequence[Record]) -> str:
    """The scores of several seeds as lines of text: their mean, with an interval over segment groups and seeds."""
    text = f"{model_title(records[0].settings.model, records[0].settings.width)}, {plural(len(records), 'seed')}"
    for metric, title in SCORES.items():
        mean, low, high = mean_score(records, metric)
        over = f"95 % interval over groups and seeds {low:.2f} to {high:.2f}"  # of single images' scores: not pooled
        text += f"\n  {title:<11} {mean:6.2f} %  ({over if metric in METRIC_TITLES else 'mean of the seeds'})"
    return text


def score_table(record: Record) -> pd.DataFrame:
    """A run's scores: each with its interval, and what it means."""
    test = record.metrics["test"]
    images = "validation crops" if _on_coco(record) else "images"
    scored = test["n_images"] - test["n_left_out"]
    meanings = {
        "iou": ("IoU, %", f"mean over {scored:,} {images}"),
        "dice": ("Dice, %", f"mean over {scored:,} {images}"),
        "precision": ("precision, %", f"pixels classified correctly, of {test['n_images']:,} {images}"),
        "pooled_iou": ("pooled IoU, %", f"all pixels of {test['n_images']:,} {images} taken together"),
    }
    rows: list[Any] = [(title, mean_score([record], metric), meaning) for metric, (title, meaning) in meanings.items()]
    if all_as := predicted_all(record):
        rows.append(("one class", all_as, one_class_note(all_as)))
    return pd.DataFrame(rows, columns=["score", "value (95 % interval)", "meaning"]).set_index("score")


def predicted_all(record: Record) -> str | None:
    """``"background"``, or the object's name, where a run predicted every test pixel as that; None as a rule."""
    found = record.metrics["test"].get("predicted_all")
    return getattr(record.settings, "category", found) if found == "chair" else found


def one_class(records: Sequence[Record]) -> str:
    """A sentence that names the runs that predicted but one class, with a space before it; empty where none did."""
    found = [f"{record.name} ({what})" for record in records if (what := predicted_all(record))]
    return f" Every test pixel was predicted as one class by {', '.join(found)}." if found else ""
