"""Training one model: budgets in images, early stopping on validation IoU, and resuming to the same bits.

Budgets are counted in images, never in seconds: a clock would break "same seed, same bits" and exact resuming.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from chairlib.benchmark.adapters import adapt, check_trainable
from chairlib.benchmark.evaluation import Evaluation, evaluate, holds_objects, predict
from chairlib.benchmark.metrics import MIN_CHAIR_PIXELS
from chairlib.benchmark.models import is_made, name_of
from chairlib.benchmark.precision import training_dtype
from chairlib.benchmark.recipes import Recipe, get_recipe
from chairlib.benchmark.steps import Stepper, copy_weights, halve, takes_half, trainable_batches
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.checks import check_count, check_positive
from chairlib.core.errors import ChairlibError, ParameterError, RecordError, one_line
from chairlib.core.files import disk_errors
from chairlib.core.progress import note, progress_bar
from chairlib.core.stopping import held_signals
from chairlib.core.tensors import load_tensors, save_tensors

#: At most this many seconds of training are lost by a kill, and at most so many by a signal while scoring.
CHECKPOINT_SECONDS, SCORING_SECONDS = 60, 5
#: Converged: the first evaluation within this many IoU points of the best one.
CONVERGENCE_MARGIN = 0.5
#: At most this many moments of training are kept as previews, of at most this many pixels a side.
_PREVIEW_TIMES, _PREVIEW_SIDE = 12, 64


@dataclass(frozen=True)
class Fit:
    """What a training run came to. The model that was given holds the chosen weights."""

    history: pd.DataFrame
    """A row per evaluation: images, seconds (those of scoring alone too), learning_rate, losses, and in % val_iou,
    val_dice and val_precision.

    Where the start was scored, the first row has 0 images, and a training loss and learning rate of NaN: no step was
    taken."""
    images_seen: int
    seconds: float
    """Training and evaluation, summed over resumed parts."""
    best_images: int
    """Images seen when the chosen weights were reached."""
    converged_images: int
    converged_seconds: float
    """When validation IoU first came within 0.5 points of its best."""
    stopped_early: bool
    half_images: int
    """Images seen at half the resolution: none where the model cannot take them."""
    precision: str
    """Of the forward passes, ``float32`` or ``bfloat16``."""
    previews: dict[str, torch.Tensor] | None = None
    """What the model made of a few fixed validation images during training; None where none were asked for.

    ``seen`` int64 [T]: images seen by then, from 0; uint8 levels ``images`` [N, 3, d, d], ``targets`` [N, 1, d, d] and
    ``probabilities`` [T, N, 1, d, d]."""


class _Trainer:
    """The state of a training run. All of it goes into the checkpoint, so a resumed run ends with the same weights."""

    def __init__(
        self, model: nn.Module, train: CompositeLoader, recipe: Recipe, n_steps: int, seed: int, precision: str
    ):
        self.model, self.train, self.recipe, self.n_steps = model, train, recipe, n_steps
        self.precision = str(training_dtype(train.device, precision)).removeprefix("torch.")
        self.stepper = Stepper(model, recipe, getattr(torch, self.precision))
        self.half_steps = round(recipe.half_until * n_steps)
        if self.half_steps and not takes_half(model, *train.image_set.batch(train.indices[:1].to(train.device))):
            self.half_steps = 0
            note(f"{name_of(model)} takes no images of half the size: all are trained on at full size")
        self.step = 0
        self.images = self.half_images = 0
        self.seconds = self.scoring_seconds = 0.0
        self.start: dict[str, float] | None = None
        self.history: list[dict[str, float]] = []
        self.best = copy_weights(model)
        self.best_row = -1
        self.stopped_early = False
        # Summed on the device since the last evaluation: reading a loss at every step would wait for the device.
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=train.device)
        self.loss_count = 0
        self.previews: dict[str, torch.Tensor] = {}
        torch.manual_seed(seed)

    def advance(self, save: Callable[[], None]) -> Iterator[None]:
        """Train from the current step on, yielding after each, until the last one or until stopped early.

        Ctrl-C and SIGTERM would leave half a step: they wait for its end, and ``save`` is called before they count.
        """
        while self.step < self.n_steps and not self.stopped_early:
            for images, masks in self.train.batches(*divmod(self.step, len(self.train))):
                with held_signals(save):
                    if self.step < self.half_steps:
                        images, masks = halve(images, masks)
                        self.half_images += len(images)
                    self.loss_sum += self.stepper(images, masks, self.recipe.rate_at(self.step, self.n_steps))
                    self.step += 1
                    self.images += len(images)
                    self.loss_count += 1
                yield
                if self.step == self.n_steps or self.stopped_early:
                    return

    @property
    def train_loss(self) -> float:
        """Mean over the steps since the last evaluation."""
        return self.loss_sum.item() / max(1, self.loss_count)

    def row(self, evaluation: Evaluation) -> dict[str, float]:
        """A row of the history."""
        return {
            "images": self.images,
            "seconds": round(self.seconds, 3),
            "scoring_seconds": round(self.scoring_seconds, 3),
            "learning_rate": self.recipe.rate_at(max(0, self.step - 1), self.n_steps),
            "train_loss": self.train_loss,
            "val_loss": evaluation.loss,
            **{f"val_{name}": getattr(evaluation.scores, name) for name in ("iou", "dice", "precision")},
        }

    def preview(self, images: torch.Tensor, masks: torch.Tensor) -> None:
        """Keep what the model makes of these images now. Training goes on as if nothing had been looked at.

        Where there is no room for one more, the one whose neighbours are closest goes; never the first or the last.
        """
        self.loss_sum.item()  # waits for the device: what is still being trained is not scoring
        began = time.monotonic()
        with torch.random.fork_rng([self.train.device] if self.train.device.type == "cuda" else []):
            now = {"seen": torch.tensor([self.images]), "probabilities": _levels(predict(self.model, images))[None]}
        kept = self.previews or {"images": _levels(images), "targets": _levels(masks)}
        kept |= {name: torch.cat([kept[name], part]) if name in kept else part for name, part in now.items()}
        seen = kept["seen"].tolist()
        if len(seen) > _PREVIEW_TIMES:
            drop = min(range(1, len(seen) - 1), key=lambda time: seen[time + 1] - seen[time - 1])
            kept |= {name: torch.cat([kept[name][:drop], kept[name][drop + 1 :]]) for name in now}
        self.previews = kept
        self.scoring_seconds += time.monotonic() - began

    def score(self, val: CompositeLoader) -> Evaluation:
        """Evaluate the model as it is, and add the time that it takes to the time of scoring."""
        self.loss_sum.item()  # waits for the device: what is still being trained is not scoring
        began = time.monotonic()
        evaluation = evaluate(self.model, val, self.recipe.loss)
        self.scoring_seconds += time.monotonic() - began
        return evaluation

    def record(self, evaluation: Evaluation) -> None:
        """Add a row to the history, keep the weights if they are the best so far, and decide whether to stop early."""
        recipe, row = self.recipe, self.row(evaluation)
        if not all(math.isfinite(row[name]) for name in ("train_loss", "val_loss")):
            raise ChairlibError(
                f"the loss is not finite after {self.images} images (recipe {recipe.name!r}, learning rate "
                f"{recipe.learning_rate:g}); use a lower learning rate or another recipe."
            )
        self.history.append(row)
        self.loss_sum.zero_()
        self.loss_count = 0
        figures = [-past["val_loss"] if recipe.select == "loss" else past["val_iou"] for past in self.history]
        if self.best_row < 0 or recipe.select == "last" or figures[-1] > figures[self.best_row]:
            self.best_row, self.best = len(self.history) - 1, copy_weights(self.model)
        self.stopped_early = recipe.has_settled([past["val_iou"] for past in self.history])

    _SCALARS = (
        *("step", "images", "half_images", "half_steps", "seconds", "scoring_seconds", "loss_count"),
        *("start", "history", "best_row", "stopped_early", "precision"),
    )

    def save(self, path: Path, fingerprint: str) -> None:
        tensors = {"loss_sum": self.loss_sum, "rng.cpu": torch.get_rng_state()}
        if self.train.device.type == "cuda":
            tensors["rng.cuda"] = torch.cuda.get_rng_state(self.train.device)
        tensors |= {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        tensors |= {f"previews.{name}": tensor for name, tensor in self.previews.items()}
        for number, optimizer in enumerate(self.stepper.optimizer.parts):
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{index}.{name}": tensor for name, tensor in state.items()}
        scalars = json.dumps({name: getattr(self, name) for name in self._SCALARS})
        save_tensors(path, tensors, {"state": scalars, "fingerprint": fingerprint, "names": repr(sorted(tensors))})

    def load(self, path: Path, fingerprint: str) -> bool:
        """Go on from a checkpoint. False where it is damaged: it has another name then, and training starts again."""
        weights = copy_weights(self.model)
        try:
            self._load(path, fingerprint)
            return True
        except (RecordError, torch.OutOfMemoryError):
            raise
        except (ChairlibError, KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error.__cause__, OSError):  # it cannot be read
                raise
            note(f"{path} is damaged ({one_line(error)}); it is {path.name}.damaged now, and training starts again")
        with disk_errors(path):
            path.replace(f"{path}.damaged")
        self.model.load_state_dict(weights)
        return False

    def _load(self, path: Path, fingerprint: str) -> None:
        tensors, metadata = load_tensors(path)
        if metadata["fingerprint"] != fingerprint:
            raise RecordError(f"{path} is the checkpoint of another run; delete it, or name another file.")
        state = json.loads(metadata["state"])
        # PyTorch's optimizers take what is there, and begin anew with the rest.
        if repr(sorted(tensors)) != metadata["names"] or state.keys() != set(self._SCALARS):
            raise ValueError("a part is missing")
        vars(self).update(state)
        # Training goes on as it began, also on hardware where the other precision is the faster one.
        self.stepper.dtype = getattr(torch, self.precision)
        self.model.load_state_dict(_under("model.", tensors))
        device = self.train.device
        self.best = {name: tensor.to(device) for name, tensor in _under("best.", tensors).items()}
        self.loss_sum = tensors["loss_sum"].to(device)
        self.previews = {name: tensor.clone() for name, tensor in _under("previews.", tensors).items()}
        for number, optimizer in enumerate(self.stepper.optimizer.parts):
            states: dict[int, dict[str, torch.Tensor]] = {}
            for key, tensor in _under(f"optimizer.{number}.", tensors).items():
                index, name = key.split(".", 1)
                states.setdefault(int(index), {})[name] = tensor
            optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
        torch.set_rng_state(tensors["rng.cpu"])
        if "rng.cuda" in tensors and device.type == "cuda":
            torch.cuda.set_rng_state(tensors["rng.cuda"], device)


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _levels(values: torch.Tensor) -> torch.Tensor:
    """Values in [0, 1] as uint8, [..., d, d]; of large images every second pixel (or third, ...) of each side."""
    step = math.ceil(values.shape[-1] / _PREVIEW_SIDE)
    return (values[..., ::step, ::step] * 255).round().byte().cpu()


def _count_steps(train: CompositeLoader, recipe: Recipe, images: int | None, epochs: float | None) -> int:
    if images is not None and epochs is not None:
        raise ParameterError("give a budget in images or in epochs, not in both.")
    if len(train) == 0:
        raise ParameterError(
            f"a batch of {train.batch_size} is more than the {len(train.indices)} training images, and drop_last "
            "leaves nothing; use a smaller batch_size."
        )
    check_count("images", images, none=True)
    check_positive("epochs", epochs, none=True)
    budget = images if images is not None else (recipe.epochs if epochs is None else epochs) * train.n_images
    if budget < 1:
        raise ParameterError(f"a budget of {budget:g} images trains nothing; give at least 1.")
    whole, rest = divmod(math.ceil(budget), train.n_images)
    return whole * len(train) + math.ceil(rest / train.batch_size)


def _evenly(n_steps: int, count: int) -> set[int]:
    """So many numbers of steps, evenly spread, the last at the end; every one where there are fewer."""
    return {math.ceil(n_steps * (number + 1) / count) for number in range(count)}


def fit(
    model: nn.Module,
    train: CompositeLoader,
    val: CompositeLoader,
    recipe: Recipe | str,
    *,
    images: int | None = None,
    epochs: float | None = None,
    evaluations: int | None = None,
    score_start: bool = False,
    previews: int = 0,
    checkpoint: Path | str | None = None,
    precision: str = "auto",
    seed: int = 0,
    progress: bool = True,
) -> Fit:
    """Train ``model`` in place on ``train``; ``val`` chooses the weights and when to stop. The test split has no part.

    A model that gives something else than logits is trained through :func:`chairlib.benchmark.adapters.adapt`.

    Parameters
    ----------
    recipe: from :func:`get_recipe`, or its name: that of the model that :func:`chairlib.build_model` made.
    images, epochs: the budget; the recipe's epochs where neither is given. Rounded up to whole batches.
    evaluations: how many, evenly spread, the last at the end; by default one an epoch, and at least eight.
    score_start: put a row before the first step into the history, at 0 images, with no part in any choice.
    previews: of how many images of ``val``, spread over all of them, to keep what the model makes of them at up to 12
        moments: the start, evaluations, and between few evaluations. No weight changes. See :attr:`Fit.previews`.
    checkpoint: a safetensors file, written every minute and at each evaluation. Where it is there, training goes on
        from it and ends with the weights it would have had (bit for bit on the CPU; on CUDA within
        :func:`chairlib.benchmark.determinism.deterministic_mode`).
    precision: of the forward passes, see :func:`chairlib.benchmark.precision.training_dtype`. Training that goes on
        from a checkpoint keeps the one it began with.
    seed: of whatever draws random numbers while training (dropout); order and flips have the loader's seed.

    Raises ParameterError for an impossible budget, a recipe with unknown values, a validation split that cannot choose
    weights, or a model that cannot be trained; RecordError where ``checkpoint`` belongs to another run; ChairlibError
    where the loss is not finite.
    """
    if not isinstance(model, nn.Module):
        raise ParameterError(f"fit trains a torch.nn.Module in place, found {model!r}: make it first, with adapt().")
    if not isinstance(recipe, Recipe):
        recipe = get_recipe(recipe, name_of(model))
    check_count("evaluations", evaluations, none=True)
    check_count("previews", previews, least=0)
    _count_steps(train, recipe, images, epochs)
    if recipe.select == "iou" and not holds_objects(val):
        raise ParameterError(
            f"no {val.split} image of {val.image_set.name} has {MIN_CHAIR_PIXELS} object pixels or more, so IoU cannot "
            "choose weights; look at its masks, or use a recipe with select='last'."
        )
    if not is_made(model):
        model = adapt(model, resolution=train.image_set.batch(train.indices[:1].to(train.device))[0].shape[-2:])
    check_trainable(model)
    model.to(device=train.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    train = trainable_batches(model, train, recipe)
    n_steps = _count_steps(train, recipe, images, epochs)
    n_evaluations = min(n_steps, evaluations or max(8, round(n_steps / len(train))))
    marks = _evenly(n_steps, n_evaluations)
    # Few evaluations have further looks between them.
    looks = _evenly(n_steps, n_evaluations * max(1, (_PREVIEW_TIMES - 1) // n_evaluations))
    path = None if checkpoint is None else Path(checkpoint)
    options = ("batch_size", "shuffle", "flip", "augment", "drop_last", "seed")
    decisive = {
        "recipe": asdict(recipe),
        "steps": n_steps,
        "evaluations": n_evaluations,
        "score_start": score_start,
        "previews": previews,
        "seed": seed,
        "precision": precision,
        "train": [train.image_set.data_hash, len(train.indices), *(repr(getattr(train, name)) for name in options)],
        "val": [val.image_set.data_hash, len(val.indices)],
        "model": {name: list(tensor.shape) for name, tensor in model.state_dict().items()},
    }
    fingerprint = json.dumps(decisive, sort_keys=True)
    trainer = _Trainer(model, train, recipe, n_steps, seed, precision)
    if path is not None and path.exists() and not trainer.load(path, fingerprint):
        trainer = _Trainer(model, train, recipe, n_steps, seed, precision)
    watched = None
    if previews:
        numbers = torch.arange(previews) * len(val.indices) // previews
        watched = val.image_set.batch(val.indices[numbers.unique()].to(val.device))

    epochs_done, rest = divmod(n_steps, len(train))  # an epoch's last batch may be smaller
    total = epochs_done * train.n_images + min(rest * train.batch_size, train.n_images)
    bar = progress_bar(total=total, initial=trainer.images, desc="training", unit="image", disable=not progress)
    began = time.monotonic() - trainer.seconds
    saved = shown = trainer.seconds
    saved_step = trainer.step

    def save() -> None:
        nonlocal saved, saved_step
        trainer.seconds = saved = time.monotonic() - began
        saved_step = trainer.step
        if path is not None:
            with held_signals():
                trainer.save(path, fingerprint)

    def look() -> None:
        """What is due after this step. A signal while scoring leaves it due: no weight has changed since the step."""
        if watched and trainer.step in looks and trainer.previews["seen"][-1] != trainer.images:
            trainer.preview(*watched)
        if trainer.step in marks and not (trainer.history and trainer.history[-1]["images"] == trainer.images):
            evaluation = trainer.score(val)
            trainer.seconds = time.monotonic() - began
            with held_signals():
                trainer.record(evaluation)
            save()

    try:
        if score_start and trainer.start is None:
            at_start = trainer.score(val)
            trainer.seconds = time.monotonic() - began
            trainer.start = {**trainer.row(at_start), "train_loss": math.nan, "learning_rate": math.nan}
        if watched and not trainer.previews:
            trainer.preview(*watched)
        look()
        for _ in trainer.advance(save):
            trainer.seconds = time.monotonic() - began
            if trainer.seconds - shown > 0.5:  # reading the loss waits for the device, so not at every step
                shown = trainer.seconds
                figures = {"loss": f"{trainer.train_loss:.3f}"}
                if trainer.history:
                    figures["val_iou"] = f"{trainer.history[-1]['val_iou']:.1f}"
                bar.set_postfix({name: text for name, text in figures.items() if text != "nan"}, refresh=False)
                bar.update(trainer.images - bar.n)
            if trainer.seconds - saved > (SCORING_SECONDS if trainer.step in marks | looks else CHECKPOINT_SECONDS):
                save()
            look()
    except KeyboardInterrupt:  # between two steps: within one, it waits for the end of the step
        if trainer.step > saved_step:
            save()
        raise
    finally:
        bar.update(trainer.images - bar.n)
        bar.close()
    model.load_state_dict(trainer.best)
    return _summarise(trainer)


def untrained(validation: Evaluation) -> Fit:
    """What stands in a record for training that happened elsewhere: one row, of the model as it is."""
    row = {"images": 0, "seconds": 0.0, "scoring_seconds": 0.0, "learning_rate": math.nan, "train_loss": math.nan}
    row |= {"val_loss": validation.loss}
    row |= {f"val_{name}": getattr(validation.scores, name) for name in ("iou", "dice", "precision")}
    return Fit(pd.DataFrame([row]), 0, 0.0, 0, 0, 0.0, False, 0, "float32")


def _summarise(trainer: _Trainer) -> Fit:
    history = pd.DataFrame(trainer.history)
    near = history["val_iou"] >= history["val_iou"].max() - CONVERGENCE_MARGIN
    converged = history.loc[near.idxmax() if near.any() else history.index[-1]]
    if trainer.start is not None:
        history = pd.concat([pd.DataFrame([trainer.start]), history], ignore_index=True)
    return Fit(
        history=history,
        images_seen=trainer.images,
        seconds=round(trainer.seconds, 3),
        best_images=int(trainer.history[trainer.best_row]["images"]),
        converged_images=int(converged["images"]),
        converged_seconds=float(converged["seconds"]),
        stopped_early=trainer.stopped_early,
        half_images=trainer.half_images,
        precision=trainer.precision,
        previews=trainer.previews or None,
    )
