"""``chairlib runs``: the finished runs in a table, one of them told, two compared, and some deleted."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from chairlib.core import paths
from chairlib.core.errors import ParameterError, RecordError
from chairlib.core.files import write_text

app = typer.Typer(
    name="runs",
    help="Finished runs: list, show, compare and delete them. A name may be cut short where no other begins the same.",
    no_args_is_help=True,
)


@app.command("list")
def list_runs(
    kind: Annotated[str | None, typer.Option(help="benchmark, transfer or landscape; all by default.")] = None,
    data: Annotated[str | None, typer.Option(help="Those on these data: a name as in the list, or a folder.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Those that follow this protocol.")] = None,
) -> None:
    """Print a line for each finished run: what was trained on what, its test IoU, and whether reports take it."""
    from chairlib.benchmark.comparison import load_runs
    from chairlib.core.runs import readable_records

    table = load_runs(kind, data)
    if protocol is not None:
        table = table[table["protocol"] == protocol]
    if table.empty:
        raise RecordError(f"no such finished run is in {paths.runs}; make one with `chairlib benchmark`.")
    left = [f"{row.name}: {row.usable}" for row in table.itertuples(index=False) if row.usable != "yes"]
    shown = table[["name", "protocol", "data", "images", "iou", "low", "high", "seconds"]].round(1)
    # The names of a sweep's runs differ in their last digits alone.
    rates = {one.name: one.content["parameters"].get("learning_rate") for one in readable_records(kind)}
    if (rate := table["name"].map(rates)).notna().any():
        shown.insert(2, "rate", rate.map("{:g}".format, na_action="ignore"))
    print(shown.assign(usable=table["usable"].where(table["usable"] == "yes", "no")).to_string(index=False, na_rep="–"))
    if left:
        print("\nno report takes these; `chairlib runs rm --stale` deletes them:", *left, sep="\n  ")


@app.command()
def show(name: Annotated[str, typer.Argument(help="A run.")]) -> None:
    """Print a run's scores and costs, its settings, recipe and code, and where it lies."""
    from chairlib.benchmark.comparison import load_runs
    from chairlib.benchmark.describe import describe_record
    from chairlib.core.runs import find_record

    record = find_record(name, any_seed=True)
    content, code = record.content, record.content["code"]
    if record.kind == "benchmark":
        print(describe_record(record))
    else:
        row = load_runs(record.kind).set_index("name").loc[record.name].dropna()
        print(record.name, *(f"  {column}: {value}" for column, value in row.items()), sep="\n")
    for title, values in (("settings", content["parameters"]), ("recipe", content.get("recipe", {}))):
        print(f"  {title}: " + ", ".join(f"{key} {value}" for key, value in values.items() if value is not None))
    print(f"  code: {code['hash']}, commit {code.get('commit') or 'unknown'}, chairlib {code.get('version')}")
    print(f"  reports: {record.mismatch() or 'take it'}\n  {record.folder}")


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="A run, which stands for all seeds of its settings; or several: A0,A1,A2.")],
    b: Annotated[str, typer.Argument(help="What it is compared with.")],
    html: Annotated[Path | None, typer.Option(help="Write a page with the pictures to this file too.")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="These runs alone, without their other seeds.")] = False,
) -> None:
    """Print how much higher the test IoU of A is than that of B, with its interval over groups and seeds."""
    from chairlib.benchmark.comparison import compare_runs

    one, other = (side.split(",") if "," in side else side for side in (a, b))
    found = compare_runs(one, other, seeds=not alone)
    if html is not None:
        head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{" and ".join(found.labels)}</title>'
        write_text(html, f"{head}<body>{found._repr_html_()}</body></html>\n")
    print(found)


@app.command()
def rm(
    names: Annotated[list[str] | None, typer.Argument(help="Runs.")] = None,
    stale: Annotated[bool, typer.Option("--stale", help="All runs that no report takes.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also runs that others, which stay, were made from.")] = False,
) -> None:
    """Delete finished runs with all that they hold; says which, and asks first."""
    from chairlib.benchmark.comparison import load_runs
    from chairlib.core.runs import NEWER, find_record, readable_records, remove_run

    chosen = [find_record(name).name for name in names or []]
    if stale:
        why = load_runs(None).set_index("name")["usable"]
        chosen += [str(name) for name, reason in why.items() if reason != "yes" and NEWER not in reason]
    chosen = list(dict.fromkeys(chosen))
    if not chosen:
        if not stale:
            raise ParameterError("there is nothing to delete; name runs, or give --stale.")
        print("nothing to delete: reports take all runs")
        return
    for other in readable_records() if not force else []:
        if other.name not in chosen and (needed := sorted(other.content.get("made_from", {}).keys() & set(chosen))):
            raise RecordError(f"{other.name} was made from {needed[0]}; delete both, or give --force.")
    print("to be deleted:", *(f"{name} ({_size(paths.runs / name)})" for name in chosen), sep="\n  ")
    if not yes and not (sys.stdin and sys.stdin.isatty()):
        raise ParameterError("nothing was deleted, since there is nobody to ask; give --yes.")
    if yes or typer.confirm("Delete?"):
        for name in chosen:
            remove_run(name)
        print("deleted")
    else:
        print("nothing was deleted")


def _size(folder: Path) -> str:
    return f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.1f} MB"
