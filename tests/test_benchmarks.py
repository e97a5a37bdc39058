"""Every benchmark runs, at toy size: only whether it runs is tested, never how fast."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

from chairlib.core import paths

ROOT = paths.package.parent
SCRIPTS = sorted(
    str(file.relative_to(ROOT)) for folder in ("", "extras/*/") for file in ROOT.glob(f"{folder}benchmarks/[!_]*.py")
)

#: The smallest settings of each script. DATA stands for a tiny collection.
TOYS = {
    "benchmarks/cross_test.py": "DATA --width 2 --resolution 32 --images 32 --test-images 8",
    "benchmarks/gpu.py": "DATA --device cpu --width 2 --models unet fcn_vgg16 --resolutions 32 --images 32 "
    "--short-images 32 --race-images 32 --val-images 8 --test-images 8 --compared 8 --batch-sizes 4 --steps 1 "
    "--seeds 1",
    "benchmarks/interpolation.py": "--data DATA --width 2 --resolution 32 --alphas 3 --batch-size 4 --device cpu "
    "--train-images 8 --test-images 4",
    "benchmarks/loader_speed.py": "--data DATA --resolution 16 --batch-size 4 --images 16 --device cpu "
    "--also 32x2 --repeats 1",
    "benchmarks/metrics_speed.py": "--images 20",
    "benchmarks/pack_for_gpu.py": "DATA packed.zip --side 48",
    "benchmarks/scale.py": "--segments 9 12 18 --backgrounds 5 6 7 --resolutions 32 40 48 --images 8 12 16 --width 2 "
    "--loaded 16 --repeats 1 --device cpu",
    "benchmarks/time_to_iou.py": "--data DATA --width 2 --resolution 32 --images 64 --evaluations 2 --val-images 8 "
    "--seeds 1 --plain-seconds 0.1 --device cpu",
    "benchmarks/training_speed.py": "--width 2 --resolution 32 --batch-size 2 --device cpu",
    "extras/chairfinder/benchmarks/review.py": "--images 26 --pages 1 --pause 0",
    "extras/chairfinder/benchmarks/screening.py": "DATA/segments --backgrounds DATA/backgrounds",
    "extras/chairmaker/benchmarks/render_speed.py": "--images 1 --compared 1 --sizes 32 --collections DATA",
}
#: What a script needs that the library does not.
NEEDS = {"review": "ipywidgets", "render_speed": "mitsuba"}


def test_every_benchmark_has_a_toy_size():
    assert sorted(TOYS) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_runs_at_toy_size(script, collection, own_runs, tmp_path, monkeypatch, capsys):
    if needed := NEEDS.get(Path(script).stem):
        pytest.importorskip(needed)
    arguments = TOYS[script].replace("DATA", str(collection.root)).split()
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAIRLIB_RECORDS", str(tmp_path / "records"))
    monkeypatch.syspath_prepend(str((ROOT / script).parent))  # as Python does where a script is called
    threads = torch.get_num_threads()
    try:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    assert capsys.readouterr().out.strip()
