"""The loss landscape's part of a build: its analyses, the models they need, their notebooks, and their cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from chairlib.benchmark.jobs import find_run
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core.jobs import Inputs, Job, run_job, unique
from chairlib.core.runs import Run
from chairlib.landscape.cells import N_TRAIN, Study, unique_cells
from chairlib.landscape.run import SHARED, analyses, open_run
from chairlib.landscape.run import members as members_of
from chairlib.landscape.settings import LandscapeSettings
from chairlib.transfer.photos import open_datasets, splits_of

#: The chapter that makes one analysis.
NOTEBOOK = "07_loss_landscape"


def open_runs(
    entries: Sequence[Mapping[str, Any]], inputs: Inputs, pretrainings: Sequence[Run[BenchmarkSettings]]
) -> list[Run[LandscapeSettings]]:
    """The analyses that a profile lists, each once, the featured one first.

    Where an entry does not say how P is pretrained, P is the benchmark run of the same model, width and resolution,
    with seed 0 if there is one. Raises ParameterError where there is none.
    """
    runs = []
    for entry in entries:
        settings = LandscapeSettings.of(
            {**entry, "data": inputs.data, "photos": inputs.photos, "device": inputs.device}
        )
        if "pretrain" not in entry:
            chosen = find_run(pretrainings, settings, seed=0)
            own = ("data", *SHARED)  # what an analysis sets itself
            parameters = {name: value for name, value in chosen.settings.identity().items() if name not in own}
            settings = settings.with_changes(pretrain=parameters)
        runs.append(open_run(settings))
    return unique(runs)


def members(runs: Sequence[Run[LandscapeSettings]]) -> list[Run[Any]]:
    """The models that some analyses need, each once."""
    return unique(member for run in runs for member in members_of(run.settings).values())


def jobs(runs: Sequence[Run[LandscapeSettings]], profile: str, description: str) -> list[Job]:
    """One notebook an analysis. The first is chapter 07 itself; it waits for the others, since its Table 5 shows all.

    Another analysis has only itself in its Table 5: it must not wait for the chapter.
    """
    records = [run.folder / "record.json" for run in runs]
    made = []
    for number, run in enumerate(runs):
        needs = [member.folder / "record.json" for member in members([run])] + (records[1:] if number == 0 else [])
        page = NOTEBOOK if number == 0 else f"landscape/{run.name}"
        beside = [other.name for other in runs] if number == 0 else [run.name]
        made.append(run_job(NOTEBOOK, run, page, needs, profile=profile, description=description, beside=beside))
    return made


def count_images(run: Run[LandscapeSettings]) -> tuple[int, int]:
    """How many images an analysis trains on (none) and sends through a network at most, its models' training aside."""
    opened = members_of(run.settings)
    sizes = {split: len(photos) for split, photos in open_datasets(opened["F1"].settings).items()}
    scored = sizes[splits_of(run.settings.protocol)[2]]
    cells = unique_cells(analyses(Study.of(run.settings, opened)).values()).values()
    return 0, sum(cell.train_passes * min(N_TRAIN, sizes["train"]) + cell.scored_passes * scored for cell in cells)
