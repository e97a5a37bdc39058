"""Progress bars: a widget in a notebook, a line in a terminal, a plain line now and then where nobody looks."""

import os
import sys
from typing import Any

from tqdm import tqdm as text_bar
from tqdm.auto import tqdm as suitable_bar

__all__ = ["HEADLESS", "note", "progress_bar"]

#: Environment variable that is set where a notebook runs without anyone looking: nobody wants widgets in its log.
HEADLESS = "CHAIRLIB_HEADLESS"


def note(text: str) -> None:
    """Tell people one line on stderr, without breaking a bar that is shown."""
    text_bar.write(text, file=sys.stderr)


def progress_bar(*args: Any, **options: Any) -> Any:
    """A tqdm bar; arguments as for ``tqdm``. Under :data:`HEADLESS` it reports only every ten seconds."""
    if os.environ.get(HEADLESS):
        return text_bar(*args, **{"mininterval": 10, "ascii": True, "ncols": 100, **options})
    return suitable_bar(*args, **options)
