"""Scores of states: one model with any number of different weights, on the same images.

BatchNorm's running statistics are averages of activations, which depend on the weights. Halfway between two models the
average of their statistics fits neither. Whatever scores a state therefore takes ``batch_norm``:

- ``average``: the statistics that the state has; between two models they were averaged as the weights were.
- ``recalibrate``: statistics estimated for these weights from training images, see :meth:`Evaluator.recalibrated`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from chairlib.benchmark.adapters import ready
from chairlib.benchmark.evaluation import Evaluation, evaluate, segmentation_loss
from chairlib.benchmark.metrics import MaskScorer
from chairlib.benchmark.models import forward
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.checks import check_choice, check_count
from chairlib.core.errors import ParameterError
from chairlib.core.progress import progress_bar
from chairlib.landscape.space import interpolate
from chairlib.landscape.states import State, check_fits, copy_of, loaded_copy

#: What is done about BatchNorm's running statistics; see the top of this module.
BATCH_NORM = ("average", "recalibrate")
#: What :meth:`Evaluator.score` gives for a split: per cent, and the mean per-pixel loss.
FIGURES = ("iou", "dice", "precision", "loss")


class Evaluator:
    """Scores any number of states of one model on the same images, in one private copy of the model.

    model: copied to the loaders' device, never touched. loaders: by split, such as ``{"train": ..., "test": ...}``;
    every image is scored once, in order and unchanged. recalibrate_on: where ``batch_norm="recalibrate"`` takes its
    images, n_images of them at most (None: all); by default the loader ``train``. loss: ``bce`` or ``double_sigmoid``.
    """

    def __init__(
        self,
        model: nn.Module,
        loaders: Mapping[str, CompositeLoader],
        *,
        recalibrate_on: CompositeLoader | None = None,
        n_images: int | None = None,
        loss: str = "bce",
    ):
        if not loaders:
            raise ParameterError("an evaluator needs at least one loader, for instance {'test': loader}.")
        self.device = next(iter(loaders.values())).device
        self.model = copy_of(model).requires_grad_(False)
        self.model.eval()  # whatever it returns: a model's own train() may return nothing
        self.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # What scores the copy's weights: the copy itself, or an adapter around it.
        loader = next(iter(loaders.values()))
        self._scored = ready(self.model, loader.image_set.batch(loader.indices[:1].to(loader.device))[0])
        self.loss, self.n_images = loss, n_images
        self._loaders = dict(loaders)
        self._recalibrate_on = recalibrate_on or loaders.get("train")

    def evaluations(self, state: State, batch_norm: str = "average") -> dict[str, Evaluation]:
        """What :func:`chairlib.benchmark.evaluation.evaluate` gives for a model with this state, by split.

        Raises :class:`ParameterError` for a state that isn't this model's or is not finite, an unknown ``batch_norm``,
        and where there is nothing to recalibrate, or nothing to do it with.
        """
        check_choice("batch_norm", batch_norm, BATCH_NORM)
        self._load(state, batch_norm == "recalibrate")
        with torch.inference_mode():
            return {split: evaluate(self._scored, loader, self.loss) for split, loader in self._loaders.items()}

    def score(self, state: State, batch_norm: str = "average") -> dict[str, dict[str, float]]:
        """By split: iou, dice, precision (per cent; nan: undefined) and loss. Raises as :meth:`evaluations` does."""
        return {split: figures_of(found) for split, found in self.evaluations(state, batch_norm).items()}

    def recalibrated(self, state: State) -> dict[str, Tensor]:
        """This state with BatchNorm's running statistics estimated anew, on the loaders' device.

        As in stochastic weight averaging (Izmailov et al. 2018): the plain mean over batches of each batch's mean and
        unbiased variance, from one pass in which BatchNorm normalises by its batch and every other module is in
        evaluation mode. The images come un-augmented in a fixed shuffled order: in their own, a batch shows one chair
        or two, and the variance between chairs would be lost. A last batch that is not full is left out, unless it is
        the only one. Raises as :meth:`evaluations` does, and unless ``n_images`` is a whole number above 0.
        """
        self._load(state, recalibrate=True)
        return {key: tensor.detach().clone() for key, tensor in self.model.state_dict().items()}

    @torch.inference_mode()
    def _load(self, state: State, recalibrate: bool) -> None:
        """Give the private copy this state, with new running statistics where that is asked for."""
        check_fits(state, self.model, "the state")
        self.model.load_state_dict(state)
        if not recalibrate:
            return
        if self._recalibrate_on is None:
            raise ParameterError("recalibrating needs training images: name a loader 'train', or give recalibrate_on.")
        layers = recalibrated_layers(self.model)
        if not layers:
            raise ParameterError(
                f"{type(self.model).__name__} has no BatchNorm layers with running statistics to recalibrate: "
                "use batch_norm='average'."
            )
        momenta = [layer.momentum for layer in layers]
        try:
            for layer in layers:
                layer.reset_running_stats()
                layer.momentum = None  # the plain mean over batches
                layer.train()
            for images in _recalibration_images(self._recalibrate_on, self.n_images):
                try:
                    forward(self.model, images, torch.channels_last)
                except ValueError as error:  # BatchNorm's: the variance of a single value
                    if len(images) > 1:
                        raise
                    raise ParameterError(
                        f"BatchNorm cannot be recalibrated on a batch of one image: use 2 or more ({error})."
                    ) from error
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
            self.model.eval()


def figures_of(evaluation: Evaluation) -> dict[str, float]:
    """:data:`FIGURES` of an evaluation, as plain numbers."""
    scores = {name: float(getattr(evaluation.scores, name)) for name in FIGURES if name != "loss"}
    return {**scores, "loss": evaluation.loss}


def _recalibration_images(loader: CompositeLoader, n_images: int | None) -> Iterator[Tensor]:
    check_count("n_images", n_images, none=True)
    count = len(loader.indices) if n_images is None else min(n_images, len(loader.indices))
    order = torch.randperm(len(loader.indices), generator=torch.Generator().manual_seed(0))
    chosen = loader.indices[order[: count - count % loader.batch_size or count]].to(loader.device)
    return (loader.image_set.batch(batch)[0] for batch in chosen.split(loader.batch_size))


def recalibrated_layers(model: nn.Module) -> list[_BatchNorm]:
    """The layers whose statistics :meth:`Evaluator.recalibrated` estimates anew: BatchNorm's, unless it keeps none.

    Entries named ``running_mean`` do not tell: frozen BatchNorm has such entries, and InstanceNorm may have them.
    """
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


def score_ensemble(model: nn.Module, states: Sequence[State], loader: CompositeLoader) -> Evaluation:
    """Scores of the mean of several models' probabilities, the output ensemble that a soup is compared with.

    After Lakshminarayanan, Pritzel & Blundell (2017), Deep Ensembles. A pixel is chair if that mean is above 0.5; the
    loss is the cross entropy of the mean. Each state has its own BatchNorm statistics. ``model`` is never touched.
    Raises :class:`ParameterError` for states that are not this model's or are not finite.
    """
    members = [loaded_copy(model, state, f"state {number}", loader.device) for number, state in enumerate(states, 1)]
    scorer, losses = MaskScorer(), []
    with torch.inference_mode():
        for images, masks in loader.in_order():
            logits = torch.stack([forward(member, images, torch.channels_last).double() for member in members])
            # The logit of the mean probability; from logarithms, so that sure members don't round to 0 or 1.
            mean = F.logsigmoid(logits).logsumexp(0) - F.logsigmoid(-logits).logsumexp(0)
            scorer.update(mean > 0, masks)
            losses.append(segmentation_loss(mean, masks.double()) * len(images))
    return Evaluation(scorer.compute(loader.groups), (torch.stack(losses).sum() / len(loader.indices)).item())


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

    states: on any device. alphas: a repeated one is scored once. :class:`Evaluator` and :func:`interpolate` tell about
    the other arguments, and what is raised. Returns a row per alpha and split (``train``, ``test``): alpha, split, iou,
    dice, precision (per cent), loss (mean per pixel), and extrapolated (bool: alpha lies outside [0, 1]).
    """
    evaluator = Evaluator(model, {"train": train_loader, "test": test_loader}, loss=loss, n_images=n_images)
    a, b = ({key: tensor.to(evaluator.device) for key, tensor in state.items()} for state in (state_a, state_b))
    wanted = dict.fromkeys(map(float, alphas))
    rows = [
        {"alpha": alpha, "split": split, **scores, "extrapolated": not 0 <= alpha <= 1}
        for alpha in progress_bar(wanted, "interpolating", unit="alpha", disable=not progress)
        for split, scores in evaluator.score(interpolate(a, b, alpha), batch_norm).items()
    ]
    return pd.DataFrame(rows, columns=["alpha", "split", *FIGURES, "extrapolated"])
