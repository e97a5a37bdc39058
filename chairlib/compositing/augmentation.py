"""Random changes of images and their masks, a whole batch at a time, on the batch's device.

The random numbers come from a generator of the CPU, so that they are the same on every device.
"""

from dataclasses import dataclass

import torch

from chairlib.core.errors import ParameterError

_DRAWS = 7
_FLIP, _SCALE, _RIGHT, _DOWN, _BRIGHTNESS, _CONTRAST, _SATURATION = range(_DRAWS)
#: Weights of red, green and blue in grey (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Augment:
    """A random transform, the same for an image and its mask. The defaults suit photos of 64 x 64 pixels.

    ``flip`` mirrors left to right with probability 1/2; ``crop`` moves the window by up to this share of each side;
    ``scale`` is the range of magnifications; brightness, contrast and saturation are each multiplied by a factor in
    [1 - colour, 1 + colour]. What lies beyond the border is the image mirrored.
    """

    flip: bool = True
    crop: float = 0.1
    scale: tuple[float, float] = (0.8, 1.25)
    colour: float = 0.2

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high <= 10 or low < 0.1:
            raise ParameterError(f"scale {self.scale!r} must be two magnifications in order, each from 0.1 to 10.")
        if not 0 <= self.crop <= 0.5:
            raise ParameterError(f"crop {self.crop!r} must be a share of the side from 0 to 0.5.")
        if not 0 <= self.colour <= 1:
            raise ParameterError(f"colour {self.colour!r} must be a strength from 0 to 1.")

    def __call__(
        self, images: torch.Tensor, masks: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Transform ``images`` float [B, 3, d, d] in [0, 1] and ``masks`` float [B, 1, d, d].

        ``generator`` is one of the CPU. Images are resampled bilinearly and clamped to [0, 1]; masks by nearest
        neighbour, so that they keep their values.
        """
        # All numbers are drawn whatever the options, so that one option doesn't change what another one draws.
        drawn = torch.rand(len(images), _DRAWS, generator=generator).double()
        rows, columns = self._coordinates(drawn, images.shape[-2], images.shape[-1])
        rows, columns = rows.to(images.device), columns.to(images.device)
        # Scaling and moving keep rows and columns apart, so the two directions are done in turn.
        images = _blend_columns(_blend_columns(images.mT, rows).mT, columns)
        masks = _take_columns(_take_columns(masks.mT, (rows + 0.5).floor()).mT, (columns + 0.5).floor())
        return self._recolour(images, drawn.float().to(images.device)).clamp(0, 1), masks

    def _coordinates(self, drawn: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Where each row and column of the result lies in its image: float [B, height] and [B, width], in pixels."""
        low, high = self.scale
        # Even in the logarithm: as often twice as large as half as large.
        scale = low * (high / low) ** drawn[:, _SCALE]
        rows = _positions(height, scale, self.crop * (2 * drawn[:, _DOWN] - 1))
        columns = _positions(width, scale, self.crop * (2 * drawn[:, _RIGHT] - 1))
        if self.flip:
            columns = torch.where(drawn[:, _FLIP, None] < 0.5, columns.flip(1), columns)
        return rows.float(), columns.float()

    def _recolour(self, images: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
        factors = 1 + self.colour * (2 * drawn - 1)
        brightness, contrast, saturation = (
            factors[:, column].to(images.dtype).view(-1, 1, 1, 1) for column in (_BRIGHTNESS, _CONTRAST, _SATURATION)
        )
        images = images * brightness
        grey = _grey(images)
        images = images + (contrast - 1) * (images - grey.mean(dim=(2, 3), keepdim=True))
        return images + (saturation - 1) * (images - _grey(images))


def _positions(length: int, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Where each pixel of a row or column is read from, in pixels: float64 [B, length].

    The line is magnified by ``scale`` [B] about its centre, and moved by ``shift`` [B], a share of its length.
    """
    centre = (length - 1) / 2
    offsets = torch.arange(length, dtype=torch.float64) - centre
    return offsets / scale[:, None] + centre + (shift * length)[:, None]


def _grey(images: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor(_LUMA, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def _take_columns(images: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Columns of each image at whole coordinates [B, n]; beyond the border it is mirrored, border pixel included."""
    length = images.shape[3]
    index = columns.long().remainder(2 * length)
    index = torch.minimum(index, 2 * length - 1 - index)[:, None, None]
    return images.gather(3, index.expand(-1, *images.shape[1:3], -1))


def _blend_columns(images: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Columns of each image between its pixels, linearly."""
    low = columns.floor()
    share = (columns - low).to(images.dtype)[:, None, None]
    return torch.lerp(_take_columns(images, low), _take_columns(images, low + 1), share)
