"""Which changes leave the bits of a run as they are, and how far the others move its test IoU, beside another seed.

Claim, on the CPU: the same seed with as many threads gives the same weights, bit for bit, also after a stop in the
middle. More threads, bfloat16, and another number of images scored at a time may change bits. What they move the test
IoU by stands beside what another seed moves it by.

Each change is made to a run of each seed, and compared with the plain run of that seed: float32, one thread, 256 images
scored at a time. Seeds are compared with each other, each with every other. `apart` is the difference of two test IoUs
in points, without its sign. Two runs have the same bits if all their weights and the IoU of every test image do.

On CUDA, one seed is trained several times without the setting `deterministic` and with it, and several seeds without
it. Both have cuBLAS's workspace of `deterministic`, so the extra seconds are those of the slower algorithms, and of
steps that are not recorded as CUDA graphs. The first run of each kind warms up, and its seconds do not count. Without
a GPU, this part says "not measured": its figures are null. A dated record lands in `benchmarks/records/`.

The budget of the default settings is 19 short trainings of 800 images by a U-Net of width 4. That took 9 minutes on two
cores with much other work (2026-11-27; two threads wait for each other there).

    python benchmarks/determinism.py [--data mini] [--width 4] [--resolution 64] [--images 800] [--val-images 100]
        [--test-images 200] [--seeds 5] [--repeats 5] [--threads 2] [--parts cpu cuda] [--device auto] [--trial]

With --trial, the part of CUDA runs on any device, which shows that it works.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from _records import write_record
from _training import train_once
from torch import nn

from chairlib.benchmark.determinism import SIZES, WORKSPACE, deterministic_mode
from chairlib.benchmark.evaluation import evaluate
from chairlib.benchmark.recipes import get_recipe
from chairlib.benchmark.steps import Stepper
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.devices import describe_hardware, pick_device

CPU = torch.device("cpu")
#: Images scored at a time: as runs do, and otherwise.
USUAL, OTHER = 256, 48


@dataclass
class Outcome:
    """What one training came to."""

    weights: torch.Tensor
    ious: np.ndarray
    """Of each test image, in per cent."""
    iou: float
    seconds: float
    model: nn.Module


def score(arguments: argparse.Namespace, model: nn.Module, device: torch.device, batch_size: int = USUAL) -> Any:
    test = CompositeLoader(
        arguments.data, "test", arguments.resolution, batch_size, device, limit=arguments.test_images
    )
    return evaluate(model, test).scores


def run_once(
    arguments: argparse.Namespace, seed: int, device: torch.device = CPU, precision: str = "float32", **options: Any
) -> Outcome:
    """Train from this seed and score."""
    began = time.perf_counter()
    model, _ = train_once(
        arguments.data,
        "unet",
        arguments.width,
        arguments.resolution,
        get_recipe("fast", "unet"),
        images=arguments.images,
        val_images=arguments.val_images,
        evaluations=2,
        seed=seed,
        device=device,
        precision=precision,
        **options,
    )
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds, scores = time.perf_counter() - began, score(arguments, model, device)
    weights = torch.cat([tensor.detach().double().flatten().cpu() for tensor in model.state_dict().values()])
    return Outcome(weights, scores.per_image["iou"].to_numpy(), scores.iou, seconds, model)


def run_with_a_stop(arguments: argparse.Namespace, seed: int) -> Outcome:
    """Train from this seed, stop when a step after the checkpoint in the middle is lost, and go on from it."""
    with tempfile.TemporaryDirectory() as folder:
        file, step, seen = Path(folder) / "checkpoint.safetensors", Stepper.__call__, itertools.count()

        def stopping(self: Stepper, images: torch.Tensor, masks: torch.Tensor, rate: float) -> torch.Tensor:
            if file.exists() and next(seen) == 1:
                raise KeyboardInterrupt
            return step(self, images, masks, rate)

        with patch.object(Stepper, "__call__", stopping), suppress(KeyboardInterrupt):
            run_once(arguments, seed, checkpoint=file)
            raise SystemExit("the run was too short to be stopped: give more --images")
        return run_once(arguments, seed, checkpoint=file)


def scored_otherwise(arguments: argparse.Namespace, run: Outcome) -> Outcome:
    """The same model, scored with another number of images at a time."""
    scores = score(arguments, run.model, CPU, OTHER)
    return Outcome(run.weights, scores.per_image["iou"].to_numpy(), scores.iou, 0.0, run.model)


def compared(what: str, pairs: Iterable[tuple[Outcome, Outcome]]) -> dict[str, Any]:
    """A row of the record: how alike the two runs of each pair are."""
    pairs = list(pairs)
    apart = [abs(a.iou - b.iou) for a, b in pairs]
    same = [torch.equal(a.weights, b.weights) and np.array_equal(a.ious, b.ious, equal_nan=True) for a, b in pairs]
    moved = [((a.weights - b.weights).norm() / a.weights.norm()).item() for a, b in pairs]
    return {
        "what": what,
        "pairs": len(pairs),
        "same_bits": all(same),
        "weights_moved": statistics.mean(moved),
        "apart_mean": statistics.mean(apart),
        "apart_most": max(apart),
    }


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_the_cpu(arguments: argparse.Namespace) -> dict[str, Any]:
    """What changes on the CPU, with the IoU of each seed."""
    seeds, many = range(arguments.seeds), arguments.threads
    with threads(1):
        plain = [run_once(arguments, seed) for seed in seeds]
        print(f"test IoU by seed: {[round(run.iou, 2) for run in plain]}", flush=True)
        again, stopped = run_once(arguments, 0), run_with_a_stop(arguments, 0)
        coarse = [run_once(arguments, seed, precision="bfloat16") for seed in seeds]
        otherwise = [scored_otherwise(arguments, run) for run in plain]
    with threads(many):
        spread = [run_once(arguments, seed) for seed in seeds]
        spread_again = run_once(arguments, 0)
    rows = [
        compared("nothing, one thread", [(plain[0], again)]),
        compared(f"nothing, {many} threads", [(spread[0], spread_again)]),
        compared("a stop in the middle, and going on", [(plain[0], stopped)]),
        compared(f"{many} threads instead of one", zip(plain, spread, strict=True)),
        compared("bfloat16 instead of float32", zip(plain, coarse, strict=True)),
        compared(f"scored {OTHER} images at a time instead of {USUAL}", zip(plain, otherwise, strict=True)),
        compared("another seed", itertools.combinations(plain, 2)),
    ]
    ious = [run.iou for run in plain]
    return {"ious": ious, "deviation": statistics.stdev(ious) if len(ious) > 1 else None, "rows": rows}


def on_cuda(arguments: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """One seed again and again, without `deterministic` and with it; other seeds; figures are null without a GPU."""
    cases = {
        "one seed, deterministic off": (False, [0] * (arguments.repeats + 1)),
        "one seed, deterministic on": (True, [0] * (arguments.repeats + 1)),
        "other seeds, deterministic off": (False, range(arguments.seeds)),
    }
    rows, base = [], None
    for what, (on, seeds) in cases.items():
        row = dict.fromkeys(("pairs", "same_bits", "weights_moved", "apart_mean", "apart_most", "seconds", "times"))
        if device.type == "cuda" or arguments.trial:
            with deterministic_mode(device, on):
                runs = [run_once(arguments, seed, device, "auto") for seed in seeds]
            seconds = statistics.median(run.seconds for run in runs[1:]) if runs[1:] else runs[0].seconds
            base = base or seconds
            row = {**compared(what, itertools.combinations(runs, 2)), "seconds": seconds, "times": seconds / base}
        rows.append({"what": what, **{name: value for name, value in row.items() if name != "what"}})
    return {"rows": rows, "recorded_steps": recorded_steps(arguments, device)}


def recorded_steps(arguments: argparse.Namespace, device: torch.device) -> str:
    """Whether a step that is recorded as a CUDA graph works with `deterministic`, and repeats: in words."""
    if device.type != "cuda":
        return "not measured"
    choose = Stepper.__init__

    def recording(self: Stepper, *given: Any) -> None:
        with patch.object(torch, "are_deterministic_algorithms_enabled", return_value=False):
            choose(self, *given)

    try:
        with deterministic_mode(device), patch.object(Stepper, "__init__", recording):
            first, second = (run_once(arguments, 0, device, "auto") for _ in range(2))
    except Exception as error:  # whatever stops a recording is what is asked for here
        return f"failed: {' '.join(str(error).split())[:200]}"
    return "same bits" if torch.equal(first.weights, second.weights) else "other bits"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="mini")
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--val-images", type=int, default=100)
    parser.add_argument("--test-images", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="compared with one thread")
    parser.add_argument("--parts", nargs="+", choices=("cpu", "cuda"), default=["cpu", "cuda"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--trial", action="store_true", help="run the part of CUDA on any device")
    arguments = parser.parse_args()
    os.environ.setdefault(WORKSPACE, SIZES)  # before cuBLAS is first used
    device = pick_device(arguments.device)
    hardware = describe_hardware(CPU if "cpu" in arguments.parts else device)
    started, content = time.perf_counter(), {}
    if "cpu" in arguments.parts:
        content["cpu"] = on_the_cpu(arguments)
    if "cuda" in arguments.parts:
        content["cuda"] = on_cuda(arguments, device)
    for part in content.values():
        for row in part["rows"]:
            same = {True: "same bits", False: "other bits", None: "not measured"}[row["same_bits"]]
            apart = (
                "" if row["apart_mean"] is None else f"IoU apart {row['apart_mean']:.3f}, most {row['apart_most']:.3f}"
            )
            print(f"{row['what']:50} {same:14} {apart}", flush=True)
    content |= {
        "hardware": hardware,
        "budget": f"U-Net of width {arguments.width} at {arguments.resolution} px, {arguments.images:,} images a run, "
        f"{arguments.test_images:,} test images, {arguments.seeds} seeds",
        "settings": {**vars(arguments), "data": Path(arguments.data).name},
        "total_seconds": round(time.perf_counter() - started, 1),
    }
    print(f"{content['total_seconds']} s in all; {write_record('determinism', content, device).name}")


if __name__ == "__main__":
    main()
