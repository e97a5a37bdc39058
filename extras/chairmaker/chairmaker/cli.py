"""The commands that this package adds to ``chairlib``: ``render`` and ``render-stand-in``."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", "-o", help="A new folder.")]


def register(app: typer.Typer) -> None:
    """Add the commands to chairlib's command line (entry point of the group ``chairlib.commands``)."""
    app.command()(render)
    app.command("render-stand-in")(render_stand_in)


def render(
    out: Out,
    segments: Annotated[int, typer.Option(help="How many chairs, each of its own design.")] = 450,
    backgrounds: Annotated[int, typer.Option(help="How many rooms.")] = 500,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the designs and the splits.")] = 0,
) -> None:
    """Render a collection of chairs and rooms: no network, no licence question."""
    from chairlib.collection.info import describe
    from chairmaker import render_collection

    print(describe(render_collection(out, segments, backgrounds, size=size, seed=seed)))


def render_stand_in(
    out: Out,
    images: Annotated[int, typer.Option(help="How many of each: airplanes, cars, horses.")] = 560,
    size: Annotated[int, typer.Option(help="Pixels of the longer side.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the scenes.")] = 0,
) -> None:
    """Render the stand-in for the Object Discovery dataset, in its layout."""
    from chairmaker.stand_in import render_stand_in as write

    print(f"The stand-in (not Object Discovery) is in {write(out, images, size=size, seed=seed)}")
