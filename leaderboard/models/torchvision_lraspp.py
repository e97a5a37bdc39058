"""LR-ASPP on MobileNetV3-Large, of torchvision, from random weights: 3.2 million parameters, a dict of outputs."""

from torch import nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large


def net() -> nn.Module:
    return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=1)
