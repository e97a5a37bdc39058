"""Groups of images that are too alike to be in different splits: copies, crops, mirrored copies and colour variants.

Images are compared by perceptual hashes (256 bits, imagehash's phash), and by the mirror image's. Two segments are
alike where the hashes of their silhouettes are near (this finds colour variants), or those of their colours (this finds
copies that were cut out differently). Segments are cropped to their object first, so margins and scale don't matter.
Two backgrounds are alike where the hashes of their colours are near, or the hash of one's centre and that of the
other's whole: a crop by up to a quarter, if about the same is cut from all sides. A group is a connected component of
the graph of alike pairs.

The thresholds were set on 459 product photos with hand-made groups and 3,200 photos of rooms. Of the pairs of chairs in
one hand-made group, 84 % are found (the others show another view or other legs), and 86 % of the pairs found are in one
such group; no two of the rooms differ in fewer than 80 bits. Two images wrongly put in one group cost little; two
wrongly left apart may let a model be tested on what it was trained on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from chairlib.collection.opacity import object_box

__all__ = [
    "BACKGROUND_BITS",
    "BACKGROUND_COLOUR",
    "CENTRES",
    "COLOUR_ASPECT",
    "COLOUR_BITS",
    "DUPLICATE_COLOUR",
    "SILHOUETTE_ASPECT",
    "SILHOUETTE_BITS",
    "Signature",
    "background_signature",
    "find_groups",
    "near_duplicates",
    "segment_signature",
]

#: How many hash bits, of 256, may differ between two segments' silhouettes, and the ratio by which the aspects of their
#: boxes may differ.
SILHOUETTE_BITS = 56
SILHOUETTE_ASPECT = 1.14
#: The same for two segments' colours. Copies of a photo are sometimes stretched.
COLOUR_BITS = 64
COLOUR_ASPECT = 1.35
#: How many hash bits may differ between two backgrounds, and by how much their mean colours (of 255, in any channel).
BACKGROUND_BITS = 60
BACKGROUND_COLOUR = 32

#: By how much the mean colours of two near-duplicates may differ (of 255, in any channel).
DUPLICATE_COLOUR = 8

#: The centres of a background that are compared with other backgrounds, as shares of its sides. With these two, a
#: centred crop to 76 % or more of the sides is found (199 of 200 photos of rooms), and no two of 1,200 rooms differ in
#: fewer than 86 bits.
CENTRES = (0.9, 0.8)

_HASH_SIDE = 16
_CANVAS = 64
_BLOCK = 1024

Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Signature:
    """What images are compared by.

    Hashes are boolean [256]. ``mean_colour`` is [3], of 255; ``aspect`` is width / height. Segments have the hashes of
    their silhouettes, backgrounds those of their centres, one for each of :data:`CENTRES`.
    """

    colours: Bits
    mirrored_colours: Bits
    mean_colour: NDArray[np.float64]
    aspect: float
    silhouette: Bits | None = None
    mirrored_silhouette: Bits | None = None
    centres: tuple[Bits, ...] = ()


def segment_signature(segment: Image.Image) -> Signature:
    """The signature of an RGBA segment, which must have a pixel above the mask's opacity."""
    box = object_box(np.asarray(segment.getchannel("A")))
    canvas = segment.resize((_CANVAS, _CANVAS), Image.Resampling.BOX, box=box)
    opacity = canvas.getchannel("A")
    on_white = Image.alpha_composite(Image.new("RGBA", canvas.size, "white"), canvas).convert("RGB")
    aspect = (box[2] - box[0]) / (box[3] - box[1])
    return Signature(*_hashes(on_white), _mean_colour(on_white), aspect, *_hashes(opacity))


def background_signature(background: Image.Image) -> Signature:
    """The signature of an RGB background."""
    canvas = background.resize((_CANVAS, _CANVAS), Image.Resampling.BOX)
    centres = tuple(_hash(_centre(background, side)) for side in CENTRES)
    return Signature(*_hashes(canvas), _mean_colour(canvas), background.width / background.height, centres=centres)


def find_groups(
    kind: str, signatures: Sequence[Signature], digests: Sequence[str], labels: Sequence[str | None]
) -> list[str]:
    """The group of each image of one kind.

    ``digests`` name the images by content; ``labels`` are groups that a person assigned, or None. Images with the same
    label are in one group. Two labelled images are never joined because they look alike; an image without a label joins
    all that it looks like. A group's name does not depend on the images' order, and begins with the kind.
    """
    if not signatures:
        return []
    first, second = _alike_pairs(signatures)
    labelled = np.array([label is not None for label in labels])
    by_looks = ~(labelled[first] & labelled[second])
    leaders: dict[str, int] = {}
    by_label = np.array(
        [(leaders.setdefault(label, index), index) for index, label in enumerate(labels) if label is not None],
        dtype=np.int64,
    ).reshape(-1, 2)
    edges = np.concatenate([np.stack([first[by_looks], second[by_looks]], axis=1), by_label])
    n = len(signatures)
    graph = coo_array((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(n, n))
    _, components = connected_components(graph, directed=False)
    names: dict[int, str] = {}
    for component, digest, label in zip(components, digests, labels, strict=True):
        # "label" sorts before "like", so that a person's name for the group is preferred.
        name = f"{kind}:label-{label}" if label is not None else f"{kind}:like-{digest[:16]}"
        names[component] = min(name, names.get(component, name))
    return [names[component] for component in components]


def near_duplicates(signatures: Sequence[Signature], bits: int) -> dict[int, tuple[int, int]]:
    """Images that show the same as an earlier one: index -> (index of the earlier one, number of different hash bits).

    Two images show the same where at most ``bits`` of the 256 bits of their colours' hashes differ (or of the mirrored
    hash) and their mean colours by at most :data:`DUPLICATE_COLOUR`: the same picture at another size, quality or crop.
    Colour variants differ by more; they are put into groups. The earlier image is never a near-duplicate itself, so
    that one copy of each picture stays. Empty where ``bits`` is 0.
    """
    if not bits or not signatures:
        return {}
    means = np.array([signature.mean_colour for signature in signatures])
    colours = [signature.colours for signature in signatures]
    mirrored = [signature.mirrored_colours for signature in signatures]
    pairs = [np.stack(pair, axis=1) for pair in _near(colours, mirrored, bits)]
    found: dict[int, tuple[int, int]] = {}
    for later, earlier in sorted((second, first) for first, second in np.concatenate(pairs).tolist()):
        is_near = np.abs(means[earlier] - means[later]).max() <= DUPLICATE_COLOUR
        if is_near and later not in found and earlier not in found:
            differing = min(int((colours[earlier] != other[later]).sum()) for other in (colours, mirrored))
            found[later] = (earlier, differing)
    return found


def _alike_pairs(signatures: Sequence[Signature]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    aspects = np.log([signature.aspect for signature in signatures])
    colours = [signature.colours for signature in signatures]
    mirrored = [signature.mirrored_colours for signature in signatures]
    silhouettes = [signature.silhouette for signature in signatures if signature.silhouette is not None]
    flipped = [signature.mirrored_silhouette for signature in signatures if signature.mirrored_silhouette is not None]
    pairs = []
    if silhouettes:
        for first, second in _near(silhouettes, flipped, SILHOUETTE_BITS):
            keep = np.abs(aspects[first] - aspects[second]) <= np.log(SILHOUETTE_ASPECT)
            pairs.append((first[keep], second[keep]))
        for first, second in _near(colours, mirrored, COLOUR_BITS):
            keep = np.abs(aspects[first] - aspects[second]) <= np.log(COLOUR_ASPECT)
            pairs.append((first[keep], second[keep]))
    else:
        means = np.array([signature.mean_colour for signature in signatures])
        centres = zip(*(signature.centres for signature in signatures), strict=True)
        crops = (_near_any(centre, (colours, mirrored), BACKGROUND_BITS) for centre in centres)
        for first, second in chain(_near(colours, mirrored, BACKGROUND_BITS), *crops):
            keep = np.abs(means[first] - means[second]).max(axis=1) <= BACKGROUND_COLOUR
            pairs.append((first[keep], second[keep]))
    return np.concatenate([first for first, _ in pairs]), np.concatenate([second for _, second in pairs])


def _near(
    hashes: Sequence[Bits], mirrored: Sequence[Bits], bits: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of images (first < second) whose hashes differ in at most ``bits`` bits, directly or mirrored."""
    for first, second in _near_any(hashes, (hashes, mirrored), bits):
        yield first[first < second], second[first < second]


def _near_any(
    hashes: Sequence[Bits], others: Sequence[Sequence[Bits]], bits: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of an index into ``hashes`` and one into any of ``others`` that differ in at most ``bits`` bits.

    An image is also paired with itself. Bits are turned into -1 and 1: a matrix product then counts equal bits minus
    different ones, exactly in float32 and fast.
    """
    signs = np.array(hashes, dtype=np.float32) * 2 - 1
    other_signs = [np.array(other, dtype=np.float32) * 2 - 1 for other in others]
    least = signs.shape[1] - 2 * bits
    for start in range(0, len(signs), _BLOCK):
        block = signs[start : start + _BLOCK]
        for other in other_signs:
            row, second = np.nonzero(block @ other.T >= least)
            yield row + start, second


def _hash(canvas: Image.Image) -> Bits:
    bits: Bits = imagehash.phash(canvas, _HASH_SIDE).hash.ravel()
    return bits


def _hashes(canvas: Image.Image) -> tuple[Bits, Bits]:
    return _hash(canvas), _hash(ImageOps.mirror(canvas))


def _centre(background: Image.Image, side: float) -> Image.Image:
    """The middle of an image, of ``side`` of its width and height, as a small square."""
    width, height = background.size
    box = (width * (1 - side) / 2, height * (1 - side) / 2, width * (1 + side) / 2, height * (1 + side) / 2)
    return background.resize((_CANVAS, _CANVAS), Image.Resampling.BOX, box=box)


def _mean_colour(canvas: Image.Image) -> NDArray[np.float64]:
    return np.asarray(canvas).reshape(-1, 3).mean(axis=0)
