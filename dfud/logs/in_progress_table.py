"""The in-progress table: the files that a run has detected and not yet completed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from dfud.core.names import leads_outside
from dfud.core.tables import BadRow, InProgressRow, format_row, format_rows, read_in_progress
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow, accepted_rows, read_lines


def read_in_progress_table(folder: LogsFolder) -> tuple[list[InProgressRow], list[RejectedRow]]:
    """Return the rows of the table, and those that cannot be understood; OSError if it cannot be read."""
    rows: list[InProgressRow] = []
    rejected: list[RejectedRow] = []
    with contextlib.suppress(FileNotFoundError):
        lines = read_lines(folder, folder.in_progress)
        rows.extend(accepted_rows(_inside(read_in_progress(lines)), folder.in_progress, rejected))
    return rows, rejected


def write_in_progress_table(folder: LogsFolder, rows: list[InProgressRow]) -> None:
    """Replace the table; OSError if that fails, which leaves the old one."""
    text = format_rows([InProgressRow._fields]) + "".join(map(format_row, rows))
    folder.replace(folder.in_progress, [text.encode("utf-8", "surrogateescape")])


def _inside(rows: Iterable[InProgressRow | BadRow]) -> Iterator[InProgressRow | BadRow]:
    """Yield the rows; one whose path leads out of the directory is bad: others may have written it."""
    for number, row in enumerate(rows, 2):
        if isinstance(row, InProgressRow) and leads_outside(os.fsencode(row.rel_filepath)):
            yield BadRow(number, format_row(row).rstrip("\r\n"), "its path leads out of the directory")
        else:
            yield row
