"""The leaderboard as tables: the rows of a protocol by IoU, what they cost, and the answer in sentences."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from chairboard.leaderboard import SCORED, Row
from chairboard.scores import ENDS, group_units
from chairlib.benchmark.describe import plural
from chairlib.core import published
from chairlib.core.statistics import Difference, difference

#: The scores of a row, by the names of their tables.
METRICS = {"IoU": "iou", "Dice": "dice", "precision": "precision", "pooled IoU": "pooled_iou"}
#: The column that says how far a row's IoU lies from the best one's.
MINUS_BEST = "minus the best, points"
#: The column of the paper's own models, as printed.
PAPER = "the paper's, %"
#: Follows the name of a model that was trained elsewhere.
ELSEWHERE = " (trained elsewhere)"
#: What cost is counted in, by its name in a row: the heading, what one of its units is, and its decimal places.
COSTS = {
    "parameters": ("parameters, millions", 1e6, 1),
    "flops": ("operations an image, millions", 1e6, 0),
    "peak_memory_bytes": ("peak memory, GiB", 2**30, 1),
    "images": ("images trained on", 1, 0),
    "seconds": ("seconds of training", 1, 0),
    "train_images_per_second": ("images/s, training", 1, 0),
    "score_images_per_second": ("images/s, scoring", 1, 0),
}
#: Those of them that depend on the machine.
_MACHINES = ("seconds", "train_images_per_second", "score_images_per_second", "peak_memory_bytes")


def by_iou(found: Sequence[Row], protocol: str) -> list[Row]:
    """The rows that were trained by a protocol, the highest IoU first; rows without an IoU come last."""
    return sorted((row for row in found if row.content["protocol"] == protocol), key=lambda row: -_iou(row))


def tables(found: Sequence[Row], protocol: str) -> dict[str, pd.DataFrame]:
    """A table for each of :data:`METRICS`, a line a model: the rows by IoU, below them what was trained elsewhere.

    Scores are in per cent, with 95 % intervals over groups and seeds. The column :data:`MINUS_BEST`, beside IoU, has
    the difference to the first row of the same kind, taken on the same composites seed by seed, with its interval, in
    points: None for that row itself, and where groups or numbers of seeds differ. The column :data:`PAPER` is there
    where the paper printed a score of one of the models. Numbers of seeds and of learning rates tried are columns
    beside IoU where rows differ in them; :func:`common_terms` names the others.
    """
    lines: list[dict[Any, Any]] = []
    printed = _printed(protocol)
    for row, first, title in _by_kind(found, protocol):
        scores, less = row.content["scores"], None if row is first else _less(row, first)
        line: dict[Any, Any] = {name: tuple(scores[metric][end] for end in ENDS) for name, metric in METRICS.items()}
        line |= {"model": title, MINUS_BEST: less and (less.mean, less.low, less.high), **_tried(row)}
        paper = printed.get(row.content["settings"]["model"], {})
        lines.append(line | {(PAPER, name): paper.get(name) for name in METRICS})
    if not lines:
        return {}
    whole = pd.DataFrame({name: pd.Series([line[name] for line in lines], dtype=object) for name in lines[0]})
    whole = whole.set_index("model")
    made = {}
    for name in METRICS:
        columns = {name: f"{name}, %", (PAPER, name): PAPER}
        if name == "IoU":
            differing = [what for what in ("seeds", "rates tried") if whole[what].nunique() > 1]
            columns = {name: f"{name}, %", MINUS_BEST: MINUS_BEST, **dict(zip(differing, differing, strict=True))}
            columns[(PAPER, name)] = PAPER
        made[name] = whole[list(columns)].set_axis(list(columns.values()), axis=1).dropna(axis=1, how="all")
    return made


def common_terms(found: Sequence[Row], protocol: str) -> str:
    """What all rows of a protocol share, in words for a caption: ``"3 seeds each, 1 learning rate tried"``."""
    tried = [_tried(row) for row, *_ in _by_kind(found, protocol)]
    seeds, rates = ({one[name] for one in tried} for name in ("seeds", "rates tried"))
    words = [f"{plural(seeds.pop(), 'seed')} each"] if len(seeds) == 1 else []
    words += [f"{plural(rates.pop(), 'learning rate')} tried"] if len(rates) == 1 else []
    return ", ".join(words)


def costs(found: Sequence[Row], protocol: str) -> pd.DataFrame:
    """IoU beside what it cost, of the models that were trained by a protocol: for :mod:`chairboard.cost`.

    Columns: model; iou, low, high (per cent); seconds, flops and what else the rows know of cost, NaN where unknown.
    """
    chosen = [row.content for row in by_iou(found, protocol)]
    ious = [one["scores"]["iou"] for one in chosen]
    scores = pd.DataFrame([[one[end] for end in ENDS] for one in ious], columns=["iou", "low", "high"], dtype=float)
    scores.insert(0, "model", [one["title"] for one in chosen])
    return scores.join(pd.DataFrame([{"flops": None, **one["cost"]} for one in chosen], dtype=float))


def cost_tables(found: Sequence[Row], protocol: str) -> dict[str, pd.DataFrame]:
    """Two tables of what the models of a protocol cost, by their captions: what they are, and how fast they are.

    The order is that of :func:`tables`. What is the same in all rows, the images and the machine, is in the captions.
    """
    spent, machines = costs(found, protocol), {row.content["machine"] for row in by_iou(found, protocol)}
    if spent.empty:
        return {}
    lines = pd.DataFrame({"model": spent["model"]})
    for name, (title, unit, places) in COSTS.items():
        figures = spent[name] / unit if name in spent else pd.Series(np.nan, spent.index)
        lines[title] = [None if math.isnan(value) else f"{value:,.{places}f}" for value in figures]
    images, on = COSTS["images"][0], "each on its own machine" if len(machines) > 1 else f"on {machines.pop()}"
    same = lines[images].iloc[0] if lines[images].nunique() == 1 and lines[images].notna().all() else None
    lines = lines.drop(columns=images) if same else lines
    slow = [COSTS[name][0] for name in _MACHINES]
    size = lines.drop(columns=slow)
    return {
        f"What a model needs, protocol {protocol}" + (f" ({same} images trained on)" if same else ""): size,
        f"How fast it is, protocol {protocol} ({on})": lines[["model", *slow]],
    }


def answer(found: Sequence[Row], protocol: str) -> list[str]:
    """Which model is best under a protocol, whether it is clearly so, and what that costs: one to three sentences."""
    ranked = by_iou(found, protocol)
    if not ranked or math.isinf(_iou(ranked[0])):
        return [f"No model has an IoU under {protocol} yet."]
    first, *others = ranked
    one, rivals = first.content["scores"]["iou"], [row for row in others if math.isfinite(_iou(row))]
    interval = "" if one["low"] is None else f" (95 % interval {one['low']:.1f} to {one['high']:.1f})"
    of = f"the highest IoU of {len(rivals) + 1} models is" if rivals else "the only model has an IoU of"
    said = [f"Under {protocol}, {of} {one['mean']:.1f} %{interval}, by {first.content['title']}."]
    if rivals:
        less = _less(rivals[0], first)
        gap = -less.mean if less else _iou(first) - _iou(rivals[0])
        told = f"The next is {gap:.1f} points lower"
        if less is None:
            told += ", and cannot be compared image by image: seeds or groups differ"
        else:
            verdict = less.told("yet better image by image", "clearly worse")
            verdict = "which may be the luck of one seed" if verdict == "one seed" else verdict
            told += f" (95 % interval {-less.high:.1f} to {-less.low:.1f}), {verdict}"
        said.append(f"{told}: {rivals[0].content['title']}.")
        cheap = min([first, *rivals], key=_seconds)
        if cheap is first:
            said.append(f"The best model is also the one that trained fastest, in {_seconds(first):,.0f} s.")
        else:
            best, other = f"The best model trained in {_seconds(first):,.0f} s", f"{_seconds(cheap):,.0f} s"
            said.append(f"{best}; the fastest took {other} and reached {_iou(cheap):.1f} %: {cheap.content['title']}.")
    return said


def checks(outcomes: Iterable[tuple[str, str]]) -> list[str]:
    """What :func:`chairboard.verify` found, given as (title of the row, outcome): a sentence for each outcome."""
    alike: dict[str, list[str]] = {}
    for title, outcome in outcomes:
        alike.setdefault(outcome, []).append(title)
    return [f"{outcome[0].upper()}{outcome[1:]}: {'; '.join(titles)}." for outcome, titles in alike.items()]


def origins(found: Sequence[Row]) -> tuple[str, list[str]]:
    """Who made the rows, when and by what: a title with what all share, and a sentence for each with the rest."""
    facts = [row.facts for row in found]
    names = list(facts[0]) if facts else []
    shared = [name for name in names if len({one[name] for one in facts}) == 1 and len(facts) > 1]
    common = ", ".join(facts[0][name] for name in shared if facts[0][name])
    title = f"Where the rows are from: {common}" if common else "Where the rows are from"
    own = [", ".join(one[name] for name in names if name not in shared and one[name]) for one in facts]
    lines = [" ".join([f"{row.content['title']}: {rest}.", *row.notes]) for row, rest in zip(found, own, strict=True)]
    return title, lines


def _iou(row: Row) -> float:
    """The mean IoU of a row; minus infinity where it has none, so that it comes last."""
    mean = row.content["scores"]["iou"]["mean"]
    return -math.inf if mean is None else mean


def _seconds(row: Row) -> float:
    return row.content["cost"]["seconds"]


def _by_kind(found: Sequence[Row], protocol: str) -> list[tuple[Row, Row, str]]:
    """Each row with the first of its kind and its title, those of the protocol before what was trained elsewhere."""
    shown = []
    for name, suffix in ((protocol, ""), (protocol + SCORED, ELSEWHERE)):
        chosen = by_iou(found, name)
        shown += [(row, chosen[0], f"{row.content['title']}{suffix}") for row in chosen]
    return shown


def _tried(row: Row) -> dict[str, int]:
    return {"seeds": len(row.seeds), "rates tried": len(row.content["sweep"]) or 1}


def _printed(protocol: str) -> dict[str, dict[str, str]]:
    """By model, the paper's scores at the protocol's resolution by the names of :data:`METRICS`, as printed."""
    size = protocol.split("-")[-2]
    paper = published.table(2, as_printed=True)
    if size != "64":
        paper = published.table(1, as_printed=True).query("resolution == @size")
    rows = paper.to_dict("records")
    return {row["model"]: {name: row[metric] for name, metric in METRICS.items() if metric in row} for row in rows}


def _less(row: Row, best: Row) -> Difference | None:
    """How much higher a row's IoU is than another's, by group and seed; None where that has no meaning."""
    same_groups = row.counts[0]["group"].equals(best.counts[0]["group"])
    if len(row.seeds) != len(best.seeds) or not same_groups:
        return None
    differences = group_units(row.counts, "iou")[1] - group_units(best.counts, "iou")[1]
    return difference([differences]) if np.isfinite(differences).all() else None
