"""One training step, and batches at half the resolution."""

from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from chairlib.benchmark import steps
from chairlib.benchmark.models import UNet, build_model
from chairlib.benchmark.recipes import Recipe, get_recipe
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


def test_memory_that_runs_out_is_no_model_of_one_size():
    class Hungry(nn.Conv2d):
        def forward(self, images):
            raise torch.OutOfMemoryError("no memory left")

    with pytest.raises(torch.OutOfMemoryError):
        takes_half(Hungry(3, 1, 1), torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64))


class Recorder:
    """Stands for a CUDA graph: notes when one is recorded and replayed, and computes the step anew."""

    made: ClassVar[list[int]] = []
    replayed: ClassVar[list[int]] = []

    def __init__(self, stepper, images, masks):
        assert stepper.optimizer.can_be_recorded
        self.images = images.clone()
        self.made.append(len(images))

    def replay(self, stepper, images, masks):
        self.replayed.append(len(images))
        loss = stepper.gradients(images, masks)
        stepper.optimizer.step()
        return loss


def test_steps_are_recorded_once_a_shape_that_stays(monkeypatch):
    """Of epochs of five batches, the last one smaller, then of another size."""
    monkeypatch.setattr(steps, "_Graph", Recorder)
    monkeypatch.setattr(Recorder, "made", [])
    monkeypatch.setattr(Recorder, "replayed", [])
    torch.manual_seed(0)
    model = build_model("unet", 2)
    stepper = Stepper(model, RECIPE, torch.float32)
    assert not stepper.records  # on a CPU
    stepper.records, stepper.optimizer.can_be_recorded = True, True
    for count in [4, 4, 4, 4, 2] * 3 + [3] * 5:
        stepper(torch.rand(count, 3, 32, 32), torch.zeros(count, 1, 32, 32), 0.01)
    assert Recorder.made == [4, 3]
    assert Recorder.replayed == [4] * (1 + 4 + 4) + [3] * 2


def test_only_our_own_models_are_recorded():
    class Mine(UNet):
        pass

    with torch.device("meta"):
        models = build_model("unet", 2), Mine(2)
    assert not any(Stepper(model, RECIPE, torch.float32).records for model in models)


def test_steps_are_not_recorded_where_bits_must_repeat(monkeypatch):
    weight = SimpleNamespace(requires_grad=True, device=torch.device("cuda", 0))
    model = build_model("unet", 2)
    monkeypatch.setattr(model, "parameters", lambda: [weight])
    monkeypatch.setattr(steps, "Optimizer", lambda *_, **__: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert Stepper(model, RECIPE, torch.float32).records
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert not Stepper(model, RECIPE, torch.float32).records


@pytest.mark.parametrize("name", ["muon", "adamw", "adam"])
def test_a_loaded_optimiser_still_follows_the_rate(name):
    """As on CUDA, where the rate lies on the device: loading a state copies it."""
    recipe = get_recipe("fast", "unet", optimizer=name)
    first, second = (steps.Optimizer(build_model("unet", 2), recipe, recorded=True) for _ in range(2))
    for part, other in zip(second.parts, first.parts, strict=True):
        part.load_state_dict(other.state_dict())
    second.set_rate(0.125)
    rates = [group["lr"] for part in second.parts[-1:] for group in part.param_groups]
    assert [float(rate) for rate in rates] == [0.125] * len(rates)
    assert all(isinstance(rate, torch.Tensor) for rate in rates)
