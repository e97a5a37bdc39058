"""The setting ``deterministic``: what it switches on, that it is switched off again, and which runs it reaches.

No GPU is needed: what would be computed on one is replaced.
"""

import os

import pytest
import torch

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.describe import describe_record
from chairlib.benchmark.determinism import WORKSPACE, deterministic_mode
from chairlib.benchmark.protocols import common_terms, get_protocol, protocol_of
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.landscape import run as landscape
from chairlib.landscape.settings import LandscapeSettings
from chairlib.transfer import run as transfer
from chairlib.transfer.settings import TransferSettings

CUDA = torch.device("cuda")
TINY = {"width": 2, "resolution": 32, "images": 32, "evaluations": 1, "device": "cpu"}
#: As torch says it, shortened.
TOO_LATE = f"Deterministic behavior was enabled, but this operation is not deterministic. You must set {WORKSPACE}."


def switches() -> tuple[bool, bool, bool, bool, str | None]:
    cudnn = torch.backends.cudnn
    strict = not torch.is_deterministic_algorithms_warn_only_enabled()
    on = torch.are_deterministic_algorithms_enabled()
    return on, strict, cudnn.deterministic, cudnn.benchmark, os.environ.get(WORKSPACE)


@pytest.fixture
def gpu(monkeypatch):
    """Matrix products "on CUDA" are computed on the CPU; gives the environment variable that each of them met."""
    met, ones, mm = [], torch.ones, torch.mm

    def product(*matrices):
        met.append(os.environ.get(WORKSPACE))
        return mm(*matrices)

    monkeypatch.setattr(torch, "ones", lambda *shape, device=None: ones(*shape))
    monkeypatch.setattr(torch, "mm", product)
    monkeypatch.delenv(WORKSPACE, raising=False)
    return met


@pytest.mark.parametrize("before", [(False, False, False), (True, True, True)])
def test_everything_is_switched_on_and_back_again(gpu, monkeypatch, before):
    cudnn, (on, warn_only, benchmark_too) = torch.backends.cudnn, before
    monkeypatch.setattr(cudnn, "benchmark", benchmark_too)
    torch.use_deterministic_algorithms(on, warn_only=warn_only)
    try:
        was = switches()
        with deterministic_mode(CUDA):
            assert switches() == (True, True, True, False, ":4096:8")
            with deterministic_mode(CUDA):
                pass
            assert switches() == (True, True, True, False, ":4096:8")
        assert switches() == was
        with pytest.raises(KeyError), deterministic_mode(CUDA):
            raise KeyError("what a model of one's own raises")
        assert switches() == was
    finally:
        torch.use_deterministic_algorithms(False)
    assert gpu == [":4096:8"] * 3  # cuBLAS meets the variable before anything is trained


def test_a_workspace_of_ones_own_is_kept(gpu, monkeypatch):
    monkeypatch.setenv(WORKSPACE, ":16:8")
    with deterministic_mode(CUDA):
        assert os.environ[WORKSPACE] == ":16:8"
    assert os.environ[WORKSPACE] == ":16:8"


@pytest.mark.parametrize(("device", "on"), [(torch.device("cpu"), True), (CUDA, False)])
def test_nothing_changes_on_the_cpu_or_where_it_is_off(device, on):
    was = switches()
    with deterministic_mode(device, on):
        assert switches() == was


def test_after_the_first_product_it_is_too_late(gpu, monkeypatch):
    def product(*_):
        raise RuntimeError(TOO_LATE)

    monkeypatch.setattr(torch, "mm", product)
    was = switches()
    said = r"fixed workspace \(CUBLAS_WORKSPACE_CONFIG was None\); start Python with :4096:8 in it\."
    with pytest.raises(ParameterError, match=said), deterministic_mode(CUDA):
        pytest.fail("trained")
    assert switches() == was


def test_an_operation_without_a_deterministic_algorithm_is_named(gpu):
    alert = "histc_cuda does not have a deterministic implementation, but you set 'torch.use_deterministic...'"
    said = r"deterministic: histc_cuda does not have .*; turn it off, or change the model\."
    with pytest.raises(ParameterError, match=said), deterministic_mode(CUDA):
        raise RuntimeError(alert)
    with pytest.raises(RuntimeError, match="out of memory"), deterministic_mode(CUDA):
        raise torch.OutOfMemoryError("CUDA out of memory")


class Reached(ChairlibError):
    pass


@pytest.mark.parametrize("on", [True, False])
def test_runs_of_all_kinds_train_in_it(collection, photos, own_runs, monkeypatch, on):
    met = []

    def mode(device, given):
        met.append((device.type, given))
        raise Reached

    data, more = {"data": str(collection.root), "deterministic": on}, {"photos": str(photos), "pretrain": {"images": 8}}
    runs = (
        (benchmark, benchmark.train, {**data, **TINY}),
        (transfer, transfer.train, {**data, **TINY, "data": str(photos)}),
        (landscape, landscape.analyse, {**data, **TINY, **more}),
    )
    for module, train, parameters in runs:
        monkeypatch.setattr(module, "deterministic_mode", mode)
        with pytest.raises(Reached):
            train(module.open_run(**parameters), progress=False)
    assert met == [("cpu", on)] * 3
    members = landscape.members(LandscapeSettings.of(runs[2][2]))
    assert {run.settings.deterministic for run in members.values()} == {on}


def test_the_record_says_it_and_a_finished_run_needs_no_gpu(collection, own_runs, monkeypatch):
    asked = {"data": str(collection.root), **TINY, "val_images": 4, "test_images": 4}
    plain, record = (
        benchmark.train(benchmark.open_run(**asked, deterministic=on), progress=False) for on in (False, True)
    )
    assert record.name != plain.name
    assert record.content["parameters"]["deterministic"] is True
    assert ", deterministic;" in describe_record(record)
    assert "deterministic" not in describe_record(plain)
    assert record.metrics == plain.metrics  # on the CPU it changes nothing
    monkeypatch.setattr(benchmark, "deterministic_mode", lambda *_: pytest.fail("asked of a finished run"))
    assert benchmark.train(benchmark.open_run(**asked, deterministic=True)).name == record.name


def test_names_of_runs_and_protocols_stay_what_they_were():
    """It is about digits, and no term of a protocol: a row of the leaderboard may be made with it."""
    for kind in (BenchmarkSettings, TransferSettings, LandscapeSettings):
        assert "deterministic" not in kind().identity()
        assert kind(deterministic=True).identity()["deterministic"] is True
    terms = get_protocol("mini-64-v1").parameters()
    plain, asked = (BenchmarkSettings(**terms, deterministic=on) for on in (False, True))
    assert protocol_of(asked, get_protocol("mini-64-v1").data_hash) == "mini-64-v1"
    assert common_terms(asked) == common_terms(plain)
    with pytest.raises(ParameterError, match="pretrain takes deterministic from the run itself"):
        LandscapeSettings(pretrain={"deterministic": True})


def test_the_command_line_has_a_switch(call, collection, own_runs):
    options = [f"--{name.replace('_', '-')}={value}" for name, value in {**TINY, "val_images": 4}.items()]
    for switch, on in (("--deterministic", True), ("--no-deterministic", False)):
        status, out, errors = call("benchmark", f"--data={collection.root}", *options, "--test-images=4", switch)
        assert status == 0, errors
        assert (", deterministic;" in out) is on
