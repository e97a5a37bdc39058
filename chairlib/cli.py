"""The command line: ``chairlib --help``. Each command is a thin door to one library call.

Other packages add commands through the entry-point group ``chairlib.commands``: each entry is a function that is given
:data:`app` and adds its commands to it.

An error of the input is one line on stderr and exit status 1; wrong usage is status 2; Ctrl-C is 130, SIGTERM 143.
"""

import getpass
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import MISSING, fields
from importlib.metadata import entry_points
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_args, get_type_hints

import typer
from typer.core import TyperGroup

from chairlib import __version__, cli_runs
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core import paths, stopping
from chairlib.core.code import look_for_modules_in
from chairlib.core.errors import ChairlibError, Interrupted, ParameterError

#: Commands of the packages beside the library, which does without them.
_EXTRA_COMMANDS = (
    *("render", "render-stand-in", "import", "audit", "collect", "fetch", "coco-chairs", "export", "export-onnx"),
    *("card", "robustness", "submit", "verify"),
)


class _Commands(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:  # typer's own class of usage errors, which has no stable name
            if args[0] in _EXTRA_COMMANDS:
                error.message = (  # type: ignore[attr-defined]
                    f"No such command {args[0]!r}: it comes with the packages in the folder extras/ of the project's "
                    "repository. In a clone of it, run `make install`, or `pip install . ./extras/*`."
                )
            raise


app = typer.Typer(
    name="chairlib",
    cls=_Commands,
    help="Chair Segments: collections of chairs and rooms, the segmentation benchmark, and the paper built from both.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(cli_runs.app)

Data = Annotated[
    str, typer.Argument(metavar="C", help="A collection: a folder, or 'mini', the one that ships with chairlib.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="A new folder.")]


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


@app.command()
def info(data: Data = "mini") -> None:
    """Print a collection's counts, splits, sizes, licences and foreground share."""
    from chairlib.collection import Collection
    from chairlib.collection.info import describe

    print(describe(Collection(data)))


def benchmark(sweep: bool, **parameters: Any) -> None:
    """Train one model and score it; started again, it goes on where it stopped.

    With --protocol it is trained once with each of the protocol's seeds, or with --seed alone.
    """
    from chairlib.benchmark.describe import describe_record, describe_seeds
    from chairlib.benchmark.judge import judge
    from chairlib.benchmark.run import open_run, train

    given = _given(parameters)
    protocol = given.pop("protocol", None)
    if protocol is None:
        if sweep:
            raise ParameterError("--sweep tries a protocol's learning rates: name one with --protocol.")
        records = [train(open_run(**given))]
    else:
        seed = given.pop("seed", None)
        records = judge(protocol, seeds=None if seed is None else [int(seed)], try_rates=sweep, **given)
    for record in records:
        print(f"{describe_record(record)}\n  {record.folder}")
    if len(records) > 1:
        print(describe_seeds(records))


def score(name: str | None, **parameters: Any) -> None:
    """Score a model that was trained elsewhere, or needs no training, on a protocol's test composites."""
    from chairlib.benchmark.describe import describe_record
    from chairlib.benchmark.judge import score_model
    from chairlib.core.progress import note

    given = {"protocol": "64-v1", **_given(parameters)}
    if "model" not in given:
        raise ParameterError("name a model: --model package.module:callable, or one of chairlib's with --weights.")
    if "weights" not in given:
        note("no weights are given: the model is scored as it is built")
    record = score_model(given.pop("model"), name=name, **given)
    print(f"{describe_record(record)}\n  {record.folder}")


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, with modules of one's own found, a folder's whole path, and JSON read."""
    look_for_modules_in(Path.cwd())
    given = {name: value for name, value in parameters.items() if value is not None}
    if given.get("data", "mini") != "mini":
        given["data"] = str(Path(given["data"]).expanduser().resolve())
    if "model_args" in given:
        given["model_args"] = _json_object("--model-args", given["model_args"])
    return given


def _add_run_command(function: Callable, names: Sequence[str], **more: Parameter) -> None:
    """Add a command with an option for each of these settings: typer reads them from a signature and annotations."""
    types, declared = get_type_hints(BenchmarkSettings), {field.name: field for field in fields(BenchmarkSettings)}
    options = []
    for name in names:
        known, shown = declared[name], declared[name].default
        help = typer.Option(help=known.metadata["help"], show_default=False if shown in (None, MISSING) else str(shown))
        kind = types[name] if types[name] in (str, int, float, bool) else (get_args(types[name]) or (str,))[0]
        text = kind if kind in (str, int, float, bool) else str  # a mapping is given as JSON
        options.append(Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[text | None, help]))
    options += more.values()
    function.__annotations__ = {option.name: option.annotation for option in options}
    function.__signature__ = Signature(options)  # type: ignore[attr-defined]
    app.command()(function)


def _option(name: str, default: Any, kind: Any, help: str) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, typer.Option(help=help)])


_SWEEP = "Try the protocol's three learning rates on its first seed, and take the one of the highest validation IoU."
_add_run_command(
    benchmark,
    [name for name in BenchmarkSettings.names() if name != "swept"],
    sweep=_option("sweep", False, bool, _SWEEP),
)
_SCORED = ("data", "protocol", "model", "width", "model_args", "normalise", "outputs", "weights", "seed", "device")
_NAME = "What tables call the model; its --model by default."
_add_run_command(
    score,
    [name for name in _SCORED if name in BenchmarkSettings.names()],
    name=_option("name", None, str | None, _NAME),
)


def read_parameters(pairs: list[str], mapping: str | None) -> dict[str, Any]:
    """``-p name=value`` pairs (values as JSON where they are, else text) over a JSON object."""
    found = _json_object("-P", mapping or "{}")
    for pair in pairs:
        name, equals, found[name] = pair.partition("=")
        if not equals:
            raise ParameterError(f"-p {pair!r} is not of the form name=value.")
        with suppress(ValueError):
            found[name] = json.loads(found[name])
    return found


def _json_object(option: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ParameterError(f"{option} {text!r} is not JSON ({error}).") from error
    if not isinstance(found, dict):
        raise ParameterError(f"{option} {text!r} is not a JSON object of parameters.")
    return found


@app.command()
def run(
    notebook: Annotated[str, typer.Argument(help="A chapter such as 03_benchmark, or an .ipynb file.")],
    parameter: Annotated[list[str] | None, typer.Option("-p", help="name=value; may be repeated.")] = None,
    parameters: Annotated[
        str | None, typer.Option("-P", help="All of them as one JSON object; - reads it from stdin.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The executed copy; <notebook>.out.ipynb by default.")
    ] = None,
    own_gpu: Annotated[
        bool, typer.Option("--own-gpu", help="Take one GPU that no other such run has, or wait for one.")
    ] = False,
) -> None:
    """Execute a chapter with papermill; a parameter that it doesn't have is an error."""
    from chairlib.build import gpus, notebooks

    stopping.end_with_build()
    logging.disable()  # what goes wrong is raised: at Ctrl-C, papermill and asyncio would log tracebacks of the kernel
    given = read_parameters(parameter or [], sys.stdin.read() if parameters == "-" else parameters)
    for name, shipped in (("data", ("mini", "stand-in")), ("photos", ("stand-in",))):
        # What ships with the package keeps its name, whatever folders are here: as in every other command.
        if isinstance(given.get(name), str) and given[name] not in shipped and Path(given[name]).is_dir():
            given[name] = str(Path(given[name]).resolve())  # the notebook runs in another folder
    look_for_modules_in(Path.cwd())
    target = out or Path(f"{Path(notebook).stem}.out.ipynb")
    with gpus.claim() if own_gpu else nullcontext(()) as held:
        print(notebooks.execute(notebook, given, target, held))


@app.command()
def paper(
    profile: Annotated[str, typer.Option(help="smoke, quick, evening, paper, or a .yaml file.")] = "quick",
    data: Annotated[str, typer.Option(help="A collection: a folder, or 'mini'.")] = "mini",
    photos: Annotated[
        str, typer.Option(help="Photos to fine-tune on: a folder in Object Discovery's layout, or 'stand-in'.")
    ] = "stand-in",
    coco: Annotated[
        str | None,
        typer.Option(help="A folder that `chairlib coco-chairs` wrote, to pretrain on beside the collection."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    cluster: Annotated[
        str | None,
        typer.Option(help="Run the jobs there: slurm, kubernetes, or a folder with a profile of Snakemake."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Build the paper: train what is missing, execute the chapters, render the book."""
    from chairlib.build.snakemake import build

    look_for_modules_in(Path.cwd())
    page = build(profile, data, device, dry_run, photos, coco, cluster)
    if not dry_run:
        print(f"\nThe book: {page}\nRead it with `make serve`, or open that file.")


@app.command("render-book", hidden=True)
def render_book() -> None:
    """Render executed notebooks and prose (a step of ``paper``)."""
    from chairlib.build.book import render

    stopping.end_with_build()
    render()


def _exit_interrupted(message: str) -> NoReturn:
    if stopping.terminated:
        message = message.replace("interrupted", "stopped by SIGTERM", 1)
    print(f"\nchairlib: {message}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(143 if stopping.terminated else 130)  # worker threads may still be busy; nothing half-written is left


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out. PyTorch has an error of its own for CUDA, and only words for the CPU."""
    in_words = isinstance(error, RuntimeError) and re.search("can't allocate memory|not enough memory", str(error))
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or bool(in_words)


for _entry in sorted(entry_points(group="chairlib.commands")):
    try:
        _entry.load()(app)
    except Exception as _error:  # another package's, and no reason to lose all commands of this one
        print(f"chairlib: the commands of {_entry.name} cannot be loaded ({_error}); reinstall it.", file=sys.stderr)


def _stand_in_for_missing_user() -> None:
    """Jupyter, Snakemake and PyTorch want a user's name and a folder to write to; containers often have neither."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"user-{os.getuid()}"
    with suppress(RuntimeError):
        if os.access(Path.home(), os.W_OK):
            return
        # Weights that were fetched for a home that is now read-only are still found.
        if (weights := Path.home() / ".cache" / "torch").is_dir():
            os.environ.setdefault("TORCH_HOME", str(weights))
    os.environ.setdefault("CHAIRLIB_HOME", str(paths.home))  # which may have followed from what HOME was
    os.environ["HOME"] = str(paths.cache / "home")


def main() -> None:
    """Entry point of ``chairlib``."""
    stopping.listen()
    _stand_in_for_missing_user()
    try:
        status = app(standalone_mode=False)
        if status == 130:  # some versions of typer raise Ctrl-C, others return its status
            raise KeyboardInterrupt
        sys.stdout.flush()
    except Interrupted as error:
        _exit_interrupted(str(error))
    except ChairlibError as error:
        print(f"chairlib: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a full disk, say, met where no file of ours was being written
        print(f"chairlib: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        _exit_interrupted("interrupted; the same command goes on where it stopped.")
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
