"""The optimisers that recipes name, all of them torch's."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from chairlib.benchmark.recipes import Recipe

_TORCH: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}


class Optimizer:
    """Changes the parameters of a model by a recipe, one step at a time.

    ``muon`` is two optimisers: Muon for weights of two dimensions and more, such as those of convolutions and linear
    layers; AdamW, with the same rate and decay, for biases, norms and layers of a single output channel. Muon makes the
    update of a weight matrix orthogonal, so that every direction learns equally fast (Jordan et al. 2024), and scales
    it to the size that AdamW's would have (Liu et al. 2025, arXiv 2502.16982).

    Make one once the model lies where it is trained, in its memory format: Muon works on views of the weights.
    ``recorded``: whether steps will be recorded as a CUDA graph, see :attr:`can_be_recorded`.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, recorded: bool = False):
        parameters = [weight for weight in model.parameters() if weight.requires_grad]
        #: Whether a step can be recorded: the learning rate must lie on the device, as the host is not asked again.
        self.can_be_recorded = recorded and recipe.optimizer not in ("sgd", "rmsprop")
        name, rest, pairs = recipe.optimizer, parameters, []
        if name == "muon":
            views = [(weight, _as_matrix(weight.detach(), weight)) for weight in parameters]
            pairs = [(weight, matrix) for weight, matrix in views if matrix is not None]
            name, rest = "adamw", [weight for weight, matrix in views if matrix is None]
        self._muon = _Muon(pairs, recipe) if pairs else None
        self._rate = torch.tensor(recipe.learning_rate, device=parameters[0].device) if self.can_be_recorded else None
        options: dict[str, Any] = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
        if name in ("sgd", "rmsprop"):
            options["momentum"] = recipe.momentum
        elif self._rate is not None:
            options |= {"lr": self._rate, "capturable": True, "fused": True}
        self._rest = _TORCH[name](rest, **options) if rest else None

    @property
    def parts(self) -> list[torch.optim.Optimizer]:
        """Torch's optimisers, whose states a checkpoint keeps."""
        return [part for part in (self._muon and self._muon.muon, self._rest) if part]

    def set_rate(self, rate: float) -> None:
        """The learning rate of the steps to come."""
        if self._rate is not None:
            self._rate.fill_(rate)
        if self._muon:
            self._muon.rate = rate
        for group in self._rest.param_groups if self._rest else []:
            # Each has a tensor of its own once a state was loaded.
            group["lr"] = group["lr"].fill_(rate) if isinstance(group["lr"], Tensor) else rate

    def step(self) -> None:
        """Change the parameters by their gradients."""
        if self._muon:
            self._muon.step(self._muon.rate if self._rate is None else self._rate)
        if self._rest:
            self._rest.step()


class _Muon:
    """torch's Muon, which takes matrices only, for all weights that are matrices once they are seen so.

    It reads its rate on the host, which a recorded step cannot. So it is asked for the step of rate 1 from zero, and
    that is scaled by the rate and added to the weights here.
    """

    def __init__(self, pairs: list[tuple[nn.Parameter, Tensor]], recipe: Recipe):
        self.pairs = pairs
        self.rate, self.decay = recipe.learning_rate, recipe.weight_decay
        self.directions = [torch.zeros_like(matrix) for _, matrix in pairs]
        options: dict[str, Any] = {"lr": 1.0, "weight_decay": 0.0, "momentum": recipe.momentum}
        self.muon = torch.optim.Muon(self.directions, **options, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, rate: float | Tensor) -> None:
        for (weight, _), direction in zip(self.pairs, self.directions, strict=True):
            direction.zero_()
            if weight.grad is not None:
                direction.grad = _in_order(weight.grad, weight).reshape(direction.shape)
        self.muon.step()
        for (_, matrix), direction in zip(self.pairs, self.directions, strict=True):
            if direction.grad is not None:
                matrix.mul_(1 - rate * self.decay).add_(direction * rate)
                direction.grad = None


def _as_matrix(tensor: Tensor, weight: nn.Parameter) -> Tensor | None:
    """A view of a weight as a matrix, its first dimension by all others; None for one that is none."""
    if weight.ndim < 2 or weight.shape[0] == 1 or weight.numel() == weight.shape[0]:
        return None
    try:
        return _in_order(tensor, weight).view(weight.shape[0], -1)
    except RuntimeError:  # its memory has gaps, or another order
        return None


def _in_order(tensor: Tensor, weight: nn.Parameter) -> Tensor:
    """``tensor`` with all dimensions but the first in the order in which those of ``weight`` lie in memory."""
    return tensor.permute(0, *sorted(range(1, weight.ndim), key=weight.stride, reverse=True))
