"""A small site for the book's tests: the repository's own prose and settings, with stubs in place of the chapters.

With ``CHAIRLIB_SITE`` set to a built site, the same tests look at that one instead.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from chairlib.core import paths

__all__ = [
    "BUILD_FLAGS",
    "GLUED_04",
    "GLUED_06",
    "GLUED_07",
    "build_book",
    "site_pages",
    "site_under_test",
    "stub_sources",
]

ROOT = paths.package.parent
BUILD_FLAGS = ("-W", "-n", "--keep-going", "--all")

GLUED_02 = {
    "collection_name": "stub",
    "n_segments": "18",
    "n_backgrounds": "50",
    "n_train_composites": "1,000",
    "n_val_composites": "400",
    "n_test_composites": "400",
}
GLUED_04 = {
    "profile_sentence": "This is a stub build: its figures are invented, to test the pages that show them.",
    "all_background_precision": "78.60 %",
    "chair_share": "21.40 %",
    "training_images": "1,000 to 2,000",
    "hardware": "2 processor cores",
    "build_date": "2026-01-01",
    "claim": "Not shown by this build. These figures are invented.",
}

GLUED_06 = {
    "profile_sentence": "This is a stub of fine-tuning: its figures are invented, to test the pages that show them.",
    "claim": "Not shown by this build. These figures are invented.",
}

GLUED_07 = {
    "landscape_sentence": "This is a stub of an analysis: its figures are invented, to test the pages that show them.",
    "claim": "Not shown by this build. These figures are invented.",
}

WIDGET = """
import numpy as np
import pandas as pd
from chairlib.show.scrubber import alpha_scrubber

rng, ways, alphas = np.random.default_rng(0), ("average", "recalibrate"), [0, 0.25, 0.5, 0.75, 1]
images, targets = rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8), rng.random((6, 32, 32)) < 0.5
predicted = {(pair, way): rng.random((5, 6, 32, 32)) < 0.5 for pair in "FSR" for way in ways}
rows = [(pair, way, alpha, 70 - 40 * alpha * (1 - alpha)) for pair, way in predicted for alpha in alphas]
curves = pd.DataFrame(rows, columns=["pair", "batch_norm", "alpha", "iou"])
alpha_scrubber(alphas, curves, images, targets, predicted, interval=200)
"""

OBJECTS = """
import pandas as pd
from matplotlib.figure import Figure
from myst_nb import glue
from chairlib.show.canvas import show
from chairlib.show.tables import style_table

columns = pd.MultiIndex.from_product([("32 × 32", "64 × 64", "128 × 128"), ("ours", "paper")])
rows = [[77.59, 85.08, 60.75, 61.09, 53.59, 60.19]] * 2
models = pd.Index(["U-Net", "FCN-VGG-16"], name="model")
for name in ("table1", "table2", "table3", "table_gains", "table5", "table_barriers"):
    glue(name, style_table(pd.DataFrame(rows, models, columns), caption=f"A stub of {name}."))
for name in ("figure4", "figure_iou_over_images", "figure5", "figure6", "figure7"):
    figure = Figure(figsize=(6, 2.4))
    figure.subplots().plot([0, 1, 2], [3, 1, 2])
    caption = "It stands for the real figure."
    glue(name, show(figure, alt="A line that falls, then rises.", title="A stub.", caption=caption))

import numpy as np
from chairboard.tiles import Tile, masks

truth = np.indices((64, 64)).sum(axis=0) < 60
pictures = masks(np.full((64, 64, 3), 180, np.uint8), truth, {"from scratch": truth.T, "pretrained": ~truth})
about, why = "of IoU (+1.0 to +3.0), in a stub", "Control, over as many images in all without chairs: −1.0 points."
glue("tile", Tile("+2.0 points", about, "Not shown by this build", why, "", pictures, "A stub."), display=False)
"""


#: The parameters of a run as its notebook stores them, and as a build gives them.
STORED = (
    'data = "mini"\nmodel = "unet"\nresolution = 64\nprotocol = None\ncategory = "car"\npretraining = "none"\nseed = 0'
)
GIVEN = "# The values of this build\n"

#: A section of nothing that this build computed.
ABSENT = """
from chairlib.show.boxes import absent
absent("The absent part: the profile evening computes it.")
"""

#: What a page of prose may hold, for the tests.
PROSE = """
```{launch}
```

Read {repository}`the repository`.

```{bibtex} software
```

```{bibtex} paper
```
"""


def _gluing(values: dict[str, str]) -> str:
    return f"from myst_nb import glue\nfor name, value in {values!r}.items():\n    glue(name, value, display=False)"


def _notebook(title: str, *code: str) -> nbformat.NotebookNode:
    cells = [new_markdown_cell(f"# {title}\n\nA stub, with $x^2$."), *map(new_code_cell, code)]
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def _run(title: str, given: str = "", *code: str) -> nbformat.NotebookNode:
    """A chapter with parameters, executed with those ``given``."""
    notebook = _notebook(title, *code)
    cells = [new_code_cell(STORED, metadata={"tags": ["parameters", "hide-input"]})]
    if given:
        cells.append(new_code_cell(GIVEN + given, metadata={"tags": ["injected-parameters"]}))
    check = new_code_cell("check_parameters = None", metadata={"tags": ["remove-cell"]})
    notebook.cells[1:1] = [*cells, check]
    return notebook


def _with_absent_section(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    notebook.cells[1:1] = [new_markdown_cell("## An absent section\n\nIts text.")]
    return notebook


def _stub_chapters(folder: Path) -> None:
    chapters = {
        "01_collection": _notebook("Collection"),
        "01_gallery": _notebook("The rendered catalogue"),
        "02_compositing": _notebook("Compositing", _gluing(GLUED_02), WIDGET),
        "03_benchmark": _run("One run of the benchmark"),
        "runs/unet-64-fast-seed0": _run("One run of the benchmark", "width = 4"),
        "runs/fcn_vgg16-64-fast-seed0": _run("One run of the benchmark", 'model = "fcn_vgg16"'),
        "04_benchmark_report": _notebook("The benchmark", _gluing(GLUED_04), OBJECTS),
        "05_object_discovery": _run("One run of fine-tuning"),
        "transfer/car-unet-seed0": _run("One run of fine-tuning", "seed = 0"),
        "transfer/car-unet-seed1": _run("One run of fine-tuning", "seed = 1"),
        "06_transfer_report": _notebook("What chairs teach", _gluing(GLUED_06), OBJECTS),
        "07_loss_landscape": _notebook("The loss landscape", _gluing(GLUED_07), OBJECTS),
        "landscape/horse-unet": _run("The loss landscape", 'category = "horse"'),
        "08_leaderboard": _with_absent_section(_notebook("Leaderboard", ABSENT)),
    }
    for name, section in {"02_compositing": "Explore", "07_loss_landscape": "Scrub alpha"}.items():
        chapters[name].cells.append(new_markdown_cell(f"## {section}\n\nThe first page leads here."))
    for name in ("runs", "transfer", "landscape"):
        (folder / name).mkdir(parents=True)
    for name, notebook in chapters.items():
        if len(notebook.cells) > 1:
            NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
        nbformat.write(notebook, folder / f"{name}.ipynb")


def stub_sources(folder: Path) -> Path:
    """Copy what the book is built from into ``folder``, laid out as in the repository, and add stub chapters."""
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("notebooks", "__pycache__"))
    for name in ("_config.yml", "CITATION.cff"):
        shutil.copy(ROOT / name, folder)
    references = folder / "book" / "references.md"
    references.write_text(references.read_text() + PROSE)
    _stub_chapters(folder / "book" / "notebooks")
    return folder


def build_book(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the book in ``folder`` as the Makefile builds the real one."""
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*jupyter_book, "build", "book", "--config", "_config.yml", "--path-output", ".", *BUILD_FLAGS]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@functools.cache
def site_under_test(temporary: Path) -> Path:
    """The site named by ``CHAIRLIB_SITE``, or one built under ``temporary``, once a session, from stub chapters."""
    if named := os.environ.get("CHAIRLIB_SITE"):
        site = Path(named).resolve()
        assert (site / "index.html").is_file(), f"CHAIRLIB_SITE={named} holds no index.html"
        return site
    folder = temporary / "stub-book"
    built = build_book(stub_sources(folder))
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "_build" / "html"


def site_pages(site: Path) -> list[Path]:
    """Every page, the generated ones (search, index) too."""
    return sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
