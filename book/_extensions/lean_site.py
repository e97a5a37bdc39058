"""Sphinx extension: leaves out of the finished site what no page of it shows.

A page's download is its notebook, which holds every picture of the page once more: it is offered without outputs, as
the chapters are stored. Maps of scripts and styles are for whoever develops them. Of the theme's two thousand icons the
pages show a dozen: their font keeps these, and the script that draws all of them goes. Only the search page searches,
so only it loads the index, with the texts to show beside what it finds: a page opened from disk may read no other file.
Pictures of figures become files, which are a quarter smaller than as text in a page, and the large ones among them,
grids of photos, become lossy where the error is small: see :func:`lighter`. Those of widgets stay where they are: a
script may not read a file's pixels.
"""

import base64
import hashlib
import io
import json
import os
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
from fontTools import subset
from PIL import Image
from sphinx.application import Sphinx

#: Files that no page asks for, below ``_static``. The picture is the README's; the rest is the theme's own.
UNUSED = (
    "*.map",
    "readme.png",
    "*.LICENSE.txt",
    "webpack-macros.html",
    "sbt-webpack-macros.html",
    "locales/**/*",
    "scripts/fontawesome.js",
    "fa-*.woff2",
    "logo_deepnote.svg",
    "logo_jupyterhub.svg",
    "logo_jupyterlite.svg",
)
#: Icons that scripts put into a page: of the theme's messages.
SCRIPTED = {"fa-xmark"}
THEME = "styles/pydata-sphinx-theme.css"
ICON_SCRIPT = re.compile(r'\s*<script defer src="[^"]*/fontawesome\.js[^"]*"></script>')
SEARCH_SCRIPTS = re.compile(r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>')
SNIPPETS = '<script src="_static/search-texts.js"></script><script src="_static/js/search-snippets.js"></script>'
#: A rule of one icon: its names, and the character that draws it.
ICON = re.compile(r'([^{}]*)\{content:"\\([0-9a-f]+) ?"\}')
#: A figure, what tells that a script changes it, and a picture in it. Scripts hold no figures, but text like one.
FIGURE = re.compile(r"<script\b.*?</script>|<figure\b.*?</figure>", re.DOTALL)
MOVING = re.compile(r"<(?:script|canvas|input|button)\b")
PICTURE = re.compile(r'src="data:image/(webp|png|jpeg);base64,([^"]{1000,})"')
#: Bytes of a picture that is made lighter.
LARGE = 100_000
#: A pixel changes visibly where a colour is off by more levels than this (of 255), and at most this share may.
LEVELS, SHARE = 32, 0.005
#: Characters of a page's text that search can show.
SEARCHED = 12_000


def without_outputs(notebook: str) -> str:
    """The notebook (JSON text) without outputs and what their making left in it."""
    content: dict[str, Any] = json.loads(notebook)
    for name in ("widgets", "papermill"):
        content["metadata"].pop(name, None)
    for cell in content["cells"]:
        for name in ("execution", "papermill"):
            cell["metadata"].pop(name, None)
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def icons_of(page: str) -> set[str]:
    """The names of the icons in a page's HTML, such as ``fa-sun``."""
    classes = re.findall(r'class="([^"]*\bfa-[^"]*)"', page)
    return {name for text in classes for name in text.split() if name.startswith("fa-")}


def with_icons(style: str, icons: set[str]) -> tuple[str, set[int]]:
    """The theme's style sheet without the rules of all other icons, and the characters that these icons are."""
    characters: set[int] = set()

    def keep(rule: re.Match[str]) -> str:
        names = set(re.findall(r"\.(fa-[\w-]+):before", rule[1]))
        if not names:
            return rule[0]
        if names & icons:
            characters.add(int(rule[2], 16))
            return rule[0]
        return ""

    # The fonts' short forms are taken out: what is left of a font is shorter than any of them.
    style = re.sub(r'url\([^)]*\.woff2\) format\("woff2"\),(?=url\([^)]*\.ttf\))', "", style)
    return ICON.sub(keep, style), characters


def text_of(page: str) -> str:
    """The words of a page's article, without code and what it loads."""
    article = re.search(r"<article.*?>(.*)</article>", page, re.DOTALL)
    if not article:
        return ""
    text = re.sub(r"<(script|style|pre|math|details)\b.*?</\1>", " ", article[1], flags=re.DOTALL)
    text = re.sub(r'<a class="headerlink".*?</a>|<span class="eqno">.*?</span>|<[^>]*>', " ", text, flags=re.DOTALL)
    return " ".join(unescape(text).split())[:SEARCHED]


def lighter(content: bytes) -> bytes:
    """A large picture as WebP of high quality, where that is smaller and looks the same; any other as it is.

    A grid of photos is off by a few of 255 levels in the mean, and less than one pixel in a thousand by more than 32.
    Masks in pure colours are off by more than that along all their edges, so a picture full of masks stays as it is.
    """
    if len(content) <= LARGE:
        return content
    stream, picture = io.BytesIO(), Image.open(io.BytesIO(content)).convert("RGB")
    picture.save(stream, "WEBP", quality=85, method=4)
    if stream.tell() >= 0.85 * len(content):
        return content
    errors = np.abs(np.asarray(Image.open(stream).convert("RGB"), int) - np.asarray(picture, int)).max(axis=2)
    return stream.getvalue() if (errors > LEVELS).mean() <= SHARE else content


def with_files(page: str, site: Path, folder: Path) -> str:
    """The HTML of a page in ``folder`` with the pictures of its figures as files in the site's ``_images``."""
    images = site / "_images"

    def write(found: re.Match[str]) -> str:
        before = base64.b64decode(found[2])
        content = lighter(before)
        kind = found[1] if content is before else "webp"
        file = images / f"{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
        images.mkdir(exist_ok=True)
        file.write_bytes(content)
        return f'src="{os.path.relpath(file, folder)}"'

    def figure(found: re.Match[str]) -> str:
        return found[0] if MOVING.search(found[0]) else PICTURE.sub(write, found[0])

    return FIGURE.sub(figure, page)


def slim(site: Path) -> None:
    """Take out of a rendered site what no page shows."""
    for file in (site / "_sources").rglob("*.ipynb"):
        file.write_text(without_outputs(file.read_text(encoding="utf-8")), encoding="utf-8")
    icons, texts = set(SCRIPTED), {}
    for file in (path for path in site.rglob("*.html") if "_static" not in path.parts):
        page = file.read_text(encoding="utf-8")
        icons |= icons_of(page)
        name = file.relative_to(site).as_posix()
        if name == "search.html":
            page = page.replace("</head>", f"{SNIPPETS}</head>")
        else:
            texts[name] = text_of(page)
            page = SEARCH_SCRIPTS.sub("", page)
        page = with_files(ICON_SCRIPT.sub("", page), site, file.parent)
        file.write_text(page, encoding="utf-8")
    static = site / "_static"
    static.mkdir(exist_ok=True)
    said = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
    (static / "search-texts.js").write_text(f"const SEARCH_TEXTS = {said};\n", encoding="utf-8")
    if (static / THEME).is_file():
        style, characters = with_icons((static / THEME).read_text(encoding="utf-8"), icons)
        (static / THEME).write_text(style, encoding="utf-8")
        for font in static.rglob("fa-*.ttf"):
            subset.main([str(font), f"--output-file={font}", f"--unicodes={','.join(map('{:x}'.format, characters))}"])
    for pattern in UNUSED:
        for file in static.rglob(pattern):
            if file.is_file():
                file.unlink()
    for file in static.rglob("*.ttf"):
        if file.with_suffix(".woff2").is_file():
            file.unlink()
    for folder in sorted((path for path in static.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _finished(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        slim(Path(app.outdir))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
