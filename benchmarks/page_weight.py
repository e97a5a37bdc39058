"""A page of the site weighs at most 2 MB with all that it loads, the page of the alpha scrubber 3 MB, the site 25 MB.

Run it with `python benchmarks/page_weight.py [SITE]` on a rendered site (default: _build/html). Counted is what a
browser reads for a page from disk: the page, its scripts, style sheets and pictures, and what the style sheets name,
as fonts. It prints every page and ends with an error where one is over its limit.
"""

import argparse
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from _records import write_record

#: Bytes: of a page, of one with the alpha scrubber, and of all files together.
PAGE, SCRUBBER_PAGE, SITE = 2_000_000, 3_000_000, 25_000_000
#: How the names of the pages with the scrubber begin.
SCRUBBERS = ("notebooks/07_loss_landscape", "notebooks/landscape/")
LOADED = re.compile(r"""<(?:script|img|source|video|iframe)\b[^>]*?\ssrc=["']([^"']+)|<link\b([^>]*)>""", re.IGNORECASE)
FETCHED_LINKS = re.compile(r"""rel=["'](?:stylesheet|icon|preload)["']""")


def _beside(file: Path, address: str) -> Path | None:
    """The file of the site that an address in ``file`` means; None for an address elsewhere, or of data."""
    parts = urlsplit(address)
    found = (file.parent / unquote(parts.path)).resolve()
    return found if not parts.scheme and not parts.netloc and parts.path and found.is_file() else None


def loaded_by(page: Path) -> set[Path]:
    """The files that a browser reads to show a page, the page itself among them."""
    files = {page}
    for source, link in LOADED.findall(page.read_text(encoding="utf-8")):
        target = re.search(r"""href=["']([^"']+)""", link) if FETCHED_LINKS.search(link) else None
        found = _beside(page, source or (target[1] if target else ""))
        files |= {found} if found else set()
    for style in [file for file in files if file.suffix == ".css"]:
        addresses = re.findall(r"""url\(["']?([^"')]+)""", style.read_text(encoding="utf-8"))
        files |= {found for address in addresses if (found := _beside(style, address))}
    return files


def weights(site: Path) -> dict[str, int]:
    """Bytes of each page with all that it loads, the heaviest first."""
    pages = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    sizes = {path.relative_to(site).as_posix(): sum(file.stat().st_size for file in loaded_by(path)) for path in pages}
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def limit_of(name: str) -> int:
    """The most bytes that a page may weigh."""
    return SCRUBBER_PAGE if name.startswith(SCRUBBERS) else PAGE


def over_limit(pages: dict[str, int], whole: int) -> list[str]:
    """What is too heavy, a sentence each."""
    found = [
        f"{name} weighs {size / 1e6:.2f} MB: more than {limit_of(name) / 1e6:.0f} MB"
        for name, size in pages.items()
        if size > limit_of(name)
    ]
    if whole > SITE:
        found.append(f"the site weighs {whole / 1e6:.1f} MB: more than {SITE / 1e6:.0f} MB")
    return found


def total(site: Path) -> int:
    """Bytes of all files of a site."""
    return sum(file.stat().st_size for file in site.rglob("*") if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("site", nargs="?", type=Path, default=Path("_build/html"))
    site = parser.parse_args().site.resolve()
    if not (site / "index.html").is_file():
        raise SystemExit(f"{site} is no rendered site: it has no index.html. `make paper` renders one.")
    pages, whole = weights(site), total(site)
    for name, size in pages.items():
        print(f"{size / 1e6:6.2f} MB  {name}")
    print(f"{whole / 1e6:6.2f} MB  all files")
    found = over_limit(pages, whole)
    record = write_record("page-weight", {"pages": pages, "site": whole, "over": found}, device="cpu")
    print(f"written: {record}")
    if found:
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
