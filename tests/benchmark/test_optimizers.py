"""Optimisers of recipes: torch's own, and Muon for every weight that is a matrix."""

import pytest
import torch
from torch import nn

from chairlib.benchmark.models import build_model
from chairlib.benchmark.optimizers import Optimizer
from chairlib.benchmark.recipes import OPTIMIZERS, Recipe, get_recipe
from chairlib.core.errors import ParameterError

MUON = Recipe("r", "muon", 0.02, 1, momentum=0.9, weight_decay=0.1)


def train(model, optimizer, steps=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        model.zero_grad(set_to_none=True)
        model(torch.rand(2, 3, 32, 32, generator=generator)).square().mean().backward()
        optimizer.set_rate(0.01 * (step + 1))
        optimizer.step()


def net(layout=torch.contiguous_format):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.Conv2d(5, 1, 1)).to(memory_format=layout)


def test_muon_is_torch_s_on_matrices_and_adamw_on_the_rest():
    ours, theirs = net(), net()
    weight = theirs[0].weight
    matrix = weight.detach().view(5, -1)
    muon = torch.optim.Muon([matrix], 0.02, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    rest = [parameter for parameter in theirs.parameters() if parameter is not weight]
    adamw = torch.optim.AdamW(rest, 0.02, weight_decay=0.1)

    class Both:
        def set_rate(self, rate):
            muon.param_groups[0]["lr"] = adamw.param_groups[0]["lr"] = rate

        def step(self):
            matrix.grad = weight.grad.view(5, -1)
            muon.step()
            adamw.step()

    train(ours, Optimizer(ours, MUON))
    train(theirs, Both())
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_the_layout_of_the_weights_changes_nothing_but_rounding():
    models = [net(), net(torch.channels_last)]
    for model in models:
        train(model, Optimizer(model, MUON))
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=2e-3)  # Muon iterates in bfloat16


@pytest.mark.parametrize("name", ["unet", "fcn_vgg16"])
def test_every_weight_is_changed_once(name):
    model = build_model(name, 2).to(memory_format=torch.channels_last)
    optimizer = Optimizer(model, MUON)
    n_parameters = sum(len(group["params"]) for part in optimizer.parts for group in part.param_groups)
    assert n_parameters == len(list(model.parameters()))
    before = [weight.detach().clone() for weight in model.parameters()]
    train(model, optimizer, steps=1)
    assert not any(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True) if b.grad.any())


class Odd(nn.Module):
    """A weight whose memory has gaps, one that no image reaches, and a frozen one."""

    def __init__(self):
        super().__init__()
        self.gaps = nn.Parameter(torch.rand(4, 12)[:, ::4])
        self.unused, self.frozen = nn.Linear(3, 4), nn.Linear(3, 4)
        self.frozen.requires_grad_(False)

    def forward(self, images):
        return (images.mean((2, 3)) @ self.gaps.T).sum() + self.frozen(images.mean((2, 3))).sum()


def test_odd_weights_do_no_harm():
    model = Odd()
    kept = {name: weight.clone() for name, weight in model.named_parameters()}
    train(model, Optimizer(model, MUON))
    same = {name: torch.equal(kept[name], weight) for name, weight in model.named_parameters()}
    assert same == {name: name != "gaps" for name in kept}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_the_others_are_torch_s(optimizer):
    recipe = get_recipe("fast", "unet", optimizer=optimizer)
    (part,) = Optimizer(net(), recipe).parts
    assert type(part).__name__.lower() == optimizer
    assert part.param_groups[0]["weight_decay"] == recipe.weight_decay


def test_a_model_of_matrices_alone():
    model = nn.Conv2d(3, 4, 3, bias=False)
    train(model, optimizer := Optimizer(model, MUON))
    assert [type(part).__name__ for part in optimizer.parts] == ["Muon"]


def test_a_model_without_any():
    model = nn.Sequential(nn.Conv2d(3, 1, 1))
    train(model, optimizer := Optimizer(model, MUON))
    assert [type(part).__name__ for part in optimizer.parts] == ["AdamW"]


def test_unknown_ones_are_refused_and_all_others_made():
    with pytest.raises(ParameterError, match="optimizer 'lion' is unknown; use one of adam, adamw, sgd, rmsprop, muon"):
        get_recipe("fast", "unet", optimizer="lion")
    for name in OPTIMIZERS:
        assert Optimizer(net(), get_recipe("fast", "unet", optimizer=name)).parts
