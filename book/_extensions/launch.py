"""Sphinx extension: where the book's code can be read and run, from one setting; and how to cite it.

``public_repository`` in ``_config.yml`` is the address of the repository on GitHub. As long as it is empty, no page
links to one. When it is set, every chapter has buttons that open its stored notebook in Binder and in Colab.

- ``{repository}`` as a role, as in {repository}`the repository`: a link to it, or only the words.
- ``{launch}`` as a directive: links to the repository, Binder and Colab; nothing without a repository.
- ``{bibtex} software`` or ``{bibtex} paper`` as a directive: an entry made from CITATION.cff.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ConfigError, ExtensionError
from sphinx.util.docutils import SphinxDirective, SphinxRole

GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?")
#: The notebook that pages of a folder are executed copies of.
STORED = {"runs": "03_benchmark", "transfer": "05_object_discovery", "landscape": "07_loss_landscape"}


def repository_of(address: str) -> tuple[str, str] | None:
    """(owner, name) of a repository on GitHub; None where there is no address. ConfigError for any other address."""
    if not address:
        return None
    found = GITHUB.fullmatch(address)
    if not found:
        raise ConfigError(f"public_repository {address!r} is no repository: https://github.com/owner/name is one.")
    return found[1], found[2]


def notebook_of(pagename: str) -> str | None:
    """The stored notebook of a page, below the repository's folder; None for a page that is none."""
    parts = pagename.split("/")
    if parts[0] != "notebooks":
        return None
    return f"notebooks/{STORED[parts[1]] if len(parts) > 2 else parts[1]}.ipynb"


def links(address: str, notebook: str | None = None) -> dict[str, str]:
    """Where the repository, or one notebook of it, opens: by name. Empty without a repository."""
    found = repository_of(address)
    if not found:
        return {}
    place = "/".join(found)
    colab = f"https://colab.research.google.com/github/{place}"
    return {
        "GitHub": f"https://github.com/{place}",
        "Binder": f"https://mybinder.org/v2/gh/{place}/HEAD?urlpath=lab/tree/{notebook or 'notebooks'}",
        "Colab": f"{colab}/blob/main/{notebook}" if notebook else colab,
    }


def _authors(authors: list[dict[str, str]]) -> str:
    said = [
        f"{who['family-names']}, {who['given-names']}" if "family-names" in who else f"{{{who['name']}}}"
        for who in authors
    ]
    return " and ".join(said)


def bibtex(citation: dict[str, Any], which: str, address: str = "", year: str = "") -> str:
    """A BibTeX entry from the content of CITATION.cff: of the software, or of the paper that it rebuilds."""
    if which == "paper":
        work, kind, key = citation["references"][0], "article", "pintoalva2020"
        fields = {
            "title": f"{{{work['title']}}}",
            "author": _authors(work["authors"]),
            "journal": work["journal"],
            "year": str(work["year"]),
            "url": work["url"],
        }
    elif which == "software":
        kind, key = "software", "chairsegments"
        fields = {
            "title": f"{{{citation['title']}}}",
            "author": _authors(citation["authors"]),
            "version": str(citation["version"]),
            "year": year,
            "url": address or str(citation.get("repository-code", "")),
        }
    else:
        raise ExtensionError(f"bibtex {which!r} is unknown; use software or paper.")
    lines = [f"  {name:<7} = {{{text}}}" for name, text in fields.items() if text]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


class Repository(SphinxRole):
    """Words that lead to the repository, once there is a public one."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        found = links(self.config.public_repository)
        if not found:
            return [nodes.inline(self.rawtext, self.text)], []
        return [nodes.reference(self.rawtext, self.text, refuri=found["GitHub"])], []


class Launch(SphinxDirective):
    """A line of links: the repository, and services that run it; nothing as long as there is no public one."""

    def run(self) -> list[nodes.Node]:
        line = nodes.paragraph(classes=["launch"])
        for name, address in links(self.config.public_repository).items():
            text = "Repository" if name == "GitHub" else f"Run it in {name}"
            line += nodes.reference("", text, refuri=address)
        return [line] if line.children else []


class BibTeX(SphinxDirective):
    """An entry to copy."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        file = Path(self.env.srcdir).parent / "CITATION.cff"
        self.env.note_dependency(str(file))
        citation = yaml.safe_load(file.read_text(encoding="utf-8"))
        entry = bibtex(citation, self.arguments[0], self.config.public_repository, self.config.copyright)
        return [nodes.literal_block(entry, entry, language="bibtex", classes=["cite"])]


def _button(name: str, address: str, icon: str) -> dict[str, str]:
    said = {
        "GitHub": "Repository on GitHub",
        "Binder": "Open in Binder",
        "Colab": "Open in Colab: first install chairlib there, with %pip install git+ and the repository's address",
    }[name]
    return {"type": "link", "text": name, "tooltip": said, "icon": icon, "url": address}


def _add(app: Sphinx, pagename: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    notebook = notebook_of(pagename)
    found = links(app.config.public_repository, notebook) if notebook else {}
    icons = {
        "Binder": "_static/images/logo_binder.svg",
        "Colab": "_static/images/logo_colab.png",
        "GitHub": "fab fa-github",
    }
    if found:
        context["header_buttons"].append(
            {
                "type": "group",
                "tooltip": "Run this chapter",
                "icon": "fas fa-rocket",
                "buttons": [_button(name, found[name], icon) for name, icon in icons.items()],
                "label": "launch-buttons",
            }
        )


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("public_repository", "", "env", str)  # pages are read with it
    app.connect("config-inited", lambda _app, config: repository_of(config.public_repository) and None)
    app.add_role("repository", Repository())
    app.add_directive("launch", Launch)
    app.add_directive("bibtex", BibTeX)
    app.connect("html-page-context", _add, priority=502)  # the theme makes the list of buttons before
    return {"parallel_read_safe": True, "parallel_write_safe": True}
