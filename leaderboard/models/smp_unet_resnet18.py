"""U-Net on a ResNet-18 encoder, of segmentation_models.pytorch, from random weights: 14.3 million parameters."""

import segmentation_models_pytorch as smp
from torch import nn


def net() -> nn.Module:
    return smp.Unet("resnet18", encoder_weights=None, classes=1)
