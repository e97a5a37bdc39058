"""The commands that this package adds to ``chairlib``: ``export`` and ``export-onnx``."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str, typer.Argument(metavar="C", help="A collection: a folder, or 'mini', the one that ships with chairlib.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="A new folder.")]


def register(app: typer.Typer) -> None:
    """Add the commands to chairlib's command line (entry point of the group ``chairlib.commands``)."""
    app.command()(export)
    app.command("export-onnx")(export_onnx)


def export(
    data: Data,
    out: Out,
    format: Annotated[
        str, typer.Option(help="released (the authors' layout), coco, or huggingface (with Croissant).")
    ] = "released",
    resolution: Annotated[int, typer.Option(help="Pixels a side, at least 16.")] = 64,
    soft: Annotated[bool, typer.Option("--soft", help="Masks hold the opacity itself instead of 0 and 255.")] = False,
) -> None:
    """Write every composite to files, with a data card and a table of authors and licences."""
    from chairbridge.exporting import export as write

    count = write(data, out, resolution, format=format, soft=soft)
    print(f"{count} composites of {resolution} x {resolution} pixels in {out}")


def export_onnx(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run's name, or the beginning of one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new file, *.onnx.")],
    resolution: Annotated[int | None, typer.Option(help="Pixels a side; that of the run by default.")] = None,
) -> None:
    """Write a run's trained model as ONNX, and check that it computes the same."""
    from chairbridge.onnx_models import export_onnx as write
    from chairlib.core.code import look_for_modules_in
    from chairlib.core.runs import find_record

    look_for_modules_in(Path.cwd())  # for models of one's own
    print(write(find_record(run), out, resolution))
