"""Commands of the leaderboard: ``chairlib submit`` writes a row, ``chairlib verify`` checks one."""

from pathlib import Path
from typing import Annotated

import typer

from chairlib.core.code import look_for_modules_in

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(submit)
    app.command()(verify)


Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="A run; of what was trained elsewhere, all runs.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of rows; the repository's by default.")]
Title = Annotated[str, typer.Option(help="What the table calls the model; its name by default.")]
File = Annotated[Path, typer.Argument(help="A row: leaderboard/<protocol>/<model>.json.")]
Weights = Annotated[
    list[str] | None, typer.Option("--weights", "-w", help="A file, or a run that is here; one a seed, in order.")
]


def submit(
    runs: Runs,
    out: Out = None,
    title: Title = "",
    by: Annotated[str, typer.Option(help="Who made the model.")] = "",
    link: Annotated[str, typer.Option(help="Where it is described.")] = "",
) -> None:
    """Write the leaderboard's row of a model, from its runs of all the protocol's seeds."""
    from chairlib.benchmark.leaderboard import read_row
    from chairlib.benchmark.leaderboard import submit as write

    look_for_modules_in(Path.cwd())
    file = write(runs, out, title=title, by=by, link=link)
    print("\n".join([f"{file} ({file.stat().st_size / 1000:.0f} kB)", *read_row(file).content["notes"]]))


def verify(
    file: File,
    weights: Weights = None,
    data: Annotated[str, typer.Option(help="The protocol's data: a folder, or 'mini'.")] = "mini",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
) -> None:
    """Check a row: its terms, means and intervals; with weights, score the model again and compare image by image."""
    from chairlib.benchmark.leaderboard import verify as check

    look_for_modules_in(Path.cwd())
    print(f"{file}: {check(file, weights or (), data, device, progress=True)}")
