"""The figures of a collection whose every figure is known beforehand."""

import io
import re

import pytest
from PIL import Image

from chairfinder.provenance import Provenance
from chairfinder.writing import Item, write_collection
from chairlib.collection import SPLITS
from chairlib.collection.info import describe
from chairlib.core.errors import CollectionError


def item(kind, number, image, group, licence):
    stream = io.BytesIO()
    image.save(stream, "PNG" if kind == "segment" else "JPEG")
    return Item(kind, stream.getvalue(), *image.size, group, Provenance("test", licence=licence))


def half_opaque(number, size):
    """The left half of the canvas is opaque, the right half at just 0.4."""
    image = Image.new("RGBA", size, (number, 0, 0, 102))
    image.paste((number, 0, 0, 255), (0, 0, size[0] // 2, size[1]))
    return image


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    sizes = [(58, 58)] * 6 + [(116, 580)] * 2 + [(232, 116)]
    segments = [
        item("segment", i, half_opaque(i, size), f"segment:{i // 2}", "CC0" if i < 4 else "")
        for i, size in enumerate(sizes)
    ]
    rooms = [
        item("background", i, Image.new("RGB", (40 + i, 30), (i * 20, 0, 0)), f"room:{i}", "CC-BY") for i in range(10)
    ]
    return write_collection(tmp_path_factory.mktemp("info") / "known", [*segments, *rooms], 0)


def test_counts_groups_sizes_and_licences(collection):
    found = describe(collection)
    assert found.title == f"known  (data hash {collection.hash})"
    assert found.counts["backgrounds", "images"].to_dict() == {"train": 6, "val": 2, "test": 2, "all": 10}
    assert found.counts["backgrounds", "groups"].equals(found.counts["backgrounds", "images"])
    assert found.counts.loc["all", "segments"].to_dict() == {"images": 9, "groups": 5}
    for split in SPLITS:
        rows = collection.rows("segment", split)
        assert found.counts.loc[split, "segments"].to_dict() == {"images": len(rows), "groups": rows["group"].nunique()}
    assert found.notes[:2] == [
        "segments: 58 to 232 (median 58) pixels wide, 58 to 580 (median 58) high; licence: not stated (5), CC0 (4)",
        "backgrounds: 40 to 49 (median 44) pixels wide, 30 high; licence: CC-BY (10)",
    ]


def test_foreground_shares(collection):
    shares = re.findall(r"([\d.]+) %", describe(collection).notes[2])
    assert shares[0] == "50.0"
    # Half of the 58 x 58 pixels that the canvas is stretched to, and a column where the edge is blended.
    assert float(shares[1]) / 100 == pytest.approx(58 * 29 / 64**2, abs=58 / 64**2)


def test_the_text_says_it_all(collection):
    text = str(describe(collection))
    for part in ("known", collection.hash, "segments", "backgrounds", "groups", "CC0", "not stated", "50.0 %", "21.99"):
        assert part in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_a_notebook_shows_a_table(collection):
    shown = describe(collection)._repr_html_()
    figures = re.findall(r"<td[^>]*>(.*?)</td>", shown)
    assert figures[0::4] == [*(str(len(collection.rows("segment", split))) for split in SPLITS), "9"]
    assert figures[-4:] == ["9", "5", "10", "10"]
    for part in ("58 to 232 (median 58) pixels wide", "30 high", "not stated (5), CC0 (4)", "50.0 %"):
        assert part in shown


def test_a_damaged_segment_is_named(collection, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for folder in ("segments", "backgrounds"):
        (copy / folder).mkdir()
        for file in (collection.root / folder).iterdir():
            (copy / folder / file.name).write_bytes(file.read_bytes())
    (copy / "manifest.csv").write_bytes((collection.root / "manifest.csv").read_bytes())
    broken = type(collection)(copy)
    first = broken.path("segment", broken.rows("segment")["id"][0])
    first.write_bytes(first.read_bytes()[:60])
    with pytest.raises(CollectionError, match=first.name):
        describe(broken)
