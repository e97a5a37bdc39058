"""The commands that this package adds to ``chairlib``: ``card``, ``robustness``, ``submit`` and ``verify``."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or the beginning of one.")]


def register(app: typer.Typer) -> None:
    """Add the commands to chairlib's command line (entry point of the group ``chairlib.commands``)."""
    app.command()(card)
    app.command()(robustness)


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
    from chairboard.runs import robustness_of
    from chairlib.core.code import look_for_modules_in
    from chairlib.core.files import atomic_path

    look_for_modules_in(Path.cwd())
    curves = robustness_of(run, images)
    if out is not None:
        with atomic_path(out) as file:
            curves.to_csv(file, index=False)
    print(curves.pivot(index="kind", columns="strength", values="iou").round(1).to_string())
