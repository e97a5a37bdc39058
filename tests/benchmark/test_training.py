"""Training: budgets that are kept, early stopping, and resuming to the same bits."""

import errno
import itertools
import json
import math
import random
import signal
import time
from dataclasses import replace

import pandas as pd
import pytest
import safetensors
import torch
from torch import nn

from chairlib.benchmark import training
from chairlib.benchmark.evaluation import evaluate, predict
from chairlib.benchmark.models import UNet, build_model
from chairlib.benchmark.recipes import get_recipe
from chairlib.benchmark.training import fit
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.errors import ChairlibError, ParameterError, RecordError
from chairlib.core.tensors import load_tensors, save_tensors

QUICK = get_recipe("fast", "unet", batch_size=8)


def loaders(collection, recipe=QUICK, seed=0, limit=None):
    train = CompositeLoader(collection, "train", 32, recipe.batch_size, "cpu", flip=recipe.flip, seed=seed, limit=limit)
    return train, CompositeLoader(collection, "val", 32, 16, "cpu")


def small_unet(seed=0):
    torch.manual_seed(seed)
    return build_model("unet", width=2)


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_model_learns(collection):
    model, recipe = build_model("unet", width=8), get_recipe("fast", "unet", batch_size=8)
    train, val = loaders(collection, recipe)
    before = evaluate(model, train).scores.iou
    result = fit(model, train, val, recipe, epochs=8, evaluations=3, progress=False)
    assert result.history["train_loss"].iloc[-1] < result.history["train_loss"].iloc[0] / 1.5
    assert evaluate(model, train).scores.iou > max(before, 50)


@pytest.mark.parametrize(
    ("images", "epochs", "expected"), [(20, None, 24), (8, None, 8), (1, None, 8), (None, 1, 60), (None, 2.0, 120)]
)
def test_budgets_are_counted_in_images(collection, images, epochs, expected):
    train, val = loaders(collection)
    assert train.n_images == 60
    result = fit(small_unet(), train, val, QUICK, images=images, epochs=epochs, evaluations=1, progress=False)
    assert result.images_seen == expected
    assert result.history["images"].tolist() == [expected]


def test_impossible_budgets_are_refused(collection):
    train, val = loaders(collection)
    with pytest.raises(ParameterError, match="both"):
        fit(small_unet(), train, val, QUICK, images=5, epochs=1)
    with pytest.raises(ParameterError, match="at least 1"):
        fit(small_unet(), train, val, QUICK, images=0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"images": float("nan")}, "images nan must be a whole number of at least 1, or None"),
        ({"images": 2.5}, "images 2.5 must be a whole number"),
        ({"epochs": float("inf")}, "epochs inf must be a finite number above 0, or None"),
        ({"epochs": "2"}, "epochs '2' must be a finite number above 0, or None"),
        ({"recipe": None}, "recipe None is unknown; use one of paper, released, fast"),
    ],
)
def test_budgets_and_recipes_that_are_none(collection, wrong, words):
    with pytest.raises(ParameterError, match=words):
        fit(small_unet(), *loaders(collection), **{"recipe": QUICK, "progress": False, **wrong})


def test_evaluations_are_evenly_spread_and_end_the_run(collection):
    train, val = loaders(collection)
    result = fit(small_unet(), train, val, QUICK, images=80, evaluations=5, progress=False)
    assert result.history["images"].tolist() == [24, 40, 56, 68, 84]
    assert result.images_seen == 84


def test_the_same_seed_gives_the_same_bits(collection):
    first, second, other = small_unet(), small_unet(), small_unet()
    for model, seed in ((first, 0), (second, 0), (other, 1)):
        fit(model, *loaders(collection, seed=seed), QUICK, images=48, evaluations=2, seed=seed, progress=False)
    assert same_weights(first, second)
    assert not same_weights(first, other)


class WithDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.Dropout2d(0.5), nn.BatchNorm2d(6), nn.Conv2d(6, 1, 1)
        )

    def forward(self, images):
        return self.net(images)


class Killed(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd", "rmsprop", "adam"])
@pytest.mark.parametrize("steps_before_kill", [1, 5, 9])
def test_an_interrupted_run_ends_with_the_same_bits(collection, tmp_path, monkeypatch, optimizer, steps_before_kill):
    recipe = get_recipe("fast", "unet", batch_size=8, optimizer=optimizer, momentum=0.9)
    for name in ("CHECKPOINT_SECONDS", "SCORING_SECONDS"):  # after every step, and before what is due after it
        monkeypatch.setattr(training, name, -1)
    torch.manual_seed(3)
    start = WithDropout().state_dict()

    def run(checkpoint):
        model = WithDropout()
        model.load_state_dict(start)
        result = fit(
            model,
            *loaders(collection, recipe),
            recipe,
            images=90,
            evaluations=3,
            previews=2,
            checkpoint=checkpoint,
            seed=7,
            progress=False,
        )
        return model, result

    whole_model, whole = run(None)
    save, calls = training.save_tensors, []

    def save_then_die(*arguments):
        save(*arguments)
        calls.append(1)
        if len(calls) == steps_before_kill:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training, "save_tensors", save_then_die)
        with pytest.raises(Killed):
            run(tmp_path / "c.safetensors")
    resumed_model, resumed = run(tmp_path / "c.safetensors")
    assert same_weights(whole_model, resumed_model)
    columns = [name for name in whole.history if "seconds" not in name]
    pd.testing.assert_frame_equal(whole.history[columns], resumed.history[columns], check_exact=True)
    assert {0, 32, 60, 92} <= {*whole.previews["seen"].tolist()}
    assert all(torch.equal(part, resumed.previews[name]) for name, part in whole.previews.items())


def test_previews_show_the_model_at_the_start_at_each_evaluation_and_between_few(collection):
    model, recipe = small_unet(), get_recipe("fast", "unet", batch_size=8, select="last")
    train, val = loaders(collection, recipe)
    images, masks = val.image_set.batch(val.indices[[0, 2, 5]])  # of 8, spread
    untrained = (predict(model, images) * 255).round().byte()
    result = fit(model, train, val, recipe, images=52, evaluations=2, previews=3, progress=False)
    kept = result.previews
    assert result.history["images"].tolist() == [32, 56]
    assert kept["seen"].tolist() == [0, 8, 16, 24, 32, 40, 48, 56]
    assert torch.equal(kept["images"], (images * 255).round().byte())
    assert torch.equal(kept["targets"], (masks * 255).byte())
    assert torch.equal(kept["probabilities"][0], untrained)
    assert torch.equal(kept["probabilities"][-1], (predict(model, images) * 255).round().byte())
    assert not torch.equal(kept["probabilities"][0], kept["probabilities"][-1])


def test_previews_change_nothing_of_training(collection):
    """Dropout draws random numbers, which must be the same ones."""
    ends = []
    for previews in (0, 3):
        torch.manual_seed(3)
        model = WithDropout()
        result = fit(model, *loaders(collection), QUICK, images=48, previews=previews, seed=7, progress=False)
        ends.append((model, result.history.filter(regex="^(?!.*seconds)"), torch.get_rng_state()))
        assert (result.previews is None) == (previews == 0)
    (plain, history, state), (watched, other_history, other_state) = ends
    assert same_weights(plain, watched)
    pd.testing.assert_frame_equal(history, other_history, check_exact=True)
    assert torch.equal(state, other_state)


class RandomAlways(nn.Conv2d):
    """Draws random numbers in evaluation mode too."""

    def forward(self, images):
        return super().forward(images + 0.01 * torch.rand_like(images))


def test_the_time_of_previews_is_time_of_scoring(collection, monkeypatch):
    """Two fits of one budget took as long to train, whether or not someone looked at them meanwhile."""
    looks = []

    def slow(*given):
        looks.append(given)
        time.sleep(0.1)
        return predict(*given)

    monkeypatch.setattr(training, "predict", slow)
    result = fit(small_unet(), *loaders(collection), QUICK, images=48, previews=3, progress=False)
    last = result.history.iloc[-1]
    assert len(looks) >= 3
    assert last["scoring_seconds"] >= 0.1 * len(looks)
    assert result.seconds == pytest.approx(last["seconds"], abs=0.002)
    assert result.seconds >= last["scoring_seconds"]


def test_previews_of_a_model_that_always_draws_random_numbers_change_nothing_either(collection):
    ends = []
    for previews in (0, 3):
        torch.manual_seed(3)
        model = RandomAlways(3, 1, 1)
        fit(model, *loaders(collection), QUICK, images=48, previews=previews, seed=7, progress=False)
        ends.append(model)
    assert same_weights(*ends)


def test_many_evaluations_of_large_images_leave_small_previews_evenly_spread(collection):
    train, val = (CompositeLoader(collection, split, 128, 1, "cpu") for split in ("train", "val"))
    model, recipe = nn.Conv2d(3, 1, 1), get_recipe("fast", "unet", batch_size=1)
    kept = fit(model, train, val, recipe, images=50, evaluations=50, previews=3, progress=False).previews
    seen = kept["seen"].tolist()
    assert len(seen) == 12
    assert (seen[0], seen[-1]) == (0, 50)
    gaps = [after - before for before, after in itertools.pairwise(seen)]
    assert max(gaps) <= 8
    assert sum(part.nbytes for part in kept.values()) < 198_000  # and a header, of less than 2 kB
    images, _ = val.image_set.batch(val.indices[[0, 2, 5]])
    assert torch.equal(kept["images"], (images[..., ::2, ::2] * 255).round().byte())


def test_no_learning_rate_stands_beside_the_start(collection):
    """Before the first step no rate was used: at 0 images its curve would begin with a dive to the warm-up's first."""
    train, val = loaders(collection)
    history = fit(small_unet(), train, val, QUICK, images=32, score_start=True, progress=False).history
    assert history["images"].iloc[0] == 0
    assert math.isnan(history["learning_rate"].iloc[0])
    assert (history["learning_rate"].iloc[1:] > 0).all()


class Signalled(WithDropout):
    """Sends its own process signals in the middle of chosen passes, of training or of scoring."""

    def __init__(self, signum, passes, training):
        super().__init__()
        self.signum, self.passes, self.wanted, self.count = signum, passes, training, 0

    def forward(self, images):
        if self.training == self.wanted:
            self.count += 1
            if self.count in self.passes:
                signal.raise_signal(self.signum)
        return super().forward(images)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("training", "passes"), [(True, {1}), (True, {4}), (True, {7}), (False, {1}), (False, {9})])
def test_a_signal_writes_a_checkpoint_that_leads_to_the_same_bits(collection, tmp_path, signum, training, passes):
    file = tmp_path / "c.safetensors"

    def run(checkpoint, passes=()):
        torch.manual_seed(3)
        model = Signalled(signum, passes, training)
        options = {"images": 60, "evaluations": 2, "previews": 2, "checkpoint": checkpoint, "seed": 7}
        return model, fit(model, *loaders(collection), QUICK, **options, progress=False)

    whole_model, whole = run(None)

    def stop(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signum, stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(file, passes)
        assert signal.getsignal(signum) is stop
    finally:
        signal.signal(signum, before)
    # The interrupted step was finished, and nothing after it is lost.
    if training:
        assert json.loads(load_tensors(file)[1]["state"])["step"] == max(passes)
    model, resumed = run(file)
    assert same_weights(whole_model, model)
    columns = [name for name in whole.history if "seconds" not in name]
    pd.testing.assert_frame_equal(resumed.history[columns], whole.history[columns])


def _without(tensors, metadata, prefix):
    lost = next(name for name in tensors if name.startswith(prefix))
    return {name: tensor for name, tensor in tensors.items() if name != lost}, metadata


DAMAGE = {
    "empty": lambda file: file.write_bytes(b""),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "cut in its head": lambda file: file.write_bytes(file.read_bytes()[:50]),
    "random": lambda file: file.write_bytes(random.Random(0).randbytes(5000)),
    "other content": lambda file: save_tensors(file, {"x": torch.zeros(3)}),
    "no metadata": lambda file: save_tensors(file, load_tensors(file)[0]),
    "broken JSON": lambda file: save_tensors(file, *_change_state(file, lambda text: text[:-5])),
    "no history": lambda file: save_tensors(file, *_change_state(file, lambda text: text.replace("history", "past"))),
    "a weight is missing": lambda file: save_tensors(file, *_without(*load_tensors(file), "model.")),
    "a momentum is missing": lambda file: save_tensors(file, *_without(*load_tensors(file), "optimizer.0.")),
}


def _change_state(file, change):
    tensors, metadata = load_tensors(file)
    return {name: tensor.clone() for name, tensor in tensors.items()}, {**metadata, "state": change(metadata["state"])}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_set_aside_and_training_starts_again(collection, tmp_path, capsys, damage):
    file, aside = tmp_path / "c.safetensors", tmp_path / "c.safetensors.damaged"
    recipe = replace(QUICK, optimizer="adamw", half_until=0)
    whole = small_unet()
    fit(whole, *loaders(collection), recipe, images=16, checkpoint=file, progress=False)
    before = file.read_bytes()
    DAMAGE[damage](file)
    damaged = file.read_bytes()
    assert damaged != before
    again = small_unet()
    result = fit(again, *loaders(collection), recipe, images=16, checkpoint=file, progress=False)
    assert same_weights(whole, again)
    assert result.images_seen == 16
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file} is damaged (")
    assert line.endswith("); it is c.safetensors.damaged now, and training starts again")
    assert aside.read_bytes() == damaged
    assert load_tensors(file)[1]["fingerprint"]


def test_a_checkpoint_that_may_not_be_read_is_left_alone(collection, tmp_path, monkeypatch):
    file = tmp_path / "c.safetensors"
    fit(small_unet(), *loaders(collection), QUICK, images=16, checkpoint=file, progress=False)

    whole = safetensors.safe_open

    def refuse(name, **options):
        if name == str(file):
            raise PermissionError(errno.EACCES, "Permission denied")
        return whole(name, **options)

    monkeypatch.setattr(safetensors, "safe_open", refuse)
    with pytest.raises(ChairlibError, match=r"cannot read .*c\.safetensors .*Permission denied"):
        fit(small_unet(), *loaders(collection), QUICK, images=16, checkpoint=file, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_checkpoint_of_another_run_is_refused(collection, tmp_path):
    file = tmp_path / "c.safetensors"
    fit(small_unet(), *loaders(collection), QUICK, images=16, checkpoint=file, progress=False)
    with pytest.raises(RecordError, match=r"c\.safetensors"):
        fit(small_unet(), *loaders(collection), QUICK, images=24, checkpoint=file, progress=False)
    _, val = loaders(collection)
    other_rooms = CompositeLoader(collection, "train", 32, 8, "cpu", pair_seed=1)
    with pytest.raises(RecordError, match="another run"):
        fit(small_unet(), other_rooms, val, QUICK, images=16, checkpoint=file, progress=False)


def test_a_finished_checkpoint_is_only_read(collection, tmp_path):
    file = tmp_path / "c.safetensors"
    first, second = small_unet(), small_unet(9)
    done = fit(first, *loaders(collection), QUICK, images=16, checkpoint=file, progress=False)
    again = fit(second, *loaders(collection), QUICK, images=16, checkpoint=file, progress=False)
    assert same_weights(first, second)
    assert again.images_seen == done.images_seen


def test_early_stopping_ends_training(collection):
    recipe = get_recipe("paper", "unet", batch_size=8, learning_rate=1e-12, patience=2, epochs=50)
    train, val = loaders(collection, recipe)
    result = fit(small_unet(), train, val, recipe, progress=False)
    assert result.stopped_early
    assert result.images_seen < 50 * train.n_images / 2


@pytest.mark.parametrize("select", ["iou", "loss"])
def test_the_best_weights_on_validation_are_kept(collection, select):
    recipe = get_recipe("paper", "unet", batch_size=8, learning_rate=0.05, select=select, patience=None)
    train, val = loaders(collection, recipe)
    model = small_unet()
    result = fit(model, train, val, recipe, epochs=6, evaluations=6, progress=False)
    history = result.history.set_index("images")
    best = history["val_iou"].idxmax() if select == "iou" else history["val_loss"].idxmin()
    assert result.best_images == best
    now = evaluate(model, val)
    assert now.scores.iou == pytest.approx(history.loc[best, "val_iou"], abs=1e-9)
    assert now.loss == pytest.approx(history.loc[best, "val_loss"])


def test_a_diverging_run_says_so(collection):
    recipe = get_recipe("paper", "unet", batch_size=8, optimizer="sgd", learning_rate=1e30)
    with pytest.raises(ChairlibError, match=r"not finite.*1e\+30"):
        fit(small_unet(), *loaders(collection, recipe), recipe, images=80, progress=False)


@pytest.mark.parametrize("change", [{"optimizer": "lion"}, {"schedule": "cosine"}, {"loss": "dice"}])
def test_unknown_recipe_values_are_refused(collection, change):
    def train():
        recipe = get_recipe("fast", "unet", batch_size=8, **change)
        fit(small_unet(), *loaders(collection, recipe), recipe, images=8, progress=False)

    with pytest.raises(ParameterError, match=next(iter(change.values()))):
        train()


@pytest.mark.parametrize("began", ["float32", "bfloat16"])
def test_a_run_that_goes_on_keeps_the_precision_it_began_with(collection, tmp_path, monkeypatch, began):
    other = {"float32": torch.bfloat16, "bfloat16": torch.float32}[began]

    def run(checkpoint, precision="auto"):
        model = small_unet()
        options = {"images": 48, "evaluations": 2, "checkpoint": checkpoint, "precision": precision}
        return model, fit(model, *loaders(collection), QUICK, **options, progress=False)

    whole, _ = run(None, began)
    save = training.save_tensors

    def save_then_die(*arguments):
        save(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training, "training_dtype", lambda device, precision: getattr(torch, began))
        patch.setattr(training, "save_tensors", save_then_die)
        with pytest.raises(Killed):
            run(tmp_path / "c.safetensors")
    monkeypatch.setattr(training, "training_dtype", lambda device, precision: other)  # another machine
    resumed, result = run(tmp_path / "c.safetensors")
    assert result.precision == began
    assert same_weights(whole, resumed)


def test_precision_is_what_is_asked_for(collection):
    weights = []
    for precision in ("float32", "bfloat16"):
        model = small_unet()
        result = fit(model, *loaders(collection), QUICK, images=16, precision=precision, progress=False)
        assert result.precision == precision
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}
        weights.append(model)
    assert not same_weights(*weights)


class Watched(nn.Conv2d):
    """A convolution that notes the sizes it is trained on, and may take one size only."""

    def __init__(self, one_size=None):
        super().__init__(3, 1, 1)
        self.one_size, self.sizes = one_size, []

    def forward(self, images):
        if self.one_size not in (None, images.shape[-1]):
            raise ValueError("made for one size")
        if torch.is_grad_enabled():
            self.sizes.append(images.shape[-1])
        return super().forward(images)


@pytest.mark.parametrize(("one_size", "expected"), [(None, [32, 32, 64, 64]), (64, [64, 64, 64, 64])])
def test_the_first_images_are_trained_on_at_half_the_resolution(collection, capsys, one_size, expected):
    model = Watched(one_size)
    train, val = (CompositeLoader(collection, split, 64, 8, "cpu") for split in ("train", "val"))
    recipe = get_recipe("fast", "unet", batch_size=8, half_until=0.5)
    result = fit(model, train, val, recipe, images=32, progress=False)
    assert model.sizes == expected
    assert result.half_images == 8 * expected.count(32)
    assert ("Watched takes no images of half the size" in capsys.readouterr().err) == (one_size == 64)


def test_a_last_batch_of_one_is_tried_at_half_the_size_too(collection):
    """32 pixels become one: BatchNorm has several values at 64 pixels, and a single one at 32."""
    model = nn.Sequential(nn.AvgPool2d(32), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1), Enlarge())
    train = CompositeLoader(collection, "train", 64, 8, "cpu", limit=9)
    val = CompositeLoader(collection, "val", 64, 8, "cpu")
    recipe = get_recipe("fast", "unet", batch_size=8, half_until=0.5)
    assert fit(model, train, val, recipe, epochs=4, progress=False).images_seen == 36


class Enlarge(nn.Module):
    def forward(self, features):
        return nn.functional.interpolate(features, scale_factor=32)


def both(collection, **options):
    return (
        CompositeLoader(collection, "train", 32, 8, "cpu", **options),
        CompositeLoader(collection, "val", 32, 8, "cpu"),
    )


def test_a_recipe_s_name_is_enough(collection):
    weights = []
    for recipe in ("fast", get_recipe("fast", "unet")):
        torch.manual_seed(0)
        model = build_model("unet", 2)
        fit(model, *both(collection), recipe, images=16, evaluations=1, progress=False)
        weights.append(model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    with pytest.raises(ParameterError, match="no 'paper' recipe for model 'Conv2d'; use recipe 'fast'"):
        fit(nn.Conv2d(3, 1, 1), *both(collection), "paper", images=16, progress=False)


@pytest.mark.parametrize("evaluations", [0, -1, 1.5, "2"])
def test_a_number_of_evaluations_that_is_none(collection, evaluations):
    with pytest.raises(ParameterError, match=r"evaluations .* must be a whole number of at least 1"):
        fit(build_model("unet", 2), *both(collection), "fast", images=16, evaluations=evaluations, progress=False)


def test_a_batch_larger_than_all_there_is(collection):
    train, val = both(collection, limit=4, drop_last=True)
    with pytest.raises(ParameterError, match="a batch of 8 is more than the 4 training images"):
        fit(build_model("unet", 2), train, val, "fast", images=16, progress=False)


def test_a_validation_split_without_a_chair_is_told_before_training(collection):
    train, val = both(collection)
    val.image_set.segments.zero_()
    model = build_model("unet", 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ParameterError, match="no val image of drawn has 6 object pixels or more"):
        fit(model, train, val, "fast", images=16, progress=False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    # A recipe that doesn't choose by IoU has no use for it.
    fit(model, train, val, get_recipe("fast", "unet", select="last"), images=16, evaluations=1, progress=False)


class Pooled(nn.Module):
    """Has BatchNorm over 1 x 1 features, which it cannot estimate from one image; notes the sizes of its batches."""

    def __init__(self):
        super().__init__()
        self.pixels, self.whole = nn.Conv2d(3, 4, 1), nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.last, self.sizes = nn.Conv2d(4, 1, 1), []

    def forward(self, images):
        if self.training:
            self.sizes.append(len(images))
        whole = self.whole(images.mean((2, 3), keepdim=True))
        return self.last(torch.relu(self.pixels(images) + whole))


def test_a_last_batch_of_one_joins_the_one_before_only_where_the_model_cannot_train_on_it(collection):
    train, val = loaders(collection, limit=17)
    model = Pooled()
    result = fit(model, train, val, QUICK, images=34, evaluations=1, progress=False)
    assert model.sizes == [1, 8, 9, 8, 9]  # the first tries it out
    assert model.whole[1].num_batches_tracked == 4
    assert result.images_seen == 34
    assert not train.join_last
    result = fit(small_unet(), train, val, QUICK, images=34, evaluations=1, progress=False)
    assert result.history["images"].tolist() == [34]
    other = Pooled()
    other.whole[1] = nn.Identity()
    fit(other, train, val, QUICK, images=34, evaluations=1, progress=False)
    assert other.sizes == [1, 1, 8, 8, 1, 8, 8, 1]  # tried at half the size too


def test_trying_out_a_batch_of_one_leaves_no_trace(collection, monkeypatch):
    """Random numbers are drawn, and statistics kept, in training alone."""
    train, val = loaders(collection, limit=9)
    ends = []
    for tried in (True, False):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 1, 1))
        if not tried:
            monkeypatch.setattr("chairlib.benchmark.training.trainable_batches", lambda model, train, recipe: train)
        fit(model, train, val, QUICK, images=9, evaluations=1, seed=5, progress=False)
        ends.append(model)
    assert same_weights(*ends)


@pytest.mark.parametrize(("limit", "batch_size"), [(1, 8), (5, 1)])
def test_one_image_at_a_time_is_refused_where_the_model_cannot_train_on_it(collection, limit, batch_size):
    recipe = get_recipe("fast", "unet", batch_size=batch_size)
    train, val = loaders(collection, recipe, limit=limit)
    with pytest.raises(
        ParameterError, match=rf"images, found {limit}, and a batch_size of 2 or more, found {batch_size}"
    ):
        fit(Pooled(), train, val, recipe, images=8, progress=False)


def test_a_model_that_cannot_be_trained_is_refused_though_no_name_built_it(collection):
    train, val = loaders(collection)
    with pytest.raises(ParameterError, match="model Sequential must return logits"):
        fit(nn.Sequential(nn.Conv2d(3, 1, 1), nn.Sigmoid()), train, val, QUICK, progress=False)


def test_the_same_code_gets_the_same_score_whatever_it_is_called(collection):
    ours, own = build_model("unet", 2), UNet(2)
    own.load_state_dict(ours.state_dict())
    train, val = (CompositeLoader(collection, split, 64, 32, "cpu") for split in ("train", "val"))
    results = [fit(model, train, val, "fast", images=64, progress=False) for model in (ours, own)]
    assert results[0].half_images > 0
    assert same_weights(ours, own)
    assert results[0].history["val_iou"].tolist() == results[1].history["val_iou"].tolist()


def test_a_bar_never_shows_nan(collection, monkeypatch):
    """Neither before the first evaluation, nor where validation IoU is undefined."""
    shown = []

    class Bar:
        n = 0

        def set_postfix(self, figures, refresh):
            shown.append(figures)

        def update(self, n):
            pass

        def close(self):
            pass

    ticks = itertools.count()
    monkeypatch.setattr(training, "progress_bar", lambda **options: Bar())
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(ticks)))  # so that each step is shown
    fit(small_unet(), *loaders(collection), QUICK, images=64, evaluations=2)
    assert list(shown[0]) == ["loss"]
    assert list(shown[-1]) == ["loss", "val_iou"]
    assert not [figures for figures in shown if "nan" in figures.values()]
    shown.clear()
    train, val = loaders(collection)
    monkeypatch.setattr(training, "evaluate", undefined_iou(training.evaluate))
    fit(small_unet(), train, val, replace(QUICK, select="last"), images=64, evaluations=2)
    assert all(list(figures) == ["loss"] for figures in shown)


def undefined_iou(evaluate):
    """Evaluating as on images without an object."""

    def changed(*args):
        found = evaluate(*args)
        return replace(found, scores=replace(found.scores, iou=math.nan))

    return changed
