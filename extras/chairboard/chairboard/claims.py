"""The paper's three claims as one build answers them: a number with its interval, a control, and a verdict.

The verdict follows a rule, so it is right for any build. A claim is supported only where several seeds were trained
and the intervals say so. Else it is "not shown by this build", which does not mean that it is wrong.
"""

import math
from collections.abc import Mapping

import numpy as np

from chairboard.benchmark_report import median_cost
from chairboard.landscape_report import LandscapeReport
from chairboard.selection import count_pretrainings
from chairboard.tiles import Tile, masks, middle
from chairboard.transfer_tables import TransferReport, label_of
from chairboard.verdicts import NOISE, what_makes_the_difference
from chairlib.benchmark.comparison import paired_difference
from chairlib.benchmark.describe import mean_score, plural, predicted_all
from chairlib.benchmark.report import Report
from chairlib.benchmark.run import examples
from chairlib.core.published import MODEL_TITLES
from chairlib.core.statistics import Difference
from chairlib.show.canvas import join_words
from chairlib.show.interpolation import TREATMENTS
from chairlib.show.mosaic import mask_iou
from chairlib.show.scrubber import BATCH_NORM_TITLES
from chairlib.transfer.comparisons import pooled_gain, scores_by_photo
from chairlib.transfer.settings import STAND_IN

SUPPORTED, IN_PART, NOT_SHOWN = "Supported by this build", "Supported in part", "Not shown by this build"
OPPOSITE, OTHER_ORDER = "This build shows the opposite", "Another order than the paper's"
_KINDS = {"F": "fine-tuned", "S": "from scratch", "R": "one start"}


def interval(mean: float, low: float, high: float) -> str:
    """``"+3.1 points (+1.0 to +5.2)"``, with a minus sign that no line breaks at."""
    return f"{mean:+.1f} points ({low:+.1f} to {high:+.1f})".replace("-", "−")


def told(gain: Difference | None) -> str:
    """``"+3.1 points (+1.0 to +5.2), 3 seeds"``."""
    if gain is None:
        return "not measured"
    return f"{interval(gain.mean, gain.low, gain.high)}, {plural(len(gain.by_seed), 'seed')}"


def benchmark_claim(report: Report) -> Tile:
    """Does a quick benchmark tell models apart? The U-Net's IoU and cost, and how far others are below.

    Supported where the U-Net is clearly above each other model of the paper that was trained at 64 x 64 pixels, and
    above a mask that is all chair.
    """
    part = next((part for part in report.parts() if part.find("unet")), None)
    if part is None:
        return Tile("–", "no U-Net was trained at 64 × 64 pixels", NOT_SHOWN, "There is nothing to compare.")
    # Of several configurations of a model, such as widths, the one with the most seeds.
    rows = {title: max(found, key=len) for model, title in MODEL_TITLES.items() if (found := part.find(model))}
    unet = rows.pop("U-Net")
    (mean, low, high), one = mean_score(unet, "iou"), examples(unet[0], "fixed")
    if math.isnan(mean):
        return Tile("–", "no test composite has enough chair pixels for an IoU", NOT_SHOWN, "There is no score.")
    gains = {name: paired_difference(unet, other) for name, other in rows.items()}
    verdict, why = _order(gains)
    share = 100 - (part.all_background_precision() or 0)
    why += f" Control: a mask that is all chair scores about {share:.0f} %, one without chair 0 %."
    if any(map(predicted_all, unet)) or not low > share:
        verdict, why = NOT_SHOWN, f"{why} The U-Net is not clearly above that."
    seen, spent = median_cost(unet)
    known = f"{low:.1f}–{high:.1f}" if math.isfinite(low) else "no interval"
    about = f"IoU of a U-Net at 64 × 64 pixels ({known}), after {seen} images and {spent} of training"
    more = f"The score is the mean of {plural(len(unet), 'seed')}, the time their median, "
    more += f"on {unet[0].content['hardware']}."
    nth = middle(one["ious"])
    shown = masks(one["images"][nth], one["targets"][nth], {"predicted": one["probabilities"][nth] > 0.5}, "composite")
    caption = "Of the stored examples, the one with the median IoU."
    return Tile(f"{mean:.1f} %", about, verdict, why, more, shown, caption)


def _order(gains: Mapping[str, Difference | None]) -> tuple[str, str]:
    """Whether the U-Net is clearly above every other model, and the comparison that speaks most against it."""
    compared = {name: gain for name, gain in gains.items() if gain}
    if not compared:
        return NOT_SHOWN, "No other model was scored on the same composites."
    said = {gain.told("above", "below") for gain in compared.values()}
    verdict = OTHER_ORDER if "below" in said else NOT_SHOWN
    if said == {"above"} and len(compared) == len(gains):
        verdict = SUPPORTED
    least = min(compared, key=lambda name: (compared[name].high >= 0, compared[name].low))
    which = f"the least favourable of {len(compared)} comparisons" if len(compared) > 1 else "the only comparison"
    alone = [name for name, gain in gains.items() if gain is None or len(gain.by_seed) < 2]
    rest = f" With one seed or none to compare: {join_words(alone)}." if alone else ""
    return verdict, f"U-Net minus {least}, {which}: {told(compared[least])}.{rest}"


def transfer_claim(report: TransferReport) -> Tile:
    """Do chairs teach what photos of other things need? The gain of pretraining, and that over as many images in all.

    Supported where pretraining helps in both comparisons; in part where it helps only in the first, or where all seeds
    start from one pretraining.
    """
    pairs = report.pairs("unet", "none", "chair_segments")
    gain = pooled_gain(list(pairs.values()))
    if gain is None:
        nothing = "no U-Net was trained both from scratch and pretrained"
        return Tile("–", nothing, NOT_SHOWN, "There is nothing to compare.")
    longer = report.pairs("unet", "none_equal_total", "chair_segments")
    control = pooled_gain(list(longer.values()))
    first, second = (one.told("helps", "hurts") if one else "not measured" for one in (gain, control))
    verdict = {"helps": SUPPORTED if second == "helps" else IN_PART, "hurts": OPPOSITE}.get(first, NOT_SHOWN)
    where = f" (of {join_words(list(longer))})" if longer and [*longer] != [*pairs] else ""
    why = f"Control, over as many images in all without chairs{where}: {told(control)}."
    starts = count_pretrainings([record for _, tuned in pairs.values() for record in tuned])
    if verdict == SUPPORTED and starts < 2:
        verdict = IN_PART
        why += " All seeds start from one pretraining, whose luck is not in the intervals."
    elif verdict == IN_PART:
        does = "does better" if second == "hurts" else "may do as well"
        why += f" So chairs help a short training, but training without chairs for as long {does}."
    more = f"The gain is the U-Net's, the mean of {join_words(list(pairs))}, {plural(len(gain.by_seed), 'seed')} and "
    more += f"{plural(starts, 'pretraining')}."
    means = {name: one.mean for name, pair in pairs.items() if (one := pooled_gain([pair]))}
    category = sorted(means, key=lambda name: means[name])[len(means) // 2]
    by_photo = [scores_by_photo(records, "iou").mean(axis=1) for records in pairs[category]]
    kept, arms = report.figure5(category), ("none", "chair_segments")
    titles = [f"{report.model_title('unet')}, {label_of(arm)}" for arm in arms]
    shown, caption = None, ""
    if all(title in kept.get("predictions", ()) for title in titles):
        before, after = (kept["predictions"][title] for title in titles)
        ious = [[*map(mask_iou, predicted, kept["targets"])] for predicted in (before, after)]
        nth = middle(np.subtract(ious[1], ious[0]), (by_photo[1] - by_photo[0]).median())
        predicted = {"from scratch": before[nth], "pretrained": after[nth]}
        shown = masks(kept["images"][nth], kept["targets"][nth], predicted)
        caption = f"Of the images of Figure 5 ({category}), the one whose gain is nearest to the median of all."
    head, _, rest = interval(gain.mean, gain.low, gain.high).partition(" (")
    about = f"of IoU ({rest} by pretraining on chairs, measured on {report.photos}"
    return Tile(head, about, verdict, why, more, shown, caption)


def landscape_claim(report: LandscapeReport) -> Tile:
    """Can two fine-tuned models be averaged, and two from scratch not? How far IoU falls, and with one random start.

    Supported where fine-tuned models (F) lose clearly less than those from scratch (S), and no more than noise, under
    every treatment of BatchNorm, for each of several pairs.
    """
    drops, shown = {pair: report.drops(pair) for pair in _KINDS}, report.scrubber()
    ways = [way for way in BATCH_NORM_TITLES if way in drops["F"]]  # the first is what the slider starts with
    less = [way for way in ways if drops["F"][way].is_less(drops["S"][way])]
    unknown = [drops[pair][way].verdict for pair in "FS" for way in ways if not drops[pair][way].is_known]
    tuned, scratch, one_start = (drops[pair][ways[0]] for pair in _KINDS)
    if len(tuned.pairs) < 2:
        verdict, why = NOT_SHOWN, "One pair of each kind does not tell what another pair would lose. "
    elif unknown:
        verdict, why = NOT_SHOWN, f"{unknown[0][0].upper()}{unknown[0][1:]}. "
    elif len(less) == len(ways):
        little = all(max(drop.high, *drop.pairs) <= NOISE for drop in drops["F"].values())
        verdict, why = (
            (SUPPORTED, "") if little else (IN_PART, f"It is less, but it may be more than {NOISE:g} points. ")
        )
    elif less:
        verdict, why = IN_PART, f"It is clearly less only with {TREATMENTS[less[0]]}. "
    else:
        opposite = all(drops["S"][way].is_less(drops["F"][way]) for way in ways)
        verdict, why = (OPPOSITE, "") if opposite else (NOT_SHOWN, "Neither kind loses clearly less. ")
    why += f"From scratch (S): {scratch}. Control, from scratch with one shared start (R): {one_start}; "
    why += f"{what_makes_the_difference(tuned, scratch, one_start)}."
    half = middle(shown["alphas"], 0.5)
    halfway = {name: shown["predicted"][pair, ways[0]][half] for pair, name in _KINDS.items()}
    ious = {name: [*map(mask_iou, predicted, shown["targets"])] for name, predicted in halfway.items()}
    nth = middle(np.subtract(ious["fine-tuned"], ious["from scratch"]))
    one = {name: predicted[nth] for name, predicted in halfway.items()}
    pictures = masks(shown["images"][nth], shown["targets"][nth], one)
    about = f"of IoU {str(tuned).partition(' points ')[2]} lost at most between two fine-tuned models (F)"
    about += f", with {TREATMENTS[ways[0]]}" if len(ways) > 1 else ""  # one way: there is nothing to choose
    settings = report.record.settings
    renderings = f"renderings of {settings.category}s" if settings.photos == STAND_IN else report.photos
    about += f", measured on {renderings}"
    caption = (
        "The average of two models (alpha 0.5), on the image where fine-tuned and from scratch differ by the median."
    )
    more = f"{plural(len(tuned.pairs), 'pair')} of each kind."
    return Tile(f"{tuned.mean:.1f} points", about, verdict, why, more, pictures, caption)
