"""How much a model trained on one collection keeps on another: the same quick U-Net, trained on each, tested on all.

Run it with `python benchmarks/cross_test.py COLLECTION [COLLECTION ...]`, for example `mini my-chairs`. Each row is a
training collection, each column a test split, each entry the mean IoU with its 95 % interval over groups of segments.
Runs are recorded and resumed as any other: a second call only tests. Claim: trained on `mini` alone, it keeps at least
60 IoU on photographed chairs in photographed rooms. The gap between a rendered and a photographed collection says what
the renderer still lacks.
"""

import argparse
from typing import Any

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.evaluation import evaluate
from chairlib.benchmark.metrics import Scores
from chairlib.benchmark.models import build_model
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.tensors import load_tensors


def train(data: str, settings: dict[str, Any]) -> Any:
    """The U-Net trained on one collection."""
    record = benchmark.train(benchmark.open_run(data=data, **settings))
    weights, _ = load_tensors(record.file("weights.safetensors"))
    model = build_model("unet", settings["width"])
    model.load_state_dict(weights)
    return model


def cell(scores: Scores) -> str:
    low, high = scores.interval("iou")
    return f"{scores.iou:.1f} ({low:.1f}-{high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="+", help="mini, or folders")
    parser.add_argument("--images", type=int, default=24_000, help="training budget of each run")
    parser.add_argument("--test-images", type=int, default=2_000, help="test composites of each collection")
    parser.add_argument("--width", type=int, default=16, help="channels of the U-Net's first convolution")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    settings = {
        "model": "unet",
        "width": asked.width,
        "resolution": asked.resolution,
        "images": asked.images,
        "val_images": 400,
        "test_images": asked.test_images,
        "evaluations": 6,
        "seed": asked.seed,
    }
    tests = {
        data: CompositeLoader(data, "test", asked.resolution, 256, limit=asked.test_images)
        for data in asked.collections
    }
    names = [loader.image_set.name for loader in tests.values()]
    print(
        f"U-Net of width {asked.width}, {asked.resolution} px, {asked.images:,} images, seed {asked.seed}; "
        "test IoU, %\n"
    )
    print(f"| trained on | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for name, data in zip(names, tests, strict=True):
        model = train(data, settings)
        model.to(next(iter(tests.values())).device)
        print(
            f"| {name} | {' | '.join(cell(evaluate(model, loader).scores) for loader in tests.values())} |", flush=True
        )


if __name__ == "__main__":
    main()
