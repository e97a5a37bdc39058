"""The four models of the benchmark (the paper's section 5), and models of one's own by name.

Every model maps images [B, 3, H, W], float in [0, 1], of any size from 32 x 32 up, to logits [B, 1, H, W]; a pixel is
predicted as chair where its logit is above 0. Where the paper leaves a detail open, it is what the released code does:
U-Net with BatchNorm and bilinear upsampling, a plain VGG-16, and torchvision's dilated ResNets without an auxiliary
head. Weights start at random, PyTorch's defaults, VGG-16 and the ResNets as torchvision initialises them (He
initialisation, without which 13 plain convolutions in a row would not train).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chairlib.benchmark.settings import ModelSettings
from chairlib.core.checks import check_choice, check_count
from chairlib.core.code import code_hash
from chairlib.core.errors import ChairlibError, ParameterError, one_line
from chairlib.core.vision import torchvision

_NAME = "chairlib_name"

#: The names that :func:`build_model` knows.
MODELS = ("unet", "fcn_vgg16", "fcn_resnet50", "fcn_resnet101")
#: The width of the paper's models: channels of the first convolution, to which all others are in proportion.
FULL_WIDTH = 64
#: The smallest height and width in pixels: VGG-16 halves its input five times.
MIN_SIZE = 32


def build_model(
    name: str,
    width: int | None = None,
    backbone_weights: str | None = None,
    resolution: int = 64,
    *,
    args: Mapping[str, Any] | None = None,
    normalise: str | None = None,
    outputs: str = "logits",
) -> nn.Module:
    """Build a model by name.

    name: one of :data:`MODELS`, or `package.module:callable` for a model of one's own, which is called with ``args``
    (and `width=` where one is given); what it returns is adapted, see :func:`chairlib.benchmark.adapters.adapt`.
    width: channels of the first convolution, to which all others are in proportion; 64, the paper's, by default.
    backbone_weights: "imagenet" starts VGG-16 or a ResNet, of full width, from torchvision's ImageNet weights, fetched
    into torch's hub folder where they are missing.
    resolution: pixels a side of the images that a model of one's own is tried out on.
    normalise, outputs: as for ``adapt``.

    Raises ParameterError for a name, width or model that cannot be used, ChairlibError for weights that cannot be had.
    """
    from chairlib.benchmark.adapters import adapt  # which stands on this module

    _check_arguments(name, width, backbone_weights, args)
    options: dict[str, Any] = {"resolution": resolution, "normalise": normalise, "outputs": outputs}
    if ":" in name:
        return adapt(name, args=args, width=width, **options)
    model = _build_ours(name, width, backbone_weights)
    set_name(model, name)
    return adapt(model, name=name, **options) if normalise or outputs != "logits" else model


def model_of(settings: ModelSettings, backbone_weights: str | None = None) -> nn.Module:
    """The model that a run's settings name, untrained, on the CPU. Raises as :func:`build_model` does."""
    terms: dict[str, Any] = {**settings.model_terms(), "resolution": settings.resolution}  # type: ignore[attr-defined]
    name, args = terms.pop("model"), terms.pop("model_args")
    return build_model(name, backbone_weights=backbone_weights, args=args, **terms)


def _build_ours(name: str, width: int | None, backbone_weights: str | None) -> nn.Module:
    model: nn.Module
    if name == "unet":
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
    return model


def _check_arguments(
    name: str, width: int | None, backbone_weights: str | None = None, args: Mapping[str, Any] | None = None
) -> None:
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
    elif args:
        raise ParameterError(f"model_args are for models of one's own; {name} has its width alone, found {args!r}.")
    elif name == "unet" and backbone_weights:
        raise ParameterError("unet has no backbone with ImageNet weights: leave backbone_weights out.")
    elif backbone_weights and width not in (None, FULL_WIDTH):
        raise ParameterError(f"ImageNet weights exist for {name} at width {FULL_WIDTH} only, found width={width}.")


def check_model(settings: ModelSettings, trained: bool = True) -> None:
    """Raise :class:`ParameterError` as :func:`model_of` would, or, where ``trained``, for what can only be scored.

    One of ours that needs no adapting is not built for that.
    """
    from chairlib.benchmark.adapters import check_trainable

    _check_arguments(settings.model, settings.width, args=settings.model_args)
    if ":" in settings.model or settings.outputs != "logits":
        model = model_of(settings)
        if trained:
            check_trainable(model)


def set_name(model: nn.Module, name: str) -> None:
    """Have :func:`name_of` give ``name`` for ``model``, which says that :func:`build_model` or ``adapt`` made it."""
    model.__dict__[_NAME] = name  # a plain attribute; nn.Module's own way of setting one is for modules and tensors


def name_of(model: nn.Module) -> str:
    """The name that ``model`` was given when it was made; the name of its class where it has none."""
    return str(model.__dict__.get(_NAME, type(model).__name__))


def is_made(model: nn.Module) -> bool:
    """Whether :func:`build_model` or ``adapt`` has made ``model``, and so has tried it out."""
    return _NAME in model.__dict__


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
            f"the ImageNet weights of {name} could not be loaded ({type(error).__name__}: {one_line(error)}). "
            f"Tried {file}, then {weights.url}. Without a network, put the file there yourself, or leave "
            "backbone_weights out (the recipe 'paper' starts from random weights)."
        ) from error


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ParameterError(f"models take images of shape [B, 3, H, W], found {list(images.shape)}.")
    if min(images.shape[-2:]) < MIN_SIZE:
        raise ParameterError(
            f"models take images of at least {MIN_SIZE} x {MIN_SIZE} pixels, found {list(images.shape[-2:])}."
        )
