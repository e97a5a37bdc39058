"""The photos of a fine-tuning run: which train, which validate and which are scored, under the run's protocol."""

import hashlib
import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chairlib.compositing.image_sets import StoredSet, to_arrays
from chairlib.core import paths
from chairlib.core.errors import CollectionError
from chairlib.core.files import file_digest
from chairlib.core.once import look
from chairlib.core.runs import Record, Run
from chairlib.transfer.object_discovery import ObjectDiscovery, photos_folder
from chairlib.transfer.protocols import FOLDS, stable_order
from chairlib.transfer.settings import STAND_IN, TransferSettings


def photos_root(data: str | Path) -> Path:
    """The folder of ``data``: the stand-in's, or ``data`` itself. Raises :class:`ParameterError` for no path."""
    return paths.stand_in if data == STAND_IN else photos_folder(data)


def splits_of(protocol: str) -> tuple[str, str, str]:
    """The splits that train, validate and are scored: the authors' protocol has no test split."""
    return ("train", "val", "val") if protocol == "authors" else ("train", "val", "test")


def open_datasets(settings: TransferSettings) -> dict[str, ObjectDiscovery]:
    """The photos of a run with these settings, by split: those that train come first."""
    root = photos_root(settings.data)
    return {
        split: ObjectDiscovery(root, settings.category, split, settings.protocol, fold=settings.fold)
        for split in dict.fromkeys(splits_of(settings.protocol))
    }


@dataclass(frozen=True)
class Photos:
    """Those photos of a run that train and those that are scored, on a device."""

    train: StoredSet
    scored: StoredSet
    scored_split: str


def open_photos(settings: TransferSettings, device: torch.device) -> Photos:
    """The photos that a run with these settings trains on (all of them, whatever its share) and is scored on."""
    datasets, scored = open_datasets(settings), splits_of(settings.protocol)[2]
    train, test = (datasets[split].image_set(settings.resolution, device) for split in ("train", scored))
    return Photos(train, test, scored)


def share_of(photos: StoredSet, ids: list[str], share: int, seed: int) -> StoredSet:
    """``share`` per cent of the photos, rounded up: other ones for each seed, the same whatever a run starts from.

    With one seed, each share holds all photos of the smaller shares: along a curve over shares, photos are only added.
    """
    if share == 100:
        return photos
    first = stable_order(ids, f"share {seed}")[: math.ceil(len(ids) * share / 100)]
    chosen = torch.tensor(sorted(ids.index(identity) for identity in first), device=photos.images.device)
    images, masks = photos.images[chosen].cpu(), photos.masks[chosen].cpu()
    return StoredSet(images, masks, photos.device, photos.name)


def name_and_hash(settings: TransferSettings) -> tuple[str, str]:
    """What a run's photos are called, and 16 hexadecimal digits over the ids and files of every split, as now."""

    def find() -> tuple[str, str]:
        digest, datasets = hashlib.sha256(), open_datasets(settings)
        for split, photos in datasets.items():
            digest.update(repr((split, photos.ids)).encode())
            for file in itertools.chain.from_iterable(photos.files):
                digest.update(file_digest(file))
        return datasets["train"].name, digest.hexdigest()[:16]

    return look((settings.data, settings.category, settings.protocol, settings.fold), find)


def check_unchanged(run: Run[TransferSettings]) -> None:
    """Raise :class:`CollectionError` where the photos are no longer those that the run was opened with."""
    now = name_and_hash(run.settings)[1]
    if now != run.data["hash"]:
        raise CollectionError(
            f"{photos_root(run.settings.data)}: photos or masks have changed ({now}) since run {run.name} was opened "
            f"({run.data['hash']}); open it again."
        )


def protocol_title(settings: Any) -> str:
    """The protocol that settings name, with its fold where it has one: ``"folds (fold 0 of 5)"``."""
    return f"folds (fold {settings.fold} of {FOLDS})" if settings.protocol == "folds" else settings.protocol


def run_title(run: Run[Any] | Record, split: str | None = None) -> str:
    """What every figure of a run says of its photos: name, protocol, and split (by default the one that is scored)."""
    name = (run.data if isinstance(run, Run) else run.content["data"])["name"]
    return f"{name}, protocol {protocol_title(run.settings)}, {split or splits_of(run.settings.protocol)[2]} images"


def preview(run: Run[TransferSettings], count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first ``count`` training photos of a run and their masks: uint8 [N, d, d, 3], bool [N, d, d]."""
    photos = open_datasets(run.settings)["train"].image_set(run.settings.resolution, "cpu")
    images, masks = to_arrays(*photos.batch(torch.arange(min(count, len(photos)))))
    return images, masks > 127
