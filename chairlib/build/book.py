"""Rendering the book: executed notebooks and prose, by Jupyter Book."""

import os
import shutil
import subprocess
import sys

from chairlib.core import paths
from chairlib.core.errors import ChairlibError

#: Jupyter Book, which ends with the process that starts it. Ctrl-C may come while it imports.
_STARTING = """
from chairlib.core.stopping import end_with_parent
end_with_parent({parent})
try:
    from jupyter_book.cli.main import main
    main()
except KeyboardInterrupt:
    raise SystemExit(130) from None
"""


def render() -> None:
    """Render the executed notebooks and the prose into ``_build/html``; a warning is an error."""
    site, new = paths.home / "_build", paths.cache / "render"
    # Rendered elsewhere and moved when it is whole: a render that fails or is killed leaves the old site.
    if (new / "old").exists() and not site.exists():  # killed between the two moves below
        (new / "old").replace(site)
    shutil.rmtree(new, ignore_errors=True)
    command = ["build", str(paths.book), "--config", str(paths.home / "_config.yml"), "--path-output", str(new)]
    # jupyter-book exits with 0 after errors unless warnings are errors; prose that glues values needs --all.
    flags = ["-W", "-n", "--keep-going", "--all", "--quiet"]
    # The package has no __main__ of its own. -P: a random.py in the current folder is not Python's own.
    jupyter_book = [sys.executable, "-P", "-c", _STARTING.format(parent=os.getpid())]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([*jupyter_book, *command, *flags], check=False, env=environment)
    if done.returncode == 0:
        if site.exists():  # moved away first: to delete it takes long enough for a kill to leave half a site
            site.replace(new / "old")
        (new / "_build").replace(site)
    shutil.rmtree(new, ignore_errors=True)
    if done.returncode != 0:
        raise ChairlibError("the book was not rendered; the lines above say why.")
