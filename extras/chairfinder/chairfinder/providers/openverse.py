"""Openverse: a search engine for openly licensed images. It needs no key; ``OPENVERSE_TOKEN`` allows larger pages.

Only works whose licence allows changes are asked for (``license_type=modification``): a composite changes the image.
Whatever is asked with, one query reaches its first 240 works and no more; the pages end there.

Without a token the public service answers 20 requests a minute and 200 a day, with one 100 and 10,000, by what its
clients report (its documentation gives no numbers). So requests without one are 3.1 s apart. Beyond a limit it says
"Request was throttled. Expected available in N seconds.", which is waited for, or, where a day's share is used up, ends
the search until another run.
"""

import json
from collections.abc import Mapping
from typing import Any

from chairfinder.ledger import SearchResult
from chairfinder.providers import ApiClient, Page, StoppedError, text_of, url_of
from chairfinder.queries import Query
from chairfinder.web import Secret

_ENDPOINT = "https://api.openverse.org/v1/images/"
_PAGE = 20
_PAGE_WITH_TOKEN = 50
_DEPTH = 240
#: Seconds between requests without a token: 20 a minute, and a little to spare.
_ANONYMOUS_INTERVAL = 3.1
_EXTENSIONS = {"segment": "png", "background": "jpg,jpeg"}


class Openverse:
    """Openverse, at its own address or another's.

    interval: least seconds between requests; None takes what the public service asks for.
    """

    name = "openverse"
    web = True

    def __init__(self, endpoint: str = _ENDPOINT, token: Secret | None = None, interval: float | None = None) -> None:
        self._endpoint = endpoint
        self._token = token
        if interval is None:  # another installation has limits of its own
            interval = _ANONYMOUS_INTERVAL if token is None and endpoint == _ENDPOINT else 0
        self._interval = interval
        self._size = _PAGE if token is None else _PAGE_WITH_TOKEN

    def search(self, query: Query, client: ApiClient, after: str | None) -> Page:
        """As :class:`chairfinder.providers.Provider` says. The cursor is the page and its size."""
        page, size = json.loads(after) if after else (1, self._size)
        if size > _PAGE and self._token is None:  # begun with a token, gone on without
            page, size = (page - 1) * size // _PAGE + 1, _PAGE
        answer = client.get_json(
            "Openverse",
            self._endpoint,
            {
                "q": query.text,
                "page": str(page),
                "page_size": str(size),
                "extension": _EXTENSIONS[query.kind],
                "license_type": "modification",
                "mature": "false",
            },
            token=self._token,
            interval=self._interval,
        )
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list):
            raise StoppedError("Openverse: the answer is not understood")
        pages = answer.get("page_count")
        last = not results or not isinstance(pages, int) or page >= pages or (page + 1) * size > _DEPTH
        items = [_parse_result(result) for result in results if isinstance(result, dict) and result.get("url")]
        return Page(items, None if last else json.dumps([page + 1, size]))


def _parse_result(result: Mapping[str, Any]) -> SearchResult:
    licence = text_of(result.get("license")).upper()
    version = text_of(result.get("license_version"))
    if licence and licence not in ("CC0", "PDM"):
        licence = f"CC {licence}"
    width, height = result.get("width"), result.get("height")
    return SearchResult(
        url=url_of(result.get("url")),
        landing_page=url_of(result.get("foreign_landing_url")),
        author=text_of(result.get("creator")),
        licence=f"{licence} {version}".strip() if licence else "",
        licence_url=url_of(result.get("license_url")),
        title=text_of(result.get("title")),
        width=width if isinstance(width, int) else None,
        height=height if isinstance(height, int) else None,
        mime=f"image/{text_of(result.get('filetype'))}" if result.get("filetype") else "",
    )
