"""Dated records of what benchmarks measured, one JSON file each."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.files import write_json

__all__ = ["write_record"]


def write_record(name: str, content: dict[str, Any]) -> Path:
    """Write ``content`` to ``<name>-<YYYY-MM-DD>.json``, with date, hardware and versions; gives the file's path.

    It lies in ``records/`` beside this file, or in the folder that the environment variable CHAIRLIB_RECORDS names.
    """
    today = datetime.date.today().isoformat()
    folder = Path(os.environ.get("CHAIRLIB_RECORDS") or Path(__file__).parent / "records")
    packages = ("torch", "torchvision", "numpy", "chairlib")
    head = {
        "date": today,
        "hardware": describe_hardware(pick_device("auto")),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
    }
    path = folder / f"{name}-{today}.json"
    write_json(path, head | content)
    return path
