"""Profiles: how much of everything a build does: those of ``profiles``, by name, or a file of one's own.

A profile lists runs of the benchmark and of fine-tuning. A list as a value means one run for each of its elements.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core import paths
from chairlib.core.errors import ParameterError
from chairlib.core.settings import Settings
from chairlib.landscape.settings import LandscapeSettings
from chairlib.transfer.settings import TransferSettings

#: Sections with the parameters of one notebook.
_NOTEBOOKS = {
    "collection": {"leakage_threshold"},
    "gallery": {"size", "each", "n_angles", "n_values"},
    "compositing": {"n_examples"},
}
#: Sections that list runs, and what may name the featured one.
_FEATURED = {
    "benchmark": {"model", "resolution", "recipe", "seed"},
    "transfer": {"model", "category", "pretraining", "recipe", "seed"},
    "landscape": {"model", "category", "recipe"},
}
#: Parameters of runs that no profile sets: what a build computes on, and which run another one starts from.
_GIVEN_BY_THE_BUILD = {"data", "photos", "device", "pretrained", "pretrain"}
#: The run of chapter 05 or 07 in a profile without such a section: the book has the chapters in any case.
_STORED: dict[str, dict[str, Any]] = {
    "transfer": {"width": 8, "images": 320, "evaluations": 4},
    "landscape": {
        "pretrain": {"recipe": "fast", "images": 640, "val_images": 80, "test_images": 80, "evaluations": 2},
        **{"width": 4, "images": 320, "evaluations": 2, "n_alphas": 11, "plane": 5},
    },
}


@dataclass(frozen=True)
class Profile:
    name: str
    description: str
    """One sentence for the reader of the book: how much was done."""
    estimate: bool
    """Print how long the build will take before starting it."""
    collection: dict[str, Any]
    gallery: dict[str, Any]
    compositing: dict[str, Any]
    """Parameters of the notebooks 01_collection, 01_gallery and 02_compositing."""
    benchmark: list[dict[str, Any]]
    transfer: list[dict[str, Any]]
    landscape: list[dict[str, Any]]
    """Parameters of each run; the featured one, which the chapter shows, comes first."""


def _keys(found: Any, known: set[str], where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ParameterError(f"{where} must be a mapping with {', '.join(sorted(known))}, found {found!r}.")
    if unknown := found.keys() - known:
        raise ParameterError(
            f"{where} has unknown entry {', '.join(map(str, unknown))}; it may have {', '.join(sorted(known))}."
        )
    return found


def load_profile(name: str) -> Profile:
    """Read a profile by name (``profiles/<name>.yaml``) or by path (``*.yaml``).

    Raises :class:`ParameterError` for a profile that doesn't exist, isn't YAML, or has an entry that nothing reads.
    """
    file = Path(name) if name.endswith((".yaml", ".yml")) else paths.home / "profiles" / f"{name}.yaml"
    if not file.is_file():
        names = ", ".join(sorted(path.stem for path in (paths.home / "profiles").glob("*.yaml")))
        raise ParameterError(f"profile {name!r} does not exist; use {names or 'a path'}, or the path of a .yaml file.")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"profile {file} is not YAML: {' '.join(str(error).split())}") from error
    content = _keys(content, {"description", "estimate", *_NOTEBOOKS, *_FEATURED}, f"profile {file.name}")
    where = f"of profile {file.name}"
    sections: dict[str, Any] = {
        name: _keys(content.get(name) or {}, known, f"{name} {where}") for name, known in _NOTEBOOKS.items()
    }
    for settings in (BenchmarkSettings, TransferSettings, LandscapeSettings):
        kind = settings.kind
        is_stored = kind in _STORED and kind not in content
        sections[kind] = [_STORED[kind]] if is_stored else _runs(content.get(kind), settings, where)
    description, estimate = str(content.get("description", "")).strip(), bool(content.get("estimate", False))
    return Profile(file.stem, description, estimate, **sections)


def _runs(content: Any, settings: type[Settings], where: str) -> list[dict[str, Any]]:
    """The runs that a section lists, one for each combination, the featured one first."""
    section, known = settings.kind, set(settings.names()) - _GIVEN_BY_THE_BUILD
    content = _keys(content, {"common", "runs", "featured"}, f"{section} {where}")
    common = _keys(content.get("common") or {}, known, f"common {where}")
    entries = content.get("runs") or []
    if not isinstance(entries, list):
        raise ParameterError(f"runs {where} must be a list, found {entries!r}.")
    runs = []
    for number, entry in enumerate(entries, 1):
        run = {**common, **_keys(entry, known, f"run {number} {where}")}
        values = [value if isinstance(value, list) else [value] for value in run.values()]
        runs += [dict(zip(run, choice, strict=True)) for choice in itertools.product(*values)]
    if not runs:
        raise ParameterError(
            f"the section {section} {where} has no {section} runs; list at least one under {section}: runs:."
        )
    featured = _keys(content.get("featured") or {}, _FEATURED[section], f"featured {where}")
    is_featured = [all(run.get(key) == value for key, value in featured.items()) for run in runs]
    if True not in is_featured:
        raise ParameterError(f"no run {where} is the featured one ({featured}).")
    runs.insert(0, runs.pop(is_featured.index(True)))
    return runs
