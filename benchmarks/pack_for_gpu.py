"""Pack a collection into one small file that travels to a machine with a GPU, for `gpu.py`.

Images are shrunk to 256 pixels a side, the benchmark's largest resolution, and stored again: segments as PNG, without
loss beside the shrinking, backgrounds as JPEG. All segments are taken, and as many backgrounds as fit, evenly spread.
The file is a ZIP archive that holds a collection: unpacked, it opens as any other.

    python benchmarks/pack_for_gpu.py COLLECTION FILE [--megabytes 35] [--side 256] [--quality 75]
"""

import argparse
import io
import math
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

from PIL import Image

from chairfinder.provenance import Provenance
from chairfinder.writing import Item, write_collection
from chairlib.collection import Collection
from chairlib.core.errors import ParameterError
from chairlib.core.files import atomic_path
from chairlib.core.progress import progress_bar

#: Bytes that the manifest and the archive's table take for an image, at most.
BYTES_A_ROW = 500


def shrink(collection: Collection, row: dict, side: int, quality: int) -> Item:
    """An image of the collection with no side longer than ``side``, as a finished file with the provenance it had."""
    image = collection.open(row["kind"], row["id"])
    if row["kind"] == "segment":
        # Pixels that nobody sees cost bytes: where a segment is transparent, its colour becomes black.
        image = Image.composite(image, Image.new("RGBA", image.size), image.getchannel("A").point(lambda a: a and 255))
    # Each side for itself: composites stretch the whole image to a square anyway.
    image = image.resize(tuple(min(side, length) for length in image.size), Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    if row["kind"] == "segment":
        image.save(stream, "PNG", optimize=True)
    else:
        image.save(stream, "JPEG", quality=quality, optimize=True)
    columns = {field.name: row[field.name] for field in fields(Provenance) if field.name in row}
    return Item(row["kind"], stream.getvalue(), *image.size, row["group"], Provenance(**columns))


def chosen(collection: Collection, megabytes: float, side: int, quality: int) -> Iterator[Item]:
    """All segments, then backgrounds from all over the collection until ``megabytes`` are full."""
    left = megabytes * 10**6
    for kind in ("segment", "background"):
        rows = collection.rows(kind).to_dict("records")
        if kind == "background":  # a fixed stride that meets each once: any beginning of it is evenly spread
            stride = next(n for n in range(int(len(rows) * 0.618) + 1, 2 * len(rows)) if math.gcd(n, len(rows)) == 1)
            rows = [rows[number * stride % len(rows)] for number in range(len(rows))]
        with ThreadPoolExecutor() as pool:
            items = pool.map(lambda row: shrink(collection, row, side, quality), rows)
            seen = set()
            for item in progress_bar(items, f"shrinking {kind}s", len(rows), unit="image"):
                left -= len(item.data) + BYTES_A_ROW
                if left < 0:
                    if kind == "segment":
                        raise ParameterError(
                            f"the segments alone take more than {megabytes:g} MB; give more --megabytes, or a "
                            "smaller --side."
                        )
                    pool.shutdown(cancel_futures=True)
                    return
                if item.data not in seen:  # two large images can be the same small one
                    seen.add(item.data)
                    yield item


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("collection")
    parser.add_argument("file", type=Path)
    parser.add_argument("--megabytes", type=float, default=35)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--quality", type=int, default=75)
    arguments = parser.parse_args()

    collection = Collection(arguments.collection)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / collection.name
        small = write_collection(root, chosen(collection, arguments.megabytes, arguments.side, arguments.quality))
        with atomic_path(arguments.file) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(root.rglob("*.*")):
                archive.write(path, path.relative_to(root.parent))
    size = arguments.file.stat().st_size
    print(f"{arguments.file}: {size / 1e6:.1f} MB, {small!r} of {collection!r}")


if __name__ == "__main__":
    main()
