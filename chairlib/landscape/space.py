"""The space of weights between trained models (the paper's section 6): distances, lines, planes, soups and rewound blocks.

P stands for a pretrained model, F1 and F2 for two fine-tuned from it, S1 and S2 for two trained from scratch (the paper's Ri).
A *state* is a module's ``state_dict`` (:mod:`chairlib.landscape.states`). Nothing here changes a state or a module that it is given.

BatchNorm's running statistics are no weights but averages that belong to weights, and halfway between two models they fit
neither. Whatever scores a state therefore takes ``batch_norm``:

- ``average``: the statistics the state came with; between models these were averaged like weights.
- ``recalibrate``: estimated anew for these very weights from training images, see :func:`recalibrate`.

At alpha = 0 and alpha = 1 ``average`` gives each checkpoint's own scores, ``recalibrate`` those of each checkpoint
recalibrated alike.
"""

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from chairlib.benchmark.metrics import MaskScorer
from chairlib.benchmark.training import Evaluation, evaluate, segmentation_loss
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.checks import check_count
from chairlib.core.errors import ParameterError
from chairlib.core.progress import progress_bar
from chairlib.landscape.barriers import as_numbers, barrier
from chairlib.landscape.states import (
    State,
    check_alike,
    check_entries,
    check_state,
    is_statistic,
    l2_distance,
    squared_norms,
    trainable,
)

__all__ = [
    "BATCH_NORM",
    "FIGURES",
    "Evaluator",
    "Plane",
    "State",
    "average",
    "barrier",
    "block_of",
    "blocks",
    "curve_table",
    "distances",
    "interpolate",
    "interpolation_curve",
    "l2_distance",
    "recalibrate",
    "recalibrated_layers",
    "rewind",
    "score_ensemble",
]

Batch = tuple[Tensor, Tensor]
#: What is done about BatchNorm's running statistics; see the top of this module.
BATCH_NORM = ("average", "recalibrate")
#: What :meth:`Evaluator.score` gives for a split: per cent, and the mean per-pixel loss.
FIGURES = ("iou", "dice", "precision", "loss")

#: Three points whose directions differ by less than this many radians span no plane worth drawing.
_LEAST_ANGLE = 1e-4


# -- states -------------------------------------------------------------------------------------------------------------


def _combine(states: Sequence[State], coefficients: Sequence[float]) -> dict[str, Tensor]:
    """The sum of coefficient times state, in float64, as new tensors of the states' own dtypes; the coefficients sum to 1.

    Integer entries are the first state's. A single coefficient of 1 beside zeros gives that state's copy, bit for bit.
    """
    if sorted(coefficients) == [0] * (len(states) - 1) + [1]:
        chosen = states[list(coefficients).index(1)]
        return {key: tensor.detach().clone() for key, tensor in chosen.items()}
    outside = min(coefficients) < 0
    result = {}
    for key, first in states[0].items():
        if not first.is_floating_point():
            result[key] = first.detach().clone()
            continue
        total = torch.zeros_like(first, dtype=torch.float64, requires_grad=False)
        for state, coefficient in zip(states, coefficients, strict=True):
            total.add_(state[key].detach().double(), alpha=coefficient)
        if outside and key.rpartition(".")[2] == "running_var":
            total.clamp_(min=0)  # outside of its ends a line of variances runs below zero, which has no square root
        result[key] = total.to(first.dtype)
    return result


# -- blocks and distances -----------------------------------------------------------------------------------------------


def block_of(key: str) -> str:
    """The block that a state's entry belongs to, from its name.

    It is the module path up to the first index whose module has modules of its own (``down.0.1.weight`` -> ``down.0``,
    ``backbone.layer1.0.bn1.weight`` -> ``backbone.layer1.0``), and else the top-level child (``stem.0.weight`` -> ``stem``,
    ``backbone.conv1.weight`` -> ``backbone``, which so is what lies outside of its indexed blocks). For U-Net: stem,
    down.0 to down.3, up.0 to up.3, classifier.
    """
    path = key.split(".")[:-1]
    for depth, part in enumerate(path[:-1]):
        if part.isdigit():
            return ".".join(path[: depth + 1])
    return path[0] if path else key


def blocks(state: State) -> list[str]:
    """The names of a state's blocks in its own order; together they hold every entry once. See :func:`block_of`."""
    return list(dict.fromkeys(map(block_of, state)))


def distances(state_a: State, state_b: State) -> pd.DataFrame:
    """Distance between two models in all and in each block, as :func:`l2_distance` measures it.

    A row for ``total`` and one for each block with trainable parameters (:func:`blocks`), which is the index. Columns:
    ``l2``, ||a - b||; ``norm_a``, ``norm_b``; ``relative``, 2 ||a - b|| / (||a|| + ||b||), in [0, 2]: 0 for equal weights,
    2 for opposite ones, about 1.41 for weights of one size that are all unrelated; 0 where both norms are 0; ``n_parameters``.
    Models with BatchNorm are nearer than that before they have learned anything (two fresh U-Nets: 0.71), because its scales
    start at 1 in all of them. Squares of the blocks' l2 add up to the total's. Raises as :func:`l2_distance` does.
    """
    check_alike([state_a, state_b])
    parts = pd.DataFrame(
        {"l2": squared_norms(state_a, state_b), "norm_a": squared_norms(state_a), "norm_b": squared_norms(state_b)},
        dtype=float,
    )
    parts["n_parameters"] = {key: tensor.numel() for key, tensor in trainable(state_a).items()}
    by_block = parts.groupby([block_of(key) for key in parts.index], sort=False).sum()
    table = pd.concat([parts.sum().to_frame("total").T, by_block]).astype({"n_parameters": int})
    norms = ["l2", "norm_a", "norm_b"]
    table[norms] = np.sqrt(table[norms])
    mean_norm = (table["norm_a"] + table["norm_b"]) / 2
    table["relative"] = (table["l2"] / mean_norm.where(mean_norm > 0)).fillna(0.0)
    return table.rename_axis("block")[[*norms, "relative", "n_parameters"]]


# -- lines --------------------------------------------------------------------------------------------------------------


def interpolate(state_a: State, state_b: State, alpha: float) -> dict[str, Tensor]:
    """W = alpha W_a + (1 - alpha) W_b (the paper's section 6.2), as a new state of the same dtypes on the same device.

    ``alpha`` weighs ``state_a``: 1 is a copy of it and 0 one of ``state_b``, both bit for bit. Floating-point entries,
    BatchNorm's statistics among them, are computed in float64 and rounded once; integer entries (``num_batches_tracked``)
    are taken from ``state_a`` wherever alpha isn't 0. Any finite ``alpha`` will do; outside [0, 1], where it
    extrapolates, running variances are kept from falling below 0.

    Raises :class:`ParameterError` for an alpha that is no finite number, and as :func:`l2_distance` does.
    """
    check_alike([state_a, state_b])
    weight = _finite(alpha, "alpha")
    return _combine([state_a, state_b], [weight, 1 - weight])


def _finite(value: Any, name: str) -> float:
    """A finite number as Python's; :class:`ParameterError` for anything else, a text that reads like one too."""
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ParameterError(f"{name} must be a finite number, found {value!r}.")
    return number


def curve_table(cells: Mapping[float, Mapping[str, Mapping[str, float]]]) -> pd.DataFrame:
    """The table of a curve from what :meth:`Evaluator.score` gave for each alpha, in the order given.

    A row per alpha and split: alpha, split, iou, dice, precision (per cent), loss (mean per pixel), and extrapolated (bool:
    alpha lies outside [0, 1]).
    """
    rows = [
        {
            "alpha": alpha,
            "split": split,
            **{name: figures[name] for name in FIGURES},
            "extrapolated": not 0 <= alpha <= 1,
        }
        for alpha, splits in cells.items()
        for split, figures in splits.items()
    ]
    return pd.DataFrame(rows, columns=["alpha", "split", *FIGURES, "extrapolated"])


def interpolation_curve(
    model: nn.Module,
    state_a: State,
    state_b: State,
    alphas: Iterable[float],
    train_loader: CompositeLoader,
    test_loader: CompositeLoader,
    batch_norm: str = "average",
    *,
    loss: str = "bce",
    n_images: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Scores of train and test images along the line between two models (the paper's Figure 7).

    model: says what is computed, on its device; it is never touched. states: on any device. alphas, batch_norm: see
    :func:`interpolate` and the top of this module; a repeated alpha is scored once. loss: ``bce`` or ``double_sigmoid``.
    n_images: for recalibration, all training images where None. Returns :func:`curve_table`'s columns, with splits
    ``train`` and ``test``. To keep each point as it comes, use :class:`Evaluator` and :func:`interpolate`.

    Raises as :class:`Evaluator` and :func:`interpolate` do.
    """
    evaluator = Evaluator(model, {"train": train_loader, "test": test_loader}, loss=loss, n_images=n_images)
    a, b = evaluator.to_device(state_a), evaluator.to_device(state_b)
    wanted = dict.fromkeys(as_numbers(alphas, "alphas").tolist())
    cells = {}
    for alpha in progress_bar(wanted, "interpolating", unit="alpha", disable=not progress):
        cells[alpha] = evaluator.score(interpolate(a, b, alpha), batch_norm)
    return curve_table(cells)


# -- scores -------------------------------------------------------------------------------------------------------------


class Evaluator:
    """Scores any number of states of one model on the same images.

    Made once: a private copy of the model, into whose tensors each state is copied (no module is built again), and the
    images of all splits, kept ready on the device as long as they fit into ``keep_gib``.

    Parameters
    ----------
    model: on the loaders' device, of any weights and mode; copied, never touched.
    loaders: by split, such as ``{"train": ..., "test": ...}``; scored complete and in order, whatever their shuffling and flips.
    recalibrate_on: where ``batch_norm="recalibrate"`` takes its images; by default the loader named ``train``.
    n_images: how many of them, see :func:`recalibrate`.
    loss: ``bce`` or ``double_sigmoid``.
    keep_gib: at most this much device memory for images (float32, 64 KiB an image of 64 x 64); a split that doesn't fit is
        made anew each time, at a few per cent of the time.

    Raises :class:`ParameterError` where there are no loaders and where model and loaders are on different devices.
    """

    def __init__(
        self,
        model: nn.Module,
        loaders: Mapping[str, CompositeLoader],
        *,
        recalibrate_on: CompositeLoader | None = None,
        n_images: int | None = None,
        loss: str = "bce",
        keep_gib: float = 2.0,
    ):
        if not loaders:
            raise ParameterError("an evaluator needs at least one loader, for instance {'test': loader}.")
        if recalibrate_on is None:
            recalibrate_on = loaders.get("train")
        used = [*loaders.values(), recalibrate_on]
        self.model = _private_copy(model, [loader for loader in used if loader is not None])
        self.device = next(iter(loaders.values())).device
        self.loss, self.n_images = loss, n_images
        self._memory = _Memory(keep_gib)
        self._loaders = {split: _KeptImages(loader, self._memory) for split, loader in loaders.items()}
        self._recalibrate_on = recalibrate_on
        self._recalibration: _Batches | None = None

    @property
    def splits(self) -> list[str]:
        """The names of what is scored."""
        return list(self._loaders)

    def to_device(self, state: State) -> dict[str, Tensor]:
        """The state's tensors on the model's device; those that are there already are not copied."""
        return {key: tensor.detach().to(self.device) for key, tensor in state.items()}

    def evaluations(self, state: State, batch_norm: str = "average", progress: bool = False) -> dict[str, Evaluation]:
        """By split, exactly what :func:`chairlib.benchmark.training.evaluate` gives for a model with this state: per-image scores too.

        Raises :class:`ParameterError` for a state that isn't this model's or is not finite, for an unknown ``batch_norm``,
        and where there is nothing to recalibrate, or nothing to do it with.
        """
        _check_batch_norm(batch_norm)
        self._prepare(state, batch_norm)
        with torch.inference_mode():
            return {split: evaluate(self.model, loader, self.loss, progress) for split, loader in self._loaders.items()}

    def score(self, state: State, batch_norm: str = "average", progress: bool = False) -> dict[str, dict[str, float]]:
        """By split: iou, dice, precision (per cent; nan where undefined) and loss, as plain numbers. Raises as :meth:`evaluations` does."""
        return {
            split: _figures(evaluation) for split, evaluation in self.evaluations(state, batch_norm, progress).items()
        }

    def recalibrated(self, state: State) -> dict[str, Tensor]:
        """What :func:`recalibrate` gives for a model with this state, on the model's device. Raises as :meth:`evaluations` does."""
        self._prepare(state, "recalibrate")
        return {key: tensor.detach().clone() for key, tensor in self.model.state_dict().items()}

    def _prepare(self, state: State, batch_norm: str) -> None:
        _load(self.model, state)
        if batch_norm == "recalibrate":
            with torch.inference_mode():
                _re_estimate(self.model, self._recalibration_batches())

    def _recalibration_batches(self) -> Iterable[Batch]:
        if self._recalibrate_on is None:
            raise ParameterError("recalibrating needs training images: name a loader 'train', or give recalibrate_on.")
        if self._recalibration is None:
            make = partial(_recalibration_batches, self._recalibrate_on, self.n_images)
            self._recalibration = _Batches(make, self._memory)
        return self._recalibration


def _figures(evaluation: Evaluation) -> dict[str, float]:
    return {
        **{name: float(getattr(evaluation.scores, name)) for name in FIGURES if name != "loss"},
        "loss": evaluation.loss,
    }


def _check_batch_norm(batch_norm: str) -> None:
    if batch_norm not in BATCH_NORM:
        raise ParameterError(f"batch_norm {batch_norm!r} is unknown; use {' or '.join(BATCH_NORM)}.")


def _private_copy(model: nn.Module, loaders: Sequence[CompositeLoader]) -> nn.Module:
    first = next(itertools.chain(model.parameters(), model.buffers()), None)
    for loader in loaders:
        if first is not None and not _same_device(first.device, loader.device):
            raise ParameterError(f"the model is on {first.device}, {loader!r} is not: move one of them.")
    own = copy.deepcopy(model).requires_grad_(False).eval()
    return own.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _same_device(a: torch.device, b: torch.device) -> bool:
    """``cuda`` and ``cuda:0`` are the same where only one of them gives a number."""
    return a.type == b.type and (a.index is None or b.index is None or a.index == b.index)


def _load(model: nn.Module, state: State) -> None:
    """Copy a state into a module's tensors, from any device; keys, shapes and dtypes must be the same."""
    own = model.state_dict()
    check_state(state, "the state")
    check_entries(own, state, "the model", "the state", devices=False)
    with torch.no_grad():
        for key, tensor in own.items():
            tensor.copy_(state[key])


class _Memory:
    """Device memory that batches may be kept in."""

    def __init__(self, gib: float):
        self.bytes_left = gib * 2**30

    def keep(self, batches: Iterable[Batch]) -> list[Batch] | None:
        """All of them, or None where they don't fit."""
        kept, size = [], 0
        for images, masks in batches:
            size += images.nbytes + masks.nbytes
            if size > self.bytes_left:
                return None
            kept.append((images.to(memory_format=torch.channels_last), masks))
        self.bytes_left -= size
        return kept


class _Batches:
    """The same batches each time: kept where there is memory for them, and made anew where not."""

    def __init__(self, make: Callable[[], Iterator[Batch]], memory: _Memory):
        self.make, self.kept = make, memory.keep(make())

    def __iter__(self) -> Iterator[Batch]:
        return self.make() if self.kept is None else iter(self.kept)


class _KeptImages:
    """A loader's images as :class:`chairlib.benchmark.training.ScoredImages`, with the batches kept."""

    def __init__(self, loader: CompositeLoader, memory: _Memory):
        self.batch_size, self.indices, self.groups = loader.batch_size, loader.indices, loader.groups
        self.batches = _Batches(loader.in_order, memory)

    def in_order(self) -> Iterable[Batch]:
        return self.batches


# -- BatchNorm ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def recalibrate(model: nn.Module, loader: CompositeLoader, n_images: int | None = None) -> dict[str, Tensor]:
    """The model's state with BatchNorm's running statistics estimated anew from a loader's images; the model stays as it was.

    As in stochastic weight averaging (Izmailov et al. 2018): the plain mean over batches of each batch's mean and unbiased
    variance, layer by layer, from one pass in which BatchNorm normalises by its batch and every other module is in evaluation
    mode. The images are the loader's own, unflipped and unaugmented, in a fixed shuffled order (in the order of the
    composites, where each batch shows one chair or two, the variance between chairs would be lost). Batches have the
    loader's size and weigh alike: images that don't fill the last one are left out, unless they are all there is.

    n_images: how many images, at most; all of the loader's where None.

    Raises :class:`ParameterError` for a model without BatchNorm statistics, and unless ``n_images`` is a whole number above 0.
    """
    own = _private_copy(model, [loader])
    with torch.inference_mode():
        _re_estimate(own, _recalibration_batches(loader, n_images))
    state = model.state_dict()
    return {
        key: (tensor if is_statistic(key) else state[key]).detach().clone() for key, tensor in own.state_dict().items()
    }


def _recalibration_batches(loader: CompositeLoader, n_images: int | None) -> Iterator[Batch]:
    check_count("n_images", n_images, none=True)
    count = len(loader.indices) if n_images is None else min(n_images, len(loader.indices))
    order = torch.randperm(len(loader.indices), generator=torch.Generator().manual_seed(0))
    chosen = loader.indices[order[: count - count % loader.batch_size or count]].to(loader.device)
    return map(loader.image_set.batch, chosen.split(loader.batch_size))


def recalibrated_layers(model: nn.Module) -> list[_BatchNorm]:
    """The layers whose running statistics :func:`recalibrate` estimates anew: BatchNorm's, unless it keeps none.

    Entries named ``running_mean`` are no sign of them: frozen BatchNorm has such, and InstanceNorm may.
    """
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


def _re_estimate(model: nn.Module, batches: Iterable[Batch]) -> None:
    """Estimate the running statistics of a module of one's own, which is left in evaluation mode."""
    layers = recalibrated_layers(model)
    if not layers:
        raise ParameterError(
            f"{type(model).__name__} has no BatchNorm layers with running statistics to recalibrate: use batch_norm='average'."
        )
    momenta = [layer.momentum for layer in layers]
    hooks = [layer.register_forward_pre_hook(_CountedMomentum()) for layer in layers]
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.train()
        for images, _ in batches:
            model(images.to(memory_format=torch.channels_last))
    finally:
        for layer, momentum, hook in zip(layers, momenta, hooks, strict=True):
            layer.momentum = momentum
            hook.remove()
        model.eval()


class _CountedMomentum:
    """Gives a BatchNorm layer the momentum 1/n in its nth call: what ``momentum=None`` does, which reads n from the device."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, layer: nn.Module, _: object) -> None:
        self.calls += 1
        layer.momentum = 1 / self.calls  # type: ignore[assignment]


# -- planes -------------------------------------------------------------------------------------------------------------


class Plane:
    """The plane through three models in parameter space, with true distances (Garipov et al. 2018).

    ``p`` is the origin, ``a`` lies on the x axis and ``b`` above it; axes are orthonormal (Gram-Schmidt over trainable parameters,
    dot products in float64), so one unit along either is one unit of :func:`l2_distance`. The states are kept as they are
    given: don't change them afterwards.

    points: coordinates of p, a and b, float64 [3, 2].

    Raises :class:`ParameterError` where the three lie on a line (an angle below 1e-4 rad), and as :func:`l2_distance` does.
    """

    def __init__(self, p: State, a: State, b: State):
        check_alike([p, a, b])
        self.states = (p, a, b)
        aa, ab, bb = (_dot(p, one, other) for one, other in ((a, a), (a, b), (b, b)))
        span_a, span_b = math.sqrt(aa), math.sqrt(bb)
        along = ab / span_a if span_a else 0.0
        above = _height(p, a, b, ab / aa) if span_a else 0.0
        if above <= _LEAST_ANGLE * span_b or span_a <= _LEAST_ANGLE * span_b:
            raise ParameterError(
                f"three states on a line span no plane (p to a {span_a:g}, p to b {span_b:g}, b is {above:g} off the line): "
                "give three different models."
            )
        self.points = np.array([[0.0, 0.0], [span_a, 0.0], [along, above]])

    def coefficients(self, x: float, y: float) -> tuple[float, float, float]:
        """How p, a and b are weighed at (x, y); they sum to 1, and all lie in [0, 1] inside of the triangle."""
        (_, (span_a, _), (along, above)) = self.points.tolist()
        of_b = y / above
        of_a = (x - of_b * along) / span_a
        return 1 - of_a - of_b, of_a, of_b

    def state(self, x: float, y: float) -> dict[str, Tensor]:
        """The state at coordinates (x, y), as a new one; at the three points a copy of theirs, bit for bit.

        BatchNorm's statistics are combined with the same coefficients (running variances not below 0); recalibrate
        them through :class:`Evaluator` or :func:`recalibrate`. Integer entries are p's, but at a's and b's own points.
        """
        place = (_finite(x, "the first of the coordinates"), _finite(y, "the second of the coordinates"))
        return _combine(self.states, self.coefficients(*place))

    def coordinates(self, state: State) -> tuple[float, float, float]:
        """(x, y) of a state's projection onto the plane, and its distance from the plane, which is never negative."""
        p, a, b = self.states
        check_alike([p, state])
        (_, (span_a, _), (along, above)) = self.points.tolist()
        x = _dot(p, state, a) / span_a
        y = (_dot(p, state, b) - x * along) / above
        return x, y, l2_distance(state, _combine(self.states, self.coefficients(x, y)))

    def grid(self, n: int, margin: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (xs, ys), float64 and ascending, of cells around the three points, with one step on both axes.

        ``n`` along the longer side, and as many as fit along the other. ``margin``: the space around the points, as a share of the
        longer side; beyond the shorter side's far end it is up to one step less. The points lie inside of the cells, which
        reach half a step beyond their coordinates. Cells beyond the triangle extrapolate.

        Both axes begin at the lower margin, so twice as many steps (5 -> 9, 7 -> 13) keep every coordinate to the last bit and
        add those between: a finer grid goes on from a coarser one. With the default margin this holds from n = 5 on.
        """
        check_count("n", n, least=2)
        if _finite(margin, "margin") < 0:
            raise ParameterError(f"margin must be at least 0, found {margin!r}.")
        low, high = self.points.min(0), self.points.max(0)
        space = margin * (high - low).max()
        sides = high - low + 2 * space
        longest, steps = sides.max(), n - 1
        axes = []
        for start, side in zip(low - space, sides / longest, strict=True):
            # Rounded down, because twice a number rounded down never is more than its double rounded down: so grids nest.
            # No fewer, though, than reach the farthest point, which few steps and a small margin may not.
            fit = math.floor(steps * (side + 1e-9))
            reach = math.ceil(steps * (side - space / longest - 1e-9) - 0.5)
            axes.append(start + longest / steps * np.arange(max(1, fit, reach) + 1))
        return axes[0], axes[1]


def _dot(origin: State, a: State, b: State) -> float:
    """The dot product of a - origin and b - origin over trainable parameters, in float64."""
    sums = []
    for key, tensor in trainable(origin).items():
        start = tensor.detach().double()
        one = a[key].detach().double() - start
        other = one if b is a else b[key].detach().double() - start
        sums.append((one * other).sum())
    return math.fsum(torch.stack(sums).tolist()) if sums else 0.0


def _height(p: State, a: State, b: State, share: float) -> float:
    """The length of b - p less ``share`` times a - p: taken from the entries, since norms would cancel to noise."""
    sums = []
    for key, tensor in trainable(p).items():
        start = tensor.detach().double()
        rest = b[key].detach().double() - start - share * (a[key].detach().double() - start)
        sums.append(rest.square().sum())
    return math.sqrt(math.fsum(torch.stack(sums).tolist()))


# -- soups, ensembles, rewound blocks -----------------------------------------------------------------------------------


def average(states: Iterable[State]) -> dict[str, Tensor]:
    """The mean of several models' weights, a uniform soup (Wortsman et al. 2022, Model soups), as a new state.

    BatchNorm's statistics are averaged alike (or recalibrate them, see :class:`Evaluator`); integer entries are the first
    state's. Raises :class:`ParameterError` for no states, and as :func:`l2_distance` does.
    """
    members = _listed(states, "an average")
    check_alike(members)
    return _combine(members, [1 / len(members)] * len(members))


def _listed(states: Iterable[State], what: str) -> list[State]:
    # One state by itself is iterable too, by its names.
    if isinstance(states, Mapping) or not isinstance(states, Iterable):
        raise ParameterError(f"{what} needs a list of states, found {type(states).__name__}.")
    members = list(states)
    if not members:
        raise ParameterError(f"{what} needs at least one state, found none.")
    return members


def score_ensemble(
    model: nn.Module, states: Iterable[State], loader: CompositeLoader, loss: str = "bce", progress: bool = False
) -> Evaluation:
    """Scores of the mean of several models' probabilities, the output ensemble that a soup is compared with.

    Lakshminarayanan, Pritzel & Blundell (2017), Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles.

    A pixel is chair where that mean is above 0.5; the loss is that of the mean. Each state has its own BatchNorm statistics. Only one
    batch of outputs is held at a time. ``model`` is never touched; the images are the loader's, complete and in order.

    Raises :class:`ParameterError` for no states or states that are not this model's, and as :class:`Evaluator` does.
    """
    given = _listed(states, "an ensemble")
    own = _private_copy(model, [loader])
    for number, state in enumerate(given, 1):
        check_state(state, f"state {number}")
        check_entries(own.state_dict(), state, "the model", f"state {number}", devices=False)
    members = [{key: tensor.detach().to(loader.device) for key, tensor in state.items()} for state in given]
    scorer, losses = MaskScorer(), []
    with torch.inference_mode():
        batches = progress_bar(loader.in_order(), "scoring", delay=1, leave=False, disable=not progress)
        for images, masks in batches:
            images = images.to(memory_format=torch.channels_last)
            logits = _ensemble_logits(
                [functional_call(own, member, (images,), tie_weights=False) for member in members]
            )
            scorer.update(logits > 0, masks)
            losses.append(segmentation_loss(logits, masks.double(), loss) * len(images))
    return Evaluation(scorer.compute(loader.groups), (torch.stack(losses).sum() / len(loader.indices)).item())


def _ensemble_logits(logits: Sequence[Tensor]) -> Tensor:
    """The logit of the mean probability, float64; from logarithms, so that sure members don't round to 0 or 1."""
    stacked = torch.stack([member.double() for member in logits])
    return F.logsigmoid(stacked).logsumexp(0) - F.logsigmoid(-stacked).logsumexp(0)


def rewind(state: State, origin: State, block: str) -> dict[str, Tensor]:
    """A trained state with one block's parameters, and its BatchNorm statistics, taken from ``origin``, as a new state.

    Module criticality (Zhang, Bengio and Singer 2019, "Are all layers created equal?"): a block whose rewinding to an
    earlier state (its initialisation, or P) costs no score was not needed by what was learnt since. ``block``: one of
    :func:`blocks`. Raises :class:`ParameterError` for another, and as :func:`l2_distance` does.
    """
    check_alike([state, origin])
    if block not in blocks(state):
        raise ParameterError(f"block {block!r} is unknown; use one of {', '.join(blocks(state))}.")
    return {key: (origin if block_of(key) == block else state)[key].detach().clone() for key in state}
