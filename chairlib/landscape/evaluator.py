"""Scores of states: one model with any number of different weights, on the same images.

BatchNorm's running statistics are averages of activations, which depend on the weights. Halfway between two models the
average of their statistics fits neither. Whatever scores a state therefore takes ``batch_norm``:

- ``average``: the statistics that the state has; between two models they were averaged as the weights were.
- ``recalibrate``: statistics estimated for these weights from training images, see :func:`recalibrate`.

At alpha = 0 and alpha = 1 ``average`` gives each checkpoint's own scores, ``recalibrate`` those of each checkpoint
recalibrated alike.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from chairlib.benchmark.evaluation import Evaluation, evaluate, segmentation_loss
from chairlib.benchmark.metrics import MaskScorer
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.checks import check_count
from chairlib.core.errors import ParameterError
from chairlib.core.progress import progress_bar
from chairlib.landscape.barriers import as_numbers
from chairlib.landscape.space import interpolate, state_list
from chairlib.landscape.states import State, check_entries, check_state, is_statistic

__all__ = [
    "BATCH_NORM",
    "FIGURES",
    "Evaluator",
    "interpolation_curve",
    "recalibrate",
    "recalibrated_layers",
    "same_device",
    "score_ensemble",
]

Batch = tuple[Tensor, Tensor]
#: What is done about BatchNorm's running statistics; see the top of this module.
BATCH_NORM = ("average", "recalibrate")
#: What :meth:`Evaluator.score` gives for a split: per cent, and the mean per-pixel loss.
FIGURES = ("iou", "dice", "precision", "loss")


class Evaluator:
    """Scores any number of states of one model on the same images.

    Made once: a private copy of the model, into whose tensors each state is copied (no module is built again), and the
    images of all splits, kept ready on the device as long as they fit into ``keep_gib``.

    Parameters
    ----------
    model: on the loaders' device, of any weights and mode; copied, never touched.
    loaders: by split, such as ``{"train": ..., "test": ...}``. Every image is scored once, in order and unchanged.
    recalibrate_on: where ``batch_norm="recalibrate"`` takes its images; by default the loader named ``train``.
    n_images: how many of them, see :func:`recalibrate`.
    loss: ``bce`` or ``double_sigmoid``.
    keep_gib: at most this much device memory for images (float32, 64 KiB an image of 64 x 64); a split that doesn't fit
        is made anew each time, at a few per cent of the time.

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
        """What :func:`chairlib.benchmark.evaluation.evaluate` gives for a model with this state, by split.

        Raises :class:`ParameterError` for a state that isn't this model's or is not finite, for an unknown
        ``batch_norm``, and where there is nothing to recalibrate, or nothing to do it with.
        """
        _check_batch_norm(batch_norm)
        self._prepare(state, batch_norm)
        with torch.inference_mode():
            return {split: evaluate(self.model, loader, self.loss, progress) for split, loader in self._loaders.items()}

    def score(self, state: State, batch_norm: str = "average", progress: bool = False) -> dict[str, dict[str, float]]:
        """By split: iou, dice, precision (per cent; nan where undefined) and loss, as plain numbers.

        Raises as :meth:`evaluations` does.
        """
        return {
            split: _figures(evaluation) for split, evaluation in self.evaluations(state, batch_norm, progress).items()
        }

    def recalibrated(self, state: State) -> dict[str, Tensor]:
        """What :func:`recalibrate` gives for a model with this state, on the model's device.

        Raises as :meth:`evaluations` does.
        """
        self._prepare(state, "recalibrate")
        return {key: tensor.detach().clone() for key, tensor in self.model.state_dict().items()}

    def _prepare(self, state: State, batch_norm: str) -> None:
        _load(self.model, state)
        if batch_norm == "recalibrate":
            with torch.inference_mode():
                _estimate_statistics(self.model, self._recalibration_batches())

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
        if first is not None and not same_device(first.device, loader.device):
            raise ParameterError(f"the model is on {first.device}, {loader!r} is not: move one of them.")
    own = copy.deepcopy(model).requires_grad_(False).eval()
    return own.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def same_device(a: torch.device, b: torch.device) -> bool:
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
    """A loader's images as :class:`chairlib.benchmark.evaluation.ScoredImages`, with the batches kept."""

    def __init__(self, loader: CompositeLoader, memory: _Memory):
        self.batch_size, self.indices, self.groups = loader.batch_size, loader.indices, loader.groups
        self.batches = _Batches(loader.in_order, memory)

    def in_order(self) -> Iterable[Batch]:
        return self.batches


@torch.no_grad()
def recalibrate(model: nn.Module, loader: CompositeLoader, n_images: int | None = None) -> dict[str, Tensor]:
    """The model's state with BatchNorm's running statistics estimated anew from a loader's images.

    The model stays as it was.

    As in stochastic weight averaging (Izmailov et al. 2018): the plain mean over batches of each batch's mean and
    unbiased variance, layer by layer, from one pass in which BatchNorm normalises by its batch and every other module
    is in evaluation mode. The images are the loader's own, unflipped and unaugmented, in a fixed shuffled order (in the
    order of the composites, where each batch shows one chair or two, the variance between chairs would be lost).
    Batches have the loader's size and weigh alike: images that don't fill the last one are left out, unless they are
    all there is.

    n_images: how many images, at most; all of the loader's where None.

    Raises :class:`ParameterError` for a model without BatchNorm statistics, and unless ``n_images`` is a whole number
    above 0.
    """
    own = _private_copy(model, [loader])
    with torch.inference_mode():
        _estimate_statistics(own, _recalibration_batches(loader, n_images))
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

    Entries named ``running_mean`` do not tell: frozen BatchNorm has such entries, and InstanceNorm may have them.
    """
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


def _estimate_statistics(model: nn.Module, batches: Iterable[Batch]) -> None:
    """Estimate the running statistics of ``model`` in place, and leave it in evaluation mode."""
    layers = recalibrated_layers(model)
    if not layers:
        raise ParameterError(
            f"{type(model).__name__} has no BatchNorm layers with running statistics to recalibrate: "
            "use batch_norm='average'."
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
    """Gives a BatchNorm layer the momentum 1/n in its nth call, so that its statistics are the mean over calls.

    ``momentum=None`` does the same but reads n from the device each time, which makes a GPU wait.
    """

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, layer: nn.Module, _: object) -> None:
        self.calls += 1
        layer.momentum = 1 / self.calls  # type: ignore[assignment]


def score_ensemble(
    model: nn.Module, states: Iterable[State], loader: CompositeLoader, loss: str = "bce", progress: bool = False
) -> Evaluation:
    """Scores of the mean of several models' probabilities, the output ensemble that a soup is compared with.

    Lakshminarayanan, Pritzel & Blundell (2017), Simple and Scalable Predictive Uncertainty Estimation using Deep
    Ensembles.

    A pixel is chair where that mean is above 0.5; the loss is that of the mean. Each state has its own BatchNorm
    statistics. Only one batch of outputs is held at a time. ``model`` is never touched; the images are the loader's,
    complete and in order.

    Raises :class:`ParameterError` for no states or states that are not this model's, and as :class:`Evaluator` does.
    """
    given = state_list(states, "an ensemble")
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
    :func:`interpolate` and the top of this module; a repeated alpha is scored once. loss: ``bce`` or
    ``double_sigmoid``.
    n_images: for recalibration, all training images where None. To keep each point as it comes, use :class:`Evaluator`
    and :func:`interpolate`.

    Returns a row per alpha and split (``train``, ``test``): alpha, split, iou, dice, precision (per cent), loss (mean
    per pixel), and extrapolated (bool: alpha lies outside [0, 1]).

    Raises as :class:`Evaluator` and :func:`interpolate` do.
    """
    evaluator = Evaluator(model, {"train": train_loader, "test": test_loader}, loss=loss, n_images=n_images)
    a, b = evaluator.to_device(state_a), evaluator.to_device(state_b)
    wanted = dict.fromkeys(as_numbers(alphas, "alphas").tolist())
    rows = [
        {"alpha": alpha, "split": split, **scores, "extrapolated": not 0 <= alpha <= 1}
        for alpha in progress_bar(wanted, "interpolating", unit="alpha", disable=not progress)
        for split, scores in evaluator.score(interpolate(a, b, alpha), batch_norm).items()
    ]
    return pd.DataFrame(rows, columns=["alpha", "split", *FIGURES, "extrapolated"])
