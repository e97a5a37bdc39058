"""What a build executes: notebooks with parameters. Each chapter lists its own; the build only adds them up."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chairlib.core import paths
from chairlib.core.runs import Run


@dataclass(frozen=True)
class Inputs:
    """What a build is given beside its profile.

    ``data``: a collection, ``"mini"`` or an absolute path; ``photos`` to fine-tune on: ``"stand-in"`` or an absolute
    path; ``coco``: a folder of COCO's chairs to pretrain on, if there is one.
    """

    data: str
    photos: str
    coco: Path | None
    device: str


@dataclass(frozen=True)
class Job:
    """A notebook, the parameters it is executed with, and the files that come of it."""

    notebook: str
    """The chapter, as ``03_benchmark``."""
    parameters: dict[str, Any]
    out: Path
    """The executed notebook."""
    record: Path | None = None
    """The run record that it leaves; None for a chapter that trains nothing."""
    needs: tuple[Path, ...] = ()
    """Records that must be there first."""
    data_hash: str | None = None
    """The content of the data that it reads; None where its parameters name all that counts."""


def executed_notebook(name: str) -> Path:
    """Where the executed notebook of this name belongs: among the pages of the book."""
    return paths.book / "notebooks" / f"{name}.ipynb"


def run_job(notebook: str, run: Run, page: str, needs: Iterable[Path] = (), **more: Any) -> Job:
    """The job that makes ``run``. ``page``: the executed notebook's name. ``more``: parameters beside its settings."""
    parameters = {**run.settings.to_dict(), **more}
    record = run.folder / "record.json"
    return Job(notebook, parameters, executed_notebook(page), record, tuple(needs), run.data["hash"])


def unique(runs: Iterable[Run]) -> list[Run]:
    """Each run once, in order: several entries of a profile may name the same one."""
    return list({run.name: run for run in runs}.values())


def report_job(notebook: str, data: str, runs: Iterable[Run], profile: str, description: str) -> Job:
    """The job of a chapter that reports on ``runs`` on ``data``, and says which profile they are of."""
    runs = list(runs)
    parameters = {"data": data, "profile": profile, "description": description, "runs": [run.name for run in runs]}
    hashes = ",".join(sorted({run.data["hash"] for run in runs}))
    records = tuple(run.folder / "record.json" for run in runs)
    return Job(notebook, parameters, executed_notebook(notebook), needs=records, data_hash=hashes)
