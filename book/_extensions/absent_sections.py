"""Sphinx extension: what a build did not compute is one folded list at the end of its page.

A cell that has nothing to show says so in a line (``chairlib.show.boxes.absent``). On the page these lines are taken
out. A section that shows nothing else goes with its heading and its text. All the lines of a page stand, each once,
under "Not in this build". Values that a cell leaves for other pages are kept: such a cell is only hidden.
"""

import json
import re
from typing import Any

from sphinx.application import Sphinx

Cell = dict[str, Any]
#: The line, as chairlib.show.boxes.absent writes it, and its words.
LINE = re.compile(r'<p class="chair-absent">(.*?)</p>', re.DOTALL)
HEADING = re.compile(r"(##+) ")
TITLE = "Not in this build"


def _source(cell: Cell) -> str:
    return "".join(cell["source"])


def _tags(cell: Cell) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def _shown(cell: Cell) -> list[Cell]:
    """The outputs of a cell that a reader of the page sees."""
    if cell["cell_type"] != "code" or _tags(cell) & {"remove-cell", "remove-output"}:
        return []
    unseen = {name for name in ("stdout", "stderr") if f"remove-{name}" in _tags(cell)}
    # What a cell glues without showing it has a type of papermill's.
    return [
        output
        for output in cell["outputs"]
        if output.get("name") not in unseen
        and not any(kind.startswith("application/papermill") for kind in output.get("data", {}))
    ]


def _take_lines(cell: Cell) -> list[str]:
    """Take the lines of what is absent out of a cell's outputs, and return their words. Outputs left empty go."""
    words = []
    for output in _shown(cell):
        html = "".join(output.get("data", {}).get("text/html", ""))
        found = LINE.findall(html)
        words += found
        if found:
            rest = LINE.sub("", html)
            if re.sub(r"<(?!img|svg|table|iframe|video|canvas|script)[^>]*>", "", rest).strip():
                output["data"]["text/html"] = rest
            else:
                cell["outputs"].remove(output)
    return words


def _end(cells: list[Cell], start: int, level: int) -> int:
    """Where the section that opens at ``start`` ends: at the next heading of its level or above."""
    for number in range(start + 1, len(cells)):
        if cells[number]["cell_type"] == "markdown":
            heading = re.match(r"(#+) ", _source(cells[number]))
            if heading and len(heading[1]) <= level:
                return number
    return len(cells)


def without_absent(notebook: str) -> str:
    """The notebook (JSON text) without what its build did not compute, which a folded list at its end names."""
    content: Cell = json.loads(notebook)
    cells: list[Cell] = content["cells"]
    taken = [_take_lines(cell) for cell in cells]
    if not any(taken):
        return notebook
    gone: set[int] = set()
    for start, cell in enumerate(cells):
        heading = HEADING.match(_source(cell)) if cell["cell_type"] == "markdown" else None
        if heading:
            section = range(start, _end(cells, start, len(heading[1])))
            if any(taken[number] for number in section) and not any(_shown(cells[number]) for number in section):
                gone |= set(section)
    gone |= {number for number, words in enumerate(taken) if words and not _shown(cells[number])}
    for number in gone:
        if cells[number]["cell_type"] == "code":
            cells[number]["metadata"]["tags"] = sorted(_tags(cells[number]) | {"remove-cell"})
    content["cells"] = [cell for number, cell in enumerate(cells) if number not in gone or cell["cell_type"] == "code"]
    lines = dict.fromkeys(line for words in taken for line in words)
    items = "\n".join(f"<li>{line}</li>" for line in lines)
    folded = f'<details class="chair-more">\n<summary>{TITLE}</summary>\n<ul>\n{items}\n</ul>\n</details>'
    content["cells"].append({"cell_type": "markdown", "id": "not-in-this-build", "metadata": {}, "source": folded})
    return json.dumps(content)


def _leave_out(app: Sphinx, docname: str, source: list[str]) -> None:
    if str(app.env.doc2path(docname)).endswith(".ipynb"):
        source[0] = without_absent(source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _leave_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
