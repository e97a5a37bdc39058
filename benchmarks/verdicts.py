"""How often "helps" or "hurts" is said of two equal pretrainings, and which true gain is found in 80 % of studies.

Claim: whatever part of the luck is that of photos and whatever part that of seeds, at most 6 % of studies of two equal
pretrainings say "helps" or "hurts", of one category of photos (a mean over several is not simulated). Measured on
2026-11-27, the worst of 63 settings for each number of seeds (20,000 studies each, so that 5 % is known to 0.15; with
one seed, nothing is said):

    rule                                                   2 seeds   3 seeds   5 seeds
    ours, :mod:`chairlib.core.statistics`                     5.0       5.2       5.2  %
    degrees of freedom by Welch and Satterthwaite            13.0       8.0       6.1  %
    interval over photos alone, and all seeds agree          49.2      25.2       8.9  %
    interval over photos alone                               84.7      85.0      84.7  %

Where gains vary as much as the typical ones below, this true gain, in points of IoU, is found in 80 % of studies:

    photos     2 seeds   3 seeds   5 seeds
        25        23.1       7.6       5.4
       100        15.3       4.7       3.0
       400        12.6       3.7       2.1

So a third seed is worth more than sixteen times as many photos. The figures are those of `smallest_found`, which
reports state; the simulation gives the same within 0.12 points.

Gains vary as in the records of the photos `--data`, where there are any of both arms with two seeds or more, and else
as is typical. Gains are drawn from normal distributions. A dated record lands in `benchmarks/records/`.

    python benchmarks/verdicts.py [--data stand-in] [--photos 25 100 400] [--seeds 1 2 3 5] [--studies 20000]
"""

import argparse
import itertools

import numpy as np
import pandas as pd
from _records import write_record
from scipy import stats

from chairboard.transfer_tables import open_report
from chairlib.core.limits import CONFIDENCE, POWER
from chairlib.core.statistics import half_width, smallest_found, variance_parts
from chairlib.transfer.comparisons import scores_by_photo
from chairlib.transfer.protocols import CATEGORIES

#: Standard deviations of a gain in IoU, in points: over photos, over seeds, and of what is left, by photo and seed.
#: Rounded (photos and rest: means; seeds: root mean square), of U-Nets of width 16, fine-tuned by `fast` on 28 and
#: 30 photos of the rendered stand-in with 3 seeds, on 2026-11-27 (cars: 10.9, 0.0 and 11.1; horses: 4.2, 1.4 and
#: 5.8).
TYPICAL = {"photos": 7.5, "seeds": 1.0, "rest": 8.5}
#: The seeds' part of the variance of a mean gain over the photos' part: from nothing to nearly all.
RATIOS = (0, 0.1, 0.3, 1, 3, 10, 100)
#: The rest's share of the variance of one photo's mean over seeds.
RESTS = (0, 0.5, 0.9)


def measured(data: str) -> dict[str, float] | None:
    """The standard deviations in the records of these photos, a mean over models and categories; None without any."""
    report, rows = open_report(data), []
    for model, category in itertools.product(report.selection.models, CATEGORIES):
        arms = [report.selection.find(model, arm, category) for arm in ("none", "chair_segments")]
        if not all(arms):
            continue
        against, tuned = (scores_by_photo(records, "iou") for records in arms)
        gains = (tuned - against).dropna(axis=1, how="all").dropna().to_numpy()
        n, m = gains.shape
        if n > 1 and m > 1:
            units, seeds = variance_parts(gains)
            noise = max(0.0, float(gains.mean(1).var(ddof=1) / n - units)) * n * m
            rows.append([units * n, max(0.0, float(seeds) * m - noise / n), noise])
    return dict(zip(TYPICAL, np.sqrt(np.mean(rows, axis=0)).tolist(), strict=True)) if rows else None


def studies(
    rng: np.random.Generator, count: int, n: int, m: int, variances: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What studies without a true gain see: gains by seed [count, m], and three parts of the variance [count].

    These are that of units, the same with the noise of training, and that of seeds. All are drawn from the exact
    distributions that they have where gains are normal, which spares drawing every photo.
    """
    photos, seeds, rest = variances
    by_seed = rng.normal(0, np.sqrt(photos / n), (count, 1)) + rng.normal(0, np.sqrt(seeds + rest / n), (count, m))

    def estimate(variance: float, freedom: int) -> np.ndarray:
        return variance * rng.chisquare(freedom, count) / freedom

    units = estimate(photos + rest / m, n - 1) / n
    noise = estimate(rest, (n - 1) * (m - 1)) / (n * m) if m > 1 else 0.0
    return by_seed, np.maximum(units - noise, 0), units, by_seed.var(1, ddof=1) / m if m > 1 else np.zeros(count)


def rules(found: tuple[np.ndarray, ...], n: int, m: int) -> dict[str, np.ndarray]:
    """How far the interval reaches by each rule; infinity where a rule says no verdict for another reason."""
    by_seed, part, units, seeds = found
    photos = half_width([(units, n)])
    if m == 1:
        return {"photos only": photos}
    whole = part + seeds
    freedom = whole**2 / (part**2 / (n - 1) + seeds**2 / (m - 1))
    agree = (by_seed.min(1) > 0) | (by_seed.max(1) < 0)
    return {
        "ours": half_width([(part, n), (seeds, m)]),
        "Welch and Satterthwaite": stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(whole),
        "photos, and all seeds agree": np.where(agree, photos, np.inf),
        "photos only": photos,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="stand-in")
    parser.add_argument("--photos", type=int, nargs="+", default=[25, 100, 400])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 5])
    parser.add_argument("--studies", type=int, default=20_000)
    arguments = parser.parse_args()
    rng, from_records = np.random.default_rng(0), measured(arguments.data)
    deviations = from_records or TYPICAL
    photos, seeds, rest = (value**2 for value in deviations.values())
    alarms, gains = [], []
    for n, m in itertools.product(arguments.photos, arguments.seeds):
        for ratio, share in itertools.product(RATIOS, RESTS):
            # Photos and the rest together vary by 1 in the mean over seeds; seeds by what makes the ratio.
            variances = (1 - share, ratio * m / n, share * m)
            found = studies(rng, arguments.studies, n, m, variances)
            for rule, reach in rules(found, n, m).items():
                told = float((np.abs(found[0].mean(1)) > reach).mean())
                where = {"photos": n, "seeds": m, "ratio": ratio, "rest": share}
                alarms.append({"rule": rule, **where, "told_%": 100 * told})
        found = studies(rng, arguments.studies, n, m, (photos, seeds, rest))
        mean, reaches = found[0].mean(1), rules(found, n, m)
        told_by = {f"told_%, {rule}": 100 * float((abs(mean) > reach).mean()) for rule, reach in reaches.items()}
        row = {"photos": n, "seeds": m, **told_by}
        if m > 1:
            parts = [(photos / n, n), (seeds / m + rest / (n * m), m)]
            row["smallest_gain"] = smallest_found(parts)
            row["simulated"] = float(np.quantile(reaches["ours"] - mean, POWER))
        gains.append(row)
    table, cells = pd.DataFrame(alarms), pd.DataFrame(gains)
    worst = table.loc[table.groupby(["rule", "seeds"])["told_%"].idxmax()].reset_index(drop=True)
    print("no true gain: the worst share of studies, in %, that say helps or hurts, by rule and number of seeds")
    print(worst.round(2).to_string(index=False))
    print(f"\nstandard deviations {'in the records' if from_records else 'that are typical'}: {deviations}")
    print(cells.round(2).to_string(index=False))
    content = {
        "about": "Simulated studies of two equal pretrainings, and the gain found in 80 % of studies, in points.",
        "studies": arguments.studies,
        "deviations": {"from": "records" if from_records else "typical", **deviations},
        "worst": worst.round(3).to_dict("records"),
        "typical": [{k: v for k, v in row.items() if not pd.isna(v)} for row in cells.round(3).to_dict("records")],
    }
    print(f"written: {write_record('verdicts', content, 'cpu')}")


if __name__ == "__main__":
    main()
