"""How one composite is made: padding, resizing, alpha blending, and the mask (paper, section 3).

At resolution d the background is squashed to d x d, the segment is resized to (d - k) x (d - k) and placed with its
corner at floor(k / 2), and the two are blended: ``I = opacity * F + (1 - opacity) * B``. The mask is where the opacity
exceeds 0.4, the rule of the released code. Everything works on 8-bit levels and rounds once, so a composite is the same
on every device, and equals Pillow's.
"""

from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image

from chairlib.collection.opacity import MASK_OPACITY
from chairlib.core.checks import check_choice, check_count

#: The paper's four resolutions.
RESOLUTIONS = (32, 64, 128, 256)

#: How a segment fills its square: its whole canvas stretched, or with its aspect kept.
Placement = Literal["stretch", "keep"]

# Bilinear has no negative weights, so opacity stays in its range. Pillow widens it when shrinking, so it antialiases.
_FILTER = Image.Resampling.BILINEAR


def check_resolution(resolution: int) -> None:
    """Raise :class:`ParameterError` unless ``resolution`` is a whole number of pixels from 16 to 4096."""
    # In smaller composites nothing can be seen; larger ones are most likely a typing error, and would take much memory.
    check_count("resolution", resolution, least=16, most=4096)


def padding(resolution: int) -> int:
    """The number of pixels k left free around a segment: 3, 6, 13, 26 at 32, 64, 128, 256 (paper, section 3).

    Those four are round(0.1 d), which is used for every other resolution too. Raises as :func:`check_resolution` does.
    """
    check_resolution(resolution)
    return round(0.1 * int(resolution))


def resize_segment(segment: Image.Image, resolution: int, fit: Placement = "stretch", crop: bool = False) -> np.ndarray:
    """Place a segment on its transparent canvas of ``resolution`` x ``resolution`` pixels.

    ``segment`` is a Pillow image of mode RGBA, straight colour. ``fit`` is ``"stretch"`` (the paper: the canvas becomes
    a square) or ``"keep"`` (aspect kept, centred). ``crop`` first cuts the canvas to what has an opacity above 0.03.

    Returns uint8 [d, d, 4], straight colour. Pillow weighs colour by opacity while resizing, so the invisible colour of
    transparent pixels never bleeds in as a fringe.
    """
    free = padding(resolution)
    check_choice("fit", fit, get_args(Placement))
    if crop:
        opaque = segment.getchannel("A").point(lambda level: 255 if level > 255 * 0.03 else 0)
        segment = segment.crop(opaque.getbbox())  # with nothing opaque, the whole canvas
    side = width = height = resolution - free
    if fit == "keep":
        scale = side / max(segment.size)
        width, height = (max(1, round(length * scale)) for length in segment.size)
    canvas = np.zeros((resolution, resolution, 4), np.uint8)
    left, top = free // 2 + (side - width) // 2, free // 2 + (side - height) // 2
    canvas[top : top + height, left : left + width] = np.asarray(segment.resize((width, height), _FILTER))
    return canvas


def resize_background(background: Image.Image, resolution: int) -> np.ndarray:
    """Resize a background (Pillow, mode RGB) to uint8 [d, d, 3], antialiased; its aspect is lost (paper, section 3)."""
    check_resolution(resolution)
    return np.asarray(background.resize((resolution, resolution), _FILTER))


def blend(segments: torch.Tensor, backgrounds: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Segments uint8 [..., 4, d, d], straight colour, over backgrounds uint8 [..., 3, d, d] on the same device.

    Returns float32 [..., 3, d, d] holding whole levels 0..255, in ``out`` where that is given. The products stay below
    2**24, so float32 holds them exactly, and a sum over 255 is never half-way between two whole numbers: every device
    rounds to the same level.
    """
    opacity, behind = segments[..., 3:4, :, :].float(), backgrounds.float()
    # opacity * front + (255 - opacity) * behind, in one piece of memory
    blended = torch.sub(segments[..., :3, :, :].float(), behind, out=out)
    return blended.mul_(opacity).add_(behind, alpha=255).div_(255).round_()


def blend_arrays(segments: np.ndarray, backgrounds: np.ndarray) -> np.ndarray:
    """:func:`blend` for numpy: uint8 [..., d, d, 4] over uint8 [..., d, d, 3] gives uint8 [..., d, d, 3]."""
    parts = [torch.from_numpy(np.ascontiguousarray(array)).movedim(-1, -3) for array in (segments, backgrounds)]
    return blend(*parts).byte().movedim(-3, -1).numpy()


def unit_range(levels: torch.Tensor) -> torch.Tensor:
    """Float levels 0..255 as values in [0, 1], in place: k / 255, the same float on every device."""
    # By a plain number, CUDA multiplies with its reciprocal, and the last bit differs from the CPU's.
    return levels.div_(torch.full((), 255.0, device=levels.device))


def mask_from_opacity(opacity: torch.Tensor) -> torch.Tensor:
    """Boolean mask of ``opacity / 255 > 0.4`` for uint8 opacity levels of any shape."""
    return opacity > MASK_OPACITY
