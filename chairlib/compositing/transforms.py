"""The base of all datasets here: how an image and its mask go through transforms, torchvision's v2 among them."""

from collections.abc import Callable
from typing import Any

from PIL import Image

from chairlib.core.errors import ParameterError
from chairlib.core.vision import torchvision

tv_tensors, v2 = torchvision.tv_tensors, torchvision.transforms.v2


class MaskedDataset(torchvision.datasets.VisionDataset):
    """Images with masks: ``(Pillow RGB image, Pillow L mask of 0 and 255)``, or what the transforms make of them.

    ``transforms`` takes both. ``transform`` takes the image alone and ``target_transform`` the mask alone, so what
    mirrors, moves or crops belongs into ``transforms``. A function of any kind gets Pillow images.

    Where one of them is a transform of ``torchvision.transforms.v2``, the pair is ``(tv_tensors.Image,
    tv_tensors.Mask)`` instead: uint8 [3, H, W], and uint8 [1, H, W] of 0 and 1. Then ``transforms`` moves both alike,
    resamples masks by nearest neighbour, and neither scales nor recolours them. ``wrap_dataset_for_transforms_v2``,
    which knows torchvision's own datasets only, is not needed. Raises ParameterError for v2 transforms that would fill
    a mask with a colour, or leave levels where they promise numbers from 0 to 1 (ToTensor).
    """

    def __init__(
        self,
        root: str,
        transforms: Callable | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ):
        super().__init__(root, transforms, transform, target_transform)
        for given in (transforms, transform, target_transform):
            if isinstance(given, v2.Transform):
                _check(given, of_both=given is transforms)

    def untransformed(self, index: int) -> tuple[Image.Image, Image.Image]:
        """Image and mask number ``index``, from 0 on: modes RGB and L, the mask of 0 and 255. Each subclass has it."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        image, mask = self.untransformed(index % len(self))
        if self.transforms is None:
            return image, mask
        # torchvision sets `transforms` in any case: for a pair of functions, to an object that calls each of them.
        apart = self.transform is not None or self.target_transform is not None
        each = (self.transform, self.target_transform) if apart else (self.transforms, self.transforms)
        are_v2 = [isinstance(function, v2.Transform) for function in each]
        if any(are_v2) and (are_v2[0] or each[0] is None):
            image = tv_tensors.Image(image)
        if any(are_v2) and (are_v2[1] or each[1] is None):
            mask = tv_tensors.Mask(v2.functional.pil_to_tensor(mask) // 255)
        return self.transforms(image, mask)


def _check(transform: Any, of_both: bool) -> None:
    """Raise ParameterError where a v2 transform, or one within it, would silently do something else than it seems."""
    for inner in getattr(transform, "transforms", ()):
        _check(inner, of_both)
    name = type(transform).__name__
    if isinstance(transform, v2.ToTensor | torchvision.transforms.ToTensor):
        raise ParameterError(
            f"{name} would leave levels of 0 to 255 as they are, for images are tensors already: use "
            "v2.ToDtype(torch.float32, scale=True)."
        )
    fill = getattr(transform, "fill", None)
    fills = fill if isinstance(fill, dict) else {"others": fill}
    if of_both and tv_tensors.Mask not in fills and fills.get("others") not in (None, 0):
        raise ParameterError(
            f"{name} would fill masks, too, with {fills['others']!r}: give "
            f"fill={{tv_tensors.Image: {fills['others']!r}, tv_tensors.Mask: 0}}."
        )
