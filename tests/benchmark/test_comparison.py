"""Finished runs as a table, two of them compared on the same composites, and the model of a run."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from chairlib import compare_runs, load_model, load_runs
from chairlib.benchmark.metrics import bootstrap_interval
from chairlib.benchmark.run import examples, open_run, train
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core import runs
from chairlib.core.errors import ParameterError, RecordError
from chairlib.core.runs import Record
from chairlib.core.statistics import difference
from chairlib.landscape.settings import LandscapeSettings

GROUPS = np.repeat([f"segment:{number}" for number in range(30)], 10)
TINY = {"width": 2, "resolution": 32, "images": 32, "val_images": 4, "test_images": 8, "evaluations": 1}


def record(ious=None, seed=0, model="unet", data="d" * 16, groups=GROUPS, curve=(20, 40), **more) -> Record:
    """A finished run whose test composites have these IoUs (NaN: left out), of these groups."""
    settings = BenchmarkSettings(data="drawn", model=model, width=16, seed=seed, **more)
    run = runs.open_run(settings, "drawn", data)
    ious = hard_and_easy(seed) if ious is None else ious
    run.write_table("test_images", pd.DataFrame({"iou": ious, "dice": ious, "precision": 90.0, "group": groups}))
    images = [100 * (number + 1) for number in range(len(curve))]
    run.write_table("history", pd.DataFrame({"images": images, "val_iou": curve}))
    mean = float(np.nanmean(ious))
    test = {"iou": mean, "dice": mean, "precision": 90.0, "pooled_iou": mean, "interval_units": "groups"}
    test["intervals"] = {"iou": [mean - 1, mean + 1]}
    return run.finish({"test": test}, seconds=2.0, images_seen=200, hardware="a test", n_parameters=7)


def hard_and_easy(seed):
    """IoUs [300] of composites whose segments differ far more than models do."""
    return np.repeat(np.random.default_rng(0).uniform(30, 80, 30), 10) + np.random.default_rng(seed).normal(0, 2, 300)


def rewrite(one: Record, **changes) -> None:
    content = json.loads((one.folder / "record.json").read_text())
    (one.folder / "record.json").write_text(json.dumps(content | changes))


# -- the table --------------------------------------------------------------------------------------------------------


def test_a_row_for_each_finished_run(own_runs):
    unet, fcn = record(seed=1), record(model="fcn_vgg16", images=500)
    (own_runs / "benchmark-unfinished").mkdir()
    table = load_runs().set_index("name")
    assert table.index.tolist() == sorted([unet.name, fcn.name])
    row = table.loc[unet.name]
    assert row[["model", "width", "resolution", "recipe", "seed"]].tolist() == ["unet", 16, 64, "fast", 1]
    assert row[["images", "seconds", "parameters", "data", "usable"]].tolist() == [200, 2.0, 7, "drawn", "yes"]
    assert (row["iou"], row["low"], row["high"]) == pytest.approx(
        [unet.metrics["test"]["iou"] + step for step in (0, -1, 1)]
    )
    assert load_runs("transfer").empty
    assert load_runs(None)["name"].tolist() == table.index.tolist()
    with pytest.raises(ParameterError, match="kind 'chairs' is unknown; use one of benchmark, transfer, landscape"):
        load_runs("chairs")


def test_the_table_of_some_data(own_runs, collection):
    mine = record(data=collection.hash)
    rewrite(mine, parameters={**mine.content["parameters"], "data": str(collection.root)})
    other = record(seed=1)
    rewrite(other, data={"name": "others", "hash": "d" * 16})
    assert load_runs(data=collection.root)["name"].tolist() == [mine.name]
    assert load_runs(data="elsewhere").empty
    assert load_runs(data="others")["name"].tolist() == [other.name]


def test_what_no_report_takes_says_why(own_runs, collection, monkeypatch):
    changed = record(data="0" * 16)
    rewrite(changed, parameters={**changed.content["parameters"], "data": str(collection.root)})
    elsewhere = record(seed=1)
    rewrite(elsewhere, parameters={**elsewhere.content["parameters"], "data": "/not/plugged/in"})
    damaged, newer = record(seed=2), record(seed=3)
    (damaged.folder / "record.json").write_text("{")
    rewrite(newer, format=runs.FORMAT + 1, metrics="of another form")
    usable = load_runs().set_index("name")["usable"]
    assert "it was made from other data (drawn, 0000" in usable[changed.name]
    assert usable[elsewhere.name] == "yes"
    assert "cannot be read" in usable[damaged.name]
    assert f"has format {runs.FORMAT + 1}, of a newer chairlib; this one reads {runs.FORMAT}" in usable[newer.name]
    assert all("\n" not in reason for reason in usable)
    monkeypatch.setattr("chairlib.core.runs.code_hash", lambda kind: "f" * 16)
    assert "made by other code" in load_runs().set_index("name")["usable"][elsewhere.name]


# -- the comparison ---------------------------------------------------------------------------------------------------


def test_seeds_of_a_configuration_are_compared_as_pairs_over_groups(own_runs):
    better = [record(hard_and_easy(seed + 10) + 4, seed) for seed in (0, 1, 2)]
    worse = [record(hard_and_easy(seed), seed, "fcn_vgg16") for seed in (0, 1, 2)]
    found = compare_runs(better[1].name, worse[0].name)
    assert found.pairs == list(zip(better, worse, strict=True))
    means = [np.mean(hard_and_easy(seed + 10) + 4 - hard_and_easy(seed)) for seed in (0, 1, 2)]
    assert found.by_seed == pytest.approx(means)
    assert found.mean == pytest.approx(np.mean(means))
    gains = np.stack([hard_and_easy(seed + 10) + 4 - hard_and_easy(seed) for seed in (0, 1, 2)], axis=1)
    expected = difference([gains.reshape(30, 10, 3).mean(axis=1)])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.smallest_found == pytest.approx(expected.smallest_found)
    assert (found.n_groups, found.verdict, found.notes) == (30, "higher", [])
    back = compare_runs("fcn_vgg16-w16-64px-fast-seed1", better[2].name[:-2])
    assert (back.mean, back.low, back.verdict) == (
        pytest.approx(-found.mean),
        pytest.approx(-found.high),
        "lower",
    )


def test_one_seed_has_the_interval_over_groups_and_no_verdict(own_runs):
    gain = np.repeat(np.random.default_rng(3).normal(3, 4, 30), 10)
    one, other = record(hard_and_easy(0) + gain), record(hard_and_easy(0), model="fcn_vgg16")
    found = compare_runs(one.name, other.name)
    low, high = bootstrap_interval(gain, groups=GROUPS, n_resamples=4000)
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)
    assert (found.verdict, found.smallest_found) == ("one seed", None)


def test_a_list_or_seeds_false_takes_these_runs_alone(own_runs):
    unet = [record(hard_and_easy(seed) + 1, seed).name for seed in (0, 1, 2)]
    fcn = [record(hard_and_easy(seed), seed, "fcn_vgg16").name for seed in (0, 1, 2)]
    assert len(compare_runs(unet[:2], fcn).by_seed) == 2
    assert compare_runs(unet[:2], fcn).notes == ["left out: seed 2, which one side has alone"]
    assert len(compare_runs(unet[0], fcn[0], seeds=False).by_seed) == 1
    # What all seeds of one configuration begin with names them all, whatever commit they were made at.
    other = runs.find_record(unet[1])
    rewrite(other, code={**other.content["code"], "commit": "another"})
    assert len(compare_runs("unet", "fcn").by_seed) == 3
    with pytest.raises(RecordError, match=r"3 runs have names that begin with 'unet' \(similar: .*\)"):
        compare_runs("unet", "fcn", seeds=False)
    with pytest.raises(ParameterError, match="two of these runs have the same seed"):
        compare_runs([unet[0], unet[0]], fcn)
    with pytest.raises(RecordError, match=r"share no seed \(\{0, 1\} and \{2\}\)"):
        compare_runs(unet[:2], fcn[2:])
    with pytest.raises(ParameterError, match="there is no run to compare"):
        compare_runs([], fcn)


def test_two_seeds_of_one_configuration_are_compared_as_they_are(own_runs):
    names = [record(seed=seed).name for seed in (0, 1)]
    found = compare_runs(*names)
    assert found.notes == ["seed 0 is compared with seed 1"]
    assert found.labels == ("U-Net, width 16, seed 0", "U-Net, width 16, seed 1")
    assert found.mean != 0


def test_another_protocol_is_compared_with_a_note(own_runs):
    one, other = record(), record(hard_and_easy(5), model="fcn_vgg16", recipe="paper", images=400)
    (note,) = compare_runs(one.name, other.name).notes
    assert note == (
        "they follow different protocols: recipe fast and paper, images None and 400; so not the model alone differs"
    )
    assert compare_runs(one.name, other.name).labels[1] == "FCN-VGG-16, width 16, recipe paper, images 400"


def test_runs_of_one_protocol_have_no_note_whatever_their_rates(own_runs):
    one, other = record(), record(model="fcn_vgg16", learning_rate=0.06)
    for run in (one, other):
        rewrite(run, protocol="mini-64-v1")
    assert compare_runs(one.name, other.name).notes == []
    assert load_runs()["protocol"].tolist() == ["mini-64-v1"] * 2
    rewrite(other, protocol="custom-12345678", title="A net")
    found = compare_runs(one.name, other.name)
    assert found.notes[0].startswith("they follow different protocols (mini-64-v1 and custom-12345678): learning_rate ")
    assert found.labels[1] == "A net, learning rate 0.06"


def test_images_at_both_ends_and_those_left_out(own_runs):
    mine, theirs = hard_and_easy(0), hard_and_easy(0)
    mine[7] += 30
    mine[250] -= 25
    theirs[3] = np.nan
    found = compare_runs(record(mine).name, record(theirs, model="fcn_vgg16").name)
    assert len(found.images) == 299
    assert 3 not in found.images.index
    assert found.best(1).reset_index().iloc[0][["index", "group"]].tolist() == [7, "segment:0"]
    assert found.best(1)["difference"].item() == pytest.approx(30)
    assert found.worst(1).index.tolist() == [250]


def test_learning_curves_stand_side_by_side(own_runs):
    names = [record(seed=seed, curve=(20 + seed, 40)).name for seed in (0, 1)]
    others = [record(hard_and_easy(9), seed, "fcn_vgg16", curve=(10, 20, 30)).name for seed in (0, 1)]
    found = compare_runs(names[0], others[0])
    table = found.curves_table()
    assert table.index.tolist() == [100, 200, 300]
    assert table["U-Net, width 16"].tolist()[:2] == [20.5, 40]
    assert np.isnan(table["U-Net, width 16"].iloc[2])
    assert table["FCN-VGG-16, width 16"].tolist() == [10, 20, 30]
    assert "U-Net, width 16: 2 seeds" in found.curves().alt
    page = found._repr_html_()
    assert '<img class="chair-figure"' in page
    assert names[1] in page
    text = str(found)
    assert text.startswith("U-Net, width 16 less FCN-VGG-16, width 16: ")
    for part in ("over 30 groups; by seed: ", "is found in 80 % of studies", "test images of drawn", "most below"):
        assert part in text
    empty = [record(seed=7, curve=(np.nan,), images=9).name, record(None, 7, "fcn_vgg16", curve=(np.nan,)).name]
    assert "validation IoU" not in str(compare_runs(*([one] for one in empty)))


def test_what_cannot_be_compared_is_one_line(own_runs, monkeypatch):
    one = record()
    for other, message in (
        (record(model="fcn_vgg16", data="e" * 16), r"scored on different data \(drawn d{16}, drawn e{16}\)"),
        (record(hard_and_easy(1)[:200], model="a:b", groups=GROUPS[:200]), "were scored on different test images"),
        (record(model="a:c", groups=GROUPS[::-1]), "were scored on different test images"),
        (record(model="a:d", seed=5), "seed 0 is compared with seed 5"),
        (record(np.where(np.arange(300) < 5, 50, np.nan), model="a:e"), "share fewer than two groups"),
    ):
        if "is compared" in message:
            assert compare_runs(one.name, other.name).notes == [message]
            continue
        with pytest.raises(RecordError, match=message) as error:
            compare_runs(one.name, other.name)
        assert "\n" not in str(error.value)
    with pytest.raises(RecordError, match=r"no finished run is called 'unett' \(.*\); `chairlib runs list` lists all"):
        compare_runs("unett", one.name)
    with pytest.raises(RecordError, match=rf"no finished run is called .* \(similar: .*{one.name}"):
        compare_runs(one.name[:-1] + "zz", one.name)


def test_code_must_be_the_same_and_older_code_is_noted(own_runs):
    one, other = record(), record(model="fcn_vgg16")
    rewrite(other, code={"hash": "0" * 16})
    with pytest.raises(RecordError, match="made by different code"):
        compare_runs(one.name, other.name)
    rewrite(one, code={"hash": "0" * 16})
    assert compare_runs(one.name, other.name).notes == ["both were made by other code than that of now"]


def test_a_run_made_from_weights_that_changed_is_refused(own_runs):
    one, other = record(), record(model="fcn_vgg16")
    rewrite(one, made_from={"benchmark-gone": "0" * 16})
    with pytest.raises(RecordError, match="is refused: it was made from other weights than those that benchmark-gone"):
        compare_runs(one.name, other.name)


def test_landscapes_are_not_compared(own_runs):
    run = runs.open_run(LandscapeSettings(), "drawn", "d" * 16)
    run.finish({}, seconds=1.0, images_seen=0, hardware="a test")
    for use in (load_model, lambda name: compare_runs(name, name)):
        with pytest.raises(RecordError, match="is of kind landscape, which has no model of its own"):
            use(run.name)


# -- the model --------------------------------------------------------------------------------------------------------


def test_the_model_of_a_run(own_runs, collection):
    made = train(open_run(data=str(collection.root), device="cpu", **TINY), progress=False)
    kept = examples(made, "fixed")
    images = torch.from_numpy(kept["images"]).permute(0, 3, 1, 2) / 255
    for run in (made, made.name, made.name[:-3], "unet"):
        model = load_model(run)
        assert not model.training
        with torch.inference_mode():
            assert np.allclose(model(images)[:, 0].sigmoid(), kept["probabilities"], atol=0.01)
    rewrite(made, parameters={**made.content["parameters"], "width": 4})
    with pytest.raises(RecordError, match=r"cannot be used: weights .* do not fit the model \(.*size mismatch"):
        load_model(made.name)
    (made.folder / "weights.safetensors").write_bytes(b"cut short")
    with pytest.raises(RecordError, match=r"cannot be used: cannot read .*weights"):
        load_model(made.name)
    (made.folder / "weights.safetensors").unlink()
    with pytest.raises(RecordError, match=r"weights.safetensors is missing although the run is recorded"):
        load_model(made.name)
