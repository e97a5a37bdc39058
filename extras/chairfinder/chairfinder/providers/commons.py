"""Wikimedia Commons: freely licensed media, every file with its author and licence. No key is needed.

One request asks for a page of files and all that is known of them: ``generator=search`` in the namespace of files, with
the search engine's own filters (``filemime:image/png`` for segments, which alone can be transparent there in any
number), and ``prop=imageinfo`` with ``extmetadata``. Large files are taken at a standard width that the service keeps
ready, as its operators ask.
"""

import html
import re
from collections.abc import Mapping
from typing import Any

from chairfinder.ledger import SearchResult
from chairfinder.providers import ApiClient, Page, StoppedError, text_of, url_of
from chairfinder.queries import Query

_ENDPOINT = "https://commons.wikimedia.org/w/api.php"
_PAGE = 50
#: One of the widths of thumbnails that Wikimedia keeps.
_WIDTH = 1280
_FILTERS = {"segment": "filemime:image/png", "background": "filemime:image/jpeg"}
_FIELDS = "Artist|Credit|LicenseShortName|LicenseUrl|UsageTerms|ObjectName"


class Commons:
    """Wikimedia Commons, at its own address or another installation's ``api.php``."""

    name = "commons"
    web = True

    def __init__(self, endpoint: str = _ENDPOINT) -> None:
        self._endpoint = endpoint

    def search(self, query: Query, client: ApiClient, after: str | None) -> Page:
        """As :class:`chairfinder.providers.Provider` says. The cursor is the search's offset."""
        parameters = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "maxlag": "5",
            "generator": "search",
            "gsrsearch": f"{_plain_words(query.text)} {_FILTERS[query.kind]}",
            "gsrnamespace": "6",
            "gsrlimit": str(_PAGE),
            "prop": "imageinfo",
            "iiprop": "url|size|mime|extmetadata",
            "iiurlwidth": str(_WIDTH),
            "iiextmetadatafilter": _FIELDS,
            "iiextmetadatalanguage": "en",
        } | ({"gsroffset": after} if after else {})
        answer = client.get_json("Wikimedia Commons", self._endpoint, parameters)
        if not isinstance(answer, dict) or "error" in answer:
            error = answer.get("error") if isinstance(answer, dict) else None
            said = text_of(error.get("info")) if isinstance(error, dict) else ""
            raise StoppedError(f"Wikimedia Commons: {said or 'the answer is not understood'}")
        pages = (answer.get("query") or {}).get("pages") or []
        # The order of the pages is by number of the page; `index` is the place among the results.
        ranked = sorted((page for page in pages if isinstance(page, dict)), key=lambda page: page.get("index", 0))
        items = [_parse_result(page, page["imageinfo"][0]) for page in ranked if page.get("imageinfo")]
        offset = (answer.get("continue") or {}).get("gsroffset")
        return Page([item for item in items if item.url], None if offset is None else str(offset))


def _plain_words(text: str) -> str:
    """The query without what the search engine would take for an operator."""
    return " ".join(re.sub(r'[":~*?\\()\[\]!|-]', " ", text).split())


def _parse_result(page: Mapping[str, Any], info: Mapping[str, Any]) -> SearchResult:
    notes = info.get("extmetadata")
    notes = notes if isinstance(notes, dict) else {}

    def note(name: str) -> str:
        entry = notes.get(name)
        return _without_tags(entry.get("value") if isinstance(entry, dict) else None)

    return SearchResult(
        url=url_of(info.get("thumburl") or info.get("url")),
        landing_page=url_of(info.get("descriptionurl")),
        author=note("Artist") or note("Credit"),
        licence=note("LicenseShortName") or note("UsageTerms"),
        licence_url=note("LicenseUrl"),
        title=note("ObjectName") or text_of(page.get("title")).removeprefix("File:"),
        width=info.get("width") if isinstance(info.get("width"), int) else None,
        height=info.get("height") if isinstance(info.get("height"), int) else None,
        mime=text_of(info.get("mime")),
    )


def _without_tags(value: object) -> str:
    """The service's notes are HTML: links to users, spans with classes."""
    return text_of(html.unescape(re.sub(r"<[^>]*>", " ", value))) if isinstance(value, str) else text_of(value)
