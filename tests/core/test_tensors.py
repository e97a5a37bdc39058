import errno
import os
import pickle
import subprocess

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chairlib.core.errors import ChairlibError
from chairlib.core.tensors import load_tensors, save_rows, save_tensors

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.uint8, torch.int64, torch.bool)


@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    dtype=st.sampled_from(DTYPES),
    metadata=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_round_trip(tmp_path, shape, dtype, metadata):
    tensor = (torch.rand(shape) * 5).to(dtype)
    save_tensors(tmp_path / "t.safetensors", {"t": tensor}, metadata)
    tensors, found = load_tensors(tmp_path / "t.safetensors")
    assert tensors["t"].dtype == dtype
    assert torch.equal(tensors["t"], tensor)
    assert found == metadata
    assert os.listdir(tmp_path) == ["t.safetensors"]


def test_views_tied_weights_channels_last_and_gradients(tmp_path):
    weight = torch.rand(2, 3, 4, 5, requires_grad=True)
    given = {"a": weight, "tied": weight, "view": weight[1:], "last": weight.to(memory_format=torch.channels_last)}
    save_tensors(tmp_path / "t.safetensors", given)
    tensors, _ = load_tensors(tmp_path / "t.safetensors")
    assert tensors.keys() == given.keys()
    for name, tensor in given.items():
        assert torch.equal(tensors[name], tensor)


def test_special_values(tmp_path):
    values = torch.tensor([float("nan"), float("inf"), -0.0])
    save_tensors(tmp_path / "t.safetensors", {"t": values})
    assert load_tensors(tmp_path / "t.safetensors")[0]["t"].numpy().tobytes() == values.numpy().tobytes()


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_file_cut_short(tmp_path, keep):
    file = tmp_path / "t.safetensors"
    save_tensors(file, {"t": torch.rand(100)})
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ChairlibError, match=r"cannot read .*t\.safetensors as safetensors"):
        load_tensors(file)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(ChairlibError, match="cannot read"):
            load_tensors(path)


class Bomb:
    def __reduce__(self):
        return os._exit, (3,)


def test_nothing_is_unpickled(tmp_path):
    file = tmp_path / "t.safetensors"
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ChairlibError, match="cannot read"):
        load_tensors(file)
    torch.save({"t": torch.rand(3)}, file)
    with pytest.raises(ChairlibError, match="cannot read"):
        load_tensors(file)


def test_failure_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "t.safetensors"
    save_tensors(file, {"t": torch.zeros(3)})

    def no_space(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(ChairlibError, match="No space left"):
        save_tensors(file, {"t": torch.ones(3)})
    assert load_tensors(file)[0]["t"].sum() == 0
    assert os.listdir(tmp_path) == ["t.safetensors"]


def test_disk_that_is_really_full(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a tmpfs can only be mounted by root")
    try:
        with pytest.raises(ChairlibError, match=r"cannot write .*No space left") as caught:
            save_tensors(tmp_path / "t.safetensors", {"t": torch.rand(200_000)})
        assert "\n" not in str(caught.value)
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_whoever_may_read_a_record_may_read_its_weights(tmp_path):
    umask = os.umask(0o027)
    try:
        save_tensors(tmp_path / "t.safetensors", {"t": torch.ones(1)})
    finally:
        os.umask(umask)
    assert (tmp_path / "t.safetensors").stat().st_mode & 0o777 == 0o640


def test_rows_become_tensors(tmp_path):
    file = tmp_path / "t.safetensors"
    first = np.arange(24, dtype=np.uint8).reshape(2, 4, 3).transpose(0, 2, 1)
    second = np.arange(5, dtype=np.uint8)
    save_rows(file, {"a": (first.shape, iter(first)), "none": ((0, 7), []), "b": (second.shape, second[:, None])})
    tensors, _ = load_tensors(file)
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == {"a": [2, 3, 4], "none": [0, 7], "b": [5]}
    assert np.array_equal(tensors["a"], first)
    assert np.array_equal(tensors["b"], second)


@pytest.mark.parametrize("rows", [1, 3])
def test_other_rows_than_announced_are_never_read(tmp_path, rows):
    file = tmp_path / "t.safetensors"
    save_rows(file, {"a": ((2, 4), np.zeros((rows, 4), np.uint8))})
    with pytest.raises(ChairlibError, match=r"cannot read .*t\.safetensors as safetensors"):
        load_tensors(file)


def test_rows_that_fail_leave_the_old_file(tmp_path):
    file = tmp_path / "t.safetensors"
    save_tensors(file, {"t": torch.zeros(3)})

    def rows():
        yield np.ones(2, np.uint8)
        raise ChairlibError("no more")

    with pytest.raises(ChairlibError, match="no more"):
        save_rows(file, {"t": ((2, 2), rows())})
    assert load_tensors(file)[0]["t"].sum() == 0
    assert os.listdir(tmp_path) == ["t.safetensors"]
