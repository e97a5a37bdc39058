"""One training step: the gradients of a batch, at full or half resolution, and what the optimisers make of them."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chairlib.benchmark.evaluation import segmentation_loss
from chairlib.benchmark.models import FCNVGG16, FCNResNet, UNet, evaluation_mode, forward, name_of
from chairlib.benchmark.optimizers import Optimizer
from chairlib.benchmark.precision import forward_precision
from chairlib.benchmark.recipes import Recipe
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError

#: Steps in a row on batches of one shape before these are recorded. An epoch's smaller last batch stands alone.
_WARM_UP = 3


def halve(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """A batch at half its height and width: images averaged over 2 x 2 pixels, of masks one pixel of each four.

    A mask's values stay those that it had: an average would invent others. Which of the four is the same everywhere, so
    an edge of a mask may lie half a pixel off; scores are never taken at this size.
    """
    return F.avg_pool2d(images, 2), F.interpolate(masks, size=images.shape[-1] // 2, mode="nearest-exact")


def takes_half(model: nn.Module, images: Tensor, masks: Tensor) -> bool:
    """Whether ``model`` gives masks for a batch at half its size too: some models are made for one size only."""
    half_images, half_masks = halve(images, masks)
    try:
        with evaluation_mode(model):
            return forward(model, half_images, torch.channels_last).shape == half_masks.shape
    except torch.OutOfMemoryError:
        raise
    except Exception:  # whatever a model of one's own raises
        return False


class Stepper:
    """Trains a model by one batch at a time, in place.

    On CUDA, steps of our own models are recorded as a CUDA graph and replayed: started one by one, their hundreds of
    small operations would keep the device waiting. Other models may do what a recording cannot repeat, so they run as
    they are, by the same operations.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, dtype: torch.dtype):
        self.model, self.recipe, self.dtype = model, recipe, dtype
        self.parameters = [weight for weight in model.parameters() if weight.requires_grad]
        self.device = self.parameters[0].device
        # A subclass may do anything. Graphs are recorded on the current device.
        ours = type(model) in (UNet, FCNVGG16, FCNResNet)
        #: Whether steps are recorded and replayed.
        self.records = ours and self.device.type == "cuda" and self.device.index == torch.cuda.current_device()
        # Nobody has shown yet that a recorded step is deterministic too (`deterministic` in benchmarks/gpu.py).
        self.records &= not torch.are_deterministic_algorithms_enabled()
        self.optimizer = Optimizer(model, recipe, recorded=self.records)
        self._shape, self._in_a_row = torch.Size(), 0
        self._graph: _Graph | None = None

    def __call__(self, images: Tensor, masks: Tensor, rate: float) -> Tensor:
        """Take one step at learning rate ``rate``; returns the batch's loss before it, a scalar on the device."""
        self.optimizer.set_rate(rate)
        self._in_a_row = self._in_a_row + 1 if images.shape == self._shape else 1
        self._shape = images.shape
        if self._graph is not None and self._graph.images.shape == images.shape:
            return self._graph.replay(self, images, masks)
        if self.records and self._in_a_row > _WARM_UP:
            self._graph = None  # one at a time: each holds the memory of a step
            self._graph = _Graph(self, images, masks)
            return self._graph.replay(self, images, masks)
        loss = self.gradients(images, masks)
        self.optimizer.step()
        return loss

    def gradients(self, images: Tensor, masks: Tensor) -> Tensor:
        """Leave the gradients of the batch's loss in the parameters, and return the loss."""
        self.model.zero_grad(set_to_none=True)
        with forward_precision(self.device, self.dtype):
            logits = forward(self.model, images, torch.channels_last)
        if getattr(logits, "shape", None) != masks.shape:
            raise ParameterError(
                f"model {name_of(self.model)} returned something else in training mode than the logits that it gives "
                "in evaluation mode: it must return the same in both."
            )
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


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of a model's weights by name."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def trainable_batches(model: nn.Module, train: CompositeLoader, recipe: Recipe) -> CompositeLoader:
    """The loader, with a last batch of one image joined to the batch before it where the model cannot train on one.

    BatchNorm cannot where features are 1 x 1: one value has no variance. Every other model keeps its batches. Raises
    ParameterError where there is no batch to join.
    """
    one_image, one_mask = train.image_set.batch(train.indices[:1].to(train.device))
    n_images, batch_size = len(train.indices), train.batch_size
    if batch_size > 1 and (train.drop_last or n_images % batch_size != 1):
        return train
    halves = recipe.half_until > 0 and takes_half(model, one_image, one_mask)
    kept = copy_weights(model)
    try:
        with torch.no_grad():
            forward(model, one_image, torch.channels_last)
            if halves:
                forward(model, halve(one_image, one_mask)[0], torch.channels_last)
        return train
    except ValueError as error:
        if n_images == 1 or batch_size == 1:
            raise ParameterError(
                f"model {name_of(model)} cannot train on a batch of one image: use 2 or more training images, "
                f"found {n_images}, and a batch_size of 2 or more, found {batch_size} ({error})."
            ) from error
    finally:
        model.load_state_dict(kept)
    joined = copy.copy(train)
    joined.join_last = True
    return joined
