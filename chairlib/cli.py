"""The command line: ``chairlib --help``. Each command is a thin door to one library call.

An error of the input is one line on stderr and exit status 1; wrong usage is status 2; Ctrl-C is 130.
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from chairlib import __version__
from chairlib.errors import ChairlibError, ParameterError

__all__ = ["app", "main"]

app = typer.Typer(
    name="chairlib",
    help="Chair Segments: collections of chairs and rooms, the segmentation benchmark on them, and the paper built from both.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[
    str, typer.Argument(metavar="C", help="A collection: a folder, or 'mini', the one that ships with chairlib.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="A new folder.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the splits.")]
Resolution = Annotated[int, typer.Option(help="Pixels a side, at least 16.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"chairlib {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _list_thresholds(given: list[str] | None) -> list[str] | None:
    """Eager, so that `--threshold list` needs no other option."""
    if given == ["list"]:
        from chairlib.collection.screening import threshold_help

        print(threshold_help())
        raise typer.Exit
    return given


Threshold = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Set a screening rule's threshold; repeatable. `list` shows them all.",
        callback=_list_thresholds,
        is_eager=True,
    ),
]


@app.command("import")
def import_(
    segments: Annotated[Path, typer.Option(help="Folder of images with a transparent background.")],
    backgrounds: Annotated[Path, typer.Option(help="Folder of photos of rooms.")],
    out: Out,
    seed: Seed = 0,
    threshold: Threshold = None,
) -> None:
    """Make a collection from folders of images; what cannot be used is listed with its reason."""
    from chairlib.collection.importing import import_folders
    from chairlib.collection.info import describe
    from chairlib.collection.screening import parse_thresholds
    from chairlib.collection.texts import one_line

    report = import_folders(segments, backgrounds, out, seed=seed, thresholds=parse_thresholds(threshold or ()))
    for path, reason in report.refused:
        print(one_line(f"refused {path}: {reason}"), file=sys.stderr)
    print(f"{describe(report.collection)}\n\n{report}")


collect_app = typer.Typer(invoke_without_command=True, no_args_is_help=True)
app.add_typer(collect_app, name="collect", context_settings={"help_option_names": ["-h", "--help"]})
Collected = Annotated[Path, typer.Option("--out", "-o", help="The collection.")]


@collect_app.callback()
def collect(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A new folder; the ledger is beside it, in <out>.collect.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="A text file, one query a line, in sections by kind; ours by default.")
    ] = None,
    providers: Annotated[
        str | None,
        typer.Option(
            help="Any of commons, openverse, serpapi and local:FOLDER, with commas between them; the first two by default."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Results taken of each query from each provider; 100 by default.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on as begun; options that are given again take the place of the old.")
    ] = False,
    contact: Annotated[
        str | None, typer.Option(envvar="CHAIRLIB_CONTACT", help="Your e-mail or web address, told to every host.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the splits; 0 by default.")] = None,
    any_licence: Annotated[
        bool | None,
        typer.Option("--any-licence/--stated-licence", help="Also images that state no licence, at your own risk."),
    ] = None,
    reviewed_only: Annotated[
        bool | None,
        typer.Option("--reviewed-only/--unreviewed-too", help="Build from the images that a person kept."),
    ] = None,
    threshold: Threshold = None,
) -> None:
    """Collect images from the web: search, fetch, screen, build; every image with its author and licence."""
    if context.invoked_subcommand:
        return
    from chairlib.collection.collecting import collect as run
    from chairlib.collection.queries import read_queries
    from chairlib.collection.screening import parse_thresholds
    from chairlib.errors import CollectionError

    if out is None:
        raise ParameterError("collect needs the folder of the new collection; name it with --out.")
    try:
        report = run(
            None if queries is None else read_queries(queries),
            None if providers is None else [name.strip() for name in providers.split(",") if name.strip()],
            out,
            limit=limit,
            resume=resume,
            contact=contact,
            seed=seed,
            any_licence=any_licence,
            reviewed_only=reviewed_only,
            thresholds=parse_thresholds(threshold) if threshold else None,
        )
    except KeyboardInterrupt:
        _interrupted("with --resume, it goes on where it stopped.")
    print(report)
    if report.collection is None:
        raise CollectionError(f"{report.shortage} What was found is kept; go on with --resume.")
    print(report.collection)


@collect_app.command("status")
def collect_status(out: Collected) -> None:
    """Say how far a collection from the web is."""
    from chairlib.collection.collecting import describe_status, open_ledger

    print(describe_status(open_ledger(out, to_read=True)))


@collect_app.command("remove")
def collect_remove(
    image: Annotated[str, typer.Argument(metavar="ID", help="The image's id, as in manifest.csv.")], out: Collected
) -> None:
    """Take an image out of the ledger and the collection, for good: it is never taken again."""
    from chairlib.collection.collecting import remove

    print(remove(image, out))


@collect_app.command("decisions")
def collect_decisions(
    out: Collected,
    export: Annotated[Path | None, typer.Option(help="Write the decisions to this CSV file.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Apply the decisions of this CSV file.")] = None,
) -> None:
    """Print, export or replay what reviewers decided."""
    from chairlib.collection import decisions
    from chairlib.collection.collecting import open_ledger

    if export and replay:
        raise ParameterError("--export and --replay exclude each other; run one after the other.")
    ledger = open_ledger(out, to_read=replay is None)
    if replay:
        print(decisions.replay_decisions(ledger, replay))
    elif export:
        print(f"{decisions.export_decisions(ledger, export)} decisions in {export}")
    else:
        print(decisions.decisions_table(ledger), end="")


@app.command()
def render(
    out: Out,
    segments: Annotated[int, typer.Option(help="How many chairs.")] = 180,
    backgrounds: Annotated[int, typer.Option(help="How many rooms.")] = 500,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the designs and the splits.")] = 0,
) -> None:
    """Render a collection of chairs and rooms: no network, no licence question."""
    from chairlib.collection.info import describe
    from chairlib.collection.procedural import render_collection

    print(describe(render_collection(out, segments, backgrounds, size=size, seed=seed)))


@app.command("render-stand-in")
def render_stand_in(
    out: Out,
    images: Annotated[int, typer.Option(help="How many of each: airplanes, cars, horses.")] = 160,
    size: Annotated[int, typer.Option(help="Pixels of the longer side.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the scenes.")] = 0,
) -> None:
    """Render the stand-in for the Object Discovery dataset, in its layout."""
    from chairlib.collection.procedural.stand_in import render_stand_in as write

    print(f"The stand-in (not Object Discovery) is in {write(out, images, size=size, seed=seed)}")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="object-discovery, released-64 or coco-chairs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder; started again, the fetch goes on in it.")],
    url: Annotated[str | None, typer.Option(help="Another address of the archive: a mirror's.")] = None,
) -> None:
    """Fetch a public dataset, checked and unpacked; where its host is gone, say what to do by hand."""
    from chairlib.fetching import fetch as get

    print(f"Read it: {get(name, out, url)}")


@app.command()
def info(data: Data = "mini") -> None:
    """Print a collection's counts, splits, sizes, licences and foreground share."""
    from chairlib.collection import Collection
    from chairlib.collection.info import describe

    print(describe(Collection(data)))


@app.command()
def audit(
    data: Data = "mini",
    threshold: Annotated[
        int, typer.Option(min=0, max=256, help="Least bits, of 256, between images of two splits; 0 only reports.")
    ] = 24,
    most: Annotated[
        float, typer.Option(min=0, max=1, help="Share of a kind's val and test images that may be nearer than that.")
    ] = 0.02,
) -> None:
    """Look for near-duplicates across splits; exit status 1 where more than that share of images has one."""
    from chairlib.collection import Collection
    from chairlib.collection.leakage import audit as measure
    from chairlib.collection.leakage import check

    report = measure(Collection(data), progress=True)
    print(report)
    check(report, threshold, most)
    print(f"\nat most {most:.0%} of val and test images are closer than {threshold} bits to one of another split")


@app.command()
def export(
    data: Data,
    out: Out,
    resolution: Resolution = 64,
    soft: Annotated[bool, typer.Option("--soft", help="Masks hold the opacity itself instead of 0 and 255.")] = False,
) -> None:
    """Write every composite to files, in the layout of the authors' archives."""
    from chairlib.dataset import export as write

    print(f"{write(data, out, resolution, soft=soft)} composites of {resolution} x {resolution} pixels in {out}")


@app.command()
def coco_chairs(
    images: Annotated[Path, typer.Option(help="Folder of COCO photos.")],
    annotations: Annotated[Path, typer.Option(help="Their annotations, instances_*.json.")],
    out: Out,
) -> None:
    """Crop the chairs of COCO photos to files in the authors' layout: another source to pretrain on."""
    from chairlib.coco_chairs import export as write

    for split, data in write(images, annotations, out).items():
        left_out = ", ".join(f"{count} {reason}" for reason, count in data.n_left_out.items() if count) or "none"
        print(f"{split}: {len(data)} crops of {len(set(data.groups or []))} photos (left out: {left_out})")
    print(f"pretrain with: chairlib benchmark --data {out}, or in a build: make paper PROFILE=paper COCO={out}")


@app.command()
def benchmark(
    model: Annotated[
        str, typer.Option(help="unet, fcn_vgg16, fcn_resnet50, fcn_resnet101, or package.module:callable.")
    ] = "unet",
    data: Annotated[str, typer.Option(help="A collection, or a folder in the authors' layout.")] = "mini",
    resolution: Resolution = 64,
    width: Annotated[
        int | None, typer.Option(help="Channels of the first convolution; the paper's by default.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="paper, released or fast.")] = "fast",
    images: Annotated[int | None, typer.Option(help="Training budget; the recipe's epochs by default.")] = None,
    train_images: Annotated[int | None, typer.Option(help="Different training composites; all by default.")] = None,
    val_images: Annotated[int | None, typer.Option(help="Validation composites; all by default.")] = None,
    test_images: Annotated[int | None, typer.Option(help="Test composites; all by default.")] = None,
    evaluations: Annotated[
        int | None, typer.Option(help="How often to validate; once an epoch, at least 8, by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Device = "auto",
) -> None:
    """Train one model and score it, without notebooks; started again, it goes on where it stopped."""
    from chairlib import benchmark as bench
    from chairlib.benchmark_report import describe_record

    sys.path.insert(0, "")  # a module of one's own is looked for in the current folder, as `python -m` does
    run = bench.open_run(
        data=data if data == "mini" else str(Path(data).expanduser().resolve()),
        model=model,
        width=width,
        resolution=resolution,
        recipe=recipe,
        images=images,
        train_images=train_images,
        val_images=val_images,
        test_images=test_images,
        evaluations=evaluations,
        seed=seed,
        device=device,
    )
    print(describe_record(bench.train(run)))
    print(f"  {run.folder}")


def _parameters(pairs: list[str], mapping: str | None) -> dict[str, Any]:
    """``-p name=value`` pairs (values as JSON where they are, else text) over a JSON object."""
    try:
        found = json.loads(mapping or "{}")
    except ValueError as error:
        raise ParameterError(f"-P {mapping!r} is not JSON ({error}).") from error
    if not isinstance(found, dict):
        raise ParameterError(f"-P {mapping!r} is not a JSON object of parameters.")
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ParameterError(f"-p {pair!r} is not of the form name=value.")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


@app.command()
def run(
    notebook: Annotated[str, typer.Argument(help="A chapter such as 03_benchmark, or an .ipynb file.")],
    parameter: Annotated[list[str] | None, typer.Option("-p", help="name=value; may be repeated.")] = None,
    parameters: Annotated[str | None, typer.Option("-P", help="All of them as one JSON object.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The executed copy; <notebook>.out.ipynb by default.")
    ] = None,
) -> None:
    """Execute a chapter with papermill; a parameter that it doesn't have is an error."""
    from chairlib import notebooks

    # What goes wrong is raised, and printed once. Ctrl-C would have papermill and asyncio log tracebacks of the dying kernel.
    logging.disable()
    given = _parameters(parameter or [], parameters)
    for name, shipped in (("data", ("mini", "stand-in")), ("photos", ("stand-in",))):
        # What ships with the package keeps its name, whatever folders are here: as in every other command.
        if isinstance(given.get(name), str) and given[name] not in shipped and Path(given[name]).is_dir():
            given[name] = str(Path(given[name]).resolve())  # the notebook runs in another folder
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))
    target = out or Path(f"{Path(notebook).stem}.out.ipynb")
    print(notebooks.execute(notebook, given, target))


@app.command()
def paper(
    profile: Annotated[str, typer.Option(help="smoke, quick, paper, or a .yaml file.")] = "quick",
    data: Annotated[str, typer.Option(help="A collection: a folder, or 'mini'.")] = "mini",
    photos: Annotated[
        str, typer.Option(help="Photos to fine-tune on: a folder in Object Discovery's layout, or 'stand-in'.")
    ] = "stand-in",
    coco: Annotated[
        str | None,
        typer.Option(help="A folder that `chairlib coco-chairs` wrote, to pretrain on beside the collection."),
    ] = None,
    device: Device = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Build the paper: train what is missing, execute the chapters, render the book."""
    from chairlib import build

    page = build.build(profile, data, device, dry_run, photos, coco)
    if not dry_run:
        print(f"\nThe book: {page}\nRead it with `make serve`, or open that file.")


@app.command("render-book", hidden=True)
def render_book() -> None:
    """Render executed notebooks and prose (a step of ``paper``)."""
    from chairlib import build

    build.render()


def _interrupted(hint: str) -> NoReturn:
    print(f"\nchairlib: interrupted; {hint}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(130)  # worker threads may still be busy; nothing half-written is left


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch has an error of its own for CUDA (a RuntimeError), and only words on the CPU; it is not imported for this."""
    words = ("can't allocate memory", "not enough memory")
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and any(word in str(error) for word in words))


def main() -> None:
    """Entry point of ``chairlib``."""
    try:
        status = app(standalone_mode=False)
        if status == 130:  # some versions of typer raise Ctrl-C, others return its status
            raise KeyboardInterrupt
        sys.stdout.flush()
    except ChairlibError as error:
        print(f"chairlib: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a full disk, say, met where no file of ours was being written
        print(f"chairlib: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        _interrupted("started again, training and rendering go on where they stopped.")
    except Exception as error:
        if _is_out_of_memory(error):
            reason = " ".join(str(error).split()) or "no reason given"
            print(f"chairlib: out of memory ({reason}); ask for less at a time.", file=sys.stderr)
            sys.exit(1)
        show = getattr(error, "show", None)  # click's usage errors print themselves
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))
    sys.exit(status if isinstance(status, int) else 0)
