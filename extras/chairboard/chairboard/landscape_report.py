"""Table 5, Figure 7 and what goes beyond them, from the records of landscape runs. Nothing else is read."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from chairboard.verdicts import Drop, by_treatment, what_makes_the_difference
from chairlib.benchmark.describe import model_title
from chairlib.core import published
from chairlib.core.runs import Record, load_records, reference_records
from chairlib.landscape.barriers import barrier
from chairlib.landscape.cells import N_TRAIN
from chairlib.landscape.evaluator import BATCH_NORM
from chairlib.landscape.run import examples
from chairlib.landscape.settings import LandscapeSettings
from chairlib.landscape.space import distances
from chairlib.transfer.photos import protocol_title
from chairlib.transfer.run import initial_model
from chairlib.transfer.settings import STAND_IN, TransferSettings

#: The paper's four kinds of pairs: two fine-tuned, two from scratch (Ri), and each with the pretrained model. And a
#: fifth that it has not: two from scratch that share their random start (Rs, our R).
KINDS = {"ft_ft": "Ft & Ft", "rs_rs": "Rs & Rs", "ri_ri": "Ri & Ri", "ft_p": "Ft & P", "ri_p": "Ri & P"}
#: How near models stay that share a start, measured by models from scratch.
RATIOS = {
    "Ft & Ft / Ri & Ri": ("ft_ft", "ri_ri"),
    "Rs & Rs / Ri & Ri": ("rs_rs", "ri_ri"),
    "Ft & P / Ri & P": ("ft_p", "ri_p"),
}
SETS = {"F": "fine-tuned (F)", "S": "from scratch (S)", "R": "from scratch, one start (R)"}
#: Most frames of the scrubber: each has a curve and masks, and a page must stay below 3 MB.
MOST_FRAMES = 25
#: The caption of the first plane: its marks could be taken for the models' own scores.
PLANE_NOTE = (
    "Each cell has the colour of the network at its middle. A model lies somewhere in its cell. The colour under "
    "its mark is the cell's, not the model's own score."
)
_SPLITS = {"val": "validation", "test": "test"}


@dataclass(frozen=True)
class LandscapeReport:
    """One analysis, and the others beside it in Table 5."""

    record: Record
    others: list[Record]

    @property
    def photos(self) -> str:
        """What the photos are, in few words. The stand-in is always called so."""
        settings = self.record.settings
        what = "the stand-in" if settings.photos == STAND_IN else self.record.content["data"]["name"]
        return f"{settings.category}, {what}"

    @property
    def title(self) -> str:
        """The title of tables and figures: the model, the photos, the protocol and the scored split."""
        settings = self.record.settings
        return (
            f"{model_title(settings.model, settings.width)} on {self.photos}, protocol {protocol_title(settings)}, "
            f"{self.record.content['scored_split']} images"
        )

    @property
    def scored(self) -> str:
        """The split that is scored. The authors' protocol has no test split."""
        return self.record.content["scored_split"]

    def axis(self, metric: str = "IoU", unit: str = "%") -> str:
        """The label of an axis: what it measures, and on which photos."""
        return f"{_SPLITS[self.scored]} {metric} on {self.photos} ({unit})"

    @property
    def pairs(self) -> str:
        """How many pairs a distance or barrier is the mean of. A single pair is said to show no spread."""
        count = self.record.settings.n_seeds
        if count == 2:
            return "2 seeds: one pair of each set, no spread"
        return f"{count} seeds, {math.comb(count, 2)} pairs of each set: mean (nearest – farthest)"

    def table(self, name: str) -> pd.DataFrame | None:
        """A table of the record; None where this analysis was not asked for, or isn't possible for this model."""
        if name not in self.record.content["tables"]:
            return None
        table = self.record.table(name)
        return table if len(table) else None

    def table5(self) -> pd.DataFrame:
        """Table 5 on its side: a row a kind of pair, then three ratios of their means; a column a task, ours first.

        Our distances are (mean, nearest, farthest) over pairs, or the distance of a single pair; all others are text.
        """
        # Analyses of the same models on other grids have the same distances. Labels of shorter pretrainings have an @.
        by_members = {
            frozenset(name for label, name in record.content["members"].items() if "@" not in label): record
            for record in [*self.others, self.record]
        }
        records = sorted(by_members.values(), key=lambda record: record.settings.category)
        columns: dict[str, list[Any]] = {}
        for record, task in zip(records, _task_names(records), strict=True):
            l2 = record.table("distances").query("block == 'total'").groupby("kind")["l2"]
            columns[task] = [*(_spread(l2.get_group(kind)) for kind in KINDS), *_ratios(l2.mean())]
        for row in published.table(5).to_dict("records")[::-1]:  # segmentation first
            lengths = (f"{float(row[kind]):.2f}" if kind in row else None for kind in KINDS)  # the digits it printed
            columns[f"the paper, {row['task']}"] = [*lengths, *_ratios(row)]
        rows = [name.replace(" & ", "\N{NO-BREAK SPACE}&\N{NO-BREAK SPACE}") for name in (*KINDS.values(), *RATIOS)]
        return pd.DataFrame(columns, index=rows, dtype=object).rename_axis("pair")

    def differences_from_paper(self) -> list[str]:
        """Which two kinds of pairs have the other one longer here than in the paper's Table 5."""
        paper = published.table(5).set_index("task").loc["segmentation (Chair Segments)"]
        ours = self.distances().groupby("kind")["l2"].mean()
        pairs = itertools.combinations(paper.index, 2)
        shares = [(KINDS[b], KINDS[a], 100 * ours[b] / ours[a], 100 * paper[b] / paper[a]) for a, b in pairs]
        return [
            f"Table 5: {one} is {here:.0f} % of {other} here ({self.photos}), and {there:.0f} % in the paper."
            for one, other, here, there in shares
            if (here - 100) * (there - 100) < 0
        ]

    def distances(self, block: bool = False) -> pd.DataFrame:
        """Rows for :func:`chairlib.show.landscape.distance_bars` (whole models), or for ``block_distances``."""
        table = self.record.table("distances")
        return table[table["block"] != "total"] if block else table[table["block"] == "total"]

    def whole_distances(self) -> pd.DataFrame:
        """Whole models: l2, the mean norm of the two, and l2 relative to it; (mean, lowest, highest) over pairs.

        A row a kind, and last the yardstick: two models of this architecture before they have learned anything.
        """
        shared = {**self.record.settings.model_terms(), "resolution": self.record.settings.resolution}
        with torch.random.fork_rng(devices=[]):  # a report leaves the caller's random numbers as they were
            fresh = [initial_model(TransferSettings(**shared, seed=seed)) for seed in (0, 1)]
        one, other = (model.state_dict(keep_vars=True) for model in fresh)  # which tells what is a parameter
        table = pd.concat([self.distances(), distances(one, other).loc[["total"]].assign(kind="fresh")])
        table["norm"] = (table["norm_a"] + table["norm_b"]) / 2
        columns = {"l2": "l2 distance", "norm": "mean norm of the two", "relative": "relative to it"}
        rows = []
        for kind, title in {**KINDS, "fresh": "S1 & S2 before training"}.items():
            own = table[table["kind"] == kind]
            spreads = {label: _spread(own[name]) for name, label in columns.items()}
            rows.append({"models": title, "pairs": len(own), **spreads})
        return pd.DataFrame(rows)

    def block_distances(self) -> pd.DataFrame:
        """l2 distance by block: a row for each block, input first, and a column for each kind of pair in Table 5."""
        table = self.distances(block=True)
        spreads = table.groupby(["block", "kind"], sort=False)["l2"].apply(_spread).unstack(sort=False)
        return spreads[[*KINDS]].rename(columns=KINDS).rename_axis(columns=None).reset_index()

    def matching(self) -> pd.DataFrame | None:
        """The barrier (points of IoU) and l2 distance of models from scratch before and after matching their units.

        (mean, lowest, highest) over pairs, by way of matching and treatment of BatchNorm. None: nothing was matched.
        """
        table = self.table("matched")
        if table is None:
            return None
        lengths = pd.DataFrame(self.record.metrics["matched_l2"]).set_index("matching")
        rows = []
        for (matching, way), own in table.groupby(["matching", "batch_norm"], sort=False):
            heights = [
                _spread(barrier(line["alpha"], line["iou"]) for _, line in lines.groupby("name"))
                for lines in (own[~own["permuted"]], own[own["permuted"]])
            ]
            l2 = [_spread(lengths.loc[[matching], name]) for name in ("before", "after")]
            rows.append((matching, way, own["name"].nunique(), *heights, *l2))
        columns = ["barrier before, points", "barrier after, points", "l2 before", "l2 after"]
        return pd.DataFrame(rows, columns=["matched by", "BatchNorm", "pairs", *columns])

    def barriers(self) -> pd.DataFrame:
        """The barrier of IoU in points: the mean over pairs with its 95 % interval over images, and each pair's own."""
        rows = []
        for pair, title in SETS.items():
            for way, drop in self.drops(pair).items():
                own, train = (
                    " / ".join(f"{x:.1f}" for x in heights)
                    for heights in (drop.pairs, self._barriers(pair, way, "train"))
                )
                rows.append((title, way, (drop.mean, drop.low, drop.high), own, train))
        scored = f"{self.scored} images"
        columns = ["models", "BatchNorm", f"{scored}, points of IoU", f"each pair, {scored}", "each pair, train images"]
        return pd.DataFrame(rows, columns=columns)

    def _barriers(self, pair: str, way: str, split: str) -> tuple[float, ...]:
        """The barrier of IoU of each pair of a set."""
        wanted = {"pair": pair, "batch_norm": way, "split": split, "metric": "iou"}
        return tuple(row["barrier"] for row in self.record.metrics["barriers"] if wanted.items() <= row.items())

    def drops(self, pair: str) -> dict[str, Drop]:
        """How far IoU falls between the models of a set (``F``, ``S`` or ``R``), by treatment of BatchNorm."""
        ends = self.record.table("curves").query("split == 'test' and alpha in (0, 1) and pair == @pair")
        worst = ends.groupby("batch_norm")["iou"].min()
        return {
            way: Drop(mean["barrier"], mean["low"], mean["high"], self._barriers(pair, way, "test"), worst[way])
            for mean in self.record.metrics["mean_barriers"]
            if mean["pair"] == pair and (way := mean["batch_norm"])
        }

    def in_short(self) -> tuple[str, str, str]:
        """The answer in three sentences: how far IoU falls between F, S and the control R, and what that shows."""
        drops = {pair: self.drops(pair) for pair in SETS}
        verdicts = {pair: by_treatment({way: drop.verdict for way, drop in drops[pair].items()}) for pair in SETS}
        falls = {pair: " with BatchNorm averaged and ".join(map(str, drops[pair].values())) for pair in SETS}
        falls = {pair: f"{fall}{' with it recalibrated' * (len(drops[pair]) > 1)}" for pair, fall in falls.items()}
        reasons = {way: what_makes_the_difference(*(drops[pair][way] for pair in SETS)) for way in drops["F"]}
        pairs = math.comb(self.record.settings.n_seeds, 2)
        each = "Each number is of one pair" if pairs == 1 else f"Each number is the mean of {pairs} pairs"
        return (
            f"Average two fine-tuned models (F): {verdicts['F']}. Between them, IoU falls by at most {falls['F']}.",
            f"Average two models from scratch (S): {verdicts['S']}. IoU falls by at most {falls['S']}.",
            "The control is two models from scratch that share their random start (R). IoU falls by at most "
            f"{falls['R']}: {by_treatment(reasons)}. {each}; brackets hold 95 % intervals over images.",
        )

    def recalibration_shift(self) -> pd.DataFrame:
        """What recalibrating does to the trained models themselves: IoU as trained, and recalibrated, in per cent."""
        ends = self.record.table("curves").query("split == 'test' and alpha in (0, 1)")
        numbers = ends["name"].str.split(" & ", expand=True)
        ends["model"] = ends["pair"] + numbers[0].where(ends["alpha"] == 1, numbers[1])
        ious = ends.pivot_table("iou", "model", "batch_norm", aggfunc="last").reindex(columns=BATCH_NORM)
        table = ious.set_axis(["as trained", "recalibrated"], axis="columns").reset_index()
        table["shift, points"] = table["recalibrated"] - table["as trained"]
        return table

    def scrubber(self) -> dict[str, Any]:
        """Arguments of :func:`chairlib.show.scrubber.alpha_scrubber`: the first pair of each kind.

        At most ``MOST_FRAMES`` frames, 0 and 1 among them; the curves keep all their points.
        """
        curves = self.record.table("curves")
        curves = curves[(curves["split"] == "test") & (curves["name"] == "1 & 2")]
        alphas = sorted(curves["alpha"].unique())
        shown, kept = examples(self.record), _frame_indices(alphas)
        shown["predicted"] = {key: masks[kept] for key, masks in shown["predicted"].items()}
        return {"alphas": [alphas[i] for i in kept], "curves": curves, **shown, "data_label": self.axis()}

    def plane(self, pair: str, metric: str = "iou") -> dict[str, Any] | None:
        """Arguments of :func:`chairlib.show.plane.plane_map`; None where no plane was asked for.

        All planes have one scale of colours, so that those of F and S compare.
        """
        table = self.record.table("planes")
        own = table[table["pair"] == pair]
        if own.empty:
            return None
        grid = own.pivot(index="y", columns="x", values=metric)
        return {
            "x": grid.columns.to_numpy(),
            "y": grid.index.to_numpy(),
            "values": grid.to_numpy(),
            "points": self.record.metrics["points"][pair],
            "data_label": self.axis() if metric == "iou" else self.axis("loss", "BCE"),
            "caption": PLANE_NOTE if (pair, metric) == ("F", "iou") else "",  # said once on a page
            "scale": (table[metric].min(), table[metric].max()),
            "low_is_good": metric == "loss",
        }

    def sentence(self, profile: str = "", description: str = "") -> str:
        """What this analysis is and what was spent on it."""
        head = description or (f"Profile {profile}." if profile else "")
        content = self.record.content
        count, minutes = self.record.settings.n_seeds, content["member_seconds"] / 60
        return (
            f"{head} {self.title}. {content['n_scored']} images are scored, and IoU counts those with the object; "
            f"{content['n_train']} are for training, and lines are scored on up to {N_TRAIN} of these too. {count} "
            f"models fine-tuned, {count} from scratch, {count} from one random start. On {content['hardware']}: "
            f"{minutes:.1f} minutes of training, with P, and {content['seconds'] / 60:.1f} of analysis. Other chapters "
            "count some of these runs as well."
        ).strip()

    def glued(self, profile: str = "", description: str = "") -> dict[str, str]:
        """The values that the book's prose quotes."""
        return {"landscape_sentence": self.sentence(profile, description)}


def _task_names(records: Sequence[Record]) -> list[str]:
    """The names of our columns in Table 5: the category, and the settings in which they differ."""
    described = [_training_settings(record.settings) for record in records]
    names = dict.fromkeys(itertools.chain.from_iterable(described))
    differing = [name for name in names if len({repr(one.get(name)) for one in described}) > 1]
    tasks = []
    for record, one in zip(records, described, strict=True):
        differences = [f"{name} {'by default' if one.get(name) is None else one[name]}" for name in differing]
        tasks.append(", ".join([f"ours, {record.settings.category}", *differences[:3]]))  # more fill a page
    # Two runs have the same settings where photos were changed, or where two folders have the same name.
    return [
        task if tasks.count(task) == 1 else f"{task}, run {record.name}"
        for task, record in zip(tasks, records, strict=True)
    ]


def _training_settings(settings: LandscapeSettings) -> dict[str, Any]:
    """The settings that decide how the models of an analysis were trained, beside their category."""
    return {
        "model": model_title(settings.model, settings.width),
        "photos": Path(settings.photos).name,
        "protocol": protocol_title(settings),
        **{name: getattr(settings, name) for name in ("resolution", "recipe", "images", "evaluations")},
        "seeds": settings.n_seeds,
        "P's data": Path(settings.data).name,  # the whole path is nobody's business on a page
        **{f"P's {name}": value for name, value in settings.pretrain.items()},
    }


def _frame_indices(alphas: Sequence[float]) -> list[int]:
    """Indices of the alphas that are frames: 0, every nth alpha from there, with n as small as it can be, and 1."""
    start, end = alphas.index(0), alphas.index(1)
    grids = (sorted({*range(start % step, len(alphas), step), end}) for step in itertools.count(1))
    return next(kept for kept in grids if len(kept) <= MOST_FRAMES)


def _spread(values: Iterable[Any]) -> tuple[float, float, float] | float:
    """(mean, lowest, highest) of several values; a single value as it is."""
    array = np.array([*values])
    return (float(array.mean()), float(array.min()), float(array.max())) if len(array) > 1 else float(array.mean())


def _ratios(l2: Any) -> list[str | None]:
    """:data:`RATIOS`, in two digits, from the distance by kind (dict or Series); None where one is unknown."""
    return [f"{float(l2[a]) / float(l2[b]):.2f}" if a in l2 and b in l2 else None for a, b in RATIOS.values()]


def open_report(record: Record, beside: list[str] | None = None) -> LandscapeReport:
    """The report of ``record``; Table 5 shows those named in ``beside`` too (None: all that this code has finished)."""
    names = None if beside is None else [name for name in beside if name != record.name]
    others = [] if names == [] else load_records(LandscapeSettings.kind, None, names)[0]
    return LandscapeReport(record, [other for other in others if other.name != record.name])


def open_reference() -> LandscapeReport | None:
    """The report of the reference build that ships with the package; None where none ships."""
    records = reference_records(LandscapeSettings.kind)
    return LandscapeReport(records[0], records[1:]) if records else None
