"""All fine-tuning runs side by side: Tables 3 and 4, Figures 5 and 6, and two questions that the paper leaves open.

It reads records and nothing else. Which of them are shown is decided in :mod:`chairboard.selection`, whether
pretraining helps in :mod:`chairlib.transfer.comparisons`.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from chairboard.images_needed import count_validation_photos, curves_by_seed, images_until
from chairboard.selection import Selection, count_pretrainings
from chairlib.benchmark.describe import METRIC_TITLES, model_title, number_range, one_class, plural
from chairlib.core import published
from chairlib.core.errors import CollectionError, RecordError
from chairlib.core.limits import LEAST_VALIDATION_PHOTOS, POWER
from chairlib.core.once import looked_at_once
from chairlib.core.runs import Record, load_records, reference_records
from chairlib.show.pictures import side_by_side
from chairlib.transfer.comparisons import mean_score, paired_gain, pooled_gain, scores_by_photo
from chairlib.transfer.object_discovery import photos_name
from chairlib.transfer.photos import name_and_hash, photos_root
from chairlib.transfer.protocols import CATEGORIES, PROTOCOLS
from chairlib.transfer.run import examples
from chairlib.transfer.settings import PRETRAININGS, STAND_IN, TransferSettings

#: What tables and figures call each pretraining.
PRETRAINING_TITLES = {
    "none": "from scratch",
    "none_equal_total": "from scratch, as many images in all",
    "chair_segments": "Chair Segments",
    "coco_chairs": "COCO chairs",
    "chair_segments_matched": "Chair Segments, as many images as COCO chairs",
}
#: The methods of Table 4 that are the paper's own, and how they were pretrained.
OURS = {"U-Net": "none", "U-Net (w/ pretraining)": "chair_segments"}
#: Pretrainings that are compared: what the first adds over the second. Between Chair Segments and COCO's chairs, the
#: fair comparison is that with as many images: there are more different composites than chairs in COCO.
COMPARISONS = (
    ("chair_segments", "none"),
    ("chair_segments", "none_equal_total"),
    *((pretraining, "none") for pretraining in PRETRAININGS if pretraining not in ("none", "chair_segments")),
    ("chair_segments_matched", "coco_chairs"),
    ("chair_segments", "coco_chairs"),
)
#: The column of a gain in :meth:`TransferReport.gains`.
GAIN = "gain, points (95 % interval)"
#: Which images Figure 5 shows.
FIGURE5_NOTE = "The images are ordered by the mean IoU of these models; those at fixed places in that order are shown."
#: Arms that train on equally many photos, for curves over them.
_ARMS = tuple(pretraining for pretraining in PRETRAININGS if pretraining != "none_equal_total")


def label_of(pretraining: str) -> str:
    """``"from scratch"``, ``"pretrained on Chair Segments"``, ..."""
    return ("" if pretraining.startswith("none") else "pretrained on ") + PRETRAINING_TITLES[pretraining]


@dataclass(frozen=True)
class TransferReport:
    """The records made from one folder of photos, and the tables and figures made from them."""

    data: str
    """``stand-in``, or the folder's name."""
    records: list[Record]
    unmatched: list[str]
    """Names of records of other photos or other code, each with the reason why it is not used."""

    @cached_property
    def selection(self) -> Selection:
        return Selection(self.records)

    @property
    def photos(self) -> str:
        """What the photos are. The stand-in is never called by the name of what it stands in for."""
        return self.axis + (" (renderings of airplanes, cars and horses)" if self.data == STAND_IN else "")

    @property
    def axis(self) -> str:
        """A short name of the photos, for an axis."""
        return "the stand-in" if self.data == STAND_IN else self.data

    @property
    def title(self) -> str:
        """The photos, the protocol, and the split that is scored: for the title of every table."""
        return self.title_of()

    def title_of(self, category: str | None = None) -> str:
        """The same for the figures of one category."""
        records = self.selection.records_of("unet", category) if category else self.selection.shown
        protocols = sorted({record.settings.protocol for record in records})
        splits = sorted({record.content["scored_split"] for record in records})
        return self.photos + (f", protocol {' and '.join(protocols)}, {' and '.join(splits)} images" if records else "")

    @property
    def left_out(self) -> list[str]:
        """Names of records that no table or figure shows, each with its reason."""
        cells = itertools.product(OURS.values(), CATEGORIES, PROTOCOLS)
        in_table4 = [self.selection.find("unet", arm, name, protocol=protocol) for arm, name, protocol in cells]
        shown = {record.folder for record in itertools.chain(self.selection.shown, *in_table4)}
        others = [record for record in self.records if record.folder not in shown]
        return [*self.unmatched, *(f"{record.name}: {self.selection.why_not_shown(record)}" for record in others)]

    def rows(self) -> list[tuple[str, str]]:
        """(model, pretraining) of Table 3's nine rows and of others that were trained: the paper's models first."""
        ours = {(record.settings.model, record.settings.pretraining) for record in self.records}
        printed = [*published.table(3)[["model", "pretraining"]].itertuples(index=False, name=None)]
        models = [*dict.fromkeys(model for model, _ in [*printed, *sorted(ours)])]
        return sorted(ours.union(printed), key=lambda row: (models.index(row[0]), PRETRAININGS.index(row[1])))

    def model_title(self, model: str) -> str:
        """With its width, unless all runs have the same, which captions tell."""
        widths = {(record.settings.model, record.settings.width) for record in self.records}
        own = [width for name, width in widths if name == model]
        return model_title(model, own[0] if len(own) == 1 and len({width for _, width in widths}) > 1 else None)

    def differences_from_paper(self) -> list[str]:
        """Where pretraining helps here and lowers the IoU in the paper's Table 3, or the other way round."""
        paper, find = published.table(3).set_index(["model", "pretraining", "category"])["iou"], self.selection.find
        notes = []
        for model, (arm, other), category in itertools.product(self.selection.models, COMPARISONS, CATEGORIES):
            gain = paired_gain(find(model, other, category), find(model, arm, category))
            theirs = paper.get((model, arm, category), np.nan) - paper.get((model, other, category), np.nan)
            ours = {"helps": 1, "hurts": -1}.get(gain.verdict, 0) if gain else 0
            if ours * theirs < 0:  # not where the paper has no such figure: NaN is not below zero
                what = f"{category}, {self.model_title(model)} {label_of(arm)}, against {label_of(other)}"
                notes.append(f"Table 3, {what}: {gain} here, {theirs:+.1f} points of IoU in the paper.")
        return notes

    def table3(self, metric: str = "iou") -> pd.DataFrame:
        """Table 3 for one metric: a row for each category, model and pretraining; ours, its gain, the paper's.

        The gain is over training from scratch. Without records, all rows of the paper's.
        """
        find, title = self.selection.find, METRIC_TITLES[metric]
        paper = published.table(3, as_printed=True).set_index(["model", "pretraining", "category"])[metric]
        rows: list[dict[str, Any]] = []
        for category, (model, arm) in itertools.product(self.selection.categories, self.rows()):
            row: dict[str, Any] = {"category": category, "model": self.model_title(model)}
            row["pretraining"] = PRETRAINING_TITLES[arm]
            theirs = {f"{title}, paper": paper.get((model, arm, category))}
            if records := find(model, arm, category):
                gain = None if arm == "none" else paired_gain(find(model, "none", category), records, metric)
                row |= {
                    f"{title}, ours (95 % interval)": mean_score(records, metric),
                    "gain over scratch, points (95 % interval)": gain.mark if gain else "",
                    "seeds": len({record.settings.seed for record in records}),
                }
            if records or not self.records:
                rows.append({**row, **theirs})
        return pd.DataFrame(rows, dtype=object)

    def table4(self, metric: str = "iou") -> pd.DataFrame:
        """Table 4 for one metric: our U-Nets, a row for each trained protocol, then the paper's rows.

        IoU is a fraction, as the paper prints it in this table; precision is in per cent.
        """
        rows: list[dict[str, Any]] = []
        for protocol, (method, arm) in itertools.product(PROTOCOLS, OURS.items()):
            found = [self.selection.find("unet", arm, category, protocol=protocol) for category in CATEGORIES]
            if any(found):
                row: dict[str, Any] = {
                    "method": method,
                    "scores": f"ours, protocol {protocol}",
                    "learned from masks": "yes",
                }
                for category, records in zip(CATEGORIES, found, strict=True):
                    score = mean_score(records, metric)
                    row[category] = score and tuple(part / (100 if metric == "iou" else 1) for part in score)
                rows.append(row)
        paper = published.table(4, as_printed=True).set_index(["method", "category"])[metric]
        for method in sorted(paper.index.unique("method"), key=lambda name: name not in OURS):
            masks = {"learned from masks": "yes" if method in OURS else "no"}
            printed = {category: paper[method, category] for category in CATEGORIES}
            rows.append({"method": method, "scores": "the paper", **masks, **printed})
        return pd.DataFrame(rows, dtype=object)

    def gains(self) -> pd.DataFrame:
        """Whether pretraining helps, and which more: :data:`COMPARISONS` by category, then the mean of categories."""
        rows = []
        for model, (pretraining, other) in itertools.product(self.selection.models, COMPARISONS):
            pairs = self.pairs(model, other, pretraining)
            shown = {category: [pair] for category, pair in pairs.items()}
            if len(pairs) > 1:
                shown[{2: "both", 3: "all three"}.get(len(pairs), f"all {len(pairs)}")] = list(pairs.values())
            for category, several in shown.items():
                against, tuned = zip(*several, strict=True)
                if gain := pooled_gain(several):
                    row = {
                        "model": self.model_title(model),
                        "arm": label_of(pretraining),
                        "compared with": label_of(other),
                        "category": category,
                        "IoU before fine-tuning, %": _iou_at_start(itertools.chain(*tuned)),
                        "IoU by seed, %": _iou_by_seed(tuned),
                        "IoU of the other, by seed, %": _iou_by_seed(against),
                        GAIN: (gain.mean, gain.low, gain.high),
                        "smallest gain found in 80 % of studies, points": gain.smallest_found,
                        "images with the object": gain.n_units,
                        "seeds": len(gain.by_seed),
                        "pretrainings": count_pretrainings(list(itertools.chain(*tuned))),
                        "verdict": gain.verdict,
                    }
                    rows.append(row)
        return pd.DataFrame(rows)

    def pairs(self, model: str, other: str, pretraining: str) -> dict[str, tuple[list[Record], list[Record]]]:
        """(against, tuned) by category, of those that have a gain."""
        find = self.selection.find
        pairs = {name: (find(model, other, name), find(model, pretraining, name)) for name in self.selection.categories}
        return {name: pair for name, pair in pairs.items() if paired_gain(*pair)}

    def smallest_gain(self) -> str:
        """Which gain of the U-Net by Chair Segments these runs can find, in a sentence; empty where they find none."""
        gain = pooled_gain(list((pairs := self.pairs("unet", "none", "chair_segments")).values()))
        if gain is None or gain.smallest_found is None:
            return ""
        spent = f"With {gain.n_units} images of {', '.join(pairs)} and {len(gain.by_seed)} seeds that vary this much,"
        found = f"{gain.smallest_found:.1f} points is found in {100 * POWER:.0f} % of studies."
        return f"{spent} a true gain, the mean over these categories, of {found}"

    def images_seen(self) -> pd.DataFrame:
        """How many photos and images each pretraining and share was given, in fine-tuning and before it."""
        rows = []
        shares = sorted({record.settings.share for record in self.selection.shown})
        for model, pretraining, share in itertools.product(self.selection.models, PRETRAININGS, shares):
            records = [
                self.selection.find(model, pretraining, category, share) for category in self.selection.categories
            ]
            contents = [record.content for record in itertools.chain(*records)]
            costs = [content["pretrained_on"] for content in contents if content["pretrained_on"]]
            different = [min(cost["n_train_images"], cost["images_seen"]) for cost in costs]
            if contents:
                row = {
                    "model": self.model_title(model),
                    "pretraining": PRETRAINING_TITLES[pretraining],
                    "share of the images, %": share,
                    "training images": number_range(content["n_train_images"] for content in contents),
                    "images seen": number_range(content["images_seen"] for content in contents),
                    "pretraining: different images": number_range(different) or None,
                    "pretraining: images seen": number_range(cost["images_seen"] for cost in costs) or None,
                    "pretraining: recipe": ", ".join(sorted({cost["recipe"] for cost in costs})) or None,
                }
                rows.append(row)
        return pd.DataFrame(rows)

    def figure5(self, category: str) -> dict[str, Any]:
        """Arguments of :func:`chairlib.show.pictures.figure5`: photos, what each model predicts, and their masks.

        They are photos at fixed places in the order of these models' mean IoU. What was scored on other photos
        is named in the caption.
        """
        records = {
            f"{self.model_title(model)}, {label_of(arm)}": record
            for model, arm in self.rows()
            for record in self.selection.find(model, arm, category)[:1]
        }
        ious = [record.table("test_images").set_index("id")["iou"] for record in records.values()]
        order = pd.concat(ious, axis=1).mean(axis=1) if ious else None
        kept = {label: examples(record, order) for label, record in records.items()}
        kept = {label: one for label, one in kept.items() if len(one["images"])}  # else no scored photo has the object
        return side_by_side(kept, FIGURE5_NOTE)

    def curves(self, category: str) -> dict[str, list[pd.DataFrame]]:
        """Figure 6: one curve a seed of the U-Net (images, val_iou), by label; empty where nothing was trained."""
        curves = {
            label_of(pretraining): list(curves_by_seed(self.selection.find("unet", pretraining, category)).values())
            for pretraining in _ARMS
        }
        return {label: by_seed for label, by_seed in curves.items() if by_seed}

    def by_share(self, category: str) -> pd.DataFrame:
        """How much target data pretraining the U-Net is worth: label, share (%), n_images, iou, low, high (%)."""
        shares = sorted({record.settings.share for record in self.selection.records_of("unet", category)})
        rows = []
        for pretraining, share in itertools.product(_ARMS, shares):
            records = self.selection.find("unet", pretraining, category, share)
            if score := mean_score(records, "iou"):
                count = round(np.mean([record.content["n_train_images"] for record in records]))
                rows.append((label_of(pretraining), share, count, *score))
        return pd.DataFrame(rows, columns=["label", "share", "n_images", "iou", "low", "high"])

    def steps_to_reach(self) -> pd.DataFrame:
        """Images until the U-Net's validation IoU stays at or above what it ends with from scratch with the same seed.

        Columns: category; label; images, the median over seeds; low and high, over seeds; NaN where a seed never gets
        there; and undecided, why the numbers tell nothing ("" where they do).
        """
        rows = []
        for category in self.selection.categories:
            arms = {name: self.selection.find("unet", name, category) for name in _ARMS}
            n_photos = count_validation_photos(list(itertools.chain(*arms.values())))
            undecided = f"{n_photos} validation images with the object" if n_photos < LEAST_VALIDATION_PHOTOS else ""
            goals = {seed: curve["val_iou"].iloc[-1] for seed, curve in curves_by_seed(arms["none"]).items()}
            for name, records in arms.items():
                curves = curves_by_seed(records)
                needed = [images_until(curve, goals[seed]) for seed, curve in curves.items() if seed in goals]
                if needed:
                    ends = (float(np.median(needed)), min(needed), max(needed))
                    rows.append((category, label_of(name), *(x if np.isfinite(x) else np.nan for x in ends), undecided))
        return pd.DataFrame(rows, columns=["category", "label", "images", "low", "high", "undecided"])

    def sentence(self, profile: str = "", description: str = "") -> str:
        """What this build is and how much was trained, for every page that shows its numbers."""
        head = description or (f"Profile {profile}." if profile else "")
        if not self.records:
            return f"{head} Nothing has been fine-tuned on {self.photos} yet: make paper does it.".strip()
        seeds = plural(len({record.settings.seed for record in self.records}), "seed")
        # Seeds that share a pretraining share its luck, which their spread does not show.
        pretrainings = plural(count_pretrainings(self.records), "pretraining")
        spent = sum(record.content["seconds"] for record in self.records) / 60
        hardware = sorted({record.content["hardware"] for record in self.records})
        budget = number_range(record.content["images_seen"] for record in self.records)
        official = all(record.content.get("published_split") for record in self.records)
        lists = "the authors' own lists of the release" if official else "not the official Object Discovery release"
        chosen_on_scored = any(record.content.get("chosen_on_scored") for record in self.records)
        caution = " Weights were chosen on the very images that are scored, as the paper most likely did."
        return (
            f"{head} Images: {self.title}; {lists}. {len(self.records)} runs of fine-tuning with {seeds}, "
            f"{pretrainings}; {budget} images each; {spent:.1f} minutes on {', '.join(hardware)}, pretraining aside."
            f"{caution if chosen_on_scored else ''}{one_class(self.records)}"
        ).strip()

    def glued(self, profile: str = "", description: str = "") -> dict[str, str]:
        """The values that the book's prose quotes."""
        return {"profile_sentence": self.sentence(profile, description)}


def _iou_by_seed(categories: Iterable[Sequence[Record]]) -> str:
    """The mean IoU of each seed, over all its folds and then over categories, in order of the seeds."""
    means = [scores_by_photo(records, "iou").mean() for records in categories]
    return " / ".join(f"{iou:.1f}" for iou in pd.concat(means, axis=1).mean(axis=1))


def _iou_at_start(records: Iterable[Record]) -> str:
    """The mean IoU of the weights that runs start from, on the photos that are scored; 0 where all is background."""
    found = [record.metrics["start"]["iou"] for record in records]
    return "–" if None in found else f"{np.mean(found):.1f}"


def open_reference() -> TransferReport | None:
    """The report of the reference build that ships with the package; None where none ships."""
    records = reference_records(TransferSettings.kind)
    return TransferReport(records[0].settings.data, records, []) if records else None


def open_report(data: str = STAND_IN, runs: list[str] | None = None) -> TransferReport:
    """Gather the records of a folder of photos that match: all, or ``runs``, with RecordError where one does not.

    A record matches where its category's files, under its protocol, are those that it was made from.
    """
    name = photos_name(photos_root(data))
    records, unmatched = load_records(TransferSettings.kind, None, runs)
    matching = []
    with looked_at_once():
        for record in records:
            reason = f"it was made from other images ({record.content['data']['name']})"
            if _hash_in(data, record.settings) == record.content["data"]["hash"]:
                matching.append(record)
            elif runs:
                raise RecordError(f"record {record.name} is refused: {reason}; run it again.")
            else:
                unmatched.append(f"{record.name}: {reason}")
    return TransferReport(name, matching, unmatched)


def _hash_in(data: str, settings: TransferSettings) -> str | None:
    """What the photos of a run with these settings are in the folder ``data``; None where it has none of them."""
    try:
        return name_and_hash(settings.with_changes(data=data))[1]
    except CollectionError:
        return None
