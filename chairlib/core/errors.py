"""The errors a user can mend.

Library code raises :class:`ChairlibError` (or a subclass) whenever the cause lies in what it was given: a path, a file,
a value, a full disk. Its message is one line that names what was found, what was expected and what to do; the command
line prints that line and exits with a non-zero status. Any other exception is a defect of this library, and keeps its
traceback.
"""

import textwrap


class ChairlibError(Exception):
    """Base of every error whose cause is the input. Its message is one line, for a person."""


class ParameterError(ChairlibError, ValueError):
    """A parameter has a name or value that is not understood (a resolution, model, recipe, profile, ...)."""


class ImageError(ChairlibError):
    """One image file cannot be used: unreadable, truncated, too large, without alpha, ..."""


class CollectionError(ChairlibError):
    """A collection folder is missing, incomplete, damaged or too small to be split."""


class RecordError(ChairlibError):
    """A run record is missing, damaged, or was made from other data or other code."""


class Interrupted(ChairlibError):
    """The user stopped the work with Ctrl-C. Its message says how to go on."""


def one_line(error: Exception) -> str:
    """The words of an error of another library, for a line of ours: torch lists every key of a file that won't fit."""
    return textwrap.shorten(str(error), 300, placeholder=" ...").rstrip(".")
