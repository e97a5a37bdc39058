"""All benchmark runs side by side: Tables 1 and 2 and Figure 4, beside the paper's numbers. It only reads records."""

import html
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML

from chairlib.benchmark.comparison import paired_difference
from chairlib.benchmark.describe import METRIC_TITLES, mean_score, model_title, number_range, one_class, plural
from chairlib.benchmark.protocols import common_terms
from chairlib.benchmark.run import examples
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.collection import Collection
from chairlib.core import published
from chairlib.core.published import MODEL_TITLES
from chairlib.core.runs import Record, load_records, reference_records
from chairlib.show.pictures import side_by_side

#: Runs with the same values of these repeat each other with other seeds. They begin with model, width and resolution.
_CONFIGURATION = tuple(
    name
    for name in dict.fromkeys(("model", "width", "resolution", *BenchmarkSettings.names()))
    if name not in ("seed", "data", "device", "protocol")
)


def _mean(records: Sequence[Record], entry: str) -> float:
    """The mean over seeds of a number that stands in the record itself."""
    return float(np.mean([record.content[entry] for record in records]))


@dataclass(frozen=True)
class Report:
    """The records of one collection, and the tables and figures made from them."""

    collection: str
    records: list[Record]
    left_out: list[str]
    """Names of records that are not used, each with its reason."""

    def parts(self) -> list["Report"]:
        """A report for each set of terms, that with the most runs first: only runs of the same terms are compared.

        Terms are all that :func:`chairlib.benchmark.protocols.common_terms` lists. Without a record, this report alone.
        """
        by_terms: dict[str, list[Record]] = {}
        for record in self.records:
            by_terms.setdefault(repr(common_terms(record.settings)), []).append(record)
        found = [Report(self.collection, records, []) for records in by_terms.values()]
        return sorted(found, key=lambda part: -len(part.records)) or [self]

    def terms(self) -> str:
        """What the runs of one part have in common, in words; empty without a record."""
        if not self.records:
            return ""
        named = {record.content["protocol"] for record in self.records if "protocol" in record.content}
        named = {name for name in named if not name.startswith("custom")}
        protocol = f"Protocol {', '.join(sorted(named))}" if named else "No named protocol"
        terms = {name: value for name, value in common_terms(self.records[0].settings).items() if value is not None}
        if not terms.pop("trained"):
            return f"{protocol}: trained elsewhere, only scored here"
        told = [
            f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name.replace('_', ' ')} {value}"
            for name, value in terms.items()
        ]
        return f"{protocol}: {', '.join(told)}"

    def configurations(self) -> dict[tuple[Any, ...], list[Record]]:
        """Records by configuration, in the order they were asked for: for each seed the newest."""
        rows: dict[tuple[Any, ...], dict[int, Record]] = {}
        for record in self.records:
            key = (*record.settings.key(_CONFIGURATION), record.content.get("model_code"))
            by_seed, seed = rows.setdefault(key, {}), record.settings.seed
            by_seed[seed] = max(by_seed.get(seed, record), record, key=lambda one: one.content["finished"])
        return {configuration: list(by_seed.values()) for configuration, by_seed in rows.items()}

    def find(self, model: str, resolution: int = 64) -> list[list[Record]]:
        """The records of a model at a resolution: a list for each configuration, with a record for each seed."""
        found = self.configurations().items()
        return [records for (name, _, size, *_), records in found if (name, size) == (model, resolution)]

    def label(self, record: Record) -> str:
        """The model's title, with the parameters that tell this report's runs apart (width, recipe, budget, ...)."""
        differing = [n for n in _CONFIGURATION if len({str(getattr(one.settings, n)) for one in self.records}) > 1]
        width = record.settings.width if "width" in differing else None
        title = record.content.get("title") or model_title(record.settings.model, width)
        more = (name for name in differing if name not in ("model", "width", "resolution"))
        return title + "".join(f", {name.replace('_', ' ')} {getattr(record.settings, name)}" for name in more)

    def table1(self) -> pd.DataFrame:
        """Table 1: IoU, and time to convergence; ours, then the paper's. Without records, all rows of the paper's."""
        paper = published.table(1, as_printed=True).astype({"resolution": int}).set_index(["model", "resolution"])
        others = {(record.settings.model, record.settings.resolution) for record in self.records} - set(paper.index)
        rows: list[dict[str, Any]] = []
        for model, resolution in [*paper.index, *sorted(others)]:
            printed = paper.loc[(model, resolution)] if (model, resolution) in paper.index else {}
            theirs = {"IoU, %, paper": printed.get("iou"), "hours, paper": printed.get("hours")}
            size = {"resolution": f"{resolution} px"}
            for records in self.find(model, resolution):
                minutes = _mean(records, "converged_seconds") / 60
                ours = {
                    "IoU, %, ours (95 % interval)": mean_score(records, "iou"),
                    "images until converged": round(_mean(records, "converged_images")),
                    "minutes until converged": f"{minutes:,.1f}" if minutes >= 0.1 else "< 0.1",
                    "seeds": len(records),
                    "images trained": round(_mean(records, "images_seen")),
                }
                rows.append({"model": self.label(records[0]), **size, **ours, **theirs})
            if not self.records:
                rows.append({"model": model_title(model), **size, **theirs})
        return pd.DataFrame(rows, dtype=object).set_index(["model", "resolution"])

    def table2(self, metric: str = "iou") -> pd.DataFrame:
        """Table 2 for one metric: at 64 x 64, and of a mask that is all background. Without records, the paper's."""
        ours, theirs = (f"{METRIC_TITLES[metric]}, {whose}" for whose in ("ours (95 % interval)", "paper"))
        paper = published.table(2, as_printed=True).set_index("model")[metric]
        at_64 = {record.settings.model for record in self.records if record.settings.resolution == 64}
        rows: list[dict[str, Any]] = []
        for model in [*paper.index, *sorted(at_64 - set(paper.index))]:
            for records in self.find(model):
                row = {"model": self.label(records[0]), ours: mean_score(records, metric), "seeds": len(records)}
                if len(records) > 1:
                    scores = [record.metrics["test"][metric] for record in records]
                    row["SD over seeds"] = float(np.std(np.array(scores, float), ddof=1))
                if metric == "iou":
                    row["pooled IoU, %"] = mean_score(records, "pooled_iou")[0]
                rows.append({**row, "images trained": round(_mean(records, "images_seen")), theirs: paper.get(model)})
            if not at_64:
                rows.append({"model": model_title(model), theirs: paper[model]})
        precise, baseline = metric == "precision", self.all_background_precision()
        control = {theirs: f"{published.ALL_BACKGROUND_PRECISION}"} if precise else {}
        if baseline is not None:
            control[ours] = f"{baseline:.1f}" if precise else "0"
        rows += [{"model": "all background", **control}] if control else []
        return pd.DataFrame(rows, dtype=object).set_index("model")

    def differences_from_paper(self) -> list[str]:
        """Which models change places in Table 2, by IoU, a sentence for each two that were trained alike."""
        paper, notes = published.table(2).set_index("model")["iou"], []
        found = [(key, found) for key, found in self.configurations().items() if key[0] in paper and key[2] == 64]
        for ((model, *alike), mine), ((other, *others), theirs) in itertools.combinations(found, 2):
            gain, printed = paired_difference(mine, theirs), paper[model] - paper[other]
            ours = {"higher": 1, "lower": -1}.get(gain.told("higher", "lower"), 0) if gain else 0
            if gain and alike == others and ours * printed < 0:
                names = f"{self.label(mine[0])} minus that of {self.label(theirs[0])}"
                interval = f"{gain.mean:+.1f} ({gain.low:+.1f} to {gain.high:+.1f})"
                notes.append(f"Table 2, IoU of {names}: {interval} points here, {printed:+.1f} in the paper.")
        return notes

    def differences(self) -> pd.DataFrame:
        """Differences in test IoU on the same composites: a row for each pair of runs that differ in one thing.

        At 64 x 64 every model against the U-Net (the first one, where there is none); of each model, every resolution
        against the one below. Intervals are over segment groups and seeds (:mod:`chairlib.core.statistics`).
        """
        found = list(self.configurations().values())
        first = "unet" if self.find("unet") else next((r[0].settings.model for r in found if _size(r) == 64), "")
        pairs = []
        for records in found:
            alike = [other for other in found if _terms(other) == _terms(records)]
            smaller = [other for other in alike if _model(other) == _model(records) and _size(other) < _size(records)]
            pairs += [(records, max(smaller, key=_size))] if smaller else []
            if _size(records) == 64 and records[0].settings.model != first:
                width = records[0].settings.width
                against = [other for other in alike if other[0].settings.model == first and _size(other) == 64]
                against.sort(key=lambda other: other[0].settings.width != width)  # of the same width, if there is one
                pairs += [(records, other) for other in against[:1]]
        rows = []
        for pair in pairs:
            if gain := paired_difference(*pair):
                names = [f"{self.label(side[0])} at {side[0].settings.resolution} px" for side in pair]
                row = {
                    **dict(zip(("model", "compared with"), names, strict=True)),
                    "difference in IoU, points (95 % interval)": (gain.mean, gain.low, gain.high),
                    "groups": gain.n_units,
                    "seeds": len(gain.by_seed),
                    "verdict": gain.told("higher", "lower"),
                }
                rows.append(row)
        return pd.DataFrame(rows)

    def _hardware(self) -> str:
        return ", ".join(sorted({record.content["hardware"] for record in self.records}))

    def all_background_precision(self) -> float | None:
        """Precision of calling every test pixel background, in per cent; None without a record at 64 x 64."""
        found = [r.metrics["all_background_precision"] for r in self.records if r.settings.resolution == 64]
        return float(np.mean(found)) if found else None

    def histories(self) -> dict[str, pd.DataFrame]:
        """Training histories by label; the first seed of each configuration."""
        return {
            f"{self.label(records[0])} at {records[0].settings.resolution} px": records[0].history()
            for records in self.configurations().values()
        }

    def by_resolution(self) -> pd.DataFrame:
        """Test IoU by model and resolution, for Figure 4's claim: model, resolution (pixels), iou, low, high (%)."""
        rows = []
        for (_, _, resolution, *_), records in self.configurations().items():
            rows.append((self.label(records[0]), resolution, *mean_score(records, "iou")))
        return pd.DataFrame(rows, columns=["model", "resolution", "iou", "low", "high"])

    def paper_by_resolution(self) -> pd.DataFrame:
        """The paper's Table 1 in the form of :meth:`by_resolution`."""
        return published.table(1).assign(model=lambda table: table["model"].map(MODEL_TITLES))

    def figure4(self) -> dict[str, Any]:
        """Arguments of :func:`chairlib.show.pictures.figure4`: test composites, their masks, and each model's masks."""
        kept: dict[str, dict[str, np.ndarray]] = {}
        for model in dict.fromkeys([*MODEL_TITLES, *(record.settings.model for record in self.records)]):
            for records in self.find(model):
                one = examples(records[0], "fixed")
                kept[self.label(records[0])] = {**one, "predicted": one["probabilities"] > 0.5}
        return side_by_side(kept, "")

    def sentence(self, profile: str = "", description: str = "") -> str:
        """What this build is and how much was trained, for every page that shows its numbers."""
        head = description or (f"Profile {profile}." if profile else "")
        if not self.records:
            return f"{head} Nothing has been trained on {self.collection} yet: make paper does it.".strip()
        trained = number_range(record.content["images_seen"] for record in self.records)
        tested = number_range(record.metrics["test"]["n_images"] for record in self.records)
        seeds = plural(len({record.settings.seed for record in self.records}), "seed")
        minutes = sum(record.content["seconds"] for record in self.records) / 60
        mini = ", the small collection of rendered chairs and rooms that ships with it"
        return (
            f"{head} Data: {self.collection}{mini if self.collection == 'mini' else ''}. "
            f"{plural(len(self.records), 'run')} with {seeds}, trained on {trained} images and scored on {tested} test "
            f"composites each; {minutes:.1f} minutes of training on {self._hardware()}.{one_class(self.records)}"
        ).strip()

    def glued(self, profile: str = "", description: str = "") -> dict[str, str]:
        """The values that the book's prose quotes; ``"not measured"`` where no record has them."""
        baseline = self.all_background_precision()
        finished = max((record.content["finished"] for record in self.records), default=None)
        images = number_range(record.content["images_seen"] for record in self.records)
        return {
            "profile_sentence": self.sentence(profile, description),
            "all_background_precision": "not measured" if baseline is None else f"{baseline:.2f} %",
            "chair_share": "not measured" if baseline is None else f"{100 - baseline:.2f} %",
            "training_images": images or "not measured",
            "hardware": self._hardware() or "not measured",
            "build_date": finished[:10] if finished else "not measured",
        }


def _size(records: Sequence[Record]) -> int:
    return records[0].settings.resolution


def _terms(records: Sequence[Record]) -> str:
    return repr(common_terms(records[0].settings))


def _model(records: Sequence[Record]) -> str:
    """Everything about a configuration but its terms and its resolution: model, width, a learning rate of its own."""
    settings = records[0].settings
    known = {"resolution", "seed", *common_terms(settings)} - {"learning_rate"}
    return repr([(name, value) for name, value in settings.identity().items() if name not in known])


def for_each_part(report: Report, draw: Callable[[Report], HTML]) -> HTML:
    """``draw`` of each part of a report, one below the other, each headed by its terms where there are several."""
    parts = report.parts()
    drawn = [draw(part).data for part in parts]
    heads = [f"<p><b>{html.escape(part.terms())}</b></p>" if len(parts) > 1 else "" for part in parts]
    return HTML("".join(head + table for head, table in zip(heads, drawn, strict=True)))


def open_report(data: str, runs: list[str] | None = None) -> Report:
    """Gather the records of a collection that match: all, or ``runs``, with RecordError where one does not match."""
    collection = Collection(data)
    return Report(collection.name, *load_records(BenchmarkSettings.kind, collection.hash, runs))


def open_reference() -> Report | None:
    """The report of the reference build that ships with the package; None where none ships."""
    records = reference_records(BenchmarkSettings.kind)
    return Report(records[0].content["data"]["name"], records, []) if records else None


def show_slips(where: str) -> HTML | None:
    """What does not add up in a table or figure of the paper (``"table1"``, ``"figure4"``, ...), as a note below it."""
    return show_notes("In the paper", published.SLIPS[where])


def show_notes(title: str, notes: Sequence[str], folded: bool = False) -> HTML | None:
    """Sentences as a list below a table; None, which shows nothing, where there are none."""
    items = "".join(f"<li>{html.escape(text)}</li>" for text in notes)
    aside = f'<aside class="chair-slips" aria-label="{title}"><p>{title}:</p><ul>{items}</ul></aside>'
    return (
        HTML(f"<details><summary>{title}</summary><ul>{items}</ul></details>" if folded else aside) if notes else None
    )


def show_reference(record: Record, tables: Iterable[HTML]) -> HTML:
    """The tables of a reference build, folded below a sentence that says when and by what it was made."""
    told, body = html.escape(record.content["reference"]), "".join(table.data for table in tables)
    return HTML(f"<details><summary>Reference build</summary><p>{told}</p>{body}</details>")
