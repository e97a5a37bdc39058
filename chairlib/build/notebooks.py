"""Executing a chapter with papermill: a misspelt parameter is an error, and a failure leaves no page behind.

What plain papermill doesn't do: it warns of a parameter that the notebook never declared and goes on; it writes a
failed notebook where a good one was expected.
"""

import os
import shutil
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chairlib.core import paths, stopping
from chairlib.core.code import look_for_modules_in
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.files import atomic_path
from chairlib.core.progress import HEADLESS

#: Environment variable: seconds that a notebook's process may take to start. One that dies is noticed at once.
START_SECONDS = "CHAIRLIB_START_SECONDS"
#: What a notebook's process runs. It ends when its parent is killed. Modules of one's own are found from the first
#: cell on. What is registered first runs last: when all that a notebook has to tidy up is done, its process ends, and
#: does not take torch apart object by object for a second.
KERNEL = (
    "import atexit, os, sys; import chairlib.core.code; from chairlib.core import stopping; "
    "stopping.end_with_parent(int(os.environ['JPY_PARENT_PID'])); stopping.listen(); "
    "atexit.register(lambda: (sys.stdout.flush(), sys.stderr.flush(), os._exit(0))); "
    "from ipykernel.kernelapp import launch_new_instance as start; start()"
)


def names() -> list[str]:
    """The chapters, e.g. ``02_compositing``."""
    return sorted(path.stem for path in paths.notebooks.glob("[0-9]*.ipynb"))


def execute(name: str, parameters: Mapping[str, Any], out: str | Path, inherit: tuple[int, ...] = ()) -> Path:
    """Run chapter ``name`` (or an .ipynb file) with ``parameters`` and write the executed copy to ``out``, atomically.

    The notebook runs in :data:`chairlib.core.paths.home`; its output is repeated on stderr. When a cell fails,
    ``out`` stays as it was, the failed copy lies beside it as ``<name>.failed.ipynb``, and :class:`ChairlibError` names
    the error. :class:`ParameterError` where the notebook or a parameter doesn't exist.

    It runs under this interpreter, without anybody's start-up files. Its process inherits the open files ``inherit``,
    and with them what they lock. ``CHAIRLIB_START_SECONDS`` is how long its
    process may take to start.
    """
    _leave_out_addresses()
    try:
        import nbformat
        import papermill
        from jupyter_client.kernelspec import KernelSpec
        from jupyter_client.manager import AsyncKernelManager
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError
    except ModuleNotFoundError as error:
        raise ChairlibError(f"{error.name} is not installed; pip install 'chairlib[notebooks]' brings it.") from error

    file = Path(name) if name.endswith(".ipynb") else paths.notebooks / f"{name}.ipynb"
    if not file.is_file():
        raise ParameterError(
            f"notebook {name!r} does not exist in {paths.notebooks}; use {', '.join(names()) or 'a path'}, "
            "or the path of an .ipynb file."
        )
    _check_names(file, parameters)
    start = _start_seconds()
    look_for_modules_in(paths.home)
    out = Path(out)
    failed = out.with_suffix(".failed.ipynb")
    with atomic_path(out) as temporary, TemporaryDirectory(prefix="chairlib-") as folder:
        copy = Path(folder) / file.name

        class Kernel(AsyncKernelManager):
            # What Jupyter calls python3 may be another interpreter, or gone. A start-up file may set a seed or a font.
            kernel_spec = KernelSpec(
                argv=[sys.executable, "-P", "-c", KERNEL, "-f", "{connection_file}"],
                env={"IPYTHONDIR": folder, "PYTHONSTARTUP": "", HEADLESS: "1"},
            )
            connection_file = str(Path(folder) / "k.json")
            # Two kernels that start at once may draw the same port. The names of sockets begin with the file's.
            transport = _transport(f"{folder}/k-ipc-0")
            # What trains writes a checkpoint first.
            shutdown_wait_time = stopping.GRACE

            async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
                await super().start_kernel(**options, pass_fds=inherit)

        try:
            notebook = papermill.execute_notebook(
                file,
                copy,
                dict(parameters),
                kernel_name="python3",
                kernel_manager_class=Kernel,
                start_timeout=start,
                cwd=str(paths.home),
                progress_bar=False,
                log_output=False,
                stdout_file=sys.stderr,
                stderr_file=sys.stderr,
                # Or each kernel warns of unencrypted TCP to this process, and of being stopped by Ctrl-C.
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            )
        except PapermillExecutionError as error:
            if error.ename == stopping.Terminated.__name__:
                raise stopping.Terminated from error
            reason = " ".join(f"{error.ename}: {error.evalue}".split())
            with suppress(ChairlibError), atomic_path(failed) as whole:  # a full disk may be the reason
                shutil.copyfile(copy, whole)
                reason += f" (see {failed})"
            raise ChairlibError(f"notebook {file.stem} failed: {reason}") from error
        except DeadKernelError as error:
            raise ChairlibError(
                f"notebook {file.stem} stopped: its process died, for lack of memory perhaps."
            ) from error
        except RuntimeError as error:  # only the start of a notebook's process raises it: a cell's errors come as above
            raise ChairlibError(
                f"the process of notebook {file.stem} did not start ({error}); what it said stands above. To wait "
                f"longer than {start} s for a slow one, set the environment variable {START_SECONDS}."
            ) from error
        _hide_machine(notebook, parameters)
        nbformat.write(notebook, temporary)
    failed.unlink(missing_ok=True)
    return out


def _leave_out_addresses() -> None:
    """Before papermill is imported, whose checker of notebooks brings a grammar of web addresses, and compiles it.

    That took two thirds of papermill's import. No notebook is checked for addresses, and whoever checks JSON against
    a schema does without the package where it is not installed.
    """
    if "jsonschema" not in sys.modules:
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
        try:
            import jsonschema  # noqa: F401
        except ModuleNotFoundError:
            pass  # then papermill is missing as well, which the import after this says
        finally:
            if sys.modules["rfc3987_syntax"] is None:
                del sys.modules["rfc3987_syntax"]


def _transport(address: str) -> str:
    """Sockets that are files, where this system, its file system and the length of their names allow that."""
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(address)
        return "ipc"
    except (AttributeError, OSError):
        return "tcp"


def _start_seconds() -> int:
    given = os.environ.get(START_SECONDS, "300")
    if not given.isdecimal() or not 1 <= int(given) <= 86400:
        raise ParameterError(f"{START_SECONDS} is {given!r}, but must be a whole number of seconds, 1 to 86400.")
    return int(given)


def _check_names(file: Path, parameters: Mapping[str, Any]) -> None:
    import papermill

    try:
        declared = papermill.inspect_notebook(file)
    except Exception as error:  # nbformat raises whatever it stumbles over
        reason = " ".join(str(error).split())
        raise ChairlibError(f"{file} cannot be read as a notebook ({reason[:200]}).") from error
    if unknown := parameters.keys() - declared.keys():
        raise ParameterError(
            f"parameter {', '.join(sorted(unknown))} is unknown to notebook {file.stem}; it has "
            f"{', '.join(declared) or 'none'}."
        )


def _hide_machine(notebook: Any, parameters: Mapping[str, Any]) -> None:
    """Keep paths of this machine off the book's pages: papermill's notes go, an injected folder keeps only its name."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = cell.source.replace("# Parameters", "# The values of this build")
            for value in parameters.values():
                if isinstance(value, str) and Path(value).is_absolute():
                    cell.source = cell.source.replace(value, Path(value).name)
