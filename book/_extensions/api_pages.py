"""Sphinx extension: the API reference, written from docstrings when the book is rendered.

A page ``api/FOLDER.rst`` holds a title and a sentence. Every module of ``chairlib/FOLDER`` is added below them with its
public names: all that it defines without an underscore. ``api/index.rst`` gets the names of ``chairlib`` itself.
"""

import importlib
import inspect
import pkgutil
import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

FOLDER = "api/"
#: "Parameters", or another heading of a docstring in NumPy's style, with its underline.
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def modules_of(package: str) -> list[str]:
    """The modules below a package; packages in it only pass on the names of these."""
    folder = importlib.import_module(package)
    return [module.name for module in pkgutil.walk_packages(folder.__path__, f"{package}.") if not module.ispkg]


def api_page(name: str) -> str:
    """What stands below the title of the page ``name``, as reStructuredText."""
    if name == "index":
        face = importlib.import_module("chairlib")
        objects = {public: getattr(face, public) for public in face.__all__ if not public.startswith("__")}
        chapters = {public for public, found in objects.items() if inspect.ismodule(found)}  # each has a page
        return "".join(
            f"- :obj:`{public} <{found.__module__}.{found.__qualname__}>`: {inspect.getdoc(found).splitlines()[0]}\n"
            for public, found in objects.items()
            if public not in chapters
        )
    return "\n".join(
        f"{module}\n{'-' * len(module)}\n\n.. automodule:: {module}\n   :members:\n   :undoc-members:\n"
        for module in modules_of(f"chairlib.{name}")
    )


def without_sections(docstring: str) -> str:
    """The docstring with its sections in NumPy's style as bold headings, each entry in them as an item of a list."""
    before, *sections = SECTION.split(docstring)
    for heading, text in zip(sections[::2], sections[1::2], strict=True):
        # An entry ends with its paragraph: what comes after a blank line stands below the list.
        entries, blank, rest = text.strip("\n").partition("\n\n")
        lines = ["", f"**{heading}**", ""]
        for line in entries.split("\n"):
            item = re.sub(r"^(\w[\w, ]*?): ", r"- **\1**: ", line)
            lines.append(item if item != line else f"  {line.strip()}")
        before += "\n".join(lines) + blank + rest
    return before


def _fill(_app: Sphinx, docname: str, source: list[str]) -> None:
    if docname.startswith(FOLDER):
        source[0] += "\n" + api_page(docname.removeprefix(FOLDER))


def _process(_app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    # Bars are absolute values here: reStructuredText would take |x| for a substitution.
    text = re.sub(r"(``.*?``)|\|", lambda found: found[1] or r"\|", "\n".join(lines), flags=re.DOTALL)
    lines[:] = without_sections(text).split("\n")


def _find(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element) -> nodes.Element | None:
    """A role that names an object of ours without its module, as docstrings do: found where one has that name."""
    if node.get("refdomain") != "py":
        return None
    objects = env.get_domain("py").objects  # type: ignore[attr-defined]
    # ``chairlib.fit`` and ``chairlib.benchmark.open_run`` are passed on by packages; the functions live deeper.
    passed_on = re.fullmatch(r"chairlib\.(?:(\w+)\.)?(\w+)", node["reftarget"])
    target = passed_on[2] if passed_on else node["reftarget"]
    modules = {name for name, place in objects.items() if place.objtype == "module" and node["reftype"] != "mod"}
    found = [name for name in objects if name.endswith(f".{target}") and name not in modules]
    # Two chapters have a get_recipe: each means its own.
    own = (node.get("py:module") or "").split(".")[1:2]
    chapter = (passed_on and passed_on[1]) or "".join(own)
    nearest = [name for name in found if name.startswith(f"chairlib.{chapter}.")] or found
    if len(nearest) != 1:
        return None
    place = objects[nearest[0]]
    return make_refnode(app.builder, node["refdoc"], place.docname, place.node_id, contnode, nearest[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("source-read", _fill)
    app.connect("autodoc-process-docstring", _process)
    app.connect("missing-reference", _find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
