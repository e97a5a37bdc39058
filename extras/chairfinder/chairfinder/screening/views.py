"""An image as the rules see it: small copies and what several rules derive from them, each computed on first use."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chairfinder.boxes import Box, object_box
from chairlib.collection.opacity import MASK_OPACITY

#: Opacity, of 255, below which a pixel counts as transparent: 0.03.
CLEAR_OPACITY = 8
#: Opacity, of 255, from which on a pixel counts as fully opaque: 0.9.
SOLID_OPACITY = 230

_COARSE, _FINE = 256, 512
_BAND = 512


class SegmentView:
    """An RGBA image, with ``fine`` and ``coarse`` copies whose longer sides have at most 512 and 256 pixels.

    Raises ValueError for another mode than RGBA.
    """

    def __init__(self, image: Image.Image) -> None:
        if image.mode != "RGBA":
            raise ValueError(f"a segment is screened as RGBA, not {image.mode}")
        self.image = image

    @cached_property
    def opacity(self) -> NDArray[np.uint8]:
        """[H, W] of the image itself."""
        return np.asarray(self.image.getchannel("A"))

    @cached_property
    def box(self) -> Box:
        return object_box(self.opacity)

    @cached_property
    def fine(self) -> NDArray[np.uint8]:
        """[h, w, 4], straight alpha."""
        return np.asarray(_reduced(self.image, _FINE))

    @cached_property
    def coarse(self) -> NDArray[np.uint8]:
        """[h, w, 4], straight alpha."""
        return (
            np.asarray(_reduced(Image.fromarray(self.fine), _COARSE)) if max(self.fine.shape) > _COARSE else self.fine
        )

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """The object's pixels of the coarse copy."""
        return self.coarse[..., 3] > MASK_OPACITY

    @cached_property
    def area(self) -> int:
        """Of the object, in pixels of the coarse copy; at least 1."""
        return max(1, int(self.mask.sum()))

    @cached_property
    def lightest(self) -> NDArray[np.uint8]:
        """The highest channel of each pixel of the coarse copy."""
        return channel_range(self.coarse)[1]

    @cached_property
    def darkest(self) -> NDArray[np.uint8]:
        """The lowest channel of each pixel of the coarse copy."""
        return channel_range(self.coarse)[0]

    @cached_property
    def variation(self) -> NDArray[np.uint8]:
        """Largest difference in any channel among the pixels of each 2 x 2 block of the coarse copy."""
        return neighbour_range(self.coarse[..., :3])


class BackgroundView:
    """An RGB image, with ``fine`` and ``coarse`` copies whose longer sides have at most 512 and 256 pixels.

    Raises ValueError for another mode.
    """

    def __init__(self, image: Image.Image) -> None:
        if image.mode != "RGB":
            raise ValueError(f"a background is screened as RGB, not {image.mode}")
        self.image = image

    @cached_property
    def fine(self) -> NDArray[np.uint8]:
        """[h, w, 3], with a longer side of at most 512 pixels."""
        factor = -(-max(self.image.size) // _FINE)
        return np.asarray(self.image.reduce(factor) if factor > 1 else self.image)

    @cached_property
    def coarse(self) -> NDArray[np.uint8]:
        factor = -(-max(self.fine.shape) // _COARSE)
        return np.asarray(Image.fromarray(self.fine).reduce(factor)) if factor > 1 else self.fine

    @cached_property
    def variation(self) -> NDArray[np.uint8]:
        """As :attr:`SegmentView.variation`."""
        return neighbour_range(self.coarse)


def neighbour_range(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, W, 3] to [H, W]: the largest difference in any channel over the 2 x 2 block that begins at each pixel."""
    padded = np.pad(colours, ((0, 1), (0, 1), (0, 0)), mode="edge")
    spread = np.zeros(colours.shape[:2], np.uint8)
    for channel in range(3):  # numpy is slow along a last axis of three
        values = padded[..., channel]
        high, low = np.maximum(values[:-1], values[1:]), np.minimum(values[:-1], values[1:])
        np.maximum(spread, np.maximum(high[:, :-1], high[:, 1:]) - np.minimum(low[:, :-1], low[:, 1:]), out=spread)
    return spread


def channel_range(colours: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Of [H, W, 3 or more]: the lowest and the highest of the first three channels, [H, W] each."""
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    return np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)


def grown(mask: NDArray[np.bool_], steps: int = 1) -> NDArray[np.bool_]:
    """Grow every true pixel of [H, W] to a square of 2 x steps + 1 pixels; many times faster than scipy's dilation."""
    for axis in (0, 1):
        previous, mask = mask, mask.copy()
        for step in range(1, steps + 1):
            before = tuple(slice(step, None) if axis == index else slice(None) for index in (0, 1))
            after = tuple(slice(None, -step) if axis == index else slice(None) for index in (0, 1))
            mask[after] |= previous[before]
            mask[before] |= previous[after]
    return mask


def shrunk(mask: NDArray[np.bool_], steps: int = 1) -> NDArray[np.bool_]:
    """The reverse of :func:`grown`; what lies outside the image counts as true, so that the frame is no outline."""
    return ~grown(~mask, steps)


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """The image averaged over blocks, colours weighted by opacity.

    Done in bands, so that no second copy of a large image is needed.
    """
    factor = -(-max(image.size) // side)
    if factor <= 1:
        return image
    small = Image.new("RGBA", (-(-image.width // factor), -(-image.height // factor)))
    rows = factor * max(1, _BAND // factor)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        small.paste(band.convert("RGBa").reduce(factor).convert("RGBA"), (0, top // factor))
    return small
