"""A collection from the web: `chairlib collect`. From queries to images, each with its author, licence and address.

Four stages: search, fetch, screen, build. Whatever they find is kept in a ledger beside the collection,
``<out>.collect`` (:mod:`chairfinder.ledger`), and each goes on where it was when the process ended, whatever ended it,
with the options that it was begun with (:mod:`chairfinder.collect_options`).

Images whose licence is not stated are left alone unless they are asked for: nobody could say later what may be done
with them.
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

from PIL import Image

from chairfinder import providers as provider_registry
from chairfinder.building import (
    REFUSED_FILE,
    Candidate,
    Origin,
    appearance_of,
    build,
    count_pixels,
    decode,
    final_bytes,
    in_threads,
    pixel_digest,
    refused_table,
    room_for,
    signature,
    take_out_copies,
    take_out_near_duplicates,
)
from chairfinder.collect_options import CollectOptions, read_options, settle, write_options
from chairfinder.download import Task, transfer_all
from chairfinder.ledger import Entry, Ledger, Search, SearchResult
from chairfinder.licences import forbids_changes, is_stated
from chairfinder.provenance import Provenance
from chairfinder.providers import ApiClient, Page, Provider, StoppedError
from chairfinder.providers.local import local_path
from chairfinder.queries import Query
from chairfinder.screening import Thresholds, screen_background, screen_segment
from chairfinder.web import Limits, Turns, UnusableError, check_contact, open_client, read_url, url_problem
from chairlib.collection.cells import one_line
from chairlib.collection.collection import KINDS, Collection
from chairlib.collection.images import read_bytes, read_photo, read_segment
from chairlib.core import paths
from chairlib.core.errors import ChairlibError, CollectionError, ImageError, ParameterError
from chairlib.core.files import check_free, check_replaceable
from chairlib.core.progress import progress_bar

_NO_LICENCE = "no licence"
_UNLICENSED = f"{_NO_LICENCE}: none is stated; --any-licence takes such images, at your own risk"
#: What reading an answer comes to where a list, a text or a name is not what it should be.
_MALFORMED_ANSWER = (AttributeError, TypeError, LookupError, ValueError)
#: Queries, of those that found nothing in a folder, that a message names.
_MAX_NAMED = 8
#: Images decoded at the same time by the threads that fetch.
_DECODERS = threading.BoundedSemaphore(min(4, os.cpu_count() or 1))


@dataclass(frozen=True)
class CollectReport:
    """The result of a run. collection: None where there was too little to split; ``shortage`` says why."""

    ledger: Ledger
    collection: Collection | None
    shortage: str
    stopped: Sequence[str]
    """Providers that gave up before the end, each with its reason."""
    notes: Sequence[str] = ()
    """What else a person should know of the run, a line each."""

    def __str__(self) -> str:
        lines = [describe_status(self.ledger), *self.notes]
        lines += [f"stopped early, --resume goes on: {reason}" for reason in self.stopped]
        return "\n".join(lines)


def work_folder(out: str | Path) -> Path:
    """Where the ledger of a collection is: beside it, never in it."""
    out = _absolute(out)
    return out.with_name(f"{out.name}.collect")


def _absolute(out: str | Path) -> Path:
    """A path whose last part is a name, which ``.`` and ``..`` are not. A link stays one: the ledger is beside it."""
    return Path(os.path.abspath(Path(out).expanduser()))


def _collection_folder(out: str | Path) -> Path:
    """Where the collection is, or will be, once that is known to be a place where it can be put."""
    out = _absolute(out)
    check_replaceable(out)
    return out


def open_ledger(out: str | Path, to_read: bool = False) -> Ledger:
    """The existing ledger of the collection ``out``; ``to_read`` as for :class:`Ledger`.

    Raises CollectionError for none.
    """
    folder = work_folder(out)
    if not (folder / "ledger.sqlite").is_file():
        raise CollectionError(f"{folder} holds no ledger; name a collection that `chairlib collect` made or began.")
    return Ledger(folder, to_read)


@contextmanager
def only_collector(folder: Path) -> Iterator[None]:
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
    queries: Sequence[Query] | None,
    providers: Sequence[Provider | str] | None,
    out: str | Path,
    *,
    limit: int | None = None,
    resume: bool = False,
    contact: str | None = None,
    seed: int | None = None,
    any_licence: bool | None = None,
    reviewed_only: bool | None = None,
    thresholds: Thresholds | None = None,
    limits: Limits | None = None,
    loopback: bool = False,
    progress: bool = True,
) -> CollectReport:
    """Search, fetch, screen and build the collection ``out``; run again with ``resume``, go on.

    What is None is what it was in the run before; in the first, the default of
    :class:`chairfinder.collect_options.CollectOptions`. providers: objects or their names. limit: results taken of each
    query from each provider. contact: an e-mail or web address, needed where a provider is on the web. any_licence:
    also images that state no licence; where that is taken back, they are left out again. reviewed_only: build from the
    images that a person kept. thresholds: of the screening; where they change, what screening judged before is judged
    again, but for images that a person has decided about. loopback: for tests. Raises ParameterError for an unfit
    value, CollectionError where ``out`` or its ledger is in the way, or ``resume`` has nothing to go on with.
    """
    out, limits = _collection_folder(out), limits or Limits()
    folder = work_folder(out)
    stored = _check_begun(folder, resume)
    given: dict[str, object] = {
        "queries": queries,
        "providers": None if providers is None else [_provider_key(found) for found in providers],
        "limit": limit,
        "contact": contact,
        "seed": seed,
        "any_licence": any_licence,
        "reviewed_only": reviewed_only,
        "thresholds": thresholds,
    }
    options = settle(stored, given)
    opened = _open_providers(options.providers if providers is None else providers, options.any_licence)
    options = settle(options, {"providers": [_provider_key(provider) for provider in opened]})
    agent = check_contact(options.contact) if any(provider.web for provider in opened) else options.contact or ""
    if not resume:
        check_free(out)
    ledger = Ledger(folder)
    with only_collector(folder):
        if not resume:
            _check_begun(folder, resume)  # again, and now nobody begins it in between
        _finish_replacing(out)
        _check_own(ledger, out)
        ledger.clean()
        notes = _change_options(ledger, stored, options)
        with open_client(agent, limits, loopback) as client:
            api = ApiClient(client, limits, options.seed)
            stopped, unmatched = _search_all(ledger, options, opened, api, progress)
            turns = Turns(limits)
            _fetch_all(ledger, lambda url: read_url(client, url, limits, turns), limits, options.seed, progress)
        _screen_all(ledger, options.thresholds, progress)
        collection, shortage, _ = _rebuild(ledger, out, progress)
    return CollectReport(ledger, collection, shortage, stopped, notes + unmatched)


def _check_begun(folder: Path, resume: bool) -> CollectOptions | None:
    """The options that a ledger was filled with, if any; there must be one to go on with, and none to begin."""
    stored, begun = None, folder.exists() and any(entry.name != "images" for entry in folder.iterdir())
    if (folder / "ledger.sqlite").is_file():
        ledger = Ledger(folder)
        stored = read_options(ledger)
        begun = stored is not None or bool(ledger.counts())  # a process may be killed before it has said anything
        ledger.close()
    if begun and not resume:
        raise CollectionError(
            f"{folder} holds a collection that was begun; pass --resume to go on, or name another folder."
        )
    if resume and not begun:
        raise CollectionError(
            f"{folder} holds no ledger to go on with; "
            "leave --resume out to begin, or name the collection that was begun."
        )
    return stored


def _open_providers(wanted: Sequence[Provider | str], any_licence: bool) -> list[Provider]:
    """Providers by their names, or as they are. Raises ParameterError, also for one that stands twice."""
    names = [found for found in wanted if isinstance(found, str)]
    if len(names) == len(wanted):
        opened = provider_registry.find_providers(names, any_licence)
    else:
        opened = [
            provider_registry.find_providers([found], any_licence)[0] if isinstance(found, str) else found
            for found in wanted
        ]
    keys = [_provider_key(provider) for provider in opened]
    for key in keys:
        if keys.count(key) > 1:
            raise ParameterError(f"provider {key!r} stands twice; name each once.")
    return opened


def _provider_key(provider: Provider | str) -> str:
    """What a provider's searches are known by: its name, unless it says more (a folder)."""
    return provider if isinstance(provider, str) else str(getattr(provider, "key", provider.name))


def _change_options(ledger: Ledger, stored: CollectOptions | None, options: CollectOptions) -> list[str]:
    """Keep the options, and bring what is in the ledger in line with them; what a person should know of that."""
    notes = []
    if stored is not None and stored.thresholds != options.thresholds:
        notes = [f"thresholds changed: {ledger.unscreen()} images are screened again; decisions stand"]
    if options.any_licence:
        ledger.reopen(_NO_LICENCE)
    else:
        ledger.refuse_waiting(_UNLICENSED)
    write_options(ledger, options)
    return notes


# -- search -----------------------------------------------------------------------------------------------------------


def _search_all(
    ledger: Ledger, options: CollectOptions, providers: Sequence[Provider], client: ApiClient, progress: bool
) -> tuple[list[str], list[str]]:
    """Ask every provider for every query.

    Returns why providers stopped early, and notes: queries that match no file of a folder, files that were left out.
    """
    stopped: dict[str, str] = {}
    unmatched: dict[str, list[str]] = {}
    pairs = [(provider, query) for provider in providers for query in options.queries]
    with progress_bar(pairs, "searching", unit="query", disable=not progress) as bar:
        for provider, query in bar:
            key = _provider_key(provider)
            if key in stopped:
                continue
            try:
                reached = _search(ledger, provider, query, client, options.limit, options.any_licence)
            except StoppedError as error:
                stopped[key] = str(error)
            else:
                # A page that the limit cuts leaves `taken` as it was.
                if not provider.web and not (reached.taken or reached.asked):
                    unmatched.setdefault(key, []).append(f"{query.text} ({query.kind})")
    notes = [
        f"{one_line(key)}: no file's path holds the words of a query: {_list_names(of_key)}"
        for key, of_key in unmatched.items()
    ]
    for provider in providers:
        if left := getattr(provider, "left_out", None):
            notes.append(
                f"{one_line(_provider_key(provider))}: {len(left)} file{'s' * (len(left) > 1)} left out, "
                f"by the name of another kind than "
                f"the queries that match (no segment is a JPEG): {_list_names(left)}"
            )
    return list(stopped.values()), notes


def _list_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(map(one_line, names[:_MAX_NAMED])) + more


def _search(
    ledger: Ledger, provider: Provider, query: Query, client: ApiClient, limit: int, any_licence: bool
) -> Search:
    """Ask until there is nothing more or the limit is reached; how far that is."""
    # A folder's name is bytes, not always of UTF-8 as the ledger's texts are.
    key = _provider_key(provider).encode("utf-8", "backslashreplace").decode()
    names = (key, query.text, query.kind)
    # A folder costs nothing to look through again, and files may have been added anywhere in it.
    reached = ledger.search(*names) if provider.web else Search()
    while not reached.done and reached.asked < limit:
        page = ask_provider(provider, query, client, reached.after)
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
        items = [(item, refusal_before_fetching(item, provider, any_licence)) for item in taken]
        ledger.add_page(*names, items, after, provider.name)
        reached = after
    return reached


def ask_provider(provider: Provider, query: Query, client: ApiClient, after: str | None) -> Page:
    """One page of a provider's results.

    An answer in another form than the service's documentation describes raises StoppedError: this provider alone stops.
    """
    try:
        return provider.search(query, client, after)
    except _MALFORMED_ANSWER as error:
        if not provider.web:
            raise
        # Without the exception's own words, which may repeat what the service sent back, a key among it.
        raise StoppedError(f"{provider.name}: the answer is not understood ({type(error).__name__})") from None


def refusal_before_fetching(item: SearchResult, provider: Provider, any_licence: bool) -> str | None:
    """Why an image is refused before it is fetched."""
    if provider.web:
        problem = url_problem(item.url)
        if problem:
            return problem
    if forbids_changes(item.licence, item.licence_url):
        return f"licence forbids changes: {item.licence or item.licence_url}; a composite is one"
    if not any_licence and not is_stated(item.licence, item.licence_url):
        return f"{_NO_LICENCE}: {_describe_licence(item)}; --any-licence takes such images, at your own risk"
    return None


def _describe_licence(item: SearchResult) -> str:
    said = item.licence or item.licence_url
    if not said:
        return "none is stated"
    return f"{said} is the address of none that is known" if "//" in said else f"{said!r} is none"


# -- fetch ------------------------------------------------------------------------------------------------------------


def _fetch_all(ledger: Ledger, read: Callable[[str], bytes], limits: Limits, seed: int, progress: bool) -> None:
    tasks = [Task(*row) for row in ledger.waiting()]
    outcomes = transfer_all(tasks, lambda task: _fetch(ledger, read, task), limits, seed)
    with (
        warnings.catch_warnings(),
        progress_bar(outcomes, "fetching", total=len(tasks), unit="image", disable=not progress) as bar,
    ):
        # What Pillow warns of (large images, odd metadata) is judged and reported here.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for outcome in bar:
            if outcome.reason is not None:
                ledger.set_failed(outcome.task.url, outcome.reason, outcome.final)


def _fetch(ledger: Ledger, read: Callable[[str], bytes], task: Task) -> None:
    try:
        data = read_bytes(local_path(task.url)) if task.provider == "local" else read(task.url)
        with room_for(count_pixels(data)), _DECODERS:
            decoded = decode(task.kind, data)
            final = final_bytes(task.kind, data, decoded)
            pixels, size = pixel_digest(decoded.image), decoded.image.size
            del decoded
    except ImageError as error:
        raise UnusableError(str(error)) from None
    ledger.add_fetched(task.url, final, size, data, pixels)


# -- screen -----------------------------------------------------------------------------------------------------------


def _screen_all(ledger: Ledger, thresholds: Thresholds, progress: bool) -> None:
    entries = ledger.images("fetched")
    results = in_threads(lambda entry: _screen(ledger, entry, thresholds), entries, _size)
    with progress_bar(results, "screening", total=len(entries), unit="image", disable=not progress) as bar:
        for entry, reason in zip(entries, bar, strict=True):
            ledger.set_screened(entry.id, reason)


def _screen(ledger: Ledger, entry: Entry, thresholds: Thresholds) -> str | None:
    try:
        screen = screen_segment if entry.kind == "segment" else screen_background
        return screen(_read(ledger, entry), thresholds=thresholds)
    except ImageError as error:
        return f"lost: {error}"


def _size(entry: Entry) -> int:
    return entry.width * entry.height


# -- build ------------------------------------------------------------------------------------------------------------


def _rebuild(ledger: Ledger, out: Path, progress: bool) -> tuple[Collection | None, str, list[str]]:
    """Write the collection anew from what the ledger holds, and put it in the place of the one before.

    Where there is too little to split: None and why, and the one before is kept, unless it holds an image that was
    removed. Last come the images that were left out because they show the same as one that was removed.
    """
    _check_own(ledger, out)
    options = read_options(ledger) or CollectOptions()
    chosen, refused = _choose(ledger, options)
    candidates, appearances, left_out = {}, ledger.removed_appearances(), list[str]()
    for kind, of_kind in chosen.items():
        urls = {str(ledger.path(entry)): entry.url for entry, _ in of_kind}
        bits = options.thresholds.duplicate_bits
        compared, copies = take_out_copies(kind, _candidates(ledger, kind, of_kind, progress), appearances, bits)
        left_out += [candidate.final.stem for candidate, _ in copies]
        candidates[kind], near = take_out_near_duplicates(compared, bits, lambda candidate: candidate.final.stem)
        refused[kind] |= {urls[candidate.name]: reason for candidate, reason in copies + near}
    origins = [
        Origin(kind, f"{len(chosen[kind]) + len(refused[kind])} addresses in {ledger.folder}", refused[kind])
        for kind in KINDS
    ]
    fresh = out.with_name(f".{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        build(fresh, candidates, origins, options.seed, {REFUSED_FILE: refused_table(origins)}, progress)
    except CollectionError as error:
        if ledger.setting("stale"):
            shutil.rmtree(out, ignore_errors=True)
            ledger.set_setting("stale", "")
        return None, str(error), left_out
    ledger.set_setting("replacing", Collection(fresh).hash)
    _replace(fresh, out)
    collection = Collection(out)
    ledger.set_setting("built", collection.hash)
    ledger.set_setting("stale", "")
    return collection, "", left_out


def _choose(
    ledger: Ledger, options: CollectOptions
) -> tuple[dict[str, list[tuple[Entry, str]]], dict[str, dict[str, str]]]:
    """What goes into the collection, in the order found, and what doesn't, by address with its reason; each by kind."""
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
        elif not options.any_licence and not is_stated(entry.licence, entry.licence_url):
            refused[entry.kind][entry.url] = _UNLICENSED
        elif options.reviewed_only and entry.decision != "keep":
            refused[entry.kind][entry.url] = "not reviewed: --reviewed-only takes what a person kept"
        elif twin is not None:
            refused[entry.kind][entry.url] = f"duplicate: the same image as {twin}"
        else:
            known[entry.kind, pixels or entry.id] = entry.id
            chosen[entry.kind].append((entry, pixels))
    return chosen, refused


def _candidates(ledger: Ledger, kind: str, of_kind: Sequence[tuple[Entry, str]], progress: bool) -> list[Candidate]:
    results = in_threads(lambda pair: _candidate(ledger, *pair), of_kind, lambda pair: _size(pair[0]))
    with progress_bar(results, f"comparing {kind}s", total=len(of_kind), unit="image", disable=not progress) as bar:
        return list(bar)


def _candidate(ledger: Ledger, entry: Entry, pixels: str) -> Candidate:
    file = ledger.path(entry)
    try:
        image = _read(ledger, entry)
    except ImageError as error:
        raise CollectionError(
            f"an image of the ledger was changed or lost: {error}; "
            f"restore it, or take it out: chairlib collect remove {entry.id}"
        ) from error
    return Candidate(
        file,
        str(file),
        entry.width,
        entry.height,
        pixels or pixel_digest(image),
        signature(entry.kind, image),
        Provenance(
            source=f"{entry.provider}:{entry.query}",
            url=entry.landing_page if entry.url.startswith("file:") else entry.url,
            author=entry.author,
            licence=entry.licence or entry.licence_url,
            retrieved=entry.retrieved[:10],
            landing_page=entry.landing_page,
            licence_url=entry.licence_url,
        ),
    )


def _read(ledger: Ledger, entry: Entry) -> Image.Image:
    file = ledger.path(entry)
    return read_segment(file) if entry.kind == "segment" else read_photo(file)


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
            f"{out} is not the collection that was built from {ledger.folder}; "
            "move it away, then run it again with --resume."
        )


def _replace(fresh: Path, out: Path) -> None:
    """Put ``fresh`` in the place of ``out``, by two renames.

    If the process is killed between them, :func:`_finish_replacing` completes the move later.
    """
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

    It goes in every copy: images of the same pixels are removed as well, near-duplicates are left out of the
    collection, those found later too, and all are named, as are the other images in its group, which may be copies of
    it. The packed copies of the collection's images go too. The rest is split anew; where too little is left to split,
    the collection is removed and the ledger stays. Run again after it was interrupted, it goes on. Raises
    CollectionError for an id that is not there.
    """
    out = _collection_folder(out)
    ledger = open_ledger(out)
    with only_collector(ledger.folder):
        _finish_replacing(out)
        _check_own(ledger, out)
        ledger.check_known(image_id)  # a mistyped id must not mark the collection as one that holds a removed image
        gone, alike = [image_id, *ledger.copies(image_id)], set[str]()
        if out.exists():
            alike = _others_in_group(Collection(out), gone)
            ledger.set_setting("stale", "yes")  # before the rows go: a kill in between is seen
        urls = ledger.remove(image_id, _appearance(ledger, image_id))
        if out.exists():
            _drop_packed(Collection(out))
        rebuilt = _rebuild(ledger, out, progress) if ledger.setting("stale") else None
    left_out = rebuilt[2] if rebuilt else []
    lines = [f"removed {image_id}; it is never taken again, also not from: {', '.join(urls) or 'anywhere'}"]
    if gone[1:]:
        lines.append(f"removed with it, as the same picture: {', '.join(gone[1:])}")
    if left_out:
        lines.append(
            "left out, as they show the same as a removed image "
            "(their files stay in the ledger until they are removed too): " + ", ".join(left_out)
        )
    if others := sorted(alike.difference(left_out)):
        lines.append(f"alike, and maybe copies of it, which stay until they are removed too: {', '.join(others)}")
    if rebuilt:
        collection, shortage, _ = rebuilt
        lines.append(f"rebuilt {collection!r}" if collection else f"{out} is removed, because {shortage}")
    return "\n".join(lines)


def _appearance(ledger: Ledger, image_id: str) -> str:
    """The appearance by which near copies of an image are known.

    Empty where the image is removed already, its file cannot be read, or it has no visible pixel.
    """
    entry = next((entry for entry in ledger.images() if entry.id == image_id), None)
    try:
        return appearance_of(entry.kind, _read(ledger, entry)) if entry else ""
    except (ImageError, ValueError, ArithmeticError):
        return (
            ""  # its file is lost or damaged, or a segment of nothing but transparent pixels: it can still be removed
        )


def _others_in_group(collection: Collection, image_ids: Sequence[str]) -> set[str]:
    rows = collection.manifest
    group = rows.loc[rows["id"].isin(image_ids), "group"]
    return set(rows.loc[rows["group"].isin(group), "id"]).difference(image_ids)


def _drop_packed(collection: Collection) -> None:
    """Delete the collection's images as :mod:`chairlib.compositing.packing` keeps them, at any resolution."""
    for file in (paths.cache / "packed").glob(f"{escape(collection.hash)}-*"):
        file.unlink(missing_ok=True)


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
                name = (
                    f"{reason} stated (--any-licence takes such images, at your own risk)"
                    if reason == _NO_LICENCE
                    else name
                )
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
