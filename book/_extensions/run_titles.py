"""Sphinx extension: each run's page is titled by what the run is.

Every run is an executed copy of one of three notebooks, so all of them open with the same heading, and the contents
would list that heading once per run. The title comes from the run's parameters: "U-Net, 64 px, seed 0". Runs that would
share a title are told apart by the parameters in which they differ. The run's name, with its hash, stands in the text.
"""

import ast
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from folded_parameters import values_of
from sphinx.application import Sphinx

from chairlib.core.published import MODEL_TITLES

FOLDERS = ("runs", "transfer", "landscape")
#: By what a fine-tuning run starts from, how its title says it.
STARTS = {
    "none": "from scratch",
    "none_equal_total": "from scratch, as many images in all",
    "chair_segments": "pretrained",
    "chair_segments_matched": "pretrained, matched",
    "coco_chairs": "pretrained on COCO",
}
#: How a parameter that tells runs apart is said; the others by their own names. None is the stored value.
WORDS = {
    "init_seed": "weights of seed {}",
    "share": "{} % of the training images",
    "width": "width {}",
    "images": "{:,} images",
    "pretrained": "chairs of {}",
}


def parameters_of(notebook: str) -> dict[str, Any]:
    """The parameters that an executed notebook (JSON text) ran with."""
    found: dict[str, Any] = {}
    for wanted in ("parameters", "injected-parameters"):
        for cell in json.loads(notebook)["cells"]:
            if wanted in cell["metadata"].get("tags", []):
                values = values_of("".join(cell["source"]))
                found |= {name: ast.literal_eval(value) for name, value in values.items()}
    return found


def base_title(folder: str, parameters: dict[str, Any]) -> str:
    """The title of a run that no other one shares: ``"Car: U-Net, pretrained, seed 1"``."""
    model = str(parameters["model"])
    model = MODEL_TITLES.get(model, model.rpartition(":")[2])
    if folder == "landscape":
        return f"Landscape: {parameters['category']}, {model}"
    if folder == "transfer":
        start = STARTS.get(parameters["pretraining"], parameters["pretraining"])
        return f"{str(parameters['category']).capitalize()}: {model}, {start}, seed {parameters['seed']}"
    pixels = parameters["resolution"]
    where = f"{pixels} px" if pixels else str(parameters["protocol"])
    return f"{model}, {where}, seed {parameters['seed']}"


def _said(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "pretrained" and (seed := re.search(r"-seed(\d+)-", str(value))):  # the name of a record
        value = f"seed {seed[1]}"
    return WORDS[name].format(value) if name in WORDS else f"{name.replace('_', ' ')} {value}"


def titles_of(runs: dict[str, dict[str, Any]]) -> dict[str, str]:
    """By page, such as ``runs/NAME``, a title that no other page has; from each run's parameters."""
    sharing: dict[str, list[str]] = defaultdict(list)
    for page, parameters in runs.items():
        sharing[base_title(page.split("/")[0], parameters)].append(page)
    titles: dict[str, str] = {}
    for title, pages in sharing.items():
        differ = [name for name in runs[pages[0]] if len({repr(runs[page].get(name)) for page in pages}) > 1]
        for page in pages:
            said = [_said(name, runs[page].get(name)) for name in differ]
            titles[page] = ", ".join([title, *filter(None, said)])
    taken: dict[str, int] = defaultdict(int)
    for page, title in titles.items():
        taken[title] += 1
        if taken[title] > 1:
            titles[page] = f"{title} ({page.rpartition('-')[2]})"
    return titles


def titled(notebook: str, title: str, run: str) -> str:
    """The notebook (JSON text) with its first level-one heading replaced, and the run's name below its question."""
    content: dict[str, Any] = json.loads(notebook)
    for cell in content["cells"]:
        lines = "".join(cell["source"]).split("\n")
        if cell["cell_type"] == "markdown" and lines[0].startswith("# "):
            cell["source"] = "\n".join([f"# {title}", *lines[1:], "", f"This page shows the run `{run}`."])
            break
    return json.dumps(content)


def _find(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "notebooks"
    files = [file for name in FOLDERS for file in sorted((folder / name).glob("*.ipynb"))]
    runs = {f"{file.parent.name}/{file.stem}": parameters_of(file.read_text(encoding="utf-8")) for file in files}
    app.config.run_titles = titles_of(runs)


def _retitle(app: Sphinx, docname: str, source: list[str]) -> None:
    page = docname.removeprefix("notebooks/")
    if title := app.config.run_titles.get(page):
        source[0] = titled(source[0], title, page.rpartition("/")[2])


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("run_titles", {}, "", dict)
    app.connect("builder-inited", _find)
    app.connect("source-read", _retitle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
