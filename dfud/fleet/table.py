"""The fleet as lines of text: a table that fits the terminal, trouble first, with what is wrong below each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.cells import cell_len

from dfud.core.text import counted
from dfud.display.lines import Line, Piece, end_fitted, fitted
from dfud.display.lines import shown as printed
from dfud.display.terminal import Look
from dfud.fleet.columns import RECEIVER_COLUMNS, UPLOAD_COLUMNS, Column, receiver_cells, upload_cells
from dfud.fleet.receivers import Receiver
from dfud.fleet.snapshot import Snapshot
from dfud.fleet.verdict import Upload
from dfud.logs.status_check import Level

_GAP = "  "
_INDENT = "  "
_MAX_NAME = 400  # cells of a text where nothing limits the width
_LEAST = 4  # cells of a text that is cut
_MAX_FINDINGS = 4  # lines below an upload
_MAX_RECEIVERS = 50  # rows
_STYLES = {Level.OK: "good", Level.WARNING: "doubtful", Level.UNKNOWN: "doubtful", Level.CRITICAL: "bad"}
_TITLES = "quiet"

Row = tuple[Sequence[str], str, Sequence[str]]  # cells, style of the first of them, lines below


def paint(snapshot: Snapshot, columns: int | None, look: Look) -> list[Line]:
    """Return the lines, none wider than `columns`, or as wide as they come if that is None."""
    return list(_lines(snapshot, columns, look))


def cut(lines: list[Line], rows: int) -> list[Line]:
    """Return no more than so many lines, the last of which says how many are left out."""
    if len(lines) <= rows:
        return lines
    kept = max(0, rows - 1)
    return [*lines[:kept], (Piece(f"and {counted(len(lines) - kept, 'line')} more", _TITLES),)]


def _lines(snapshot: Snapshot, columns: int | None, look: Look) -> Iterator[Line]:
    width = _MAX_NAME if columns is None else max(1, columns - 1)  # a terminal may wrap after its last cell
    texts = [(snapshot.summary(), _STYLES[snapshot.level])]
    texts += [(f"warning: {note}", "doubtful") for note in snapshot.notes]
    for text, style in texts:
        for part in wrap(printed(text, look), width):
            yield (Piece(fitted(part, width, look), style),)
    if snapshot.uploads:
        yield ()
        yield from _table(UPLOAD_COLUMNS, [_row(upload) for upload in snapshot.uploads], columns, look)
    if snapshot.receivers:
        yield ()
        shown = snapshot.receivers[:_MAX_RECEIVERS]
        rows = [_receiver_row(each, snapshot.at_s) for each in shown]
        yield from _table(RECEIVER_COLUMNS, rows, columns, look)
        more = len(snapshot.receivers) - len(shown)
        if more:
            yield (Piece(fitted(f"and {more:,} more: --json has all", width, look), _TITLES),)


def _row(upload: Upload) -> Row:
    findings = [finding.text for finding in upload.findings[:_MAX_FINDINGS]]
    more = len(upload.findings) - len(findings)
    if more:
        findings.append(f"and {more:,} more")
    return upload_cells(upload), _STYLES[upload.level], findings


def _receiver_row(receiver: Receiver, at_s: float) -> Row:
    finding = receiver.finding
    cells = receiver_cells(receiver, at_s)
    return (cells, "", ()) if finding is None else (cells, _STYLES[finding.level], [finding.text])


def _table(columns: Sequence[Column], rows: Sequence[Row], limit: int | None, look: Look) -> Iterator[Line]:
    cells = [[printed(text, look) for text in row[0]] for row in rows]
    widths = [max(len(column.title), *(cell_len(row[at]) for row in cells)) for at, column in enumerate(columns)]
    room = len(columns) * _MAX_NAME if limit is None else max(1, limit - 1)
    widths = _fit(columns, widths, room)
    kept = [at for at, width in enumerate(widths) if width]
    titles = [_padded(columns[at].title, widths[at], columns[at], look) for at in kept]
    yield (Piece(fitted(_GAP.join(titles).rstrip(), room, look), _TITLES),)
    for texts, (_, style, below) in zip(cells, rows):
        first, *rest = (_padded(texts[at], widths[at], columns[at], look) for at in kept)
        others = fitted((_GAP + _GAP.join(rest)).rstrip(), max(0, room - cell_len(first)), look)
        yield (Piece(fitted(first, room, look), style), Piece(others))
        for text in below:
            yield (Piece(fitted(_INDENT + text, min(room, _MAX_NAME), look), _TITLES),)


def _fit(columns: Sequence[Column], natural: Sequence[int], limit: int) -> list[int]:
    """Return how wide each column is: 0 for those that there is no room for, and no more than `limit` together."""
    widths = [min(each.enough or width, width) for each, width in zip(columns, natural)]

    def room() -> int:
        kept = [width for width in widths if width]
        return limit - sum(kept) - len(_GAP) * (len(kept) - 1)

    while room() < 0 and (ranked := [at for at, width in enumerate(widths) if width and columns[at].rank]):
        widths[max(ranked, key=lambda at: columns[at].rank)] = 0
    for at, column in enumerate(columns):
        if widths[at] and column.enough:  # it takes the room that is left, or gives what is lacking
            widths[at] = max(_LEAST, min(natural[at], widths[at] + room()))
    return widths


def _padded(text: str, width: int, column: Column, look: Look) -> str:
    """Return a text in exactly so many cells; of one that is too long, the end is kept."""
    text = end_fitted(text, width, look)
    padding = " " * (width - cell_len(text))
    return padding + text if column.is_number else text + padding
