"""What one GPU does: composites, loader, training, the paper's Tables 1 and 2, and a line between two models.

The parts, in order of worth. Each result is written to the record as soon as it is there. A later call goes on with the
results that the record lacks. No part is begun after the deadline, and no cell that would not end before it.

    composites  are those of the CPU to the byte; a recorded step gives the loss of one that is not; two runs of a seed
    loader      its share of a training step (goal: under 2 %), memory of 50,000 composites (goal: at most 120 MB)
    training    U-Net: seconds to the paper's IoU at 64 pixels (goal: 10), images a second and share of the card's
                measured bfloat16 peak by batch size (goal: 40 %), and where a step's time goes
    deterministic  whether runs of one seed have the same bits with that setting and without it, how far their IoU lies
                apart beside that of other seeds, and what it costs; by `determinism.py`, in a process of its own
    cells       Table 1's twelve cells and Table 2's four models by `fast` (goal: all in 15 minutes)
    line        21 points between two models

What was reached stands in `records/gpu.json`. DATA is a collection, or a file of `pack_for_gpu.py`. Without a GPU it
says that nothing is measured; --device cpu with small settings only shows that it works.

    python benchmarks/gpu.py DATA [--minutes 8] [--parts composites loader training deterministic cells line]
        [--images 200000] [--width 64] [--resolutions 32 64 128 256] [--record FILE] [--device cuda]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import torch
from _records import circumstances, records_folder
from _training import flops_of_an_image, train_once
from time_to_iou import fast_run

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.evaluation import evaluate
from chairlib.benchmark.jobs import measure_speed
from chairlib.benchmark.models import build_model
from chairlib.benchmark.precision import training_dtype
from chairlib.benchmark.recipes import get_recipe
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.benchmark.steps import Stepper
from chairlib.collection import Collection
from chairlib.compositing.image_sets import pair_table
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import paths, published
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.files import write_json
from chairlib.landscape.evaluator import interpolation_curve

PARTS = ("composites", "loader", "training", "deterministic", "cells", "line")
TABLE_2 = ("unet", "fcn_vgg16", "fcn_resnet50", "fcn_resnet101")


class Bench:
    """The settings, the clock, and the record that is written after each part."""

    def __init__(self, arguments: argparse.Namespace, data: str):
        self.began = time.monotonic()
        self.arguments, self.data = arguments, data
        self.device = pick_device(arguments.device)
        self.file = arguments.record or records_folder() / "gpu.json"
        self.record = json.loads(self.file.read_text()) if self.file.is_file() else {}
        self.data_hash = Collection(data).hash

    def lacks(self, part: str) -> bool:
        """Whether the record has no such result of this data and width."""
        found = self.record.get(part, {})
        return (found.get("data_hash"), found.get("width")) != (self.data_hash, self.arguments.width)

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return 60 * self.arguments.minutes - (time.monotonic() - self.began)

    def loader(self, split: str, resolution: int = 64, batch_size: int = 256, **options) -> CompositeLoader:
        return CompositeLoader(self.data, split, resolution, batch_size, self.device, **options)

    def write(self, part: str, content: dict) -> None:
        settings = {"width": self.arguments.width, "data_hash": self.data_hash}
        entry = {**content, **settings, **circumstances(self.device)}
        self.record[part] = entry
        write_json(self.file, self.record)
        print(f"[{time.monotonic() - self.began:6.1f} s] {part}: {json.dumps(content)}", flush=True)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, step, n: int, warm_up: int = 5) -> float:
        """Mean seconds of ``step`` over ``n`` calls."""
        for _ in range(warm_up):
            step()
        self.wait()
        began = time.perf_counter()
        for _ in range(n):
            step()
        self.wait()
        return (time.perf_counter() - began) / n


def composites(bench: Bench) -> None:
    arguments = bench.arguments
    for resolution in arguments.resolutions:
        if not bench.lacks(f"composites-{resolution}"):
            continue
        ours = bench.loader("val", resolution, limit=arguments.compared)
        cpu = CompositeLoader(bench.data, "val", resolution, 256, "cpu", limit=arguments.compared)
        same_floats = same_bytes = True
        for here, there in zip(ours.in_order(), cpu.in_order(), strict=True):
            for a, b in zip(here, there, strict=True):
                same_floats &= torch.equal(a.cpu(), b)
                same_bytes &= torch.equal((255 * a).round().byte().cpu(), (255 * b).round().byte())
        content = {"images": len(ours.indices), "same_bytes": same_bytes, "same_floats": same_floats}
        bench.write(f"composites-{resolution}", content)
    if bench.lacks("recorded-steps"):
        bench.write(
            "recorded-steps", {"model": "fcn_vgg16", "losses": [losses_of(bench, records) for records in (True, False)]}
        )
    if not bench.lacks("one-seed"):
        return
    runs = [train_briefly(bench, seed=0) for _ in range(2)]
    weights = [torch.cat([weight.detach().flatten() for weight in model.parameters()]) for model, _ in runs]
    apart = ((weights[0] - weights[1]).norm() / weights[0].norm()).item()
    ious = [result.history["val_iou"].iloc[-1] for _, result in runs]
    val = bench.loader("val", limit=arguments.val_images)
    tf32 = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    exact = evaluate(runs[1][0], val).scores.iou
    torch.backends.cudnn.allow_tf32 = tf32
    bench.write(
        "one-seed",
        {
            "images": arguments.short_images,
            "same_bits": torch.equal(*weights),
            "distance_over_norm": apart,
            "val_iou": ious,
            "val_iou_without_tf32": exact,
            "tf32_in_scores": tf32,
        },
    )


def losses_of(bench: Bench, records: bool) -> list[float]:
    """Losses of ten steps from one start, with steps recorded as a CUDA graph or not. Without bilinear upsampling."""
    stepper = make_stepper(bench, 32, "fcn_vgg16")
    stepper.records &= records
    batches = endless(bench.loader("train", batch_size=32))
    return [stepper(*next(batches), 1e-3).item() for _ in range(10)]


def train_briefly(bench: Bench, seed: int):
    arguments = bench.arguments
    return train_once(
        bench.data,
        "unet",
        arguments.width,
        64,
        get_recipe("fast", "unet"),
        images=arguments.short_images,
        val_images=arguments.val_images,
        seed=seed,
        device=bench.device,
    )


def endless(loader: CompositeLoader):
    return (batch for epoch in range(10**9) for batch in loader.batches(epoch))


def loader(bench: Bench) -> None:
    arguments = bench.arguments
    if not bench.lacks("loader"):
        return
    shares = {}
    for batch_size in arguments.batch_sizes:
        batches = endless(bench.loader("train", batch_size=batch_size, flip=True))
        stepper = make_stepper(bench, batch_size)
        images, masks = next(batches)
        ways = {
            "alone": lambda s=stepper, x=images, y=masks: s(x, y, 1e-4),
            "loading": lambda b=batches: next(b),
            "both": lambda s=stepper, b=batches: s(*next(b), 1e-4),
        }
        # In turns, and the shortest of each: the host is shared with other work.
        times = [{name: bench.seconds(way, arguments.steps) for name, way in ways.items()} for _ in range(3)]
        alone, loading, both = (min(time[name] for time in times) for name in ways)
        shares[batch_size] = {
            "step_ms": round(1000 * alone, 3),
            "loader_ms": round(1000 * loading, 3),
            "both_ms": round(1000 * both, 3),
            "share_added": round(both / alone - 1, 4),
            "loader_images_per_second": round(batch_size / loading),
        }
    # The paper's training split: 500 segments and 6,000 backgrounds, 100 of these a segment.
    before = torch.cuda.memory_allocated(bench.device) if bench.device.type == "cuda" else 0
    shapes = ((500, 4, 64, 64), (6000, 3, 64, 64))
    kept = [torch.zeros(shape, dtype=torch.uint8, device=bench.device) for shape in shapes]
    kept.append(pair_table(500, 6000, "train").to(bench.device))
    held = torch.cuda.memory_allocated(bench.device) - before if bench.device.type == "cuda" else None
    content = {"by_batch_size": shares, "bytes_of_50000_composites": held}
    bench.write("loader", content | {"counted": [list(part.shape) for part in kept]})


def make_stepper(bench: Bench, batch_size: int, name: str = "unet") -> Stepper:
    recipe = get_recipe("fast", name, batch_size=batch_size)
    torch.manual_seed(0)
    model = build_model(name, bench.arguments.width)
    model.to(bench.device, memory_format=torch.channels_last).train()
    return Stepper(model, recipe, training_dtype(bench.device))


def peak_flops(bench: Bench) -> float:
    """Operations a second of a large matrix product in the precision of training."""
    size = 8192 if bench.device.type == "cuda" else 512
    a, b = (torch.randn(size, size, device=bench.device).to(training_dtype(bench.device)) for _ in range(2))
    return 2 * size**3 / bench.seconds(lambda: a @ b, 10, 3)


def training(bench: Bench) -> None:
    arguments = bench.arguments
    settings = SimpleNamespace(
        data=bench.data,
        model="unet",
        width=arguments.width,
        resolution=64,
        target=85.08,
        precision="auto",
        device=str(bench.device),
        images=arguments.race_images,
        evaluations=6,
        val_images=arguments.val_images,
        test_images=arguments.test_images,
    )
    if bench.lacks("seconds-to-iou"):
        bench.write(
            "seconds-to-iou",
            {
                "settings": vars(settings) | {"data": Path(bench.data).name},
                "runs": [fast_run(settings, seed) for seed in range(arguments.seeds)],
            },
        )
    if not bench.lacks("training-speed"):
        return
    peak, flops, speeds = peak_flops(bench), flops_of_an_image("unet", arguments.width, 64), {}
    for batch_size in arguments.batch_sizes:
        batches = endless(bench.loader("train", batch_size=batch_size, flip=True))
        stepper = make_stepper(bench, batch_size)
        rate = batch_size / bench.seconds(lambda s=stepper, b=batches: s(*next(b), 1e-4), arguments.steps)
        speeds[batch_size] = {"images_per_second": round(rate), "share_of_peak": round(rate * flops / peak, 4)}
    content = {"peak_flops": peak, "flops_an_image": flops, "by_batch_size": speeds}
    bench.write("training-speed", {**content, "operations": where_the_time_goes(bench, arguments.batch_sizes[-1])})


def where_the_time_goes(bench: Bench, batch_size: int) -> dict[str, float]:
    """Shares of a step's time by operation, the ten largest, of passes that are not recorded as a graph."""
    activity = torch.profiler.ProfilerActivity
    on_gpu = bench.device.type == "cuda"
    stepper = make_stepper(bench, batch_size)
    images, masks = next(endless(bench.loader("train", batch_size=batch_size)))
    for _ in range(2):
        stepper.gradients(images, masks)
    bench.wait()
    with torch.profiler.profile(activities=[activity.CPU, *[activity.CUDA] * on_gpu]) as profile:
        stepper.gradients(images, masks)
        bench.wait()
    times = {
        event.key: event.self_device_time_total if on_gpu else event.self_cpu_time_total
        for event in profile.key_averages()
    }
    times = {name: value for name, value in times.items() if name.startswith("aten::")}
    largest = sorted(times, key=times.__getitem__, reverse=True)[:10]
    return {name: round(times[name] / sum(times.values()), 3) for name in largest}


def deterministic(bench: Bench) -> None:
    """In a process of its own: cuBLAS must be told before its first use, and the other parts have used it."""
    arguments = bench.arguments
    if not bench.lacks("deterministic"):
        return
    given = {
        "data": bench.data,
        "device": bench.device,
        "width": arguments.width,
        "resolution": arguments.resolutions[0] if len(arguments.resolutions) == 1 else 64,
        "images": arguments.short_images,
        "val-images": arguments.val_images,
        "test-images": arguments.test_images,
        "seeds": max(2, arguments.seeds),
        "repeats": arguments.seeds,
    }
    command = [sys.executable, str(Path(__file__).with_name("determinism.py")), "--parts", "cuda", "--trial"]
    command += [f"--{name}={value}" for name, value in given.items()]
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "CHAIRLIB_RECORDS": folder, "CHAIRLIB_HOME": str(paths.cache.parent)}
        try:
            subprocess.run(command, env=env, check=True, timeout=bench.left)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"deterministic: not measured ({error})", flush=True)
            return
        content = json.loads(next(Path(folder).glob("*.json")).read_text())
    bench.write("deterministic", {**content["cuda"], "budget": content["budget"]})


def cells(bench: Bench) -> None:
    """The smallest first, so that the deadline leaves as few undone as possible."""
    arguments = bench.arguments
    table_1 = published.table(1)[["model", "resolution"]].itertuples(index=False, name=None)
    wanted = [
        pair
        for pair in dict.fromkeys([*table_1, *((model, 64) for model in TABLE_2)])
        if pair[1] in arguments.resolutions and pair[0] in arguments.models
    ]
    wanted = [pair for pair in wanted if bench.lacks(f"cell-{pair[0]}-{pair[1]}")]
    for model, resolution in sorted(wanted, key=lambda pair: (pair[1], TABLE_2.index(pair[0]))):
        width = None if model.startswith("fcn_resnet") else arguments.width
        if bench.left < 15:
            return
        settings = BenchmarkSettings(model=model, width=width, resolution=resolution, device=str(bench.device))
        trained, scored = measure_speed(settings, get_recipe("fast", model))
        cost = arguments.images * trained + (2 * arguments.val_images + arguments.test_images) * scored
        if 1.1 * cost + 5 > bench.left:
            print(f"{model} at {resolution} px would take {cost:.0f} s, {bench.left:.0f} s are left", flush=True)
            continue
        began = time.monotonic()
        run = benchmark.open_run(
            data=bench.data,
            model=model,
            resolution=resolution,
            images=arguments.images,
            evaluations=2,
            width=width,
            val_images=arguments.val_images,
            test_images=arguments.test_images,
            device=str(bench.device),
        )
        record = benchmark.train(run, progress=False)
        kept = ("images_seen", "half_images", "seconds", "precision", "recipe", "n_parameters", "data", "code")
        content = {name: record.content[name] for name in kept}
        content["parameters"] = record.content["parameters"] | {"data": Path(bench.data).name}
        content["wall_seconds"] = round(time.monotonic() - began, 1)
        content["history"] = record.history().round(3).to_dict("list")
        bench.write(f"cell-{model}-{resolution}", {**content, "metrics": record.metrics})


def line(bench: Bench) -> None:
    arguments = bench.arguments
    if not bench.lacks("line"):
        return
    states = [train_briefly(bench, seed)[0].state_dict() for seed in (0, 1)]
    train, test = (bench.loader(split, limit=arguments.val_images, shuffle=False) for split in ("train", "test"))
    model = build_model("unet", arguments.width)
    alphas = [number / 20 for number in range(21)]
    content = {"alphas": len(alphas), "images_a_point": len(train.indices) + len(test.indices)}
    for batch_norm in ("average", "recalibrate"):
        bench.wait()
        began = time.perf_counter()
        curve = interpolation_curve(model, *states, alphas, train, test, batch_norm, progress=False)
        content[f"seconds_{batch_norm}"] = round(time.perf_counter() - began, 2)
        content[f"test_iou_{batch_norm}"] = curve[curve["split"] == "test"]["iou"].round(2).tolist()
    bench.write("line", content)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--record", type=Path, help="gpu.json in benchmarks/records by default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--models", nargs="+", default=TABLE_2)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--images", type=int, default=200_000, help="of a cell")
    parser.add_argument("--short-images", type=int, default=6400, help="of the runs that are only compared")
    parser.add_argument("--race-images", type=int, default=9600, help="of the runs to the paper's IoU")
    parser.add_argument("--val-images", type=int, default=1000)
    parser.add_argument("--test-images", type=int, default=4000)
    parser.add_argument("--compared", type=int, default=2000)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 64, 128, 256, 512])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=5)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.device == "auto" and not torch.cuda.is_available():
        print("not measured: there is no GPU here")
        return
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data
        if zipfile.is_zipfile(data):
            zipfile.ZipFile(data).extractall(folder)
            data = str(next(Path(folder).iterdir()))
        bench = Bench(arguments, data)
        print(describe_hardware(bench.device), flush=True)
        for part in arguments.parts:
            if bench.left > 0:
                globals()[part](bench)


if __name__ == "__main__":
    main()
