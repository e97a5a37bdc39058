"""Short texts that stand out in a chapter: its answer, and a line in place of what this build did not compute."""

import html

from IPython.display import HTML

#: Class of a line about what is not in this build. The site leaves out a section that holds nothing else, and lists
#: all such lines of a page, folded, at its end (book/_extensions/absent_sections.py).
ABSENT = "chair-absent"


def in_short(*sentences: str) -> HTML:
    """The answer of a chapter as a box, a paragraph each sentence. Values are part of them, with their intervals."""
    words = "</p><p>".join(map(html.escape, sentences))
    look = "border-left:3px solid #009E73;padding:.2em 0 .2em 1em;margin:1em 0"
    return HTML(f'<div class="chair-in-short" style="{look}"><p><strong>In short.</strong> {words}</p></div>')


def absent(what: str) -> HTML:
    """A line in place of a figure or table that this build did not compute: ``what`` it is, and what would bring it.

    ``what`` is a whole sentence, such as "When the basin forms: the profiles evening and paper compute it."
    """
    return HTML(f'<p class="{ABSENT}">{html.escape(what)}</p>')
