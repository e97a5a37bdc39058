"""What fine-tuning asks of a build: its runs, the pretrainings they start from, their notebooks, and their images."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from chairlib.benchmark.jobs import beside_coco, find_run
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core.jobs import Inputs, Job, run_job, unique
from chairlib.core.runs import Run, record_file
from chairlib.transfer.photos import open_datasets, splits_of
from chairlib.transfer.run import open_run, training_budget
from chairlib.transfer.settings import NEED_COCO, TransferSettings

#: The chapter that makes one run.
NOTEBOOK = "05_object_discovery"


def open_runs(
    entries: Sequence[Mapping[str, Any]], inputs: Inputs, pretrainings: Sequence[Run[BenchmarkSettings]]
) -> tuple[list[Run[TransferSettings]], list[Run[BenchmarkSettings]]]:
    """The runs that a profile lists, each once, the featured one first; and the pretrainings that only they need.

    Each starts from the benchmark run of its model, width and resolution; ParameterError where there is none. Those
    that need COCO's photos are left out where a build has none.
    """
    runs, further = [], []
    for entry in entries:
        settings = TransferSettings.of(entry)
        pretrained = None
        if settings.pretraining != "none":
            pretrained = find_run(pretrainings, settings, settings.seed)
            if settings.pretraining in NEED_COCO:
                # The composites that are matched to COCO's crops need the crops too, for their number.
                if inputs.coco is None:
                    continue
                matched = settings.pretraining == "chair_segments_matched"
                pretrained = beside_coco(pretrained, inputs.coco, matched)
                further.append(pretrained)
        name = pretrained.name if pretrained else None
        runs.append(open_run(settings, data=inputs.photos, device=inputs.device, pretrained=name))
    return unique(runs), unique(further)


def jobs(runs: Sequence[Run[TransferSettings]]) -> list[Job]:
    """One notebook a run; the first is chapter 05 itself."""
    pages = [NOTEBOOK, *(f"transfer/{run.name}" for run in runs[1:])]
    needs = [[record_file(name)] if (name := run.settings.pretrained) else [] for run in runs]
    return [run_job(NOTEBOOK, *one) for one in zip(runs, pages, needs, strict=False)]


def count_images(run: Run[TransferSettings]) -> tuple[int, int]:
    """How many images the run trains on and scores at most: its budget, and all its validations and its test."""
    settings = run.settings
    sizes = {split: len(photos) for split, photos in open_datasets(settings).items()}
    _, val_split, scored_split = splits_of(settings.protocol)
    trained = training_budget(settings)
    evaluations = settings.evaluations or max(8, round(trained / math.ceil(sizes["train"] * settings.share / 100)))
    # The start is scored too, on both splits.
    return trained, (1 + evaluations) * sizes[val_split] + 2 * sizes[scored_split]
