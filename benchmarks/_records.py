"""Dated records of what benchmarks measured, one JSON file each."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from chairlib import __version__
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.files import write_json
from chairlib.core.runs import commit

__all__ = ["circumstances", "records_folder", "write_record"]


def records_folder() -> Path:
    """``records/`` beside this file, or the folder that the environment variable CHAIRLIB_RECORDS names."""
    return Path(os.environ.get("CHAIRLIB_RECORDS") or Path(__file__).parent / "records")


def circumstances(device: str | torch.device = "auto") -> dict[str, Any]:
    """When and where something is measured: date, hardware, commit, and the versions of what it ran on."""
    packages = {package: version(package) for package in ("torch", "torchvision", "numpy")}
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": describe_hardware(pick_device(device)),
        "commit": commit(),
        "versions": {"python": platform.python_version(), "chairlib": __version__, **packages},
    }


def write_record(name: str, content: dict[str, Any], device: str | torch.device = "auto") -> Path:
    """Write ``content`` and its :func:`circumstances` to ``<name>-<YYYY-MM-DD>.json``; gives the file's path."""
    head = circumstances(device)
    path = records_folder() / f"{name}-{head['date']}.json"
    write_json(path, head | content)
    return path
