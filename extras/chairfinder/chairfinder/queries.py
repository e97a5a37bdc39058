"""What is searched for: pairs of words for chairs, as in section 3 of the paper, and names of rooms and gardens.

A file of queries is plain text in UTF-8, one query a line. Blank lines and what follows a ``#`` are passed over. A line
``[segment]`` or ``[background]`` says of which kind the queries below it are::

    [segment]
    arm chair
    [background]
    living room     # photos without a chair come out of screening and review

The two lists that ship with the package are written so as well. The paper took its pairs of words from the LEVAN
ontology, and quotes five of them; the rest of our list is our own.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from chairlib.collection.collection import KINDS
from chairlib.core.errors import ParameterError

#: Our own queries, which ship with the package.
_QUERIES = Path(__file__).resolve().parent / "assets" / "queries"
_MAX_LENGTH = 100


@dataclass(frozen=True)
class Query:
    """Words to search for, and what the images found are meant to be: ``"segment"`` or ``"background"``."""

    text: str
    kind: str


def default_queries() -> list[Query]:
    """The queries that ship with the package: first those for chairs, then those for rooms."""
    return [query for name in ("chairs", "rooms") for query in read_queries(_QUERIES / f"{name}.txt")]


def read_queries(file: str | Path) -> list[Query]:
    """The queries of a file, in its order.

    Raises ParameterError, with the line, for an unknown section, a query before the first section, one that stands
    twice, is longer than 100 characters or holds no letter or digit, a file that is not UTF-8 or holds no query.
    """
    file = Path(file).expanduser()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ParameterError(
            f"queries {file} cannot be read: {error.strerror}; name a text file with one query a line."
        ) from error
    except UnicodeDecodeError as error:
        raise ParameterError(
            f"queries {file} is not text in UTF-8 (byte {error.start}); save it as UTF-8 and run it again."
        ) from error
    queries = _parse(text.splitlines(), file)
    if not queries:
        raise ParameterError(
            f"queries {file} holds no query; write one a line, below a line [segment] or [background]."
        )
    return queries


def _parse(lines: Iterable[str], file: Path) -> list[Query]:
    kind = None
    queries: list[Query] = []
    first: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lines, 1):
        words = " ".join(line.partition("#")[0].split())
        if not words:
            continue
        section = re.fullmatch(r"\[\s*(.*?)\s*\]", words)
        if section:
            kind = section[1].lower()
            if kind not in KINDS:
                raise ParameterError(
                    f"queries {file}, line {number}: section [{section[1]}] is unknown; use [segment] or [background]."
                )
            continue
        if kind is None:
            raise ParameterError(
                f"queries {file}, line {number}: {words!r} stands before any section; "
                "begin with [segment] or [background]."
            )
        twin = first.setdefault((words.casefold(), kind), number)
        if twin != number:
            raise ParameterError(
                f"queries {file}, line {number}: {words!r} stands twice (first in line {twin}); remove one."
            )
        queries.append(Query(_checked(words, file, number), kind))
    return queries


def _checked(words: str, file: Path, number: int) -> str:
    if len(words) > _MAX_LENGTH or not words.isprintable():
        raise ParameterError(
            f"queries {file}, line {number}: {words[:40]!r}... is no query; "
            f"use at most {_MAX_LENGTH} printable characters."
        )
    if not any(sign.isalnum() for sign in words):
        raise ParameterError(
            f"queries {file}, line {number}: {words!r} holds no letter or digit, and would match anything; "
            "write words, or remove it."
        )
    return words
