"""Make the typeface of the figures, chairlib/assets/fonts/*.ttf, from the web files of Source Serif 4.

    npm pack @fontsource/source-serif-4@5.3.1 && tar xzf fontsource-source-serif-4-5.3.1.tgz
    python tools/figure_typeface.py package/files chairlib/assets/fonts

Needs fonttools, which matplotlib brings. What the files are for, and why they have a name of their own, stands in the
README beside them.
"""

import io
import sys
from pathlib import Path

from fontTools import subset
from fontTools.merge import Merger
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

LETTERS = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x100)])) + "–—‘’“”…•−×′″ℓαβγδλμσΔ"
#: Weight and style of the source, weight class and bits of ours. Bold is the book's 600.
STYLES = {"Regular": ("400-normal", 400), "Bold": ("600-normal", 700), "Italic": ("400-italic", 400)}
FAMILY = "Chair Serif"


def part(file: Path, letters: str) -> tuple[io.BytesIO, str]:
    """A web file cut down to those of the letters that it has, and which these are."""
    font = TTFont(file)
    has = font.getBestCmap()
    found = "".join(letter for letter in letters if ord(letter) in has)
    font.flavor = None
    options = subset.Options(layout_features=[], hinting=False, name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14])
    cut = subset.Subsetter(options)
    cut.populate(text=found)
    cut.subset(font)
    written = io.BytesIO()
    font.save(written)
    written.seek(0)
    return written, found


def joined(folder: Path, kind: str) -> TTFont:
    """The parts of one style as one font."""
    missing, parts = LETTERS, []
    for script in ("latin", "latin-ext", "greek"):
        written, found = part(folder / f"source-serif-4-{script}-{kind}.woff", missing)
        missing = "".join(letter for letter in missing if letter not in found)
        parts += [written] if found else []
    written = io.BytesIO()
    Merger().merge(parts).save(written)
    written.seek(0)
    return TTFont(written)


def add_low_digits(font: TTFont) -> None:
    """₀ to ₉: the digits, smaller and lower."""
    glyphs, names = font.getGlyphSet(), font.getBestCmap()
    for table in ("glyf", "hmtx", "loca"):
        font[table]  # read now: what is read later would expect the old number of glyphs
    for digit in range(10):
        drawn, pen, name = DecomposingRecordingPen(glyphs), TTGlyphPen(None), f"low{digit}"
        glyphs[names[ord("0") + digit]].draw(drawn)
        drawn.replay(TransformPen(pen, (0.62, 0, 0, 0.62, 0, -150)))
        font["glyf"][name] = pen.glyph()
        font["glyf"][name].recalcBounds(font["glyf"])
        width = round(0.62 * font["hmtx"][names[ord("0") + digit]][0])
        font["hmtx"][name] = (width, font["glyf"][name].xMin)
        for table in font["cmap"].tables:
            if table.isUnicode():
                table.cmap[0x2080 + digit] = name
    font.setGlyphOrder(font["glyf"].glyphOrder)


def call(font: TTFont, style: str, weight: int) -> None:
    """Name the font, so that it is no longer called by the reserved name, and say how heavy it is."""
    ours = {1: FAMILY, 2: style, 3: f"{FAMILY} {style}", 4: f"{FAMILY} {style}", 6: f"ChairSerif-{style}"}
    for record in list(font["name"].names):
        if record.nameID in ours:
            record.string = ours[record.nameID]
        elif record.nameID not in (0, 5, 13, 14):  # copyright, version, licence
            font["name"].names.remove(record)
    bits = {"Regular": 0x40, "Bold": 0x20, "Italic": 0x01}
    font["OS/2"].usWeightClass = weight
    font["OS/2"].fsSelection = font["OS/2"].fsSelection & ~0x61 | bits[style]
    font["head"].macStyle = {"Regular": 0, "Bold": 1, "Italic": 2}[style]


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    for style, (kind, weight) in STYLES.items():
        font = joined(source, kind)
        add_low_digits(font)
        call(font, style, weight)
        font.save(target / f"chair-serif-{style.lower()}.ttf")


if __name__ == "__main__":
    main()
