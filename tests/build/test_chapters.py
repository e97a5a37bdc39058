"""The chapters themselves: stored clean, thin, and running top to bottom as they are."""

import ast
import os
import subprocess
import sys

import nbformat
import pytest

from chairlib.core import paths
from chairlib.core.errors import ParameterError

CHAPTERS = sorted(paths.notebooks.glob("*.ipynb"))


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    return request.param


def test_there_are_chapters():
    assert [path.stem for path in CHAPTERS] == [
        "01_collection",
        "01_gallery",
        "02_compositing",
        "03_benchmark",
        "04_benchmark_report",
        "05_object_discovery",
        "06_transfer_report",
        "07_loss_landscape",
        "08_leaderboard",
    ]


def test_stored_clean(chapter):
    """No outputs, no execution counts, no widget state: a diff shows what a person changed."""
    notebook = nbformat.read(chapter, as_version=4)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    for cell in code_cells(chapter):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_one_parameters_cell_of_literals_then_the_check(chapter):
    cells = code_cells(chapter)
    tagged = [number for number, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [0]
    for statement in ast.parse(cells[0].source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)
    assert "check_parameters" in cells[1].source
    assert f'"{chapter.stem}"' in cells[1].source
    # The site folds the parameters (book/_extensions/folded_parameters.py); the check is nothing to read.
    assert cells[0].metadata.tags == ["parameters", "hide-input"]
    assert cells[1].metadata == {"tags": ["remove-cell"], "jupyter": {"source_hidden": True}}


def test_the_answer_stands_near_the_top(chapter):
    """The box "In short" comes once, before the second section at the latest: a chapter that trains does so first."""
    cells = nbformat.read(chapter, as_version=4).cells
    (answer,) = (number for number, cell in enumerate(cells) if "in_short(" in cell.source)
    assert sum(cell.cell_type == "markdown" and cell.source.startswith("## ") for cell in cells[:answer]) <= 1


def test_the_check_refuses_an_undeclared_parameter(chapter):
    parameters, check = (cell.source for cell in code_cells(chapter)[:2])
    namespace = {"In": ["", parameters, "# Parameters\nresolutoin = 64\n"]}
    exec(parameters, namespace)
    with pytest.raises(ParameterError, match=f"parameter resolutoin is unknown to notebook {chapter.stem}"):
        exec(check, namespace)


def test_thin(chapter):
    """No function of more than ten lines, and no path arithmetic: that is the library's work.

    PyTorch may be imported: a chapter shows its mechanism in a few lines before the library does it at scale.
    """
    for cell in code_cells(chapter):
        tree = ast.parse(cell.source)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 10
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"os", "pathlib", "Path", "glob", "sys"} & set(names)


def test_runs_as_it_is(chapter, tmp_path):
    """In a kernel of its own, from another folder, with an empty home: as in a fresh clone."""
    command = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--nbval-lax",
        "--nbval-current-env",
        "--nbval-cell-timeout=300",
        str(chapter),
    ]
    environment = {**os.environ, "CHAIRLIB_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
