"""Any network as one that can be trained and scored here: what libraries return is converted where it has to be.

All of chairlib wants a module that maps images [B, 3, H, W], float in [0, 1], to logits [B, 1, H, W]. :func:`adapt`
makes one of what people have. It runs the model on two images, decides once what has to be done (:class:`Steps`), and
does that to every batch; what it cannot convert it refuses in one line. The guide has a table of both.
"""

import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from chairlib.benchmark.models import build_model, evaluation_mode, forward, is_made, name_of, set_name
from chairlib.benchmark.settings import check_model_options
from chairlib.core.errors import ParameterError, one_line

#: How often the weights of a model are drawn anew to see whether its outputs can be logits.
_DRAWS = 24
#: Mean and deviation of ImageNet's red, green and blue in [0, 1]: networks trained there expect images by these.
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
#: Probabilities are held this far from 0 and 1, whose logits are infinite: logits stay between -16 and 16.
_LEAST = 1e-7
#: How many times smaller than the images an output may be; it is then enlarged.
_FACTORS = (2, 4, 8, 16, 32)
#: Entries of a mapping that hold the logits, as torchvision and transformers name them.
_ENTRIES = ("out", "logits")


def adapt(
    model: Any,
    *,
    args: Mapping[str, Any] | None = None,
    width: int | None = None,
    resolution: int | Sequence[int] = 64,
    normalise: str | None = None,
    outputs: str = "logits",
    name: str | None = None,
) -> nn.Module:
    """``model`` as a module that maps images [B, 3, H, W], float in [0, 1], to logits [B, 1, H, W].

    model: a module; a name as for :func:`chairlib.build_model`; a class or function that makes a module when called
    with ``args``; or a function of images, such as a classical method: a callable with one argument, which gives
    logits, or a mask (bool, or whole numbers 0 and 1). It has no parameters: it can be scored, not trained.
    args: keyword arguments by name. width: given as ``width=`` too, where it isn't None.
    resolution: pixels a side, or (height, width), of the images that the model is tried out on.
    normalise: "imagenet" for a network that expects images less ImageNet's mean, over its deviation.
    outputs: "logits", or "probabilities" for a network that ends in a sigmoid, or a softmax over two channels.
    name: what errors and :func:`chairlib.benchmark.models.name_of` call the model.

    Returns ``model`` itself where nothing has to be done, and else an :class:`Adapted` around it, with the same
    weights. Raises ParameterError where it fails, gives what cannot be converted to logits, or outputs of one sign
    whatever its weights are, and where eval() leaves BatchNorm in training mode.
    """
    check_model_options(normalise, outputs)
    if isinstance(model, str) and ":" not in model:
        return build_model(model, width, args=args, normalise=normalise, outputs=outputs)
    given = name or (model if isinstance(model, str) else "")
    if isinstance(model, str):
        model = _imported(model)
    called = given or (name_of(model) if isinstance(model, nn.Module) else getattr(model, "__name__", repr(model)))
    network = _made(called, model, {**(args or {}), **({} if width is None else {"width": width})})
    size = [resolution, resolution] if isinstance(resolution, int) else [*resolution]
    adapted = Adapted(called, network, normalise is not None)
    images = _images(size, adapted.mean.device)
    adapted.steps = _steps(adapted, images, outputs)
    _check_outputs(called, adapted, images, outputs)
    result = network if adapted.steps == Steps() else adapted
    if given or result is adapted:
        set_name(result, called)
    return result


def ready(model: Any, images: Tensor) -> nn.Module:
    """``model``, or an adapted one where its outputs for ``images`` [B, 3, H, W] show the need: see :func:`adapt`."""
    if isinstance(model, nn.Module):
        if is_made(model):
            return model
        with suppress(Exception), evaluation_mode(model):  # why it fails, adapting it says
            found = forward(model, images)
            looks_right = list(found.shape) == [len(images), 1, *images.shape[-2:]] and found.is_floating_point()
            # Logits may all lie in [0, 1] too: then adapting tries the model out, and gives it back as it is.
            if looks_right and not (found.min() >= 0 and 0 < found.max() <= 1):
                return model
    adapted = adapt(model, resolution=images.shape[-2:])
    return adapted if isinstance(model, nn.Module) else adapted.to(images.device)


@dataclass(frozen=True)
class Steps:
    """What is done to the images that a model is given (``normalise``), and to what it returns, in this order."""

    normalise: bool = False  # subtract ImageNet's mean and divide by its deviation
    entry: str | None = None  # take that entry of a mapping, that attribute of an object, or "first" of a sequence of 1
    channel: bool = False  # put in the missing channel of [B, H, W]
    probabilities: bool = False  # p becomes the logit log(p / (1 - p)), and so a mask -16 and 16
    pair: bool = False  # chair's logit less the background's: the logit of what their softmax would be
    enlarge: bool = False  # bilinearly, to the size of the images


class Adapted(nn.Module):
    """A model, as the attribute ``model``, with the :class:`Steps` to logits. Its state has the prefix ``model.``."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: str, model: nn.Module, normalise: bool):
        super().__init__()
        self.model, self.name, self.steps = model, name, Steps(normalise)
        self.returns: type = Tensor  # what the model returns
        self.training = model.training  # not by train(): parts of a model may be in another mode
        device = next(chain(model.parameters(), model.buffers()), torch.empty(0)).device
        for which, values in _IMAGENET.items():
            self.register_buffer(which, torch.tensor(values, device=device).view(3, 1, 1), persistent=False)

    def returned(self, images: Tensor) -> Any:
        """What the model itself returns."""
        return self.model((images - self.mean) / self.deviation if self.steps.normalise else images)

    def raw(self, images: Tensor) -> Tensor:
        """The tensor in that, [B, C, h, w]."""
        output = self.returned(images)
        if type(output) is not self.returns:
            raise ParameterError(
                f"model {self.name} returned {_describe(output)}, but something else in evaluation mode, when it was "
                "tried out; it must return the same in both modes."
            )
        found = _taken(output, self.steps.entry)
        return found.unsqueeze(1) if self.steps.channel else found

    def forward(self, images: Tensor) -> Tensor:
        found = self.raw(images)
        if self.steps.probabilities:
            found = found.float().clamp(_LEAST, 1 - _LEAST)  # in bfloat16 all above 0.998 would be 1
            found = found.log() if self.steps.pair else found.logit()
        if self.steps.pair:
            found = found[:, 1:] - found[:, :1]
        if self.steps.enlarge:
            found = F.interpolate(found, size=images.shape[-2:], mode="bilinear", align_corners=False)
        return found


class _Function(nn.Module):
    """A function of images as a module, which has no parameters."""

    def __init__(self, function: Callable[[Tensor], Any]):
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Any:
        found = self.function(images)
        found = torch.as_tensor(found, device=images.device) if isinstance(found, np.ndarray) else found
        return found.float() if isinstance(found, Tensor) and found.is_floating_point() else found


def _imported(name: str) -> Any:
    """What ``package.module:callable`` names."""
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ParameterError(
            f"model {name}: importing {module_name!r} failed ({type(error).__name__}: {one_line(error)}). Models of "
            "one's own are named package.module:callable; go to the folder that the package is in, put that folder on "
            "PYTHONPATH, or install the package."
        ) from error
    if not hasattr(module, attribute):
        raise ParameterError(f"model {name}: module {module_name!r} has no {attribute!r}.")
    return getattr(module, attribute)


def _made(name: str, model: Any, options: Mapping[str, Any]) -> nn.Module:
    """The module itself, what a class or function makes of ``options``, or a function of images as a module."""
    call = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "no arguments"
    if isinstance(model, nn.Module) and options:
        raise ParameterError(f"model {name} is a module already, which is not called with {call}: leave them out.")
    if isinstance(model, nn.Module):
        return model
    if not callable(model):
        raise ParameterError(f"model {name} is of type {type(model).__name__} and cannot be called.")
    if not inspect.isclass(model) and _takes_images(model, options):
        return _Function(partial(model, **options))
    try:
        made = model(**options)
    except Exception as error:
        hint = "; arguments are given by name, in model_args" * isinstance(error, TypeError)
        raise ParameterError(
            f"model {name} failed when called with {call}: {type(error).__name__}: {one_line(error)}{hint}."
        ) from error
    if callable(made) and not isinstance(made, nn.Module) and _takes_images(made, {}):
        return _Function(made)
    if not isinstance(made, nn.Module):
        raise ParameterError(f"model {name} returned {_describe(made)}: it must return a torch.nn.Module.")
    return made


def _takes_images(function: Callable[..., Any], options: Mapping[str, Any]) -> bool:
    """Whether a function has exactly one argument that must be given beside ``options``, which can only be images."""
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions written in C do not say
        return False
    needed = [one for one in arguments if one.default is one.empty and one.name not in options]
    return sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in needed) == 1


def _steps(model: Adapted, images: Tensor, outputs: str) -> Steps:
    """What has to be done to what ``model`` returns for two images."""
    shape, is_function = list(images.shape), isinstance(model.model, _Function)
    try:
        with evaluation_mode(model):
            output = model.returned(images.clone())
    except Exception as error:
        hint = "; what makes a network gets its arguments from model_args" * is_function
        raise ParameterError(
            f"model {model.name} failed on float images of shape {shape}: {type(error).__name__}: {one_line(error)}"
            f"{hint}."
        ) from error
    model.returns = type(output)
    entry = next((entry for entry in _ENTRIES if isinstance(output, Mapping) and entry in output), None)
    if isinstance(output, tuple | list) and len(output) == 1:
        entry = "first"
    elif isinstance(getattr(output, "logits", None), Tensor):
        entry = "logits"
    found = _taken(output, entry)
    is_tensor = isinstance(found, Tensor) and found.ndim in (3, 4) and len(found) == 2
    channels = found.shape[1] if is_tensor and found.ndim == 4 else 1
    factors = [by for by in (1, *_FACTORS) if is_tensor and [by * side for side in found.shape[-2:]] == shape[-2:]]
    is_mask = is_tensor and not found.is_floating_point() and (is_function or outputs == "probabilities")
    problem = ""
    if not is_tensor:
        problem = f"or a mapping that holds it as {' or '.join(_ENTRIES)}"
    elif channels > 2:
        problem = "or two, for background and chair: make it with classes=1, num_classes=1, or what it is called there"
    elif not factors:
        problem = f"or smaller ones, height and width divided by the same of {', '.join(map(str, _FACTORS))}"
    elif is_mask and (channels == 2 or not ((found == 0) | (found == 1)).all()):
        problem = "or a mask of one channel that is 1 where a pixel is chair and else 0"
    elif not found.is_floating_point() and not is_mask:
        problem = "or a mask of 0 and 1 with outputs='probabilities'"
    if problem:
        inside = f" ({entry}: {_describe(found)})" if entry else ""
        raise ParameterError(
            f"model {model.name} returned {_describe(output)}{inside} for images of shape {shape}: it must return one "
            f"float tensor of logits, {[2, 1, *shape[-2:]]}, {problem}."
        )
    steps = replace(model.steps, entry=entry, channel=found.ndim == 3, pair=channels == 2, enlarge=factors[0] > 1)
    return replace(steps, probabilities=is_mask or outputs == "probabilities")


def _taken(output: Any, entry: str | None) -> Any:
    if entry is None:
        return output
    if isinstance(output, Mapping):
        return output[entry]
    return output[0] if entry == "first" else getattr(output, entry)


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor {list(value.shape)}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with keys {', '.join(map(str, value)) or '(none)'}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"something of type {type(value).__name__}"


def _images(size: Sequence[int], device: torch.device) -> Tensor:
    """Two images to try a model on: noise, and noise that is dark on the left and bright on the right."""
    images = torch.rand([2, 3, *size], generator=torch.Generator().manual_seed(0))
    images[1] = images[1] / 10 + torch.linspace(0, 0.9, size[1]).round() * 0.9
    return images.to(device)


def check_trainable(model: nn.Module) -> None:
    """Raise ParameterError where nothing of ``model`` can be trained: a function of images, frozen weights."""
    if any(isinstance(part, torch.jit.ScriptModule) for part in model.modules()):  # its BatchNorm would go unnoticed
        raise ParameterError(
            f"model {name_of(model)} is TorchScript, which hides its layers: return the torch.nn.Module itself."
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ParameterError(
            f"model {name_of(model)} has no parameters to train, so it can only be scored; to train it, make its "
            "weights torch.nn.Parameter."
        )


def _check_outputs(name: str, model: Adapted, images: Tensor, outputs: str) -> None:
    """Refuse a model whose outputs, before they are made logits, are not what they are said to be."""
    if any(map(nn.parameter.is_lazy, model.parameters())):
        raise ParameterError(f"model {name} has lazy layers that no image reaches: leave them out.")
    with evaluation_mode(model):
        stuck = any(layer.training for layer in model.modules() if isinstance(layer, _BatchNorm))
    if stuck:  # each image's score would depend on the others of its batch
        raise ParameterError(
            f"model {name}: eval() leaves BatchNorm in training mode; call super().train(mode) in train()."
        )
    if model.steps.probabilities != (outputs == "probabilities"):
        return  # a mask
    low, high = _output_range(model, images, 3 if model.steps.probabilities else _DRAWS)
    within = low >= -1e-6 and high <= 1 + 1e-6
    if model.steps.probabilities:
        if not within:
            raise ParameterError(
                f"model {name} must return probabilities, as outputs='probabilities' says, but its outputs go from "
                f"{low:.3g} to {high:.3g}: leave that out for logits."
            )
    # Two probabilities differ by either sign, as two logits do. Two logarithms of probabilities are fine as logits.
    elif (within and high > 0) if model.steps.pair else (low >= 0 and high > 0) or (high <= 0 and low < 0):
        what = "probabilities" if within else "of one sign"
        raise ParameterError(
            f"model {name} must return logits, but its outputs are {what} whatever its weights (from {low:.3g} to "
            f"{high:.3g}): leave out the sigmoid or other function at its end"
            + (", or say outputs='probabilities'." if within else ".")
        )


def _output_range(model: Adapted, images: Tensor, draws: int) -> tuple[float, float]:
    """The least and the greatest output as all weights are drawn anew again and again, until both signs are seen.

    The outputs of the model as it is do not tell probabilities from logits: those of a fresh network may lie in [0, 1]
    by chance, for images of any scale, where its last weights are small or a norm comes before them. But a last layer
    with weights of either sign gives both signs sooner or later, and a sigmoid, softmax, ReLU or logarithm never does.
    Each draw gives either sign about as often as the other, so 24 alike are an accident of one in ten million. Weights
    of several scales, so that no constant in the model outweighs them all; values that overflow do not count.
    """
    kept = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]
    low, high, drawn_anew = math.inf, -math.inf, any(True for _ in model.parameters())
    try:
        with evaluation_mode(model):
            for draw in range(draws if drawn_anew else 1):
                generator = torch.Generator().manual_seed(draw)  # its own: the caller's random numbers go on as before
                for weights in filter(torch.is_floating_point, model.parameters()):
                    fan_in = weights[0].numel() if weights.ndim > 1 and len(weights) else 1
                    drawn = torch.randn(weights.shape, generator=generator) * 10 ** (draw % 3) / max(1, fan_in) ** 0.5
                    weights.copy_(drawn)
                with suppress(Exception):  # a model may refuse weights that it would never have
                    output = model.raw(images.clone())
                    low = min(low, output.nan_to_num(math.inf, math.inf, math.inf).min().item())
                    high = max(high, output.nan_to_num(-math.inf, -math.inf, -math.inf).max().item())
                if low < 0 < high:
                    break
    finally:
        for tensor, values in kept:
            tensor.data.copy_(values)
    return low, high
