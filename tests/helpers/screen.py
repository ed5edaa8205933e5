"""A terminal in memory: as much of a VT102 as the display uses, and an error for everything else."""

from __future__ import annotations

import re

from rich.cells import cell_len

_TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b([78D])|([\r\n])|([^\x00-\x1f\x7f-\x9f])")


class Screen:
    """What is to be seen, and what has scrolled out at the top."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.history: list[str] = []
        self.row = self.column = 0
        self._saved = 0, 0
        self.widest = 0  # cells that were written to

    def feed(self, codes: str) -> None:
        at = 0
        while at < len(codes):
            token = _TOKEN.match(codes, at)
            assert token is not None, f"a terminal may not expect {codes[at : at + 10]!r}"
            at = token.end()
            number, final, short, control, character = token.groups()
            if character:
                self._put(character)
            elif control == "\r":
                self.column = 0
            elif control == "\n" or short == "D":
                self._next_row()
            elif short == "7":
                self._saved = self.row, self.column
            elif short == "8":
                self.row, self.column = self._saved
            else:
                self._control(final, int(number or (0 if final in "KJm" else 1)))

    def type(self, text: str) -> None:
        """Echo what a user types, as the system does."""
        self.feed(text.replace("\n", "\r\n"))

    @property
    def lines(self) -> list[str]:
        """All that was ever shown and not removed, down to the line of the cursor."""
        return self.history + [self._text(row) for row in self.cells[: self.row + 1]]

    @staticmethod
    def _text(row: list[str]) -> str:
        return "".join(row).rstrip()

    def _put(self, character: str) -> None:
        cells = cell_len(character)
        if not cells:
            self.cells[self.row][max(0, self.column - 1)] += character
            return
        if self.column + cells > self.columns:
            self.column = 0
            self._next_row()
        self.cells[self.row][self.column] = character
        if cells == 2:
            self.cells[self.row][self.column + 1] = ""
        self.column += cells
        self.widest = max(self.widest, self.column)

    def _next_row(self) -> None:
        if self.row < self.rows - 1:
            self.row += 1
            return
        self.history.append(self._text(self.cells.pop(0)))
        self.cells.append([" "] * self.columns)

    def _control(self, final: str, number: int) -> None:
        if final == "A":
            self.row = max(0, self.row - number)
        elif final == "B":
            self.row = min(self.rows - 1, self.row + number)
        elif final == "K" and number == 0:
            self.cells[self.row][self.column :] = [" "] * (self.columns - self.column)
        elif final == "J" and number == 0:
            self._control("K", 0)
            for row in range(self.row + 1, self.rows):
                self.cells[row] = [" "] * self.columns
        elif final in "LM":
            blank = [[" "] * self.columns for _ in range(min(number, self.rows - self.row))]
            kept = self.cells[self.row :]
            kept = blank + kept[: len(kept) - len(blank)] if final == "L" else kept[len(blank) :] + blank
            self.cells[self.row :] = kept
        else:
            assert final == "m", f"{number}{final}"
