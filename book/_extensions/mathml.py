"""Sphinx extension: formulas as MathML, which browsers draw themselves.

A script that draws formulas weighs more than any page here. Every current browser draws MathML, and screen readers
read it. docutils turns the LaTeX of a formula into it when the book is rendered; what it cannot read is an error there.
"""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number

#: A variable: browsers take its slanted letter from a font of mathematics, which phones may lack. The book's own
#: italics are always there (book.css).
LETTER = re.compile(r"<mi>(.)</mi>")


def mathml(formula: str, block: bool = False) -> str:
    """The formula (LaTeX, without dollars) as a ``math`` element."""
    if block and r"\\" in formula and r"\begin" not in formula:
        formula = rf"\begin{{aligned}}{formula}\end{{aligned}}"
    try:
        drawn = latex2mathml.tex2mathml(formula, as_block=block)
    except (SyntaxError, ValueError) as error:
        raise ExtensionError(f"the formula {formula!r} cannot be drawn: {error}") from error
    return LETTER.sub(r'<mi class="variable">\1</mi>', drawn)


def _inline(writer: Any, node: nodes.Element) -> None:
    writer.body.append(f'<span class="math">{mathml(node.astext())}</span>')
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.Element) -> None:
    target = f' id="{node["ids"][0]}"' if node["ids"] else ""
    number = f'<span class="eqno">({get_node_equation_number(writer, node)})</span>' if node["number"] else ""
    writer.body.append(f'<div class="math"{target}>{mathml(node.astext(), block=True)}{number}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
