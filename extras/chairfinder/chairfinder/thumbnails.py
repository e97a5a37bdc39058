"""Small pictures of large images, made ahead of need in the background."""

import base64
import io
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from chairlib.collection.images import read_photo, read_segment

#: Quality of the WebP files, of 100: artefacts stay below what a person sees at that size.
_QUALITY = 88


def thumbnail(kind: str, file: Path, side: int = 160) -> str:
    """An image as the data URI of a WebP file whose longer side has at most ``side`` pixels, transparency kept.

    Raises ImageError where the file cannot be read.
    """
    image = read_segment(file) if kind == "segment" else read_photo(file)
    image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=_QUALITY, method=1)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


class Thumbnails:
    """Thumbnails by file, made in the background when announced; only those announced last are held."""

    def __init__(self, kind: str, side: int = 160, workers: int = 2) -> None:
        self.kind, self.side = kind, side
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="thumbnails")
        self._made: dict[Path, Future[str]] = {}

    def announce(self, files: Iterable[Path]) -> None:
        """Start making these, the first ones first, and forget all others."""
        wanted = list(files)
        for file in self._made.keys() - set(wanted):
            self._made.pop(file).cancel()
        for file in wanted:
            if file not in self._made:
                self._made[file] = self._pool.submit(thumbnail, self.kind, file, self.side)

    def get(self, file: Path) -> str:
        """A thumbnail's data URI, at once if it was announced in time.

        Raises ImageError for a file that cannot be read.
        """
        made = self._made.get(file)
        return made.result() if made else thumbnail(self.kind, file, self.side)
