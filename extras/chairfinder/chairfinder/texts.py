"""Makes texts by strangers (file names, manifests, answers of services) safe for a terminal and a spreadsheet."""

from chairlib.collection.cells import one_line

_MAX_TEXT = 500
_MAX_URL = 10_000


def lines_of(text: str) -> str:
    """As :func:`one_line`, but line breaks (``\\n``) stay: for what a person wrote."""
    return "\n".join(map(one_line, text.split("\n")))


def text_of(value: object, most: int = _MAX_TEXT) -> str:
    """A field of an answer as one line of text, at most ``most`` characters; empty where it is none."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    return " ".join(one_line(value).split())[:most]


def url_of(value: object) -> str:
    """A field of an answer that is an address: never shortened to another one."""
    return text_of(value, _MAX_URL)
