"""The in-progress table: the files that a run has detected and not yet completed."""

from __future__ import annotations

import contextlib

from dfud.core.tables import InProgressRow, format_row, format_rows, read_in_progress
from dfud.files.atomic import replace_file
from dfud.logs.layout import LogsFolder
from dfud.logs.table_files import RejectedRow, accepted_rows, read_lines


def read_in_progress_table(folder: LogsFolder) -> tuple[list[InProgressRow], list[RejectedRow]]:
    """Return the rows of the table, and those that cannot be understood; OSError if it cannot be read."""
    rows: list[InProgressRow] = []
    rejected: list[RejectedRow] = []
    with contextlib.suppress(FileNotFoundError):
        rows.extend(accepted_rows(read_in_progress(read_lines(folder.in_progress)), folder.in_progress, rejected))
    return rows, rejected


def write_in_progress_table(folder: LogsFolder, rows: list[InProgressRow]) -> None:
    """Replace the table; OSError if that fails, which leaves the old one."""
    text = format_rows([InProgressRow._fields]) + "".join(map(format_row, rows))
    replace_file(folder.in_progress, [text.encode("utf-8", "surrogateescape")])
