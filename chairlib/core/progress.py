"""Progress bars: a widget in a notebook, a line in a terminal, a plain line now and then in a log."""

import os
import sys
from typing import Any

from tqdm import tqdm as text_bar
from tqdm.auto import tqdm as suitable_bar

#: Environment variable that is set where a notebook runs without anyone looking: nobody wants widgets in its log.
HEADLESS = "CHAIRLIB_HEADLESS"
#: From one line in a log to the next.
SECONDS = 30


def note(text: str) -> None:
    """Tell people one line on stderr, without breaking a bar that is shown."""
    text_bar.write(text, file=sys.stderr)


class _Log:
    """A file for a bar: each state is a line of its own on stderr, without what moves a terminal's cursor."""

    def write(self, text: str) -> None:
        if line := text.replace("\x1b[A", "").strip():
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        pass


def progress_bar(*args: Any, **options: Any) -> Any:
    """A tqdm bar; arguments as for ``tqdm``.

    Where stderr is no terminal and no notebook shows a widget, or under :data:`HEADLESS`, it is a line every half
    minute; nothing of what takes less.
    """
    widget = any(base.__module__ == "tqdm.notebook" for base in suitable_bar.__mro__)
    if os.environ.get(HEADLESS) or not (widget or sys.stderr.isatty()):
        rare = {"mininterval": SECONDS, "maxinterval": SECONDS, "delay": SECONDS, "miniters": 1}
        return text_bar(*args, **options | rare | {"ascii": True, "ncols": 100, "file": _Log()})
    return suitable_bar(*args, **options)
