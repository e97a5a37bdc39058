"""The leaderboard as tables: the rows of a protocol by IoU, and what they cost."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from chairboard.leaderboard import SCORED, Row
from chairboard.scores import ENDS, group_units
from chairlib.core import published
from chairlib.core.published import MODEL_TITLES
from chairlib.core.statistics import Difference, difference

#: The column that says how far a row's IoU lies from the best one's.
LESS_BEST = "less the best (paired, 95 % interval)"


def table(found: Sequence[Row], protocol: str) -> pd.DataFrame:
    """The rows of a protocol by IoU, the best first; apart, what was trained elsewhere, and the paper's own rows.

    Scores are in per cent, with 95 % intervals over groups and seeds. The column :data:`LESS_BEST` has the difference
    to the first row of the same kind, taken on the same composites seed by seed, with its interval, in points: None for
    that row itself, and where groups or numbers of seeds differ.
    """
    titles = {"IoU, %": "iou", "Dice, %": "dice", "precision, %": "precision", "pooled IoU, %": "pooled_iou"}
    lines: list[dict[str, Any]] = []
    for trained, name in (("by the protocol", protocol), ("elsewhere", protocol + SCORED)):
        chosen = [row for row in found if row.content["protocol"] == name]
        chosen = sorted(chosen, key=lambda row: -(row.content["scores"]["iou"]["mean"] or 0))
        for row in chosen:
            one, less = row.content, None if row is chosen[0] else _less(row, chosen[0])
            scores: dict[str, Any] = {
                title: tuple(one["scores"][metric][end] for end in ENDS) for title, metric in titles.items()
            }
            scores |= {LESS_BEST: less and (less.mean, less.low, less.high)}
            counted = {"seeds": len(one["seeds"]), "learning rates tried": len(one["sweep"]) or 1}
            lines.append({"trained": trained, "model": one["title"], **scores, **counted})
    size = int(protocol.split("-")[-2])
    paper = published.table(2) if size == 64 else published.table(1).query("resolution == @size")
    for printed in paper.sort_values("iou", ascending=False).to_dict("records"):
        shown = {title: printed.get(metric) for title, metric in titles.items()}
        lines.append({"trained": "in the paper", "model": MODEL_TITLES[printed["model"]], **shown})
    first, *others = titles
    columns = ["trained", "model", first, LESS_BEST, *others, "seeds", "learning rates tried"]
    return pd.DataFrame(lines, columns=columns, dtype=object).set_index(["trained", "model"])


def _less(row: Row, best: Row) -> Difference | None:
    """How much higher a row's IoU is than another's, by group and seed; None where that has no meaning."""
    same_groups = row.counts[0]["group"].equals(best.counts[0]["group"])
    if len(row.seeds) != len(best.seeds) or not same_groups:
        return None
    differences = group_units(row.counts, "iou")[1] - group_units(best.counts, "iou")[1]
    return difference([differences]) if np.isfinite(differences).all() else None


def costs(found: Sequence[Row], protocol: str) -> pd.DataFrame:
    """IoU beside what it cost, of the models that were trained by a protocol: for :mod:`chairlib.show.cost`.

    Columns: model; iou, low, high (per cent); seconds, flops and what else the rows know of cost, NaN where unknown.
    """
    chosen = [row.content for row in found if row.content["protocol"] == protocol]
    ious = [one["scores"]["iou"] for one in chosen]
    scores = pd.DataFrame([[one[end] for end in ENDS] for one in ious], columns=["iou", "low", "high"], dtype=float)
    scores.insert(0, "model", [one["title"] for one in chosen])
    return scores.join(pd.DataFrame([{"flops": None, **one["cost"]} for one in chosen], dtype=float))
