"""Which learning rate suits the recipe `fast` of fine-tuning, for several models, categories and seeds.

The recipe's rate was chosen by `records/fine-tuning-rates-2026-11-27.json`, one seed a cell. This script measures the
same table again, as a run does it: each model from scratch and from weights pretrained on chairs, on each category, at
each rate, all else as in `chairlib.transfer.recipes`. The score is the IoU on validation photos; the protocol `folds`
keeps them apart from the photos that are scored in the end.

Each cell is written to the record as soon as it is there, and a later call with the same settings goes on with those
that are missing. Pretrained records are those of `chairlib benchmark`, and are only read where they are there already.

    python benchmarks/fine_tuning_rates.py [--data mini] [--photos stand-in] [--models unet fcn_vgg16] [--width 16]
        [--rates 1e-3 2e-3 4e-3] [--categories car horse] [--seeds 3] [--images 2400] [--pretrained-images 6000]
        [--resolution 64] [--record FILE] [--device auto]
"""

import argparse
import itertools
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from _records import circumstances, records_folder

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.training import fit
from chairlib.compositing.augmentation import Augment
from chairlib.compositing.loader import CompositeLoader
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.files import write_json
from chairlib.core.runs import Record
from chairlib.transfer.photos import name_and_hash, open_datasets
from chairlib.transfer.pretraining import load_pretrained, pretraining_of
from chairlib.transfer.recipes import get_recipe
from chairlib.transfer.run import initial_model
from chairlib.transfer.settings import TransferSettings

STARTS = ("scratch", "pretrained")
#: What tells one cell from another.
KEYS = ("model", "start", "category", "learning_rate", "seed")


def pretrain(asked: argparse.Namespace, model: str) -> Record:
    """The record of a model that is trained on composites by the benchmark's recipe `fast`, one for all cells."""
    run = benchmark.open_run(
        data=asked.data,
        model=model,
        width=asked.width,
        resolution=asked.resolution,
        recipe="fast",
        images=asked.pretrained_images,
        val_images=200,
        test_images=200,
        evaluations=1,
        device=asked.device,
    )
    return benchmark.train(run, progress=False)


def validation_iou(settings: TransferSettings, start: Record | None, rate: float, device: torch.device) -> float:
    """IoU in per cent on the validation photos after fine-tuning at this rate."""
    recipe = replace(get_recipe("fast", settings.model), learning_rate=rate)
    datasets = open_datasets(settings)
    train = CompositeLoader(
        datasets["train"].image_set(settings.resolution, device),
        "train",
        batch_size=recipe.batch_size,
        augment=Augment(),
        seed=settings.seed,
    )
    val = CompositeLoader(datasets["val"].image_set(settings.resolution, device), "val", batch_size=256)
    model = initial_model(settings)
    if start is not None:
        load_pretrained(model, start, settings)
    options = {"images": settings.images, "evaluations": 1, "seed": settings.seed, "progress": False}
    return float(fit(model, train, val, recipe, **options).history.iloc[-1]["val_iou"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="mini", help="the collection to pretrain on")
    parser.add_argument("--photos", default="stand-in", help="stand-in, or a folder in Object Discovery's layout")
    parser.add_argument("--models", nargs="+", default=["unet", "fcn_vgg16"])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 2e-3, 4e-3])
    parser.add_argument("--categories", nargs="+", default=["car", "horse"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2400, help="fine-tuning's budget")
    parser.add_argument("--pretrained-images", type=int, default=6000)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--record", type=Path, help="fine-tuning-rates.json in benchmarks/records by default")
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    device = pick_device(asked.device)
    common = {
        "data": asked.photos,
        "protocol": "folds",
        "width": asked.width,
        "resolution": asked.resolution,
        "images": asked.images,
        "device": asked.device,
    }
    # Cells may be added to a record, but only to one of the same settings and photos.
    settings = {
        **{name: getattr(asked, name) for name in ("data", "width", "images", "pretrained_images", "resolution")},
        "photos": {
            category: name_and_hash(TransferSettings(**common, category=category))[1] for category in asked.categories
        },
    }
    file = asked.record or records_folder() / "fine-tuning-rates.json"
    record = json.loads(file.read_text()) if file.is_file() else {}
    if record.get("settings") != settings:
        record = {"settings": settings, "runs": []}
    done = {tuple(run[key] for key in KEYS) for run in record["runs"]}
    print(f"{describe_hardware(device)}; width {asked.width}, {asked.resolution} px, {asked.images:,} images a cell")
    wanted = itertools.product(asked.models, STARTS, asked.categories, asked.rates, range(asked.seeds))
    for cell in wanted:
        if cell in done:
            continue
        model, start, category, rate, seed = cell
        pretrained, more = None, {}
        if start == "pretrained":
            pretrained = pretrain(asked, model)
            more = {"pretraining": pretraining_of(pretrained), "pretrained": pretrained.name}
        chosen = TransferSettings(**common, model=model, category=category, seed=seed, **more)
        iou = round(validation_iou(chosen, pretrained, rate, device), 2)
        print(f"{iou:6.2f} %  {model}, {start}, {category}, rate {rate:g}, seed {seed}", flush=True)
        record["runs"].append({**dict(zip(KEYS, cell, strict=True)), "val_iou": iou})
        write_json(file, circumstances(device) | record)
    table = pd.DataFrame(record["runs"]).pivot_table(
        index=["model", "start", "category"], columns="learning_rate", values="val_iou", aggfunc=["mean", "std"]
    )
    print(table.round(2).to_string(na_rep="-"))


if __name__ == "__main__":
    main()
