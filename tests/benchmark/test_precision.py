"""The precision of training: by what the hardware says, else by the clock, once."""

import json
from types import SimpleNamespace

import pytest
import torch

from chairlib.benchmark import precision
from chairlib.benchmark.precision import forward_precision, training_dtype
from chairlib.core import paths
from chairlib.core.errors import ParameterError

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "cache", tmp_path / "cache")
    return tmp_path / "cache" / "precision.json"


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}, torch.float32),
    ],
)
def test_a_processor_that_tells_is_believed(monkeypatch, cache, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(precision, "_time_both", lambda device: pytest.fail("timed"))
    assert training_dtype(CPU) == expected
    assert not cache.exists()


@pytest.mark.parametrize("name", ["_is_amx_tile_supported", "_is_avx512_bf16_supported"])
def test_versions_of_torch_that_cannot_list_capabilities_are_asked_one_by_one(monkeypatch, name):
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    monkeypatch.setattr(torch, "cpu", SimpleNamespace(**{each: lambda each=each: each == name for each in names}))
    assert training_dtype(CPU) == torch.bfloat16


@pytest.mark.parametrize("is_faster", [True, False])
def test_one_that_does_not_tell_is_timed_once_a_machine(monkeypatch, cache, is_faster):
    timed = []
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "aarch64"}, raising=False)
    monkeypatch.setattr(precision, "_time_both", lambda device: timed.append(device) or is_faster)
    found = {training_dtype(CPU) for _ in range(3)}
    assert found == {torch.bfloat16 if is_faster else torch.float32}
    assert timed == [CPU]
    assert list(json.loads(cache.read_text()).values()) == [is_faster]
    monkeypatch.setattr(precision, "describe_hardware", lambda device: "another machine")
    training_dtype(CPU)
    assert len(timed) == 2
    assert len(json.loads(cache.read_text())) == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"x": 1}'])
def test_a_damaged_answer_is_measured_again(monkeypatch, cache, damage):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "aarch64"}, raising=False)
    monkeypatch.setattr(precision, "_time_both", lambda device: True)
    cache.parent.mkdir()
    cache.write_text(damage)
    assert training_dtype(CPU) == torch.bfloat16
    assert True in json.loads(cache.read_text()).values()


def test_timing_both_gives_an_answer(monkeypatch, cache):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "aarch64"}, raising=False)
    dtype = training_dtype(CPU)
    assert list(json.loads(cache.read_text()).values()) == [dtype == torch.bfloat16]


def test_what_is_asked_for_is_taken():
    assert training_dtype(CPU, "float32") == torch.float32
    assert training_dtype(CPU, "bfloat16") == torch.bfloat16
    with pytest.raises(ParameterError, match="precision 'half' is unknown; use one of auto, float32, bfloat16"):
        training_dtype(CPU, "half")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pass_is_computed_in_it_and_weights_stay_as_they_are(dtype):
    layer = torch.nn.Conv2d(3, 4, 3)
    with forward_precision(CPU, dtype):
        output = layer(torch.rand(1, 3, 8, 8))
    output.float().sum().backward()
    assert output.dtype == dtype
    assert layer.weight.dtype == layer.weight.grad.dtype == torch.float32
