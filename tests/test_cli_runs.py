"""``chairlib runs``: what it prints, what it refuses, and that deleting leaves a run or none."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core import runs
from chairlib.core.errors import RecordError
from chairlib.core.runs import Record, finished, remove_run
from chairlib.transfer.settings import TransferSettings


def record(seed=0, model="unet", ious=(10.0, 20.0, 60.0), settings=None, **more) -> Record:
    settings = settings or BenchmarkSettings(data="drawn", model=model, width=16, seed=seed)
    run = runs.open_run(settings, "drawn", "d" * 16)
    run.write_table("test_images", pd.DataFrame({"iou": ious, "group": ["a", "b", "c"]}))
    run.write_table("history", pd.DataFrame({"images": [100, 200], "val_iou": [20.0, 30.0]}))
    (run.folder / "weights.safetensors").write_bytes(bytes(2_000_000))
    names = ("iou", "dice", "precision", "pooled_iou")
    test = {**dict.fromkeys(names, 30.0), "intervals": {name: [20.0, 40.0] for name in names}, "n_images": 3}
    test |= {"n_groups": 3, "interval_units": "groups", "n_left_out": 0}
    extra = {
        "n_parameters": 7,
        "half_images": 0,
        "precision": "float32",
        "converged_images": 9,
        "converged_seconds": 1.0,
    }
    extra |= {"recipe": {"batch_size": 32}, **more}
    metrics = {"test": test, "val": {"iou": 25.0}}
    return run.finish(metrics, seconds=2.0, images_seen=200, hardware="a test", **extra)


def make_stale(one: Record, **changes) -> None:
    content = json.loads((one.folder / "record.json").read_text())
    changes = changes or {"code": {**content["code"], "hash": "0" * 16}}
    (one.folder / "record.json").write_text(json.dumps(content | changes))


# -- list and show ----------------------------------------------------------------------------------------------------


def test_a_line_for_each_run_and_why_some_are_of_no_use(call, own_runs):
    unet, fcn = record(), record(model="fcn_vgg16")
    tuned = record(settings=TransferSettings(width=16))
    make_stale(fcn)
    status, out, errors = call("runs", "list")
    assert (status, errors) == (0, "")
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert lines[unet.name][-6:] == ["200", "30.0", "20.0", "40.0", "2.0", "yes"]
    assert lines[tuned.name][1] == "authors"
    assert f"  {fcn.name}: it was made by other code (0000000000000000, now" in out
    assert tuned.name not in call("runs", "list", "--kind", "benchmark")[1]
    assert unet.name not in call("runs", "list", "--protocol", "authors")[1]
    assert unet.name in call("runs", "list", "--data", "drawn")[1]


def test_the_list_tells_the_runs_of_a_sweep_apart(call, own_runs):
    usual = record()
    assert "rate" not in call("runs", "list")[1]
    tried = record(settings=BenchmarkSettings(data="drawn", width=16, learning_rate=0.0005))
    head, *rows = call("runs", "list")[1].splitlines()
    column = head.split().index("rate")
    rates = {row.split()[0]: row.split()[column] for row in rows}
    assert rates == {usual.name: "–", tried.name: "0.0005"}


def test_a_list_of_nothing_is_one_line(fails, own_runs):
    assert fails("runs", "list").startswith("no such finished run is in ")
    record()
    assert fails("runs", "list", "--data", "others").startswith("no such finished run is in ")
    assert "kind 'chairs' is unknown" in fails("runs", "list", "--kind", "chairs")


def test_show_tells_all_of_a_run(call, own_runs):
    one = record()
    for name in (one.name, one.name[:-2], "unet-w16"):
        status, out, _ = call("runs", "show", name)
        assert status == 0
        for part in ("(7 parameters)", "width 16", "recipe: batch_size 32", "reports: take it", str(one.folder)):
            assert part in out
        assert f"code: {one.content['code']['hash']}, commit {one.content['code']['commit'] or 'unknown'}" in out
    tuned = record(settings=TransferSettings(width=16))
    assert "iou: 30.0" in call("runs", "show", tuned.name)[1]


def test_names_that_mean_no_run_or_several_are_one_line(fails, own_runs):
    one = record()
    assert f"(similar: {one.name})" in fails("runs", "show", one.name[:-3] + "xyz")
    record(settings=BenchmarkSettings(data="drawn", width=8))  # another seed alone would be no other configuration
    line = fails("runs", "show", "unet")
    assert line.startswith("2 runs have names that begin with 'unet' (similar: benchmark-unet-w16-64px-fast-seed0-")
    assert fails("runs", "show", "").startswith("no finished run is called ''")


# -- compare ----------------------------------------------------------------------------------------------------------


def test_compare_prints_the_difference_and_writes_a_page(call, own_runs):
    for seed in (0, 1):
        record(seed, ious=(15.0, 27.0, 66.0))
        record(seed, "fcn_vgg16")
    status, out, errors = call(
        "runs", "compare", "unet-w16-64px-fast-seed0", "fcn_vgg16-w16-64px-fast-seed1", "--html", "page.html"
    )
    assert (status, errors) == (0, "")
    assert out.startswith("U-Net, width 16 less FCN-VGG-16, width 16: +6.0 points of IoU (")
    assert "by seed: +6.0, +6.0" in out
    page = Path("page.html").read_text()
    assert page.startswith('<!doctype html><html lang="en">')
    assert "+6.0 points" in page
    assert "<img" in page
    names = [name for name in finished() if "unet" in name]
    assert "by seed: +6.0\n" in call("runs", "compare", names[0], "fcn_vgg16-w16-64px-fast-seed0", "--alone")[1]
    assert (
        "by seed: +6.0, +6.0"
        in call("runs", "compare", ",".join(names), ",".join(n for n in finished() if "fcn" in n))[1]
    )


# -- rm ---------------------------------------------------------------------------------------------------------------


def test_rm_says_what_it_deletes_and_asks(call, own_runs, monkeypatch):
    one, other = record(), record(seed=1)
    status, out, errors = call("runs", "rm", one.name)
    assert status == 1
    assert f"{one.name} (2.0 MB)" in out
    assert errors == "chairlib: nothing was deleted, since there is nobody to ask; give --yes.\n"
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    for answer in (False, True):
        assert one.folder.is_dir()
        monkeypatch.setattr("typer.confirm", lambda text, answer=answer: answer)
        assert call("runs", "rm", one.name)[0] == 0
    assert [path.name for path in own_runs.iterdir()] == [other.name]
    assert call("runs", "rm", other.name[:-1], "--yes")[0] == 0
    assert list(own_runs.iterdir()) == []


def test_rm_refuses_what_another_run_was_made_from(call, fails, own_runs):
    start = record()
    weights = runs.weights_hash(start.name)
    tuned = record(settings=TransferSettings(width=16), made_from={start.name: weights})
    assert f"{tuned.name} was made from {start.name}; delete both, or give --force" in fails("runs", "rm", start.name)
    assert start.folder.is_dir()
    assert call("runs", "rm", start.name, "--yes", "--force")[0] == 0
    assert finished() == [tuned.name]
    start = record()
    assert call("runs", "rm", start.name, tuned.name, "--yes")[0] == 0
    assert finished() == []


def test_rm_stale_takes_what_no_report_does_but_nothing_of_a_newer_version(call, own_runs):
    good, old, damaged, newer = (record(seed) for seed in range(4))
    make_stale(old)
    make_stale(newer, format=runs.FORMAT + 1)
    (damaged.folder / "record.json").write_text("{")
    status, *_ = call("runs", "rm", "--stale", "--yes")
    assert status == 0
    assert finished() == sorted([good.name, newer.name])
    assert call("runs", "rm", "--stale", "--yes")[1] == "nothing to delete: reports take all runs\n"


def test_rm_without_a_name_is_one_line(fails, own_runs):
    assert fails("runs", "rm") == "there is nothing to delete; name runs, or give --stale."


def test_killed_while_deleting_it_leaves_nothing_that_counts_as_a_run(own_runs, monkeypatch):
    one, other = record(), record(seed=1)

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            remove_run(one.name)
    assert finished() == [other.name]
    assert runs.weights_hash(one.name) is None
    assert len(list(own_runs.iterdir())) == 2
    remove_run(other.name)  # which sweeps up
    assert list(own_runs.iterdir()) == []


def test_a_record_of_a_newer_version_is_not_trained_over(own_runs):
    newer = record()
    make_stale(newer, format=runs.FORMAT + 1)
    with pytest.raises(RecordError, match="of a newer chairlib; this one reads 1: update chairlib"):
        _ = runs.open_run(BenchmarkSettings(width=16), "drawn", "d" * 16).record


def test_the_table_does_not_wait_for_torch():
    code = "import sys, chairlib.benchmark.comparison; assert not {'torch', 'matplotlib'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
