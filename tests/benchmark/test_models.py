"""The four models: the paper's sizes, any image from 32 pixels up, gradients in every parameter, clear errors."""

import functools
import sys
import types
import urllib.error

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from chairlib.benchmark.adapters import adapt
from chairlib.benchmark.models import MODELS, UNet, build_model, check_model, count_parameters, model_of
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.vision import torchvision

SMALL = {"unet": 2, "fcn_vgg16": 2, "fcn_resnet50": 2, "fcn_resnet101": 2}


@functools.cache
def on_meta(name, width=None):
    with torch.device("meta"):
        return build_model(name, width)


def own_model(monkeypatch, **attributes):
    monkeypatch.setitem(sys.modules, "own_models", types.SimpleNamespace(**attributes))


def test_unet_has_the_papers_number_of_parameters():
    assert count_parameters(on_meta("unet")) == 13_395_329


def test_vgg16_is_torchvisions_features_plus_the_way_up():
    with torch.device("meta"):
        features = count_parameters(torchvision.models.vgg16(weights=None).features)
    up = [(512, 512), (512, 256), (256, 128), (128, 64), (64, 32)]
    way_up = sum(9 * n_in * n_out + 3 * n_out for n_in, n_out in up) + 32 + 1
    assert count_parameters(on_meta("fcn_vgg16")) == features + way_up == 18_643_713


@pytest.mark.parametrize("name", ["fcn_resnet50", "fcn_resnet101"])
def test_resnets_are_torchvisions_with_one_channel_and_no_auxiliary_head(name):
    with torch.device("meta"):
        build = getattr(torchvision.models.segmentation, name)
        reference = build(weights=None, weights_backbone=None, num_classes=1, aux_loss=False)
        model = build_model(name)
    assert {k: v.shape for k, v in model.state_dict().items()} == {
        k: v.shape for k, v in reference.state_dict().items()
    }


@pytest.mark.parametrize(
    ("name", "at_16"),
    [("unet", 839_777), ("fcn_vgg16", 1_166_913), ("fcn_resnet50", 2_071_185), ("fcn_resnet101", 3_267_985)],
)
def test_a_width_scales_all_channels(name, at_16):
    narrow, full = on_meta(name, 16), on_meta(name)
    assert count_parameters(narrow) == at_16
    shapes = zip(narrow.state_dict().items(), full.state_dict().items(), strict=True)
    for (key, small), (same_key, large) in shapes:
        assert key == same_key
        # Kernels, the images' three channels and the one of logits are no channels that a width scales.
        channels = [(a, b) for a, b in zip(small.shape[:2], large.shape[:2], strict=True) if b not in (1, 3)]
        assert all(b == 4 * a for a, b in channels), key


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [(32, 32), (33, 33), (50, 50), (64, 64), (96, 96), (100, 100), (37, 61)])
def test_logits_have_the_images_size(name, size):
    logits = on_meta(name, SMALL[name]).eval()(torch.zeros(2, 3, *size, device="meta"))
    assert logits.shape == (2, 1, *size)


@pytest.mark.parametrize("name", ["unet", "fcn_vgg16", "fcn_resnet50"])
@pytest.mark.parametrize("size", [32, 45])
def test_gradients_reach_every_parameter(name, size):
    torch.manual_seed(0)
    model = build_model(name, SMALL[name] and 4)
    logits = model(torch.rand(2, 3, size, size))
    nn.functional.binary_cross_entropy_with_logits(logits, torch.rand(logits.shape).round()).backward()
    assert logits.isfinite().all()
    assert [k for k, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    if name != "fcn_vgg16":  # so narrow, some of its ReLUs are dead from the start
        assert [k for k, p in model.named_parameters() if "bias" not in k and not p.grad.any()] == []


@pytest.mark.parametrize("name", ["unet", "fcn_vgg16"])
def test_a_few_steps_fit_one_image(name):
    torch.manual_seed(0)
    images, masks = torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    masks[:, :, 8:24, 4:20] = 1
    images = 0.5 * images + 0.5 * masks
    model = build_model(name, 8)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = nn.functional.binary_cross_entropy_with_logits(model(images), masks)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.35 * losses[0]


@pytest.mark.parametrize("name", ["unet", "fcn_vgg16"])
def test_width_scales_every_layer(name):
    assert build_model(name, 1)(torch.rand(2, 3, 32, 32)).shape == (2, 1, 32, 32)
    narrow, wide = on_meta(name, 16), on_meta(name, 32)
    for (key, a), b in zip(narrow.named_parameters(), wide.parameters(), strict=True):
        for n, m in zip(a.shape, b.shape, strict=True):
            assert m == 2 * n or m == n in (1, 3), key


def test_unet_equals_a_plain_statement_of_itself_where_sizes_divide():
    torch.manual_seed(0)
    model, x = UNet(4), torch.rand(2, 3, 32, 32)
    pool, up = nn.MaxPool2d(2), nn.UpsamplingBilinear2d(scale_factor=2)
    x1 = model.stem(x)
    x2 = model.down[0](pool(x1))
    x3 = model.down[1](pool(x2))
    x4 = model.down[2](pool(x3))
    y = model.down[3](pool(x4))
    for block, skip in zip(model.up, (x4, x3, x2, x1), strict=True):
        y = block(torch.cat([skip, up(y)], 1))
    torch.testing.assert_close(model(x), model.classifier(y))
    assert {layer.padding_mode for layer in model.modules() if isinstance(layer, nn.Conv2d)} == {"zeros"}


def test_vgg16_adds_pooled_features_where_sizes_divide():
    torch.manual_seed(0)
    model, x = build_model("fcn_vgg16", 4), torch.rand(2, 3, 64, 64)
    pools = [x]
    for stage in model.stages:
        pools.append(stage(pools[-1]))
    y = pools[5]
    for i, skip in enumerate([pools[4], pools[3], pools[2], pools[1], None]):
        up = model.up[i]
        y = nn.functional.conv_transpose2d(y, up.weight, up.bias, stride=2, padding=1, output_padding=1)
        y = model.norms[i](y.relu())
        y = y if skip is None else y + skip
    torch.testing.assert_close(model(x), model.classifier(y))


@pytest.mark.parametrize("name", ["unet", "fcn_vgg16", "fcn_resnet50"])
@pytest.mark.parametrize(
    ("shape", "words"), [((1, 3, 31, 64), "31, 64"), ((1, 1, 64, 64), "1, 1, 64, 64"), ((3, 64, 64), "3, 64, 64")]
)
def test_images_that_are_too_small_or_not_rgb_are_refused(name, shape, words):
    with pytest.raises(ParameterError, match=words):
        on_meta(name, SMALL[name])(torch.zeros(shape, device="meta"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "u-net"}, "Did you mean 'unet'"),
        ({"name": "fcn_resnet5"}, "Did you mean 'fcn_resnet50'"),
        ({"name": "segformer"}, "fcn_vgg16"),
        ({"name": "unet", "width": 0}, "0"),
        ({"name": "unet", "width": 2.5}, "2.5"),
        ({"name": "fcn_resnet50", "width": 0}, "0"),
        ({"name": "unet", "backbone_weights": "imagenet"}, "no backbone"),
        ({"name": "fcn_vgg16", "width": 16, "backbone_weights": "imagenet"}, "width 64"),
        ({"name": "fcn_resnet50", "width": 16, "backbone_weights": "imagenet"}, "width 64"),
        ({"name": "fcn_resnet50", "backbone_weights": "coco"}, "'coco'"),
    ],
)
def test_names_and_widths_that_do_not_exist_are_refused(arguments, words):
    with pytest.raises(ParameterError, match=words):
        build_model(**arguments)


@pytest.mark.parametrize("name", ["fcn_vgg16", "fcn_resnet50", "fcn_resnet101"])
def test_imagenet_weights_that_cannot_be_fetched_are_one_clear_line(name, monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        ChairlibError, match=r"ImageNet weights of fcn_.*no network.*\.pth.*put the file there"
    ) as error:
        build_model(name, backbone_weights="imagenet")
    assert "\n" not in str(error.value)


def test_imagenet_weights_reach_the_backbone(monkeypatch, tmp_path):
    source = torchvision.models.resnet50(weights=None).state_dict()
    save_as_downloaded(source, "resnet50", monkeypatch, tmp_path)
    ours = build_model("fcn_resnet50", backbone_weights="imagenet").backbone.state_dict()
    assert len(ours) == len(source) - 2  # all but the classifier
    assert all(torch.equal(value, source[key]) for key, value in ours.items())


def test_imagenet_weights_reach_vgg16_in_order(monkeypatch, tmp_path):
    with torch.device("meta"):
        features = torchvision.models.vgg16(weights=None).features.to_empty(device="cpu")
    for value, parameter in enumerate(features.parameters()):
        nn.init.constant_(parameter, value)
    state = {f"features.{key}": value for key, value in features.state_dict().items()} | {
        "classifier.0.weight": torch.ones(1)
    }
    save_as_downloaded(state, "vgg16", monkeypatch, tmp_path)
    model = build_model("fcn_vgg16", backbone_weights="imagenet")
    assert [p.unique().tolist() for p in model.stages.parameters()] == [[value] for value in range(26)]


def test_imagenet_weights_are_never_unpickled(monkeypatch, tmp_path):
    save_as_downloaded({"conv1.weight": Trap(str(tmp_path / "sprung"))}, "resnet50", monkeypatch, tmp_path)
    with pytest.raises(ChairlibError, match="could not be loaded"):
        build_model("fcn_resnet50", backbone_weights="imagenet")
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Pickled, it creates a file when somebody unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_file_of_other_weights_is_refused(monkeypatch, tmp_path):
    save_as_downloaded({"conv1.weight": torch.ones(1)}, "resnet50", monkeypatch, tmp_path)
    with pytest.raises(ChairlibError, match="could not be loaded") as error:
        build_model("fcn_resnet50", backbone_weights="imagenet")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 800


def save_as_downloaded(state, builder, monkeypatch, tmp_path):
    weights = torchvision.models.get_model_weights(builder).IMAGENET1K_V1
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(state, tmp_path / "hub" / "checkpoints" / weights.url.rpartition("/")[2])


def test_a_model_of_ones_own_is_built_by_name(monkeypatch):
    own_model(
        monkeypatch, net=lambda width=5: nn.Sequential(nn.Conv2d(3, width, 1), nn.Dropout(), nn.Conv2d(width, 1, 1))
    )
    assert build_model("own_models:net")[0].out_channels == 5
    model = build_model("own_models:net", width=7)
    assert model[0].out_channels == 7
    assert model.training


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_package:net", "importing 'no_such_package' failed"),
        (":net", "failed"),
        ("own_models:missing", "no 'missing'"),
        ("own_models:number", "number is of type int"),
        ("own_models:broken", "called with no arguments: ValueError: out of order"),
        ("own_models:text", "returned something of type str"),
        ("own_models:cropped", r"float32 tensor \[2, 1, 62, 62\]"),
        ("own_models:labels", r"int64 tensor \[2, 1, 64, 64\]"),
        ("own_models:dictionary", "dict with keys out, aux"),
        ("own_models:grey", r"failed on float images of shape \[2, 3, 64, 64\]"),
    ],
)
def test_a_model_of_ones_own_that_will_not_do_is_refused(name, words, monkeypatch):
    class Dictionary(nn.Module):
        def forward(self, images):
            return {"out": images, "aux": images}

    class Labels(nn.Module):
        def forward(self, images):
            return images[:, :1].long()

    def broken():
        raise ValueError("out of\norder")

    own_model(
        monkeypatch,
        number=3,
        broken=broken,
        text=lambda: "unet",
        cropped=lambda: nn.Conv2d(3, 1, 3),
        labels=Labels,
        dictionary=Dictionary,
        grey=lambda: nn.Conv2d(1, 1, 1),
    )
    with pytest.raises(ParameterError, match=words) as error:
        build_model(name)
    assert "\n" not in str(error.value)


def test_a_model_of_ones_own_loads_its_own_weights(monkeypatch):
    own_model(monkeypatch, net=lambda: nn.Conv2d(3, 1, 1))
    with pytest.raises(ParameterError, match="load its own weights"):
        build_model("own_models:net", backbone_weights="imagenet")


@pytest.mark.parametrize("name", [5, None, ["unet"]])
def test_a_name_that_is_none(name):
    with pytest.raises(ParameterError, match="must be a name: unet"):
        build_model(name)


@pytest.mark.parametrize("asked", [{"model": "nope"}, {"model_args": {"depth": 3}}, {"model": "torch.nn:Nope"}])
def test_checking_a_model_refuses_what_building_it_does(asked):
    said = []
    for ask in (model_of, check_model):
        with pytest.raises(ParameterError) as caught:
            ask(BenchmarkSettings(**asked))
        said.append(str(caught.value))
    assert said[0] == said[1]


class Ended(nn.Module):
    """A network with a function at its end."""

    def __init__(self, function, bias=None, std=None):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))
        self.function = function
        if bias is not None:
            nn.init.constant_(self.layers[3].bias, bias)
            nn.init.normal_(self.layers[3].weight, std=std)

    def forward(self, images):
        return self.function(self.layers(images))


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (torch.sigmoid, "probabilities"),
        (nn.functional.hardsigmoid, "probabilities"),
        (lambda logits: logits.clamp(0, 1), "probabilities"),
        (lambda logits: torch.cat([logits, -logits], 1).softmax(1)[:, 1:], "probabilities"),
        (lambda logits: logits.softmax(1), "probabilities"),
        (torch.relu, "of one sign"),
        (nn.functional.softplus, "of one sign"),
        (nn.functional.logsigmoid, "of one sign"),
    ],
)
@pytest.mark.parametrize("start", [{}, {"bias": 0.0, "std": 0.0}])
def test_outputs_that_are_no_logits_are_refused(function, what, start, monkeypatch):
    own_model(monkeypatch, net=lambda: Ended(function, **start))
    with pytest.raises(ParameterError, match=f"must return logits, but its outputs are {what} whatever") as error:
        check_model(BenchmarkSettings(model="own_models:net"))
    assert "\n" not in str(error.value)


class Bias(nn.Module):
    """One logit for all pixels of all images."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, images):
        return self.bias.expand(len(images), 1, *images.shape[-2:])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ended(nn.Identity(), 0.5, 1e-4),  # all outputs of the fresh network lie in [0, 1]
        lambda: Ended(nn.Identity(), 0.0, 0.0),  # all are 0
        lambda: Ended(torch.tanh),
        lambda: Ended(lambda logits: logits - 5),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(1, 4), nn.ReLU(), nn.Conv2d(4, 1, 1, bias=False)),
        lambda: nn.Sequential(nn.LazyConv2d(2, 1), nn.ReLU(), nn.LazyConv2d(1, 1)),
        Bias,
        lambda: build_model("fcn_vgg16", 4),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_logits_are_not_taken_for_probabilities_and_trying_out_leaves_no_trace(make, seed):
    torch.manual_seed(seed)
    model = make()
    before = {key: value.clone() for key, value in model.state_dict().items() if not nn.parameter.is_lazy(value)}
    fresh = [key for key in model.state_dict() if key not in before]
    random = torch.get_rng_state()
    adapt(model, resolution=32)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    assert fresh or torch.equal(random, torch.get_rng_state())
    assert model.training


@given(st.integers(0, 2**31), st.floats(-1, 1), st.sampled_from([0.0, 1e-3, 1.0, 30.0]), st.booleans())
def test_no_network_with_a_free_last_layer_is_refused(seed, bias, std, ended):
    torch.manual_seed(seed)
    model = Ended(torch.sigmoid if ended else nn.Identity(), bias, std)
    if ended:
        with pytest.raises(ParameterError, match="probabilities"):
            adapt(model, resolution=32)
    else:
        adapt(model, resolution=32)


class Stuck(nn.Module):
    """Never leaves training mode."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1))

    def train(self, mode=True):
        pass

    def forward(self, images):
        return self.layers(images)


class Unreached(nn.Conv2d):
    """Has a layer that never learns its size."""

    def __init__(self):
        super().__init__(3, 1, 1)
        self.never = nn.LazyConv2d(1, 1)


class Threshold(nn.Module):
    def forward(self, images):
        return images[:, :1] - 0.5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Threshold, "no parameters to train"),
        (lambda: nn.Conv2d(3, 1, 1).requires_grad_(False), "no parameters to train"),
        (lambda: torch.jit.script(nn.Conv2d(3, 1, 1)), "is TorchScript"),
        (lambda: torch.jit.trace(nn.Conv2d(3, 1, 1), torch.zeros(1, 3, 32, 32)), "is TorchScript"),
        (Stuck, "leaves BatchNorm in training mode"),
        (Unreached, "lazy layers that no image reaches"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_what_cannot_be_trained_is_refused(make, words, monkeypatch):
    own_model(monkeypatch, net=make)
    with pytest.raises(ParameterError, match=words) as error:
        check_model(BenchmarkSettings(model="own_models:net"))
    assert "\n" not in str(error.value)


def test_a_model_of_ones_own_is_tried_out_at_the_resolution_asked_for(monkeypatch):
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.where = nn.Parameter(torch.zeros(1, 3, 40, 40))
            self.layer = nn.Conv2d(3, 1, 1)

        def forward(self, images):
            return self.layer(images + self.where)

    own_model(monkeypatch, net=Fixed)
    assert isinstance(build_model("own_models:net", resolution=40), Fixed)
    check_model(BenchmarkSettings(model="own_models:net", resolution=40))
    with pytest.raises(ParameterError, match=r"failed on float images of shape \[2, 3, 48, 48\]"):
        check_model(BenchmarkSettings(model="own_models:net", resolution=48))
