"""A collection written is a collection opened, and one that is unsound is refused in one clear line."""

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from chairfinder.provenance import Provenance
from chairfinder.writing import Item, write_collection
from chairlib.collection import KINDS, MANIFEST_COLUMNS, SPLITS, Collection
from chairlib.collection.collection import OPTIONAL_COLUMNS
from chairlib.core import paths
from chairlib.core.errors import ChairlibError, CollectionError


def make_items(n=9, kinds=KINDS):
    return [
        Item(kind, f"{kind} {i}".encode(), 10 + i, 20, f"{kind}:{i}", Provenance(f"from {i}", licence="CC0"))
        for kind in kinds
        for i in range(n)
    ]


@pytest.fixture
def collection(tmp_path):
    return write_collection(tmp_path / "chairs", iter(make_items()), seed=0)


def edit(collection, change):
    file = collection.root / "manifest.csv"
    change(pd.read_csv(file, dtype=str, keep_default_na=False)).to_csv(file, index=False)


def test_items_come_back_as_given(collection):
    assert collection.name == "chairs"
    assert list(collection.manifest.columns) == list(MANIFEST_COLUMNS)
    segments = collection.rows("segment")
    assert segments["source"].tolist() == [f"from {i}" for i in range(9)]
    assert segments["width"].tolist() == list(range(10, 19))
    assert segments["licence"].tolist() == ["CC0"] * 9
    assert segments["author"].tolist() == [""] * 9
    first = collection.path("segment", segments["id"][0])
    assert first == collection.root / "segments" / f"{hashlib.sha256(b'segment 0').hexdigest()[:16]}.png"
    assert first.read_bytes() == b"segment 0"
    assert collection.path("background", collection.rows("background")["id"][3]).read_bytes() == b"background 3"
    assert collection.path("background", "x").name == "x.jpg"


def test_pages_and_licence_texts_stand_in_the_manifest_where_any_is_known(tmp_path):
    plain = write_collection(tmp_path / "plain", make_items())
    items = [
        replace(item, provenance=replace(item.provenance, licence_url=f"https://x.org/{n}"))
        for n, item in enumerate(make_items())
    ]
    items[0] = replace(items[0], provenance=replace(items[0].provenance, landing_page="=page()"))
    known = write_collection(tmp_path / "known", items)
    assert known.manifest.columns.tolist() == [*MANIFEST_COLUMNS, *OPTIONAL_COLUMNS]
    assert known.manifest["licence_url"].tolist() == [item.provenance.licence_url for item in items]
    assert known.manifest["landing_page"].tolist() == ["=page()", *[""] * 17]
    assert "'=page()" in (known.root / "manifest.csv").read_text()
    assert known.hash == plain.hash
    # A collection of before these columns, or with columns of its owner's, is one all the same.
    edit(known, lambda rows: rows.drop(columns="landing_page").assign(mine="x"))
    assert Collection(known.root).hash == plain.hash


@pytest.mark.parametrize(("kind", "mode"), [("segment", "RGBA"), ("background", "RGB")])
def test_an_image_is_opened_in_the_mode_of_its_kind(tmp_path, kind, mode):
    items = make_items()
    picture = Image.new("LA" if kind == "segment" else "L", (6, 4), 90)
    stream = io.BytesIO()
    picture.save(stream, "PNG" if kind == "segment" else "JPEG")
    number = KINDS.index(kind) * 9
    items[number] = replace(items[number], data=stream.getvalue())
    written = write_collection(tmp_path / "c", items)
    image = written.open(kind, written.rows(kind)["id"][0])
    assert (image.mode, image.size, image.getpixel((0, 0))[:3]) == (mode, (6, 4), (90, 90, 90))


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b" ", lambda data: b""])
def test_an_image_that_is_no_longer_what_its_name_says_is_refused(collection, damage):
    file = collection.path("segment", collection.rows("segment")["id"][0])
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CollectionError, match=f"{file.name} has been changed"):
        collection.open("segment", file.stem)


def test_what_is_no_image_or_is_gone_is_refused_by_name(collection):
    file = collection.path("background", collection.rows("background")["id"][0])
    for _ in range(2):
        with pytest.raises(CollectionError, match=f"{file.name} cannot be read as an image"):
            collection.open("background", file.stem)
        file.unlink(missing_ok=True)


def test_rows_of_a_split(collection):
    parts = [collection.rows("segment", split) for split in SPLITS]
    assert sorted(pd.concat(parts)["id"]) == sorted(collection.rows("segment")["id"])
    assert [len(part) for part in parts] == [5, 2, 2]
    assert list(parts[1].index) == [0, 1]


def test_opening_gives_the_same_collection(collection):
    opened = Collection(str(collection.root))
    assert opened.hash == collection.hash
    pd.testing.assert_frame_equal(opened.manifest, collection.manifest)


def test_the_hash_follows_content_order_and_splits_only(collection, tmp_path):
    assert len(collection.hash) == 16
    assert write_collection(tmp_path / "b", make_items(), seed=0).hash == collection.hash
    # A segment's number decides which backgrounds it meets.
    assert write_collection(tmp_path / "e", reversed(make_items()), seed=0).hash != collection.hash
    assert write_collection(tmp_path / "c", make_items(), seed=1).hash != collection.hash
    assert write_collection(tmp_path / "d", make_items(10), seed=0).hash != collection.hash
    edit(collection, lambda rows: rows.assign(author="someone"))
    assert Collection(collection.root).hash == Collection(tmp_path / "b").hash
    edit(collection, lambda rows: rows[::-1])
    assert Collection(collection.root).hash != Collection(tmp_path / "b").hash
    edit(collection, lambda rows: rows[::-1])
    assert Collection(collection.root).hash == Collection(tmp_path / "b").hash
    edit(collection, lambda rows: rows.assign(group=rows["group"] + "x"))
    assert Collection(collection.root).hash != Collection(tmp_path / "b").hash


def test_mini_is_the_default(collection, monkeypatch):
    monkeypatch.setattr(paths, "mini", collection.root)
    assert Collection().root == Collection("mini").root == collection.root


def test_extra_files_stand_beside_the_manifest(tmp_path):
    written = write_collection(tmp_path / "c", make_items(), 0, {"refused.csv": "é"})
    assert (written.root / "refused.csv").read_text(encoding="utf-8") == "é"


def drop_split(rows):
    return rows[~((rows["kind"] == "background") & (rows["split"] == "val"))]


def tear_group(rows):
    of_train = rows.index[(rows["kind"] == "segment") & (rows["split"] == "train")][0]
    of_test = rows.index[(rows["kind"] == "segment") & (rows["split"] == "test")][0]
    rows.loc[[of_train, of_test], "group"] = "torn"
    return rows


def share_group(rows):
    train = rows[rows["split"] == "train"]
    rows.loc[[train.index[train["kind"] == kind][0] for kind in KINDS], "group"] = "shared"
    return rows


def set_first(column, value):
    def change(rows):
        rows.loc[0, column] = value
        return rows

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_split, "val split has no backgrounds"),
        (tear_group, "group 'torn' is in 2 splits"),
        (share_group, "group 'shared' is in 2 kinds"),
        (lambda rows: pd.concat([rows, rows[:1]]), "stands 2 times"),
        (lambda rows: rows.drop(columns=["group", "licence"]), "lacks the columns licence, group"),
        (set_first("kind", "sofa"), "kind 'sofa' is unknown"),
        (set_first("split", "dev"), "split 'dev' is unknown"),
        (set_first("id", "../../x"), "id '../../x'"),
        (set_first("width", "wide"), "width 'wide'"),
        (set_first("height", "0"), "height '0'"),
        (lambda rows: rows[:0], "train split has no segments"),
    ],
)
def test_an_unsound_manifest_is_refused(collection, change, message):
    edit(collection, change)
    with pytest.raises(CollectionError, match=message) as caught:
        Collection(collection.root)
    assert "\n" not in str(caught.value)


def test_missing_parts_are_named(collection, tmp_path):
    with pytest.raises(CollectionError, match="nowhere is not a folder"):
        Collection(tmp_path / "nowhere")
    with pytest.raises(CollectionError, match=r"no manifest\.csv"):
        Collection(tmp_path)
    lost = collection.path("background", collection.rows("background")["id"][0])
    lost.unlink()
    with pytest.raises(CollectionError, match=f"lacks 1 of 9 files.*{lost.name}"):
        Collection(collection.root)


@pytest.mark.parametrize("content", [b"", b'id,kind\n"unclosed', b"\xff\xfe\x00\x01", b"a,b\n1,2\n1,2,3,4\n"])
def test_a_manifest_that_is_no_table_is_refused(collection, content):
    (collection.root / "manifest.csv").write_bytes(content)
    with pytest.raises(CollectionError) as caught:
        Collection(collection.root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace(",", ";"),
        lambda text: "sep=,\n" + text,
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", ", "),
        lambda text: "\ufeffId" + text.removeprefix("id"),
    ],
)
def test_a_manifest_that_a_spreadsheet_saved_is_the_same(collection, rewrite):
    file = collection.root / "manifest.csv"
    file.write_text(rewrite(file.read_text()))
    again = Collection(collection.root)
    assert again.hash == collection.hash
    pd.testing.assert_frame_equal(again.manifest, collection.manifest)


def test_a_column_by_another_name_is_not_lost(collection):
    edit(collection, lambda rows: rows.rename(columns={"licence": "license"}))
    with pytest.raises(CollectionError, match="column 'license', which is not read; rename it: 'licence' is"):
        Collection(collection.root)


def test_images_are_read_by_their_content(collection, monkeypatch):
    """A PostScript file with an image's name and hash is refused before Pillow starts a program for it."""
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: pytest.fail("a program was started"))
    data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    identity = hashlib.sha256(data).hexdigest()[:16]
    collection.path("background", identity).write_bytes(data)
    with pytest.raises(CollectionError, match="a PostScript document"):
        collection.open("background", identity)


def raising():
    yield make_items()[0]
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("items", "error"),
    [
        (make_items(2), CollectionError),
        (make_items(kinds=("segment",)), CollectionError),
        ([*make_items(), make_items()[0]], CollectionError),
        ([Item("sofa", b"", 1, 1, "g", Provenance("s"))], CollectionError),
        (raising(), KeyboardInterrupt),
    ],
    ids=["too few", "one kind", "twice", "kind", "interrupted"],
)
def test_nothing_is_left_half_written(tmp_path, items, error):
    with pytest.raises(error):
        write_collection(tmp_path / "c", items, 0)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_replaced(collection):
    with pytest.raises(ChairlibError, match="not an empty folder"):
        write_collection(collection.root, make_items(), 0)
    assert Path(collection.root / "manifest.csv").exists()
