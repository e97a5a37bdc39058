"""Where an image is from, whose it is, and on what terms: the columns of a manifest that say so."""

from dataclasses import dataclass, fields

__all__ = ["OPTIONAL_COLUMNS", "PROVENANCE_COLUMNS", "Provenance"]


@dataclass(frozen=True)
class Provenance:
    """Where an image is from. Every field is text, empty where nothing is known, and a column of the manifest.

    ``source`` says what brought it (a file, a query, a program), ``url`` is the image's address, ``licence`` the
    licence's name, ``retrieved`` an ISO date. ``landing_page`` is the address of the page that shows the image and
    ``licence_url`` that of the licence's text: CC BY asks for both where an image is passed on.
    """

    source: str
    url: str = ""
    author: str = ""
    licence: str = ""
    retrieved: str = ""
    landing_page: str = ""
    licence_url: str = ""


#: The columns of a manifest in which at least one image has a value for them, as images from the web do.
OPTIONAL_COLUMNS = ("landing_page", "licence_url")
#: The columns that every manifest has.
PROVENANCE_COLUMNS = tuple(field.name for field in fields(Provenance) if field.name not in OPTIONAL_COLUMNS)
