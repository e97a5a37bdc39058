"""What people's networks return, as logits: what is converted, what is refused, and that training goes through it."""

import copy
import sys
import types
from collections import namedtuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from chairlib.benchmark.adapters import Adapted, adapt, check_trainable
from chairlib.benchmark.evaluation import evaluate, predict
from chairlib.benchmark.models import UNet, check_model, model_code_hash, name_of
from chairlib.benchmark.recipes import get_recipe
from chairlib.benchmark.run import open_run, train
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.benchmark.training import fit
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ParameterError
from chairlib.core.tensors import load_tensors

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
TINY = {"resolution": 32, "images": 64, "val_images": 4, "test_images": 4, "device": "cpu", "precision": "float32"}
Holder = namedtuple("Holder", "loss logits")


class Net(nn.Module):
    """A convolution and what is made of its outputs."""

    def __init__(self, made=lambda found: found, channels=1, in_training=None):
        super().__init__()
        self.layer = nn.Conv2d(3, channels, 3, padding=1)
        self.made, self.in_training = made, in_training or made

    def forward(self, images):
        return (self.in_training if self.training else self.made)(self.layer(images))


def adapted(made, channels=1, **options):
    torch.manual_seed(0)
    net = Net(made, channels).eval()
    return adapt(net, resolution=32, **options), net.layer(IMAGES)


@pytest.mark.parametrize(
    ("made", "channels", "expected"),
    [
        (lambda x: {"out": x, "aux": -x}, 1, lambda x: x),
        (lambda x: {"logits": x}, 1, lambda x: x),
        (lambda x: Holder(None, x), 1, lambda x: x),
        (lambda x: [x], 1, lambda x: x),
        (lambda x: x[:, 0], 1, lambda x: x),
        (lambda x: x, 2, lambda x: x.log_softmax(1).diff(dim=1)),
        (lambda x: x.log_softmax(1), 2, lambda x: x.diff(dim=1)),
        (lambda x: {"out": F.avg_pool2d(x, 4)}, 2, lambda x: enlarged(F.avg_pool2d(x, 4)).diff(dim=1)),
        (lambda x: F.avg_pool2d(x[:, 0], 2), 1, lambda x: enlarged(F.avg_pool2d(x, 2))),
    ],
)
def test_what_models_return_becomes_logits(made, channels, expected):
    model, found = adapted(made, channels)
    assert isinstance(model, Adapted)
    assert not model.training
    torch.testing.assert_close(model(IMAGES), expected(found), atol=1e-5, rtol=1e-5)
    assert list(model.state_dict()) == ["model.layer.weight", "model.layer.bias"]
    assert torch.equal(copy.deepcopy(model)(IMAGES), model(IMAGES))


def enlarged(found):
    return F.interpolate(found, size=(32, 32), mode="bilinear", align_corners=False)


def test_probabilities_become_logits_by_choice():
    one, found = adapted(torch.sigmoid, outputs="probabilities")
    torch.testing.assert_close(one(IMAGES), found, atol=1e-4, rtol=1e-4)
    two, found = adapted(lambda x: x.softmax(1), 2, outputs="probabilities")
    torch.testing.assert_close(two(IMAGES), found.diff(dim=1), atol=1e-4, rtol=1e-4)
    sure, _ = adapted(lambda x: torch.sigmoid(1000 * x), outputs="probabilities")
    assert 15 < sure(IMAGES).abs().max() < 17


def test_images_are_normalised_as_imagenet_networks_expect():
    model, _ = adapted(lambda x: x, normalise="imagenet")
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    assert torch.equal(model(IMAGES), model.model((IMAGES - mean) / deviation))
    assert list(model.state_dict()) == ["model.layer.weight", "model.layer.bias"]


def test_what_needs_nothing_is_the_very_same_object():
    net = Net()
    assert adapt(net) is net
    assert adapt(net, name="mine") is net
    assert name_of(net) == "mine"
    again = adapt(adapt(net, normalise="imagenet"))
    assert isinstance(again, Adapted)
    assert again.model is net


def test_names_classes_factories_and_arguments(monkeypatch):
    made = lambda channels=2: Net(channels=channels)  # noqa: E731
    monkeypatch.setitem(sys.modules, "own_models", types.SimpleNamespace(net=made, Net=Net))
    assert isinstance(adapt("unet", width=2), UNet)
    for model in ("own_models:net", "own_models:Net", Net, made):
        assert isinstance(adapt(model, args={"channels": 1}), Net)
        assert adapt(model, args={"channels": 2}).steps.pair
    assert name_of(adapt("own_models:net")) == "own_models:net"
    assert isinstance(adapt("unet", width=2, normalise="imagenet").model, UNet)


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (
            Net(channels=3),
            {},
            r"a float32 tensor \[2, 3, 64, 64\].*, or two, for background and chair: make it with",
        ),
        (Net(lambda x: {"masks": x}), {}, "a dict with keys masks .*, or a mapping that holds it as out or logits"),
        (Net(lambda x: (x, x)), {}, "returned a tuple of 2 "),
        (Net(lambda x: [3]), {}, r"returned a list of 1 \(first: something of type int\)"),
        (
            Net(lambda x: x[:, :, 1:-1, 1:-1]),
            {},
            r"\[2, 1, 62, 62\].* or smaller ones, height and width divided",
        ),
        (Net(lambda x: F.avg_pool2d(x, (2, 4))), {}, "divided by the same of 2, 4, 8, 16, 32"),
        (Net(lambda x: x > 0), {}, "a bool tensor .* or a mask of 0 and 1 with outputs='probabilities'"),
        (Net(lambda x: x.argmax(1), 2), {}, "an? int64 tensor"),
        (Net(torch.sigmoid), {}, "its outputs are probabilities whatever .*, or say outputs='probabilities'"),
        (Net(lambda x: x.softmax(1), 2), {}, "its outputs are probabilities whatever"),
        (Net(), {"outputs": "probabilities"}, "must return probabilities, as .* its outputs go from -"),
        (Net(channels=2), {"outputs": "probabilities"}, "must return probabilities"),
        (Net(), {"args": {"channels": 1}}, "model Net is a module already, which is not called with channels=1"),
        (Net(), {"outputs": "masks"}, "outputs 'masks' is unknown"),
        (Net(), {"normalise": "mean"}, "normalise 'mean' is unknown"),
        (
            nn.Conv2d,
            {},
            "model Conv2d failed when called with no arguments: TypeError: .*; arguments are given",
        ),
        (3, {}, "model 3 is of type int and cannot be called"),
        ("unet", {"args": {"depth": 3}}, "model_args are for models of one's own; unet has its width alone"),
        (lambda classes: nn.Conv2d(3, classes, 1), {}, "failed on float images .*what makes a network gets its arg"),
        (lambda images: 3 * (images[:, :1] > 0.5).int(), {}, "or a mask of one channel that is 1 where a pixel is ch"),
        (lambda images: images[:, 0], {}, "its outputs are probabilities"),
    ],
)
def test_what_cannot_be_converted_is_refused_in_one_line(model, options, words):
    with pytest.raises(ParameterError, match=words) as error:
        adapt(model, **options)
    assert "\n" not in str(error.value)


def dark(images):
    """A classical method: what is darker than the middle is chair."""
    return images.mean(1, keepdim=True) < 0.5


@pytest.mark.parametrize(
    "method",
    [
        dark,
        lambda images: dark(images)[:, 0].numpy(),
        lambda images: dark(images).long(),
        lambda images: 0.5 - images.mean(1, keepdim=True).double(),
        lambda: dark,
    ],
)
def test_a_function_of_images_can_be_scored_and_not_trained(collection, method):
    model, loader = adapt(method, resolution=32), CompositeLoader(collection, "test", 32, 3, "cpu")
    assert torch.equal(model(IMAGES) > 0, dark(IMAGES))
    assert evaluate(model, loader).scores.iou == evaluate(method, loader).scores.iou > 0
    with pytest.raises(ParameterError, match="has no parameters to train, so it can only be scored"):
        fit(model, loader, loader, "fast")


def test_a_run_of_a_function_of_images_is_refused_before_it_trains(monkeypatch, collection):
    monkeypatch.setitem(sys.modules, "own_models", types.SimpleNamespace(dark=dark, half=lambda x, t: dark(x)))
    with pytest.raises(ParameterError, match="model own_models:dark has no parameters to train"):
        open_run(model="own_models:dark", data=str(collection.root), **TINY)
    check_model(BenchmarkSettings(model="own_models:dark"), trained=False)
    check_model(BenchmarkSettings(model="own_models:half", model_args={"t": 1}), trained=False)


def test_raw_modules_are_adapted_by_every_door(collection):
    """A module is trained in place, and so holds the weights that were chosen."""
    torch.manual_seed(0)
    raw = Net(lambda x: {"out": F.avg_pool2d(x, 4)}, 2)
    train, val = (CompositeLoader(collection, split, 32, 8, "cpu") for split in ("train", "val"))
    before = copy.deepcopy(raw.state_dict())
    result = fit(raw, train, val, "fast", images=32, evaluations=1, progress=False)
    assert not torch.equal(before["layer.weight"], raw.state_dict()["layer.weight"])
    assert evaluate(raw, val).scores.iou == pytest.approx(result.history["val_iou"].iloc[-1])
    assert predict(raw, IMAGES).shape == (2, 1, 32, 32)
    for refused in (nn.Sequential(Net(), nn.Sigmoid()), Net(channels=3)):
        for ask in (lambda model: evaluate(model, val), lambda model: predict(model, IMAGES)):
            with pytest.raises(ParameterError, match="must return"):
                ask(refused)
    with pytest.raises(ParameterError, match=r"fit trains a torch.nn.Module in place, found .*adapt\(\)"):
        fit(Net, train, val, "fast")


def test_a_model_that_returns_something_else_in_training_is_refused(collection):
    train = CompositeLoader(collection, "train", 32, 8, "cpu")
    for made, words in (
        (lambda x: {"out": x}, "model Net returned a tuple of 2, but something else in evaluation mode"),
        (lambda x: x, "model Net returned something else in training mode than the logits that it gives in evaluation"),
    ):
        net = Net(made, in_training=lambda x: (x, x))
        with pytest.raises(ParameterError, match=words):
            fit(net, train, train, "fast", images=16, progress=False)


def test_frozen_weights_are_scored_and_not_trained():
    frozen = adapt(Net(channels=2).requires_grad_(False))
    with pytest.raises(ParameterError, match="model Net has no parameters to train"):
        check_trainable(frozen)


def test_the_same_code_has_the_same_score_whatever_its_name(collection, own_runs, tmp_path, monkeypatch):
    (tmp_path / "same_unet.py").write_text("from chairlib.benchmark.models import UNet as net\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    asked = {"data": str(collection.root), "width": 2, **TINY}
    records = [train(open_run(model=model, **asked), progress=False) for model in ("unet", "same_unet:net")]
    ours, own = (load_tensors(record.file("weights.safetensors"))[0] for record in records)
    assert ours.keys() == own.keys()
    assert all(torch.equal(ours[key], own[key]) for key in ours)
    assert records[0].metrics == records[1].metrics
    assert records[0].name != records[1].name


def test_a_run_takes_arguments_and_conversions_and_is_read_back(collection, own_runs, tmp_path, monkeypatch):
    (tmp_path / "my_one_file_model.py").write_text(
        "from torch import nn\n\n\ndef net(channels, act='relu'):\n    return nn.Conv2d(3, channels, 3, padding=1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    asked = {"model": "my_one_file_model:net", "normalise": "imagenet", "data": str(collection.root), **TINY}
    args = {"channels": 2, "act": "gelu"}
    record = train(open_run(model_args=args, **asked), progress=False)
    assert set(load_tensors(record.file("weights.safetensors"))[0]) == {"model.weight", "model.bias"}
    assert record.settings.model_args == args
    assert open_run(model_args=args, **asked).record.content == record.content
    assert open_run(model_args={**args, "act": "relu"}, **asked).record is None


def test_a_comment_in_a_model_makes_no_new_run(tmp_path, monkeypatch, collection):
    file = tmp_path / "commented_model.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    code = "from torch import nn\n\n\ndef net():\n    return nn.Conv2d(3, 1, 1)\n"
    texts = code, "# Mine.\n" + code.replace("():", '():\n    """A layer."""').replace("1)", "1)  # one channel")
    names, hashes = set(), set()
    for text in (*texts, code.replace("1, 1", "1, 3, padding=1")):
        file.write_text(text)
        names.add(open_run(model="commented_model:net", data=str(collection.root), **TINY).name)
        hashes.add(model_code_hash("commented_model:net"))
    assert len(names) == len(hashes) == 2
    assert None not in hashes


# -- networks of other libraries: the extra `models` -------------------------------------------------------------------


def of_smp():
    smp = pytest.importorskip("segmentation_models_pytorch")
    return smp.Unet("resnet18", encoder_weights=None, classes=1)


def of_torchvision(name, classes):
    from torchvision.models import segmentation

    return getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=classes)


class OnTimm(nn.Module):
    """A head on the features of a timm encoder: logits of a quarter of the size."""

    def __init__(self):
        super().__init__()
        timm = pytest.importorskip("timm")
        self.encoder = timm.create_model("mobilenetv3_small_050", pretrained=False, features_only=True)
        self.head = nn.Conv2d(self.encoder.feature_info.channels()[1], 1, 1)

    def forward(self, images):
        return self.head(self.encoder(images)[1])


def of_transformers(labels):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_sizes": [8, 8, 16, 16], "depths": [1] * 4, "num_attention_heads": [1] * 4}
    config = transformers.SegformerConfig(**sizes, decoder_hidden_size=8, num_labels=labels)
    return transformers.SegformerForSemanticSegmentation(config)


LIBRARIES = {
    "smp": (of_smp, set()),
    "lraspp": (lambda: of_torchvision("lraspp_mobilenet_v3_large", 1), {"entry"}),
    "lraspp, two": (lambda: of_torchvision("lraspp_mobilenet_v3_large", 2), {"entry", "pair"}),
    "deeplabv3": (lambda: of_torchvision("deeplabv3_mobilenet_v3_large", 1), {"entry"}),
    "deeplabv3, two": (lambda: of_torchvision("deeplabv3_mobilenet_v3_large", 2), {"entry", "pair"}),
    "timm": (OnTimm, {"enlarge"}),
    "segformer": (lambda: of_transformers(1), {"entry", "enlarge"}),
    "segformer, two": (lambda: of_transformers(2), {"entry", "enlarge", "pair"}),
}


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.filterwarnings("ignore")
def test_networks_of_other_libraries_are_trained_and_scored(name, collection):
    torch.manual_seed(0)
    make, steps = LIBRARIES[name]
    network = make()
    model = adapt(network, normalise="imagenet", resolution=64)
    assert {step for step, is_done in vars(model.steps).items() if is_done} == {"normalise", *steps}
    loaders = {split: CompositeLoader(collection, split, 64, 8, "cpu") for split in ("train", "val", "test")}
    recipe = get_recipe("fast", "*", batch_size=8, half_until=0.0)
    before = copy.deepcopy(network.state_dict())
    result = fit(model, loaders["train"], loaders["val"], recipe, images=16, evaluations=1, progress=False)
    assert result.images_seen == 16
    assert any(not torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert 0 <= evaluate(model, loaders["test"]).scores.precision <= 100
