"""Where images are searched for. A provider turns a query and a cursor into a page of finds; everything else is shared.

``commons`` (Wikimedia Commons) and ``openverse`` need no key; ``serpapi`` (Google Images) needs one; ``local:FOLDER``
is a folder.
"""

import json
import os
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from chairfinder.ledger import SearchResult
from chairfinder.queries import Query
from chairfinder.texts import text_of, url_of
from chairfinder.web import (
    Limits,
    PassingError,
    Secret,
    UnusableError,
    check_status,
    deadline,
    pause_before,
    read_body,
    retry_after,
    transport_errors,
)
from chairlib.core.errors import ParameterError

__all__ = ["PROVIDERS", "ApiClient", "Page", "Provider", "StoppedError", "find_providers", "text_of", "url_of"]

PROVIDERS = ("commons", "openverse", "serpapi", "local:FOLDER")
_MAX_ANSWER = 20 * 10**6
_THROTTLED = re.compile(r"expected available in (\d{1,9}) second", re.IGNORECASE)
#: The database lags behind (``maxlag``), or this client asked too much
#: (https://www.mediawiki.org/wiki/Manual:Maxlag_parameter).
_NOT_NOW = ("maxlag", "ratelimited")


class StoppedError(Exception):
    """A provider gives nothing more in this run: its quota is used up, its key refused or its server out of reach."""


@dataclass(frozen=True)
class Page:
    """Finds in the provider's order, and the cursor of the page after them; None where it is the last."""

    items: Sequence[SearchResult]
    after: str | None


class Provider(Protocol):
    """A source of images. ``name`` stands with every image; ``web``: whether it asks anything of the web."""

    name: str
    web: bool

    def search(self, query: Query, client: "ApiClient", after: str | None) -> Page:
        """One page of finds; ``after`` is the cursor that came with the page before, None for the first.

        Raises StoppedError where nothing more is to be had in this run.
        """
        ...


class ApiClient:
    """Asks services for JSON: one request at a time, at their pace, again after failures that may pass."""

    def __init__(self, client: httpx.Client, limits: Limits, seed: int = 0) -> None:
        self.limits = limits
        self._client = client
        self._rng = random.Random(seed)
        self._last: dict[str, float] = {}

    def get_json(
        self,
        service: str,
        url: str,
        parameters: Mapping[str, str],
        *,
        key: tuple[str, Secret] | None = None,
        token: Secret | None = None,
        interval: float = 0,
    ) -> Any:
        """The answer of ``service``. key: a secret parameter; token: a bearer token. interval: least seconds between
        two requests, where the service wants more than ``limits.api_interval``.

        A service that asks to wait is waited for, unless it asks for more than ``limits.max_wait``. Raises
        StoppedError, in words without any secret.
        """
        secrets = [secret for secret in (key[1] if key else None, token) if secret is not None]
        for failures in range(1, self.limits.tries + 1):
            self._pace(url, interval)
            try:
                code, body, wait = self._get(url, parameters, key, token)
                if code == 429:
                    raise StoppedError(f"{service}: {_message(body, secrets) or 'its quota is used up'} ({code})")
                if code in (401, 403):
                    raise StoppedError(
                        f"{service} refused access ({code}): {_message(body, secrets) or 'no reason given'}"
                    )
                answer = _json(body)
                _check_busy(answer, wait)
                return answer
            except PassingError as error:
                if error.outlasts(self.limits):
                    raise StoppedError(f"{service} asks to wait {error.wait:.0f} s; --resume later") from None
                if failures == self.limits.tries:
                    raise StoppedError(f"{service}: {error} ({failures} tries)") from None
                time.sleep(pause_before(failures, error.wait, self.limits, self._rng))
            except UnusableError as error:
                raise StoppedError(f"{service}: {error}") from None
        raise AssertionError("tries must be at least 1")

    def _pace(self, url: str, interval: float) -> None:
        host = httpx.URL(url).host
        interval = max(interval, self.limits.api_interval)
        time.sleep(max(0.0, self._last.get(host, -1e9) + interval - time.monotonic()))
        self._last[host] = time.monotonic()

    def _get(
        self, url: str, parameters: Mapping[str, str], key: tuple[str, Secret] | None, token: Secret | None
    ) -> tuple[int, bytes, float | None]:
        """Status, body and the seconds that the service asks to wait."""
        headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
        extensions = {"secret": {key[0]: key[1]}} if key else {}
        with (
            deadline(self.limits.total),
            transport_errors(self.limits),
            self._client.stream("GET", url, params=parameters, headers=headers, extensions=extensions) as response,
        ):
            if response.status_code in (401, 403, 429):
                body = read_body(response, _MAX_ANSWER)
                wait = _wait(response, body)
                if response.status_code == 429 and not _out_of_quota(body):
                    raise PassingError("the server answered 429", wait)
                return response.status_code, body, wait
            check_status(response)  # a redirect, which could carry the key elsewhere, is an error too
            return 200, read_body(response, _MAX_ANSWER), retry_after(response.headers)


def _out_of_quota(body: bytes) -> bool:
    """Whether a 429 means that nothing is left, rather than that one should slow down."""
    return b"run out of searches" in body[:2000].lower()


def _wait(response: httpx.Response, body: bytes) -> float | None:
    """The seconds that a refusal asks to wait, in its head or, as Openverse's does, in words; the longer of the two."""
    said = _THROTTLED.search(body[:2000].decode("utf-8", "replace"))
    asked = [retry_after(response.headers), float(said[1]) if said else None]
    return max((seconds for seconds in asked if seconds is not None), default=None)


def _check_busy(answer: Any, wait: float | None) -> None:
    """Raise PassingError for MediaWiki's ways to say "not now", which come with status 200."""
    error = answer.get("error") if isinstance(answer, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    if code in _NOT_NOW:
        raise PassingError(f"the server is busy ({code})", wait)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise PassingError("the answer is not JSON") from None


def _message(body: bytes, secrets: Sequence[Secret]) -> str:
    try:
        found = json.loads(body)
        text = found.get("error") or found.get("detail") or ""
    except (ValueError, AttributeError, RecursionError):
        return ""
    text = text_of(text)
    for secret in secrets:
        text = secret.scrub(text)
    return text


def find_providers(names: Sequence[str], any_licence: bool = False) -> list[Provider]:
    """The providers of these names.

    Raises ParameterError for an unknown name, one given twice, or a key that is not set.
    """
    from chairfinder.providers.commons import Commons
    from chairfinder.providers.local import Local
    from chairfinder.providers.openverse import Openverse
    from chairfinder.providers.serpapi import SerpApi

    found: list[Provider] = []
    for name in names:
        if name == "commons":
            found.append(Commons())
        elif name == "openverse":
            token = os.environ.get("OPENVERSE_TOKEN", "").strip()
            found.append(Openverse(token=Secret(token) if token else None))
        elif name == "serpapi":
            key = os.environ.get("SERPAPI_API_KEY", "").strip()
            if not key:
                raise ParameterError(
                    "provider 'serpapi' needs a key; "
                    "set the environment variable SERPAPI_API_KEY, or leave the provider out."
                )
            found.append(SerpApi(Secret(key), any_licence))
        elif name.startswith("local:") and name != "local:":
            found.append(Local(name.removeprefix("local:")))
        else:
            raise ParameterError(f"provider {name!r} is unknown; use one of {', '.join(PROVIDERS)}.")
    if not found:
        raise ParameterError(f"no provider was named; use one or more of {', '.join(PROVIDERS)}.")
    if len(set(names)) < len(names):
        raise ParameterError(f"a provider stands twice in {','.join(names)!r}; name each once.")
    return found
