"""Finished runs in one table, two of them compared on the same test images, and the model of a run.

A comparison is paired: the difference in IoU is taken image by image and seed by seed. Its interval covers the luck of
the test images, by segment group, and that of training (:mod:`chairlib.core.statistics`).
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from chairlib.collection import Collection
from chairlib.core import paths
from chairlib.core.checks import check_choice
from chairlib.core.errors import ChairlibError, ParameterError, RecordError
from chairlib.core.limits import POWER
from chairlib.core.runs import (
    KINDS,
    Record,
    code_hash,
    configuration,
    find_record,
    finished,
    read_record,
    readable_records,
)
from chairlib.core.statistics import Difference, difference

if TYPE_CHECKING:
    from torch import nn

    from chairlib.show.canvas import Figure

#: What is compared, and what it is compared over: runs that differ in nothing else follow one protocol.
_COMPARED = ("model", "width", "model_args", "normalise", "outputs", "weights", "seed", "init_seed", "pretraining")
#: Where the columns of a table of runs stand in a record.
_COLUMNS = {
    "name": "name",
    "protocol": "protocol",
    **{f"parameters.{name}": name for name in ("model", "width", "resolution", "recipe", "seed")},
    "images_seen": "images",
    "metrics.test.iou": "iou",
    "metrics.test.intervals.iou": "interval",
    **{f"metrics.test.{name}": name for name in ("dice", "precision", "pooled_iou")},
    "seconds": "seconds",
    "n_parameters": "parameters",
    "finished": "finished",
    "data.name": "data",
    "usable": "usable",
}
#: Rows of a printed table of learning curves, and images at either end of the difference, at most.
_N_STEPS, _N_IMAGES = 8, 3


def load_runs(kind: str | None = "benchmark", data: str | Path | None = None) -> pd.DataFrame:
    """All finished runs of a kind (None: of every kind), a row each, sorted by name.

    ``data``: only those on these data: a name as in the column ``data``, or a folder. Columns: name, protocol, model,
    width, resolution (pixels), recipe, seed, images (seen in training), iou, low, high, dice, precision, pooled_iou (of
    the test images, per cent; low and high are the 95 % interval of the IoU), seconds, parameters, finished, data, and
    usable: "yes", or why no report takes the run. Raises :class:`ParameterError` for an unknown kind.
    """
    if kind is not None:
        check_choice("kind", kind, KINDS)
    asked = None if data is None else {str(data), str(Path(data).expanduser().resolve())}
    hash_now, rows = cache(_hash_now), list[dict[str, Any]]()
    for name in finished(kind):
        try:
            record = read_record(paths.runs / name)
        except RecordError as error:
            rows += [{"name": name, "usable": str(error)}] if asked is None else []
            continue
        on, path = record.content["data"]["name"], record.content["parameters"].get("data")
        if asked is None or asked & {on, on.rpartition(" ")[0], path}:
            now = hash_now(path) if record.kind == "benchmark" else None
            usable = record.mismatch(now) or _other_model(record) or "yes"
            rows.append({**record.content, "name": name, "protocol": _protocol(record), "usable": usable})
    table = pd.json_normalize(rows).reindex(columns=list(_COLUMNS)).rename(columns=_COLUMNS)
    ends = table["interval"].astype(object).str
    order = [column for name in table for column in (("low", "high") if name == "interval" else (name,))]
    return table.assign(low=ends[0], high=ends[1])[order]


def _hash_now(data: str) -> str | None:
    """The hash of a collection as it is now; None where it is not here, or may be: a relative path."""
    try:
        return Collection(data).hash if data == "mini" or Path(data).is_absolute() else None
    except ChairlibError:
        return None


def _other_model(record: Record) -> str | None:
    """Why a record's model of one's own is no longer the one that is here; None where it is, or is not here."""
    from chairlib.benchmark.models import model_code_hash

    told, now = record.content.get("model_code"), model_code_hash(record.content["parameters"].get("model", ""))
    return f"its model has other code now ({told}, now {now})" if told and now and told != now else None


def _protocol(record: Record) -> str | None:
    """The protocol that a benchmark run follows, or the one that chose the photos of a fine-tuning run."""
    return record.content.get("protocol", record.content["parameters"].get("protocol"))


def load_model(run: str | Record) -> "nn.Module":
    """The model of a benchmark or fine-tuning run with its weights, on the CPU, in evaluation mode.

    ``run``: a record, its name, or a beginning of the name that no other run has. Maps images [B, 3, H, W] in [0, 1] to
    logits [B, 1, H, W]. Raises :class:`RecordError` for an unknown run, and for weights that are missing or do not fit.
    """
    from chairlib.benchmark.models import model_of  # torch, which a table of runs does not wait for
    from chairlib.benchmark.weights import load_recorded

    record = _check_kind(run if isinstance(run, Record) else find_record(run))
    if reason := _other_model(record):
        raise RecordError(f"the model of {record.name} cannot be built: {reason}.")
    settings = record.settings
    model = model_of(settings)
    load_recorded(model, record)
    return model.eval()


def _check_kind(record: Record) -> Record:
    if record.kind not in ("benchmark", "transfer"):
        raise RecordError(f"{record.name} is of kind {record.kind}, which has no model of its own; name another run.")
    return record


def units(scores: pd.DataFrame, groups: pd.Series) -> np.ndarray:
    """Scores [images, seeds] as those of groups [groups, seeds]; see :func:`ratio_units`."""
    return ratio_units(scores.to_numpy(), np.ones(scores.shape), groups[scores.index])[1]


def ratio_units(above: np.ndarray, below: np.ndarray, groups: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """A ratio of sums of each seed [seeds], and what each group counts in it [groups, seeds], whose mean it is.

    ``above``, ``below``: [images, seeds]. Groups are sorted by name; an image without one is by itself. Groups differ
    in size: linearised, one counts as far as its sum lies from what the ratio gives. NaN where nothing is below.
    """
    labels = groups.where(groups.fillna("") != "", groups.index.astype(str)).to_numpy()
    above, below = (pd.DataFrame(part).groupby(labels).sum().to_numpy() for part in (above, below))
    with np.errstate(invalid="ignore"):  # 0 / 0
        by_seed = above.sum(0) / below.sum(0)
        return by_seed, by_seed + (above - by_seed * below) / below.mean(0)


def paired_scores(pairs: Sequence[tuple[Record, Record]]) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series] | None:
    """IoU in per cent of both sides of some pairs, each [images, pairs], and the group of each image.

    Only images where it is defined in all. None without pairs, and unless the same images were scored in all.
    """
    tables = [[record.table("test_images") for record in pair] for pair in pairs]
    labels = [table.filter(["group", "id"]).fillna("") for pair in tables for table in pair]
    if not labels or not all(labels[0].equals(more) for more in labels):
        return None
    one, other = (pd.DataFrame({n: pair[side]["iou"] for n, pair in enumerate(tables)}) for side in (0, 1))
    defined = (one - other).notna().all(axis=1)
    groups = labels[0]["group"] if "group" in labels[0] else pd.Series("", labels[0].index)
    return one[defined], other[defined], groups


def _same_seeds(records: Sequence[Record], against: Sequence[Record]) -> list[tuple[Record, Record]]:
    if _without_luck(records) != _without_luck(against):  # the one result stands beside each seed of the other side
        longer = max(len(records), len(against))
        return list(zip([*records] * (longer // len(records)), [*against] * (longer // len(against)), strict=True))
    others = {record.settings.seed: record for record in against}
    return [(record, others[record.settings.seed]) for record in records if record.settings.seed in others]


def _without_luck(records: Sequence[Record]) -> bool:
    """Whether a side is the one result of a method without parameters, which no seed changes."""
    return len(records) == 1 and records[0].content.get("n_parameters") == 0


def paired_difference(records: Sequence[Record], against: Sequence[Record]) -> Difference | None:
    """How much higher IoU is, over the groups and seeds of both; None unless the same composites were scored."""
    found = paired_scores(_same_seeds(records, against))
    return None if found is None else difference([units(found[0] - found[1], found[2])])


@dataclass(frozen=True, eq=False)
class Comparison(Difference):
    """One model's test IoU less another's on the same images, in points, with its interval; see :func:`compare_runs`.

    Displays itself in a notebook, and as text: the difference, both scores, notes, images, and learning curves.
    """

    labels: tuple[str, str]
    pairs: list[tuple[Record, Record]]
    """The runs, a pair for each seed."""
    images: pd.DataFrame
    """A row an image where IoU is defined in all runs: group, a, b (IoU, mean over seeds, per cent) and difference."""
    notes: list[str]
    """What a reader must know: which seeds were left out, in what the runs differ besides the model, other code."""

    @property
    def n_groups(self) -> int:
        """How many groups of images, or images where there are no groups, the interval is over."""
        return self.n_units

    @property
    def verdict(self) -> str:
        """``higher``, ``lower``, ``no clear difference`` where the interval holds 0, or ``one seed``."""
        return self.told("higher", "lower")

    def best(self, count: int = _N_IMAGES) -> pd.DataFrame:
        """The images on which the first model is most above the second, and :meth:`worst` the most below it."""
        return self.images.sort_values("difference", ascending=False, kind="stable").head(count)

    def worst(self, count: int = _N_IMAGES) -> pd.DataFrame:
        return self.images.sort_values("difference", kind="stable").head(count)

    def curves(self) -> "Figure":
        """The validation IoU of both over training, a band over the seeds."""
        from chairlib.show.curves import iou_over_steps  # matplotlib, which the table of runs does not wait for

        return iou_over_steps(self._histories(), title="Learning curves")

    def curves_table(self) -> pd.DataFrame:
        """Validation IoU (per cent, mean over seeds) after the same numbers of images, a column a model."""
        from chairlib.show.curves import over_seeds

        means = {label: over_seeds(histories).mean(axis=1) for label, histories in self._histories().items()}
        table = pd.DataFrame(means).interpolate("index", limit_area="inside")
        return table.iloc[np.unique(np.linspace(0, len(table) - 1, _N_STEPS).round().astype(int))]

    def _histories(self) -> dict[str, list[pd.DataFrame]]:
        sides = zip(self.labels, zip(*self.pairs, strict=True), strict=True)
        histories = {label: [record.history() for record in records] for label, records in sides}
        scored = {label: [one for one in found if one["val_iou"].notna().any()] for label, found in histories.items()}
        return {label: found for label, found in scored.items() if found}

    def sentences(self) -> list[str]:
        """The result in words: the difference with its interval, what it rests on, both scores, and the notes."""
        one, other = self.labels
        first, least = self.pairs[0][0], self.smallest_found
        unit = first.metrics["test"].get("interval_units", "images")
        rests = f"over {self.n_groups} {unit}; by seed: {', '.join(f'{gain:+.1f}' for gain in self.by_seed)}"
        if least is not None:
            rests += f"; a true difference of {least:.1f} is found in {100 * POWER:.0f} % of studies"
        means = " and ".join(f"{self.images[side].mean():.1f}" for side in ("a", "b"))
        return [
            f"{one} less {other}: {self.mean:+.1f} points of IoU ({self.low:+.1f} to {self.high:+.1f}): {self.verdict}",
            rests,
            f"IoU {means} % of {len(self.images)} test images of {first.content['data']['name']}",
            *(f"note: {note}" for note in self.notes),
        ]

    def __str__(self) -> str:
        images = pd.concat({"most above": self.best(), "most below": self.worst()}, names=["", "image"])
        tables = [images.round(1).to_string()]
        if self._histories():
            tables += ["validation IoU (%) by images seen", self.curves_table().round(1).to_string(na_rep="–")]
        return "\n  ".join(self.sentences()) + "\n\n" + "\n\n".join(tables)

    def _repr_html_(self) -> str:
        from chairlib.show.tables import style_table

        head, *more = map(html.escape, self.sentences())
        ends = pd.concat([self.best(), self.worst()]).rename_axis("image").reset_index()
        ends = ends[~ends["image"].duplicated()].set_axis(["image", "group", *self.labels, "difference"], axis=1)
        runs = [f"<li>{html.escape(one.name)}, {html.escape(other.name)}</li>" for one, other in self.pairs]
        table = style_table(ends, "Test images with the largest differences, IoU in %", decimals=1).data
        curves = self.curves().data if self._histories() else ""
        return f"<p><strong>{head}</strong><br>{'<br>'.join(more)}</p>{table}{curves}<ul>{''.join(runs)}</ul>"


def compare_runs(a: str | Sequence[str], b: str | Sequence[str], seeds: bool = True) -> Comparison:
    """The paired difference in test IoU, ``a`` less ``b``, with its interval over groups and seeds.

    ``a``, ``b``: each the name of a run, the beginning of it, or a list of those, one a seed. A single name stands for
    all runs of its configuration, which is all settings but the seed: of each seed the newest. Those seeds are compared
    that both sides have. With ``seeds=False``, or where both are of one configuration, it stands for that run alone.

    Raises :class:`RecordError` where a run is unknown, where the two were scored on different images or data, or made
    by different code, and where they share no seed; ParameterError for a list with a seed twice.
    """
    one, other = (_side(given, seeds) for given in (a, b))
    if configuration(one[0]) == configuration(other[0]):
        one, other = (_side(given, False) for given in (a, b))
    names = f"{one[0].name} and {other[0].name}"
    everything = [*one, *other]
    for what, found in (
        ("of different kinds", {record.kind for record in everything}),
        ("scored on different data", {"{name} {hash}".format(**record.content["data"]) for record in everything}),
        ("made by different code", {record.content["code"]["hash"] for record in everything}),
    ):
        if len(found) > 1:
            raise RecordError(f"{names} cannot be compared: they are {what} ({', '.join(sorted(found))}).")
    pairs = [(one[0], other[0])] if len(one) == len(other) == 1 else _same_seeds(one, other)
    of_seeds = [{record.settings.seed for record in side} for side in (one, other)]
    if not pairs:
        raise RecordError(f"{names} share no seed ({of_seeds[0]} and {of_seeds[1]}); run both with the same seeds.")
    scores = paired_scores(pairs)
    if scores is None:
        raise RecordError(f"{names} were scored on different test images; run both with the same test_images.")
    mine, theirs, groups = scores
    gain = difference([units(mine - theirs, groups)])
    if gain is None:
        raise RecordError(f"{names} share fewer than two groups of test images that have an IoU in both.")
    images = pd.DataFrame({"group": groups[mine.index], "a": mine.mean(axis=1), "b": theirs.mean(axis=1)})
    images["difference"] = images["a"] - images["b"]
    single = any(map(_without_luck, (one, other)))
    notes = _notes(*pairs[0], set() if single else of_seeds[0] ^ of_seeds[1])
    return Comparison(**vars(gain), labels=_labels(*pairs[0]), pairs=pairs, images=images, notes=notes)


def _side(given: str | Sequence[str], seeds: bool) -> list[Record]:
    """The records that one side of a comparison stands for, one a seed, in order of the seeds."""
    names = [given] if isinstance(given, str) else list(given)
    if not names:
        raise ParameterError("there is no run to compare; give the name of one, or a list of names.")
    found = [find_record(name, any_seed=seeds) for name in names]
    for record in found:
        _check_kind(record)
        # Two runs of the same older code may be compared; a note says so.
        if (reason := record.mismatch()) and record.content["code"]["hash"] == code_hash(record.kind):
            raise RecordError(f"record {record.name} is refused: {reason}; run it again.")
    if names == [given] and seeds:
        alike, asked = readable_records(found[0].kind), configuration(found[0])
        found = [record for record in alike if configuration(record) == asked]
        found.sort(key=lambda record: record.content["finished"])
    by_seed = {record.settings.seed: record for record in found}
    if len(by_seed) < len(names):
        raise ParameterError(f"{', '.join(names)}: two of these runs have the same seed; give one run a seed.")
    return [by_seed[seed] for seed in sorted(by_seed)]


def _labels(one: Record, other: Record) -> tuple[str, str]:
    """What to call two runs: their models, and whatever else tells them apart."""
    from chairlib.benchmark.describe import model_title  # which imports this module

    titles = ((record.content.get("title"), record.settings) for record in (one, other))
    texts = [title or model_title(settings.model, settings.width) for title, settings in titles]
    for name, values in _differing(one, other).items():
        if texts[0] == texts[1] or name not in _COMPARED:
            texts = [f"{text}, {name.replace('_', ' ')} {value}" for text, value in zip(texts, values, strict=True)]
    return (texts[0], texts[1]) if texts[0] != texts[1] else (one.name, other.name)


def _differing(one: Record, other: Record) -> dict[str, tuple[Any, Any]]:
    """The settings in which two runs differ, but for where they computed and what they were pretrained from."""
    names = one.settings.identity() | other.settings.identity()  # each leaves out some at their defaults
    values = {name: (getattr(one.settings, name), getattr(other.settings, name)) for name in names}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1] and name != "pretrained"}


def _notes(one: Record, other: Record, left: set[int]) -> list[str]:
    differing = _differing(one, other)
    words = [f"{name} {values[0]} and {values[1]}" for name, values in differing.items() if name not in _COMPARED]
    names = [record.content["protocol"] for record in (one, other) if "protocol" in record.content]
    notes = []
    if words and len(set(names)) != 1:
        named = f" ({' and '.join(names)})" if names else ""
        notes.append(f"they follow different protocols{named}: {', '.join(words)}; so not the model alone differs")
    if "seed" in differing:
        notes.append(f"seed {one.settings.seed} is compared with seed {other.settings.seed}")
    elif left:
        notes.append(f"left out: seed {', '.join(map(str, sorted(left)))}, which one side has alone")
    if one.content["code"]["hash"] != code_hash(one.kind):
        notes.append("both were made by other code than that of now")
    return notes
