"""The audit finds copies that stand in two splits, however they came there, and passes what ships with the package."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from chairfinder.leakage import (
    COMPARISONS,
    HASH_BITS,
    THRESHOLD,
    LeakageReport,
    audit,
    check,
    nearest_candidates,
)
from chairfinder.provenance import Provenance
from chairfinder.signatures import CENTRES
from chairfinder.writing import Item, write_collection
from chairlib.collection import KINDS, Collection
from chairlib.core.errors import CollectionError, ParameterError
from drawing import blob, encode, make_collection, recoloured


def _recompressed(image):
    stream = io.BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=60)
    colours = Image.open(stream).convert("RGB")
    if image.mode == "RGBA":
        colours.putalpha(image.getchannel("A"))
    return colours


def _brightened(image):
    colours = ImageEnhance.Brightness(image.convert("RGB")).enhance(1.25)
    if image.mode == "RGBA":
        colours.putalpha(image.getchannel("A"))
    return colours


COPIES = {"re-encoded": _recompressed, "brightened": _brightened, "mirrored": ImageOps.mirror}


def rooms(n):
    """Rendered rooms of the package: drawn ones are so smooth that most bits of their hashes are noise."""
    collection = Collection("mini")
    return [collection.open("background", id) for id in collection.rows("background")["id"][:n]]


def torn(folder, kind, copy, splits=("test", "train")) -> tuple[Collection, str, str]:
    """A collection in which an image and its copy are in two splits: each in its own group, then moved by hand."""
    images = {"segment": [blob(seed) for seed in range(8)], "background": rooms(8)}
    images[kind].append(copy(images[kind][3]))
    items = [
        Item(each, encode(image, each), *image.size, f"{each}:{number}", Provenance("drawn by a test"))
        for each in KINDS
        for number, image in enumerate(images[each])
    ]
    collection = write_collection(folder, items)
    manifest = collection.manifest.copy()
    place = {f"{kind}:3": splits[0], f"{kind}:8": splits[1]}
    manifest["split"] = manifest["group"].map(place).fillna(manifest["split"])
    others = manifest.index[(manifest["kind"] == kind) & ~manifest["group"].isin(place)]
    manifest.loc[others[:3], "split"] = ["train", "val", "test"]  # no split is empty, whatever the two left behind
    manifest.to_csv(folder / "manifest.csv", index=False)
    ids = manifest.set_index("group")["id"]
    return Collection(folder), ids[f"{kind}:3"], ids[f"{kind}:8"]


@pytest.fixture(scope="module")
def mini() -> LeakageReport:
    return audit(Collection("mini"))


def test_mini_passes(mini):
    check(mini)
    assert mini.summary()["closer"].sum() == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_in_another_split_fails(tmp_path, kind, copy):
    collection, original, copied = torn(tmp_path / "torn", kind, copy)
    report = audit(collection)
    worst = report.worst(1)[0]
    assert {worst.id, worst.other} == {original, copied}
    assert (worst.kind, worst.split, worst.other_split) == (kind, "test", "train")
    assert worst.bits < THRESHOLD
    with pytest.raises(CollectionError) as caught:
        check(report)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'torn'}: {worst}, fewer than {THRESHOLD}")
    assert "\n" not in message
    assert report.worst(2)[1].bits > THRESHOLD  # the others are apart
    assert check(report, worst.bits) is None  # closer than: not as close as
    with pytest.raises(CollectionError):
        check(report, worst.bits + 1)


def test_a_segment_in_another_colour_fails_by_its_silhouette(tmp_path):
    collection, *_ = torn(tmp_path / "torn", "segment", lambda image: recoloured(image, 99))
    worst = audit(collection).worst(1)[0]
    assert (worst.bits, worst.by) == (0, "silhouette")


@pytest.mark.parametrize("side", CENTRES)
@pytest.mark.parametrize("splits", [("test", "train"), ("train", "test")])
def test_a_cropped_background_fails_by_its_centre(tmp_path, side, splits):
    def crop(image):
        width, height = image.size
        cut = (width * (1 - side) / 2, height * (1 - side) / 2)
        return image.crop((*cut, width - cut[0], height - cut[1]))

    collection, original, copied = torn(tmp_path / "torn", "background", crop, splits)
    worst = audit(collection).worst(1)[0]
    assert {worst.id, worst.other} == {original, copied}
    assert worst.by == "centre"
    assert worst.bits < THRESHOLD


@pytest.mark.parametrize("splits", [("val", "test"), ("test", "val"), ("val", "train"), ("train", "test")])
def test_every_two_splits_are_compared(tmp_path, splits):
    collection, original, copied = torn(tmp_path / "torn", "background", ImageOps.mirror, splits)
    worst = audit(collection).worst(1)[0]
    assert {(worst.id, worst.split), (worst.other, worst.other_split)} == {(original, splits[0]), (copied, splits[1])}


def test_copies_within_a_split_are_no_leak(tmp_path):
    collection, *_ = torn(tmp_path / "torn", "segment", _recompressed, ("train", "train"))
    check(audit(collection))


def test_one_row_for_each_image_and_other_split(mini):
    collection = mini.collection
    for kind in KINDS:
        for split, other in COMPARISONS:
            found = mini.nearest.query("kind == @kind and split == @split and other_split == @other")
            assert sorted(found["id"]) == sorted(collection.rows(kind, split)["id"])
            assert set(found["other"]) <= set(collection.rows(kind, other)["id"])
    assert mini.nearest["bits"].is_monotonic_increasing
    assert mini.nearest["bits"].between(0, HASH_BITS).all()
    assert set(mini.nearest.query("kind == 'background'")["by"]) <= {"colours", "centre"}


def test_the_nearest_pairs_of_one_kind(mini):
    assert {pair.kind for pair in mini.worst(5, "background")} == {"background"}


def _signs(rng, n):
    return rng.choice(np.float32([-1, 1]), (n, HASH_BITS))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_nearest_is_that_of_a_plain_search_whatever_the_block(n_queries, n_candidates, seed, entries):
    rng = np.random.default_rng(seed)
    n = n_queries + n_candidates
    hashes = [(name, _signs(rng, n), _signs(rng, n)) for name in ("colours", "colours", "silhouette")]
    queries, candidates = np.arange(n_queries), np.arange(n_queries, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chairfinder.leakage.BLOCK_ENTRIES", entries)
        index, bits, by = nearest_candidates(hashes, queries, candidates)
    for query in queries:
        plain = {
            (int((of_query[query] != of_candidate[candidate]).sum()), name, candidate)
            for candidate in candidates
            for name, of_query, of_candidate in hashes
        }
        least = min(plain)[0]
        assert bits[query] == least
        assert (least, by[query], index[query]) in plain


def test_the_same_report_each_time(collection):
    pd.testing.assert_frame_equal(audit(collection).nearest, audit(collection).nearest)


def test_report_as_text(mini):
    text = str(mini)
    for words in ("mini  (data hash ", "segments", "backgrounds", "test", str(mini.worst(1)[0])):
        assert words in text


@pytest.mark.parametrize("threshold", [-1, 257, 24.0, "24", True, None])
def test_a_threshold_that_is_none(mini, threshold):
    with pytest.raises(ParameterError, match=f"in bits {threshold!r} must be a whole number from 0 to 256"):
        check(mini, threshold)


def test_threshold_zero_never_fails(tmp_path):
    collection, *_ = torn(tmp_path / "torn", "segment", lambda image: recoloured(image, 99))
    check(audit(collection), 0)


def test_too_few_pairs(mini):
    with pytest.raises(ParameterError, match="n 0 must be a whole number of at least 1"):
        mini.worst(0)


def test_a_damaged_image_is_named(tmp_path):
    collection = make_collection(tmp_path / "damaged")
    file = collection.path("background", collection.rows("background")["id"][0])
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(CollectionError, match=file.name):
        audit(collection)


def test_a_share_of_near_duplicates_may_be_let_through(mini):
    """The nearest pairs of mini differ in less than 39 bits: at 39 some of its scored segments are too near."""
    n_scored = sum(len(mini.collection.rows("segment", split)) for split in ("val", "test"))
    count = int(mini.summary(39).query("kind == 'segment'")["closer"].sum())
    check(mini, 39, most=count / n_scored)
    with pytest.raises(CollectionError, match=rf"{count} of {n_scored} segments of val and test have one, at most"):
        check(mini, 39, most=(count - 0.5) / n_scored)
    with pytest.raises(ParameterError, match="must lie in"):
        check(mini, 39, most=2)
