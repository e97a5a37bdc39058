"""Sphinx extension: each training run's page is titled by its run.

Every run is an executed copy of the same notebook, so all of them open with the same heading, and the contents would
list that heading once per run. The file's name is the run's name: it becomes the title.
"""

import json
from typing import Any

from sphinx.application import Sphinx

FOLDER = "notebooks/runs/"


def titled(notebook: str, run: str) -> str:
    """The notebook (JSON text) with its first level-one heading replaced by the run's name."""
    content: dict[str, Any] = json.loads(notebook)
    for cell in content["cells"]:
        lines = "".join(cell["source"]).split("\n")
        if cell["cell_type"] == "markdown" and lines[0].startswith("# "):
            cell["source"] = "\n".join([f"# Run `{run}`", *lines[1:]])
            break
    return json.dumps(content)


def _retitle(_app: Sphinx, docname: str, source: list[str]) -> None:
    if docname.startswith(FOLDER):
        source[0] = titled(source[0], docname.removeprefix(FOLDER))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _retitle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
