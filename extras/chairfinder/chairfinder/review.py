"""A grid to look through fetched images in JupyterLab or Notebook, made for the keyboard.

ipywidgets has no key events. One text field has the focus and is observed while one types; each character is a command.
The field is never cleared: characters typed before the clearing arrives would count twice or not at all. What was added
to its text since the last message is what was typed, however many keys a message holds. Arrows, Enter and Backspace,
which type nothing, are turned into letters by a few lines of script in the page; where a front end doesn't run them,
the letters do the same. All commands have buttons too.
"""

import html
import os
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from typing import Any

import ipywidgets
from IPython.display import HTML

from chairfinder.review_session import LedgerLike, Mark, ReviewSession
from chairfinder.thumbnails import Thumbnails, thumbnail
from chairlib.core.errors import ChairlibError, ImageError
from chairlib.core.progress import HEADLESS

_SIDE, _LARGE_SIDE = 160, 480
_COLUMNS = 8
#: Okabe and Ito's blue and vermilion; each state has a sign and a kind of line of its own beside its colour.
_CURSOR, _REFUSED = "#0072B2", "#D55E00"
_CHECKERBOARD = "background:#fff repeating-conic-gradient(#ccc 0% 25%,#fff 0% 50%) 0 0/16px 16px;"
_KEYS_CLASS, _GRID_CLASS = "chair-review-keys", "chair-review"
#: Pressed keys that type nothing, and the letters that stand for them.
_LETTERS = {
    "ArrowLeft": "a",
    "ArrowRight": "d",
    "ArrowUp": "w",
    "ArrowDown": "s",
    "Enter": "n",
    "Backspace": "u",
}
#: Runs when the picture (one transparent pixel) has loaded, once the widgets are on the page; each field is prepared
#: once.
_SCRIPT = """
const grid = this.closest('.%(grid)s'), input = grid && grid.querySelector('.%(keys)s input');
if (document.querySelector('script[type="application/vnd.jupyter.widget-state+json"]')) {
  // A stored page: nobody would hear the keys, which scroll it.
  if (grid) grid.querySelectorAll('button, input, select').forEach((control) => { control.disabled = true; });
} else if (input && !input.dataset.keys) {
  input.dataset.keys = 'ready';
  const letters = %(letters)s;
  input.addEventListener('keydown', (event) => {
    const letter = letters[event.key];
    if (!letter || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    input.value += letter;
    input.dispatchEvent(new Event('input', {bubbles: true}));
  });
  input.focus({preventScroll: true});
}
"""
_PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def review(
    ledger: LedgerLike,
    kind: str = "segment",
    per_page: int = 24,
    by: str = "",
    show: str = "undecided",
    where: Callable[[Any], bool] | None = None,
) -> "ReviewGrid | HTML":
    """Show the accepted images that nobody has decided on, page by page. Turning a page keeps what was not refused.

    Click into the grid's field *keys* (it has the focus at first), then: arrows move, a digit refuses for that reason,
    K keeps, Enter or N turns the page and keeps the rest, P goes back, U or Backspace undoes, Z enlarges. Every
    decision is in the ledger at once, under the name ``by``; started again, it goes on at the first undecided image.
    ``show`` and ``where`` as for :class:`chairfinder.review_session.ReviewSession`.

    In a notebook that runs without anyone looking (for the site) it is the first page's pictures, without controls.
    """
    session = ReviewSession(ledger, kind, per_page, by, show, where)
    return _still(session) if os.environ.get(HEADLESS) else ReviewGrid(session)


class _Images:
    """The images of a session in HTML."""

    def __init__(self, session: ReviewSession) -> None:
        self.session = session
        self.thumbnails = Thumbnails(session.kind, _SIDE)

    def cell(self, image_id: str, mark: Mark | None, is_current: bool) -> str:
        """An image with its mark, its size, its query and its licence."""
        entry = self.session.entry(image_id)
        refused = mark is not None and mark.decision == "refuse"
        line = f"4px solid {_CURSOR}" if is_current else (f"3px dashed {_REFUSED}" if refused else "1px solid #8888")
        box = f"position:relative;box-sizing:border-box;width:100%;aspect-ratio:1;border:{line};{self.board}"
        sign = (
            '<div aria-hidden="true" style="position:absolute;z-index:1;right:2px;top:2px;'
            f"background:{_REFUSED};color:#000;"
            'font:bold 18px/22px sans-serif;padding:0 5px;border-radius:3px">✕</div>'
        )
        size = f"{entry.width} × {entry.height}"
        query = html.escape(str(entry.query or ""))
        licence = html.escape(str(entry.licence or entry.licence_url or "no licence stated"))
        clipped = "white-space:nowrap;overflow:hidden;text-overflow:ellipsis"
        alt = f"{self.session.kind} {image_id}, {size} pixels, {entry.query}: {_describe_mark(mark)}"
        return (
            f'<div style="{box}">{self._image(image_id, alt, refused)}{sign if refused else ""}</div>'
            f'<div style="line-height:1.35;font-size:.85em;{clipped}">{size}<br>{query}<br>{licence}</div>'
        )

    @property
    def board(self) -> str:
        """CSS of the ground it stands on."""
        return _CHECKERBOARD if self.session.kind == "segment" else "background:#fff;"

    def _image(self, image_id: str, alt: str, faint: bool) -> str:
        style = (
            "position:absolute;inset:0;margin:0;width:100%;height:100%;object-fit:contain;background:none;"
            f"{'opacity:.45;' if faint else ''}"
        )
        try:
            picture = self.thumbnails.get(self.session.ledger.path(image_id))
        except ImageError as error:
            return f'<div style="color:#000;white-space:normal;font-size:.8em">{html.escape(str(error))}</div>'
        return f'<img decoding="sync" alt="{html.escape(alt)}" style="{style}" src="{picture}">'


def _still(session: ReviewSession) -> HTML:
    """The first page of a session as it looks before anything is decided."""
    images = _Images(session)
    images.thumbnails.announce(session.ledger.path(image_id) for image_id in session.ids)
    cells = "".join(f"<div>{images.cell(image_id, None, is_current=False)}</div>" for image_id in session.ids)
    columns = "repeat(auto-fill,minmax(96px,1fr))"
    look = f"display:grid;grid-template-columns:{columns};gap:6px;max-width:{_COLUMNS * (_SIDE + 14)}px"
    return HTML(
        f'<div class="chair-review-still"><p>{html.escape(session.progress)}</p><div style="{look}">{cells}</div></div>'
    )


class ReviewGrid(ipywidgets.VBox):
    """The widget that :func:`review` returns. ``session`` holds what was decided."""

    def __init__(self, session: ReviewSession) -> None:
        self.session = session
        self._images = _Images(session)
        self._enlarged = False
        self._text = ""
        self._commands = self._list_commands()
        self._status = ipywidgets.HTML()
        self._keys = ipywidgets.Text(
            description="keys", placeholder="click here, then type", continuous_update=True, layout={"width": "220px"}
        )
        self._keys.add_class(_KEYS_CLASS)
        self._keys.observe(self._on_typed, "value")
        self._reason = ipywidgets.Dropdown(
            options=[(f"{key} {reason}", key) for key, reason in session.reasons.items()],
            description="a click refuses as",
            style={"description_width": "initial"},
            layout={"width": "280px"},
        )
        fill = {"width": "100%", "margin": "0"}
        self._pictures = [ipywidgets.HTML(layout=fill) for _ in range(session.per_page)]
        self._buttons = [ipywidgets.Button(layout=fill) for _ in range(session.per_page)]
        for number, button in enumerate(self._buttons):
            button.on_click(partial(self._on_picture, number))
        cells = [
            ipywidgets.VBox(pair, layout={"overflow": "hidden"})
            for pair in zip(self._pictures, self._buttons, strict=True)
        ]
        columns, most = f"repeat({_COLUMNS}, minmax(0, 1fr))", f"{_COLUMNS * (_SIDE + 14)}px"
        self._grid = ipywidgets.GridBox(
            cells, layout={"grid_template_columns": columns, "grid_gap": "6px", "max_width": most}
        )
        self._large = ipywidgets.HTML()
        super().__init__([self._status, self._toolbar(), self._large, self._grid, self._help()])
        self.add_class(_GRID_CLASS)
        self._draw()

    def press(self, keys: str) -> None:
        """Do what these keys do, one after the other; a key without a meaning is passed over."""
        problem = ""
        try:
            for key in keys.lower():
                if key in self._commands:
                    self._commands[key]()
        except (ChairlibError, OSError) as error:
            problem = str(error)  # a front end shows nothing of what is raised here
        self._draw(problem)

    def _list_commands(self) -> dict[str, Callable[[], object]]:
        session = self.session
        return {
            **{key: partial(session.refuse, key) for key in session.reasons},
            "a": partial(session.move, -1),
            "d": partial(session.move, 1),
            "w": partial(session.move, -_COLUMNS),
            "s": partial(session.move, _COLUMNS),
            "k": session.keep,
            "n": session.next_page,
            " ": session.next_page,
            "p": session.previous_page,
            "u": session.undo,
            "z": self._enlarge,
        }

    def _toolbar(self) -> ipywidgets.Widget:
        named = {
            "n": ("Keep the rest, next page", "primary"),
            "p": ("Previous page", ""),
            "u": ("Undo", ""),
            "z": ("Enlarge", ""),
        }
        buttons = []
        for key, (name, style) in named.items():
            button = ipywidgets.Button(
                description=f"{name} ({key.upper()})", button_style=style, layout={"width": "auto"}
            )
            button.on_click(partial(self._on_button, key))
            buttons.append(button)
        return ipywidgets.HBox([self._keys, *buttons, self._reason], layout={"flex_flow": "row wrap"})

    def _help(self) -> ipywidgets.HTML:
        reasons = " · ".join(f"<b>{key}</b> {html.escape(reason)}" for key, reason in self.session.reasons.items())
        script = html.escape(_SCRIPT % {"grid": _GRID_CLASS, "keys": _KEYS_CLASS, "letters": _LETTERS}, quote=True)
        # Long words must not make a picture wider than its cell.
        style = f"<style>.{_GRID_CLASS} .widget-html-content{{min-width:0;overflow:hidden}}</style>"
        return ipywidgets.HTML(
            f"{style}<div>refuse: {reasons}<br>arrows (or <b>W A S D</b>) move · <b>K</b> keep · "
            "<b>Enter</b>, <b>N</b> or space keep "
            "the rest and turn the page · <b>P</b> page before · <b>U</b> or Backspace undo · <b>Z</b> enlarge</div>"
            f'<img alt="" src="{_PIXEL}" width="1" height="1" onload="{script}">'
        )

    def _on_typed(self, change: Any) -> None:
        before, self._text = self._text, change["new"]
        self.press(typed(before, self._text))

    def _on_button(self, key: str, _button: ipywidgets.Button) -> None:
        self.press(key)
        self._keys.focus()

    def _on_picture(self, number: int, _button: ipywidgets.Button) -> None:
        """Go to a picture, and refuse it, or keep it after all."""
        self.session.move(number - self.session.cursor)
        mark = self.session.marks.get(self.session.current or "")
        self._on_button("k" if mark and mark.decision == "refuse" else self._reason.value, _button)

    def _enlarge(self) -> None:
        self._enlarged = not self._enlarged

    def _draw(self, problem: str = "") -> None:
        """Bring every widget in line with the session. Only what has changed travels to the page."""
        session = self.session
        session.forget_removed(self._upcoming())
        self._images.thumbnails.announce(session.ledger.path(image_id) for image_id in self._upcoming())
        alarm = (
            f'<div role="alert" style="border-left:4px solid {_REFUSED};padding-left:8px">'
            f"✕ {html.escape(problem)}</div>"
        )
        removed = html.escape(", ".join(session.removed))
        gone = f"<div>removed from the ledger meanwhile, and no longer shown: {removed}</div>"
        self._status.value = (
            f'<div role="status">{html.escape(session.progress)}</div>'
            + (gone if session.removed else "")
            + (alarm if problem else "")
        )
        ids = session.ids
        for number, (picture, button) in enumerate(zip(self._pictures, self._buttons, strict=True)):
            shown = number < len(ids)
            picture.layout.display = button.layout.display = "" if shown else "none"
            if shown:
                mark = session.marks.get(ids[number])
                is_current = number == session.cursor
                picture.value = self._images.cell(ids[number], mark, is_current)
                button.description = ("▶ " if is_current else "") + _describe_mark(mark)
                button.tooltip = (
                    f"picture {number + 1}: {_describe_mark(mark)}; a click refuses it, or keeps it after all"
                )
        self._large.value = self._enlargement() if self._enlarged and session.current else ""

    def _upcoming(self) -> list[str]:
        """The images of the page shown and the two after it."""
        session = self.session
        return [image_id for page in range(3) for image_id in session.page_ids(session.page + page)]

    def _enlargement(self) -> str:
        image_id = str(self.session.current)
        try:
            picture = thumbnail(self.session.kind, self.session.ledger.path(image_id), _LARGE_SIDE)
        except ImageError as error:
            return html.escape(str(error))
        alt = f"{self.session.kind} {image_id}, enlarged"
        return f'<img alt="{html.escape(alt)}" style="max-width:{_LARGE_SIDE}px;{self._images.board}" src="{picture}">'


def typed(before: str, after: str) -> str:
    """The keys that turned a field's text ``before`` into ``after``: what was inserted; ``u`` where one was deleted."""
    start = _common_length(before, after)
    rest_before, rest_after = before[start:], after[start:]
    end = _common_length(rest_before[::-1], rest_after[::-1])
    inserted, deleted = rest_after[: len(rest_after) - end], rest_before[: len(rest_before) - end]
    return inserted or ("u" if len(deleted) == 1 else "")


def _common_length(first: str, second: str) -> int:
    """How many characters two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _describe_mark(mark: Mark | None) -> str:
    if mark is None:
        return "undecided"
    return "✓ kept" if mark.decision == "keep" else f"✕ {mark.reason}"
