"""Google Images, through SerpApi: what the paper searched, transparent images only (``image_color=trans``) for segments.

Google's results seldom state a licence. Unless images without one are wanted, only those under Creative Commons are asked for
(``tbs=sur:cl``), which come with the address of their terms. The key, from ``SERPAPI_API_KEY``, is added where the request leaves
the machine; no record, message or log holds it.
"""

import re
from collections.abc import Mapping
from typing import Any

from chairlib.collection.ledger import Found
from chairlib.collection.providers import ApiClient, Page, StoppedError, text_of, url_of
from chairlib.collection.queries import Query
from chairlib.web import Secret

__all__ = ["SerpApi"]

_ENDPOINT = "https://serpapi.com/search.json"
_DEED = re.compile(r"creativecommons\.org/(?:licenses/([a-z-]+)/(\d\.\d)|publicdomain/(zero|mark)/)")


class SerpApi:
    """Google Images through SerpApi. any_licence: also images that state none."""

    name = "serpapi"
    web = True

    def __init__(self, key: Secret, any_licence: bool = False, endpoint: str = _ENDPOINT) -> None:
        self._key = key
        self._any_licence = any_licence
        self._endpoint = endpoint

    def search(self, query: Query, client: ApiClient, after: str | None) -> Page:
        """As :class:`chairlib.collection.providers.Provider` says. The cursor is the number of the page (``ijn``)."""
        page = int(after or 0)
        parameters = {"engine": "google_images", "q": query.text, "ijn": str(page), "safe": "active"}
        if query.kind == "segment":
            parameters["image_color"] = "trans"
        if not self._any_licence:
            parameters["tbs"] = "sur:cl"
        answer = client.get_json("SerpApi", self._endpoint, parameters, key=("api_key", self._key))
        if not isinstance(answer, dict):
            raise StoppedError("SerpApi: the answer is not understood")
        results = answer.get("images_results")
        if not isinstance(results, list) or not results:
            status = (answer.get("search_metadata") or {}).get("status")
            if status not in (None, "Success"):
                raise StoppedError(f"SerpApi: {self._key.scrub(text_of(answer.get('error'))) or 'the search failed'}")
            return Page([], None)
        items = [self._found(result) for result in results if isinstance(result, dict) and result.get("original")]
        more = bool((answer.get("serpapi_pagination") or {}).get("next"))
        return Page(items, str(page + 1) if more else None)

    def _found(self, result: Mapping[str, Any]) -> Found:
        def field(name: str) -> str:
            return self._key.scrub(url_of(result.get(name)))

        deed = field("license_details_url")
        width, height = result.get("original_width"), result.get("original_height")
        return Found(
            url=field("original"),
            landing_page=field("link"),
            author=text_of(field("source")),
            licence=_licence(deed),
            licence_url=deed,
            title=text_of(field("title")),
            width=width if isinstance(width, int) else None,
            height=height if isinstance(height, int) else None,
        )


def _licence(deed: str) -> str:
    """The name of the licence at an address: Creative Commons' have it in theirs."""
    found = _DEED.search(deed)
    if found is None:
        return f"see {deed}" if deed else ""
    if found[3]:
        return "CC0" if found[3] == "zero" else "PDM"
    return f"CC {found[1].upper()} {found[2]}"
