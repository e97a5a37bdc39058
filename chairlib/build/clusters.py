"""Clusters to build on: each is a profile of Snakemake, which says what executes jobs and what they ask for."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from chairlib.core import paths
from chairlib.core.errors import ChairlibError, ParameterError


def find_cluster(name: str) -> tuple[Path, dict[str, Any]]:
    """The folder of ``profiles/<name>`` of the home, or else the folder ``name``, and what its file says.

    Raises ParameterError where there is no profile of Snakemake, and where the executor that it names is missing.
    """
    try:
        from snakemake.cli import get_profile_dir  # what it takes for a profile's file, and which of several
    except ModuleNotFoundError as error:
        raise ChairlibError("snakemake is not installed; pip install 'chairlib[book,cluster]' brings it.") from error

    places = [paths.home / "profiles" / name, Path(name).expanduser().absolute()]
    found = next((one for place in places if place.is_dir() and (one := get_profile_dir(str(place)))), None)
    if found is None:
        known = sorted({file.parent.name for file in (paths.home / "profiles").glob("*/config*.yaml")})
        raise ParameterError(
            f"cluster {name!r} does not exist; use {', '.join([*known, 'a folder'])} with a profile of Snakemake "
            "(config.yaml)."
        )
    folder, file = found
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise ParameterError(f"{file} must be a mapping of options of Snakemake, found {settings!r}.")
    executor = str(settings.get("executor", "local"))
    if executor != "local" and find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}") is None:
        package = "'chairlib[cluster]'" if executor == "slurm" else f"snakemake-executor-plugin-{executor}"
        raise ParameterError(f"{file} names the executor {executor!r}, which is missing; pip install {package}.")
    return folder, settings
