"""The table of faults, for the console and between markers in a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.faults.performance import COLUMNS, Row

BEGIN, END = "<!-- the table of scripts/faults -->\n", "<!-- the end of the table -->\n"


def plain(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table for a console."""
    table = [list(COLUMNS), *(row.cells() for row in rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(COLUMNS))]
    for cells in table:
        first, *numbers, remark = cells
        middle = [cell.rjust(width) for cell, width in zip(numbers, widths[1:])]
        yield "  ".join([first.ljust(widths[0]), *middle, remark]).rstrip()


def markdown(sections: Sequence[tuple[str, Sequence[Row]]]) -> Iterator[str]:
    """Yield the lines of the table in Markdown; each section's title has a row of its own."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|---|{'---:|' * (len(COLUMNS) - 2)}---|"
    for title, rows in sections:
        if rows:
            yield f"| **{title}** |{' |' * (len(COLUMNS) - 1)}"
        for row in rows:
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row.cells())} |"


def write(document: Path, lines: Iterable[str]) -> None:
    """Replace the lines between the markers of a document. Raises ValueError if it has none."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no markers for the table")
    text = "".join(f"{line}\n" for line in lines)
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
