"""The metrics card and robustness of a finished run: its model, on the test composites that it was scored on."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from chairboard.corruptions import STRENGTHS, robustness
from chairboard.mask_quality import QUALITIES, Quality, quality
from chairlib.benchmark.comparison import load_model
from chairlib.benchmark.describe import model_title
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.checks import check_count
from chairlib.core.runs import Record, find_record


def card_of(run: str | Record, device: str = "auto", progress: bool = True) -> Quality:
    """More scores of a run's own test composites. Raises RecordError for a run without weights."""
    record = find_record(run, any_seed=True) if isinstance(run, str) else run
    loader = _test_loader(record, device, record.settings.test_images)
    return quality(load_model(record).to(loader.device), loader, progress)


def robustness_of(
    run: str | Record, images: int | None = 100, strengths: int = STRENGTHS, device: str = "auto", progress: bool = True
) -> pd.DataFrame:
    """IoU of a run's model on ``images`` of its test composites made worse: see :func:`chairboard.robustness`.

    None takes all. Raises ParameterError for no images, RecordError for a run without weights.
    """
    check_count("images", images, none=True)
    record = find_record(run, any_seed=True) if isinstance(run, str) else run
    loader = _test_loader(record, device, images)
    return robustness(load_model(record).to(loader.device), loader, strengths=strengths, progress=progress)


def _test_loader(record: Record, device: str, limit: int | None) -> CompositeLoader:
    settings = record.settings
    return CompositeLoader(settings.data, "test", settings.resolution, batch_size=256, device=device, limit=limit)


def by_title(runs: Sequence[str]) -> dict[str, Record]:
    """Records of runs by the titles of their models; runs with the same title are told apart by their names.

    Raises RecordError for a run that is not there.
    """
    found = [find_record(name) for name in runs]
    titles = [run.content.get("title") or model_title(run.settings.model, run.settings.width) for run in found]
    return {title if titles.count(title) == 1 else run.name: run for title, run in zip(titles, found, strict=True)}


def card_table(cards: Mapping[str, Quality]) -> pd.DataFrame:
    """Cards as a table: a row a model, a column a score, in per cent, each with its 95 % interval."""
    titles = {name: name.replace("_", " ").replace("iou", "IoU") for name in QUALITIES}
    scores = {
        model: {"IoU": (card.scores.iou, *card.scores.interval("iou"))}
        | {title: (getattr(card, name), *card.interval(name)) for name, title in titles.items()}
        for model, card in cards.items()
    }
    return pd.DataFrame.from_dict(scores, orient="index", dtype=object).rename_axis("model")


def describe(card: Quality) -> str:
    """A card as lines of text."""
    content, lines = card.to_dict(), []
    for name in QUALITIES:
        value, (low, high) = content[name], content["intervals"][name]
        found = "undefined" if value is None else f"{value:.2f} %"
        interval = "" if low is None else f"  (95 % interval {low:.2f} to {high:.2f})"
        title = name.replace("_", " ").replace("iou", "IoU")
        left_out = content["n_undefined"][name]
        lines.append(f"{title:<18} {found}{interval}" + (f"; {left_out} left out" if left_out else ""))
    lines.append("IoU by foreground share:")
    for row in card.by_share.to_dict("records"):
        low, high = row["low"], row["high"]
        interval = "" if math.isnan(low) else f"  (95 % interval {low:.1f} to {high:.1f})"
        share = f"{row['share_low']:5.1f} to {row['share_high']:5.1f} % of the image"
        lines.append(f"  {share}: {row['iou']:.1f} %{interval}")
    return "\n".join(lines)


def describe_robustness(curves: pd.DataFrame) -> str:
    """What :func:`robustness_of` gives, as lines of text: a row a kind, a column a strength."""

    def told(row: pd.Series) -> str:
        interval = "" if math.isnan(row["low"]) else f" ({row['low']:.1f}-{row['high']:.1f})"
        return "undefined" if math.isnan(row["iou"]) else f"{row['iou']:.1f}{interval}"

    cells = curves.assign(told=curves.apply(told, axis=1))
    text = cells.pivot(index="kind", columns="strength", values="told").to_string()
    n_images = curves["n_images"].iloc[0]
    return f"IoU in per cent (95 % interval) on {n_images} test composites; strength 0: as they are\n{text}"
