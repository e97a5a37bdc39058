"""LR-ASPP on MobileNetV3-Large, of torchvision, from random weights: 3.2 million parameters, a dict of outputs."""

from torch import nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large


def net() -> nn.Module:
    model = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=1)
    for layer in model.modules():
        # Its BatchNorm averages over about 100 batches, for long training; the protocol has 188 steps in all.
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1
    return model
