"""All benchmark runs side by side: Tables 1 and 2 and Figure 4, each beside the paper's figures. Reads records and nothing else."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML

from chairlib.benchmark.models import FULL_WIDTH, MODEL_TITLES
from chairlib.benchmark.run import examples
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.collection import Collection
from chairlib.compositing.released import COCO_SOURCE
from chairlib.core import published
from chairlib.core.runs import Record, load_records

__all__ = ["Report", "describe_record", "open_report", "score_table", "scored_on", "show_slips"]

#: What a cell without a record says.
MISSING = "not trained in this profile"
_METRICS = ("precision", "iou", "dice")
#: What makes two runs repetitions of each other, their seeds aside.
_CONFIGURATION = tuple(name for name in BenchmarkSettings().identity() if name != "seed")


def model_title(model: str, width: int | None = None) -> str:
    """``"U-Net"``, or ``"U-Net, width 16"`` where it isn't the paper's."""
    title = MODEL_TITLES.get(model, model)
    return title if width in (None, FULL_WIDTH) else f"{title}, width {width}"


def _triple(records: Sequence[Record], metric: str) -> tuple[float, float, float]:
    """(mean, low, high) of a test score, in per cent; over seeds, the ends of the intervals are averaged too."""
    tests = [record.metrics["test"] for record in records]
    values = [[test[metric], *test["intervals"][metric]] for test in tests]
    mean, low, high = np.mean(np.array(values, float), axis=0)  # None, where undefined, becomes NaN
    return float(mean), float(low), float(high)


def _seeds(above: str, records: Sequence[Record]) -> dict[tuple[str, str], Any]:
    """Cells under the heading ``above``: how many seeds, and the standard deviation of test IoU over several."""
    ious = [record.metrics["test"]["iou"] for record in records]
    spread = {(above, "SD over seeds"): float(np.std(np.array(ious, float), ddof=1))} if len(ious) > 1 else {}
    return {(above, "seeds"): len(records), **spread}


@dataclass(frozen=True)
class Report:
    """The records of one collection, and the tables and figures made from them."""

    collection: str
    records: list[Record]
    left_out: list[str]
    """Records that were passed over, each with its reason."""

    def _rows(self) -> dict[tuple[Any, ...], list[Record]]:
        """Records by configuration, in the order they were asked for; more than one where several seeds were trained.

        Of two with the same seed (a model of one's own that was edited), the newer counts.
        """
        rows: dict[tuple[Any, ...], dict[int, Record]] = {}
        for record in self.records:
            configuration = tuple(getattr(record.settings, name) for name in _CONFIGURATION)
            by_seed, seed = rows.setdefault(configuration, {}), record.settings.seed
            by_seed[seed] = max(by_seed.get(seed, record), record, key=lambda one: one.content["finished"])
        return {configuration: list(by_seed.values()) for configuration, by_seed in rows.items()}

    def label(self, record: Record) -> str:
        """The model's title, with whatever else tells this report's runs apart (recipe, budget, ...)."""
        title = model_title(record.settings.model, record.settings.width)
        for name in _CONFIGURATION:
            values = {str(getattr(other.settings, name)) for other in self.records}
            if name not in ("model", "width", "resolution") and len(values) > 1:
                title += f", {name.replace('_', ' ')} {getattr(record.settings, name)}"
        return title

    def _find(self, model: str, resolution: int) -> list[list[Record]]:
        return [rows for (name, _, size, *_), rows in self._rows().items() if (name, size) == (model, resolution)]

    def table1(self) -> pd.DataFrame:
        """Table 1: time to convergence and IoU of each model at each resolution, the paper's beside ours."""
        paper = published.table1()
        wanted = list(zip(paper["model"], paper["resolution"], strict=True))
        others = sorted({(r.settings.model, r.settings.resolution) for r in self.records} - set(wanted))
        rows: list[dict[Any, Any]] = []
        for model, resolution in [*wanted, *others]:
            printed = paper[(paper["model"] == model) & (paper["resolution"] == resolution)]
            theirs = {
                ("paper", "hours"): printed["hours"].iloc[0] if len(printed) else None,
                ("paper", "IoU, %"): printed["iou"].iloc[0] if len(printed) else None,
            }
            found = self._find(model, resolution)
            if not found:
                label = (model_title(model), f"{resolution} px")
                rows.append(
                    {"model": label[0], "resolution": label[1], **theirs, ("ours", "IoU, % (95 % interval)"): MISSING}
                )
            for records in found:
                content = [record.content for record in records]
                rows.append(
                    {
                        "model": self.label(records[0]),
                        "resolution": f"{resolution} px",
                        **theirs,
                        ("ours", "IoU, % (95 % interval)"): _triple(records, "iou"),
                        **_seeds("ours", records),
                        ("ours", "images trained"): round(np.mean([c["images_seen"] for c in content])),
                        ("ours", "images to convergence"): round(np.mean([c["converged_images"] for c in content])),
                        ("ours", "minutes to convergence"): float(np.mean([c["converged_seconds"] for c in content]))
                        / 60,
                    }
                )
        return two_level(rows, ["model", "resolution"])

    def table2(self, resolution: int = 64) -> pd.DataFrame:
        """Table 2: precision, IoU and Dice of each model at one resolution, with the baseline that sees no chair anywhere."""
        paper = published.table2().set_index("model")
        others = sorted(
            {r.settings.model for r in self.records if r.settings.resolution == resolution} - set(paper.index)
        )
        rows: list[dict[Any, Any]] = []
        for model in [*paper.index, *others]:
            theirs = {
                ("paper", metric_title(m)): paper.loc[model, m] if model in paper.index else None for m in _METRICS
            }
            found = self._find(model, resolution)
            if not found:
                ours: dict[Any, Any] = {
                    ("ours (95 % interval)", metric_title(m)): MISSING if m == "precision" else None for m in _METRICS
                }
                rows.append({"model": model_title(model), **theirs, **ours})
            for records in found:
                ours = {("ours (95 % interval)", metric_title(m)): _triple(records, m) for m in _METRICS}
                ours |= _seeds("ours (95 % interval)", records)
                ours[("ours (95 % interval)", "pooled IoU")] = _triple(records, "pooled_iou")[0]
                ours[("ours (95 % interval)", "images trained")] = round(
                    np.mean([r.content["images_seen"] for r in records])
                )
                rows.append({"model": self.label(records[0]), **theirs, **ours})
        baseline = self.all_background_precision(resolution)
        rows.append(
            {
                "model": "All background",
                ("paper", metric_title("precision")): published.ALL_BACKGROUND_PRECISION,
                ("ours (95 % interval)", metric_title("precision")): MISSING if baseline is None else baseline,
                **(
                    {("ours (95 % interval)", metric_title(m)): 0.0 for m in ("iou", "dice")}
                    if baseline is not None
                    else {}
                ),
            }
        )
        return two_level(rows, ["model"])

    def all_background_precision(self, resolution: int = 64) -> float | None:
        """Precision of calling every test pixel background, in per cent; None without a record at ``resolution``."""
        found = [r.metrics["all_background_precision"] for r in self.records if r.settings.resolution == resolution]
        return float(np.mean(found)) if found else None

    def histories(self) -> dict[str, pd.DataFrame]:
        """Validation IoU over images, by label; the first seed of each configuration."""
        return {
            f"{self.label(records[0])} at {records[0].settings.resolution} px": records[0].history()
            for records in self._rows().values()
        }

    def by_resolution(self) -> pd.DataFrame:
        """Test IoU with its interval by model and resolution, for Figure 4's claim that the order of models is preserved."""
        rows = [
            {
                "model": model_title(model) + self.label(records[0]).removeprefix(model_title(model, width)),
                "resolution": resolution,
                **dict(zip(("iou", "low", "high"), _triple(records, "iou"), strict=True)),
            }
            for (model, width, resolution, *_), records in self._rows().items()
        ]
        return pd.DataFrame(rows, columns=["model", "resolution", "iou", "low", "high"])

    def paper_by_resolution(self) -> pd.DataFrame:
        """The paper's Table 1 in the form of :meth:`by_resolution`."""
        return published.table1().assign(model=lambda table: table["model"].map(MODEL_TITLES))

    def figure4(self, resolution: int = 64) -> dict[str, Any]:
        """Arguments of :func:`chairlib.show.pictures.figure4`: fixed test composites, their masks, and what each model predicts."""
        shown: dict[str, np.ndarray] | None = None
        predicted: dict[str, np.ndarray | None] = {}
        models = dict.fromkeys([*MODEL_TITLES, *(r.settings.model for r in self.records)])
        for model in models:
            found = self._find(model, resolution)
            if not found:
                predicted[model_title(model)] = None
            for records in found:
                kept = examples(records[0], "fixed")
                shown = shown or kept
                # Runs may have been scored on other subsets: only the same composites belong in one figure.
                same = np.array_equal(kept["images"], shown["images"])
                predicted[self.label(records[0])] = kept["probabilities"] > 0.5 if same else None
        if shown is None:
            return {}
        return {"images": shown["images"], "targets": shown["targets"], "predictions": predicted}

    def sentence(self, profile: str = "", description: str = "") -> str:
        """What this build is and what was spent on it, for every page that shows its numbers."""
        head = description or (f"Profile {profile}." if profile else "")
        if not self.records:
            return f"{head} Nothing has been trained on {self.collection} yet.".strip()
        images = sorted({record.content["images_seen"] for record in self.records})
        tested = sorted({record.metrics["test"]["n_images"] for record in self.records})
        seeds = len({record.settings.seed for record in self.records})
        spent = sum(record.content["seconds"] for record in self.records) / 60
        collection = (
            "mini, the small collection of rendered chairs and rooms that ships with it"
            if self.collection == "mini"
            else self.collection
        )
        return (
            f"{head} Data: {collection}. {_count(len(self.records), 'run')} with {_count(seeds, 'seed')}, "
            f"trained on {_range(images)} images and scored "
            f"on {_range(tested)} test composites each; {spent:.1f} minutes of training on {', '.join(self.hardware())}."
        ).strip()

    def hardware(self) -> list[str]:
        return sorted({record.content["hardware"] for record in self.records})

    def glued(self, profile: str = "", description: str = "") -> dict[str, str]:
        """The values that the book's prose quotes; ``"not measured"`` where no record has them."""

        def iou(model: str) -> str:
            found = self._find(model, 64)
            if not found:
                return "not trained in this build"
            # Beside the paper's figure stands the paper's recipe, where the build has it.
            records = min(found, key=lambda rows: rows[0].settings.recipe != "paper")
            text = "{:.1f} % ({:.1f}–{:.1f})".format(*_triple(records, "iou"))
            return text if len(found) == 1 else f"{text}, recipe {records[0].settings.recipe}"

        baseline = self.all_background_precision()
        images = sorted({record.content["images_seen"] for record in self.records})
        finished = sorted(record.content["finished"] for record in self.records)
        return {
            "profile_sentence": self.sentence(profile, description),
            "unet_iou_64": iou("unet"),
            "fcn_vgg16_iou_64": iou("fcn_vgg16"),
            "all_background_precision": "not measured" if baseline is None else f"{baseline:.2f} %",
            "training_images": _range(images) if images else "not measured",
            "hardware": ", ".join(self.hardware()) or "not measured",
            "build_date": finished[-1][:10] if finished else "not measured",
        }


def two_level(rows: list[dict[Any, Any]], index: list[str]) -> pd.DataFrame:
    """Rows as a table with two-level columns; cells keep their own types, so that counts stay whole beside missing ones."""
    table = pd.DataFrame(rows, dtype=object).set_index(index)
    names: list[tuple[Any, ...]] = table.columns.to_list()  # type: ignore[assignment]
    table.columns = pd.MultiIndex.from_tuples(names)
    return table


def metric_title(metric: str) -> str:
    return {"precision": "precision, %", "iou": "IoU, %", "dice": "Dice, %"}[metric]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _range(numbers: Sequence[int]) -> str:
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"


def open_report(data: str, runs: list[str] | None = None) -> Report:
    """Gather the records of a collection: exactly ``runs`` where given (refused if they don't match), else all that match."""
    collection = Collection(data)
    return Report(collection.name, *load_records(BenchmarkSettings.kind, collection.hash, runs))


def _on_coco(record: Record) -> bool:
    """Whether a run's data are crops of COCO's photos: not composites, and its validation crops once more in the place of a test."""
    return record.content.get("source") == COCO_SOURCE


def scored_on(record: Record) -> str:
    """What a run of the benchmark was scored on, in words: ``"100 test composites"``."""
    count = f"{record.metrics['test']['n_images']:,}"
    return f"{count} validation crops (COCO has no test split here)" if _on_coco(record) else f"{count} test composites"


def describe_record(record: Record) -> str:
    """A run's scores and costs as lines of text."""
    test, content = record.metrics["test"], record.content
    val = record.metrics["val"]["iou"]
    lines = [f"{record.name}  ({content['n_parameters']:,} parameters)"]
    for metric, title in (("iou", "IoU"), ("dice", "Dice"), ("precision", "precision"), ("pooled_iou", "pooled IoU")):
        low, high = test["intervals"][metric]
        value = "undefined" if test[metric] is None else f"{test[metric]:6.2f} %"
        interval = "no interval: too few groups" if low is None else f"95 % interval {low:.2f} to {high:.2f}"
        lines.append(f"  {title:<11} {value}  ({interval})")
    lines += [
        f"  on {scored_on(record)} of {content['data']['name']} "
        f"({test['n_groups'] or test['n_images']} {test['interval_units']}; {test['n_left_out']} left out of IoU and Dice)",
        f"  {content['images_seen']:,} images in {content['seconds']:.0f} s on {content['hardware']}; converged after "
        f"{content['converged_images']:,} images, {content['converged_seconds']:.0f} s; "
        f"validation IoU {'undefined' if val is None else f'{val:.2f} %'}",
    ]
    return "\n".join(lines)


def score_table(record: Record) -> pd.DataFrame:
    """A run's scores: each with its interval, and what it means."""
    test = record.metrics["test"]
    images = "validation crops" if _on_coco(record) else "images"
    scored = test["n_images"] - test["n_left_out"]
    meanings = {
        "IoU, %": ("iou", f"mean over {scored:,} {images}"),
        "Dice, %": ("dice", f"mean over {scored:,} {images}"),
        "precision, %": ("precision", f"pixels classified correctly, of {test['n_images']:,} {images}"),
        "pooled IoU, %": ("pooled_iou", f"all pixels of {test['n_images']:,} {images} taken together"),
    }
    rows = [(title, _triple([record], metric), meaning) for title, (metric, meaning) in meanings.items()]
    return pd.DataFrame(rows, columns=["score", "value (95 % interval)", "meaning"]).set_index("score")


def show_slips(where: str) -> HTML:
    """What doesn't add up in a table or figure of the paper (``"table1"``, ``"figure4"``, ...), as a note to stand below it."""
    notes = "".join(f"<li>{html.escape(text)}</li>" for text in published.SLIPS[where])
    return HTML(f'<aside class="chair-slips" aria-label="In the paper"><p>In the paper:</p><ul>{notes}</ul></aside>')
