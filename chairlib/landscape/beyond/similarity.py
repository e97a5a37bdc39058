"""Linear CKA: how alike two networks' representations of the same images are, whatever their units are called.

Kornblith, Norouzi, Lee & Hinton, *Similarity of Neural Network Representations Revisited* (ICML 2019), section 3. For
centred feature matrices X [N, p] and Y [N, q] of the same N examples,

    CKA(X, Y) = |X^T Y|^2 / (|X^T X| |Y^T Y|)    (Frobenius norms; their equation 4)

is 1 where X and Y are the same up to rotation and scale and 0 where no linear direction of one varies with one of the
other. It asks for no correspondence of units. Kornblith et al. take an image as one example of C x H x W features. Here
each position of each image, averaged to ``grid`` x ``grid`` of them, is an example of C features. So products are small
and are added up batch by batch, and N is far above p, where the estimate's upward bias vanishes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError
from chairlib.landscape.beyond.activations import CrossProducts, activations
from chairlib.landscape.states import State

#: Positions along each side to which layers are averaged; 16 positions and more describe where a chair is.
GRID = 8


def linear_cka(x: np.ndarray | Tensor, y: np.ndarray | Tensor) -> float:
    """Linear CKA in [0, 1] of two feature matrices [N, p] and [N, q], whose rows are the same N examples.

    Unchanged by orthogonal transforms (permutations of units among them), isotropic scaling and shifts of either; not
    by other invertible linear maps. nan where one of them is constant. Computed in float64. Raises
    :class:`ParameterError` for other shapes, fewer than two examples, and values that are not finite.
    """
    features = [_centred(x, "x"), _centred(y, "y")]
    (n, p), (n_other, q) = features[0].shape, features[1].shape
    if n != n_other:
        raise ParameterError(f"x has {n} examples and y has {n_other}: linear_cka compares the same examples.")
    if any(not matrix.any() for matrix in features):
        return float("nan")
    a, b = features
    if max(p, q) > n:  # the same sums by way of the N x N kernels, which are smaller
        a, b = a @ a.T, b @ b.T
        return _ratio((a * b).sum(), torch.linalg.norm(a), torch.linalg.norm(b))
    return _ratio((a.T @ b).square().sum(), torch.linalg.norm(a.T @ a), torch.linalg.norm(b.T @ b))


def layer_similarity(
    model: nn.Module,
    state_a: State,
    state_b: State,
    loader: CompositeLoader,
    layers: Sequence[str] | None = None,
    n_images: int | None = None,
    grid: int | None = GRID,
) -> pd.DataFrame:
    """Linear CKA between corresponding layers of one model with two sets of weights: a row (layer, cka) for each.

    ``cka`` is in [0, 1], nan where a layer's output is constant. It does not depend on the batch size. BatchNorm uses
    the states' running statistics. For the arguments, and for what is raised, see :func:`activations`.
    """
    sums: dict[str, list[CrossProducts]] = {}
    for features in activations(model, {"state_a": state_a, "state_b": state_b}, loader, layers, n_images, grid):
        for layer, x in features["state_a"].items():
            y = features["state_b"][layer]
            products = sums.setdefault(layer, [CrossProducts() for _ in range(3)])
            for product, pair in zip(products, ((x, x), (y, y), (x, y)), strict=True):
                product.add(*pair)
    rows = [
        (layer, _ratio(cross.centred().square().sum(), _norm(self_a), _norm(self_b)))
        for layer, (self_a, self_b, cross) in sums.items()
    ]
    return pd.DataFrame(rows, columns=["layer", "cka"])


def _centred(values: np.ndarray | Tensor, name: str) -> Tensor:
    """Float64 features about their means, scaled to a largest entry of 1; all zero where they are constant."""
    matrix = torch.as_tensor(values).detach().to("cpu", torch.float64)
    if matrix.ndim != 2 or len(matrix) < 2 or not matrix.shape[1]:
        raise ParameterError(
            f"{name} has shape {list(matrix.shape)}: features are [examples, features] of two examples or more."
        )
    if not torch.isfinite(matrix).all():
        raise ParameterError(f"{name} holds NaN or infinite values.")
    matrix = matrix / matrix.abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    centred = matrix - matrix.mean(0)
    # Centring a constant can leave rounding errors, which would be compared as if they were features.
    largest = centred.abs().max()
    return torch.zeros_like(centred) if largest < 1e-14 else centred / largest


def _norm(products: CrossProducts) -> Tensor:
    """Of features with themselves: the Frobenius norm of their products, nan where all of them are constant."""
    norm = torch.linalg.norm(products.centred())
    return norm if products.spreads()[0].any() else norm.new_tensor(float("nan"))


def _ratio(cross: Tensor, norm_a: Tensor, norm_b: Tensor) -> float:
    # Rounding can lift it above 1. min() with nan first keeps nan.
    return min((cross / norm_a / norm_b).item(), 1.0)
