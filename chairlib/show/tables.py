"""Data frames as HTML tables that suit JupyterLab and the site, light and dark pages, wide screens and phones."""

import html
import itertools
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML

from chairlib.core import paths

_STYLE = (paths.assets / "table.css").read_text(encoding="utf-8")
#: What a line must not break within: "(71.5–77.7)", "(+0.9 to +7.9)", "▲ 2 seeds", "width 16", "FCN-VGG-16".
_WHOLE = re.compile(r"\([^()]{1,24}\)|[▲▼≈?] \d+ seeds?|width \d+|\w+(?:-\w+)+,?")


def style_table(
    frame: pd.DataFrame,
    caption: str,
    decimals: int | Mapping[Any, int] = 2,
    note: str = "",
    constants: Mapping[str, str] | None = None,
) -> HTML:
    """A data frame as an HTML table for JupyterLab and the site, light or dark; it scrolls sideways on a phone.

    The index gives the row headers; where it is only a count, the first column does. Two-level columns become grouped
    headers, and columns with the word "paper" in their label are set apart.

    Numbers get ``decimals`` places (one number, or one a column label), whole numbers none. A cell of three numbers
    (value, low, high) is shown with its interval, to as many places as show two digits of the interval's width, at
    most one more than ``decimals``. None and NaN are shown as a dash. ``note``: a line below the table.

    ``constants``: columns, by the last level of their label, that go to the caption where all their filled cells are
    equal, each with its words there: ``{"seeds": "{} seeds"}``. Rows with an empty cell there were not trained.
    """
    frame, told, rows = _without_constants(frame, constants or {})
    caption = f"{caption.rstrip('.')}. In every row{rows}: {', '.join(told)}." if told else caption
    if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None and len(frame.columns):
        frame = frame.set_index(frame.columns[0])
        name = frame.index.name
        frame.index.name = " ".join(map(str, name)).strip() if isinstance(name, tuple) else name
    papers = [bool(re.search(r"\bpaper\b", str(column), re.IGNORECASE)) for column in frame.columns]
    kinds = [_cell_classes(frame.iloc[:, position], paper) for position, paper in enumerate(papers)]
    body = []
    for key, row in zip(frame.index, frame.itertuples(index=False, name=None), strict=True):
        names = key if isinstance(key, tuple) else (key,)
        cells = "".join(f'<th scope="row">{_cell_html(str(name))}</th>' for name in names)
        for value, column, classes in zip(row, frame.columns, kinds, strict=True):
            places = decimals if isinstance(decimals, int) else decimals.get(column, 2)
            cells += f'<td class="{classes}">{_cell_html(_cell_text(value, places))}</td>'
        body.append(f"<tr>{cells}</tr>")
    title, head = html.escape(caption), _table_head(frame, kinds)
    return HTML(
        f'<style>{_STYLE}</style><div class="chair-table-box" role="region" aria-label="{title}" tabindex="0">'
        f'<table class="chair-table"><caption><span><span>{title}</span></span></caption>'
        f"<thead>{head}</thead><tbody>{''.join(body)}</tbody></table></div>"
        + (f"<p>{html.escape(note)}</p>" if note else "")
    )


def switch(tables: Mapping[str, HTML], what: str = "score") -> HTML:
    """Tables one of which is shown, as its button says, without a script; all of them in print and in old browsers.

    ``tables``: at most four, by the text of their button. ``what`` the buttons choose, for screen readers.
    """
    if len(tables) < 2:
        return HTML("".join(table.data for table in tables.values()))
    buttons = "".join(
        f'<label><input type="radio" name="shown"{" checked" if number == 0 else ""}><span>{html.escape(name)}</span>'
        "</label>"
        for number, name in enumerate(tables)
    )
    body = "".join(f"<div>{table.data}</div>" for table in tables.values())
    # A form of its own keeps switches apart. No old choice is restored, and Enter sends nothing: it is a "dialog".
    group = f'<p role="radiogroup" aria-label="{html.escape(what)}">{buttons}</p>'
    return HTML(f'<form class="chair-switch" method="dialog" autocomplete="off">{group}{body}</form>')


def _without_constants(frame: pd.DataFrame, words: Mapping[str, str]) -> tuple[pd.DataFrame, list[str], str]:
    """The frame without columns in ``words`` of one value, these values in words, and which rows have them, if some."""
    told, rows = {}, ""
    for column in frame.columns:
        name = column[-1] if isinstance(column, tuple) else column
        values = {_cell_text(value, 1) for value in frame[column] if not _is_missing(value)}
        if name in words and len(values) < 2:
            told[column] = [re.sub(r"^1 (\w+)s\b", r"1 \1", words[name].format(*values))] if values else []
            rows = " that we trained" if values and any(map(_is_missing, frame[column])) else rows
    return frame.drop(columns=list(told)), list(itertools.chain(*told.values())), rows


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _is_figure(value: Any) -> bool:
    """A number, a (value, low, high), or a text that begins like a number."""
    if isinstance(value, str):
        return bool(re.match(r"[-−+<>≈~]?\s*\d", value))
    return isinstance(value, tuple) or (isinstance(value, numbers.Number) and not _is_missing(value))


def _cell_classes(column: pd.Series, paper: bool) -> str:
    """The CSS classes of a column's cells. An empty column counts as one of numbers."""
    values = [value for value in column if not _is_missing(value)]
    text = values and not any(map(_is_figure, values))
    return " ".join(name for name, yes in (("chair-paper", paper), ("chair-text", text)) if yes)


def _cell_text(value: Any, decimals: int) -> str:
    if _is_missing(value):
        return "–"
    if isinstance(value, tuple) and len(value) == 3:
        if any(map(_is_missing, value[1:])):
            return f"{_cell_text(value[0], decimals)} (no interval)"
        places = _interval_places(float(value[2]) - float(value[1]), decimals)
        middle, low, high = (_cell_text(float(part), places) for part in value)
        return f"{middle} ({low}–{high})" if float(value[1]) >= 0 else f"{middle} ({low} to {high})"
    if isinstance(value, bool | np.bool_ | str):
        return str(value)
    if isinstance(value, numbers.Integral):
        return f"{value:,}"
    return f"{value:,.{decimals}f}" if isinstance(value, numbers.Real) else str(value)


def _cell_html(text: str) -> str:
    """The text escaped, with an interval, or a name with hyphens, kept on one line."""
    return re.sub(_WHOLE, r'<span class="chair-whole">\g<0></span>', html.escape(text))


def _interval_places(width: float, decimals: int) -> int:
    """Places for an interval of this width: two digits of it, and one place more than was asked for at most."""
    if not (1e-6 < width < math.inf):  # none, or no more than rounding
        return decimals
    return max(min(decimals, 1), min(decimals + 1, 1 - math.floor(math.log10(width))))


def _table_head(frame: pd.DataFrame, classes: Sequence[str]) -> str:
    """Header rows: one a level of the columns, equal neighbours of the upper levels joined."""
    levels = frame.columns.nlevels
    names = [html.escape(str(name)) if name is not None else "" for name in frame.index.names]
    corner = "".join(
        f'<th scope="col" class="chair-text"{f" rowspan={levels}" if levels > 1 else ""}>{name}</th>' for name in names
    )
    rows = []
    for level in range(levels):
        labels = [str(label) for label in frame.columns.get_level_values(level)]
        cells = corner if level == 0 else ""
        if level == levels - 1:
            cells += "".join(
                f'<th scope="col" class="{c}">{_cell_html(label)}</th>'
                for label, c in zip(labels, classes, strict=True)
            )
        else:
            for label, run in itertools.groupby(labels):
                cells += f'<th scope="colgroup" colspan="{len(list(run))}">{html.escape(label)}</th>'
        rows.append(f"<tr>{cells}</tr>")
    return "".join(rows)
