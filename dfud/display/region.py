r"""The few lines at the bottom of a terminal that are drawn again and again, while others scroll above them.

The cursor always stands below them, where what the user types appears; neither its visibility nor a mode of the
terminal is changed, so nothing has to be restored after a crash or SIGKILL. What is typed, and not yet sent off,
stays where it is: lines are inserted above, and the cursor returns to its column. For each line the cursor starts
from its place below: what a terminal shows wider or narrower than expected displaces nothing else.

Only sequences of the VT102 are used, which all terminals know that are not dumb. A bare newline is none of them:
the system may turn it into something else.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from dfud.display.lines import Line, ansi, width_of
from dfud.display.terminal import Look, Size

_SAVE, _RESTORE = "\x1b7", "\x1b8"
_NEXT_ROW = "\x1bD"  # in the same column; the screen scrolls at its end
_ERASE_RIGHT, _ERASE_BELOW = "\x1b[K", "\x1b[J"


class Region:
    """Responsible for what is on the screen; returns what to write, in one piece, and takes it for written."""

    def __init__(self, look: Look) -> None:
        """Begin with nothing on the screen."""
        self._look = look
        self._lines: list[Line] = []  # on the screen, the last one just above the cursor
        self._columns = 0  # of the terminal, when they were drawn
        self._entered = 0  # lines that the user has sent off since: the cursor is that much lower

    def on_enter(self, n_lines: int) -> None:
        """Take note that the user has sent off lines, which the terminal shows."""
        if self._lines:
            self._entered += n_lines

    def forget(self) -> None:
        """Leave what is on the screen as it is: something else has been written below it."""
        self._lines = []
        self._entered = 0

    def draw(self, above: Sequence[str], lines: Sequence[Line], size: Size) -> str:
        """Return what shows `lines`, and before them the texts `above`, which are printable and stay for good."""
        lines = list(lines)[: max(0, size.rows - 2)]
        if not self._lines or size.columns != self._columns:
            return self._draw_anew(above, lines, size)
        room = max(1, size.rows - max(len(lines), len(self._lines)) - 1)
        if any(_rows_of(text, size) > room for text in above):
            return self._draw_anew(above, lines, size)
        codes = self._take_typed_lines() if self._entered else ""
        if len(lines) < len(self._lines):
            codes += self._remove(len(self._lines) - len(lines))
        if len(lines) > len(self._lines):
            codes += self._add(len(lines) - len(self._lines), size.rows)
        codes += self._insert(above, size, room)
        height = len(lines)
        changed = [number for number in range(height) if lines[number] != self._lines[number]]
        if changed:
            drawn = (
                f"{_RESTORE}{_up(height - number)}\r{ansi(lines[number], self._look)}{_ERASE_RIGHT}"
                for number in changed
            )
            codes += f"{_SAVE}{''.join(drawn)}{_RESTORE}"
        self._lines = lines
        return codes

    def end(self, above: Sequence[str], size: Size) -> str:
        """Return what removes the lines, and shows the texts `above` in their place."""
        return self._draw_anew(above, [], size)

    def _draw_anew(self, above: Sequence[str], lines: list[Line], size: Size) -> str:
        codes = self._take_typed_lines() if self._entered and size.columns == self._columns else ""
        if self._lines:
            height = len(self._lines)
            if size.columns < self._columns:  # terminals break lines that have become too long
                height = sum(_rows(width_of(line), size.columns) for line in self._lines)
            codes += f"{_up(height + self._entered)}\r{_ERASE_BELOW}"
        self._entered = 0
        self._lines = lines
        self._columns = size.columns
        shown = [*above, *(ansi(line, self._look) for line in lines)]
        return codes + "".join(f"{text}\r\n" for text in shown)

    def _take_typed_lines(self) -> str:
        """Move the region below the lines that were sent off, and draw it there."""
        height, entered = len(self._lines), self._entered
        self._entered = 0
        drawn = "".join(f"{ansi(line, self._look)}\r\n" for line in self._lines)
        return f"{_up(height + entered)}\r\x1b[{height}M{_down(entered)}\r{drawn}"

    def _remove(self, count: int) -> str:
        """Remove the first `count` lines."""
        height = len(self._lines)
        del self._lines[:count]
        return f"{_SAVE}{_up(height)}\r\x1b[{count}M{_RESTORE}{_up(count)}"

    def _add(self, count: int, rows: int) -> str:
        """Make room for `count` more lines before the others."""
        codes = self._make_room(count)
        self._lines[:0] = [()] * count
        return f"{codes}{_RESTORE}{_down(count)}"

    def _insert(self, above: Sequence[str], size: Size, room: int) -> str:
        """Insert texts above, as many at once as the screen has `room` for (rows)."""
        codes, used = "", 0
        batch: list[str] = []
        for text in above:
            needed = _rows_of(text, size)
            if batch and used + needed > room:
                codes += self._insert_batch(batch, used)
                batch, used = [], 0
            batch.append(text)
            used += needed
        return codes + (self._insert_batch(batch, used) if batch else "")

    def _insert_batch(self, texts: list[str], rows: int) -> str:
        drawn = "\r\n".join(texts)
        return f"{self._make_room(rows)}{drawn}{_RESTORE}{_down(rows)}"

    def _make_room(self, rows: int) -> str:
        """Insert empty rows above the region and go to the first; the saved cursor is `rows` rows too high."""
        return f"{_NEXT_ROW * rows}{_up(rows)}{_SAVE}{_up(len(self._lines))}\r\x1b[{rows}L"


def _up(rows: int) -> str:
    return f"\x1b[{rows}A" if rows else ""


def _down(rows: int) -> str:
    return f"\x1b[{rows}B" if rows else ""


def _rows(width: int, columns: int) -> int:
    return max(1, -(-width // columns))


def _rows_of(text: str, size: Size) -> int:
    """Return how many rows a text takes: a wide character that does not fit leaves a cell of its row empty."""
    plain = _plain(text)
    if plain.isascii():
        return _rows(len(plain), size.columns)
    rows, column = 1, 0
    for character in plain:
        cells = cell_len(character)
        if column + cells > size.columns:
            rows, column = rows + 1, 0
        column += cells
    return rows


def _plain(text: str) -> str:
    """Return a text without the codes of its style."""
    if "\x1b" not in text:
        return text
    return "".join(part.partition("m")[2] for part in f"m{text}".split("\x1b["))
