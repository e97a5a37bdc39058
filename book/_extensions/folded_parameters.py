"""Sphinx extension: a chapter's parameters, folded behind a line that says what this build chose.

papermill leaves the parameters as the repository stores them and puts a build's own values into a second cell. On a
page both are one cell: the stored cell, with the build's values in it. The line above it names what differs.
"""

import ast
import json
from typing import Any

from sphinx.application import Sphinx

SHOW, HIDE = "Show the parameters", "Hide the parameters"
#: Values longer than this, such as the sentence that describes a build, are left to the cell itself.
LONGEST = 40
#: The line names at most so many values.
MOST = 6


def values_of(source: str) -> dict[str, ast.expr]:
    """By name, the value that each line of a cell of parameters assigns."""
    statements = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: node.value for node in statements if isinstance(node.targets[0], ast.Name)}


def with_values_of(stored: str, injected: str) -> str:
    """The source of the stored cell with the values of the injected one in place of its own. Comments stay."""
    given = {name: ast.get_source_segment(injected, value) or "" for name, value in values_of(injected).items()}
    lines = [line.encode() for line in stored.split("\n")]  # the parser counts bytes
    for name, value in reversed(values_of(stored).items()):
        if name in given and value.end_lineno:
            first, last = value.lineno - 1, value.end_lineno - 1
            whole = lines[first][: value.col_offset] + given[name].encode() + lines[last][value.end_col_offset :]
            lines[first : last + 1] = [whole]
    return b"\n".join(lines).decode()


def _told(name: str, value: Any) -> str | None:
    """A value as the line says it, such as "images 6,000"; None for one that is too long to say."""
    name = name.removeprefix("n_").replace("_", " ")
    if isinstance(value, dict):
        return None
    if isinstance(value, list):
        return f"{len(value)} {name}" if len(value) > 1 else None
    if isinstance(value, int) and not isinstance(value, bool):
        many = name.endswith("s")
        return f"{value:,} {name[:-1] if value == 1 else name}" if many else f"{name} {value:,}"
    words = {True: "yes", False: "no", None: "none"}
    text = words[value] if isinstance(value, bool | None) else str(value)
    return f"{name} {text}" if text and len(text) <= LONGEST else None


def choice(stored: str, injected: str) -> str:
    """What a build chose, in a line: the data, and whatever the injected cell has otherwise than the stored one."""
    before, after = (
        {name: ast.literal_eval(value) for name, value in values_of(cell).items()} for cell in (stored, injected)
    )
    new = {name: after[name] for name in before if name in after and (name == "data" or after[name] != before[name])}
    told = [text for name, value in new.items() if (text := _told(name, value))]
    if not told:
        return "This build kept the parameters as they are stored."
    said, rest = told[:MOST], len(new) - len(told[:MOST])
    return f"This build chose: {', '.join(said)}{f', and {rest} more' if rest else ''}; the rest as stored."


def folded(notebook: str) -> str:
    """The notebook (JSON text) with its two cells of parameters as one, hidden behind a line."""
    content: dict[str, Any] = json.loads(notebook)
    tagged = [(set(cell["metadata"].get("tags", [])), cell) for cell in content["cells"]]
    injected = "\n".join("".join(cell["source"]) for tags, cell in tagged if "injected-parameters" in tags)
    for tags, cell in tagged:
        if "parameters" in tags:
            stored = "".join(cell["source"])
            line = choice(stored, injected)
            cell["source"] = with_values_of(stored, injected)
            cell["metadata"]["tags"] = sorted(tags | {"hide-input"})
            cell["metadata"]["mystnb"] = {"code_prompt_show": f"{line} {SHOW}", "code_prompt_hide": f"{line} {HIDE}"}
    content["cells"] = [cell for tags, cell in tagged if "injected-parameters" not in tags]
    return json.dumps(content)


def _fold(app: Sphinx, docname: str, source: list[str]) -> None:
    if str(app.env.doc2path(docname)).endswith(".ipynb"):
        source[0] = folded(source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
