"""Google Images, through SerpApi, as the paper searched: for segments, transparent images (``image_color=trans``).

Google's results seldom state a licence. Unless images without one are wanted, only those that are free to use, share or
modify are asked for (``licenses=fm``; ``tbs=sur:cl``, Creative Commons, would include licences that forbid changes).
They come with the address of their terms; one that is not Creative Commons' is kept as an address, and is no licence.
The key, from ``SERPAPI_API_KEY``, is added where the request leaves the machine; no record, message or log holds it.
"""

from collections.abc import Mapping
from typing import Any

from chairfinder.ledger import SearchResult
from chairfinder.licences import licence_at
from chairfinder.providers import ApiClient, Page, StoppedError, text_of, url_of
from chairfinder.queries import Query
from chairfinder.web import Secret

_ENDPOINT = "https://serpapi.com/search.json"
#: "Free to use, share or modify": overrides what ``tbs`` says of rights.
_MAY_CHANGE = {"licenses": "fm"}


class SerpApi:
    """Google Images through SerpApi. any_licence: also images that state none."""

    name = "serpapi"
    web = True

    def __init__(self, key: Secret, any_licence: bool = False, endpoint: str = _ENDPOINT) -> None:
        self._key = key
        self._any_licence = any_licence
        self._endpoint = endpoint

    def search(self, query: Query, client: ApiClient, after: str | None) -> Page:
        """As :class:`chairfinder.providers.Provider` says. The cursor is the number of the page (``ijn``)."""
        page = int(after or 0)
        parameters = {"engine": "google_images", "q": query.text, "ijn": str(page), "safe": "active"}
        if query.kind == "segment":
            parameters["image_color"] = "trans"
        if not self._any_licence:
            parameters |= _MAY_CHANGE
        answer = client.get_json("SerpApi", self._endpoint, parameters, key=("api_key", self._key))
        if not isinstance(answer, dict):
            raise StoppedError("SerpApi: the answer is not understood")
        results = answer.get("images_results")
        if not isinstance(results, list) or not results:
            status = (answer.get("search_metadata") or {}).get("status")
            if status not in (None, "Success"):
                raise StoppedError(f"SerpApi: {self._key.scrub(text_of(answer.get('error'))) or 'the search failed'}")
            return Page([], None)
        items = [
            self._parse_result(result) for result in results if isinstance(result, dict) and result.get("original")
        ]
        more = bool((answer.get("serpapi_pagination") or {}).get("next"))
        return Page(items, str(page + 1) if more else None)

    def _parse_result(self, result: Mapping[str, Any]) -> SearchResult:
        def field(name: str) -> str:
            return self._key.scrub(url_of(result.get(name)))

        # No author: ``source`` is the name of the web site, and nothing else says who made the image.
        deed = field("license_details_url")
        width, height = result.get("original_width"), result.get("original_height")
        return SearchResult(
            url=field("original"),
            landing_page=field("link"),
            licence=licence_at(deed),
            licence_url=deed,
            title=text_of(field("title")),
            width=width if isinstance(width, int) else None,
            height=height if isinstance(height, int) else None,
        )
