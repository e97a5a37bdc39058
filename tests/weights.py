"""Weights for the tests of the loss landscape: small states, a U-Net that has seen something, and own models."""

import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from chairlib.benchmark.models import build_model
from chairlib.core import paths
from chairlib.core.runs import read_record
from chairlib.core.tensors import load_tensors
from chairlib.landscape.evaluator import Evaluator


def make_state(seed, dtype=torch.float32, size=6):
    """Two layers and a BatchNorm layer, with statistics far larger than the weights."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return {
        "down.0.0.weight": draw(size, 3, 2, 2),
        "down.0.1.weight": draw(size),
        "down.0.1.running_mean": 1e4 * draw(size),
        "down.0.1.running_var": 1e4 * draw(size).abs(),
        "down.0.1.num_batches_tracked": torch.tensor(seed),
        "classifier.weight": draw(1, size),
        "classifier.bias": draw(1),
    }


def recalibrate(model, loader, n_images=None):
    """The model's state with BatchNorm's running statistics estimated anew."""
    return Evaluator(model, {"train": loader}, n_images=n_images).recalibrated(model.state_dict())


def flat(state):
    """All trainable entries of a state as one float64 vector, found independently of the library."""
    kept = [tensor for key, tensor in state.items() if "running" not in key and "num_batches" not in key]
    return torch.cat([tensor.double().flatten() for tensor in kept])


def same(a, b):
    """Whether two states are equal bit for bit, signs of zeros included."""
    return list(a) == list(b) and all(
        a[key].dtype == b[key].dtype and a[key].numpy().tobytes() == b[key].numpy().tobytes() for key in a
    )


def scaled(state, factor):
    return {key: tensor * factor if tensor.is_floating_point() else tensor for key, tensor in state.items()}


def make_unet(seed):
    """A U-Net whose statistics have seen something, and whose masks are mixed: about half of noise is chair to it."""
    torch.manual_seed(seed)
    model = build_model("unet", width=2)
    model.train()
    with torch.no_grad():
        for _ in range(20):
            model(torch.rand(4, 1, 1, 1) * torch.rand(4, 3, 32, 32))
        logits = model.eval()(torch.rand(8, 1, 1, 1) * torch.rand(8, 3, 32, 32))
        model.classifier.bias -= logits.median()
    return model.train()


def loaded(state):
    """A U-Net of width 2 with this state."""
    model = build_model("unet", width=2)
    model.load_state_dict(state)
    return model


def figures_of(evaluation):
    scores = evaluation.scores
    return {"iou": scores.iou, "dice": scores.dice, "precision": scores.precision, "loss": evaluation.loss}


def member_of(analysis, label):
    """The record of one of the models that an analysis is made of."""
    return read_record(paths.runs / analysis.content["members"][label])


def state_of(analysis, label):
    """The weights of one of the models that an analysis is made of."""
    return load_tensors(member_of(analysis, label).file("weights.safetensors"))[0]


def iou_of(table, **where):
    """The one IoU of a table in the row with these values."""
    for name, wanted in where.items():
        table = table[table[name] == wanted]
    assert len(table) == 1
    return table["iou"].item()


# -- models of one's own, which runs name as "weights:<function>" ---


def without_batchnorm(width=2):
    """A model that has nothing to recalibrate."""
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 1))


class Repeated(nn.Module):
    """A convolution that runs twice a pass, with or without two others that run once."""

    def __init__(self, ends):
        super().__init__()
        self.first, self.last = (nn.Conv2d(3, 3, 1), nn.Conv2d(3, 1, 1)) if ends else (None, None)
        self.twice = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, images):
        if self.first is None:
            return self.twice(torch.relu(self.twice(images)))[:, :1]
        return self.last(self.twice(torch.relu(self.twice(self.first(images)))))


def repeated(width=2):
    return Repeated(ends=True)


def only_repeated(width=2):
    return Repeated(ends=False)


def statistics_of_others(width=2):
    """Layers that hold running statistics but are no BatchNorm that could be recalibrated."""
    norms = FrozenBatchNorm2d(width), nn.InstanceNorm2d(width, affine=True, track_running_stats=True)
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), *norms, nn.Conv2d(width, 1, 1))


class Shifted(nn.Module):
    """Makes its input another one before anything else, in place or not; whatever else it is given must be the same."""

    def __init__(self, in_place, width=4):
        super().__init__()
        self.in_place = in_place
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 1, 1)
        )

    def train(self, mode=True):
        super().train(mode)  # and returns nothing, as a method of one's own may

    def forward(self, images):
        if self.in_place:
            images -= 0.5
            images *= 8
        else:
            images = (images - 0.5) * 8
        return self.layers(images)


def in_place(width=4):
    return Shifted(True, width)


def out_of_place(width=4):
    return Shifted(False, width)


class OwnTensors:
    """An image set that hands out its own tensors, already laid out as networks want them."""

    device, groups, name, data_hash = torch.device("cpu"), None, "own tensors", "0" * 16

    def __init__(self, count=12, size=32):
        generator = torch.Generator().manual_seed(0)
        self.masks = torch.zeros(count, 1, size, size)
        self.masks[:, :, 8:20, 8:24] = 1
        noise = torch.rand(count, 3, size, size, generator=generator)
        self.images = (0.5 * noise + 0.4 * self.masks).to(memory_format=torch.channels_last)

    def __len__(self):
        return len(self.images)

    def batch(self, indices):
        chosen = slice(int(indices[0]), int(indices[-1]) + 1)
        return self.images[chosen], self.masks[chosen]

    def spread(self, count):
        return torch.arange(count)


class Tied(nn.Module):
    """Two layers with one weight; the second also has a bias of its own."""

    def __init__(self):
        super().__init__()
        self.head, self.tail = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.Conv2d(3, 3, 3, padding=1)
        self.tail.weight = self.head.weight
        self.last = nn.Conv2d(3, 1, 1)

    def forward(self, images):
        return self.last(torch.relu(self.tail(torch.relu(self.head(images)))))


class Masked(nn.Module):
    """Attention over rows with a mask of infinities, and a layer with spectral norm of either kind."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.triu(torch.full((32, 32), -torch.inf), 1))
        self.first = nn.utils.spectral_norm(nn.Conv2d(3, 4, 3, padding=1))
        self.last = nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 1, 1))

    def forward(self, images):
        features = torch.relu(self.first(images))
        return self.last((features @ features.mT + self.mask).softmax(-1) @ features)


class OneSize(nn.Module):
    """Takes images of 32 pixels a side and of no other size."""

    def __init__(self):
        super().__init__()
        self.where, self.last = nn.Parameter(torch.zeros(1, 3, 32, 32)), nn.Conv2d(3, 1, 1)

    def forward(self, images):
        return self.last(images + self.where)


def one_size(width=2):
    return OneSize()


def tied(width=2):
    return Tied()


def masked(width=2):
    return Masked()


class Quarter(nn.Module):
    """As networks of other libraries: a dictionary of two logits, at a quarter of the size."""

    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, 4, stride=4), nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 2, 1)
        )

    def forward(self, images):
        return {"out": self.layers(images)}


def quarter(channels):
    return Quarter(channels)
