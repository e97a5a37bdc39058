"""Rendering the book: executed notebooks and prose, by Jupyter Book."""

import os
import shutil
import subprocess
import sys

from chairlib.core import paths
from chairlib.core.errors import ChairlibError


def render() -> None:
    """Render the executed notebooks and the prose into ``_build/html``; a warning is an error."""
    site, new = paths.home / "_build", paths.cache / "render"
    # Rendered elsewhere and moved when it is whole: a render that fails or is killed leaves the old site.
    shutil.rmtree(new, ignore_errors=True)
    command = ["build", str(paths.book), "--config", str(paths.home / "_config.yml"), "--path-output", str(new)]
    # jupyter-book exits with 0 after errors unless warnings are errors; prose that glues values needs --all.
    flags = ["-W", "-n", "--keep-going", "--all", "--quiet"]
    # The package has no __main__ of its own. -P: a random.py in the current folder is not Python's own.
    jupyter_book = [sys.executable, "-P", "-c", "from jupyter_book.cli.main import main; main()"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([*jupyter_book, *command, *flags], check=False, env=environment)
    if done.returncode == 0:
        shutil.rmtree(site, ignore_errors=True)
        (new / "_build").replace(site)
    shutil.rmtree(new, ignore_errors=True)
    if done.returncode != 0:
        raise ChairlibError("the book was not rendered; the lines above say why.")
