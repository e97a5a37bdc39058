"""Copies, colour variants and mirrored copies share a group; different objects don't; a person's labels win."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from chairfinder.grouping import (
    BACKGROUND_BITS,
    COLOUR_ASPECT,
    COLOUR_BITS,
    SILHOUETTE_ASPECT,
    SILHOUETTE_BITS,
    find_groups,
    near_duplicates,
)
from chairfinder.signatures import Signature, background_signature, segment_signature
from chairlib.collection import Collection
from drawing import blob, recoloured


def padded(segment, margin):
    canvas = Image.new("RGBA", (segment.width + 3 * margin, segment.height + margin), (9, 9, 9, 0))
    canvas.paste(segment, (margin, margin // 2))
    return canvas


def room(seed, size=(120, 90)):
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def recompressed(image, quality):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def groups_of(images, labels=None, kind="segment"):
    signature = segment_signature if kind == "segment" else background_signature
    digests = [f"{index:016x}" for index in range(len(images))]
    return find_groups(kind, [signature(image) for image in images], digests, labels or [None] * len(images))


VARIANTS = {
    "itself": lambda image: image,
    "another colour": lambda image: recoloured(image, 99),
    "mirrored": ImageOps.mirror,
    "mirrored in another colour": lambda image: ImageOps.mirror(recoloured(image, 99)),
    "smaller": lambda image: image.resize((90, 90)),
    "stretched": lambda image: image.resize((180, 140)),
    "wider margins": lambda image: padded(image, 50),
    "softer edges": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_variants_of_a_segment_share_its_group_and_others_do_not(variant):
    originals = [blob(seed) for seed in range(12)]
    groups = groups_of([*originals, *map(variant, originals)])
    assert groups[:12] == groups[12:]
    assert len(set(groups)) == 12


def test_a_photo_cut_out_otherwise_is_found_by_its_colours():
    originals = [blob(seed) for seed in range(6)]
    holed = []
    for filled in originals:
        # A white spot, then a clear one in its place: another silhouette, the same picture on white.
        opacity = filled.getchannel("A")
        ImageDraw.Draw(filled).ellipse((60, 60, 100, 100), "white")
        filled.putalpha(opacity)
        clear = filled.copy()
        ImageDraw.Draw(opacity).ellipse((60, 60, 100, 100), 0)
        clear.putalpha(opacity)
        holed += [filled, clear]
    groups = groups_of(holed)
    assert groups[::2] == groups[1::2]
    assert len(set(groups)) == 6


ROOM_VARIANTS = {
    "mirrored": ImageOps.mirror,
    "smaller": lambda image: image.resize((60, 45)),
    "squashed": lambda image: image.resize((90, 90)),
    "recompressed": lambda image: recompressed(image, 30),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
}


@pytest.mark.parametrize("variant", ROOM_VARIANTS.values(), ids=ROOM_VARIANTS)
def test_variants_of_a_background_share_its_group_and_others_do_not(variant):
    originals = [room(seed) for seed in range(40)]
    groups = groups_of([*originals, *map(variant, originals)], kind="background")
    assert groups[:40] == groups[40:]
    assert len(set(groups)) == 40


@pytest.mark.parametrize("side", [0.95, 0.9, 0.85, 0.8])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_centred_crop_of_a_background_shares_its_group(side, mirrored):
    # Rendered rooms: drawn ones are so smooth that most bits of their hashes are noise.
    mini = Collection("mini")
    originals = [mini.open("background", id) for id in mini.rows("background")["id"][:40]]

    def crop(image):
        width, height = image.size
        cut = (round(width * (1 - side) / 2), round(height * (1 - side) / 2))
        inner = image.crop((*cut, width - cut[0], height - cut[1]))
        return ImageOps.mirror(inner) if mirrored else inner

    groups = groups_of([*originals, *map(crop, originals)], kind="background")
    assert groups[:40] == groups[40:]
    assert len(set(groups)) == 40


def test_plain_walls_of_different_colours_are_different():
    walls = [Image.new("RGB", (50, 40), colour) for colour in ("red", "green", "blue", "white", "#fefefe")]
    groups = groups_of(walls, kind="background")
    assert len(set(groups)) == 4
    assert groups[3] == groups[4]


def test_names_do_not_depend_on_order_and_hold_the_kind():
    images = [blob(0), blob(1), ImageOps.mirror(blob(0)), blob(2)]
    signatures = [segment_signature(image) for image in images]
    digests = ["dd", "bb", "aa", "cc"]
    groups = find_groups("segment", signatures, digests, [None] * 4)
    assert groups == ["segment:like-aa", "segment:like-bb", "segment:like-aa", "segment:like-cc"]
    assert find_groups("segment", signatures[::-1], digests[::-1], [None] * 4) == groups[::-1]
    assert find_groups("background", signatures, digests, [None] * 4)[0] == "background:like-aa"


def test_labels_win_over_looks():
    images = [blob(0), blob(0), blob(1), blob(2)]
    assert groups_of(images, ["a", "b", "a", "c"]) == [f"segment:label-{label}" for label in "abac"]


def test_an_unlabelled_image_joins_the_label_it_looks_like():
    images = [blob(0), ImageOps.mirror(blob(0)), blob(1), blob(2), blob(2)]
    groups = groups_of(images, ["a", None, "b", None, None])
    assert groups[:3] == ["segment:label-a", "segment:label-a", "segment:label-b"]
    assert groups[3] == groups[4]
    assert groups[3].startswith("segment:like-")


def pair(silhouette_bits=128, colour_bits=128, aspect=1.0):
    """Whether two segments that differ by these numbers of hash bits and this ratio of aspects share a group."""
    rng = np.random.default_rng(5)
    as_is, mirrored = rng.random((2, 256)) < 0.5, rng.random((4, 256)) < 0.5
    changed = as_is.copy()
    changed[0, :colour_bits] ^= True
    changed[1, :silhouette_bits] ^= True
    grey = np.full(3, 128.0)
    first = Signature(as_is[0], mirrored[0], grey, 1.0, as_is[1], mirrored[1])
    second = Signature(changed[0], mirrored[2], grey, aspect, changed[1], mirrored[3])
    return len(set(find_groups("segment", [first, second], ["a", "b"], [None, None]))) == 1


def test_either_hash_is_enough_up_to_its_threshold():
    assert not pair()
    assert pair(silhouette_bits=SILHOUETTE_BITS)
    assert not pair(silhouette_bits=SILHOUETTE_BITS + 1)
    assert pair(colour_bits=COLOUR_BITS)
    assert not pair(colour_bits=COLOUR_BITS + 1)


def test_boxes_of_very_different_shape_are_not_alike():
    assert pair(silhouette_bits=0, aspect=0.99 * SILHOUETTE_ASPECT)
    assert not pair(silhouette_bits=0, aspect=1.01 * SILHOUETTE_ASPECT)
    assert pair(colour_bits=0, aspect=1 / (0.99 * COLOUR_ASPECT))
    assert not pair(colour_bits=0, aspect=1 / (1.01 * COLOUR_ASPECT))


def test_nothing_gives_nothing():
    assert find_groups("segment", [], [], []) == []


def test_distances_are_counted_exactly_across_blocks():
    rng = np.random.default_rng(0)
    bits = rng.random((2600, 256)) < 0.5
    near, far = bits[3].copy(), bits[4].copy()
    near[:BACKGROUND_BITS] ^= True
    far[: BACKGROUND_BITS + 1] ^= True
    hashes = [*bits, near, far]
    other = rng.random((len(hashes), 256)) < 0.5
    other[2599] = bits[7]  # its mirror image is what number 7 is
    grey = np.full(3, 128.0)
    signatures = [Signature(hash, mirrored, grey, 1.0) for hash, mirrored in zip(hashes, other, strict=True)]
    groups = find_groups("background", signatures, [f"{i:05}" for i in range(2602)], [None] * 2602)
    assert groups[2600] == groups[3]
    assert groups[2601] != groups[4]
    assert groups[2599] == groups[7]
    assert len(set(groups)) == 2600


def _signature(bits, mean=(100.0, 100.0, 100.0), mirrored=None):
    far = np.arange(256) % 2 == 0  # of no use to anyone: 128 bits from nearly everything
    return Signature(bits, far if mirrored is None else mirrored, np.array(mean), 1.0)


def _flipped(bits, count):
    return np.where(np.arange(256) < count, ~bits, bits)


def test_near_duplicates_are_those_of_an_earlier_image_that_stays():
    a = np.random.default_rng(0).random(256) > 0.5
    b = np.random.default_rng(1).random(256) > 0.5
    signatures = [
        _signature(a),
        _signature(_flipped(a, 12)),
        _signature(b),
        _signature(_flipped(a, 20)),  # near to the second alone, which does not stay
        _signature(a, (100, 109, 100)),  # a colour variant
        _signature(_flipped(b, 13)),
        _signature(_flipped(a, 200), mirrored=_flipped(a, 3)),
    ]
    assert near_duplicates(signatures, 12) == {1: (0, 12), 6: (0, 3)}
    assert near_duplicates(signatures, 13) == {1: (0, 12), 5: (2, 13), 6: (0, 3)}
    assert near_duplicates(signatures, 0) == near_duplicates([], 12) == {}
