"""All transfer runs side by side: Tables 3 and 4, Figures 5 and 6, and two questions the paper leaves open.

Reads records and nothing else. Does pretraining help? Both arms of a comparison score the same images, so the difference is
taken image by image, averaged over the seeds that both have, and its interval resamples images (a paired bootstrap). That
interval knows nothing of the luck of training. So "helps" and "hurts" are said only where it leaves out zero *and* every one of
at least two seeds falls to the same side.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd

from chairlib.benchmark.report import metric_title, model_title, two_level
from chairlib.core import published
from chairlib.core.errors import CollectionError, RecordError
from chairlib.core.runs import Record, load_records
from chairlib.transfer.object_discovery import CATEGORIES, PROTOCOLS, photos_name
from chairlib.transfer.photos import content_hash, photos_root
from chairlib.transfer.run import examples
from chairlib.transfer.settings import PRETRAININGS, STAND_IN, TransferSettings

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
OTHER_PHOTOS = "scored on other photos"
#: Rows that can't be filled without them.
NEED_COCO = ("coco_chairs", "chair_segments_matched")
#: The methods of Table 4 that are the paper's own, and how they were pretrained.
OURS = {"U-Net": "none", "U-Net (w/ pretraining)": "chair_segments"}
#: What stands for a verdict where there is no room for it.
MARKS = {"helps": "▲", "hurts": "▼", "no clear difference": "≈", "seeds disagree": "⇅", "one seed": "?"}
#: Arms that are compared: what the first adds over the second. A source of pretraining is only compared with another one where
#: both were trained, and "as many images" is the fair one: all composites are more different images than COCO has chairs.
COMPARISONS = (
    *((pretraining, "none") for pretraining in PRETRAININGS[1:]),
    ("chair_segments_matched", "coco_chairs"),
    ("chair_segments", "coco_chairs"),
)
_RESAMPLES = 2000
#: Figure 6 and the steps needed look at runs that used all training images.
_WHOLE = 100
#: Fewer validation photos with the object than these don't tell when a curve crosses a line.
_LEAST_VALIDATION = 25
#: What two runs that are compared need not have in common.
_NOT_CONFIGURATION = ("pretraining", "pretrained", "seed", "fold", "share", "data", "device")
_CONFIGURATION = tuple(name for name in TransferSettings.names() if name not in _NOT_CONFIGURATION)
#: What tells the runs of one configuration apart.
_WITHIN = ("pretraining", "share", "seed", "fold")


@dataclass(frozen=True)
class Gain:
    """What one arm adds to a metric over another, in points, over the images and seeds that both have."""

    mean: float
    low: float
    high: float
    """The ends of the 95 % interval over images, at the seeds that were trained."""
    by_seed: tuple[float, ...]
    """The gain of each seed alone, in order of the seeds."""
    n_images: int
    with_seeds: tuple[float, float]
    """The ends of the 95 % interval that draws seeds anew as well as images. Of two or three seeds it is still too narrow."""

    @property
    def verdict(self) -> str:
        """``helps`` or ``hurts``; ``no clear difference`` where the interval over images holds zero.

        Where it doesn't, but training luck may be all there is to it: ``seeds disagree`` on the sign, or there is ``one seed``.
        """
        if self.low <= 0 <= self.high:
            return "no clear difference"
        if len(self.by_seed) == 1:
            return "one seed"
        if min(self.by_seed) <= 0 <= max(self.by_seed):
            return "seeds disagree"
        return "helps" if self.mean > 0 else "hurts"

    @property
    def seeds(self) -> str:
        return _count(len(self.by_seed), "seed")

    @property
    def mark(self) -> str:
        """The gain, its interval, its verdict as a sign, and on how many seeds it rests."""
        return f"{self._figures} {MARKS[self.verdict]} {self.seeds}"

    @property
    def _figures(self) -> str:
        return f"{self.mean:+.1f} ({self.low:+.1f} to {self.high:+.1f})"

    def __str__(self) -> str:
        return f"{self._figures}, {self.verdict}" + ("" if self.verdict == "one seed" else f", {self.seeds}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _range(numbers: Iterable[int]) -> str | None:
    """``"4,000"``, or the least and the greatest; None of no numbers."""
    ends = sorted(set(numbers))
    return (f"{ends[0]:,}" + (f" to {ends[-1]:,}" if len(ends) > 1 else "")) if ends else None


def _label(pretraining: str) -> str:
    return "from scratch" if pretraining == "none" else f"pretrained on {PRETRAINING_TITLES[pretraining]}"


def _by_image(records: Sequence[Record], metric: str) -> pd.DataFrame:
    """The metric of each image (rows, by fold and id) under each seed (columns); images without a value left out."""
    tables = []
    for record in records:
        table, settings = record.table("test_images"), record.settings
        key = f"{settings.fold}/" + table["id"].astype(str)
        tables.append(pd.DataFrame({"key": key, "seed": settings.seed, "value": table[metric]}))
    return pd.concat(tables).pivot_table(index="key", columns="seed", values="value")


def _per_image(records: Sequence[Record], metric: str) -> pd.Series:
    """The metric of each image, averaged over seeds, by fold and id."""
    return _by_image(records, metric).mean(axis=1)


def paired_gain(
    scratch: Sequence[Record], pretrained: Sequence[Record], metric: str = "iou", seed: int = 0
) -> Gain | None:
    """How much better ``pretrained`` is than ``scratch`` (or whatever is compared) on the images that both scored.

    Over the seeds that both have, with 95 % paired bootstrap intervals, drawn with ``seed``. None where they share no seed or fewer
    than two images.
    """
    if not scratch or not pretrained:
        return None
    one, other = _by_image(scratch, metric), _by_image(pretrained, metric)
    shared = one.columns.intersection(other.columns)
    gains = (other[shared] - one[shared]).dropna().to_numpy()
    if not len(shared) or len(gains) < 2:
        return None
    rng = np.random.default_rng(seed)
    images = rng.integers(0, len(gains), (_RESAMPLES, len(gains)))
    drawn = gains[images].mean(axis=1)  # of each resample, the gain of each seed
    low, high = np.percentile(drawn.mean(axis=1), [2.5, 97.5])
    seeds = rng.integers(0, len(shared), drawn.shape)
    both = np.percentile(np.take_along_axis(drawn, seeds, axis=1).mean(axis=1), [2.5, 97.5])
    by_seed = tuple(map(float, gains.mean(axis=0)))
    return Gain(float(gains.mean()), float(low), float(high), by_seed, len(gains), (float(both[0]), float(both[1])))


def _by_seed(records: Sequence[Record]) -> str:
    """IoU of each seed, over its folds, in order of the seeds."""
    return " / ".join(f"{iou:.1f}" for iou in _by_image(records, "iou").mean())


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
    unmatched: list[str]
    """Records of other photos or other code, each with the reason why it was passed over."""

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
        """What stands on every table: the photos, the protocol, and which split of it is scored."""
        return self._title_of(self._shown)

    def title_of(self, category: str, model: str = "unet") -> str:
        """The same for the figures of one category and model."""
        return self._title_of(self._chosen(model, category))

    def _title_of(self, records: Sequence[Record]) -> str:
        protocols = sorted({record.settings.protocol for record in records})
        splits = sorted({record.content["scored_split"] for record in records})
        return self.photos + (f", protocol {' and '.join(protocols)}, {' and '.join(splits)} images" if records else "")

    @property
    def has_coco(self) -> bool:
        return any(record.settings.pretraining == "coco_chairs" for record in self.records)

    @property
    def left_out(self) -> list[str]:
        """Records that no table or figure shows, each with its reason."""
        return [*self.unmatched, *self._passed_over()]

    @cached_property
    def _latest(self) -> list[Record]:
        """Of records that answer the same question (a pretraining that was made anew), the newest.

        A pretraining with fewer images than another of its source asks another question, as a landscape's shared ones do: how
        much of it is needed. None of its records is taken.
        """
        latest: dict[tuple[Any, ...], Record] = {}
        for record in sorted(_most_pretrained(self.records), key=lambda record: record.content["finished"]):
            latest[_configuration(record), *(getattr(record.settings, name) for name in _WITHIN)] = record
        folders = {record.folder for record in latest.values()}
        return [record for record in self.records if record.folder in folders]

    @cached_property
    def _models(self) -> list[str]:
        return list(dict.fromkeys(record.settings.model for record in self.records))

    def _chosen(self, model: str, category: str, protocol: str | None = None) -> list[Record]:
        """The records that stand for a model on a category: every pretraining, share, seed and fold of ONE configuration.

        Where a model was trained in several (recipes, budgets, protocols), arms and points of a curve that came from different
        ones would differ in more than they seem to. Taken is the one with the most pretrainings, then with the most of them
        at several shares, then with the most records; of equals the one whose protocol comes first.
        """
        found: dict[tuple[Any, ...], list[Record]] = {}
        for record in self._latest:
            settings = record.settings
            if (settings.model, settings.category) == (model, category) and protocol in (None, settings.protocol):
                found.setdefault(_configuration(record), []).append(record)
        return max(found.values(), key=_weight, default=[])

    def find(
        self, model: str, pretraining: str, category: str, share: int = _WHOLE, protocol: str | None = None
    ) -> list[Record]:
        """Records of one cell, every seed and fold: of one configuration, the same for all cells of a model and category.

        ``protocol``: of that one only; by default of whichever was trained most.
        """
        cell = [
            record
            for record in self._chosen(model, category, protocol)
            if (record.settings.pretraining, record.settings.share) == (pretraining, share)
        ]
        return sorted(cell, key=lambda record: (record.settings.seed, record.settings.fold))

    @cached_property
    def _shown(self) -> list[Record]:
        """What every table and figure but Table 4 is made from."""
        return [record for model in self._models for name in CATEGORIES for record in self._chosen(model, name)]

    def _passed_over(self) -> list[str]:
        cells = itertools.product(OURS.values(), CATEGORIES, PROTOCOLS)
        in_table4 = [record for arm, name, way in cells for record in self.find("unet", arm, name, protocol=way)]
        shown, reasons = {record.folder for record in (*self._shown, *in_table4)}, []
        for record in self.records:
            if record.folder not in shown:
                chosen = self._chosen(record.settings.model, record.settings.category)
                reasons.append(f"{record.name}: {_difference(record, chosen)}")
        return reasons

    def _rows(self) -> list[tuple[str, str]]:
        """(model, pretraining): the paper's nine, then others that were trained."""
        paper = published.table3()
        printed = list(dict.fromkeys(zip(paper["model"], paper["pretraining"], strict=True)))
        ours = {(record.settings.model, record.settings.pretraining) for record in self.records}
        return [*printed, *sorted(ours - set(printed))]

    def _title(self, model: str) -> str:
        widths = {record.settings.width for record in self.records if record.settings.model == model}
        return model_title(model, widths.pop()) if len(widths) == 1 else model_title(model)

    def table3(self, metric: str = "iou") -> pd.DataFrame:
        """Table 3, one metric: model and pretraining by category, the paper's beside ours with its interval, and the gain."""
        paper = published.table3().set_index(["model", "pretraining", "category"])[metric]
        rows: list[dict[Any, Any]] = []
        for model, pretraining in self._rows():
            row: dict[Any, Any] = {"model": self._title(model), "pretraining": PRETRAINING_TITLES[pretraining]}
            reason = self._blank(pretraining)
            for category in CATEGORIES:
                key = (model, pretraining, category)
                records = self.find(*key)
                ours = _score(records, metric) if records else None
                row[(category, f"paper, {metric_title(metric)}")] = paper.get(key)
                row[(category, "ours (95 % interval)")] = ours if records else reason
                gain = (
                    None if pretraining == "none" else paired_gain(self.find(model, "none", category), records, metric)
                )
                row[(category, "gain (95 % interval)")] = (
                    "" if pretraining == "none" else None if gain is None else gain.mark
                )
            rows.append(row)
        return two_level(rows, ["model", "pretraining"])

    def table4(self) -> pd.DataFrame:
        """Table 4: the U-Nets beside the literature's unsupervised methods; IoU as a fraction, as the paper prints it.

        Ours have a row for each protocol that was trained, and in any case for ``subset100``, the one that can stand beside
        the literature's.
        """
        trained = {record.settings.protocol for record in self.records if record.settings.model == "unet"}
        rows: list[dict[Any, Any]] = []
        for method in dict.fromkeys(published.table4()["method"]):
            for protocol in [way for way in PROTOCOLS if way in trained | {"subset100"}] if method in OURS else [""]:
                row: dict[Any, Any] = {"method": method, "our protocol": protocol or "–"}
                row[("", "supervised")] = "yes" if method in OURS else "no"
                for category in CATEGORIES:
                    row |= self._table4_cells(method, category, OURS.get(method), protocol)
                rows.append(row)
        return two_level(rows, ["method", "our protocol"])

    def _table4_cells(self, method: str, category: str, pretraining: str | None, protocol: str) -> dict[Any, Any]:
        """One category of a row of Table 4: the paper's two figures and, of a U-Net, ours with their intervals."""
        paper = published.table4()
        printed = paper[(paper["method"] == method) & (paper["category"] == category)].iloc[0]
        records = self.find("unet", pretraining, category, protocol=protocol) if pretraining else []
        iou, precision = (_score(records, metric) if records else None for metric in ("iou", "precision"))
        blank = MISSING if pretraining else None
        return {
            (category, "paper, precision, %"): printed["precision"],
            (category, "paper, IoU"): printed["iou"],
            (category, "ours, precision, %"): precision or blank,
            (category, "ours, IoU"): "{:.2f} ({:.2f}–{:.2f})".format(*(x / 100 for x in iou)) if iou else blank,
        }

    def gains(self) -> pd.DataFrame:
        """Whether pretraining helps, and which source more: a row for each of :data:`COMPARISONS` that was trained both ways."""
        rows = []
        for model in self._models:
            for (pretraining, other), category in ((pair, name) for pair in COMPARISONS for name in CATEGORIES):
                against, tuned = self.find(model, other, category), self.find(model, pretraining, category)
                gain = paired_gain(against, tuned)
                if gain is not None:
                    rows.append(
                        {
                            "model": self._title(model),
                            "pretrained on": PRETRAINING_TITLES[pretraining],
                            "compared with": "from scratch" if other == "none" else PRETRAINING_TITLES[other],
                            "category": category,
                            "IoU by seed, %": _by_seed(tuned),
                            "IoU of the other, by seed, %": _by_seed(against),
                            "gain, points (95 % interval over photos)": (gain.mean, gain.low, gain.high),
                            "over photos and seeds": "{:+.1f} to {:+.1f}".format(*gain.with_seeds),
                            "photos": gain.n_images,
                            "seeds": len(gain.by_seed),
                            "pretrainings": _pretrainings(tuned),
                            "verdict": gain.verdict,
                        }
                    )
        return pd.DataFrame(rows)

    def images_seen(self) -> pd.DataFrame:
        """What each arm was given, over categories and seeds: photos and images seen in fine-tuning, and before that."""
        rows = []
        shares = sorted({record.settings.share for record in self._shown})
        for model, pretraining, share in itertools.product(self._models, PRETRAININGS, shares):
            records = [record for name in CATEGORIES for record in self.find(model, pretraining, name, share)]
            before = [record.content["pretrained_on"] for record in records if record.content["pretrained_on"]]
            if records:
                rows.append(
                    {
                        "model": self._title(model),
                        "pretraining": PRETRAINING_TITLES[pretraining],
                        "share of the photos, %": share,
                        "photos": _range(record.content["n_train_images"] for record in records),
                        "images seen": _range(record.content["images_seen"] for record in records),
                        "pretraining: different images": _range(
                            min(spent["n_train_images"], spent["images_seen"]) for spent in before
                        ),
                        "pretraining: images seen": _range(spent["images_seen"] for spent in before),
                        "pretraining: recipe": ", ".join(sorted({spent["recipe"] for spent in before})) or None,
                    }
                )
        return pd.DataFrame(rows)

    def figure5(self, category: str) -> dict[str, Any]:
        """Arguments of :func:`chairlib.show.pictures.figure5`: photos, what each model makes of them, and their masks.

        A U-Net that wasn't trained has an empty row that says so; other models are named in the caption.
        """
        shown: dict[str, np.ndarray] | None = None
        predicted: dict[str, np.ndarray | str] = {}
        untrained: list[str] = []
        for name, pretraining in self._rows():
            records = self.find(name, pretraining, category)
            label = self._title(name) + ("" if pretraining == "none" else f", {PRETRAINING_TITLES[pretraining]}")
            if records:
                kept = examples(records[0])
                if not len(kept["images"]):  # none of its scored photos holds the object
                    continue
                shown = shown or kept
                same = np.array_equal(kept["images"], shown["images"])
                predicted[label] = kept["predicted"] if same else OTHER_PHOTOS
            elif name == "unet":
                predicted[label] = self._blank(pretraining)
            else:
                untrained.append(label)
        if shown is None:
            return {}
        caption = f"{MISSING.capitalize()}: {'; '.join(untrained)}." if untrained else ""
        return {"images": shown["images"], "targets": shown["targets"], "predictions": predicted, "caption": caption}

    def _blank(self, pretraining: str) -> str:
        """Why a row has no run."""
        return NO_COCO if pretraining in NEED_COCO and not self.has_coco else MISSING

    def _curves(self, category: str, model: str) -> dict[str, dict[int, pd.DataFrame]]:
        """label -> seed -> images, val_iou; the folds of a seed averaged first, since their spread is not that of seeds."""
        found: dict[str, dict[int, pd.DataFrame]] = {}
        for pretraining in PRETRAININGS:
            by_seed: dict[int, list[pd.DataFrame]] = {}
            for record in self.find(model, pretraining, category):
                history = record.history()
                if history["val_iou"].notna().any():  # else none of its validation photos holds the object
                    by_seed.setdefault(record.settings.seed, []).append(history)
            if by_seed:
                found[_label(pretraining)] = {seed: _mean_curve(folds) for seed, folds in by_seed.items()}
        return found

    def curves(self, category: str, model: str = "unet") -> dict[str, list[pd.DataFrame]]:
        """Figure 6: one curve a seed (images, val_iou), from scratch and pretrained; empty where nothing was trained."""
        return {label: list(by_seed.values()) for label, by_seed in self._curves(category, model).items()}

    def by_share(self, category: str, model: str = "unet") -> pd.DataFrame:
        """How much target data pretraining is worth: label, share (%), n_images, iou, low, high."""
        rows = []
        for pretraining in PRETRAININGS:
            for share in sorted({record.settings.share for record in self._chosen(model, category)}):
                records = self.find(model, pretraining, category, share)
                score = _score(records, "iou") if records else None
                if score:
                    count = round(np.mean([record.content["n_train_images"] for record in records]))
                    rows.append((_label(pretraining), share, count, *score))
        return pd.DataFrame(rows, columns=["label", "share", "n_images", "iou", "low", "high"])

    def steps_to_reach(self, model: str = "unet") -> pd.DataFrame:
        """Images until validation IoU has reached, for good, what training from scratch ends with under the same seed.

        Columns category, label, images (the median over seeds; a seed that never gets there counts as infinity), low and high (over
        seeds), NaN where there is none; and undecided, why the figures tell nothing: "" where they do.
        """
        rows = []
        for category in CATEGORIES:
            curves, photos = self._curves(category, model), self._validation_photos(category, model)
            goals = {seed: curve["val_iou"].iloc[-1] for seed, curve in curves.get("from scratch", {}).items()}
            for label, by_seed in curves.items():
                reached = [_reaching(curve, goals[seed]) for seed, curve in by_seed.items() if seed in goals]
                if reached:
                    few = f"{photos} validation photos" if photos < _LEAST_VALIDATION else ""
                    ends = (float(np.median(reached)), min(reached), max(reached))
                    rows.append((category, label, *(x if np.isfinite(x) else np.nan for x in ends), few))
        return pd.DataFrame(rows, columns=["category", "label", "images", "low", "high", "undecided"])

    def _validation_photos(self, category: str, model: str) -> int:
        """On how many photos a point of a curve rests: those with the object, of all folds of a seed, of the seed with the fewest."""
        counts: dict[tuple[str, int], int] = {}
        for pretraining in PRETRAININGS:
            for record in self.find(model, pretraining, category):
                cell = (pretraining, record.settings.seed)
                val = record.metrics["val"]
                # Older records don't tell how many of their photos IoU leaves out.
                counts[cell] = counts.get(cell, 0) + val["n_images"] - val.get("n_left_out", 0)
        return min(counts.values(), default=0)

    def sentence(self, profile: str = "", description: str = "") -> str:
        """What this build is and what was spent on it, for every page that shows its numbers."""
        head = description or (f"Profile {profile}." if profile else "")
        if not self.records:
            return f"{head} Nothing has been fine-tuned on {self.photos} yet.".strip()
        # Seeds that share a pretraining share its luck, and their spread hides that.
        seeds = _count(len({record.settings.seed for record in self.records}), "seed")
        pretrainings = _count(_pretrainings(self.records), "pretraining")
        spent = sum(record.content["seconds"] for record in self.records) / 60
        hardware = sorted({record.content["hardware"] for record in self.records})
        budget = _range(record.content["images_seen"] for record in self.records)
        published = all(record.content.get("published_split") for record in self.records)
        official = "the authors' own lists of the release" if published else "not the official Object Discovery release"
        chosen = any(record.content.get("chosen_on_scored") for record in self.records)
        caution = (
            " Weights were chosen on the very photos that are scored, as the paper most likely did." if chosen else ""
        )
        return (
            f"{head} Photos: {self.title}; {official}. {len(self.records)} runs with {seeds}, {pretrainings}; "
            f"{budget} images each; {spent:.1f} minutes of training on {', '.join(hardware)}.{caution}"
        ).strip()

    def glued(self, profile: str = "", description: str = "") -> dict[str, str]:
        """The values that the book's prose quotes; ``"not measured"`` where no record has them."""
        values = {"profile_sentence": self.sentence(profile, description), "photos": self.photos}
        for category in CATEGORIES:
            scratch, tuned = (self.find("unet", pretraining, category) for pretraining in ("none", "chair_segments"))
            gain = paired_gain(scratch, tuned)
            for name, records in (("scratch", scratch), ("pretrained", tuned)):
                score = _score(records, "iou") if records else None
                values[f"{name}_{category}"] = "{:.1f} % ({:.1f}–{:.1f})".format(*score) if score else "not measured"
            values[f"gain_{category}"] = "not measured" if gain is None else str(gain)
        return values


def _configuration(record: Record) -> tuple[Any, ...]:
    settings = record.settings
    # Initial weights of the run's own seed are the usual case, however that was written.
    own = None if settings.init_seed == settings.seed else settings.init_seed
    return tuple(own if name == "init_seed" else getattr(settings, name) for name in _CONFIGURATION)


def _pretrained_with(record: Record) -> tuple[int, int, str] | None:
    """What tells the pretrainings of one source apart, their seeds aside: budget, different images, recipe; None from scratch."""
    spent = record.content["pretrained_on"]
    return spent and (spent.get("budget", spent["images_seen"]), spent["n_train_images"], spent["recipe"])


def _most_pretrained(records: Sequence[Record]) -> list[Record]:
    """In each configuration, of each source, the records whose pretraining saw most images; from scratch, all of them."""
    arms: dict[tuple[Any, ...], dict[Any, list[Record]]] = {}
    for record in records:
        arm = arms.setdefault((_configuration(record), record.settings.pretraining), {})
        arm.setdefault(_pretrained_with(record), []).append(record)
    return [record for arm in arms.values() for record in max(arm.values(), key=_reach)]


def _reach(records: Sequence[Record]) -> tuple[int, int, str]:
    """How far records of one pretraining go: images it saw, then their number, then the time of the newest."""
    seen = [spent["images_seen"] for record in records if (spent := record.content["pretrained_on"])]
    return max(seen, default=0), len(records), max(record.content["finished"] for record in records)


def _weight(records: Sequence[Record]) -> tuple[int, int, int, int]:
    """How much a configuration can tell, for :meth:`TransferReport._chosen`."""
    arms = {(record.settings.pretraining, record.settings.share) for record in records}
    whole = sum(share == _WHOLE for _, share in arms)
    return whole, len(arms), len(records), -PROTOCOLS.index(records[0].settings.protocol)


def _difference(record: Record, chosen: Sequence[Record]) -> str:
    """Why a record is not among the chosen ones."""
    pairs = zip(_CONFIGURATION, _configuration(record), _configuration(chosen[0]), strict=True)
    others = [f"{name} {own}" for name, own, shown in pairs if own != shown]
    if others:
        return f"its {', '.join(others)} differ from the runs that are shown, of which there are more"
    source, own = record.settings.pretraining, _pretrained_with(record)
    beside = (_pretrained_with(other) for other in chosen if other.settings.pretraining == source)
    most = next(beside, None)
    if own and most and own != most:
        return f"its pretraining has {_told(own)}; shown is the one with most, of {_told(most)}"
    return "a newer record answers the same question"


def _told(pretraining: tuple[int, int, str]) -> str:
    budget, different, recipe = pretraining
    return f"{budget:,} images ({min(different, budget):,} different ones, recipe {recipe})"


def _pretrainings(records: Sequence[Record]) -> int:
    return len({record.settings.pretrained for record in records} - {None})


def _mean_curve(histories: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean over histories: images, val_iou. One that stopped early keeps its last value, as in Figure 6."""
    start = max(history["images"].iloc[0] for history in histories)
    every = sorted({images for history in histories for images in history["images"] if images >= start})
    curves = [np.interp(every, history["images"], history["val_iou"]) for history in histories]
    return pd.DataFrame({"images": every, "val_iou": np.mean(curves, axis=0)})


def _reaching(curve: pd.DataFrame, goal: float) -> float:
    """Images until a curve reaches the goal and doesn't fall below it again; infinity where it ends below."""
    below = np.flatnonzero(~(curve["val_iou"] >= goal))
    first = below[-1] + 1 if len(below) else 0
    return float(curve["images"].iloc[first]) if first < len(curve) else np.inf


def open_report(data: str = STAND_IN, runs: list[str] | None = None) -> TransferReport:
    """Gather the records of a folder of photos: exactly ``runs`` where given (refused if they don't match), else all that match.

    A record matches where its category's files, under its protocol, are those that it was made from.
    """
    folder = photos_root(data)
    records, left_out = load_records(TransferSettings.kind, None, runs)
    matching = []

    @cache  # many records share a category and protocol, and each time every file is asked whether it has changed
    def content_of(category: str, protocol: str, fold: int) -> str | None:
        try:
            return content_hash(TransferSettings(data=data, category=category, protocol=protocol, fold=fold))
        except CollectionError:  # this folder has no such category, or none of its photos under that protocol
            return None

    for record in records:
        settings = record.settings
        if content_of(settings.category, settings.protocol, settings.fold) == record.content["data"]["hash"]:
            matching.append(record)
        elif runs:
            raise RecordError(
                f"record {record.name} is refused: it was made from other photos ({record.content['data']['name']}); run it again."
            )
        else:
            left_out.append(f"{record.name}: it was made from other photos ({record.content['data']['name']})")
    return TransferReport(photos_name(folder), matching, left_out)
