"""What a model costs: operations as counted by hand, memory that was in use, and images a second without validation."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from chairlib.benchmark.cost import flops, measure_cost, peak_memory, reset_peak_memory
from chairlib.benchmark.models import build_model
from chairlib.benchmark.training import Fit

CPU = torch.device("cpu")


def test_a_multiply_add_counts_as_two():
    assert flops(nn.Conv2d(3, 5, 3, padding=1), 8) == 2 * (3 * 3 * 3) * 5 * 8 * 8
    assert flops(nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU()), 8) == 17280


class Tokens(nn.Module):
    """A transformer on the pixels of the image, each a token of 16 channels."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 1)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, images):
        tokens = self.embed(images)
        return self.layer(tokens.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(tokens.shape)[:, :1]


def test_attention_counts_though_torch_computes_it_in_one_fused_layer():
    n, width, hidden = 64, 16, 32
    embedding = n * 3 * width
    projections = 4 * n * width * width
    attention = 2 * n * n * width
    rest = 2 * n * width * hidden
    assert torch.backends.mha.get_fastpath_enabled()
    assert flops(Tokens(), 8) == 2 * (embedding + projections + attention + rest)
    assert torch.backends.mha.get_fastpath_enabled()


def test_counting_leaves_the_model_as_it_was():
    model = build_model("unet", width=2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    counted = flops(model.train(), 32)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert flops(model.eval(), 32) == counted
    assert flops(model, 64) == 4 * counted  # convolutions only


def test_the_peak_of_memory_is_what_was_in_use():
    size = 200_000_000
    reset_peak_memory(CPU)
    before = peak_memory(CPU)
    block = np.ones(size, dtype=np.uint8)
    high = peak_memory(CPU)
    assert before + 0.9 * size < high < before + 1.5 * size
    del block
    assert peak_memory(CPU) == high  # a peak stays


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can count from here on")
def test_the_peak_of_memory_counts_from_its_reset():
    block = np.ones(200_000_000, dtype=np.uint8)
    high = peak_memory(CPU)
    del block
    reset_peak_memory(CPU)
    assert peak_memory(CPU) < high - 100_000_000


def made_up_fit(seconds: float, scoring_seconds: float) -> Fit:
    history = pd.DataFrame({"images": [100, 200], "scoring_seconds": [scoring_seconds / 2, scoring_seconds]})
    return Fit(history, 200, seconds, 200, 200, seconds, False, 0, "float32")


def test_a_cost_has_all_its_parts():
    model = build_model("unet", width=2)
    cost = measure_cost(model, made_up_fit(12.0, 2.0), 500, 4.0, 32)
    assert list(cost) == [
        *("parameters", "flops", "train_images_per_second", "score_images_per_second"),
        *("peak_memory_bytes", "seconds"),
    ]
    assert cost["parameters"] == sum(math.prod(parameter.shape) for parameter in model.parameters())
    assert cost["flops"] == flops(model, 32)
    assert cost["train_images_per_second"] == 20  # 200 images in 12 seconds less 2 of validation
    assert cost["score_images_per_second"] == 125
    assert cost["peak_memory_bytes"] > 50_000_000
    assert cost["seconds"] == 12


def test_what_was_not_measured_is_none():
    class Threshold(nn.Module):
        def forward(self, images):
            return images.mean(1, keepdim=True) - 0.5

    cost = measure_cost(Threshold(), None, 500, 0.0, 32)
    assert (cost["parameters"], cost["flops"]) == (0, 0)
    assert cost["train_images_per_second"] is cost["score_images_per_second"] is cost["seconds"] is None
    assert measure_cost(Threshold(), made_up_fit(2.0, 2.0), 500, 1.0, 32)["train_images_per_second"] is None
