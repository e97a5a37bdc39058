"""COCO's chairs: outlines in every form, crops around chairs or groups, what is left out and why."""

import builtins
import contextlib
import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chairfinder import coco_chairs
from chairfinder.coco_annotations import unpack_runs
from chairfinder.coco_chairs import CocoChairs
from chairlib import CompositeLoader, ReleasedChairSegments
from chairlib.cli import main
from chairlib.core.errors import ChairlibError, CollectionError, ImageError, ParameterError

coco = pytest.importorskip("pycocotools.mask", reason="needs the Python package pycocotools")

WIDTH, HEIGHT = 120, 80
ANY = {"least_side": 0, "least_share": 0}


def rectangle(left, top, right, bottom) -> list[list[float]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def pixels(left, top, right, bottom) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    return mask


def packed(mask: np.ndarray) -> dict:
    outline = coco.encode(np.asfortranarray(mask))
    return {"size": outline["size"], "counts": outline["counts"].decode()}


def run_lengths(mask: np.ndarray) -> dict:
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [1 - flat[-1]]])))
    return {"size": list(mask.shape), "counts": np.diff(np.concatenate([[0], edges])).tolist()}


def write(folder: Path, photos: list[list], **changes) -> tuple[Path, Path]:
    """Photos with the chairs given, as outlines or whole annotations; returns the folder and the annotation file."""
    images, annotations = [], []
    for number, outlines in enumerate(photos, start=1):
        name = f"{number:012d}.jpg"
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(folder / name)
        images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for outline in outlines:
            extra = (
                outline
                if isinstance(outline, dict) and outline.keys() & {"segmentation", "bbox"}
                else {"segmentation": outline}
            )
            annotations.append({"id": len(annotations), "image_id": number, "category_id": 62, "iscrowd": 0, **extra})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 62, "name": "chair"}, {"id": 63, "name": "couch"}],
        **changes,
    }
    file = folder / "instances.json"
    file.write_text(json.dumps(content))
    return folder, file


def crops(folder: Path, outlines: list, **options) -> CocoChairs:
    """The crops of one photo with these outlines: all of it, whichever split it lands in."""
    paths = write(folder, [outlines, []])
    content = json.loads(paths[1].read_text())
    # The photo twice more under other ids and names, so that both splits have one.
    for identity in (3, 4):
        first = content["images"][0]
        content["images"].append({**first, "id": identity, "file_name": f"{identity}.jpg"})
        shutil.copy(folder / first["file_name"], folder / f"{identity}.jpg")
        content["annotations"] += [
            {**one, "id": 100 * identity + one["id"], "image_id": identity}
            for one in content["annotations"]
            if one["image_id"] == 1
        ]
    paths[1].write_text(json.dumps(content))
    return CocoChairs(*paths, "val", **{"margin": 0, **ANY, **options})


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> tuple[Path, Path]:
    """Ten photos: one chair each, a second one far away in every other photo."""
    one, two = rectangle(10, 10, 50, 50), rectangle(80, 30, 110, 70)
    return write(tmp_path_factory.mktemp("coco"), [[one, two] if number % 2 else [one] for number in range(10)])


# -- outlines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["polygon", "packed", "run lengths"])
def test_outlines_in_every_form(tmp_path, form):
    box = (20, 10, 60, 50)
    outline = {"polygon": rectangle(*box), "packed": packed(pixels(*box)), "run lengths": run_lengths(pixels(*box))}[
        form
    ]
    dataset = crops(tmp_path, [outline], margin=0.5)
    image, mask = dataset[0]
    assert (image.mode, image.size, mask.mode, mask.size) == ("RGB", (80, 80), "L", (80, 80))
    assert np.array_equal(np.asarray(mask), pixels(*box)[:, :80] * 255)
    assert np.array_equal(image, Image.open(tmp_path / "000000000001.jpg").crop((0, 0, 80, 80)))


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 60), st.integers(1, 9))
def test_compressed_run_lengths_are_read_as_pycocotools_does(seed, height, width, times):
    rng = np.random.default_rng(seed)
    mask = np.kron(rng.random((height, width)) < rng.random(), np.ones((times, times))).astype(np.uint8)
    runs = unpack_runs(packed(mask)["counts"])
    assert sum(runs) == mask.size
    outline = coco.frPyObjects({"size": list(mask.shape), "counts": runs}, *mask.shape)
    assert np.array_equal(coco.decode(outline), mask)


def test_several_polygons_are_one_chair(tmp_path):
    dataset = crops(tmp_path, [rectangle(0, 0, 10, 10) + rectangle(30, 30, 40, 40)])
    assert len(dataset) == 1
    assert dataset[0][1].size == (40, 40)
    assert (np.asarray(dataset[0][1]) > 0).sum() == 200


def test_outlines_without_a_pixel_are_counted(tmp_path):
    line = [[10, 10, 30, 30]]  # pycocotools would take it for a box
    dataset = crops(tmp_path, [rectangle(50, 20, 80, 50), line, [], packed(pixels(0, 0, 0, 0))])
    assert len(dataset) == 1
    assert dataset.n_left_out["empty"] == 3
    assert np.asarray(dataset[0][1]).all()


# -- crops ------------------------------------------------------------------------------------------------------------


def test_overlapping_chairs_share_a_crop_and_a_mask(tmp_path):
    dataset = crops(tmp_path, [rectangle(0, 0, 20, 20), rectangle(60, 50, 80, 70), rectangle(10, 10, 30, 30)])
    assert len(dataset) == 2
    masks = [np.asarray(mask) for _, mask in dataset]
    wanted = (pixels(0, 0, 20, 20) | pixels(10, 10, 30, 30))[:30, :30] * 255
    assert sorted(mask.shape for mask in masks) == [(20, 20), (30, 30)]
    assert any(np.array_equal(mask, wanted) for mask in masks)


def test_a_chair_that_reaches_into_anothers_crop_is_in_its_mask(tmp_path):
    dataset = crops(tmp_path, [rectangle(40, 30, 60, 50), rectangle(64, 30, 70, 36)], margin=0.5)
    assert len(dataset) == 2
    assert any((np.asarray(mask) > 0).sum() == 400 + 36 for _, mask in dataset)


def test_chairs_of_other_kinds_are_background(tmp_path):
    couch = {"segmentation": rectangle(20, 20, 40, 40), "category_id": 63}
    dataset = crops(tmp_path, [rectangle(10, 10, 30, 30), couch])
    assert len(dataset) == 1
    assert dataset[0][1].size == (20, 20)


@given(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(1, 60), st.integers(1, 60)), st.floats(0, 2))
def test_crops_lie_within_the_photo_and_hold_the_box(place, margin):
    left, top, wide, high = place
    width, height = left + wide + 7, top + high + 3
    box = (left, top, left + wide, top + high)
    a, b, c, d = coco_chairs.square_around(box, margin, width, height)
    assert 0 <= a <= left < left + wide <= c <= width
    assert 0 <= b <= top < top + high <= d <= height
    side = round(max(wide, high) * (1 + 2 * margin))
    assert (c - a, d - b) == (min(side, width), min(side, height))


boxes = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 20), st.integers(1, 20)).map(
    lambda place: (place[0], place[1], place[0] + place[2], place[1] + place[3])
)


@given(st.lists(boxes, max_size=12))
def test_merged_boxes_hold_all_and_never_overlap(found):
    merged = coco_chairs.merge_boxes(found)
    assert all(not coco_chairs.overlap(a, b) for i, a in enumerate(merged) for b in merged[:i])
    for box in found:
        assert sum(b[0] <= box[0] and b[1] <= box[1] and b[2] >= box[2] and b[3] >= box[3] for b in merged) == 1
    assert len(merged) <= len(found)


# -- left out ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outlines", "options", "reason"),
    [
        ([rectangle(10, 10, 30, 30)], {"least_side": 21}, "small"),
        ([packed(pixels(60, 10, 100, 12))], {"least_share": 0.06}, "sparse"),
        ([{"segmentation": run_lengths(pixels(29, 0, 60, 11)), "iscrowd": 1}, rectangle(10, 10, 30, 30)], {}, "crowd"),
    ],
)
def test_what_a_rule_leaves_out_is_counted(tmp_path, outlines, options, reason):
    kept = rectangle(70, 40, 110, 80)
    assert len(crops(tmp_path, [kept, *outlines])) == (1 if reason == "crowd" else 2)
    dataset = crops(tmp_path, [kept, *outlines], **options)
    assert len(dataset) == 1
    assert dataset[0][1].size == (40, 40)
    assert {key: count for key, count in dataset.n_left_out.items() if count} == {reason: 1}
    assert f"1 {reason}" in repr(dataset)


def test_the_limits_themselves_are_enough(tmp_path):
    assert len(crops(tmp_path, [rectangle(10, 10, 30, 30)], least_side=20)) == 1
    assert len(crops(tmp_path, [packed(pixels(60, 10, 100, 12))], least_share=0.05)) == 1


def test_a_crowd_elsewhere_does_no_harm(tmp_path):
    crowd = {"segmentation": run_lengths(pixels(30, 0, 60, 10)), "iscrowd": 1}
    dataset = crops(tmp_path, [crowd, rectangle(10, 10, 30, 30)])
    assert len(dataset) == 1
    assert (np.asarray(dataset[0][1]) > 0).sum() == 400


def test_the_same_crop_is_given_once(tmp_path):
    far_apart = [rectangle(0, 0, 10, 80), rectangle(110, 0, 120, 80)]
    dataset = crops(tmp_path, far_apart, margin=1)
    assert len(dataset) == 1
    assert dataset.n_left_out["repeated"] == 1
    assert dataset[0][1].size == (WIDTH, HEIGHT)


# -- as an image set --------------------------------------------------------------------------------------------------


def test_photos_are_split_80_to_20(many):
    train, val = (CocoChairs(*many, split) for split in ("train", "val"))
    assert len(set(train.groups)) == 8
    assert len(set(val.groups)) == 2
    assert not set(train.groups) & set(val.groups)
    assert len(train) + len(val) == 15
    assert len(train.groups) == len(train)
    assert CocoChairs(*many, "train").groups == train.groups


def test_it_feeds_the_loader(many):
    dataset = CocoChairs(*many)
    image_set = dataset.image_set(32, "cpu")
    assert image_set.groups == dataset.groups
    assert image_set.name == "COCO chairs (instances)"
    loader = CompositeLoader(image_set, "train", 32, 4, shuffle=False, limit=5)
    assert loader.n_images == 5
    images, masks = next(iter(loader))
    assert images.shape == (4, 3, 32, 32)
    image, mask = dataset[0]
    assert np.array_equal(masks[0, 0] * 255, mask.resize((32, 32), Image.Resampling.NEAREST))
    wanted = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal((images[0] * 255).round(), wanted)


def test_an_export_reads_back_as_the_same_crops(many, tmp_path, capsys):
    written = coco_chairs.export(*many, tmp_path / "out", **ANY)
    for split, data in (*written.items(), ("test", written["val"])):
        read = ReleasedChairSegments(tmp_path / "out", split)
        assert len(read) == len(data)
        assert (read.groups, read.name) == (data.groups, data.name)  # intervals resample photos
        for (image, mask), (original, truth) in zip(
            (read[0], read[len(read) - 1]), (data[0], data[len(data) - 1]), strict=True
        ):
            assert np.array_equal(image, original)
            assert np.array_equal(mask, truth)
    with pytest.raises(ChairlibError, match="not an empty folder"):
        coco_chairs.export(*many, tmp_path / "out", **ANY)


@pytest.mark.parametrize("changed", ["nothing", "a photo", "damage"])
def test_a_stopped_export_goes_on_and_ends_as_one_that_was_not(many, tmp_path, monkeypatch, capsys, changed):
    photos = tmp_path / "photos"
    shutil.copytree(many[0], photos)
    made, original, last = [], CocoChairs.read, 5

    def read(data, index):
        if len(made) == last:
            raise KeyboardInterrupt
        made.append(index)
        return original(data, index)

    monkeypatch.setattr(CocoChairs, "read", read)
    with pytest.raises(KeyboardInterrupt):
        coco_chairs.export(photos, many[1], tmp_path / "out", **ANY)
    assert "the same command goes on" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    kept = [file for file in (tmp_path / ".out.part").iterdir() if file.name != "lock"]
    assert len(kept) == 2 * 5
    if changed == "damage":
        kept[0].write_bytes(b"")
    elif changed == "a photo":
        for photo in photos.iterdir():
            photo.write_bytes((many[0] / photo.name).read_bytes() + b" ")
    made.clear()
    last = 1000
    written = coco_chairs.export(photos, many[1], tmp_path / "out", **ANY)
    n_crops = sum(map(len, written.values()))
    known = {"nothing": 5, "damage": 4, "a photo": 0}[changed]
    assert len(made) == n_crops - known
    assert f"{known} of {len(written['train'])} images of train were done before" in capsys.readouterr().err
    coco_chairs.export(*many, tmp_path / "afresh", **ANY)
    one, two = (
        {file.relative_to(folder): file.read_bytes() for folder in [tmp_path / name] for file in folder.rglob("*.*")}
        for name in ("out", "afresh")
    )
    assert one == two
    assert sorted(path.name for path in tmp_path.iterdir()) == ["afresh", "out", "photos"]


def test_the_command_says_what_it_wrote_and_left_out(many, tmp_path, capsys, monkeypatch):
    given = {"--images": many[0], "--annotations": many[1], "--out": tmp_path / "out"}
    words = [str(word) for pair in given.items() for word in pair]
    monkeypatch.setattr("sys.argv", ["chairlib", "coco-chairs", *words])
    with contextlib.suppress(SystemExit):
        main()
    shown = capsys.readouterr().out
    assert "train: " in shown
    assert f"chairlib benchmark --data {tmp_path / 'out'}" in shown


def test_the_dataset_follows_torchvision(many):
    dataset = CocoChairs(*many, "val", transform=lambda image: "image")
    assert dataset[-1][0] == "image"
    with pytest.raises(IndexError):
        dataset[len(dataset)]


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"split": "test"},
        {"margin": -1},
        {"margin": float("nan")},
        {"margin": "x"},
        {"least_side": -1},
        {"least_side": None},
        {"least_share": 1},
        {"least_share": -0.1},
        {"least_share": True},
    ],
)
def test_impossible_options_are_refused(many, options):
    with pytest.raises(ParameterError, match=next(iter(options)).replace("_", " ")):
        CocoChairs(*many, **options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "found: a list"),
        ('{"info": 1}', "found: info"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "dog"}]}',
            "no category named 'chair'.*dog",
        ),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "chair"}]}', "no chairs"),
        ('{"images": [{}], "annotations": [], "categories": [{"id": 1, "name": "chair"}]}', "not as COCO writes.*'id'"),
    ],
)
def test_wrong_annotation_files_are_refused(tmp_path, text, said):
    file = tmp_path / "instances.json"
    file.write_text(text)
    with pytest.raises(CollectionError, match=said) as caught:
        CocoChairs(tmp_path, file)
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(CollectionError, match=r"none.json cannot be read \(No such file"):
        CocoChairs(tmp_path, tmp_path / "none.json")
    paths = write(tmp_path, [[rectangle(0, 0, 50, 50)]] * 3 + [[]])
    (tmp_path / "000000000004.jpg").unlink()  # holds no chair
    CocoChairs(*paths)
    (tmp_path / "000000000002.jpg").unlink()
    with pytest.raises(CollectionError, match=r"lacks 1 of the 3 photos .* 000000000002.jpg"):
        CocoChairs(*paths)


def test_annotations_of_an_unknown_photo_are_refused(tmp_path):
    with pytest.raises(CollectionError, match="not as COCO writes"):
        CocoChairs(*write(tmp_path, [[rectangle(0, 0, 50, 50)]], images=[]))


def test_unusable_outlines_are_named(tmp_path):
    for outline in ({"size": [3, 4], "counts": [12]}, {"size": [HEIGHT, WIDTH]}, {"points": []}, [["a"] * 8]):
        with pytest.raises(CollectionError, match=r"annotation 0 of 000000000001.jpg has no readable outline"):
            CocoChairs(*write(tmp_path, [[{"segmentation": outline}]] * 2))


ALL = HEIGHT * WIDTH


@pytest.mark.parametrize(
    "counts",
    [
        [1000, 5000],  # fewer pixels than the photo has: the rest would be memory that nobody wrote
        [ALL + 1],
        [ALL + 5, -5],
        [ALL / 1],
        [True, ALL - 1],
        "0",
        "~~~~~~~~zz!!~",  # pycocotools went on reading beyond its end
        "P",  # says that more follows, and nothing does
        "T5\u20ac",
        {"0": ALL},
        7,
    ],
)
def test_run_lengths_that_do_not_cover_the_photo_are_refused(tmp_path, counts):
    outline = {"size": [HEIGHT, WIDTH], "counts": counts}
    with pytest.raises(CollectionError, match=r"annotation 0 of 000000000001.jpg has no readable outline"):
        CocoChairs(*write(tmp_path, [[{"segmentation": outline}]] * 2), **ANY)


@pytest.mark.parametrize("corner", [float("nan"), float("inf"), 1e30, -500])
def test_polygons_far_from_the_photo_are_refused(tmp_path, corner):
    with pytest.raises(CollectionError, match="corners are not pairs of numbers in or about the photo"):
        CocoChairs(*write(tmp_path, [[[[0, 0, 30, 0, 30, corner]]]] * 2), **ANY)


@pytest.mark.parametrize("size", [(10**6, 10**6), (0, 80), (-120, -80)])
def test_photos_of_impossible_sizes_are_refused(tmp_path, size):
    paths = write(tmp_path, [[rectangle(0, 0, 50, 50)]] * 2)
    content = json.loads(paths[1].read_text())
    content["images"][0].update(width=size[0], height=size[1])
    paths[1].write_text(json.dumps(content))
    with pytest.raises(CollectionError, match=r"image 1 has width and height .* of at most 100,000,000 pixels"):
        CocoChairs(*paths)


@pytest.mark.parametrize("size", [(True, 80), (120.5, 80), ("", 80)])
def test_sizes_that_are_no_numbers_are_refused(tmp_path, size):
    images = [{"id": 1, "file_name": "000000000001.jpg", "width": size[0], "height": size[1]}]
    with pytest.raises(CollectionError, match=r"is no id or number"):
        CocoChairs(*write(tmp_path, [[rectangle(0, 0, 50, 50)]], images=images))


# -- annotations of other tools ---------------------------------------------------------------------------------------


def flat(polygons: list) -> list:
    """A polygon's corners as pairs."""
    return [list(pair) for pair in zip(polygons[0][::2], polygons[0][1::2], strict=True)]


def each(key: str, change):
    """Change an entry of every annotation."""

    def rewrite(content: dict) -> None:
        for annotation in content["annotations"]:
            annotation[key] = change(annotation.get(key))

    return rewrite


def ids_as(kind):
    def rewrite(content: dict) -> None:
        for image in content["images"]:
            image["id"] = kind(image["id"])
        for annotation in content["annotations"]:
            annotation["image_id"] = str(annotation["image_id"])
        content["categories"][0]["id"] = "62"

    return rewrite


def behind_backslashes(content: dict) -> None:
    for image in content["images"]:
        image["file_name"] = f".\\{image['file_name']}"


DIALECTS = {
    "ids as text": ids_as(str),
    "ids as decimals": ids_as(float),
    "iscrowd as text": each("iscrowd", lambda _: "0"),
    "iscrowd null": each("iscrowd", lambda _: None),
    "polygons of pairs": each("segmentation", lambda shape: [flat(shape)]),
    "one polygon of pairs": each("segmentation", flat),
    "one polygon": each("segmentation", lambda shape: shape[0]),
    "backslashes": behind_backslashes,
    "sizes as text": lambda content: content["images"][0].update(width="120", height=80.0),
    "another case": lambda content: content["categories"][0].update(name="Chair"),
    "an image listed twice": lambda content: content["images"].append(dict(content["images"][0])),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_other_tools_ways_to_write_the_same(many, tmp_path, dialect):
    content = json.loads(many[1].read_text())
    content["annotations"] = [one for one in content["annotations"] if one["category_id"] == 62]
    DIALECTS[dialect](content)
    (tmp_path / "instances.json").write_text(json.dumps(content))
    ours, theirs = CocoChairs(*many, **ANY), CocoChairs(many[0], tmp_path / "instances.json", **ANY)
    assert theirs.groups == ours.groups
    for (image, mask), (other, truth) in zip(theirs, ours, strict=True):
        assert np.array_equal(image, other)
        assert np.array_equal(mask, truth)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_read(many, tmp_path, encoding):
    (tmp_path / "instances.json").write_text(many[1].read_text(), encoding=encoding)
    assert len(CocoChairs(many[0], tmp_path / "instances.json")) == len(CocoChairs(*many))


def test_names_whose_accents_another_system_stores(tmp_path):
    paths = write(tmp_path, [[rectangle(0, 0, 50, 50)]] * 2)
    content = json.loads(paths[1].read_text())
    for image in content["images"]:
        stored = f"fauteuil-cr\u00e8me{image['id']}.jpg"
        (tmp_path / image["file_name"]).rename(tmp_path / unicodedata.normalize("NFD", stored))
        image["file_name"] = stored
    paths[1].write_text(json.dumps(content))
    assert CocoChairs(*paths)[0][0].size == (60, 60)


def test_joined_files_whose_ids_repeat_are_refused(tmp_path):
    paths = write(tmp_path, [[rectangle(0, 0, 50, 50)]] * 2)
    content = json.loads(paths[1].read_text())
    content["images"].append({**content["images"][0], "file_name": "other.jpg"})
    paths[1].write_text(json.dumps(content))
    with pytest.raises(CollectionError, match=r"image id 1 is that of 000000000001.jpg .* and of other.jpg"):
        CocoChairs(*paths)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda content: content["categories"].append({"id": 62, "name": "person"}),
            "62 is that of chair and of person",
        ),
        (lambda content: content["images"].append({**content["images"][0], "width": 640}), r"120 x 80.*640 x 80"),
        (lambda content: content["images"][0].pop("width"), "image 1 has no width, which every image needs"),
        (lambda content: content["images"][0].update(file_name=None), "image 1 has no file_name"),
        (lambda content: content["images"][0].update(file_name="/elsewhere/0.jpg"), "the first is /elsewhere/0.jpg"),
        (lambda content: content["images"][0].update(file_name="x" * 300), "lacks 1 of the 2"),
        (each("iscrowd", lambda _: "maybe"), "iscrowd 'maybe' is neither"),
        (each("segmentation", lambda _: [{"x": 1, "y": 2}] * 4), "no readable outline .its corners are objects"),
    ],
)
def test_the_true_cause_is_named(tmp_path, change, said):
    paths = write(tmp_path, [[rectangle(0, 0, 50, 50)]] * 2)
    content = json.loads(paths[1].read_text())
    change(content)
    paths[1].write_text(json.dumps(content))
    with pytest.raises(CollectionError, match=said) as caught:
        CocoChairs(*paths, **ANY)
    assert "\n" not in str(caught.value)


def test_one_file_under_two_ids_is_refused(tmp_path):
    paths = write(tmp_path, [[rectangle(0, 0, 50, 50)]] * 2)
    content = json.loads(paths[1].read_text())
    content["images"][1]["file_name"] = content["images"][0]["file_name"]
    paths[1].write_text(json.dumps(content))
    with pytest.raises(CollectionError, match=r"images 1, 2 are one file, 000000000001.jpg"):
        CocoChairs(*paths)


@pytest.mark.parametrize("missing", [None, [], [[]], [[10, 10]], "absent"])
def test_a_chair_with_a_box_and_no_outline_is_no_background(tmp_path, missing):
    outlined, boxed = rectangle(0, 0, 30, 30), {"segmentation": missing, "bbox": [20, 20, 20, 20]}
    if missing == "absent":
        del boxed["segmentation"]
    far = rectangle(70, 0, 100, 30)
    paths = write(tmp_path, [[{"segmentation": outlined}, boxed, {"segmentation": far}]] * 5)
    dataset = CocoChairs(*paths, **{**ANY, "margin": 0})
    assert dataset.n_left_out == {"small": 0, "sparse": 0, "crowd": 4, "repeated": 0, "empty": 4}
    assert len(dataset) == 4


def test_no_outlines_at_all_is_the_cause_that_is_named(tmp_path):
    with pytest.raises(CollectionError, match=r"left out: 1 empty\); give more photos with outlines\.$"):
        CocoChairs(*write(tmp_path, [[{"segmentation": None}]] * 2), **ANY)


@pytest.mark.parametrize(("orientation", "size"), [(3, (120, 80)), (6, (80, 120))])
def test_photos_are_turned_as_their_outlines_are_drawn(tmp_path, orientation, size):
    folder, file = write(tmp_path, [[rectangle(0, 0, 40, 40)]] * 2)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for photo in folder.glob("*.jpg"):
        upright = Image.new("RGB", (WIDTH, HEIGHT))
        upright.paste((255, 0, 0), (0, 0, 40, 40))
        turn = Image.Transpose.ROTATE_180 if orientation == 3 else Image.Transpose.ROTATE_90
        upright.transpose(turn).save(photo, exif=exif, quality=95)
        assert Image.open(photo).size == size
    image, mask = CocoChairs(folder, file, **{**ANY, "margin": 0})[0]
    assert np.asarray(mask).min() == 255
    assert np.asarray(image)[..., 0].min() > 150
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "000000000001.jpg", exif=exif)
    if orientation == 6:  # the outlines are of the photo as it is stored
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "000000000002.jpg", exif=exif)
        with pytest.raises(ImageError, match="turned by its EXIF orientation; stored as 120 x 80"):
            CocoChairs(folder, file, **ANY)[0]


def test_a_home_folder_is_found(many, monkeypatch):
    monkeypatch.setenv("HOME", str(many[0].parent))
    short = Path("~") / many[0].name
    assert len(CocoChairs(short, short / many[1].name)) == len(CocoChairs(*many))


def test_no_crops_left_is_an_error_with_the_counts(many):
    with pytest.raises(CollectionError, match=r"no crops for 'val'.*small"):
        CocoChairs(*many, "val", least_side=100)


def test_a_photo_of_another_size_is_refused(tmp_path):
    folder, file = write(tmp_path, [[rectangle(0, 0, 50, 50)]] * 2)
    for photo in folder.glob("*.jpg"):
        Image.new("RGB", (60, 40)).save(photo)
    with pytest.raises(ImageError, match=r"60 x 40 pixels, its annotations are for 120 x 80"):
        CocoChairs(folder, file)[0]


def test_without_pycocotools_the_way_to_get_it_is_said(many, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("pycocotools"):
            raise ImportError("No module named 'pycocotools'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ChairlibError, match=r"chairfinder\[coco\]"):
        CocoChairs(*many)
