"""The four models of the benchmark (the paper's section 5), and models of one's own by name.

Every model maps images [B, 3, H, W], float in [0, 1], of any size from 32 x 32 up, to logits [B, 1, H, W]; a pixel is
predicted as chair where its logit is above 0. Where the paper leaves a detail open, it is what the released code does:
U-Net with BatchNorm and bilinear upsampling, a plain VGG-16, and torchvision's dilated ResNets without an auxiliary
head. Weights start at random, PyTorch's defaults, VGG-16 and the ResNets as torchvision initialises them (He
initialisation, without which 13 plain convolutions in a row would not train).
"""

from __future__ import annotations

import difflib
import importlib
import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from chairlib.core.checks import check_choice, check_count
from chairlib.core.code import code_hash
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.vision import torchvision

__all__ = [
    "FULL_WIDTH",
    "MIN_SIZE",
    "MODELS",
    "build_model",
    "check_model",
    "count_parameters",
    "evaluation_mode",
    "forward",
    "model_code_hash",
    "name_of",
    "try_out",
]
_NAME = "chairlib_name"

#: The names that :func:`build_model` knows.
MODELS = ("unet", "fcn_vgg16", "fcn_resnet50", "fcn_resnet101")
#: The width of the paper's models: channels of the first convolution, to which all others are in proportion.
FULL_WIDTH = 64
#: The smallest height and width in pixels: VGG-16 halves its input five times.
MIN_SIZE = 32
#: How often the weights of a model are drawn anew to see whether its outputs can be logits.
_DRAWS = 24


def build_model(
    name: str, width: int | None = None, backbone_weights: str | None = None, resolution: int = 64
) -> nn.Module:
    """Build a model by name.

    name: one of :data:`MODELS`, or `package.module:callable` for a model of one's own, which is called with no
    arguments (with `width=` where one is given) and must return a module that maps [B, 3, H, W] to logits [B, 1, H, W].
    width: channels of the first convolution, to which all others are in proportion; 64, the paper's, by default.
    backbone_weights: "imagenet" starts VGG-16 or a ResNet, of full width, from torchvision's ImageNet weights, fetched
    into torch's hub folder where they are missing.
    resolution: pixels a side of the images that a model of one's own is tried out on, see :func:`try_out`.

    Raises ParameterError for a name, width or model that cannot be used, ChairlibError for weights that cannot be had.
    """
    _check_arguments(name, width, backbone_weights)
    model: nn.Module
    if ":" in name:
        model = _build_third_party(name, width, resolution)
    elif name == "unet":
        model = UNet(width or FULL_WIDTH)
    elif name == "fcn_vgg16":
        model = FCNVGG16(width or FULL_WIDTH)
        if backbone_weights:
            # Layer by layer the same sequence as torchvision's, so its keys fit.
            features = nn.Sequential(*(layer for stage in model.stages for layer in stage.children()))
            _load_imagenet(name, features, torchvision.models.VGG16_Weights)
    else:
        depth, segmentation = name.removeprefix("fcn_resnet"), torchvision.models.segmentation
        if width in (None, FULL_WIDTH):
            full = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=1, aux_loss=False)
            model = FCNResNet(full.backbone, full.classifier)
        else:
            model = FCNResNet(_NarrowResNet(depth, width), segmentation.fcn.FCNHead(32 * width, 1))
        if backbone_weights:
            _load_imagenet(name, model.backbone, getattr(torchvision.models, f"ResNet{depth}_Weights"))
    model.__dict__[_NAME] = name  # a plain attribute; nn.Module's own way of setting one is for modules and tensors
    return model


def _check_arguments(name: str, width: int | None, backbone_weights: str | None) -> None:
    if not isinstance(name, str):
        raise ParameterError(f"model {name!r} must be a name: {', '.join(MODELS)}, or package.module:callable.")
    check_count("a model's width", width, none=True)
    if backbone_weights is not None:
        check_choice("backbone_weights", backbone_weights, ["imagenet"])
    if ":" in name:
        if backbone_weights:
            raise ParameterError(f"backbone_weights is for the built-in models; let {name} load its own weights.")
    elif name not in MODELS:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), MODELS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ParameterError(
            f"unknown model {name!r}.{hint} Choose one of {', '.join(MODELS)}, or package.module:callable for your own."
        )
    elif name == "unet" and backbone_weights:
        raise ParameterError("unet has no backbone with ImageNet weights: leave backbone_weights out.")
    elif backbone_weights and width not in (None, FULL_WIDTH):
        raise ParameterError(f"ImageNet weights exist for {name} at width {FULL_WIDTH} only, found width={width}.")


def check_model(name: str, width: int | None = None, resolution: int = 64) -> None:
    """Raise :class:`ParameterError` as :func:`build_model` would; only a model of one's own is built for that."""
    _check_arguments(name, width, None)
    if ":" in name:
        _build_third_party(name, width, resolution)


def name_of(model: nn.Module) -> str:
    """The name that :func:`build_model` was given for ``model``; the name of its class where it was built otherwise."""
    return str(model.__dict__.get(_NAME, type(model).__name__))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards the model's training mode is as it was."""
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()
            yield
    finally:
        model.train(was_training)


def forward(model: nn.Module, images: Tensor, layout: torch.memory_format = torch.preserve_format) -> Any:
    """What ``model`` gives for ``images`` [B, 3, H, W], which stay as they are.

    A model may change its input in place (``x -= 0.5``), and images are used again, so it gets a copy: one batch of
    memory, and nothing more where the images are given another ``layout`` anyway.
    """
    return model(images.clone(memory_format=layout))


def model_code_hash(name: str) -> str | None:
    """For ``package.module:callable``, 16 hexadecimal digits over its code; None for our own models.

    The code is that of its module and of all modules of its project that are imported there
    (:mod:`chairlib.core.code`). None also where there is no Python source, as for a model written in C.
    """
    if ":" not in name:
        return None
    try:
        return code_hash(name.partition(":")[0], skip=("chairlib",), parents=True)
    except (ModuleNotFoundError, SyntaxError):
        return None


def count_parameters(model: nn.Module) -> int:
    """The number of trainable and frozen parameters (buffers such as BatchNorm's statistics are not parameters)."""
    return sum(parameter.numel() for parameter in model.parameters())


class UNet(nn.Module):
    """U-Net: four halvings, bilinear upsampling, concatenated skips. 13,395,329 parameters at width 64."""

    def __init__(self, width: int = FULL_WIDTH) -> None:
        super().__init__()
        w = width
        self.stem = _double_convolution(3, w)
        down = [(w, 2 * w), (2 * w, 4 * w), (4 * w, 8 * w), (8 * w, 8 * w)]
        up = [(16 * w, 4 * w), (8 * w, 2 * w), (4 * w, w), (2 * w, w)]
        self.down, self.up = (nn.ModuleList(_double_convolution(*sizes) for sizes in way) for way in (down, up))
        self.classifier = nn.Conv2d(w, 1, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        _check_images(images)
        skips = [self.stem(images)]
        for block in self.down:
            skips.append(block(F.max_pool2d(skips[-1], 2)))
        features = skips.pop()
        for block in self.up:
            skip = skips.pop()
            # Upsampling to the skip's own size keeps features aligned for sizes that are no multiple of 16.
            features = F.interpolate(features, size=skip.shape[-2:], mode="bilinear", align_corners=True)
            features = block(torch.cat([skip, features], dim=1))
        return self.classifier(features)


def _double_convolution(n_in: int, n_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (n_in, n_out):
        layers += [nn.Conv2d(channels, n_out, kernel_size=3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class FCNVGG16(nn.Module):
    """Plain VGG-16 features, and five transposed convolutions back up; all but the last are added to VGG features."""

    def __init__(self, width: int = FULL_WIDTH) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.stages = nn.ModuleList(
            _vgg_stage(n_in, n_out, depth)
            for n_in, n_out, depth in zip([3, *channels], channels, (2, 2, 3, 3, 3), strict=False)
        )
        # Each goes up to the channels of the pooled features before; the last, at full size, has half the width.
        up_channels = [*channels[::-1][1:], max(1, width // 2)]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(n_in, n_out, kernel_size=3, stride=2, padding=1)
            for n_in, n_out in zip(channels[::-1], up_channels, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(n_out) for n_out in up_channels)
        self.classifier = nn.Conv2d(up_channels[-1], 1, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        _check_images(images)
        sizes, pooled = [], []
        features = images
        for stage in self.stages:
            sizes.append(features.shape[-2:])
            features = stage(features)
            pooled.append(features)
        features = pooled.pop()
        for up, norm in zip(self.up, self.norms, strict=True):
            features = norm(F.relu(up(features, output_size=sizes.pop())))
            if pooled:
                features = features + pooled.pop()
        return self.classifier(features)


def _vgg_stage(n_in: int, n_out: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in [n_in] + [n_out] * (depth - 1):
        convolution = nn.Conv2d(channels, n_out, kernel_size=3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        layers += [convolution, nn.ReLU(inplace=True)]
    # Rounding up loses no row of an odd size, so that a stride-2 transposed convolution can restore every size exactly.
    return nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True))


class _NarrowResNet(torchvision.models.ResNet):
    """torchvision's dilated ResNet, with ``width`` channels where it has 64 and all others in proportion."""

    def __init__(self, depth: str, width: int) -> None:
        self.width = width
        blocks = {"50": [3, 4, 6, 3], "101": [3, 4, 23, 3]}[depth]
        dilated = [False, True, True]
        super().__init__(torchvision.models.resnet.Bottleneck, blocks, replace_stride_with_dilation=dilated)
        del self.avgpool, self.fc  # of a classifier

    def _make_layer(self, block: Any, planes: int, *args: Any, **options: Any) -> nn.Sequential:
        if planes == FULL_WIDTH:  # the first stage: what comes before it is made by now, at full width
            self.inplanes = self.width
            self.conv1 = nn.Conv2d(3, self.width, kernel_size=7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(self.width)
        return super()._make_layer(block, planes * self.width // FULL_WIDTH, *args, **options)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        return {"out": self.layer4(self.layer3(self.layer2(self.layer1(features))))}


class FCNResNet(torchvision.models.segmentation.FCN):
    """torchvision's FCN on a dilated ResNet (stride 8), with its output, at the input's size, as a plain tensor."""

    def forward(self, images: Tensor) -> Tensor:
        _check_images(images)
        return super().forward(images)["out"]


def _load_imagenet(name: str, backbone: nn.Module, all_weights: Any) -> None:
    weights = all_weights.IMAGENET1K_V1
    try:
        # `weights_only` keeps torch from unpickling anything but tensors.
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        kept = {key: value for key, value in state.items() if not key.startswith(("fc.", "classifier."))}
        backbone.load_state_dict({key.removeprefix("features."): value for key, value in kept.items()})
    except Exception as error:
        file = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
        raise ChairlibError(
            f"the ImageNet weights of {name} could not be loaded ({type(error).__name__}: {_one_line(error)}). "
            f"Tried {file}, then {weights.url}. Without a network, put the file there yourself, or leave "
            "backbone_weights out (the recipe 'paper' starts from random weights)."
        ) from error


def _build_third_party(name: str, width: int | None, resolution: int) -> nn.Module:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ParameterError(
            f"model {name}: importing {module_name!r} failed ({type(error).__name__}: {_one_line(error)}). Models of "
            "one's own are named package.module:callable; go to the folder that the package is in, put that folder on "
            "PYTHONPATH, or install the package."
        ) from error
    factory = getattr(module, attribute, None)
    if factory is None:
        raise ParameterError(f"model {name}: module {module_name!r} has no {attribute!r}.")
    if not callable(factory):
        raise ParameterError(f"model {name}: {attribute!r} is of type {type(factory).__name__} and cannot be called.")
    options = {} if width is None else {"width": width}
    try:
        model = factory(**options)
    except Exception as error:
        call = "no arguments" if width is None else f"width={width}"
        raise ParameterError(
            f"model {name} failed when called with {call}: {type(error).__name__}: {_one_line(error)}."
        ) from error
    if not isinstance(model, nn.Module):
        raise ParameterError(f"model {name} returned {_describe(model)}: it must return a torch.nn.Module.")
    try_out(name, model, (resolution, resolution))
    return model


def try_out(name: str, model: nn.Module, size: Sequence[int]) -> None:
    """Refuse a model that cannot be trained or scored, before its training starts; the model stays as it was.

    It is run on two images of ``size`` (height, width) in evaluation mode. Raises ParameterError, which calls it
    ``name``, where that fails or gives anything but one float tensor of logits, one channel of the images' size; where
    nothing can be trained; for TorchScript; and for outputs that are all of one sign whatever the weights are.
    """
    if isinstance(model, torch.jit.ScriptModule):  # its BatchNorm would go unnoticed
        raise ParameterError(f"model {name} is TorchScript, which hides its layers: return the torch.nn.Module itself.")
    device = next(model.parameters(), torch.empty(0)).device
    shape, wanted = [2, 3, *size], [2, 1, *size]
    try:
        with evaluation_mode(model):
            output = model(torch.zeros(shape, device=device))
            stuck = any(layer.training for layer in model.modules() if isinstance(layer, _BatchNorm))
    except Exception as error:
        raise ParameterError(
            f"model {name} failed on float images of shape {shape}: {type(error).__name__}: {_one_line(error)}."
        ) from error
    if not isinstance(output, Tensor) or list(output.shape) != wanted or not output.is_floating_point():
        raise ParameterError(
            f"model {name} returned {_describe(output)} for images of shape {shape}: it must return one float "
            f"tensor of logits, {wanted}."
        )
    if any(map(nn.parameter.is_lazy, model.parameters())):
        raise ParameterError(f"model {name} has lazy layers that no image reaches: leave them out.")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ParameterError(f"model {name} has no parameters to train: make its weights torch.nn.Parameter.")
    if stuck:  # each image's score would depend on the others of its batch
        raise ParameterError(
            f"model {name}: eval() leaves BatchNorm in training mode; call super().train(mode) in train()."
        )
    low, high = _output_range(model, torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device))
    if (low >= 0 and high > 0) or (high <= 0 and low < 0):
        what = "probabilities" if low >= 0 and high <= 1 else "of one sign"
        raise ParameterError(
            f"model {name} must return logits, but its outputs are {what} whatever its weights (from {low:.3g} to "
            f"{high:.3g}): leave out the sigmoid or other function at its end."
        )


def _output_range(model: nn.Module, images: Tensor) -> tuple[float, float]:
    """The least and the greatest output as all weights are drawn anew again and again, until both signs are seen.

    The outputs of the model as it is do not tell probabilities from logits: those of a fresh network may lie in [0, 1]
    by chance, for images of any scale, where its last weights are small or a norm comes before them. But a last layer
    with weights of either sign gives both signs sooner or later, and a sigmoid, softmax, ReLU or logarithm never does.
    Each draw gives either sign about as often as the other, so 24 alike are an accident of one in ten million. Weights
    of several scales, so that no constant in the model outweighs them all; values that overflow do not count.
    """
    kept = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]
    low, high = math.inf, -math.inf
    try:
        with evaluation_mode(model):
            for draw in range(_DRAWS):
                generator = torch.Generator().manual_seed(draw)  # its own: the caller's random numbers go on as before
                for weights in filter(torch.is_floating_point, model.parameters()):
                    fan_in = weights[0].numel() if weights.ndim > 1 and len(weights) else 1
                    drawn = torch.randn(weights.shape, generator=generator) * 10 ** (draw % 3) / max(1, fan_in) ** 0.5
                    weights.copy_(drawn)
                with suppress(Exception):  # a model may refuse weights that it would never have
                    output = forward(model, images)
                    low = min(low, output.nan_to_num(math.inf, math.inf, math.inf).min().item())
                    high = max(high, output.nan_to_num(-math.inf, -math.inf, -math.inf).max().item())
                if low < 0 < high:
                    break
    finally:
        for tensor, values in kept:
            tensor.data.copy_(values)
    return low, high


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor {list(value.shape)}"
    if isinstance(value, dict):
        return f"a {type(value).__name__} with keys {', '.join(map(str, value)) or '(none)'}"
    return f"something of type {type(value).__name__}"


def _one_line(error: Exception) -> str:
    # torch lists every key of a file that does not fit, hundreds of them.
    return textwrap.shorten(str(error), 300, placeholder=" ...").rstrip(".")


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ParameterError(f"models take images of shape [B, 3, H, W], found {list(images.shape)}.")
    if min(images.shape[-2:]) < MIN_SIZE:
        raise ParameterError(
            f"models take images of at least {MIN_SIZE} x {MIN_SIZE} pixels, found {list(images.shape[-2:])}."
        )
