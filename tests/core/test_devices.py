import math

import pytest
import torch

from chairlib.core.devices import describe_hardware, free_memory, pick_device
from chairlib.core.errors import ParameterError


def test_auto_takes_the_gpu_where_there_is_one():
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_device() == pick_device("auto")


def test_names_and_devices():
    assert pick_device("cpu") == pick_device(torch.device("cpu")) == torch.device("cpu")


# "meta" exists, but computes nothing; hpu's plug-in is missing, which torch says by a ModuleNotFoundError.
@pytest.mark.parametrize("name", ["gpu", "GPU:0", "", "cuda:99", "meta", "hpu", "mps:7", 5, None, ["cpu"]])
def test_device_that_is_not_there(name):
    with pytest.raises(ParameterError, match=r"cannot be used here \(.*\); use 'auto'") as caught:
        pick_device(name)
    assert repr(str(name)) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("cuda", "advice"), [(True, "'auto', 'cpu' or 'cuda'."), (False, "'auto' or 'cpu'.")])
def test_only_devices_that_are_there_are_advised(monkeypatch, cuda, advice):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    with pytest.raises(ParameterError, match=f"use {advice}$"):
        pick_device("gpu")


def test_hardware_is_one_line_for_people():
    line = describe_hardware(torch.device("cpu"))
    assert line.endswith(("cores", "core"))
    assert "\n" not in line
    assert len(line) > len(", 2 cores")


def test_hardware_without_cpuinfo(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    assert describe_hardware(torch.device("cpu")).endswith(("cores", "core"))


def test_free_memory(monkeypatch):
    cpu, cuda, meta = map(torch.device, ("cpu", "cuda:0", "meta"))
    assert 1e6 < free_memory(cpu) <= math.inf
    assert free_memory(meta) == math.inf
    # What torch holds and does not use is free as well.
    for name, figure in {"memory_reserved": 7, "memory_allocated": 2, "mem_get_info": (100, 1000)}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, figure=figure: figure)
    assert free_memory(cuda) == 105

    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    assert free_memory(cpu) == math.inf
