"""Weights of other origins: read without running any code, fitted by name, refused in one line."""

import pickle

import pytest
import torch

from chairlib.benchmark.models import build_model
from chairlib.benchmark.weights import AS_BUILT, load_weights, weights_digest
from chairlib.core.errors import ParameterError
from chairlib.core.tensors import save_tensors


def small(seed=0):
    torch.manual_seed(seed)
    return build_model("unet", width=2)


def same(one, other):
    return all(torch.equal(one.state_dict()[name], tensor) for name, tensor in other.state_dict().items())


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module.model."])
@pytest.mark.parametrize("form", ["safetensors", "plain", "checkpoint"])
def test_files_and_names_as_people_have_them(tmp_path, prefix, form):
    source, target = small(0), small(1)
    state = {prefix + name: tensor for name, tensor in source.state_dict().items()}
    file = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pt")
    if form == "safetensors":
        save_tensors(file, state)
    else:
        torch.save(state if form == "plain" else {"epoch": 3, "state_dict": state}, file)
    assert not same(source, target)
    load_weights(target, str(file))
    assert same(source, target)


def test_as_built_stays_as_it_is():
    model = small()
    load_weights(model, AS_BUILT)
    assert same(model, small())
    assert weights_digest(AS_BUILT) is None is weights_digest(None)


class Harm:
    def __reduce__(self):
        return (open, ("harm.txt", "w"))


def test_no_code_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pt").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(ParameterError, match="cannot be read as PyTorch's tensors"):
        load_weights(small(), str(tmp_path / "w.pt"))
    assert not (tmp_path / "harm.txt").exists()


def test_weights_that_do_not_fit_are_one_line(tmp_path):
    file = tmp_path / "w.pt"
    state = small().state_dict()
    first = next(iter(state))
    cases = [
        ({name: tensor for name, tensor in state.items() if name != first}, f"lack {first} "),
        ({**state, "head.weight": torch.ones(1)}, "have head.weight, which the model lacks"),
        (build_model("unet", width=3).state_dict(), "do not fit the model"),
        ([1, 2], "hold no tensors by name"),
    ]
    for content, message in cases:
        torch.save(content, file)
        with pytest.raises(ParameterError, match=message) as error:
            load_weights(small(), str(file))
        assert "\n" not in str(error.value)
    with pytest.raises(ParameterError, match="cannot be read"):
        weights_digest(str(tmp_path / "none.pt"))
