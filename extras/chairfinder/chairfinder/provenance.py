"""Where an image is from, whose it is, and on what terms."""

from dataclasses import dataclass


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
