"""All transfer runs side by side: Tables 3 and 4, Figures 5 and 6, and two questions the paper leaves open.

Reads records and nothing else. Does pretraining help? Both arms of a comparison score the same images, so the difference is
taken image by image, averaged over seeds, and its interval resamples images (a paired bootstrap): "helps" and "hurts" are said
only where that interval leaves out zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chairlib import paths, published
from chairlib.benchmark_report import metric_title, model_title, two_level
from chairlib.errors import CollectionError, RecordError
from chairlib.runs import Record, load_records
from chairlib.transfer import DEFAULTS, KIND, PRETRAININGS, STAND_IN, categories, content_hash, data_root, examples

__all__ = ["PRETRAINING_TITLES", "Gain", "TransferReport", "open_report", "paired_gain"]

PRETRAINING_TITLES = {
    "none": "–",
    "chair_segments": "Chair Segments",
    "coco_chairs": "COCO chairs",
    "chair_segments_matched": "Chair Segments, as many images as COCO chairs",
}
#: What a cell without a record says.
MISSING = "not trained in this profile"
NO_COCO = "needs COCO's photos"
#: Rows that can't be filled without them.
NEED_COCO = ("coco_chairs", "chair_segments_matched")
#: What Table 3 puts behind a gain.
MARKS = {"helps": "▲", "hurts": "▼", "no clear difference": "≈"}
_RESAMPLES = 2000
#: Figure 6 and the steps needed look at runs that used all training images.
_WHOLE = 100
#: What two runs that are compared have in common.
_NOT_CONFIGURATION = ("pretraining", "pretrained", "seed", "init_seed", "fold", "share", "data", "device")
_CONFIGURATION = tuple(name for name in DEFAULTS if name not in _NOT_CONFIGURATION)


@dataclass(frozen=True)
class Gain:
    """What pretraining adds to a metric, in points, over images that both arms scored."""

    mean: float
    low: float
    high: float
    n_images: int
    seeds: tuple[int, int]
    """From scratch and pretrained."""

    @property
    def verdict(self) -> str:
        """``helps``, ``hurts``, or ``no clear difference`` where the interval holds zero."""
        return "helps" if self.low > 0 else "hurts" if self.high < 0 else "no clear difference"

    @property
    def mark(self) -> str:
        """The gain and its verdict in few characters: ▲ helps, ▼ hurts, ≈ no clear difference."""
        return f"{self.mean:+.1f} {MARKS[self.verdict]}"

    def __str__(self) -> str:
        return f"{self.mean:+.1f} ({self.low:+.1f} to {self.high:+.1f}), {self.verdict}"


def _per_image(records: Sequence[Record], metric: str) -> pd.Series:
    """The metric of each image, averaged over records (seeds), by (fold, id); images without a value left out."""
    tables = []
    for record in records:
        table = record.table("test_images")
        tables.append(table.assign(key=f"{record.parameters['fold']}/" + table["id"].astype(str)))
    return pd.concat(tables).groupby("key")[metric].mean().dropna()


def paired_gain(
    scratch: Sequence[Record], pretrained: Sequence[Record], metric: str = "iou", seed: int = 0
) -> Gain | None:
    """How much better ``pretrained`` is than ``scratch`` on the images both scored, with a 95 % paired bootstrap interval.

    None where either has no record or they share fewer than two images.
    """
    if not scratch or not pretrained:
        return None
    both = pd.concat([_per_image(scratch, metric), _per_image(pretrained, metric)], axis=1, join="inner")
    difference = (both.iloc[:, 1] - both.iloc[:, 0]).to_numpy()
    if len(difference) < 2:
        return None
    seeds = (_seeds(scratch), _seeds(pretrained))
    return Gain(*_mean_with_interval(difference, seed), len(difference), seeds)


def _seeds(records: Sequence[Record]) -> int:
    return len({record.parameters["seed"] for record in records})


def _by_seed(records: Sequence[Record]) -> str:
    """IoU of each seed, over its folds, in order of the seeds."""
    seeds = sorted({record.parameters["seed"] for record in records})
    return " / ".join(
        f"{_per_image([r for r in records if r.parameters['seed'] == seed], 'iou').mean():.1f}" for seed in seeds
    )


def _score(records: Sequence[Record], metric: str, seed: int = 0) -> tuple[float, float, float] | None:
    """(mean, low, high): over seeds and images, with a 95 % bootstrap interval over images; None where undefined."""
    values = _per_image(records, metric).to_numpy()
    return _mean_with_interval(values, seed) if len(values) else None


def _mean_with_interval(values: np.ndarray, seed: int) -> tuple[float, float, float]:
    """(mean, low, high) of one value a photo, with a 95 % bootstrap interval; NaN ends for a single photo."""
    if len(values) < 2:
        return float(values.mean()), np.nan, np.nan
    draws = np.random.default_rng(seed).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


@dataclass(frozen=True)
class TransferReport:
    """The records made from one folder of photos, and the tables and figures made from them."""

    data: str
    """``stand-in``, or the folder's name."""
    records: list[Record]
    left_out: list[str]
    """Records that were passed over, each with its reason."""

    @property
    def photos(self) -> str:
        """What the photos are: the stand-in is never called by the name of what it stands in for."""
        return "the stand-in (rendered airplanes, cars and horses)" if self.data == STAND_IN else self.data

    @property
    def axis(self) -> str:
        """The photos in as few words as an axis has room for."""
        return "the stand-in" if self.data == STAND_IN else self.data

    @property
    def title(self) -> str:
        """What stands on every table and figure: the photos, the protocol, and which split of it is scored."""
        protocols = sorted({record.parameters["protocol"] for record in self.records})
        splits = sorted({record.content["scored_split"] for record in self.records})
        scored = f", protocol {' and '.join(protocols)}, {' and '.join(splits)} images" if self.records else ""
        return self.photos + scored

    @property
    def has_coco(self) -> bool:
        return any(record.parameters["pretraining"] == "coco_chairs" for record in self.records)

    def find(self, model: str, pretraining: str, category: str, share: int = _WHOLE) -> list[Record]:
        """Records of one cell, every seed and fold.

        Where a model was trained in several configurations (recipes, budgets, protocols), all pretrainings of a category are
        taken from the same one, that with the most of them: arms that are compared differ in nothing else.
        """
        found: dict[tuple[Any, ...], dict[str, list[Record]]] = {}
        for record in self.records:
            asked = record.parameters
            if (asked["model"], asked["category"], asked["share"]) == (model, category, share):
                arms = found.setdefault(tuple(asked[name] for name in _CONFIGURATION), {})
                arms.setdefault(asked["pretraining"], []).append(record)
        arms = max(found.values(), key=lambda arms: (len(arms), sum(map(len, arms.values()))), default={})
        return sorted(
            arms.get(pretraining, []), key=lambda record: (record.parameters["seed"], record.parameters["fold"])
        )

    def _rows(self) -> list[tuple[str, str]]:
        """(model, pretraining): the paper's nine, then others that were trained."""
        paper = published.table3()
        printed = list(dict.fromkeys(zip(paper["model"], paper["pretraining"], strict=True)))
        ours = {(record.parameters["model"], record.parameters["pretraining"]) for record in self.records}
        return [*printed, *sorted(ours - set(printed))]

    def _title(self, model: str) -> str:
        widths = {record.parameters["width"] for record in self.records if record.parameters["model"] == model}
        return model_title(model, widths.pop()) if len(widths) == 1 else model_title(model)

    def table3(self, metric: str = "iou") -> pd.DataFrame:
        """Table 3, one metric: model and pretraining by category, the paper's beside ours with its interval, and the gain."""
        paper = published.table3().set_index(["model", "pretraining", "category"])[metric]
        rows: list[dict[Any, Any]] = []
        for model, pretraining in self._rows():
            row: dict[Any, Any] = {"model": self._title(model), "pretraining": PRETRAINING_TITLES[pretraining]}
            reason = NO_COCO if pretraining in NEED_COCO and not self.has_coco else MISSING
            for category in categories():
                key = (model, pretraining, category)
                records = self.find(*key)
                ours = _score(records, metric) if records else None
                row[(category, f"paper, {metric_title(metric)}")] = paper.get(key)
                row[(category, "ours (95 % interval)")] = ours if records else reason
                gain = (
                    None if pretraining == "none" else paired_gain(self.find(model, "none", category), records, metric)
                )
                row[(category, "gain")] = "" if pretraining == "none" else None if gain is None else gain.mark
            rows.append(row)
        return two_level(rows, ["model", "pretraining"])

    def table4(self) -> pd.DataFrame:
        """Table 4: the U-Nets beside the literature's unsupervised methods; IoU as a fraction, as the paper prints it."""
        paper = published.table4()
        ours = {"U-Net": "none", "U-Net (w/ pretraining)": "chair_segments"}
        rows: list[dict[Any, Any]] = []
        for method in dict.fromkeys(paper["method"]):
            row: dict[Any, Any] = {"method": method, ("", "supervised"): "yes" if method in ours else "no"}
            for category in categories():
                printed = paper[(paper["method"] == method) & (paper["category"] == category)].iloc[0]
                row[(category, "paper, precision, %")] = printed["precision"]
                row[(category, "paper, IoU")] = printed["iou"]
                row[(category, "ours, precision, %")] = None
                row[(category, "ours, IoU")] = None
                if method in ours:
                    records = self.find("unet", ours[method], category)
                    score = _score(records, "iou") if records else None
                    precision = _score(records, "precision") if records else None
                    row[(category, "ours, precision, %")] = precision[0] if precision else None
                    row[(category, "ours, IoU")] = (
                        "{:.2f} ({:.2f}–{:.2f})".format(*(value / 100 for value in score)) if score else MISSING
                    )
            rows.append(row)
        return two_level(rows, ["method"])

    def gains(self) -> pd.DataFrame:
        """Whether pretraining on chairs helps: a row for each model and category that was trained both ways."""
        rows = []
        for model in dict.fromkeys(record.parameters["model"] for record in self.records):
            for pretraining in PRETRAININGS[1:]:
                for category in categories():
                    scratch, tuned = self.find(model, "none", category), self.find(model, pretraining, category)
                    gain = paired_gain(scratch, tuned)
                    if gain is not None:
                        over, under = _by_seed(tuned), _by_seed(scratch)
                        rows.append(
                            {
                                "model": self._title(model),
                                "pretraining": PRETRAINING_TITLES[pretraining],
                                "category": category,
                                "IoU from scratch, by seed, %": under,
                                "IoU pretrained, by seed, %": over,
                                "gain, points (95 % interval)": (gain.mean, gain.low, gain.high),
                                "images": gain.n_images,
                                "verdict": gain.verdict,
                            }
                        )
        return pd.DataFrame(rows)

    def figure5(self, category: str, model: str | None = None) -> dict[str, Any]:
        """Arguments of :func:`chairlib.figures.figure5`: photos, what each model makes of them, and their masks."""
        shown: dict[str, np.ndarray] | None = None
        predicted: dict[str, np.ndarray | None] = {}
        for name, pretraining in self._rows():
            records = self.find(name, pretraining, category)
            label = self._title(name) + ("" if pretraining == "none" else f", {PRETRAINING_TITLES[pretraining]}")
            if not records:
                if name == "unet":
                    predicted[label] = None
                continue
            kept = examples(records[0])
            shown = shown or kept
            predicted[label] = kept["predicted"] if np.array_equal(kept["images"], shown["images"]) else None
        if shown is None:
            return {}
        return {"images": shown["images"], "targets": shown["targets"], "predictions": predicted}

    def curves(self, category: str, model: str = "unet") -> dict[str, list[pd.DataFrame]]:
        """Figure 6: histories over seeds, from scratch and pretrained; empty where nothing was trained."""
        found = {
            (
                "from scratch" if pretraining == "none" else f"pretrained on {PRETRAINING_TITLES[pretraining]}"
            ): self.find(model, pretraining, category)
            for pretraining in PRETRAININGS
        }
        return {label: [record.history() for record in records] for label, records in found.items() if records}

    def by_share(self, category: str, model: str = "unet") -> pd.DataFrame:
        """How much target data pretraining is worth: label, share (%), n_images, iou, low, high."""
        rows = []
        for pretraining in PRETRAININGS:
            label = "from scratch" if pretraining == "none" else f"pretrained on {PRETRAINING_TITLES[pretraining]}"
            shares = {r.parameters["share"] for r in self.records if r.parameters["category"] == category}
            for share in sorted(shares):
                records = self.find(model, pretraining, category, share)
                score = _score(records, "iou") if records else None
                if score:
                    count = round(np.mean([record.content["n_train_images"] for record in records]))
                    rows.append((label, share, count, *score))
        return pd.DataFrame(rows, columns=["label", "share", "n_images", "iou", "low", "high"])

    def steps_to_reach(self, model: str = "unet") -> pd.DataFrame:
        """Images until the mean validation IoU first reaches what training from scratch ends with: category, label, images.

        NaN where it never does.
        """
        rows = []
        for category in categories():
            curves = {label: _mean_curve(histories) for label, histories in self.curves(category, model).items()}
            if "from scratch" not in curves:
                continue
            goal = curves["from scratch"]["val_iou"].iloc[-1]
            for label, curve in curves.items():
                there = curve.loc[curve["val_iou"] >= goal, "images"]
                rows.append((category, label, float(there.iloc[0]) if len(there) else np.nan))
        return pd.DataFrame(rows, columns=["category", "label", "images"])

    def sentence(self, profile: str = "", description: str = "") -> str:
        """What this build is and what was spent on it, for every page that shows its numbers."""
        head = description or (f"Profile {profile}." if profile else "")
        if not self.records:
            return f"{head} Nothing has been fine-tuned on {self.photos} yet.".strip()
        seeds = len({record.parameters["seed"] for record in self.records})
        spent = sum(record.content["seconds"] for record in self.records) / 60
        hardware = sorted({record.content["hardware"] for record in self.records})
        images = sorted({record.content["images_seen"] for record in self.records})
        budget = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,}"
        published = all(record.content.get("published_split") for record in self.records)
        official = "the authors' own lists of the release" if published else "not the official Object Discovery release"
        chosen = any(record.content.get("chosen_on_scored") for record in self.records)
        caution = (
            " Weights were chosen on the very photos that are scored, as the paper most likely did." if chosen else ""
        )
        return (
            f"{head} Photos: {self.title}; {official}. {len(self.records)} runs with {seeds} seed{'' if seeds == 1 else 's'}, "
            f"{budget} images each; {spent:.1f} minutes of training on {', '.join(hardware)}.{caution}"
        ).strip()

    def glued(self, profile: str = "", description: str = "") -> dict[str, str]:
        """The values that the book's prose quotes; ``"not measured"`` where no record has them."""
        values = {"profile_sentence": self.sentence(profile, description), "photos": self.photos}
        for category in categories():
            scratch, tuned = (self.find("unet", pretraining, category) for pretraining in ("none", "chair_segments"))
            gain = paired_gain(scratch, tuned)
            for name, records in (("scratch", scratch), ("pretrained", tuned)):
                score = _score(records, "iou") if records else None
                values[f"{name}_{category}"] = "{:.1f} % ({:.1f}–{:.1f})".format(*score) if score else "not measured"
            values[f"gain_{category}"] = "not measured" if gain is None else str(gain)
        return values


def _mean_curve(histories: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean over seeds: images, val_iou. A seed that stopped early keeps its last value, as in Figure 6."""
    start = max(history["images"].iloc[0] for history in histories)
    every = sorted({images for history in histories for images in history["images"] if images >= start})
    curves = [np.interp(every, history["images"], history["val_iou"]) for history in histories]
    return pd.DataFrame({"images": every, "val_iou": np.mean(curves, axis=0)})


def open_report(data: str = STAND_IN, runs: list[str] | None = None) -> TransferReport:
    """Gather the records of a folder of photos: exactly ``runs`` where given (refused if they don't match), else all that match.

    A record matches where its category's files, under its protocol, are those that it was made from.
    """
    folder = data_root(data)
    records, left_out = load_records(KIND, None, runs)
    matching = []
    for record in records:
        asked = record.parameters
        try:
            content = content_hash(folder.resolve(), asked["category"], asked["protocol"], asked["fold"])
        except CollectionError:  # this folder has no such category, or none of its photos under that protocol
            content = None
        if content == record.content["data"]["hash"]:
            matching.append(record)
        elif runs:
            raise RecordError(
                f"record {record.name} is refused: it was made from other photos ({record.content['data']['name']}); run it again."
            )
        else:
            left_out.append(f"{record.name}: it was made from other photos ({record.content['data']['name']})")
    name = STAND_IN if folder == paths.stand_in else _name(folder)
    return TransferReport(name, matching, left_out)


def _name(folder: Path) -> str:
    home = folder.resolve()
    return home.parent.name if home.name == "Data" else home.name
