"""Sphinx extension: tables and numbers of a page, read from the records of the benchmarks when the book is rendered.

Records are the JSON files in ``benchmarks/records``, beside the book. ``scale`` names the newest of
``scale-<YYYY-MM-DD>.json``, or ``scale.json`` where no file has a date.

A table has a row for each mapping of a list in the record. Each line of its body is a column: the field, the heading,
and a format as Python's ``format`` takes it, or with braces as ``str.format`` does::

    ```{record-table} scale
    :rows: points
    :where: step=train
    :caption: Seconds of training by the number of images.

    size | images | ,
    seconds | seconds | .2f
    own | memory | {:,.0f} bytes
    ```

``rows`` is a path of names with dots between; a number in it counts in a list. The body's fields may be such paths too.
If ``rows`` leads to a mapping of mappings, each of them is a row, and its name is the field ``name``. Without ``rows``
the parts of the record itself are the rows. ``where`` keeps
the rows whose field has this value; several conditions have commas between. ``about`` is the path to what says where
it was measured (date, hardware, versions, budget), if that is not the record itself. That stands in a line below.

A single number in the text is a role with the record, the path and the format: ``{record}`scale | base.0 | ,```. The
last part may be left out.

A picture of a record lies beside it, under the same name with ``.svg`` or ``.png``. ``suffix`` names a second one, such
as ``growth-2026-11-27-dark.svg``, and ``class`` is that of any image::

    ```{record-picture} growth
    :alt: What the picture shows, for who cannot see it.
    :suffix: -dark
    :class: only-dark
    ```

A value that is null or missing in one row is "not measured". A field that no row has is an error, as it is a slip of
the page. Where the record is not there, as in a copy of the book alone, the page says so.
"""

import json
import math
import os
import re
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective, SphinxRole

FOLDER = "benchmarks/records"
NOT_MEASURED = "not measured"
#: Stands for what a record does not have, which is something else than null.
MISSING = object()


def newest(folder: Path, name: str) -> Path | None:
    """The newest file of the record ``name``; None where there is none."""
    dated = [file for file in folder.glob(f"{name}-*.json") if re.fullmatch(r"\d{4}-\d\d-\d\d", file.stem[-10:])]
    dated = [file for file in dated if file.stem[:-11] == name]
    plain = folder / f"{name}.json"
    return max(dated, default=plain if plain.is_file() else None)


def at(content: Any, path: str) -> Any:
    """What stands at a path such as ``points.0.seconds``; MISSING where there is nothing."""
    for part in filter(None, path.split(".")):
        if isinstance(content, list) and part.isdigit() and int(part) < len(content):
            content = content[int(part)]
        elif isinstance(content, dict) and part in content:
            content = content[part]
        else:
            return MISSING
    return content


def said(value: Any, form: str = "") -> str:
    """A value as a reader sees it, in a format such as ``.1f`` or ``{:.1f} s``."""
    if value is None or value is MISSING or (isinstance(value, float) and math.isnan(value)):
        return NOT_MEASURED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return form.format(value) if "{" in form else format(value, form)


def rows_of(found: Any, where: str = "") -> list[dict[str, Any]]:
    """The rows of a table, from a list of mappings or a mapping of mappings, with those left out that differ."""
    if isinstance(found, dict):
        found = [{"name": name, **row} for name, row in found.items() if isinstance(row, dict)]
    conditions = [condition.split("=", 1) for condition in where.split(",") if condition.strip()]
    return [row for row in found if all(said(at(row, field.strip())) == wanted for field, wanted in conditions)]


def circumstances(file: str, content: dict[str, Any]) -> str:
    """Where a record comes from, in a sentence or two."""
    versions = content.get("versions", {})
    with_torch = f", torch {versions['torch']}" if "torch" in versions else ""
    where = f" ({content['hardware']}{with_torch})" if "hardware" in content else ""
    budget = f" Budget: {content['budget']}." if content.get("budget") else ""
    day = f" of {content['date']}" if "date" in content else ""
    return f"From the record {file}{day}{where}.{budget}"


def read(env: BuildEnvironment, name: str) -> tuple[str, dict[str, Any] | None]:
    """The file's name and the content of a record; where there is none, a sentence that says so, and None.

    Raises ExtensionError for a file that is no JSON object.
    """
    folder = Path(env.srcdir).parent / FOLDER
    file = newest(folder, name)
    if file is None:
        why = f"no record of that name is in {FOLDER}" if folder.is_dir() else f"this build has no folder {FOLDER}"
        return f"The record {name!r} is not shown: {why}.", None
    env.note_dependency(str(file))
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExtensionError(f"the record {file} is no JSON ({error}); make it again.") from error
    if not isinstance(content, dict):
        raise ExtensionError(f"the record {file} is no JSON object; make it again.")
    return file.name, content


class RecordTable(SphinxDirective):
    """A table of a record's rows, and the line on where they were measured."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = dict.fromkeys(("rows", "where", "caption", "about"), directives.unchanged_required)

    def run(self) -> list[nodes.Node]:
        name, content = read(self.env, self.arguments[0])
        if content is None:
            return [nodes.paragraph(text=name, classes=["record-absent"])]
        found, about = (at(content, self.options.get(option, "")) for option in ("rows", "about"))
        if MISSING in (found, about):
            return [nodes.paragraph(text=f"Not measured: the record {name} does not have it.")]
        columns = [[part.strip() for part in line.split("|")] for line in self.content if line.strip()]
        if not columns or not all(2 <= len(column) <= 3 for column in columns):
            raise self.error("each line of a record-table is a column: field | heading | format.")
        rows = rows_of(found, self.options.get("where", ""))
        for field, *_ in columns:
            if all(at(row, field) is MISSING for row in rows):
                raise self.error(f"no row of {self.options.get('rows', 'the record')} in {name} has {field!r}.")
        texts = [[said(at(row, field), "".join(form)) for field, _, *form in columns] for row in rows]
        table = make_table([heading for _, heading, *_ in columns], texts, self.options.get("caption"))
        return [table, nodes.paragraph(text=circumstances(name, about), classes=["record-source"])]


def make_table(headings: list[str], rows: list[list[str]], caption: str | None = None) -> nodes.table:
    """A table of texts; the first of each row is its heading."""
    table, group = nodes.table(classes=["record"]), nodes.tgroup(cols=len(headings))
    if caption:
        table += nodes.title(text=caption)
    group += [nodes.colspec(colwidth=1, stub=int(number == 0)) for number in range(len(headings))]
    for part, lines in ((nodes.thead(), [headings]), (nodes.tbody(), rows)):
        for texts in lines:
            row = nodes.row()
            row += [nodes.entry("", nodes.paragraph(text=text)) for text in texts]
            part += row
        group += part
    table += group
    return table


class RecordPicture(SphinxDirective):
    """The picture that lies beside a record."""

    required_arguments = 1
    option_spec: ClassVar = {
        **dict.fromkeys(("alt", "suffix"), directives.unchanged_required),
        "class": directives.class_option,
    }

    def run(self) -> list[nodes.Node]:
        if not self.options.get("alt"):
            raise self.error("a record-picture needs :alt:, the words for who cannot see it.")
        name, content = read(self.env, self.arguments[0])
        if content is None:
            return [nodes.paragraph(text=name, classes=["record-absent"])]
        folder, stem = Path(self.env.srcdir).parent / FOLDER, Path(name).stem + self.options.get("suffix", "")
        file = next((file for kind in ("svg", "png") if (file := folder / f"{stem}.{kind}").is_file()), None)
        if file is None:
            raise self.error(f"beside the record {name} there is no picture {stem}.svg or {stem}.png.")
        page = Path(self.env.doc2path(self.env.docname)).parent
        uri, classes = os.path.relpath(file, page), self.options.get("class", [])
        return [nodes.image(uri=Path(uri).as_posix(), alt=self.options["alt"], classes=classes)]


class RecordValue(SphinxRole):
    """One value of a record, within a sentence."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        name, path, *form = (part.strip() for part in self.text.split("|"))
        _, content = read(self.env, name)
        found = MISSING if content is None else at(content, path)
        if content is not None and found is MISSING:
            raise ExtensionError(f"the record {name} has nothing at {path!r}, of which a page wants to tell.")
        return [nodes.inline(self.rawtext, said(found, "".join(form)), classes=["record-value"])], []


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("record-table", RecordTable)
    app.add_directive("record-picture", RecordPicture)
    app.add_role("record", RecordValue())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
