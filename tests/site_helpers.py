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
    "foreground_share": "21.4 %",
}
GLUED_04 = {
    "profile_sentence": "This is a stub build: its figures are invented, to test the pages that show them.",
    "unet_iou_64": "12.3 % (10.1–14.5)",
    "fcn_vgg16_iou_64": "not trained in this build",
    "all_background_precision": "78.60 %",
    "training_images": "1,000 to 2,000",
    "hardware": "2 processor cores",
    "build_date": "2026-01-01",
}

GLUED_06 = {
    "profile_sentence": "This is a stub of fine-tuning: its figures are invented, to test the pages that show them.",
    "photos": "the stub",
    **{
        f"{arm}_{thing}": "12.3 %"
        for arm in ("scratch", "pretrained", "gain", "start")
        for thing in ("airplane", "car", "horse")
    },
    "gain_pooled": "12.3 %",
    "gain_pooled_equal_total": "12.3 %",
    "smallest_gain": "With 9 photos, 12.3 points are found.",
}

GLUED_07 = {
    "landscape_sentence": "This is a stub of an analysis: its figures are invented, to test the pages that show them.",
    "landscape_photos": "car, the stub",
    **{f"{whose}ratio_{pair}": "0.123" for whose in ("", "paper_") for pair in ("ft_ft", "ft_p")},
    **{
        f"barrier_{pair}_{way}": "1.2"
        for pair in ("fine_tuned", "scratch", "one_start")
        for way in ("average", "recalibrate")
    },
    "ratio_rs_rs": "0.123",
}

WIDGET = """
import base64, io
from IPython.display import display
from ipywidgets import HTML, IntSlider, Play, Stack, VBox, jslink
from PIL import Image

def picture(level):
    stream = io.BytesIO()
    Image.new("RGB", (160, 160), (level, 90, 255 - level)).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    return HTML(f'<img alt="a square, level {level}" src="data:image/png;base64,{data}">')

frames = Stack([picture(level) for level in (0, 120, 240)], selected_index=0)
slider = IntSlider(min=0, max=2, description=r"Step $\\alpha$")
play = Play(min=0, max=2, interval=300)
jslink((slider, "value"), (frames, "selected_index"))
jslink((play, "value"), (slider, "value"))
display(VBox([play, slider, frames]))
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
for name in ("table1", "table2", "table_gains", "table5", "table_barriers"):
    glue(name, style_table(pd.DataFrame(rows, models, columns), caption=f"A stub of {name}."))
for name in ("figure4", "figure_iou_over_images", "figure5", "figure6", "figure7"):
    figure = Figure(figsize=(6, 2.4))
    figure.subplots().plot([0, 1, 2], [3, 1, 2])
    caption = "It stands for the real figure."
    glue(name, show(figure, alt="A line that falls, then rises.", title="A stub.", caption=caption))
"""


def _gluing(values: dict[str, str]) -> str:
    return f"from myst_nb import glue\nfor name, value in {values!r}.items():\n    glue(name, value, display=False)"


def _notebook(title: str, *code: str) -> nbformat.NotebookNode:
    cells = [new_markdown_cell(f"# {title}\n\nA stub, with $x^2$."), *map(new_code_cell, code)]
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def _stub_chapters(folder: Path) -> None:
    chapters = {
        "01_collection": _notebook("Collection"),
        "01_gallery": _notebook("The rendered catalogue"),
        "02_compositing": _notebook("Compositing", _gluing(GLUED_02), WIDGET),
        "03_benchmark": _notebook("One run of the benchmark"),
        "runs/unet-64-fast-seed0": _notebook("One run of the benchmark"),
        "runs/fcn_vgg16-64-fast-seed0": _notebook("One run of the benchmark"),
        "04_benchmark_report": _notebook("The benchmark", _gluing(GLUED_04), OBJECTS),
        "05_object_discovery": _notebook("One run of fine-tuning"),
        "transfer/car-unet-seed0": _notebook("One run of fine-tuning"),
        "06_transfer_report": _notebook("What chairs teach", _gluing(GLUED_06), OBJECTS),
        "07_loss_landscape": _notebook("The loss landscape", _gluing(GLUED_07), OBJECTS),
        "landscape/horse-unet": _notebook("The loss landscape"),
        "08_leaderboard": _notebook("Leaderboard"),
    }
    for name in ("runs", "transfer", "landscape"):
        (folder / name).mkdir(parents=True)
    for name, notebook in chapters.items():
        if len(notebook.cells) > 1:
            NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
        nbformat.write(notebook, folder / f"{name}.ipynb")


def stub_sources(folder: Path) -> Path:
    """Copy what the book is built from into ``folder``, laid out as in the repository, and add stub chapters."""
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("notebooks", "__pycache__"))
    shutil.copy(ROOT / "_config.yml", folder)
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
