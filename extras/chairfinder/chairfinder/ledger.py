"""The ledger of a collection that is gathered from the web: what was found, where, whose it is, and what became of it.

    <folder>/ledger.sqlite      a row per address and one per image
    <folder>/images/            the images, named by their ids: RGBA PNG for segments, JPEG for backgrounds

An address is ``found``, then ``fetched`` or ``refused``; an image is ``fetched``, then, once screened, ``accepted`` or
``refused``, and ``reviewed`` as soon as a person has decided about it. Author, licence, landing page, time, query and
provider stand beside an address from the moment it is found, and an image takes them from the first of its addresses.
An image that was removed leaves a tombstone: its addresses and digests, by which it and its copies are known and never
taken again, and its appearance, by which near copies are.

A process may be killed at any moment. Every step is one transaction, and a file is in place, whole, before a row says
so.
"""

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from chairfinder.licences import is_stated
from chairlib.collection.collection import KINDS
from chairlib.core.errors import CollectionError, ParameterError
from chairlib.core.files import atomic_path

#: States of an image, in the order in which it passes through them.
STATES = ("fetched", "accepted", "refused", "reviewed")
DECISIONS = ("keep", "refuse")
_VERSION = 1
_SUFFIXES = {"segment": ".png", "background": ".jpg"}
#: Seconds to wait for another process, say the review page, to finish its transaction.
_LOCK_TIMEOUT = 30
_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE searches (
    provider TEXT NOT NULL, query TEXT NOT NULL, kind TEXT NOT NULL,
    after TEXT, pages INTEGER NOT NULL DEFAULT 0, taken INTEGER NOT NULL DEFAULT 0,
    asked INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (provider, query, kind)
) WITHOUT ROWID;
CREATE TABLE images (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    width INTEGER NOT NULL, height INTEGER NOT NULL, pixels TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE urls (
    number INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    provider TEXT NOT NULL, query TEXT NOT NULL, landing_page TEXT NOT NULL, author TEXT NOT NULL,
    licence TEXT NOT NULL, licence_url TEXT NOT NULL, title TEXT NOT NULL, found TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', tries INTEGER NOT NULL DEFAULT 0,
    retrieved TEXT NOT NULL DEFAULT '', source TEXT NOT NULL DEFAULT '', image TEXT REFERENCES images (id)
);
CREATE INDEX urls_by_image ON urls (image);
CREATE INDEX urls_by_state ON urls (state);
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, image TEXT NOT NULL, decision TEXT NOT NULL,
    reason TEXT NOT NULL, time TEXT NOT NULL, by TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX decisions_by_image ON decisions (image);
CREATE TABLE tombstones (
    digest TEXT NOT NULL, what TEXT NOT NULL, image TEXT NOT NULL, time TEXT NOT NULL, PRIMARY KEY (digest, what, image)
) WITHOUT ROWID;
"""
# The decision that stands for each image: the last that was not taken back.
_STANDING_DECISIONS = "SELECT image, MAX(number) AS number FROM decisions WHERE NOT undone GROUP BY image"
_ENTRIES = f"""
SELECT images.id, images.kind, CASE WHEN decisions.decision IS NULL THEN images.state ELSE 'reviewed' END AS state,
    images.reason, urls.url, urls.landing_page, urls.author, urls.licence, urls.licence_url, urls.title, urls.query,
    urls.provider, urls.retrieved, images.width, images.height,
    COALESCE(decisions.decision, '') AS decision, COALESCE(decisions.reason, '') AS decision_reason,
    images.state AS screened, images.pixels
FROM images
JOIN urls ON urls.number = (SELECT MIN(number) FROM urls WHERE image = images.id)
LEFT JOIN ({_STANDING_DECISIONS}) AS standing ON standing.image = images.id
LEFT JOIN decisions ON decisions.number = standing.number
"""


@dataclass(frozen=True)
class SearchResult:
    """An image that a provider offers: its address, and what the provider says of it.

    Texts are empty where nothing is said. Sizes are in pixels, or None.
    """

    url: str
    landing_page: str = ""
    author: str = ""
    licence: str = ""
    licence_url: str = ""
    title: str = ""
    width: int | None = None
    height: int | None = None
    mime: str = ""


@dataclass(frozen=True)
class Entry:
    """An image in the ledger, with what is known of where it is from.

    id: the first 16 hexadecimal digits of the SHA-256 of the image's file, the same as in a collection. state: one of
    :data:`STATES`; ``reviewed`` as soon as a decision stands. reason: why screening refused it. retrieved: ISO date and
    time, UTC. decision: ``keep``, ``refuse`` or empty.
    """

    id: str
    kind: str
    state: str
    reason: str
    url: str
    landing_page: str
    author: str
    licence: str
    licence_url: str
    title: str
    query: str
    provider: str
    retrieved: str
    width: int
    height: int
    decision: str
    decision_reason: str


@dataclass(frozen=True)
class Decision:
    """What a person decided about an image: ``keep`` or ``refuse``, why, when (ISO, UTC) and who."""

    image_id: str
    decision: str
    reason: str
    time: str
    by: str


@dataclass(frozen=True)
class Search:
    """How far one query has got with one provider.

    after: cursor of the page that comes next (None: the first). pages, taken: whole pages read, and items on them.
    asked: the limit of items that was reached. done: there is nothing more.
    """

    after: str | None = None
    pages: int = 0
    taken: int = 0
    asked: int = 0
    done: bool = False


def image_id(data: bytes) -> str:
    """The id of an image file: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Ledger:
    """The ledger in ``folder``, made on demand. Several processes, and all threads of one, may use it at a time.

    to_read: open it also where nothing can be written, on a read-only place or a full disk; changing it is an error
    there. Raises CollectionError where the folder can't be written, or holds a ledger of another version or a file that
    is none.

    To fill one by hand, as tests do::

        ledger.add_found("segment", SearchResult("https://example.org/1.png", author="A. N. Other", licence="CC0"))
        identity = ledger.add_fetched("https://example.org/1.png", png_bytes, (640, 480))
        ledger.set_screened(identity)             # accepted; with a reason: refused
    """

    def __init__(self, folder: Path, to_read: bool = False) -> None:
        self.folder = Path(folder)
        self._lock = threading.RLock()
        try:
            self._connect("rwc", self._prepare)
        except CollectionError:
            if not (to_read and (self.folder / "ledger.sqlite").is_file()):
                raise
            self._connect_to_read()

    def _connect_to_read(self) -> None:
        """Open a ledger that can't be written.

        Tried only after writing failed, because SQLite leaves files of its own beside a database that could be written.
        """
        try:
            self._connect("ro", self._check_version)
        except CollectionError:
            # Even a reader needs a file beside the database, unless it may take it that nobody writes. It then passes
            # over the changes that a killed process left in the file -wal, so there must be none.
            unsaved = self.folder / "ledger.sqlite-wal"
            if unsaved.exists() and unsaved.stat().st_size:
                raise
            self._connect("ro&immutable=1", self._check_version)

    def _connect(self, mode: str, begin: Callable[[], None]) -> None:
        """Open the database in one of SQLite's modes, and ``begin`` with it."""
        try:
            if mode == "rwc":
                (self.folder / "images").mkdir(parents=True, exist_ok=True)
            address = f"{(self.folder / 'ledger.sqlite').absolute().as_uri()}?mode={mode}"
            self._database = sqlite3.connect(
                address, uri=True, timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise CollectionError(f"{self.folder} cannot hold a ledger: {error}; choose another folder.") from error
        self._database.row_factory = sqlite3.Row
        try:
            with self._errors():
                begin()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        # A decision that was taken, or an image that was paid for, survives a power cut.
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA foreign_keys = ON")
        with self._transaction() as database:
            if not database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0] and not self._version():
                for statement in _SCHEMA.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {_VERSION}")
            self._check_version()

    def _version(self) -> int:
        return int(self._database.execute("PRAGMA user_version").fetchone()[0])

    def _check_version(self) -> None:
        version = self._version()
        if version != _VERSION:
            raise CollectionError(
                f"{self.folder / 'ledger.sqlite'} is a ledger of version {version}, where {_VERSION} is read; "
                "use the chairlib that made it, or begin in a new folder."
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            file = self.folder / "ledger.sqlite"
            if "disk is full" in str(error) or "disk I/O" in str(error):
                raise CollectionError(
                    f"cannot write {file}: {error}. Free some space, then run it again with --resume."
                ) from error
            if "readonly" in str(error) or "unable to open" in str(error):
                raise CollectionError(
                    f"cannot write {file}: {error}. Make it and its folder writable, or copy the folder, "
                    "with the collection "
                    "beside it, to a place that is."
                ) from error
            if "locked" in str(error):
                raise CollectionError(
                    f"{file} is in use by another process; end that one, then run it again."
                ) from error
            if "not a database" in str(error) or "malformed" in str(error):
                raise CollectionError(
                    f"{file} is damaged or no ledger ({error}); restore it, or begin in a new folder."
                ) from error
            raise

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._lock, self._errors():
            return self._database.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the database. Using the ledger afterwards is an error."""
        with self._lock:
            self._database.close()

    # -- settings and searches ----------------------------------------------------------------------------------------

    def setting(self, name: str, default: str = "") -> str:
        """A value kept with the ledger."""
        rows = self._rows("SELECT value FROM settings WHERE name = ?", (name,))
        return rows[0]["value"] if rows else default

    def set_setting(self, name: str, value: str) -> None:
        """Keep a value with the ledger."""
        with self._transaction() as database:
            database.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def search(self, provider: str, query: str, kind: str) -> Search:
        """How far a query has got with a provider."""
        rows = self._rows(
            "SELECT after, pages, taken, asked, done FROM searches WHERE provider = ? AND query = ? AND kind = ?",
            (provider, query, kind),
        )
        if not rows:
            return Search()
        after, pages, taken, asked, done = rows[0]
        return Search(after, pages, taken, asked, bool(done))

    def add_page(
        self,
        provider: str,
        query: str,
        kind: str,
        items: Sequence[tuple[SearchResult, str | None]],
        reached: Search,
        name: str | None = None,
    ) -> int:
        """Keep a page of results, each with a reason why it is refused unfetched or None, and the search's progress.

        provider: what the search is known by; name: what stands with its images, where that is shorter.
        One transaction: a page is there with its cursor or not at all. Returns how many addresses were new.
        """
        with self._transaction() as database:
            new = sum(self._add(database, kind, item, name or provider, query, reason) for item, reason in items)
            database.execute(
                "INSERT OR REPLACE INTO searches VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (provider, query, kind, reached.after, reached.pages, reached.taken, reached.asked, reached.done),
            )
        return new

    # -- filling ------------------------------------------------------------------------------------------------------

    def add_found(
        self, kind: str, found: SearchResult, provider: str = "", query: str = "", reason: str | None = None
    ) -> bool:
        """Keep an address; with a reason, it is refused and never fetched.

        Returns whether it was new. The address of a removed image is not.
        """
        if kind not in KINDS:
            raise ParameterError(f"kind {kind!r} is unknown; expected one of {', '.join(KINDS)}.")
        with self._transaction() as database:
            return self._add(database, kind, found, provider, query, reason)

    def _add(
        self,
        database: sqlite3.Connection,
        kind: str,
        found: SearchResult,
        provider: str,
        query: str,
        reason: str | None,
    ) -> bool:
        if self._is_buried(database, {"url": found.url}):
            return False
        added = database.execute(
            "INSERT OR IGNORE INTO urls "
            "(url, kind, provider, query, landing_page, author, licence, licence_url, title, found,"
            " state, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(found.url, kind, provider, query, found.landing_page, found.author, found.licence, found.licence_url),
                *(found.title, _now(), "found" if reason is None else "refused", reason or ""),
            ),
        )
        return added.rowcount == 1

    def waiting(self) -> list[tuple[str, str, str]]:
        """Addresses that are yet to be fetched, in the order in which they were found: (address, kind, provider)."""
        rows = self._rows("SELECT url, kind, provider FROM urls WHERE state = 'found' ORDER BY number")
        return [(row["url"], row["kind"], row["provider"]) for row in rows]

    def add_fetched(
        self, url: str, data: bytes, size: tuple[int, int], original: bytes | None = None, pixels: str = ""
    ) -> str | None:
        """Keep the image behind an address: ``data``, final bytes (PNG or JPEG), of ``size`` (width, height).

        original: the bytes as they came, where they are others. pixels: a digest of the pixels. Returns the image's id,
        or None where it is one that was removed. Raises CollectionError for an address that was never found,
        ChairlibError for a full disk.
        """
        rows = self._rows("SELECT kind FROM urls WHERE url = ?", (url,))
        if not rows:
            raise CollectionError(f"{url} is not in the ledger {self.folder}; add it as found first.")
        kind, identity = rows[0]["kind"], image_id(data)
        digest = hashlib.sha256(data if original is None else original).hexdigest()
        known_by = {"image": identity, "source": digest} | ({"pixels": pixels} if pixels else {})
        if self._bury_if_removed(url, known_by):
            return None
        file = self._file(identity, kind)
        if not file.exists():
            with atomic_path(file) as temporary:
                temporary.write_bytes(data)
        with self._transaction() as database:
            # Again, and now nobody can remove it in between.
            if self._is_buried(database, known_by):
                file.unlink(missing_ok=True)
                self._bury_url(database, url, known_by)
                return None
            database.execute(
                "INSERT OR IGNORE INTO images (id, kind, state, width, height, pixels) "
                "VALUES (?, ?, 'fetched', ?, ?, ?)",
                (identity, kind, *size, pixels),
            )
            database.execute(
                "UPDATE urls SET state = 'fetched', reason = '', retrieved = ?, source = ?, image = ? WHERE url = ?",
                (_now(), digest, identity, url),
            )
        return identity

    def _bury_if_removed(self, url: str, known_by: Mapping[str, str]) -> bool:
        """Whether this image was removed before. If so, its new address gets a tombstone as well."""
        with self._transaction() as database:
            if not self._is_buried(database, known_by):
                return False
            self._bury_url(database, url, known_by)
            return True

    @staticmethod
    def _is_buried(database: sqlite3.Connection, known_by: Mapping[str, str]) -> bool:
        return any(
            database.execute("SELECT 1 FROM tombstones WHERE what = ? AND digest = ?", pair).fetchone()
            for pair in known_by.items()
        )

    @staticmethod
    def _bury_url(database: sqlite3.Connection, url: str, known_by: Mapping[str, str]) -> None:
        image = next(
            row["image"]
            for pair in known_by.items()
            for row in database.execute("SELECT image FROM tombstones WHERE what = ? AND digest = ?", pair)
        )
        database.execute("INSERT OR IGNORE INTO tombstones VALUES (?, 'url', ?, ?)", (url, image, _now()))
        database.execute("DELETE FROM urls WHERE url = ?", (url,))

    def set_failed(self, url: str, reason: str, final: bool = True) -> None:
        """Say why an address could not be fetched. Unless ``final``, it waits for the next run."""
        with self._transaction() as database:
            database.execute(
                "UPDATE urls SET state = ?, reason = ?, tries = tries + 1 WHERE url = ? AND state = 'found'",
                ("refused" if final else "found", reason, url),
            )

    def reopen(self, rule: str) -> None:
        """Let addresses that were refused by ``rule`` (``rule: explanation``) be fetched after all."""
        with self._transaction() as database:
            database.execute(
                "UPDATE urls SET state = 'found', reason = '' WHERE state = 'refused' AND substr(reason, 1, ?) = ?",
                (len(rule) + 1, f"{rule}:"),
            )

    def refuse_waiting(self, reason: str) -> None:
        """Refuse the addresses that wait to be fetched and state no licence: the reverse of :meth:`reopen`.

        reason: ``rule: explanation``.
        """
        with self._transaction() as database:
            rows = database.execute("SELECT number, licence, licence_url FROM urls WHERE state = 'found'").fetchall()
            database.executemany(
                "UPDATE urls SET state = 'refused', reason = ? WHERE number = ?",
                [(reason, row["number"]) for row in rows if not is_stated(row["licence"], row["licence_url"])],
            )

    def unscreen(self) -> int:
        """Let screening judge again what it has judged, except images that a person has decided about.

        Returns how many.
        """
        with self._transaction() as database:
            return database.execute(
                "UPDATE images SET state = 'fetched', reason = '' WHERE state IN ('accepted', 'refused')"
                f" AND id NOT IN (SELECT image FROM ({_STANDING_DECISIONS}))"
            ).rowcount

    def set_screened(self, image_id: str, reason: str | None = None) -> None:
        """Say what screening found: None accepts the image, a reason (``rule: explanation``) refuses it."""
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE images SET state = ?, reason = ? WHERE id = ?",
                ("accepted" if reason is None else "refused", reason or "", image_id),
            )
            if not changed.rowcount:
                raise self._unknown(image_id)

    def copies(self, image_id: str) -> list[str]:
        """The other images with the very pixels of this one, also where this one was removed already."""
        same = """
            SELECT id FROM images WHERE id != ? AND pixels IN (
                SELECT pixels FROM images WHERE id = ? AND pixels != ''
                UNION SELECT digest FROM tombstones WHERE image = ? AND what = 'pixels'
            ) ORDER BY id
        """
        return [row["id"] for row in self._rows(same, (image_id, image_id, image_id))]

    def remove(self, image_id: str, appearance: str = "") -> list[str]:
        """Take out an image and its copies for good: rows, decisions and files. Their tombstones remain.

        appearance: what near copies of it are known by (:func:`chairfinder.building.appearance_of`), kept with the
        tombstones. Returns their addresses. Removing it once more does nothing. Raises CollectionError for an id that
        was never here.
        """
        with self._transaction() as database:
            self.check_known(image_id)
            gone = [image_id, *self.copies(image_id)]
            for identity in gone:
                self._bury(database, identity)
            if appearance:
                database.execute(
                    "INSERT OR IGNORE INTO tombstones VALUES (?, 'look', ?, ?)", (appearance, image_id, _now())
                )
        for identity in gone:
            for suffix in _SUFFIXES.values():
                (self.folder / "images" / f"{identity}{suffix}").unlink(missing_ok=True)
        buried = "SELECT digest FROM tombstones WHERE image = ? AND what = 'url'"
        return [row["digest"] for identity in gone for row in self._rows(buried, (identity,))]

    @staticmethod
    def _bury(database: sqlite3.Connection, identity: str) -> None:
        """Put tombstones in the place of an image's rows."""
        pixels = database.execute("SELECT pixels FROM images WHERE id = ? AND pixels != ''", (identity,)).fetchall()
        urls = database.execute("SELECT url, source FROM urls WHERE image = ?", (identity,)).fetchall()
        marks = [(row["url"], "url") for row in urls] + [(row["source"], "source") for row in urls]
        marks += [(identity, "image")] + [(row["pixels"], "pixels") for row in pixels]
        database.executemany(
            "INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?, ?)",
            [(digest, what, identity, _now()) for digest, what in marks],
        )
        database.execute("DELETE FROM urls WHERE image = ?", (identity,))
        database.execute("DELETE FROM images WHERE id = ?", (identity,))
        database.execute("DELETE FROM decisions WHERE image = ?", (identity,))

    def removed_appearances(self) -> list[tuple[str, str]]:
        """Removed images' appearances, by which near copies are known: pairs (id of the removed image, appearance)."""
        rows = self._rows("SELECT image, digest FROM tombstones WHERE what = 'look' ORDER BY image")
        return [(row["image"], row["digest"]) for row in rows]

    def check_known(self, image_id: str) -> None:
        """Raise CollectionError for an id that was never here; one that was removed is known."""
        known = (
            "SELECT 1 FROM images WHERE id = ? UNION ALL SELECT 1 FROM tombstones WHERE what = 'image' AND digest = ?"
        )
        if not self._rows(known, (image_id, image_id)):
            raise self._unknown(image_id)

    def clean(self) -> int:
        """Delete files without a row, as a killed process leaves them; returns how many.

        Only for whoever fills the ledger.
        """
        known = {f"{row['id']}{_SUFFIXES[row['kind']]}" for row in self._rows("SELECT id, kind FROM images")}
        stray = [name for name in os.listdir(self.folder / "images") if name not in known]
        for name in stray:
            (self.folder / "images" / name).unlink(missing_ok=True)
        return len(stray)

    # -- reading ------------------------------------------------------------------------------------------------------

    def images(self, state: str | None = None, kind: str | None = None) -> list[Entry]:
        """The images, sorted by id: all of them, or those in one state or of one kind.

        ``accepted`` and ``refused`` are what screening said, whether or not a person has decided since; ``reviewed``
        are those with a decision.
        """
        if state is not None and state not in STATES:
            raise ParameterError(f"state {state!r} is unknown; expected one of {', '.join(STATES)}.")
        if kind is not None and kind not in KINDS:
            raise ParameterError(f"kind {kind!r} is unknown; expected one of {', '.join(KINDS)}.")
        return [
            entry
            for entry, screened, _ in self._entries("images.id")
            if state in (None, screened, entry.state) and kind in (None, entry.kind)
        ]

    def accepted(self) -> list[tuple[Entry, str]]:
        """The images that screening accepted, in the order found, each with the digest of its pixels."""
        return [(entry, pixels) for entry, screened, pixels in self._entries("urls.number") if screened == "accepted"]

    def _entries(self, order: str) -> Iterator[tuple[Entry, str, str]]:
        """Each image, what screening said of it, and the digest of its pixels."""
        names = [field.name for field in fields(Entry)]
        for row in self._rows(f"{_ENTRIES} ORDER BY {order}"):
            yield Entry(**{name: row[name] for name in names}), row["screened"], row["pixels"]

    def path(self, entry_or_id: Entry | str) -> Path:
        """The image's file. Raises CollectionError for an id that is not in the ledger."""
        if isinstance(entry_or_id, Entry):
            return self._file(entry_or_id.id, entry_or_id.kind)
        rows = self._rows("SELECT id, kind FROM images WHERE id = ?", (entry_or_id,))
        if not rows:
            raise self._unknown(entry_or_id)
        return self._file(rows[0]["id"], rows[0]["kind"])

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        """Those of these images that the ledger doesn't hold (any more), in their order."""
        asked = list(image_ids)
        rows = self._rows("SELECT id FROM images WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(asked),))
        held = {row["id"] for row in rows}
        return [image_id for image_id in asked if image_id not in held]

    def _file(self, identity: str, kind: str) -> Path:
        return self.folder / "images" / f"{identity}{_SUFFIXES[kind]}"

    def _unknown(self, identity: str) -> CollectionError:
        return CollectionError(
            f"image {identity!r} is not in the ledger {self.folder}; ids are in the collection's manifest.csv."
        )

    def refusals(self) -> list[tuple[str, str, str, str]]:
        """What was refused before it became an image: (provider, kind, address, reason), in the order found."""
        rows = self._rows("SELECT provider, kind, url, reason FROM urls WHERE state = 'refused' ORDER BY number")
        return [(row["provider"], row["kind"], row["url"], row["reason"]) for row in rows]

    def counts(self) -> dict[tuple[str, str, str, str], int]:
        """Numbers of addresses by (provider, kind, what became of it, reason).

        What became of it: ``waiting`` (with a reason, where it failed so far), ``refused`` unseen, ``fetched`` and not
        screened yet, ``accepted``, ``unfit`` as screening said, ``copy`` of an image found before. A reason is the rule
        before its colon.
        """
        rows = self._rows(
            """
            SELECT urls.provider, urls.kind, CASE
                WHEN urls.state = 'found' THEN 'waiting'
                WHEN urls.image IS NULL THEN 'refused'
                WHEN urls.number > (SELECT MIN(number) FROM urls AS first WHERE first.image = urls.image) THEN 'copy'
                WHEN images.state = 'refused' THEN 'unfit'
                ELSE images.state END AS became,
                CASE WHEN urls.image IS NULL THEN urls.reason ELSE images.reason END AS reason
            FROM urls LEFT JOIN images ON images.id = urls.image
            """
        )
        counts: dict[tuple[str, str, str, str], int] = {}
        for row in rows:
            reason = "" if row["became"] == "copy" else row["reason"].split(":")[0]
            key = (row["provider"], row["kind"], row["became"], reason)
            counts[key] = counts.get(key, 0) + 1
        return counts

    # -- decisions ----------------------------------------------------------------------------------------------------

    def decide(self, image_id: str, decision: str, reason: str = "", by: str = "") -> None:
        """Append a decision, ``keep`` or ``refuse``; it is on the disk when this returns.

        Raises ParameterError for another word, CollectionError for an id that is not in the ledger.
        """
        self.decide_page([image_id], decision, reason, by)

    def decide_page(self, image_ids: Iterable[str], decision: str, reason: str = "", by: str = "") -> None:
        """Append the same decision on several images, all or none.

        One transaction is faster: each waits for the disk.
        """
        time = _now()
        self.decide_all([Decision(image_id, decision, reason, time, by) for image_id in image_ids])

    def decide_all(self, decisions: Iterable[Decision]) -> None:
        """Append decisions with their own times, all or none."""
        with self._transaction() as database:
            for entry in decisions:
                if entry.decision not in DECISIONS:
                    raise ParameterError(
                        f"decision {entry.decision!r} is unknown; expected one of {', '.join(DECISIONS)}."
                    )
                if not database.execute("SELECT 1 FROM images WHERE id = ?", (entry.image_id,)).fetchone():
                    raise self._unknown(entry.image_id)
                database.execute(
                    "INSERT INTO decisions (image, decision, reason, time, by) VALUES (?, ?, ?, ?, ?)",
                    (entry.image_id, entry.decision, entry.reason, entry.time, entry.by),
                )

    def undo(self) -> str | None:
        """Take the last decision that stands back; the id of its image, or None where there is none."""
        with self._transaction() as database:
            last = database.execute(
                "SELECT number, image FROM decisions WHERE NOT undone ORDER BY number DESC LIMIT 1"
            ).fetchone()
            if last is None:
                return None
            database.execute("UPDATE decisions SET undone = 1 WHERE number = ?", (last["number"],))
            return str(last["image"])

    def decisions(self) -> list[Decision]:
        """The decision that stands for each image, in the order in which they were taken."""
        rows = self._rows(
            "SELECT image, decision, reason, time, by FROM decisions"
            f" WHERE number IN (SELECT number FROM ({_STANDING_DECISIONS})) ORDER BY number"
        )
        return [Decision(*row) for row in rows]
