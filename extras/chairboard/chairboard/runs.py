"""The metrics card and robustness of a finished run: its model, on the test composites that it was scored on."""

import pandas as pd

from chairboard.corruptions import STRENGTHS, robustness
from chairboard.mask_quality import QUALITIES, Quality, quality
from chairlib.benchmark.comparison import load_model
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.runs import Record, find_record


def card_of(run: str | Record, device: str = "auto", progress: bool = True) -> Quality:
    """More scores of a run's own test composites. Raises RecordError for a run without weights."""
    record = find_record(run, any_seed=True) if isinstance(run, str) else run
    loader = _test_loader(record, device, record.settings.test_images)
    return quality(load_model(record).to(loader.device), loader, progress)


def robustness_of(
    run: str | Record, images: int | None = 100, strengths: int = STRENGTHS, device: str = "auto", progress: bool = True
) -> pd.DataFrame:
    """IoU of a run's model on ``images`` of its test composites made worse: see :func:`chairboard.robustness`."""
    record = find_record(run, any_seed=True) if isinstance(run, str) else run
    loader = _test_loader(record, device, images)
    return robustness(load_model(record).to(loader.device), loader, strengths=strengths, progress=progress)


def _test_loader(record: Record, device: str, limit: int | None) -> CompositeLoader:
    settings = record.settings
    return CompositeLoader(settings.data, "test", settings.resolution, batch_size=256, device=device, limit=limit)


def describe(card: Quality) -> str:
    """A card as lines of text."""
    content, lines = card.to_dict(), []
    for name in QUALITIES:
        value, (low, high) = content[name], content["intervals"][name]
        found = "undefined" if value is None else f"{value:.2f} %"
        interval = "" if low is None else f"  (95 % interval {low:.2f} to {high:.2f})"
        left_out = content["n_undefined"][name]
        lines.append(f"{name.replace('_', ' '):<18} {found}{interval}" + (f"; {left_out} left out" if left_out else ""))
    lines.append("IoU by foreground share:")
    for row in card.by_share.to_dict("records"):
        lines.append(f"  {row['share_low']:5.1f} to {row['share_high']:5.1f} % of the image: {row['iou']:.1f} %")
    return "\n".join(lines)
