"""Sphinx extension: leaves out of the finished site what no page of it shows.

A page's download is its notebook, which holds every picture of the page once more: it is offered without outputs, as
the chapters are stored. Maps of scripts and styles are for whoever develops them. Fonts are there as WOFF2, which every
browser that shows the figures reads; the same fonts in older formats are left out.
"""

import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

#: Files that no page asks for, below ``_static``. The picture is the README's.
UNUSED = ("*.map", "readme.png")


def without_outputs(notebook: str) -> str:
    """The notebook (JSON text) without outputs and what their making left in it."""
    content: dict[str, Any] = json.loads(notebook)
    for name in ("widgets", "papermill"):
        content["metadata"].pop(name, None)
    for cell in content["cells"]:
        for name in ("execution", "papermill"):
            cell["metadata"].pop(name, None)
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def slim(site: Path) -> None:
    """Take out of a rendered site what no page shows."""
    for file in (site / "_sources").rglob("*.ipynb"):
        file.write_text(without_outputs(file.read_text(encoding="utf-8")), encoding="utf-8")
    for pattern in UNUSED:
        for file in (site / "_static").rglob(pattern):
            file.unlink()
    for file in (site / "_static").rglob("*.ttf"):
        if file.with_suffix(".woff2").is_file():
            file.unlink()


def _finished(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        slim(Path(app.outdir))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
