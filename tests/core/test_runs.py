import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core import paths, runs
from chairlib.core.errors import ChairlibError, RecordError
from chairlib.core.runs import Record, code_hash, load_records, open_run, reference_records, run_name
from chairlib.core.tensors import save_tensors

SETTINGS = BenchmarkSettings(width=8, resolution=32)


def make(seed: int = 0, data_hash: str = "d" * 16, **more) -> runs.Run:
    return open_run(SETTINGS.with_changes(seed=seed, **more), "mini", data_hash)


def finish(run: runs.Run, **metrics) -> Record:
    run.write_table("history", pd.DataFrame({"images": [1, 2], "val_iou": [0.5, 60.25]}))
    return run.finish(metrics or {"iou": 61.0}, seconds=1.234, images_seen=2, hardware="a computer", n_parameters=3)


def rewrite(record: Record, change) -> None:
    file = record.folder / "record.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


# -- names ------------------------------------------------------------------------------------------------------------


def test_names_are_for_people_and_never_change():
    # A name that changes would orphan every record ever made.
    assert run_name(SETTINGS, "d" * 16) == "benchmark-unet-w8-32px-fast-seed0-e856b044"


def test_name_does_not_depend_on_where_a_run_computes_or_where_its_data_lies():
    name = make().name
    assert make(device="cuda").name == name
    assert make(data="/somewhere/else").name == name
    assert make(data_hash="e" * 16).name != name
    assert run_name(SETTINGS, "d" * 16, model_code="f" * 16) != name


counts = st.one_of(st.none(), st.integers(1, 9))
models = st.sampled_from(["unet", "a.b:c", "a.b/c", "paper", "../x", "ü"])
different_settings = st.builds(
    BenchmarkSettings, model=models, recipe=models, width=counts, images=counts, seed=st.integers(0, 9)
)


@given(st.lists(different_settings, min_size=2, max_size=8, unique=True))
def test_different_settings_have_different_names_that_are_safe(several):
    names = [run_name(settings, "d" * 16) for settings in several]
    assert len(set(names)) == len(several)
    for name in names:
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
        assert name.startswith("benchmark")
        assert len(name) < 200


# -- records ----------------------------------------------------------------------------------------------------------


def test_record_tells_everything(own_runs):
    run = make()
    assert run.record is None
    assert not own_runs.exists()  # opening a run leaves nothing
    finish(run)
    record = run.record
    assert record.settings == run.settings == SETTINGS
    assert record.content["parameters"] == SETTINGS.to_dict()
    assert record.metrics == {"iou": 61.0}
    assert record.content.keys() >= {"format", "name", "kind", "finished", "packages", "hardware"}
    assert record.content["data"] == {"name": "mini", "hash": "d" * 16}
    assert record.content["code"]["hash"] == code_hash("benchmark")
    assert record.content["packages"].keys() >= {"python", "torch", "numpy"}
    assert (record.content["seconds"], record.content["images_seen"]) == (1.23, 2)
    assert record.content["n_parameters"] == 3
    assert record.history()["val_iou"].tolist() == [0.5, 60.25]


def test_record_is_written_last_and_checkpoints_go_after_it(own_runs, monkeypatch):
    run = make()
    run.write_table("history", pd.DataFrame({"images": [1]}))
    old_code = run.folder / "checkpoint-0123456789abcdef.safetensors"
    killed = run.folder / ".history.csv.12345678.tmp"
    for file in (run.checkpoint, old_code, killed):
        file.write_text("x")

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_json", die)
        with pytest.raises(KeyboardInterrupt):
            finish(run)
    assert run.record is None
    assert run.checkpoint.exists()
    finish(run)
    assert sorted(file.name for file in run.folder.iterdir()) == ["history.csv", "record.json"]


def test_checkpoint_belongs_to_the_code(own_runs, monkeypatch):
    before = make().checkpoint
    monkeypatch.setattr(runs, "code_hash", lambda kind: "f" * 16)
    assert make().checkpoint != before


def test_records_of_other_data_code_or_format_are_refused(own_runs, monkeypatch):
    record = finish(make())
    assert record.mismatch() is None
    assert record.mismatch("d" * 16) is None
    assert "other data (mini, dddd" in record.mismatch("e" * 16)
    rewrite(record, lambda content: content.update(format=0))
    assert make().record is None
    assert "format 0, expected 1" in load_records("benchmark", "d" * 16)[1][0]
    rewrite(record, lambda content: content.update(format=1))
    assert make().record is not None
    monkeypatch.setattr(runs, "code_hash", lambda kind: "f" * 16)
    assert make().record is None
    with pytest.raises(RecordError, match=r"is refused: it was made by other code .*, now ffffffffffffffff\); run it"):
        load_records("benchmark", "d" * 16, [record.name])


def test_every_matching_record_and_what_was_left_out(own_runs):
    ours = [finish(make(seed)) for seed in (1, 0)]
    other_data = finish(make(0, "e" * 16))
    (own_runs / "landscape-unet").mkdir()
    (own_runs / "landscape-unet" / "record.json").write_text("another kind")
    make(5).folder.mkdir()  # not finished
    damaged = finish(make(2))
    (damaged.folder / "record.json").write_text('{"format": 1, "par')
    records, left_out = load_records("benchmark", "d" * 16)
    assert [record.name for record in records] == sorted(record.name for record in ours)
    assert len(left_out) == 2
    assert any(reason.startswith(f"{other_data.name}: it was made from other data") for reason in left_out)
    assert any(reason.startswith(f"{damaged.name}: ") and "cannot be read" in reason for reason in left_out)


def test_no_runs_at_all(own_runs):
    assert load_records("benchmark", "d" * 16) == ([], [])


def test_named_records(own_runs):
    first, second = finish(make(0)), finish(make(1))
    records, _ = load_records("benchmark", "d" * 16, [second.name])
    assert [record.name for record in records] == [second.name]
    with pytest.raises(RecordError, match="does not exist; make the run first"):
        load_records("benchmark", "d" * 16, ["benchmark-none"])
    with pytest.raises(RecordError, match=rf"record {first.name} is refused: it was made from other data"):
        load_records("benchmark", "e" * 16, [first.name])


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '{"format": 1}', "\x00" * 100]
    + ['{"format": 1, "parameters": {}, "metrics": {}, "data": null, "code": {"hash": ""}}']
    + ['{"format": 1, "parameters": {}, "metrics": {}, "data": {"hash": ""}, "code": {"hash": ""}}'],
)
def test_damaged_record(own_runs, text):
    run = make()
    finish(run)
    (run.folder / "record.json").write_text(text)
    with pytest.raises(RecordError, match=r"delete .* and run it again\.$") as caught:
        _ = run.record
    assert "\n" not in str(caught.value)
    with pytest.raises(RecordError):
        load_records("benchmark", "d" * 16, [run.name])


def test_bytes_that_are_no_text(own_runs):
    run = make()
    finish(run)
    (run.folder / "record.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(RecordError, match="cannot be read"):
        _ = run.record


@pytest.mark.parametrize("content", [b"", b"images,val_iou\n1,0.5\n2,60.", b"\xff\xfe\x00\n", b'a,b\n1,2,3\n"\n'])
def test_a_damaged_table_names_its_file_and_what_to_do(own_runs, content):
    record = finish(make())
    (record.folder / "history.csv").write_bytes(content)
    with pytest.raises(RecordError, match=r"history\.csv is damaged \(.*\); delete .* and run it again\.") as caught:
        record.history()
    assert "\n" not in str(caught.value)
    assert str(record.folder) in str(caught.value)
    assert (record.folder / "history.csv").read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"random" * 100, None])
def test_damaged_tensors_name_their_file_and_what_to_do(own_runs, content):
    record = finish(make())
    file = record.folder / "examples.safetensors"
    save_tensors(file, {"images": torch.zeros(9)})
    assert record.tensors("examples.safetensors")["images"].shape == (9,)
    file.write_bytes(file.read_bytes()[:-4] if content is None else content)
    with pytest.raises(RecordError, match=r"examples\.safetensors is damaged \(.*\); delete .* and run it again\."):
        record.tensors("examples.safetensors")
    with pytest.raises(RecordError, match=r"weights\.safetensors is missing although the run is recorded"):
        record.tensors("weights.safetensors")


def test_file_of_a_recorded_run_is_missing(own_runs):
    record = finish(make())
    (record.folder / "history.csv").unlink()
    with pytest.raises(RecordError, match=r"history\.csv is missing although the run is recorded; delete"):
        record.history()


def test_undefined_metrics_are_refused_before_anything_is_written(own_runs):
    with pytest.raises(ValueError, match="JSON"):
        finish(make(), iou=float("nan"))
    assert make().record is None


def test_runs_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(paths, "runs", tmp_path / "file")
    with pytest.raises(ChairlibError, match="cannot write"):
        finish(make())


def test_commit_is_the_checkouts_own(tmp_path, monkeypatch):
    """A package that is installed somewhere inside another repository doesn't claim that one's commit."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    try:
        for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
            subprocess.run([*git, *command], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    monkeypatch.setattr(paths, "package", tmp_path / "chairlib")
    assert len(runs.commit()) == 12
    monkeypatch.setattr(paths, "package", tmp_path / "site-packages" / "chairlib")
    paths.package.mkdir(parents=True)
    assert runs.commit() is None


# -- the reference build ----------------------------------------------------------------------------------------------


def test_reference_records_are_read_from_the_newest_archive_whatever_the_code_is_now(own_runs, ship, monkeypatch):
    assert reference_records("benchmark") == []  # none ships
    first, second = finish(make(0)), finish(make(1))
    ship([second], "An old build.", "zebra-2026-01-02")
    ship([first, second], "A new build.", "evening-2026-02-01")
    monkeypatch.setattr(runs, "code_hash", lambda kind: "f" * 16)
    records = reference_records("benchmark")
    assert [record.name for record in records] == [first.name, second.name]
    assert [record.content["reference"] for record in records] == ["A new build."] * 2
    assert records[0].settings == first.settings
    assert records[0].metrics == first.metrics
    assert records[0].history().equals(first.history())
    assert reference_records("transfer") == []
    with pytest.raises(RecordError, match=r"weights\.safetensors is missing"):
        records[0].file("weights.safetensors")


def test_the_archive_that_ships_can_be_read():
    found = [record for kind in runs.KINDS for record in reference_records(kind)]
    assert bool(found) == any((paths.assets / "reference").glob("*.zip"))
    for record in found:
        assert record.settings
        assert record.content["reference"].startswith("Made on ")
        assert not Path(record.settings.data).is_absolute()
