"""What a landscape's tables come to, from a record written by hand: every value of a table is known beforehand."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
import torch

import chairlib.benchmark.report as benchmark_report
from chairboard import transfer_tables
from chairboard.landscape_report import KINDS, MOST_FRAMES, RATIOS, open_reference, open_report
from chairlib.core import runs
from chairlib.core.errors import RecordError
from chairlib.core.tensors import save_tensors
from chairlib.landscape import run as landscape
from chairlib.landscape.analyses import barriers_of
from chairlib.landscape.cells import Study
from chairlib.landscape.settings import LandscapeSettings
from chairlib.landscape.states import l2_distance
from chairlib.show.interpolation import barrier_over_pretraining, interpolation_curves, matching_curves
from chairlib.show.landscape import block_distances, cka_by_layer, criticality_bars, distance_bars, soup_bars
from chairlib.show.plane import plane_map
from chairlib.show.scrubber import alpha_scrubber
from chairlib.show.tables import style_table
from chairlib.transfer.run import initial_model
from chairlib.transfer.settings import TransferSettings
from figure_helpers import size_of

WAYS = ("average", "recalibrate")
#: l2 of the first pair of each kind; every further pair is one longer.
LENGTHS = {"ft_ft": 10.0, "rs_rs": 14.0, "ri_ri": 20.0, "ft_p": 8.0, "ri_p": 16.0}
#: Deepest points below the line: F, S, R, and S matched by weights or by activations; half of it when recalibrated.
DEPTHS = {"F": 4.0, "S": 40.0, "R": 30.0, "weights": 20.0, "activations": 12.0}
#: What recalibrating does to every trained model.
SHIFT = -3.0
#: The paper profile's: 41 points from 0 to 1, and a quarter beyond both ends.
PAPER = {"n_alphas": 41, "beyond_ends": 0.25}


def alphas_of(settings):
    return Study(settings, (), (), ()).alphas


def parabola(alpha, depth, way):
    """IoU: 80 at both ends, less ``depth`` half-way; the barrier of a second pair is a point higher."""
    shift = SHIFT if way == "recalibrate" else 0.0
    return 80 + shift - depth * (0.5 if way == "recalibrate" else 1.0) * max(0.0, 4 * alpha * (1 - alpha))


def distances(n_seeds):
    pairs = [f"{i} & {j}" for i, j in combinations(range(1, n_seeds + 1), 2)]
    names = {kind: [f"{n} & P" for n in range(1, n_seeds + 1)] if kind.endswith("p") else pairs for kind in KINDS}
    rows = []
    for kind, length in LENGTHS.items():
        for number, name in enumerate(names[kind]):
            l2, common = length + number, {"norm_a": 30.0, "norm_b": 50.0, "kind": kind, "name": name}
            parts = {"total": 1.0, "stem": 0.6, "classifier": 0.8}  # 0.6 and 0.8 squared are 1
            rows += [{"block": b, "l2": l2 * part, "relative": l2 * part / 40, **common} for b, part in parts.items()]
    return pd.DataFrame(rows)


def curves(settings):
    rows = []
    pairs = list(combinations(range(1, settings.n_seeds + 1), 2))
    grid = product("FSR", enumerate(pairs), WAYS, alphas_of(settings), ("train", "test"))
    for pair, (number, (i, j)), way, alpha, split in grid:
        iou = parabola(alpha, DEPTHS[pair] + number, way) + (10 if split == "train" else 0)
        scores = {"iou": iou, "dice": iou + 5, "precision": 90.0, "loss": 1 - iou / 100}
        at = {"alpha": alpha, "extrapolated": not 0 <= alpha <= 1}
        rows.append({"pair": pair, "name": f"{i} & {j}", "batch_norm": way, **at, "split": split, **scores})
    return pd.DataFrame(rows)


def mean_barriers(settings):
    """Each set's mean barrier, a point more for three models, and an interval that is not even around it."""
    rows, more = [], (settings.n_seeds - 2)
    for pair, way in product("FSR", WAYS):
        height = (DEPTHS[pair] + more) * (0.5 if way == "recalibrate" else 1.0)
        rows.append({"pair": pair, "batch_norm": way, "barrier": height, "low": height - 1, "high": height + 2})
    return rows


def matched(settings):
    """Lines as trained and to the permuted second model; and the lengths, of which permuting takes a tenth or two."""
    pairs = [f"{i} & {j}" for i, j in combinations(range(1, settings.n_seeds + 1), 2)]
    rows, lengths = [], []
    for (number, name), matching in product(enumerate(pairs), ("weights", "activations")):
        share = {"weights": 0.8, "activations": 0.9}[matching]
        before = LENGTHS["ri_ri"] + number
        lengths.append({"name": name, "matching": matching, "before": before, "after": share * before})
        for way, permuted, alpha in product(WAYS, (False, True), alphas_of(settings)):
            iou = parabola(alpha, DEPTHS[matching if permuted else "S"] + number, way)
            common = {"matching": matching, "permuted": permuted, "batch_norm": way, "name": name}
            rows.append({**common, "alpha": alpha, "iou": iou})
    return pd.DataFrame(rows), lengths


def plane(size, rng):
    """Two bowls and noise, in as many levels as a real plane has: what is smoother packs better."""
    axis = np.linspace(-5, 25, size)
    cells = pd.DataFrame(list(product("FS", axis, axis)), columns=["pair", "x", "y"])
    near = np.exp(-((cells["x"] - 5) ** 2 + (cells["y"] - 8) ** 2) / 150)
    noise = rng.uniform(-1, 1, (2, len(cells)))
    return cells.assign(iou=5 + 70 * near + 3 * noise[0], loss=2 - 1.5 * near + 0.05 * noise[1])


def made(own_runs, size=8, cells=0, **changes):
    """A finished run with tables, metrics and examples made by hand."""
    settings = LandscapeSettings.of({"width": 2, "n_alphas": 5, "beyond": True, **changes})
    run = runs.open_run(settings, "stand-in", "0")
    table, lengths = matched(settings)
    tables = {"distances": distances(settings.n_seeds), "curves": curves(settings), "matched": table}
    tables["planes"] = plane(cells, np.random.default_rng(0))
    points = {pair: {"P": [0.0, 0.0], f"{pair}1": [20.0, 0.0], f"{pair}2": [6.0, 18.0]} for pair in "FS"}
    for name, frame in tables.items():
        run.write_table(name, frame)
    generator, n_alphas = torch.Generator().manual_seed(0), len(alphas_of(settings))
    shape = (6, size, size)
    masks = {f"masks.{pair}.{way}": masks_of(n_alphas, shape, generator) for pair, way in product("FSR", WAYS)}
    images = torch.randint(0, 256, (6, 3, size, size), generator=generator, dtype=torch.uint8)
    save_tensors(
        run.folder / "examples.safetensors",
        {"images": images, "targets": masks_of(6, (1, size, size), generator), **masks},
    )
    metrics = {"barriers": barriers_of(tables["curves"]), "mean_barriers": mean_barriers(settings)}
    metrics |= {"points": points, "matched_l2": lengths}
    seen = {
        "seconds": 60.0,
        "images_seen": 0,
        "hardware": "a CPU",
        "member_seconds": 120.0,
        "n_scored": 4,
        "n_train": 16,
    }
    return run.finish(metrics, members={"F1": "one"}, scored_split="val", tables=list(tables), **seen)


def masks_of(count, shape, generator):
    """Blobs, no noise: a disc whose radius changes from mask to mask, with a ragged edge."""
    size = shape[-1]
    y, x = torch.meshgrid(*[torch.arange(size) - size / 2] * 2, indexing="ij")
    radii = size * (0.2 + 0.15 * torch.rand(count, *shape[:-2], 1, 1, generator=generator))
    edge = torch.rand(count, *shape, generator=generator) * size * 0.06
    return ((x**2 + y**2).sqrt() + edge < radii).to(torch.uint8)


@pytest.fixture
def report(own_runs):
    return open_report(made(own_runs), [])


@pytest.fixture
def of_three(own_runs):
    return open_report(made(own_runs, n_seeds=3), [])


# -- distances ---


def table_5(report):
    """Table 5 with plain spaces in the names of its rows."""
    return report.table5().rename(index=lambda name: name.replace("\N{NO-BREAK SPACE}", " "))


def test_table_5_has_our_column_and_then_the_papers(report):
    table = table_5(report)
    assert report.table5().index[0] == "Ft\N{NO-BREAK SPACE}&\N{NO-BREAK SPACE}Ft"  # a pair stays on one line
    papers = ["the paper, segmentation (Chair Segments)", "the paper, classification (Neyshabur et al. 2020)"]
    assert table.columns.tolist() == ["ours, car", *papers]
    assert table.index.tolist() == [*KINDS.values(), *RATIOS]
    ours, segmentation = table["ours, car"], table[papers[0]]
    assert ours[["Ft & Ft", "Rs & Rs", "Ri & Ri"]].tolist() == [10, 14, 20]  # one pair: no spread
    assert ours["Ft & P"] == (8.5, 8, 9)
    assert ours[list(RATIOS)].tolist() == ["0.50", "0.70", "0.52"]
    assert segmentation[list(RATIOS)].tolist() == ["0.59", None, "0.57"]
    assert segmentation["Ft & Ft"] == "373.94"
    # The paper has no models from one random start.
    assert table.loc[["Rs & Rs", "Rs & Rs / Ri & Ri"], papers].isna().all(axis=None)


def test_table_5_shows_other_categories_and_each_of_them_once(own_runs):
    cars, planes, finer = made(own_runs), made(own_runs, category="airplane"), made(own_runs, n_alphas=9)
    planes.content["members"] = {"F1": "another"}
    finer.content["members"] = {"F1": "one", "F1@0": "an early one"}
    report = open_report(cars, [cars.name])
    assert report.others == []
    both = type(report)(cars, [planes, finer])  # the finer one is of the same models
    assert both.table5().columns.tolist()[:2] == ["ours, airplane", "ours, car"]


def test_columns_of_table_5_say_what_tells_them_apart(own_runs):
    def tasks(*changes):
        records = [made(own_runs, **change) for change in changes]
        for number, record in enumerate(records):
            record.content["members"] = {"F1": f"of {number}"}
        columns = type(open_report(records[0], []))(records[0], records[1:]).table5().columns
        return sorted(task.removeprefix("ours, car") for task in columns[:-2])

    assert tasks({"images": 32}, {"images": None}) == [", images 32", ", images by default"]
    assert tasks({"resolution": 32}, {}) == [", resolution 32", ", resolution 64"]
    assert tasks({"width": 4}, {}) == [", model U-Net, width 2", ", model U-Net, width 4"]
    folds = [{"protocol": "folds", "fold": fold} for fold in (1, 2)]
    assert tasks({}, *folds) == [
        ", protocol authors",
        ", protocol folds (fold 1 of 5)",
        ", protocol folds (fold 2 of 5)",
    ]
    assert tasks({"pretrain": {"images": 640}}, {"n_seeds": 3}) == [
        ", seeds 2, P's images 640",
        ", seeds 3, P's images by default",
    ]
    assert tasks({"data": "/home/me/mine"}, {}) == [", P's data mine", ", P's data mini"]
    same = tasks({"plane": 2}, {"plane": 3})  # nothing that a setting would tell
    assert len(set(same)) == 2
    assert all(task.startswith(", run landscape-") for task in same)


def test_kinds_of_pairs_in_another_order_than_the_papers_are_told(own_runs, report, monkeypatch):
    assert report.differences_from_paper() == []  # 10, 20, 8.5 and 16.5: the paper's order
    lengths = {"ft_ft": 10.0, "ri_ri": 20.0, "ft_p": 12.0, "ri_p": 24.1}
    monkeypatch.setattr(f"{__name__}.LENGTHS", lengths)
    told = open_report(made(own_runs, n_alphas=7), []).differences_from_paper()
    assert told == [  # means over two pairs: 12.5 and 24.6
        "Table 5: Ft & P is 125 % of Ft & Ft here (car, the stand-in), and 84 % in the paper.",
        "Table 5: Ri & P is 123 % of Ri & Ri here (car, the stand-in), and 86 % in the paper.",
    ]


def test_the_reference_build_has_the_same_tables(own_runs, ship):
    assert open_reference() is None
    cars, planes = made(own_runs), made(own_runs, category="airplane")
    planes.content["members"] = {"F1": "another"}
    ship([planes, cars], "Made on 2026-01-02.")
    shipped, ours = open_reference(), type(open_report(cars, []))(planes, [cars])
    assert [shipped.record.name, *(record.name for record in shipped.others)] == [planes.name, cars.name]
    assert style_table(shipped.table5(), "").data == style_table(ours.table5(), "").data
    assert style_table(shipped.barriers(), "").data == style_table(ours.barriers(), "").data


def test_the_title_says_which_fold(own_runs):
    report = open_report(made(own_runs, protocol="folds", fold=3), [])
    assert "protocol folds (fold 3 of 5), val images" in report.title


def test_whole_models_by_kind(report, of_three):
    table = report.whole_distances().iloc[:5]
    assert table["models"].tolist() == list(KINDS.values())
    assert table["pairs"].tolist() == [1, 1, 1, 2, 2]
    assert table["l2 distance"].tolist() == [10, 14, 20, (8.5, 8, 9), (16.5, 16, 17)]
    assert table["mean norm of the two"].tolist() == [40, 40, 40, (40, 40, 40), (40, 40, 40)]
    assert table["relative to it"].tolist()[:3] == [0.25, 0.35, 0.5]
    assert table["relative to it"].iloc[3] == pytest.approx((0.2125, 0.2, 0.225))
    assert of_three.whole_distances()["l2 distance"].tolist()[:3] == [(11, 10, 12), (15, 14, 16), (21, 20, 22)]


def test_the_yardstick_of_distances_is_two_fresh_models_of_this_architecture(own_runs):
    """No constant: U-Net's BatchNorm scales start at 1 in every model, and carry much of its norm."""
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    last = {
        name: open_report(made(own_runs, model=name, width=8), []).whole_distances().iloc[-1]
        for name in ("unet", "fcn_vgg16")
    }
    assert torch.equal(torch.random.get_rng_state(), before)
    one, other = (initial_model(TransferSettings(model="unet", width=8, seed=seed)).state_dict() for seed in (0, 1))
    assert last["unet"]["models"] == "S1 & S2 before training"
    assert last["unet"]["l2 distance"] == pytest.approx(l2_distance(one, other))
    assert last["unet"]["relative to it"] == pytest.approx(
        last["unet"]["l2 distance"] / last["unet"]["mean norm of the two"], abs=1e-6
    )
    assert last["unet"]["relative to it"] < 1
    assert 1.3 < last["fcn_vgg16"]["relative to it"] < 2**0.5  # no BatchNorm, but upsampling that starts alike


def test_blocks_have_absolute_distances(report):
    table = report.block_distances()
    assert table["block"].tolist() == ["stem", "classifier"]
    assert table.columns.tolist() == ["block", *KINDS.values()]
    assert table["Ri & Ri"].tolist() == [12, 16]
    assert table["Rs & Rs"].tolist() == pytest.approx([8.4, 11.2])
    assert table["Ft & P"].iloc[0] == pytest.approx((5.1, 4.8, 5.4))
    assert (report.distances()["block"] == "total").all()
    assert set(report.distances(block=True)["block"]) == {"stem", "classifier"}


def test_one_pair_is_said_to_have_no_spread(report, of_three):
    assert "one pair of each set" in report.pairs
    assert "no spread" in report.pairs
    assert "3 pairs of each set" in of_three.pairs
    assert "no spread" not in of_three.pairs


def test_values_are_shown_with_the_places_they_need(report):
    shown = style_table(report.table5(), "", decimals=1).data
    assert ">0.59<" in shown
    assert ">0.50<" in shown
    assert ">8.5 <" in shown  # not 8.500
    assert ">796.80<" in shown  # as the paper printed it


# -- lines ---


def test_barriers_by_set_and_way(report, of_three):
    table = report.barriers()
    titles = ["fine-tuned (F)", "from scratch (S)", "from scratch, one start (R)"]
    assert list(zip(table["models"], table["BatchNorm"], strict=True)) == list(product(titles, WAYS))
    heights = [4, 2, 40, 20, 30, 15]
    assert table["val images, points of IoU"].tolist() == [(height, height - 1, height + 2) for height in heights]
    for column in ("each pair, val images", "each pair, train images"):
        assert table[column].tolist() == [f"{height:.1f}" for height in heights]
    table = of_three.barriers()
    assert table["val images, points of IoU"].iloc[4] == (31, 30, 33)
    assert table["each pair, train images"].iloc[4] == "30.0 / 31.0 / 32.0"


def test_a_barrier_is_shown_with_its_interval(report):
    shown = style_table(report.barriers(), "").data
    assert "4.0" in shown
    assert "(3.0–6.0)" in shown


def test_the_answer_is_three_sentences_with_values_and_control(report, of_three):
    tuned, scratch, control = report.in_short()
    assert tuned == (
        "Average two fine-tuned models (F): with BatchNorm averaged, more than 2 points of IoU are lost; with it "
        "recalibrated, it is not clear whether more than 2 points of IoU are lost. Between them, IoU falls by at most "
        "4.0 points (3.0–6.0) with BatchNorm averaged and 2.0 points (1.0–4.0) with it recalibrated."
    )
    assert scratch == (
        "Average two models from scratch (S): more than 2 points of IoU are lost. IoU falls by at most 40.0 points "
        "(39.0–42.0) with BatchNorm averaged and 20.0 points (19.0–22.0) with it recalibrated."
    )
    assert "and 15.0 points (14.0–17.0) with it recalibrated: less than S and more than F" in control
    assert control.endswith(". Each number is of one pair; brackets hold 95 % intervals over images.")
    assert "Each number is the mean of 3 pairs; brackets" in of_three.in_short()[2]


def test_the_answer_claims_nothing_for_models_that_have_learned_nothing(own_runs):
    record = made(own_runs)
    curves = record.table("curves")
    curves["iou"] = 0.0
    curves.to_csv(record.file("curves.csv"), index=False)
    for row in [*record.metrics["barriers"], *record.metrics["mean_barriers"]]:
        row |= {name: 0.0 for name in ("barrier", "low", "high") if name in row}
    tuned, scratch, control = open_report(record, []).in_short()
    assert tuned.startswith("Average two fine-tuned models (F): nothing can be said, as the models themselves score")
    assert "0.0 points (0.0–0.0) with BatchNorm averaged and 0.0 points (0.0–0.0) with it recal" in scratch
    assert ": too little is known to say what makes the difference. " in control


def test_recalibrating_shifts_the_trained_models(report):
    table = report.recalibration_shift()
    assert table["model"].tolist() == ["F1", "F2", "R1", "R2", "S1", "S2"]
    assert table["as trained"].tolist() == [80] * 6
    assert table["recalibrated"].tolist() == [77] * 6
    assert table["shift, points"].tolist() == [SHIFT] * 6


def test_matching_in_numbers(report, of_three):
    table = report.matching()
    assert list(zip(table["matched by"], table["BatchNorm"], strict=True)) == list(
        product(("weights", "activations"), WAYS)
    )
    assert table["barrier before, points"].tolist() == pytest.approx([40, 20, 40, 20])
    assert table["barrier after, points"].tolist() == pytest.approx([20, 10, 12, 6])
    assert table["l2 before"].tolist() == [20] * 4
    assert table["l2 after"].tolist() == pytest.approx([16, 16, 18, 18])
    assert table["pairs"].tolist() == [1] * 4
    spread = of_three.matching().iloc[0]
    assert spread["pairs"] == 3
    assert spread["barrier before, points"] == pytest.approx((41, 40, 42))
    assert spread["barrier after, points"] == pytest.approx((21, 20, 22))
    assert spread["l2 after"] == pytest.approx((16.8, 16, 17.6))


def test_what_was_not_asked_for_is_none(own_runs):
    report = open_report(made(own_runs), [])
    report.record.content["tables"].remove("matched")
    assert report.matching() is None
    assert report.table("early") is None
    assert report.plane("F") is None


# -- what is shown ---


def test_axes_name_the_split_that_is_scored(report):
    assert report.axis() == "validation IoU on car, the stand-in (%)"
    assert report.scrubber()["data_label"] == report.axis()
    report.record.content["scored_split"] = "test"
    assert report.axis("loss", "BCE") == "test loss on car, the stand-in (BCE)"


def test_planes_say_that_models_lie_between_the_cells(own_runs):
    report = open_report(made(own_runs, cells=4), [])
    shown = report.plane("F", "loss")
    cells = report.record.table("planes").query("pair == 'F'").set_index(["x", "y"])["loss"]
    assert shown["values"].shape == (4, 4)
    assert shown["values"][1, 2] == cells[shown["x"][2], shown["y"][1]]
    assert "not the model's own score" in report.plane("F")["caption"]
    assert shown["caption"] == ""  # once on a page is enough
    assert shown["data_label"].startswith("validation loss")
    assert "not the model's own" in plane_map(**report.plane("F")).alt


def test_planes_of_one_metric_have_one_scale(own_runs):
    report = open_report(made(own_runs, cells=4), [])
    table = report.record.table("planes")
    for metric in ("iou", "loss"):
        both = [report.plane(pair, metric) for pair in "FS"]
        assert both[0]["scale"] == both[1]["scale"] == (table[metric].min(), table[metric].max())
        assert [plane["low_is_good"] for plane in both] == [metric == "loss"] * 2


def test_the_prose_is_given_its_values(report):
    values = report.glued("toy", "A toy.")
    assert values["landscape_sentence"] == (
        "A toy. U-Net, width 2 on car, the stand-in, protocol authors, val images. 4 images are scored, and IoU counts "
        "those with the object; 16 are for training, and lines are scored on up to 128 of these too. 2 models "
        "fine-tuned, 2 from scratch, 2 from one random start. On a CPU: 2.0 minutes of training, with P, and 1.0 of "
        "analysis. Other chapters count some of these runs as well."
    )


@pytest.mark.parametrize(
    "grid", [{"n_alphas": 5}, {"n_alphas": 21}, {"n_alphas": 41}, {"n_alphas": 42, "beyond_ends": 0.5}, PAPER]
)
def test_a_scrubber_has_few_frames_each_with_its_own_masks(own_runs, grid):
    record = made(own_runs, **grid)
    shown, alphas = open_report(record, []).scrubber(), alphas_of(record.settings)
    assert set(shown["predicted"]) == set(product("FSR", WAYS))
    assert len(shown["alphas"]) <= MOST_FRAMES
    assert {0, 1} <= set(shown["alphas"]) <= set(alphas)
    steps = np.diff(shown["alphas"])
    assert np.isclose(steps, steps[0]).sum() >= len(steps) - 2  # 1 may fall between two steps
    if len(alphas) <= MOST_FRAMES:
        assert shown["alphas"] == alphas
    masks = landscape.examples(record)["predicted"]
    for key, frames in shown["predicted"].items():
        for alpha, frame in zip(shown["alphas"], frames, strict=True):
            assert np.array_equal(frame, masks[key][alphas.index(alpha)])
    assert shown["curves"]["alpha"].nunique() == len(alphas)  # curves stay as fine as they were computed


def test_a_record_without_masks_says_so(own_runs):
    record = made(own_runs)
    save_tensors(record.file("examples.safetensors"), {"images": torch.zeros(1)})
    with pytest.raises(RecordError, match="has no masks"):
        open_report(record, []).scrubber()


def test_a_page_at_the_papers_size_stays_below_3_mb(own_runs):
    """The scrubber, and every figure in base64. The page's text and tables take 0.2 MB."""
    report = open_report(made(own_runs, size=64, cells=25, n_seeds=3, **PAPER), [])
    assert report.record.table("curves")["alpha"].nunique() == 61
    size = (
        size_of(alpha_scrubber(**report.scrubber()))
        + sum(len(figure.data) for figure in papers_figures(report))
        + 200_000
    )
    assert size < 3_000_000


def papers_figures(report):
    """All that the chapter draws when it has everything."""
    for pair, metric in product("FS", ("iou", "loss")):
        yield plane_map(**report.plane(pair, metric))
    yield interpolation_curves(report.record.table("curves"), data_name=report.photos)
    yield distance_bars(report.distances())
    yield block_distances(report.distances(block=True))
    for _, own in report.table("matched").groupby("matching"):
        yield matching_curves(own, report.axis())
    early = [(48 * 4**power, way, 40.0 / (power + 1)) for power, way in product(range(6), WAYS)]
    yield barrier_over_pretraining(pd.DataFrame(early, columns=["images", "batch_norm", "barrier"]))
    shown = ["F1", "F2", "F3", *(f"{what}, {way}" for way in WAYS for what in ("mean", "soup", "ensemble"))]
    kinds = [*["member"] * 3, *["mean", "soup", "ensemble"] * 2]
    soups = pd.DataFrame({"label": shown, "kind": kinds, "iou": 70.0, "low": 68.0, "high": 72.0})
    yield from (soup_bars(soups, report.axis()) for _ in "FS")
    blocks = [f"{side}.{number}" for side in ("down", "up") for number in range(5)]
    layers = [(kind, block, 0.8) for kind, block in product(("ft_ft", "ri_ri"), blocks)]
    yield cka_by_layer(pd.DataFrame(layers, columns=["kind", "layer", "cka"]))
    rewound = [(pair, block, 60.0, 75.0) for pair, block in product("FS", blocks)]
    columns = ["pair", "block", "iou", "untouched"]
    yield criticality_bars(pd.DataFrame(rewound, columns=columns), report.axis())


def test_the_reference_build_that_ships_opens_in_every_report():
    """Whatever settings and records are by now: it is never refused."""
    trained, tuned = benchmark_report.open_reference(), transfer_tables.open_reference()
    assert len(trained.table2()) > 4
    assert {"helps", "hurts"} & set(tuned.gains()["verdict"])
    assert len(open_reference().table5().columns) == 2 + 3
    assert "evening" in trained.records[0].content["reference"]
