"""Exports, each read back by the library that it is for; the data card and the table of contents of all."""

import hashlib
import itertools
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from chairbridge import export
from chairbridge.composites import NOT_STATED, Composites, Options
from chairfinder.coco_annotations import draw_mask, read_photos
from chairfinder.provenance import Provenance
from chairfinder.writing import Item, write_collection
from chairlib import ChairSegments, CompositeLoader, ReleasedChairSegments
from chairlib.collection import SPLITS, Collection
from chairlib.compositing.blend import mask_from_opacity
from chairlib.compositing.released import read_note
from chairlib.core.errors import ChairlibError, ParameterError
from drawing import draw_background, draw_segment, encode

FORMATS = ("released", "coco", "huggingface")
EMPTY = 2


@pytest.fixture(scope="module")
def licensed(tmp_path_factory) -> Collection:
    """A collection of several licences and authors, one of them a formula; some segments are too faint for a mask."""
    rng = np.random.default_rng(5)
    items = []
    for kind, count, draw in (("segment", 12, draw_segment), ("background", 8, draw_background)):
        for number in range(count):
            image = draw(rng)
            if kind == "segment" and number < EMPTY:
                image.putalpha(image.getchannel("A").point(lambda level: level // 4))
            stated = ("CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/")
            licence, address = ("", "") if number % 2 else stated
            if kind == "background":
                licence, address = "CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"
            provenance = Provenance(
                "drawn", f"https://example.org/{kind}/{number}.png", f"=Author {number}", licence, "2026-01-02",
                f"https://example.org/{kind}/{number}" if number % 3 else "", address,
            )  # fmt: skip
            group = f"{kind}:{number // 2}" if kind == "segment" else f"{kind}:{number}"
            items.append(Item(kind, encode(image, kind), *image.size, group, provenance))
    return write_collection(tmp_path_factory.mktemp("collections") / "licensed", items)


@pytest.fixture(scope="module")
def exports(licensed, tmp_path_factory):
    """The collection in every format, by its name."""
    folder = tmp_path_factory.mktemp("exports")
    count = sum(len(ChairSegments(licensed, split, 32)) for split in SPLITS)
    for name in FORMATS:
        assert export(licensed, folder / name, 32, format=name) == count
    return {name: folder / name for name in FORMATS}


def pixels(licensed, split):
    """What the library itself gives: images uint8 [N, d, d, 3] and masks bool [N, d, d]."""
    composites = ChairSegments(licensed, split, 32)
    images, masks = zip(*(composites[index] for index in range(len(composites))), strict=True)
    return np.stack([np.asarray(image) for image in images]), np.stack([np.asarray(mask) for mask in masks]) > 0


# -- the authors' layout ----------------------------------------------------------------------------------------------


def test_released_reads_back_with_pixels_and_groups(licensed, exports):
    for split in SPLITS:
        images, masks = pixels(licensed, split)
        stored = ReleasedChairSegments(exports["released"], split)
        assert np.array_equal(np.stack([np.asarray(stored[index][0]) for index in range(len(stored))]), images)
        assert np.array_equal(np.stack([np.asarray(stored[index][1]) for index in range(len(stored))]) > 0, masks)
        assert stored.groups == ChairSegments(licensed, split, 32).composites.groups
        assert split != "train" or len(set(stored.groups)) > 1
    assert stored.name == licensed.name
    assert read_note(exports["released"])["source"] == "chair_segments"


def test_the_loader_takes_the_export_for_the_collection(licensed, exports):
    ours = CompositeLoader(licensed, "val", 32, 7, "cpu")
    theirs = CompositeLoader(exports["released"], "val", 32, 7, "cpu")
    for (a, b), (c, d) in itertools.zip_longest(ours, theirs):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    assert list(theirs.groups) == list(ours.groups)


@pytest.mark.parametrize(("name", "mask"), [("released", "val/mask/1.png"), ("huggingface", "val/masks/000001.png")])
def test_soft_masks_are_the_same_under_the_rule(collection, tmp_path, name, mask):
    export(collection, tmp_path / "soft", 32, format=name, soft=True)
    levels = np.array(Image.open(tmp_path / "soft" / mask))
    assert len(np.unique(levels)) > 2
    hard = np.asarray(ChairSegments(collection, "val", 32)[1][1]) > 0
    assert np.array_equal(mask_from_opacity(torch.from_numpy(levels)).numpy(), hard)
    assert "hold the opacity itself" in (tmp_path / "soft" / "README.md").read_text()


def test_the_options_are_those_of_composites(licensed, tmp_path):
    options = {"fit": "keep", "crop": True, "backgrounds_per_segment": 2, "pair_seed": 9}
    export(licensed, tmp_path / "out", 32, **options)
    wanted, stored = ChairSegments(licensed, "train", 32, **options), ReleasedChairSegments(tmp_path / "out", "train")
    assert len(stored) == len(wanted)
    assert all(np.array_equal(stored[index][0], wanted[index][0]) for index in range(len(wanted)))
    card = (tmp_path / "out" / "README.md").read_text()
    for said in ("what of it is opaque", "without a change of its aspect", "on 2 different backgrounds", "the seed 9"):
        assert said in card


# -- COCO -------------------------------------------------------------------------------------------------------------


def test_pycocotools_reads_the_same_masks_bit_by_bit(licensed, exports):
    coco_class = pytest.importorskip("pycocotools.coco", reason="needs pycocotools").COCO
    seen, marked = [], []
    for split in SPLITS:
        images, masks = pixels(licensed, split)
        coco = coco_class(exports["coco"] / f"instances_{split}.json")
        assert len(coco.imgs) == len(images)
        for number, (identity, entry) in enumerate(coco.imgs.items()):
            stored = Image.open(exports["coco"] / "images" / entry["file_name"])
            assert stored.size == (entry["width"], entry["height"])
            assert np.array_equal(stored, images[number])
            annotations = coco.imgToAnns[identity]
            assert len(annotations) == masks[number].any()
            for one in annotations:
                assert np.array_equal(coco.annToMask(one), masks[number])
                assert one["area"] == masks[number].sum()
                rows, columns = np.nonzero(masks[number])
                left, top, width, height = one["bbox"]
                assert (left, top) == (columns.min(), rows.min())
                assert (left + width - 1, top + height - 1) == (columns.max(), rows.max())
            marked += [one["id"] for one in annotations]
        seen += list(coco.imgs)
        assert coco.loadCats(coco.getCatIds()) == [{"id": 1, "name": "chair", "supercategory": "furniture"}]
    # Joined, the three files have no number twice, and 0 is none: pycocotools takes it for "no match".
    assert sorted(seen) == list(range(1, len(seen) + 1))
    assert sorted(marked) == list(range(1, len(marked) + 1))
    assert 0 < len(marked) < len(seen)


def test_the_librarys_own_reader_of_coco_takes_it(licensed, exports):
    pytest.importorskip("pycocotools", reason="needs pycocotools")
    _, masks = pixels(licensed, "train")
    photos = read_photos(exports["coco"] / "images", exports["coco"] / "instances_train.json")
    assert len(photos) == masks.any(axis=(1, 2)).sum()
    for photo in photos.values():
        number = int(photo.file.stem.removeprefix("train-"))
        assert np.array_equal(draw_mask(photo, photo.chairs), masks[number])


def test_licences_in_coco_are_those_of_both_parts(licensed, exports):
    content = json.loads((exports["coco"] / "instances_train.json").read_text())
    names = {entry["id"]: entry for entry in content["licenses"]}
    assert {entry["name"] for entry in names.values()} == {
        "segment: CC BY-SA 4.0; background: CC0-1.0",
        f"segment: {NOT_STATED}; background: CC0-1.0",
    }
    of_segment = licensed.rows("segment").set_index("id")["licence"]
    for image in content["images"]:
        licence = of_segment[image["segment"]] or NOT_STATED
        assert names[image["license"]]["name"] == f"segment: {licence}; background: CC0-1.0"
        assert image["group"] == licensed.rows("segment").set_index("id")["group"][image["segment"]]


def test_one_licence_for_all_keeps_its_address(tmp_path):
    pytest.importorskip("pycocotools", reason="needs pycocotools")
    rng, address = np.random.default_rng(0), "https://example.org/licence"
    provenance = Provenance("drawn", licence="Own", licence_url=address)
    items = [
        Item(kind, encode(image, kind), *image.size, f"{kind}:{number}", provenance)
        for kind, draw in (("segment", draw_segment), ("background", draw_background))
        for number, image in enumerate(draw(rng) for _ in range(6))
    ]
    export(write_collection(tmp_path / "own", items), tmp_path / "out", 32, format="coco")
    content = json.loads((tmp_path / "out" / "instances_val.json").read_text())
    assert content["licenses"] == [{"id": 1, "name": "Own", "url": address}]
    head = yaml.safe_load((tmp_path / "out" / "README.md").read_text().split("---")[1])
    assert (head["license"], head["license_name"]) == ("other", "see-composites-csv")


def test_soft_masks_do_not_go_with_coco(licensed, tmp_path):
    with pytest.raises(ParameterError, match="soft True does not go with format 'coco'"):
        export(licensed, tmp_path / "out", 32, format="coco", soft=True)
    assert list(tmp_path.iterdir()) == []


# -- Hugging Face and Croissant ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["folder", "imagefolder"])
def test_datasets_loads_images_masks_and_groups(licensed, exports, tmp_path, monkeypatch, door):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    folder, cache = str(exports["huggingface"]), str(tmp_path / "cache")
    datasets.disable_progress_bars()
    data = (
        datasets.load_dataset(folder, cache_dir=cache)
        if door == "folder"
        else datasets.load_dataset("imagefolder", data_dir=folder, cache_dir=cache)
    )
    assert set(data) == {"train", "validation", "test"}
    for split, theirs in zip(SPLITS, ("train", "validation", "test"), strict=True):
        images, masks = pixels(licensed, split)
        assert len(data[theirs]) == len(images)
        assert np.array_equal(np.stack([np.asarray(image) for image in data[theirs]["image"]]), images)
        assert np.array_equal(np.stack([np.asarray(mask) for mask in data[theirs]["mask"]]) > 0, masks)
        assert list(data[theirs]["group"]) == ChairSegments(licensed, split, 32).composites.groups
        assert all(author.startswith("=Author") for author in data[theirs]["segment_author"])


def test_mlcroissant_finds_nothing_wrong_and_reads_every_record(exports):
    mlcroissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant")
    folder = exports["huggingface"]
    data = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert (list(data.metadata.ctx.issues.errors), list(data.metadata.ctx.issues.warnings)) == ([], [])
    rows = list(data.records("composites"))
    table = pd.read_csv(folder / "composites.csv", keep_default_na=False)
    assert [row["composites/file"].decode() for row in rows] == table["file"].tolist()
    assert [row["composites/group"].decode() for row in rows] == table["group"].tolist()
    shares = [row["composites/foreground_share"] for row in rows]
    assert np.allclose(shares, table["foreground_share"])
    for kind, column in (("images", "file"), ("masks", "mask_file")):
        records = {row[f"{kind}/path"].decode(): row[f"{kind}/content"] for row in data.records(kind)}
        assert sorted(records) == sorted(table[column])
        for name in table[column][:3]:
            assert np.array_equal(records[name], Image.open(folder / name).convert("RGB"))
    assert [row["splits/name"] for row in data.records("splits")] == list(SPLITS)


def test_mlcroissant_notices_a_table_that_was_changed(licensed, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant")
    export(licensed, tmp_path / "out", 32, format="huggingface")
    with (tmp_path / "out" / "composites.csv").open("a") as stream:
        stream.write("\n")
    with pytest.raises(mlcroissant.GenerationError) as raised:
        list(mlcroissant.Dataset(jsonld=str(tmp_path / "out" / "croissant.json")).records("composites"))
    assert "not identical with the reference" in str(raised.value.__cause__)


def test_croissant_has_checksums_of_all_tables_and_licences(exports):
    folder = exports["huggingface"]
    content = json.loads((folder / "croissant.json").read_text())
    sums = {entry["contentUrl"]: entry["sha256"] for entry in content["distribution"] if "sha256" in entry}
    assert set(sums) == {"composites.csv", *(f"{split}/metadata.jsonl" for split in SPLITS)}
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == sums[name] for name in sums)
    assert content["license"] == [
        "https://creativecommons.org/licenses/by-sa/4.0/",
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "unknown",
    ]


# -- what every format has --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_the_table_says_what_each_composite_is_made_of(licensed, exports, name):
    table = pd.read_csv(exports[name] / "composites.csv", keep_default_na=False)
    composites = Composites(licensed, Options(resolution=32))
    assert table["split"].tolist() == [split for split, count in composites.counts.items() for _ in range(count)]
    assert ("mask_file" in table) == (name != "coco")
    for kind in ("segment", "background"):
        manifest = licensed.manifest.set_index("id").loc[table[kind]]
        for column in ("licence", "licence_url", "source"):
            assert table[f"{kind}_{column}"].tolist() == manifest[column].tolist()
        # No spreadsheet runs an author's name as a formula.
        assert table[f"{kind}_author"].tolist() == [f"'{author}" for author in manifest["author"]]
        page = manifest["landing_page"].where(manifest["landing_page"] != "", manifest["url"])
        assert table[f"{kind}_address"].tolist() == page.tolist()
    assert table["group"].tolist() == licensed.manifest.set_index("id")["group"][table["segment"]].tolist()
    for split in SPLITS:
        masks = pixels(licensed, split)[1]
        assert np.allclose(table.loc[table["split"] == split, "foreground_share"], masks.mean(axis=(1, 2)), atol=1e-6)
    for row in table.itertuples():
        assert hashlib.sha256((exports[name] / row.file).read_bytes()).hexdigest() == row.sha256


@pytest.mark.parametrize("name", FORMATS)
def test_the_data_card(licensed, exports, name):
    text = (exports[name] / "README.md").read_text()
    assert text.startswith("---\n")
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == ["cc-by-sa-4.0", "cc0-1.0", "unknown"]
    assert head["task_categories"] == ["image-segmentation"]
    assert head["size_categories"] == ["n<1K"]
    assert ("configs" in head) == (name == "huggingface")
    table = pd.read_csv(exports[name] / "composites.csv")
    for split in SPLITS:
        rows = table[table["split"] == split]
        numbers = [len(rows), *(rows[column].nunique() for column in ("segment", "group", "background"))]
        share = f"{100 * rows['foreground_share'].mean():.2f} %"
        assert f"| {split} | {' | '.join(map(str, numbers))} | {share} |" in text
    assert f"{(table['foreground_share'] == 0).sum()} composites have no pixel of chair" in text
    assert (table["foreground_share"] == 0).any()
    for said in (licensed.hash, "32 x 32", "stretched to 29 x 29", "padding of 3 pixels", "seed 0", "2012.01250"):
        assert said in text
    assert "| CC BY-SA 4.0 | 6 | 0 |" in text
    assert f"| {NOT_STATED} | 6 | 0 |" in text
    assert "**6 of 20 images have no licence stated.**" in text
    assert "must not be used for" in text
    assert not [line for line in text.splitlines() if re.search("nan|None", line)]


def test_a_card_without_missing_licences_says_nothing_of_them(tmp_path):
    export("mini", tmp_path / "out", 32, backgrounds_per_segment=1)
    text = (tmp_path / "out" / "README.md").read_text()
    assert yaml.safe_load(text.split("---")[1])["license"] == "cc0-1.0"
    assert "licence stated" not in text


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_overwritten(collection, exports, name):
    before = sorted(exports[name].rglob("*"))
    with pytest.raises(ChairlibError, match="exists and is not an empty folder"):
        export(collection, exports[name], 32, format=name)
    assert sorted(exports[name].rglob("*")) == before


@pytest.mark.parametrize("name", FORMATS)
def test_a_failed_export_leaves_nothing(collection, tmp_path, monkeypatch, name):
    monkeypatch.setattr(Image.Image, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ChairlibError, match="No space left"):
        export(collection, tmp_path / "out", 32, format=name)
    assert list(tmp_path.iterdir()) == []


# -- stopped, and started again ---------------------------------------------------------------------------------------


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def blended(monkeypatch):
    """The batches of 8 that were blended; at the number in ``stop_at``, the work is stopped by ``error``."""

    class Blended(list):
        stop_at, error = 0, KeyboardInterrupt()

    seen, original = Blended(), Composites.blend

    def blend(composites, split, indices):
        if len(seen) + 1 == seen.stop_at:
            raise seen.error
        seen.append((split, len(indices)))
        return original(composites, split, indices)

    monkeypatch.setattr("chairbridge.composites.BATCH", 8)
    monkeypatch.setattr(Composites, "blend", blend)
    return seen


def stop(collection, out, blended, at=4, **options):
    blended.stop_at = at
    with pytest.raises(type(blended.error)):
        export(collection, out, 32, **options)
    blended.stop_at = 0
    blended.clear()


@pytest.mark.parametrize("name", FORMATS)
def test_a_stopped_export_goes_on_and_ends_as_one_that_was_not(collection, tmp_path, blended, capsys, name):
    total = export(collection, tmp_path / "uninterrupted", 32, format=name)
    n_batches = len(blended)
    blended.clear()
    stop(collection, tmp_path / "out", blended, format=name)
    assert "the same command goes on" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert export(collection, tmp_path / "out", 32, format=name) == total
    assert f"going on: 24 of {total} images were done before" in capsys.readouterr().err
    assert len(blended) == n_batches - 3
    assert content(tmp_path / "out") == content(tmp_path / "uninterrupted")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "uninterrupted"]
    assert {file.stat().st_nlink for file in (tmp_path / "out").rglob("*.png")} == {1}


@pytest.mark.parametrize("changed", [{"resolution": 40}, {"soft": True}, {"format": "huggingface"}, {"pair_seed": 1}])
def test_other_options_are_never_gone_on_with(collection, tmp_path, blended, changed):
    stop(collection, tmp_path / "out", blended)
    asked = {"resolution": 32, **changed}
    export(collection, tmp_path / "out", **asked)
    n_batches = len(blended)
    blended.clear()
    export(collection, tmp_path / "afresh", **asked)
    assert len(blended) == n_batches
    assert content(tmp_path / "out") == content(tmp_path / "afresh")


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(file.read_bytes()[:-3]), Path.unlink])
@pytest.mark.parametrize("of", ["an image", "a batch"])
def test_what_is_damaged_is_made_again(collection, tmp_path, blended, damage, of):
    export(collection, tmp_path / "uninterrupted", 32)
    n_batches = len(blended)
    blended.clear()
    stop(collection, tmp_path / "out", blended)
    part = tmp_path / ".out.part"
    damage(
        next(part.rglob("*.png")) if of == "an image" else next(path for path in part.iterdir() if len(path.name) == 64)
    )
    export(collection, tmp_path / "out", 32)
    assert len(blended) == n_batches - 2
    assert content(tmp_path / "out") == content(tmp_path / "uninterrupted")


def test_where_there_are_no_links_files_are_copied(collection, tmp_path, monkeypatch):
    export(collection, tmp_path / "linked", 32)
    monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(OSError(1, "Operation not permitted")))
    export(collection, tmp_path / "copied", 32)
    assert content(tmp_path / "copied") == content(tmp_path / "linked")


def test_unknown_formats_are_named(collection, tmp_path):
    with pytest.raises(ParameterError, match="format 'voc' is unknown; use one of released, coco, huggingface"):
        export(collection, tmp_path / "out", 32, format="voc")


def test_a_missing_library_is_named_before_any_work(collection, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.mask", None)
    with pytest.raises(ChairlibError, match=r"COCO's format needs pycocotools.*pip install"):
        export(collection, tmp_path / "out", 32, format="coco")
    assert list(tmp_path.iterdir()) == []
