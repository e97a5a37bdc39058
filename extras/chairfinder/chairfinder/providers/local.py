"""A folder of images as a provider: ``local:FOLDER``. What it says of an image stands in a ``manifest.csv`` beside it.

A file is found by a query if its path, from the folder's own name on, holds all words of the query ("arm chair" finds
``arm-chairs/7.png``). What its name's end says is an image of the other kind (``.jpg`` for segments) is left to that
kind's queries; whatever else matches is taken and judged by its content, so that a file that is no image is refused
with a reason. The manifest is that of `chairlib import`: authors, addresses and licences come along.
"""

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes, urlsplit

from chairfinder.importing import is_ignored, is_manifest, read_notes
from chairfinder.ledger import SearchResult
from chairfinder.providers import ApiClient, Page
from chairfinder.queries import Query
from chairfinder.texts import text_of
from chairlib.core.errors import ParameterError
from chairlib.core.files import is_leftover

_PAGE = 100
_SUFFIXES = {
    "segment": (".png", ".webp", ".gif", ".tif", ".tiff", ".avif"),
    "background": (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp"),
}


def local_path(url: str) -> Path:
    """The file that an address of this provider (``file://...``) stands for."""
    return Path(_unquoted(urlsplit(url).path))


class Local:
    """The images in ``folder`` and its sub-folders. Raises ParameterError where that is no folder."""

    name = "local"
    web = False

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder).expanduser().resolve()
        #: Tells the searches in one folder from those in another; ``name``, which stands with the images, says nothing
        #: of this machine.
        self.key = f"{self.name}:{self._folder}"
        if not self._folder.is_dir():
            raise ParameterError(f"provider 'local:{folder}': that is not a folder; name one that holds images.")
        self._files: list[Path] | None = None
        self._notes: dict[Path, dict[str, str]] = {}
        self._offered: set[Path] = set()
        self._unoffered: set[Path] = set()

    def search(self, query: Query, client: ApiClient, after: str | None) -> Page:
        """As :class:`chairfinder.providers.Provider` says. The cursor is the last file of the page before, quoted."""
        last = None if after is None else _unquoted(after)
        words = _words(query.text)
        of_other_kind = {end for ends in _SUFFIXES.values() for end in ends} - set(_SUFFIXES[query.kind])
        matching = [
            file
            for file in self._list_files()
            if words <= _words(f"{self._folder.name}/{self._relative(file)}")
            and (last is None or self._relative(file) > last)
        ]
        left = {file for file in matching if file.suffix.lower() in of_other_kind}
        matching = [file for file in matching if file not in left]
        page = matching[:_PAGE]
        self._unoffered |= left
        self._offered.update(page)
        cursor = quote(bytes(page[-1].relative_to(self._folder))) if len(matching) > _PAGE else None
        return Page([self._item(file) for file in page], cursor)

    @property
    def left_out(self) -> list[str]:
        """Files that the searches so far matched as the kind that their names deny, and as no other."""
        return sorted(self._relative(file) for file in self._unoffered - self._offered)

    def _list_files(self) -> list[Path]:
        if self._files is None:
            self._files = []
            for place, folders, names in os.walk(self._folder):
                folders[:] = [name for name in folders if not is_leftover(name)]
                self._files += [Path(place) / name for name in names if not is_ignored(name)]
                for name in filter(is_manifest, names):
                    self._notes |= read_notes(Path(place) / name, Path(place).relative_to(self._folder))
            self._files.sort(key=self._relative)
        return self._files

    def _relative(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix()

    def _item(self, file: Path) -> SearchResult:
        note = self._notes.get(file, {})
        return SearchResult(
            file.as_uri(),
            landing_page=note.get("landing_page") or note.get("url", ""),
            author=note.get("author", ""),
            licence=note.get("licence", ""),
            licence_url=note.get("licence_url", ""),
            title=text_of(file.stem),
        )


def _unquoted(text: str) -> str:
    """A quoted path as the system spells it: names of files are bytes, not always of UTF-8."""
    return os.fsdecode(unquote_to_bytes(text))


def _words(text: str) -> set[str]:
    """The words of a text in lower case, a plural's s left out."""
    return {word.removesuffix("s") for word in re.findall(r"[^\W_]+", text.lower())}
