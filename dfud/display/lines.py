"""Paint an activity as lines of a terminal: no line is wider than it may be, whatever the files are called."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

from dfud.core.sizes import shown_size
from dfud.core.text import escaped
from dfud.display.activity import Activity, Fact, Transfer
from dfud.display.terminal import Look

_MAX_BAR, _MIN_BAR = 50, 8  # cells
_MAX_FACT_LINES = 4
_MAX_TRANSFERS = 3
_MAX_WIDTH = 160  # cells: wider lines are hard to read
_SEPARATOR = "  "
_STYLES = {
    "good": "green",
    "doubtful": "yellow",
    "bad": "bold red",
    "quiet": "dim",
    "done": "cyan",
    "to do": "bright_black",
}


class Piece(NamedTuple):
    """A part of a line in one style."""

    text: str
    style: str = ""  # a key of `_STYLES`, or ""


Line = tuple[Piece, ...]


def paint(activity: Activity, columns: int, look: Look) -> list[Line]:
    """Return the lines, each narrower than `columns`."""
    width = max(1, min(columns - 1, _MAX_WIDTH))  # a terminal may wrap after its last cell
    lines: list[Line] = []
    facts = list(activity.facts)
    if activity.share is not None:
        lines.append(_bar_line(activity.share, activity.amount, width, look))
    elif activity.amount:
        facts.insert(0, Fact(activity.amount))
    lines += _packed(facts, width, look)[:_MAX_FACT_LINES]
    shown = activity.transfers[:_MAX_TRANSFERS]
    lines += (_transfer_line(transfer, width, look) for transfer in shown)
    n_more = activity.n_more + len(activity.transfers) - len(shown)
    if n_more:
        lines.append((Piece(fitted(f"  and {n_more:,} more on the way", width, look), "quiet"),))
    return lines


def fitted(text: str, width: int, look: Look) -> str:
    """Return `text` in at most `width` cells: its end is cut off if it does not fit."""
    text = shown(text, look)
    if cell_len(text) <= width:
        return text
    dots = _dots(look)[:width]
    text = text[:width]
    while text and cell_len(text + dots) > width:
        text = text[:-1]
    return text + dots


def end_fitted(text: str, width: int, look: Look) -> str:
    """Return `text` in at most `width` cells: its beginning is cut off if it does not fit."""
    text = shown(text, look)
    if cell_len(text) <= width:
        return text
    dots = _dots(look)[:width]
    text = text[max(0, len(text) - width) :]
    while text and (cell_len(dots + text) > width or unicodedata.category(text[0])[0] == "M"):
        text = text[1:]  # a mark would join what is before it
    return dots + text


def shown(text: str, look: Look) -> str:
    r"""Return `text` with everything escaped that the terminal may take for a command, or cannot show.

    >>> shown("scan \x1b[2J é", Look(True, False))
    'scan \\x1b[2J \\xe9'
    """
    text = escaped(text)
    return text if look.has_unicode else text.encode("ascii", "backslashreplace").decode("ascii")


def ansi(line: Iterable[Piece], look: Look) -> str:
    """Return a line with the codes for its styles."""
    if not look.has_colour:
        return "".join(text for text, _ in line)
    return "".join(style_of(style).render(text, color_system=ColorSystem.STANDARD) for text, style in line)


def style_of(name: str) -> Style:
    """Return the style of this name."""
    return Style.parse(_STYLES.get(name, ""))  # which remembers what it has parsed


def width_of(line: Iterable[Piece]) -> int:
    """Return how many cells a line takes."""
    return cell_len("".join(text for text, _ in line))


def _dots(look: Look) -> str:
    return "…" if look.has_unicode else "..."


def _bar_line(share: float, amount: str, width: int, look: Look) -> Line:
    """Return a bar if there is room for one, and how much is done."""
    share = min(1.0, max(0.0, share))
    text = fitted(f"{int(share * 100)} %{_SEPARATOR}{amount}".rstrip(), width, look)
    room = min(_MAX_BAR, width - cell_len(text) - len(_SEPARATOR))
    if room < _MIN_BAR:
        return (Piece(text),)
    full, empty = ("━", "━") if look.has_unicode else ("#", "-")
    if not look.has_colour:
        empty = "─" if look.has_unicode else "-"
    n_full = int(share * room)
    return (
        Piece(full * n_full, "done"),
        Piece(empty * (room - n_full), "to do"),
        Piece(_SEPARATOR + text),
    )


def _packed(facts: Iterable[Fact], width: int, look: Look) -> list[Line]:
    """Return lines with as many facts as fit into each."""
    lines: list[list[Piece]] = []
    used = 0
    for text, tone in facts:
        piece = Piece(fitted(text, width, look), tone)
        cells = cell_len(piece.text)
        if lines and used + len(_SEPARATOR) + cells <= width:
            lines[-1] += [Piece(_SEPARATOR), piece]
            used += len(_SEPARATOR) + cells
        else:
            lines.append([piece])
            used = cells
    return [tuple(line) for line in lines]


def _transfer_line(transfer: Transfer, width: int, look: Look) -> Line:
    share = transfer.done / transfer.size if transfer.size else 1.0
    amount = f"  {int(min(1.0, share) * 100):3} % of {shown_size(transfer.size):>9}"
    room = width - cell_len(amount)
    if room < _MIN_BAR:
        return (Piece(end_fitted(f"  {transfer.name}", width, look)),)
    name = f"  {end_fitted(transfer.name, room - 2, look)}"
    return (Piece(name + " " * (min(room, _MAX_BAR) - cell_len(name))), Piece(amount, "quiet"))
