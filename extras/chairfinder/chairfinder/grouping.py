"""Groups of images that are too alike to be in different splits: copies, crops, mirrored copies and colour variants.

Images are compared by perceptual hashes (256 bits, imagehash's phash), directly and mirrored. Two segments, each
cropped to its object, are alike where the hashes of their silhouettes are near (colour variants), or those of their
colours (copies that were cut out differently). Two backgrounds are alike where the hashes of their colours are near, or
the hash of one's centre and that of the other's whole (a crop). A group is a connected component of the alike pairs.

``benchmarks/thresholds.py`` measures the thresholds. On 453 real chairs, 33 of the 43 pairs in one hand-made group are
found, and 5 others. In ``mini``, 70 of 101,025 pairs of different designs are taken for alike, and no two rooms. Two
images wrongly put in one group cost little; two wrongly left apart may let a model be tested on what it was trained on.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from chairfinder.signatures import Bits, Signature, as_signs

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

_BLOCK = 1024


def find_groups(
    kind: str, signatures: Sequence[Signature], digests: Sequence[str], labels: Sequence[str | None]
) -> list[str]:
    """The group of each image of one kind.

    ``digests`` name the images by content; ``labels`` are groups that a person assigned, or None. Images of one label
    are in one group. Two labelled images are never joined by their looks; one without a label joins all that it looks
    like. A group's name begins with the kind, and does not depend on the images' order.
    """
    if not signatures:
        return []
    pairs = _alike_pairs(signatures)
    labelled = np.array([label is not None for label in labels])
    by_looks = pairs[~labelled[pairs].all(axis=1)]
    leaders: dict[str, int] = {}
    by_label = [(leaders.setdefault(label, index), index) for index, label in enumerate(labels) if label is not None]
    edges = np.concatenate([by_looks, np.array(by_label, dtype=np.int64).reshape(-1, 2)])
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

    Two images show the same where the hashes of their colours, or mirrored colours, differ in at most ``bits`` bits and
    their mean colours by at most :data:`DUPLICATE_COLOUR`. The earlier image is never a near-duplicate itself, so that
    one copy of each picture stays. Empty where ``bits`` is 0.
    """
    if not bits or not signatures:
        return {}
    means, colours, mirrored = _colours(signatures)
    pairs = np.concatenate(list(_near(colours, mirrored, bits)))
    found: dict[int, tuple[int, int]] = {}
    for later, earlier in sorted((second, first) for first, second in pairs.tolist()):
        is_near = np.abs(means[earlier] - means[later]).max() <= DUPLICATE_COLOUR
        if is_near and later not in found and earlier not in found:
            differing = min(int((colours[earlier] != other[later]).sum()) for other in (colours, mirrored))
            found[later] = (earlier, differing)
    return found


def _colours(signatures: Sequence[Signature]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Mean colours [N, 3], and the hashes of colours and of mirrored colours [N, 256]."""
    names = ("mean_colour", "colours", "mirrored_colours")
    means, colours, mirrored = (np.array([getattr(signature, name) for signature in signatures]) for name in names)
    return means, colours, mirrored


def _alike_pairs(signatures: Sequence[Signature]) -> NDArray[np.int64]:
    """Pairs of indices [M, 2] of images that look alike."""
    aspects = np.log([[signature.aspect] for signature in signatures])
    means, colours, mirrored = _colours(signatures)
    kept = []

    def keep(found: Iterable[NDArray[np.int64]], values: NDArray[np.float64], most: float) -> None:
        """Keep the pairs whose ``values`` [N, K] differ by at most ``most``."""
        for pairs in found:
            kept.append(pairs[np.abs(values[pairs[:, 0]] - values[pairs[:, 1]]).max(axis=1) <= most])

    if signatures[0].silhouette is not None:
        silhouettes = np.array([signature.silhouette for signature in signatures])
        flipped = np.array([signature.mirrored_silhouette for signature in signatures])
        keep(_near(silhouettes, flipped, SILHOUETTE_BITS), aspects, float(np.log(SILHOUETTE_ASPECT)))
        keep(_near(colours, mirrored, COLOUR_BITS), aspects, float(np.log(COLOUR_ASPECT)))
    else:
        keep(_near(colours, mirrored, BACKGROUND_BITS), means, BACKGROUND_COLOUR)
        for centres in zip(*(signature.centres for signature in signatures), strict=True):
            keep(_near_any(np.array(centres), (colours, mirrored), BACKGROUND_BITS), means, BACKGROUND_COLOUR)
    return np.concatenate(kept)


def _near(hashes: Bits, mirrored: Bits, bits: int) -> Iterator[NDArray[np.int64]]:
    """Pairs of images (first < second) whose hashes differ in at most ``bits`` bits, directly or mirrored."""
    for pairs in _near_any(hashes, (hashes, mirrored), bits):
        yield pairs[pairs[:, 0] < pairs[:, 1]]


def _near_any(hashes: Bits, others: Sequence[Bits], bits: int) -> Iterator[NDArray[np.int64]]:
    """Pairs [M, 2] of an index into ``hashes`` and one into any of ``others`` that differ in at most ``bits`` bits.

    An image is also paired with itself.
    """
    least = hashes.shape[1] - 2 * bits
    other_signs = [as_signs(other) for other in others]
    for start in range(0, len(hashes), _BLOCK):
        block = as_signs(hashes[start : start + _BLOCK])
        for other in other_signs:
            yield np.argwhere(block @ other.T >= least) + (start, 0)
