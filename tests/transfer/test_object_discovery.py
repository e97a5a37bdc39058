"""Object Discovery: the release's layout, masks in every encoding, and which image lands in which split."""

import shutil
import unicodedata
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from chairlib import CompositeLoader
from chairlib.core import paths
from chairlib.core.errors import ChairlibError, CollectionError, ImageError, ParameterError
from chairlib.transfer import object_discovery
from chairlib.transfer.object_discovery import ObjectDiscovery, categories_of, photos_name
from chairlib.transfer.protocols import FOLDS, figure_ids, fold_ids, published_ids, split_off, stable_order

SHAPE = np.zeros((9, 12), bool)
SHAPE[2:7, 3:9] = True


def draw(data: Path, folder: str, ids, unlabelled=(), offset: int = 0, empty=()) -> None:
    """Photos of 12 x 9 pixels in a category's folder, each with a content of its own that `offset` shifts."""
    (data / folder / "GroundTruth").mkdir(parents=True, exist_ok=True)
    for identity in [*ids, *unlabelled]:
        rng = np.random.default_rng(int(identity) + offset)
        Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(data / folder / f"{identity}.jpg")
        if identity not in unlabelled:
            mask = Image.fromarray(SHAPE & (identity not in empty))
            mask.save(data / folder / "GroundTruth" / f"{identity}.png")


def names(numbers) -> list[str]:
    return [f"{number:04d}" for number in numbers]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Horses: 25 labelled of 30, the first four in the subset, which has one of its own without a horse."""
    root = tmp_path_factory.mktemp("release")
    ids = names(range(1, 26))
    draw(root / "Data", "Horse", ids, unlabelled=names(range(50, 55)))
    draw(root / "Data", "Horse100", [*ids[:4], "9001"], empty=("9001",))
    return root


def all_ids(root, protocol, splits=("train", "val", "test"), **options):
    return {split: ObjectDiscovery(root, "horse", split, protocol, **options).ids for split in splits}


# -- layout -----------------------------------------------------------------------------------------------------------


def test_labelled_images_come_as_rgb_and_grey_in_their_own_size(root):
    dataset = ObjectDiscovery(root, "horse", "train")
    assert dataset.ids == names(range(1, 21))
    image, mask = dataset[-1]
    assert (image.mode, image.size, mask.mode) == ("RGB", (12, 9), "L")
    assert np.array_equal(np.asarray(mask), SHAPE * 255)
    assert np.array_equal(image, Image.open(root / "Data/Horse/0020.jpg"))
    with pytest.raises(IndexError):
        dataset[20]
    assert "authors" in repr(dataset)
    assert "horse" in repr(dataset)


@pytest.mark.parametrize("inside", ["", "Data", "ObjectDiscovery-data/Data"])
def test_data_is_found_wherever_it_was_unpacked(tmp_path, inside):
    draw(tmp_path / "here" / inside, "Car", names(range(10)))
    dataset = ObjectDiscovery(tmp_path / "here", "car", "val")
    assert dataset.ids == ["0008", "0009"]
    assert dataset.name == "here car"
    if inside == "Data":
        assert ObjectDiscovery(tmp_path / "here/Data", "car").name == "here car"


@pytest.mark.parametrize("inside", ["", "Data", "ObjectDiscovery-data/Data"])
def test_a_copy_of_the_stand_in_keeps_its_name(tmp_path, inside):
    shutil.copytree(paths.stand_in / "Data", tmp_path / "ObjectDiscovery" / inside)
    for root in (tmp_path / "ObjectDiscovery", tmp_path / "ObjectDiscovery" / inside):
        assert photos_name(root) == "stand-in"
        assert ObjectDiscovery(root, "car").name == "stand-in car"


def test_a_folder_that_says_nothing_sensible_of_itself(tmp_path):
    draw(tmp_path / "Data", "Car", names(range(5)))
    (tmp_path / "Data/source.json").write_text("[]")
    with pytest.raises(CollectionError, match=r"source\.json cannot be used"):
        ObjectDiscovery(tmp_path, "car")


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    draw(tmp_path / "here", "Car", names(range(5)))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ObjectDiscovery("~/here", "car").name == "here car"


def test_files_that_are_no_images_are_passed_over(tmp_path):
    draw(tmp_path, "Car", names(range(5)))
    for name in ("._0001.png", "Thumbs.db"):
        (tmp_path / "Car/GroundTruth" / name).write_bytes(b"x")
    assert len(ObjectDiscovery(tmp_path, "car")) == 4


def test_transforms_follow_torchvision(root):
    both = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    image, mask = ObjectDiscovery(root, "horse", transforms=both)[0]
    assert image.shape == (3, 9, 12)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert ObjectDiscovery(root, "horse", target_transform=lambda mask: "mask")[0][1] == "mask"


def test_the_source_is_squashed_and_feeds_the_loader(root):
    dataset = ObjectDiscovery(root, "horse", "test", "subset100")
    image_set = dataset.image_set(16, "cpu")
    assert (len(image_set), image_set.groups, image_set.name) == (5, None, f"{root.name} horse")
    images, masks = next(iter(CompositeLoader(image_set, "test", 16, 9)))
    for index, (image, mask) in enumerate(dataset):
        size = (16, 16)
        wanted = np.asarray(image.resize(size, Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        assert np.array_equal((images[index] * 255).round().numpy(), wanted)
        assert np.array_equal(masks[index, 0].numpy() * 255, np.asarray(mask.resize(size, Image.Resampling.NEAREST)))
    assert masks[-1].sum() == 0  # the image without a horse is kept


def test_the_sources_hash_speaks_of_the_content(tmp_path):
    for name, offset in (("a", 0), ("b", 0), ("c", 1)):
        draw(tmp_path / name, "Car", names(range(5)), offset=offset)
    first, same, other = (ObjectDiscovery(tmp_path / name, "car").image_set(16, "cpu").data_hash for name in "abc")
    assert first == same != other


# -- masks ------------------------------------------------------------------------------------------------------------


def test_a_mask_of_another_size_is_refused(tmp_path):
    draw(tmp_path, "Car", names(range(5)))
    Image.fromarray(SHAPE.T).save(tmp_path / "Car/GroundTruth/0001.png")
    dataset = ObjectDiscovery(tmp_path, "car")
    dataset[0]
    for read in (lambda: dataset[1], lambda: dataset.image_set(16, "cpu")):
        with pytest.raises(ImageError, match=r"0001.png is 9 x 12 pixels, its image 12 x 9"):
            read()


@pytest.mark.parametrize("name", ["0001.jpg", "GroundTruth/0001.png"])
def test_unreadable_files_are_named(tmp_path, name):
    draw(tmp_path, "Car", names(range(5)))
    (tmp_path / "Car" / name).write_bytes(b"not an image")
    with pytest.raises(ImageError, match=f"{name} cannot be read"):
        ObjectDiscovery(tmp_path, "car")[1]


def turned(data: Path, orientation: int, size=(12, 9)) -> None:
    """Photos whose EXIF orientation turns them, red where the mask, drawn on the upright picture, marks the object."""
    draw(data, "Car", names(range(5)))
    mark = np.resize(SHAPE, size[::-1])
    undo = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for photo in (data / "Car").glob("*.jpg"):
        Image.fromarray(mark[..., None] * np.uint8([255, 0, 0])).transpose(undo).save(photo, "PNG", exif=exif)
        Image.fromarray(mark).save(data / "Car/GroundTruth" / f"{photo.stem}.png")


@pytest.mark.parametrize(("orientation", "size"), [(3, (12, 9)), (6, (9, 9)), (8, (12, 9))])
def test_photos_are_turned_as_their_masks_are_drawn(tmp_path, orientation, size):
    turned(tmp_path, orientation, size)
    image, mask = ObjectDiscovery(tmp_path, "car")[0]
    assert np.array_equal(np.asarray(image)[..., 0], np.asarray(mask))


def test_masks_drawn_on_the_photo_as_it_is_stored_are_refused(tmp_path):
    turned(tmp_path, 6)
    for mask in (tmp_path / "Car/GroundTruth").iterdir():
        Image.open(mask).transpose(Image.Transpose.ROTATE_90).save(mask)
    with pytest.raises(ImageError, match="turned by its EXIF orientation; stored as 9 x 12"):
        ObjectDiscovery(tmp_path, "car")[0]


def test_what_mask_values_mean_is_decided_over_all_splits(tmp_path):
    draw(tmp_path, "Car", names(range(5)))
    Image.fromarray(SHAPE.astype(np.uint8) * 9).save(tmp_path / "Car/GroundTruth/0004.png")
    for split in ("train", "val"):  # the odd one validates
        with pytest.raises(ImageError, match=r"0000.png .* the values 0, 1, 0004.png .* holds 0, 9; .*number classes"):
            ObjectDiscovery(tmp_path, "car", split)


@pytest.mark.parametrize("suffix", ["webp", "jfif", "avif", "jpe", "jp2"])
def test_pairs_of_every_format_are_read(tmp_path, suffix):
    draw(tmp_path, "Car", names(range(6)))
    for identity in names(range(3)):
        photo, mask = tmp_path / f"Car/{identity}.jpg", tmp_path / f"Car/GroundTruth/{identity}.png"
        Image.open(photo).resize((64, 64)).save(photo.with_suffix(f".{suffix}"))
        Image.open(mask).resize((64, 64)).save(mask.with_suffix(".webp"), lossless=True)
        photo.unlink(), mask.unlink()
    found = [ObjectDiscovery(tmp_path, "car", split) for split in ("train", "val")]
    assert [identity for dataset in found for identity in dataset.ids] == names(range(6))
    assert found[0][0][1].size == (64, 64)


def test_accents_may_be_stored_in_two_ways(tmp_path):
    draw(tmp_path, "Car", names(range(5)))
    for folder, form, suffix in (("Car", "NFC", "jpg"), ("Car/GroundTruth", "NFD", "png")):
        file = tmp_path / folder / f"0000.{suffix}"
        file.rename(file.with_stem(unicodedata.normalize(form, "tracci\u00f3n")))
    assert "tracci\u00f3n" in ObjectDiscovery(tmp_path, "car", "val").ids


@pytest.mark.parametrize("name", ["0004.npy", "0004.ppm"])
def test_a_mask_of_no_readable_format_is_not_left_out_without_a_word(tmp_path, name):
    draw(tmp_path, "Car", names(range(5)))
    mask = tmp_path / "Car/GroundTruth/0004.png"
    mask.rename(mask.with_name(name))
    with pytest.raises(ChairlibError, match=f"{name} has the name of a photo"):
        ObjectDiscovery(tmp_path, "car")


def test_a_sound_mask_that_is_too_large_is_not_to_be_downloaded_again(tmp_path, monkeypatch):
    draw(tmp_path, "Car", names(range(5)))
    monkeypatch.setattr("chairlib.collection.images.MAX_PIXELS", 100)
    with pytest.raises(ImageError, match="at most 100 are decoded") as caught:
        ObjectDiscovery(tmp_path, "car")[0]
    assert "download" not in str(caught.value)


# -- protocols --------------------------------------------------------------------------------------------------------


def test_authors_split_by_sorted_id(root):
    assert all_ids(root, "authors", ("train", "val")) == {"train": names(range(1, 21)), "val": names(range(21, 26))}
    with pytest.raises(ParameterError, match="no test"):
        ObjectDiscovery(root, "horse", "test")


@pytest.mark.parametrize(
    ("category", "train", "val"), [("airplane", 448, 113), ("car", 1044, 262), ("horse", 703, 176)]
)
def test_the_published_lists(category, train, val):
    lists = published_ids(category)
    assert (len(lists["train"]), len(lists["val"])) == (train, val)
    assert split_off(sorted(lists["train"] + lists["val"])) == (lists["train"], lists["val"])
    assert 4 <= len(figure_ids(category)) <= 5
    assert set(figure_ids(category)) <= set(lists["val"])


def test_the_published_lists_decide_where_the_ids_are_theirs(root, monkeypatch):
    lists = {"train": names(range(1, 11)), "val": names(range(11, 26))}
    monkeypatch.setattr(object_discovery, "published_ids", lambda category: lists)
    assert all_ids(root, "authors", ("train", "val")) == lists
    assert ObjectDiscovery(root, "horse").is_published
    monkeypatch.setattr(object_discovery, "published_ids", lambda category: {**lists, "val": lists["val"][1:]})
    assert len(ObjectDiscovery(root, "horse")) == 20
    assert not ObjectDiscovery(root, "horse").is_published


def test_subset100_tests_on_the_subset_and_trains_outside_it(root):
    chosen = all_ids(root, "subset100")
    assert chosen["test"] == [*names(range(1, 5)), "9001"]
    assert chosen["train"] + chosen["val"] == names(range(5, 26))
    assert len(chosen["train"]) == 16


def test_subset100_knows_an_image_that_was_saved_anew(tmp_path):
    draw(tmp_path, "Car", names(range(10)))
    draw(tmp_path, "Car100", ["0003"], offset=500)
    assert "0003" not in ObjectDiscovery(tmp_path, "car", "train", "subset100").ids


def test_subset100_knows_an_image_under_another_id(tmp_path):
    draw(tmp_path, "Car", names(range(10)))
    draw(tmp_path, "Car100", ["0800"])
    (tmp_path / "Car100/0800.jpg").write_bytes((tmp_path / "Car/0003.jpg").read_bytes())
    dataset = [ObjectDiscovery(tmp_path, "car", split, "subset100") for split in ("train", "val")]
    assert sorted(dataset[0].ids + dataset[1].ids) == names([0, 1, 2, 4, 5, 6, 7, 8, 9])


@given(st.sets(st.integers(0, 9999), min_size=5, max_size=150))
def test_folds_test_each_image_once(numbers):
    ids = sorted(names(numbers))
    tested = []
    for fold in range(FOLDS):
        splits = fold_ids(ids, fold)
        assert sorted(chain(*splits.values())) == ids
        assert len(splits["val"]) == max(1, (len(ids) - len(splits["test"])) // 10)
        assert len(splits["test"]) - len(ids) // FOLDS in (0, 1)
        assert splits["train"]
        tested += splits["test"]
    assert sorted(tested) == ids


def test_folds_are_read_from_the_folder_and_scatter_neighbours(root):
    folds = [all_ids(root, "folds", fold=fold) for fold in range(FOLDS)]
    assert folds == [all_ids(root, "folds", fold=fold) for fold in range(FOLDS)]
    assert sorted(chain(*(fold["test"] for fold in folds))) == names(range(1, 26))
    assert all(fold["test"] != names(range(start, start + 5)) for fold in folds for start in range(1, 22))
    assert all(fold["test"] != names(range(start, 26, FOLDS)) for fold in folds for start in range(1, FOLDS + 1))
    assert len({tuple(fold["val"]) for fold in folds}) > 1


@given(st.lists(st.text(max_size=5), unique=True, max_size=60))
def test_the_80_per_cent_rule(ids):
    first, rest = split_off(ids)
    assert first + rest == ids
    assert 0 <= 0.8 * len(ids) - len(first) < 1


@given(st.sets(st.text(max_size=5), max_size=30), st.data())
def test_the_stable_order_ignores_what_else_there_is(ids, data):
    part = data.draw(st.sets(st.sampled_from(sorted(ids)))) if ids else set()
    assert [identity for identity in stable_order(ids) if identity in part] == stable_order(part)


@settings(max_examples=15, deadline=None)
@given(count=st.integers(2, 12), inside=st.integers(1, 6), missing=st.integers(0, 2))
def test_splits_never_share_an_image(tmp_path_factory, count, inside, missing):
    root = tmp_path_factory.mktemp("drawn")
    ids = names(range(count))
    draw(root, "Horse", ids)
    draw(root, "Horse100", [*ids[:inside], *names(range(900, 900 + missing))])
    if count - inside < 2:
        with pytest.raises(CollectionError, match="no images for 'train'"):
            ObjectDiscovery(root, "horse", "train", "subset100")
        return
    chosen = all_ids(root, "subset100")
    assert sorted(chosen["train"] + chosen["val"]) == ids[inside:]
    assert not set(chosen["test"]) & set(chosen["train"] + chosen["val"])


# -- categories of one's own ------------------------------------------------------------------------------------------


def test_any_folder_with_masks_is_a_category(tmp_path):
    draw(tmp_path / "Data", "Bicycle", names(range(10)))
    draw(tmp_path / "Data", "Bicycle100", names(range(3)))
    draw(tmp_path / "Data", "red chairs", names(range(5)))
    draw(tmp_path / "Data", "Car", names(range(5)))
    (tmp_path / "Data" / "notes").mkdir()
    assert categories_of(tmp_path) == ["bicycle", "car", "red chairs"]
    bicycles = ObjectDiscovery(tmp_path, "bicycle")
    assert (len(bicycles), bicycles.category, bicycles.is_published) == (8, "bicycle", False)
    assert bicycles.name == f"{tmp_path.name} bicycle"
    assert ObjectDiscovery(tmp_path, "Bicycle").category == "bicycle"
    assert len(ObjectDiscovery(tmp_path, "bicycle", "test", "subset100")) == 3
    assert len(ObjectDiscovery(tmp_path, "red chairs", "val")) == 1
    with pytest.raises(ParameterError, match=r"a category is missing: .* has bicycle, car, red chairs; name one"):
        ObjectDiscovery(tmp_path)
    with pytest.raises(CollectionError, match="has no category 'boat'; it has bicycle, car, red chairs"):
        ObjectDiscovery(tmp_path, "boat")
    assert figure_ids("bicycle") == published_ids("bicycle")["train"] == []


def test_the_only_category_need_not_be_named(tmp_path):
    draw(tmp_path, "Bicycle", names(range(10)))
    draw(tmp_path, "Bicycle100", names(range(3)))
    assert ObjectDiscovery(tmp_path).category == "bicycle"


def test_a_category_s_own_folder_is_enough(tmp_path):
    draw(tmp_path / "Data", "Bicycle", names(range(10)))
    draw(tmp_path / "Data", "Car", names(range(10)), offset=50)
    own = ObjectDiscovery(tmp_path / "Data" / "Bicycle")
    assert own.files == ObjectDiscovery(tmp_path, "bicycle").files == ObjectDiscovery(own.root, "bicycle").files
    assert own.name == f"{tmp_path.name} bicycle"
    assert categories_of(tmp_path / "Data" / "Bicycle") == ["bicycle"]
    with pytest.raises(CollectionError, match="has no category 'car'; it has bicycle"):
        ObjectDiscovery(tmp_path / "Data" / "Bicycle", "car")
    draw(tmp_path / "elsewhere", "Lamp", names(range(5)))
    assert ObjectDiscovery(tmp_path / "elsewhere" / "Lamp").name == "Lamp"


def test_folders_that_differ_in_capitals_alone_are_refused(tmp_path):
    draw(tmp_path, "Bicycle", names(range(5)))
    draw(tmp_path, "bicycle", names(range(5)))
    with pytest.raises(CollectionError, match="has both Bicycle and bicycle; it has bicycle"):
        ObjectDiscovery(tmp_path, "bicycle")


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dog",), "Data has no category 'dog'; it has horse. Name one: a folder's name in lower case"),
        ((["car"],), r"\['car'\] must be text"),
        (("horse", "dev"), "'dev' is unknown"),
        (("horse", "train", "official"), "'official' is unknown; use one of authors, subset100, folds"),
    ],
)
def test_unknown_names_are_refused(root, arguments, said):
    with pytest.raises(ChairlibError, match=said):
        ObjectDiscovery(root, *arguments)


@pytest.mark.parametrize(("protocol", "fold"), [("folds", 5), ("folds", -1), ("folds", True), ("authors", 1)])
def test_impossible_folds_are_refused(root, protocol, fold):
    with pytest.raises(ParameterError, match=f"fold {fold}"):
        ObjectDiscovery(root, "horse", "train", protocol, fold=fold)


def test_a_folder_that_is_not_the_release(tmp_path):
    with pytest.raises(CollectionError, match="is not the Object Discovery release: there is no such folder"):
        ObjectDiscovery(tmp_path / "none", "car")
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(CollectionError, match="is not the Object Discovery release: it is not a folder"):
        ObjectDiscovery(tmp_path / "photo.jpg", "car")
    (tmp_path / "photo.jpg").unlink()
    with pytest.raises(ParameterError, match="photos None must be a path"):
        ObjectDiscovery(None, "car")
    (tmp_path / "photos").mkdir()
    (tmp_path / "readme.txt").touch()
    with pytest.raises(CollectionError, match=r"not the Object Discovery release.*Airplane/.*photos/, readme.txt"):
        ObjectDiscovery(tmp_path, "car")


def test_a_category_that_is_not_there_or_has_no_labels(tmp_path):
    draw(tmp_path, "Car", [], unlabelled=names(range(3)))
    with pytest.raises(CollectionError, match="has no category 'horse'; it has car"):
        ObjectDiscovery(tmp_path, "horse")
    with pytest.raises(CollectionError, match=r"no labelled images.*found 3 images"):
        ObjectDiscovery(tmp_path, "car")
    draw(tmp_path, "Car", ["0007"])
    with pytest.raises(CollectionError, match="no folder Car100/"):
        ObjectDiscovery(tmp_path, "car", "test", "subset100")
    with pytest.raises(CollectionError, match=r"no images for 'train' \(0 train, 1 val, of 1 labelled"):
        ObjectDiscovery(tmp_path, "car")


def test_masks_without_image_and_ids_of_two_files(tmp_path):
    draw(tmp_path, "Car", names(range(5)))
    (tmp_path / "Car/0002.jpg").rename(tmp_path / "Car/0001.png")
    with pytest.raises(CollectionError, match=r"both 0001.jpg and 0001.png"):
        ObjectDiscovery(tmp_path, "car")
    (tmp_path / "Car/0001.png").unlink()
    with pytest.raises(CollectionError, match=r"1 of 5 masks have no image.*0002.png"):
        ObjectDiscovery(tmp_path, "car")


@pytest.mark.parametrize("name", ["0003.jpg", "GroundTruth/0003.png"])
@pytest.mark.parametrize("protocol", ["authors", "subset100"])
def test_names_of_images_that_are_no_files(tmp_path, protocol, name):
    draw(tmp_path, "Car", names(range(10)))
    draw(tmp_path, "Car100", names(range(3, 5)))
    file = tmp_path / "Car" / name
    file.unlink()
    file.symlink_to(tmp_path / "an unplugged disk")
    with pytest.raises(
        CollectionError, match=rf"Car/{name} is a link to a file that does not exist, expected an image"
    ):
        ObjectDiscovery(tmp_path, "car", protocol=protocol)
    file.unlink()
    file.mkdir()
    with pytest.raises(
        CollectionError, match=rf"Car/{name} is a folder, expected an image file; put that in its place"
    ):
        ObjectDiscovery(tmp_path, "car", protocol=protocol)


def test_links_to_files_and_unlabelled_links_are_fine(tmp_path):
    draw(tmp_path / "here", "Car", names(range(10)))
    file = tmp_path / "here/Car/0003.jpg"
    file.rename(tmp_path / "elsewhere.jpg")
    file.symlink_to(tmp_path / "elsewhere.jpg")
    (tmp_path / "here/Car/0099.jpg").symlink_to("nowhere")
    assert len(ObjectDiscovery(tmp_path / "here", "car")) == 8
