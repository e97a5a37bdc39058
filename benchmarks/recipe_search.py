"""What each part of the recipe `fast` is worth: one value is changed at a time, and validation IoU tells.

The recipe was found by a wider screening on a GPU (`records/recipe-screening-*.json`), on validation images alone. This
script repeats its questions around the recipe that was chosen, by `fit` itself, for any model and data. Every variant
sees as many images, but for full resolution throughout: it gets --images-full, which take about as long. The seconds
stand beside each.

    python benchmarks/recipe_search.py [--data COLLECTION] [--model unet] [--width 16] [--resolution 64]
        [--images 10400] [--images-full 7200] [--val-images 2000] [--seeds 2] [--variants ...] [--device auto]
"""

import argparse
import statistics
import time

from _records import write_record
from _training import train_once

from chairlib import get_recipe
from chairlib.core.devices import describe_hardware, pick_device

#: Changes of the recipe by name.
VARIANTS = {
    "as it is": {},
    "AdamW": {"optimizer": "adamw", "learning_rate": 1e-2, "weight_decay": 1e-2},
    "cross-entropy alone": {"loss": "bce"},
    "AdamW, cross-entropy alone": {"optimizer": "adamw", "learning_rate": 1e-2, "weight_decay": 1e-2, "loss": "bce"},
    "full resolution throughout": {"half_until": 0.0},
    "half resolution for 70 %": {"half_until": 0.7},
    "rate halved": {"learning_rate": 1e-2},
    "rate doubled": {"learning_rate": 4e-2},
    "decay 0.01": {"weight_decay": 1e-2},
    "momentum 0.95": {"momentum": 0.95},
    "momentum 0.8": {"momentum": 0.8},
    "batches of 16": {"batch_size": 16, "learning_rate": 1.4e-2},
    "batches of 64": {"batch_size": 64},
    "one cycle": {"schedule": "one_cycle", "warm_up": 0.3},
    "no flips": {"flip": False},
}


def train(arguments: argparse.Namespace, changes: dict, seed: int) -> tuple[float, float]:
    """Validation IoU in per cent, and seconds of training."""
    recipe, device = get_recipe("fast", arguments.model, **changes), pick_device(arguments.device)
    _, result = train_once(
        arguments.data,
        arguments.model,
        arguments.width,
        arguments.resolution,
        recipe,
        images=arguments.images if recipe.half_until else arguments.images_full,
        val_images=arguments.val_images,
        seed=seed,
        device=device,
    )
    last = result.history.iloc[-1]
    return float(last["val_iou"]), float(last["seconds"] - last["scoring_seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="mini")
    parser.add_argument("--model", default="unet")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--images", type=int, default=10400)
    parser.add_argument("--images-full", type=int, default=7200)
    parser.add_argument("--val-images", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    print(f"{describe_hardware(device)}; {arguments.model} of width {arguments.width}, {arguments.resolution} px")
    rows, began = [], time.monotonic()
    for name in arguments.variants:
        ious, seconds = zip(*(train(arguments, VARIANTS[name], seed) for seed in range(arguments.seeds)), strict=True)
        rows.append({"variant": name, **VARIANTS[name], "val_iou": ious, "training_seconds": seconds})
        found = ", ".join(f"{iou:.2f}" for iou in ious)
        print(f"{statistics.mean(ious):6.2f} % in {statistics.mean(seconds):5.1f} s  {name} ({found})", flush=True)
    print(f"{time.monotonic() - began:.0f} s in all")
    settings = {name: value for name, value in vars(arguments).items() if name not in ("data", "variants")}
    print(write_record(f"recipe-search-{arguments.model}", {"settings": settings, "variants": rows}, device).name)


if __name__ == "__main__":
    main()
