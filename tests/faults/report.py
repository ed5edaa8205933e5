"""The table of faults, for the console and between markers in a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.faults.performance import COLUMNS, Row

BEGIN, END = "<!-- the table of scripts/faults -->\n", "<!-- the end of the table -->\n"
_LOST = COLUMNS.index("lost")

Cells = Sequence[str]  # of a row, as `COLUMNS` has them


def plain(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table for a console."""
    table = [list(COLUMNS), *(row.cells() for row in rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(COLUMNS))]
    for cells in table:
        first, *numbers, remark = cells
        middle = [cell.rjust(width) for cell, width in zip(numbers, widths[1:])]
        yield "  ".join([first.ljust(widths[0]), *middle, remark]).rstrip()


def markdown(sections: Iterable[tuple[str, Sequence[Cells]]]) -> Iterator[str]:
    """Yield the lines of the table in Markdown; each section's title has a row of its own."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|---|{'---:|' * (len(COLUMNS) - 2)}---|"
    for title, rows in sections:
        if rows:
            yield f"| **{title}** |{' |' * (len(COLUMNS) - 1)}"
        for row in rows:
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def parse(lines: Iterable[str]) -> dict[str, Cells]:
    """Return the rows of a table in Markdown by the names of their faults."""
    found: dict[str, Cells] = {}
    for line in lines:
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == len(COLUMNS) and cells[1].replace(",", "").isdigit():
            found[cells[0]] = cells
    return found


def summary(rows: Sequence[Cells]) -> str:
    """Return how many faults passed, and what was lost."""
    verdicts = [
        next((word for word in ("skipped", "FAILED") if row[-1].startswith(word)), "passed") for row in rows
    ]
    counts = {verdict: verdicts.count(verdict) for verdict in ("passed", "FAILED", "skipped")}
    lost = sum(int(row[_LOST].replace(",", "")) for row in rows if row[_LOST] != "-")
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) + f"; lost: {lost}"


def read(document: Path) -> list[str]:
    """Return the lines between the markers of a document. Raises ValueError if it has none."""
    return _split(document)[1].splitlines()


def write(document: Path, lines: Iterable[str]) -> None:
    """Replace the lines between the markers of a document. Raises ValueError if it has none."""
    before, _, after = _split(document)
    text = "".join(f"{line}\n" for line in lines)
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _split(document: Path) -> tuple[str, str, str]:
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no markers for the table")
    return before, table, after
