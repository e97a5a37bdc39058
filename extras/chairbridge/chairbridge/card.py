"""The data card: a README.md whose head Hugging Face reads, and whose text says what the data are and are not for."""

import re
from pathlib import Path

import pandas as pd
import yaml

from chairbridge.composites import NOT_STATED, Composites
from chairbridge.layout import BaseLayout
from chairlib import __version__
from chairlib.collection.cells import one_line
from chairlib.compositing.blend import padding
from chairlib.core.published import FOREGROUND_SHARE

PAPER = """\
@article{pintoalva2020,
  author  = {Pinto-Alva, Leticia and Torres, Ian K. and Garcia, Rosangel and Yang, Ziyang and Ordonez, Vicente},
  title   = {Chair Segments: A Compact Benchmark for the Study of Object Segmentation},
  journal = {arXiv preprint arXiv:2012.01250},
  year    = {2020},
  url     = {https://arxiv.org/abs/2012.01250},
}"""
#: Names of licences that Hugging Face's own list has: those of Creative Commons with their versions.
_CREATIVE_COMMONS = re.compile(r"cc-by(-nc)?(-sa|-nd)?-[1-4]\.[05]")
#: Hugging Face's classes of sizes: a data set has the first whose number is not below its own.
_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}


def licence_ids(composites: Composites) -> list[str]:
    """The licences by Hugging Face's names: ``cc-by-4.0``, ..., ``other``, and ``unknown`` where none is stated."""
    return sorted({_licence_id(name) for name in composites.licences().index})


def _licence_id(name: str) -> str:
    identity = re.sub(r"[\s_-]+", "-", name.strip().lower())
    if identity == NOT_STATED.replace(" ", "-"):
        return "unknown"
    if identity in ("cc0", "cc0-1.0"):
        return "cc0-1.0"
    return identity if _CREATIVE_COMMONS.fullmatch(identity) else "other"


def description(composites: Composites) -> str:
    """What the data are, in two sentences."""
    side, collection = composites.options.resolution, composites.collection
    return (
        f"{sum(composites.counts.values()):,} composites of {side} x {side} pixels: cut-out chairs on pictures of "
        f"places, each with the mask of its chair. Made by chairlib {__version__} from the collection "
        f"{collection.name!r} (data hash {collection.hash}), as in the paper Chair Segments (arXiv 2012.01250)."
    )


def write_card(folder: Path, composites: Composites, table: pd.DataFrame, layout: BaseLayout) -> None:
    """Write README.md into ``folder``; ``table`` is the table of contents."""
    identities = licence_ids(composites)
    head = {
        "pretty_name": f"Chair Segments: {composites.collection.name}, {composites.options.resolution} px",
        "license": identities[0] if len(identities) == 1 else identities,
        "task_categories": ["image-segmentation"],
        "task_ids": ["semantic-segmentation"],
        "tags": ["chairs", "composites", "segmentation"],
        "size_categories": [_size(len(table))],
        **layout.front_matter(),
    }
    if "other" in identities:
        head |= {"license_name": "see-composites-csv", "license_link": "README.md"}
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---",
        f"# {head['pretty_name']}",
        f"{description(composites)} This folder has {layout.title}.",
        f"## Read it\n\n{layout.usage.strip()}",
        f"## What is in it\n\n{_counts(composites, table)}",
        f"## How it was made\n\n{_method(composites, layout)}",
        f"## Licences\n\n{_licences(composites)}",
        f"## What it is for, and what it must not be used for\n\n{_limits(composites)}",
        f"## Citation\n\n```bibtex\n{PAPER}\n```",
    ]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _size(count: int) -> str:
    return next((name for most, name in _SIZES.items() if count < most), "n>10M")


def _counts(composites: Composites, table: pd.DataFrame) -> str:
    lines = [
        "| split | composites | segments | groups of segments | backgrounds | mean share of chair pixels |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for split in composites.counts:
        rows = table[table["split"] == split]
        numbers = [len(rows), *(rows[name].nunique() for name in ("segment", "group", "background"))]
        share = f"{100 * rows['foreground_share'].mean():.2f} %"
        lines.append(f"| {split} | {' | '.join(f'{number:,}' for number in numbers)} | {share} |")
    empty = int((table["foreground_share"] == 0).sum())
    return "\n".join(
        [
            *lines,
            "",
            f"In the paper, {FOREGROUND_SHARE} % of all pixels are chair. {empty:,} composites have no pixel of chair.",
            "`composites.csv` has a row for each composite: its files, their SHA-256, its share of chair pixels, and "
            "of its\nsegment and background the id, group, author, licence, source and address.",
        ]
    )


def _method(composites: Composites, layout: BaseLayout) -> str:
    options = composites.options
    side, free = options.resolution, padding(options.resolution)
    inner = side - free
    canvas = "what of it is opaque" if options.crop else "its whole canvas"
    placed = {
        "stretch": f"stretched to {inner} x {inner} pixels",
        "keep": f"fitted into {inner} x {inner} pixels without a change of its aspect",
    }[options.fit]
    soft = "hold the opacity itself, 0 to 255; the mask is where it exceeds 0.4 of 255"
    masks = soft if options.soft else "are where the opacity exceeds 0.4"
    return "\n".join(
        [
            "As in section 3 of the paper:",
            "",
            f"- **Segment**: {canvas} is {placed}, antialiased, and placed with a padding of {free} pixels in all "
            "(3, 6, 13, 26\n  at 32, 64, 128, 256 pixels).",
            f"- **Background**: squashed to {side} x {side} pixels, antialiased.",
            "- **Blend**: opacity x segment + (1 - opacity) x background, in 8 bits, rounded once.",
            f"- **Masks** {masks}, the rule of the authors' code.",
            f"- **Pairs**: each segment stands on {options.backgrounds_per_segment} different backgrounds of its "
            "split, or on all where\n  there are fewer. Composites are in the order of their segments.",
            f"- **Seeds**: backgrounds were drawn with the seed {options.pair_seed}. The splits are the collection's "
            "own.",
            "- **Splits**: no segment, background, or group of near-duplicates is in two splits. Composites that share "
            "a group\n  are not independent: draw intervals over groups, not over images.",
            "",
            "The same collection and options give the same pixels on every machine.",
        ]
    )


def _licences(composites: Composites) -> str:
    counts = composites.licences()
    lines = ["| licence | segments | backgrounds |", "| --- | ---: | ---: |"]
    for name, row in counts.iterrows():
        lines.append(f"| {one_line(name).replace('|', '/')} | {row['segment']:,} | {row['background']:,} |")
    lines += [
        "",
        "A composite stands under the licences of both its parts. Every image was changed: resized and blended. Name "
        "the authors\nas `composites.csv` has them wherever a licence asks for it.",
    ]
    if NOT_STATED in counts.index:
        missing = counts.to_numpy()[counts.index == NOT_STATED].sum()
        lines += [
            "",
            f"**{missing:,} of {counts.to_numpy().sum():,} images have no licence stated.** Whoever has not made "
            "them has no permission to pass\nthem on: ask their authors before you publish this folder.",
        ]
    return "\n".join(lines)


def _limits(composites: Composites) -> str:
    return "\n".join(
        [
            "It is for studying segmentation models: their training, their scores, their loss landscapes.",
            "",
            "- **Not for claims about photos.** A chair is pasted anywhere, at one size, without shadow, occlusion or "
            "perspective.",
            "- **Not for products or safety.** It holds one kind of object, and no scene in which anything depends on "
            "it.",
            "- **Not to be compared with the paper's numbers**, unless it was made from the paper's own images.",
            "- **Not for choosing a model on the test split.** Choose on the validation split; look at test once.",
            "- **Not to learn about people or places** that happen to be in a background.",
            "- **Not to be passed on** where a licence above does not allow it.",
        ]
    )
