"""The commands that this package adds to ``chairlib``: import, audit, collect, fetch and coco-chairs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from chairlib.core.errors import CollectionError, Interrupted, ParameterError

Out = Annotated[Path, typer.Option("--out", "-o", help="A new folder.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the splits.")]


def register(app: typer.Typer) -> None:
    """Add the commands to chairlib's command line (entry point of the group ``chairlib.commands``)."""
    app.command("import")(import_)
    app.command()(audit)
    app.add_typer(collect_app, name="collect", context_settings={"help_option_names": ["-h", "--help"]})
    app.command()(fetch)
    app.command()(coco_chairs)


def _list_thresholds(given: list[str] | None) -> list[str] | None:
    """Eager, so that `--threshold list` needs no other option."""
    if given == ["list"]:
        from chairfinder.screening import threshold_help

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


def import_(
    segments: Annotated[Path, typer.Option(help="Folder of images with a transparent background.")],
    backgrounds: Annotated[Path, typer.Option(help="Folder of photos of rooms.")],
    out: Out,
    seed: Seed = 0,
    threshold: Threshold = None,
) -> None:
    """Make a collection from folders of images; what cannot be used is listed with its reason."""
    from chairfinder.importing import import_folders
    from chairfinder.screening import parse_thresholds
    from chairlib.collection.cells import one_line
    from chairlib.collection.info import describe

    report = import_folders(segments, backgrounds, out, seed=seed, thresholds=parse_thresholds(threshold or ()))
    for path, reason in report.refused:
        print(one_line(f"refused {path}: {reason}"), file=sys.stderr)
    print(f"{describe(report.collection)}\n\n{report}")


def audit(
    data: Annotated[
        str, typer.Argument(metavar="C", help="A collection: a folder, or 'mini', the one that ships with chairlib.")
    ] = "mini",
    threshold: Annotated[
        int, typer.Option(min=0, max=256, help="Least bits, of 256, between images of two splits; 0 only reports.")
    ] = 24,
    most: Annotated[
        float, typer.Option(min=0, max=1, help="Share of a kind's val and test images that may be nearer than that.")
    ] = 0.02,
) -> None:
    """Look for near-duplicates across splits; exit status 1 where more than that share of images has one."""
    from chairfinder.leakage import audit as measure
    from chairfinder.leakage import check
    from chairlib.collection import Collection

    report = measure(Collection(data), progress=True)
    print(report)
    check(report, threshold, most)
    print(f"\nat most {most:.0%} of val and test images are closer than {threshold} bits to one of another split")


collect_app = typer.Typer(invoke_without_command=True, no_args_is_help=True)
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
            help="Any of commons, openverse, serpapi and local:FOLDER, separated by commas; by default the first two."
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
    from chairfinder.collecting import collect as run
    from chairfinder.queries import read_queries
    from chairfinder.screening import parse_thresholds

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
        raise Interrupted("interrupted; with --resume, it goes on where it stopped.") from None
    print(report)
    if report.collection is None:
        raise CollectionError(f"{report.shortage} What was found is kept; go on with --resume.")
    print(report.collection)


@collect_app.command("status")
def collect_status(out: Collected) -> None:
    """Say how far a collection from the web is."""
    from chairfinder.collecting import describe_status, open_ledger

    print(describe_status(open_ledger(out, to_read=True)))


@collect_app.command("remove")
def collect_remove(
    image: Annotated[str, typer.Argument(metavar="ID", help="The image's id, as in manifest.csv.")], out: Collected
) -> None:
    """Take an image out of the ledger and the collection, for good: it is never taken again."""
    from chairfinder.collecting import remove

    print(remove(image, out))


@collect_app.command("decisions")
def collect_decisions(
    out: Collected,
    export: Annotated[Path | None, typer.Option(help="Write the decisions to this CSV file.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Apply the decisions of this CSV file.")] = None,
) -> None:
    """Print, export or replay what reviewers decided."""
    from chairfinder import decisions
    from chairfinder.collecting import open_ledger

    if export and replay:
        raise ParameterError("--export and --replay exclude each other; run one after the other.")
    ledger = open_ledger(out, to_read=replay is None)
    if replay:
        print(decisions.replay_decisions(ledger, replay))
    elif export:
        print(f"{decisions.export_decisions(ledger, export)} decisions in {export}")
    else:
        print(decisions.decisions_table(ledger), end="")


def fetch(
    name: Annotated[str, typer.Argument(help="object-discovery, released-64 or coco-chairs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder; started again, the fetch goes on in it.")],
    url: Annotated[str | None, typer.Option(help="Another address of the archive: a mirror's.")] = None,
) -> None:
    """Fetch a public dataset, checked and unpacked; where its host is gone, say what to do by hand."""
    from chairfinder.fetching import fetch as get

    print(f"Read it: {get(name, out, url)}")


def coco_chairs(
    images: Annotated[Path, typer.Option(help="Folder of COCO photos.")],
    annotations: Annotated[Path, typer.Option(help="Their annotations, instances_*.json.")],
    out: Out,
) -> None:
    """Crop the chairs of COCO photos to files in the authors' layout, to pretrain on."""
    from chairfinder.coco_chairs import export as write

    for split, data in write(images, annotations, out).items():
        left_out = ", ".join(f"{count} {reason}" for reason, count in data.n_left_out.items() if count) or "none"
        print(f"{split}: {len(data)} crops of {len(set(data.groups or []))} photos (left out: {left_out})")
    print(f"pretrain with: chairlib benchmark --data {out}, or in a build: make paper PROFILE=paper COCO={out}")
