"""Sphinx extension: what a page says of itself to search engines, and to whoever is sent a link to it.

Its description is its lead, or its first paragraph: a chapter's question. The book's own page says its name once.
"""

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

#: Characters that search engines show of a description.
LONGEST = 200


def description_of(doctree: nodes.document) -> str:
    """The first paragraph of a page that is not in a box, cut after a word; empty where there is none."""
    for paragraph in doctree.findall(nodes.paragraph):
        if (
            isinstance(paragraph.parent, nodes.document | nodes.section | nodes.container)
            and paragraph.astext().strip()
        ):
            text = " ".join(paragraph.astext().split())
            return text if len(text) <= LONGEST else f"{text[:LONGEST].rpartition(' ')[0]} …"
    return ""


def tags(title: str, description: str, site: str) -> str:
    """The elements of a page's head, as HTML."""
    said = {"og:title": title, "og:description": description, "og:site_name": site, "og:type": "website"}
    properties = "".join(f'<meta property="{name}" content="{escape(text)}"/>\n' for name, text in said.items())
    return f'<meta name="description" content="{escape(description)}"/>\n{properties}'


def _add(app: Sphinx, pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    site = app.config.html_title or app.config.project
    title = app.env.titles[pagename].astext() if pagename in app.env.titles else context.get("title") or "Search"
    description = (description_of(doctree) if doctree else "") or f"{title}: a page of {site}."
    context["metatags"] = context.get("metatags", "") + tags(title, description, site)
    if title == site:
        context["docstitle"] = ""  # or the tab says the name twice


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
