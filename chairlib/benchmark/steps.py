"""One training step: the gradients of a batch, at full or half resolution, and what the optimisers make of them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chairlib.benchmark.evaluation import segmentation_loss
from chairlib.benchmark.models import FCNVGG16, FCNResNet, UNet, evaluation_mode, forward
from chairlib.benchmark.optimizers import Optimizer
from chairlib.benchmark.precision import forward_precision
from chairlib.benchmark.recipes import Recipe

__all__ = ["Stepper", "halve", "takes_half"]

#: Batches of one shape that are computed operation by operation before a CUDA graph of them is recorded.
_WARM_UP = 3


def halve(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """A batch at half its height and width: images averaged over 2 x 2 pixels, masks by their nearest pixel.

    A mask's values stay those that it had: an average would invent others.
    """
    return F.avg_pool2d(images, 2), F.interpolate(masks, size=images.shape[-1] // 2, mode="nearest-exact")


def takes_half(model: nn.Module, images: Tensor, masks: Tensor) -> bool:
    """Whether ``model`` gives masks for a batch at half its size too: some models are made for one size only."""
    half_images, half_masks = halve(images, masks)
    try:
        with evaluation_mode(model):
            return forward(model, half_images, torch.channels_last).shape == half_masks.shape
    except Exception:  # whatever a model of one's own raises
        return False


class Stepper:
    """Trains a model by one batch at a time, in place.

    On CUDA, steps of our own models are recorded once a batch shape as a CUDA graph and replayed: started one by one,
    their hundreds of small operations would keep the device waiting. Other models may do what a recording cannot
    repeat, so they run as they are. The results are the same.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, dtype: torch.dtype):
        self.model, self.recipe, self.dtype = model, recipe, dtype
        self.parameters = [weight for weight in model.parameters() if weight.requires_grad]
        self.device = self.parameters[0].device
        self.optimizer = Optimizer(model, recipe)
        self._records = self.device.type == "cuda" and isinstance(model, UNet | FCNVGG16 | FCNResNet)
        self._seen: dict[torch.Size, int] = {}
        self._graphs: dict[torch.Size, _Graph] = {}

    def __call__(self, images: Tensor, masks: Tensor, rate: float) -> Tensor:
        """Take one step at learning rate ``rate``; returns the batch's loss before it, a scalar on the device."""
        self.optimizer.set_rate(rate)
        shape = images.shape
        seen = self._seen[shape] = self._seen.get(shape, 0) + 1
        if not self._records or seen <= _WARM_UP:
            loss = self.gradients(images, masks)
            self.optimizer.step()
            return loss
        if shape not in self._graphs:
            self._graphs = {shape: _Graph(self, images, masks)}  # one at a time: each holds the memory of a step
        return self._graphs[shape].replay(self, images, masks)

    def gradients(self, images: Tensor, masks: Tensor) -> Tensor:
        """Leave the gradients of the batch's loss in the parameters, and return the loss."""
        self.model.zero_grad(set_to_none=True)
        with forward_precision(self.device, self.dtype):
            logits = forward(self.model, images, torch.channels_last)
        loss = segmentation_loss(logits.float(), masks, self.recipe.loss)
        loss.backward()
        return loss.detach()


class _Graph:
    """The recorded step of one batch shape. Its memory, gradients too, is used again by every replay."""

    def __init__(self, stepper: Stepper, images: Tensor, masks: Tensor):
        self.images, self.masks = images.clone(), masks.clone()
        stepper.model.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = stepper.gradients(self.images, self.masks)
            if stepper.optimizer.can_be_recorded:
                stepper.optimizer.step()
        self.gradients = [weight.grad for weight in stepper.parameters]

    def replay(self, stepper: Stepper, images: Tensor, masks: Tensor) -> Tensor:
        self.images.copy_(images)
        self.masks.copy_(masks)
        self.graph.replay()
        if not stepper.optimizer.can_be_recorded:
            # A batch of another shape in between has left other gradients in the parameters.
            for weight, gradient in zip(stepper.parameters, self.gradients, strict=True):
                weight.grad = gradient
            stepper.optimizer.step()
        return self.loss.clone()
