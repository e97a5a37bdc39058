"""One training step, and batches at half the resolution."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from chairlib.benchmark.models import build_model
from chairlib.benchmark.recipes import Recipe
from chairlib.benchmark.steps import Stepper, halve, takes_half

RECIPE = Recipe("r", "sgd", 0.1, 1)


@given(st.integers(1, 3), st.integers(16, 67), st.booleans())
def test_half_a_batch_is_half_its_size_and_no_label_is_invented(count, side, soft):
    generator = torch.Generator().manual_seed(side)
    images = torch.rand(count, 3, side, side, generator=generator)
    masks = torch.rand(count, 1, side, side, generator=generator)
    masks = masks if soft else (masks > 0.5).float()
    small, labels = halve(images, masks)
    assert small.shape == (count, 3, side // 2, side // 2)
    assert labels.shape == (count, 1, side // 2, side // 2)
    assert set(labels.flatten().tolist()) <= set(masks.flatten().tolist())
    torch.testing.assert_close(small[0, 0, 0, 0], images[0, 0, :2, :2].mean())


def test_masks_stay_in_place():
    masks = torch.zeros(1, 1, 64, 64)
    masks[..., 16:48, 8:24] = 1
    _, labels = halve(torch.zeros(1, 3, 64, 64), masks)
    expected = torch.zeros(1, 1, 32, 32)
    expected[..., 8:24, 4:12] = 1
    assert torch.equal(labels, expected)


class OneSize(nn.Conv2d):
    def forward(self, images):
        if images.shape[-1] != 64:
            raise ValueError("made for 64 pixels")
        return super().forward(images)


class WrongSize(nn.Conv2d):
    def forward(self, images):
        return super().forward(images)[..., :64, :64] if images.shape[-1] == 64 else super().forward(images)[..., :9]


@pytest.mark.parametrize(
    ("model", "resolution", "takes"),
    [
        (build_model("unet", 2), 64, True),
        (build_model("unet", 2), 48, False),  # 24 pixels are fewer than our models take
        (nn.Conv2d(3, 1, 1), 48, True),
        (OneSize(3, 1, 1), 64, False),
        (WrongSize(3, 1, 1), 64, False),
    ],
)
def test_models_are_asked_whether_they_take_half(model, resolution, takes):
    images, masks = torch.rand(1, 3, resolution, resolution), torch.zeros(1, 1, resolution, resolution)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert takes_half(model.train(), images, masks) is takes
    assert model.training
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_a_step_goes_down_the_gradient_of_the_loss():
    torch.manual_seed(0)
    model = nn.Conv2d(3, 1, 1)
    before = [weight.detach().clone() for weight in model.parameters()]
    images, masks = torch.rand(2, 3, 8, 8), torch.ones(2, 1, 8, 8)
    logits = model(images)
    expected = nn.functional.binary_cross_entropy_with_logits(logits, masks)
    gradients = torch.autograd.grad(expected, list(model.parameters()))
    loss = Stepper(model, RECIPE, torch.float32)(images, masks, 0.25)
    assert loss.item() == pytest.approx(expected.item())
    assert not loss.requires_grad
    for weight, start, gradient in zip(model.parameters(), before, gradients, strict=True):
        torch.testing.assert_close(weight, start - 0.25 * gradient)
