import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from chairlib.benchmark import train
from chairlib.benchmark.jobs import count_images
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.build import book, snakemake
from chairlib.build import plan as build
from chairlib.build.plan import Plan
from chairlib.collection import Collection
from chairlib.core import paths
from chairlib.core.errors import ChairlibError, CollectionError, ParameterError
from chairlib.core.locks import started
from chairlib.transfer.protocols import CATEGORIES
from chairlib.transfer.recipes import get_recipe
from chairlib.transfer.settings import TransferSettings
from lock_helpers import holder

PROFILE = """
description: A profile of a test.
gallery: {size: 32, each: 1, n_angles: 2, n_values: 1}
collection: {leakage_threshold: 0}
compositing: {n_examples: 3}
benchmark:
  featured: {resolution: 64}
  common: {recipe: fast, width: 4, images: 20}
  runs:
    - {model: unet, resolution: [32, 64]}
    - {model: unet, resolution: 64}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with a profile of its own, named so that every tool on the way has to quote it."""
    home = tmp_path / "it's a home"
    (home / "profiles").mkdir(parents=True)
    (home / "profiles" / "toy.yaml").write_text(PROFILE)
    for name in ("home", "cache", "runs", "notebooks", "book"):
        monkeypatch.setattr(paths, name, {"home": home, "cache": home / ".cache"}.get(name, home / name))
    return home


TRANSFER = """
transfer:
  featured: {category: horse}
  common: {recipe: fast, width: 4, images: 8}
  runs:
    - {category: [car, horse], pretraining: [none, chair_segments]}
"""


@pytest.fixture
def plan(home, collection):
    return Plan("toy", str(collection.root))


def jobs_of(plan, notebook):
    return [job for job in plan.jobs if job.notebook == notebook]


def benchmark_jobs(plan):
    return jobs_of(plan, "03_benchmark")


def transfer_jobs(plan):
    return jobs_of(plan, "05_object_discovery")


def landscape_jobs(plan):
    return jobs_of(plan, "07_loss_landscape")


def extra_runs(plan, kind):
    return [run for run in plan.extra_runs if run.kind == kind]


def test_jobs(plan, collection, home):
    pages = home / "book" / "notebooks"
    data = str(collection.root.resolve())
    # The featured one first, each once.
    assert [run.settings.resolution for run in plan.benchmark_runs] == [64, 32]
    own = benchmark_jobs(plan)[: len(plan.benchmark_runs)]  # what follows serves the landscape
    assert [job.out for job in own] == [
        pages / "03_benchmark.ipynb",
        pages / "runs" / f"{plan.benchmark_runs[1].name}.ipynb",
    ]
    for job, run in zip(own, plan.benchmark_runs, strict=True):
        assert job.record == home / "runs" / run.name / "record.json"
        assert job.parameters == run.settings.to_dict()
        assert job.parameters["data"] == data
        assert job.parameters["device"] == "auto"
    chapters = {job.notebook: job for job in plan.jobs if job.record is None}
    assert list(chapters) == [
        "01_collection",
        "01_gallery",
        "02_compositing",
        "04_benchmark_report",
        "06_transfer_report",
        "08_leaderboard",
    ]
    assert all(job.out == pages / f"{name}.ipynb" for name, job in chapters.items())
    assert chapters["01_collection"].parameters == {"data": data, "leakage_threshold": 0}
    assert chapters["01_gallery"].parameters == {"size": 32, "each": 1, "n_angles": 2, "n_values": 1}
    assert chapters["02_compositing"].parameters == {"data": data, "n_examples": 3}
    assert chapters["04_benchmark_report"].parameters == {
        "data": data,
        "profile": "toy",
        "description": "A profile of a test.",
        "runs": [run.name for run in plan.benchmark_runs],
    }
    assert chapters["04_benchmark_report"].needs == tuple(job.record for job in own)
    made = {job.record for job in plan.jobs if job.record}
    assert {need for job in plan.jobs for need in job.needs} <= made


def test_parameters_are_those_that_the_notebooks_declare(plan):
    papermill = pytest.importorskip("papermill")
    for job in plan.jobs:
        file = paths.package.parent / "notebooks" / f"{job.notebook}.ipynb"
        assert job.parameters.keys() <= papermill.inspect_notebook(file).keys()


def test_relative_data_and_profile_mean_the_same_anywhere(home, collection, monkeypatch):
    monkeypatch.chdir(collection.root.parent)
    by_name = Plan("toy", collection.root.name)
    assert by_name.inputs.data == str(collection.root.resolve())
    monkeypatch.chdir(home)
    by_path = Plan("profiles/toy.yaml", str(collection.root))
    assert [run.name for run in by_path.runs] == [run.name for run in by_name.runs]


def test_mistakes_are_found_before_anything_starts(home, collection, tmp_path):
    with pytest.raises(ParameterError, match="profile 'nope' does not exist; use toy"):
        Plan("nope", str(collection.root))
    with pytest.raises(CollectionError, match="is not a folder"):
        Plan("toy", str(tmp_path / "nope"))
    with pytest.raises(ParameterError, match="device 'gpu' cannot be used here"):
        Plan("toy", str(collection.root), "gpu")
    (home / "profiles" / "toy.yaml").write_text(PROFILE.replace("model: unet", "model: unett"))
    with pytest.raises(ParameterError, match="unett"):
        Plan("toy", str(collection.root))
    assert not paths.runs.exists()


def test_fine_tuning_starts_from_the_benchmark_run_of_the_same_model(home, collection):
    (home / "profiles" / "both.yaml").write_text(PROFILE + TRANSFER)
    plan = Plan("both", str(collection.root))
    chairs = plan.benchmark_runs[0]  # 64 pixels, as the fine-tuning
    own = transfer_jobs(plan)[: len(plan.transfer_runs)]  # what follows serves the landscape
    assert [(job.parameters["category"], job.parameters["pretrained"]) for job in own] == [
        ("horse", None),
        ("car", None),
        ("car", chairs.name),
        ("horse", chairs.name),
    ]
    assert [job.needs for job in own] == [(), (), *[(chairs.folder / "record.json",)] * 2]
    assert transfer_jobs(plan)[0].out == home / "book" / "notebooks" / "05_object_discovery.ipynb"
    assert transfer_jobs(plan)[1].out.parent.name == "transfer"
    assert jobs_of(plan, "06_transfer_report")[0].parameters["runs"] == [run.name for run in plan.transfer_runs]
    assert {job.notebook for job in plan.jobs} >= {"05_object_discovery", "06_transfer_report"}
    before = plan.fingerprint(transfer_jobs(plan)[0])
    assert plan.fingerprint(replace(transfer_jobs(plan)[0], data_hash="other photos")) != before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("width: 4, images: 8", "no benchmark run of unet with width 8 at 64 px to pretrain from"),
        ("chair_segments]", "pretraining 'sofas' is unknown; use one of none, none_equal_total"),
    ],
)
def test_pretraining_that_no_run_gives_is_told(home, collection, changed, message):
    text = TRANSFER.replace(changed, {"w": "width: 8, images: 8", "c": "sofas]"}[changed[0]])
    (home / "profiles" / "both.yaml").write_text(PROFILE + text)
    with pytest.raises(ParameterError, match=message):
        Plan("both", str(collection.root))


LANDSCAPE = """
landscape:
  featured: {category: horse}
  common: {recipe: fast, width: 4, images: 8, n_seeds: 3, n_alphas: 3}
  runs:
    - {category: [car, horse]}
"""


def test_landscapes_share_their_models_with_fine_tuning(home, collection):
    (home / "profiles" / "all.yaml").write_text(PROFILE + TRANSFER + LANDSCAPE)
    plan = Plan("all", str(collection.root))
    horse, car = plan.landscape_runs  # the featured one first
    assert (horse.settings.category, car.settings.category) == ("horse", "car")
    pretrained = next(run for run in plan.benchmark_runs if run.settings.resolution == 64)
    # Fine-tuning has seed 0 of both arms of both categories; seeds 1 and 2 are the landscape's own, and so are those
    # from the random start of seed 0.
    assert len(extra_runs(plan, "transfer")) == 2 * 2 * 2 + 2 * 2
    assert not extra_runs(plan, "benchmark")
    started = {run.settings.pretrained for run in extra_runs(plan, "transfer")}
    assert started == {None, pretrained.name}  # one pretraining for all: or they could share no basin
    chapter, other = landscape_jobs(plan)
    assert chapter.out == home / "book" / "notebooks" / "07_loss_landscape.ipynb"
    assert other.out.parent.name == "landscape"
    assert other.record in chapter.needs  # its Table 5 shows all categories
    assert chapter.record not in other.needs
    needed = {path.parent.name for path in chapter.needs}
    assert needed >= {run.name for run in plan.transfer_runs if run.settings.category == "horse"} | {pretrained.name}
    made = {job.record for job in plan.jobs}
    assert set(chapter.needs) | set(other.needs) <= made
    assert not {run.name for run in extra_runs(plan, "transfer")} & set(
        jobs_of(plan, "06_transfer_report")[0].parameters["runs"]
    )


def test_a_profile_without_landscapes_has_the_stored_one(plan):
    (run,) = plan.landscape_runs
    assert run.settings.width == 4
    assert landscape_jobs(plan)[0].out.stem == "07_loss_landscape"
    assert extra_runs(plan, "benchmark")


@pytest.fixture
def coco(tmp_path):
    """A folder as `chairlib coco-chairs` writes it: two training crops, one for validation."""
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        for kind in ("image", "mask"):
            (tmp_path / "crops" / split / kind).mkdir(parents=True)
            for number in range(count):
                picture = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
                mask = np.full((40, 40), 255, np.uint8)
                Image.fromarray(picture if kind == "image" else mask).save(
                    tmp_path / "crops" / split / kind / f"{number}.png"
                )
    note = {"source": "coco_chairs", "name": "COCO chairs (drawn)", "groups": {"train": ["7", "7"]}}
    (tmp_path / "crops" / "source.json").write_text(json.dumps(note))
    return tmp_path / "crops"


def test_cocos_chairs_are_pretrained_on_where_they_are_given(home, collection, coco):
    text = TRANSFER.replace("[none, chair_segments]", "[none, chair_segments, coco_chairs, chair_segments_matched]")
    (home / "profiles" / "all.yaml").write_text(PROFILE + text)
    without = Plan("all", str(collection.root))
    landscape = {run.name for run in without.extra_runs}
    assert {run.settings.pretraining for run in without.transfer_runs} == {"none", "chair_segments"}

    plan = Plan("all", str(collection.root), coco=str(coco))
    assert len(plan.transfer_runs) == 8
    on_coco, matched = (
        run for run in extra_runs(plan, "benchmark") if run.name not in landscape
    )  # shared by both categories
    assert on_coco.settings.data == str(coco)
    assert on_coco.data["name"] == "COCO chairs (drawn)"
    assert matched.settings.train_images == 2
    base = plan.benchmark_runs[0].settings.to_dict()
    for extra in (on_coco, matched):  # the same budget, and the same in all else
        assert count_images(extra)[0] == count_images(plan.benchmark_runs[0])[0]
        different = {name for name, value in extra.settings.to_dict().items() if value != base[name]}
        assert different <= {"data", "train_images", "evaluations"}
    # As often as the run that they stand beside, which has seen less than eight epochs by the end.
    assert on_coco.settings.evaluations == matched.settings.evaluations == 8
    starts = {run.settings.pretraining: run.settings.pretrained for run in plan.transfer_runs}
    assert starts["coco_chairs"] == on_coco.name
    assert starts["chair_segments_matched"] == matched.name
    # The benchmark's own report has nothing to do with them.
    assert not {run.name for run in plan.extra_runs} & set(jobs_of(plan, "04_benchmark_report")[0].parameters["runs"])
    assert {run.folder / "record.json" for run in extra_runs(plan, "benchmark")} <= {
        job.record for job in benchmark_jobs(plan)
    }


def test_sources_that_are_compared_see_as_many_images(home, collection, coco):
    text = TRANSFER.replace("[none, chair_segments]", "[none, coco_chairs, chair_segments_matched]")
    # A recipe that stops early, scored once an epoch of two crops, would end as soon as its score stands still.
    stopping = PROFILE.replace(
        "recipe: fast, width: 4, images: 20", "recipe: paper, width: 4, images: 64, val_images: 2, test_images: 2"
    )
    (home / "profiles" / "all.yaml").write_text(stopping + text)
    plan = Plan("all", str(collection.root), coco=str(coco))
    starts = {run.settings.pretrained for run in plan.transfer_runs} - {None}
    records = [train(run, progress=False) for run in plan.extra_runs if run.name in starts]
    assert len(records) == 2
    assert [record.content["images_seen"] for record in records] == [64, 64]
    assert len({len(record.history()) for record in records}) == 1
    assert [record.content["recipe"]["patience"] for record in records] == [None, None]


def test_the_paper_profile_gives_every_arm_as_many_images(collection):
    plan = Plan("paper", str(collection.root))
    asked = [run.settings for run in plan.transfer_runs]
    assert len({(run.images, run.evaluations) for run in asked}) == 1
    assert None not in (asked[0].images, asked[0].evaluations)
    assert {run.share for run in asked} == {5, 10, 25, 50, 100}
    beside = [run for run in asked if run.protocol == "subset100"]
    assert {(run.category, run.pretraining, run.seed) for run in beside} == set(
        itertools.product(CATEGORIES, ("none", "chair_segments"), (0, 1, 2))
    )


def test_a_folder_without_cocos_chairs_is_told(home, collection, tmp_path):
    with pytest.raises(ParameterError, match=r"is no folder of COCO's chairs; make one with: chairlib coco-chairs"):
        Plan("toy", str(collection.root), coco=str(tmp_path))


def test_photos_that_are_not_there_are_told_before_anything_starts(home, collection, tmp_path):
    with pytest.raises(CollectionError, match="is not the Object Discovery release"):
        Plan("toy", str(collection.root), photos=str(tmp_path / "nowhere"))


def test_fingerprint_changes_with_what_decides_the_outcome(plan, collection):
    job = benchmark_jobs(plan)[0]
    before = plan.fingerprint(job)
    assert "\n" not in before
    assert Plan("toy", str(collection.root)).fingerprint(job) == before
    assert plan.fingerprint(benchmark_jobs(plan)[1]) != before
    assert plan.fingerprint(replace(job, data_hash="another")) != before
    assert plan.fingerprint(replace(job, parameters={**job.parameters, "seed": 9})) != before


def test_fingerprint_changes_with_the_code_and_the_papers_tables(home, collection, tmp_path, monkeypatch):
    package = tmp_path / "package"
    table = package / "assets" / "published" / "table1.csv"
    table.parent.mkdir(parents=True)
    (package / "collection").mkdir()
    archive = package / "assets" / "reference" / "evening-2026-01-02.zip"
    archive.parent.mkdir()
    added = tmp_path / "extras" / "chairextra"
    embedded = [package / "assets" / name for name in ("widgets.js", "scrubber.html", "fonts/serif.ttf")]
    embedded.append(added / "assets" / "browser.js")
    files = [package / "figures.py", package / "collection" / "collection.py", table, archive, *embedded]
    no_code = [package / "assets" / "mini" / "segments" / "a.png", added / "__pycache__" / "cli.cpython-311.pyc"]
    for file in (*files, *no_code):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("as it was")
    monkeypatch.setattr(build, "entry_points", lambda group: [SimpleNamespace(module="chairextra.cli")])
    monkeypatch.setattr(build, "project_folder", lambda name: tmp_path / "extras")

    def fingerprint():
        plan = Plan("toy", str(collection.root))
        job = benchmark_jobs(plan)[0]
        with monkeypatch.context() as patch:
            patch.setattr(paths, "package", package)
            patch.setattr(paths, "assets", package / "assets")
            return plan.fingerprint(job)

    seen = {fingerprint()}
    os.utime(files[0], (1, 1))  # a fresh clone has other times
    assert fingerprint() in seen
    for file in no_code:
        file.write_text("changed")
    assert fingerprint() in seen
    for file in files:
        file.write_text("changed")
        seen.add(fingerprint())
    files[0].rename(package / "pictures.py")
    seen.add(fingerprint())
    assert len(seen) == 2 + len(files)


def test_leftovers_go_and_pages_of_the_plan_stay(plan, home):
    pages = home / "book" / "notebooks"
    wanted = [job.out for job in plan.jobs]
    leftovers = [
        pages / "runs" / "benchmark-of-another-profile.ipynb",
        pages / "runs" / f"{plan.benchmark_runs[1].name}.failed.ipynb",
        pages / "03_benchmark.failed.ipynb",
        pages / ".02_compositing.ipynb.0123abcd.tmp",
    ]
    for page in (*wanted, *leftovers):
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("x")
    plan.remove_leftovers()
    assert all(page.exists() for page in wanted)
    assert not any(page.exists() for page in leftovers)


def test_halves_of_cached_files_go_when_they_are_a_day_old(plan, home):
    cache = home / ".cache" / "packed"
    old, new, whole = (cache / name for name in (".a.safetensors.0123abcd.tmp", ".b.safetensors.4567cdef.tmp", "c"))
    cache.mkdir(parents=True)
    for file in (old, new, whole):
        file.write_text("x")
    for file in (old, whole):
        os.utime(file, (time.time() - 25 * 3600,) * 2)
    plan.remove_leftovers()
    assert sorted(cache.iterdir()) == sorted([new, whole])


def test_leftovers_of_a_first_build(plan):
    plan.remove_leftovers()


def test_estimate_counts_what_is_not_done(plan, home, monkeypatch):
    speeds = {32: 0.5, 64: 2.0}
    measured = []
    plan.extra_runs, plan.landscape_runs = [], []

    def measure_speed(settings, recipe):
        measured.append((settings.resolution, recipe.batch_size))
        return speeds[settings.resolution], 0.0

    monkeypatch.setattr("chairlib.benchmark.jobs.measure_speed", measure_speed)
    # Of fine-tuning, which this profile leaves to chapter 05's stored settings, 320 images at 64 pixels.
    assert build.estimate(plan) == 20 * 0.5 + 20 * 2.0 + 320 * 2.0
    plan.benchmark_runs[0].finish({}, seconds=1, images_seen=1, hardware="")
    measured.clear()
    assert build.estimate(plan) == 20 * 0.5 + 320 * 2.0
    # By each kind's own recipe: theirs may differ in batch size, and with it in speed.
    assert measured == [(32, 32), (64, get_recipe("fast", "unet").batch_size)]


def test_estimate_counts_the_images_of_a_pretraining_that_another_run_trains_as_long_as(home, collection, monkeypatch):
    arms = TRANSFER.replace("category: [car, horse]", "category: horse").replace("chair_segments", "none_equal_total")
    (home / "profiles" / "toy.yaml").write_text(PROFILE + arms)
    plan = Plan("toy", str(collection.root))
    plan.extra_runs, plan.landscape_runs = [], []
    monkeypatch.setattr("chairlib.benchmark.jobs.measure_speed", lambda *_: (1.0, 0.0))
    assert build.estimate(plan) == 20 + 20 + 8 + (8 + 20)
    assert plan.benchmark_runs[0].settings.resolution == 64  # the pretraining; it is done, but its number still counts
    plan.benchmark_runs[0].finish({}, seconds=1, images_seen=1, hardware="")
    assert build.estimate(plan) == 20 + 8 + (8 + 20)


def build_nothing(home, collection, words):
    """Start a build that cannot go far, and fails with these words."""
    (home / "Snakefile").write_text("rule: nonsense(")
    with pytest.raises(ChairlibError, match=words):
        snakemake.build("toy", str(collection.root), "cpu", True, "stand-in", None)


def test_second_build_is_refused_while_the_first_lives(home, collection):
    with holder(paths.cache, "build") as first:
        words = f"another build is running in .*: process {first.pid} on .*, since .*; wait for it, or stop it"
        build_nothing(home, collection, words)
        first.kill()
        first.wait()
        build_nothing(home, collection, "the build stopped")


def test_second_build_is_refused_while_snakemake_lives_on_alone(checkout, collection):
    told = checkout / "pid"
    (checkout / "Snakefile").write_text(
        # It does not hear that the build is gone.
        "import os, signal, time\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
        f"open({str(told)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    command = [sys.executable, "-m", "chairlib", "paper", "--profile", "toy", "--data", str(collection.root)]
    environment = {**os.environ, "CHAIRLIB_HOME": str(checkout)}
    build = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (told.exists() and told.read_text()):
        assert build.poll() is None, build.communicate()[1]
        time.sleep(0.05)
    engine = int(told.read_text())
    try:
        build.kill()
        build.wait()
        build_nothing(checkout, collection, f"another build is running in .*: process {engine} on ")
    finally:
        os.kill(engine, signal.SIGKILL)
    while started(engine):
        time.sleep(0.05)
    build_nothing(checkout, collection, "the build stopped")


def test_a_plan_opens_its_collection_a_few_times_however_many_runs_it_has(home, collection, monkeypatch):
    opened = []

    def count(root):
        opened.append(root)
        return Collection(root)

    monkeypatch.setattr("chairlib.benchmark.protocols.Collection", count)
    many = PROFILE.replace("model: unet, resolution: 64", "model: unet, resolution: 64, seed: [1, 2, 3, 4, 5, 6]")
    (home / "profiles" / "toy.yaml").write_text(many)
    plan = Plan("toy", str(collection.root))
    assert len(plan.for_snakemake()) > 14
    assert len(opened) <= 2  # once for its runs, and once for their jobs


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs, as far as a plan can tell."""
    for module in (build, "chairlib.benchmark.run", "chairlib.transfer.run"):
        name = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(
            f"{name}.pick_device", lambda name: SimpleNamespace(type="cpu" if name == "cpu" else "cuda")
        )
    monkeypatch.setattr(build.gpus, "visible", lambda: ["a", "b"])


@pytest.mark.parametrize(
    ("device", "n_gpus", "threads", "takes"),
    [("auto", 2, 4, True), ("cuda", 2, 4, True), ("cuda:1", 1, 8, False), ("cpu", 0, 4, False)],
)
def test_runs_share_the_gpus_and_the_cores_of_a_machine(home, collection, two_gpus, device, n_gpus, threads, takes):
    plan = Plan("toy", str(collection.root), device)
    assert (plan.n_gpus, plan.threads_per_run(8), plan.takes_gpus) == (n_gpus, threads, takes)
    assert plan.threads_per_run(1) == 1


def test_a_cluster_may_have_the_gpu_that_this_machine_lacks(home, collection, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    here, there = (Plan("toy", str(collection.root), device, elsewhere=device == "cuda") for device in ("auto", "cuda"))
    assert there.n_gpus == 1
    jobs = [job for job in there.for_snakemake() if "device" in job["parameters"]]
    assert len(jobs) == len(there.runs)
    assert {job["parameters"]["device"] for job in jobs} == {"cuda"}
    assert {json.loads(job["fingerprint"])[0]["device"] for job in jobs} == {"cuda"}
    assert [run.name for run in there.runs] == [run.name for run in here.runs]
    assert Plan("toy", str(collection.root), "auto", elsewhere=True).n_gpus == 0
    with pytest.raises(
        ParameterError, match="device 'cuda:1' cannot be asked of a cluster; use 'auto', 'cpu' or 'cuda'"
    ):
        Plan("toy", str(collection.root), "cuda:1", elsewhere=True)


@pytest.fixture
def command(checkout, monkeypatch):
    """The command with which Snakemake would be started; filled by a build."""
    command = []

    class Done:
        pid = 0

        def __init__(self, asked, **_):
            command[:] = asked

        def wait(self):
            return 0

    monkeypatch.setattr(snakemake, "subprocess", SimpleNamespace(Popen=Done))
    return command


def test_snakemake_is_told_of_the_machine_or_of_the_cluster(checkout, command, collection, two_gpus, capsys):
    def build_with(device, cluster=None):
        snakemake.build("toy", str(collection.root), device, True, "stand-in", None, cluster)
        options = command[command.index("--directory") + 2 :]
        return " ".join(options).partition("--scheduler greedy --quiet host ")[2].replace(" --dry-run", "")

    assert build_with("cpu") == "rules --cores all --resources gpu=0"
    assert build_with("auto") == "rules --cores all --resources gpu=2"
    told = json.loads((checkout / ".cache" / "plan.json").read_text())
    assert (told["n_gpus"], told["own_gpu"]) == (2, True)
    folder = checkout / "profiles" / "there"
    folder.mkdir()
    for text, options in (("keep-going: true", " --jobs 100"), ("jobs: 3", ""), ("cores: 9", "")):
        (folder / "config.yaml").write_text(text)
        capsys.readouterr()
        assert build_with("auto", "there") == f"reason --profile {folder}{options}"
        assert "note: no job asks for a GPU; with --device cuda each run does" in capsys.readouterr().out
        assert json.loads((checkout / ".cache" / "plan.json").read_text())["cluster"]


def test_home_without_a_snakefile(home, collection):
    with pytest.raises(ChairlibError, match=r"there is no Snakefile in .*; clone the project's repository"):
        snakemake.build("toy", str(collection.root), "cpu", False, "stand-in", None)


def test_seconds_for_people():
    said = {0: "1 min", 59: "1 min", 150: "2 min", 3600: "1 h 0 min", 36_000: "10 h 0 min"}
    assert {seconds: snakemake.format_seconds(seconds) for seconds in said} == said


@pytest.fixture
def checkout(home):
    """A copy of what a build needs, beside the profile of the test."""
    pytest.importorskip("snakemake")
    original = paths.package.parent
    for name in ("Snakefile", "_config.yml", "CITATION.cff"):
        shutil.copy(original / name, home)
    shutil.copytree(original / "notebooks", home / "notebooks")
    shutil.copytree(original / "book", home / "book", ignore=shutil.ignore_patterns("notebooks", "__pycache__"))
    return home


def test_dry_run_of_a_copied_home_with_the_lock_of_a_killed_build(checkout, collection, tmp_path):
    locks = checkout / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    for kind in ("input", "output"):
        (locks / f"0.{kind}.lock").write_text("".join(f"{path}\n" for path in ("book/notebooks/01_collection.ipynb",)))
    data = tmp_path / "my chairs: {x} #2"
    shutil.copytree(collection.root, data)
    # Settings and files of other work, which a build must not take for its own.
    environment = {**os.environ, "CHAIRLIB_HOME": str(checkout), "SNAKEMAKE_PROFILE": "of-the-cluster"}
    for folder in (tmp_path, checkout):
        (folder / "random.py").write_text("raise RuntimeError('shadowed')")
    command = [sys.executable, "-P", "-m", "chairlib", "paper", "--profile", "toy", "--data", str(data), "--dry-run"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    plan = Plan("toy", str(collection.root))
    count = len(plan.runs)
    assert f"profile toy: {count} runs, {count} to train, on my chairs: {{x}} #2" in done.stdout
    jobs = {line.split()[0] for line in log.splitlines() if line.split()[1:] == ["1"]}
    assert {
        "chapter_01_collection",
        "chapter_01_gallery",
        "chapter_02_compositing",
        "chapter_04_benchmark_report",
        "chapter_06_transfer_report",
        "book",
    } < jobs
    assert {f"run_{run.name}" for run in plan.runs} < jobs
    assert not (checkout / "runs").exists()
    assert not (checkout / "_build").exists()
    told = json.loads((checkout / ".cache" / "plan.json").read_text())
    assert told["started"] <= time.time()
    assert (told["python"], told["cluster"], told["n_gpus"], told["own_gpu"]) == (sys.executable, {}, 0, False)
    assert [job["out"] for job in told["jobs"]] == [str(job.out) for job in plan.jobs]


@pytest.mark.slow
def test_a_cell_that_fails_after_training_costs_no_training(checkout, collection):
    from nbformat import read, write
    from nbformat.v4 import new_code_cell

    (checkout / "profiles" / "toy.yaml").write_text(PROFILE.replace("[32, 64]", "64"))
    for file in (checkout / "notebooks").glob("*.ipynb"):
        notebook = read(file, 4)
        del notebook.cells[
            next(n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])) + 1 :
        ]
        if file.stem == "03_benchmark":
            names = ", ".join(f"{name}={name}" for name in BenchmarkSettings.names())
            train = f"from chairlib import benchmark\nbenchmark.train(benchmark.open_run({names}))"
            notebook.cells += [new_code_cell(train), new_code_cell("1 / 0")]
        if file.stem == "05_object_discovery":  # may be at work by then, or not
            names = ", ".join(f"{name}={name}" for name in TransferSettings.names())
            notebook.cells.append(
                new_code_cell(f"from chairlib import transfer\ntransfer.train(transfer.open_run({names}))")
            )
        write(notebook, file)
    command = [sys.executable, "-m", "chairlib", "paper", "--profile", "toy", "--data", str(collection.root)]
    environment = {**os.environ, "CHAIRLIB_HOME": str(checkout)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    log = done.stdout + done.stderr
    assert done.returncode == 1
    assert "chairlib: notebook 03_benchmark failed: ZeroDivisionError: division by zero (see " in log
    assert list((checkout / "runs").glob("benchmark-*/record.json"))
    count, n_made = 1 + 1 + 1 + 5 + 1, len(list((checkout / "runs").glob("*/record.json")))
    planned = subprocess.run([*command, "--dry-run"], env=environment, capture_output=True, text=True).stdout
    assert f"{count} runs, {count - n_made} to train" in planned


def test_why_a_build_could_not_start_is_said(checkout, collection):
    (checkout / "Snakefile").write_text("rule: nonsense(")
    environment = {**os.environ, "CHAIRLIB_HOME": str(checkout)}
    command = [sys.executable, "-m", "chairlib", "paper", "--profile", "toy", "--data", str(collection.root)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SyntaxError" in done.stdout + done.stderr
    assert done.stderr.endswith(
        "chairlib: the build stopped; the lines above say why. Started again, it goes on from here.\n"
    )


@pytest.mark.parametrize("status", [0, 1])
def test_site_is_replaced_when_the_new_one_is_whole(home, monkeypatch, status):
    old, killed = home / "_build" / "html" / "old.html", paths.cache / "render" / "half.html"
    for file in (old, killed):
        file.parent.mkdir(parents=True)
        file.write_text("x")

    def jupyter_book(command, **_):
        folder = Path(command[command.index("--path-output") + 1])
        assert not (folder / "half.html").exists()
        assert command[:2] == [sys.executable, "-P"]  # a random.py in the current folder is not Python's own
        (folder / "_build" / "html").mkdir(parents=True)
        (folder / "_build" / "html" / "new.html").write_text("x")
        assert old.exists()
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(subprocess, "run", jupyter_book)
    if status == 0:
        book.render()
    else:
        with pytest.raises(ChairlibError, match="the book was not rendered"):
            book.render()
    assert [page.name for page in old.parent.iterdir()] == (["new.html"] if status == 0 else ["old.html"])
    assert not (paths.cache / "render").exists()
