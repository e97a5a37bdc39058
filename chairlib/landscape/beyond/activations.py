"""What the layers of a model compute for a loader's images, a batch at a time, and sums of their products.

Activations of a whole split would not fit into memory (50,000 images at the first layer of U-Net: 52 GB).
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chairlib.benchmark.models import UNet, evaluation_mode, forward
from chairlib.compositing.loader import CompositeLoader
from chairlib.compositing.packing import spread
from chairlib.core.checks import check_count
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.landscape.states import State, copy_of, loaded_copy

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
#: A feature whose squares about its mean are less than this share of its squares is constant: float32 resolves 1e-14.
CONSTANT = 1e-20


def default_layers(model: nn.Module, images: Tensor) -> list[str]:
    """The layers worth comparing, in the order in which they run: U-Net's blocks, or another model's convolutions.

    Convolutions that run several times a pass, or never, are left out, so the list may be empty. ``images``: float [B,
    3, H, W] that a copy of the model is sent, to see what runs.
    """
    if isinstance(model, UNet):
        blocks = [f"{part}.{number}" for part in ("down", "up") for number in range(len(getattr(model, part)))]
        return ["stem", *blocks, "classifier"]
    network, passes = copy_of(model).to(images.device), Counter[str]()
    for name, module in network.named_modules():
        if isinstance(module, CONVOLUTIONS):
            module.register_forward_hook(lambda *_, name=name: passes.update([name]))
    with evaluation_mode(network):
        forward(network, images, torch.channels_last)
    return [name for name, count in passes.items() if count == 1]


def activations(
    model: nn.Module,
    states: Mapping[str, State],
    loader: CompositeLoader,
    layers: Sequence[str] | None = None,
    n_images: int | None = None,
    grid: int | None = None,
) -> Iterator[dict[str, dict[str, Tensor]]]:
    """Each layer's outputs as features, by batch, for ``model`` with each of ``states``.

    model: only its architecture counts. Copies of it are run in evaluation mode on the loader's device. states: by a
    name, which results and errors have too. layers: names as in ``model.named_modules()``, each of which gives one
    tensor [B, C, H, W] (or [B, C]) a pass; None: :func:`default_layers`. n_images: that many of the loader's images,
    evenly spread, in order and un-augmented; None: all. grid: average every output to ``grid`` x ``grid`` positions
    first; None keeps all. Yields ``{state: {layer: float64 [examples, channels]}}``: a position of an image is an
    example. Raises :class:`ParameterError` for weights that don't fit the model or aren't finite, an unknown layer, a
    layer that runs never or twice, no layer at all, or an impossible count.
    """
    for count_name, count in (("n_images", n_images), ("grid", grid)):
        check_count(count_name, count, none=True)
    if layers is None:
        layers = default_layers(model, loader.image_set.batch(loader.indices[:1])[0])
    if not layers:
        raise ParameterError(
            f"name the layers of {type(model).__name__} to compare; the default is its convolutions that run once."
        )
    known = [name for name, _ in model.named_modules() if name]
    for layer in layers:
        if layer not in known:
            near = difflib.get_close_matches(layer, known, n=3) or known[:3]
            raise ParameterError(f"{type(model).__name__} has no layer {layer!r}; for example {', '.join(near)}.")
    layers = list(dict.fromkeys(layers))
    copies = {name: loaded_copy(model, state, name, loader.device) for name, state in states.items()}
    chosen = loader.indices if n_images is None else loader.indices[spread(len(loader.indices), n_images)]
    for batch in chosen.to(loader.device).split(loader.batch_size):
        images, _ = loader.image_set.batch(batch)
        yield {name: _features(network, images, layers, grid) for name, network in copies.items()}


class CrossProducts:
    """The products of features x [n, p] and y [n, q] about their means, summed over examples that come in batches."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add examples: float64 [n, p] and [n, q]."""
        if not self.count:  # about the first batch's means, so that large means cost no digits
            self._origins = x.mean(0), y.mean(0)
            self._sums = torch.zeros_like(x[0]), torch.zeros_like(y[0])
            self._squares = torch.zeros_like(x[0]), torch.zeros_like(y[0])
            self._products = x.new_zeros(x.shape[1], y.shape[1])
        x, y = x - self._origins[0], y - self._origins[1]
        self.count += len(x)
        for values, sums, squares in zip((x, y), self._sums, self._squares, strict=True):
            sums += values.sum(0)
            squares += values.square().sum(0)
        self._products += x.T @ y

    def centred(self) -> Tensor:
        """Sum of ``(x - mean x)^T (y - mean y)``: float64 [p, q]."""
        return self._products - torch.outer(*self._sums) / self.count

    def spreads(self) -> tuple[Tensor, Tensor]:
        """Sums of squares of x and of y about their means, float64 [p] and [q]: 0 where only rounding varies."""
        spreads = []
        for origin, sums, squares in zip(self._origins, self._sums, self._squares, strict=True):
            spread = squares - sums.square() / self.count
            spreads.append(torch.where(spread > CONSTANT * (self.count * origin.square() + squares), spread, 0.0))
        return spreads[0], spreads[1]

    def correlations(self) -> Tensor:
        """Pearson correlation of every feature of x with every one of y: [p, q]; 0 where one of them is constant."""
        scale = torch.outer(*self.spreads()).sqrt()
        return torch.where(scale > 0, self.centred() / scale, 0.0)


@torch.no_grad()
def _features(network: nn.Module, images: Tensor, layers: Sequence[str], grid: int | None) -> dict[str, Tensor]:
    captured: dict[str, Tensor] = {}

    def keep(layer: str, _module: nn.Module, _inputs: object, output: object) -> None:
        if layer in captured:
            raise ParameterError(f"layer {layer!r} runs twice a pass, so it has no output of its own: name another.")
        captured[layer] = _as_examples(output, layer, grid)

    hooks = [network.get_submodule(layer).register_forward_hook(partial(keep, layer)) for layer in layers]
    try:
        forward(network, images, torch.channels_last)
    finally:
        for hook in hooks:
            hook.remove()
    for layer in layers:
        if layer not in captured:
            raise ParameterError(f"layer {layer!r} did not run: name one that the model uses.")
    return {layer: captured[layer] for layer in layers}


def _as_examples(output: object, layer: str, grid: int | None) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim not in (2, 4):
        found = f"a tensor {list(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ParameterError(f"layer {layer!r} gives {found}: compare layers that give [B, C, H, W] or [B, C].")
    if output.ndim == 4:
        if grid is not None:
            output = F.adaptive_avg_pool2d(output, grid)
        output = output.movedim(1, -1).flatten(0, 2)
    # A copy, at once: the ReLU that comes next may overwrite this output in place.
    features = output.to(torch.float64, copy=True)
    if not torch.isfinite(features).all():
        raise ChairlibError(f"layer {layer!r} gives NaN or infinite values.")
    return features
