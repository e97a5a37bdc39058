"""Every folder the project uses, computed in one place.

Nothing else in the project does path arithmetic on folders of its own, so notebooks, papermill, Snakemake and the
command line agree whatever directory they are started from.

``home`` is the environment variable ``CHAIRLIB_HOME`` where it is set; in a source checkout it is the checkout; for an
installed package it is ``~/.chairlib``, or ``.chairlib`` in the current folder for a user without a home.
"""

import os
import tempfile
from pathlib import Path

#: The folder of the package itself.
package = Path(__file__).resolve().parent.parent
#: Data that ships inside the package.
assets = package / "assets"
#: The small rendered collection, the default wherever a collection is asked for.
mini = assets / "mini"
#: Rendered photos of airplanes, cars and horses in the layout of Object Discovery, which they stand in for.
stand_in = assets / "stand-in"
#: The paper's tables as CSV.
published = assets / "published"


def _find_home() -> Path:
    named = os.environ.get("CHAIRLIB_HOME")
    if named:
        return Path(named).expanduser().resolve()
    checkout = package.parent
    # A user without a home, as in a container, has it in the current folder: the tilde stays as it is.
    own = Path(os.path.expanduser("~/.chairlib").removeprefix("~/")).absolute()
    return checkout if (checkout / "pyproject.toml").is_file() else own


#: Where records, caches and the book lie, see above.
home = _find_home()
#: Packed images and whatever else can be made again at any time.
cache = home / ".cache"
#: One folder a run, see :mod:`chairlib.core.runs`.
runs = home / "runs"
#: The rows of the leaderboard, a folder a protocol.
board = home / "leaderboard"
#: The chapters, stored without outputs.
notebooks = home / "notebooks"
#: The prose of the book; executed chapters land in ``book / "notebooks"``.
book = home / "book"
#: Locks on what this machine has, such as its GPUs, whatever home a build has. Not TMPDIR, which shells may set apart.
machine = Path("/tmp") if os.name == "posix" else Path(tempfile.gettempdir())
