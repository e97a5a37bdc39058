"""The commands that this package adds to ``chairlib``: ``card``, ``robustness``, ``submit`` and ``verify``."""

from pathlib import Path
from typing import Annotated

import typer

RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or the beginning of one.")]
Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="A run; of what was trained elsewhere, all runs.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of rows; the repository's by default.")]
Title = Annotated[str, typer.Option(help="What the table calls the model; its name by default.")]
File = Annotated[Path, typer.Argument(help="A row: leaderboard/<protocol>/<model>.json.")]
Weights = Annotated[
    list[str] | None, typer.Option("--weights", "-w", help="A file, or a run that is here; one a seed, in order.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to chairlib's command line (entry point of the group ``chairlib.commands``)."""
    app.command()(card)
    app.command()(robustness)
    app.command()(submit)
    app.command()(verify)


def card(run: RunName) -> None:
    """Print more scores of a run's test images: boundaries, thin parts, calibration, small and large chairs."""
    from chairboard.runs import card_of, describe
    from chairlib.core.code import look_for_modules_in

    look_for_modules_in(Path.cwd())  # for models of one's own
    print(describe(card_of(run)))


def robustness(
    run: RunName,
    images: Annotated[int, typer.Option(help="Test composites of each kind and strength.")] = 100,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the scores to this .csv file too.")] = None,
) -> None:
    """Score a run's model on test images that are made worse in six ways, in five strengths each."""
    from chairboard.runs import describe_robustness, robustness_of
    from chairlib.core.checks import check_count
    from chairlib.core.code import look_for_modules_in
    from chairlib.core.files import atomic_path

    check_count("--images", images)
    look_for_modules_in(Path.cwd())
    curves = robustness_of(run, images)
    if out is not None:
        with atomic_path(out) as file:
            curves.to_csv(file, index=False)
    print(describe_robustness(curves))


def submit(
    runs: Runs,
    out: Out = None,
    title: Title = "",
    by: Annotated[str, typer.Option(help="Who made the model.")] = "",
    link: Annotated[str, typer.Option(help="Where it is described.")] = "",
) -> None:
    """Write the leaderboard's row of a model, from its runs of all the protocol's seeds."""
    from chairboard.leaderboard import read_row
    from chairboard.leaderboard import submit as write
    from chairlib.core.code import look_for_modules_in

    look_for_modules_in(Path.cwd())  # for models of one's own
    file = write(runs, out, title=title, by=by, link=link)
    print("\n".join([f"{file} ({file.stat().st_size / 1000:.0f} kB)", *read_row(file).content["notes"]]))


def verify(
    file: File,
    weights: Weights = None,
    data: Annotated[str, typer.Option(help="The protocol's data: a folder, or 'mini'.")] = "mini",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
) -> None:
    """Check a row: its terms, means and intervals; with weights, score the model again and compare image by image."""
    from chairboard.leaderboard import verify as check
    from chairlib.core.code import look_for_modules_in

    look_for_modules_in(Path.cwd())  # for models of one's own
    print(f"{file}: {check(file, weights or (), data, device, progress=True)}")
