"""Tables are semantic HTML with every value in its place, and inherit the page's colours."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from chairlib.show.tables import style_table, switch


class _Cells(HTMLParser):
    """The text and attributes of every th, td and caption, and of the tags around them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.cells: list[tuple[str, dict[str, str | None], str]] = []
        self.tags: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("th", "td", "caption"):
            self.cells.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.cells:
            tag, attrs, text = self.cells[-1]
            self.cells[-1] = (tag, attrs, text + data)

    def texts(self, tag: str, **attributes: str) -> list[str]:
        return [text for name, attrs, text in self.cells if name == tag and attributes.items() <= attrs.items()]


def table2() -> pd.DataFrame:
    columns = pd.MultiIndex.from_product([("Precision (%)", "IoU (%)"), ("ours", "paper")])
    rows = [[(95.123, 94.5, 95.7), 97.18, 84.7, 85.08], [None, 92.04, None, 60.19]]
    return pd.DataFrame(rows, pd.Index(["U-Net", "FCN-ResNet-50"], name="Model"), columns)


def test_headers_have_scopes_and_groups() -> None:
    read = _Cells(style_table(table2(), "Table 2. Test scores.").data)
    assert read.texts("caption") == ["Table 2. Test scores."]
    assert read.texts("th", scope="colgroup", colspan="2") == ["Precision (%)", "IoU (%)"]
    assert read.texts("th", scope="col") == ["Model", "ours", "paper", "ours", "paper"]
    assert read.texts("th", scope="row") == ["U-Net", "FCN-ResNet-50"]
    assert "table" in read.tags
    assert "thead" in read.tags
    assert "tbody" in read.tags


def test_values_intervals_and_missing_cells() -> None:
    read = _Cells(style_table(table2(), "Table 2", decimals=1).data)
    first, second = read.texts("td")[:4], read.texts("td")[4:]
    assert first == ["95.1 (94.5–95.7)", "97.2", "84.7", "85.1"]
    assert second == ["–", "92.0", "–", "60.2"]


def test_a_note_stands_below_the_table() -> None:
    assert style_table(table2(), "Table 2", note="a < b").data.endswith("</table></div><p>a &lt; b</p>")
    assert style_table(table2(), "Table 2").data.endswith("</table></div>")


def test_a_column_with_one_value_goes_to_the_caption() -> None:
    frame = pd.DataFrame({"model": ["a", "b"], "seeds": [1, 1], "images": [6016, None], "recipe": ["fast", "paper"]})
    words = {"seeds": "{} seeds", "images": "{} training images", "recipe": "recipe {}"}
    read = _Cells(style_table(frame.astype({"images": "Int64"}), "Table 1", constants=words).data)
    assert read.texts("caption") == ["Table 1. In every row that we trained: 1 seed, 6,016 training images."]
    assert read.texts("th", scope="col") == ["model", "recipe"]
    frame["images"] = 6016
    read = _Cells(style_table(frame, "Table 1", constants=words).data)
    assert read.texts("caption") == ["Table 1. In every row: 1 seed, 6,016 training images."]
    empty = style_table(frame.assign(images=None), "Table 1", constants=words).data
    assert _Cells(empty).texts("caption") == ["Table 1. In every row: 1 seed."]


def test_a_switch_shows_one_table_and_prints_all() -> None:
    one, other = (style_table(table2(), caption) for caption in ("Table 2, IoU", "Table 2, Dice"))
    shown = switch({"IoU": one, "<Dice>": other}, "metric").data
    read = _Cells(shown)
    assert read.texts("caption") == ["Table 2, IoU", "Table 2, Dice"]
    assert shown.count("checked>") == 1
    assert shown.index("checked>") < shown.index("&lt;Dice&gt;")
    assert 'aria-label="metric"' in shown
    # A radio group ends at its form, so that switches on a page need no names of their own.
    assert shown.startswith("<form ")
    assert 'method="dialog"' in shown  # Enter sends nothing
    style = re.search(r"<style>(.*?)</style>", shown, re.DOTALL)
    assert style is not None
    # Tables are hidden on screens alone, and only where the rule that shows one again is understood.
    assert re.search(
        r"@media screen\{@supports selector\(:has\(a\)\)\{[^@]*\.chair-switch>div\{display:none\}", style[1]
    )
    assert style[1].count("chair-switch>div{display:none}") == 1
    assert switch({"IoU": one}).data == one.data


def test_intervals_have_the_places_that_their_width_needs() -> None:
    def shown(*cell: float, decimals: int = 2) -> str:
        return _Cells(style_table(pd.DataFrame({"a": ["x"], "b": [cell]}), "", decimals=decimals).data).texts("td")[0]

    assert shown(0.344, 0.336, 0.354) == "0.344 (0.336–0.354)"
    assert shown(8.53, 8.11, 9.02) == "8.53 (8.11–9.02)"
    assert shown(41.26, 38.2, 44.9) == "41.3 (38.2–44.9)"
    assert shown(123.4, 101.2, 161.8, decimals=0) == "123 (101–162)"
    assert shown(13.84895, 13.8476, 13.8503) == "13.849 (13.848–13.850)"
    # None, or no more than rounding: the places that were asked for.
    assert shown(40.0, 40.0, 40.0) == "40.00 (40.00–40.00)"
    assert shown(1.5, 1.5, 1.5 + 1e-9, decimals=1) == "1.5 (1.5–1.5)"
    assert shown(1.5, float("nan"), float("nan")) == "1.50 (no interval)"


def test_cells_wrap_but_not_within_an_interval_or_a_name() -> None:
    frame = pd.DataFrame(
        {"model": ["FCN-VGG-16, width 16"], "IoU, % (95 % interval)": [(61.1, 53.5, 68.1)], "gain": ["+4.5 ▲ 2 seeds"]}
    )
    whole = re.findall(r'<span class="chair-whole">(.*?)</span>', style_table(frame, "").data)
    assert whole == ["(95 % interval)", "FCN-VGG-16,", "width 16", "(53.5–68.1)", "▲ 2 seeds"]


def test_the_papers_columns_are_set_apart() -> None:
    def marked(table: str) -> list[str]:
        return [
            text
            for tag, attrs, text in _Cells(table).cells
            if tag == "td" and "chair-paper" in (attrs.get("class") or "")
        ]

    assert marked(style_table(table2(), "Table 2").data) == ["97.18", "85.08", "92.04", "60.19"]
    frame = pd.DataFrame({"model": ["U-Net"], "paperless": [1.5], "published": [2.5]})
    assert marked(style_table(frame, "").data) == []


def test_kinds_of_cells() -> None:
    frame = pd.DataFrame(
        {"name": ["a", "b"], "images": [24000, None], "hours": [0.4, np.nan], "note": ["text", None]}
    ).astype({"images": "Int64"})
    read = _Cells(style_table(frame, "Costs", decimals={"hours": 1}).data)
    assert read.texts("th", scope="row") == ["a", "b"]
    assert read.texts("td") == ["24,000", "0.4", "text", "–", "–", "–"]
    left = [text for tag, attrs, text in read.cells if tag == "td" and "chair-text" in (attrs.get("class") or "")]
    assert left == ["text", "–"]


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_any_text_survives_unread_as_html(cell: str, caption: str) -> None:
    table = style_table(pd.DataFrame({"model": ["<b>"], "value": [f"<script>{cell}"]}), caption).data
    read = _Cells(table)
    assert "script" not in read.tags
    assert "b" not in read.tags
    assert read.texts("td")[0].startswith("<script>")


def test_no_colour_is_fixed() -> None:
    style = re.search(r"<style>(.*?)</style>", style_table(table2(), "Table 2").data, re.DOTALL)
    assert style is not None
    fixed = re.findall(r"#[0-9a-f]{3,6}\b|\b(?:black|white)\b(?!-)|rgb\(", style.group(1))
    assert not fixed
    assert set(re.findall(r"rgba\((.*?),[^,]*\)", style.group(1))) == {"128,128,128"}
