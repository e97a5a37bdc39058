"""Sphinx extension: the API reference, written from docstrings when the book is rendered.

A page ``api/FOLDER.rst`` holds a title and a sentence. Every module of ``chairlib/FOLDER`` that has an ``__all__`` is
added below them with all names in it. ``api/index.rst`` gets the names that ``chairlib`` itself has.
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

__all__ = ["api_page", "setup", "without_sections"]

FOLDER = "api/"
#: "Parameters", or another heading of a docstring in NumPy's style, with its underline.
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def public_modules(package: str) -> list[str]:
    """The modules below a package that say what is public in them; packages only pass on the names of these."""
    folder = importlib.import_module(package)
    found = [module for module in pkgutil.walk_packages(folder.__path__, f"{package}.") if not module.ispkg]
    return [module.name for module in found if hasattr(importlib.import_module(module.name), "__all__")]


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
        for module in public_modules(f"chairlib.{name}")
    )


def without_sections(docstring: str) -> str:
    """The docstring with its sections in NumPy's style as bold headings, each entry in them as an item of a list."""
    before, *sections = SECTION.split(docstring)
    for heading, text in zip(sections[::2], sections[1::2], strict=True):
        items = re.sub(r"^(\w[\w, ]*?): ", r"\n- **\1**: ", text, flags=re.MULTILINE)
        # What goes on below an entry belongs to it; a paragraph of its own ends the list.
        items = re.sub(r"^ {4}(?=\S)", "  ", items, flags=re.MULTILINE)
        before += f"**{heading}**\n{items}"
    return before


def _fill(_app: Sphinx, docname: str, source: list[str]) -> None:
    if docname.startswith(FOLDER):
        source[0] += "\n" + api_page(docname.removeprefix(FOLDER))


def _process(_app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = without_sections("\n".join(lines)).split("\n")


def _find(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element) -> nodes.Element | None:
    """A role that names an object of ours without its module, as docstrings do: found where one has that name."""
    if node.get("refdomain") != "py":
        return None
    objects = env.get_domain("py").objects  # type: ignore[attr-defined]
    # ``chairlib.fit`` is the library's face; the function lives deeper.
    target = re.sub(r"^chairlib\.(?=\w+$)", "", node["reftarget"])
    found = [name for name in objects if name.endswith(f".{target}")]
    # Two chapters have a get_recipe: each means its own.
    chapter = ".".join((node.get("py:module") or "").split(".")[:2])
    nearest = [name for name in found if name.startswith(f"{chapter}.")] or found
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
