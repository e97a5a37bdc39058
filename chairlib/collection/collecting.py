"""A collection from the web: `chairlib collect`. From queries to images, each with its author, licence and address.

Four stages: search, fetch, screen, build. Whatever they find is kept in a ledger beside the collection, ``<out>.collect``
(:mod:`chairlib.collection.ledger`), and each goes on where it was when the process ended, whatever ended it.

Images whose licence is not stated are left alone unless they are asked for: nobody could say later what may be done with them.
"""

import fcntl
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from chairlib.collection.building import (
    REFUSED_FILE,
    Candidate,
    Origin,
    build,
    decode,
    final_bytes,
    in_threads,
    pixel_digest,
    refused_table,
    signature,
)
from chairlib.collection.collection import KINDS, Collection
from chairlib.collection.decode import read_background, read_bytes, read_segment
from chairlib.collection.download import Task, transfer_all
from chairlib.collection.ledger import Entry, Found, Ledger, Search
from chairlib.collection.licences import forbids_changes, is_stated
from chairlib.collection.providers import ApiClient, Provider, StoppedError
from chairlib.collection.providers.local import local_path
from chairlib.collection.queries import Query
from chairlib.collection.screening import Thresholds, screen_background, screen_segment
from chairlib.errors import ChairlibError, CollectionError, ImageError, ParameterError
from chairlib.files import check_free
from chairlib.progress import progress_bar
from chairlib.web import Limits, UnusableError, check_contact, open_client, read_url, url_problem

__all__ = ["CollectReport", "collect", "describe_status", "open_ledger", "remove", "work_folder"]

#: Results of one query from one provider that are taken unless another number is given.
LIMIT = 100
_NO_LICENCE = "no licence"
#: Images decoded at the same time by the threads that fetch.
_DECODERS = threading.BoundedSemaphore(min(4, os.cpu_count() or 1))


@dataclass(frozen=True)
class CollectReport:
    """What a run of the collector came to. collection: None where there was too little to split; ``shortage`` says why."""

    ledger: Ledger
    collection: Collection | None
    shortage: str
    stopped: Sequence[str]
    """Providers that gave up before the end, each with its reason."""

    def __str__(self) -> str:
        lines = [describe_status(self.ledger)]
        lines += [f"stopped early, --resume goes on: {reason}" for reason in self.stopped]
        return "\n".join(lines)


def work_folder(out: str | Path) -> Path:
    """Where the ledger of a collection is: beside it, never in it."""
    out = Path(out).expanduser().absolute()
    return out.with_name(f"{out.name}.collect")


def open_ledger(out: str | Path) -> Ledger:
    """The ledger of the collection ``out``, which must be there. Raises CollectionError."""
    folder = work_folder(out)
    if not (folder / "ledger.sqlite").is_file():
        raise CollectionError(f"{folder} holds no ledger; name a collection that `chairlib collect` made or began.")
    return Ledger(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Fill a ledger as the only process that does. Reviewing may go on meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CollectionError(f"another process is collecting into {folder}; wait for it to end.") from error
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


def collect(
    queries: Sequence[Query],
    providers: Sequence[Provider],
    out: str | Path,
    *,
    limit: int = LIMIT,
    resume: bool = False,
    contact: str | None = None,
    seed: int = 0,
    any_licence: bool = False,
    reviewed_only: bool = False,
    thresholds: Thresholds | None = None,
    limits: Limits | None = None,
    loopback: bool = False,
    progress: bool = True,
) -> CollectReport:
    """Search, fetch, screen and build the collection ``out``; run again with ``resume``, go on.

    limit: results taken of each query from each provider. contact: an e-mail or web address, needed where a provider is on the web.
    any_licence: also images that state no licence. reviewed_only: build from the images that a person kept. thresholds: of the
    screening, for images that are not yet screened. loopback: for tests.
    Raises ParameterError for an unfit value, CollectionError where ``out`` or its ledger is in the way.
    """
    out, limits = Path(out).expanduser(), limits or Limits()
    if limit < 1:
        raise ParameterError(f"limit {limit} is not a positive number of results.")
    agent = check_contact(contact) if any(provider.web for provider in providers) else contact or ""
    folder = work_folder(out)
    if folder.exists() and any(folder.iterdir()) and not resume:
        raise CollectionError(
            f"{folder} holds a collection that was begun; pass --resume to go on, or name another folder."
        )
    _finish_replacing(out)
    if not folder.exists():
        check_free(out)
    ledger = Ledger(folder)
    with _alone(folder):
        _check_own(ledger, out)
        ledger.clean()
        if any_licence:
            ledger.reopen(_NO_LICENCE)
        with open_client(agent, limits, loopback) as client:
            api = ApiClient(client, limits, seed)
            stopped = _search_all(ledger, queries, providers, api, limit, any_licence, progress)
            _fetch_all(ledger, lambda url: read_url(client, url, limits), limits, seed, progress)
        _screen_all(ledger, thresholds, progress)
        ledger.set_setting("seed", str(seed))
        ledger.set_setting("reviewed only", "yes" if reviewed_only else "")
        collection, shortage = _rebuild(ledger, out, progress)
    return CollectReport(ledger, collection, shortage, stopped)


# -- search -----------------------------------------------------------------------------------------------------------


def _search_all(
    ledger: Ledger,
    queries: Sequence[Query],
    providers: Sequence[Provider],
    client: ApiClient,
    limit: int,
    any_licence: bool,
    progress: bool,
) -> list[str]:
    """Ask every provider for every query; why providers stopped early."""
    stopped: dict[str, str] = {}
    pairs = [(provider, query) for provider in providers for query in queries]
    for provider, query in progress_bar(pairs, "searching", unit="query", disable=not progress):
        if provider.name in stopped:
            continue
        try:
            _search(ledger, provider, query, client, limit, any_licence)
        except StoppedError as error:
            stopped[provider.name] = str(error)
    return list(stopped.values())


def _search(ledger: Ledger, provider: Provider, query: Query, client: ApiClient, limit: int, any_licence: bool) -> None:
    names = (provider.name, query.text, query.kind)
    reached = ledger.search(*names)
    while not reached.done and reached.asked < limit:
        page = provider.search(query, client, reached.after)
        taken = page.items[: limit - reached.taken]
        full = len(taken) < len(page.items) or (page.after is not None and reached.taken + len(taken) == limit)
        asked = limit if full else reached.asked
        if len(taken) < len(page.items):
            # Asked for more one day, the search begins with this page again.
            after = Search(reached.after, reached.pages, reached.taken, asked)
        else:
            # A service whose cursor stands still would never come to an end.
            done = page.after is None or page.after == reached.after or not page.items
            after = Search(page.after, reached.pages + 1, reached.taken + len(taken), asked, done)
        items = [(item, _refusal(item, provider, any_licence)) for item in taken]
        ledger.add_page(*names, items, after)
        reached = after


def _refusal(item: Found, provider: Provider, any_licence: bool) -> str | None:
    """Why an image is refused before it is fetched."""
    if provider.web:
        problem = url_problem(item.url)
        if problem:
            return problem
    if forbids_changes(item.licence, item.licence_url):
        return f"licence forbids changes: {item.licence or item.licence_url}; a composite is one"
    if not any_licence and not is_stated(item.licence, item.licence_url):
        said = item.licence or item.licence_url
        said = f"{said} is the address of none that is known" if said else "none is stated"
        return f"{_NO_LICENCE}: {said}; --any-licence takes such images, at your own risk"
    return None


# -- fetch ------------------------------------------------------------------------------------------------------------


def _fetch_all(ledger: Ledger, read: Callable[[str], bytes], limits: Limits, seed: int, progress: bool) -> None:
    tasks = [Task(*row) for row in ledger.waiting()]
    outcomes = transfer_all(tasks, lambda task: _fetch(ledger, read, task), limits, seed)
    bar = progress_bar(outcomes, "fetching", total=len(tasks), unit="image", disable=not progress)
    with warnings.catch_warnings():
        # What Pillow warns of (large images, odd metadata) is judged and reported here.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for outcome in bar:
            if outcome.reason is not None:
                ledger.set_failed(outcome.task.url, outcome.reason, outcome.final)


def _fetch(ledger: Ledger, read: Callable[[str], bytes], task: Task) -> None:
    try:
        data = read_bytes(local_path(task.url)) if task.provider == "local" else read(task.url)
        with _DECODERS:
            decoded = decode(task.kind, data)
            final = final_bytes(task.kind, data, decoded)
            pixels = pixel_digest(decoded.image)
    except ImageError as error:
        raise UnusableError(str(error)) from None
    ledger.add_fetched(task.url, final, decoded.image.size, data, pixels)


# -- screen -----------------------------------------------------------------------------------------------------------


def _screen_all(ledger: Ledger, thresholds: Thresholds | None, progress: bool) -> None:
    entries = ledger.images("fetched")
    results = in_threads(lambda entry: _screen(ledger, entry, thresholds), entries)
    bar = progress_bar(results, "screening", total=len(entries), unit="image", disable=not progress)
    for entry, reason in zip(entries, bar, strict=True):
        ledger.set_screened(entry.id, reason)


def _screen(ledger: Ledger, entry: Entry, thresholds: Thresholds | None) -> str | None:
    try:
        if entry.kind == "segment":
            return screen_segment(read_segment(ledger.path(entry)), thresholds=thresholds)
        return screen_background(read_background(ledger.path(entry)), thresholds=thresholds)
    except ImageError as error:
        return f"lost: {error}"


# -- build ------------------------------------------------------------------------------------------------------------


def _rebuild(ledger: Ledger, out: Path, progress: bool) -> tuple[Collection | None, str]:
    """Write the collection anew from what the ledger holds, and put it in the place of the one before.

    Where there is too little to split: None and why, and the one before is kept, unless it holds an image that was removed.
    """
    _check_own(ledger, out)
    chosen, refused = _choose(ledger)
    candidates = {
        kind: list(in_threads(lambda pair: _candidate(ledger, *pair), of_kind)) for kind, of_kind in chosen.items()
    }
    origins = [
        Origin(kind, f"{len(chosen[kind]) + len(refused[kind])} addresses in {ledger.folder}", refused[kind])
        for kind in KINDS
    ]
    fresh = out.with_name(f".{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        seed = int(ledger.setting("seed", "0"))
        build(fresh, candidates, origins, seed, {REFUSED_FILE: refused_table(origins)}, progress)
    except CollectionError as error:
        if ledger.setting("stale"):
            shutil.rmtree(out, ignore_errors=True)
            ledger.set_setting("stale", "")
        return None, str(error)
    ledger.set_setting("replacing", Collection(fresh).hash)
    _replace(fresh, out)
    collection = Collection(out)
    ledger.set_setting("built", collection.hash)
    ledger.set_setting("stale", "")
    return collection, ""


def _choose(ledger: Ledger) -> tuple[dict[str, list[tuple[Entry, str]]], dict[str, dict[str, str]]]:
    """What goes into the collection, in the order found, and what doesn't, by address with its reason; each by kind."""
    reviewed_only = bool(ledger.setting("reviewed only"))
    chosen: dict[str, list[tuple[Entry, str]]] = {kind: [] for kind in KINDS}
    refused: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for _, kind, url, reason in ledger.refusals():
        refused[kind][url] = reason
    for entry in ledger.images("refused"):
        refused[entry.kind][entry.url] = entry.reason
    accepted = ledger.accepted()
    unwanted = {pixels or entry.id: entry.decision_reason for entry, pixels in accepted if entry.decision == "refuse"}
    known: dict[tuple[str, str], str] = {}
    for entry, pixels in accepted:
        twin = known.get((entry.kind, pixels or entry.id))
        if (pixels or entry.id) in unwanted:
            reason = unwanted[pixels or entry.id]
            refused[entry.kind][entry.url] = f"refused in review: {reason or 'no reason given'}"
        elif reviewed_only and entry.decision != "keep":
            refused[entry.kind][entry.url] = "not reviewed: --reviewed-only takes what a person kept"
        elif twin is not None:
            refused[entry.kind][entry.url] = f"duplicate: the same image as {twin}"
        else:
            known[entry.kind, pixels or entry.id] = entry.id
            chosen[entry.kind].append((entry, pixels))
    return chosen, refused


def _candidate(ledger: Ledger, entry: Entry, pixels: str) -> Candidate:
    file = ledger.path(entry)
    try:
        image = read_segment(file) if entry.kind == "segment" else read_background(file)
    except ImageError as error:
        raise CollectionError(
            f"an image of the ledger was changed or lost: {error}; restore it, or take it out: chairlib collect remove {entry.id}"
        ) from error
    return Candidate(
        file,
        str(file),
        entry.width,
        entry.height,
        pixels or pixel_digest(image),
        signature(entry.kind, image),
        source=f"{entry.provider}:{entry.query}",
        url=entry.landing_page if entry.url.startswith("file:") else entry.url,
        author=entry.author,
        licence=entry.licence or entry.licence_url,
        retrieved=entry.retrieved[:10],
    )


def _check_own(ledger: Ledger, out: Path) -> None:
    """A folder that isn't what this ledger built is never replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        found = Collection(out).hash
    except ChairlibError:
        found = ""
    if found not in (ledger.setting("built", "none"), ledger.setting("replacing", "none")):
        raise CollectionError(
            f"{out} is not the collection that was built from {ledger.folder}; move it away, then run it again with --resume."
        )


def _replace(fresh: Path, out: Path) -> None:
    """Put ``fresh`` in the place of ``out``. Two renames; :func:`_finish_replacing` mends what a kill leaves between them."""
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    with suppress(FileNotFoundError):
        out.rename(old)
    fresh.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _finish_replacing(out: Path) -> None:
    old = out.with_name(f".{out.name}.old")
    if old.is_dir() and not out.exists():
        old.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    name = escape(out.name)
    for pattern in (f".{name}.new", f"..{name}.new.*.tmp"):
        for left in out.absolute().parent.glob(pattern):
            shutil.rmtree(left, ignore_errors=True)


def remove(image_id: str, out: str | Path, progress: bool = True) -> str:
    """Take an image out of the ledger and the collection ``out``, and never take it again. Says what was done.

    The rest is split anew; where too little is left to split, the collection is removed and the ledger stays. Run again after it
    was interrupted, it goes on. Raises CollectionError for an id that is not there.
    """
    out = Path(out).expanduser()
    ledger = open_ledger(out)
    with _alone(ledger.folder):
        _finish_replacing(out)
        _check_own(ledger, out)
        if out.exists():
            ledger.set_setting("stale", "yes")  # before the rows go: a kill in between is seen
        urls = ledger.remove(image_id)
        said = f"removed {image_id}; it is never taken again, also not from: {', '.join(urls) or 'anywhere'}"
        if not ledger.setting("stale"):
            return said
        collection, shortage = _rebuild(ledger, out, progress)
    if collection is None:
        return f"{said}\n{out} is removed, because {shortage}"
    return f"{said}\nrebuilt {collection!r}"


# -- report -----------------------------------------------------------------------------------------------------------


def describe_status(ledger: Ledger) -> str:
    """How far the ledger is: by provider, what was found and what became of it."""
    counts = ledger.counts()
    lines = [str(ledger.folder)]
    for provider, kind in sorted({key[:2] for key in counts}):
        of_pair = [(what, reason, n) for (*pair, what, reason), n in counts.items() if pair == [provider, kind]]

        def total(*states: str, of_pair: list[tuple[str, str, int]] = of_pair) -> int:
            return sum(n for what, _, n in of_pair if not states or what in states)

        parts = [f"{total()} found", f"{total('fetched', 'accepted', 'unfit', 'copy')} fetched"]
        parts += [f"{total('accepted')} accepted", f"{total('refused', 'unfit')} refused", f"{total('copy')} copies"]
        parts += [f"{total('waiting')} waiting"] if total("waiting") else []
        lines.append(f"  {provider or 'unknown'}, {kind}s: {', '.join(parts)}")
        reasons: dict[str, int] = {}
        for what, reason, n in of_pair:
            if reason:
                name = f"{reason} (tried again by --resume)" if what == "waiting" else reason
                reasons[name] = reasons.get(name, 0) + n
        lines += [
            f"    {n:5d}  {reason}" for reason, n in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
        ]
    if not counts:
        lines.append("  nothing was found yet")
    decided = ledger.decisions()
    kept = sum(decision.decision == "keep" for decision in decided)
    lines.append(f"  reviewed: {kept} kept, {len(decided) - kept} refused")
    return "\n".join(lines)
