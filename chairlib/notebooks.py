"""Executing a chapter headlessly with papermill, so that a mistake is an error and a failure leaves nothing to be mistaken.

What plain papermill doesn't do: it warns of a parameter that the notebook never declared and goes on; it writes a failed
notebook where a good one was expected.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chairlib import paths
from chairlib.errors import ChairlibError, ParameterError
from chairlib.files import atomic_path
from chairlib.progress import HEADLESS

__all__ = ["execute", "names"]


def names() -> list[str]:
    """The chapters, e.g. ``02_compositing``."""
    return sorted(path.stem for path in paths.notebooks.glob("[0-9]*.ipynb"))


def _find(name: str) -> Path:
    file = Path(name) if name.endswith(".ipynb") else paths.notebooks / f"{name}.ipynb"
    if not file.is_file():
        raise ParameterError(
            f"notebook {name!r} does not exist; use {', '.join(names()) or 'a path'}, or the path of an .ipynb file."
        )
    return file


def execute(name: str, parameters: Mapping[str, Any], out: str | Path, log: bool = True) -> Path:
    """Run chapter ``name`` (or an .ipynb file) with ``parameters`` and write the executed copy to ``out``, atomically.

    The working directory of the notebook is :data:`chairlib.paths.home`; ``log`` repeats its output on stderr as it comes.
    When a cell fails, ``out`` is left as it was, the failed copy lies beside it as ``<name>.failed.ipynb``, and
    :class:`ChairlibError` names the error. :class:`ParameterError` where the notebook or a parameter doesn't exist.
    """
    try:
        import papermill
        from papermill.exceptions import PapermillExecutionError
    except ModuleNotFoundError as error:
        raise ChairlibError(f"{error.name} is not installed; pip install 'chairlib[notebooks]' brings it.") from error

    file, out = _find(name), Path(out)
    declared = papermill.inspect_notebook(file)
    unknown = parameters.keys() - declared.keys()
    if unknown:
        raise ParameterError(
            f"parameter {', '.join(sorted(unknown))} is unknown to notebook {file.stem}; it has {', '.join(declared) or 'none'}."
        )
    os.environ[HEADLESS] = "1"
    failed = out.with_suffix(".failed.ipynb")
    with atomic_path(out) as temporary:
        try:
            papermill.execute_notebook(
                file,
                temporary.with_suffix(".ipynb"),
                dict(parameters),
                kernel_name="python3",
                cwd=str(paths.home),
                progress_bar=False,
                log_output=False,
                stdout_file=sys.stderr if log else None,
                stderr_file=sys.stderr if log else None,
            )
        except PapermillExecutionError as error:
            temporary.with_suffix(".ipynb").replace(failed)
            raise ChairlibError(f"notebook {file.stem} failed: {error.ename}: {error.evalue} (see {failed})") from error
        finally:
            if temporary.with_suffix(".ipynb").exists():
                temporary.with_suffix(".ipynb").replace(temporary)
        _hide_injected(temporary)
    failed.unlink(missing_ok=True)
    return out


def _hide_injected(file: Path) -> None:
    """Keep papermill's cell of injected values, which holds paths of this machine, off the book's pages."""
    import nbformat

    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"].append("remove-cell")
    nbformat.write(notebook, file)
