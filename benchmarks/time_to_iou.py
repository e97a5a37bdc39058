"""How many seconds of training it takes to reach an IoU on validation images, by the recipe `fast` and by a plain loop.

The target is the paper's IoU of U-Net at 64 x 64 pixels (Table 1). Training is timed alone; scoring and packing are
timed and printed apart. The chosen weights are scored once on test images. A run that misses the target counts as
infinitely long, and the figure is the median over the
seeds. The plain loop, of one seed, is what the released code does for U-Net: composites stored as PNG files (20 a
segment), torch's DataLoader with two workers, float32, batches of 10, Adam, and the released recipe's loss. It is
stopped after --plain-seconds of training.

Claim, on two cores with AVX512_BF16, a U-Net of width 16 and real chairs: at most 60 seconds.

    python benchmarks/time_to_iou.py [--data COLLECTION] [--target 85.08] [--model unet] [--width 16] [--resolution 64]
        [--images 10400] [--evaluations 1] [--val-images 2000] [--test-images 2000] [--seeds 5]
        [--precision auto] [--device auto] [--plain-seconds 300]
"""

import argparse
import itertools
import math
import statistics
import tempfile
import time
from pathlib import Path

import torch
from _records import write_record
from _training import train_once

from chairbridge import export
from chairlib import CompositeLoader, build_model, get_recipe
from chairlib.benchmark.evaluation import evaluate, segmentation_loss
from chairlib.compositing.released import ReleasedChairSegments
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.vision import torchvision


def fast_run(arguments: argparse.Namespace, seed: int) -> dict:
    """One training run by `fast`: seconds of training and validation IoU at each evaluation."""
    device = pick_device(arguments.device)
    model, result = train_once(
        arguments.data,
        arguments.model,
        arguments.width,
        arguments.resolution,
        get_recipe("fast", arguments.model),
        images=arguments.images,
        val_images=arguments.val_images,
        evaluations=arguments.evaluations,
        precision=arguments.precision,
        seed=seed,
        device=device,
    )
    history = result.history.assign(training=result.history["seconds"] - result.history["scoring_seconds"])
    run = {
        "seed": seed,
        "precision": result.precision,
        "images": history["images"].tolist(),
        "training_seconds": history["training"].round(2).tolist(),
        "val_iou": history["val_iou"].round(3).tolist(),
        "scoring_seconds": round(float(history["scoring_seconds"].iloc[-1]), 1),
    }
    test = CompositeLoader(arguments.data, "test", arguments.resolution, 256, device, limit=arguments.test_images)
    run["test_iou"] = round(evaluate(model, test).scores.iou, 3)
    return {**run, "seconds_to_target": reached(run, arguments.target)}


def plain_run(arguments: argparse.Namespace, folder: Path, seed: int = 0) -> dict:
    """The same by the plain loop, scored every fifteenth of its time and stopped at the target or at its end."""
    recipe, device = get_recipe("released", arguments.model), pick_device(arguments.device)
    v2 = torchvision.transforms.v2
    files = ReleasedChairSegments(
        folder, "train", transforms=v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    )
    batches = torch.utils.data.DataLoader(
        files, recipe.batch_size, shuffle=True, num_workers=2, generator=torch.Generator().manual_seed(seed)
    )
    val = CompositeLoader(arguments.data, "val", arguments.resolution, 256, device, limit=arguments.val_images)
    torch.manual_seed(seed)
    model = build_model(arguments.model, arguments.width, resolution=arguments.resolution).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), recipe.learning_rate)
    run: dict = {"seed": seed, "precision": "float32", "images": [], "training_seconds": [], "val_iou": []}
    seconds = scoring = 0.0
    seen, scored_at = 0, arguments.plain_seconds / 15
    began = time.perf_counter()
    for images, masks in itertools.chain.from_iterable(itertools.repeat(batches)):
        optimizer.zero_grad()
        segmentation_loss(model(images.to(device)), (masks > 0).float().to(device), recipe.loss).backward()
        optimizer.step()
        seen += len(images)
        if seconds + time.perf_counter() - began < scored_at:
            continue
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds, scored_at = seconds + time.perf_counter() - began, scored_at + arguments.plain_seconds / 15
        began = time.perf_counter()
        iou = evaluate(model, val).scores.iou
        scoring += time.perf_counter() - began
        for name, value in (("images", seen), ("training_seconds", round(seconds, 2)), ("val_iou", iou)):
            run[name].append(value)
        if iou >= arguments.target or seconds >= arguments.plain_seconds:
            break
        began = time.perf_counter()
    return {**run, "scoring_seconds": round(scoring, 1), "seconds_to_target": reached(run, arguments.target)}


def reached(run: dict, target: float) -> float | None:
    """Seconds of training at the first evaluation that is not below the target; None where there is none."""
    hits = zip(run["training_seconds"], run["val_iou"], strict=True)
    return next((seconds for seconds, iou in hits if iou >= target), None)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="mini")
    parser.add_argument("--target", type=float, default=85.08)
    parser.add_argument("--model", default="unet")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--images", type=int, default=10400)
    parser.add_argument("--evaluations", type=int, default=1)
    parser.add_argument("--val-images", type=int, default=2000)
    parser.add_argument("--test-images", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--plain-seconds", type=float, default=300, help="0 leaves the plain loop out")
    return parser.parse_args()


def describe(name: str, run: dict) -> str:
    course = ", ".join(
        f"{iou:.2f} after {images:,} images, {seconds:.1f} s"
        for images, seconds, iou in zip(run["images"], run["training_seconds"], run["val_iou"], strict=True)
    )
    hit = "missed" if run["seconds_to_target"] is None else f"reached in {run['seconds_to_target']:.1f} s"
    return f"{name} seed {run['seed']}, {run['precision']}: {hit} ({course}; scoring {run['scoring_seconds']} s)" + (
        f"; test {run['test_iou']:.2f}" if "test_iou" in run else ""
    )


def main() -> None:
    arguments = parse_arguments()
    device = pick_device(arguments.device)
    began = time.perf_counter()
    for split in ("train", "val"):
        loader = CompositeLoader(arguments.data, split, arguments.resolution, device=device)
    packing = time.perf_counter() - began
    print(f"{describe_hardware(device)}; {arguments.model} of width {arguments.width}, {arguments.resolution} px")
    print(f"{loader.image_set.name}; packing, or reading what is packed: {packing:.1f} s", flush=True)
    runs = []
    for seed in range(arguments.seeds):
        runs.append(fast_run(arguments, seed))
        print(describe("fast", runs[-1]), flush=True)
    times = [math.inf if run["seconds_to_target"] is None else run["seconds_to_target"] for run in runs]
    median = statistics.median(times)
    print(f"median of {len(times)} seeds to {arguments.target} % validation IoU: {median:.1f} s of training")
    plain = None
    if arguments.plain_seconds:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "composites"
            export(arguments.data, out, arguments.resolution, backgrounds_per_segment=20)
            plain = plain_run(arguments, out)
        print(describe("plain", plain))
        trained = plain["seconds_to_target"] or plain["training_seconds"][-1]
        more = "" if plain["seconds_to_target"] else "more than "
        if not math.isinf(median):
            print(f"the plain loop takes {more}{trained / median:.1f} times as long")
    content = {
        "settings": {name: value for name, value in vars(arguments).items() if name != "data"},
        "recipe": vars(get_recipe("fast", arguments.model)),
        "data": {"name": loader.image_set.name, "hash": loader.image_set.data_hash},
        "packing_seconds": round(packing, 1),
        "median_seconds": None if math.isinf(median) else median,
        "fast": runs,
        "plain": plain,
    }
    name = f"time-to-iou-{arguments.model}-{arguments.images}-images-{runs[0]['precision']}"
    print(write_record(name, content, device).name)


if __name__ == "__main__":
    main()
